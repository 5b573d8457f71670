/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Sizes of memory as people write them. */
#include "engine/job/memory_parameter.h"

#include <string.h>

#include "engine/error.h"

#define UNITS "KMGT"

/* Beyond any machine, and far below what does not fit. */
#define MAX_BYTES ((double)(G_GUINT64_CONSTANT(1) << 50))

static gboolean parse(const char *text, guint64 *n_bytes)
{
    char *end = NULL;
    const double number = g_ascii_strtod(text, &end);
    double size = number;

    if (end == text || !g_ascii_isdigit(*text)) /* no signs, no words such as "nan" */
        return FALSE;
    if (*end != 0 && strchr(UNITS, g_ascii_toupper(*end)) != NULL) {
        for (const char *unit = UNITS; *unit != g_ascii_toupper(*end); unit++)
            size *= 1024.0;
        size *= 1024.0;
        end++;
        if (*end == 'i' && (end[1] == 'B' || end[1] == 'b'))
            end++;
    }
    if (*end == 'B' || *end == 'b')
        end++;
    if (*end != 0 || !(size >= 1.0 && size <= MAX_BYTES))
        return FALSE;
    *n_bytes = (guint64)size;
    return TRUE;
}

gboolean w2w_memory_parameter_get(const W2wValues *values, guint64 *n_bytes, GError **error)
{
    const char *text = w2w_values_get_string(values, "memory");

    *n_bytes = 0;
    if (*text == 0 || parse(text, n_bytes))
        return TRUE;
    g_set_error(error, W2W_ERROR, W2W_ERROR_USAGE,
                "The value of memory must be a size such as 4G or 512M, not “%s”.", text);
    return FALSE;
}

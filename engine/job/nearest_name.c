/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Edit distance with swaps of neighbours (optimal string alignment), over bytes. */
#include "engine/job/nearest_name.h"

#include <string.h>

/* Longer ones are no slip of the finger, and the table below stays small. */
#define MAX_LENGTH 64

/* Shorter ones begin too many words. */
#define MIN_PREFIX 4

/* Case folded, with one separator; NULL for what is too long to be a slip. */
static char *normalise(const char *name)
{
    char *folded = strlen(name) <= MAX_LENGTH ? g_ascii_strdown(name, -1) : NULL;

    return folded != NULL ? g_strdelimit(folded, "-_ ", '_') : NULL;
}

static guint distance(const char *first, const char *second)
{
    guint rows[3][MAX_LENGTH + 1]; /* two before, one before, current */
    const guint n_first = strlen(first), n_second = strlen(second);

    for (guint j = 0; j <= n_second; j++)
        rows[1][j] = j;
    memcpy(rows[0], rows[1], sizeof rows[0]);
    for (guint i = 1; i <= n_first; i++) {
        rows[2][0] = i;
        for (guint j = 1; j <= n_second; j++) {
            guint best = rows[1][j - 1] + (first[i - 1] != second[j - 1]);

            best = MIN(best, rows[1][j] + 1);
            best = MIN(best, rows[2][j - 1] + 1);
            if (i > 1 && j > 1 && first[i - 1] == second[j - 2] && first[i - 2] == second[j - 1])
                best = MIN(best, rows[0][j - 2] + 1);
            rows[2][j] = best;
        }
        memcpy(rows[0], rows[1], sizeof rows[0]);
        memcpy(rows[1], rows[2], sizeof rows[1]);
    }
    return rows[1][n_second];
}

const char *w2w_nearest_name(const char *name, const char *const *candidates)
{
    g_autofree char *wanted = normalise(name);
    const char *nearest = NULL;
    guint nearest_distance = G_MAXUINT;

    if (wanted == NULL)
        return NULL;
    for (guint i = 0; candidates[i] != NULL; i++) {
        g_autofree char *candidate = normalise(candidates[i]);
        guint slips, allowed;

        if (candidate == NULL)
            continue;
        slips = distance(wanted, candidate);
        /* A third of the letters: more turns one word into another. */
        allowed = MAX(1, MIN(strlen(wanted), strlen(candidate)) / 3);
        /* The beginning of a name is meant for it too ("Receding"), or one with an ending
         * ("Younger"). */
        if ((strlen(wanted) >= MIN_PREFIX && g_str_has_prefix(candidate, wanted)) ||
            (strlen(candidate) >= MIN_PREFIX && g_str_has_prefix(wanted, candidate)))
            slips = MIN(slips, allowed);
        if (slips <= allowed && slips < nearest_distance) {
            nearest = candidates[i];
            nearest_distance = slips;
        }
    }
    return nearest;
}

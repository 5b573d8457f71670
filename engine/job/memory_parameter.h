/* SPDX-License-Identifier: GPL-3.0-or-later */
/* How much memory a job may take: "4G" on the command line. */
#pragma once

#include <glib/gi18n.h>

#include "engine/job/parameter.h"

G_BEGIN_DECLS

/* Of a job that trains, in its table. FILES_ONLY: in a dialog it would only be in the way. */
#define W2W_MEMORY_PARAMETER                                                                       \
    {                                                                                              \
        .name = "memory", .type = W2W_PARAMETER_STRING, .flags = W2W_PARAMETER_FILES_ONLY,         \
        .label = N_("_Memory"),                                                                    \
        .blurb = N_("How much memory the training may take, such as 4G or 512M: less of it takes " \
                    "longer and gives the same numbers. Not counted are the model's file, and "    \
                    "what making pictures, reading them and encoding them with the VAE takes "     \
                    "before. Empty: as much as it likes."),                                        \
    }

/*
 * Of a W2W_MEMORY_PARAMETER: bytes, 0 where it is empty. K, M, G and T count by 1024, with or
 * without B or iB behind them; a number alone is bytes. W2W_ERROR_USAGE.
 */
gboolean w2w_memory_parameter_get(const W2wValues *values, guint64 *n_bytes, GError **error);

G_END_DECLS

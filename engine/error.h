/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The engine's one error domain.
 *
 * Every message is a whole sentence that a user can act on; for files it names
 * the file, where in it, and what was expected. Codes are for programs: the
 * command line turns W2W_ERROR_USAGE into exit code 2 and the rest into 1.
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

#define W2W_ERROR (w2w_error_quark())

typedef enum {
    W2W_ERROR_FAILED,      /* none of the others */
    W2W_ERROR_USAGE,       /* an argument is out of range, unknown or missing */
    W2W_ERROR_FILE,        /* a file cannot be opened, read or written */
    W2W_ERROR_FORMAT,      /* a file is not what it claims to be */
    W2W_ERROR_UNSUPPORTED, /* valid, but this program cannot do it */
    W2W_ERROR_MEMORY,      /* an allocation failed */
    W2W_ERROR_MISMATCH,    /* two things that do not belong together (identity and space …) */
} W2wError;

GQuark w2w_error_quark(void);

G_END_DECLS

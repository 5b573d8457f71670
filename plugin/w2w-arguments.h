/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A job's parameters as a GIMP procedure's arguments: declared from the same table as the
 * command line's flags, with the same ranges, defaults and words.
 */
#pragma once

#include <libgimp/gimp.h>

#include "engine/job/job.h"

G_BEGIN_DECLS

/*
 * Adds an argument for each parameter that w2w_job_shows_parameter(); an identity is not one: it
 * comes from a layer.
 */
void        w2w_arguments_declare (GimpProcedure *procedure,
                                   const W2wJob  *job);

/*
 * What the user chose. `identity` (the bytes of an identity file, or NULL) becomes the value of the
 * job's identity parameter. W2W_ERROR_USAGE as from the command line.
 */
W2wValues * w2w_arguments_collect (GimpProcedureConfig *config,
                                   const W2wJob        *job,
                                   GBytes              *identity,
                                   GError             **error);

G_END_DECLS

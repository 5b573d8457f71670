/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A job's parameters as a GIMP procedure's arguments: declared from the same table as the
 * command line's flags, with the same ranges, defaults and words.
 */
#pragma once

#include <libgimp/gimp.h>

#include "engine/job/job.h"

G_BEGIN_DECLS

/* What comes from a layer: each NULL where there is none, borrowed. */
typedef struct
{
  GBytes *identity;  /* the bytes of an identity file */
  GBytes *image;     /* of a PNG, for W2W_JOB_IMAGE */
  GBytes *mask;      /* of a PNG, for W2W_JOB_MASK */
} W2wArgumentFiles;

/*
 * Adds an argument for each parameter that w2w_job_shows_parameter(); what w2w_job_takes_from_layer()
 * is not one.
 */
void        w2w_arguments_declare (GimpProcedure          *procedure,
                                   const W2wJob           *job);

/*
 * What the user chose, and `files` as the values of what comes from a layer. A switch
 * W2W_JOB_REGION_ONLY is on: layers are put together here. W2W_ERROR_USAGE as from the command line.
 */
W2wValues * w2w_arguments_collect (GimpProcedureConfig    *config,
                                   const W2wJob           *job,
                                   const W2wArgumentFiles *files,
                                   GError                **error);

G_END_DECLS

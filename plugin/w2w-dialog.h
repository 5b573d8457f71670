/* SPDX-License-Identifier: GPL-3.0-or-later */
/* GIMP's own generated dialog for a job, laid out from its table of parameters. */
#pragma once

#include <libgimp/gimp.h>
#include <libgimp/gimpui.h>

#include "engine/job/job.h"

G_BEGIN_DECLS

/*
 * Shows the dialog until it is confirmed or dismissed; `config` then has what was chosen. What the job is
 * about comes first, with the procedure's arguments `extra` (NULL terminated) that no parameter
 * declares; what the world decides when left alone is in a frame of its own. `problem` (or NULL) is a
 * sentence on top: why the dialog is there again.
 */
gboolean w2w_dialog_run (GimpProcedure       *procedure,
                         GimpProcedureConfig *config,
                         const W2wJob        *job,
                         const gchar * const *extra,
                         const gchar         *problem);

G_END_DECLS

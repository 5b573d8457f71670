/* SPDX-License-Identifier: GPL-3.0-or-later */
/* GIMP's own generated dialog for a job, laid out from its table of parameters. */
#pragma once

#include <libgimp/gimp.h>
#include <libgimp/gimpui.h>

#include "engine/job/job.h"

G_BEGIN_DECLS

typedef struct
{
  const W2wJob         *job;
  const gchar * const  *extra;      /* arguments that no parameter declares; NULL terminated */
  const gchar          *layer;      /* the layer among them, with a chooser of its own, or NULL */
  const gchar          *layer_label;
  GimpItemConstraintFunc layer_fits; /* which ones there are to choose from */
  const gchar          *resume;     /* the switch among them that goes on from what was kept, or NULL */
  gchar              *(*find_kept)  (gpointer user_data); /* a sentence about that; NULL: nothing is */
  gpointer              user_data;
  const gchar          *problem;    /* why the dialog is there again, or NULL */
} W2wDialog;

/*
 * Shows the dialog until it is confirmed or dismissed; `config` then has what was chosen. What the job is
 * about comes first, with the procedure's arguments of its own; what the world decides when left alone
 * is in a frame. The switch that goes on is there only while something was kept for what is
 * chosen, and is on when that turns up.
 */
gboolean w2w_dialog_run (GimpProcedure       *procedure,
                         GimpProcedureConfig *config,
                         const W2wDialog     *dialog);

G_END_DECLS

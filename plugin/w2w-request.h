/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A call's way from its arguments to the worker's answer: what the job takes from the layer is
 * collected, the worker is asked, progress goes to GIMP.
 */
#pragma once

#include <libgimp/gimp.h>

#include "engine/job/job.h"
#include "w2w-source.h"

G_BEGIN_DECLS

/* Arguments of the plug-in's own, beside the job's parameters, where w2w_request_declare() has them. */
#define W2W_BASE_MODEL     "base-model"     /* leave the layer's identity out */
#define W2W_IDENTITY_LAYER "identity-layer" /* the layer whose identity it is; none: the picture's */
#define W2W_RESUME         "resume"         /* go on from what a cancelled call had found */

typedef struct
{
  const W2wJob        *job;
  GimpImage           *image;     /* NULL: none is open */
  GimpDrawable       **drawables;
  GimpProcedureConfig *config;
  W2wSource           *source;    /* NULL: the job takes no pixels */
} W2wRequest;

/* Does the job start from nothing, so that no image need be open? */
gboolean    w2w_request_starts_from_nothing (const W2wJob  *job);

/* Does it work on the layer's pixels? */
gboolean    w2w_request_takes_pixels        (const W2wJob  *job);

/* The arguments of our own that the job has: NULL terminated, into `names` of 4. */
void        w2w_request_list_arguments      (const W2wJob  *job,
                                             const gchar  **names);
void        w2w_request_declare             (GimpProcedure *procedure,
                                             const W2wJob  *job);

/* With job, image, drawables and config set: reads the layer. W2W_ERROR_USAGE for a wrong one. */
gboolean    w2w_request_read_layer          (W2wRequest    *request,
                                             GError       **error);
void        w2w_request_clear               (W2wRequest    *request);

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (W2wRequest, w2w_request_clear)

/* May the identity be another layer's? And can it be this one's? */
gboolean    w2w_request_has_identity_layer  (const W2wJob  *job);
gboolean    w2w_request_item_has_identity   (GimpImage     *image,
                                             GimpItem      *item,
                                             gpointer       unused);

/*
 * Chooses the layer whose identity it is where none is chosen: the picture's own, else the first from
 * above that has one.
 */
void        w2w_request_suggest_identity    (W2wRequest    *request);

/*
 * What the worker still has of a cancelled call about the same: a sentence about it, or NULL.
 */
gchar     * w2w_request_find_kept           (W2wRequest    *request);

/* W2wJobResult, in their order. W2W_ERROR_USAGE where the user can put it right. */
GPtrArray * w2w_request_run                 (W2wRequest    *request,
                                             GError       **error);

/* Without the model, before a dialog: is there an identity where the layer has to carry one? */
gboolean    w2w_request_check_identity      (W2wRequest    *request,
                                             GError       **error);

G_END_DECLS

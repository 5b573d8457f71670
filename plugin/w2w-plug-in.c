/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The GIMP plug-in: one procedure per job that w2w_job_is_shown(), plug-in-w2w-<job>, under Filters ▸ Weights2Weights.
 *
 * A call lives as long as its job: it collects arguments, asks the worker, and writes layers once
 * everything has arrived, in one undo group. Cancelled or failed, the image is as it was.
 */
#include <string.h>

#include <libgimp/gimp.h>
#include <libgimp/gimpui.h>
#include <gegl.h>
#include <glib/gi18n.h>

#include "engine/error.h"
#include "w2w-arguments.h"
#include "w2w-dialog.h"
#include "w2w-layers.h"
#include "w2w-request.h"

#define MENU_PATH        "<Image>/Filters/_Weights2Weights"
#define PROCEDURE_PREFIX "plug-in-w2w-"
#define PLUG_IN_BINARY   "w2w"

/* Added to the help of a job that goes on from what it had found. */
#define KEPT_HELP \
  N_("What a cancelled call had found is kept for the next one only as long as the worker runs: until " \
     "ten minutes have passed without a call, or GIMP is closed.")

struct _W2wPlugIn
{
  GimpPlugIn parent_instance;
};

#define W2W_TYPE_PLUG_IN (w2w_plug_in_get_type ())
G_DECLARE_FINAL_TYPE (W2wPlugIn, w2w_plug_in, W2W, PLUG_IN, GimpPlugIn)

static GList          * w2w_query_procedures (GimpPlugIn          *plug_in);
static GimpProcedure  * w2w_create_procedure (GimpPlugIn          *plug_in,
                                              const gchar         *name);
static GimpValueArray * w2w_run              (GimpProcedure       *procedure,
                                              GimpRunMode          run_mode,
                                              GimpImage           *image,
                                              GimpDrawable       **drawables,
                                              GimpProcedureConfig *config,
                                              gpointer             run_data);

G_DEFINE_TYPE (W2wPlugIn, w2w_plug_in, GIMP_TYPE_PLUG_IN)

GIMP_MAIN (W2W_TYPE_PLUG_IN)

static void
w2w_plug_in_class_init (W2wPlugInClass *klass)
{
  GimpPlugInClass *plug_in_class = GIMP_PLUG_IN_CLASS (klass);

  plug_in_class->query_procedures = w2w_query_procedures;
  plug_in_class->create_procedure = w2w_create_procedure;
  plug_in_class->set_i18n         = NULL; /* no translations are installed: GIMP would miss them aloud */
}

static void
w2w_plug_in_init (W2wPlugIn *self)
{
}

/* --- declarations --- */

static GList *
w2w_query_procedures (GimpPlugIn *plug_in)
{
  GList *names = NULL;

  for (gint i = 0; w2w_jobs[i] != NULL; i++)
    if (w2w_job_is_shown (w2w_jobs[i]))
      names = g_list_append (names, g_strconcat (PROCEDURE_PREFIX, w2w_jobs[i]->name, NULL));

  return names;
}

static GimpProcedure *
w2w_create_procedure (GimpPlugIn  *plug_in,
                      const gchar *name)
{
  g_autofree gchar *help = NULL;
  const W2wJob     *job;
  GimpProcedure    *procedure;

  if (! g_str_has_prefix (name, PROCEDURE_PREFIX))
    return NULL;
  job = w2w_job_lookup (name + strlen (PROCEDURE_PREFIX));
  if (job == NULL || ! w2w_job_is_shown (job))
    return NULL;

  procedure = gimp_image_procedure_new (plug_in, name, GIMP_PDB_PROC_TYPE_PLUGIN, w2w_run,
                                        (gpointer) job, NULL);
  gimp_procedure_set_image_types (procedure, "RGB*, GRAY*");
  if (w2w_request_starts_from_nothing (job))
    gimp_procedure_set_sensitivity_mask (procedure,
                                         GIMP_PROCEDURE_SENSITIVE_DRAWABLE |
                                         GIMP_PROCEDURE_SENSITIVE_DRAWABLES |
                                         GIMP_PROCEDURE_SENSITIVE_NO_DRAWABLES |
                                         GIMP_PROCEDURE_SENSITIVE_NO_IMAGE);
  else
    gimp_procedure_set_sensitivity_mask (procedure, GIMP_PROCEDURE_SENSITIVE_DRAWABLE);
  gimp_procedure_set_menu_label (procedure, _(job->label));
  gimp_procedure_add_menu_path (procedure, MENU_PATH);
  help = job->resumes_from != NULL ? g_strconcat (_(job->help), " ", _(KEPT_HELP), NULL)
                                   : g_strdup (_(job->help));
  gimp_procedure_set_documentation (procedure, _(job->blurb), help, name);
  gimp_procedure_set_attribution (procedure, "The authors of Weights2Weights for GIMP",
                                  "The authors of Weights2Weights for GIMP", "2026");

  w2w_arguments_declare (procedure, job);
  w2w_request_declare (procedure, job);
  if (w2w_request_starts_from_nothing (job))
    {
      gimp_procedure_add_image_return_value (procedure, "new-image", _("Image"),
                                             _("The image that the layers are in"), FALSE,
                                             G_PARAM_READWRITE);
      gimp_procedure_add_core_object_array_return_value (procedure, "new-layers", _("New layers"),
                                                         _("The layers, first to last"),
                                                         GIMP_TYPE_LAYER, G_PARAM_READWRITE);
    }
  else
    {
      gimp_procedure_add_layer_return_value (procedure, "new-layer", _("New layer"),
                                             _("The layer with the picture"), FALSE,
                                             G_PARAM_READWRITE);
    }

  return procedure;
}

/* --- running --- */

/*
 * A new image of the first picture's size, where none is open. Its undo is disabled: its layers are
 * where its history begins.
 */
static GimpImage *
make_image (GPtrArray *results)
{
  const W2wJobResult *first = g_ptr_array_index (results, 0);
  GimpImage          *image = gimp_image_new ((gint) first->picture->width,
                                              (gint) first->picture->height, GIMP_RGB);

  gimp_image_undo_disable (image);

  return image;
}

/* Does the job leave it to us to put its region into the picture? */
static gboolean
makes_regions (const W2wJob *job)
{
  return w2w_parameter_lookup (job->parameters, job->n_parameters, W2W_JOB_REGION_ONLY) != NULL;
}

/* Named after the layer that it was made from, which the worker does not know. */
static void
name_after (GimpLayer    *original,
            W2wJobResult *result)
{
  g_autofree gchar *name  = gimp_item_get_name (GIMP_ITEM (original));
  gchar            *whole = g_strdup_printf ("%s: %s", name, result->name);

  g_free (result->name);
  result->name = whole;
}

/* All layers of a call, in one undo step; NULL terminated. */
static GimpLayer **
make_layers (W2wRequest *request,
             GPtrArray  *results,
             GError    **error)
{
  GimpLayer    **layers   = g_new0 (GimpLayer *, results->len + 1);
  GimpLayer     *above    = NULL;
  GimpLayer     *original = NULL;
  gboolean       done     = TRUE;

  /* It may have been removed meanwhile. */
  if (gimp_core_object_array_get_length ((GObject **) request->drawables) > 0
      && GIMP_IS_LAYER (request->drawables[0])
      && gimp_item_is_valid (GIMP_ITEM (request->drawables[0])))
    above = original = GIMP_LAYER (request->drawables[0]);
  gimp_image_undo_group_start (request->image);
  /* From below: the first is on top, over what the user had chosen. */
  for (guint i = results->len; i > 0 && done; i--)
    {
      W2wJobResult *result = g_ptr_array_index (results, i - 1);

      if (request->source != NULL && original != NULL)
        name_after (original, result);
      if (makes_regions (request->job))
        above = w2w_layer_new_from_region (request->image, original, request->source, result,
                                           error);
      else
        above = w2w_layer_new_from_result (request->image, above,
                                           request->source != NULL ? original : NULL, result,
                                           error);
      layers[i - 1] = above;
      done = above != NULL;
    }
  for (guint i = 0; i < results->len && ! done; i++)
    if (layers[i] != NULL)
      gimp_image_remove_layer (request->image, layers[i]);
  gimp_image_undo_group_end (request->image);
  if (! done)
    g_clear_pointer (&layers, g_free);

  return layers;
}

static void
tell_messages (GPtrArray *results)
{
  for (guint i = 0; i < results->len; i++)
    {
      const W2wJobResult *result = g_ptr_array_index (results, i);

      if (result->message != NULL)
        {
          g_autofree gchar *message = g_strdup_printf ("%s: %s", result->name, result->message);

          gimp_message (message);
        }
    }
}

static GimpValueArray *
fail (GimpProcedure *procedure,
      GError        *error)
{
  const GimpPDBStatusType status =
    g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED) ? GIMP_PDB_CANCEL
    : g_error_matches (error, W2W_ERROR, W2W_ERROR_USAGE)     ? GIMP_PDB_CALLING_ERROR
                                                              : GIMP_PDB_EXECUTION_ERROR;

  return gimp_procedure_new_return_values (procedure, status, error);
}

static gchar *
find_kept (gpointer request)
{
  return w2w_request_find_kept (request);
}

/* `problem`: what was wrong with the last answer, or NULL. */
static gboolean
ask (GimpProcedure *procedure,
     W2wRequest    *request,
     const GError  *problem)
{
  const gchar     *extra[4];
  const W2wDialog  dialog = {
    .job       = request->job,
    .extra     = extra,
    .layer     = w2w_request_has_identity_layer (request->job) ? W2W_IDENTITY_LAYER : NULL,
    .layer_label = _("Identit_y of layer"),
    .layer_fits  = w2w_request_item_has_identity,
    .resume    = request->job->resumes_from != NULL ? W2W_RESUME : NULL,
    .find_kept = find_kept,
    .user_data = request,
    .problem   = problem != NULL ? problem->message : NULL
  };

  w2w_request_list_arguments (request->job, extra);
  gimp_ui_init (PLUG_IN_BINARY);

  return w2w_dialog_run (procedure, request->config, &dialog);
}

/* Before the dialog: who chose the wrong layer should not have to fill it in. */
static gboolean
prepare (W2wRequest  *request,
         GimpRunMode  run_mode,
         GError     **error)
{
  if (request->image != NULL && gimp_image_get_base_type (request->image) == GIMP_INDEXED)
    {
      g_set_error_literal (error, W2W_ERROR, W2W_ERROR_USAGE,
                           _("The image is indexed. Convert it with Image ▸ Mode ▸ RGB first."));
      return FALSE;
    }
  if (! w2w_request_read_layer (request, error))
    return FALSE;
  if (makes_regions (request->job) && gimp_item_is_group (GIMP_ITEM (request->drawables[0])))
    {
      g_set_error_literal (error, W2W_ERROR, W2W_ERROR_USAGE,
                           _("A group of layers has no pixels that could be edited. Choose a layer "
                             "in it."));
      return FALSE;
    }
  if (run_mode == GIMP_RUN_NONINTERACTIVE)
    return TRUE;
  w2w_request_suggest_identity (request);

  return w2w_request_check_identity (request, error);
}

/* Results as they were asked for, with a dialog where there is somebody; NULL without an error:
 * dismissed. */
static GPtrArray *
get_results (GimpProcedure *procedure,
             W2wRequest    *request,
             GimpRunMode    run_mode,
             GError       **error)
{
  const gboolean   interactive = run_mode == GIMP_RUN_INTERACTIVE;
  g_autoptr (GError) problem   = NULL;
  GPtrArray       *results;

  /* Who mistyped gets the dialog back as it was. */
  do
    {
      if (interactive && ! ask (procedure, request, problem))
        return NULL;
      g_clear_error (&problem);
      results = w2w_request_run (request, &problem);
    }
  while (results == NULL && interactive
         && g_error_matches (problem, W2W_ERROR, W2W_ERROR_USAGE));
  if (results == NULL)
    g_propagate_error (error, g_steal_pointer (&problem));

  return results;
}

static GimpValueArray *
make_return_values (GimpProcedure    *procedure,
                    const W2wRequest *request,
                    GimpLayer       **layers)
{
  GimpValueArray *returned = gimp_procedure_new_return_values (procedure, GIMP_PDB_SUCCESS, NULL);

  if (w2w_request_starts_from_nothing (request->job))
    {
      GIMP_VALUES_SET_IMAGE (returned, 1, request->image);
      GIMP_VALUES_SET_CORE_OBJECT_ARRAY (returned, 2, (GObject **) layers);
    }
  else
    {
      GIMP_VALUES_SET_LAYER (returned, 1, layers[0]);
    }

  return returned;
}

static GimpValueArray *
w2w_run (GimpProcedure       *procedure,
         GimpRunMode          run_mode,
         GimpImage           *image,
         GimpDrawable       **drawables,
         GimpProcedureConfig *config,
         gpointer             run_data)
{
  g_auto (W2wRequest) request = { .job       = run_data,
                                  .image     = image,
                                  .drawables = drawables,
                                  .config    = config };
  g_autoptr (GPtrArray)  results = NULL;
  g_autofree GimpLayer **layers  = NULL;
  GError                *error   = NULL;

  gegl_init (NULL, NULL);
  if (! prepare (&request, run_mode, &error))
    return fail (procedure, error);
  results = get_results (procedure, &request, run_mode, &error);
  if (results == NULL)
    return error != NULL ? fail (procedure, error)
                         : gimp_procedure_new_return_values (procedure, GIMP_PDB_CANCEL, NULL);

  if (image == NULL)
    request.image = make_image (results);
  layers = make_layers (&request, results, &error);
  if (image == NULL && layers != NULL)
    gimp_image_undo_enable (request.image);
  else if (image == NULL)
    gimp_image_delete (request.image);
  if (layers == NULL)
    return fail (procedure, error);
  tell_messages (results);
  if (run_mode != GIMP_RUN_NONINTERACTIVE)
    {
      if (image == NULL)
        gimp_display_new (request.image);
      gimp_displays_flush ();
    }

  return make_return_values (procedure, &request, layers);
}

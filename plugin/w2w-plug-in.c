/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The GIMP plug-in: one procedure per job that w2w_job_is_shown(), plug-in-w2w-<job>, under Filters ▸ Weights2Weights.
 *
 * A call lives as long as its job: it collects arguments, asks the worker, and writes layers once
 * everything has arrived, in one undo group. Cancelled or failed, the image is as it was.
 */
#include <string.h>
#include <unistd.h>

#include <libgimp/gimp.h>
#include <libgimp/gimpui.h>
#include <gegl.h>
#include <glib/gi18n.h>

#include "client/client.h"
#include "engine/error.h"
#include "w2w-arguments.h"
#include "w2w-dialog.h"
#include "w2w-layers.h"

#define MENU_PATH        "<Image>/Filters/_Weights2Weights"
#define PROCEDURE_PREFIX "plug-in-w2w-"
#define PLUG_IN_BINARY   "w2w"

/* Render the base model although the layer carries an identity: the plug-in's only argument of its own. */
#define BASE_MODEL "base-model"

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

static const W2wParameter *
find_identity_parameter (const W2wJob *job)
{
  for (guint i = 0; i < job->n_parameters; i++)
    if (job->parameters[i].type == W2W_PARAMETER_IDENTITY)
      return &job->parameters[i];

  return NULL;
}

/* Does the job start from nothing, so that no image need be open? */
static gboolean
starts_from_nothing (const W2wJob *job)
{
  return find_identity_parameter (job) == NULL;
}

static gboolean
identity_is_optional (const W2wJob *job)
{
  const W2wParameter *identity = find_identity_parameter (job);

  return identity != NULL && ! (identity->flags & W2W_PARAMETER_REQUIRED);
}

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
  const W2wJob  *job;
  GimpProcedure *procedure;

  if (! g_str_has_prefix (name, PROCEDURE_PREFIX))
    return NULL;
  job = w2w_job_lookup (name + strlen (PROCEDURE_PREFIX));
  if (job == NULL || ! w2w_job_is_shown (job))
    return NULL;

  procedure = gimp_image_procedure_new (plug_in, name, GIMP_PDB_PROC_TYPE_PLUGIN, w2w_run,
                                        (gpointer) job, NULL);
  gimp_procedure_set_image_types (procedure, "RGB*, GRAY*");
  if (starts_from_nothing (job))
    gimp_procedure_set_sensitivity_mask (procedure,
                                         GIMP_PROCEDURE_SENSITIVE_DRAWABLE |
                                         GIMP_PROCEDURE_SENSITIVE_DRAWABLES |
                                         GIMP_PROCEDURE_SENSITIVE_NO_DRAWABLES |
                                         GIMP_PROCEDURE_SENSITIVE_NO_IMAGE);
  else
    gimp_procedure_set_sensitivity_mask (procedure, GIMP_PROCEDURE_SENSITIVE_DRAWABLE);
  gimp_procedure_set_menu_label (procedure, _(job->label));
  gimp_procedure_add_menu_path (procedure, MENU_PATH);
  gimp_procedure_set_documentation (procedure, _(job->blurb), _(job->help), name);
  gimp_procedure_set_attribution (procedure, "The authors of Weights2Weights for GIMP",
                                  "The authors of Weights2Weights for GIMP", "2026");

  w2w_arguments_declare (procedure, job);
  if (identity_is_optional (job))
    gimp_procedure_add_boolean_argument (procedure, BASE_MODEL, _("_Base model"),
                                         _("Leave the layer's identity out: what the model itself "
                                           "makes of the prompt."),
                                         FALSE, G_PARAM_READWRITE);
  if (starts_from_nothing (job))
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

static void
report_progress (gdouble      fraction,
                 const gchar *text,
                 gpointer     user_data)
{
  gimp_progress_set_text (text);
  gimp_progress_update (fraction);
}

static void
collect_result (W2wJobResult *result,
                gpointer      results)
{
  g_ptr_array_add (results, result);
}

/* An installation without a prefix of its own (a user's plug-in folder) has the worker beside us. */
static gchar *
find_worker (void)
{
  g_autofree gchar *self   = g_file_read_link ("/proc/self/exe", NULL);
  g_autofree gchar *folder = self != NULL ? g_path_get_dirname (self) : NULL;
  g_autofree gchar *worker = folder != NULL ? g_build_filename (folder, "w2w-worker", NULL) : NULL;

  return worker != NULL && g_file_test (worker, G_FILE_TEST_IS_EXECUTABLE)
           ? g_steal_pointer (&worker) : NULL;
}

static GPtrArray *
run_job (const W2wJob    *job,
         const W2wValues *values,
         GError         **error)
{
  g_autoptr (GPtrArray) results = NULL;
  g_autoptr (W2wClient) client  = NULL;
  g_autofree gchar     *worker  = find_worker ();
  const W2wClientOptions options = { .worker_path = worker, .parent_pid = getppid () };
  const W2wProgress      progress = { .func = report_progress };

  results = g_ptr_array_new_with_free_func ((GDestroyNotify) w2w_job_result_free);
  client = w2w_client_connect (&options, error);
  if (client == NULL
      || ! w2w_client_run (client, job->name, w2w_values_to_variant (values), collect_result,
                           results, &progress, error))
    return NULL;

  /* A layer is made of a picture; a job that is shown makes one each, unless a switch says no. */
  for (guint i = 0; i < results->len; i++)
    {
      const W2wJobResult *result = g_ptr_array_index (results, i);

      if (result->picture == NULL)
        {
          g_set_error (error, W2W_ERROR, W2W_ERROR_USAGE,
                       _("“%s” has no picture to make a layer of."),
                       result->name != NULL ? result->name : job->name);
          return NULL;
        }
    }

  return g_steal_pointer (&results);
}

/* The identity of the layer that the job starts from: NULL and no error where none is asked for. */
static gboolean
find_identity (const W2wJob        *job,
               GimpDrawable       **drawables,
               GimpProcedureConfig *config,
               GBytes             **identity,
               GError             **error)
{
  gboolean base_model = FALSE;

  *identity = NULL;
  if (find_identity_parameter (job) == NULL)
    return TRUE;
  if (gimp_core_object_array_get_length ((GObject **) drawables) != 1)
    {
      g_set_error_literal (error, W2W_ERROR, W2W_ERROR_USAGE, _("Choose one layer."));
      return FALSE;
    }
  if (identity_is_optional (job))
    g_object_get (config, BASE_MODEL, &base_model, NULL);
  if (base_model)
    return TRUE;
  *identity = w2w_layer_get_identity (GIMP_ITEM (drawables[0]));
  if (*identity == NULL)
    {
      g_autofree gchar *name = gimp_item_get_name (GIMP_ITEM (drawables[0]));

      g_set_error (error, W2W_ERROR, W2W_ERROR_USAGE,
                   identity_is_optional (job)
                     ? _("The layer “%s” carries no identity. Choose a layer that Weights2Weights "
                         "made, or the base model.")
                     : _("The layer “%s” carries no identity. Choose a layer that Weights2Weights "
                         "made, or make one with Filters ▸ Weights2Weights ▸ Sample Identities."),
                   name);
      return FALSE;
    }

  return TRUE;
}

/* From the arguments to the worker's answer. */
static GPtrArray *
make_results (const W2wJob        *job,
              GimpDrawable       **drawables,
              GimpProcedureConfig *config,
              GError             **error)
{
  g_autoptr (GBytes)    identity = NULL;
  g_autoptr (W2wValues) values   = NULL;
  GPtrArray            *results;

  if (! find_identity (job, drawables, config, &identity, error))
    return NULL;
  values = w2w_arguments_collect (config, job, identity, error);
  if (values == NULL)
    return NULL;
  gimp_progress_init (_("Starting Weights2Weights"));
  results = run_job (job, values, error);
  gimp_progress_end ();

  return results;
}

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

/* All layers of a call, in one undo step; NULL terminated. */
static GimpLayer **
make_layers (GimpImage     *image,
             GimpDrawable **drawables,
             GPtrArray     *results,
             GError       **error)
{
  GimpLayer **layers = g_new0 (GimpLayer *, results->len + 1);
  GimpLayer  *above  = NULL;
  gboolean    done   = TRUE;

  if (gimp_core_object_array_get_length ((GObject **) drawables) > 0 && GIMP_IS_LAYER (drawables[0]))
    above = GIMP_LAYER (drawables[0]);
  gimp_image_undo_group_start (image);
  /* From below: the first is on top, over what the user had chosen. */
  for (guint i = results->len; i > 0 && done; i--)
    {
      above = w2w_layer_new_from_result (image, above, g_ptr_array_index (results, i - 1), error);
      layers[i - 1] = above;
      done = above != NULL;
    }
  for (guint i = 0; i < results->len && ! done; i++)
    if (layers[i] != NULL)
      gimp_image_remove_layer (image, layers[i]);
  gimp_image_undo_group_end (image);
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

/* `problem`: what was wrong with the last answer, or NULL. */
static gboolean
ask (GimpProcedure       *procedure,
     GimpProcedureConfig *config,
     const W2wJob        *job,
     const GError        *problem)
{
  const gchar * const extra[] = { identity_is_optional (job) ? BASE_MODEL : NULL, NULL };

  gimp_ui_init (PLUG_IN_BINARY);

  return w2w_dialog_run (procedure, config, job, extra, problem != NULL ? problem->message : NULL);
}

static GimpValueArray *
w2w_run (GimpProcedure       *procedure,
         GimpRunMode          run_mode,
         GimpImage           *image,
         GimpDrawable       **drawables,
         GimpProcedureConfig *config,
         gpointer             run_data)
{
  const W2wJob          *job         = run_data;
  g_autoptr (GBytes)     identity    = NULL;
  g_autoptr (GPtrArray)  results     = NULL;
  g_autofree GimpLayer **layers      = NULL;
  GError                *error       = NULL;
  const gboolean         is_new      = image == NULL;
  const gboolean         interactive = run_mode == GIMP_RUN_INTERACTIVE;
  GimpValueArray        *returned;

  gegl_init (NULL, NULL);
  if (image != NULL && gimp_image_get_base_type (image) == GIMP_INDEXED)
    {
      g_set_error_literal (&error, W2W_ERROR, W2W_ERROR_USAGE,
                           _("The image is indexed. Convert it with Image ▸ Mode ▸ RGB first."));
      return fail (procedure, error);
    }
  /* Before the dialog: who chose the wrong layer should not have to fill it in. */
  if (interactive && ! identity_is_optional (job)
      && ! find_identity (job, drawables, config, &identity, &error))
    return fail (procedure, error);
  /* Who mistyped gets the dialog back as it was. */
  do
    {
      if (interactive && ! ask (procedure, config, job, error))
        {
          g_clear_error (&error);
          return gimp_procedure_new_return_values (procedure, GIMP_PDB_CANCEL, NULL);
        }
      g_clear_error (&error);
      results = make_results (job, drawables, config, &error);
    }
  while (results == NULL && interactive && g_error_matches (error, W2W_ERROR, W2W_ERROR_USAGE));
  if (results == NULL)
    return fail (procedure, error);

  if (is_new)
    image = make_image (results);
  layers = make_layers (image, drawables, results, &error);
  if (is_new && layers != NULL)
    gimp_image_undo_enable (image);
  else if (is_new)
    gimp_image_delete (image);
  if (layers == NULL)
    return fail (procedure, error);
  tell_messages (results);
  if (run_mode != GIMP_RUN_NONINTERACTIVE)
    {
      if (is_new)
        gimp_display_new (image);
      gimp_displays_flush ();
    }

  returned = gimp_procedure_new_return_values (procedure, GIMP_PDB_SUCCESS, NULL);
  if (starts_from_nothing (job))
    {
      GIMP_VALUES_SET_IMAGE (returned, 1, image);
      GIMP_VALUES_SET_CORE_OBJECT_ARRAY (returned, 2, (GObject **) layers);
    }
  else
    {
      GIMP_VALUES_SET_LAYER (returned, 1, layers[0]);
    }

  return returned;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* From the arguments to the worker's answer. */
#include "w2w-request.h"

#include <unistd.h>

#include <glib/gi18n.h>

#include "client/client.h"
#include "engine/error.h"
#include "w2w-arguments.h"
#include "w2w-layers.h"

/* --- what a job needs --- */

static const W2wParameter *
find_from_layer (const W2wJob     *job,
                 W2wParameterType  type)
{
  for (guint i = 0; i < job->n_parameters; i++)
    if (job->parameters[i].type == type && w2w_job_takes_from_layer (job, &job->parameters[i]))
      return &job->parameters[i];

  return NULL;
}

static gboolean
identity_is_optional (const W2wJob *job)
{
  const W2wParameter *identity = find_from_layer (job, W2W_PARAMETER_IDENTITY);

  return identity != NULL && ! (identity->flags & W2W_PARAMETER_REQUIRED);
}

gboolean
w2w_request_takes_pixels (const W2wJob *job)
{
  return find_from_layer (job, W2W_PARAMETER_PICTURE) != NULL;
}

gboolean
w2w_request_starts_from_nothing (const W2wJob *job)
{
  return find_from_layer (job, W2W_PARAMETER_IDENTITY) == NULL && ! w2w_request_takes_pixels (job);
}

/* Of a picture's layer, which may be a photograph: the identity may be another layer's. */
gboolean
w2w_request_has_identity_layer (const W2wJob *job)
{
  return find_from_layer (job, W2W_PARAMETER_IDENTITY) != NULL && w2w_request_takes_pixels (job);
}

void
w2w_request_list_arguments (const W2wJob  *job,
                            const gchar  **names)
{
  gint n = 0;

  if (w2w_request_has_identity_layer (job))
    names[n++] = W2W_IDENTITY_LAYER;
  if (identity_is_optional (job))
    names[n++] = W2W_BASE_MODEL;
  if (job->resumes_from != NULL)
    names[n++] = W2W_RESUME;
  names[n] = NULL;
}

void
w2w_request_declare (GimpProcedure *procedure,
                     const W2wJob  *job)
{
  if (w2w_request_has_identity_layer (job))
    gimp_procedure_add_layer_argument (procedure, W2W_IDENTITY_LAYER, _("Identit_y of layer"),
                                       _("The layer that carries the identity; none: the layer "
                                         "with the picture carries it itself."),
                                       TRUE, G_PARAM_READWRITE);
  if (identity_is_optional (job))
    gimp_procedure_add_boolean_argument (procedure, W2W_BASE_MODEL, _("_Base model"),
                                         _("Leave the layer's identity out: what the model itself "
                                           "makes of the prompt."),
                                         FALSE, G_PARAM_READWRITE);
  if (job->resumes_from != NULL)
    gimp_procedure_add_boolean_argument (procedure, W2W_RESUME,
                                         _("Go on _from what was found so far"),
                                         _("Begin with what a cancelled call on the same pixels and "
                                           "selection had found, if there was one, in this session "
                                           "of GIMP and not many minutes ago. Off, equal "
                                           "arguments give equal results."),
                                         FALSE, G_PARAM_READWRITE);
}

/* --- what it takes from the layer --- */

static gboolean
check_one_layer (const W2wRequest *request,
                 GError          **error)
{
  if (gimp_core_object_array_get_length ((GObject **) request->drawables) == 1)
    return TRUE;
  g_set_error_literal (error, W2W_ERROR, W2W_ERROR_USAGE, _("Choose one layer."));

  return FALSE;
}

gboolean
w2w_request_read_layer (W2wRequest *request,
                        GError    **error)
{
  if (! w2w_request_takes_pixels (request->job))
    return TRUE;
  if (! check_one_layer (request, error))
    return FALSE;
  request->source = w2w_source_new (request->drawables[0], error);

  return request->source != NULL;
}

void
w2w_request_clear (W2wRequest *request)
{
  g_clear_pointer (&request->source, w2w_source_free);
}

/* The layer that is asked for its identity. */
static GimpItem *
find_identity_layer (const W2wRequest *request)
{
  g_autoptr (GimpLayer) layer = NULL;

  if (w2w_request_has_identity_layer (request->job))
    g_object_get (request->config, W2W_IDENTITY_LAYER, &layer, NULL);

  return layer != NULL ? GIMP_ITEM (layer) : GIMP_ITEM (request->drawables[0]);
}

gboolean
w2w_request_item_has_identity (GimpImage *image,
                               GimpItem  *item,
                               gpointer   unused)
{
  GBytes  *identity = w2w_layer_get_identity (item);
  gboolean has      = identity != NULL;

  g_clear_pointer (&identity, g_bytes_unref);

  return has;
}

/* The topmost of these layers, or of those in a group of them, that carries one. */
static GimpItem *
find_layer_with_identity (GimpItem **items)
{
  for (gint i = 0; items != NULL && items[i] != NULL; i++)
    {
      GimpItem *found = NULL;

      if (w2w_request_item_has_identity (NULL, items[i], NULL))
        return items[i];
      if (gimp_item_is_group (items[i]))
        {
          g_autofree GimpItem **children = gimp_item_get_children (items[i]);

          found = find_layer_with_identity (children);
        }
      if (found != NULL)
        return found;
    }

  return NULL;
}

void
w2w_request_suggest_identity (W2wRequest *request)
{
  g_autoptr (GimpLayer)  chosen = NULL;
  g_autofree GimpLayer **layers = NULL;
  GimpItem              *found;

  if (! w2w_request_has_identity_layer (request->job))
    return;
  g_object_get (request->config, W2W_IDENTITY_LAYER, &chosen, NULL);
  if (chosen != NULL && gimp_item_is_valid (GIMP_ITEM (chosen))
      && w2w_request_item_has_identity (NULL, GIMP_ITEM (chosen), NULL))
    return;
  layers = gimp_image_get_layers (request->image);
  found  = GIMP_ITEM (request->drawables[0]);
  if (! w2w_request_item_has_identity (NULL, found, NULL))
    found = find_layer_with_identity ((GimpItem **) layers);
  g_object_set (request->config, W2W_IDENTITY_LAYER, found, NULL);
}

static void
set_no_identity_error (const W2wRequest *request,
                       GimpItem         *layer,
                       GError          **error)
{
  g_autofree gchar *name = gimp_item_get_name (layer);

  if (w2w_request_has_identity_layer (request->job))
    g_set_error (error, W2W_ERROR, W2W_ERROR_USAGE,
                 _("The layer “%s” carries no identity. Choose the layer that does, or make one "
                   "with Filters ▸ Weights2Weights ▸ Invert a Picture."), name);
  else if (identity_is_optional (request->job))
    g_set_error (error, W2W_ERROR, W2W_ERROR_USAGE,
                 _("The layer “%s” carries no identity. Choose a layer that Weights2Weights "
                   "made, or the base model."), name);
  else
    g_set_error (error, W2W_ERROR, W2W_ERROR_USAGE,
                 _("The layer “%s” carries no identity. Choose a layer that Weights2Weights "
                   "made, or make one with Filters ▸ Weights2Weights ▸ Sample Identities."), name);
}

/* NULL and no error where none is asked for. */
static gboolean
find_identity (const W2wRequest *request,
               GBytes          **identity,
               GError          **error)
{
  gboolean  base_model = FALSE;
  GimpItem *layer;

  *identity = NULL;
  if (find_from_layer (request->job, W2W_PARAMETER_IDENTITY) == NULL)
    return TRUE;
  if (! check_one_layer (request, error))
    return FALSE;
  if (identity_is_optional (request->job))
    g_object_get (request->config, W2W_BASE_MODEL, &base_model, NULL);
  if (base_model)
    return TRUE;
  layer     = find_identity_layer (request);
  *identity = w2w_layer_get_identity (layer);
  if (*identity == NULL)
    set_no_identity_error (request, layer, error);

  return *identity != NULL;
}

gboolean
w2w_request_check_identity (W2wRequest *request,
                            GError    **error)
{
  g_autoptr (GBytes) identity = NULL;

  /* The dialog has the rest to choose from. */
  if (identity_is_optional (request->job) || w2w_request_has_identity_layer (request->job))
    return TRUE;

  return find_identity (request, &identity, error);
}

/* --- the worker --- */

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

static W2wClient *
connect_to_worker (GError **error)
{
  g_autofree gchar      *worker  = find_worker ();
  const W2wClientOptions options = { .worker_path = worker, .parent_pid = getppid () };

  return w2w_client_connect (&options, error);
}

gchar *
w2w_request_find_kept (W2wRequest *request)
{
  const W2wArgumentFiles none   = { NULL };
  g_autoptr (W2wClient)  client = NULL;
  g_autoptr (W2wValues)  values = NULL;
  g_autofree gchar      *text   = NULL;
  gboolean               found  = FALSE;

  if (request->job->resumes_from == NULL || request->source == NULL)
    return NULL;
  /* Whatever is wrong here is told by the call itself, if it is still wrong then. */
  values = w2w_arguments_collect (request->config, request->job, &none, NULL);
  client = values != NULL ? connect_to_worker (NULL) : NULL;
  if (client == NULL
      || ! w2w_client_find_kept (client, request->job->name, w2w_values_to_variant (values),
                                 request->source->subject, &found, &text, NULL)
      || ! found)
    return NULL;

  return *text != '\0' ? g_steal_pointer (&text) : g_strdup (_("An earlier call was cancelled."));
}

/* A layer is made of a picture; a job that is shown makes one each. */
static gboolean
check_pictures (const W2wJob *job,
                GPtrArray    *results,
                GError      **error)
{
  for (guint i = 0; i < results->len; i++)
    {
      const W2wJobResult *result = g_ptr_array_index (results, i);

      if (result->picture == NULL)
        {
          g_set_error (error, W2W_ERROR, W2W_ERROR_USAGE,
                       _("“%s” has no picture to make a layer of."),
                       result->name != NULL ? result->name : job->name);
          return FALSE;
        }
    }

  return TRUE;
}

static GPtrArray *
run_job (const W2wRequest *request,
         const W2wValues  *values,
         GError          **error)
{
  g_autoptr (GPtrArray) results  = NULL;
  g_autoptr (W2wClient) client   = connect_to_worker (error);
  const W2wProgress     progress = { .func = report_progress };
  const gchar          *subject  = request->source != NULL ? request->source->subject : NULL;
  gboolean              resume   = FALSE;

  if (request->job->resumes_from != NULL)
    g_object_get (request->config, W2W_RESUME, &resume, NULL);
  results = g_ptr_array_new_with_free_func ((GDestroyNotify) w2w_job_result_free);
  if (client == NULL
      || ! w2w_client_run_resumable (client, request->job->name, w2w_values_to_variant (values),
                                     subject, resume, collect_result, results, &progress, error)
      || ! check_pictures (request->job, results, error))
    return NULL;

  return g_steal_pointer (&results);
}

GPtrArray *
w2w_request_run (W2wRequest *request,
                 GError    **error)
{
  g_autoptr (GBytes)    identity = NULL;
  g_autoptr (W2wValues) values   = NULL;
  W2wArgumentFiles      files    = { NULL };
  GPtrArray            *results;

  if (! find_identity (request, &identity, error))
    return NULL;
  files.identity = identity;
  if (request->source != NULL)
    {
      files.image = request->source->image;
      files.mask  = request->source->mask;
    }
  values = w2w_arguments_collect (request->config, request->job, &files, error);
  if (values == NULL)
    return NULL;
  gimp_progress_init (_("Starting Weights2Weights"));
  results = run_job (request, values, error);
  gimp_progress_end ();

  return results;
}

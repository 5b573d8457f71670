/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * From W2wParameter to GIMP argument and back. GIMP's integers have 32 bits: a seed from a script
 * reaches as far as they do.
 */
#include "w2w-arguments.h"

#include <string.h>

#include <glib/gi18n.h>

static GimpChoice *
choice_new (const W2wParameter *parameter)
{
  GimpChoice *choice = gimp_choice_new ();

  for (gint i = 0; parameter->choices[i] != NULL; i++)
    {
      const gchar *label = parameter->choice_labels != NULL ? _(parameter->choice_labels[i])
                                                            : parameter->choices[i];

      gimp_choice_add (choice, parameter->choices[i], i, label, NULL);
    }

  return choice;
}

void
w2w_arguments_declare (GimpProcedure *procedure,
                       const W2wJob  *job)
{
  for (guint i = 0; i < job->n_parameters; i++)
    {
      const W2wParameter *parameter = &job->parameters[i];
      const gchar        *label     = _(parameter->label);
      const gchar        *blurb     = _(parameter->blurb);

      if (! w2w_job_shows_parameter (job, parameter))
        continue;
      switch (parameter->type)
        {
        case W2W_PARAMETER_INT:
        case W2W_PARAMETER_SEED:
          gimp_procedure_add_int_argument (procedure, parameter->name, label, blurb,
                                           (gint) parameter->minimum,
                                           (gint) MIN (parameter->maximum, G_MAXINT),
                                           (gint) parameter->number, G_PARAM_READWRITE);
          break;

        case W2W_PARAMETER_DOUBLE:
          gimp_procedure_add_double_argument (procedure, parameter->name, label, blurb,
                                              parameter->minimum, parameter->maximum,
                                              parameter->number, G_PARAM_READWRITE);
          break;

        case W2W_PARAMETER_CHOICE:
          gimp_procedure_add_choice_argument (procedure, parameter->name, label, blurb,
                                              choice_new (parameter), parameter->string,
                                              G_PARAM_READWRITE);
          break;

        case W2W_PARAMETER_STRING:
        case W2W_PARAMETER_EDITS:
          gimp_procedure_add_string_argument (procedure, parameter->name, label, blurb,
                                              parameter->string != NULL ? parameter->string : "",
                                              G_PARAM_READWRITE);
          break;

        case W2W_PARAMETER_SWITCH:
          gimp_procedure_add_boolean_argument (procedure, parameter->name, label, blurb,
                                               parameter->number != 0.0, G_PARAM_READWRITE);
          break;

        case W2W_PARAMETER_IDENTITY: /* a layer's */
        case W2W_PARAMETER_PICTURE:
        case W2W_PARAMETER_PATH:     /* not shown: w2w_job_shows_parameter() */
        case W2W_PARAMETER_IDENTITIES:
        case W2W_PARAMETER_LORAS:
        case W2W_PARAMETER_PICTURES:
          break;
        }
    }
}

/* One argument in the type that the wire has for it; NULL: not an argument. */
static GVariant *
get_variant (GimpProcedureConfig *config,
             const W2wParameter  *parameter)
{
  g_autofree gchar *string = NULL;
  gdouble           number;
  gboolean          on;
  gint              integer;

  switch (parameter->type)
    {
    case W2W_PARAMETER_INT:
      g_object_get (config, parameter->name, &integer, NULL);
      return g_variant_new_int32 (integer);

    case W2W_PARAMETER_SEED:
      g_object_get (config, parameter->name, &integer, NULL);
      return g_variant_new_int64 (integer);

    case W2W_PARAMETER_DOUBLE:
      g_object_get (config, parameter->name, &number, NULL);
      return g_variant_new_double (number);

    case W2W_PARAMETER_SWITCH:
      g_object_get (config, parameter->name, &on, NULL);
      return g_variant_new_boolean (on);

    case W2W_PARAMETER_STRING:
    case W2W_PARAMETER_EDITS:
    case W2W_PARAMETER_CHOICE:
      g_object_get (config, parameter->name, &string, NULL);
      return g_variant_new_string (string != NULL ? string : "");

    default:
      return NULL;
    }
}

/* The bytes that a layer gives for a parameter, or NULL. */
static GBytes *
find_file (const W2wParameter     *parameter,
           const W2wArgumentFiles *files)
{
  if (parameter->type == W2W_PARAMETER_IDENTITY)
    return files->identity;
  if (strcmp (parameter->name, W2W_JOB_MASK) == 0)
    return files->mask;

  return files->image;
}

static gboolean
set_files (W2wValues              *values,
           const W2wJob           *job,
           const W2wArgumentFiles *files,
           GError                **error)
{
  for (guint i = 0; i < job->n_parameters; i++)
    {
      const W2wParameter *parameter = &job->parameters[i];
      GBytes             *bytes;

      if (! w2w_job_takes_from_layer (job, parameter))
        continue;
      bytes = find_file (parameter, files);
      if (bytes != NULL && ! w2w_values_set_bytes (values, parameter->name, bytes, error))
        return FALSE;
    }

  return TRUE;
}

W2wValues *
w2w_arguments_collect (GimpProcedureConfig    *config,
                       const W2wJob           *job,
                       const W2wArgumentFiles *files,
                       GError                **error)
{
  g_autoptr (W2wValues) values     = w2w_values_new (job->parameters, job->n_parameters);
  g_autoptr (GVariant)  dictionary = NULL;
  GVariantBuilder       builder;

  g_variant_builder_init (&builder, G_VARIANT_TYPE_VARDICT);
  for (guint i = 0; i < job->n_parameters; i++)
    {
      const W2wParameter *parameter = &job->parameters[i];
      GVariant           *variant   = NULL;

      if (w2w_job_shows_parameter (job, parameter))
        variant = get_variant (config, parameter);
      else if (strcmp (parameter->name, W2W_JOB_REGION_ONLY) == 0)
        variant = g_variant_new_boolean (TRUE);
      if (variant != NULL)
        g_variant_builder_add (&builder, "{sv}", parameter->name, variant);
    }
  dictionary = g_variant_ref_sink (g_variant_builder_end (&builder));
  if (! w2w_values_set_variant (values, dictionary, error)
      || ! set_files (values, job, files, error))
    return NULL;

  return g_steal_pointer (&values);
}

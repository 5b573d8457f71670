/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A widget for each parameter, chosen by its type alone: a job added to the table has its
 * dialog. GIMP restores the last values, and offers to save and load them.
 */
#include "w2w-dialog.h"

#include <string.h>

#include <glib/gi18n.h>

/* Wide enough for a sentence or a few edits. */
#define TEXT_WIDTH_CHARS 48

static void
set_up_entry (GimpProcedureDialog *dialog,
              const gchar         *name)
{
  GtkWidget *widget = gimp_procedure_dialog_get_widget (dialog, name, GIMP_TYPE_LABEL_ENTRY);
  GtkEntry  *entry  = GTK_ENTRY (gimp_label_entry_get_entry (GIMP_LABEL_ENTRY (widget)));

  gtk_entry_set_width_chars (entry, TEXT_WIDTH_CHARS);
  gtk_entry_set_activates_default (entry, TRUE);
}

/* A sentence below the argument before it; the id that stands for it in a box is appended. */
static GtkWidget *
add_note (GimpProcedureDialog *dialog,
          const gchar         *name,
          const gchar         *text,
          GPtrArray           *ids)
{
  gchar     *id    = g_strconcat (name, "-note", NULL);
  GtkWidget *label = gimp_procedure_dialog_get_label (dialog, id, text, FALSE, FALSE);

  gtk_label_set_xalign (GTK_LABEL (label), 0.0);
  gtk_label_set_line_wrap (GTK_LABEL (label), TRUE);
  gtk_label_set_max_width_chars (GTK_LABEL (label), TEXT_WIDTH_CHARS);
  gtk_style_context_add_class (gtk_widget_get_style_context (label), GTK_STYLE_CLASS_DIM_LABEL);
  g_ptr_array_add (ids, id);

  return label;
}

static void
new_seed (GtkButton *button,
          gpointer   config)
{
  g_object_set (config, g_object_get_data (G_OBJECT (button), "property"),
                g_random_int_range (0, G_MAXINT), NULL);
}

/* The number, and beside it a button for another one. */
static void
set_up_seed (GimpProcedureDialog *dialog,
             GimpProcedureConfig *config,
             const W2wParameter  *parameter)
{
  GtkWidget *labeled = gimp_procedure_dialog_get_widget (dialog, parameter->name,
                                                         GIMP_TYPE_LABEL_SPIN);
  GtkWidget *button  = gtk_button_new_with_mnemonic (_("R_andom Seed"));

  gtk_widget_set_tooltip_text (button, _("Choose a seed at random."));
  g_object_set_data (G_OBJECT (button), "property", (gpointer) parameter->name);
  g_signal_connect_object (button, "clicked", G_CALLBACK (new_seed), config, 0);
  gtk_grid_attach (GTK_GRID (labeled), button, 2, 0, 1, 1);
  gtk_widget_show (button);
}

/* Appends the ids of a parameter's widgets; they are in the same order in the dialog. */
static void
add_parameter (GimpProcedureDialog *dialog,
               GimpProcedureConfig *config,
               const W2wJob        *job,
               const W2wParameter  *parameter,
               GPtrArray           *ids)
{
  if (w2w_job_takes_from_layer (job, parameter) || ! w2w_job_shows_parameter (job, parameter))
    return; /* not an argument: w2w_arguments_declare() */

  g_ptr_array_add (ids, g_strdup (parameter->name));
  switch (parameter->type)
    {
    case W2W_PARAMETER_EDITS:
      set_up_entry (dialog, parameter->name);
      add_note (dialog, parameter->name, _(parameter->blurb), ids);
      break;

    case W2W_PARAMETER_STRING:
      set_up_entry (dialog, parameter->name);
      break;

    case W2W_PARAMETER_SEED:
      set_up_seed (dialog, config, parameter);
      break;

    case W2W_PARAMETER_DOUBLE:
      gimp_procedure_dialog_get_widget (dialog, parameter->name, GIMP_TYPE_SCALE_ENTRY);
      break;

    default:
      break;
    }
}

/* gimp_procedure_dialog_fill_box_list() copies the strings. */
static GtkWidget *
fill_box (GimpProcedureDialog *dialog,
          const gchar         *box_id,
          GPtrArray           *ids)
{
  g_autoptr (GList) list = NULL;

  for (guint i = 0; i < ids->len; i++)
    list = g_list_append (list, g_ptr_array_index (ids, i));

  return gimp_procedure_dialog_fill_box_list (dialog, box_id, list);
}

static void
show_problem (GimpProcedureDialog *dialog,
              const gchar         *problem)
{
  GtkWidget *box     = g_object_new (GIMP_TYPE_HINT_BOX,
                                     "icon-name", GIMP_ICON_DIALOG_WARNING,
                                     "hint",      problem,
                                     NULL);
  GtkBox    *content = GTK_BOX (gtk_dialog_get_content_area (GTK_DIALOG (dialog)));

  gtk_container_set_border_width (GTK_CONTAINER (box), 12);
  gtk_box_pack_start (content, box, FALSE, FALSE, 0);
  gtk_box_reorder_child (content, box, 0);
  gtk_widget_show (box);
}

/* The menu's words without what belongs to a menu. */
static gchar *
make_title (const W2wJob *job)
{
  gchar *title = gimp_strip_uline (_(job->label));

  if (g_str_has_suffix (title, "…"))
    title[strlen (title) - strlen ("…")] = '\0';

  return title;
}

static void
layer_chosen (GtkWidget *combo,
              gpointer   config)
{
  gint id;

  if (gimp_int_combo_box_get_active (GIMP_INT_COMBO_BOX (combo), &id))
    g_object_set (config, g_object_get_data (G_OBJECT (combo), "property"),
                  gimp_layer_get_by_id (id), NULL);
}

/* On top. GIMP's own chooser for such an argument has all layers of all images. */
static void
add_layer_chooser (GimpProcedureDialog *dialog,
                   GimpProcedureConfig *config,
                   const W2wDialog     *description)
{
  GtkBox    *content = GTK_BOX (gtk_dialog_get_content_area (GTK_DIALOG (dialog)));
  GtkWidget *box     = gtk_box_new (GTK_ORIENTATION_HORIZONTAL, 12);
  GtkWidget *label   = gtk_label_new_with_mnemonic (description->layer_label);
  GtkWidget *combo   = gimp_layer_combo_box_new (description->layer_fits, NULL, NULL);
  GimpLayer *chosen  = NULL;

  g_object_get (config, description->layer, &chosen, NULL);
  g_object_set_data (G_OBJECT (combo), "property", (gpointer) description->layer);
  gimp_int_combo_box_connect (GIMP_INT_COMBO_BOX (combo),
                              chosen != NULL ? gimp_item_get_id (GIMP_ITEM (chosen)) : -1,
                              G_CALLBACK (layer_chosen), config, NULL);
  g_clear_object (&chosen);
  gtk_label_set_mnemonic_widget (GTK_LABEL (label), combo);
  gtk_box_pack_start (GTK_BOX (box), label, FALSE, FALSE, 0);
  gtk_box_pack_start (GTK_BOX (box), combo, TRUE, TRUE, 0);
  gtk_box_pack_start (content, box, FALSE, FALSE, 0);
  gtk_box_reorder_child (content, box, 0);
  gtk_widget_show_all (box);
}

/* The offer to go on from what a cancelled call had found, and what it depends on. */
typedef struct
{
  GimpProcedureConfig *config;
  const W2wDialog     *dialog;
  GtkWidget           *check, *note;
  guint                asking; /* source: the worker is asked soon; 0: it was */
} Offer;

/* Milliseconds after the last change: who types a box types more of it. */
#define REST 400

static void
update_offer (Offer *offer)
{
  g_autofree gchar *text = offer->dialog->find_kept (offer->dialog->user_data);

  if ((text != NULL) != gtk_widget_get_visible (offer->check))
    g_object_set (offer->config, offer->dialog->resume, text != NULL, NULL);
  gtk_label_set_text (GTK_LABEL (offer->note), text != NULL ? text : "");
  gtk_widget_set_visible (offer->check, text != NULL);
  gtk_widget_set_visible (offer->note, text != NULL);
}

static gboolean
values_rest (gpointer offer)
{
  ((Offer *) offer)->asking = 0;
  update_offer (offer);

  return G_SOURCE_REMOVE;
}

/* Only what was sought in makes a difference. */
static void
config_changed (GObject    *config,
                GParamSpec *pspec,
                gpointer    offer)
{
  Offer *of = offer;

  if (! g_strv_contains (of->dialog->job->resumes_for, pspec->name))
    return;
  if (of->asking != 0)
    g_source_remove (of->asking);
  of->asking = g_timeout_add (REST, values_rest, of);
}

/* What was offered for other values than these does not count. */
static void
end_offer (Offer *offer)
{
  g_signal_handlers_disconnect_by_data (offer->config, offer);
  if (offer->asking == 0)
    return;
  g_source_remove (offer->asking);
  g_object_set (offer->config, offer->dialog->resume, FALSE, NULL);
}

static void
set_up_offer (GimpProcedureDialog *dialog,
              Offer               *offer,
              GPtrArray           *ids)
{
  const gchar *resume = offer->dialog->resume;

  offer->check = gimp_procedure_dialog_get_widget (dialog, resume, GTK_TYPE_CHECK_BUTTON);
  offer->note  = add_note (dialog, resume, "", ids);
}

gboolean
w2w_dialog_run (GimpProcedure       *procedure,
                GimpProcedureConfig *config,
                const W2wDialog     *description)
{
  const W2wJob          *job     = description->job;
  g_autoptr (GPtrArray)  subject = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (GPtrArray)  world   = g_ptr_array_new_with_free_func (g_free);
  g_autofree gchar      *title   = make_title (job);
  Offer                  offer   = { .config = config, .dialog = description };
  GtkWidget             *window;
  GimpProcedureDialog   *dialog;
  gboolean               confirmed;

  window = gimp_procedure_dialog_new (procedure, config, title);
  dialog = GIMP_PROCEDURE_DIALOG (window);
  for (gint i = 0; description->extra[i] != NULL; i++)
    {
      if (g_strcmp0 (description->extra[i], description->layer) == 0)
        continue;
      g_ptr_array_add (subject, g_strdup (description->extra[i]));
      if (g_strcmp0 (description->extra[i], description->resume) == 0)
        set_up_offer (dialog, &offer, subject);
    }
  for (guint i = 0; i < job->n_parameters; i++)
    add_parameter (dialog, config, job, &job->parameters[i],
                   job->parameters[i].flags & W2W_PARAMETER_FROM_WORLD ? world : subject);
  fill_box (dialog, "subject-box", subject);
  if (world->len > 0)
    {
      add_note (dialog, "world", _("What is 0 or empty is left to the world."), world);
      fill_box (dialog, "picture-box", world);
      gimp_procedure_dialog_get_label (dialog, "picture-title", _("Picture"), FALSE, FALSE);
      gimp_procedure_dialog_fill_frame (dialog, "picture-frame", "picture-title", FALSE,
                                        "picture-box");
      gimp_procedure_dialog_fill (dialog, "subject-box", "picture-frame", NULL);
    }
  else
    {
      gimp_procedure_dialog_fill (dialog, "subject-box", NULL);
    }
  if (description->layer != NULL)
    add_layer_chooser (dialog, config, description);
  if (description->problem != NULL)
    show_problem (dialog, description->problem);
  if (offer.check != NULL)
    {
      gtk_widget_set_visible (offer.check, FALSE);
      g_object_set (config, description->resume, FALSE, NULL);
      update_offer (&offer);
      g_signal_connect (config, "notify", G_CALLBACK (config_changed), &offer);
    }
  confirmed = gimp_procedure_dialog_run (dialog);
  end_offer (&offer);
  gtk_widget_destroy (window);

  return confirmed;
}

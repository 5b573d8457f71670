/* SPDX-License-Identifier: GPL-3.0-or-later */
/* export: an identity as the files of other programs. */
#include "engine/error.h"
#include "engine/formats/json_writer.h"
#include "engine/job/job.h"
#include "engine/job/recipe.h"
#include "engine/job/rendering.h"
#include "engine/memory.h"
#include "engine/w2w/lora_writer.h"
#include "engine/w2w/upstream_identity.h"

/* w2w_lora_format_names in their order, then what is no LoRA (a test compares them). */
static const char *const formats[] = {"peft", "diffusers", "kohya", "upstream", "w2wmodel", NULL};
static const char *const format_labels[] = {N_("PEFT (folder)"),
                                            N_("diffusers"),
                                            N_("kohya"),
                                            N_("weights2weights' LoRA (folder)"),
                                            N_("weights2weights' w2wmodel.pt"),
                                            NULL};

static const W2wParameter parameters[] = {
    {
        .name = "identity",
        .type = W2W_PARAMETER_IDENTITY,
        .flags = W2W_PARAMETER_REQUIRED,
        .label = N_("Identit_y"),
        .blurb = N_("The identity to export."),
    },
    {
        .name = "format",
        .type = W2W_PARAMETER_CHOICE,
        .string = "diffusers",
        .choices = formats,
        .choice_labels = format_labels,
        .label = N_("_Format"),
        .blurb = N_("Whose file it becomes: a LoRA for PEFT, diffusers, kohya's scripts (and what "
                    "reads theirs) or weights2weights (upstream), or its coefficients (w2wmodel)."),
    },
};

static gboolean check(W2wWorld *world, const W2wValues *values, GError **error)
{
    g_autoptr(W2wIdentity) identity = NULL;

    if (!w2w_values_check_required(values, error))
        return FALSE;
    identity = w2w_rendering_get_identity(world, values, "identity", error);
    return identity != NULL;
}

/* Takes `bytes`; FALSE where they are NULL. */
static gboolean add_file(GPtrArray *files, const char *name, GBytes *bytes)
{
    if (bytes == NULL)
        return FALSE;
    g_ptr_array_add(files, w2w_job_file_new(name, bytes));
    return TRUE;
}

static gboolean add_lora(GPtrArray *files, const W2wSpace *space, const W2wIdentity *identity,
                         W2wLoraFormat format, GError **error)
{
    const char *name = w2w_lora_writer_get_file_name(format);
    W2W_AUTO_ALIGNED float *theta = w2w_aligned_alloc(
        (gsize)w2w_space_get_n_weights(space), sizeof *theta, "an identity's weights", error);

    if (theta == NULL ||
        !w2w_space_unproject(space, identity->coefficients, identity->n_coefficients, theta, error))
        return FALSE;
    if (name != NULL)
        add_file(files, W2W_LORA_CONFIG_FILE, w2w_lora_writer_get_config(space));
    return add_file(files, name != NULL ? name : "",
                    w2w_lora_writer_get_tensors(space, theta, format, error));
}

static char *make_report(const W2wSpace *space, const W2wIdentity *identity, guint format)
{
    g_autoptr(JsonObject) report = json_object_new();
    guint n_keys;

    json_object_set_string_member(report, "format", formats[format]);
    json_object_set_int_member(report, "coefficients", identity->n_coefficients);
    if (w2w_lora_format_names[format] != NULL) {
        w2w_space_get_keys(space, &n_keys);
        json_object_set_int_member(report, "modules", n_keys / 2);
        json_object_set_int_member(report, "rank", 1);
        json_object_set_double_member(report, "scale", w2w_space_get_lora_scale(space));
    }
    return w2w_json_write_object(report);
}

static gboolean run(W2wPipeline *pipeline, const W2wValues *values, W2wJobResultFunc on_result,
                    gpointer user_data, const W2wProgress *progress, GError **error)
{
    W2wWorld *world = w2w_pipeline_get_world(pipeline);
    const W2wSpace *space = w2w_world_get_space(world);
    const guint format = w2w_values_get_choice(values, "format");
    g_autoptr(W2wIdentity) identity = NULL;
    g_autoptr(JsonObject) earlier = NULL;
    g_autoptr(W2wJobResult) result = g_new0(W2wJobResult, 1);

    if (!w2w_values_check_required(values, error))
        return FALSE;
    identity = w2w_rendering_get_identity(world, values, "identity", error);
    if (identity == NULL)
        return FALSE;
    result->files = g_ptr_array_new_with_free_func((GDestroyNotify)w2w_job_file_free);
    if (w2w_lora_format_names[format] != NULL
            ? !add_lora(result->files, space, identity, format, error)
            : !add_file(result->files, "", w2w_upstream_identity_to_bytes(identity, error)))
        return FALSE;
    earlier = w2w_recipe_of_identity(identity);
    result->name = w2w_recipe_get_name(earlier);
    result->report = make_report(space, identity, format);
    on_result(g_steal_pointer(&result), user_data);
    return TRUE;
}

const W2wJob w2w_export_job = {
    .name = "export",
    .label = N_("E_xport Identity…"),
    .blurb = N_("Write an identity as a LoRA for other programs."),
    .help = N_("Writes an identity as a LoRA of rank 1 that PEFT, diffusers and the programs that "
               "read kohya's files show as the same person on the same model, or as "
               "weights2weights' own coefficients."),
    .parameters = parameters,
    .n_parameters = G_N_ELEMENTS(parameters),
    .no_picture = TRUE,
    .check = check,
    .run = run,
};

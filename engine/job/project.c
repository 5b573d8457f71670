/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * project: a LoRA from elsewhere as an identity of the space, its picture, and a report of what
 * could not come along. weights2weights' own w2wmodel.pt is coefficients already and loses nothing.
 */
#include "engine/w2w/project.h"

#include <string.h>

#include "engine/error.h"
#include "engine/formats/json_writer.h"
#include "engine/job/job.h"
#include "engine/job/projection_report.h"
#include "engine/job/recipe.h"
#include "engine/job/rendering.h"
#include "engine/w2w/upstream_identity.h"

#define PARAMETER "lora-file"

/* Parts of a LoRA's norm: below the first nothing is said, above the second it is a warning. */
#define UNSEEN  0.01
#define SERIOUS 0.5

static const W2wParameter parameters[] = {
    {
        .name = PARAMETER,
        .type = W2W_PARAMETER_PATH,
        .flags = W2W_PARAMETER_REQUIRED,
        .label = N_("_LoRA"),
        .blurb = N_("The LoRA: a file or folder of PEFT, diffusers, kohya or weights2weights, or "
                    "a w2wmodel.pt."),
    },
    W2W_NO_PICTURE_PARAMETER,
    W2W_PICTURE_SEED_PARAMETER,
    W2W_RENDERING_PARAMETERS,
};

/* One of the two: what the file holds. */
typedef struct {
    W2wLora *lora;
    W2wIdentity *identity;
} Source;

static void source_clear(Source *source)
{
    g_clear_pointer(&source->lora, w2w_lora_free);
    g_clear_pointer(&source->identity, w2w_identity_free);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Source, source_clear)

static gboolean source_open(Source *source, W2wWorld *world, const W2wValues *values,
                            GError **error)
{
    const char *path;
    W2wSpace *space = w2w_world_get_space(world);
    gboolean is_identity;

    if (!w2w_values_check_required(values, error))
        return FALSE;
    if (space == NULL) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_USAGE,
                    "A LoRA can only be brought into a space, and a model alone has none: choose a "
                    "world, or add a space.");
        return FALSE;
    }
    path = w2w_values_get_string(values, PARAMETER);
    source->identity = w2w_upstream_identity_open(path, &is_identity, error);
    if (!is_identity) {
        source->lora = w2w_lora_open(path, error);
        return source->lora != NULL;
    }
    return source->identity != NULL && w2w_identity_check(source->identity, space, path, error);
}

static gboolean check(W2wWorld *world, const W2wValues *values, GError **error)
{
    g_auto(Source) source = {0};

    return source_open(&source, world, values, error) && w2w_rendering_check(world, values, error);
}

/* "down_blocks.0.attentions.1…" and its like elsewhere: "down_blocks.*.attentions.*…" */
static char *make_kind(const char *path)
{
    g_auto(GStrv) words = g_strsplit(path, ".", -1);

    for (char **word = words; *word != NULL; word++)
        if (g_ascii_isdigit(**word))
            strcpy(*word, "*");
    return g_strjoinv(".", words);
}

/* Modules by their kind, each with how many there are, in the file's order. */
static JsonArray *count_kinds(const GPtrArray *paths)
{
    g_autoptr(GHashTable) kinds = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    JsonArray *array = json_array_new();

    for (guint i = 0; i < paths->len; i++) {
        g_autofree char *kind = make_kind(paths->pdata[i]);
        JsonObject *row = g_hash_table_lookup(kinds, kind);

        if (row == NULL) {
            row = json_object_new();
            json_object_set_string_member(row, "modules", kind);
            json_object_set_int_member(row, "count", 0);
            json_array_add_object_element(array, row);
            g_hash_table_insert(kinds, g_steal_pointer(&kind), row);
        }
        json_object_set_int_member(row, "count", json_object_get_int_member(row, "count") + 1);
    }
    return array;
}

static void report_projection(const W2wLora *lora, const W2wProjection *projection,
                              JsonObject *report)
{
    guint highest = 0;

    for (guint i = 0; i < lora->modules->len; i++)
        highest = MAX(highest, ((const W2wLoraModule *)lora->modules->pdata[i])->rank);
    json_object_set_int_member(report, "highest_rank", highest);
    json_object_set_int_member(report, "modules", projection->n_modules);
    w2w_report_percent(report, "percent_lost_to_other_modules", projection->outside_part);
    w2w_report_percent(report, "percent_lost_to_rank_1", projection->rank_lost);
    w2w_projection_report(projection, report);
    if (projection->outside->len > 0)
        json_object_set_array_member(report, "modules_that_the_space_has_not",
                                     count_kinds(projection->outside));
    if (projection->missing->len > 0)
        json_object_set_array_member(report, "modules_that_the_file_has_not",
                                     count_kinds(projection->missing));
}

static void warn_of_projection(const W2wProjection *projection, char **message)
{
    if (projection->outside_part > UNSEEN)
        w2w_message_append(message,
                           "%.0f %% of the LoRA are in modules that the space is not about.",
                           100.0 * projection->outside_part);
    if (projection->rank_lost > UNSEEN)
        w2w_message_append(message, "%.0f %% of it are lost because the space has rank 1.",
                           100.0 * projection->rank_lost);
    if (projection->missing->len > 0)
        w2w_message_append(message, "%u modules of the space are not in it, and stay unchanged.",
                           projection->missing->len);
    if (projection->product_lost > SERIOUS)
        w2w_message_append(message,
                           "The space cannot express most of what is left: the person will hardly "
                           "be the LoRA's. Rendering with the LoRA beside an identity keeps all "
                           "of it.");
}

/* The identity of what was opened; takes the source's own where it is one. */
static W2wIdentity *make_identity(Source *source, W2wSpace *space, JsonObject *report,
                                  char **message, GError **error)
{
    g_autoptr(W2wIdentity) identity = g_steal_pointer(&source->identity);
    g_auto(W2wProjection) projection = {0};

    if (identity != NULL) {
        json_object_set_string_member(report, "format", "w2wmodel");
        w2w_message_append(message, "The file does not say which space it belongs to: it was taken "
                                    "for one of this world's.");
    } else {
        json_object_set_string_member(report, "format",
                                      w2w_lora_format_names[source->lora->format]);
        identity = w2w_identity_new(w2w_space_get_n_components(space), error);
        if (identity == NULL ||
            !w2w_project_lora(space, source->lora, identity->coefficients, &projection, error))
            return NULL;
        report_projection(source->lora, &projection, report);
        warn_of_projection(&projection, message);
    }
    json_object_set_int_member(report, "coefficients", identity->n_coefficients);
    return g_steal_pointer(&identity);
}

/* "sks" of /somewhere/sks.safetensors */
static char *make_name(const char *path)
{
    g_autofree char *base = g_path_get_basename(path);
    char *name = g_filename_display_name(base), *dot = strrchr(name, '.');

    if (dot != NULL && dot != name)
        *dot = 0;
    return name;
}

static gboolean run(W2wPipeline *pipeline, const W2wValues *values, W2wJobResultFunc on_result,
                    gpointer user_data, const W2wProgress *progress, GError **error)
{
    W2wWorld *world = w2w_pipeline_get_world(pipeline);
    g_auto(Source) source = {0};
    g_autoptr(W2wIdentity) identity = NULL;
    g_autoptr(JsonObject) report = json_object_new();
    g_autoptr(JsonObject) recipe = NULL;
    g_autoptr(W2wJobResult) result = NULL;
    g_autofree char *message = NULL, *name = NULL, *base = NULL, *shown = NULL;
    const char *path;
    guint64 seed;

    if (!source_open(&source, world, values, error))
        return FALSE;
    path = w2w_values_get_string(values, PARAMETER);
    name = make_name(path);
    base = g_path_get_basename(path); /* where it lay is nobody's business */
    shown = g_filename_display_name(base);
    json_object_set_string_member(report, "source", shown);
    identity = make_identity(&source, w2w_world_get_space(world), report, &message, error);
    if (identity == NULL)
        return FALSE;
    seed = w2w_rendering_get_seed(values, NULL);
    recipe = w2w_recipe_new(w2w_project_job.name, pipeline, seed, NULL);
    json_object_set_string_member(recipe, "name", name);
    json_object_set_string_member(recipe, PARAMETER, shown);
    result = w2w_rendering_make_result(pipeline, values, &w2w_project_job, identity, recipe, seed,
                                       progress, error);
    if (result == NULL)
        return FALSE;
    if (message != NULL)
        w2w_message_append(&result->message, "%s", message);
    result->report = w2w_json_write_object(report);
    on_result(g_steal_pointer(&result), user_data);
    return TRUE;
}

const W2wJob w2w_project_job = {
    .name = "project",
    .label = N_("_Project LoRA…"),
    .blurb = N_("Bring a LoRA from elsewhere into the space, as an identity."),
    .help = N_("Finds the identity of the space that is nearest to a LoRA that another program "
               "made, and says how much of it the space could not take over. A LoRA that was made "
               "from an identity of the same space comes back as that identity."),
    .parameters = parameters,
    .n_parameters = G_N_ELEMENTS(parameters),
    .argument = PARAMETER,
    .check = check,
    .run = run,
};

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* From a job's values to a picture's settings. */
#include "engine/job/rendering.h"

#include <string.h>

#include "engine/error.h"
#include "engine/formats/png.h"
#include "engine/job/parameter_value.h"
#include "engine/job/recipe.h"
#include "engine/models/model_parts.h"
#include "engine/w2w/lora_file.h"

const char *const w2w_rendering_schedulers[] = {
    "world", "pndm", "ddim", "euler", "dpmpp-2m", "dpmpp-2m-karras", NULL,
};
const char *const w2w_rendering_scheduler_labels[] = {
    N_("The world's own"),        N_("PNDM"), N_("DDIM"), N_("Euler"), N_("DPM-Solver++ 2M"),
    N_("DPM-Solver++ 2M Karras"), NULL,
};

const char *const w2w_rendering_generator_labels[] = {N_("Processor"), N_("Graphics card (CUDA)"),
                                                      NULL};

static gboolean check_space(W2wWorld *world, GError **error)
{
    if (w2w_world_get_space(world) != NULL)
        return TRUE;
    g_set_error(error, W2W_ERROR, W2W_ERROR_USAGE,
                "An identity needs the space that it lies in, and a model alone has none: choose "
                "a world, or add a space.");
    return FALSE;
}

static W2wIdentity *read_identity(W2wWorld *world, GBytes *bytes, const char *shown, GError **error)
{
    g_autoptr(W2wIdentity) identity = w2w_identity_from_bytes(bytes, shown, error);

    if (identity == NULL || !w2w_identity_check(identity, w2w_world_get_space(world), shown, error))
        return NULL;
    return g_steal_pointer(&identity);
}

W2wIdentity *w2w_rendering_get_identity(W2wWorld *world, const W2wValues *values, const char *name,
                                        GError **error)
{
    GBytes *bytes = w2w_values_get_bytes(values, name);
    g_autofree char *words = g_strdelimit(g_strdup(name), "-", ' ');
    g_autofree char *shown = g_strconcat("The ", words, NULL);

    if (bytes == NULL) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_USAGE, "The parameter %s is missing.", name);
        return NULL;
    }
    return check_space(world, error) ? read_identity(world, bytes, shown, error) : NULL;
}

gboolean w2w_rendering_get_identities(W2wWorld *world, const W2wValues *values, const char *name,
                                      GPtrArray **identities, GArray **weights, GError **error)
{
    const guint n = w2w_values_get_n_items(values, name);
    g_autoptr(GPtrArray) read = g_ptr_array_new_with_free_func((GDestroyNotify)w2w_identity_free);
    g_autoptr(GArray) read_weights = g_array_new(FALSE, FALSE, sizeof(double));

    if (n > 0 && !check_space(world, error))
        return FALSE;
    for (guint i = 0; i < n; i++) {
        g_autofree char *shown = g_strdup_printf("Number %u of %s", i + 1, name);
        double weight;
        GBytes *bytes = w2w_values_get_item(values, name, i, &weight);
        W2wIdentity *identity = read_identity(world, bytes, shown, error);

        if (identity == NULL)
            return FALSE;
        g_ptr_array_add(read, identity);
        g_array_append_val(read_weights, weight);
    }
    *identities = g_steal_pointer(&read);
    *weights = g_steal_pointer(&read_weights);
    return TRUE;
}

/* Of a world without a card: what the model's folder asks for, where we have it. */
static gboolean get_own_scheduler(const W2wWorld *world, W2wSchedulerKind *kind, char **message,
                                  GError **error)
{
    g_autofree char *path = w2w_model_scheduler_path(w2w_world_get_model_directory(world));
    GError *problem = NULL;

    if (w2w_scheduler_kind_from_file(path, kind, &problem))
        return TRUE;
    if (!g_error_matches(problem, W2W_ERROR, W2W_ERROR_UNSUPPORTED) &&
        !g_error_matches(problem, W2W_ERROR, W2W_ERROR_FORMAT)) {
        g_propagate_error(error, problem);
        return FALSE;
    }
    *kind = W2W_SCHEDULER_PNDM;
    w2w_message_append(message, "%s The scheduler %s is used instead.", problem->message,
                       w2w_scheduler_names[*kind]);
    g_error_free(problem);
    return TRUE;
}

/* 0 in the table is "world". */
static gboolean get_scheduler(const W2wWorld *world, const W2wValues *values,
                              W2wSchedulerKind *kind, char **message, GError **error)
{
    const W2wWorldCard *card = w2w_world_get_card(world);
    const guint choice = w2w_values_get_choice(values, "scheduler");
    g_autofree char *names = NULL;

    if (choice > 0) {
        *kind = choice - 1;
        return TRUE;
    }
    if (card->scheduler == NULL)
        return get_own_scheduler(world, kind, message, error);
    for (guint i = 0; w2w_scheduler_names[i] != NULL; i++)
        if (strcmp(w2w_scheduler_names[i], card->scheduler) == 0) {
            *kind = i;
            return TRUE;
        }
    names = g_strjoinv(", ", (char **)w2w_scheduler_names);
    g_set_error(error, W2W_ERROR, W2W_ERROR_UNSUPPORTED,
                "The world's card asks for the scheduler “%s”, which this program does not have; "
                "choose one of: %s.",
                card->scheduler, names);
    return FALSE;
}

static const char *text_or(const W2wValues *values, const char *name, const char *otherwise)
{
    const char *text = w2w_values_get_string(values, name);

    return *text != 0 ? text : otherwise != NULL ? otherwise : "";
}

static gint number_or(const W2wValues *values, const char *name, gint otherwise)
{
    const gint number = (gint)w2w_values_get_int(values, name);

    return number > 0 ? number : otherwise;
}

static gboolean read_picture(W2wRendering *rendering, const W2wValues *values, GError **error)
{
    GBytes *bytes = w2w_values_find_parameter(values, "init-image", NULL) != NULL
                        ? w2w_values_get_bytes(values, "init-image")
                        : NULL;

    if (bytes == NULL)
        return TRUE;
    rendering->init_picture = w2w_png_read_bytes(bytes, "The picture to start from", error);
    if (rendering->init_picture == NULL)
        return FALSE;
    rendering->init_fingerprint = g_compute_checksum_for_bytes(G_CHECKSUM_SHA256, bytes);
    rendering->options.init_picture = rendering->init_picture;
    rendering->options.strength = w2w_values_get_double(values, "strength");
    return TRUE;
}

static void take_loras(W2wRendering *rendering, const W2wValues *values)
{
    const guint n = w2w_values_get_n_items(values, "lora");

    rendering->loras = g_new0(W2wRenderLora, n);
    for (guint i = 0; i < n; i++) {
        W2wRenderLora *lora = &rendering->loras[i];

        lora->path =
            g_bytes_get_data(w2w_values_get_item(values, "lora", i, &lora->strength), NULL);
    }
    rendering->options.loras = rendering->loras;
    rendering->options.n_loras = n;
}

void w2w_rendering_clear(W2wRendering *rendering)
{
    g_clear_pointer(&rendering->init_picture, w2w_picture_free);
    g_free(rendering->init_fingerprint);
    g_free(rendering->loras);
    g_free(rendering->message);
    memset(rendering, 0, sizeof *rendering);
}

gboolean w2w_rendering_init(W2wRendering *rendering, W2wWorld *world, const W2wValues *values,
                            const W2wIdentity *identity, GError **error)
{
    const W2wWorldCard *card = w2w_world_get_card(world);
    const double guidance_scale = w2w_values_get_double(values, "guidance-scale");
    W2wRenderOptions *options = &rendering->options;

    memset(rendering, 0, sizeof *rendering);
    options->identity = identity;
    options->prompt =
        text_or(values, "prompt", identity != NULL ? card->instance_prompt : card->class_prompt);
    options->negative_prompt = text_or(values, "negative-prompt", card->negative_prompt);
    options->width = number_or(values, "width", card->width);
    options->height = number_or(values, "height", card->height);
    options->steps = number_or(values, "steps", card->steps);
    options->guidance_scale = guidance_scale > 0.0 ? guidance_scale : card->guidance_scale;
    options->generator = w2w_values_get_choice(values, "rng");
    take_loras(rendering, values);
    if (get_scheduler(world, values, &options->scheduler, &rendering->message, error) &&
        read_picture(rendering, values, error))
        return TRUE;
    w2w_rendering_clear(rendering);
    return FALSE;
}

gboolean w2w_rendering_init_of_world(W2wRendering *rendering, W2wWorld *world,
                                     const W2wIdentity *identity, GError **error)
{
    static const W2wParameter parameters[] = {W2W_RENDERING_PARAMETERS};
    g_autoptr(W2wValues) defaults = w2w_values_new(parameters, G_N_ELEMENTS(parameters));

    /* Nothing is given, so that no string of it can be the values' own. */
    return w2w_rendering_init(rendering, world, defaults, identity, error);
}

gboolean w2w_rendering_check_files(const W2wRendering *rendering, GError **error)
{
    for (guint i = 0; i < rendering->options.n_loras; i++) {
        g_autoptr(W2wLora) lora = w2w_lora_open(rendering->loras[i].path, error);

        if (lora == NULL)
            return FALSE;
    }
    return TRUE;
}

gboolean w2w_rendering_check(W2wWorld *world, const W2wValues *values, GError **error)
{
    g_auto(W2wRendering) rendering = {0};

    return w2w_rendering_init(&rendering, world, values, NULL, error) &&
           w2w_rendering_check_files(&rendering, error);
}

guint64 w2w_rendering_get_seed(const W2wValues *values, JsonObject *recipe)
{
    const gint64 given = w2w_values_get_int(values, "seed");
    guint64 seed;

    if (given >= 0)
        return (guint64)given;
    return w2w_recipe_get_seed(recipe, &seed) ? seed : g_random_int();
}

void w2w_message_append(char **message, const char *format, ...)
{
    g_autofree char *before = *message;
    g_autofree char *sentence = NULL;
    va_list arguments;

    va_start(arguments, format);
    sentence = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    *message = before != NULL ? g_strconcat(before, " ", sentence, NULL) : g_strdup(sentence);
}

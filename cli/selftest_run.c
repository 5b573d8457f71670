/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Runs what the frozen outputs were made of, and measures how far apart the two are. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/selftest.h"
#include "engine/error.h"
#include "engine/formats/json.h"
#include "engine/graph/graph.h"
#include "engine/memory.h"
#include "engine/models/model_parts.h"
#include "engine/models/text_encoder.h"
#include "engine/models/vae.h"

/* Of an 8-bit picture's values this part may be 1 off: float32 rounds on either side of a half. */
#define U8_PART_OFF 0.001

#define NOISE_PREFIX "noise_pred.t"

static void clear_result(gpointer data)
{
    g_free(((W2wSelftestResult *)data)->array);
}

static gpointer open_file(const W2wSelftest *test, const char *name, GError **error)
{
    g_autofree char *path = g_build_filename(test->directory, name, NULL);

    return g_str_has_suffix(name, ".json") ? (gpointer)w2w_json_load(path, error)
                                           : (gpointer)w2w_safetensors_open(path, error);
}

gboolean w2w_selftest_init(W2wSelftest *test, W2wDevice *device, GError **error)
{
    const char *world_directory = w2w_world_get_default_directory();
    W2wWorld *world = w2w_world_open(world_directory, error);

    memset(test, 0, sizeof *test);
    test->results = g_array_new(FALSE, FALSE, sizeof(W2wSelftestResult));
    g_array_set_clear_func(test->results, clear_result);
    if (world == NULL) {
        w2w_device_free(device);
        return FALSE;
    }
    test->pipeline = w2w_pipeline_new(world, device, error);
    test->directory = g_build_filename(world_directory, "selftest", NULL);
    return test->pipeline != NULL &&
           (test->params = open_file(test, "params.json", error)) != NULL &&
           (test->tolerances = open_file(test, "tolerances.json", error)) != NULL &&
           (test->networks = open_file(test, "networks.safetensors", error)) != NULL &&
           (test->pictures = open_file(test, "pictures.safetensors", error)) != NULL;
}

void w2w_selftest_clear(W2wSelftest *test)
{
    g_clear_pointer(&test->results, g_array_unref);
    g_clear_pointer(&test->networks, w2w_safetensors_free);
    g_clear_pointer(&test->pictures, w2w_safetensors_free);
    g_clear_pointer(&test->params, json_object_unref);
    g_clear_pointer(&test->tolerances, json_object_unref);
    g_clear_pointer(&test->pipeline, w2w_pipeline_free);
    g_clear_pointer(&test->directory, g_free);
}

static gboolean fail_files(const W2wSelftest *test, const char *what, GError **error)
{
    g_autofree char *shown = g_filename_display_name(test->directory);

    g_set_error(error, W2W_ERROR, W2W_ERROR_FORMAT,
                "The outputs to compare with in %s do not fit: %s. Install the program again.",
                shown, what);
    return FALSE;
}

/* Of `n_dims` dimensions; NULL with an error where there is none. */
static W2wArray *get_array(const W2wSelftest *test, const char *key, guint n_dims, GError **error)
{
    W2wArray *array = w2w_safetensors_peek(test->networks, key);

    if (array == NULL || array->n_dims != n_dims) {
        g_autofree char *what = g_strdup_printf("%s is missing or has another shape", key);

        fail_files(test, what, error);
        return NULL;
    }
    return array;
}

static void add_result(W2wSelftest *test, const char *part, const char *array, double deviation,
                       gboolean is_passed)
{
    const W2wSelftestResult result = {part, g_strdup(array), deviation, is_passed};

    g_array_append_val(test->results, result);
}

/* unit, rms and max that tolerances.json has for an array of `networks`. */
static gboolean get_tolerance(const W2wSelftest *test, const char *key, double tolerance[3],
                              GError **error)
{
    static const char *const members[] = {"unit", "rms", "max"};
    JsonNode *file = json_object_get_member(test->tolerances, "networks");
    JsonNode *node = file != NULL && JSON_NODE_HOLDS_OBJECT(file)
                         ? json_object_get_member(json_node_get_object(file), key)
                         : NULL;

    for (guint i = 0; i < G_N_ELEMENTS(members); i++) {
        JsonNode *number = node != NULL && JSON_NODE_HOLDS_OBJECT(node)
                               ? json_object_get_member(json_node_get_object(node), members[i])
                               : NULL;

        tolerance[i] =
            number != NULL && JSON_NODE_HOLDS_VALUE(number) ? json_node_get_double(number) : 0.0;
        if (!(tolerance[i] > 0.0)) {
            g_autofree char *what = g_strdup_printf("tolerances.json says nothing of %s", key);

            return fail_files(test, what, error);
        }
    }
    return TRUE;
}

/* `actual` in the order of the frozen array. */
static gboolean compare(W2wSelftest *test, const char *part, const char *key, const float *actual,
                        GError **error)
{
    const W2wArray *expected = w2w_safetensors_peek(test->networks, key);
    double tolerance[3], sum = 0.0, largest = 0.0, rms, deviation;

    if (!get_tolerance(test, key, tolerance, error))
        return FALSE;
    for (gint64 i = 0; i < expected->n_elements; i++) {
        double difference = fabs((double)actual[i] - w2w_array_get(expected, i)) / tolerance[0];

        if (isnan(difference)) /* on either side: never near enough */
            difference = INFINITY;
        sum += difference * difference;
        largest = MAX(largest, difference);
    }
    rms = sqrt(sum / (double)MAX(expected->n_elements, 1));
    deviation = MAX(rms / tolerance[1], largest / tolerance[2]);
    add_result(test, part, key, deviation, deviation <= 1.0);
    return TRUE;
}

/* Values in the engine's layout. */
static float *to_channels_last(const W2wArray *array)
{
    g_autofree float *values = g_new(float, (gsize)array->n_elements);
    float *pixels = g_new(float, (gsize)array->n_elements);

    w2w_array_to_f32(array, values);
    w2w_transpose_f32(values, array->shape[0], array->shape[1], array->shape[2] * array->shape[3],
                      pixels);
    return pixels;
}

/* Does the plan take and give what the file has? Else it was made of another model. */
static gboolean check_size(const W2wSelftest *test, W2wShape shape, const W2wArray *array,
                           const char *key, GError **error)
{
    g_autofree char *what = NULL;

    if (w2w_shape_n_elements(shape) == array->n_elements)
        return TRUE;
    what = g_strdup_printf("%s is of another model than the embedded one", key);
    return fail_files(test, what, error);
}

static W2wPlan *make_plan(W2wSelftest *test, W2wGraph *graph, GError **error)
{
    return graph != NULL ? w2w_plan_new(graph, w2w_pipeline_get_device(test->pipeline),
                                        W2W_PLAN_DEFAULT, error)
                         : NULL;
}

static char *part_path(const W2wSelftest *test, const char *part)
{
    W2wWorld *world = w2w_pipeline_get_world(test->pipeline);

    return w2w_model_part_path(w2w_world_get_model_directory(world), part);
}

static gboolean run_text(W2wSelftest *test, GError **error)
{
    g_autofree char *path = part_path(test, "text_encoder");
    g_autoptr(W2wTextEncoder) encoder = w2w_text_encoder_open(path, error);
    const W2wArray *ids = get_array(test, "input_ids", 2, encoder != NULL ? error : NULL);
    const W2wArray *expected = ids != NULL ? get_array(test, "text_embedding", 3, error) : NULL;
    g_autoptr(W2wPlan) plan = NULL;
    g_autofree float *values = NULL;

    if (encoder == NULL || expected == NULL)
        return FALSE;
    plan =
        make_plan(test, w2w_text_encoder_record(encoder, (gint)ids->shape[0], FALSE, error), error);
    if (plan == NULL ||
        !check_size(test, w2w_plan_get_input_shape(plan, "input_ids"), ids, "input_ids", error) ||
        !check_size(test, w2w_plan_get_output_shape(plan, "text_embedding"), expected,
                    "text_embedding", error))
        return FALSE;
    values = g_new(float, (gsize)MAX(ids->n_elements, expected->n_elements));
    w2w_array_to_f32(ids, values);
    w2w_plan_set_input(plan, "input_ids", values);
    w2w_plan_replay(plan);
    w2w_plan_get_output(plan, "text_embedding", values);
    return compare(test, "text encoder", "text_embedding", values, error);
}

static W2wIdentity *get_identity(const W2wSelftest *test, const char *key, GError **error)
{
    const W2wArray *array = get_array(test, key, 1, error);
    W2wIdentity *identity =
        array != NULL ? w2w_identity_new((guint)array->n_elements, error) : NULL;

    if (identity != NULL)
        w2w_array_to_f32(array, identity->coefficients);
    return identity;
}

/* "noise_pred.t500.person": of the base model or of an identity in the file. */
static gboolean run_unet(W2wSelftest *test, const char *key, GError **error)
{
    const W2wPipelineSizes sizes = w2w_pipeline_get_sizes(test->pipeline);
    const char *who = strrchr(key, '.') + 1;
    const gboolean is_base = strcmp(who, "base") == 0;
    const W2wArray *latents = get_array(test, "latents", 4, error);
    const W2wArray *text = latents != NULL ? get_array(test, "text_embedding", 3, error) : NULL;
    const W2wArray *expected = text != NULL ? get_array(test, key, 4, error) : NULL;
    g_autoptr(W2wIdentity) identity = NULL;
    g_autofree float *pixels = NULL;
    g_autofree float *text_values = NULL;
    g_autofree float *planes = NULL;
    W2W_AUTO_ALIGNED float *noise = NULL;

    if (expected == NULL)
        return FALSE;
    if (latents->shape[1] != sizes.latent_channels || text->shape[0] != latents->shape[0] ||
        text->shape[1] != sizes.text_length || text->shape[2] != sizes.text_width ||
        expected->n_elements != latents->n_elements)
        return fail_files(test, "latents is of another model than the embedded one", error);
    if (!is_base && (identity = get_identity(test, who, error)) == NULL)
        return FALSE;
    pixels = to_channels_last(latents);
    text_values = g_new(float, (gsize)text->n_elements);
    planes = g_new(float, (gsize)expected->n_elements);
    w2w_array_to_f32(text, text_values);
    noise = w2w_pipeline_predict_noise(
        test->pipeline, identity, pixels, (gint)latents->shape[0], (gint)latents->shape[2],
        (gint)latents->shape[3], strtod(key + strlen(NOISE_PREFIX), NULL), text_values, error);
    if (noise == NULL)
        return FALSE;
    w2w_transpose_f32(noise, expected->shape[0], expected->shape[2] * expected->shape[3],
                      expected->shape[1], planes);
    return compare(test, is_base ? "UNet" : "UNet with an identity", key, planes, error);
}

static gboolean run_unets(W2wSelftest *test, GError **error)
{
    const char *const *keys = w2w_safetensors_get_keys(test->networks);
    guint n = 0;

    for (guint i = 0; keys[i] != NULL; i++) {
        if (!g_str_has_prefix(keys[i], NOISE_PREFIX) ||
            strchr(keys[i] + strlen(NOISE_PREFIX), '.') == NULL)
            continue;
        if (!run_unet(test, keys[i], error))
            return FALSE;
        n++;
    }
    return n > 0 || fail_files(test, "there is no " NOISE_PREFIX "…", error);
}

/* The network's output for `input` in PyTorch's order; NULL with an error. */
static float *run_vae(W2wSelftest *test, W2wGraph *graph, const char *input, const W2wArray *given,
                      const char *output, gint64 n_output, GError **error)
{
    g_autoptr(W2wPlan) plan = make_plan(test, graph, error);
    g_autofree float *pixels = NULL;
    g_autofree float *values = NULL;
    float *planes;
    W2wShape shape;

    if (plan == NULL ||
        !check_size(test, w2w_plan_get_input_shape(plan, input), given, input, error))
        return NULL;
    shape = w2w_plan_get_output_shape(plan, output);
    if (w2w_shape_n_elements(shape) != n_output) {
        fail_files(test, "the VAE's are of another model than the embedded one", error);
        return NULL;
    }
    pixels = to_channels_last(given);
    w2w_plan_set_input(plan, input, pixels);
    w2w_plan_replay(plan);
    values = g_new(float, (gsize)n_output);
    planes = g_new(float, (gsize)n_output);
    w2w_plan_get_output(plan, output, values);
    w2w_transpose_f32(values, shape.n, (gint64)shape.h * shape.w, shape.c, planes);
    return planes;
}

/* One image: mean and log variance are the halves of its channels. */
static gboolean run_encoder(W2wSelftest *test, W2wVae *vae, GError **error)
{
    const W2wArray *image = get_array(test, "image", 4, error);
    const W2wArray *mean = image != NULL ? get_array(test, "mean", 4, error) : NULL;
    const W2wArray *logvar = mean != NULL ? get_array(test, "logvar", 4, error) : NULL;
    g_autofree float *moments = NULL;

    if (logvar == NULL)
        return FALSE;
    if (image->shape[0] != 1 || mean->n_elements != logvar->n_elements)
        return fail_files(test, "image, mean and logvar are not of one picture", error);
    moments = run_vae(
        test,
        w2w_vae_record_encode(vae, 1, (gint)image->shape[2], (gint)image->shape[3], FALSE, error),
        "image", image, "moments", 2 * mean->n_elements, error);
    if (moments == NULL)
        return FALSE;
    for (gint64 i = 0; i < logvar->n_elements; i++) /* as diffusers does */
        moments[mean->n_elements + i] = CLAMP(moments[mean->n_elements + i], -30.0f, 20.0f);
    return compare(test, "VAE encoder", "mean", moments, error) &&
           compare(test, "VAE encoder", "logvar", moments + mean->n_elements, error);
}

static gboolean run_decoder(W2wSelftest *test, W2wVae *vae, GError **error)
{
    const W2wArray *latents = get_array(test, "latents_to_decode", 4, error);
    const W2wArray *decoded = latents != NULL ? get_array(test, "decoded", 4, error) : NULL;
    g_autofree float *image = NULL;

    if (decoded == NULL)
        return FALSE;
    image = run_vae(test,
                    w2w_vae_record_decode(vae, (gint)latents->shape[0], (gint)latents->shape[2],
                                          (gint)latents->shape[3], FALSE, error),
                    "latents", latents, "image", decoded->n_elements, error);
    return image != NULL && compare(test, "VAE decoder", "decoded", image, error);
}

static gboolean run_vaes(W2wSelftest *test, GError **error)
{
    g_autofree char *path = part_path(test, "vae");
    g_autoptr(W2wVae) vae = w2w_vae_open(path, error);

    return vae != NULL && run_encoder(test, vae, error) && run_decoder(test, vae, error);
}

gboolean w2w_selftest_networks(W2wSelftest *test, const W2wProgress *progress, GError **error)
{
    return w2w_progress_step(progress, 0.0, "Text encoder", error) && run_text(test, error) &&
           w2w_progress_step(progress, 0.05, "UNet", error) && run_unets(test, error) &&
           w2w_progress_step(progress, 0.1, "VAE", error) && run_vaes(test, error);
}

/* --- pictures --- */

/* The settings that all of them were made with. */
static gboolean get_options(const W2wSelftest *test, W2wRenderOptions *options, GError **error)
{
    JsonNode *node = json_object_get_member(test->params, "call");
    JsonObject *call =
        node != NULL && JSON_NODE_HOLDS_OBJECT(node) ? json_node_get_object(node) : NULL;

    memset(options, 0, sizeof *options);
    if (call != NULL) {
        options->prompt = json_object_get_string_member_with_default(call, "prompt", NULL);
        options->negative_prompt =
            json_object_get_string_member_with_default(call, "negative_prompt", NULL);
        options->steps =
            (guint)json_object_get_int_member_with_default(call, "num_inference_steps", 0);
        options->guidance_scale =
            json_object_get_double_member_with_default(call, "guidance_scale", 1.0);
    }
    if (options->prompt == NULL || options->steps == 0)
        return fail_files(test, "params.json has no settings of pictures", error);
    return TRUE;
}

/* "person.dpmpp_2m.seed42.image_u8" */
static gboolean read_key(const W2wSelftest *test, const char *key, W2wIdentity **identity,
                         W2wRenderOptions *options, GError **error)
{
    g_auto(GStrv) words = g_strsplit(key, ".", -1);
    g_autofree char *what = g_strdup_printf("%s says nothing that can be rendered", key);

    if (g_strv_length(words) != 4 || !g_str_has_prefix(words[2], "seed"))
        return fail_files(test, what, error);
    g_strdelimit(words[1], "_", '-');
    options->seed = g_ascii_strtoull(words[2] + strlen("seed"), NULL, 10);
    if (strcmp(words[0], "base") != 0 && (*identity = get_identity(test, words[0], error)) == NULL)
        return FALSE;
    options->identity = *identity;
    for (guint i = 0; w2w_scheduler_names[i] != NULL; i++)
        if (strcmp(w2w_scheduler_names[i], words[1]) == 0) {
            options->scheduler = (W2wSchedulerKind)i;
            return TRUE;
        }
    return fail_files(test, what, error);
}

/* The part that is off, in units of what may be; any value that is off by more than 1 fails. */
static void compare_picture(W2wSelftest *test, const char *key, const W2wArray *expected,
                            const W2wPicture *picture)
{
    gint64 n_off = 0;
    double deviation;
    int largest = 0;

    for (gint64 i = 0; i < expected->n_elements; i++) {
        const int difference = abs((int)w2w_array_get(expected, i) - (int)picture->pixels[i]);

        n_off += difference != 0;
        largest = MAX(largest, difference);
    }
    deviation = (double)n_off / ((double)expected->n_elements * U8_PART_OFF);
    if (largest > 1)
        deviation = MAX(deviation, largest);
    add_result(test, "picture", key, deviation, deviation <= 1.0);
}

static gboolean run_picture(W2wSelftest *test, const char *key, GError **error)
{
    const W2wArray *expected = w2w_safetensors_peek(test->pictures, key);
    g_autoptr(W2wIdentity) identity = NULL;
    g_autoptr(W2wPicture) picture = NULL;
    W2wRenderOptions options;

    if (expected->n_dims != 3 || expected->shape[2] != 3)
        return fail_files(test, "a picture is none", error);
    if (!get_options(test, &options, error) || !read_key(test, key, &identity, &options, error))
        return FALSE;
    options.height = (gint)MIN(expected->shape[0], G_MAXINT);
    options.width = (gint)MIN(expected->shape[1], G_MAXINT);
    picture = w2w_pipeline_render(test->pipeline, &options, NULL, error);
    if (picture == NULL)
        return FALSE;
    compare_picture(test, key, expected, picture);
    return TRUE;
}

gboolean w2w_selftest_pictures(W2wSelftest *test, const W2wProgress *progress, GError **error)
{
    const char *const *keys = w2w_safetensors_get_keys(test->pictures);
    const guint n = g_strv_length((char **)keys);

    for (guint i = 0; i < n; i++)
        if (!w2w_progress_step(progress, 0.1 + 0.9 * i / n, keys[i], error) ||
            !run_picture(test, keys[i], error))
            return FALSE;
    return n > 0 || fail_files(test, "there are no pictures", error);
}

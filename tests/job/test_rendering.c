/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What jobs with pictures have in common, on the embedded world and in small pictures: settings
 * that become pictures and recipes, what a result holds, and what is refused before a model is
 * opened.
 */
#include <glib/gstdio.h>
#include <string.h>

#include "engine/device/device.h"
#include "engine/error.h"
#include "engine/formats/json.h"
#include "engine/formats/png.h"
#include "engine/job/job.h"
#include "engine/job/recipe.h"
#include "engine/job/rendering.h"
#include "tests/w2w/lora_files.h"
#include "tests/w2w/space_folder.h"

static W2wPipeline *open_pipeline(W2wWorld *world)
{
    const W2wDeviceOptions options = {.compute_type = W2W_COMPUTE_F32};
    g_autoptr(GError) error = NULL;
    W2wDevice *device = w2w_device_new("cpu", &options, &error);
    W2wPipeline *pipeline;

    g_assert_no_error(error);
    pipeline = w2w_pipeline_new(world, device, &error);
    g_assert_no_error(error);
    return pipeline;
}

static W2wPipeline *open_embedded(void)
{
    g_autoptr(GError) error = NULL;
    W2wWorld *world = w2w_world_open(w2w_world_get_default_directory(), &error);

    g_assert_no_error(error);
    return open_pipeline(world);
}

static void set(W2wValues *values, const char *name, const char *text)
{
    g_autoptr(GError) error = NULL;

    w2w_values_set_text(values, name, text, &error);
    g_assert_no_error(error);
}

/* A job's values, for a picture that takes little time. */
static W2wValues *small_values(const W2wJob *job)
{
    W2wValues *values = w2w_values_new(job->parameters, job->n_parameters);

    set(values, "width", "48");
    set(values, "height", "40");
    set(values, "steps", "3");
    set(values, "guidance-scale", "2");
    set(values, "seed", "5");
    return values;
}

static void take_result(W2wJobResult *result, gpointer user_data)
{
    W2wJobResult **place = user_data;

    g_assert_null(*place);
    *place = result;
}

static W2wJobResult *run(W2wPipeline *pipeline, const W2wJob *job, const W2wValues *values)
{
    g_autoptr(GError) error = NULL;
    W2wJobResult *result = NULL;

    g_assert_true(job->check(w2w_pipeline_get_world(pipeline), values, &error));
    g_assert_no_error(error);
    job->run(pipeline, values, take_result, &result, NULL, &error);
    g_assert_no_error(error);
    g_assert_nonnull(result);
    g_assert_cmpuint(result->seed, ==, 5);
    return result;
}

static void assert_refused(W2wWorld *world, const W2wJob *job, const W2wValues *values,
                           W2wError code, const char *word)
{
    g_autoptr(GError) error = NULL;

    g_assert_false(job->check(world, values, &error));
    g_assert_error(error, W2W_ERROR, code);
    g_test_message("%s", error->message);
    g_assert_nonnull(strstr(error->message, word));
}

static JsonObject *recipe_of(const W2wJobResult *result)
{
    JsonObject *recipe = w2w_json_parse(result->recipe, strlen(result->recipe), "recipe", NULL);

    g_assert_nonnull(recipe);
    return recipe;
}

static gboolean same_pixels(const W2wJobResult *a, const W2wJobResult *b)
{
    return a->picture->width == b->picture->width && a->picture->height == b->picture->height &&
           memcmp(a->picture->pixels, b->picture->pixels,
                  (gsize)a->picture->width * a->picture->height * 3) == 0;
}

/* A new person's file. */
static GBytes *sample_bytes(W2wPipeline *pipeline, const char *factor)
{
    g_autoptr(W2wValues) values = small_values(&w2w_sample_job);
    g_autoptr(W2wJobResult) result = NULL;

    set(values, "no-picture", "true");
    set(values, "factor", factor);
    result = run(pipeline, &w2w_sample_job, values);
    return g_bytes_ref(result->identity);
}

static void set_bytes(W2wValues *values, const char *name, GBytes *bytes)
{
    g_autoptr(GError) error = NULL;

    w2w_values_set_bytes(values, name, bytes, &error);
    g_assert_no_error(error);
}

/* What is in an identity file says the same as the result around it. */
static void test_result(void)
{
    g_autoptr(W2wPipeline) pipeline = open_embedded();
    W2wSpace *space = w2w_world_get_space(w2w_pipeline_get_world(pipeline));
    g_autoptr(W2wValues) values = small_values(&w2w_sample_job);
    g_autoptr(W2wJobResult) result = run(pipeline, &w2w_sample_job, values);
    g_autoptr(GError) error = NULL;
    g_autoptr(W2wIdentity) identity =
        w2w_identity_from_bytes(result->identity, "the result", &error);
    g_autoptr(JsonObject) recipe = recipe_of(result);

    g_assert_no_error(error);
    g_assert_cmpstr(identity->recipe, ==, result->recipe);
    g_assert_cmpstr(identity->space_fingerprint, ==, w2w_space_get_fingerprint(space));
    g_assert_cmpstr(identity->model_fingerprint, ==, w2w_pipeline_get_model_fingerprint(pipeline));
    g_assert_cmpstr(result->name, ==, "Person 5");
    g_assert_cmpuint(result->picture->width, ==, 48);
    g_assert_cmpuint(result->picture->height, ==, 40);
    g_assert_cmpstr(json_object_get_string_member(recipe, "job"), ==, "sample");
    g_assert_cmpint(json_object_get_int_member(recipe, "steps"), ==, 3);
    g_assert_cmpint(json_object_get_int_member(recipe, "seed"), ==, 5);
    g_assert_cmpstr(json_object_get_string_member(recipe, "rng"), ==, "cpu");
    g_assert_false(json_object_has_member(recipe, "lora"));
    g_assert_false(json_object_has_member(recipe, "init-image"));
    g_assert_null(result->message);
}

/* The same person, without the settings of a picture that there is not, and without the model. */
static void test_no_picture(void)
{
    g_autoptr(W2wPipeline) pipeline = open_embedded();
    g_autoptr(W2wValues) values = small_values(&w2w_sample_job);
    g_autoptr(W2wJobResult) with = run(pipeline, &w2w_sample_job, values);
    const guint n_calls = w2w_pipeline_get_counts(pipeline).n_unet_calls;
    g_autoptr(W2wJobResult) without = NULL;
    g_autoptr(JsonObject) recipe = NULL;
    g_autoptr(W2wIdentity) a = w2w_identity_from_bytes(with->identity, "with", NULL);
    g_autoptr(W2wIdentity) b = NULL;

    set(values, "no-picture", "true");
    without = run(pipeline, &w2w_sample_job, values);
    g_assert_null(without->picture);
    g_assert_cmpuint(w2w_pipeline_get_counts(pipeline).n_unet_calls, ==, n_calls);
    b = w2w_identity_from_bytes(without->identity, "without", NULL);
    g_assert_cmpmem(a->coefficients, a->n_coefficients * sizeof(float), b->coefficients,
                    b->n_coefficients * sizeof(float));
    recipe = recipe_of(without);
    g_assert_false(json_object_has_member(recipe, "prompt"));
    g_assert_true(json_object_has_member(recipe, "factor"));
}

static void test_base_identity(void)
{
    g_autoptr(W2wPipeline) pipeline = open_embedded();
    W2wWorld *world = w2w_pipeline_get_world(pipeline);
    g_autoptr(GBytes) identity = sample_bytes(pipeline, "2");
    g_autoptr(GBytes) base = sample_bytes(pipeline, "0");
    g_autoptr(W2wValues) values = small_values(&w2w_render_job);
    g_autoptr(W2wJobResult) alone = NULL;
    g_autoptr(W2wJobResult) at_once = NULL;
    g_autoptr(W2wJobResult) midway = NULL;
    g_autoptr(W2wJobResult) never = NULL;
    g_autoptr(W2wJobResult) base_alone = NULL;
    g_autoptr(JsonObject) recipe = NULL;
    JsonObject *described;

    set_bytes(values, "base-identity", base);
    assert_refused(world, &w2w_render_job, values, W2W_ERROR_USAGE, "base-identity");
    set_bytes(values, "identity", identity);
    set(values, "from-timestep", "1000");
    at_once = run(pipeline, &w2w_render_job, values);
    set(values, "from-timestep", "500");
    midway = run(pipeline, &w2w_render_job, values);
    set(values, "from-timestep", "0");
    never = run(pipeline, &w2w_render_job, values);
    set_bytes(values, "base-identity", NULL);
    alone = run(pipeline, &w2w_render_job, values);
    set_bytes(values, "identity", base);
    base_alone = run(pipeline, &w2w_render_job, values);
    g_assert_true(same_pixels(at_once, alone));
    g_assert_true(same_pixels(never, base_alone));
    g_assert_false(same_pixels(midway, alone));
    g_assert_false(same_pixels(midway, base_alone));

    recipe = recipe_of(midway);
    g_assert_cmpfloat(json_object_get_double_member(recipe, "from-timestep"), ==, 500.0);
    described = json_object_get_object_member(recipe, "base-identity");
    g_assert_cmpstr(json_object_get_string_member(described, "name"), ==, "Person 5");
    g_assert_cmpuint(strlen(json_object_get_string_member(described, "sha256")), ==, 64);
    g_assert_cmpfloat(
        json_object_get_double_member(json_object_get_object_member(described, "recipe"), "factor"),
        ==, 0.0);
}

/* An edit that keeps the composition lies between before and after. */
static void test_edit_keeps_composition(void)
{
    g_autoptr(W2wPipeline) pipeline = open_embedded();
    g_autoptr(GBytes) identity = sample_bytes(pipeline, "1");
    g_autoptr(W2wValues) values = small_values(&w2w_edit_job);
    g_autoptr(W2wJobResult) edited = NULL;
    g_autoptr(W2wJobResult) kept = NULL;
    g_autoptr(W2wJobResult) never = NULL;
    g_autoptr(W2wJobResult) before = NULL;
    g_autoptr(JsonObject) recipe = NULL;

    set_bytes(values, "identity", identity);
    set(values, "edits", "#1=3");
    edited = run(pipeline, &w2w_edit_job, values);
    set(values, "from-timestep", "500");
    kept = run(pipeline, &w2w_edit_job, values);
    set(values, "from-timestep", "0");
    never = run(pipeline, &w2w_edit_job, values);
    set(values, "edits", "#1=0");
    before = run(pipeline, &w2w_edit_job, values);
    g_assert_false(same_pixels(kept, edited));
    g_assert_false(same_pixels(kept, before));
    g_assert_true(same_pixels(never, before));
    recipe = recipe_of(kept);
    g_assert_cmpfloat(json_object_get_double_member(recipe, "from-timestep"), ==, 500.0);
    {
        g_autoptr(JsonObject) of_edited = recipe_of(edited);

        g_assert_false(json_object_has_member(of_edited, "from-timestep"));
    }
}

static void test_generator(void)
{
    g_autoptr(W2wPipeline) pipeline = open_embedded();
    g_autoptr(W2wValues) values = small_values(&w2w_render_job);
    g_autoptr(W2wJobResult) cpu = run(pipeline, &w2w_render_job, values);
    g_autoptr(W2wJobResult) cuda = NULL;
    g_autoptr(JsonObject) recipe = NULL;

    set(values, "rng", "cuda");
    cuda = run(pipeline, &w2w_render_job, values);
    recipe = recipe_of(cuda);
    g_assert_false(same_pixels(cpu, cuda));
    g_assert_cmpstr(json_object_get_string_member(recipe, "rng"), ==, "cuda");
}

/* A result's picture as the bytes of a PNG file. */
static GBytes *png_of(const W2wPicture *picture)
{
    char *folder = make_folder();
    g_autofree char *path = g_build_filename(folder, "picture.png", NULL);
    g_autoptr(GError) error = NULL;
    char *contents;
    gsize length;

    w2w_png_write(picture, path, NULL, &error);
    g_assert_no_error(error);
    g_file_get_contents(path, &contents, &length, &error);
    g_assert_no_error(error);
    remove_folder(folder);
    return g_bytes_new_take(contents, length);
}

static double mean_difference(const W2wPicture *a, const W2wPicture *b)
{
    const gsize n = (gsize)a->width * a->height * 3;
    double sum = 0.0;

    for (gsize i = 0; i < n; i++)
        sum += ABS(a->pixels[i] - b->pixels[i]);
    return sum / (double)n;
}

/* The less strength, the nearer to the picture. */
static void test_init_image(void)
{
    g_autoptr(W2wPipeline) pipeline = open_embedded();
    W2wWorld *world = w2w_pipeline_get_world(pipeline);
    g_autoptr(W2wValues) values = small_values(&w2w_render_job);
    g_autoptr(W2wJobResult) source = NULL;
    g_autoptr(W2wJobResult) near = NULL;
    g_autoptr(W2wJobResult) far = NULL;
    g_autoptr(W2wJobResult) scaled = NULL;
    g_autoptr(GBytes) bytes = NULL;
    g_autoptr(GBytes) broken = g_bytes_new_static("no PNG", 6);
    g_autoptr(JsonObject) recipe = NULL;
    g_autofree char *sha256 = NULL;

    set(values, "steps", "10");
    source = run(pipeline, &w2w_render_job, values);
    bytes = png_of(source->picture);
    sha256 = g_compute_checksum_for_bytes(G_CHECKSUM_SHA256, bytes);
    set_bytes(values, "init-image", bytes);
    set(values, "prompt", "an old man with a hat");
    set(values, "strength", "0.2");
    near = run(pipeline, &w2w_render_job, values);
    set(values, "strength", "0.9");
    far = run(pipeline, &w2w_render_job, values);
    g_test_message("mean difference: %g with 0.2, %g with 0.9",
                   mean_difference(near->picture, source->picture),
                   mean_difference(far->picture, source->picture));
    g_assert_cmpfloat(mean_difference(near->picture, source->picture), <,
                      0.7 * mean_difference(far->picture, source->picture));
    recipe = recipe_of(far);
    g_assert_cmpfloat(json_object_get_double_member(recipe, "strength"), ==, 0.9);
    g_assert_cmpstr(json_object_get_string_member(
                        json_object_get_object_member(recipe, "init-image"), "sha256"),
                    ==, sha256);
    set(values, "width", "56");
    scaled = run(pipeline, &w2w_render_job, values);
    g_assert_cmpuint(scaled->picture->width, ==, 56);
    set_bytes(values, "init-image", broken);
    assert_refused(world, &w2w_render_job, values, W2W_ERROR_FORMAT, "start from");
}

static void test_strength_without_a_step(void)
{
    g_autoptr(W2wPipeline) pipeline = open_embedded();
    g_autoptr(W2wValues) values = small_values(&w2w_render_job);
    g_autoptr(W2wPicture) picture = w2w_picture_new(8, 8, NULL);
    g_autoptr(GBytes) bytes = NULL;
    g_autoptr(GError) error = NULL;
    W2wJobResult *result = NULL;

    memset(picture->pixels, 100, 8 * 8 * 3);
    bytes = png_of(picture);
    set_bytes(values, "init-image", bytes);
    set(values, "strength", "0.3"); /* of 3 steps */
    g_assert_false(w2w_render_job.run(pipeline, values, take_result, &result, NULL, &error));
    g_assert_error(error, W2W_ERROR, W2W_ERROR_USAGE);
    g_test_message("%s", error->message);
    g_assert_null(result);
}

static void add_lora(W2wValues *values, const char *path, double strength)
{
    g_autoptr(GBytes) bytes = g_bytes_new(path, strlen(path) + 1);
    g_autoptr(GError) error = NULL;

    w2w_values_add_item(values, "lora", bytes, strength, &error);
    g_assert_no_error(error);
}

static void test_lora(void)
{
    static const LoraTensor tensors[] = {
        {"unet.mid_block.attentions.0.transformer_blocks.0.attn1.to_q.lora_A.weight",
         2,
         {2, 192},
         0.1f},
        {"unet.mid_block.attentions.0.transformer_blocks.0.attn1.to_q.lora_B.weight",
         2,
         {192, 2},
         0.1f},
        {NULL, 0, {0}, 0}};
    g_autoptr(W2wPipeline) pipeline = open_embedded();
    W2wWorld *world = w2w_pipeline_get_world(pipeline);
    g_autoptr(W2wValues) values = small_values(&w2w_render_job);
    g_autoptr(W2wJobResult) without = run(pipeline, &w2w_render_job, values);
    g_autoptr(W2wJobResult) with = NULL;
    g_autoptr(JsonObject) recipe = NULL;
    g_autofree char *contents = NULL;
    g_autofree char *sha256 = NULL;
    char *folder = make_folder();
    g_autofree char *path = g_build_filename(folder, "style.safetensors", NULL);
    g_autofree char *missing = g_build_filename(folder, "missing.safetensors", NULL);
    JsonObject *described;
    gsize length;

    write_lora(folder, "style.safetensors", tensors, NULL);
    g_file_get_contents(path, &contents, &length, NULL);
    sha256 = g_compute_checksum_for_data(G_CHECKSUM_SHA256, (const guchar *)contents, length);
    add_lora(values, path, 0.8);
    with = run(pipeline, &w2w_render_job, values);
    g_assert_false(same_pixels(with, without));
    recipe = recipe_of(with);
    g_assert_cmpuint(json_array_get_length(json_object_get_array_member(recipe, "lora")), ==, 1);
    described = json_array_get_object_element(json_object_get_array_member(recipe, "lora"), 0);
    g_assert_cmpstr(json_object_get_string_member(described, "path"), ==, path);
    g_assert_cmpstr(json_object_get_string_member(described, "sha256"), ==, sha256);
    g_assert_cmpfloat(json_object_get_double_member(described, "strength"), ==, 0.8);
    add_lora(values, missing, 1.0);
    assert_refused(world, &w2w_render_job, values, W2W_ERROR_FILE, "missing.safetensors");
    remove_folder(folder);
}

/* A model without a card, whose own folder says `config`: which scheduler is it, and what is said?
 */
static void check_own_scheduler(const char *config, const char *scheduler, const char *message)
{
    g_autofree char *embedded = g_build_filename(w2w_world_get_default_directory(), "model", NULL);
    char *model = link_folder(embedded, NULL);
    char *place = make_folder();
    g_autoptr(GError) error = NULL;
    W2wWorld *world;

    write_text(place, "scheduler_config.json", config);
    link_file(model, "scheduler", place);
    world = w2w_world_open_parts(model, NULL, &error);
    g_assert_no_error(error);
    {
        g_autoptr(W2wPipeline) pipeline = open_pipeline(world);
        g_autoptr(W2wValues) values = small_values(&w2w_render_job);
        g_autoptr(W2wJobResult) result = run(pipeline, &w2w_render_job, values);
        g_autoptr(JsonObject) recipe = recipe_of(result);

        g_assert_cmpstr(json_object_get_string_member(recipe, "scheduler"), ==, scheduler);
        if (message == NULL) {
            g_assert_null(result->message);
        } else {
            g_test_message("%s", result->message);
            g_assert_nonnull(strstr(result->message, message));
            g_assert_nonnull(strstr(result->message, "pndm"));
        }
    }
    remove_folder(place);
    remove_folder(model);
}

static void test_own_scheduler(void)
{
#define SCHEDULE                                                                                   \
    ", \"beta_start\": 0.00085, \"beta_end\": 0.012, \"beta_schedule\": \"scaled_linear\", "       \
    "\"num_train_timesteps\": 1000, \"steps_offset\": 1}"
    check_own_scheduler("{\"_class_name\": \"DDIMScheduler\"" SCHEDULE, "ddim", NULL);
    check_own_scheduler("{\"_class_name\": \"EulerDiscreteScheduler\"" SCHEDULE, "euler", NULL);
    check_own_scheduler("{\"_class_name\": \"KDPM2DiscreteScheduler\"" SCHEDULE, "pndm",
                        "KDPM2DiscreteScheduler");
#undef SCHEDULE
}

static void test_identities(void)
{
    static const W2wParameter parameters[] = {
        {.name = "identities", .type = W2W_PARAMETER_IDENTITIES}};
    g_autoptr(W2wPipeline) pipeline = open_embedded();
    W2wWorld *world = w2w_pipeline_get_world(pipeline);
    g_autoptr(GBytes) bytes = sample_bytes(pipeline, "1");
    g_autoptr(GBytes) broken = g_bytes_new_static("nobody", 6);
    g_autoptr(W2wValues) values = w2w_values_new(parameters, 1);
    g_autoptr(GPtrArray) identities = NULL;
    g_autoptr(GArray) weights = NULL;
    g_autoptr(GError) error = NULL;

    g_assert_true(
        w2w_rendering_get_identities(world, values, "identities", &identities, &weights, &error));
    g_assert_cmpuint(identities->len, ==, 0);
    g_assert_cmpuint(weights->len, ==, 0);
    g_clear_pointer(&identities, g_ptr_array_unref);
    g_clear_pointer(&weights, g_array_unref);
    w2w_values_add_item(values, "identities", bytes, 0.25, NULL);
    w2w_values_add_item(values, "identities", bytes, -2.0, NULL);
    g_assert_true(
        w2w_rendering_get_identities(world, values, "identities", &identities, &weights, &error));
    g_assert_no_error(error);
    g_assert_cmpuint(identities->len, ==, 2);
    g_assert_cmpfloat(g_array_index(weights, double, 0), ==, 0.25);
    g_assert_cmpfloat(g_array_index(weights, double, 1), ==, -2.0);
    w2w_values_add_item(values, "identities", broken, 1.0, NULL);
    g_clear_pointer(&identities, g_ptr_array_unref);
    g_clear_pointer(&weights, g_array_unref);
    g_assert_false(
        w2w_rendering_get_identities(world, values, "identities", &identities, &weights, &error));
    g_assert_error(error, W2W_ERROR, W2W_ERROR_FORMAT);
    g_assert_nonnull(strstr(error->message, "3"));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/job/rendering/result", test_result);
    g_test_add_func("/job/rendering/no-picture", test_no_picture);
    g_test_add_func("/job/rendering/base-identity", test_base_identity);
    g_test_add_func("/job/rendering/edit-keeps-composition", test_edit_keeps_composition);
    g_test_add_func("/job/rendering/generator", test_generator);
    g_test_add_func("/job/rendering/init-image", test_init_image);
    g_test_add_func("/job/rendering/strength-without-a-step", test_strength_without_a_step);
    g_test_add_func("/job/rendering/lora", test_lora);
    g_test_add_func("/job/rendering/own-scheduler", test_own_scheduler);
    g_test_add_func("/job/rendering/identities", test_identities);
    return g_test_run();
}

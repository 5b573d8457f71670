/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Whole pictures against diffusers: latents after every step, the decoded picture, seeds in
 * and 8-bit pictures out; of a golden folder's model and of the embedded world. Sizes,
 * prompts, seeds and counts come from the folders.
 */
#include <string.h>

#include "engine/device/device.h"
#include "engine/memory.h"
#include "engine/pipeline/pipeline.h"
#include "engine/w2w/edit.h"
#include "tests/pipeline/golden_pipeline.h"

static JsonObject *get_params(const GoldenPipeline *fixture, const char *member)
{
    JsonObject *params = w2w_golden_get_params(fixture->golden);

    g_assert_true(json_object_has_member(params, member));
    return json_object_get_object_member(params, member);
}

static W2wSchedulerKind scheduler_of(const char *name)
{
    for (guint i = 0; w2w_scheduler_names[i] != NULL; i++)
        if (g_str_equal(w2w_scheduler_names[i], name))
            return (W2wSchedulerKind)i;
    g_error("There is no scheduler %s.", name);
}

/* prompt, negative prompt, steps and guidance scale, under the names that the folder gives them. */
static W2wRenderOptions options_from(JsonObject *params, const char *steps)
{
    g_assert_true(json_object_has_member(params, steps));
    return (W2wRenderOptions){
        .prompt = json_object_get_string_member(params, "prompt"),
        .negative_prompt =
            json_object_get_string_member_with_default(params, "negative_prompt", NULL),
        .steps = (guint)json_object_get_int_member(params, steps),
        .guidance_scale = json_object_get_double_member(params, "guidance_scale")};
}

/* What the folder has after every step: (steps, 1, C, H, W). */
typedef struct {
    float *values;
    gint64 channels, n_pixels;
    gint64 n_steps; /* so far */
    gint64 max_steps;
    const float *expected_timesteps; /* or NULL */
} Trajectory;

static void on_latents(guint step, double timestep, const float *latents, gsize n,
                       gpointer user_data)
{
    Trajectory *trajectory = user_data;

    g_assert_cmpint(step, ==, trajectory->n_steps);
    g_assert_cmpint(trajectory->n_steps, <, trajectory->max_steps);
    g_assert_cmpint((gint64)n, ==, trajectory->channels * trajectory->n_pixels);
    if (trajectory->expected_timesteps != NULL)
        g_assert_cmpfloat(timestep, ==, trajectory->expected_timesteps[step]);
    golden_to_planes(latents, trajectory->channels, trajectory->n_pixels,
                     trajectory->values + trajectory->n_steps * (gint64)n);
    trajectory->n_steps++;
}

/*
 * Renders from `<prefix>latents` and compares `<prefix>trajectory` and, where the file has it,
 * `<prefix>image`.
 */
static void compare_rendering(GoldenPipeline *fixture, const char *file, const char *prefix,
                              W2wRenderOptions *options, const float *expected_timesteps)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *latents_key = g_strconcat(prefix, "latents", NULL);
    g_autofree char *trajectory_key = g_strconcat(prefix, "trajectory", NULL);
    g_autofree char *image_key = g_strconcat(prefix, "image", NULL);
    const W2wArray *latents = w2w_golden_get(fixture->golden, file, latents_key);
    const W2wArray *steps = w2w_golden_get(fixture->golden, file, trajectory_key);
    const gint64 channels = latents->shape[1], height = latents->shape[2],
                 width = latents->shape[3];
    const gint downscale = w2w_pipeline_get_sizes(fixture->pipeline).downscale;
    g_autofree float *planes = w2w_golden_get_f32(fixture->golden, file, latents_key);
    g_autofree float *initial = g_new(float, (gsize)latents->n_elements);
    g_autofree float *trajectory_values = g_new(float, (gsize)steps->n_elements);
    Trajectory trajectory = {.values = trajectory_values,
                             .channels = channels,
                             .n_pixels = height * width,
                             .max_steps = steps->shape[0],
                             .expected_timesteps = expected_timesteps};
    W2W_AUTO_ALIGNED float *image = NULL;

    g_assert_cmpuint(latents->n_dims, ==, 4);
    golden_to_channels_last(planes, channels, height * width, initial);
    options->initial_latents = initial;
    options->width = (gint)width * downscale;
    options->height = (gint)height * downscale;
    options->on_latents = on_latents;
    options->on_latents_data = &trajectory;
    image = w2w_pipeline_render_float(fixture->pipeline, options, NULL, &error);
    g_assert_no_error(error);
    g_assert_cmpint(trajectory.n_steps, ==, trajectory.max_steps);
    w2w_golden_compare(fixture->golden, file, trajectory_key, NULL, trajectory_values);
    if (w2w_safetensors_peek(w2w_golden_get_file(fixture->golden, file), image_key) != NULL) {
        const gint64 n_pixels = (gint64)options->width * options->height;
        g_autofree float *image_planes = g_new(float, (gsize)n_pixels * 3);

        golden_to_planes(image, 3, n_pixels, image_planes);
        w2w_golden_compare(fixture->golden, file, image_key, NULL, image_planes);
    }
}

/* "dpmpp-2m-karras" as the folder's files are named: "dpmpp_2m_karras". */
static char *file_word(const char *scheduler)
{
    return g_strdelimit(g_strdup(scheduler), "-", '_');
}

/* All sizes that the folder has for a sampler, with the identity. */
static void compare_sampler(const char *device, const char *scheduler)
{
    g_autofree char *word = file_word(scheduler);
    g_autofree char *file = g_strconcat("render_", word, NULL);
    GoldenPipeline fixture;
    g_autoptr(W2wIdentity) identity = NULL;
    const char *const *key;
    guint n_sizes = 0;

    golden_pipeline_open(&fixture, device, word);
    identity = golden_pipeline_get_identity(&fixture, "lora", "coefficients");
    key = w2w_safetensors_get_keys(w2w_golden_get_file(fixture.golden, file));
    for (; *key != NULL; key++) {
        g_autofree char *prefix = NULL;
        W2wRenderOptions options = options_from(get_params(&fixture, "render"), "steps");

        if (!g_str_has_suffix(*key, ".latents"))
            continue;
        prefix = g_strndup(*key, strlen(*key) - strlen("latents"));
        options.scheduler = scheduler_of(scheduler);
        options.identity = identity;
        compare_rendering(&fixture, file, prefix, &options, NULL);
        n_sizes++;
    }
    g_assert_cmpuint(n_sizes, >, 0);
    golden_pipeline_close(&fixture);
}

static void test_sampler(gconstpointer scheduler)
{
    compare_sampler("cpu", scheduler);
}

static void test_sampler_by_definition(gconstpointer scheduler)
{
    compare_sampler("reference", scheduler);
}

/* The last latents, from which the picture is made. */
typedef struct {
    float *planes;
    gint64 channels, n_pixels;
} Last;

static void keep_last(guint step, double timestep, const float *latents, gsize n,
                      gpointer user_data)
{
    Last *last = user_data;

    g_assert_cmpint((gint64)n, ==, last->channels * last->n_pixels);
    golden_to_planes(latents, last->channels, last->n_pixels, last->planes);
}

/* "ddim.latents", and "ddim.decoded" where the folder has it, from "image". */
static void compare_img2img(const char *device, const char *key)
{
    static const char file[] = "render_img2img";
    g_autoptr(GError) error = NULL;
    g_autofree char *word = g_strndup(key, strlen(key) - strlen(".latents"));
    g_autofree char *scheduler = g_strdelimit(g_strdup(word), "_", '-');
    g_autofree char *decoded_key = g_strconcat(word, ".decoded", NULL);
    GoldenPipeline fixture;
    g_autoptr(W2wIdentity) identity = NULL;
    g_autofree float *input = NULL;
    g_autofree float *init_image = NULL;
    g_autofree float *planes = NULL;
    const W2wArray *picture, *expected;
    JsonObject *params;
    W2wRenderOptions options;
    W2W_AUTO_ALIGNED float *image = NULL;
    Last last;

    golden_pipeline_open(&fixture, device, word);
    identity = golden_pipeline_get_identity(&fixture, "lora", "coefficients");
    picture = w2w_golden_get(fixture.golden, file, "image");
    input = w2w_golden_get_f32(fixture.golden, file, "image");
    init_image = g_new(float, (gsize)picture->n_elements);
    golden_to_channels_last(input, 3, picture->shape[2] * picture->shape[3], init_image);
    expected = w2w_golden_get(fixture.golden, file, key);
    planes = g_new(float, (gsize)expected->n_elements);
    last = (Last){planes, expected->shape[1], expected->shape[2] * expected->shape[3]};
    params = get_params(&fixture, file);
    options = options_from(params, "steps");
    options.identity = identity;
    options.scheduler = scheduler_of(scheduler);
    options.height = (gint)picture->shape[2];
    options.width = (gint)picture->shape[3];
    options.seed = (guint64)json_object_get_int_member(params, "seed");
    options.init_image = init_image;
    options.strength = json_object_get_double_member(params, "strength");
    options.on_latents = keep_last;
    options.on_latents_data = &last;
    image = w2w_pipeline_render_float(fixture.pipeline, &options, NULL, &error);
    g_assert_no_error(error);
    w2w_golden_compare(fixture.golden, file, key, NULL, planes);
    if (w2w_safetensors_peek(w2w_golden_get_file(fixture.golden, file), decoded_key) != NULL) {
        const gint64 n_pixels = (gint64)options.width * options.height;
        g_autofree float *image_planes = g_new(float, (gsize)n_pixels * 3);

        golden_to_planes(image, 3, n_pixels, image_planes);
        w2w_golden_compare(fixture.golden, file, decoded_key, NULL, image_planes);
    }
    golden_pipeline_close(&fixture);
}

static void test_img2img(gconstpointer device)
{
    g_autoptr(W2wGolden) golden = w2w_golden_open(NULL);
    const char *const *key =
        w2w_safetensors_get_keys(w2w_golden_get_file(golden, "render_img2img"));
    guint n_samplers = 0;

    for (; *key != NULL; key++)
        if (g_str_has_suffix(*key, ".latents")) {
            compare_img2img(device, *key);
            n_samplers++;
        }
    g_assert_cmpuint(n_samplers, >, 0);
}

static void test_delayed(void)
{
    GoldenPipeline fixture;
    g_autoptr(W2wIdentity) base = NULL;
    g_autoptr(W2wIdentity) edited = NULL;
    g_autofree float *timesteps = NULL;
    JsonObject *params;
    W2wRenderOptions options;

    golden_pipeline_open(&fixture, "cpu", NULL);
    params = get_params(&fixture, "render_delayed");
    base = golden_pipeline_get_identity(&fixture, "render_delayed", "base");
    edited = golden_pipeline_get_identity(&fixture, "render_delayed", "edited");
    timesteps = w2w_golden_get_f32(fixture.golden, "render_delayed", "timesteps");
    options = options_from(params, "steps");
    options.scheduler = scheduler_of(json_object_get_string_member(params, "scheduler"));
    options.identity = edited;
    options.base_identity = base;
    options.from_timestep = json_object_get_double_member(params, "T");
    compare_rendering(&fixture, "render_delayed", "", &options, timesteps);
    golden_pipeline_close(&fixture);
}

/* The picture `key` (H,W,3), made from its seed. */
static void compare_picture(GoldenPipeline *fixture, const char *file, const char *key,
                            W2wRenderOptions *options)
{
    g_autoptr(GError) error = NULL;
    const W2wArray *expected = w2w_golden_get(fixture->golden, file, key);
    const char *seed = strstr(key, ".seed");
    g_autoptr(W2wPicture) picture = NULL;

    g_assert_nonnull(seed);
    g_assert_cmpuint(expected->n_dims, ==, 3);
    options->seed = g_ascii_strtoull(seed + strlen(".seed"), NULL, 10);
    options->height = (gint)expected->shape[0];
    options->width = (gint)expected->shape[1];
    picture = w2w_pipeline_render(fixture->pipeline, options, NULL, &error);
    g_assert_no_error(error);
    w2w_golden_compare_u8(key, expected, picture->pixels);
}

static void test_seeded(void)
{
    GoldenPipeline fixture;
    g_autoptr(W2wIdentity) identity = NULL;
    const char *const *key;
    JsonObject *params;
    guint n_base = 0, n_identity = 0;

    golden_pipeline_open(&fixture, "cpu", NULL);
    params = get_params(&fixture, "render_seeded");
    g_assert_cmpstr(json_object_get_string_member(params, "rng"), ==, "cpu");
    identity = golden_pipeline_get_identity(&fixture, "lora", "coefficients");
    key = w2w_safetensors_get_keys(w2w_golden_get_file(fixture.golden, "render_seeded"));
    for (; *key != NULL; key++) {
        W2wRenderOptions options = options_from(params, "steps");

        options.scheduler = scheduler_of(json_object_get_string_member(params, "scheduler"));
        if (g_str_has_prefix(*key, "base.")) {
            n_base++;
        } else if (g_str_has_prefix(*key, "identity.")) {
            options.identity = identity;
            n_identity++;
        } else {
            g_error("render_seeded has “%s”, which is neither of the base nor of the identity.",
                    *key);
        }
        compare_picture(&fixture, "render_seeded", *key, &options);
    }
    g_assert_cmpuint(n_base, >, 0);
    g_assert_cmpuint(n_identity, >, 0);
    /* All of them are of one size: the base and the identity share a plan. */
    g_assert_cmpuint(w2w_pipeline_get_counts(fixture.pipeline).n_unprojections, ==, 1);
    golden_pipeline_close(&fixture);
}

static W2wIdentity *get_person(const GoldenPipeline *fixture)
{
    g_autoptr(GError) error = NULL;
    const W2wSpace *space = w2w_world_get_space(w2w_pipeline_get_world(fixture->pipeline));
    W2wIdentity *person = w2w_identity_new(w2w_space_get_n_with_statistics(space), &error);

    g_assert_no_error(error);
    w2w_space_get_person(
        space, json_object_get_int_member(w2w_golden_get_params(fixture->golden), "person_row"),
        person->coefficients, &error);
    g_assert_no_error(error);
    return person;
}

static W2wIdentity *get_edited(const GoldenPipeline *fixture)
{
    g_autoptr(GError) error = NULL;
    W2wSpace *space = w2w_world_get_space(w2w_pipeline_get_world(fixture->pipeline));
    JsonObject *params = w2w_golden_get_params(fixture->golden);
    JsonObject *settings = json_object_get_object_member(params, "settings");
    JsonArray *protect = json_object_get_array_member(params, "protected");
    g_autoptr(GList) names = json_object_get_members(settings);
    g_autoptr(W2wEdits) edits = w2w_edits_new();
    g_autofree double *delta = g_new(double, w2w_space_get_n_components(space));
    W2wIdentity *identity = get_person(fixture);

    for (const GList *name = names; name != NULL; name = name->next) {
        const W2wDirectionSetting setting = {
            .name = g_strdup(name->data),
            .setting = json_object_get_double_member(settings, name->data)};

        g_array_append_val(edits->directions, setting);
    }
    for (guint i = 0; i < json_array_get_length(protect); i++)
        w2w_edits_add_protected(edits, json_array_get_string_element(protect, i));
    w2w_edits_get_change(edits, space, W2W_METRIC_POPULATION, delta, &error);
    g_assert_no_error(error);
    for (guint j = 0; j < identity->n_coefficients; j++)
        identity->coefficients[j] = (float)((double)identity->coefficients[j] + delta[j]);
    return identity;
}

/* "person.pndm.seed42.image_u8" */
static void test_embedded_world(void)
{
    GoldenPipeline fixture;
    g_autoptr(W2wIdentity) person = NULL;
    g_autoptr(W2wIdentity) edited = NULL;
    const char *const *key;
    guint n_of[3] = {0, 0, 0};

    golden_pipeline_open_embedded(&fixture);
    person = get_person(&fixture);
    edited = get_edited(&fixture);
    key = w2w_safetensors_get_keys(w2w_golden_get_file(fixture.golden, "pictures"));
    for (; *key != NULL; key++) {
        g_auto(GStrv) words = g_strsplit(*key, ".", -1);
        const W2wIdentity *const identities[] = {NULL, person, edited};
        const char *const names[] = {"base", "person", "edited", NULL};
        W2wRenderOptions options =
            options_from(get_params(&fixture, "call"), "num_inference_steps");
        guint who = 0;

        g_assert_cmpuint(g_strv_length(words), ==, 4);
        g_strdelimit(words[1], "_", '-');
        while (names[who] != NULL && !g_str_equal(names[who], words[0]))
            who++;
        g_assert_nonnull(names[who]);
        options.scheduler = scheduler_of(words[1]);
        options.identity = identities[who];
        compare_picture(&fixture, "pictures", *key, &options);
        n_of[who]++;
    }
    for (guint who = 0; who < G_N_ELEMENTS(n_of); who++)
        g_assert_cmpuint(n_of[who], >, 0);
    golden_pipeline_close(&fixture);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (guint i = 0; w2w_scheduler_names[i] != NULL; i++) {
        g_autofree char *path =
            g_strdup_printf("/render/golden/%s-latents-and-picture", w2w_scheduler_names[i]);
        g_autofree char *by_definition = g_strconcat(path, "-by-definition", NULL);

        g_test_add_data_func(path, w2w_scheduler_names[i], test_sampler);
        g_test_add_data_func(by_definition, w2w_scheduler_names[i], test_sampler_by_definition);
    }
    g_test_add_data_func("/render/golden/image-to-image", "cpu", test_img2img);
    g_test_add_data_func("/render/golden/image-to-image-by-definition", "reference", test_img2img);
    g_test_add_func("/render/golden/delayed-injection", test_delayed);
    g_test_add_func("/render/golden/seed-to-8-bit-picture", test_seeded);
    g_test_add_func("/render/golden/embedded-world", test_embedded_world);
    return g_test_run();
}

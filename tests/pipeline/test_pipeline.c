/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The pipeline's promises on the embedded world: what is kept, what changes a picture and what
 * does not, what is refused, and that a cancelled picture leaves nothing behind.
 */
#include "engine/pipeline/pipeline.h"

#include <math.h>
#include <string.h>

#include "engine/device/device.h"
#include "engine/error.h"
#include "engine/memory.h"
#include "tests/golden_files.h"
#include "tests/w2w/space_folder.h"

/* Small, and so that width and height cannot be mixed up. */
enum { WIDTH = 64, HEIGHT = 48, STEPS = 3, N_VALUES = WIDTH * HEIGHT * 3 };

static W2wPipeline *new_pipeline(W2wWorld *world, GError **error)
{
    const W2wDeviceOptions options = {.compute_type = W2W_COMPUTE_F32};
    W2wDevice *device = w2w_device_new("cpu", &options, error);

    g_assert_nonnull(device);
    return w2w_pipeline_new(world, device, error);
}

static W2wPipeline *open_embedded(void)
{
    g_autoptr(GError) error = NULL;
    W2wPipeline *pipeline =
        new_pipeline(w2w_world_open(w2w_world_get_default_directory(), &error), &error);

    g_assert_no_error(error);
    return pipeline;
}

static W2wRenderOptions small_picture(void)
{
    return (W2wRenderOptions){.prompt = "sks person",
                              .negative_prompt = "blurry",
                              .width = WIDTH,
                              .height = HEIGHT,
                              .steps = STEPS,
                              .guidance_scale = 3.0,
                              .seed = 7};
}

static W2wIdentity *sample(W2wPipeline *pipeline, guint64 seed)
{
    const W2wSpace *space = w2w_world_get_space(w2w_pipeline_get_world(pipeline));
    g_autoptr(GError) error = NULL;
    W2wIdentity *identity = w2w_identity_new(w2w_space_get_n_with_statistics(space), &error);

    w2w_space_sample(space, 1.0, seed, identity->coefficients, &error);
    g_assert_no_error(error);
    return identity;
}

static float *render(W2wPipeline *pipeline, const W2wRenderOptions *options)
{
    g_autoptr(GError) error = NULL;
    float *image = w2w_pipeline_render_float(pipeline, options, NULL, &error);

    g_assert_no_error(error);
    return image;
}

static gboolean same(const float *a, const float *b)
{
    return memcmp(a, b, N_VALUES * sizeof *a) == 0;
}

static void assert_refused(W2wPipeline *pipeline, const W2wRenderOptions *options, W2wError code,
                           const char *word)
{
    g_autoptr(GError) error = NULL;

    g_assert_null(w2w_pipeline_render(pipeline, options, NULL, &error));
    g_assert_error(error, W2W_ERROR, code);
    g_test_message("%s", error->message);
    g_assert_nonnull(strstr(error->message, word));
}

/* Two identities and the base by turns: each its own picture, whatever came before. */
static void test_identities_by_turns(void)
{
    g_autoptr(W2wPipeline) pipeline = open_embedded();
    g_autoptr(W2wIdentity) first = sample(pipeline, 1);
    g_autoptr(W2wIdentity) second = sample(pipeline, 2);
    const W2wIdentity *const order[] = {NULL, first, second, first, NULL, second};
    float *images[G_N_ELEMENTS(order)];
    W2wRenderOptions options = small_picture();

    for (guint i = 0; i < G_N_ELEMENTS(order); i++) {
        options.identity = order[i];
        images[i] = render(pipeline, &options);
    }
    for (guint i = 0; i < G_N_ELEMENTS(order); i++)
        for (guint j = 0; j < i; j++)
            g_assert_cmpint(same(images[i], images[j]), ==, order[i] == order[j]);
    for (guint i = 0; i < G_N_ELEMENTS(order); i++)
        w2w_aligned_free(images[i]);
    /* The last two identities are kept: neither was unprojected again. */
    g_assert_cmpuint(w2w_pipeline_get_counts(pipeline).n_unprojections, ==, 2);
}

/* The base model is the model without a space, to the last bit. */
static void test_base_is_the_model_alone(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(W2wPipeline) pipeline = open_embedded();
    const char *model = w2w_world_get_model_directory(w2w_pipeline_get_world(pipeline));
    g_autoptr(W2wPipeline) alone = new_pipeline(w2w_world_open_parts(model, NULL, &error), &error);
    g_autoptr(W2wIdentity) identity = sample(pipeline, 1);
    W2wRenderOptions options = small_picture();
    W2W_AUTO_ALIGNED float *with_space = render(pipeline, &options);
    W2W_AUTO_ALIGNED float *without = render(alone, &options);

    g_assert_no_error(error);
    g_assert_true(same(with_space, without));
    options.identity = identity;
    assert_refused(alone, &options, W2W_ERROR_UNSUPPORTED, "space");
}

static void test_what_is_kept(void)
{
    g_autoptr(W2wPipeline) pipeline = open_embedded();
    g_autoptr(W2wIdentity) identity = sample(pipeline, 1);
    W2wRenderOptions options = small_picture();
    W2wPipelineCounts before, after;

    options.identity = identity;
    w2w_aligned_free(render(pipeline, &options));
    before = w2w_pipeline_get_counts(pipeline);
    g_assert_cmpuint(before.n_plans, ==, 3); /* text, UNet, VAE */
    g_assert_cmpuint(before.n_unprojections, ==, 1);
    g_assert_cmpuint(before.n_text_encodings, ==, 2);
    options.seed++;
    w2w_aligned_free(render(pipeline, &options));
    after = w2w_pipeline_get_counts(pipeline);
    g_assert_cmpuint(after.n_plans, ==, before.n_plans);
    g_assert_cmpuint(after.n_unprojections, ==, before.n_unprojections);
    g_assert_cmpuint(after.n_text_encodings, ==, before.n_text_encodings);
    g_assert_cmpuint(after.n_unet_calls, ==, 2 * before.n_unet_calls);
    options.prompt = "person";
    identity->coefficients[0] += 1.0f; /* the same object, somebody else */
    w2w_aligned_free(render(pipeline, &options));
    after = w2w_pipeline_get_counts(pipeline);
    g_assert_cmpuint(after.n_plans, ==, before.n_plans);
    g_assert_cmpuint(after.n_unprojections, ==, before.n_unprojections + 1);
    g_assert_cmpuint(after.n_text_encodings, ==, before.n_text_encodings + 1);
}

/* More sizes than are kept, then the first one again. */
static void test_many_sizes(void)
{
    g_autoptr(W2wPipeline) pipeline = open_embedded();
    W2wRenderOptions options = small_picture();
    W2W_AUTO_ALIGNED float *before = render(pipeline, &options);
    W2W_AUTO_ALIGNED float *after = NULL;

    options.steps = 1;
    for (gint width = 8; width <= 56; width += 8) {
        options.width = width;
        w2w_aligned_free(render(pipeline, &options));
    }
    options = small_picture();
    after = render(pipeline, &options);
    g_assert_true(same(before, after));
}

static void test_prompts_matter(void)
{
    g_autoptr(W2wPipeline) pipeline = open_embedded();
    W2wRenderOptions options = small_picture();
    W2W_AUTO_ALIGNED float *image = render(pipeline, &options);
    W2W_AUTO_ALIGNED float *other_prompt = NULL;
    W2W_AUTO_ALIGNED float *other_negative = NULL;
    W2W_AUTO_ALIGNED float *other_seed = NULL;
    W2W_AUTO_ALIGNED float *again = NULL;

    options.prompt = "a portrait of an old man with glasses";
    other_prompt = render(pipeline, &options);
    options = small_picture();
    options.negative_prompt = NULL;
    other_negative = render(pipeline, &options);
    options = small_picture();
    options.seed = 8;
    other_seed = render(pipeline, &options);
    options = small_picture();
    again = render(pipeline, &options);
    g_assert_false(same(image, other_prompt));
    g_assert_false(same(image, other_negative));
    g_assert_false(same(image, other_seed));
    g_assert_true(same(image, again));
}

/* Guidance of 1 and below: the prompt alone, one call per step for one picture. */
static void test_without_guidance(void)
{
    g_autoptr(W2wPipeline) pipeline = open_embedded();
    W2wRenderOptions options = small_picture();
    W2W_AUTO_ALIGNED float *one = NULL;
    W2W_AUTO_ALIGNED float *other_negative = NULL;
    W2W_AUTO_ALIGNED float *nearly_one = NULL;

    options.guidance_scale = 1.0;
    one = render(pipeline, &options);
    options.negative_prompt = "person";
    other_negative = render(pipeline, &options);
    g_assert_true(same(one, other_negative));
    options.guidance_scale = 1.0 + 1e-6;
    nearly_one = render(pipeline, &options);
    for (guint i = 0; i < N_VALUES; i++)
        g_assert_cmpfloat_with_epsilon(one[i], nearly_one[i], 1e-3);
}

static void test_delayed_injection(void)
{
    g_autoptr(W2wPipeline) pipeline = open_embedded();
    g_autoptr(W2wIdentity) base = sample(pipeline, 1);
    g_autoptr(W2wIdentity) edited = sample(pipeline, 2);
    W2wRenderOptions options = small_picture();
    W2W_AUTO_ALIGNED float *only_base = NULL;
    W2W_AUTO_ALIGNED float *only_edited = NULL;
    W2W_AUTO_ALIGNED float *never = NULL;
    W2W_AUTO_ALIGNED float *at_once = NULL;
    W2W_AUTO_ALIGNED float *midway = NULL;

    options.identity = base;
    only_base = render(pipeline, &options);
    options.identity = edited;
    only_edited = render(pipeline, &options);
    options.base_identity = base;
    options.from_timestep = 0.0;
    never = render(pipeline, &options);
    options.from_timestep = 1000.0;
    at_once = render(pipeline, &options);
    options.from_timestep = 500.0;
    midway = render(pipeline, &options);
    g_assert_true(same(never, only_base));
    g_assert_true(same(at_once, only_edited));
    g_assert_false(same(midway, only_base));
    g_assert_false(same(midway, only_edited));
    g_assert_cmpuint(w2w_pipeline_get_counts(pipeline).n_unprojections, ==, 2);
}

static void test_picture_rounding(void)
{
    g_autoptr(W2wPipeline) pipeline = open_embedded();
    g_autoptr(GError) error = NULL;
    W2wRenderOptions options = small_picture();
    W2W_AUTO_ALIGNED float *image = render(pipeline, &options);
    g_autoptr(W2wPicture) picture = w2w_pipeline_render(pipeline, &options, NULL, &error);

    g_assert_no_error(error);
    g_assert_cmpuint(picture->width, ==, WIDTH);
    g_assert_cmpuint(picture->height, ==, HEIGHT);
    for (guint i = 0; i < N_VALUES; i++) {
        const double exact = CLAMP((double)image[i] / 2.0 + 0.5, 0.0, 1.0) * 255.0;

        g_assert_cmpfloat(fabs(picture->pixels[i] - exact), <=, 0.5 + 1e-4);
    }
}

static void test_bad_settings(void)
{
    g_autoptr(W2wPipeline) pipeline = open_embedded();
    static const gint bad_sizes[] = {0, -8, 4, 63, 65, 100, W2W_RENDER_MAX_SIZE + 8, G_MAXINT};
    W2wRenderOptions options;

    for (guint i = 0; i < G_N_ELEMENTS(bad_sizes); i++) {
        g_autofree char *number = g_strdup_printf("%d", bad_sizes[i]);

        options = small_picture();
        options.width = bad_sizes[i];
        assert_refused(pipeline, &options, W2W_ERROR_USAGE, number);
        options = small_picture();
        options.height = bad_sizes[i];
        assert_refused(pipeline, &options, W2W_ERROR_USAGE, number);
    }
    options = small_picture();
    options.guidance_scale = NAN;
    assert_refused(pipeline, &options, W2W_ERROR_USAGE, "guidance");
    options.guidance_scale = -1.0;
    assert_refused(pipeline, &options, W2W_ERROR_USAGE, "guidance");
    options = small_picture();
    options.steps = 0;
    assert_refused(pipeline, &options, W2W_ERROR_USAGE, "steps");
    options.steps = 1001;
    assert_refused(pipeline, &options, W2W_ERROR_USAGE, "steps");
    options = small_picture();
    options.prompt = NULL;
    assert_refused(pipeline, &options, W2W_ERROR_USAGE, "prompt");
    options.prompt = "caf\xe9";
    assert_refused(pipeline, &options, W2W_ERROR_USAGE, "UTF-8");
    options = small_picture();
    options.negative_prompt = "\xff";
    assert_refused(pipeline, &options, W2W_ERROR_USAGE, "UTF-8");
    /* None of it has harmed the pipeline. */
    options = small_picture();
    w2w_aligned_free(render(pipeline, &options));
}

static void test_bad_identities(void)
{
    g_autoptr(W2wPipeline) pipeline = open_embedded();
    g_autoptr(W2wIdentity) identity = sample(pipeline, 1);
    g_autoptr(GError) error = NULL;
    g_autoptr(W2wIdentity) too_long = w2w_identity_new(
        w2w_space_get_n_components(w2w_world_get_space(w2w_pipeline_get_world(pipeline))) + 1,
        &error);
    W2wRenderOptions options = small_picture();

    options.identity = too_long;
    assert_refused(pipeline, &options, W2W_ERROR_MISMATCH, "components");
    options.identity = identity;
    identity->space_fingerprint = g_strnfill(64, 'a');
    assert_refused(pipeline, &options, W2W_ERROR_MISMATCH, "another space");
    g_clear_pointer(&identity->space_fingerprint, g_free);
    identity->coefficients[3] = NAN;
    assert_refused(pipeline, &options, W2W_ERROR_USAGE, "finite");
    identity->coefficients[3] = 1e30f; /* finite, and nothing that a UNet survives */
    assert_refused(pipeline, &options, W2W_ERROR_FAILED, "not finite");
    options.identity = NULL;
    w2w_aligned_free(render(pipeline, &options));
}

typedef struct {
    GCancellable *cancellable;
    guint n_calls, cancel_at; /* 0: never */
    double last;
} Watch;

static void on_progress(double fraction, const char *text, gpointer user_data)
{
    Watch *watch = user_data;

    g_assert_cmpfloat(fraction, >=, watch->last);
    g_assert_cmpfloat(fraction, <=, 1.0);
    g_assert_cmpstr(text, !=, "");
    watch->last = fraction;
    if (++watch->n_calls == watch->cancel_at)
        g_cancellable_cancel(watch->cancellable);
}

static void test_progress_and_cancel(void)
{
    g_autoptr(W2wPipeline) pipeline = open_embedded();
    W2wRenderOptions options = small_picture();
    W2W_AUTO_ALIGNED float *undisturbed = render(pipeline, &options);
    const guint calls_per_picture = w2w_pipeline_get_counts(pipeline).n_unet_calls;

    for (guint cancel_at = 0; cancel_at <= calls_per_picture; cancel_at++) {
        g_autoptr(GCancellable) cancellable = g_cancellable_new();
        Watch watch = {.cancellable = cancellable, .cancel_at = cancel_at};
        const W2wProgress progress = {on_progress, &watch, cancellable};
        const guint before = w2w_pipeline_get_counts(pipeline).n_unet_calls;
        g_autoptr(GError) error = NULL;
        W2W_AUTO_ALIGNED float *image =
            w2w_pipeline_render_float(pipeline, &options, &progress, &error);

        if (cancel_at == 0) {
            g_assert_no_error(error);
            g_assert_true(same(image, undisturbed));
            g_assert_cmpfloat(watch.last, ==, 1.0);
        } else {
            g_assert_null(image);
            g_assert_error(error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
            /* It stops with the step that is under way. */
            g_assert_cmpuint(w2w_pipeline_get_counts(pipeline).n_unet_calls - before, ==,
                             cancel_at);
        }
    }
    {
        W2W_AUTO_ALIGNED float *after = render(pipeline, &options);

        g_assert_true(same(after, undisturbed));
    }
}

/* The embedded model with `part` taken from the golden folder's model, and its own space. */
static void assert_parts_refused(const char *part, const char *const *words)
{
    const char *embedded = w2w_world_get_default_directory();
    g_autofree char *model = g_build_filename(embedded, "model", NULL);
    g_autofree char *other = g_build_filename(w2w_golden_dir(), "model", part, NULL);
    char *folder = link_folder(model, NULL);
    g_autoptr(GError) error = NULL;
    g_autoptr(W2wPipeline) pipeline = NULL;

    link_file(folder, part, other);
    pipeline = new_pipeline(w2w_world_open_parts(folder, NULL, &error), &error);
    g_assert_null(pipeline);
    g_assert_error(error, W2W_ERROR, W2W_ERROR_MISMATCH);
    g_test_message("%s", error->message);
    for (; *words != NULL; words++)
        g_assert_nonnull(strstr(error->message, *words));
    remove_folder(folder);
}

static void test_parts_of_other_models(void)
{
    assert_parts_refused("tokenizer", (const char *const[]){"tokenizer", "text encoder", NULL});
    assert_parts_refused("unet", (const char *const[]){"text encoder", "UNet", NULL});
    assert_parts_refused("vae", (const char *const[]){"UNet", "VAE", "channels", NULL});
}

static void test_space_of_another_model(void)
{
    const char *embedded = w2w_world_get_default_directory();
    g_autofree char *model = g_build_filename(embedded, "model", NULL);
    g_autofree char *space = w2w_golden_path("space");
    g_autoptr(GError) error = NULL;
    g_autoptr(W2wPipeline) pipeline =
        new_pipeline(w2w_world_open_parts(model, space, &error), &error);

    g_assert_null(pipeline);
    g_assert_error(error, W2W_ERROR, W2W_ERROR_MISMATCH);
    g_test_message("%s", error->message);
    g_assert_nonnull(strstr(error->message, model));
    g_assert_nonnull(strstr(error->message, space));
}

static void test_other_pipelines(void)
{
    static const struct {
        const char *index;
        W2wError code;
        const char *word;
    } cases[] = {
        {"{\"_class_name\": \"StableDiffusionXLPipeline\"}", W2W_ERROR_UNSUPPORTED,
         "StableDiffusionXLPipeline"},
        {"{\"_class_name\": \"FluxPipeline\"}", W2W_ERROR_UNSUPPORTED, "FluxPipeline"},
        {"{\"_class_name\": 3}", W2W_ERROR_FORMAT, "_class_name"},
        {"{}", W2W_ERROR_FORMAT, "_class_name"},
        {"{", W2W_ERROR_FORMAT, "JSON"},
    };
    g_autofree char *model = g_build_filename(w2w_world_get_default_directory(), "model", NULL);
    char *folder = link_folder(model, NULL);

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(W2wPipeline) pipeline = NULL;

        write_text(folder, "model_index.json", cases[i].index);
        pipeline = new_pipeline(w2w_world_open_parts(folder, NULL, &error), &error);
        g_assert_null(pipeline);
        g_assert_error(error, W2W_ERROR, cases[i].code);
        g_assert_nonnull(strstr(error->message, "model_index.json"));
        g_assert_nonnull(strstr(error->message, cases[i].word));
    }
    remove_folder(folder);
}

static void test_missing_parts(void)
{
    static const char *const parts[] = {"tokenizer", "text_encoder", "unet", "vae", "scheduler"};
    g_autofree char *model = g_build_filename(w2w_world_get_default_directory(), "model", NULL);

    for (guint i = 0; i < G_N_ELEMENTS(parts); i++) {
        char *folder = link_folder(model, NULL);
        g_autoptr(GError) error = NULL;
        g_autoptr(W2wPipeline) pipeline = NULL;

        remove_file(folder, parts[i]);
        pipeline = new_pipeline(w2w_world_open_parts(folder, NULL, &error), &error);
        g_assert_null(pipeline);
        g_assert_error(error, W2W_ERROR, W2W_ERROR_FILE);
        g_assert_nonnull(strstr(error->message, parts[i]));
        remove_folder(folder);
    }
}

/* Without weight_dimensions.pt the keys come from the UNet: the same person. */
static void test_keys_from_the_unet(void)
{
    g_autofree char *space = embedded_space();
    g_autofree char *model = g_build_filename(w2w_world_get_default_directory(), "model", NULL);
    char *folder = link_folder(space, NULL);
    g_autoptr(GError) error = NULL;
    g_autoptr(W2wPipeline) with = open_embedded();
    g_autoptr(W2wPipeline) without = NULL;
    g_autoptr(W2wIdentity) identity = sample(with, 1);
    W2wRenderOptions options = small_picture();
    W2W_AUTO_ALIGNED float *expected = NULL;
    W2W_AUTO_ALIGNED float *image = NULL;

    remove_file(folder, "weight_dimensions.pt");
    without = new_pipeline(w2w_world_open_parts(model, folder, &error), &error);
    g_assert_no_error(error);
    options.identity = identity;
    expected = render(with, &options);
    image = render(without, &options);
    g_assert_true(same(image, expected));
    remove_folder(folder);
}

static void test_fingerprint_and_sizes(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(W2wPipeline) pipeline = open_embedded();
    g_autofree char *model = w2w_golden_path("model");
    g_autoptr(W2wPipeline) other = new_pipeline(w2w_world_open_parts(model, NULL, &error), &error);
    const W2wPipelineSizes sizes = w2w_pipeline_get_sizes(pipeline);
    const char *const prompts[] = {"person", "sks person"};
    W2W_AUTO_ALIGNED float *both = w2w_pipeline_encode_text(pipeline, prompts, 2, &error);
    W2W_AUTO_ALIGNED float *second = w2w_pipeline_encode_text(pipeline, prompts + 1, 1, &error);
    const gsize n = (gsize)sizes.text_length * (gsize)sizes.text_width;
    guint n_cut = 77;

    g_assert_no_error(error);
    g_assert_cmpuint(strlen(w2w_pipeline_get_model_fingerprint(pipeline)), ==, 64);
    g_assert_cmpstr(w2w_pipeline_get_model_fingerprint(pipeline), !=,
                    w2w_pipeline_get_model_fingerprint(other));
    g_assert_cmpmem(both + n, n * sizeof *both, second, n * sizeof *second);
    g_assert_true(w2w_pipeline_count_cut(pipeline, "person", &n_cut, &error));
    g_assert_cmpuint(n_cut, ==, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/pipeline/identities-by-turns", test_identities_by_turns);
    g_test_add_func("/pipeline/base-is-the-model-alone", test_base_is_the_model_alone);
    g_test_add_func("/pipeline/what-is-kept", test_what_is_kept);
    g_test_add_func("/pipeline/more-sizes-than-are-kept", test_many_sizes);
    g_test_add_func("/pipeline/prompts-and-seed-matter", test_prompts_matter);
    g_test_add_func("/pipeline/without-guidance", test_without_guidance);
    g_test_add_func("/pipeline/delayed-injection", test_delayed_injection);
    g_test_add_func("/pipeline/8-bit-rounding", test_picture_rounding);
    g_test_add_func("/pipeline/bad-settings", test_bad_settings);
    g_test_add_func("/pipeline/bad-identities", test_bad_identities);
    g_test_add_func("/pipeline/progress-and-cancel", test_progress_and_cancel);
    g_test_add_func("/pipeline/parts-of-other-models", test_parts_of_other_models);
    g_test_add_func("/pipeline/space-of-another-model", test_space_of_another_model);
    g_test_add_func("/pipeline/other-pipelines", test_other_pipelines);
    g_test_add_func("/pipeline/missing-parts", test_missing_parts);
    g_test_add_func("/pipeline/keys-from-the-unet", test_keys_from_the_unet);
    g_test_add_func("/pipeline/fingerprint-and-sizes", test_fingerprint_and_sizes);
    return g_test_run();
}

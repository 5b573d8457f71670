/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * edit-picture, on the embedded world and in small pictures: nothing changes nothing, in any PNG;
 * outside of the mask every pixel stays; a region can be put into its place by somebody else; and
 * both methods lead from a picture back to it.
 */
#include <math.h>
#include <string.h>

#include "engine/device/device.h"
#include "engine/error.h"
#include "engine/formats/json.h"
#include "engine/formats/png.h"
#include "engine/job/job.h"
#include "engine/job/picture_parameters.h"
#include "engine/memory.h"
#include "tests/w2w/space_folder.h"

static char *folder;
static W2wPipeline *pipeline;

static void open_embedded(void)
{
    const W2wDeviceOptions options = {.compute_type = W2W_COMPUTE_F32};
    g_autoptr(GError) error = NULL;
    W2wWorld *world = w2w_world_open(w2w_world_get_default_directory(), &error);
    W2wDevice *device = w2w_device_new("cpu", &options, &error);

    g_assert_no_error(error);
    pipeline = w2w_pipeline_new(world, device, &error);
    g_assert_no_error(error);
}

static W2wIdentity *make_identity(void)
{
    g_autoptr(GError) error = NULL;
    W2wSpace *space = w2w_world_get_space(w2w_pipeline_get_world(pipeline));
    W2wIdentity *identity = w2w_identity_new(w2w_space_get_n_components(space), &error);

    g_assert_no_error(error);
    for (guint i = 0; i < identity->n_coefficients; i++)
        identity->coefficients[i] = 0.3f * sinf((float)i);
    identity->space_fingerprint = g_strdup(w2w_space_get_fingerprint(space));
    return identity;
}

static void set(W2wValues *values, const char *name, const char *text)
{
    g_autoptr(GError) error = NULL;

    w2w_values_set_text(values, name, text, &error);
    g_assert_no_error(error);
}

static void set_bytes(W2wValues *values, const char *name, GBytes *bytes)
{
    g_autoptr(GError) error = NULL;

    w2w_values_set_bytes(values, name, bytes, &error);
    g_assert_no_error(error);
}

/* Through a file, as they come. */
static GBytes *to_png(const W2wPicture *picture)
{
    g_autofree char *path = g_build_filename(folder, "a.png", NULL);
    g_autoptr(GError) error = NULL;
    char *contents;
    gsize length;

    w2w_png_write(picture, path, NULL, &error);
    g_assert_no_error(error);
    g_file_get_contents(path, &contents, &length, &error);
    g_assert_no_error(error);
    return g_bytes_new_take(contents, length);
}

static W2wPicture *make_picture(guint width, guint height)
{
    g_autoptr(GError) error = NULL;
    W2wPicture *picture = w2w_picture_new(width, height, &error);

    g_assert_no_error(error);
    for (guint i = 0; i < width * height * 3; i++)
        picture->pixels[i] = (guint8)(128.0 + 100.0 * sin(i * 0.013) * cos(i / 3.0 / width * 0.2));
    return picture;
}

/* Alpha, and numbers of 16 bits. */
static void make_deep(W2wPicture *picture)
{
    const gsize n = (gsize)picture->width * picture->height;

    g_assert_true(w2w_picture_add_deep(picture, NULL));
    for (gsize i = 0; i < n; i++) {
        for (guint c = 0; c < 3; c++)
            picture->deep[i * 4 + c] = (guint16)(picture->pixels[i * 3 + c] * 257 ^ (i & 127));
        picture->deep[i * 4 + 3] = i % 5 == 0 ? 0 : (guint16)(65535 - i % 100);
    }
    w2w_picture_flatten(picture->deep, n, picture->pixels);
}

static void fill_mask(W2wPicture *mask, guint x, guint y, guint width, guint height, guint8 value)
{
    for (guint j = y; j < y + height; j++)
        memset(mask->pixels + (j * mask->width + x) * 3, value, width * 3);
}

/* A soft square. */
static W2wPicture *make_mask(guint width, guint height, guint x, guint y, guint side)
{
    W2wPicture *mask = make_picture(width, height);

    memset(mask->pixels, 0, (gsize)width * height * 3);
    fill_mask(mask, x, y, side, side, 100);
    fill_mask(mask, x + 2, y + 2, side - 4, side - 4, 255);
    return mask;
}

static W2wValues *make_values(const W2wPicture *picture, const W2wPicture *mask)
{
    const W2wJob *job = &w2w_edit_picture_job;
    W2wValues *values = w2w_values_new(job->parameters, job->n_parameters);
    g_autoptr(W2wIdentity) identity = make_identity();
    g_autoptr(GBytes) identity_bytes = w2w_identity_to_bytes(identity, NULL);
    g_autoptr(GBytes) image = to_png(picture);
    g_autoptr(GBytes) mask_bytes = mask != NULL ? to_png(mask) : NULL;

    set_bytes(values, "identity", identity_bytes);
    set_bytes(values, "image", image);
    if (mask != NULL)
        set_bytes(values, "mask", mask_bytes);
    set(values, "width", "48");
    set(values, "height", "48");
    set(values, "steps", "4");
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

static W2wJobResult *run(const W2wValues *values)
{
    const W2wJob *job = &w2w_edit_picture_job;
    g_autoptr(GError) error = NULL;
    W2wJobResult *result = NULL;

    job->check(w2w_pipeline_get_world(pipeline), values, &error);
    g_assert_no_error(error);
    job->run(pipeline, values, take_result, &result, NULL, &error);
    g_assert_no_error(error);
    g_assert_nonnull(result);
    return result;
}

static JsonObject *parse(const char *text)
{
    JsonObject *object = w2w_json_parse(text, strlen(text), "JSON", NULL);

    g_assert_nonnull(object);
    return object;
}

static void assert_same(const W2wPicture *a, const W2wPicture *b)
{
    const gsize n = (gsize)a->width * a->height;

    g_assert_cmpuint(a->width, ==, b->width);
    g_assert_cmpuint(a->height, ==, b->height);
    g_assert_cmpmem(a->pixels, n * 3, b->pixels, n * 3);
    g_assert_true((a->deep == NULL) == (b->deep == NULL));
    if (a->deep != NULL)
        g_assert_cmpmem(a->deep, n * 8, b->deep, n * 8);
}

/* No settings, and settings of 0: the file's pixels, with alpha and 16 bits, at any size. */
static void test_nothing(void)
{
    static const char *const edits[] = {"", "Young=0;#3=0", "protect=Male"};
    static const guint sizes[][2] = {{48, 48}, {31, 77}, {200, 50}};
    const guint n_calls = w2w_pipeline_get_counts(pipeline).n_unet_calls;

    for (guint i = 0; i < 9; i++) {
        g_autoptr(W2wPicture) picture = make_picture(sizes[i % 3][0], sizes[i % 3][1]);
        g_autoptr(W2wPicture) back = NULL;
        g_autoptr(W2wValues) values = NULL;
        g_autoptr(W2wJobResult) result = NULL;
        g_autoptr(GBytes) png = NULL;
        g_autoptr(JsonObject) report = NULL;
        g_autoptr(GError) error = NULL;

        if (i >= 3)
            make_deep(picture);
        values = make_values(picture, NULL);
        set(values, "edits", edits[i / 3]);
        result = run(values);
        assert_same(result->picture, picture);
        png = to_png(result->picture);
        back = w2w_png_read_deep_bytes(png, "the result", &error);
        g_assert_no_error(error);
        assert_same(back, picture);
        report = parse(result->report);
        g_assert_true(json_object_get_boolean_member(report, "unchanged"));
        g_assert_nonnull(strstr(result->message, "unchanged"));
    }
    g_assert_cmpuint(w2w_pipeline_get_counts(pipeline).n_unet_calls, ==, n_calls);
}

/* What is rendered twice the same is no difference: the long way to nothing, in both methods. */
static void test_nothing_rendered(void)
{
    static const char *const methods[] = {"noise", "ddim"};

    for (guint m = 0; m < 2; m++) {
        g_autoptr(W2wPicture) picture = make_picture(61, 40);
        g_autoptr(W2wValues) values = make_values(picture, NULL);
        g_autoptr(W2wJobResult) result = NULL;

        /* a change of a coefficient's last bits, which no weight of float32 shows */
        set(values, "edits", "#1=0.0000001");
        set(values, "method", methods[m]);
        result = run(values);
        for (guint i = 0; i < 61 * 40 * 3; i++)
            g_assert_cmpint(ABS(result->picture->pixels[i] - picture->pixels[i]), <=, 1);
    }
}

static void test_outside_stays(void)
{
    static const char *const methods[] = {"noise", "ddim"};

    for (guint i = 0; i < 4; i++) {
        g_autoptr(W2wPicture) picture = make_picture(150, 90);
        g_autoptr(W2wPicture) mask = make_mask(150, 90, 60, 20, 40);
        g_autoptr(W2wValues) values = NULL;
        g_autoptr(W2wJobResult) result = NULL;
        guint n_changed = 0;

        if (i >= 2)
            make_deep(picture);
        values = make_values(picture, mask);
        set(values, "edits", "#1=2;#2=2");
        set(values, "method", methods[i % 2]);
        result = run(values);
        g_assert_nonnull(result->identity);
        for (gsize p = 0; p < 150 * 90; p++) {
            const gboolean same =
                memcmp(result->picture->pixels + p * 3, picture->pixels + p * 3, 3) == 0 &&
                (i < 2 || memcmp(result->picture->deep + p * 4, picture->deep + p * 4, 8) == 0);

            if (mask->pixels[p * 3] == 0 || (i >= 2 && picture->deep[p * 4 + 3] == 0))
                g_assert_true(same);
            n_changed += !same;
        }
        g_assert_cmpuint(n_changed, >, 100);
    }
}

/* The region, blended with the mask by hand, is the whole result to a rounding. */
static void test_region(void)
{
    g_autoptr(W2wPicture) picture = make_picture(150, 90);
    g_autoptr(W2wPicture) mask = make_mask(150, 90, 60, 20, 40);
    g_autoptr(W2wValues) values = make_values(picture, mask);
    g_autoptr(W2wJobResult) whole = NULL;
    g_autoptr(W2wJobResult) region = NULL;
    g_autoptr(JsonObject) report = NULL;
    JsonArray *box;
    gint x0, y0;

    set(values, "edits", "#1=2");
    whole = run(values);
    set(values, "region-only", "true");
    region = run(values);
    report = parse(region->report);
    box = json_object_get_array_member(report, "box");
    x0 = (gint)json_array_get_int_element(box, 0);
    y0 = (gint)json_array_get_int_element(box, 1);
    g_assert_cmpint(json_array_get_int_element(box, 2), ==, region->picture->width);
    g_assert_cmpint(json_array_get_int_element(box, 3), ==, region->picture->height);
    g_assert_cmpuint(region->picture->width, ==, 40); /* as wide as the mask */
    for (gint y = 0; y < (gint)region->picture->height; y++)
        for (gint x = 0; x < (gint)region->picture->width; x++)
            for (gint c = 0; c < 3; c++) {
                const gsize at = (gsize)((y0 + y) * 150 + x0 + x) * 3 + (gsize)c;
                const double old = picture->pixels[at];
                const guint8 new =
                    region->picture
                        ->pixels[((gsize)y * region->picture->width + (gsize)x) * 3 + (gsize)c];

                /* where the region hits black or white, its differences are cut off there */
                if (new > 0 && new < 255)
                    g_assert_cmpfloat_with_epsilon(whole->picture->pixels[at],
                                                   old + (new - old) * mask->pixels[at] / 255.0,
                                                   1.01);
            }
}

/* Same values, same bits; another seed, another picture. */
static void test_repeats(void)
{
    g_autoptr(W2wPicture) picture = make_picture(50, 50);
    g_autoptr(W2wValues) values = make_values(picture, NULL);
    g_autoptr(W2wJobResult) one = NULL;
    g_autoptr(W2wJobResult) two = NULL;
    g_autoptr(W2wJobResult) other = NULL;

    set(values, "edits", "#1=2");
    one = run(values);
    two = run(values);
    assert_same(one->picture, two->picture);
    g_assert_cmpstr(one->recipe, ==, two->recipe);
    set(values, "seed", "6");
    other = run(values);
    g_assert_cmpuint(other->seed, ==, 6);
    g_assert_true(memcmp(other->picture->pixels, one->picture->pixels, 50 * 50 * 3) != 0);
}

static void test_recipe(void)
{
    g_autoptr(W2wPicture) picture = make_picture(150, 90);
    g_autoptr(W2wPicture) mask = make_mask(150, 90, 60, 20, 40);
    g_autoptr(W2wValues) values = make_values(picture, mask);
    g_autoptr(W2wJobResult) result = NULL;
    g_autoptr(JsonObject) recipe = NULL;
    g_autoptr(JsonObject) report = NULL;
    g_autoptr(W2wIdentity) identity = NULL;
    JsonArray *moved;
    gboolean has_young = FALSE;

    set(values, "edits", "Young=-0.5");
    set(values, "strength", "0.5");
    result = run(values);
    g_assert_cmpstr(result->name, ==, "Person: Young −0.5");
    recipe = parse(result->recipe);
    g_assert_cmpstr(json_object_get_string_member(recipe, "job"), ==, "edit-picture");
    g_assert_cmpstr(json_object_get_string_member(recipe, "edits"), ==, "Young=-0.5");
    g_assert_cmpstr(json_object_get_string_member(recipe, "crop"), ==, "selection");
    g_assert_cmpstr(json_object_get_string_member(recipe, "box"), ==, "60,20,40,40");
    g_assert_cmpfloat(json_object_get_double_member(recipe, "strength"), ==, 0.5);
    g_assert_true(json_object_has_member(recipe, "image"));
    g_assert_true(json_object_has_member(recipe, "mask"));
    identity = w2w_identity_from_bytes(result->identity, "the result", NULL);
    g_assert_cmpstr(identity->recipe, ==, result->recipe);
    report = parse(result->report);
    g_assert_cmpfloat(json_object_get_double_member(report, "timestep"), ==, 251.0);
    moved = json_object_get_array_member(report, "moved");
    for (guint i = 0; i < json_array_get_length(moved); i++) {
        JsonObject *row = json_array_get_object_element(moved, i);

        if (strcmp(json_object_get_string_member(row, "name"), "Young") == 0) {
            has_young = TRUE;
            g_assert_cmpfloat_with_epsilon(json_object_get_double_member(row, "after") -
                                               json_object_get_double_member(row, "before"),
                                           -0.5, 0.002);
        }
    }
    g_assert_true(has_young);
}

static void assert_refused(const W2wValues *values, W2wError code, const char *word)
{
    g_autoptr(GError) error = NULL;

    g_assert_false(w2w_edit_picture_job.check(w2w_pipeline_get_world(pipeline), values, &error));
    g_assert_error(error, W2W_ERROR, code);
    g_test_message("%s", error->message);
    g_assert_nonnull(strstr(error->message, word));
}

/* However little: one step is done, of any number. */
static void test_least_strength(void)
{
    static const char *const steps[] = {"1", "4", "49", "120"};
    g_autoptr(W2wPicture) picture = make_picture(60, 50);
    g_autoptr(W2wValues) values = make_values(picture, NULL);
    g_autoptr(W2wJobResult) result = NULL;
    g_autoptr(GError) error = NULL;

    g_assert_false(w2w_values_set_text(values, "strength", "0", &error));
    g_assert_error(error, W2W_ERROR, W2W_ERROR_USAGE);
    g_assert_nonnull(strstr(error->message, "0.01"));
    g_clear_error(&error);
    set(values, "strength", "0.01");
    for (guint i = 0; i < G_N_ELEMENTS(steps); i++) {
        set(values, "steps", steps[i]);
        w2w_edit_picture_job.check(w2w_pipeline_get_world(pipeline), values, &error);
        g_assert_no_error(error);
    }
    set(values, "steps", "49");
    set(values, "edits", "Young=-0.5");
    result = run(values);
    g_assert_nonnull(result->picture);
}

static void test_refused(void)
{
    static const struct {
        const char *name, *value, *word;
    } cases[] = {
        {"box", "1,2,3", "x,y,width,height"},
        {"box", "1,2,3,4,5", "x,y,width,height"},
        {"box", "1,2,3,four", "x,y,width,height"},
        {"box", "1,2,99999999999,4", "x,y,width,height"},
        {"box", "-9223372036854775808,0,128,128", "x,y,width,height"},
        {"box", "-99999999999,0,128,128", "x,y,width,height"},
        {"box", "500,0,20,20", "outside"},
        {"crop", "box", "there is none"},
        {"scheduler", "pndm", "ddim"},
        {"edits", "Yuong=1", "Young"},
    };
    g_autoptr(W2wPicture) picture = make_picture(60, 50);
    g_autoptr(W2wPicture) other = make_picture(50, 60);
    g_autoptr(GBytes) other_png = to_png(other);
    g_autoptr(GBytes) text = g_bytes_new_static("no PNG", 6);

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(W2wValues) values = make_values(picture, NULL);

        set(values, cases[i].name, cases[i].value);
        assert_refused(values, W2W_ERROR_USAGE, cases[i].word);
    }
    {
        g_autoptr(W2wValues) values = make_values(picture, NULL);

        set(values, "crop", "selection");
        assert_refused(values, W2W_ERROR_USAGE, "mask");
        set(values, "crop", "whole");
        set(values, "box", "1,2,30,30");
        assert_refused(values, W2W_ERROR_USAGE, "“whole”");
    }
    {
        g_autoptr(W2wValues) values = make_values(picture, NULL);

        set_bytes(values, "mask", other_png);
        assert_refused(values, W2W_ERROR_MISMATCH, "50 × 60");
        set_bytes(values, "mask", NULL);
        set_bytes(values, "image", text);
        assert_refused(values, W2W_ERROR_FORMAT, "The image");
        set_bytes(values, "image", NULL);
        assert_refused(values, W2W_ERROR_USAGE, "image is missing");
        set_bytes(values, "identity", NULL);
        assert_refused(values, W2W_ERROR_USAGE, "Invert the picture");
    }
}

/* Names of crops: "auto" and the policies. */
static void test_crops(void)
{
    for (guint i = 0; w2w_crop_policy_names[i] != NULL; i++)
        g_assert_cmpstr(w2w_picture_crops[i + 1], ==, w2w_crop_policy_names[i]);
    g_assert_cmpuint(g_strv_length((char **)w2w_picture_crops), ==,
                     g_strv_length((char **)w2w_crop_policy_names) + 1);
    g_assert_cmpuint(g_strv_length((char **)w2w_picture_crop_labels), ==,
                     g_strv_length((char **)w2w_picture_crops));
}

/* Root mean square of what two images differ by. */
static double distance(const float *a, const float *b, gsize n)
{
    double sum = 0.0;

    for (gsize i = 0; i < n; i++)
        sum += (a[i] - b[i]) * (a[i] - b[i]);
    return sqrt(sum / (double)n);
}

/*
 * There and back with the same weights, on a picture of the model's own: what comes back is what
 * the VAE makes of the picture, the nearer the more predictions a step has.
 */
static void test_ddim_inverts(void)
{
    static const guint n_predictions[] = {1, 2, 5};
    g_autoptr(W2wIdentity) identity = make_identity();
    g_autoptr(GError) error = NULL;
    W2wRenderOptions options = {
        .identity = identity,
        .prompt = "sks person",
        .width = 64,
        .height = 64,
        .steps = 10,
        .guidance_scale = 1.0,
        .scheduler = W2W_SCHEDULER_DDIM,
        .seed = 3,
        .strength = 1.0,
    };
    const gsize n = 64 * 64 * 3;
    g_autoptr(W2wPicture) picture = w2w_pipeline_render(pipeline, &options, NULL, &error);
    W2W_AUTO_ALIGNED float *expected = NULL;
    W2W_AUTO_ALIGNED float *unused = NULL;
    double distances[3];

    g_assert_no_error(error);
    options.init_picture = picture;
    w2w_pipeline_change_picture(pipeline, &options, identity, &expected, &unused, NULL, &error);
    g_assert_no_error(error);
    for (guint i = 0; i < G_N_ELEMENTS(n_predictions); i++) {
        W2wRenderOptions back = options;
        W2W_AUTO_ALIGNED float *noised = NULL;
        W2W_AUTO_ALIGNED float *again = NULL;

        noised = w2w_pipeline_invert_ddim(pipeline, &back, n_predictions[i], NULL, &error);
        g_assert_no_error(error);
        back.init_picture = NULL;
        back.noised_latents = noised;
        again = w2w_pipeline_render_float(pipeline, &back, NULL, &error);
        g_assert_no_error(error);
        distances[i] = distance(expected, again, n);
        g_test_message("%u predictions: %g", n_predictions[i], distances[i]);
    }
    g_assert_cmpfloat(distances[1], <, 0.5 * distances[0]);
    g_assert_cmpfloat(distances[2], <, 0.5 * distances[1]);
    g_assert_cmpfloat(distances[2], <, 0.02); /* of 2 */
}

/* With one identity on both sides, the two images are one, to the bit; and the picture. */
static void test_change_of_nothing(void)
{
    g_autoptr(W2wIdentity) identity = make_identity();
    g_autoptr(W2wPicture) picture = make_picture(64, 40);
    g_autoptr(GError) error = NULL;
    const W2wRenderOptions options = {
        .identity = identity,
        .prompt = "sks person",
        .width = 64,
        .height = 40,
        .steps = 5,
        .guidance_scale = 3.0,
        .scheduler = W2W_SCHEDULER_DDIM,
        .strength = 1.0,
        .init_picture = picture,
    };
    W2W_AUTO_ALIGNED float *before = NULL;
    W2W_AUTO_ALIGNED float *after = NULL;

    w2w_pipeline_change_picture(pipeline, &options, identity, &before, &after, NULL, &error);
    g_assert_no_error(error);
    g_assert_cmpmem(before, 64 * 40 * 3 * sizeof(float), after, 64 * 40 * 3 * sizeof(float));
}

int main(int argc, char **argv)
{
    int status;

    g_test_init(&argc, &argv, NULL);
    folder = make_folder();
    open_embedded();
    g_test_add_func("/job/edit-picture/nothing-changes-nothing", test_nothing);
    g_test_add_func("/job/edit-picture/nothing-rendered", test_nothing_rendered);
    g_test_add_func("/job/edit-picture/outside-stays", test_outside_stays);
    g_test_add_func("/job/edit-picture/region", test_region);
    g_test_add_func("/job/edit-picture/repeats", test_repeats);
    g_test_add_func("/job/edit-picture/recipe", test_recipe);
    g_test_add_func("/job/edit-picture/refused", test_refused);
    g_test_add_func("/job/edit-picture/least-strength", test_least_strength);
    g_test_add_func("/job/edit-picture/crops", test_crops);
    g_test_add_func("/job/edit-picture/ddim-inverts", test_ddim_inverts);
    g_test_add_func("/job/edit-picture/change-of-nothing", test_change_of_nothing);
    status = g_test_run();
    w2w_pipeline_free(pipeline);
    remove_folder(folder);
    return status;
}

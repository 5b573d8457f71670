/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * invert as a job, on the embedded world with its faces and a few steps: what it reports, what it
 * hands out when it is stopped, and what it says about pictures, masks and budgets that will not
 * do.
 */
#include <string.h>

#include "engine/error.h"
#include "engine/formats/json.h"
#include "engine/formats/mapped_file.h"
#include "engine/formats/png.h"
#include "engine/job/invert_report.h"
#include "engine/job/job.h"
#include "engine/w2w/identity.h"

#define N_STEPS "3"

static char *face_path(const char *name)
{
    return g_build_filename(w2w_world_get_default_directory(), "faces", name, NULL);
}

static GBytes *read_face(const char *name)
{
    g_autofree char *path = face_path(name);
    g_autoptr(GError) error = NULL;
    GBytes *bytes = w2w_mapped_file_open(path, &error);

    g_assert_no_error(error);
    return bytes;
}

/* A grey picture, `value` left of `edge` and black from there on. */
static GBytes *make_grey(guint width, guint height, guint edge, guint8 value)
{
    g_autofree guint8 *pixels = g_new0(guint8, width * height);
    g_autoptr(GError) error = NULL;
    GBytes *bytes;

    for (guint i = 0; i < width * height; i++)
        pixels[i] = i % width < edge ? value : 0;
    bytes = w2w_png_encode(pixels, width, height, 1, &error);
    g_assert_no_error(error);
    return bytes;
}

static W2wWorld *open_world(void)
{
    g_autoptr(GError) error = NULL;
    W2wWorld *world = w2w_world_open(w2w_world_get_default_directory(), &error);

    g_assert_no_error(error);
    return world;
}

/* Opened once: a test program is one thread. */
static W2wPipeline *get_pipeline(void)
{
    static W2wPipeline *pipeline;
    const W2wDeviceOptions options = {.n_threads = 2, .compute_type = W2W_COMPUTE_F32};
    g_autoptr(GError) error = NULL;

    if (pipeline == NULL) {
        W2wDevice *device = w2w_device_new("cpu", &options, &error);

        g_assert_no_error(error);
        pipeline = w2w_pipeline_new(open_world(), device, &error);
        g_assert_no_error(error);
    }
    return pipeline;
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

static W2wValues *make_values(const char *face)
{
    W2wValues *values = w2w_values_new(w2w_invert_job.parameters, w2w_invert_job.n_parameters);
    g_autoptr(GBytes) image = read_face(face);

    set_bytes(values, "image", image);
    set(values, "steps", N_STEPS);
    set(values, "seed", "4");
    set(values, "no-picture", "true");
    return values;
}

static void keep_result(W2wJobResult *result, gpointer user_data)
{
    W2wJobResult **kept = user_data;

    g_assert_null(*kept);
    *kept = result;
}

static W2wJobResult *run(const W2wValues *values)
{
    g_autoptr(GError) error = NULL;
    W2wJobResult *result = NULL;

    w2w_invert_job.run(get_pipeline(), values, keep_result, &result, NULL, &error);
    g_assert_no_error(error);
    return result;
}

static JsonObject *parse(const char *text)
{
    g_autoptr(GError) error = NULL;
    JsonObject *object = w2w_json_parse(text, strlen(text), "text", &error);

    g_assert_no_error(error);
    return object;
}

static void assert_message(const char *message, const char *part)
{
    if (message == NULL || strstr(message, part) == NULL)
        g_error("“%s” does not say “%s”.", message, part);
}

static void assert_refused(const W2wValues *values, W2wError code, const char *part)
{
    g_autoptr(GError) error = NULL;
    W2wJobResult *result = NULL;

    g_assert_false(w2w_invert_job.run(get_pipeline(), values, keep_result, &result, NULL, &error));
    g_assert_error(error, W2W_ERROR, (gint)code);
    assert_message(error->message, part);
    g_assert_null(result);
}

/* --- what it gives --- */

static void test_report(void)
{
    g_autoptr(W2wValues) values = make_values("person_00_0.png");
    g_autoptr(W2wJobResult) result = NULL;
    g_autoptr(W2wIdentity) identity = NULL;
    g_autoptr(JsonObject) report = NULL, recipe = NULL;
    g_autoptr(GError) error = NULL;
    W2wSpace *space = w2w_world_get_space(w2w_pipeline_get_world(get_pipeline()));
    JsonObject *search;
    JsonArray *box;

    set(values, "preset", "fast");
    set(values, "steps", "8"); /* so that every band of timesteps is seen */
    result = run(values);
    g_assert_null(result->picture);
    identity = w2w_identity_from_bytes(result->identity, "result", &error);
    g_assert_no_error(error);
    g_assert_cmpuint(identity->n_coefficients, ==, w2w_space_get_n_components(space));
    g_assert_true(w2w_identity_check(identity, space, "result", &error));

    report = parse(result->report);
    g_assert_cmpstr(json_object_get_string_member(report, "preset"), ==, "fast");
    assert_message(json_object_get_string_member(report, "components"), "all ");
    assert_message(json_object_get_string_member(report, "memory_planned"), "iB");
    g_assert_cmpint(json_object_get_int_member(report, "steps"), ==, 8);
    g_assert_cmpfloat(json_object_get_double_member(report, "seconds"), >, 0.0);
    box = json_object_get_array_member(report, "box");
    g_assert_cmpint(json_array_get_int_element(box, 2), ==, 128);
    g_assert_cmpuint(json_array_get_length(json_object_get_array_member(report, "loss_curve")), >,
                     0);
    g_assert_cmpuint(json_array_get_length(json_object_get_array_member(report, "nearest_people")),
                     ==, 5);
    g_assert_cmpuint(json_array_get_length(json_object_get_array_member(report, "attributes")), ==,
                     g_strv_length((char **)w2w_space_get_attributes(space)));
    g_assert_true(json_object_has_member(json_object_get_object_member(report, "distance"),
                                         "percent_of_people_nearer"));
    assert_message(
        json_object_get_string_member(json_object_get_object_member(report, "distance"), "place"),
        "people");
    g_assert_false(json_object_has_member(report, "held_loss"));

    /* Enough to do it again. */
    recipe = parse(result->recipe);
    g_assert_cmpint(json_object_get_int_member(recipe, "seed"), ==, 4);
    g_assert_true(json_object_has_member(json_object_get_object_member(recipe, "image"), "sha256"));
    search = json_object_get_object_member(recipe, "inversion");
    g_assert_cmpint(json_object_get_int_member(search, "steps"), ==, 8);
    g_assert_cmpint(json_object_get_int_member(search, "steps_done"), ==, 8);
    g_assert_cmpstr(json_object_get_string_member(search, "preset"), ==, "fast");
}

static void test_same_bytes_and_a_picture(void)
{
    g_autoptr(W2wValues) values = make_values("person_01_0.png");
    g_autoptr(W2wJobResult) first = run(values);
    g_autoptr(W2wJobResult) again = run(values);
    g_autoptr(W2wJobResult) shown = NULL;

    g_assert_true(g_bytes_equal(first->identity, again->identity));
    set(values, "no-picture", "false");
    shown = run(values);
    g_assert_nonnull(shown->picture);
    g_assert_cmpuint(shown->picture->width, ==, 128);
    g_assert_cmpuint(shown->seed, ==, 4);
}

/* Even a few steps explain the picture better than the mean person does. */
static void test_held_loss(void)
{
    g_autoptr(W2wValues) values = make_values("person_02_0.png");
    g_autoptr(W2wJobResult) result = NULL;
    g_autoptr(JsonObject) report = NULL;
    JsonObject *held;

    set(values, "held-loss", "true");
    set(values, "preset", "fast");
    set(values, "steps", "8");
    result = run(values);
    report = parse(result->report);
    held = json_object_get_object_member(report, "held_loss");
    g_assert_cmpfloat(json_object_get_double_member(held, "this_person"), <,
                      json_object_get_double_member(held, "mean_person"));
}

static W2wIdentity *read_identity(const W2wJobResult *result)
{
    g_autoptr(GError) error = NULL;
    W2wIdentity *identity = w2w_identity_from_bytes(result->identity, "result", &error);

    g_assert_no_error(error);
    return identity;
}

static void test_masks_and_more_pictures_count(void)
{
    g_autoptr(W2wValues) values = make_values("group_0.png");
    g_autoptr(GBytes) mask_0 = read_face("group_0_mask_0.png");
    g_autoptr(GBytes) mask_1 = read_face("group_0_mask_1.png");
    g_autoptr(GBytes) more = read_face("person_03_1.png");
    GBytes *const masks[] = {mask_0, mask_1};
    W2wJobResult *results[4];

    results[0] = run(values);
    for (guint i = 0; i < 2; i++) {
        g_autoptr(JsonObject) report = NULL;

        set_bytes(values, "mask", masks[i]);
        results[1 + i] = run(values);
        report = parse(results[1 + i]->report);
        g_assert_cmpstr(json_object_get_string_member(report, "crop"), ==, "selection");
    }
    g_assert_true(w2w_values_add_item(values, "also-image", more, W2W_DEFAULT_WEIGHT, NULL));
    results[3] = run(values);
    for (guint i = 0; i < 4; i++)
        for (guint j = 0; j < i; j++) {
            g_autoptr(W2wIdentity) a = read_identity(results[i]);
            g_autoptr(W2wIdentity) b = read_identity(results[j]);

            g_assert_cmpint(memcmp(a->coefficients, b->coefficients,
                                   a->n_coefficients * sizeof *a->coefficients),
                            !=, 0);
        }
    {
        g_autoptr(JsonObject) report = parse(results[3]->report);

        g_assert_cmpint(json_object_get_int_member(report, "pictures"), ==, 2);
    }
    for (guint i = 0; i < 4; i++)
        w2w_job_result_free(results[i]);
}

static void test_distance_in_words(void)
{
    g_autofree char *beyond = w2w_invert_describe_distance(200, 200);
    g_autofree char *first = w2w_invert_describe_distance(0, 200);
    g_autofree char *between = w2w_invert_describe_distance(1, 200);

    assert_message(beyond, "further out than all 200");
    assert_message(first, "nearer to the middle than all 200");
    assert_message(between, "1 of the space's 200 people");
    assert_message(between, "199 are further out");
}

/* --- stopping and going on --- */

typedef struct {
    GCancellable *cancellable;
    const char *at; /* the beginning of the text at which it is stopped */
} Stop;

static void stop_at(double fraction, const char *text, gpointer user_data)
{
    Stop *stop = user_data;

    if (g_str_has_prefix(text, stop->at))
        g_cancellable_cancel(stop->cancellable);
}

static W2wJobResult *run_stopped(const W2wValues *values, const char *at)
{
    g_autoptr(GCancellable) cancellable = g_cancellable_new();
    Stop stop = {cancellable, at};
    const W2wProgress progress = {stop_at, &stop, cancellable};
    g_autoptr(GError) error = NULL;
    W2wJobResult *result = NULL;

    g_assert_false(
        w2w_invert_job.run(get_pipeline(), values, keep_result, &result, &progress, &error));
    g_assert_error(error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
    return result;
}

static void test_stopped_and_gone_on(void)
{
    g_autoptr(W2wValues) values = make_values("person_04_0.png");
    g_autoptr(W2wJobResult) stopped = NULL, gone_on = NULL;
    g_autoptr(JsonObject) recipe = NULL, history_recipe = NULL;

    /* Nothing was found yet: nothing is handed out. */
    g_assert_null(run_stopped(values, "Preparing"));
    stopped = run_stopped(values, "Step 1 of 3"); /* which is asked for before the second */
    g_assert_nonnull(stopped);
    g_assert_null(stopped->picture);
    assert_message(stopped->message, "Stopped after 2 of 3 steps");
    recipe = parse(stopped->recipe);
    g_assert_cmpint(json_object_get_int_member(json_object_get_object_member(recipe, "inversion"),
                                               "steps_done"),
                    ==, 2);
    set_bytes(values, "from", stopped->identity);
    gone_on = run(values);
    history_recipe = parse(gone_on->recipe);
    g_assert_cmpuint(json_array_get_length(json_object_get_array_member(history_recipe, "history")),
                     ==, 1);
    g_assert_false(g_bytes_equal(gone_on->identity, stopped->identity));
}

/* All steps are done: what is lost is the picture alone. */
static void test_stopped_while_rendering(void)
{
    g_autoptr(W2wValues) values = make_values("person_04_0.png");
    g_autoptr(W2wJobResult) whole = run(values);
    g_autoptr(W2wJobResult) stopped = NULL;
    g_autoptr(W2wIdentity) a = NULL, b = NULL;

    set(values, "no-picture", "false");
    stopped = run_stopped(values, "Step 2 of 2"); /* 20, or 21: the world's own */
    g_assert_nonnull(stopped);
    g_assert_null(stopped->picture);
    a = read_identity(whole);
    b = read_identity(stopped);
    g_assert_cmpmem(a->coefficients, a->n_coefficients * sizeof(float), b->coefficients,
                    b->n_coefficients * sizeof(float));
}

/* --- what will not do --- */

static void test_small_picture(void)
{
    g_autoptr(W2wValues) values = make_values("person_00_0.png");
    g_autoptr(GBytes) small = make_grey(40, 48, 40, 120);
    g_autoptr(W2wJobResult) result = NULL;

    set_bytes(values, "image", small);
    result = run(values);
    assert_message(result->message, "128 × 128");
    assert_message(result->message, "48 × 48");
}

static void test_refused_masks(void)
{
    g_autoptr(W2wValues) values = make_values("person_00_0.png");
    g_autoptr(GBytes) black = make_grey(128, 128, 0, 0);
    g_autoptr(GBytes) other_size = make_grey(64, 128, 64, 255);
    g_autoptr(GBytes) white = make_grey(128, 128, 128, 255);
    g_autoptr(GBytes) no_picture = g_bytes_new_static("P6", 2);

    set_bytes(values, "mask", black);
    assert_refused(values, W2W_ERROR_USAGE, "mask");
    set_bytes(values, "mask", other_size);
    assert_refused(values, W2W_ERROR_MISMATCH, "64 × 128");
    set_bytes(values, "mask", no_picture);
    assert_refused(values, W2W_ERROR_FORMAT, "mask");
    set_bytes(values, "mask", white);
    set(values, "box", "1,2,3");
    assert_refused(values, W2W_ERROR_USAGE, "box");
}

/* What the mask has lies outside of the box. */
static void test_mask_beside_the_box(void)
{
    g_autoptr(W2wValues) values = make_values("group_0.png");
    g_autoptr(GBytes) image = make_grey(256, 128, 256, 90);
    g_autoptr(GBytes) mask = make_grey(256, 128, 100, 255);

    set_bytes(values, "image", image);
    set_bytes(values, "mask", mask);
    set(values, "box", "128,0,128,128");
    assert_refused(values, W2W_ERROR_USAGE, "Nothing of what the mask has lies in the box");
}

static void test_too_little_memory(void)
{
    g_autoptr(W2wValues) values = make_values("person_00_0.png");

    set(values, "memory", "100K");
    assert_refused(values, W2W_ERROR_MEMORY, "at least");
    set(values, "memory", "much");
    assert_refused(values, W2W_ERROR_USAGE, "memory");
}

/* Without a model: what a front-end asks before it loads anything. */
static void test_check(void)
{
    g_autofree char *model = g_build_filename(w2w_world_get_default_directory(), "model", NULL);
    g_autoptr(W2wWorld) world = open_world();
    g_autoptr(W2wWorld) model_alone = NULL;
    g_autoptr(W2wValues) values = make_values("person_00_0.png");
    g_autoptr(W2wValues) empty =
        w2w_values_new(w2w_invert_job.parameters, w2w_invert_job.n_parameters);
    g_autoptr(GError) error = NULL;

    g_assert_true(w2w_invert_job.check(world, values, &error));
    g_assert_false(w2w_invert_job.check(world, empty, &error));
    g_assert_error(error, W2W_ERROR, W2W_ERROR_USAGE);
    g_clear_error(&error);
    model_alone = w2w_world_open_parts(model, NULL, &error);
    g_assert_no_error(error);
    g_assert_false(w2w_invert_job.check(model_alone, values, &error));
    g_assert_error(error, W2W_ERROR, W2W_ERROR_USAGE);
}

int main(int argc, char **argv)
{
    int result;

    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/job/invert/report", test_report);
    g_test_add_func("/job/invert/same-bytes-and-a-picture", test_same_bytes_and_a_picture);
    g_test_add_func("/job/invert/held-loss", test_held_loss);
    g_test_add_func("/job/invert/distance-in-words", test_distance_in_words);
    g_test_add_func("/job/invert/masks-and-more-pictures", test_masks_and_more_pictures_count);
    g_test_add_func("/job/invert/stopped-and-gone-on", test_stopped_and_gone_on);
    g_test_add_func("/job/invert/stopped-while-rendering", test_stopped_while_rendering);
    g_test_add_func("/job/invert/small-picture", test_small_picture);
    g_test_add_func("/job/invert/refused-masks", test_refused_masks);
    g_test_add_func("/job/invert/mask-beside-the-box", test_mask_beside_the_box);
    g_test_add_func("/job/invert/too-little-memory", test_too_little_memory);
    g_test_add_func("/job/invert/check", test_check);
    result = g_test_run();
    w2w_pipeline_free(get_pipeline());
    return result;
}

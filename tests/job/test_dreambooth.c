/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The job dreambooth on the embedded model, in a world of small pictures: what it hands out, what
 * it keeps for the next time, and what it refuses before any time is spent.
 */
#include <glib/gstdio.h>
#include <math.h>
#include <string.h>

#include "engine/device/device.h"
#include "engine/error.h"
#include "engine/formats/json.h"
#include "engine/formats/png.h"
#include "engine/job/job.h"
#include "engine/job/memory_parameter.h"
#include "engine/job/picture_folder.h"
#include "engine/job/projection_report.h"
#include "engine/w2w/lora_file.h"
#include "tests/w2w/space_folder.h"

#define SIDE  32 /* of the world's pictures */
#define STEPS 3

typedef struct {
    char *world, *person; /* folders */
    W2wPipeline *pipeline;
} Fixture;

static void write_picture(const char *folder, const char *name, guint width, guint height,
                          guint8 shade)
{
    g_autofree char *path = g_build_filename(folder, name, NULL);
    g_autoptr(W2wPicture) picture = w2w_picture_new(width, height, NULL);
    g_autoptr(GError) error = NULL;

    for (guint i = 0; i < width * height * 3; i++)
        picture->pixels[i] = (guint8)(shade + 3 * (i / 3 % width) + i % 3 * 20);
    w2w_png_write(picture, path, NULL, &error);
    g_assert_no_error(error);
}

/* The embedded model and, unless not wanted, its space, with small pictures of few steps. */
static char *make_world(gboolean has_space)
{
    g_autofree char *model = g_build_filename(w2w_world_get_default_directory(), "model", NULL);
    g_autofree char *space = embedded_space();
    g_autofree char *card = NULL;
    char *folder = make_folder();

    card = g_strdup_printf("{\"format\": \"w2w-world\", \"version\": 1, \"name\": \"Small\", "
                           "\"model\": \"%s\", %s%s%s\"instance_prompt\": \"sks person\", "
                           "\"class_prompt\": \"person\", \"negative_prompt\": \"\", "
                           "\"width\": %d, \"height\": %d, \"scheduler\": \"ddim\", \"steps\": 2, "
                           "\"guidance_scale\": 1.0}",
                           model, has_space ? "\"space\": \"" : "", has_space ? space : "",
                           has_space ? "\", " : "", SIDE, SIDE);
    write_text(folder, "world.json", card);
    return folder;
}

static void fixture_open_with(Fixture *f, gboolean has_space)
{
    const W2wDeviceOptions options = {.compute_type = W2W_COMPUTE_F32};
    g_autoptr(GError) error = NULL;
    W2wWorld *world;
    W2wDevice *device;

    f->world = make_world(has_space);
    f->person = make_folder();
    write_picture(f->person, "b.png", 48, 40, 10); /* another size */
    write_picture(f->person, "a.PNG", SIDE, SIDE, 60);
    write_text(f->person, "notes.txt", "not a picture");
    write_text(f->person, ".hidden", "nobody's business");
    world = w2w_world_open(f->world, &error);
    g_assert_no_error(error);
    device = w2w_device_new("cpu", &options, &error);
    g_assert_no_error(error);
    f->pipeline = w2w_pipeline_new(world, device, &error);
    g_assert_no_error(error);
}

static void fixture_open(Fixture *f)
{
    fixture_open_with(f, TRUE);
}

static void fixture_close(Fixture *f)
{
    w2w_pipeline_free(f->pipeline);
    remove_folder(f->world);
    remove_folder(f->person);
}

static void set(W2wValues *values, const char *name, const char *text)
{
    g_autoptr(GError) error = NULL;

    w2w_values_set_text(values, name, text, &error);
    g_assert_no_error(error);
}

static W2wValues *small_values(const Fixture *f)
{
    W2wValues *values =
        w2w_values_new(w2w_dreambooth_job.parameters, w2w_dreambooth_job.n_parameters);

    set(values, "pictures", f->person);
    set(values, "steps", G_STRINGIFY(STEPS));
    set(values, "class-pictures", "2");
    return values;
}

static void take_result(W2wJobResult *result, gpointer user_data)
{
    W2wJobResult **place = user_data;

    g_assert_null(*place);
    *place = result;
}

static W2wJobResult *run(const Fixture *f, const W2wValues *values)
{
    g_autoptr(GError) error = NULL;
    W2wJobResult *result = NULL;

    w2w_dreambooth_job.check(w2w_pipeline_get_world(f->pipeline), values, &error);
    g_assert_no_error(error);
    w2w_dreambooth_job.run(f->pipeline, values, take_result, &result, NULL, &error);
    g_assert_no_error(error);
    g_assert_nonnull(result);
    return result;
}

static JsonObject *parse(const char *text)
{
    JsonObject *object = w2w_json_parse(text, strlen(text), "text", NULL);

    g_assert_nonnull(object);
    return object;
}

static GBytes *get_file(const W2wJobResult *result, const char *name)
{
    for (guint i = 0; i < result->files->len; i++) {
        const W2wJobFile *file = result->files->pdata[i];

        if (strcmp(file->name, name) == 0)
            return file->bytes;
    }
    return NULL;
}

/* A LoRA's file, opened as any. */
static W2wLora *open_lora(const Fixture *f, GBytes *bytes)
{
    g_autofree char *path = g_build_filename(f->world, "lora.safetensors", NULL);
    g_autoptr(GError) error = NULL;
    gsize size;
    const char *data = g_bytes_get_data(bytes, &size);
    W2wLora *lora;

    g_file_set_contents(path, data, (gssize)size, &error);
    g_assert_no_error(error);
    lora = w2w_lora_open(path, &error);
    g_assert_no_error(error);
    return lora;
}

static void test_result(void)
{
    Fixture f;
    g_autoptr(W2wValues) values = NULL;
    g_autoptr(W2wJobResult) result = NULL;
    g_autoptr(JsonObject) recipe = NULL;
    g_autoptr(JsonObject) report = NULL;
    g_autoptr(W2wIdentity) identity = NULL;
    g_autoptr(W2wLora) lora = NULL;
    g_autoptr(GError) error = NULL;
    JsonObject *picture;
    W2wSpace *space;

    fixture_open(&f);
    space = w2w_world_get_space(w2w_pipeline_get_world(f.pipeline));
    values = small_values(&f);
    result = run(&f, values);
    recipe = parse(result->recipe);
    report = parse(result->report);

    /* the LoRA */
    g_assert_cmpuint(result->files->len, ==, 1);
    lora = open_lora(&f, get_file(result, ""));
    g_assert_cmpint(lora->format, ==, W2W_LORA_FORMAT_DIFFUSERS);
    g_assert_cmpuint(lora->modules->len, ==, (guint)json_object_get_int_member(report, "modules"));

    /* its picture and the identity */
    g_assert_cmpuint(result->picture->width, ==, SIDE);
    g_assert_cmpuint(result->picture->height, ==, SIDE);
    identity = w2w_identity_from_bytes(result->identity, "the identity", &error);
    g_assert_no_error(error);
    g_assert_cmpuint(identity->n_coefficients, ==, w2w_space_get_n_components(space));
    g_assert_cmpstr(identity->recipe, ==, result->recipe);
    g_assert_cmpstr(identity->space_fingerprint, ==, w2w_space_get_fingerprint(space));
    g_assert_true(json_object_has_member(report, "relative_difference"));
    g_assert_true(json_object_has_member(report, "nearest_identity"));

    /* what was done */
    g_assert_cmpint(json_object_get_int_member(report, "pictures"), ==, 2);
    g_assert_cmpint(json_object_get_int_member(report, "class_pictures"), ==, 2);
    g_assert_cmpint(json_object_get_int_member(report, "steps"), ==, STEPS);
    g_assert_cmpfloat(json_object_get_double_member(report, "loss_at_last"), >, 0.0);
    g_assert_nonnull(strstr(json_object_get_string_member(report, "memory_planned"), "iB"));
    g_assert_cmpint(json_object_get_int_member(recipe, "seed"), ==, 0);
    g_assert_cmpfloat(json_object_get_double_member(recipe, "lr"), ==, 1e-4);
    g_assert_cmpuint(json_array_get_length(json_object_get_array_member(recipe, "pictures")), ==,
                     2);
    picture = json_object_get_object_member(recipe, "picture");
    g_assert_cmpstr(json_object_get_string_member(picture, "prompt"), ==, "sks person");
    g_assert_false(json_object_has_member(picture, "lora"));
    g_assert_null(strstr(result->recipe, g_get_tmp_dir())); /* where things lay */

    /* what was passed over */
    g_assert_nonnull(strstr(result->message, "notes.txt"));
    g_assert_null(strstr(result->message, ".hidden"));
    fixture_close(&f);
}

/* The same bytes again; pictures of anybody are made once. */
static void test_again(void)
{
    Fixture f;
    g_autoptr(W2wValues) values = NULL;
    g_autoptr(W2wJobResult) first = NULL;
    g_autoptr(W2wJobResult) second = NULL;
    g_autoptr(JsonObject) report = NULL;
    guint n_calls;

    fixture_open(&f);
    values = small_values(&f);
    set(values, "class-pictures", "3");
    first = run(&f, values);
    n_calls = w2w_pipeline_get_counts(f.pipeline).n_unet_calls;
    second = run(&f, values);
    report = parse(second->report);
    g_assert_cmpint(json_object_get_int_member(report, "class_pictures_rendered"), ==, 0);
    g_assert_cmpuint(w2w_pipeline_get_counts(f.pipeline).n_unet_calls - n_calls, ==, 2);
    g_assert_true(g_bytes_equal(get_file(first, ""), get_file(second, "")));
    g_assert_cmpmem(first->picture->pixels, (gsize)SIDE * SIDE * 3, second->picture->pixels,
                    (gsize)SIDE * SIDE * 3);
    g_clear_pointer(&second, w2w_job_result_free);
    set(values, "seed", "1");
    second = run(&f, values);
    g_assert_false(g_bytes_equal(get_file(first, ""), get_file(second, "")));
    fixture_close(&f);
}

/* What was cut off in the cache is made again. */
static void test_broken_cache(void)
{
    Fixture f;
    g_autoptr(W2wValues) values = NULL;
    g_autoptr(W2wJobResult) first = NULL;
    g_autoptr(W2wJobResult) second = NULL;
    g_autofree char *cache =
        g_build_filename(g_get_user_cache_dir(), "w2w", "class-pictures", NULL);
    g_autoptr(GDir) dir = NULL;
    const char *name;
    guint n = 0;

    fixture_open(&f);
    values = small_values(&f);
    set(values, "no-picture", "true");
    first = run(&f, values);
    g_assert_null(first->picture);
    dir = g_dir_open(cache, 0, NULL);
    g_assert_nonnull(dir);
    while ((name = g_dir_read_name(dir)) != NULL) {
        g_autofree char *folder = g_build_filename(cache, name, NULL);

        write_text(folder, "0.png", "cut off");
        n++;
    }
    g_assert_cmpuint(n, >, 0);
    second = run(&f, values);
    g_assert_true(g_bytes_equal(get_file(first, ""), get_file(second, "")));
    fixture_close(&f);
}

/* Pictures of anybody from a folder, or none; other forms of files; another start. */
static void test_variants(void)
{
    Fixture f;
    g_autofree char *anybody = make_folder();
    g_autoptr(W2wValues) from_folder = NULL;
    g_autoptr(W2wValues) without = NULL;
    g_autoptr(W2wJobResult) folder_result = NULL;
    g_autoptr(W2wJobResult) without_result = NULL;
    g_autoptr(JsonObject) report = NULL;

    fixture_open(&f);
    write_picture(anybody, "1.png", SIDE, SIDE, 90);
    from_folder = small_values(&f);
    set(from_folder, "no-picture", "true");
    set(from_folder, "class-folder", anybody);
    set(from_folder, "format", "peft");
    set(from_folder, "start", "space");
    folder_result = run(&f, from_folder);
    report = parse(folder_result->report);
    g_assert_cmpint(json_object_get_int_member(report, "class_pictures"), ==, 1);
    g_assert_cmpuint(folder_result->files->len, ==, 2);
    g_assert_nonnull(get_file(folder_result, "adapter_config.json"));
    g_assert_nonnull(get_file(folder_result, "adapter_model.safetensors"));
    g_clear_pointer(&report, json_object_unref);

    without = small_values(&f);
    set(without, "no-picture", "true");
    set(without, "prior-weight", "0");
    without_result = run(&f, without);
    report = parse(without_result->report);
    g_assert_cmpint(json_object_get_int_member(report, "class_pictures"), ==, 0);
    remove_folder(g_steal_pointer(&anybody));
    fixture_close(&f);
}

/* A model alone gives a LoRA, and no identity. */
static void test_no_space(void)
{
    Fixture f;
    g_autoptr(W2wValues) values = NULL;
    g_autoptr(W2wJobResult) result = NULL;
    g_autoptr(W2wLora) lora = NULL;
    g_autoptr(GError) error = NULL;

    fixture_open_with(&f, FALSE);
    values = small_values(&f);
    result = run(&f, values);
    g_assert_null(result->identity);
    g_assert_nonnull(result->picture);
    lora = open_lora(&f, get_file(result, ""));
    g_assert_cmpuint(lora->modules->len, >, 0);
    set(values, "start", "space");
    g_assert_false(w2w_dreambooth_job.check(w2w_pipeline_get_world(f.pipeline), values, &error));
    g_assert_error(error, W2W_ERROR, W2W_ERROR_USAGE);
    fixture_close(&f);
}

static void assert_refused(const Fixture *f, const W2wValues *values, W2wError code,
                           const char *word)
{
    g_autoptr(GError) error = NULL;

    g_assert_false(w2w_dreambooth_job.check(w2w_pipeline_get_world(f->pipeline), values, &error));
    g_assert_error(error, W2W_ERROR, (gint)code);
    g_test_message("%s", error->message);
    g_assert_nonnull(strstr(error->message, word));
}

static void test_refuses(void)
{
    Fixture f;
    g_autofree char *empty = make_folder();
    g_autofree char *missing = g_build_filename(empty, "missing", NULL);
    g_autofree char *file = NULL;
    g_autoptr(W2wValues) values = NULL;
    g_autoptr(GError) error = NULL;
    W2wJobResult *result = NULL;
    guint n_calls;

    fixture_open(&f);
    file = g_build_filename(f.person, "b.png", NULL);
    values = w2w_values_new(w2w_dreambooth_job.parameters, w2w_dreambooth_job.n_parameters);
    assert_refused(&f, values, W2W_ERROR_USAGE, "pictures");
    set(values, "pictures", missing);
    assert_refused(&f, values, W2W_ERROR_FILE, "missing");
    set(values, "pictures", file);
    assert_refused(&f, values, W2W_ERROR_FILE, "no folder");
    set(values, "pictures", empty);
    assert_refused(&f, values, W2W_ERROR_USAGE, "no pictures");
    set(values, "pictures", f.person);
    set(values, "class-folder", missing);
    assert_refused(&f, values, W2W_ERROR_FILE, "missing");
    set(values, "class-folder", "");
    set(values, "memory", "much");
    assert_refused(&f, values, W2W_ERROR_USAGE, "much");

    /* Too little memory: said before a picture is made or anything trained. */
    set(values, "memory", "1K");
    n_calls = w2w_pipeline_get_counts(f.pipeline).n_unet_calls;
    g_assert_false(w2w_dreambooth_job.run(f.pipeline, values, take_result, &result, NULL, &error));
    g_assert_error(error, W2W_ERROR, W2W_ERROR_MEMORY);
    g_assert_nonnull(strstr(error->message, "at least"));
    g_assert_cmpuint(w2w_pipeline_get_counts(f.pipeline).n_unet_calls, ==, n_calls);
    set(values, "memory", "");

    write_text(f.person, "c.png", "no picture at all");
    assert_refused(&f, values, W2W_ERROR_FORMAT, "c.png");
    remove_folder(g_steal_pointer(&empty));
    fixture_close(&f);
}

typedef struct {
    GCancellable *cancellable;
    const char *at; /* the beginning of the text at which it is cancelled; NULL: never */
    double last;
    gboolean told_memory; /* first of all */
} Report;

/* Fractions grow. */
static void on_progress(double fraction, const char *text, gpointer user_data)
{
    Report *report = user_data;

    g_assert_cmpfloat(fraction, >=, report->last);
    g_assert_cmpfloat(fraction, <=, 1.0);
    report->last = fraction;
    report->told_memory |= strstr(text, "iB of memory") != NULL;
    g_assert_true(report->told_memory);
    if (report->at != NULL && g_str_has_prefix(text, report->at))
        g_cancellable_cancel(report->cancellable);
}

/* What is handed out where it is cancelled `at`; NULL: nothing. */
static W2wJobResult *run_cancelled(const Fixture *f, const W2wValues *values, const char *at)
{
    g_autoptr(GCancellable) cancellable = g_cancellable_new();
    Report report = {.cancellable = cancellable, .at = at};
    const W2wProgress progress = {on_progress, &report, cancellable};
    g_autoptr(GError) error = NULL;
    W2wJobResult *result = NULL;

    g_assert_false(
        w2w_dreambooth_job.run(f->pipeline, values, take_result, &result, &progress, &error));
    g_assert_error(error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
    return result;
}

/* The LoRA of the steps until then, to the bit that of a training that had no more. */
static void test_cancel(void)
{
    Fixture f;
    g_autoptr(W2wValues) values = NULL;
    g_autoptr(W2wJobResult) result = NULL;
    g_autoptr(W2wJobResult) shorter = NULL;
    g_autoptr(JsonObject) recipe = NULL;
    g_autoptr(JsonObject) report = NULL;

    fixture_open(&f);
    for (guint i = 0; i < 4; i++) {
        g_autofree char *name = g_strdup_printf("%u.png", i);

        write_picture(f.person, name, SIDE, SIDE, (guint8)(10 * i));
    }
    values = small_values(&f);
    g_assert_null(run_cancelled(&f, values, "Preparing"));
    g_assert_null(run_cancelled(&f, values, "Class picture"));
    result = run_cancelled(&f, values, "Step 1 of"); /* which is asked for before the second */
    g_assert_nonnull(result);
    g_assert_null(result->picture);
    g_assert_null(result->identity);
    g_assert_nonnull(strstr(result->message, "Stopped after 2 of 3 steps"));
    recipe = parse(result->recipe);
    g_assert_cmpint(json_object_get_int_member(recipe, "steps_done"), ==, 2);
    g_assert_cmpint(json_object_get_int_member(recipe, "steps"), ==, STEPS);
    report = parse(result->report);
    g_assert_cmpint(json_object_get_int_member(report, "steps"), ==, 2);
    set(values, "steps", "2");
    shorter = run(&f, values);
    g_assert_true(g_bytes_equal(get_file(result, ""), get_file(shorter, "")));
    fixture_close(&f);
}

/* All steps are done: what is lost is the picture and the identity. */
static void test_cancel_picture(void)
{
    Fixture f;
    g_autoptr(W2wValues) values = NULL;
    g_autoptr(W2wJobResult) result = NULL;
    g_autoptr(W2wJobResult) whole = NULL;

    fixture_open(&f);
    values = small_values(&f);
    result = run_cancelled(&f, values, "Step 3 of 3");
    g_assert_nonnull(result);
    g_assert_null(result->picture);
    whole = run(&f, values);
    g_assert_true(g_bytes_equal(get_file(result, ""), get_file(whole, "")));
    fixture_close(&f);
}

/* From the third step on, noised latents are no numbers any more. */
static void spoil_noise(double fraction, const char *text, gpointer user_data)
{
    const W2wNoiseSchedule *schedule = w2w_pipeline_get_noise_schedule(user_data);

    for (guint i = 0; g_str_has_prefix(text, "Step 2 of") && i < schedule->n_train_timesteps; i++)
        schedule->alphas_cumprod[i] = NAN;
}

/* The last finite state is kept, and why it ended is told. */
static void test_astray(void)
{
    Fixture f;
    g_autoptr(W2wValues) values = NULL;
    g_autoptr(W2wJobResult) shorter = NULL;
    g_autoptr(W2wJobResult) result = NULL;
    g_autoptr(GError) error = NULL;
    W2wProgress progress = {.func = spoil_noise};

    fixture_open(&f);
    progress.user_data = f.pipeline;
    values = small_values(&f);
    set(values, "steps", "2");
    shorter = run(&f, values);
    set(values, "steps", "9");
    g_assert_false(
        w2w_dreambooth_job.run(f.pipeline, values, take_result, &result, &progress, &error));
    g_assert_error(error, W2W_ERROR, W2W_ERROR_FAILED);
    g_assert_nonnull(strstr(error->message, "astray"));
    g_assert_nonnull(result);
    g_assert_nonnull(strstr(result->message, "Ended after 2 of 9 steps"));
    g_assert_true(g_bytes_equal(get_file(result, ""), get_file(shorter, "")));
    fixture_close(&f);
}

/* With a budget, nothing that reading and rendering pictures needs stays beside the training. */
static void test_budget_drops_plans(void)
{
    Fixture f;
    g_autoptr(W2wValues) values = NULL;
    guint n_planned[2];

    fixture_open(&f);
    values = small_values(&f);
    set(values, "no-picture", "true");
    for (guint i = 0; i < G_N_ELEMENTS(n_planned); i++) {
        g_autoptr(W2wJobResult) first = NULL;
        g_autoptr(W2wJobResult) second = NULL;
        guint n;

        if (i == 1)
            set(values, "memory", "8G");
        first = run(&f, values);
        n = w2w_pipeline_get_counts(f.pipeline).n_plans;
        second = run(&f, values);
        n_planned[i] = w2w_pipeline_get_counts(f.pipeline).n_plans - n;
    }
    g_assert_cmpuint(n_planned[1], >, n_planned[0]); /* the VAE again */
    fixture_close(&f);
}

/* A picture that is too wide loses its sides, one that is too high its top and bottom. */
static void test_crop(void)
{
    g_autofree char *folder = make_folder();
    const struct {
        guint width, height;
    } sizes[] = {{40, 20}, {20, 40}, {20, 20}};

    for (guint s = 0; s < G_N_ELEMENTS(sizes); s++) {
        const guint width = sizes[s].width, height = sizes[s].height;
        g_autofree char *path = g_build_filename(folder, "p.png", NULL);
        g_autoptr(W2wPicture) picture = w2w_picture_new(width, height, NULL);
        g_autoptr(W2wPicture) read = NULL;
        g_autoptr(GError) error = NULL;

        for (guint y = 0; y < height; y++)
            for (guint x = 0; x < width; x++) {
                const gboolean is_inside = x >= (width - 20) / 2 && x < (width + 20) / 2 &&
                                           y >= (height - 20) / 2 && y < (height + 20) / 2;

                memset(picture->pixels + (y * width + x) * 3, is_inside ? 200 : 10, 3);
            }
        w2w_png_write(picture, path, NULL, &error);
        g_assert_no_error(error);
        read = w2w_picture_folder_read(path, 10, 10, NULL, &error);
        g_assert_no_error(error);
        for (guint i = 0; i < 10 * 10 * 3; i++)
            g_assert_cmpint(read->pixels[i], ==, 200);
    }
    remove_folder(g_steal_pointer(&folder));
}

/* What is not a part of the LoRA, but a multiple of it, is not told as a part. */
static void test_projection_in_words(void)
{
    const struct {
        double lost;
        const char *words;
    } cases[] = {{0.0001, "less than 1 %"},
                 {0.25, "but for 25 %"},
                 {0.75, "hardly the LoRA: 75 %"},
                 {205.2, "205 times the LoRA's own size"}};

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        const W2wProjection projection = {.product_lost = cases[i].lost, .deviation_lost = 0.5};
        g_autoptr(JsonObject) report = json_object_new();

        w2w_projection_report(&projection, report);
        g_assert_nonnull(
            strstr(json_object_get_string_member(report, "nearest_identity"), cases[i].words));
        g_assert_cmpfloat(json_object_get_double_member(report, "relative_difference"), ==,
                          cases[i].lost);
        g_assert_cmpfloat(json_object_get_double_member(report, "percent_of_deviation_lost"), ==,
                          50.0);
    }
}

static void test_memory_sizes(void)
{
    static const W2wParameter table[] = {W2W_MEMORY_PARAMETER};
    const struct {
        const char *text;
        guint64 n_bytes; /* 0: refused */
    } cases[] = {
        {"4G", 4ull << 30},
        {"512M", 512ull << 20},
        {"1.5g", 3ull << 29},
        {"2GiB", 2ull << 30},
        {"64kB", 64ull << 10},
        {"1T", 1ull << 40},
        {"1000", 1000},
        {"77B", 77},
        {"0", 0},
        {"-1G", 0},
        {"G", 0},
        {"4X", 0},
        {"4GG", 0},
        {"nan", 0},
        {"inf", 0},
        {"1e300", 0},
        {" 4G", 0},
        {"0.1", 0},
    };

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(W2wValues) values = w2w_values_new(table, 1);
        g_autoptr(GError) error = NULL;
        guint64 n_bytes;
        gboolean ok;

        set(values, "memory", cases[i].text);
        ok = w2w_memory_parameter_get(values, &n_bytes, &error);
        g_test_message("%s", cases[i].text);
        g_assert_cmpint(ok, ==, cases[i].n_bytes != 0);
        if (ok)
            g_assert_cmpuint(n_bytes, ==, cases[i].n_bytes);
        else
            g_assert_error(error, W2W_ERROR, W2W_ERROR_USAGE);
    }
}

int main(int argc, char **argv)
{
    char *cache = make_folder();
    int code;

    g_setenv("XDG_CACHE_HOME", cache, TRUE); /* before GLib asks: not the user's own */
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/job/dreambooth/result", test_result);
    g_test_add_func("/job/dreambooth/again", test_again);
    g_test_add_func("/job/dreambooth/broken-cache", test_broken_cache);
    g_test_add_func("/job/dreambooth/variants", test_variants);
    g_test_add_func("/job/dreambooth/no-space", test_no_space);
    g_test_add_func("/job/dreambooth/refuses", test_refuses);
    g_test_add_func("/job/dreambooth/cancel", test_cancel);
    g_test_add_func("/job/dreambooth/cancel-picture", test_cancel_picture);
    g_test_add_func("/job/dreambooth/astray", test_astray);
    g_test_add_func("/job/dreambooth/budget-drops-plans", test_budget_drops_plans);
    g_test_add_func("/job/dreambooth/crop", test_crop);
    g_test_add_func("/job/dreambooth/projection-in-words", test_projection_in_words);
    g_test_add_func("/job/dreambooth/memory-sizes", test_memory_sizes);
    code = g_test_run();
    remove_folder(cache);
    return code;
}

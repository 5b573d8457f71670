/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Memory that is short: the n-th allocation whose size files or users decide fails, for every n of
 * opening each kind of file, and of opening a world and making a picture. Always an error that
 * says so, never the end of the program, and afterwards all works as before.
 */
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#include "engine/device/device.h"
#include "engine/error.h"
#include "engine/formats/json.h"
#include "engine/formats/png.h"
#include "engine/formats/pt.h"
#include "engine/memory.h"
#include "engine/models/tokenizer.h"
#include "engine/pipeline/pipeline.h"
#include "tests/golden_files.h"

/*
 * Of a picture's thousand allocations. A build with sanitizers is ten times as slow, and looks for
 * what leaks on the ways out, which are few: every n is tried in the others.
 */
#ifdef __SANITIZE_ADDRESS__
#define PICTURE_STRIDE 8
#else
#define PICTURE_STRIDE 1
#endif

/* TRUE where it worked; what it made is freed again. */
typedef gboolean (*Run)(const char *path, GError **error);

static void assert_each_failure_is_told(Run run, const char *path)
{
    guint64 n = 0, n_calls;

    do {
        g_autoptr(GError) error = NULL;
        gboolean ok;

        w2w_memory_fail_call(++n);
        ok = run(path, &error);
        n_calls = w2w_memory_fail_call(0);
        if (n > n_calls) { /* beyond the last: as if nothing had been */
            g_assert_no_error(error);
            g_assert_true(ok);
        } else if (ok) {
            g_test_fail_printf("Allocation %u of opening %s failed, and nobody noticed.", (guint)n,
                               path);
        } else if (!g_error_matches(error, W2W_ERROR, W2W_ERROR_MEMORY)) {
            g_test_fail_printf("Allocation %u of opening %s: %s", (guint)n, path, error->message);
        }
    } while (n <= n_calls);
    g_test_message("%s: %u allocations", path, (guint)n_calls);
    g_assert_cmpuint(n_calls, >, 0);
}

static gboolean open_pt(const char *path, GError **error)
{
    g_autoptr(W2wPtValue) value = w2w_pt_open(path, error);

    return value != NULL;
}

static gboolean open_safetensors(const char *path, GError **error)
{
    g_autoptr(W2wSafetensors) file = w2w_safetensors_open(path, error);

    return file != NULL;
}

static gboolean open_json(const char *path, GError **error)
{
    g_autoptr(JsonNode) node = w2w_json_load_any(path, error);

    return node != NULL;
}

static gboolean open_tokenizer(const char *path, GError **error)
{
    g_autoptr(W2wTokenizer) tokenizer = w2w_tokenizer_new(path, error);
    gint32 ids[8];

    return tokenizer != NULL &&
           w2w_tokenizer_encode(tokenizer, "sks person", G_N_ELEMENTS(ids), ids, NULL, error);
}

static gboolean open_png(const char *path, GError **error)
{
    g_autoptr(W2wPicture) picture = w2w_png_read(path, error);

    return picture != NULL;
}

static void test_pt(void)
{
    g_autofree char *folder = w2w_golden_path("pt");
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    const char *name;
    guint n = 0;

    g_assert_nonnull(dir);
    while ((name = g_dir_read_name(dir)) != NULL) {
        g_autofree char *path = g_build_filename(folder, name, NULL);
        g_autoptr(W2wPtValue) value =
            g_str_has_suffix(name, ".pt") ? w2w_pt_open(path, NULL) : NULL;

        if (value != NULL && ++n > 0)
            assert_each_failure_is_told(open_pt, path);
    }
    g_assert_cmpuint(n, >, 0);
}

static void test_safetensors(void)
{
    g_autofree char *path = w2w_golden_path("edits.safetensors");

    assert_each_failure_is_told(open_safetensors, path);
}

static void test_json(void)
{
    g_autofree char *path = w2w_golden_path("params.json");

    assert_each_failure_is_told(open_json, path);
}

static void test_tokenizer(void)
{
    g_autofree char *path = w2w_golden_path("model/tokenizer");

    assert_each_failure_is_told(open_tokenizer, path);
}

static void test_png(void)
{
    g_autofree char *folder = g_dir_make_tmp("w2w-memory-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(folder, "a.png", NULL);
    g_autoptr(W2wPicture) picture = w2w_picture_new(5, 3, NULL);

    memset(picture->pixels, 7, 5 * 3 * 3);
    g_assert_true(w2w_png_write(picture, path, NULL, NULL));
    assert_each_failure_is_told(open_png, path);
    g_unlink(path);
    g_rmdir(folder);
}

static gboolean make_picture(W2wPipeline *pipeline, GError **error)
{
    const W2wSpace *space = w2w_world_get_space(w2w_pipeline_get_world(pipeline));
    g_autoptr(W2wIdentity) identity =
        w2w_identity_new(w2w_space_get_n_with_statistics(space), error);
    g_autoptr(W2wPicture) picture = NULL;
    const W2wRenderOptions options = {.prompt = "sks person",
                                      .negative_prompt = "",
                                      .width = 16,
                                      .height = 16,
                                      .steps = 1,
                                      .guidance_scale = 3.0,
                                      .seed = 7,
                                      .identity = identity};

    if (identity == NULL || !w2w_space_sample(space, 1.0, 7, identity->coefficients, error))
        return FALSE;
    picture = w2w_pipeline_render(pipeline, &options, NULL, error);
    return picture != NULL;
}

/* golden's model with a tokenizer of two tokens: reading the real one takes most of the time. */
static char *make_world(void)
{
    static const char *const linked[] = {"model_index.json", "scheduler", "text_encoder", "unet",
                                         "vae"};
    char *folder = g_dir_make_tmp("w2w-memory-XXXXXX", NULL);
    g_autofree char *tokenizer = g_build_filename(folder, "model", "tokenizer", NULL);
    g_autofree char *vocabulary = g_build_filename(tokenizer, "vocab.json", NULL);
    g_autofree char *merges = g_build_filename(tokenizer, "merges.txt", NULL);
    g_autofree char *space = w2w_golden_path("space");
    g_autofree char *space_link = g_build_filename(folder, "space", NULL);

    g_assert_cmpint(g_mkdir_with_parents(tokenizer, 0700), ==, 0);
    g_assert_true(g_file_set_contents(vocabulary, "{\"<|startoftext|>\": 0, \"<|endoftext|>\": 1}",
                                      -1, NULL));
    g_assert_true(g_file_set_contents(merges, "#version: 0.2\n", -1, NULL));
    g_assert_cmpint(symlink(space, space_link), ==, 0);
    for (guint i = 0; i < G_N_ELEMENTS(linked); i++) {
        g_autofree char *name = g_strconcat("model/", linked[i], NULL);
        g_autofree char *target = w2w_golden_path(name);
        g_autofree char *link = g_build_filename(folder, name, NULL);

        g_assert_cmpint(symlink(target, link), ==, 0);
    }
    return folder;
}

static void remove_world(const char *folder)
{
    static const char *const names[] = {"model/tokenizer/vocab.json",
                                        "model/tokenizer/merges.txt",
                                        "model/tokenizer",
                                        "model/model_index.json",
                                        "model/scheduler",
                                        "model/text_encoder",
                                        "model/unet",
                                        "model/vae",
                                        "model",
                                        "space",
                                        ""};

    for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autofree char *path = g_build_filename(folder, names[i], NULL);

        g_assert_cmpint(g_remove(path), ==, 0);
    }
}

static W2wPipeline *open_pipeline(const char *directory, GError **error)
{
    const W2wDeviceOptions options = {.n_threads = 1, .compute_type = W2W_COMPUTE_F32};
    g_autofree char *model = g_build_filename(directory, "model", NULL);
    g_autofree char *space = g_build_filename(directory, "space", NULL);
    W2wWorld *world = w2w_world_open_parts(model, space, error);
    W2wDevice *device = world != NULL ? w2w_device_new("cpu", &options, error) : NULL;

    if (device == NULL) {
        w2w_world_free(world);
        return NULL;
    }
    return w2w_pipeline_new(world, device, error);
}

static gboolean open_world(const char *directory, GError **error)
{
    g_autoptr(W2wPipeline) pipeline = open_pipeline(directory, error);

    return pipeline != NULL;
}

static void test_world(void)
{
    g_autofree char *folder = make_world();

    assert_each_failure_is_told(open_world, folder);
    remove_world(folder);
}

/* The first picture of a pipeline; and after each failure, the next one works. */
static void test_picture(void)
{
    g_autofree char *folder = make_world();
    guint64 n = 0, n_calls;

    do {
        g_autoptr(GError) error = NULL;
        g_autoptr(W2wPipeline) pipeline = open_pipeline(folder, &error);
        gboolean ok;

        g_assert_no_error(error);
        n += n == 0 ? 1 : PICTURE_STRIDE;
        w2w_memory_fail_call(n);
        ok = make_picture(pipeline, &error);
        n_calls = w2w_memory_fail_call(0);
        if (n > n_calls)
            g_assert_no_error(error);
        else if (ok)
            g_test_fail_printf("Allocation %u of a picture failed, and nobody noticed.", (guint)n);
        else if (!g_error_matches(error, W2W_ERROR, W2W_ERROR_MEMORY))
            g_test_fail_printf("Allocation %u of a picture: %s", (guint)n, error->message);
        g_clear_error(&error);
        g_assert_true(make_picture(pipeline, &error));
        g_assert_no_error(error);
    } while (n <= n_calls);
    remove_world(folder);
    g_test_message("a picture: %u allocations", (guint)n_calls);
    g_assert_cmpuint(n_calls, >, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/memory/pt-files", test_pt);
    g_test_add_func("/memory/safetensors", test_safetensors);
    g_test_add_func("/memory/json", test_json);
    g_test_add_func("/memory/tokenizer", test_tokenizer);
    g_test_add_func("/memory/png", test_png);
    g_test_add_func("/memory/world", test_world);
    g_test_add_func("/memory/picture-and-the-next-one", test_picture);
    return g_test_run();
}

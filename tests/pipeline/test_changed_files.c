/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Files of a world that are cut or rewritten while a picture is made: an error that names the
 * file, never a signal and never a picture. Replaced ones (renamed over) do no harm.
 */
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#include "engine/device/device.h"
#include "engine/error.h"
#include "engine/formats/mapped_file.h"
#include "engine/pipeline/pipeline.h"
#include "tests/golden_files.h"

typedef enum { CUT, REWRITTEN, REPLACED } Change;

static void copy_file(const char *from, const char *to)
{
    g_autofree char *contents = NULL;
    gsize length;

    g_assert_true(g_file_get_contents(from, &contents, &length, NULL));
    g_assert_true(g_file_set_contents(to, contents, (gssize)length, NULL));
}

/* Paths of the copies go to `copies`, folders behind what they hold. */
static void copy_folder(const char *from, const char *to, GPtrArray *copies)
{
    g_autoptr(GDir) dir = g_dir_open(from, 0, NULL);
    const char *name;

    g_assert_nonnull(dir);
    g_assert_cmpint(g_mkdir(to, 0700), ==, 0);
    while ((name = g_dir_read_name(dir)) != NULL) {
        g_autofree char *source = g_build_filename(from, name, NULL);
        g_autofree char *target = g_build_filename(to, name, NULL);

        if (g_file_test(source, G_FILE_TEST_IS_DIR)) {
            copy_folder(source, target, copies);
        } else {
            copy_file(source, target);
            g_ptr_array_add(copies, g_steal_pointer(&target));
        }
    }
    g_ptr_array_add(copies, g_strdup(to));
}

typedef struct {
    char *folder, *model, *space;
    GPtrArray *copies;
} World;

static World make_world(void)
{
    World world = {.folder = g_dir_make_tmp("w2w-changed-XXXXXX", NULL),
                   .copies = g_ptr_array_new_with_free_func(g_free)};
    g_autofree char *model = w2w_golden_path("model"), *space = w2w_golden_path("space");

    world.model = g_build_filename(world.folder, "model", NULL);
    world.space = g_build_filename(world.folder, "space", NULL);
    copy_folder(model, world.model, world.copies);
    copy_folder(space, world.space, world.copies);
    return world;
}

static void remove_world(World *world)
{
    for (guint i = 0; i < world->copies->len; i++)
        g_remove(world->copies->pdata[i]);
    g_rmdir(world->folder);
    g_ptr_array_unref(world->copies);
    g_free(world->folder);
    g_free(world->model);
    g_free(world->space);
    while (!w2w_mapped_files_check(NULL))
        ;
}

typedef struct {
    const char *path;
    Change change;
    gboolean is_done;
} Attack;

static void apply(Attack *attack)
{
    g_autofree char *other = g_strconcat(attack->path, ".new", NULL);
    GStatBuf status;
    int descriptor;
    char byte;

    g_usleep(20 * 1000); /* the clock of modification times ticks in between */
    attack->is_done = TRUE;
    switch (attack->change) {
    case CUT:
        g_assert_cmpint(truncate(attack->path, 100), ==, 0);
        break;
    case REWRITTEN:
        g_assert_cmpint(g_stat(attack->path, &status), ==, 0);
        descriptor = g_open(attack->path, O_RDWR, 0);
        g_assert_cmpint(pread(descriptor, &byte, 1, status.st_size / 2), ==, 1);
        byte ^= 1;
        g_assert_cmpint(pwrite(descriptor, &byte, 1, status.st_size / 2), ==, 1);
        close(descriptor);
        break;
    case REPLACED:
        copy_file(attack->path, other);
        g_assert_cmpint(g_rename(other, attack->path), ==, 0);
        break;
    }
}

static void on_progress(double fraction, const char *what, gpointer data)
{
    Attack *attack = data;

    if (fraction > 0.0 && !attack->is_done)
        apply(attack);
}

static W2wPipeline *open_pipeline(const World *world)
{
    const W2wDeviceOptions options = {.n_threads = 2};
    g_autoptr(GError) error = NULL;
    W2wWorld *opened = w2w_world_open_parts(world->model, world->space, &error);
    W2wPipeline *pipeline;

    g_assert_no_error(error);
    pipeline = w2w_pipeline_new(opened, w2w_device_new("cpu", &options, NULL), &error);
    g_assert_no_error(error);
    return pipeline;
}

static W2wPicture *render(W2wPipeline *pipeline, const W2wProgress *progress, GError **error)
{
    const W2wSpace *space = w2w_world_get_space(w2w_pipeline_get_world(pipeline));
    g_autoptr(W2wIdentity) identity =
        w2w_identity_new(w2w_space_get_n_with_statistics(space), NULL);
    const W2wRenderOptions options = {.prompt = "sks person",
                                      .negative_prompt = "",
                                      .width = 16,
                                      .height = 16,
                                      .steps = 2,
                                      .guidance_scale = 3.0,
                                      .identity = identity};

    return w2w_pipeline_render(pipeline, &options, progress, error);
}

static void attack_while_rendering(const char *relative, Change change)
{
    World world = make_world();
    g_autofree char *path = g_build_filename(world.folder, relative, NULL);
    W2wPipeline *pipeline = open_pipeline(&world);
    Attack attack = {path, change, FALSE};
    const W2wProgress progress = {.func = on_progress, .user_data = &attack};
    g_autoptr(GError) error = NULL;
    g_autoptr(W2wPicture) picture = render(pipeline, &progress, &error);

    g_test_message("%s", error != NULL ? error->message : "a picture");
    g_assert_true(attack.is_done);
    if (change == REPLACED) {
        g_assert_no_error(error);
        g_assert_nonnull(picture);
    } else {
        g_assert_null(picture);
        g_assert_error(error, W2W_ERROR, W2W_ERROR_FILE);
        g_assert_nonnull(strstr(error->message, path));
    }
    w2w_pipeline_free(pipeline);
    remove_world(&world);
}

static void attack_before_rendering(const char *relative, Change change)
{
    World world = make_world();
    g_autofree char *path = g_build_filename(world.folder, relative, NULL);
    W2wPipeline *pipeline = open_pipeline(&world);
    Attack attack = {path, change, FALSE};
    g_autoptr(GError) error = NULL;

    apply(&attack);
    g_assert_null(render(pipeline, NULL, &error));
    g_test_message("%s", error->message);
    g_assert_true(g_error_matches(error, W2W_ERROR, W2W_ERROR_FILE) ||
                  change == CUT); /* zeros may be senseless before they are told of */
    w2w_pipeline_free(pipeline);
    remove_world(&world);
}

static char *weights_of(const char *part)
{
    g_autofree char *folder = w2w_golden_path("model");
    g_autofree char *path = g_build_filename(folder, part, NULL);
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
    const char *name;

    while ((name = g_dir_read_name(dir)) != NULL)
        if (g_str_has_suffix(name, ".safetensors"))
            return g_build_filename("model", part, name, NULL);
    g_error("%s holds no weights", path);
}

static void test_part(gconstpointer part)
{
    g_autofree char *weights = weights_of(part);

    for (Change change = CUT; change <= REPLACED; change++)
        attack_while_rendering(weights, change);
    attack_before_rendering(weights, CUT);
    attack_before_rendering(weights, REWRITTEN);
}

static void test_space(void)
{
    for (Change change = CUT; change <= REPLACED; change++)
        attack_while_rendering("space/V.pt", change);
    attack_before_rendering("space/V.pt", CUT);
    attack_before_rendering("space/V.pt", REWRITTEN);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_data_func("/changed-files/unet", "unet", test_part);
    g_test_add_data_func("/changed-files/vae", "vae", test_part);
    g_test_add_data_func("/changed-files/text-encoder", "text_encoder", test_part);
    g_test_add_func("/changed-files/space", test_space);
    return g_test_run();
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Temporary folders for tests. */
#include "tests/w2w/space_folder.h"

#include <glib/gstdio.h>
#include <unistd.h>

#include "engine/w2w/world.h"

char *make_folder(void)
{
    g_autoptr(GError) error = NULL;
    char *folder = g_dir_make_tmp("w2w-test-XXXXXX", &error);

    g_assert_no_error(error);
    return folder;
}

static void remove_inside(const char *folder)
{
    GDir *directory = g_dir_open(folder, 0, NULL);
    const char *name;

    g_assert_nonnull(directory);
    while ((name = g_dir_read_name(directory)) != NULL) {
        g_autofree char *path = g_build_filename(folder, name, NULL);

        if (!g_file_test(path, G_FILE_TEST_IS_SYMLINK) && g_file_test(path, G_FILE_TEST_IS_DIR))
            remove_inside(path);
        else
            g_assert_cmpint(g_unlink(path), ==, 0);
    }
    g_dir_close(directory);
    g_assert_cmpint(g_rmdir(folder), ==, 0);
}

void remove_folder(char *folder)
{
    remove_inside(folder);
    g_free(folder);
}

void remove_file(const char *folder, const char *name)
{
    g_autofree char *path = g_build_filename(folder, name, NULL);

    g_unlink(path);
}

void link_file(const char *folder, const char *name, const char *target)
{
    g_autofree char *path = g_build_filename(folder, name, NULL);

    g_unlink(path);
    g_assert_cmpint(symlink(target, path), ==, 0);
}

void write_text(const char *folder, const char *name, const char *text)
{
    g_autofree char *path = g_build_filename(folder, name, NULL);
    g_autoptr(GError) error = NULL;

    g_unlink(path);
    g_file_set_contents(path, text, -1, &error);
    g_assert_no_error(error);
}

char *link_folder(const char *source, const char *const *names)
{
    char *folder = make_folder();
    GDir *directory = g_dir_open(source, 0, NULL);
    const char *name;

    g_assert_nonnull(directory);
    while ((name = g_dir_read_name(directory)) != NULL) {
        g_autofree char *target = g_build_filename(source, name, NULL);

        if (names == NULL || g_strv_contains(names, name))
            link_file(folder, name, target);
    }
    g_dir_close(directory);
    return folder;
}

char *embedded_space(void)
{
    return g_build_filename(w2w_world_get_default_directory(), "space", NULL);
}

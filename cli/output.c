/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Results as files. */
#include "cli/output.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#include "engine/error.h"
#include "engine/formats/atomic_file.h"
#include "engine/formats/png.h"

#define IDENTITY_SUFFIX ".safetensors"
#define PICTURE_SUFFIX  ".png"

typedef enum {
    LAYOUT_FOLDER,   /* any number of identities with their pictures */
    LAYOUT_IDENTITY, /* an identity, and its picture beside it */
    LAYOUT_PICTURE,
} Layout;

static const struct {
    const W2wJob *job;
    Layout layout;
    W2wParameter parameter;
} outputs[] = {
    {&w2w_sample_job,
     LAYOUT_FOLDER,
     {.name = "output",
      .short_name = 'o',
      .type = W2W_PARAMETER_PATH,
      .flags = W2W_PARAMETER_REQUIRED,
      .label = "Output",
      .blurb = "Folder for identities and pictures, person-<seed>.safetensors and .png; made where "
               "it is missing."}},
    {&w2w_edit_job,
     LAYOUT_IDENTITY,
     {.name = "output",
      .short_name = 'o',
      .type = W2W_PARAMETER_PATH,
      .flags = W2W_PARAMETER_REQUIRED,
      .label = "Output",
      .blurb = "File for the new identity; its picture gets the same name with .png."}},
    {&w2w_render_job,
     LAYOUT_PICTURE,
     {.name = "output",
      .short_name = 'o',
      .type = W2W_PARAMETER_PATH,
      .flags = W2W_PARAMETER_REQUIRED,
      .label = "Output",
      .blurb = "File for the picture, name.png."}},
};

struct _W2wOutput {
    Layout layout;
    char *path;
};

static guint find_output(const W2wJob *job)
{
    for (guint i = 0; i < G_N_ELEMENTS(outputs); i++)
        if (outputs[i].job == job)
            return i;
    g_assert_not_reached();
}

const W2wParameter *w2w_output_get_parameter(const W2wJob *job)
{
    return &outputs[find_output(job)].parameter;
}

static gboolean has_suffix(const char *path, const char *suffix)
{
    const gsize length = strlen(path), n_suffix = strlen(suffix);

    return length >= n_suffix && g_ascii_strcasecmp(path + length - n_suffix, suffix) == 0;
}

/* Is it a name that a file of this layout can have? */
static gboolean check_name(Layout layout, const char *path, GError **error)
{
    g_autofree char *shown = g_filename_display_name(path);

    if (layout == LAYOUT_FOLDER)
        return TRUE;
    if (g_str_has_suffix(path, "/") || g_file_test(path, G_FILE_TEST_IS_DIR)) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_USAGE,
                    "%s is a folder; -o needs the name of a file.", shown);
        return FALSE;
    }
    if (layout == LAYOUT_IDENTITY && has_suffix(path, PICTURE_SUFFIX)) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_USAGE,
                    "-o names the file for the identity (such as new" IDENTITY_SUFFIX
                    "), and its picture gets the same name with " PICTURE_SUFFIX "; %s is the name "
                    "of a picture.",
                    shown);
        return FALSE;
    }
    if (layout == LAYOUT_PICTURE && !has_suffix(path, PICTURE_SUFFIX)) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_USAGE,
                    "Pictures are written as PNG: the name %s must end in " PICTURE_SUFFIX ".",
                    shown);
        return FALSE;
    }
    return TRUE;
}

/* By making a file there: rights, quotas and read-only disks give no simpler answer. */
static gboolean check_folder(const char *folder, GError **error)
{
    g_autofree char *shown = g_filename_display_name(folder);
    g_autofree char *trial = g_build_filename(folder, ".w2w-XXXXXX", NULL);
    int descriptor;

    if (g_mkdir_with_parents(folder, 0777) != 0) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_FILE, "The folder %s cannot be made: %s.", shown,
                    g_strerror(errno));
        return FALSE;
    }
    descriptor = g_mkstemp_full(trial, O_RDWR | O_CLOEXEC, 0600);
    if (descriptor < 0) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_FILE, "No file can be made in the folder %s: %s.",
                    shown, g_strerror(errno));
        return FALSE;
    }
    close(descriptor);
    g_unlink(trial);
    return TRUE;
}

W2wOutput *w2w_output_new(const W2wJob *job, const char *path, GError **error)
{
    const Layout layout = outputs[find_output(job)].layout;
    g_autofree char *folder = layout == LAYOUT_FOLDER ? g_strdup(path) : g_path_get_dirname(path);
    W2wOutput *output;

    if (!check_name(layout, path, error) || !check_folder(folder, error))
        return NULL;
    output = g_new0(W2wOutput, 1);
    output->layout = layout;
    output->path = g_strdup(path);
    return output;
}

void w2w_output_free(W2wOutput *output)
{
    if (output == NULL)
        return;
    g_free(output->path);
    g_free(output);
}

/* The path without `suffix`, where it ends in it. */
static char *without_suffix(const char *path, const char *suffix)
{
    return g_strndup(path, strlen(path) - (has_suffix(path, suffix) ? strlen(suffix) : 0));
}

static void get_paths(const W2wOutput *output, guint64 seed, char **identity_path,
                      char **picture_path)
{
    g_autofree char *stem = NULL;

    switch (output->layout) {
    case LAYOUT_FOLDER: {
        g_autofree char *name = g_strdup_printf("person-%" G_GUINT64_FORMAT, seed);

        stem = g_build_filename(output->path, name, NULL);
        *identity_path = g_strconcat(stem, IDENTITY_SUFFIX, NULL);
        *picture_path = g_strconcat(stem, PICTURE_SUFFIX, NULL);
        break;
    }
    case LAYOUT_IDENTITY:
        stem = without_suffix(output->path, IDENTITY_SUFFIX);
        *identity_path = g_strdup(output->path);
        *picture_path = g_strconcat(stem, PICTURE_SUFFIX, NULL);
        break;
    case LAYOUT_PICTURE:
        *identity_path = NULL;
        *picture_path = g_strdup(output->path);
        break;
    }
}

static gboolean write_bytes(GBytes *bytes, const char *path, GError **error)
{
    g_autoptr(W2wAtomicFile) file = w2w_atomic_file_new(path, error);
    gsize size;
    const void *data = g_bytes_get_data(bytes, &size);

    if (file == NULL)
        return FALSE;
    fwrite(data, 1, size,
           w2w_atomic_file_get_stream(file)); /* the commit reports what went wrong */
    return w2w_atomic_file_commit(file, error);
}

gboolean w2w_output_write(const W2wOutput *output, const W2wJobResult *result, char **identity_path,
                          char **picture_path, GError **error)
{
    const char *const texts[] = {"Title",      result->name,   "Software", "w2w " W2W_VERSION,
                                 "w2w-recipe", result->recipe, NULL};
    g_autofree char *identity = NULL;
    g_autofree char *picture = NULL;

    get_paths(output, result->seed, &identity, &picture);
    if (result->identity == NULL)
        g_clear_pointer(&identity, g_free);
    if (result->picture == NULL)
        g_clear_pointer(&picture, g_free);
    if (identity != NULL && !write_bytes(result->identity, identity, error))
        return FALSE;
    if (picture != NULL && !w2w_png_write(result->picture, picture, texts, error))
        return FALSE;
    *identity_path = g_steal_pointer(&identity);
    *picture_path = g_steal_pointer(&picture);
    return TRUE;
}

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
    LAYOUT_FOLDER, /* as output.h says */
    LAYOUT_IDENTITY,
    LAYOUT_PICTURE,
    LAYOUT_EDITED,
    LAYOUT_FILES,
    LAYOUT_LORA, /* files; the identity and the picture beside them */
    LAYOUT_NONE,
} Layout;

#define OUTPUT(flags_, blurb_)                                                                     \
    {                                                                                              \
        .name = "output", .short_name = 'o', .type = W2W_PARAMETER_PATH, .flags = flags_,          \
        .label = "Output", .blurb = blurb_,                                                        \
    }

#define FOLDER_BLURB                                                                               \
    "Folder for identities and pictures, person-<seed>.safetensors and .png; made where it is "    \
    "missing."
#define IDENTITY_BLURB "File for the new identity; its picture gets the same name with .png."

/* A row for each job of w2w_jobs[]. */
static const struct {
    const W2wJob *job;
    Layout layout;
    W2wParameter parameter; /* not of LAYOUT_NONE */
} outputs[] = {
    {&w2w_sample_job, LAYOUT_FOLDER, OUTPUT(W2W_PARAMETER_REQUIRED, FOLDER_BLURB)},
    {&w2w_edit_job, LAYOUT_IDENTITY, OUTPUT(W2W_PARAMETER_REQUIRED, IDENTITY_BLURB)},
    {&w2w_render_job, LAYOUT_PICTURE,
     OUTPUT(W2W_PARAMETER_REQUIRED, "File for the picture, name.png.")},
    {&w2w_edit_picture_job, LAYOUT_EDITED,
     OUTPUT(W2W_PARAMETER_REQUIRED, "File for the picture, name.png; the changed identity gets the "
                                    "same name with .safetensors.")},
    {&w2w_project_job, LAYOUT_IDENTITY, OUTPUT(W2W_PARAMETER_REQUIRED, IDENTITY_BLURB)},
    {&w2w_export_job, LAYOUT_FILES,
     OUTPUT(W2W_PARAMETER_REQUIRED,
            "File to write (name.safetensors; name.pt for w2wmodel); a folder for peft and "
            "upstream, made where it is missing.")},
    {&w2w_mix_job, LAYOUT_IDENTITY, OUTPUT(W2W_PARAMETER_REQUIRED, IDENTITY_BLURB)},
    {&w2w_strip_job, LAYOUT_FOLDER,
     OUTPUT(W2W_PARAMETER_REQUIRED, "Folder for the frames, frame-01.safetensors and .png and so "
                                    "on, and strip.png; made where it is missing.")},
    {&w2w_direction_job, LAYOUT_NONE, {0}},
    {&w2w_invert_job, LAYOUT_IDENTITY, OUTPUT(W2W_PARAMETER_REQUIRED, IDENTITY_BLURB)},
    {&w2w_pick_job, LAYOUT_IDENTITY,
     OUTPUT(0, "File for the identity; its picture gets the same name with .png. Left out, only "
               "the report is printed.")},
    {&w2w_dreambooth_job, LAYOUT_LORA,
     OUTPUT(W2W_PARAMETER_REQUIRED,
            "File for the LoRA (name.safetensors), or a folder for peft and upstream. Beside it: "
            "name.png, its picture, and name-identity.safetensors, the nearest identity.")},
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
    const guint i = find_output(job);

    return outputs[i].layout != LAYOUT_NONE ? &outputs[i].parameter : NULL;
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

    if (layout == LAYOUT_FOLDER || layout == LAYOUT_FILES)
        return TRUE;
    if (layout == LAYOUT_LORA) {
        if (!has_suffix(path, PICTURE_SUFFIX))
            return TRUE;
        g_set_error(error, W2W_ERROR, W2W_ERROR_USAGE,
                    "-o names the file for the LoRA (such as new" IDENTITY_SUFFIX
                    "), and its picture gets the same name with " PICTURE_SUFFIX "; %s is the name "
                    "of a picture.",
                    shown);
        return FALSE;
    }
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
    if ((layout == LAYOUT_PICTURE || layout == LAYOUT_EDITED) &&
        !has_suffix(path, PICTURE_SUFFIX)) {
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
    /* LAYOUT_FILES: whether the path becomes a folder is known only with the result. */
    const Layout layout = *path != 0 ? outputs[find_output(job)].layout : LAYOUT_NONE;
    g_autofree char *folder = layout == LAYOUT_FOLDER ? g_strdup(path) : g_path_get_dirname(path);
    W2wOutput *output;

    if (layout != LAYOUT_NONE && (!check_name(layout, path, error) || !check_folder(folder, error)))
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

/* A name that cannot leave its folder. */
static char *make_stem(const W2wJobResult *result)
{
    if (result->stem == NULL || *result->stem == 0)
        return g_strdup_printf("person-%" G_GUINT64_FORMAT, result->seed);
    return g_strdelimit(g_strdup(result->stem), "/", '_');
}

/* Where the identity and the picture would go; NULL where the layout has no place for them. */
static void get_paths(const W2wOutput *output, const W2wJobResult *result, char **identity_path,
                      char **picture_path)
{
    g_autofree char *stem = NULL;

    *identity_path = *picture_path = NULL;
    switch (output->layout) {
    case LAYOUT_FOLDER: {
        g_autofree char *name = make_stem(result);

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
    case LAYOUT_EDITED:
        stem = without_suffix(output->path, PICTURE_SUFFIX);
        *identity_path = g_strconcat(stem, IDENTITY_SUFFIX, NULL);
        *picture_path = g_strdup(output->path);
        break;
    case LAYOUT_PICTURE:
        *picture_path = g_strdup(output->path);
        break;
    case LAYOUT_LORA: {
        g_autofree char *path = g_strdup(output->path);

        for (gsize end = strlen(path); end > 1 && path[end - 1] == '/'; end--)
            path[end - 1] = 0; /* a folder may be written so; what is beside it is not in it */
        stem = without_suffix(path, IDENTITY_SUFFIX);
        *identity_path = g_strconcat(stem, "-identity" IDENTITY_SUFFIX, NULL);
        *picture_path = g_strconcat(stem, PICTURE_SUFFIX, NULL);
        break;
    }
    case LAYOUT_FILES:
    case LAYOUT_NONE:
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

static gboolean has_files(const W2wOutput *output)
{
    return output->layout == LAYOUT_FILES || output->layout == LAYOUT_LORA;
}

/* What diffusers calls a LoRA in a folder: of a long training, nothing may be lost to a name. */
#define LORA_IN_FOLDER "pytorch_lora_weights.safetensors"

/* "" is the path itself; the folder of the others is made with the first of them. */
static gboolean write_file(const W2wOutput *output, const W2wJobFile *file, W2wWritten *written,
                           GError **error)
{
    const gboolean is_in_folder =
        output->layout == LAYOUT_LORA && g_file_test(output->path, G_FILE_TEST_IS_DIR);
    const char *name = *file->name == 0 && is_in_folder ? LORA_IN_FOLDER : file->name;
    g_autofree char *path =
        *name != 0 ? g_build_filename(output->path, name, NULL) : g_strdup(output->path);

    if (strchr(name, '/') != NULL || strcmp(name, "..") == 0) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_FILE, "“%s” is no name for a file.", name);
        return FALSE;
    }
    if ((*name != 0 && !check_folder(output->path, error)) ||
        (*name == 0 && !check_name(LAYOUT_IDENTITY, path, error)) ||
        !write_bytes(file->bytes, path, error))
        return FALSE;
    if (written->files == NULL)
        written->files = g_ptr_array_new_with_free_func(g_free);
    g_ptr_array_add(written->files, g_steal_pointer(&path));
    return TRUE;
}

void w2w_written_clear(W2wWritten *written)
{
    g_clear_pointer(&written->identity, g_free);
    g_clear_pointer(&written->picture, g_free);
    g_clear_pointer(&written->files, g_ptr_array_unref);
}

gboolean w2w_output_write(const W2wOutput *output, const W2wJobResult *result, W2wWritten *written,
                          GError **error)
{
    const char *const texts[] = {"Title",
                                 result->name,
                                 "Software",
                                 "w2w " W2W_VERSION,
                                 result->recipe != NULL ? "w2w-recipe" : NULL,
                                 result->recipe,
                                 NULL};
    g_autofree char *identity = NULL;
    g_autofree char *picture = NULL;

    get_paths(output, result, &identity, &picture);
    if (identity != NULL && result->identity != NULL) {
        if (!write_bytes(result->identity, identity, error))
            return FALSE;
        written->identity = g_steal_pointer(&identity);
    }
    if (picture != NULL && result->picture != NULL) {
        if (!w2w_png_write(result->picture, picture, texts, error))
            return FALSE;
        written->picture = g_steal_pointer(&picture);
    }
    for (guint i = 0; has_files(output) && result->files != NULL && i < result->files->len; i++)
        if (!write_file(output, result->files->pdata[i], written, error))
            return FALSE;
    return TRUE;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Where added directions lie. Folders are looked through again when they have changed: a worker
 * keeps its space for hours while another process adds a direction. What was once given out
 * stays valid as long as the space, so directions that are gone are only set aside.
 */
#include "engine/w2w/direction.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/error.h"
#include "engine/formats/safetensors.h"
#include "engine/memory.h"
#include "engine/w2w/edit.h"
#include "engine/w2w/space_internal.h"

#define FORMAT    "w2w-direction"
#define VERSION   1
#define DIRECTION "direction"
#define SUFFIX    ".safetensors"

/* Bytes: with the suffix it is a file's name everywhere. */
#define MAX_NAME 100

typedef struct {
    char *name, *path;
    double *direction; /* (n_with_statistics) */
    gboolean is_own;   /* the user's, not the world's */
    gboolean has_range;
    W2wScoreRange range;
} Added;

typedef struct {
    char *path;
    gboolean is_own;
    struct timespec changed; /* when it was read; 0 where it was not there */
} Folder;

typedef struct _W2wDirectionStore {
    GPtrArray *folders;    /* Folder */
    gboolean is_current;   /* nothing of ours has changed since the folders were read */
    gboolean has_own;      /* the user's folder is among them */
    GPtrArray *directions; /* Added */
    GPtrArray *set_aside;  /* Added */
    GPtrArray *names;      /* borrowed from people and directions; NULL terminated */
    GPtrArray *problems;   /* NULL terminated */
} DirectionStore;

static void free_added(gpointer data)
{
    Added *added = data;

    g_free(added->name);
    g_free(added->path);
    w2w_aligned_free(added->direction);
    g_free(added);
}

static void free_folder(gpointer data)
{
    g_free(((Folder *)data)->path);
    g_free(data);
}

DirectionStore *w2w_direction_store_new(void)
{
    DirectionStore *store = g_new0(DirectionStore, 1);

    store->folders = g_ptr_array_new_with_free_func(free_folder);
    store->directions = g_ptr_array_new();
    store->set_aside = g_ptr_array_new_with_free_func(free_added);
    store->names = g_ptr_array_new();
    store->problems = g_ptr_array_new_with_free_func(g_free);
    return store;
}

void w2w_direction_store_free(DirectionStore *store)
{
    if (store == NULL)
        return;
    g_ptr_array_unref(store->folders);
    g_ptr_array_foreach(store->directions, (GFunc)(void (*)(void))free_added, NULL);
    g_ptr_array_unref(store->directions);
    g_ptr_array_unref(store->set_aside);
    g_ptr_array_unref(store->names);
    g_ptr_array_unref(store->problems);
    g_free(store);
}

static char *own_folder(W2wSpace *space)
{
    return g_build_filename(g_get_user_data_dir(), "w2w", "directions",
                            w2w_space_get_fingerprint(space), NULL);
}

static void add_folder(W2wSpace *space, char *path, gboolean is_own)
{
    Folder *folder = g_new0(Folder, 1);

    folder->path = path;
    folder->is_own = is_own;
    g_ptr_array_add(space->added->folders, folder);
    space->added->is_current = FALSE;
}

void w2w_space_add_direction_folder(W2wSpace *space, const char *folder)
{
    add_folder(space, g_strdup(folder), FALSE);
}

/* --- names --- */

static char *fold(const char *name)
{
    g_autofree char *normal = g_utf8_normalize(name, -1, G_NORMALIZE_NFKC);

    return g_utf8_casefold(normal, -1);
}

static gboolean is_same_name(const char *first, const char *second)
{
    g_autofree char *a = fold(first);
    g_autofree char *b = fold(second);

    return g_str_equal(a, b);
}

static gboolean check_name(const char *name, GError **error)
{
    if (!g_utf8_validate(name, -1, NULL)) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_USAGE,
                    "The name of a direction must be valid UTF-8 text.");
        return FALSE;
    }
    if (!w2w_edits_check_name(name, error))
        return FALSE;
    if (strpbrk(name, "=#/\\") == NULL && name[0] != '.' && strlen(name) <= MAX_NAME &&
        !g_unichar_isspace(g_utf8_get_char(name)) &&
        !g_unichar_isspace(g_utf8_get_char(g_utf8_prev_char(name + strlen(name)))))
        return TRUE;
    g_set_error(error, W2W_ERROR, W2W_ERROR_USAGE,
                "“%s” cannot be the name of a direction: names have at most %d bytes, none of "
                "= ; , # / \\, no “.” in front and no space at either end.",
                name, MAX_NAME);
    return FALSE;
}

/* Attribute or added; NULL where the name is free. */
static const char *find_same_name(const W2wSpace *space, const char *name)
{
    for (guint i = 0; i < space->people->labels->len; i++)
        if (is_same_name(space->people->attributes->pdata[i], name))
            return space->people->attributes->pdata[i];
    for (guint i = 0; i < space->added->directions->len; i++) {
        const Added *added = space->added->directions->pdata[i];

        if (is_same_name(added->name, name))
            return added->name;
    }
    return NULL;
}

/* --- files --- */

static gboolean check_metadata(W2wSpace *space, const W2wSafetensors *file, GError **error)
{
    const char *path = w2w_safetensors_get_name(file);
    const char *version = w2w_safetensors_get_metadata(file, "version");
    const char *fingerprint = w2w_safetensors_get_metadata(file, "space_fingerprint");
    const char *name = w2w_safetensors_get_metadata(file, "name");

    if (g_strcmp0(w2w_safetensors_get_metadata(file, "format"), FORMAT) != 0 || name == NULL) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_FORMAT,
                    "%s is no direction: its metadata lacks the format “" FORMAT "” or a name.",
                    path);
        return FALSE;
    }
    if (g_strcmp0(version, G_STRINGIFY(VERSION)) != 0) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_UNSUPPORTED,
                    "%s was written by another program: its version is %s, this program reads %d.",
                    path, version != NULL ? version : "missing", VERSION);
        return FALSE;
    }
    if (g_strcmp0(fingerprint, w2w_space_get_fingerprint(space)) != 0) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_MISMATCH,
                    "%s is a direction of another space than %s.", path, space->directory);
        return FALSE;
    }
    if (check_name(name, error))
        return TRUE;
    g_prefix_error(error, "%s: ", path);
    return FALSE;
}

static Added *load_added(W2wSpace *space, const char *path, GError **error)
{
    const guint n = space->n_with_statistics;
    g_autoptr(W2wSafetensors) file = w2w_safetensors_open(path, error);
    g_autoptr(W2wArray) array = NULL;
    W2W_AUTO_ALIGNED double *direction = NULL;
    double square = 0.0;
    const char *name, *other;
    Added *added;

    if (file == NULL || !check_metadata(space, file, error))
        return NULL;
    name = w2w_safetensors_get_metadata(file, "name");
    array = w2w_safetensors_get(file, DIRECTION, error);
    if (array == NULL)
        return NULL;
    if (!w2w_dtype_is_float(array->dtype) || array->n_dims != 1 || array->n_elements != n) {
        g_autofree char *shape = w2w_array_shape_to_string(array);

        g_set_error(error, W2W_ERROR, W2W_ERROR_MISMATCH,
                    "%s has a direction of shape %s; %u numbers were expected, one for each "
                    "component with statistics.",
                    path, shape, n);
        return NULL;
    }
    direction = w2w_aligned_alloc(n, sizeof *direction, "a direction", error);
    if (direction == NULL)
        return NULL;
    w2w_array_to_f64(array, direction);
    for (guint j = 0; j < n; j++)
        square += direction[j] * direction[j];
    if (!isfinite(square) || square == 0.0) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_FORMAT,
                    "%s holds a direction that is zero or not finite.", path);
        return NULL;
    }
    other = find_same_name(space, name);
    if (other != NULL) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_USAGE,
                    "%s is left out: there is already a direction “%s”.", path, other);
        return NULL;
    }
    added = g_new0(Added, 1);
    added->name = g_strdup(name);
    added->path = g_strdup(path);
    added->direction = g_steal_pointer(&direction);
    return added;
}

static gint compare_texts(gconstpointer first, gconstpointer second)
{
    return strcmp(*(const char *const *)first, *(const char *const *)second);
}

/* In the order of their names, so that it is the same everywhere. */
static void read_folder(W2wSpace *space, const Folder *folder)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    GDir *directory = g_dir_open(folder->path, 0, NULL);
    const char *name;

    while (directory != NULL && (name = g_dir_read_name(directory)) != NULL)
        if (g_str_has_suffix(name, SUFFIX) && name[0] != '.')
            g_ptr_array_add(names, g_strdup(name));
    g_clear_pointer(&directory, g_dir_close);
    g_ptr_array_sort(names, compare_texts);
    for (guint i = 0; i < names->len; i++) {
        g_autofree char *path = g_build_filename(folder->path, names->pdata[i], NULL);
        g_autoptr(GError) problem = NULL;
        Added *added = load_added(space, path, &problem);

        if (added == NULL) {
            g_ptr_array_add(space->added->problems, g_utf8_make_valid(problem->message, -1));
            continue;
        }
        added->is_own = folder->is_own;
        g_ptr_array_add(space->added->directions, added);
    }
}

/* Have the folders changed? Remembers how they are now. */
static gboolean look_at_folders(DirectionStore *store)
{
    gboolean has_changed = !store->is_current;

    for (guint i = 0; i < store->folders->len; i++) {
        Folder *folder = store->folders->pdata[i];
        struct stat status;
        struct timespec now = {0};

        if (stat(folder->path, &status) == 0)
            now = status.st_mtim;
        has_changed |=
            now.tv_sec != folder->changed.tv_sec || now.tv_nsec != folder->changed.tv_nsec;
        folder->changed = now;
    }
    store->is_current = TRUE;
    return has_changed;
}

static void refresh(W2wSpace *space)
{
    DirectionStore *store = space->added;
    const W2wPeopleTable *people = space->people;

    if (!store->has_own && space->n_with_statistics > 0) {
        store->has_own = TRUE;
        add_folder(space, own_folder(space), TRUE);
    }
    if (!look_at_folders(store) && store->names->len > 0)
        return;
    for (guint i = 0; i < store->directions->len; i++)
        g_ptr_array_add(store->set_aside, store->directions->pdata[i]);
    g_ptr_array_set_size(store->directions, 0);
    g_ptr_array_set_size(store->problems, 0);
    for (guint i = 0; i < store->folders->len && space->n_with_statistics > 0; i++)
        read_folder(space, store->folders->pdata[i]);
    g_ptr_array_add(store->problems, NULL);
    g_ptr_array_set_size(store->names, 0);
    for (guint i = 0; i < people->labels->len; i++)
        g_ptr_array_add(store->names, people->attributes->pdata[i]);
    for (guint i = 0; i < store->directions->len; i++)
        g_ptr_array_add(store->names, ((Added *)store->directions->pdata[i])->name);
    g_ptr_array_add(store->names, NULL);
}

const char *const *w2w_space_get_direction_names(W2wSpace *space)
{
    refresh(space);
    return (const char *const *)space->added->names->pdata;
}

const char *const *w2w_space_get_direction_problems(W2wSpace *space)
{
    refresh(space);
    return (const char *const *)space->added->problems->pdata;
}

static Added *find_added(const W2wSpace *space, const char *name)
{
    for (guint i = 0; i < space->added->directions->len; i++) {
        Added *added = space->added->directions->pdata[i];

        if (g_str_equal(added->name, name))
            return added;
    }
    return NULL;
}

const double *w2w_space_find_added(W2wSpace *space, const char *name, W2wScoreRange *range,
                                   gboolean *is_there, GError **error)
{
    Added *added = find_added(space, name);

    if (added == NULL) {
        refresh(space);
        added = find_added(space, name);
    }
    *is_there = added != NULL;
    if (added == NULL)
        return NULL;
    if (range != NULL && !added->has_range) {
        if (!w2w_space_measure_scores(space, added->direction, &added->range, error))
            return NULL;
        added->has_range = TRUE;
    }
    if (range != NULL)
        *range = added->range;
    return added->direction;
}

const char *w2w_space_get_direction_file(W2wSpace *space, const char *name)
{
    const Added *added;

    refresh(space);
    added = find_added(space, name);
    return added != NULL ? added->path : NULL;
}

void w2w_space_fail_unknown(W2wSpace *space, const char *name, GError **error)
{
    const char *const *problems;
    g_autofree char *list = NULL;
    g_autofree char *told = NULL;

    if (!w2w_space_require_people(space, "A direction", error))
        return;
    problems = w2w_space_get_direction_problems(space);
    told = g_strjoinv(" ", (char **)problems);
    if (w2w_space_get_direction_names(space)[0] == NULL) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_UNSUPPORTED,
                    "There is no direction “%s”: %s has no %s with attributes in it.%s%s", name,
                    space->directory, w2w_space_part_name(space, W2W_SPACE_LABELS),
                    *told != 0 ? " " : "", told);
        return;
    }
    list = g_strjoinv(", ", (char **)w2w_space_get_direction_names(space));
    g_set_error(error, W2W_ERROR, W2W_ERROR_USAGE,
                "“%s” is no direction of the space %s. It has: %s.%s%s", name, space->directory,
                list, *told != 0 ? " " : "", told);
}

/* --- adding and removing --- */

gboolean w2w_space_check_new_direction(W2wSpace *space, const char *name, GError **error)
{
    const char *other;

    if (!w2w_space_require_people(space, "Adding a direction", error) || !check_name(name, error))
        return FALSE;
    refresh(space);
    other = find_same_name(space, name);
    if (other == NULL)
        return TRUE;
    if (find_added(space, other) != NULL)
        g_set_error(error, W2W_ERROR, W2W_ERROR_USAGE,
                    "There is already a direction “%s”; remove it first, or choose another name.",
                    other);
    else
        g_set_error(error, W2W_ERROR, W2W_ERROR_USAGE,
                    "“%s” is an attribute of the space; choose another name.", other);
    return FALSE;
}

char *w2w_space_add_direction(W2wSpace *space, const char *name, const double *direction,
                              const char *recipe, GError **error)
{
    const gint64 shape[1] = {space->n_with_statistics};
    g_autoptr(W2wSafetensorsWriter) writer = w2w_safetensors_writer_new();
    g_autofree char *file_name = g_strconcat(name, SUFFIX, NULL);
    g_autofree char *folder = own_folder(space);
    g_autofree char *path = g_build_filename(folder, file_name, NULL);
    g_autoptr(GBytes) bytes = g_bytes_new(direction, space->n_with_statistics * sizeof *direction);
    g_autoptr(W2wArray) array = NULL;

    if (!w2w_space_check_new_direction(space, name, error))
        return NULL;
    array = w2w_array_new_view(W2W_DTYPE_F64, 1, shape, NULL, bytes, 0, "A direction", error);
    if (array == NULL)
        return NULL;
    if (g_mkdir_with_parents(folder, 0777) != 0) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_FILE, "The folder %s cannot be made: %s.", folder,
                    g_strerror(errno));
        return NULL;
    }
    w2w_safetensors_writer_set_metadata(writer, "format", FORMAT);
    w2w_safetensors_writer_set_metadata(writer, "version", G_STRINGIFY(VERSION));
    w2w_safetensors_writer_set_metadata(writer, "name", name);
    w2w_safetensors_writer_set_metadata(writer, "space_fingerprint",
                                        w2w_space_get_fingerprint(space));
    if (recipe != NULL)
        w2w_safetensors_writer_set_metadata(writer, "recipe", recipe);
    w2w_safetensors_writer_add(writer, DIRECTION, array);
    if (!w2w_safetensors_writer_save(writer, path, error))
        return NULL;
    space->added->is_current = FALSE;
    return g_steal_pointer(&path);
}

gboolean w2w_space_remove_direction(W2wSpace *space, const char *name, GError **error)
{
    const Added *added;

    refresh(space);
    added = find_added(space, name);
    if (added == NULL && w2w_space_find_attribute(space, name) < 0) {
        w2w_space_fail_unknown(space, name, error);
        return FALSE;
    }
    if (added == NULL || !added->is_own) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_USAGE,
                    "“%s” belongs to the %s; only directions that were added by you can be "
                    "removed.",
                    name, added == NULL ? "space" : "world");
        return FALSE;
    }
    if (g_unlink(added->path) != 0 && errno != ENOENT) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_FILE, "%s cannot be removed: %s.", added->path,
                    g_strerror(errno));
        return FALSE;
    }
    space->added->is_current = FALSE;
    return TRUE;
}

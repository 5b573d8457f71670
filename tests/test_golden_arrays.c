/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Golden folders hold what they say they hold. The golden tests take what there is, so that an
 * array that is lost would be a comparison less and nothing else: arrays.json, kept by hand,
 * says for each file of a folder how many arrays are in it.
 */
#include <string.h>

#include "engine/formats/json.h"
#include "tests/golden_files.h"

/* Files of the folder, by their paths in it, with how many arrays they have. */
static void count_arrays(const char *folder, const char *below, GHashTable *counts)
{
    g_autofree char *path = g_build_filename(folder, below, NULL);
    g_autoptr(GError) error = NULL;
    g_autoptr(GDir) dir = g_dir_open(path, 0, &error);
    const char *name;

    g_assert_no_error(error);
    while ((name = g_dir_read_name(dir)) != NULL) {
        g_autofree char *inside = *below != 0 ? g_build_filename(below, name, NULL) : NULL;
        const char *relative = inside != NULL ? inside : name;
        g_autofree char *file = g_build_filename(folder, relative, NULL);
        g_autoptr(W2wSafetensors) arrays = NULL;

        if (g_file_test(file, G_FILE_TEST_IS_DIR)) {
            count_arrays(folder, relative, counts);
            continue;
        }
        if (!g_str_has_suffix(name, ".safetensors"))
            continue;
        arrays = w2w_safetensors_open(file, &error);
        g_assert_no_error(error);
        g_hash_table_insert(
            counts, g_strdup(relative),
            GUINT_TO_POINTER(g_strv_length((char **)w2w_safetensors_get_keys(arrays))));
    }
}

static void check(const char *folder)
{
    g_autofree char *list = g_build_filename(folder, "arrays.json", NULL);
    g_autoptr(GHashTable) counts = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonObject) said = w2w_json_load(list, &error);
    g_autoptr(GList) names = NULL;

    g_assert_no_error(error);
    count_arrays(folder, "", counts);
    names = json_object_get_members(said);
    for (GList *name = names; name != NULL; name = name->next) {
        const gint64 expected = json_object_get_int_member(said, name->data);
        const guint n = GPOINTER_TO_UINT(g_hash_table_lookup(counts, name->data));

        if (n != expected)
            g_test_fail_printf("%s/%s has %u arrays; arrays.json says %" G_GINT64_FORMAT ".",
                               folder, (const char *)name->data, n, expected);
        g_hash_table_remove(counts, name->data);
    }
    if (g_hash_table_size(counts) > 0)
        g_test_fail_printf("%s has %u files that arrays.json does not name.", folder,
                           g_hash_table_size(counts));
}

/* The sources' own folder, whatever W2W_GOLDEN says, and that one where it has a list. */
static void test_counts(void)
{
    g_autofree char *own = g_build_filename(g_getenv("W2W_TEST_SOURCE_DIR"), "golden", "a", NULL);
    g_autofree char *list = w2w_golden_path("arrays.json");

    check(own);
    if (strcmp(own, w2w_golden_dir()) != 0 && g_file_test(list, G_FILE_TEST_EXISTS))
        check(w2w_golden_dir());
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/golden-arrays/counts", test_counts);
    return g_test_run();
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Directions that users add: their mathematics, their names, their files, and who finds them. */
#include <glib/gstdio.h>
#include <math.h>
#include <string.h>

#include "engine/error.h"
#include "engine/formats/safetensors.h"
#include "engine/memory.h"
#include "engine/w2w/direction.h"
#include "engine/w2w/edit.h"
#include "engine/w2w/world.h"
#include "tests/w2w/space_folder.h"

static W2wSpace *open_embedded(void)
{
    g_autofree char *embedded = embedded_space();
    g_autoptr(GError) error = NULL;
    W2wSpace *space = w2w_space_open(embedded, &error);

    g_assert_no_error(error);
    return space;
}

/* `n` people of the dataset with this label of an attribute. */
static GPtrArray *get_group(W2wSpace *space, const char *attribute, gint8 label, guint n)
{
    GPtrArray *group = g_ptr_array_new_with_free_func((GDestroyNotify)w2w_identity_free);
    g_autoptr(GError) error = NULL;
    const gint8 *labels = w2w_space_get_labels(space, attribute, &error);

    g_assert_no_error(error);
    for (gint64 row = 0; group->len < n; row++) {
        W2wIdentity *identity;

        g_assert_cmpint(row, <, w2w_space_get_n_people(space));
        if (labels[row] != label)
            continue;
        identity = w2w_identity_new(w2w_space_get_n_with_statistics(space), NULL);
        w2w_space_get_person(space, row, identity->coefficients, &error);
        g_assert_no_error(error);
        g_ptr_array_add(group, identity);
    }
    return group;
}

static double *make_direction(W2wSpace *space, const char *attribute, guint n)
{
    g_autoptr(GPtrArray) with = get_group(space, attribute, 1, n);
    g_autoptr(GPtrArray) without = get_group(space, attribute, -1, n);
    g_autoptr(GError) error = NULL;
    double *direction = w2w_direction_from_groups(space, (W2wIdentity *const *)with->pdata, n,
                                                  (W2wIdentity *const *)without->pdata, n, &error);

    g_assert_no_error(error);
    return direction;
}

static void add(W2wSpace *space, const char *name, const double *direction)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *path = w2w_space_add_direction(space, name, direction, "{}", &error);

    g_assert_no_error(error);
    g_assert_true(g_file_test(path, G_FILE_TEST_IS_REGULAR));
    g_assert_cmpstr(w2w_space_get_direction_file(space, name), ==, path);
}

static void remove_direction(W2wSpace *space, const char *name)
{
    g_autoptr(GError) error = NULL;

    w2w_space_remove_direction(space, name, &error);
    g_assert_no_error(error);
}

static gboolean has_direction(W2wSpace *space, const char *name)
{
    return g_strv_contains(w2w_space_get_direction_names(space), name);
}

/* Scores of the groups' means differ by 2, and an edit moves along the difference of the means. */
static void test_mathematics(void)
{
    g_autoptr(W2wSpace) space = open_embedded();
    const guint n = w2w_space_get_n_with_statistics(space), n_group = 7;
    const char *attribute = w2w_space_get_attributes(space)[3];
    W2W_AUTO_ALIGNED double *direction = make_direction(space, attribute, n_group);
    g_autoptr(GPtrArray) with = get_group(space, attribute, 1, n_group);
    g_autoptr(GPtrArray) without = get_group(space, attribute, -1, n_group);
    g_autofree double *difference = g_new0(double, n);
    g_autofree double *delta = g_new(double, w2w_space_get_n_components(space));
    g_autoptr(GError) error = NULL;
    g_autoptr(W2wEdits) edits = w2w_edits_parse("Of two groups=0.5", &error);
    double score = 0.0, length = 0.0, along = 0.0;
    W2wScoreRange range;

    for (guint i = 0; i < n_group; i++)
        for (guint j = 0; j < n; j++)
            difference[j] += ((double)((const W2wIdentity *)with->pdata[i])->coefficients[j] -
                              ((const W2wIdentity *)without->pdata[i])->coefficients[j]) /
                             (double)n_group;
    for (guint j = 0; j < n; j++)
        score += direction[j] * difference[j];
    g_assert_cmpfloat_with_epsilon(score, 2.0, 1e-9);

    add(space, "Of two groups", direction);
    w2w_space_get_score_range(space, "Of two groups", &range, &error);
    g_assert_no_error(error);
    w2w_edits_get_change(edits, space, W2W_METRIC_POPULATION, delta, &error);
    g_assert_no_error(error);
    for (guint j = 0; j < n; j++) {
        length += difference[j] * difference[j];
        along += difference[j] * delta[j];
    }
    for (guint j = 0; j < n; j++)
        g_assert_cmpfloat_with_epsilon(delta[j], along / length * difference[j],
                                       1e-9 * sqrt(length));
    g_assert_cmpfloat_with_epsilon(along / length * score, 0.5 * range.half_range, 1e-9);
    remove_direction(space, "Of two groups");
}

/* The people's scores, one by one. */
static void test_score_range(void)
{
    g_autoptr(W2wSpace) space = open_embedded();
    const guint n = w2w_space_get_n_with_statistics(space);
    const double *mean = w2w_space_get_coefficient_mean(space);
    W2W_AUTO_ALIGNED double *direction =
        make_direction(space, w2w_space_get_attributes(space)[0], 4);
    g_autofree float *person = g_new(float, n);
    double least = INFINITY, largest = -INFINITY;
    W2wScoreRange range;
    g_autoptr(GError) error = NULL;

    add(space, "Range", direction);
    w2w_space_get_score_range(space, "Range", &range, &error);
    g_assert_no_error(error);
    for (gint64 row = 0; row < w2w_space_get_n_people(space); row++) {
        double score = 0.0;

        w2w_space_get_person(space, row, person, NULL);
        for (guint j = 0; j < n; j++)
            score += direction[j] * (person[j] - mean[j]);
        least = MIN(least, score);
        largest = MAX(largest, score);
    }
    g_assert_cmpfloat_with_epsilon(range.min, least, 1e-9);
    g_assert_cmpfloat_with_epsilon(range.max, largest, 1e-9);
    g_assert_cmpfloat(range.half_range, >, 0.0);
    g_assert_cmpfloat(range.half_range, <, (largest - least) / 2.0);
    remove_direction(space, "Range");
}

/* Groups of an attribute's people point where the attribute does. */
static void test_finds_the_attribute(void)
{
    g_autoptr(W2wSpace) space = open_embedded();
    const guint n = w2w_space_get_n_with_statistics(space);
    const double *std = w2w_space_get_coefficient_std(space);
    const char *const *attribute = w2w_space_get_attributes(space);

    for (; *attribute != NULL; attribute++) {
        const double *own = w2w_space_get_direction(space, *attribute, NULL);
        W2W_AUTO_ALIGNED double *made = make_direction(space, *attribute, 60);
        double products[3] = {0.0};

        for (guint j = 0; j < n; j++) {
            products[0] += std[j] * std[j] * own[j] * made[j];
            products[1] += std[j] * std[j] * own[j] * own[j];
            products[2] += std[j] * std[j] * made[j] * made[j];
        }
        g_test_message("%s: %.2f", *attribute, products[0] / sqrt(products[1] * products[2]));
        g_assert_cmpfloat(products[0] / sqrt(products[1] * products[2]), >, 0.3);
    }
}

/* Everything that takes an attribute's name takes it, in every process that has the space open. */
static void test_used_everywhere(void)
{
    g_autoptr(W2wSpace) first = open_embedded();
    g_autoptr(W2wSpace) second = open_embedded();
    const guint n = w2w_space_get_n_with_statistics(first);
    const guint n_attributes = g_strv_length((char **)w2w_space_get_attributes(first));
    const char *attribute = w2w_space_get_attributes(first)[0];
    W2W_AUTO_ALIGNED double *direction = make_direction(first, attribute, 5);
    g_autofree double *delta = g_new(double, w2w_space_get_n_components(first));
    g_autofree float *zeros = g_new0(float, n);
    g_autofree char *text = g_strdup_printf("%s=1;protect=Sommersprossen ä", attribute);
    g_autoptr(GError) error = NULL;
    g_autoptr(W2wEdits) edits = w2w_edits_parse(text, &error);
    g_autofree W2wAttributeShift *shifts = NULL;
    const double *kept;
    double moved = 0.0;

    g_assert_no_error(error);
    g_assert_false(has_direction(second, "Sommersprossen ä"));
    g_assert_cmpuint(g_strv_length((char **)w2w_space_get_direction_names(second)), ==,
                     n_attributes);
    add(first, "Sommersprossen ä", direction);
    g_assert_true(has_direction(second, "Sommersprossen ä"));
    kept = w2w_space_get_direction(second, "Sommersprossen ä", &error);
    g_assert_no_error(error);
    g_assert_cmpmem(kept, n * sizeof *kept, direction, n * sizeof *direction);
    w2w_edits_get_change(edits, second, W2W_METRIC_POPULATION, delta, &error);
    g_assert_no_error(error);
    for (guint j = 0; j < n; j++)
        moved += direction[j] * delta[j];
    g_assert_cmpfloat_with_epsilon(moved, 0.0, 1e-9);
    shifts = w2w_edits_get_shifts(second, zeros, n, zeros, n, &error);
    g_assert_no_error(error);
    g_assert_cmpfloat(shifts[n_attributes].before, ==, shifts[n_attributes].after);

    /* Gone for both, but what was given out stays what it was. */
    remove_direction(first, "Sommersprossen ä");
    g_assert_false(has_direction(second, "Sommersprossen ä"));
    g_assert_false(has_direction(first, "Sommersprossen ä"));
    g_assert_cmpmem(kept, n * sizeof *kept, direction, n * sizeof *direction);
    g_assert_null(w2w_space_get_direction(second, "Sommersprossen ä", &error));
    g_assert_error(error, W2W_ERROR, W2W_ERROR_USAGE);
}

static void test_names(void)
{
    g_autoptr(W2wSpace) space = open_embedded();
    const char *attribute = w2w_space_get_attributes(space)[0];
    g_autofree char *lower = g_ascii_strdown(attribute, -1);
    g_autofree char *long_name = g_strnfill(101, 'x');
    const char *const refused[] = {
        "",     "a=b", "a;b", "a,b", "#3",   "a#b",  "protect", ".hidden", "a/b",
        "a\\b", " a",  "a\t", "a ",  "a\nb", "\xff", long_name, attribute, lower,
    };
    const char *const allowed[] = {"Freckles", "Short hair", "Größe", "5 o'clock", "x-y_z (2)"};
    W2W_AUTO_ALIGNED double *direction = make_direction(space, attribute, 3);

    for (guint i = 0; i < G_N_ELEMENTS(refused); i++) {
        g_autoptr(GError) error = NULL;

        g_assert_null(w2w_space_add_direction(space, refused[i], direction, NULL, &error));
        g_assert_error(error, W2W_ERROR, W2W_ERROR_USAGE);
        g_test_message("%s", error->message);
        g_assert_true(g_utf8_validate(error->message, -1, NULL));
    }
    for (guint i = 0; i < G_N_ELEMENTS(allowed); i++) {
        g_autoptr(GError) error = NULL;
        g_autofree char *text = g_strdup_printf("%s=1", allowed[i]);
        g_autoptr(W2wEdits) edits = w2w_edits_parse(text, &error);

        g_assert_no_error(error);
        add(space, allowed[i], direction);
        g_assert_cmpstr(g_array_index(edits->directions, W2wDirectionSetting, 0).name, ==,
                        allowed[i]);
    }
    for (guint i = 0; i < G_N_ELEMENTS(allowed); i++) { /* each only once, whatever the case */
        g_autofree char *upper = g_utf8_strup(allowed[i], -1);
        g_autoptr(GError) error = NULL;

        g_assert_false(w2w_space_check_new_direction(space, upper, &error));
        g_assert_error(error, W2W_ERROR, W2W_ERROR_USAGE);
        g_assert_nonnull(strstr(error->message, allowed[i]));
    }
    for (guint i = 0; i < G_N_ELEMENTS(allowed); i++)
        remove_direction(space, allowed[i]);
}

static void test_bad_groups(void)
{
    g_autoptr(W2wSpace) space = open_embedded();
    const char *attribute = w2w_space_get_attributes(space)[0];
    g_autoptr(GPtrArray) group = get_group(space, attribute, 1, 2);
    W2wIdentity *const *identities = (W2wIdentity *const *)group->pdata;
    const char *const needed[] = {"mean.pt", "std.pt", "V.pt", NULL};
    g_autofree char *embedded = embedded_space();
    char *folder = link_folder(embedded, needed);
    g_autoptr(W2wSpace) without_people = w2w_space_open(folder, NULL);
    g_autoptr(GError) error = NULL;

    g_assert_null(w2w_direction_from_groups(space, identities, 2, identities, 0, &error));
    g_assert_error(error, W2W_ERROR, W2W_ERROR_USAGE);
    g_clear_error(&error);
    g_assert_null(w2w_direction_from_groups(space, identities, 2, identities, 2, &error));
    g_assert_error(error, W2W_ERROR, W2W_ERROR_USAGE);
    g_clear_error(&error);
    g_assert_null(
        w2w_direction_from_groups(without_people, identities, 1, identities + 1, 1, &error));
    g_assert_error(error, W2W_ERROR, W2W_ERROR_UNSUPPORTED);
    g_clear_error(&error);
    g_assert_false(w2w_space_check_new_direction(without_people, "Name", &error));
    g_assert_error(error, W2W_ERROR, W2W_ERROR_UNSUPPORTED);
    remove_folder(folder);
}

/* A direction's file with some things changed; NULL leaves the field out. */
static void write_direction(const char *folder, const char *stem, const char *format,
                            const char *name, const char *fingerprint, guint n, float value)
{
    g_autoptr(W2wSafetensorsWriter) writer = w2w_safetensors_writer_new();
    g_autofree char *file = g_strconcat(stem, ".safetensors", NULL);
    g_autofree char *path = g_build_filename(folder, file, NULL);
    g_autofree float *values = g_new(float, n);
    g_autoptr(W2wArray) array = NULL;
    g_autoptr(GError) error = NULL;

    for (guint i = 0; i < n; i++)
        values[i] = value;
    array = w2w_array_new_f32(1, (const gint64[]){n}, values, &error);
    if (format != NULL)
        w2w_safetensors_writer_set_metadata(writer, "format", format);
    w2w_safetensors_writer_set_metadata(writer, "version", "1");
    if (name != NULL)
        w2w_safetensors_writer_set_metadata(writer, "name", name);
    w2w_safetensors_writer_set_metadata(writer, "space_fingerprint", fingerprint);
    w2w_safetensors_writer_add(writer, "direction", array);
    w2w_safetensors_writer_save(writer, path, &error);
    g_assert_no_error(error);
}

/* A file that cannot be used is a sentence; the others are directions all the same. */
static void test_damaged_files(void)
{
    g_autoptr(W2wSpace) space = open_embedded();
    const guint n = w2w_space_get_n_with_statistics(space);
    const char *fingerprint = w2w_space_get_fingerprint(space);
    const char *attribute = w2w_space_get_attributes(space)[0];
    char *folder = make_folder();
    g_autofree char *other = g_strnfill(64, 'a');
    const char *const *problems;
    g_autoptr(GError) error = NULL;

    write_direction(folder, "a-good", "w2w-direction", "Good", fingerprint, n, 1.0f);
    write_direction(folder, "b-format", "w2w-identity", "B", fingerprint, n, 1.0f);
    write_direction(folder, "c-name", "w2w-direction", NULL, fingerprint, n, 1.0f);
    write_direction(folder, "d-foreign", "w2w-direction", "D", other, n, 1.0f);
    write_direction(folder, "e-short", "w2w-direction", "E", fingerprint, n - 1, 1.0f);
    write_direction(folder, "f-nan", "w2w-direction", "F", fingerprint, n, NAN);
    write_direction(folder, "g-zero", "w2w-direction", "G", fingerprint, n, 0.0f);
    write_direction(folder, "h-twice", "w2w-direction", "good", fingerprint, n, 1.0f);
    write_direction(folder, "i-attribute", "w2w-direction", attribute, fingerprint, n, 1.0f);
    write_direction(folder, "j-name", "w2w-direction", "a=b", fingerprint, n, 1.0f);
    write_text(folder, "k-text.safetensors", "no safetensors at all");
    write_text(folder, "notes.txt", "not looked at");
    write_direction(folder, "z-good", "w2w-direction", "Also good", fingerprint, n, 1.0f);
    w2w_space_add_direction_folder(space, folder);

    g_assert_true(has_direction(space, "Good"));
    g_assert_true(has_direction(space, "Also good"));
    g_assert_nonnull(w2w_space_get_direction(space, attribute, NULL));
    problems = w2w_space_get_direction_problems(space);
    g_assert_cmpuint(g_strv_length((char **)problems), ==, 10);
    for (; *problems != NULL; problems++) {
        g_test_message("%s", *problems);
        g_assert_nonnull(strstr(*problems, folder));
    }
    g_assert_null(w2w_space_get_direction(space, "F", &error));
    g_assert_nonnull(strstr(error->message, "f-nan"));
    g_clear_error(&error);
    g_assert_false(w2w_space_remove_direction(space, "Good", &error)); /* not the user's */
    g_assert_error(error, W2W_ERROR, W2W_ERROR_USAGE);
    g_clear_error(&error);
    g_assert_false(w2w_space_remove_direction(space, attribute, &error));
    g_assert_error(error, W2W_ERROR, W2W_ERROR_USAGE);
    g_clear_error(&error);
    g_assert_false(w2w_space_remove_direction(space, "Nothing", &error));
    g_assert_error(error, W2W_ERROR, W2W_ERROR_USAGE);
    remove_folder(folder);
}

/* What a world has in its folder directions/ is found, and its card may name it. */
static void test_world_brings_directions(void)
{
    g_autoptr(W2wSpace) space = open_embedded();
    const guint n = w2w_space_get_n_with_statistics(space);
    char *folder = make_folder();
    g_autofree char *directions = g_build_filename(folder, "directions", NULL);
    g_autofree char *embedded = embedded_space();
    g_autofree char *model = g_build_filename(w2w_world_get_default_directory(), "model", NULL);
    g_autoptr(W2wWorld) world = NULL;
    g_autoptr(GError) error = NULL;

    link_file(folder, "model", model);
    link_file(folder, "space", embedded);
    g_assert_cmpint(g_mkdir(directions, 0700), ==, 0);
    write_direction(directions, "shipped", "w2w-direction", "Shipped",
                    w2w_space_get_fingerprint(space), n, 1.0f);
    write_text(folder, "world.json",
               "{\"format\": \"w2w-world\", \"version\": 1, \"directions\": [{\"name\": "
               "\"Shipped\", \"label\": \"Of the world\"}]}");
    world = w2w_world_open(folder, &error);
    g_assert_no_error(error);
    g_assert_true(has_direction(w2w_world_get_space(world), "Shipped"));
    g_assert_cmpuint(w2w_world_get_card(world)->directions->len, ==, 1);

    /* Damaged, it is left out of the card; the world opens. */
    g_clear_pointer(&world, w2w_world_free);
    write_direction(directions, "shipped", "w2w-direction", "Shipped",
                    w2w_space_get_fingerprint(space), n, NAN);
    world = w2w_world_open(folder, &error);
    g_assert_no_error(error);
    g_assert_false(has_direction(w2w_world_get_space(world), "Shipped"));
    g_assert_cmpuint(w2w_world_get_card(world)->directions->len, ==, 0);
    remove_folder(folder);
}

int main(int argc, char **argv)
{
    char *folder = make_folder();
    int code;

    g_setenv("XDG_DATA_HOME", folder, TRUE); /* before GLib asks for it */
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/direction/mathematics", test_mathematics);
    g_test_add_func("/direction/score-range", test_score_range);
    g_test_add_func("/direction/finds-the-attribute", test_finds_the_attribute);
    g_test_add_func("/direction/used-everywhere", test_used_everywhere);
    g_test_add_func("/direction/names", test_names);
    g_test_add_func("/direction/bad-groups", test_bad_groups);
    g_test_add_func("/direction/damaged-files", test_damaged_files);
    g_test_add_func("/direction/world-brings-directions", test_world_brings_directions);
    code = g_test_run();
    remove_folder(folder);
    return code;
}

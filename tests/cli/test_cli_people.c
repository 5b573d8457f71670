/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * pick, mix, strip and direction as a user drives them through the embedded world, from the people
 * of its dataset to a direction of one's own.
 */
#include <math.h>
#include <string.h>

#include "engine/formats/json.h"
#include "engine/formats/png.h"
#include "engine/w2w/identity.h"
#include "engine/w2w/space.h"
#include "engine/w2w/world.h"
#include "tests/cli/cli_run.h"

/* Of every picture here. */
#define SMALL "--width=32", "--height=24", "--steps=2"

#define N_GROUP 6

static char *folder;

static char *in_folder(const char *name)
{
    return g_build_filename(folder, name, NULL);
}

static W2wIdentity *load(const char *path)
{
    g_autoptr(GError) error = NULL;
    W2wIdentity *identity = w2w_identity_load(path, &error);

    g_assert_no_error(error);
    return identity;
}

static W2wSpace *open_space(void)
{
    g_autofree char *path = g_build_filename(w2w_world_get_default_directory(), "space", NULL);
    g_autoptr(GError) error = NULL;
    W2wSpace *space = w2w_space_open(path, &error);

    g_assert_no_error(error);
    return space;
}

static JsonObject *parse(const char *text)
{
    g_autoptr(GError) error = NULL;
    JsonObject *object = w2w_json_parse(text, strlen(text), "output", &error);

    g_assert_no_error(error);
    return object;
}

/* "report" of the only result of --json. */
static JsonObject *get_report(JsonObject *json)
{
    JsonArray *results = json_object_get_array_member(json, "results");

    g_assert_cmpuint(json_array_get_length(results), ==, 1);
    return json_object_get_object_member(json_array_get_object_element(results, 0), "report");
}

/* Person `row` as a file. Caller frees its path. */
static char *pick_row(gint64 row)
{
    g_autofree char *name = g_strdup_printf("row-%" G_GINT64_FORMAT ".safetensors", row);
    g_autofree char *number = g_strdup_printf("--row=%" G_GINT64_FORMAT, row);
    char *path = in_folder(name);
    g_autoptr(CliResult) result = NULL;

    if (!g_file_test(path, G_FILE_TEST_EXISTS)) {
        result = cli_run("pick", number, "--no-picture", "--seed=4", "-o", path, NULL);
        cli_assert_code(result, 0);
    }
    return path;
}

static void test_pick(void)
{
    g_autoptr(W2wSpace) space = open_space();
    const guint n = w2w_space_get_n_with_statistics(space);
    g_autofree float *person = g_new(float, n);
    g_autofree char *by_row = pick_row(12);
    g_autofree char *by_name = in_folder("name.safetensors");
    g_autofree char *picture = in_folder("name.png");
    g_autofree char *nearest = in_folder("nearest.safetensors");
    g_autoptr(W2wIdentity) first = load(by_row);
    g_autoptr(W2wIdentity) second = NULL;
    g_autoptr(W2wIdentity) third = NULL;
    g_autoptr(CliResult) named = cli_run("pick", "--json", "--name=0012/unet", "--count=3",
                                         "--seed=4", "-o", by_name, SMALL, NULL);
    g_autoptr(CliResult) near = NULL;
    g_autoptr(JsonObject) json = NULL;
    JsonObject *report;
    JsonArray *neighbours;
    double last = 0.0;

    w2w_space_get_person(space, 12, person, NULL);
    g_assert_cmpmem(first->coefficients, first->n_coefficients * sizeof(float), person,
                    n * sizeof(float));
    cli_assert_code(named, 0);
    second = load(by_name);
    g_assert_cmpmem(second->coefficients, second->n_coefficients * sizeof(float), person,
                    n * sizeof(float));
    g_assert_true(g_file_test(picture, G_FILE_TEST_EXISTS));
    json = parse(named->out);
    report = get_report(json);
    g_assert_cmpint(
        json_object_get_int_member(json_object_get_object_member(report, "person"), "row"), ==, 12);
    neighbours = json_object_get_array_member(report, "neighbours");
    g_assert_cmpuint(json_array_get_length(neighbours), ==, 3);
    for (guint i = 0; i < 3; i++) {
        JsonObject *row = json_array_get_object_element(neighbours, i);

        g_assert_cmpint(json_object_get_int_member(row, "row"), !=, 12);
        g_assert_cmpfloat(json_object_get_double_member(row, "distance"), >=, last);
        g_assert_true(json_object_has_member(row, "name"));
        g_assert_true(json_object_has_member(row, "attributes"));
        last = json_object_get_double_member(row, "distance");
    }

    /* The one nearest to a person is that person. */
    near = cli_run("pick", "--nearest", by_row, "--no-picture", "-o", nearest, NULL);
    cli_assert_code(near, 0);
    third = load(nearest);
    g_assert_cmpmem(third->coefficients, third->n_coefficients * sizeof(float), person,
                    n * sizeof(float));
}

static void assert_refused(const CliResult *result, const char *words)
{
    cli_assert_code(result, 2);
    g_test_message("%s", result->err);
    g_assert_nonnull(strstr(result->err, words));
}

static void test_pick_refuses(void)
{
    g_autofree char *path = pick_row(12);
    g_autofree char *output = in_folder("refused.safetensors");
    g_autoptr(CliResult) none = cli_run("pick", "-o", output, NULL);
    g_autoptr(CliResult) two = cli_run("pick", "--row=1", "--nearest", path, "-o", output, NULL);
    g_autoptr(CliResult) far = cli_run("pick", "--row=1000000", "-o", output, NULL);
    g_autoptr(CliResult) name = cli_run("pick", "--name=Nobody", "-o", output, NULL);

    assert_refused(none, "three ways");
    assert_refused(two, "three ways");
    assert_refused(far, "numbered from 0");
    assert_refused(name, "“Nobody”");
    g_assert_false(g_file_test(output, G_FILE_TEST_EXISTS));
}

static void test_mix(void)
{
    g_autofree char *first = pick_row(12);
    g_autofree char *second = pick_row(30);
    g_autofree char *weighted_first = g_strconcat(first, ":3", NULL);
    g_autofree char *weighted_second = g_strconcat(second, ":-1", NULL);
    g_autofree char *mixed = in_folder("mixed.safetensors");
    g_autofree char *itself = in_folder("itself.safetensors");
    g_autofree char *cancelled = g_strconcat(first, ":1", NULL);
    g_autoptr(W2wIdentity) a = load(first);
    g_autoptr(W2wIdentity) b = load(second);
    g_autoptr(W2wIdentity) m = NULL;
    g_autoptr(W2wIdentity) s = NULL;
    g_autoptr(JsonObject) recipe = NULL;
    g_autoptr(CliResult) result = cli_run("mix", "--identity", weighted_first, "--identity",
                                          weighted_second, "--no-picture", "-o", mixed, NULL);
    g_autoptr(CliResult) same =
        cli_run("mix", "--identity", first, "--identity", first, "-o", itself, SMALL, NULL);
    g_autoptr(CliResult) one = cli_run("mix", "--identity", first, "-o", mixed, NULL);
    g_autoptr(CliResult) nothing =
        cli_run("mix", "--identity", cancelled, "--identity", weighted_second, "-o", mixed, NULL);
    JsonArray *parents;

    cli_assert_code(result, 0);
    m = load(mixed);
    for (guint i = 0; i < m->n_coefficients; i++)
        g_assert_cmpfloat_with_epsilon(m->coefficients[i],
                                       1.5 * a->coefficients[i] - 0.5 * b->coefficients[i],
                                       1e-4 + 1e-6 * fabs(m->coefficients[i]));
    recipe = parse(m->recipe);
    parents = json_object_get_array_member(recipe, "parents");
    g_assert_cmpuint(json_array_get_length(parents), ==, 2);
    g_assert_cmpfloat(
        json_object_get_double_member(json_array_get_object_element(parents, 1), "weight"), ==,
        -0.5);
    g_assert_cmpuint(json_array_get_length(json_object_get_array_member(recipe, "history")), ==, 2);

    cli_assert_code(same, 0);
    s = load(itself);
    g_assert_cmpmem(s->coefficients, s->n_coefficients * sizeof(float), a->coefficients,
                    a->n_coefficients * sizeof(float));
    assert_refused(one, "two identities");
    assert_refused(nothing, "add up to 0");
}

/* The strip is its frames side by side, and its middle the identity itself. */
static void test_strip(void)
{
    g_autofree char *identity = pick_row(12);
    g_autofree char *output = in_folder("strip");
    g_autofree char *middle = in_folder("strip/frame-02.safetensors");
    g_autofree char *last = in_folder("strip/frame-03.png");
    g_autofree char *all = in_folder("strip/strip.png");
    g_autofree char *files = NULL;
    g_autoptr(CliResult) result =
        cli_run("strip", "--identity", identity, "--direction=Young", "--frames=3", "--seed=2",
                "--protect=Male,Bald", "-o", output, SMALL, NULL);
    g_autoptr(W2wIdentity) before = load(identity);
    g_autoptr(W2wIdentity) unedited = NULL;
    g_autoptr(W2wPicture) frame = NULL;
    g_autoptr(W2wPicture) strip = NULL;

    cli_assert_code(result, 0);
    files = cli_list_folder(output);
    g_assert_cmpstr(files, ==,
                    "frame-01.png frame-01.safetensors frame-02.png frame-02.safetensors "
                    "frame-03.png frame-03.safetensors strip.png");
    unedited = load(middle);
    g_assert_cmpmem(unedited->coefficients, unedited->n_coefficients * sizeof(float),
                    before->coefficients, before->n_coefficients * sizeof(float));
    frame = w2w_png_read(last, NULL);
    strip = w2w_png_read(all, NULL);
    g_assert_cmpuint(strip->width, ==, 3 * frame->width);
    g_assert_cmpuint(strip->height, ==, frame->height);
    for (guint y = 0; y < frame->height; y++)
        g_assert_cmpmem(strip->pixels + ((gsize)y * strip->width + 2 * frame->width) * 3,
                        frame->width * 3, frame->pixels + (gsize)y * frame->width * 3,
                        frame->width * 3);
}

/* Component #1 moves alone, by standard deviations. */
static void test_strip_along_a_component(void)
{
    g_autoptr(W2wSpace) space = open_space();
    g_autofree char *identity = pick_row(12);
    g_autofree char *output = in_folder("components");
    g_autofree char *last = in_folder("components/frame-02.safetensors");
    g_autofree char *strip = in_folder("components/strip.png");
    g_autoptr(CliResult) result =
        cli_run("strip", "--identity", identity, "--direction=#2", "--from=0", "--to=1.5",
                "--frames=2", "--no-strip", "-o", output, SMALL, NULL);
    g_autoptr(W2wIdentity) before = load(identity);
    g_autoptr(W2wIdentity) after = NULL;

    cli_assert_code(result, 0);
    g_assert_false(g_file_test(strip, G_FILE_TEST_EXISTS));
    after = load(last);
    for (guint i = 0; i < after->n_coefficients; i++)
        g_assert_cmpfloat_with_epsilon(after->coefficients[i] - before->coefficients[i],
                                       i == 1 ? 1.5 * w2w_space_get_coefficient_std(space)[1] : 0.0,
                                       1e-4);
}

static void test_strip_refuses(void)
{
    g_autofree char *identity = pick_row(12);
    g_autofree char *output = in_folder("refused");
    g_autoptr(CliResult) none = cli_run("strip", "--identity", identity, "-o", output, NULL);
    g_autoptr(CliResult) typed =
        cli_run("strip", "--identity", identity, "--direction=Yuong", "-o", output, NULL);
    g_autoptr(CliResult) both = cli_run("strip", "--identity", identity, "--direction=Young",
                                        "--protect=Young", "-o", output, NULL);
    g_autoptr(CliResult) nowhere = cli_run("strip", "--identity", identity, "--direction=Young",
                                           "--from=1", "--to=1", "-o", output, NULL);
    g_autoptr(CliResult) smuggled = cli_run("strip", "--identity", identity, "--direction=Young",
                                            "--protect=Male;Chubby=1", "-o", output, NULL);

    assert_refused(none, "direction to go along");
    assert_refused(typed, "“Young”?");
    assert_refused(both, "both set and protected");
    assert_refused(nowhere, "same setting");
    assert_refused(smuggled, "“Male;Chubby=1” cannot be the name");
}

/* Made of two groups, listed, used, and removed. */
static void test_direction(void)
{
    g_autoptr(W2wSpace) space = open_space();
    const gint8 *labels = w2w_space_get_labels(space, "Eyeglasses", NULL);
    g_autoptr(GPtrArray) words = g_ptr_array_new_with_free_func(g_free);
    g_autofree char *identity = pick_row(12);
    g_autofree char *edited = in_folder("edited.safetensors");
    guint n_with = 0, n_without = 0;
    g_autoptr(CliResult) made = NULL;
    g_autoptr(CliResult) again = NULL;
    g_autoptr(CliResult) info = NULL;
    g_autoptr(CliResult) edit = NULL;
    g_autoptr(CliResult) mistyped = NULL;
    g_autoptr(CliResult) removed = NULL;
    g_autoptr(CliResult) gone = NULL;
    g_autoptr(JsonObject) json = NULL;
    JsonArray *related;

    g_ptr_array_add(words, g_strdup("direction"));
    g_ptr_array_add(words, g_strdup("--json"));
    g_ptr_array_add(words, g_strdup("--name=My glasses"));
    for (gint64 row = 0; n_with < N_GROUP || n_without < N_GROUP; row++) {
        guint *n = labels[row] > 0 ? &n_with : &n_without;

        if (*n >= N_GROUP)
            continue;
        (*n)++;
        g_ptr_array_add(words, g_strdup(labels[row] > 0 ? "--with" : "--without"));
        g_ptr_array_add(words, pick_row(row));
    }
    g_ptr_array_add(words, NULL);
    made = cli_run_words((const char *const *)words->pdata);
    cli_assert_code(made, 0);
    json = parse(made->out);
    related = json_object_get_array_member(get_report(json), "goes_along_with");
    g_assert_cmpuint(json_array_get_length(related), >, 0);
    g_assert_cmpstr(
        json_object_get_string_member(json_array_get_object_element(related, 0), "direction"), ==,
        "Eyeglasses");

    again = cli_run_words((const char *const *)words->pdata);
    assert_refused(again, "already a direction “My glasses”");
    info = cli_run("info", NULL);
    cli_assert_code(info, 0);
    g_assert_nonnull(strstr(info->out, "My glasses"));
    edit = cli_run("edit", "--identity", identity, "--direction=My glasses=0.5", "--no-picture",
                   "-o", edited, NULL);
    cli_assert_code(edit, 0);
    mistyped =
        cli_run("edit", "--identity", identity, "--direction=my_glases=0.5", "-o", edited, NULL);
    assert_refused(mistyped, "“My glasses”?");
    removed = cli_run("direction", "--remove=My glasses", NULL);
    cli_assert_code(removed, 0);
    gone = cli_run("direction", "--remove=My glasses", NULL);
    assert_refused(gone, "no direction");
}

/* A weight that would be left out of account is refused. */
static void test_direction_takes_no_weights(void)
{
    g_autofree char *first = pick_row(12);
    g_autofree char *second = pick_row(13);
    g_autofree char *weighted = g_strconcat(first, ":5", NULL);
    g_autoptr(CliResult) heavy =
        cli_run("direction", "--name=Heavy", "--with", weighted, "--without", second, NULL);
    g_autoptr(CliResult) help = cli_run("direction", "--help", NULL);

    assert_refused(heavy, "no weights of their own");
    cli_assert_code(help, 0);
    g_assert_nonnull(strstr(help->out, "--with FILE"));
    g_assert_null(strstr(help->out, "WEIGHT"));
}

/* A space as one file, in place of its folder: the same people, the same pictures. */
static void test_converted_space(void)
{
    g_autofree char *space = g_build_filename(w2w_world_get_default_directory(), "space", NULL);
    g_autofree char *model = g_build_filename(w2w_world_get_default_directory(), "model", NULL);
    g_autofree char *file = in_folder("space.safetensors");
    g_autofree char *first = in_folder("of-the-world.safetensors");
    g_autofree char *second = in_folder("of-the-file.safetensors");
    g_autofree char *first_picture = in_folder("of-the-world.png");
    g_autofree char *second_picture = in_folder("of-the-file.png");
    g_autoptr(CliResult) converted = cli_run("convert", space, "-o", file, NULL);
    g_autoptr(CliResult) info = NULL;
    g_autoptr(CliResult) of_world = NULL;
    g_autoptr(CliResult) of_file = NULL;
    g_autoptr(CliResult) to_folder = cli_run("convert", space, "-o", folder, NULL);
    g_autoptr(W2wPicture) a = NULL;
    g_autoptr(W2wPicture) b = NULL;
    g_autoptr(W2wSpace) whole = open_space();

    cli_assert_code(converted, 0);
    assert_refused(to_folder, "is a folder");
    info = cli_run("info", file, NULL);
    cli_assert_code(info, 0);
    g_assert_nonnull(strstr(info->out, w2w_space_get_fingerprint(whole)));
    of_world = cli_run("pick", "--row=5", "--seed=1", "-o", first, SMALL, NULL);
    cli_assert_code(of_world, 0);
    of_file = cli_run("pick", "--model", model, "--space", file, "--row=5", "--seed=1", "-o",
                      second, SMALL, NULL);
    cli_assert_code(of_file, 0);
    a = w2w_png_read(first_picture, NULL);
    b = w2w_png_read(second_picture, NULL);
    g_assert_cmpmem(a->pixels, (gsize)a->width * a->height * 3, b->pixels,
                    (gsize)b->width * b->height * 3);
}

int main(int argc, char **argv)
{
    g_autofree char *data_home = NULL;
    int code;

    folder = cli_make_folder();
    data_home = in_folder("data-home");
    g_setenv("XDG_DATA_HOME", data_home, TRUE);
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/cli/people/pick", test_pick);
    g_test_add_func("/cli/people/pick-refuses", test_pick_refuses);
    g_test_add_func("/cli/people/mix", test_mix);
    g_test_add_func("/cli/people/strip", test_strip);
    g_test_add_func("/cli/people/strip-along-a-component", test_strip_along_a_component);
    g_test_add_func("/cli/people/strip-refuses", test_strip_refuses);
    g_test_add_func("/cli/people/direction", test_direction);
    g_test_add_func("/cli/people/direction-takes-no-weights", test_direction_takes_no_weights);
    g_test_add_func("/cli/people/converted-space", test_converted_space);
    code = g_test_run();
    cli_remove_folder(folder);
    g_free(folder);
    return code;
}

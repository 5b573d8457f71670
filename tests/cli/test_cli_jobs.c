/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The way of a user through the embedded world: sample, edit, render. Small pictures of few steps:
 * whether they are right is the golden tests' business, here it is what becomes of them.
 */
#include <math.h>
#include <string.h>

#include "engine/formats/json.h"
#include "engine/formats/png.h"
#include "engine/w2w/identity.h"
#include "tests/cli/cli_run.h"

/* Of every picture here. */
#define SMALL "--width=32", "--height=24", "--steps=2"

static char *in_folder(const char *name)
{
    static char *folder;

    if (folder == NULL)
        folder = cli_make_folder();
    if (name == NULL) {
        cli_remove_folder(folder);
        g_clear_pointer(&folder, g_free);
        return NULL;
    }
    return g_build_filename(folder, name, NULL);
}

static GBytes *read_file(const char *path)
{
    char *data = NULL;
    gsize size = 0;
    g_autoptr(GError) error = NULL;

    g_file_get_contents(path, &data, &size, &error);
    g_assert_no_error(error);
    return g_bytes_new_take(data, size);
}

static void assert_same_file(const char *first, const char *second)
{
    g_autoptr(GBytes) a = read_file(first);
    g_autoptr(GBytes) b = read_file(second);

    g_assert_true(g_bytes_equal(a, b));
}

static void assert_other_picture(const char *first, const char *second)
{
    g_autoptr(W2wPicture) a = w2w_png_read(first, NULL);
    g_autoptr(W2wPicture) b = w2w_png_read(second, NULL);

    g_assert_nonnull(a);
    g_assert_nonnull(b);
    g_assert_cmpint(memcmp(a->pixels, b->pixels, (gsize)a->width * a->height * 3), !=, 0);
}

static void assert_same_pixels(const char *first, const char *second)
{
    g_autoptr(W2wPicture) a = w2w_png_read(first, NULL);
    g_autoptr(W2wPicture) b = w2w_png_read(second, NULL);

    g_assert_nonnull(a);
    g_assert_nonnull(b);
    g_assert_cmpmem(a->pixels, (gsize)a->width * a->height * 3, b->pixels,
                    (gsize)b->width * b->height * 3);
}

static void assert_file_has(const char *path, const char *part)
{
    g_autoptr(GBytes) bytes = read_file(path);
    gsize size;
    const char *data = g_bytes_get_data(bytes, &size);

    g_assert_nonnull(memmem(data, size, part, strlen(part)));
}

static JsonObject *parse_output(const CliResult *result)
{
    g_autoptr(GError) error = NULL;
    JsonObject *json = w2w_json_parse(result->out, strlen(result->out), "output", &error);

    g_assert_no_error(error);
    return json;
}

/* Two people with seeds 5 and 6 in "people"; the tests below start from them. */
static void test_sample(void)
{
    g_autofree char *people = in_folder("deep/people");
    g_autofree char *expected =
        g_strdup_printf("%s/person-5.safetensors\n%s/person-5.png\n%s/person-6.safetensors\n"
                        "%s/person-6.png\n",
                        people, people, people, people);
    g_autofree char *identity_path = in_folder("deep/people/person-5.safetensors");
    g_autofree char *picture_path = in_folder("deep/people/person-5.png");
    g_autofree char *files = NULL;
    g_autoptr(W2wIdentity) identity = NULL;
    g_autoptr(W2wPicture) picture = NULL;
    g_autoptr(CliResult) result =
        cli_run("sample", "-n", "2", "--seed=5", "-o", people, SMALL, NULL);

    cli_assert_code(result, 0);
    g_assert_cmpstr(result->out, ==, expected);
    g_assert_cmpstr(result->err, ==, ""); /* no progress in a pipe, no seed that was given */
    files = cli_list_folder(people);
    g_assert_cmpstr(files, ==,
                    "person-5.png person-5.safetensors person-6.png person-6.safetensors");
    identity = w2w_identity_load(identity_path, NULL);
    g_assert_nonnull(identity);
    g_assert_nonnull(identity->space_fingerprint);
    g_assert_nonnull(identity->model_fingerprint);
    g_assert_nonnull(strstr(identity->recipe, "\"seed\": 5"));
    picture = w2w_png_read(picture_path, NULL);
    g_assert_nonnull(picture);
    g_assert_cmpuint(picture->width, ==, 32);
    g_assert_cmpuint(picture->height, ==, 24);
    assert_file_has(picture_path, "w2w-recipe");
    assert_file_has(picture_path, "\"seed\": 5");
}

/* Person 6 is the second of two from seed 5 and the first of one from seed 6. */
static void test_same_seed_same_bytes(void)
{
    g_autofree char *first = in_folder("deep/people/person-6.safetensors");
    g_autofree char *first_picture = in_folder("deep/people/person-6.png");
    g_autofree char *other = in_folder("deep/people/person-5.png");
    g_autofree char *again = in_folder("again");
    g_autofree char *second = in_folder("again/person-6.safetensors");
    g_autofree char *second_picture = in_folder("again/person-6.png");
    g_autoptr(CliResult) result = cli_run("--seed", "6", "sample", "-o", again, SMALL, NULL);

    cli_assert_code(result, 0);
    assert_same_file(first, second);
    assert_same_file(first_picture, second_picture);
    assert_other_picture(first_picture, other);
}

static void test_threads_change_nothing(void)
{
    g_autofree char *one = in_folder("one.png");
    g_autofree char *two = in_folder("two.png");
    g_autoptr(CliResult) first =
        cli_run("render", "--threads=1", "--seed=3", "-o", one, SMALL, NULL);
    g_autoptr(CliResult) second =
        cli_run("render", "--threads=2", "--seed=3", "-o", two, SMALL, NULL);

    cli_assert_code(first, 0);
    cli_assert_code(second, 0);
    assert_same_pixels(one, two);
}

static void test_random_seed_is_reported(void)
{
    g_autofree char *first = in_folder("first.png");
    g_autofree char *second = in_folder("second.png");
    g_autofree char *seed = NULL;
    g_autoptr(CliResult) drawn = cli_run("render", "-o", first, SMALL, NULL);
    g_autoptr(CliResult) given = NULL;

    cli_assert_code(drawn, 0);
    g_assert_true(g_str_has_prefix(drawn->err, "Seed "));
    seed = g_strstrip(g_strdup(drawn->err + strlen("Seed ")));
    given = cli_run("render", "--seed", seed, "-o", second, SMALL, NULL);
    cli_assert_code(given, 0);
    assert_same_file(first, second);
}

/* The flags and the one text are the same edit, and the picture keeps the person's seed. */
static void test_edit(void)
{
    g_autofree char *person = in_folder("deep/people/person-5.safetensors");
    g_autofree char *person_picture = in_folder("deep/people/person-5.png");
    g_autofree char *by_flags = in_folder("new/flags.safetensors");
    g_autofree char *by_text = in_folder("new/text.safetensors");
    g_autofree char *flags_picture = in_folder("new/flags.png");
    g_autofree char *expected = g_strdup_printf("%s\n%s\n", by_flags, flags_picture);
    g_autoptr(W2wIdentity) before = NULL;
    g_autoptr(W2wIdentity) after = NULL;
    g_autoptr(CliResult) first =
        cli_run("edit", "--identity", person, "--direction", "Young=-0.8", "--direction=Bald=0.5",
                "--component", "3=0.5", "--protect", "Male,Chubby", "-o", by_flags, SMALL, NULL);
    g_autoptr(CliResult) second =
        cli_run("edit", "--identity", person, "--edits",
                "Young=-0.8;Bald=0.5;#3=0.5;protect=Male,Chubby", "-o", by_text, SMALL, NULL);

    cli_assert_code(first, 0);
    cli_assert_code(second, 0);
    g_assert_cmpstr(first->out, ==, expected);
    g_assert_true(g_str_has_prefix(first->err, "Seed 5\n"));
    assert_same_file(by_flags, by_text);
    assert_other_picture(person_picture, flags_picture);
    before = w2w_identity_load(person, NULL);
    after = w2w_identity_load(by_flags, NULL);
    g_assert_nonnull(after);
    g_assert_cmpstr(before->space_fingerprint, ==, after->space_fingerprint);
    g_assert_cmpuint(before->n_coefficients, ==, after->n_coefficients);
    g_assert_nonnull(strstr(after->recipe, "\"edits\": \"Young=-0.8;Bald=0.5;#3=0.5;protect="));
    g_assert_nonnull(strstr(after->recipe, "\"history\": [{\"job\": \"sample\""));
}

/* A setting of 0 changes no bit of the person, and none of the picture. */
static void test_edit_of_nothing(void)
{
    g_autofree char *person = in_folder("deep/people/person-5.safetensors");
    g_autofree char *person_picture = in_folder("deep/people/person-5.png");
    g_autofree char *same = in_folder("same.safetensors");
    g_autofree char *same_picture = in_folder("same.png");
    g_autoptr(W2wIdentity) before = w2w_identity_load(person, NULL);
    g_autoptr(W2wIdentity) after = NULL;
    g_autoptr(CliResult) result =
        cli_run("edit", "--identity", person, "--direction", "Young=0", "-o", same, SMALL, NULL);

    cli_assert_code(result, 0);
    after = w2w_identity_load(same, NULL);
    g_assert_nonnull(after);
    g_assert_cmpmem(before->coefficients, before->n_coefficients * sizeof(float),
                    after->coefficients, after->n_coefficients * sizeof(float));
    assert_same_pixels(person_picture, same_picture);
}

static void test_edit_metrics_differ(void)
{
    g_autofree char *person = in_folder("deep/people/person-5.safetensors");
    g_autofree char *population = in_folder("population.safetensors");
    g_autofree char *euclidean = in_folder("euclidean.safetensors");
    g_autoptr(W2wIdentity) first = NULL;
    g_autoptr(W2wIdentity) second = NULL;
    g_autoptr(CliResult) one = cli_run("edit", "--identity", person, "--direction", "Young=0.5",
                                       "-o", population, SMALL, NULL);
    g_autoptr(CliResult) two = cli_run("edit", "--identity", person, "--direction", "Young=0.5",
                                       "--metric", "euclidean", "-o", euclidean, SMALL, NULL);

    cli_assert_code(one, 0);
    cli_assert_code(two, 0);
    first = w2w_identity_load(population, NULL);
    second = w2w_identity_load(euclidean, NULL);
    g_assert_cmpint(
        memcmp(first->coefficients, second->coefficients, first->n_coefficients * sizeof(float)),
        !=, 0);
}

static void test_edit_out_of_range_warns(void)
{
    g_autofree char *person = in_folder("deep/people/person-5.safetensors");
    g_autofree char *far = in_folder("far.safetensors");
    g_autoptr(CliResult) result =
        cli_run("edit", "--identity", person, "--direction", "Young=5", "-o", far, SMALL, NULL);

    cli_assert_code(result, 0);
    g_assert_nonnull(strstr(result->err, "Further than any of the"));
    g_assert_nonnull(strstr(result->err, "Young"));
}

/* Picture and changed identity; without settings the picture that it was. */
static void test_edit_picture(void)
{
    g_autofree char *person = in_folder("deep/people/person-5.safetensors");
    g_autofree char *picture = in_folder("deep/people/person-5.png");
    g_autofree char *out = in_folder("pictured.png");
    g_autofree char *out_identity = in_folder("pictured.safetensors");
    g_autofree char *edited = in_folder("edited-alike.safetensors");
    g_autofree char *same = in_folder("pictured-same.png");
    g_autoptr(CliResult) result =
        cli_run("edit-picture", picture, "--identity", person, "--direction", "Young=-0.8",
                "--seed=1", "-o", out, SMALL, NULL);
    g_autoptr(CliResult) alike = cli_run("edit", "--identity", person, "--direction", "Young=-0.8",
                                         "--no-picture", "-o", edited, NULL);
    g_autoptr(CliResult) nothing =
        cli_run("edit-picture", picture, "--identity", person, "-o", same, SMALL, NULL);
    g_autoptr(CliResult) wrong =
        cli_run("edit-picture", picture, "--identity", person, "-o", out_identity, SMALL, NULL);
    g_autoptr(W2wIdentity) a = NULL;
    g_autoptr(W2wIdentity) b = NULL;

    cli_assert_code(result, 0);
    g_assert_nonnull(strstr(result->out, "Box:"));
    cli_assert_code(alike, 0);
    cli_assert_code(nothing, 0);
    assert_same_pixels(same, picture);
    assert_other_picture(out, picture);
    a = w2w_identity_load(out_identity, NULL);
    b = w2w_identity_load(edited, NULL);
    g_assert_cmpmem(a->coefficients, a->n_coefficients * sizeof(float), b->coefficients,
                    b->n_coefficients * sizeof(float));
    cli_assert_code(wrong, 2);
    g_assert_nonnull(strstr(wrong->err, "must end in .png"));
}

static void test_unknown_direction(void)
{
    g_autofree char *person = in_folder("deep/people/person-5.safetensors");
    g_autofree char *never = in_folder("never.safetensors");
    const struct {
        const char *option, *value, *part;
    } cases[] = {
        {"--direction", "Yuong=1", "did you mean “Young”"},
        {"--protect", "wavy hair", "did you mean “Wavy_Hair”"},
        {"--direction", "Elephant=1", "w2w info lists the directions"},
        {"--component", "100000=1", "component 100000"},
        {"--component", "0=1", "component"},
        {"--direction", "Young", "Young"},
    };

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(CliResult) result = cli_run("edit", "--identity", person, cases[i].option,
                                              cases[i].value, "-o", never, SMALL, NULL);

        g_test_message("%s %s", cases[i].option, cases[i].value);
        cli_assert_code(result, 2);
        if (strstr(result->err, cases[i].part) == NULL)
            g_error("“%s” is not in: %s", cases[i].part, result->err);
        g_assert_false(g_file_test(never, G_FILE_TEST_EXISTS));
    }
}

/* An identity keeps its picture's seed, so that the prompt is what changes. */
static void test_render(void)
{
    g_autofree char *person = in_folder("deep/people/person-5.safetensors");
    g_autofree char *person_picture = in_folder("deep/people/person-5.png");
    g_autofree char *plain = in_folder("plain.png");
    g_autofree char *smiling = in_folder("smiling.png");
    g_autofree char *base = in_folder("base.png");
    g_autoptr(CliResult) first = cli_run("render", "--identity", person, "-o", plain, SMALL, NULL);
    g_autoptr(CliResult) second = cli_run("render", "--identity", person, "--prompt",
                                          "sks person smiling", "-o", smiling, SMALL, NULL);
    g_autoptr(CliResult) third = cli_run("render", "--seed=5", "-o", base, SMALL, NULL);

    cli_assert_code(first, 0);
    cli_assert_code(second, 0);
    cli_assert_code(third, 0);
    assert_same_pixels(person_picture, plain);
    assert_other_picture(plain, smiling);
    assert_other_picture(plain, base);
}

static void test_long_prompt_is_told(void)
{
    g_autofree char *path = in_folder("long.png");
    g_autoptr(GString) prompt = g_string_new("person");
    g_autoptr(CliResult) result = NULL;

    for (guint i = 0; i < 100; i++)
        g_string_append(prompt, " smiling");
    result = cli_run("render", "--prompt", prompt->str, "-o", path, SMALL, NULL);
    cli_assert_code(result, 0);
    g_assert_nonnull(strstr(result->err, "prompt has no effect"));
}

static void test_json(void)
{
    g_autofree char *people = in_folder("json");
    g_autofree char *path = in_folder("json/person-9.safetensors");
    g_autoptr(CliResult) result =
        cli_run("sample", "--json", "-n2", "--seed=8", "-o", people, SMALL, NULL);
    g_autoptr(JsonObject) json = NULL;
    JsonArray *results;
    JsonObject *second, *recipe;

    cli_assert_code(result, 0);
    json = parse_output(result);
    results = json_object_get_array_member(json, "results");
    g_assert_cmpuint(json_array_get_length(results), ==, 2);
    second = json_array_get_object_element(results, 1);
    g_assert_cmpint(json_object_get_int_member(second, "seed"), ==, 9);
    g_assert_cmpstr(json_object_get_string_member(second, "identity"), ==, path);
    g_assert_true(
        g_file_test(json_object_get_string_member(second, "picture"), G_FILE_TEST_IS_REGULAR));
    recipe = json_object_get_object_member(second, "recipe");
    g_assert_cmpint(json_object_get_int_member(recipe, "width"), ==, 32);
    g_assert_false(json_object_has_member(json, "error"));
}

/* Sizes that the model cannot have are a matter of usage, and leave nothing. */
static void test_impossible_size(void)
{
    g_autofree char *path = in_folder("odd.png");
    g_autoptr(CliResult) result = cli_run("render", "--width=33", "-o", path, NULL);

    cli_assert_code(result, 2);
    g_assert_false(g_file_test(path, G_FILE_TEST_EXISTS));
}

static void write_identity(const char *path, const char *fingerprint, guint n_coefficients)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(W2wIdentity) identity = w2w_identity_new(n_coefficients, &error);

    g_assert_no_error(error);
    identity->space_fingerprint = g_strdup(fingerprint);
    w2w_identity_save(identity, path, &error);
    g_assert_no_error(error);
}

static void test_bad_identities(void)
{
    g_autofree char *person = in_folder("deep/people/person-5.safetensors");
    g_autofree char *truncated = in_folder("truncated");
    g_autofree char *empty = in_folder("empty");
    g_autofree char *foreign = in_folder("foreign");
    g_autofree char *too_long = in_folder("too-long");
    g_autofree char *picture = in_folder("deep/people/person-5.png");
    g_autofree char *missing = in_folder("missing");
    g_autofree char *folder = in_folder("deep");
    g_autofree char *zeros = g_strnfill(64, '0');
    g_autofree char *out = in_folder("out.png");
    g_autoptr(GBytes) bytes = read_file(person);
    const char *const paths[] = {truncated, empty,   foreign, too_long,
                                 picture,   missing, folder,  "/dev/zero"};

    g_assert_true(g_file_set_contents(truncated, g_bytes_get_data(bytes, NULL),
                                      g_bytes_get_size(bytes) - 1, NULL));
    g_assert_true(g_file_set_contents(empty, "", 0, NULL));
    write_identity(foreign, zeros, 1);
    write_identity(too_long, NULL, 100000);
    for (guint i = 0; i < G_N_ELEMENTS(paths); i++) {
        g_autoptr(CliResult) result =
            cli_run("render", "--identity", paths[i], "-o", out, SMALL, NULL);

        g_test_message("%s: %s", paths[i], result->err);
        cli_assert_code(result, 1);
        g_assert_nonnull(strstr(result->err, paths[i]));
        g_assert_false(g_file_test(out, G_FILE_TEST_EXISTS));
    }
}

/* The coefficients mean the same person, the picture may not: said, not refused. */
static void test_other_model_is_told(void)
{
    g_autofree char *person = in_folder("deep/people/person-5.safetensors");
    g_autofree char *elsewhere = in_folder("elsewhere");
    g_autofree char *out = in_folder("elsewhere.png");
    g_autoptr(W2wIdentity) identity = w2w_identity_load(person, NULL);
    g_autoptr(CliResult) same = NULL;
    g_autoptr(CliResult) other = NULL;

    g_free(identity->model_fingerprint);
    identity->model_fingerprint = g_strnfill(64, '0');
    g_assert_true(w2w_identity_save(identity, elsewhere, NULL));
    same = cli_run("render", "--identity", person, "-o", out, SMALL, NULL);
    other = cli_run("render", "--identity", elsewhere, "-o", out, SMALL, NULL);
    cli_assert_code(same, 0);
    cli_assert_code(other, 0);
    g_assert_null(strstr(same->err, "another model"));
    g_assert_nonnull(strstr(other->err, "another model"));
}

/* The largest seed is one, and the next one is not. */
static void test_largest_seed(void)
{
    g_autofree char *people = in_folder("largest");
    g_autofree char *path = in_folder("largest/person-9007199254740991.png");
    g_autoptr(CliResult) result =
        cli_run("sample", "--seed=9007199254740991", "-o", people, SMALL, NULL);

    cli_assert_code(result, 0);
    g_assert_true(g_file_test(path, G_FILE_TEST_IS_REGULAR));
}

/* A file that is there is replaced; written beside it and renamed, nothing else is left. */
static void test_overwrites(void)
{
    g_autofree char *folder = in_folder("over");
    g_autofree char *path = in_folder("over/x.png");
    g_autofree char *files = NULL;
    g_autoptr(CliResult) first = cli_run("render", "--seed=1", "-o", path, SMALL, NULL);
    g_autoptr(GBytes) before = read_file(path);
    g_autoptr(GBytes) after = NULL;
    g_autoptr(CliResult) second = cli_run("render", "--seed=2", "-o", path, SMALL, NULL);

    cli_assert_code(first, 0);
    cli_assert_code(second, 0);
    after = read_file(path);
    g_assert_false(g_bytes_equal(before, after));
    files = cli_list_folder(folder);
    g_assert_cmpstr(files, ==, "x.png");
}

static void test_bench(void)
{
    const char *const works[] = {"unet", "vae-decode", "text"};

    for (guint i = 0; i < G_N_ELEMENTS(works); i++) {
        g_autoptr(CliResult) result =
            cli_run("bench", works[i], "--size=32", "--reps=2", "--batch=2", "--lora-rank=1", NULL);
        g_autoptr(JsonObject) json = NULL;
        double best;

        cli_assert_code(result, 0);
        json = parse_output(result);
        best = json_object_get_double_member(json, "best_s");
        g_assert_cmpfloat(best, >, 0.0);
        g_assert_cmpuint(json_array_get_length(json_object_get_array_member(json, "each_s")), ==,
                         2);
        g_assert_cmpfloat(
            json_array_get_double_element(json_object_get_array_member(json, "each_s"), 1), >=,
            best);
    }
}

int main(int argc, char **argv)
{
    int code;

    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/cli/jobs/a-sample", test_sample); /* the others start from its people */
    g_test_add_func("/cli/jobs/same-seed-same-bytes", test_same_seed_same_bytes);
    g_test_add_func("/cli/jobs/threads-change-nothing", test_threads_change_nothing);
    g_test_add_func("/cli/jobs/random-seed-is-reported", test_random_seed_is_reported);
    g_test_add_func("/cli/jobs/edit", test_edit);
    g_test_add_func("/cli/jobs/edit-of-nothing", test_edit_of_nothing);
    g_test_add_func("/cli/jobs/edit-metrics-differ", test_edit_metrics_differ);
    g_test_add_func("/cli/jobs/edit-out-of-range-warns", test_edit_out_of_range_warns);
    g_test_add_func("/cli/jobs/edit-picture", test_edit_picture);
    g_test_add_func("/cli/jobs/unknown-direction", test_unknown_direction);
    g_test_add_func("/cli/jobs/render", test_render);
    g_test_add_func("/cli/jobs/long-prompt-is-told", test_long_prompt_is_told);
    g_test_add_func("/cli/jobs/json", test_json);
    g_test_add_func("/cli/jobs/impossible-size", test_impossible_size);
    g_test_add_func("/cli/jobs/bad-identities", test_bad_identities);
    g_test_add_func("/cli/jobs/other-model-is-told", test_other_model_is_told);
    g_test_add_func("/cli/jobs/largest-seed", test_largest_seed);
    g_test_add_func("/cli/jobs/overwrites", test_overwrites);
    g_test_add_func("/cli/jobs/bench", test_bench);
    code = g_test_run();
    in_folder(NULL);
    return code;
}

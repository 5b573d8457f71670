/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The tokenizer against transformers' (golden cases, tokenizer_prompts.json), small made-up
 * tokenizers for what the real ones have none of, broken files, and prompts made to be slow.
 */
#include "engine/models/tokenizer.h"

#include <glib/gstdio.h>
#include <string.h>

#include "engine/error.h"
#include "engine/formats/json.h"
#include "tests/golden_files.h"

/* A megabyte must take well under a second; what is quadratic takes minutes, even here. */
#define LONG_PROMPT_BYTES   1000000
#define LONG_PROMPT_SECONDS 10

static W2wTokenizer *open_folder(const char *directory)
{
    g_autoptr(GError) error = NULL;
    W2wTokenizer *tokenizer = w2w_tokenizer_new(directory, &error);

    g_assert_no_error(error);
    return tokenizer;
}

static W2wTokenizer *open_golden(void)
{
    g_autofree char *directory = w2w_golden_path("model/tokenizer");

    return open_folder(directory);
}

static W2wTokenizer *open_world(void)
{
    g_autofree char *directory =
        g_build_filename(g_getenv("W2W_DATA_DIR"), "model", "tokenizer", NULL);

    return open_folder(directory);
}

static guint encode(const W2wTokenizer *tokenizer, const char *prompt, guint length, gint32 *ids)
{
    g_autoptr(GError) error = NULL;
    guint n_cut = G_MAXUINT;

    w2w_tokenizer_encode(tokenizer, prompt, length, ids, &n_cut, &error);
    g_assert_no_error(error);
    return n_cut;
}

/* --- against transformers --- */

static void test_golden_cases(void)
{
    g_autofree char *path = w2w_golden_path("tokenizer_cases.json");
    g_autoptr(W2wTokenizer) tokenizer = open_golden();
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonNode) node = w2w_json_load_any(path, &error);
    JsonArray *cases;

    g_assert_no_error(error);
    cases = json_node_get_array(node);
    g_assert_cmpuint(json_array_get_length(cases), >, 0);
    for (guint i = 0; i < json_array_get_length(cases); i++) {
        JsonObject *test_case = json_array_get_object_element(cases, i);
        JsonArray *expected = json_object_get_array_member(test_case, "input_ids");
        const guint length = json_array_get_length(expected);
        g_autofree gint32 *ids = g_new(gint32, length);

        g_test_message("%s", json_object_get_string_member(test_case, "prompt"));
        encode(tokenizer, json_object_get_string_member(test_case, "prompt"), length, ids);
        for (guint k = 0; k < length; k++)
            g_assert_cmpint(ids[k], ==, json_array_get_int_element(expected, k));
    }
}

/* The prompts that tests/golden/mini was made with. */
static void test_world_prompts(void)
{
    static const char *const prompts[] = {"sks person", "a portrait of an old man with glasses"};
    g_autoptr(W2wGolden) golden = w2w_golden_open(w2w_golden_mini_dir());
    const W2wArray *expected = w2w_golden_get(golden, "networks", "input_ids");
    g_autoptr(W2wTokenizer) tokenizer = open_world();
    const guint length = (guint)expected->shape[1];
    g_autofree gint32 *ids = g_new(gint32, length);
    g_autofree gint64 *all = g_new(gint64, expected->n_elements);

    g_assert_cmpint(expected->shape[0], ==, G_N_ELEMENTS(prompts));
    for (guint i = 0; i < G_N_ELEMENTS(prompts); i++) {
        encode(tokenizer, prompts[i], length, ids);
        for (guint k = 0; k < length; k++)
            all[i * length + k] = ids[k];
    }
    w2w_golden_compare_i64("input_ids", expected, all);
}

static void check_prompts(const W2wTokenizer *tokenizer)
{
    g_autofree char *path = g_test_build_filename(G_TEST_DIST, "tokenizer_prompts.json", NULL);
    g_autofree char *size = g_strdup_printf("%u", w2w_tokenizer_get_vocabulary_size(tokenizer));
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonObject) object = w2w_json_load(path, &error);
    JsonArray *cases;

    g_assert_no_error(error);
    cases = json_object_get_array_member(object, "cases");
    g_assert_cmpuint(json_array_get_length(cases), >, 0);
    for (guint i = 0; i < json_array_get_length(cases); i++) {
        JsonObject *test_case = json_array_get_object_element(cases, i);
        JsonArray *expected =
            json_object_get_array_member(json_object_get_object_member(test_case, "ids"), size);
        const guint n = json_array_get_length(expected);
        g_autofree gint32 *ids = g_new(gint32, n + 2);

        g_test_message("%s", json_object_get_string_member(test_case, "prompt"));
        g_assert_cmpuint(
            encode(tokenizer, json_object_get_string_member(test_case, "prompt"), n + 2, ids), ==,
            0);
        for (guint k = 0; k < n; k++)
            g_assert_cmpint(ids[k + 1], ==, json_array_get_int_element(expected, k));
    }
}

static void test_odd_prompts_full_vocabulary(void)
{
    g_autoptr(W2wTokenizer) tokenizer = open_golden();

    check_prompts(tokenizer);
}

static void test_odd_prompts_small_vocabulary(void)
{
    g_autoptr(W2wTokenizer) tokenizer = open_world();

    check_prompts(tokenizer);
}

/* --- the ends --- */

static void test_cut_and_padded(void)
{
    g_autoptr(W2wTokenizer) tokenizer = open_world();
    const char *const prompt = "1 2 3 4 5 6 7 8"; /* a digit is always one token */
    gint32 whole[12], cut[5], shortest[2];

    g_assert_cmpuint(encode(tokenizer, prompt, 12, whole), ==, 0);
    g_assert_cmpuint(encode(tokenizer, prompt, 5, cut), ==, 5);
    g_assert_cmpuint(encode(tokenizer, prompt, 2, shortest), ==, 8);
    g_assert_cmpint(cut[0], ==, whole[0]);
    g_assert_cmpint(cut[1], ==, whole[1]);
    g_assert_cmpint(cut[3], ==, whole[3]);
    g_assert_cmpint(cut[4], ==, whole[9]); /* the end token */
    g_assert_cmpint(shortest[0], ==, whole[0]);
    g_assert_cmpint(shortest[1], ==, whole[9]);
    g_assert_cmpint(whole[10], ==, whole[11]);
}

static void test_bad_arguments(void)
{
    static const char *const not_utf8[] = {"\xff", "a\xc3", "\xed\xa0\x80", "\xc0\xaf", "ab\x80"};
    g_autoptr(W2wTokenizer) tokenizer = open_world();
    g_autoptr(GError) error = NULL;
    gint32 ids[77];

    for (guint i = 0; i < G_N_ELEMENTS(not_utf8); i++) {
        g_assert_false(w2w_tokenizer_encode(tokenizer, not_utf8[i], 77, ids, NULL, &error));
        g_assert_error(error, W2W_ERROR, W2W_ERROR_USAGE);
        g_test_message("%s", error->message);
        g_clear_error(&error);
    }
    g_assert_false(w2w_tokenizer_encode(tokenizer, "a", 1, ids, NULL, &error));
    g_assert_error(error, W2W_ERROR, W2W_ERROR_USAGE);
}

/* --- prompts made to be slow --- */

static void test_long_prompts_are_fast(void)
{
    static const char *const pieces[] = {
        "a",
        "ab",
        "word ",
        "the",
        "!",
        "'",
        "<|",
        "<|endoftext|",
        "<|endoftext|>",
        "\u4e2d",
        "\U0001f642",
        "\u0301",
        "\u0301\u0323",
        "a\u0323\u0301\u0315",
        "\u03a3",
        "\u03a3'",
        "\u0345",
        "\u1f82",
        "\uac01",
        "\u1100\u1161\u11a8",
        "1",
        " ",
        "\u0130",
    };
    g_autoptr(W2wTokenizer) tokenizer = open_golden();

    for (guint i = 0; i < G_N_ELEMENTS(pieces); i++) {
        g_autoptr(GString) prompt = g_string_new(NULL);
        gint32 ids[77];

        while (prompt->len < LONG_PROMPT_BYTES)
            g_string_append(prompt, pieces[i]);
        g_test_timer_start();
        encode(tokenizer, prompt->str, 77, ids);
        g_test_message("%s: %.3f s", pieces[i], g_test_timer_elapsed());
        g_assert_cmpfloat(g_test_timer_last(), <, LONG_PROMPT_SECONDS);
    }
}

/* --- made-up tokenizers --- */

typedef struct {
    char *directory;
} Folder;

static void write_file(const Folder *folder, const char *name, const char *text)
{
    g_autofree char *path = g_build_filename(folder->directory, name, NULL);

    /* Without the flush to disk that GLib does by default; GLib 2.74 then does not truncate. */
    g_remove(path);
    g_assert_true(g_file_set_contents_full(path, text, -1, G_FILE_SET_CONTENTS_NONE, 0600, NULL));
}

static void set_up_folder(Folder *folder, gconstpointer data)
{
    folder->directory = g_dir_make_tmp("w2w-tokenizer-XXXXXX", NULL);
    g_assert_nonnull(folder->directory);
    write_file(folder, "vocab.json",
               "{\"a\": 0, \"b\": 1, \"c\": 2, \"!\": 3, \"a</w>\": 4, \"b</w>\": 5, \"c</w>\": 6, "
               "\"!</w>\": 7, \"ab\": 8, \"ab</w>\": 9, \"aba\": 10, \"<|startoftext|>\": 11, "
               "\"<|endoftext|>\": 12}");
    write_file(folder, "merges.txt", "#version: 0.2\nab a\na b\na b</w>\n");
}

static void tear_down_folder(Folder *folder, gconstpointer data)
{
    static const char *const names[] = {
        "vocab.json",        "merges.txt",    "tokenizer_config.json", "special_tokens_map.json",
        "added_tokens.json", "tokenizer.json"};

    for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autofree char *path = g_build_filename(folder->directory, names[i], NULL);

        g_remove(path);
    }
    g_rmdir(folder->directory);
    g_free(folder->directory);
}

/* Ids of `prompt` in eight places, as "11 8 12 12 …". */
static char *ids_text(const Folder *folder, const char *prompt)
{
    g_autoptr(W2wTokenizer) tokenizer = open_folder(folder->directory);
    GString *text = g_string_new(NULL);
    gint32 ids[8];

    encode(tokenizer, prompt, G_N_ELEMENTS(ids), ids);
    for (guint i = 0; i < G_N_ELEMENTS(ids); i++)
        g_string_append_printf(text, "%s%d", i > 0 ? " " : "", ids[i]);
    return g_string_free(text, FALSE);
}

static void assert_ids(const Folder *folder, const char *prompt, const char *expected)
{
    g_autofree char *actual = ids_text(folder, prompt);

    g_assert_cmpstr(actual, ==, expected);
}

/*
 * "a b" has a worse rank than "ab a", which exists only once "a b" was merged: both "a b"
 * of "ababc" are merged before "ab a" is looked at, so it never is. (So in transformers.)
 */
static void test_a_round_merges_all_pairs_of_a_rank(Folder *folder, gconstpointer data)
{
    assert_ids(folder, "ababc", "11 8 8 6 12 12 12 12");
    assert_ids(folder, "abac", "11 10 6 12 12 12 12 12");
    assert_ids(folder, "abab", "11 10 5 12 12 12 12 12");
    assert_ids(folder, "ab", "11 9 12 12 12 12 12 12");
}

static void test_unknown_symbols_are_the_unknown_token(Folder *folder, gconstpointer data)
{
    assert_ids(folder, "a z b", "11 4 12 5 12 12 12 12");
    write_file(folder, "tokenizer_config.json", "{\"unk_token\": \"c\"}");
    assert_ids(folder, "a z b", "11 4 2 5 12 12 12 12");
}

/* Stable Diffusion 2 pads with "!", which thereby becomes a token that prompts are cut at. */
static void test_special_tokens_come_from_the_files(Folder *folder, gconstpointer data)
{
    assert_ids(folder, "ab!", "11 9 7 12 12 12 12 12");
    write_file(folder, "special_tokens_map.json",
               "{\"bos_token\": {\"content\": \"<|endoftext|>\", \"single_word\": false}, "
               "\"eos_token\": \"<|startoftext|>\", \"pad_token\": \"!\"}");
    assert_ids(folder, "ab!", "12 9 3 11 3 3 3 3");
    write_file(folder, "tokenizer_config.json", "{\"pad_token\": \"<|endoftext|>\"}");
    assert_ids(folder, "ab!", "12 9 3 11 3 3 3 3");
    write_file(folder, "tokenizer_config.json",
               "{\"pad_token\": \"<|endoftext|>\", \"added_tokens_decoder\": {}}");
    assert_ids(folder, "ab!", "11 9 7 12 12 12 12 12");
}

static void test_added_tokens(Folder *folder, gconstpointer data)
{
    g_autoptr(W2wTokenizer) tokenizer = NULL;

    write_file(folder, "added_tokens.json", "{\"<me>\": 20, \"<me>2\": 21}");
    write_file(folder, "special_tokens_map.json", "{\"pad_token\": \"<pad>\"}");
    assert_ids(folder, "a<me>b<me>2", "11 4 20 5 21 12 15 15");
    assert_ids(folder, "<ME>", "11 12 12 12 12 12 15 15"); /* five unknown symbols: < m e > */
    tokenizer = open_folder(folder->directory);
    g_assert_cmpuint(w2w_tokenizer_get_vocabulary_size(tokenizer), ==, 22);
    write_file(folder, "tokenizer_config.json",
               "{\"added_tokens_decoder\": {\"30\": {\"content\": \"bc\"}}}");
    assert_ids(folder, "abcb", "11 4 30 5 12 12 12 12");
}

static void assert_refused(const Folder *folder, W2wError code, const char *in_message)
{
    g_autoptr(GError) error = NULL;

    g_assert_null(w2w_tokenizer_new(folder->directory, &error));
    g_test_message("%s", error->message);
    g_assert_error(error, W2W_ERROR, (gint)code);
    g_assert_nonnull(strstr(error->message, folder->directory));
    g_assert_nonnull(strstr(error->message, in_message));
}

static void test_broken_files_are_refused(Folder *folder, gconstpointer data)
{
    static const struct {
        const char *name, *text, *in_message;
        W2wError code;
    } cases[] = {
        {"tokenizer_config.json", "{\"tokenizer_class\": \"T5Tokenizer\"}", "T5Tokenizer",
         W2W_ERROR_UNSUPPORTED},
        {"tokenizer_config.json", "{\"padding_side\": \"left\"}", "padding_side",
         W2W_ERROR_UNSUPPORTED},
        {"tokenizer_config.json", "{\"truncation_side\": \"left\"}", "truncation_side",
         W2W_ERROR_UNSUPPORTED},
        {"tokenizer_config.json", "{\"split_special_tokens\": true}", "split_special_tokens",
         W2W_ERROR_UNSUPPORTED},
        {"tokenizer_config.json", "{\"bos_token\": null}", "bos_token", W2W_ERROR_FORMAT},
        {"tokenizer_config.json", "{\"eos_token\": 7}", "eos_token", W2W_ERROR_FORMAT},
        {"tokenizer_config.json", "{\"pad_token\": {}}", "pad_token", W2W_ERROR_FORMAT},
        {"tokenizer_config.json", "{\"unk_token\": \"\"}", "unk_token", W2W_ERROR_FORMAT},
        {"tokenizer_config.json", "{\"pad_token\": {\"content\": \"p\", \"single_word\": true}}",
         "single_word", W2W_ERROR_UNSUPPORTED},
        {"tokenizer_config.json", "{\"added_tokens_decoder\": []}", "added_tokens_decoder",
         W2W_ERROR_FORMAT},
        {"tokenizer_config.json", "{\"added_tokens_decoder\": {\"x\": {\"content\": \"p\"}}}",
         "“x”", W2W_ERROR_FORMAT},
        {"tokenizer_config.json", "{\"additional_special_tokens\": \"p\"}",
         "additional_special_tokens", W2W_ERROR_FORMAT},
        {"tokenizer_config.json", "{", "line 1", W2W_ERROR_FORMAT},
        {"special_tokens_map.json", "[]", "special_tokens_map.json", W2W_ERROR_FORMAT},
        {"added_tokens.json", "{\"p\": -1}", "added_tokens.json", W2W_ERROR_FORMAT},
        {"tokenizer.json", "{\"added_tokens\": [\"p\"]}", "added_tokens", W2W_ERROR_FORMAT},
        {"tokenizer.json", "{\"added_tokens\": [{\"content\": \"p\"}]}", "“p”", W2W_ERROR_FORMAT},
        {"merges.txt", "#version: 0.2\na b\nab\n", "line 3", W2W_ERROR_FORMAT},
        {"merges.txt", "#version: 0.2\na b c\n", "line 2", W2W_ERROR_FORMAT},
        {"merges.txt", "#version: 0.2\na b\n\na c\n", "line 3", W2W_ERROR_FORMAT},
        {"merges.txt", "#version: 0.2\n\xff b\n", "UTF-8", W2W_ERROR_FORMAT},
        {"vocab.json", "{\"a\": \"0\"}", "“a”", W2W_ERROR_FORMAT},
        {"vocab.json", "{\"a\": 0.5}", "“a”", W2W_ERROR_FORMAT},
        {"vocab.json", "{\"a\": 2147483647}", "“a”", W2W_ERROR_FORMAT},
        {"vocab.json", "[]", "vocab.json", W2W_ERROR_FORMAT},
    };

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        Folder broken;

        set_up_folder(&broken, NULL);
        write_file(&broken, cases[i].name, cases[i].text);
        assert_refused(&broken, cases[i].code, cases[i].in_message);
        tear_down_folder(&broken, NULL);
    }
}

static void test_missing_files_are_named(Folder *folder, gconstpointer data)
{
    g_autofree char *merges = g_build_filename(folder->directory, "merges.txt", NULL);
    g_autofree char *vocabulary = g_build_filename(folder->directory, "vocab.json", NULL);

    g_remove(merges);
    assert_refused(folder, W2W_ERROR_FILE, "merges.txt");
    g_remove(vocabulary);
    assert_refused(folder, W2W_ERROR_FILE, "vocab.json");
}

static void test_no_merges_is_a_tokenizer_of_letters(Folder *folder, gconstpointer data)
{
    write_file(folder, "merges.txt", "");
    assert_ids(folder, "ab", "11 0 5 12 12 12 12 12");
    write_file(folder, "merges.txt", "#version: 0.2\r\na b</w>\r\n");
    assert_ids(folder, "ab", "11 9 12 12 12 12 12 12");
}

int main(int argc, char **argv)
{
    static const struct {
        const char *path;
        void (*test)(Folder *folder, gconstpointer data);
    } folder_tests[] = {
        {"/tokenizer/a-round-merges-all-pairs-of-a-rank", test_a_round_merges_all_pairs_of_a_rank},
        {"/tokenizer/unknown-symbols-are-the-unknown-token",
         test_unknown_symbols_are_the_unknown_token},
        {"/tokenizer/special-tokens-come-from-the-files", test_special_tokens_come_from_the_files},
        {"/tokenizer/added-tokens-are-found-first", test_added_tokens},
        {"/tokenizer/broken-files-are-refused", test_broken_files_are_refused},
        {"/tokenizer/missing-files-are-named", test_missing_files_are_named},
        {"/tokenizer/no-merges-is-a-tokenizer-of-letters",
         test_no_merges_is_a_tokenizer_of_letters},
    };

    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/tokenizer/golden-cases", test_golden_cases);
    g_test_add_func("/tokenizer/world-prompts", test_world_prompts);
    g_test_add_func("/tokenizer/odd-prompts-full-vocabulary", test_odd_prompts_full_vocabulary);
    g_test_add_func("/tokenizer/odd-prompts-small-vocabulary", test_odd_prompts_small_vocabulary);
    g_test_add_func("/tokenizer/cut-and-padded", test_cut_and_padded);
    g_test_add_func("/tokenizer/bad-arguments", test_bad_arguments);
    g_test_add_func("/tokenizer/long-prompts-are-fast", test_long_prompts_are_fast);
    for (guint i = 0; i < G_N_ELEMENTS(folder_tests); i++)
        g_test_add(folder_tests[i].path, Folder, NULL, set_up_folder, folder_tests[i].test,
                   tear_down_folder);
    return g_test_run();
}

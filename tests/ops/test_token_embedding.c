/* SPDX-License-Identifier: GPL-3.0-or-later */
/* token_embedding: every float type, ids at and beyond the ends, positions to spare. */
#include "tests/ops/op_test.h"

#include <math.h>

static void accumulated(const W2wOpCase *test, const float *expected, double *magnitude)
{
    const gint64 n = w2w_shape_n_elements(test->op.out);

    /* Of float64 weights, both terms may be rounded; anything else is exact before the sum. */
    for (gint64 i = 0; i < n; i++) {
        const double position = fabs(w2w_array_get(test->op.weight[W2W_BIAS],
                                                   i % ((gint64)test->op.out.w * test->op.out.c)));

        magnitude[i] = test->op.weight[W2W_WEIGHT]->dtype == W2W_DTYPE_F64
                           ? fabs((double)expected[i]) + 2.0 * position
                           : 0.0;
    }
}

static void test_any_shape(gconstpointer data)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(17);
    const W2wDType dtype = GPOINTER_TO_INT(data);

    for (gint i = 0; i < 40; i++) {
        const gint64 vocabulary = g_rand_int_range(random, 1, 200);
        const gint64 width = g_rand_int_range(random, 1, 70);
        const gint n = g_rand_int_range(random, 1, 4), n_tokens = g_rand_int_range(random, 1, 78);
        const gint64 tokens[] = {vocabulary, width};
        const gint64 positions[] = {n_tokens + g_rand_int_range(random, 0, 3), width};
        g_autofree char *name = g_strdup_printf("token_embedding %d", i);
        g_autoptr(W2wOpCase) test = w2w_op_case_new(W2W_OP_TOKEN_EMBEDDING, name);
        float *ids = g_new(float, n *n_tokens);

        for (gint j = 0; j < n * n_tokens; j++) /* some outside: the nearest inside is meant */
            ids[j] = (float)g_rand_int_range(random, -2, (gint)vocabulary + 2);
        test->op.out = (W2wShape){n, 1, n_tokens, (gint)width};
        test->op.weight[W2W_WEIGHT] = w2w_random_array(random, dtype, 2, tokens, 0.0, 1.0);
        test->op.weight[W2W_BIAS] = w2w_random_array(random, dtype, 2, positions, 0.0, 1.0);
        w2w_op_case_take_input(test, W2W_SLOT_X, (W2wShape){n, 1, n_tokens, 1}, ids);
        w2w_op_case_check(test, accumulated);
    }
}

/* --- the text encoder's own embedding: hidden_0 of "text" --- */

typedef struct {
    W2wGolden *golden;
    const W2wOpCase *test;
} Golden;

static void check_golden(W2wDevice *device, const char *label, gpointer data)
{
    const Golden *check = data;
    g_autofree float *actual = NULL;

    if (w2w_device_get_compute_type(device) == W2W_COMPUTE_BF16)
        return; /* against the reference only */
    actual = w2w_op_case_run(check->test, device);
    g_test_message("text.hidden_0 on %s", label);
    w2w_golden_compare(check->golden, "text", "hidden_0", NULL, actual);
}

/* The prompts of params.json as ids, by tokenizer_cases.json. */
static GArray *golden_ids(W2wGolden *golden)
{
    g_autoptr(JsonParser) parser = json_parser_new();
    g_autofree char *path = w2w_golden_get_path(golden, "tokenizer_cases.json");
    JsonObject *text = json_object_get_object_member(w2w_golden_get_params(golden), "text");
    JsonArray *prompts = json_object_get_array_member(text, "prompts"), *cases;
    GArray *ids = g_array_new(FALSE, FALSE, sizeof(float));
    g_autoptr(GError) error = NULL;

    json_parser_load_from_file(parser, path, &error);
    g_assert_no_error(error);
    cases = json_node_get_array(json_parser_get_root(parser));
    for (guint i = 0; i < json_array_get_length(prompts); i++)
        for (guint j = 0; j < json_array_get_length(cases); j++) {
            JsonObject *entry = json_array_get_object_element(cases, j);
            JsonArray *input_ids = json_object_get_array_member(entry, "input_ids");

            if (!g_str_equal(json_object_get_string_member(entry, "prompt"),
                             json_array_get_string_element(prompts, i)))
                continue;
            for (guint k = 0; k < json_array_get_length(input_ids); k++) {
                const float id = (float)json_array_get_int_element(input_ids, k);

                g_array_append_val(ids, id);
            }
            break;
        }
    return ids;
}

static void test_golden(void)
{
    g_autoptr(W2wGolden) golden = w2w_golden_open(NULL);
    const W2wArray *expected = w2w_golden_get(golden, "text", "hidden_0");
    const gint n = (gint)expected->shape[0], n_tokens = (gint)expected->shape[1];
    const char *const prefix = "text_model.embeddings.";
    g_autoptr(W2wOpCase) test = w2w_op_case_new(W2W_OP_TOKEN_EMBEDDING, "text");
    g_autoptr(GArray) ids = golden_ids(golden);
    Golden check = {golden, test};

    g_assert_cmpuint(ids->len, ==, n * n_tokens);
    test->op.out = (W2wShape){n, 1, n_tokens, (gint)expected->shape[2]};
    for (gint i = 0; i < W2W_N_WEIGHTS; i++) {
        g_autofree char *key = g_strdup_printf("%s%s_embedding.weight", prefix,
                                               i == W2W_WEIGHT ? "token" : "position");

        test->op.weight[i] = w2w_array_ref(w2w_golden_get(golden, "model/text_encoder/model", key));
    }
    w2w_op_case_take_input(test, W2W_SLOT_X, (W2wShape){n, 1, n_tokens, 1},
                           g_memdup2(ids->data, ids->len * sizeof(float)));
    w2w_op_test_each_device(check_golden, &check);
}

void w2w_add_tests_token_embedding(void)
{
    for (W2wDType dtype = W2W_DTYPE_F32; dtype <= W2W_DTYPE_F64; dtype++) {
        g_autofree char *path = g_strconcat("/ops/token_embedding/", w2w_dtype_name(dtype), NULL);

        g_test_add_data_func(path, GINT_TO_POINTER(dtype), test_any_shape);
    }
    g_test_add_func("/golden/token_embedding", test_golden);
}

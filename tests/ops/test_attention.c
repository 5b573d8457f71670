/* SPDX-License-Identifier: GPL-3.0-or-later */
/* attention: head widths of all models, any number of tokens, causal, scores that would overflow.
 */
#include "tests/ops/op_test.h"

#include <math.h>
#include <string.h>

typedef struct {
    const char *name;
    gint n, query_h, query_w, key_h, key_w, n_heads, width;
    gboolean causal;
    double deviation; /* of queries; 0 means 1. Scores have that deviation too. */
} Attention;

/* clang-format off */
static const Attention cases[] = {
    {"width-4",           2,  5,  7,  5,  7,  8,   4},
    {"width-8-text",      1,  5,  8,  1, 77,  2,   8},
    {"width-40",          1,  8,  8,  8,  8,  8,  40},
    {"width-64",          1,  3, 11,  1, 50,  2,  64},
    {"width-80-text",     2,  4,  6,  1, 77,  2,  80},
    {"width-160",         1,  4,  4,  4,  4,  2, 160},
    {"width-512",         1,  6,  6,  6,  6,  1, 512},
    {"width-1",           1,  3,  3,  3,  3,  3,   1},
    {"width-13",          3,  3,  5,  2,  9,  3,  13},
    {"one-token",         3,  1,  1,  1,  1,  2,  16}, /* out = value */
    {"one-key",           1,  4,  5,  1,  1,  4,   8},
    {"one-query",         1,  1,  1,  1, 77,  4,  12},
    {"many-keys",         1,  1,  5, 15, 20,  2,  40},
    {"many-queries",      1, 15, 20,  1,  7,  2,  24},
    {"many-of-both",      1, 17, 17, 17, 17,  1,  32},
    {"batch-3",           3,  3,  4,  1, 77,  8,   5},
    {"causal-text",       1,  1, 77,  1, 77, 12,  64, TRUE},
    {"causal-batch",      3,  1, 77,  1, 77,  4,  12, TRUE},
    {"causal-one-token",  2,  1,  1,  1,  1,  2,   8, TRUE},
    {"causal-two-tokens", 1,  1,  2,  1,  2,  2,   8, TRUE},
    {"causal-odd",        1,  1, 33,  1, 33,  3,   7, TRUE},
    {"peaked",            1,  4,  8,  1, 77,  2,  40, FALSE, 30.0},
    {"overflowing",       1,  4,  8,  1, 77,  2,  40, FALSE, 3000.0}, /* exp(score) is infinite */
    {"uniform",           1,  4,  8,  1, 77,  2,  40, FALSE, 1e-6},
    {"causal-peaked",     1,  1, 77,  1, 77,  2,  16, TRUE, 100.0},
};
/* clang-format on */

/*
 * out = Σ p v / Σ p with p = exp(s). Terms of one sign, or one term that outweighs the others, make
 * partial sums as large as the whole from the start, and each of the n additions rounds one of
 * these: √n of half a unit of Σ p |v|, besides the roundings of the division. And p is off by what
 * the exponential and its score are: by the terms scale |q| |k| of the score's own sum.
 */
static void accumulated(const W2wOpCase *test, const float *expected, double *magnitude)
{
    const W2wShape query = test->op.out, key = test->op.in[W2W_SLOT_KEY];
    const gint n_queries = query.h * query.w, n_keys = key.h * key.w;
    const gint n_heads = test->op.params.attention.n_heads, width = query.c / n_heads;
    const double scale = test->op.params.attention.scale;
    g_autofree double *score = g_new(double, n_keys), *of_score = g_new(double, n_keys);

    for (gint head = 0; head < query.n * n_heads * n_queries; head++) {
        const gint i = head % n_queries, n = head / n_queries / n_heads;
        const gint column = head / n_queries % n_heads * width;
        const gint64 first = ((gint64)n * n_queries + i) * query.c + column;
        const gint64 first_key = (gint64)n * n_keys * query.c + column;
        const float *q = test->in[W2W_SLOT_QUERY] + first;
        const gint n_visible = test->op.params.attention.causal ? MIN(i + 1, n_keys) : n_keys;
        const double of_sums = 1.0 + 0.5 * sqrt(n_visible);
        double largest = -INFINITY, sum = 0.0;

        for (gint j = 0; j < n_visible; j++) {
            const float *k = test->in[W2W_SLOT_KEY] + first_key + (gint64)j * query.c;

            score[j] = of_score[j] = 0.0;
            for (gint c = 0; c < width; c++) {
                score[j] += scale * q[c] * k[c];
                of_score[j] += fabs(scale * q[c] * k[c]);
            }
            largest = MAX(largest, score[j]);
        }
        for (gint j = 0; j < n_visible; j++)
            sum += score[j] = exp(score[j] - largest);
        for (gint c = 0; c < width; c++) {
            magnitude[first + c] = 0.0;
            for (gint j = 0; j < n_visible; j++) {
                const float *v = test->in[W2W_SLOT_VALUE] + first_key + (gint64)j * query.c;

                magnitude[first + c] +=
                    score[j] / sum *
                    (of_sums * fabs((double)v[c]) +
                     (1.0 + of_score[j]) * fabs(v[c] - (double)expected[first + c]));
            }
        }
    }
}

static void check(const Attention *attention, GRand *random)
{
    g_autoptr(W2wOpCase) test = w2w_op_case_new(W2W_OP_ATTENTION, attention->name);
    const gint n_channels = attention->n_heads * attention->width;
    const W2wShape key = {attention->n, attention->key_h, attention->key_w, n_channels};

    test->op.out = (W2wShape){attention->n, attention->query_h, attention->query_w, n_channels};
    test->op.params.attention.n_heads = attention->n_heads;
    test->op.params.attention.scale = (float)(1.0 / sqrt(attention->width));
    test->op.params.attention.causal = attention->causal;
    w2w_op_case_random_input(test, W2W_SLOT_QUERY, test->op.out, random, 0.0,
                             attention->deviation > 0.0 ? attention->deviation : 1.0);
    w2w_op_case_random_input(test, W2W_SLOT_KEY, key, random, 0.0, 1.0);
    w2w_op_case_random_input(test, W2W_SLOT_VALUE, key, random, 0.2, 1.0);
    w2w_op_case_check(test, accumulated);
}

static void test_case(gconstpointer data)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(9);

    check(data, random);
}

static void test_any_shape(void)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(10);

    for (gint i = 0; i < 80; i++) {
        g_autofree char *name = g_strdup_printf("any-shape-%d", i);
        Attention attention = {name};

        attention.n = g_rand_int_range(random, 1, 4);
        attention.causal = g_rand_int_range(random, 0, 3) == 0;
        attention.query_h = attention.causal ? 1 : g_rand_int_range(random, 1, 10);
        attention.query_w = g_rand_int_range(random, 1, 20);
        attention.key_h = attention.causal ? 1 : g_rand_int_range(random, 1, 10);
        attention.key_w = attention.causal ? attention.query_w : g_rand_int_range(random, 1, 20);
        attention.n_heads = g_rand_int_range(random, 1, 9);
        attention.width = g_rand_int_range(random, 1, 50);
        attention.deviation = pow(10.0, g_rand_double_range(random, -1.0, 1.5));
        check(&attention, random);
    }
}

static void build_golden(const W2wOpGolden *entry, W2wOpCase *test)
{
    const W2wArray *query = w2w_op_golden_peek(entry, "in0");

    for (gint slot = W2W_SLOT_QUERY; slot <= W2W_SLOT_VALUE; slot++) {
        g_autofree char *suffix = g_strdup_printf("in%d", slot);
        W2wShape shape;
        float *values = w2w_op_golden_get(entry, suffix, W2W_GOLDEN_HEADS, &shape);

        w2w_op_case_take_input(test, slot, shape, values);
    }
    test->op.params.attention.n_heads = (gint)query->shape[1];
    test->op.params.attention.scale = (float)(1.0 / sqrt((double)query->shape[3]));
    test->op.params.attention.causal = strstr(entry->name, "causal") != NULL;
}

static void test_golden(void)
{
    w2w_op_golden_check(W2W_OP_ATTENTION, "attention", W2W_GOLDEN_HEADS, build_golden);
}

void w2w_add_tests_attention(void)
{
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *path = g_strconcat("/ops/attention/", cases[i].name, NULL);

        g_test_add_data_func(path, &cases[i], test_case);
    }
    g_test_add_func("/ops/attention/any-shape", test_any_shape);
    g_test_add_func("/golden/attention", test_golden);
}

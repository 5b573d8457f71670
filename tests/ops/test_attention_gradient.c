/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * attention_gradient: head widths of all models, any number of tokens, causal, scores that would
 * overflow, every choice of what is wanted.
 */
#include <math.h>
#include <string.h>

#include "tests/ops/op_test.h"

typedef struct {
    const char *name;
    gint n, query_h, query_w, key_h, key_w, n_heads, width;
    guint wanted; /* bits by slot; 0: all */
    gboolean causal;
    double deviation; /* of queries; 0 means 1. Scores have that deviation too. */
} Attention;

#define WANT_QUERY (1u << W2W_SLOT_QUERY)
#define WANT_KEY   (1u << W2W_SLOT_KEY)
#define WANT_VALUE (1u << W2W_SLOT_VALUE)
#define WANT_ALL   (WANT_QUERY | WANT_KEY | WANT_VALUE)

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
    {"one-token",         3,  1,  1,  1,  1,  2,  16}, /* d_value = d_out, the others 0 */
    {"one-key",           1,  4,  5,  1,  1,  4,   8},
    {"one-query",         1,  1,  1,  1, 77,  4,  12},
    {"many-keys",         1,  1,  5, 15, 20,  2,  40},
    {"many-queries",      1, 15, 20,  1,  7,  2,  24},
    {"many-of-both",      1, 17, 17, 17, 17,  1,  32},
    {"batch-3",           3,  3,  4,  1, 77,  8,   5},
    {"query-only",        2,  5,  7,  1, 77,  2,   8, WANT_QUERY},
    {"key-only",          2,  5,  7,  1, 77,  2,   8, WANT_KEY},
    {"value-only",        2,  5,  7,  1, 77,  2,   8, WANT_VALUE},
    {"query-and-key",     2,  5,  7,  5,  7,  2,   8, WANT_QUERY | WANT_KEY},
    {"query-and-value",   2,  5,  7,  5,  7,  2,   8, WANT_QUERY | WANT_VALUE},
    {"key-and-value",     2,  5,  7,  5,  7,  2,   8, WANT_KEY | WANT_VALUE},
    {"causal-text",       1,  1, 77,  1, 77, 12,  64, WANT_ALL, TRUE},
    {"causal-batch",      3,  1, 77,  1, 77,  4,  12, WANT_ALL, TRUE},
    {"causal-one-token",  2,  1,  1,  1,  1,  2,   8, WANT_ALL, TRUE},
    {"causal-two-tokens", 1,  1,  2,  1,  2,  2,   8, WANT_ALL, TRUE},
    {"causal-odd",        1,  1, 33,  1, 33,  3,   7, WANT_ALL, TRUE},
    {"causal-key",        1,  1, 33,  1, 33,  3,   7, WANT_KEY, TRUE},
    {"peaked",            1,  4,  8,  1, 77,  2,  40, WANT_ALL, FALSE, 30.0},
    {"overflowing",       1,  4,  8,  1, 77,  2,  40, WANT_ALL, FALSE, 3000.0}, /* exp(score) is infinite */
    {"uniform",           1,  4,  8,  1, 77,  2,  40, WANT_ALL, FALSE, 1e-6},
    {"causal-peaked",     1,  1, 77,  1, 77,  2,  16, WANT_ALL, TRUE, 100.0},
};
/* clang-format on */

static W2wOpCase *new_forward(const Attention *attention, GRand *random)
{
    W2wOpCase *forward = w2w_op_case_new(W2W_OP_ATTENTION, attention->name);
    const gint n_channels = attention->n_heads * attention->width;
    const W2wShape key = {attention->n, attention->key_h, attention->key_w, n_channels};

    forward->op.out = (W2wShape){attention->n, attention->query_h, attention->query_w, n_channels};
    forward->op.params.attention.n_heads = attention->n_heads;
    forward->op.params.attention.scale = (float)(1.0 / sqrt(attention->width));
    forward->op.params.attention.causal = attention->causal;
    w2w_op_case_random_input(forward, W2W_SLOT_QUERY, forward->op.out, random, 0.0,
                             attention->deviation > 0.0 ? attention->deviation : 1.0);
    w2w_op_case_random_input(forward, W2W_SLOT_KEY, key, random, 0.0, 1.0);
    w2w_op_case_random_input(forward, W2W_SLOT_VALUE, key, random, 0.2, 1.0);
    return forward;
}

/* Other gradients of the same: `wanted` as in Attention. */
static void want(W2wOpCase *gradient, guint wanted)
{
    gradient->op.out.w = 0;
    for (gint slot = W2W_SLOT_QUERY; slot <= W2W_SLOT_VALUE; slot++) {
        gradient->op.params.attention.wanted[slot] = (wanted >> slot & 1) != 0;
        if (gradient->op.params.attention.wanted[slot])
            gradient->op.out.w += (gint)w2w_shape_n_rows(gradient->op.in[slot]);
    }
}

/* --- what is accumulated --- */

/* In units of 2^-24: below 2^-126, the least that float32 has all of its bits for, a probability
 * may count as 0. */
#define NOTHING 0x1p-102

/* One query of one head, and what the roundings of its numbers are, by key. */
typedef struct {
    double *p, *of_p; /* probabilities; off by of_p, in units */
    double *s, *of_s; /* gradients of the scores before they are scaled */
} Row;

/*
 * p is off by what its score's sum, the exponential and the sum of all of them are; s = p (d − Σ p
 * d) with d = d_out · v by what p and d are, weighed as they come in.
 */
static void find_row(const W2wOpCase *test, gint64 query, gint64 key, gint n_visible, Row *row)
{
    const gint step = test->op.out.c, width = step / test->op.params.attention.n_heads;
    const float *q = test->in[W2W_SLOT_QUERY] + query, *k = test->in[W2W_SLOT_KEY] + key;
    const float *v = test->in[W2W_SLOT_VALUE] + key;
    const float *d_out = test->in[W2W_SLOT_ATTENTION_D_OUT] + query;
    const double scale = test->op.params.attention.scale, of_sums = 0.5 * sqrt(n_visible);
    double largest = -INFINITY, sum = 0.0, of_all = 0.0, mean = 0.0, of_mean = 0.0;

    for (gint j = 0; j < n_visible; j++) {
        row->p[j] = row->of_p[j] = row->s[j] = row->of_s[j] = 0.0;
        for (gint c = 0; c < width; c++) {
            const gint64 i = (gint64)j * step + c;

            row->p[j] += scale * q[c] * k[i];
            row->of_p[j] += fabs(scale * q[c] * k[i]);
            row->s[j] += (double)d_out[c] * v[i];
            row->of_s[j] += fabs((double)d_out[c] * v[i]);
        }
        largest = MAX(largest, row->p[j]);
    }
    for (gint j = 0; j < n_visible; j++)
        sum += row->p[j] = exp(row->p[j] - largest);
    for (gint j = 0; j < n_visible; j++) {
        row->p[j] /= sum;
        of_all += row->p[j] * row->of_p[j];
        mean += row->p[j] * row->s[j];
    }
    for (gint j = 0; j < n_visible; j++) {
        row->of_p[j] = row->p[j] * (1.0 + row->of_p[j] + of_all + of_sums) + NOTHING;
        of_mean += row->of_p[j] * fabs(row->s[j] - mean) +
                   row->p[j] * (row->of_s[j] + of_sums * fabs(row->s[j]));
    }
    for (gint j = 0; j < n_visible; j++) {
        row->of_s[j] = row->of_p[j] * fabs(row->s[j] - mean) + row->p[j] * (row->of_s[j] + of_mean);
        row->s[j] = row->p[j] * (row->s[j] - mean);
    }
}

/* Everything that one query adds: magnitudes by slot, NULL where not wanted. */
static void add_row(const W2wOpCase *test, gint64 query, gint64 key, gint n_visible, const Row *row,
                    double *const *magnitude)
{
    const gint step = test->op.out.c, width = step / test->op.params.attention.n_heads;
    const double scale = fabs((double)test->op.params.attention.scale);

    for (gint j = 0; j < n_visible; j++) {
        const double of_s = scale * (row->of_s[j] + fabs(row->s[j]));

        for (gint c = 0; c < width; c++) {
            const gint64 i = query + c, other = key + (gint64)j * step + c;

            if (magnitude[W2W_SLOT_QUERY] != NULL)
                magnitude[W2W_SLOT_QUERY][i] += of_s * fabs((double)test->in[W2W_SLOT_KEY][other]);
            if (magnitude[W2W_SLOT_KEY] != NULL)
                magnitude[W2W_SLOT_KEY][other] += of_s * fabs((double)test->in[W2W_SLOT_QUERY][i]);
            if (magnitude[W2W_SLOT_VALUE] != NULL)
                magnitude[W2W_SLOT_VALUE][other] +=
                    row->of_p[j] * fabs((double)test->in[W2W_SLOT_ATTENTION_D_OUT][i]);
        }
    }
}

static void accumulated(const W2wOpCase *test, const float *expected, double *magnitude)
{
    const W2wShape query = test->op.in[W2W_SLOT_QUERY], key = test->op.in[W2W_SLOT_KEY];
    const gint n_queries = query.h * query.w, n_keys = key.h * key.w;
    const gint n_heads = test->op.params.attention.n_heads, width = query.c / n_heads;
    g_autofree double *numbers = g_new(double, 4 * (gsize)n_keys);
    Row row = {numbers, numbers + n_keys, numbers + 2 * n_keys, numbers + 3 * n_keys};
    double *by_slot[3] = {NULL};

    for (gint slot = W2W_SLOT_QUERY; slot <= W2W_SLOT_VALUE; slot++)
        if (test->op.params.attention.wanted[slot]) {
            by_slot[slot] = magnitude;
            magnitude += w2w_shape_n_elements(test->op.in[slot]);
        }
    for (gint n = 0; n < query.n; n++)
        for (gint head = 0; head < n_heads; head++)
            for (gint i = 0; i < n_queries; i++) {
                const gint n_visible =
                    test->op.params.attention.causal ? MIN(i + 1, n_keys) : n_keys;
                const gint64 q = ((gint64)n * n_queries + i) * query.c + head * width;
                const gint64 k = (gint64)n * n_keys * query.c + head * width;

                find_row(test, q, k, n_visible, &row);
                add_row(test, q, k, n_visible, &row, by_slot);
            }
}

/* --- tests --- */

static W2wOpCase *new_gradient(const Attention *attention, GRand *random)
{
    g_autoptr(W2wOpCase) forward = new_forward(attention, random);
    g_autofree float *d_out =
        w2w_random_normal(random, w2w_shape_n_elements(forward->op.out), 0.1, 1.0);
    gint64 first;
    W2wOpCase *gradient = w2w_op_case_new_gradient(forward, W2W_SLOT_QUERY, d_out, &first);

    want(gradient, attention->wanted != 0 ? attention->wanted : WANT_ALL);
    return gradient;
}

static void check(const Attention *attention, GRand *random)
{
    g_autoptr(W2wOpCase) gradient = new_gradient(attention, random);

    w2w_op_case_check(gradient, accumulated);
}

static void test_case(gconstpointer data)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(66);

    check(data, random);
}

static void test_central_differences(void)
{
    static const Attention small[] = {
        {"self", 2, 2, 3, 2, 3, 2, 4},
        {"cross", 2, 2, 3, 1, 7, 3, 5},
        {"more-queries", 1, 4, 3, 1, 2, 1, 6},
        {"causal", 2, 1, 6, 1, 6, 2, 3, WANT_ALL, TRUE},
        {"peaked", 1, 2, 3, 1, 5, 2, 4, WANT_ALL, FALSE, 5.0},
    };
    g_autoptr(GRand) random = g_rand_new_with_seed(67);

    for (gsize i = 0; i < G_N_ELEMENTS(small); i++) {
        g_autoptr(W2wOpCase) forward = new_forward(&small[i], random);

        for (gint slot = W2W_SLOT_QUERY; slot <= W2W_SLOT_VALUE; slot++)
            w2w_op_case_check_gradient(forward, slot, random);
    }
}

/* The reference's order of what is wanted: the whole is its parts, one after the other. */
static void test_wanted(void)
{
    static const Attention attention = {"wanted", 2, 2, 3, 1, 7, 3, 5};
    g_autoptr(GRand) random = g_rand_new_with_seed(68);
    g_autoptr(W2wOpCase) gradient = new_gradient(&attention, random);
    g_autoptr(GError) error = NULL;
    g_autoptr(W2wDevice) reference = w2w_device_new("reference", NULL, &error);

    g_assert_no_error(error);
    for (guint wanted = 1; wanted <= WANT_ALL; wanted++) {
        g_autofree float *whole = NULL;
        const float *next;

        want(gradient, wanted);
        whole = w2w_op_case_run(gradient, reference);
        next = whole;
        for (gint slot = W2W_SLOT_QUERY; slot <= W2W_SLOT_VALUE; slot++) {
            const gint64 n = w2w_shape_n_elements(gradient->op.in[slot]);
            g_autofree float *part = NULL;

            if ((wanted >> slot & 1) == 0)
                continue;
            want(gradient, 1u << slot);
            part = w2w_op_case_run(gradient, reference);
            g_assert_cmpmem(next, n * sizeof(float), part, n * sizeof(float));
            next += n;
        }
    }
}

static void test_any_shape(void)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(69);

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
        attention.wanted = (guint)g_rand_int_range(random, 1, WANT_ALL + 1);
        check(&attention, random);
    }
}

void w2w_add_tests_attention_gradient(void)
{
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *path = g_strconcat("/ops/attention_gradient/", cases[i].name, NULL);

        g_test_add_data_func(path, &cases[i], test_case);
    }
    g_test_add_func("/ops/attention_gradient/central-differences", test_central_differences);
    g_test_add_func("/ops/attention_gradient/wanted", test_wanted);
    g_test_add_func("/ops/attention_gradient/any-shape", test_any_shape);
}

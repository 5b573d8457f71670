/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * torch's random numbers, against torch's (rng_cpu.safetensors, rng_cuda.safetensors: the keys say
 * seed and size).
 */
#include "engine/diffusion/generator.h"

#include <math.h>
#include <string.h>

#include "tests/golden_files.h"

#define FILE_NAME "rng_cpu"

/* "….seed42…" */
static guint64 seed_of_key(const char *key)
{
    const char *seed = strstr(key, ".seed");

    g_assert_nonnull(seed);
    return g_ascii_strtoull(seed + strlen(".seed"), NULL, 10);
}

static JsonObject *rng_params(W2wGolden *golden)
{
    JsonObject *params = json_object_get_object_member(w2w_golden_get_params(golden), FILE_NAME);

    g_assert_nonnull(params);
    return params;
}

static void check_randn(W2wGolden *golden, const char *key)
{
    const W2wArray *expected = w2w_golden_get(golden, FILE_NAME, key);
    g_autoptr(W2wGenerator) generator = w2w_generator_new(seed_of_key(key));
    g_autofree float *actual = g_new(float, expected->n_elements);

    w2w_generator_randn(generator, (gsize)expected->n_elements, actual);
    w2w_golden_compare(golden, FILE_NAME, key, NULL, actual);
}

static void check_randn_then(W2wGolden *golden, const char *key)
{
    const W2wArray *expected = w2w_golden_get(golden, FILE_NAME, key);
    JsonArray *sizes = json_object_get_array_member(rng_params(golden), "randn_then");
    g_autoptr(W2wGenerator) generator = w2w_generator_new(seed_of_key(key));
    g_autofree float *actual = g_new(float, expected->n_elements);
    gsize n_done = 0;

    for (guint i = 0; i < json_array_get_length(sizes); i++) {
        const gsize n = (gsize)json_array_get_int_element(sizes, i);

        g_assert_cmpuint(n_done + n, <=, expected->n_elements);
        w2w_generator_randn(generator, n, actual + n_done);
        n_done += n;
    }
    g_assert_cmpuint(n_done, ==, expected->n_elements);
    w2w_golden_compare(golden, FILE_NAME, key, NULL, actual);
}

/* No tolerance here: torch's way from word to number is exact. */
static void check_rand(W2wGolden *golden, const char *key)
{
    const W2wArray *expected = w2w_golden_get(golden, FILE_NAME, key);
    g_autoptr(W2wGenerator) generator = w2w_generator_new(seed_of_key(key));
    g_autofree float *actual = g_new(float, expected->n_elements);

    w2w_generator_rand(generator, (gsize)expected->n_elements, actual);
    for (gint64 i = 0; i < expected->n_elements; i++)
        g_assert_cmpfloat(actual[i], ==, w2w_array_get(expected, i));
}

static void check_randint(W2wGolden *golden, const char *key)
{
    const W2wArray *expected = w2w_golden_get(golden, FILE_NAME, key);
    g_autoptr(W2wGenerator) generator = w2w_generator_new(seed_of_key(key));
    g_autofree gint64 *actual = g_new(gint64, expected->n_elements);
    const gint64 high = json_object_get_int_member(rng_params(golden), "randint_high");

    g_assert_cmpint(high, >, 0);
    w2w_generator_randint(generator, (guint64)high, (gsize)expected->n_elements, actual);
    w2w_golden_compare_i64(key, expected, actual);
}

static const struct {
    const char *prefix, *path;
    void (*check)(W2wGolden *golden, const char *key);
} golden_checks[] = {
    {"randn.", "/generator/randn-is-torchs", check_randn},
    {"randn_then.", "/generator/randn-of-calls-in-a-row-is-torchs", check_randn_then},
    {"rand.", "/generator/rand-is-torchs-to-the-bit", check_rand},
    {"randint.", "/generator/randint-is-torchs", check_randint},
};

/* --- "cuda" --- */

#define CUDA_FILE_NAME "rng_cuda"

/* Twelve numbers that a real GPU gave. */
static void test_cuda_is_a_gpus(void)
{
    g_autoptr(W2wGolden) golden = w2w_golden_open(NULL);
    const W2wArray *expected = w2w_golden_get(golden, CUDA_FILE_NAME, "known_seed0");
    g_autoptr(W2wGenerator) generator = w2w_generator_new_kind(W2W_GENERATOR_CUDA, 0);
    g_autofree float *actual = g_new(float, expected->n_elements);

    w2w_generator_randn(generator, (gsize)expected->n_elements, actual);
    w2w_golden_compare(golden, CUDA_FILE_NAME, "known_seed0", NULL, actual);
}

/* "randn.seed42.call0", "randn.seed42.call1" … of one generator. */
static guint check_cuda_calls(W2wGolden *golden, const char *first_key)
{
    W2wSafetensors *file = w2w_golden_get_file(golden, CUDA_FILE_NAME);
    g_autoptr(W2wGenerator) generator =
        w2w_generator_new_kind(W2W_GENERATOR_CUDA, seed_of_key(first_key));
    g_autofree char *stem = g_strndup(first_key, strlen(first_key) - 1);
    guint n_calls = 0;

    for (;; n_calls++) {
        g_autofree char *key = g_strdup_printf("%s%u", stem, n_calls);
        g_autofree float *actual = NULL;
        const W2wArray *expected;

        if (!g_strv_contains(w2w_safetensors_get_keys(file), key))
            return n_calls;
        expected = w2w_golden_get(golden, CUDA_FILE_NAME, key);
        actual = g_new(float, expected->n_elements);
        w2w_generator_randn(generator, 0, actual); /* not a call */
        w2w_generator_randn(generator, (gsize)expected->n_elements, actual);
        w2w_golden_compare(golden, CUDA_FILE_NAME, key, NULL, actual);
    }
}

static void test_cuda_calls_in_a_row(void)
{
    g_autoptr(W2wGolden) golden = w2w_golden_open(NULL);
    const char *const *keys = w2w_safetensors_get_keys(w2w_golden_get_file(golden, CUDA_FILE_NAME));
    guint n_keys = 0, n_checked = 0;

    for (; *keys != NULL; keys++, n_keys++)
        if (g_str_has_suffix(*keys, ".call0"))
            n_checked += check_cuda_calls(golden, *keys);
    g_assert_cmpuint(n_checked, >, 0);
    g_assert_cmpuint(n_checked, ==, n_keys - 1); /* and the real GPU's */
}

/* Philox 4x32-10's published vector: every word of counter and key 0 gives 6627e8d5 e169c58d. */
static void test_cuda_is_philox(void)
{
    const double u = (0x6627e8d5 + 0.5) / 0x1p32, v = (0xe169c58d + 0.5) / 0x1p32;
    g_autoptr(W2wGenerator) generator = w2w_generator_new_kind(W2W_GENERATOR_CUDA, 0);
    float value;

    w2w_generator_randn(generator, 1, &value);
    g_assert_cmpfloat_with_epsilon(value, sqrt(-2 * log(u)) * sin(2 * G_PI * v), 2e-6);
}

/* torch seeds the CPU's generator from 32 bits, the GPU's from 64; negative seeds are large ones.
 */
static void test_seeds_above_32_bits(void)
{
    const guint64 seeds[] = {7, 7 + (G_GUINT64_CONSTANT(1) << 32), (guint64)-1, 0xffffffff};
    float values[2][G_N_ELEMENTS(seeds)];

    for (guint kind = 0; kind < 2; kind++) {
        for (guint i = 0; i < G_N_ELEMENTS(seeds); i++) {
            g_autoptr(W2wGenerator) generator = w2w_generator_new_kind(kind, seeds[i]);

            w2w_generator_randn(generator, 1, &values[kind][i]);
        }
    }
    g_assert_cmpfloat(values[W2W_GENERATOR_CPU][0], ==, values[W2W_GENERATOR_CPU][1]);
    g_assert_cmpfloat(values[W2W_GENERATOR_CPU][2], ==, values[W2W_GENERATOR_CPU][3]);
    g_assert_cmpfloat(values[W2W_GENERATOR_CUDA][0], !=, values[W2W_GENERATOR_CUDA][1]);
    g_assert_cmpfloat(values[W2W_GENERATOR_CUDA][2], !=, values[W2W_GENERATOR_CUDA][3]);
}

static void test_golden(gconstpointer data)
{
    const guint which = GPOINTER_TO_UINT(data);
    g_autoptr(W2wGolden) golden = w2w_golden_open(NULL);
    const char *const *keys = w2w_safetensors_get_keys(w2w_golden_get_file(golden, FILE_NAME));
    guint n_checked = 0;

    for (; *keys != NULL; keys++) {
        if (g_str_has_prefix(*keys, golden_checks[which].prefix)) {
            golden_checks[which].check(golden, *keys);
            n_checked++;
        }
    }
    g_assert_cmpuint(n_checked, >, 0);
}

/* A key of another kind would go unchecked: say so. */
static void test_every_key_is_checked(void)
{
    g_autoptr(W2wGolden) golden = w2w_golden_open(NULL);
    const char *const *keys = w2w_safetensors_get_keys(w2w_golden_get_file(golden, FILE_NAME));

    for (; *keys != NULL; keys++) {
        gboolean is_known = FALSE;

        for (guint i = 0; i < G_N_ELEMENTS(golden_checks); i++)
            is_known |= g_str_has_prefix(*keys, golden_checks[i].prefix);
        g_test_message("%s", *keys);
        g_assert_true(is_known);
    }
}

/* The 10,000th word of seed 5489, which the C++ standard gives for std::mt19937. */
static void test_words_are_mt19937(void)
{
    g_autoptr(W2wGenerator) generator = w2w_generator_new(5489);
    const guint64 high = 1 << 27; /* the largest power of two that takes one word */
    g_autofree gint64 *low_bits = g_new(gint64, 10000);

    w2w_generator_randint(generator, high, 10000, low_bits);
    g_assert_cmpint(low_bits[9999], ==, G_GUINT64_CONSTANT(4123659995) % high);
}

/* Measured with torch 2.11: torch.randint(0, high, (2,), generator=seed 42). */
static void test_randint_of_large_ranges_takes_two_words(void)
{
    static const struct {
        guint64 high;
        gint64 expected[2];
    } cases[] = {
        {G_GUINT64_CONSTANT(268435455), {266460267, 199900607}},
        {G_GUINT64_CONSTANT(268435456), {199900595, 250975502}},
        {G_GUINT64_CONSTANT(268435457), {231503783, 148201535}},
        {G_GUINT64_CONSTANT(4294967295), {734796314, 576165995}},
        {G_GUINT64_CONSTANT(4294967296), {3421126067, 787846414}},
    };

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(W2wGenerator) generator = w2w_generator_new(42);
        gint64 actual[2];

        w2w_generator_randint(generator, cases[i].high, 2, actual);
        g_assert_cmpint(actual[0], ==, cases[i].expected[0]);
        g_assert_cmpint(actual[1], ==, cases[i].expected[1]);
    }
}

static void test_nothing_is_drawn_for_no_values(void)
{
    g_autoptr(W2wGenerator) one = w2w_generator_new(7), other = w2w_generator_new(7);
    float a[3], b[3];

    w2w_generator_randn(one, 0, a);
    w2w_generator_rand(one, 0, a);
    w2w_generator_randint(one, 10, 0, NULL);
    w2w_generator_rand(one, 3, a);
    w2w_generator_rand(other, 3, b);
    g_assert_cmpmem(a, sizeof a, b, sizeof b);
}

/* Infinity is one draw away from log(0); the processor's 24 bits cannot reach beyond 5.8, CUDA's 32
 * not beyond 6.8. */
static void test_randn_is_finite(gconstpointer data)
{
    g_autoptr(W2wGenerator) generator = w2w_generator_new_kind(GPOINTER_TO_UINT(data), 0);
    const gsize n = 1000000;
    const double largest = GPOINTER_TO_UINT(data) == W2W_GENERATOR_CPU ? 6 : 6.8;
    g_autofree float *values = g_new(float, n);
    double sum = 0, sum_of_squares = 0;

    w2w_generator_randn(generator, n, values);
    for (gsize i = 0; i < n; i++) {
        g_assert_cmpfloat(values[i], >, -largest);
        g_assert_cmpfloat(values[i], <, largest);
        sum += values[i];
        sum_of_squares += (double)values[i] * values[i];
    }
    g_assert_cmpfloat_with_epsilon(sum / n, 0, 0.004); /* four standard errors */
    g_assert_cmpfloat_with_epsilon(sum_of_squares / n, 1, 0.006);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (guint i = 0; i < G_N_ELEMENTS(golden_checks); i++)
        g_test_add_data_func(golden_checks[i].path, GUINT_TO_POINTER(i), test_golden);
    g_test_add_func("/generator/every-golden-key-is-checked", test_every_key_is_checked);
    g_test_add_func("/generator/words-are-mt19937", test_words_are_mt19937);
    g_test_add_func("/generator/randint-of-large-ranges-takes-two-words",
                    test_randint_of_large_ranges_takes_two_words);
    g_test_add_func("/generator/nothing-is-drawn-for-no-values",
                    test_nothing_is_drawn_for_no_values);
    g_test_add_func("/generator/cuda/is-a-gpus", test_cuda_is_a_gpus);
    g_test_add_func("/generator/cuda/calls-in-a-row", test_cuda_calls_in_a_row);
    g_test_add_func("/generator/cuda/is-philox", test_cuda_is_philox);
    g_test_add_func("/generator/seeds-above-32-bits", test_seeds_above_32_bits);
    for (guint kind = 0; w2w_generator_names[kind] != NULL; kind++) {
        g_autofree char *path =
            g_strdup_printf("/generator/%s/randn-is-finite-and-normal", w2w_generator_names[kind]);

        g_test_add_data_func(path, GUINT_TO_POINTER(kind), test_randn_is_finite);
    }
    return g_test_run();
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One identity in the files of three tools (golden's adapter_*): each gives the products of
 * golden's theta, and each comes back as golden's coefficients, however its factors are scaled.
 */
#include <math.h>

#include "engine/w2w/project.h"
#include "tests/golden_files.h"

static const char *const adapters[] = {"adapter_peft", "adapter_diffusers", "adapter_kohya"};

static W2wSpace *open_space(void)
{
    g_autofree char *path = w2w_golden_path("space");
    g_autoptr(GError) error = NULL;
    W2wSpace *space = w2w_space_open(path, &error);

    g_assert_no_error(error);
    return space;
}

/* Those that this folder holds; one at least. */
static GPtrArray *open_adapters(void)
{
    GPtrArray *loras = g_ptr_array_new_with_free_func((GDestroyNotify)w2w_lora_free);

    for (guint i = 0; i < G_N_ELEMENTS(adapters); i++) {
        g_autofree char *path = w2w_golden_path(adapters[i]);
        g_autoptr(GError) error = NULL;

        if (!g_file_test(path, G_FILE_TEST_EXISTS))
            continue;
        g_ptr_array_add(loras, w2w_lora_open(path, &error));
        g_assert_no_error(error);
    }
    g_assert_cmpuint(loras->len, >, 0);
    return loras;
}

/* scale B A of the file against the space's scale and theta's factors, element by element. */
static void compare_product(const W2wSpace *space, const W2wLoraModule *module, const float *theta)
{
    guint n_keys;
    const W2wSpaceKey *keys = w2w_space_get_keys(space, &n_keys), *a = NULL, *b = NULL;
    const gint64 n = w2w_lora_module_get_n_elements(module);
    g_autofree float *delta = g_new(float, (gsize)n);
    g_autoptr(GError) error = NULL;

    for (guint i = 0; i < n_keys; i++)
        if (g_str_equal(keys[i].path, module->path))
            *(keys[i].is_b ? &b : &a) = &keys[i];
    g_assert_true(a != NULL && b != NULL);
    g_assert_cmpint(a->length * b->length, ==, n);
    w2w_lora_module_get_delta(module, 1.0, n, delta, &error);
    g_assert_no_error(error);
    for (gint64 i = 0; i < n; i++) {
        const double expected = (double)w2w_space_get_lora_scale(space) *
                                theta[b->offset + i / a->length] * theta[a->offset + i % a->length];

        /* The file's factor, with the scale in it, is rounded, and so is the product. */
        g_assert_cmpfloat(fabs(delta[i] - expected), <=, 0x1p-22 * fabs(expected) + 1e-40);
    }
}

static void test_products(void)
{
    g_autoptr(W2wGolden) golden = w2w_golden_open(NULL);
    g_autoptr(W2wSpace) space = open_space();
    g_autoptr(GPtrArray) loras = open_adapters();
    g_autofree float *theta = w2w_golden_get_f32(golden, "lora", "theta");
    guint n_keys;

    w2w_space_get_keys(space, &n_keys);
    for (guint i = 0; i < loras->len; i++) {
        const W2wLora *lora = loras->pdata[i];

        g_assert_cmpuint(2 * lora->modules->len, ==, n_keys);
        for (guint m = 0; m < lora->modules->len; m++)
            compare_product(space, lora->modules->pdata[m], theta);
    }
}

/* The factor with every number times `factor`. */
static W2wArray *rescale(W2wArray *array, double factor)
{
    g_autofree float *values = g_new(float, (gsize)array->n_elements);
    g_autoptr(GError) error = NULL;
    W2wArray *scaled;

    w2w_array_to_f32(array, values);
    for (gint64 i = 0; i < array->n_elements; i++)
        values[i] = (float)(values[i] * factor);
    scaled = w2w_array_new_f32(array->n_dims, array->shape, values, &error);
    g_assert_no_error(error);
    w2w_array_unref(array);
    return scaled;
}

/* The same products from factors that look quite different. */
static void rescale_factors(const W2wLora *lora)
{
    for (guint m = 0; m < lora->modules->len; m++) {
        W2wLoraModule *module = lora->modules->pdata[m];
        const double q = exp(g_test_rand_double_range(-4.0, 4.0)) * (g_test_rand_bit() ? 1 : -1);

        module->a = rescale(module->a, q);
        module->b = rescale(module->b, 1.0 / q);
    }
}

static double worst_difference(const float *x, const float *y, guint n)
{
    double worst = 0.0;

    for (guint i = 0; i < n; i++)
        worst = MAX(worst, fabs((double)x[i] - y[i]));
    return worst;
}

static void check_projection(const W2wSpace *space, const W2wLora *lora, const char *what,
                             const float *expected, double tolerance)
{
    const guint k = w2w_space_get_n_components(space);
    g_autofree float *found = g_new(float, k);
    g_auto(W2wProjection) projection = {0};
    g_autoptr(GError) error = NULL;
    double worst;

    w2w_project_lora(space, lora, found, &projection, &error);
    g_assert_no_error(error);
    worst = worst_difference(found, expected, k);
    g_test_message("%s %s: largest error %.3g (may be %.3g), lost of the deviation %.3g, of the "
                   "products %.3g",
                   lora->source, what, worst, tolerance, projection.deviation_lost,
                   projection.product_lost);
    g_assert_cmpfloat(worst, <=, tolerance);
    g_assert_cmpuint(projection.n_modules, ==, lora->modules->len);
    g_assert_cmpuint(projection.outside->len, ==, 0);
    g_assert_cmpuint(projection.missing->len, ==, 0);
    g_assert_cmpfloat(projection.rank_lost, ==, 0.0);
    g_assert_cmpfloat(projection.outside_part, ==, 0.0);
    /* theta and what it is compared with are float32, and up to 100 deviations from 0. */
    g_assert_cmpfloat(projection.deviation_lost, <=, 100 * 0x1p-24);
    g_assert_cmpfloat(projection.product_lost, <=, 100 * 0x1p-24);
}

static void test_coefficients(void)
{
    g_autoptr(W2wGolden) golden = w2w_golden_open(NULL);
    g_autoptr(W2wSpace) space = open_space();
    g_autoptr(GPtrArray) loras = open_adapters();
    g_autofree float *expected = w2w_golden_get_f32(golden, "lora", "coefficients");
    g_autofree float *theta = w2w_golden_get_f32(golden, "lora", "theta");
    const guint k = w2w_space_get_n_components(space);
    g_autofree float *plain = g_new(float, k);
    g_autoptr(GError) error = NULL;
    double tolerance;

    /*
     * What float32 costs where the scales are known: theta is rounded, and the columns of V are
     * orthonormal to its precision only. Not knowing the scales may cost as much again.
     */
    w2w_space_project(space, theta, plain, &error);
    g_assert_no_error(error);
    tolerance = 2.0 * worst_difference(plain, expected, k);
    for (guint i = 0; i < loras->len; i++) {
        check_projection(space, loras->pdata[i], "as it is", expected, tolerance);
        for (guint repeat = 0; repeat < 5; repeat++) {
            rescale_factors(loras->pdata[i]);
            check_projection(space, loras->pdata[i], "with other scales", expected, tolerance);
        }
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/project/golden/products", test_products);
    g_test_add_func("/project/golden/coefficients", test_coefficients);
    return g_test_run();
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * LoRAs brought into a small space that the test makes: what lies in it comes back, what does not
 * is measured, and what an identity is exported as is read back.
 */
#include <math.h>
#include <string.h>

#include "engine/error.h"
#include "engine/formats/pt_writer.h"
#include "engine/w2w/lora_writer.h"
#include "engine/w2w/project.h"
#include "engine/w2w/rank_one.h"
#include "engine/w2w/upstream_identity.h"
#include "tests/w2w/lora_files.h"
#include "tests/w2w/pt_files.h"
#include "tests/w2w/space_folder.h"

#define N_MODULES 4
#define N_IN      6
#define N_OUT     5
#define N         (N_MODULES * (N_IN + N_OUT))
#define K         3
#define SCALE     27.0

static const char *const paths[N_MODULES] = {
    "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q",
    "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_v",
    "mid_block.attentions.0.transformer_blocks.0.attn2.to_q",
    "up_blocks.1.attentions.2.transformer_blocks.0.attn2.to_v"};

/* Numbers in −1 … 1 without a pattern. */
static double noise(guint seed, guint i)
{
    const double x = sin(12.9898 * (i + 1) + 78.233 * (seed + 1)) * 43758.5453;

    return 2.0 * (x - floor(x)) - 1.0;
}

static gboolean is_in_a(guint i)
{
    return i % (N_IN + N_OUT) < N_IN;
}

/* k orthonormal columns (row major), by Gram and Schmidt, twice for the rounding's sake. */
static float *make_v(guint k, gboolean fixed_a)
{
    g_autofree double *v = g_new(double, (gsize)N *k);
    float *rounded = g_new(float, (gsize)N *k);

    for (guint j = 0; j < k; j++) {
        double length = 0.0;

        for (guint i = 0; i < N; i++)
            v[i * k + j] = fixed_a && is_in_a(i) ? 0.0 : noise(7, i * k + j);
        for (guint repeat = 0; repeat < 2; repeat++) {
            for (guint m = 0; m < j; m++) {
                double along = 0.0;

                for (guint i = 0; i < N; i++)
                    along += v[i * k + j] * v[i * k + m];
                for (guint i = 0; i < N; i++)
                    v[i * k + j] -= along * v[i * k + m];
            }
        }
        for (guint i = 0; i < N; i++)
            length += v[i * k + j] * v[i * k + j];
        for (guint i = 0; i < N; i++)
            v[i * k + j] /= sqrt(length);
    }
    for (gsize i = 0; i < (gsize)N * k; i++)
        rounded[i] = (float)v[i];
    return rounded;
}

typedef struct {
    guint k;
    gboolean columns; /* V as a transposed view */
    gboolean fixed_a; /* std 0 in every A */
    gboolean no_keys;
} SpaceKind;

static const SpaceKind usual = {.k = K};

static W2wSpace *make_space(const SpaceKind *kind)
{
    char *folder = make_folder();
    float mean[N], std[N];
    g_autofree float *v = make_v(kind->k, kind->fixed_a);
    const char *keys[2 * N_MODULES + 1] = {NULL};
    int shapes[2 * N_MODULES][2];
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GError) error = NULL;
    W2wSpace *space;

    for (guint i = 0; i < N; i++) {
        const gboolean in_a = is_in_a(i);

        mean[i] = (float)(in_a ? noise(1, i) : 0.02 * noise(1, i));
        std[i] = (float)((in_a ? 0.1 : 0.05) * (1.5 + noise(2, i)));
        if (in_a && kind->fixed_a)
            std[i] = 0.0f;
    }
    for (guint i = 0; i < 2 * N_MODULES; i++) {
        keys[i] = g_strdup_printf("lora_unet_%s_lora_%c.weight", paths[i / 2], "AB"[i % 2]);
        g_ptr_array_add(names, (gpointer)keys[i]);
        shapes[i][0] = i % 2 == 0 ? 1 : N_OUT;
        shapes[i][1] = i % 2 == 0 ? N_IN : 1;
    }
    write_pt_vector(folder, "mean.pt", mean, N);
    write_pt_vector(folder, "std.pt", std, N);
    if (kind->columns) {
        const gint64 shape[2] = {N, kind->k}, stride[2] = {1, N};
        g_autofree float *columns = g_new(float, (gsize)N * kind->k);

        for (guint i = 0; i < N * kind->k; i++)
            columns[i % kind->k * N + i / kind->k] = v[i];
        write_pt_tensor(folder, "V.pt", 2, shape, stride, columns, (gsize)N * kind->k);
    } else {
        write_pt_matrix(folder, "V.pt", N, kind->k, v);
    }
    if (!kind->no_keys)
        write_pt_dimensions(folder, keys, (const int(*)[2])shapes);
    space = w2w_space_open(folder, &error);
    g_assert_no_error(error);
    remove_folder(folder); /* V is mapped and stays */
    return space;
}

static W2wLora *lora_new(void)
{
    W2wLora *lora = g_new0(W2wLora, 1);

    lora->source = g_strdup("the LoRA");
    lora->modules = g_ptr_array_new();
    return lora;
}

/* Factors of any rank, row major. */
static void add_module(W2wLora *lora, const char *path, guint rank, gint64 n_in, gint64 n_out,
                       double scale, const float *a, const float *b)
{
    W2wLoraModule *module = g_new0(W2wLoraModule, 1);
    const gint64 a_shape[2] = {rank, n_in}, b_shape[2] = {n_out, rank};
    g_autoptr(GError) error = NULL;

    module->path = g_strdup(path);
    module->rank = rank;
    module->scale = scale;
    module->a = w2w_array_new_f32(2, a_shape, a, &error);
    g_assert_no_error(error);
    module->b = w2w_array_new_f32(2, b_shape, b, &error);
    g_assert_no_error(error);
    g_ptr_array_add(lora->modules, module);
}

static void free_lora(W2wLora *lora)
{
    for (guint i = 0; i < lora->modules->len; i++) {
        W2wLoraModule *module = lora->modules->pdata[i];

        g_free(module->path);
        w2w_array_unref(module->a);
        w2w_array_unref(module->b);
        g_free(module);
    }
    w2w_lora_free(lora);
}

static const float coefficients[K] = {1.5f, -2.25f, 0.75f};

/* Module m of theta, its factors as they are. */
static void add_own_module(W2wLora *lora, const float *theta, guint m)
{
    const float *a = theta + m * (N_IN + N_OUT);

    add_module(lora, paths[m], 1, N_IN, N_OUT, SCALE, a, a + N_IN);
}

/* The same product from factors of another length and sign, with the scale in other places. */
static W2wLora *make_rescaled(const float *theta, const double *q)
{
    W2wLora *lora = lora_new();

    for (guint m = 0; m < N_MODULES; m++) {
        const float *factors = theta + m * (N_IN + N_OUT);
        float a[N_IN], b[N_OUT];

        for (guint i = 0; i < N_IN; i++)
            a[i] = (float)(q[m] * factors[i]);
        for (guint i = 0; i < N_OUT; i++)
            b[i] = (float)(SCALE / q[m] * factors[N_IN + i]);
        add_module(lora, paths[m], 1, N_IN, N_OUT, 1.0, a, b);
    }
    return lora;
}

static void unproject(const W2wSpace *space, const float *given, guint n, float *theta)
{
    g_autoptr(GError) error = NULL;

    w2w_space_unproject(space, given, n, theta, &error);
    g_assert_no_error(error);
}

static void project(const W2wSpace *space, const W2wLora *lora, float *found,
                    W2wProjection *projection)
{
    g_autoptr(GError) error = NULL;

    w2w_project_lora(space, lora, found, projection, &error);
    g_assert_no_error(error);
}

static void assert_near(const float *found, const float *expected, guint n, double tolerance)
{
    for (guint i = 0; i < n; i++)
        g_assert_cmpfloat(fabs((double)found[i] - expected[i]), <=, tolerance);
}

/* theta has 24 bits and lies up to some 20 deviations from 0. */
#define TOLERANCE (20 * 0x1p-22)

static void test_in_space(gconstpointer data)
{
    static const double scales[][N_MODULES] = {
        {1, 1, 1, 1}, {27, 27, 27, 27}, {-1, 1, -1, 1}, {0.001, -400, 3, -0.2}};
    g_autoptr(W2wSpace) space = make_space(data);
    float theta[N];

    unproject(space, coefficients, K, theta);
    for (guint i = 0; i < G_N_ELEMENTS(scales); i++) {
        W2wLora *lora = make_rescaled(theta, scales[i]);
        g_auto(W2wProjection) projection = {0};
        float found[K];

        project(space, lora, found, &projection);
        assert_near(found, coefficients, K, TOLERANCE);
        g_assert_cmpuint(projection.n_modules, ==, N_MODULES);
        g_assert_cmpfloat(projection.deviation_lost, <=, TOLERANCE);
        g_assert_cmpfloat(projection.product_lost, <=, TOLERANCE);
        g_assert_cmpfloat(projection.rank_lost, ==, 0.0);
        free_lora(lora);
    }
}

/* Every theta lies in it: nothing tells one q from another, and nothing is lost. */
static void test_complete_space(void)
{
    const SpaceKind kind = {.k = N};
    g_autoptr(W2wSpace) space = make_space(&kind);
    const double q[N_MODULES] = {5, -5, 0.2, 1};
    float theta[N], found[N];
    g_auto(W2wProjection) projection = {0};
    W2wLora *lora;

    unproject(space, coefficients, K, theta);
    lora = make_rescaled(theta, q);
    project(space, lora, found, &projection);
    g_assert_cmpfloat(projection.deviation_lost, <=, TOLERANCE);
    g_assert_cmpfloat(projection.product_lost, <=, TOLERANCE);
    free_lora(lora);
}

/* A + a part that is orthogonal to it, of known singular values. */
static void test_higher_rank(void)
{
    g_autoptr(W2wSpace) space = make_space(&usual);
    float theta[N], found[K];
    g_auto(W2wProjection) projection = {0};
    W2wLora *lora = lora_new();
    double whole = 0.0, lost = 0.0;

    unproject(space, coefficients, K, theta);
    for (guint m = 0; m < N_MODULES; m++) {
        const float *a = theta + m * (N_IN + N_OUT), *b = a + N_IN;
        double a_own = 0.0, b_own = 0.0, a_rest = 0.0, b_rest = 0.0, along_a = 0.0, along_b = 0.0;
        float a_pair[2 * N_IN], b_pair[N_OUT * 2];
        double a_other[N_IN], b_other[N_OUT];

        for (guint i = 0; i < N_IN; i++) {
            a_other[i] = noise(11 + m, i);
            along_a += a_other[i] * a[i];
            a_own += (double)a[i] * a[i];
        }
        for (guint i = 0; i < N_OUT; i++) {
            b_other[i] = 0.01 * noise(31 + m, i);
            along_b += b_other[i] * b[i];
            b_own += (double)b[i] * b[i];
        }
        for (guint i = 0; i < N_IN; i++) {
            a_other[i] -= along_a / a_own * a[i];
            a_rest += a_other[i] * a_other[i];
        }
        for (guint i = 0; i < N_OUT; i++) {
            b_other[i] -= along_b / b_own * b[i];
            b_rest += b_other[i] * b_other[i];
        }
        g_assert_cmpfloat(a_rest * b_rest, <, 0.9 * a_own * b_own);
        /* Mixed, so that neither row of A is one of the singular vectors. */
        for (guint i = 0; i < N_IN; i++) {
            a_pair[i] = (float)(a[i] + a_other[i]);
            a_pair[N_IN + i] = (float)(a[i] - a_other[i]);
        }
        for (guint i = 0; i < N_OUT; i++) {
            b_pair[2 * i] = (float)(0.5 * (b[i] + b_other[i]));
            b_pair[2 * i + 1] = (float)(0.5 * (b[i] - b_other[i]));
        }
        add_module(lora, paths[m], 2, N_IN, N_OUT, SCALE, a_pair, b_pair);
        whole += a_own * b_own + a_rest * b_rest;
        lost += a_rest * b_rest;
    }
    project(space, lora, found, &projection);
    /* The mixing rounds twice more. */
    assert_near(found, coefficients, K, 4.0 * TOLERANCE);
    g_assert_cmpfloat(fabs(projection.rank_lost - sqrt(lost / whole)), <=, 1e-5);
    g_assert_cmpfloat(projection.product_lost, <=, 4.0 * TOLERANCE);
    free_lora(lora);
}

/* A module that the space has not, once of the UNet and once of the text encoder. */
static void test_outside(void)
{
    g_autoptr(W2wSpace) space = make_space(&usual);
    float theta[N], found[K];
    const float a[2] = {3.0f, 4.0f}, b[1] = {2.0f};
    g_auto(W2wProjection) projection = {0};
    W2wLora *lora = lora_new();
    double inside = 0.0;

    unproject(space, coefficients, K, theta);
    for (guint m = 0; m < N_MODULES; m++) {
        const float *factors = theta + m * (N_IN + N_OUT);

        add_own_module(lora, theta, m);
        for (guint i = 0; i < N_IN * N_OUT; i++) {
            const double product = SCALE * factors[i % N_IN] * factors[N_IN + i / N_IN];

            inside += product * product;
        }
    }
    add_module(lora, "mid_block.resnets.0.conv1", 1, 2, 1, 0.5, a, b);
    add_module(lora, paths[0], 1, 2, 1, 0.5, a, b);
    ((W2wLoraModule *)lora->modules->pdata[N_MODULES + 1])->in_text_encoder = TRUE;
    project(space, lora, found, &projection);
    assert_near(found, coefficients, K, TOLERANCE);
    g_assert_cmpuint(projection.n_modules, ==, N_MODULES);
    g_assert_cmpuint(projection.outside->len, ==, 2);
    g_assert_cmpstr(projection.outside->pdata[0], ==, "mid_block.resnets.0.conv1");
    /* Two products of norm 5: (0.5 · 5 · 2)². */
    g_assert_cmpfloat(fabs(projection.outside_part - sqrt(50.0 / (50.0 + inside))), <=, 1e-6);
    free_lora(lora);
}

/* One module is missing, or has a product of 0: the same identity, whose product there is small. */
static void test_missing(void)
{
    g_autoptr(W2wSpace) space = make_space(&usual);
    const float zeros[N_IN] = {0.0f}, ones[N_IN] = {1.0f, 1.0f, 1.0f, 1.0f, 1.0f, 1.0f};
    float theta[N], found[3][K];

    unproject(space, coefficients, K, theta);
    for (guint kind = 0; kind < 3; kind++) {
        W2wLora *lora = lora_new();
        g_auto(W2wProjection) projection = {0};

        for (guint m = 1; m < N_MODULES; m++)
            add_own_module(lora, theta, m);
        if (kind > 0)
            add_module(lora, paths[0], 1, N_IN, N_OUT, SCALE, kind == 1 ? zeros : ones,
                       kind == 1 ? ones : zeros);
        project(space, lora, found[kind], &projection);
        g_assert_cmpuint(projection.n_modules, ==, N_MODULES - (kind == 0));
        g_assert_cmpuint(projection.missing->len, ==, kind == 0);
        if (kind == 0)
            g_assert_cmpstr(projection.missing->pdata[0], ==, paths[0]);
        g_assert_true(isfinite(projection.deviation_lost) && projection.deviation_lost > 1e-3);
        free_lora(lora);
    }
    assert_near(found[1], found[0], K, 0.0);
    assert_near(found[2], found[0], K, 0.0);
}

/* All zero: every module's B is 0 and its A the mean's. */
static void test_nothing(void)
{
    g_autoptr(W2wSpace) space = make_space(&usual);
    const float zeros[N_IN] = {0.0f};
    float mean[N], found[K], expected[K];
    W2wLora *lora = lora_new();
    g_auto(W2wProjection) projection = {0};
    g_autoptr(GError) error = NULL;

    unproject(space, NULL, 0, mean);
    for (guint m = 0; m < N_MODULES; m++) {
        add_module(lora, paths[m], 1, N_IN, N_OUT, SCALE, zeros, zeros);
        memset(mean + m * (N_IN + N_OUT) + N_IN, 0, N_OUT * sizeof *mean);
    }
    w2w_space_project(space, mean, expected, &error);
    g_assert_no_error(error);
    project(space, lora, found, &projection);
    assert_near(found, expected, K, TOLERANCE);
    g_assert_cmpfloat(projection.outside_part, ==, 0.0);
    g_assert_cmpfloat(projection.rank_lost, ==, 0.0);
    g_assert_cmpfloat(projection.product_lost, ==, 0.0);
    free_lora(lora);
}

static void assert_refused(const W2wSpace *space, const W2wLora *lora, W2wError code)
{
    g_auto(W2wProjection) projection = {0};
    g_autoptr(GError) error = NULL;
    float found[K];

    g_assert_false(w2w_project_lora(space, lora, found, &projection, &error));
    g_assert_error(error, W2W_ERROR, (gint)code);
    g_assert_null(projection.outside);
}

static void test_refused(void)
{
    const SpaceKind without_keys = {.k = K, .no_keys = TRUE};
    g_autoptr(W2wSpace) space = make_space(&usual), keyless = make_space(&without_keys);
    const float values[N_IN + 1] = {1.0f, 2.0f, 3.0f};
    const float huge[N_IN] = {3e38f, 3e38f, 3e38f, 3e38f, 3e38f, 3e38f};
    W2wLora *other = lora_new(), *wide = lora_new(), *far = lora_new();

    add_module(other, "mid_block.resnets.0.conv1", 1, N_IN, N_OUT, 1.0, values, values);
    assert_refused(space, other, W2W_ERROR_MISMATCH);
    add_module(wide, paths[0], 1, N_IN + 1, N_OUT, 1.0, values, values);
    assert_refused(space, wide, W2W_ERROR_MISMATCH);
    assert_refused(keyless, wide, W2W_ERROR_UNSUPPORTED);
    add_module(far, paths[0], 1, N_IN, N_OUT, 1e6, huge, huge);
    assert_refused(space, far, W2W_ERROR_FORMAT);
    free_lora(other);
    free_lora(wide);
    free_lora(far);
}

/* Singular values that a file may bring: equal ones, none, many. */
static void test_rank_one(void)
{
    enum { RANK = 5 };
    const double values[][RANK] = {{5, 4, 3, 2, 1},
                                   {1, 1, 1, 1, 1},
                                   {0, 0, 0, 0, 0},
                                   {3, 3, 1e-6, 0, 0},
                                   {1, 0.9999, 0, 0, 0}};

    for (guint c = 0; c < G_N_ELEMENTS(values); c++) {
        W2wLora *lora = lora_new();
        g_auto(W2wRankOne) found = {0};
        g_autoptr(GError) error = NULL;
        float a[RANK * N_IN] = {0}, b[N_OUT * RANK] = {0};
        double sum = 0.0;

        for (guint r = 0; r < RANK; r++) {
            a[r * N_IN + r] = 1.0f;
            b[r * RANK + r] = (float)values[c][r];
            sum += values[c][r] * values[c][r];
        }
        add_module(lora, paths[0], RANK, N_IN, N_OUT, -2.0, a, b);
        w2w_rank_one_find(lora->modules->pdata[0], &found, &error);
        g_assert_no_error(error);
        g_assert_cmpfloat(fabs(found.sigma - 2.0 * values[c][0]), <=, 1e-6);
        g_assert_cmpfloat(fabs(found.norm - 2.0 * sqrt(sum)), <=, 1e-6);
        g_assert_cmpfloat(fabs(found.outside - 2.0 * sqrt(sum - values[c][0] * values[c][0])), <=,
                          1e-5);
        free_lora(lora);
    }
}

static void write_bytes(const char *folder, const char *name, GBytes *bytes)
{
    g_autofree char *path = g_build_filename(folder, name, NULL);
    g_autoptr(GError) error = NULL;

    g_assert_nonnull(bytes);
    g_file_set_contents(path, g_bytes_get_data(bytes, NULL), (gssize)g_bytes_get_size(bytes),
                        &error);
    g_assert_no_error(error);
}

/* What is written is read as the format that it is, with the products of theta. */
static void test_export(gconstpointer data)
{
    const W2wLoraFormat format = (W2wLoraFormat)GPOINTER_TO_INT(data);
    const char *name = w2w_lora_writer_get_file_name(format);
    g_autoptr(W2wSpace) space = make_space(&usual);
    char *folder = make_folder();
    float theta[N], delta[N_IN * N_OUT];
    g_autoptr(GError) error = NULL;
    g_autoptr(GBytes) bytes = NULL, config = NULL, again = NULL;
    g_autoptr(W2wLora) lora = NULL;

    unproject(space, coefficients, K, theta);
    bytes = w2w_lora_writer_get_tensors(space, theta, format, &error);
    g_assert_no_error(error);
    again = w2w_lora_writer_get_tensors(space, theta, format, &error);
    g_assert_true(g_bytes_equal(bytes, again));
    write_bytes(folder, name != NULL ? name : "any.safetensors", bytes);
    if (name != NULL) {
        config = w2w_lora_writer_get_config(space);
        write_bytes(folder, W2W_LORA_CONFIG_FILE, config);
    }
    lora = w2w_lora_open(folder, &error);
    g_assert_no_error(error);
    g_assert_cmpint(lora->format, ==, format);
    g_assert_cmpuint(lora->modules->len, ==, N_MODULES);
    for (guint m = 0; m < N_MODULES; m++) {
        const W2wLoraModule *module = lora->modules->pdata[m];
        const float *a = theta + m * (N_IN + N_OUT), *b = a + N_IN;

        g_assert_cmpstr(module->path, ==, paths[m]);
        w2w_lora_module_get_delta(module, 1.0, N_IN * N_OUT, delta, &error);
        g_assert_no_error(error);
        for (guint i = 0; i < N_IN * N_OUT; i++) {
            const double expected = SCALE * a[i % N_IN] * b[i / N_IN];

            g_assert_cmpfloat(fabs(delta[i] - expected), <=, 0x1p-23 * fabs(expected));
        }
        for (guint i = 0; i < N_IN; i++)
            g_assert_cmpfloat(w2w_array_get(module->a, i), ==, a[i]);
        for (guint i = 0; i < N_OUT; i++) /* once more where the scale is in it */
            g_assert_cmpfloat(fabs(w2w_array_get(module->b, i) * module->scale - SCALE * b[i]), <=,
                              0x1p-24 * fabs(SCALE * b[i]));
    }
    remove_folder(folder);
}

static void test_export_without_keys(void)
{
    const SpaceKind kind = {.k = K, .no_keys = TRUE};
    g_autoptr(W2wSpace) space = make_space(&kind);
    g_autoptr(GError) error = NULL;
    float theta[N];

    unproject(space, coefficients, K, theta);
    g_assert_null(w2w_lora_writer_get_tensors(space, theta, W2W_LORA_FORMAT_PEFT, &error));
    g_assert_error(error, W2W_ERROR, W2W_ERROR_UNSUPPORTED);
}

static void test_w2wmodel(void)
{
    char *folder = make_folder();
    g_autofree char *path = g_build_filename(folder, "w2wmodel.pt", NULL);
    g_autofree char *other = g_build_filename(folder, "other.bin", NULL);
    g_autoptr(GError) error = NULL;
    g_autoptr(W2wIdentity) identity = w2w_identity_new(K, &error), found = NULL;
    g_autoptr(GBytes) bytes = NULL;
    gboolean is_one = TRUE;
    const LoraTensor pair[] = {{"unet.x.lora_A.weight", 2, {1, 1}}, {NULL}};
    const struct {
        guint n_dims;
        gint64 shape[2];
        float value;
    } wrong[] = {{2, {2, 3}, 1.0f}, {1, {0}, 1.0f}, {0, {0}, 1.0f}, {1, {3}, NAN}};

    g_assert_null(w2w_upstream_identity_open(folder, &is_one, &error));
    g_assert_no_error(error);
    g_assert_false(is_one);
    memcpy(identity->coefficients, coefficients, sizeof coefficients);
    bytes = w2w_upstream_identity_to_bytes(identity, &error);
    write_bytes(folder, "w2wmodel.pt", bytes);
    /* The file, and the folder that upstream names like one. */
    for (guint i = 0; i < 2; i++) {
        found = w2w_upstream_identity_open(i == 0 ? path : folder, &is_one, &error);
        g_assert_no_error(error);
        g_assert_true(is_one);
        g_assert_cmpmem(found->coefficients, found->n_coefficients * sizeof(float), coefficients,
                        sizeof coefficients);
        g_clear_pointer(&found, w2w_identity_free);
    }
    for (guint i = 0; i < G_N_ELEMENTS(wrong); i++) {
        const float values[6] = {wrong[i].value, 1.0f, 1.0f, 1.0f, 1.0f, 1.0f};
        g_autoptr(W2wArray) array =
            w2w_array_new_f32(wrong[i].n_dims, wrong[i].shape, values, &error);
        g_autoptr(GBytes) broken = w2w_pt_write_array(array, &error);

        g_assert_no_error(error);
        write_bytes(folder, "other.bin", broken);
        g_assert_null(w2w_upstream_identity_open(other, &is_one, &error));
        g_assert_error(error, W2W_ERROR, W2W_ERROR_FORMAT);
        g_assert_true(is_one);
        g_clear_error(&error);
    }
    write_lora(folder, "other.bin", pair, NULL);
    g_assert_null(w2w_upstream_identity_open(other, &is_one, &error));
    g_assert_no_error(error);
    g_assert_false(is_one);
    write_text(folder, "other.bin", "no pickle");
    g_assert_null(w2w_upstream_identity_open(other, &is_one, &error));
    g_assert_error(error, W2W_ERROR, W2W_ERROR_FORMAT);
    remove_folder(folder);
}

int main(int argc, char **argv)
{
    static const SpaceKind columns = {.k = K, .columns = TRUE}, fixed = {.k = K, .fixed_a = TRUE};

    g_test_init(&argc, &argv, NULL);
    g_test_add_data_func("/project/in-space", &usual, test_in_space);
    g_test_add_data_func("/project/in-space/v-by-columns", &columns, test_in_space);
    g_test_add_data_func("/project/in-space/fixed-a", &fixed, test_in_space);
    g_test_add_func("/project/complete-space", test_complete_space);
    g_test_add_func("/project/higher-rank", test_higher_rank);
    g_test_add_func("/project/outside", test_outside);
    g_test_add_func("/project/missing", test_missing);
    g_test_add_func("/project/nothing", test_nothing);
    g_test_add_func("/project/refused", test_refused);
    g_test_add_func("/project/rank-one", test_rank_one);
    for (gint i = 0; w2w_lora_format_names[i] != NULL; i++) {
        g_autofree char *path = g_strconcat("/project/export/", w2w_lora_format_names[i], NULL);

        g_test_add_data_func(path, GINT_TO_POINTER(i), test_export);
    }
    g_test_add_func("/project/export/without-keys", test_export_without_keys);
    g_test_add_func("/project/w2wmodel", test_w2wmodel);
    return g_test_run();
}

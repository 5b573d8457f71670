/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Spaces: layouts, missing and contradicting files, and what the numbers must satisfy. */
#include <math.h>
#include <string.h>

#include "engine/error.h"
#include "engine/w2w/space.h"
#include "tests/w2w/pt_files.h"
#include "tests/w2w/space_folder.h"

/* n = 12 weights in 4 factors of two modules, k = 3 components. */
enum { N = 12, K = 3 };

static const char *const keys[] = {"lora_unet_down_blocks.0.attentions.0.attn1.to_q_lora_A.weight",
                                   "lora_unet_down_blocks.0.attentions.0.attn1.to_q_lora_B.weight",
                                   "base_model.model.mid_block.attn1.to_v.lora_A.default.weight",
                                   "unet.mid_block.attn1.to_v.lora_up.weight", NULL};
static const int shapes[][2] = {{1, 4}, {2, 1}, {1, 3}, {3, 1}};

static float value_of(guint i)
{
    return (float)sin(1.0 + 7.3 * i);
}

/* mean, std and V; V is stored with `transposed` columns in one piece. */
static char *make_space(gboolean transposed)
{
    char *folder = make_folder();
    float mean[N], std[N], v[N * K];

    for (guint i = 0; i < N; i++) {
        mean[i] = value_of(i);
        std[i] = 0.5f + fabsf(value_of(100 + i));
        for (guint j = 0; j < K; j++)
            v[transposed ? j * N + i : i * K + j] = value_of(1000 + i * K + j);
    }
    std[5] = 0.0f;
    write_pt_vector(folder, "mean.pt", mean, N);
    write_pt_vector(folder, "std.pt", std, N);
    write_pt_tensor(folder, "V.pt", 2, (const gint64[]){N, K},
                    transposed ? (const gint64[]){1, N} : (const gint64[]){K, 1}, v, N * K);
    return folder;
}

static W2wSpace *open_space(const char *folder)
{
    g_autoptr(GError) error = NULL;
    W2wSpace *space = w2w_space_open(folder, &error);

    g_assert_no_error(error);
    return space;
}

/* The error's code, and every one of `words` (NULL terminated) in its message. */
static void assert_error(GError *error, W2wError code, const char *const *words)
{
    g_assert_error(error, W2W_ERROR, code);
    g_test_message("%s", error->message);
    g_assert_true(g_str_has_suffix(error->message, "."));
    for (; *words != NULL; words++)
        if (strstr(error->message, *words) == NULL)
            g_error("“%s” does not say “%s”.", error->message, *words);
}

static void assert_open_fails(const char *folder, W2wError code, const char *first,
                              const char *second)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(W2wSpace) space = w2w_space_open(folder, &error);

    g_assert_null(space);
    assert_error(error, code, (const char *const[]){first, second, NULL});
}

static void test_unproject(void)
{
    for (gint transposed = 0; transposed < 2; transposed++) {
        char *folder = make_space(transposed);
        g_autoptr(W2wSpace) space = open_space(folder);
        g_autoptr(GError) error = NULL;
        const float coefficients[2] = {1.5f, -2.25f}; /* fewer than components */
        float theta[N];

        w2w_space_unproject(space, coefficients, 2, theta, &error);
        g_assert_no_error(error);
        for (guint i = 0; i < N; i++) {
            const double std = i == 5 ? 0.0 : (double)(0.5f + fabsf(value_of(100 + i)));
            const double sum = 1.5 * value_of(1000 + i * K) - 2.25 * value_of(1000 + i * K + 1);

            g_assert_cmpfloat_with_epsilon(theta[i], value_of(i) + std * sum, 1e-6);
        }
        g_assert_cmpfloat(theta[5], ==, value_of(5));
        remove_folder(folder);
    }
}

static void test_project(void)
{
    for (gint transposed = 0; transposed < 2; transposed++) {
        char *folder = make_space(transposed);
        g_autoptr(W2wSpace) space = open_space(folder);
        g_autoptr(GError) error = NULL;
        float theta[N], coefficients[K];

        for (guint i = 0; i < N; i++)
            theta[i] = value_of(500 + i);
        w2w_space_project(space, theta, coefficients, &error);
        g_assert_no_error(error);
        for (guint j = 0; j < K; j++) {
            double expected = 0.0;

            for (guint i = 0; i < N; i++)
                if (i != 5)
                    expected += value_of(1000 + i * K + j) * ((double)theta[i] - value_of(i)) /
                                (0.5f + fabsf(value_of(100 + i)));
            g_assert_cmpfloat_with_epsilon(coefficients[j], expected, 1e-5);
        }
        remove_folder(folder);
    }
}

/* d_c = Vᵀ(std ⊙ d_theta), of the first components alone too; std 0 gives nothing. */
static void test_project_gradient(void)
{
    for (gint transposed = 0; transposed < 2; transposed++) {
        char *folder = make_space(transposed);
        g_autoptr(W2wSpace) space = open_space(folder);
        g_autoptr(GError) error = NULL;
        float d_theta[N], all[K], first[2];

        for (guint i = 0; i < N; i++)
            d_theta[i] = value_of(700 + i);
        g_assert_true(w2w_space_project_gradient(space, d_theta, K, all, &error));
        g_assert_true(w2w_space_project_gradient(space, d_theta, 2, first, &error));
        g_assert_no_error(error);
        g_assert_cmpmem(all, sizeof first, first, sizeof first);
        for (guint j = 0; j < K; j++) {
            double expected = 0.0;

            for (guint i = 0; i < N; i++)
                if (i != 5)
                    expected += value_of(1000 + i * K + j) *
                                (double)(0.5f + fabsf(value_of(100 + i))) * (double)d_theta[i];
            g_assert_cmpfloat_with_epsilon(all[j], expected, 1e-5);
        }
        remove_folder(folder);
    }
}

static void test_layout_is_not_the_space(void)
{
    char *rows = make_space(FALSE), *columns = make_space(TRUE);
    g_autoptr(W2wSpace) first = open_space(rows);
    g_autoptr(W2wSpace) second = open_space(columns);
    g_autofree char *embedded = embedded_space();
    g_autoptr(W2wSpace) other = open_space(embedded);

    g_assert_cmpuint(strlen(w2w_space_get_fingerprint(first)), ==, 64);
    g_assert_cmpstr(w2w_space_get_fingerprint(first), ==, w2w_space_get_fingerprint(second));
    g_assert_cmpstr(w2w_space_get_fingerprint(first), !=, w2w_space_get_fingerprint(other));
    remove_folder(rows);
    remove_folder(columns);
}

/* Every weight, every deviation and every component's sign counts; optional files do not. */
static void test_fingerprint(void)
{
    char *folder = make_space(FALSE);
    g_autofree char *before = NULL;
    g_autofree char *scaled = NULL;
    float v[N * K];

    {
        g_autoptr(W2wSpace) space = open_space(folder);

        before = g_strdup(w2w_space_get_fingerprint(space));
    }
    write_pt_matrix(folder, "proj_1000pc.pt", 2, 1, (const float[]){1.0f, 3.0f});
    {
        g_autoptr(W2wSpace) space = open_space(folder);

        g_assert_cmpstr(w2w_space_get_fingerprint(space), ==, before);
    }
    write_text(folder, "adapter_config.json", "{\"r\": 1, \"lora_alpha\": 3}");
    {
        g_autoptr(W2wSpace) space = open_space(folder);

        scaled = g_strdup(w2w_space_get_fingerprint(space));
        g_assert_cmpstr(scaled, !=, before);
    }
    for (guint i = 0; i < N * K; i++)
        v[i] = value_of(1000 + i) * (i % K == 2 ? -1.0f : 1.0f);
    write_pt_matrix(folder, "V.pt", N, K, v);
    {
        g_autoptr(W2wSpace) space = open_space(folder);

        g_assert_cmpstr(w2w_space_get_fingerprint(space), !=, scaled);
    }
    remove_folder(folder);
}

static void test_bad_numbers(void)
{
    char *folder = make_space(FALSE);
    g_autoptr(W2wSpace) space = open_space(folder);
    g_autoptr(GError) error = NULL;
    const float nan_coefficient[1] = {NAN}, too_many[K + 1] = {0.0f};
    float theta[N] = {0.0f}, coefficients[K];

    g_assert_false(w2w_space_unproject(space, nan_coefficient, 1, theta, &error));
    assert_error(error, W2W_ERROR_USAGE, (const char *const[]){"finite", NULL});
    g_clear_error(&error);
    g_assert_false(w2w_space_unproject(space, too_many, K + 1, theta, &error));
    assert_error(error, W2W_ERROR_MISMATCH, (const char *const[]){"4", "3", NULL});
    g_clear_error(&error);
    theta[3] = INFINITY;
    g_assert_false(w2w_space_project(space, theta, coefficients, &error));
    assert_error(error, W2W_ERROR_USAGE, (const char *const[]){"finite", NULL});
    remove_folder(folder);
}

static void test_damaged_v(void)
{
    char *folder = make_space(FALSE);
    float v[N * K] = {0.0f}, theta[N];
    const float one[1] = {1.0f};
    g_autoptr(GError) error = NULL;
    g_autoptr(W2wSpace) space = NULL;

    v[4 * K] = NAN;
    write_pt_matrix(folder, "V.pt", N, K, v);
    space = open_space(folder);
    g_assert_false(w2w_space_unproject(space, one, 1, theta, &error));
    assert_error(error, W2W_ERROR_FORMAT, (const char *const[]){"V.pt", "finite", NULL});
    remove_folder(folder);
}

static void test_keys(void)
{
    char *folder = make_space(FALSE);
    g_autoptr(W2wSpace) space = NULL;
    const W2wSpaceKey *key;
    guint n_keys;

    write_pt_dimensions(folder, keys, shapes);
    space = open_space(folder);
    key = w2w_space_get_keys(space, &n_keys);
    g_assert_cmpuint(n_keys, ==, 4);
    g_assert_cmpstr(key[0].path, ==, "down_blocks.0.attentions.0.attn1.to_q");
    g_assert_cmpstr(key[3].path, ==, "mid_block.attn1.to_v");
    g_assert_false(key[2].is_b);
    g_assert_true(key[3].is_b);
    g_assert_cmpint(key[3].offset, ==, 9);
    g_assert_cmpint(key[3].length, ==, 3);
    remove_folder(folder);
}

static void test_bad_keys(void)
{
    static const struct {
        const char *key; /* instead of the last one */
        int shape[2];
        W2wError code;
        const char *word;
    } cases[] = {
        {"unet.mid_block.attn1.to_v.weight", {3, 1}, W2W_ERROR_FORMAT, "names no LoRA factor"},
        {"unet.mid_block.attn1.to_v.lora_down.weight", {1, 3}, W2W_ERROR_FORMAT, "twice"},
        {"unet.mid_block.attn1.to_q.lora_up.weight", {3, 1}, W2W_ERROR_FORMAT, "not lora_"},
        {"unet.mid_block.attn1.to_v.lora_up.weight", {3, 2}, W2W_ERROR_UNSUPPORTED, "rank 2"},
        {"unet.mid_block.attn1.to_v.lora_up.weight", {2, 1}, W2W_ERROR_MISMATCH, "mean.pt"},
        {"unet.mid_block.attn1.to_v.lora_up.weight", {4, 1}, W2W_ERROR_MISMATCH, "mean.pt"},
        {"unet.mid_block.attn1.to_v.lora_up.weight", {0, 1}, W2W_ERROR_FORMAT, "impossible"},
    };

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        char *folder = make_space(FALSE);
        const char *bad_keys[5] = {keys[0], keys[1], keys[2], cases[i].key, NULL};
        int bad_shapes[4][2];

        memcpy(bad_shapes, shapes, sizeof bad_shapes);
        memcpy(bad_shapes[3], cases[i].shape, sizeof bad_shapes[3]);
        write_pt_dimensions(folder, bad_keys, bad_shapes);
        assert_open_fails(folder, cases[i].code, "weight_dimensions.pt", cases[i].word);
        remove_folder(folder);
    }
}

static void test_set_keys(void)
{
    char *folder = make_space(FALSE);
    g_autoptr(W2wSpace) space = open_space(folder);
    g_autoptr(GError) error = NULL;
    W2wSpaceKey given[2] = {{.path = "mid_block.to_q", .is_b = FALSE, .length = 5},
                            {.path = "mid_block.to_q", .is_b = TRUE, .length = 7}};
    const W2wSpaceKey *key;
    guint n_keys;

    w2w_space_get_keys(space, &n_keys);
    g_assert_cmpuint(n_keys, ==, 0);
    g_assert_true(w2w_space_set_keys(space, given, 2, &error));
    g_assert_no_error(error);
    key = w2w_space_get_keys(space, &n_keys);
    g_assert_cmpuint(n_keys, ==, 2);
    g_assert_cmpint(key[1].offset, ==, 5);
    given[1].length = 8;
    g_assert_false(w2w_space_set_keys(space, given, 2, &error));
    assert_error(error, W2W_ERROR_MISMATCH, (const char *const[]){"12", "mean.pt", NULL});
    remove_folder(folder);
}

/* mean, std and V alone: weights yes, people no. */
static void test_without_optional_files(void)
{
    char *folder = make_space(FALSE);
    g_autoptr(W2wSpace) space = open_space(folder);
    g_autoptr(GError) error = NULL;
    float coefficients[K];
    W2wScoreRange range;

    g_assert_cmpint(w2w_space_get_n_people(space), ==, 0);
    g_assert_cmpuint(w2w_space_get_n_with_statistics(space), ==, 0);
    g_assert_null(w2w_space_get_projections(space));
    g_assert_null(w2w_space_get_attributes(space)[0]);
    g_assert_cmpfloat(w2w_space_get_lora_scale(space), ==, 27.0f);
    g_assert_false(w2w_space_sample(space, 1.0, 0, coefficients, &error));
    assert_error(error, W2W_ERROR_UNSUPPORTED, (const char *const[]){"proj_1000pc.pt", NULL});
    g_clear_error(&error);
    g_assert_false(w2w_space_get_person(space, 0, coefficients, &error));
    assert_error(error, W2W_ERROR_UNSUPPORTED, (const char *const[]){"proj_1000pc.pt", NULL});
    g_clear_error(&error);
    g_assert_null(w2w_space_get_direction(space, "Young", &error));
    assert_error(error, W2W_ERROR_UNSUPPORTED, (const char *const[]){"proj_1000pc.pt", NULL});
    g_clear_error(&error);
    g_assert_false(w2w_space_get_score_range(space, "Young", &range, &error));
    assert_error(error, W2W_ERROR_UNSUPPORTED, (const char *const[]){"proj_1000pc.pt", NULL});
    g_clear_error(&error);

    /* With people but without labels: sampling yes, directions no. */
    g_clear_pointer(&space, w2w_space_free);
    write_pt_matrix(folder, "proj_1000pc.pt", 3, 2,
                    (const float[]){1.0f, 0.0f, 3.0f, 1.0f, 5.0f, 2.0f});
    space = open_space(folder);
    g_assert_true(w2w_space_sample(space, 0.0, 0, coefficients, &error));
    g_assert_no_error(error);
    g_assert_cmpfloat(coefficients[0], ==, 3.0f);
    g_assert_cmpfloat(w2w_space_get_coefficient_std(space)[0], ==, 2.0);
    g_assert_null(w2w_space_get_direction(space, "Young", &error));
    assert_error(error, W2W_ERROR_UNSUPPORTED, (const char *const[]){"identity_df.pt", NULL});
    g_clear_error(&error);
    g_assert_false(w2w_space_sample(space, -1.0, 0, coefficients, &error));
    assert_error(error, W2W_ERROR_USAGE, (const char *const[]){"factor", NULL});
    g_clear_error(&error);
    g_assert_false(w2w_space_get_person(space, 3, coefficients, &error));
    assert_error(error, W2W_ERROR_USAGE, (const char *const[]){"0 to 2", NULL});
    remove_folder(folder);
}

static void test_missing_files(void)
{
    static const char *const needed[] = {"mean.pt", "std.pt", "V.pt"};

    for (guint i = 0; i < G_N_ELEMENTS(needed); i++) {
        char *folder = make_space(FALSE);

        remove_file(folder, needed[i]);
        assert_open_fails(folder, W2W_ERROR_FILE, needed[i], folder);
        remove_folder(folder);
    }
    assert_open_fails("/nowhere/at/all", W2W_ERROR_FILE, "/nowhere/at/all", "folder");
}

static void test_contradictions(void)
{
    const float values[64] = {1.0f, 2.0f, 0.5f, 3.0f};
    const float with_nan[4] = {1.0f, NAN, 2.0f, 3.0f}, negative[N] = {1.0f, -1.0f};
    g_autofree char *embedded = embedded_space();
    g_autofree char *labels = g_build_filename(embedded, "identity_df.pt", NULL);
    char *folder = make_space(FALSE);

    write_pt_vector(folder, "std.pt", values, N - 1);
    assert_open_fails(folder, W2W_ERROR_MISMATCH, "std.pt", "mean.pt");
    write_pt_vector(folder, "std.pt", negative, N);
    assert_open_fails(folder, W2W_ERROR_FORMAT, "std.pt", "negative");
    remove_folder(folder);

    folder = make_space(FALSE);
    write_pt_matrix(folder, "V.pt", N + 1, 2, values);
    assert_open_fails(folder, W2W_ERROR_MISMATCH, "V.pt", "mean.pt");
    write_pt_vector(folder, "V.pt", values, N);
    assert_open_fails(folder, W2W_ERROR_FORMAT, "V.pt", "shape (12)");
    write_pt_matrix(folder, "mean.pt", 3, 4, values);
    assert_open_fails(folder, W2W_ERROR_FORMAT, "mean.pt", "(3, 4)");
    write_pt_vector(folder, "mean.pt", with_nan, 4);
    assert_open_fails(folder, W2W_ERROR_FORMAT, "mean.pt", "finite");
    remove_folder(folder);

    folder = make_space(FALSE);
    write_pt_matrix(folder, "proj_1000pc.pt", 2, K + 1, values);
    assert_open_fails(folder, W2W_ERROR_MISMATCH, "proj_1000pc.pt", "V.pt");
    write_pt_matrix(folder, "proj_1000pc.pt", 1, 2, values);
    assert_open_fails(folder, W2W_ERROR_FORMAT, "proj_1000pc.pt", "one person");
    write_pt_matrix(folder, "proj_1000pc.pt", 2, 2, with_nan);
    assert_open_fails(folder, W2W_ERROR_FORMAT, "proj_1000pc.pt", "finite");
    write_pt_matrix(folder, "proj_1000pc.pt", 2, 2, values);
    write_pt_matrix(folder, "pinverse_1000pc.pt", 2, 3, values);
    assert_open_fails(folder, W2W_ERROR_MISMATCH, "pinverse_1000pc.pt", "proj_1000pc.pt");
    remove_file(folder, "pinverse_1000pc.pt");
    link_file(folder, "identity_df.pt", labels);
    assert_open_fails(folder, W2W_ERROR_MISMATCH, "identity_df.pt", "proj_1000pc.pt");
    write_pt_vector(folder, "identity_df.pt", values, 2);
    assert_open_fails(folder, W2W_ERROR_FORMAT, "identity_df.pt", "DataFrame");
    remove_folder(folder);
}

static void test_adapter_config(void)
{
    static const struct {
        const char *json;
        W2wError code;
        const char *word;
    } cases[] = {
        {"{\"r\": 4, \"lora_alpha\": 27}", W2W_ERROR_UNSUPPORTED, "r = 4"},
        {"{\"lora_alpha\": 27}", W2W_ERROR_FORMAT, "“r”"},
        {"{\"r\": 1}", W2W_ERROR_FORMAT, "lora_alpha"},
        {"{\"r\": 1, \"lora_alpha\": \"27\"}", W2W_ERROR_FORMAT, "lora_alpha"},
        {"{\"r\": 1, \"lora_alpha\": -1}", W2W_ERROR_FORMAT, "lora_alpha"},
        {"{\"r\": 1, \"lora_alpha\": 27, \"use_dora\": true}", W2W_ERROR_UNSUPPORTED, "use_dora"},
        {"{\"r\": 1, \"lora_alpha\": 27, \"bias\": \"all\"}", W2W_ERROR_UNSUPPORTED, "bias"},
        {"{\"r\": 1, \"lora_alpha\": 27, \"alpha_pattern\": {\"x\": 3}}", W2W_ERROR_UNSUPPORTED,
         "alpha_pattern"},
        {"{\"r\": 1,", W2W_ERROR_FORMAT, "JSON"},
    };
    char *folder = make_space(FALSE);

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        write_text(folder, "adapter_config.json", cases[i].json);
        assert_open_fails(folder, cases[i].code, "adapter_config.json", cases[i].word);
    }
    write_text(folder, "adapter_config.json",
               "{\"r\": 1, \"lora_alpha\": 8, \"bias\": \"none\", \"rank_pattern\": {}, "
               "\"use_dora\": false, \"target_modules\": [\"to_q\"]}");
    {
        g_autoptr(W2wSpace) space = open_space(folder);

        g_assert_cmpfloat(w2w_space_get_lora_scale(space), ==, 8.0f);
    }
    remove_folder(folder);
}

/* The normal equations and the space's own pseudo-inverse are two ways to one direction. */
static void test_directions_both_ways(void)
{
    g_autofree char *embedded = embedded_space();
    char *without = link_folder(embedded, NULL);
    g_autoptr(W2wSpace) first = open_space(embedded);
    g_autoptr(W2wSpace) second = NULL;
    const char *const *attribute = w2w_space_get_attributes(first);

    remove_file(without, "pinverse_1000pc.pt");
    second = open_space(without);
    g_assert_nonnull(*attribute);
    for (; *attribute != NULL; attribute++) {
        g_autoptr(GError) error = NULL;
        const double *a = w2w_space_get_direction(first, *attribute, &error);
        const double *b = w2w_space_get_direction(second, *attribute, &error);
        double largest = 0.0;

        g_assert_no_error(error);
        for (guint j = 0; j < w2w_space_get_n_with_statistics(first); j++)
            largest = MAX(largest, fabs(a[j]));
        for (guint j = 0; j < w2w_space_get_n_with_statistics(first); j++)
            g_assert_cmpfloat_with_epsilon(a[j], b[j], 1e-5 * largest);
    }
    remove_folder(without);
}

static void test_foreign_pinverse(void)
{
    g_autofree char *embedded = embedded_space();
    char *folder = link_folder(embedded, NULL);
    g_autoptr(GError) error = NULL;
    g_autoptr(W2wSpace) space = open_space(embedded);
    const guint p = w2w_space_get_n_with_statistics(space);
    const gsize n = (gsize)p * (gsize)w2w_space_get_n_people(space);
    g_autofree float *values = g_new(float, n);

    for (gsize i = 0; i < n; i++)
        values[i] = value_of((guint)i);
    remove_file(folder, "pinverse_1000pc.pt");
    write_pt_matrix(folder, "pinverse_1000pc.pt", p, w2w_space_get_n_people(space), values);
    g_clear_pointer(&space, w2w_space_free);
    space = open_space(folder);
    g_assert_null(w2w_space_get_direction(space, w2w_space_get_attributes(space)[0], &error));
    assert_error(error, W2W_ERROR_MISMATCH,
                 (const char *const[]){"pinverse_1000pc.pt", "proj_1000pc.pt", NULL});
    remove_folder(folder);
}

/* Two equal components and one that nobody has: the ridge shares the direction out. */
static void test_dependent_components(void)
{
    g_autofree char *embedded = embedded_space();
    char *folder = link_folder(embedded, NULL);
    g_autoptr(W2wSpace) whole = open_space(embedded);
    const gint64 m = w2w_space_get_n_people(whole);
    const char *attribute = w2w_space_get_attributes(whole)[0];
    W2wArray *projections = w2w_space_get_projections(whole);
    g_autofree float *values = g_new0(float, (gsize)m * 4);
    g_autoptr(GError) error = NULL;
    g_autoptr(W2wSpace) space = NULL;
    const double *direction;

    for (gint64 i = 0; i < m; i++) {
        values[i * 4] = (float)w2w_array_get(projections, i * projections->shape[1]);
        values[i * 4 + 1] = values[i * 4];
        values[i * 4 + 2] = (float)w2w_array_get(projections, i * projections->shape[1] + 1);
    }
    remove_file(folder, "pinverse_1000pc.pt");
    remove_file(folder, "proj_1000pc.pt");
    write_pt_matrix(folder, "proj_1000pc.pt", m, 4, values);
    space = open_space(folder);
    direction = w2w_space_get_direction(space, attribute, &error);
    g_assert_no_error(error);
    g_assert_cmpfloat(fabs(direction[0]), >, 0.0);
    g_assert_cmpfloat_with_epsilon(direction[0], direction[1], 1e-3 * fabs(direction[0]));
    g_assert_cmpfloat(direction[3], ==, 0.0);
    remove_folder(folder);
}

static void test_sampling(void)
{
    g_autofree char *embedded = embedded_space();
    g_autoptr(W2wSpace) space = open_space(embedded);
    g_autoptr(GError) error = NULL;
    const guint p = w2w_space_get_n_with_statistics(space);
    const double *mean = w2w_space_get_coefficient_mean(space);
    const double *std = w2w_space_get_coefficient_std(space);
    g_autofree float *one = g_new(float, p);
    g_autofree float *again = g_new(float, p);
    g_autofree float *wider = g_new(float, p);
    g_autofree float *other = g_new(float, p);
    double square = 0.0;

    w2w_space_sample(space, 1.0, 7, one, &error);
    w2w_space_sample(space, 1.0, 7, again, &error);
    w2w_space_sample(space, 2.0, 7, wider, &error);
    w2w_space_sample(space, 1.0, 8, other, &error);
    g_assert_no_error(error);
    g_assert_cmpmem(one, p * sizeof *one, again, p * sizeof *again);
    g_assert_true(memcmp(one, other, p * sizeof *one) != 0);
    for (guint j = 0; j < p; j++) {
        const double z = (one[j] - mean[j]) / std[j];

        g_assert_cmpfloat_with_epsilon((wider[j] - mean[j]) / std[j], 2.0 * z, 1e-4);
        square += z * z / p;
    }
    g_assert_cmpfloat(square, >, 0.5);
    g_assert_cmpfloat(square, <, 1.6);
}

/* A sensible direction ranks the people that it was fitted on. */
static void test_labels_and_scores(void)
{
    g_autofree char *embedded = embedded_space();
    g_autoptr(W2wSpace) space = open_space(embedded);
    const char *const *attribute = w2w_space_get_attributes(space);
    const guint p = w2w_space_get_n_with_statistics(space);
    g_autofree float *coefficients = g_new(float, p);
    g_autoptr(GError) error = NULL;

    for (; *attribute != NULL; attribute++) {
        const gint8 *labels = w2w_space_get_labels(space, *attribute, &error);
        const double *direction = w2w_space_get_direction(space, *attribute, &error);
        const double *mean = w2w_space_get_coefficient_mean(space);
        double sum[2] = {0.0, 0.0};
        guint n[2] = {0, 0};
        W2wScoreRange range;

        g_assert_no_error(error);
        w2w_space_get_score_range(space, *attribute, &range, &error);
        g_assert_no_error(error);
        for (gint64 i = 0; i < w2w_space_get_n_people(space); i++) {
            double score = 0.0;

            w2w_space_get_person(space, i, coefficients, NULL);
            for (guint j = 0; j < p; j++)
                score += direction[j] * (coefficients[j] - mean[j]);
            g_assert_cmpfloat(score, >=, range.min - 1e-9);
            g_assert_cmpfloat(score, <=, range.max + 1e-9);
            sum[labels[i] > 0] += score;
            n[labels[i] > 0]++;
        }
        g_assert_cmpuint(n[0], >, 0);
        g_assert_cmpuint(n[1], >, 0);
        g_assert_cmpfloat(sum[1] / n[1], >, sum[0] / n[0]);
        g_assert_cmpfloat(range.half_range, >, 0.0);
        g_assert_cmpfloat(2.0 * range.half_range, <, range.max - range.min);
    }
    g_assert_null(w2w_space_get_labels(space, "Handsome", &error));
    assert_error(error, W2W_ERROR_USAGE, (const char *const[]){"Handsome", "Young", NULL});
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/space/unproject-in-both-layouts", test_unproject);
    g_test_add_func("/space/project-in-both-layouts", test_project);
    g_test_add_func("/space/project-gradient-in-both-layouts", test_project_gradient);
    g_test_add_func("/space/layout-is-not-the-space", test_layout_is_not_the_space);
    g_test_add_func("/space/fingerprint", test_fingerprint);
    g_test_add_func("/space/bad-numbers", test_bad_numbers);
    g_test_add_func("/space/damaged-v", test_damaged_v);
    g_test_add_func("/space/keys", test_keys);
    g_test_add_func("/space/bad-keys", test_bad_keys);
    g_test_add_func("/space/keys-from-the-model", test_set_keys);
    g_test_add_func("/space/without-optional-files", test_without_optional_files);
    g_test_add_func("/space/missing-files", test_missing_files);
    g_test_add_func("/space/contradictions", test_contradictions);
    g_test_add_func("/space/adapter-config", test_adapter_config);
    g_test_add_func("/space/directions-both-ways", test_directions_both_ways);
    g_test_add_func("/space/foreign-pinverse", test_foreign_pinverse);
    g_test_add_func("/space/dependent-components", test_dependent_components);
    g_test_add_func("/space/sampling", test_sampling);
    g_test_add_func("/space/labels-and-scores", test_labels_and_scores);
    return g_test_run();
}

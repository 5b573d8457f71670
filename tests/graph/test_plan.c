/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The planner: memory that is shared must not show in any result, fusion must not change one beyond
 * rounding, and what is kept between replays must follow its inputs.
 */
#include <math.h>

#include "engine/graph/graph.h"

typedef struct {
    W2wDevice *device;
    GRand *random;
} Fixture;

/* What plans run on. Layers of rounding, up to 40 of them, move a result by at most `rounding`. */
typedef struct {
    const char *name, *device;
    W2wComputeType compute_type;
    double rounding;
} Variant;

static const Variant variants[] = {
    {"cpu", "cpu", W2W_COMPUTE_F32, 1e-3},
    {"cpu-bf16", "cpu", W2W_COMPUTE_BF16, 0.3},
    {"reference", "reference", W2W_COMPUTE_F32, 1e-3},
    {"reference-bf16", "reference", W2W_COMPUTE_BF16, 0.3},
    {"reference-f64", "reference", W2W_COMPUTE_F64, 1e-9},
};

static void set_up(Fixture *fixture, gconstpointer data)
{
    const Variant *variant = data;
    g_autoptr(GError) error = NULL;
    const W2wDeviceOptions options = {.n_threads = 2, .compute_type = variant->compute_type};

    fixture->device = w2w_device_new(variant->device, &options, &error);
    g_assert_no_error(error);
    fixture->random = g_rand_new_with_seed(20261124);
}

static void tear_down(Fixture *fixture, gconstpointer variant)
{
    w2w_device_free(fixture->device);
    g_rand_free(fixture->random);
}

static float *random_values(GRand *random, gint64 n, double amplitude)
{
    float *values = g_new(float, n);

    for (gint64 i = 0; i < n; i++)
        values[i] = (float)(amplitude * g_rand_double_range(random, -1.0, 1.0));
    return values;
}

static W2wArray *random_array(GRand *random, guint n_dims, const gint64 *shape, double amplitude)
{
    g_autoptr(GError) error = NULL;
    g_autofree float *values = NULL;
    gint64 n = 1;
    W2wArray *array;

    for (guint i = 0; i < n_dims; i++)
        n *= shape[i];
    values = random_values(random, n, amplitude);
    array = w2w_array_new_f32(n_dims, shape, values, &error);
    g_assert_no_error(error);
    return array;
}

/* Arrays that graphs recorded from one seed have in common. */
typedef struct {
    W2wArray *conv, *conv_wide, *bias, *linear, *geglu, *geglu_bias, *image, *gamma;
} Weights;

#define WIDTH 16

static void weights_init(Weights *weights, GRand *random)
{
    weights->conv = random_array(random, 4, (gint64[]){WIDTH, WIDTH, 3, 3}, 0.1);
    weights->conv_wide = random_array(random, 4, (gint64[]){WIDTH, 2 * WIDTH, 1, 1}, 0.2);
    weights->bias = random_array(random, 1, (gint64[]){WIDTH}, 0.5);
    weights->linear = random_array(random, 2, (gint64[]){WIDTH, WIDTH}, 0.3);
    weights->geglu = random_array(random, 2, (gint64[]){2 * WIDTH, WIDTH}, 0.3);
    weights->geglu_bias = random_array(random, 1, (gint64[]){2 * WIDTH}, 0.5);
    weights->image = random_array(random, 2, (gint64[]){WIDTH, 8}, 0.3);
    weights->gamma = random_array(random, 1, (gint64[]){WIDTH}, 1.0);
}

static void weights_clear(Weights *weights)
{
    W2wArray **arrays = (W2wArray **)weights;

    for (guint i = 0; i < sizeof *weights / sizeof *arrays; i++)
        w2w_array_unref(arrays[i]);
}

/*
 * A random network over tensors (2,h,w,WIDTH): everything that a UNet does, skips of any length
 * included. The same seed gives the same network. `everything_is_output` leaves the planner
 * nothing to share or fuse.
 */
static W2wGraph *record_random(guint32 seed, const Weights *weights, gboolean everything_is_output)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(seed);
    g_autoptr(GPtrArray) tensors = g_ptr_array_new();
    W2wGraph *graph = w2w_graph_new();
    W2wTensor *time = w2w_graph_input(graph, "time", (W2wShape){2, 1, 1, 8});
    W2wTensor *text = w2w_graph_kept_input(graph, "text", (W2wShape){2, 1, 5, WIDTH});
    W2wTensor *last = w2w_graph_input(graph, "x", (W2wShape){2, 6, 4, WIDTH});
    const W2wConv2dParams three = {.kernel = 3, .stride = 1, .padding = 1};
    const W2wConv2dParams down = {.kernel = 3, .stride = 2, .padding = 1};
    const W2wConv2dParams one = {.kernel = 1, .stride = 1};

    g_ptr_array_add(tensors, last);
    for (guint i = 0; i < 40; i++) {
        const W2wShape shape = w2w_tensor_get_shape(last);
        W2wTensor *other = NULL, *keys;

        /* Any earlier tensor of the same size can be a skip. */
        for (guint tries = 0; tries < 8 && other == NULL; tries++) {
            other = g_ptr_array_index(tensors, g_rand_int_range(random, 0, (gint32)tensors->len));
            if (!w2w_shape_equal(w2w_tensor_get_shape(other), shape))
                other = NULL;
        }
        switch (g_rand_int_range(random, 0, 9)) {
        case 0:
            last = w2w_conv2d(graph, last, weights->conv, weights->bias, &three);
            last = w2w_add(graph, last, w2w_linear(graph, time, weights->image, weights->bias));
            break;
        case 1:
            last = w2w_group_norm(graph, last, weights->gamma, weights->bias, 4, 1e-5f);
            last = w2w_activation(graph, last, W2W_ACTIVATION_SILU);
            break;
        case 2:
            if (other != NULL)
                last = w2w_conv2d(graph, w2w_concat(graph, last, other), weights->conv_wide,
                                  weights->bias, &one);
            break;
        case 3:
            if (other != NULL)
                last =
                    w2w_add(graph, other, w2w_linear(graph, last, weights->linear, weights->bias));
            break;
        case 4:
            last = w2w_geglu(graph, w2w_linear(graph, last, weights->geglu, weights->geglu_bias));
            break;
        case 5:
            keys = w2w_linear(graph, text, weights->linear, NULL);
            last = w2w_attention(graph, w2w_linear(graph, last, weights->linear, NULL), keys, text,
                                 2, FALSE);
            break;
        case 6:
            last = w2w_layer_norm(graph, last, weights->gamma, weights->bias, 1e-5f);
            last = w2w_activation(graph, w2w_linear(graph, last, weights->linear, weights->bias),
                                  W2W_ACTIVATION_QUICK_GELU);
            break;
        case 7:
            if (shape.h >= 4)
                last = w2w_conv2d(graph, last, weights->conv, weights->bias, &down);
            break;
        case 8:
            if (shape.h <= 8)
                last = w2w_conv2d(graph, w2w_upsample(graph, last, 2 * shape.h - 1, 2 * shape.w),
                                  weights->conv, weights->bias, &three);
            break;
        }
        g_ptr_array_add(tensors, last);
        if (everything_is_output && i < 39) {
            g_autofree char *name = g_strdup_printf("inside.%u", i);

            w2w_graph_output(graph, name, last);
        }
    }
    w2w_graph_output(graph, "last", last);
    return graph;
}

static float *replay_random(W2wPlan *plan, guint32 seed, gint64 *n)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(seed);
    const char *const *names = w2w_plan_get_input_names(plan);
    float *result;

    for (guint i = 0; names[i] != NULL; i++) {
        g_autofree float *values = random_values(
            random, w2w_shape_n_elements(w2w_plan_get_input_shape(plan, names[i])), 1.0);

        w2w_plan_set_input(plan, names[i], values);
    }
    w2w_plan_replay(plan);
    *n = w2w_shape_n_elements(w2w_plan_get_output_shape(plan, "last"));
    result = g_new(float, *n);
    w2w_plan_get_output(plan, "last", result);
    return result;
}

static double worst_difference(const float *a, const float *b, gint64 n)
{
    double worst = 0.0, square = 0.0;

    for (gint64 i = 0; i < n; i++) {
        worst = MAX(worst, fabs((double)a[i] - b[i]));
        square += (double)b[i] * b[i];
    }
    return worst / sqrt(square / (double)n);
}

static W2wPlan *plan_new(Fixture *fixture, W2wGraph *graph, W2wPlanFlags flags)
{
    g_autoptr(GError) error = NULL;
    W2wPlan *plan = w2w_plan_new(graph, fixture->device, flags, &error);

    g_assert_no_error(error);
    return plan;
}

static void test_shared_memory(Fixture *fixture, gconstpointer variant)
{
    Weights weights;

    weights_init(&weights, fixture->random);
    for (guint32 seed = 0; seed < 60; seed++) {
        g_autoptr(W2wPlan) plan = plan_new(fixture, record_random(seed, &weights, FALSE), 0);
        g_autoptr(W2wPlan) wide = plan_new(fixture, record_random(seed, &weights, TRUE), 0);
        gint64 n, n_wide;
        g_autofree float *first = replay_random(plan, seed, &n);
        g_autofree float *again = replay_random(plan, seed, &n);
        g_autofree float *expected = replay_random(wide, seed, &n_wide);

        g_assert_cmpint(n, ==, n_wide);
        g_assert_cmpmem(first, n * sizeof(float), expected, n * sizeof(float));
        g_assert_cmpmem(again, n * sizeof(float), expected, n * sizeof(float));
        g_assert_cmpuint(w2w_plan_get_info(plan).arena_bytes, <,
                         w2w_plan_get_info(wide).arena_bytes);
    }
    weights_clear(&weights);
}

static void test_fusion(Fixture *fixture, gconstpointer variant)
{
    Weights weights;
    guint n_recorded = 0, n_fused = 0;
    double worst = 0.0;

    weights_init(&weights, fixture->random);
    for (guint32 seed = 0; seed < 60; seed++) {
        g_autoptr(W2wPlan) fused =
            plan_new(fixture, record_random(seed, &weights, FALSE), W2W_PLAN_FUSE);
        g_autoptr(W2wPlan) plain = plan_new(fixture, record_random(seed, &weights, FALSE), 0);
        gint64 n;
        g_autofree float *got = replay_random(fused, seed, &n);
        g_autofree float *expected = replay_random(plain, seed, &n);

        /* A wrong fusion is off by a good part of 1. */
        worst = MAX(worst, worst_difference(got, expected, n));
        g_assert_cmpfloat(worst, <, ((const Variant *)variant)->rounding);
        n_recorded += w2w_plan_get_info(plain).n_ops;
        n_fused += w2w_plan_get_info(fused).n_ops;
        g_assert_cmpuint(w2w_plan_get_info(fused).n_recorded, ==, w2w_plan_get_info(plain).n_ops);
    }
    g_test_message("%u ops recorded, %u after fusion; off by %.3g", n_recorded, n_fused, worst);
    g_assert_cmpuint(n_fused * 4, <, n_recorded * 3);
    weights_clear(&weights);
}

/* Text changes alone, time changes alone: each time as if everything had been set anew. */
static void test_kept_inputs(Fixture *fixture, gconstpointer variant)
{
    Weights weights;
    g_autoptr(GRand) random = g_rand_new_with_seed(1);
    g_autoptr(W2wPlan) plan = NULL;
    const char *changes[] = {"text", "time", "x", "text", "text", "x"};

    weights_init(&weights, fixture->random);
    plan = plan_new(fixture, record_random(3, &weights, FALSE), W2W_PLAN_FUSE);
    for (guint i = 0; i < G_N_ELEMENTS(changes); i++) {
        g_autoptr(W2wPlan) fresh =
            plan_new(fixture, record_random(3, &weights, FALSE), W2W_PLAN_FUSE);
        g_autofree float *values = NULL, *got = NULL, *expected = NULL;
        gint64 n;

        g_free(replay_random(plan, i, &n)); /* starts both at the same inputs */
        g_free(replay_random(fresh, i, &n));
        values = random_values(
            random, w2w_shape_n_elements(w2w_plan_get_input_shape(plan, changes[i])), 1.0);
        w2w_plan_set_input(plan, changes[i], values);
        w2w_plan_replay(plan);
        w2w_plan_replay(plan);
        /* A plan that never ran has nothing kept. */
        g_clear_pointer(&fresh, w2w_plan_free);
        fresh = plan_new(fixture, record_random(3, &weights, FALSE), W2W_PLAN_FUSE);
        {
            g_autoptr(GRand) inputs = g_rand_new_with_seed(i);
            const char *const *names = w2w_plan_get_input_names(fresh);

            for (guint j = 0; names[j] != NULL; j++) {
                g_autofree float *input = random_values(
                    inputs, w2w_shape_n_elements(w2w_plan_get_input_shape(fresh, names[j])), 1.0);

                w2w_plan_set_input(fresh, names[j],
                                   g_str_equal(names[j], changes[i]) ? values : input);
            }
        }
        w2w_plan_replay(fresh);
        got = g_new(float, n);
        expected = g_new(float, n);
        w2w_plan_get_output(plan, "last", got);
        w2w_plan_get_output(fresh, "last", expected);
        g_assert_cmpmem(got, n * sizeof(float), expected, n * sizeof(float));
    }
    weights_clear(&weights);
}

/* What nothing reads is not computed. */
static void test_dead_ops(Fixture *fixture, gconstpointer variant)
{
    W2wGraph *graph = w2w_graph_new();
    W2wTensor *x = w2w_graph_input(graph, "x", (W2wShape){1, 2, 2, 4});
    W2wTensor *y = w2w_activation(graph, x, W2W_ACTIVATION_SILU);
    g_autoptr(W2wPlan) plan = NULL;

    w2w_activation(graph, w2w_activation(graph, y, W2W_ACTIVATION_GELU), W2W_ACTIVATION_GELU);
    w2w_graph_output(graph, "y", y);
    plan = plan_new(fixture, graph, W2W_PLAN_DEFAULT);
    g_assert_cmpuint(w2w_plan_get_info(plan).n_ops, ==, 1);
}

/* Timesteps of four digits are what they are, though bfloat16 has no 999. */
static void test_exact_timesteps(Fixture *fixture, gconstpointer variant)
{
    const W2wShape shape = {1, 1, 1, 1};
    W2wGraph *graph = w2w_graph_new();
    W2wTensor *timesteps = w2w_graph_input(graph, "timesteps", shape);
    g_autoptr(W2wPlan) plan = NULL;
    const float timestep = 999.0f;
    float out[2];

    w2w_graph_output(graph, "out", w2w_timestep_embedding(graph, timesteps, 2, FALSE, 0.0f));
    plan = plan_new(fixture, graph, W2W_PLAN_DEFAULT);
    w2w_plan_set_input(plan, "timesteps", &timestep);
    w2w_plan_replay(plan);
    w2w_plan_get_output(plan, "out", out);
    g_assert_cmpfloat_with_epsilon(out[0], sin(999.0), 0x1p-8); /* sin 1000 is 0.8 away */
    g_assert_cmpfloat_with_epsilon(out[1], cos(999.0), 0x1p-8);
}

static void test_float64_output(void)
{
    const W2wDeviceOptions options = {.compute_type = W2W_COMPUTE_F64};
    W2wGraph *graph = w2w_graph_new();
    W2wTensor *x = w2w_graph_input(graph, "x", (W2wShape){1, 1, 1, 1});
    g_autoptr(GError) error = NULL;
    g_autoptr(W2wDevice) device = w2w_device_new("reference", &options, &error);
    W2wPlan *plan;
    const float one = 1.0f;
    double y;
    float rounded;

    g_assert_no_error(error);
    w2w_graph_output(graph, "y", w2w_activation(graph, x, W2W_ACTIVATION_SILU));
    plan = w2w_plan_new(graph, device, W2W_PLAN_DEFAULT, &error);
    g_assert_no_error(error);
    w2w_plan_set_input(plan, "x", &one);
    w2w_plan_replay(plan);
    w2w_plan_get_output_f64(plan, "y", &y);
    w2w_plan_get_output(plan, "y", &rounded);
    g_assert_cmpfloat_with_epsilon(y, 1.0 / (1.0 + exp(-1.0)), 1e-15);
    g_assert_cmpfloat(rounded, ==, (float)y);
    w2w_plan_free(plan);
}

int main(int argc, char **argv)
{
    const struct {
        const char *name;
        void (*func)(Fixture *, gconstpointer);
    } tests[] = {
        {"shared-memory-shows-in-no-result", test_shared_memory},
        {"fusion-changes-only-rounding", test_fusion},
        {"kept-ops-follow-their-inputs", test_kept_inputs},
        {"dead-ops-are-dropped", test_dead_ops},
        {"timesteps-are-exact", test_exact_timesteps},
    };

    g_test_init(&argc, &argv, NULL);
    for (guint i = 0; i < G_N_ELEMENTS(tests); i++) {
        for (guint j = 0; j < G_N_ELEMENTS(variants); j++) {
            g_autofree char *path =
                g_strdup_printf("/graph/%s/%s", variants[j].name, tests[i].name);

            g_test_add(path, Fixture, &variants[j], set_up, tests[i].func, tear_down);
        }
    }
    g_test_add_func("/graph/float64-outputs-are-not-rounded", test_float64_output);
    return g_test_run();
}

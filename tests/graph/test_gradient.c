/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Reverse mode on the graph: random networks of everything that a UNet does, their gradients
 * against central differences on the float64 reference, pruned to what is asked for, and to the bit
 * the same however many blocks are recomputed and, within rounding, on every device.
 */
#include <math.h>
#include <string.h>

#include "engine/graph/gradient.h"
#include "engine/graph/graph_internal.h"

#define WIDTH  16
#define TOKENS 5
#define RANK   2

static float *random_values(GRand *random, gint64 n, double amplitude)
{
    float *values = g_new(float, n);

    for (gint64 i = 0; i < n; i++)
        values[i] = (float)(amplitude * g_rand_double_range(random, -1.0, 1.0));
    return values;
}

/* Arrays of a network live as long as its graphs; made anew from the seed for each. */
static W2wArray *weight(GPtrArray *arrays, GRand *random, guint n_dims, const gint64 *shape,
                        double amplitude)
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
    g_ptr_array_add(arrays, array);
    return array;
}

#define ARRAY(amplitude, ...)                                                                      \
    weight(arrays, random, G_N_ELEMENTS(((gint64[]){__VA_ARGS__})), (gint64[]){__VA_ARGS__},       \
           amplitude)

/* Inputs that gradients are asked for, by name. */
static const char *const source_names[] = {"a0", "b0", "a1", "b1", "image_bias", "everywhere"};
#define N_SOURCES G_N_ELEMENTS(source_names)

typedef struct {
    guint32 seed;
    gboolean whole_graph; /* with gradients */
    guint n_recomputed;
} Network;

/*
 * A stretch of UNet with skips, blocks ending where models end them. Which ops follow each other is
 * the seed's choice.
 */
static W2wGraph *record(const Network *network, GPtrArray *arrays)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(network->seed);
    const gint h = g_rand_int_range(random, 3, 7), w = g_rand_int_range(random, 3, 7);
    const W2wConv2dParams same = {.kernel = 3, .stride = 1, .padding = 1};
    const W2wConv2dParams half =
        g_rand_boolean(random) ? (W2wConv2dParams){.kernel = 3, .stride = 2, .padding = 1}
                               : (W2wConv2dParams){.kernel = 3, .stride = 2, .asymmetric = TRUE};
    W2wGraph *graph = w2w_graph_new();
    W2wTensor *text = w2w_graph_kept_input(graph, "text", (W2wShape){2, 1, TOKENS, WIDTH});
    W2wTensor *image_bias = w2w_graph_input(graph, "image_bias", (W2wShape){2, 1, 1, WIDTH});
    W2wTensor *everywhere = w2w_graph_input(graph, "everywhere", (W2wShape){1, h, w, WIDTH});
    W2wTensor *x = w2w_graph_input(graph, "x", (W2wShape){2, h, w, WIDTH});
    W2wTensor *sources[N_SOURCES], *gradients[N_SOURCES], *d_loss;
    W2wTensor *target, *mask, *loss, *skip, *t, *q, *k, *v, *residual;
    W2wShape shape;

    /* A resnet whose image bias is a source; what comes before it needs no gradient. */
    t = w2w_group_norm(graph, x, ARRAY(1.0, WIDTH), ARRAY(0.5, WIDTH), 4, 1e-5f);
    t = w2w_activation(graph, t, W2W_ACTIVATION_SILU);
    t = w2w_conv2d(graph, t, ARRAY(0.15, WIDTH, WIDTH, 3, 3), ARRAY(0.5, WIDTH), &same);
    t = w2w_add(graph, t, image_bias);
    t = w2w_add(graph, t, everywhere);
    t = w2w_group_norm(graph, t, ARRAY(1.0, WIDTH), ARRAY(0.5, WIDTH), 8, 1e-5f);
    t = w2w_activation(graph, t, W2W_ACTIVATION_SILU);
    t = w2w_conv2d(graph, t, ARRAY(0.15, WIDTH, WIDTH, 3, 3), ARRAY(0.5, WIDTH), &same);
    skip = t = w2w_add(graph, t, x);
    w2w_graph_end_block(graph, t);
    /* Down, */
    t = w2w_conv2d(graph, t, ARRAY(0.15, WIDTH, WIDTH, 3, 3), ARRAY(0.5, WIDTH), &half);
    w2w_graph_end_block(graph, t);
    /* a transformer with a LoRA on its query (of the picture) and value (of the text), */
    residual = t;
    t = w2w_layer_norm(graph, t, ARRAY(1.0, WIDTH), ARRAY(0.5, WIDTH), 1e-5f);
    for (guint i = 0; i < 2; i++) {
        const gboolean is_self = g_rand_boolean(random);
        g_autofree char *a_name = g_strdup_printf("a%u", i);
        g_autofree char *b_name = g_strdup_printf("b%u", i);
        W2wTensor *a = w2w_graph_input(graph, a_name, (W2wShape){1, 1, i == 0 ? RANK : 1, WIDTH});
        W2wTensor *b = w2w_graph_input(graph, b_name, (W2wShape){1, 1, WIDTH, i == 0 ? RANK : 1});
        W2wTensor *context = is_self ? t : text;
        const gboolean on_query = g_rand_boolean(random);

        q = on_query ? w2w_linear_lora(graph, t, ARRAY(0.4, WIDTH, WIDTH), NULL, a, b, 1.5f)
                     : w2w_linear(graph, t, ARRAY(0.4, WIDTH, WIDTH), NULL);
        k = w2w_linear(graph, context, ARRAY(0.4, WIDTH, WIDTH), NULL);
        v = on_query ? w2w_linear(graph, context, ARRAY(0.4, WIDTH, WIDTH), NULL)
                     : w2w_linear_lora(graph, context, ARRAY(0.4, WIDTH, WIDTH), NULL, a, b, 1.5f);
        t = w2w_attention(graph, q, k, v, 2, is_self && g_rand_boolean(random));
        t = w2w_linear(graph, t, ARRAY(0.4, WIDTH, WIDTH), ARRAY(0.5, WIDTH));
        residual = t = w2w_add(graph, t, residual);
        t = w2w_layer_norm(graph, t, ARRAY(1.0, WIDTH), ARRAY(0.5, WIDTH), 1e-5f);
    }
    t = w2w_linear(graph, t, ARRAY(0.4, 4 * WIDTH, WIDTH), ARRAY(0.5, 4 * WIDTH));
    t = w2w_geglu(graph, t);
    t = w2w_linear(graph, t, ARRAY(0.3, WIDTH, 2 * WIDTH), ARRAY(0.5, WIDTH));
    t = w2w_add(graph, t, residual);
    w2w_graph_end_block(graph, t);
    /* and up again to the skip, with other activations than a UNet's on the way out. */
    shape = w2w_tensor_get_shape(skip);
    t = w2w_upsample(graph, t, shape.h, shape.w);
    t = w2w_conv2d(graph, t, ARRAY(0.15, WIDTH, WIDTH, 3, 3), ARRAY(0.5, WIDTH), &same);
    w2w_graph_end_block(graph, t);
    t = w2w_concat(graph, t, skip);
    t = w2w_group_norm(graph, t, ARRAY(1.0, 2 * WIDTH), ARRAY(0.5, 2 * WIDTH), 4, 1e-5f);
    t = w2w_activation(graph, t,
                       g_rand_boolean(random) ? W2W_ACTIVATION_GELU : W2W_ACTIVATION_QUICK_GELU);
    t = w2w_conv2d(graph, t, ARRAY(0.1, 3, 2 * WIDTH, 3, 3), ARRAY(0.5, 3), &same);
    w2w_graph_output(graph, "prediction", t);
    target = w2w_graph_input(graph, "target", w2w_tensor_get_shape(t));
    shape.c = 1;
    mask = w2w_graph_input(graph, "mask", shape);
    loss = w2w_masked_mse(graph, t, target, mask);
    w2w_graph_output(graph, "loss", loss);
    if (!network->whole_graph)
        return graph;
    d_loss = w2w_graph_input(graph, "d_loss", (W2wShape){2, 1, 1, 1});
    for (guint i = 0; i < N_SOURCES; i++)
        sources[i] = w2w_graph_get_input(graph, source_names[i]);
    w2w_graph_differentiate(graph, loss, d_loss, sources, N_SOURCES, network->n_recomputed,
                            gradients);
    for (guint i = 0; i < N_SOURCES; i++) {
        g_autofree char *name = g_strconcat(source_names[i], ".gradient", NULL);

        w2w_graph_output(graph, name, gradients[i]);
    }
    return graph;
}

static W2wDevice *open_device(const char *name, W2wComputeType type)
{
    const W2wDeviceOptions options = {.n_threads = 2, .compute_type = type};
    g_autoptr(GError) error = NULL;
    W2wDevice *device = w2w_device_new(name, &options, &error);

    g_assert_no_error(error);
    return device;
}

/* Plans the network and sets all inputs to what the seed says; `values`: by input, kept. */
static W2wPlan *plan_network(const Network *network, W2wDevice *device, GPtrArray *arrays,
                             GHashTable *values)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GRand) random = g_rand_new_with_seed(network->seed + 1);
    W2wPlan *plan = w2w_plan_new(record(network, arrays), device, W2W_PLAN_DEFAULT, &error);
    const char *const *names;

    g_assert_no_error(error);
    names = w2w_plan_get_input_names(plan);
    for (guint i = 0; names[i] != NULL; i++) {
        const gint64 n = w2w_shape_n_elements(w2w_plan_get_input_shape(plan, names[i]));
        float *input = random_values(random, n, 0.7);

        w2w_plan_set_input(plan, names[i], input);
        g_hash_table_insert(values, g_strdup(names[i]), input);
    }
    return plan;
}

static GHashTable *values_new(void)
{
    return g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
}

/* Σ d_loss · loss with one element of a source set to `value`. */
static double evaluate_at(W2wPlan *plan, const char *source, float *input, gint64 i, float value,
                          const float *d_loss)
{
    const float before = input[i];
    double losses[2];

    input[i] = value;
    w2w_plan_set_input(plan, source, input);
    w2w_plan_replay(plan);
    w2w_plan_get_output_f64(plan, "loss", losses);
    input[i] = before;
    return losses[0] * d_loss[0] + losses[1] * d_loss[1];
}

/*
 * What a difference misses is a sixth of the step's square times the third derivative, which here
 * is at most some ten times the first: 10⁻⁷ of the largest gradient.
 */
#define STEP             0x1p-13f
#define DIFFERENCE_ERROR 1e-7

static void test_central_differences(void)
{
    W2wDevice *device = open_device("reference", W2W_COMPUTE_F64);

    for (guint32 seed = 1; seed <= 4; seed++) {
        const Network network = {seed, TRUE, seed % 3};
        g_autoptr(GPtrArray) arrays =
            g_ptr_array_new_with_free_func((GDestroyNotify)w2w_array_unref);
        g_autoptr(GHashTable) values = values_new();
        g_autoptr(W2wPlan) plan = plan_network(&network, device, arrays, values);
        const float *d_loss = g_hash_table_lookup(values, "d_loss");

        for (guint s = 0; s < N_SOURCES; s++) {
            const char *source = source_names[s];
            g_autofree char *name = g_strconcat(source, ".gradient", NULL);
            const gint64 n = w2w_shape_n_elements(w2w_plan_get_output_shape(plan, name));
            g_autofree double *gradient = g_new(double, n);
            float *input = g_hash_table_lookup(values, source);
            double largest = 0.0, error = 0.0;

            w2w_plan_replay(plan);
            w2w_plan_get_output_f64(plan, name, gradient);
            for (gint64 i = 0; i < n; i += 7) { /* prime to every width */
                const float above = input[i] + STEP, below = input[i] - STEP;
                const double difference = evaluate_at(plan, source, input, i, above, d_loss) -
                                          evaluate_at(plan, source, input, i, below, d_loss);

                largest = MAX(largest, fabs(gradient[i]));
                error = MAX(error, fabs(difference / ((double)above - below) - gradient[i]));
            }
            w2w_plan_set_input(plan, source, input);
            g_test_message("%s: up to %.3g, differences miss %.3g", source, largest, error);
            g_assert_cmpfloat(error, <, DIFFERENCE_ERROR * largest); /* so it is not 0 either */
        }
    }
    w2w_device_free(device);
}

/* Whatever is recomputed, on every device, all bits are the same. */
static void test_recomputing(gconstpointer device_name)
{
    W2wDevice *device = open_device(device_name, W2W_COMPUTE_F32);

    for (guint32 seed = 1; seed <= 6; seed++) {
        g_autoptr(GHashTable) expected = values_new();
        gsize last_arena = 0;

        for (guint n_recomputed = 0; n_recomputed <= 4; n_recomputed++) {
            const Network network = {seed, TRUE, n_recomputed};
            g_autoptr(GPtrArray) arrays =
                g_ptr_array_new_with_free_func((GDestroyNotify)w2w_array_unref);
            g_autoptr(GHashTable) values = values_new();
            g_autoptr(W2wPlan) plan = plan_network(&network, device, arrays, values);
            const char *const *names = w2w_plan_get_output_names(plan);

            w2w_plan_replay(plan);
            for (guint i = 0; names[i] != NULL; i++) {
                const gint64 n = w2w_shape_n_elements(w2w_plan_get_output_shape(plan, names[i]));
                float *output = g_new(float, n);

                w2w_plan_get_output(plan, names[i], output);
                if (n_recomputed > 0) {
                    g_assert_cmpmem(output, n * sizeof *output,
                                    g_hash_table_lookup(expected, names[i]), n * sizeof *output);
                    g_free(output);
                } else {
                    g_hash_table_insert(expected, g_strdup(names[i]), output);
                }
            }
            if (n_recomputed == 0)
                last_arena = w2w_plan_get_info(plan).n_ops;
            else
                g_assert_cmpuint(w2w_plan_get_info(plan).n_ops, >, last_arena);
        }
    }
    w2w_device_free(device);
}

/* float32 within rounding of the definition: sums of some hundred terms of order 1. */
static void test_devices(gconstpointer device_name)
{
    W2wDevice *exact = open_device("reference", W2W_COMPUTE_F64);
    W2wDevice *device = open_device(device_name, W2W_COMPUTE_F32);

    for (guint32 seed = 1; seed <= 12; seed++) {
        const Network network = {seed, TRUE, 0};
        g_autoptr(GPtrArray) arrays =
            g_ptr_array_new_with_free_func((GDestroyNotify)w2w_array_unref);
        g_autoptr(GHashTable) values = values_new();
        g_autoptr(W2wPlan) plan = plan_network(&network, device, arrays, values);
        g_autoptr(W2wPlan) definition = plan_network(&network, exact, arrays, values);
        const char *const *names = w2w_plan_get_output_names(plan);

        w2w_plan_replay(plan);
        w2w_plan_replay(definition);
        for (guint i = 0; names[i] != NULL; i++) {
            const gint64 n = w2w_shape_n_elements(w2w_plan_get_output_shape(plan, names[i]));
            g_autofree float *output = g_new(float, n);
            g_autofree double *expected = g_new(double, n);
            double largest = 0.0, error = 0.0;

            w2w_plan_get_output(plan, names[i], output);
            w2w_plan_get_output_f64(definition, names[i], expected);
            for (gint64 e = 0; e < n; e++) {
                largest = MAX(largest, fabs(expected[e]));
                error = MAX(error, fabs(output[e] - expected[e]));
            }
            g_assert_cmpfloat(error, <, 2e-5 * largest);
        }
    }
    w2w_device_free(device);
    w2w_device_free(exact);
}

static guint count_ops(const W2wGraph *graph, W2wOpKind kind)
{
    guint n = 0;

    for (guint i = 0; i < graph->tensors->len; i++) {
        const W2wTensor *tensor = graph->tensors->pdata[i];

        n += tensor->input_name == NULL && tensor->op.kind == kind;
    }
    return n;
}

/*
 * One source near the end: the way back goes no further than to it. No op makes anything of the
 * shape of a frozen weight, since there is none that could.
 */
static void test_pruned(void)
{
    g_autoptr(GPtrArray) arrays = g_ptr_array_new_with_free_func((GDestroyNotify)w2w_array_unref);
    const Network network = {1, FALSE, 0};
    W2wGraph *graph = record(&network, arrays);
    W2wTensor *loss = w2w_graph_get_output(graph, "loss");
    W2wTensor *d_loss = w2w_graph_input(graph, "d_loss", (W2wShape){2, 1, 1, 1});
    W2wTensor *sources[] = {w2w_graph_get_input(graph, "b1"), w2w_graph_get_input(graph, "x"),
                            w2w_graph_get_input(graph, "text")};
    W2wTensor *gradients[3];
    const guint n_before = graph->tensors->len;
    const guint n_convolutions = count_ops(graph, W2W_OP_CONV2D);

    w2w_graph_differentiate(graph, loss, d_loss, sources, 1, 0, gradients);
    g_assert_nonnull(gradients[0]);
    /* Of five convolutions the two after the transformer; neither the first resnet nor its norms.
     */
    g_assert_cmpuint(count_ops(graph, W2W_OP_CONV2D) - n_convolutions, ==, 2);
    g_assert_cmpuint(count_ops(graph, W2W_OP_GROUP_NORM_GRADIENT), ==, 1);
    g_assert_cmpuint(count_ops(graph, W2W_OP_ATTENTION_GRADIENT), ==, 1);
    g_assert_cmpuint(count_ops(graph, W2W_OP_LORA_GRADIENT), ==, 1);
    g_assert_cmpuint(graph->tensors->len - n_before, <, n_before);
    w2w_graph_free(graph);
}

/* What the output does not depend on has none. */
static void test_independent(void)
{
    W2wGraph *graph = w2w_graph_new();
    W2wTensor *x = w2w_graph_input(graph, "x", (W2wShape){1, 2, 2, 4});
    W2wTensor *other = w2w_graph_input(graph, "other", (W2wShape){1, 2, 2, 4});
    W2wTensor *d = w2w_graph_input(graph, "d", (W2wShape){1, 2, 2, 4});
    W2wTensor *y = w2w_activation(graph, x, W2W_ACTIVATION_SILU);
    W2wTensor *sources[] = {other, x}, *gradients[2];

    w2w_graph_differentiate(graph, y, d, sources, 2, 0, gradients);
    g_assert_null(gradients[0]);
    g_assert_nonnull(gradients[1]);
    w2w_graph_free(graph);
}

/* What measuring says is what a plan then takes; and nothing is packed for it. */
static void test_measure(gconstpointer device_name)
{
    W2wDevice *device = open_device(device_name, W2W_COMPUTE_F32);
    const Network network = {2, TRUE, 1};
    g_autoptr(GPtrArray) arrays = g_ptr_array_new_with_free_func((GDestroyNotify)w2w_array_unref);
    g_autoptr(GHashTable) values = values_new();
    g_autoptr(GError) error = NULL;
    W2wPlanInfo before, again;
    W2wPlan *plan;

    w2w_plan_measure(record(&network, arrays), device, W2W_PLAN_DEFAULT, &before, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(before.weight_bytes, >, 0);
    plan = plan_network(&network, device, arrays, values);
    g_assert_cmpuint(w2w_plan_get_info(plan).arena_bytes, ==, before.arena_bytes);
    g_assert_cmpuint(w2w_plan_get_info(plan).n_ops, ==, before.n_ops);
    w2w_plan_free(plan);
    w2w_plan_measure(record(&network, arrays), device, W2W_PLAN_DEFAULT, &again, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(again.weight_bytes, ==, before.weight_bytes);
    w2w_device_free(device);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/gradient/central-differences", test_central_differences);
    g_test_add_func("/gradient/pruned", test_pruned);
    g_test_add_func("/gradient/independent", test_independent);
    for (guint i = 0; w2w_device_names[i] != NULL; i++) {
        const char *device = w2w_device_names[i];
        g_autofree char *recomputing = g_strdup_printf("/gradient/recomputing/%s", device);
        g_autofree char *devices = g_strdup_printf("/gradient/devices/%s", device);
        g_autofree char *measure = g_strdup_printf("/gradient/measure/%s", device);

        g_test_add_data_func(recomputing, device, test_recomputing);
        g_test_add_data_func(devices, device, test_devices);
        g_test_add_data_func(measure, device, test_measure);
    }
    return g_test_run();
}

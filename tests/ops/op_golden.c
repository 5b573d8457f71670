/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Ops against PyTorch's: outputs and gradients of ops.safetensors in the golden folder. */
#include "tests/ops/op_test.h"

/* (n,a,b,d) → (n,b,a,d) */
static float *swap_axes(const float *values, gint64 n, gint64 a, gint64 b, gint64 d)
{
    float *swapped = g_new(float, n *a *b *d);

    for (gint64 i = 0; i < n; i++)
        for (gint64 j = 0; j < a; j++)
            for (gint64 k = 0; k < b; k++)
                for (gint64 l = 0; l < d; l++)
                    swapped[((i * b + k) * a + j) * d + l] = values[((i * a + j) * b + k) * d + l];
    return swapped;
}

/* As a kernel sees an array of this layout. */
static W2wShape shape_of(const W2wArray *array, W2wGoldenLayout layout)
{
    const gint64 *size = array->shape;

    switch (layout) {
    case W2W_GOLDEN_NCHW:
        g_assert_cmpuint(array->n_dims, ==, 4);
        return (W2wShape){(gint)size[0], (gint)size[2], (gint)size[3], (gint)size[1]};
    case W2W_GOLDEN_HEADS:
        g_assert_cmpuint(array->n_dims, ==, 4);
        return (W2wShape){(gint)size[0], 1, (gint)size[2], (gint)(size[1] * size[3])};
    case W2W_GOLDEN_ROWS:
        break;
    }
    g_assert_cmpuint(array->n_dims, >=, 1);
    return (W2wShape){
        array->n_dims > 2 ? (gint)size[0] : 1, 1,
        (gint)(array->n_elements / size[array->n_dims - 1] / (array->n_dims > 2 ? size[0] : 1)),
        (gint)size[array->n_dims - 1]};
}

/* From the file's layout to the kernels', or back. */
static float *relayout(const W2wArray *array, W2wGoldenLayout layout, const float *values,
                       gboolean back)
{
    const gint64 *size = array->shape;
    gint64 a = 1, b = 1, d = 1, n = 1;

    if (layout == W2W_GOLDEN_ROWS)
        n = array->n_elements;
    else if (layout == W2W_GOLDEN_NCHW)
        n = size[0], a = size[1], b = size[2] * size[3];
    else
        n = size[0], a = size[1], b = size[2], d = size[3];
    return back ? swap_axes(values, n, b, a, d) : swap_axes(values, n, a, b, d);
}

W2wArray *w2w_op_golden_peek(const W2wOpGolden *entry, const char *suffix)
{
    g_autofree char *key = g_strdup_printf("%s.%s", entry->name, suffix);

    return w2w_safetensors_peek(w2w_golden_get_file(entry->golden, "ops"), key);
}

float *w2w_op_golden_get(const W2wOpGolden *entry, const char *suffix, W2wGoldenLayout layout,
                         W2wShape *shape)
{
    g_autofree char *key = g_strdup_printf("%s.%s", entry->name, suffix);
    const W2wArray *array = w2w_golden_get(entry->golden, "ops", key);
    g_autofree float *values = w2w_golden_get_f32(entry->golden, "ops", key);

    *shape = shape_of(array, layout);
    return relayout(array, layout, values, FALSE);
}

typedef struct {
    const W2wOpGolden *entry;
    const W2wOpCase *test;
    W2wGoldenLayout layout;
} Check;

static void check_device(W2wDevice *device, const char *label, gpointer data)
{
    const Check *check = data;
    g_autofree char *key = g_strconcat(check->entry->name, ".out", NULL);
    const W2wArray *expected = w2w_golden_get(check->entry->golden, "ops", key);
    g_autofree float *rows = NULL, *actual = NULL;

    /* PyTorch computed in float32; bfloat16 is checked against the reference. */
    if (w2w_device_get_compute_type(device) == W2W_COMPUTE_BF16)
        return;
    rows = w2w_op_case_run(check->test, device);
    actual = relayout(expected, check->layout, rows, TRUE);
    g_test_message("%s on %s", check->entry->name, label);
    w2w_golden_compare(check->entry->golden, "ops", key, NULL, actual);
}

/* --- gradients --- */

/* Which of the file's inputs are activations (weights are frozen: no op has their gradient). */
static gint slot_of_input(const W2wOpCase *forward, gint index)
{
    switch (forward->op.kind) {
    case W2W_OP_TIMESTEP_EMBEDDING:
        return -1;
    case W2W_OP_ATTENTION:
        return index <= W2W_SLOT_VALUE ? index : -1;
    case W2W_OP_LINEAR:
        if (forward->in[W2W_SLOT_LORA_A] != NULL && index == 2)
            return W2W_SLOT_LORA_A;
        if (forward->in[W2W_SLOT_LORA_B] != NULL && index == 3)
            return W2W_SLOT_LORA_B;
        break;
    default:
        break;
    }
    return index == 0 ? W2W_SLOT_X : -1;
}

typedef struct {
    const W2wOpGolden *entry;
    const W2wOpCase *test; /* the op of the gradient … */
    gint64 first;          /* … which begins here in its output */
    const char *key;       /* "geglu.d_in0" */
    W2wGoldenLayout layout;
} GradientCheck;

static void check_gradient(W2wDevice *device, const char *label, gpointer data)
{
    const GradientCheck *check = data;
    const W2wArray *expected = w2w_golden_get(check->entry->golden, "ops", check->key);
    g_autofree float *out = NULL, *actual = NULL;

    if (w2w_device_get_compute_type(device) == W2W_COMPUTE_BF16)
        return;
    out = w2w_op_case_run(check->test, device);
    actual = relayout(expected, check->layout, out + check->first, TRUE);
    g_test_message("%s on %s", check->key, label);
    w2w_golden_compare(check->entry->golden, "ops", check->key, NULL, actual);
}

/* As the layout of `of` ("in0"), where the op's outputs are of `layout`. */
static W2wGoldenLayout input_layout(const W2wOpGolden *entry, const char *of,
                                    W2wGoldenLayout layout)
{
    if (layout == W2W_GOLDEN_HEADS)
        return layout;
    return w2w_op_golden_peek(entry, of)->n_dims == 4 ? W2W_GOLDEN_NCHW : W2W_GOLDEN_ROWS;
}

/* How many there were: all of the entry's, or none where the file has no gradients of it. */
static guint check_gradients(const W2wOpGolden *entry, const W2wOpCase *forward,
                             W2wGoldenLayout out_layout)
{
    guint n = 0;

    if (w2w_op_golden_peek(entry, "d_out") == NULL)
        return 0;
    for (gint index = 0; index < W2W_N_SLOTS; index++) {
        const gint slot = slot_of_input(forward, index);
        g_autofree char *input = g_strdup_printf("in%d", index);
        g_autofree char *key = g_strdup_printf("%s.d_in%d", entry->name, index);
        g_autofree float *d_out = NULL;
        g_autoptr(W2wOpCase) gradient = NULL;
        GradientCheck check = {.entry = entry, .key = key};
        W2wShape shape;

        if (slot < 0)
            continue;
        d_out = w2w_op_golden_get(entry, "d_out", out_layout, &shape);
        gradient = w2w_op_case_new_gradient(forward, slot, d_out, &check.first);
        check.test = gradient;
        check.layout = input_layout(entry, input, out_layout);
        w2w_op_test_each_device(check_gradient, &check);
        n++;
    }
    return n;
}

void w2w_op_golden_check(W2wOpKind kind, const char *prefix, W2wGoldenLayout out_layout,
                         W2wOpGoldenFunc build)
{
    g_autoptr(W2wGolden) golden = w2w_golden_open(NULL);
    const char *const *keys = w2w_safetensors_get_keys(w2w_golden_get_file(golden, "ops"));
    JsonObject *all = json_object_get_object_member(w2w_golden_get_params(golden), "ops");
    g_autoptr(JsonObject) none = json_object_new();
    guint n_entries = 0, n_gradients = 0;

    for (gsize i = 0; keys[i] != NULL; i++) {
        g_autofree char *name = NULL;
        g_autoptr(W2wOpCase) test = NULL;
        W2wOpGolden entry = {golden, NULL, none};
        JsonNode *params;
        Check check;

        if (!g_str_has_prefix(keys[i], prefix) || !g_str_has_suffix(keys[i], ".out"))
            continue;
        entry.name = name = g_strndup(keys[i], strlen(keys[i]) - strlen(".out"));
        params = json_object_get_member(all, name);
        if (params != NULL && JSON_NODE_HOLDS_OBJECT(params))
            entry.params = json_node_get_object(params);
        test = w2w_op_case_new(kind, name);
        test->op.out = shape_of(w2w_golden_get(golden, "ops", keys[i]), out_layout);
        build(&entry, test);
        check = (Check){&entry, test, out_layout};
        w2w_op_test_each_device(check_device, &check);
        n_gradients += check_gradients(&entry, test, out_layout);
        n_entries++;
    }
    g_assert_cmpuint(n_entries, >, 0);
    g_assert_true(n_gradients > 0 || kind == W2W_OP_TIMESTEP_EMBEDDING); /* no LoRA before it */
}

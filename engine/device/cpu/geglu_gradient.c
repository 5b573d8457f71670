/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The gate's gradient: of u · gelu(g), d_u = d_out · gelu(g) and d_g = d_out · u · gelu'(g). */
#include "engine/device/cpu/cpu.h"
#include "engine/device/cpu/task_split.h"
#include "engine/device/cpu/vector_math.h"

typedef struct {
    W2wKernel parent;
    gint64 n_channels; /* of the forward op's output */
    W2wTaskSplit split;
} GegluGradientKernel;

typedef struct {
    const GegluGradientKernel *kernel;
    const float *x, *d_out;
    float *out;
} GradientJob;

static void gradient_rows(gconstpointer data, guint task, guint thread)
{
    const GradientJob *job = data;
    const gint64 n = job->kernel->n_channels, end = w2w_task_end(&job->kernel->split, task);

    for (gint64 row = w2w_task_begin(&job->kernel->split, task); row < end; row++) {
        const float *value = job->x + row * 2 * n, *gate = value + n, *d_out = job->d_out + row * n;
        float *d_value = job->out + row * 2 * n, *d_gate = d_value + n;
        w2w_v gelu, d_gelu;
        gint64 i = 0;

        for (; i + W2W_VECTOR_WIDTH <= n; i += W2W_VECTOR_WIDTH) {
            const w2w_v d = w2w_v_load(d_out + i);

            gelu = w2w_v_gelu_and_d_gelu(w2w_v_load(gate + i), &d_gelu);
            w2w_v_store(d_value + i, d * gelu);
            w2w_v_store(d_gate + i, d * w2w_v_load(value + i) * d_gelu);
        }
        if (i < n) {
            const gsize rest = (gsize)(n - i);
            const w2w_v d = w2w_v_load_first(d_out + i, rest);

            gelu = w2w_v_gelu_and_d_gelu(w2w_v_load_first(gate + i, rest), &d_gelu);
            w2w_v_store_first(d_value + i, d * gelu, rest);
            w2w_v_store_first(d_gate + i, d * w2w_v_load_first(value + i, rest) * d_gelu, rest);
        }
    }
}

static void run(const W2wKernel *parent, const W2wOperands *operands)
{
    const GegluGradientKernel *kernel = (const GegluGradientKernel *)parent;
    const GradientJob job = {kernel, operands->in[W2W_SLOT_X], operands->in[W2W_SLOT_D_OUT],
                             operands->out};

    w2w_thread_pool_run(w2w_cpu_pool(parent), kernel->split.n_tasks, gradient_rows, &job);
}

static void geglu_gradient_free(W2wKernel *kernel)
{
    g_free(kernel);
}

W2wKernel *W2W_CPU_SYMBOL(prepare_geglu_gradient)(W2wDevice *device, const W2wOp *op,
                                                  GError **error)
{
    GegluGradientKernel *kernel = g_new0(GegluGradientKernel, 1);

    kernel->parent = (W2wKernel){.device = device, .run = run, .free = geglu_gradient_free};
    kernel->n_channels = op->out.c / 2;
    kernel->split =
        w2w_task_split(w2w_shape_n_rows(op->out), kernel->n_channels, W2W_TASK_ELEMENTS_EXP);
    return &kernel->parent;
}

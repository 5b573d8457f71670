/* SPDX-License-Identifier: GPL-3.0-or-later */
/* d_x = d_out · f'(x), element by element, for an activation on its own. */
#include "engine/device/cpu/cpu.h"
#include "engine/device/cpu/task_split.h"
#include "engine/device/cpu/vector_math.h"
#include "engine/error.h"

typedef struct {
    W2wKernel parent;
    W2wTaskFunc apply;
    W2wTaskSplit split; /* elements */
} ActivationGradientKernel;

typedef struct {
    const W2wTaskSplit *split;
    const float *x, *d_out;
    float *out;
} GradientJob;

W2W_INLINE w2w_v d_none(w2w_v x)
{
    return w2w_v_set(1.0f);
}

W2W_INLINE w2w_v d_silu(w2w_v x)
{
    return w2w_v_d_silu(x, 1.0f);
}

W2W_INLINE w2w_v d_quick_gelu(w2w_v x)
{
    return w2w_v_d_silu(x, 1.702f);
}

W2W_INLINE w2w_v d_gelu(w2w_v x)
{
    w2w_v derivative;

    w2w_v_gelu_and_d_gelu(x, &derivative);
    return derivative;
}

#define DEFINE_APPLY(derivative)                                                                   \
    static void apply_##derivative(gconstpointer data, guint task, guint thread)                   \
    {                                                                                              \
        const GradientJob *job = data;                                                             \
        const gint64 end = w2w_task_end(job->split, task);                                         \
        gint64 i = w2w_task_begin(job->split, task);                                               \
                                                                                                   \
        for (; i + W2W_VECTOR_WIDTH <= end; i += W2W_VECTOR_WIDTH)                                 \
            w2w_v_store(job->out + i,                                                              \
                        w2w_v_load(job->d_out + i) * derivative(w2w_v_load(job->x + i)));          \
        if (i < end) {                                                                             \
            const gsize n = (gsize)(end - i);                                                      \
            w2w_v_store_first(job->out + i,                                                        \
                              w2w_v_load_first(job->d_out + i, n) *                                \
                                  derivative(w2w_v_load_first(job->x + i, n)),                     \
                              n);                                                                  \
        }                                                                                          \
    }

DEFINE_APPLY(d_none)
DEFINE_APPLY(d_silu)
DEFINE_APPLY(d_gelu)
DEFINE_APPLY(d_quick_gelu)

static const W2wTaskFunc apply_functions[] = {
    [W2W_ACTIVATION_NONE] = apply_d_none,
    [W2W_ACTIVATION_SILU] = apply_d_silu,
    [W2W_ACTIVATION_GELU] = apply_d_gelu,
    [W2W_ACTIVATION_QUICK_GELU] = apply_d_quick_gelu,
};

static void run(const W2wKernel *parent, const W2wOperands *operands)
{
    const ActivationGradientKernel *kernel = (const ActivationGradientKernel *)parent;
    const GradientJob job = {&kernel->split, operands->in[W2W_SLOT_X], operands->in[W2W_SLOT_D_OUT],
                             operands->out};

    w2w_thread_pool_run(w2w_cpu_pool(parent), kernel->split.n_tasks, kernel->apply, &job);
}

static void activation_gradient_free(W2wKernel *kernel)
{
    g_free(kernel);
}

W2wKernel *W2W_CPU_SYMBOL(prepare_activation_gradient)(W2wDevice *device, const W2wOp *op,
                                                       GError **error)
{
    ActivationGradientKernel *kernel;

    if ((guint)op->activation >= G_N_ELEMENTS(apply_functions)) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_UNSUPPORTED,
                    "The device \"cpu\" has no activation number %d on its own.", op->activation);
        return NULL;
    }
    kernel = g_new0(ActivationGradientKernel, 1);
    kernel->parent = (W2wKernel){.device = device, .run = run, .free = activation_gradient_free};
    kernel->apply = apply_functions[op->activation];
    kernel->split = w2w_task_split(w2w_shape_n_elements(op->out), 1, W2W_TASK_ELEMENTS_EXP);
    return &kernel->parent;
}

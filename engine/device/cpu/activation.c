/* SPDX-License-Identifier: GPL-3.0-or-later */
/* An activation that nothing before it could take along. */
#include "engine/device/cpu/cpu.h"
#include "engine/device/cpu/task_split.h"
#include "engine/device/cpu/vector_math.h"
#include "engine/error.h"

typedef struct {
    W2wKernel parent;
    W2wTaskFunc apply;
    W2wTaskSplit split; /* elements */
} ActivationKernel;

typedef struct {
    const W2wTaskSplit *split;
    const w2w_element *x;
    w2w_element *out;
} ActivationJob;

#define DEFINE_APPLY(name, expression)                                                             \
    static void apply_##name(gconstpointer data, guint task, guint thread)                         \
    {                                                                                              \
        const ActivationJob *job = data;                                                           \
        const gint64 end = w2w_task_end(job->split, task);                                         \
        gint64 i = w2w_task_begin(job->split, task);                                               \
                                                                                                   \
        for (; i + W2W_VECTOR_WIDTH <= end; i += W2W_VECTOR_WIDTH) {                               \
            const w2w_v x = w2w_e_load(job->x + i);                                                \
            w2w_e_store(job->out + i, expression);                                                 \
        }                                                                                          \
        if (i < end) {                                                                             \
            const w2w_v x = w2w_e_load_first(job->x + i, (gsize)(end - i));                        \
            w2w_e_store_first(job->out + i, expression, (gsize)(end - i));                         \
        }                                                                                          \
    }

DEFINE_APPLY(none, x)
DEFINE_APPLY(silu, w2w_v_silu(x))
DEFINE_APPLY(gelu, w2w_v_gelu(x))
DEFINE_APPLY(quick_gelu, w2w_v_quick_gelu(x))

static const W2wTaskFunc apply_functions[] = {
    [W2W_ACTIVATION_NONE] = apply_none,
    [W2W_ACTIVATION_SILU] = apply_silu,
    [W2W_ACTIVATION_GELU] = apply_gelu,
    [W2W_ACTIVATION_QUICK_GELU] = apply_quick_gelu,
};

static void run(const W2wKernel *parent, const W2wOperands *operands)
{
    const ActivationKernel *kernel = (const ActivationKernel *)parent;
    const ActivationJob job = {&kernel->split, operands->in[W2W_SLOT_X], operands->out};

    w2w_thread_pool_run(w2w_cpu_pool(parent), kernel->split.n_tasks, kernel->apply, &job);
}

static void activation_free(W2wKernel *kernel)
{
    g_free(kernel);
}

W2wKernel *W2W_CPU_SYMBOL(prepare_activation)(W2wDevice *device, const W2wOp *op, GError **error)
{
    ActivationKernel *kernel;

    if ((guint)op->activation >= G_N_ELEMENTS(apply_functions)) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_UNSUPPORTED,
                    "The device \"cpu\" has no activation number %d on its own.", op->activation);
        return NULL;
    }
    kernel = g_new0(ActivationKernel, 1);
    kernel->parent = (W2wKernel){.device = device, .run = run, .free = activation_free};
    kernel->apply = apply_functions[op->activation];
    kernel->split = w2w_task_split(w2w_shape_n_elements(op->out), 1, W2W_TASK_ELEMENTS_EXP);
    return &kernel->parent;
}

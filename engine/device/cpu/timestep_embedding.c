/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Sines and cosines of the timestep at falling frequencies.
 *
 * The frequencies and their products with the timestep are rounded to float32 on purpose:
 * the models were trained on those, and at t = 999 the rounding of the angle alone (3e-5)
 * is more than the rest of a network's rounding errors.
 */
#include <math.h>

#include "engine/device/cpu/cpu.h"
#include "engine/device/cpu/vector.h"
#include "engine/memory.h"

typedef struct {
    W2wKernel parent;
    gint64 n_images, n_channels, half;
    gboolean flip_sin_to_cos;
    float *frequency; /* [half] */
} TimestepEmbeddingKernel;

static void run(const W2wKernel *parent, const W2wOperands *operands)
{
    const TimestepEmbeddingKernel *kernel = (const TimestepEmbeddingKernel *)parent;
    const float *timestep = operands->in[W2W_SLOT_X]; /* float32 always, as ids */
    const gint64 half = kernel->half;

    for (gint64 image = 0; image < kernel->n_images; image++) {
        w2w_element *out = (w2w_element *)operands->out + image * kernel->n_channels;
        w2w_element *sines = kernel->flip_sin_to_cos ? out + half : out;
        w2w_element *cosines = kernel->flip_sin_to_cos ? out : out + half;

        for (gint64 i = 0; i < half; i++) {
            const float angle = timestep[image] * kernel->frequency[i];

            sines[i] = w2w_e_from((float)sin((double)angle));
            cosines[i] = w2w_e_from((float)cos((double)angle));
        }
        if (kernel->n_channels > 2 * half) /* odd: the last one stays empty */
            out[2 * half] = 0;
    }
}

static void timestep_embedding_free(W2wKernel *parent)
{
    w2w_aligned_free(((TimestepEmbeddingKernel *)parent)->frequency);
    g_free(parent);
}

W2wKernel *W2W_CPU_SYMBOL(prepare_timestep_embedding)(W2wDevice *device, const W2wOp *op,
                                                      GError **error)
{
    const gint64 half = op->out.c / 2;
    const float log_period = (float)log((double)op->params.timestep_embedding.max_period);
    const float divisor = (float)half - op->params.timestep_embedding.freq_shift;
    float *frequency =
        w2w_aligned_alloc((gsize)half, sizeof(float), "the frequencies of the timesteps", error);
    TimestepEmbeddingKernel *kernel;

    if (frequency == NULL)
        return NULL;
    for (gint64 i = 0; i < half; i++)
        frequency[i] = (float)exp((double)(-log_period * (float)i / divisor));
    kernel = g_new0(TimestepEmbeddingKernel, 1);
    kernel->parent = (W2wKernel){.device = device, .run = run, .free = timestep_embedding_free};
    kernel->n_images = op->out.n;
    kernel->n_channels = op->out.c;
    kernel->half = half;
    kernel->flip_sin_to_cos = op->params.timestep_embedding.flip_sin_to_cos;
    kernel->frequency = frequency;
    return &kernel->parent;
}

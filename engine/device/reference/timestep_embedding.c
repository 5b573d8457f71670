/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * timestep_embedding: (N,1,1,1) → (N,1,1,C). With half = C / 2 and frequencies
 * f_i = exp(−ln(max_period) · i / (half − freq_shift)): sin(t f_0 …), then cos(t f_0 …), or the
 * cosines first with flip_sin_to_cos; an odd C ends in a zero. diffusers:
 * get_timestep_embedding(), scale 1.
 * Frequencies and angles are rounded to float32 as diffusers does in every precision: an
 * angle near 1000 radians moves the sine by more than float32's own rounding, and the
 * models were trained on that.
 */
#include "engine/device/reference/reference.h"

#include <math.h>

static void run(const W2wReferenceKernel *kernel, const double *const *in, double *out,
                double *scratch)
{
    const W2wOp *op = &kernel->op;
    const gint half = op->out.c / 2;
    const gint sines = op->params.timestep_embedding.flip_sin_to_cos ? half : 0;
    const float log_period = (float)log(op->params.timestep_embedding.max_period);
    const float n_steps = (float)half - op->params.timestep_embedding.freq_shift;

    for (gint n = 0; n < op->out.n; n++) {
        const float t = (float)in[W2W_SLOT_X][n];
        const gint64 first = (gint64)n * op->out.c;

        for (gint i = 0; i < half; i++) {
            const float exponent = -log_period * (float)i / n_steps;
            const float angle = t * (float)exp(exponent);

            out[first + sines + i] = sin(angle);
            out[first + half - sines + i] = cos(angle);
        }
        if (op->out.c % 2 != 0)
            out[first + op->out.c - 1] = 0.0;
    }
}

W2wKernel *w2w_reference_prepare_timestep_embedding(W2wDevice *device, const W2wOp *op,
                                                    GError **error)
{
    return w2w_reference_kernel_new(device, op, run, 0, error);
}

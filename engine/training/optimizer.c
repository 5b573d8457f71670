/* SPDX-License-Identifier: GPL-3.0-or-later */
/* torch's Adam, AdamW and clipping of gradients, one float at a time. */
#include "engine/training/optimizer.h"

#include <math.h>
#include <string.h>

#include "engine/memory.h"

/* What clip_grad_norm_ adds to the norm before it divides. */
#define CLIP_EPS 1e-6f

struct _W2wAdam {
    W2wAdamOptions options;
    gsize n;
    guint64 step;
    float *mean;        /* exp_avg (n) */
    float *mean_square; /* exp_avg_sq (n) */
};

W2wAdam *w2w_adam_new(gsize n, const W2wAdamOptions *options, GError **error)
{
    g_autoptr(W2wAdam) adam = g_new0(W2wAdam, 1);

    adam->options = *options;
    adam->n = n;
    adam->mean = w2w_aligned_alloc0(n, sizeof *adam->mean, "the optimizer's moments", error);
    if (adam->mean == NULL)
        return NULL;
    adam->mean_square =
        w2w_aligned_alloc0(n, sizeof *adam->mean_square, "the optimizer's moments", error);
    if (adam->mean_square == NULL)
        return NULL;
    return g_steal_pointer(&adam);
}

void w2w_adam_free(W2wAdam *adam)
{
    if (adam == NULL)
        return;
    w2w_aligned_free(adam->mean);
    w2w_aligned_free(adam->mean_square);
    g_free(adam);
}

void w2w_adam_set_lr(W2wAdam *adam, double lr)
{
    adam->options.lr = lr;
}

void w2w_adam_reset(W2wAdam *adam)
{
    adam->step = 0;
    memset(adam->mean, 0, adam->n * sizeof *adam->mean);
    memset(adam->mean_square, 0, adam->n * sizeof *adam->mean_square);
}

/* Tensor.lerp_: from the nearer end. */
static float lerp(float from, float to, float weight)
{
    return weight < 0.5f ? from + weight * (to - from) : to - (to - from) * (1.0f - weight);
}

void w2w_adam_step(W2wAdam *adam, const float *gradient, float *parameters)
{
    const W2wAdamOptions *options = &adam->options;
    const double step = (double)++adam->step;
    const double correction1 = 1.0 - pow(options->beta1, step);
    const float correction2 = (float)sqrt(1.0 - pow(options->beta2, step));
    const float step_size = (float)(-(options->lr / correction1));
    const float keep =
        options->decoupled ? (float)(1.0 - options->lr * options->weight_decay) : 1.0f;
    const float decay = options->decoupled ? 0.0f : (float)options->weight_decay;
    const float weight1 = (float)(1.0 - options->beta1);
    const float beta2 = (float)options->beta2, weight2 = (float)(1.0 - options->beta2);
    const float eps = (float)options->eps;

    for (gsize i = 0; i < adam->n; i++) {
        const float g = gradient[i] + decay * parameters[i];
        const float mean = lerp(adam->mean[i], g, weight1);
        const float square = adam->mean_square[i] * beta2 + weight2 * g * g;
        const float denominator = sqrtf(square) / correction2 + eps;

        adam->mean[i] = mean;
        adam->mean_square[i] = square;
        parameters[i] = parameters[i] * keep + step_size * mean / denominator;
    }
}

double w2w_clip_gradient_norm_of_segments(float *gradient, const gsize *offsets, guint n_segments,
                                          double max_norm)
{
    double total = 0.0;
    float norm, scale;

    for (guint s = 0; s < n_segments; s++) {
        double sum = 0.0;

        for (gsize i = offsets[s]; i < offsets[s + 1]; i++)
            sum += (double)gradient[i] * (double)gradient[i];
        norm = (float)sqrt(sum);
        total += (double)norm * (double)norm;
    }
    norm = (float)sqrt(total);
    scale = (float)max_norm / (norm + CLIP_EPS);
    if (!(scale >= 1.0f)) /* not a number, too: what is wrong shows */
        for (gsize i = offsets[0]; i < offsets[n_segments]; i++)
            gradient[i] *= scale;
    return (double)norm;
}

double w2w_clip_gradient_norm(float *gradient, gsize n, double max_norm)
{
    const gsize offsets[] = {0, n};

    return w2w_clip_gradient_norm_of_segments(gradient, offsets, 1, max_norm);
}

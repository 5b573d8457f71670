/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * attention: per image and head, out = softmax(scale · q kᵀ) v, where a head is C / n_heads
 * neighbouring columns. PyTorch: F.scaled_dot_product_attention, is_causal: query i sees
 * keys 0 … i.
 */
#include "engine/device/reference/reference.h"

#include <math.h>

/* One query of one head: its columns start at element q of query and output, k of key and value. */
static void attend(const W2wOp *op, const double *const *in, gint64 q, gint64 k, gint n_visible,
                   double *score, double *out)
{
    const gint width = op->out.c / op->params.attention.n_heads;
    const gint64 step = op->out.c;
    const double *query = in[W2W_SLOT_QUERY] + q, *key = in[W2W_SLOT_KEY] + k;
    const double *value = in[W2W_SLOT_VALUE] + k;
    double largest = -INFINITY, sum = 0.0;

    for (gint j = 0; j < n_visible; j++) {
        score[j] = 0.0;
        for (gint i = 0; i < width; i++)
            score[j] += query[i] * key[j * step + i];
        score[j] *= op->params.attention.scale;
        largest = MAX(largest, score[j]);
    }
    for (gint j = 0; j < n_visible; j++) {
        score[j] = exp(score[j] - largest); /* the softmax is the same, and cannot overflow */
        sum += score[j];
    }
    for (gint i = 0; i < width; i++) {
        double y = 0.0;

        for (gint j = 0; j < n_visible; j++)
            y += score[j] * value[j * step + i];
        out[q + i] = y / sum;
    }
}

static void run(const W2wReferenceKernel *kernel, const double *const *in, double *out,
                double *scratch)
{
    const W2wOp *op = &kernel->op;
    const gint n_heads = op->params.attention.n_heads, width = op->out.c / n_heads;
    const gint n_queries = op->out.h * op->out.w;
    const gint n_keys = op->in[W2W_SLOT_KEY].h * op->in[W2W_SLOT_KEY].w;

    for (gint n = 0; n < op->out.n; n++)
        for (gint head = 0; head < n_heads; head++)
            for (gint i = 0; i < n_queries; i++) {
                const gint n_visible = op->params.attention.causal ? MIN(i + 1, n_keys) : n_keys;
                const gint64 q = ((gint64)n * n_queries + i) * op->out.c + head * width;
                const gint64 k = (gint64)n * n_keys * op->out.c + head * width;

                attend(op, in, q, k, n_visible, scratch, out);
            }
}

W2wKernel *w2w_reference_prepare_attention(W2wDevice *device, const W2wOp *op, GError **error)
{
    const gsize n_keys = (gsize)op->in[W2W_SLOT_KEY].h * op->in[W2W_SLOT_KEY].w;

    return w2w_reference_kernel_new(device, op, run, n_keys, error);
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * attention_gradient: per image and head, with P = softmax(scale · q kᵀ): d_v = Pᵀ d_out, and with
 * S = P ⊙ (d_out vᵀ − the row's Σ P ⊙ (d_out vᵀ)): d_q = scale · S k, d_k = scale · Sᵀ q. Those
 * that are wanted are written whole, one after the other. PyTorch: what autograd gives for
 * F.scaled_dot_product_attention.
 */
#include "engine/device/reference/reference.h"

#include <math.h>
#include <string.h>

/* One head of one image. */
typedef struct {
    const double *query, *key, *value, *d_out;
    double *d_query, *d_key, *d_value; /* NULL: not wanted */
    gint n_queries, n_keys, width, step;
    double scale;
    gboolean causal;
} Head;

/* softmax(scale · q kᵀ) of one query. */
static void find_probabilities(const Head *head, const double *query, gint n_visible, double *p)
{
    double largest = -INFINITY, sum = 0.0;

    for (gint j = 0; j < n_visible; j++) {
        p[j] = 0.0;
        for (gint c = 0; c < head->width; c++)
            p[j] += query[c] * head->key[(gint64)j * head->step + c];
        p[j] *= head->scale;
        largest = MAX(largest, p[j]);
    }
    for (gint j = 0; j < n_visible; j++) {
        p[j] = exp(p[j] - largest);
        sum += p[j];
    }
    for (gint j = 0; j < n_visible; j++)
        p[j] /= sum;
}

/* Everything that one query adds; p, s: doubles by n_keys. */
static void add_query(const Head *head, gint i, double *p, double *s)
{
    const gint n_visible = head->causal ? MIN(i + 1, head->n_keys) : head->n_keys;
    const gint64 row = (gint64)i * head->step;
    const double *query = head->query + row, *d_out = head->d_out + row;
    double sum = 0.0;

    find_probabilities(head, query, n_visible, p);
    for (gint j = 0; j < n_visible; j++) {
        s[j] = 0.0;
        for (gint c = 0; c < head->width; c++)
            s[j] += d_out[c] * head->value[(gint64)j * head->step + c];
        sum += p[j] * s[j];
    }
    for (gint j = 0; j < n_visible; j++) {
        const gint64 other = (gint64)j * head->step;

        s[j] = head->scale * p[j] * (s[j] - sum);
        for (gint c = 0; c < head->width; c++) {
            if (head->d_query != NULL)
                head->d_query[row + c] += s[j] * head->key[other + c];
            if (head->d_key != NULL)
                head->d_key[other + c] += s[j] * query[c];
            if (head->d_value != NULL)
                head->d_value[other + c] += p[j] * d_out[c];
        }
    }
}

static void run(const W2wReferenceKernel *kernel, const double *const *in, double *out,
                double *scratch)
{
    const W2wOp *op = &kernel->op;
    const W2wShape query = op->in[W2W_SLOT_QUERY], key = op->in[W2W_SLOT_KEY];
    const gint n_queries = query.h * query.w, n_keys = key.h * key.w, step = op->out.c;
    const gint n_heads = op->params.attention.n_heads, width = step / n_heads;
    double *wanted[3] = {NULL}, *next = out; /* by slot */

    for (gint slot = 0; slot < 3; slot++)
        if (op->params.attention.wanted[slot]) {
            wanted[slot] = next;
            next += w2w_shape_n_elements(op->in[slot]);
        }
    memset(out, 0, (gsize)w2w_shape_n_elements(op->out) * sizeof *out);
    for (gint n = 0; n < query.n; n++)
        for (gint i = 0; i < n_heads; i++) {
            const gint64 q = (gint64)n * n_queries * step + i * width;
            const gint64 k = (gint64)n * n_keys * step + i * width;
            const Head head = {
                .query = in[W2W_SLOT_QUERY] + q,
                .key = in[W2W_SLOT_KEY] + k,
                .value = in[W2W_SLOT_VALUE] + k,
                .d_out = in[W2W_SLOT_ATTENTION_D_OUT] + q,
                .d_query = wanted[W2W_SLOT_QUERY] != NULL ? wanted[W2W_SLOT_QUERY] + q : NULL,
                .d_key = wanted[W2W_SLOT_KEY] != NULL ? wanted[W2W_SLOT_KEY] + k : NULL,
                .d_value = wanted[W2W_SLOT_VALUE] != NULL ? wanted[W2W_SLOT_VALUE] + k : NULL,
                .n_queries = n_queries,
                .n_keys = n_keys,
                .width = width,
                .step = step,
                .scale = op->params.attention.scale,
                .causal = op->params.attention.causal,
            };

            for (gint j = 0; j < n_queries; j++)
                add_query(&head, j, scratch, scratch + n_keys);
        }
}

W2wKernel *w2w_reference_prepare_attention_gradient(W2wDevice *device, const W2wOp *op,
                                                    GError **error)
{
    const gsize n_keys = (gsize)op->in[W2W_SLOT_KEY].h * op->in[W2W_SLOT_KEY].w;

    return w2w_reference_kernel_new(device, op, run, 2 * n_keys, error);
}

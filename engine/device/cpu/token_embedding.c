/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * out[t] = weight[id of t] + position[t].
 *
 * The vocabulary stays in its file, in whatever number format: a run needs 77 of its
 * 49,408 rows, and the whole of it in float32 would be 150 MB. Only the positions are
 * converted when the kernel is prepared. An id that the vocabulary lacks is the nearest one.
 */
#include <string.h>

#include "engine/device/cpu/cpu.h"
#include "engine/device/cpu/vector.h"
#include "engine/memory.h"

typedef struct {
    W2wKernel parent;
    W2wArray *vocabulary;
    gint64 n_rows, n_tokens, n_channels;
    float *position; /* (T,C), or NULL */
} TokenEmbeddingKernel;

static void read_row(const W2wArray *vocabulary, gint64 id, gint64 n_channels, float *out)
{
    const char *row = (const char *)vocabulary->data +
                      id * vocabulary->stride[0] * (gint64)w2w_dtype_size(vocabulary->dtype);

    if (vocabulary->stride[1] == 1 && vocabulary->dtype == W2W_DTYPE_F32) {
        memcpy(out, row, (gsize)n_channels * sizeof(float));
    } else if (vocabulary->stride[1] == 1 && vocabulary->dtype == W2W_DTYPE_F16) {
        for (gint64 i = 0; i < n_channels; i++) {
            guint16 bits; /* the file promises no alignment */

            memcpy(&bits, row + i * 2, sizeof bits);
            out[i] = w2w_f16_to_f32(bits);
        }
    } else {
        for (gint64 i = 0; i < n_channels; i++)
            out[i] = (float)w2w_array_get(vocabulary, id * n_channels + i);
    }
}

static void run(const W2wKernel *parent, const W2wOperands *operands)
{
    const TokenEmbeddingKernel *kernel = (const TokenEmbeddingKernel *)parent;
    const float *ids = operands->in[W2W_SLOT_X]; /* float32 always: bfloat16 counts to 256 */
    const gint64 c = kernel->n_channels, largest = kernel->vocabulary->shape[0] - 1;
    w2w_element *out = operands->out;
    float *sum = operands->scratch; /* (C) */

    for (gint64 row = 0; row < kernel->n_rows; row++, out += c) {
        const float id = ids[row];
        /* Compared as floats first: a NaN or a huge number has no conversion to an integer. */
        const gint64 nearest = !(id > 0.0f) ? 0 : id >= (float)largest ? largest : (gint64)id;

        read_row(kernel->vocabulary, nearest, c, sum);
        if (kernel->position != NULL) {
            const float *position = kernel->position + row % kernel->n_tokens * c;

            for (gint64 i = 0; i < c; i++)
                sum[i] += position[i];
        }
        for (gint64 i = 0; i < c; i++)
            out[i] = w2w_e_from(sum[i]);
    }
}

static void token_embedding_free(W2wKernel *parent)
{
    TokenEmbeddingKernel *kernel = (TokenEmbeddingKernel *)parent;

    w2w_array_unref(kernel->vocabulary);
    w2w_aligned_free(kernel->position);
    g_free(kernel);
}

W2wKernel *W2W_CPU_SYMBOL(prepare_token_embedding)(W2wDevice *device, const W2wOp *op,
                                                   GError **error)
{
    const W2wArray *position = op->weight[W2W_BIAS];
    TokenEmbeddingKernel *kernel = g_new0(TokenEmbeddingKernel, 1);

    kernel->parent = (W2wKernel){.device = device, .run = run, .free = token_embedding_free};
    kernel->vocabulary = w2w_array_ref(op->weight[W2W_WEIGHT]);
    kernel->n_rows = w2w_shape_n_rows(op->out);
    kernel->n_tokens = (gint64)op->out.h * op->out.w;
    kernel->n_channels = op->out.c;
    kernel->parent.scratch_size = (gsize)op->out.c * sizeof(float);
    if (position != NULL) {
        const gint64 n = kernel->n_tokens * kernel->n_channels;

        kernel->position =
            w2w_aligned_alloc((gsize)n, sizeof(float), "the positions of a text", error);
        if (kernel->position == NULL) {
            token_embedding_free(&kernel->parent);
            return NULL;
        }
        for (gint64 i = 0; i < n; i++)
            kernel->position[i] = (float)w2w_array_get(position, i);
    }
    return &kernel->parent;
}

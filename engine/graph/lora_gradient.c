/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Records the gradients of a LoRA's two factors, which come out of one walk over the rows. */
#include "engine/graph/graph_internal.h"

void w2w_lora_gradient(W2wGraph *graph, W2wTensor *x, W2wTensor *d_out, W2wTensor *lora_a,
                       W2wTensor *lora_b, float scale, W2wTensor **d_a, W2wTensor **d_b)
{
    const W2wShape a = w2w_tensor_get_shape(lora_a), b = w2w_tensor_get_shape(lora_b);
    const gint64 n_a = w2w_shape_n_elements(a), n_b = w2w_shape_n_elements(b);
    const W2wOp op = {.kind = W2W_OP_LORA_GRADIENT,
                      .out = {1, 1, 1, (gint)(n_a + n_b)},
                      .params.linear = {.lora_scale = scale}};
    W2wTensor *const inputs[W2W_N_SLOTS] = {[W2W_SLOT_X] = x,
                                            [W2W_SLOT_D_OUT] = d_out,
                                            [W2W_SLOT_LORA_A] = lora_a,
                                            [W2W_SLOT_LORA_B] = lora_b};
    W2wTensor *both = w2w_graph_append(graph, &op, inputs);

    *d_a = w2w_slice(graph, both, 0, a);
    *d_b = w2w_slice(graph, both, n_a, b);
}

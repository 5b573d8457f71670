/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Records the sinusoidal embedding of timesteps, with the longest period that the field uses. */
#include "engine/graph/graph_internal.h"

#define MAX_PERIOD 10000.0f

W2wTensor *w2w_timestep_embedding(W2wGraph *graph, W2wTensor *timesteps, gint width,
                                  gboolean flip_sin_to_cos, float freq_shift)
{
    const W2wShape in = w2w_tensor_get_shape(timesteps);
    W2wOp op = {.kind = W2W_OP_TIMESTEP_EMBEDDING, .out = {in.n, 1, 1, width}};
    W2wTensor *const inputs[W2W_N_SLOTS] = {[W2W_SLOT_X] = timesteps};

    g_assert(w2w_shape_equal(in, (W2wShape){in.n, 1, 1, 1}) && width > 0);
    op.params.timestep_embedding.flip_sin_to_cos = flip_sin_to_cos;
    op.params.timestep_embedding.freq_shift = freq_shift;
    op.params.timestep_embedding.max_period = MAX_PERIOD;
    return w2w_graph_append(graph, &op, inputs);
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Reverse mode, derived on the graph: what computes the gradients is recorded behind the model
 * like any other op, then fused, placed and replayed with it.
 *
 *   loss = w2w_masked_mse (graph, prediction, target, mask);
 *   w2w_graph_differentiate (graph, loss, d_loss, sources, n, 0, gradients);
 *
 * The walk goes from the output back along those tensors only that depend on a source: there is no
 * op for anything else, so no gradient of a frozen weight exists, nor any of what comes before the
 * first source. Each op's vector-Jacobian product stands beside its forward in
 * engine/graph/<stem>.c.
 *
 * Memory: what a vjp reads of the forward pass stays in the arena until then. Of blocks that are
 * recomputed (Chen et al. 2016, arXiv 1604.06174) only the outputs stay; what is read of their
 * inside is recorded a second time, just before it is needed, as the same ops with the same
 * fusion: the gradients are equal to the bit.
 */
#pragma once

#include "engine/graph/graph.h"

G_BEGIN_DECLS

/*
 * Gradients of Σ d_output ⊙ output with respect to each source. d_output has the output's shape.
 * A source that the output does not depend on gets NULL. The `n_recomputed` blocks that hold the
 * most memory are recomputed (0: none; w2w_graph_get_n_blocks(): all).
 * Asserts that every op on the way has a vjp: all of those that a UNet uses have, but for second
 * derivatives and embeddings.
 */
void w2w_graph_differentiate(W2wGraph *graph, W2wTensor *output, W2wTensor *d_output,
                             W2wTensor *const *sources, guint n_sources, guint n_recomputed,
                             W2wTensor **d_sources);

/*
 * A model's recording function says where a block ends: `output` is kept, what lies between it and
 * the end before may be recomputed, and is read by nobody after it.
 */
void w2w_graph_end_block(W2wGraph *graph, W2wTensor *output);
guint w2w_graph_get_n_blocks(const W2wGraph *graph);

/* Inputs and outputs by name; assert that there is one. */
W2wTensor *w2w_graph_get_input(const W2wGraph *graph, const char *name);
W2wTensor *w2w_graph_get_output(const W2wGraph *graph, const char *name);

/*
 * prediction, target (N,H,W,C), mask (N,H,W,1) → (N,1,1,1): per image the mean over H, W and C of
 * (mask · (prediction − target))². PyTorch: mse_loss(mask · prediction, mask · target).
 */
W2wTensor *w2w_masked_mse(W2wGraph *graph, W2wTensor *prediction, W2wTensor *target,
                          W2wTensor *mask);

G_END_DECLS

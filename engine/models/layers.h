/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The layers that models are made of: each call asks for the weights of one module by its
 * name in the file and records the op.
 *
 * A module is named by its parent's path and its own name: ("down_blocks.0.resnets.0",
 * "conv1"); parent "" is the model itself. Widths of inputs come from the tensors, widths of
 * outputs from the config, so that every weight is checked against both.
 */
#pragma once

#include "engine/graph/graph.h"
#include "engine/models/weights.h"

G_BEGIN_DECLS

/* Where a model is being recorded to, and how. */
typedef struct {
    W2wGraph *graph;
    W2wWeights *weights;
    gboolean inspect;

    /* LoRA, on projections of attentions only; NULL: none. */
    GHashTable *lora_paths; /* set of full paths */
    gint lora_rank;
    float lora_scale;
    gboolean lora_changes; /* see W2wUnetRecordOptions */

    /* Where not NULL: every projection that could take a LoRA is noted here (W2wLoraTarget). */
    GArray *lora_targets;
} W2wRecorder;

/* "parent.name"; just "name" where parent is "". Caller frees. */
char *w2w_module_path(const char *parent, const char *name);

/* The same with a number at the end: "parent.name.3". */
char *w2w_module_path_at(const char *parent, const char *name, guint i);

/* x (N,H,W,in) → (N,H',W',n_out), with bias. kernel × kernel; params->kernel is its size. */
W2wTensor *w2w_layer_conv2d(W2wRecorder *recorder, W2wTensor *x, const char *parent,
                            const char *name, gint n_out, const W2wConv2dParams *params);

typedef enum {
    W2W_LINEAR_PLAIN, /* weight (out,in) and bias */
    W2W_LINEAR_NO_BIAS,
    W2W_LINEAR_CONV, /* a 1×1 convolution: weight (out,in,1,1) and bias */
} W2wLinearForm;

/* x (N,H,W,in) → (N,H,W,n_out) */
W2wTensor *w2w_layer_linear(W2wRecorder *recorder, W2wTensor *x, const char *parent,
                            const char *name, gint n_out, W2wLinearForm form);

/* The same (not for W2W_LINEAR_CONV) for a projection of an attention, where a LoRA may act. */
W2wTensor *w2w_layer_projection(W2wRecorder *recorder, W2wTensor *x, const char *parent,
                                const char *name, gint n_out, W2wLinearForm form);

W2wTensor *w2w_layer_group_norm(W2wRecorder *recorder, W2wTensor *x, const char *parent,
                                const char *name, gint n_groups, float eps);
W2wTensor *w2w_layer_layer_norm(W2wRecorder *recorder, W2wTensor *x, const char *parent,
                                const char *name, float eps);

/*
 * x is the output of module `path`, a block that reverse mode may compute a second time
 * (w2w_graph_end_block()). Where the recording is for inspection it is named "inside.<path>".
 */
void w2w_layer_end(W2wRecorder *recorder, W2wTensor *x, const char *path);

G_END_DECLS

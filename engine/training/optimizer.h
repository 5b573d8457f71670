/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Adam and AdamW (Kingma and Ba 2015; Loshchilov and Hutter 2019), and clipping of gradients.
 *
 * What torch.optim.Adam, torch.optim.AdamW and torch.nn.utils.clip_grad_norm_ do on the CPU, in
 * their order of arithmetic: parameters and both moments are float32, bias corrections double. A
 * recipe from the literature then means the same numbers here. Equal up to the last bit: torch's
 * vector kernels fuse some multiplications with additions, depending on the processor.
 *
 * Source: torch 2.11, optim/adam.py (the path of single tensors) and nn/utils/clip_grad.py,
 * observed.
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef struct {
    double lr;
    double beta1, beta2;
    double eps;
    double weight_decay; /* 0: none */
    gboolean decoupled;  /* AdamW: parameters shrink by lr · weight_decay; else it is added to the
                            gradient */
} W2wAdamOptions;

/* torch's defaults for what recipes seldom name. */
#define W2W_ADAM_BETA1 0.9
#define W2W_ADAM_BETA2 0.999
#define W2W_ADAM_EPS   1e-8

typedef struct _W2wAdam W2wAdam;

/* For `n` parameters, at its first step; W2W_ERROR_MEMORY. */
W2wAdam *w2w_adam_new(gsize n, const W2wAdamOptions *options, GError **error);
void w2w_adam_free(W2wAdam *adam);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(W2wAdam, w2w_adam_free)

/* One step: `parameters` (n) along `gradient` (n). */
void w2w_adam_step(W2wAdam *adam, const float *gradient, float *parameters);

/* For the steps to come; the moments stay. */
void w2w_adam_set_lr(W2wAdam *adam, double lr);

/* Back to before the first step: moments 0. */
void w2w_adam_reset(W2wAdam *adam);

/*
 * Scales `gradient` (n) so that its norm is at most `max_norm` and gives the norm that it had. As
 * torch: times min(1, max_norm / (norm + 1e-6)). A gradient that is not finite stays so.
 */
double w2w_clip_gradient_norm(float *gradient, gsize n, double max_norm);

/*
 * The same where the parameters are several tensors: the norm of the tensors' norms, each rounded
 * to float32. Tensor i is offsets[i] … offsets[i + 1] − 1: n_segments + 1 growing numbers.
 */
double w2w_clip_gradient_norm_of_segments(float *gradient, const gsize *offsets, guint n_segments,
                                          double max_norm);

G_END_DECLS

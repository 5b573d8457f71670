/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One test body, every device.
 *
 * A W2wOpCase is an op with the numbers that it runs on. It is prepared and run on a device
 * between guard bytes, with poisoned output and scratch memory, twice; the results are compared
 * with PyTorch's (golden) or with the reference device's (any shape that one can think of).
 *
 * How near is near enough to the reference: a float32 sum of n terms of either sign, in whatever
 * order, is off by about half a unit of 2⁻²⁴ times the sum of the terms' magnitudes, whatever n is:
 * √n roundings of partial sums that are √n large. Each op therefore says, per element of its
 * output, the magnitude M that was accumulated for it (and where its sums are of another kind); the
 * errors in units of 2⁻²⁴ M must have a root mean square below W2W_OP_RMS and none may exceed
 * W2W_OP_MAX. An op that only copies or rounds once accumulates nothing: M is 0 and it must be
 * exact. With bfloat16 between ops, the reference computes on inputs and weights rounded to
 * bfloat16, and what lies W2W_OP_MAX units around its result may be rounded to bfloat16 once: with
 * M 0 there is one right answer. Measured for the plain float32 loops of the cpu device: rms up to
 * 0.8, largest up to 5.
 */
#pragma once

#include <json-glib/json-glib.h>

#include "engine/device/device.h"
#include "tests/golden_files.h"

G_BEGIN_DECLS

#define W2W_OP_RMS 1.0
#define W2W_OP_MAX 8.0

typedef struct {
    char *name;
    W2wOp op;               /* owns references on its weights */
    float *in[W2W_N_SLOTS]; /* owned; NULL where absent */
    /*
     * Described by W2wOp, recorded by no model and made by no fusion: a device must compute it
     * rightly or refuse it with W2W_ERROR_UNSUPPORTED.
     */
    gboolean may_be_refused;
    /*
     * A device may sum weights before it rounds them: in bfloat16, 2⁻⁸ M more. Set for
     * convolutions that enlarge their input.
     */
    gboolean sums_weights;
    /* Training computes in float32: devices with bfloat16 between ops may refuse this one. */
    gboolean float32_only;
} W2wOpCase;

/* `name` for messages. op.out is set by hand. */
W2wOpCase *w2w_op_case_new(W2wOpKind kind, const char *name);
void w2w_op_case_free(W2wOpCase *test);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(W2wOpCase, w2w_op_case_free)

/* Takes over `values`. */
void w2w_op_case_take_input(W2wOpCase *test, gint slot, W2wShape shape, float *values);

/* Normally distributed. */
void w2w_op_case_random_input(W2wOpCase *test, gint slot, W2wShape shape, GRand *random,
                              double mean, double deviation);
float *w2w_random_normal(GRand *random, gint64 n, double mean, double deviation);

/* The same as an array of any float type. Its data starts at an odd address, as in a file. */
W2wArray *w2w_random_array(GRand *random, W2wDType dtype, guint n_dims, const gint64 *shape,
                           double mean, double deviation);

/* The same numbers, stored transposed: a view that is not contiguous. */
W2wArray *w2w_array_new_transposed_view(const W2wArray *matrix);

/*
 * The output on one device (caller frees); fails the test on anything written elsewhere. NULL
 * where the device may refuse the op and does.
 */
float *w2w_op_case_run(const W2wOpCase *test, W2wDevice *device);

/*
 * Fills `magnitude` (one per element of the output). `expected` is the reference's output. NULL
 * instead of such a function: exact.
 */
typedef void (*W2wOpMagnitudeFunc)(const W2wOpCase *test, const float *expected, double *magnitude);

/* Every device against the reference. With W2W_OP_BENCH=1 also measures each. */
void w2w_op_case_check(const W2wOpCase *test, W2wOpMagnitudeFunc magnitude);

/* What conv2d and linear accumulate: their sums of absolute values, carried through activations. */
void w2w_op_magnitude_of_sums(const W2wOpCase *test, const float *expected, double *magnitude);

/* Bound of |f(x)|, and of what a rounding of f's factors costs, for all of the activations. */
double w2w_op_magnitude_of_activation(double x);

/* The same for their slopes. */
double w2w_op_magnitude_of_slope(double x);

/* --- gradients --- */

/*
 * Central differences of four points in float64, where the function is as smooth as those of the
 * tests, are this near to the gradient, in units of 1 and of the gradient's root mean square.
 */
#define W2W_OP_DIFFERENCE      1e-8
#define W2W_OP_MAX_DIFFERENCES 300 /* numbers that are moved, evenly spread */

/*
 * The op that computes the gradient of Σ d_out · out by the input `slot` of `forward`, which has no
 * fused residual or activation of a product. It begins at element `first` of that op's output.
 */
W2wOpCase *w2w_op_case_new_gradient(const W2wOpCase *forward, gint slot, const float *d_out,
                                    gint64 *first);

/* That op on the reference in float64 against central differences of `forward` there. */
void w2w_op_case_check_gradient(const W2wOpCase *forward, gint slot, GRand *random);

/* w2w_op_case_check() of that op, for any d_out. */
void w2w_op_case_check_gradient_on_devices(const W2wOpCase *forward, gint slot, GRand *random,
                                           W2wOpMagnitudeFunc magnitude);

/*
 * That op of a group_norm or layer_norm, with a residual's gradient added or without: on the
 * reference it is the sum of both, and every device is checked against it.
 */
void w2w_op_case_check_norm_gradient(const W2wOpCase *forward, gboolean residual, GRand *random);

typedef enum {
    W2W_OP_MASK_SOFT, /* 0 to 1 */
    W2W_OP_MASK_HARD, /* 0 or 1 */
    W2W_OP_MASK_NOTHING
} W2wOpMaskKind;

W2wOpCase *w2w_op_case_new_masked_mse(GRand *random, W2wShape shape, double deviation,
                                      W2wOpMaskKind mask);

/* --- golden --- */

typedef enum {
    W2W_GOLDEN_ROWS, /* (…, C): rows of channels */
    W2W_GOLDEN_NCHW,
    W2W_GOLDEN_HEADS, /* (N, heads, tokens, head width) */
} W2wGoldenLayout;

typedef struct {
    W2wGolden *golden;
    const char *name;   /* "conv3x3_stride2" */
    JsonObject *params; /* of params.json; an empty object where there are none */
} W2wOpGolden;

/* An array of the entry ("in0") for a kernel: its shape, its numbers channels last. */
float *w2w_op_golden_get(const W2wOpGolden *entry, const char *suffix, W2wGoldenLayout layout,
                         W2wShape *shape);
/* … and as it is, for a weight; NULL where there is none. Borrowed. */
W2wArray *w2w_op_golden_peek(const W2wOpGolden *entry, const char *suffix);

/* Fills the op and its inputs; op.out is already the shape of the entry's output. */
typedef void (*W2wOpGoldenFunc)(const W2wOpGolden *entry, W2wOpCase *test);

/*
 * All entries of ops.safetensors whose name starts with `prefix`, on every device, and the
 * gradients of their activations and LoRA factors.
 */
void w2w_op_golden_check(W2wOpKind kind, const char *prefix, W2wGoldenLayout out_layout,
                         W2wOpGoldenFunc build);

/* Devices to test: calls `func` with each, labelled as the device describes itself. */
void w2w_op_test_each_device(void (*func)(W2wDevice *device, const char *label, gpointer data),
                             gpointer data);

/* The tests of one stem: test_<stem>.c; and of what belongs to no op. */
void w2w_add_tests_activation(void);
void w2w_add_tests_activation_gradient(void);
void w2w_add_tests_add(void);
void w2w_add_tests_attention(void);
void w2w_add_tests_attention_gradient(void);
void w2w_add_tests_columns(void);
void w2w_add_tests_concat(void);
void w2w_add_tests_conv2d(void);
void w2w_add_tests_device(void);
void w2w_add_tests_geglu(void);
void w2w_add_tests_geglu_gradient(void);
void w2w_add_tests_group_norm(void);
void w2w_add_tests_group_norm_gradient(void);
void w2w_add_tests_layer_norm(void);
void w2w_add_tests_layer_norm_gradient(void);
void w2w_add_tests_linear(void);
void w2w_add_tests_lora_gradient(void);
void w2w_add_tests_masked_mse(void);
void w2w_add_tests_masked_mse_gradient(void);
void w2w_add_tests_sum(void);
void w2w_add_tests_timestep_embedding(void);
void w2w_add_tests_token_embedding(void);
void w2w_add_tests_transpose(void);
void w2w_add_tests_upsample(void);
void w2w_add_tests_upsample_gradient(void);

G_END_DECLS

/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The cpu device from the inside.
 *
 * Every op file of this folder is compiled once per instruction set and compute type
 * (meson.build), from ordinary C with GCC's vector extensions (vector.h), and exports exactly one
 * symbol: W2W_CPU_SYMBOL(prepare_<stem>). The device picks one set of them when it is made, by what
 * the processor can do, so a shipped build needs no -march=native.
 */
#pragma once

#include "engine/device/cpu/thread_pool.h"
#include "engine/device/device.h"

G_BEGIN_DECLS

/* One class per instruction set and compute type: they differ in their prepare functions. */
typedef struct {
    const char *name; /* "AVX2" */
    W2wComputeType compute_type;
    gboolean by_name_only; /* for tests */
    const char *remark;    /* for describe() */
    W2wDeviceClass klass;
} W2wCpuInstructionSet;

typedef struct {
    W2wDevice parent;
    W2wThreadPool *pool;
    const W2wCpuInstructionSet *instruction_set;
    GHashTable *packed_weights; /* see packed_weight.h */
} W2wCpuDevice;

/* f32 or bf16; auto is bf16 where the processor has arithmetic for it. */
W2wDevice *w2w_cpu_device_new(const W2wDeviceOptions *options, GError **error);
char *w2w_cpu_device_describe(const W2wDevice *device);

static inline W2wThreadPool *w2w_cpu_pool(const W2wKernel *kernel)
{
    return ((const W2wCpuDevice *)kernel->device)->pool;
}

/*
 * W2W_CPU_SYMBOL(name): name with the suffix of the instruction set that is being compiled
 * (W2W_CPU_SUFFIX, from meson.build): w2w_cpu_prepare_linear_avx2.
 */
#define W2W_CPU_PASTE_(name, suffix) w2w_cpu_##name##_##suffix
#define W2W_CPU_PASTE(name, suffix)  W2W_CPU_PASTE_(name, suffix)
#define W2W_CPU_SYMBOL(name)         W2W_CPU_PASTE(name, W2W_CPU_SUFFIX)

#define W2W_CPU_DECLARE(suffix)                                                                    \
    W2wKernel *w2w_cpu_prepare_conv2d_##suffix(W2wDevice *, const W2wOp *, GError **);             \
    W2wKernel *w2w_cpu_prepare_linear_##suffix(W2wDevice *, const W2wOp *, GError **);             \
    W2wKernel *w2w_cpu_prepare_group_norm_##suffix(W2wDevice *, const W2wOp *, GError **);         \
    W2wKernel *w2w_cpu_prepare_layer_norm_##suffix(W2wDevice *, const W2wOp *, GError **);         \
    W2wKernel *w2w_cpu_prepare_attention_##suffix(W2wDevice *, const W2wOp *, GError **);          \
    W2wKernel *w2w_cpu_prepare_geglu_##suffix(W2wDevice *, const W2wOp *, GError **);              \
    W2wKernel *w2w_cpu_prepare_activation_##suffix(W2wDevice *, const W2wOp *, GError **);         \
    W2wKernel *w2w_cpu_prepare_add_##suffix(W2wDevice *, const W2wOp *, GError **);                \
    W2wKernel *w2w_cpu_prepare_concat_##suffix(W2wDevice *, const W2wOp *, GError **);             \
    W2wKernel *w2w_cpu_prepare_upsample_##suffix(W2wDevice *, const W2wOp *, GError **);           \
    W2wKernel *w2w_cpu_prepare_token_embedding_##suffix(W2wDevice *, const W2wOp *, GError **);    \
    W2wKernel *w2w_cpu_prepare_timestep_embedding_##suffix(W2wDevice *, const W2wOp *, GError **);

/* What reverse mode needs beside those: in float32 only. */
#define W2W_CPU_DECLARE_TRAINING(suffix)                                                           \
    W2wKernel *w2w_cpu_prepare_activation_gradient_##suffix(W2wDevice *, const W2wOp *,            \
                                                            GError **);                            \
    W2wKernel *w2w_cpu_prepare_attention_gradient_##suffix(W2wDevice *, const W2wOp *, GError **); \
    W2wKernel *w2w_cpu_prepare_columns_##suffix(W2wDevice *, const W2wOp *, GError **);            \
    W2wKernel *w2w_cpu_prepare_geglu_gradient_##suffix(W2wDevice *, const W2wOp *, GError **);     \
    W2wKernel *w2w_cpu_prepare_group_norm_gradient_##suffix(W2wDevice *, const W2wOp *,            \
                                                            GError **);                            \
    W2wKernel *w2w_cpu_prepare_layer_norm_gradient_##suffix(W2wDevice *, const W2wOp *,            \
                                                            GError **);                            \
    W2wKernel *w2w_cpu_prepare_lora_gradient_##suffix(W2wDevice *, const W2wOp *, GError **);      \
    W2wKernel *w2w_cpu_prepare_masked_mse_##suffix(W2wDevice *, const W2wOp *, GError **);         \
    W2wKernel *w2w_cpu_prepare_masked_mse_gradient_##suffix(W2wDevice *, const W2wOp *,            \
                                                            GError **);                            \
    W2wKernel *w2w_cpu_prepare_sum_##suffix(W2wDevice *, const W2wOp *, GError **);                \
    W2wKernel *w2w_cpu_prepare_transpose_##suffix(W2wDevice *, const W2wOp *, GError **);          \
    W2wKernel *w2w_cpu_prepare_upsample_gradient_##suffix(W2wDevice *, const W2wOp *, GError **);

W2W_CPU_DECLARE_TRAINING(baseline)
W2W_CPU_DECLARE_TRAINING(avx2)

W2W_CPU_DECLARE(baseline)
W2W_CPU_DECLARE(avx2)
W2W_CPU_DECLARE(baseline_bf16)
W2W_CPU_DECLARE(avx2_bf16)
W2W_CPU_DECLARE(avx2_bf16_pairs)
W2W_CPU_DECLARE(avx512_bf16)

G_END_DECLS

/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One matrix product for linear layers and convolutions.
 *
 *   out[m][n] = activation(sum over taps t, channels k of rows(m, t)[k] · W[n][t][k] + epilogue)
 *
 * A convolution is a product in which every output pixel has one row pointer per tap of the kernel,
 * into the input itself or into zeros: nothing is copied or padded. A linear layer has one tap.
 *
 * Weights are packed into panels of W2W_GEMM_COLUMNS columns, tap by tap, channel by channel. A
 * tile of 6 rows × 1 panel is summed in registers over the whole depth in the order of memory, so
 * results do not depend on threads. float16 weights stay float16 where the processor converts them
 * for free: the same numbers in half of the bytes, and small models are bound by their weights.
 *
 * With bfloat16 between ops, weights are bfloat16 too. A tile's rows are then brought together
 * first, tap after tap, and serve all panels of the task (gemm_tile.h).
 */
#pragma once

#include "engine/device/cpu/cpu.h"
#include "engine/device/cpu/packed_weight.h"
#include "engine/device/cpu/vector.h"

G_BEGIN_DECLS

#define W2W_GEMM_ROWS     6
#define W2W_GEMM_MAX_TAPS 16
#if defined(W2W_CPU_PAIRS)
#define W2W_GEMM_HALF_PANEL 16 /* what one instruction of AVX-512 has */
#else
#define W2W_GEMM_HALF_PANEL W2W_VECTOR_WIDTH
#endif
#define W2W_GEMM_COLUMNS (2 * W2W_GEMM_HALF_PANEL)

/*
 * Where one tile finds its data: per tap, row pointers of n_channels elements each
 * (rows[tap * W2W_GEMM_ROWS + i]), and the output rows that it makes. Taps whose channels follow
 * each other in memory may be given as one tap: weights are in the same order.
 */
typedef struct {
    gint n_taps, n_channels; /* their product is the kernel's depth, or that of this phase */
    const w2w_element *rows[W2W_GEMM_MAX_TAPS * W2W_GEMM_ROWS];
    gint64 out[W2W_GEMM_ROWS];
} W2wGemmTile;

/*
 * Fills `tile` for rows first … first + n − 1 (n ≤ W2W_GEMM_ROWS) of one phase. Entries i ≥ n are
 * not looked at.
 */
typedef void (*W2wGemmRowsFunc)(const W2wKernel *kernel, const w2w_element *x, gint phase,
                                gint64 first, gint n, W2wGemmTile *tile);

/* A kernel of its own; ops embed it at their start. */
typedef struct {
    W2wKernel parent;
    W2wGemmRowsFunc rows_func;
    W2wPackedWeight *weight, *bias; /* bias: padded to whole panels; NULL: none */
    gboolean half;                  /* panels hold float16, or bfloat16 with W2W_CPU_BF16 */
    gint64 n_rows;                  /* of each phase */
    gint64 rows_per_image;          /* of the output */
    gint n_phases;                  /* 1; or 4 products with weights of their own (conv2d.c) */
    gint depth, n_channels;         /* taps × channels, at most; channels of the input */
    gint n_columns;                 /* of the output */
    gint n_panels;
    gint panels_per_task, row_tiles_per_task, n_panel_tasks, n_row_tasks;
    gint lora_rank;
    float lora_scale;
    W2wActivation activation;
} W2wGemmKernel;

/*
 * How the weights become one or more products.
 * W2W_GEMM_SUBPIXEL: a 3×3 convolution of an input enlarged twofold is four 2×2 convolutions of the
 * input itself, one per parity of the output's row and column, with weights that are sums of
 * neighbouring taps: 4 multiplications where there were 9. Phase = 2 · (row parity) + column
 * parity.
 * W2W_GEMM_TURNED: the gradient of a layer is a layer with the same weights, read the other way
 * round: (out,in) as (in,out), and the taps from the last one to the first.
 * W2W_GEMM_GATHERED: the gradient of the sub-pixel form. What the 3×3 taps give at each of the four
 * pixels that a source pixel was made into is one 4×4 convolution of stride 2, with sums of taps:
 * 16 multiplications where there were 36.
 * W2W_GEMM_SPREAD: the gradient of a 3×3 convolution of stride 2. Of the 9 taps over an input with
 * zeros between its pixels, 1, 2, 2 and 4 meet no zero, by the parity of the output's row and
 * column (phases as above).
 */
typedef enum {
    W2W_GEMM_PLAIN,
    W2W_GEMM_SUBPIXEL,
    W2W_GEMM_TURNED,
    W2W_GEMM_GATHERED,
    W2W_GEMM_SPREAD,
} W2wGemmForm;

/*
 * Fills `kernel` (zeroed, parent.free set by the caller's op through w2w_cpu_gemm_clear) for `op`,
 * a linear or conv2d: packs weights and bias, cuts the work into tasks. kernel->rows_func is the
 * caller's to set. W2W_ERROR_MEMORY; W2W_ERROR_UNSUPPORTED for more taps or a higher LoRA rank than
 * a tile has room for, and for a GEGLU after more than a bias.
 */
gboolean W2W_CPU_SYMBOL(gemm_init)(W2wGemmKernel *kernel, W2wDevice *device, const W2wOp *op,
                                   W2wGemmForm form, GError **error);
void W2W_CPU_SYMBOL(gemm_clear)(W2wGemmKernel *kernel);

G_END_DECLS

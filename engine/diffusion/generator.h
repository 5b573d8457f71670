/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * PyTorch's random numbers: torch.Generator("cpu") and ("cuda"), after manual_seed(seed). The
 * same seed gives the picture that a diffusers user gets, who has the one or the other.
 *
 * "cpu": MT19937 (Matsumoto and Nishimura 1998), with torch's ways from its words to rand,
 * randint and randn: below 16 values one path (double precision Box-Muller, in pairs, the
 * second one kept for a later call), from 16 on another (blocks of 16, the tail drawn anew).
 * rand and randint agree with torch to the bit. randn from 16 values on agrees to about
 * 1e-6, because torch's own vector log, sin and cos are approximations that differ from
 * processor to processor; below 16 values it agrees to the last bit or the one before.
 *
 * "cuda": Philox 4x32-10 (Salmon et al. 2011), randn only, to about 1e-6: a GPU's logarithm
 * and sine are approximations too.
 * torch starts at most as many threads as the GPU can hold at once, and each value comes
 * from the thread of its own number; only where there are more values than threads does a
 * thread make several, from its own sequence, so that the numbers depend on the GPU. That
 * number is multiprocessors × threads of each, which is at least 1024 for any GPU: so up to
 * n = 1024 this is what every GPU gives, and beyond, what those with at least n threads give:
 * 14,336 (GTX 1650), 40,960 (T4), 43,008 (RTX 3060), 221,184 (A100) and so on. Latents of a
 * 512 × 512 picture of Stable Diffusion 1.x are 16,384 values.
 *
 * Source: torch 2.11 measured, and for "cuda" also numbers from a real GPU
 * (tests/golden/<dir>/rng_cpu.safetensors, rng_cuda.safetensors).
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef enum {
    W2W_GENERATOR_CPU,
    W2W_GENERATOR_CUDA,
} W2wGeneratorKind;

/* "cpu", "cuda"; NULL terminated table by kind, for declarations of parameters. */
extern const char *const w2w_generator_names[];

typedef struct _W2wGenerator W2wGenerator;

/*
 * With "cpu", torch seeds its words from the low 32 bits only: seeds that differ above them are
 * equal. With "cuda" all 64 bits count.
 */
W2wGenerator *w2w_generator_new_kind(W2wGeneratorKind kind, guint64 seed);

/* Of kind "cpu". */
W2wGenerator *w2w_generator_new(guint64 seed);

void w2w_generator_free(W2wGenerator *generator);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(W2wGenerator, w2w_generator_free)

/*
 * torch.randn(n), torch.rand(n): float32. A tensor of any shape is n values in row-major
 * order. Calls in a row give what torch's calls in a row give. rand is for "cpu" only.
 */
void w2w_generator_randn(W2wGenerator *generator, gsize n, float *out);
void w2w_generator_rand(W2wGenerator *generator, gsize n, float *out);

/* torch.randint(0, high, (n,)), 0 < high <= 2^32. For "cpu" only. */
void w2w_generator_randint(W2wGenerator *generator, guint64 high, gsize n, gint64 *out);

G_END_DECLS

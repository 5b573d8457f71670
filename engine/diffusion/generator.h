/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * PyTorch's random numbers: torch.Generator("cpu").manual_seed(seed).
 *
 * MT19937 (Matsumoto and Nishimura 1998), with torch's ways from its words to
 * rand, randint and randn: below 16 values one path (double precision Box-Muller, in
 * pairs, the second one kept for a later call), from 16 on another (blocks of 16, the
 * tail drawn anew). The same seed gives the picture that a diffusers user gets.
 *
 * rand and randint agree with torch to the bit. randn from 16 values on agrees to about
 * 1e-6, because torch's own vector log, sin and cos are approximations that differ from
 * processor to processor; below 16 values it agrees to the last bit or the one before.
 * Source: torch 2.11 measured (tests/golden/<dir>/rng_cpu.safetensors).
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef struct _W2wGenerator W2wGenerator;

/* torch seeds its words from the low 32 bits only: seeds that differ above them are equal. */
W2wGenerator *w2w_generator_new(guint64 seed);
void w2w_generator_free(W2wGenerator *generator);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(W2wGenerator, w2w_generator_free)

/* torch.rand(n), torch.randn(n): float32. A tensor of any shape is n values in row-major order. */
void w2w_generator_rand(W2wGenerator *generator, gsize n, float *out);
void w2w_generator_randn(W2wGenerator *generator, gsize n, float *out);

/* torch.randint(0, high, (n,)), 0 < high <= 2^32. */
void w2w_generator_randint(W2wGenerator *generator, guint64 high, gsize n, gint64 *out);

G_END_DECLS

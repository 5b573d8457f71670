/* SPDX-License-Identifier: GPL-3.0-or-later */
/* torch.Generator("cpu"); generator.h says what it promises. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

#define W2W_MERSENNE_TWISTER_WORDS 624

typedef struct {
    guint32 words[W2W_MERSENNE_TWISTER_WORDS];
    guint next;
    gboolean has_kept;
    double kept; /* the second of a pair of the short path */
} W2wMersenneTwister;

void w2w_mersenne_twister_init(W2wMersenneTwister *generator, guint64 seed);
void w2w_mersenne_twister_rand(W2wMersenneTwister *generator, gsize n, float *out);
void w2w_mersenne_twister_randn(W2wMersenneTwister *generator, gsize n, float *out);
void w2w_mersenne_twister_randint(W2wMersenneTwister *generator, guint64 high, gsize n,
                                  gint64 *out);

G_END_DECLS

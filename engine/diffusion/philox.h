/* SPDX-License-Identifier: GPL-3.0-or-later */
/* torch.Generator("cuda"); generator.h says what it promises. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef struct {
    guint64 seed;
    guint64 n_calls; /* of randn so far, but for those of no values */
} W2wPhilox;

void w2w_philox_init(W2wPhilox *generator, guint64 seed);
void w2w_philox_randn(W2wPhilox *generator, gsize n, float *out);

G_END_DECLS

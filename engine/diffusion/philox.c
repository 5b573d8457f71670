/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Philox 4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3") as
 * cuRAND lays it out, and Box-Muller as cuRAND does it.
 *
 * torch gives each value its own thread: the key is the seed, the high half of the counter the
 * thread's number, the low half counts the calls, and of the four normal numbers that a
 * thread could make, the first is taken.
 */
#include "engine/diffusion/philox.h"

#include <math.h>

#define N_ROUNDS 10
#define TWO_PI   6.2831855f

void w2w_philox_init(W2wPhilox *generator, guint64 seed)
{
    generator->seed = seed;
    generator->n_calls = 0;
}

/* The first two of the four words of a counter. */
static void draw(guint64 seed, guint64 call, guint64 thread, guint32 words[2])
{
    guint32 key[2] = {(guint32)seed, (guint32)(seed >> 32)};
    guint32 counter[4] = {(guint32)call, (guint32)(call >> 32), (guint32)thread,
                          (guint32)(thread >> 32)};

    for (guint round = 0; round < N_ROUNDS; round++) {
        const guint64 a = (guint64)counter[0] * 0xd2511f53u;
        const guint64 b = (guint64)counter[2] * 0xcd9e8d57u;

        counter[0] = (guint32)(b >> 32) ^ counter[1] ^ key[0];
        counter[1] = (guint32)b;
        counter[2] = (guint32)(a >> 32) ^ counter[3] ^ key[1];
        counter[3] = (guint32)a;
        key[0] += 0x9e3779b9u;
        key[1] += 0xbb67ae85u;
    }
    words[0] = counter[0];
    words[1] = counter[1];
}

/* Rounded to float32 where the GPU rounds; it multiplies and adds in one rounding. */
static float normal(const guint32 words[2])
{
    const float unit = 0x1p-32f;
    const float uniform = fmaf((float)words[0], unit, unit / 2);
    const float turn = fmaf((float)words[1], unit * TWO_PI, unit * TWO_PI / 2);

    return sqrtf(-2 * (float)log(uniform)) * (float)sin(turn);
}

void w2w_philox_randn(W2wPhilox *generator, gsize n, float *out)
{
    for (gsize i = 0; i < n; i++) {
        guint32 words[2];

        draw(generator->seed, generator->n_calls, i, words);
        out[i] = normal(words);
    }
    if (n > 0)
        generator->n_calls++;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * torch's CPU generator: MT19937 (Matsumoto and Nishimura 1998), with torch's ways from its
 * words to rand, randint and randn.
 *
 * The order in which words are consumed is the contract: one word more or less and
 * every later number differs. Arithmetic is rounded to float32 where torch rounds, so
 * that what is left is only the error of torch's own log, sin and cos.
 */
#include "engine/diffusion/mersenne_twister.h"

#include <math.h>

#define N_WORDS      W2W_MERSENNE_TWISTER_WORDS
#define MIDDLE       397
#define BLOCK        16 /* values that one Box-Muller block of the long path fills */
#define HALF         (BLOCK / 2)
#define LONG_RANDINT (G_GUINT64_CONSTANT(1) << 28) /* from here on torch draws two words */
#define FLOAT_BITS   24
#define DOUBLE_BITS  53
#define UPPER_BIT    0x80000000u
#define LOWER_BITS   0x7fffffffu

void w2w_mersenne_twister_init(W2wMersenneTwister *generator, guint64 seed)
{
    generator->has_kept = FALSE;
    generator->words[0] = (guint32)seed;
    for (guint i = 1; i < N_WORDS; i++) {
        guint32 before = generator->words[i - 1];

        generator->words[i] = 1812433253u * (before ^ (before >> 30)) + i;
    }
    generator->next = N_WORDS;
}

static void next_state(W2wMersenneTwister *generator)
{
    guint32 *words = generator->words;

    for (guint i = 0; i < N_WORDS; i++) {
        guint32 mixed = (words[i] & UPPER_BIT) | (words[(i + 1) % N_WORDS] & LOWER_BITS);

        words[i] = words[(i + MIDDLE) % N_WORDS] ^ (mixed >> 1) ^ ((mixed & 1) ? 0x9908b0dfu : 0);
    }
    generator->next = 0;
}

static guint32 draw_32(W2wMersenneTwister *generator)
{
    guint32 word;

    if (generator->next == N_WORDS)
        next_state(generator);
    word = generator->words[generator->next++];
    word ^= word >> 11;
    word ^= (word << 7) & 0x9d2c5680u;
    word ^= (word << 15) & 0xefc60000u;
    return word ^ (word >> 18);
}

static guint64 draw_64(W2wMersenneTwister *generator)
{
    guint64 high = draw_32(generator);

    return high << 32 | draw_32(generator);
}

static float draw_float(W2wMersenneTwister *generator)
{
    return ldexpf((float)(draw_32(generator) & ((1u << FLOAT_BITS) - 1)), -FLOAT_BITS);
}

static double draw_double(W2wMersenneTwister *generator)
{
    guint64 bits = draw_64(generator) & ((G_GUINT64_CONSTANT(1) << DOUBLE_BITS) - 1);

    return ldexp((double)bits, -DOUBLE_BITS);
}

void w2w_mersenne_twister_rand(W2wMersenneTwister *generator, gsize n, float *out)
{
    for (gsize i = 0; i < n; i++)
        out[i] = draw_float(generator);
}

void w2w_mersenne_twister_randint(W2wMersenneTwister *generator, guint64 high, gsize n, gint64 *out)
{
    for (gsize i = 0; i < n; i++) {
        guint64 word = high < LONG_RANDINT ? draw_32(generator) : draw_64(generator);

        out[i] = (gint64)(word % high);
    }
}

static float draw_normal(W2wMersenneTwister *generator)
{
    double turn, radius;

    if (generator->has_kept) {
        generator->has_kept = FALSE;
        return (float)generator->kept;
    }
    turn = 2 * G_PI * draw_double(generator);
    radius = sqrt(-2 * log1p(-draw_double(generator)));
    generator->kept = radius * sin(turn);
    generator->has_kept = TRUE;
    return (float)(radius * cos(turn));
}

/* Uniform numbers in, normal ones out: number j pairs with number j + 8. */
static void normal_block(float *block)
{
    for (guint j = 0; j < HALF; j++) {
        float radius = sqrtf(-2 * (float)log(1 - (double)block[j]));
        float turn = (float)(2 * G_PI) * block[j + HALF];

        block[j] = radius * (float)cos(turn);
        block[j + HALF] = radius * (float)sin(turn);
    }
}

void w2w_mersenne_twister_randn(W2wMersenneTwister *generator, gsize n, float *out)
{
    if (n < BLOCK) {
        for (gsize i = 0; i < n; i++)
            out[i] = draw_normal(generator);
        return;
    }
    w2w_mersenne_twister_rand(generator, n, out);
    for (gsize i = 0; i + BLOCK <= n; i += BLOCK)
        normal_block(out + i);
    if (n % BLOCK != 0) {
        float *tail = out + n - BLOCK;

        w2w_mersenne_twister_rand(generator, BLOCK, tail);
        normal_block(tail);
    }
}

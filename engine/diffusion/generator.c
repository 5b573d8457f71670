/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One generator for callers, two ways to make numbers. */
#include "engine/diffusion/generator.h"

#include "engine/diffusion/mersenne_twister.h"
#include "engine/diffusion/philox.h"

const char *const w2w_generator_names[] = {
    [W2W_GENERATOR_CPU] = "cpu",
    [W2W_GENERATOR_CUDA] = "cuda",
    NULL,
};

struct _W2wGenerator {
    W2wGeneratorKind kind;
    union {
        W2wMersenneTwister cpu;
        W2wPhilox cuda;
    };
};

W2wGenerator *w2w_generator_new_kind(W2wGeneratorKind kind, guint64 seed)
{
    W2wGenerator *generator = g_new0(W2wGenerator, 1);

    generator->kind = kind;
    if (kind == W2W_GENERATOR_CUDA)
        w2w_philox_init(&generator->cuda, seed);
    else
        w2w_mersenne_twister_init(&generator->cpu, seed);
    return generator;
}

W2wGenerator *w2w_generator_new(guint64 seed)
{
    return w2w_generator_new_kind(W2W_GENERATOR_CPU, seed);
}

void w2w_generator_free(W2wGenerator *generator)
{
    g_free(generator);
}

void w2w_generator_randn(W2wGenerator *generator, gsize n, float *out)
{
    if (generator->kind == W2W_GENERATOR_CUDA)
        w2w_philox_randn(&generator->cuda, n, out);
    else
        w2w_mersenne_twister_randn(&generator->cpu, n, out);
}

void w2w_generator_rand(W2wGenerator *generator, gsize n, float *out)
{
    g_assert(generator->kind == W2W_GENERATOR_CPU);
    w2w_mersenne_twister_rand(&generator->cpu, n, out);
}

void w2w_generator_randint(W2wGenerator *generator, guint64 high, gsize n, gint64 *out)
{
    g_assert(generator->kind == W2W_GENERATOR_CPU);
    w2w_mersenne_twister_randint(&generator->cpu, high, n, out);
}

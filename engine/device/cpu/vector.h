/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Vectors of floats, as wide as the instruction set that this file is compiled for.
 *
 * GCC's (and clang's) vector extensions: + - * / and comparisons work element by element,
 * a scalar operand is broadcast, and a*b+c becomes one fused instruction where there is one
 * (-ffp-contract=fast). No intrinsics, so the same source serves every processor.
 */
#pragma once

#include <glib.h>
#include <string.h>

#if defined(__AVX2__)
#define W2W_VECTOR_WIDTH 8
#else
#define W2W_VECTOR_WIDTH 4
#endif

typedef float w2w_v __attribute__((vector_size(4 * W2W_VECTOR_WIDTH)));
typedef gint32 w2w_vi __attribute__((vector_size(4 * W2W_VECTOR_WIDTH)));
/* A float vector in memory, at any float's address. */
typedef float w2w_v_unaligned
    __attribute__((vector_size(4 * W2W_VECTOR_WIDTH), aligned(4), may_alias));

#define W2W_INLINE static inline __attribute__((always_inline, unused))

W2W_INLINE w2w_v w2w_v_load(const float *from)
{
    return *(const w2w_v_unaligned *)from;
}

W2W_INLINE void w2w_v_store(float *to, w2w_v value)
{
    *(w2w_v_unaligned *)to = value;
}

W2W_INLINE w2w_v w2w_v_set(float value)
{
    return value - (w2w_v){0};
}

/* The first n < width elements; the others are 0 / not written. */
W2W_INLINE w2w_v w2w_v_load_first(const float *from, gsize n)
{
    w2w_v value = {0};

    memcpy(&value, from, n * sizeof(float));
    return value;
}

W2W_INLINE void w2w_v_store_first(float *to, w2w_v value, gsize n)
{
    memcpy(to, &value, n * sizeof(float));
}

/* mask is a comparison's result: all bits or none. */
W2W_INLINE w2w_v w2w_v_select(w2w_vi mask, w2w_v yes, w2w_v no)
{
    return (w2w_v)((mask & (w2w_vi)yes) | (~mask & (w2w_vi)no));
}

W2W_INLINE w2w_v w2w_v_max(w2w_v a, w2w_v b)
{
    return w2w_v_select(a > b, a, b);
}

W2W_INLINE w2w_v w2w_v_min(w2w_v a, w2w_v b)
{
    return w2w_v_select(a < b, a, b);
}

W2W_INLINE float w2w_v_sum(w2w_v value)
{
    float sum = 0.0f;

    for (int i = 0; i < W2W_VECTOR_WIDTH; i++)
        sum += value[i];
    return sum;
}

W2W_INLINE float w2w_v_largest(w2w_v value)
{
    float largest = value[0];

    for (int i = 1; i < W2W_VECTOR_WIDTH; i++)
        largest = MAX(largest, value[i]);
    return largest;
}

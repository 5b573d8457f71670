/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Vectors of floats, as wide as the instruction set that this file is compiled for.
 *
 * GCC's (and clang's) vector extensions: + - * / and comparisons work element by element,
 * a scalar operand is broadcast, and a*b+c becomes one fused instruction where there is one
 * (-ffp-contract=fast). So the same source serves every processor; only the larger and the
 * smaller of two need a hint where gcc does not find the instruction by itself.
 */
#pragma once

#include <glib.h>
#include <string.h>
#if defined(W2W_CPU_BF16) && defined(__AVX2__)
#include <immintrin.h> /* gcc widens and narrows vectors number by number */
#endif

#if defined(__AVX2__)
#define W2W_VECTOR_WIDTH 8
#else
#define W2W_VECTOR_WIDTH 4
#endif

typedef float w2w_v __attribute__((vector_size(4 * W2W_VECTOR_WIDTH)));
typedef gint32 w2w_vi __attribute__((vector_size(4 * W2W_VECTOR_WIDTH))); /* comparisons' results */
typedef guint32 w2w_vu
    __attribute__((vector_size(4 * W2W_VECTOR_WIDTH))); /* bits, to calculate with */
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

/*
 * What lies between ops: float, or bfloat16 (the upper half of a float's bits) where this file is
 * compiled with W2W_CPU_BF16. Kernels calculate with floats either way, and only load and store
 * elements.
 */
#if defined(W2W_CPU_BF16)
typedef guint16 w2w_element;
typedef guint16 w2w_vh __attribute__((vector_size(16))); /* the first W2W_VECTOR_WIDTH count */
#define W2W_E_BYTES (W2W_VECTOR_WIDTH * sizeof(w2w_element))

W2W_INLINE w2w_v w2w_e_widen(w2w_vh bits)
{
#if W2W_VECTOR_WIDTH == 8
    return (w2w_v)((w2w_vu)_mm256_cvtepu16_epi32((__m128i)bits) << 16);
#else
    return (w2w_v)__builtin_shufflevector((w2w_vh){0}, bits, 0, 8, 1, 9, 2, 10, 3, 11);
#endif
}

/* To nearest, ties to even; what is not a number stays so. */
W2W_INLINE w2w_vh w2w_e_round(w2w_v value)
{
    const w2w_vu bits = (w2w_vu)value, not_a_number = (w2w_vu)(value != value);
    const w2w_vu rounded =
        ((bits + 0x7fffu + ((bits >> 16) & 1u)) & ~not_a_number) | (not_a_number & 0x7fc00000u);

#if W2W_VECTOR_WIDTH == 8
    const __m256i high = (__m256i)(rounded >> 16);

    return (w2w_vh)_mm_packus_epi32(_mm256_castsi256_si128(high),
                                    _mm256_extracti128_si256(high, 1));
#else
    return __builtin_shufflevector((w2w_vh)rounded, (w2w_vh)rounded, 1, 3, 5, 7, 1, 3, 5, 7);
#endif
}

W2W_INLINE w2w_v w2w_e_load(const w2w_element *from)
{
    w2w_vh bits = {0};

    memcpy(&bits, from, W2W_E_BYTES);
    return w2w_e_widen(bits);
}

W2W_INLINE void w2w_e_store(w2w_element *to, w2w_v value)
{
    const w2w_vh bits = w2w_e_round(value);

    memcpy(to, &bits, W2W_E_BYTES);
}

W2W_INLINE w2w_v w2w_e_load_first(const w2w_element *from, gsize n)
{
    w2w_vh bits = {0};

    memcpy(&bits, from, n * sizeof *from);
    return w2w_e_widen(bits);
}

W2W_INLINE void w2w_e_store_first(w2w_element *to, w2w_v value, gsize n)
{
    const w2w_vh bits = w2w_e_round(value);

    memcpy(to, &bits, n * sizeof *to);
}

/* One of them. */
W2W_INLINE float w2w_e_get(w2w_element bits)
{
    const guint32 wide = (guint32)bits << 16;
    float value;

    memcpy(&value, &wide, sizeof value);
    return value;
}

W2W_INLINE w2w_element w2w_e_from(float value)
{
    guint32 bits;

    memcpy(&bits, &value, sizeof bits);
    bits = value != value ? 0x7fc00000u : bits + 0x7fffu + ((bits >> 16) & 1u);
    return (w2w_element)(bits >> 16);
}
#else
typedef float w2w_element;

W2W_INLINE w2w_v w2w_e_load(const w2w_element *from)
{
    return w2w_v_load(from);
}

W2W_INLINE void w2w_e_store(w2w_element *to, w2w_v value)
{
    w2w_v_store(to, value);
}

W2W_INLINE w2w_v w2w_e_load_first(const w2w_element *from, gsize n)
{
    return w2w_v_load_first(from, n);
}

W2W_INLINE void w2w_e_store_first(w2w_element *to, w2w_v value, gsize n)
{
    w2w_v_store_first(to, value, n);
}

W2W_INLINE float w2w_e_get(w2w_element value)
{
    return value;
}

W2W_INLINE w2w_element w2w_e_from(float value)
{
    return value;
}
#endif

/* mask is a comparison's result: all bits or none. */
W2W_INLINE w2w_v w2w_v_select(w2w_vi mask, w2w_v yes, w2w_v no)
{
    return (w2w_v)((mask & (w2w_vi)yes) | (~mask & (w2w_vi)no));
}

/* a > b ? a : b and a < b ? a : b, element by element: b where one of the two is not a number. */
W2W_INLINE w2w_v w2w_v_max(w2w_v a, w2w_v b)
{
#if W2W_VECTOR_WIDTH == 8
    return __builtin_ia32_maxps256(a, b);
#elif defined(__SSE__)
    return __builtin_ia32_maxps(a, b);
#else
    return w2w_v_select(a > b, a, b);
#endif
}

W2W_INLINE w2w_v w2w_v_min(w2w_v a, w2w_v b)
{
#if W2W_VECTOR_WIDTH == 8
    return __builtin_ia32_minps256(a, b);
#elif defined(__SSE__)
    return __builtin_ia32_minps(a, b);
#else
    return w2w_v_select(a < b, a, b);
#endif
}

/* −|a| */
W2W_INLINE w2w_v w2w_v_minus_abs(w2w_v a)
{
    return (w2w_v)((w2w_vu)a | 0x80000000u);
}

/* Halves are folded onto each other: the order of additions is that of a tree. */
#if W2W_VECTOR_WIDTH == 8
#define W2W_V_FOLD_4(v) __builtin_shufflevector(v, v, 4, 5, 6, 7, 0, 1, 2, 3)
#define W2W_V_FOLD_2(v) __builtin_shufflevector(v, v, 2, 3, 0, 1, 6, 7, 4, 5)
#define W2W_V_FOLD_1(v) __builtin_shufflevector(v, v, 1, 0, 3, 2, 5, 4, 7, 6)
#else
#define W2W_V_FOLD_2(v) __builtin_shufflevector(v, v, 2, 3, 0, 1)
#define W2W_V_FOLD_1(v) __builtin_shufflevector(v, v, 1, 0, 3, 2)
#endif

W2W_INLINE float w2w_v_sum(w2w_v value)
{
#if W2W_VECTOR_WIDTH == 8
    value += W2W_V_FOLD_4(value);
#endif
    value += W2W_V_FOLD_2(value);
    value += W2W_V_FOLD_1(value);
    return value[0];
}

W2W_INLINE float w2w_v_largest(w2w_v value)
{
#if W2W_VECTOR_WIDTH == 8
    value = w2w_v_max(value, W2W_V_FOLD_4(value));
#endif
    value = w2w_v_max(value, W2W_V_FOLD_2(value));
    value = w2w_v_max(value, W2W_V_FOLD_1(value));
    return value[0];
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * exp, sigmoid, the activations of vectors of floats and their derivatives, without tables or
 * branches.
 *
 * The coefficients are our own: least squares at 150 Chebyshev points in 50 digits (mpmath),
 * repeated with each point's weight multiplied by its error until all errors are alike, which
 * leads to the minimax fit (Lawson's algorithm).
 */
#pragma once

#include "engine/device/cpu/vector.h"

/*
 * exp(x) within 1.1 ulp for x in [−87.3, 88.3]; 0 below, infinity above; NaN stays NaN.
 * x = n ln 2 + r, |r| ≤ ln 2 / 2; exp(r) = 1 + r + r² P(r), where P minimises the relative
 * error (3e-9) on that interval.
 */
W2W_INLINE w2w_v w2w_v_exp(w2w_v x)
{
    /* 1.5 · 2^23: adding it rounds to a whole number, whose bits are then the lowest ones. */
    const float magic = 0x1.8p23f;
    const w2w_v bounded = w2w_v_min(w2w_v_set(88.7f), x); /* in this order, which keeps NaN */
    const w2w_v shifted = bounded * 0x1.715476p+0f + magic;
    const w2w_v n = shifted - magic;
    /* ln 2 in two parts: n times the first is exact. */
    const w2w_v r = bounded - n * 0x1.62e4p-1f - n * 0x1.7f7d1cp-20f;
    const w2w_v r2 = r * r;
    const w2w_v p = (0.00138146110f * r2 + (0.00836871004f * r + 0.0416683874f)) * r2 +
                    (0.166665207f * r + 0.499999935f);
    const w2w_v power_of_two = (w2w_v)(((w2w_vu)shifted << 23) + (127u << 23));
    const w2w_v result = (p * r2 + r + 1.0f) * power_of_two;

    return w2w_v_select(x < -87.3f, w2w_v_set(0.0f), result);
}

/* 1 / (1 + exp(−x)), from exp(−|x|), which cannot overflow. */
W2W_INLINE w2w_v w2w_v_sigmoid(w2w_v x)
{
    const w2w_v e = w2w_v_exp(w2w_v_minus_abs(x));

    return w2w_v_select(x < 0.0f, e, w2w_v_set(1.0f)) / (e + 1.0f);
}

/* The derivative of x sigmoid(k x): s + k x s (1 − s), where s (1 − s) = e / (1 + e)². */
W2W_INLINE w2w_v w2w_v_d_silu(w2w_v x, const float k)
{
    const w2w_v kx = x * k, e = w2w_v_exp(w2w_v_minus_abs(kx)), r = 1.0f / (e + 1.0f), er = e * r;

    return w2w_v_select(kx < 0.0f, er, r) + kx * (er * r);
}

W2W_INLINE w2w_v w2w_v_silu(w2w_v x)
{
    return x * w2w_v_sigmoid(x);
}

W2W_INLINE w2w_v w2w_v_quick_gelu(w2w_v x)
{
    return x * w2w_v_sigmoid(x * 1.702f);
}

/*
 * Φ(−y) for 0 ≤ y ≤ 6.5, Φ the normal distribution's cumulative function: ln Φ(−y) is nearly a
 * parabola, and the polynomial minimises its error times Φ(−y), that is the error of Φ (2.5e-9).
 */
W2W_INLINE w2w_v w2w_v_normal_tail(w2w_v y)
{
    const w2w_v y2 = y * y, y4 = y2 * y2;
    const w2w_v high =
        (y * 2.55947194e-07f - 5.33464336e-06f) * y4 +
        ((y * 4.51761155e-05f - 0.000178399561f) * y2 + (y * -1.87090748e-05f + 0.00483009758f));
    const w2w_v low = (y * -0.0363575044f - 0.318305091f) * y2 + (y * -0.797884949f - 0.693147176f);

    return w2w_v_exp(high * y4 + low);
}

/* |x|, at most 6.5 */
W2W_INLINE w2w_v w2w_v_tail_at(w2w_v x)
{
    return w2w_v_min(w2w_v_set(6.5f), -w2w_v_minus_abs(x));
}

/*
 * x Φ(x) within 1e-7 · max(|x|, 1), and within 2e-7 · |x| near 0: with y = |x|, it is
 * max(x, 0) − y Φ(−y).
 */
W2W_INLINE w2w_v w2w_v_gelu(w2w_v x)
{
    const w2w_v y = w2w_v_tail_at(x);

    return w2w_v_max(w2w_v_set(0.0f), x) - y * w2w_v_normal_tail(y);
}

/* Both of x Φ(x) and its derivative Φ(x) + x φ(x), φ(x) = exp(−x² / 2) / √(2π). */
W2W_INLINE w2w_v w2w_v_gelu_and_d_gelu(w2w_v x, w2w_v *derivative)
{
    const w2w_v y = w2w_v_tail_at(x), tail = w2w_v_normal_tail(y);
    const w2w_v density = w2w_v_exp(x * x * -0.5f) * 0.398942280f;

    *derivative = w2w_v_select(x < 0.0f, tail, 1.0f - tail) + x * density;
    return w2w_v_max(w2w_v_set(0.0f), x) - y * tail;
}

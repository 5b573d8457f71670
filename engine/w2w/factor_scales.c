/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * First one q at a time, which finds the right signs and comes near: of one q the distance is
 * α q² + β/q² + γ q + δ/q, whose least value over both signs is found exactly. Then the logarithms
 * of all q at once (Gauss-Newton), which end in a few steps where the distance can be 0.
 *
 * V is orthonormal to float32's precision only, so a distance that is nothing may come out as
 * 10⁻⁶ of <z, z>, of either sign. Where q hardly changes the distance, that must not lead it away.
 * So in the beginning a small part of <z, z> itself counts, and every step is damped by a
 * part of the tangent's own length.
 */
#include "engine/w2w/factor_scales.h"

#include <math.h>
#include <string.h>

#include "engine/memory.h"
#include "engine/w2w/linear_algebra.h"

#define MAX_SWEEPS 100
#define MAX_STEPS  30
/* The part of <z, z> that counts as distance in the beginning. */
#define PART_OF_DEVIATION 1e-4
/* Of a tangent's square, added to its part outside of the space: ten times what rounding makes of
 * nothing would do, and a step still leaves a thousandth of its error. */
#define DAMPING 1e-3
/* A step of the logarithms this small is taken though its gain is lost in rounding: it is the last
 * of a row that converges. */
#define LAST_STEP 1e-5
/* How far a q may leave its beginning: beyond it the distance does not depend on it. */
#define MAX_FACTOR 1e6
#define MAX_DEGREE 4

typedef struct {
    const double *gram; /* of the distance */
    const double *whole;
    guint n;
    double *x;
    W2wFactorScale *scales;
    guint n_scales;
    double *first;   /* (n_scales): where each q began */
    double *old;     /* (n_scales): before a step */
    double *normal;  /* (n_scales, n_scales), its lower triangle */
    double *step;    /* (n_scales) */
    double *damped;  /* (n_scales, n_scales) */
    double *tangent; /* (n): work */
} Fit;

static double row_product(const Fit *fit, guint row)
{
    return w2w_dot(fit->gram + (gsize)row * fit->n, fit->x, fit->n);
}

/* xᵀ gram x */
static double distance(const Fit *fit, const double *gram)
{
    double sum = 0.0;

    for (guint i = 0; i < fit->n; i++)
        sum += fit->x[i] * w2w_dot(gram + (gsize)i * fit->n, fit->x, fit->n);
    return sum;
}

static void set_q(Fit *fit, guint m, double q)
{
    W2wFactorScale *scale = &fit->scales[m];

    scale->q = q;
    fit->x[scale->a] = q;
    fit->x[scale->b] = 1.0 / q;
}

static double evaluate(const double *polynomial, guint degree, double x)
{
    double value = polynomial[degree];

    for (guint i = degree; i-- > 0;)
        value = value * x + polynomial[i];
    return value;
}

/* The one root between two places of different signs. */
static double bisect(const double *polynomial, guint degree, double low, double high)
{
    const gboolean rising = evaluate(polynomial, degree, high) > 0.0;

    for (guint i = 0; i < 200; i++) {
        const double middle = 0.5 * (low + high);

        if (middle == low || middle == high)
            break;
        if ((evaluate(polynomial, degree, middle) > 0.0) == rising)
            high = middle;
        else
            low = middle;
    }
    return 0.5 * (low + high);
}

/* Roots in [low, high], in order: between the roots of the derivative there is one at most. */
static guint find_roots(const double *polynomial, guint degree, double low, double high,
                        double *roots)
{
    double derivative[MAX_DEGREE], turns[MAX_DEGREE + 1];
    guint n_turns = 0, n_roots = 0;

    if (degree > 1) {
        for (guint i = 1; i <= degree; i++)
            derivative[i - 1] = i * polynomial[i];
        n_turns = find_roots(derivative, degree - 1, low, high, turns);
    }
    turns[n_turns++] = high;
    for (guint i = 0; i < n_turns; i++) {
        const double before = evaluate(polynomial, degree, low);
        const double after = evaluate(polynomial, degree, turns[i]);

        if ((before < 0.0) != (after < 0.0))
            roots[n_roots++] = bisect(polynomial, degree, low, turns[i]);
        low = turns[i];
    }
    return n_roots;
}

typedef struct {
    double alpha, beta, gamma, delta;
} Terms;

static double evaluate_terms(const Terms *terms, double q)
{
    return (terms->alpha * q + terms->gamma) * q + (terms->beta / q + terms->delta) / q;
}

/* The least value over `sign` times [1/MAX_FACTOR, MAX_FACTOR] times |first|. */
static void improve(const Terms *terms, double sign, double first, double *best, double *value)
{
    const double unit = sign * fabs(first), low = 1.0 / MAX_FACTOR, high = MAX_FACTOR;
    /* In t = q / unit, the derivative times t³. */
    const double polynomial[MAX_DEGREE + 1] = {-2.0 * terms->beta / (unit * unit),
                                               -terms->delta / unit, 0.0, terms->gamma * unit,
                                               2.0 * terms->alpha * unit * unit};
    double candidates[MAX_DEGREE + 2];
    guint n = find_roots(polynomial, MAX_DEGREE, low, high, candidates);

    candidates[n++] = low;
    candidates[n++] = high;
    for (guint i = 0; i < n; i++) {
        const double here = evaluate_terms(terms, candidates[i] * unit);

        if (here < *value) {
            *value = here;
            *best = candidates[i] * unit;
        }
    }
}

/* Each q in turn, the others as they are. */
static void sweep(Fit *fit)
{
    for (guint m = 0; m < fit->n_scales; m++) {
        const guint a = fit->scales[m].a, b = fit->scales[m].b;
        const double q = fit->scales[m].q;
        const double aa = fit->gram[(gsize)a * fit->n + a], bb = fit->gram[(gsize)b * fit->n + b];
        const double ab = fit->gram[(gsize)a * fit->n + b];
        const Terms terms = {.alpha = aa,
                             .beta = bb,
                             .gamma = 2.0 * (row_product(fit, a) - aa * q - ab / q),
                             .delta = 2.0 * (row_product(fit, b) - bb / q - ab * q)};
        const double before = evaluate_terms(&terms, q);
        double value = before, best = q;

        improve(&terms, 1.0, fit->first[m], &best, &value);
        improve(&terms, -1.0, fit->first[m], &best, &value);
        if (value < before)
            set_q(fit, m, best);
    }
}

/* G t of module m's tangent t = dx/d(log q) into fit->tangent. */
static void multiply_tangent(Fit *fit, guint m)
{
    const W2wFactorScale *scale = &fit->scales[m];
    const double *row_a = fit->gram + (gsize)scale->a * fit->n;
    const double *row_b = fit->gram + (gsize)scale->b * fit->n;

    for (guint i = 0; i < fit->n; i++)
        fit->tangent[i] = scale->q * row_a[i] - row_b[i] / scale->q;
}

static void make_normal_equations(Fit *fit)
{
    for (guint m = 0; m < fit->n_scales; m++) {
        multiply_tangent(fit, m);
        fit->step[m] = -w2w_dot(fit->tangent, fit->x, fit->n);
        for (guint k = 0; k <= m; k++) {
            const W2wFactorScale *other = &fit->scales[k];

            fit->normal[(gsize)m * fit->n_scales + k] =
                fit->tangent[other->a] * other->q - fit->tangent[other->b] / other->q;
        }
    }
}

/* Of the whole tangent: what it is inside of the space, too. */
static double tangent_square(const Fit *fit, guint m)
{
    const W2wFactorScale *scale = &fit->scales[m];

    return scale->q * scale->q * fit->whole[(gsize)scale->a * (fit->n + 1)] +
           fit->whole[(gsize)scale->b * (fit->n + 1)] / (scale->q * scale->q);
}

/* x: the step; FALSE with *failed where memory is short, without where damping is too small. */
static gboolean solve(Fit *fit, double damping, double *x, gboolean *failed, GError **error)
{
    const guint n = fit->n_scales;
    g_autoptr(GError) reason = NULL;
    g_autoptr(W2wCholesky) factors = NULL;
    guint dependent;

    memcpy(fit->damped, fit->normal, (gsize)n * n * sizeof *fit->damped);
    memcpy(x, fit->step, n * sizeof *x);
    for (guint m = 0; m < n; m++)
        fit->damped[(gsize)m * (n + 1)] += damping * tangent_square(fit, m);
    factors = w2w_cholesky_new(fit->damped, n, 0.0, &dependent, &reason);
    *failed = reason != NULL;
    if (*failed)
        g_propagate_error(error, g_steal_pointer(&reason));
    if (factors == NULL)
        return FALSE;
    w2w_cholesky_solve(factors, x);
    return TRUE;
}

/* One step of all logarithms; FALSE where it was the last, or no damping makes one that improves.
 */
static gboolean newton_step(Fit *fit, double *x, gboolean *failed, GError **error)
{
    const double before = distance(fit, fit->gram);

    make_normal_equations(fit);
    for (guint m = 0; m < fit->n_scales; m++)
        fit->old[m] = fit->scales[m].q;
    for (double damping = DAMPING; damping < 1e4; damping *= 10.0) {
        double largest = 0.0;

        if (!solve(fit, damping, x, failed, error)) {
            if (*failed)
                return FALSE;
            continue;
        }
        for (guint m = 0; m < fit->n_scales; m++)
            largest = MAX(largest, fabs(x[m]));
        if (!(largest < 1.0)) /* too far for a linear view */
            continue;
        for (guint m = 0; m < fit->n_scales; m++)
            set_q(fit, m, fit->old[m] * exp(x[m]));
        if (largest < LAST_STEP)
            return FALSE;
        if (distance(fit, fit->gram) < before)
            return TRUE;
        for (guint m = 0; m < fit->n_scales; m++)
            set_q(fit, m, fit->old[m]);
    }
    return FALSE;
}

/* `biased` (n, n): the distance with a part of <z, z>. */
static void find_signs(Fit *fit, double *biased)
{
    const double *gram = fit->gram;
    double value;

    for (gsize i = 0; i < (gsize)fit->n * fit->n; i++)
        biased[i] = gram[i] + PART_OF_DEVIATION * fit->whole[i];
    fit->gram = biased;
    value = distance(fit, biased);
    for (guint i = 0; i < MAX_SWEEPS; i++) {
        const double last = value;

        sweep(fit);
        value = distance(fit, biased);
        if (!(last - value > 1e-3 * last))
            break;
    }
    fit->gram = gram;
}

gboolean w2w_factor_scales_fit(const double *gram, const double *whole, guint n, double *x,
                               W2wFactorScale *scales, guint n_scales, GError **error)
{
    const gsize n_square = (gsize)n_scales * n_scales, n_gram = (gsize)n * n;
    W2W_AUTO_ALIGNED double *work = w2w_aligned_alloc0(
        4 * (gsize)n_scales + 2 * n_square + n + n_gram, sizeof *work, "a LoRA's scales", error);
    Fit fit = {
        .gram = gram, .whole = whole, .n = n, .x = x, .scales = scales, .n_scales = n_scales};
    double *found, *biased;
    gboolean failed = FALSE;

    if (work == NULL)
        return FALSE;
    fit.first = work;
    fit.old = fit.first + n_scales;
    fit.step = fit.old + n_scales;
    found = fit.step + n_scales;
    fit.normal = found + n_scales;
    fit.damped = fit.normal + n_square;
    fit.tangent = fit.damped + n_square;
    biased = fit.tangent + n;
    for (guint m = 0; m < n_scales; m++) {
        fit.first[m] = scales[m].q;
        set_q(&fit, m, scales[m].q);
    }
    if (n_scales == 0)
        return TRUE;
    find_signs(&fit, biased);
    for (guint i = 0; i < MAX_STEPS && newton_step(&fit, found, &failed, error); i++)
        ;
    return !failed;
}

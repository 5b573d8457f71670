/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One q at a time finds the right signs and comes near: of one q the distance is
 * α q² + β/q² + γ q + δ/q, whose least value over both signs is found exactly. All logarithms of q
 * at once (Gauss-Newton) then end in a few steps, where the distance can be 0. Both are repeated
 * until neither improves.
 */
#include "engine/w2w/factor_scales.h"

#include <math.h>
#include <string.h>

#include "engine/memory.h"
#include "engine/w2w/linear_algebra.h"

#define MAX_ROUNDS       20
#define MAX_SWEEPS       20
#define MAX_NEWTON_STEPS 100
/* A change of the distance by less than this part of `total` is rounding. */
#define NOTHING 1e-15
/* A step of the logarithms this small is taken though its gain is lost in rounding: it is the last
 * of a row that converges. */
#define LAST_STEP 1e-5
/* How far a q may leave its beginning: beyond it the distance does not depend on it. */
#define MAX_FACTOR 1e6
#define MAX_DEGREE 4

typedef struct {
    const double *gram;
    guint n;
    double *x;
    W2wFactorScale *scales;
    guint n_scales;
    double nothing;
    double *first;   /* (n_scales): where each q began */
    double *normal;  /* (n_scales, n_scales) */
    double *step;    /* (n_scales) */
    double *tangent; /* (n): work */
} Fit;

static double row_product(const Fit *fit, guint row, const double *x)
{
    return w2w_dot(fit->gram + (gsize)row * fit->n, x, fit->n);
}

static double distance(const Fit *fit)
{
    double sum = 0.0;

    for (guint i = 0; i < fit->n; i++)
        sum += fit->x[i] * row_product(fit, i, fit->x);
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
                             .gamma = 2.0 * (row_product(fit, a, fit->x) - aa * q - ab / q),
                             .delta = 2.0 * (row_product(fit, b, fit->x) - bb / q - ab * q)};
        const double before = evaluate_terms(&terms, q);
        double value = before, best = q;

        improve(&terms, 1.0, fit->first[m], &best, &value);
        improve(&terms, -1.0, fit->first[m], &best, &value);
        if (before - value > fit->nothing)
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

static gboolean make_normal_equations(Fit *fit)
{
    for (guint m = 0; m < fit->n_scales; m++) {
        multiply_tangent(fit, m);
        fit->step[m] = -w2w_dot(fit->tangent, fit->x, fit->n);
        for (guint k = 0; k <= m; k++) {
            const W2wFactorScale *other = &fit->scales[k];

            fit->normal[(gsize)m * fit->n_scales + k] =
                fit->tangent[other->a] * other->q - fit->tangent[other->b] / other->q;
        }
        if (!(fit->normal[(gsize)m * fit->n_scales + m] > 0.0))
            return FALSE; /* this q does not matter */
    }
    return TRUE;
}

/* One step of all logarithms; FALSE where it was the last, or no damping makes one that improves.
 */
static gboolean newton_step(Fit *fit, double *value, double *old, gboolean *failed, GError **error)
{
    if (!make_normal_equations(fit))
        return FALSE;
    for (guint m = 0; m < fit->n_scales; m++)
        old[m] = fit->scales[m].q;
    for (double ridge = 1e-14; ridge < 1e4; ridge *= 100.0) {
        g_autofree double *x = g_memdup2(fit->step, fit->n_scales * sizeof *x);
        g_autoptr(GError) reason = NULL;
        g_autoptr(W2wCholesky) factors = NULL;
        double largest = 0.0, now;
        guint dependent;

        factors = w2w_cholesky_new(fit->normal, fit->n_scales, ridge, &dependent, &reason);
        if (reason != NULL) {
            g_propagate_error(error, g_steal_pointer(&reason));
            *failed = TRUE;
            return FALSE;
        }
        if (factors == NULL)
            continue;
        w2w_cholesky_solve(factors, x);
        for (guint m = 0; m < fit->n_scales; m++)
            largest = MAX(largest, fabs(x[m]));
        if (!(largest < 3.0)) /* a factor of 20: too far for a linear view */
            continue;
        for (guint m = 0; m < fit->n_scales; m++)
            set_q(fit, m, old[m] * exp(x[m]));
        now = distance(fit);
        if (*value - now > fit->nothing) {
            *value = now;
            return TRUE;
        }
        if (largest < LAST_STEP)
            return FALSE;
        for (guint m = 0; m < fit->n_scales; m++)
            set_q(fit, m, old[m]);
    }
    return FALSE;
}

static gboolean fit_all(Fit *fit, double *old, GError **error)
{
    double value = distance(fit);

    for (guint round = 0; round < MAX_ROUNDS; round++) {
        const double before = value;
        gboolean failed = FALSE;

        for (guint i = 0; i < MAX_SWEEPS; i++) {
            const double last = value;

            sweep(fit);
            value = distance(fit);
            if (!(last - value > 1e-3 * last))
                break;
        }
        for (guint i = 0; i < MAX_NEWTON_STEPS && newton_step(fit, &value, old, &failed, error);
             i++)
            ;
        if (failed)
            return FALSE;
        if (!(before - value > MAX(1e-6 * before, fit->nothing)))
            break;
    }
    return TRUE;
}

gboolean w2w_factor_scales_fit(const double *gram, guint n, double *x, W2wFactorScale *scales,
                               guint n_scales, double total, GError **error)
{
    const gsize n_work = (gsize)n_scales * (n_scales + 3) + n;
    W2W_AUTO_ALIGNED double *work =
        w2w_aligned_alloc0(n_work, sizeof *work, "a LoRA's scales", error);
    Fit fit = {.gram = gram,
               .n = n,
               .x = x,
               .scales = scales,
               .n_scales = n_scales,
               .nothing = NOTHING * total};

    if (work == NULL)
        return FALSE;
    fit.first = work;
    fit.step = work + n_scales;
    fit.normal = work + 3 * (gsize)n_scales;
    fit.tangent = fit.normal + (gsize)n_scales * n_scales;
    for (guint m = 0; m < n_scales; m++) {
        fit.first[m] = scales[m].q;
        set_q(&fit, m, scales[m].q);
    }
    return n_scales == 0 || fit_all(&fit, work + 2 * (gsize)n_scales, error);
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * All that depends on V is Vᵀ of one vector per factor: they do not overlap, so one walk over V
 * gives them all, and what follows is small.
 */
#include "engine/w2w/project.h"

#include <math.h>

#include "engine/error.h"
#include "engine/memory.h"
#include "engine/w2w/factor_scales.h"
#include "engine/w2w/linear_algebra.h"
#include "engine/w2w/matrix.h"
#include "engine/w2w/rank_one.h"
#include "engine/w2w/space_internal.h"

/* A module of the space and what the file has for it. */
typedef struct {
    const char *path;
    guint key_a, key_b;
    W2wRankOne product; /* without vectors where the file has nothing */
    gint scale;         /* index into scales; -1: the product is 0 */
} Module;

typedef struct {
    const W2wSpace *space;
    const W2wLora *lora;
    const W2wSpaceKey *keys;
    guint n_keys, n_modules;
    Module *modules;
    W2wFactorScale *scales;
    guint n_scales;
    double least_std;

    double *vector;       /* (n_weights): every factor's d, as far as it varies in the space */
    double *weighed;      /* (n_weights): the same with the numbers that do not vary */
    double *products;     /* (n_keys + 1, n_components): Vᵀ of each d, and of mean ⊘ std */
    double *gram, *whole; /* (n_keys + 1, n_keys + 1) */
    double *x;            /* (n_keys + 1) */
} Projector;

void w2w_projection_clear(W2wProjection *projection)
{
    g_clear_pointer(&projection->outside, g_ptr_array_unref);
    g_clear_pointer(&projection->missing, g_ptr_array_unref);
    *projection = (W2wProjection){0};
}

static void clear_projector(Projector *p)
{
    for (guint m = 0; m < p->n_modules; m++)
        w2w_rank_one_clear(&p->modules[m].product);
    g_free(p->modules);
    g_free(p->scales);
    w2w_aligned_free(p->vector);
    w2w_aligned_free(p->weighed);
    w2w_aligned_free(p->products);
    w2w_aligned_free(p->gram);
    w2w_aligned_free(p->whole);
    w2w_aligned_free(p->x);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Projector, clear_projector)

/* Pairs the space's keys; every path has one A and one B there. */
static GHashTable *index_modules(Projector *p)
{
    GHashTable *by_path = g_hash_table_new(g_str_hash, g_str_equal);

    p->modules = g_new0(Module, p->n_keys / 2);
    for (guint i = 0; i < p->n_keys; i++) {
        Module *module = g_hash_table_lookup(by_path, p->keys[i].path);

        if (module == NULL) {
            module = &p->modules[p->n_modules++];
            module->path = p->keys[i].path;
            module->scale = -1;
            g_hash_table_insert(by_path, (gpointer)module->path, module);
        }
        *(p->keys[i].is_b ? &module->key_b : &module->key_a) = i;
    }
    return by_path;
}

static gboolean check_widths(const Projector *p, const Module *module, const W2wRankOne *product,
                             GError **error)
{
    const gint64 n_in = p->keys[module->key_a].length, n_out = p->keys[module->key_b].length;

    if (product->n_in == n_in && product->n_out == n_out)
        return TRUE;
    g_set_error(error, W2W_ERROR, W2W_ERROR_MISMATCH,
                "%s is of another model than the space %s: its %s takes %" G_GINT64_FORMAT
                " numbers and gives %" G_GINT64_FORMAT ", the space's %" G_GINT64_FORMAT
                " and %" G_GINT64_FORMAT ".",
                p->lora->source, w2w_space_get_directory(p->space), module->path, product->n_in,
                product->n_out, n_in, n_out);
    return FALSE;
}

/* Squares of the norms of the whole LoRA and of the parts that are left out. */
typedef struct {
    double whole, outside, rank;
} Norms;

static gboolean take_module(const Projector *p, GHashTable *by_path, const W2wLoraModule *module,
                            Norms *norms, W2wProjection *projection, GError **error)
{
    g_auto(W2wRankOne) product = {0};
    Module *own = module->in_text_encoder ? NULL : g_hash_table_lookup(by_path, module->path);

    if (!w2w_rank_one_find(module, &product, error))
        return FALSE;
    norms->whole += product.norm * product.norm;
    if (own == NULL) {
        norms->outside += product.norm * product.norm;
        g_ptr_array_add(projection->outside, g_strdup(module->path));
        return TRUE;
    }
    if (!check_widths(p, own, &product, error))
        return FALSE;
    norms->rank += product.outside * product.outside;
    projection->n_modules++;
    own->product = product;
    product = (W2wRankOne){0};
    return TRUE;
}

static gboolean take_modules(Projector *p, W2wProjection *projection, GError **error)
{
    g_autoptr(GHashTable) by_path = index_modules(p);
    Norms norms = {0};

    for (guint i = 0; i < p->lora->modules->len; i++)
        if (!take_module(p, by_path, p->lora->modules->pdata[i], &norms, projection, error))
            return FALSE;
    for (guint m = 0; m < p->n_modules; m++)
        if (p->modules[m].product.u == NULL)
            g_ptr_array_add(projection->missing, g_strdup(p->modules[m].path));
    if (projection->n_modules == 0) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_MISMATCH,
                    "%s changes nothing that the space %s is about: it has none of its modules.",
                    p->lora->source, w2w_space_get_directory(p->space));
        return FALSE;
    }
    if (norms.whole > 0.0) {
        projection->outside_part = sqrt(norms.outside / norms.whole);
        projection->rank_lost = sqrt(norms.rank / norms.whole);
    }
    return TRUE;
}

static double weight_of(const Projector *p, gint64 i)
{
    return 1.0 / (p->space->std[i] > 0.0 ? p->space->std[i] : p->least_std);
}

/* d of one factor: `values` times `factor`, or the mean itself where `values` is NULL. */
static void set_factor(Projector *p, guint key, const double *values, double factor)
{
    const gint64 offset = p->keys[key].offset;

    for (gint64 i = 0; i < p->keys[key].length; i++) {
        const double value = values != NULL ? factor * values[i] : p->space->mean[offset + i];

        p->weighed[offset + i] = value * weight_of(p, offset + i);
        p->vector[offset + i] = p->space->std[offset + i] > 0.0 ? p->weighed[offset + i] : 0.0;
    }
}

/* q that brings q v nearest to the mean's A, v being of length 1. */
static double nearest_scale(const Projector *p, const Module *module)
{
    const double *mean = p->space->mean + p->keys[module->key_a].offset;
    const double *v = module->product.v;
    double with_mean = 0.0, of_mean = 0.0;

    for (gint64 i = 0; i < module->product.n_in; i++) {
        with_mean += v[i] * mean[i];
        of_mean += mean[i] * mean[i];
    }
    /* Nothing in common: as long as the mean, or as balanced as can be. */
    if (fabs(with_mean) > 1e-6 * sqrt(of_mean))
        return with_mean;
    return of_mean > 0.0 ? sqrt(of_mean) : sqrt(module->product.sigma);
}

static void set_vectors(Projector *p)
{
    p->scales = g_new0(W2wFactorScale, p->n_modules);
    for (guint m = 0; m < p->n_modules; m++) {
        Module *module = &p->modules[m];

        if (!(module->product.sigma > 0.0)) {
            set_factor(p, module->key_a, NULL, 1.0);
            p->x[module->key_a] = 1.0;
            continue; /* B: zeros already */
        }
        set_factor(p, module->key_a, module->product.v, 1.0);
        set_factor(p, module->key_b, module->product.u,
                   module->product.sigma / p->space->lora_scale);
        module->scale = (gint)p->n_scales;
        p->scales[p->n_scales++] =
            (W2wFactorScale){.a = module->key_a, .b = module->key_b, .q = nearest_scale(p, module)};
    }
    p->x[p->n_keys] = -1.0; /* z is what the factors have beyond the mean */
}

static double block_dot(const Projector *p, guint key, gboolean with_mean)
{
    const double *d = p->weighed + p->keys[key].offset;
    double sum = 0.0;

    for (gint64 i = 0; i < p->keys[key].length; i++) {
        const gint64 at = p->keys[key].offset + i;

        sum += d[i] * (with_mean ? p->space->mean[at] * weight_of(p, at) : d[i]);
    }
    return sum;
}

/* <d_i, d_j> and G of factor_scales.h, the mean as the last vector. */
static void make_grams(Projector *p)
{
    const guint n = p->n_keys + 1, k = p->space->n_components;
    double of_mean = 0.0;

    for (guint i = 0; i < p->n_keys; i++) {
        p->whole[(gsize)i * (n + 1)] = block_dot(p, i, FALSE);
        p->whole[(gsize)i * n + p->n_keys] = p->whole[(gsize)p->n_keys * n + i] =
            block_dot(p, i, TRUE);
    }
    for (gint64 i = 0; i < p->space->n_weights; i++) {
        const double value = p->space->mean[i] * weight_of(p, i);

        of_mean += value * value;
    }
    p->whole[(gsize)n * n - 1] = of_mean;
    for (guint i = 0; i < n; i++) {
        for (guint j = 0; j <= i; j++) {
            const gsize at = (gsize)i * n + j, mirrored = (gsize)j * n + i;

            p->gram[at] = p->gram[mirrored] =
                p->whole[at] - w2w_dot(p->products + (gsize)i * k, p->products + (gsize)j * k, k);
        }
    }
}

/* Vᵀ of every factor's d and of the mean's. */
static gboolean make_products(Projector *p, GError **error)
{
    const gsize k = p->space->n_components;
    g_autofree gint64 *ends = w2w_try_malloc(p->n_keys, sizeof *ends, "a LoRA's factors", error);
    W2W_AUTO_ALIGNED double *mean =
        ends == NULL ? NULL
                     : w2w_aligned_alloc((gsize)p->space->n_weights, sizeof *mean,
                                         "an identity's weights", error);

    if (mean == NULL)
        return FALSE;
    for (gint64 i = 0; i < p->space->n_weights; i++)
        mean[i] = p->space->std[i] > 0.0 ? p->space->mean[i] / p->space->std[i] : 0.0;
    for (guint i = 0; i < p->n_keys; i++)
        ends[i] = p->keys[i].offset + p->keys[i].length;
    w2w_matrix_multiply_transposed_blocks(p->space->v, p->vector, p->n_keys, ends, p->products);
    w2w_matrix_multiply_transposed(p->space->v, mean, k, p->products + p->n_keys * k);
    for (gsize i = 0; i < (p->n_keys + 1) * k; i++) {
        if (!isfinite(p->products[i])) {
            g_set_error(error, W2W_ERROR, W2W_ERROR_FORMAT,
                        "The product with the components of the space %s is not finite: the file "
                        "is damaged, or the LoRA's values are far out of range.",
                        w2w_space_get_directory(p->space));
            return FALSE;
        }
    }
    return TRUE;
}

static gboolean allocate(Projector *p, GError **error)
{
    const gsize n = (gsize)p->space->n_weights, n_vectors = (gsize)p->n_keys + 1;

    p->vector = w2w_aligned_alloc0(n, sizeof(double), "an identity's weights", error);
    if (p->vector == NULL)
        return FALSE;
    p->weighed = w2w_aligned_alloc0(n, sizeof(double), "an identity's weights", error);
    if (p->weighed == NULL)
        return FALSE;
    p->products = w2w_aligned_alloc0(n_vectors * p->space->n_components, sizeof(double),
                                     "products with the components", error);
    if (p->products == NULL)
        return FALSE;
    p->gram = w2w_aligned_alloc0(n_vectors * n_vectors, sizeof(double), "a LoRA's scales", error);
    if (p->gram == NULL)
        return FALSE;
    p->whole = w2w_aligned_alloc0(n_vectors * n_vectors, sizeof(double), "a LoRA's scales", error);
    if (p->whole == NULL)
        return FALSE;
    p->x = w2w_aligned_alloc0(n_vectors, sizeof(double), "a LoRA's scales", error);
    return p->x != NULL;
}

static gboolean set_coefficients(const Projector *p, float *coefficients, GError **error)
{
    const guint k = p->space->n_components;

    for (guint j = 0; j < k; j++) {
        double sum = 0.0;

        for (guint i = 0; i <= p->n_keys; i++)
            sum += p->x[i] * p->products[(gsize)i * k + j];
        if (!(fabs(sum) <= G_MAXFLOAT)) {
            g_set_error(error, W2W_ERROR, W2W_ERROR_FORMAT,
                        "%s lies impossibly far outside of the space %s.", p->lora->source,
                        w2w_space_get_directory(p->space));
            return FALSE;
        }
        coefficients[j] = (float)sum;
    }
    return TRUE;
}

/* How far z is from V c. */
static double lost_deviation(const Projector *p, const float *theta)
{
    double lost = 0.0, whole = 0.0;

    for (guint key = 0; key < p->n_keys; key++) {
        for (gint64 i = 0; i < p->keys[key].length; i++) {
            const gint64 at = p->keys[key].offset + i;
            const double std = p->space->std[at];
            double value, kept;

            if (!(std > 0.0))
                continue;
            value = p->x[key] * p->vector[at] - p->space->mean[at] / std;
            kept = (theta[at] - p->space->mean[at]) / std;
            whole += value * value;
            lost += (value - kept) * (value - kept);
        }
    }
    return whole > 0.0 ? sqrt(lost / whole) : 0.0;
}

/* |sigma u vᵀ − s B Aᵀ|² by the products of their vectors. */
static double lost_product(const Projector *p, const Module *module, const float *theta)
{
    const float *a = theta + p->keys[module->key_a].offset;
    const float *b = theta + p->keys[module->key_b].offset;
    const gint64 n_in = p->keys[module->key_a].length, n_out = p->keys[module->key_b].length;
    const double sigma = module->product.sigma;
    double along_v = 0.0, along_u = 0.0, beside_v = 0.0, beside_u = 0.0, diagonal;

    /* Split along u, v and beside them: the parts are orthogonal, and no large number is taken
     * from another. */
    for (gint64 i = 0; sigma > 0.0 && i < n_in; i++)
        along_v += module->product.v[i] * a[i];
    for (gint64 o = 0; sigma > 0.0 && o < n_out; o++)
        along_u += module->product.u[o] * b[o];
    for (gint64 i = 0; i < n_in; i++) {
        const double rest = a[i] - (sigma > 0.0 ? along_v * module->product.v[i] : 0.0);

        beside_v += rest * rest;
    }
    for (gint64 o = 0; o < n_out; o++) {
        const double rest = b[o] - (sigma > 0.0 ? along_u * module->product.u[o] : 0.0);

        beside_u += rest * rest;
    }
    diagonal = sigma - p->space->lora_scale * along_u * along_v;
    return diagonal * diagonal +
           p->space->lora_scale * p->space->lora_scale *
               (along_u * along_u * beside_v + along_v * along_v * beside_u + beside_u * beside_v);
}

static gboolean measure(const Projector *p, const float *coefficients, W2wProjection *projection,
                        GError **error)
{
    W2W_AUTO_ALIGNED float *theta = w2w_aligned_alloc((gsize)p->space->n_weights, sizeof *theta,
                                                      "an identity's weights", error);
    double lost = 0.0, whole = 0.0;

    if (theta == NULL ||
        !w2w_space_unproject(p->space, coefficients, p->space->n_components, theta, error))
        return FALSE;
    projection->deviation_lost = lost_deviation(p, theta);
    for (guint m = 0; m < p->n_modules; m++) {
        lost += lost_product(p, &p->modules[m], theta);
        whole += p->modules[m].product.sigma * p->modules[m].product.sigma;
    }
    projection->product_lost = whole > 0.0 ? sqrt(lost / whole) : 0.0;
    return TRUE;
}

gboolean w2w_project_lora(const W2wSpace *space, const W2wLora *lora, float *coefficients,
                          W2wProjection *projection, GError **error)
{
    g_auto(Projector) p = {.space = space, .lora = lora, .least_std = G_MAXDOUBLE};
    g_auto(W2wProjection) found = {.outside = g_ptr_array_new_with_free_func(g_free),
                                   .missing = g_ptr_array_new_with_free_func(g_free)};

    p.keys = w2w_space_get_keys(space, &p.n_keys);
    if (p.n_keys == 0) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_UNSUPPORTED,
                    "The space %s does not say which number belongs to which module: it has no "
                    "weight_dimensions.pt, and no model was opened with it.",
                    w2w_space_get_directory(space));
        return FALSE;
    }
    for (gint64 i = 0; i < space->n_weights; i++)
        if (space->std[i] > 0.0)
            p.least_std = MIN(p.least_std, space->std[i]);
    if (p.least_std == G_MAXDOUBLE)
        p.least_std = 1.0;
    if (!take_modules(&p, &found, error) || !allocate(&p, error))
        return FALSE;
    set_vectors(&p);
    if (!make_products(&p, error))
        return FALSE;
    make_grams(&p);
    if (!w2w_factor_scales_fit(p.gram, p.whole, p.n_keys + 1, p.x, p.scales, p.n_scales, error) ||
        !set_coefficients(&p, coefficients, error) || !measure(&p, coefficients, &found, error))
        return FALSE;
    *projection = found;
    found = (W2wProjection){0};
    return TRUE;
}

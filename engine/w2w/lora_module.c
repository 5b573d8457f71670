/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One module of a LoRA: the product of its factors. */
#include <math.h>

#include "engine/error.h"
#include "engine/memory.h"
#include "engine/w2w/lora_file.h"

gint64 w2w_lora_module_get_n_out(const W2wLoraModule *module)
{
    return module->b->shape[0];
}

gint64 w2w_lora_module_get_n_elements(const W2wLoraModule *module)
{
    return module->b->shape[0] * (module->a->n_elements / module->rank);
}

/* One row of the weight: sum of A's rows, each times a number of B's row. */
static void multiply_row(const double *b, const double *a, guint rank, gint64 n_in, double scale,
                         double *sums, float *row)
{
    for (gint64 i = 0; i < n_in; i++)
        sums[i] = 0.0;
    for (guint r = 0; r < rank; r++)
        for (gint64 i = 0; i < n_in; i++)
            sums[i] += b[r] * a[(gint64)r * n_in + i];
    for (gint64 i = 0; i < n_in; i++)
        row[i] = (float)(scale * sums[i]);
}

gboolean w2w_lora_module_get_delta(const W2wLoraModule *module, double strength, gint64 n,
                                   float *delta, GError **error)
{
    const gint64 n_out = w2w_lora_module_get_n_out(module);
    const gint64 n_in = module->a->n_elements / module->rank;
    const double scale = strength * module->scale;
    W2W_AUTO_ALIGNED double *a = NULL;
    W2W_AUTO_ALIGNED double *b = NULL;
    W2W_AUTO_ALIGNED double *sums = NULL;

    if (!isfinite(strength)) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_USAGE,
                    "The strength of a LoRA is not a finite number.");
        return FALSE;
    }
    if (n != n_out * n_in) {
        g_autofree char *a_shape = w2w_array_shape_to_string(module->a);
        g_autofree char *b_shape = w2w_array_shape_to_string(module->b);

        g_set_error(error, W2W_ERROR, W2W_ERROR_MISMATCH,
                    "The LoRA is of another model: its factors %s and %s do not fit the "
                    "%" G_GINT64_FORMAT " numbers of the model's %s.",
                    a_shape, b_shape, n, module->path);
        return FALSE;
    }
    a = w2w_aligned_alloc((gsize)module->a->n_elements, sizeof *a, "a LoRA's factors", error);
    b = a != NULL
            ? w2w_aligned_alloc((gsize)module->b->n_elements, sizeof *b, "a LoRA's factors", error)
            : NULL;
    sums =
        b != NULL ? w2w_aligned_alloc((gsize)n_in, sizeof *sums, "a LoRA's product", error) : NULL;
    if (sums == NULL)
        return FALSE;
    w2w_array_to_f64(module->a, a);
    w2w_array_to_f64(module->b, b);
    for (gint64 o = 0; o < n_out; o++)
        multiply_row(b + o * module->rank, a, module->rank, n_in, scale, sums, delta + o * n_in);
    for (gint64 i = 0; i < n; i++) {
        if (!isfinite(delta[i])) {
            g_set_error(error, W2W_ERROR, W2W_ERROR_FORMAT,
                        "The LoRA's factors of %s give numbers that are far out of range.",
                        module->path);
            return FALSE;
        }
    }
    return TRUE;
}

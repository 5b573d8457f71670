/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The same weights in each form give the same bits: every weight of every form as float32, and
 * one output of each network. The forms are made from golden's model; where the golden folder has
 * its own model_old, that is one of them.
 */
#include <math.h>
#include <string.h>

#include "engine/error.h"
#include "engine/models/part_files.h"
#include "engine/models/text_encoder.h"
#include "engine/models/unet.h"
#include "engine/models/vae.h"
#include "tests/models/model_forms.h"
#include "tests/models/network_run.h"

static ModelSource *source;

/* --- outputs --- */

typedef struct {
    float *values;
    gsize n;
} Output;

/* Replays with waves as inputs; ids of text are whole numbers. */
static Output run(W2wGraph *graph, const char *name, const char *output)
{
    g_autoptr(W2wPlan) plan = network_run_plan(graph, "cpu", name);
    const char *const *inputs = w2w_plan_get_input_names(plan);
    W2wShape shape = w2w_plan_get_output_shape(plan, output);
    Output result = {.n = (gsize)shape.n * shape.h * shape.w * shape.c};

    for (guint i = 0; inputs[i] != NULL; i++) {
        const W2wShape in = w2w_plan_get_input_shape(plan, inputs[i]);
        const gsize n = (gsize)in.n * in.h * in.w * in.c;
        const gboolean is_whole =
            g_str_equal(inputs[i], "input_ids") || g_str_equal(inputs[i], "timesteps");
        g_autofree float *values = g_new(float, n);

        for (gsize j = 0; j < n; j++)
            values[j] = is_whole ? (float)(17 * j % 300) + 1 : sinf((float)j);
        w2w_plan_set_input(plan, inputs[i], values);
    }
    w2w_plan_replay(plan);
    result.values = g_new(float, result.n);
    w2w_plan_get_output(plan, output, result.values);
    return result;
}

static Output run_unet(const char *path, GError **error)
{
    const W2wUnetRecordOptions options = {.batch = 1, .height = 8, .width = 8, .text_length = 5};
    g_autoptr(W2wUnet) unet = w2w_unet_open(path, error);
    W2wGraph *graph = unet != NULL ? w2w_unet_record(unet, &options, error) : NULL;

    return graph != NULL ? run(graph, "unet", "noise_pred") : (Output){NULL, 0};
}

static Output run_vae(const char *path, GError **error)
{
    g_autoptr(W2wVae) vae = w2w_vae_open(path, error);
    W2wGraph *graph = vae != NULL ? w2w_vae_record_decode(vae, 1, 3, 4, FALSE, error) : NULL;

    return graph != NULL ? run(graph, "vae", "image") : (Output){NULL, 0};
}

static Output run_text_encoder(const char *path, GError **error)
{
    g_autoptr(W2wTextEncoder) encoder = w2w_text_encoder_open(path, error);
    W2wGraph *graph = encoder != NULL ? w2w_text_encoder_record(encoder, 1, FALSE, error) : NULL;

    return graph != NULL ? run(graph, "text_encoder", "text_embedding") : (Output){NULL, 0};
}

static Output run_part(W2wModelPart part, const char *path, GError **error)
{
    return part == W2W_PART_UNET  ? run_unet(path, error)
           : part == W2W_PART_VAE ? run_vae(path, error)
                                  : run_text_encoder(path, error);
}

/* Of the golden model, computed once. */
static const Output *expected_output(W2wModelPart part)
{
    static Output outputs[W2W_N_MODEL_PARTS];

    if (outputs[part].values == NULL) {
        g_autofree char *path = w2w_model_part_path(source->folder, w2w_model_part_names[part]);
        g_autoptr(GError) error = NULL;

        outputs[part] = run_part(part, path, &error);
        g_assert_no_error(error);
        for (gsize i = 0; i < outputs[part].n; i++)
            g_assert_true(isfinite(outputs[part].values[i]));
        g_assert_cmpfloat(outputs[part].values[0], !=, outputs[part].values[1]);
    }
    return &outputs[part];
}

/* --- comparisons --- */

static void compare_weights(GHashTable *expected, GHashTable *actual)
{
    GHashTableIter iter;
    gpointer name, value;

    g_assert_cmpuint(g_hash_table_size(actual), ==, g_hash_table_size(expected));
    g_hash_table_iter_init(&iter, expected);
    while (g_hash_table_iter_next(&iter, &name, &value)) {
        const W2wArray *wanted = value;
        const W2wArray *found = g_hash_table_lookup(actual, name);
        const gsize n = (gsize)wanted->n_elements;
        g_autofree float *a = g_new(float, n);
        g_autofree float *b = g_new(float, n);

        if (found == NULL)
            g_error("There is no \"%s\".", (const char *)name);
        g_assert_true(w2w_array_has_shape(found, wanted->n_dims, wanted->shape));
        w2w_array_to_f32(wanted, a);
        w2w_array_to_f32(found, b);
        g_assert_cmpmem(a, n * sizeof(*a), b, n * sizeof(*b));
    }
}

static void compare_part(W2wModelPart part, const char *path, W2wDType dtype)
{
    g_autoptr(GHashTable) expected = model_forms_convert(source->part[part], dtype);
    g_autofree char *file = NULL;
    g_autoptr(GError) error = NULL;
    g_autoptr(GHashTable) actual = w2w_part_read_weights(path, part, &file, &error);
    const Output *wanted = expected_output(part);
    Output output;

    g_assert_no_error(error);
    compare_weights(expected, actual);
    output = run_part(part, path, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(output.n, ==, wanted->n);
    /* Other numbers give another output: bfloat16 has fewer bits. */
    if (dtype == W2W_DTYPE_BF16)
        g_assert_true(memcmp(output.values, wanted->values, output.n * sizeof(float)) != 0);
    else
        g_assert_cmpmem(output.values, output.n * sizeof(float), wanted->values,
                        wanted->n * sizeof(float));
    g_free(output.values);
}

static char *fingerprint_of_unet(const char *path)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(W2wUnet) unet = w2w_unet_open(path, &error);

    g_assert_no_error(error);
    return g_strdup(w2w_unet_get_fingerprint(unet));
}

static void compare_model(const char *model, W2wDType dtype, const char *missing)
{
    g_autofree char *original = w2w_model_part_path(source->folder, "unet");
    g_autofree char *wanted = fingerprint_of_unet(original);
    g_autofree char *unet = w2w_model_part_path(model, "unet");
    g_autofree char *found = fingerprint_of_unet(unet);

    for (W2wModelPart part = 0; part < W2W_N_MODEL_PARTS; part++) {
        g_autofree char *path = w2w_model_part_path(model, w2w_model_part_names[part]);

        if (missing != NULL && part == W2W_PART_VAE) {
            g_autoptr(GError) error = NULL;

            g_assert_null(w2w_vae_open(path, &error));
            g_assert_error(error, W2W_ERROR, W2W_ERROR_FORMAT);
            g_test_message("%s", error->message);
            g_assert_nonnull(strstr(error->message, path));
            g_assert_nonnull(strstr(error->message, missing));
            g_assert_nonnull(strstr(error->message, "--vae"));
        } else {
            compare_part(part, path, dtype);
        }
    }
    /* Names and bytes, not files: an identity knows its model in every form. */
    if (dtype == W2W_DTYPE_F16)
        g_assert_cmpstr(found, ==, wanted);
    else
        g_assert_cmpstr(found, !=, wanted);
}

static void test_form(gconstpointer data)
{
    const ModelForm *form = data;
    g_autoptr(GError) error = NULL;
    g_autofree char *out = g_dir_make_tmp("w2w-forms-XXXXXX", &error);
    g_autofree char *path = NULL;

    g_assert_no_error(error);
    form->write(source, out);
    path = model_forms_get_path(form, out);
    compare_model(path, form->dtype, form->missing);
    model_forms_remove(out);
}

static void test_model_old(gconstpointer data)
{
    compare_model(data, W2W_DTYPE_F16, NULL);
}

int main(int argc, char **argv)
{
    g_autofree char *model = w2w_golden_path("model");
    g_autofree char *model_old = w2w_golden_path("model_old");
    int result;

    g_test_init(&argc, &argv, NULL);
    source = model_source_new(model);
    for (const ModelForm *form = model_forms; form->name != NULL; form++) {
        g_autofree char *name = g_strconcat("/forms/", form->name, NULL);

        g_test_add_data_func(name, form, test_form);
    }
    if (g_file_test(model_old, G_FILE_TEST_IS_DIR))
        g_test_add_data_func("/forms/model_old", model_old, test_model_old);
    result = g_test_run();
    model_source_free(source);
    return result;
}

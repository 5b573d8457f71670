/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * LoRAs merged into the embedded world's model: what they change, that the same set costs nothing
 * and another one leaves nothing behind, and what is refused.
 */
#include <glib/gstdio.h>
#include <math.h>
#include <string.h>

#include "engine/device/device.h"
#include "engine/error.h"
#include "engine/formats/safetensors.h"
#include "engine/memory.h"
#include "engine/pipeline/pipeline.h"
#include "engine/w2w/lora_file.h"
#include "tests/w2w/lora_files.h"
#include "tests/w2w/space_folder.h"

enum { WIDTH = 64, HEIGHT = 48, N_VALUES = WIDTH * HEIGHT * 3, RANK = 3 };

/* A convolution and a linear layer of the UNet, and one of the text encoder. */
#define CONV   "down_blocks.0.resnets.0.conv1"
#define LINEAR "mid_block.attentions.0.transformer_blocks.0.attn2.to_k"
#define TEXT   "text_model.encoder.layers.1.self_attn.q_proj"

static const char *const modules[] = {CONV, LINEAR, TEXT};

static W2wPipeline *open_pipeline(const char *model, const char *space)
{
    const W2wDeviceOptions options = {.compute_type = W2W_COMPUTE_F32};
    g_autoptr(GError) error = NULL;
    W2wDevice *device = w2w_device_new("cpu", &options, &error);
    W2wWorld *world = w2w_world_open_parts(model, space, &error);
    W2wPipeline *pipeline;

    g_assert_no_error(error);
    pipeline = w2w_pipeline_new(world, device, &error);
    g_assert_no_error(error);
    return pipeline;
}

static char *embedded_model(void)
{
    return g_build_filename(w2w_world_get_default_directory(), "model", NULL);
}

static W2wPipeline *open_embedded(void)
{
    g_autofree char *model = embedded_model();
    g_autofree char *space = embedded_space();

    return open_pipeline(model, space);
}

/* The weights of a part of the embedded model. */
static W2wSafetensors *open_weights(const char *part, const char *file)
{
    g_autofree char *model = embedded_model();
    g_autofree char *path = g_build_filename(model, part, file, NULL);
    g_autoptr(GError) error = NULL;
    W2wSafetensors *weights = w2w_safetensors_open(path, &error);

    g_assert_no_error(error);
    return weights;
}

static W2wSafetensors *open_unet(void)
{
    return open_weights("unet", "diffusion_pytorch_model.safetensors");
}

static W2wSafetensors *open_text_encoder(void)
{
    return open_weights("text_encoder", "model.safetensors");
}

/* Adds B (out,rank) and A (rank,in…) for a weight of that shape, as kohya's scripts name them. */
static void add_module(GArray *tensors, GPtrArray *keys, const char *prefix, const char *path,
                       const W2wArray *weight, gint64 extra_out)
{
    g_autofree char *word = g_strdelimit(g_strdup(path), ".", '_');
    LoraTensor down = {.n_dims = weight->n_dims}, up = {.n_dims = weight->n_dims}, alpha = {0};

    for (guint d = 0; d < weight->n_dims; d++) {
        down.shape[d] = weight->shape[d];
        up.shape[d] = 1;
    }
    down.shape[0] = up.shape[1] = RANK;
    up.shape[0] = weight->shape[0] + extra_out;
    alpha.value = 0.05f;
    down.key = g_strconcat(prefix, word, ".lora_down.weight", NULL);
    up.key = g_strconcat(prefix, word, ".lora_up.weight", NULL);
    alpha.key = g_strconcat(prefix, word, ".alpha", NULL);
    g_ptr_array_add(keys, (char *)down.key);
    g_ptr_array_add(keys, (char *)up.key);
    g_ptr_array_add(keys, (char *)alpha.key);
    g_array_append_val(tensors, down);
    g_array_append_val(tensors, up);
    g_array_append_val(tensors, alpha);
}

/*
 * The file `name` in `folder`: with CONV, LINEAR and TEXT as far as `which` says (bits), the first
 * with `extra_out` outputs more than the model's.
 */
static char *write_file(const char *folder, const char *name, guint which, gint64 extra_out)
{
    g_autoptr(W2wSafetensors) unet = open_unet();
    g_autoptr(W2wSafetensors) text_encoder = open_text_encoder();
    g_autoptr(GArray) tensors = g_array_new(TRUE, TRUE, sizeof(LoraTensor));
    g_autoptr(GPtrArray) keys = g_ptr_array_new_with_free_func(g_free);

    for (guint i = 0; i < G_N_ELEMENTS(modules); i++) {
        const gboolean is_text = i == 2;
        g_autofree char *weight = g_strconcat(modules[i], ".weight", NULL);

        if (which & 1u << i)
            add_module(tensors, keys, is_text ? "lora_te_" : "lora_unet_", modules[i],
                       w2w_safetensors_peek(is_text ? text_encoder : unet, weight),
                       i == 0 ? extra_out : 0);
    }
    write_lora(folder, name, (const LoraTensor *)(gpointer)tensors->data, NULL);
    return g_build_filename(folder, name, NULL);
}

static W2wRenderOptions small_picture(const W2wRenderLora *loras, guint n_loras)
{
    return (W2wRenderOptions){.prompt = "sks person",
                              .negative_prompt = "blurry",
                              .width = WIDTH,
                              .height = HEIGHT,
                              .steps = 2,
                              .guidance_scale = 3.0,
                              .seed = 7,
                              .loras = loras,
                              .n_loras = n_loras};
}

static float *render(W2wPipeline *pipeline, const char *path, double strength)
{
    const W2wRenderLora lora = {path, strength};
    const W2wRenderOptions options = small_picture(&lora, path != NULL ? 1 : 0);
    g_autoptr(GError) error = NULL;
    float *image = w2w_pipeline_render_float(pipeline, &options, NULL, &error);

    g_assert_no_error(error);
    return image;
}

static double distance(const float *a, const float *b)
{
    double largest = 0.0;

    for (guint i = 0; i < N_VALUES; i++)
        largest = MAX(largest, fabs((double)a[i] - b[i]));
    return largest;
}

static gboolean same(const float *a, const float *b)
{
    return memcmp(a, b, N_VALUES * sizeof *a) == 0;
}

/* weight + strength · scale · B A, written as the file of a model's part. */
static void write_merged(const char *place, const char *file, W2wSafetensors *weights,
                         const W2wLora *lora, gboolean in_text_encoder, double strength)
{
    g_autoptr(W2wSafetensorsWriter) writer = w2w_safetensors_writer_new();
    g_autofree char *path = g_build_filename(place, file, NULL);
    const char *const *key = w2w_safetensors_get_keys(weights);
    g_autoptr(GError) error = NULL;

    for (; *key != NULL; key++) {
        W2wArray *weight = w2w_safetensors_peek(weights, *key);
        g_autoptr(W2wArray) changed = w2w_array_ref(weight);

        for (guint m = 0; m < lora->modules->len; m++) {
            const W2wLoraModule *module = lora->modules->pdata[m];
            const gint64 n_in = weight->n_elements / weight->shape[0];
            g_autofree char *name = g_strconcat(module->path, ".weight", NULL);
            g_autofree float *sum = NULL;

            if (module->in_text_encoder != in_text_encoder || !g_str_equal(name, *key))
                continue;
            sum = g_new(float, (gsize)weight->n_elements);
            for (gint64 e = 0; e < weight->n_elements; e++) {
                double product = 0.0;

                for (gint64 r = 0; r < module->rank; r++)
                    product += w2w_array_get(module->b, e / n_in * module->rank + r) *
                               w2w_array_get(module->a, r * n_in + e % n_in);
                sum[e] = (float)(w2w_array_get(weight, e) + strength * module->scale * product);
            }
            w2w_array_unref(changed);
            changed = w2w_array_new_f32(weight->n_dims, weight->shape, sum, &error);
            g_assert_no_error(error);
        }
        w2w_safetensors_writer_add(writer, *key, changed);
    }
    g_unlink(path);
    w2w_safetensors_writer_save(writer, path, &error);
    g_assert_no_error(error);
}

/* A folder of links to a part, in place of the link to it. */
static char *copy_part(const char *model, const char *part)
{
    g_autofree char *embedded = embedded_model();
    g_autofree char *source = g_build_filename(embedded, part, NULL);
    char *place = link_folder(source, NULL);

    link_file(model, part, place);
    return place;
}

/* The same picture as from a model whose files hold the sum. */
static void test_sum(void)
{
    g_autofree char *embedded = embedded_model();
    char *folder = make_folder();
    char *model = link_folder(embedded, NULL);
    char *unet_place = copy_part(model, "unet");
    char *text_place = copy_part(model, "text_encoder");
    g_autofree char *path = write_file(folder, "lora.safetensors", 7, 0);
    g_autoptr(GError) error = NULL;
    g_autoptr(W2wLora) lora = w2w_lora_open(path, &error);
    g_autoptr(W2wSafetensors) unet = open_unet();
    g_autoptr(W2wSafetensors) text_encoder = open_text_encoder();

    g_assert_no_error(error);
    g_assert_cmpuint(lora->modules->len, ==, G_N_ELEMENTS(modules));
    write_merged(unet_place, "diffusion_pytorch_model.safetensors", unet, lora, FALSE, 0.7);
    write_merged(text_place, "model.safetensors", text_encoder, lora, TRUE, 0.7);
    {
        g_autoptr(W2wPipeline) pipeline = open_embedded();
        g_autoptr(W2wPipeline) merged = open_pipeline(model, NULL);
        W2W_AUTO_ALIGNED float *base = render(pipeline, NULL, 0.0);
        W2W_AUTO_ALIGNED float *with = render(pipeline, path, 0.7);
        W2W_AUTO_ALIGNED float *expected = render(merged, NULL, 0.0);

        g_test_message("the LoRA changes %g, the two ways differ by %g", distance(base, with),
                       distance(with, expected));
        /* The sums are rounded twice there and once here; the rest is what two steps make of it. */
        g_assert_cmpfloat(distance(with, expected), <, 1e-4);
        g_assert_cmpfloat(distance(base, with), >, 0.05);
    }
    remove_folder(unet_place);
    remove_folder(text_place);
    remove_folder(model);
    remove_folder(folder);
}

/* Each kind of module has its part in it. */
static void test_modules(void)
{
    g_autoptr(W2wPipeline) pipeline = open_embedded();
    W2W_AUTO_ALIGNED float *base = render(pipeline, NULL, 0.0);
    char *folder = make_folder();

    for (guint i = 0; i < G_N_ELEMENTS(modules); i++) {
        g_autofree char *path = write_file(folder, "one.safetensors", 1u << i, 0);
        W2W_AUTO_ALIGNED float *with = render(pipeline, path, 1.0);

        g_test_message("%s", modules[i]);
        g_assert_false(same(with, base));
    }
    remove_folder(folder);
}

static void test_what_it_costs(void)
{
    g_autoptr(W2wPipeline) pipeline = open_embedded();
    char *folder = make_folder();
    g_autofree char *path = write_file(folder, "lora.safetensors", 7, 0);
    W2W_AUTO_ALIGNED float *base = render(pipeline, NULL, 0.0);
    W2W_AUTO_ALIGNED float *first = render(pipeline, path, 0.5);
    const W2wPipelineCounts before = w2w_pipeline_get_counts(pipeline);
    W2W_AUTO_ALIGNED float *second = render(pipeline, path, 0.5);
    const W2wPipelineCounts after = w2w_pipeline_get_counts(pipeline);
    W2W_AUTO_ALIGNED float *none = NULL;
    W2W_AUTO_ALIGNED float *stronger = NULL;
    W2W_AUTO_ALIGNED float *rewritten = NULL;
    W2W_AUTO_ALIGNED float *without = NULL;

    g_assert_true(same(first, second));
    g_assert_cmpuint(after.n_plans, ==, before.n_plans);
    g_assert_cmpuint(after.n_text_encodings, ==, before.n_text_encodings);
    g_assert_cmpuint(after.n_merges, ==, before.n_merges);
    none = render(pipeline, path, 0.0);
    g_assert_true(same(none, base));
    stronger = render(pipeline, path, 1.0);
    g_assert_false(same(stronger, first));
    /* The same name and strength, but another file. */
    g_free(write_file(folder, "lora.safetensors", 1, 0));
    rewritten = render(pipeline, path, 1.0);
    g_assert_false(same(rewritten, stronger));
    without = render(pipeline, NULL, 0.0);
    g_assert_true(same(without, base));
    remove_folder(folder);
}

/* Two of them add up, whatever their order; one against itself is none. */
static void test_several(void)
{
    g_autoptr(W2wPipeline) pipeline = open_embedded();
    char *folder = make_folder();
    g_autofree char *one = write_file(folder, "one.safetensors", 3, 0);
    g_autofree char *two = write_file(folder, "two.safetensors", 6, 0);
    const W2wRenderLora both[] = {{one, 0.4}, {two, 0.3}}, swapped[] = {{two, 0.3}, {one, 0.4}};
    const W2wRenderLora against[] = {{one, 0.4}, {one, -0.4}};
    const W2wRenderOptions options[] = {small_picture(both, 2), small_picture(swapped, 2),
                                        small_picture(against, 2), small_picture(NULL, 0)};
    float *images[G_N_ELEMENTS(options)];

    for (guint i = 0; i < G_N_ELEMENTS(options); i++) {
        g_autoptr(GError) error = NULL;

        images[i] = w2w_pipeline_render_float(pipeline, &options[i], NULL, &error);
        g_assert_no_error(error);
    }
    /* Up to the rounding of weights. */
    g_assert_cmpfloat(distance(images[0], images[1]), <, 1e-4);
    g_assert_cmpfloat(distance(images[2], images[3]), <, 1e-4);
    g_assert_cmpfloat(distance(images[0], images[3]), >, 0.01);
    for (guint i = 0; i < G_N_ELEMENTS(images); i++)
        w2w_aligned_free(images[i]);
    remove_folder(folder);
}

/* An identity on a merged model is neither the identity nor the LoRA alone. */
static void test_beside_an_identity(void)
{
    g_autoptr(W2wPipeline) pipeline = open_embedded();
    const W2wSpace *space = w2w_world_get_space(w2w_pipeline_get_world(pipeline));
    g_autoptr(GError) error = NULL;
    g_autoptr(W2wIdentity) identity =
        w2w_identity_new(w2w_space_get_n_with_statistics(space), &error);
    char *folder = make_folder();
    g_autofree char *path = write_file(folder, "lora.safetensors", 7, 0);
    const W2wRenderLora lora = {path, 0.8};
    W2wRenderOptions options[] = {small_picture(NULL, 0), small_picture(&lora, 1),
                                  small_picture(NULL, 0), small_picture(&lora, 1)};
    float *images[G_N_ELEMENTS(options)];

    w2w_space_sample(space, 1.0, 3, identity->coefficients, &error);
    g_assert_no_error(error);
    options[2].identity = options[3].identity = identity;
    for (guint i = 0; i < G_N_ELEMENTS(options); i++) {
        images[i] = w2w_pipeline_render_float(pipeline, &options[i], NULL, &error);
        g_assert_no_error(error);
        for (guint j = 0; j < i; j++)
            g_assert_false(same(images[i], images[j]));
    }
    for (guint i = 0; i < G_N_ELEMENTS(images); i++)
        w2w_aligned_free(images[i]);
    /* The identity's own LoRA is an input of the plans: it was unprojected once. */
    g_assert_cmpuint(w2w_pipeline_get_counts(pipeline).n_unprojections, ==, 1);
    remove_folder(folder);
}

static void assert_refused(W2wPipeline *pipeline, const char *path, double strength, W2wError code,
                           const char *word)
{
    const W2wRenderLora lora = {path, strength};
    const W2wRenderOptions options = small_picture(&lora, 1);
    g_autoptr(GError) error = NULL;

    g_assert_null(w2w_pipeline_render(pipeline, &options, NULL, &error));
    g_assert_error(error, W2W_ERROR, code);
    g_test_message("%s", error->message);
    g_assert_nonnull(strstr(error->message, word));
}

static void test_refused(void)
{
    static const LoraTensor stranger[] = {
        {"down_blocks.7.attentions.0.transformer_blocks.0.attn1.to_q.lora_A.weight", 2, {1, 8}, 1},
        {"down_blocks.7.attentions.0.transformer_blocks.0.attn1.to_q.lora_B.weight", 2, {8, 1}, 1},
        {NULL, 0, {0}, 0}};
    g_autoptr(W2wPipeline) pipeline = open_embedded();
    W2W_AUTO_ALIGNED float *base = render(pipeline, NULL, 0.0);
    W2W_AUTO_ALIGNED float *after = NULL;
    char *folder = make_folder();
    g_autofree char *good = write_file(folder, "good.safetensors", 7, 0);
    g_autofree char *wide = write_file(folder, "wide.safetensors", 7, 5);
    g_autofree char *missing = g_build_filename(folder, "missing.safetensors", NULL);
    g_autofree char *strange = g_build_filename(folder, "strange.safetensors", NULL);
    const W2wRenderLora halfway[] = {{good, 1.0}, {wide, 1.0}};
    W2wRenderOptions options = small_picture(halfway, 2);
    g_autoptr(GError) error = NULL;

    {
        LoraTensor named[G_N_ELEMENTS(stranger)];
        g_autofree char *a = g_strconcat("unet.", stranger[0].key, NULL);
        g_autofree char *b = g_strconcat("unet.", stranger[1].key, NULL);

        memcpy(named, stranger, sizeof named);
        named[0].key = a;
        named[1].key = b;
        write_lora(folder, "strange.safetensors", named, NULL);
    }
    assert_refused(pipeline, missing, 1.0, W2W_ERROR_FILE, "missing.safetensors");
    assert_refused(pipeline, wide, 1.0, W2W_ERROR_MISMATCH, CONV);
    assert_refused(pipeline, wide, 0.0, W2W_ERROR_MISMATCH, CONV);
    assert_refused(pipeline, strange, 1.0, W2W_ERROR_MISMATCH, "down_blocks.7");
    assert_refused(pipeline, good, NAN, W2W_ERROR_USAGE, "strength");
    /* The first of two was merged when the second was refused: nothing of it is left. */
    g_assert_null(w2w_pipeline_render(pipeline, &options, NULL, &error));
    g_assert_error(error, W2W_ERROR, W2W_ERROR_MISMATCH);
    after = render(pipeline, NULL, 0.0);
    g_assert_true(same(after, base));
    remove_folder(folder);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/pipeline/lora/sum", test_sum);
    g_test_add_func("/pipeline/lora/modules", test_modules);
    g_test_add_func("/pipeline/lora/what-it-costs", test_what_it_costs);
    g_test_add_func("/pipeline/lora/several", test_several);
    g_test_add_func("/pipeline/lora/beside-an-identity", test_beside_an_identity);
    g_test_add_func("/pipeline/lora/refused", test_refused);
    return g_test_run();
}

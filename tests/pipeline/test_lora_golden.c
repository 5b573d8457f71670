/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * LoRA files beside an identity, against what their own tools' loaders made of them: the folder's
 * adapter_* are one identity as PEFT, diffusers and kohya's scripts write it, so each of them
 * merged gives that identity's noise, and at strength 0 the base model's, to the bit.
 */
#include <string.h>

#include "engine/memory.h"
#include "tests/pipeline/golden_pipeline.h"

/* One UNet call with what lora.safetensors holds. */
typedef struct {
    GoldenPipeline fixture;
    gint n, channels, height, width;
    gsize size; /* numbers */
    double timestep;
    float *latents, *text_embedding;
} Call;

static void open_call(Call *call, const char *device)
{
    const W2wArray *latents;
    g_autofree float *planes = NULL;

    memset(call, 0, sizeof *call);
    golden_pipeline_open(&call->fixture, device, NULL);
    latents = w2w_golden_get(call->fixture.golden, "lora", "latents");
    planes = w2w_golden_get_f32(call->fixture.golden, "lora", "latents");
    call->n = (gint)latents->shape[0];
    call->channels = (gint)latents->shape[1];
    call->height = (gint)latents->shape[2];
    call->width = (gint)latents->shape[3];
    call->size = (gsize)latents->n_elements;
    call->timestep = w2w_array_get(w2w_golden_get(call->fixture.golden, "lora", "timestep"), 0);
    call->text_embedding = w2w_golden_get_f32(call->fixture.golden, "lora", "text_embedding");
    call->latents = g_new(float, call->size);
    for (gint i = 0; i < call->n; i++) {
        const gsize offset = (gsize)i * call->size / (gsize)call->n;

        golden_to_channels_last(planes + offset, call->channels, call->height * call->width,
                                call->latents + offset);
    }
}

static void close_call(Call *call)
{
    golden_pipeline_close(&call->fixture);
    g_free(call->latents);
    g_free(call->text_embedding);
}

/* With this LoRA (NULL: none) at this strength, and this identity; in channels-first order. */
static float *predict(Call *call, const char *path, double strength, const W2wIdentity *identity)
{
    const W2wRenderLora lora = {path, strength};
    g_autoptr(GError) error = NULL;
    W2W_AUTO_ALIGNED float *noise_pred = NULL;
    float *planes = g_new(float, call->size);

    w2w_pipeline_set_loras(call->fixture.pipeline, &lora, path != NULL ? 1 : 0, &error);
    g_assert_no_error(error);
    noise_pred = w2w_pipeline_predict_noise(call->fixture.pipeline, identity, call->latents,
                                            call->n, call->height, call->width, call->timestep,
                                            call->text_embedding, &error);
    g_assert_no_error(error);
    for (gint i = 0; i < call->n; i++) {
        const gsize offset = (gsize)i * call->size / (gsize)call->n;

        golden_to_planes(noise_pred + offset, call->channels, call->height * call->width,
                         planes + offset);
    }
    return planes;
}

static void compare(Call *call, const char *key, const float *planes)
{
    w2w_golden_compare(call->fixture.golden, "lora", key, NULL, planes);
}

static void test_identity(gconstpointer device)
{
    Call call;
    g_autoptr(W2wIdentity) identity = NULL;
    g_autofree float *with = NULL;
    g_autofree float *without = NULL;

    open_call(&call, device);
    identity = golden_pipeline_get_identity(&call.fixture, "lora", "coefficients");
    with = predict(&call, NULL, 0.0, identity);
    compare(&call, "noise_pred", with);
    without = predict(&call, NULL, 0.0, NULL);
    compare(&call, "noise_pred_base", without);
    close_call(&call);
}

static void compare_adapter(Call *call, const char *path, const float *base)
{
    g_autofree float *full = predict(call, path, 1.0, NULL);
    g_autofree float *none = predict(call, path, 0.0, NULL);

    g_test_message("%s", path);
    compare(call, "noise_pred", full);
    g_assert_cmpmem(none, call->size * sizeof *none, base, call->size * sizeof *base);
}

static void test_adapters(gconstpointer device)
{
    Call call;
    g_autofree float *base = NULL;
    GDir *directory;
    const char *name;
    guint n_adapters = 0;

    open_call(&call, device);
    base = predict(&call, NULL, 0.0, NULL);
    directory = g_dir_open(w2w_golden_get_dir(call.fixture.golden), 0, NULL);
    g_assert_nonnull(directory);
    while ((name = g_dir_read_name(directory)) != NULL) {
        g_autofree char *path = w2w_golden_get_path(call.fixture.golden, name);

        if (!g_str_has_prefix(name, "adapter_"))
            continue;
        compare_adapter(&call, path, base);
        n_adapters++;
    }
    g_dir_close(directory);
    g_assert_cmpuint(n_adapters, >, 0);
    close_call(&call);
}

/* The identity's own LoRA on weights from which another one has taken it away: the base model. */
static void test_identity_beside(gconstpointer device)
{
    Call call;
    g_autoptr(W2wIdentity) identity = NULL;
    g_autofree char *path = NULL;
    g_autofree float *planes = NULL;

    open_call(&call, device);
    identity = golden_pipeline_get_identity(&call.fixture, "lora", "coefficients");
    path = w2w_golden_get_path(call.fixture.golden, "adapter_peft");
    planes = predict(&call, path, -1.0, identity);
    compare(&call, "noise_pred_base", planes);
    close_call(&call);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (guint i = 0; w2w_device_names[i] != NULL; i++) {
        const char *device = w2w_device_names[i];
        g_autofree char *identity = g_strdup_printf("/lora/golden/%s/identity", device);
        g_autofree char *adapters = g_strdup_printf("/lora/golden/%s/adapters", device);
        g_autofree char *beside = g_strdup_printf("/lora/golden/%s/identity-beside", device);

        g_test_add_data_func(identity, device, test_identity);
        g_test_add_data_func(adapters, device, test_adapters);
        g_test_add_data_func(beside, device, test_identity_beside);
    }
    return g_test_run();
}

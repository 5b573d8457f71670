/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A replay of the embedded world's networks allocates nothing, in no thread and in no library:
 * every allocation function of the C library is counted while a plan replays.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "engine/graph/gradient.h"
#include "engine/models/text_encoder.h"
#include "engine/models/unet.h"
#include "engine/models/vae.h"

static _Atomic gboolean counting;
static _Atomic guint n_allocations;

static void count(void)
{
    if (atomic_load_explicit(&counting, memory_order_relaxed))
        atomic_fetch_add(&n_allocations, 1);
}

#if defined(__has_feature) /* clang's way of saying what gcc says with a macro */
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__ 1
#endif
#endif

#if defined(__SANITIZE_ADDRESS__)
/* AddressSanitizer brings its own allocator and tells of every call. */
int __sanitizer_install_malloc_and_free_hooks(void (*malloc_hook)(const volatile void *, size_t),
                                              void (*free_hook)(const volatile void *));

static void on_malloc(const volatile void *pointer, size_t size)
{
    count();
}

static void on_free(const volatile void *pointer)
{
}

static void watch_allocations(void)
{
    g_assert_cmpint(__sanitizer_install_malloc_and_free_hooks(on_malloc, on_free), >, 0);
}
#else
/* The program's own functions come before the C library's, for shared libraries too. */
#define EXPORT __attribute__((visibility("default")))
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *pointer, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

EXPORT void *malloc(size_t size)
{
    count();
    return __libc_malloc(size);
}

EXPORT void *calloc(size_t n, size_t size)
{
    count();
    return __libc_calloc(n, size);
}

EXPORT void *realloc(void *pointer, size_t size)
{
    count();
    return __libc_realloc(pointer, size);
}

EXPORT void *aligned_alloc(size_t alignment, size_t size)
{
    count();
    return __libc_memalign(alignment, size);
}

EXPORT int posix_memalign(void **pointer, size_t alignment, size_t size)
{
    count();
    *pointer = __libc_memalign(alignment, size);
    return *pointer != NULL ? 0 : ENOMEM;
}

static void watch_allocations(void)
{
}
#endif

/* The networks are tested on each. */
static const W2wComputeType compute_types[] = {W2W_COMPUTE_F32, W2W_COMPUTE_BF16};
static W2wDevice *devices[G_N_ELEMENTS(compute_types)];

static void replay_and_count(W2wDevice *device, W2wGraph *graph, GError *error)
{
    g_autoptr(W2wPlan) plan = NULL;

    g_assert_no_error(error);
    plan = w2w_plan_new(graph, device, W2W_PLAN_DEFAULT, &error);
    g_assert_no_error(error);

    /* The first one too: there is no warming up. */
    atomic_store(&n_allocations, 0);
    atomic_store(&counting, TRUE);
    for (guint i = 0; i < 3; i++)
        w2w_plan_replay(plan);
    atomic_store(&counting, FALSE);
    g_assert_cmpuint(atomic_load(&n_allocations), ==, 0);
}

static char *model_directory(const char *part)
{
    return g_build_filename(g_getenv("W2W_DATA_DIR"), "model", part, NULL);
}

static void test_text_encoder(gconstpointer device)
{
    g_autofree char *directory = model_directory("text_encoder");
    GError *error = NULL;
    g_autoptr(W2wTextEncoder) encoder = w2w_text_encoder_open(directory, &error);

    g_assert_no_error(error);
    replay_and_count((W2wDevice *)device, w2w_text_encoder_record(encoder, 2, FALSE, &error),
                     error);
}

/* Of the loss against inputs, with respect to every factor; some blocks recomputed. */
static void add_gradients(W2wGraph *graph, const W2wLoraTarget *targets, guint n_targets)
{
    W2wTensor *prediction = w2w_graph_get_output(graph, "noise_pred");
    W2wShape shape = w2w_tensor_get_shape(prediction);
    W2wTensor *target = w2w_graph_input(graph, "target", shape);
    g_autofree W2wTensor **sources = g_new(W2wTensor *, 2 * n_targets);
    g_autofree W2wTensor **gradients = g_new(W2wTensor *, 2 * n_targets);
    W2wTensor *mask, *loss, *d_loss;

    shape.c = 1;
    mask = w2w_graph_input(graph, "mask", shape);
    loss = w2w_masked_mse(graph, prediction, target, mask);
    d_loss = w2w_graph_input(graph, "d_loss", w2w_tensor_get_shape(loss));
    for (guint i = 0; i < 2 * n_targets; i++) {
        g_autofree char *name =
            g_strconcat(targets[i / 2].path, i % 2 == 0 ? ".lora_A" : ".lora_B", NULL);

        sources[i] = w2w_graph_get_input(graph, name);
    }
    w2w_graph_differentiate(graph, loss, d_loss, sources, 2 * n_targets,
                            w2w_graph_get_n_blocks(graph) / 2, gradients);
    for (guint i = 0; i < 2 * n_targets; i++) {
        g_autofree char *name = g_strdup_printf("gradient %u", i);

        w2w_graph_output(graph, name, gradients[i]);
    }
}

/* All targets have a LoRA; with gradients of its factors where `training`. */
static void replay_unet(W2wDevice *device, gboolean training)
{
    g_autofree char *directory = model_directory("unet");
    GError *error = NULL;
    g_autoptr(W2wUnet) unet = w2w_unet_open(directory, &error);
    guint n_targets;
    const W2wLoraTarget *targets;
    g_autoptr(GPtrArray) paths = g_ptr_array_new();
    W2wUnetRecordOptions options = {.batch = 2, .text_length = 77, .lora_rank = 1};
    W2wGraph *graph;

    g_assert_no_error(error);
    targets = w2w_unet_get_lora_targets(unet, &n_targets);
    for (guint i = 0; i < n_targets; i++)
        g_ptr_array_add(paths, (gpointer)targets[i].path);
    g_ptr_array_add(paths, NULL);
    options.height = options.width = w2w_unet_get_sample_size(unet);
    options.lora_paths = (const char *const *)paths->pdata;
    options.lora_scale = 27.0f;
    options.lora_changes = training;
    graph = w2w_unet_record(unet, &options, &error);
    g_assert_no_error(error);
    if (training)
        add_gradients(graph, targets, n_targets);
    replay_and_count(device, graph, error);
}

static void test_unet(gconstpointer device)
{
    replay_unet((W2wDevice *)device, FALSE);
}

static void test_training(gconstpointer device)
{
    replay_unet((W2wDevice *)device, TRUE);
}

static void test_vae(gconstpointer device)
{
    g_autofree char *directory = model_directory("vae");
    GError *error = NULL;
    g_autoptr(W2wVae) vae = w2w_vae_open(directory, &error);

    g_assert_no_error(error);
    replay_and_count((W2wDevice *)device, w2w_vae_record_decode(vae, 1, 16, 16, FALSE, &error),
                     error);
    replay_and_count((W2wDevice *)device, w2w_vae_record_encode(vae, 1, 128, 128, FALSE, &error),
                     error);
}

/* The counter itself works, in libraries and in other threads. */
static gpointer allocate_in_thread(gpointer data)
{
    return g_malloc(100);
}

static void test_counter(void)
{
    GThread *thread;

    atomic_store(&n_allocations, 0);
    atomic_store(&counting, TRUE);
    thread = g_thread_new("allocates", allocate_in_thread, NULL);
    g_free(g_thread_join(thread));
    g_free(g_strdup("text"));
    atomic_store(&counting, FALSE);
    g_assert_cmpuint(atomic_load(&n_allocations), >=, 2);
}

int main(int argc, char **argv)
{
    g_autoptr(GError) error = NULL;
    const struct {
        const char *name;
        GTestDataFunc func;
    } tests[] = {{"text-encoder", test_text_encoder},
                 {"unet", test_unet},
                 {"vae", test_vae},
                 {"training", test_training}};
    int status;

    g_test_init(&argc, &argv, NULL);
    watch_allocations();
    g_test_add_func("/replay/the-counter-counts", test_counter);
    for (guint i = 0; i < G_N_ELEMENTS(devices); i++) {
        const W2wDeviceOptions options = {.n_threads = 2, .compute_type = compute_types[i]};

        devices[i] = w2w_device_new("cpu", &options, &error);
        g_assert_no_error(error);
        for (guint j = 0; j < G_N_ELEMENTS(tests); j++) {
            g_autofree char *path =
                g_strdup_printf("/replay/%s/%s-allocates-nothing",
                                w2w_compute_type_names[compute_types[i]], tests[j].name);

            /* Training is in float32 only: the other type has no kernels for it. */
            if (tests[j].func != test_training || compute_types[i] == W2W_COMPUTE_F32)
                g_test_add_data_func(path, devices[i], tests[j].func);
        }
    }
    status = g_test_run();
    for (guint i = 0; i < G_N_ELEMENTS(devices); i++)
        w2w_device_free(devices[i]);
    return status;
}

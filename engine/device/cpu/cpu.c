/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The cpu device: the host's memory, a thread pool, and the widest instruction set that
 * this processor has. W2W_CPU_INSTRUCTION_SET in the environment names another one of
 * those built in, so that tests reach them all on one machine.
 */
#include "engine/device/cpu/cpu.h"

#include <string.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include "engine/device/cpu/packed_weight.h"
#include "engine/error.h"
#include "engine/memory.h"

static void *cpu_alloc(W2wDevice *device, gsize n_bytes, const char *what, GError **error)
{
    return w2w_aligned_alloc(n_bytes, 1, what, error);
}

static void cpu_free(W2wDevice *device, void *memory)
{
    w2w_aligned_free(memory);
}

static void cpu_copy(W2wDevice *device, void *destination, const void *source, gsize n_bytes)
{
    if (n_bytes > 0)
        memcpy(destination, source, n_bytes);
}

static void cpu_destroy(W2wDevice *device)
{
    W2wCpuDevice *cpu = (W2wCpuDevice *)device;

    w2w_thread_pool_free(cpu->pool);
    g_hash_table_unref(cpu->packed_weights);
    g_free(cpu);
}

/* The ops of reverse mode are there in float32 only. */
/* clang-format off */
#define TRAINING_OPS(suffix)                                                                       \
    [W2W_OP_ACTIVATION_GRADIENT] = w2w_cpu_prepare_activation_gradient_##suffix,                   \
    [W2W_OP_ATTENTION_GRADIENT] = w2w_cpu_prepare_attention_gradient_##suffix,                     \
    [W2W_OP_COLUMNS] = w2w_cpu_prepare_columns_##suffix,                                           \
    [W2W_OP_GEGLU_GRADIENT] = w2w_cpu_prepare_geglu_gradient_##suffix,                             \
    [W2W_OP_GROUP_NORM_GRADIENT] = w2w_cpu_prepare_group_norm_gradient_##suffix,                   \
    [W2W_OP_LAYER_NORM_GRADIENT] = w2w_cpu_prepare_layer_norm_gradient_##suffix,                   \
    [W2W_OP_LORA_GRADIENT] = w2w_cpu_prepare_lora_gradient_##suffix,                               \
    [W2W_OP_MASKED_MSE] = w2w_cpu_prepare_masked_mse_##suffix,                                     \
    [W2W_OP_MASKED_MSE_GRADIENT] = w2w_cpu_prepare_masked_mse_gradient_##suffix,                   \
    [W2W_OP_SUM] = w2w_cpu_prepare_sum_##suffix,                                                   \
    [W2W_OP_TRANSPOSE] = w2w_cpu_prepare_transpose_##suffix,                                       \
    [W2W_OP_UPSAMPLE_GRADIENT] = w2w_cpu_prepare_upsample_gradient_##suffix
/* clang-format on */

#define INSTRUCTION_SET(set_name, type, suffix, what, hidden, ...)                                 \
    {                                                                                              \
        .name = set_name, .compute_type = type, .remark = what, .by_name_only = hidden,            \
        .klass = {                                                                                 \
            .name = "cpu",                                                                         \
            .alloc = cpu_alloc,                                                                    \
            .free = cpu_free,                                                                      \
            .upload = cpu_copy,                                                                    \
            .download = cpu_copy,                                                                  \
            .destroy = cpu_destroy,                                                                \
            .prepare = {[W2W_OP_CONV2D] = w2w_cpu_prepare_conv2d_##suffix,                         \
                        [W2W_OP_LINEAR] = w2w_cpu_prepare_linear_##suffix,                         \
                        [W2W_OP_GROUP_NORM] = w2w_cpu_prepare_group_norm_##suffix,                 \
                        [W2W_OP_LAYER_NORM] = w2w_cpu_prepare_layer_norm_##suffix,                 \
                        [W2W_OP_ATTENTION] = w2w_cpu_prepare_attention_##suffix,                   \
                        [W2W_OP_GEGLU] = w2w_cpu_prepare_geglu_##suffix,                           \
                        [W2W_OP_ACTIVATION] = w2w_cpu_prepare_activation_##suffix,                 \
                        [W2W_OP_ADD] = w2w_cpu_prepare_add_##suffix,                               \
                        [W2W_OP_CONCAT] = w2w_cpu_prepare_concat_##suffix,                         \
                        [W2W_OP_UPSAMPLE] = w2w_cpu_prepare_upsample_##suffix,                     \
                        [W2W_OP_TOKEN_EMBEDDING] = w2w_cpu_prepare_token_embedding_##suffix,       \
                        [W2W_OP_TIMESTEP_EMBEDDING] = w2w_cpu_prepare_timestep_embedding_##suffix, \
                        __VA_ARGS__},                                                              \
        },                                                                                         \
    }

#define NATIVE_BF16  "bf16 (its own instructions, on which this program was never tried)"
#define WIDENED_BF16 "bf16 (widened to f32 for every calculation)"

/* Of each compute type best first; the last one runs everywhere. */
static const W2wCpuInstructionSet instruction_sets[] = {
#if defined(__x86_64__)
    INSTRUCTION_SET("AVX2", W2W_COMPUTE_F32, avx2, "f32", FALSE, TRAINING_OPS(avx2)),
#endif
    INSTRUCTION_SET("baseline", W2W_COMPUTE_F32, baseline, "f32", FALSE, TRAINING_OPS(baseline)),
#if defined(__x86_64__)
    INSTRUCTION_SET("AVX512-BF16", W2W_COMPUTE_BF16, avx512_bf16, NATIVE_BF16, FALSE),
    INSTRUCTION_SET("AVX2", W2W_COMPUTE_BF16, avx2_bf16, WIDENED_BF16, FALSE),
    /* The source of AVX512-BF16 without its instruction: for tests, and slow. */
    INSTRUCTION_SET("AVX2-pairs", W2W_COMPUTE_BF16, avx2_bf16_pairs, WIDENED_BF16, TRUE),
#endif
    INSTRUCTION_SET("baseline", W2W_COMPUTE_BF16, baseline_bf16, WIDENED_BF16, FALSE),
};

#if defined(__x86_64__)
/* Not every compiler knows the name "f16c" in __builtin_cpu_supports(). */
static gboolean processor_has_f16c(void)
{
    guint a, b, c, d;

    return __get_cpuid(1, &a, &b, &c, &d) && (c & bit_F16C) != 0;
}
#endif

static gboolean processor_has(const W2wCpuInstructionSet *set)
{
#if defined(__x86_64__)
    if (g_str_equal(set->name, "AVX512-BF16") &&
        !(__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
          __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bf16")))
        return FALSE; /* the operating system's part is asked for, too */
    if (!g_str_equal(set->name, "baseline"))
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
               processor_has_f16c();
#endif
    return TRUE;
}

/* Is there bfloat16 arithmetic? Not where another instruction set is asked for. */
static gboolean computes_in_bf16(void)
{
    const char *wanted = g_getenv("W2W_CPU_INSTRUCTION_SET");
    const char *name = "AVX512-BF16";

    if (wanted != NULL && *wanted != '\0' && g_ascii_strcasecmp(wanted, name) != 0)
        return FALSE;
    for (guint i = 0; i < G_N_ELEMENTS(instruction_sets); i++)
        if (g_str_equal(instruction_sets[i].name, name))
            return processor_has(&instruction_sets[i]);
    return FALSE;
}

static const W2wCpuInstructionSet *choose_instruction_set(W2wComputeType compute_type,
                                                          GError **error)
{
    const char *wanted = g_getenv("W2W_CPU_INSTRUCTION_SET");
    g_autoptr(GString) names = g_string_new(NULL);

    if (wanted != NULL && *wanted == '\0')
        wanted = NULL;
    for (guint i = 0; i < G_N_ELEMENTS(instruction_sets); i++) {
        const W2wCpuInstructionSet *set = &instruction_sets[i];

        if (set->compute_type != compute_type)
            continue;
        g_string_append_printf(names, "%s%s", names->len > 0 ? ", " : "", set->name);
        if (wanted != NULL ? g_ascii_strcasecmp(wanted, set->name) != 0 : set->by_name_only)
            continue;
        if (processor_has(set))
            return set;
        if (wanted != NULL) {
            g_set_error(error, W2W_ERROR, W2W_ERROR_UNSUPPORTED,
                        "W2W_CPU_INSTRUCTION_SET asks for %s, which this processor does not have.",
                        set->name);
            return NULL;
        }
    }
    g_set_error(error, W2W_ERROR, W2W_ERROR_USAGE,
                "W2W_CPU_INSTRUCTION_SET is \"%s\"; this program has: %s.", wanted, names->str);
    return NULL;
}

W2wDevice *w2w_cpu_device_new(const W2wDeviceOptions *options, GError **error)
{
    W2wComputeType type = options->compute_type;
    const W2wCpuInstructionSet *set;
    W2wCpuDevice *device;

    if (type == W2W_COMPUTE_AUTO) /* bfloat16 pays only where a processor computes in it */
        type = computes_in_bf16() ? W2W_COMPUTE_BF16 : W2W_COMPUTE_F32;
    if (type != W2W_COMPUTE_F32 && type != W2W_COMPUTE_BF16) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_USAGE,
                    "The device \"cpu\" does not compute in %s; it computes in f32 or bf16.",
                    w2w_compute_type_names[type]);
        return NULL;
    }
    set = choose_instruction_set(type, error);
    if (set == NULL)
        return NULL;
    device = g_new0(W2wCpuDevice, 1);
    device->parent.klass = &set->klass;
    device->parent.compute_type = type;
    device->parent.element_type = type == W2W_COMPUTE_BF16 ? W2W_DTYPE_BF16 : W2W_DTYPE_F32;
    device->instruction_set = set;
    device->pool = w2w_thread_pool_new(options->n_threads);
    device->packed_weights = w2w_packed_weight_table_new();
    return &device->parent;
}

char *w2w_cpu_device_describe(const W2wDevice *device)
{
    const W2wCpuDevice *cpu = (const W2wCpuDevice *)device;
    const guint n_threads = w2w_thread_pool_get_n_threads(cpu->pool);

    return g_strdup_printf("cpu: %u thread%s, %s, %s", n_threads, n_threads == 1 ? "" : "s",
                           cpu->instruction_set->name, cpu->instruction_set->remark);
}

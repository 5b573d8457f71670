/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A LoRA file of any tool; in front of it, up to a byte 0xff, the adapter_config.json beside it. */
#include "engine/w2w/lora_file.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/fuzz/memory_files.h"

#define MAX_ELEMENTS 4096

/* What the module does to a weight, where that is small. */
static void use_module(const W2wLoraModule *module)
{
    float delta[MAX_ELEMENTS];
    const gint64 n = w2w_lora_module_get_n_elements(module);

    g_assert_cmpuint(module->rank, >, 0);
    g_assert_true(g_utf8_validate(module->path, -1, NULL));
    g_assert_cmpint(w2w_lora_module_get_n_out(module), <=, MAX(n, 1));
    if (n <= MAX_ELEMENTS)
        (void)w2w_lora_module_get_delta(module, 0.5, n, delta, NULL);
}

int LLVMFuzzerTestOneInput(const guint8 *data, gsize size)
{
    static const char *const names[] = {"adapter_config.json", NULL};
    gsize rest_size;
    const guint8 *rest = w2w_memory_files_split("l", names, data, size, &rest_size);
    g_autoptr(W2wLora) lora = NULL;

    if (rest != NULL)
        w2w_memory_files_add("l/x.safetensors", rest, rest_size);
    lora = w2w_lora_open("l/x.safetensors", NULL);
    for (guint i = 0; lora != NULL && i < lora->modules->len; i++)
        use_module(lora->modules->pdata[i]);
    w2w_memory_files_clear();
    return 0;
}

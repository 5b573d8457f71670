/* SPDX-License-Identifier: GPL-3.0-or-later */
/* config.json, as the UNet and as the VAE read it. */
#include "engine/models/unet_config.h"
#include "engine/models/vae_config.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/fuzz/memory_files.h"

int LLVMFuzzerTestOneInput(const guint8 *data, gsize size)
{
    g_autoptr(W2wConfig) first = NULL, second = NULL;

    w2w_memory_files_add("m/config.json", data, size);
    first = w2w_config_open("m", NULL);
    if (first != NULL) {
        g_autofree char *described = w2w_config_describe(first, w2w_unet_config_shape_fields);
        W2wUnetConfig unet = {0};
        W2wVaeConfig vae = {0};

        g_assert_nonnull(described);
        (void)w2w_unet_config_read(first, &unet, NULL);
        second = w2w_config_open("m", NULL);
        (void)w2w_vae_config_read(second, &vae, NULL);
    }
    w2w_memory_files_clear();
    return 0;
}

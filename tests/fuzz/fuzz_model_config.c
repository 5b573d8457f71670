/* SPDX-License-Identifier: GPL-3.0-or-later */
/* config.json, as the UNet and as the VAE read it. */
#include "engine/formats/json.h"
#include "engine/models/unet_config.h"
#include "engine/models/vae_config.h"
#include "tests/fuzz/fuzz_target.h"

int LLVMFuzzerTestOneInput(const guint8 *data, gsize size)
{
    g_autoptr(JsonObject) object = w2w_json_parse((const char *)data, size, "config.json", NULL);

    if (object != NULL) {
        g_autoptr(W2wConfig) first = w2w_config_new(object, "config.json");
        g_autoptr(W2wConfig) second = w2w_config_new(object, "config.json");
        g_autofree char *described = w2w_config_describe(first, w2w_unet_config_shape_fields);
        W2wUnetConfig unet = {0};
        W2wVaeConfig vae = {0};

        g_assert_nonnull(described);
        (void)w2w_unet_config_read(first, &unet, NULL);
        (void)w2w_vae_config_read(second, &vae, NULL);
    }
    return 0;
}

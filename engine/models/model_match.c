/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Widths that one part gives and the next one takes. */
#include "engine/models/model_match.h"

#include "engine/error.h"

gboolean w2w_model_check_match(const W2wTextEncoder *text_encoder, const W2wUnet *unet,
                               const char *model, const W2wVae *vae, const char *vae_name,
                               GError **error)
{
    const gint text_width = w2w_text_encoder_get_width(text_encoder);
    const gint channels = w2w_vae_get_latent_channels(vae);

    if (w2w_unet_get_text_width(unet) != text_width) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_MISMATCH,
                    "The parts of %s do not belong together: the text encoder gives texts of width "
                    "%d, the UNet takes %d.",
                    model, text_width, w2w_unet_get_text_width(unet));
        return FALSE;
    }
    if (w2w_unet_get_latent_channels(unet) != channels) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_MISMATCH,
                    "The parts do not belong together: the UNet of %s has latents of %d channels, "
                    "the VAE of %s of %d.",
                    model, w2w_unet_get_latent_channels(unet), vae_name, channels);
        return FALSE;
    }
    return TRUE;
}

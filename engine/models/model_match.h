/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Do a model's parts belong together? */
#pragma once

#include "engine/models/text_encoder.h"
#include "engine/models/unet.h"
#include "engine/models/vae.h"

G_BEGIN_DECLS

/*
 * W2W_ERROR_MISMATCH where the UNet takes other texts than the text encoder gives, or has other
 * latents than the VAE. `model` and `vae_name` say in the message where they are from.
 */
gboolean w2w_model_check_match(const W2wTextEncoder *text_encoder, const W2wUnet *unet,
                               const char *model, const W2wVae *vae, const char *vae_name,
                               GError **error);

G_END_DECLS

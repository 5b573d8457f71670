/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Names of weights in the original checkpoints of latent diffusion (CompVis' modules) → the
 * ones of diffusers. Source: the module trees of both.
 *
 * The original numbers its blocks through (input_blocks.0 … 11), diffusers counts levels and
 * layers; where a level ends, the sampler in it tells. A name that is none of the original's
 * modules stays as it is, with the prefix that was taken off in front of it again, so that the
 * model names it as the file does when it finds no place for it.
 */
#pragma once

#include "engine/models/weight_table.h"

G_BEGIN_DECLS

/*
 * A new table of the arrays of `table` whose names begin with `prefix`
 * ("model.diffusion_model.").
 */
GHashTable *w2w_ldm_names_of_unet(GHashTable *table, const char *prefix, const char *file,
                                  GError **error);

/*
 * The same for the VAE ("first_stage_model.", or "" for a file that is a VAE alone). What only
 * its training needed (loss.*) is left away.
 */
GHashTable *w2w_ldm_names_of_vae(GHashTable *table, const char *prefix, const char *file,
                                 GError **error);

/*
 * The averaged copy of the UNet, whose names are flat ("model_ema.diffusion_modelout0weight"), as
 * a table with dotted names behind "model.diffusion_model.". Empty where there is no such copy.
 */
GHashTable *w2w_ldm_names_of_ema(GHashTable *table, const char *file, GError **error);

G_END_DECLS

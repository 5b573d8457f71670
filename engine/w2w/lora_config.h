/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * PEFT's LoraConfig, of which a LoRA's ranks and scales follow: adapter_config.json, or the same
 * with a prefix ("unet.r") as diffusers puts it into the metadata of its files.
 */
#pragma once

#include <json-glib/json-glib.h>

G_BEGIN_DECLS

typedef struct _W2wLoraConfig W2wLoraConfig;

/*
 * `prefix`: "" or "unet."; `name` stands for the file in messages. W2W_ERROR_UNSUPPORTED names
 * the setting that makes it something else than B A beside the weights as they are; _FORMAT what
 * is missing or senseless.
 */
W2wLoraConfig *w2w_lora_config_new(JsonObject *object, const char *prefix, const char *name,
                                   GError **error);
void w2w_lora_config_free(W2wLoraConfig *config);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(W2wLoraConfig, w2w_lora_config_free)

/* Scale of the module at `path`, whose factors have `rank`: W2W_ERROR_MISMATCH where the
 * configuration gives it another one. */
gboolean w2w_lora_config_get_scale(const W2wLoraConfig *config, const char *path, guint rank,
                                   double *scale, GError **error);

/*
 * Does a setting (NULL: it is missing) ask for something: present and neither null, false, empty
 * nor "none"?
 */
gboolean w2w_lora_config_is_set(JsonNode *node);

G_END_DECLS

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The named tensors of a LoRA file, whatever holds them: what lora_file.c reads from. */
#pragma once

#include <json-glib/json-glib.h>

#include "engine/array.h"

G_BEGIN_DECLS

typedef struct {
    char *key;
    W2wArray *array;
} W2wLoraTensor;

typedef struct {
    char *path;          /* the file itself */
    GArray *tensors;     /* W2wLoraTensor */
    JsonObject *adapter; /* adapter_config.json beside it; NULL */
    char *adapter_path;
    JsonObject *metadata; /* "lora_adapter_metadata" of diffusers; NULL */
} W2wLoraTensors;

/* See w2w_lora_open(). */
W2wLoraTensors *w2w_lora_tensors_open(const char *path, GError **error);
void w2w_lora_tensors_free(W2wLoraTensors *tensors);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(W2wLoraTensors, w2w_lora_tensors_free)

G_END_DECLS

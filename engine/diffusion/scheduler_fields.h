/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The fields of scheduler_config.json, one by one; for scheduler_config.c. */
#pragma once

#include <json-glib/json-glib.h>

#include "engine/diffusion/scheduler_config.h"
#include "engine/error.h"

G_BEGIN_DECLS

typedef struct {
    W2wSchedulerConfig *config;
    W2wSchedulerKind kind;
    const char *path, *name; /* of the file; of the field */
    JsonNode *value;
    GError **error;
} W2wSchedulerField;

/* Reads the field, passes it over, or refuses it. */
gboolean w2w_scheduler_field_read(const W2wSchedulerField *field);

/* Sets what is absent: the defaults of the kind's class. */
void w2w_scheduler_fields_set_defaults(W2wSchedulerConfig *config, W2wSchedulerKind kind);

/* The error for a value that should be (W2W_ERROR_FORMAT) or was (_UNSUPPORTED) `expected`. */
gboolean w2w_scheduler_field_fail(const W2wSchedulerField *field, W2wError code,
                                  const char *expected);

gboolean w2w_scheduler_field_is_string(JsonNode *value);

G_END_DECLS

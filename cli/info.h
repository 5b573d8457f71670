/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What info finds in folders and in files: each adds what it knows to a report. */
#pragma once

#include "cli/command_line.h"

G_BEGIN_DECLS

/* info_folder.c: whatever a folder may be; W2W_ERROR_FORMAT for what we do not read. */
gboolean w2w_info_folder(const char *path, JsonObject *report, GError **error);
void w2w_info_world(W2wWorld *world, JsonObject *report);
void w2w_info_space(W2wSpace *space, JsonObject *report);

/*
 * info_file.c: whatever a file may be. `world` may be NULL: then nothing is said about where
 * an identity stands in it.
 */
gboolean w2w_info_file(const char *path, W2wWorld *world, JsonObject *report, GError **error);

/* info_model.c: a diffusers folder or a single-file checkpoint; a part of a model alone. */
void w2w_info_model(const char *model, JsonObject *report);
gboolean w2w_info_is_model_part(const char *path);
gboolean w2w_info_model_part(const char *path, JsonObject *report, GError **error);
gboolean w2w_info_scheduler(const char *path, JsonObject *report, GError **error); /* its JSON */

/* info_weights.c: files and folders alike. `error` must not be NULL. */
gboolean w2w_info_lora(const char *path, JsonObject *report, GError **error);
gboolean w2w_info_dataset(const char *path, JsonObject *report, GError **error);
gboolean w2w_info_upstream_identity(const char *path, JsonObject *report, GError **error);

/* info_picture.c */
gboolean w2w_info_is_png(GBytes *bytes);
gboolean w2w_info_picture(GBytes *bytes, const char *name, JsonObject *report, GError **error);

/* A path for people and JSON. */
void w2w_info_set_path(JsonObject *report, const char *name, const char *path);

G_END_DECLS

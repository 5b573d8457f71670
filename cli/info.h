/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What info finds in folders and in files: each adds what it knows to a report. */
#pragma once

#include "cli/command_line.h"

G_BEGIN_DECLS

/* info_folder.c: a world, a model, a space; W2W_ERROR_FORMAT for what is none of them. */
gboolean w2w_info_folder(const char *path, JsonObject *report, GError **error);
void w2w_info_world(W2wWorld *world, JsonObject *report);
void w2w_info_space(W2wSpace *space, JsonObject *report);

/*
 * info_file.c: an identity, a safetensors file, a .pt file. `world` may be NULL: then nothing is
 * said about where an identity stands in it.
 */
gboolean w2w_info_file(const char *path, W2wWorld *world, JsonObject *report, GError **error);

/* A path for people and JSON. */
void w2w_info_set_path(JsonObject *report, const char *name, const char *path);

G_END_DECLS

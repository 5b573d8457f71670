/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a training made: the files of the LoRA, its picture, and the identity that is nearest to it.
 *
 * It lies in a private temporary file meanwhile, so that all of it goes the ways of LoRAs from
 * elsewhere: what is shown and projected here is what the files give anywhere.
 */
#pragma once

#include "engine/job/rendering.h"
#include "engine/w2w/lora_writer.h"

G_BEGIN_DECLS

typedef struct {
    GPtrArray *files; /* W2wJobFile: of the format that was asked for */
    /*< private >*/
    char *path; /* the temporary file */
} W2wTrainedLora;

/* W2W_ERROR_FILE where no temporary file can be written; W2W_ERROR_MEMORY. */
gboolean w2w_trained_lora_init(W2wTrainedLora *lora, const W2wLoraLayout *layout,
                               const float *theta, W2wLoraFormat format, GError **error);
void w2w_trained_lora_clear(W2wTrainedLora *lora);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(W2wTrainedLora, w2w_trained_lora_clear)

/*
 * The identity nearest to it (project.h); what the space cannot express goes into `report`, and
 * into `message` where it is much.
 */
W2wIdentity *w2w_trained_lora_project(const W2wTrainedLora *lora, const W2wSpace *space,
                                      JsonObject *report, char **message, GError **error);

/*
 * Its picture with the world's own settings, and those of its job that there are: `prompt` ("": the
 * instance prompt). The settings go into `recipe` as "picture".
 */
W2wPicture *w2w_trained_lora_render(const W2wTrainedLora *lora, W2wPipeline *pipeline,
                                    const char *prompt, guint64 seed, JsonObject *recipe,
                                    char **message, const W2wProgress *progress, GError **error);

G_END_DECLS

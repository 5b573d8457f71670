/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One model in every form that users have it in, written from a diffusers folder: what tools
 * of the last years wrote, and the original program's checkpoints.
 *
 * The names are made here in the direction opposite to the engine's (today's to old), from
 * the module trees of the original program, so that one does not prove the other by itself.
 * Whatever goes wrong ends the test program.
 */
#pragma once

#include "engine/models/model_parts.h"
#include "engine/models/weight_table.h"

G_BEGIN_DECLS

typedef struct {
    char *folder;                        /* the diffusers folder that all comes from */
    GHashTable *part[W2W_N_MODEL_PARTS]; /* its arrays */
} ModelSource;

ModelSource *model_source_new(const char *folder);
void model_source_free(ModelSource *source);

/* The same numbers in another floating point type; bfloat16 rounds to the nearest, ties to even. */
GHashTable *model_forms_convert(GHashTable *table, W2wDType dtype);

typedef struct {
    const char *name;
    W2wDType dtype;      /* of the weights; W2W_DTYPE_F16: as they are */
    gboolean is_file;    /* a checkpoint: "model.ckpt" or "model.safetensors" in `out` */
    const char *missing; /* what an error says that it lacks; NULL: all is there */
    void (*write)(const ModelSource *source, const char *out); /* into an empty folder */
} ModelForm;

/* Ended by one without a name. */
extern const ModelForm model_forms[];

/* What is to be opened of a form written to `out`. Caller frees. */
char *model_forms_get_path(const ModelForm *form, const char *out);

/* A folder and all in it. */
void model_forms_remove(const char *path);

G_END_DECLS

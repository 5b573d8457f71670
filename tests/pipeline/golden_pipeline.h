/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A pipeline over a golden folder's model and space, for the tests of whole pictures. */
#pragma once

#include "engine/pipeline/pipeline.h"
#include "tests/golden_files.h"

G_BEGIN_DECLS

typedef struct {
    W2wGolden *golden;
    W2wPipeline *pipeline;
    char *model; /* a folder made for it, or NULL */
} GoldenPipeline;

/*
 * `sampler`: the model's folder gets the scheduler_config.json that the frozen outputs of that
 * sampler were made with (params.json, scheduler.config); NULL: it keeps its own.
 */
void golden_pipeline_open(GoldenPipeline *fixture, const char *device, const char *sampler);
void golden_pipeline_open_embedded(GoldenPipeline *fixture); /* on cpu, with golden/mini */
void golden_pipeline_close(GoldenPipeline *fixture);

/* The array `key` of `file` as coefficients. */
W2wIdentity *golden_pipeline_get_identity(const GoldenPipeline *fixture, const char *file,
                                          const char *key);

/* (C,H,W) to (H,W,C), and back. */
void golden_to_channels_last(const float *planes, gint64 channels, gint64 n_pixels, float *pixels);
void golden_to_planes(const float *pixels, gint64 channels, gint64 n_pixels, float *planes);

G_END_DECLS

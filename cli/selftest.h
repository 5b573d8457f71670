/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The comparisons of selftest (selftest_run.c), which selftest.c reports. */
#pragma once

#include <json-glib/json-glib.h>

#include "engine/formats/safetensors.h"
#include "engine/pipeline/pipeline.h"

G_BEGIN_DECLS

typedef struct {
    const char *part; /* "UNet" */
    char *array;      /* key of the frozen output */
    double deviation; /* the worst, in units of the tolerance; infinite where a value is none */
    gboolean is_passed;
} W2wSelftestResult;

typedef struct {
    W2wPipeline *pipeline;
    char *directory;                 /* of the frozen outputs */
    JsonObject *params, *tolerances; /* params.json, tolerances.json */
    W2wSafetensors *networks, *pictures;
    GArray *results; /* W2wSelftestResult, in the order in which they were made */
    gboolean is_judged;
} W2wSelftest;

/* Opens the embedded world on `device` (taken over) and what is compared with. */
gboolean w2w_selftest_init(W2wSelftest *test, W2wDevice *device, GError **error);
void w2w_selftest_clear(W2wSelftest *test);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(W2wSelftest, w2w_selftest_clear)

/*
 * Each network alone; whole pictures. Results are added also where they deviate; an error is what
 * kept them from being made: W2W_ERROR_FORMAT for frozen outputs that do not fit the world.
 */
gboolean w2w_selftest_networks(W2wSelftest *test, const W2wProgress *progress, GError **error);
gboolean w2w_selftest_pictures(W2wSelftest *test, const W2wProgress *progress, GError **error);

G_END_DECLS

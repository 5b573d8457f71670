/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the parts of bench have in common: bench.c times, bench_network.c runs single networks,
 * bench_training.c steps of training. */
#pragma once

#include "cli/command_line.h"

G_BEGIN_DECLS

typedef enum {
    W2W_BENCH_UNET,
    W2W_BENCH_VAE_DECODE,
    W2W_BENCH_VAE_ENCODE,
    W2W_BENCH_TEXT,
    W2W_BENCH_RENDER,
    W2W_BENCH_LOAD,
    W2W_BENCH_TRAIN,
    W2W_BENCH_INVERT,
} W2wBenchWork;

typedef gboolean (*W2wBenchFunc)(gpointer user_data, GError **error);

/*
 * Calls `func` once and then `reps` times (at least 1), and adds cold_s (with the seconds that were
 * spent `before`), each_s, best_s, median_s and peak_mb to `json`.
 */
gboolean w2w_bench_repeat(W2wBenchFunc func, gpointer user_data, double before, gint reps,
                          JsonObject *json, GError **error);

/* One of the networks, as the options of `line` say. */
gboolean w2w_bench_network(const W2wCommandLine *line, W2wBenchWork work, W2wWorld *world,
                           W2wDevice *device, JsonObject *json, GError **error);

/* A step of training, whose gradients are those of the embedded or given space's LoRA. Takes over
 * `world` and `device`. */
gboolean w2w_bench_training(const W2wCommandLine *line, W2wBenchWork work, W2wWorld *world,
                            W2wDevice *device, JsonObject *json, GError **error);

G_END_DECLS

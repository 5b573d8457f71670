/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Networks run on golden arrays: PyTorch's layouts in and out, whatever the engine's is.
 *
 * PyTorch's (N,C,H,W) becomes the engine's (N,H,W,C) and back; (N,T,C) is (N,1,T,C) and
 * (N,C) is (N,1,1,C) without moving anything. Whatever is wrong with files or devices ends
 * the test program with a message.
 */
#pragma once

#include "engine/graph/graph.h"
#include "tests/golden_files.h"

G_BEGIN_DECLS

/* Devices that networks are tested on; NULL terminated. */
extern const char *const network_run_devices[];

/* A device of that name, made once per test program; "reference-f64" names a compute type too. */
W2wDevice *network_run_device(const char *name);

/* A plan of `graph`, which it takes over; ends the program on an error (`what` names the network).
 */
W2wPlan *network_run_plan(W2wGraph *graph, const char *device_name, const char *what);

/* Images `first`, first + 1 … of `array` into an input of as many images as the input has. */
void network_run_set(W2wPlan *plan, const char *input, const W2wArray *array, gint first);

/* The same number everywhere. */
void network_run_fill(W2wPlan *plan, const char *input, float value);

/* The whole output in PyTorch's order; `expected` gives the shape. Caller frees. */
float *network_run_get(W2wPlan *plan, const char *output, const W2wArray *expected);

/* Compares the output with `key` of `file`. */
void network_run_compare(W2wPlan *plan, const char *output, W2wGolden *golden, const char *file,
                         const char *key);

/* Has the file what lies inside of the network ("CASE.inside.…") in this case? */
gboolean network_run_has_inside(W2wSafetensors *file, const char *what);

/* Shapes as PyTorch orders them. */
gint network_run_batch(const W2wArray *array);
gint network_run_height(const W2wArray *array);
gint network_run_width(const W2wArray *array);

/* Registers `test` as "/name/<device>/<what>" on every device. `test` gets a NetworkCase. */
typedef struct {
    const char *device;
    char *what;
} NetworkCase;

typedef void (*NetworkTest)(const NetworkCase *network_case);

void network_run_add(const char *name, const char *what, NetworkTest test);

G_END_DECLS

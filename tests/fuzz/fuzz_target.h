/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A fuzz target: one parser of files from strangers, fed from memory.
 *
 * Each fuzz_NAME.c defines LLVMFuzzerTestOneInput(). libFuzzer calls it with inputs that
 * it makes up (build with -Dfuzz=true, see README.md beside this file), replay.c with those of
 * corpus/NAME.zip. A target frees whatever it got, prints nothing, opens no file, and uses what a
 * parser accepted: the promises of a header are what it must keep for any input.
 */
#pragma once

#include <glib.h>

int LLVMFuzzerTestOneInput(const guint8 *data, gsize size);

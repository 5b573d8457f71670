/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What an identity keeps of a LoRA that was projected to it, for people and scripts. */
#pragma once

#include <json-glib/json-glib.h>

#include "engine/w2w/project.h"

G_BEGIN_DECLS

/*
 * Adds to `report`: "nearest_identity", in words, how far it is from the LoRA;
 * "relative_difference", the same as a multiple of the LoRA's own size (0: nothing is lost; above
 * 1: further from the LoRA than the untouched model is); "percent_of_deviation_lost" (0 … 100) of
 * how the LoRA deviates from the space's mean.
 */
void w2w_projection_report(const W2wProjection *projection, JsonObject *report);

/* A part (0 … 1) as a percentage, to a ten-thousandth: what is beyond is rounding. */
void w2w_report_percent(JsonObject *report, const char *name, double part);

G_END_DECLS

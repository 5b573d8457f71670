/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Losses of a projection, in words and numbers. */
#include "engine/job/projection_report.h"

#include <math.h>

/* Parts of the LoRA's size: differences that nobody sees, and such that leave little of it. */
#define UNSEEN  0.01
#define SERIOUS 0.5

static char *describe(double difference)
{
    if (difference < UNSEEN)
        return g_strdup("the LoRA, but for less than 1 % of it");
    if (difference <= SERIOUS)
        return g_strdup_printf("the LoRA, but for %.0f %% of it", 100.0 * difference);
    if (difference <= 1.0)
        return g_strdup_printf("hardly the LoRA: %.0f %% of it are lost", 100.0 * difference);
    return g_strdup_printf("unlike the LoRA: what it changes differs by %.3g times the LoRA's own "
                           "size",
                           difference);
}

void w2w_report_percent(JsonObject *report, const char *name, double part)
{
    json_object_set_double_member(report, name, round(part * 1e6) / 1e4);
}

void w2w_projection_report(const W2wProjection *projection, JsonObject *report)
{
    g_autofree char *words = describe(projection->product_lost);

    json_object_set_string_member(report, "nearest_identity", words);
    json_object_set_double_member(report, "relative_difference",
                                  round(projection->product_lost * 1e6) / 1e6);
    w2w_report_percent(report, "percent_of_deviation_lost", projection->deviation_lost);
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What info found, as a JSON object that is printed either as it is or for people:
 *
 *   Kind: identity
 *   Coefficients: 128
 *   Directions:                     a list of objects with the same members is a table
 *     name       label      group
 *     Wavy_Hair  Wavy hair  Hair
 *
 * Names of members are words with "_" between them; they become the headings.
 */
#pragma once

#include <json-glib/json-glib.h>
#include <stdio.h>

G_BEGIN_DECLS

void w2w_report_print(FILE *stream, JsonObject *report);

G_END_DECLS

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* scheduler_config.json files for the tests of schedulers. */
#pragma once

#include <json-glib/json-glib.h>

#include "engine/diffusion/scheduler.h"

/* Call after g_test_init(); runs the tests in a folder of their own and removes it. */
int scheduler_fixture_run(void);

/* The path of a file with that text, which is called scheduler_config.json; caller frees. */
char *scheduler_fixture_write(const char *text);

/* As Python's json writes it (json-glib has no word for infinity); caller frees. */
char *scheduler_fixture_text(JsonObject *object);

W2wScheduler *scheduler_fixture_open_text(W2wSchedulerKind kind, const char *text, GError **error);
W2wScheduler *scheduler_fixture_open_object(W2wSchedulerKind kind, JsonObject *object,
                                            GError **error);

/* The scheduler_config.json of the golden model folder, to be changed. */
JsonObject *scheduler_fixture_model_config(void);
void scheduler_fixture_set(JsonObject *object, const char *field, const char *literal);

/* The path of that config with one field set; as text, since json-glib cannot write NaN. */
char *scheduler_fixture_write_with(JsonObject *config, const char *field, const char *literal);

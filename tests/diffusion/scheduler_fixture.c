/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Small files in a temporary folder. */
#include "tests/diffusion/scheduler_fixture.h"

#include <glib/gstdio.h>
#include <math.h>
#include <string.h>

#include "engine/formats/json.h"
#include "tests/golden_files.h"

static char *temporary_dir;

char *scheduler_fixture_write(const char *text)
{
    char *path = g_build_filename(temporary_dir, "scheduler_config.json", NULL);

    /* Without the flush to disk that GLib does by default; GLib 2.74 then does not truncate. */
    g_remove(path);
    g_assert_true(g_file_set_contents_full(path, text, -1, G_FILE_SET_CONTENTS_NONE, 0600, NULL));
    return path;
}

/* As Python's json writes it: json-glib has no word for infinity. */
static char *value_text(JsonNode *value)
{
    if (JSON_NODE_HOLDS_VALUE(value) && json_node_get_value_type(value) == G_TYPE_DOUBLE &&
        isinf(json_node_get_double(value)))
        return g_strdup(json_node_get_double(value) > 0 ? "Infinity" : "-Infinity");
    return json_to_string(value, FALSE);
}

char *scheduler_fixture_text(JsonObject *object)
{
    g_autoptr(GList) names = json_object_get_members(object);
    g_autoptr(GString) text = g_string_new("{");

    for (GList *l = names; l != NULL; l = l->next) {
        g_autofree char *value = value_text(json_object_get_member(object, l->data));

        g_string_append_printf(text, "%s\"%s\": %s", l == names ? "" : ", ", (char *)l->data,
                               value);
    }
    g_string_append_c(text, '}');
    return g_strdup(text->str);
}

W2wScheduler *scheduler_fixture_open_text(W2wSchedulerKind kind, const char *text, GError **error)
{
    g_autofree char *path = scheduler_fixture_write(text);

    return w2w_scheduler_new_from_file(kind, path, error);
}

W2wScheduler *scheduler_fixture_open_object(W2wSchedulerKind kind, JsonObject *object,
                                            GError **error)
{
    g_autofree char *text = scheduler_fixture_text(object);

    return scheduler_fixture_open_text(kind, text, error);
}

JsonObject *scheduler_fixture_model_config(void)
{
    g_autofree char *path = w2w_golden_path("model/scheduler/scheduler_config.json");
    g_autoptr(GError) error = NULL;
    JsonObject *object = w2w_json_load(path, &error);

    g_assert_no_error(error);
    return object;
}

void scheduler_fixture_set(JsonObject *object, const char *field, const char *literal)
{
    g_autoptr(GError) error = NULL;
    JsonNode *node = w2w_json_parse_any(literal, strlen(literal), "a test", &error);

    g_assert_no_error(error);
    json_object_set_member(object, field, node);
}

char *scheduler_fixture_write_with(JsonObject *config, const char *field, const char *literal)
{
    g_autoptr(GList) names = json_object_get_members(config);
    g_autoptr(GString) text = g_string_new(NULL);

    g_string_append_printf(text, "{\"%s\": %s", field, literal);
    for (GList *l = names; l != NULL; l = l->next) {
        g_autofree char *value = value_text(json_object_get_member(config, l->data));

        if (!g_str_equal(l->data, field))
            g_string_append_printf(text, ",\n\"%s\": %s", (char *)l->data, value);
    }
    g_string_append_c(text, '}');
    return scheduler_fixture_write(text->str);
}

int scheduler_fixture_run(void)
{
    g_autofree char *path = NULL;
    int result;

    temporary_dir = g_dir_make_tmp("w2w-scheduler-XXXXXX", NULL);
    g_assert_nonnull(temporary_dir);
    result = g_test_run();
    path = g_build_filename(temporary_dir, "scheduler_config.json", NULL);
    g_remove(path);
    g_rmdir(temporary_dir);
    g_clear_pointer(&temporary_dir, g_free);
    return result;
}

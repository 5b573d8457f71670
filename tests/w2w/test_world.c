/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Worlds: the embedded one, cards with every field wrong in turn, folders without a card. */
#include "engine/w2w/world.h"

#include <json-glib/json-glib.h>
#include <string.h>

#include "engine/error.h"
#include "engine/formats/json.h"
#include "tests/w2w/space_folder.h"

static W2wWorld *open_world(const char *folder)
{
    g_autoptr(GError) error = NULL;
    W2wWorld *world = w2w_world_open(folder, &error);

    g_assert_no_error(error);
    return world;
}

static void test_embedded(void)
{
    g_autoptr(W2wWorld) world = open_world(w2w_world_get_default_directory());
    const W2wWorldCard *card = w2w_world_get_card(world);
    const char *const *attributes = w2w_space_get_attributes(w2w_world_get_space(world));

    g_assert_cmpstr(card->instance_prompt, ==, "sks person");
    g_assert_nonnull(card->licence_text);
    g_assert_true(g_file_test(w2w_world_get_model_directory(world), G_FILE_TEST_IS_DIR));
    g_assert_cmpuint(card->directions->len, >, 0);
    for (guint i = 0; i < card->directions->len; i++) {
        const W2wDirectionCard *direction = card->directions->pdata[i];

        g_assert_true(g_strv_contains(attributes, direction->name));
        g_assert_cmpstr(direction->label, !=, "");
        g_assert_cmpstr(direction->group, !=, "");
    }
}

/* A world of the embedded model and space with the card `json`. */
static char *make_world(const char *json)
{
    const char *embedded = w2w_world_get_default_directory();
    char *folder = make_folder();
    g_autofree char *model = g_build_filename(embedded, "model", NULL);
    g_autofree char *space = g_build_filename(embedded, "space", NULL);

    link_file(folder, "model", model);
    link_file(folder, "space", space);
    if (json != NULL)
        write_text(folder, "world.json", json);
    return folder;
}

static void assert_card_fails(const char *json, W2wError code, const char *word)
{
    char *folder = make_world(json);
    g_autoptr(GError) error = NULL;
    g_autoptr(W2wWorld) world = w2w_world_open(folder, &error);

    g_assert_null(world);
    g_assert_error(error, W2W_ERROR, code);
    g_test_message("%s", error->message);
    g_assert_nonnull(strstr(error->message, "world.json"));
    if (strstr(error->message, word) == NULL)
        g_error("“%s” does not say “%s”.", error->message, word);
    remove_folder(folder);
}

/* Every field of the embedded card with a value of a type that it cannot have. */
static void test_every_field_is_checked(void)
{
    g_autofree char *path = g_build_filename(w2w_world_get_default_directory(), "world.json", NULL);
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonObject) card = w2w_json_load(path, &error);
    g_autoptr(GList) fields = NULL;

    g_assert_no_error(error);
    fields = json_object_get_members(card);
    for (const GList *field = fields; field != NULL; field = field->next) {
        g_autofree char *word = g_strdup_printf("“%s”", (const char *)field->data);
        static const char *const wrong[] = {"true", "{}", "null", "[[]]"};

        for (guint i = 0; i < G_N_ELEMENTS(wrong); i++) {
            g_autoptr(JsonObject) changed = w2w_json_load(path, &error);
            g_autoptr(JsonNode) root = json_node_new(JSON_NODE_OBJECT);
            g_autofree char *text = NULL;

            json_object_set_member(changed, field->data, json_from_string(wrong[i], &error));
            g_assert_no_error(error);
            json_node_set_object(root, changed);
            text = json_to_string(root, FALSE);
            assert_card_fails(text, W2W_ERROR_FORMAT,
                              g_str_equal(field->data, "directions") && i == 3 ? "directions[0]"
                                                                               : word);
        }
    }
}

#define HEAD "{\"format\": \"w2w-world\", \"version\": 1"

static void test_bad_cards(void)
{
    static const struct {
        const char *json;
        W2wError code;
        const char *word;
    } cases[] = {
        {"{}", W2W_ERROR_FORMAT, "“format”"},
        {"{\"format\": \"w2w-world\"}", W2W_ERROR_FORMAT, "“version” is missing"},
        {"{\"format\": \"w2w-world\", \"version\": 2}", W2W_ERROR_UNSUPPORTED, "newer"},
        {HEAD, W2W_ERROR_FORMAT, "JSON"},
        {HEAD ", \"guidance\": 3}", W2W_ERROR_UNSUPPORTED, "“guidance”"},
        {HEAD ", \"width\": 0}", W2W_ERROR_FORMAT, "“width”"},
        {HEAD ", \"width\": 128.5}", W2W_ERROR_FORMAT, "“width”"},
        {HEAD ", \"height\": 100000}", W2W_ERROR_FORMAT, "“height”"},
        {HEAD ", \"steps\": 0}", W2W_ERROR_FORMAT, "“steps”"},
        {HEAD ", \"guidance_scale\": -1}", W2W_ERROR_FORMAT, "“guidance_scale”"},
        {HEAD ", \"guidance_scale\": NaN}", W2W_ERROR_FORMAT, "“guidance_scale”"},
        {HEAD ", \"scheduler\": \"magic\"}", W2W_ERROR_UNSUPPORTED, "pndm"},
        {HEAD ", \"name\": \"  \"}", W2W_ERROR_FORMAT, "“name”"},
        {HEAD ", \"directions\": [{\"label\": \"x\"}]}", W2W_ERROR_FORMAT, "“directions[0].name”"},
        {HEAD ", \"directions\": [{\"name\": \"Young\", \"labl\": \"x\"}]}", W2W_ERROR_UNSUPPORTED,
         "“directions[0].labl”"},
        {HEAD ", \"directions\": [{\"name\": \"Young\"}, {\"name\": \"Young\"}]}", W2W_ERROR_FORMAT,
         "“directions[1].name”"},
        {HEAD ", \"directions\": [{\"name\": \"Handsome\"}]}", W2W_ERROR_MISMATCH, "Handsome"},
    };

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++)
        assert_card_fails(cases[i].json, cases[i].code, cases[i].word);
}

static void test_sparse_card(void)
{
    char *folder = make_world(HEAD ", \"name\": \"Few\", \"directions\": [{\"name\": "
                                   "\"Wavy_Hair\"}], \"guidance_scale\": 2}");
    g_autoptr(W2wWorld) world = open_world(folder);
    const W2wWorldCard *card = w2w_world_get_card(world);
    const W2wDirectionCard *direction = card->directions->pdata[0];

    g_assert_cmpstr(card->name, ==, "Few");
    g_assert_cmpfloat(card->guidance_scale, ==, 2.0);
    g_assert_cmpint(card->steps, ==, 50);
    g_assert_null(card->licence);
    g_assert_cmpuint(card->directions->len, ==, 1);
    g_assert_cmpstr(direction->label, ==, "Wavy Hair");
    remove_folder(folder);
}

static void test_without_card(void)
{
    char *folder = make_world(NULL);
    g_autofree char *name = g_path_get_basename(folder);
    g_autoptr(W2wWorld) world = open_world(folder);
    const W2wWorldCard *card = w2w_world_get_card(world);
    g_autoptr(W2wWorld) embedded = open_world(w2w_world_get_default_directory());

    g_assert_cmpstr(card->name, ==, name);
    g_assert_cmpstr(card->instance_prompt, ==, "sks person");
    /* From the model's configs: the same that the embedded card says. */
    g_assert_cmpint(card->width, ==, w2w_world_get_card(embedded)->width);
    g_assert_cmpint(card->height, ==, w2w_world_get_card(embedded)->height);
    g_assert_cmpuint(card->directions->len, ==,
                     g_strv_length((char **)w2w_space_get_attributes(w2w_world_get_space(world))));
    remove_folder(folder);
}

static void test_places(void)
{
    const char *embedded = w2w_world_get_default_directory();
    g_autofree char *absolute =
        g_strdup_printf(HEAD ", \"model\": \"%s/model\", \"space\": \"../%s\"}", embedded, "gone");
    char *folder = make_world(absolute);
    g_autofree char *card = NULL;
    g_autoptr(GError) error = NULL;

    g_assert_null(w2w_world_open(folder, &error)); /* it names a space: there must be one */
    g_assert_error(error, W2W_ERROR, W2W_ERROR_FILE);
    g_assert_nonnull(strstr(error->message, "gone"));
    card = g_strdup_printf(HEAD ", \"model\": \"%s/model\"}", embedded);
    write_text(folder, "world.json", card);
    {
        g_autoptr(W2wWorld) world = open_world(folder);

        g_assert_nonnull(w2w_world_get_space(world));
    }
    remove_file(folder, "space");
    {
        g_autoptr(W2wWorld) world = open_world(folder);

        g_assert_null(w2w_world_get_space(world));
        g_assert_cmpuint(w2w_world_get_card(world)->directions->len, ==, 0);
    }
    remove_folder(folder);
}

static void test_no_world(void)
{
    char *folder = make_folder();
    g_autoptr(GError) error = NULL;

    g_assert_null(w2w_world_open(folder, &error));
    g_assert_error(error, W2W_ERROR, W2W_ERROR_FILE);
    g_assert_nonnull(strstr(error->message, "world.json"));
    g_clear_error(&error);
    g_assert_null(w2w_world_open("/nowhere/at/all", &error));
    g_assert_error(error, W2W_ERROR, W2W_ERROR_FILE);
    g_assert_nonnull(strstr(error->message, "/nowhere/at/all"));
    g_clear_error(&error);
    g_assert_null(w2w_world_open_parts("/nowhere/model", NULL, &error));
    g_assert_error(error, W2W_ERROR, W2W_ERROR_FILE);
    g_assert_nonnull(strstr(error->message, "/nowhere/model"));
    remove_folder(folder);
}

static void test_parts(void)
{
    const char *embedded = w2w_world_get_default_directory();
    g_autofree char *model = g_build_filename(embedded, "model", NULL);
    g_autoptr(GError) error = NULL;
    g_autoptr(W2wWorld) world = w2w_world_open_parts(model, NULL, &error);

    g_assert_no_error(error);
    g_assert_null(w2w_world_get_space(world));
    g_assert_cmpstr(w2w_world_get_card(world)->name, ==, "model");
    g_assert_cmpstr(w2w_world_get_model_directory(world), ==, model);
}

/* Directions need labels; a world whose space lacks them still opens. */
static void test_space_without_labels(void)
{
    char *folder = make_world(HEAD ", \"directions\": [{\"name\": \"Young\"}]}");
    g_autofree char *embedded = embedded_space();
    char *space = link_folder(embedded, NULL);

    remove_file(space, "identity_df.pt");
    link_file(folder, "space", space);
    {
        g_autoptr(W2wWorld) world = open_world(folder);

        g_assert_cmpuint(w2w_world_get_card(world)->directions->len, ==, 0);
    }
    remove_folder(folder);
    remove_folder(space);
}

/* This program runs from a build folder: without the environment it finds the source tree's. */
static void test_default_directory(void)
{
    g_autofree char *chosen = g_strdup(g_getenv("W2W_DATA_DIR"));
    g_autofree char *card = NULL;

    g_assert_nonnull(chosen);
    g_assert_cmpstr(w2w_world_get_default_directory(), ==, chosen);
    g_unsetenv("W2W_DATA_DIR");
    card = g_build_filename(w2w_world_get_default_directory(), "world.json", NULL);
    g_test_message("%s", card);
    g_assert_true(g_file_test(card, G_FILE_TEST_IS_REGULAR));
    g_setenv("W2W_DATA_DIR", chosen, TRUE);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/world/embedded", test_embedded);
    g_test_add_func("/world/every-field-is-checked", test_every_field_is_checked);
    g_test_add_func("/world/bad-cards", test_bad_cards);
    g_test_add_func("/world/sparse-card", test_sparse_card);
    g_test_add_func("/world/without-card", test_without_card);
    g_test_add_func("/world/places", test_places);
    g_test_add_func("/world/no-world", test_no_world);
    g_test_add_func("/world/parts", test_parts);
    g_test_add_func("/world/space-without-labels", test_space_without_labels);
    g_test_add_func("/world/default-directory", test_default_directory);
    return g_test_run();
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Recipes as strangers' identity files may hold them: read for what they are worth. */
#include <string.h>

#include "engine/job/recipe.h"

static JsonObject *read_recipe(const char *text)
{
    g_autoptr(W2wIdentity) identity = w2w_identity_new(1, NULL);

    identity->recipe = g_strdup(text);
    return w2w_recipe_of_identity(identity);
}

static void test_seed(void)
{
    const struct {
        const char *text;
        gint64 seed; /* −1: none */
    } cases[] = {
        {"{\"seed\": 42}", 42},
        {"{\"seed\": 9007199254740991}", 9007199254740991},
        {"{\"seed\": 9007199254740992}", -1},
        {"{\"seed\": -1}", -1},
        {"{\"seed\": 1.5}", -1},
        {"{\"seed\": \"42\"}", -1},
        {"{\"seed\": [42]}", -1},
        {"{\"seed\": null}", -1},
        {"{}", -1},
        {"[1]", -1},
        {"no JSON", -1},
        {NULL, -1},
    };

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(JsonObject) recipe = read_recipe(cases[i].text);
        guint64 seed = 0;

        g_test_message("%s", cases[i].text != NULL ? cases[i].text : "none");
        g_assert_cmpint(w2w_recipe_get_seed(recipe, &seed), ==, cases[i].seed >= 0);
        if (cases[i].seed >= 0)
            g_assert_cmpuint(seed, ==, (guint64)cases[i].seed);
    }
    g_assert_null(w2w_recipe_of_identity(NULL));
}

static void test_name(void)
{
    g_autofree char *hundred = g_strnfill(100, 'x');
    g_autofree char *long_name = g_strdup_printf("{\"name\": \"%s\"}", hundred);
    const struct {
        const char *text, *name;
    } cases[] = {
        {"{\"name\": \"Zoë\", \"seed\": 3}", "Zoë"},
        {"{\"name\": 5, \"seed\": 3}", "Person 3"},
        {"{\"seed\": 3}", "Person 3"},
        {"{}", "Person"},
        {NULL, "Person"},
    };
    g_autoptr(JsonObject) recipe = read_recipe(long_name);
    g_autofree char *shortened = w2w_recipe_get_name(recipe);

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(JsonObject) other = read_recipe(cases[i].text);
        g_autofree char *name = w2w_recipe_get_name(other);

        g_assert_cmpstr(name, ==, cases[i].name);
    }
    g_assert_cmpint(g_utf8_strlen(shortened, -1), ==, 80);
    g_assert_true(g_str_has_suffix(shortened, "…"));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/job/recipe/seed", test_seed);
    g_test_add_func("/job/recipe/name", test_name);
    return g_test_run();
}

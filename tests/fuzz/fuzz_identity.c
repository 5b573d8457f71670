/* SPDX-License-Identifier: GPL-3.0-or-later */
/* An identity file, which may come as a layer's parasite, and the recipe in it. */
#include "engine/job/recipe.h"
#include "engine/w2w/identity.h"
#include "tests/fuzz/fuzz_target.h"

int LLVMFuzzerTestOneInput(const guint8 *data, gsize size)
{
    g_autoptr(GBytes) bytes = g_bytes_new_static(data, size);
    g_autoptr(W2wIdentity) identity = w2w_identity_from_bytes(bytes, "x.w2w", NULL);

    if (identity != NULL) {
        g_autoptr(JsonObject) recipe = w2w_recipe_of_identity(identity);
        g_autofree char *name = w2w_recipe_get_name(recipe);
        g_autoptr(GBytes) written = w2w_identity_to_bytes(identity, NULL);
        guint64 seed;

        (void)w2w_recipe_get_seed(recipe, &seed);
        g_assert_true(g_utf8_validate(name, -1, NULL));
        g_assert_nonnull(written);
    }
    return 0;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* world.json, as a file and as a space carries it. */
#include "engine/w2w/world_card.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/fuzz/memory_files.h"

int LLVMFuzzerTestOneInput(const guint8 *data, gsize size)
{
    W2wWorldPlaces places = {NULL};
    W2wWorldCard *card;
    g_autofree char *text = NULL;

    w2w_memory_files_add("w/world.json", data, size);
    card = w2w_world_card_load("w/world.json", &places, NULL);
    if (card != NULL) {
        g_assert_nonnull(card->name);
        g_assert_cmpint(card->width, >, 0);
        g_assert_true(w2w_world_card_match(card, NULL, "w/world.json", NULL));
    }
    w2w_world_card_free(card);
    text = g_strndup((const char *)data, size);
    w2w_world_card_free(w2w_world_card_parse(text, "card", NULL));
    g_free(places.model);
    g_free(places.space);
    w2w_memory_files_clear();
    return 0;
}

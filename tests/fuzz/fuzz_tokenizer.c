/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A tokenizer's files, and a prompt behind them. */
#include "engine/models/tokenizer.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/fuzz/memory_files.h"

#define LENGTH 16

int LLVMFuzzerTestOneInput(const guint8 *data, gsize size)
{
    static const char *const names[] = {"vocab.json",
                                        "merges.txt",
                                        "tokenizer_config.json",
                                        "special_tokens_map.json",
                                        "added_tokens.json",
                                        "tokenizer.json",
                                        NULL};
    gsize prompt_size;
    const guint8 *prompt = w2w_memory_files_split("t", names, data, size, &prompt_size);
    g_autoptr(W2wTokenizer) tokenizer = w2w_tokenizer_new("t", NULL);

    if (tokenizer != NULL) {
        g_autofree char *text = g_strndup(prompt != NULL ? (const char *)prompt : "", prompt_size);
        gint32 ids[LENGTH];
        guint n_cut;

        if (w2w_tokenizer_encode(tokenizer, text, LENGTH, ids, &n_cut, NULL)) {
            for (guint i = 0; i < LENGTH; i++) {
                g_assert_cmpint(ids[i], >=, 0);
                g_assert_cmpint(ids[i], <, w2w_tokenizer_get_vocabulary_size(tokenizer));
            }
        }
    }
    w2w_memory_files_clear();
    return 0;
}

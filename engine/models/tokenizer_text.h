/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What happens to a prompt's characters before they are cut into words.
 *
 * Source of the behaviour: transformers' BasicTokenizer(strip_accents=False,
 * do_split_on_punc=False), which CLIPTokenizer uses where ftfy is not installed, and
 * Python's str.lower(). Unicode's tables are GLib's; for what GLib does not have
 * (case of circled letters and Roman numerals, İ, the final sigma) see the source.
 * Characters that GLib's version of Unicode does not know are dropped, as transformers
 * drops those that Python's does not know.
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef struct {
    gunichar *at; /* (n); owned */
    gsize n, capacity;
} W2wCharacters;

void w2w_characters_clear(W2wCharacters *characters);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(W2wCharacters, w2w_characters_clear)

/*
 * Replaces `out` by the text, which is valid UTF-8: control and unassigned characters
 * gone, every whitespace a space, spaces around CJK characters, NFC, lower case. In time
 * linear in `length` whatever the text is. W2W_ERROR_MEMORY.
 */
gboolean w2w_prompt_normalize(const char *text, gsize length, W2wCharacters *out, GError **error);

G_END_DECLS

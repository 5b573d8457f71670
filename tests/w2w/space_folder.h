/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Temporary folders for tests: empty ones, and copies of a space to change or break. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* A new temporary folder; remove_folder() removes it with all that is in it, and frees the name. */
char *make_folder(void);
void remove_folder(char *folder);

/* Files of `source` named in `names` (NULL terminated; NULL: all) as links in a new folder. */
char *link_folder(const char *source, const char *const *names);

/* The embedded world's space. Caller frees. */
char *embedded_space(void);

void remove_file(const char *folder, const char *name);
void write_text(const char *folder, const char *name, const char *text);

/* Replaces `name` by a link to `target`. */
void link_file(const char *folder, const char *name, const char *target);

G_END_DECLS

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* "Did you mean …?" for names that people type: directions, flags, sub-commands. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/*
 * The candidate that `name` was most likely meant to be, or NULL where none is near. Case and
 * the choice between "_", "-" and " " count as nothing; a swap of two neighbours as one slip.
 * `candidates` is NULL terminated; what comes back is one of its strings.
 */
const char *w2w_nearest_name(const char *name, const char *const *candidates);

G_END_DECLS

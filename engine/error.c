/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The engine's error domain. */
#include "engine/error.h"

G_DEFINE_QUARK(w2w-error, w2w_error)

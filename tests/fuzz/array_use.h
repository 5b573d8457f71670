/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Reads what an array claims to hold: its corners always, all of it where that is little. */
#pragma once

#include "engine/array.h"

void w2w_array_use(const W2wArray *array);

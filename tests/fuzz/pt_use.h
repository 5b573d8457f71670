/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Walks a value of a .pt file and calls every getter on it. */
#pragma once

#include "engine/formats/pt.h"

void w2w_pt_use(W2wPtValue *value);

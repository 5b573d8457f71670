/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The manual page w2w(1), written from the same declarations as the help, at build time. */
#pragma once

#include <stdio.h>

void w2w_man_page_print(FILE *stream);

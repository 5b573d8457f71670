/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Checksums for archives that a fuzzer changed or made. */
#pragma once

#include <glib.h>

/*
 * Sets the CRC-32 of every stored entry right that the directory at the end leads to; touches
 * nothing else, and nothing at all where the archive is too damaged to follow.
 */
void w2w_archive_fix_checksums(guint8 *data, gsize size);

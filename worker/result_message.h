/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A job's result as the body of the Result signal (client/protocol.h). */
#pragma once

#include <gio/gio.h>
#include <gio/gunixfdlist.h>

#include "engine/job/job.h"

G_BEGIN_DECLS

/*
 * a{sv}, floating; the picture's shared memory is added to `descriptors`. W2W_ERROR_MEMORY, and
 * W2W_ERROR_UNSUPPORTED for more bytes than the protocol carries.
 */
GVariant *w2w_result_to_variant(const W2wJobResult *result, GUnixFDList *descriptors,
                                GError **error);

G_END_DECLS

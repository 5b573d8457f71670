/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A job's result out of the worker's Result signal (protocol.h). */
#pragma once

#include <gio/gio.h>
#include <gio/gunixfdlist.h>

#include "engine/job/job.h"

G_BEGIN_DECLS

/* `descriptors` may be NULL. W2W_ERROR_FAILED for what is not as protocol.h says. */
W2wJobResult *w2w_result_from_variant(GVariant *dictionary, GUnixFDList *descriptors,
                                      GError **error);

G_END_DECLS

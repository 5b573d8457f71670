/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the general options choose: the world and the device. */
#pragma once

#include "cli/command_line.h"

G_BEGIN_DECLS

/* By --world, or --model and --space; the embedded world where nothing is said. */
W2wWorld *w2w_session_open_world(const W2wCommandLine *line, GError **error);

/* By --device, --threads and --dtype. */
W2wDevice *w2w_session_open_device(const W2wCommandLine *line, GError **error);

G_END_DECLS

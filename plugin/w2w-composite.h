/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A job's picture of a region, put into a layer's pixels in the layer's own precision.
 *
 * Jobs know 8 bits of sRGB. So that a layer of 16 bits, of floats or of another colour space stays
 * what it is, only those pixels are written that the job has changed and the selection lets
 * change; all others keep their bytes.
 */
#pragma once

#include "engine/picture.h"
#include "w2w-source.h"

G_BEGIN_DECLS

/*
 * `region` lies with its corner at (x, y) of the layer, and may reach beyond it. Each pixel becomes
 * pixel + selection · (region − source), as display values; its alpha stays. `source` is what the
 * layer, which has its size, held when the job began. W2W_ERROR_MEMORY; then nothing is written.
 */
gboolean w2w_composite (GimpLayer        *layer,
                        const W2wSource  *source,
                        const W2wPicture *region,
                        gint              x,
                        gint              y,
                        GError          **error);

G_END_DECLS

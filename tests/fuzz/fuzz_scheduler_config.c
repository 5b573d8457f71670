/* SPDX-License-Identifier: GPL-3.0-or-later */
/* scheduler_config.json, and one trajectory of what it describes. */
#include "engine/diffusion/scheduler.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/fuzz/memory_files.h"

int LLVMFuzzerTestOneInput(const guint8 *data, gsize size)
{
    g_autoptr(W2wScheduler) scheduler = NULL;

    w2w_memory_files_add("s.json", data, size);
    scheduler = w2w_scheduler_new_from_file(W2W_SCHEDULER_PNDM, "s.json", NULL);
    if (scheduler != NULL && w2w_scheduler_start(scheduler, 4, NULL)) {
        guint n;

        g_assert_nonnull(w2w_scheduler_get_timesteps(scheduler, &n));
        g_assert_cmpuint(n, >, 0);
    }
    w2w_memory_files_clear();
    return 0;
}

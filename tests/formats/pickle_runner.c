/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Running the pickles of tests. */
#include "tests/formats/pickle_runner.h"

#include <string.h>

#include "engine/error.h"
#include "tests/formats/archive_maker.h"

static const float storage[] = {0, 1, 2, 3, 4, 5};

W2wPtValue *w2w_run_pickle(const char *pickle, gsize length, GError **error)
{
    const char *const storages[] = {(const char *)storage};
    const gsize lengths[] = {sizeof storage};
    g_autoptr(GBytes) bytes = w2w_archive_of_pickle(pickle, length, storages, lengths, 1);

    return w2w_pt_open_bytes(bytes, "x.pt", error);
}

W2wPtValue *w2w_run_pickle_ok(const char *pickle, gsize length)
{
    g_autoptr(GError) error = NULL;
    W2wPtValue *value = w2w_run_pickle(pickle, length, &error);

    g_assert_no_error(error);
    return value;
}

void w2w_assert_pickle_refused(const char *pickle, gsize length, const char *part)
{
    g_autoptr(GError) error = NULL;

    g_assert_null(w2w_run_pickle(pickle, length, &error));
    g_assert_nonnull(error);
    g_assert_nonnull(strstr(error->message, "x.pt"));
    g_assert_nonnull(strstr(error->message, "byte"));
    w2w_assert_refused(&error, W2W_ERROR_FORMAT, part);
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Spaces for convert. */
#include "cli/convert_space.h"

#include "engine/error.h"
#include "engine/formats/safetensors.h"
#include "engine/w2w/space_file.h"
#include "engine/w2w/world.h"

gboolean w2w_convert_is_space(const char *path)
{
    g_autofree char *v = g_build_filename(path, "V.pt", NULL);
    g_autoptr(W2wSafetensors) file = NULL;

    if (g_file_test(path, G_FILE_TEST_IS_DIR))
        return g_file_test(v, G_FILE_TEST_EXISTS);
    file = w2w_safetensors_open(path, NULL);
    return file != NULL &&
           g_strcmp0(w2w_safetensors_get_metadata(file, "format"), W2W_SPACE_FORMAT) == 0;
}

gboolean w2w_convert_space(const char *path, const char *output, const W2wProgress *progress,
                           GError **error)
{
    g_autoptr(W2wSpace) space = NULL;
    g_autofree char *card = NULL;

    if (g_file_test(output, G_FILE_TEST_IS_DIR)) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_USAGE,
                    "%s is a folder; a space is written as one file, such as space.safetensors.",
                    output);
        return FALSE;
    }
    space = w2w_space_open(path, error);
    if (space == NULL)
        return FALSE;
    card = g_file_test(path, G_FILE_TEST_IS_DIR) ? w2w_world_find_card(path) : NULL;
    return w2w_space_save(space, output, card, progress, error);
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A PNG file: its size, and the recipe that our pictures carry. The texts are read here and not by
 * libpng, which would hold all of a stranger's chunks in memory; the picture itself is checked by
 * reading it.
 */
#include <string.h>

#include "cli/info.h"
#include "engine/formats/json.h"
#include "engine/formats/png.h"

#define SIGNATURE_SIZE 8
#define CHUNK_OVERHEAD 12 /* length, type, checksum */

gboolean w2w_info_is_png(GBytes *bytes)
{
    gsize size;
    const guint8 *data = g_bytes_get_data(bytes, &size);

    return size >= SIGNATURE_SIZE && memcmp(data, "\211PNG\r\n\032\n", SIGNATURE_SIZE) == 0;
}

static guint32 read_length(const guint8 *data)
{
    return (guint32)data[0] << 24 | (guint32)data[1] << 16 | (guint32)data[2] << 8 | data[3];
}

/* Of "keyword NUL text", or of iTXt "keyword NUL 0 0 language NUL keyword NUL text", else NULL. */
static char *get_text(const char *data, gsize size, gboolean is_international, const char *keyword)
{
    const gsize n_keyword = strlen(keyword) + 1;
    const char *text = data + n_keyword, *end = data + size;

    if (size < n_keyword || memcmp(data, keyword, n_keyword) != 0)
        return NULL;
    if (is_international) {
        if (end - text < 2 || text[0] != 0) /* compressed: not ours */
            return NULL;
        text += 2;
        for (guint i = 0; i < 2; i++) {
            text = memchr(text, 0, (gsize)(end - text));
            if (text == NULL)
                return NULL;
            text++;
        }
    }
    return g_utf8_validate(text, end - text, NULL) ? g_strndup(text, (gsize)(end - text)) : NULL;
}

/* The first text of that keyword; caller frees. */
static char *find_text(GBytes *bytes, const char *keyword)
{
    gsize size, at = SIGNATURE_SIZE;
    const guint8 *data = g_bytes_get_data(bytes, &size);

    while (at + CHUNK_OVERHEAD <= size) {
        const guint32 length = read_length(data + at);
        const char *type = (const char *)data + at + 4;
        const gboolean is_international = memcmp(type, "iTXt", 4) == 0;
        char *text = NULL;

        if (length > size - at - CHUNK_OVERHEAD)
            return NULL;
        if (is_international || memcmp(type, "tEXt", 4) == 0)
            text = get_text((const char *)data + at + 8, length, is_international, keyword);
        if (text != NULL)
            return text;
        at += (gsize)length + CHUNK_OVERHEAD;
    }
    return NULL;
}

gboolean w2w_info_picture(GBytes *bytes, const char *name, JsonObject *report, GError **error)
{
    g_autoptr(W2wPicture) picture = w2w_png_read_bytes(bytes, name, error);
    g_autofree char *recipe_text = NULL;
    g_autofree char *title = NULL;
    JsonNode *recipe;

    if (picture == NULL)
        return FALSE;
    recipe_text = find_text(bytes, "w2w-recipe");
    title = find_text(bytes, "Title");
    json_object_set_string_member(report, "kind", "picture");
    json_object_set_int_member(report, "width", picture->width);
    json_object_set_int_member(report, "height", picture->height);
    if (title != NULL)
        json_object_set_string_member(report, "title", title);
    recipe = recipe_text != NULL
                 ? w2w_json_parse_any(recipe_text, strlen(recipe_text), "recipe", NULL)
                 : NULL;
    if (recipe != NULL)
        json_object_set_member(report, "recipe", recipe);
    return TRUE;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* JSON text; what was read is written as text and must read back as equal text. */
#include <string.h>

#include "engine/formats/json.h"
#include "engine/formats/json_writer.h"
#include "tests/fuzz/fuzz_target.h"

int LLVMFuzzerTestOneInput(const guint8 *data, gsize size)
{
    g_autoptr(JsonNode) node = w2w_json_parse_any((const char *)data, size, "x.json", NULL);

    if (node != NULL) {
        g_autofree char *text = w2w_json_write(node);
        g_autoptr(JsonNode) again = w2w_json_parse_any(text, strlen(text), "x.json", NULL);
        g_autofree char *second = again != NULL ? w2w_json_write(again) : NULL;

        g_assert_cmpstr(text, ==, second);
    }
    return 0;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* write_forms MODEL OUT: MODEL in every form of model_forms.h, each in a folder of OUT. */
#include <stdio.h>

#include "tests/models/model_forms.h"

int main(int argc, char **argv)
{
    ModelSource *source;

    if (argc != 3) {
        fprintf(stderr, "write_forms MODEL OUT\n");
        return 2;
    }
    source = model_source_new(argv[1]);
    for (const ModelForm *form = model_forms; form->name != NULL; form++) {
        g_autofree char *out = g_build_filename(argv[2], form->name, NULL);

        if (g_mkdir_with_parents(out, 0777) != 0) {
            fprintf(stderr, "%s cannot be made.\n", out);
            return 1;
        }
        form->write(source, out);
    }
    model_source_free(source);
    return 0;
}

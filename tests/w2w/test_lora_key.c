/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Names of LoRA factors in the forms of four tools, and what is none. */
#include <glib.h>

#include "engine/w2w/lora_key.h"

#define MODULE "down_blocks.0.attentions.1.transformer_blocks.0.attn1.to_q"

static void test_forms(void)
{
    static const struct {
        const char *key, *path;
        gboolean is_b;
    } cases[] = {
        {"base_model.model." MODULE ".lora_A.weight", MODULE, FALSE},
        {"base_model.model." MODULE ".lora_B.default.weight", MODULE, TRUE},
        {"lora_unet_" MODULE "_lora_A.weight", MODULE, FALSE},
        {"lora_unet_" MODULE "_lora_B.weight", MODULE, TRUE},
        {"unet." MODULE ".lora_A.identity1.weight", MODULE, FALSE},
        {"unet.base_model.model." MODULE ".lora_down.weight", MODULE, FALSE},
        {"lora_unet_down_blocks_0_attentions_1_transformer_blocks_0_attn1_to_q.lora_up.weight",
         MODULE, TRUE},
        {MODULE "_lora_A", MODULE, FALSE},
        {"mid_block.attentions.0.transformer_blocks.0.attn2.to_out.0.lora_B.weight",
         "mid_block.attentions.0.transformer_blocks.0.attn2.to_out.0", TRUE},
        {"lora_unet_up_blocks_3_attentions_2_proj_in.lora_down.weight",
         "up_blocks.3.attentions.2.proj_in", FALSE},
    };

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        gboolean is_b = !cases[i].is_b;
        g_autofree char *path = w2w_lora_key_parse(cases[i].key, &is_b);

        g_assert_cmpstr(path, ==, cases[i].path);
        g_assert_cmpint(is_b, ==, cases[i].is_b);
    }
}

static void test_none(void)
{
    static const char *const none[] = {"",
                                       "lora_A",
                                       ".lora_A.weight",
                                       MODULE,
                                       MODULE ".weight",
                                       MODULE ".lora_C.weight",
                                       MODULE ".lora_A.bias",
                                       MODULE ".alora_A.weight",
                                       "down_blocks..to_q.lora_A.weight",
                                       "down_blocks.0.to q.lora_A.weight",
                                       "unet.",
                                       "base_model.model.lora_unet_unet.",
                                       "..........lora_B.weight"};

    for (guint i = 0; i < G_N_ELEMENTS(none); i++) {
        gboolean is_b;

        if (w2w_lora_key_parse(none[i], &is_b) != NULL)
            g_error("“%s” was taken for a LoRA factor.", none[i]);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/lora-key/forms", test_forms);
    g_test_add_func("/lora-key/none", test_none);
    return g_test_run();
}

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

/* LDM's numbering against diffusers', for Stable Diffusion 1.x. */
static void test_ldm(void)
{
    static const char *const cases[][2] = {
        {"input_blocks_0_0", "conv_in"},
        {"input_blocks_1_0_in_layers_2", "down_blocks.0.resnets.0.conv1"},
        {"input_blocks_2_0_out_layers_3", "down_blocks.0.resnets.1.conv2"},
        {"input_blocks_3_0_op", "down_blocks.0.downsamplers.0.conv"},
        {"input_blocks_4_0_skip_connection", "down_blocks.1.resnets.0.conv_shortcut"},
        {"input_blocks_8_1_proj_in", "down_blocks.2.attentions.1.proj_in"},
        {"input_blocks_11_0_emb_layers_1", "down_blocks.3.resnets.1.time_emb_proj"},
        {"middle_block_0_in_layers_2", "mid_block.resnets.0.conv1"},
        {"middle_block_1_transformer_blocks_0_ff_net_0_proj",
         "mid_block.attentions.0.transformer_blocks.0.ff.net.0.proj"},
        {"middle_block_2_out_layers_3", "mid_block.resnets.1.conv2"},
        {"output_blocks_0_0_in_layers_2", "up_blocks.0.resnets.0.conv1"},
        {"output_blocks_2_1_conv", "up_blocks.0.upsamplers.0.conv"},
        {"output_blocks_5_2_conv", "up_blocks.1.upsamplers.0.conv"},
        {"output_blocks_11_1_transformer_blocks_0_attn2_to_out_0",
         "up_blocks.3.attentions.2.transformer_blocks.0.attn2.to_out.0"},
        {"time_embed_0", "time_embedding.linear_1"},
        {"time_embed_2", "time_embedding.linear_2"},
        {"out_2", "conv_out"},
        /* These are diffusers' own. */
        {"down_blocks_0_resnets_0_time_emb_proj", "down_blocks.0.resnets.0.time_emb_proj"},
        {"conv_out", "conv_out"},
        {"time_embedding_linear_2", "time_embedding.linear_2"},
    };
    static const char *const none[] = {"input_blocks_1",
                                       "input_blocks_1_2_proj_in",
                                       "input_blocks_3_1_op",
                                       "input_blocks_1_0_in_layers_0",
                                       "middle_block_3_in_layers_2",
                                       "output_blocks_1_1_conv",
                                       "input_blocks_99999999999999999999_1_proj_in"};

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *key = g_strconcat("lora_unet_", cases[i][0], ".lora_up.weight", NULL);
        gboolean is_b = FALSE;
        g_autofree char *path = w2w_lora_key_parse(key, &is_b);

        g_assert_cmpstr(path, ==, cases[i][1]);
        g_assert_true(is_b);
    }
    for (guint i = 0; i < G_N_ELEMENTS(none); i++) {
        g_autofree char *key = g_strconcat("lora_unet_", none[i], ".lora_up.weight", NULL);
        gboolean is_b;

        g_assert_null(w2w_lora_key_parse(key, &is_b));
    }
}

static void test_parts(void)
{
    g_auto(W2wLoraKey) key = {0};

    g_assert_true(w2w_lora_key_read("lora_te1_text_model_encoder_layers_11_mlp_fc2.alpha", &key));
    g_assert_cmpstr(key.path, ==, "text_model.encoder.layers.11.mlp.fc2");
    g_assert_cmpint(key.part, ==, W2W_LORA_PART_ALPHA);
    g_assert_cmpint(key.format, ==, W2W_LORA_FORMAT_KOHYA);
    g_assert_true(key.in_text_encoder);
    g_assert_null(key.adapter);
    w2w_lora_key_clear(&key);
    g_assert_true(w2w_lora_key_read("unet." MODULE ".lora_B.my-name_2.weight", &key));
    g_assert_cmpstr(key.adapter, ==, "my-name_2");
    g_assert_cmpint(key.part, ==, W2W_LORA_PART_B);
    g_assert_false(key.in_text_encoder);
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
    g_test_add_func("/lora-key/ldm", test_ldm);
    g_test_add_func("/lora-key/parts", test_parts);
    g_test_add_func("/lora-key/none", test_none);
    return g_test_run();
}

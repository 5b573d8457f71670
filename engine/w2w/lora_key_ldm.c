/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Paths of the original Stable Diffusion code (LDM) as diffusers names them. LDM numbers the
 * UNet's blocks through; with R resnets to a level, input block 1 + (R + 1)·level + i is resnet i
 * of a level or, at i = R, its downsampler, and output block (R + 1)·level + i has R + 1 resnets
 * a level, the upsampler as one more part of the last.
 */
#include <string.h>

#include "engine/w2w/lora_key.h"

/* Of Stable Diffusion 1.x. The keys of a file do not tell it. */
#define RESNETS_PER_LEVEL 2

static const char *const resnet_parts[][2] = {{"in_layers.2", "conv1"},
                                              {"out_layers.3", "conv2"},
                                              {"emb_layers.1", "time_emb_proj"},
                                              {"skip_connection", "conv_shortcut"}};

static const char *const whole_paths[][2] = {{"input_blocks.0.0", "conv_in"},
                                             {"time_embed.0", "time_embedding.linear_1"},
                                             {"time_embed.2", "time_embedding.linear_2"},
                                             {"out.2", "conv_out"}};

/* Splits "input_blocks.4.1.proj_in" at its numbers; `rest` "" where nothing follows. */
static gboolean read_numbers(const char *path, const char *first, guint n, guint64 *numbers,
                             const char **rest)
{
    const char *at = path + strlen(first);

    for (guint i = 0; i < n; i++) {
        char *end;

        if (*at != '.' || !g_ascii_isdigit(at[1]))
            return FALSE;
        numbers[i] = g_ascii_strtoull(at + 1, &end, 10);
        if (numbers[i] > 1000 || (*end != '.' && *end != 0))
            return FALSE;
        at = end;
    }
    *rest = *at == '.' ? at + 1 : at;
    return TRUE;
}

/* A resnet where its parts are named, a transformer otherwise. */
static char *map_part(const char *block, guint64 i, guint64 part, const char *rest)
{
    if (part == 1 && *rest != 0 && !g_str_equal(rest, "conv"))
        return g_strdup_printf("%s.attentions.%" G_GUINT64_FORMAT ".%s", block, i, rest);
    if (part != 0)
        return NULL;
    for (guint k = 0; k < G_N_ELEMENTS(resnet_parts); k++)
        if (g_str_equal(rest, resnet_parts[k][0]))
            return g_strdup_printf("%s.resnets.%" G_GUINT64_FORMAT ".%s", block, i,
                                   resnet_parts[k][1]);
    return NULL;
}

static char *map_input(guint64 block, guint64 part, const char *rest)
{
    const guint64 i = (block - 1) % (RESNETS_PER_LEVEL + 1);
    g_autofree char *level = NULL;

    if (block == 0)
        return NULL;
    level =
        g_strdup_printf("down_blocks.%" G_GUINT64_FORMAT, (block - 1) / (RESNETS_PER_LEVEL + 1));
    if (i < RESNETS_PER_LEVEL)
        return map_part(level, i, part, rest);
    return part == 0 && g_str_equal(rest, "op") ? g_strconcat(level, ".downsamplers.0.conv", NULL)
                                                : NULL;
}

static char *map_output(guint64 block, guint64 part, const char *rest)
{
    const guint64 i = block % (RESNETS_PER_LEVEL + 1);
    g_autofree char *level =
        g_strdup_printf("up_blocks.%" G_GUINT64_FORMAT, block / (RESNETS_PER_LEVEL + 1));

    /* Behind the resnet, or behind the transformer where the level has them. */
    if (i == RESNETS_PER_LEVEL && part >= 1 && part <= 2 && g_str_equal(rest, "conv"))
        return g_strconcat(level, ".upsamplers.0.conv", NULL);
    return map_part(level, i, part, rest);
}

char *w2w_lora_key_path_from_ldm(const char *path)
{
    guint64 numbers[2];
    const char *rest;

    for (guint i = 0; i < G_N_ELEMENTS(whole_paths); i++)
        if (g_str_equal(path, whole_paths[i][0]))
            return g_strdup(whole_paths[i][1]);
    if (g_str_has_prefix(path, "input_blocks."))
        return read_numbers(path, "input_blocks", 2, numbers, &rest)
                   ? map_input(numbers[0], numbers[1], rest)
                   : NULL;
    if (g_str_has_prefix(path, "output_blocks."))
        return read_numbers(path, "output_blocks", 2, numbers, &rest)
                   ? map_output(numbers[0], numbers[1], rest)
                   : NULL;
    if (g_str_has_prefix(path, "middle_block.")) {
        if (!read_numbers(path, "middle_block", 1, numbers, &rest) || numbers[0] > 2)
            return NULL;
        return map_part("mid_block", numbers[0] / 2, numbers[0] % 2, rest);
    }
    return g_strdup(path);
}

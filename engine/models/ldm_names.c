/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The original names of latent diffusion's checkpoints. */
#include "engine/models/ldm_names.h"

#include <string.h>

#define EMA_PREFIX  "model_ema.diffusion_model"
#define UNET_PREFIX "model.diffusion_model."

/* More blocks than any model has; a number beyond is no block. */
#define MAX_BLOCKS 256

typedef struct {
    const char *old, *now;
} Renaming;

/* `rest` with the first of the renamings whose old name it begins with; NULL where none fits. */
static char *rename_start(const char *rest, const Renaming *renamings, guint n)
{
    for (guint i = 0; i < n; i++)
        if (g_str_has_prefix(rest, renamings[i].old))
            return g_strconcat(renamings[i].now, rest + strlen(renamings[i].old), NULL);
    return NULL;
}

/* Reads "12." at `*text` and goes behind it. */
static gboolean take_number(const char **text, guint *number)
{
    char *end;
    guint64 value;

    if (!g_ascii_isdigit(**text))
        return FALSE;
    value = g_ascii_strtoull(*text, &end, 10);
    if (value >= MAX_BLOCKS || *end != '.')
        return FALSE;
    *number = (guint)value;
    *text = end + 1;
    return TRUE;
}

static gboolean take_text(const char **text, const char *start)
{
    if (!g_str_has_prefix(*text, start))
        return FALSE;
    *text += strlen(start);
    return TRUE;
}

/* --- UNet --- */

/* Where the blocks of one side (input_blocks or output_blocks) lie. */
typedef struct {
    guint level[MAX_BLOCKS], layer[MAX_BLOCKS];
} Places;

typedef struct {
    Places input, output;
} UnetPlaces;

static gboolean has(GHashTable *table, const char *prefix, const char *format, guint i, guint j)
{
    g_autofree char *name = g_strdup_printf(format, i, j);
    g_autofree char *whole = g_strconcat(prefix, name, NULL);

    return g_hash_table_contains(table, whole);
}

static void find_places(GHashTable *table, const char *prefix, UnetPlaces *places)
{
    guint level = 0, layer = 0;

    /* input_blocks.0 is conv_in; a level ends with a block that is its downsampler alone. */
    for (guint i = 1; i < MAX_BLOCKS; i++) {
        places->input.level[i] = level;
        places->input.layer[i] = layer++;
        if (has(table, prefix, "input_blocks.%u.%u.op.weight", i, 0)) {
            level++;
            layer = 0;
        }
    }
    /* On the way up the upsampler is the last module of the level's last block. */
    level = layer = 0;
    for (guint i = 0; i < MAX_BLOCKS; i++) {
        places->output.level[i] = level;
        places->output.layer[i] = layer++;
        if (has(table, prefix, "output_blocks.%u.%u.conv.weight", i, 1) ||
            has(table, prefix, "output_blocks.%u.%u.conv.weight", i, 2)) {
            level++;
            layer = 0;
        }
    }
}

static char *rename_resnet(const char *block, guint i, const char *rest)
{
    static const Renaming renamings[] = {
        {"in_layers.0.", "norm1."},          {"in_layers.2.", "conv1."},
        {"out_layers.0.", "norm2."},         {"out_layers.3.", "conv2."},
        {"emb_layers.1.", "time_emb_proj."}, {"skip_connection.", "conv_shortcut."},
    };
    g_autofree char *renamed = rename_start(rest, renamings, G_N_ELEMENTS(renamings));

    return renamed != NULL ? g_strdup_printf("%s.resnets.%u.%s", block, i, renamed) : NULL;
}

/* Inside of a transformer both have the same names. */
static char *rename_transformer(const char *block, guint i, const char *rest)
{
    return g_strdup_printf("%s.attentions.%u.%s", block, i, rest);
}

static char *rename_input(const UnetPlaces *places, const char *rest)
{
    g_autofree char *block = NULL;
    guint i, module;

    if (!take_number(&rest, &i) || !take_number(&rest, &module))
        return NULL;
    if (i == 0)
        return module == 0 ? g_strconcat("conv_in.", rest, NULL) : NULL;
    block = g_strdup_printf("down_blocks.%u", places->input.level[i]);
    if (module == 0 && take_text(&rest, "op."))
        return g_strconcat(block, ".downsamplers.0.conv.", rest, NULL);
    if (module == 0)
        return rename_resnet(block, places->input.layer[i], rest);
    return module == 1 ? rename_transformer(block, places->input.layer[i], rest) : NULL;
}

static char *rename_middle(const char *rest)
{
    guint module;

    if (!take_number(&rest, &module) || module > 2)
        return NULL;
    return module == 1 ? rename_transformer("mid_block", 0, rest)
                       : rename_resnet("mid_block", module / 2, rest);
}

static char *rename_output(const UnetPlaces *places, const char *rest)
{
    g_autofree char *block = NULL;
    guint i, module;

    if (!take_number(&rest, &i) || !take_number(&rest, &module))
        return NULL;
    block = g_strdup_printf("up_blocks.%u", places->output.level[i]);
    if (module == 0)
        return rename_resnet(block, places->output.layer[i], rest);
    if (take_text(&rest, "conv."))
        return g_strconcat(block, ".upsamplers.0.conv.", rest, NULL);
    return module == 1 ? rename_transformer(block, places->output.layer[i], rest) : NULL;
}

static char *rename_unet(const UnetPlaces *places, const char *name)
{
    static const Renaming ends[] = {
        {"time_embed.0.", "time_embedding.linear_1."},
        {"time_embed.2.", "time_embedding.linear_2."},
        {"out.0.", "conv_norm_out."},
        {"out.2.", "conv_out."},
    };

    if (take_text(&name, "input_blocks."))
        return rename_input(places, name);
    if (take_text(&name, "middle_block."))
        return rename_middle(name);
    if (take_text(&name, "output_blocks."))
        return rename_output(places, name);
    return rename_start(name, ends, G_N_ELEMENTS(ends));
}

GHashTable *w2w_ldm_names_of_unet(GHashTable *table, const char *prefix, const char *file,
                                  GError **error)
{
    g_autoptr(GHashTable) renamed = w2w_weight_table_new();
    UnetPlaces places;
    GHashTableIter iter;
    gpointer name, array;

    find_places(table, prefix, &places);
    g_hash_table_iter_init(&iter, table);
    while (g_hash_table_iter_next(&iter, &name, &array)) {
        g_autofree char *new_name = NULL;

        if (!g_str_has_prefix(name, prefix))
            continue;
        new_name = rename_unet(&places, (const char *)name + strlen(prefix));
        if (!w2w_weight_table_add(renamed, new_name != NULL ? new_name : name, array, file, error))
            return NULL;
    }
    return g_steal_pointer(&renamed);
}

/* --- VAE --- */

static char *rename_vae_resnet(const char *block, guint i, const char *rest)
{
    g_autofree char *renamed = take_text(&rest, "nin_shortcut.")
                                   ? g_strconcat("conv_shortcut.", rest, NULL)
                                   : g_strdup(rest);

    return g_strdup_printf("%s.resnets.%u.%s", block, i, renamed);
}

static char *rename_vae_middle(const char *side, const char *rest)
{
    static const Renaming attention[] = {
        {"norm.", "group_norm."},   {"q.", "to_q."}, {"k.", "to_k."}, {"v.", "to_v."},
        {"proj_out.", "to_out.0."},
    };
    g_autofree char *block = g_strconcat(side, ".mid_block", NULL);
    g_autofree char *renamed = NULL;

    if (take_text(&rest, "block_1."))
        return rename_vae_resnet(block, 0, rest);
    if (take_text(&rest, "block_2."))
        return rename_vae_resnet(block, 1, rest);
    if (take_text(&rest, "attn_1."))
        renamed = rename_start(rest, attention, G_N_ELEMENTS(attention));
    return renamed != NULL ? rename_transformer(block, 0, renamed) : NULL;
}

/* The original counts the decoder's levels from the finest, diffusers from the coarsest. */
static char *rename_vae_level(const char *side, guint n_levels, const char *rest)
{
    const gboolean is_decoder = g_str_equal(side, "decoder");
    g_autofree char *block = NULL;
    guint level, layer;

    if (!take_number(&rest, &level) || level >= n_levels)
        return NULL;
    block = is_decoder ? g_strdup_printf("decoder.up_blocks.%u", n_levels - 1 - level)
                       : g_strdup_printf("encoder.down_blocks.%u", level);
    if (take_text(&rest, "block."))
        return take_number(&rest, &layer) ? rename_vae_resnet(block, layer, rest) : NULL;
    if (take_text(&rest, is_decoder ? "upsample." : "downsample."))
        return g_strdup_printf("%s.%s.0.%s", block, is_decoder ? "upsamplers" : "downsamplers",
                               rest);
    return NULL;
}

static char *rename_vae(guint n_levels, const char *name)
{
    const char *rest = name;
    const char *side = take_text(&rest, "encoder.")   ? "encoder"
                       : take_text(&rest, "decoder.") ? "decoder"
                                                      : NULL;

    if (side == NULL)
        return g_str_has_prefix(name, "quant_conv.") || g_str_has_prefix(name, "post_quant_conv.")
                   ? g_strdup(name)
                   : NULL;
    if (take_text(&rest, "mid."))
        return rename_vae_middle(side, rest);
    if (take_text(&rest, "norm_out."))
        return g_strconcat(side, ".conv_norm_out.", rest, NULL);
    if (take_text(&rest, g_str_equal(side, "decoder") ? "up." : "down."))
        return rename_vae_level(side, n_levels, rest);
    return g_strdup(name);
}

static guint count_vae_levels(GHashTable *table, const char *prefix)
{
    GHashTableIter iter;
    gpointer name;
    guint n = 0, level;

    g_hash_table_iter_init(&iter, table);
    while (g_hash_table_iter_next(&iter, &name, NULL)) {
        const char *rest = name;

        if (take_text(&rest, prefix) && take_text(&rest, "decoder.up.") &&
            take_number(&rest, &level))
            n = MAX(n, level + 1);
    }
    return n;
}

GHashTable *w2w_ldm_names_of_vae(GHashTable *table, const char *prefix, const char *file,
                                 GError **error)
{
    const guint n_levels = count_vae_levels(table, prefix);
    g_autoptr(GHashTable) renamed = w2w_weight_table_new();
    GHashTableIter iter;
    gpointer name, array;

    g_hash_table_iter_init(&iter, table);
    while (g_hash_table_iter_next(&iter, &name, &array)) {
        const char *rest = name;
        g_autofree char *new_name = NULL;

        if (!take_text(&rest, prefix) || g_str_has_prefix(rest, "loss."))
            continue;
        new_name = rename_vae(n_levels, rest);
        if (!w2w_weight_table_add(renamed, new_name != NULL ? new_name : name, array, file, error))
            return NULL;
    }
    return g_steal_pointer(&renamed);
}

/* --- the averaged copy --- */

/*
 * Dots back into flat names. Modules of a block are numbered by one digit, so that of
 * "input_blocks110in_layers0weight" the last digit before a letter is the module: 11.0.
 */
static char *unflatten(const char *flat)
{
    static const struct {
        const char *pattern, *replacement;
    } rules[] = {
        {"^(input_blocks|output_blocks)([0-9]+)([0-9])(?=[a-z])", "\\1.\\2.\\3."},
        {"^(middle_block)([0-9])(?=[a-z])", "\\1.\\2."},
        {"^(time_embed|out)([0-9])(?=[a-z])", "\\1.\\2."},
        {"(in_layers|out_layers|emb_layers)([0-9])", "\\1.\\2."},
        {"(transformer_blocks)([0-9]+)", "\\1.\\2."},
        {"(attn[12])", "\\1."},
        {"to_out0", "to_out.0."},
        {"ffnet0proj", "ff.net.0.proj."},
        {"ffnet2", "ff.net.2."},
        {"(to_[qkv]|norm[123]?|proj_in|proj_out|op|conv|skip_connection)(?=(weight|bias)$)",
         "\\1."},
    };
    g_autofree char *name = g_strdup(flat);

    for (guint i = 0; i < G_N_ELEMENTS(rules); i++) {
        g_autoptr(GRegex) regex = g_regex_new(rules[i].pattern, G_REGEX_RAW, 0, NULL);
        char *next = g_regex_replace(regex, name, -1, 0, rules[i].replacement, 0, NULL);

        if (next == NULL) /* a limit of the regular expressions: no name of ours */
            break;
        g_free(name);
        name = next;
    }
    return g_steal_pointer(&name);
}

GHashTable *w2w_ldm_names_of_ema(GHashTable *table, const char *file, GError **error)
{
    g_autoptr(GHashTable) dotted = w2w_weight_table_new();
    GHashTableIter iter;
    gpointer name, array;

    g_hash_table_iter_init(&iter, table);
    while (g_hash_table_iter_next(&iter, &name, &array)) {
        const char *rest = name;
        g_autofree char *module = NULL;
        g_autofree char *new_name = NULL;

        if (!take_text(&rest, EMA_PREFIX))
            continue;
        module = unflatten(rest);
        new_name = g_strconcat(UNET_PREFIX, module, NULL);
        if (!w2w_weight_table_add(dotted, new_name, array, file, error))
            return NULL;
    }
    return g_steal_pointer(&dotted);
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Checkpoints and folders that are not what they should be, settings from shapes, and what lies
 * around the weights of a training. lightning*.ckpt are made by make_lightning.py.
 */
#include "engine/models/checkpoint.h"

#include <string.h>

#include "engine/error.h"
#include "engine/formats/json.h"
#include "engine/formats/pt_writer.h"
#include "engine/formats/safetensors.h"
#include "engine/models/part_files.h"
#include "engine/models/unet_config.h"
#include "engine/models/vae_config.h"
#include "engine/models/weight_folder.h"
#include "tests/golden_files.h"
#include "tests/models/model_forms.h"

/* --- made-up files --- */

/* Zeros of any shape, which take no memory. */
static W2wArray *make_array(guint n_dims, const gint64 *shape)
{
    static const float zero = 0.0f;
    const gint64 stride[W2W_ARRAY_MAX_DIMS] = {0};
    g_autoptr(GBytes) bytes = g_bytes_new_static(&zero, sizeof(zero));

    return w2w_array_new_view(W2W_DTYPE_F32, n_dims, shape, stride, bytes, 0, "zeros", NULL);
}

/* "name", dimensions, sizes */
static void add(GHashTable *table, const char *name, guint n_dims, gint64 a, gint64 b,
                gint64 kernel)
{
    const gint64 shape[] = {a, b, kernel, kernel};

    g_hash_table_insert(table, g_strdup(name), make_array(n_dims, shape));
}

static char *write_checkpoint(const char *folder, GHashTable *table)
{
    g_autoptr(W2wSafetensorsWriter) writer = w2w_safetensors_writer_new();
    g_autoptr(GPtrArray) names = w2w_weight_table_get_names(table);
    char *path = g_build_filename(folder, "some.ckpt", NULL); /* content counts, not names */
    g_autoptr(GError) error = NULL;

    for (guint i = 0; i < names->len; i++)
        w2w_safetensors_writer_add(writer, names->pdata[i],
                                   g_hash_table_lookup(table, names->pdata[i]));
    w2w_safetensors_writer_save(writer, path, &error);
    g_assert_no_error(error);
    return path;
}

static char *make_folder(void)
{
    g_autoptr(GError) error = NULL;
    char *folder = g_dir_make_tmp("w2w-checkpoint-XXXXXX", &error);

    g_assert_no_error(error);
    return folder;
}

static void assert_error(GError **error, gint code, const char *a, const char *b)
{
    g_assert_error(*error, W2W_ERROR, code);
    g_test_message("%s", (*error)->message);
    g_assert_nonnull(strstr((*error)->message, a));
    g_assert_nonnull(strstr((*error)->message, b));
    g_clear_error(error);
}

/* --- other kinds --- */

/* With one name more, every part of the file is refused, by that name and what it stands for. */
static void test_other_kinds(void)
{
    static const char *const cases[][2] = {
        {"conditioner.embedders.0.transformer.x", "XL"},
        {"cond_stage_model.model.transformer.resblocks.0.ln_1.weight", "Stable Diffusion 2"},
        {"model.diffusion_model.label_emb.0.0.weight", "XL"},
        {"control_model.input_blocks.0.0.weight", "ControlNet"},
        {"v_pred", "v-prediction"},
        {"model.diffusion_model.joint_blocks.0.x", "Stable Diffusion 3"},
    };

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *folder = make_folder();
        g_autoptr(GHashTable) table = w2w_weight_table_new();
        g_autofree char *path = NULL;
        g_autoptr(GError) error = NULL;

        add(table, "model.diffusion_model.out.2.weight", 4, 4, 4, 3);
        add(table, cases[i][0], 1, 1, 1, 1);
        path = write_checkpoint(folder, table);
        for (W2wModelPart part = 0; part < W2W_N_MODEL_PARTS; part++) {
            g_assert_null(w2w_checkpoint_read(path, part, &error));
            assert_error(&error, W2W_ERROR_UNSUPPORTED, cases[i][0], cases[i][1]);
        }
        model_forms_remove(folder);
    }
}

static void test_channels(void)
{
    static const struct {
        gint64 n_channels;
        const char *kind;
    } cases[] = {{9, "inpainting"}, {8, "InstructPix2Pix"}, {5, "more than latents"}};

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *folder = make_folder();
        g_autoptr(GHashTable) table = w2w_weight_table_new();
        g_autofree char *path = NULL;
        g_autoptr(GError) error = NULL;

        add(table, "model.diffusion_model.input_blocks.0.0.weight", 4, 8, cases[i].n_channels, 3);
        add(table, "model.diffusion_model.out.2.weight", 4, 4, 8, 3);
        path = write_checkpoint(folder, table);
        g_assert_null(w2w_checkpoint_read(path, W2W_PART_UNET, &error));
        assert_error(&error, W2W_ERROR_UNSUPPORTED, "input_blocks.0.0.weight", cases[i].kind);
        model_forms_remove(folder);
    }
}

static void test_missing_parts(void)
{
    static const char *const prefixes[] = {
        [W2W_PART_TEXT_ENCODER] = "cond_stage_model.transformer.",
        [W2W_PART_UNET] = "model.diffusion_model.",
        [W2W_PART_VAE] = "first_stage_model.",
    };
    g_autofree char *folder = make_folder();
    g_autoptr(GHashTable) table = w2w_weight_table_new();
    g_autofree char *path = NULL;
    g_autoptr(GError) error = NULL;

    add(table, "betas", 1, 1000, 1, 1);
    path = write_checkpoint(folder, table);
    for (W2wModelPart part = 0; part < W2W_N_MODEL_PARTS; part++) {
        g_assert_null(w2w_checkpoint_read(path, part, &error));
        assert_error(&error, W2W_ERROR_FORMAT, path, prefixes[part]);
    }
    model_forms_remove(folder);
}

/* What the original's modules do not have keeps its name, so that a message can name it. */
static void test_unknown_names(void)
{
    const char *const unknown[] = {"model.diffusion_model.input_blocks.1.3.weight",
                                   "model.diffusion_model.output_blocks.999999.0.in_layers.0.bias",
                                   "model.diffusion_model.middle_block.7.weight"};
    g_autofree char *folder = make_folder();
    g_autoptr(GHashTable) table = w2w_weight_table_new();
    g_autoptr(GHashTable) unet = NULL;
    g_autofree char *path = NULL;
    g_autoptr(GError) error = NULL;

    for (guint i = 0; i < G_N_ELEMENTS(unknown); i++)
        add(table, unknown[i], 1, 1, 1, 1);
    path = write_checkpoint(folder, table);
    unet = w2w_checkpoint_read(path, W2W_PART_UNET, &error);
    g_assert_no_error(error);
    for (guint i = 0; i < G_N_ELEMENTS(unknown); i++)
        g_assert_true(g_hash_table_contains(unet, unknown[i]));
    model_forms_remove(folder);
}

/* --- settings from shapes --- */

static JsonObject *load_config(const char *folder)
{
    g_autofree char *path = g_build_filename(folder, "config.json", NULL);
    g_autoptr(GError) error = NULL;
    JsonObject *config = w2w_json_load(path, &error);

    g_assert_no_error(error);
    return config;
}

/* From the shapes alone, with those of `config`'s fields that no shape shows. */
static JsonObject *derive(const char *folder, W2wModelPart part, JsonObject *config)
{
    static const char *const hidden[] = {
        "attention_head_dim", "norm_num_groups", "act_fn",     "norm_eps",
        "downsample_padding", "sample_size",     "freq_shift", "flip_sin_to_cos",
    };
    g_autofree char *file = NULL;
    g_autoptr(GError) error = NULL;
    g_autoptr(GHashTable) arrays = w2w_part_read_weights(folder, part, &file, &error);
    JsonObject *settings;

    g_assert_no_error(error);
    settings = w2w_checkpoint_get_settings(arrays, part, file, &error);
    g_assert_no_error(error);
    for (guint i = 0; i < G_N_ELEMENTS(hidden); i++)
        if (json_object_has_member(config, hidden[i]))
            json_object_set_member(settings, hidden[i],
                                   json_node_copy(json_object_get_member(config, hidden[i])));
    return settings;
}

static void read_unet(JsonObject *settings, const char *name, W2wUnetConfig *config)
{
    g_autoptr(W2wConfig) file = w2w_config_new(settings, name);
    g_autoptr(GError) error = NULL;

    w2w_unet_config_read(file, config, &error);
    g_assert_no_error(error);
}

static void check_unet(const char *folder)
{
    g_autoptr(JsonObject) given = load_config(folder);
    g_autoptr(JsonObject) derived = derive(folder, W2W_PART_UNET, given);
    W2wUnetConfig a, b;

    read_unet(given, folder, &a);
    read_unet(derived, "what was derived", &b);
    g_assert_cmpuint(b.n_levels, ==, a.n_levels);
    for (guint i = 0; i < a.n_levels; i++) {
        const W2wUnetLevel *x = &a.level[i], *y = &b.level[i];
        const gboolean has_blocks = x->down_attention || x->up_attention ||
                                    (i == a.n_levels - 1 && a.mid == W2W_UNET_MID_CROSS_ATTENTION);

        g_assert_cmpint(y->n_channels, ==, x->n_channels);
        g_assert_cmpint(y->n_layers, ==, x->n_layers);
        g_assert_cmpint(y->down_attention, ==, x->down_attention);
        g_assert_cmpint(y->up_attention, ==, x->up_attention);
        if (has_blocks)
            g_assert_cmpint(y->n_transformer_layers, ==, x->n_transformer_layers);
        if (has_blocks && x->n_transformer_layers > 0)
            g_assert_cmpint(b.text_width, ==, a.text_width);
    }
    g_assert_cmpint(b.mid, ==, a.mid);
    g_assert_cmpint(b.n_channels, ==, a.n_channels);
    g_assert_cmpint(b.linear_projection, ==, a.linear_projection);
    g_assert_cmpint(b.conv_in_kernel, ==, a.conv_in_kernel);
    g_assert_cmpint(b.conv_out_kernel, ==, a.conv_out_kernel);
    g_assert_cmpint(b.time_width, ==, a.time_width);
}

static void read_vae(JsonObject *settings, const char *name, W2wVaeConfig *config)
{
    g_autoptr(W2wConfig) file = w2w_config_new(settings, name);
    g_autoptr(GError) error = NULL;

    w2w_vae_config_read(file, config, &error);
    g_assert_no_error(error);
}

static void check_vae(const char *folder)
{
    g_autoptr(JsonObject) given = load_config(folder);
    g_autoptr(JsonObject) derived = derive(folder, W2W_PART_VAE, given);
    W2wVaeConfig a, b;

    read_vae(given, folder, &a);
    read_vae(derived, "what was derived", &b);
    g_assert_cmpmem(b.channels, sizeof(b.channels), a.channels, sizeof(a.channels));
    g_assert_cmpint(b.n_layers, ==, a.n_layers);
    g_assert_cmpint(b.latent_channels, ==, a.latent_channels);
    g_assert_cmpint(b.mid_attention, ==, a.mid_attention);
    g_assert_cmpint(b.quant_conv, ==, a.quant_conv);
    g_assert_cmpint(b.post_quant_conv, ==, a.post_quant_conv);
}

/* Golden's model, and every structure that the other tests have. */
static void test_derived_settings(void)
{
    g_autofree char *model = w2w_golden_path("model");
    g_autofree char *unet = g_build_filename(model, "unet", NULL);
    g_autofree char *vae = g_build_filename(model, "vae", NULL);
    g_autofree char *structures =
        g_build_filename(g_getenv("W2W_TEST_SOURCE_DIR"), "models", "structures", NULL);
    g_autoptr(GDir) dir = g_dir_open(structures, 0, NULL);
    const char *name;
    guint n = 0;

    check_unet(unet);
    check_vae(vae);
    g_assert_nonnull(dir);
    while ((name = g_dir_read_name(dir)) != NULL) {
        g_autofree char *folder = g_build_filename(structures, name, NULL);

        if (!g_file_test(folder, G_FILE_TEST_IS_DIR))
            continue;
        g_test_message("%s", name);
        /* Which of two kinds of text is read no shape of equal widths shows. */
        if (g_str_has_prefix(name, "unet"))
            check_unet(folder);
        else
            check_vae(folder);
        n++;
    }
    g_assert_cmpuint(n, >, 10);
}

/* CLIP ViT-L/14's, which real checkpoints have; and one that cannot be guessed. */
static void test_text_settings(void)
{
    g_autoptr(GHashTable) table = w2w_weight_table_new();
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonObject) settings = NULL;

    add(table, "text_model.embeddings.token_embedding.weight", 2, 49408, 768, 1);
    add(table, "text_model.embeddings.position_embedding.weight", 2, 77, 768, 1);
    for (guint i = 0; i < 12; i++) {
        g_autofree char *name = g_strdup_printf("text_model.encoder.layers.%u.mlp.fc1.weight", i);

        add(table, name, 2, 3072, 768, 1);
    }
    settings = w2w_checkpoint_get_settings(table, W2W_PART_TEXT_ENCODER, "x", &error);
    g_assert_no_error(error);
    g_assert_cmpint(json_object_get_int_member(settings, "num_attention_heads"), ==, 12);
    g_assert_cmpint(json_object_get_int_member(settings, "num_hidden_layers"), ==, 12);
    g_assert_cmpint(json_object_get_int_member(settings, "intermediate_size"), ==, 3072);
    g_assert_cmpint(json_object_get_int_member(settings, "vocab_size"), ==, 49408);
    g_assert_cmpint(json_object_get_int_member(settings, "max_position_embeddings"), ==, 77);

    add(table, "text_model.embeddings.token_embedding.weight", 2, 49408, 50, 1);
    g_assert_null(w2w_checkpoint_get_settings(table, W2W_PART_TEXT_ENCODER, "x.ckpt", &error));
    assert_error(&error, W2W_ERROR_UNSUPPORTED, "x.ckpt", "text_encoder/config.json");
}

/* --- what lies around weights --- */

static void test_training(gconstpointer data)
{
    g_autofree char *path = g_test_build_filename(G_TEST_DIST, data, NULL);
    g_autoptr(GHashTable) table = w2w_weight_table_new();
    g_autoptr(GError) error = NULL;
    const W2wArray *weight;

    w2w_weight_table_add_file(table, path, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(g_hash_table_size(table), ==, 2);
    weight = g_hash_table_lookup(table, "weight");
    g_assert_cmpint(weight->dtype, ==, W2W_DTYPE_F16);
    for (gint64 i = 0; i < 6; i++)
        g_assert_cmpfloat(w2w_array_get(weight, i), ==, i);
    g_assert_cmpfloat(w2w_array_get(g_hash_table_lookup(table, "logit_scale"), 0), ==, 4.5);
}

static void test_no_dictionary(void)
{
    const gint64 shape[] = {1};
    const float one = 1.0f;
    g_autoptr(W2wArray) array = w2w_array_new_f32(1, shape, &one, NULL);
    g_autoptr(GBytes) bytes = w2w_pt_write_array(array, NULL);
    g_autofree char *folder = make_folder();
    g_autofree char *path = g_build_filename(folder, "tensor.ckpt", NULL);
    g_autoptr(GHashTable) table = w2w_weight_table_new();
    g_autoptr(GError) error = NULL;

    g_file_set_contents(path, g_bytes_get_data(bytes, NULL), (gssize)g_bytes_get_size(bytes),
                        &error);
    g_assert_no_error(error);
    g_assert_false(w2w_weight_table_add_file(table, path, &error));
    assert_error(&error, W2W_ERROR_FORMAT, path, "dictionary");
    model_forms_remove(folder);
}

/* --- indices --- */

static void test_indices(void)
{
    static const struct {
        const char *index;
        gint code;
        const char *part;
    } cases[] = {
        {"{\"weight_map\": {\"a\": \"x.safetensors\"}}", W2W_ERROR_FILE, "x.safetensors"},
        {"{\"weight_map\": {\"a\": \"../some.ckpt\"}}", W2W_ERROR_FORMAT, "../some.ckpt"},
        {"{\"weight_map\": {\"a\": \"/etc/passwd\"}}", W2W_ERROR_FORMAT, "/etc/passwd"},
        {"{\"weight_map\": {\"a\": \"some.ckpt\", \"b\": \"some.ckpt\"}}", W2W_ERROR_FORMAT, "“b”"},
        {"{\"weight_map\": {\"a\": 3}}", W2W_ERROR_FORMAT, "“a”"},
        {"{\"weight_map\": []}", W2W_ERROR_FORMAT, "weight_map"},
        {"{}", W2W_ERROR_FORMAT, "weight_map"},
    };
    g_autofree char *folder = make_folder();
    g_autofree char *index = g_build_filename(folder, "model.safetensors.index.json", NULL);
    g_autoptr(GHashTable) table = w2w_weight_table_new();
    g_autofree char *shard = NULL;

    add(table, "a", 1, 1, 1, 1);
    shard = write_checkpoint(folder, table);
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *file = NULL;
        g_autoptr(GError) error = NULL;

        g_file_set_contents(index, cases[i].index, -1, &error);
        g_assert_no_error(error);
        g_assert_null(w2w_weight_folder_read(folder, &file, &error));
        assert_error(&error, cases[i].code, index, cases[i].part);
    }
    model_forms_remove(folder);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/checkpoint/other_kinds_are_named", test_other_kinds);
    g_test_add_func("/checkpoint/unets_of_more_channels_are_named", test_channels);
    g_test_add_func("/checkpoint/missing_parts_are_named", test_missing_parts);
    g_test_add_func("/checkpoint/unknown_modules_keep_their_names", test_unknown_names);
    g_test_add_func("/checkpoint/settings_follow_from_shapes", test_derived_settings);
    g_test_add_func("/checkpoint/settings_of_text_encoders", test_text_settings);
    g_test_add_data_func("/checkpoint/a_training_around_the_weights", "lightning.ckpt",
                         test_training);
    g_test_add_data_func("/checkpoint/a_training_in_the_older_format", "lightning_legacy.ckpt",
                         test_training);
    g_test_add_func("/checkpoint/a_tensor_is_no_checkpoint", test_no_dictionary);
    g_test_add_func("/checkpoint/indices_are_checked", test_indices);
    return g_test_run();
}

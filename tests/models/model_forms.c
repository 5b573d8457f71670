/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A model, written in many forms. */
#include "tests/models/model_forms.h"

#include <glib/gstdio.h>
#include <string.h>

#include "engine/formats/json.h"
#include "engine/formats/json_writer.h"
#include "engine/formats/pt_writer.h"
#include "engine/formats/safetensors.h"
#include "engine/models/weight_folder.h"
#include "tests/models/model_names.h"

static void check(GError *error)
{
    if (error != NULL)
        g_error("%s", error->message);
}

/* --- the source --- */

ModelSource *model_source_new(const char *folder)
{
    ModelSource *source = g_new0(ModelSource, 1);

    source->folder = g_strdup(folder);
    for (W2wModelPart part = 0; part < W2W_N_MODEL_PARTS; part++) {
        g_autofree char *directory = g_build_filename(folder, w2w_model_part_names[part], NULL);
        g_autofree char *path = NULL;
        GError *error = NULL;

        source->part[part] = w2w_weight_folder_read(directory, &path, &error);
        check(error);
    }
    return source;
}

void model_source_free(ModelSource *source)
{
    for (W2wModelPart part = 0; part < W2W_N_MODEL_PARTS; part++)
        g_hash_table_unref(source->part[part]);
    g_free(source->folder);
    g_free(source);
}

static guint16 to_bf16(float value)
{
    guint32 bits;

    memcpy(&bits, &value, sizeof(bits));
    return (guint16)((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

static W2wArray *convert(W2wArray *array, W2wDType dtype)
{
    const gsize n = (gsize)array->n_elements, n_bytes = n * w2w_dtype_size(dtype);
    g_autofree double *values = g_new(double, n);
    char *out = g_malloc(n_bytes);
    g_autoptr(GBytes) bytes = NULL;
    W2wArray *converted;

    w2w_array_to_f64(array, values);
    for (gsize i = 0; i < n; i++) {
        const float single = (float)values[i];
        const guint16 half = dtype == W2W_DTYPE_BF16 ? to_bf16(single) : w2w_f32_to_f16(single);

        if (dtype == W2W_DTYPE_F64)
            memcpy(out + i * sizeof(double), &values[i], sizeof(double));
        else if (dtype == W2W_DTYPE_F32)
            memcpy(out + i * sizeof(float), &single, sizeof(float));
        else
            memcpy(out + i * sizeof(half), &half, sizeof(half));
    }
    bytes = g_bytes_new_take(out, n_bytes);
    converted =
        w2w_array_new_view(dtype, array->n_dims, array->shape, NULL, bytes, 0, "A weight", NULL);
    g_assert_nonnull(converted);
    return converted;
}

GHashTable *model_forms_convert(GHashTable *table, W2wDType dtype)
{
    GHashTable *converted = w2w_weight_table_new();
    GHashTableIter iter;
    gpointer name, array;

    g_hash_table_iter_init(&iter, table);
    while (g_hash_table_iter_next(&iter, &name, &array))
        g_hash_table_insert(converted, g_strdup(name), convert(array, dtype));
    return converted;
}

/* --- files --- */

static void write_safetensors(GHashTable *table, const char *path)
{
    g_autoptr(W2wSafetensorsWriter) writer = w2w_safetensors_writer_new();
    g_autoptr(GPtrArray) names = w2w_weight_table_get_names(table);
    GError *error = NULL;

    for (guint i = 0; i < names->len; i++)
        w2w_safetensors_writer_add(writer, names->pdata[i],
                                   g_hash_table_lookup(table, names->pdata[i]));
    w2w_safetensors_writer_save(writer, path, &error);
    check(error);
}

static void add_all(W2wPtWriter *writer, GHashTable *table)
{
    g_autoptr(GPtrArray) names = w2w_weight_table_get_names(table);

    for (guint i = 0; i < names->len; i++)
        w2w_pt_writer_add(writer, names->pdata[i], g_hash_table_lookup(table, names->pdata[i]));
}

static void write_bin(GHashTable *table, const char *path)
{
    g_autoptr(W2wPtWriter) writer = w2w_pt_writer_new();
    GError *error = NULL;

    add_all(writer, table);
    w2w_pt_writer_save(writer, path, &error);
    check(error);
}

static void write_table(GHashTable *table, const char *path)
{
    if (g_str_has_suffix(path, ".safetensors"))
        write_safetensors(table, path);
    else
        write_bin(table, path);
}

/* As torch.save({"state_dict": …, "global_step": …}) of a training writes it. */
static void write_training(GHashTable *table, const char *path)
{
    g_autoptr(W2wPtWriter) writer = w2w_pt_writer_new();
    GError *error = NULL;

    w2w_pt_writer_add_int(writer, "epoch", 6);
    w2w_pt_writer_add_int(writer, "global_step", 470000);
    w2w_pt_writer_begin_dict(writer, "state_dict");
    add_all(writer, table);
    w2w_pt_writer_end_dict(writer);
    w2w_pt_writer_begin_dict(writer, "lr_schedulers");
    w2w_pt_writer_add_int(writer, "last_epoch", 470000);
    w2w_pt_writer_end_dict(writer);
    w2w_pt_writer_save(writer, path, &error);
    check(error);
}

/* --- folders --- */

/* `sparse`: null where diffusers wrote null, and nothing where it wrote the default null. */
static void write_config(const ModelSource *source, W2wModelPart part, const char *out,
                         gboolean sparse)
{
    const char *name = w2w_model_part_names[part];
    g_autofree char *from = g_build_filename(source->folder, name, "config.json", NULL);
    g_autofree char *directory = g_build_filename(out, name, NULL);
    g_autofree char *to = g_build_filename(directory, "config.json", NULL);
    GError *error = NULL;
    g_autoptr(JsonObject) config = w2w_json_load(from, &error);
    g_autofree char *text = NULL;

    check(error);
    if (sparse) {
        g_autoptr(GList) members = json_object_get_members(config);

        for (GList *l = members; l != NULL; l = l->next)
            if (JSON_NODE_HOLDS_NULL(json_object_get_member(config, l->data)))
                json_object_remove_member(config, l->data);
        if (part == W2W_PART_UNET)
            json_object_set_null_member(config, "upcast_attention");
    }
    text = w2w_json_write_object(config);
    g_mkdir_with_parents(directory, 0777);
    g_file_set_contents(to, text, -1, &error);
    check(error);
}

static void write_configs(const ModelSource *source, const char *out, gboolean sparse)
{
    for (W2wModelPart part = 0; part < W2W_N_MODEL_PARTS; part++)
        write_config(source, part, out, sparse);
}

/* `ending`: behind each library's own name for a file of weights. */
static char *part_path(W2wModelPart part, const char *out, const char *ending)
{
    const char *name = part != W2W_PART_TEXT_ENCODER            ? "diffusion_pytorch_model"
                       : strstr(ending, ".safetensors") != NULL ? "model"
                                                                : "pytorch_model";
    g_autofree char *file = g_strconcat(name, ending, NULL);

    return g_build_filename(out, w2w_model_part_names[part], file, NULL);
}

static void write_folder(const ModelSource *source, const char *out, const char *ending,
                         W2wDType dtype)
{
    write_configs(source, out, FALSE);
    for (W2wModelPart part = 0; part < W2W_N_MODEL_PARTS; part++) {
        g_autoptr(GHashTable) table = model_forms_convert(source->part[part], dtype);
        g_autofree char *path = part_path(part, out, ending);

        write_table(table, path);
    }
}

static void write_today(const ModelSource *source, const char *out)
{
    write_folder(source, out, ".safetensors", W2W_DTYPE_F16);
}

static void write_f32(const ModelSource *source, const char *out)
{
    write_folder(source, out, ".safetensors", W2W_DTYPE_F32);
}

static void write_f64(const ModelSource *source, const char *out)
{
    write_folder(source, out, ".bin", W2W_DTYPE_F64);
}

static void write_bf16(const ModelSource *source, const char *out)
{
    write_folder(source, out, ".safetensors", W2W_DTYPE_BF16);
}

static void write_fp16(const ModelSource *source, const char *out)
{
    write_folder(source, out, ".fp16.safetensors", W2W_DTYPE_F16);
}

static void write_fp16_bin(const ModelSource *source, const char *out)
{
    write_folder(source, out, ".fp16.bin", W2W_DTYPE_F16);
}

static void write_bins(const ModelSource *source, const char *out)
{
    write_folder(source, out, ".bin", W2W_DTYPE_F16);
}

static void write_old(const ModelSource *source, const char *out, ModelNames names)
{
    write_configs(source, out, TRUE);
    for (W2wModelPart part = 0; part < W2W_N_MODEL_PARTS; part++) {
        g_autoptr(GHashTable) table = model_names_of(source->part[part], part, names);
        g_autofree char *path = part_path(part, out, ".bin");

        write_table(table, path);
    }
}

static void write_old_names(const ModelSource *source, const char *out)
{
    write_old(source, out, MODEL_NAMES_OLD);
}

static void write_old_convolutions(const ModelSource *source, const char *out)
{
    write_old(source, out, MODEL_NAMES_OLD_CONV);
}

static void write_old_text(const ModelSource *source, const char *out)
{
    write_old(source, out, MODEL_NAMES_OLD_TEXT);
}

/* Every other weight in the other file. */
static void write_shards(const ModelSource *source, const char *out, const char *ending)
{
    write_configs(source, out, FALSE);
    for (W2wModelPart part = 0; part < W2W_N_MODEL_PARTS; part++) {
        g_autoptr(GPtrArray) names = w2w_weight_table_get_names(source->part[part]);
        g_autoptr(JsonObject) index = json_object_new();
        JsonObject *map = json_object_new();
        g_autofree char *index_ending = g_strconcat(ending, ".index.json", NULL);
        g_autofree char *index_path = part_path(part, out, index_ending);
        g_autofree char *text = NULL;
        GError *error = NULL;

        for (guint shard = 0; shard < 2; shard++) {
            g_autoptr(GHashTable) table = w2w_weight_table_new();
            g_autofree char *shard_ending = g_strdup_printf("-%05u-of-00002%s", shard + 1, ending);
            g_autofree char *path = part_path(part, out, shard_ending);
            g_autofree char *name = g_path_get_basename(path);

            for (guint i = shard; i < names->len; i += 2) {
                W2wArray *array = g_hash_table_lookup(source->part[part], names->pdata[i]);

                g_hash_table_insert(table, g_strdup(names->pdata[i]), w2w_array_ref(array));
                json_object_set_string_member(map, names->pdata[i], name);
            }
            write_table(table, path);
        }
        json_object_set_object_member(index, "metadata", json_object_new());
        json_object_set_object_member(index, "weight_map", map);
        text = w2w_json_write_object(index);
        g_file_set_contents(index_path, text, -1, &error);
        check(error);
    }
}

static void write_safetensors_shards(const ModelSource *source, const char *out)
{
    write_shards(source, out, ".safetensors");
}

static void write_bin_shards(const ModelSource *source, const char *out)
{
    write_shards(source, out, ".bin");
}

/* --- checkpoints --- */

static void add_table(GHashTable *table, GHashTable *more)
{
    GHashTableIter iter;
    gpointer name, array;

    g_hash_table_iter_init(&iter, more);
    while (g_hash_table_iter_next(&iter, &name, &array))
        g_hash_table_insert(table, g_strdup(name), w2w_array_ref(array));
}

/* What lies beside the weights in real checkpoints. */
static void add_schedule(GHashTable *table)
{
    const float betas[] = {0.00085f, 0.00085547f};
    const gint64 shape[] = {2};
    g_autoptr(W2wArray) array = w2w_array_new_f32(1, shape, betas, NULL);

    g_hash_table_insert(table, g_strdup("betas"), w2w_array_ref(array));
    g_hash_table_insert(table, g_strdup("alphas_cumprod"), w2w_array_ref(array));
    g_hash_table_insert(table, g_strdup("first_stage_model.loss.logvar"), w2w_array_ref(array));
}

static W2wArray *make_zeros(const W2wArray *array)
{
    const gsize n_bytes = (gsize)array->n_elements * w2w_dtype_size(array->dtype);
    g_autoptr(GBytes) bytes = g_bytes_new_take(g_malloc0(n_bytes), n_bytes);

    return w2w_array_new_view(array->dtype, array->n_dims, array->shape, NULL, bytes, 0, "Zeros",
                              NULL);
}

/* The UNet's weights under their flat names; `other`: with other numbers. */
static void add_ema(GHashTable *table, GHashTable *unet, gboolean other)
{
    const gint64 one[] = {1};
    const float decay = 0.9999f;
    g_autoptr(W2wArray) decay_array = w2w_array_new_f32(0, one, &decay, NULL);
    GHashTableIter iter;
    gpointer name, array;

    g_hash_table_iter_init(&iter, unet);
    while (g_hash_table_iter_next(&iter, &name, &array)) {
        g_auto(GStrv) parts = g_strsplit((const char *)name + strlen("model."), ".", -1);
        g_autofree char *flat = g_strjoinv("", parts);

        g_hash_table_insert(table, g_strconcat("model_ema.", flat, NULL),
                            other ? make_zeros(array) : w2w_array_ref(array));
    }
    g_hash_table_insert(table, g_strdup("model_ema.decay"), w2w_array_ref(decay_array));
}

enum {
    WITH_UNET = 1 << 0,
    WITH_VAE = 1 << 1,
    WITH_EMA = 1 << 2,
};

/* The settings that no array shows lie beside the file, in model/. */
static GHashTable *make_checkpoint(const ModelSource *source, const char *out, ModelNames names,
                                   guint with)
{
    g_autofree char *settings = g_build_filename(out, "model", NULL);
    g_autoptr(GHashTable) unet = model_names_of(source->part[W2W_PART_UNET], W2W_PART_UNET, names);
    g_autoptr(GHashTable) vae = model_names_of(source->part[W2W_PART_VAE], W2W_PART_VAE, names);
    g_autoptr(GHashTable) text =
        model_names_of(source->part[W2W_PART_TEXT_ENCODER], W2W_PART_TEXT_ENCODER, names);
    GHashTable *all = w2w_weight_table_new();

    write_configs(source, settings, FALSE);
    add_schedule(all);
    add_table(all, text);
    if (with & WITH_UNET)
        add_table(all, unet);
    if (with & WITH_VAE)
        add_table(all, vae);
    if (with & WITH_EMA)
        add_ema(all, unet, (with & WITH_UNET) != 0);
    return all;
}

static void write_ldm(const ModelSource *source, const char *out)
{
    g_autoptr(GHashTable) all = make_checkpoint(source, out, MODEL_NAMES_LDM, WITH_UNET | WITH_VAE);
    g_autofree char *path = g_build_filename(out, "model.safetensors", NULL);

    write_safetensors(all, path);
}

static void write_ckpt(const ModelSource *source, const char *out)
{
    g_autoptr(GHashTable) all = make_checkpoint(source, out, MODEL_NAMES_LDM, WITH_UNET | WITH_VAE);
    g_autofree char *path = g_build_filename(out, "model.ckpt", NULL);

    write_training(all, path);
}

static void write_bare_ckpt(const ModelSource *source, const char *out)
{
    g_autoptr(GHashTable) all =
        make_checkpoint(source, out, MODEL_NAMES_LDM_OLD_TEXT, WITH_UNET | WITH_VAE);
    g_autofree char *path = g_build_filename(out, "model.ckpt", NULL);

    write_bin(all, path);
}

static void write_ema(const ModelSource *source, const char *out)
{
    g_autoptr(GHashTable) all =
        make_checkpoint(source, out, MODEL_NAMES_LDM, WITH_UNET | WITH_VAE | WITH_EMA);
    g_autofree char *path = g_build_filename(out, "model.ckpt", NULL);

    write_training(all, path);
}

static void write_ema_alone(const ModelSource *source, const char *out)
{
    g_autoptr(GHashTable) all = make_checkpoint(source, out, MODEL_NAMES_LDM, WITH_VAE | WITH_EMA);
    g_autofree char *path = g_build_filename(out, "model.safetensors", NULL);

    write_safetensors(all, path);
}

static void write_without_vae(const ModelSource *source, const char *out)
{
    g_autoptr(GHashTable) all = make_checkpoint(source, out, MODEL_NAMES_LDM, WITH_UNET);
    g_autofree char *path = g_build_filename(out, "model.safetensors", NULL);

    write_safetensors(all, path);
}

const ModelForm model_forms[] = {
    {"today", W2W_DTYPE_F16, FALSE, NULL, write_today},
    {"f32", W2W_DTYPE_F32, FALSE, NULL, write_f32},
    {"f64_bin", W2W_DTYPE_F64, FALSE, NULL, write_f64},
    {"bf16", W2W_DTYPE_BF16, FALSE, NULL, write_bf16},
    {"fp16_variant", W2W_DTYPE_F16, FALSE, NULL, write_fp16},
    {"fp16_variant_bin", W2W_DTYPE_F16, FALSE, NULL, write_fp16_bin},
    {"bin", W2W_DTYPE_F16, FALSE, NULL, write_bins},
    {"bin_of_old_names", W2W_DTYPE_F16, FALSE, NULL, write_old_names},
    {"bin_of_old_names_with_convolutions", W2W_DTYPE_F16, FALSE, NULL, write_old_convolutions},
    {"bin_without_text_model", W2W_DTYPE_F16, FALSE, NULL, write_old_text},
    {"safetensors_shards", W2W_DTYPE_F16, FALSE, NULL, write_safetensors_shards},
    {"bin_shards", W2W_DTYPE_F16, FALSE, NULL, write_bin_shards},
    {"checkpoint", W2W_DTYPE_F16, TRUE, NULL, write_ldm},
    {"checkpoint_of_a_training", W2W_DTYPE_F16, TRUE, NULL, write_ckpt},
    {"checkpoint_without_state_dict", W2W_DTYPE_F16, TRUE, NULL, write_bare_ckpt},
    {"checkpoint_with_average", W2W_DTYPE_F16, TRUE, NULL, write_ema},
    {"checkpoint_with_average_alone", W2W_DTYPE_F16, TRUE, NULL, write_ema_alone},
    {"checkpoint_without_vae", W2W_DTYPE_F16, TRUE, "VAE", write_without_vae},
    {NULL, 0, FALSE, NULL, NULL},
};

char *model_forms_get_path(const ModelForm *form, const char *out)
{
    g_autofree char *path = g_build_filename(out, "model.ckpt", NULL);

    if (!form->is_file)
        return g_strdup(out);
    return g_file_test(path, G_FILE_TEST_EXISTS) ? g_steal_pointer(&path)
                                                 : g_build_filename(out, "model.safetensors", NULL);
}

void model_forms_remove(const char *path)
{
    g_autoptr(GDir) dir =
        g_file_test(path, G_FILE_TEST_IS_SYMLINK) ? NULL : g_dir_open(path, 0, NULL);
    const char *name;

    while (dir != NULL && (name = g_dir_read_name(dir)) != NULL) {
        g_autofree char *inside = g_build_filename(path, name, NULL);

        model_forms_remove(inside);
    }
    g_remove(path);
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* From named tensors to modules: factors are paired, checked against each other, and get a scale.
 */
#include "engine/w2w/lora_file.h"

#include <math.h>
#include <string.h>

#include "engine/error.h"
#include "engine/memory.h"
#include "engine/w2w/lora_config.h"
#include "engine/w2w/lora_tensors.h"

/* weights2weights trains all of its identities with this alpha. */
#define UPSTREAM_ALPHA 27.0
#define MAX_ALPHA      1e6

/* A module while its parts are being found. */
typedef struct {
    W2wLoraModule *module;
    const char *key; /* the first of them, for messages */
    double alpha;
    gboolean has_alpha;
} Draft;

typedef struct {
    W2wLoraTensors *tensors;
    W2wLora *lora;
    GArray *drafts;
    GHashTable *by_path; /* "t" or "u" and the path → index + 1 */
    gboolean has_format; /* lora->format and adapter are known */
    char *adapter;
    W2wLoraConfig *unet_config, *text_config; /* NULL: alpha / rank */
} Reader;

static void free_module(gpointer data)
{
    W2wLoraModule *module = data;

    g_free(module->path);
    g_clear_pointer(&module->a, w2w_array_unref);
    g_clear_pointer(&module->b, w2w_array_unref);
    g_free(module);
}

void w2w_lora_free(W2wLora *lora)
{
    if (lora == NULL)
        return;
    g_free(lora->source);
    g_ptr_array_unref(lora->modules);
    g_free(lora);
}

G_GNUC_PRINTF(4, 5)
static gboolean fail(const Reader *reader, W2wError code, GError **error, const char *format, ...)
{
    va_list arguments;
    g_autofree char *detail = NULL;

    va_start(arguments, format);
    detail = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    g_set_error(error, W2W_ERROR, code, "%s %s", reader->tensors->path, detail);
    return FALSE;
}

static gboolean refuse_key(const Reader *reader, const char *key, GError **error)
{
    static const struct {
        const char *part, *what;
    } kinds[] = {
        {"hada_", "a LoHa"},
        {"lokr_", "a LoKr"},
        {"dora_scale", "a DoRA"},
        {"lora_magnitude_vector", "a DoRA"},
        {"lora_mid", "a LoRA of three factors (Tucker)"},
        {"oft_", "an OFT"},
        {"ia3_", "an IA³"},
        {"glora", "a GLoRA"},
        {"lora_te2_", "a LoRA for Stable Diffusion XL"},
        {"text_encoder_2.", "a LoRA for Stable Diffusion XL"},
        {"modules_to_save", "whole weights beside a LoRA"},
        {".bias", "a LoRA with biases"},
        {".diff", "whole weights, no LoRA"},
    };

    for (guint i = 0; i < G_N_ELEMENTS(kinds); i++)
        if (strstr(key, kinds[i].part) != NULL)
            return fail(reader, W2W_ERROR_UNSUPPORTED, error,
                        "holds %s (“%s”), which is not supported.", kinds[i].what, key);
    return fail(reader, W2W_ERROR_UNSUPPORTED, error,
                "has the key “%s”, which names no part of a LoRA that is known here.", key);
}

static Draft *get_draft(Reader *reader, const W2wLoraKey *key, const char *name, GError **error)
{
    g_autofree char *id = g_strconcat(key->in_text_encoder ? "t" : "u", key->path, NULL);
    const guint found = GPOINTER_TO_UINT(g_hash_table_lookup(reader->by_path, id));
    Draft draft = {.key = name};

    if (found > 0)
        return &g_array_index(reader->drafts, Draft, found - 1);
    if (reader->drafts->len == W2W_LORA_MAX_MODULES) {
        fail(reader, W2W_ERROR_UNSUPPORTED, error,
             "has more than the %d modules that are supported.", W2W_LORA_MAX_MODULES);
        return NULL;
    }
    draft.module = g_new0(W2wLoraModule, 1);
    draft.module->path = g_strdup(key->path);
    draft.module->in_text_encoder = key->in_text_encoder;
    g_ptr_array_add(reader->lora->modules, draft.module);
    g_array_append_val(reader->drafts, draft);
    g_hash_table_insert(reader->by_path, g_steal_pointer(&id),
                        GUINT_TO_POINTER(reader->drafts->len));
    return &g_array_index(reader->drafts, Draft, reader->drafts->len - 1);
}

/* One file is one LoRA in one tool's names. */
static gboolean check_kin(Reader *reader, const W2wLoraKey *key, const char *name, GError **error)
{
    /* "….alpha" looks the same everywhere. */
    if (key->part == W2W_LORA_PART_ALPHA)
        return TRUE;
    if (!reader->has_format) {
        reader->has_format = TRUE;
        reader->lora->format = key->format;
        reader->adapter = g_strdup(key->adapter);
        return TRUE;
    }
    if (key->format != reader->lora->format)
        return fail(reader, W2W_ERROR_FORMAT, error,
                    "mixes the names of %s and %s (“%s”), which no tool does.",
                    w2w_lora_format_names[reader->lora->format], w2w_lora_format_names[key->format],
                    name);
    if (g_strcmp0(key->adapter, reader->adapter) != 0)
        return fail(reader, W2W_ERROR_UNSUPPORTED, error,
                    "holds more than one adapter, “%s” and “%s” (“%s”).",
                    reader->adapter != NULL ? reader->adapter : "",
                    key->adapter != NULL ? key->adapter : "", name);
    return TRUE;
}

static gboolean take_alpha(const Reader *reader, Draft *draft, const W2wLoraTensor *tensor,
                           GError **error)
{
    if (draft->has_alpha)
        return fail(reader, W2W_ERROR_FORMAT, error, "names the alpha of %s twice (“%s”).",
                    draft->module->path, tensor->key);
    if (tensor->array->n_elements != 1)
        return fail(reader, W2W_ERROR_FORMAT, error, "has “%s” with more or less than one number.",
                    tensor->key);
    draft->alpha = w2w_array_get(tensor->array, 0);
    if (!(fabs(draft->alpha) <= MAX_ALPHA))
        return fail(reader, W2W_ERROR_FORMAT, error,
                    "has “%s” with %g; a number of at most a million was expected.", tensor->key,
                    draft->alpha);
    draft->has_alpha = TRUE;
    return TRUE;
}

static gboolean is_finite(const W2wArray *array, gboolean *finite, GError **error)
{
    W2W_AUTO_ALIGNED float *values =
        w2w_aligned_alloc((gsize)array->n_elements, sizeof *values, "a LoRA's factor", error);

    if (values == NULL)
        return FALSE;
    w2w_array_to_f32(array, values);
    *finite = TRUE;
    for (gint64 i = 0; i < array->n_elements && *finite; i++)
        *finite = isfinite(values[i]);
    return TRUE;
}

static gboolean take_factor(const Reader *reader, Draft *draft, const W2wLoraTensor *tensor,
                            gboolean is_b, GError **error)
{
    W2wArray **place = is_b ? &draft->module->b : &draft->module->a;
    const W2wArray *array = tensor->array;
    const gint64 rank = array->n_dims > 1 ? array->shape[is_b ? 1 : 0] : 0;
    g_autofree char *shape = w2w_array_shape_to_string(array);
    gboolean finite;

    if (*place != NULL)
        return fail(reader, W2W_ERROR_FORMAT, error, "names factor %c of %s twice (“%s”).",
                    is_b ? 'B' : 'A', draft->module->path, tensor->key);
    if (!w2w_dtype_is_float(array->dtype))
        return fail(reader, W2W_ERROR_FORMAT, error,
                    "holds %s numbers in “%s”; floating point was expected.",
                    w2w_dtype_name(array->dtype), tensor->key);
    if ((array->n_dims != 2 && array->n_dims != 4) || array->n_elements < 1)
        return fail(reader, W2W_ERROR_FORMAT, error,
                    "has “%s” of shape %s; a matrix or a convolution's four sizes were expected.",
                    tensor->key, shape);
    if (rank > W2W_LORA_MAX_RANK)
        return fail(reader, W2W_ERROR_UNSUPPORTED, error,
                    "has “%s” of shape %s; ranks up to %d are supported.", tensor->key, shape,
                    W2W_LORA_MAX_RANK);
    if (is_b && array->n_dims == 4 && (array->shape[2] != 1 || array->shape[3] != 1))
        return fail(reader, W2W_ERROR_FORMAT, error,
                    "has “%s” of shape %s; a convolution's second factor is 1×1.", tensor->key,
                    shape);
    if (!is_finite(array, &finite, error))
        return FALSE;
    if (!finite)
        return fail(reader, W2W_ERROR_FORMAT, error, "holds a number in “%s” that is not finite.",
                    tensor->key);
    *place = w2w_array_ref(tensor->array);
    return TRUE;
}

static gboolean take_tensor(Reader *reader, const W2wLoraTensor *tensor, GError **error)
{
    g_auto(W2wLoraKey) key = {0};
    Draft *draft;

    if (!w2w_lora_key_read(tensor->key, &key))
        return refuse_key(reader, tensor->key, error);
    if (!check_kin(reader, &key, tensor->key, error))
        return FALSE;
    draft = get_draft(reader, &key, tensor->key, error);
    if (draft == NULL)
        return FALSE;
    return key.part == W2W_LORA_PART_ALPHA
               ? take_alpha(reader, draft, tensor, error)
               : take_factor(reader, draft, tensor, key.part == W2W_LORA_PART_B, error);
}

/* The two factors of a module fit together. */
static gboolean check_module(const Reader *reader, const Draft *draft, GError **error)
{
    W2wLoraModule *module = draft->module;
    g_autofree char *a_shape = NULL, *b_shape = NULL;
    gint64 n;

    if (module->a == NULL || module->b == NULL)
        return fail(reader, W2W_ERROR_FORMAT, error, "has “%s”, but no factor %s of %s.",
                    draft->key, module->a == NULL ? "A" : "B", module->path);
    a_shape = w2w_array_shape_to_string(module->a);
    b_shape = w2w_array_shape_to_string(module->b);
    if (module->a->n_dims != module->b->n_dims || module->a->shape[0] != module->b->shape[1])
        return fail(reader, W2W_ERROR_FORMAT, error,
                    "has factors of %s that do not fit together: A %s, B %s.", module->path,
                    a_shape, b_shape);
    module->rank = (guint)module->a->shape[0];
    if (__builtin_mul_overflow(module->b->shape[0], module->a->n_elements / module->rank, &n))
        return fail(reader, W2W_ERROR_FORMAT, error,
                    "has factors of %s for an impossibly large weight: A %s, B %s.", module->path,
                    a_shape, b_shape);
    return TRUE;
}

/* Where a file's scale is written down apart from its tensors. */
static gboolean open_configs(Reader *reader, GError **error)
{
    const W2wLoraTensors *tensors = reader->tensors;
    const W2wLoraFormat format = reader->lora->format;

    if (format == W2W_LORA_FORMAT_PEFT || format == W2W_LORA_FORMAT_UPSTREAM) {
        if (tensors->adapter == NULL && format == W2W_LORA_FORMAT_PEFT)
            return fail(reader, W2W_ERROR_FILE, error,
                        "is an adapter of PEFT, whose scale stands in adapter_config.json; there "
                        "is no %s.",
                        tensors->adapter_path);
        if (tensors->adapter == NULL)
            return TRUE;
        reader->unet_config =
            w2w_lora_config_new(tensors->adapter, "", tensors->adapter_path, error);
        return reader->unet_config != NULL;
    }
    if (format == W2W_LORA_FORMAT_DIFFUSERS && tensors->metadata != NULL) {
        g_autofree char *name = g_strdup_printf("The metadata of %s", tensors->path);

        if (json_object_has_member(tensors->metadata, "unet.r")) {
            reader->unet_config = w2w_lora_config_new(tensors->metadata, "unet.", name, error);
            if (reader->unet_config == NULL)
                return FALSE;
        }
        if (json_object_has_member(tensors->metadata, "text_encoder.r")) {
            reader->text_config =
                w2w_lora_config_new(tensors->metadata, "text_encoder.", name, error);
            if (reader->text_config == NULL)
                return FALSE;
        }
    }
    return TRUE;
}

static gboolean set_scale(const Reader *reader, const Draft *draft, GError **error)
{
    const W2wLoraFormat format = reader->lora->format;
    W2wLoraModule *module = draft->module;
    /* One adapter_config.json is for the one model that PEFT saved, whichever it is. */
    const W2wLoraConfig *config = module->in_text_encoder && format == W2W_LORA_FORMAT_DIFFUSERS
                                      ? reader->text_config
                                      : reader->unet_config;

    if (config != NULL && draft->has_alpha)
        return fail(reader, W2W_ERROR_FORMAT, error,
                    "has both an alpha for %s and a configuration that gives it one.",
                    module->path);
    if (config != NULL)
        return w2w_lora_config_get_scale(config, module->path, module->rank, &module->scale, error);
    module->scale = 1.0;
    if (format == W2W_LORA_FORMAT_UPSTREAM && !draft->has_alpha)
        module->scale = UPSTREAM_ALPHA / module->rank;
    /* kohya's loader takes an alpha of 0 for none. */
    else if (draft->has_alpha && !(format == W2W_LORA_FORMAT_KOHYA && draft->alpha == 0.0))
        module->scale = draft->alpha / module->rank;
    return TRUE;
}

static gboolean read_modules(Reader *reader, GError **error)
{
    const GArray *tensors = reader->tensors->tensors;

    if (tensors->len == 0)
        return fail(reader, W2W_ERROR_FORMAT, error, "holds no tensors.");
    for (guint i = 0; i < tensors->len; i++)
        if (!take_tensor(reader, &g_array_index(tensors, W2wLoraTensor, i), error))
            return FALSE;
    for (guint i = 0; i < reader->drafts->len; i++)
        if (!check_module(reader, &g_array_index(reader->drafts, Draft, i), error))
            return FALSE;
    if (!open_configs(reader, error))
        return FALSE;
    for (guint i = 0; i < reader->drafts->len; i++)
        if (!set_scale(reader, &g_array_index(reader->drafts, Draft, i), error))
            return FALSE;
    return TRUE;
}

W2wLora *w2w_lora_open(const char *path, GError **error)
{
    g_autoptr(W2wLoraTensors) tensors = w2w_lora_tensors_open(path, error);
    g_autoptr(W2wLora) lora = NULL;
    Reader reader = {.tensors = tensors};
    gboolean success;

    if (tensors == NULL)
        return NULL;
    lora = g_new0(W2wLora, 1);
    lora->source = g_strdup(tensors->path);
    lora->modules = g_ptr_array_new_with_free_func(free_module);
    reader.lora = lora;
    reader.drafts = g_array_new(FALSE, FALSE, sizeof(Draft));
    reader.by_path = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    success = read_modules(&reader, error);
    g_array_unref(reader.drafts);
    g_hash_table_unref(reader.by_path);
    g_free(reader.adapter);
    w2w_lora_config_free(reader.unet_config);
    w2w_lora_config_free(reader.text_config);
    return success ? g_steal_pointer(&lora) : NULL;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* CLIP's text transformer: its config.json, its weights, its graph. */
#include "engine/models/text_encoder.h"

#include <float.h>

#include "engine/error.h"
#include "engine/models/layers.h"
#include "engine/models/part_files.h"

enum {
    MAX_WIDTH = 1 << 16,
    MAX_LAYERS = 256,
    MAX_LENGTH = 1 << 16,
    MAX_VOCABULARY = 1 << 24, /* ids are exact as float32 */
    MAX_BATCH = 1024,
};

struct _W2wTextEncoder {
    gint width, inner_width; /* of tokens, of the layers' MLP */
    gint n_layers, n_heads;
    gint length;
    gint vocabulary_size;
    float eps;
    W2wActivation activation;
    W2wWeights *weights;
};

static const char *const shape_fields[] = {
    "hidden_size",       "intermediate_size",
    "num_hidden_layers", "max_position_embeddings",
    "vocab_size",        NULL,
};

static gboolean read_config(W2wConfig *file, W2wTextEncoder *encoder, GError **error)
{
    static const char *const activations[] = {"quick_gelu", "gelu", NULL};
    static const char *const types[] = {"clip_text_model", NULL};
    static const char *const architectures[] = {"CLIPTextModel", "CLIPTextModelWithProjection",
                                                NULL};
    static const char *const harmless_numbers[] = {
        "attention_dropout", /* training only, with the next */
        "dropout",           "initializer_factor", "initializer_range",
        "projection_dim", /* of the head that is not used */
        "bos_token_id",   /* often wrong; the tokenizer knows */
        "eos_token_id",      "pad_token_id",       NULL,
    };
    static const char *const dtypes[] = {"float32", "float16", "bfloat16", "float64", NULL};

    encoder->vocabulary_size = w2w_config_get_int(file, "vocab_size", 49408, 1, MAX_VOCABULARY);
    encoder->width = w2w_config_get_int(file, "hidden_size", 512, 1, MAX_WIDTH);
    encoder->inner_width = w2w_config_get_int(file, "intermediate_size", 2048, 1, MAX_WIDTH);
    encoder->n_layers = w2w_config_get_int(file, "num_hidden_layers", 12, 1, MAX_LAYERS);
    encoder->n_heads = w2w_config_get_int(file, "num_attention_heads", 8, 1, MAX_WIDTH);
    encoder->length = w2w_config_get_int(file, "max_position_embeddings", 77, 1, MAX_LENGTH);
    encoder->activation = w2w_config_get_choice(file, "hidden_act", activations, 0) == 0
                              ? W2W_ACTIVATION_QUICK_GELU
                              : W2W_ACTIVATION_GELU;
    encoder->eps = (float)w2w_config_get_number(file, "layer_norm_eps", 1e-5, 0.0, 1.0);
    w2w_config_check_divides(file, "num_attention_heads", encoder->n_heads, "hidden_size",
                             encoder->width);
    w2w_config_get_choice(file, "model_type", types, 0);
    w2w_config_require_each(file, "architectures", architectures);
    for (guint i = 0; harmless_numbers[i] != NULL; i++)
        w2w_config_ignore(file, harmless_numbers[i], W2W_CONFIG_NUMBER | W2W_CONFIG_NULL);
    w2w_config_ignore(file, "transformers_version", W2W_CONFIG_STRING | W2W_CONFIG_NULL);
    w2w_config_get_optional_choice(file, "dtype", dtypes, 0); /* of weights; arrays say it too */
    w2w_config_get_optional_choice(file, "torch_dtype", dtypes, 0);
    w2w_config_get_number(file, "initializer_factor", 1.0, 0.0, FLT_MAX); /* before training */
    w2w_config_get_number(file, "initializer_range", 0.02, 0.0, FLT_MAX);
    w2w_config_ignore(file, "gradient_checkpointing", W2W_CONFIG_SWITCH | W2W_CONFIG_NULL);
    return w2w_config_check(file, error);
}

/* --- recording --- */

static W2wTensor *record_attention(const W2wTextEncoder *encoder, W2wRecorder *recorder,
                                   W2wTensor *x, const char *layer)
{
    const gint width = encoder->width;
    g_autofree char *path = w2w_module_path(layer, "self_attn");
    W2wTensor *query = w2w_layer_linear(recorder, x, path, "q_proj", width, W2W_LINEAR_PLAIN);
    W2wTensor *key = w2w_layer_linear(recorder, x, path, "k_proj", width, W2W_LINEAR_PLAIN);
    W2wTensor *value = w2w_layer_linear(recorder, x, path, "v_proj", width, W2W_LINEAR_PLAIN);
    W2wTensor *h = w2w_attention(recorder->graph, query, key, value, encoder->n_heads, TRUE);

    return w2w_layer_linear(recorder, h, path, "out_proj", width, W2W_LINEAR_PLAIN);
}

static W2wTensor *record_layer(const W2wTextEncoder *encoder, W2wRecorder *recorder, W2wTensor *x,
                               const char *layer)
{
    W2wTensor *h = w2w_layer_layer_norm(recorder, x, layer, "layer_norm1", encoder->eps);

    h = record_attention(encoder, recorder, h, layer);
    x = w2w_add(recorder->graph, h, x);
    h = w2w_layer_layer_norm(recorder, x, layer, "layer_norm2", encoder->eps);
    h = w2w_layer_linear(recorder, h, layer, "mlp.fc1", encoder->inner_width, W2W_LINEAR_PLAIN);
    h = w2w_activation(recorder->graph, h, encoder->activation);
    h = w2w_layer_linear(recorder, h, layer, "mlp.fc2", encoder->width, W2W_LINEAR_PLAIN);
    return w2w_add(recorder->graph, h, x);
}

static W2wGraph *record(const W2wTextEncoder *encoder, gint batch, gboolean inspect)
{
    W2wRecorder recorder = {.graph = w2w_graph_new(), .weights = encoder->weights};
    W2wArray *tokens =
        w2w_weights_get(recorder.weights, "text_model.embeddings.token_embedding.weight",
                        encoder->vocabulary_size, encoder->width, -1);
    W2wArray *positions =
        w2w_weights_get(recorder.weights, "text_model.embeddings.position_embedding.weight",
                        encoder->length, encoder->width, -1);
    W2wTensor *h =
        w2w_graph_input(recorder.graph, "input_ids", (W2wShape){batch, 1, encoder->length, 1});

    h = w2w_token_embedding(recorder.graph, h, tokens, positions);
    for (guint i = 0; i <= (guint)encoder->n_layers; i++) {
        g_autofree char *hidden = g_strdup_printf("hidden_%u", i);
        g_autofree char *layer = w2w_module_path_at("text_model.encoder", "layers", i);

        if (inspect)
            w2w_graph_output(recorder.graph, hidden, h);
        if (i < (guint)encoder->n_layers)
            h = record_layer(encoder, &recorder, h, layer);
    }
    h = w2w_layer_layer_norm(&recorder, h, "text_model", "final_layer_norm", encoder->eps);
    w2w_graph_output(recorder.graph, "text_embedding", h);
    return recorder.graph;
}

/* --- the interface --- */

W2wTextEncoder *w2w_text_encoder_open(const char *path, GError **error)
{
    g_autoptr(W2wConfig) file = NULL;
    g_autoptr(W2wTextEncoder) encoder = NULL;

    encoder = g_new0(W2wTextEncoder, 1);
    if (!w2w_part_open(path, W2W_PART_TEXT_ENCODER, &file, &encoder->weights, error) ||
        !read_config(file, encoder, error))
        return NULL;
    w2w_graph_free(record(encoder, 1, FALSE));
    if (!w2w_weights_check(encoder->weights, file, shape_fields, error))
        return NULL;
    return g_steal_pointer(&encoder);
}

void w2w_text_encoder_free(W2wTextEncoder *encoder)
{
    if (encoder == NULL)
        return;
    w2w_weights_free(encoder->weights);
    g_free(encoder);
}

gint w2w_text_encoder_get_width(const W2wTextEncoder *encoder)
{
    return encoder->width;
}

gint w2w_text_encoder_get_length(const W2wTextEncoder *encoder)
{
    return encoder->length;
}

gint w2w_text_encoder_get_vocabulary_size(const W2wTextEncoder *encoder)
{
    return encoder->vocabulary_size;
}

const char *w2w_text_encoder_get_fingerprint(W2wTextEncoder *encoder)
{
    return w2w_weights_get_fingerprint(encoder->weights);
}

gboolean w2w_text_encoder_add_weight_delta(W2wTextEncoder *encoder, const char *name,
                                           const float *delta, GError **error)
{
    return w2w_weights_add_delta(encoder->weights, name, delta, error);
}

void w2w_text_encoder_clear_weight_deltas(W2wTextEncoder *encoder)
{
    w2w_weights_clear_deltas(encoder->weights);
}

const W2wArray *w2w_text_encoder_peek_weight(const W2wTextEncoder *encoder, const char *name)
{
    return w2w_weights_peek(encoder->weights, name);
}

W2wGraph *w2w_text_encoder_record(W2wTextEncoder *encoder, gint batch, gboolean inspect,
                                  GError **error)
{
    if (batch < 1 || batch > MAX_BATCH) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_USAGE,
                    "The text encoder cannot work on %d texts at once; 1 to %d are possible.",
                    batch, MAX_BATCH);
        return NULL;
    }
    return record(encoder, batch, inspect);
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* LoRA files in every form of their keys, where their scales come from, and what is refused. */
#include <math.h>
#include <string.h>

#include "engine/error.h"
#include "engine/formats/pt_writer.h"
#include "tests/w2w/lora_files.h"
#include "tests/w2w/space_folder.h"

#define ATTENTION   "down_blocks.0.attentions.1.transformer_blocks.0.attn1"
#define TO_Q        ATTENTION ".to_q"
#define UNDERSCORED "down_blocks_0_attentions_1_transformer_blocks_0_attn1_to_q"
#define TEXT        "text_model.encoder.layers.0.self_attn"

/* A pair of factors of rank 2 for a weight (3, 4). */
#define PAIR(down, up)                                                                             \
    {                                                                                              \
        {down, 2, {2, 4}}, {up, 2, {3, 2}},                                                        \
        {                                                                                          \
            NULL                                                                                   \
        }                                                                                          \
    }
#define PAIR_WITH_ALPHA(down, up, alpha, value)                                                    \
    {                                                                                              \
        {alpha, 0, {0}, value}, {down, 2, {2, 4}}, {up, 2, {3, 2}},                                \
        {                                                                                          \
            NULL                                                                                   \
        }                                                                                          \
    }

typedef struct {
    const char *name;
    LoraTensor tensors[8];
    const char *config, *metadata;
    /* expected */
    W2wLoraFormat format;
    const char *path;
    double scale;
    gboolean in_text_encoder;
} Form;

static const Form forms[] = {
    {"peft",
     PAIR("base_model.model." TO_Q ".lora_A.weight", "base_model.model." TO_Q ".lora_B.weight"),
     "{\"peft_type\":\"LORA\",\"r\":2,\"lora_alpha\":27}", NULL, W2W_LORA_FORMAT_PEFT, TO_Q, 13.5,
     FALSE},
    {"peft-rslora",
     PAIR("base_model.model." TO_Q ".lora_A.weight", "base_model.model." TO_Q ".lora_B.weight"),
     "{\"r\":2,\"lora_alpha\":3,\"use_rslora\":true}", NULL, W2W_LORA_FORMAT_PEFT, TO_Q,
     3.0 / G_SQRT2, FALSE},
    {"peft-patterns",
     PAIR("base_model.model." TO_Q ".lora_A.weight", "base_model.model." TO_Q ".lora_B.weight"),
     "{\"r\":8,\"lora_alpha\":1,\"rank_pattern\":{\"to_k\":5,\"attn1.to_q\":2,\"to_q\":6},"
     "\"alpha_pattern\":{\"o_q\":9,\"^down_blocks.*to_[qk]\":5}}",
     NULL, W2W_LORA_FORMAT_PEFT, TO_Q, 2.5, FALSE},
    {"peft-text-encoder",
     PAIR("base_model.model." TEXT ".q_proj.lora_A.weight",
          "base_model.model." TEXT ".q_proj.lora_B.weight"),
     "{\"r\":2,\"lora_alpha\":2}", NULL, W2W_LORA_FORMAT_PEFT, TEXT ".q_proj", 1.0, TRUE},
    {"diffusers", PAIR("unet." TO_Q ".lora_A.weight", "unet." TO_Q ".lora_B.weight"), NULL, NULL,
     W2W_LORA_FORMAT_DIFFUSERS, TO_Q, 1.0, FALSE},
    {"diffusers-beside-a-stranger's-configuration",
     PAIR("unet." TO_Q ".lora_A.weight", "unet." TO_Q ".lora_B.weight"),
     "{\"r\":9,\"lora_alpha\":27}", NULL, W2W_LORA_FORMAT_DIFFUSERS, TO_Q, 1.0, FALSE},
    {"diffusers-metadata", PAIR("unet." TO_Q ".lora_A.weight", "unet." TO_Q ".lora_B.weight"), NULL,
     "{\"unet.r\":2,\"unet.lora_alpha\":7,\"text_encoder.r\":9,\"text_encoder.lora_alpha\":1}",
     W2W_LORA_FORMAT_DIFFUSERS, TO_Q, 3.5, FALSE},
    {"diffusers-alpha",
     PAIR_WITH_ALPHA("unet." TO_Q ".lora_A.weight", "unet." TO_Q ".lora_B.weight",
                     "unet." TO_Q ".alpha", 4.0f),
     NULL, NULL, W2W_LORA_FORMAT_DIFFUSERS, TO_Q, 2.0, FALSE},
    {"diffusers-lora-down", PAIR("unet." TO_Q ".lora.down.weight", "unet." TO_Q ".lora.up.weight"),
     NULL, NULL, W2W_LORA_FORMAT_DIFFUSERS, TO_Q, 1.0, FALSE},
    {"diffusers-processor",
     PAIR(ATTENTION ".processor.to_out_lora.down.weight",
          ATTENTION ".processor.to_out_lora.up.weight"),
     NULL, NULL, W2W_LORA_FORMAT_DIFFUSERS, ATTENTION ".to_out.0", 1.0, FALSE},
    {"diffusers-text-encoder",
     PAIR("text_encoder." TEXT ".out_proj.lora_linear_layer.down.weight",
          "text_encoder." TEXT ".out_proj.lora_linear_layer.up.weight"),
     NULL, "{\"text_encoder.r\":2,\"text_encoder.lora_alpha\":4}", W2W_LORA_FORMAT_DIFFUSERS,
     TEXT ".out_proj", 2.0, TRUE},
    {"diffusers-old-text-encoder",
     PAIR("text_encoder." TEXT ".to_out_lora.down.weight",
          "text_encoder." TEXT ".to_out_lora.up.weight"),
     NULL, NULL, W2W_LORA_FORMAT_DIFFUSERS, TEXT ".out_proj", 1.0, TRUE},
    {"kohya",
     PAIR_WITH_ALPHA("lora_unet_" UNDERSCORED ".lora_down.weight",
                     "lora_unet_" UNDERSCORED ".lora_up.weight", "lora_unet_" UNDERSCORED ".alpha",
                     1.0f),
     NULL, NULL, W2W_LORA_FORMAT_KOHYA, TO_Q, 0.5, FALSE},
    {"kohya-without-alpha",
     PAIR("lora_unet_" UNDERSCORED ".lora_down.weight", "lora_unet_" UNDERSCORED ".lora_up.weight"),
     NULL, NULL, W2W_LORA_FORMAT_KOHYA, TO_Q, 1.0, FALSE},
    {"kohya-alpha-0",
     PAIR_WITH_ALPHA("lora_unet_" UNDERSCORED ".lora_down.weight",
                     "lora_unet_" UNDERSCORED ".lora_up.weight", "lora_unet_" UNDERSCORED ".alpha",
                     0.0f),
     NULL, NULL, W2W_LORA_FORMAT_KOHYA, TO_Q, 1.0, FALSE},
    {"kohya-text-encoder",
     PAIR_WITH_ALPHA("lora_te_text_model_encoder_layers_0_self_attn_q_proj.lora_down.weight",
                     "lora_te_text_model_encoder_layers_0_self_attn_q_proj.lora_up.weight",
                     "lora_te_text_model_encoder_layers_0_self_attn_q_proj.alpha", 2.0f),
     NULL, NULL, W2W_LORA_FORMAT_KOHYA, TEXT ".q_proj", 1.0, TRUE},
    {"kohya-ldm-blocks",
     PAIR("lora_unet_input_blocks_2_1_transformer_blocks_0_attn1_to_q.lora_down.weight",
          "lora_unet_input_blocks_2_1_transformer_blocks_0_attn1_to_q.lora_up.weight"),
     NULL, NULL, W2W_LORA_FORMAT_KOHYA, TO_Q, 1.0, FALSE},
    {"kohya-convolution",
     {{"lora_unet_down_blocks_1_resnets_0_conv1.lora_down.weight", 4, {2, 4, 3, 3}},
      {"lora_unet_down_blocks_1_resnets_0_conv1.lora_up.weight", 4, {3, 2, 1, 1}},
      {"lora_unet_down_blocks_1_resnets_0_conv1.alpha", 0, {0}, 1.0f}},
     NULL,
     NULL,
     W2W_LORA_FORMAT_KOHYA,
     "down_blocks.1.resnets.0.conv1",
     0.5,
     FALSE},
    {"upstream-adapter-name",
     PAIR("base_model.model." TO_Q ".lora_A.identity1.weight",
          "base_model.model." TO_Q ".lora_B.identity1.weight"),
     "{\"r\":2,\"lora_alpha\":10}", NULL, W2W_LORA_FORMAT_UPSTREAM, TO_Q, 5.0, FALSE},
    {"upstream-without-configuration",
     PAIR("base_model.model." TO_Q ".lora_A.identity1.weight",
          "base_model.model." TO_Q ".lora_B.identity1.weight"),
     NULL, NULL, W2W_LORA_FORMAT_UPSTREAM, TO_Q, 13.5, FALSE},
    {"upstream-raw", PAIR("lora_unet_" TO_Q "_lora_A.weight", "lora_unet_" TO_Q "_lora_B.weight"),
     NULL, NULL, W2W_LORA_FORMAT_UPSTREAM, TO_Q, 13.5, FALSE},
    {"upstream-raw-underscored",
     PAIR("lora_unet_" UNDERSCORED "_lora_A.weight", "lora_unet_" UNDERSCORED "_lora_B.weight"),
     NULL, NULL, W2W_LORA_FORMAT_UPSTREAM, TO_Q, 13.5, FALSE},
};

/* delta against B A by the definition, in the weight's layout. */
static void check_delta(const W2wLoraModule *module, double strength)
{
    const gint64 n = w2w_lora_module_get_n_elements(module), n_in = n / module->b->shape[0];
    g_autofree float *delta = g_new(float, (gsize)n);
    g_autoptr(GError) error = NULL;

    w2w_lora_module_get_delta(module, strength, n, delta, &error);
    g_assert_no_error(error);
    for (gint64 i = 0; i < n; i++) {
        double sum = 0.0;

        for (guint r = 0; r < module->rank; r++)
            sum += w2w_array_get(module->b, i / n_in * module->rank + r) *
                   w2w_array_get(module->a, r * n_in + i % n_in);
        sum *= strength * module->scale;
        g_assert_cmpfloat(fabs(delta[i] - sum), <=, 0x1p-23 * fabs(sum));
    }
}

static void test_form(gconstpointer data)
{
    const Form *form = data;
    g_autoptr(GError) error = NULL;
    g_autoptr(W2wLora) lora = open_lora(form->tensors, form->config, form->metadata, &error);
    const W2wLoraModule *module;

    g_assert_no_error(error);
    g_assert_cmpint(lora->format, ==, form->format);
    g_assert_cmpuint(lora->modules->len, ==, 1);
    module = lora->modules->pdata[0];
    g_assert_cmpstr(module->path, ==, form->path);
    g_assert_cmpint(module->in_text_encoder, ==, form->in_text_encoder);
    g_assert_cmpuint(module->rank, ==, 2);
    g_assert_cmpfloat(fabs(module->scale - form->scale), <=, 1e-15 * form->scale);
    g_assert_cmpint(module->a->shape[0], ==, 2);
    g_assert_cmpint(module->b->shape[0], ==, 3);
    check_delta(module, 1.0);
    check_delta(module, -0.75);
}

typedef struct {
    const char *name;
    LoraTensor tensors[8];
    const char *config, *metadata;
    W2wError code;
    const char *says; /* part of the message */
} Refusal;

#define KOHYA "lora_unet_" UNDERSCORED
#define PEFT_PAIR                                                                                  \
    PAIR("base_model.model." TO_Q ".lora_A.weight", "base_model.model." TO_Q ".lora_B.weight")

static const Refusal refusals[] = {
    {"loha",
     {{KOHYA ".hada_w1_a", 2, {2, 4}}},
     NULL,
     NULL,
     W2W_ERROR_UNSUPPORTED,
     "a LoHa (“" KOHYA ".hada_w1_a”)"},
    {"lokr", {{KOHYA ".lokr_w1", 2, {2, 4}}}, NULL, NULL, W2W_ERROR_UNSUPPORTED, "a LoKr"},
    {"dora", {{KOHYA ".dora_scale", 2, {2, 4}}}, NULL, NULL, W2W_ERROR_UNSUPPORTED, "a DoRA"},
    {"dora-of-peft",
     {{"base_model.model." TO_Q ".lora_magnitude_vector.weight", 1, {4}}},
     NULL,
     NULL,
     W2W_ERROR_UNSUPPORTED,
     "a DoRA"},
    {"tucker",
     {{KOHYA ".lora_mid.weight", 4, {2, 2, 3, 3}}},
     NULL,
     NULL,
     W2W_ERROR_UNSUPPORTED,
     "three factors"},
    {"bias", {{"unet." TO_Q ".lora_B.bias", 1, {4}}}, NULL, NULL, W2W_ERROR_UNSUPPORTED, "biases"},
    {"sdxl-of-kohya",
     {{"lora_te2_text_model_encoder_layers_0_mlp_fc1.lora_down.weight", 2, {2, 4}}},
     NULL,
     NULL,
     W2W_ERROR_UNSUPPORTED,
     "Stable Diffusion XL"},
    {"sdxl-of-diffusers",
     {{"text_encoder_2." TEXT ".q_proj.lora_A.weight", 2, {2, 4}}},
     NULL,
     NULL,
     W2W_ERROR_UNSUPPORTED,
     "Stable Diffusion XL"},
    {"unknown", {{"coefficients", 1, {4}}}, NULL, NULL, W2W_ERROR_UNSUPPORTED, "“coefficients”"},
    {"no-such-ldm-block",
     {{"lora_unet_input_blocks_0_1_proj_in.lora_down.weight", 2, {2, 4}}},
     NULL,
     NULL,
     W2W_ERROR_UNSUPPORTED,
     "input_blocks_0_1_proj_in"},
    {"empty", {{NULL}}, NULL, NULL, W2W_ERROR_FORMAT, "no tensors"},
    {"only-a",
     {{"unet." TO_Q ".lora_A.weight", 2, {2, 4}}},
     NULL,
     NULL,
     W2W_ERROR_FORMAT,
     "no factor B"},
    {"only-alpha", {{KOHYA ".alpha", 0, {0}, 1.0f}}, NULL, NULL, W2W_ERROR_FORMAT, "no factor A"},
    {"ranks",
     {{"unet." TO_Q ".lora_A.weight", 2, {2, 4}}, {"unet." TO_Q ".lora_B.weight", 2, {3, 3}}},
     NULL,
     NULL,
     W2W_ERROR_FORMAT,
     "A (2, 4), B (3, 3)"},
    {"matrix-and-convolution",
     {{"unet." TO_Q ".lora_A.weight", 4, {2, 4, 1, 1}}, {"unet." TO_Q ".lora_B.weight", 2, {3, 2}}},
     NULL,
     NULL,
     W2W_ERROR_FORMAT,
     "do not fit together"},
    {"second-factor-3x3",
     {{"unet." TO_Q ".lora_A.weight", 4, {2, 4, 1, 1}},
      {"unet." TO_Q ".lora_B.weight", 4, {3, 2, 3, 3}}},
     NULL,
     NULL,
     W2W_ERROR_FORMAT,
     "1×1"},
    {"vector", {{"unet." TO_Q ".lora_A.weight", 1, {4}}}, NULL, NULL, W2W_ERROR_FORMAT, "(4)"},
    {"rank-0",
     {{"unet." TO_Q ".lora_A.weight", 2, {0, 4}}},
     NULL,
     NULL,
     W2W_ERROR_FORMAT,
     "(0, 4)"},
    {"rank-too-high",
     {{"unet." TO_Q ".lora_A.weight", 2, {W2W_LORA_MAX_RANK + 1, 4}}},
     NULL,
     NULL,
     W2W_ERROR_UNSUPPORTED,
     "ranks up to"},
    {"not-finite",
     {{"unet." TO_Q ".lora_A.weight", 2, {2, 4}, INFINITY}},
     NULL,
     NULL,
     W2W_ERROR_FORMAT,
     "not finite"},
    {"alpha-nan",
     PAIR_WITH_ALPHA(KOHYA ".lora_down.weight", KOHYA ".lora_up.weight", KOHYA ".alpha", NAN), NULL,
     NULL, W2W_ERROR_FORMAT, ".alpha”"},
    {"alpha-too-high",
     PAIR_WITH_ALPHA(KOHYA ".lora_down.weight", KOHYA ".lora_up.weight", KOHYA ".alpha", 1e30f),
     NULL, NULL, W2W_ERROR_FORMAT, "at most a million"},
    {"alpha-of-two-numbers",
     {{KOHYA ".alpha", 1, {2}}},
     NULL,
     NULL,
     W2W_ERROR_FORMAT,
     "one number"},
    {"twice-by-two-names",
     {{"lora_unet_input_blocks_2_1_transformer_blocks_0_attn1_to_q.lora_down.weight", 2, {2, 4}},
      {KOHYA ".lora_down.weight", 2, {2, 4}}},
     NULL,
     NULL,
     W2W_ERROR_FORMAT,
     "twice"},
    {"two-adapters",
     {{"base_model.model." TO_Q ".lora_A.identity1.weight", 2, {2, 4}},
      {"base_model.model." TO_Q ".lora_B.identity2.weight", 2, {3, 2}}},
     NULL,
     NULL,
     W2W_ERROR_UNSUPPORTED,
     "“identity1” and “identity2”"},
    {"two-tools",
     {{"base_model.model." TO_Q ".lora_A.weight", 2, {2, 4}},
      {"unet." TO_Q ".lora_B.weight", 2, {3, 2}}},
     NULL,
     NULL,
     W2W_ERROR_FORMAT,
     "mixes the names of peft and diffusers"},
    {"alpha-and-metadata",
     PAIR_WITH_ALPHA("unet." TO_Q ".lora_A.weight", "unet." TO_Q ".lora_B.weight",
                     "unet." TO_Q ".alpha", 4.0f),
     NULL, "{\"unet.r\":2,\"unet.lora_alpha\":7}", W2W_ERROR_FORMAT, "both an alpha"},
    {"metadata-no-json", PAIR("unet." TO_Q ".lora_A.weight", "unet." TO_Q ".lora_B.weight"), NULL,
     "{\"unet.r\"", W2W_ERROR_FORMAT, "lora_adapter_metadata"},
    {"peft-without-configuration", PEFT_PAIR, NULL, NULL, W2W_ERROR_FILE, "adapter_config.json"},
    {"peft-other-rank", PEFT_PAIR, "{\"r\":4,\"lora_alpha\":1}", NULL, W2W_ERROR_MISMATCH,
     "the rank 4, its factors have 2"},
    {"peft-type", PEFT_PAIR, "{\"peft_type\":\"LOHA\",\"r\":2,\"lora_alpha\":1}", NULL,
     W2W_ERROR_UNSUPPORTED, "“LOHA”"},
    {"peft-type-no-text", PEFT_PAIR, "{\"peft_type\":[7],\"r\":2,\"lora_alpha\":1}", NULL,
     W2W_ERROR_UNSUPPORTED, "peft_type"},
    {"peft-dora", PEFT_PAIR, "{\"r\":2,\"lora_alpha\":1,\"use_dora\":true}", NULL,
     W2W_ERROR_UNSUPPORTED, "“use_dora”"},
    {"peft-fan-in-fan-out", PEFT_PAIR, "{\"r\":2,\"lora_alpha\":1,\"fan_in_fan_out\":true}", NULL,
     W2W_ERROR_UNSUPPORTED, "“fan_in_fan_out”"},
    {"peft-bias", PEFT_PAIR, "{\"r\":2,\"lora_alpha\":1,\"bias\":\"all\"}", NULL,
     W2W_ERROR_UNSUPPORTED, "“bias”"},
    {"peft-pissa", PEFT_PAIR, "{\"r\":2,\"lora_alpha\":1,\"init_lora_weights\":\"pissa\"}", NULL,
     W2W_ERROR_UNSUPPORTED, "“init_lora_weights”"},
    {"peft-no-alpha", PEFT_PAIR, "{\"r\":2}", NULL, W2W_ERROR_FORMAT, "“lora_alpha”"},
    {"peft-alpha-nan", PEFT_PAIR, "{\"r\":2,\"lora_alpha\":NaN}", NULL, W2W_ERROR_FORMAT,
     "“lora_alpha”"},
    {"peft-no-rank", PEFT_PAIR, "{\"r\":\"2\",\"lora_alpha\":1}", NULL, W2W_ERROR_FORMAT, "“r”"},
    {"peft-pattern-no-number", PEFT_PAIR,
     "{\"r\":2,\"lora_alpha\":1,\"alpha_pattern\":{\"to_q\":null}}", NULL, W2W_ERROR_FORMAT,
     "“to_q”"},
    {"peft-pattern-no-expression", PEFT_PAIR,
     "{\"r\":2,\"lora_alpha\":1,\"alpha_pattern\":{\"to_q(\":1}}", NULL, W2W_ERROR_FORMAT,
     "no regular expression"},
    {"peft-pattern-without-end", PEFT_PAIR,
     "{\"r\":2,\"lora_alpha\":1,\"alpha_pattern\":{\"(([a-z0-9_.]|[^!])+)+[!?]\":1}}", NULL,
     W2W_ERROR_UNSUPPORTED, "cannot be matched"},
};

static void test_refusal(gconstpointer data)
{
    const Refusal *refusal = data;
    g_autoptr(GError) error = NULL;
    g_autoptr(W2wLora) lora =
        open_lora(refusal->tensors, refusal->config, refusal->metadata, &error);

    g_assert_null(lora);
    g_assert_error(error, W2W_ERROR, (gint)refusal->code);
    if (strstr(error->message, refusal->says) == NULL)
        g_error("“%s” does not say “%s”.", error->message, refusal->says);
}

static const LoraTensor pair[] = PAIR("unet." TO_Q ".lora_A.weight", "unet." TO_Q ".lora_B.weight");
static const LoraTensor peft_pair[] = PEFT_PAIR;

static void test_pickle(void)
{
    char *folder = make_folder();
    g_autoptr(GError) error = NULL;
    g_autoptr(W2wLora) lora = NULL;

    write_lora(folder, "adapter_model.bin", peft_pair, NULL);
    write_text(folder, "adapter_config.json", "{\"r\":2,\"lora_alpha\":27}");
    lora = w2w_lora_open(folder, &error);
    g_assert_no_error(error);
    g_assert_cmpfloat(((W2wLoraModule *)lora->modules->pdata[0])->scale, ==, 13.5);
    check_delta(lora->modules->pdata[0], 1.0);
    remove_folder(folder);
}

/* Of several files the one that the tools look for; else the only one. */
static void test_folder(void)
{
    char *folder = make_folder();
    g_autoptr(GError) error = NULL;
    g_autoptr(W2wLora) lora = NULL;

    g_assert_null(w2w_lora_open(folder, &error));
    g_assert_error(error, W2W_ERROR, W2W_ERROR_FILE);
    g_clear_error(&error);
    write_lora(folder, "one.safetensors", pair, NULL);
    lora = w2w_lora_open(folder, &error);
    g_assert_no_error(error);
    g_assert_true(g_str_has_suffix(lora->source, "/one.safetensors"));
    g_clear_pointer(&lora, w2w_lora_free);
    write_lora(folder, "two.safetensors", pair, NULL);
    g_assert_null(w2w_lora_open(folder, &error));
    g_assert_error(error, W2W_ERROR, W2W_ERROR_FILE);
    g_clear_error(&error);
    write_lora(folder, "pytorch_lora_weights.safetensors", pair, NULL);
    lora = w2w_lora_open(folder, &error);
    g_assert_no_error(error);
    remove_folder(folder);
}

static void test_no_dictionary(void)
{
    char *folder = make_folder();
    g_autofree char *path = g_build_filename(folder, "w2wmodel.pt", NULL);
    const gint64 shape[2] = {1, 2};
    const float values[2] = {1.0f, 2.0f};
    g_autoptr(GError) error = NULL;
    g_autoptr(W2wArray) array = w2w_array_new_f32(2, shape, values, &error);
    g_autoptr(GBytes) bytes = w2w_pt_write_array(array, &error);

    g_assert_no_error(error);
    g_file_set_contents(path, g_bytes_get_data(bytes, NULL), (gssize)g_bytes_get_size(bytes),
                        &error);
    g_assert_no_error(error);
    g_assert_null(w2w_lora_open(path, &error));
    g_assert_error(error, W2W_ERROR, W2W_ERROR_FORMAT);
    remove_folder(folder);
}

/* Cut anywhere, a file is an error and nothing else. */
static void test_truncated(gconstpointer data)
{
    const char *name = data;
    char *folder = make_folder();
    g_autofree char *path = g_build_filename(folder, name, NULL);
    g_autofree char *contents = NULL;
    g_autoptr(GError) error = NULL;
    gsize length;

    write_lora(folder, name, pair, NULL);
    g_file_get_contents(path, &contents, &length, &error);
    g_assert_no_error(error);
    for (gsize n = 0; n < length; n += 1 + n / 16) {
        g_autoptr(GError) cut = NULL;

        g_file_set_contents(path, contents, (gssize)n, &error);
        g_assert_no_error(error);
        g_assert_null(w2w_lora_open(path, &cut));
        g_assert_true(cut != NULL && cut->domain == W2W_ERROR);
    }
    remove_folder(folder);
}

static void test_too_many_modules(void)
{
    g_autofree LoraTensor *tensors = g_new0(LoraTensor, W2W_LORA_MAX_MODULES + 2);
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GError) error = NULL;

    for (guint i = 0; i <= W2W_LORA_MAX_MODULES; i++) {
        char *name = g_strdup_printf("unet.down_blocks.%u.to_q.lora_A.weight", i);

        g_ptr_array_add(names, name);
        tensors[i] = (LoraTensor){name, 2, {1, 1}};
    }
    g_assert_null(open_lora(tensors, NULL, NULL, &error));
    g_assert_error(error, W2W_ERROR, W2W_ERROR_UNSUPPORTED);
}

static void test_other_weight(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(W2wLora) lora = open_lora(pair, NULL, NULL, &error);
    float delta[12];

    g_assert_no_error(error);
    g_assert_false(w2w_lora_module_get_delta(lora->modules->pdata[0], 1.0, 10, delta, &error));
    g_assert_error(error, W2W_ERROR, W2W_ERROR_MISMATCH);
    g_clear_error(&error);
    g_assert_false(w2w_lora_module_get_delta(lora->modules->pdata[0], NAN, 12, delta, &error));
    g_assert_error(error, W2W_ERROR, W2W_ERROR_USAGE);
    g_clear_error(&error);
    g_assert_false(w2w_lora_module_get_delta(lora->modules->pdata[0], 1e300, 12, delta, &error));
    g_assert_error(error, W2W_ERROR, W2W_ERROR_FORMAT);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (guint i = 0; i < G_N_ELEMENTS(forms); i++) {
        g_autofree char *path = g_strconcat("/lora-file/form/", forms[i].name, NULL);

        g_test_add_data_func(path, &forms[i], test_form);
    }
    for (guint i = 0; i < G_N_ELEMENTS(refusals); i++) {
        g_autofree char *path = g_strconcat("/lora-file/refused/", refusals[i].name, NULL);

        g_test_add_data_func(path, &refusals[i], test_refusal);
    }
    g_test_add_func("/lora-file/pickle", test_pickle);
    g_test_add_func("/lora-file/folder", test_folder);
    g_test_add_func("/lora-file/refused/no-dictionary", test_no_dictionary);
    g_test_add_data_func("/lora-file/truncated/safetensors", "lora.safetensors", test_truncated);
    g_test_add_data_func("/lora-file/truncated/pickle", "lora.bin", test_truncated);
    g_test_add_func("/lora-file/refused/too-many-modules", test_too_many_modules);
    g_test_add_func("/lora-file/delta-of-another-weight", test_other_weight);
    return g_test_run();
}

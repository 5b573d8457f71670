/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The text encoder against transformers: every layer's output, and the text embedding.
 * The ids are those of the frozen cases, so that this test and the tokenizer's stay apart.
 */
#include "engine/error.h"
#include "engine/formats/json.h"
#include "engine/models/text_encoder.h"
#include "tests/models/network_run.h"

static W2wGolden *golden, *mini;

static W2wTextEncoder *open_encoder(W2wGolden *from, const char *directory)
{
    g_autofree char *path = from != NULL
                                ? w2w_golden_get_path(from, directory)
                                : g_build_filename(g_getenv("W2W_DATA_DIR"), directory, NULL);
    g_autoptr(GError) error = NULL;
    W2wTextEncoder *encoder = w2w_text_encoder_open(path, &error);

    if (encoder == NULL)
        g_error("%s", error->message);
    return encoder;
}

/* The ids of `prompt` in tokenizer_cases.json, as floats into `out`. */
static void find_ids(JsonArray *cases, const char *prompt, gint length, float *out)
{
    for (guint i = 0; i < json_array_get_length(cases); i++) {
        JsonObject *one = json_array_get_object_element(cases, i);
        JsonArray *ids = json_object_get_array_member(one, "input_ids");

        if (!g_str_equal(json_object_get_string_member(one, "prompt"), prompt))
            continue;
        g_assert_cmpint(json_array_get_length(ids), ==, length);
        for (gint j = 0; j < length; j++)
            out[j] = (float)json_array_get_int_element(ids, (guint)j);
        return;
    }
    g_error("tokenizer_cases.json lacks the prompt \"%s\".", prompt);
}

static void test_prompts(const NetworkCase *network_case)
{
    g_autoptr(W2wTextEncoder) encoder = open_encoder(golden, "model/text_encoder");
    JsonArray *prompts = json_object_get_array_member(
        json_object_get_object_member(w2w_golden_get_params(golden), "text"), "prompts");
    const gint batch = (gint)json_array_get_length(prompts);
    const gint length = w2w_text_encoder_get_length(encoder);
    g_autofree char *cases_path = w2w_golden_get_path(golden, "tokenizer_cases.json");
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonNode) cases = w2w_json_load_any(cases_path, &error);
    g_autofree float *ids = g_new(float, batch *length);
    const char *const *keys = w2w_safetensors_get_keys(w2w_golden_get_file(golden, "text"));
    g_autoptr(W2wPlan) plan = NULL;
    W2wGraph *graph;

    g_assert_no_error(error);
    for (gint i = 0; i < batch; i++)
        find_ids(json_node_get_array(cases), json_array_get_string_element(prompts, (guint)i),
                 length, ids + i * length);
    graph = w2w_text_encoder_record(encoder, batch, TRUE, &error);
    g_assert_no_error(error);
    plan = network_run_plan(graph, network_case->device, "text encoder");
    w2w_plan_set_input(plan, "input_ids", ids);
    w2w_plan_replay(plan);
    for (guint i = 0; keys[i] != NULL; i++)
        network_run_compare(plan,
                            g_str_equal(keys[i], "last_hidden_state") ? "text_embedding" : keys[i],
                            golden, "text", keys[i]);
}

/* The embedded world's, without inspection: fused as in use. */
static void test_embedded_world(const NetworkCase *network_case)
{
    g_autoptr(W2wTextEncoder) encoder = open_encoder(NULL, "model/text_encoder");
    const W2wArray *ids = w2w_golden_get(mini, "networks", "input_ids");
    g_autofree float *values = w2w_golden_get_f32(mini, "networks", "input_ids");
    g_autoptr(GError) error = NULL;
    W2wGraph *graph = w2w_text_encoder_record(encoder, (gint)ids->shape[0], FALSE, &error);
    g_autoptr(W2wPlan) plan = NULL;

    g_assert_no_error(error);
    g_assert_cmpint(ids->shape[1], ==, w2w_text_encoder_get_length(encoder));
    plan = network_run_plan(graph, network_case->device, "text encoder");
    w2w_plan_set_input(plan, "input_ids", values);
    w2w_plan_replay(plan);
    network_run_compare(plan, "text_embedding", mini, "networks", "text_embedding");
}

/* The width that the config says is the golden one; a senseless batch is refused. */
static void test_sizes_are_checked(void)
{
    g_autoptr(W2wTextEncoder) encoder = open_encoder(golden, "model/text_encoder");
    g_autoptr(GError) error = NULL;

    g_assert_null(w2w_text_encoder_record(encoder, 0, FALSE, &error));
    g_assert_error(error, W2W_ERROR, W2W_ERROR_USAGE);
    g_assert_cmpint(w2w_text_encoder_get_width(encoder), ==,
                    w2w_golden_get(golden, "text", "last_hidden_state")->shape[2]);
}

int main(int argc, char **argv)
{
    int status;

    g_test_init(&argc, &argv, NULL);
    golden = w2w_golden_open(NULL);
    mini = w2w_golden_open(w2w_golden_mini_dir());
    network_run_add("text_encoder", "every_layer_of_all_prompts", test_prompts);
    network_run_add("text_encoder", "embedded_world", test_embedded_world);
    g_test_add_func("/text_encoder/sizes_are_checked", test_sizes_are_checked);
    status = g_test_run();
    w2w_golden_free(golden);
    w2w_golden_free(mini);
    return status;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the worker keeps of cancelled jobs: found again for the same, not for anything else. */
#include <string.h>

#include "worker/kept_results.h"

static const W2wParameter parameters[] = {
    {.name = "image", .type = W2W_PARAMETER_PICTURE},
    {.name = "crop", .type = W2W_PARAMETER_STRING, .string = "whole"},
    {.name = "steps", .type = W2W_PARAMETER_INT, .minimum = 1, .maximum = 100, .number = 10},
    {.name = "from", .type = W2W_PARAMETER_IDENTITY},
};
static const char *const subjects[] = {"image", "crop", NULL};
static const W2wJob job = {.name = "seek",
                           .parameters = parameters,
                           .n_parameters = G_N_ELEMENTS(parameters),
                           .resumes_from = "from",
                           .resumes_for = subjects};
static const W2wJob other_job = {.name = "search",
                                 .parameters = parameters,
                                 .n_parameters = G_N_ELEMENTS(parameters),
                                 .resumes_from = "from",
                                 .resumes_for = subjects};

typedef struct {
    const W2wJob *job;
    const char *world, *subject, *image, *crop;
    const char *steps;
} Call;

static char *make_key(const Call *call)
{
    g_autoptr(W2wValues) values = w2w_values_new(parameters, G_N_ELEMENTS(parameters));
    g_autoptr(GBytes) image = g_bytes_new(call->image, strlen(call->image));

    g_assert_true(w2w_values_set_bytes(values, "image", image, NULL));
    g_assert_true(w2w_values_set_text(values, "crop", call->crop, NULL));
    g_assert_true(w2w_values_set_text(values, "steps", call->steps, NULL));
    return w2w_kept_results_make_key(call->job, call->world, call->subject, values);
}

static void test_key(void)
{
    const Call call = {&job, "/world", "", "pixels", "whole", "10"};
    const Call other_steps = {&job, "/world", "", "pixels", "whole", "20"};
    const Call others[] = {
        {&other_job, "/world", "", "pixels", "whole", "10"},
        {&job, "/world2", "", "pixels", "whole", "10"},
        {&job, "/world", "named", "pixels", "whole", "10"},
        {&job, "/world", "", "pixelz", "whole", "10"},
        {&job, "/world", "", "pixels", "selection", "10"},
    };
    g_autofree char *key = make_key(&call);
    g_autofree char *same = make_key(&other_steps);

    g_assert_cmpstr(key, ==, same);
    for (guint i = 0; i < G_N_ELEMENTS(others); i++) {
        g_autofree char *other = make_key(&others[i]);

        g_assert_cmpstr(key, !=, other);
    }
}

/* The client knows better than the bytes; what else the job is about still counts. */
static void test_subject(void)
{
    const Call call = {&job, "/world", "layer 5", "pixels", "whole", "10"};
    const Call encoded_anew = {&job, "/world", "layer 5", "", "whole", "10"};
    const Call other_crop = {&job, "/world", "layer 5", "pixels", "selection", "10"};
    g_autofree char *key = make_key(&call);
    g_autofree char *anew = make_key(&encoded_anew);
    g_autofree char *other = make_key(&other_crop);

    g_assert_cmpstr(key, ==, anew);
    g_assert_cmpstr(key, !=, other);
}

static void test_not_resumable(void)
{
    const W2wJob plain = {
        .name = "plain", .parameters = parameters, .n_parameters = G_N_ELEMENTS(parameters)};
    const Call call = {&plain, "/world", "", "pixels", "whole", "10"};
    W2wKeptResults *kept = w2w_kept_results_new();

    g_assert_null(make_key(&call));
    g_assert_null(w2w_kept_results_get(kept, NULL, NULL));
    w2w_kept_results_free(kept);
}

static void assert_kept(W2wKeptResults *kept, const char *key, const char *identity,
                        const char *text)
{
    g_autofree char *found_text = NULL;
    g_autoptr(GBytes) found = w2w_kept_results_get(kept, key, &found_text);

    g_assert_nonnull(found);
    g_assert_cmpmem(g_bytes_get_data(found, NULL), g_bytes_get_size(found), identity,
                    strlen(identity));
    g_assert_cmpstr(found_text, ==, text);
}

static void put_found(W2wKeptResults *kept, const char *key, const char *identity, const char *text,
                      double loss, guint n_steps)
{
    g_autoptr(GBytes) bytes = g_bytes_new(identity, strlen(identity));
    g_autofree char *message = g_strdup(text);
    const W2wJobResult result = {
        .identity = bytes, .message = message, .loss = loss, .n_steps = n_steps};

    w2w_kept_results_put(kept, key, &result);
}

static void put(W2wKeptResults *kept, const char *key, const char *identity, const char *text)
{
    put_found(kept, key, identity, text, 0.0, 1);
}

static void test_put_and_get(void)
{
    W2wKeptResults *kept = w2w_kept_results_new();

    put(kept, "a", "first", "After 10 steps.");
    put(kept, "b", "second", NULL);
    assert_kept(kept, "a", "first", "After 10 steps.");
    assert_kept(kept, "b", "second", "");
    put(kept, "a", "better", "After 20 steps.");
    assert_kept(kept, "a", "better", "After 20 steps.");
    w2w_kept_results_remove(kept, "a");
    w2w_kept_results_remove(kept, "nothing");
    g_assert_null(w2w_kept_results_get(kept, "a", NULL));
    assert_kept(kept, "b", "second", "");
    w2w_kept_results_free(kept);
}

static void test_better_stays(void)
{
    W2wKeptResults *kept = w2w_kept_results_new();

    put_found(kept, "a", "20 steps", "20", 0.0, 20);
    put_found(kept, "a", "1 step", "1", 0.0, 1);
    assert_kept(kept, "a", "20 steps", "20");
    put_found(kept, "a", "30 steps", "30", 0.0, 30);
    assert_kept(kept, "a", "30 steps", "30");
    put_found(kept, "a", "judged", "judged", 0.5, 10);
    assert_kept(kept, "a", "judged", "judged");
    put_found(kept, "a", "not judged", "100", 0.0, 100);
    put_found(kept, "a", "worse", "200", 0.6, 200);
    assert_kept(kept, "a", "judged", "judged");
    put_found(kept, "a", "better", "better", 0.4, 5);
    assert_kept(kept, "a", "better", "better");
    /* What stayed was asked for last: others are pushed out before it. */
    for (guint i = 1; i < W2W_KEPT_RESULTS_MAX; i++) {
        g_autofree char *key = g_strdup_printf("%u", i);

        put(kept, key, key, NULL);
    }
    put_found(kept, "a", "worse", "worse", 0.6, 1);
    put(kept, "b", "b", NULL);
    assert_kept(kept, "a", "better", "better");
    g_assert_null(w2w_kept_results_get(kept, "1", NULL));
    w2w_kept_results_free(kept);
}

static void test_bounded(void)
{
    W2wKeptResults *kept = w2w_kept_results_new();

    for (guint i = 0; i <= W2W_KEPT_RESULTS_MAX; i++) {
        g_autofree char *key = g_strdup_printf("%u", i);

        put(kept, key, key, NULL);
    }
    g_assert_null(w2w_kept_results_get(kept, "0", NULL));
    assert_kept(kept, "1", "1", "");
    w2w_kept_results_free(kept);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/worker/kept-results/key", test_key);
    g_test_add_func("/worker/kept-results/subject-stands-for-pictures", test_subject);
    g_test_add_func("/worker/kept-results/not-resumable", test_not_resumable);
    g_test_add_func("/worker/kept-results/put-and-get", test_put_and_get);
    g_test_add_func("/worker/kept-results/better-stays", test_better_stays);
    g_test_add_func("/worker/kept-results/bounded", test_bounded);
    return g_test_run();
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Jobs through the worker: what the engine gives is what arrives, errors and cancelling included.
 */
#include <signal.h>
#include <string.h>

#include "engine/error.h"
#include "tests/worker/worker_fixture.h"

static GPtrArray *run_here(const char *name, GVariant *given)
{
    const W2wJob *job = w2w_job_lookup(name);
    const W2wDeviceOptions options = {.n_threads = 0};
    g_autoptr(GVariant) dictionary = g_variant_ref_sink(given);
    g_autoptr(W2wValues) values = w2w_values_new(job->parameters, job->n_parameters);
    GPtrArray *results = worker_fixture_new_results();
    g_autoptr(W2wPipeline) pipeline = NULL;
    GError *error = NULL;
    W2wWorld *world = w2w_world_open(w2w_world_get_default_directory(), &error);

    g_assert_no_error(error);
    pipeline = w2w_pipeline_new(world, w2w_device_new("cpu", &options, NULL), &error);
    g_assert_no_error(error);
    g_assert_true(w2w_values_set_variant(values, dictionary, &error));
    job->run(pipeline, values, worker_fixture_add_result, results, NULL, &error);
    g_assert_no_error(error);
    return results;
}

static GPtrArray *run_there(W2wClient *client, const char *name, GVariant *values)
{
    GPtrArray *results = worker_fixture_new_results();
    GError *error = NULL;

    w2w_client_run(client, name, values, worker_fixture_add_result, results, NULL, &error);
    g_assert_no_error(error);
    return results;
}

static void assert_same(const W2wJobResult *a, const W2wJobResult *b)
{
    const gsize size = 3 * (gsize)a->picture->width * a->picture->height;

    g_assert_cmpuint(a->picture->width, ==, b->picture->width);
    g_assert_cmpuint(a->picture->height, ==, b->picture->height);
    g_assert_cmpmem(a->picture->pixels, size, b->picture->pixels, size);
    g_assert_cmpint(a->identity == NULL, ==, b->identity == NULL);
    if (a->identity != NULL)
        g_assert_true(g_bytes_equal(a->identity, b->identity));
    g_assert_cmpuint(a->seed, ==, b->seed);
    g_assert_cmpstr(a->name, ==, b->name);
    g_assert_cmpstr(a->recipe, ==, b->recipe);
    g_assert_cmpstr(a->message, ==, b->message);
}

static void assert_all_same(GPtrArray *here, GPtrArray *there)
{
    g_assert_cmpuint(here->len, >, 0);
    g_assert_cmpuint(here->len, ==, there->len);
    for (guint i = 0; i < here->len; i++)
        assert_same(here->pdata[i], there->pdata[i]);
}

static void test_same_results(void)
{
    g_autoptr(W2wClient) client = worker_fixture_connect(0);
    g_autoptr(GPtrArray) here = run_here("sample", worker_fixture_make_values(3, 2));
    g_autoptr(GPtrArray) there = run_there(client, "sample", worker_fixture_make_values(3, 2));

    g_assert_cmpuint(there->len, ==, 3);
    assert_all_same(here, there);
    worker_fixture_kill(worker_fixture_get_pid(client), SIGTERM);
}

/* An identity there and back, and a job without one. */
static GVariant *make_edit_values(GBytes *identity)
{
    GVariantDict values = G_VARIANT_DICT_INIT(NULL);

    g_variant_dict_insert_value(
        &values, "identity", g_variant_new_from_bytes(G_VARIANT_TYPE_BYTESTRING, identity, TRUE));
    g_variant_dict_insert(&values, "edits", "s", "Young=-0.8");
    g_variant_dict_insert(&values, "steps", "i", 2);
    return g_variant_dict_end(&values);
}

static GVariant *make_render_values(void)
{
    GVariantDict values = G_VARIANT_DICT_INIT(NULL);

    g_variant_dict_insert(&values, "prompt", "s", "person, naïve — “drawn”");
    g_variant_dict_insert(&values, "seed", "x", W2W_SEED_MAX);
    g_variant_dict_insert(&values, "steps", "i", 2);
    return g_variant_dict_end(&values);
}

static GVariant *make_export_values(GBytes *identity)
{
    GVariantDict values = G_VARIANT_DICT_INIT(NULL);

    g_variant_dict_insert_value(
        &values, "identity", g_variant_new_from_bytes(G_VARIANT_TYPE_BYTESTRING, identity, TRUE));
    return g_variant_dict_end(&values);
}

/* The same identity twice, in the list's own form. */
static GVariant *make_mix_values(GBytes *identity)
{
    GVariantDict values = G_VARIANT_DICT_INIT(NULL);
    GVariantBuilder list;

    g_variant_builder_init(&list, G_VARIANT_TYPE("a(ayd)"));
    for (guint i = 0; i < 2; i++)
        g_variant_builder_add(&list, "(@ayd)",
                              g_variant_new_from_bytes(G_VARIANT_TYPE_BYTESTRING, identity, TRUE),
                              0.5);
    g_variant_dict_insert_value(&values, "identity", g_variant_builder_end(&list));
    g_variant_dict_insert(&values, "no-picture", "b", TRUE);
    return g_variant_dict_end(&values);
}

/* Results without a picture: files and a report arrive, and so does an identity alone. */
static void test_without_picture(void)
{
    g_autoptr(W2wClient) client = worker_fixture_connect(0);
    g_autoptr(GPtrArray) sampled = run_there(client, "sample", worker_fixture_make_values(1, 2));
    const W2wJobResult *person = sampled->pdata[0];
    g_autoptr(GPtrArray) exported =
        run_there(client, "export", make_export_values(person->identity));
    g_autoptr(GPtrArray) here = run_here("export", make_export_values(person->identity));
    g_autoptr(GPtrArray) mixed = run_there(client, "mix", make_mix_values(person->identity));
    const W2wJobResult *a = here->pdata[0], *b = exported->pdata[0];

    g_assert_cmpuint(exported->len, ==, here->len);
    g_assert_null(b->picture);
    g_assert_nonnull(b->report);
    g_assert_cmpstr(a->report, ==, b->report);
    g_assert_cmpuint(a->files->len, >, 0);
    g_assert_cmpuint(a->files->len, ==, b->files->len);
    for (guint i = 0; i < a->files->len; i++) {
        const W2wJobFile *made = a->files->pdata[i], *arrived = b->files->pdata[i];

        g_assert_cmpstr(made->name, ==, arrived->name);
        g_assert_true(g_bytes_equal(made->bytes, arrived->bytes));
    }
    g_assert_cmpuint(mixed->len, ==, 1);
    g_assert_null(((W2wJobResult *)mixed->pdata[0])->picture);
    g_assert_nonnull(((W2wJobResult *)mixed->pdata[0])->identity);
    worker_fixture_kill(worker_fixture_get_pid(client), SIGTERM);
}

static void test_every_job(void)
{
    g_autoptr(W2wClient) client = worker_fixture_connect(0);
    g_autoptr(GPtrArray) sampled = run_there(client, "sample", worker_fixture_make_values(1, 2));
    const W2wJobResult *person = sampled->pdata[0];
    g_autoptr(GPtrArray) edited = run_there(client, "edit", make_edit_values(person->identity));
    g_autoptr(GPtrArray) edited_here = run_here("edit", make_edit_values(person->identity));
    g_autoptr(GPtrArray) rendered = run_there(client, "render", make_render_values());
    g_autoptr(GPtrArray) rendered_here = run_here("render", make_render_values());

    assert_all_same(edited_here, edited);
    assert_all_same(rendered_here, rendered);
    g_assert_null(((W2wJobResult *)rendered->pdata[0])->identity);
    worker_fixture_kill(worker_fixture_get_pid(client), SIGTERM);
}

static void test_loads_once(void)
{
    W2wWorkerStatus status;
    gint32 pid = 0;

    for (guint i = 0; i < 3; i++) {
        g_autoptr(W2wClient) client = worker_fixture_connect(0);
        GPtrArray *results = run_there(client, "sample", worker_fixture_make_values(1, 1));

        g_assert_cmpuint(results->len, ==, 1);
        g_ptr_array_unref(results);
        g_assert_true(w2w_client_get_status(client, &status, NULL));
        g_assert_cmpuint(status.n_loads, ==, 1);
        g_assert_cmpuint(status.n_jobs, ==, i + 1);
        g_assert_true(g_str_has_prefix(status.device, "cpu"));
        g_assert_true(i == 0 || status.pid == pid);
        pid = status.pid;
        w2w_worker_status_clear(&status);
    }
    worker_fixture_kill(pid, SIGTERM);
}

static void refuse(W2wClient *client, const char *job, GVariant *values, int code,
                   const char *pattern)
{
    GError *error = NULL;

    g_assert_false(
        w2w_client_run(client, job, values, worker_fixture_add_result, NULL, NULL, &error));
    g_test_message("%s", error->message);
    g_assert_error(error, W2W_ERROR, code);
    g_assert_true(g_pattern_match_simple(pattern, error->message));
    g_error_free(error);
}

static GVariant *make_one(const char *name, GVariant *value)
{
    GVariantDict values = G_VARIANT_DICT_INIT(NULL);

    g_variant_dict_insert_value(&values, name, value);
    return g_variant_dict_end(&values);
}

/* The engine's own sentences and codes, nothing before or behind them. */
static void test_errors(void)
{
    const W2wJob *job = w2w_job_lookup("sample");
    g_autoptr(W2wClient) client = worker_fixture_connect(0);
    g_autoptr(W2wValues) values = w2w_values_new(job->parameters, job->n_parameters);
    g_autoptr(GVariant) wrong = g_variant_ref_sink(make_one("count", g_variant_new_int32(0)));
    g_autoptr(GError) expected = NULL;
    W2wWorkerStatus status;

    refuse(client, "nothing", make_one("count", g_variant_new_int32(1)), W2W_ERROR_USAGE,
           "There is no job “nothing”.");
    g_assert_false(w2w_values_set_variant(values, wrong, &expected));
    refuse(client, "sample", wrong, expected->code, expected->message);
    refuse(client, "sample", make_one("nothing", g_variant_new_int32(1)), W2W_ERROR_USAGE,
           "*nothing*");
    refuse(client, "sample", make_one("count", g_variant_new_string("1")), W2W_ERROR_USAGE, "*");
    refuse(client, "edit", make_one("edits", g_variant_new_string("Young=1")), W2W_ERROR_USAGE,
           "*");
    refuse(client, "render", make_one("identity", g_variant_new_bytestring("no identity")),
           W2W_ERROR_FORMAT, "*");

    /* None of these needed a model, and the client goes on. */
    g_assert_true(w2w_client_get_status(client, &status, NULL));
    g_assert_cmpuint(status.n_loads, ==, 0);
    worker_fixture_kill(status.pid, SIGTERM);
    w2w_worker_status_clear(&status);
}

static void test_unknown_world(void)
{
    const W2wClientOptions options = {.world_directory = "/nowhere/\xff"};
    g_autoptr(W2wClient) client = w2w_client_connect(&options, NULL);

    refuse(client, "sample", worker_fixture_make_values(1, 1), W2W_ERROR_FILE, "*/nowhere/*");
    worker_fixture_kill(worker_fixture_get_pid(client), SIGTERM);
}

typedef struct {
    GCancellable *cancellable;
    guint n_reports;
} Reports;

static void count_reports(double fraction, const char *text, gpointer user_data)
{
    Reports *reports = user_data;

    g_assert_cmpfloat(fraction, >=, 0.0);
    g_assert_cmpfloat(fraction, <=, 1.0);
    g_assert_cmpuint(strlen(text), >, 0);
    if (++reports->n_reports == 3)
        g_cancellable_cancel(reports->cancellable);
}

static void test_cancel(void)
{
    g_autoptr(W2wClient) client = worker_fixture_connect(0);
    g_autoptr(GPtrArray) results = worker_fixture_new_results();
    g_autoptr(GPtrArray) next = NULL;
    g_autoptr(GCancellable) cancellable = g_cancellable_new();
    Reports reports = {.cancellable = cancellable};
    const W2wProgress progress = {count_reports, &reports, cancellable};
    W2wWorkerStatus status;
    GError *error = NULL;

    g_assert_false(w2w_client_run(client, "sample",
                                  worker_fixture_make_values(LONG_COUNT, LONG_STEPS),
                                  worker_fixture_add_result, results, &progress, &error));
    g_assert_error(error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
    g_assert_null(strstr(error->message, "GDBus"));
    g_clear_error(&error);

    next = run_there(client, "sample", worker_fixture_make_values(1, 1));
    g_assert_cmpuint(next->len, ==, 1);
    g_assert_true(w2w_client_get_status(client, &status, NULL));
    g_assert_cmpuint(status.n_loads, ==, 1);
    worker_fixture_kill(status.pid, SIGTERM);
    w2w_worker_status_clear(&status);
}

/* Cancelled while another client's job runs: at once, not after it. */
static gpointer run_long(gpointer cancellable)
{
    g_autoptr(W2wClient) client = worker_fixture_connect(0);
    g_autoptr(GPtrArray) results = worker_fixture_new_results();
    const W2wProgress progress = {NULL, NULL, cancellable};
    GError *error = NULL;

    g_assert_false(w2w_client_run(client, "sample",
                                  worker_fixture_make_values(LONG_COUNT, LONG_STEPS),
                                  worker_fixture_add_result, results, &progress, &error));
    g_assert_error(error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
    g_error_free(error);
    return NULL;
}

static void test_cancel_waiting(void)
{
    g_autoptr(W2wClient) client = worker_fixture_connect(0);
    g_autoptr(GCancellable) first = g_cancellable_new();
    g_autoptr(GCancellable) second = g_cancellable_new();
    GThread *threads[2];
    W2wWorkerStatus status;

    threads[0] = g_thread_new("first", run_long, first);
    g_usleep(G_USEC_PER_SEC);
    threads[1] = g_thread_new("second", run_long, second);
    g_usleep(G_USEC_PER_SEC / 2);
    g_cancellable_cancel(second);
    g_thread_join(threads[1]);
    g_assert_true(w2w_client_get_status(client, &status, NULL));
    g_assert_cmpuint(status.n_jobs, ==, 0); /* neither was run to an end */
    g_cancellable_cancel(first);
    g_thread_join(threads[0]);
    worker_fixture_kill(status.pid, SIGTERM);
    w2w_worker_status_clear(&status);
}

int main(int argc, char **argv)
{
    worker_fixture_begin(&argc, &argv);
    g_test_add_func("/worker/jobs/same-results-as-in-process", test_same_results);
    g_test_add_func("/worker/jobs/every-job", test_every_job);
    g_test_add_func("/worker/jobs/without-picture", test_without_picture);
    g_test_add_func("/worker/jobs/models-are-loaded-once", test_loads_once);
    g_test_add_func("/worker/jobs/errors-arrive-unchanged", test_errors);
    g_test_add_func("/worker/jobs/unknown-world", test_unknown_world);
    g_test_add_func("/worker/jobs/cancel", test_cancel);
    g_test_add_func("/worker/jobs/cancel-while-waiting", test_cancel_waiting);
    return worker_fixture_end(g_test_run());
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A search that is cancelled, or whose client vanishes, is not lost: the next call about the same
 * can go on from what it had found.
 */
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "engine/error.h"
#include "engine/formats/png.h"
#include "tests/worker/worker_fixture.h"

#define SIDE       64
#define MANY_STEPS 5000 /* minutes */
#define JOB        "invert"

static GBytes *make_picture(guint shade)
{
    guint8 pixels[3 * SIDE * SIDE];
    GError *error = NULL;
    GBytes *png;

    for (guint i = 0; i < sizeof pixels; i++)
        pixels[i] = (guint8)(i / 3 % SIDE * 2 + i / 3 / SIDE + shade);
    png = w2w_png_encode(pixels, SIDE, SIDE, 3, &error);
    g_assert_no_error(error);
    return png;
}

/* With `shade` for the picture; −1: without one. */
static GVariant *make_values(gint shade, gint steps)
{
    GVariantDict values = G_VARIANT_DICT_INIT(NULL);

    if (shade >= 0) {
        g_autoptr(GBytes) picture = make_picture((guint)shade);

        g_variant_dict_insert_value(
            &values, "image", g_variant_new_from_bytes(G_VARIANT_TYPE_BYTESTRING, picture, TRUE));
    }
    g_variant_dict_insert(&values, "steps", "i", steps);
    g_variant_dict_insert(&values, "seed", "x", (gint64)3);
    g_variant_dict_insert(&values, "no-picture", "b", TRUE);
    return g_variant_dict_end(&values);
}

/* "" where nothing is. */
static char *find_kept(W2wClient *client, GVariant *values, const char *subject)
{
    char *text = NULL;
    gboolean found = FALSE;
    GError *error = NULL;

    w2w_client_find_kept(client, JOB, values, subject, &found, &text, &error);
    g_assert_no_error(error);
    g_test_message("%s", text);
    g_assert_cmpint(found, ==, *text != 0);
    return text;
}

static gboolean is_kept(W2wClient *client, gint shade, const char *subject)
{
    g_autofree char *text = find_kept(client, make_values(shade, 1), subject);

    return *text != 0;
}

typedef struct {
    GCancellable *cancellable;
    guint n_left; /* steps to be reported */
} Watch;

/* Once some steps are done: only they are reported with the time that is left. */
static void cancel_soon(double fraction, const char *text, gpointer user_data)
{
    Watch *watch = user_data;

    if (fraction > 0.05 && watch->n_left-- == 1)
        g_cancellable_cancel(watch->cancellable);
}

static void run_and_cancel_after(W2wClient *client, gint shade, const char *subject,
                                 gboolean resume, guint n_reports, GPtrArray *results)
{
    g_autoptr(GCancellable) cancellable = g_cancellable_new();
    Watch watch = {cancellable, n_reports};
    const W2wProgress progress = {cancel_soon, &watch, cancellable};
    g_autoptr(GError) error = NULL;

    g_assert_false(w2w_client_run_resumable(client, JOB, make_values(shade, MANY_STEPS), subject,
                                            resume, worker_fixture_add_result, results, &progress,
                                            &error));
    g_assert_error(error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
}

static void run_and_cancel(W2wClient *client, gint shade, const char *subject, GPtrArray *results)
{
    run_and_cancel_after(client, shade, subject, FALSE, 3, results);
}

/* Does its identity say that it began with another one? */
static gboolean run_to_the_end(W2wClient *client, gint shade, const char *subject, gboolean resume)
{
    g_autoptr(GPtrArray) results = worker_fixture_new_results();
    GError *error = NULL;
    const W2wJobResult *result;

    w2w_client_run_resumable(client, JOB, make_values(shade, 1), subject, resume,
                             worker_fixture_add_result, results, NULL, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(results->len, ==, 1);
    result = results->pdata[0];
    g_assert_nonnull(result->identity);
    return strstr(result->recipe, "\"history\"") != NULL;
}

static void test_cancelled(void)
{
    g_autoptr(W2wClient) client = worker_fixture_connect(0);
    g_autoptr(GPtrArray) results = worker_fixture_new_results();
    const W2wJobResult *best;

    g_assert_false(is_kept(client, 0, NULL));
    run_and_cancel(client, 0, NULL, results);
    /* Who is still there gets it, too. */
    g_assert_cmpuint(results->len, ==, 1);
    best = results->pdata[0];
    g_assert_null(best->picture);
    g_assert_nonnull(best->identity);
    g_assert_true(is_kept(client, 0, NULL));
    g_assert_false(is_kept(client, 50, NULL));

    /* Not asked for, it is not taken; done to the end, there is nothing left to go on from. */
    g_assert_false(run_to_the_end(client, 0, NULL, FALSE));
    g_assert_false(is_kept(client, 0, NULL));
    g_assert_false(run_to_the_end(client, 0, NULL, TRUE));
    run_and_cancel(client, 0, NULL, results);
    g_assert_true(run_to_the_end(client, 0, NULL, TRUE));
    g_assert_false(is_kept(client, 0, NULL));
    worker_fixture_kill(worker_fixture_get_pid(client), SIGTERM);
}

static void set_bytes(GVariantDict *values, const char *name, gsize size)
{
    guint8 *bytes = g_malloc0(size);

    g_variant_dict_insert_value(
        values, name,
        g_variant_new_from_data(G_VARIANT_TYPE_BYTESTRING, bytes, size, TRUE, g_free, bytes));
}

/* A mask of another size, and no picture at all: what was found is not to blame. */
static void assert_other_errors_keep(W2wClient *client)
{
    g_autoptr(GPtrArray) results = worker_fixture_new_results();
    g_autoptr(GVariant) good = g_variant_ref_sink(make_values(0, 1));
    guint8 pixels[4] = {255, 255, 255, 255};
    g_autoptr(GError) error = NULL;
    g_autoptr(GBytes) small = w2w_png_encode(pixels, 2, 2, 1, &error);
    g_auto(GVariantDict) mismatch = G_VARIANT_DICT_INIT(good);
    g_auto(GVariantDict) broken = G_VARIANT_DICT_INIT(good);

    g_assert_no_error(error);
    g_variant_dict_insert_value(&mismatch, "mask",
                                g_variant_new_from_bytes(G_VARIANT_TYPE_BYTESTRING, small, TRUE));
    g_assert_false(w2w_client_run_resumable(client, JOB, g_variant_dict_end(&mismatch), "layer 1",
                                            TRUE, worker_fixture_add_result, results, NULL,
                                            &error));
    g_assert_error(error, W2W_ERROR, W2W_ERROR_MISMATCH);
    g_clear_error(&error);
    g_assert_true(is_kept(client, -1, "layer 1"));
    set_bytes(&broken, "image", 100);
    g_assert_false(w2w_client_run_resumable(client, JOB, g_variant_dict_end(&broken), "layer 1",
                                            TRUE, worker_fixture_add_result, results, NULL,
                                            &error));
    g_assert_nonnull(error);
    g_assert_true(is_kept(client, -1, "layer 1"));
}

/* Larger than a message may be: with a name it is not sent, without one in shared memory. */
static void assert_found_by_large_picture(W2wClient *client)
{
    const char *const subjects[] = {"layer 1", NULL};

    for (guint i = 0; i < G_N_ELEMENTS(subjects); i++) {
        g_auto(GVariantDict) values = G_VARIANT_DICT_INIT(NULL);
        g_autofree char *text = NULL;

        set_bytes(&values, "image", 70 << 20);
        text = find_kept(client, g_variant_dict_end(&values), subjects[i]);
        g_assert_cmpint(*text != 0, ==, subjects[i] != NULL);
    }
}

/* The client's own name stands for the picture: without sending it, and whatever its bytes are. */
static void test_subject(void)
{
    g_autoptr(W2wClient) client = worker_fixture_connect(0);
    g_autoptr(GPtrArray) results = worker_fixture_new_results();

    run_and_cancel(client, 0, "layer 1", results);
    g_assert_true(is_kept(client, -1, "layer 1"));
    g_assert_false(is_kept(client, -1, "layer 2"));
    g_assert_false(is_kept(client, 0, NULL));
    assert_other_errors_keep(client);
    assert_found_by_large_picture(client);
    g_assert_true(run_to_the_end(client, 1, "layer 1", TRUE));
    worker_fixture_kill(worker_fixture_get_pid(client), SIGTERM);
}

/* Going on and stopping at once loses nothing. */
static void test_stopped_early(void)
{
    g_autoptr(W2wClient) client = worker_fixture_connect(0);
    g_autoptr(GPtrArray) results = worker_fixture_new_results();
    g_autofree char *long_one = NULL;
    g_autofree char *after = NULL;

    run_and_cancel_after(client, 0, NULL, FALSE, 12, results);
    long_one = find_kept(client, make_values(0, 1), NULL);
    run_and_cancel_after(client, 0, NULL, TRUE, 1, results);
    g_assert_cmpuint(results->len, ==, 2);
    after = find_kept(client, make_values(0, 1), NULL);
    g_assert_cmpstr(after, ==, long_one);
    worker_fixture_kill(worker_fixture_get_pid(client), SIGTERM);
}

/* Another client than the test's own, to be killed as GIMP does it. */
static int run_as_client(void)
{
    W2wClient *client = worker_fixture_connect(0);

    w2w_client_run(client, JOB, make_values(0, MANY_STEPS), worker_fixture_add_result,
                   worker_fixture_new_results(), NULL, NULL);
    return 1;
}

static void test_vanished_client(void)
{
    g_autoptr(W2wClient) client = worker_fixture_connect(0);
    const pid_t child = fork();
    W2wWorkerStatus status;

    if (child == 0) {
        execl("/proc/self/exe", "test", "--client", NULL);
        _exit(1);
    }
    do {
        g_usleep(20 * 1000);
        g_assert_true(w2w_client_get_status(client, &status, NULL));
        w2w_worker_status_clear(&status);
    } while (status.n_loads == 0);
    g_usleep(5 * G_USEC_PER_SEC); /* some steps */
    worker_fixture_kill(child, SIGKILL);
    do {
        g_usleep(20 * 1000);
        g_assert_true(w2w_client_get_status(client, &status, NULL));
        w2w_worker_status_clear(&status);
    } while (status.n_jobs == 0);
    g_assert_true(is_kept(client, 0, NULL));
    g_assert_true(run_to_the_end(client, 0, NULL, TRUE));
    worker_fixture_kill(worker_fixture_get_pid(client), SIGTERM);
}

static void test_of_no_use(void)
{
    g_autoptr(W2wClient) client = worker_fixture_connect(0);
    g_autoptr(GPtrArray) results = worker_fixture_new_results();
    g_autofree char *text = NULL;
    gboolean found = TRUE;
    GError *error = NULL;

    /* Jobs that do not seek keep nothing, and unknown ones are no error here. */
    w2w_client_find_kept(client, "sample", worker_fixture_make_values(1, 1), "layer 1", &found,
                         &text, &error);
    g_assert_no_error(error);
    g_assert_false(found);
    g_assert_cmpstr(text, ==, "");
    w2w_client_run_resumable(client, "sample", worker_fixture_make_values(1, 1), "layer 1", TRUE,
                             worker_fixture_add_result, results, NULL, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(results->len, ==, 1);
    worker_fixture_kill(worker_fixture_get_pid(client), SIGTERM);
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--client") == 0)
        return run_as_client();
    worker_fixture_begin(&argc, &argv);
    g_test_add_func("/worker/resume/cancelled", test_cancelled);
    g_test_add_func("/worker/resume/subject", test_subject);
    g_test_add_func("/worker/resume/stopped-early", test_stopped_early);
    g_test_add_func("/worker/resume/vanished-client", test_vanished_client);
    g_test_add_func("/worker/resume/of-no-use", test_of_no_use);
    return worker_fixture_end(g_test_run());
}

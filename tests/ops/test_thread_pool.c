/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The cpu device's threads: every task exactly once, visible to the caller afterwards, however
 * long the pause before, however many threads compete for the processors.
 */
#include "engine/device/cpu/thread_pool.h"

#define N_SLOTS 4096

/* What tasks leave behind, not atomic on purpose: the pool alone has to order it. */
typedef struct {
    guint n_threads;
    guint round; /* changes with every run */
    guint task_round[N_SLOTS];
    guint task_count[N_SLOTS];
    gboolean bad_thread[N_SLOTS];
    gulong slow_microseconds; /* the first task's */
} Record;

static void record_task(gconstpointer data, guint task, guint thread)
{
    Record *record = (Record *)data;

    if (task == 0 && record->slow_microseconds > 0)
        g_usleep(record->slow_microseconds);
    record->task_round[task] = record->round;
    record->task_count[task]++;
    record->bad_thread[task] = thread >= record->n_threads;
}

static void run_and_check(W2wThreadPool *pool, Record *record, guint n_tasks)
{
    record->n_threads = w2w_thread_pool_get_n_threads(pool);
    record->round++;
    for (guint task = 0; task < N_SLOTS; task++)
        record->task_count[task] = 0;
    w2w_thread_pool_run(pool, n_tasks, record_task, record);
    for (guint task = 0; task < n_tasks; task++) {
        g_assert_cmpuint(record->task_count[task], ==, 1);
        g_assert_cmpuint(record->task_round[task], ==, record->round);
        g_assert_false(record->bad_thread[task]);
    }
    for (guint task = n_tasks; task < N_SLOTS; task++)
        g_assert_cmpuint(record->task_count[task], ==, 0);
}

static void test_every_task_once(void)
{
    const guint n_tasks[] = {0, 1, 2, 3, 7, 64, 1000, N_SLOTS};
    g_autofree Record *record = g_new0(Record, 1);

    for (guint n_threads = 1; n_threads <= 5; n_threads++) {
        W2wThreadPool *pool = w2w_thread_pool_new(n_threads);

        g_assert_cmpuint(w2w_thread_pool_get_n_threads(pool), ==, n_threads);
        for (guint i = 0; i < 20; i++)
            for (gsize j = 0; j < G_N_ELEMENTS(n_tasks); j++)
                run_and_check(pool, record, n_tasks[j]);
        w2w_thread_pool_free(pool);
    }
}

static void test_many_runs_in_a_row(void)
{
    W2wThreadPool *pool = w2w_thread_pool_new(2);
    g_autofree Record *record = g_new0(Record, 1);

    record->n_threads = 2;
    for (guint i = 0; i < 20000; i++) {
        const guint n_tasks = 2 + i % 5;

        record->round++;
        w2w_thread_pool_run(pool, n_tasks, record_task, record);
        for (guint task = 0; task < n_tasks; task++)
            g_assert_cmpuint(record->task_round[task], ==, record->round);
    }
    w2w_thread_pool_free(pool);
}

static void test_more_threads_than_processors(void)
{
    W2wThreadPool *pool = w2w_thread_pool_new(4 * g_get_num_processors() + 3);
    g_autofree Record *record = g_new0(Record, 1);

    for (guint i = 0; i < 200; i++)
        run_and_check(pool, record, i % 100);
    w2w_thread_pool_free(pool);
}

/* Pauses on both sides of the time that threads spin before they sleep. */
static void test_wakes_after_pauses(void)
{
    const gulong pauses[] = {0, 10, 30, 40, 50, 100, 1000, 20000};
    W2wThreadPool *pool = w2w_thread_pool_new(3);
    g_autofree Record *record = g_new0(Record, 1);

    for (guint i = 0; i < 20; i++)
        for (gsize j = 0; j < G_N_ELEMENTS(pauses); j++) {
            g_usleep(pauses[j]);
            run_and_check(pool, record, 5);
        }
    w2w_thread_pool_free(pool);
}

/* run() returns after the slowest task, whether it has to spin or to sleep for it. */
static void test_waits_for_slow_task(void)
{
    const gulong pauses[] = {10, 40, 80, 100, 5000};
    W2wThreadPool *pool = w2w_thread_pool_new(2);
    g_autofree Record *record = g_new0(Record, 1);

    for (guint i = 0; i < 20; i++)
        for (gsize j = 0; j < G_N_ELEMENTS(pauses); j++) {
            record->slow_microseconds = pauses[j];
            run_and_check(pool, record, 3);
        }
    w2w_thread_pool_free(pool);
}

static void meet(gconstpointer data, guint task, guint thread)
{
    gint *n_present = (gint *)data;
    const gint64 give_up = g_get_monotonic_time() + 20 * G_USEC_PER_SEC;

    g_atomic_int_inc(n_present);
    while (g_atomic_int_get(n_present) < 3 && g_get_monotonic_time() < give_up)
        g_usleep(100);
}

/* Three tasks that each wait for the other two: done in time only by three threads. */
static void test_tasks_run_at_the_same_time(void)
{
    W2wThreadPool *pool = w2w_thread_pool_new(3);

    for (guint i = 0; i < 20; i++) {
        gint n_present = 0;
        const gint64 start = g_get_monotonic_time();

        w2w_thread_pool_run(pool, 3, meet, &n_present);
        g_assert_cmpint(n_present, ==, 3);
        g_assert_cmpint(g_get_monotonic_time() - start, <, 20 * G_USEC_PER_SEC);
    }
    w2w_thread_pool_free(pool);
}

static void test_default_size(void)
{
    W2wThreadPool *pool = w2w_thread_pool_new(0);

    g_assert_cmpuint(w2w_thread_pool_get_n_threads(pool), ==, g_get_num_processors());
    w2w_thread_pool_free(pool);
}

static void test_frees_unused(void)
{
    for (guint i = 0; i < 200; i++)
        w2w_thread_pool_free(w2w_thread_pool_new(1 + i % 4));
    w2w_thread_pool_free(NULL);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/thread-pool/every-task-once", test_every_task_once);
    g_test_add_func("/thread-pool/many-runs-in-a-row", test_many_runs_in_a_row);
    g_test_add_func("/thread-pool/more-threads-than-processors", test_more_threads_than_processors);
    g_test_add_func("/thread-pool/wakes-after-pauses", test_wakes_after_pauses);
    g_test_add_func("/thread-pool/waits-for-slow-task", test_waits_for_slow_task);
    g_test_add_func("/thread-pool/tasks-run-at-the-same-time", test_tasks_run_at_the_same_time);
    g_test_add_func("/thread-pool/default-size", test_default_size);
    g_test_add_func("/thread-pool/frees-unused", test_frees_unused);
    return g_test_run();
}

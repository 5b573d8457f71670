/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One counter says it all: `n_left`, the tasks that nobody has taken. Taking one is a
 * compare-and-swap from n to n − 1; who succeeds owns task n − 1, and because an owned
 * task keeps run() from returning, the job's fields cannot change under its owner. A
 * thread that wakes late finds 0 and has touched nothing, so run() waits for tasks, never
 * for threads: one that the system has put aside without a task costs nothing.
 *
 * Going to sleep is Dekker's handshake: the sleeper announces itself, then looks at the
 * counter; the other side changes the counter, then looks for sleepers. Both sequentially
 * consistent, so one of the two sees the other.
 */
#include "engine/device/cpu/thread_pool.h"

#include <sched.h>
#include <stdatomic.h>

/* More than any machine profits from; a wild number from a user must not start that many. */
#define MAX_THREADS 512
/* The next op of a graph follows within some microseconds; a sleeper takes about 50 to wake. */
#define SPIN_MICROSECONDS        40
#define PAUSES_PER_LOOK_AT_CLOCK 64
#define CACHE_LINE               64

struct _W2wThreadPool {
    /* What everybody spins on, each on a cache line of its own. */
    _Atomic guint n_left __attribute__((aligned(CACHE_LINE)));       /* tasks to be taken */
    _Atomic guint n_unfinished __attribute__((aligned(CACHE_LINE))); /* tasks not yet done */

    /* The job: written before n_left, read by owners of a task. */
    W2wTaskFunc func __attribute__((aligned(CACHE_LINE)));
    gconstpointer data;

    _Atomic guint n_sleeping;       /* workers asleep, or about to be */
    _Atomic gboolean caller_sleeps; /* run() is waiting in `done` */
    _Atomic gboolean quit;
    GMutex mutex;
    GCond work, done;

    guint n_threads; /* with the caller's */
    struct Worker {
        W2wThreadPool *pool;
        guint index;
        GThread *thread;
    } * workers; /* n_threads − 1 */
};

static inline void pause_processor(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* Runs tasks until there are none left to take. */
static void take_tasks(W2wThreadPool *pool, guint thread)
{
    guint left = atomic_load_explicit(&pool->n_left, memory_order_relaxed);

    while (left > 0) {
        if (!atomic_compare_exchange_weak_explicit(&pool->n_left, &left, left - 1,
                                                   memory_order_acquire, memory_order_relaxed))
            continue;
        pool->func(pool->data, left - 1, thread);
        if (atomic_fetch_sub(&pool->n_unfinished, 1) == 1 && atomic_load(&pool->caller_sleeps)) {
            g_mutex_lock(&pool->mutex);
            g_cond_signal(&pool->done);
            g_mutex_unlock(&pool->mutex);
        }
        left = atomic_load_explicit(&pool->n_left, memory_order_relaxed);
    }
}

/* Spins until the counter is (not) zero; FALSE after some time in vain. */
static gboolean spin(const _Atomic guint *counter, gboolean wanted_zero)
{
    gint64 give_up = 0;

    for (;;) {
        gint64 now;

        for (int i = 0; i < PAUSES_PER_LOOK_AT_CLOCK; i++) {
            if ((atomic_load_explicit(counter, memory_order_acquire) == 0) == wanted_zero)
                return TRUE;
            pause_processor();
        }
        now = g_get_monotonic_time();
        if (give_up == 0)
            give_up = now + SPIN_MICROSECONDS;
        else if (now > give_up)
            return FALSE;
    }
}

static gpointer worker_main(gpointer data)
{
    struct Worker *worker = data;
    W2wThreadPool *pool = worker->pool;

    while (!atomic_load(&pool->quit)) {
        if (!spin(&pool->n_left, FALSE)) {
            g_mutex_lock(&pool->mutex);
            atomic_fetch_add(&pool->n_sleeping, 1);
            while (atomic_load(&pool->n_left) == 0 && !atomic_load(&pool->quit))
                g_cond_wait(&pool->work, &pool->mutex);
            atomic_fetch_sub(&pool->n_sleeping, 1);
            g_mutex_unlock(&pool->mutex);
        }
        take_tasks(pool, worker->index);
    }
    return NULL;
}

W2wThreadPool *w2w_thread_pool_new(guint n_threads)
{
    W2wThreadPool *pool = g_aligned_alloc0(1, sizeof *pool, CACHE_LINE);

    if (n_threads == 0)
        n_threads = g_get_num_processors(); /* of this process: looks at its affinity */
    n_threads = MIN(n_threads, MAX_THREADS);
    g_mutex_init(&pool->mutex);
    g_cond_init(&pool->work);
    g_cond_init(&pool->done);
    pool->workers = g_new0(struct Worker, n_threads);
    pool->n_threads = 1;
    while (pool->n_threads < n_threads) {
        struct Worker *worker = &pool->workers[pool->n_threads - 1];

        worker->pool = pool;
        worker->index = pool->n_threads;
        worker->thread = g_thread_try_new("w2w-cpu", worker_main, worker, NULL);
        if (worker->thread == NULL) /* the system gives no more: fewer do as well */
            break;
        pool->n_threads++;
    }
    return pool;
}

void w2w_thread_pool_free(W2wThreadPool *pool)
{
    if (pool == NULL)
        return;
    g_mutex_lock(&pool->mutex);
    atomic_store(&pool->quit, TRUE);
    g_cond_broadcast(&pool->work);
    g_mutex_unlock(&pool->mutex);
    for (guint i = 0; i + 1 < pool->n_threads; i++)
        g_thread_join(pool->workers[i].thread);
    g_free(pool->workers);
    g_cond_clear(&pool->done);
    g_cond_clear(&pool->work);
    g_mutex_clear(&pool->mutex);
    g_aligned_free(pool);
}

guint w2w_thread_pool_get_n_threads(const W2wThreadPool *pool)
{
    return pool->n_threads;
}

static void wake_workers(W2wThreadPool *pool, guint n_tasks)
{
    guint n = MIN(atomic_load(&pool->n_sleeping), n_tasks - 1);

    if (n == 0)
        return;
    g_mutex_lock(&pool->mutex);
    while (n-- > 0)
        g_cond_signal(&pool->work);
    g_mutex_unlock(&pool->mutex);
}

/* The last tasks are somewhere else: spin, let others run, sleep. */
static void wait_until_done(W2wThreadPool *pool)
{
    if (spin(&pool->n_unfinished, TRUE))
        return;
    sched_yield();
    if (spin(&pool->n_unfinished, TRUE))
        return;
    g_mutex_lock(&pool->mutex);
    atomic_store(&pool->caller_sleeps, TRUE);
    while (atomic_load(&pool->n_unfinished) > 0)
        g_cond_wait(&pool->done, &pool->mutex);
    atomic_store(&pool->caller_sleeps, FALSE);
    g_mutex_unlock(&pool->mutex);
}

void w2w_thread_pool_run(W2wThreadPool *pool, guint n_tasks, W2wTaskFunc func, gconstpointer data)
{
    if (n_tasks <= 1 || pool->n_threads == 1) {
        for (guint task = 0; task < n_tasks; task++)
            func(data, task, 0);
        return;
    }
    pool->func = func;
    pool->data = data;
    atomic_store_explicit(&pool->n_unfinished, n_tasks, memory_order_relaxed);
    atomic_store(&pool->n_left, n_tasks); /* releases the job */
    wake_workers(pool, n_tasks);
    take_tasks(pool, 0);
    wait_until_done(pool);
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A thread that waits for signals: in a handler hardly anything may be called, here everything. */
#include "cli/interrupt.h"

#include <pthread.h>
#include <signal.h>

static GCancellable *cancellable;
static sigset_t signals;

static gpointer wait_for_signals(gpointer data)
{
    int number = 0;

    if (sigwait(&signals, &number) != 0)
        return NULL;
    g_cancellable_cancel(cancellable);
    if (sigwait(&signals, &number) != 0)
        return NULL;
    signal(number, SIG_DFL);
    pthread_sigmask(SIG_UNBLOCK, &signals, NULL);
    raise(number);
    return NULL;
}

GCancellable *w2w_interrupt_start(void)
{
    const int numbers[] = {SIGINT, SIGTERM, SIGHUP};

    g_assert(cancellable == NULL);
    cancellable = g_cancellable_new();
    sigemptyset(&signals);
    for (guint i = 0; i < G_N_ELEMENTS(numbers); i++) {
        struct sigaction action;

        if (sigaction(numbers[i], NULL, &action) == 0 && action.sa_handler != SIG_IGN)
            sigaddset(&signals, numbers[i]);
    }
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    g_thread_unref(g_thread_new("signals", wait_for_signals, NULL));
    return cancellable;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The thread that works, and what it says to clients meanwhile. */
#include "worker/job_queue.h"

#include <gio/gunixfdlist.h>
#include <string.h>

#include "client/protocol.h"
#include "client/shared_memory.h"
#include "engine/error.h"
#include "worker/kept_results.h"
#include "worker/models.h"
#include "worker/result_message.h"

typedef struct {
    GDBusMethodInvocation *invocation;
    GDBusConnection *connection;
    GCancellable *cancellable;
    guint id;
    char *job;
    char *world;
    GVariant *values;
    GUnixFDList *descriptors; /* of the values; may be NULL */
    char *subject;            /* "": the client gave none */
    gboolean resume;
    W2wKeptResults *kept; /* the queue's */
    char *key;            /* in it; NULL: this job cannot be resumed */
    gint64 last_report;
    GError *error; /* a result that could not be sent */
} Task;

struct _W2wJobQueue {
    GThread *thread;
    GMutex mutex;
    GCond cond;
    GQueue waiting; /* Task */
    Task *running;
    gboolean ending;
    W2wJobQueueStatus status; /* up to here under the mutex */
    W2wModels *models;        /* the thread's */
    W2wKeptResults *kept;
};

static Task *task_new(GDBusMethodInvocation *invocation)
{
    Task *task = g_new0(Task, 1);

    task->invocation = invocation;
    task->connection = g_object_ref(g_dbus_method_invocation_get_connection(invocation));
    task->cancellable = g_cancellable_new();
    task->descriptors =
        g_dbus_message_get_unix_fd_list(g_dbus_method_invocation_get_message(invocation));
    if (task->descriptors != NULL)
        g_object_ref(task->descriptors);
    g_variant_get(g_dbus_method_invocation_get_parameters(invocation), "(us^ay@a{sv}sb)", &task->id,
                  &task->job, &task->world, &task->values, &task->subject, &task->resume);
    return task;
}

/* Replies, with success where `error` is NULL, and frees both. */
static void task_end(Task *task, GError *error)
{
    if (error != NULL) {
        /* Messages may quote names of files in any encoding. */
        g_autofree char *message = g_utf8_make_valid(error->message, -1);

        g_dbus_method_invocation_return_error_literal(task->invocation, error->domain, error->code,
                                                      message);
        g_error_free(error);
    } else {
        g_dbus_method_invocation_return_value(task->invocation, NULL);
    }
    g_clear_error(&task->error);
    g_object_unref(task->connection);
    g_object_unref(task->cancellable);
    g_clear_object(&task->descriptors);
    g_variant_unref(task->values);
    g_free(task->job);
    g_free(task->world);
    g_free(task->subject);
    g_free(task->key);
    g_free(task);
}

static void send_signal(Task *task, const char *name, GVariant *body, GUnixFDList *descriptors)
{
    g_autoptr(GDBusMessage) message =
        g_dbus_message_new_signal(W2W_PROTOCOL_PATH, W2W_PROTOCOL_INTERFACE, name);

    g_dbus_message_set_body(message, body);
    if (descriptors != NULL)
        g_dbus_message_set_unix_fd_list(message, descriptors);
    /* A client that is gone cancels its jobs by being gone. */
    g_dbus_connection_send_message(task->connection, message, G_DBUS_SEND_MESSAGE_FLAGS_NONE, NULL,
                                   NULL);
}

static void report(double fraction, const char *text, gpointer user_data)
{
    Task *task = user_data;
    const gint64 now = g_get_monotonic_time();
    g_autofree char *valid = NULL;

    if (task->last_report != 0 && now - task->last_report < W2W_PROTOCOL_PROGRESS_INTERVAL)
        return;
    task->last_report = now;
    valid = g_utf8_make_valid(text, -1);
    send_signal(task, "Progress", g_variant_new("(uds)", task->id, fraction, valid), NULL);
}

static void on_result(W2wJobResult *given, gpointer user_data)
{
    g_autoptr(W2wJobResult) result = given;
    g_autoptr(GUnixFDList) descriptors = g_unix_fd_list_new();
    Task *task = user_data;
    GVariant *dictionary;

    if (task->error != NULL)
        return;
    /* The client may be gone by now; if it comes back, this is waiting. */
    if (task->key != NULL && result->identity != NULL &&
        g_cancellable_is_cancelled(task->cancellable))
        w2w_kept_results_put(task->kept, task->key, result);
    dictionary = w2w_result_to_variant(result, descriptors, &task->error);
    if (dictionary == NULL) {
        g_cancellable_cancel(task->cancellable);
        return;
    }
    send_signal(task, "Result", g_variant_new("(u@a{sv})", task->id, dictionary), descriptors);
}

static void count_load(W2wJobQueue *queue, W2wPipeline *pipeline)
{
    g_mutex_lock(&queue->mutex);
    queue->status.n_loads++;
    g_free(queue->status.device);
    queue->status.device = w2w_device_describe(w2w_pipeline_get_device(pipeline));
    g_mutex_unlock(&queue->mutex);
}

/*
 * Where the job was cancelled earlier, it goes on from what it had found then. Of no use any more
 * (the world has another space by now), that is forgotten; not where something else is wrong with
 * the call, which the job says itself.
 */
static gboolean take_up(Task *task, const W2wJob *job, W2wWorld *world, W2wValues *values,
                        GError **error)
{
    g_autoptr(GBytes) identity = w2w_kept_results_get(task->kept, task->key, NULL);
    g_autoptr(GError) problem = NULL;

    if (identity == NULL || w2w_values_get_bytes(values, job->resumes_from) != NULL)
        return TRUE;
    if (!w2w_values_set_bytes(values, job->resumes_from, identity, error))
        return FALSE;
    if (job->check(world, values, &problem) ||
        !g_error_matches(problem, W2W_ERROR, W2W_ERROR_MISMATCH))
        return TRUE;
    if (!w2w_values_set_bytes(values, job->resumes_from, NULL, error))
        return FALSE;
    if (job->check(world, values, NULL)) /* without it all is well */
        w2w_kept_results_remove(task->kept, task->key);
    return TRUE;
}

static gboolean run(W2wJobQueue *queue, Task *task, GError **error)
{
    const W2wProgress progress = {report, task, task->cancellable};
    const W2wJob *job = w2w_job_lookup(task->job);
    g_autoptr(GVariant) given = NULL;
    g_autoptr(W2wValues) values = NULL;
    W2wPipeline *pipeline;
    gboolean loaded;

    if (job == NULL) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_USAGE, "There is no job “%s”.", task->job);
        return FALSE;
    }
    values = w2w_values_new(job->parameters, job->n_parameters);
    given = w2w_shared_memory_unpack(task->values, task->descriptors, error);
    if (given == NULL || !w2w_values_set_variant(values, given, error) ||
        !w2w_progress_step(&progress, 0.0, "Opening the model", error))
        return FALSE;
    pipeline = w2w_models_get(queue->models, task->world, job, values, &loaded, error);
    if (pipeline == NULL)
        return FALSE;
    if (loaded)
        count_load(queue, pipeline);
    task->key = w2w_kept_results_make_key(job, task->world, task->subject, values);
    if (task->resume && task->key != NULL &&
        !take_up(task, job, w2w_pipeline_get_world(pipeline), values, error))
        return FALSE;
    if (!job->run(pipeline, values, on_result, task, &progress, error))
        return FALSE;
    if (task->key != NULL)
        w2w_kept_results_remove(task->kept, task->key);
    return TRUE;
}

static void run_and_reply(W2wJobQueue *queue, Task *task)
{
    GError *error = NULL;

    run(queue, task, &error);
    if (task->error != NULL) {
        g_clear_error(&error);
        error = g_steal_pointer(&task->error);
    }
    g_mutex_lock(&queue->mutex);
    queue->running = NULL;
    queue->status.n_jobs++;
    g_mutex_unlock(&queue->mutex);
    task_end(task, error);
}

static gpointer work(gpointer data)
{
    W2wJobQueue *queue = data;

    g_mutex_lock(&queue->mutex);
    while (!queue->ending) {
        queue->running = g_queue_pop_head(&queue->waiting);
        if (queue->running == NULL) {
            g_cond_wait(&queue->cond, &queue->mutex);
        } else {
            Task *task = queue->running;

            g_mutex_unlock(&queue->mutex);
            run_and_reply(queue, task);
            g_mutex_lock(&queue->mutex);
        }
    }
    g_mutex_unlock(&queue->mutex);
    return NULL;
}

W2wJobQueue *w2w_job_queue_new(void)
{
    W2wJobQueue *queue = g_new0(W2wJobQueue, 1);

    g_mutex_init(&queue->mutex);
    g_cond_init(&queue->cond);
    g_queue_init(&queue->waiting);
    queue->status.device = g_strdup("");
    queue->models = w2w_models_new();
    queue->kept = w2w_kept_results_new();
    queue->thread = g_thread_new("jobs", work, queue);
    return queue;
}

/* NULL: of all connections; id 0: all of its jobs (clients count from 1). */
static void cancel(W2wJobQueue *queue, GDBusConnection *connection, guint id)
{
    GQueue removed = G_QUEUE_INIT;
    GList *next;
    Task *task;

#define MATCHES(t)                                                                                 \
    ((connection == NULL || (t)->connection == connection) && (id == 0 || (t)->id == id))
    g_mutex_lock(&queue->mutex);
    if (queue->running != NULL && MATCHES(queue->running))
        g_cancellable_cancel(queue->running->cancellable);
    for (GList *link = queue->waiting.head; link != NULL; link = next) {
        next = link->next;
        if (MATCHES((Task *)link->data)) {
            g_queue_unlink(&queue->waiting, link);
            g_queue_push_tail_link(&removed, link);
        }
    }
    g_mutex_unlock(&queue->mutex);
#undef MATCHES
    while ((task = g_queue_pop_head(&removed)) != NULL)
        task_end(task, g_error_new(G_IO_ERROR, G_IO_ERROR_CANCELLED, "The job was cancelled."));
}

void w2w_job_queue_free(W2wJobQueue *queue)
{
    if (queue == NULL)
        return;
    g_mutex_lock(&queue->mutex);
    queue->ending = TRUE;
    g_cond_signal(&queue->cond);
    g_mutex_unlock(&queue->mutex);
    cancel(queue, NULL, 0);
    g_thread_join(queue->thread);
    w2w_models_free(queue->models);
    w2w_kept_results_free(queue->kept);
    g_mutex_clear(&queue->mutex);
    g_cond_clear(&queue->cond);
    g_free(queue->status.device);
    g_free(queue);
}

void w2w_job_queue_push(W2wJobQueue *queue, GDBusMethodInvocation *invocation)
{
    Task *task = task_new(invocation);

    task->kept = queue->kept;
    g_mutex_lock(&queue->mutex);
    g_queue_push_tail(&queue->waiting, task);
    g_cond_signal(&queue->cond);
    g_mutex_unlock(&queue->mutex);
}

void w2w_job_queue_cancel(W2wJobQueue *queue, GDBusConnection *connection, guint id)
{
    if (id != 0)
        cancel(queue, connection, id);
}

void w2w_job_queue_cancel_all(W2wJobQueue *queue, GDBusConnection *connection)
{
    cancel(queue, connection, 0);
}

gboolean w2w_job_queue_is_busy(W2wJobQueue *queue)
{
    gboolean busy;

    g_mutex_lock(&queue->mutex);
    busy = queue->running != NULL || queue->waiting.length > 0;
    g_mutex_unlock(&queue->mutex);
    return busy;
}

W2wJobQueueStatus w2w_job_queue_get_status(W2wJobQueue *queue)
{
    W2wJobQueueStatus status;

    g_mutex_lock(&queue->mutex);
    status = queue->status;
    status.device = g_strdup(queue->status.device);
    g_mutex_unlock(&queue->mutex);
    return status;
}

void w2w_job_queue_find_kept(W2wJobQueue *queue, GDBusMethodInvocation *invocation)
{
    g_autofree char *name = NULL, *world = NULL, *subject = NULL, *key = NULL, *text = NULL;
    g_autoptr(GVariant) packed = NULL;
    g_autoptr(GVariant) given = NULL;
    g_autoptr(W2wValues) values = NULL;
    g_autoptr(GBytes) identity = NULL;
    GError *error = NULL;
    const W2wJob *job;

    g_variant_get(g_dbus_method_invocation_get_parameters(invocation), "(s^ay@a{sv}s)", &name,
                  &world, &packed, &subject);
    job = w2w_job_lookup(name);
    if (job != NULL) {
        values = w2w_values_new(job->parameters, job->n_parameters);
        given = w2w_shared_memory_unpack(
            packed,
            g_dbus_message_get_unix_fd_list(g_dbus_method_invocation_get_message(invocation)),
            &error);
        if (given == NULL || !w2w_values_set_variant(values, given, &error)) {
            g_dbus_method_invocation_take_error(invocation, error);
            return;
        }
        key = w2w_kept_results_make_key(job, world, subject, values);
        identity = w2w_kept_results_get(queue->kept, key, &text);
    }
    g_dbus_method_invocation_return_value(
        invocation, g_variant_new("(bs)", identity != NULL, text != NULL ? text : ""));
}

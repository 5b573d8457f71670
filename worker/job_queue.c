/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The thread that works, and what it says to clients meanwhile. */
#include "worker/job_queue.h"

#include <errno.h>
#include <fcntl.h>
#include <gio/gunixfdlist.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "client/protocol.h"
#include "engine/error.h"
#include "worker/models.h"

typedef struct {
    GDBusMethodInvocation *invocation;
    GDBusConnection *connection;
    GCancellable *cancellable;
    guint id;
    char *job;
    char *world;
    GVariant *values;
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
};

static Task *task_new(GDBusMethodInvocation *invocation)
{
    Task *task = g_new0(Task, 1);

    task->invocation = invocation;
    task->connection = g_object_ref(g_dbus_method_invocation_get_connection(invocation));
    task->cancellable = g_cancellable_new();
    g_variant_get(g_dbus_method_invocation_get_parameters(invocation), "(us^ay@a{sv})", &task->id,
                  &task->job, &task->world, &task->values);
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
    g_variant_unref(task->values);
    g_free(task->job);
    g_free(task->world);
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

/* Sealed: nobody changes it, or its size, any more. -1: errno says why. */
static int make_shared_pixels(const W2wPicture *picture)
{
    const gsize size = 3 * (gsize)picture->width * picture->height;
    const int descriptor = memfd_create("w2w-picture", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    gsize n = 0;

    while (descriptor >= 0 && n < size) {
        const gssize n_written = write(descriptor, picture->pixels + n, size - n);

        if (n_written < 0 && errno != EINTR)
            goto failed;
        n += MAX(n_written, 0);
    }
    if (descriptor >= 0 && fcntl(descriptor, F_ADD_SEALS,
                                 F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) != 0)
        goto failed;
    return descriptor;

failed : {
    const int saved = errno;

    close(descriptor);
    errno = saved;
    return -1;
}
}

static gboolean add_picture(GVariantDict *dictionary, const W2wPicture *picture,
                            GUnixFDList *descriptors, GError **error)
{
    const int descriptor = make_shared_pixels(picture);
    gint handle;

    if (descriptor < 0) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_MEMORY,
                    "There is no shared memory for a picture of %u × %u pixels: %s.",
                    picture->width, picture->height, g_strerror(errno));
        return FALSE;
    }
    handle = g_unix_fd_list_append(descriptors, descriptor, error);
    close(descriptor);
    if (handle < 0)
        return FALSE;
    g_variant_dict_insert(dictionary, "picture", "h", handle);
    g_variant_dict_insert(dictionary, "width", "u", picture->width);
    g_variant_dict_insert(dictionary, "height", "u", picture->height);
    return TRUE;
}

static void add_string(GVariantDict *dictionary, const char *name, const char *string)
{
    if (string != NULL)
        g_variant_dict_insert_value(dictionary, name,
                                    g_variant_new_take_string(g_utf8_make_valid(string, -1)));
}

static void add_files(GVariantDict *dictionary, const GPtrArray *files)
{
    GVariantBuilder builder;

    g_variant_builder_init(&builder, G_VARIANT_TYPE("a(say)"));
    for (guint i = 0; i < files->len; i++) {
        const W2wJobFile *file = files->pdata[i];
        g_autofree char *name = g_utf8_make_valid(file->name, -1);

        g_variant_builder_add(
            &builder, "(s@ay)", name,
            g_variant_new_from_bytes(G_VARIANT_TYPE_BYTESTRING, file->bytes, TRUE));
    }
    g_variant_dict_insert_value(dictionary, "files", g_variant_builder_end(&builder));
}

static gboolean check_size(const W2wJobResult *result, GError **error)
{
    gsize size = result->identity != NULL ? g_bytes_get_size(result->identity) : 0;

    for (guint i = 0; result->files != NULL && i < result->files->len; i++)
        size += g_bytes_get_size(((W2wJobFile *)result->files->pdata[i])->bytes);
    if (size > W2W_PROTOCOL_MAX_BYTES) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_UNSUPPORTED,
                    "The files of the result have %" G_GSIZE_FORMAT
                    " bytes, and the worker hands on up to %d; the command line writes files of "
                    "any size.",
                    size, W2W_PROTOCOL_MAX_BYTES);
        return FALSE;
    }
    return TRUE;
}

static void on_result(W2wJobResult *given, gpointer user_data)
{
    g_autoptr(W2wJobResult) result = given;
    g_autoptr(GUnixFDList) descriptors = g_unix_fd_list_new();
    g_auto(GVariantDict) dictionary = G_VARIANT_DICT_INIT(NULL);
    Task *task = user_data;

    if (task->error != NULL)
        return;
    if (!check_size(result, &task->error) ||
        (result->picture != NULL &&
         !add_picture(&dictionary, result->picture, descriptors, &task->error))) {
        g_cancellable_cancel(task->cancellable);
        return;
    }
    if (result->identity != NULL)
        g_variant_dict_insert_value(
            &dictionary, "identity",
            g_variant_new_from_bytes(G_VARIANT_TYPE_BYTESTRING, result->identity, TRUE));
    g_variant_dict_insert(&dictionary, "seed", "t", result->seed);
    add_string(&dictionary, "name", result->name);
    add_string(&dictionary, "recipe", result->recipe);
    add_string(&dictionary, "message", result->message);
    add_string(&dictionary, "report", result->report);
    add_string(&dictionary, "stem", result->stem);
    if (result->files != NULL)
        add_files(&dictionary, result->files);
    send_signal(task, "Result",
                g_variant_new("(u@a{sv})", task->id, g_variant_dict_end(&dictionary)), descriptors);
}

static void count_load(W2wJobQueue *queue, W2wPipeline *pipeline)
{
    g_mutex_lock(&queue->mutex);
    queue->status.n_loads++;
    g_free(queue->status.device);
    queue->status.device = w2w_device_describe(w2w_pipeline_get_device(pipeline));
    g_mutex_unlock(&queue->mutex);
}

static gboolean run(W2wJobQueue *queue, Task *task, GError **error)
{
    const W2wProgress progress = {report, task, task->cancellable};
    const W2wJob *job = w2w_job_lookup(task->job);
    g_autoptr(W2wValues) values = NULL;
    W2wPipeline *pipeline;
    gboolean loaded;

    if (job == NULL) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_USAGE, "There is no job “%s”.", task->job);
        return FALSE;
    }
    values = w2w_values_new(job->parameters, job->n_parameters);
    if (!w2w_values_set_variant(values, task->values, error) ||
        !w2w_progress_step(&progress, 0.0, "Opening the model", error))
        return FALSE;
    pipeline = w2w_models_get(queue->models, task->world, job, values, &loaded, error);
    if (pipeline == NULL)
        return FALSE;
    if (loaded)
        count_load(queue, pipeline);
    return job->run(pipeline, values, on_result, task, &progress, error);
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
    g_mutex_clear(&queue->mutex);
    g_cond_clear(&queue->cond);
    g_free(queue->status.device);
    g_free(queue);
}

void w2w_job_queue_push(W2wJobQueue *queue, GDBusMethodInvocation *invocation)
{
    Task *task = task_new(invocation);

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

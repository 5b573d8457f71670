/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Finding a worker and asking it.
 *
 * A plug-in has no main loop, so every call here waits on a main context of its own. Signals
 * are taken off the connection by a filter, which sees messages in their order and with their
 * descriptors (GDBus's signal subscriptions drop those); they wait in a queue for the caller's
 * thread.
 */
#include "client/client.h"

#include <gio/gunixfdlist.h>
#include <string.h>
#include <unistd.h>

#include "client/launch.h"
#include "client/protocol.h"
#include "client/result.h"
#include "client/shared_memory.h"
#include "client/worker_folder.h"
#include "engine/error.h"

#define ANSWER_SECONDS 10 /* for everything but jobs: the worker's main loop is never busy */
#define LOCK_SECONDS   30

/* D-Bus allows 64 MiB in one array; room for the rest of the call. */
#define MAX_VALUES (60 * 1024 * 1024)

struct _W2wClient {
    W2wWorkerPlaces places;
    char *world; /* absolute: the worker has another current folder */
    gint32 parent_pid;
    GMainContext *context;
    GDBusConnection *connection; /* NULL: none yet, or it was lost */
    GAsyncQueue *signals;        /* GDBusMessage */
    guint last_id;
};

/* What a filter needs; the connection may keep its filter longer than the client lives. */
typedef struct {
    GAsyncQueue *signals;
    GMainContext *context;
} Filter;

static void filter_free(gpointer data)
{
    Filter *filter = data;

    g_async_queue_unref(filter->signals);
    g_main_context_unref(filter->context);
    g_free(filter);
}

/* In the connection's own thread. */
static GDBusMessage *filter_message(GDBusConnection *connection, GDBusMessage *message,
                                    gboolean incoming, gpointer user_data)
{
    Filter *filter = user_data;

    if (!incoming || g_dbus_message_get_message_type(message) != G_DBUS_MESSAGE_TYPE_SIGNAL)
        return message;
    g_async_queue_push(filter->signals, message); /* takes it over */
    g_main_context_wakeup(filter->context);
    return NULL;
}

/* One asynchronous call, waited for. */
typedef struct {
    GAsyncResult *result;
} Wait;

static void on_ready(GObject *source, GAsyncResult *result, gpointer user_data)
{
    Wait *wait = user_data;

    wait->result = g_object_ref(result);
}

static gboolean on_timeout(gpointer cancellable)
{
    g_cancellable_cancel(cancellable);
    return G_SOURCE_REMOVE;
}

/* Authentication has no timeout of its own. */
static GDBusConnection *open_connection(W2wClient *client, GError **error)
{
    g_autofree char *escaped = g_dbus_address_escape_value(client->places.socket);
    g_autofree char *address = g_strconcat("unix:path=", escaped, NULL);
    g_autoptr(GCancellable) cancellable = g_cancellable_new();
    GSource *timeout = g_timeout_source_new_seconds(ANSWER_SECONDS);
    GDBusConnection *connection;
    Wait wait = {NULL};

    g_source_set_callback(timeout, on_timeout, cancellable, NULL);
    g_source_attach(timeout, client->context);
    g_main_context_push_thread_default(client->context);
    g_dbus_connection_new_for_address(address, G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_CLIENT, NULL,
                                      cancellable, on_ready, &wait);
    while (wait.result == NULL)
        g_main_context_iteration(client->context, TRUE);
    g_main_context_pop_thread_default(client->context);
    g_source_destroy(timeout);
    g_source_unref(timeout);
    connection = g_dbus_connection_new_for_address_finish(wait.result, error);
    g_object_unref(wait.result);
    return connection;
}

static GVariant *ask_with(GDBusConnection *connection, const char *method, GVariant *arguments,
                          GUnixFDList *descriptors, const char *reply, GError **error)
{
    return g_dbus_connection_call_with_unix_fd_list_sync(
        connection, NULL, W2W_PROTOCOL_PATH, W2W_PROTOCOL_INTERFACE, method, arguments,
        G_VARIANT_TYPE(reply), G_DBUS_CALL_FLAGS_NONE, ANSWER_SECONDS * 1000, descriptors, NULL,
        NULL, error);
}

static GVariant *ask(GDBusConnection *connection, const char *method, GVariant *arguments,
                     const char *reply, GError **error)
{
    return ask_with(connection, method, arguments, NULL, reply, error);
}

/* TRUE: the program behind the connection is the one that would be started now. */
static gboolean greet(W2wClient *client, GDBusConnection *connection, gboolean *is_same,
                      GError **error)
{
    g_autofree char *build = w2w_launch_get_build(&client->places);
    g_autoptr(GVariant) reply =
        ask(connection, "Hello", g_variant_new("(si)", W2W_PROTOCOL_PROGRAM, client->parent_pid),
            "(ssi)", error);
    const char *its_program, *its_build;

    if (reply == NULL)
        return FALSE;
    g_variant_get(reply, "(&s&si)", &its_program, &its_build, NULL);
    /* A worker whose file is gone can still do its work. */
    *is_same = strcmp(its_program, W2W_PROTOCOL_PROGRAM) == 0 &&
               (*build == 0 || strcmp(its_build, build) == 0);
    return TRUE;
}

static void drop_connection(W2wClient *client)
{
    gpointer message;

    if (client->connection == NULL)
        return;
    g_dbus_connection_close_sync(client->connection, NULL, NULL);
    g_clear_object(&client->connection);
    while ((message = g_async_queue_try_pop(client->signals)) != NULL)
        g_object_unref(message);
}

static void keep_connection(W2wClient *client, GDBusConnection *connection)
{
    Filter *filter = g_new(Filter, 1);

    filter->signals = g_async_queue_ref(client->signals);
    filter->context = g_main_context_ref(client->context);
    client->connection = connection;
    g_dbus_connection_add_filter(connection, filter_message, filter, filter_free);
}

/* Under the lock. FALSE without an error: nobody is there, or who was there is leaving. */
static gboolean try_connect(W2wClient *client, GError **error)
{
    g_autoptr(GError) problem = NULL;
    g_autoptr(GDBusConnection) connection = open_connection(client, &problem);
    g_autofree char *log = g_filename_display_name(client->places.log);
    gboolean is_same = FALSE;
    GVariant *reply;

    if (g_error_matches(problem, G_IO_ERROR, G_IO_ERROR_CANCELLED) ||
        (connection != NULL && !greet(client, connection, &is_same, &problem) &&
         g_error_matches(problem, G_IO_ERROR, G_IO_ERROR_TIMED_OUT))) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_FAILED,
                    "The worker does not answer (log: %s). End the process w2w-worker and try "
                    "again.",
                    log);
        return FALSE;
    }
    if (connection == NULL)
        return FALSE;
    if (is_same) {
        keep_connection(client, g_steal_pointer(&connection));
        return TRUE;
    }
    /* Another program: it takes its socket away before it answers. */
    reply = ask(connection, "Quit", NULL, "()", NULL);
    if (reply != NULL)
        g_variant_unref(reply);
    g_dbus_connection_close_sync(connection, NULL, NULL);
    return FALSE;
}

static gboolean connect_locked(W2wClient *client, int lock, GError **error)
{
    g_autofree char *log = g_filename_display_name(client->places.log);
    GError *problem = NULL;

    if (try_connect(client, &problem))
        return TRUE;
    if (problem == NULL) {
        unlink(client->places.socket); /* of a worker that was killed */
        if (!w2w_launch(&client->places, lock, error))
            return FALSE;
        if (try_connect(client, &problem))
            return TRUE;
    }
    if (problem != NULL)
        g_propagate_error(error, problem);
    else
        g_set_error(error, W2W_ERROR, W2W_ERROR_FAILED,
                    "The worker %s started, but is of another version than this program (log: %s). "
                    "Install Weights2Weights again.",
                    client->places.program, log);
    return FALSE;
}

/* Connected, and the worker was alive a moment ago. */
static gboolean ensure_connected(W2wClient *client, GError **error)
{
    gboolean is_same, connected;
    int lock;

    if (client->connection != NULL && greet(client, client->connection, &is_same, NULL) && is_same)
        return TRUE;
    drop_connection(client);
    lock = w2w_worker_places_lock(&client->places, LOCK_SECONDS, error);
    if (lock < 0)
        return FALSE;
    connected = connect_locked(client, lock, error);
    close(lock);
    return connected;
}

static const char *choose_program(const W2wClientOptions *options)
{
    const char *program = options->worker_path;

    if (program == NULL)
        program = g_getenv("W2W_WORKER");
    return program != NULL && *program != 0 ? program : W2W_WORKER_PATH;
}

W2wClient *w2w_client_connect(const W2wClientOptions *options, GError **error)
{
    g_autoptr(W2wClient) client = g_new0(W2wClient, 1);

    /* Errors of these domains come over the wire, and are recognised only once they are known. */
    (void)W2W_ERROR;
    (void)G_IO_ERROR;
    client->context = g_main_context_new();
    client->signals = g_async_queue_new_full(g_object_unref);
    client->parent_pid = options->parent_pid;
    client->world = g_canonicalize_filename(options->world_directory != NULL
                                                ? options->world_directory
                                                : w2w_world_get_default_directory(),
                                            NULL);
    if (!w2w_worker_places_init(&client->places, choose_program(options), error) ||
        !ensure_connected(client, error))
        return NULL;
    return g_steal_pointer(&client);
}

void w2w_client_free(W2wClient *client)
{
    if (client == NULL)
        return;
    drop_connection(client);
    w2w_worker_places_clear(&client->places);
    g_async_queue_unref(client->signals);
    g_main_context_unref(client->context);
    g_free(client->world);
    g_free(client);
}

/* A running job as its caller sees it. */
typedef struct {
    W2wClient *client;
    guint id;
    W2wJobResultFunc on_result;
    gpointer user_data;
    const W2wProgress *progress;
    GError *error; /* the first result that could not be read */
} Run;

static void take_result(Run *run, GDBusMessage *message, GVariant *dictionary)
{
    W2wJobResult *result =
        w2w_result_from_variant(dictionary, g_dbus_message_get_unix_fd_list(message),
                                run->error == NULL ? &run->error : NULL);

    if (result != NULL)
        run->on_result(result, run->user_data);
}

static void take_signal(Run *run, GDBusMessage *message)
{
    const char *name = g_dbus_message_get_member(message);
    GVariant *body = g_dbus_message_get_body(message);
    guint id;

    if (body == NULL)
        return;
    if (g_strcmp0(name, "Result") == 0 && g_variant_is_of_type(body, G_VARIANT_TYPE("(ua{sv})"))) {
        g_autoptr(GVariant) dictionary = NULL;

        g_variant_get(body, "(u@a{sv})", &id, &dictionary);
        if (id == run->id)
            take_result(run, message, dictionary);
    } else if (g_strcmp0(name, "Progress") == 0 &&
               g_variant_is_of_type(body, G_VARIANT_TYPE("(uds)"))) {
        const char *text;
        double fraction;

        g_variant_get(body, "(ud&s)", &id, &fraction, &text);
        if (id == run->id && run->progress != NULL && run->progress->func != NULL)
            run->progress->func(fraction, text, run->progress->user_data);
    }
}

static void take_signals(Run *run)
{
    GDBusMessage *message;

    while ((message = g_async_queue_try_pop(run->client->signals)) != NULL) {
        take_signal(run, message);
        g_object_unref(message);
    }
}

static void wake(GCancellable *cancellable, gpointer context)
{
    g_main_context_wakeup(context);
}

/* Hands results on until the reply is there. Callbacks run without our context being the default.
 */
static GVariant *wait_for_reply(Run *run, GVariant *arguments, GUnixFDList *descriptors,
                                GError **error)
{
    W2wClient *client = run->client;
    GCancellable *cancellable = run->progress != NULL ? run->progress->cancellable : NULL;
    gboolean cancelled = FALSE;
    Wait wait = {NULL};
    GVariant *reply;
    gulong handler = 0;

    g_main_context_push_thread_default(client->context);
    g_dbus_connection_call_with_unix_fd_list(
        client->connection, NULL, W2W_PROTOCOL_PATH, W2W_PROTOCOL_INTERFACE, "Run", arguments,
        G_VARIANT_TYPE("()"), G_DBUS_CALL_FLAGS_NONE, G_MAXINT, descriptors, NULL, on_ready, &wait);
    g_main_context_pop_thread_default(client->context);
    if (cancellable != NULL)
        handler = g_cancellable_connect(cancellable, G_CALLBACK(wake),
                                        g_main_context_ref(client->context),
                                        (GDestroyNotify)g_main_context_unref);
    while (wait.result == NULL) {
        take_signals(run);
        if (!cancelled && cancellable != NULL && g_cancellable_is_cancelled(cancellable)) {
            cancelled = TRUE;
            g_dbus_connection_call(client->connection, NULL, W2W_PROTOCOL_PATH,
                                   W2W_PROTOCOL_INTERFACE, "Cancel", g_variant_new("(u)", run->id),
                                   NULL, G_DBUS_CALL_FLAGS_NONE, ANSWER_SECONDS * 1000, NULL, NULL,
                                   NULL);
        }
        g_main_context_iteration(client->context, TRUE);
    }
    if (handler != 0)
        g_cancellable_disconnect(cancellable, handler);
    take_signals(run); /* they came before the reply */
    reply = g_dbus_connection_call_with_unix_fd_list_finish(client->connection, NULL, wait.result,
                                                            error);
    g_object_unref(wait.result);
    return reply;
}

/* What the engine said comes as it was; what went wrong between us is a sentence of our own. */
static void explain(W2wClient *client, GError *problem, GError **error)
{
    g_autofree char *program = g_filename_display_name(client->places.program);
    g_autofree char *log = g_filename_display_name(client->places.log);

    if (problem->domain == W2W_ERROR ||
        g_error_matches(problem, G_IO_ERROR, G_IO_ERROR_CANCELLED)) {
        g_dbus_error_strip_remote_error(problem);
        g_propagate_error(error, problem);
        return;
    }
    if (g_dbus_error_is_remote_error(problem)) {
        g_dbus_error_strip_remote_error(problem);
        g_set_error(error, W2W_ERROR, W2W_ERROR_FAILED, "The worker %s failed: %s (log: %s).",
                    program, problem->message, log);
    } else {
        drop_connection(client);
        g_set_error(error, W2W_ERROR, W2W_ERROR_FAILED,
                    "The worker %s ended unexpectedly (log: %s). Try again: it will be started "
                    "anew.",
                    program, log);
    }
    g_error_free(problem);
}

static gboolean check_size(GVariant *values, GError **error)
{
    if (g_variant_get_size(values) > MAX_VALUES) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_USAGE,
                    "The values have %" G_GSIZE_FORMAT
                    " bytes; the worker takes up to %d. Are all of the files really identities?",
                    g_variant_get_size(values), MAX_VALUES);
        return FALSE;
    }
    return TRUE;
}

gboolean w2w_client_run(W2wClient *client, const char *job, GVariant *values,
                        W2wJobResultFunc on_result, gpointer user_data, const W2wProgress *progress,
                        GError **error)
{
    return w2w_client_run_resumable(client, job, values, NULL, FALSE, on_result, user_data,
                                    progress, error);
}

gboolean w2w_client_run_resumable(W2wClient *client, const char *job, GVariant *given,
                                  const char *subject, gboolean resume, W2wJobResultFunc on_result,
                                  gpointer user_data, const W2wProgress *progress, GError **error)
{
    g_autoptr(GUnixFDList) descriptors = g_unix_fd_list_new();
    g_autoptr(GVariant) values = w2w_shared_memory_pack(given, descriptors, error);
    g_autoptr(GVariant) reply = NULL;
    Run run = {.client = client, .on_result = on_result, .user_data = user_data};
    GError *problem = NULL;

    if (values == NULL ||
        (progress != NULL && g_cancellable_set_error_if_cancelled(progress->cancellable, error)))
        return FALSE;
    if (!check_size(values, error) || !ensure_connected(client, error))
        return FALSE;
    run.progress = progress;
    run.id = ++client->last_id;
    reply = wait_for_reply(&run,
                           g_variant_new("(us^ay@a{sv}sb)", run.id, job, client->world, values,
                                         subject != NULL ? subject : "", resume),
                           descriptors, &problem);
    if (problem != NULL) {
        g_clear_error(&run.error);
        explain(client, problem, error);
        return FALSE;
    }
    if (run.error != NULL) {
        g_propagate_error(error, run.error);
        return FALSE;
    }
    return TRUE;
}

/* A subject stands for the pictures: what they are makes no difference. */
static GVariant *leave_pictures_out(const char *name, GVariant *given, const char *subject)
{
    g_autoptr(GVariant) values = g_variant_ref_sink(given);
    g_auto(GVariantDict) needed = G_VARIANT_DICT_INIT(values);
    const W2wJob *job = w2w_job_lookup(name);

    for (guint i = 0; subject != NULL && *subject != 0 && job != NULL && i < job->n_parameters; i++)
        if (job->parameters[i].type == W2W_PARAMETER_PICTURE)
            g_variant_dict_remove(&needed, job->parameters[i].name);
    return g_variant_ref_sink(g_variant_dict_end(&needed));
}

gboolean w2w_client_find_kept(W2wClient *client, const char *job, GVariant *given,
                              const char *subject, gboolean *found, char **text, GError **error)
{
    g_autoptr(GUnixFDList) descriptors = g_unix_fd_list_new();
    g_autoptr(GVariant) needed = leave_pictures_out(job, given, subject);
    g_autoptr(GVariant) values = w2w_shared_memory_pack(needed, descriptors, error);
    g_autoptr(GVariant) reply = NULL;
    GError *problem = NULL;

    if (values == NULL || !check_size(values, error) || !ensure_connected(client, error))
        return FALSE;
    reply = ask_with(
        client->connection, "FindKept",
        g_variant_new("(s^ay@a{sv}s)", job, client->world, values, subject != NULL ? subject : ""),
        descriptors, "(bs)", &problem);
    if (reply == NULL) {
        explain(client, problem, error);
        return FALSE;
    }
    g_variant_get(reply, "(bs)", found, text);
    return TRUE;
}

gboolean w2w_client_get_status(W2wClient *client, W2wWorkerStatus *status, GError **error)
{
    g_autoptr(GVariant) reply = NULL;
    GError *problem = NULL;

    memset(status, 0, sizeof *status);
    if (!ensure_connected(client, error))
        return FALSE;
    reply = ask(client->connection, "Status", NULL, "(iuus)", &problem);
    if (reply == NULL) {
        explain(client, problem, error);
        return FALSE;
    }
    g_variant_get(reply, "(iuus)", &status->pid, &status->n_loads, &status->n_jobs,
                  &status->device);
    return TRUE;
}

void w2w_worker_status_clear(W2wWorkerStatus *status)
{
    g_clear_pointer(&status->device, g_free);
}

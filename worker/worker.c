/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * w2w-worker: keeps models loaded between the calls of plug-ins, which GIMP starts and kills as
 * it likes.
 *
 * Started by client/launch.c, spoken to as client/protocol.h says. The main loop only talks; jobs
 * run in job_queue.c. It leaves when nobody was connected for a while, when nobody is connected and
 * every GIMP it ever worked for is gone, or when it is sent away. Standard output and error are
 * its log.
 */
#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <glib-unix.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/protocol.h"
#include "worker/job_queue.h"

#define IDLE_SECONDS     600
#define MAX_IDLE_SECONDS (7 * 24 * 3600)
#define CHECK_SECONDS    2
#define LEAVING          "leaving" /* the build that no client looks for */

typedef struct {
    GMainLoop *loop;
    GDBusServer *server; /* NULL: leaving */
    GDBusNodeInfo *interface;
    W2wJobQueue *queue;
    GHashTable *clients; /* GDBusConnection */
    GHashTable *parents; /* of clients so far: pids */
    char *socket, *build;
    struct stat socket_status; /* of the socket as we made it */
    gboolean started_by_client;
    gint64 idle_since; /* monotonic; only while there are no clients */
    gint64 idle_limit; /* microseconds */
    guint n_free_checks;
} Worker;

/*
 * The path goes at once, so that nobody finds a worker that no longer listens. (Newer GLib removes
 * it too, when the server stops, and warns where it is gone already.) After a log-out the folder
 * may be a new one, with another worker's socket at the same path: that one stays.
 */
static void stop_listening(Worker *worker)
{
    struct stat status;

    if (worker->server == NULL)
        return;
    if (lstat(worker->socket, &status) == 0 && status.st_dev == worker->socket_status.st_dev &&
        status.st_ino == worker->socket_status.st_ino) {
        g_dbus_server_stop(worker->server);
        unlink(worker->socket);
    }
    g_clear_object(&worker->server);
}

static void say_hello(Worker *worker, GDBusMethodInvocation *invocation, GVariant *arguments)
{
    const char *program;
    gint parent;

    g_variant_get(arguments, "(&si)", &program, &parent);
    if (parent > 0)
        g_hash_table_add(worker->parents, GINT_TO_POINTER(parent));
    g_dbus_method_invocation_return_value(
        invocation,
        g_variant_new("(ssi)", W2W_PROTOCOL_PROGRAM,
                      worker->server != NULL ? worker->build : LEAVING, (gint)getpid()));
}

static void give_status(Worker *worker, GDBusMethodInvocation *invocation)
{
    W2wJobQueueStatus status = w2w_job_queue_get_status(worker->queue);

    g_dbus_method_invocation_return_value(
        invocation,
        g_variant_new("(iuus)", (gint)getpid(), status.n_loads, status.n_jobs, status.device));
    g_free(status.device);
}

static void on_method_call(GDBusConnection *connection, const char *sender, const char *path,
                           const char *interface, const char *method, GVariant *arguments,
                           GDBusMethodInvocation *invocation, gpointer user_data)
{
    Worker *worker = user_data;

    if (strcmp(method, "Hello") == 0) {
        say_hello(worker, invocation, arguments);
    } else if (strcmp(method, "Run") == 0) {
        w2w_job_queue_push(worker->queue, invocation);
    } else if (strcmp(method, "FindKept") == 0) {
        w2w_job_queue_find_kept(worker->queue, invocation);
    } else if (strcmp(method, "Status") == 0) {
        give_status(worker, invocation);
    } else if (strcmp(method, "Cancel") == 0) {
        guint id;

        g_variant_get(arguments, "(u)", &id);
        w2w_job_queue_cancel(worker->queue, connection, id);
        g_dbus_method_invocation_return_value(invocation, NULL);
    } else { /* Quit; GDBus lets nothing else through */
        printf("Sent away.\n");
        stop_listening(worker);
        g_dbus_method_invocation_return_value(invocation, NULL);
    }
}

static void on_closed(GDBusConnection *connection, gboolean vanished, GError *error,
                      gpointer user_data)
{
    Worker *worker = user_data;

    w2w_job_queue_cancel_all(worker->queue, connection);
    g_signal_handlers_disconnect_by_data(connection, worker);
    g_hash_table_remove(worker->clients, connection);
    if (g_hash_table_size(worker->clients) == 0)
        worker->idle_since = g_get_monotonic_time();
}

static gboolean on_new_connection(GDBusServer *server, GDBusConnection *connection,
                                  gpointer user_data)
{
    static const GDBusInterfaceVTable table = {.method_call = on_method_call};
    Worker *worker = user_data;

    if (g_dbus_connection_register_object(connection, W2W_PROTOCOL_PATH,
                                          worker->interface->interfaces[0], &table, worker, NULL,
                                          NULL) == 0)
        return FALSE;
    g_hash_table_add(worker->clients, g_object_ref(connection));
    g_signal_connect(connection, "closed", G_CALLBACK(on_closed), worker);
    return TRUE;
}

/* The user's own processes, known by the socket itself; nothing that could be learnt and sent on.
 */
static gboolean on_allow_mechanism(GDBusAuthObserver *observer, const char *mechanism,
                                   gpointer user_data)
{
    return strcmp(mechanism, "EXTERNAL") == 0;
}

static gboolean is_alive(gint pid)
{
    return kill(pid, 0) == 0 || errno == EPERM;
}

/* A number that was given to another process since only means that the worker idles longer. */
static gboolean is_orphaned(Worker *worker)
{
    GHashTableIter iter;
    gpointer pid;

    if (g_hash_table_size(worker->parents) == 0)
        return FALSE;
    g_hash_table_iter_init(&iter, worker->parents);
    while (g_hash_table_iter_next(&iter, &pid, NULL))
        if (is_alive(GPOINTER_TO_INT(pid)))
            return FALSE;
    return TRUE;
}

/* Only under the lock, where nobody is about to connect; it is held until the process is gone. */
static gboolean may_leave(Worker *worker)
{
    g_autofree char *path = g_strconcat(worker->socket, W2W_PROTOCOL_LOCK_SUFFIX, NULL);
    const int lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

    if (lock < 0) /* its folder was removed: nobody finds this worker any more */
        return errno == ENOENT;
    if (flock(lock, LOCK_EX | LOCK_NB) != 0) {
        close(lock);
        return FALSE;
    }
    return TRUE;
}

static gboolean on_check(gpointer user_data)
{
    Worker *worker = user_data;
    const gint64 idle = g_get_monotonic_time() - worker->idle_since;

    if (worker->server == NULL) {
        if (w2w_job_queue_is_busy(worker->queue))
            worker->n_free_checks = 0;
        else if (++worker->n_free_checks > 1) /* the last replies are out by now */
            g_main_loop_quit(worker->loop);
    } else if (g_hash_table_size(worker->clients) == 0 &&
               (idle >= worker->idle_limit || is_orphaned(worker)) && may_leave(worker)) {
        printf("Nobody is there any more.\n");
        stop_listening(worker);
        g_main_loop_quit(worker->loop);
    }
    return G_SOURCE_CONTINUE;
}

static gboolean on_signal(gpointer user_data)
{
    Worker *worker = user_data;

    printf("Ended by a signal.\n");
    stop_listening(worker);
    g_main_loop_quit(worker->loop);
    return G_SOURCE_CONTINUE;
}

static gboolean listen_to(Worker *worker, GError **error)
{
    g_autofree char *escaped = g_dbus_address_escape_value(worker->socket);
    g_autofree char *address = g_strconcat("unix:path=", escaped, NULL);
    g_autofree char *guid = g_dbus_generate_guid();
    g_autoptr(GDBusAuthObserver) observer = g_dbus_auth_observer_new();

    g_signal_connect(observer, "allow-mechanism", G_CALLBACK(on_allow_mechanism), NULL);
    worker->server = g_dbus_server_new_sync(
        address, G_DBUS_SERVER_FLAGS_AUTHENTICATION_REQUIRE_SAME_USER, guid, observer, NULL, error);
    if (worker->server == NULL)
        return FALSE;
    g_signal_connect(worker->server, "new-connection", G_CALLBACK(on_new_connection), worker);
    if (lstat(worker->socket, &worker->socket_status) != 0)
        memset(&worker->socket_status, 0, sizeof worker->socket_status);
    g_dbus_server_start(worker->server);
    return TRUE;
}

/* To the client that started us (protocol.h), which may be gone. */
static void answer(const Worker *worker, const char *text)
{
    const gsize length = strlen(text);
    gsize n = 0;

    if (!worker->started_by_client)
        return;
    while (n < length) {
        const gssize n_written = write(W2W_PROTOCOL_READY_FD, text + n, length - n);

        if (n_written < 0 && errno != EINTR)
            break;
        n += MAX(n_written, 0);
    }
    close(W2W_PROTOCOL_READY_FD);
    close(W2W_PROTOCOL_LOCK_FD);
}

static gint64 get_idle_limit(void)
{
    const char *text = g_getenv("W2W_WORKER_IDLE_SECONDS");
    guint64 seconds = IDLE_SECONDS;

    if (text != NULL &&
        !g_ascii_string_to_unsigned(text, 10, 1, MAX_IDLE_SECONDS, &seconds, NULL)) {
        printf("W2W_WORKER_IDLE_SECONDS is no number of seconds from 1 to %d: %s\n",
               MAX_IDLE_SECONDS, text);
        seconds = IDLE_SECONDS;
    }
    return (gint64)seconds * G_TIME_SPAN_SECOND;
}

static void serve(Worker *worker)
{
    const gint64 interval = MIN(worker->idle_limit, CHECK_SECONDS * G_TIME_SPAN_SECOND);

    g_timeout_add((guint)(interval / 1000), on_check, worker);
    g_unix_signal_add(SIGTERM, on_signal, worker);
    g_unix_signal_add(SIGINT, on_signal, worker);
    g_unix_signal_add(SIGHUP, on_signal, worker);
    g_main_loop_run(worker->loop);
}

static gboolean parse(Worker *worker, int argc, char **argv, GError **error)
{
    const GOptionEntry entries[] = {
        {"socket", 0, 0, G_OPTION_ARG_FILENAME, &worker->socket, "Where to listen", "PATH"},
        {"build", 0, 0, G_OPTION_ARG_STRING, &worker->build, "What to answer to Hello", "TEXT"},
        {"started-by-client", 0, G_OPTION_FLAG_HIDDEN, G_OPTION_ARG_NONE,
         &worker->started_by_client, NULL, NULL},
        G_OPTION_ENTRY_NULL};
    g_autoptr(GOptionContext) context =
        g_option_context_new("— the worker of Weights2Weights for GIMP, which starts it by itself");

    g_option_context_add_main_entries(context, entries, NULL);
    if (!g_option_context_parse(context, &argc, &argv, error))
        return FALSE;
    if (worker->socket == NULL) {
        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_FAILED,
                    "w2w-worker is started by the GIMP plug-in; by hand it needs --socket.");
        return FALSE;
    }
    if (worker->build == NULL)
        worker->build = g_strdup("");
    return TRUE;
}

static void worker_clear(Worker *worker)
{
    stop_listening(worker);
    w2w_job_queue_free(worker->queue);
    g_hash_table_unref(worker->clients);
    g_hash_table_unref(worker->parents);
    g_dbus_node_info_unref(worker->interface);
    g_main_loop_unref(worker->loop);
    g_free(worker->socket);
    g_free(worker->build);
}

int main(int argc, char **argv)
{
    Worker worker = {.loop = g_main_loop_new(NULL, FALSE)};
    g_autoptr(GError) error = NULL;
    gboolean ok;

    signal(SIGPIPE, SIG_IGN);
    setvbuf(stdout, NULL, _IOLBF, 0);
    worker.interface = g_dbus_node_info_new_for_xml(W2W_PROTOCOL_XML, NULL);
    worker.queue = w2w_job_queue_new();
    worker.clients = g_hash_table_new_full(NULL, NULL, g_object_unref, NULL);
    worker.parents = g_hash_table_new(NULL, NULL);
    worker.idle_limit = get_idle_limit();
    worker.idle_since = g_get_monotonic_time();
    ok = parse(&worker, argc, argv, &error) && listen_to(&worker, &error);
    if (ok) {
        printf("w2w-worker " W2W_PROTOCOL_PROGRAM ", process %d\n", (int)getpid());
        answer(&worker, W2W_PROTOCOL_READY);
        serve(&worker);
    } else {
        g_autofree char *text = g_strdup_printf("The worker cannot start: %s", error->message);

        fprintf(stderr, "%s\n", text);
        answer(&worker, text);
    }
    worker_clear(&worker);
    return ok ? 0 : 1;
}

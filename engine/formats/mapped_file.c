/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Mapped files, in a list that a signal handler can walk: its nodes are never freed (they
 * are used again), a node counts while `begin` is set, and whoever changes the list holds
 * a lock that the handler does not need.
 */
#include "engine/formats/mapped_file.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/error.h"
#include "engine/memory.h"

typedef struct _Mapping Mapping;
struct _Mapping {
    Mapping *next;           /* never changes once the node is in the list */
    _Atomic(guintptr) begin; /* 0: free */
    _Atomic(gsize) length;
    atomic_bool is_damaged; /* a page was missing */
    int descriptor;         /* kept open: the file itself, whatever its name means later */
    goffset size;
    struct timespec changed;
    char *path;
};

static _Atomic(Mapping *) mappings;
static GMutex lock;
static char *lost; /* path of a changed file whose mapping is gone; under the lock */
static struct sigaction handler_before;
static guintptr page_bytes;

/* --- the handler: async-signal-safe calls only --- */

static Mapping *find_mapping(guintptr address)
{
    for (Mapping *mapping = atomic_load(&mappings); mapping != NULL; mapping = mapping->next) {
        const guintptr begin = atomic_load(&mapping->begin);

        if (begin != 0 && address >= begin && address - begin < atomic_load(&mapping->length))
            return mapping;
    }
    return NULL;
}

static void pass_on(int number, siginfo_t *info, void *context)
{
    if ((handler_before.sa_flags & SA_SIGINFO) != 0)
        handler_before.sa_sigaction(number, info, context);
    else if (handler_before.sa_handler != SIG_DFL && handler_before.sa_handler != SIG_IGN)
        handler_before.sa_handler(number);
    else
        signal(number, SIG_DFL); /* the access comes again, and ends the program as it would have */
}

/* From the missing page to the end: what is behind a cut is missing too. */
static void on_bus_error(int number, siginfo_t *info, void *context)
{
    const guintptr address = (guintptr)info->si_addr;
    Mapping *mapping = info->si_code > 0 ? find_mapping(address) : NULL;
    const int saved_errno = errno;
    guintptr page, end;

    if (mapping == NULL) {
        pass_on(number, info, context);
        return;
    }
    atomic_store(&mapping->is_damaged, TRUE);
    page = address & ~(page_bytes - 1);
    end = (atomic_load(&mapping->begin) + atomic_load(&mapping->length) + page_bytes - 1) &
          ~(page_bytes - 1);
    if (mmap((void *)page, end - page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) ==
        MAP_FAILED)
        pass_on(number, info, context);
    errno = saved_errno;
}

/* --- the list --- */

/* Under the lock. */
static void install_handler(void)
{
    struct sigaction action = {.sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO | SA_ONSTACK};

    if (page_bytes != 0)
        return;
    page_bytes = (guintptr)sysconf(_SC_PAGESIZE);
    sigemptyset(&action.sa_mask);
    sigaction(SIGBUS, &action, &handler_before);
}

static gboolean is_changed(const Mapping *mapping)
{
    struct stat now;

    return atomic_load(&mapping->is_damaged) || fstat(mapping->descriptor, &now) != 0 ||
           now.st_size != mapping->size || now.st_mtim.tv_sec != mapping->changed.tv_sec ||
           now.st_mtim.tv_nsec != mapping->changed.tv_nsec;
}

static void unmap(gpointer data)
{
    Mapping *mapping = data;
    const guintptr begin = atomic_load(&mapping->begin);

    g_mutex_lock(&lock);
    if (is_changed(mapping) && lost == NULL)
        lost = g_strdup(mapping->path);
    g_clear_pointer(&mapping->path, g_free);
    close(mapping->descriptor);
    atomic_store(&mapping->begin, 0); /* first: the addresses may be another file's at once */
    munmap((void *)begin, atomic_load(&mapping->length));
    g_mutex_unlock(&lock);
}

/* Under the lock. */
static Mapping *free_node(void)
{
    Mapping *mapping = atomic_load(&mappings);

    while (mapping != NULL && atomic_load(&mapping->begin) != 0)
        mapping = mapping->next;
    if (mapping == NULL) {
        mapping = g_new0(Mapping, 1);
        mapping->next = atomic_load(&mappings);
        atomic_store(&mappings, mapping);
    }
    return mapping;
}

/* Takes `descriptor`. */
static GBytes *add_mapping(const char *path, int descriptor, const struct stat *status,
                           void *address)
{
    const gsize length = (gsize)status->st_size;
    Mapping *mapping;

    g_mutex_lock(&lock);
    install_handler();
    mapping = free_node();
    mapping->path = g_strdup(path);
    mapping->descriptor = descriptor;
    mapping->size = status->st_size;
    mapping->changed = status->st_mtim;
    atomic_store(&mapping->is_damaged, FALSE);
    atomic_store(&mapping->length, length);
    atomic_store(&mapping->begin, (guintptr)address);
    g_mutex_unlock(&lock);
    return g_bytes_new_with_free_func(address, length, unmap, mapping);
}

/* --- the interface --- */

static gboolean fail(const char *path, GError **error)
{
    const int code = errno;

    g_set_error(error, W2W_ERROR, W2W_ERROR_FILE, "%s cannot be opened: %s.", path,
                code == ENOENT ? "there is no such file" : g_strerror(code));
    return FALSE;
}

/* Without waiting for the writer of a pipe. */
static int open_regular(const char *path, struct stat *status, GError **error)
{
    const int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

    if (descriptor < 0) {
        if (errno == ENXIO) /* a socket */
            errno = EINVAL;
        fail(path, error);
        return -1;
    }
    if (fstat(descriptor, status) == 0 && S_ISREG(status->st_mode))
        return descriptor;
    g_set_error(error, W2W_ERROR, W2W_ERROR_FILE, "%s is not a file that can be read.", path);
    close(descriptor);
    return -1;
}

GBytes *w2w_mapped_file_open(const char *path, GError **error)
{
    struct stat status;
    const int descriptor = open_regular(path, &status, error);
    void *address;

    if (descriptor < 0)
        return NULL;
    if (status.st_size == 0) {
        close(descriptor);
        return g_bytes_new_static("", 0);
    }
    address = mmap(NULL, (gsize)status.st_size, PROT_READ, MAP_PRIVATE, descriptor, 0);
    if (address == MAP_FAILED) {
        fail(path, error);
        close(descriptor);
        return NULL;
    }
    return add_mapping(path, descriptor, &status, address);
}

/* All of `length` bytes, or as many as there are. -1: errno. */
static gssize read_all(int descriptor, guint8 *buffer, gsize length)
{
    gsize n = 0;

    while (n < length) {
        const gssize got = read(descriptor, buffer + n, length - n);

        if (got == 0)
            break;
        if (got < 0 && errno != EINTR)
            return -1;
        n += (gsize)MAX(got, 0);
    }
    return (gssize)n;
}

GBytes *w2w_mapped_file_read(const char *path, gsize max_bytes, GError **error)
{
    struct stat status;
    const int descriptor = open_regular(path, &status, error);
    guint8 *buffer;
    gssize n;

    if (descriptor < 0)
        return NULL;
    if ((guint64)status.st_size > max_bytes) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_FORMAT,
                    "%s has %" G_GINT64_FORMAT " bytes; at most %" G_GSIZE_FORMAT " were expected.",
                    path, (gint64)status.st_size, max_bytes);
        close(descriptor);
        return NULL;
    }
    buffer = w2w_try_malloc((gsize)status.st_size + 1, 1, path, error);
    n = buffer != NULL ? read_all(descriptor, buffer, (gsize)status.st_size) : 0;
    if (n < 0) {
        fail(path, error);
        g_clear_pointer(&buffer, g_free);
    }
    close(descriptor);
    return buffer != NULL ? g_bytes_new_take(buffer, (gsize)n) : NULL;
}

gboolean w2w_mapped_file_exists(const char *path)
{
    return g_file_test(path, G_FILE_TEST_EXISTS);
}

gboolean w2w_mapped_files_check(GError **error)
{
    g_autofree char *path = NULL;

    g_mutex_lock(&lock);
    path = g_steal_pointer(&lost);
    for (Mapping *mapping = atomic_load(&mappings); mapping != NULL && path == NULL;
         mapping = mapping->next)
        if (atomic_load(&mapping->begin) != 0 && is_changed(mapping))
            path = g_strdup(mapping->path);
    g_mutex_unlock(&lock);
    if (path == NULL)
        return TRUE;
    g_set_error(error, W2W_ERROR, W2W_ERROR_FILE,
                "%s was changed while it was in use, so that nothing that was made from it can be "
                "trusted. Do it again when nothing writes to that file.",
                path);
    return FALSE;
}

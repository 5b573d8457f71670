/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Files that change under a mapping: never a crash, never unnoticed. */
#include <fcntl.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/error.h"
#include "engine/formats/mapped_file.h"
#include "tests/formats/archive_maker.h"

#define N_BYTES (64 * 1024 * 4)

typedef struct {
    char *folder, *path;
    GBytes *bytes;
} Fixture;

/* Modification times have the kernel's tick, not nanoseconds: a later one must be later. */
static void wait_for_clock(void)
{
    g_usleep(20 * 1000);
}

static void write_file(const char *path, char letter, gsize n)
{
    g_autofree char *text = g_strnfill(n, letter);
    g_autoptr(GError) error = NULL;

    g_file_set_contents(path, text, (gssize)n, &error);
    g_assert_no_error(error);
}

static void set_up(Fixture *fixture, gconstpointer data)
{
    g_autoptr(GError) error = NULL;

    fixture->folder = g_dir_make_tmp("w2w-mapped-XXXXXX", NULL);
    fixture->path = g_build_filename(fixture->folder, "V.bin", NULL);
    write_file(fixture->path, 'a', N_BYTES);
    fixture->bytes = w2w_mapped_file_open(fixture->path, &error);
    g_assert_no_error(error);
    g_assert_true(w2w_mapped_files_check(&error));
    wait_for_clock();
}

static void tear_down(Fixture *fixture, gconstpointer data)
{
    g_clear_pointer(&fixture->bytes, g_bytes_unref);
    w2w_mapped_files_check(NULL); /* what the mapping that has gone left behind */
    g_assert_true(w2w_mapped_files_check(NULL));
    g_unlink(fixture->path);
    g_rmdir(fixture->folder);
    g_free(fixture->path);
    g_free(fixture->folder);
}

static guint64 sum(GBytes *bytes)
{
    gsize n;
    const guint8 *data = g_bytes_get_data(bytes, &n);
    guint64 total = 0;

    for (gsize i = 0; i < n; i++)
        total += data[i];
    return total;
}

static void assert_told(const char *name)
{
    g_autoptr(GError) error = NULL;

    g_assert_false(w2w_mapped_files_check(&error));
    w2w_assert_refused(&error, W2W_ERROR_FILE, name);
}

static void test_cut_reads_zeros(Fixture *fixture, gconstpointer data)
{
    const guint64 kept = 4096; /* a page of any machine that has pages this small; else none */
    const guint64 page = (guint64)MAX(sysconf(_SC_PAGESIZE), (long)kept);

    g_assert_cmpint(truncate(fixture->path, (off_t)page), ==, 0);
    g_assert_cmpuint(sum(fixture->bytes), ==, page * 'a');
    assert_told("V.bin");
    g_assert_cmpuint(sum(fixture->bytes), ==, page * 'a'); /* and again, without a fault */
}

static gpointer sum_in_thread(gpointer data)
{
    return GSIZE_TO_POINTER((gsize)sum(data));
}

static void test_cut_under_many_threads(Fixture *fixture, gconstpointer data)
{
    GThread *threads[8];

    g_assert_cmpint(truncate(fixture->path, 0), ==, 0);
    for (guint i = 0; i < G_N_ELEMENTS(threads); i++)
        threads[i] = g_thread_new("reader", sum_in_thread, fixture->bytes);
    for (guint i = 0; i < G_N_ELEMENTS(threads); i++)
        g_assert_cmpuint(GPOINTER_TO_SIZE(g_thread_join(threads[i])), ==, 0);
    assert_told("V.bin");
}

static void rewrite(const char *path, off_t at)
{
    const int descriptor = open(path, O_WRONLY);

    g_assert_cmpint(pwrite(descriptor, "b", 1, at), ==, 1);
    close(descriptor);
}

static void test_rewritten_in_place(Fixture *fixture, gconstpointer data)
{
    rewrite(fixture->path, N_BYTES / 2);
    assert_told("V.bin");
}

static void test_appended_to(Fixture *fixture, gconstpointer data)
{
    rewrite(fixture->path, N_BYTES);
    assert_told("V.bin");
}

/* As an update by any careful program does it, ours too. */
static void test_replaced_is_fine(Fixture *fixture, gconstpointer data)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *other = g_strconcat(fixture->path, ".new", NULL);

    write_file(other, 'c', 10);
    g_assert_cmpint(g_rename(other, fixture->path), ==, 0);
    g_assert_cmpuint(sum(fixture->bytes), ==, (guint64)N_BYTES * 'a');
    g_assert_true(w2w_mapped_files_check(&error));
    g_assert_no_error(error);
}

static void test_deleted_is_fine(Fixture *fixture, gconstpointer data)
{
    g_assert_cmpint(g_unlink(fixture->path), ==, 0);
    g_assert_cmpuint(sum(fixture->bytes), ==, (guint64)N_BYTES * 'a');
    g_assert_true(w2w_mapped_files_check(NULL));
}

static void test_told_after_unmapping(Fixture *fixture, gconstpointer data)
{
    rewrite(fixture->path, 0);
    g_clear_pointer(&fixture->bytes, g_bytes_unref);
    assert_told("V.bin");
    g_assert_true(w2w_mapped_files_check(NULL)); /* once */
}

static void test_views_keep_the_mapping(Fixture *fixture, gconstpointer data)
{
    g_autoptr(GBytes) view = g_bytes_new_from_bytes(fixture->bytes, 10, 20);

    g_clear_pointer(&fixture->bytes, g_bytes_unref);
    g_assert_cmpuint(sum(view), ==, 20 * 'a');
    rewrite(fixture->path, 0);
    assert_told("V.bin");
}

static void test_other_faults_stay_fatal(void)
{
    if (g_test_subprocess()) {
        g_autofree char *folder = g_dir_make_tmp("w2w-mapped-XXXXXX", NULL);
        g_autofree char *path = g_build_filename(folder, "x", NULL);
        g_autoptr(GBytes) bytes = NULL;
        GMappedFile *foreign;
        g_autofree char *other = g_build_filename(folder, "y", NULL);

        write_file(path, 'a', 10);
        write_file(other, 'a', N_BYTES);
        bytes = w2w_mapped_file_open(path, NULL); /* installs the handler */
        foreign = g_mapped_file_new(other, FALSE, NULL);
        g_assert_cmpint(truncate(other, 0), ==, 0);
        g_unlink(path);
        g_unlink(other);
        g_rmdir(folder);
        g_print("%d\n", (int)*(volatile char *)g_mapped_file_get_contents(foreign));
        return;
    }
    g_test_trap_subprocess(NULL, 20 * G_USEC_PER_SEC, G_TEST_SUBPROCESS_DEFAULT);
    g_test_trap_assert_failed();
}

static void assert_unreadable(const char *path, const char *part)
{
    g_autoptr(GError) error = NULL;

    g_assert_null(w2w_mapped_file_open(path, &error));
    w2w_assert_refused(&error, W2W_ERROR_FILE, part);
    g_assert_null(w2w_mapped_file_read(path, 100, &error));
    w2w_assert_refused(&error, W2W_ERROR_FILE, part);
}

static void test_only_regular_files(Fixture *fixture, gconstpointer data)
{
    g_autofree char *pipe = g_build_filename(fixture->folder, "pipe", NULL);

    g_assert_cmpint(mkfifo(pipe, 0600), ==, 0);
    assert_unreadable(pipe, "not a file that can be read");
    g_unlink(pipe);
    assert_unreadable(fixture->folder, "not a file that can be read");
    assert_unreadable(pipe, "there is no such file");
}

static void test_reading(Fixture *fixture, gconstpointer data)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GBytes) bytes = w2w_mapped_file_read(fixture->path, N_BYTES, &error);

    g_assert_no_error(error);
    rewrite(fixture->path, 5); /* which these bytes do not see */
    g_assert_cmpuint(g_bytes_get_size(bytes), ==, N_BYTES);
    g_assert_cmpuint(sum(bytes), ==, (guint64)N_BYTES * 'a');
    g_assert_null(w2w_mapped_file_read(fixture->path, N_BYTES - 1, &error));
    w2w_assert_refused(&error, W2W_ERROR_FORMAT, "V.bin");
}

static void test_empty(Fixture *fixture, gconstpointer data)
{
    g_autofree char *path = g_build_filename(fixture->folder, "empty", NULL);
    g_autoptr(GBytes) mapped = NULL, read = NULL;

    write_file(path, 'a', 0);
    mapped = w2w_mapped_file_open(path, NULL);
    read = w2w_mapped_file_read(path, 0, NULL);
    g_assert_cmpuint(g_bytes_get_size(mapped), ==, 0);
    g_assert_cmpuint(g_bytes_get_size(read), ==, 0);
    g_unlink(path);
}

#define ADD(path, function) g_test_add(path, Fixture, NULL, set_up, function, tear_down)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("/mapped-file/cut-reads-zeros-and-is-told", test_cut_reads_zeros);
    ADD("/mapped-file/cut-under-many-threads", test_cut_under_many_threads);
    ADD("/mapped-file/rewritten-in-place-is-told", test_rewritten_in_place);
    ADD("/mapped-file/appended-to-is-told", test_appended_to);
    ADD("/mapped-file/replaced-by-rename-is-fine", test_replaced_is_fine);
    ADD("/mapped-file/deleted-is-fine", test_deleted_is_fine);
    ADD("/mapped-file/told-once-after-unmapping", test_told_after_unmapping);
    ADD("/mapped-file/views-keep-the-mapping", test_views_keep_the_mapping);
    ADD("/mapped-file/only-regular-files", test_only_regular_files);
    ADD("/mapped-file/reading-into-memory", test_reading);
    ADD("/mapped-file/empty", test_empty);
    g_test_add_func("/mapped-file/faults-elsewhere-stay-fatal", test_other_faults_stay_fatal);
    return g_test_run();
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The zip reader: the whole directory is checked before any entry is handed out. */
#include "engine/formats/zip.h"

#include <string.h>
#include <zlib.h>

#include "engine/error.h"
#include "engine/memory.h"

enum {
    LOCAL_SIGNATURE = 0x04034b50,
    CENTRAL_SIGNATURE = 0x02014b50,
    END_SIGNATURE = 0x06054b50,
    END64_SIGNATURE = 0x06064b50,
    END64_LOCATOR_SIGNATURE = 0x07064b50,
    LOCAL_BYTES = 30, /* without names and extra fields */
    CENTRAL_BYTES = 46,
    END_BYTES = 22,
    END64_BYTES = 56,
    END64_LOCATOR_BYTES = 20,
    FLAG_ENCRYPTED = 1,
    METHOD_STORED = 0,
    METHOD_DEFLATED = 8,
    EXTRA_ZIP64 = 1,
};

/* The most that deflate can make of one byte, with some bytes for the stream's ends. */
#define MAX_DEFLATE_RATIO 1032
#define DEFLATE_SLACK     64

/* What an entry takes in our lists, which double as they grow. */
#define ENTRY_BYTES (4 * sizeof(Entry))

typedef struct {
    char *name; /* owned */
    guint method;
    guint32 checksum; /* 0: not written */
    guint64 packed_size, size;
    guint64 begin, data, end; /* local header, first byte of data, first byte behind it */
} Entry;

struct _W2wZip {
    char *name;
    GBytes *bytes;
    const guint8 *data;
    gsize n_bytes;
    GArray *entries;
    GHashTable *by_name; /* → entry number + 1 */
};

static guint32 get16(const guint8 *at)
{
    return (guint32)at[0] | (guint32)at[1] << 8;
}

static guint32 get32(const guint8 *at)
{
    return get16(at) | get16(at + 2) << 16;
}

static guint64 get64(const guint8 *at)
{
    return get32(at) | (guint64)get32(at + 4) << 32;
}

G_GNUC_PRINTF(4, 5)
static gboolean fail_at(const W2wZip *zip, guint64 position, GError **error, const char *format,
                        ...)
{
    g_autofree char *detail = NULL;
    va_list arguments;

    va_start(arguments, format);
    detail = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    g_set_error(error, W2W_ERROR, W2W_ERROR_FORMAT,
                "%s is not a usable zip archive: at byte %" G_GUINT64_FORMAT " %s.", zip->name,
                position, detail);
    return FALSE;
}

static gboolean is_inside(const W2wZip *zip, guint64 position, guint64 length)
{
    return position <= zip->n_bytes && length <= zip->n_bytes - position;
}

/* The end record is the last thing in the file but for its own comment. */
static gboolean find_end(const W2wZip *zip, guint64 *position)
{
    if (zip->n_bytes < END_BYTES)
        return FALSE;
    for (gsize comment = 0; comment <= MIN(G_MAXUINT16, zip->n_bytes - END_BYTES); comment++) {
        const guint8 *at = zip->data + zip->n_bytes - END_BYTES - comment;

        if (get32(at) == END_SIGNATURE && get16(at + 20) == comment) {
            *position = (guint64)(at - zip->data);
            return TRUE;
        }
    }
    return FALSE;
}

typedef struct {
    guint64 n_entries, begin, size;
    guint64 limit; /* where the end records begin: entries and directory end before */
} Directory;

/* ZIP64: 64-bit numbers in a record of their own, which a locator in front of the end finds. */
static gboolean read_end64(const W2wZip *zip, guint64 end, Directory *directory, GError **error)
{
    const guint8 *locator = zip->data + end - END64_LOCATOR_BYTES, *record;
    const guint64 position = get64(locator + 8);

    if (!is_inside(zip, position, END64_BYTES) ||
        position + END64_BYTES > end - END64_LOCATOR_BYTES)
        return fail_at(zip, end - END64_LOCATOR_BYTES, error,
                       "the ZIP64 locator leads outside of the file");
    record = zip->data + position;
    if (get32(record) != END64_SIGNATURE)
        return fail_at(zip, position, error, "a ZIP64 end record was expected");
    if (get32(locator + 4) != 0 || get32(locator + 16) > 1 || get32(record + 16) != 0 ||
        get32(record + 20) != 0 || get64(record + 24) != get64(record + 32))
        return fail_at(zip, position, error, "the archive claims to have several disks");
    *directory = (Directory){get64(record + 32), get64(record + 48), get64(record + 40), position};
    return TRUE;
}

static gboolean read_end(const W2wZip *zip, Directory *directory, GError **error)
{
    guint64 end = 0;
    const guint8 *record;

    if (!find_end(zip, &end))
        return fail_at(zip, zip->n_bytes, error,
                       "the directory is missing at the end (was the file copied or downloaded "
                       "completely?)");
    record = zip->data + end;
    if (end >= END64_LOCATOR_BYTES &&
        get32(record - END64_LOCATOR_BYTES) == END64_LOCATOR_SIGNATURE)
        return read_end64(zip, end, directory, error);
    if (get16(record + 4) != 0 || get16(record + 6) != 0 || get16(record + 8) != get16(record + 10))
        return fail_at(zip, end, error, "the archive claims to have several disks");
    *directory = (Directory){get16(record + 10), get32(record + 16), get32(record + 12), end};
    return TRUE;
}

/* Those of the entry's numbers that are all ones stand in its ZIP64 extra field, in this order. */
static gboolean read_extra64(const guint8 *extra, gsize length, Entry *entry)
{
    guint64 *const fields[] = {&entry->size, &entry->packed_size, &entry->begin};

    while (length >= 4) {
        const gsize field_length = get16(extra + 2);
        const guint8 *value = extra + 4, *value_end;

        if (field_length > length - 4)
            return FALSE;
        value_end = value + field_length;
        if (get16(extra) == EXTRA_ZIP64) {
            for (guint i = 0; i < G_N_ELEMENTS(fields); i++) {
                if (*fields[i] == G_MAXUINT32) {
                    if (value_end - value < 8)
                        return FALSE;
                    *fields[i] = get64(value);
                    value += 8;
                }
            }
            return TRUE;
        }
        extra = value_end;
        length -= 4 + field_length;
    }
    return TRUE; /* without the field, all ones are what they say */
}

/* The local header repeats name and method; data begin behind it. */
static gboolean read_local(const W2wZip *zip, const Directory *directory, Entry *entry,
                           GError **error)
{
    const gsize name_length = strlen(entry->name);
    const guint8 *at;

    if (!is_inside(zip, entry->begin, LOCAL_BYTES) ||
        get32(zip->data + entry->begin) != LOCAL_SIGNATURE)
        return fail_at(zip, entry->begin, error, "the entry “%s” was expected", entry->name);
    at = zip->data + entry->begin;
    if (get16(at + 26) != name_length || !is_inside(zip, entry->begin + LOCAL_BYTES, name_length) ||
        memcmp(at + LOCAL_BYTES, entry->name, name_length) != 0 || get16(at + 8) != entry->method)
        return fail_at(zip, entry->begin, error, "the entry “%s” contradicts the directory",
                       entry->name);
    entry->data = entry->begin + LOCAL_BYTES + name_length + get16(at + 28);
    if (!g_uint64_checked_add(&entry->end, entry->data, entry->packed_size) ||
        entry->end > directory->begin)
        return fail_at(zip, entry->begin, error,
                       "the entry “%s” claims %" G_GUINT64_FORMAT " bytes, more than there are",
                       entry->name, entry->packed_size);
    return TRUE;
}

/* One entry of the directory at `*position`, which is moved behind it. */
static gboolean read_central(W2wZip *zip, const Directory *directory, guint64 *position,
                             GError **error)
{
    const guint64 directory_end = directory->begin + directory->size;
    const guint8 *at = zip->data + *position;
    gsize name_length, extra_length, comment_length;
    Entry entry = {NULL};
    guint number;

    if (directory_end - *position < CENTRAL_BYTES || get32(at) != CENTRAL_SIGNATURE)
        return fail_at(zip, *position, error, "an entry of the directory was expected");
    name_length = get16(at + 28);
    extra_length = get16(at + 30);
    comment_length = get16(at + 32); /* read once: the file may be written to meanwhile */
    if (directory_end - *position - CENTRAL_BYTES < name_length + extra_length + comment_length)
        return fail_at(zip, *position, error, "an entry goes beyond the directory");
    if ((get16(at + 8) & FLAG_ENCRYPTED) != 0)
        return fail_at(zip, *position, error, "an entry is encrypted");

    entry.name = g_strndup((const char *)at + CENTRAL_BYTES, name_length);
    if (strlen(entry.name) != name_length || !g_utf8_validate(entry.name, -1, NULL)) {
        g_free(entry.name);
        return fail_at(zip, *position, error, "the name of an entry is not UTF-8");
    }
    entry.checksum = get32(at + 16);
    entry.method = get16(at + 10);
    entry.packed_size = get32(at + 20);
    entry.size = get32(at + 24);
    entry.begin = get32(at + 42);
    g_array_append_val(zip->entries, entry);
    number = zip->entries->len;
    if (!read_extra64(at + CENTRAL_BYTES + name_length, extra_length,
                      &g_array_index(zip->entries, Entry, number - 1)))
        return fail_at(zip, *position, error, "“%s” has a damaged extra field", entry.name);
    if (!g_hash_table_insert(zip->by_name, entry.name, GUINT_TO_POINTER(number)))
        return fail_at(zip, *position, error, "the entry “%s” is there twice", entry.name);
    if (entry.method != METHOD_STORED && entry.method != METHOD_DEFLATED)
        return fail_at(zip, *position, error, "“%s” is packed by method %u, which is unknown",
                       entry.name, entry.method);
    *position += CENTRAL_BYTES + name_length + extra_length + comment_length;
    return read_local(zip, directory, &g_array_index(zip->entries, Entry, number - 1), error);
}

static gint compare_places(gconstpointer a, gconstpointer b)
{
    const Entry *first = *(Entry *const *)a, *second = *(Entry *const *)b;

    return first->begin < second->begin ? -1 : first->begin > second->begin;
}

static gboolean check_overlaps(const W2wZip *zip, GError **error)
{
    g_autoptr(GPtrArray) places = g_ptr_array_new();

    for (guint i = 0; i < zip->entries->len; i++)
        g_ptr_array_add(places, &g_array_index(zip->entries, Entry, i));
    g_ptr_array_sort(places, compare_places);
    for (guint i = 1; i < places->len; i++) {
        const Entry *previous = places->pdata[i - 1], *entry = places->pdata[i];

        if (entry->begin < previous->end)
            return fail_at(zip, entry->begin, error, "the entries “%s” and “%s” overlap",
                           previous->name, entry->name);
    }
    return TRUE;
}

static gboolean read_directory(W2wZip *zip, GError **error)
{
    Directory directory = {0};
    guint64 position;

    if (!read_end(zip, &directory, error))
        return FALSE;
    if (directory.begin > directory.limit || directory.size > directory.limit - directory.begin)
        return fail_at(zip, directory.limit, error, "the directory lies outside of the file");
    if (directory.n_entries > directory.size / CENTRAL_BYTES)
        return fail_at(zip, directory.limit, error,
                       "the directory claims %" G_GUINT64_FORMAT " entries, more than fit",
                       directory.n_entries);
    /* Lists and names of entries, which cannot fail later. */
    if (!w2w_memory_reserve((gsize)directory.n_entries * ENTRY_BYTES + (gsize)directory.size,
                            zip->name, error))
        return FALSE;
    position = directory.begin;
    for (guint64 i = 0; i < directory.n_entries; i++)
        if (!read_central(zip, &directory, &position, error))
            return FALSE;
    if (position != directory.begin + directory.size)
        return fail_at(zip, position, error, "the directory holds more than its entries");
    return check_overlaps(zip, error);
}

static void clear_entry(gpointer entry)
{
    g_free(((Entry *)entry)->name);
}

gboolean w2w_zip_matches(GBytes *bytes)
{
    gsize n_bytes;
    const guint8 *data = g_bytes_get_data(bytes, &n_bytes);

    return n_bytes >= 4 && get32(data) == LOCAL_SIGNATURE;
}

W2wZip *w2w_zip_open(GBytes *bytes, const char *name, GError **error)
{
    g_autoptr(W2wZip) zip = g_new0(W2wZip, 1);

    zip->name = g_strdup(name);
    zip->bytes = g_bytes_ref(bytes);
    zip->data = g_bytes_get_data(bytes, &zip->n_bytes);
    zip->entries = g_array_new(FALSE, FALSE, sizeof(Entry));
    g_array_set_clear_func(zip->entries, clear_entry);
    zip->by_name = g_hash_table_new(g_str_hash, g_str_equal);
    return read_directory(zip, error) ? g_steal_pointer(&zip) : NULL;
}

void w2w_zip_free(W2wZip *zip)
{
    if (zip == NULL)
        return;
    g_hash_table_unref(zip->by_name);
    g_array_unref(zip->entries);
    g_bytes_unref(zip->bytes);
    g_free(zip->name);
    g_free(zip);
}

guint w2w_zip_get_n_entries(const W2wZip *zip)
{
    return zip->entries->len;
}

const char *w2w_zip_get_entry_name(const W2wZip *zip, guint entry)
{
    return g_array_index(zip->entries, Entry, entry).name;
}

gboolean w2w_zip_has_entry(const W2wZip *zip, const char *entry_name)
{
    return g_hash_table_contains(zip->by_name, entry_name);
}

static GBytes *unpack(const W2wZip *zip, const Entry *entry, GError **error)
{
    g_autoptr(GZlibDecompressor) zlib = g_zlib_decompressor_new(G_ZLIB_COMPRESSOR_FORMAT_RAW);
    const guint8 *in = zip->data + entry->data;
    gsize n_in = (gsize)entry->packed_size, n_out = 0;
    const gsize room = (gsize)entry->size + 1; /* so that a stream that goes on is noticed */
    g_autofree guint8 *out = w2w_try_malloc(room, 1, zip->name, error);
    GConverterResult result = G_CONVERTER_CONVERTED;

    if (out == NULL)
        return NULL;
    while (result == G_CONVERTER_CONVERTED) {
        gsize n_read = 0, n_written = 0;

        result = g_converter_convert(G_CONVERTER(zlib), in, n_in, out + n_out, room - n_out,
                                     G_CONVERTER_INPUT_AT_END, &n_read, &n_written, NULL);
        in += n_read;
        n_in -= n_read;
        n_out += n_written;
        if (n_out == room || (n_read == 0 && n_written == 0))
            break;
    }
    if (result != G_CONVERTER_FINISHED || n_out != entry->size || n_in != 0) {
        fail_at(zip, entry->data, error, "the packed data of “%s” are damaged", entry->name);
        return NULL;
    }
    return g_bytes_new_take(g_steal_pointer(&out), n_out);
}

/* The entry, whose size is at most `max_bytes` and none that a bomb has. NULL and an error. */
static const Entry *find_entry(const W2wZip *zip, const char *entry_name, gsize max_bytes,
                               GError **error)
{
    const guint number = GPOINTER_TO_UINT(g_hash_table_lookup(zip->by_name, entry_name));
    const Entry *entry;

    if (number == 0) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_FORMAT, "%s lacks the entry “%s”.", zip->name,
                    entry_name);
        return NULL;
    }
    entry = &g_array_index(zip->entries, Entry, number - 1);
    if (entry->size > max_bytes)
        fail_at(zip, entry->begin, error,
                "“%s” has %" G_GUINT64_FORMAT " bytes; at most %" G_GSIZE_FORMAT " were expected",
                entry_name, entry->size, max_bytes);
    else if (entry->method == METHOD_STORED && entry->packed_size != entry->size)
        fail_at(zip, entry->begin, error, "the stored entry “%s” has two different sizes",
                entry_name);
    else if (entry->method == METHOD_DEFLATED &&
             (entry->size > W2W_ZIP_MAX_INFLATED ||
              entry->size > entry->packed_size * MAX_DEFLATE_RATIO))
        fail_at(zip, entry->begin, error,
                "“%s” claims to unpack to %" G_GUINT64_FORMAT " bytes, more than is accepted",
                entry_name, entry->size);
    else
        return entry;
    return NULL;
}

static gboolean check_checksum(const W2wZip *zip, const Entry *entry, GBytes *bytes, GError **error)
{
    gsize length;
    const guint8 *data = g_bytes_get_data(bytes, &length);

    if (entry->checksum == 0 || crc32_z(0, data, length) == entry->checksum)
        return TRUE;
    return fail_at(zip, entry->data, error, "the checksum of “%s” is wrong: it is damaged",
                   entry->name);
}

GBytes *w2w_zip_read(const W2wZip *zip, const char *entry_name, gsize max_bytes, GError **error)
{
    const Entry *entry = find_entry(zip, entry_name, max_bytes, error);
    g_autoptr(GBytes) bytes = NULL;

    if (entry == NULL)
        return NULL;
    bytes = entry->method == METHOD_STORED
                ? g_bytes_new_from_bytes(zip->bytes, (gsize)entry->data, (gsize)entry->size)
                : unpack(zip, entry, error);
    if (bytes == NULL)
        return NULL;
    if ((entry->method == METHOD_DEFLATED || entry->size <= W2W_ZIP_MAX_CHECKED) &&
        !check_checksum(zip, entry, bytes, error))
        return NULL;
    return g_steal_pointer(&bytes);
}

GBytes *w2w_zip_copy(const W2wZip *zip, const char *entry_name, gsize max_bytes, GError **error)
{
    const Entry *entry = find_entry(zip, entry_name, max_bytes, error);
    g_autoptr(GBytes) bytes = NULL;
    guint8 *copy;

    if (entry == NULL)
        return NULL;
    if (entry->method == METHOD_DEFLATED) {
        bytes = unpack(zip, entry, error);
    } else {
        copy = w2w_try_malloc((gsize)entry->size, 1, zip->name, error);
        if (copy == NULL)
            return NULL;
        memcpy(copy, zip->data + entry->data, (gsize)entry->size);
        bytes = g_bytes_new_take(copy, (gsize)entry->size);
    }
    return bytes != NULL && check_checksum(zip, entry, bytes, error) ? g_steal_pointer(&bytes)
                                                                     : NULL;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Tables of people, read from pickles. */
#include "engine/w2w/people_table.h"

#include "engine/error.h"
#include "engine/formats/pt.h"
#include "engine/memory.h"

#define FILE_COLUMN "file"
/* What two texts of a person take at least; long ones were paid for by the pickle. */
#define PERSON_BYTES 256

W2wPeopleTable *w2w_people_table_new(void)
{
    W2wPeopleTable *table = g_new0(W2wPeopleTable, 1);

    table->attributes = g_ptr_array_new_with_free_func(g_free);
    g_ptr_array_add(table->attributes, NULL);
    table->labels = g_ptr_array_new_with_free_func(g_free);
    return table;
}

void w2w_people_table_free(W2wPeopleTable *table)
{
    if (table == NULL)
        return;
    g_clear_pointer(&table->names, g_ptr_array_unref);
    g_clear_pointer(&table->files, g_ptr_array_unref);
    g_ptr_array_unref(table->attributes);
    g_ptr_array_unref(table->labels);
    g_free(table);
}

gboolean w2w_people_table_add(W2wPeopleTable *table, const char *attribute, gint8 *labels,
                              gint64 n_people)
{
    gint64 n_positive = 0;

    for (gint64 i = 0; i < n_people; i++) {
        if (labels[i] != 1 && labels[i] != -1)
            return FALSE;
        n_positive += labels[i] > 0;
    }
    if (n_positive == 0 || n_positive == n_people)
        return FALSE;
    g_ptr_array_insert(table->attributes, (gint)table->labels->len, g_strdup(attribute));
    g_ptr_array_add(table->labels, labels);
    return TRUE;
}

/*
 * The labels of a column; NULL where it holds anything but 1 and −1. FALSE only where memory is
 * short.
 */
static gboolean read_labels(const W2wPtValue *table, guint column, gint64 n_people, gint8 **out,
                            GError **error)
{
    g_autoptr(W2wArray) numbers = w2w_pt_value_get_column(table, column);
    g_autofree gint8 *labels = NULL;

    *out = NULL;
    if (numbers == NULL || numbers->n_elements != n_people)
        return TRUE;
    labels = w2w_try_malloc((gsize)n_people, sizeof *labels, "the people's labels", error);
    if (labels == NULL)
        return FALSE;
    for (gint64 i = 0; i < n_people; i++) {
        const double value = w2w_array_get(numbers, i);

        if (value != 1.0 && value != -1.0)
            return TRUE;
        labels[i] = (gint8)value;
    }
    *out = g_steal_pointer(&labels);
    return TRUE;
}

/* A name or number as text; NULL for anything else. */
static char *read_text(const W2wPtValue *value)
{
    switch (w2w_pt_value_get_type(value)) {
    case W2W_PT_STRING:
        return g_strdup(w2w_pt_value_get_string(value));
    case W2W_PT_INT:
        return g_strdup_printf("%" G_GINT64_FORMAT, w2w_pt_value_get_int(value));
    default:
        return NULL;
    }
}

/* Texts of all rows, by `get`; NULL where one row has none. */
static GPtrArray *read_texts(const W2wPtValue *table, guint column, gint64 n_people,
                             W2wPtValue *(*get)(const W2wPtValue *, guint, gint64))
{
    g_autoptr(GPtrArray) texts = g_ptr_array_new_with_free_func(g_free);

    for (gint64 i = 0; i < n_people; i++) {
        g_autoptr(W2wPtValue) value = get(table, column, i);
        char *text = value != NULL ? read_text(value) : NULL;

        if (text == NULL)
            return NULL;
        g_ptr_array_add(texts, text);
    }
    return g_steal_pointer(&texts);
}

static W2wPtValue *get_index(const W2wPtValue *table, guint column, gint64 row)
{
    return w2w_pt_value_get_index(table, row);
}

static W2wPtValue *get_key(const W2wPtValue *dictionary, guint column, gint64 row)
{
    return w2w_pt_value_ref(w2w_pt_value_get_key(dictionary, (guint)row));
}

static W2wPtValue *get_item(const W2wPtValue *container, guint column, gint64 row)
{
    return w2w_pt_value_ref(w2w_pt_value_get_item(container, (guint)row));
}

static gboolean read_frame(W2wPeopleTable *people, const W2wPtValue *table, gint64 n_people,
                           GError **error)
{
    people->names = read_texts(table, 0, n_people, get_index);
    for (guint i = 0; i < w2w_pt_value_get_n_columns(table); i++) {
        const W2wPtValue *name = w2w_pt_value_get_column_name(table, i);
        gint8 *labels;

        if (w2w_pt_value_get_type(name) != W2W_PT_STRING)
            continue;
        if (g_str_equal(w2w_pt_value_get_string(name), FILE_COLUMN) && people->files == NULL) {
            people->files = read_texts(table, i, n_people, w2w_pt_value_get_cell);
            continue;
        }
        if (!read_labels(table, i, n_people, &labels, error))
            return FALSE;
        if (labels != NULL &&
            !w2w_people_table_add(people, w2w_pt_value_get_string(name), labels, n_people))
            g_free(labels);
    }
    return TRUE;
}

static gint64 count_rows(const W2wPtValue *table)
{
    switch (w2w_pt_value_get_type(table)) {
    case W2W_PT_DATAFRAME:
        return w2w_pt_value_get_n_rows(table);
    case W2W_PT_DICT:
    case W2W_PT_LIST:
        return w2w_pt_value_get_length(table);
    default:
        return -1;
    }
}

W2wPeopleTable *w2w_people_table_load(const char *path, gint64 n_people, const char *beside,
                                      GError **error)
{
    g_autoptr(W2wPeopleTable) people = w2w_people_table_new();
    g_autoptr(W2wPtValue) table = w2w_pt_open(path, error);
    gint64 n_rows;

    if (table == NULL)
        return NULL;
    n_rows = count_rows(table);
    if (n_rows < 0) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_FORMAT,
                    "%s holds %s; a DataFrame with a column per attribute was expected.", path,
                    w2w_pt_type_describe(w2w_pt_value_get_type(table)));
        return NULL;
    }
    if (n_rows != n_people) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_MISMATCH,
                    "%s has %" G_GINT64_FORMAT " rows, %s beside it %" G_GINT64_FORMAT
                    " people: they must be equal.",
                    path, n_rows, beside, n_people);
        return NULL;
    }
    if (!w2w_memory_reserve((gsize)n_people * PERSON_BYTES, "the people's names", error))
        return NULL;
    if (w2w_pt_value_get_type(table) == W2W_PT_DATAFRAME) {
        if (!read_frame(people, table, n_people, error))
            return NULL;
    } else if (w2w_pt_value_get_type(table) == W2W_PT_DICT) {
        people->names = read_texts(table, 0, n_people, get_key);
        people->files = read_texts(table, 0, n_people, get_item);
    } else {
        people->names = read_texts(table, 0, n_people, get_item);
    }
    return g_steal_pointer(&people);
}

static gint64 find(const GPtrArray *texts, const char *text)
{
    for (guint i = 0; texts != NULL && i < texts->len; i++)
        if (g_str_equal(texts->pdata[i], text))
            return i;
    return -1;
}

gint64 w2w_people_table_find(const W2wPeopleTable *table, const char *name)
{
    const gint64 row = find(table->names, name);

    return row >= 0 ? row : find(table->files, name);
}

static const char *get_text(const GPtrArray *texts, gint64 row)
{
    return texts != NULL && row >= 0 && row < texts->len ? texts->pdata[row] : NULL;
}

const char *w2w_people_table_get_name(const W2wPeopleTable *table, gint64 row)
{
    return get_text(table->names, row);
}

const char *w2w_people_table_get_file(const W2wPeopleTable *table, gint64 row)
{
    return get_text(table->files, row);
}

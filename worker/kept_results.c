/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A short list, last put first. */
#include "worker/kept_results.h"

#include <string.h>

typedef struct {
    char *key, *text;
    GBytes *identity;
    double loss; /* 0: not known */
    guint n_steps;
} Entry;

struct _W2wKeptResults {
    GMutex mutex;
    GQueue entries; /* Entry */
};

static void entry_free(gpointer data)
{
    Entry *entry = data;

    g_bytes_unref(entry->identity);
    g_free(entry->key);
    g_free(entry->text);
    g_free(entry);
}

W2wKeptResults *w2w_kept_results_new(void)
{
    W2wKeptResults *kept = g_new0(W2wKeptResults, 1);

    g_mutex_init(&kept->mutex);
    g_queue_init(&kept->entries);
    return kept;
}

void w2w_kept_results_free(W2wKeptResults *kept)
{
    if (kept == NULL)
        return;
    g_queue_clear_full(&kept->entries, entry_free);
    g_mutex_clear(&kept->mutex);
    g_free(kept);
}

/* With its length, so that no two lists of texts read alike. */
static void add(GChecksum *checksum, const void *data, gsize size)
{
    const guint64 length = size;

    g_checksum_update(checksum, (const guchar *)&length, sizeof length);
    g_checksum_update(checksum, data, (gssize)size);
}

static gboolean is_picture(const W2wJob *job, const char *name)
{
    const W2wParameter *parameter = w2w_parameter_lookup(job->parameters, job->n_parameters, name);

    return parameter != NULL && parameter->type == W2W_PARAMETER_PICTURE;
}

char *w2w_kept_results_make_key(const W2wJob *job, const char *world, const char *subject,
                                const W2wValues *values)
{
    g_autoptr(GChecksum) checksum = g_checksum_new(G_CHECKSUM_SHA256);
    g_autoptr(GVariant) dictionary = g_variant_ref_sink(w2w_values_to_variant(values));

    if (job->resumes_from == NULL)
        return NULL;
    add(checksum, job->name, strlen(job->name));
    add(checksum, world, strlen(world));
    add(checksum, subject, strlen(subject));
    for (guint i = 0; job->resumes_for[i] != NULL; i++) {
        const char *name = job->resumes_for[i];
        g_autoptr(GVariant) value = NULL;

        if (*subject != 0 && is_picture(job, name))
            continue;
        /* A value at its default is not in the dictionary. */
        value = g_variant_lookup_value(dictionary, name, NULL);
        add(checksum, name, strlen(name));
        if (value != NULL)
            add(checksum, g_variant_get_data(value), g_variant_get_size(value));
        else
            add(checksum, NULL, 0);
    }
    return g_strdup(g_checksum_get_string(checksum));
}

/* Under the mutex. */
static GList *find(W2wKeptResults *kept, const char *key)
{
    for (GList *link = kept->entries.head; link != NULL; link = link->next)
        if (strcmp(((Entry *)link->data)->key, key) == 0)
            return link;
    return NULL;
}

static void remove_locked(W2wKeptResults *kept, const char *key)
{
    GList *link = find(kept, key);

    if (link != NULL) {
        entry_free(link->data);
        g_queue_delete_link(&kept->entries, link);
    }
}

static gboolean is_better(const Entry *entry, const Entry *than)
{
    if (entry->loss > 0.0 && than->loss > 0.0)
        return entry->loss < than->loss;
    if (entry->loss > 0.0 || than->loss > 0.0)
        return entry->loss > 0.0;
    return entry->n_steps > than->n_steps;
}

void w2w_kept_results_put(W2wKeptResults *kept, const char *key, const W2wJobResult *result)
{
    Entry *entry = g_new(Entry, 1);
    GList *earlier;

    entry->key = g_strdup(key);
    entry->text = g_strdup(result->message != NULL ? result->message : "");
    entry->identity = g_bytes_ref(result->identity);
    entry->loss = result->loss;
    entry->n_steps = result->n_steps;
    g_mutex_lock(&kept->mutex);
    earlier = find(kept, key);
    if (earlier != NULL && is_better(earlier->data, entry)) {
        g_queue_unlink(&kept->entries, earlier);
        entry_free(entry);
        entry = earlier->data;
        g_list_free(earlier);
    } else {
        remove_locked(kept, key);
    }
    g_queue_push_head(&kept->entries, entry);
    while (kept->entries.length > W2W_KEPT_RESULTS_MAX)
        entry_free(g_queue_pop_tail(&kept->entries));
    g_mutex_unlock(&kept->mutex);
}

void w2w_kept_results_remove(W2wKeptResults *kept, const char *key)
{
    g_mutex_lock(&kept->mutex);
    remove_locked(kept, key);
    g_mutex_unlock(&kept->mutex);
}

GBytes *w2w_kept_results_get(W2wKeptResults *kept, const char *key, char **text)
{
    GBytes *identity = NULL;
    GList *link;

    if (key == NULL)
        return NULL;
    g_mutex_lock(&kept->mutex);
    link = find(kept, key);
    if (link != NULL) {
        const Entry *entry = link->data;

        identity = g_bytes_ref(entry->identity);
        if (text != NULL)
            *text = g_strdup(entry->text);
    }
    g_mutex_unlock(&kept->mutex);
    return identity;
}

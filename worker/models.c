/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What is kept between jobs. */
#include "worker/models.h"

#include <string.h>

#include "engine/formats/file_stamp.h"
#include "engine/formats/mapped_file.h"

#define N_KEPT 2
#define DEVICE "cpu"

typedef struct {
    char *directory;
    W2wPipeline *pipeline;
    char *stamp; /* of its files when they were opened */
} Entry;

struct _W2wModels {
    GQueue entries; /* Entry, last used first */
};

static void entry_free(gpointer data)
{
    Entry *entry = data;

    w2w_pipeline_free(entry->pipeline);
    g_free(entry->directory);
    g_free(entry->stamp);
    g_free(entry);
}

W2wModels *w2w_models_new(void)
{
    W2wModels *models = g_new0(W2wModels, 1);

    g_queue_init(&models->entries);
    return models;
}

void w2w_models_free(W2wModels *models)
{
    if (models == NULL)
        return;
    g_queue_clear_full(&models->entries, entry_free);
    g_free(models);
}

/* Of all places that a world consists of. */
static char *stamp_of(const char *directory, W2wWorld *world)
{
    const W2wSpace *space = w2w_world_get_space(world);
    g_autofree char *whole = w2w_file_stamp(directory);
    g_autofree char *model = w2w_file_stamp(w2w_world_get_model_directory(world));
    g_autofree char *rest =
        space != NULL ? w2w_file_stamp(w2w_space_get_directory(space)) : g_strdup("");

    return g_strconcat(whole, model, rest, NULL);
}

/* A world whose files have changed since they were opened goes, and is as good as not there. */
static W2wPipeline *find(W2wModels *models, const char *directory)
{
    for (GList *link = models->entries.head; link != NULL; link = link->next) {
        Entry *entry = link->data;
        g_autofree char *stamp = NULL;

        if (strcmp(entry->directory, directory) != 0)
            continue;
        g_queue_unlink(&models->entries, link);
        stamp = stamp_of(directory, w2w_pipeline_get_world(entry->pipeline));
        if (strcmp(entry->stamp, stamp) == 0) {
            g_queue_push_head_link(&models->entries, link);
            return entry->pipeline;
        }
        entry_free(entry);
        g_list_free(link);
        return NULL;
    }
    return NULL;
}

/* Takes `stamp`. */
static void keep(W2wModels *models, const char *directory, W2wPipeline *pipeline, char *stamp)
{
    Entry *entry = g_new(Entry, 1);

    entry->directory = g_strdup(directory);
    entry->pipeline = pipeline;
    entry->stamp = stamp;
    g_queue_push_head(&models->entries, entry);
}

W2wPipeline *w2w_models_get(W2wModels *models, const char *world_directory, const W2wJob *job,
                            const W2wValues *values, gboolean *loaded, GError **error)
{
    const W2wDeviceOptions options = {.n_threads = 0};
    W2wPipeline *pipeline = find(models, world_directory);
    g_autoptr(W2wWorld) world = NULL;
    g_autofree char *stamp = NULL;
    W2wDevice *device;

    *loaded = FALSE;
    if (!w2w_mapped_files_check(NULL)) { /* those of any world: this job must not end in it */
        g_queue_clear_full(&models->entries, entry_free);
        w2w_mapped_files_check(NULL); /* what was told is told again when it is unmapped */
        pipeline = NULL;
    }
    if (pipeline != NULL)
        return pipeline;
    world = w2w_world_open(world_directory, error);
    if (world == NULL || !job->check(world, values, error))
        return NULL;
    stamp = stamp_of(world_directory, world);
    /* Before the new one takes its memory, not after. */
    while (models->entries.length >= N_KEPT)
        entry_free(g_queue_pop_tail(&models->entries));
    device = w2w_device_new(DEVICE, &options, error);
    if (device == NULL)
        return NULL;
    pipeline = w2w_pipeline_new(g_steal_pointer(&world), device, error);
    if (pipeline == NULL)
        return NULL;
    keep(models, world_directory, pipeline, g_steal_pointer(&stamp));
    *loaded = TRUE;
    return pipeline;
}

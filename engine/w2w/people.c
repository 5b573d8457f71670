/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Finding people. */
#include "engine/w2w/people.h"

#include <math.h>

#include "engine/error.h"
#include "engine/memory.h"
#include "engine/w2w/matrix.h"
#include "engine/w2w/space_internal.h"

/* Rows of proj at a time. */
#define BLOCK_ROWS 128

const char *w2w_space_get_person_name(const W2wSpace *space, gint64 row)
{
    return w2w_people_table_get_name(space->people, row);
}

const char *w2w_space_get_person_file(const W2wSpace *space, gint64 row)
{
    return w2w_people_table_get_file(space->people, row);
}

gint64 w2w_space_find_person(const W2wSpace *space, const char *name, GError **error)
{
    const W2wPeopleTable *people = space->people;
    gint64 row;

    if (!w2w_space_require_people(space, "Looking for a person", error))
        return -1;
    if (people->names == NULL && people->files == NULL) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_UNSUPPORTED,
                    "The people of %s have no names: it has no %s.", space->directory,
                    w2w_space_part_name(space, W2W_SPACE_LABELS));
        return -1;
    }
    row = w2w_people_table_find(people, name);
    if (row < 0)
        g_set_error(error, W2W_ERROR, W2W_ERROR_USAGE,
                    "Nobody in %s is called “%s”; the first of the %" G_GINT64_FORMAT
                    " people is “%s”.",
                    space->directory, name, space->n_people,
                    people->names != NULL ? w2w_space_get_person_name(space, 0)
                                          : w2w_space_get_person_file(space, 0));
    return row;
}

/* Keeps `nearest` sorted and at most `n_wanted` long. */
static void insert(GArray *nearest, guint n_wanted, W2wNeighbour neighbour)
{
    guint place = nearest->len;

    while (place > 0 &&
           g_array_index(nearest, W2wNeighbour, place - 1).distance > neighbour.distance)
        place--;
    if (place >= n_wanted)
        return;
    g_array_insert_val(nearest, place, neighbour);
    if (nearest->len > n_wanted)
        g_array_set_size(nearest, n_wanted);
}

/* Calls `func` with every person's coefficients (n_with_statistics), in blocks of rows. */
static gboolean each_person(const W2wSpace *space, const char *what,
                            void (*func)(const W2wSpace *space, gint64 row, const double *person,
                                         gpointer user_data),
                            gpointer user_data, GError **error)
{
    const guint n = space->n_with_statistics;
    W2W_AUTO_ALIGNED double *rows = NULL;

    if (!w2w_space_require_people(space, what, error))
        return FALSE;
    rows = w2w_aligned_alloc((gsize)MIN(BLOCK_ROWS, space->n_people) * n, sizeof *rows,
                             "rows of the population", error);
    if (rows == NULL)
        return FALSE;
    for (gint64 first = 0; first < space->n_people; first += BLOCK_ROWS) {
        const gint64 n_rows = MIN(BLOCK_ROWS, space->n_people - first);

        w2w_matrix_read_rows(space->projections, first, n_rows, rows);
        for (gint64 r = 0; r < n_rows; r++)
            func(space, first + r, rows + (gsize)r * n, user_data);
    }
    return TRUE;
}

typedef struct {
    const float *coefficients;
    guint n_coefficients, n_wanted;
    GArray *nearest;
} Search;

static void compare_person(const W2wSpace *space, gint64 row, const double *person,
                           gpointer user_data)
{
    Search *search = user_data;
    double square = 0.0;

    for (guint j = 0; j < space->n_with_statistics; j++) {
        const double std = space->coefficient_std[j];
        const double own = j < search->n_coefficients ? (double)search->coefficients[j] : 0.0;

        square += std > 0.0 ? pow((own - person[j]) / std, 2) : 0.0;
    }
    insert(search->nearest, search->n_wanted, (W2wNeighbour){row, sqrt(square)});
}

GArray *w2w_space_find_nearest(const W2wSpace *space, const float *coefficients,
                               guint n_coefficients, guint n_wanted, GError **error)
{
    g_autoptr(GArray) nearest = g_array_new(FALSE, FALSE, sizeof(W2wNeighbour));
    Search search = {coefficients, n_coefficients, n_wanted, nearest};

    if (!each_person(space, "Looking for neighbours", compare_person, &search, error))
        return NULL;
    return g_steal_pointer(&nearest);
}

typedef struct {
    double square;
    gint64 n_nearer;
} Distance;

static double measure(const W2wSpace *space, double coefficient, guint j)
{
    const double std = space->coefficient_std[j];

    return std > 0.0 ? pow((coefficient - space->coefficient_mean[j]) / std, 2) : 0.0;
}

static void count_person(const W2wSpace *space, gint64 row, const double *person,
                         gpointer user_data)
{
    Distance *distance = user_data;
    double square = 0.0;

    for (guint j = 0; j < space->n_with_statistics; j++)
        square += measure(space, person[j], j);
    distance->n_nearer += square < distance->square;
}

gboolean w2w_space_measure_distance(const W2wSpace *space, const float *coefficients,
                                    guint n_coefficients, double *distance, double *people_within,
                                    GError **error)
{
    Distance own = {0};

    if (!w2w_space_require_people(space, "A distance from the population", error))
        return FALSE;
    for (guint j = 0; j < space->n_with_statistics; j++)
        own.square += measure(space, j < n_coefficients ? (double)coefficients[j] : 0.0, j);
    *distance = sqrt(own.square);
    if (people_within == NULL)
        return TRUE;
    if (!each_person(space, "A distance from the population", count_person, &own, error))
        return FALSE;
    *people_within = (double)own.n_nearer / (double)space->n_people;
    return TRUE;
}

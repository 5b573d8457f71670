/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What an inversion promises beyond the golden steps, on the golden folder's model: the same bits
 * for a seed, stopping and going on, masks, several pictures, starts, budgets of memory; and held
 * losses against the UNet called picture by picture.
 */
#include <math.h>
#include <string.h>

#include "engine/error.h"
#include "engine/memory.h"
#include "engine/training/held_loss.h"
#include "engine/training/inversion.h"
#include "engine/training/inversion_internal.h"
#include "engine/training/noising.h"
#include "engine/w2w/people.h"
#include "tests/pipeline/golden_pipeline.h"

#define HEIGHT    8 /* of the latents */
#define WIDTH     8
#define N_STEPS   24
#define MAX_COUNT 4096

/* Two made-up pictures, and a text. */
typedef struct {
    GoldenPipeline golden;
    gsize n;
    float *mean[2], *std[2], *mask, *text;
    W2wInversionPicture pictures[2];
    W2wInversionProblem problem;
    W2wInversionRecipe recipe;
} Fixture;

static void set_up(Fixture *f)
{
    const char *prompt = "a person";
    g_autoptr(W2wGenerator) generator = w2w_generator_new(5);
    g_autoptr(GError) error = NULL;

    memset(f, 0, sizeof *f);
    golden_pipeline_open(&f->golden, "cpu", NULL);
    f->n = (gsize)(HEIGHT * WIDTH * w2w_pipeline_get_sizes(f->golden.pipeline).latent_channels);
    for (guint p = 0; p < 2; p++) {
        f->mean[p] = g_new(float, f->n);
        f->std[p] = g_new(float, f->n);
        w2w_generator_randn(generator, f->n, f->mean[p]);
        w2w_generator_rand(generator, f->n, f->std[p]);
        f->pictures[p] = (W2wInversionPicture){f->mean[p], f->std[p], NULL};
    }
    f->mask = g_new(float, HEIGHT *WIDTH);
    for (guint i = 0; i < HEIGHT * WIDTH; i++)
        f->mask[i] = (float)(i % 5) / 4.0f;
    f->text = w2w_pipeline_encode_text(f->golden.pipeline, &prompt, 1, &error);
    g_assert_no_error(error);
    f->problem = (W2wInversionProblem){.height = HEIGHT,
                                       .width = WIDTH,
                                       .pictures = f->pictures,
                                       .n_pictures = 1,
                                       .text_embedding = f->text,
                                       .seed = 11};
    w2w_inversion_recipe_init(&f->recipe, W2W_INVERSION_PAPER,
                              w2w_space_get_n_components(
                                  w2w_world_get_space(w2w_pipeline_get_world(f->golden.pipeline))));
    f->recipe.n_steps = N_STEPS;
}

static void tear_down(Fixture *f)
{
    for (guint p = 0; p < 2; p++) {
        g_free(f->mean[p]);
        g_free(f->std[p]);
    }
    g_free(f->mask);
    w2w_aligned_free(f->text);
    golden_pipeline_close(&f->golden);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Fixture, tear_down)

static W2wSpace *get_space(const Fixture *f)
{
    return w2w_world_get_space(w2w_pipeline_get_world(f->golden.pipeline));
}

static W2wInversion *start(const Fixture *f)
{
    g_autoptr(GError) error = NULL;
    W2wInversion *inversion =
        w2w_inversion_new(f->golden.pipeline, &f->recipe, &f->problem, NULL, &error);

    g_assert_no_error(error);
    return inversion;
}

/* The result of a whole run; caller frees. */
static float *run(const Fixture *f, guint *n)
{
    g_autoptr(W2wInversion) inversion = start(f);
    g_autoptr(GError) error = NULL;
    float *result = g_new(float, w2w_inversion_get_n_coefficients(inversion));

    g_assert_true(w2w_inversion_run(inversion, NULL, &error));
    g_assert_no_error(error);
    g_assert_cmpuint(w2w_inversion_get_n_done(inversion), ==, f->recipe.n_steps);
    w2w_inversion_get_result(inversion, result);
    *n = w2w_inversion_get_n_coefficients(inversion);
    return result;
}

static void assert_same_bits(const float *a, const float *b, guint n)
{
    g_assert_cmpmem(a, n * sizeof *a, b, n * sizeof *b);
}

static gboolean differ(const float *a, const float *b, guint n)
{
    return memcmp(a, b, n * sizeof *a) != 0;
}

/* Everything that is random in one recipe. */
static void make_random(W2wInversionRecipe *recipe, guint i)
{
    recipe->batch = i == 0 ? 1 : 2;
    recipe->posterior_means = i % 2 == 1;
    recipe->timesteps = i % 3;
    recipe->n_noises = i == 3 ? 3 : 0;
    recipe->antithetic = i == 2;
    recipe->preconditioning = i == 1 ? 1.0 : 0.0;
    recipe->lr_schedule = i % 3;
    recipe->averaged = i == 2 ? 0.5 : 0.0;
    recipe->population_weight = i == 1 ? 1e-4 : 0.0;
}

static void test_same_seed_same_bits(void)
{
    g_auto(Fixture) f = {0}; /* the first: it outlives what is made with it */

    set_up(&f);
    f.recipe.n_steps = 6;
    for (guint i = 0; i < 4; i++) {
        g_autofree float *first = NULL, *again = NULL, *other = NULL;
        guint n;

        make_random(&f.recipe, i);
        f.problem.seed = 11;
        first = run(&f, &n);
        again = run(&f, &n);
        f.problem.seed = 12;
        other = run(&f, &n);
        assert_same_bits(first, again, n);
        g_assert_true(differ(first, other, n));
        for (guint j = 0; j < n; j++)
            g_assert_true(isfinite(first[j]));
    }
}

/* --- stopping --- */

typedef struct {
    GCancellable *cancellable;
    guint n_left; /* reports until it is cancelled */
} Stop;

static void count_down(double fraction, const char *text, gpointer user_data)
{
    Stop *stop = user_data;

    g_assert_cmpfloat(fraction, >=, 0.0);
    g_assert_cmpfloat(fraction, <=, 1.0);
    if (stop->n_left-- == 0)
        g_cancellable_cancel(stop->cancellable);
}

/* Runs until `n` steps are done. */
static void run_some(W2wInversion *inversion, guint n)
{
    g_autoptr(GCancellable) cancellable = g_cancellable_new();
    Stop stop = {cancellable, n - 1};
    const W2wProgress progress = {count_down, &stop, cancellable};
    const guint before = w2w_inversion_get_n_done(inversion);
    g_autoptr(GError) error = NULL;

    g_assert_false(w2w_inversion_run(inversion, &progress, &error));
    g_assert_error(error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
    g_assert_cmpuint(w2w_inversion_get_n_done(inversion), ==, before + n);
}

static void test_going_on_is_as_uninterrupted(void)
{
    g_auto(Fixture) f = {0};

    set_up(&f);
    f.recipe.n_steps = 9;
    for (guint i = 0; i < 4; i++) {
        g_autofree float *whole = NULL;
        g_autoptr(W2wInversion) parts = NULL;
        g_autoptr(GError) error = NULL;
        float result[MAX_COUNT];
        guint n;

        make_random(&f.recipe, i);
        whole = run(&f, &n);
        g_assert_cmpuint(n, <=, MAX_COUNT);
        parts = start(&f);
        run_some(parts, 2);
        run_some(parts, 4);
        g_assert_true(w2w_inversion_run(parts, NULL, &error));
        w2w_inversion_get_result(parts, result);
        assert_same_bits(whole, result, n);
    }
}

static double hold(W2wHeldLoss *held, const float *coefficients, guint n)
{
    g_autoptr(GError) error = NULL;
    double loss;

    g_assert_true(w2w_held_loss_compute_of(held, coefficients, n, NULL, &loss, &error));
    return loss;
}

/*
 * Stopped, it gives the best until then, as the held loss sees it too: the latest coefficients
 * while all goes well (but for the last step, whose losses are not known), earlier ones once the
 * search has strayed, here because its steps are far too large.
 */
static void test_stopped_keeps_the_best(void)
{
    for (guint strays = 0; strays < 2; strays++) {
        g_auto(Fixture) f = {0};
        g_autoptr(W2wInversion) stopped = NULL;
        g_autoptr(W2wHeldLoss) held = NULL;
        g_autoptr(GError) error = NULL;
        float before[MAX_COUNT], result[MAX_COUNT];
        const float *last;
        double of_result, of_last;
        guint n;

        set_up(&f);
        f.recipe.lr = strays ? 30.0 : 0.1;
        f.recipe.batch = 8;
        f.recipe.timesteps = W2W_TIMESTEPS_STRATIFIED;
        f.recipe.n_steps = 25;
        stopped = start(&f);
        n = w2w_inversion_get_n_coefficients(stopped);
        run_some(stopped, 23);
        memcpy(before, w2w_inversion_get_coefficients(stopped), n * sizeof *before);
        run_some(stopped, 1);
        w2w_inversion_get_result(stopped, result);
        last = w2w_inversion_get_coefficients(stopped);
        held = w2w_held_loss_new(f.golden.pipeline, &f.problem, &error);
        g_assert_no_error(error);
        of_result = hold(held, result, n);
        of_last = hold(held, last, n);
        g_test_message("held loss of the result %g, of the last %g", of_result, of_last);
        if (strays)
            g_assert_cmpfloat(of_result, <, of_last);
        else
            assert_same_bits(result, before, n);
    }
}

/*
 * However many pictures there are and whatever a step's batch: each gets as many images, and both
 * ends of the timesteps.
 */
static void test_pictures_see_all_timesteps(void)
{
    W2wInversionPicture pictures[5];

    for (guint n_pictures = 1; n_pictures <= G_N_ELEMENTS(pictures); n_pictures++) {
        g_auto(Fixture) f = {0};
        g_autoptr(W2wInversion) inversion = NULL;
        guint n_early[G_N_ELEMENTS(pictures)] = {0}, n_late[G_N_ELEMENTS(pictures)] = {0};
        guint n_images = 0;

        set_up(&f);
        for (guint p = 0; p < n_pictures; p++)
            pictures[p] = f.pictures[0];
        f.problem.pictures = pictures;
        f.problem.n_pictures = n_pictures;
        w2w_inversion_recipe_init(&f.recipe, W2W_INVERSION_FAST, f.recipe.n_components);
        inversion = start(&f);
        while (n_images < 240) { /* a multiple of every number of pictures, in pairs */
            W2wInversionDraw draw;

            w2w_inversion_draw(inversion, &draw);
            for (guint b = 0; b < f.recipe.batch; b++, n_images++)
                (draw.timesteps[b] < 500 ? n_early : n_late)[draw.pictures[b]]++;
        }
        for (guint p = 0; p < n_pictures; p++) {
            g_assert_cmpuint(n_early[p] + n_late[p], ==, n_images / n_pictures);
            g_assert_cmpuint(n_early[p], >=, n_images / n_pictures / 3);
            g_assert_cmpuint(n_late[p], >=, n_images / n_pictures / 3);
        }
    }
}

/* Stopped at once, before anything could be judged: what there is. */
static void test_stopped_at_once(void)
{
    g_auto(Fixture) f = {0};
    g_autoptr(W2wInversion) inversion = NULL;
    float result[MAX_COUNT];

    set_up(&f);
    inversion = start(&f);
    run_some(inversion, 1);
    w2w_inversion_get_result(inversion, result);
    assert_same_bits(result, w2w_inversion_get_coefficients(inversion),
                     w2w_inversion_get_n_coefficients(inversion));
}

static void test_average_of_the_last(void)
{
    g_auto(Fixture) f = {0};
    g_autoptr(W2wInversion) inversion = NULL;
    double sums[MAX_COUNT] = {0.0};
    float result[MAX_COUNT];
    guint n;

    set_up(&f);
    f.recipe.n_steps = 8;
    f.recipe.averaged = 0.5;
    inversion = start(&f);
    n = w2w_inversion_get_n_coefficients(inversion);
    for (guint s = 0; s < 8; s++) {
        g_autoptr(GError) error = NULL;
        double loss;

        g_assert_true(w2w_inversion_step(inversion, NULL, &loss, &error));
        for (guint j = 0; s >= 4 && j < n; j++)
            sums[j] += (double)w2w_inversion_get_coefficients(inversion)[j];
    }
    w2w_inversion_get_result(inversion, result);
    for (guint j = 0; j < n; j++)
        g_assert_cmpfloat(result[j], ==, (float)(sums[j] / 4.0));
}

/* --- masks and pictures --- */

static void test_masks(void)
{
    g_auto(Fixture) f = {0};
    g_autofree float *without = NULL, *with = NULL, *soft = NULL, *nothing = NULL;
    float mask[HEIGHT * WIDTH];
    guint n;

    set_up(&f);
    f.recipe.n_steps = 4;
    without = run(&f, &n);
    f.pictures[0].mask = mask;
    for (guint i = 0; i < HEIGHT * WIDTH; i++)
        mask[i] = 1.0f;
    with = run(&f, &n);
    assert_same_bits(without, with, n);
    f.pictures[0].mask = f.mask;
    soft = run(&f, &n);
    g_assert_true(differ(without, soft, n));
    /* Where nothing counts, nothing is to be learned. */
    memset(mask, 0, sizeof mask);
    f.pictures[0].mask = mask;
    nothing = run(&f, &n);
    for (guint j = 0; j < n; j++)
        g_assert_cmpfloat(nothing[j], ==, 0.0f);
}

/* Images of one step with their numbers, for who draws himself. */
typedef struct {
    float *noise;
    guint timesteps[2], pictures[2];
} Numbers;

static double step_once(const Fixture *f, const Numbers *numbers, float *coefficients)
{
    g_autoptr(W2wInversion) inversion = start(f);
    g_autoptr(GError) error = NULL;
    const W2wInversionDraw draw = {
        .pictures = numbers->pictures, .timesteps = numbers->timesteps, .noise = numbers->noise};
    double loss;

    g_assert_true(w2w_inversion_step(inversion, &draw, &loss, &error));
    g_assert_no_error(error);
    memcpy(coefficients, w2w_inversion_get_coefficients(inversion),
           w2w_inversion_get_n_coefficients(inversion) * sizeof *coefficients);
    return loss;
}

/* Each image has its own picture's posterior and mask. */
static void test_several_pictures(void)
{
    g_auto(Fixture) f = {0};
    Numbers numbers = {.timesteps = {400, 90}, .pictures = {0, 1}};
    float both[MAX_COUNT], alone[MAX_COUNT];
    double loss_of_both, losses[2];

    set_up(&f);
    numbers.noise = g_new(float, 2 * f.n);
    for (gsize i = 0; i < 2 * f.n; i++)
        numbers.noise[i] = sinf((float)i);
    f.pictures[1].mask = f.mask;
    f.problem.n_pictures = 2;
    f.recipe.batch = 2;
    loss_of_both = step_once(&f, &numbers, both);
    f.recipe.batch = 1;
    f.problem.n_pictures = 1;
    for (guint p = 0; p < 2; p++) {
        Numbers own = {.noise = numbers.noise + p * f.n, .timesteps = {numbers.timesteps[p]}};
        const W2wInversionPicture *all = f.problem.pictures;

        f.problem.pictures = &f.pictures[p];
        losses[p] = step_once(&f, &own, alone);
        f.problem.pictures = all;
    }
    g_assert_cmpfloat_with_epsilon(loss_of_both, (losses[0] + losses[1]) / 2.0, 1e-6);
    g_assert_cmpfloat(fabs(losses[0] - losses[1]), >, 1e-3); /* they can be told apart */
    g_free(numbers.noise);
}

/* Two times the same picture is as good as once; two different ones take turns. */
static void test_pictures_take_turns(void)
{
    g_auto(Fixture) f = {0};
    g_autofree float *once = NULL, *twice = NULL, *different = NULL;
    guint n;

    set_up(&f);
    f.recipe.n_steps = 4;
    once = run(&f, &n);
    f.problem.n_pictures = 2;
    different = run(&f, &n);
    f.pictures[1] = f.pictures[0];
    twice = run(&f, &n);
    assert_same_bits(once, twice, n);
    g_assert_true(differ(once, different, n));
}

/* --- starts --- */

/* Adam's first step is lr · g / (|g| + eps): lr, or a little less where gradients are small. */
static void assert_first_step(double step, double lr)
{
    g_assert_cmpfloat(fabs(step), <=, lr * (1.0 + 1e-4));
    g_assert_cmpfloat(fabs(step), >=, lr * 0.8);
}

static void test_going_on_from_an_identity(void)
{
    g_auto(Fixture) f = {0};
    float from[MAX_COUNT], step[MAX_COUNT];
    guint n_space;
    g_autoptr(W2wInversion) inversion = NULL;
    g_autoptr(GError) error = NULL;
    double loss;

    set_up(&f);
    n_space = w2w_space_get_n_components(get_space(&f));
    for (guint j = 0; j < n_space; j++)
        from[j] = cosf((float)j);
    f.problem.start = from;
    f.problem.n_start = n_space;
    f.recipe.n_components = n_space / 2;
    inversion = start(&f);
    g_assert_cmpuint(w2w_inversion_get_n_components(inversion), ==, n_space / 2);
    g_assert_cmpuint(w2w_inversion_get_n_coefficients(inversion), ==, n_space);
    assert_same_bits(w2w_inversion_get_coefficients(inversion), from, n_space);
    g_assert_true(w2w_inversion_step(inversion, NULL, &loss, &error));
    memcpy(step, w2w_inversion_get_coefficients(inversion), sizeof *step * n_space);
    /* What is not sought stays. */
    assert_same_bits(step + n_space / 2, from + n_space / 2, n_space - n_space / 2);
    for (guint j = 0; j < n_space / 2; j++)
        assert_first_step((double)step[j] - (double)from[j], f.recipe.lr);
}

/* It begins at a person of the dataset: the one with the lowest loss, whoever is asked. */
static void test_start_from_people(void)
{
    g_auto(Fixture) f = {0};
    W2wSpace *space;
    g_autoptr(W2wInversion) first = NULL;
    g_autoptr(W2wInversion) all = NULL;
    g_autofree float *person = NULL;
    gboolean found = FALSE;
    guint n;

    set_up(&f);
    space = get_space(&f);
    n = w2w_space_get_n_with_statistics(space);
    person = g_new(float, n);
    f.recipe.n_tries = 6;
    f.recipe.n_nearest = 1;
    f.recipe.n_candidates = 1;
    first = start(&f);
    g_assert_true(w2w_space_get_person(space, 0, person, NULL));
    assert_same_bits(w2w_inversion_get_coefficients(first), person, n);
    f.recipe.n_candidates = 10;
    all = start(&f);
    for (gint64 row = 0; row < w2w_space_get_n_people(space) && !found; row++) {
        g_assert_true(w2w_space_get_person(space, row, person, NULL));
        found = !differ(w2w_inversion_get_coefficients(all), person, n);
    }
    g_assert_true(found);
}

/* With a heavy hand it ends nearer to the population's mean than it began. */
static void test_population_pulls(void)
{
    g_auto(Fixture) f = {0};
    g_autofree float *free_result = NULL, *pulled = NULL;
    double far, near;
    guint n;

    set_up(&f);
    f.recipe.n_steps = 12;
    f.recipe.lr = 1.0;
    free_result = run(&f, &n);
    f.recipe.population_weight = 10.0;
    pulled = run(&f, &n);
    g_assert_true(w2w_space_measure_distance(get_space(&f), free_result, n, &far, NULL, NULL));
    g_assert_true(w2w_space_measure_distance(get_space(&f), pulled, n, &near, NULL, NULL));
    g_test_message("distance %g, pulled %g", far, near);
    g_assert_cmpfloat(near, <, far);
}

/* Preconditioned, Adam's first step is as long as the components vary, in proportion. */
static void test_preconditioning(void)
{
    g_auto(Fixture) f = {0};
    g_autoptr(W2wInversion) inversion = NULL;
    g_autoptr(GError) error = NULL;
    const double *s;
    double loss, mean = 0.0;
    guint n;

    set_up(&f);
    f.recipe.preconditioning = 1.0;
    inversion = start(&f);
    g_assert_true(w2w_inversion_step(inversion, NULL, &loss, &error));
    s = w2w_space_get_coefficient_std(get_space(&f));
    n = MIN(w2w_space_get_n_with_statistics(get_space(&f)),
            w2w_inversion_get_n_components(inversion));
    for (guint j = 0; j < n; j++)
        mean += s[j] / n;
    for (guint j = 0; j < n; j++) {
        const double expected = f.recipe.lr * s[j] / mean;

        assert_first_step((double)w2w_inversion_get_coefficients(inversion)[j], expected);
    }
}

/* --- errors --- */

static void test_memory(void)
{
    g_auto(Fixture) f = {0};
    g_autofree float *unlimited = NULL, *limited = NULL;
    g_autoptr(GError) error = NULL;
    W2wTrainingMemory all, least;
    guint n;

    set_up(&f);
    f.recipe.n_steps = 3;
    g_assert_true(w2w_inversion_measure(f.golden.pipeline, &f.recipe, &f.problem, &all, &error));
    unlimited = run(&f, &n);
    f.problem.memory = 1000;
    g_assert_false(w2w_inversion_measure(f.golden.pipeline, &f.recipe, &f.problem, &least, &error));
    g_assert_error(error, W2W_ERROR, W2W_ERROR_MEMORY);
    g_clear_error(&error);
    g_assert_null(w2w_inversion_new(f.golden.pipeline, &f.recipe, &f.problem, NULL, &error));
    g_assert_error(error, W2W_ERROR, W2W_ERROR_MEMORY);
    g_clear_error(&error);
    /* A little less than it likes: blocks are computed twice, and nothing else changes. */
    f.problem.memory = all.total - 1;
    g_assert_true(w2w_inversion_measure(f.golden.pipeline, &f.recipe, &f.problem, &least, &error));
    g_assert_cmpuint(least.n_recomputed, >, 0);
    g_assert_cmpuint(least.total, <, all.total);
    limited = run(&f, &n);
    assert_same_bits(unlimited, limited, n);
}

/* Where a whole batch has no room even so, its images come in parts: what differs is rounding. */
static void test_batch_in_parts(void)
{
    g_auto(Fixture) f = {0};
    g_autofree float *whole = NULL, *parts = NULL;
    g_autoptr(GError) error = NULL;
    W2wTrainingMemory one;
    guint n;

    set_up(&f);
    f.recipe.n_steps = 3;
    f.pictures[0].mask = f.mask;
    f.recipe.batch = 1;
    g_assert_true(w2w_inversion_measure(f.golden.pipeline, &f.recipe, &f.problem, &one, &error));
    f.recipe.batch = 4;
    whole = run(&f, &n);
    f.problem.memory = one.total + one.total / 20; /* noises and masks of four */
    parts = run(&f, &n);
    g_assert_true(differ(whole, parts, n));
    for (guint j = 0; j < n; j++)
        g_assert_cmpfloat_with_epsilon(whole[j], parts[j], 1e-3 * f.recipe.lr);
}

static void test_gone_astray(void)
{
    g_auto(Fixture) f = {0};
    g_autoptr(W2wInversion) inversion = NULL;
    g_autoptr(GError) error = NULL;
    const float from[] = {1e25f, 1e25f};
    double loss;

    set_up(&f);
    f.problem.start = from;
    f.problem.n_start = G_N_ELEMENTS(from);
    inversion = start(&f);
    g_assert_false(w2w_inversion_step(inversion, NULL, &loss, &error));
    g_assert_error(error, W2W_ERROR, W2W_ERROR_FAILED);
    assert_same_bits(w2w_inversion_get_coefficients(inversion), from, G_N_ELEMENTS(from));
}

/* --- held losses --- */

/* (C,H,W) as torch draws it to (H,W,C). */
static void draw(W2wGenerator *generator, gsize n, float *out)
{
    g_autofree float *planes = g_new(float, n);

    w2w_generator_randn(generator, n, planes);
    golden_to_channels_last(planes, (gint64)n / (HEIGHT * WIDTH), HEIGHT * WIDTH, out);
}

/* The definition, with the pipeline's own UNet, one image at a time. */
static double hold_by_hand(const Fixture *f, const W2wIdentity *identity)
{
    W2wPipeline *pipeline = f->golden.pipeline;
    const W2wNoiseSchedule *schedule = w2w_pipeline_get_noise_schedule(pipeline);
    g_autoptr(W2wGenerator) generator = w2w_generator_new(12345);
    const gsize channels = f->n / (HEIGHT * WIDTH);
    g_autofree float *noise = g_new(float, f->n), *latents = g_new(float, f->n);
    double sum = 0.0;

    for (guint k = 0; k < W2W_HELD_NOISES; k++) {
        draw(generator, f->n, noise);
        for (guint i = 0; i < W2W_HELD_TIMESTEPS; i++) {
            const guint timestep =
                (guint)((i + 0.5) * schedule->n_train_timesteps / W2W_HELD_TIMESTEPS);
            W2W_AUTO_ALIGNED float *noise_pred = NULL;
            g_autoptr(GError) error = NULL;

            w2w_sample_posterior(f->mean[0], f->std[0], NULL,
                                 w2w_pipeline_get_scaling_factor(pipeline), f->n, latents);
            w2w_noise_schedule_add_noise(schedule, timestep, f->n, latents, noise, latents);
            noise_pred = w2w_pipeline_predict_noise(pipeline, identity, latents, 1, HEIGHT, WIDTH,
                                                    timestep, f->text, &error);
            g_assert_no_error(error);
            for (gsize e = 0; e < f->n; e++)
                sum += pow((double)f->mask[e / channels] * (double)(noise_pred[e] - noise[e]), 2) /
                       (double)f->n;
        }
    }
    return sum / (W2W_HELD_NOISES * W2W_HELD_TIMESTEPS);
}

static void test_held_loss(void)
{
    g_auto(Fixture) f = {0};
    g_autoptr(W2wHeldLoss) held = NULL;
    g_autoptr(W2wIdentity) identity = NULL;
    g_autoptr(GError) error = NULL;
    double loss, again, of_mean;

    set_up(&f);
    f.pictures[0].mask = f.mask;
    identity = w2w_identity_new(3, &error);
    for (guint j = 0; j < 3; j++)
        identity->coefficients[j] = 1.0f + (float)j;
    held = w2w_held_loss_new(f.golden.pipeline, &f.problem, &error);
    g_assert_no_error(error);
    g_assert_true(w2w_held_loss_compute_of(held, identity->coefficients, 3, NULL, &loss, &error));
    g_assert_true(w2w_held_loss_compute_of(held, NULL, 0, NULL, &of_mean, &error));
    g_assert_true(w2w_held_loss_compute_of(held, identity->coefficients, 3, NULL, &again, &error));
    g_assert_no_error(error);
    g_assert_cmpfloat(loss, ==, again);
    g_assert_cmpfloat(loss, !=, of_mean);
    g_assert_cmpfloat_with_epsilon(loss, hold_by_hand(&f, identity), 1e-5 * loss);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/inversion/same-seed-same-bits", test_same_seed_same_bits);
    g_test_add_func("/inversion/going-on-is-as-uninterrupted", test_going_on_is_as_uninterrupted);
    g_test_add_func("/inversion/stopped-keeps-the-best", test_stopped_keeps_the_best);
    g_test_add_func("/inversion/stopped-at-once", test_stopped_at_once);
    g_test_add_func("/inversion/average-of-the-last", test_average_of_the_last);
    g_test_add_func("/inversion/masks", test_masks);
    g_test_add_func("/inversion/several-pictures", test_several_pictures);
    g_test_add_func("/inversion/pictures-take-turns", test_pictures_take_turns);
    g_test_add_func("/inversion/pictures-see-all-timesteps", test_pictures_see_all_timesteps);
    g_test_add_func("/inversion/from-an-identity", test_going_on_from_an_identity);
    g_test_add_func("/inversion/from-people", test_start_from_people);
    g_test_add_func("/inversion/population-pulls", test_population_pulls);
    g_test_add_func("/inversion/preconditioning", test_preconditioning);
    g_test_add_func("/inversion/memory", test_memory);
    g_test_add_func("/inversion/batch-in-parts", test_batch_in_parts);
    g_test_add_func("/inversion/gone-astray", test_gone_astray);
    g_test_add_func("/inversion/held-loss", test_held_loss);
    return g_test_run();
}

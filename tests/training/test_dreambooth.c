/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The trainer on the embedded model at a size that takes no time: where it begins, that it learns,
 * that a seed means one result however often it is interrupted, and what it refuses.
 */
#include <gio/gio.h>
#include <math.h>
#include <string.h>

#include "engine/device/device.h"
#include "engine/error.h"
#include "engine/memory.h"
#include "engine/training/dreambooth.h"

#define SIDE     8 /* of the latents */
#define N_PERSON 3
#define N_CLASS  4
#define N_STEPS  5

typedef struct {
    W2wPipeline *pipeline;
    gsize n, n_text; /* numbers of an image's latents, of a text */
    float *mean, *std, *text;
    W2wDreamboothRecipe recipe;
    W2wDreamboothProblem problem;
} Fixture;

static W2wPipeline *open_pipeline(gboolean has_space)
{
    const W2wDeviceOptions options = {.compute_type = W2W_COMPUTE_F32};
    g_autofree char *model = g_build_filename(w2w_world_get_default_directory(), "model", NULL);
    g_autoptr(GError) error = NULL;
    W2wWorld *world = has_space ? w2w_world_open(w2w_world_get_default_directory(), &error)
                                : w2w_world_open_parts(model, NULL, &error);
    W2wDevice *device;
    W2wPipeline *pipeline;

    g_assert_no_error(error);
    device = w2w_device_new("cpu", &options, &error);
    g_assert_no_error(error);
    pipeline = w2w_pipeline_new(world, device, &error);
    g_assert_no_error(error);
    return pipeline;
}

static float *draw(guint64 seed, gsize n, float factor)
{
    g_autoptr(W2wGenerator) generator = w2w_generator_new(seed);
    float *values = g_new(float, n);

    w2w_generator_randn(generator, n, values);
    for (gsize i = 0; i < n; i++)
        values[i] *= factor;
    return values;
}

static void fixture_open_with(Fixture *f, gboolean has_space)
{
    W2wPipelineSizes sizes;

    *f = (Fixture){.pipeline = open_pipeline(has_space)};
    sizes = w2w_pipeline_get_sizes(f->pipeline);
    f->n = (gsize)(SIDE * SIDE * sizes.latent_channels);
    f->n_text = (gsize)(sizes.text_length * sizes.text_width);
    f->mean = draw(1, (N_PERSON + N_CLASS) * f->n, 1.0f);
    f->std = draw(2, (N_PERSON + N_CLASS) * f->n, 0.1f);
    f->text = draw(3, 2 * f->n_text, 1.0f);
    w2w_dreambooth_recipe_init(&f->recipe);
    f->recipe.n_steps = N_STEPS;
    f->recipe.lr = 1e-3;
    f->problem = (W2wDreamboothProblem){
        .height = SIDE,
        .width = SIDE,
        .instance = {f->mean, f->std, N_PERSON},
        .prior = {f->mean + N_PERSON * f->n, f->std + N_PERSON * f->n, N_CLASS},
        .instance_text = f->text,
        .class_text = f->text + f->n_text};
}

static void fixture_open(Fixture *f)
{
    fixture_open_with(f, TRUE);
}

static void fixture_close(Fixture *f)
{
    w2w_pipeline_free(f->pipeline);
    g_free(f->mean);
    g_free(f->std);
    g_free(f->text);
}

static W2wDreambooth *make(const Fixture *f)
{
    g_autoptr(GError) error = NULL;
    W2wDreambooth *dreambooth = w2w_dreambooth_new(f->pipeline, &f->recipe, &f->problem, &error);

    g_assert_no_error(error);
    return dreambooth;
}

static gsize count_weights(const W2wDreambooth *dreambooth)
{
    return (gsize)w2w_training_step_get_n_weights(w2w_dreambooth_get_training_step(dreambooth));
}

static float *copy_theta(const W2wDreambooth *dreambooth)
{
    return g_memdup2(w2w_dreambooth_get_theta(dreambooth),
                     count_weights(dreambooth) * sizeof(float));
}

static void assert_theta(const W2wDreambooth *dreambooth, const float *expected)
{
    g_assert_cmpmem(w2w_dreambooth_get_theta(dreambooth), count_weights(dreambooth) * sizeof(float),
                    expected, count_weights(dreambooth) * sizeof(float));
}

/*
 * torch 2.11: torch.Generator().manual_seed(3), then kaiming_uniform_(torch.empty(1, n),
 * a=math.sqrt(5)) for one A after another; its first three numbers and its last.
 */
static const struct {
    gint64 n;
    float first[3], last;
} initial[] = {
    {64, {-0.12393412f, -0.0986076593f, -0.0535393804f}, -0.0554046631f},
    {64, {-0.0936174393f, -0.103531227f, 0.00305584073f}, -0.00280322134f},
    {64, {-0.0233417004f, 0.00767755508f, 0.114283323f}, -0.0882586092f},
    {128, {-0.0497829095f, 0.00924316235f, 0.031959407f}, 0.0535232835f},
};

static void test_start(void)
{
    Fixture f;
    g_autoptr(W2wDreambooth) dreambooth = NULL;
    const W2wSpaceKey *keys;
    const float *theta;
    guint n_keys, n_a = 0;

    fixture_open(&f);
    f.recipe.seed = 3;
    dreambooth = make(&f);
    theta = w2w_dreambooth_get_theta(dreambooth);
    keys = w2w_training_step_get_keys(w2w_dreambooth_get_training_step(dreambooth), &n_keys);
    for (guint i = 0; i < n_keys; i++) {
        const float *factor = theta + keys[i].offset;

        if (keys[i].is_b) {
            for (gint64 e = 0; e < keys[i].length; e++)
                g_assert_cmpfloat(factor[e], ==, 0.0f);
            continue;
        }
        if (n_a < G_N_ELEMENTS(initial)) {
            g_assert_cmpint(keys[i].length, ==, initial[n_a].n);
            g_assert_cmpmem(factor, sizeof initial[n_a].first, initial[n_a].first,
                            sizeof initial[n_a].first);
            g_assert_cmpfloat(factor[initial[n_a].n - 1], ==, initial[n_a].last);
        }
        n_a++;
    }
    g_assert_cmpuint(n_a, >=, G_N_ELEMENTS(initial));
    g_clear_pointer(&dreambooth, w2w_dreambooth_free);
    fixture_close(&f);
}

/* Theta that is given is where it begins. */
static void test_given_start(void)
{
    Fixture f;
    g_autoptr(W2wDreambooth) dreambooth = NULL;
    g_autofree float *theta = NULL;

    fixture_open(&f);
    theta = draw(
        9, (gsize)w2w_space_get_n_weights(w2w_world_get_space(w2w_pipeline_get_world(f.pipeline))),
        0.1f);
    f.problem.start = theta;
    dreambooth = make(&f);
    assert_theta(dreambooth, theta);
    g_clear_pointer(&dreambooth, w2w_dreambooth_free);
    fixture_close(&f);
}

static float *train(const Fixture *f)
{
    g_autoptr(W2wDreambooth) dreambooth = make(f);
    g_autoptr(GError) error = NULL;

    w2w_dreambooth_run(dreambooth, NULL, &error);
    g_assert_no_error(error);
    return copy_theta(dreambooth);
}

typedef struct {
    GCancellable *cancellable;
    guint n_reports, cancel_at;
    double last;
    char *text;
} Report;

static void on_progress(double fraction, const char *text, gpointer user_data)
{
    Report *report = user_data;

    g_assert_cmpfloat(fraction, >=, report->last);
    report->last = fraction;
    g_free(report->text);
    report->text = g_strdup(text);
    if (++report->n_reports == report->cancel_at)
        g_cancellable_cancel(report->cancellable);
}

/* The same bits, interrupted or not, and other ones for another seed. */
static void test_seed(void)
{
    Fixture f;
    g_autoptr(GCancellable) cancellable = g_cancellable_new();
    Report report = {.cancellable = cancellable, .cancel_at = 3};
    const W2wProgress progress = {on_progress, &report, cancellable};
    g_autoptr(W2wDreambooth) dreambooth = NULL;
    g_autoptr(GError) error = NULL;
    g_autofree float *whole = NULL;
    g_autofree float *again = NULL;
    g_autofree float *other = NULL;
    guint n_done;

    fixture_open(&f);
    whole = train(&f);
    again = train(&f);
    dreambooth = make(&f);
    g_assert_cmpmem(whole, count_weights(dreambooth) * sizeof *whole, again,
                    count_weights(dreambooth) * sizeof *again);
    g_assert_false(w2w_dreambooth_run(dreambooth, &progress, &error));
    g_assert_error(error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
    g_clear_error(&error);
    w2w_dreambooth_get_measures(dreambooth, &n_done);
    g_assert_cmpuint(n_done, ==, 3);
    g_assert_nonnull(strstr(report.text, "Step 2 of 5, loss "));
    g_assert_nonnull(strstr(report.text, " s left"));
    g_cancellable_reset(cancellable);
    g_assert_true(w2w_dreambooth_run(dreambooth, &progress, &error));
    g_assert_no_error(error);
    g_assert_cmpfloat(report.last, ==, 1.0);
    assert_theta(dreambooth, whole);
    f.recipe.seed = 1;
    other = train(&f);
    g_assert_cmpint(memcmp(whole, other, count_weights(dreambooth) * sizeof *whole), !=, 0);
    g_free(report.text);
    g_clear_pointer(&dreambooth, w2w_dreambooth_free);
    fixture_close(&f);
}

/* The same images again and again: their loss falls. With the prior's weight, the prior's too. */
static void test_learns(void)
{
    Fixture f;
    g_autoptr(W2wDreambooth) dreambooth = NULL;
    g_autofree float *noise = NULL;
    const guint pictures[] = {0, 1, 2, 3}, timesteps[] = {500, 300, 600, 200};
    W2wDreamboothDraw draws;
    W2wDreamboothMeasure first = {0}, last = {0};

    fixture_open(&f);
    f.recipe.batch = 2;
    f.recipe.lr = 3e-3;
    f.problem.instance.std = f.problem.prior.std = NULL;
    dreambooth = make(&f);
    g_assert_cmpuint(w2w_dreambooth_get_n_images(dreambooth), ==, 4);
    noise = draw(5, 4 * f.n, 1.0f);
    draws = (W2wDreamboothDraw){.pictures = pictures, .timesteps = timesteps, .noise = noise};
    for (guint step = 0; step < 30; step++) {
        g_autoptr(GError) error = NULL;

        w2w_dreambooth_step(dreambooth, &draws, &last, &error);
        g_assert_no_error(error);
        if (step == 0)
            first = last;
        g_assert_cmpfloat(last.grad_norm, >, 0.0);
    }
    g_test_message("loss %g, then %g", first.loss, last.loss);
    g_assert_cmpfloat(last.loss, <, 0.95 * first.loss);
    g_clear_pointer(&dreambooth, w2w_dreambooth_free);
    fixture_close(&f);
}

/* Without a prior there is nothing of the class: half of the images, and no pictures are wanted. */
static void test_no_prior(void)
{
    Fixture f;
    g_autoptr(W2wDreambooth) dreambooth = NULL;
    g_autoptr(GError) error = NULL;
    W2wDreamboothProblem without;

    fixture_open(&f);
    without = f.problem;
    without.prior = (W2wPosteriors){0};
    g_assert_null(w2w_dreambooth_new(f.pipeline, &f.recipe, &without, &error));
    g_assert_error(error, W2W_ERROR, W2W_ERROR_USAGE);
    g_assert_nonnull(strstr(error->message, "the class"));
    f.problem = without;
    f.recipe.prior_weight = 0.0;
    dreambooth = make(&f);
    g_assert_cmpuint(w2w_dreambooth_get_n_images(dreambooth), ==, 1);
    g_clear_error(&error);
    g_assert_true(w2w_dreambooth_run(dreambooth, NULL, &error));
    g_assert_no_error(error);
    g_clear_pointer(&dreambooth, w2w_dreambooth_free);
    fixture_close(&f);
}

/* A model alone will do: the factors are those that a new space would have. */
static void test_no_space(void)
{
    Fixture f;
    g_autofree float *with = NULL;
    g_autofree float *without = NULL;
    g_autoptr(W2wDreambooth) dreambooth = NULL;

    fixture_open_with(&f, FALSE);
    without = train(&f);
    dreambooth = make(&f);
    g_assert_cmpuint(count_weights(dreambooth), >, 0);
    g_clear_pointer(&dreambooth, w2w_dreambooth_free);
    fixture_close(&f);
    fixture_open_with(&f, TRUE);
    with = train(&f);
    dreambooth = make(&f);
    g_assert_cmpmem(with, count_weights(dreambooth) * sizeof *with, without,
                    count_weights(dreambooth) * sizeof *without);
    g_clear_pointer(&dreambooth, w2w_dreambooth_free);
    fixture_close(&f);
}

/* What is no number ends it, before it spoils the weights. */
static void test_not_finite(void)
{
    Fixture f;
    g_autoptr(W2wDreambooth) dreambooth = NULL;
    g_autoptr(GError) error = NULL;
    g_autofree float *before = NULL;
    guint n_done;

    fixture_open(&f);
    for (gsize i = 0; i < N_PERSON * f.n; i++)
        f.mean[i] = NAN;
    dreambooth = make(&f);
    before = copy_theta(dreambooth);
    g_assert_false(w2w_dreambooth_run(dreambooth, NULL, &error));
    g_assert_error(error, W2W_ERROR, W2W_ERROR_FAILED);
    g_assert_nonnull(strstr(error->message, "step 1"));
    assert_theta(dreambooth, before);
    w2w_dreambooth_get_measures(dreambooth, &n_done);
    g_assert_cmpuint(n_done, ==, 0);
    g_clear_pointer(&dreambooth, w2w_dreambooth_free);
    fixture_close(&f);
}

static void assert_refused(const Fixture *f, W2wError code, const char *word)
{
    g_autoptr(GError) error = NULL;

    g_assert_null(w2w_dreambooth_new(f->pipeline, &f->recipe, &f->problem, &error));
    g_assert_error(error, W2W_ERROR, code);
    g_test_message("%s", error->message);
    g_assert_nonnull(strstr(error->message, word));
}

static void test_refuses(void)
{
    Fixture f;

    fixture_open(&f);
    f.problem.instance.n = 0;
    assert_refused(&f, W2W_ERROR_USAGE, "the person");
    f.problem.instance.n = N_PERSON;
    f.recipe.n_steps = 0;
    assert_refused(&f, W2W_ERROR_USAGE, "steps");
    f.recipe.n_steps = N_STEPS;
    f.recipe.batch = W2W_DREAMBOOTH_MAX_BATCH + 1;
    assert_refused(&f, W2W_ERROR_USAGE, "images");
    f.recipe.batch = 1;
    f.recipe.lr = NAN;
    assert_refused(&f, W2W_ERROR_USAGE, "learning rate");
    f.recipe.lr = 1e-3;
    f.problem.height = 0;
    assert_refused(&f, W2W_ERROR_USAGE, "");
    f.problem.height = -SIDE;
    assert_refused(&f, W2W_ERROR_USAGE, "");
    fixture_close(&f);
}

/* What it says that it will take is the least that it takes as a budget; below, it is refused. */
static void test_budget(void)
{
    Fixture f;
    W2wTrainingMemory all = {0}, less = {0};
    g_autoptr(GError) error = NULL;
    g_autofree float *expected = NULL;
    g_autofree float *actual = NULL;
    g_autoptr(W2wDreambooth) dreambooth = NULL;

    fixture_open(&f);
    w2w_dreambooth_measure(f.pipeline, &f.recipe, &f.problem, &all, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(all.total, >,
                     all.weights + all.activations +
                         2 * (N_PERSON + N_CLASS) * f.n * sizeof(float));
    f.problem.memory = all.total - 1;
    w2w_dreambooth_measure(f.pipeline, &f.recipe, &f.problem, &less, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(less.n_recomputed, >, all.n_recomputed);
    actual = train(&f);
    f.problem.memory = 0;
    expected = train(&f);
    dreambooth = make(&f);
    g_assert_cmpmem(actual, count_weights(dreambooth) * sizeof *actual, expected,
                    count_weights(dreambooth) * sizeof *expected);
    f.problem.memory = 1000;
    assert_refused(&f, W2W_ERROR_MEMORY, "at least");
    g_clear_pointer(&dreambooth, w2w_dreambooth_free);
    fixture_close(&f);
}

/* TRUE where making one and its first step worked while allocation `n` failed (0: none). */
static gboolean try(const Fixture *f, guint64 n, guint64 *n_calls, GError **error)
{
    g_autoptr(W2wDreambooth) dreambooth = NULL;

    w2w_memory_fail_call(n);
    dreambooth = w2w_dreambooth_new(f->pipeline, &f->recipe, &f->problem, error);
    *n_calls = w2w_memory_fail_call(0);
    return dreambooth != NULL && w2w_dreambooth_step(dreambooth, NULL, NULL, error);
}

/*
 * Allocations on the way fail, each once: all of the trainer's own, which are the last, and some of
 * the hundreds of the training step, which has tests of its own.
 */
static void test_short_memory(void)
{
    enum { N_OWN = 14, STRIDE = 40 };
    Fixture f;
    g_autoptr(GError) error = NULL;
    guint64 n_calls, n_other;

    fixture_open(&f);
    g_assert_true(try(&f, 0, &n_calls, &error));
    g_assert_cmpuint(n_calls, >, N_OWN);
    for (guint64 n = 1; n <= n_calls; n += n + STRIDE < n_calls - N_OWN ? STRIDE : 1) {
        g_clear_error(&error);
        g_assert_false(try(&f, n, &n_other, &error));
        g_assert_error(error, W2W_ERROR, W2W_ERROR_MEMORY);
    }
    g_clear_error(&error);
    g_assert_true(try(&f, 0, &n_other, &error));
    fixture_close(&f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/dreambooth/start_is_torch_s", test_start);
    g_test_add_func("/dreambooth/start_may_be_given", test_given_start);
    g_test_add_func("/dreambooth/seed_is_a_result", test_seed);
    g_test_add_func("/dreambooth/loss_falls", test_learns);
    g_test_add_func("/dreambooth/no_prior", test_no_prior);
    g_test_add_func("/dreambooth/no_space", test_no_space);
    g_test_add_func("/dreambooth/not_finite_is_an_error", test_not_finite);
    g_test_add_func("/dreambooth/refuses", test_refuses);
    g_test_add_func("/dreambooth/budget_is_known_and_kept", test_budget);
    g_test_add_func("/dreambooth/short_memory_is_an_error", test_short_memory);
    return g_test_run();
}

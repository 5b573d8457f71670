/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Every job's declaration is sane: flags, procedures, dialogs and the manual page are made of it,
 * and nobody looks at it again before a user does.
 */
#include <math.h>
#include <string.h>

#include "engine/job/job.h"
#include "engine/job/rendering.h"

typedef void (*ParameterFunc)(const W2wJob *job, const W2wParameter *parameter);

static void for_each(ParameterFunc func)
{
    guint n = 0;

    for (guint i = 0; w2w_jobs[i] != NULL; i++)
        for (guint j = 0; j < w2w_jobs[i]->n_parameters; j++, n++)
            func(w2w_jobs[i], &w2w_jobs[i]->parameters[j]);
    g_assert_cmpuint(n, >, 0);
}

static gboolean is_number(const W2wParameter *parameter)
{
    return parameter->type == W2W_PARAMETER_INT || parameter->type == W2W_PARAMETER_DOUBLE ||
           parameter->type == W2W_PARAMETER_SEED;
}

static void check_range(const W2wJob *job, const W2wParameter *parameter)
{
    g_test_message("%s %s", job->name, parameter->name);
    if (is_number(parameter)) {
        g_assert_cmpfloat(parameter->minimum, <, parameter->maximum);
        g_assert_cmpfloat(parameter->minimum, <=, parameter->number);
        g_assert_cmpfloat(parameter->number, <=, parameter->maximum);
        if (parameter->flags & W2W_PARAMETER_FROM_WORLD)
            g_assert_cmpfloat(parameter->number, ==, 0.0);
    }
    if (parameter->type == W2W_PARAMETER_INT) {
        g_assert_cmpfloat(parameter->minimum, >=, G_MININT32);
        g_assert_cmpfloat(parameter->maximum, <=, G_MAXINT32);
        g_assert_cmpfloat(floor(parameter->number), ==, parameter->number);
    }
    if (parameter->type == W2W_PARAMETER_SEED) {
        g_assert_cmpfloat(parameter->minimum, ==, -1);
        g_assert_cmpfloat(parameter->maximum, ==, W2W_SEED_MAX);
    }
}

static void test_ranges(void)
{
    for_each(check_range);
}

static void check_choices(const W2wJob *job, const W2wParameter *parameter)
{
    g_test_message("%s %s", job->name, parameter->name);
    if (parameter->type != W2W_PARAMETER_CHOICE) {
        g_assert_null(parameter->choices);
        return;
    }
    g_assert_cmpuint(g_strv_length((char **)parameter->choices), >, 0);
    g_assert_true(g_strv_contains(parameter->choices, parameter->string));
    if (parameter->choice_labels != NULL)
        g_assert_cmpuint(g_strv_length((char **)parameter->choice_labels), ==,
                         g_strv_length((char **)parameter->choices));
}

static void test_choices(void)
{
    for_each(check_choices);
}

static void test_names_are_unique(void)
{
    g_autoptr(GHashTable) jobs = g_hash_table_new(g_str_hash, g_str_equal);

    for (guint i = 0; w2w_jobs[i] != NULL; i++) {
        const W2wJob *job = w2w_jobs[i];
        g_autoptr(GHashTable) names = g_hash_table_new(g_str_hash, g_str_equal);

        g_assert_true(g_hash_table_add(jobs, (gpointer)job->name));
        g_assert_true(w2w_job_lookup(job->name) == job);
        for (guint j = 0; j < job->n_parameters; j++) {
            const W2wParameter *parameter = &job->parameters[j];
            const char short_name[] = {parameter->short_name, 0};

            g_test_message("%s %s", job->name, parameter->name);
            g_assert_true(g_hash_table_add(names, (gpointer)parameter->name));
            g_assert_cmpuint(strspn(parameter->name, "abcdefghijklmnopqrstuvwxyz0123456789-"), ==,
                             strlen(parameter->name));
            if (parameter->short_name != 0)
                g_assert_true(g_hash_table_add(names, (gpointer)g_intern_string(short_name)));
        }
    }
    g_assert_null(w2w_job_lookup("nothing"));
}

/* The letter behind the underscore, for the keyboard. */
static char mnemonic(const char *label)
{
    const char *underscore = strchr(label, '_');

    g_assert_nonnull(underscore);
    g_assert_null(strchr(underscore + 1, '_'));
    g_assert_true(g_ascii_isalpha(underscore[1]));
    return g_ascii_tolower(underscore[1]);
}

/* Of what a dialog shows; there are not letters enough for the rest. */
static void test_mnemonics_are_unique(void)
{
    gboolean job_letters[128] = {FALSE};

    for (guint i = 0; w2w_jobs[i] != NULL; i++) {
        const W2wJob *job = w2w_jobs[i];
        gboolean letters[128] = {FALSE};
        char letter;

        if (!w2w_job_is_shown(job))
            continue;
        letter = mnemonic(job->label);
        g_assert_false(job_letters[(int)letter]);
        job_letters[(int)letter] = TRUE;
        for (guint j = 0; j < job->n_parameters; j++) {
            char own;

            if (!w2w_job_shows_parameter(job, &job->parameters[j]) ||
                w2w_job_takes_from_layer(job, &job->parameters[j]))
                continue;
            own = mnemonic(job->parameters[j].label);
            g_test_message("%s %s", job->name, job->parameters[j].name);
            g_assert_false(letters[(int)own]);
            letters[(int)own] = TRUE;
        }
    }
}

/* What a job says that it can be resumed from and for are parameters of its own. */
static void test_resuming(void)
{
    for (guint i = 0; w2w_jobs[i] != NULL; i++) {
        const W2wJob *job = w2w_jobs[i];
        const W2wParameter *from;

        g_assert_cmpint(job->resumes_from == NULL, ==, job->resumes_for == NULL);
        if (job->resumes_from == NULL)
            continue;
        from = w2w_parameter_lookup(job->parameters, job->n_parameters, job->resumes_from);
        g_assert_nonnull(from);
        g_assert_cmpint(from->type, ==, W2W_PARAMETER_IDENTITY);
        for (guint j = 0; job->resumes_for[j] != NULL; j++)
            g_assert_nonnull(
                w2w_parameter_lookup(job->parameters, job->n_parameters, job->resumes_for[j]));
    }
}

/* What a job's one word on the command line means is one of its own parameters. */
static void test_arguments(void)
{
    for (guint i = 0; w2w_jobs[i] != NULL; i++)
        if (w2w_jobs[i]->argument != NULL)
            g_assert_nonnull(w2w_parameter_lookup(
                w2w_jobs[i]->parameters, w2w_jobs[i]->n_parameters, w2w_jobs[i]->argument));
}

/* By that rule, on jobs made for it. */
static void test_what_is_shown(void)
{
    static const W2wParameter render[] = {
        {.name = "identity", .type = W2W_PARAMETER_IDENTITY, .flags = W2W_PARAMETER_REQUIRED},
        {.name = "base-identity", .type = W2W_PARAMETER_IDENTITY},
        {.name = "lora", .type = W2W_PARAMETER_LORAS},
        {.name = "steps", .type = W2W_PARAMETER_INT},
        {.name = "no-picture", .type = W2W_PARAMETER_SWITCH, .flags = W2W_PARAMETER_FILES_ONLY},
        {.name = "smooth", .type = W2W_PARAMETER_SWITCH},
    };
    static const gboolean shown[] = {TRUE, FALSE, FALSE, TRUE, FALSE, TRUE};
    static const W2wParameter invert[] = {
        {.name = W2W_JOB_IMAGE, .type = W2W_PARAMETER_PICTURE, .flags = W2W_PARAMETER_REQUIRED},
        {.name = W2W_JOB_MASK, .type = W2W_PARAMETER_PICTURE},
        {.name = "init-image", .type = W2W_PARAMETER_PICTURE},
        {.name = "also-image", .type = W2W_PARAMETER_PICTURES},
        {.name = "from", .type = W2W_PARAMETER_IDENTITY},
        {.name = "steps", .type = W2W_PARAMETER_INT},
    };
    static const gboolean invert_shown[] = {TRUE, TRUE, FALSE, FALSE, FALSE, TRUE};
    const W2wJob invert_job = {
        .parameters = invert, .n_parameters = G_N_ELEMENTS(invert), .resumes_from = "from"};
    static const W2wParameter mix[] = {
        {.name = "identities", .type = W2W_PARAMETER_IDENTITIES, .flags = W2W_PARAMETER_REQUIRED},
    };
    const W2wJob render_job = {.parameters = render, .n_parameters = G_N_ELEMENTS(render)};
    const W2wJob mix_job = {.parameters = mix, .n_parameters = G_N_ELEMENTS(mix)};
    const W2wJob export_job = {
        .parameters = render, .n_parameters = G_N_ELEMENTS(render), .no_picture = TRUE};

    for (guint i = 0; i < G_N_ELEMENTS(render); i++)
        g_assert_cmpint(w2w_job_shows_parameter(&render_job, &render[i]), ==, shown[i]);
    for (guint i = 0; i < G_N_ELEMENTS(invert); i++) {
        g_assert_cmpint(w2w_job_shows_parameter(&invert_job, &invert[i]), ==, invert_shown[i]);
        g_assert_cmpint(w2w_job_takes_from_layer(&invert_job, &invert[i]), ==, i < 2);
    }
    g_assert_true(w2w_job_takes_from_layer(&render_job, &render[0]));
    g_assert_false(w2w_job_takes_from_layer(&render_job, &render[3]));
    g_assert_true(w2w_job_is_shown(&invert_job));
    g_assert_true(w2w_job_is_shown(&render_job));
    g_assert_false(w2w_job_is_shown(&mix_job));
    g_assert_false(w2w_job_is_shown(&export_job));
}

/* Whole sentences, in the manual page, in tool tips and in GIMP's procedure browser. */
static void assert_sentence(const char *text)
{
    g_assert_nonnull(text);
    g_assert_true(g_utf8_validate(text, -1, NULL));
    g_assert_true(g_ascii_isupper(text[0]));
    g_assert_true(g_str_has_suffix(text, "."));
    g_assert_null(strstr(text, "  "));
}

static void check_blurb(const W2wJob *job, const W2wParameter *parameter)
{
    g_test_message("%s %s", job->name, parameter->name);
    assert_sentence(parameter->blurb);
}

static void test_texts(void)
{
    for (guint i = 0; w2w_jobs[i] != NULL; i++) {
        assert_sentence(w2w_jobs[i]->blurb);
        assert_sentence(w2w_jobs[i]->help);
        g_assert_true(g_str_has_suffix(w2w_jobs[i]->label, "…"));
        g_assert_nonnull(w2w_jobs[i]->check);
        g_assert_nonnull(w2w_jobs[i]->run);
    }
    for_each(check_blurb);
}

/* A scheduler that the engine learns must be offered, and in the place that its number says. */
static void test_schedulers(void)
{
    guint n = 0;

    g_assert_cmpstr(w2w_rendering_schedulers[0], ==, "world");
    for (; w2w_scheduler_names[n] != NULL; n++)
        g_assert_cmpstr(w2w_rendering_schedulers[n + 1], ==, w2w_scheduler_names[n]);
    g_assert_cmpuint(g_strv_length((char **)w2w_rendering_schedulers), ==, n + 1);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/job/declarations/ranges", test_ranges);
    g_test_add_func("/job/declarations/choices", test_choices);
    g_test_add_func("/job/declarations/names-are-unique", test_names_are_unique);
    g_test_add_func("/job/declarations/mnemonics-are-unique", test_mnemonics_are_unique);
    g_test_add_func("/job/declarations/arguments", test_arguments);
    g_test_add_func("/job/declarations/resuming", test_resuming);
    g_test_add_func("/job/declarations/what-is-shown", test_what_is_shown);
    g_test_add_func("/job/declarations/texts", test_texts);
    g_test_add_func("/job/declarations/schedulers", test_schedulers);
    return g_test_run();
}

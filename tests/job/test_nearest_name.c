/* SPDX-License-Identifier: GPL-3.0-or-later */
/* "Did you mean …?": slips are understood, other words are not bent into names. */
#include "engine/job/nearest_name.h"

static const char *const names[] = {
    "Young", "Male", "Wavy_Hair", "Gray_Hair", "Receding_Hairline", "5_o_Clock_Shadow", NULL};

static void test_found(void)
{
    const struct {
        const char *typed, *meant;
    } cases[] = {
        {"Yuong", "Young"},
        {"young", "Young"},
        {"Youn", "Young"},
        {"Younger", "Young"},
        {"wavy hair", "Wavy_Hair"},
        {"Wavy-Hiar", "Wavy_Hair"},
        {"GreyHair", "Gray_Hair"},
        {"Receding", "Receding_Hairline"},
        {"5_o_Clock_Shadow", "5_o_Clock_Shadow"},
    };

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_test_message("%s", cases[i].typed);
        g_assert_cmpstr(w2w_nearest_name(cases[i].typed, names), ==, cases[i].meant);
    }
}

static void test_not_found(void)
{
    const char *const typed[] = {"", "x", "Old", "Elephant", "Hair", "Mustache"};
    g_autofree char *longest = g_strnfill(100000, 'a');

    for (guint i = 0; i < G_N_ELEMENTS(typed); i++) {
        g_test_message("%s", typed[i]);
        g_assert_null(w2w_nearest_name(typed[i], names));
    }
    g_assert_null(w2w_nearest_name(longest, names));
    g_assert_null(w2w_nearest_name("Young", (const char *const[]){NULL}));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/job/nearest-name/found", test_found);
    g_test_add_func("/job/nearest-name/not-found", test_not_found);
    return g_test_run();
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* NumPy arrays and DataFrames in pickles, in the spellings of several versions. */
#include <string.h>

#include "engine/error.h"
#include "tests/formats/pickle_runner.h"

#define DTYPE(name, order)                                                                         \
    "cnumpy\ndtype\nU\x02" name "\x89\x88\x87R(K\x03U\x01" order                                   \
    "NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb"
#define NDARRAY(shape, dtype, is_fortran, data)                                                    \
    "cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\0\x85"                               \
    "C\x01"                                                                                        \
    "b\x87R(K\x01" shape dtype is_fortran data "tb"

static void test_numpy(void)
{
    g_autoptr(W2wPtValue) rows = RUN_OK(
        NDARRAY("K\x02K\x02\x86", DTYPE("i2", "<"), "\x89", "C\x08\1\0\2\0\3\0\xff\xff") ".");
    g_autoptr(W2wPtValue) columns = RUN_OK(
        NDARRAY("K\x02K\x02\x86", DTYPE("i2", "<"), "\x88", "C\x08\1\0\2\0\3\0\xff\xff") ".");
    g_autoptr(W2wPtValue) buffer =
        RUN_OK("cnumpy._core.numeric\n_frombuffer\n(\x96\x04\0\0\0\0\0\0\0\1\0\2\0" DTYPE(
            "i2", "<") "K\x02\x85U\x01"
                       "CtR.");
    g_autoptr(W2wPtValue) real =
        RUN_OK("cnumpy.core.multiarray\nscalar\n" DTYPE("f4", "<") "C\x04\0\0\x20\xc0\x86R.");
    g_autoptr(W2wPtValue) integer =
        RUN_OK("cnumpy._core.multiarray\nscalar\n" DTYPE("i1", "|") "C\x01\xff\x86R.");
    g_autoptr(W2wPtValue) truth =
        RUN_OK("cnumpy.core.multiarray\nscalar\n" DTYPE("b1", "|") "C\x01\x01\x86R.");

    g_assert_cmpfloat(w2w_array_get(w2w_pt_value_get_array(rows), 1), ==, 2);
    g_assert_cmpfloat(w2w_array_get(w2w_pt_value_get_array(columns), 1), ==, 3);
    g_assert_cmpfloat(w2w_array_get(w2w_pt_value_get_array(columns), 3), ==, -1);
    g_assert_cmpfloat(w2w_array_get(w2w_pt_value_get_array(buffer), 1), ==, 2);
    g_assert_cmpfloat(w2w_pt_value_get_float(real), ==, -2.5);
    g_assert_cmpint(w2w_pt_value_get_int(integer), ==, -1);
    g_assert_true(w2w_pt_value_get_bool(truth));
    REFUSED(NDARRAY("K\x02K\x03\x86", DTYPE("i2", "<"), "\x89", "C\x08\1\0\2\0\3\0\xff\xff") ".",
            "beyond");
    REFUSED(NDARRAY("K\x01\x85", DTYPE("i2", ">"), "\x89", "C\x02\1\0") ".", "big endian");
    REFUSED(NDARRAY("K\x01\x85", DTYPE("u4", "<"), "\x89", "C\x04\1\0\0\0") ".",
            "“u4” is not supported");
    REFUSED(NDARRAY("K\x01\x85", DTYPE("i2", "<"), "\x89", "]") ".", "are a list");
    REFUSED(NDARRAY("J\xff\xff\xff\xff\x85", DTYPE("i2", "<"), "\x89", "C\x02\1\0") ".",
            "no valid shape");
    REFUSED(NDARRAY("\x8a\x08\0\0\0\0\0\0\0\x40\x8a\x08\0\0\0\0\0\0\0\x40\x86", DTYPE("i2", "<"),
                    "\x89", "C\x02\1\0") ".",
            "counted");
    REFUSED(NDARRAY("K\x02\x85", DTYPE("O8", "|"), "\x89",
                    "](K\x01"
                    "e") ".",
            "no list that fits");
    REFUSED(NDARRAY("K\x01\x85", DTYPE("O8", "|"), "\x89",
                    "](K\x01"
                    "e") ".",
            "a NumPy array of objects");
    REFUSED("cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\0\x85"
            "C\x01"
            "b\x87R.",
            "unfinished NumPy array");
}

#define LABELS(class, module, data)                                                                \
    "cpandas.core.indexes.base\n_new_Index\ncpandas.core.indexes." module                          \
    "\n" class "\n}(U\x04"                                                                         \
               "data" data "U\x04nameNu\x86R"
#define NAMES                                                                                      \
    LABELS("Index", "base",                                                                        \
           NDARRAY("K\x02\x85", DTYPE("O8", "|"), "\x89",                                          \
                   "](U\x01"                                                                       \
                   "aU\x01"                                                                        \
                   "be"))
#define ROWS                                                                                       \
    "cpandas.core.indexes.base\n_new_Index\ncpandas.core.indexes.range\nRangeIndex\n}(U\x04nameNU" \
    "\x05startK\x05U\x04stopK\x09U\x04stepK\x02u\x86R"
/* Column b is the first of the block, column a the second. */
#define NUMBERS NDARRAY("K\x02K\x02\x86", DTYPE("i2", "<"), "\x89", "C\x08\1\0\2\0\3\0\4\0")
#define PLACES                                                                                     \
    NDARRAY("K\x02\x85", DTYPE("i8", "<"), "\x89", "C\x10\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0")
#define FRAME(attribute, manager)                                                                  \
    "cpandas.core.frame\nDataFrame\n)\x81}(" attribute manager "U\x04_typU\x09"                    \
    "dataframe"                                                                                    \
    "ub"
#define MANAGER(blocks)                                                                            \
    "cpandas.core.internals.managers\nBlockManager\n" blocks "](" NAMES ROWS "e\x86R"

static void check_frame(W2wPtValue *frame)
{
    static const gint64 expected[] = {3, 4, 1, 2};

    g_assert_cmpint(w2w_pt_value_get_type(frame), ==, W2W_PT_DATAFRAME);
    g_assert_cmpuint(w2w_pt_value_get_n_columns(frame), ==, 2);
    g_assert_cmpint(w2w_pt_value_get_n_rows(frame), ==, 2);
    g_assert_cmpstr(w2w_pt_value_get_string(w2w_pt_value_get_column_name(frame, 0)), ==, "a");
    for (guint row = 0; row < 2; row++) {
        g_autoptr(W2wPtValue) label = w2w_pt_value_get_index(frame, row);

        g_assert_cmpint(w2w_pt_value_get_int(label), ==, 5 + 2 * row);
        for (guint column = 0; column < 2; column++) {
            g_autoptr(W2wPtValue) cell = w2w_pt_value_get_cell(frame, column, row);
            g_autoptr(W2wArray) numbers = w2w_pt_value_get_column(frame, column);

            g_assert_cmpint(w2w_pt_value_get_int(cell), ==, expected[2 * column + row]);
            g_assert_cmpfloat(w2w_array_get(numbers, row), ==, expected[2 * column + row]);
        }
    }
}

static void test_pandas_versions(void)
{
    g_autoptr(W2wPtValue) pandas2 = RUN_OK(FRAME(
        "U\x04_mgr",
        MANAGER("cpandas._libs.internals\n_unpickle_block\n" NUMBERS PLACES "K\x02\x87R\x85")) ".");
    g_autoptr(W2wPtValue) pandas13 = RUN_OK(
        FRAME("U\x04_mgr",
              MANAGER("cfunctools\npartial\ncpandas.core.internals.blocks\nnew_block\nq\x01\x85R("
                      "h\x01)}U\x04ndimK\x02sNtb" NUMBERS PLACES "\x86R\x85")) ".");
    g_autoptr(W2wPtValue) pandas10 = RUN_OK(
        FRAME("U\x05_data",
              "cpandas.core.internals.managers\nBlockManager\n)\x81(](" NAMES ROWS "e](e](e}U\x06"
              "0.14.1}("
              "U\x04"
              "axes](" NAMES ROWS "eU\x06"
              "blocks]}(U\x06values" NUMBERS "U\x08mgr_locs" PLACES "uaustb") ".");
    g_autoptr(W2wPtValue) by_slice = RUN_OK(
        FRAME("U\x04_mgr",
              MANAGER("cpandas._libs.internals\n_unpickle_block\n" NUMBERS "c__builtin__"
                      "\nslice\nK\x01J\xff\xff\xff\xffJ\xff\xff\xff\xff\x87RK\x02\x87R\x85")) ".");

    check_frame(pandas2);
    check_frame(pandas13);
    check_frame(pandas10);
    check_frame(by_slice);
}

static void test_pandas_refused(void)
{
    REFUSED(FRAME("U\x04_mgr", MANAGER(")")) ".", "column 0 of a DataFrame has no values");
    REFUSED(
        FRAME("U\x04_mgr", MANAGER("cpandas._libs.internals\n_unpickle_block\n" NUMBERS
                                   "c__builtin__\nslice\nK\x01K\x03K\x01\x87RK\x02\x87R\x85")) ".",
        "in no column or in the same");
    REFUSED(FRAME("U\x04_mgr", MANAGER("cpandas._libs.internals\n_unpickle_block\n" NUMBERS
                                       "c__builtin__\nslice\nK\0K\x02K\0\x87RK\x02\x87R\x85")) ".",
            "in no column or in the same");
    REFUSED(FRAME("U\x04_mgr", MANAGER("cpandas._libs.internals\n_unpickle_block\n" NDARRAY(
                                   "K\x02K\x01\x86", DTYPE("i2", "<"), "\x89",
                                   "C\x08\1\0\2\0\3\0\4\0") PLACES "K\x02\x87R\x85")) ".",
            "does not have its 2 rows");
    REFUSED(FRAME("U\x04_mgr", MANAGER("cpandas._libs.internals\n_unpickle_block\n" NDARRAY(
                                   "K\x02K\x02\x86", DTYPE("O8", "|"), "\x89",
                                   "](K\x01K\x01K\x01]e") PLACES "K\x02\x87R\x85")) ".",
            "holds a list");
    REFUSED(FRAME("U\x04_mgr", "N") ".", "unknown state");
    REFUSED("cpandas.core.frame\nDataFrame\n)\x81.", "no values");
    REFUSED(NAMES ".", "a pandas Index");
    REFUSED(
        "cpandas.core.indexes.base\n_new_Index\ncpandas.core.indexes.range\nRangeIndex\n}\x86R.",
        "no labels that make sense");
}

/* Every byte of a pickle of everything changed in every bit, and cut: never a crash. */
static void test_damage(void)
{
    static const char whole[] = "\x80\x02}(U\x01t" TENSOR(
        PERSISTENT("FloatStorage", "0", "\x06"), "\0", "K\x03K\x02\x86",
        "K\x01K\x03\x86") "U\x01"
                          "f" FRAME(
                              "U\x04_mgr",
                              MANAGER("cpandas._libs.internals\n_unpickle_block\n" NUMBERS PLACES
                                      "K\x02\x87R\x85")) "u.";
    const gsize n_bytes = sizeof whole - 1;
    g_autoptr(W2wPtValue) value = w2w_run_pickle_ok(whole, n_bytes);

    check_frame(w2w_pt_value_lookup(value, "f"));
    for (gsize i = 0; i < n_bytes; i++) {
        for (guint bit = 0; bit < 9; bit++) { /* the ninth time it is cut */
            g_autofree char *copy = g_memdup2(whole, n_bytes);
            g_autoptr(GError) error = NULL;
            g_autoptr(W2wPtValue) changed = NULL;

            copy[i] = (char)(copy[i] ^ (1 << bit));
            changed = w2w_run_pickle(copy, bit == 8 ? i : n_bytes, &error);
            g_assert_true((changed == NULL) == (error != NULL));
            g_assert_true(bit < 8 || changed == NULL);
        }
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/pandas/numpy", test_numpy);
    g_test_add_func("/pandas/several-versions", test_pandas_versions);
    g_test_add_func("/pandas/refused", test_pandas_refused);
    g_test_add_func("/pandas/damage-is-no-crash", test_damage);
    return g_test_run();
}

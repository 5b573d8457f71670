/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The pickle machine: each opcode, each limit, and the tricks that pickles are known for. */
#include <math.h>
#include <string.h>

#include "engine/error.h"
#include "engine/formats/pt.h"
#include "tests/formats/archive_maker.h"
#include "tests/formats/pickle_runner.h"

static void test_integers(void)
{
    static const struct {
        const char *pickle;
        gsize length;
        gint64 integer;
    } cases[] = {
        {"K\xff.", 3, 255},
        {"M\xff\xff.", 4, 65535},
        {"J\xff\xff\xff\xff.", 6, -1},
        {"J\x00\x00\x00\x80.", 6, G_MININT32},
        {"\x8a\x00.", 3, 0},
        {"\x8a\x01\x80.", 4, -128},
        {"\x8a\x02\xff\x00.", 5, 255},
        {"\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f.", 11, G_MAXINT64},
        {"\x80\x02\x8a\x08\x00\x00\x00\x00\x00\x00\x00\x80.", 13, G_MININT64},
    };

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(W2wPtValue) value = w2w_run_pickle_ok(cases[i].pickle, cases[i].length);

        g_assert_cmpint(w2w_pt_value_get_type(value), ==, W2W_PT_INT);
        g_assert_cmpint(w2w_pt_value_get_int(value), ==, cases[i].integer);
    }
    REFUSED("\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x00\x01.", "more than 64 bits");
}

static void test_scalars(void)
{
    g_autoptr(W2wPtValue) none = RUN_OK("N."), yes = RUN_OK("\x88."), no = RUN_OK("\x89.");
    g_autoptr(W2wPtValue) real = RUN_OK("G\xc0\x04\x00\x00\x00\x00\x00\x00.");
    g_autoptr(W2wPtValue) text = RUN_OK("X\x03\x00\x00\x00\xc3\xa4z.");
    g_autoptr(W2wPtValue) short_text = RUN_OK("\x80\x04\x8c\x01z.");
    g_autoptr(W2wPtValue) long_text = RUN_OK("\x80\x04\x8d\x01\0\0\0\0\0\0\0z.");
    g_autoptr(W2wPtValue) old_text = RUN_OK("U\x01z.");

    g_assert_cmpint(w2w_pt_value_get_type(none), ==, W2W_PT_NONE);
    g_assert_true(w2w_pt_value_get_bool(yes));
    g_assert_false(w2w_pt_value_get_bool(no));
    g_assert_cmpfloat(w2w_pt_value_get_float(real), ==, -2.5);
    g_assert_cmpstr(w2w_pt_value_get_string(text), ==, "äz");
    g_assert_cmpstr(w2w_pt_value_get_string(short_text), ==, "z");
    g_assert_cmpstr(w2w_pt_value_get_string(long_text), ==, "z");
    g_assert_cmpstr(w2w_pt_value_get_string(old_text), ==, "z");
    REFUSED("X\x01\x00\x00\x00\xff.", "not UTF-8");
    REFUSED("X\x02\x00\x00\x00z\x00.", "NUL");
    REFUSED("X\xff\xff\xff\x7fz.", "only 2 are left");
    REFUSED("\x8d\xff\xff\xff\xff\xff\xff\xff\xffz.", "only 2 are left");
    REFUSED("\x80\x06N.", "protocol 6");
    REFUSED("\x95\x03\0\0\0\0\0\0\0N.", "frame");
}

/* A byte string that looks like opcodes is one, whatever it holds: some scanners lose their place.
 */
static void test_bytes(void)
{
    static const struct {
        const char *pickle;
        gsize length;
    } cases[] = {
        {"C\x0b"
         "cos\nsystem\n.",
         14},
        {"B\x0b\0\0\0"
         "cos\nsystem\n.",
         17},
        {"\x8e\x0b\0\0\0\0\0\0\0"
         "cos\nsystem\n.",
         21},
        {"\x96\x0b\0\0\0\0\0\0\0"
         "cos\nsystem\n.",
         21},
        {"c_codecs\nencode\nX\x0b\0\0\0"
         "cos\nsystem\nX\x06\0\0\0latin1\x86R.",
         46},
    };

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(W2wPtValue) value = w2w_run_pickle_ok(cases[i].pickle, cases[i].length);
        GBytes *bytes;

        g_assert_cmpint(w2w_pt_value_get_type(value), ==, W2W_PT_BYTES);
        bytes = w2w_pt_value_get_bytes(value);
        g_assert_cmpmem(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), "cos\nsystem\n",
                        11);
    }
}

static void test_latin1(void)
{
    g_autoptr(W2wPtValue) value =
        RUN_OK("c_codecs\nencode\nX\x06\0\0\0a\0\xc2\x80\xc3\xbfX\x07\0\0\0latin-1\x86R.");
    g_autoptr(W2wPtValue) nothing = RUN_OK("c__builtin__\nbytes\n)R.");
    GBytes *bytes = w2w_pt_value_get_bytes(value);

    g_assert_cmpmem(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), "a\0\x80\xff", 4);
    g_assert_cmpuint(g_bytes_get_size(w2w_pt_value_get_bytes(nothing)), ==, 0);
    REFUSED("c_codecs\nencode\nX\x02\0\0\0\xc4\x80X\x06\0\0\0latin1\x86R.", "stand for bytes");
    REFUSED("c_codecs\nencode\nX\x01\0\0\0aX\x05\0\0\0rot13\x86R.", "rot13");
}

static void test_containers(void)
{
    g_autoptr(W2wPtValue) list = RUN_OK("](K\x01K\x02"
                                        "eK\x03"
                                        "a.");
    g_autoptr(W2wPtValue) tuple = RUN_OK("(K\x01K\x02K\x03t.");
    g_autoptr(W2wPtValue) nested = RUN_OK("K\x01K\x02K\x03\x87\x85)\x86.");
    g_autoptr(W2wPtValue) dict = RUN_OK("}(U\x01"
                                        "aK\x01K\x07K\x02uU\x01"
                                        "bK\x03s.");
    g_autoptr(W2wPtValue) set = RUN_OK("\x8f(K\x01K\x02\x90.");
    g_autoptr(W2wPtValue) frozen = RUN_OK("(K\x01K\x02\x91.");
    g_autoptr(W2wPtValue) old_set = RUN_OK("c__builtin__\nset\n](K\x01K\x02"
                                           "e\x85R.");

    g_assert_cmpuint(w2w_pt_value_get_length(list), ==, 3);
    g_assert_cmpint(w2w_pt_value_get_int(w2w_pt_value_get_item(list, 2)), ==, 3);
    g_assert_cmpint(w2w_pt_value_get_type(tuple), ==, W2W_PT_LIST);
    g_assert_cmpuint(w2w_pt_value_get_length(tuple), ==, 3);
    g_assert_cmpuint(
        w2w_pt_value_get_length(w2w_pt_value_get_item(w2w_pt_value_get_item(nested, 0), 0)), ==, 3);
    g_assert_cmpuint(w2w_pt_value_get_length(dict), ==, 3);
    g_assert_cmpstr(w2w_pt_value_get_string(w2w_pt_value_get_key(dict, 0)), ==, "a");
    g_assert_cmpint(w2w_pt_value_get_int(w2w_pt_value_get_key(dict, 1)), ==, 7);
    g_assert_cmpint(w2w_pt_value_get_int(w2w_pt_value_lookup(dict, "b")), ==, 3);
    g_assert_null(w2w_pt_value_lookup(dict, "c"));
    g_assert_cmpuint(w2w_pt_value_get_length(set), ==, 2);
    g_assert_cmpuint(w2w_pt_value_get_length(frozen), ==, 2);
    g_assert_cmpuint(w2w_pt_value_get_length(old_set), ==, 2);
    REFUSED(")K\x01"
            "a.",
            "a list was expected, but a tuple is there");
    REFUSED("](K\x01u.", "a dictionary was expected, but a list is there");
    REFUSED("}(K\x01u.", "a key without a value");
    REFUSED("}(U\x01"
            "aK\x01U\x01"
            "aK\x02u.",
            "the key “a” is set twice");
}

static void test_stack(void)
{
    REFUSED(".", "0 values");
    REFUSED("NN.", "2 values");
    REFUSED("N(.", "instead of one");
    REFUSED("N", "ends without its STOP");
    REFUSED("t.", "no mark");
    REFUSED("a.", "too few");
    REFUSED("]a.", "too few");
    REFUSED("](a.", "too few");
    REFUSED("K\x01(\x85.", "too few");
    REFUSED("}K\x01s.", "too few");
    REFUSED("](K\x01(e.", "a list was expected, but an integer is there");
    REFUSED("q\x01.", "empty");
    REFUSED("R.", "empty");
    REFUSED("Q.", "empty");
    REFUSED("b.", "empty");
}

static void test_memo(void)
{
    g_autoptr(W2wPtValue) put = RUN_OK("K\x07q\x05h\x05\x86.");
    g_autoptr(W2wPtValue) long_put = RUN_OK("K\x07r\x05\x01\0\0j\x05\x01\0\0\x86.");
    g_autoptr(W2wPtValue) memoized = RUN_OK("\x80\x04K\x07\x94K\x08\x94\x86h\x01\x86.");

    g_assert_cmpint(w2w_pt_value_get_int(w2w_pt_value_get_item(put, 1)), ==, 7);
    g_assert_cmpint(w2w_pt_value_get_int(w2w_pt_value_get_item(long_put, 0)), ==, 7);
    g_assert_cmpint(w2w_pt_value_get_int(w2w_pt_value_get_item(memoized, 1)), ==, 8);
    REFUSED("h\x00.", "no value 0");
    REFUSED("K\x07q\x05h\x04.", "no value 4");
    REFUSED("K\x07r\xff\xff\xff\xff.", "too large");
    REFUSED("K\x07r\x80\x96\x98\0.", "too large"); /* for a pickle of so few bytes */
}

/* All 256, each in front of what could be its argument: known or refused by number, never a crash.
 */
static void test_every_opcode(void)
{
    static const char known[] = "\x80\x95(N\x88\x89JKM\x8aGU\x8cX\x8d"
                                "CB\x8e\x96)\x85\x86\x87t]"
                                "\x8f\x91}ae\x90su"
                                "qr\x94hjc\x93QR\x81"
                                "b.";

    for (guint opcode = 0; opcode < 256; opcode++) {
        const gboolean is_known = memchr(known, (int)opcode, sizeof known - 1) != NULL;
        g_autofree char *number = g_strdup_printf("the opcode 0x%02x,", opcode);

        for (guint n_values = 0; n_values < 5; n_values++) {
            for (guint tail = 0; tail < 16; tail++) {
                char pickle[32];
                guint length = 0;
                g_autoptr(GError) error = NULL;
                g_autoptr(W2wPtValue) value = NULL;

                if (tail >= 8)
                    pickle[length++] = '(';
                for (guint i = 0; i < n_values; i++)
                    pickle[length++] = "])}N)"[(i + tail) % 5];
                pickle[length++] = (char)opcode;
                memset(pickle + length, (int)tail % 8, tail);
                length += tail;
                pickle[length++] = '.';
                value = w2w_run_pickle(pickle, length, &error);
                if (!is_known)
                    g_assert_nonnull(strstr(error->message, number));
                else
                    g_assert_true((value == NULL) == (error != NULL));
            }
        }
    }
}

static void test_symbols(void)
{
    static const char *const names[] = {
        "os\nsystem",
        "posix\nsystem",
        "nt\nsystem",
        "builtins\neval",
        "builtins\nexec",
        "__builtin__\ngetattr",
        "builtins\n__import__",
        "sys\nmodules",
        "torch\nload",
        "numpy\nload",
        "torch.serialization\nload",
        "pandas\nread_pickle",
        "functools\nreduce",
        "runpy\n_run_code",
        "torch\nDeviceStorage",
        "collections\nOrderedDict.fromkeys",
        "torch._utils\n_rebuild_tensor_v3",
        "\n",
        "torch._utils._rebuild_tensor_v2\n",
    };

    for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autofree char *pickle = g_strdup_printf("c%s\n)R.", names[i]);
        g_autofree char *name = g_strdup_printf("“%s”", names[i]);
        g_auto(GStrv) parts = g_strsplit(names[i], "\n", 2);
        GString *stack_global = g_string_new("\x80\x04");

        *strchr(name, '\n') = '.';
        w2w_assert_pickle_refused(pickle, strlen(pickle), name);
        for (guint p = 0; p < 2; p++) {
            g_string_append_c(stack_global, '\x8c');
            g_string_append_c(stack_global, (char)strlen(parts[p]));
            g_string_append(stack_global, parts[p]);
        }
        g_string_append(stack_global, "\x93)R.");
        w2w_assert_pickle_refused(stack_global->str, stack_global->len, name);
        g_string_free(stack_global, TRUE);
    }
    REFUSED("cos.", "does not end");
    REFUSED("K\x01K\x02\x93.", "not a text");
}

static void test_calls(void)
{
    REFUSED("ccollections\nOrderedDict\n.",
            "the name of a class or function, which cannot be used");
    REFUSED("ccollections\nOrderedDict\n]R.", "no function");
    REFUSED("ccollections\nOrderedDict\nN\x85R.", "1 arguments");
    REFUSED("N)R.", "no function");
    REFUSED("ctorch\nFloatStorage\n)R.", "no function");
    REFUSED("cnumpy\nndarray\n)\x81.", "no function");
    REFUSED("]}b.", "a list gets a state");
    REFUSED("cfunctools\npartial\nc_codecs\nencode\n\x85R.", "new_block only");
    REFUSED("ccopyreg\n_reconstructor\nccopyreg\n_reconstructor\ncbuiltins\nobject\nN\x87R.",
            "0 arguments");
}

static void test_tensors(void)
{
    g_autoptr(W2wPtValue) transposed = RUN_OK(TENSOR(PERSISTENT("FloatStorage", "0", "\x06"), "\0",
                                                     "K\x03K\x02\x86", "K\x01K\x03\x86") ".");
    W2wArray *array = w2w_pt_value_get_array(transposed);

    for (guint i = 0; i < 6; i++)
        g_assert_cmpfloat(w2w_array_get(array, i), ==, i % 2 * 3 + i / 2);
    REFUSED(TENSOR(PERSISTENT("FloatStorage", "0", "\x06"), "\x01", "K\x06\x85", "K\x01\x85") ".",
            "beyond");
    REFUSED(TENSOR(PERSISTENT("FloatStorage", "0", "\x06"), "\0", "K\x06\x85", "K\x02\x85") ".",
            "beyond");
    REFUSED(
        TENSOR(PERSISTENT("FloatStorage", "0", "\x06"), "\0", "K\x06\x85", "K\x01K\x01\x86") ".",
        "make no sense");
    REFUSED(TENSOR(PERSISTENT("FloatStorage", "0", "\x06"), "\0", "N\x85", "K\x01\x85") ".",
            "None instead of an integer");
    REFUSED(TENSOR(PERSISTENT("FloatStorage", "0", "\x07"), "\0", "K\x06\x85", "K\x01\x85") ".",
            "claims 28 bytes");
    REFUSED(TENSOR(PERSISTENT("FloatStorage", "0", "\x05"), "\0", "K\x05\x85", "K\x01\x85") ".",
            "at most 20");
    REFUSED(TENSOR(PERSISTENT("FloatStorage", "1", "\x06"), "\0", "K\x06\x85", "K\x01\x85") ".",
            "the archive lacks “t/data/1”");
    REFUSED("(" PERSISTENT("FloatStorage", "0", "\x06") PERSISTENT("HalfStorage", "0", "\x0c") "t.",
            "in two ways");
    REFUSED(PERSISTENT("FloatStorage", "0", "\x06") ".", "a bare storage");
    REFUSED("K\x01Q.", "unknown kind of name");
    REFUSED("(U\x06modulectorch\nFloatStorage\nU\x01"
            "0U\x03"
            "cpuK\x06tQ.",
            "unknown kind");
    REFUSED(PERSISTENT("Size", "0", "\x06") ".", "unknown kind");
}

static void test_nesting(void)
{
    for (guint depth = 60; depth < 70; depth++) {
        GString *pickle = g_string_new(NULL);
        g_autoptr(GError) error = NULL;
        g_autoptr(W2wPtValue) value = NULL;

        for (guint i = 0; i <= depth; i++)
            g_string_append_c(pickle, ']');
        for (guint i = 0; i < depth; i++)
            g_string_append_c(pickle, 'a');
        g_string_append_c(pickle, '.');
        value = w2w_run_pickle(pickle->str, pickle->len, &error);
        g_assert_true((value != NULL) == (depth <= 64));
        g_string_free(pickle, TRUE);
    }
}

static void append_times(GString *pickle, guint n, const char *opcodes)
{
    for (guint i = 0; i < n; i++)
        g_string_append(pickle, opcodes);
}

/* Neither the machine nor freeing may recurse. */
static void test_deep_nesting(void)
{
    const guint depth = 300000;
    g_autoptr(GString) lists = g_string_new(NULL), tuples = g_string_new(")");
    g_autoptr(GString) dicts = g_string_new("}"), unfinished = NULL;

    append_times(lists, depth, "]");
    unfinished = g_string_new(lists->str);
    append_times(lists, depth - 1, "a");
    append_times(tuples, depth, "\x85");
    append_times(dicts, depth,
                 "U\x01"
                 "a}");
    append_times(dicts, depth, "s");
    g_string_append_c(lists, '.');
    g_string_append_c(tuples, '.');
    g_string_append_c(dicts, '.');
    w2w_assert_pickle_refused(lists->str, lists->len, "deeper");
    w2w_assert_pickle_refused(tuples->str, tuples->len, "deeper");
    w2w_assert_pickle_refused(dicts->str, dicts->len, "deeper");
    w2w_assert_pickle_refused(unfinished->str, unfinished->len, "STOP");
}

static void test_cycles(void)
{
    REFUSED("]q\x01h\x01"
            "a.",
            "contains itself");
    REFUSED("}q\x01U\x01kh\x01s.", "contains itself");
    REFUSED("]q\x01h\x01\x85"
            "a.",
            "contains itself");
    REFUSED("]q\x01]q\x02h\x01"
            "aa.",
            "contains itself");
}

/* Each tuple holds the last one twice: 60 steps make 2^60 nodes. */
static void test_doubling(void)
{
    g_autoptr(GString) pickle = g_string_new(")");

    append_times(pickle, 60, "q\x01h\x01\x86");
    g_string_append_c(pickle, '.');
    w2w_assert_pickle_refused(pickle->str, pickle->len, "repeats its parts");
}

static void test_budget(void)
{
    g_autoptr(GString) tuples = g_string_new("(");
    g_autoptr(GString) marks = g_string_new(NULL);
    g_autoptr(GString) values = g_string_new(NULL);
    g_autoptr(GString) encodings = g_string_new("c_codecs\nencode\nq\x01"
                                                "X");
    const guint32 length = GUINT32_TO_LE(4000000);
    g_autoptr(GError) error = NULL;
    g_autoptr(W2wPtValue) value = NULL;

    /* Opcodes of one byte that make values of 150. */
    append_times(tuples, 990000, "]");
    g_string_append(tuples, "l.");
    w2w_assert_pickle_refused(tuples->str, tuples->len, "more memory");
    append_times(values, 1000001, "N");
    w2w_assert_pickle_refused(values->str, values->len, "stack");
    append_times(marks, 1000001, "(");
    w2w_assert_pickle_refused(marks->str, marks->len, "marks");

    /* 4 MB of text, turned into bytes 100,000 times: the bytes are made once. */
    g_string_append_len(encodings, (const char *)&length, sizeof length);
    append_times(encodings, 4000000, "x");
    g_string_append(encodings, "U\x06latin1\x86q\x02R](");
    append_times(encodings, 100000, "h\x01h\x02R");
    g_string_append(encodings, "e\x86.");
    value = w2w_run_pickle(encodings->str, encodings->len, &error);
    g_assert_no_error(error);
    g_assert_true(
        w2w_pt_value_get_bytes(w2w_pt_value_get_item(value, 0)) ==
        w2w_pt_value_get_bytes(w2w_pt_value_get_item(w2w_pt_value_get_item(value, 1), 99999)));
}

static void test_archive(void)
{
    W2wArchiveMaker *maker = w2w_archive_maker_new();
    g_autoptr(GBytes) none = g_byte_array_free_to_bytes(w2w_archive_maker_finish(maker, FALSE));
    g_autoptr(GBytes) two = NULL, big = NULL, script = NULL;
    g_autoptr(GError) error = NULL;

    g_assert_null(w2w_pt_open_bytes(none, "x.pt", &error));
    w2w_assert_refused(&error, W2W_ERROR_FORMAT, "x.pt is not a PyTorch file");
    maker = w2w_archive_maker_new();
    w2w_archive_maker_add(maker, "a/data.pkl", "N.", 2);
    w2w_archive_maker_add(maker, "b/data.pkl", "N.", 2);
    two = g_byte_array_free_to_bytes(w2w_archive_maker_finish(maker, FALSE));
    g_assert_null(w2w_pt_open_bytes(two, "x.pt", &error));
    w2w_assert_refused(&error, W2W_ERROR_FORMAT, "more than one data.pkl");
    maker = w2w_archive_maker_new();
    w2w_archive_maker_add(maker, "a/data.pkl", "N.", 2);
    w2w_archive_maker_add(maker, "a/byteorder", "big", 3);
    big = g_byte_array_free_to_bytes(w2w_archive_maker_finish(maker, FALSE));
    g_assert_null(w2w_pt_open_bytes(big, "x.pt", &error));
    w2w_assert_refused(&error, W2W_ERROR_FORMAT, "big-endian");
    maker = w2w_archive_maker_new();
    w2w_archive_maker_add(maker, "a/other", "N.", 2);
    script = g_byte_array_free_to_bytes(w2w_archive_maker_finish(maker, FALSE));
    g_assert_null(w2w_pt_open_bytes(script, "x.pt", &error));
    w2w_assert_refused(&error, W2W_ERROR_FORMAT, "holds no data.pkl");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/pickle/integers", test_integers);
    g_test_add_func("/pickle/scalars", test_scalars);
    g_test_add_func("/pickle/bytes-are-not-run", test_bytes);
    g_test_add_func("/pickle/latin1", test_latin1);
    g_test_add_func("/pickle/containers", test_containers);
    g_test_add_func("/pickle/stack", test_stack);
    g_test_add_func("/pickle/memo", test_memo);
    g_test_add_func("/pickle/every-opcode", test_every_opcode);
    g_test_add_func("/pickle/unknown-symbols-are-refused", test_symbols);
    g_test_add_func("/pickle/calls", test_calls);
    g_test_add_func("/pickle/tensors", test_tensors);
    g_test_add_func("/pickle/nesting-is-limited", test_nesting);
    g_test_add_func("/pickle/deep-nesting-is-no-crash", test_deep_nesting);
    g_test_add_func("/pickle/cycles-are-refused", test_cycles);
    g_test_add_func("/pickle/doubling-is-refused", test_doubling);
    g_test_add_func("/pickle/memory-is-limited", test_budget);
    g_test_add_func("/pickle/archive", test_archive);
    return g_test_run();
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The matrix product of gemm.h: packing, the epilogue, the cut into tasks. */
#include "engine/device/cpu/gemm.h"

#include "engine/device/cpu/gemm_tile.h"
#include "engine/device/cpu/vector_math.h"
#include "engine/error.h"

/* --- packing --- */

typedef struct {
    gint n_out, n_in;
    gint n_source_taps; /* in the file */
    gint n_taps;        /* of each phase */
    gint n_phases;
    gboolean half, geglu;
    W2wGemmForm form;
} Layout;

/*
 * Which output column stands at place `i` of the packed columns; −1: padding. GEGLU panels hold
 * HALF value columns and then their HALF gate columns, which the epilogue multiplies.
 */
static gint packed_column(const Layout *layout, gint i)
{
    gint column = i, limit = layout->n_out;

    if (layout->geglu) {
        const gint gate = i % COLUMNS / HALF;

        limit /= 2;
        column = i / COLUMNS * HALF + i % HALF;
        return column < limit ? column + gate * limit : -1;
    }
    return column < limit ? column : -1;
}

static gint count_panels(const Layout *layout)
{
    const gint columns_per_panel = layout->geglu ? HALF : COLUMNS;
    const gint n = layout->geglu ? layout->n_out / 2 : layout->n_out;

    return (n + columns_per_panel - 1) / columns_per_panel;
}

/* Row `o` of a contiguous or strided (out, …) array as an array of its own, without its owner. */
static W2wArray row_view(const W2wArray *array, gint o)
{
    W2wArray row = *array;

    row.n_dims--;
    for (guint i = 0; i < row.n_dims; i++) {
        row.shape[i] = array->shape[i + 1];
        row.stride[i] = array->stride[i + 1];
    }
    row.n_elements = array->n_elements / array->shape[0];
    row.data =
        (const char *)array->data + o * array->stride[0] * (gint64)w2w_dtype_size(array->dtype);
    return row;
}

/*
 * The weight of one tap of one phase. Sub-pixel: along each axis, an even output sees source i − 1
 * with the first tap and source i with the sum of the other two; an odd one source i with the sum
 * of the first two and source i + 1 with the last.
 */
static float phase_weight(const Layout *layout, const float *taps, gint phase, gint tap)
{
    static const gint first[2][2] = {{0, 1}, {0, 2}}, last[2][2] = {{0, 2}, {1, 2}};
    const gint row = phase / 2, column = phase % 2, ky = tap / 2, kx = tap % 2;
    double sum = 0.0;

    if (layout->n_phases == 1)
        return taps[tap];
    for (gint y = first[row][ky]; y <= last[row][ky]; y++)
        for (gint x = first[column][kx]; x <= last[column][kx]; x++)
            sum += taps[3 * y + x];
    return (float)sum;
}

static guint16 to_half(float value)
{
#if defined(W2W_CPU_BF16)
    return w2w_f32_to_bf16(value);
#else
    return w2w_f32_to_f16(value);
#endif
}

static void store_weight(const Layout *layout, void *packed, gsize at, float value)
{
    if (layout->half)
        ((guint16 *)packed)[at] = to_half(value);
    else
        ((float *)packed)[at] = value;
}

/*
 * (out,in,kh,kw) or (out,in) → panels [phase][panel][tap][in][COLUMNS], 16 bits or float32; see
 * place_in_panel().
 */
static void pack_panels(const W2wArray *source, void *packed, gconstpointer pack_data)
{
    const Layout *layout = pack_data;
    const gint n_packed = count_panels(layout) * COLUMNS;
    const gsize depth = (gsize)layout->n_in * layout->n_taps;
    const gsize n_padded = padded_depth(depth), phase_size = (gsize)n_packed * n_padded;
    /* Bounded by one output's weights, which the file's mapping has already paid for. */
    g_autofree float *row = g_new0(float, (gsize)layout->n_in * layout->n_source_taps);

    for (gint i = 0; i < n_packed; i++) {
        const gint column = packed_column(layout, i);
        const gsize panel = (gsize)(i / COLUMNS) * n_padded * COLUMNS;

        if (column >= 0) {
            const W2wArray view = row_view(source, column);

            w2w_array_to_f32(&view, row);
        } else {
            memset(row, 0, (gsize)layout->n_in * layout->n_source_taps * sizeof *row);
        }
        for (gint phase = 0; phase < layout->n_phases; phase++) {
            if (n_padded > depth)
                ((guint16 *)
                     packed)[phase * phase_size + panel + place_in_panel(depth, i % COLUMNS)] = 0;
            for (gint tap = 0; tap < layout->n_taps; tap++) {
                for (gint k = 0; k < layout->n_in; k++) {
                    const float value =
                        phase_weight(layout, row + (gsize)k * layout->n_source_taps, phase, tap);
                    const gsize at = phase * phase_size + panel +
                                     place_in_panel((gsize)tap * layout->n_in + k, i % COLUMNS);

                    store_weight(layout, packed, at, value);
                }
            }
        }
    }
}

/* Are the file's n_out this product's n_in? */
static gboolean is_turned(W2wGemmForm form)
{
    return form >= W2W_GEMM_TURNED;
}

/*
 * The same of a gradient. Gathered: along each axis, the pixels 2 i and 2 i + 1 were made from
 * pixel i, and the outputs 2 i − 1 … 2 i + 2 have read those with the last tap, the last two, the
 * first two, the first. Spread: pixel 2 i was read by output i with its middle tap; 2 i + 1 by
 * output i with the last one and by i + 1 with the first.
 */
static float turned_weight(const Layout *layout, const float *taps, gint phase, gint tap)
{
    static const gint first[4] = {2, 1, 0, 0}, last[4] = {2, 2, 1, 0};
    const gint odd_row = phase / 2, odd_column = phase % 2;
    double sum = 0.0;

    if (layout->form == W2W_GEMM_SPREAD) {
        const gint ky = tap / (1 + odd_column), kx = tap % (1 + odd_column);

        if (ky > odd_row)
            return 0.0f; /* this phase has fewer taps, and nothing reads it */
        return taps[3 * (odd_row ? 2 - 2 * ky : 1) + (odd_column ? 2 - 2 * kx : 1)];
    }
    if (layout->form == W2W_GEMM_TURNED)
        return taps[layout->n_source_taps - 1 - tap];
    for (gint y = first[tap / 4]; y <= last[tap / 4]; y++)
        for (gint x = first[tap % 4]; x <= last[tap % 4]; x++)
            sum += taps[3 * y + x];
    return (float)sum;
}

/* The same panels from the weights of the forward layer: (in,out,kh,kw) or (in,out). */
static void pack_turned_panels(const W2wArray *source, void *packed, gconstpointer pack_data)
{
    const Layout *layout = pack_data;
    const gint n_packed = count_panels(layout) * COLUMNS, n_source_taps = layout->n_source_taps;
    const gsize n_padded = padded_depth((gsize)layout->n_in * layout->n_taps);
    const gsize phase_size = (gsize)n_packed * n_padded;
    /* Bounded as in pack_panels(). */
    g_autofree float *row = g_new(float, (gsize)layout->n_out *n_source_taps);

    memset(packed, 0,
           layout->n_phases * phase_size * (layout->half ? sizeof(guint16) : sizeof(float)));
    for (gint k = 0; k < layout->n_in; k++) {
        const W2wArray view = row_view(source, k);

        w2w_array_to_f32(&view, row);
        for (gint phase = 0; phase < layout->n_phases; phase++)
            for (gint tap = 0; tap < layout->n_taps; tap++)
                for (gint column = 0; column < layout->n_out; column++)
                    store_weight(
                        layout, packed,
                        phase * phase_size + (gsize)(column / COLUMNS) * n_padded * COLUMNS +
                            place_in_panel((gsize)tap * layout->n_in + k, column % COLUMNS),
                        turned_weight(layout, row + (gsize)column * n_source_taps, phase, tap));
    }
}

static void pack_bias(const W2wArray *source, void *packed, gconstpointer pack_data)
{
    const Layout *layout = pack_data;
    const gint n_packed = count_panels(layout) * COLUMNS;

    for (gint i = 0; i < n_packed; i++) {
        const gint column = packed_column(layout, i);

        ((float *)packed)[i] = column >= 0 ? (float)w2w_array_get(source, column) : 0.0f;
    }
}

/* --- the epilogue --- */

W2W_INLINE w2w_v activate(w2w_v x, W2wActivation activation)
{
    switch (activation) {
    case W2W_ACTIVATION_SILU:
        return w2w_v_silu(x);
    case W2W_ACTIVATION_GELU:
        return w2w_v_gelu(x);
    case W2W_ACTIVATION_QUICK_GELU:
        return w2w_v_quick_gelu(x);
    default:
        return x;
    }
}

typedef struct {
    const W2wGemmKernel *kernel;
    const W2wOperands *operands;
} Run;

/* lora[rank][row]: scale · (A x) of the tile's rows. */
static void finish_tile(const Run *run, const gint64 *out_rows, gint n_rows, gint panel,
                        const float *sums, const float *lora)
{
    const W2wGemmKernel *kernel = run->kernel;
    const gint n = kernel->n_columns;
    const float *bias =
        kernel->bias != NULL
            ? (const float *)w2w_packed_weight_get_data(kernel->bias) + panel * COLUMNS
            : NULL;
    const w2w_element *residual = run->operands->in[W2W_SLOT_RESIDUAL];
    const w2w_element *image_bias = run->operands->in[W2W_SLOT_IMAGE_BIAS];
    const w2w_element *lora_b = run->operands->in[W2W_SLOT_LORA_B];
    const gboolean geglu = kernel->activation == W2W_ACTIVATION_GEGLU;
    const gint first_column = panel * (geglu ? HALF : COLUMNS);

    for (gint i = 0; i < n_rows; i++) {
        const gint64 row = out_rows[i];
        w2w_element *out = (w2w_element *)run->operands->out + row * n;
        const float *sum = sums + i * COLUMNS;

        for (gint j = 0; geglu && j < HALF; j += WIDTH) {
            const gint n_valid = MIN(n - first_column - j, WIDTH);
            w2w_v value = w2w_v_load(sum + j), gate = w2w_v_load(sum + HALF + j);

            if (n_valid <= 0)
                break;
            if (bias != NULL) {
                value += w2w_v_load(bias + j);
                gate += w2w_v_load(bias + HALF + j);
            }
            value *= w2w_v_gelu(gate);
            if (n_valid == WIDTH)
                w2w_e_store(out + first_column + j, value);
            else
                w2w_e_store_first(out + first_column + j, value, n_valid);
        }
        for (gint j = 0; !geglu && j < COLUMNS / WIDTH; j++) {
            const gint column = first_column + j * WIDTH;
            const gint n_valid = MIN(n - column, WIDTH);
            w2w_v value = w2w_v_load(sum + j * WIDTH);

            if (n_valid <= 0)
                break;
#define LOAD(from) (n_valid == WIDTH ? w2w_e_load(from) : w2w_e_load_first((from), n_valid))
            if (bias != NULL)
                value += w2w_v_load(bias + j * WIDTH);
            for (gint r = 0; r < kernel->lora_rank; r++) {
                w2w_v b = {0};

                if (kernel->lora_rank == 1)
                    b = LOAD(lora_b + column);
                else
                    for (gint c = 0; c < n_valid; c++)
                        b[c] = w2w_e_get(lora_b[(gsize)(column + c) * kernel->lora_rank + r]);
                value += lora[r * ROWS + i] * b;
            }
            if (image_bias != NULL)
                value += LOAD(image_bias + row / kernel->rows_per_image * n + column);
            if (residual != NULL)
                value += LOAD(residual + row * n + column);
#undef LOAD
            value = activate(value, kernel->activation);
            if (n_valid == WIDTH)
                w2w_e_store(out + column, value);
            else
                w2w_e_store_first(out + column, value, n_valid);
        }
    }
}

/* scale · (A x) for the tile's rows; A (rank, channels). */
static void project_lora(const Run *run, const w2w_element *const *rows, gint n_rows, float *lora)
{
    const W2wGemmKernel *kernel = run->kernel;
    const w2w_element *a = run->operands->in[W2W_SLOT_LORA_A];
    const gint n = kernel->n_channels;

    for (gint r = 0; r < kernel->lora_rank; r++, a += n) {
        for (gint i = 0; i < n_rows; i++) {
            w2w_v sum = {0};
            gint k = 0;

            for (; k + WIDTH <= n; k += WIDTH)
                sum += w2w_e_load(rows[i] + k) * w2w_e_load(a + k);
            if (k < n)
                sum += w2w_e_load_first(rows[i] + k, n - k) * w2w_e_load_first(a + k, n - k);
            lora[r * ROWS + i] = kernel->lora_scale * w2w_v_sum(sum);
        }
    }
}

/* --- tasks --- */

/* Bounds a buffer on the stack; gemm_init() refuses a LoRA of a higher rank. */
#define MAX_LORA_RANK 256

static gsize panel_size(const W2wGemmKernel *kernel)
{
    return padded_depth(kernel->depth) * COLUMNS * (kernel->half ? sizeof(guint16) : sizeof(float));
}

static void run_task(gconstpointer data, guint task, guint thread)
{
    const Run *run = data;
    const W2wGemmKernel *kernel = run->kernel;
    const gint first_panel = (gint)task % kernel->n_panel_tasks * kernel->panels_per_task;
    const gint last_panel = MIN(first_panel + kernel->panels_per_task, kernel->n_panels);
    const gint row_task = (gint)task / kernel->n_panel_tasks % kernel->n_row_tasks;
    const gint phase = (gint)task / kernel->n_panel_tasks / kernel->n_row_tasks;
    const gint64 first_row = (gint64)row_task * kernel->row_tiles_per_task * ROWS;
    const gint64 end_row =
        MIN(first_row + (gint64)kernel->row_tiles_per_task * ROWS, kernel->n_rows);
    const gsize panel_bytes = panel_size(kernel);
    const char *panels = (const char *)w2w_packed_weight_get_data(kernel->weight) +
                         (gsize)phase * kernel->n_panels * panel_bytes;
    W2wGemmTile tile;
    float sums[ROWS * COLUMNS];
    float lora[MAX_LORA_RANK * ROWS];
#if defined(W2W_CPU_BF16)
    source_element *memory =
        (source_element *)run->operands->scratch + thread * thread_elements(kernel);
    const source_element *memory_rows[ROWS];
#endif

    for (gint64 row = first_row; row < end_row; row += ROWS) {
        const gint n_rows = (gint)MIN(ROWS, end_row - row);
        Source source;

        kernel->rows_func(&kernel->parent, run->operands->in[W2W_SLOT_X], phase, row, n_rows,
                          &tile);
        if (kernel->lora_rank > 0)
            project_lora(run, tile.rows, n_rows, lora);
#if defined(W2W_CPU_BF16)
        source = bring_together(&tile, n_rows, memory, memory_rows);
#else
        source = (Source){tile.n_taps, tile.n_channels, tile.rows};
#endif
        for (gint panel = first_panel; panel < last_panel; panel++) {
            /* A last panel with few columns needs only half of the work. */
            const gint n_vectors = kernel->activation != W2W_ACTIVATION_GEGLU &&
                                           kernel->n_columns - panel * COLUMNS <= HALF
                                       ? 1
                                       : 2;

            accumulate_funcs[n_rows - 1][kernel->half][n_vectors - 1](
                source.rows, source.n_taps, source.n_channels, panels + panel * panel_bytes, sums);
            finish_tile(run, tile.out, n_rows, panel, sums, lora);
        }
    }
}

static void run_gemm(const W2wKernel *base, const W2wOperands *operands)
{
    const W2wGemmKernel *kernel = (const W2wGemmKernel *)base;
    const Run run = {kernel, operands};

    w2w_thread_pool_run(w2w_cpu_pool(base),
                        kernel->n_phases * kernel->n_panel_tasks * kernel->n_row_tasks, run_task,
                        &run);
}

/*
 * Tasks of equal work, some per thread so that an interrupted thread costs little; each task's
 * panels stay in the second level cache while its rows pass by.
 */
static void cut_into_tasks(W2wGemmKernel *kernel, guint n_threads)
{
    const gsize panel_bytes = panel_size(kernel);
    const gint64 n_row_tiles = (kernel->n_rows + ROWS - 1) / ROWS;
    const double work =
        (double)kernel->n_rows * kernel->n_phases * kernel->n_panels * kernel->depth * COLUMNS;
    /* About 50 µs of one thread's work; below it, waking another one costs more than it gives. */
    const gint64 n_wanted =
        (gint64)CLAMP(work / 5e5 / kernel->n_phases, 1.0, n_threads == 1 ? 1e6 : 4.0 * n_threads);
    gint64 n_row_tasks;

    kernel->panels_per_task = (gint)CLAMP((256 << 10) / panel_bytes, 1, (gsize)kernel->n_panels);
    kernel->n_panel_tasks =
        (kernel->n_panels + kernel->panels_per_task - 1) / kernel->panels_per_task;
    n_row_tasks =
        CLAMP((n_wanted + kernel->n_panel_tasks - 1) / kernel->n_panel_tasks, 1, n_row_tiles);
    if (n_row_tasks > n_row_tiles / 2 && kernel->n_panels > kernel->n_panel_tasks) {
        /* Few rows (small pictures, deep levels): share the columns out instead. */
        kernel->n_panel_tasks = (gint)MIN(n_wanted, kernel->n_panels);
        kernel->panels_per_task =
            (kernel->n_panels + kernel->n_panel_tasks - 1) / kernel->n_panel_tasks;
        kernel->n_panel_tasks =
            (kernel->n_panels + kernel->panels_per_task - 1) / kernel->panels_per_task;
        n_row_tasks = 1;
    }
    kernel->row_tiles_per_task = (gint)((n_row_tiles + n_row_tasks - 1) / n_row_tasks);
    kernel->n_row_tasks =
        (gint)((n_row_tiles + kernel->row_tiles_per_task - 1) / kernel->row_tiles_per_task);
}

/* In the order of W2wGemmForm: packed weights are known by them. */
static const char *const form_names[] = {"", "/subpixel", "/turned", "/gathered", "/spread"};

gboolean W2W_CPU_SYMBOL(gemm_init)(W2wGemmKernel *kernel, W2wDevice *device, const W2wOp *op,
                                   W2wGemmForm form, GError **error)
{
    W2wCpuDevice *cpu = (W2wCpuDevice *)device;
    W2wArray *weight = op->weight[W2W_WEIGHT];
    Layout layout = {
        .n_out = (gint)weight->shape[is_turned(form)],
        .n_in = (gint)weight->shape[!is_turned(form)],
        .n_source_taps = weight->n_dims == 4 ? (gint)(weight->shape[2] * weight->shape[3]) : 1,
        .n_phases = form == W2W_GEMM_SUBPIXEL || form == W2W_GEMM_SPREAD ? 4 : 1,
        .geglu = op->activation == W2W_ACTIVATION_GEGLU,
        .form = form,
    };
    char name[64];
    gsize n_packed;

    layout.n_taps = layout.n_phases == 4        ? 4 /* at most */
                    : form == W2W_GEMM_GATHERED ? 16
                                                : layout.n_source_taps;
#if defined(W2W_CPU_BF16)
    layout.half = TRUE;
#elif defined(__F16C__)
    /* Sums of float16 weights are float32. */
    layout.half =
        weight->dtype == W2W_DTYPE_F16 && form != W2W_GEMM_SUBPIXEL && form != W2W_GEMM_GATHERED;
#endif
    kernel->parent.device = device;
    kernel->parent.run = run_gemm;
    kernel->half = layout.half;
    kernel->n_phases = layout.n_phases;
    kernel->n_rows = w2w_shape_n_rows(op->out) / layout.n_phases;
    kernel->rows_per_image = (gint64)op->out.h * op->out.w;
    kernel->depth = layout.n_taps * layout.n_in;
    kernel->n_channels = layout.n_in;
    kernel->n_columns = op->out.c;
    kernel->n_panels = count_panels(&layout);
    kernel->activation = op->activation;
    if (op->kind == W2W_OP_LINEAR && op->in[W2W_SLOT_LORA_A].n != 0) {
        kernel->lora_rank = op->in[W2W_SLOT_LORA_A].w;
        kernel->lora_scale = op->params.linear.lora_scale;
        if (kernel->lora_rank > MAX_LORA_RANK) {
            g_set_error(error, W2W_ERROR, W2W_ERROR_UNSUPPORTED,
                        "A LoRA of rank %d cannot be used; at most %d is supported.",
                        kernel->lora_rank, MAX_LORA_RANK);
            return FALSE;
        }
    }
    if (layout.n_taps > W2W_GEMM_MAX_TAPS) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_UNSUPPORTED,
                    "A convolution of %d taps cannot be computed; at most %d are supported.",
                    layout.n_taps, W2W_GEMM_MAX_TAPS);
        return FALSE;
    }
    if (layout.geglu && (is_turned(form) || kernel->lora_rank > 0 ||
                         op->in[W2W_SLOT_RESIDUAL].n != 0 || op->in[W2W_SLOT_IMAGE_BIAS].n != 0)) {
        /* fusion.c makes none of these: finish_tile() adds only the bias to GEGLU's columns. */
        g_set_error_literal(error, W2W_ERROR, W2W_ERROR_UNSUPPORTED,
                            "A GEGLU can be computed together with a linear layer only where "
                            "nothing but a bias is added in between.");
        return FALSE;
    }
    cut_into_tasks(kernel, w2w_thread_pool_get_n_threads(cpu->pool));
#if defined(W2W_CPU_BF16)
    kernel->parent.scratch_size =
        w2w_thread_pool_get_n_threads(cpu->pool) * thread_elements(kernel) * sizeof(source_element);
#endif

    n_packed = (gsize)kernel->n_panels * COLUMNS;
    g_snprintf(name, sizeof name, "panels%d%s%s%s", COLUMNS, layout.half ? "/half" : "",
               layout.geglu ? "/geglu" : "", form_names[form]);
    kernel->weight = w2w_packed_weight_get(
        cpu, weight, name, (gsize)kernel->n_phases * kernel->n_panels * panel_size(kernel),
        is_turned(form) ? pack_turned_panels : pack_panels, &layout, error);
    if (kernel->weight == NULL)
        return FALSE;
    if (op->weight[W2W_BIAS] != NULL) {
        g_snprintf(name, sizeof name, "bias%d%s", COLUMNS, layout.geglu ? "/geglu" : "");
        kernel->bias = w2w_packed_weight_get(cpu, op->weight[W2W_BIAS], name,
                                             n_packed * sizeof(float), pack_bias, &layout, error);
        if (kernel->bias == NULL)
            return FALSE;
    }
    return TRUE;
}

void W2W_CPU_SYMBOL(gemm_clear)(W2wGemmKernel *kernel)
{
    g_clear_pointer(&kernel->weight, w2w_packed_weight_unref);
    g_clear_pointer(&kernel->bias, w2w_packed_weight_unref);
}

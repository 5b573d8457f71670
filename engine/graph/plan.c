/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Planning and replaying.
 *
 * Every tensor gets an offset in one arena. Inputs, outputs and what is kept between replays
 * have places of their own; the rest share memory by liveness: placed by decreasing
 * size, each at the lowest offset where nothing that lives at the same time is in the way
 * (greedy by size; Pisarchyk and Lee 2020, arXiv 2001.03288). Scratch memory of a kernel is a
 * tensor that lives for one step.
 *
 * Callers see float32 whatever the device keeps in its memory: ports convert on the host, through
 * one buffer that is made with the plan.
 */
#include "engine/graph/graph_internal.h"

#include <string.h>

#include "engine/error.h"
#include "engine/memory.h"

typedef struct {
    W2wKernel *kernel;
    W2wOperands operands;
    gboolean kept; /* depends on kept inputs only: runs when one of them was set */
    W2wOp op;      /* for reports; its weights are not owned */
} Step;

/* A tensor in memory. */
typedef struct {
    gsize size, offset;
    guint first, last; /* steps during which it lives */
} Block;

/* Where a tensor lies: a slice is part of another one. */
typedef struct {
    guint tensor; /* whose block it is in */
    gsize offset; /* bytes */
} Place;

typedef struct {
    W2wShape shape;
    W2wDType type;
    void *memory;
    gboolean kept;
} Port;

struct _W2wPlan {
    W2wGraph *graph; /* keeps the weights' arrays alive, and the names */
    W2wDevice *device;
    GArray *steps;                /* Step */
    GHashTable *inputs, *outputs; /* name → Port */
    GPtrArray *input_names, *output_names;
    void *arena;
    void *converted;        /* a whole input or output in the device's type, on its way */
    gboolean kept_is_stale; /* a kept input was set since the last replay */
    W2wPlanInfo info;
};

static gsize round_up(gsize size)
{
    return (size + W2W_ALIGNMENT - 1) / W2W_ALIGNMENT * W2W_ALIGNMENT;
}

static gsize n_bytes_of(W2wShape shape, W2wDType type)
{
    return (gsize)w2w_shape_n_elements(shape) * w2w_dtype_size(type);
}

static int by_decreasing_size(gconstpointer a, gconstpointer b)
{
    const Block *first = *(Block *const *)a, *second = *(Block *const *)b;

    if (first->size != second->size)
        return first->size > second->size ? -1 : 1;
    return first < second ? -1 : first > second;
}

/* Sets all offsets; returns the arena's size. */
static gsize place_blocks(GArray *blocks)
{
    g_autoptr(GPtrArray) order = g_ptr_array_new();
    g_autoptr(GPtrArray) placed = g_ptr_array_new(); /* by offset */
    gsize total = 0;

    for (guint i = 0; i < blocks->len; i++)
        if (g_array_index(blocks, Block, i).size > 0)
            g_ptr_array_add(order, &g_array_index(blocks, Block, i));
    g_ptr_array_sort(order, by_decreasing_size);
    for (guint i = 0; i < order->len; i++) {
        Block *block = g_ptr_array_index(order, i);
        gsize offset = 0;
        guint place = 0; /* in `placed`, which is in order of offsets */

        for (guint j = 0; j < placed->len; j++) {
            const Block *other = g_ptr_array_index(placed, j);

            if (other->last < block->first || other->first > block->last)
                continue; /* never alive together */
            if (offset + block->size <= other->offset)
                break; /* the gap before it is wide enough */
            offset = MAX(offset, other->offset + other->size);
        }
        block->offset = offset;
        total = MAX(total, offset + block->size);
        while (place < placed->len &&
               ((const Block *)g_ptr_array_index(placed, place))->offset <= offset)
            place++;
        g_ptr_array_insert(placed, (gint)place, block);
    }
    return total;
}

/*
 * What each tensor holds in the device's memory. An input may be wanted in another type than what
 * ops compute (w2w_device_get_input_type()); then all of its readers must want that.
 */
static W2wDType *find_types(const W2wGraph *graph, const W2wDevice *device)
{
    W2wDType *types = g_new(W2wDType, graph->tensors->len);
    g_autofree gboolean *is_read = g_new0(gboolean, graph->tensors->len);

    for (guint i = 0; i < graph->tensors->len; i++) {
        const W2wTensor *tensor = g_ptr_array_index(graph->tensors, i);

        types[i] = device->element_type;
        for (guint slot = 0; slot < W2W_N_SLOTS && !tensor->dead; slot++) {
            const W2wTensor *input = tensor->in[slot];
            W2wDType type;

            if (input == NULL)
                continue;
            type = w2w_device_get_input_type(device, tensor->op.kind, (gint)slot);
            g_assert(type == types[input->id] ||
                     (input->input_name != NULL && !is_read[input->id]));
            types[input->id] = type;
            is_read[input->id] = TRUE;
        }
    }
    return types;
}

static gboolean is_slice(const W2wTensor *tensor)
{
    return tensor->input_name == NULL && tensor->op.kind == W2W_OP_SLICE;
}

static Place *find_places(const W2wGraph *graph, const W2wDType *types)
{
    Place *places = g_new0(Place, graph->tensors->len);

    for (guint i = 0; i < graph->tensors->len; i++) {
        const W2wTensor *tensor = g_ptr_array_index(graph->tensors, i);

        places[i].tensor = i;
        if (!is_slice(tensor))
            continue;
        places[i] = places[tensor->in[W2W_SLOT_X]->id];
        places[i].offset += (gsize)tensor->op.params.slice.first *
                            w2w_dtype_size(types[tensor->in[W2W_SLOT_X]->id]);
    }
    return places;
}

static Port *port_new(const W2wTensor *tensor, W2wDType type, void *memory)
{
    Port *port = g_new0(Port, 1);

    port->shape = tensor->shape;
    port->type = type;
    port->memory = memory;
    port->kept = tensor->is_kept_input;
    return port;
}

/* Until the next replay, from the first step on. */
static void keep_readable(Block *block)
{
    block->first = 0;
    block->last = G_MAXUINT;
}

/* Kernels for all live ops, in order; blocks[2i], blocks[2i + 1]: tensor i and its scratch. */
static gboolean prepare_steps(W2wPlan *plan, GArray *blocks, const gboolean *kept,
                              const W2wDType *types, const Place *places, GError **error)
{
    GPtrArray *tensors = plan->graph->tensors;

    for (guint i = 0; i < tensors->len; i++) {
        const W2wTensor *tensor = g_ptr_array_index(tensors, i);
        Block *block = &g_array_index(blocks, Block, 2 * i);
        const guint now = plan->steps->len;
        Step step = {0};

        if (tensor->dead && tensor->input_name == NULL)
            continue;
        if (is_slice(tensor)) {
            if (tensor->is_output)
                keep_readable(&g_array_index(blocks, Block, 2 * places[i].tensor));
            continue;
        }
        block->size = round_up(n_bytes_of(tensor->shape, types[i]));
        block->first = tensor->input_name != NULL || kept[i] ? 0 : now;
        block->last = tensor->input_name != NULL || kept[i] ? G_MAXUINT : now;
        if (tensor->is_output)
            keep_readable(block);
        if (tensor->input_name != NULL)
            continue;
        step.op = tensor->op;
        step.kept = kept[i];
        step.kernel = w2w_kernel_prepare(plan->device, &tensor->op, error);
        if (step.kernel == NULL)
            return FALSE;
        plan->info.flops += w2w_op_flops(&tensor->op);
        for (guint slot = 0; slot < W2W_N_SLOTS; slot++) {
            if (tensor->in[slot] != NULL) {
                Block *input =
                    &g_array_index(blocks, Block, 2 * places[tensor->in[slot]->id].tensor);

                input->last = MAX(input->last, now);
            }
        }
        g_array_index(blocks, Block, 2 * i + 1) =
            (Block){.size = round_up(step.kernel->scratch_size), .first = now, .last = now};
        g_array_append_val(plan->steps, step);
    }
    return TRUE;
}

/* Addresses for steps and ports, once the blocks have their offsets. */
static void bind(W2wPlan *plan, GArray *blocks, const W2wDType *types, const Place *places)
{
    GPtrArray *tensors = plan->graph->tensors;
    guint now = 0;

#define ADDRESS(id)                                                                                \
    ((void *)((char *)plan->arena + places[id].offset +                                            \
              g_array_index(blocks, Block, 2 * places[id].tensor).offset))
    for (guint i = 0; i < tensors->len; i++) {
        const W2wTensor *tensor = g_ptr_array_index(tensors, i);
        Step *step;

        if (tensor->dead || tensor->input_name != NULL || is_slice(tensor))
            continue;
        step = &g_array_index(plan->steps, Step, now++);
        step->operands.out = ADDRESS(i);
        step->operands.scratch =
            (char *)plan->arena + g_array_index(blocks, Block, 2 * i + 1).offset;
        for (guint slot = 0; slot < W2W_N_SLOTS; slot++)
            if (tensor->in[slot] != NULL)
                step->operands.in[slot] = ADDRESS(tensor->in[slot]->id);
    }
    for (guint i = 0; i < plan->graph->inputs->len; i++) {
        const W2wTensor *tensor = g_ptr_array_index(plan->graph->input_tensors, i);

        g_hash_table_insert(plan->inputs, g_ptr_array_index(plan->graph->inputs, i),
                            port_new(tensor, types[tensor->id], ADDRESS(tensor->id)));
        g_ptr_array_add(plan->input_names, g_ptr_array_index(plan->graph->inputs, i));
    }
    for (guint i = 0; i < plan->graph->outputs->len; i++) {
        const W2wTensor *tensor = g_ptr_array_index(plan->graph->output_tensors, i);

        g_hash_table_insert(plan->outputs, g_ptr_array_index(plan->graph->outputs, i),
                            port_new(tensor, types[tensor->id], ADDRESS(tensor->id)));
        g_ptr_array_add(plan->output_names, g_ptr_array_index(plan->graph->outputs, i));
    }
#undef ADDRESS
    g_ptr_array_add(plan->input_names, NULL);
    g_ptr_array_add(plan->output_names, NULL);
}

/* Room for the largest port that is converted. */
static gboolean alloc_converted(W2wPlan *plan, GError **error)
{
    GHashTable *const tables[] = {plan->inputs, plan->outputs};
    gsize n_bytes = 0;

    for (guint i = 0; i < G_N_ELEMENTS(tables); i++) {
        GHashTableIter iter;
        gpointer value;

        g_hash_table_iter_init(&iter, tables[i]);
        while (g_hash_table_iter_next(&iter, NULL, &value)) {
            const Port *port = value;

            if (port->type != W2W_DTYPE_F32)
                n_bytes = MAX(n_bytes, n_bytes_of(port->shape, port->type));
        }
    }
    plan->converted = w2w_aligned_alloc(n_bytes, 1, "an input or output of a model", error);
    return plan->converted != NULL;
}

/* Fuses, prepares all kernels and says where everything will lie: all but the arena itself. */
typedef struct {
    W2wPlan *plan;
    GArray *blocks;
    W2wDType *types;
    Place *places;
} Layout;

static void layout_clear(Layout *layout)
{
    w2w_plan_free(layout->plan);
    g_array_unref(layout->blocks);
    g_free(layout->types);
    g_free(layout->places);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Layout, layout_clear)

static gboolean lay_out(Layout *layout, W2wGraph *graph, W2wDevice *device, W2wPlanFlags flags,
                        GError **error)
{
    W2wPlan *plan = layout->plan = g_new0(W2wPlan, 1);
    g_autofree gboolean *kept = NULL;

    layout->blocks = g_array_new(FALSE, TRUE, sizeof(Block));
    plan->graph = graph;
    plan->device = device;
    plan->steps = g_array_new(FALSE, TRUE, sizeof(Step));
    plan->inputs = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, g_free);
    plan->outputs = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, g_free);
    plan->input_names = g_ptr_array_new();
    plan->output_names = g_ptr_array_new();
    plan->kept_is_stale = TRUE;

    w2w_graph_count_uses(graph);
    for (guint i = 0; i < graph->tensors->len; i++) {
        const W2wTensor *tensor = g_ptr_array_index(graph->tensors, i);

        plan->info.n_recorded += tensor->input_name == NULL && !tensor->dead && !is_slice(tensor);
    }
    if (flags & W2W_PLAN_FUSE)
        w2w_graph_fuse(graph);
    w2w_graph_count_uses(graph);
    kept = w2w_graph_find_kept(graph);
    layout->types = find_types(graph, device);
    layout->places = find_places(graph, layout->types);
    g_array_set_size(layout->blocks, 2 * graph->tensors->len);
    if (!prepare_steps(plan, layout->blocks, kept, layout->types, layout->places, error))
        return FALSE;
    plan->info.n_ops = plan->steps->len;
    plan->info.arena_bytes = place_blocks(layout->blocks);
    return TRUE;
}

gboolean w2w_plan_measure(W2wGraph *graph, W2wDevice *device, W2wPlanFlags flags, W2wPlanInfo *info,
                          GError **error)
{
    g_auto(Layout) layout = {0};
    gboolean succeeded;
    gsize weight_bytes;

    w2w_device_begin_measuring(device);
    succeeded = lay_out(&layout, graph, device, flags, error);
    w2w_device_end_measuring(device, &weight_bytes);
    *info = layout.plan->info;
    info->weight_bytes = weight_bytes;
    return succeeded;
}

W2wPlan *w2w_plan_new(W2wGraph *graph, W2wDevice *device, W2wPlanFlags flags, GError **error)
{
    g_auto(Layout) layout = {0};
    W2wPlan *plan;
    void *zeros;

    if (!lay_out(&layout, graph, device, flags, error))
        return NULL;
    plan = layout.plan;
    plan->arena = device->klass->alloc(device, MAX(plan->info.arena_bytes, 1),
                                       "the activations of a model", error);
    if (plan->arena == NULL)
        return NULL;
    bind(plan, layout.blocks, layout.types, layout.places);
    if (!alloc_converted(plan, error))
        return NULL;

    /* Inputs that are never set (LoRA factors of the base model) count as zeros. */
    for (guint i = 0; i < graph->inputs->len; i++) {
        const Port *port = g_hash_table_lookup(plan->inputs, g_ptr_array_index(graph->inputs, i));
        const gsize size = n_bytes_of(port->shape, port->type);

        zeros = w2w_aligned_alloc0(size, 1, "an input of a model", error);
        if (zeros == NULL)
            return NULL;
        device->klass->upload(device, port->memory, zeros, size);
        w2w_aligned_free(zeros);
    }
    return g_steal_pointer(&layout.plan);
}

void w2w_plan_free(W2wPlan *plan)
{
    if (plan == NULL)
        return;
    for (guint i = 0; i < plan->steps->len; i++)
        w2w_kernel_free(g_array_index(plan->steps, Step, i).kernel);
    if (plan->arena != NULL)
        plan->device->klass->free(plan->device, plan->arena);
    w2w_aligned_free(plan->converted);
    g_array_unref(plan->steps);
    g_hash_table_unref(plan->inputs);
    g_hash_table_unref(plan->outputs);
    g_ptr_array_unref(plan->input_names);
    g_ptr_array_unref(plan->output_names);
    w2w_graph_free(plan->graph);
    g_free(plan);
}

static const Port *lookup(GHashTable *ports, const char *name)
{
    const Port *port = g_hash_table_lookup(ports, name);

    if (port == NULL)
        g_error("a plan has no input or output '%s'", name);
    return port;
}

void w2w_plan_set_input(W2wPlan *plan, const char *name, const float *values)
{
    const Port *port = lookup(plan->inputs, name);
    const gint64 n = w2w_shape_n_elements(port->shape);

    if (port->type == W2W_DTYPE_F64)
        for (gint64 i = 0; i < n; i++)
            ((double *)plan->converted)[i] = values[i];
    else if (port->type == W2W_DTYPE_BF16)
        for (gint64 i = 0; i < n; i++)
            ((guint16 *)plan->converted)[i] = w2w_f32_to_bf16(values[i]);
    plan->device->klass->upload(plan->device, port->memory,
                                port->type == W2W_DTYPE_F32 ? values : plan->converted,
                                n_bytes_of(port->shape, port->type));
    plan->kept_is_stale |= port->kept;
}

gboolean w2w_plan_has_input(const W2wPlan *plan, const char *name)
{
    return g_hash_table_contains(plan->inputs, name);
}

W2wShape w2w_plan_get_input_shape(const W2wPlan *plan, const char *name)
{
    return lookup(plan->inputs, name)->shape;
}

void w2w_plan_replay(W2wPlan *plan)
{
    const Step *steps = (const Step *)plan->steps->data;
    const guint n_steps = plan->steps->len;

    for (guint i = 0; i < n_steps; i++)
        if (!steps[i].kept || plan->kept_is_stale)
            w2w_kernel_run(steps[i].kernel, &steps[i].operands);
    plan->kept_is_stale = FALSE;
}

/* Downloads what is not float32 to `converted`. */
static const Port *fetch(W2wPlan *plan, const char *name)
{
    const Port *port = lookup(plan->outputs, name);

    if (port->type != W2W_DTYPE_F32)
        plan->device->klass->download(plan->device, plan->converted, port->memory,
                                      n_bytes_of(port->shape, port->type));
    return port;
}

void w2w_plan_get_output(W2wPlan *plan, const char *name, float *values)
{
    const Port *port = fetch(plan, name);
    const gint64 n = w2w_shape_n_elements(port->shape);

    if (port->type == W2W_DTYPE_F64)
        for (gint64 i = 0; i < n; i++)
            values[i] = (float)((const double *)plan->converted)[i];
    else if (port->type == W2W_DTYPE_BF16)
        for (gint64 i = 0; i < n; i++)
            values[i] = w2w_bf16_to_f32(((const guint16 *)plan->converted)[i]);
    else
        plan->device->klass->download(plan->device, values, port->memory,
                                      n_bytes_of(port->shape, port->type));
}

void w2w_plan_get_output_f64(W2wPlan *plan, const char *name, double *values)
{
    const Port *port = lookup(plan->outputs, name);

    g_assert(port->type == W2W_DTYPE_F64);
    plan->device->klass->download(plan->device, values, port->memory,
                                  n_bytes_of(port->shape, port->type));
}

W2wShape w2w_plan_get_output_shape(const W2wPlan *plan, const char *name)
{
    return lookup(plan->outputs, name)->shape;
}

const char *const *w2w_plan_get_input_names(const W2wPlan *plan)
{
    return (const char *const *)plan->input_names->pdata;
}

const char *const *w2w_plan_get_output_names(const W2wPlan *plan)
{
    return (const char *const *)plan->output_names->pdata;
}

W2wPlanInfo w2w_plan_get_info(const W2wPlan *plan)
{
    return plan->info;
}

char *w2w_plan_profile(W2wPlan *plan, guint n_replays)
{
    GString *table = g_string_new("     µs  GFLOP/s  op\n");
    const W2wDeviceClass *klass = plan->device->klass;
    g_autofree double *best = g_new(double, plan->steps->len);
    double total = 0.0;

    for (guint i = 0; i < plan->steps->len; i++)
        best[i] = G_MAXDOUBLE;
    for (guint replay = 0; replay < MAX(n_replays, 1); replay++) {
        for (guint i = 0; i < plan->steps->len; i++) {
            const Step *step = &g_array_index(plan->steps, Step, i);
            const gint64 start = g_get_monotonic_time();
            const guint repeats = 8; /* the clock counts in µs */

            for (guint r = 0; r < repeats; r++)
                w2w_kernel_run(step->kernel, &step->operands);
            if (klass->synchronize != NULL)
                klass->synchronize(plan->device);
            best[i] = MIN(best[i], (double)(g_get_monotonic_time() - start) / repeats);
        }
    }
    for (guint i = 0; i < plan->steps->len; i++) {
        const Step *step = &g_array_index(plan->steps, Step, i);
        const W2wShape in = step->op.in[0], out = step->op.out;

        g_string_append_printf(
            table, "%7.1f  %7.1f  %s (%d,%d,%d,%d) → (%d,%d,%d,%d)%s%s%s%s%s\n", best[i],
            w2w_op_flops(&step->op) / MAX(best[i], 0.01) * 1e-3, w2w_op_kind_name(step->op.kind),
            in.n, in.h, in.w, in.c, out.n, out.h, out.w, out.c,
            step->op.kind == W2W_OP_CONV2D && step->op.params.conv2d.kernel_h == 1 ? " 1×1" : "",
            step->op.kind == W2W_OP_LINEAR && step->operands.in[W2W_SLOT_LORA_A] != NULL ? " +lora"
                                                                                         : "",
            step->operands.in[W2W_SLOT_IMAGE_BIAS] != NULL && step->op.kind <= W2W_OP_LINEAR
                ? " +image bias"
                : "",
            step->operands.in[W2W_SLOT_RESIDUAL] != NULL && step->op.kind <= W2W_OP_LINEAR
                ? " +residual"
                : "",
            step->op.activation != W2W_ACTIVATION_NONE ? " +activation" : "");
        total += best[i];
    }
    g_string_append_printf(table, "%7.1f  %7.1f  all %u ops\n", total,
                           plan->info.flops / MAX(total, 0.01) * 1e-3, plan->steps->len);
    return g_string_free(table, FALSE);
}

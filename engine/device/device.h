/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One interface, several devices: `reference` defines every op, `cpu` is fast,
 * `cuda` stands beside them.
 *
 * Life of a kernel: prepare() looks at one op's shapes, chooses an implementation,
 * packs its weights and says how much scratch memory a run needs; run() is then called
 * any number of times and neither allocates, validates, fails nor synchronises.
 * Kernels of one device share packed weights (of the same source view).
 * A device is used from one thread at a time; it may have threads of its own.
 */
#pragma once

#include "engine/device/op.h"

G_BEGIN_DECLS

typedef struct _W2wDevice W2wDevice;
typedef struct _W2wKernel W2wKernel;

/*
 * How a device computes. Whatever it is, sums and everything else inside of one op are at
 * least float32; plans take and give float32.
 */
typedef enum {
    W2W_COMPUTE_AUTO, /* the fastest that the device's arithmetic is made for */
    W2W_COMPUTE_F32,
    W2W_COMPUTE_BF16, /* activations between ops, and weights, in bfloat16 */
    W2W_COMPUTE_F64,  /* activations between ops in float64: `reference` only */
    W2W_N_COMPUTE_TYPES
} W2wComputeType;

/* "auto", "f32", "bf16", "f64"; NULL terminated. */
extern const char *const w2w_compute_type_names[];

/* Where a run finds its data: addresses in the device's memory. */
typedef struct {
    const void *in[W2W_N_SLOTS]; /* NULL where the op has no such input */
    void *out;                   /* may be the same address as none of `in` */
    void *scratch;               /* W2W_ALIGNMENT aligned, of at least the kernel's scratch_size */
} W2wOperands;

/* Kernels embed this at their start. */
struct _W2wKernel {
    W2wDevice *device; /* not owned */
    void (*run)(const W2wKernel *kernel, const W2wOperands *operands);
    void (*free)(W2wKernel *kernel);
    gsize scratch_size; /* bytes */
};

/* Prepares one kind of op; tables of these by W2wOpKind make up a device. */
typedef W2wKernel *(*W2wPrepareFunc)(W2wDevice *device, const W2wOp *op, GError **error);

typedef struct {
    const char *name; /* "cpu" */

    /* Memory of the device. alloc fails with W2W_ERROR_MEMORY. */
    void *(*alloc)(W2wDevice *device, gsize n_bytes, const char *what, GError **error);
    void (*free)(W2wDevice *device, void *memory);
    void (*upload)(W2wDevice *device, void *destination, const void *source, gsize n_bytes);
    void (*download)(W2wDevice *device, void *destination, const void *source, gsize n_bytes);

    /* Waits for everything that was run; downloads do so by themselves. NULL: nothing to wait for.
     */
    void (*synchronize)(W2wDevice *device);

    void (*destroy)(W2wDevice *device);

    W2wPrepareFunc prepare[W2W_N_OPS];
} W2wDeviceClass;

typedef struct {
    guint n_threads; /* 0: as many as there are processors */
    W2wComputeType compute_type;
} W2wDeviceOptions;

/* Devices embed this at their start. */
struct _W2wDevice {
    const W2wDeviceClass *klass;
    W2wComputeType compute_type; /* never AUTO */
    W2wDType element_type;       /* of activations in the device's memory: F32, BF16 or F64 */
    W2wDeviceOptions options;    /* that it was made with */
    gboolean measuring;          /* see w2w_device_begin_measuring() */
    gsize measured_bytes;
};

/*
 * By name ("cpu", "reference"). W2W_ERROR_USAGE names the devices that there are, or the compute
 * types that this one has.
 * There is no fallback: who asks for a device gets it or an error.
 */
W2wDevice *w2w_device_new(const char *name, const W2wDeviceOptions *options, GError **error);
void w2w_device_free(W2wDevice *device); /* after all of its kernels; NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(W2wDevice, w2w_device_free)

/* NULL terminated. */
extern const char *const w2w_device_names[];

const char *w2w_device_get_name(const W2wDevice *device);
W2wComputeType w2w_device_get_compute_type(const W2wDevice *device); /* never AUTO */

/*
 * What an op's input holds in the device's memory: its element type, except that the inputs of the
 * embeddings, whole numbers that bfloat16 cannot count up to, are float32 at least.
 */
W2wDType w2w_device_get_input_type(const W2wDevice *device, W2wOpKind kind, gint slot);

/* What runs and why, for people: "cpu: 8 threads, AVX2". Caller frees. */
char *w2w_device_describe(const W2wDevice *device);

/*
 * In between, kernels are prepared to see what they would take: no weight is packed or converted,
 * and what that would allocate is counted, once for each that kernels share and not at all for those
 * that the device has. Such kernels are freed without ever being run, before others are prepared.
 */
void w2w_device_begin_measuring(W2wDevice *device);
void w2w_device_end_measuring(W2wDevice *device, gsize *n_bytes);

/* W2W_ERROR_MEMORY, or W2W_ERROR_UNSUPPORTED for an op or shape that the device does not have. */
W2wKernel *w2w_kernel_prepare(W2wDevice *device, const W2wOp *op, GError **error);
void w2w_kernel_free(W2wKernel *kernel); /* NULL is fine */

static inline void w2w_kernel_run(const W2wKernel *kernel, const W2wOperands *operands)
{
    kernel->run(kernel, operands);
}

G_END_DECLS

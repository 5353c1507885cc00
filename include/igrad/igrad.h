/* SPDX-License-Identifier: MIT */
/*
 * libigrad: training on an array that interleaves both gradients of a layer.
 *
 * Four levels, each usable without the ones above it: devices, buffers and queues; command buffers;
 * operations on matrices (the scheduler); networks (struct igrad_net, in nn.h).
 *
 * Conventions: functions return 0 or a negative errno unless they say otherwise. Objects are opaque
 * and reference-counted: _new() or _open() gives the caller a reference, _ref() adds one, _unref()
 * drops one (NULL is fine) and frees the object with the last. An object holds references to what
 * it needs. The library keeps no global state and prints nothing. A device and its buffers and
 * queues may be used from several threads; a command buffer from one at a time.
 */
#ifndef IGRAD_H
#define IGRAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "igrad/hw.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---------------------------------------------------------------- errors */

/** struct igrad_error - what went wrong, in a sentence; every use of it may be NULL */
struct igrad_error {
	char message[256];
};

/** igrad_strerror - a static sentence for a negative errno that this library returned */
const char *igrad_strerror(int err);

/** igrad_reason_string - a static phrase for an enum igrad_reason, e.g. "page not present" */
const char *igrad_reason_string(enum igrad_reason reason);

/* ---------------------------------------------------------------- devices, buffers, queues */

struct igrad_device;
struct igrad_buffer;
struct igrad_queue;
struct igrad_fence;

/**
 * igrad_device_open - open a device
 * @uri: "drm:/dev/accel/accel0", or "sim:" for a device inside this process, with the hardware's
 *       properties as in "sim:rows=32,cols=32,sram-kib=4096,threads=2", job-timeout-ms for the
 *       driver's, and timing-only=on to account for commands without computing;
 *       NULL: $IGRAD_DEVICE, else the first igrad under /dev/accel, else "sim:"
 */
int igrad_device_open(const char *uri, struct igrad_device **device, struct igrad_error *error);
struct igrad_device *igrad_device_ref(struct igrad_device *device);
void igrad_device_unref(struct igrad_device *device);

/**
 * igrad_device_list - the igrads of this machine that can be opened, as URIs in order
 * @uris: one block, for free()
 *
 * Returns how many there are, or a negative errno: -EACCES when there are only such that this user
 * may not open.
 */
int igrad_device_list(char ***uris);

/** struct igrad_device_info - see struct drm_igrad_device_info for the fields not explained here */
struct igrad_device_info {
	uint32_t hw_version;
	uint32_t features;
	uint32_t rows;
	uint32_t cols;
	uint32_t sram_bytes;
	uint32_t dram_bytes_per_cycle;
	uint32_t dram_latency;
	uint64_t clock_hz;
	uint64_t va_start;
	uint64_t va_end;
};

/** igrad_device_info - constant for a device's lifetime; owned by it */
const struct igrad_device_info *igrad_device_info(const struct igrad_device *device);

/** igrad_device_uri - what was opened, with defaults filled in; owned by the device */
const char *igrad_device_uri(const struct igrad_device *device);

/**
 * struct igrad_trace_event - a command that was executed, and its cycles
 * @job: counts the jobs of the device, from 1
 * @index: of the command in its job
 * @engine: that executed it
 * @cmd: as it was submitted, little-endian; valid during the call only
 * @start: first cycle in which it held its engine
 * @end: first cycle in which it no longer did. Commands of an array with shadow registers may hold
 *       it at the same time; a NOP holds nothing, @end is @start then
 * @completed: the cycle in which it had completed: a semaphore that it signals is seen from here on
 *
 * Cycles count from the start of the job.
 */
struct igrad_trace_event {
	uint64_t job;
	uint32_t index;
	enum igrad_engine engine;
	const struct igrad_cmd *cmd;
	uint64_t start;
	uint64_t end;
	uint64_t completed;
};

typedef void (*igrad_trace_fn)(void *opaque, const struct igrad_trace_event *event);

/**
 * igrad_device_trace - have @fn called for every command that the device executes
 * @fn: called from a thread of the library, in program order of each job, one job after the other,
 *      before the job's fence is signalled; must not use the device. NULL: no tracing
 *
 * -ENOTSUP on a device that is not simulated, -EBUSY while it has jobs that have not ended.
 */
int igrad_device_trace(struct igrad_device *device, igrad_trace_fn fn, void *opaque);

/** igrad_buffer_new - @size bytes of zeroed memory that the device reaches and is mapped here */
int igrad_buffer_new(struct igrad_device *device, uint64_t size, struct igrad_buffer **buffer);
struct igrad_buffer *igrad_buffer_ref(struct igrad_buffer *buffer);
void igrad_buffer_unref(struct igrad_buffer *buffer);
void *igrad_buffer_map(struct igrad_buffer *buffer); /* valid as long as the buffer */
uint64_t igrad_buffer_size(const struct igrad_buffer *buffer);
uint64_t igrad_buffer_va(const struct igrad_buffer *buffer);

/** igrad_queue_new - jobs of one queue run in the order in which they were submitted */
int igrad_queue_new(struct igrad_device *device, struct igrad_queue **queue);
struct igrad_queue *igrad_queue_ref(struct igrad_queue *queue);
void igrad_queue_unref(struct igrad_queue *queue);

/** struct igrad_queue_error - the first job of a queue that failed */
struct igrad_queue_error {
	int err; /* 0: none did */
	uint64_t seqno;
	uint64_t fault_addr;
	uint32_t command;
	enum igrad_reason reason;
};

/** igrad_queue_error - a queue that has failed refuses work with -EIO; make a new one */
int igrad_queue_error(struct igrad_queue *queue, struct igrad_queue_error *error);

/* ---------------------------------------------------------------- command buffers */

struct igrad_cmdbuf;

/**
 * igrad_cmdbuf_new - an empty command buffer
 *
 * It grows as needed, keeps references to every buffer that its commands name, and may be submitted
 * any number of times.
 */
int igrad_cmdbuf_new(struct igrad_device *device, struct igrad_cmdbuf **cmdbuf);
struct igrad_cmdbuf *igrad_cmdbuf_ref(struct igrad_cmdbuf *cmdbuf);
void igrad_cmdbuf_unref(struct igrad_cmdbuf *cmdbuf);

/** igrad_cmdbuf_reset - forget all commands and buffers; -EBUSY while a submission is in flight */
int igrad_cmdbuf_reset(struct igrad_cmdbuf *cmdbuf);

/** igrad_cmdbuf_length - commands so far */
uint32_t igrad_cmdbuf_length(const struct igrad_cmdbuf *cmdbuf);

/**
 * igrad_cmdbuf_emit - append a command, ordered after everything it depends on
 * @cmd: with opcode, flags and operands set; semaphores and waits zero, they are filled in
 * @buffer: for DMA commands, the buffer that u.dma.va is an offset into; else NULL
 *
 * What a command reads and writes in SRAM and DRAM follows from its operands; where another engine
 * touched the same bytes before and one of the two writes, the command waits for it. Commands must
 * be emitted in an order that would be right if they ran one by one.
 *
 * -E2BIG beyond IGRAD_MAX_COMMANDS, -ERANGE when @buffer or the SRAM is too small. The first error
 * sticks: later calls and the submission return it, so that a sequence may be checked once.
 */
int igrad_cmdbuf_emit(struct igrad_cmdbuf *cmdbuf, const struct igrad_cmd *cmd,
		      struct igrad_buffer *buffer);

/** igrad_cmdbuf_set_tag - tag of the commands emitted from now on */
void igrad_cmdbuf_set_tag(struct igrad_cmdbuf *cmdbuf, uint32_t tag);

/**
 * igrad_queue_submit - run a command buffer
 * @fence: may be NULL; a reference for the caller
 *
 * -EIO when the queue has failed, -EBUSY when too many of its jobs (thousands) have not ended: wait
 * for one of them; -EINVAL for an empty command buffer, or the command buffer's error.
 */
int igrad_queue_submit(struct igrad_queue *queue, struct igrad_cmdbuf *cmdbuf,
		       struct igrad_fence **fence);

struct igrad_fence *igrad_fence_ref(struct igrad_fence *fence);
void igrad_fence_unref(struct igrad_fence *fence);

/**
 * igrad_fence_wait - wait until the job has ended
 * @timeout_ns: how long at most, from now; negative: for ever
 *
 * 0 when the job succeeded; -ETIMEDOUT when it still runs; else how it failed: -EFAULT, -ETIME,
 * -EINVAL, -EIO, -ECANCELED (a job before it in the queue failed), -ENODEV.
 */
int igrad_fence_wait(struct igrad_fence *fence, int64_t timeout_ns);

/**
 * igrad_fence_report - the job's report, in host byte order
 *
 * Its status is IGRAD_STATUS_NOT_WRITTEN for a job that hung or was canceled. -EBUSY before the job
 * has ended.
 */
int igrad_fence_report(struct igrad_fence *fence, struct igrad_report *report);

/** igrad_queue_run - submit, wait, and give the report (which may be NULL) */
int igrad_queue_run(struct igrad_queue *queue, struct igrad_cmdbuf *cmdbuf,
		    struct igrad_report *report);

/**
 * igrad_report_sram_accesses - words moved between SRAM and the array, and by the optimiser
 *
 * What schedules are compared by: everything but the other vector commands.
 */
uint64_t igrad_report_sram_accesses(const struct igrad_report *report);

/* ---------------------------------------------------------------- operations on matrices */

enum igrad_element {
	IGRAD_FP32,
	IGRAD_BF16, /* the upper half of an fp32 word */
};

/** igrad_element_bytes - 4 or 2 */
uint32_t igrad_element_bytes(enum igrad_element dtype);

/**
 * struct igrad_matrix - a row-major matrix inside a buffer
 * @offset: bytes, a multiple of an element's
 * @pitch: bytes from one row to the next, likewise; 0 says that rows follow each other
 * @dtype: of its elements
 */
struct igrad_matrix {
	struct igrad_buffer *buffer;
	uint64_t offset;
	uint32_t rows;
	uint32_t cols;
	uint32_t pitch;
	enum igrad_element dtype;
};

enum igrad_schedule {
	IGRAD_SCHEDULE_WS_PAPER, /* W stationary for dX, dY for dW, on a fixed array */
	IGRAD_SCHEDULE_WS,	 /* the better operand stationary for each product */
	IGRAD_SCHEDULE_WS_OS,	 /* dgrad weight-stationary, then wgrad output-stationary */
	/* both at once, update in the array if possible: sums stay there but for fewer bytes */
	IGRAD_SCHEDULE_INTERLEAVED,
	IGRAD_SCHEDULE_AUTO, /* whichever of these is best for the layer */
	IGRAD_NUM_SCHEDULES,
};

/** igrad_schedule_name - "ws-paper", "ws", "ws+os", "interleaved", "auto" */
const char *igrad_schedule_name(enum igrad_schedule schedule);
/** igrad_schedule_parse - -EINVAL for an unknown name */
int igrad_schedule_parse(const char *name, enum igrad_schedule *schedule);

enum igrad_update {
	IGRAD_UPDATE_NONE,     /* gradients are stored, weights stay */
	IGRAD_UPDATE_SGD,      /* w = fma(-lr, dw, t) */
	IGRAD_UPDATE_MOMENTUM, /* v = momentum·v + dw; w = fma(-lr, v, t) */
	IGRAD_UPDATE_ADAM,     /* see igrad_adam_constants() */
};

/**
 * struct igrad_optimizer - what becomes of a gradient
 *
 * With momentum the sum over the batch goes on from the velocity: v is round(momentum·v), to which
 * each batch row is then added in order, by one fused multiply-add (biases: one addition).
 *
 * Adam keeps two moments of the gradient, and is done by the vector unit in every schedule: v is
 * β1·v + (1 − β1)·dw, s is β2·s + (1 − β2)·dw², and w = t − η·v / (√s + ε), with every rounding as
 * the manual's VEC_ADAM says. Its numbers come from memory: igrad_adam_constants().
 *
 * @lr: η
 * @momentum: μ, IGRAD_UPDATE_MOMENTUM only
 * @decay: λ; t = round((1 − ηλ)·w), with 1 − ηλ rounded to fp32 on the host; 0: t = w
 * @beta1: how much of the first moment stays, IGRAD_UPDATE_ADAM only; likewise
 * @beta2: of the second moment
 * @epsilon: ε
 */
struct igrad_optimizer {
	enum igrad_update update;
	float lr;
	float momentum;
	float decay;
	float beta1;
	float beta2;
	float epsilon;
};

/**
 * igrad_adam_constants - what Adam's step @step works with, by enum igrad_adam_word
 * @step: counts from 1; with moments that were 0 before the first
 *
 * η and ε contain what corrects the bias of moments that began at 0: with c = √(1 − β2^step) they
 * are η·c / (1 − β1^step) and ε·c. All is computed in double, and rounded once.
 */
void igrad_adam_constants(const struct igrad_optimizer *optimizer, uint64_t step,
			  float constants[IGRAD_ADAM_WORDS]);

/* What a layer's tiling, and with IGRAD_SCHEDULE_AUTO its schedule, are chosen for. */
enum igrad_objective {
	IGRAD_OBJECTIVE_CYCLES,
	IGRAD_OBJECTIVE_ENERGY,
	IGRAD_OBJECTIVE_DRAM, /* bytes read and written; cycles decide between equals */
	IGRAD_NUM_OBJECTIVES,
};

/** igrad_objective_name - "cycles", "energy", "dram" */
const char *igrad_objective_name(enum igrad_objective objective);
/** igrad_objective_parse - -EINVAL for an unknown name */
int igrad_objective_parse(const char *name, enum igrad_objective *objective);

struct igrad_energy_table; /* energy.h */

/**
 * struct igrad_linear_forward - a linear layer's forward pass: y[B×O] = x[B×I]·w[I×O] + b
 *
 * x and y are both fp32 or both bf16, parameters are fp32. With bf16, products are those of x and w
 * rounded to bf16, sums, bias and ReLU are fp32, and y is rounded once, when it is stored. -ENOTSUP
 * when the device has no bf16.
 *
 * @x: B×I
 * @w: I×O
 * @b: 1×O, or NULL
 * @y: B×O
 * @relu: y = max(y, 0) afterwards
 * @objective: what it is cut for
 * @energy: what IGRAD_OBJECTIVE_ENERGY counts with; NULL: the table that is built in
 */
struct igrad_linear_forward {
	const struct igrad_matrix *x;
	const struct igrad_matrix *w;
	const struct igrad_matrix *b;
	const struct igrad_matrix *y;
	bool relu;
	enum igrad_objective objective;
	const struct igrad_energy_table *energy;
};

int igrad_linear_forward_for(struct igrad_cmdbuf *cmdbuf, const struct igrad_linear_forward *args);

/** igrad_linear_forward - igrad_linear_forward_for() with an objective of cycles */
int igrad_linear_forward(struct igrad_cmdbuf *cmdbuf, const struct igrad_matrix *x,
			 const struct igrad_matrix *w, const struct igrad_matrix *b, bool relu,
			 const struct igrad_matrix *y);

/**
 * struct igrad_linear_backward - a linear layer's backward pass
 *
 * x, y, dy and dx are all fp32 or all bf16, everything else is fp32. With bf16, products are those
 * of x, dy and w rounded to bf16, all sums are fp32, and dx is rounded once, when it is stored;
 * what is updated is w as it is.
 *
 * @schedule: how; the results are the same bit for bit
 * @x: B×I, the layer's input
 * @w: I×O, updated in place as @optimizer says
 * @b: 1×O or NULL, likewise
 * @y: B×O or NULL: the layer's output after ReLU; its gradient is then applied to @dy first
 * @dy: B×O
 * @dx: B×I, or NULL when the input needs no gradient (then only wgrad runs, in every schedule)
 * @dw: I×O, or NULL; required for IGRAD_UPDATE_NONE, else optional. With momentum it is a sum
 *      of its own, which takes another product
 * @db: 1×O, or NULL
 * @vw: I×O, velocity of w, for IGRAD_UPDATE_MOMENTUM; first moment for IGRAD_UPDATE_ADAM
 * @vb: 1×O, of b, likewise
 * @sw: I×O, second moment of w, for IGRAD_UPDATE_ADAM
 * @sb: 1×O, of b, likewise
 * @adam: 1×IGRAD_ADAM_WORDS, for IGRAD_UPDATE_ADAM: what igrad_adam_constants() says, looked at
 * when the commands are executed
 * @optimizer: how w and b are updated
 * @objective: what the tiling, and with IGRAD_SCHEDULE_AUTO the schedule, are chosen for
 * @energy: what IGRAD_OBJECTIVE_ENERGY counts with; NULL: the table that is built in
 */
struct igrad_linear_backward {
	enum igrad_schedule schedule;
	const struct igrad_matrix *x;
	const struct igrad_matrix *w;
	const struct igrad_matrix *b;
	const struct igrad_matrix *y;
	const struct igrad_matrix *dy;
	const struct igrad_matrix *dx;
	const struct igrad_matrix *dw;
	const struct igrad_matrix *db;
	const struct igrad_matrix *vw;
	const struct igrad_matrix *vb;
	const struct igrad_matrix *sw;
	const struct igrad_matrix *sb;
	const struct igrad_matrix *adam;
	struct igrad_optimizer optimizer;
	enum igrad_objective objective;
	const struct igrad_energy_table *energy;
};

int igrad_linear_backward(struct igrad_cmdbuf *cmdbuf, const struct igrad_linear_backward *args);

/**
 * igrad_softmax_xent - softmax cross-entropy and its gradient
 * @logits: B×O, fp32 or bf16; all is computed in fp32
 * @labels: B×1, 32-bit class numbers in place of fp32
 * @dlogits: B×O: (softmax − one-hot) · scale, fp32 or bf16
 * @losses: B×1, one a row, not scaled
 * @scale: 1/B for a mean over the batch
 */
int igrad_softmax_xent(struct igrad_cmdbuf *cmdbuf, const struct igrad_matrix *logits,
		       const struct igrad_matrix *labels, const struct igrad_matrix *dlogits,
		       const struct igrad_matrix *losses, float scale);

#ifdef __cplusplus
}
#endif

#endif /* IGRAD_H */

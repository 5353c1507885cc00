/* SPDX-License-Identifier: MIT */
/*
 * The hardware contract: registers, ring, job descriptors, commands, page tables and the job report.
 *
 * This is the only definition of these formats; the kernel driver, the library and the device all
 * include it, and qemu-device/SPEC.md explains it. Everything in memory is little-endian; addresses
 * and sizes are in bytes unless a comment says otherwise.
 */
#ifndef IGRAD_HW_H
#define IGRAD_HW_H

#ifdef __KERNEL__
#include <linux/types.h>
typedef __le16 igrad_le16;
typedef __le32 igrad_le32;
typedef __le64 igrad_le64;
#else
#include <stdint.h>
typedef uint16_t igrad_le16;
typedef uint32_t igrad_le32;
typedef uint64_t igrad_le64;
#endif

/* --------------------------------------------------------------------------------------------- */
/* PCI identity                                                                                   */
/* --------------------------------------------------------------------------------------------- */

#define IGRAD_PCI_VENDOR   0x1234
#define IGRAD_PCI_DEVICE   0x4752
#define IGRAD_PCI_REVISION 1
#define IGRAD_PCI_CLASS    0x1200 /* processing accelerator */

#define IGRAD_BAR_REGS     0 /* 64-bit memory, IGRAD_BAR_REGS_SIZE */
#define IGRAD_BAR_MSIX     2
#define IGRAD_BAR_REGS_SIZE 0x1000

/* MSI-X vectors. */
#define IGRAD_VECTOR_COMPLETION 0 /* a completion was written */
#define IGRAD_VECTOR_EVENT      1 /* the ring stopped, or the device failed */
#define IGRAD_NUM_VECTORS       2

/* --------------------------------------------------------------------------------------------- */
/* Registers: 32 bits wide, accessed as aligned 32-bit words (other sizes read all ones and are   */
/* ignored on write). A 64-bit quantity is a LO word followed by a HI word.                        */
/* --------------------------------------------------------------------------------------------- */

#define IGRAD_REG_ID            0x000 /* RO IGRAD_ID */
#define IGRAD_REG_VERSION       0x004 /* RO IGRAD_HW_VERSION: major << 16 | minor */
#define IGRAD_REG_FEATURES      0x008 /* RO IGRAD_FEATURE_* */
#define IGRAD_REG_ARRAY         0x00c /* RO columns << 16 | rows */
#define IGRAD_REG_SRAM_BYTES    0x010 /* RO */
#define IGRAD_REG_DRAM_WIDTH    0x014 /* RO bytes a cycle, in each direction */
#define IGRAD_REG_DRAM_LATENCY  0x018 /* RO cycles */
#define IGRAD_REG_CLOCK_LO      0x01c /* RO Hz */
#define IGRAD_REG_CLOCK_HI      0x020
#define IGRAD_REG_RING_MAX      0x024 /* RO log2 of the largest ring */

#define IGRAD_REG_CTRL          0x040 /* RW IGRAD_CTRL_* */
#define IGRAD_REG_STATUS        0x044 /* RO IGRAD_DEV_* */
#define IGRAD_REG_IRQ_STATUS    0x048 /* R, write 1 to clear: IGRAD_IRQ_* */
#define IGRAD_REG_IRQ_ENABLE    0x04c /* RW IGRAD_IRQ_* */

#define IGRAD_REG_RING_BASE_LO  0x080 /* RW while disabled; bus address, 64-byte aligned */
#define IGRAD_REG_RING_BASE_HI  0x084
#define IGRAD_REG_CQ_BASE_LO    0x088 /* RW while disabled; bus address, 32-byte aligned */
#define IGRAD_REG_CQ_BASE_HI    0x08c
#define IGRAD_REG_RING_SIZE     0x090 /* RW while disabled; log2 of the number of entries */
#define IGRAD_REG_RING_TAIL     0x094 /* RW doorbell: index of the next entry to be written */
#define IGRAD_REG_RING_STARTED  0x098 /* RO entries whose execution has begun */
#define IGRAD_REG_RING_DONE     0x09c /* RO entries whose completion has been written */
#define IGRAD_REG_RETIRED_LO    0x0a0 /* RO commands retired since reset; reading LO latches HI */
#define IGRAD_REG_RETIRED_HI    0x0a4

#define IGRAD_REG_TLB_ROOT_LO   0x0c0 /* RW page-table root to flush */
#define IGRAD_REG_TLB_ROOT_HI   0x0c4
#define IGRAD_REG_TLB_FLUSH     0x0c8 /* write 1: flush; reads 1 until it has completed */

#define IGRAD_ID         0x44524749 /* "IGRD" */
#define IGRAD_HW_VERSION 0x00010000

#define IGRAD_FEATURE_OVERLAP (1u << 0) /* shadow weights and accumulators */
#define IGRAD_FEATURE_BF16    (1u << 1) /* bf16 operands */
#define IGRAD_FEATURE_QUIET   (1u << 2) /* IGRAD_DESC_QUIET */

/*
 * CTRL. Setting ENABLE takes over base and size and starts at index 0 (TAIL must be 0 then);
 * clearing it lets the running job end and starts no other. RESET aborts everything and returns
 * every register to its power-on value; it reads 1 until the device is idle.
 */
#define IGRAD_CTRL_ENABLE (1u << 0)
#define IGRAD_CTRL_RESET  (1u << 1)
#define IGRAD_CTRL_RESUME (1u << 2) /* write only: leave STOPPED, fetch again from RING_STARTED */

#define IGRAD_DEV_READY   (1u << 0) /* enabled, and neither stopped nor failed */
#define IGRAD_DEV_BUSY    (1u << 1) /* a job is executing */
#define IGRAD_DEV_STOPPED (1u << 2) /* a job failed: nothing starts until RESUME */
#define IGRAD_DEV_FATAL   (1u << 3) /* ring or completion unreachable, or misprogrammed: RESET */

#define IGRAD_IRQ_COMPLETION (1u << 0) /* vector IGRAD_VECTOR_COMPLETION */
#define IGRAD_IRQ_STOPPED    (1u << 1) /* vector IGRAD_VECTOR_EVENT */
#define IGRAD_IRQ_FATAL      (1u << 2) /* vector IGRAD_VECTOR_EVENT */
#define IGRAD_IRQ_ALL        0x7u

/* --------------------------------------------------------------------------------------------- */
/* Ring: job descriptors and completions. Indices are free-running 32-bit counters; entry i lies  */
/* in slot i & (size - 1), its completion in the same slot of the completion array.                */
/* --------------------------------------------------------------------------------------------- */

#define IGRAD_RING_MIN_LOG2 1
#define IGRAD_RING_MAX_LOG2 6
#define IGRAD_RING_PREFETCH 4 /* descriptors the device holds behind the executing one, at most */

/**
 * struct igrad_desc - one job, 64 bytes
 * @pt_root: bus address of the top page table, 4 KiB aligned
 * @cmds: VA of the first command, 64-byte aligned
 * @num_cmds: commands, 1 … IGRAD_MAX_COMMANDS
 * @flags: IGRAD_DESC_*
 * @seqno: copied into the completion
 * @report: VA of a struct igrad_report, 64-byte aligned, or 0 for none
 * @reserved: zero
 */
struct igrad_desc {
	igrad_le64 pt_root;
	igrad_le64 cmds;
	igrad_le32 num_cmds;
	igrad_le32 flags;
	igrad_le64 seqno;
	igrad_le64 report;
	igrad_le64 reserved[3];
};

/* Complete with IGRAD_STATUS_SKIPPED, executing nothing and looking at no other field but seqno. */
#define IGRAD_DESC_SKIP (1u << 0)
/* When all goes well, do not raise IGRAD_IRQ_COMPLETION: an entry behind this one will. */
#define IGRAD_DESC_QUIET (1u << 1)

#define IGRAD_MAX_COMMANDS (1u << 20)

/**
 * struct igrad_completion - the kernel-owned outcome of a job, 32 bytes
 * @seqno: of the descriptor
 * @addr: faulting VA for IGRAD_STATUS_FAULT, else 0
 * @status: enum igrad_status
 * @reason: enum igrad_reason
 * @command: index of the command at fault, or the number executed when all went well
 * @stamp: ring index + 1, written last: the completion is valid when it equals what is awaited
 */
struct igrad_completion {
	igrad_le64 seqno;
	igrad_le64 addr;
	igrad_le16 status;
	igrad_le16 reason;
	igrad_le32 command;
	igrad_le32 reserved;
	igrad_le32 stamp;
};

/* How a job ended. */
enum igrad_status {
	IGRAD_STATUS_OK = 0,
	IGRAD_STATUS_MALFORMED = 1, /* a command or the descriptor breaks a rule of the manual */
	IGRAD_STATUS_FAULT = 2,     /* an address could not be reached */
	IGRAD_STATUS_DEVICE = 3,    /* the device itself failed */
	IGRAD_STATUS_SKIPPED = 4,   /* IGRAD_DESC_SKIP */
	IGRAD_STATUS_NOT_WRITTEN = 0xffff, /* by convention what software puts in a fresh report */
};

/* Why. The engine concerned is that of the command. */
enum igrad_reason {
	IGRAD_REASON_NONE = 0,
	/* IGRAD_STATUS_MALFORMED */
	IGRAD_REASON_DESC,        /* descriptor: alignment, count, flags or reserved field */
	IGRAD_REASON_OPCODE,      /* unknown opcode */
	IGRAD_REASON_FLAGS,       /* unknown flag, or one this opcode or device does not have */
	IGRAD_REASON_RESERVED,    /* a reserved or unused field is not zero */
	IGRAD_REASON_SEMAPHORE,   /* number out of range, or signalled by two engines */
	IGRAD_REASON_WAIT,        /* the awaited value is not signalled by an earlier command */
	IGRAD_REASON_SHAPE,       /* a dimension is zero or too large */
	IGRAD_REASON_ALIGN,       /* address or pitch alignment, or a pitch shorter than a row */
	IGRAD_REASON_SRAM_RANGE,  /* beyond the end of SRAM */
	IGRAD_REASON_OVERLAP,     /* a result overlaps an operand in a way not allowed */
	IGRAD_REASON_DATA,        /* operand value out of range (a label) */
	IGRAD_REASON_HAZARD,      /* no semaphores order this access after that of command @conflict */
	/* IGRAD_STATUS_FAULT */
	IGRAD_REASON_VA_RANGE = 0x20, /* outside the 39-bit space, or page 0 */
	IGRAD_REASON_NOT_PRESENT,     /* no valid entry */
	IGRAD_REASON_READ_ONLY,       /* write without IGRAD_PTE_WRITE */
	IGRAD_REASON_BAD_PTE,         /* a reserved bit is set, or a misplaced block */
	IGRAD_REASON_TABLE_BUS,       /* the bus refused a page-table read */
	IGRAD_REASON_BUS,             /* the bus refused the access (IOMMU, no memory there) */
	/* IGRAD_STATUS_DEVICE */
	IGRAD_REASON_INTERNAL = 0x40, /* out of resources inside the device */
	IGRAD_REASON_ECC,
};

/* --------------------------------------------------------------------------------------------- */
/* MMU: 39-bit VA, three levels of 512 64-bit entries, 4 KiB pages, 2 MiB blocks at level 1.       */
/* Level 2 (the root) indexes VA bits 38..30, level 1 bits 29..21, level 0 bits 20..12.            */
/* VAs below IGRAD_VA_MIN always fault.                                                            */
/* --------------------------------------------------------------------------------------------- */

#define IGRAD_VA_BITS     39
#define IGRAD_VA_MIN      0x1000ull
#define IGRAD_VA_END      (1ull << IGRAD_VA_BITS)
#define IGRAD_PAGE_SHIFT  12
#define IGRAD_PAGE_SIZE   (1ull << IGRAD_PAGE_SHIFT)
#define IGRAD_BLOCK_SHIFT 21
#define IGRAD_BLOCK_SIZE  (1ull << IGRAD_BLOCK_SHIFT)
#define IGRAD_PT_LEVELS   3
#define IGRAD_PT_ENTRIES  512
#define IGRAD_PT_SHIFT(level) (IGRAD_PAGE_SHIFT + 9 * (level))

#define IGRAD_PTE_VALID (1ull << 0)
#define IGRAD_PTE_BLOCK (1ull << 1) /* level 1 only: maps 2 MiB, address 2 MiB aligned */
#define IGRAD_PTE_WRITE (1ull << 2) /* leaves only */
#define IGRAD_PTE_ADDR  0x000ffffffffff000ull
/* Every other bit of a valid entry must be zero. An entry without VALID is ignored. */

/* --------------------------------------------------------------------------------------------- */
/* Commands                                                                                        */
/* --------------------------------------------------------------------------------------------- */

enum igrad_engine {
	IGRAD_ENGINE_LOAD = 0,  /* DMA, DRAM to SRAM */
	IGRAD_ENGINE_STORE = 1, /* DMA, SRAM to DRAM */
	IGRAD_ENGINE_ARRAY = 2,
	IGRAD_ENGINE_VECTOR = 3,
	IGRAD_NUM_ENGINES = 4,
};

enum igrad_opcode {
	IGRAD_OP_NOP = 0x00, /* on the engine it names: waits, signals, retires */

	IGRAD_OP_DMA_LOAD = 0x10,
	IGRAD_OP_DMA_STORE = 0x11,

	IGRAD_OP_LOAD_W = 0x20,      /* w(r,c) = p[r][c] */
	IGRAD_OP_LOAD_ACC = 0x21,    /* acc(r,c) = p[r][c] */
	IGRAD_OP_FPROP = 0x22,       /* p[b][c] = sum over r of x[b][r]·w(r,c) */
	IGRAD_OP_DGRAD = 0x23,       /* p[b][r] = sum over c of g[b][c]·w(r,c) */
	IGRAD_OP_WGRAD = 0x24,       /* acc(r,c) = sum over b of x[b][r]·g[b][c] */
	IGRAD_OP_INTERLEAVED = 0x25, /* DGRAD and WGRAD on alternate phases */
	IGRAD_OP_UPDATE = 0x26,      /* w = fma(-lr, acc, t), t = round(keep·w) or w */
	IGRAD_OP_DRAIN_ACC = 0x27,   /* p[r][c] = acc(r,c) */
	IGRAD_OP_DRAIN_W = 0x28,     /* p[r][c] = w(r,c) */
	IGRAD_OP_SCALE_ACC = 0x29,   /* acc = round(keep·acc): momentum that continues in the array */
	IGRAD_OP_WINDOW = 0x2a,      /* how later streams walk over images, and groups */

	IGRAD_OP_VEC_FILL = 0x40,         /* d = imm */
	IGRAD_OP_VEC_COPY = 0x41,         /* d = a, bits unchanged */
	IGRAD_OP_VEC_BIAS = 0x42,         /* d[i][j] = a[i][j] + b[j] */
	IGRAD_OP_VEC_RELU = 0x43,         /* d = a > 0 ? a : +0; NaN stays NaN */
	IGRAD_OP_VEC_RELU_GRAD = 0x44,    /* d = a > 0 ? b : +0 */
	IGRAD_OP_VEC_COLSUM = 0x45,       /* d[j] = sum over increasing i of a[i][j] */
	IGRAD_OP_VEC_AXPY = 0x46,         /* d = fma(imm, a, b) */
	IGRAD_OP_VEC_SGD = 0x47,          /* d = fma(-imm, b, t), t = round(imm2·a) or a: a = w, b = dW */
	IGRAD_OP_VEC_SOFTMAX_XENT = 0x48, /* see struct igrad_cmd_vec */
	IGRAD_OP_VEC_SCALE = 0x49,        /* d = round(imm·a) */
	IGRAD_OP_VEC_ADAM = 0x4a,         /* d = w and two moments, updated: see struct igrad_cmd_vec */
	IGRAD_OP_VEC_ADD = 0x4b,          /* d = a + b */
	IGRAD_OP_VEC_MUL = 0x4c,          /* d = round(a·b) */
	IGRAD_OP_VEC_RSQRT = 0x4d,        /* d = round(1 / round(√round(a + imm))) */
	IGRAD_OP_VEC_COLSQ = 0x4e,        /* d[j] = sum over increasing i of (a[i][j] − b[j])² */
	IGRAD_OP_VEC_NORM = 0x4f,         /* see struct igrad_cmd_vec */
	IGRAD_OP_VEC_NORM_SUMS = 0x50,    /* likewise */
	IGRAD_OP_VEC_NORM_GRAD = 0x51,    /* likewise */
	IGRAD_OP_VEC_DROPOUT = 0x52,      /* d = a·scale, or +0 where a random number is small */
	IGRAD_OP_VEC_POOL_MAX = 0x53,     /* see struct igrad_cmd_pool */
	IGRAD_OP_VEC_POOL_MAX_GRAD = 0x54,
	IGRAD_OP_VEC_POOL_SUM = 0x55,
	IGRAD_OP_VEC_POOL_SUM_GRAD = 0x56,
	IGRAD_OP_VEC_POOL_DIVIDE = 0x57,
};

/* Flags; any other bit, or one not listed for the opcode, is malformed. */
#define IGRAD_FLAG_ADD       (1u << 0) /* FPROP, DGRAD, INTERLEAVED: p is read and added to */
#define IGRAD_FLAG_KEEP      (1u << 1) /* WGRAD, INTERLEAVED: acc continues; sums of columns: d does */
#define IGRAD_FLAG_TRANSPOSE (1u << 2) /* LOAD_W: p[c][r]; FPROP: x[r][b] */
#define IGRAD_FLAG_DECAY     (1u << 3) /* UPDATE, VEC_SGD, VEC_ADAM: t = round(keep·w) */
#define IGRAD_FLAG_BF16      (1u << 4) /* what lies in SRAM is bf16: see below */
#define IGRAD_FLAG_MEM_BF16  (1u << 5) /* DMA: what lies in memory is bf16 */
#define IGRAD_FLAG_TURN      (1u << 6) /* FPROP: psums lie transposed, p[c][b] */
#define IGRAD_FLAG_WINDOW    (1u << 7) /* streams, not with TURN alone: x, or dx, is of images */
#define IGRAD_FLAG_GROUPS    (1u << 8) /* the array, not with TRANSPOSE, TURN: some PEs only */
#define IGRAD_FLAG_SCATTER   (1u << 9) /* FPROP with WINDOW alone: p, not x, is of images */
#define IGRAD_FLAG_TAPS      (1u << 10) /* FPROP, WGRAD with WINDOW: several positions of the kernel */
#define IGRAD_FLAG_INDEX     (1u << 11) /* VEC_POOL_MAX: where the maximum was is written */

/*
 * bf16 is the upper half of an fp32 word: 2 bytes, 2-byte alignment of addresses and pitches. With
 * IGRAD_FLAG_BF16 these regions of SRAM hold it, everything else stays fp32:
 * DMA_LOAD, DMA_STORE: the one region; values are converted when it differs from what is in memory
 * (to bf16: round to nearest even, NaN 0x7fc0; from bf16: exact), and 16-bit words are copied when both are bf16.
 * LOAD_W: p, widened. FPROP, DGRAD, WGRAD, INTERLEAVED: x and g, widened; w is rounded to bf16 as it
 * enters the multiplier, and keeps its bits; sums are fp32.
 * VEC_RELU_GRAD: a, b and d. VEC_COLSUM: a.
 */

#define IGRAD_NUM_SEMAPHORES 32 /* 1 … 31; 0 says none */
#define IGRAD_NUM_WAITS      3

/**
 * struct igrad_cmd_dma - DMA_LOAD and DMA_STORE: a two-dimensional copy of 32-bit words, or of bf16
 * @va: of the first word in DRAM, 4-byte aligned
 * @pitch: bytes from one row to the next in DRAM; multiple of 4, at least a row's bytes
 * @sram: address of the first word in SRAM, 4-byte aligned
 * @sram_pitch: bytes from one row to the next in SRAM, likewise (a row there is cols + fill_cols)
 * @rows: rows copied, at least 1
 * @cols: words a row, at least 1
 * @fill_rows: DMA_LOAD: rows of +0 written below; DMA_STORE: zero
 * @fill_cols: DMA_LOAD: words of +0 written behind each row; DMA_STORE: zero
 * @reserved: zero
 *
 * Pitches are not looked at when there is one row only, but must still be aligned.
 */
struct igrad_cmd_dma {
	igrad_le64 va;
	igrad_le32 pitch;
	igrad_le32 sram;
	igrad_le32 sram_pitch;
	igrad_le32 rows;
	igrad_le32 cols;
	igrad_le32 fill_rows;
	igrad_le32 fill_cols;
	igrad_le32 reserved;
};

/**
 * struct igrad_cmd_array - everything the array does
 * @rows: in-features of the tile, 1 … R
 * @cols: out-features of the tile, 1 … C
 * @batch: rows streamed, 1 … IGRAD_MAX_BATCH; zero for loads, drains and UPDATE
 * @x: SRAM address of x; FPROP, WGRAD, INTERLEAVED, else zero
 * @x_pitch: bytes from one row of x to the next
 * @g: SRAM address of g = dY; DGRAD, WGRAD, INTERLEAVED, else zero
 * @g_pitch: bytes from one row of g to the next
 * @p: SRAM address of the psums (y or dx), or of the tile for loads and drains; else zero
 * @p_pitch: bytes from one row of p to the next
 * @lr: UPDATE: η as fp32 bits, else zero
 * @tap: with IGRAD_FLAG_WINDOW: IGRAD_TAP(), where in the window the tile's weights are, else zero
 * @keep: UPDATE with IGRAD_FLAG_DECAY: 1 − ηλ, SCALE_ACC: the factor, as fp32 bits; else zero
 * @first: with IGRAD_FLAG_WINDOW: output number of the first row streamed, else zero
 *
 * Sums start at +0, or at p with IGRAD_FLAG_ADD (acc with IGRAD_FLAG_KEEP), and add one fused
 * multiply-add at a time in increasing r (FPROP), c (DGRAD) or b (WGRAD).
 *
 * With IGRAD_FLAG_WINDOW, x (FPROP, WGRAD, INTERLEAVED) and p (DGRAD, INTERLEAVED) are images, one
 * behind the other, each height × width pixels (IGRAD_OP_WINDOW), a pixel being a row of x or p:
 * batch row b is output number o = @first + b, in row-major order over (image n, oy, ox), and its
 * pixel is (y, x) = (oy·stride_y, ox·stride_x) + @tap, at address + ((n·height + y)·width + x)·pitch.
 * A row whose pixel is outside its image is not valid: it takes its time, but no part in sums; only
 * its psum of an FPROP is written like any other.
 *
 * FPROP with WINDOW and TRANSPOSE: lanes of x walk, not batch rows: x[r][b] is word b of the pixel of
 * output number @first + r; a lane that is not valid adds nothing to any psum. With SCATTER p is of
 * images and x is not: a row that is not valid is neither read nor written. With TAPS lane r is at
 * position k = r / channels (of WINDOW), rounded down, from @tap on: its pixel lies k / kernel_x rows
 * of step_y below and k mod kernel_x columns of step_x right of that, and its word there is r mod
 * channels; each lane is valid or not by itself, and g is read for every row. With TRANSPOSE too it is
 * batch row b that is at position b / channels, and reads word b mod channels.
 */
struct igrad_cmd_array {
	igrad_le16 rows;
	igrad_le16 cols;
	igrad_le32 batch;
	igrad_le32 x;
	igrad_le32 x_pitch;
	igrad_le32 g;
	igrad_le32 g_pitch;
	igrad_le32 p;
	igrad_le32 p_pitch;
	union {
		igrad_le32 lr;
		igrad_le32 tap;
	};
	union {
		igrad_le32 keep;
		igrad_le32 first;
	};
};

#define IGRAD_MAX_BATCH   (1u << 16)
#define IGRAD_MAX_OUTPUTS (1u << 24) /* @first + @batch at most */

/* kernel position · dilation − padding, from where the image in SRAM begins; −32768 … 32767 each */
#define IGRAD_TAP(y, x) ((uint32_t)(uint16_t)(y) | (uint32_t)(uint16_t)(x) << 16)
#define IGRAD_TAP_Y(tap) ((int16_t)((tap) & 0xffff))
#define IGRAD_TAP_X(tap) ((int16_t)((tap) >> 16))

/**
 * struct igrad_cmd_window - WINDOW: registers of the array that streams with IGRAD_FLAG_WINDOW use
 * @height: rows of pixels of an image in SRAM
 * @width: pixels a row
 * @out_height: rows of outputs that are made of an image
 * @out_width: outputs a row
 * @stride_y: rows of pixels from one row of outputs to the next
 * @stride_x: pixels from one output to the next
 * @group_rows: in-features of a group, for commands with IGRAD_FLAG_GROUPS; 0: there are no groups
 * @group_cols: out-features of a group, likewise; zero if and only if @group_rows is
 * @channels: lanes (with TRANSPOSE, batch rows) at each position, for streams with IGRAD_FLAG_TAPS; 0: there are none
 * @kernel_x: positions in a row of the kernel, likewise; zero if and only if @channels is, as the next
 * @step_y: rows of pixels from one position to the one below
 * @step_x: pixels from one position to the next
 * @reserved: zero
 *
 * All but groups and positions are at least 1. They hold until the next WINDOW of the job; before the first there
 * is none.
 *
 * With IGRAD_FLAG_GROUPS, PE(r,c) takes part only if r / group_rows = c / group_cols, rounded down;
 * others pass on what comes by, and keep what they hold. Loads and drains move its word from and to
 * p[r mod group_rows][c].
 */
struct igrad_cmd_window {
	igrad_le16 height;
	igrad_le16 width;
	igrad_le16 out_height;
	igrad_le16 out_width;
	igrad_le16 stride_y;
	igrad_le16 stride_x;
	igrad_le16 group_rows;
	igrad_le16 group_cols;
	igrad_le16 channels;
	igrad_le16 kernel_x;
	igrad_le16 step_y;
	igrad_le16 step_x;
	igrad_le32 reserved[4];
};

/**
 * struct igrad_cmd_vec - the vector unit, on rows × cols matrices of fp32 in SRAM
 * @rows: 1 … IGRAD_MAX_VEC_DIM
 * @cols: 1 … IGRAD_MAX_VEC_DIM
 * @a: first operand (every opcode but VEC_FILL)
 * @a_pitch: bytes from one row to the next
 * @b: second operand: VEC_BIAS (one row), VEC_RELU_GRAD, VEC_AXPY, VEC_SGD, VEC_ADD, VEC_MUL,
 *     VEC_COLSQ (one row), VEC_NORM_SUMS, VEC_NORM_GRAD; VEC_SOFTMAX_XENT: labels, one 32-bit
 *     integer a row, b_pitch apart; VEC_ADAM: m, changed; VEC_DROPOUT: SRAM address of
 *     IGRAD_DROPOUT_WORDS consecutive words; else zero
 * @b_pitch: bytes from one row to the next; zero for VEC_BIAS, VEC_COLSQ, VEC_DROPOUT
 * @d: result; VEC_COLSUM, VEC_COLSQ: one row, VEC_NORM_SUMS: two
 * @d_pitch: bytes from one row to the next; zero for VEC_COLSUM, VEC_COLSQ
 * @imm: fp32 bits: VEC_FILL value, VEC_AXPY α, VEC_SGD η, VEC_SCALE factor, VEC_SOFTMAX_XENT scale,
 *     VEC_RSQRT ε; VEC_ADAM: SRAM address of IGRAD_ADAM_WORDS consecutive constants; VEC_NORM,
 *     VEC_NORM_SUMS, VEC_NORM_GRAD: SRAM address of rows of constants, enum igrad_norm_row;
 *     VEC_DROPOUT: number of the first row of a; else zero
 * @imm2: VEC_SGD with IGRAD_FLAG_DECAY: 1 − ηλ as fp32 bits; VEC_SOFTMAX_XENT: SRAM address of the
 *     losses, rows consecutive words; VEC_ADAM: SRAM address of v, changed, rows b_pitch apart;
 *     VEC_NORM, VEC_NORM_SUMS, VEC_NORM_GRAD: bytes from one row of constants to the next;
 *     VEC_DROPOUT: number of the first column of a; else zero
 *
 * VEC_SOFTMAX_XENT, per row: m = max(a), e[j] = exp(a[j] − m), s = sum over increasing j of e,
 * loss = log(s) − (a[label] − m), d[j] = round((round(e[j] / s) − [j = label]) · scale), where exp and
 * log are the algorithms of the manual. The batch's 1/B goes into scale and nowhere else.
 *
 * VEC_ADAM: a = dW, b = m, d = w, all three distinct. Each operation rounds once:
 *     m = fma(1 − β1, a, round(β1·m)), v = fma(round((1 − β2)·a), a, round(β2·v)),
 *     d = fma(−η, round(m / round(round(√v) + ε)), t), t = d, with IGRAD_FLAG_DECAY round(keep·d).
 * The constants lie in SRAM, so that a command that is executed again can take new ones: η and ε
 * contain what corrects the moments' bias in this step.
 *
 * VEC_COLSQ: d[j] = fma(t, t, d[j]) for increasing i, t = round(a[i][j] − b[j]); from +0, or with
 * IGRAD_FLAG_KEEP from what d holds. The others of batch normalisation, with the constants of column j
 * and h = round(round(a − mean)·inverse):
 *     VEC_NORM: d = fma(h, scale, shift)
 *     VEC_NORM_SUMS: b = dy; for increasing i d[0][j] = round(d[0][j] + b), d[1][j] = fma(b, h, d[1][j]);
 *         likewise from +0 or with IGRAD_FLAG_KEEP
 *     VEC_NORM_GRAD: b = dy; d = round(factor·fma(−h, dot, round(b − sum)))
 *
 * VEC_DROPOUT: element (i, j), counted from @imm and @imm2, stays if its random number is at least
 * the threshold: d = round(scale·a); else d = +0. The number is that of the manual, section 11.
 *
 * d may equal a or b exactly (same address and pitch) in other elementwise opcodes; otherwise the byte
 * spans of results and operands must not overlap.
 */
struct igrad_cmd_vec {
	igrad_le32 rows;
	igrad_le32 cols;
	igrad_le32 a;
	igrad_le32 a_pitch;
	igrad_le32 b;
	igrad_le32 b_pitch;
	igrad_le32 d;
	igrad_le32 d_pitch;
	igrad_le32 imm;
	igrad_le32 imm2;
};

#define IGRAD_MAX_VEC_DIM (1u << 24)

/* The constants of VEC_ADAM, fp32, in this order. */
enum igrad_adam_word {
	IGRAD_ADAM_BETA1 = 0,
	IGRAD_ADAM_REST1 = 1, /* 1 − β1 */
	IGRAD_ADAM_BETA2 = 2,
	IGRAD_ADAM_REST2 = 3, /* 1 − β2 */
	IGRAD_ADAM_LR = 4,
	IGRAD_ADAM_EPSILON = 5,
	IGRAD_ADAM_KEEP = 6, /* looked at with IGRAD_FLAG_DECAY only */
	IGRAD_ADAM_WORDS = 7,
};

/* Rows of constants, cols words each: the first two, and then those of the opcode. */
enum igrad_norm_row {
	IGRAD_NORM_MEAN = 0,
	IGRAD_NORM_INVERSE = 1, /* 1/σ; VEC_NORM_SUMS has these two only */
	IGRAD_NORM_SCALE = 2,   /* VEC_NORM */
	IGRAD_NORM_SHIFT = 3,
	IGRAD_NORM_SUM = 2,     /* VEC_NORM_GRAD: sum of dy / N */
	IGRAD_NORM_DOT = 3,     /* sum of dy·h / N */
	IGRAD_NORM_FACTOR = 4,  /* γ/σ */
	IGRAD_NORM_ROWS_SUMS = 2,
	IGRAD_NORM_ROWS = 4,
	IGRAD_NORM_ROWS_GRAD = 5,
};

/* What VEC_DROPOUT works with, 32-bit integers and one fp32 word, in this order. */
enum igrad_dropout_word {
	IGRAD_DROPOUT_KEY0 = 0,
	IGRAD_DROPOUT_KEY1 = 1,
	IGRAD_DROPOUT_STREAM = 2,
	IGRAD_DROPOUT_THRESHOLD = 3,
	IGRAD_DROPOUT_SCALE = 4, /* fp32 */
	IGRAD_DROPOUT_WORDS = 5,
};

/**
 * struct igrad_cmd_pool - VEC_POOL_…: windows over images in SRAM
 * @height: rows of pixels of an image
 * @width: pixels a row
 * @out_height: rows of outputs of an image
 * @out_width: outputs a row
 * @kernel_y: rows of pixels of a window
 * @kernel_x: pixels a row of it
 * @stride_y: rows of pixels from one row of windows to the next
 * @stride_x: pixels from one window to the next
 * @tap: IGRAD_TAP(), the pixel that the first window begins with
 * @images: 1 … IGRAD_MAX_VEC_DIM
 * @cols: channels, words of a pixel, 1 … IGRAD_MAX_VEC_DIM
 * @a: operand: images, or for VEC_POOL_MAX_GRAD, VEC_POOL_SUM_GRAD, VEC_POOL_DIVIDE outputs
 * @b: one 32-bit integer an output and channel: VEC_POOL_MAX with IGRAD_FLAG_INDEX, written;
 *     VEC_POOL_MAX_GRAD, read; else zero
 * @d: result: outputs, or for VEC_POOL_MAX_GRAD, VEC_POOL_SUM_GRAD images, which are added to
 *
 * All sides and strides are at least 1. Pixels lie one behind the other, in row-major order over
 * (image, y, x); so do outputs, over (image, oy, ox). The window of output (oy, ox) has the pixels
 * (oy·stride_y + tap_y + ky, ox·stride_x + tap_x + kx) that are in the image, numbered
 * ky·kernel_x + kx. Except for gradients every window must have one. For each channel:
 *     VEC_POOL_MAX: d = the first of the largest, or the first NaN; b = its number
 *     VEC_POOL_MAX_GRAD: for increasing (oy, ox), a is added to the pixel that b is the number of, if
 *         it is one of the window and in the image
 *     VEC_POOL_SUM: d = sum over increasing numbers, from +0
 *     VEC_POOL_SUM_GRAD: for increasing (oy, ox), a is added to all pixels of the window
 *     VEC_POOL_DIVIDE: d = round(a / number of the window's pixels); d may be a
 */
struct igrad_cmd_pool {
	igrad_le16 height;
	igrad_le16 width;
	igrad_le16 out_height;
	igrad_le16 out_width;
	igrad_le16 kernel_y;
	igrad_le16 kernel_x;
	igrad_le16 stride_y;
	igrad_le16 stride_x;
	igrad_le32 tap;
	igrad_le32 images;
	igrad_le32 cols;
	igrad_le32 a;
	igrad_le32 b;
	igrad_le32 d;
};

/* Outputs · channels · pixels of a window, at most. */
#define IGRAD_MAX_POOL_WORK (1u << 26)

/**
 * struct igrad_cmd - one command, 64 bytes
 * @opcode: enum igrad_opcode; it fixes the engine, but for NOP
 * @signal: semaphore incremented by one when the command has completed, or 0
 * @flags: IGRAD_FLAG_*
 * @wait_sem: semaphores to wait for before the command starts, or 0
 * @engine: NOP: enum igrad_engine; else zero
 * @wait_value: the semaphore must have reached this value, at least 1; 0 where wait_sem is 0
 * @tag: any number; named in traces, changes nothing
 *
 * Each engine runs its commands in program order; engines run concurrently, ordered only by
 * semaphores. A semaphore starts at 0, only grows, and is signalled by one engine in a job. Program
 * order must be a legal order: a wait that no earlier command satisfies is malformed.
 */
struct igrad_cmd {
	uint8_t opcode;
	uint8_t signal;
	igrad_le16 flags;
	uint8_t wait_sem[IGRAD_NUM_WAITS];
	uint8_t engine;
	igrad_le32 wait_value[IGRAD_NUM_WAITS];
	igrad_le32 tag;
	union {
		struct igrad_cmd_dma dma;
		struct igrad_cmd_array array;
		struct igrad_cmd_window window;
		struct igrad_cmd_vec vec;
		struct igrad_cmd_pool pool;
		igrad_le32 words[10]; /* NOP: all zero */
	} u;
};

/* --------------------------------------------------------------------------------------------- */
/* Job report                                                                                      */
/* --------------------------------------------------------------------------------------------- */

/* What SRAM accesses are counted by: words moved between SRAM and the array or the vector unit. */
enum igrad_operand {
	IGRAD_ACCESS_STATIONARY_READ = 0, /* LOAD_W */
	IGRAD_ACCESS_ACC_READ = 1,        /* LOAD_ACC */
	IGRAD_ACCESS_X_READ = 2,
	IGRAD_ACCESS_G_READ = 3,
	IGRAD_ACCESS_PSUM_READ = 4, /* IGRAD_FLAG_ADD */
	IGRAD_ACCESS_PSUM_WRITE = 5,
	IGRAD_ACCESS_ACC_WRITE = 6, /* DRAIN_ACC */
	IGRAD_ACCESS_W_WRITE = 7,   /* DRAIN_W */
	IGRAD_ACCESS_UPDATE_READ = 8, /* VEC_SGD, VEC_ADAM, VEC_AXPY, VEC_SCALE */
	IGRAD_ACCESS_UPDATE_WRITE = 9,
	IGRAD_ACCESS_VECTOR_READ = 10, /* all other vector commands; not part of schedule comparisons */
	IGRAD_ACCESS_VECTOR_WRITE = 11,
	IGRAD_NUM_ACCESSES = 12,
};

/**
 * struct igrad_report - what a job did, 512 bytes, written by the device before the completion
 * @version: IGRAD_REPORT_VERSION
 * @status: enum igrad_status
 * @reason: enum igrad_reason
 * @engine: of the command at fault
 * @command: index of the command at fault, or the number executed
 * @addr: faulting VA, or 0
 * @seqno: of the descriptor
 * @cycles: from the first command's start to the last one's end
 * @retired: commands retired, by engine
 * @busy: cycles an engine worked
 * @stalled: cycles an engine's next command waited for semaphores
 * @macs: multiply-adds of the array
 * @vector_ops: elements processed by the vector unit; VEC_ADAM counts nine for one, and updates with
 *     DECAY one more; VEC_RSQRT and VEC_NORM three, VEC_COLSQ two, VEC_NORM_SUMS four, VEC_NORM_GRAD
 *     five; pixels of windows that are in the image for VEC_POOL_MAX, _SUM and _SUM_GRAD
 * @sram: words accessed, by enum igrad_operand; [0] 32-bit words, [1] 16-bit words
 * @peak_words: most words that one command moves between SRAM and the array in a cycle, streams at
 *     their widest; not what several need that overlap
 * @dram_read_bytes: by DMA_LOAD (commands, report and page tables are not counted)
 * @dram_write_bytes: by DMA_STORE
 * @conflict: IGRAD_REASON_HAZARD: index of the earlier command, else 0
 * @pad: zero
 * @update_ops: roundings in PEs outside streams: UPDATE one a PE, with DECAY two, SCALE_ACC one
 * @pe_registers: registers w and acc read or written in PEs, by multiply-adds, updates, loads and
 *     drains; [0] 32-bit words, [1] 16-bit words
 * @pe_hops: words handed from a PE to its neighbour: operands, psums, loads and drains; likewise
 * @macs_bf16: how many of @macs had bf16 operands
 * @reserved: zero
 */
struct igrad_report {
	igrad_le32 version;
	igrad_le16 status;
	igrad_le16 reason;
	igrad_le32 engine;
	igrad_le32 command;
	igrad_le64 addr;
	igrad_le64 seqno;
	igrad_le64 cycles;
	igrad_le64 retired[IGRAD_NUM_ENGINES];
	igrad_le64 busy[IGRAD_NUM_ENGINES];
	igrad_le64 stalled[IGRAD_NUM_ENGINES];
	igrad_le64 macs;
	igrad_le64 vector_ops;
	igrad_le64 sram[2][IGRAD_NUM_ACCESSES];
	igrad_le64 peak_words;
	igrad_le64 dram_read_bytes;
	igrad_le64 dram_write_bytes;
	igrad_le32 conflict;
	igrad_le32 pad;
	igrad_le64 update_ops;
	igrad_le64 pe_registers[2];
	igrad_le64 pe_hops[2];
	igrad_le64 macs_bf16;
	igrad_le64 reserved[11];
};

#define IGRAD_REPORT_VERSION 1

#if !defined(__KERNEL__) && !defined(__cplusplus)
_Static_assert(sizeof(struct igrad_desc) == 64, "descriptor");
_Static_assert(sizeof(struct igrad_completion) == 32, "completion");
_Static_assert(sizeof(struct igrad_cmd) == 64, "command");
_Static_assert(sizeof(struct igrad_report) == 512, "report");
#endif

#endif /* IGRAD_HW_H */

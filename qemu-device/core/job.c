/* SPDX-License-Identifier: MIT */
/* A job from its descriptor to its report: fetch, check, execute, account, one command at a time.
 */
#include <errno.h>
#include <stdlib.h>

#include "fpmode.h"
#include "internal.h"

/* --------------------------------------------------------------------------------------------- */
/* The device */
/* --------------------------------------------------------------------------------------------- */

static int init(struct igrad_core *core, const struct igrad_config *config)
{
	core->config = *config;
	core->ended = true;
	core->kernels = igrad_kernels_get(0);
	igrad_timing_init(&core->timing);
	core->pool = igrad_pool_new(config->threads);
	if (!core->pool || igrad_sram_init(&core->sram, config->sram_bytes) ||
	    !igrad_hazards_init(&core->hazards, config->sram_bytes) ||
	    igrad_array_init(&core->array, config))
		return -ENOMEM;
	core->backlog = igrad_backlog_new(core);
	return core->backlog ? 0 : -ENOMEM;
}

struct igrad_core *igrad_core_new(const struct igrad_config *config)
{
	struct igrad_core *core;
	char error[128];

	if (igrad_config_check(config, error, sizeof(error))) {
		errno = EINVAL;
		return NULL;
	}
	core = calloc(1, sizeof(*core));
	if (!core)
		return NULL;
	pthread_mutex_init(&core->lock, NULL);
	pthread_cond_init(&core->wake, NULL);
	if (init(core, config)) {
		igrad_core_free(core);
		errno = ENOMEM;
		return NULL;
	}
	return core;
}

void igrad_core_free(struct igrad_core *core)
{
	if (!core)
		return;
	if (core->backlog)
		igrad_backlog_close(core->backlog);
	igrad_backlog_free(core->backlog);
	igrad_pool_free(core->pool);
	igrad_array_destroy(&core->array);
	igrad_sram_destroy(&core->sram);
	igrad_timing_destroy(&core->timing);
	igrad_hazards_destroy(&core->hazards);
	pthread_cond_destroy(&core->wake);
	pthread_mutex_destroy(&core->lock);
	free(core);
}

const struct igrad_desc *igrad_core_desc(const struct igrad_core *core)
{
	return &core->desc;
}

const struct igrad_config *igrad_core_config(const struct igrad_core *core)
{
	return &core->config;
}

void igrad_core_set_trace(struct igrad_core *core, igrad_core_trace_fn fn, void *opaque)
{
	core->trace = fn;
	core->trace_opaque = opaque;
}

/* --------------------------------------------------------------------------------------------- */
/* Ending */
/* --------------------------------------------------------------------------------------------- */

static bool end(struct igrad_core *core, enum igrad_status status, enum igrad_reason reason,
		uint64_t addr)
{
	core->result.status = status;
	core->result.reason = reason;
	core->result.addr = addr;
	core->ended = true;
	return false;
}

static bool malformed(struct igrad_core *core, enum igrad_reason reason)
{
	if (reason == IGRAD_REASON_INTERNAL)
		return end(core, IGRAD_STATUS_DEVICE, reason, 0);
	return end(core, IGRAD_STATUS_MALFORMED, reason, 0);
}

/* An access that was interrupted did not fail: the step is to be done again. */
static bool faulted(struct igrad_core *core, const struct igrad_fault *fault)
{
	if (fault->reason == IGRAD_REASON_NONE)
		return true;
	if (fault->reason >= IGRAD_REASON_INTERNAL)
		return end(core, IGRAD_STATUS_DEVICE, fault->reason, fault->addr);
	return end(core, IGRAD_STATUS_FAULT, fault->reason, fault->addr);
}

/* --------------------------------------------------------------------------------------------- */
/* Cancelling */
/* --------------------------------------------------------------------------------------------- */

void igrad_core_cancel(struct igrad_core *core)
{
	pthread_mutex_lock(&core->lock);
	atomic_store(&core->cancelled, true);
	pthread_cond_broadcast(&core->wake);
	pthread_mutex_unlock(&core->lock);
}

void igrad_core_uncancel(struct igrad_core *core)
{
	atomic_store(&core->cancelled, false);
}

bool igrad_core_cancelled(const struct igrad_core *core)
{
	return atomic_load(&core->cancelled);
}

void igrad_core_interrupt(struct igrad_core *core, bool on)
{
	pthread_mutex_lock(&core->lock);
	atomic_store(&core->interrupted, on);
	pthread_cond_broadcast(&core->wake);
	pthread_mutex_unlock(&core->lock);
}

/* Until cancelled, or, returning -1, interrupted */
static int hang(struct igrad_core *core)
{
	pthread_mutex_lock(&core->lock);
	while (!atomic_load(&core->cancelled) && !atomic_load(&core->interrupted))
		pthread_cond_wait(&core->wake, &core->lock);
	pthread_mutex_unlock(&core->lock);
	return atomic_load(&core->cancelled) ? 0 : -1;
}

/* --------------------------------------------------------------------------------------------- */
/* Running */
/* --------------------------------------------------------------------------------------------- */

void igrad_core_clear(struct igrad_core *core)
{
	igrad_backlog_close(core->backlog);
	memset(&core->desc, 0, sizeof(core->desc));
	core->result = (struct igrad_result){.status = IGRAD_STATUS_OK};
	core->ended = true;
	core->next = 0;
	core->page_first = 0;
	core->page_count = 0;
	memset(&core->counters, 0, sizeof(core->counters));
	igrad_timing_reset(&core->timing);
	igrad_hazards_reset(&core->hazards);
	igrad_sram_scrub(&core->sram);
	igrad_array_scrub(&core->array, &core->config);
}

void igrad_core_begin(struct igrad_core *core, const struct igrad_desc *desc,
		      const struct igrad_space *space)
{
	igrad_core_clear(core);
	core->desc = *desc;
	core->space = *space;
	core->ended = false;
	if (desc->flags & IGRAD_DESC_SKIP)
		end(core, IGRAD_STATUS_SKIPPED, IGRAD_REASON_NONE, 0);
	else if (igrad_check_desc(desc))
		malformed(core, IGRAD_REASON_DESC);
}

/* Commands are copied a page at a time, when the first of a page is due; none is read twice. */
static const struct igrad_cmd *fetch(struct igrad_core *core, struct igrad_fault *fault)
{
	const uint64_t va = core->desc.cmds + (uint64_t)core->next * sizeof(struct igrad_cmd);
	const uint32_t in_page =
		(uint32_t)((IGRAD_PAGE_SIZE - va % IGRAD_PAGE_SIZE) / sizeof(struct igrad_cmd));
	const uint32_t left = core->desc.num_cmds - core->next;
	const uint32_t count = in_page < left ? in_page : left;

	if (core->next - core->page_first < core->page_count)
		return &core->page[core->next - core->page_first];
	if (igrad_space_read(&core->space, va, core->page, count * sizeof(struct igrad_cmd), fault))
		return NULL;
	core->page_first = core->next;
	core->page_count = count;
	return core->page;
}

static void execute_array(struct igrad_core *core, const struct igrad_cmd *cmd)
{
	core->array.dirty = true;
	if (igrad_backlog_put(core->backlog, cmd))
		return;
	igrad_backlog_close(core->backlog);
	igrad_array_execute(core, cmd);
}

static int execute(struct igrad_core *core, const struct igrad_cmd *cmd, enum igrad_engine engine,
		   const struct igrad_areas *areas, struct igrad_fault *fault)
{
	if (cmd->opcode == IGRAD_OP_NOP) {
		if (core->config.hang_tag && cmd->tag == core->config.hang_tag)
			return hang(core);
		return 0;
	}
	if (core->config.timing_only)
		return 0;
	switch (engine) {
	case IGRAD_ENGINE_LOAD:
		igrad_backlog_clear(core->backlog, areas);
		return igrad_dma_load(core, cmd, fault);
	case IGRAD_ENGINE_STORE:
		igrad_backlog_clear(core->backlog, areas);
		return igrad_dma_store(core, cmd, fault);
	case IGRAD_ENGINE_ARRAY:
		execute_array(core, cmd);
		return 0;
	default:
		igrad_backlog_close(core->backlog);
		igrad_vector_execute(core, cmd);
		return 0;
	}
}

static struct igrad_moments run_clocks(struct igrad_core *core, const struct igrad_cmd *cmd,
				       enum igrad_engine engine)
{
	const bool dma = cmd->opcode == IGRAD_OP_DMA_LOAD || cmd->opcode == IGRAD_OP_DMA_STORE;

	if (core->config.overlap && engine == IGRAD_ENGINE_ARRAY)
		return igrad_timing_run_overlapped(&core->timing, cmd, core->config.rows,
						   core->config.cols);
	return igrad_timing_run(&core->timing, cmd, engine,
				igrad_account_cycles(&core->config, cmd),
				dma ? core->config.dram_latency : 0);
}

static void trace(const struct igrad_core *core, const struct igrad_cmd *cmd,
		  enum igrad_engine engine, const struct igrad_moments *moments)
{
	const struct igrad_core_event event = {
		.cmd = cmd,
		.index = core->next,
		.engine = engine,
		.start = moments->start,
		.end = moments->end,
		.completed = moments->completed,
	};

	core->trace(core->trace_opaque, &event);
}

static void retire(struct igrad_core *core, const struct igrad_cmd *cmd, enum igrad_engine engine)
{
	const struct igrad_moments moments = run_clocks(core, cmd, engine);

	if (core->trace)
		trace(core, cmd, engine, &moments);
	igrad_account(&core->counters, &core->config, cmd);
	core->counters.retired[engine]++;
	core->next++;
	core->result.command = core->next;
	atomic_fetch_add(&core->retired, 1);
}

static void mark_results(struct igrad_core *core, const struct igrad_areas *areas)
{
	for (unsigned int i = 0; i < areas->count; i++) {
		const struct igrad_area *area = &areas->area[i];

		if (area->written)
			igrad_sram_mark(&core->sram, area->addr, igrad_area_end(area));
	}
}

static enum igrad_reason check(struct igrad_core *core, const struct igrad_cmd *cmd,
			       enum igrad_engine *engine, struct igrad_areas *areas)
{
	uint32_t conflict = 0;
	enum igrad_reason reason = igrad_check_command(&core->config, core->sram.bytes, cmd, engine,
						       areas);

	if (!reason)
		reason = igrad_timing_check(&core->timing, cmd, *engine);
	if (!reason)
		reason = igrad_hazards_check(&core->hazards, cmd, *engine, core->next, areas,
					     core->timing.known, &conflict);
	core->counters.conflict = conflict;
	return reason;
}

static bool step(struct igrad_core *core)
{
	struct igrad_fault fault = {IGRAD_REASON_NONE, 0};
	const struct igrad_cmd *cmd = fetch(core, &fault);
	enum igrad_engine engine = IGRAD_ENGINE_LOAD;
	struct igrad_areas areas;
	enum igrad_reason reason;

	core->result.engine = engine;
	if (!cmd)
		return faulted(core, &fault);
	if (cmd->opcode == IGRAD_OP_VEC_SOFTMAX_XENT)
		igrad_backlog_close(core->backlog); /* its labels will be looked at */
	reason = check(core, cmd, &engine, &areas);
	core->result.engine = engine;
	if (reason)
		return malformed(core, reason);
	if (!core->config.timing_only)
		mark_results(core, &areas);
	if (execute(core, cmd, engine, &areas, &fault))
		return faulted(core, &fault);
	if (igrad_core_cancelled(core))
		return false;
	retire(core, cmd, engine);
	core->ended = core->next == core->desc.num_cmds;
	if (core->ended)
		core->result.engine = 0; /* no command is at fault */
	return !core->ended;
}

/* The caller may round or treat subnormals in a way of its own; the device does not. */
bool igrad_core_step(struct igrad_core *core)
{
	igrad_fpmode callers;
	bool more;

	if (core->ended || igrad_core_cancelled(core))
		return false;
	callers = igrad_fpmode_enter();
	more = step(core);
	if (!more)
		igrad_backlog_close(core->backlog);
	igrad_fpmode_leave(callers);
	return more;
}

uint64_t igrad_core_retired(const struct igrad_core *core)
{
	return atomic_load(&core->retired);
}

/* --------------------------------------------------------------------------------------------- */
/* Reporting */
/* --------------------------------------------------------------------------------------------- */

void igrad_core_report(const struct igrad_core *core, struct igrad_report *report)
{
	*report = core->counters;
	report->version = IGRAD_REPORT_VERSION;
	report->status = (uint16_t)core->result.status;
	report->reason = (uint16_t)core->result.reason;
	report->engine = core->result.engine;
	report->command = core->result.command;
	report->addr = core->result.addr;
	report->seqno = core->desc.seqno;
	report->cycles = core->timing.cycles;
	for (unsigned int i = 0; i < IGRAD_NUM_ENGINES; i++) {
		report->busy[i] = core->timing.engine[i].busy;
		report->stalled[i] = core->timing.engine[i].stalled;
	}
}

/* A descriptor that was refused or skipped has no report: its address means nothing. */
static bool has_report(const struct igrad_core *core)
{
	return core->desc.report && core->result.status != IGRAD_STATUS_SKIPPED &&
	       core->result.reason != IGRAD_REASON_DESC;
}

bool igrad_core_finish(struct igrad_core *core, struct igrad_result *result)
{
	struct igrad_fault fault;
	struct igrad_report report;

	core->ended = true;
	igrad_backlog_close(core->backlog);
	if (has_report(core)) {
		igrad_core_report(core, &report);
		if (igrad_space_write(&core->space, core->desc.report, &report, sizeof(report),
				      &fault) &&
		    faulted(core, &fault))
			return false;
	}
	*result = core->result;
	return true;
}

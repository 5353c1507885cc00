// SPDX-License-Identifier: MIT
/*
 * Checkpoints: the network's file, with where its training is in "training.state", and with a note
 * on how it is trained.
 */
#include <errno.h>
#include <string.h>

#include "backend.h"
#include "nn.h"

#define STATE	 "training.state"
#define SETTINGS "settings"

/* 64-bit numbers, the lower half of each first. */
enum {
	SEED,
	EPOCH,
	STEP,
	RNG,
	STEPS = RNG + 4,
	SAMPLES,
	CORRECT,
	LOSS, /* a double's bits */
	CYCLES,
	MACS,
	SRAM_ACCESSES,
	DRAM_BYTES,
	NUM_NUMBERS
};

struct state {
	uint32_t halves[2 * NUM_NUMBERS];
};

static struct igrad_tensor tensor_of(const struct state *state)
{
	return (struct igrad_tensor){.name = STATE,
				     .dtype = IGRAD_DTYPE_U32,
				     .rank = 1,
				     .shape = {2 * (uint64_t)NUM_NUMBERS},
				     .data = state->halves};
}

static void put(struct state *state, int at, uint64_t number)
{
	state->halves[2 * at] = (uint32_t)number;
	state->halves[2 * at + 1] = (uint32_t)(number >> 32);
}

static uint64_t get(const struct state *state, int at)
{
	return state->halves[2 * at] | (uint64_t)state->halves[2 * at + 1] << 32;
}

static void put_stats(struct state *state, const struct igrad_train_stats *stats)
{
	uint64_t loss;

	memcpy(&loss, &stats->loss, sizeof(loss));
	put(state, STEPS, stats->steps);
	put(state, SAMPLES, stats->samples);
	put(state, CORRECT, stats->correct);
	put(state, LOSS, loss);
	put(state, CYCLES, stats->cycles);
	put(state, MACS, stats->macs);
	put(state, SRAM_ACCESSES, stats->sram_accesses);
	put(state, DRAM_BYTES, stats->dram_bytes);
}

static struct igrad_train_stats get_stats(const struct state *state)
{
	struct igrad_train_stats stats = {
		.steps = get(state, STEPS),
		.samples = get(state, SAMPLES),
		.correct = get(state, CORRECT),
		.cycles = get(state, CYCLES),
		.macs = get(state, MACS),
		.sram_accesses = get(state, SRAM_ACCESSES),
		.dram_bytes = get(state, DRAM_BYTES),
	};
	uint64_t loss = get(state, LOSS);

	memcpy(&stats.loss, &loss, sizeof(loss));
	return stats;
}

int igrad_trainer_save(struct igrad_trainer *trainer, const char *path, const char *settings,
		       struct igrad_error *error)
{
	const struct igrad_metadata note = {SETTINGS, settings};
	struct igrad_train_stats none = {0};
	struct igrad_tensor tensor;
	struct state state;
	int err = igrad_trainer_finish(trainer, error);

	if (err)
		return err;
	put(&state, SEED, trainer->position.seed);
	put(&state, EPOCH, trainer->position.epoch);
	put(&state, STEP, trainer->position.step);
	for (int i = 0; i < 4; i++)
		put(&state, RNG + i, trainer->rng.s[i]);
	/* Those of an epoch that is over are nobody's any more. */
	put_stats(&state, trainer->position.step ? &trainer->stats : &none);
	tensor = tensor_of(&state);
	return igrad_net_save_with(trainer->net, path, true, &tensor, 1, &note, 1, error);
}

static int check_file(const struct igrad_trainer *trainer, const struct igrad_safetensors *file,
		      const char *path, const char *settings, struct igrad_error *error)
{
	const char *theirs = igrad_safetensors_metadata(file, SETTINGS);

	if (!theirs || !igrad_safetensors_find(file, STATE))
		return igrad_fail(error, -EBADMSG, "%.160s: not a checkpoint of a training", path);
	if (strcmp(theirs, settings))
		return igrad_fail(error, -EINVAL,
				  "%.60s: a checkpoint of another training: '%.80s', not '%.80s'",
				  path, theirs, settings);
	if (igrad_safetensors_length(file) != igrad_net_tensors(trainer->net) + 1)
		return igrad_fail(error, -EINVAL,
				  "%.160s: a checkpoint of another network or optimiser", path);
	return 0;
}

static int take(struct igrad_trainer *trainer, const struct igrad_safetensors *file,
		const char *path, struct igrad_error *error)
{
	struct state state;
	struct igrad_tensor tensor = tensor_of(&state);
	int err = igrad_safetensors_get(file, &tensor, state.halves, error);

	if (err)
		return err;
	if (get(&state, EPOCH) >= UINT32_MAX || get(&state, STEP) > UINT32_MAX ||
	    !(get(&state, RNG) | get(&state, RNG + 1) | get(&state, RNG + 2) |
	      get(&state, RNG + 3)))
		return igrad_fail(error, -EBADMSG, "%.160s: " STATE " makes no sense", path);
	err = igrad_net_load_from(trainer->net, file, path, error);
	if (err)
		return err;
	trainer->position = (struct igrad_position){get(&state, SEED), (uint32_t)get(&state, EPOCH),
						    (uint32_t)get(&state, STEP)};
	for (int i = 0; i < 4; i++)
		trainer->rng.s[i] = get(&state, RNG + i);
	trainer->stats = get_stats(&state);
	trainer->resumed = true;
	return 0;
}

int igrad_trainer_resume(struct igrad_trainer *trainer, const char *path, const char *settings,
			 uint32_t *epoch, uint32_t *step, struct igrad_error *error)
{
	struct igrad_safetensors *file;
	int err = igrad_trainer_finish(trainer, error);

	if (err)
		return err;
	err = igrad_safetensors_load(path, &file, error);
	if (err)
		return err;
	err = check_file(trainer, file, path, settings, error);
	if (!err)
		err = take(trainer, file, path, error);
	igrad_safetensors_unref(file);
	*epoch = trainer->position.epoch;
	*step = trainer->position.step;
	return err;
}

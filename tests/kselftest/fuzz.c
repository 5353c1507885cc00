// SPDX-License-Identifier: GPL-2.0
/*
 * Chance calls the driver, in several threads that share all they have, in processes that end in
 * one of several ways. What reaches code that nothing before it did is kept and varied, if the
 * kernel can tell (CONFIG_KCOV). In between, a neighbour's job is right to the bit.
 *
 * IGRAD_FUZZ_SECONDS says for how long, IGRAD_FUZZ_SEED from where, as the test prints it.
 * IGRAD_FUZZ_CORPUS names a file of byte strings that were worth keeping: all of them are run
 * first, and new ones are in it, too, afterwards. The last one that was run, in a kernel that then
 * crashed perhaps, is in another file beside it.
 */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"

#include "fuzz_calls.h"
#include "igrad_test.h"
#include "root_test.h"

#define THREADS 3
#define GENOME 4096
#define CORPUS 128
/* Whatever tests before this one left. */
#define PATIENCE_MS 10000

/* The kernel's record of where a thread has been. */
#define KCOV "/sys/kernel/debug/kcov"
#define KCOV_INIT_TRACE _IOR('c', 1, unsigned long)
#define KCOV_ENABLE _IO('c', 100)
#define KCOV_TRACE_PC 0
#define KCOV_WORDS (16 << 10)
#define MAP_BITS (1u << 20)

/* What all processes write to. */
struct shared {
	struct fuzz_tally tally;
	unsigned int fresh;
	__u64 map[MAP_BITS / 64];
	__u8 genome[GENOME];
};

struct thread {
	pthread_t id;
	struct fuzz_state *state;
	struct fuzz_source source;
	struct shared *shared;
	unsigned long *trace;
};

FIXTURE(fuzz)
{
	unsigned int seconds;
	__u64 seed, random;
	bool hangs;
	char dir[PATH_MAX];
	struct shared *shared;
	__u8 (*corpus)[GENOME];
	unsigned int count, rounds, rebinds;
	const char *file;
	__u8 (*old)[GENOME];
	unsigned int old_count;
};

static unsigned int read_corpus(const char *name, __u8 (*genomes)[GENOME])
{
	FILE *file = name ? fopen(name, "re") : NULL;
	unsigned int count = file ? fread(genomes, GENOME, CORPUS, file) : 0;

	if (file)
		fclose(file);

	return count;
}

static int write_genomes(const char *name, const char *suffix, const void *genomes,
			 unsigned int count)
{
	char path[PATH_MAX];
	size_t written;
	FILE *file;

	snprintf(path, sizeof(path), "%s%s", name, suffix);
	file = fopen(path, "we");
	if (!file)
		return -errno;
	written = fwrite(genomes, GENOME, count, file);

	return fclose(file) || written != count ? -EIO : 0;
}

FIXTURE_SETUP(fuzz)
{
	const char *seconds = getenv("IGRAD_FUZZ_SECONDS"), *seed = getenv("IGRAD_FUZZ_SEED");

	self->hangs = getenv("IGRAD_TEST_LONG");
	self->seconds = seconds ? atoi(seconds) : self->hangs ? 3600 : 5;
	self->seed = seed ? strtoull(seed, NULL, 0) : (__u64)time(NULL) << 20 ^ getpid();
	self->random = self->seed | 1;
	self->shared = mmap(NULL, sizeof(*self->shared), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->shared);
	self->corpus = calloc(CORPUS, GENOME);
	ASSERT_NE(NULL, self->corpus);
	self->old = calloc(CORPUS, GENOME);
	ASSERT_NE(NULL, self->old);
	self->file = getenv("IGRAD_FUZZ_CORPUS");
	self->old_count = read_corpus(self->file, self->old);
	ASSERT_EQ(0, root_device_dir(self->dir, sizeof(self->dir)));
	ASSERT_EQ(0, root_set_patience(self->dir, PATIENCE_MS, 3 * PATIENCE_MS));
}

FIXTURE_TEARDOWN(fuzz)
{
	munmap(self->shared, sizeof(*self->shared));
	free(self->corpus);
	free(self->old);
}

static __u32 dice(FIXTURE_DATA(fuzz) *self, __u32 below)
{
	self->random ^= self->random << 13;
	self->random ^= self->random >> 7;
	self->random ^= self->random << 17;

	return (self->random >> 20) % below;
}

/* Where threads have been */

static unsigned long *trace_begin(void)
{
	int fd = open(KCOV, O_RDWR | O_CLOEXEC);
	unsigned long *trace;

	if (fd < 0)
		return NULL;
	if (ioctl(fd, KCOV_INIT_TRACE, KCOV_WORDS))
		return NULL;
	trace = mmap(NULL, KCOV_WORDS * sizeof(*trace), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	/* It ends with the thread. */
	if (trace == MAP_FAILED || ioctl(fd, KCOV_ENABLE, KCOV_TRACE_PC))
		return NULL;

	return trace;
}

/* Steps from one place to another are what counts. */
static void trace_collect(struct thread *thread)
{
	unsigned long i, count = __atomic_load_n(&thread->trace[0], __ATOMIC_RELAXED), last = 0;
	struct shared *shared = thread->shared;

	for (i = 1; i <= count && i < KCOV_WORDS; i++) {
		unsigned long place = thread->trace[i] * 0x9e3779b97f4a7c15ul >> 20;
		unsigned long bit = (place ^ last) % MAP_BITS;
		__u64 mask = 1ull << bit % 64;

		last = place << 1;
		if (shared->map[bit / 64] & mask)
			continue;
		if (!(__atomic_fetch_or(&shared->map[bit / 64], mask, __ATOMIC_RELAXED) & mask))
			__atomic_add_fetch(&shared->fresh, 1, __ATOMIC_RELAXED);
	}
}

static void *run_thread(void *data)
{
	struct thread *thread = data;

	thread->trace = trace_begin();
	while (thread->source.left) {
		if (thread->trace)
			__atomic_store_n(&thread->trace[0], 0, __ATOMIC_RELAXED);
		fuzz_call(thread->state, &thread->source, &thread->shared->tally);
		if (thread->trace)
			trace_collect(thread);
	}

	return NULL;
}

/* Each thread has its part of the genome, whose first byte says how the process ends. */
static void run_process(FIXTURE_DATA(fuzz) *self)
{
	const __u8 *genome = self->shared->genome;
	struct fuzz_state state = { .hangs = self->hangs };
	struct thread threads[THREADS];
	size_t part = (GENOME - 1) / THREADS;
	unsigned int i;
	glob_t found;

	if (!glob("/dev/accel/accel*", 0, NULL, &found))
		for (i = 0; i < 2; i++)
			snprintf(state.nodes[i], sizeof(state.nodes[i]), "%s",
				 found.gl_pathv[i % found.gl_pathc]);
	globfree(&found);
	fuzz_init(&state);
	for (i = 0; i < THREADS; i++) {
		threads[i] = (struct thread) {
			.state = &state,
			.source = { .bytes = genome + 1 + i * part, .left = part },
			.shared = self->shared,
		};
		if (pthread_create(&threads[i].id, NULL, run_thread, &threads[i]))
			_exit(98);
	}
	switch (genome[0] % 4) {
	case 0: /* in the middle of what the others do */
		pthread_join(threads[0].id, NULL);
		_exit(0);
	case 1: /* by its files */
		pthread_join(threads[0].id, NULL);
		fuzz_close_files(&state);
		break;
	default:
		break;
	}
	for (i = 0; i < THREADS; i++)
		if (genome[0] % 4 > 1 || i)
			pthread_join(threads[i].id, NULL);
	_exit(0);
}

/* Genomes */

static void vary(FIXTURE_DATA(fuzz) *self, __u8 *genome)
{
	unsigned int times = 1 + dice(self, 16), at, from, length;

	while (times--) {
		at = dice(self, GENOME);
		switch (dice(self, 3)) {
		case 0:
			genome[at] = dice(self, 256);
			break;
		case 1:
			genome[at] ^= 1 << dice(self, 8);
			break;
		default: /* a piece of another, or of itself */
			from = dice(self, GENOME);
			length = dice(self, 256);
			if (length > GENOME - at)
				length = GENOME - at;
			if (length > GENOME - from)
				length = GENOME - from;
			memmove(genome + at, self->corpus[dice(self, self->count)] + from, length);
			break;
		}
	}
}

static void next_genome(FIXTURE_DATA(fuzz) *self)
{
	__u8 *genome = self->shared->genome;
	unsigned int i;

	if (self->count && dice(self, 4)) {
		memcpy(genome, self->corpus[dice(self, self->count)], GENOME);
		vary(self, genome);
		return;
	}
	for (i = 0; i < GENOME; i++)
		genome[i] = dice(self, 256);
}

static void keep_genome(FIXTURE_DATA(fuzz) *self)
{
	unsigned int index = self->count < CORPUS ? self->count++ : dice(self, CORPUS);

	memcpy(self->corpus[index], self->shared->genome, GENOME);
}

/* How a process may fare: up to the last kill it is killed, at the first the device is rebound. */
enum { REBIND, LAST_KILL = 3, FATES = 16 };

static bool run_genome(FIXTURE_DATA(fuzz) *self, unsigned int fate)
{
	int status;
	pid_t pid;

	if (self->file && write_genomes(self->file, ".last", self->shared->genome, 1))
		return false;
	self->shared->fresh = 0;
	pid = fork();
	if (pid < 0)
		return false;
	if (!pid)
		run_process(self);
	if (fate <= LAST_KILL) {
		usleep(dice(self, 20000));
		if (fate == REBIND) {
			self->rebinds++;
			root_unbind(self->dir);
		}
		kill(pid, SIGKILL);
	}
	if (waitpid(pid, &status, 0) != pid)
		return false;
	if (fate == REBIND && root_bind(self->dir))
		return false;
	/* What an old one reaches may be a matter of luck. */
	if (self->shared->fresh || fate == FATES)
		keep_genome(self);
	self->rounds++;

	return !status || (fate <= LAST_KILL && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static bool run_old(FIXTURE_DATA(fuzz) *self, unsigned int index)
{
	memcpy(self->shared->genome, self->old[index], GENOME);

	return run_genome(self, FATES);
}

/* Now and then the device is taken away meanwhile, or the process killed. */
static bool run_round(FIXTURE_DATA(fuzz) *self)
{
	next_genome(self);

	return run_genome(self, dice(self, FATES));
}

static unsigned int coverage(const struct shared *shared)
{
	unsigned int i, bits = 0;

	for (i = 0; i < MAP_BITS / 64; i++)
		bits += __builtin_popcountll(shared->map[i]);

	return bits;
}

TEST_F_TIMEOUT(fuzz, calls, 7200)
{
	struct fuzz_tally *tally = &self->shared->tally;
	double end = test_now() + self->seconds;
	unsigned int i, kinds = 0;

	TH_LOG("IGRAD_FUZZ_SEED=%#llx", (unsigned long long)self->seed);
	while (test_now() < end || tally->submits < 10 || self->rounds <= self->old_count) {
		bool again = self->rounds < self->old_count;

		ASSERT_TRUE(again ? run_old(self, self->rounds) : run_round(self)) {
			TH_LOG("round %u", self->rounds);
		}
		if (again)
			end = test_now() + self->seconds;
		ASSERT_EQ(0, root_run_job(self->dir)) {
			TH_LOG("round %u", self->rounds);
		}
		ASSERT_EQ(0, tally->undocumented) {
			TH_LOG("round %u: call %u gave errno %u", self->rounds, tally->last_call,
			       tally->last_undocumented);
		}
	}
	for (i = 0; i < FUZZ_ERRNOS; i++)
		kinds += !!tally->errnos[i];
	TH_LOG("%u processes, %lu calls, %lu good, %lu submissions accepted, %u kinds of errors",
	       self->rounds, tally->calls, tally->good, tally->submits, kinds);
	TH_LOG("%u rebinds, %u steps in the driver seen, %u programs replayed, %u kept",
	       self->rebinds, coverage(self->shared), self->old_count, self->count);
	if (self->file && self->count)
		EXPECT_EQ(0, write_genomes(self->file, "", self->corpus, self->count));
	/* Not all is refused, and not all for the same reason. */
	EXPECT_GE(tally->good, 100);
	EXPECT_GE(kinds, 3);
}

TEST_HARNESS_MAIN

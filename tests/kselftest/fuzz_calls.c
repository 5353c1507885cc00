// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fuzz_calls.h"
#include "igrad_test.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define MAX_COMMANDS 24
#define MAX_BO (1u << 20)

/* Bytes */

static __u8 byte(struct fuzz_source *source)
{
	if (!source->left)
		return 0;
	source->left--;

	return *source->bytes++;
}

__u32 fuzz_number(struct fuzz_source *source, __u32 below)
{
	__u32 number = byte(source);

	if (below > 256)
		number |= byte(source) << 8;
	if (below > 65536)
		number |= byte(source) << 16;

	return number % below;
}

static bool one_in(struct fuzz_source *source, __u32 times)
{
	return fuzz_number(source, times) == times - 1;
}

static __u64 tempting(struct fuzz_source *source)
{
	static const __u64 values[] = {
		0, 1, 2, 3, 7, 8, 63, 64, 65, 4095, 4096, 4097, 65536, 1 << 20, IGRAD_MAX_COMMANDS,
		IGRAD_MAX_COMMANDS + 1, 0x7fffffff, 0x80000000, 0xffffffff, 1ull << 32,
		IGRAD_VA_MIN, IGRAD_VA_END - 4096, IGRAD_VA_END - 64, IGRAD_VA_END, 1ull << 47,
		1ull << 63, ~0ull - 4095, ~0ull - 63, ~0ull,
	};

	return values[fuzz_number(source, COUNT(values))];
}

/* Most are left as they are: what is always refused is soon known. */
static void spoil(struct fuzz_source *source, void *structure, size_t size)
{
	__u8 *bytes = structure;
	__u64 value;
	size_t width, at;

	if (!one_in(source, 6))
		return;
	width = 4 << fuzz_number(source, 2);
	if (width > size)
		width = size;
	at = fuzz_number(source, size / width) * width;
	if (one_in(source, 4)) {
		bytes[at] ^= 1 << fuzz_number(source, 8);
	} else {
		value = tempting(source);
		memcpy(bytes + at, &value, width);
	}
}

/* Maps that another thread may be taking away. */

static __thread sigjmp_buf touching;
static __thread bool is_touching;

static void on_segv(int signal)
{
	if (is_touching)
		siglongjmp(touching, 1);
	_exit(99);
}

static bool touch(void *to, const void *from, size_t size)
{
	is_touching = true;
	if (sigsetjmp(touching, 1)) {
		is_touching = false;
		return false;
	}
	memcpy(to, from, size);
	is_touching = false;

	return true;
}

/* Slots */

static struct fuzz_file *some_file(struct fuzz_state *state, struct fuzz_source *source)
{
	return &state->files[fuzz_number(source, FUZZ_FILES)];
}

/* One that is in use, mostly. */
static __u32 *some_slot(struct fuzz_source *source, __u32 *slots)
{
	unsigned int i, first = fuzz_number(source, FUZZ_SLOTS);

	if (one_in(source, 16))
		return &slots[first];
	for (i = 0; i < FUZZ_SLOTS && !slots[(first + i) % FUZZ_SLOTS]; i++)
		continue;

	return &slots[(first + i) % FUZZ_SLOTS];
}

static struct fuzz_bo *some_bo(struct fuzz_source *source, struct fuzz_file *file)
{
	unsigned int i, first = fuzz_number(source, FUZZ_SLOTS);

	if (one_in(source, 16))
		return &file->bos[first];
	for (i = 0; i < FUZZ_SLOTS && !file->bos[(first + i) % FUZZ_SLOTS].handle; i++)
		continue;

	return &file->bos[(first + i) % FUZZ_SLOTS];
}

/* Where something new goes: the last one is forgotten, or not there. */
static __u32 any_index(struct fuzz_source *source)
{
	return fuzz_number(source, FUZZ_SLOTS);
}

static int call(struct fuzz_file *file, unsigned long request, void *args)
{
	/* Once only: being interrupted is part of it. */
	return ioctl(file->fd, request, args) ? -errno : 0;
}

/* Files */

static void close_file(struct fuzz_file *file)
{
	int fd = __atomic_exchange_n(&file->fd, -1, __ATOMIC_RELAXED);

	if (fd >= 0)
		close(fd);
}

static int open_file(struct fuzz_state *state, struct fuzz_source *source)
{
	struct fuzz_file *file = some_file(state, source);
	int fd = open(state->nodes[fuzz_number(source, 2)], O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	close_file(file);
	__atomic_store_n(&file->fd, fd, __ATOMIC_RELAXED);

	return 0;
}

static int drop_file(struct fuzz_state *state, struct fuzz_source *source)
{
	if (one_in(source, 8))
		close_file(some_file(state, source));

	return 0;
}

static int read_fdinfo(struct fuzz_state *state, struct fuzz_source *source)
{
	char path[64], text[256];
	int fd;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", some_file(state, source)->fd);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	while (read(fd, text, sizeof(text)) > 0)
		continue;
	close(fd);

	return 0;
}

/* Buffers */

static int create_bo(struct fuzz_state *state, struct fuzz_source *source)
{
	struct fuzz_file *file = some_file(state, source);
	struct fuzz_bo *bo = &file->bos[any_index(source)];
	struct drm_igrad_bo_create args = { .size = 4096u << fuzz_number(source, 8) };
	int ret;

	spoil(source, &args, sizeof(args));
	/* How much memory the machine has is not the question. */
	if (args.size > MAX_BO && args.size < IGRAD_VA_END)
		args.size = 1 + args.size % MAX_BO;
	ret = call(file, DRM_IOCTL_IGRAD_BO_CREATE, &args);
	if (ret)
		return ret;
	*bo = (struct fuzz_bo) {
		.handle = args.handle,
		.va = args.va,
		.size = args.size,
		.offset = args.mmap_offset,
	};

	return 0;
}

static int close_bo(struct fuzz_state *state, struct fuzz_source *source)
{
	struct fuzz_file *file = some_file(state, source);
	struct drm_gem_close args = { .handle = some_bo(source, file)->handle };

	spoil(source, &args, sizeof(args));

	return call(file, DRM_IOCTL_GEM_CLOSE, &args);
}

static int map_bo(struct fuzz_state *state, struct fuzz_source *source)
{
	struct fuzz_file *file = some_file(state, source);
	struct fuzz_bo *bo = some_bo(source, file);
	__u64 args[2] = { bo->size, bo->offset };
	int prot = fuzz_number(source, 8), flags = one_in(source, 8) ? MAP_PRIVATE : MAP_SHARED;
	void *map;

	spoil(source, args, sizeof(args));
	if (!args[0] || args[0] > MAX_BO)
		args[0] = 4096;
	map = mmap(NULL, args[0], prot, flags, file->fd, args[1]);
	/* What mmap() says is decided before anybody asks the driver. */
	if (map == MAP_FAILED)
		return 0;
	if (!touch(map, "", 1) || !__sync_bool_compare_and_swap(&bo->map, NULL, map))
		munmap(map, args[0]);

	return 0;
}

static int unmap_bo(struct fuzz_state *state, struct fuzz_source *source)
{
	struct fuzz_bo *bo = some_bo(source, some_file(state, source));
	void *map = __atomic_exchange_n(&bo->map, NULL, __ATOMIC_RELAXED);

	if (map)
		munmap(map, 4096);

	return 0;
}

static int bo_info(struct fuzz_state *state, struct fuzz_source *source)
{
	struct fuzz_file *file = some_file(state, source);
	struct fuzz_bo *bo = some_bo(source, file);
	struct drm_igrad_bo_info args = { .handle = bo->handle };
	int ret;

	spoil(source, &args, sizeof(args));
	ret = call(file, DRM_IOCTL_IGRAD_BO_INFO, &args);
	if (!ret)
		bo->va = args.va;

	return ret;
}

static int export_bo(struct fuzz_state *state, struct fuzz_source *source)
{
	struct fuzz_file *file = some_file(state, source);
	int *slot = &state->dmabufs[fuzz_number(source, FUZZ_SLOTS)], old;
	struct drm_prime_handle args = {
		.handle = some_bo(source, file)->handle,
		.flags = DRM_CLOEXEC | (one_in(source, 3) ? 0 : DRM_RDWR),
	};
	int ret;

	spoil(source, &args.handle, sizeof(args.handle));
	ret = call(file, DRM_IOCTL_PRIME_HANDLE_TO_FD, &args);
	if (ret)
		return ret;
	old = __atomic_exchange_n(slot, args.fd, __ATOMIC_RELAXED);
	if (old >= 0)
		close(old);

	return 0;
}

static int import_bo(struct fuzz_state *state, struct fuzz_source *source)
{
	struct fuzz_file *file = some_file(state, source);
	struct fuzz_bo *bo = &file->bos[any_index(source)];
	struct drm_prime_handle args = { .fd = state->dmabufs[fuzz_number(source, FUZZ_SLOTS)] };
	int ret;

	if (args.fd < 0)
		return 0;
	ret = call(file, DRM_IOCTL_PRIME_FD_TO_HANDLE, &args);
	if (!ret)
		*bo = (struct fuzz_bo) { .handle = args.handle };

	/* Who has closed it meanwhile may have made it something else. */
	return ret == -EINVAL || ret == -EBADF ? 0 : ret;
}

/* Queues and syncobjs */

static int create_queue(struct fuzz_state *state, struct fuzz_source *source)
{
	struct fuzz_file *file = some_file(state, source);
	struct drm_igrad_queue_create args = { .priority = fuzz_number(source, 3) };
	int ret;

	spoil(source, &args, sizeof(args));
	ret = call(file, DRM_IOCTL_IGRAD_QUEUE_CREATE, &args);
	if (!ret)
		file->queues[any_index(source)] = args.queue_id;

	return ret;
}

static int destroy_queue(struct fuzz_state *state, struct fuzz_source *source)
{
	struct fuzz_file *file = some_file(state, source);
	struct drm_igrad_queue_destroy args = { .queue_id = *some_slot(source, file->queues) };

	spoil(source, &args, sizeof(args));

	return call(file, DRM_IOCTL_IGRAD_QUEUE_DESTROY, &args);
}

static int query(struct fuzz_state *state, struct fuzz_source *source)
{
	struct fuzz_file *file = some_file(state, source);
	union {
		struct drm_igrad_device_info device;
		struct drm_igrad_queue_info queue;
		__u8 bytes[256];
	} info = { .queue.queue_id = *some_slot(source, file->queues) };
	struct drm_igrad_dev_query args = {
		.type = fuzz_number(source, 2),
		.size = sizeof(info),
		.pointer = (uintptr_t)&info,
	};

	spoil(source, &args, sizeof(args));
	/* The kernel writes where it is asked to: not over what is ours. */
	if (args.size > sizeof(info))
		args.size = sizeof(info);
	if (args.pointer != (uintptr_t)&info)
		args.pointer = one_in(source, 2) ? 0 : tempting(source) | 1ull << 63;

	return call(file, DRM_IOCTL_IGRAD_DEV_QUERY, &args);
}

static int syncobj(struct fuzz_state *state, struct fuzz_source *source)
{
	struct fuzz_file *file = some_file(state, source);
	__u32 *slot = some_slot(source, file->syncobjs);
	struct drm_syncobj_array array = { .handles = (uintptr_t)slot, .count_handles = 1 };

	switch (fuzz_number(source, 6)) {
	case 0:
		test_syncobj_destroy(file->fd, *slot);
		break;
	case 1:
		call(file, DRM_IOCTL_SYNCOBJ_SIGNAL, &array);
		break;
	case 2:
		call(file, DRM_IOCTL_SYNCOBJ_RESET, &array);
		break;
	default:
		file->syncobjs[any_index(source)] = test_syncobj_create(file->fd);
		break;
	}

	return 0;
}

/* For as long as a job takes, or not at all. */
static int wait_syncobj(struct fuzz_state *state, struct fuzz_source *source)
{
	struct fuzz_file *file = some_file(state, source);
	struct drm_syncobj_wait args = {
		.handles = (uintptr_t)some_slot(source, file->syncobjs),
		.count_handles = 1,
		.timeout_nsec = one_in(source, 2) ? test_now() * 1e9 + 2e6 : 0,
	};

	call(file, DRM_IOCTL_SYNCOBJ_WAIT, &args);

	return 0;
}

/* Jobs */

static void fill_commands(struct fuzz_state *state, struct fuzz_source *source,
			  struct fuzz_file *file, struct test_cmds *cmds)
{
	static const __u8 opcodes[] = {
		0x00, 0x10, 0x11, 0x20, 0x21, 0x22, 0x23, 0x24, 0x25, 0x26, 0x27, 0x28, 0x29,
		0x40, 0x41, 0x42, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49, 0x4a,
	};
	__u32 i, k, count = 1 + fuzz_number(source, MAX_COMMANDS);
	struct igrad_cmd *cmd;

	for (i = 0; i < count; i++) {
		switch (fuzz_number(source, 4)) {
		case 0:
			test_fill(cmds, fuzz_number(source, 256) * 4,
				  1 + fuzz_number(source, 4096), i);
			break;
		case 1:
			test_dma(cmds, one_in(source, 2), some_bo(source, file)->va,
				 fuzz_number(source, 64) * 4, 1 + fuzz_number(source, 1024));
			break;
		case 2:
			test_nop(cmds, state->hangs && one_in(source, 200) ? HANG_TAG : i);
			break;
		default:
			cmd = test_cmd(cmds, opcodes[fuzz_number(source, COUNT(opcodes))], 0);
			cmd->signal = 0;
			for (k = 0; k < 10; k++)
				cmd->u.words[k] = fuzz_number(source, 32) * 4;
			spoil(source, &cmd->u, sizeof(cmd->u));
			break;
		}
		spoil(source, (struct igrad_cmd *)cmds->bo.map + i, sizeof(*cmd));
	}
}

/* Commands are written into a buffer that jobs may be reading them from. */
static int write_commands(struct fuzz_state *state, struct fuzz_source *source)
{
	struct fuzz_file *file = some_file(state, source);
	struct fuzz_bo *bo = some_bo(source, file);
	struct igrad_cmd commands[MAX_COMMANDS + 1];
	struct test_cmds cmds = { .bo.map = commands };
	void *map = bo->map;

	fill_commands(state, source, file, &cmds);
	if (map)
		touch(map, commands, cmds.count * sizeof(commands[0]));

	return 0;
}

#define MAX_JOBS 3
#define MAX_LIST 4

struct submission {
	struct drm_igrad_submit args;
	struct drm_igrad_job jobs[MAX_JOBS];
	struct drm_igrad_bo_ref bos[MAX_JOBS][MAX_LIST];
	struct drm_igrad_sync waits[MAX_JOBS][MAX_LIST], signals[MAX_JOBS][MAX_LIST];
};

static struct drm_igrad_array array(const void *pointer, __u32 stride, __u32 count)
{
	return (struct drm_igrad_array) {
		.stride = stride,
		.count = count,
		.pointer = (uintptr_t)pointer,
	};
}

static void fill_syncs(struct fuzz_source *source, struct fuzz_file *file,
		       struct drm_igrad_sync *syncs, __u32 count)
{
	__u32 i;

	for (i = 0; i < count; i++) {
		syncs[i].handle = *some_slot(source, file->syncobjs);
		if (one_in(source, 3)) {
			syncs[i].flags = DRM_IGRAD_SYNC_TIMELINE;
			syncs[i].point = 1 + fuzz_number(source, 100);
		}
		spoil(source, &syncs[i], sizeof(syncs[i]));
	}
}

static void fill_job(struct fuzz_source *source, struct fuzz_file *file, struct submission *s,
		     __u32 index)
{
	struct drm_igrad_job *job = &s->jobs[index];
	__u32 i, bos = fuzz_number(source, MAX_LIST), waits = one_in(source, 4);
	__u32 signals = fuzz_number(source, 3);

	job->cmds = some_bo(source, file)->va;
	job->num_cmds = 1 + fuzz_number(source, MAX_COMMANDS);
	if (one_in(source, 3))
		job->report = some_bo(source, file)->va;
	for (i = 0; i < bos; i++) {
		s->bos[index][i].handle = some_bo(source, file)->handle;
		s->bos[index][i].flags = 1 + fuzz_number(source, 3);
		spoil(source, &s->bos[index][i], sizeof(s->bos[index][i]));
	}
	fill_syncs(source, file, s->waits[index], waits);
	fill_syncs(source, file, s->signals[index], signals);
	job->bos = array(s->bos[index], sizeof(s->bos[0][0]), bos);
	job->waits = array(s->waits[index], sizeof(s->waits[0][0]), waits);
	job->signals = array(s->signals[index], sizeof(s->signals[0][0]), signals);
	spoil(source, job, sizeof(*job));
}

static int submit(struct fuzz_state *state, struct fuzz_source *source)
{
	struct fuzz_file *file = some_file(state, source);
	__u32 i, count = 1 + fuzz_number(source, MAX_JOBS);
	struct submission s = { };

	for (i = 0; i < count; i++)
		fill_job(source, file, &s, i);
	s.args.queue_id = *some_slot(source, file->queues);
	s.args.jobs = array(s.jobs, sizeof(s.jobs[0]), count);
	spoil(source, &s.args, sizeof(s.args));

	return call(file, DRM_IOCTL_IGRAD_SUBMIT, &s.args);
}

/* Others */

/* A process that has all of this, too, and drops it. */
static int fork_and_die(struct fuzz_state *state, struct fuzz_source *source)
{
	bool closes = one_in(source, 2);
	pid_t pid;

	if (!one_in(source, 8))
		return 0;
	pid = fork();
	if (!pid) {
		if (closes)
			fuzz_close_files(state);
		_exit(0);
	}
	if (pid > 0)
		waitpid(pid, NULL, 0);

	return 0;
}

/* Any number, and structures that are longer or shorter than the kernel thinks. */
static int any_ioctl(struct fuzz_state *state, struct fuzz_source *source)
{
	unsigned int nr = DRM_COMMAND_BASE + fuzz_number(source, 8);
	unsigned int dir = fuzz_number(source, 4), size = fuzz_number(source, 256);
	__u64 words[64] = { };
	unsigned int i;

	for (i = 0; i < 4; i++)
		words[i] = fuzz_number(source, 16);
	/* As a pointer, nothing of ours. */
	ioctl(some_file(state, source)->fd, _IOC(dir, DRM_IOCTL_BASE, nr, size), words);

	return 0;
}

static const struct {
	int (*make)(struct fuzz_state *state, struct fuzz_source *source);
	unsigned int weight;
} calls[] = {
	{ submit, 12 }, { write_commands, 4 }, { create_bo, 4 }, { map_bo, 4 }, { unmap_bo, 1 },
	{ close_bo, 1 }, { bo_info, 2 }, { create_queue, 3 }, { destroy_queue, 1 }, { query, 2 },
	{ syncobj, 4 }, { wait_syncobj, 3 }, { export_bo, 1 }, { import_bo, 1 }, { open_file, 1 },
	{ drop_file, 1 }, { read_fdinfo, 1 }, { fork_and_die, 1 }, { any_ioctl, 1 },
};

static bool is_documented(int error)
{
	switch (-error) {
	case 0:
	case E2BIG:
	case EACCES:
	case EBUSY:
	case EFAULT:
	case EINTR:
	case EINVAL:
	case EIO:
	case ENODEV:
	case ENOENT:
	case ENOMEM:
	case ENOSPC:
	/* A descriptor that another thread has closed, and perhaps opened as something else. */
	case EBADF:
	case ENOTTY:
	/* A driver that comes back, open() being told by the core. */
	case ENXIO:
		return true;
	default:
		return false;
	}
}

static unsigned int some_call(struct fuzz_source *source)
{
	unsigned int i, number, total = 0;

	for (i = 0; i < COUNT(calls); i++)
		total += calls[i].weight;
	number = fuzz_number(source, total);
	for (i = 0; number >= calls[i].weight; i++)
		number -= calls[i].weight;

	return i;
}

void fuzz_call(struct fuzz_state *state, struct fuzz_source *source, struct fuzz_tally *tally)
{
	unsigned int index = some_call(source);
	int ret = calls[index].make(state, source);

	__atomic_add_fetch(&tally->calls, 1, __ATOMIC_RELAXED);
	if (!ret)
		__atomic_add_fetch(&tally->good, 1, __ATOMIC_RELAXED);
	if (!ret && calls[index].make == submit)
		__atomic_add_fetch(&tally->submits, 1, __ATOMIC_RELAXED);
	if (ret < 0 && -ret < FUZZ_ERRNOS)
		__atomic_add_fetch(&tally->errnos[-ret], 1, __ATOMIC_RELAXED);
	if (!is_documented(ret)) {
		tally->last_undocumented = -ret;
		tally->last_call = index;
		__atomic_add_fetch(&tally->undocumented, 1, __ATOMIC_RELAXED);
	}
}

/* A beginning from which much is possible. */
void fuzz_init(struct fuzz_state *state)
{
	struct sigaction action = { .sa_handler = on_segv, .sa_flags = SA_NODEFER };
	unsigned int i, k;

	sigaction(SIGSEGV, &action, NULL);
	for (i = 0; i < FUZZ_SLOTS; i++)
		state->dmabufs[i] = -1;
	for (i = 0; i < FUZZ_FILES; i++) {
		struct fuzz_file *file = &state->files[i];

		memset(file, 0, sizeof(*file));
		file->fd = open(state->nodes[i % 2], O_RDWR | O_CLOEXEC);
		if (file->fd < 0)
			continue;
		for (k = 0; k < FUZZ_SLOTS / 2; k++) {
			struct test_bo bo;
			struct test_cmds cmds = { };

			file->queues[k] = test_queue_create(file->fd);
			file->syncobjs[k] = test_syncobj_create(file->fd);
			if (test_bo_create(file->fd, 4096, &bo))
				continue;
			cmds.bo = bo;
			test_increment(&cmds, bo.va + 2048, 16);
			file->bos[k] = (struct fuzz_bo) {
				.handle = bo.handle,
				.va = bo.va,
				.size = bo.size,
				.offset = bo.mmap_offset,
				.map = bo.map,
			};
		}
	}
}

void fuzz_close_files(struct fuzz_state *state)
{
	unsigned int i;

	for (i = 0; i < FUZZ_FILES; i++)
		close_file(&state->files[i]);
}

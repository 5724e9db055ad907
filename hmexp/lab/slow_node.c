// SPDX-License-Identifier: MIT
/*
 * A plugin of QEMU's software emulation that slows accesses to ranges of the guest's physical memory.
 *
 * Nothing inside the guest knows of it: any program sees a node that is slow. A read or write that misses a small
 * cache, direct mapped by line and shared by all CPUs, spins for the time of its kind. What is hit costs nothing,
 * as what a cache has does not reach the memory.
 *
 * Arguments: lo=, hi= (one or two of each, in bytes), read=, write= [ns], lines= of the cache (0: none).
 * The declarations are those of QEMU's plugin interface, version 4 (QEMU 10), as far as they are used.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define EXPORT		__attribute__((visibility("default")))
#define LINE_SHIFT	6
#define MAX_RANGES	2
#define CPU_FLAGS_NONE	0
#define MEM_READ_WRITE	3

typedef uint64_t plugin_id;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
struct qemu_plugin_hwaddr;

typedef void (*tb_callback)(plugin_id id, struct qemu_plugin_tb *tb);
typedef void (*mem_callback)(unsigned int vcpu, uint32_t info, uint64_t address, void *data);
typedef void (*exit_callback)(plugin_id id, void *data);

size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t index);
void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id id, tb_callback callback);
void qemu_plugin_register_vcpu_mem_cb(struct qemu_plugin_insn *insn, mem_callback callback, int flags, int which,
				      void *data);
void qemu_plugin_register_atexit_cb(plugin_id id, exit_callback callback, void *data);
struct qemu_plugin_hwaddr *qemu_plugin_get_hwaddr(uint32_t info, uint64_t address);
bool qemu_plugin_hwaddr_is_io(const struct qemu_plugin_hwaddr *address);
uint64_t qemu_plugin_hwaddr_phys_addr(const struct qemu_plugin_hwaddr *address);
bool qemu_plugin_mem_is_store(uint32_t info);
void qemu_plugin_outs(const char *text);

EXPORT int qemu_plugin_version = 4;

static struct {
	uint64_t lo, hi;
} ranges[MAX_RANGES];
static int low_ends, high_ends;
static uint64_t delay_ns[2];	/* of a read, and of a write */
static uint64_t lines, *tags;
static uint64_t missed[2], hits;

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void spin(uint64_t ns)
{
	uint64_t end = now_ns() + ns;

	while (now_ns() < end)
		;
}

static bool is_slow(uint64_t physical)
{
	for (int i = 0; i < high_ends; i++)
		if (physical >= ranges[i].lo && physical < ranges[i].hi)
			return true;
	return false;
}

/* Every access goes through the cache: what DRAM has read pushes out what the slow node had. */
static bool is_cached(uint64_t physical)
{
	uint64_t line = physical >> LINE_SHIFT, *tag;

	if (!lines)
		return false;
	/* Threads of the emulator may race for a tag: one access more or less is delayed. */
	tag = &tags[line % lines];
	if (__atomic_load_n(tag, __ATOMIC_RELAXED) == line + 1)
		return true;
	__atomic_store_n(tag, line + 1, __ATOMIC_RELAXED);
	return false;
}

static void on_access(unsigned int vcpu, uint32_t info, uint64_t address, void *data)
{
	struct qemu_plugin_hwaddr *found = qemu_plugin_get_hwaddr(info, address);
	uint64_t physical;
	int store;

	(void)vcpu;
	(void)data;
	if (!found || qemu_plugin_hwaddr_is_io(found))
		return;
	physical = qemu_plugin_hwaddr_phys_addr(found);
	if (is_cached(physical)) {
		hits += is_slow(physical);
		return;
	}
	if (!is_slow(physical))
		return;
	store = qemu_plugin_mem_is_store(info);
	__atomic_fetch_add(&missed[store], 1, __ATOMIC_RELAXED);
	spin(delay_ns[store]);
}

static void on_block(plugin_id id, struct qemu_plugin_tb *tb)
{
	size_t count = qemu_plugin_tb_n_insns(tb);

	(void)id;
	for (size_t i = 0; i < count; i++)
		qemu_plugin_register_vcpu_mem_cb(qemu_plugin_tb_get_insn(tb, i), on_access, CPU_FLAGS_NONE,
						 MEM_READ_WRITE, NULL);
}

static void on_exit_of(plugin_id id, void *data)
{
	(void)id;
	(void)data;
	fprintf(stderr, "slow node: %" PRIu64 " reads and %" PRIu64 " writes delayed, %" PRIu64 " cached\n",
		missed[0], missed[1], hits);
}

/* Returns 0, or a negative errno for what is no argument of ours. */
static int take(const char *argument)
{
	const char *equals = strchr(argument, '=');
	char *end;
	uint64_t value;

	if (!equals)
		return -EINVAL;
	errno = 0;
	value = strtoull(equals + 1, &end, 0);
	if (errno || end == equals + 1 || *end)
		return -EINVAL;
	if (!strncmp(argument, "lo=", 3) && low_ends < MAX_RANGES)
		ranges[low_ends++].lo = value;
	else if (!strncmp(argument, "hi=", 3) && high_ends < MAX_RANGES)
		ranges[high_ends++].hi = value;
	else if (!strncmp(argument, "read=", 5))
		delay_ns[0] = value;
	else if (!strncmp(argument, "write=", 6))
		delay_ns[1] = value;
	else if (!strncmp(argument, "lines=", 6))
		lines = value;
	else
		return -EINVAL;
	return 0;
}

EXPORT int qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv)
{
	(void)info;
	for (int i = 0; i < argc; i++) {
		if (take(argv[i])) {
			fprintf(stderr, "slow node: %s is no argument\n", argv[i]);
			return 1;
		}
	}
	if (!high_ends || low_ends != high_ends || lines > (UINT64_C(1) << 30)) {
		fprintf(stderr, "slow node: no range, or a cache that is too large\n");
		return 1;
	}
	tags = lines ? calloc(lines, sizeof(*tags)) : NULL;
	if (lines && !tags)
		return 1;
	qemu_plugin_register_vcpu_tb_trans_cb(id, on_block);
	qemu_plugin_register_atexit_cb(id, on_exit_of, NULL);
	return 0;
}

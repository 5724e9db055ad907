// SPDX-License-Identifier: MIT
#include "operation_list.h"
#include "operations.h"

/*
 * Places that loads alone, and copies by non-temporal stores, go along at once, and how far they are
 * apart [bytes].
 */
#define FAN		4
#define FAN_BYTES	UINT64_C(16384)
#define FAN_BYTES_NT	UINT64_C(4096)

/* A regular store of a line that is not in the cache reads it first. */
#define DESCRIBE(name, kind, reads, writes, nontemporal, ahead) \
	{ #name, reads, writes, (nontemporal) ? 0 : (writes), nontemporal },

static const struct hm_operation operations[] = { REGULAR_OPERATIONS(DESCRIBE) STREAMING_OPERATIONS(DESCRIBE) };

#define TEMPLATE "loops_template.h"
#include "widths.h"

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

int hm_operation_count(void)
{
	return COUNT(operations);
}

const struct hm_operation *hm_operation(int operation)
{
	return operation >= 0 && operation < COUNT(operations) ? &operations[operation] : NULL;
}

int hm_vector_bits(void)
{
#if defined(__x86_64__)
	__builtin_cpu_init();
	if (__builtin_cpu_supports("avx512f"))
		return 512;
	if (__builtin_cpu_supports("avx2"))
		return 256;
	return 128;
#elif defined(__aarch64__)
	return 128;
#else
	return 64;
#endif
}

int hm_choose_loops(struct hm_loops *loops, int operation, int bits)
{
	const struct hm_loops *table;
	int count;

	if (!hm_operation(operation))
		return -EINVAL;
	switch (bits) {
	case 64:
		table = loops_64;
		count = COUNT(loops_64);
		break;
#if defined(__x86_64__) || defined(__aarch64__)
	case 128:
		table = loops_128;
		count = COUNT(loops_128);
		break;
#endif
#if defined(__x86_64__)
	case 256:
		table = loops_256;
		count = COUNT(loops_256);
		break;
	case 512:
		table = loops_512;
		count = COUNT(loops_512);
		break;
#endif
	default:
		return bits == 128 || bits == 256 || bits == 512 ? -EOPNOTSUPP : -EINVAL;
	}
	if (bits > hm_vector_bits() || operation >= count)
		return -EOPNOTSUPP;
	*loops = table[operation];
	return 0;
}

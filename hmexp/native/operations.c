// SPDX-License-Identifier: MIT
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "operations.h"

enum { KIND_APART, KIND_COPY, KIND_TRIAD };

/* How far the software prefetch runs ahead [bytes]: of the loads alone, and of loads among stores. */
#define AHEAD		512
#define AHEAD_MIXED	512
/*
 * Places that loads alone, and copies by non-temporal stores, go along at once, and how far they are
 * apart [bytes].
 */
#define FAN		4
#define FAN_BYTES	UINT64_C(16384)
#define FAN_BYTES_NT	UINT64_C(4096)
#define SUMS		4

/*
 * name, kind, reads, writes, non-temporal, prefetch. The streaming ones stand last: a width without
 * non-temporal stores has the beginning of the table only.
 */
#define REGULAR_OPERATIONS(X)				\
	X(read, KIND_APART, 1, 0, 0, AHEAD)		\
	X(write, KIND_APART, 0, 1, 0, 0)		\
	X(copy, KIND_COPY, 1, 1, 0, AHEAD_MIXED)	\
	X(triad, KIND_TRIAD, 2, 1, 0, AHEAD_MIXED)	\
	X(mix_3_1, KIND_APART, 3, 1, 0, AHEAD_MIXED)	\
	X(mix_2_1, KIND_APART, 2, 1, 0, AHEAD_MIXED)	\
	X(mix_1_1, KIND_APART, 1, 1, 0, AHEAD_MIXED)

#define STREAMING_OPERATIONS(X)				\
	X(write_nt, KIND_APART, 0, 1, 1, 0)		\
	X(copy_nt, KIND_COPY, 1, 1, 1, AHEAD_MIXED)	\
	X(triad_nt, KIND_TRIAD, 2, 1, 1, AHEAD_MIXED)	\
	X(mix_3_1_nt, KIND_APART, 3, 1, 1, AHEAD_MIXED)	\
	X(mix_2_1_nt, KIND_APART, 2, 1, 1, AHEAD_MIXED)	\
	X(mix_1_1_nt, KIND_APART, 1, 1, 1, AHEAD_MIXED)

/* A regular store of a line that is not in the cache reads it first. */
#define DESCRIBE(name, kind, reads, writes, nontemporal, ahead) \
	{ #name, reads, writes, (nontemporal) ? 0 : (writes), nontemporal },

static const struct hm_operation operations[] = { REGULAR_OPERATIONS(DESCRIBE) STREAMING_OPERATIONS(DESCRIBE) };

/* Plain C, for any CPU; without non-temporal stores, which C cannot say. */
#define BITS 64
#define TARGET
#define NAME(x) x##_64
#include "loops_template.h"

#if defined(__x86_64__) || defined(__aarch64__)
#define BITS 128
#define TARGET
#define NAME(x) x##_128
#if defined(__x86_64__)
#define STREAM(at, vector) _mm_stream_si128((__m128i *)(at), (__m128i)(vector))
#else
/* Pairs are all that aarch64 has: a vector is stored as its two halves. */
#define STREAM(at, vector)										\
	__asm__ volatile("stnp %d1, %d2, [%0]"								\
			 : : "r"(at), "w"((vector)[0]), "w"((vector)[1]) : "memory")
#endif
#include "loops_template.h"
#endif

#if defined(__x86_64__)
#define BITS 256
#define TARGET __attribute__((target("avx2")))
#define NAME(x) x##_256
#define STREAM(at, vector) _mm256_stream_si256((__m256i *)(at), (__m256i)(vector))
#include "loops_template.h"

#define BITS 512
#define TARGET __attribute__((target("avx512f")))
#define NAME(x) x##_512
#define STREAM(at, vector) _mm512_stream_si512((__m512i *)(at), (__m512i)(vector))
#include "loops_template.h"
#endif

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

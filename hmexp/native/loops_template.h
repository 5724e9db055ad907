/* SPDX-License-Identifier: MIT */
/*
 * The plain loops over memory, once per vector width (widths.h).
 *
 * Software prefetch runs ahead of the loads: across a 4 KiB page the hardware's own does not. It stops
 * at the end of what is asked for, so that nothing is fetched that is not claimed. Loads alone, and copies
 * by non-temporal stores, go along FAN places at once, a page or a few apart: one place does not keep enough
 * lines under way. (glibc's memcpy does the same for large copies.)
 */
#include "step_template.h"

/* Whole blocks of FAN x @part_bytes, a line of each part in turn; returns where they end. */
TARGET INLINE uint64_t NAME(fanned)(char *const *streams, uint64_t bytes, struct NAME(sums) *sums, uint64_t ahead,
				    uint64_t part_bytes, int kind, int reads, int nontemporal)
{
	const uint64_t block = FAN * part_bytes, last = part_bytes - HM_LINE_BYTES;
	uint64_t from = 0;

	for (; from + block <= bytes; from += block) {
		for (uint64_t at = 0; at < part_bytes; at += HM_LINE_BYTES) {
			uint64_t next = at + ahead < last ? at + ahead : last;

#pragma GCC unroll 4
			for (int part = 0; part < FAN; part++) {
				const uint64_t start = from + (uint64_t)part * part_bytes;

#pragma GCC unroll 4
				for (int s = 0; s < reads; s++)
					__builtin_prefetch(streams[s] + start + next);
				NAME(step)(streams, start + at, kind, reads, 0, nontemporal, (VEC){ 0 }, sums, part);
			}
		}
	}
	return from;
}

TARGET INLINE uint64_t NAME(sequential)(char *const *given, uint64_t bytes, uint64_t word, int kind, int reads,
					int writes, int nontemporal, uint64_t ahead)
{
	/* Copied, so that no store through them makes the compiler load them again. */
	char *const streams[HM_MAX_STREAMS] = { given[0], given[1], given[2], given[3] };
	const VEC value = (VEC){ 0 } + word;
	/* Loads of several streams beside stores take so many addresses that fewer lines fit. */
	const int unroll = reads && writes && kind == KIND_APART ? 2 : 4;
	const uint64_t unrolled = unroll * HM_LINE_BYTES, last = bytes - unrolled;
	struct NAME(sums) sums = { 0 };
	uint64_t at = 0;

	if (kind == KIND_APART && reads == 1 && !writes)
		at = NAME(fanned)(streams, bytes, &sums, ahead, FAN_BYTES, kind, reads, nontemporal);
	else if (kind == KIND_COPY && nontemporal)
		at = NAME(fanned)(streams, bytes, &sums, ahead, FAN_BYTES_NT, kind, reads, nontemporal);

	for (; at + unrolled <= bytes; at += unrolled) {
		if (ahead && writes) {
			uint64_t next = at + ahead < last ? at + ahead : last;

#pragma GCC unroll 4
			for (int s = 0; s < reads; s++) {
#pragma GCC unroll 4
				for (int line = 0; line < unroll; line++)
					__builtin_prefetch(streams[s] + next + line * HM_LINE_BYTES);
			}
		}
#pragma GCC unroll 4
		for (int line = 0; line < unroll; line++)
			NAME(step)(streams, at + line * HM_LINE_BYTES, kind, reads, writes, nontemporal, value, &sums,
				   line);
	}
	for (; at < bytes; at += HM_LINE_BYTES)
		NAME(step)(streams, at, kind, reads, writes, nontemporal, value, &sums, 0);
	return NAME(fold)(&sums);
}

TARGET INLINE uint64_t NAME(scattered)(char *const *given, const uint64_t *offsets, unsigned int count,
				       uint64_t word, int kind, int reads, int writes, int nontemporal)
{
	char *const streams[HM_MAX_STREAMS] = { given[0], given[1], given[2], given[3] };
	const VEC value = (VEC){ 0 } + word;
	struct NAME(sums) sums = { 0 };

	for (unsigned int i = 0; i < count; i++)
		NAME(step)(streams, offsets[i], kind, reads, writes, nontemporal, value, &sums, 0);
	return NAME(fold)(&sums);
}

/* The stores are to be made, although nobody here reads them. The caller fences the non-temporal ones. */
#define DEFINE(name, kind, reads, writes, nontemporal, ahead)							\
	TARGET static uint64_t NAME(name##_run)(char *const *streams, uint64_t bytes, uint64_t value)		\
	{													\
		uint64_t sum = NAME(sequential)(streams, bytes, value, kind, reads, writes, nontemporal, ahead);\
														\
		__asm__ volatile("" : : : "memory");								\
		return sum;											\
	}													\
														\
	TARGET static uint64_t NAME(name##_lines)(char *const *streams, const uint64_t *offsets,		\
						  unsigned int count, uint64_t value)				\
	{													\
		uint64_t sum =											\
			NAME(scattered)(streams, offsets, count, value, kind, reads, writes, nontemporal);	\
														\
		__asm__ volatile("" : : : "memory");								\
		return sum;											\
	}

REGULAR_OPERATIONS(DEFINE)
#ifdef STREAM
STREAMING_OPERATIONS(DEFINE)
#endif

#undef DEFINE
#define ENTRY(name, kind, reads, writes, nontemporal, ahead) { NAME(name##_run), NAME(name##_lines) },

static const struct hm_loops NAME(loops)[] = {
	REGULAR_OPERATIONS(ENTRY)
#ifdef STREAM
	STREAMING_OPERATIONS(ENTRY)
#endif
};

#undef ENTRY

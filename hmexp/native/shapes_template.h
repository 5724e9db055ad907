/* SPDX-License-Identifier: MIT */
/*
 * The same operations along several places at once, and with prefetch or without, once per vector width
 * (widths.h). No such shape is the best on every CPU; which one is, is measured (hmexp/measure/shapes.py).
 *
 * Places are @distance apart, a figure of run time, and a block is as many of them as the shape has. The
 * caller asks for whole blocks, and walks what is left over by the plain loop. What a shape does with a line
 * is what the plain loop does (step_template.h).
 */
#include "step_template.h"

/* Each stream's address, so many bytes further. */
TARGET INLINE void NAME(advance)(char **at, int streams, uint64_t bytes)
{
#pragma GCC unroll 4
	for (int s = 0; s < streams; s++) {
		at[s] += bytes;
		/* It is not to be derived from another one: there are not as many registers as places and streams. */
		__asm__("" : "+r"(at[s]));
	}
}

TARGET INLINE void NAME(prefetch)(char *const *at, int reads, uint64_t offset)
{
#pragma GCC unroll 4
	for (int s = 0; s < reads; s++)
		__builtin_prefetch(at[s] + offset);
}

/* A turn: some lines of every place, and on to the next. */
TARGET INLINE void NAME(turn)(char **at, uint64_t distance, int kind, int reads, int writes, int nontemporal,
			      int places, int lines, int ahead, int write_ahead, VEC value,
			      struct NAME(sums) *sums)
{
	const uint64_t back = (uint64_t)lines * HM_LINE_BYTES - (uint64_t)(places - 1) * distance;

#pragma GCC unroll 4
	for (int place = 0; place < places; place++) {
#pragma GCC unroll 4
		for (int line = 0; line < lines; line++) {
			const uint64_t offset = (uint64_t)line * HM_LINE_BYTES;

			if (ahead)
				NAME(prefetch)(at, reads, offset + ahead);
			/* Shapes that prefetch for stores are of operations with one of them. */
			if (write_ahead)
				PREFETCH_WRITE(at[reads] + offset + write_ahead);
			NAME(step)(at, offset, kind, reads, writes, nontemporal, value, sums, place * lines + line);
		}
		NAME(advance)(at, reads + writes, place < places - 1 ? distance : back);
	}
}

/* Prefetches stay within the place: the last lines of it are walked without. */
TARGET INLINE uint64_t NAME(placed)(char *const *given, uint64_t bytes, uint64_t word, uint64_t distance, int kind,
				    int reads, int writes, int nontemporal, int places, int lines, int ahead,
				    int write_ahead)
{
	const VEC value = (VEC){ 0 } + word;
	const uint64_t turn = (uint64_t)lines * HM_LINE_BYTES;
	const uint64_t beyond = (uint64_t)(ahead > write_ahead ? ahead : write_ahead);
	const uint64_t place_bytes = places == 1 ? bytes : distance;
	char *at[HM_MAX_STREAMS] = { given[0], given[1], given[2], given[3] };
	struct NAME(sums) sums = { 0 };

	for (uint64_t left = bytes; left >= places * place_bytes && left; left -= places * place_bytes) {
		uint64_t rest = place_bytes;

		if (beyond) {
			for (; rest >= turn + beyond; rest -= turn)
				NAME(turn)(at, distance, kind, reads, writes, nontemporal, places, lines, ahead,
					   write_ahead, value, &sums);
		}
		for (; rest >= turn; rest -= turn)
			NAME(turn)(at, distance, kind, reads, writes, nontemporal, places, lines, 0, 0, value, &sums);
		/* Of one place only: a distance is a number of whole turns. */
		for (; places == 1 && rest; rest -= HM_LINE_BYTES) {
			NAME(step)(at, 0, kind, reads, writes, nontemporal, value, &sums, 0);
			NAME(advance)(at, reads + writes, HM_LINE_BYTES);
		}
		NAME(advance)(at, reads + writes, (uint64_t)(places - 1) * distance);
	}
	return NAME(fold)(&sums);
}

#define DEFINE(shape, places, lines, ahead, write_ahead, name, kind, reads, writes, nontemporal)			\
	TARGET static uint64_t NAME(name##_##shape)(char *const *streams, uint64_t bytes, uint64_t value,	\
						    uint64_t distance)						\
	{													\
		uint64_t sum = 0;										\
														\
		if (ABLE(places, ahead, write_ahead, kind, reads, writes, nontemporal))					\
			sum = NAME(placed)(streams, bytes, value, distance, kind, reads, writes, nontemporal,	\
					   places, lines, ahead, write_ahead);					\
		__asm__ volatile("" : : : "memory");								\
		return sum;											\
	}
#define DEFINE_ALL(name, kind, reads, writes, nontemporal, ahead) SHAPES(DEFINE, name, kind, reads, writes, nontemporal)

REGULAR_OPERATIONS(DEFINE_ALL)
#ifdef STREAM
STREAMING_OPERATIONS(DEFINE_ALL)
#endif

#undef DEFINE
#undef DEFINE_ALL
#define ENTRY(shape, places, lines, ahead, write_ahead, name, kind, reads, writes, nontemporal)	\
	ABLE(places, ahead, write_ahead, kind, reads, writes, nontemporal) ? NAME(name##_##shape) : NULL,
#define ROW(name, kind, reads, writes, nontemporal, ahead) { SHAPES(ENTRY, name, kind, reads, writes, nontemporal) },

static const hm_shaped NAME(shaped)[][SHAPE_COUNT] = {
	REGULAR_OPERATIONS(ROW)
#ifdef STREAM
	STREAMING_OPERATIONS(ROW)
#endif
};

#undef ENTRY
#undef ROW

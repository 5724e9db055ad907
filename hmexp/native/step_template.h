/* SPDX-License-Identifier: MIT */
/*
 * One line of each operation, once per vector width (widths.h): NAME(step) is the whole of an operation
 * on one line, and everything around it is about where the next line is.
 *
 * Vectors of GCC's own, so that one text serves every architecture. The compiler sees the operation as
 * constants, so that each loop holds nothing but its own loads and stores.
 */
#define VEC	NAME(vec)
#define VECTORS	(HM_LINE_BYTES / (BITS / 8))
#define INLINE	static inline __attribute__((always_inline))

#if BITS == 64
typedef uint64_t __attribute__((may_alias)) VEC;
#else
typedef uint64_t __attribute__((vector_size(BITS / 8), may_alias)) VEC;
#endif

/*
 * Independent accumulators: the loads must not wait for each other. No more than fit in registers beside
 * the streams, or the loops would store what nobody asked for (benchmarks/loop_counts.py).
 */
struct NAME(sums) {
	VEC v[SUMS];
};

TARGET INLINE void NAME(store)(char *at, VEC vector, int nontemporal)
{
#ifdef STREAM
	if (nontemporal) {
		STREAM(at, vector);
		return;
	}
#endif
	*(VEC *)at = vector;
}

/* @which: the line's number within the unrolled loop, a constant. */
TARGET INLINE void NAME(step)(char *const *streams, uint64_t at, int kind, int reads, int writes, int nontemporal,
			      VEC value, struct NAME(sums) *sums, int which)
{
#pragma GCC unroll 8
	for (int i = 0; i < VECTORS; i++) {
		const uint64_t offset = at + (uint64_t)i * sizeof(VEC);

		if (kind == KIND_COPY) {
			NAME(store)(streams[1] + offset, *(const VEC *)(streams[0] + offset), nontemporal);
			continue;
		}
		if (kind == KIND_TRIAD) {
			/* Of integers: ring pointers read as floating point would be denormal, and slow. */
			const VEC b = *(const VEC *)(streams[0] + offset), c = *(const VEC *)(streams[1] + offset);

			NAME(store)(streams[2] + offset, b + c + (c << 1), nontemporal);
			continue;
		}
#pragma GCC unroll 4
		for (int s = 0; s < reads; s++)
			sums->v[(which * VECTORS * reads + i * reads + s) % SUMS] ^= *(const VEC *)(streams[s] + offset);
#pragma GCC unroll 4
		for (int s = reads; s < reads + writes; s++)
			NAME(store)(streams[s] + offset, value, nontemporal);
	}
}

TARGET INLINE uint64_t NAME(fold)(const struct NAME(sums) *sums)
{
	VEC all = sums->v[0];
	uint64_t sum = 0;

	/* Unrolled, so that the sums are never an array in memory. */
#pragma GCC unroll 8
	for (int i = 1; i < SUMS; i++)
		all ^= sums->v[i];
#if BITS == 64
	sum = all;
#else
	for (unsigned int i = 0; i < BITS / 64; i++)
		sum ^= all[i];
#endif
	return sum;
}

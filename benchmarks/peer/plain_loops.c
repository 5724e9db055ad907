// SPDX-License-Identifier: MIT
/*
 * The loops that likwid-bench has for these operations, over one stream after the other and without prefetch,
 * four vectors a turn: what a simple loop does of the very memory that hmexp's loops go over. BITS is the width
 * of a vector. Loads that nothing is done with are loads all the same, as they are there.
 */
#include <immintrin.h>
#include <stdint.h>
#include <time.h>

#if BITS == 512
#define VECTOR __m512d
#define LOAD(p) _mm512_load_pd(p)
#define STORE(p, v) _mm512_store_pd(p, v)
#define STREAM(p, v) _mm512_stream_pd(p, v)
#define SET(x) _mm512_set1_pd(x)
#define ADD(a, b) _mm512_add_pd(a, b)
#define MUL(a, b) _mm512_mul_pd(a, b)
#elif BITS == 256
#define VECTOR __m256d
#define LOAD(p) _mm256_load_pd(p)
#define STORE(p, v) _mm256_store_pd(p, v)
#define STREAM(p, v) _mm256_stream_pd(p, v)
#define SET(x) _mm256_set1_pd(x)
#define ADD(a, b) _mm256_add_pd(a, b)
#define MUL(a, b) _mm256_mul_pd(a, b)
#else
#define VECTOR __m128d
#define LOAD(p) _mm_load_pd(p)
#define STORE(p, v) _mm_store_pd(p, v)
#define STREAM(p, v) _mm_stream_pd(p, v)
#define SET(x) _mm_set1_pd(x)
#define ADD(a, b) _mm_add_pd(a, b)
#define MUL(a, b) _mm_mul_pd(a, b)
#endif

enum { LANES = sizeof(VECTOR) / sizeof(double), TURN = 4 * LANES };

/* In a register, and no more. */
#define KEEP(v) __asm__ volatile("" : : "x"(v))

/* Four times the same for four vectors in a row. */
#define TURN_OF(statement)                                                            \
	do {                                                                          \
		for (uint64_t i = 0; i < n; i += TURN) {                              \
			_Pragma("GCC unroll 4")                                       \
			for (int j = 0; j < TURN; j += LANES)                         \
				statement;                                            \
		}                                                                     \
	} while (0)

static void pass(int operation, double *a, const double *b, const double *c, uint64_t n)
{
	const VECTOR one = SET(1.0), factor = SET(3.0);

	switch (operation) {
	case 0:		/* read */
		TURN_OF(KEEP(LOAD(a + i + j)));
		break;
	case 1:		/* write */
		TURN_OF(STORE(a + i + j, one));
		break;
	case 2:		/* write_nt */
		TURN_OF(STREAM(a + i + j, one));
		break;
	case 3:		/* copy */
		TURN_OF(STORE(a + i + j, LOAD(b + i + j)));
		break;
	case 4:		/* copy_nt */
		TURN_OF(STREAM(a + i + j, LOAD(b + i + j)));
		break;
	case 5:		/* triad */
		TURN_OF(STORE(a + i + j, ADD(MUL(LOAD(b + i + j), factor), LOAD(c + i + j))));
		break;
	case 6:		/* triad_nt */
		TURN_OF(STREAM(a + i + j, ADD(MUL(LOAD(b + i + j), factor), LOAD(c + i + j))));
		break;
	}
}

/*
 * @a, @b, @c: parts of one mapping, @bytes long each, a multiple of four vectors; @b and @c may be unused.
 * Returns how long it took [ns].
 */
int64_t plain_run(int operation, double *a, const double *b, const double *c, uint64_t bytes)
{
	struct timespec before, after;

	clock_gettime(CLOCK_MONOTONIC, &before);
	pass(operation, a, b, c, bytes / sizeof(double));
	_mm_sfence();
	clock_gettime(CLOCK_MONOTONIC, &after);
	return (after.tv_sec - before.tv_sec) * INT64_C(1000000000) + after.tv_nsec - before.tv_nsec;
}

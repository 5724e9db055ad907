/* SPDX-License-Identifier: MIT */
/*
 * Includes TEMPLATE once per vector width. Defined for it:
 *
 *   BITS			width of a vector
 *   TARGET			attribute that lets the compiler use it
 *   NAME(x)			x with a suffix of its own
 *   STREAM(at, vector)		non-temporal store; undefined where there is none
 *
 * This file has no guard: it may be included for one template after the other.
 */
#if defined(__x86_64__)
#include <immintrin.h>
#endif

/* Plain C, for any CPU; without non-temporal stores, which C cannot say. */
#define BITS 64
#define TARGET
#define NAME(x) x##_64
#include TEMPLATE
#undef BITS
#undef TARGET
#undef NAME
#undef STREAM

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
#include TEMPLATE
#undef BITS
#undef TARGET
#undef NAME
#undef STREAM
#endif

#if defined(__x86_64__)
#define BITS 256
#define TARGET __attribute__((target("avx2")))
#define NAME(x) x##_256
#define STREAM(at, vector) _mm256_stream_si256((__m256i *)(at), (__m256i)(vector))
#include TEMPLATE
#undef BITS
#undef TARGET
#undef NAME
#undef STREAM

#define BITS 512
#define TARGET __attribute__((target("avx512f")))
#define NAME(x) x##_512
#define STREAM(at, vector) _mm512_stream_si512((__m512i *)(at), (__m512i)(vector))
#include TEMPLATE
#undef BITS
#undef TARGET
#undef NAME
#undef STREAM
#endif

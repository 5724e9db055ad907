/* SPDX-License-Identifier: MIT */
/* xoshiro256** 1.0 by D. Blackman and S. Vigna, seeded by splitmix64, both in the public domain. */
#ifndef HMEXP_RANDOM_H
#define HMEXP_RANDOM_H

#include "core.h"

struct hm_random {
	uint64_t s[4];
};

static inline void hm_random_seed(struct hm_random *random, uint64_t seed)
{
	for (int i = 0; i < 4; i++) {
		uint64_t z = seed += 0x9e3779b97f4a7c15u;

		z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
		z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
		random->s[i] = z ^ (z >> 31);
	}
}

static inline uint64_t hm_rotate(uint64_t x, int k)
{
	return (x << k) | (x >> (64 - k));
}

static inline uint64_t hm_random_next(struct hm_random *random)
{
	uint64_t *s = random->s;
	uint64_t result = hm_rotate(s[1] * 5, 7) * 9, t = s[1] << 17;

	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= t;
	s[3] = hm_rotate(s[3], 45);
	return result;
}

/* 0..bound-1. The bias of at most bound/2^64 is of no account for a permutation of lines. */
static inline uint64_t hm_random_below(struct hm_random *random, uint64_t bound)
{
	return (uint64_t)((unsigned __int128)hm_random_next(random) * bound >> 64);
}

#endif

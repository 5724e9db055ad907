/* SPDX-License-Identifier: MIT */
/*
 * The loops over memory, once per vector width. Defined by the includer: BITS, TARGET, NAME(x).
 * Vectors of GCC's own, so that one text serves x86-64 and aarch64; a CPU without registers of that
 * width would be given several narrower loads, never a wrong result.
 */
typedef uint64_t NAME(vec) __attribute__((vector_size(BITS / 8), may_alias));

/* Eight independent accumulators: the loads must not wait for each other. */
TARGET static uint64_t NAME(read)(const void *memory, uint64_t bytes)
{
	const NAME(vec) *at = memory;
	const NAME(vec) *end = at + bytes / sizeof(*at);
	NAME(vec) a = { 0 }, b = a, c = a, d = a, e = a, f = a, g = a, h = a;
	uint64_t sum = 0;

	for (; at < end; at += 8) {
		a ^= at[0];
		b ^= at[1];
		c ^= at[2];
		d ^= at[3];
		e ^= at[4];
		f ^= at[5];
		g ^= at[6];
		h ^= at[7];
	}
	a ^= b ^ c ^ d ^ e ^ f ^ g ^ h;
	for (unsigned int i = 0; i < BITS / 64; i++)
		sum ^= a[i];
	return sum;
}

TARGET static void NAME(write)(void *memory, uint64_t bytes, uint64_t value)
{
	NAME(vec) *at = memory;
	NAME(vec) *end = at + bytes / sizeof(*at);
	const NAME(vec) vector = (NAME(vec)){ 0 } + value;

	for (; at < end; at += 8) {
		at[0] = vector;
		at[1] = vector;
		at[2] = vector;
		at[3] = vector;
		at[4] = vector;
		at[5] = vector;
		at[6] = vector;
		at[7] = vector;
	}
	/* The stores are to be made, although nobody here reads them. */
	__asm__ volatile("" : : "r"(memory) : "memory");
}

#undef BITS
#undef TARGET
#undef NAME

/* SPDX-License-Identifier: MIT */
#ifndef HMEXP_FENCES_H
#define HMEXP_FENCES_H

/* Returns once the stores before it can be seen by all, non-temporal ones included. */
static inline void hm_store_fence(void)
{
#if defined(__x86_64__)
	__asm__ volatile("sfence" : : : "memory");
#elif defined(__aarch64__)
	__asm__ volatile("dsb ishst" : : : "memory");
#else
	__sync_synchronize();
#endif
}

#endif

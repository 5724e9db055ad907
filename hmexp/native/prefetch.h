/* SPDX-License-Identifier: MIT */
#ifndef HMEXP_PREFETCH_H
#define HMEXP_PREFETCH_H

/* A line that a store will write: it is fetched to be owned. */
#if defined(__x86_64__)
/* The compiler writes it only for CPUs that promise it; the others take it for nothing. */
#define PREFETCH_WRITE(at) __asm__ volatile("prefetchw %0" : : "m"(*(const char *)(at)))
#else
#define PREFETCH_WRITE(at) __builtin_prefetch((at), 1)
#endif

#endif

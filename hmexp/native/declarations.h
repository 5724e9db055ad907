/* SPDX-License-Identifier: MIT */
/*
 * Everything that Python may call. Plain declarations only: cffi reads this file as it stands
 * (build_core.py), and every .c file includes it through core.h.
 *
 * Functions return 0 or a negative errno, unless said otherwise. None of them touches Python, so
 * cffi releases the interpreter lock around each call.
 */

/* ---- clock.c ---- */
int64_t hm_now_ns(void);		/* CLOCK_MONOTONIC_RAW */
double hm_ticks_per_ns(void);		/* of the clock that the emulation spins on */
int hm_ticks_are_tsc(void);		/* 1: the invariant TSC; 0: clock_gettime */
void hm_hypervisor(char out[16]);	/* CPUID's hypervisor signature, or an empty string */

/* ---- process.c ---- */
int hm_die_with_parent(void);		/* SIGKILL for us when the thread that started us ends */

/* ---- pages.c ---- */
struct hm_layout {			/* page p of the region is on nodes[(p / granule_pages) % entries] */
	const int32_t *nodes;
	uint64_t entries;
	uint64_t granule_pages;
	uint64_t pages;
	uint64_t page_bytes;
};

int hm_map(uint64_t bytes, uint64_t page_bytes, uint64_t align, int huge, int fd, void **base);
int hm_unmap(void *base, uint64_t bytes, uint64_t page_bytes);
int hm_populate(void *base, uint64_t bytes, uint64_t page_bytes);
int hm_first_touch(void *base, const struct hm_layout *layout, int node);
int hm_move(void *base, const struct hm_layout *layout, int retries, int64_t *requested,
	    int64_t failures[256]);
int hm_settle(void *base, uint64_t bytes, const struct hm_layout *layout);
int hm_query(const void *base, uint64_t first_page, uint64_t pages, uint64_t page_bytes, int32_t *nodes);

/* ---- model.c: emulated nodes ---- */
struct hm_model {
	int nodes;			/* how many nodes are modelled, at most 64 */
	const double *read_ns_per_byte;	/* of each node, shared by all threads */
	const double *write_ns_per_byte;
	const double *latency_ns;	/* of a dependent load */
	uint64_t window_bytes;		/* traffic that one thread may have under way */
	const uint8_t *entry_node;	/* modelled node (0..nodes-1) of each entry of the pattern */
	uint64_t entries;
	uint64_t granule_bytes;
};

/* ---- bandwidth.c ---- */
enum hm_operation { HM_READ, HM_WRITE };

struct hm_slice {
	uint64_t offset;
	uint64_t bytes;			/* a multiple of 4096 */
	int32_t cpu;
};

int hm_vector_bits(void);		/* widest that this CPU has: 512, 256 or 128 */
int hm_bandwidth(void *base, const struct hm_slice *slices, int threads, int operation, int vector_bits,
		 uint64_t passes, int samples, const struct hm_model *model,
		 int64_t *start_ns, int64_t *end_ns, uint64_t *checksum);

/* ---- chase.c ---- */
int hm_ring_build(void *base, uint64_t bytes, uint64_t spacing_bytes, uint64_t seed,
		  const struct hm_model *model, uint64_t *lines);
int hm_ring_walk(const void *base, int cpu, uint64_t limit, uint64_t *length);
int hm_chase(const void *base, int cpu, uint64_t hops, int samples, const struct hm_model *model,
	     int64_t *elapsed_ns, uint64_t *end_offset);

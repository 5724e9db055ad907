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
int hm_clock_check(uint64_t span_ns, double *drift, double *read_ns);
void hm_hypervisor(char out[16]);	/* CPUID's hypervisor signature, or an empty string */

/* ---- process.c ---- */
enum hm_call { HM_CALL_GET_MEMPOLICY, HM_CALL_SET_MEMPOLICY, HM_CALL_MBIND, HM_CALL_MOVE_PAGES,
	       HM_CALL_MIGRATE_PAGES, HM_CALL_USERFAULTFD, HM_CALL_PERF_EVENT_OPEN, HM_CALL_MADVISE, HM_CALL_MLOCK };

int hm_try_call(int call);		/* a system call with arguments that no kernel takes: its answer is the kernel's */
int hm_die_with_parent(void);		/* SIGKILL for us when the thread that started us ends */
uint32_t hm_sources_crc(void);		/* returns fingerprint.py's number of the files that this was built from */

/* ---- spawn.c ---- */
enum hm_policy { HM_POLICY_AS_IS, HM_POLICY_LOCAL, HM_POLICY_PREFER, HM_POLICY_EVENLY, HM_POLICY_WEIGHTED };
enum hm_stage { HM_STAGE_FORK, HM_STAGE_POLICY, HM_STAGE_HUGE, HM_STAGE_EXEC };

struct hm_spawn {			/* a program that is not ours, and what it inherits */
	const char *path;		/* with a slash */
	const char *const *argv;	/* ends with NULL, as does the next */
	const char *const *environment;
	int policy;
	const int32_t *nodes;		/* of the policy */
	uint64_t node_count;
	int without_huge;		/* no transparent huge pages */
	int held;			/* it waits for hm_spawn_go() before it becomes the program */
};

struct hm_spawned {
	int pid, stage;
	int gate, out;			/* spawn.c's */
};

struct hm_signal {
	int32_t number;
	int32_t code;			/* si_code: SI_KERNEL for the terminal's */
	int32_t pid;			/* who sent it, if a process did */
};

int hm_spawn(const struct hm_spawn *how, struct hm_spawned *child);
int hm_spawn_go(struct hm_spawned *child);	/* always call it after hm_spawn(); one that fails is not reaped */
int hm_signals_watch(const int32_t *numbers, uint64_t count, int *fd);	/* *fd: a struct hm_signal for each */
int hm_signals_leave(int fd);

/* ---- exit_stop.c: of a child of ours, all by one thread ---- */
int hm_exit_stop_seize(int pid);
int hm_exit_stop_wait(int pid, int *stopped);	/* *stopped: 1 in its exit, 0 if it has ended; not reaped */
int hm_exit_stop_release(int pid);

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
int hm_advise(void *base, uint64_t bytes, int advice);
int hm_move(void *base, const struct hm_layout *layout, uint64_t stride, int retries, int64_t limit_ns,
	    int64_t *requested, int64_t failures[256]);
int hm_query(const void *base, uint64_t first_page, uint64_t pages, uint64_t page_bytes, int32_t *nodes);

/* ---- touch.c ---- */
int hm_populate(void *base, uint64_t bytes, uint64_t page_bytes);
int hm_first_touch(void *base, const struct hm_layout *layout, int node, int threads, const int32_t *cpus);
int hm_drop(void *base, uint64_t bytes, int threads, const int32_t *cpus);

/* ---- where.c ---- */
enum {
	HM_MAX_NODES = 1024,
	HM_MAX_ERRNO = 256,
};

struct hm_frames {			/* which node each frame of physical memory is on */
	int pagemap_fd;			/* /proc/self/pagemap; without frames, blocks is 0 */
	uint64_t block_shift;		/* a block is so many frames, as a power of two */
	uint64_t blocks;
	const int16_t *block_node;	/* the node of each block; negative where it is not known */
};

struct hm_where {
	int64_t nodes[1024];		/* pages on each node */
	int64_t absent[256];		/* pages on none, by errno */
	int64_t misplaced;
	int64_t first_misplaced;
	int64_t asked;			/* pages that move_pages was asked about */
	int64_t shared;			/* anonymous pages whose frame is mapped more than once */
	int64_t first_shared;
	int64_t unmapped;		/* absent pages that pagemap has an entry of swap for: not in memory, ... */
	uint64_t unmapped_entry;	/* ... of the first of them, with type and offset where frames are shown */
	int64_t tried_again;		/* pages asked about again, because they were on the move */
	int64_t frames;			/* pages whose frame was shown ... */
	int64_t frame_runs;		/* ... and runs of frames that follow each other, page by page of a node */
	uint64_t last_frame[1024];	/* of each node */
};

int hm_where(const void *base, const struct hm_layout *layout, const struct hm_frames *frames,
	     uint64_t first_page, uint64_t pages, struct hm_where *where);

/* ---- mover.c: another process ---- */
enum { HM_UNWRITTEN = -4096 };		/* no errno: a status that the kernel did not write */

int hm_move_foreign(int pid, uint64_t count, const uint64_t *addresses, const int32_t *nodes, int32_t *status,
		    int everybody, int64_t *taken_ns);	/* returns what move_pages(2) returns, or a negative errno */
int64_t hm_split_foreign(int pidfd, uint64_t count, const uint64_t *addresses, uint64_t page_bytes);	/* a count */
/* ---- foreign.c, stretches.c: the pages of any process ---- */
enum {					/* what is known of a page of another process */
	HM_PAGE_PRESENT = 1,
	HM_PAGE_SWAPPED = 2,
	HM_PAGE_FILE = 4,		/* of a file or of shared memory */
	HM_PAGE_SHARED = 8,		/* mapped more than once */
	HM_PAGE_HUGE = 16,		/* mapped by an entry of the level above the pages' */
	HM_PAGE_ZERO = 32,		/* the zero page: nobody's memory */
	HM_PAGE_OTHER = 64,		/* merged by KSM; or no memory of a node; or, absent, poisoned or on the move */
};

enum {					/* in place of a node */
	HM_NODE_NONE = -1,
	HM_NODE_HIDDEN = -2,
};

struct hm_sight {			/* what the pages of a process are seen by */
	int32_t pid;
	int32_t pagemap_fd;
	int32_t kpageflags_fd;		/* negative: not readable */
	int32_t frames_shown;
	int32_t merging;		/* KSM has merged pages of some process, and kpageflags tells which */
	uint64_t categories;		/* of PAGEMAP_SCAN, as hm_scan_categories() returned them; 0: none */
	uint64_t page_bytes;
	uint64_t huge_bytes;		/* of an entry of the level above the pages' */
	uint64_t block_shift;		/* as in struct hm_frames */
	uint64_t blocks;
	const int16_t *block_node;
};

struct hm_seen {			/* added to by each scan */
	int64_t asked;			/* pages that move_pages was asked about */
	int64_t unanswered;		/* of them, those whose status the kernel left as it was */
	int64_t tried_again;
	int32_t refused;		/* errno of move_pages; the pages are hidden then */
};

struct hm_stretch {
	uint64_t start;			/* an address */
	uint64_t stop;
	uint64_t categories;
};

int hm_tells_merged(int kpageflags_fd);	/* returns 1 unless the kernel says of all anonymous pages that KSM merged them */
int hm_frames_shown(void);		/* returns 1 if pagemap shows us frames */
int64_t hm_scan_categories(int pagemap_fd, uint64_t wanted);	/* returns those that the kernel knows; 0: no such call */
int64_t hm_stretches(int pagemap_fd, uint64_t categories, uint64_t start, uint64_t stop, uint64_t gap_bytes,
		     struct hm_stretch *out, uint64_t room);	/* returns the count; room of them: there may be more */
int hm_foreign_scan(const struct hm_sight *sight, uint64_t start, uint64_t pages, int16_t *nodes, uint8_t *flags,
		    struct hm_seen *seen);
int hm_same_memory(int32_t first, int32_t second);	/* returns 1 if two processes have one address space */

/* ---- mempolicy.c ---- */
enum hm_spreading { HM_SPREAD_ANY, HM_SPREAD_EVENLY, HM_SPREAD_WEIGHTED };

uint64_t hm_count_runs(const struct hm_layout *layout);	/* returns the count */
int hm_bind_runs(void *base, const struct hm_layout *layout);
int hm_bind_file(int fd, const struct hm_layout *layout, uint64_t window_pages);
int hm_spread(void *base, uint64_t bytes, const struct hm_layout *layout, int how);

/* ---- userfaultfd.c ---- */
struct hm_handler;

int hm_userfaultfd_open(int *fd);
int hm_handler_start(void *base, const struct hm_layout *layout, struct hm_handler **out);
int hm_handler_settle(struct hm_handler *handler);
int64_t hm_handler_faults(const struct hm_handler *handler);	/* returns the count */
int hm_handler_stop(struct hm_handler *handler);
void hm_touch(void *base, uint64_t first_page, uint64_t pages, uint64_t page_bytes);

/* ---- model.c: emulated nodes ---- */
struct hm_map {				/* which node each granule of a region is on, from 0 up */
	const uint8_t *entry_node;
	uint64_t entries;
	uint64_t granule_bytes;
};

struct hm_lanes {			/* what carries a node's traffic, each a server of its own; 0: costs nothing */
	double toward_ns_per_byte;	/* data of writes, on the direction to the memory */
	double request_ns_per_byte;	/* on the same direction, for what is read */
	double back_ns_per_byte;	/* data of reads, on the direction from the memory */
	double completion_ns_per_byte;	/* on the same direction, for what is written */
	double turn_ns_per_byte;	/* of the medium between reads and writes; see model.h */
};

enum { HM_CURVE_SHARES = 21, HM_CURVE_STEPS = 65 };	/* from 0 to 1 both: of reads, and of what a node can carry */

struct hm_model {
	int nodes;			/* how many nodes are modelled, at most 64 */
	const double *read_ns_per_byte;	/* of each node, shared by all threads */
	const double *write_ns_per_byte;
	const double *write_nt_ns_per_byte;
	const double *latency_ns;	/* of a dependent load */
	const double *store_nt_ns;	/* of a non-temporal store and a fence */
	const double *store_flush_ns;	/* of a store, a flush of its line and a fence */
	const struct hm_lanes *lanes;	/* of each node; all 0, or NULL: one queue with the rates above */
	const double *curves_ns;	/* latency under load, shares x steps for each node; 0: that of the queue. Or NULL */
	uint64_t chunk_bytes;		/* what a thread asks a node for at a time */
	uint64_t window_bytes;		/* traffic that one thread may have under way */
};

/* ---- operations.c ---- */
struct hm_operation {			/* per payload: loads + stores; see operations.h */
	const char *name;
	int32_t loads;
	int32_t stores;
	int32_t write_allocates;	/* lines read by the bus alone, because they are written to */
	int32_t nontemporal;
};

int hm_operation_count(void);		/* returns the count */
const struct hm_operation *hm_operation(int operation);
int hm_vector_bits(void);		/* widest that this CPU has: 512, 256 or 128; 64 for plain C */

/* ---- shapes.c ---- */
struct hm_shape {			/* how a loop walks */
	const char *name;
	int32_t places;			/* that it goes along at once, hm_job's distance apart */
	int32_t lines;			/* of each place in a turn */
	int32_t ahead_bytes;		/* how far loads are prefetched; 0: not at all */
	int32_t write_ahead_bytes;	/* the same for stores */
};

int hm_shape_count(void);		/* returns the count; the first is plain, the loop that every operation has */
const struct hm_shape *hm_shape(int shape);
int hm_shape_able(int operation, int bits, int shape);

/* ---- bandwidth.c ---- */
enum hm_access { HM_SEQUENTIAL, HM_RANDOM_LINES, HM_RANDOM_GRANULES, HM_STRIDED };

struct hm_slice {
	uint64_t offset;
	uint64_t part_bytes;		/* of each stream of the operation; a multiple of 4096 */
	uint64_t apart_bytes;		/* from one stream to the next: at least as much; a multiple of 4096 */
	int32_t cpu;
};

struct hm_job {
	int32_t operation;
	int32_t vector_bits;
	int32_t access;			/* enum hm_access */
	int32_t shared;			/* all threads take granules of the first slice in turn */
	int32_t threads;
	int32_t samples;
	int32_t warm;			/* the same was gone over just before */
	int32_t shape;
	uint64_t distance_bytes;	/* of the shape's places; a multiple of 128. Shorter pieces are walked plainly */
	uint64_t passes;
	uint64_t granule_bytes;		/* of random granules and of shared ones */
	uint64_t stride_bytes;
	uint64_t window_bytes;		/* of the profile along the region; 0: none is taken */
	uint64_t seed;
};

struct hm_sample {			/* one thread in one sample */
	int64_t start_ns;
	int64_t end_ns;
	int64_t off_cpu_ns;		/* of that time, how long the thread did not run */
	int64_t preempted;		/* involuntary context switches */
	int64_t migrated;		/* it ended on another CPU */
	int64_t stolen_ns;		/* by the hypervisor, of this CPU; in steps of a clock tick */
	int64_t waited_ns;		/* for modelled nodes */
	int64_t payload_bytes;
};

int hm_bandwidth(void *base, const struct hm_slice *slices, const struct hm_job *job,
		 const struct hm_model *model, const struct hm_map *map, struct hm_sample *samples,
		 int64_t *window_ns, uint64_t *checksum);

/* ---- ring.c ---- */
struct hm_ring {
	uint64_t bytes;
	uint64_t spacing_bytes;		/* from line to line */
	uint64_t window_bytes;		/* all lines of a window, in random order, then the next window */
	uint64_t seed;
	int32_t ordered;		/* lines in ascending order, to show what prefetchers make of it */
	int32_t node;			/* only lines of this node of the map; -1: all */
};

int hm_ring_build(void *base, const struct hm_ring *ring, const struct hm_map *map, int threads,
		  const int32_t *cpus, int *marks, uint64_t *offsets, uint64_t *lines);

/* ---- ring_walk.c ---- */
int hm_ring_walk(const void *base, const struct hm_ring *ring, int threads, const int32_t *cpus, int marks,
		 const uint64_t *offsets, uint64_t limit, uint64_t *length);

/* ---- chase.c ---- */
int hm_chase(const void *base, int cpu, int chains, uint64_t *offsets, uint64_t hops, int samples,
	     const struct hm_model *model, struct hm_sample *taken);
int hm_chase_blocks(const void *base, int cpu, uint64_t *offset, uint64_t hops, uint64_t blocks,
		    const struct hm_model *model, double *block_ns);

/* ---- tail.c ---- */
#define HM_TAIL_BUCKETS 1024

uint64_t hm_tail_edge(unsigned int bucket);
int hm_chase_tail(const void *base, int cpu, uint64_t *offset, uint64_t turns, int samples, unsigned int nodes,
		  const struct hm_model *model, uint64_t *counts, struct hm_sample *taken, uint64_t *cost);

/* ---- store_latency.c ---- */
enum hm_store { HM_STORE_NT_FENCE, HM_STORE_FLUSH_FENCE };

int hm_store_latency(void *base, uint64_t bytes, int cpu, int kind, uint64_t stores, int samples, uint64_t seed,
		     const struct hm_model *model, const struct hm_map *map, struct hm_sample *taken);

/* ---- loaded.c ---- */
struct hm_blend {			/* bursts of another operation among the load's; both have one stream */
	int32_t operation;
	int32_t of_thousand;		/* so many bursts of a thousand are of it */
};

struct hm_tally {			/* single loads under load */
	unsigned int nodes;
	uint64_t *counts;		/* zeroed: [sample][node][HM_TAIL_BUCKETS] */
	uint64_t cost;			/* out: ticks that were taken off each */
};

int hm_loaded(const void *probe, int probe_cpu, uint64_t *offset, uint64_t hops, void *load,
	      const struct hm_slice *slices, const struct hm_job *job, const struct hm_blend *blend,
	      uint64_t burst_bytes, uint64_t delay_ns, const struct hm_model *model, const struct hm_map *load_map,
	      struct hm_sample *taken, int64_t *load_bytes, struct hm_tally *tally);

/* ---- replay.c: the model alone, in a time of its own ---- */
struct hm_replay {
	int32_t operation;		/* of the load */
	int32_t threads;		/* that load; 0: the chase alone */
	struct hm_blend blend;
	uint64_t delay_ns;
	uint64_t burst_bytes;
	uint64_t hops;			/* of the chase; 0: only load, so many bursts of each thread: */
	uint64_t bursts;
};

int hm_replay(const struct hm_replay *replay, const struct hm_model *model, const struct hm_map *map,
	      double *gbps, double *latency_ns);

/* ---- gaps.c ---- */
enum { HM_GAP_BUCKETS = 24 };

struct hm_watch {
	int64_t span_ns;		/* how long to watch */
	int64_t threshold_ns;		/* readings of the clock further apart are a gap */
	int64_t window_ns;		/* the time of a sample of a measurement */
	int64_t window_lost_ns;		/* a window that lost more is counted */
};

struct hm_gaps {			/* one CPU */
	struct hm_sample sample;	/* start, end, time off the CPU, preemptions, stolen time */
	int64_t count;
	int64_t lost_ns;		/* all gaps together */
	int64_t longest_ns;
	int64_t windows;
	int64_t windows_lost;
	int64_t buckets[24];		/* gaps below 1 us, then below 2, 4, 8 us ...; the last has all others */
};

int hm_watch(int threads, const int32_t *cpus, const struct hm_watch *asked, struct hm_gaps *gaps);

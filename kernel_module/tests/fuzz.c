// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * fuzz [OPERATIONS] [SEED] [PROCESSES]: system calls at random, on all that the
 * module answers.
 *
 * Process i of those works with the seed SEED + i: which operation comes, with
 * which arguments, follows from the seed and a running number alone, so that
 * `fuzz OPERATIONS SEED+i 1` does the same again.  What the other processes, the
 * disturber (none with FUZZ_ALONE=1) and the kernel do meanwhile does not.
 *
 * Each process knows what every page of its regions holds, of shared and of
 * private mappings, and which signal or errno is due; see fuzz.h.
 *
 * Most operations touch few pages: what one of them leaves behind is found by
 * another, so many small ones find more than few large ones.  With FUZZ_TIMES=1
 * it says what each kind costs, with FUZZ_SECONDS=N it ends after so long.
 */
#include <assert.h>
#include <pthread.h>
#include <sys/resource.h>

#include "fuzz.h"

#define PROCESSES_MOST	16
#define PATIENCE	20	/* seconds until nothing may be left */
#define PACE		150	/* operations of workers for one of the disturber */

static const struct op ops[] = {
	{ "open", WORKER, 1200, op_open },
	{ "close", WORKER, 400, op_close },
	{ "write", CHILD, 4000, op_write },
	{ "writev", CHILD, 3000, op_writev },
	{ "write of garbage", CHILD, 1000, op_write_garbage },
	{ "read", CHILD, 3000, op_read },
	{ "readv", CHILD, 2000, op_readv },
	{ "set configuration", CHILD, 4000, op_set_config },
	{ "get configuration", CHILD, 2000, op_get_config },
	{ "set pattern", CHILD, 3000, op_set_pattern },
	{ "get pattern", CHILD, 2000, op_get_pattern },
	{ "punch", CHILD, 4000, op_punch },
	{ "ioctl of garbage", CHILD, 3000, op_ioctl_garbage },
	{ "fallocate", CHILD, 2000, op_fallocate },
	{ "ftruncate", CHILD, 1000, op_truncate },
	{ "lseek", CHILD, 1000, op_seek },
	{ "fsync", CHILD, 1000, op_fsync },
	{ "msync", CHILD, 2000, op_sync },
	{ "mmap", CHILD, 6000, op_map },
	{ "mmap over a mapping", CHILD, 1500, op_fill },
	{ "mmap anywhere", CHILD, 1500, op_anywhere },
	{ "mmap at the end", CHILD, 400, op_edge },
	{ "munmap", CHILD, 4000, op_unmap },
	{ "mremap", CHILD, 4000, op_remap },
	{ "mprotect", CHILD, 5000, op_protect },
	{ "mlock", CHILD, 1500, op_lock },
	{ "madvise", CHILD, 8000, op_advise },
	{ "soft offline", CHILD, 10, op_soft_offline },
	{ "reads", CHILD, 20000, op_touch_read },
	{ "writes", CHILD, 20000, op_touch_write },
	{ "copies in", CHILD, 4000, op_copy_in },
	{ "copies out", CHILD, 4000, op_copy_out },
	{ "common region", CHILD, 6000, op_common },
	{ "races", CHILD, 2000, op_race },
	{ "changes by a second thread", THREAD, 0, NULL },
	{ "userfaultfd", WORKER, 300, op_userfault },
	{ "placement", WORKER, 300, op_placed },
	{ "move_pages", CHILD, 60, op_move_pages },
	{ "mbind", CHILD, 400, op_mbind },
	{ "migrate_pages", WORKER, 5, op_migrate },
	{ "memory policy", CHILD, 1000, op_policy },
	{ "looks", CHILD, 500, op_look },
	{ "memory cgroup", WORKER, 8, op_limit },
	{ "fork", WORKER, 200, op_fork },
	{ "parameter ahead", DISTURBER, 1500, op_ahead },
	{ "other parameters", DISTURBER, 1500, op_parameter },
	{ "wrong parameters", DISTURBER, 500, op_bad_parameter },
	{ "unload", DISTURBER, 1400, op_unload },
	{ "offline", DISTURBER, 10, op_offline },
	{ "online", DISTURBER, 25, op_online },
	{ "a full node", DISTURBER, 4, op_fill_node },
	{ "compaction", DISTURBER, 10, op_compact },
	{ "KSM", DISTURBER, 50, op_merge },
};

static_assert(ARRAY(ops) <= OPS_MOST, "each operation has its place in a tally");

static struct tally *tallies;			/* the last one is the disturber's */
static bool *over;				/* shared: the workers have ended */
static unsigned int ends[THREAD][OPS_MOST];	/* of the weights, summed */
static bool timed;
static double ends_at;		/* FUZZ_SECONDS: then, whatever is done; or 0 */

static bool may(enum who who, const struct op *op)
{
	return who == DISTURBER || op->who >= DISTURBER ? op->who == who :
							  op->who >= who;
}

static void sum_weights(void)
{
	unsigned long who, i;

	for (who = 0; who < THREAD; who++)
		for (i = 0; i < ARRAY(ops); i++)
			ends[who][i] = (i ? ends[who][i - 1] : 0) +
				       (may(who, &ops[i]) ? ops[i].weight : 0);
}

static unsigned long cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return t.tv_sec * 1000000000UL + t.tv_nsec;
}

/* Do the operation, and count it. */
static void run(unsigned long i)
{
	unsigned long began = 0;
	int err;

	if (timed)
		began = cpu_ns();
	errno = 0;
	err = ops[i].run();
	if (timed)
		tally->cpu_ns[i] += cpu_ns() - began;
	if (err == NOTHING)
		return;
	if (err < -ERRNO_MOST)
		err = -(ERRNO_MOST - 1);
	tally->done[i]++;
	tally->total++;
	if (err < 0)
		tally->failed[i][-err]++;
}

/* Draw an operation that this process may do. */
void one_operation(enum who who)
{
	unsigned long i = 0, n = below(ends[who][ARRAY(ops) - 1]);

	while (ends[who][i] <= n)
		i++;
	run(i);
}

static void work(unsigned long operations, bool with_thread)
{
	volatile bool stop = false;
	pthread_t thread;

	catch_signals();
	if (with_thread)
		pthread_create(&thread, NULL, other_thread, (void *)&stop);
	while (tally->total < operations) {
		draw_from(seed, ++tally->attempt);
		one_operation(WORKER);
		if (ends_at && !(tally->attempt % 256) && seconds() > ends_at)
			break;
	}
	stop = true;
	if (with_thread)
		pthread_join(thread, NULL);
	limit_ends();
	fflush(stdout);
	_exit(0);
}

static unsigned long done_by_all(long processes)
{
	unsigned long sum = 0;
	long p;

	for (p = 0; p < processes; p++)
		sum += *(volatile unsigned long *)&tallies[p].total;
	return sum;
}

/*
 * Each of its operations once, for some are rare; then at random, in step with what
 * the others do.  By time it would take all of a processor that is shared.
 */
static void disturb(long processes)
{
	unsigned long i, next = 0;

	catch_signals();
	for (i = 0; i < ARRAY(ops); i++) {
		if (ops[i].who != DISTURBER)
			continue;
		draw_from(seed, ++tally->attempt);
		run(i);
	}
	while (!*(volatile bool *)over) {
		draw_from(seed, ++tally->attempt);
		one_operation(DISTURBER);
		next += PACE;
		while (!*(volatile bool *)over && done_by_all(processes) < next)
			usleep(20000);
	}
	fflush(stdout);
	_exit(0);
}

static void *shared_memory(unsigned long bytes)
{
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED)
		bail_out("mmap: %s", strerror(errno));
	return at;
}

/* Process i of so many; the one after the last disturbs them. */
static pid_t start(long i, long processes, unsigned long from,
		   unsigned long operations)
{
	pid_t pid = fork();

	if (pid < 0)
		bail_out("fork: %s", strerror(errno));
	if (pid)
		return pid;
	seed = from + i;
	tally = &tallies[i];
	stores = shared_memory(STORES * sizeof(*stores));
	if (i == processes)
		disturb(processes);
	work(operations, i & 1);
	return 0;
}

/* ----------------------------------------------------------------- totals -- */

static const char *errno_name(int err)
{
	static char number[16];

#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 32)
	if (strerrorname_np(err))
		return strerrorname_np(err);
#endif
	snprintf(number, sizeof(number), "%d", err);
	return number;
}

static unsigned long print_kind(unsigned long i, long processes)
{
	unsigned long done = 0, ns = 0, failed[ERRNO_MOST] = { 0 };
	char line[1024];
	int n = 0, e;
	long p;

	for (p = 0; p < processes; p++) {
		done += ops[i].who == THREAD ? tallies[p].by_thread :
					       tallies[p].done[i];
		ns += tallies[p].cpu_ns[i];
		for (e = 0; e < ERRNO_MOST; e++)
			failed[e] += tallies[p].failed[i][e];
	}
	line[0] = 0;
	for (e = 0; e < ERRNO_MOST; e++)
		if (failed[e] && n < (int)sizeof(line) - 64)
			n += snprintf(line + n, sizeof(line) - n, "%s %s %lu",
				      n ? "," : ":", errno_name(e), failed[e]);
	diag("%10lu %s%s", done, ops[i].name, line);
	if (ns)
		diag("           in %lu.%03lu s, each %lu us", ns / 1000000000,
		     ns / 1000000 % 1000, ns / 1000 / (done ? done : 1));
	return done;
}

/* Sums over all processes, and the operations in all. */
static unsigned long print_totals(long processes, struct tally *sum)
{
	unsigned long i, total = 0;
	long p;

	for (i = 0; i < ARRAY(ops); i++)
		total += print_kind(i, processes);
	for (p = 0; p < processes; p++) {
		sum->reads += tallies[p].reads;
		sum->writes += tallies[p].writes;
		sum->checked += tallies[p].checked;
		sum->sigbus += tallies[p].sigbus;
		sum->sigsegv += tallies[p].sigsegv;
		sum->wrong += tallies[p].wrong;
	}
	diag("%10lu operations in all", total);
	diag("%10lu pages read, %lu written, %lu values checked, %lu SIGBUS, %lu SIGSEGV",
	     sum->reads, sum->writes, sum->checked, sum->sigbus, sum->sigsegv);
	return total;
}

static long resident(void)
{
	long sum = 0;
	int i;

	for (i = 0; i < 64; i++)
		sum += stat_node("resident", i);
	return sum;
}

static void nothing_left(long pages, long regions)
{
	double began = seconds(), took;
	long more_pages, more;

	do {
		more_pages = resident() - pages;
		more = stat_event("regions") - regions;
		took = seconds() - began;
	} while ((more_pages || more) && took < PATIENCE && !usleep(10000));
	ok(!more_pages && !more, "nothing is left (%ld pages, %ld regions, %.2f s)",
	   more_pages, more, took);
}

/* Roomy nodes, and those where strict memory may be refused. */
static void look_around(void)
{
	int i;

	if (!two_nodes(&plenty[0], &plenty[1], 512 * MIB))
		plenty[0] = plenty[1] = -1;
	for (i = 0; i < nr_nodes && nr_all_nodes < (int)ARRAY(all_nodes); i++)
		all_nodes[nr_all_nodes++] = nodes[i];
	for (i = 0; i < 64; i++)
		risky[i] = i != plenty[0] && i != plenty[1];
}

int main(int argc, char **argv)
{
	unsigned long operations = argc > 1 ? strtoul(argv[1], NULL, 0) : 20000;
	unsigned long from = argc > 2 ? strtoul(argv[2], NULL, 0) : 1, total;
	long processes = argc > 3 ? atol(argv[3]) : 4, i, pages, regions;
	struct rlimit none = { RLIM_INFINITY, RLIM_INFINITY };
	pid_t workers[PROCESSES_MOST], disturber = 0;
	struct tally sum = { 0 };
	int status, ended = 0;
	double began;

	look_around();
	sum_weights();
	timed = getenv("FUZZ_TIMES");
	if (plenty[0] < 0 || geteuid()) {
		skip("fuzz", "needs root, and two nodes with 512 MiB free each");
		return done();
	}
	if (processes < 1 || processes > PROCESSES_MOST)
		processes = PROCESSES_MOST;
	setrlimit(RLIMIT_MEMLOCK, &none);
	tallies = shared_memory((processes + 1) * sizeof(*tallies));
	over = shared_memory(PAGE);
	pages = resident();
	regions = stat_event("regions");
	remember_settings();
	common_fd = region_with(PATTERN(plenty[0], plenty[1]), 0, 0);
	if (mmap((void *)COMMON_BASE, COMMON_PAGES * PAGE, PROT_READ | PROT_WRITE,
		 MAP_SHARED | MAP_FIXED_NOREPLACE, common_fd, 0) == MAP_FAILED)
		bail_out("mmap: %s", strerror(errno));
	began = seconds();
	if (getenv("FUZZ_SECONDS"))
		ends_at = began + atol(getenv("FUZZ_SECONDS"));
	diag("seeds %lu to %lu, %lu operations each", from, from + processes - 1,
	     operations / processes);
	fflush(stdout);
	for (i = 0; i < processes; i++)
		workers[i] = start(i, processes, from, operations / processes);
	if (!getenv("FUZZ_ALONE"))
		disturber = start(processes, processes, from, 0);
	for (i = 0; i < processes; i++)
		if (waitpid(workers[i], &status, 0) == workers[i] && !status)
			ended++;
		else
			diag("process %ld has ended with status %x", i, status);
	*over = true;
	status = 0;
	if (disturber)
		waitpid(disturber, &status, 0);
	began = seconds() - began;
	restore_settings();
	total = print_totals(processes + 1, &sum);
	diag("operations a second: %.0f", total / began);
	ok(ended == processes && !status, "%d of %ld processes ran to their end",
	   ended, processes);
	ok(ends_at || total >= operations / processes * processes, "%lu operations",
	   total);
	ok(!sum.wrong, "data, signals, refusals and placement as they must be (%lu are not)",
	   sum.wrong);
	munmap((void *)COMMON_BASE, COMMON_PAGES * PAGE);
	close(common_fd);
	nothing_left(pages, regions);
	return done();
}

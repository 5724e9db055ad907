// SPDX-License-Identifier: MIT
/*
 * A program that checks its own memory while somebody else moves it: every word of every page has the value that its
 * address and its generation demand. Usage: moved_program MODE MIB SECONDS
 *
 * It prints "ready PID", then answers each line of its input: "where N,N,..." with what the kernel tells the program
 * itself of its pages (present, in the place of the pattern, and where they were at the start), "end" with an end. In
 * the mode of this name, "grow" has it touch more and more pages.
 * Exit status 0, or 1 if a word was wrong.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PAGE = 4096, WORDS = PAGE / 8, MOST = 1 << 20, HUGE_BYTES = 2 << 20 };

static char *base;
static size_t pages, most_pages;
static uint8_t generation[MOST];
static int first_node[MOST];
static volatile int stop, wrong, growing;
static const char *mode;
static char **arguments;
static double began;
static pthread_mutex_t still = PTHREAD_MUTEX_INITIALIZER;	/* held while pages come, go or change their address */

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static uint64_t value(size_t page, size_t word)
{
	return (page * 0x9e3779b97f4a7c15ULL) ^ (word * 0xc2b2ae3d27d4eb4fULL) ^ generation[page];
}

static void fill(size_t page)
{
	volatile uint64_t *at = (uint64_t *)(base + page * PAGE);

	generation[page]++;
	/* Every 37th word: enough to see a page that was lost or mixed up, and quick in an emulator. */
	for (size_t word = 0; word < WORDS; word += 37)
		at[word] = value(page, word);
}

static void check(size_t page)
{
	volatile uint64_t *at = (uint64_t *)(base + page * PAGE);

	for (size_t word = 0; word < WORDS; word += 37)
		if (at[word] != value(page, word)) {
			fprintf(stderr, "WRONG page %zu word %zu\n", page, word);
			wrong = 1;
		}
}

/* A stack of its own, that comes and goes. */
static void *check_stack(void *argument)
{
	volatile uint64_t own[16 * WORDS];

	for (size_t i = 0; i < 16 * WORDS; i += 7)
		own[i] = (size_t)argument ^ i;
	for (size_t i = 0; i < 16 * WORDS; i += 7)
		if (own[i] != ((size_t)argument ^ i))
			wrong = 1;
	return NULL;
}

static void exchange_mapping(void)
{
	char *other = mremap(base, pages * PAGE, pages * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
			     base + pages * PAGE + HUGE_BYTES);

	if (other != MAP_FAILED)
		base = other;
	other = mremap(base, pages * PAGE, pages * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
		       base - pages * PAGE - HUGE_BYTES);
	if (other != MAP_FAILED)
		base = other;
}

static void fork_and_check(size_t round)
{
	int status = 0;
	pid_t pid = fork();

	if (!pid) {
		for (size_t page = round % 7; page < pages; page += 7)
			check(page);
		_exit(wrong);
	}
	/* Copies of what the child still has. */
	for (size_t page = round % 11; page < pages; page += 11)
		fill(page);
	if (pid > 0 && waitpid(pid, &status, 0) == pid && status)
		wrong = 1;
}

static void act(size_t round)
{
	pthread_t thread;

	if (!strcmp(mode, "fork")) {
		fork_and_check(round);
	} else if (!strcmp(mode, "mremap")) {
		exchange_mapping();
	} else if (!strcmp(mode, "dontneed")) {
		size_t first = round * 512 % pages, count = pages - first < 512 ? pages - first : 512;

		madvise(base + first * PAGE, count * PAGE, MADV_DONTNEED);
		for (size_t page = first; page < first + count; page++) {
			if (*(volatile uint64_t *)(base + page * PAGE))
				wrong = 1;
			fill(page);
		}
	} else if (!strcmp(mode, "grow") && growing && pages < most_pages) {
		for (int i = 0; i < 64 && pages < most_pages; i++) {
			pages++;
			fill(pages - 1);
		}
		usleep(100 * 1000);
	} else if (!strcmp(mode, "threads")) {
		for (int i = 0; i < 8; i++)
			if (!pthread_create(&thread, NULL, check_stack, (void *)(round * 8 + i)))
				pthread_detach(thread);
	} else if (!strcmp(mode, "exec") && now() - began > 1.5) {
		execv(arguments[0], arguments);
	}
}

static void *work(void *seconds)
{
	double end = now() + *(double *)seconds;

	for (size_t round = 0; !stop && now() < end; round++) {
		for (size_t page = 0; page < pages && !stop; page++) {
			check(page);
			if (page % 16 == round % 16)
				fill(page);
		}
		pthread_mutex_lock(&still);
		act(round);
		pthread_mutex_unlock(&still);
	}
	if (!strcmp(mode, "leader") || !strcmp(mode, "die"))
		_exit(wrong);
	return NULL;
}

static void where(char *pattern)
{
	static void *address[MOST];
	static int status[MOST];
	int nodes[64], entries = 0;
	size_t present = 0, right = 0, as_before = 0, counts[64] = { 0 };

	for (char *word = strtok(pattern, ", \n"); word && entries < 64; word = strtok(NULL, ", \n"))
		nodes[entries++] = atoi(word);
	pthread_mutex_lock(&still);
	for (size_t page = 0; page < pages; page++)
		address[page] = base + page * PAGE;
	if (syscall(SYS_move_pages, 0, pages, address, NULL, status, 0))
		perror("move_pages");
	pthread_mutex_unlock(&still);
	for (size_t page = 0; page < pages; page++) {
		if (status[page] < 0)
			continue;
		present++;
		counts[status[page] & 63]++;
		right += entries && status[page] == nodes[(uintptr_t)address[page] / PAGE % entries];
		as_before += status[page] == first_node[page];
		if (!entries)
			first_node[page] = status[page];
	}
	printf("{\"present\": %zu, \"right\": %zu, \"as_before\": %zu, \"nodes\": [%zu, %zu, %zu]}\n", present, right,
	       as_before, counts[0], counts[1], counts[2]);
	fflush(stdout);
}

static void prepare(size_t bytes)
{
	char *whole = mmap(NULL, 3 * bytes + 4 * HUGE_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	base = (char *)(((uintptr_t)whole + bytes + 2 * HUGE_BYTES) & ~(uintptr_t)(HUGE_BYTES - 1));
	base = mmap(base, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	madvise(base, bytes, strcmp(mode, "huge") ? MADV_NOHUGEPAGE : MADV_HUGEPAGE);
	most_pages = pages = bytes / PAGE;
	if (!strcmp(mode, "grow"))
		pages /= 4;
	if (!strcmp(mode, "mlock"))
		mlockall(MCL_CURRENT | MCL_FUTURE);
	if (!strcmp(mode, "undumpable"))
		prctl(PR_SET_DUMPABLE, 0);
	for (size_t page = 0; page < pages; page++)
		fill(page);
	if (!strcmp(mode, "pin")) {
		int ends[2];
		struct iovec part = { base + 5 * PAGE, PAGE };

		if (pipe(ends) || vmsplice(ends[1], &part, 1, 0) != PAGE)
			perror("vmsplice");
	}
}

int main(int count, char **words)
{
	double seconds = count > 3 ? atof(words[3]) : 10;
	char line[256] = "";
	pthread_t worker;

	arguments = words;
	began = now();
	mode = count > 1 ? words[1] : "plain";
	prepare((count > 2 ? strtoul(words[2], NULL, 10) : 16) << 20);
	printf("ready %d\n", getpid());
	where(line);
	if (pthread_create(&worker, NULL, work, &seconds))
		return 3;
	if (!strcmp(mode, "leader"))
		pthread_exit(NULL);	/* the others go on */
	while (fgets(line, sizeof(line), stdin)) {
		if (!strncmp(line, "end", 3))
			break;
		if (!strncmp(line, "where", 5))
			where(line + 5);
		growing |= !strncmp(line, "grow", 4);
	}
	stop = 1;
	pthread_join(worker, NULL);
	for (size_t page = 0; page < pages; page++)
		check(page);
	return wrong;
}

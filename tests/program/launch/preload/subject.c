/*
 * A program that does, one after another, what programs do to memory, and says
 * of each whether it kept its meaning.  It is run under the preload library, and
 * without it: its output must not differ but in what is marked "device".
 *
 *	subject CASE [ARGUMENT...]
 *
 * Exit status 0: as it should be.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <unistd.h>

#define MIB (1UL << 20)
#define PAGE 4096UL
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)
#define RW (PROT_READ | PROT_WRITE)

extern char **environ;

#define REQUIRE(what)							\
	do {								\
		if (!(what)) {						\
			fprintf(stderr, "%s:%d: %s (%s)\n", __FILE__,	\
				__LINE__, #what, strerror(errno));	\
			exit(1);					\
		}							\
	} while (0)

static bool under_preload(void)
{
	return getenv("HMEXP_PRELOAD_PATTERN") != NULL;
}

/*
 * The mapping of an address: its protection, its offset less its address, and
 * whether it is of the device.  Read with no allocation.
 */
struct view {
	char prot[5];
	unsigned long start, stop, offset;
	char path[256];
};

static bool look(const void *at, struct view *v)
{
	static char text[1 << 20];
	int fd = open("/proc/self/maps", O_RDONLY);
	size_t got = 0;
	ssize_t n;
	char *line;

	REQUIRE(fd >= 0);
	while ((n = read(fd, text + got, sizeof(text) - 1 - got)) > 0)
		got += (size_t)n;
	close(fd);
	text[got] = 0;
	for (line = text; line && *line; line = strchr(line, '\n'), line += !!line) {
		v->path[0] = 0;
		if (sscanf(line, "%lx-%lx %4s %lx %*s %*s%*[ ]%255[^\n]", &v->start,
			   &v->stop, v->prot, &v->offset, v->path) < 4)
			continue;
		if (v->start <= (unsigned long)at && (unsigned long)at < v->stop)
			return true;
	}
	return false;
}

static bool on_device(const void *at)
{
	struct view v;

	return look(at, &v) && (strstr(v.path, "/dev/hybridmem") ||
				strstr(v.path, "hmexp-stand-in"));
}

/* Is it on the device, with an offset that is its address? */
static bool placed(const void *at)
{
	struct view v;

	if (!under_preload())
		return true;
	return on_device(at) && look(at, &v) && v.offset == v.start;
}

static bool ordinary(const void *at)
{
	return !on_device(at);
}

/* Pages that move_pages() has not found on the node that their addresses say. */
static unsigned long misplaced(char *at, unsigned long len)
{
	unsigned long granule, n = 0, pages = len / PAGE, i, wrong = 0;
	const char *text = getenv("HMEXP_PRELOAD_PATTERN");
	int nodes[64], *status;
	void **address;

	/* The stand-in has no nodes. */
	if (!under_preload() || !getenv("HMEXP_SUBJECT_PROVES"))
		return 0;
	granule = strtoul(getenv("HMEXP_PRELOAD_GRANULE_BYTES"), NULL, 10);
	for (; text && n < 64; text = strchr(text, ','), text += !!text) {
		nodes[n++] = atoi(text);
		if (!strchr(text, ','))
			break;
	}
	address = calloc(pages, sizeof(*address));
	status = calloc(pages, sizeof(*status));
	for (i = 0; i < pages; i++)
		address[i] = at + i * PAGE;
	REQUIRE(!syscall(SYS_move_pages, 0, pages, address, NULL, status, 0));
	for (i = 0; i < pages; i++)
		wrong += status[i] != nodes[(uintptr_t)address[i] / granule % n];
	free(address);
	free(status);
	return wrong;
}

static void fill(char *at, unsigned long len, unsigned int seed)
{
	unsigned long i;

	for (i = 0; i < len; i += PAGE)
		*(unsigned long *)(at + i) = i * 2654435761UL + seed;
}

static bool filled(const char *at, unsigned long len, unsigned int seed)
{
	unsigned long i;

	for (i = 0; i < len; i += PAGE)
		if (*(const unsigned long *)(at + i) != i * 2654435761UL + seed)
			return false;
	return true;
}

static bool zero(const char *at, unsigned long len)
{
	unsigned long i;

	for (i = 0; i < len; i += 8)
		if (*(const unsigned long *)(at + i))
			return false;
	return true;
}

static char *map(unsigned long len)
{
	char *at = mmap(NULL, len, RW, ANON, -1, 0);

	REQUIRE(at != MAP_FAILED);
	return at;
}

static int child_status(pid_t pid)
{
	int status;

	REQUIRE(waitpid(pid, &status, 0) == pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* 1: fork shares, and copies on write, on either side. */
static void case_fork(void)
{
	char *at = map(32 * MIB);
	pid_t pid;
	int go[2];
	char c;

	REQUIRE(placed(at));
	fill(at, 32 * MIB, 1);
	REQUIRE(!pipe(go));
	pid = fork();
	if (!pid) {
		REQUIRE(read(go[0], &c, 1) == 1);
		REQUIRE(filled(at, 32 * MIB, 1));	/* the snapshot */
		fill(at, 32 * MIB, 3);
		REQUIRE(filled(at, 32 * MIB, 3) && placed(at));
		REQUIRE(!misplaced(at, 32 * MIB));
		_exit(0);
	}
	fill(at, 32 * MIB, 2);
	REQUIRE(!misplaced(at, 32 * MIB));
	REQUIRE(write(go[1], "x", 1) == 1);
	REQUIRE(child_status(pid) == 0 && filled(at, 32 * MIB, 2));
}

/* 2: dropped memory is zero, whatever it is dropped with. */
static void case_dontneed(void)
{
	char *at = map(8 * MIB);

	fill(at, 8 * MIB, 1);
	REQUIRE(!madvise(at, 8 * MIB, MADV_DONTNEED) && zero(at, 8 * MIB));
	fill(at, 8 * MIB, 2);
	REQUIRE(!madvise(at + MIB, MIB, MADV_DONTNEED));
	REQUIRE(zero(at + MIB, MIB) && filled(at, MIB, 2));
	REQUIRE(!madvise(at, 8 * MIB, MADV_FREE));
	fill(at, 8 * MIB, 4);
	REQUIRE(filled(at, 8 * MIB, 4) && placed(at) && !misplaced(at, 8 * MIB));
	errno = 0;
	REQUIRE(madvise(at + 1, MIB, MADV_FREE) == -1 && errno == EINVAL);
}

static void case_purge(void)
{
	unsigned long round, i;

	for (round = 0; round < 3; round++) {
		char *at = malloc(64 * MIB), *clean;

		memset(at, 0xa5, 64 * MIB);
		free(at);
		clean = calloc(64, MIB);
		for (i = 0; i < 64 * MIB; i += 512)
			REQUIRE(!clean[i]);
		REQUIRE(placed(clean + 32 * MIB));
		memset(clean, 1, 64 * MIB);
		REQUIRE(!misplaced(clean - (uintptr_t)clean % PAGE + PAGE, 63 * MIB));
		free(clean);
	}
}

static void case_mremap(void)
{
	char *at = map(2 * MIB), *wall, *to;
	struct view v;

	fill(at, 2 * MIB, 1);
	/* Shrink, grow in place, then grow where a wall is in the way. */
	REQUIRE(mremap(at, 2 * MIB, MIB, 0) == at && filled(at, MIB, 1));
	REQUIRE(mremap(at, MIB, 2 * MIB, 0) == at && zero(at + MIB, MIB));
	fill(at, 2 * MIB, 1);
	wall = mmap(at + 2 * MIB, MIB, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0);
	REQUIRE(wall == at + 2 * MIB || errno == EEXIST);
	errno = 0;
	REQUIRE(mremap(at, 2 * MIB, 8 * MIB, 0) == MAP_FAILED && errno == ENOMEM);
	to = mremap(at, 2 * MIB, 8 * MIB, MREMAP_MAYMOVE);
	REQUIRE(to != MAP_FAILED && to != at && filled(to, 2 * MIB, 1));
	REQUIRE(zero(to + 2 * MIB, 6 * MIB));
	fill(to, 8 * MIB, 6);
	REQUIRE(!misplaced(to, 8 * MIB));
	if (under_preload()) {
		const char *text = getenv("HMEXP_PRELOAD_PATTERN");
		unsigned long period = 1;

		while (*text)
			period += *text++ == ',';
		period *= strtoul(getenv("HMEXP_PRELOAD_GRANULE_BYTES"), NULL, 10);
		REQUIRE(on_device(to) && look(to, &v));
		REQUIRE((v.offset - v.start) % period == 0);
	}
	REQUIRE(!munmap(to, 8 * MIB));
	at = map(2 * MIB);
	fill(at, 2 * MIB, 5);
	to = mmap(NULL, 4 * MIB, PROT_NONE, ANON | MAP_NORESERVE, -1, 0);
	REQUIRE(mremap(at, 2 * MIB, 2 * MIB, MREMAP_MAYMOVE | MREMAP_FIXED, to) == to);
	REQUIRE(filled(to, 2 * MIB, 5));
}

/* 7, 8: reservations, and what is committed in them, either way. */
static void case_reserve(void)
{
	unsigned long huge = 1UL << 40;
	char *at = mmap(NULL, huge, PROT_NONE, ANON | MAP_NORESERVE, -1, 0), *code;
	struct rusage before, after;
	struct view v;

	REQUIRE(at != MAP_FAILED && look(at, &v) && !strcmp(v.prot, "---p"));
	getrusage(RUSAGE_SELF, &before);
	/* As the JVM does. */
	REQUIRE(mmap(at + 64 * MIB, 32 * MIB, RW, ANON | MAP_FIXED | MAP_NORESERVE,
		     -1, 0) == at + 64 * MIB);
	REQUIRE(placed(at + 64 * MIB));
	fill(at + 64 * MIB, 32 * MIB, 1);
	REQUIRE(filled(at + 64 * MIB, 32 * MIB, 1) && !misplaced(at + 64 * MIB, 32 * MIB));
	/* As .NET and tcmalloc do, also in small steps. */
	REQUIRE(!mprotect(at + 256 * MIB, 64 * 1024, RW));
	REQUIRE(!mprotect(at + 256 * MIB + 64 * 1024, MIB, RW));
	fill(at + 256 * MIB, MIB, 2);
	REQUIRE(filled(at + 256 * MIB, MIB, 2) && placed(at + 256 * MIB));
	REQUIRE(!misplaced(at + 256 * MIB, MIB));
	/* A guard goes up and down again: nothing is lost. */
	REQUIRE(!mprotect(at + 256 * MIB, MIB, PROT_NONE));
	REQUIRE(!mprotect(at + 256 * MIB, MIB, RW));
	REQUIRE(filled(at + 256 * MIB, MIB, 2));
	/* Given back. */
	REQUIRE(mmap(at + 64 * MIB, 32 * MIB, PROT_NONE,
		     ANON | MAP_FIXED | MAP_NORESERVE, -1, 0) == at + 64 * MIB);
	REQUIRE(look(at + 64 * MIB, &v) && !strcmp(v.prot, "---p"));
	/* Code in the middle of it. */
	code = mmap(at + 512 * MIB, 2 * MIB, RW | PROT_EXEC, ANON | MAP_FIXED, -1, 0);
	REQUIRE(code == at + 512 * MIB && ordinary(code));
	memcpy(code, "\xb8\x2a\0\0\0\xc3", 6);	/* return 42 */
#ifdef __x86_64__
	REQUIRE(((int (*)(void))(uintptr_t)code)() == 42);
#endif
	/* Made executable later. */
	REQUIRE(!mprotect(at + 600 * MIB, 2 * MIB, RW));
	memcpy(at + 600 * MIB, "\xb8\x2b\0\0\0\xc3", 6);
	REQUIRE(!mprotect(at + 600 * MIB, 2 * MIB, PROT_READ | PROT_EXEC));
#ifdef __x86_64__
	REQUIRE(((int (*)(void))(uintptr_t)(at + 600 * MIB))() == 43);
#endif
	getrusage(RUSAGE_SELF, &after);
	REQUIRE(after.ru_maxrss - before.ru_maxrss < 100 * 1024);
	REQUIRE(!munmap(at, huge));
}

/* What is not large, private, anonymous data stays as it is. */
static void case_others(void)
{
	char name[] = "/tmp/hmexp-subject-XXXXXX", *at;
	int fd = mkstemp(name);

	REQUIRE(fd >= 0 && !unlink(name) && !ftruncate(fd, 4 * (off_t)MIB));
	at = mmap(NULL, 4 * MIB, RW, MAP_PRIVATE, fd, 0);
	REQUIRE(at != MAP_FAILED && ordinary(at));
	at[0] = 1;
	at = mmap(NULL, 4 * MIB, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	REQUIRE(at != MAP_FAILED && ordinary(at));
	at = mmap(NULL, 4 * MIB, RW, ANON | MAP_STACK, -1, 0);
	REQUIRE(at != MAP_FAILED && ordinary(at));
	at = mmap(NULL, 4 * MIB, RW | PROT_EXEC, ANON, -1, 0);
	REQUIRE(at != MAP_FAILED && ordinary(at));
	at = mmap(NULL, 64 * 1024, RW, ANON, -1, 0);
	REQUIRE(at != MAP_FAILED && ordinary(at));
	/* Errors are the kernel's. */
	errno = 0;
	REQUIRE(mmap(NULL, 0, RW, ANON, -1, 0) == MAP_FAILED && errno == EINVAL);
	REQUIRE(mmap((void *)123, 4 * MIB, RW, ANON | MAP_FIXED, -1, 0) == MAP_FAILED);
	REQUIRE(errno == EINVAL);
	at = map(4 * MIB);
	errno = 0;
	REQUIRE(mmap(at, 4 * MIB, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0) == MAP_FAILED);
	REQUIRE(errno == EEXIST);
	errno = 0;
	REQUIRE(mmap(NULL, 1UL << 60, RW, ANON, -1, 0) == MAP_FAILED && errno == ENOMEM);
	/* A hint is taken where there is room, and no more than a hint. */
	REQUIRE(!munmap(at, 4 * MIB));
	REQUIRE(mmap(at, 4 * MIB, RW, ANON, -1, 0) == at && placed(at));
	REQUIRE(mmap(at, 4 * MIB, RW, ANON, -1, 0) != at);
	/* Neighbours are one mapping, as they are without us. */
	errno = 0;
	REQUIRE(map(4 * MIB) && errno == 0);
}

/* Everything else that one does to a mapping. */
static void case_locks(void)
{
	struct rlimit most = { RLIM_INFINITY, RLIM_INFINITY };
	unsigned char in[1024];
	char *at = map(4 * MIB);

	setrlimit(RLIMIT_MEMLOCK, &most);
	REQUIRE(!mlock(at, 4 * MIB) && !mincore(at, 4 * MIB, in));
	REQUIRE((in[0] & 1) && (in[1023] & 1) && zero(at, 4 * MIB));
	REQUIRE(!munlock(at, 4 * MIB));
	REQUIRE(!mlockall(MCL_CURRENT | MCL_FUTURE));
	at = map(4 * MIB);
	REQUIRE(!mincore(at, 4 * MIB, in) && (in[0] & 1) && (in[1023] & 1));
	REQUIRE(placed(at) && !misplaced(at, 4 * MIB));
	REQUIRE(!munlockall());
	at = mmap(NULL, 4 * MIB, RW, ANON | MAP_POPULATE, -1, 0);
	REQUIRE(!misplaced(at, 4 * MIB));
	REQUIRE(!mincore(at, 4 * MIB, in) && (in[0] & 1) && (in[1023] & 1));
	most.rlim_cur = most.rlim_max = MIB;
	REQUIRE(!setrlimit(RLIMIT_MEMLOCK, &most));
	if (geteuid()) {
		errno = 0;
		REQUIRE(mlockall(MCL_CURRENT | MCL_FUTURE) && errno == ENOMEM);
	}
	at = map(4 * MIB);
	fill(at, 4 * MIB, 1);
	REQUIRE(!mprotect(at, MIB, PROT_READ) && !madvise(at, 4 * MIB, MADV_DONTFORK));
	REQUIRE(!madvise(at, 4 * MIB, MADV_DOFORK) && !madvise(at, 4 * MIB, MADV_DONTDUMP));
	REQUIRE(!madvise(at, 4 * MIB, MADV_HUGEPAGE) || errno == EINVAL);
	REQUIRE(filled(at, 4 * MIB, 1));
}

static bool closed(int fd)
{
	return fcntl(fd, F_GETFD) < 0;
}

/* 12: all descriptors are closed; ours is kept, and a number is never confused. */
static void close_all(const char *how)
{
	int fd;

	if (!strcmp(how, "range"))
		REQUIRE(!close_range(3, ~0U, 0));
	else if (!strcmp(how, "from"))
		closefrom(3);
	else if (!strcmp(how, "loop"))
		for (fd = 3; fd < 70000; fd++)
			close(fd);
	else
		REQUIRE(!syscall(SYS_close_range, 3, ~0U, 0));
}

static void case_closed(const char *how)
{
	char name[] = "/tmp/hmexp-subject-XXXXXX", *at, byte;
	int fd, file, number;

	close_all(how);
	at = map(4 * MIB);
	fill(at, 4 * MIB, 1);
	REQUIRE(placed(at) && !misplaced(at, 4 * MIB));
	/* Now the program's own files take every number that there is. */
	close_all("raw");
	file = mkstemp(name);
	REQUIRE(file == 3 && !unlink(name));
	REQUIRE(write(file, "program", 8) == 8);
	for (number = 4; number < 1000; number++)
		REQUIRE(dup2(file, number) == number);
	at = map(4 * MIB);
	fill(at, 4 * MIB, 2);
	REQUIRE(filled(at, 4 * MIB, 2));
	for (fd = 3; fd < 1000; fd++) {
		struct stat found;

		REQUIRE(!fstat(fd, &found) && S_ISREG(found.st_mode) && found.st_size == 8);
	}
	REQUIRE(pread(500, &byte, 1, 0) == 1 && byte == 'p');
	for (fd = 3; fd < 1000; fd++)
		REQUIRE(!close(fd) && closed(fd));
	at = map(4 * MIB);
	REQUIRE(placed(at));
	fill(at, 4 * MIB, 3);
	REQUIRE(!misplaced(at, 4 * MIB));
}

/* No descriptor is left to open the device with: ordinary memory, until there is. */
static void case_exhausted(void)
{
	struct rlimit few = { 3, 4096 };
	char *at;

	close_all("raw");
	REQUIRE(!setrlimit(RLIMIT_NOFILE, &few));
	at = map(4 * MIB);
	fill(at, 4 * MIB, 1);
	REQUIRE(filled(at, 4 * MIB, 1));
	few.rlim_cur = 1024;
	REQUIRE(!setrlimit(RLIMIT_NOFILE, &few) && ordinary(at));
	at = map(4 * MIB);
	REQUIRE(placed(at));
}

/* 11: a filter that kills for anything but mmap, munmap, madvise (and writing). */
static void case_seccomp(void)
{
#define ALLOW(name)								\
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_##name, 0, 1),			\
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		ALLOW(mmap), ALLOW(munmap), ALLOW(madvise), ALLOW(write),
		ALLOW(exit_group),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
	};
	struct sock_fprog program = { sizeof(code) / sizeof(*code), code };
	unsigned int i;
	char *at;

	REQUIRE(!prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	REQUIRE(!prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0));
	for (i = 0; i < 20; i++) {
		at = mmap(NULL, 4 * MIB, RW, ANON, -1, 0);
		if (at == MAP_FAILED)
			_exit(2);
		fill(at, 4 * MIB, i);
		if (!filled(at, 4 * MIB, i) || madvise(at, 4 * MIB, MADV_DONTNEED) ||
		    !zero(at, 4 * MIB) || munmap(at, 4 * MIB))
			_exit(3);
	}
	_exit(0);
}

#define PATIENCE_SECONDS	300	/* less than the test's, which would not say how far it came */
#define FORKING_SECONDS		180
#define FORKS_LEAST		3

static volatile bool over;
static volatile int forked;

/* It hangs, or is slow: how far it has come says which. */
static void too_late(int signal)
{
	char text[64];
	int n = snprintf(text, sizeof(text), "not done in time: %d forks\n", forked);

	if (write(2, text, (size_t)n) == n)
		_exit(128 + signal);
	_exit(127);
}

static void *allocates(void *arg)
{
	unsigned int seed = (unsigned int)(uintptr_t)arg;

	while (!over) {
		size_t len = 64 + (size_t)rand_r(&seed) % (300 * 1024);
		char *at = malloc(len);

		at[0] = at[len - 1] = 1;
		free(at);
		/* Else the one that forks waits for a processor, not for a lock. */
		if (!(seed % 4))
			usleep(8000);
	}
	return NULL;
}

/*
 * 3: threads allocate while their process forks, and the children allocate.  A
 * lock that hangs does so in the first of them; where a processor is emulated,
 * and shared, a few of them have to be enough.
 */
static void case_forks(int threads, int forks)
{
	pthread_t *all = calloc((size_t)threads, sizeof(*all));
	time_t enough = time(NULL) + FORKING_SECONDS;
	int i;

	for (i = 0; i < threads; i++)
		REQUIRE(!pthread_create(&all[i], NULL, allocates, (void *)(uintptr_t)i));
	for (i = 0; i < forks && (i < FORKS_LEAST || time(NULL) < enough); i++, forked++) {
		pid_t pid = fork();

		REQUIRE(pid >= 0);
		if (!pid) {
			char *at;

			alarm(120);
			at = malloc(3 * MIB);
			memset(at, 1, 3 * MIB);
			free(at);
			_exit(at ? 0 : 1);
		}
		REQUIRE(child_status(pid) == 0);
	}
	over = true;
	for (i = 0; i < threads; i++)
		pthread_join(all[i], NULL);
	printf("%d forks\n", forked);
}

/* 4, and what goes with it. */
static void case_malloc(void)
{
	void *at = malloc(0), *aligned = NULL;

	REQUIRE(at);
	free(at);
	at = realloc(NULL, 0);
	REQUIRE(at);
	free(at);
	REQUIRE(!posix_memalign(&aligned, 4096, 5 * MIB) && !((uintptr_t)aligned % 4096));
	free(aligned);
	at = realloc(malloc(MIB), 64 * MIB);
	memset(at, 1, 64 * MIB);
	REQUIRE(placed((char *)at + 8 * MIB));
	REQUIRE(!misplaced((char *)at - (uintptr_t)at % PAGE + PAGE, 63 * MIB));
	free(at);
	errno = 0;
	{
		volatile size_t absurd = 1UL << 62;

		REQUIRE(!malloc(absurd) && errno == ENOMEM);
	}
}

/* 5, 34: libraries, however they are loaded. */
static void case_dlopen(const char *path, const char *how)
{
	int deep = !strcmp(how, "deep") ? RTLD_DEEPBIND : 0;
	void *library = dlopen(path, RTLD_NOW | deep);
	char *(*give)(void);
	void (*take)(char *);

	if (!library)
		fprintf(stderr, "%s\n", dlerror());
	REQUIRE(library);
	give = (char *(*)(void))dlsym(library, "give");
	take = (void (*)(char *))dlsym(library, "take");
	free(give());
	take(strdup("a string of this program"));
	take(malloc(4 * MIB));
	REQUIRE(!dlclose(library));
}

/* exec and posix_spawn in their many forms: each child says "ran". */
static void case_exec(char *program, const char *how)
{
	char *argv[] = { program, "hello", NULL };
	pid_t pid = 0;

	if (!strcmp(how, "spawn")) {
		REQUIRE(!posix_spawn(&pid, program, NULL, NULL, argv, environ));
	} else if (!strcmp(how, "spawnp")) {
		REQUIRE(!posix_spawnp(&pid, program, NULL, NULL, argv, environ));
	} else if (!strcmp(how, "vfork")) {
		pid = vfork();
		if (!pid) {
			closefrom(3);
			execve(program, argv, environ);
			_exit(9);
		}
	} else {
		pid = fork();
		if (!pid) {
			if (!strcmp(how, "execv"))
				execv(program, argv);
			if (!strcmp(how, "execvp"))
				execvp(program, argv);
			if (!strcmp(how, "execl"))
				execl(program, program, "hello", NULL);
			if (!strcmp(how, "execlp"))
				execlp(program, program, "hello", NULL);
			if (!strcmp(how, "execle"))
				execle(program, program, "hello", NULL, environ);
			if (!strcmp(how, "fexecve"))
				fexecve(open(program, O_RDONLY), argv, environ);
			_exit(9);
		}
	}
	REQUIRE(child_status(pid) == 0);
	/* The parent of vfork() still maps. */
	REQUIRE(placed(map(4 * MIB)));
}

/* A heap of @mib, in pieces of many sizes, proven page by page by its owner. */
static void case_heap(unsigned long mib)
{
	unsigned long total = 0, n = 0, wrong = 0, pages = 0, i;
	unsigned int seed = 1;
	char **all = calloc(mib * 1024, sizeof(*all));
	size_t *sizes = calloc(mib * 1024, sizeof(*sizes));

	while (total < mib * MIB && n < mib * 1024) {
		sizes[n] = 4096 + (size_t)rand_r(&seed) % (200 * 1024);
		all[n] = malloc(sizes[n]);
		REQUIRE(all[n]);
		memset(all[n], (int)n | 1, sizes[n]);
		total += sizes[n++];
	}
	for (i = 0; i < n; i++) {
		char *first = all[i] + (-(uintptr_t)all[i] & (PAGE - 1));
		unsigned long len = (sizes[i] - (size_t)(first - all[i])) & -PAGE;

		REQUIRE(all[i][0] == (char)(i | 1) && all[i][sizes[i] - 1] == (char)(i | 1));
		if (len >= PAGE)
			wrong += misplaced(first, len);
		pages += len / PAGE;
	}
	printf("%lu pages, %lu wrong\n", pages, wrong);
	fflush(stdout);
	if (getenv("HMEXP_SUBJECT_WAITS"))
		getchar();
	REQUIRE(!wrong);
}

/* 13: direct I/O to and from the memory, and buffers registered with io_uring. */
static void case_direct(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_DIRECT, 0600);
	char *at = map(4 * MIB), *back = map(4 * MIB);

	REQUIRE(fd >= 0);
	fill(at, 4 * MIB, 1);
	REQUIRE(pwrite(fd, at, 4 * MIB, 0) == 4 * MIB);
	REQUIRE(pread(fd, back, 4 * MIB, 0) == 4 * MIB && filled(back, 4 * MIB, 1));
	REQUIRE(!misplaced(back, 4 * MIB) && !misplaced(at, 4 * MIB));
}

static void case_uring(void)
{
	char *at = map(MIB), params[256] = { 0 };
	struct iovec { void *base; size_t len; } one = { at, MIB };
	long ring = syscall(425 /* io_uring_setup */, 4, params), done;

	fill(at, MIB, 1);
	if (ring < 0) {
		printf("no io_uring: %s\n", strerror(errno));
		return;
	}
	done = syscall(427 /* io_uring_register */, ring, 0, &one, 1);
	puts(done ? strerror(errno) : "registered");
	REQUIRE(!done || errno == EOPNOTSUPP);
	REQUIRE(filled(at, MIB, 1) && !misplaced(at, MIB));
}

/* Started by another: is the library here? */
static void case_hello(void)
{
	char *at = map(4 * MIB);

	puts(on_device(at) ? "device" : "ordinary");
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "";

	signal(SIGALRM, too_late);
	alarm(PATIENCE_SECONDS);
	if (!strcmp(name, "fork"))
		case_fork();
	else if (!strcmp(name, "dontneed"))
		case_dontneed();
	else if (!strcmp(name, "purge"))
		case_purge();
	else if (!strcmp(name, "mremap"))
		case_mremap();
	else if (!strcmp(name, "reserve"))
		case_reserve();
	else if (!strcmp(name, "others"))
		case_others();
	else if (!strcmp(name, "locks"))
		case_locks();
	else if (!strcmp(name, "closed") && argc > 2)
		case_closed(argv[2]);
	else if (!strcmp(name, "seccomp"))
		case_seccomp();
	else if (!strcmp(name, "forks") && argc > 3)
		case_forks(atoi(argv[2]), atoi(argv[3]));
	else if (!strcmp(name, "malloc"))
		case_malloc();
	else if (!strcmp(name, "dlopen") && argc > 3)
		case_dlopen(argv[2], argv[3]);
	else if (!strcmp(name, "exec") && argc > 3)
		case_exec(argv[2], argv[3]);
	else if (!strcmp(name, "heap") && argc > 2)
		case_heap(strtoul(argv[2], NULL, 10));
	else if (!strcmp(name, "direct") && argc > 2)
		case_direct(argv[2]);
	else if (!strcmp(name, "uring"))
		case_uring();
	else if (!strcmp(name, "exhausted"))
		case_exhausted();
	else if (!strcmp(name, "hello"))
		case_hello();
	else
		return 2;
	return 0;
}

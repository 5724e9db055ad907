/*
 * The one descriptor of the device.  Programs close descriptors that they did not
 * open, and then the number is another file's: it is kept from them where they
 * ask libc, and looked at before each use for those that ask the kernel.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "preload.h"

/* Newer than some headers. */
#ifndef SYS_close_range
#define SYS_close_range 436
#endif
#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC (1U << 2)
#endif
int close_range(unsigned int first, unsigned int last, int flags);
void closefrom(int first);

/* High, so that the number is not soon another's; not so high that a fork pays. */
#define HIGH_NUMBER 900

static _Atomic int descriptor = -1;
/* A filter of system calls may be on: only mmap() and what it needs are made. */
static _Atomic bool confined;
/* It cannot be opened, and will not be. */
static _Atomic bool given_up;
static struct stat identity;
static bool noexec;
static pid_t process;

static int to_high_number(int fd)
{
	struct rlimit most;
	int base = HIGH_NUMBER, high;

	if (!getrlimit(RLIMIT_NOFILE, &most) && most.rlim_cur < 2 * HIGH_NUMBER)
		base = (int)most.rlim_cur / 2;
	high = fcntl(fd, F_DUPFD_CLOEXEC, base);
	if (high < 0)
		return fd;
	syscall(SYS_close, fd);
	return high;
}

static bool is_ours(int fd)
{
	struct stat now;

	return !fstat(fd, &now) && now.st_dev == identity.st_dev &&
	       now.st_ino == identity.st_ino && now.st_rdev == identity.st_rdev;
}

static int open_now(void)
{
	int fd = hm_device_open();

	return fd < 0 ? fd : to_high_number(fd);
}

static void in_child(void)
{
	process = getpid();
}

/* Open the device, and find what must be known of it, before main(). */
void hm_keep_open(void)
{
	struct statvfs where;
	int fd = open_now();

	process = getpid();
	if (fd < 0) {
		atomic_store(&hm_counters->last_errno, (uint64_t)errno);
		hm_count(without_device, 1);
		given_up = true;
		return;
	}
	noexec = !fstatvfs(fd, &where) && (where.f_flag & ST_NOEXEC);
	if (fstat(fd, &identity)) {
		syscall(SYS_close, fd);
		given_up = true;
		return;
	}
	atomic_store(&descriptor, fd);
}

/* Not before the constructors run: it may allocate. */
void hm_watch_forks(void)
{
	pthread_atfork(NULL, NULL, in_child);
}

bool hm_device_noexec(void)
{
	return noexec;
}

/* Somebody has closed ours behind our back: another, unless it cannot be had. */
static int open_again(int lost)
{
	int fd = open_now();

	if (fd < 0) {
		/* These pass; others do not. */
		if (errno != EMFILE && errno != ENFILE && errno != ENOMEM)
			given_up = true;
		return -1;
	}
	if (!atomic_compare_exchange_strong(&descriptor, &lost, fd)) {
		syscall(SYS_close, fd);
		return lost;
	}
	/* After a change of namespace it may be another inode of the device. */
	if (!is_ours(fd))
		fstat(fd, &identity);
	hm_count(reopened, 1);
	return fd;
}

/* The descriptor to map from, or -1 with errno. */
int hm_descriptor(void)
{
	int fd = atomic_load(&descriptor);

	if (given_up) {
		errno = ENODEV;
		return -1;
	}
	if (confined || is_ours(fd))
		return fd;
	return open_again(fd);
}

/* Every unprivileged filter begins with PR_SET_NO_NEW_PRIVS. */
HM_EXPORT int prctl(int option, ...)
{
	unsigned long arg[4];
	va_list more;
	int i;

	va_start(more, option);
	for (i = 0; i < 4; i++)
		arg[i] = va_arg(more, unsigned long);
	va_end(more);
	if ((option == PR_SET_SECCOMP || option == PR_SET_NO_NEW_PRIVS) &&
	    !confined && hm_ready()) {
		int before = errno;

		if (hm_descriptor() < 0)	/* the last look */
			given_up = true;
		confined = true;
		errno = before;
	}
	return (int)syscall(SYS_prctl, option, arg[0], arg[1], arg[2], arg[3]);
}

static bool is_kept(int fd)
{
	return fd >= 0 && fd == atomic_load(&descriptor);
}

static struct {
	__typeof__(close) *close;
	__typeof__(dup2) *dup2;
	__typeof__(dup3) *dup3;
	__typeof__(closefrom) *closefrom;
} real;

#define FIND(name) (real.name = (__typeof__(real.name))dlsym(RTLD_NEXT, #name))

/* Only constructors of others come before ours. */
#define NEEDED(name)				\
	do {					\
		if (!real.name)			\
			FIND(name);		\
	} while (0)

/* At the start: the loader's lock may be held by nobody in the child of a fork. */
void hm_find_real_descriptors(void)
{
	FIND(close);
	FIND(dup2);
	FIND(dup3);
	FIND(closefrom);
}

HM_EXPORT int close(int fd)
{
	NEEDED(close);
	if (is_kept(fd) && process == getpid() && is_ours(fd))
		return 0;	/* as if it were closed */
	return real.close(fd);
}

/* The caller wants this number for something else: ours takes another. */
static void give_way(int number)
{
	int before = errno, fd;

	/* Not in the child of vfork(), whose memory is its parent's. */
	if (is_kept(number) && process == getpid() && is_ours(number)) {
		fd = fcntl(number, F_DUPFD_CLOEXEC, number + 1);
		if (fd < 0)
			fd = fcntl(number, F_DUPFD_CLOEXEC, 3);
		if (fd >= 0)
			atomic_store(&descriptor, fd);
	}
	errno = before;
}

HM_EXPORT int dup2(int from, int to)
{
	NEEDED(dup2);
	if (from != to)
		give_way(to);
	return real.dup2(from, to);
}

HM_EXPORT int dup3(int from, int to, int flags)
{
	NEEDED(dup3);
	if (from != to)
		give_way(to);
	return real.dup3(from, to, flags);
}

HM_EXPORT int close_range(unsigned int first, unsigned int last, int flags)
{
	unsigned int fd = (unsigned int)atomic_load(&descriptor);

	/* On exec ours is closed anyway. */
	if (fd > INT_MAX || first > fd || last < fd ||
	    (flags & (int)CLOSE_RANGE_CLOEXEC))
		return (int)syscall(SYS_close_range, first, last, flags);
	if (first < fd && syscall(SYS_close_range, first, fd - 1, flags))
		return -1;
	if (last == fd)
		return 0;
	return (int)syscall(SYS_close_range, fd + 1, last, flags);
}

HM_EXPORT void closefrom(int first)
{
	int fd = atomic_load(&descriptor);

	NEEDED(closefrom);
	if (first < 0)
		first = 0;
	if (fd < first) {
		real.closefrom(first);
		return;
	}
	if (first < fd && syscall(SYS_close_range, first, fd - 1, 0))
		for (; first < fd; first++)
			syscall(SYS_close, first);
	real.closefrom(fd + 1);
}

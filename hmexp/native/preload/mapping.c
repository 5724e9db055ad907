/*
 * mmap, mremap and madvise.
 *
 * munmap, mprotect, mlock, fork and the rest need no help: a private mapping of
 * the device is a mapping like any other to them.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "preload.h"

/* The mappings that are not "large private anonymous memory that is data". */
#define NOT_OURS (MAP_HUGETLB | MAP_GROWSDOWN | MAP_STACK)

/* Another thread may take the spot that was found; each time, look for another. */
#define MOST_TRIES 16

static void *kernel_mmap(void *addr, size_t len, int prot, int flags, int fd,
			 off_t offset)
{
	return (void *)syscall(SYS_mmap, addr, len, prot, flags, fd, offset);
}

static bool is_wanted(size_t len, int prot, int flags)
{
	return (flags & MAP_TYPE) == MAP_PRIVATE && (flags & MAP_ANONYMOUS) &&
	       !(flags & NOT_OURS) && !(prot & PROT_EXEC) && hm_ready() &&
	       len >= hm_settings.threshold_bytes;
}

/*
 * The kernel is first asked where it would put the mapping, for the offset must
 * be known with the address.  The spot is given back before it is used, never
 * replaced, so that a failure leaves no hole that another thread may have filled.
 */
static void *place_anywhere(void *hint, size_t len, int prot, int flags, int fd)
{
	int asked = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
	void *spot, *at;
	int tries;

#ifdef MAP_32BIT
	asked |= flags & MAP_32BIT;
	flags &= ~MAP_32BIT;
#endif
	for (tries = 0; tries < MOST_TRIES; tries++) {
		spot = kernel_mmap(hint, len, PROT_NONE, asked, -1, 0);
		if (spot == MAP_FAILED)
			return MAP_FAILED;
		syscall(SYS_munmap, spot, len);
		at = kernel_mmap(spot, len, prot, flags | MAP_FIXED_NOREPLACE, fd,
				 (off_t)(uintptr_t)spot);
		if (at == spot || (at == MAP_FAILED && errno != EEXIST))
			return at;
		if (at != MAP_FAILED)
			syscall(SYS_munmap, at, len);
	}
	return MAP_FAILED;
}

static void count_placed(size_t len, int prot)
{
	if (prot == PROT_NONE) {
		hm_count(reservations, 1);
		return;
	}
	hm_count(mappings, 1);
	hm_count(bytes, len);
}

static void count_ordinary(size_t len, int prot, int err)
{
	if (prot == PROT_NONE)
		return;
	hm_count(ordinary, 1);
	hm_count(ordinary_bytes, len);
	atomic_store(&hm_counters->last_errno, (uint64_t)err);
}

/* A mapping of the device for one that is anonymous; MAP_FAILED with errno. */
static void *place(void *addr, size_t len, int prot, int flags)
{
	int fd = hm_descriptor();
	bool fixed = flags & (MAP_FIXED | MAP_FIXED_NOREPLACE);

	if (fd < 0)
		return MAP_FAILED;
	flags &= ~MAP_ANONYMOUS;
	if (!fixed)
		return place_anywhere(addr, len, prot, flags, fd);
	/* What is replaced was the caller's, whatever becomes of it. */
	return kernel_mmap(addr, len, prot, flags, fd, (off_t)(uintptr_t)addr);
}

HM_EXPORT void *mmap(void *addr, size_t len, int prot, int flags, int fd,
		     off_t offset)
{
	int before = errno;
	void *at;

	if (!is_wanted(len, prot, flags))
		return kernel_mmap(addr, len, prot, flags, fd, offset);
	/* Nothing may make it executable later: a reservation may be for code. */
	if (prot == PROT_NONE && hm_device_noexec())
		return kernel_mmap(addr, len, prot, flags, fd, offset);
	at = place(addr, len, prot, flags);
	if (at != MAP_FAILED) {
		count_placed(len, prot);
	} else {
		int err = errno;

		/* The kernel's own answer, which may be that it fails as well. */
		at = kernel_mmap(addr, len, prot, flags, fd, offset);
		if (at == MAP_FAILED)
			return at;
		count_ordinary(len, prot, err);
	}
	errno = before;
	return at;
}

HM_EXPORT void *mmap64(void *addr, size_t len, int prot, int flags, int fd,
		       off64_t offset)
{
	return mmap(addr, len, prot, flags, fd, offset);
}

static size_t round_up(size_t len)
{
	return (len + hm_settings.page_bytes - 1) & -hm_settings.page_bytes;
}

/*
 * Move to a place of the same phase: the pages that are there keep their places,
 * and those that come get theirs by their addresses.  It does no harm to any
 * other mapping, so it need not be known whose it is.
 */
static void *move_in_phase(void *old, size_t old_len, size_t new_len, int flags)
{
	size_t period = hm_settings.period_bytes, len = round_up(new_len), skip;
	char *spot, *to;
	void *at;

	spot = kernel_mmap(NULL, len + period, PROT_NONE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (spot == MAP_FAILED)
		return MAP_FAILED;
	skip = ((uintptr_t)old % period + period - (uintptr_t)spot % period) % period;
	to = spot + skip;
	if (skip)
		syscall(SYS_munmap, spot, skip);
	if (period - skip)
		syscall(SYS_munmap, to + len, period - skip);
	at = (void *)syscall(SYS_mremap, old, old_len, new_len,
			     flags | MREMAP_MAYMOVE | MREMAP_FIXED, to);
	/*
	 * Failed, the spot may still be our reservation or, by now, another
	 * thread's: it is left, for it is only address space.
	 */
	return at;
}

static void *grow(void *old, size_t old_len, size_t new_len)
{
	int before = errno;
	void *at = (void *)syscall(SYS_mremap, old, old_len, new_len, 0);

	if (at != MAP_FAILED || errno != ENOMEM)
		return at;
	at = move_in_phase(old, old_len, new_len, 0);
	if (at == MAP_FAILED)
		return (void *)syscall(SYS_mremap, old, old_len, new_len,
				       MREMAP_MAYMOVE);
	errno = before;
	return at;
}

HM_EXPORT void *mremap(void *old, size_t old_len, size_t new_len, int flags, ...)
{
	void *to = NULL, *at;
	va_list more;

	if (flags & (MREMAP_FIXED | MREMAP_DONTUNMAP)) {
		va_start(more, flags);
		to = va_arg(more, void *);
		va_end(more);
	}
	if (hm_ready() && old_len && new_len >= hm_settings.threshold_bytes) {
		if (flags == MREMAP_MAYMOVE && new_len > old_len)
			return grow(old, old_len, new_len);
		if (flags == (MREMAP_MAYMOVE | MREMAP_DONTUNMAP) && !to) {
			at = move_in_phase(old, old_len, new_len, flags);
			if (at != MAP_FAILED)
				return at;
		}
		if ((flags & MREMAP_FIXED) &&
		    ((uintptr_t)to - (uintptr_t)old) % hm_settings.period_bytes)
			hm_count(out_of_phase, 1);
	}
	return (void *)syscall(SYS_mremap, old, old_len, new_len, flags, to);
}

/*
 * MADV_FREE is for anonymous memory alone.  Who calls it needs the contents no
 * more and may find zeroes next; MADV_DONTNEED makes them zeroes at once.
 */
HM_EXPORT int madvise(void *addr, size_t len, int advice)
{
	int before = errno;
	int ret = (int)syscall(SYS_madvise, addr, len, advice);

	if (ret && errno == EINVAL && advice == MADV_FREE && hm_ready()) {
		ret = (int)syscall(SYS_madvise, addr, len, MADV_DONTNEED);
		if (!ret)
			errno = before;
	}
	return ret;
}

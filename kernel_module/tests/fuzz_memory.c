// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* The fuzzer's operations on mappings. */
#include "fuzz.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif
#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED 24
#endif
#ifndef MADV_SOFT_OFFLINE
#define MADV_SOFT_OFFLINE 101
#endif
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif
#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#define MADV_GUARD_REMOVE 103
#endif
#ifndef MADV_COLD
#define MADV_COLD 20
#endif
#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif

/* A part of a view: all of it, or anything, but mostly a few pages. */
static unsigned long part(const struct view *v, unsigned long *n)
{
	unsigned long page;

	if (one_in(6)) {
		*n = v->pages;
		return 0;
	}
	page = any_page(v);
	*n = one_in(4) ? 1 + below(v->pages - page) : few(v->pages - page);
	return page;
}

/* For what brings every page of it: many of them take as long as many operations. */
static unsigned long short_part(const struct view *v, unsigned long *n)
{
	unsigned long page;

	if (one_in(64))
		return part(v, n);
	page = any_page(v);
	*n = few(v->pages - page);
	return page;
}

/* Values are of pages that are not PLAIN: a new view has none. */
static void new_view(struct view *v, struct store *s, bool shared, char *at,
		     unsigned long first, unsigned long pages, int prot)
{
	v->shared = shared;
	v->locked = false;
	v->no_fork = false;
	v->store = s;
	v->first = first;
	v->pages = pages;
	v->at = at;
	memset(v->prot, prot, sizeof(v->prot));
	memset(v->state, PLAIN, sizeof(v->state));
	v->used = true;
}

static void copy_view(struct view *to, const struct view *from)
{
	new_view(to, from->store, from->shared, from->at, from->first,
		 from->pages, PROT_NONE);
	to->locked = from->locked;
	to->no_fork = from->no_fork;
	memcpy(to->prot, from->prot, from->pages);
	memcpy(to->state, from->state, from->pages);
	if (!from->shared)
		memcpy(to->value, from->value, from->pages * sizeof(*to->value));
}

/* Most pages are to be writable most of the time. */
static int any_protection(void)
{
	static const int rare[] = {
		PROT_READ, PROT_READ, PROT_WRITE, PROT_NONE, PROT_READ | PROT_EXEC,
		PROT_READ | PROT_WRITE | PROT_EXEC,
	};

	return one_in(4) ? rare[below(ARRAY(rare))] : PROT_READ | PROT_WRITE;
}

int op_map(void)
{
	struct store *s = open_store();
	struct view *v = free_view();
	unsigned long first, pages;
	int prot = any_protection(), flags;
	bool shared = one_in(2);
	char *at, *to;

	if (!s || !v)
		return NOTHING;
	first = one_in(4) ? any_index() : one_in(4) * 512;
	pages = one_in(2) ? STORE_PAGES - first : 1 + below(STORE_PAGES - first);
	flags = (shared ? MAP_SHARED : MAP_PRIVATE) | MAP_FIXED_NOREPLACE;
	if (one_in(32)) {	/* each page is brought: seldom many of them */
		flags |= one_in(3) ? MAP_LOCKED : MAP_POPULATE;
		pages = one_in(32) ? pages : few(pages);
	}
	if (one_in(16))
		flags |= MAP_NORESERVE;
	to = view_place(v, first);
	at = mmap(to, pages * PAGE, prot, flags, s->fd, first * PAGE);
	if (at == MAP_FAILED) {
		if (s->can_read && (s->can_write || !shared ||
				    !(prot & PROT_WRITE)) && errno != ENOMEM &&
		    errno != EAGAIN)
			wrong("mmap: %s", strerror(errno));
		return -errno;
	}
	new_view(v, s, shared, at, first, pages, prot);
	v->locked = flags & MAP_LOCKED;
	if (flags & (MAP_POPULATE | MAP_LOCKED))
		maybe_copied(v, 0, pages);
	return 0;
}

int op_unmap(void)
{
	struct view *v = any_view();
	unsigned long page = 0, n, i;

	if (!v)
		return NOTHING;
	n = v->pages;
	if (one_in(3))
		page = part(v, &n);
	if (munmap(v->at + page * PAGE, n * PAGE))
		return -errno;
	for (i = page; i < page + n; i++) {
		v->prot[i] = HOLE;
		v->state[i] = PLAIN;
	}
	while (v->pages && v->prot[v->pages - 1] & HOLE)
		v->pages--;
	if (!v->pages)
		forget_view(v);
	return 0;
}

/* The same region at the same place once more, over what is there. */
int op_fill(void)
{
	struct view *v = any_view();
	unsigned long page, n, i;
	int flags, prot = PROT_READ;

	if (!v || v->store->fd < 0)
		return NOTHING;
	page = part(v, &n);
	flags = (v->shared ? MAP_SHARED : MAP_PRIVATE) | MAP_FIXED;
	if (v->store->can_write || !v->shared)
		prot = any_protection();
	if (mmap(v->at + page * PAGE, n * PAGE, prot, flags, v->store->fd,
		 (v->first + page) * PAGE) == MAP_FAILED) {
		int err = -errno;

		/* The old mapping may have gone. */
		munmap(v->at, v->pages * PAGE);
		forget_view(v);
		return err;
	}
	for (i = page; i < page + n; i++) {
		v->prot[i] = prot;
		v->state[i] = PLAIN;
	}
	return 0;
}

/* Into another place; the old one may stay, empty (DONTUNMAP) or as it is (0). */
static int move_view(struct view *v)
{
	struct view *w = free_view();
	unsigned long old = v->pages * PAGE, len, i;
	int flags = MREMAP_MAYMOVE | MREMAP_FIXED;
	bool twice = false;
	char *to;

	if (!w)
		return NOTHING;
	len = old;
	switch (below(4)) {
	case 0:
		flags |= MREMAP_DONTUNMAP;
		break;
	case 1:
		twice = true;
		old = 0;
		break;
	case 2:
		len = (1 + below(STORE_PAGES - v->first)) * PAGE;
		break;
	}
	to = view_place(w, v->first);
	if (mremap(v->at, old, len, flags, to) != to) {
		int err = -errno;

		/* Newer kernels move one mapping after another: maybe some. */
		if (!twice && err != -EINVAL) {
			munmap(v->at, v->pages * PAGE);
			forget_view(v);
		}
		munmap(to, len);
		return err;
	}
	copy_view(w, v);
	w->at = to;
	w->pages = len / PAGE;
	for (i = v->pages; i < w->pages; i++) {
		w->prot[i] = w->prot[v->pages - 1];
		w->state[i] = PLAIN;
	}
	if (twice) {
		/* The mapping at the start alone, from there on. */
		for (i = 0; i < w->pages; i++) {
			w->prot[i] = v->prot[0] | ANY;
			w->state[i] = PLAIN;
		}
	}
	if (flags & MREMAP_DONTUNMAP)
		dropped_copies(v, 0, v->pages, true);
	else if (!twice)
		v->used = false;	/* w has its region */
	if (w->locked)
		maybe_copied(w, 0, w->pages);
	return 0;
}

int op_remap(void)
{
	struct view *v = any_view();
	unsigned long pages, i;
	int flags = 0;

	if (!v)
		return NOTHING;
	if (one_in(2))
		return move_view(v);
	if (one_in(8))
		return result((long)mremap(v->at, draw(), draw(), draw() & 15,
					   draw() & -PAGE & 0xffffffffff) == -1 ?
			      -1 : (wrong("a senseless mremap has worked"), 0));
	pages = 1 + below(STORE_PAGES - v->first);
	if (mremap(v->at, v->pages * PAGE, pages * PAGE, flags) != v->at)
		return -errno;
	for (i = v->pages; i < pages; i++) {
		v->prot[i] = v->prot[v->pages - 1];
		v->state[i] = PLAIN;
	}
	v->pages = pages;
	if (v->locked)
		maybe_copied(v, 0, v->pages);
	return 0;
}

int op_protect(void)
{
	struct view *v = any_view();
	int prot = any_protection(), err;
	unsigned long page, n, i;

	if (!v)
		return NOTHING;
	page = part(v, &n);
	err = result(mprotect(v->at + page * PAGE, n * PAGE, prot));
	if (err && v->shared && prot & PROT_WRITE && !v->store->can_write)
		return err;	/* nothing has changed */
	for (i = page; i < page + n; i++) {
		if (v->prot[i] & HOLE)
			continue;
		if (err)
			v->prot[i] |= ANY;
		else
			v->prot[i] = prot | (v->prot[i] & GUARD);
	}
	if (v->locked)
		maybe_copied(v, page, n);
	return err;
}

int op_lock(void)
{
	struct view *v = any_view();
	unsigned long page, n;
	int err;

	if (!v)
		return NOTHING;
	page = short_part(v, &n);
	if (one_in(2))
		return result(munlock(v->at + page * PAGE, n * PAGE));
	if (one_in(3))
		err = result(syscall(SYS_mlock2, v->at + page * PAGE, n * PAGE,
				     below(3)));
	else
		err = result(mlock(v->at + page * PAGE, n * PAGE));
	v->locked = true;
	maybe_copied(v, page, n);
	return err;
}

static const int advices[] = {
	MADV_NORMAL, MADV_RANDOM, MADV_SEQUENTIAL, MADV_WILLNEED, MADV_DONTNEED,
	MADV_DONTNEED, MADV_DONTNEED, MADV_FREE, MADV_REMOVE, MADV_DONTFORK,
	MADV_DOFORK, MADV_MERGEABLE, MADV_UNMERGEABLE, MADV_HUGEPAGE,
	MADV_NOHUGEPAGE, MADV_DONTDUMP, MADV_DODUMP, MADV_WIPEONFORK,
	MADV_KEEPONFORK, MADV_COLD, MADV_PAGEOUT, MADV_POPULATE_READ,
	MADV_POPULATE_WRITE, MADV_DONTNEED_LOCKED, MADV_COLLAPSE,
	MADV_GUARD_INSTALL, MADV_GUARD_REMOVE, -1,
};

/* Does this kernel know guard pages?  Else the advice changes nothing. */
static bool has_guards(void)
{
	static int has = -1;
	char *at;

	if (has < 0) {
		at = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS,
			  -1, 0);
		has = !madvise(at, PAGE, MADV_GUARD_INSTALL);
		munmap(at, PAGE);
	}
	return has;
}

/* Does it bring pages? */
static bool brings(int advice)
{
	return advice == MADV_POPULATE_READ || advice == MADV_POPULATE_WRITE ||
	       advice == MADV_COLLAPSE;
}

int op_advise(void)
{
	struct view *v = any_view();
	int advice = advices[below(ARRAY(advices))], err;
	unsigned long page, n, i;

	if (!v)
		return NOTHING;
	page = brings(advice) ? short_part(v, &n) : part(v, &n);
	if (advice == MADV_DONTFORK || advice == MADV_DOFORK) {
		page = 0;
		n = v->pages;
	}
	err = result(madvise(v->at + page * PAGE, n * PAGE, advice));
	switch (advice) {
	case MADV_DONTNEED:
	case MADV_DONTNEED_LOCKED:
		dropped_copies(v, page, n, !err);
		if (v->locked)	/* a hole before may have left some locked */
			maybe_copied(v, page, n);
		break;
	case MADV_GUARD_INSTALL:
		if (!has_guards())
			break;
		dropped_copies(v, page, n, !err);
		for (i = page; i < page + n; i++)
			v->prot[i] |= GUARD;
		break;
	case MADV_GUARD_REMOVE:
		for (i = page; !err && i < page + n; i++)
			v->prot[i] &= ~GUARD;
		break;
	case MADV_POPULATE_WRITE:
		maybe_copied(v, page, n);
		break;
	case MADV_REMOVE:
		for (i = page; v->shared && i < page + n; i++)
			if (!err)
				v->store->value[v->first + i] = 0;
			else if (err != -ENODEV && err != -EOPNOTSUPP)
				v->store->value[v->first + i] = UNSURE;
		break;
	case MADV_DONTFORK:
		v->no_fork = true;
		break;
	case MADV_DOFORK:
		v->no_fork &= err != 0;
		break;
	}
	return err;
}

/* The kernel takes the page frame out of use, and keeps the data. */
int op_soft_offline(void)
{
	struct view *v = any_view();

	if (!v)
		return NOTHING;
	return result(madvise(v->at + any_page(v) * PAGE, PAGE,
			      MADV_SOFT_OFFLINE));
}

int op_sync(void)
{
	static const int ways[] = {
		MS_SYNC, MS_ASYNC, MS_SYNC | MS_INVALIDATE, MS_INVALIDATE, 64,
	};
	struct view *v = any_view();
	int way = below(ARRAY(ways)), err;
	unsigned long page, n;

	if (!v)
		return NOTHING;
	page = part(v, &n);
	err = result(msync(v->at + page * PAGE, n * PAGE, ways[way]));
	if (err && way < 2 && !has_hole(v, page, n))
		wrong("msync: %s", strerror(-err));
	return err;
}

// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* The fuzzer's operations that touch pages, of views and of mappings elsewhere. */
#include "fuzz.h"

static int touch_some(bool write)
{
	struct view *v = any_view();
	unsigned long i, page, n, step = 1;
	unsigned long way = below(16);

	if (!v)
		return NOTHING;
	page = any_page(v);
	n = 1 + below(one_in(256) ? 256 : way == 7 ? 24 : 3);
	if (way == 6)
		step = 1 + below(40);
	for (i = 0; i < n; i++) {
		/* A signal takes as long as many pages: not too many of them. */
		if (v->prot[page] & (write ? PROT_WRITE : PROT_READ) ||
		    one_in(48))
			touch_page(v, page, write);
		if (way == 4)
			page = any_page(v);
		else if (way == 5)
			page = (page + v->pages - 1) % v->pages;
		else
			page = (page + step) % v->pages;
	}
	return 0;
}

int op_touch_read(void)
{
	return touch_some(false);
}

int op_touch_write(void)
{
	return touch_some(true);
}

/* --------------------------------------------------------- other mappings -- */

/* Where the kernel likes: a huge page's worth at a place that suits. */
int op_anywhere(void)
{
	struct store *s = open_store();
	unsigned long first, pages, i, value;
	bool torn, shared = one_in(2);
	char *at;

	if (!s)
		return NOTHING;
	first = below(STORE_PAGES);
	pages = 1 + below(STORE_PAGES - first);
	at = mmap(NULL, pages * PAGE, PROT_READ,
		  shared ? MAP_SHARED : MAP_PRIVATE, s->fd, first * PAGE);
	if (at == MAP_FAILED)
		return -errno;
	for (i = below(64); i < pages; i += 1 + below(256))
		if (!peek(at + i * PAGE, middle_of(first + i), &value, &torn) &&
		    (torn || value != s->value[first + i]) &&
		    s->value[first + i] != UNSURE && (shared || !s->was_sparse))
			wrong("page %lu of store %ld, mapped anywhere: %lx, not %lx",
			      first + i, s - stores, value, s->value[first + i]);
	return result(munmap(at, pages * PAGE));
}

#define FILE_END	(0x7fffffffffffffffUL & -PAGE)

/* At the end of what a file can have, and beyond. */
int op_edge(void)
{
	struct store *s = open_store();
	unsigned long pages = 1 + below(64), offset, value;
	char *at, *to;
	bool torn;
	int err = 0;

	if (!s)
		return NOTHING;
	offset = FILE_END - below(pages + 8) * PAGE;
	if (one_in(8))
		offset = draw() & -PAGE;
	at = mmap(NULL, pages * PAGE, PROT_READ, MAP_SHARED, s->fd, offset);
	if (at == MAP_FAILED)
		return -errno;
	if (offset > FILE_END - pages * PAGE)
		wrong("mmap beyond the end of a region");
	peek(at + below(pages) * PAGE, 1, &value, &torn);
	to = mremap(at, pages * PAGE, 2 * pages * PAGE, MREMAP_MAYMOVE);
	if (to != MAP_FAILED) {
		unsigned long last = 2 * pages - 1 - below(pages);
		int signal = peek(to + last * PAGE, 1, &value, &torn);

		if (!signal && offset + last * PAGE >= FILE_END)
			wrong("a page beyond the end of a region");
		munmap(to, 2 * pages * PAGE);
	} else {
		err = -errno;
		munmap(at, pages * PAGE);
	}
	/* Pages so far out are in no store: none is to stay. */
	if (s->can_write)
		region_punch(s->fd, STORE_PAGES * PAGE,
			     FILE_END - STORE_PAGES * PAGE);
	return err;
}

// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Populate ahead: a sequence of shared faults brings the pages to come, too.
 *
 * Most of what a fault costs is not the page, but the trap, the walk and the
 * locks.  So the third page in a row that is touched for the first time brings
 * what is left of its window, and all of it is mapped at once.  The window
 * doubles, three times at most, where so many pages are behind it.
 *
 * Where the granule is larger than a page, so are the folios: one allocation,
 * one charge and one insertion for all their pages.  They double as the
 * sequence goes on, up to the granule, so that what comes ahead is never more
 * than a window or than what has been touched already.
 *
 * Pages ahead are pages that nobody has asked for: each is on its own node by
 * the pattern, or it is not brought.  None of them reclaims memory, takes from
 * reserves, waits for its charge, falls back, counts as refused or reaches the
 * OOM killer.
 */
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/userfaultfd_k.h>

#include "internal.h"

/* A sequence as long as that has one so many times as wide: the trap again. */
#define HM_WIDEST	8U

/* So many pages are asked for at once: their array is on the stack. */
#define HM_BATCH	32U

/* So many pages before the fault must be there: chance seldom does that. */
#define HM_BEHIND	2UL

/* The page cache takes no folio of two pages. */
#define HM_LEAST_ORDER	2U

#define HM_CHARGE_AHEAD	(GFP_NOWAIT | __GFP_NOWARN)

static gfp_t hm_gfp_ahead(struct address_space *mapping)
{
	return (mapping_gfp_mask(mapping) & ~__GFP_RECLAIM) | __GFP_ZERO |
	       __GFP_THISNODE | __GFP_NOWARN | __GFP_NOMEMALLOC;
}

static bool hm_is_page(const void *entry)
{
	return entry && !xa_is_value(entry) && !xa_is_node(entry);
}

/*
 * The pages in a row that are there before this one, of so many or some more.
 * page_cache_prev_miss() loses its way where folios are large: what it steps to
 * from the middle of one is not what is before it.
 */
static unsigned long hm_behind(struct address_space *mapping, pgoff_t index,
			       unsigned long most)
{
	XA_STATE(xas, &mapping->i_pages, 0);
	pgoff_t first = index;

	rcu_read_lock();
	while (first && index - first < most) {
		unsigned int offset, shift;

		xas_set(&xas, first - 1);
		if (!hm_is_page(xas_load(&xas)))
			break;
		if (!xas.xa_node) {	/* page 0 is all there is */
			first = 0;
			break;
		}
		/* On within the node, where siblings stand for their folio. */
		offset = xas.xa_offset;
		shift = xas.xa_node->shift;
		first = (first - 1) & (~0UL << (shift + XA_CHUNK_SHIFT));
		while (offset &&
		       index - first - ((pgoff_t)offset << shift) < most &&
		       hm_is_page(xa_entry(xas.xa, xas.xa_node, offset - 1)))
			offset--;
		first += (pgoff_t)offset << shift;
	}
	rcu_read_unlock();
	return index - first;
}

/* May pages of this granule come as folios of more than one? */
static bool hm_large_suits(struct vm_area_struct *vma, unsigned int shift)
{
	return min_t(unsigned int, shift, HM_LARGE_ORDER) >= HM_LEAST_ORDER &&
	       READ_ONCE(hm_use_huge) && !(vma->vm_flags & VM_NOHUGEPAGE);
}

/* The order of a folio at @index, of at most @n pages and within its granule. */
static unsigned int hm_fit(struct vm_area_struct *vma, pgoff_t index,
			   unsigned long n, unsigned int shift)
{
	unsigned int order = min_t(unsigned int, shift, HM_LARGE_ORDER);

	if (!hm_large_suits(vma, shift))
		return 0;
	order = min_t(unsigned int, order, ilog2(n));
	if (index)
		order = min_t(unsigned int, order, __ffs(index));
	return order < HM_LEAST_ORDER ? 0 : order;
}

/**
 * hm_reach() - how far a fault may go
 * @hf: the region
 * @vmf: the fault, of a page that is not there
 * @want: where the page should be
 *
 * All of it is mapped, in one page table.
 *
 * Return: pages, that of the fault included: 1 is none ahead.
 */
unsigned int hm_reach(struct hm_file *hf, struct vm_fault *vmf,
		      struct hm_want want)
{
	struct vm_area_struct *vma = vmf->vma;
	unsigned long n = min(READ_ONCE(hm_ahead), HM_WINDOW);
	unsigned long in_vma = vmf->pgoff - vma->vm_pgoff, most, behind;
	unsigned long widest = HM_WIDEST * n;
	unsigned int order;

	if (n < 2 || want.nid == NUMA_NO_NODE || want.no_ahead ||
	    !(vma->vm_flags & VM_MAYSHARE) || (vma->vm_flags & VM_RAND_READ) ||
	    userfaultfd_armed(vma))
		return 1;
	most = min3(vma_pages(vma) - in_vma,
		    PTRS_PER_PTE - pte_index(vmf->address),
		    HM_MAX_PAGES - vmf->pgoff);
	order = hm_fit(vma, vmf->pgoff, most, want.shift);
	if (!(vma->vm_flags & VM_SEQ_READ)) {
		behind = hm_behind(hf->inode->i_mapping, vmf->pgoff,
				   max(widest, 1UL << order));
		if (behind < HM_BEHIND)
			return 1;
		order = min_t(unsigned int, order, ilog2(behind));
		widest = min(widest, behind);
	}
	while (2 * n <= widest)
		n *= 2;
	n -= vmf->pgoff % n;
	return max(min(n, most), 1UL << order);
}

/* A folio in the page cache, locked; NULL if some of it is there, or no room. */
static struct folio *hm_bring(struct hm_file *hf, int nid, pgoff_t index,
			      unsigned int order)
{
	struct address_space *mapping = hf->inode->i_mapping;
	struct folio *folio;

	if (!node_state(nid, N_MEMORY) || !hm_node_spares(nid, 1L << order) ||
	    hm_has_pages(hf, index, 1UL << order))
		return NULL;
	folio = __folio_alloc(hm_gfp_ahead(mapping) | __GFP_COMP, order, nid,
			      NULL);
	if (!folio || hm_insert_counted(hf, folio, index, HM_CHARGE_AHEAD))
		return NULL;
	hm_count(hf, HM_LARGE, 1);
	return folio;
}

/**
 * hm_add_large() - a folio for the fault and some of the pages behind it
 * @hf: the region
 * @vmf: the fault, of a page that is not there
 * @want: where the page should be
 * @reach: how far the fault may go
 *
 * Return: the folio, in the page cache and locked; or NULL: a page will do.
 */
struct folio *hm_add_large(struct hm_file *hf, struct vm_fault *vmf,
			   struct hm_want want, unsigned int reach)
{
	unsigned int order = hm_fit(vmf->vma, vmf->pgoff, reach, want.shift);
	struct folio *folio;

	if (!order)
		return NULL;
	folio = hm_bring(hf, want.nid, vmf->pgoff, order);
	if (folio)
		hm_count(hf, HM_AHEAD, (1L << order) - 1);
	return folio;
}

/*
 * A page for each index, of its node alone, with one request to each node, and
 * counted.  Returns how many can be used: what is behind the first that is
 * missing cannot.
 */
static unsigned int hm_take_pages(struct hm_file *hf, int *nids,
				  struct page **pages, unsigned int n)
{
	gfp_t gfp = hm_gfp_ahead(hf->inode->i_mapping);
	struct page *batch[HM_BATCH];
	unsigned int i, k, from, got;
	u8 at[HM_BATCH];

	for (from = 0; from < n; from++) {
		int nid = nids[from];

		if (nid == NUMA_NO_NODE)	/* had with others of its node */
			continue;
		for (k = 0, i = from; i < n; i++) {
			if (nids[i] != nid)
				continue;
			nids[i] = NUMA_NO_NODE;
			batch[k] = NULL;
			at[k++] = i;
		}
		got = node_state(nid, N_MEMORY) && hm_node_spares(nid, k) ?
			hm_alloc_bulk(gfp, nid, k, batch) : 0;
		if (got < k)
			n = at[got];
		for (i = 0; i < got; i++)
			pages[at[i]] = batch[i];
		if (got)
			hm_count_allocated(hf, nid, got);
	}
	return n;
}

/* Pages in a row, up to the first that its node does not give. */
static unsigned int hm_bring_pages(struct hm_file *hf, pgoff_t first,
				   unsigned int n)
{
	struct page *pages[HM_BATCH] = { };
	unsigned int i, usable, done;
	int nids[HM_BATCH];

	n = hm_wanted_ahead(hf, first, nids, min(n, HM_BATCH));
	usable = hm_take_pages(hf, nids, pages, n);
	if (usable && !hm_charge(hf, usable))
		usable = 0;
	for (done = 0; done < usable; done++) {
		struct folio *folio = hm_arg_folio(pages[done]);
		int nid = folio_nid(folio);

		if (hm_insert(hf, folio, first + done, HM_CHARGE_AHEAD)) {
			hm_count_allocated(hf, nid, -1);
			pages[done] = NULL;
			break;
		}
		folio_unlock(folio);
		folio_put(folio);
	}
	if (done)
		hm_came(hf, done);
	if (done < usable)
		hm_uncharge(hf, usable - done);
	for (i = done; i < n; i++) {
		if (!pages[i])
			continue;
		hm_count_allocated(hf, page_to_nid(pages[i]), -1);
		put_page(pages[i]);
	}
	return done;
}

/**
 * hm_populate_ahead() - bring the pages behind those that a fault has placed
 * @hf: the region
 * @vmf: the fault, of a shared mapping
 * @first: the first of the pages
 * @n: how many there may be
 *
 * Ends at the first page that is there already, or that its node does not give
 * at once.
 *
 * Return: the number of pages brought.
 */
unsigned int hm_populate_ahead(struct hm_file *hf, struct vm_fault *vmf,
			       pgoff_t first, unsigned int n)
{
	unsigned int done = 0, got, order, most;

	while (done < n) {
		pgoff_t index = first + done;
		struct hm_want want = hm_wanted(hf, index);
		struct folio *folio = NULL;

		order = hm_fit(vmf->vma, index, n - done, want.shift);
		if (want.nid == NUMA_NO_NODE || want.no_ahead)
			break;
		if (order)
			folio = hm_bring(hf, want.nid, index, order);
		if (folio) {
			folio_unlock(folio);
			folio_put(folio);
			done += 1U << order;
			continue;
		}
		/* As far as the next folio may begin, or all. */
		most = min(n - done, HM_BATCH);
		if (hm_large_suits(vmf->vma, want.shift))
			most = min_t(unsigned int, most, (1U << HM_LEAST_ORDER) -
				     index % (1U << HM_LEAST_ORDER));
		got = hm_bring_pages(hf, index, most);
		done += got;
		if (got < most)
			break;
	}
	if (done)
		hm_count(hf, HM_AHEAD, done);
	return done;
}

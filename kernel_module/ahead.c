// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Populate ahead: a sequence of shared faults brings the pages to come, too.
 *
 * Most of what a fault costs is not the page, but the trap, the walk and the
 * locks.  So the second page in a row that is touched for the first time brings
 * what is left of its window, and maps all of it at once.
 *
 * Pages ahead are pages that nobody has asked for: each is on its own node by
 * the pattern, or it is not brought.  None of them reclaims memory, waits for
 * its charge, falls back, counts as refused or reaches the OOM killer.
 */
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/userfaultfd_k.h>

#include "internal.h"

/* A window, in pages; what the core mm maps around a read fault at most. */
#define HM_WINDOW	16U

/* So many pages before the fault must be there: chance seldom does that. */
#define HM_BEHIND	2U

static bool hm_is_sequence(struct address_space *mapping, pgoff_t index)
{
	unsigned int i;

	for (i = 1; i <= HM_BEHIND; i++)
		if (index < i || !xa_load(&mapping->i_pages, index - i))
			return false;
	return true;
}

/* How many pages behind the faulting one may be brought. */
static unsigned int hm_ahead_most(struct hm_file *hf, struct vm_fault *vmf)
{
	struct vm_area_struct *vma = vmf->vma;
	unsigned long n = min(READ_ONCE(hm_ahead), HM_WINDOW);
	unsigned long in_vma = vmf->pgoff - vma->vm_pgoff;

	if (n < 2 || !(vma->vm_flags & VM_MAYSHARE) ||
	    (vma->vm_flags & VM_RAND_READ) || userfaultfd_armed(vma))
		return 0;
	if (!(vma->vm_flags & VM_SEQ_READ) &&
	    !hm_is_sequence(hf->inode->i_mapping, vmf->pgoff))
		return 0;
	n -= vmf->pgoff % n;
	n = min3(n, vma_pages(vma) - in_vma,
		 PTRS_PER_PTE - pte_index(vmf->address));
	return min(n, HM_MAX_PAGES - vmf->pgoff) - 1;
}

/**
 * hm_populate_ahead() - bring the pages behind one that was just placed
 * @hf: the region
 * @vmf: the fault, of a shared mapping, whose own page is in the page cache and
 *	locked
 *
 * Ends at the first page that is there already, or that its node does not give
 * at once.
 *
 * Return: the number of pages brought.
 */
unsigned int hm_populate_ahead(struct hm_file *hf, struct vm_fault *vmf)
{
	struct address_space *mapping = hf->inode->i_mapping;
	unsigned int i, n = hm_ahead_most(hf, vmf);
	gfp_t gfp = (mapping_gfp_mask(mapping) & ~__GFP_RECLAIM) | __GFP_ZERO |
		    __GFP_THISNODE | __GFP_NOWARN;
	int nids[HM_WINDOW];
	struct folio *folio;

	if (!n)
		return 0;
	n = hm_wanted_ahead(hf, vmf->pgoff + 1, nids, n);
	for (i = 0; i < n; i++) {
		if (!node_state(nids[i], N_MEMORY))
			break;
		folio = __folio_alloc(gfp, 0, nids[i], NULL);
		if (!folio || hm_insert(hf, folio, vmf->pgoff + 1 + i,
					GFP_NOWAIT | __GFP_NOWARN))
			break;
		folio_unlock(folio);
		folio_put(folio);
	}
	if (i)
		hm_count(hf, HM_AHEAD, i);
	return i;
}

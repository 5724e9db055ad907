/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The only place that knows how kernels differ.  The rest is written for the
 * newest interface; here an older kernel is dressed up to look like it.  What
 * the kernel has was found by probe.sh, not derived from its version.
 */
#ifndef HM_COMPAT_H
#define HM_COMPAT_H

#include <linux/fs.h>
#include <linux/gfp.h>
#include <linux/mempolicy.h>
#include <linux/migrate.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/swap.h>

#include "probe.h"

/* ---------------------------------------------------------------- folios -- */

#ifndef HM_HAVE_FOLIO
#define folio page

static inline int folio_nid(const struct page *page)
{
	return page_to_nid(page);
}

static inline long folio_nr_pages(struct page *page)
{
	return 1;
}

static inline struct page *folio_file_page(struct page *page, pgoff_t index)
{
	return page;
}

static inline void folio_get(struct page *page)
{
	get_page(page);
}

static inline void folio_put(struct page *page)
{
	put_page(page);
}

static inline void folio_mark_uptodate(struct page *page)
{
	SetPageUptodate(page);
}

static inline void folio_set_dirty(struct page *page)
{
	SetPageDirty(page);
}

static inline void folio_unlock(struct page *page)
{
	unlock_page(page);
}

static inline struct page *folio_alloc(gfp_t gfp, unsigned int order)
{
	return alloc_pages(gfp, order);
}

static inline struct page *__folio_alloc(gfp_t gfp, unsigned int order, int nid,
					 nodemask_t *nodes)
{
	return __alloc_pages_nodemask(gfp, order, nid, nodes);
}

static inline struct page *filemap_lock_folio(struct address_space *mapping,
					      pgoff_t index)
{
	return find_lock_page(mapping, index);
}

static inline int filemap_add_folio(struct address_space *mapping,
				    struct page *page, pgoff_t index, gfp_t gfp)
{
	return add_to_page_cache_lru(page, mapping, index, gfp);
}
#endif /* !HM_HAVE_FOLIO */

/**
 * hm_lock_folio() - find and lock a folio of the page cache
 * @mapping: where
 * @index: index of one of its pages
 *
 * Return: the folio, locked, with a reference; or NULL.  (A missing folio is
 * an ERR_PTR() since 6.4 and was NULL before.)
 */
static inline struct folio *hm_lock_folio(struct address_space *mapping,
					  pgoff_t index)
{
	struct folio *folio = filemap_lock_folio(mapping, index);

	return IS_ERR(folio) ? NULL : folio;
}

/**
 * hm_map_pages() - map pages of the page cache in a row
 * @vmf: the fault, of the first of them
 * @first: the first
 * @last: the last, in the same page table
 *
 * Return: VM_FAULT_NOPAGE if the fault's own page is mapped; else 0.
 */
static inline vm_fault_t hm_map_pages(struct vm_fault *vmf, pgoff_t first,
				      pgoff_t last)
{
#ifdef HM_HAVE_MAP_PAGES_RESULT
	return filemap_map_pages(vmf, first, last);
#else
	/* Until 5.11 the lock is left held and the address moved. */
	unsigned long address = vmf->address;
	vm_fault_t ret = 0;

	filemap_map_pages(vmf, first, last);
	if (vmf->pte) {
		vmf->pte -= (vmf->address >> PAGE_SHIFT) -
			    (address >> PAGE_SHIFT);
		if (!pte_none(*vmf->pte))
			ret = VM_FAULT_NOPAGE;
		__acquire(vmf->ptl);	/* filemap_map_pages() did */
		pte_unmap_unlock(vmf->pte, vmf->ptl);
	}
	vmf->address = address;
	vmf->pte = NULL;
	return ret;
#endif
}

#ifdef HM_HAVE_LARGE_FOLIO
#define HM_HUGE_ORDER		HPAGE_PMD_ORDER
#define HM_HUGE_NR		HPAGE_PMD_NR
/* The largest folio beneath a huge one. */
#define HM_LARGE_ORDER		(HPAGE_PMD_ORDER - 1)
#define hm_get_unmapped_area	thp_get_unmapped_area
#define hm_set_large_folios	mapping_set_large_folios
#else
/* Never taken: an order that no granule reaches. */
#define HM_HUGE_ORDER		BITS_PER_LONG
#define HM_HUGE_NR		1UL
#define HM_LARGE_ORDER		0
#define hm_get_unmapped_area	NULL

static inline void hm_set_large_folios(struct address_space *mapping)
{
}
#endif

/**
 * hm_alloc_bulk() - as many pages of a node as it gives at once
 * @gfp: how to allocate, with __GFP_THISNODE
 * @nid: the node
 * @n: how many are wanted
 * @pages: for them; all NULL
 *
 * Return: how many there are now, at the front.
 */
static inline unsigned long hm_alloc_bulk(gfp_t gfp, int nid, unsigned long n,
					  struct page **pages)
{
#if defined(HM_HAVE_BULK_NODE)
	return alloc_pages_bulk_node(gfp, nid, n, pages);
#elif defined(HM_HAVE_BULK_ARRAY_NODE)
	return alloc_pages_bulk_array_node(gfp, nid, n, pages);
#else
	unsigned long i;

	for (i = 0; i < n; i++) {
		pages[i] = alloc_pages_node(nid, gfp, 0);
		if (!pages[i])
			break;
	}
	return i;
#endif
}

/* ---------------------------------------- address space operations -------- */

/*
 * hm_aop_NAME is the operation's name, HM_NAME_ARG what it is called with, and
 * hm_arg_folio() makes a folio of that: a page passed here is a head page.
 */
#define hm_arg_folio(arg)	((struct folio *)(arg))

#ifdef HM_HAVE_DIRTY_FOLIO
#define hm_aop_dirty_folio	dirty_folio
#define hm_noop_dirty_folio	noop_dirty_folio
#else
#define hm_aop_dirty_folio	set_page_dirty
static inline int hm_noop_dirty_folio(struct page *page)
{
	return !TestSetPageDirty(page);
}
#endif

#ifdef HM_HAVE_FREE_FOLIO
#define hm_aop_free_folio	free_folio
#define HM_FREE_ARG		struct folio
#else
#define hm_aop_free_folio	freepage
#define HM_FREE_ARG		struct page
#endif

#ifdef HM_HAVE_MIGRATE_FOLIO
#define hm_aop_migrate_folio	migrate_folio
#define hm_migrate		migrate_folio
#define HM_MIGRATE_ARG		struct folio
#else
#define hm_aop_migrate_folio	migratepage
#define hm_migrate		migrate_page
#define HM_MIGRATE_ARG		struct page
#endif

#ifdef HM_HAVE_ERROR_REMOVE_FOLIO
#define hm_aop_error_remove_folio	error_remove_folio
#define HM_ERROR_ARG			struct folio
#else
#define hm_aop_error_remove_folio	error_remove_page
#define HM_ERROR_ARG			struct page
#endif

/* -------------------------------------------------------- memory policy -- */

#ifdef HM_HAVE_GET_POLICY_ILX
#define HM_GET_POLICY_ARGS \
	struct vm_area_struct *vma, unsigned long addr, pgoff_t *ilx
#else
#define HM_GET_POLICY_ARGS struct vm_area_struct *vma, unsigned long addr
#endif

#ifdef CONFIG_NUMA
/**
 * hm_mempolicy_init() - a policy of one node that is never freed
 * @policy: the policy, zeroed
 * @mode: MPOL_BIND or MPOL_PREFERRED
 * @nid: the node
 */
static inline void hm_mempolicy_init(struct mempolicy *policy,
				     unsigned short mode, int nid)
{
	atomic_set(&policy->refcnt, 1);	/* ours */
	policy->mode = mode;
	policy->flags = 0;		/* not MPOL_F_MOF: no NUMA hinting faults */
#ifdef HM_HAVE_MPOL_NODES
	policy->nodes = nodemask_of_node(nid);
#else
	if (mode == MPOL_BIND)
		policy->v.nodes = nodemask_of_node(nid);
	else
		policy->v.preferred_node = nid;
#endif
#ifdef HM_HAVE_MPOL_HOME_NODE
	policy->home_node = NUMA_NO_NODE;
#endif
	policy->w.user_nodemask = nodemask_of_node(nid);
}
#endif /* CONFIG_NUMA */

#endif /* HM_COMPAT_H */

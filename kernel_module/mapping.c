// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The region's memory: an inode on an internal file system, its page cache,
 * and the faults that fill it.
 *
 * MAP_SHARED   Pages live in the page cache: unevictable, for there is nowhere
 *              to write them, but charged to the memcg of the task that touched
 *              them first and movable, so that ZONE_MOVABLE, compaction and
 *              memory hot-remove keep working.
 * MAP_PRIVATE  Ordinary anonymous copy-on-write pages of the core mm.
 *
 * The folio lock serialises insertion, migration and truncation of one folio,
 * as for any page cache.
 */
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/mount.h>
#include <linux/pagemap.h>
#include <linux/pseudo_fs.h>
#include <linux/slab.h>
#include <linux/smp.h>
#include <linux/srcu.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "internal.h"

#define HM_MAGIC	0x48594d45UL	/* "HYME" */

static struct vfsmount *hm_mnt;

/*
 * What a private page is copied from where the region has a hole.  Not the
 * kernel's zero page: the core mm locks the source, and all CPUs would queue.
 */
static struct page **hm_zero;
static unsigned int hm_zero_mask;

/* ---------------------------------------------------------------- faults -- */

/**
 * hm_insert() - put a new folio in the page cache, locked
 * @hf: the region
 * @folio: the folio; freed when it cannot be put there
 * @index: of its first page
 * @gfp: how to charge it
 *
 * Return: 0, -EEXIST if another was faster, or another negative errno.
 */
int hm_insert(struct hm_file *hf, struct folio *folio, pgoff_t index, gfp_t gfp)
{
	int err;

	folio_mark_uptodate(folio);
	err = filemap_add_folio(hf->inode->i_mapping, folio, index, gfp);
	if (err) {
		folio_put(folio);
		return err;
	}
	folio_set_dirty(folio);	/* no backing store: never clean */
	return 0;
}

/**
 * hm_insert_counted() - charge a new folio to the region's user, put it in the
 * page cache, and count its pages
 * @hf: the region
 * @folio: the folio; freed when it cannot be put there
 * @index: of its first page
 * @gfp: how to charge it
 *
 * Return: as hm_insert(), or -EDQUOT if there may be no more.
 */
int hm_insert_counted(struct hm_file *hf, struct folio *folio, pgoff_t index,
		      gfp_t gfp)
{
	long n = folio_nr_pages(folio);
	int err;

	if (!hm_charge(hf, n)) {
		folio_put(folio);
		return -EDQUOT;
	}
	err = hm_insert(hf, folio, index, gfp);
	if (err) {
		hm_uncharge(hf, n);
		return err;
	}
	hm_came(hf, n);
	hm_count_allocated(hf, folio_nid(folio), n);
	return 0;
}

/**
 * hm_has_pages() - is any page of a range there?
 * @hf: the region
 * @index: its first page
 * @n: how many
 *
 * Return: true if one is.
 */
bool hm_has_pages(struct hm_file *hf, pgoff_t index, unsigned long n)
{
	loff_t start = (loff_t)index << PAGE_SHIFT;

	return filemap_range_has_page(hf->inode->i_mapping, start,
				      start + ((loff_t)n << PAGE_SHIFT) - 1);
}

/*
 * Can one huge folio serve this fault?  Only if all of it is mapped, at an
 * address that a huge page table entry can map, and none of it is there yet.
 */
static bool hm_huge_suits(struct hm_file *hf, struct vm_fault *vmf,
			  pgoff_t base)
{
	struct vm_area_struct *vma = vmf->vma;
	pgoff_t first = vma->vm_pgoff;
	pgoff_t last = first + vma_pages(vma) - 1;

	if (!IS_ENABLED(CONFIG_TRANSPARENT_HUGEPAGE) ||
	    !READ_ONCE(hm_use_huge) || (vma->vm_flags & VM_NOHUGEPAGE))
		return false;
	return base >= first && base + HM_HUGE_NR - 1 <= last &&
	       IS_ALIGNED((vma->vm_start >> PAGE_SHIFT) - first, HM_HUGE_NR) &&
	       !hm_has_pages(hf, base, HM_HUGE_NR);
}

/* With little effort, as it was allocated: a small page is charged with all. */
#define HM_CHARGE_HUGE	(GFP_KERNEL | __GFP_NORETRY | __GFP_NOWARN)

/* A huge folio around the fault, in the page cache and locked; or NULL. */
static struct folio *hm_add_huge(struct hm_file *hf, struct vm_fault *vmf,
				 struct hm_want want, gfp_t gfp)
{
	pgoff_t base = round_down(vmf->pgoff, HM_HUGE_NR);
	struct folio *folio;

	if (want.shift < HM_HUGE_ORDER || want.nid == NUMA_NO_NODE ||
	    !hm_huge_suits(hf, vmf, base))
		return NULL;
	folio = hm_alloc_huge(want, gfp);
	if (!folio || hm_insert_counted(hf, folio, base, HM_CHARGE_HUGE))
		return NULL;
	hm_count(hf, HM_HUGE, 1);
	return folio;
}

/*
 * Strict pages in the making: allocated, but not in the page cache yet.  Who is
 * about to be refused waits for them, for one may be the very page it wants.
 */
static struct srcu_struct hm_making;

static bool hm_made_meanwhile(struct hm_file *hf, pgoff_t index)
{
	synchronize_srcu_expedited(&hm_making);
	return hm_has_pages(hf, index, 1);
}

/*
 * The page of the fault alone; NULL: look again; or an ERR_PTR(), as of
 * hm_alloc_folio() and hm_insert_counted().
 */
static struct folio *hm_make_page(struct hm_file *hf, struct vm_fault *vmf,
				  struct hm_want want, gfp_t gfp)
{
	struct folio *folio = hm_alloc_folio(want, gfp);
	int err;

	if (IS_ERR(folio))
		return folio;
	err = hm_insert_counted(hf, folio, vmf->pgoff, GFP_KERNEL);
	if (err)
		return err == -EEXIST ? NULL : ERR_PTR(err);
	/* Only now: who loses the race for a page has placed none. */
	if (want.nid != NUMA_NO_NODE && folio_nid(folio) != want.nid)
		hm_count(hf, HM_FALLBACKS, 1);
	return folio;
}

/*
 * The folio of a shared page, in the page cache and locked; NULL: look again; or
 * an ERR_PTR(), as of hm_make_page().  And how many pages in a row, from that of
 * the fault on, are to be mapped.
 */
static struct folio *hm_make(struct hm_file *hf, struct vm_fault *vmf,
			     struct hm_want want, unsigned int *n)
{
	gfp_t gfp = mapping_gfp_mask(hf->inode->i_mapping);
	struct folio *folio;
	unsigned int reach;

	*n = 1;
	folio = hm_add_huge(hf, vmf, want, gfp);
	if (folio)
		return folio;
	reach = hm_reach(hf, vmf, want);
	if (reach > 1)
		folio = hm_add_large(hf, vmf, want, reach);
	if (!folio)
		folio = hm_make_page(hf, vmf, want, gfp);
	if (IS_ERR_OR_NULL(folio))
		return folio;
	*n = folio_nr_pages(folio);
	if (*n < reach)
		*n += hm_populate_ahead(hf, vmf, vmf->pgoff + *n, reach - *n);
	return folio;
}

static struct folio *hm_make_strict(struct hm_file *hf, struct vm_fault *vmf,
				    struct hm_want want, unsigned int *n)
{
	int making = srcu_read_lock(&hm_making);
	struct folio *folio = hm_make(hf, vmf, want, n);

	srcu_read_unlock(&hm_making, making);
	return folio;
}

static vm_fault_t hm_add(struct hm_file *hf, struct vm_fault *vmf,
			 struct folio **foliop, unsigned int *n)
{
	struct hm_want want = hm_wanted(hf, vmf->pgoff);
	struct folio *folio = want.strict ? hm_make_strict(hf, vmf, want, n) :
					    hm_make(hf, vmf, want, n);
	int err = PTR_ERR_OR_ZERO(folio);

	*foliop = err ? NULL : folio;
	if (!err)
		return 0;
	if (err == -ENOSPC) {
		if (hm_made_meanwhile(hf, vmf->pgoff))
			return 0;
		hm_count(hf, HM_REFUSED, 1);
	} else if (err == -EDQUOT) {
		hm_count(hf, HM_LIMITED, 1);
	}
	return vmf_error(err);
}

/*
 * Map new pages, of which the first is the fault's.  Its folio is let go, for
 * its page may be mapped then; if it is not, it is to be looked for again.
 */
static vm_fault_t hm_map_new(struct vm_fault *vmf, struct folio *folio,
			     unsigned int n)
{
	folio_unlock(folio);
	folio_put(folio);
	return hm_map_pages(vmf, vmf->pgoff, vmf->pgoff + n - 1);
}

/* Each mapped one is a reference, of which an int must not run out. */
#define HM_ZERO_MOST	0x40000000

/* May a read of a private hole show nobody's zeroes, and leave the hole? */
static bool hm_zero_suits(struct hm_file *hf, struct vm_fault *vmf)
{
	return !(vmf->vma->vm_flags & VM_MAYSHARE) &&
	       hm_wanted(hf, vmf->pgoff).sparse &&
	       page_ref_count(hm_zero[raw_smp_processor_id() & hm_zero_mask]) <
	       HM_ZERO_MOST;
}

static vm_fault_t hm_fault(struct vm_fault *vmf)
{
	struct hm_file *hf = vmf->vma->vm_file->private_data;
	struct folio *folio;
	vm_fault_t ret;
	unsigned int n;

	/* mremap() can grow a mapping beyond what hm_mmap() has allowed. */
	if (vmf->pgoff >= HM_MAX_PAGES)
		return VM_FAULT_SIGBUS;

	if (vmf->cow_page) {
		ret = hm_check_private(hf, vmf);
		if (ret)
			return ret;
	}

	do {
		folio = hm_lock_folio(hf->inode->i_mapping, vmf->pgoff);
		if (folio)
			break;
		/* First write to a private hole: nothing to copy but zeroes. */
		if (vmf->cow_page || hm_zero_suits(hf, vmf)) {
			vmf->page = hm_zero[raw_smp_processor_id() &
					    hm_zero_mask];
			get_page(vmf->page);
			return 0;
		}
		ret = hm_add(hf, vmf, &folio, &n);
		if (folio && n > 1) {
			ret = hm_map_new(vmf, folio, n);
			folio = NULL;
		}
		if (ret)
			return ret;
	} while (!folio);

	vmf->page = folio_file_page(folio, vmf->pgoff);
	return VM_FAULT_LOCKED;
}

const struct vm_operations_struct hm_vm_ops = {
	.fault		= hm_fault,
	.map_pages	= filemap_map_pages,
#ifdef CONFIG_NUMA
	.get_policy	= hm_get_policy,
	.set_policy	= hm_set_policy,
#endif
};

/* --------------------------------------------------------- address space -- */

#ifdef CONFIG_MIGRATION
static int hm_migrate_folio(struct address_space *mapping, HM_MIGRATE_ARG *dst,
			    HM_MIGRATE_ARG *src, enum migrate_mode mode)
{
	int err = hm_migrate(mapping, dst, src, mode);

	if (!err)
		hm_count_moved(mapping->host->i_private, hm_arg_folio(src),
			       hm_arg_folio(dst));
	return err;
}
#endif

static void hm_free_folio(HM_FREE_ARG *arg)
{
	hm_count_freed(hm_arg_folio(arg));
}

/* A poisoned page stays: the next access is a SIGBUS, not a page of zeroes. */
static int hm_error_remove(struct address_space *mapping, HM_ERROR_ARG *arg)
{
	return 0;
}

static const struct address_space_operations hm_aops = {
	.hm_aop_dirty_folio		= hm_noop_dirty_folio,
	.hm_aop_free_folio		= hm_free_folio,
#ifdef CONFIG_MIGRATION
	.hm_aop_migrate_folio		= hm_migrate_folio,
#endif
	.hm_aop_error_remove_folio	= hm_error_remove,
};

/**
 * hm_punch() - HYBRIDMEM_IOC_PUNCH: free the shared pages of a range
 * @hf: the region
 * @arg: a struct hybridmem_range
 * @size: what its version has of it
 *
 * Private copies stay, as they do when a hole is punched in a file.
 *
 * Return: 0 or a negative errno.
 */
long hm_punch(struct hm_file *hf, void __user *arg, size_t size)
{
	struct address_space *mapping = hf->inode->i_mapping;
	struct hybridmem_range r;
	int err = copy_struct_from_user(&r, sizeof(r), arg, size);

	if (err)
		return err;
	if (memchr_inv(r.reserved, 0, sizeof(r.reserved)) || !r.len ||
	    !PAGE_ALIGNED(r.offset) || !PAGE_ALIGNED(r.len) ||
	    r.offset > HM_MAX_SIZE || r.len > HM_MAX_SIZE - r.offset)
		return -EINVAL;
	/* Once for all of the range: truncation would do it page by page. */
	unmap_mapping_range(mapping, r.offset, r.len, 0);
	truncate_inode_pages_range(mapping, r.offset, r.offset + r.len - 1);
	hm_settle(hf);
	return 0;
}

/* ----------------------------------------------------------- file system -- */

/**
 * hm_inode_alloc() - an inode to hold a region's pages
 * @hf: the region; the inode's last reference frees it
 *
 * Return: the inode or an ERR_PTR().
 */
struct inode *hm_inode_alloc(struct hm_file *hf)
{
	struct inode *inode = alloc_anon_inode(hm_mnt->mnt_sb);
	struct address_space *mapping;

	if (IS_ERR(inode))
		return inode;
	inode->i_private = hf;
	inode->i_size = HM_MAX_SIZE;
	mapping = inode->i_mapping;
	mapping->a_ops = &hm_aops;
	mapping_set_gfp_mask(mapping, GFP_HIGHUSER_MOVABLE);
	mapping_set_unevictable(mapping);
	hm_set_large_folios(mapping);
	return inode;
}

static void hm_evict_inode(struct inode *inode)
{
	struct hm_file *hf = inode->i_private;

	truncate_inode_pages_final(inode->i_mapping);
	clear_inode(inode);
	if (hf) {
		hm_quota_close(hf);
		kvfree(rcu_dereference_protected(hf->pattern, true));
		hm_events_free(hf);
		kfree(hf);
	}
}

static const struct super_operations hm_super_ops = {
	.statfs		= simple_statfs,
	.evict_inode	= hm_evict_inode,
};

static int hm_init_fs_context(struct fs_context *fc)
{
	struct pseudo_fs_context *ctx = init_pseudo(fc, HM_MAGIC);

	if (!ctx)
		return -ENOMEM;
	ctx->ops = &hm_super_ops;
	return 0;
}

/*
 * No .owner: hm_mnt would pin the module for ever, whereas hm_mapping_exit()
 * unmounts (as drivers/dax does).
 */
static struct file_system_type hm_fs_type = {
	.name			= "hybridmem",
	.init_fs_context	= hm_init_fs_context,
	.kill_sb		= kill_anon_super,
};

static void hm_zero_free(void)
{
	unsigned int i;

	for (i = 0; i <= hm_zero_mask; i++)
		if (hm_zero[i])
			put_page(hm_zero[i]);
	kfree(hm_zero);
}

static int __init hm_zero_init(void)
{
	unsigned int i, n = roundup_pow_of_two(min(num_possible_cpus(), 64U));

	hm_zero_mask = n - 1;
	hm_zero = kcalloc(n, sizeof(*hm_zero), GFP_KERNEL);
	if (!hm_zero)
		return -ENOMEM;
	for (i = 0; i < n; i++) {
		hm_zero[i] = alloc_page(GFP_KERNEL | __GFP_ZERO);
		if (!hm_zero[i]) {
			hm_zero_free();
			return -ENOMEM;
		}
		SetPageUptodate(hm_zero[i]);
	}
	return 0;
}

/**
 * hm_mapping_init() - mount the file system
 *
 * Return: 0 or a negative errno.
 */
int __init hm_mapping_init(void)
{
	int err = hm_zero_init();

	if (err)
		return err;
	err = init_srcu_struct(&hm_making);
	if (err)
		goto err_zero;
	hm_mnt = kern_mount(&hm_fs_type);
	if (IS_ERR(hm_mnt)) {
		err = PTR_ERR(hm_mnt);
		goto err_making;
	}
	return 0;

err_making:
	cleanup_srcu_struct(&hm_making);
err_zero:
	hm_zero_free();
	return err;
}

/**
 * hm_mapping_exit() - unmount the file system
 */
void hm_mapping_exit(void)
{
	kern_unmount(hm_mnt);
	cleanup_srcu_struct(&hm_making);
	hm_zero_free();
}

// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * hybridmem - memory interleaved over NUMA nodes by a pattern
 *
 * Every open() of /dev/hybridmem owns a region: an inode on an internal file
 * system whose page cache is the memory (as in ramfs, secretmem and
 * guest_memfd).  A page is bound to a node by a pattern as it is first touched.
 *
 * This file has the device and its file operations; pattern.c patterns, replaced
 * under RCU; placement.c allocation on a node, and the policy of private pages;
 * mapping.c faults, the page cache and the internal file system; ahead.c pages
 * that come before they are touched; quota.c what an administrator allows; stats.c
 * the counters; compat.h everything that differs between kernels.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/slab.h>

#include "internal.h"

unsigned int hm_max_pattern = 1U << 20;
module_param_named(max_pattern, hm_max_pattern, uint, 0644);
MODULE_PARM_DESC(max_pattern, "maximum length of a pattern, in entries");

bool hm_strict_default;
module_param_named(strict, hm_strict_default, bool, 0644);
MODULE_PARM_DESC(strict, "make new regions strict: SIGBUS instead of a fallback to another node");

bool hm_use_huge = true;
module_param_named(huge, hm_use_huge, bool, 0644);
MODULE_PARM_DESC(huge, "use huge pages where the granule is at least as large as one");

unsigned int hm_ahead = HM_WINDOW;
module_param_named(ahead, hm_ahead, uint, 0644);
MODULE_PARM_DESC(ahead, "pages of the window that a sequence of shared faults fills at first, at most 16 (the default); 0 for none");

unsigned long hm_max_mib;
module_param_named(max_mib, hm_max_mib, ulong, 0644);
MODULE_PARM_DESC(max_mib, "most shared memory of all regions, in MiB; 0 (the default) for no limit");

unsigned long hm_max_user_mib;
module_param_named(max_user_mib, hm_max_user_mib, ulong, 0644);
MODULE_PARM_DESC(max_user_mib, "most shared memory of a user's regions, in MiB, unless opened with CAP_SYS_RESOURCE; 0 (the default) for no limit");

unsigned int hm_reserve_percent;
module_param_named(reserve_percent, hm_reserve_percent, uint, 0644);
MODULE_PARM_DESC(reserve_percent, "part of each node that shared memory leaves free, at most 90; 0 (the default) for none");

static unsigned short hm_mode = 0600;
module_param_named(mode, hm_mode, ushort, 0444);
MODULE_PARM_DESC(mode, "permissions of /dev/hybridmem");

static int hm_open(struct inode *inode, struct file *file)
{
	struct hm_pattern *p;
	struct hm_file *hf;
	int err = -ENOMEM;

	hf = kzalloc(struct_size(hf, allocated, nr_node_ids),
		     GFP_KERNEL_ACCOUNT);
	if (!hf)
		return err;
	if (hm_events_alloc(hf))
		goto err_file;
	p = hm_pattern_alloc(0);
	if (!p)
		goto err_events;
	p->strict = READ_ONCE(hm_strict_default);
	mutex_init(&hf->lock);
	RCU_INIT_POINTER(hf->pattern, p);
	err = hm_quota_open(hf);
	if (err)
		goto err_pattern;

	hf->inode = hm_inode_alloc(hf);
	if (IS_ERR(hf->inode)) {
		err = PTR_ERR(hf->inode);
		goto err_quota;
	}
	file->private_data = hf;
	file->f_mapping = hf->inode->i_mapping;
	/*
	 * The times of the device's inode are no region's.  A write() heeds this
	 * everywhere; a first write fault does on 7.3, and still sets mtime on 6.12.
	 */
	file->f_mode |= FMODE_NOCMTIME;
	hm_count_region(1);
	return 0;

err_quota:
	hm_quota_close(hf);
err_pattern:
	kvfree(p);
err_events:
	hm_events_free(hf);
err_file:
	kfree(hf);
	return err;
}

static int hm_release(struct inode *inode, struct file *file)
{
	struct hm_file *hf = file->private_data;

	hm_count_region(-1);
	iput(hf->inode);	/* hm_evict_inode() frees the rest */
	return 0;
}

static ssize_t hm_write(struct file *file, const char __user *buf, size_t len,
			loff_t *ppos)
{
	ssize_t ret = hm_pattern_write(file->private_data, buf, len);

	if (ret >= 0)
		*ppos = 0;	/* the next read() begins at the new pattern */
	return ret;
}

/* In one piece: by hm_write() each part of a writev(2) would be a pattern. */
static ssize_t hm_write_iter(struct kiocb *iocb, struct iov_iter *from)
{
	ssize_t ret = hm_pattern_write_iter(iocb->ki_filp->private_data, from);

	if (ret >= 0)
		iocb->ki_pos = 0;
	return ret;
}

static ssize_t hm_read(struct file *file, char __user *buf, size_t len,
		       loff_t *ppos)
{
	return hm_pattern_read(file->private_data, buf, len, ppos);
}

static long hm_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct hm_file *hf = file->private_data;
	void __user *p = (void __user *)arg;

	switch (cmd) {
	case HYBRIDMEM_IOC_GET_CONFIG:
	case HYBRIDMEM_IOC_GET_CONFIG_V1:
		return hm_config_get(hf, p, _IOC_SIZE(cmd));
	case HYBRIDMEM_IOC_GET_PATTERN:
		return hm_pattern_get(hf, p);
	case HYBRIDMEM_IOC_SET_CONFIG:
	case HYBRIDMEM_IOC_SET_CONFIG_V1:
	case HYBRIDMEM_IOC_SET_PATTERN:
	case HYBRIDMEM_IOC_PUNCH:
	case HYBRIDMEM_IOC_PUNCH_V1:
		if (!(file->f_mode & FMODE_WRITE))
			return -EBADF;
		break;
	default:
		return -ENOTTY;
	}
	switch (_IOC_NR(cmd)) {
	case _IOC_NR(HYBRIDMEM_IOC_SET_CONFIG):
		return hm_config_set(hf, p, _IOC_SIZE(cmd));
	case _IOC_NR(HYBRIDMEM_IOC_SET_PATTERN):
		return hm_pattern_set(hf, p);
	default:
		return hm_punch(hf, p, _IOC_SIZE(cmd));
	}
}

static int hm_mmap(struct file *file, struct vm_area_struct *vma)
{
	if (vma->vm_pgoff >= HM_MAX_PAGES ||
	    vma_pages(vma) > HM_MAX_PAGES - vma->vm_pgoff)
		return -EOVERFLOW;
	vma->vm_ops = &hm_vm_ops;
	return 0;
}

static const struct file_operations hm_fops = {
	.owner			= THIS_MODULE,
	.open			= hm_open,
	.release		= hm_release,
	.read			= hm_read,
	.write			= hm_write,
	.write_iter		= hm_write_iter,
	.llseek			= default_llseek,
	.unlocked_ioctl		= hm_ioctl,
	.compat_ioctl		= compat_ptr_ioctl,
	.mmap			= hm_mmap,
	.fsync			= noop_fsync,	/* msync(2) too */
	.get_unmapped_area	= hm_get_unmapped_area,
	.show_fdinfo		= hm_show_fdinfo,
};

static struct miscdevice hm_misc = {
	.minor	= MISC_DYNAMIC_MINOR,
	.name	= "hybridmem",
	.fops	= &hm_fops,
	.groups	= hm_stats_groups,
};

static int __init hm_init(void)
{
	int err;

	err = hm_stats_init();
	if (err)
		return err;
	err = hm_quota_init();
	if (err)
		goto err_stats;
	err = hm_placement_init();
	if (err)
		goto err_quota;
	err = hm_mapping_init();
	if (err)
		goto err_placement;
	hm_misc.mode = hm_mode;
	err = misc_register(&hm_misc);
	if (err)
		goto err_mapping;
	return 0;

err_mapping:
	hm_mapping_exit();
err_placement:
	hm_placement_exit();
err_quota:
	hm_quota_exit();
err_stats:
	hm_stats_exit();
	return err;
}

static void __exit hm_exit(void)
{
	misc_deregister(&hm_misc);
	hm_mapping_exit();
	hm_placement_exit();
	hm_quota_exit();
	hm_stats_exit();
}

module_init(hm_init);
module_exit(hm_exit);

MODULE_DESCRIPTION("Memory interleaved over NUMA nodes by a pattern");
MODULE_VERSION("1.0");
MODULE_LICENSE("Dual BSD/GPL");

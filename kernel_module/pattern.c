// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Patterns: from and to user space, replaced under RCU.
 *
 * A pattern is immutable.  A writer builds a new one, publishes it under
 * hf->lock and frees the old one after a grace period; a fault reads whichever
 * is current and takes no lock.
 */
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <linux/uio.h>

#include "internal.h"

static size_t hm_pattern_size(size_t len)
{
	return struct_size((struct hm_pattern *)NULL, nodes, len);
}

/**
 * hm_pattern_alloc() - an empty pattern with room for @len entries
 * @len: entries
 *
 * Return: the pattern, or NULL when memory is short.
 */
struct hm_pattern *hm_pattern_alloc(size_t len)
{
	struct hm_pattern *p = kvmalloc(hm_pattern_size(len),
					GFP_KERNEL_ACCOUNT);

	if (p) {
		p->len = len;
		p->shift = 0;
		p->strict = false;
		p->sparse = false;
		p->no_ahead = false;
	}
	return p;
}

/*
 * Free a pattern that no file points to any more, once its readers have left.
 * A large one is waited for: a loop of writes could otherwise queue memory
 * faster than grace periods end.
 */
static void hm_pattern_retire(struct hm_pattern *old)
{
	if (hm_pattern_size(old->len) <= PAGE_SIZE) {
		kfree_rcu(old, rcu);	/* kvmalloc() of a page is kmalloc() */
	} else {
		synchronize_rcu();
		kvfree(old);
	}
}

static struct hm_pattern *hm_pattern_locked(struct hm_file *hf)
{
	return rcu_dereference_protected(hf->pattern,
					 lockdep_is_held(&hf->lock));
}

/* Every node must have memory now; one that loses it later is the fault's. */
static int hm_pattern_check(const struct hm_pattern *p)
{
	u32 i;

	for (i = 0; i < p->len; i++)
		if (p->nodes[i] >= nr_node_ids ||
		    !node_state(p->nodes[i], N_MEMORY))
			return -EINVAL;
	return 0;
}

/* Check and publish @new with the current configuration, or free it. */
static int hm_pattern_install(struct hm_file *hf, struct hm_pattern *new)
{
	struct hm_pattern *old;
	int err = hm_pattern_check(new);

	if (err) {
		kvfree(new);
		return err;
	}
	mutex_lock(&hf->lock);
	old = hm_pattern_locked(hf);
	new->shift = old->shift;
	new->strict = old->strict;
	new->sparse = old->sparse;
	new->no_ahead = old->no_ahead;
	rcu_assign_pointer(hf->pattern, new);
	mutex_unlock(&hf->lock);
	hm_pattern_retire(old);
	return 0;
}

/*
 * Room for @len entries and, at *@bytes, for as many bytes from user space: they
 * go to the second half, to be widened in place.
 */
static struct hm_pattern *hm_pattern_begin(size_t len, u8 **bytes)
{
	struct hm_pattern *new;

	if (len > READ_ONCE(hm_max_pattern))
		return ERR_PTR(-E2BIG);
	new = hm_pattern_alloc(len);
	if (!new)
		return ERR_PTR(-ENOMEM);
	*bytes = (u8 *)new->nodes + len;
	return new;
}

/* Entry i is read at len + i before 2 * i + 1 <= len + i is written. */
static int hm_pattern_widen(struct hm_file *hf, struct hm_pattern *new,
			    const u8 *bytes)
{
	size_t i;

	for (i = 0; i < new->len; i++)
		new->nodes[i] = bytes[i];
	return hm_pattern_install(hf, new);
}

/**
 * hm_pattern_write() - write(2): one byte per node
 * @hf: the region
 * @buf: the nodes
 * @len: their number; 0 clears the pattern
 *
 * Return: @len, or a negative errno that leaves the old pattern in place.
 */
ssize_t hm_pattern_write(struct hm_file *hf, const char __user *buf, size_t len)
{
	struct hm_pattern *new;
	u8 *bytes;
	int err;

	new = hm_pattern_begin(len, &bytes);
	if (IS_ERR(new))
		return PTR_ERR(new);
	/* Not under hf->lock: @buf may be in this region and fault. */
	if (copy_from_user(bytes, buf, len)) {
		kvfree(new);
		return -EFAULT;
	}
	err = hm_pattern_widen(hf, new, bytes);
	return err ? err : len;
}

/**
 * hm_pattern_write_iter() - writev(2) and the like: one pattern from many parts
 * @hf: the region
 * @from: the nodes, one byte each
 *
 * Return: the bytes taken, which are all, or a negative errno that leaves the old
 * pattern in place.
 */
ssize_t hm_pattern_write_iter(struct hm_file *hf, struct iov_iter *from)
{
	size_t len = iov_iter_count(from);
	struct hm_pattern *new;
	u8 *bytes;
	int err;

	new = hm_pattern_begin(len, &bytes);
	if (IS_ERR(new))
		return PTR_ERR(new);
	if (!copy_from_iter_full(bytes, len, from)) {
		kvfree(new);
		return -EFAULT;
	}
	err = hm_pattern_widen(hf, new, bytes);
	return err ? err : len;
}

/**
 * hm_pattern_set() - HYBRIDMEM_IOC_SET_PATTERN
 * @hf: the region
 * @arg: a struct hybridmem_pattern
 *
 * Return: 0, or a negative errno that leaves the old pattern in place.
 */
long hm_pattern_set(struct hm_file *hf, void __user *arg)
{
	struct hybridmem_pattern u;
	struct hm_pattern *new;

	if (copy_from_user(&u, arg, sizeof(u)))
		return -EFAULT;
	if (u.reserved)
		return -EINVAL;
	if (u.len > READ_ONCE(hm_max_pattern))
		return -E2BIG;
	new = hm_pattern_alloc(u.len);
	if (!new)
		return -ENOMEM;
	if (copy_from_user(new->nodes, u64_to_user_ptr(u.nodes),
			   flex_array_size(new, nodes, u.len))) {
		kvfree(new);
		return -EFAULT;
	}
	return hm_pattern_install(hf, new);
}

/*
 * A copy of the current pattern, so that it can be given to user space (which
 * may fault) with no lock held.
 */
static struct hm_pattern *hm_pattern_dup(struct hm_file *hf)
{
	struct hm_pattern *p, *copy;

	mutex_lock(&hf->lock);
	p = hm_pattern_locked(hf);
	copy = hm_pattern_alloc(p->len);
	if (copy)
		memcpy(copy, p, hm_pattern_size(p->len));
	mutex_unlock(&hf->lock);
	return copy;
}

/**
 * hm_pattern_read() - read(2): one byte per node
 * @hf: the region
 * @buf: for the nodes
 * @len: its size
 * @ppos: where in the pattern to begin
 *
 * Return: bytes read, -EOVERFLOW when a node does not fit in a byte (then
 * HYBRIDMEM_IOC_GET_PATTERN must be used), or another negative errno.
 */
ssize_t hm_pattern_read(struct hm_file *hf, char __user *buf, size_t len,
			loff_t *ppos)
{
	struct hm_pattern *copy = hm_pattern_dup(hf);
	ssize_t ret = -EOVERFLOW;
	u8 *bytes;
	u32 i;

	if (!copy)
		return -ENOMEM;
	bytes = (u8 *)copy->nodes;	/* narrowed in place */
	for (i = 0; i < copy->len; i++) {
		u16 nid = copy->nodes[i];

		if (nid > U8_MAX)
			goto out;
		bytes[i] = nid;
	}
	ret = simple_read_from_buffer(buf, len, ppos, bytes, copy->len);
out:
	kvfree(copy);
	return ret;
}

/**
 * hm_pattern_get() - HYBRIDMEM_IOC_GET_PATTERN
 * @hf: the region
 * @arg: a struct hybridmem_pattern
 *
 * Return: 0, -E2BIG when the array is too short (the length needed is stored),
 * or another negative errno.
 */
long hm_pattern_get(struct hm_file *hf, void __user *arg)
{
	struct hybridmem_pattern u;
	struct hm_pattern *copy;
	u32 room;
	long ret = 0;

	if (copy_from_user(&u, arg, sizeof(u)))
		return -EFAULT;
	if (u.reserved)
		return -EINVAL;
	copy = hm_pattern_dup(hf);
	if (!copy)
		return -ENOMEM;
	room = u.len;
	u.len = copy->len;
	if (room < copy->len)
		ret = -E2BIG;
	else if (copy_to_user(u64_to_user_ptr(u.nodes), copy->nodes,
			      flex_array_size(copy, nodes, copy->len)))
		ret = -EFAULT;
	kvfree(copy);
	if (copy_to_user(arg, &u, sizeof(u)))
		ret = -EFAULT;
	return ret;
}

/**
 * hm_config_set() - HYBRIDMEM_IOC_SET_CONFIG
 * @hf: the region
 * @arg: a struct hybridmem_config
 * @size: what its version has of it
 *
 * Return: 0, or a negative errno that leaves the old configuration in place.
 */
long hm_config_set(struct hm_file *hf, void __user *arg, size_t size)
{
	struct hm_pattern *old, *new;
	struct hybridmem_config c;
	int err = copy_struct_from_user(&c, sizeof(c), arg, size);

	if (err)
		return err;
	if (memchr_inv(c.reserved, 0, sizeof(c.reserved)) ||
	    (c.flags & ~HYBRIDMEM_F_ALL) ||
	    c.granule_shift >= BITS_PER_LONG - PAGE_SHIFT)
		return -EINVAL;

	mutex_lock(&hf->lock);
	old = hm_pattern_locked(hf);
	new = hm_pattern_alloc(old->len);
	if (!new) {
		mutex_unlock(&hf->lock);
		return -ENOMEM;
	}
	memcpy(new->nodes, old->nodes, flex_array_size(old, nodes, old->len));
	new->shift = c.granule_shift;
	new->strict = c.flags & HYBRIDMEM_F_STRICT;
	new->sparse = c.flags & HYBRIDMEM_F_SPARSE;
	new->no_ahead = c.flags & HYBRIDMEM_F_NO_AHEAD;
	rcu_assign_pointer(hf->pattern, new);
	mutex_unlock(&hf->lock);
	hm_pattern_retire(old);
	return 0;
}

/**
 * hm_config_get() - HYBRIDMEM_IOC_GET_CONFIG
 * @hf: the region
 * @arg: a struct hybridmem_config to fill
 * @size: what its version has of it
 *
 * Return: 0 or -EFAULT.
 */
long hm_config_get(struct hm_file *hf, void __user *arg, size_t size)
{
	struct hybridmem_config c = { };
	struct hm_pattern *p;

	rcu_read_lock();
	p = rcu_dereference(hf->pattern);
	c.flags = (p->strict ? HYBRIDMEM_F_STRICT : 0) |
		  (p->sparse ? HYBRIDMEM_F_SPARSE : 0) |
		  (p->no_ahead ? HYBRIDMEM_F_NO_AHEAD : 0);
	c.granule_shift = p->shift;
	rcu_read_unlock();
	return copy_to_user(arg, &c, min(size, sizeof(c))) ? -EFAULT : 0;
}

/**
 * hm_wanted() - where a page should be
 * @hf: the region
 * @index: page of the file offset
 *
 * Return: what the current pattern says.
 */
struct hm_want hm_wanted(struct hm_file *hf, pgoff_t index)
{
	struct hm_want want = { .nid = NUMA_NO_NODE };
	struct hm_pattern *p;

	rcu_read_lock();
	p = rcu_dereference(hf->pattern);
	want.shift = p->shift;
	want.strict = p->strict;
	want.sparse = p->sparse;
	want.no_ahead = p->no_ahead;
	if (p->len)
		want.nid = p->nodes[(index >> p->shift) % p->len];
	rcu_read_unlock();
	return want;
}

/**
 * hm_wanted_ahead() - where pages in a row should be, if they may come unasked
 * @hf: the region
 * @index: the first page of the file offset
 * @nids: for the nodes
 * @n: pages
 *
 * Return: @n, or 0 where there is no pattern or the region wants none ahead.
 */
unsigned int hm_wanted_ahead(struct hm_file *hf, pgoff_t index, int *nids,
			     unsigned int n)
{
	unsigned long granule, left;
	struct hm_pattern *p;
	unsigned int i;
	u32 at;

	rcu_read_lock();
	p = rcu_dereference(hf->pattern);
	if (!p->len || p->no_ahead) {
		rcu_read_unlock();
		return 0;
	}
	granule = 1UL << p->shift;
	at = (index >> p->shift) % p->len;
	left = granule - (index & (granule - 1));
	for (i = 0; i < n; i++) {
		nids[i] = p->nodes[at];
		if (--left)
			continue;
		left = granule;
		if (++at == p->len)
			at = 0;
	}
	rcu_read_unlock();
	return n;
}

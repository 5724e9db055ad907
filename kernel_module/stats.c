// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Statistics: per region in /proc/PID/fdinfo/FD, of the module in
 * /sys/class/misc/hybridmem/stats/.
 *
 * The module's counters are per CPU, for every fault of every region counts.
 * A region's are plain atomics for shared pages, whose faults meet in its page
 * cache anyway; and per CPU for private ones, whose faults meet nowhere else.
 * These are all that a region has per CPU: 24 bytes for each possible one, 6 KiB
 * on a machine of 256, charged to the memory cgroup of who opens it.
 */
#include <linux/device.h>
#include <linux/percpu.h>
#include <linux/seq_file.h>
#include <linux/sysfs.h>

#include "internal.h"

/* After the events: two counters per node, and the number of regions. */
enum { HM_NODE_ALLOCATED, HM_NODE_RESIDENT, HM_NODE_NR };

static long __percpu *hm_counters;

static unsigned int hm_node_slot(int nid, unsigned int which)
{
	return HM_NR_EVENTS + nid * HM_NODE_NR + which;
}

static unsigned int hm_regions_slot(void)
{
	return HM_NR_EVENTS + nr_node_ids * HM_NODE_NR;
}

static void hm_add_slot(unsigned int slot, long n)
{
	this_cpu_add(hm_counters[slot], n);
}

static long hm_sum_slot(unsigned int slot)
{
	long sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += *per_cpu_ptr(&hm_counters[slot], cpu);
	return sum;
}

/**
 * hm_count() - count an event
 * @hf: the region
 * @event: what happened
 * @n: how often
 */
void hm_count(struct hm_file *hf, enum hm_event event, long n)
{
	if (event < HM_NR_SHARED_EVENTS)
		atomic_long_add(n, &hf->events[event]);
	else
		this_cpu_add(hf->private_events->n[event - HM_PRIVATE], n);
	hm_add_slot(event, n);
}

/* A sum of what is being counted: each CPU's part as it is now. */
static long hm_event_sum(struct hm_file *hf, enum hm_event event)
{
	long sum = 0;
	int cpu;

	if (event < HM_NR_SHARED_EVENTS)
		return atomic_long_read(&hf->events[event]);
	for_each_possible_cpu(cpu)
		sum += READ_ONCE(per_cpu_ptr(hf->private_events,
					     cpu)->n[event - HM_PRIVATE]);
	return sum;
}

/**
 * hm_events_alloc() - the counters of a new region that are per CPU
 * @hf: the region
 *
 * Return: 0 or -ENOMEM.
 */
int hm_events_alloc(struct hm_file *hf)
{
	hf->private_events = alloc_percpu_gfp(struct hm_private_events,
					      GFP_KERNEL_ACCOUNT |
					      __GFP_NOWARN);
	return hf->private_events ? 0 : -ENOMEM;
}

/**
 * hm_events_free() - free them
 * @hf: the region, in which nothing happens any more
 */
void hm_events_free(struct hm_file *hf)
{
	free_percpu(hf->private_events);
}

/**
 * hm_count_allocated() - pages have come into the page cache, or are about to
 * @hf: the region
 * @nid: their node
 * @n: how many; less than zero takes back what was counted too early
 */
void hm_count_allocated(struct hm_file *hf, int nid, long n)
{
	atomic_long_add(n, &hf->allocated[nid]);
	hm_add_slot(hm_node_slot(nid, HM_NODE_ALLOCATED), n);
	hm_add_slot(hm_node_slot(nid, HM_NODE_RESIDENT), n);
}

/**
 * hm_count_freed() - a folio has left the page cache
 * @folio: the folio, which no longer knows its region
 */
void hm_count_freed(struct folio *folio)
{
	hm_add_slot(hm_node_slot(folio_nid(folio), HM_NODE_RESIDENT),
		    -folio_nr_pages(folio));
}

/**
 * hm_count_moved() - a folio has been migrated
 * @hf: the region
 * @from: the old folio
 * @to: the new one, of the same size
 */
void hm_count_moved(struct hm_file *hf, struct folio *from, struct folio *to)
{
	long n = folio_nr_pages(to);

	if (folio_nid(from) == folio_nid(to))
		return;
	hm_add_slot(hm_node_slot(folio_nid(from), HM_NODE_RESIDENT), -n);
	hm_add_slot(hm_node_slot(folio_nid(to), HM_NODE_RESIDENT), n);
	hm_count(hf, HM_MIGRATED, n);
}

/**
 * hm_count_region() - a region has come or gone
 * @n: 1 or -1
 */
void hm_count_region(int n)
{
	hm_add_slot(hm_regions_slot(), n);
}

static const char * const hm_event_names[HM_NR_EVENTS] = {
	[HM_FALLBACKS]		= "fallbacks",
	[HM_REFUSED]		= "refused",
	[HM_LIMITED]		= "limited",
	[HM_MIGRATED]		= "migrated",
	[HM_HUGE]		= "huge",
	[HM_LARGE]		= "large",
	[HM_AHEAD]		= "ahead",
	[HM_PRIVATE]		= "private",
	[HM_PRIVATE_FALLBACKS]	= "private_fallbacks",
	[HM_PRIVATE_RELAXED]	= "private_relaxed",
};

/**
 * hm_show_fdinfo() - /proc/PID/fdinfo/FD
 * @m: where to
 * @file: the open device
 */
void hm_show_fdinfo(struct seq_file *m, struct file *file)
{
	struct hm_file *hf = file->private_data;
	struct hm_pattern *p;
	unsigned int i, shift, len;
	bool strict;

	rcu_read_lock();
	p = rcu_dereference(hf->pattern);
	len = p->len;
	shift = p->shift;
	strict = p->strict;
	rcu_read_unlock();

	seq_printf(m, "pattern_len:\t%u\ngranule_shift:\t%u\nstrict:\t%d\n",
		   len, shift, strict);
	seq_printf(m, "shared_pages:\t%lu\n",
		   READ_ONCE(hf->inode->i_mapping->nrpages));
	for (i = 0; i < HM_NR_EVENTS; i++)
		seq_printf(m, "%s:\t%ld\n", hm_event_names[i],
			   hm_event_sum(hf, i));
	for (i = 0; i < nr_node_ids; i++) {
		long n = atomic_long_read(&hf->allocated[i]);

		if (n || node_state(i, N_MEMORY))
			seq_printf(m, "N%u:\t%ld\n", i, n);
	}
}

/**
 * struct hm_attribute - a counter in sysfs
 * @attr: the attribute
 * @which: which counter, or which one of each node
 */
struct hm_attribute {
	struct device_attribute attr;
	unsigned int which;
};

static struct hm_attribute *hm_attribute_of(struct device_attribute *attr)
{
	return container_of(attr, struct hm_attribute, attr);
}

static ssize_t event_show(struct device *dev, struct device_attribute *attr,
			  char *buf)
{
	return sysfs_emit(buf, "%ld\n",
			  hm_sum_slot(hm_attribute_of(attr)->which));
}

static ssize_t regions_show(struct device *dev, struct device_attribute *attr,
			    char *buf)
{
	return sysfs_emit(buf, "%ld\n", hm_sum_slot(hm_regions_slot()));
}

static ssize_t users_show(struct device *dev, struct device_attribute *attr,
			  char *buf)
{
	return hm_users_show(buf);
}

/* As in numa_maps and in the files of the slab allocator: N0=123 N2=246 */
static ssize_t nodes_show(struct device *dev, struct device_attribute *attr,
			  char *buf)
{
	unsigned int nid;
	int at = 0;

	for (nid = 0; nid < nr_node_ids; nid++) {
		long n = hm_sum_slot(hm_node_slot(nid,
						  hm_attribute_of(attr)->which));

		if (n || node_state(nid, N_MEMORY))
			at += sysfs_emit_at(buf, at, "%sN%u=%ld",
					    at ? " " : "", nid, n);
	}
	return at + sysfs_emit_at(buf, at, "\n");
}

#define HM_ATTR(_name, _show, _which)				\
	static struct hm_attribute hm_attr_##_name = {		\
		.attr = __ATTR(_name, 0444, _show, NULL),	\
		.which = _which,				\
	}

HM_ATTR(regions, regions_show, 0);
HM_ATTR(users, users_show, 0);
HM_ATTR(allocated, nodes_show, HM_NODE_ALLOCATED);
HM_ATTR(resident, nodes_show, HM_NODE_RESIDENT);
HM_ATTR(fallbacks, event_show, HM_FALLBACKS);
HM_ATTR(refused, event_show, HM_REFUSED);
HM_ATTR(limited, event_show, HM_LIMITED);
HM_ATTR(migrated, event_show, HM_MIGRATED);
HM_ATTR(huge, event_show, HM_HUGE);
HM_ATTR(large, event_show, HM_LARGE);
HM_ATTR(ahead, event_show, HM_AHEAD);
HM_ATTR(private, event_show, HM_PRIVATE);
HM_ATTR(private_fallbacks, event_show, HM_PRIVATE_FALLBACKS);
HM_ATTR(private_relaxed, event_show, HM_PRIVATE_RELAXED);

static struct attribute *hm_stats_attrs[] = {
	&hm_attr_regions.attr.attr,
	&hm_attr_users.attr.attr,
	&hm_attr_allocated.attr.attr,
	&hm_attr_resident.attr.attr,
	&hm_attr_fallbacks.attr.attr,
	&hm_attr_refused.attr.attr,
	&hm_attr_limited.attr.attr,
	&hm_attr_migrated.attr.attr,
	&hm_attr_huge.attr.attr,
	&hm_attr_large.attr.attr,
	&hm_attr_ahead.attr.attr,
	&hm_attr_private.attr.attr,
	&hm_attr_private_fallbacks.attr.attr,
	&hm_attr_private_relaxed.attr.attr,
	NULL
};

static const struct attribute_group hm_stats_group = {
	.name = "stats",
	.attrs = hm_stats_attrs,
};

const struct attribute_group *hm_stats_groups[] = {
	&hm_stats_group,
	NULL
};

/**
 * hm_stats_init() - make the counters
 *
 * Return: 0 or -ENOMEM.
 */
int __init hm_stats_init(void)
{
	hm_counters = __alloc_percpu((hm_regions_slot() + 1) * sizeof(long),
				     sizeof(long));
	return hm_counters ? 0 : -ENOMEM;
}

/**
 * hm_stats_exit() - free the counters
 */
void hm_stats_exit(void)
{
	free_percpu(hm_counters);
}

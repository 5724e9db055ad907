#!/bin/sh
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#
# Called with HEADER COMPILER FLAGS...
#
# Ask the kernel's own headers which interfaces they have, by compiling a few
# lines for each, and write the answers to HEADER as HM_HAVE_* macros.  Vendor
# kernels carry interfaces of much newer ones, so a version number says little.
# Every "no" is kept with the compiler's reason in HEADER.log.
#
# Run by Kbuild with the compiler and the flags of the module itself.
set -u

header=$1
shift
dir=$(mktemp -d "${TMPDIR:-/tmp}/hybridmem-probe.XXXXXX") || exit 1
trap 'rm -rf "$dir"' EXIT
trap 'exit 1' HUP INT TERM
names=

# probe NAME FLAGS...: does the code on standard input compile?
probe() {
	name=$1
	shift
	names="$names $name"
	{
		cat <<-'EOF'
		#include <linux/fs.h>
		#include <linux/gfp.h>
		#include <linux/mempolicy.h>
		#include <linux/migrate.h>
		#include <linux/mm.h>
		#include <linux/pagemap.h>
		EOF
		cat
	} >"$dir/$name.c"
	# Different answers do not wait for each other.
	{
		"$@" -DMODULE '-DKBUILD_MODNAME="probe"' \
			'-DKBUILD_BASENAME="probe"' -Werror -Wno-unused \
			-Wno-missing-prototypes -Wno-missing-declarations \
			-fsyntax-only "$dir/$name.c" 2>"$dir/$name.err" &&
			: >"$dir/$name.yes"
	} &
}

# If this fails, then so would every other one, and each would say "no".
probe CONTROL "$@" <<'EOF'
int probe(struct vm_fault *vmf);
int probe(struct vm_fault *vmf) { return vmf->pgoff; }
EOF

# 5.16: folios, and a page cache that speaks of them
probe FOLIO "$@" <<'EOF'
int probe(struct address_space *m, pgoff_t i, gfp_t g)
{
	struct folio *f = __folio_alloc(g, 0, 0, NULL);

	folio_put(folio_alloc(g, 0));
	f = filemap_lock_folio(m, i);
	return filemap_add_folio(m, f, i, g);
}
EOF

# 5.18 as an inode's choice, 5.19 with ->free_folio(): large folios for a file
probe LARGE_FOLIO "$@" <<'EOF'
#ifndef CONFIG_TRANSPARENT_HUGEPAGE
#error no huge pages in this configuration
#endif
struct address_space_operations aops = { .free_folio = NULL };
struct file_operations fops = { .get_unmapped_area = thp_get_unmapped_area };
int probe(struct address_space *m)
{
	mapping_set_large_folios(m);
	return HPAGE_PMD_ORDER + (VM_NOHUGEPAGE != 0);
}
EOF

# 5.13 to 6.13: many pages of a node at once
probe BULK_ARRAY_NODE "$@" <<'EOF'
unsigned long probe(gfp_t g, struct page **p);
unsigned long probe(gfp_t g, struct page **p)
{
	return alloc_pages_bulk_array_node(g, 0, 1, p);
}
EOF

# 6.14: the same by another name
probe BULK_NODE "$@" <<'EOF'
unsigned long probe(gfp_t g, struct page **p);
unsigned long probe(gfp_t g, struct page **p)
{
	return alloc_pages_bulk_node(g, 0, 1, p);
}
EOF

# 5.12
probe MAP_PAGES_RESULT "$@" <<'EOF'
vm_fault_t probe(struct vm_fault *vmf);
vm_fault_t probe(struct vm_fault *vmf) { return filemap_map_pages(vmf, 0, 1); }
EOF

# 5.14
probe MPOL_NODES "$@" <<'EOF'
void probe(struct mempolicy *p) { p->nodes = nodemask_of_node(0); }
EOF

# 5.17
probe MPOL_HOME_NODE "$@" <<'EOF'
void probe(struct mempolicy *p) { p->home_node = NUMA_NO_NODE; }
EOF

# 6.7: the interleave index
probe GET_POLICY_ILX "$@" <<'EOF'
#ifdef CONFIG_NUMA
struct mempolicy *policy(struct vm_area_struct *v, unsigned long a, pgoff_t *i);
struct vm_operations_struct ops = { .get_policy = policy };
#endif
EOF

# 5.18
probe DIRTY_FOLIO "$@" <<'EOF'
struct address_space_operations aops = { .dirty_folio = noop_dirty_folio };
EOF

# 5.19
probe FREE_FOLIO "$@" <<'EOF'
void done(struct folio *f);
struct address_space_operations aops = { .free_folio = done };
EOF

# 6.0
probe MIGRATE_FOLIO "$@" <<'EOF'
#ifdef CONFIG_MIGRATION
struct address_space_operations aops = { .migrate_folio = migrate_folio };
#endif
EOF

# 6.8
probe ERROR_REMOVE_FOLIO "$@" <<'EOF'
int gone(struct address_space *m, struct folio *f);
struct address_space_operations aops = { .error_remove_folio = gone };
EOF

wait

if [ ! -e "$dir/CONTROL.yes" ]; then
	echo "hybridmem: the kernel's headers do not compile:" >&2
	cat "$dir/CONTROL.err" >&2
	exit 1
fi
{
	echo "/* Generated: what this kernel has. */"
	echo "#ifndef HM_PROBE_H"
	echo "#define HM_PROBE_H"
	for name in $names; do
		[ "$name" = CONTROL ] && continue
		if [ -e "$dir/$name.yes" ]; then
			echo "#define HM_HAVE_$name 1"
		else
			echo "/* no HM_HAVE_$name */"
		fi
	done
	echo "#endif"
} >"$dir/probe.h"
for name in $names; do
	[ -e "$dir/$name.yes" ] || { echo "== $name: no"; cat "$dir/$name.err"; }
done >"$header.log"
mv "$dir/probe.h" "$header"

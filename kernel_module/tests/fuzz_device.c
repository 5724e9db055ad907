// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* The fuzzer's operations on the device: files, patterns, configuration, ioctl. */
#include <sys/uio.h>

#include "fuzz.h"

#define FALLOC_FREES	(2 | 16)	/* PUNCH_HOLE, ZERO_RANGE */

/* Addresses that no system call may use: nothing there, the kernel's, the end. */
static void *bad_pointer(void)
{
	static char *edge;

	if (!edge) {
		edge = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		mprotect(edge + PAGE, PAGE, PROT_NONE);
	}
	switch (below(6)) {
	case 0:
		return NULL;
	case 1:
		return (void *)0xffff888000000000UL;
	case 2:
		return (void *)0x800000000000UL;
	case 3:
		return (void *)-1L;
	case 4:
		return (void *)(VIEW_BASE - PAGE);
	default:
		return edge + PAGE - 1;	/* one byte is good */
	}
}

#define SHORT_ENOUGH	3	/* the smallest max_pattern that the disturber sets */

/* Has nobody else made a good pattern a bad one (too long, a node offline)? */
static bool surely_good(const uint16_t *pattern, unsigned long n)
{
	unsigned long i;

	for (i = 0; i < n; i++)
		if (risky[pattern[i]])
			return false;
	return n <= SHORT_ENOUGH;
}

static unsigned long good_pattern(uint16_t *pattern)
{
	unsigned long n = one_in(8) ? 0 : 1 + below(one_in(8) ? PATTERN_MOST : 5), i;
	bool any = one_in(3);

	for (i = 0; i < n; i++)
		pattern[i] = any ? all_nodes[below(nr_all_nodes)] :
				   plenty[below(2)];
	return n;
}

static void pattern_set(struct store *s, const uint16_t *pattern, unsigned long n)
{
	memcpy(s->pattern, pattern, n * sizeof(*pattern));
	s->len = n;
}

/* ------------------------------------------------------------------- file -- */

int op_open(void)
{
	static const int modes[] = {
		O_RDWR, O_RDWR, O_RDWR, O_RDWR | O_APPEND, O_RDWR | O_NONBLOCK,
		O_RDWR | O_TRUNC, O_RDONLY, O_WRONLY, O_RDWR | O_SYNC,
		O_RDWR | O_CREAT | O_EXCL, O_RDWR | O_DIRECTORY, O_RDWR | O_DIRECT,
	};
	struct store *s = free_store();
	int mode = modes[below(ARRAY(modes))], fd;

	if (!s)
		return NOTHING;
	fd = open(DEVICE, mode | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	memset(s, 0, sizeof(*s));
	s->used = true;
	s->fd = fd;
	s->can_read = (mode & O_ACCMODE) != O_WRONLY;
	s->can_write = (mode & O_ACCMODE) != O_RDONLY;
	if (ioctl(fd, HYBRIDMEM_IOC_GET_CONFIG, &s->config))
		wrong("a new region: %s", strerror(errno));
	if (s->config.flags & ~HYBRIDMEM_F_STRICT || s->config.granule_shift)
		wrong("a new region has flags %x, shift %u", s->config.flags,
		      s->config.granule_shift);
	return 0;
}

int op_close(void)
{
	struct store *s = open_store();
	unsigned long i;
	int err;

	if (!s)
		return NOTHING;
	err = result(close(s->fd));
	s->fd = -1;
	for (i = 0; i < VIEWS; i++)
		if (views[i].used && views[i].store == s)
			return err;
	s->used = false;
	return err;
}

int op_fsync(void)
{
	struct store *s = open_store();
	int err;

	if (!s)
		return NOTHING;
	err = result(one_in(2) ? fsync(s->fd) : fdatasync(s->fd));
	if (err)
		wrong("fsync: %s", strerror(-err));
	return err;
}

int op_seek(void)
{
	static const int whences[] = {
		SEEK_SET, SEEK_CUR, SEEK_END, SEEK_DATA, SEEK_HOLE, 9,
	};
	struct store *s = open_store();
	long to = one_in(2) ? (long)draw() : (long)below(100);

	if (!s)
		return NOTHING;
	return result(lseek(s->fd, to, whences[below(ARRAY(whences))]));
}

int op_truncate(void)
{
	struct store *s = open_store();

	if (!s)
		return NOTHING;
	if (!ftruncate(s->fd, one_in(2) ? (long)draw() : (long)below(4 * MIB))) {
		wrong("ftruncate has worked");
		return 0;
	}
	return -errno;
}

int op_fallocate(void)
{
	static const int modes[] = { 0, 1, 3, 3, 3, 8, 16, 17, 32, 64, 2, -1 };
	int mode = modes[below(ARRAY(modes))], err;
	struct store *s = open_store();
	unsigned long page = any_index(), n, i;

	if (!s)
		return NOTHING;
	n = 1 + below(STORE_PAGES - page);
	if (one_in(4))
		return result(fallocate(s->fd, mode | 1, draw() >> 1, draw() >> 1));
	err = result(fallocate(s->fd, mode, page * PAGE, n * PAGE));
	/* The device takes none of these today. */
	for (i = page; !err && mode & FALLOC_FREES && i < page + n; i++)
		s->value[i] = 0;
	return err;
}

/* --------------------------------------------------------------- patterns -- */

/* What the region says of itself, when a system call has refused or accepted. */
static void check_pattern(const struct store *s)
{
	uint16_t nodes[PATTERN_MOST];
	struct hybridmem_pattern p = {
		.nodes = (uintptr_t)nodes, .len = PATTERN_MOST,
	};
	struct hybridmem_config c;

	if (ioctl(s->fd, HYBRIDMEM_IOC_GET_PATTERN, &p) ||
	    ioctl(s->fd, HYBRIDMEM_IOC_GET_CONFIG, &c)) {
		wrong("GET: %s", strerror(errno));
		return;
	}
	if (p.len != s->len || memcmp(nodes, s->pattern, p.len * sizeof(*nodes)))
		wrong("the pattern has %u entries, not %u, or others", p.len,
		      s->len);
	if (memcmp(&c, &s->config, sizeof(c)))
		wrong("flags %x, shift %u, not flags %x, shift %u", c.flags,
		      c.granule_shift, s->config.flags, s->config.granule_shift);
}

static unsigned int length_now(const struct store *s)
{
	struct hybridmem_pattern p = { .len = 0 };

	ioctl(s->fd, HYBRIDMEM_IOC_GET_PATTERN, &p);
	return p.len;
}

/* A pattern as bytes: one call, or in parts. */
static int write_pattern(bool parts)
{
	struct store *s = open_store();
	unsigned char bytes[PATTERN_MOST];
	uint16_t pattern[PATTERN_MOST];
	unsigned long n, i, cut;
	struct iovec v[3];
	ssize_t r;

	if (!s)
		return NOTHING;
	n = good_pattern(pattern);
	for (i = 0; i < n; i++)
		bytes[i] = pattern[i];
	cut = below(n + 1);
	v[0] = (struct iovec){ bytes, cut };
	v[1] = (struct iovec){ NULL, 0 };
	v[2] = (struct iovec){ bytes + cut, n - cut };
	if (parts)
		r = one_in(2) ? writev(s->fd, v, 3) :
				pwritev(s->fd, v, 3, below(1000));
	else
		r = one_in(2) ? write(s->fd, bytes, n) :
				pwrite(s->fd, bytes, n, below(1000));
	if (r == (ssize_t)n && s->can_write) {
		/* Nothing at all need not reach the driver. */
		if (n || !parts)
			pattern_set(s, pattern, n);
		else
			s->len = length_now(s);
	} else if (r >= 0) {
		wrong("write of %lu bytes: %zd", n, r);
	} else if (s->can_write && errno != ENOMEM && surely_good(pattern, n)) {
		wrong("write of %lu good bytes: %s", n, strerror(errno));
	}
	i = r < 0 ? errno : 0;
	check_pattern(s);
	return -(int)i;
}

int op_write(void)
{
	return write_pattern(false);
}

int op_writev(void)
{
	return write_pattern(true);
}

int op_write_garbage(void)
{
	static unsigned char junk[2 << 20];
	unsigned long n = 1 + below(one_in(8) ? 4 * PAGE : 256), i;
	struct store *s = open_store();
	void *from = junk;
	ssize_t r;
	int err;

	if (!s)
		return NOTHING;
	if (one_in(8))
		n = sizeof(junk);
	for (i = 0; i < 64; i++)
		junk[below(n)] = draw();
	if (one_in(2)) {
		from = bad_pointer();
		n = 2 + below(100);
	}
	if (one_in(4)) {
		struct iovec v[2] = { { junk, below(n) }, { from, n } };

		r = writev(s->fd, v, 2);
	} else {
		r = write(s->fd, from, n);
	}
	err = result(r);
	if (r >= 0 && from != junk)
		wrong("a pattern from a bad address");
	if (r >= 0) {
		/* By chance there were good nodes only. */
		s->len = 0;
		if (write(s->fd, junk, 0))
			wrong("an empty pattern: %s", strerror(errno));
	}
	check_pattern(s);
	return err;
}

static int read_pattern(bool parts)
{
	struct store *s = open_store();
	unsigned char bytes[2 * PATTERN_MOST];
	unsigned long n = below(sizeof(bytes)), from = below(8), i;
	struct iovec v[2] = { { bytes, n / 2 }, { bytes + n / 2, n - n / 2 } };
	long expected;
	ssize_t r;

	if (!s)
		return NOTHING;
	if (one_in(8)) {
		r = pread(s->fd, bad_pointer(), 2 + n, 0);
		if (r > 1)
			wrong("a pattern was read to a bad address: %zd", r);
		return result(r);
	}
	r = parts ? preadv(s->fd, v, 2, from) : pread(s->fd, bytes, n, from);
	if (!s->can_read)
		return result(r);
	expected = from < s->len ? s->len - from : 0;
	if (expected > (long)n)
		expected = n;
	if (r != expected)
		wrong("read of %lu at %lu: %zd, not %ld", n, from, r, expected);
	for (i = 0; (ssize_t)i < r; i++)
		if (bytes[i] != s->pattern[from + i])
			wrong("entry %lu is %u, not %u", from + i, bytes[i],
			      s->pattern[from + i]);
	return result(r);
}

int op_read(void)
{
	return read_pattern(false);
}

int op_readv(void)
{
	return read_pattern(true);
}

/* ------------------------------------------------------------------ ioctl -- */

int op_set_config(void)
{
	static const unsigned int shifts[] = {
		0, 0, 0, 0, 1, 2, 2, 3, 4, 6, 8, 9, 9, 10, 18, 51,
	};
	struct hybridmem_config c = {
		.flags = below(8),
		.granule_shift = shifts[below(ARRAY(shifts))],
	};
	unsigned long cmd = one_in(4) ? HYBRIDMEM_IOC_SET_CONFIG_V1 :
					HYBRIDMEM_IOC_SET_CONFIG;
	struct store *s = open_store();
	bool good = true;
	int err;

	if (!s)
		return NOTHING;
	if (cmd == HYBRIDMEM_IOC_SET_CONFIG && one_in(8)) {
		c.reserved[below(ARRAY(c.reserved))] = 1UL << below(64);
		good = false;
	}
	if (one_in(4)) {
		c.flags = one_in(2) ? draw() : 1U << below(32);
		good = good && c.flags <= HYBRIDMEM_F_ALL;
	}
	if (one_in(4)) {
		c.granule_shift = draw() >> below(60);
		good = good && c.granule_shift < 52;
	}
	err = result(ioctl(s->fd, cmd, &c));
	if (!err) {
		s->config = c;
		s->was_sparse |= c.flags & HYBRIDMEM_F_SPARSE;
	}
	if (s->can_write && err != -ENOMEM && err != (good ? 0 : -EINVAL))
		wrong("flags %x, shift %u: %d", c.flags, c.granule_shift, err);
	check_pattern(s);
	return err;
}

int op_get_config(void)
{
	struct store *s = open_store();

	if (!s)
		return NOTHING;
	if (one_in(4))
		return result(ioctl(s->fd, HYBRIDMEM_IOC_GET_CONFIG,
				    bad_pointer()));
	check_pattern(s);
	return 0;
}

int op_set_pattern(void)
{
	uint16_t pattern[PATTERN_MOST];
	struct hybridmem_pattern p = { .nodes = (uintptr_t)pattern };
	struct store *s = open_store();
	bool good = true;
	int err;

	if (!s)
		return NOTHING;
	p.len = good_pattern(pattern);
	switch (below(12)) {
	case 0:
		p.nodes = (uintptr_t)bad_pointer();
		good = p.len == 0;
		break;
	case 1:
		p.reserved = 1 + below(1000);
		good = false;
		break;
	case 2:
		p.len = 1U << 31 | draw();
		good = false;
		break;
	case 3:
		pattern[below(p.len)] = 64 + below(60000);
		good = p.len == 0;
		break;
	}
	err = result(ioctl(s->fd, HYBRIDMEM_IOC_SET_PATTERN, &p));
	if (!err) {
		pattern_set(s, pattern, p.len);
		if (!good)
			wrong("a wrong pattern was accepted");
	} else if (good && s->can_write && err != -ENOMEM &&
		   surely_good(pattern, p.len)) {
		wrong("a good pattern: %s", strerror(-err));
	}
	check_pattern(s);
	return err;
}

int op_get_pattern(void)
{
	uint16_t nodes[PATTERN_MOST];
	struct hybridmem_pattern p = {
		.nodes = (uintptr_t)nodes, .len = below(PATTERN_MOST),
		.reserved = one_in(8),
	};
	struct store *s = open_store();
	bool short_of = s && p.len < s->len;
	int err;

	if (!s)
		return NOTHING;
	if (one_in(8))
		p.nodes = (uintptr_t)bad_pointer();
	if (one_in(8))
		return result(ioctl(s->fd, HYBRIDMEM_IOC_GET_PATTERN,
				    bad_pointer()));
	err = result(ioctl(s->fd, HYBRIDMEM_IOC_GET_PATTERN, &p));
	if (!p.reserved && err != -ENOMEM && p.len != s->len)
		wrong("GET_PATTERN stores the length %u, not %u", p.len, s->len);
	if (!p.reserved && short_of && err != -E2BIG && err != -ENOMEM)
		wrong("an array too short: %d", err);
	return err;
}

int op_punch(void)
{
	struct store *s = open_store();
	unsigned long page = any_index(), n = 1 + below(64), i;
	int err;

	if (!s)
		return NOTHING;
	if (one_in(8)) {
		page &= -512UL;
		n = 512;
	}
	if (n > STORE_PAGES - page)
		n = STORE_PAGES - page;
	if (one_in(8)) {
		/* Far from the pages that there are, or not a range at all. */
		unsigned long from = draw() >> below(40) | STORE_PAGES * PAGE;
		unsigned long len = one_in(4) ? 0 : draw() >> below(60);

		return region_punch(s->fd, from, len);
	}
	err = region_punch(s->fd, page * PAGE, n * PAGE);
	for (i = page; !err && i < page + n; i++)
		s->value[i] = 0;
	if (err && s->can_write)
		wrong("punch: %s", strerror(-err));
	return err;
}

/* Commands that there are not, sizes that are wrong, addresses that are bad. */
int op_ioctl_garbage(void)
{
	static const unsigned long commands[] = {
		HYBRIDMEM_IOC_SET_CONFIG, HYBRIDMEM_IOC_GET_CONFIG,
		HYBRIDMEM_IOC_PUNCH, HYBRIDMEM_IOC_SET_PATTERN,
		HYBRIDMEM_IOC_SET_CONFIG_V1, HYBRIDMEM_IOC_GET_CONFIG_V1,
		HYBRIDMEM_IOC_PUNCH_V1,
		HYBRIDMEM_IOC_GET_PATTERN, _IO('H', 0x40), _IOR('H', 0x40, int),
		_IOWR('H', 0x42, char[4096]), _IO('H', 0x45), 0x5401, 0x541b,
	};
	struct store *s = open_store();
	unsigned long cmd = commands[below(ARRAY(commands))];
	int err;

	if (!s)
		return NOTHING;
	if (one_in(3))
		cmd = 'H' << 8 | (draw() & 0xffff00ff);
	err = result(ioctl(s->fd, cmd, bad_pointer()));
	if (!err)
		wrong("ioctl %lx of a bad address has worked", cmd);
	check_pattern(s);
	return err;
}

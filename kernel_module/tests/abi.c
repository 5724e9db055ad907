// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* The interface: every errno, and that a refusal changes nothing. */

#include "region.h"

#define FAILS(call, error, ...) do {					\
	errno = 0;							\
	long _r = (long)(call);						\
	int _e = errno;							\
									\
	ok(_r == -1 && _e == (error), __VA_ARGS__);			\
	if (_r != -1 || _e != (error))					\
		diag("returned %ld, %s", _r, strerror(_e));		\
} while (0)

static int a, last;
static unsigned char two[2];

static bool still_two(int fd)
{
	unsigned char got[8];

	return pread(fd, got, sizeof(got), 0) == 2 && !memcmp(got, two, 2);
}

static void patterns(void)
{
	void *nowhere = mmap(NULL, PAGE, PROT_NONE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	unsigned int max = atoi(slurp("/sys/module/hybridmem/parameters/max_pattern"));
	unsigned char *big = calloc(1, max + 1UL), got[8];
	int fd = region_open(), i, missing = -1;

	ok(read(fd, got, sizeof(got)) == 0, "a new region has no pattern");
	ok(write(fd, two, 2) == 2, "write returns the length");
	ok(read(fd, got, sizeof(got)) == 2 && !memcmp(got, two, 2),
	   "read returns the pattern");
	ok(read(fd, got, sizeof(got)) == 0, "and then the end");
	ok(write(fd, two, 2) == 2 && read(fd, got, 1) == 1 && got[0] == two[0],
	   "after a write, read begins again");
	ok(read(fd, got, sizeof(got)) == 1 && got[0] == two[1],
	   "and resumes where it stopped");

	FAILS(write(fd, nowhere, 3), EFAULT, "write from nowhere: EFAULT");
	ok(still_two(fd), "and the pattern is kept");
	memset(big, a, max + 1UL);
	FAILS(write(fd, big, max + 1UL), E2BIG, "write too much: E2BIG");
	ok(still_two(fd), "and the pattern is kept");
	ok(write(fd, big, max) == (ssize_t)max, "the longest pattern (%u)", max);
	ok(write(fd, two, 2) == 2, "and a short one again");
	FAILS(write(fd, "\xff", 1), EINVAL, "node 255: EINVAL");
	for (i = 0; i < 64 && missing < 0; i++) {
		int n, has = 0;

		for (n = 0; n < nr_nodes; n++)
			has |= nodes[n] == i;
		if (!has)
			missing = i;
	}
	got[0] = a;
	got[1] = missing;
	FAILS(write(fd, got, 2), EINVAL, "node %d has no memory: EINVAL",
	      missing);
	ok(still_two(fd), "and the pattern is kept");
	FAILS(read(fd, nowhere, 2) < 0 ? -1 : (lseek(fd, 0, SEEK_SET),
	      read(fd, nowhere, 2)), EFAULT, "read to nowhere: EFAULT");
	ok(write(fd, NULL, 0) == 0 && pread(fd, got, 8, 0) == 0,
	   "a write of length 0 clears it");
	close(fd);
	munmap(nowhere, PAGE);
	free(big);
}

static void configuration(void)
{
	struct hybridmem_config c = { };
	int fd = region_open();

	ok(!ioctl(fd, HYBRIDMEM_IOC_GET_CONFIG, &c) && !c.flags &&
	   !c.granule_shift, "a new region: one page, not strict");
	ok(!region_config(fd, HYBRIDMEM_F_STRICT, 9) &&
	   !ioctl(fd, HYBRIDMEM_IOC_GET_CONFIG, &c) &&
	   c.flags == HYBRIDMEM_F_STRICT && c.granule_shift == 9,
	   "what was set is what is got");
	ok(region_config(fd, HYBRIDMEM_F_ALL + 1, 0) == -EINVAL,
	   "an unknown flag: EINVAL");
	ok(region_config(fd, 0, 52) == -EINVAL, "granule_shift 52: EINVAL");
	ok(region_config(fd, 0, 1U << 31) == -EINVAL, "and 2^31: EINVAL");
	ok(!ioctl(fd, HYBRIDMEM_IOC_GET_CONFIG, &c) && c.granule_shift == 9,
	   "and the configuration is kept");
	ok(region_config(fd, 0, 51) == 0, "granule_shift 51");
	FAILS(ioctl(fd, HYBRIDMEM_IOC_SET_CONFIG, NULL), EFAULT,
	      "set from nowhere: EFAULT");
	FAILS(ioctl(fd, HYBRIDMEM_IOC_GET_CONFIG, NULL), EFAULT,
	      "get to nowhere: EFAULT");
	FAILS(ioctl(fd, _IO('H', 0x7f), NULL), ENOTTY, "another ioctl: ENOTTY");
	ok(write(fd, two, 2) == 2 && !region_config(fd, 0, 3) && still_two(fd),
	   "the pattern outlives a configuration");
	ok(write(fd, two, 2) == 2 && !ioctl(fd, HYBRIDMEM_IOC_GET_CONFIG, &c) &&
	   c.granule_shift == 3, "and the configuration a pattern");
	close(fd);
}

static void wide(void)
{
	uint16_t in[2] = { a, last }, out[8], bad[1] = { 1023 };
	struct hybridmem_pattern p = { .nodes = (uintptr_t)in, .len = 2 };
	unsigned int max = atoi(slurp("/sys/module/hybridmem/parameters/max_pattern"));
	int fd = region_open();

	ok(!ioctl(fd, HYBRIDMEM_IOC_SET_PATTERN, &p), "16-bit pattern");
	ok(still_two(fd), "read gives it in bytes");
	p = (struct hybridmem_pattern){ .nodes = (uintptr_t)out, .len = 8 };
	ok(!ioctl(fd, HYBRIDMEM_IOC_GET_PATTERN, &p) && p.len == 2 &&
	   !memcmp(in, out, sizeof(in)), "and the ioctl in 16 bits");
	p.len = 1;
	FAILS(ioctl(fd, HYBRIDMEM_IOC_GET_PATTERN, &p), E2BIG,
	      "too little room: E2BIG");
	ok(p.len == 2, "and the length needed");
	p.nodes = 8;
	FAILS(ioctl(fd, HYBRIDMEM_IOC_GET_PATTERN, &p), EFAULT,
	      "room nowhere: EFAULT");
	FAILS(ioctl(fd, HYBRIDMEM_IOC_GET_PATTERN, NULL), EFAULT,
	      "get nowhere: EFAULT");
	FAILS(ioctl(fd, HYBRIDMEM_IOC_SET_PATTERN, NULL), EFAULT,
	      "set nowhere: EFAULT");
	p.len = 2;
	FAILS(ioctl(fd, HYBRIDMEM_IOC_SET_PATTERN, &p), EFAULT,
	      "set from nowhere: EFAULT");
	p = (struct hybridmem_pattern){ .nodes = (uintptr_t)bad, .len = 1 };
	FAILS(ioctl(fd, HYBRIDMEM_IOC_SET_PATTERN, &p), EINVAL,
	      "node 1023: EINVAL");
	p.nodes = (uintptr_t)in;
	p.reserved = 1;
	FAILS(ioctl(fd, HYBRIDMEM_IOC_SET_PATTERN, &p), EINVAL,
	      "reserved not zero: EINVAL");
	FAILS(ioctl(fd, HYBRIDMEM_IOC_GET_PATTERN, &p), EINVAL,
	      "nor in get: EINVAL");
	p.reserved = 0;
	p.len = max + 1;
	FAILS(ioctl(fd, HYBRIDMEM_IOC_SET_PATTERN, &p), E2BIG,
	      "too long: E2BIG");
	ok(still_two(fd), "and the pattern is kept");
	p.len = 0;
	ok(!ioctl(fd, HYBRIDMEM_IOC_SET_PATTERN, &p) &&
	   pread(fd, out, 8, 0) == 0, "length 0 clears it");
	close(fd);
}

static void ranges(void)
{
	struct hybridmem_range r = { .len = PAGE };
	int fd = region_open();
	static const struct { uint64_t offset, len; } bad[] = {
		{ 0, 0 }, { 1, PAGE }, { 0, 1 }, { 0, PAGE + 8 },
		{ ~0UL << 12, PAGE }, { 1UL << 63, PAGE },
		{ PAGE, ~0UL << 12 }, { 1UL << 62, (1UL << 62) + PAGE },
	};
	unsigned long i;

	ok(!ioctl(fd, HYBRIDMEM_IOC_PUNCH, &r), "punch an empty region");
	for (i = 0; i < ARRAY(bad); i++)
		ok(region_punch(fd, bad[i].offset, bad[i].len) == -EINVAL,
		   "punch %#lx + %#lx: EINVAL", (long)bad[i].offset,
		   (long)bad[i].len);
	ok(region_punch(fd, 0, (1UL << 63) - PAGE) == 0, "punch everything");
	FAILS(ioctl(fd, HYBRIDMEM_IOC_PUNCH, NULL), EFAULT,
	      "punch from nowhere: EFAULT");
	close(fd);
}

static void modes(void)
{
	struct hybridmem_config c = { };
	struct hybridmem_pattern p = { };
	struct hybridmem_range r = { .len = PAGE };
	int fd = open(DEVICE, O_RDONLY);

	FAILS(write(fd, two, 2), EBADF, "read only: write is EBADF");
	FAILS(ioctl(fd, HYBRIDMEM_IOC_SET_CONFIG, &c), EBADF,
	      "and so is the configuration");
	FAILS(ioctl(fd, HYBRIDMEM_IOC_SET_PATTERN, &p), EBADF,
	      "and the pattern");
	FAILS(ioctl(fd, HYBRIDMEM_IOC_PUNCH, &r), EBADF, "and a punch");
	ok(!ioctl(fd, HYBRIDMEM_IOC_GET_CONFIG, &c), "getting is not");
	FAILS(mmap(NULL, PAGE, PROT_WRITE, MAP_SHARED, fd, 0), EACCES,
	      "a shared mapping to write: EACCES");
	ok(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0) != MAP_FAILED,
	   "to read: yes");
	ok(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0) !=
	   MAP_FAILED, "a private one to write: yes");
	close(fd);
}

static void mappings(void)
{
	int fd = region_open();
	char *at;

	FAILS(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 1L << 62 | 1L << 63),
	      EOVERFLOW, "mmap beyond 2^63: EOVERFLOW");
	FAILS(mmap(NULL, 2 * PAGE, PROT_READ, MAP_SHARED, fd,
		   (1UL << 63) - 2 * PAGE), EOVERFLOW,
	      "mmap across the end: EOVERFLOW");
	at = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		  (1UL << 63) - 2 * PAGE);
	ok(at != MAP_FAILED && touch_until_sigbus(at, PAGE, true) == 1,
	   "the last page is usable");
	at = mremap(at, PAGE, 2 * PAGE, MREMAP_MAYMOVE);
	ok(at != MAP_FAILED && touch_until_sigbus(at, 2 * PAGE, true) == 1,
	   "and what mremap adds to it is a SIGBUS");
	ok(ftruncate(fd, 0) == -1, "ftruncate is refused");
	ok(fallocate(fd, 0, 0, PAGE) == -1, "fallocate is refused");
	FAILS(syscall(SYS_mbind, at, PAGE, 2, (long[]){ 1L << a }, 64, 0),
	      EOPNOTSUPP, "mbind is refused: EOPNOTSUPP");
	close(fd);
}

/* The reserved words are zero, and those who do not know them are served. */
static void versions(void)
{
	struct hybridmem_config c = { .flags = HYBRIDMEM_F_SPARSE };
	struct hybridmem_range r = { .len = PAGE };
	struct { uint32_t flags, shift, guard; } old = {
		HYBRIDMEM_F_STRICT, 4, 0xabcdabcd,
	};
	struct { uint64_t offset, len, guard; } range = { 0, PAGE, ~0UL };
	char *end = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), *at;
	int fd = region_open();
	unsigned long i;

	ok(sizeof(c) == 32 && sizeof(r) == 32,
	   "there is room for more in the structures");
	for (i = 0; i < ARRAY(c.reserved); i++) {
		c.reserved[i] = 1UL << (21 * i);
		FAILS(ioctl(fd, HYBRIDMEM_IOC_SET_CONFIG, &c), EINVAL,
		      "a reserved word of the configuration: EINVAL");
		c.reserved[i] = 0;
	}
	for (i = 0; i < ARRAY(r.reserved); i++) {
		r.reserved[i] = 1UL << (42 * i);
		FAILS(ioctl(fd, HYBRIDMEM_IOC_PUNCH, &r), EINVAL,
		      "a reserved word of a range: EINVAL");
		r.reserved[i] = 0;
	}
	memset(&c, 0xff, sizeof(c));
	ok(!ioctl(fd, HYBRIDMEM_IOC_GET_CONFIG, &c) && !c.flags &&
	   !c.granule_shift && !c.reserved[0] && !c.reserved[1] &&
	   !c.reserved[2], "a refusal sets nothing, and zeroes are got");

	ok(!ioctl(fd, HYBRIDMEM_IOC_SET_CONFIG_V1, &old) &&
	   !ioctl(fd, HYBRIDMEM_IOC_GET_CONFIG, &c) &&
	   c.flags == HYBRIDMEM_F_STRICT && c.granule_shift == 4,
	   "the first version of the ioctl sets the configuration");
	old.flags = old.shift = 0;
	ok(!ioctl(fd, HYBRIDMEM_IOC_GET_CONFIG_V1, &old) &&
	   old.flags == HYBRIDMEM_F_STRICT && old.shift == 4 &&
	   old.guard == 0xabcdabcd, "and gets it, and no more");
	at = region_map(fd, PAGE, MAP_SHARED, 0);
	touch(at, PAGE);
	ok(!ioctl(fd, HYBRIDMEM_IOC_PUNCH_V1, &range) && all_zero(at, PAGE),
	   "and punches");
	mprotect(end + PAGE, PAGE, PROT_NONE);
	ok(!ioctl(fd, HYBRIDMEM_IOC_GET_CONFIG_V1, end + PAGE - 8) &&
	   !ioctl(fd, HYBRIDMEM_IOC_SET_CONFIG_V1, end + PAGE - 8),
	   "all within its 8 bytes");
	FAILS(ioctl(fd, HYBRIDMEM_IOC_SET_CONFIG, end + PAGE - 8), EFAULT,
	      "where the second needs 32: EFAULT");
	old.flags = HYBRIDMEM_F_ALL + 1;
	FAILS(ioctl(fd, HYBRIDMEM_IOC_SET_CONFIG_V1, &old), EINVAL,
	      "an unknown flag is none for the first one either");
	munmap(end, 2 * PAGE);
	munmap(at, PAGE);
	close(fd);
	fd = open(DEVICE, O_RDONLY | O_CLOEXEC);
	FAILS(ioctl(fd, HYBRIDMEM_IOC_SET_CONFIG_V1, &old), EBADF,
	      "read only: its configuration is EBADF");
	FAILS(ioctl(fd, HYBRIDMEM_IOC_PUNCH_V1, &range), EBADF,
	      "and its punch");
	close(fd);
}

int main(void)
{
	find_nodes();
	a = nodes[0];
	last = nodes[nr_nodes - 1];
	two[0] = a;
	two[1] = last;
	patterns();
	configuration();
	wide();
	ranges();
	versions();
	modes();
	mappings();
	return done();
}

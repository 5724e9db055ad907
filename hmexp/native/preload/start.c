/* Settings from the environment, and the counters, before main(). */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "preload.h"

enum { UNTRIED, TRYING, READY, OFF };

struct hm_settings hm_settings;
static struct hm_counters unseen;	/* where there is no file to count in */
struct hm_counters *hm_counters = &unseen;
static _Atomic int state = UNTRIED;

static bool read_number(const char *name, unsigned long *value)
{
	const char *text = getenv(name);
	char *end;

	if (!text || !*text)
		return false;
	*value = strtoul(text, &end, 10);
	return !*end && *value;
}

static bool read_pattern(void)
{
	const char *text = getenv("HMEXP_PRELOAD_PATTERN");
	uint32_t n = 0;
	char *end;

	while (text && n < HM_MOST_NODES) {
		unsigned long node = strtoul(text, &end, 10);

		if (end == text || node > UINT16_MAX)
			return false;
		hm_settings.nodes[n++] = (uint16_t)node;
		if (!*end) {
			hm_settings.length = n;
			return true;
		}
		if (*end != ',')
			return false;
		text = end + 1;
	}
	return false;
}

static bool read_settings(void)
{
	unsigned long granule, threshold, page = getauxval(AT_PAGESZ);
	const char *files;

	if (!read_number("HMEXP_PRELOAD_GRANULE_BYTES", &granule) ||
	    !read_number("HMEXP_PRELOAD_THRESHOLD_BYTES", &threshold) ||
	    !page || granule < page || granule & (granule - 1) || !read_pattern())
		return false;
	hm_settings.page_bytes = page;
	hm_settings.threshold_bytes = threshold;
	hm_settings.granule_shift = (unsigned int)__builtin_ctzl(granule / page);
	hm_settings.period_bytes = granule * hm_settings.length;
	/* A copy: programs that set their title write over the environment. */
	files = getenv("HMEXP_PRELOAD_FILES");
	if (files && strlen(files) < sizeof(hm_settings.files))
		strcpy(hm_settings.files, files);
	return true;
}

/* The file that all processes of the program count in; none is no error. */
static void open_counters(void)
{
	const char *path = getenv("HMEXP_PRELOAD_COUNTERS");
	struct hm_counters *seen;
	struct stat file;
	int fd;

	if (!path)
		return;
	fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return;
	if (!fstat(fd, &file) && S_ISREG(file.st_mode) &&
	    file.st_size >= (off_t)sizeof(*seen)) {
		seen = (void *)syscall(SYS_mmap, NULL, sizeof(*seen),
				       PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		if (seen != MAP_FAILED && !memcmp(seen->magic, HM_MAGIC, 8))
			hm_counters = seen;
	}
	syscall(SYS_close, fd);
}

static void start(void)
{
	int before = errno;

	if (getauxval(AT_SECURE) || !read_settings()) {
		atomic_store(&state, OFF);
		return;
	}
	open_counters();
	hm_count(processes, 1);
	hm_keep_open();
	atomic_store(&state, READY);
	errno = before;
}

/*
 * Are we at work?  The allocator in front may map its first memory before our
 * constructor runs, and before libc has an environment to read: then not yet.
 */
bool hm_ready(void)
{
	int was = atomic_load_explicit(&state, memory_order_acquire);

	if (was == READY || was == OFF)
		return was == READY;
	if (!environ || was == TRYING)
		return false;
	was = UNTRIED;
	if (atomic_compare_exchange_strong(&state, &was, TRYING))
		start();
	return atomic_load(&state) == READY;
}

__attribute__((constructor)) static void at_load(void)
{
	hm_ready();
	hm_watch_forks();
	hm_find_real();
	hm_find_real_descriptors();
}

/* Note a program that the library is not in; safe in the child of vfork(). */
void hm_note_name(const char *reason, const char *name)
{
	uint64_t n = atomic_fetch_add(&hm_counters->uncovered, 1);
	size_t used = strlen(reason), left;
	char *to;

	if (n >= HM_NAMES || used + 2 >= HM_NAME_BYTES)
		return;
	to = hm_counters->names[n];
	memcpy(to, reason, used);
	to[used++] = '\t';
	left = strlen(name);
	if (left > HM_NAME_BYTES - 1 - used)
		left = HM_NAME_BYTES - 1 - used;
	memcpy(to + used, name, left);
}

/* What kind of program a file is, read from its first bytes; no memory is taken. */
#define _GNU_SOURCE
#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "executable.h"

/* #! may name a script, and that another: the kernel follows so many. */
#define MOST_SCRIPTS 5

#if defined(__x86_64__)
#define OWN_MACHINE EM_X86_64
#elif defined(__aarch64__)
#define OWN_MACHINE EM_AARCH64
#else
#define OWN_MACHINE head->e_machine	/* every one, for all that is known */
#endif

const char *const hm_kind_names[] = {
	[HM_COVERED] = "",
	[HM_STATIC] = "static",
	[HM_PRIVILEGED] = "privileged",
	[HM_32_BIT] = "32-bit",
	[HM_OTHER_MACHINE] = "for another processor",
	[HM_OTHER_LIBC] = "of another C library",
};

static const char *base(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* The loader that this process was started by: PT_INTERP of its own program. */
static const char *own_loader(void)
{
	const ElfW(Phdr) *p = (void *)getauxval(AT_PHDR);
	unsigned long n = getauxval(AT_PHNUM), i;
	const char *at = NULL;
	uintptr_t bias = 0;

	for (i = 0; p && i < n; i++)
		if (p[i].p_type == PT_PHDR)
			bias = (uintptr_t)p - p[i].p_vaddr;
	for (i = 0; p && i < n; i++)
		if (p[i].p_type == PT_INTERP)
			at = (const char *)(bias + p[i].p_vaddr);
	return at ? base(at) : NULL;
}

static enum hm_kind of_elf(int fd, const ElfW(Ehdr) *head)
{
	const char *own = own_loader();
	char loader[256] = "";
	ElfW(Phdr) p;
	int i;

	if (head->e_ident[EI_CLASS] != ELFCLASS64)
		return HM_32_BIT;
	if (head->e_machine != OWN_MACHINE)
		return HM_OTHER_MACHINE;
	for (i = 0; i < head->e_phnum; i++) {
		if (pread(fd, &p, sizeof(p), (off_t)(head->e_phoff + i * sizeof(p))) !=
		    sizeof(p))
			return HM_COVERED;
		if (p.p_type == PT_INTERP && p.p_filesz < sizeof(loader) &&
		    pread(fd, loader, p.p_filesz, (off_t)p.p_offset) < 0)
			return HM_COVERED;
	}
	if (!*loader)
		return HM_STATIC;
	if (own && strcmp(base(loader), own))
		return HM_OTHER_LIBC;
	return HM_COVERED;
}

/* The interpreter that a script names, in @line; false if it is no script. */
static bool is_script(char *line, char *interpreter, size_t room)
{
	size_t n;

	if (strncmp(line, "#!", 2))
		return false;
	line += 2 + strspn(line + 2, " \t");
	n = strcspn(line, " \t\n");
	if (!n || n >= room)
		return false;
	memcpy(interpreter, line, n);
	interpreter[n] = 0;
	return true;
}

static bool is_privileged(int fd)
{
	struct stat file;

	if (fstat(fd, &file))
		return false;
	return ((file.st_mode & S_ISUID) && file.st_uid != geteuid()) ||
	       ((file.st_mode & S_ISGID) && file.st_gid != getegid()) ||
	       (geteuid() && fgetxattr(fd, "security.capability", NULL, 0) > 0);
}

enum hm_kind hm_kind_of(const char *path)
{
	union {
		ElfW(Ehdr) elf;
		char text[257];
	} head;
	char interpreter[256];
	enum hm_kind kind;
	int fd, scripts;
	ssize_t got;

	for (scripts = 0; scripts < MOST_SCRIPTS; scripts++) {
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			return HM_COVERED;
		got = pread(fd, head.text, sizeof(head.text) - 1, 0);
		head.text[got > 0 ? got : 0] = 0;
		if (got >= (ssize_t)sizeof(head.elf) &&
		    !memcmp(head.elf.e_ident, ELFMAG, SELFMAG)) {
			kind = of_elf(fd, &head.elf);
			if (kind == HM_COVERED && is_privileged(fd))
				kind = HM_PRIVILEGED;
			syscall(SYS_close, fd);
			return kind;
		}
		syscall(SYS_close, fd);
		if (!is_script(head.text, interpreter, sizeof(interpreter)))
			return HM_COVERED;
		path = interpreter;
	}
	return HM_COVERED;
}

const char *hm_find(const char *file, char *room, size_t bytes)
{
	const char *list = getenv("PATH"), *end;

	if (!file || !*file || strchr(file, '/'))
		return file;
	for (list = list ? list : "/bin:/usr/bin"; ; list = end + 1) {
		end = strchrnul(list, ':');
		if ((size_t)snprintf(room, bytes, "%.*s%s%s", (int)(end - list), list,
				     end == list ? "" : "/", file) < bytes &&
		    !access(room, X_OK))
			return room;
		if (!*end)
			return NULL;
	}
}

/*
 * exec and posix_spawn: programs that the library cannot be in (of another word
 * size, of another libc, static) are started without it, as they would be without
 * us, and noted.  dlopen: RTLD_DEEPBIND would let a library free with libc's
 * allocator what ours gave.
 *
 * The child of vfork() comes here: nothing is written but its stack and counters.
 */
#define _GNU_SOURCE
#include <alloca.h>
#include <dlfcn.h>
#include <errno.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "executable.h"
#include "preload.h"

static struct {
	__typeof__(execve) *execve;
	__typeof__(execvpe) *execvpe;
	__typeof__(fexecve) *fexecve;
	__typeof__(posix_spawn) *posix_spawn;
	__typeof__(posix_spawnp) *posix_spawnp;
	__typeof__(dlopen) *dlopen;
} real;

#define FIND(name) (real.name = (__typeof__(real.name))dlsym(RTLD_NEXT, #name))

void hm_find_real(void)
{
	FIND(execve);
	FIND(execvpe);
	FIND(fexecve);
	FIND(posix_spawn);
	FIND(posix_spawnp);
	FIND(dlopen);
}

#define PRELOAD "LD_PRELOAD="
#define ENVIRONMENT_MOST 65536

static size_t entries(char *const *list)
{
	size_t n = 0;

	while (list && list[n])
		n++;
	return n;
}

static bool is_separator(char c)
{
	return c == ':' || c == ' ';
}

/*
 * LD_PRELOAD without what is ours, in @text, which has room for all of @entry;
 * NULL if nothing is left of it.
 */
static char *without_ours(char *entry, char *text)
{
	size_t ours = strlen(hm_settings.files), before;
	char *value = entry + strlen(PRELOAD), *at = value, *rest;

	while ((at = strstr(at, hm_settings.files))) {
		rest = at + ours;
		if ((at == value || is_separator(at[-1])) &&
		    (!*rest || is_separator(*rest)))
			break;
		at++;
	}
	if (!at)
		return entry;
	before = (size_t)(at - entry);
	/* One separator goes with it. */
	if (*rest)
		rest++;
	else if (at > value)
		before--;
	if (!*rest && before == strlen(PRELOAD))
		return NULL;
	memcpy(text, entry, before);
	strcpy(text + before, rest);
	return text;
}

/*
 * Fill @to with the environment for a program that the library cannot be in;
 * @text has room for the LD_PRELOAD that is left.
 */
static void strip(char **to, char *text, char *const *from)
{
	for (; *from; from++) {
		char *left = *from;

		if (!strncmp(left, PRELOAD, strlen(PRELOAD)))
			left = without_ours(left, text);
		if (left)
			*to++ = left;
	}
	*to = NULL;
}

static size_t longest_preload(char *const *from)
{
	for (; *from; from++)
		if (!strncmp(*from, PRELOAD, strlen(PRELOAD)))
			return strlen(*from) + 1;
	return 1;
}

/*
 * Note a program that the library cannot be in.  Return: would it do harm there?
 * What ignores LD_PRELOAD keeps it, for the programs that it starts itself.
 */
static bool is_harmed(const char *path)
{
	enum hm_kind kind = HM_COVERED;
	int before = errno;

	if (hm_ready() && *hm_settings.files && path) {
		kind = hm_kind_of(path);
		if (kind != HM_COVERED)
			hm_note_name(hm_kind_names[kind], path);
	}
	errno = before;
	return kind >= HM_HARMED;
}

/*
 * The environment for @path, in memory of the caller's frame: hence a macro.  One
 * that is too large to copy to the stack is passed on as it is.
 */
#define ENVIRONMENT_FOR(path, envp) ({						\
	char *const *given_ = (envp), *const *use_ = given_;			\
	size_t n_ = entries(given_);						\
	if (n_ && n_ < ENVIRONMENT_MOST && is_harmed(path)) {			\
		char **copy_ = alloca((n_ + 1) * sizeof(*copy_));		\
		strip(copy_, alloca(longest_preload(given_)), given_);		\
		use_ = copy_;							\
	}									\
	use_; })

#define NEEDED(name)				\
	do {					\
		if (!real.name)			\
			FIND(name);		\
	} while (0)

HM_EXPORT int execve(const char *path, char *const *argv, char *const *envp)
{
	NEEDED(execve);
	return real.execve(path, argv, ENVIRONMENT_FOR(path, envp));
}

HM_EXPORT int execv(const char *path, char *const *argv)
{
	return execve(path, argv, environ);
}

HM_EXPORT int execvpe(const char *file, char *const *argv, char *const *envp)
{
	char found[4096];

	NEEDED(execvpe);
	return real.execvpe(file, argv,
			    ENVIRONMENT_FOR(hm_find(file, found, sizeof(found)), envp));
}

HM_EXPORT int execvp(const char *file, char *const *argv)
{
	return execvpe(file, argv, environ);
}

HM_EXPORT int fexecve(int fd, char *const *argv, char *const *envp)
{
	char path[64], name[4096];
	ssize_t n;

	NEEDED(fexecve);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	n = readlink(path, name, sizeof(name) - 1);
	name[n > 0 ? n : 0] = 0;
	return real.fexecve(fd, argv, ENVIRONMENT_FOR(name, envp));
}

/* The arguments of a call that lists them, up to its NULL, in the caller's frame. */
#define ARGUMENTS(first, list) ({						\
	size_t n_ = 1, i_;							\
	char **copy_;								\
	va_list counted_;							\
	va_copy(counted_, list);						\
	while (va_arg(counted_, char *))					\
		n_++;								\
	va_end(counted_);							\
	copy_ = alloca((n_ + 1) * sizeof(*copy_));				\
	copy_[0] = (char *)(first);						\
	for (i_ = 1; i_ <= n_; i_++)						\
		copy_[i_] = va_arg(list, char *);				\
	copy_; })

HM_EXPORT int execl(const char *path, const char *first, ...)
{
	va_list more;
	char **argv;

	va_start(more, first);
	argv = ARGUMENTS(first, more);
	va_end(more);
	return execve(path, argv, environ);
}

HM_EXPORT int execlp(const char *file, const char *first, ...)
{
	va_list more;
	char **argv;

	va_start(more, first);
	argv = ARGUMENTS(first, more);
	va_end(more);
	return execvpe(file, argv, environ);
}

HM_EXPORT int execle(const char *path, const char *first, ...)
{
	char **argv, *const *envp;
	va_list more;

	va_start(more, first);
	argv = ARGUMENTS(first, more);
	envp = va_arg(more, char *const *);
	va_end(more);
	return execve(path, argv, envp);
}

HM_EXPORT int posix_spawn(pid_t *pid, const char *path,
			  const posix_spawn_file_actions_t *actions,
			  const posix_spawnattr_t *attributes, char *const *argv,
			  char *const *envp)
{
	NEEDED(posix_spawn);
	return real.posix_spawn(pid, path, actions, attributes, argv,
				ENVIRONMENT_FOR(path, envp));
}

HM_EXPORT int posix_spawnp(pid_t *pid, const char *file,
			   const posix_spawn_file_actions_t *actions,
			   const posix_spawnattr_t *attributes, char *const *argv,
			   char *const *envp)
{
	char found[4096];

	NEEDED(posix_spawnp);
	return real.posix_spawnp(
		pid, file, actions, attributes, argv,
		ENVIRONMENT_FOR(hm_find(file, found, sizeof(found)), envp));
}

/*
 * A call that takes the place of this one: dlopen() looks for the library as its
 * caller would (its RUNPATH, its namespace), and knows it by the return address.
 */
HM_EXPORT void *dlopen(const char *file, int mode)
{
	NEEDED(dlopen);
	if (mode & RTLD_DEEPBIND) {
		hm_count(deepbind, 1);
		mode &= ~RTLD_DEEPBIND;
	}
	return real.dlopen(file, mode);
}

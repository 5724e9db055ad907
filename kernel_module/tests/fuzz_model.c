// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* The fuzzer's dice, its memory of what each page holds, and its touches. */
#include "fuzz.h"

struct tally *tally;
struct store *stores;
struct view views[VIEWS];
unsigned long seed;
bool is_child;
bool risky[64];
int plenty[2], all_nodes[8], nr_all_nodes;

/* ------------------------------------------------------------------- dice -- */

static unsigned long dice;

unsigned long mix(unsigned long x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9UL;
	x = (x ^ x >> 27) * 0x94d049bb133111ebUL;
	return x ^ x >> 31;
}

/* From here on, what is drawn depends on these two numbers alone. */
void draw_from(unsigned long a, unsigned long b)
{
	dice = mix(mix(a + 1) + b);
}

unsigned long draw(void)
{
	dice += 0x9e3779b97f4a7c15UL;
	return mix(dice);
}

unsigned long below(unsigned long n)
{
	return n ? (draw() >> 11) % n : 0;
}

bool one_in(unsigned long n)
{
	return below(n) == 0;
}

/* The pages of a range: few, so that there are many of them; at most so many. */
unsigned long few(unsigned long most)
{
	unsigned long n = 1 + below(8);

	return n < most ? n : most;
}

/* --------------------------------------------------------------- verdicts -- */

void wrong(const char *format, ...)
{
	va_list ap;

	if (tally->wrong++ >= 10)
		return;
	printf("# WRONG, seed %lu, attempt %lu%s: ", seed, tally->attempt,
	       is_child ? " (child)" : "");
	va_start(ap, format);
	vprintf(format, ap);
	va_end(ap);
	printf("\n");
	fflush(stdout);
}

/* What a system call has returned, as 0 or a negative errno. */
int result(long r)
{
	return r < 0 ? -errno : 0;
}

/* ---------------------------------------------------------------- touches -- */

static __thread sigjmp_buf touch_back;
static __thread volatile bool touching;

static void touch_failed(int signal, siginfo_t *info, void *context)
{
	static const char text[] = "# the fuzzer itself has crashed\n";

	(void)info;
	(void)context;
	if (touching)
		siglongjmp(touch_back, signal);
	if (write(1, text, sizeof(text) - 1) < 0)
		_exit(98);
	_exit(99);
}

void catch_signals(void)
{
	struct sigaction sa = {
		.sa_sigaction = touch_failed,
		.sa_flags = SA_SIGINFO | SA_NODEFER,
	};

	sigaction(SIGBUS, &sa, NULL);
	sigaction(SIGSEGV, &sa, NULL);
}

/* Read the three words that hold a page's value; the signal, or 0. */
int peek(const char *at, unsigned long middle, unsigned long *value, bool *torn)
{
	const volatile unsigned long *word = (const volatile unsigned long *)at;
	int signal = sigsetjmp(touch_back, 0);

	if (!signal) {
		touching = true;
		*value = word[0];
		*torn = word[middle] != *value || word[511] != *value;
	}
	touching = false;
	return signal;
}

/* Write them; *torn if only some are written. */
int poke(char *at, unsigned long middle, unsigned long value, bool *torn)
{
	volatile unsigned long *word = (volatile unsigned long *)at;
	volatile bool begun = false;
	int signal = sigsetjmp(touch_back, 0);

	if (!signal) {
		touching = true;
		word[0] = value;
		begun = true;
		word[middle] = value;
		word[511] = value;
	}
	touching = false;
	*torn = signal && begun;
	return signal;
}

/* ---------------------------------------------------------- model: stores -- */

/* The node that the pattern names for a page, or -1. */
int want(const struct store *s, unsigned long page)
{
	if (!s->len)
		return -1;
	return s->pattern[(page >> s->config.granule_shift) % s->len];
}

unsigned long middle_of(unsigned long page)
{
	return 1 + page % 510;
}

unsigned long new_value(void)
{
	return seed << 40 | ++tally->serial;
}

static struct store *store_where(bool used, bool open)
{
	unsigned long i, n = below(STORES);

	for (i = 0; i < STORES; i++) {
		struct store *s = &stores[(n + i) % STORES];

		if (s->used == used && (!open || s->fd >= 0))
			return s;
	}
	return NULL;
}

struct store *any_store(void)
{
	return store_where(true, false);
}

struct store *open_store(void)
{
	return store_where(true, true);
}

struct store *free_store(void)
{
	return store_where(false, false);
}

/* ----------------------------------------------------------- model: views -- */

struct view *any_view(void)
{
	unsigned long i, n = below(VIEWS);

	for (i = 0; i < VIEWS; i++)
		if (views[(n + i) % VIEWS].used)
			return &views[(n + i) % VIEWS];
	return NULL;
}

struct view *free_view(void)
{
	unsigned long i, n = below(VIEWS);

	for (i = 0; i < VIEWS; i++)
		if (!views[(n + i) % VIEWS].used)
			return &views[(n + i) % VIEWS];
	return NULL;
}

/*
 * A page of a region: mostly one of those that all operations come back to, so
 * that what one leaves behind is found by another.
 */
unsigned long any_index(void)
{
	switch (below(8)) {
	case 0:
	case 1:
	case 2:
		return below(40);
	case 3:
	case 4:
		return 512 - 12 + below(24);	/* where two huge pages meet */
	case 5:
		return STORE_PAGES - 1 - below(16);
	default:
		return below(STORE_PAGES);
	}
}

/* Such a page of a view, if it has it, counted from its start; else any. */
unsigned long any_page(const struct view *v)
{
	unsigned long i = any_index();

	return i >= v->first && i - v->first < v->pages ? i - v->first :
							  below(v->pages);
}

/* Where to map it: half of them so that huge pages suit, the others nearby. */
char *view_place(const struct view *v, unsigned long first)
{
	unsigned long at = VIEW_BASE + (v - views) * VIEW_BYTES;

	if (one_in(2))
		return (char *)at + first * PAGE;
	return (char *)at + below(STORE_PAGES) * PAGE;
}

/* Is there nothing left of it, or of its region? */
void forget_view(struct view *v)
{
	struct store *s = v->store;
	unsigned long i;

	v->used = false;
	for (i = 0; i < VIEWS; i++)
		if (views[i].used && views[i].store == s)
			return;
	/* A child's parent may have it mapped still. */
	if (s->fd < 0 && !is_child)
		s->used = false;
}

bool has_hole(const struct view *v, unsigned long page, unsigned long n)
{
	for (; n; n--, page++)
		if (v->prot[page] & (HOLE | UNCLEAR))
			return true;
	return false;
}

/* The kernel may have made copies of private pages, for a lock or by request. */
void maybe_copied(struct view *v, unsigned long page, unsigned long n)
{
	if (v->shared)
		return;
	for (; n; n--, page++) {
		unsigned long now = v->store->value[v->first + page];

		if (v->prot[page] & HOLE)
			continue;
		if (v->state[page] == PLAIN && now != UNSURE) {
			v->state[page] = MAYBE;
			v->value[page] = now;
		} else if (v->state[page] == PLAIN ||
			   (v->state[page] == MAYBE && v->value[page] != now)) {
			v->state[page] = UNKNOWN;
		}
	}
}

/* Private pages that are the region's again, or (a call has failed) some are. */
void dropped_copies(struct view *v, unsigned long page, unsigned long n,
		    bool surely)
{
	if (v->shared)
		return;
	for (; n; n--, page++) {
		if (surely)
			v->state[page] = PLAIN;
		else if (v->state[page] != PLAIN)
			v->state[page] = UNKNOWN;
	}
}

/* ------------------------------------------------------------------ check -- */

static bool may_show(const struct view *v, unsigned long page, unsigned long got,
		     bool torn)
{
	unsigned long now = v->store->value[v->first + page];
	bool plain;

	if (!v->shared && v->state[page] == UNKNOWN)
		return true;
	plain = now == UNSURE || (!torn && got == now) ||
		(!v->shared && v->store->was_sparse && !torn && !got);
	if (v->shared || v->state[page] == PLAIN)
		return plain;
	if (!torn && got == v->value[page])
		return true;
	return v->state[page] == MAYBE && plain;
}

static bool rest_is_zero(const char *at, unsigned long middle)
{
	const volatile unsigned long *word = (const volatile unsigned long *)at;
	unsigned long i, sum = 0;

	for (i = 1; i < 511; i++)
		if (i != middle)
			sum |= word[i];
	return !sum;
}

void check_value(struct view *v, unsigned long page, unsigned long got, bool torn)
{
	unsigned long i = v->first + page;

	tally->checked++;
	if (!may_show(v, page, got, torn))
		wrong("page %lu of store %ld, %s view %ld (state %d): %lx%s, not %lx or the region's %lx",
		      i, v->store - stores, v->shared ? "shared" : "private",
		      v - views, v->shared ? -1 : (int)v->state[page], got,
		      torn ? " (torn)" : "", v->value[page], v->store->value[i]);
}

void written(struct view *v, unsigned long page, unsigned long value)
{
	if (v->shared) {
		v->store->value[v->first + page] = value;
	} else if (value == UNSURE) {
		v->state[page] = UNKNOWN;
	} else {
		v->state[page] = COPIED;
		v->value[page] = value;
	}
}

/* Was the signal one that this page may give? */
static void check_signal(const struct view *v, unsigned long page, bool write,
			 int signal)
{
	int prot = v->prot[page], nid = want(v->store, v->first + page);
	bool may = prot & (write ? PROT_WRITE : PROT_READ | PROT_WRITE);

	if (signal == SIGSEGV) {
		tally->sigsegv++;
		if (may && !(prot & (HOLE | UNCLEAR)))
			wrong("SIGSEGV at page %lu, which has protection %x",
			      page, prot);
		return;
	}
	tally->sigbus++;
	if (!(v->store->config.flags & HYBRIDMEM_F_STRICT))
		wrong("SIGBUS at page %lu of a region that is not strict", page);
	else if (nid < 0 || !risky[nid])
		wrong("SIGBUS at page %lu, whose node %d has room", page, nid);
}

void touch_page(struct view *v, unsigned long page, bool write)
{
	unsigned long i = v->first + page, middle = middle_of(i), value;
	char *at = v->at + page * PAGE;
	bool torn;
	int signal;

	if (write) {
		value = new_value();
		signal = poke(at, middle, value, &torn);
		if (!signal || torn)
			written(v, page, torn ? UNSURE : value);
		tally->writes++;
	} else {
		signal = peek(at, middle, &value, &torn);
		if (!signal)
			check_value(v, page, value, torn);
		if (!signal && one_in(32) && !rest_is_zero(at, middle))
			wrong("page %lu of store %ld has data that nobody wrote",
			      i, v->store - stores);
		tally->reads++;
	}
	if (signal)
		check_signal(v, page, write, signal);
	else if (!(v->prot[page] & UNCLEAR) &&
		 (v->prot[page] & HOLE ||
		  (write && !(v->prot[page] & PROT_WRITE))))
		wrong("page %lu could be %s with protection %x", page,
		      write ? "written" : "read", v->prot[page]);
}

// SPDX-License-Identifier: MIT
#include <string.h>

#include "client.h"
#include "values.h"

#define UNKNOWN UINT32_MAX

struct header {
	uint64_t key;
	uint32_t version;
	uint32_t bytes;
};

/*
 * SETs of one key that overlap may be applied in any order, for they may be on several connections. They are a
 * group: when all of it is answered, the key holds one of the group, and nothing older.
 */
struct key_state {
	/* Written under the lock, read without it. */
	uint32_t issued; /* the last version sent */
	uint32_t lowest; /* the lowest that may still be there */
	uint32_t group; /* the first of the SETs that overlap now */
	uint32_t busy; /* SETs under way */
	uint32_t lock;
};

static struct key_state *lock(struct table *table, uint64_t key)
{
	struct key_state *state = &table->states[key];

	while (__atomic_exchange_n(&state->lock, 1, __ATOMIC_ACQUIRE))
		;
	return state;
}

static void unlock(struct key_state *state)
{
	__atomic_store_n(&state->lock, 0, __ATOMIC_RELEASE);
}

void table_begin(struct table *table, uint64_t keys, uint32_t value_bytes, uint32_t first_version)
{
	*table = (struct table){ .keys = keys, .value_bytes = value_bytes, .first_version = first_version };
	table->states = allocate(keys * sizeof(*table->states));
	for (uint64_t key = 0; key < keys; key++)
		table->states[key].lowest = UNKNOWN;
}

bool table_known(const struct table *table)
{
	for (uint64_t key = 0; key < table->keys; key++)
		if (table->states[key].lowest == UNKNOWN)
			return false;
	return true;
}

uint32_t table_issue(struct table *table, uint64_t key)
{
	struct key_state *state = lock(table, key);
	uint32_t version;

	version = state->issued + 1;
	if (state->lowest == UNKNOWN && !state->busy)
		version = table->first_version;
	__atomic_store_n(&state->issued, version, __ATOMIC_RELAXED);
	if (!state->busy)
		state->group = version;
	state->busy++;
	unlock(state);
	return version;
}

void table_answered(struct table *table, uint64_t key, bool done)
{
	struct key_state *state = lock(table, key);

	if (!done)
		state->group = state->lowest;
	state->busy--;
	if (!state->busy)
		__atomic_store_n(&state->lowest, state->group, __ATOMIC_RELAXED);
	unlock(state);
}

uint32_t table_lowest(struct table *table, uint64_t key)
{
	return __atomic_load_n(&table->states[key].lowest, __ATOMIC_RELAXED);
}

bool table_accepts(struct table *table, uint64_t key, uint32_t version, uint32_t lowest)
{
	struct key_state *state;

	if (lowest != UNKNOWN)
		/* What has been sent only grows: no lock needed to see that this was. */
		return version >= lowest &&
		       version <= __atomic_load_n(&table->states[key].issued, __ATOMIC_RELAXED);
	state = lock(table, key);
	if (state->lowest == UNKNOWN && !state->busy) {
		__atomic_store_n(&state->issued, version, __ATOMIC_RELAXED);
		__atomic_store_n(&state->lowest, version, __ATOMIC_RELAXED);
	}
	unlock(state);
	return true;
}

static inline uint64_t stream_of(uint64_t key, uint32_t version, uint32_t bytes)
{
	return mix(key * 0x9e3779b97f4a7c15ull ^ mix((uint64_t)version << 32 | bytes));
}

static inline uint64_t word_of(uint64_t stream, uint64_t index)
{
	uint64_t word = (stream + index) * 0x9e3779b97f4a7c15ull;

	return word ^ (word >> 29);
}

void value_fill(void *value, uint64_t key, uint32_t version, uint32_t bytes)
{
	struct header header = { .key = key, .version = version, .bytes = bytes };
	uint64_t stream = stream_of(key, version, bytes), word, at;
	char *to = value;

	memcpy(to, &header, sizeof(header));
	for (at = sizeof(header); at + 8 <= bytes; at += 8) {
		word = word_of(stream, at);
		memcpy(to + at, &word, 8);
	}
	word = word_of(stream, at);
	memcpy(to + at, &word, bytes - at);
}

bool value_whole(const void *value, size_t length, uint64_t key, uint32_t bytes, uint32_t *version)
{
	const char *from = value;
	struct header header;
	uint64_t stream, word, found, wrong = 0;
	size_t at;

	if (length != bytes)
		return false;
	memcpy(&header, from, sizeof(header));
	if (header.key != key || header.bytes != bytes)
		return false;
	stream = stream_of(key, header.version, bytes);
	for (at = sizeof(header); at + 8 <= length; at += 8) {
		memcpy(&found, from + at, 8);
		wrong |= found ^ word_of(stream, at);
	}
	word = word_of(stream, at);
	*version = header.version;
	return !wrong && !memcmp(from + at, &word, length - at);
}

uint64_t value_digest(uint64_t key, uint32_t version, uint32_t bytes)
{
	return mix(stream_of(key, version, bytes));
}

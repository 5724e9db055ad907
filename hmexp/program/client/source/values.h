/* SPDX-License-Identifier: MIT */
/*
 * What each key holds. A value begins with its key and its version; the rest of its bytes follows from both,
 * so that any damage shows. Versions of a key count up; the table knows which of them a read may find:
 * none that was overwritten before the read was sent, none that has not been sent.
 */
#ifndef HM_REDIS_VALUES_H
#define HM_REDIS_VALUES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LEAST_VALUE_BYTES = 24, MOST_VALUE_BYTES = 64 << 20 };

struct key_state;

struct table {
	struct key_state *states;
	uint64_t keys;
	uint32_t value_bytes;
	uint32_t first_version;
};

void table_begin(struct table *table, uint64_t keys, uint32_t value_bytes, uint32_t first_version);
/* Whether the version of every key is known: after a load or a verification. */
bool table_known(const struct table *table);
/* The version that a SET of this key writes. */
uint32_t table_issue(struct table *table, uint64_t key);
/* That SET was answered, or failed: then the former value may still be there. */
void table_answered(struct table *table, uint64_t key, bool done);
/* The lowest version that a GET sent now may find. */
uint32_t table_lowest(struct table *table, uint64_t key);
/* A GET found this: is it one that was sent? A key that was not known is known from now on. */
bool table_accepts(struct table *table, uint64_t key, uint32_t version, uint32_t lowest);

void value_fill(void *value, uint64_t key, uint32_t version, uint32_t bytes);
/* Whether a value is whole and this key's; then also its version. */
bool value_whole(const void *value, size_t length, uint64_t key, uint32_t bytes, uint32_t *version);
/* Summed over all keys, this is the digest of the data. */
uint64_t value_digest(uint64_t key, uint32_t version, uint32_t bytes);

#endif

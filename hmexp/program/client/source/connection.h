/* SPDX-License-Identifier: MIT */
/* One connection: requests go out in a buffer, answers are read by hiredis and belong to the oldest request. */
#ifndef HM_REDIS_CONNECTION_H
#define HM_REDIS_CONNECTION_H

#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <stdint.h>

#include "client.h"
#include "values.h"

enum kind { KIND_GET, KIND_SET };
enum outcome { OUTCOME_RIGHT, OUTCOME_MISSING, OUTCOME_DAMAGED, OUTCOME_STALE, OUTCOME_FAILED };

struct request {
	uint64_t due;
	uint64_t key;
	uint32_t version; /* SET: what is written. GET: the lowest that may be found */
	uint8_t kind;
};

struct answer {
	enum outcome outcome;
	uint32_t version; /* of a value that is right */
	char text[160]; /* what the server said, of a failure */
};

struct connection {
	int fd;
	redisContext *context;
	struct table *table;
	struct answer answer; /* of the request that is being answered */
	char *out;
	uint64_t out_begin;
	uint64_t out_end;
	uint64_t out_bytes;
	struct request *ring;
	uint64_t head; /* the oldest request without an answer */
	uint64_t tail;
	uint64_t mask;
	bool blocked; /* the socket takes no more: waits for EPOLLOUT */
};

/* Called for each answer, oldest first. */
typedef void (*answered_fn)(void *context, struct connection *connection, const struct request *request,
			    const struct answer *answer);

void connection_open(struct connection *connection, const struct options *options, struct table *table);
void connection_put(struct connection *connection, const struct request *request);
/* Send what the socket takes. */
void connection_flush(struct connection *connection);
/* Read what is there; `read_at` is set to the time of it. */
void connection_receive(struct connection *connection, uint64_t *read_at, answered_fn answered, void *context);

static inline uint64_t connection_under_way(const struct connection *connection)
{
	return connection->tail - connection->head;
}

#endif

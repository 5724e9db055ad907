// SPDX-License-Identifier: MIT
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "connection.h"

enum { LEAST_ROOM_BYTES = 128, READ_BYTES = 64 << 10, KEY_BYTES = 16 };

/* hiredis wants something to be made of each answer. It is judged at once, so nothing is. */
static char judged;

static void *judge_string(const redisReadTask *task, char *text, size_t length)
{
	struct connection *connection = task->privdata;
	const struct request *request = &connection->ring[connection->head & connection->mask];
	struct answer *answer = &connection->answer;

	if (task->type == REDIS_REPLY_STATUS && request->kind == KIND_SET) {
		answer->outcome = OUTCOME_RIGHT;
	} else if (task->type == REDIS_REPLY_STRING && request->kind == KIND_GET) {
		if (!value_whole(text, length, request->key, connection->table->value_bytes, &answer->version))
			answer->outcome = OUTCOME_DAMAGED;
		else if (!table_accepts(connection->table, request->key, answer->version, request->version))
			answer->outcome = OUTCOME_STALE;
		else
			answer->outcome = OUTCOME_RIGHT;
	} else {
		answer->outcome = OUTCOME_FAILED;
		snprintf(answer->text, sizeof(answer->text), "%.*s", (int)length, text);
	}
	return &judged;
}

static void *judge_nil(const redisReadTask *task)
{
	struct connection *connection = task->privdata;

	connection->answer.outcome = OUTCOME_MISSING;
	return &judged;
}

static void free_nothing(void *object)
{
	(void)object;
}

static redisReplyObjectFunctions judging = {
	.createString = judge_string, .createNil = judge_nil, .freeObject = free_nothing,
};

void connection_open(struct connection *connection, const struct options *options, struct table *table)
{
	redisContext *context = options->socket ? redisConnectUnix(options->socket) :
						  redisConnect(options->host, options->port);
	int flags;

	if (!context || context->err)
		die(EXIT_SERVER, "no connection to %s: %s", options->socket ? options->socket : options->host,
		    context ? context->errstr : "no memory");
	*connection = (struct connection){ .fd = context->fd, .context = context, .table = table };
	context->reader->fn = &judging;
	context->reader->privdata = connection;
	context->reader->maxbuf = 0; /* keep the buffer: it is filled again at once */
	if (!options->socket)
		redisEnableKeepAlive(context);
	flags = fcntl(connection->fd, F_GETFL);
	if (flags < 0 || fcntl(connection->fd, F_SETFL, flags | O_NONBLOCK) < 0)
		die(EXIT_MACHINE, "a socket without waiting: %s", strerror(errno));
	connection->mask = 63;
	connection->ring = allocate((connection->mask + 1) * sizeof(*connection->ring));
}

static struct request *new_request(struct connection *connection)
{
	uint64_t size = connection->mask + 1;
	struct request *ring;

	if (connection_under_way(connection) == size) {
		ring = allocate(2 * size * sizeof(*ring));
		for (uint64_t i = connection->head; i != connection->tail; i++)
			ring[i & (2 * size - 1)] = connection->ring[i & connection->mask];
		free(connection->ring);
		connection->ring = ring;
		connection->mask = 2 * size - 1;
	}
	return &connection->ring[connection->tail++ & connection->mask];
}

static char *room(struct connection *connection, uint64_t bytes)
{
	uint64_t used = connection->out_end - connection->out_begin;
	char *larger;

	if (connection->out_end + bytes <= connection->out_bytes)
		return connection->out + connection->out_end;
	if (used + bytes > connection->out_bytes / 2) {
		connection->out_bytes = 2 * (used + bytes) + READ_BYTES;
		larger = allocate(connection->out_bytes);
		if (used)
			memcpy(larger, connection->out + connection->out_begin, used);
		free(connection->out);
		connection->out = larger;
	} else {
		memmove(connection->out, connection->out + connection->out_begin, used);
	}
	connection->out_begin = 0;
	connection->out_end = used;
	return connection->out + used;
}

/* "key:" and twelve digits, without printf: this is done for every request. */
static void write_key(char *to, uint64_t key)
{
	memcpy(to, "key:", 4);
	for (int i = KEY_BYTES - 1; i >= 4; i--, key /= 10)
		to[i] = (char)('0' + key % 10);
}

void connection_put(struct connection *connection, const struct request *request)
{
	static const char get[] = "*2\r\n$3\r\nGET\r\n$16\r\n", set[] = "*3\r\n$3\r\nSET\r\n$16\r\n";
	uint32_t bytes = connection->table->value_bytes;
	char *to = room(connection, LEAST_ROOM_BYTES + (request->kind == KIND_SET ? bytes : 0)), *begin = to;

	*new_request(connection) = *request;
	memcpy(to, request->kind == KIND_SET ? set : get, sizeof(get) - 1);
	to += sizeof(get) - 1;
	write_key(to, request->key);
	to += KEY_BYTES;
	if (request->kind == KIND_SET) {
		to += sprintf(to, "\r\n$%" PRIu32 "\r\n", bytes);
		value_fill(to, request->key, request->version, bytes);
		to += bytes;
	}
	memcpy(to, "\r\n", 2);
	connection->out_end += (uint64_t)(to + 2 - begin);
}

static void gone(const struct connection *connection, const char *reason)
{
	die(EXIT_SERVER, "the server is gone (%s); %" PRIu64 " requests of this connection have no answer", reason,
	    connection_under_way(connection));
}

void connection_flush(struct connection *connection)
{
	ssize_t sent;

	connection->blocked = false;
	while (connection->out_begin < connection->out_end) {
		sent = send(connection->fd, connection->out + connection->out_begin,
			    connection->out_end - connection->out_begin, MSG_NOSIGNAL);
		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
			connection->blocked = true;
			return;
		}
		if (sent < 0)
			gone(connection, strerror(errno));
		connection->out_begin += (uint64_t)sent;
	}
	connection->out_begin = connection->out_end = 0;
}

static void take_answers(struct connection *connection, answered_fn answered, void *context)
{
	redisReader *reader = connection->context->reader;
	struct request request;
	void *reply;

	for (;;) {
		if (redisReaderGetReply(reader, &reply) != REDIS_OK)
			die(EXIT_SERVER, "what the server sends is not Redis's protocol: %s", reader->errstr);
		if (!reply)
			return;
		if (!connection_under_way(connection))
			die(EXIT_SERVER, "the server answers what nobody has asked");
		if (reply != &judged) {
			connection->answer.outcome = OUTCOME_FAILED;
			strcpy(connection->answer.text, "an answer of another type");
		}
		request = connection->ring[connection->head++ & connection->mask];
		answered(context, connection, &request, &connection->answer);
	}
}

void connection_receive(struct connection *connection, uint64_t *read_at, answered_fn answered, void *context)
{
	char buffer[READ_BYTES];
	ssize_t got;

	do {
		got = recv(connection->fd, buffer, sizeof(buffer), 0);
	} while (got < 0 && errno == EINTR);
	if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return;
	if (got < 0)
		gone(connection, strerror(errno));
	if (!got)
		gone(connection, "it closed the connection");
	*read_at = now_ns();
	if (redisReaderFeed(connection->context->reader, buffer, (size_t)got) != REDIS_OK)
		die(EXIT_MACHINE, "no memory for answers");
	take_answers(connection, answered, context);
}

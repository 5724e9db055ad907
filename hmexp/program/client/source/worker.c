// SPDX-License-Identifier: MIT
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "worker.h"

enum { MOST_EVENTS = 64, DEEP = 64, DEEP_BYTES = 256 << 10 };

uint64_t timeline_length(const struct options *options)
{
	return (options->seconds_ns + options->drain_ns) / options->interval_ns + 1;
}

static bool open_loop(const struct worker *worker)
{
	return worker->step == STEP_RUN && worker->options->rate > 0;
}

static bool exhausted(const struct worker *worker)
{
	if (!is_timed(worker->step))
		return worker->cursor >= worker->options->keys;
	return open_loop(worker) ? worker->due >= (double)worker->end : worker->now >= worker->end;
}

static bool measured(const struct worker *worker, uint64_t due)
{
	return !is_timed(worker->step) || (due >= worker->measured_from && due < worker->end);
}

static void send_next(struct worker *worker, struct connection *connection, uint64_t due)
{
	struct request request = { .due = due };

	if (is_timed(worker->step)) {
		request.kind = draw_unit(&worker->draw) * 100 < worker->options->read_percent ? KIND_GET :
											     KIND_SET;
		request.key = draw_key(&worker->draw);
	} else {
		request.kind = worker->step == STEP_LOAD ? KIND_SET : KIND_GET;
		request.key = worker->cursor;
		worker->cursor += worker->options->threads;
	}
	request.version = request.kind == KIND_SET ? table_issue(worker->table, request.key) :
						     table_lowest(worker->table, request.key);
	if (measured(worker, due))
		worker->tally.due++;
	connection_put(connection, &request);
	worker->under_way++;
}

static void count(struct worker *worker, const struct request *request, const struct answer *answer)
{
	static const char *const words[] = { "right", "missing", "damaged", "stale", "failed" };
	struct tally *tally = &worker->tally;

	tally->by_outcome[answer->outcome]++;
	if (answer->outcome == OUTCOME_RIGHT && request->kind == KIND_GET)
		tally->digest += value_digest(request->key, answer->version, worker->table->value_bytes);
	if (answer->outcome != OUTCOME_RIGHT && !*tally->problem)
		snprintf(tally->problem, sizeof(tally->problem), "%s of key:%012" PRIu64 " %s%s%s",
			 request->kind == KIND_SET ? "SET" : "GET", request->key, words[answer->outcome],
			 answer->outcome == OUTCOME_FAILED ? ": " : "",
			 answer->outcome == OUTCOME_FAILED ? answer->text : "");
}

/* All answers are judged; latency and throughput are of those that were due after the warm-up. */
static void answered(void *context, struct connection *connection, const struct request *request,
		     const struct answer *answer)
{
	struct worker *worker = context;
	struct tally *tally = &worker->tally;
	struct interval *interval;
	uint64_t latency = worker->now - request->due;

	worker->under_way--;
	if (request->kind == KIND_SET)
		table_answered(worker->table, request->key, answer->outcome == OUTCOME_RIGHT);
	count(worker, request, answer);
	if (is_timed(worker->step) && worker->now >= worker->measured_from) {
		interval = &tally->timeline[(worker->now - worker->measured_from) /
					    worker->options->interval_ns];
		interval->answered++;
		if (latency > interval->longest_ns)
			interval->longest_ns = latency;
		tally->answered_in_time += worker->now < worker->end;
	}
	if (measured(worker, request->due)) {
		tally->answered++;
		if (request->kind == KIND_GET)
			tally->reads++;
		else
			tally->writes++;
		histogram_record(&tally->latency[request->kind], latency);
	}
	if (!open_loop(worker) && !exhausted(worker))
		send_next(worker, connection, worker->now);
}

static void send_due(struct worker *worker)
{
	const struct options *options = worker->options;
	double mean = (double)NS_PER_SECOND * options->threads / options->rate;
	uint64_t due;

	while (worker->due <= (double)worker->now && worker->due < (double)worker->end) {
		if (worker->under_way * options->threads >= options->backlog)
			die(EXIT_SERVER,
			    "the server is too slow for %g requests/s: %" PRIu64
			    " of them wait for an answer (--backlog)",
			    options->rate, worker->under_way * options->threads);
		due = (uint64_t)worker->due;
		if (measured(worker, due))
			histogram_record(&worker->tally.late, worker->now - due);
		send_next(worker, &worker->connections[worker->turn++ % worker->connection_count], due);
		worker->due += options->even ? mean : draw_gap(&worker->draw, mean);
	}
}

static void set_timer(struct worker *worker, uint64_t at)
{
	struct itimerspec when = { .it_value = { .tv_sec = (time_t)(at / NS_PER_SECOND),
						 .tv_nsec = (long)(at % NS_PER_SECOND) } };

	if (timerfd_settime(worker->timer, TFD_TIMER_ABSTIME, &when, NULL) < 0)
		die(EXIT_MACHINE, "timerfd_settime: %s", strerror(errno));
}

static void watch(struct worker *worker, struct connection *connection, int action)
{
	struct epoll_event event = { .events = EPOLLIN | (connection->blocked ? EPOLLOUT : 0),
				     .data.ptr = connection };

	if (epoll_ctl(worker->epoll, action, connection->fd, &event) < 0)
		die(EXIT_MACHINE, "epoll_ctl: %s", strerror(errno));
}

static void flush(struct worker *worker, struct connection *connection)
{
	bool blocked = connection->blocked;

	if (connection->out_begin == connection->out_end)
		return;
	connection_flush(connection);
	if (connection->blocked != blocked)
		watch(worker, connection, EPOLL_CTL_MOD);
}

/* Until an answer comes, a request is due, or all is over. */
static void wait_for_events(struct worker *worker)
{
	struct epoll_event events[MOST_EVENTS];
	uint64_t over = worker->end + worker->options->drain_ns;
	int timeout = -1, ready;

	if (open_loop(worker) && worker->due < (double)worker->end)
		set_timer(worker, (uint64_t)worker->due + 1);
	else if (is_timed(worker->step))
		timeout = over > worker->now ? (int)((over - worker->now) / 1000000 + 1) : 0;
	ready = epoll_wait(worker->epoll, events, MOST_EVENTS, timeout);
	if (ready < 0 && errno != EINTR)
		die(EXIT_MACHINE, "epoll_wait: %s", strerror(errno));
	for (int i = 0; i < ready; i++) {
		struct connection *connection = events[i].data.ptr;
		uint64_t expirations;

		if (!connection) {
			if (read(worker->timer, &expirations, sizeof(expirations)) < 0 && errno != EAGAIN)
				die(EXIT_MACHINE, "timerfd: %s", strerror(errno));
			continue;
		}
		if (events[i].events & EPOLLOUT)
			flush(worker, connection);
		if (events[i].events & ~EPOLLOUT)
			connection_receive(connection, &worker->now, answered, worker);
		if (!connection->blocked)
			flush(worker, connection);
	}
}

/* Time on a CPU, and ready for one but without, of this thread [s]. */
static void read_usage(struct usage *usage)
{
	unsigned long long cpu = 0, waited = 0;
	FILE *file = fopen("/proc/thread-self/schedstat", "r");
	struct timespec at;

	if (file) {
		if (fscanf(file, "%llu %llu", &cpu, &waited) != 2)
			waited = 0;
		fclose(file);
	}
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &at);
	usage->cpu = (double)at.tv_sec + (double)at.tv_nsec / NS_PER_SECOND;
	usage->waited = (double)waited / NS_PER_SECOND;
	usage->elapsed = (double)now_ns() / NS_PER_SECOND;
}

static void begin_step(struct worker *worker)
{
	const struct options *options = worker->options;

	worker->cursor = worker->index;
	worker->measured_from = worker->begin + (is_timed(worker->step) ? options->warmup_ns : 0);
	worker->end = worker->measured_from + options->seconds_ns;
	worker->due = (double)worker->begin;
	/* Threads in step would send in bursts. */
	if (open_loop(worker))
		worker->due += (double)NS_PER_SECOND / options->rate * worker->index;
	draw_begin(&worker->draw, options->keys, options->zipf, options->seed * 1009 + worker->index);
	worker->tally.timeline = allocate(timeline_length(options) * sizeof(struct interval));
	while (now_ns() < worker->begin)
		usleep(100);
}

static void fill(struct worker *worker)
{
	uint64_t depth = DEEP_BYTES / worker->options->value_bytes;

	if (is_timed(worker->step))
		depth = worker->options->pipeline;
	else if (depth > DEEP)
		depth = DEEP;
	for (uint64_t i = 0; i < (depth ? depth : 1); i++)
		for (unsigned int c = 0; c < worker->connection_count && !exhausted(worker); c++)
			send_next(worker, &worker->connections[c], worker->now);
}

/* What is still without an answer has waited at least until now. */
static void give_up(struct worker *worker)
{
	struct tally *tally = &worker->tally;

	for (unsigned int c = 0; c < worker->connection_count; c++) {
		struct connection *connection = &worker->connections[c];

		for (uint64_t i = connection->head; i != connection->tail; i++) {
			const struct request *request = &connection->ring[i & connection->mask];

			if (!measured(worker, request->due))
				continue;
			tally->unanswered++;
			histogram_record(&tally->latency[request->kind], worker->now - request->due);
		}
	}
}

static void open_events(struct worker *worker)
{
	struct epoll_event tick = { .events = EPOLLIN };

	worker->epoll = epoll_create1(EPOLL_CLOEXEC);
	worker->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (worker->epoll < 0 || worker->timer < 0 ||
	    epoll_ctl(worker->epoll, EPOLL_CTL_ADD, worker->timer, &tick) < 0)
		die(EXIT_MACHINE, "epoll and timerfd: %s", strerror(errno));
	for (unsigned int c = 0; c < worker->connection_count; c++)
		watch(worker, &worker->connections[c], EPOLL_CTL_ADD);
	/* Linux else lets a sleeper lie in for 50 us. */
	prctl(PR_SET_TIMERSLACK, 1);
}

void *worker_serve(void *given)
{
	struct worker *worker = given;
	struct usage before = { 0 }, after = { 0 };
	bool began = false, ended = false;

	open_events(worker);
	begin_step(worker);
	worker->now = now_ns();
	if (!open_loop(worker))
		fill(worker);
	for (;;) {
		worker->now = now_ns();
		if (!began && (worker->now >= worker->measured_from || !is_timed(worker->step))) {
			read_usage(&before);
			began = true;
		}
		if (!ended && is_timed(worker->step) && worker->now >= worker->end) {
			read_usage(&after);
			ended = true;
		}
		if (open_loop(worker))
			send_due(worker);
		for (unsigned int c = 0; c < worker->connection_count; c++)
			if (!worker->connections[c].blocked)
				flush(worker, &worker->connections[c]);
		if (!worker->under_way && exhausted(worker))
			break;
		if (is_timed(worker->step) && worker->now >= worker->end + worker->options->drain_ns)
			break;
		wait_for_events(worker);
	}
	if (!ended)
		read_usage(&after);
	worker->tally.usage = (struct usage){ after.elapsed - before.elapsed, after.cpu - before.cpu,
					      after.waited - before.waited };
	if (worker->under_way)
		give_up(worker);
	close(worker->epoll);
	close(worker->timer);
	return NULL;
}

// SPDX-License-Identifier: MIT
/*
 * A client that asks a Redis for what is due, when it is due, checks every value that comes back, and says what
 * it saw in one JSON object.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"
#include "worker.h"

/* Above this share of a thread's time, on a CPU or ready for one, the client may be what limits. */
static const double saturated_share = 0.9;

static const char *const step_names[] = { "load", "verify", "run", "rush" };

static void print_text(const char *text, FILE *out)
{
	fputc('"', out);
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (c == '"' || c == '\\')
			fprintf(out, "\\%c", c);
		else if (c < 0x20 || c >= 0x7f)
			fprintf(out, "\\u%04x", c);
		else
			fputc(c, out);
	}
	fputc('"', out);
}

static void merge(struct tally *into, const struct tally *from, uint64_t length)
{
	into->due += from->due;
	into->answered += from->answered;
	into->answered_in_time += from->answered_in_time;
	into->reads += from->reads;
	into->writes += from->writes;
	into->unanswered += from->unanswered;
	into->digest += from->digest;
	for (int i = 0; i <= OUTCOME_FAILED; i++)
		into->by_outcome[i] += from->by_outcome[i];
	if (!*into->problem)
		memcpy(into->problem, from->problem, sizeof(into->problem));
	for (int kind = 0; kind < 2; kind++)
		histogram_add(&into->latency[kind], &from->latency[kind]);
	histogram_add(&into->late, &from->late);
	for (uint64_t i = 0; i < length; i++) {
		into->timeline[i].answered += from->timeline[i].answered;
		if (from->timeline[i].longest_ns > into->timeline[i].longest_ns)
			into->timeline[i].longest_ns = from->timeline[i].longest_ns;
	}
}

/* Share of its time that a thread was on a CPU, or ready for one. */
static double busy_share(const struct worker *worker)
{
	const struct usage *usage = &worker->tally.usage;

	return usage->elapsed > 0 ? (usage->cpu + usage->waited) / usage->elapsed : 0;
}

static double busiest(const struct worker *workers, unsigned int threads)
{
	double share = 0;

	for (unsigned int t = 0; t < threads; t++)
		if (busy_share(&workers[t]) > share)
			share = busy_share(&workers[t]);
	return share;
}

static void print_threads(const struct worker *workers, unsigned int threads, FILE *out)
{
	double share = busiest(workers, threads);

	fputs("\"client\": {\"threads\": [", out);
	for (unsigned int t = 0; t < threads; t++) {
		const struct usage *usage = &workers[t].tally.usage;

		fprintf(out,
			"%s{\"elapsed_seconds\": %.6f, \"cpu_seconds\": %.6f, \"cpu_wait_seconds\": %.6f}",
			t ? ", " : "", usage->elapsed, usage->cpu, usage->waited);
	}
	fprintf(out, "], \"busy_share\": %.4f, \"saturated\": %s}", share,
		share > saturated_share ? "true" : "false");
}

static void print_timeline(const struct tally *tally, const struct options *options, FILE *out)
{
	uint64_t length = timeline_length(options), last = 0;

	for (uint64_t i = 0; i < length; i++)
		if (tally->timeline[i].answered)
			last = i + 1;
	fprintf(out, ", \"interval_seconds\": %g, \"timeline\": [",
		(double)options->interval_ns / NS_PER_SECOND);
	for (uint64_t i = 0; i < last; i++)
		fprintf(out, "%s[%" PRIu64 ", %" PRIu64 "]", i ? ", " : "", tally->timeline[i].answered,
			tally->timeline[i].longest_ns);
	fputc(']', out);
}

static void print_latency(const struct tally *tally, bool from_due, FILE *out)
{
	struct histogram *all = allocate(sizeof(*all));

	histogram_add(all, &tally->latency[KIND_GET]);
	histogram_add(all, &tally->latency[KIND_SET]);
	fprintf(out, ", \"latency_from\": \"%s\", \"latency_ns\": {\"all\": ", from_due ? "due" : "sent");
	histogram_print(all, 1, out);
	fputs(", \"reads\": ", out);
	histogram_print(&tally->latency[KIND_GET], 0, out);
	fputs(", \"writes\": ", out);
	histogram_print(&tally->latency[KIND_SET], 0, out);
	fputs("}, \"sent_late_ns\": ", out);
	histogram_print(&tally->late, 0, out);
	free(all);
}

static void print_step(enum step step, const struct tally *tally, const struct worker *workers,
		       const struct options *options, double elapsed, FILE *out)
{
	double window = (double)options->seconds_ns / NS_PER_SECOND;

	fprintf(out, "{\"step\": \"%s\", \"elapsed_seconds\": %.6f, \"due\": %" PRIu64 ", \"answered\": %" PRIu64
		", \"unanswered\": %" PRIu64 ", \"reads\": %" PRIu64 ", \"writes\": %" PRIu64,
		step_names[step], elapsed, tally->due, tally->answered, tally->unanswered, tally->reads,
		tally->writes);
	fprintf(out, ", \"missing\": %" PRIu64 ", \"damaged\": %" PRIu64 ", \"stale\": %" PRIu64
		", \"failed\": %" PRIu64 ", \"problem\": ",
		tally->by_outcome[OUTCOME_MISSING], tally->by_outcome[OUTCOME_DAMAGED],
		tally->by_outcome[OUTCOME_STALE], tally->by_outcome[OUTCOME_FAILED]);
	if (*tally->problem)
		print_text(tally->problem, out);
	else
		fputs("null", out);
	if (step == STEP_VERIFY)
		fprintf(out, ", \"digest\": \"%016" PRIx64 "\"", tally->digest);
	fprintf(out, ", \"per_second\": %.3f, ",
		is_timed(step) ? (double)tally->answered_in_time / window :
		elapsed > 0    ? (double)tally->answered / elapsed :
				 0);
	print_threads(workers, options->threads, out);
	if (is_timed(step)) {
		print_latency(tally, step == STEP_RUN && options->rate > 0, out);
		print_timeline(tally, options, out);
	}
	fputc('}', out);
}

/* Returns how many requests have no answer; `wrong` grows by those that have a wrong one. */
static uint64_t serve(enum step step, struct worker *workers, const struct options *options, uint64_t *wrong,
		      FILE *out)
{
	pthread_t *threads = allocate(options->threads * sizeof(*threads));
	uint64_t begin = now_ns() + 5000000, length = timeline_length(options);
	uint64_t unanswered;

	for (unsigned int t = 0; t < options->threads; t++) {
		memset(&workers[t].tally, 0, sizeof(workers[t].tally));
		workers[t].step = step;
		workers[t].begin = begin;
		if (pthread_create(&threads[t], NULL, worker_serve, &workers[t]))
			die(EXIT_MACHINE, "no thread %u", t);
	}
	for (unsigned int t = 0; t < options->threads; t++)
		pthread_join(threads[t], NULL);

	struct tally *tally = allocate(sizeof(*tally));

	tally->timeline = allocate(length * sizeof(*tally->timeline));
	for (unsigned int t = 0; t < options->threads; t++)
		merge(tally, &workers[t].tally, length);
	print_step(step, tally, workers, options, (double)(now_ns() - begin) / NS_PER_SECOND, out);
	for (unsigned int t = 0; t < options->threads; t++)
		free(workers[t].tally.timeline);
	unanswered = tally->unanswered;
	for (int i = OUTCOME_MISSING; i <= OUTCOME_FAILED; i++)
		*wrong += tally->by_outcome[i];
	free(tally->timeline);
	free(tally);
	free(threads);
	return unanswered;
}

static void print_options(const struct options *options, FILE *out)
{
	fprintf(out, "{\"schema\": 1, \"keys\": %" PRIu64 ", \"value_bytes\": %" PRIu32
		", \"read_percent\": %u, \"zipf\": %g, \"rate\": %g, \"arrivals\": \"%s\", \"connections\": %u",
		options->keys, options->value_bytes, options->read_percent, options->zipf, options->rate,
		options->even ? "even" : "poisson", options->connections);
	fprintf(out, ", \"threads\": %u, \"pipeline\": %u, \"seconds\": %g, \"warmup_seconds\": %g, \"seed\": %" PRIu64
		", \"steps\": [", options->threads, options->pipeline,
		(double)options->seconds_ns / NS_PER_SECOND, (double)options->warmup_ns / NS_PER_SECOND,
		options->seed);
}

int main(int argc, char **argv)
{
	struct options options;
	struct table table;
	uint64_t unanswered = 0, wrong = 0;
	double busy = 0;
	struct worker *workers;

	parse_options(&options, argc, argv);
	table_begin(&table, options.keys, options.value_bytes, options.first_version);
	workers = allocate(options.threads * sizeof(*workers));
	for (unsigned int t = 0, first = 0; t < options.threads; t++) {
		struct worker *worker = &workers[t];
		unsigned int count = options.connections / options.threads +
				     (t < options.connections % options.threads);

		*worker = (struct worker){ .options = &options, .table = &table, .index = t,
					   .connection_count = count };
		worker->connections = allocate(count * sizeof(*worker->connections));
		for (unsigned int c = 0; c < count; c++, first++)
			connection_open(&worker->connections[c], &options, &table);
	}
	print_options(&options, stdout);
	for (int i = 0; i < options.step_count; i++) {
		/* Writes need to know what is there. */
		if (is_timed(options.steps[i]) && options.read_percent < 100 && !options.first_version &&
		    !table_known(&table))
			die(EXIT_USAGE,
			    "writes: load or verify must come before it, or --first-version is needed");
		if (i)
			fputs(", ", stdout);
		/* An answer that comes later would be taken for one of the next step. */
		unanswered = serve(options.steps[i], workers, &options, &wrong, stdout);
		if (is_timed(options.steps[i]) && busiest(workers, options.threads) > busy)
			busy = busiest(workers, options.threads);
		if (unanswered)
			break;
	}
	puts("]}");
	if (fflush(stdout))
		die(EXIT_MACHINE, "standard output cannot be written");
	if (options.strict && (wrong || unanswered))
		die(EXIT_WRONG, "%" PRIu64 " answers were wrong, %" PRIu64 " requests have no answer", wrong,
		    unanswered);
	if (options.most_busy > 0 && busy > options.most_busy)
		die(EXIT_WRONG,
		    "the client was busy for %.0f %% of its time: it was the limit, not the server; give it more "
		    "threads, or fewer connections",
		    busy * 100);
	return 0;
}

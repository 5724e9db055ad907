// SPDX-License-Identifier: MIT
/* The command line. Every mistake is named with its value. */
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"
#include "values.h"

static const char help[] =
	"usage: hmexp-redis-client [OPTION]... STEP...\n"
	"\n"
	"Steps, in the order given:\n"
	"  load     SET every key\n"
	"  verify   GET every key and check its value\n"
	"  run      requests for --seconds, checked; latency from the time that each was due\n"
	"  rush     the same in a closed loop at full speed, whatever --rate says\n"
	"\n"
	"  --socket PATH | --host HOST --port PORT\n"
	"  --keys N            number of keys (100000)\n"
	"  --value-bytes N     size of a value (100)\n"
	"  --read-percent N    share of GET, 0 to 100 (95)\n"
	"  --zipf S            keys by Zipf's law with exponent S; 0: uniform (0)\n"
	"  --rate N            requests per second, open loop; 0: closed loop at full speed (0)\n"
	"  --arrivals KIND     poisson or even (poisson)\n"
	"  --connections N     in all (8)\n"
	"  --threads N         of this client (1)\n"
	"  --pipeline N        requests under way on a connection, closed loop (1)\n"
	"  --seconds S         measured (5)\n"
	"  --warmup S          before it, not measured (1)\n"
	"  --drain S           how long to wait for answers after the end (10)\n"
	"  --interval S        of the timeline (0.1)\n"
	"  --backlog N         most requests without an answer, open loop (4000000)\n"
	"  --seed N            of keys, operations and arrivals (1)\n"
	"  --first-version N   that is written to keys not read before, above any there; 0: read them first (0)\n"
	"  --strict            end with status 1 if an answer is wrong or missing\n"
	"  --most-busy SHARE   end with status 1 if a thread of run or rush was busy for more of its time; 0: never (0)\n"
	"\n"
	"The result is one JSON object on standard output.\n";

enum option_id {
	O_HELP = 1, O_SOCKET, O_HOST, O_PORT, O_KEYS, O_VALUE, O_READ, O_ZIPF, O_RATE, O_ARRIVALS,
	O_CONNECTIONS, O_THREADS, O_PIPELINE, O_SECONDS, O_WARMUP, O_DRAIN, O_INTERVAL, O_BACKLOG, O_SEED,
	O_FIRST_VERSION, O_STRICT, O_MOST_BUSY,
};

static const struct option known[] = {
	{ "help", no_argument, NULL, O_HELP },
	{ "socket", required_argument, NULL, O_SOCKET },
	{ "host", required_argument, NULL, O_HOST },
	{ "port", required_argument, NULL, O_PORT },
	{ "keys", required_argument, NULL, O_KEYS },
	{ "value-bytes", required_argument, NULL, O_VALUE },
	{ "read-percent", required_argument, NULL, O_READ },
	{ "zipf", required_argument, NULL, O_ZIPF },
	{ "rate", required_argument, NULL, O_RATE },
	{ "arrivals", required_argument, NULL, O_ARRIVALS },
	{ "connections", required_argument, NULL, O_CONNECTIONS },
	{ "threads", required_argument, NULL, O_THREADS },
	{ "pipeline", required_argument, NULL, O_PIPELINE },
	{ "seconds", required_argument, NULL, O_SECONDS },
	{ "warmup", required_argument, NULL, O_WARMUP },
	{ "drain", required_argument, NULL, O_DRAIN },
	{ "interval", required_argument, NULL, O_INTERVAL },
	{ "backlog", required_argument, NULL, O_BACKLOG },
	{ "seed", required_argument, NULL, O_SEED },
	{ "first-version", required_argument, NULL, O_FIRST_VERSION },
	{ "strict", no_argument, NULL, O_STRICT },
	{ "most-busy", required_argument, NULL, O_MOST_BUSY },
	{ NULL, 0, NULL, 0 },
};

void die(int status, const char *format, ...)
{
	va_list arguments;

	fputs("hmexp-redis-client: ", stderr);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
	exit(status);
}

void *allocate(uint64_t bytes)
{
	void *got = calloc(1, bytes ? bytes : 1);

	if (!got)
		die(EXIT_MACHINE, "%llu bytes of memory are not free", (unsigned long long)bytes);
	return got;
}

static double number(const char *name, const char *text, double least, double most)
{
	char *end;
	double value;

	errno = 0;
	value = strtod(text, &end);
	if (errno || end == text || *end || !isfinite(value) || value < least || value > most)
		die(EXIT_USAGE, "--%s %s: a number from %g to %g is needed", name, text, least, most);
	return value;
}

static uint64_t whole(const char *name, const char *text, double least, double most)
{
	double value = number(name, text, least, most);

	if (value != floor(value))
		die(EXIT_USAGE, "--%s %s: a whole number is needed", name, text);
	return (uint64_t)value;
}

static uint64_t seconds(const char *name, const char *text, double least)
{
	return (uint64_t)(number(name, text, least, 1e6) * (double)NS_PER_SECOND);
}

static void take_server(struct options *options, int id, const char *name, const char *text)
{
	switch (id) {
	case O_SOCKET:
		options->socket = text;
		break;
	case O_HOST:
		options->host = text;
		break;
	case O_PORT:
		options->port = (int)whole(name, text, 1, 65535);
		break;
	case O_CONNECTIONS:
		options->connections = (unsigned int)whole(name, text, 1, 10000);
		break;
	case O_THREADS:
		options->threads = (unsigned int)whole(name, text, 1, 256);
		break;
	case O_PIPELINE:
		options->pipeline = (unsigned int)whole(name, text, 1, 100000);
		break;
	case O_FIRST_VERSION:
		options->first_version = (uint32_t)whole(name, text, 0, 4e9);
		break;
	case O_MOST_BUSY:
		options->most_busy = number(name, text, 0, 1);
		break;
	case O_STRICT:
		options->strict = true;
		break;
	case O_BACKLOG:
		options->backlog = whole(name, text, 1, 1e9);
		break;
	default:
		/* getopt has said which option it does not know. */
		exit(EXIT_USAGE);
	}
}

static void take(struct options *options, int id, const char *name, const char *text)
{
	switch (id) {
	case O_HELP:
		fputs(help, stdout);
		exit(0);
	case O_KEYS:
		options->keys = whole(name, text, 1, 1e11);
		break;
	case O_VALUE:
		options->value_bytes = (uint32_t)whole(name, text, LEAST_VALUE_BYTES, MOST_VALUE_BYTES);
		break;
	case O_READ:
		options->read_percent = (unsigned int)whole(name, text, 0, 100);
		break;
	case O_ZIPF:
		options->zipf = number(name, text, 0, 10);
		break;
	case O_RATE:
		options->rate = number(name, text, 0, 1e9);
		break;
	case O_ARRIVALS:
		options->even = !strcmp(text, "even");
		if (!options->even && strcmp(text, "poisson"))
			die(EXIT_USAGE, "--arrivals %s: poisson or even is needed", text);
		break;
	case O_SECONDS:
		options->seconds_ns = seconds(name, text, 0.001);
		break;
	case O_WARMUP:
		options->warmup_ns = seconds(name, text, 0);
		break;
	case O_DRAIN:
		options->drain_ns = seconds(name, text, 0);
		break;
	case O_INTERVAL:
		options->interval_ns = seconds(name, text, 0.001);
		break;
	case O_SEED:
		options->seed = whole(name, text, 0, 9e15);
		break;
	default:
		take_server(options, id, name, text);
	}
}

static void take_step(struct options *options, const char *word)
{
	static const char *const names[] = { "load", "verify", "run", "rush" };

	if (options->step_count == MOST_STEPS)
		die(EXIT_USAGE, "%d steps at most", MOST_STEPS);
	for (int i = 0; i < 4; i++)
		if (!strcmp(word, names[i])) {
			options->steps[options->step_count++] = (enum step)i;
			return;
		}
	die(EXIT_USAGE, "step %s: load, verify, run or rush is needed", word);
}

void parse_options(struct options *options, int argc, char **argv)
{
	int id, index = 0;

	*options = (struct options){
		.keys = 100000, .value_bytes = 100, .read_percent = 95, .connections = 8, .threads = 1,
		.pipeline = 1, .seconds_ns = 5 * NS_PER_SECOND, .warmup_ns = NS_PER_SECOND,
		.drain_ns = 10 * NS_PER_SECOND, .interval_ns = NS_PER_SECOND / 10, .backlog = 4000000,
		.seed = 1,
	};
	while ((id = getopt_long(argc, argv, "", known, &index)) != -1)
		take(options, id, known[index].name, optarg);
	for (; optind < argc; optind++)
		take_step(options, argv[optind]);
	if (!options->step_count)
		die(EXIT_USAGE, "no step: load, verify, run or rush is needed");
	if (!options->socket == !options->host)
		die(EXIT_USAGE, "either --socket or --host is needed");
	if (options->host && !options->port)
		die(EXIT_USAGE, "--host needs --port");
	if (options->threads > options->connections)
		die(EXIT_USAGE, "--threads %u: more than --connections %u", options->threads,
		    options->connections);
}

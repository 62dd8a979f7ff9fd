/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `stats`: what containers use, as a table that is renewed every second. A share of a CPU is the difference of two samples of
 * GET /containers/ID/stats?stream=0&one-shot=1 against that of the whole machine, by docker's formulas (cli/command/container/stats_helpers.go).
 */
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/id.h"
#include "base/num.h"
#include "cli/call.h"
#include "cli/list.h"

#define FIRST_MS 500 /* between the two samples of the first table */
#define EVERY_MS 1000
#define ROWS_MAX (8u << 20)

#define TEXT_CELL(name_)                                                                                      \
	static void cell_##name_(const struct json *c, size_t i, const struct list_view *v, struct strbuf *out) \
	{                                                                                                     \
		strbuf_adds(out, json_str(json_get(c, #name_), ""));                                              \
	}
TEXT_CELL(BlockIO)
TEXT_CELL(CPUPerc)
TEXT_CELL(Container)
TEXT_CELL(MemPerc)
TEXT_CELL(MemUsage)
TEXT_CELL(Name)
TEXT_CELL(NetIO)
TEXT_CELL(PIDs)

static void cell_ID(const struct json *c, size_t i, const struct list_view *v, struct strbuf *out)
{
	cell_id(json_str(json_get(c, "ID"), ""), v, out);
}

static const struct column columns[] = {
	{"BlockIO", "BLOCK I/O", cell_BlockIO}, {"CPUPerc", "CPU %", cell_CPUPerc}, {"Container", "CONTAINER", cell_Container},
	{"ID", "CONTAINER ID", cell_ID},	{"MemPerc", "MEM %", cell_MemPerc}, {"MemUsage", "MEM USAGE / LIMIT", cell_MemUsage},
	{"Name", "NAME", cell_Name},		{"NetIO", "NET I/O", cell_NetIO},   {"PIDs", "PIDS", cell_PIDs},
};
#define TABLE "{{.ID}}\t{{.Name}}\t{{.CPUPerc}}\t{{.MemUsage}}\t{{.MemPerc}}\t{{.NetIO}}\t{{.BlockIO}}\t{{.PIDs}}"
static const struct list_kind kind = {columns, ARRAY_LEN(columns), TABLE, "{{.ID}}", NULL, NULL};

struct stats_options {
	bool all, no_stream;
	struct list_view view;
};

#define O(field) offsetof(struct stats_options, field)
static const struct flag rows[] = {
	{"all", 'a', FLAG_BOOL, O(all), NULL, "Show containers that do not run, too"},
	{"format", 0, FLAG_STR, O(view.format), "template", FORMAT_HELP},
	{"no-stream", 0, FLAG_BOOL, O(no_stream), NULL, "Show one table and leave"},
	{"no-trunc", 0, FLAG_BOOL, O(view.no_trunc), NULL, "Do not shorten"},
};
#undef O

/* One container's counters of the last time. */
struct seen {
	char id[ID_LEN + 1];
	double cpu_ns, system_ns;
	bool fresh; /* of this round */
};

struct watch {
	struct cli *cli;
	const struct stats_options *o;
	const struct args *names;
	struct seen *seen; /* owned */
	size_t n;
};

static double number(const struct json *v, const char *a, const char *b)
{
	return json_number(json_get(b ? json_get(v, a) : v, b ? b : a), 0);
}

static struct seen *seen_of(struct watch *w, const char *id)
{
	for (size_t i = 0; i < w->n; i++)
		if (str_eq(w->seen[i].id, id))
			return &w->seen[i];
	struct seen *more = reallocarray(w->seen, w->n + 1, sizeof(*more));
	if (!more)
		return NULL;
	w->seen = more;
	struct seen *s = &w->seen[w->n++];
	*s = (struct seen) {.cpu_ns = -1};
	(void) str_copy(s->id, sizeof(s->id), id); /* ids are that long */
	return s;
}

/* ---- docker's sums ---- */

static double cpu_percent(struct seen *s, const struct json *stats)
{
	const struct json *cpu = json_get(stats, "cpu_stats");
	double cpu_ns = number(cpu, "cpu_usage", "total_usage"), system_ns = number(cpu, "system_cpu_usage", NULL), cpus = number(cpu, "online_cpus", NULL);
	double used = cpu_ns - s->cpu_ns, all = system_ns - s->system_ns;
	double percent = s->cpu_ns >= 0 && used > 0 && all > 0 ? used / all * cpus * 100 : 0;
	s->cpu_ns = cpu_ns;
	s->system_ns = system_ns;
	s->fresh = true;
	return percent;
}

/* Without the page cache that could go at once. */
static double memory_used(const struct json *memory)
{
	double usage = number(memory, "usage", NULL);
	const struct json *stats = json_get(memory, "stats"), *v1 = json_get(stats, "total_inactive_file");
	double cache = json_number(v1 ? v1 : json_get(stats, "inactive_file"), 0);
	return cache < usage ? usage - cache : usage;
}

static void put_pair(struct json_writer *w, const char *key, double a, double b, char *(*format)(char *, size_t, uint64_t))
{
	char x[24], y[24], text[64];
	(void) str_format(text, sizeof(text), "%s / %s", format(x, sizeof(x), (uint64_t) a), format(y, sizeof(y), (uint64_t) b)); /* fits */
	jw_str(w, key, text);
}

static void put_percent(struct json_writer *w, const char *key, double v)
{
	char text[32];
	(void) str_format(text, sizeof(text), "%.2f%%", v); /* fits: a thousand CPUs are 100000.00% */
	jw_str(w, key, text);
}

static void put_network(struct json_writer *w, const struct json *stats)
{
	double rx = 0, tx = 0;
	JSON_FOREACH_MEMBER(name, net, json_get(stats, "networks")) {
		rx += *name ? number(net, "rx_bytes", NULL) : 0;
		tx += *name ? number(net, "tx_bytes", NULL) : 0;
	}
	put_pair(w, "NetIO", rx, tx, format_size_short);
}

static void put_block(struct json_writer *w, const struct json *stats)
{
	double in = 0, out = 0;
	JSON_FOREACH(e, i, json_get(json_get(stats, "blkio_stats"), "io_service_bytes_recursive")) {
		char op = *json_str(json_get(e, "op"), "");
		double v = number(e, "value", NULL);
		in += op == 'r' || op == 'R' ? v : 0;
		out += op == 'w' || op == 'W' ? v : 0;
	}
	put_pair(w, "BlockIO", in, out, format_size_short);
}

static int put_row(struct watch *w, struct json_writer *out, const char *asked, const struct json *stats)
{
	const struct json *memory = json_get(stats, "memory_stats");
	const char *id = json_str(json_get(stats, "id"), ""), *name = json_str(json_get(stats, "name"), "");
	struct seen *s = seen_of(w, id);
	double used = memory_used(memory), limit = number(memory, "limit", NULL);
	char pids[24];
	if (!s)
		return -1;
	(void) str_format(pids, sizeof(pids), "%llu", (unsigned long long) number(stats, "pids_stats", "current")); /* fits */
	jw_obj(out, NULL);
	jw_str(out, "Container", asked);
	jw_str(out, "ID", id);
	jw_str(out, "Name", name + (*name == '/'));
	put_percent(out, "CPUPerc", cpu_percent(s, stats));
	put_pair(out, "MemUsage", used, limit, format_size_binary);
	put_percent(out, "MemPerc", limit > 0 ? used / limit * 100 : 0);
	put_network(out, stats);
	put_block(out, stats);
	jw_str(out, "PIDs", pids);
	jw_end(out);
	return 0;
}

/* ---- rounds ---- */

static int add_one(struct watch *w, struct json_writer *out, const char *asked, const char *ref, struct err *err)
{
	_cleanup_strbuf_ struct strbuf t = TARGET_INIT;
	_cleanup_json_ struct json *stats = NULL;
	target_start(&t, "/containers/", ref, "/stats");
	target_query(&t, "stream", "0");
	target_query(&t, "one-shot", "1");
	int r = call_json(w->cli, "GET", &t, NULL, &stats, err);
	return r < 0 ? r : put_row(w, out, asked, stats) < 0 ? err_oom(err) : 0;
}

static int add_listed(struct watch *w, struct json_writer *out, struct err *err)
{
	_cleanup_strbuf_ struct strbuf t = TARGET_INIT;
	_cleanup_json_ struct json *items = NULL;
	target_start(&t, "/containers/json", NULL, NULL);
	if (w->o->all)
		target_query(&t, "all", "1");
	int r = call_json(w->cli, "GET", &t, NULL, &items, err);
	JSON_FOREACH(c, i, r < 0 ? NULL : items) {
		char asked[ID_SHORT_LEN + 1];
		const char *id = json_str(json_get(c, "Id"), "");
		(void) str_format(asked, sizeof(asked), "%.*s", ID_SHORT_LEN, id); /* fits */
		r = add_one(w, out, asked, id, err);
		if (r < 0 && err->kind == ERR_NOT_FOUND)
			r = 0; /* it went meanwhile */
		if (r < 0)
			break;
	}
	return r;
}

static void forget_the_gone(struct watch *w)
{
	size_t n = 0;
	for (size_t i = 0; i < w->n; i++)
		if (w->seen[i].fresh) {
			w->seen[n] = w->seen[i];
			w->seen[n++].fresh = false;
		}
	w->n = n;
}

/* @first: a name that nobody has is an error. *@ret: owned. */
static int take_round(struct watch *w, bool first, struct json **ret, struct err *err)
{
	_cleanup_strbuf_ struct strbuf text = STRBUF_INIT(ROWS_MAX);
	struct json_writer out;
	int r = 0;
	jw_init(&out, &text);
	jw_arr(&out, NULL);
	if (w->names->n == 0)
		r = add_listed(w, &out, err);
	for (size_t i = 0; r == 0 && i < w->names->n; i++) {
		r = add_one(w, &out, w->names->v[i], w->names->v[i], err);
		if (r < 0 && err->kind == ERR_NOT_FOUND && !first)
			r = 0;
	}
	jw_end(&out);
	forget_the_gone(w);
	if (r == 0 && strbuf_err(&text) < 0)
		return err_set(err, ERR_INVALID, "the list is too large to show: name some containers");
	return r < 0 ? r : json_parse(text.s, text.len, ROWS_MAX, "statistics", ret, err);
}

static void nap(unsigned ms)
{
	const struct timespec ts = {.tv_sec = ms / 1000, .tv_nsec = (long) (ms % 1000) * 1000000};
	(void) nanosleep(&ts, NULL); /* a signal ends the command or only makes this round earlier */
}

static int watch(struct watch *w, struct err *err)
{
	bool terminal = isatty(STDOUT_FILENO) && !w->o->no_stream;
	_cleanup_json_ struct json *first = NULL;
	int r = take_round(w, /* first= */ true, &first, err);
	for (unsigned ms = FIRST_MS; r >= 0; ms = EVERY_MS) {
		_cleanup_json_ struct json *items = NULL;
		nap(ms);
		r = take_round(w, /* first= */ false, &items, err);
		if (r < 0)
			break;
		if (terminal)
			(void) printf("\033[H\033[J"); /* home, and clear what is there */
		r = list_print(&kind, items, &w->o->view, err);
		if (fflush(stdout) != 0 || ferror(stdout))
			return 0; /* nobody reads any more */
		if (w->o->no_stream)
			break;
	}
	return r;
}

static int stats_run(struct cli *cli, int argc, char **argv)
{
	struct stats_options o = {.view = {.now_ns = now_ns()}};
	_cleanup_args_ struct args a = {};
	struct err err;
	int code = cli_parse(cli, argc, argv, &o, &a);
	if (code == CLI_PARSED) {
		struct watch w = {.cli = cli, .o = &o, .names = &a};
		code = watch(&w, &err) < 0 ? cli_fail(1, &err) : 0;
		free(w.seen);
	}
	flag_release(cli->command->flags, &o);
	return code;
}

const struct command command_stats = {
	.name = "stats",
	.group = GROUP_CONTAINERS,
	.usage = "[OPTIONS] [CONTAINER...]",
	.summary = "Show what containers use, renewed every second",
	.examples = "  coffer stats\n  coffer stats --no-stream --format '{{.Name}}: {{.CPUPerc}} {{.MemUsage}}' web db\n",
	.flags = {FLAGS(rows)},
	.max_args = ARGS_ANY,
	.run = stats_run,
};

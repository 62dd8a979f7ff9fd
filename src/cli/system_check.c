/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `system check`: what the engine found about its store, and what became of it.
 */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/num.h"
#include "cli/call.h"
#include "cli/link.h"
#include "cli/progress.h"
#include "cli/show.h"
#include "cli/template.h"

struct check_options {
	const char *format; /* borrowed */
	bool repair;
};

#define O(field) offsetof(struct check_options, field)
static const struct flag rows[] = {
	{"format", 'f', FLAG_STR, O(format), "template", "Go template, or json"},
	{"repair", 0, FLAG_BOOL, O(repair), NULL, "Mend what can be mended"},
};
#undef O

static const char *text(const struct json *v, const char *key)
{
	return json_str(json_get(v, key), "");
}

static uint64_t number(const struct json *v, const char *key)
{
	return (uint64_t) MAX(json_int(json_get(v, key), 0), (int64_t) 0);
}

static void print_words(const char *label, const struct json *v)
{
	if (json_len(v) == 0)
		return;
	(void) printf("  %s:", label);
	JSON_FOREACH(e, i, v)
		(void) printf("%s %s", i ? "," : "", json_str(e, ""));
	(void) printf("\n");
}

static const char *advice(const char *outcome)
{
	static const char *const rows_of[][2] = {
		{"repaired", "repaired"},
		{"needs-pull", "out of the way: pull or load the image again"},
		{"in-use", "not touched: stop the containers, then repair"},
		{"busy", "not touched: pulls or loads were under way all the time"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows_of); i++)
		if (str_eq(outcome, rows_of[i][0]))
			return rows_of[i][1];
	return NULL;
}

static void print_flaw(const struct json *f)
{
	const struct json *details = json_get(f, "Details");
	uint64_t more = number(f, "DetailsTotal") - MIN(number(f, "DetailsTotal"), (uint64_t) json_len(details));
	(void) printf("%s: %s\n", text(f, "Kind"), text(f, "Object"));
	JSON_FOREACH(d, i, details)
		(void) printf("  %s\n", json_str(d, ""));
	if (more)
		(void) printf("  and %llu more\n", (unsigned long long) more);
	print_words("images", json_get(f, "Images"));
	print_words("containers", json_get(f, "Containers"));
	const char *words = advice(text(f, "Outcome"));
	if (words)
		(void) printf("  %s\n", words);
}

static void print_report(const struct json *doc)
{
	char size[24];
	const struct json *flaws = json_get(doc, "Flaws");
	uint64_t left = number(doc, "FlawsLeft"), unproved = number(doc, "LayersUnproved");
	JSON_FOREACH(f, i, flaws)
		print_flaw(f);
	(void) printf("Images: %llu, layers: %llu, blobs: %llu (%s), containers: %llu\n", (unsigned long long) number(doc, "Images"), (unsigned long long) number(doc, "Layers"),
		      (unsigned long long) number(doc, "Blobs"), format_size(size, sizeof(size), number(doc, "BlobBytes")), (unsigned long long) number(doc, "Containers"));
	if (unproved)
		(void) printf("Layers that could not be proved for lack of a good blob: %llu\n", (unsigned long long) unproved);
	if (!json_bool(json_get(doc, "StraysSearched"), true))
		(void) printf("Pulls or loads are under way: what no row names was not looked for\n");
	(void) printf("Flaws: %zu", json_len(flaws));
	if (json_bool(json_get(doc, "Repair"), false))
		(void) printf(", left: %llu", (unsigned long long) left);
	(void) printf("\n");
}

static int receive(struct cli *cli, struct http_conn *c, FILE *out, char **ret, struct err *err)
{
	struct progress p;
	const char *bytes;
	size_t n;
	int r;
	progress_init(&p, out);
	while ((r = http_recv_body(c, &bytes, &n)) > 0)
		if ((r = progress_feed(&p, bytes, n, err)) < 0)
			break;
	if (r == 0)
		r = progress_feed(&p, "\n", 1, err);
	else if (r < 0 && err->kind == ERR_NONE)
		r = link_lost(cli, r, err);
	if (r >= 0 && !p.aux)
		r = err_set(err, ERR_CORRUPT, "the engine sent no report");
	if (r >= 0)
		*ret = take_ptr(p.aux);
	progress_done(&p);
	return r;
}

static int ask(struct cli *cli, const struct check_options *o, char **ret, struct err *err)
{
	_cleanup_strbuf_ struct strbuf t = TARGET_INIT;
	_cleanup_http_conn_ struct http_conn *c = NULL;
	struct http_answer a;
	FILE *out = !o->format && isatty(STDOUT_FILENO) ? stdout : NULL;
	target_start(&t, "/system/check", NULL, NULL);
	target_query(&t, "repair", o->repair ? "1" : "0");
	target_query(&t, "quiet", out ? "0" : "1");
	int r = link_open(cli, &c, err);
	r = r < 0 ? r : call_send(cli, c, "POST", &t, NULL, 0, err);
	r = r < 0 ? r : call_head(cli, c, &a, err);
	if (r < 0)
		return r;
	*err = (struct err) {0};
	return receive(cli, c, out, ret, err);
}

static int check(struct cli *cli, const struct check_options *o)
{
	_cleanup_free_ char *report = NULL;
	_cleanup_json_ struct json *doc = NULL;
	struct err err;
	if (o->format && template_check(o->format, &err) < 0)
		return cli_fail(CLI_EXIT_TEMPLATE, &err);
	if (ask(cli, o, &report, &err) < 0 || json_parse(report, strlen(report), REPLY_MAX, "the engine's report", &doc, &err) < 0)
		return cli_fail(2, &err);
	if (o->format && show_template(o->format, report, strlen(report), &err) < 0)
		return cli_fail(2, &err);
	if (!o->format)
		print_report(doc);
	return number(doc, "FlawsLeft") > 0;
}

static int check_run(struct cli *cli, int argc, char **argv)
{
	struct check_options o = {};
	_cleanup_args_ struct args a = {};
	int r = cli_parse(cli, argc, argv, &o, &a);
	return r == CLI_PARSED ? check(cli, &o) : r;
}

const struct command command_system_check = {
	.name = "system check",
	.group = GROUP_SUB,
	.usage = "[OPTIONS]",
	.summary = "Prove every blob, layer and row of the image store",
	.examples = "  coffer system check\n  coffer system check --repair\n  coffer system check --format '{{range .Flaws}}{{.Kind}} {{.Images}}{{\"\\n\"}}{{end}}'\n",
	.flags = {FLAGS(rows)},
	.max_args = 0,
	.run = check_run,
};

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `search`: what repositories a registry's index knows.
 */
#include <stdio.h>

#include "base/table.h"
#include "cli/list.h"
#include "cli/pull.h"

enum { DESCRIPTION_WIDTH = 45 };

static void cell_description(const struct json *v, size_t i, const struct list_view *view, struct strbuf *out)
{
	text_ellipsis(out, json_str(json_get(v, "description"), ""), view->no_trunc ? SIZE_MAX : DESCRIPTION_WIDTH);
}

static void put_mark(bool on, const struct list_view *view, struct strbuf *out)
{
	strbuf_adds(out, view->format && str_eq(view->format, "json") ? (on ? "true" : "false") : on ? "[OK]" : "");
}

static void cell_automated(const struct json *v, size_t i, const struct list_view *view, struct strbuf *out)
{
	put_mark(json_bool(json_get(v, "is_automated"), false), view, out);
}

static void cell_official(const struct json *v, size_t i, const struct list_view *view, struct strbuf *out)
{
	put_mark(json_bool(json_get(v, "is_official"), false), view, out);
}

static void cell_name(const struct json *v, size_t i, const struct list_view *view, struct strbuf *out)
{
	strbuf_adds(out, json_str(json_get(v, "name"), ""));
}

static void cell_stars(const struct json *v, size_t i, const struct list_view *view, struct strbuf *out)
{
	strbuf_addf(out, "%lld", (long long) json_int(json_get(v, "star_count"), 0));
}

static const struct column columns[] = {
	{"Description", "DESCRIPTION", cell_description}, {"IsAutomated", "AUTOMATED", cell_automated}, {"IsOfficial", "OFFICIAL", cell_official}, {"Name", "NAME", cell_name},
	{"StarCount", "STARS", cell_stars},
};
static const struct list_kind kind = {columns, ARRAY_LEN(columns), "{{.Name}}\t{{.Description}}\t{{.StarCount}}\t{{.IsOfficial}}", NULL, NULL, NULL};

struct search_options {
	char **filters; /* owned */
	const char *limit; /* borrowed */
	struct list_view view;
};

#define O(field) offsetof(struct search_options, field)
static const struct flag search_rows[] = {
	{"filter", 'f', FLAG_FILTER, O(filters), "key=value", "Keep what matches: is-official, stars"},
	{"format", 0, FLAG_STR, O(view.format), "template", FORMAT_HELP},
	{"limit", 0, FLAG_STR, O(limit), "number", "At most so many (default 25, at most 100)"},
	{"no-trunc", 0, FLAG_BOOL, O(view.no_trunc), NULL, "Show whole descriptions"},
};
#undef O

/* Whose credentials are shown: of the registry that the term begins with, or of the hub. */
static const char *registry_of(const char *term, char *buf, size_t size)
{
	size_t n = strcspn(term, "/");
	bool host = term[n] == '/' && (memchr(term, '.', n) || memchr(term, ':', n) || strncmp(term, "localhost/", n + 1) == 0);
	return host && str_format(buf, size, "%.*s/x", (int) n, term) > 0 ? buf : "x";
}

static int search(struct cli *cli, const struct search_options *o, const char *term)
{
	_cleanup_strbuf_ struct strbuf t = TARGET_INIT;
	_cleanup_free_ char *filters = NULL;
	_cleanup_json_ struct json *answer = NULL;
	char host[300];
	struct err err;
	if (list_filters(o->filters, &filters, &err) < 0)
		return cli_fail(1, &err);
	target_start(&t, "/images/search", NULL, NULL);
	target_query(&t, "term", term);
	if (o->limit)
		target_query(&t, "limit", o->limit);
	if (filters)
		target_query(&t, "filters", filters);
	if (registry_get(cli, &t, registry_of(term, host, sizeof(host)), &answer, &err) < 0 || list_print(&kind, answer, &o->view, &err) < 0)
		return cli_fail(1, &err);
	return 0;
}

static int search_run(struct cli *cli, int argc, char **argv)
{
	struct search_options o = {};
	_cleanup_args_ struct args a = {};
	int code = cli_parse(cli, argc, argv, &o, &a);
	if (code == CLI_PARSED)
		code = search(cli, &o, a.v[0]);
	flag_release(cli->command->flags, &o);
	return code;
}

const struct command command_search = {
	.name = "search",
	.group = GROUP_IMAGES,
	.usage = "[OPTIONS] TERM",
	.summary = "Find images in a registry's index",
	.examples = "  coffer search --filter is-official=true debian\n",
	.flags = {FLAGS(search_rows)},
	.min_args = 1,
	.max_args = 1,
	.run = search_run,
};

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is done to containers that are there: pause, unpause, rename, top, update.
 */
#include <stdio.h>
#include <unistd.h>

#include "base/table.h"
#include "base/term.h"
#include "cli/call.h"
#include "cli/each.h"
#include "cli/options.h"

static int each(struct cli *cli, const char *after, int argc, char **argv)
{
	_cleanup_args_ struct args a = {};
	int r = cli_parse(cli, argc, argv, NULL, &a);
	if (r != CLI_PARSED)
		return r;
	struct each_call e = {"POST", "/containers/", after, NULL, NULL};
	return each_name(cli, &e, &a);
}

static int pause_run(struct cli *cli, int argc, char **argv)
{
	return each(cli, "/pause", argc, argv);
}

static int unpause_run(struct cli *cli, int argc, char **argv)
{
	return each(cli, "/unpause", argc, argv);
}

const struct command command_pause = {
	.name = "pause",
	.group = GROUP_CONTAINERS,
	.usage = "CONTAINER [CONTAINER...]",
	.summary = "Freeze every process of containers",
	.examples = "  coffer pause web\n",
	.min_args = 1,
	.max_args = ARGS_ANY,
	.run = pause_run,
};

const struct command command_unpause = {
	.name = "unpause",
	.group = GROUP_CONTAINERS,
	.usage = "CONTAINER [CONTAINER...]",
	.summary = "Let paused containers go on",
	.examples = "  coffer unpause web\n",
	.min_args = 1,
	.max_args = ARGS_ANY,
	.run = unpause_run,
};

static int rename_run(struct cli *cli, int argc, char **argv)
{
	_cleanup_args_ struct args a = {};
	_cleanup_strbuf_ struct strbuf t = TARGET_INIT;
	_cleanup_reply_ struct reply reply = REPLY_INIT;
	struct err err;
	int r = cli_parse(cli, argc, argv, NULL, &a);
	if (r != CLI_PARSED)
		return r;
	target_start(&t, "/containers/", a.v[0], "/rename");
	target_query(&t, "name", a.v[1]);
	return call(cli, "POST", &t, NULL, &reply, &err) < 0 ? cli_fail(1, &err) : 0;
}

const struct command command_rename = {
	.name = "rename",
	.group = GROUP_CONTAINERS,
	.usage = "CONTAINER NEW_NAME",
	.summary = "Give a container another name",
	.examples = "  coffer rename web web-old\n",
	.min_args = 2,
	.max_args = 2,
	.run = rename_run,
};

static int add_cells(struct table *t, const struct json *row)
{
	JSON_FOREACH(cell, i, row)
		if (table_add(t, json_str(cell, "")) < 0)
			return cli_error("out of memory");
	return 0;
}

static int print_top(const struct json *answer)
{
	const struct json *titles = json_get(answer, "Titles"), *rows = json_get(answer, "Processes");
	_cleanup_table_ struct table t = {.cols = json_len(titles), .min_width = 20};
	_cleanup_strbuf_ struct strbuf out = STRBUF_INIT(64 << 20);
	unsigned height, width = 0;
	int r = t.cols == 0 ? cli_error("the engine's answer has no titles") : add_cells(&t, titles);
	JSON_FOREACH(row, i, rows)
		if (r == 0)
			r = json_len(row) == t.cols ? add_cells(&t, row) : cli_error("the engine's answer is no table");
	if (r)
		return r;
	(void) term_size(STDOUT_FILENO, &height, &width); /* not a terminal: as wide as it gets */
	table_render(&t, width, &out);
	(void) printf("%s", out.s ? out.s : "");
	return 0;
}

static int top_run(struct cli *cli, int argc, char **argv)
{
	_cleanup_args_ struct args a = {};
	_cleanup_strbuf_ struct strbuf t = TARGET_INIT, ps = STRBUF_INIT(4096);
	_cleanup_json_ struct json *answer = NULL;
	struct err err;
	int r = cli_parse(cli, argc, argv, NULL, &a);
	if (r != CLI_PARSED)
		return r;
	for (size_t i = 1; i < a.n; i++)
		strbuf_addf(&ps, "%s%s", i > 1 ? " " : "", a.v[i]);
	target_start(&t, "/containers/", a.v[0], "/top");
	if (ps.len)
		target_query(&t, "ps_args", ps.s);
	return call_json(cli, "GET", &t, NULL, &answer, &err) < 0 ? cli_fail(1, &err) : print_top(answer);
}

const struct command command_top = {
	.name = "top",
	.group = GROUP_CONTAINERS,
	.usage = "CONTAINER [-ef | aux | -o COLUMN,...]",
	.summary = "Show the processes of a container",
	.examples = "  coffer top web\n  coffer top web aux\n  coffer top web -o pid,pcpu,rss,args\n",
	.min_args = 1,
	.max_args = ARGS_ANY,
	.mode = COMMAND_STRICT_ORDER,
	.run = top_run,
};

static int update_one(struct cli *cli, const char *name, const char *body)
{
	_cleanup_strbuf_ struct strbuf t = TARGET_INIT;
	_cleanup_json_ struct json *answer = NULL;
	struct err err;
	target_start(&t, "/containers/", name, "/update");
	if (call_json(cli, "POST", &t, body, &answer, &err) < 0)
		return cli_fail(1, &err);
	JSON_FOREACH(w, i, json_get(answer, "Warnings"))
		(void) fprintf(stderr, "WARNING: %s\n", json_str(w, ""));
	(void) printf("%s\n", name);
	return 0;
}

static int update_run(struct cli *cli, int argc, char **argv)
{
	struct container_options o;
	_cleanup_args_ struct args a = {};
	_cleanup_free_ char *body = NULL;
	struct err err;
	container_options_init(&o);
	int code = 0, r = cli_parse(cli, argc, argv, &o, &a);
	if (r != CLI_PARSED)
		return r;
	if (update_body(&o, &body, &err) < 0)
		return cli_fail(1, &err);
	if (str_eq(body, "{}"))
		return cli_usage_error(cli, "you must provide one or more flags when using this command");
	for (size_t i = 0; i < a.n; i++)
		if (update_one(cli, a.v[i], body))
			code = 1;
	return code;
}

const struct command command_update = {
	.name = "update",
	.group = GROUP_CONTAINERS,
	.usage = "[OPTIONS] CONTAINER [CONTAINER...]",
	.summary = "Change the limits of containers, at once when they run, or their restart policy",
	.examples = "  coffer update --memory 256m --memory-swap 512m web\n  coffer update --cpus 0.5 --pids-limit 100 web db\n  coffer update --restart on-failure:5 web\n",
	.flags = {&update_flags},
	.min_args = 1,
	.max_args = ARGS_ANY,
	.run = update_run,
};

/* SPDX-License-Identifier: Apache-2.0 */
/* `diff`: what a container has changed in its file system. */
#include <stdio.h>

#include "cli/call.h"

static int diff_run(struct cli *cli, int argc, char **argv)
{
	static const char letters[] = "CAD"; /* by docker's numbers */
	_cleanup_args_ struct args a = {};
	_cleanup_strbuf_ struct strbuf t = TARGET_INIT;
	_cleanup_json_ struct json *doc = NULL;
	struct err err;
	int r = cli_parse(cli, argc, argv, NULL, &a);
	if (r != CLI_PARSED)
		return r;
	target_start(&t, "/containers/", a.v[0], "/changes");
	if (call_json(cli, "GET", &t, NULL, &doc, &err) < 0)
		return cli_fail(1, &err);
	JSON_FOREACH(change, i, doc) {
		int64_t kind = json_int(json_get(change, "Kind"), -1);
		printf("%c %s\n", kind >= 0 && kind < 3 ? letters[kind] : '?', json_str(json_get(change, "Path"), ""));
	}
	return 0;
}

const struct command command_diff = {
	.name = "diff",
	.group = GROUP_CONTAINERS,
	.usage = "CONTAINER",
	.summary = "List what a container has added (A), changed (C) and deleted (D) in its file system",
	.examples = "  coffer diff web\n",
	.flags = {NULL},
	.min_args = 1,
	.max_args = 1,
	.run = diff_run,
};

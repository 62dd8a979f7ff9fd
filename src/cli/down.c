/* SPDX-License-Identifier: Apache-2.0 */
/* `system down`: everything is stopped in good order before the machine goes down. */
#include <stdio.h>

#include "cli/call.h"

struct options {
	const char *time; /* borrowed */
};

static const struct flag rows[] = {
	{"time", 't', FLAG_STR, offsetof(struct options, time), "seconds", "Seconds each container has before it is killed, in place of its own stop timeout"},
};

static int down_run(struct cli *cli, int argc, char **argv)
{
	struct options o = {};
	_cleanup_args_ struct args a = {};
	_cleanup_strbuf_ struct strbuf t = TARGET_INIT;
	_cleanup_json_ struct json *answer = NULL;
	struct err err;
	int r = cli_parse(cli, argc, argv, &o, &a);
	if (r != CLI_PARSED)
		return r;
	target_start(&t, "/system/down", NULL, NULL);
	if (o.time)
		target_query(&t, "t", o.time);
	if (call_json(cli, "POST", &t, NULL, &answer, &err) < 0)
		return cli_fail(1, &err);
	JSON_FOREACH(id, i, json_get(answer, "Stopped"))
		(void) printf("%s\n", json_str(id, ""));
	return 0;
}

const struct command command_system_down = {
	.name = "system down",
	.group = GROUP_OTHER,
	.usage = "[OPTIONS]",
	.summary = "Stop all containers before the machine goes down, such that their restart policies count at the next boot",
	.examples = "  coffer system down\n  coffer system down -t 5\n",
	.flags = {FLAGS(rows)},
	.max_args = 0,
	.run = down_run,
};

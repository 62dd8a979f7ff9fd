/* SPDX-License-Identifier: Apache-2.0 */
/* `export`: a container's root file system as a tar. */
#include "cli/download.h"

struct export_options {
	const char *output; /* borrowed */
};

static const struct flag export_rows[] = {
	{"output", 'o', FLAG_STR, offsetof(struct export_options, output), "file", "Write to a file instead of stdout"},
};

static int export_run(struct cli *cli, int argc, char **argv)
{
	struct export_options o = {};
	_cleanup_args_ struct args a = {};
	_cleanup_strbuf_ struct strbuf t = TARGET_INIT;
	int r = cli_parse(cli, argc, argv, &o, &a);
	if (r != CLI_PARSED)
		return r;
	target_start(&t, "/containers/", a.v[0], "/export");
	return download(cli, &t, o.output);
}

const struct command command_export = {
	.name = "export",
	.group = GROUP_CONTAINERS,
	.usage = "[OPTIONS] CONTAINER",
	.summary = "Write a container's root file system as a tar, without what is mounted in it",
	.examples = "  coffer export -o web.tar web\n  coffer export web | tar t\n",
	.flags = {FLAGS(export_rows)},
	.min_args = 1,
	.max_args = 1,
	.run = export_run,
};

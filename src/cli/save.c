/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `save`: images become an archive.
 */
#include <stdio.h>

#include "cli/download.h"

struct save_options {
	const char *output; /* borrowed */
};

static const struct flag save_rows[] = {
	{"output", 'o', FLAG_STR, offsetof(struct save_options, output), "file", "Write to a file instead of stdout"},
	{"platform", 0, FLAG_REFUSED, 0, NULL, "images have one platform each in this version"},
};

static int save_run(struct cli *cli, int argc, char **argv)
{
	struct save_options o = {};
	_cleanup_args_ struct args a = {};
	_cleanup_strbuf_ struct strbuf t = TARGET_INIT;
	int r = cli_parse(cli, argc, argv, &o, &a);
	if (r != CLI_PARSED)
		return r;
	target_start(&t, "/images/get", NULL, NULL);
	for (size_t i = 0; i < a.n; i++)
		target_query(&t, "names", a.v[i]);
	return download(cli, &t, o.output);
}

const struct command command_save = {
	.name = "save",
	.group = GROUP_IMAGES,
	.usage = "[OPTIONS] IMAGE [IMAGE...]",
	.summary = "Write images to an archive (for load of coffer, docker and podman, and as an OCI layout)",
	.examples = "  coffer save -o busybox.tar busybox\n  coffer save busybox debian:12 | zstd > two.tar.zst\n",
	.flags = {FLAGS(save_rows)},
	.min_args = 1,
	.max_args = ARGS_ANY,
	.run = save_run,
};

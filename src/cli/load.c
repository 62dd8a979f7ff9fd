/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `load` and `import`: archives become images.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/fd.h"
#include "cli/upload.h"

/* "-" or NULL: stdin, unless that is a terminal. Return: fd to close, or negative errno with @err. */
static int open_archive(const char *path, int *ret, struct err *err)
{
	bool is_stdin = !path || str_eq(path, "-");
	if (is_stdin && isatty(STDIN_FILENO))
		return err_set(err, ERR_INVALID, "requested load from stdin, but stdin is a terminal: name a file with -i, or redirect one");
	int fd = is_stdin ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3) : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return err_sys(err, -errno, "opening '%.300s'", is_stdin ? "stdin" : path);
	*ret = fd;
	return 0;
}

struct load_options {
	const char *input; /* borrowed */
	bool quiet;
};

static const struct flag load_rows[] = {
	{"input", 'i', FLAG_STR, offsetof(struct load_options, input), "file", "Archive or OCI layout directory to read (default and -: stdin)"},
	{"platform", 0, FLAG_REFUSED, 0, NULL, "images run on the architecture of the host only"},
	{"quiet", 'q', FLAG_BOOL, offsetof(struct load_options, quiet), NULL, "No progress"},
};

static int load_run(struct cli *cli, int argc, char **argv)
{
	struct load_options o = {};
	_cleanup_args_ struct args a = {};
	_cleanup_strbuf_ struct strbuf t = TARGET_INIT;
	_cleanup_close_ int fd = -EBADF;
	struct err err;
	int r = cli_parse(cli, argc, argv, &o, &a);
	if (r != CLI_PARSED)
		return r;
	if (open_archive(o.input, &fd, &err) < 0)
		return cli_fail(1, &err);
	target_start(&t, "/images/load", NULL, NULL);
	target_query(&t, "quiet", o.quiet || !isatty(STDOUT_FILENO) ? "1" : "0");
	return upload(cli, &t, fd, /* bar= */ false, &err) < 0 ? cli_fail(1, &err) : 0;
}

const struct command command_load = {
	.name = "load",
	.group = GROUP_IMAGES,
	.usage = "[OPTIONS]",
	.summary = "Load images from an archive (docker save, OCI archive; plain, gzip or zstd)",
	.examples = "  coffer load -i busybox.tar\n  skopeo copy docker://busybox docker-archive:/dev/stdout | coffer load\n",
	.flags = {FLAGS(load_rows)},
	.max_args = 0,
	.run = load_run,
};

struct import_options {
	char **changes;      /* owned */
	const char *message; /* borrowed */
};

static const struct flag import_rows[] = {
	{"change", 'c', FLAG_LIST, offsetof(struct import_options, changes), "instruction",
	 "Apply a Dockerfile instruction: CMD, ENTRYPOINT, ENV, USER, WORKDIR, ..."},
	{"message", 'm', FLAG_STR, offsetof(struct import_options, message), "text", "Comment in the image's history"},
	{"platform", 0, FLAG_REFUSED, 0, NULL, "images run on the architecture of the host only"},
};

static int import(struct cli *cli, const struct import_options *o, const struct args *a)
{
	_cleanup_strbuf_ struct strbuf t = TARGET_INIT;
	_cleanup_close_ int fd = -EBADF;
	struct err err;
	if (strstr(a->v[0], "://"))
		return cli_error("importing from an address is not there yet: fetch the file, then coffer import FILE");
	if (open_archive(a->v[0], &fd, &err) < 0)
		return cli_fail(1, &err);
	target_start(&t, "/images/create", NULL, NULL);
	target_query(&t, "fromSrc", "-");
	if (a->n > 1)
		target_query(&t, "repo", a->v[1]);
	if (o->message)
		target_query(&t, "message", o->message);
	STRV_FOREACH (change, o->changes)
		target_query(&t, "changes", change);
	return upload(cli, &t, fd, /* bar= */ true, &err) < 0 ? cli_fail(1, &err) : 0;
}

static int import_run(struct cli *cli, int argc, char **argv)
{
	struct import_options o = {};
	_cleanup_args_ struct args a = {};
	int code = cli_parse(cli, argc, argv, &o, &a);
	if (code == CLI_PARSED)
		code = import(cli, &o, &a);
	flag_release(cli->command->flags, &o);
	return code;
}

const struct command command_import = {
	.name = "import",
	.group = GROUP_IMAGES,
	.usage = "[OPTIONS] FILE|- [REPOSITORY[:TAG]]",
	.summary = "Make an image of one layer from a root file system's tar",
	.examples = "  coffer import -c 'CMD [\"/bin/bash\"]' rootfs.tar debian:mine\n",
	.flags = {FLAGS(import_rows)},
	.min_args = 1,
	.max_args = 2,
	.run = import_run,
};

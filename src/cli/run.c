/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `run` and `create`. The way of one run: create, then attach and wait (each on its own connection, sent together), start, and the
 * session. No version check, nothing polled: on an idle host this is most of what the caller waits for besides the kernel.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/fd.h"
#include "base/id.h"
#include "cli/attach.h"
#include "cli/call.h"
#include "cli/command.h"
#include "cli/options.h"
#include "cli/pull.h"

#define REMOVED_PATIENCE_MS 10000

struct made {
	char id[ID_LEN + 1];
};

static void print_warnings(const struct json *answer)
{
	JSON_FOREACH(w, i, json_get(answer, "Warnings"))
		(void) fprintf(stderr, "WARNING: %s\n", json_str(w, ""));
}

/* The image is fetched as docker does it: told on stderr, and the container is made after it. */
static int pull(struct cli *cli, const struct container_options *o, const char *image, struct err *err)
{
	return pull_image(cli, image, o->platform, /* all= */ false, o->quiet ? NULL : stderr, err);
}

static bool is_missing(const struct err *err)
{
	return err->kind == ERR_NOT_FOUND && strcasestr(err->msg, "no such image");
}

static int create_once(struct cli *cli, const struct container_options *o, const char *body, struct json **ret, struct err *err)
{
	_cleanup_strbuf_ struct strbuf t = TARGET_INIT;
	target_start(&t, "/containers/create", NULL, NULL);
	if (o->name)
		target_query(&t, "name", o->name);
	if (o->platform)
		target_query(&t, "platform", o->platform);
	return call_json(cli, "POST", &t, body, ret, err);
}

/* POST /containers/create. Return: 0, or the exit code with the error printed. */
static int post_create(struct cli *cli, const struct container_options *o, const char *image, const char *body, struct made *ret)
{
	_cleanup_json_ struct json *answer = NULL;
	struct err err;
	int r = o->pull == PULL_ALWAYS ? pull(cli, o, image, &err) : 0;
	if (r >= 0)
		r = create_once(cli, o, body, &answer, &err);
	if (r < 0 && o->pull == PULL_MISSING && is_missing(&err)) {
		if (!o->quiet)
			(void) fprintf(stderr, "Unable to find image '%s%s' locally\n", image, strchr(image, ':') || strchr(image, '@') ? "" : ":latest");
		r = pull(cli, o, image, &err);
		if (r >= 0)
			r = create_once(cli, o, body, &answer, &err);
	}
	if (r < 0)
		return cli_fail(CLI_EXIT_ENGINE, &err);
	print_warnings(answer);
	if (str_copy(ret->id, sizeof(ret->id), json_str(json_get(answer, "Id"), "")) < 0 || !ret->id[0]) {
		(void) cli_error("the engine's answer to create has no container id");
		return CLI_EXIT_ENGINE;
	}
	return 0;
}

/* --cidfile: made before the container, so that two runs cannot share one. Return: fd, -EBADF without the flag, or -errno with @err. */
static int open_cidfile(const struct container_options *o, int *ret_fd, struct err *err)
{
	*ret_fd = -EBADF;
	if (!o->cidfile)
		return 0;
	int fd = open(o->cidfile, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0 && errno == EEXIST)
		return err_set(err, ERR_CONFLICT, "container ID file found, make sure the other container isn't running or delete '%.200s'", o->cidfile);
	if (fd < 0)
		return err_sys(err, -errno, "creating the container ID file '%.200s'", o->cidfile);
	*ret_fd = fd;
	return 0;
}

static int create(struct cli *cli, const struct container_options *o, const struct args *a, struct made *ret)
{
	_cleanup_free_ char *body = NULL;
	_cleanup_close_ int cid = -EBADF;
	struct err err;
	unsigned rows = 0, cols = 0;
	if (o->tty)
		(void) term_size(STDOUT_FILENO, &rows, &cols);
	if (create_body(o, a->v[0], a->v + 1, a->n - 1, rows, cols, &body, &err) < 0 || open_cidfile(o, &cid, &err) < 0)
		return cli_fail(CLI_EXIT_ENGINE, &err);
	int code = post_create(cli, o, a->v[0], body, ret);
	if (cid >= 0 && code != 0)
		(void) unlink(o->cidfile); /* best effort: empty and ours */
	else if (cid >= 0 && write_all(cid, ret->id, strlen(ret->id)) < 0)
		(void) cli_error("writing the container ID file '%s' failed, ignoring", o->cidfile);
	return code;
}

/* docker's exit codes for a command that cannot be executed; the engine says 400 for those. */
static int start_failure_code(int status, const char *msg)
{
	if (status != 400)
		return CLI_EXIT_ENGINE;
	if (strstr(msg, "executable file not found") || strstr(msg, "no such file or directory") || strstr(msg, "No such file or directory"))
		return 127;
	if (strcasestr(msg, "permission denied") || strcasestr(msg, "is a directory"))
		return 126;
	return CLI_EXIT_ENGINE;
}

/* POST start. Return: 0, or the exit code with the error printed. */
static int post_start(struct cli *cli, const char *id)
{
	_cleanup_strbuf_ struct strbuf t = TARGET_INIT;
	_cleanup_reply_ struct reply reply = REPLY_INIT;
	struct err err;
	target_start(&t, "/containers/", id, "/start");
	if (call(cli, "POST", &t, NULL, &reply, &err) < 0)
		return cli_fail(start_failure_code(reply.status, err.msg), &err);
	return 0;
}

/* The command could not start: with --rm the engine is removing the container, and answers the wait when it has. */
static void wait_removed(struct session *s)
{
	struct pollfd p = {.fd = http_fd(s->wait), .events = POLLIN};
	int code;
	if (http_buffered(s->wait) || poll(&p, 1, REMOVED_PATIENCE_MS) > 0)
		(void) session_wait_answer(s->cli, s->wait, &code, NULL); /* the code of a start that failed is known already */
}

static int run_attached(struct cli *cli, const struct container_options *o, const struct streams *streams, struct session *s, const char *id)
{
	struct err err;
	struct attach_plan plan = {.id = id,
				   .detach_keys = o->detach_keys,
				   .in = streams->in,
				   .out = streams->out,
				   .err = streams->err,
				   .condition = o->rm ? "removed" : "next-exit"};
	s->id = id;
	if (attach_begin(s, &plan, &err) < 0)
		return cli_fail(CLI_EXIT_ENGINE, &err);
	fault_mark("cli.run.attached");
	int code = post_start(cli, id);
	fault_mark("cli.run.started");
	if (code == 0) {
		code = attach_finish(s);
		if (s->exited && cli->embedded) /* told when the row, or its absence, is there for all */
			*cli->embedded->ret_seen = true;
		return code;
	}
	if (o->rm)
		wait_removed(s);
	return code;
}

static int run_detached(struct cli *cli, const char *id)
{
	int code = post_start(cli, id);
	if (code == 0)
		(void) printf("%s\n", id);
	return code;
}

static int prepare(struct session *s, const struct container_options *o, struct streams *streams, struct err *err)
{
	int r = container_streams(o, streams, err);
	if (r < 0)
		return r;
	if (o->detach && o->attach)
		return err_set(err, ERR_INVALID, "conflicting options: cannot specify both --attach and --detach");
	s->tty = o->tty;
	s->use_stdin = streams->in;
	s->proxy = o->sig_proxy;
	if ((r = attach_detach_keys(s, o->detach_keys, err)) < 0)
		return r;
	if (!o->detach && o->tty && streams->in && !isatty(STDIN_FILENO))
		return err_set(err, ERR_INVALID, "the input device is not a TTY");
	return 0;
}

static int run(struct cli *cli, const struct container_options *o, const struct args *a)
{
	_cleanup_session_ struct session s = SESSION_INIT;
	struct streams streams;
	struct err err;
	struct made made;
	s.cli = cli;
	if (prepare(&s, o, &streams, &err) < 0)
		return cli_fail(strstr(err.msg, "not a TTY") ? 1 : CLI_EXIT_ENGINE, &err);
	/* before the container exists: a signal in between shall reach it, not leave it behind */
	if (!o->detach && session_prepare(&s, &err) < 0)
		return cli_fail(CLI_EXIT_ENGINE, &err);
	int code = create(cli, o, a, &made);
	if (code != 0)
		return code;
	fault_mark("cli.run.created");
	if (o->detach)
		return run_detached(cli, made.id);
	return run_attached(cli, o, &streams, &s, made.id);
}

static int run_main(struct cli *cli, int argc, char **argv)
{
	struct container_options o;
	_cleanup_args_ struct args a = {};
	container_options_init(&o);
	int code = cli_parse(cli, argc, argv, &o, &a);
	if (code == CLI_PARSED)
		code = run(cli, &o, &a);
	flag_release(cli->command->flags, &o);
	return code;
}

static int create_main(struct cli *cli, int argc, char **argv)
{
	struct container_options o;
	struct made made;
	_cleanup_args_ struct args a = {};
	container_options_init(&o);
	int code = cli_parse(cli, argc, argv, &o, &a);
	if (code == CLI_PARSED) {
		code = create(cli, &o, &a, &made);
		if (code == 0)
			(void) printf("%s\n", made.id);
	}
	flag_release(cli->command->flags, &o);
	return code;
}

const struct command command_run = {
	.name = "run",
	.group = GROUP_RUN,
	.usage = "[OPTIONS] IMAGE [COMMAND] [ARG...]",
	.summary = "Create a container from an image and run a command in it",
	.examples = "  coffer run --rm -it busybox sh\n"
		    "  coffer run -d --name web -v data:/data --memory 256m --cpus 1.5 myimage\n"
		    "  coffer run --rm --security-opt seccomp=profile.json --cap-drop ALL busybox id\n",
	.min_args = 1,
	.max_args = ARGS_ANY,
	.mode = COMMAND_STRICT_ORDER,
	.flags = {&container_flags, &run_flags, &container_refused_flags},
	.run = run_main,
};

const struct command command_create = {
	.name = "create",
	.group = GROUP_RUN,
	.usage = "[OPTIONS] IMAGE [COMMAND] [ARG...]",
	.summary = "Create a container without starting it",
	.examples = "  coffer create --name web myimage\n"
		    "  coffer start -a web\n",
	.min_args = 1,
	.max_args = ARGS_ANY,
	.mode = COMMAND_STRICT_ORDER,
	.flags = {&container_flags, &container_refused_flags},
	.run = create_main,
};

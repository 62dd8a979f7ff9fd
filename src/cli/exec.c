/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `exec`: one more process in a running container.
 */
#include <stdio.h>
#include <unistd.h>

#include "base/id.h"
#include "cli/attach.h"
#include "cli/call.h"
#include "cli/envfile.h"
#include "cli/link.h"

#define RECORD_TRIES 2500 /* five seconds */

struct exec_options {
	bool detach, interactive, tty, privileged;
	const char *detach_keys, *user, *workdir; /* borrowed */
	char **env, **env_file;                   /* owned */
};

#define O(field) offsetof(struct exec_options, field)
static const struct flag exec_rows[] = {
	{"detach", 'd', FLAG_BOOL, O(detach), NULL, "Run it in the background"},
	{"detach-keys", 0, FLAG_STR, O(detach_keys), "keys", "Keys that detach (default ctrl-p,ctrl-q)"},
	{"env", 'e', FLAG_LIST, O(env), "key[=value]", "Set an environment variable"},
	{"env-file", 0, FLAG_LIST, O(env_file), "file", "Read environment variables from a file"},
	{"interactive", 'i', FLAG_BOOL, O(interactive), NULL, "Keep stdin open"},
	{"privileged", 0, FLAG_BOOL, O(privileged), NULL, "All capabilities inside the container's own user namespace"},
	{"tty", 't', FLAG_BOOL, O(tty), NULL, "Give the process a terminal"},
	{"user", 'u', FLAG_STR, O(user), "user[:group]", "User, by name or id as the image knows it"},
	{"workdir", 'w', FLAG_STR, O(workdir), "directory", "Working directory inside the container"},
};

static int put_env(struct json_writer *w, const struct exec_options *o, struct err *err)
{
	_cleanup_strv_ char **env = NULL;
	int r = 0;
	for (char *const *f = o->env_file; r == 0 && f && *f; f++)
		r = envfile_read(*f, ENVFILE_LOOKUP, &env, err);
	for (char *const *e = o->env; r == 0 && e && *e; e++)
		r = env_resolve(*e, &env, err);
	if (r == 0 && env)
		jw_strv(w, "Env", env);
	return r;
}

static void put_console_size(struct json_writer *w, bool tty)
{
	unsigned rows, cols;
	if (!tty || !term_size(STDOUT_FILENO, &rows, &cols))
		return;
	jw_arr(w, "ConsoleSize");
	jw_int(w, NULL, rows);
	jw_int(w, NULL, cols);
	jw_end(w);
}

static int exec_body(const struct exec_options *o, const struct args *a, struct strbuf *out, struct err *err)
{
	struct json_writer w;
	jw_init(&w, out);
	jw_obj(&w, NULL);
	jw_arr(&w, "Cmd");
	for (size_t i = 1; i < a->n; i++)
		jw_str(&w, NULL, a->v[i]);
	jw_end(&w);
	jw_bool(&w, "AttachStdin", !o->detach && o->interactive);
	jw_bool(&w, "AttachStdout", !o->detach);
	jw_bool(&w, "AttachStderr", !o->detach);
	jw_bool(&w, "Tty", o->tty);
	jw_bool(&w, "Privileged", o->privileged);
	if (o->user)
		jw_str(&w, "User", o->user);
	if (o->workdir)
		jw_str(&w, "WorkingDir", o->workdir);
	if (o->detach_keys)
		jw_str(&w, "DetachKeys", o->detach_keys);
	put_console_size(&w, o->tty);
	int r = put_env(&w, o, err);
	jw_end(&w);
	if (r == 0 && strbuf_err(out) < 0)
		r = err_set(err, ERR_INVALID, "the request is too large");
	return r;
}

/* Return: 0 with the exec's id. */
static int make(struct cli *cli, const struct exec_options *o, const struct args *a, char id[ID_LEN + 1], struct err *err)
{
	_cleanup_strbuf_ struct strbuf t = TARGET_INIT, body = STRBUF_INIT(4 << 20);
	_cleanup_json_ struct json *answer = NULL;
	int r = exec_body(o, a, &body, err);
	if (r < 0)
		return r;
	target_start(&t, "/containers/", a->v[0], "/exec");
	if ((r = call_json(cli, "POST", &t, body.s, &answer, err)) < 0)
		return r;
	if (str_copy(id, ID_LEN + 1, json_str(json_get(answer, "Id"), "")) < 0 || !*id)
		return err_set(err, ERR_CORRUPT, "the engine's answer to exec has no id");
	return 0;
}

/* POST /exec/ID/start. With a session: a stream of its own. */
static int start(struct cli *cli, const struct exec_options *o, const char *id, struct session *s, struct err *err)
{
	_cleanup_strbuf_ struct strbuf t = TARGET_INIT, body = STRBUF_INIT(4096);
	struct http_answer head;
	struct json_writer w;
	int r;
	jw_init(&w, &body);
	jw_obj(&w, NULL);
	jw_bool(&w, "Detach", o->detach);
	jw_bool(&w, "Tty", o->tty);
	if (!o->detach)
		put_console_size(&w, o->tty);
	jw_end(&w);
	if (strbuf_err(&body) < 0)
		return err_oom(err);
	target_start(&t, "/exec/", id, "/start");
	if (o->detach) {
		_cleanup_reply_ struct reply reply = REPLY_INIT;
		return call(cli, "POST", &t, body.s, &reply, err);
	}
	if ((r = link_open(cli, &s->stream, err)) < 0 || (r = call_send(cli, s->stream, "POST", &t, body.s, HTTP_UPGRADE, err)) < 0 ||
	    (r = call_head(cli, s->stream, &head, err)) < 0)
		return r;
	return head.upgraded ? 0 : err_set(err, ERR_CORRUPT, "the engine answered %d to exec instead of giving a stream", head.status);
}

/* The stream may end a moment before the exit is recorded: ask again while there is no code yet. */
static int exit_code(struct cli *cli, const char *id)
{
	static const struct timespec pause = {.tv_nsec = 2000000};
	_cleanup_strbuf_ struct strbuf t = TARGET_INIT;
	struct err err;
	target_start(&t, "/exec/", id, "/json");
	for (int tries = 0; tries < RECORD_TRIES; tries++) {
		_cleanup_json_ struct json *doc = NULL;
		if (call_json(cli, "GET", &t, NULL, &doc, &err) < 0)
			return cli_fail(CLI_EXIT_ENGINE, &err);
		const struct json *code = json_get(doc, "ExitCode");
		if (json_kind(code) == JSON_KIND_INT && !json_bool(json_get(doc, "Running"), false))
			return (int) json_int(code, 0);
		(void) nanosleep(&pause, NULL);
	}
	(void) cli_error("the process has closed its streams and still runs: its exit code is not known");
	return CLI_EXIT_ENGINE;
}

static int exec(struct cli *cli, const struct exec_options *o, const struct args *a)
{
	_cleanup_session_ struct session s = SESSION_INIT;
	char id[ID_LEN + 1];
	struct err err;
	int code = 0;
	s.cli = cli;
	s.id = id;
	s.is_exec = true;
	s.tty = o->tty;
	s.use_stdin = o->interactive && !o->detach;
	if (s.tty && s.use_stdin && !isatty(STDIN_FILENO))
		return cli_error("the input device is not a TTY");
	if (attach_detach_keys(&s, o->detach_keys, &err) < 0 || make(cli, o, a, id, &err) < 0)
		return cli_fail(err.kind == ERR_NOT_FOUND || err.kind == ERR_CONFLICT ? 1 : CLI_EXIT_ENGINE, &err);
	if (!o->detach && session_prepare(&s, &err) < 0)
		return cli_fail(CLI_EXIT_ENGINE, &err);
	if (start(cli, o, id, &s, &err) < 0)
		return cli_fail(strstr(err.msg, "executable file not found") ? 127 : CLI_EXIT_ENGINE, &err);
	if (o->detach)
		return 0;
	int r = session_run(&s, &code, &err);
	if (r < 0)
		return cli_fail(CLI_EXIT_ENGINE, &err);
	return r == SESSION_EXITED ? exit_code(cli, id) : r == SESSION_DETACHED ? 0 : code;
}

static int exec_run(struct cli *cli, int argc, char **argv)
{
	struct exec_options o = {};
	_cleanup_args_ struct args a = {};
	int code = cli_parse(cli, argc, argv, &o, &a);
	if (code == CLI_PARSED)
		code = exec(cli, &o, &a);
	flag_release(cli->command->flags, &o);
	return code;
}

const struct command command_exec = {
	.name = "exec",
	.group = GROUP_RUN,
	.usage = "[OPTIONS] CONTAINER COMMAND [ARG...]",
	.summary = "Run one more command in a running container",
	.examples = "  coffer exec -it web sh\n  coffer exec -u nobody web id\n",
	.flags = {FLAGS(exec_rows)},
	.min_args = 2,
	.max_args = ARGS_ANY,
	.mode = COMMAND_STRICT_ORDER,
	.run = exec_run,
};

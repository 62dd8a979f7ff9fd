/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attaching: the calls shared by run, start -a and attach; and the command `attach` itself.
 */
#include "cli/attach.h"

#include <stdio.h>
#include <unistd.h>

#include "cli/call.h"
#include "cli/link.h"

int attach_detach_keys(struct session *s, const char *keys, struct err *err)
{
	return detach_parse(keys ? keys : DETACH_DEFAULT, &s->detach, err);
}

static int send_attach(struct session *s, const struct attach_plan *p, struct err *err)
{
	_cleanup_strbuf_ struct strbuf t = TARGET_INIT;
	target_start(&t, "/containers/", p->id, "/attach?stream=1");
	if (p->in)
		target_query(&t, "stdin", "1");
	if (p->out)
		target_query(&t, "stdout", "1");
	if (p->err)
		target_query(&t, "stderr", "1");
	if (p->detach_keys)
		target_query(&t, "detachKeys", p->detach_keys);
	return call_send(s->cli, s->stream, "POST", &t, NULL, HTTP_UPGRADE, err);
}

static int send_wait(struct session *s, const struct attach_plan *p, struct err *err)
{
	_cleanup_strbuf_ struct strbuf t = TARGET_INIT;
	target_start(&t, "/containers/", p->id, "/wait");
	if (p->condition)
		target_query(&t, "condition", p->condition);
	return call_send(s->cli, s->wait, "POST", &t, NULL, 0, err);
}

int attach_begin(struct session *s, const struct attach_plan *p, struct err *err)
{
	struct http_answer a;
	int r;
	if ((r = link_open(s->cli, &s->stream, err)) < 0 || (r = send_attach(s, p, err)) < 0)
		return r;
	if ((r = link_open(s->cli, &s->wait, err)) < 0 || (r = send_wait(s, p, err)) < 0)
		return r;
	if ((r = call_head(s->cli, s->stream, &a, err)) < 0)
		return r;
	if (!a.upgraded)
		return err_set(err, ERR_CORRUPT, "the engine answered %d to attach instead of giving a stream", a.status);
	return call_head(s->cli, s->wait, &a, err);
}

int attach_finish(struct session *s)
{
	struct err err;
	int code = 0, r = session_run(s, &code, &err);
	if (r < 0)
		return cli_fail(CLI_EXIT_ENGINE, &err);
	return r == SESSION_DETACHED ? 0 : code;
}

struct attach_options {
	const char *detach_keys; /* borrowed */
	bool no_stdin, sig_proxy;
};

#define O(field) offsetof(struct attach_options, field)
static const struct flag rows[] = {
	{"detach-keys", 0, FLAG_STR, O(detach_keys), "keys", "Keys that detach (default ctrl-p,ctrl-q)"},
	{"no-stdin", 0, FLAG_BOOL, O(no_stdin), NULL, "Do not attach stdin"},
	{"sig-proxy", 0, FLAG_BOOL, O(sig_proxy), NULL, "Pass signals on to the process (default true)"},
};

/* What attach must know of the container beforehand. */
static int look(struct session *s, const char *name, const struct attach_options *o, struct json **doc, struct err *err)
{
	_cleanup_strbuf_ struct strbuf t = TARGET_INIT;
	target_start(&t, "/containers/", name, "/json");
	int r = call_json(s->cli, "GET", &t, NULL, doc, err);
	if (r < 0)
		return r;
	const struct json *state = json_get(*doc, "State"), *config = json_get(*doc, "Config");
	if (!json_bool(json_get(state, "Running"), false))
		return err_set(err, ERR_CONFLICT, "cannot attach to '%.100s', which is not running: start it first", name);
	s->id = json_str(json_get(*doc, "Id"), name);
	s->tty = json_bool(json_get(config, "Tty"), false);
	s->use_stdin = !o->no_stdin && json_bool(json_get(config, "OpenStdin"), false);
	if (s->tty && s->use_stdin && !isatty(STDIN_FILENO))
		return err_set(err, ERR_INVALID, "the input device is not a TTY");
	return 0;
}

static int attach_run(struct cli *cli, int argc, char **argv)
{
	struct attach_options o = {.sig_proxy = true};
	_cleanup_args_ struct args a = {};
	_cleanup_json_ struct json *doc = NULL;
	_cleanup_session_ struct session s = SESSION_INIT;
	struct err err;
	int r = cli_parse(cli, argc, argv, &o, &a);
	if (r != CLI_PARSED)
		return r;
	s.cli = cli;
	s.proxy = o.sig_proxy;
	s.redraw = true;
	if (look(&s, a.v[0], &o, &doc, &err) < 0 || attach_detach_keys(&s, o.detach_keys, &err) < 0 || session_prepare(&s, &err) < 0)
		return cli_fail(1, &err);
	struct attach_plan plan = {.id = s.id, .detach_keys = o.detach_keys, .in = s.use_stdin, .out = true, .err = true};
	if (attach_begin(&s, &plan, &err) < 0)
		return cli_fail(1, &err);
	return attach_finish(&s);
}

const struct command command_attach = {
	.name = "attach",
	.group = GROUP_CONTAINERS,
	.usage = "[OPTIONS] CONTAINER",
	.summary = "Join stdin, stdout and stderr with a running container's",
	.examples = "  coffer attach web                      (ctrl-p ctrl-q leaves it running)\n"
		    "  coffer attach --no-stdin web\n",
	.flags = {FLAGS(rows)},
	.min_args = 1,
	.max_args = 1,
	.run = attach_run,
};

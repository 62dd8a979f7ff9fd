/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The short verbs on containers: start, stop, restart, kill, rm, wait.
 */
#include <stdio.h>
#include <unistd.h>

#include "cli/attach.h"
#include "cli/call.h"
#include "cli/each.h"

struct stop_options {
	const char *signal;  /* borrowed */
	int64_t timeout;     /* seconds; INT64_MIN: unset */
};

#define O(field) offsetof(struct stop_options, field)
static const struct flag stop_rows[] = {
	{"signal", 's', FLAG_STR, O(signal), "signal", "Signal to send first"},
	{"time", 0, FLAG_INT, O(timeout), NULL, NULL},
	{"timeout", 't', FLAG_INT, O(timeout), "seconds", "Patience before the container is killed (-1: for ever)"},
};
#undef O

static int stop_like(struct cli *cli, const char *verb, int argc, char **argv)
{
	struct stop_options o = {.timeout = INT64_MIN};
	_cleanup_args_ struct args a = {};
	_cleanup_strbuf_ struct strbuf q = STRBUF_INIT(256);
	char number[24];
	int r = cli_parse(cli, argc, argv, &o, &a);
	if (r != CLI_PARSED)
		return r;
	if (o.timeout != INT64_MIN) {
		(void) snprintf(number, sizeof(number), "%lld", (long long) o.timeout);
		target_query(&q, "t", number);
	}
	if (o.signal)
		target_query(&q, "signal", o.signal);
	struct each_call e = {"POST", "/containers/", verb, q.s ? q.s + 1 : NULL, NULL};
	if (strbuf_err(&q) < 0)
		return cli_error("the signal's name is too long");
	return each_name(cli, &e, &a);
}

static int stop_run(struct cli *cli, int argc, char **argv)
{
	return stop_like(cli, "/stop", argc, argv);
}

static int restart_run(struct cli *cli, int argc, char **argv)
{
	return stop_like(cli, "/restart", argc, argv);
}

const struct command command_stop = {
	.name = "stop",
	.group = GROUP_CONTAINERS,
	.usage = "[OPTIONS] CONTAINER [CONTAINER...]",
	.summary = "Stop containers: their stop signal first, SIGKILL when it does not help",
	.examples = "  coffer stop web\n  coffer stop -t 30 web db\n",
	.flags = {FLAGS(stop_rows)},
	.min_args = 1,
	.max_args = ARGS_ANY,
	.run = stop_run,
};

const struct command command_restart = {
	.name = "restart",
	.group = GROUP_CONTAINERS,
	.usage = "[OPTIONS] CONTAINER [CONTAINER...]",
	.summary = "Stop containers and start them again",
	.examples = "  coffer restart web\n",
	.flags = {FLAGS(stop_rows)},
	.min_args = 1,
	.max_args = ARGS_ANY,
	.run = restart_run,
};

struct kill_options {
	const char *signal; /* borrowed */
};

static const struct flag kill_rows[] = {
	{"signal", 's', FLAG_STR, offsetof(struct kill_options, signal), "signal", "Signal to send (default KILL)"},
};

static int kill_run(struct cli *cli, int argc, char **argv)
{
	struct kill_options o = {};
	_cleanup_args_ struct args a = {};
	_cleanup_strbuf_ struct strbuf q = STRBUF_INIT(256);
	int r = cli_parse(cli, argc, argv, &o, &a);
	if (r != CLI_PARSED)
		return r;
	if (o.signal)
		target_query(&q, "signal", o.signal);
	if (strbuf_err(&q) < 0)
		return cli_error("the signal's name is too long");
	struct each_call e = {"POST", "/containers/", "/kill", q.s ? q.s + 1 : NULL, NULL};
	return each_name(cli, &e, &a);
}

const struct command command_kill = {
	.name = "kill",
	.group = GROUP_CONTAINERS,
	.usage = "[OPTIONS] CONTAINER [CONTAINER...]",
	.summary = "Send a signal to the main process of running containers",
	.examples = "  coffer kill web\n  coffer kill -s HUP web\n",
	.flags = {FLAGS(kill_rows)},
	.min_args = 1,
	.max_args = ARGS_ANY,
	.run = kill_run,
};

struct rm_options {
	bool force, volumes;
};

static const struct flag rm_rows[] = {
	{"force", 'f', FLAG_BOOL, offsetof(struct rm_options, force), NULL, "Kill it first if it runs; a missing one is no failure"},
	{"link", 0, FLAG_REFUSED_BOOL, 0, NULL, "networks have no links in this version"},
	{"volumes", 'v', FLAG_BOOL, offsetof(struct rm_options, volumes), NULL, "Remove its anonymous volumes"},
};

static int rm_run(struct cli *cli, int argc, char **argv)
{
	struct rm_options o = {};
	_cleanup_args_ struct args a = {};
	int r = cli_parse(cli, argc, argv, &o, &a);
	if (r != CLI_PARSED)
		return r;
	static const char *const queries[] = {NULL, "force=1", "v=1", "force=1&v=1"};
	struct each_call e = {"DELETE", "/containers/", NULL, queries[o.force + 2 * o.volumes], NULL, .missing_ok = o.force};
	return each_name(cli, &e, &a);
}

const struct command command_rm = {
	.name = "rm",
	.group = GROUP_CONTAINERS,
	.usage = "[OPTIONS] CONTAINER [CONTAINER...]",
	.summary = "Remove containers",
	.examples = "  coffer rm web\n  coffer rm -fv $(coffer ps -aq)\n",
	.flags = {FLAGS(rm_rows)},
	.min_args = 1,
	.max_args = ARGS_ANY,
	.run = rm_run,
};

static int print_code(const char *name, const struct reply *reply)
{
	_cleanup_json_ struct json *doc = NULL;
	struct err err;
	if (json_parse(reply->text.s ? reply->text.s : "", reply->text.len, REPLY_MAX, "answer", &doc, &err) < 0)
		return cli_fail(1, &err);
	const char *message = json_str(json_get(json_get(doc, "Error"), "Message"), "");
	if (*message)
		return cli_error("%s: %s", name, message);
	(void) printf("%lld\n", (long long) json_int(json_get(doc, "StatusCode"), -1));
	return 0;
}

static int wait_run(struct cli *cli, int argc, char **argv)
{
	_cleanup_args_ struct args a = {};
	int r = cli_parse(cli, argc, argv, NULL, &a);
	if (r != CLI_PARSED)
		return r;
	struct each_call e = {"POST", "/containers/", "/wait", NULL, print_code};
	return each_name(cli, &e, &a);
}

const struct command command_wait = {
	.name = "wait",
	.group = GROUP_CONTAINERS,
	.usage = "CONTAINER [CONTAINER...]",
	.summary = "Wait until containers stop, then print their exit codes",
	.examples = "  coffer wait web\n",
	.min_args = 1,
	.max_args = ARGS_ANY,
	.run = wait_run,
};

struct start_options {
	bool attach, interactive, sig_proxy;
	const char *detach_keys; /* borrowed */
};

#define O(field) offsetof(struct start_options, field)
static const struct flag start_rows[] = {
	{"attach", 'a', FLAG_BOOL, O(attach), NULL, "Attach stdout and stderr, and pass signals on"},
	{"checkpoint", 0, FLAG_REFUSED, 0, NULL, "there are no checkpoints"},
	{"detach-keys", 0, FLAG_STR, O(detach_keys), "keys", "Keys that detach (default ctrl-p,ctrl-q)"},
	{"interactive", 'i', FLAG_BOOL, O(interactive), NULL, "Attach stdin"},
	{"sig-proxy", 0, FLAG_BOOL, O(sig_proxy), NULL, "Pass signals on to the process (default true)"},
};
#undef O

static int start_attached(struct cli *cli, const struct start_options *o, const char *name)
{
	_cleanup_session_ struct session s = SESSION_INIT;
	_cleanup_strbuf_ struct strbuf t = TARGET_INIT;
	_cleanup_json_ struct json *doc = NULL;
	_cleanup_reply_ struct reply reply = REPLY_INIT;
	struct err err;
	s.cli = cli;
	target_start(&t, "/containers/", name, "/json");
	if (call_json(cli, "GET", &t, NULL, &doc, &err) < 0)
		return cli_fail(1, &err);
	const struct json *config = json_get(doc, "Config");
	bool remove = json_bool(json_get(json_get(doc, "HostConfig"), "AutoRemove"), false);
	s.id = json_str(json_get(doc, "Id"), name);
	s.tty = json_bool(json_get(config, "Tty"), false);
	s.use_stdin = o->interactive && json_bool(json_get(config, "OpenStdin"), false);
	s.proxy = o->sig_proxy && o->attach;
	if (s.tty && s.use_stdin && !isatty(STDIN_FILENO))
		return cli_error("the input device is not a TTY");
	struct attach_plan plan = {s.id, o->detach_keys, s.use_stdin, /* out= */ true, /* err= */ true, remove ? "removed" : "next-exit"};
	if (attach_detach_keys(&s, o->detach_keys, &err) < 0 || session_prepare(&s, &err) < 0 || attach_begin(&s, &plan, &err) < 0)
		return cli_fail(1, &err);
	target_start(&t, "/containers/", s.id, "/start");
	if (call(cli, "POST", &t, NULL, &reply, &err) < 0)
		return cli_fail(1, &err);
	return attach_finish(&s);
}

static int start_run(struct cli *cli, int argc, char **argv)
{
	struct start_options o = {.sig_proxy = true};
	_cleanup_args_ struct args a = {};
	int r = cli_parse(cli, argc, argv, &o, &a);
	if (r != CLI_PARSED)
		return r;
	if (!o.attach && !o.interactive) {
		struct each_call e = {"POST", "/containers/", "/start", NULL, NULL};
		return each_name(cli, &e, &a);
	}
	if (a.n > 1)
		return cli_error("you cannot start and attach multiple containers at once");
	return start_attached(cli, &o, a.v[0]);
}

const struct command command_start = {
	.name = "start",
	.group = GROUP_RUN,
	.usage = "[OPTIONS] CONTAINER [CONTAINER...]",
	.summary = "Start containers that were created or have stopped",
	.examples = "  coffer start web\n  coffer start -ai shell\n",
	.flags = {FLAGS(start_rows)},
	.min_args = 1,
	.max_args = ARGS_ANY,
	.run = start_run,
};

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `logs`: a chunked stream of raw bytes or frames, written on as it comes.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "cli/call.h"
#include "cli/demux.h"
#include "cli/link.h"

struct logs_options {
	bool follow, timestamps, details;
	const char *tail, *since, *until; /* borrowed */
};

#define O(field) offsetof(struct logs_options, field)
static const struct flag rows[] = {
	{"details", 0, FLAG_BOOL, O(details), NULL, "Show the attributes that log options added"},
	{"follow", 'f', FLAG_BOOL, O(follow), NULL, "Keep going until the container stops, over restarts by its policy"},
	{"since", 0, FLAG_STR, O(since), "time", "From a time on: 2026-01-02T15:04:05, unix seconds, or 10m (ago)"},
	{"tail", 'n', FLAG_STR, O(tail), "n", "Only the last lines (default all)"},
	{"timestamps", 't', FLAG_BOOL, O(timestamps), NULL, "Show when each line was written"},
	{"until", 0, FLAG_STR, O(until), "time", "Up to a time"},
};

static int target(struct strbuf *t, const struct logs_options *o, const char *name, struct err *err)
{
	int r;
	target_start(t, "/containers/", name, "/logs?stdout=1&stderr=1");
	if (o->follow) {
		target_query(t, "follow", "1");
		target_query(t, "restarts", "1"); /* ours: docker's follow ends with the run */
	}
	if (o->timestamps)
		target_query(t, "timestamps", "1");
	if (o->details)
		target_query(t, "details", "1");
	if (o->tail)
		target_query(t, "tail", o->tail);
	if ((r = target_when(t, "since", o->since, err)) < 0)
		return r;
	return target_when(t, "until", o->until, err);
}

static int copy(struct cli *cli, struct http_conn *c, bool raw, struct err *err)
{
	struct demux d = {.raw = raw};
	const char *p, *slice;
	size_t n, len;
	int r, sink = 0;
	while ((r = http_recv_body(c, &p, &n)) > 0)
		while ((sink = demux_next(&d, &p, &n, &slice, &len)) != 0) {
			if (sink < 0)
				return err_set(err, ERR_CORRUPT, "the log stream is damaged: not a frame");
			int w = write_all(sink, slice, len);
			if (w == -EPIPE)
				return w;
			if (w < 0)
				return err_sys(err, w, "writing the log");
		}
	return r < 0 ? link_lost(cli, r, err) : 0;
}

static int logs_run(struct cli *cli, int argc, char **argv)
{
	struct logs_options o = {};
	_cleanup_args_ struct args a = {};
	_cleanup_strbuf_ struct strbuf t = TARGET_INIT;
	_cleanup_http_conn_ struct http_conn *c = NULL;
	struct http_answer head;
	struct err err;
	int r = cli_parse(cli, argc, argv, &o, &a);
	if (r != CLI_PARSED)
		return r;
	if (target(&t, &o, a.v[0], &err) < 0 || link_open(cli, &c, &err) < 0 || call_send(cli, c, "GET", &t, NULL, 0, &err) < 0 ||
	    call_head(cli, c, &head, &err) < 0)
		return cli_fail(1, &err);
	r = copy(cli, c, strstr(head.content_type, "raw-stream"), &err);
	if (r == -EPIPE)
		return 128 + SIGPIPE;
	return r < 0 ? cli_fail(1, &err) : 0;
}

const struct command command_logs = {
	.name = "logs",
	.group = GROUP_CONTAINERS,
	.usage = "[OPTIONS] CONTAINER",
	.summary = "Show what a container wrote",
	.examples = "  coffer logs -f --tail 100 web\n  coffer logs --since 10m -t web\n",
	.flags = {FLAGS(rows)},
	.min_args = 1,
	.max_args = 1,
	.run = logs_run,
};

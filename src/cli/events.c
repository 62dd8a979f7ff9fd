/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `events`: what happens, a line each, as it happens.
 */
#include <stdio.h>

#include "base/clock.h"
#include "cli/call.h"
#include "cli/link.h"
#include "cli/list.h"
#include "cli/template.h"
#include "cli/template_value.h"

#define EVENT_MAX (1 << 20)

struct events_options {
	char **filters; /* owned */
	const char *format, *since, *until; /* borrowed */
};

#define O(field) offsetof(struct events_options, field)
static const struct flag rows[] = {
	{"filter", 'f', FLAG_FILTER, O(filters), "key=value", "Keep what matches: type, event, container, image, label, volume"},
	{"format", 0, FLAG_STR, O(format), "template", "Go template, or json"},
	{"since", 0, FLAG_STR, O(since), "time", "What was before, too: 2026-01-02T15:04:05, unix seconds, or 10m (ago); the daemon remembers the newest"},
	{"until", 0, FLAG_STR, O(until), "time", "Stop at a time"},
};
#undef O

/* "2026-11-23T20:36:13.123456789Z container start 0123... (image=busybox, name=web)" */
static int print_plain(const struct json *doc, struct strbuf *out, struct err *err)
{
	char when[TIME_RFC3339_MAX];
	const struct json *actor = json_get(doc, "Actor");
	const char *id = json_str(json_get(actor, "ID"), "");
	const struct json *attributes = json_get(actor, "Attributes");
	_cleanup_strv_ char **keys = NULL;
	if (sorted_keys(attributes, &keys) < 0)
		return err_oom(err);
	strbuf_addf(out, "%s %s %s", time_format_rfc3339(when, json_int(json_get(doc, "timeNano"), 0), /* fixed= */ true), json_str(json_get(doc, "Type"), ""),
		    json_str(json_get(doc, "Action"), ""));
	strbuf_addf(out, " %s (", id);
	STRV_FOREACH (key, keys)
		strbuf_addf(out, "%s%s=%s", key == keys[0] ? "" : ", ", key, json_str(json_get(attributes, key), ""));
	strbuf_addc(out, ')');
	return strbuf_err(out) < 0 ? err_oom(err) : 0;
}

static int print_event(const char *text, size_t len, const char *format, struct err *err)
{
	_cleanup_json_ struct json *doc = NULL;
	_cleanup_strbuf_ struct strbuf out = STRBUF_INIT(EVENT_MAX * 2);
	int r = json_parse(text, len, EVENT_MAX, "an event", &doc, err);
	r = r < 0 ? r : format ? template_run(str_eq(format, "json") ? "{{json .}}" : format, doc, &out, err) : print_plain(doc, &out, err);
	if (r < 0)
		return r;
	for (char *p = out.s; p && *p; p++)
		if ((unsigned char) *p < 0x20 && *p != '\t')
			*p = '?'; /* a label must not write to the terminal */
	(void) printf("%s\n", out.s ? out.s : "");
	(void) fflush(stdout);
	return ferror(stdout) ? -1 : 0;
}

/* Lines may come in pieces. */
static int print_all(struct cli *cli, struct http_conn *c, const char *format, struct err *err)
{
	_cleanup_strbuf_ struct strbuf line = STRBUF_INIT(EVENT_MAX);
	const char *p;
	size_t n;
	int r;
	while ((r = http_recv_body(c, &p, &n)) > 0)
		for (size_t i = 0; i < n; i++) {
			if (p[i] != '\n') {
				strbuf_addc(&line, p[i]);
				continue;
			}
			if (strbuf_err(&line) < 0)
				return err_set(err, ERR_CORRUPT, "an event is larger than %d bytes", EVENT_MAX);
			r = line.len ? print_event(line.s, line.len, format, err) : 0;
			if (r < 0)
				return r;
			strbuf_reset(&line);
		}
	return r < 0 ? link_lost(cli, r, err) : 0;
}

static int events(struct cli *cli, const struct events_options *o)
{
	_cleanup_strbuf_ struct strbuf t = TARGET_INIT;
	_cleanup_free_ char *filters = NULL;
	_cleanup_http_conn_ struct http_conn *c = NULL;
	struct http_answer head;
	struct err err = {};
	target_start(&t, "/events", NULL, NULL);
	if (o->format && template_check(o->format, &err) < 0)
		return cli_fail(CLI_EXIT_TEMPLATE, &err);
	if (list_filters(o->filters, &filters, &err) < 0 || target_when(&t, "since", o->since, &err) < 0 || target_when(&t, "until", o->until, &err) < 0)
		return cli_fail(1, &err);
	if (filters)
		target_query(&t, "filters", filters);
	if (link_open(cli, &c, &err) < 0 || call_send(cli, c, "GET", &t, NULL, 0, &err) < 0 || call_head(cli, c, &head, &err) < 0)
		return cli_fail(1, &err);
	if (print_all(cli, c, o->format, &err) < 0)
		return err.kind == ERR_NONE ? 1 : cli_fail(1, &err);
	return 0;
}

static int events_run(struct cli *cli, int argc, char **argv)
{
	struct events_options o = {};
	_cleanup_args_ struct args a = {};
	int code = cli_parse(cli, argc, argv, &o, &a);
	if (code == CLI_PARSED)
		code = events(cli, &o);
	flag_release(cli->command->flags, &o);
	return code;
}

const struct command command_events = {
	.name = "events",
	.group = GROUP_OTHER,
	.usage = "[OPTIONS]",
	.summary = "Show what happens to containers, images and volumes",
	.examples = "  coffer events --filter type=container --format '{{.Action}} {{.Actor.Attributes.name}}'\n  coffer events --since 10m --until 0s\n",
	.flags = {FLAGS(rows)},
	.max_args = 0,
	.run = events_run,
};

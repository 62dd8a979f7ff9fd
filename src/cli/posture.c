/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `posture`: what confines a container, as the engine read it back from the kernel; a table to take in at a glance.
 */
#include <stdio.h>
#include <unistd.h>

#include "cli/call.h"
#include "base/pretty.h"
#include "base/table.h"
#include "base/term.h"

struct posture_options {
	const char *format; /* borrowed */
};

static const struct flag rows[] = {
	{"format", 0, FLAG_STR, offsetof(struct posture_options, format), "format", "table (default) or json"},
};

/* What each state looks like: the word and the SGR colour. */
static const struct look {
	const char *state, *colour;
} looks[] = {{"ok", "32"}, {"weakened", "33"}, {"absent", "31"}, {"unverified", "36"}};
#define STATE_WIDTH 10

static const char *colour_of(const char *state)
{
	for (size_t i = 0; i < ARRAY_LEN(looks); i++)
		if (str_eq(looks[i].state, state))
			return looks[i].colour;
	return "0";
}

static const char *text_of(const struct json *row, const char *key)
{
	return json_str(json_get(row, key), "");
}

static void add_plain(struct strbuf *out, const char *s)
{
	for (; *s; s++)
		strbuf_addc(out, (unsigned char) *s < 0x20 || *s == 0x7f ? ' ' : *s);
}

/* Words of @text from @column on, wrapped at @width (0: not at all). */
static void add_wrapped(struct strbuf *out, const char *text, size_t column, size_t width)
{
	size_t at = 0, room = width > column + 20 ? width - column : 0;
	while (*text) {
		size_t n = strcspn(text, " ");
		char word[512];
		if (str_format(word, sizeof(word), "%.*s", (int) MIN(n, sizeof(word) - 1), text) < 0)
			return;
		size_t w = text_width(word);
		if (at > 0 && room > 0 && at + 1 + w > room) {
			strbuf_addf(out, "\n%*s", (int) column, "");
			at = 0;
		} else if (at > 0) {
			strbuf_addc(out, ' ');
			at++;
		}
		add_plain(out, word);
		at += w;
		text += n + (text[n] == ' ');
	}
	strbuf_addc(out, '\n');
}

static void add_layer(struct strbuf *out, const struct json *layer, size_t name_width, size_t width, bool colour)
{
	const char *name = text_of(layer, "Layer"), *state = text_of(layer, "State"), *by = text_of(layer, "By"), *why = text_of(layer, "Why");
	_cleanup_strbuf_ struct strbuf text = STRBUF_INIT(64 << 10);
	strbuf_adds(out, "  ");
	add_plain(out, name);
	strbuf_addf(out, "%*s", (int) (name_width - MIN(text_width(name), name_width) + 2), "");
	if (colour)
		strbuf_addf(out, "\033[%sm%-*s\033[0m  ", colour_of(state), STATE_WIDTH, state);
	else
		strbuf_addf(out, "%-*s  ", STATE_WIDTH, state);
	strbuf_adds(&text, text_of(layer, "Value"));
	if (*by)
		strbuf_addf(&text, "%s(by %s)", text.len ? " " : "", by);
	if (*why)
		strbuf_addf(&text, "%s%s", text.len ? ": " : "", why);
	add_wrapped(out, text.s ? text.s : "", 2 + name_width + 2 + STATE_WIDTH + 2, width);
}

static void add_sum(struct strbuf *out, const struct json *layers)
{
	const char *between = "";
	strbuf_adds(out, "\n  ");
	for (size_t s = 0; s < ARRAY_LEN(looks); s++) {
		size_t n = 0;
		JSON_FOREACH(layer, i, layers)
			n += str_eq(text_of(layer, "State"), looks[s].state);
		if (n > 0) {
			strbuf_addf(out, "%s%zu %s", between, n, looks[s].state);
			between = ", ";
		}
	}
	strbuf_addc(out, '\n');
}

static int show(const struct json *doc)
{
	_cleanup_strbuf_ struct strbuf out = STRBUF_INIT(4 << 20);
	const struct json *layers = json_get(doc, "Layers");
	const char *name = text_of(doc, "Name"), *no_color = getenv("NO_COLOR");
	unsigned rows_ = 0, cols = 0;
	bool tty = term_size(STDOUT_FILENO, &rows_, &cols), colour = isatty(STDOUT_FILENO) && str_empty(no_color);
	size_t name_width = 8;
	JSON_FOREACH(layer, i, layers)
		name_width = MAX(name_width, text_width(text_of(layer, "Layer")));
	add_plain(&out, name + (*name == '/'));
	strbuf_addf(&out, "  %.12s\n\n", text_of(doc, "Container"));
	JSON_FOREACH(layer, k, layers)
		add_layer(&out, layer, name_width, tty ? cols : 0, colour);
	add_sum(&out, layers);
	if (strbuf_err(&out) < 0)
		return cli_error("the report is too large to show");
	(void) printf("%s", out.s);
	return 0;
}

static int posture_run(struct cli *cli, int argc, char **argv)
{
	struct posture_options o = {};
	_cleanup_args_ struct args a = {};
	_cleanup_strbuf_ struct strbuf t = TARGET_INIT, text = STRBUF_INIT(4 << 20);
	_cleanup_reply_ struct reply reply = REPLY_INIT;
	_cleanup_json_ struct json *doc = NULL;
	struct err err;
	int r = cli_parse(cli, argc, argv, &o, &a);
	if (r != CLI_PARSED)
		return r;
	if (o.format && !str_eq(o.format, "json") && !str_eq(o.format, "table"))
		return cli_error("invalid --format '%.60s': use table or json", o.format);
	target_start(&t, "/containers/", a.v[0], "/posture");
	if (call(cli, "GET", &t, NULL, &reply, &err) < 0)
		return cli_fail(1, &err);
	const char *body = reply.text.s ? reply.text.s : "";
	if (str_eq(o.format, "json")) {
		json_pretty(body, 0, &text);
		(void) printf("%s\n", text.s ? text.s : "");
		return 0;
	}
	if (json_parse(body, reply.text.len, REPLY_MAX, "the engine's answer", &doc, &err) < 0)
		return cli_fail(1, &err);
	return show(doc);
}

const struct command command_posture = {
	.name = "posture",
	.group = GROUP_CONTAINERS,
	.usage = "[OPTIONS] CONTAINER",
	.summary = "Show what confines a running container, read back from the kernel",
	.examples = "  coffer posture web\n  coffer posture --format json web\n",
	.flags = {FLAGS(rows)},
	.min_args = 1,
	.max_args = 1,
	.run = posture_run,
};

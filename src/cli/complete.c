/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The line is read as the parser would read it, up to the cursor; what may stand there follows from the flag's row or from the command's usage text
 * ("[OPTIONS] CONTAINER [CONTAINER...]"). An engine that does not answer offers no names: a shell's line is no place for errors.
 */
#include "cli/complete.h"

#include <ctype.h>
#include <signal.h>
#include <stdio.h>

#include "cli/call.h"
#include "spec/runtime.h"

#define WORD_MAX 512

struct line {
	struct cli *cli;
	char **words;   /* words[n] is the one at the cursor */
	size_t n;
	const char *cur;
	const char *before; /* what of the word stands before @cur: "--network="; "" mostly */
	unsigned hints; /* enum complete_hint */
};

/* What a place takes. */
enum kind { KIND_NOTHING, KIND_CONTAINER, KIND_IMAGE, KIND_VOLUME, KIND_NETWORK, KIND_ANY, KIND_FILE, KIND_DIR, KIND_SIGNAL, KIND_CAP, KIND_RUNTIME, KIND_COMMAND };

static void offer(const struct line *l, const char *word, const char *what)
{
	if (strncmp(word, l->cur, strlen(l->cur)) != 0 || !str_is_plain(word))
		return;
	(void) printf("%s%s%s%s\n", l->before, word, str_empty(what) ? "" : "\t", what ? what : "");
}

static void offer_words(const struct line *l, const char *list)
{
	char word[WORD_MAX];
	for (const char *s = list; *s;) {
		size_t n = strcspn(s, " ");
		if (str_format(word, sizeof(word), "%.*s", (int) n, s) > 0)
			offer(l, word, NULL);
		s += n + (s[n] == ' ');
	}
}

/* ---- names that the engine knows ---- */

static struct json *ask(const struct line *l, const char *path, const char *key, const char *value)
{
	_cleanup_strbuf_ struct strbuf t = TARGET_INIT;
	struct json *doc = NULL;
	struct err err;
	target_start(&t, path, NULL, NULL);
	if (key)
		target_query(&t, key, value);
	return call_json(l->cli, "GET", &t, NULL, &doc, &err) < 0 ? NULL : doc;
}

/* Which containers a command can mean; NULL: all. */
static const char *wanted_states(const struct command *c)
{
	static const struct {
		const char *name, *filter;
	} rows[] = {
		{"start", "{\"status\":[\"created\",\"exited\"]}"}, {"stop", "{\"status\":[\"running\",\"paused\",\"restarting\"]}"},
		{"kill", "{\"status\":[\"running\",\"paused\"]}"},  {"attach", "{\"status\":[\"running\"]}"},
		{"exec", "{\"status\":[\"running\"]}"},             {"pause", "{\"status\":[\"running\"]}"},
		{"unpause", "{\"status\":[\"paused\"]}"},           {"top", "{\"status\":[\"running\"]}"},
		{"port", "{\"status\":[\"running\"]}"},             {"posture", "{\"status\":[\"running\"]}"},
		{"stats", "{\"status\":[\"running\"]}"},
	};
	for (size_t i = 0; c && i < ARRAY_LEN(rows); i++)
		if (str_eq(rows[i].name, c->name))
			return rows[i].filter;
	return NULL;
}

static void offer_containers(const struct line *l, const struct command *c)
{
	const char *states = wanted_states(c);
	_cleanup_json_ struct json *list = ask(l, "/containers/json", states ? "filters" : "all", states ? states : "1");
	JSON_FOREACH(item, i, list)
		JSON_FOREACH(name, k, json_get(item, "Names")) {
			const char *s = json_str(name, "");
			offer(l, s + (*s == '/'), json_str(json_get(item, "Image"), ""));
		}
}

static void offer_images(const struct line *l)
{
	_cleanup_json_ struct json *list = ask(l, "/images/json", NULL, NULL);
	JSON_FOREACH(item, i, list)
		JSON_FOREACH(tag, k, json_get(item, "RepoTags"))
			offer(l, json_str(tag, ""), NULL);
}

static void offer_named(const struct line *l, const struct json *list, const char *what)
{
	JSON_FOREACH(item, i, list)
		offer(l, json_str(json_get(item, "Name"), ""), json_str(json_get(item, what), ""));
}

static void offer_volumes(const struct line *l)
{
	_cleanup_json_ struct json *doc = ask(l, "/volumes", NULL, NULL);
	offer_named(l, json_get(doc, "Volumes"), "Driver");
}

static void offer_networks(const struct line *l)
{
	_cleanup_json_ struct json *doc = ask(l, "/networks", NULL, NULL);
	offer_named(l, doc, "Driver");
}

static void offer_runtimes(const struct line *l)
{
	_cleanup_json_ struct json *doc = ask(l, "/info", NULL, NULL);
	JSON_FOREACH_MEMBER(name, value, json_get(doc, "Runtimes"))
		offer(l, value ? name : "", NULL);
}

static void offer_signals(const struct line *l)
{
	for (int i = 1; i < SIGRTMIN; i++)
		if (sigabbrev_np(i))
			offer(l, sigabbrev_np(i), sigdescr_np(i));
}

static void offer_caps(const struct line *l)
{
	offer(l, "ALL", NULL);
	for (int i = 0; cap_name(i); i++)
		offer(l, cap_name(i) + strlen("CAP_"), NULL);
}

/* ---- commands and flags ---- */

static void offer_family(const struct line *l, const struct command_family *family)
{
	size_t n;
	char path[COMMAND_PATH_MAX];
	const struct command *const *v = command_list(&n);
	for (size_t i = 0; i < n; i++) {
		const char *name = family_member(family, v[i], path);
		if (name)
			offer(l, name, v[i]->summary);
	}
}

static void offer_commands(const struct line *l)
{
	size_t n;
	const struct command *const *v = command_list(&n);
	for (size_t i = 0; i < n; i++)
		if (!strchr(v[i]->name, ' '))
			offer(l, v[i]->name, v[i]->summary);
	const struct command_family *f = command_families(&n);
	for (size_t i = 0; i < n; i++)
		offer(l, f[i].name, f[i].summary);
	offer(l, "help", "Show how a command is used");
}

static void offer_flags(struct line *l, const struct flag_table *const *tables)
{
	char name[80];
	for (const struct flag_table *const *t = tables; *t; t++)
		for (size_t i = 0; i < (*t)->n; i++)
			if (flag_is_shown(&(*t)->rows[i]) && str_format(name, sizeof(name), "--%s", (*t)->rows[i].name) > 0)
				offer(l, name, (*t)->rows[i].help);
	offer(l, "--help", "Show how it is used");
}

/* "Keep what matches: status, name, ...": the keys that a filter's help names */
static void offer_filter_keys(struct line *l, const struct flag *f)
{
	const char *list = f->help ? strchr(f->help, ':') : NULL;
	char word[64];
	if (!list || strchr(l->cur, '='))
		return;
	for (const char *s = list + 1; *s;) {
		s += strspn(s, " ,");
		size_t n = strcspn(s, ", ");
		if (n > 0 && str_format(word, sizeof(word), "%.*s=", (int) n, s) > 0)
			offer(l, word, NULL);
		s += n;
	}
	l->hints |= COMPLETE_NO_SPACE;
}

/* Values of flags, by the flag's name. */
static const struct {
	const char *flag, *words;
	enum kind kind;
} values[] = {
	{"cap-add", "", KIND_CAP},
	{"cap-drop", "", KIND_CAP},
	{"cgroupns", "host private", KIND_NOTHING},
	{"format", "json table", KIND_NOTHING},
	{"ipc", "private shareable none host", KIND_NOTHING},
	{"log-driver", "json-file local none", KIND_NOTHING},
	{"log-level", "debug info warn error fatal", KIND_NOTHING},
	{"net", "none host bridge", KIND_NETWORK},
	{"network", "none host bridge", KIND_NETWORK},
	{"pull", "always missing never", KIND_NOTHING},
	{"restart", "no always unless-stopped on-failure", KIND_NOTHING},
	{"runtime", "", KIND_RUNTIME},
	{"security-opt", "no-new-privileges seccomp= systempaths=unconfined landlock=unconfined label= apparmor=", KIND_NOTHING},
	{"signal", "", KIND_SIGNAL},
	{"stop-signal", "", KIND_SIGNAL},
	{"type", "container image volume network", KIND_NOTHING},
	{"userns", "auto remap map host", KIND_NOTHING},
	{"volume", "", KIND_VOLUME},
	{"volumes-from", "", KIND_CONTAINER},
};

static enum kind kind_of_arg(const char *arg)
{
	static const struct {
		const char *part;
		enum kind kind;
	} rows[] = {{"file", KIND_FILE}, {"container", KIND_CONTAINER}, {"image", KIND_IMAGE}, {"path", KIND_FILE}, {"host-dir", KIND_DIR}};
	for (size_t i = 0; arg && i < ARRAY_LEN(rows); i++)
		if (strcmp(rows[i].part, arg) == 0)
			return rows[i].kind;
	return KIND_NOTHING;
}

static void offer_kind(struct line *l, enum kind kind, const struct command *c)
{
	switch (kind) {
	case KIND_NOTHING:
		return;
	case KIND_CONTAINER:
		return offer_containers(l, c);
	case KIND_IMAGE:
		return offer_images(l);
	case KIND_VOLUME:
		return offer_volumes(l);
	case KIND_NETWORK:
		return offer_networks(l);
	case KIND_SIGNAL:
		return offer_signals(l);
	case KIND_CAP:
		return offer_caps(l);
	case KIND_RUNTIME:
		return offer_runtimes(l);
	case KIND_COMMAND:
		return offer_commands(l);
	case KIND_FILE:
		l->hints |= COMPLETE_FILES;
		return;
	case KIND_DIR:
		l->hints |= COMPLETE_DIRS;
		return;
	case KIND_ANY:
		offer_containers(l, c);
		offer_images(l);
		offer_volumes(l);
		offer_networks(l);
	}
}

static void offer_value(struct line *l, const struct flag *f)
{
	if (f->kind == FLAG_FILTER)
		return offer_filter_keys(l, f);
	for (size_t i = 0; i < ARRAY_LEN(values); i++)
		if (str_eq(values[i].flag, f->name)) {
			offer_words(l, values[i].words);
			offer_kind(l, values[i].kind, NULL);
			if (values[i].kind == KIND_VOLUME)
				l->hints |= COMPLETE_FILES | COMPLETE_NO_SPACE; /* a host's path, too; ":target" follows */
			return;
		}
	offer_kind(l, kind_of_arg(f->arg), NULL);
}

/* ---- where the cursor is ---- */

/* The @n-th positional argument by the usage text; its last one repeats with "...". */
static enum kind kind_of_position(const char *usage, size_t n)
{
	static const struct {
		const char *word; /* what the argument's name holds */
		enum kind kind;
	} rows[] = {
		{"PATH", KIND_FILE}, {"FILE", KIND_FILE}, {"CONTAINER", KIND_CONTAINER}, {"IMAGE", KIND_IMAGE}, {"SOURCE", KIND_IMAGE}, {"REPOSITORY", KIND_IMAGE}, {"VOLUME", KIND_VOLUME}, {"NETWORK", KIND_NETWORK},
		{"NETWORK", KIND_NETWORK}, {"NAME", KIND_ANY},
	};
	char word[64] = "";
	for (const char *s = usage; *s;) {
		size_t len = strcspn(s, " ");
		bool more = strstr(s, "...") && strstr(s, "...") < s + len, options = str_after(s, "[OPTIONS]");
		if (!options && !(more && *word)) /* "[CONTAINER...]" says the same once more */
			(void) str_format(word, sizeof(word), "%.*s", (int) len, s);
		if (!options && (n == 0 || more))
			break;
		n -= !options;
		s += len + (s[len] == ' ');
		if (!*s)
			return KIND_NOTHING;
	}
	if (str_after(word, "NEW_"))
		return KIND_NOTHING;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (strstr(word, rows[i].word))
			return rows[i].kind;
	return KIND_NOTHING;
}

static const struct flag *find_flag(const struct flag_table *const *tables, const char *word)
{
	bool is_long = word[1] == '-';
	size_t len = is_long ? strcspn(word + 2, "=") : 0;
	for (const struct flag_table *const *t = tables; *t; t++)
		for (size_t i = 0; i < (*t)->n; i++) {
			const struct flag *f = &(*t)->rows[i];
			if (is_long ? strlen(f->name) == len && strncmp(f->name, word + 2, len) == 0 : f->abbr && f->abbr == word[strlen(word) - 1])
				return f;
		}
	return NULL;
}

/* Walk words[*at..n): flags and positional arguments. Return: the flag whose value the cursor is at, or NULL. *@ret_ended: flags are over. */
static const struct flag *walk(const struct line *l, const struct flag_table *const *tables, bool strict, size_t *at, size_t *ret_args, bool *ret_ended)
{
	*ret_args = 0;
	*ret_ended = false;
	for (; *at < l->n; (*at)++) {
		const char *w = l->words[*at];
		if (*ret_ended || w[0] != '-' || !w[1]) {
			(*ret_args)++;
			*ret_ended = *ret_ended || strict;
			if (strict && tables == top_flags)
				return NULL; /* the command */
			continue;
		}
		if (str_eq(w, "--")) {
			*ret_ended = true;
			continue;
		}
		const struct flag *f = find_flag(tables, w);
		if (!f || !flag_takes_value(f) || (w[1] == '-' && strchr(w, '=')))
			continue;
		if (++*at == l->n)
			return f;
	}
	return NULL;
}

/* A flag, or "--flag=VALUE" */
static void at_flag(struct line *l, const struct flag_table *const *tables)
{
	char before[WORD_MAX];
	const char *eq = strchr(l->cur, '=');
	const struct flag *f = eq && l->cur[1] == '-' ? find_flag(tables, l->cur) : NULL;
	if (!eq)
		return offer_flags(l, tables);
	if (!f || str_format(before, sizeof(before), "%.*s", (int) (eq + 1 - l->cur), l->cur) < 0)
		return;
	l->before = before;
	l->cur = eq + 1;
	offer_value(l, f);
	l->before = "";
}

static void in_command(struct line *l, const struct command *c, size_t at)
{
	size_t args;
	bool ended;
	const struct flag *f = walk(l, c->flags, c->mode & COMMAND_STRICT_ORDER, &at, &args, &ended);
	if (f)
		offer_value(l, f);
	else if (*l->cur == '-' && !ended)
		at_flag(l, c->flags);
	else if (args < c->max_args)
		offer_kind(l, kind_of_position(c->usage, args), c);
}

static void at_command(struct line *l, size_t at)
{
	int words;
	if (at == l->n)
		return *l->cur == '-' ? at_flag(l, top_flags) : offer_commands(l);
	const struct command *c = command_find((int) (l->n - at), l->words + at, &words);
	const struct command_family *family = command_family_find(l->words[at]);
	if (c)
		in_command(l, c, at + (size_t) words);
	else if (family && at + 1 == l->n)
		offer_family(l, family);
	else if (str_eq(l->words[at], "help") && at + 1 == l->n)
		offer_commands(l);
}

int complete(struct cli *cli, int argc, char **argv)
{
	struct line l = {.cli = cli, .words = argv, .n = argc > 0 ? (size_t) argc - 1 : 0, .cur = argc > 0 ? argv[argc - 1] : "", .before = ""};
	size_t at = 0, args;
	bool ended;
	const struct flag *f = walk(&l, top_flags, /* strict= */ true, &at, &args, &ended);
	for (size_t i = 0; i + 1 < at; i++)
		if (str_eq(l.words[i], "-H") || str_eq(l.words[i], "--host"))
			cli->host = l.words[i + 1];
	if (f)
		offer_value(&l, f);
	else
		at_command(&l, at);
	(void) printf(":%u\n", l.hints);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "image/changes.h"

#include <ctype.h>
#include <errno.h>
#include <strings.h>

#include "codec/json.h"

enum { LINE_MAX_LEN = 64 << 10 };

/* One word of a line, quotes and backslashes undone. Return: 1, 0 at the end, -EINVAL for an open quote, -ENOMEM. */
static int next_word(const char **p, char **ret)
{
	const char *s = *p + strspn(*p, " \t");
	if (!*s)
		return 0;
	_cleanup_strbuf_ struct strbuf b = STRBUF_INIT(LINE_MAX_LEN);
	char quote = 0;
	for (; *s && (quote || !isspace((unsigned char) *s)); s++) {
		if (quote ? *s == quote : (*s == '"' || *s == '\'')) {
			quote = quote ? 0 : *s;
			continue;
		}
		if (*s == '\\' && quote != '\'' && s[1])
			s++;
		strbuf_addc(&b, *s);
	}
	if (quote)
		return -EINVAL;
	*p = s;
	*ret = strbuf_steal(&b);
	return *ret ? 1 : -ENOMEM;
}

/* A JSON array of strings, or a shell line. */
static int set_command(char ***v, const char *arg, struct err *err)
{
	_cleanup_json_ struct json *root = NULL;
	_cleanup_strv_ char **out = NULL;
	struct err ignored;
	if (arg[0] == '[' && json_parse(arg, strlen(arg), LINE_MAX_LEN, "command", &root, &ignored) >= 0) {
		int r = json_strv(root, "command", &out, err);
		if (r < 0)
			return r;
	} else if (strv_push(&out, "/bin/sh") < 0 || strv_push(&out, "-c") < 0 || strv_push(&out, arg) < 0)
		return err_oom(err);
	strv_freep(v);
	*v = take_ptr(out);
	return 0;
}

static int set_cmd(struct image_config *c, const char *arg, struct err *err)
{
	return set_command(&c->cmd, arg, err);
}

static int set_entrypoint(struct image_config *c, const char *arg, struct err *err)
{
	return set_command(&c->entrypoint, arg, err);
}

static int set_text(char **at, const char *arg, struct err *err)
{
	char *s = strdup(arg);
	if (!s)
		return err_oom(err);
	free(*at);
	*at = s;
	return 0;
}

static int set_user(struct image_config *c, const char *arg, struct err *err)
{
	return set_text(&c->user, arg, err);
}

static int set_workdir(struct image_config *c, const char *arg, struct err *err)
{
	return arg[0] == '/' ? set_text(&c->working_dir, arg, err) : err_set(err, ERR_INVALID, "the path must be absolute");
}

static int set_stopsignal(struct image_config *c, const char *arg, struct err *err)
{
	return set_text(&c->stop_signal, arg, err);
}

static int put_env(struct image_config *c, const char *key, const char *value, struct err *err)
{
	char *entry = str_printf("%s=%s", key, value);
	size_t n = strlen(key);
	if (!entry)
		return err_oom(err);
	for (char **e = c->env; e && *e; e++)
		if (strncmp(*e, key, n) == 0 && (*e)[n] == '=') {
			free(*e);
			*e = entry;
			return 0;
		}
	if (strv_push_take(&c->env, entry) < 0) {
		free(entry);
		return err_oom(err);
	}
	return 0;
}

static int put_label(struct image_config *c, const char *key, const char *value, struct err *err)
{
	for (size_t i = 0; i < strv_len(c->label_keys); i++)
		if (strcmp(c->label_keys[i], key) == 0)
			return set_text(&c->label_values[i], value, err);
	return strv_push(&c->label_keys, key) < 0 || strv_push(&c->label_values, value) < 0 ? err_oom(err) : 0;
}

typedef int (*put_pair)(struct image_config *c, const char *key, const char *value, struct err *err);

/* "K=V K2='V 2'", or the old form "K the rest". */
static int set_pairs(struct image_config *c, const char *arg, put_pair put, struct err *err)
{
	int r;
	for (bool first = true;; first = false) {
		_cleanup_free_ char *word = NULL;
		r = next_word(&arg, &word);
		if (r <= 0)
			break;
		char *eq = strchr(word, '=');
		if (!eq) {
			const char *rest = arg + strspn(arg, " \t");
			if (!first || !*rest)
				return err_set(err, ERR_INVALID, "'%.100s' is not KEY=VALUE", word);
			return put(c, word, rest, err);
		}
		if (eq == word)
			return err_set(err, ERR_INVALID, "a pair without a key");
		*eq = '\0';
		r = put(c, word, eq + 1, err);
		if (r < 0)
			return r;
	}
	return r == -ENOMEM ? err_oom(err) : r < 0 ? err_set(err, ERR_INVALID, "a quote is not closed") : 0;
}

static int set_env(struct image_config *c, const char *arg, struct err *err)
{
	return set_pairs(c, arg, put_env, err);
}

static int set_label(struct image_config *c, const char *arg, struct err *err)
{
	return set_pairs(c, arg, put_label, err);
}

static bool port_is_valid(const char *s)
{
	size_t n = strspn(s, "0123456789");
	if (n < 1 || n > 5 || s[0] == '0')
		return false;
	return !s[n] || strcmp(s + n, "/tcp") == 0 || strcmp(s + n, "/udp") == 0 || strcmp(s + n, "/sctp") == 0;
}

static int set_expose(struct image_config *c, const char *arg, struct err *err)
{
	int r;
	for (;;) {
		_cleanup_free_ char *word = NULL;
		r = next_word(&arg, &word);
		if (r <= 0)
			break;
		if (!port_is_valid(word))
			return err_set(err, ERR_INVALID, "'%.40s' is not PORT[/tcp|/udp|/sctp]", word);
		char *port = str_printf("%s%s", word, strchr(word, '/') ? "" : "/tcp");
		r = port && strv_has(c->exposed_ports, port) ? (free(port), 0) : strv_push_take(&c->exposed_ports, port);
		if (r < 0) {
			free(port);
			return err_oom(err);
		}
	}
	return r < 0 ? err_set(err, ERR_INVALID, "a quote is not closed") : 0;
}

static int set_volume(struct image_config *c, const char *arg, struct err *err)
{
	_cleanup_json_ struct json *root = NULL;
	_cleanup_strv_ char **paths = NULL;
	struct err ignored;
	if (arg[0] == '[' && json_parse(arg, strlen(arg), LINE_MAX_LEN, "volumes", &root, &ignored) >= 0) {
		int r = json_strv(root, "volumes", &paths, err);
		if (r < 0)
			return r;
	}
	for (int r = 1; !root && r > 0;) {
		_cleanup_free_ char *word = NULL;
		r = next_word(&arg, &word);
		if (r < 0 || (r > 0 && strv_push(&paths, word) < 0))
			return err_set(err, ERR_INVALID, "a quote is not closed");
	}
	STRV_FOREACH(p, paths) {
		if (!*p)
			return err_set(err, ERR_INVALID, "an empty path");
		if (!strv_has(c->volumes, p) && strv_push(&c->volumes, p) < 0)
			return err_oom(err);
	}
	return 0;
}

static const struct {
	const char *name;
	int (*set)(struct image_config *c, const char *arg, struct err *err);
} rows[] = {
	{"CMD", set_cmd},     {"ENTRYPOINT", set_entrypoint}, {"ENV", set_env},	      {"EXPOSE", set_expose},	      {"LABEL", set_label},
	{"USER", set_user}, {"VOLUME", set_volume},	    {"WORKDIR", set_workdir}, {"STOPSIGNAL", set_stopsignal},
};

static int apply_line(struct image_config *c, const char *line, struct err *err)
{
	const char *p = line + strspn(line, " \t");
	size_t n = strcspn(p, " \t");
	const char *arg = p + n + strspn(p + n, " \t");
	if (strlen(line) > LINE_MAX_LEN)
		return err_set(err, ERR_INVALID, "longer than %d bytes", LINE_MAX_LEN);
	if (!str_is_plain(line))
		return err_set(err, ERR_INVALID, "holds control characters");
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (strlen(rows[i].name) == n && strncasecmp(rows[i].name, p, n) == 0)
			return *arg ? rows[i].set(c, arg, err) : err_set(err, ERR_INVALID, "needs an argument");
	return err_set(err, ERR_INVALID, "unknown instruction (CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, USER, VOLUME, WORKDIR and STOPSIGNAL are taken)");
}

int changes_apply(struct image_config *c, char *const *lines, struct err *err)
{
	STRV_FOREACH(line, lines) {
		int r = apply_line(c, line, err);
		if (r < 0)
			return err_wrap(err, "change '%.100s'", str_is_plain(line) ? line : "(unprintable)");
	}
	return 0;
}

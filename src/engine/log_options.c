/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HostConfig.LogConfig: which drivers there are, which options each takes (moby daemon/logger/jsonfilelog, local, loggerutils), the daemon's defaults, and
 * what they come to for the monitor: limits, and the attributes that every record of a json-file carries.
 */
#include <errno.h>
#include <regex.h>

#include "base/num.h"
#include "engine/internal.h"

#define FILES_MAX 1000
#define BUFFER_MAX (1ull << 30)
#define REGEX_BYTES_MAX 256
#define LOCAL_MAX_BYTES (20u << 20) /* docker's defaults of the local driver */
#define LOCAL_MAX_FILES 5

enum { JSON_FILE = 1, LOCAL = 2 };

static const char *opt(const struct container_request *r, const char *key)
{
	const char *v = r->log_opts.keys ? kv_list_get(&r->log_opts, key) : NULL;
	return str_empty(v) ? NULL : v;
}

/* ---- values ---- */

static const char *check_size(const char *v)
{
	uint64_t n;
	return parse_size(v, &n) == 0 && n >= 1 ? NULL : "is no size above 0 such as 10m";
}

static const char *check_files(const char *v)
{
	uint64_t n;
	return parse_u64(v, &n) == 0 && n >= 1 && n <= FILES_MAX ? NULL : "is no number from 1 to 1000";
}

static const char *check_bool(const char *v)
{
	static const char *const words[] = {"true", "false", "1", "0", "t", "f", "T", "F", "TRUE", "FALSE", "True", "False"};
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (str_eq(words[i], v))
			return NULL;
	return "is neither true nor false";
}

static const char *check_regex(const char *v)
{
	regex_t re;
	if (strlen(v) > REGEX_BYTES_MAX)
		return "is longer than 256 bytes";
	if (regcomp(&re, v, REG_EXTENDED | REG_NOSUB) != 0)
		return "is no (extended) regular expression";
	regfree(&re);
	return NULL;
}

/* The log is a file: a write to it never waits for a reader, so that both of docker's modes come to the same. */
static const char *check_mode(const char *v)
{
	return str_eq(v, "blocking") || str_eq(v, "non-blocking") ? NULL : "is neither blocking nor non-blocking";
}

static const char *check_buffer(const char *v)
{
	uint64_t n;
	return parse_size(v, &n) == 0 && n >= 1 && n <= BUFFER_MAX ? NULL : "is no size from 1 byte to 1g";
}

/* {{.Name}} and its kind; the whole of Go's templates is the command line's. */
static const char *const tag_fields[] = {"ID", "FullID", "Name", "ImageID", "ImageFullID", "ImageName", "DaemonName", "Command"};

static ssize_t tag_field(const char *s, size_t *ret_len)
{
	const char *end = strstr(s, "}}"), *p = s + 2;
	if (!end)
		return -1;
	p += strspn(p, " ");
	size_t n = strcspn(p, " }");
	*ret_len = (size_t) (end + 2 - s);
	for (size_t i = 0; i < ARRAY_LEN(tag_fields); i++)
		if (p[0] == '.' && strlen(tag_fields[i]) == n - 1 && strncmp(p + 1, tag_fields[i], n - 1) == 0 && p + n + strspn(p + n, " ") == end)
			return (ssize_t) i;
	return -1;
}

static const char *check_tag(const char *v)
{
	size_t n;
	for (; (v = strstr(v, "{{")); v += n)
		if (tag_field(v, &n) < 0)
			return "may name {{.ID}}, {{.FullID}}, {{.Name}}, {{.ImageID}}, {{.ImageFullID}}, {{.ImageName}}, {{.DaemonName}} and {{.Command}}";
	return NULL;
}

static const char *check_anything(const char *v)
{
	return NULL;
}

static const struct {
	const char *key;
	unsigned drivers;
	const char *(*check)(const char *value); /* NULL: good, else what is wrong */
} options[] = {
	{"max-size", JSON_FILE | LOCAL, check_size}, {"max-file", JSON_FILE | LOCAL, check_files}, {"compress", JSON_FILE | LOCAL, check_bool}, {"mode", JSON_FILE | LOCAL, check_mode},
	{"max-buffer-size", JSON_FILE | LOCAL, check_buffer}, {"labels", JSON_FILE, check_anything}, {"labels-regex", JSON_FILE, check_regex}, {"env", JSON_FILE, check_anything},
	{"env-regex", JSON_FILE, check_regex}, {"tag", JSON_FILE, check_tag},
};

static unsigned driver_bit(const char *driver)
{
	return str_empty(driver) || str_eq(driver, "json-file") ? JSON_FILE : str_eq(driver, "local") ? LOCAL : 0;
}

static int check_option(const char *driver, const char *key, const char *value, struct err *err)
{
	for (size_t i = 0; i < ARRAY_LEN(options); i++) {
		if (!str_eq(options[i].key, key) || !(options[i].drivers & driver_bit(driver)))
			continue;
		const char *why = options[i].check(value);
		return why ? err_set(err, ERR_INVALID, "HostConfig.LogConfig (--log-opt): %s='%.64s' %s", key, value, why) : 0;
	}
	return err_set(err, ERR_INVALID, "HostConfig.LogConfig (--log-opt): unknown log opt '%.64s' for %s log driver", key, str_empty(driver) ? "json-file" : driver);
}

static bool is_true(const char *v)
{
	return v && strchr("tT1", *v);
}

int log_options_check(const struct container_request *r, struct err *err)
{
	const char *driver = r->log_type;
	if (str_eq(driver, "none"))
		return 0; /* docker does not look at its options either */
	if (!driver_bit(driver))
		return err_set(err, ERR_UNSUPPORTED, "HostConfig.LogConfig (--log-driver) '%.64s' is not there: json-file, local and none are", driver);
	for (size_t i = 0; r->log_opts.keys && r->log_opts.keys[i]; i++) {
		int rc = check_option(driver, r->log_opts.keys[i], r->log_opts.values[i], err);
		if (rc < 0)
			return rc;
	}
	if (opt(r, "max-buffer-size") && !str_eq(opt(r, "mode"), "non-blocking"))
		return err_set(err, ERR_INVALID, "HostConfig.LogConfig (--log-opt): max-buffer-size can only be used with mode=non-blocking");
	uint64_t files = 1;
	if (opt(r, "max-file"))
		(void) parse_u64(opt(r, "max-file"), &files); /* checked above */
	if (driver_bit(driver) == JSON_FILE && is_true(opt(r, "compress")) && (files < 2 || !opt(r, "max-size")))
		return err_set(err, ERR_INVALID, "HostConfig.LogConfig (--log-opt): compress cannot be true when max-file is less than 2 or max-size is not set");
	return 0;
}

/* ---- the daemon's defaults ---- */

int log_defaults_read(struct engine *e, const char *driver, const struct json *opts, struct err *err)
{
	struct container_request r = {.log_type = (char *) driver};
	e->log_type = str_empty(driver) ? NULL : strdup(driver);
	if (!str_empty(driver) && !e->log_type)
		return err_oom(err);
	JSON_FOREACH_MEMBER(key, v, opts) {
		if (json_kind(v) != JSON_KIND_STRING)
			return err_set(err, ERR_INVALID, "log-opts: %.64s: expected a string, got %s", key, json_kind_name(json_kind(v)));
		if (kv_list_set(&e->log_opts, key, json_str(v, "")) < 0)
			return err_oom(err);
	}
	r.log_opts = e->log_opts;
	int rc = log_options_check(&r, err);
	return rc < 0 ? err_wrap(err, "log-driver, log-opts") : 0;
}

int engine_log_defaults_check(const char *driver, const struct json *opts, struct err *err)
{
	struct engine e = {NULL};
	int rc = log_defaults_read(&e, driver, opts, err);
	free(e.log_type);
	kv_list_done(&e.log_opts);
	return rc;
}

int log_defaults_apply(const struct engine *e, struct container_request *r)
{
	const char *driver = e->log_type ?: "json-file";
	if (str_empty(r->log_type) && !(r->log_type = strdup(driver)))
		return -ENOMEM;
	if (!str_eq(r->log_type, driver))
		return 0; /* the options are another driver's */
	for (size_t i = 0; e->log_opts.keys && e->log_opts.keys[i]; i++)
		if (!(r->log_opts.keys && kv_list_get(&r->log_opts, e->log_opts.keys[i])) && kv_list_set(&r->log_opts, e->log_opts.keys[i], e->log_opts.values[i]) < 0)
			return -ENOMEM;
	return 0;
}

/* ---- attributes ---- */

static bool in_list(const char *list, const char *word)
{
	size_t len = strlen(word);
	for (const char *p = list; p && *p;) {
		size_t n = strcspn(p, ",");
		if (n == len && strncmp(p, word, n) == 0)
			return true;
		p += n + (p[n] == ',');
	}
	return false;
}

struct picker {
	const char *list; /* NULL: none */
	regex_t re;
	bool has_re;
};

static void picker_init(struct picker *p, const char *list, const char *regex)
{
	*p = (struct picker) {.list = list};
	p->has_re = regex && regcomp(&p->re, regex, REG_EXTENDED | REG_NOSUB) == 0; /* checked at create */
}

static void picker_done(struct picker *p)
{
	if (p->has_re)
		regfree(&p->re);
}

static bool picks(const struct picker *p, const char *name)
{
	return (p->list && in_list(p->list, name)) || (p->has_re && regexec(&p->re, name, 0, NULL, 0) == 0);
}

static int pick_labels(const struct container_request *r, struct kv_list *out)
{
	struct picker p;
	int rc = 0;
	picker_init(&p, opt(r, "labels"), opt(r, "labels-regex"));
	for (size_t i = 0; rc >= 0 && r->labels.keys && r->labels.keys[i]; i++)
		if (picks(&p, r->labels.keys[i]))
			rc = kv_list_set(out, r->labels.keys[i], r->labels.values[i]);
	picker_done(&p);
	return rc;
}

static int pick_env(const struct container_request *r, struct kv_list *out)
{
	struct picker p;
	int rc = 0;
	picker_init(&p, opt(r, "env"), opt(r, "env-regex"));
	STRV_FOREACH(entry, r->env) {
		const char *eq = strchr(entry, '=');
		_cleanup_free_ char *name = eq ? strndup(entry, (size_t) (eq - entry)) : NULL;
		if (eq && !name)
			rc = -ENOMEM;
		if (rc >= 0 && name && picks(&p, name))
			rc = kv_list_set(out, name, eq + 1);
	}
	picker_done(&p);
	return rc;
}

static void put_command(struct strbuf *b, const struct container_request *r)
{
	bool first = true;
	char *const *const parts[] = {r->entrypoint, r->cmd};
	for (size_t i = 0; i < ARRAY_LEN(parts); i++)
		STRV_FOREACH(s, parts[i]) {
			strbuf_addf(b, "%s%s", first ? "" : " ", s);
			first = false;
		}
}

static void put_tag_field(struct strbuf *b, const struct container *c, size_t field)
{
	const char *image = str_after(c->image_id, "sha256:") ?: c->image_id;
	const char *const texts[] = {NULL, c->id, c->name, NULL, c->image_id, c->req->image ?: "", "coffer", NULL};
	static_assert(ARRAY_LEN(texts) == ARRAY_LEN(tag_fields), "every field has a text");
	if (texts[field])
		strbuf_adds(b, texts[field]);
	else if (field == ARRAY_LEN(texts) - 1)
		put_command(b, c->req);
	else
		strbuf_addf(b, "%.*s", ID_SHORT_LEN, field == 0 ? c->id : image);
}

static int put_tag(const struct container *c, struct kv_list *out)
{
	const char *tag = opt(c->req, "tag");
	_cleanup_strbuf_ struct strbuf b = STRBUF_INIT(65536);
	if (!tag)
		return 0;
	for (size_t n; *tag;) {
		const char *open = strstr(tag, "{{");
		strbuf_add(&b, tag, open ? (size_t) (open - tag) : strlen(tag));
		if (!open)
			break;
		ssize_t field = tag_field(open, &n);
		if (field < 0)
			break; /* checked at create */
		put_tag_field(&b, c, (size_t) field);
		tag = open + n;
	}
	return strbuf_err(&b) < 0 ? strbuf_err(&b) : kv_list_set(out, "tag", b.s ?: "");
}

static int by_key(const void *a, const void *b)
{
	const char *const *x = a, *const *y = b;
	return strcmp(*x, *y);
}

/* In order of their keys, as Go writes a map. */
static int write_attrs(const struct kv_list *attrs, struct strbuf *out)
{
	_cleanup_strv_ char **keys = NULL;
	struct json_writer w;
	if (!attrs->keys)
		return 0;
	if (strv_dup(attrs->keys, &keys) < 0)
		return -ENOMEM;
	qsort(keys, strv_len(keys), sizeof(*keys), by_key);
	jw_init(&w, out);
	jw_obj(&w, NULL);
	STRV_FOREACH(key, keys)
		jw_str(&w, key, kv_list_get(attrs, key));
	jw_end(&w);
	return strbuf_err(out);
}

int log_attrs(const struct container *c, struct strbuf *out, struct err *err)
{
	struct kv_list attrs = {NULL, NULL};
	int rc = driver_bit(c->req->log_type) == JSON_FILE ? pick_labels(c->req, &attrs) : 0;
	if (driver_bit(c->req->log_type) == JSON_FILE) {
		rc = rc < 0 ? rc : pick_env(c->req, &attrs);
		rc = rc < 0 ? rc : put_tag(c, &attrs);
	}
	rc = rc < 0 ? rc : write_attrs(&attrs, out);
	kv_list_done(&attrs);
	if (rc == -EFBIG || out->len > MONITOR_LOG_ATTRS_MAX)
		return err_set(err, ERR_INVALID, "HostConfig.LogConfig (--log-opt): the labels, variables and tag that every record of the log would carry take more than %d bytes: name fewer",
			       MONITOR_LOG_ATTRS_MAX);
	return rc < 0 ? err_sys(err, rc, "the log's attributes") : 0;
}

/* ---- the monitor's part ---- */

void log_setup(const struct container_request *r, struct monitor_setup *s)
{
	bool local = str_eq(r->log_type, "local"), compress = opt(r, "compress") ? is_true(opt(r, "compress")) : local;
	uint64_t bytes = local ? LOCAL_MAX_BYTES : 0, files = local ? LOCAL_MAX_FILES : 1;
	if (str_eq(r->log_type, "none"))
		return;
	if (opt(r, "max-size"))
		(void) parse_size(opt(r, "max-size"), &bytes); /* checked by policy, like the next */
	if (opt(r, "max-file"))
		(void) parse_u64(opt(r, "max-file"), &files);
	s->flags |= MONITOR_LOG | (local ? MONITOR_LOG_LOCAL : 0) | (compress && files > 1 ? MONITOR_LOG_COMPRESS : 0);
	s->log_max_bytes = bytes;
	s->log_max_files = (uint32_t) MAX(files, 1);
}

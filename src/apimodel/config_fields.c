/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Config, the portable half of a container request, as a table. Order and "empty" are docker's, so that inspect shows what
 * its clients know.
 */
#include "apimodel/internal.h"
#include "apimodel/target.h"
#include "base/num.h"

#define AT(member) .offset = offsetof(struct container_request, member)
#define HEALTH_AT(member) .offset = offsetof(struct health_request, member)
#define HEALTH_MIN_NS 1000000
#define ARG_BYTES 131072 /* MAX_ARG_STRLEN: execve takes no longer string */
#define STOP_FOREVER (-2)

static const struct field health_fields[] = {
	{.name = "Test", .kind = FIELD_STRV, .empty = EMPTY_OMIT, .flags = FIELD_TEXT, .max_bytes = ARG_BYTES, HEALTH_AT(test)},
	{.name = "Interval", .kind = FIELD_I64, .empty = EMPTY_OMIT, HEALTH_AT(interval)},
	{.name = "Timeout", .kind = FIELD_I64, .empty = EMPTY_OMIT, HEALTH_AT(timeout)},
	{.name = "StartPeriod", .kind = FIELD_I64, .empty = EMPTY_OMIT, HEALTH_AT(start_period)},
	{.name = "StartInterval", .kind = FIELD_I64, .empty = EMPTY_OMIT, HEALTH_AT(start_interval)},
	{.name = "Retries", .kind = FIELD_I64, .empty = EMPTY_OMIT, .max = 1000000, HEALTH_AT(retries)},
	{NULL},
};

static int health_check(struct reader *rd, const struct health_request *h)
{
	const struct {
		const char *name;
		int64_t v;
	} times[] = {{"Interval", h->interval}, {"Timeout", h->timeout}, {"StartPeriod", h->start_period}, {"StartInterval", h->start_interval}};
	for (size_t i = 0; i < ARRAY_LEN(times); i++)
		if (times[i].v != 0 && times[i].v < HEALTH_MIN_NS)
			return reader_fail(rd, times[i].name, "%lld ns is less than 1ms", (long long) times[i].v);
	if (!h->test)
		return 0;
	static const char *const verbs[] = {"NONE", "CMD", "CMD-SHELL", NULL};
	if (!word_is_one_of(verbs, h->test[0]))
		return reader_fail(rd, "Test", "'%.60s' is not NONE, CMD or CMD-SHELL", h->test[0]);
	if (!str_eq(h->test[0], "NONE") && !h->test[1])
		return reader_fail(rd, "Test", "%s has no command behind it", h->test[0]);
	return 0;
}

static int health_read(struct reader *rd, const struct field *f, const struct json *v, void *obj)
{
	struct container_request *req = obj;
	int r = reader_kind(rd, f->name, v, JSON_KIND_OBJECT);
	if (r <= 0)
		return r;
	struct health_request h = {NULL};
	size_t mark = reader_enter(rd, f->name);
	r = fields_read(rd, health_fields, v, &h);
	if (r >= 0)
		r = health_check(rd, &h);
	reader_leave(rd, mark);
	bool empty = !h.test && !h.interval && !h.timeout && !h.start_period && !h.start_interval && !h.retries;
	if (r < 0 || empty) {
		strv_free(h.test);
		return r;
	}
	req->health = malloc(sizeof(h));
	if (!req->health) {
		strv_free(h.test);
		return err_oom(rd->err);
	}
	*req->health = h;
	return 0;
}

static void health_write(struct json_writer *w, const struct field *f, const void *obj)
{
	const struct container_request *req = obj;
	if (!req->health)
		return;
	jw_obj(w, f->name);
	fields_write(w, health_fields, req->health);
	jw_end(w);
}

static int env_check(struct reader *rd, const struct field *f, void *obj)
{
	const struct container_request *req = obj;
	STRV_FOREACH(e, req->env) {
		size_t n = strcspn(e, "=");
		if (n == 0)
			return reader_fail(rd, f->name, "invalid environment variable: '%.60s'", e);
		for (size_t i = 0; i < n; i++)
			if ((unsigned char) e[i] < 0x20 || e[i] == 0x7f)
				return reader_fail(rd, f->name, "the name in '%.60s' holds a control character", e);
		/* HOME may end up in a passwd line (CVE-2022-4318); other values may well hold a newline, such as certificates */
		if (str_after(e, "HOME=") && !str_is_plain(e))
			return reader_fail(rd, f->name, "HOME holds a control character");
	}
	return 0;
}

/* Cleaned, and each once: "/a" and "/a/" are one volume. */
static int volumes_check(struct reader *rd, const struct field *f, void *obj)
{
	struct container_request *req = obj;
	_cleanup_strv_ char **out = NULL;
	char name[PATH_FIELD_MAX + 16];
	(void) str_format(name, sizeof(name), "%s%s", rd->path, f->name);
	STRV_FOREACH(t, req->volumes) {
		_cleanup_free_ char *target = NULL;
		int r = mount_target_clean(name, t, &target, rd->err);
		if (r < 0)
			return r;
		if (!strv_has(out, target) && strv_push(&out, target) < 0)
			return err_oom(rd->err);
	}
	strv_free(req->volumes);
	req->volumes = take_ptr(out);
	return 0;
}

/* "80", "80/tcp", "8000-8010/udp" */
static bool port_is_valid(const char *s)
{
	static const char *const protocols[] = {"tcp", "udp", "sctp", NULL};
	char num[2][8] = {"", ""};
	const char *slash = strchr(s, '/');
	size_t len = slash ? (size_t) (slash - s) : strlen(s), dash = strcspn(s, "-");
	if (slash && !word_is_one_of(protocols, slash + 1))
		return false;
	size_t first = MIN(dash, len);
	if (first >= sizeof(num[0]) || (dash < len && len - dash - 1 >= sizeof(num[1])))
		return false;
	memcpy(num[0], s, first);
	if (dash < len)
		memcpy(num[1], s + dash + 1, len - dash - 1);
	uint32_t lo, hi;
	if (parse_u32(num[0], &lo) < 0 || lo < 1 || lo > 65535)
		return false;
	return dash >= len || (parse_u32(num[1], &hi) == 0 && hi >= lo && hi <= 65535);
}

static int ports_check(struct reader *rd, const struct field *f, void *obj)
{
	const struct container_request *req = obj;
	STRV_FOREACH(p, req->exposed_ports)
		if (!port_is_valid(p))
			return reader_fail(rd, f->name, "invalid port specification: '%.60s'", p);
	return 0;
}

/* Names that reach /etc/hosts, /etc/hostname and sethostname(2). */
static int host_name_check(struct reader *rd, const struct field *f, void *obj)
{
	const char *s = *(char **) ((char *) obj + f->offset);
	if (!s)
		return 0;
	if (s[0] == '-' || s[0] == '.' || s[strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_")] != '\0')
		return reader_fail(rd, f->name, "invalid hostname format: '%.64s': letters, digits, '-', '_' and '.' are taken", s);
	return 0;
}

static int working_dir_check(struct reader *rd, const struct field *f, void *obj)
{
	const struct container_request *req = obj;
	if (req->working_dir && req->working_dir[0] != '/')
		return reader_fail(rd, f->name, "the working directory '%.200s' is invalid, it needs to be an absolute path", req->working_dir);
	return 0;
}

/* absent: unset (-1); docker's -1, wait for ever: -2, as engine_stop() takes it */
static int stop_timeout_read(struct reader *rd, const struct field *f, const struct json *v, void *obj)
{
	struct container_request *req = obj;
	int r = reader_kind(rd, f->name, v, JSON_KIND_INT);
	if (r <= 0)
		return r;
	int64_t n = json_int(v, 0);
	if (n < -1 || n > INT32_MAX)
		return reader_fail(rd, f->name, "%lld is not between -1 and %d seconds", (long long) n, INT32_MAX);
	req->stop_timeout = n == -1 ? STOP_FOREVER : (int) n;
	return 0;
}

static void stop_timeout_write(struct json_writer *w, const struct field *f, const void *obj)
{
	const struct container_request *req = obj;
	if (req->stop_timeout != -1)
		jw_int(w, f->name, req->stop_timeout == STOP_FOREVER ? -1 : req->stop_timeout);
}

const struct field config_fields[] = {
	{.name = "Hostname", .kind = FIELD_STR, .max_bytes = 64, AT(hostname), .check = host_name_check},
	{.name = "Domainname", .kind = FIELD_STR, .max_bytes = 64, AT(domainname), .check = host_name_check},
	{.name = "User", .kind = FIELD_STR, .max_bytes = 256, AT(user)},
	{.name = "AttachStdin", .kind = FIELD_BOOL, AT(attach_stdin)},
	{.name = "AttachStdout", .kind = FIELD_BOOL, AT(attach_stdout)},
	{.name = "AttachStderr", .kind = FIELD_BOOL, AT(attach_stderr)},
	{.name = "ExposedPorts", .kind = FIELD_KEYS, .empty = EMPTY_OMIT, .max_bytes = 64, AT(exposed_ports), .check = ports_check},
	{.name = "Tty", .kind = FIELD_BOOL, AT(tty)},
	{.name = "OpenStdin", .kind = FIELD_BOOL, AT(open_stdin)},
	{.name = "StdinOnce", .kind = FIELD_BOOL, AT(stdin_once)},
	{.name = "Env", .kind = FIELD_STRV, .flags = FIELD_TEXT, .max_items = 4096, .max_bytes = ARG_BYTES, AT(env), .check = env_check},
	{.name = "Cmd", .kind = FIELD_STRV, .empty = EMPTY_NULL, .flags = FIELD_TEXT | FIELD_SCALAR, .max_items = 16384, .max_bytes = ARG_BYTES,
	 AT(cmd), .set_offset = offsetof(struct container_request, cmd_set)},
	{.name = "Healthcheck", .kind = FIELD_CUSTOM, .read = health_read, .write = health_write},
	{.name = "ArgsEscaped", .kind = FIELD_FIXED},
	{.name = "Image", .kind = FIELD_STR, .max_bytes = 512, AT(image)},
	{.name = "Volumes", .kind = FIELD_KEYS, .empty = EMPTY_NULL, .max_items = 256, AT(volumes), .check = volumes_check},
	{.name = "WorkingDir", .kind = FIELD_STR, .max_bytes = 4095, AT(working_dir), .check = working_dir_check},
	{.name = "Entrypoint", .kind = FIELD_STRV, .empty = EMPTY_NULL, .flags = FIELD_TEXT | FIELD_SCALAR | FIELD_RESET, .max_items = 16384,
	 .max_bytes = ARG_BYTES, AT(entrypoint), .set_offset = offsetof(struct container_request, entrypoint_set)},
	{.name = "NetworkDisabled", .kind = FIELD_BOOL, .empty = EMPTY_OMIT, AT(network_disabled)},
	{.name = "MacAddress", .kind = FIELD_STR, .empty = EMPTY_OMIT, .max_bytes = 32, AT(mac_address)},
	{.name = "OnBuild", .kind = FIELD_FIXED, .text = "null"},
	{.name = "Labels", .kind = FIELD_KV, .flags = FIELD_TEXT, .max_items = 4096, .max_bytes = 65536, AT(labels)},
	{.name = "StopSignal", .kind = FIELD_STR, .empty = EMPTY_OMIT, .max_bytes = 32, AT(stop_signal)},
	{.name = "StopTimeout", .kind = FIELD_CUSTOM, .read = stop_timeout_read, .write = stop_timeout_write},
	{.name = "Shell", .kind = FIELD_FIXED},
	{NULL},
};

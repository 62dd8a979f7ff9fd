/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>

#include "api/internal.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/num.h"

/* One row a kind of error: where the engine's words become HTTP's. */
static const int statuses[] = {
	[ERR_NONE] = 500,      [ERR_INVALID] = 400,     [ERR_NOT_FOUND] = 404, [ERR_CONFLICT] = 409,      [ERR_DENIED] = 403,     [ERR_QUOTA] = 403,
	[ERR_UNSUPPORTED] = 501, [ERR_CORRUPT] = 400,   [ERR_SYSTEM] = 500,    [ERR_CMD_NOT_FOUND] = 400, [ERR_CMD_DENIED] = 400, [ERR_NOT_MODIFIED] = 304,
	[ERR_UNAUTHORIZED] = 401,
};
static_assert(ARRAY_LEN(statuses) == ERR_KIND_MAX_, "every kind has a status");

/* May the connection live on? What is left of a body is only read away when that is quick. */
static bool must_close(const struct call *c)
{
	bool heavy = c->req.chunked || c->req.content_length > 65536 || c->req.expect;
	return c->close || !c->req.keep_alive || (http_peer_in_body(c->peer) && heavy);
}

int call_respond(struct call *c)
{
	char headers[512];
	(void) str_format(headers, sizeof(headers), "%s%s", API_COMMON_HEADERS, c->headers ? c->headers : "");
	if (c->out.len > 0 && !c->content_type)
		strbuf_addc(&c->out, '\n');
	if (strbuf_err(&c->out))
		return strbuf_err(&c->out);
	c->answered = true;
	c->close = must_close(c);
	const struct http_response r = {
		.status = c->status,
		.content_type = c->content_type ? c->content_type : c->out.len > 0 ? TYPE_JSON : NULL,
		.headers = headers,
		.body = c->out.s,
		.len = c->out.len,
		.flags = (c->close ? HTTP_RESPONSE_CLOSE : 0) | (str_eq(c->req.method, "HEAD") ? HTTP_RESPONSE_NO_BODY : 0),
	};
	*c->peers_turn = now_usec(); /* to read it */
	int sent = http_respond(http_peer_fd(c->peer), &r);
	*c->peers_turn = 0;
	return sent;
}

static int respond_message(struct call *c, int status, const char *message)
{
	strbuf_reset(&c->out);
	c->content_type = NULL;
	c->headers = NULL;
	c->status = status;
	if (status != 304) {
		jw_init(&c->w, &c->out);
		jw_obj(&c->w, NULL);
		jw_str(&c->w, "message", message);
		jw_end(&c->w);
	}
	return call_respond(c);
}

/* docker's form on attach: no length, ended by closing */
static int respond_raw_error(struct call *c, int status, const char *message)
{
	char text[1024];
	int n = str_format(text, sizeof(text), "HTTP/1.1 %d %s\r\nContent-Type: " TYPE_RAW_STREAM "\r\n\r\n%s\r\n", status, http_reason(status), message);
	c->answered = c->close = true;
	return n < 0 ? n : http_send_raw(http_peer_fd(c->peer), text, (size_t) n);
}

static int respond_error(struct call *c, const struct err *err, unsigned flags)
{
	int status = err->kind < ERR_KIND_MAX_ ? statuses[err->kind] : 500;
	if (status >= 500)
		log_info("%s %s: %s", c->req.method, c->req.path, err->msg);
	return flags & ROUTE_RAW_ERRORS ? respond_raw_error(c, status, err->msg) : respond_message(c, status, err->msg);
}

int call_body(struct call *c, struct json **ret, struct err *err)
{
	_cleanup_strbuf_ struct strbuf b = STRBUF_INIT(JSON_BODY_MAX);
	*ret = NULL;
	if (!http_peer_in_body(c->peer))
		return 0;
	int r = http_peer_recv_text(c->peer, &b);
	if (r == -EFBIG)
		return err_set(err, ERR_INVALID, "request body: more than %d bytes", JSON_BODY_MAX);
	if (r < 0) {
		c->close = true;
		return r == -EPROTO ? err_set(err, ERR_INVALID, "request body: malformed chunks") : err_sys(err, r, "reading the request body");
	}
	if (b.len == 0)
		return 0;
	if (!str_eq(c->req.content_type, TYPE_JSON))
		return err_set(err, ERR_INVALID, "unsupported Content-Type header (%s): must be 'application/json'", c->req.content_type);
	return json_parse(b.s, b.len, JSON_BODY_MAX, "request body", ret, err);
}

const char *call_query(const struct call *c, const char *key)
{
	return http_query_get(&c->req.query, key);
}

bool call_flag(const struct call *c, const char *key, bool fallback)
{
	return http_query_bool(&c->req.query, key, fallback);
}

int call_query_u32(const struct call *c, const char *key, uint32_t *ret, struct err *err)
{
	const char *s = call_query(c, key);
	if (!str_empty(s) && parse_u32(s, ret) < 0)
		return err_set(err, ERR_INVALID, "query parameter '%s': '%.60s' is not a number", key, s);
	return 0;
}

int call_time(const struct call *c, const char *key, int64_t *ret, struct err *err)
{
	const char *s = call_query(c, key);
	*ret = 0;
	if (str_empty(s) || str_eq(s, "0"))
		return 0;
	if (time_parse_when(s, now_ns(), ret) < 0)
		return err_set(err, ERR_INVALID, "query parameter '%s': '%.60s' is not a time", key, s);
	return 0;
}

int call_filters(const struct call *c, struct json **ret, struct err *err)
{
	const char *s = call_query(c, "filters");
	*ret = NULL;
	if (str_empty(s))
		return 0;
	int r = json_parse(s, strlen(s), 65536, "invalid filter", ret, err);
	if (r >= 0 && json_kind(*ret) != JSON_KIND_OBJECT) {
		*ret = json_free(*ret);
		return err_set(err, ERR_INVALID, "invalid filter: expected an object");
	}
	return r;
}

int call_unknown(const struct call *c, char *const *unknown, char ***warnings, struct err *err)
{
	STRV_FOREACH(key, unknown) {
		if (!str_eq(c->caller->tenant, "local"))
			return err_set(err, ERR_INVALID, "unknown field '%s' in the request", key);
		if (warnings && strv_push_take(warnings, str_printf("'%s' is not supported and was ignored", key)) < 0)
			return err_oom(err);
	}
	return 0;
}

const char *stream_type(const struct call *c, bool tty)
{
	return !tty && c->minor >= VERSION_MULTIPLEXED ? TYPE_MULTIPLEXED : TYPE_RAW_STREAM;
}

/* "/v1.44/x": 1 and *@rest on "/x"; 0 without a version; -1 when it is none we speak (answered). */
static int take_version(struct call *c, const char **rest, int *result)
{
	const char *s = c->req.path;
	c->minor = API_VERSION_MAX;
	*rest = s;
	size_t n = s[1] == 'v' ? strspn(s + 2, "0123456789.") : 0;
	if (n == 0 || s[2 + n] != '/')
		return 0;
	char text[24], message[200];
	uint32_t major = 0, minor = 0;
	if (n >= sizeof(text))
		return 0;
	memcpy(text, s + 2, n);
	text[n] = '\0';
	char *dot = strchr(text, '.');
	if (dot)
		*dot = '\0';
	if (!dot || parse_u32(text, &major) < 0 || parse_u32(dot + 1, &minor) < 0)
		return 0;
	*rest = s + 2 + n;
	*dot = '.';
	if (major > API_VERSION_MAJOR || (major == API_VERSION_MAJOR && minor > API_VERSION_MAX)) {
		(void) snprintf(message, sizeof(message), "client version %s is too new. Maximum supported API version is %d.%d", text, API_VERSION_MAJOR,
				API_VERSION_MAX);
		*result = respond_message(c, 400, message);
		return -1;
	}
	if (major < API_VERSION_MAJOR || minor < API_VERSION_MIN) {
		strbuf_addf(&c->out, "client version %s is too old. Minimum supported API version is %d.%d, please upgrade your client to a newer version\n",
			    text, API_VERSION_MAJOR, API_VERSION_MIN);
		c->content_type = "text/plain; charset=utf-8"; /* what so old a client reads */
		c->status = 400;
		*result = call_respond(c);
		return -1;
	}
	c->minor = (int) minor;
	return 1;
}

/* A row without a handler. */
static int respond_fixed(struct call *c, const struct route *route)
{
	char message[400];
	if (route->flags & ROUTE_STATUS) {
		const char *gap = strstr(route->text, "%s");
		if (gap)
			(void) snprintf(message, sizeof(message), "%.*s%.100s%s", (int) (gap - route->text), route->text, c->arg ? c->arg : "", gap + 2);
		else
			(void) str_copy(message, sizeof(message), route->text);
		return respond_message(c, route->status, message);
	}
	(void) snprintf(message, sizeof(message), "%s %s: this part of the Engine API is not there yet in Coffer " COFFER_VERSION_TEXT, route->method, route->pattern);
	return respond_message(c, 501, message);
}

int api_handle(struct call *c)
{
	static const char *const repeatable[] = {"changes", "names", "platform", "platforms", "t", "type", NULL};
	struct err err = {0};
	const char *path;
	int r = 0;
	c->status = 200;
	strbuf_init(&c->out, JSON_OUT_MAX);
	jw_init(&c->w, &c->out);
	if (take_version(c, &path, &r) < 0)
		return r;
	const struct route *route = route_find(c->req.method, path, &c->arg);
	if (!route)
		return respond_message(c, 404, "page not found");
	if (!route->fn)
		return respond_fixed(c, route);
	const char *twice = http_query_twice(&c->req.query, repeatable);
	if (twice)
		r = err_set(&err, ERR_INVALID, "query parameter '%.60s' given twice", twice);
	else
		r = route->fn(c, &err);
	if (c->hijacked || c->answered)
		return r;
	if (r >= 0 && strbuf_err(&c->out))
		r = err_sys(&err, strbuf_err(&c->out), "writing the answer");
	return r < 0 ? respond_error(c, &err, route->flags) : call_respond(c);
}

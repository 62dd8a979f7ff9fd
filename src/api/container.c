/* SPDX-License-Identifier: Apache-2.0 */
#include "api/internal.h"
#include "apimodel/container.h"
#include "base/num.h"

#define START_BODY_MAX 7 /* docker's own line: "{}\r\n" and its like pass */
#define STOP_OWN (-1)
#define STOP_FOREVER (-2)

static int create_from(struct call *c, const struct json *body, struct create_result *ret, struct err *err)
{
	_cleanup_container_request_ struct container_request *req = NULL;
	_cleanup_strv_ char **unknown = NULL, **warnings = NULL;
	const char *name = call_query(c, "name"), *platform = call_query(c, "platform");
	int r = str_empty(platform) ? 0 : engine_platform_check(platform, err);
	r = r < 0 ? r : container_request_parse(body, &req, &unknown, err);
	if (r >= 0)
		r = call_unknown(c, unknown, &warnings, err);
	if (r < 0)
		return r;
	if (name && *name == '/')
		name++;
	r = engine_create(c->engine, c->caller, str_empty(name) ? NULL : name, req, ret, err);
	if (r < 0)
		return r;
	STRV_FOREACH(w, warnings)
		if (strv_push(&ret->warnings, w) < 0)
			break; /* the container exists: a lost warning must not hide its id */
	return 0;
}

/* Clients before 1.44 connect further networks one by one, behind the create. */
static int check_endpoints(const struct call *c, const struct json *body, struct err *err)
{
	_cleanup_strbuf_ struct strbuf names = STRBUF_INIT(4096);
	const struct json *config = body ? json_get(body, "NetworkingConfig") : NULL;
	size_t n = 0;
	if (c->minor >= VERSION_MANY_ENDPOINTS)
		return 0;
	JSON_FOREACH_MEMBER(key, v, config ? json_get(config, "EndpointsConfig") : NULL) {
		strbuf_addf(&names, "%s%s", n++ ? ", " : "", key);
		(void) v;
	}
	return n < 2 ? 0 : err_set(err, ERR_INVALID, "Container cannot be connected to network endpoints: %.200s", names.s ?: "");
}

int container_create_handler(struct call *c, struct err *err)
{
	_cleanup_json_ struct json *body = NULL;
	struct create_result res = {.warnings = NULL};
	int r = call_body(c, &body, err);
	r = r < 0 ? r : check_endpoints(c, body, err);
	if (r >= 0)
		r = create_from(c, body, &res, err);
	if (r < 0)
		return r;
	c->status = 201;
	jw_obj(&c->w, NULL);
	jw_str(&c->w, "Id", res.id);
	jw_strv(&c->w, "Warnings", res.warnings);
	jw_end(&c->w);
	strv_free(res.warnings);
	return 0;
}

int container_list_handler(struct call *c, struct err *err)
{
	_cleanup_json_ struct json *filters = NULL;
	struct list_request req = {.all = call_flag(c, "all", false), .size = call_flag(c, "size", false), .limit = -1};
	const char *limit = call_query(c, "limit");
	if (!str_empty(limit) && parse_i64(limit, &req.limit) < 0)
		return err_set(err, ERR_INVALID, "query parameter 'limit': '%.60s' is not a number", limit);
	if (req.limit <= 0)
		req.limit = -1;
	else
		req.all = true;
	int r = call_filters(c, &filters, err);
	if (r < 0)
		return r;
	req.filters = filters;
	return engine_container_list(c->engine, c->caller, &req, &c->w, err);
}

int container_inspect_handler(struct call *c, struct err *err)
{
	return engine_container_inspect(c->engine, c->caller, c->arg, call_flag(c, "size", false), &c->w, err);
}

int container_posture_handler(struct call *c, struct err *err)
{
	return engine_posture(c->engine, c->caller, c->arg, &c->w, err);
}

static int no_content(struct call *c, int r)
{
	c->status = 204;
	return r;
}

int container_start_handler(struct call *c, struct err *err)
{
	if (c->req.chunked || c->req.content_length > START_BODY_MAX)
		return err_set(err, ERR_INVALID, "starting container with non-empty request body was deprecated since API v1.22 and removed in v1.24");
	return no_content(c, engine_start(c->engine, c->caller, c->arg, err));
}

/* ?t=: seconds; absent: the container's own; negative: for ever */
static int stop_timeout(const struct call *c, int *ret, struct err *err)
{
	const char *t = call_query(c, "t");
	int64_t n;
	*ret = STOP_OWN;
	if (str_empty(t))
		return 0;
	if (parse_i64(t, &n) < 0 || n > INT32_MAX)
		return err_set(err, ERR_INVALID, "query parameter 't': '%.60s' is not a number of seconds", t);
	*ret = n < 0 ? STOP_FOREVER : (int) n;
	return 0;
}

static const char *signal_of(const struct call *c)
{
	const char *s = call_query(c, "signal");
	return str_empty(s) ? NULL : s;
}

int down_handler(struct call *c, struct err *err)
{
	int timeout, r = stop_timeout(c, &timeout, err);
	return r < 0 ? r : engine_down(c->engine, c->caller, timeout, &c->w, err);
}

int container_stop_handler(struct call *c, struct err *err)
{
	int timeout, r = stop_timeout(c, &timeout, err);
	return r < 0 ? r : no_content(c, engine_stop(c->engine, c->caller, c->arg, timeout, signal_of(c), err));
}

int container_restart_handler(struct call *c, struct err *err)
{
	int timeout, r = stop_timeout(c, &timeout, err);
	return r < 0 ? r : no_content(c, engine_restart(c->engine, c->caller, c->arg, timeout, signal_of(c), err));
}

int container_kill_handler(struct call *c, struct err *err)
{
	return no_content(c, engine_kill(c->engine, c->caller, c->arg, signal_of(c), err));
}

int container_remove_handler(struct call *c, struct err *err)
{
	if (call_flag(c, "link", false))
		return err_set(err, ERR_UNSUPPORTED, "query parameter 'link': legacy links are not there");
	return no_content(c, engine_remove(c->engine, c->caller, c->arg, call_flag(c, "force", false), call_flag(c, "v", false), err));
}

int container_resize_handler(struct call *c, struct err *err)
{
	uint32_t rows = 0, cols = 0;
	int r = call_query_u32(c, "h", &rows, err);
	if (r >= 0)
		r = call_query_u32(c, "w", &cols, err);
	if (r >= 0 && (rows > UINT16_MAX || cols > UINT16_MAX))
		r = err_set(err, ERR_INVALID, "a terminal of %u x %u is too large", rows, cols);
	return r < 0 ? r : engine_resize(c->engine, c->caller, c->arg, rows, cols, err);
}

int container_pause_handler(struct call *c, struct err *err)
{
	return no_content(c, engine_pause(c->engine, c->caller, c->arg, err));
}

int container_unpause_handler(struct call *c, struct err *err)
{
	return no_content(c, engine_unpause(c->engine, c->caller, c->arg, err));
}

int container_rename_handler(struct call *c, struct err *err)
{
	return no_content(c, engine_rename(c->engine, c->caller, c->arg, call_query(c, "name"), err));
}

int container_top_handler(struct call *c, struct err *err)
{
	return engine_top(c->engine, c->caller, c->arg, call_query(c, "ps_args"), &c->w, err);
}

int container_prune_handler(struct call *c, struct err *err)
{
	_cleanup_json_ struct json *filters = NULL;
	int r = call_filters(c, &filters, err);
	return r < 0 ? r : engine_container_prune(c->engine, c->caller, filters, &c->w, err);
}

/* The body is HostConfig's resources, without their frame. */
static int update_from(struct call *c, const struct json *body, char ***warnings, struct err *err)
{
	_cleanup_container_request_ struct container_request *limits = NULL;
	_cleanup_strv_ char **unknown = NULL;
	_cleanup_json_ struct json *framed = NULL;
	_cleanup_free_ char *text = json_kind(body) == JSON_KIND_OBJECT ? json_dump(body) : NULL, *frame = text ? str_printf("{\"HostConfig\":%s}", text) : NULL;
	if (json_kind(body) != JSON_KIND_OBJECT)
		return err_set(err, ERR_INVALID, "request body: expected an object with the new limits");
	if (!frame)
		return err_oom(err);
	int r = json_parse(frame, strlen(frame), JSON_BODY_MAX + 32, "request body", &framed, err);
	r = r < 0 ? r : container_request_parse(framed, &limits, &unknown, err);
	r = r < 0 ? r : call_unknown(c, unknown, warnings, err);
	return r < 0 ? r : engine_update(c->engine, c->caller, c->arg, limits, warnings, err);
}

int container_update_handler(struct call *c, struct err *err)
{
	_cleanup_json_ struct json *body = NULL;
	_cleanup_strv_ char **warnings = NULL;
	int r = call_body(c, &body, err);
	r = r < 0 ? r : update_from(c, body, &warnings, err);
	if (r < 0)
		return r;
	jw_obj(&c->w, NULL);
	jw_strv(&c->w, "Warnings", warnings);
	jw_end(&c->w);
	return 0;
}

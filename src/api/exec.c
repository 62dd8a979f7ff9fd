/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "api/exec_body.h"
#include "api/internal.h"

/* @read: one of exec_body.h. */
static int read_body(struct call *c, int (*read)(const struct json *, void *, char ***, struct err *), void *obj, struct err *err)
{
	_cleanup_json_ struct json *body = NULL;
	_cleanup_strv_ char **unknown = NULL;
	int r = call_body(c, &body, err);
	r = r < 0 ? r : read(body, obj, &unknown, err);
	return r < 0 ? r : call_unknown(c, unknown, NULL, err);
}

int exec_create_handler(struct call *c, struct err *err)
{
	struct exec_request req = {NULL};
	char id[65] = "";
	int r = read_body(c, exec_create_body, &req, err);
	if (r >= 0)
		r = engine_exec_create(c->engine, c->caller, c->arg, &req, id, err);
	exec_request_done(&req);
	if (r < 0)
		return r;
	c->status = 201;
	jw_obj(&c->w, NULL);
	jw_str(&c->w, "Id", id);
	jw_end(&c->w);
	return 0;
}

int exec_start_handler(struct call *c, struct err *err)
{
	struct exec_start s = {false};
	bool tty = false;
	int r = read_body(c, exec_start_body, &s, err);
	if (r >= 0)
		r = engine_exec_check(c->engine, c->caller, c->arg, &tty, err);
	if (r < 0)
		return r;
	if (s.detach)
		return engine_exec_start(c->engine, c->caller, c->arg, -EBADF, NULL, 0, err);
	const char *early;
	size_t early_len;
	int fd = call_hijack(c, tty, API_COMMON_HEADERS, &early, &early_len);
	if (fd < 0)
		return fd;
	r = engine_exec_start(c->engine, c->caller, c->arg, fd, early, early_len, err);
	if (r >= 0 && tty && s.rows && s.cols)
		(void) engine_exec_resize(c->engine, c->caller, c->arg, s.rows, s.cols, NULL); /* the client sends its own resize, too */
	return r;
}

int exec_inspect_handler(struct call *c, struct err *err)
{
	return engine_exec_inspect(c->engine, c->caller, c->arg, &c->w, err);
}

int exec_resize_handler(struct call *c, struct err *err)
{
	uint32_t rows = 0, cols = 0;
	int r = call_query_u32(c, "h", &rows, err);
	if (r >= 0)
		r = call_query_u32(c, "w", &cols, err);
	if (r >= 0 && (rows > UINT16_MAX || cols > UINT16_MAX))
		r = err_set(err, ERR_INVALID, "a terminal of %u x %u is too large", rows, cols);
	return r < 0 ? r : engine_exec_resize(c->engine, c->caller, c->arg, rows, cols, err);
}

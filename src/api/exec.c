/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "api/internal.h"
#include "apimodel/field.h"

#define AT(member) .offset = offsetof(struct exec_request, member)

static int console_read(struct reader *rd, const struct field *f, const struct json *v, unsigned *rows, unsigned *cols)
{
	int64_t h = json_int(json_at(v, 0), -1), w = json_int(json_at(v, 1), -1);
	int r = reader_kind(rd, f->name, v, JSON_KIND_ARRAY);
	if (r <= 0 || json_len(v) == 0)
		return r;
	if (json_len(v) != 2 || h < 0 || w < 0 || h > UINT16_MAX || w > UINT16_MAX)
		return reader_fail(rd, f->name, "expected [height, width]");
	*rows = (unsigned) h;
	*cols = (unsigned) w;
	return 0;
}

static int create_console_read(struct reader *rd, const struct field *f, const struct json *v, void *obj)
{
	struct exec_request *req = obj;
	return console_read(rd, f, v, &req->rows, &req->cols);
}

static int cmd_check(struct reader *rd, const struct field *f, void *obj)
{
	const struct exec_request *req = obj;
	return req->cmd && *req->cmd[0] == '\0' ? reader_fail(rd, f->name, "the command is an empty string") : 0;
}

static int env_check(struct reader *rd, const struct field *f, void *obj)
{
	const struct exec_request *req = obj;
	STRV_FOREACH(e, req->env)
		if (*e == '\0' || *e == '=')
			return reader_fail(rd, f->name, "invalid environment variable: '%.60s'", e);
	return 0;
}

static const struct field create_fields[] = {
	{.name = "User", .kind = FIELD_STR, .max_bytes = 256, AT(user)},
	{.name = "Privileged", .kind = FIELD_BOOL, AT(privileged)},
	{.name = "Tty", .kind = FIELD_BOOL, AT(tty)},
	{.name = "ConsoleSize", .kind = FIELD_CUSTOM, .read = create_console_read},
	{.name = "AttachStdin", .kind = FIELD_BOOL, AT(attach_stdin)},
	{.name = "AttachStderr", .kind = FIELD_BOOL, AT(attach_stderr)},
	{.name = "AttachStdout", .kind = FIELD_BOOL, AT(attach_stdout)},
	{.name = "Detach", .kind = FIELD_IGNORED}, /* start says it; old clients repeat it here */
	{.name = "DetachKeys", .kind = FIELD_STR, .max_bytes = 128, AT(detach_keys)},
	{.name = "Env", .kind = FIELD_STRV, .flags = FIELD_TEXT, .max_items = 4096, .max_bytes = 131072, AT(env), .check = env_check},
	{.name = "WorkingDir", .kind = FIELD_STR, .max_bytes = 4095, AT(working_dir)},
	{.name = "Cmd", .kind = FIELD_STRV, .flags = FIELD_TEXT | FIELD_SCALAR, .max_items = 16384, .max_bytes = 131072, AT(cmd), .check = cmd_check},
	{NULL},
};

struct exec_start {
	bool detach, tty;
	unsigned rows, cols;
};

static int start_console_read(struct reader *rd, const struct field *f, const struct json *v, void *obj)
{
	struct exec_start *s = obj;
	return console_read(rd, f, v, &s->rows, &s->cols);
}

/* dockerode sends "hijack" and "stdin" along: meant for itself */
static const struct field start_fields[] = {
	{.name = "Detach", .kind = FIELD_BOOL, .offset = offsetof(struct exec_start, detach)},
	{.name = "Tty", .kind = FIELD_BOOL, .offset = offsetof(struct exec_start, tty)},
	{.name = "ConsoleSize", .kind = FIELD_CUSTOM, .read = start_console_read},
	{.name = "hijack", .kind = FIELD_IGNORED},
	{.name = "stdin", .kind = FIELD_IGNORED},
	{NULL},
};

static int read_body(struct call *c, const struct field *table, void *obj, struct err *err)
{
	_cleanup_json_ struct json *body = NULL;
	_cleanup_strv_ char **unknown = NULL;
	int r = call_body(c, &body, err);
	if (r < 0)
		return r;
	if (body && json_kind(body) != JSON_KIND_OBJECT)
		return err_set(err, ERR_INVALID, "request body: expected an object");
	struct reader rd = {.unknown = &unknown, .err = err};
	r = fields_read(&rd, table, body, obj);
	return r < 0 ? r : call_unknown(c, unknown, NULL, err);
}

int exec_create_handler(struct call *c, struct err *err)
{
	struct exec_request req = {NULL};
	char id[65] = "";
	int r = read_body(c, create_fields, &req, err);
	if (r >= 0 && !req.cmd)
		r = err_set(err, ERR_INVALID, "No exec command specified");
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
	int r = read_body(c, start_fields, &s, err);
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

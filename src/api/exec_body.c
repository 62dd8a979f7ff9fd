/* SPDX-License-Identifier: Apache-2.0 */
#include "api/exec_body.h"

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

static int read_object(const struct field *table, const struct json *body, void *obj, char ***unknown, struct err *err)
{
	struct reader rd = {.unknown = unknown, .err = err};
	if (body && json_kind(body) != JSON_KIND_OBJECT)
		return err_set(err, ERR_INVALID, "request body: expected an object");
	return fields_read(&rd, table, body, obj);
}

int exec_create_body(const struct json *body, void *ret, char ***unknown, struct err *err)
{
	struct exec_request *req = ret;
	int r = read_object(create_fields, body, req, unknown, err);
	return r >= 0 && !req->cmd ? err_set(err, ERR_INVALID, "No exec command specified") : r;
}

int exec_start_body(const struct json *body, void *ret, char ***unknown, struct err *err)
{
	return read_object(start_fields, body, ret, unknown, err);
}

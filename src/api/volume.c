/* SPDX-License-Identifier: Apache-2.0 */
#include "api/internal.h"
#include "apimodel/field.h"

struct volume_request {
	char *name, *driver; /* owned */
};

static int driver_check(struct reader *rd, const struct field *f, void *obj)
{
	const struct volume_request *v = obj;
	if (v->driver && !str_eq(v->driver, "local"))
		return reader_fail(rd, f->name, "'%.60s': the one volume driver is local", v->driver);
	return 0;
}

/* type, o and device are an arbitrary mount in disguise */
static int options_read(struct reader *rd, const struct field *f, const struct json *v, void *obj)
{
	JSON_FOREACH_MEMBER(key, val, v)
		return reader_fail(rd, f->name, "'%.60s': volumes take no driver options", key);
	return MIN(reader_kind(rd, f->name, v, JSON_KIND_OBJECT), 0);
}

#define LABELS_MAX 256

static int labels_read(struct reader *rd, const struct field *f, const struct json *v, void *obj)
{
	int r = reader_kind(rd, f->name, v, JSON_KIND_OBJECT);
	if (r > 0 && json_len(v) > LABELS_MAX)
		return reader_fail(rd, f->name, "%zu entries, at most %d are taken", json_len(v), LABELS_MAX);
	JSON_FOREACH_MEMBER(key, val, r > 0 ? v : NULL) {
		if (json_kind(val) != JSON_KIND_STRING)
			return reader_fail(rd, f->name, "'%.60s': expected a string, got %s", key, json_kind_name(json_kind(val)));
		if (*key == '\0' || !str_is_plain(key) || strlen(key) > FIELD_BYTES_DEFAULT || strlen(json_str(val, "")) > 65536)
			return reader_fail(rd, f->name, "the label '%.60s' is empty, too long or holds a control character", key);
	}
	return MIN(r, 0);
}

static const struct field create_fields[] = {
	{.name = "Name", .kind = FIELD_STR, .max_bytes = 128, .offset = offsetof(struct volume_request, name)},
	{.name = "Driver", .kind = FIELD_STR, .max_bytes = 64, .offset = offsetof(struct volume_request, driver), .check = driver_check},
	{.name = "DriverOpts", .kind = FIELD_CUSTOM, .read = options_read},
	{.name = "Labels", .kind = FIELD_CUSTOM, .read = labels_read},
	{NULL},
};

static int create_from(struct call *c, const struct json *body, struct volume_request *v, struct err *err)
{
	_cleanup_strv_ char **unknown = NULL;
	struct reader rd = {.unknown = &unknown, .err = err};
	if (body && json_kind(body) != JSON_KIND_OBJECT)
		return err_set(err, ERR_INVALID, "request body: expected an object");
	int r = fields_read(&rd, create_fields, body, v);
	if (r >= 0)
		r = call_unknown(c, unknown, NULL, err);
	if (r < 0)
		return r;
	return engine_volume_create(c->engine, c->caller, v->name, json_get_fold(body, "Labels"), &c->w, err);
}

int volume_create_handler(struct call *c, struct err *err)
{
	_cleanup_json_ struct json *body = NULL;
	struct volume_request v = {NULL};
	int r = call_body(c, &body, err);
	if (r >= 0)
		r = create_from(c, body, &v, err);
	free(v.name);
	free(v.driver);
	c->status = 201;
	return r;
}

int volume_list_handler(struct call *c, struct err *err)
{
	_cleanup_json_ struct json *filters = NULL;
	int r = call_filters(c, &filters, err);
	if (r < 0)
		return r;
	return engine_volume_list(c->engine, c->caller, filters, &c->w, err);
}

int volume_inspect_handler(struct call *c, struct err *err)
{
	return engine_volume_inspect(c->engine, c->caller, c->arg, &c->w, err);
}

int volume_remove_handler(struct call *c, struct err *err)
{
	c->status = 204;
	return engine_volume_remove(c->engine, c->caller, c->arg, call_flag(c, "force", false), err);
}

#define VERSION_PRUNE_ANONYMOUS 42 /* before, prune took named volumes as well */

int volume_prune_handler(struct call *c, struct err *err)
{
	_cleanup_json_ struct json *filters = NULL;
	int r = call_filters(c, &filters, err);
	return r < 0 ? r : engine_volume_prune(c->engine, c->caller, filters, c->minor < VERSION_PRUNE_ANONYMOUS, &c->w, err);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* GET /system/df: every list of the API with its sizes, in one answer. */
#include "api/internal.h"

static int containers(struct call *c, struct json_writer *w, struct err *err)
{
	const struct list_request req = {.all = true, .size = true, .limit = -1};
	return engine_container_list(c->engine, c->caller, &req, w, err);
}

static int volumes(struct call *c, struct json_writer *w, struct err *err)
{
	return engine_volume_usage(c->engine, c->caller, w, err);
}

static const struct {
	const char *key, *type; /* ?type= */
	int (*write)(struct call *c, struct json_writer *w, struct err *err);
} parts[] = {
	{"Images", "image", image_usage_write},
	{"Containers", "container", containers},
	{"Volumes", "volume", volumes},
};

/* ?type=, once or more; none: everything. */
static bool is_asked(const struct call *c, const char *type)
{
	bool any = false;
	for (size_t i = 0; c->req.query.keys && c->req.query.keys[i]; i++) {
		if (!str_eq(c->req.query.keys[i], "type"))
			continue;
		any = true;
		if (str_eq(c->req.query.values[i], type))
			return true;
	}
	return !any;
}

static int check_types(const struct call *c, struct err *err)
{
	for (size_t i = 0; c->req.query.keys && c->req.query.keys[i]; i++) {
		const char *v = c->req.query.values[i];
		if (str_eq(c->req.query.keys[i], "type") && !str_eq(v, "image") && !str_eq(v, "container") && !str_eq(v, "volume") && !str_eq(v, "build-cache"))
			return err_set(err, ERR_INVALID, "unknown object type: %.60s", v);
	}
	return 0;
}

static int write_part(struct call *c, size_t i, struct err *err)
{
	_cleanup_strbuf_ struct strbuf b = STRBUF_INIT(JSON_OUT_MAX);
	struct json_writer w;
	jw_init(&w, &b);
	int r = parts[i].write(c, &w, err);
	if (r >= 0 && strbuf_err(&b) < 0)
		r = err_sys(err, strbuf_err(&b), "writing the answer");
	if (r >= 0)
		jw_raw(&c->w, parts[i].key, b.s);
	return r;
}

int df_handler(struct call *c, struct err *err)
{
	uint64_t layers = 0;
	int r = check_types(c, err);
	if (r >= 0 && is_asked(c, "image"))
		r = image_usage_total(engine_images(c->engine), c->caller->tenant, &layers, err);
	if (r < 0)
		return r;
	jw_obj(&c->w, NULL);
	jw_uint(&c->w, "LayersSize", layers);
	for (size_t i = 0; r >= 0 && i < ARRAY_LEN(parts); i++) {
		if (is_asked(c, parts[i].type))
			r = write_part(c, i, err);
		else
			jw_null(&c->w, parts[i].key);
	}
	jw_arr(&c->w, "BuildCache");
	jw_end(&c->w);
	if (c->minor < VERSION_MULTIPLEXED)
		jw_int(&c->w, "BuilderSize", 0);
	jw_end(&c->w);
	return r;
}

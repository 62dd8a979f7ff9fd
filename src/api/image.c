/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Image answers in the words of the Engine API, written from struct image.
 */
#include <fnmatch.h>

#include "api/internal.h"
#include "base/clock.h"

#define VERSION_IMAGE_CONFIG 50 /* before, an image's Config had the members of a container's */
#define VERSION_NO_CONTAINER 45
#define VERSION_NO_VIRTUAL_SIZE 44
#define VERSION_NO_NONE_TAGS 43

static struct image **images_free(struct image **v)
{
	for (struct image **i = v; i && *i; i++)
		image_free(*i);
	free(v);
	return NULL;
}

static void images_freep(struct image ***v)
{
	*v = images_free(*v);
}

/* Found, or docker's 404. */
static int image_get(struct call *c, struct image **ret, struct err *err)
{
	int r = image_find(engine_images(c->engine), c->caller->tenant, c->arg, ret, err);
	return r == 0 ? err_set(err, ERR_NOT_FOUND, "No such image: %.200s", c->arg) : MIN(r, 0);
}

static void write_labels(struct json_writer *w, const struct image_config *cfg)
{
	if (!cfg || !cfg->label_keys) {
		jw_null(w, "Labels");
		return;
	}
	jw_obj(w, "Labels");
	for (size_t i = 0; cfg->label_keys[i]; i++)
		jw_str(w, cfg->label_keys[i], cfg->label_values[i]);
	jw_end(w);
}

static void write_keys(struct json_writer *w, const char *key, char *const *v)
{
	if (!v) {
		jw_null(w, key);
		return;
	}
	jw_obj(w, key);
	STRV_FOREACH(s, v)
		jw_raw(w, s, "{}");
	jw_end(w);
}

static void write_list_or_null(struct json_writer *w, const char *key, char *const *v)
{
	if (v)
		jw_strv(w, key, v);
	else
		jw_null(w, key);
}

/* @size: what the asker calls its size. @containers, @shared: -1 when nobody has looked. */
static void write_summary(struct json_writer *w, const struct image *i, int minor, uint64_t size, int64_t containers, int64_t shared)
{
	static char *none[] = {(char *) "<none>:<none>", NULL};
	jw_obj(w, NULL);
	jw_str(w, "Id", i->id);
	jw_str(w, "ParentId", "");
	jw_strv(w, "RepoTags", !i->refs && minor < VERSION_NO_NONE_TAGS ? none : i->refs);
	jw_strv(w, "RepoDigests", i->digests);
	jw_int(w, "Created", i->created_ns / NSEC_PER_SEC);
	jw_uint(w, "Size", size);
	if (minor < VERSION_NO_VIRTUAL_SIZE)
		jw_uint(w, "VirtualSize", size);
	jw_int(w, "SharedSize", shared);
	write_labels(w, i->config);
	jw_int(w, "Containers", containers);
	jw_end(w);
}

/* A filter's values, in the map form {"a":true} or the list form ["a"]. @fn: 1 matches. Return: 1 when any (or, with @all, every one) does. */
static int filter_values(const struct json *v, const char *name, bool all, int (*fn)(const char *value, void *ctx, struct err *err), void *ctx,
			 struct err *err)
{
	int hits = 0, n = 0, r = 0;
	if (json_kind(v) == JSON_KIND_ARRAY) {
		JSON_FOREACH(e, i, v) {
			const char *s = json_str(e, NULL);
			r = s ? fn(s, ctx, err) : err_set(err, ERR_INVALID, "invalid filter '%s'", name);
			if (r < 0)
				return r;
			hits += r > 0;
			n++;
		}
	} else if (json_kind(v) == JSON_KIND_OBJECT) {
		JSON_FOREACH_MEMBER(key, on, v) {
			if (!json_bool(on, false))
				continue;
			r = fn(key, ctx, err);
			if (r < 0)
				return r;
			hits += r > 0;
			n++;
		}
	} else
		return err_set(err, ERR_INVALID, "invalid filter '%s'", name);
	return n == 0 || (all ? hits == n : hits > 0);
}

struct filter {
	struct call *call;
	const struct image *image;
};

static int match_dangling(const char *value, void *ctx, struct err *err)
{
	const struct filter *f = ctx;
	static const char *const yes[] = {"true", "1", "t", "True", "TRUE"}, *const no[] = {"false", "0", "f", "False", "FALSE"};
	for (size_t i = 0; i < ARRAY_LEN(yes); i++) {
		if (str_eq(yes[i], value))
			return !f->image->refs;
		if (str_eq(no[i], value))
			return f->image->refs != NULL;
	}
	return err_set(err, ERR_INVALID, "invalid filter 'dangling=%.60s'", value);
}

/* "key" or "key=value" */
static int match_label(const char *value, void *ctx, struct err *err _unused_)
{
	const struct filter *f = ctx;
	const struct image_config *cfg = f->image->config;
	size_t n = strcspn(value, "=");
	for (size_t i = 0; cfg && cfg->label_keys && cfg->label_keys[i]; i++)
		if (strlen(cfg->label_keys[i]) == n && strncmp(cfg->label_keys[i], value, n) == 0)
			return value[n] == '\0' || str_eq(cfg->label_values[i], value + n + 1);
	return 0;
}

/* "busybox", "busybox:1", "localhost:5000/x*" */
static int match_reference(const char *value, void *ctx, struct err *err _unused_)
{
	const struct filter *f = ctx;
	STRV_FOREACH(ref, f->image->refs) {
		const char *slash = strrchr(ref, '/'), *colon = strrchr(slash ? slash : ref, ':');
		_cleanup_free_ char *name = strndup(ref, colon ? (size_t) (colon - ref) : strlen(ref));
		if (fnmatch(value, ref, FNM_PATHNAME) == 0 || (name && fnmatch(value, name, FNM_PATHNAME) == 0))
			return 1;
	}
	return 0;
}

/* -1: the other image is younger */
static int compare_created(const char *ref, const struct filter *f, int *ret, struct err *err)
{
	_cleanup_image_ struct image *other = NULL;
	int r = image_find(engine_images(f->call->engine), f->call->caller->tenant, ref, &other, err);
	if (r == 0)
		return err_set(err, ERR_NOT_FOUND, "No such image: %.200s", ref);
	if (r > 0)
		*ret = (f->image->created_ns > other->created_ns) - (f->image->created_ns < other->created_ns);
	return MIN(r, 0);
}

static int match_before(const char *value, void *ctx, struct err *err)
{
	int cmp = 0, r = compare_created(value, ctx, &cmp, err);
	return r < 0 ? r : cmp < 0;
}

static int match_since(const char *value, void *ctx, struct err *err)
{
	int cmp = 0, r = compare_created(value, ctx, &cmp, err);
	return r < 0 ? r : cmp > 0;
}

static int match_until(const char *value, void *ctx, struct err *err)
{
	const struct filter *f = ctx;
	int64_t when;
	if (time_parse_when(value, now_ns(), &when) < 0)
		return err_set(err, ERR_INVALID, "invalid filter 'until=%.60s'", value);
	return f->image->created_ns < when;
}

static const struct {
	const char *name;
	bool all; /* every value must match */
	int (*fn)(const char *value, void *ctx, struct err *err);
} filters[] = {
	{"dangling", false, match_dangling}, {"label", true, match_label}, {"reference", false, match_reference},
	{"before", true, match_before},      {"since", true, match_since}, {"until", true, match_until},
};

/* Return: 1 shown, 0 filtered out, <0 an invalid filter */
static int is_shown(struct call *c, const struct image *i, const struct json *asked, struct err *err)
{
	struct filter f = {c, i};
	JSON_FOREACH_MEMBER(key, v, asked)
		for (size_t k = 0; k < ARRAY_LEN(filters); k++) {
			if (!str_eq(filters[k].name, key))
				continue;
			int r = filter_values(v, key, filters[k].all, filters[k].fn, &f, err);
			if (r <= 0)
				return r;
		}
	return 1;
}

static int check_filters(const struct json *asked, struct err *err)
{
	JSON_FOREACH_MEMBER(key, v, asked) {
		bool known = false;
		for (size_t k = 0; k < ARRAY_LEN(filters); k++)
			known = known || str_eq(filters[k].name, key);
		if (!known)
			return err_set(err, ERR_INVALID, "invalid filter '%.60s'", key);
	}
	return 0;
}

int image_list_handler(struct call *c, struct err *err)
{
	_cleanup_json_ struct json *asked = NULL;
	_cleanup_(images_freep) struct image **images = NULL;
	int r = call_filters(c, &asked, err);
	if (r >= 0)
		r = check_filters(asked, err);
	if (r >= 0)
		r = image_list(engine_images(c->engine), c->caller->tenant, &images, err);
	if (r < 0)
		return r;
	jw_arr(&c->w, NULL);
	for (struct image **i = images; i && *i; i++) {
		r = is_shown(c, *i, asked, err);
		if (r < 0)
			return r;
		struct image_usage u = {.shared_layer_bytes = UINT64_MAX}; /* -1: not asked */
		if (r > 0 && call_flag(c, "shared-size", false))
			r = image_usage(engine_images(c->engine), c->caller->tenant, (*i)->id, &u, err) < 0 ? err->sys : 1;
		if (r < 0)
			return r;
		if (r > 0)
			write_summary(&c->w, *i, c->minor, (*i)->size_bytes, -1, (int64_t) u.shared_layer_bytes);
	}
	jw_end(&c->w);
	return 0;
}

int image_usage_write(struct call *c, struct json_writer *w, struct err *err)
{
	_cleanup_(images_freep) struct image **images = NULL;
	int r = image_list(engine_images(c->engine), c->caller->tenant, &images, err);
	if (r < 0)
		return r;
	jw_arr(w, NULL);
	for (struct image **i = images; r >= 0 && i && *i; i++) {
		int64_t n = 0;
		struct image_usage u = {0};
		r = engine_image_containers(c->engine, c->caller, (*i)->id, &n, err);
		if (r >= 0)
			r = image_usage(engine_images(c->engine), c->caller->tenant, (*i)->id, &u, err);
		write_summary(w, *i, c->minor, u.bytes, n, (int64_t) u.shared_bytes);
	}
	jw_end(w);
	return r;
}

/* What a container's configuration has and an image's never meant. */
static void write_container_members(struct json_writer *w)
{
	static const char *const texts[] = {"Hostname", "Domainname", "Image"}, *const flags[] = {"AttachStdin", "AttachStdout", "AttachStderr", "Tty", "OpenStdin", "StdinOnce"};
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		jw_str(w, texts[i], "");
	for (size_t i = 0; i < ARRAY_LEN(flags); i++)
		jw_bool(w, flags[i], false);
}

static void write_config(struct json_writer *w, const char *key, const struct image_config *cfg, int minor)
{
	jw_obj(w, key);
	if (minor < VERSION_IMAGE_CONFIG)
		write_container_members(w);
	jw_str(w, "User", cfg->user ? cfg->user : "");
	if (cfg->exposed_ports)
		write_keys(w, "ExposedPorts", cfg->exposed_ports);
	jw_strv(w, "Env", cfg->env);
	write_list_or_null(w, "Cmd", cfg->cmd);
	if (cfg->healthcheck_json)
		jw_raw(w, "Healthcheck", cfg->healthcheck_json);
	write_keys(w, "Volumes", cfg->volumes);
	jw_str(w, "WorkingDir", cfg->working_dir ? cfg->working_dir : "");
	write_list_or_null(w, "Entrypoint", cfg->entrypoint);
	jw_null(w, "OnBuild");
	write_labels(w, cfg);
	if (cfg->stop_signal)
		jw_str(w, "StopSignal", cfg->stop_signal);
	jw_end(w);
}

static void write_inspect(struct json_writer *w, const struct image *i, int minor)
{
	static const struct image_config none;
	const struct image_config *cfg = i->config ? i->config : &none;
	char when[TIME_RFC3339_MAX];
	jw_obj(w, NULL);
	jw_str(w, "Id", i->id);
	jw_strv(w, "RepoTags", i->refs);
	jw_strv(w, "RepoDigests", i->digests);
	jw_str(w, "Parent", "");
	jw_str(w, "Comment", "");
	jw_str(w, "Created", time_format_rfc3339(when, i->created_ns, /* fixed= */ false));
	jw_str(w, "DockerVersion", "");
	jw_str(w, "Author", cfg->author ? cfg->author : "");
	if (minor < VERSION_NO_CONTAINER) /* of the container that it was committed from: clients of old look into it */
		jw_str(w, "Container", "");
	write_config(w, "ContainerConfig", cfg, minor); /* the same; docker-compose 1 does so whatever version it speaks */
	write_config(w, "Config", cfg, minor);
	jw_str(w, "Architecture", cfg->architecture ? cfg->architecture : "");
	if (cfg->variant)
		jw_str(w, "Variant", cfg->variant);
	jw_str(w, "Os", cfg->os ? cfg->os : "linux");
	jw_uint(w, "Size", i->size_bytes);
	if (minor < VERSION_NO_VIRTUAL_SIZE)
		jw_uint(w, "VirtualSize", i->size_bytes);
	jw_obj(w, "GraphDriver");
	jw_str(w, "Name", "overlay");
	jw_raw(w, "Data", "{}");
	jw_end(w);
	jw_obj(w, "RootFS");
	jw_str(w, "Type", "layers");
	jw_strv(w, "Layers", cfg->diff_ids);
	jw_end(w);
	jw_obj(w, "Metadata");
	jw_str(w, "LastTagTime", "0001-01-01T00:00:00Z");
	jw_end(w);
	jw_end(w);
}

int image_inspect_handler(struct call *c, struct err *err)
{
	_cleanup_image_ struct image *i = NULL;
	int r = image_get(c, &i, err);
	if (r < 0)
		return r;
	write_inspect(&c->w, i, c->minor);
	return 0;
}

static void write_history_entry(struct json_writer *w, const struct image *i, size_t k, bool top, uint64_t size)
{
	const struct history_entry *h = &i->config->history[k];
	jw_obj(w, NULL);
	jw_str(w, "Id", top ? i->id : "<missing>");
	jw_int(w, "Created", h->created_ns / NSEC_PER_SEC);
	jw_str(w, "CreatedBy", h->created_by ? h->created_by : "");
	write_list_or_null(w, "Tags", top ? i->refs : NULL);
	jw_uint(w, "Size", size);
	jw_str(w, "Comment", h->comment ? h->comment : "");
	jw_end(w);
}

/* Newest first; the layers fall to the entries that say they have one, from the top down. */
int image_history_handler(struct call *c, struct err *err)
{
	_cleanup_image_ struct image *i = NULL;
	int r = image_get(c, &i, err);
	if (r < 0)
		return r;
	size_t n = i->config ? i->config->n_history : 0, layer = strv_len(i->chain_ids);
	jw_arr(&c->w, NULL);
	for (size_t k = n; k > 0; k--) {
		bool has_layer = !i->config->history[k - 1].empty_layer && layer > 0;
		write_history_entry(&c->w, i, k - 1, k == n, has_layer ? i->layer_bytes[--layer] : 0);
	}
	jw_end(&c->w);
	return 0;
}

int image_tag_handler(struct call *c, struct err *err)
{
	const char *repo = call_query(c, "repo"), *tag = call_query(c, "tag");
	if (str_empty(repo))
		return err_set(err, ERR_INVALID, "query parameter 'repo': a name is needed");
	int r = image_tag(engine_images(c->engine), c->caller->tenant, c->arg, repo, str_empty(tag) ? NULL : tag, err);
	c->status = 201;
	if (r >= 0)
		engine_image_event(c->engine, c->caller, "tag", c->arg);
	return r;
}

int image_remove_handler(struct call *c, struct err *err)
{
	return engine_image_remove(c->engine, c->caller, c->arg, call_flag(c, "force", false), &c->w, err);
}

int image_prune_handler(struct call *c, struct err *err)
{
	_cleanup_json_ struct json *asked = NULL;
	int r = call_filters(c, &asked, err);
	return r < 0 ? r : engine_image_prune(c->engine, c->caller, asked, &c->w, err);
}

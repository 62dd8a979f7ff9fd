/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The image config: what an image says about itself. It is data (R14): only the fields of struct image_config are read, and nothing
 * among them can loosen confinement. HostConfig, SecurityOpt, Privileged and whatever else a config may carry have no reader.
 */
#include <errno.h>

#include "base/clock.h"
#include "codec/json.h"
#include "spec/image.h"

enum { CONFIG_BYTES_MAX = 8 << 20, HISTORY_MAX = 2000, LIST_MAX = 4096 };

struct image_config *image_config_free(struct image_config *c)
{
	if (!c)
		return NULL;
	free(c->os);
	free(c->architecture);
	free(c->variant);
	free(c->author);
	free(c->user);
	free(c->working_dir);
	free(c->stop_signal);
	strv_freep(&c->env);
	strv_freep(&c->entrypoint);
	strv_freep(&c->cmd);
	strv_freep(&c->volumes);
	strv_freep(&c->exposed_ports);
	strv_freep(&c->label_keys);
	strv_freep(&c->label_values);
	free(c->healthcheck_json);
	strv_freep(&c->diff_ids);
	for (size_t i = 0; i < c->n_history; i++) {
		free(c->history[i].created_by);
		free(c->history[i].comment);
		free(c->history[i].author);
	}
	free(c->history);
	free(c);
	return NULL;
}

static int read_time(const struct json *obj, const char *key, int64_t *ret, struct err *err)
{
	const char *s = NULL;
	int r = json_read_str(obj, key, &s, err);
	if (r < 0 || !s || !*s)
		return r;
	/* Go's zero time and dates that do not fit count as "none" */
	if (time_parse_rfc3339(s, ret) < 0)
		*ret = 0;
	return 0;
}

/* The keys of an object whose values say nothing: Volumes, ExposedPorts. */
static int read_set(const struct json *obj, const char *key, char ***ret, struct err *err)
{
	const struct json *set = NULL;
	int r = json_read_obj(obj, key, &set, err);
	if (r < 0 || !set)
		return r;
	if (json_len(set) > LIST_MAX)
		return err_set(err, ERR_QUOTA, "%s: more than %d entries", key, LIST_MAX);
	for (void *it = json_iter(set); it; it = json_iter_next(set, it))
		if (strv_push(ret, json_iter_key(it)) < 0)
			return err_oom(err);
	return 0;
}

static int read_labels(const struct json *obj, struct image_config *c, struct err *err)
{
	const struct json *labels = NULL;
	int r = json_read_obj(obj, "Labels", &labels, err);
	if (r < 0 || !labels)
		return r;
	if (json_len(labels) > LIST_MAX)
		return err_set(err, ERR_QUOTA, "Labels: more than %d entries", LIST_MAX);
	for (void *it = json_iter(labels); it; it = json_iter_next(labels, it)) {
		const char *value = json_str(json_iter_value(it), NULL);
		if (!value)
			return err_set(err, ERR_INVALID, "Labels: '%.100s': expected a string", json_iter_key(it));
		if (strv_push(&c->label_keys, json_iter_key(it)) < 0 || strv_push(&c->label_values, value) < 0)
			return err_oom(err);
	}
	return 0;
}

static int read_strv(const struct json *obj, const char *key, char ***ret, struct err *err)
{
	int r = json_read_strv(obj, key, ret, err);
	return r >= 0 && strv_len(*ret) > LIST_MAX ? err_set(err, ERR_QUOTA, "%s: more than %d entries", key, LIST_MAX) : r;
}

static int read_healthcheck(const struct json *obj, struct image_config *c, struct err *err)
{
	const struct json *h = NULL;
	int r = json_read_obj(obj, "Healthcheck", &h, err);
	if (r < 0 || !h)
		return r;
	c->healthcheck_json = json_dump(h);
	return c->healthcheck_json ? 0 : err_oom(err);
}

/* The inner "config" object: how to run it. */
static int read_run(const struct json *root, struct image_config *c, struct err *err)
{
	const struct json *run = NULL;
	int r = json_read_obj(root, "config", &run, err);
	if (r < 0 || !run)
		return r;
	r = json_read_dup(run, "User", &c->user, err);
	if (r >= 0)
		r = json_read_dup(run, "WorkingDir", &c->working_dir, err);
	if (r >= 0)
		r = json_read_dup(run, "StopSignal", &c->stop_signal, err);
	if (r >= 0)
		r = read_strv(run, "Env", &c->env, err);
	if (r >= 0)
		r = read_strv(run, "Entrypoint", &c->entrypoint, err);
	if (r >= 0)
		r = read_strv(run, "Cmd", &c->cmd, err);
	if (r >= 0)
		r = read_set(run, "Volumes", &c->volumes, err);
	if (r >= 0)
		r = read_set(run, "ExposedPorts", &c->exposed_ports, err);
	if (r >= 0)
		r = read_labels(run, c, err);
	if (r >= 0)
		r = read_healthcheck(run, c, err);
	return r;
}

static int read_rootfs(const struct json *root, struct image_config *c, struct err *err)
{
	const struct json *rootfs = NULL;
	const char *type = "layers";
	int r = json_read_obj(root, "rootfs", &rootfs, err);
	if (r < 0)
		return r;
	if (!rootfs)
		return err_set(err, ERR_INVALID, "'rootfs' is required");
	r = json_read_str(rootfs, "type", &type, err);
	if (r >= 0)
		r = json_read_strv(rootfs, "diff_ids", &c->diff_ids, err);
	if (r < 0)
		return err_wrap(err, "rootfs");
	if (strcmp(type, "layers") != 0)
		return err_set(err, ERR_UNSUPPORTED, "rootfs: type '%.40s' is not supported, only 'layers'", type);
	if (strv_len(c->diff_ids) > IMAGE_LAYERS_MAX)
		return err_set(err, ERR_QUOTA, "rootfs: %zu layers, at most %d are taken", strv_len(c->diff_ids), IMAGE_LAYERS_MAX);
	for (size_t i = 0; i < strv_len(c->diff_ids); i++)
		if (!digest_is_valid(c->diff_ids[i]))
			return err_set(err, ERR_INVALID, "rootfs: diff_ids[%zu]: '%.80s' is not 'sha256:' and 64 lower-case hex digits", i,
				       str_is_plain(c->diff_ids[i]) ? c->diff_ids[i] : "");
	return 0;
}

static int read_history(const struct json *root, struct image_config *c, struct err *err)
{
	const struct json *list = NULL;
	int r = json_read_arr(root, "history", &list, err);
	if (r < 0 || !list)
		return r;
	size_t n = json_len(list);
	if (n > HISTORY_MAX)
		return err_set(err, ERR_QUOTA, "history: %zu entries, at most %d are taken", n, HISTORY_MAX);
	c->history = calloc(MAX(n, (size_t) 1), sizeof(*c->history));
	if (!c->history)
		return err_oom(err);
	c->n_history = n;
	for (size_t i = 0; i < n; i++) {
		const struct json *e = json_at(list, i);
		struct history_entry *h = &c->history[i];
		if (json_kind(e) != JSON_KIND_OBJECT)
			return err_set(err, ERR_INVALID, "history[%zu]: expected an object", i);
		r = json_read_dup(e, "created_by", &h->created_by, err);
		if (r >= 0)
			r = json_read_dup(e, "comment", &h->comment, err);
		if (r >= 0)
			r = json_read_dup(e, "author", &h->author, err);
		if (r >= 0)
			r = json_read_bool(e, "empty_layer", &h->empty_layer, err);
		if (r >= 0)
			r = read_time(e, "created", &h->created_ns, err);
		if (r < 0)
			return err_wrap(err, "history[%zu]", i);
	}
	return 0;
}

static int config_read(const struct json *root, struct image_config *c, struct err *err)
{
	if (json_kind(root) != JSON_KIND_OBJECT)
		return err_set(err, ERR_INVALID, "expected an object");
	int r = json_read_dup(root, "os", &c->os, err);
	if (r >= 0)
		r = json_read_dup(root, "architecture", &c->architecture, err);
	if (r >= 0)
		r = json_read_dup(root, "variant", &c->variant, err);
	if (r >= 0)
		r = json_read_dup(root, "author", &c->author, err);
	if (r >= 0)
		r = read_time(root, "created", &c->created_ns, err);
	if (r >= 0)
		r = read_run(root, c, err);
	if (r >= 0)
		r = read_rootfs(root, c, err);
	if (r >= 0)
		r = read_history(root, c, err);
	return r;
}

int image_config_parse(const char *text, size_t len, struct image_config **ret, struct err *err)
{
	_cleanup_json_ struct json *root = NULL;
	int r = json_parse(text, len, CONFIG_BYTES_MAX, "image config", &root, err);
	if (r < 0)
		return r;
	struct image_config *c = calloc(1, sizeof(*c));
	if (!c)
		return err_oom(err);
	r = config_read(root, c, err);
	if (r < 0) {
		(void) image_config_free(c);
		return err_wrap(err, "image config");
	}
	*ret = c;
	return 0;
}

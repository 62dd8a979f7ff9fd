/* SPDX-License-Identifier: Apache-2.0 */
/* POST /commit: what a container changed becomes a layer, what it runs the config of a new image. */
#include <errno.h>
#include <sys/statvfs.h>

#include "engine/events.h"
#include "engine/internal.h"
#include "files/client.h"
#include "image/changes.h"

static int dup_if(const char *s, char **ret)
{
	if (*ret || str_empty(s))
		return 0;
	*ret = strdup(s);
	return *ret ? 0 : -ENOMEM;
}

static int add_missing(char *const *v, char ***ret)
{
	STRV_FOREACH(s, v)
		if (!strv_has(*ret, s) && strv_push(ret, s) < 0)
			return -ENOMEM;
	return 0;
}

/* "A=b" unless there is an A. */
static int add_env(char *const *v, char ***ret)
{
	STRV_FOREACH(s, v) {
		_cleanup_free_ char *key = strndup(s, strcspn(s, "="));
		if (!key || (!strv_find_key(*ret, key) && strv_push(ret, s) < 0))
			return -ENOMEM;
	}
	return 0;
}

static int add_labels(const struct kv_list *l, struct image_config *c)
{
	for (size_t i = 0; l->keys && l->keys[i]; i++)
		if (!strv_has(c->label_keys, l->keys[i]) && (strv_push(&c->label_keys, l->keys[i]) < 0 || strv_push(&c->label_values, l->values[i]) < 0))
			return -ENOMEM;
	return 0;
}

static int add_health(const struct health_request *h, struct image_config *c)
{
	struct strbuf b = STRBUF_INIT(64 << 10);
	struct json_writer w;
	if (c->healthcheck_json || !h || !h->test)
		return 0;
	jw_init(&w, &b);
	jw_obj(&w, NULL);
	jw_strv(&w, "Test", h->test);
	jw_int(&w, "Interval", h->interval);
	jw_int(&w, "Timeout", h->timeout);
	jw_int(&w, "StartPeriod", h->start_period);
	jw_int(&w, "StartInterval", h->start_interval);
	jw_int(&w, "Retries", h->retries);
	jw_end(&w);
	c->healthcheck_json = strbuf_steal(&b);
	return c->healthcheck_json ? 0 : -ENOMEM;
}

/* What @c leaves open is as in @r (runconfig.Merge()): an entrypoint of its own takes the other's command away with it. */
static int merge(struct image_config *c, const struct container_request *r)
{
	bool own_entrypoint = c->entrypoint != NULL;
	int rc = dup_if(r->user, &c->user);
	rc = rc < 0 ? rc : dup_if(r->working_dir, &c->working_dir);
	rc = rc < 0 ? rc : dup_if(r->stop_signal, &c->stop_signal);
	rc = rc < 0 ? rc : add_env(r->env, &c->env);
	rc = rc < 0 ? rc : add_labels(&r->labels, c);
	rc = rc < 0 ? rc : add_missing(r->volumes, &c->volumes);
	rc = rc < 0 ? rc : add_missing(r->exposed_ports, &c->exposed_ports);
	rc = rc < 0 ? rc : add_health(r->health, c);
	if (rc >= 0 && !own_entrypoint && !c->cmd)
		rc = strv_dup(r->cmd, &c->cmd);
	return rc < 0 || own_entrypoint ? rc : strv_dup(r->entrypoint, &c->entrypoint);
}

static int make_config(const struct commit_request *q, const struct container_request *own, struct image_config **ret, struct err *err)
{
	struct image_config *c = calloc(1, sizeof(*c));
	if (!c)
		return err_oom(err);
	int rc = q->config && merge(c, q->config) < 0 ? err_oom(err) : 0;
	rc = rc < 0 ? rc : changes_apply(c, q->changes, err);
	if (rc >= 0 && merge(c, own) < 0)
		rc = err_oom(err);
	if (rc < 0) {
		(void) image_config_free(c);
		return rc;
	}
	*ret = c;
	return 0;
}

struct committing {
	struct engine *e;
	const struct caller *caller;
	const char *id;
};

static int write_layer(void *ctx, int fd, struct err *err)
{
	const struct committing *w = ctx;
	struct files_access a;
	struct files_msg done;
	_cleanup_free_ struct files_request *req = calloc(1, sizeof(*req));
	if (!req)
		return err_oom(err);
	req->job = FILES_LAYER;
	/* the layer is written twice, dense: a hole of a petabyte in a container must not fill the disk */
	struct statvfs disk;
	if (fstatvfs(fd, &disk) == 0)
		req->budget.bytes = MAX((uint64_t) disk.f_bavail * disk.f_frsize / 3, (uint64_t) 1);
	struct files_run run = {.req = req, .stream = fd, .cancel = -EBADF};
	int rc = files_session(w->e, w->caller, w->id, &run, &a, &done, err);
	if (rc >= 0)
		files_close(&a);
	return rc;
}

static char *words(char *const *v)
{
	struct strbuf b = STRBUF_INIT(64 << 10);
	STRV_FOREACH(s, v) {
		if (b.len > 0)
			strbuf_addc(&b, ' ');
		strbuf_adds(&b, s);
	}
	return strbuf_steal(&b); /* NULL: too long, and then it is left out */
}

static int commit_found(struct committing *w, const struct container *c, const struct commit_request *q, char **ret_id, struct err *err)
{
	struct image_config *config = NULL;
	_cleanup_free_ char *created_by = words(c->req->cmd);
	int rc = make_config(q, c->req, &config, err);
	if (rc < 0)
		return rc;
	const struct image_commit ic = {
		.parent = c->image_id, .config = config, .author = q->author, .comment = q->comment, .created_by = created_by, .ref = q->ref, .write_layer = write_layer, .ctx = w,
	};
	rc = image_commit(w->e->images, c->tenant, &ic, ret_id, err);
	(void) image_config_free(config);
	return rc;
}

int engine_commit(struct engine *e, const struct caller *caller, const char *ref, const struct commit_request *q, char **ret_id, struct err *err)
{
	_cleanup_container_ struct container c = {0};
	int rc = running_find(e, caller, ref, &c, err);
	if (rc < 0)
		return rc;
	bool freeze = rc > 0 && q->pause && !container_is_paused(&c);
	struct committing w = {.e = e, .caller = caller, .id = c.id};
	rc = freeze ? pause_set(e, &c, /* on= */ true, err) : 0;
	rc = rc < 0 ? rc : commit_found(&w, &c, q, ret_id, err);
	struct err ignored;
	if (freeze)
		(void) pause_set(e, &c, /* on= */ false, &ignored); /* it may have been killed meanwhile */
	if (rc < 0)
		return rc;
	event_container(e, &c, "commit", "comment", q->comment ?: "", "imageID", *ret_id, "imageRef", q->ref ?: "", NULL);
	return 0;
}

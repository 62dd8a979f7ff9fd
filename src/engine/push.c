/* SPDX-License-Identifier: Apache-2.0 */
/* Push, login and a look at what a registry has. */
#include <errno.h>
#include <stdio.h>

#include "engine/events.h"
#include "engine/internal.h"
#include "image/parts.h"
#include "registry/registry.h"

enum { CONFIG_MAX = 8 << 20 };

struct push {
	struct engine *e;
	const struct caller *caller;
	const struct push_request *req;
	struct image_ref ref;        /* owned; with its tag */
	struct image *image;         /* owned */
	struct image_parts parts;    /* owned */
	struct registry *reg;        /* owned */
	struct registry_conn *conn;  /* owned */
	const struct image_part *at; /* borrowed; the blob under way */
};

static void report(struct push *p, const char *digest, const char *status, uint64_t current, uint64_t total)
{
	char id[16] = "";
	if (digest)
		(void) snprintf(id, sizeof(id), "%.12s", digest + strlen("sha256:"));
	if (p->req->progress)
		p->req->progress->fn(p->req->progress->ctx, id, status, current, total);
}

static void on_sent(void *ctx, uint64_t current)
{
	struct push *p = ctx;
	report(p, p->at->digest, "Pushing", current, p->at->size);
}

/* Another repository of the same registry that this very image has a name in: the registry may have the blob there. Return: path, NULL: none. */
static char *other_repository(const struct push *p)
{
	for (int digests = 0; digests < 2; digests++)
		STRV_FOREACH(name, digests ? p->image->digests : p->image->refs) {
			struct image_ref ref = {0};
			char *path = NULL;
			if (image_ref_parse(name, &ref, NULL) >= 0 && str_eq(ref.domain, p->ref.domain) && !str_eq(ref.path, p->ref.path))
				path = strdup(ref.path);
			image_ref_done(&ref);
			if (path)
				return path;
		}
	return NULL;
}

/* Return: 1 the registry has it now. */
static int mount(struct push *p, const struct image_part *b, struct err *err)
{
	_cleanup_free_ char *from = other_repository(p);
	char line[400];
	int rc = from ? registry_blob_mount(p->conn, b->digest, from, err) : 0;
	if (rc > 0) {
		(void) snprintf(line, sizeof(line), "Mounted from %.300s", from);
		report(p, b->digest, line, 0, 0);
	}
	return rc;
}

static int upload(struct push *p, const struct image_part *b, struct err *err)
{
	const struct registry_progress progress = {.fn = on_sent, .ctx = p};
	uint64_t size;
	_cleanup_close_ int fd = image_blob_open(p->e->images, b->digest, &size, err);
	if (fd < 0)
		return fd;
	if (size != b->size)
		return err_set(err, ERR_CORRUPT, "blob %s was changed on disk", b->digest);
	p->at = b;
	on_sent(p, 0);
	int rc = registry_upload(p->conn, b->digest, fd, size, &progress, err);
	if (rc >= 0)
		report(p, b->digest, "Pushed", 0, 0);
	return rc;
}

static int push_blob(struct push *p, const struct image_part *b, struct err *err)
{
	int rc = registry_blob_exists(p->conn, b->digest, err);
	if (rc > 0)
		report(p, b->digest, "Layer already exists", 0, 0);
	rc = rc == 0 ? mount(p, b, err) : rc;
	return rc == 0 ? upload(p, b, err) : MIN(rc, 0);
}

static int push_parts(struct push *p, struct err *err)
{
	int rc = 0;
	for (size_t i = 1; i < p->parts.n; i++)
		report(p, p->parts.blobs[i].digest, "Preparing", 0, 0);
	for (size_t i = p->parts.n; rc >= 0 && i > 0; i--) /* the config last */
		rc = push_blob(p, &p->parts.blobs[i - 1], err);
	return rc < 0 ? rc : registry_put_manifest(p->conn, p->ref.tag, p->parts.media_type, p->parts.text, p->parts.len, err);
}

static int push_ref(struct push *p, struct err *err)
{
	_cleanup_free_ char *shown = image_ref_familiar(&p->ref), *full = str_printf("%s/%s", p->ref.domain, p->ref.path);
	char line[700];
	if (!shown || !full)
		return err_oom(err);
	int rc = image_find(p->e->images, p->caller->tenant, shown, &p->image, err);
	if (rc == 0)
		return err_set(err, ERR_NOT_FOUND, "An image does not exist locally with the tag: %.300s", shown);
	rc = rc < 0 ? rc : image_parts_read(p->e->images, p->caller->tenant, p->image->id, &p->parts, err);
	rc = rc < 0 ? rc : registry_open(p->e->registries, &p->ref, p->req->auth, REGISTRY_PULL | REGISTRY_PUSH, p->req->cancel, &p->reg, err);
	if (rc < 0)
		return rc;
	p->conn = registry_connect(p->reg);
	if (!p->conn)
		return err_oom(err);
	/* asked first, so that a registry that will not have us is an answer of its own */
	rc = registry_blob_exists(p->conn, p->parts.blobs[0].digest, err);
	if (rc < 0)
		return rc;
	(void) snprintf(line, sizeof(line), "The push refers to repository [%.600s]", full);
	report(p, NULL, line, 0, 0);
	rc = push_parts(p, err);
	rc = rc < 0 ? rc : image_add_digest(p->e->images, p->caller->tenant, &p->ref, p->parts.digest, p->image->id, err);
	if (rc < 0)
		return rc;
	(void) snprintf(line, sizeof(line), "%s: digest: %s size: %zu", p->ref.tag, p->parts.digest, p->parts.len);
	report(p, NULL, line, 0, 0);
	if (p->req->pushed)
		p->req->pushed(p->req->progress ? p->req->progress->ctx : NULL, p->ref.tag, p->parts.digest, p->parts.len);
	engine_image_event(p->e, p->caller, "push", shown);
	return 0;
}

static void push_done(struct push *p)
{
	(void) registry_disconnect(p->conn);
	(void) registry_close(p->reg);
	image_parts_done(&p->parts);
	(void) image_free(p->image);
	image_ref_done(&p->ref);
}

static int push_one(struct engine *e, const struct caller *caller, const struct push_request *req, const char *text, struct err *err)
{
	struct push p = {.e = e, .caller = caller, .req = req};
	_cleanup_close_ int hold = image_hold(e->images, err);
	int rc = hold < 0 ? hold : image_ref_parse(text, &p.ref, err);
	if (rc >= 0 && p.ref.digest)
		rc = err_set(err, ERR_INVALID, "cannot push a digest reference");
	rc = rc < 0 ? rc : push_ref(&p, err);
	push_done(&p);
	return rc;
}

/* Every name of the repository that the tenant has. */
static int list_names(struct engine *e, const struct caller *caller, const char *name, char ***ret, struct err *err)
{
	struct image_ref want = {0};
	struct image **v = NULL;
	int rc = image_ref_parse(name, &want, err);
	rc = rc < 0 ? rc : image_list(e->images, caller->tenant, &v, err);
	for (size_t i = 0; v && v[i]; i++) {
		STRV_FOREACH(ref, v[i]->refs) {
			struct image_ref have = {0};
			if (rc >= 0 && image_ref_parse(ref, &have, NULL) >= 0 && str_eq(have.domain, want.domain) && str_eq(have.path, want.path) && strv_push(ret, ref) < 0)
				rc = err_oom(err);
			image_ref_done(&have);
		}
		(void) image_free(v[i]);
	}
	free(v);
	image_ref_done(&want);
	if (rc >= 0 && !*ret)
		rc = err_set(err, ERR_NOT_FOUND, "An image does not exist locally with the tag: %.300s", name);
	return rc;
}

static bool is_bare_name(const char *name)
{
	const char *slash = strrchr(name, '/');
	return !strchr(name, '@') && !strchr(slash ? slash : name, ':');
}

int engine_push(struct engine *e, const struct caller *caller, const struct push_request *req, struct err *err)
{
	_cleanup_strv_ char **names = NULL;
	int rc = 0;
	if (str_empty(req->tag) && is_bare_name(req->name))
		rc = list_names(e, caller, req->name, &names, err);
	else if (strv_push_take(&names, str_empty(req->tag) ? strdup(req->name) : str_printf("%s:%s", req->name, req->tag)) < 0)
		rc = err_oom(err);
	STRV_FOREACH(name, names)
		rc = rc < 0 ? rc : push_one(e, caller, req, name, err);
	return rc;
}

int engine_login(struct engine *e, const struct caller *caller, const struct registry_auth *auth, struct json_writer *w, struct err *err)
{
	_cleanup_free_ char *token = NULL;
	int rc = registry_login(e->registries, auth->server ?: "", auth, &token, err);
	if (rc < 0)
		return rc;
	jw_obj(w, NULL);
	jw_str(w, "Status", "Login Succeeded");
	jw_str(w, "IdentityToken", token);
	jw_end(w);
	return 0;
}

/* Looking */

static int collect(void *ctx, const void *data, size_t n, struct err *err)
{
	struct strbuf *b = ctx;
	strbuf_add(b, data, n);
	return strbuf_err(b) ? err_set(err, ERR_QUOTA, "a config of more than %zu bytes", b->max) : 0;
}

static void write_platform(struct json_writer *w, const char *arch, const char *os, const char *variant)
{
	jw_obj(w, NULL);
	jw_str(w, "architecture", arch ? arch : "");
	jw_str(w, "os", os ? os : "");
	if (!str_empty(variant))
		jw_str(w, "variant", variant);
	jw_end(w);
}

static int write_index_platforms(struct json_writer *w, const struct registry_document *d, struct err *err)
{
	struct image_index *x = NULL;
	int rc = image_index_parse(d->text, d->len, &x, err);
	for (size_t i = 0; rc >= 0 && i < x->n; i++)
		if (x->manifests[i].architecture)
			write_platform(w, x->manifests[i].architecture, x->manifests[i].os, x->manifests[i].variant);
	(void) image_index_free(x);
	return rc;
}

/* The one platform of a manifest is in its config. */
static int write_config_platform(struct json_writer *w, struct registry_conn *conn, const struct registry_document *d, struct err *err)
{
	_cleanup_strbuf_ struct strbuf b = STRBUF_INIT(CONFIG_MAX);
	const struct registry_sink sink = {.write = collect, .ctx = &b};
	struct manifest *m = NULL;
	struct image_config *c = NULL;
	int rc = manifest_parse(d->text, d->len, &m, err);
	if (rc >= 0 && (m->config.size == 0 || m->config.size > CONFIG_MAX))
		rc = err_set(err, ERR_QUOTA, "config %s: too large", m->config.digest);
	rc = rc < 0 ? rc : registry_blob(conn, m->config.digest, m->config.size, 0, &sink, err);
	rc = rc < 0 ? rc : image_config_parse(b.s, b.len, &c, err);
	if (rc >= 0)
		write_platform(w, c->architecture, c->os, c->variant);
	(void) image_config_free(c);
	(void) manifest_free(m);
	return rc;
}

static int write_distribution(struct registry_conn *conn, const struct image_ref *ref, struct json_writer *w, struct err *err)
{
	struct registry_document d = {0};
	int rc = registry_manifest(conn, ref->digest ? ref->digest : ref->tag, &d, err);
	if (rc < 0)
		return rc;
	jw_obj(w, NULL);
	jw_obj(w, "Descriptor");
	jw_str(w, "mediaType", d.media_type);
	jw_str(w, "digest", d.digest);
	jw_uint(w, "size", d.len);
	jw_end(w);
	jw_arr(w, "Platforms");
	rc = media_type_is_index(d.media_type) ? write_index_platforms(w, &d, err) : write_config_platform(w, conn, &d, err);
	jw_end(w);
	jw_end(w);
	registry_document_done(&d);
	return rc;
}

int engine_distribution(struct engine *e, const struct caller *caller, const char *name, const struct registry_auth *auth, struct json_writer *w, struct err *err)
{
	struct image_ref ref = {0};
	struct registry *reg = NULL;
	int rc = image_ref_parse(name, &ref, err);
	rc = rc < 0 ? rc : registry_open(e->registries, &ref, auth, REGISTRY_PULL, NULL, &reg, err);
	struct registry_conn *conn = rc < 0 ? NULL : registry_connect(reg);
	rc = rc < 0 ? rc : conn ? write_distribution(conn, &ref, w, err) : err_oom(err);
	(void) registry_disconnect(conn);
	(void) registry_close(reg);
	image_ref_done(&ref);
	return rc;
}

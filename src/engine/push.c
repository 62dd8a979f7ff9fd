/* SPDX-License-Identifier: Apache-2.0 */
/* Push: an image of the store goes to a registry. */
#include <errno.h>
#include <stdio.h>

#include "engine/events.h"
#include "engine/internal.h"
#include "image/parts.h"
#include "registry/registry.h"

enum { PLATFORM_MAX = 1000 };

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

/* An image has one platform here: asked for another, it is not there. Source: moby daemon/images/image_push.go. */
static int check_platform(const struct push *p, const char *shown, struct err *err)
{
	_cleanup_json_ struct json *doc = NULL;
	const struct image_config *c = p->image->config;
	const char *os = "", *arch = "", *variant = "";
	if (str_empty(p->req->platform))
		return 0;
	int rc = json_parse(p->req->platform, strlen(p->req->platform), PLATFORM_MAX, "query parameter 'platform'", &doc, err);
	rc = rc < 0 ? rc : json_read_str(doc, "os", &os, err);
	rc = rc < 0 ? rc : json_read_str(doc, "architecture", &arch, err);
	rc = rc < 0 ? rc : json_read_str(doc, "variant", &variant, err);
	if (rc < 0)
		return rc;
	if (str_eq(os, c->os ?: "linux") && str_eq(arch, c->architecture ?: "") && (!*variant || str_eq(variant, c->variant ?: "")))
		return 0;
	return err_set(err, ERR_NOT_FOUND, "image with reference %.300s was found but its platform (%.20s/%.20s) does not match the specified platform (%.20s/%.20s%s%.20s)", shown,
		       c->os ?: "linux", c->architecture ?: "", os, arch, *variant ? "/" : "", variant);
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
	rc = rc < 0 ? rc : check_platform(p, shown, err);
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

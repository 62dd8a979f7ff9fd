/* SPDX-License-Identifier: Apache-2.0 */
/* Push: an image of the store goes to a registry. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>

#include "base/fd.h"
#include "engine/events.h"
#include "engine/internal.h"
#include "image/parts.h"
#include "registry/registry.h"

enum { PLATFORM_MAX = 1000, SENDERS = 5 /* docker's max-concurrent-uploads */, LENDERS_MAX = 4 };

struct push {
	struct engine *e;
	const struct caller *caller;
	const struct push_request *req;
	struct image_ref ref;        /* owned; with its tag */
	struct image *image;         /* owned */
	struct image_parts parts;    /* owned */
	struct registry *reg;        /* owned */
	struct registry_conn *conn;  /* owned */
	char **lenders;              /* owned; paths of repositories of the same registry that may have some of the layers */
	pthread_mutex_t lock;        /* of the progress, and what follows */
	size_t left;                 /* layers that nobody has taken yet: 1 to this */
	bool changed;                /* a layer was compressed: the manifest is to be made anew */
	struct err first;            /* the failure that stopped the rest; ERR_NONE: none */
};

static void report(struct push *p, const char *digest, const char *status, uint64_t current, uint64_t total)
{
	char id[16] = "";
	if (digest)
		(void) snprintf(id, sizeof(id), "%.12s", digest + strlen("sha256:"));
	(void) pthread_mutex_lock(&p->lock);
	if (p->req->progress)
		p->req->progress->fn(p->req->progress->ctx, id, status, current, total);
	(void) pthread_mutex_unlock(&p->lock);
}

/* Who sends one blob. */
struct sender {
	struct push *p;
	struct registry_conn *conn; /* owned unless it is the push's own */
	char id[DIGEST_TEXT_MAX];   /* what the blob is called in the progress: as it lies here */
	uint64_t size;
	pthread_t thread;
	bool running;
};

static void on_sent(void *ctx, uint64_t current)
{
	struct sender *s = ctx;
	report(s->p, s->id, "Pushing", current, s->size);
}

/* Which repositories may lend */

/* "registry.example/a/b" of another repository of the same registry: "a/b". */
static const char *path_beside(const struct push *p, const char *name)
{
	const char *path = str_after(name, p->ref.domain);
	return path && *path == '/' && !str_eq(path + 1, p->ref.path) ? path + 1 : NULL;
}

static int find_lenders(struct push *p, struct err *err)
{
	for (size_t i = 1; i < p->parts.n; i++) {
		_cleanup_strv_ char **names = NULL;
		int rc = image_blob_names(p->e->images, p->caller->tenant, p->parts.blobs[i].digest, &names, err);
		if (rc < 0)
			return rc;
		STRV_FOREACH(name, names) {
			const char *path = path_beside(p, name);
			if (path && strv_len(p->lenders) < LENDERS_MAX && !strv_has(p->lenders, path) && strv_push(&p->lenders, path) < 0)
				return err_oom(err);
		}
	}
	return 0;
}

/* @blob: as it lies here; @digest: as it goes out. Return: 1 the registry has it now. */
static int mount(struct sender *s, const char *blob, const char *digest, struct err *err)
{
	_cleanup_strv_ char **names = NULL;
	char line[400];
	int rc = s->p->lenders ? image_blob_names(s->p->e->images, s->p->caller->tenant, blob, &names, err) : 0;
	STRV_FOREACH(name, names) {
		const char *path = path_beside(s->p, name);
		if (rc != 0 || !path || !strv_has(s->p->lenders, path))
			continue;
		rc = registry_blob_mount(s->conn, digest, path, err);
		if (rc > 0) {
			(void) snprintf(line, sizeof(line), "Mounted from %.300s", path);
			report(s->p, s->id, line, 0, 0);
		}
	}
	return rc;
}

/* Sending */

static int upload(struct sender *s, const char *digest, int fd, uint64_t size, struct err *err)
{
	const struct registry_progress progress = {.fn = on_sent, .ctx = s};
	s->size = size;
	on_sent(s, 0);
	int rc = registry_upload(s->conn, digest, fd, size, &progress, err);
	if (rc >= 0)
		report(s->p, s->id, "Pushed", 0, 0);
	return rc;
}

/* Return: 1 the registry has it, or has it now. */
static int is_there(struct sender *s, const char *blob, const char *digest, struct err *err)
{
	int rc = registry_blob_exists(s->conn, digest, err);
	if (rc > 0)
		report(s->p, s->id, "Layer already exists", 0, 0);
	return rc == 0 ? mount(s, blob, digest, err) : rc;
}

static int send_as_it_is(struct sender *s, const struct image_part *b, struct err *err)
{
	uint64_t size;
	int rc = is_there(s, b->digest, b->digest, err);
	if (rc != 0)
		return MIN(rc, 0);
	_cleanup_close_ int fd = image_blob_open(s->p->e->images, b->digest, &size, err);
	if (fd < 0)
		return fd;
	return size == b->size ? upload(s, b->digest, fd, size, err) : err_set(err, ERR_CORRUPT, "blob %s was changed on disk", b->digest);
}

static int replace(struct push *p, size_t i, const struct image_packed *k, struct err *err)
{
	(void) pthread_mutex_lock(&p->lock);
	int rc = image_parts_replace(&p->parts, i, k, err);
	p->changed = true;
	(void) pthread_mutex_unlock(&p->lock);
	return rc;
}

/* If the registry has what it came to the last time, nothing is compressed. */
static int send_packed(struct sender *s, size_t i, const struct image_part *b, struct err *err)
{
	struct image_packed k, before = {""};
	int rc = image_packed_find(s->p->e->images, s->p->caller->tenant, b->digest, &before, err);
	k = before;
	rc = rc > 0 ? is_there(s, b->digest, k.digest, err) : rc;
	if (rc > 0)
		return replace(s->p, i, &k, err);
	_cleanup_close_ int fd = rc < 0 ? rc : image_pack(s->p->e->images, s->p->caller->tenant, b->digest, s->p->req->cancel, &k, err);
	if (fd < 0)
		return fd;
	rc = str_eq(k.digest, before.digest) ? 0 : is_there(s, b->digest, k.digest, err);
	rc = rc == 0 ? upload(s, k.digest, fd, k.size, err) : MIN(rc, 0);
	return rc < 0 ? rc : replace(s->p, i, &k, err);
}

static int send_part(struct sender *s, size_t i, struct err *err)
{
	const struct image_part *b = &s->p->parts.blobs[i];
	(void) str_copy(s->id, sizeof(s->id), b->digest);
	return s->p->parts.made && i > 0 && image_part_is_plain(b) ? send_packed(s, i, b, err) : send_as_it_is(s, b, err);
}

/* Nothing that is under way is of use any more. */
static void fail(struct push *p, const struct err *err)
{
	(void) pthread_mutex_lock(&p->lock);
	if (p->first.kind == ERR_NONE && err->sys != -ECANCELED)
		p->first = *err;
	(void) pthread_mutex_unlock(&p->lock);
	atomic_store(p->req->cancel, true);
}

static size_t take_next(struct push *p)
{
	(void) pthread_mutex_lock(&p->lock);
	size_t i = p->left;
	p->left -= i > 0;
	(void) pthread_mutex_unlock(&p->lock);
	return i;
}

static void *sender_main(void *arg)
{
	struct sender *s = arg;
	struct err err;
	int rc = 0;
	for (size_t i; rc >= 0 && (i = take_next(s->p)) > 0;)
		rc = send_part(s, i, &err);
	if (rc < 0)
		fail(s->p, &err);
	return NULL;
}

/* Every layer, several at once; this thread is one of the senders. */
static int send_layers(struct push *p, struct err *err)
{
	struct sender v[SENDERS];
	size_t n = MIN(p->left, (size_t) SENDERS);
	for (size_t i = 0; i < n; i++) {
		v[i] = (struct sender) {.p = p, .conn = i == 0 ? p->conn : registry_connect(p->reg)};
		v[i].running = i > 0 && v[i].conn && pthread_create(&v[i].thread, NULL, sender_main, &v[i]) == 0; /* fewer do as well */
	}
	if (n > 0)
		(void) sender_main(&v[0]);
	for (size_t i = 1; i < n; i++) {
		if (v[i].running)
			(void) pthread_join(v[i].thread, NULL); /* fails only for a thread that is none */
		(void) registry_disconnect(v[i].conn);
	}
	if (p->first.kind == ERR_NONE && !atomic_load(p->req->cancel))
		return 0;
	if (p->first.kind == ERR_NONE) {
		(void) err_set(&p->first, ERR_SYSTEM, "cancelled");
		p->first.sys = -ECANCELED;
	}
	*err = p->first;
	return err->sys;
}

static int push_parts(struct push *p, struct err *err)
{
	struct sender config = {.p = p, .conn = p->conn};
	for (size_t i = 1; i < p->parts.n; i++)
		report(p, p->parts.blobs[i].digest, "Preparing", 0, 0);
	p->left = p->parts.n - 1;
	int rc = send_layers(p, err);
	rc = rc < 0 ? rc : send_part(&config, 0, err);
	if (rc >= 0 && p->changed)
		rc = image_parts_remake(&p->parts, err);
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
	rc = rc < 0 ? rc : find_lenders(p, err);
	rc = rc < 0 ? rc : registry_open(p->e->registries, &p->ref, p->req->auth, REGISTRY_PULL | REGISTRY_PUSH, p->req->cancel, &p->reg, err);
	if (rc < 0)
		return rc;
	registry_lenders(p->reg, p->lenders);
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
	(void) strv_free(p->lenders);
	(void) pthread_mutex_destroy(&p->lock);
}

static int push_one(struct engine *e, const struct caller *caller, const struct push_request *req, const char *text, struct err *err)
{
	struct push p = {.e = e, .caller = caller, .req = req};
	(void) pthread_mutex_init(&p.lock, NULL); /* cannot fail with default attributes */
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

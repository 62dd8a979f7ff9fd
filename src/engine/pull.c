/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pull: the registry room asks, the image room keeps, this file has both do it at once.
 *
 *	this thread                                  up to three workers
 *	manifest (index, manifest), config
 *	a slot for each layer's blob
 *	and its crew unpack several layers at        fetch the blobs in the layers' order, hash, write
 *	once, each while its blob still comes
 *	commits
 */
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/clock.h"
#include "codec/digest.h"
#include "engine/internal.h"
#include "image/intake.h"
#include "registry/registry.h"

#if defined(__x86_64__)
#define HOST_ARCH "amd64"
#define HOST_VARIANT ""
#else
#define HOST_ARCH "arm64"
#define HOST_VARIANT "v8"
#endif
enum { WORKERS = 3, CONFIG_MAX = 8 << 20, INDEX_DEPTH = 2 };
#define PROGRESS_USEC (100 * USEC_PER_MSEC)

struct platform {
	char os[32], arch[32], variant[32];
};

struct pull {
	struct engine *e;
	const struct caller *caller;
	const struct pull_request *req;
	struct platform platform;
	struct image_ref ref; /* owned; with the tag or the digest that is pulled */
	struct registry *reg; /* owned */
	struct registry_conn *conn; /* owned */
	struct image_intake *intake; /* owned */
	pthread_mutex_t lock; /* of the progress, and what follows */
	struct err first;     /* the failure that stopped the rest; ERR_NONE: none */
	struct image_progress progress;
	struct registry_document top, manifest; /* owned; the same text unless @top is an index */
	struct manifest *m;   /* owned */
};

static void report(void *ctx, const char *id, const char *status, uint64_t current, uint64_t total)
{
	struct pull *p = ctx;
	(void) pthread_mutex_lock(&p->lock);
	if (p->req->progress)
		p->req->progress->fn(p->req->progress->ctx, id, status, current, total);
	(void) pthread_mutex_unlock(&p->lock);
}

/* About a blob, by the short form of its digest. */
static void report_blob(struct pull *p, const char *digest, const char *status, uint64_t current, uint64_t total)
{
	char id[16];
	(void) snprintf(id, sizeof(id), "%.12s", digest + strlen("sha256:"));
	report(p, id, status, current, total);
}

static void _printf_(2, 3) say(struct pull *p, const char *fmt, ...)
{
	char text[700];
	va_list ap;
	va_start(ap, fmt);
	(void) vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	report(p, "", text, 0, 0);
}

/* Which image */

static int read_platform(const char *s, struct platform *ret, struct err *err)
{
	*ret = (struct platform) {.os = "linux", .arch = HOST_ARCH, .variant = HOST_VARIANT};
	if (str_empty(s))
		return 0;
	const char *slash = strchr(s, '/'), *second = slash ? strchr(slash + 1, '/') : NULL;
	int n = slash ? (int) (second ? second - slash - 1 : (ptrdiff_t) strlen(slash + 1)) : 0;
	if (!slash || str_format(ret->os, sizeof(ret->os), "%.*s", (int) (slash - s), s) < 0 || str_format(ret->arch, sizeof(ret->arch), "%.*s", n, slash + 1) < 0 ||
	    str_copy(ret->variant, sizeof(ret->variant), second ? second + 1 : "") < 0)
		return err_set(err, ERR_INVALID, "platform '%.60s' is not OS/ARCHITECTURE[/VARIANT], as in linux/amd64", s);
	if (!str_eq(ret->os, "linux"))
		return err_set(err, ERR_UNSUPPORTED, "platform '%.60s': only linux images run here", s);
	return 0;
}

int engine_platform_check(const char *platform, struct err *err)
{
	struct platform p;
	int rc = read_platform(platform, &p, err);
	if (rc < 0 || str_eq(p.arch, HOST_ARCH))
		return rc;
	return err_set(err, ERR_UNSUPPORTED, "platform '%.60s': containers run on the architecture of the host alone, linux/%s", platform, HOST_ARCH);
}

static bool fits(const struct platform *p, const struct descriptor *d)
{
	if (!d->architecture) /* says nothing: as good as any */
		return true;
	return str_eq(d->os ?: "linux", p->os) && str_eq(d->architecture, p->arch) && (!p->variant[0] || !d->variant || !d->variant[0] || str_eq(d->variant, p->variant));
}

/* The manifest for the platform, out of an index or of one below it. */
static int choose(struct pull *p, const struct registry_document *doc, int depth, struct registry_document *ret, struct err *err)
{
	struct image_index *x = NULL;
	struct descriptor *found = NULL;
	int rc = image_index_parse(doc->text, doc->len, &x, err);
	if (rc < 0)
		return rc;
	for (size_t i = 0; i < x->n && !found; i++)
		if (fits(&p->platform, &x->manifests[i]) && !str_eq(x->manifests[i].os, "unknown"))
			found = &x->manifests[i];
	if (!found)
		rc = err_set(err, ERR_NOT_FOUND, "no matching manifest for %s/%s%s%s in the manifest list entries", p->platform.os, p->platform.arch,
			     p->platform.variant[0] ? "/" : "", p->platform.variant);
	rc = rc < 0 ? rc : registry_manifest(p->conn, found->digest, ret, err);
	if (rc >= 0 && ret->len != found->size)
		rc = err_set(err, ERR_CORRUPT, "manifest %s: wrong size: %zu bytes, its descriptor says %llu", ret->digest, ret->len, (unsigned long long) found->size);
	if (rc >= 0 && strcmp(ret->media_type, found->media_type) != 0)
		rc = err_set(err, ERR_CORRUPT, "manifest %s: its media type differs from its descriptor's", ret->digest);
	(void) image_index_free(x);
	if (rc < 0 || !media_type_is_index(ret->media_type))
		return rc;
	struct registry_document inner = *ret;
	*ret = (struct registry_document) {0};
	rc = depth >= INDEX_DEPTH ? err_set(err, ERR_QUOTA, "indexes nested deeper than %d", INDEX_DEPTH) : choose(p, &inner, depth + 1, ret, err);
	registry_document_done(&inner);
	return rc;
}

static int resolve(struct pull *p, struct err *err)
{
	int rc = registry_manifest(p->conn, p->ref.digest ? p->ref.digest : p->ref.tag, &p->top, err);
	if (rc >= 0 && media_type_is_index(p->top.media_type))
		rc = choose(p, &p->top, 1, &p->manifest, err);
	const struct registry_document *d = p->manifest.text ? &p->manifest : &p->top;
	return rc < 0 ? rc : manifest_parse(d->text, d->len, &p->m, err);
}

/* Blobs */

struct worker {
	struct pull *p;
	struct registry_conn *conn; /* owned unless it is the pull's own */
	struct image_blob *blob;    /* borrowed; the one under way */
	usec_t told;
	pthread_t thread;
	bool running;
};

static int on_bytes(void *ctx, const void *data, size_t n, struct err *err)
{
	struct worker *w = ctx;
	int rc = image_blob_write(w->blob, data, n, err);
	usec_t now = now_usec();
	if (rc >= 0 && now - w->told >= PROGRESS_USEC) {
		w->told = now;
		report_blob(w->p, image_blob_digest(w->blob), "Downloading", image_blob_offset(w->blob), image_blob_size(w->blob));
	}
	return rc;
}

static int fetch_blob(struct worker *w, struct err *err)
{
	struct image_blob *b = w->blob;
	const struct registry_sink sink = {.write = on_bytes, .ctx = w};
	struct err why = {0};
	report_blob(w->p, image_blob_digest(b), "Downloading", image_blob_offset(b), image_blob_size(b));
	int rc = registry_blob(w->conn, image_blob_digest(b), image_blob_size(b), image_blob_offset(b), &sink, &why);
	if (rc >= 0)
		report_blob(w->p, image_blob_digest(b), "Verifying Checksum", 0, 0);
	rc = image_blob_end(b, rc < 0 ? &why : NULL, err);
	if (rc >= 0)
		report_blob(w->p, image_blob_digest(b), "Download complete", 0, 0);
	return rc;
}

/* Nothing that is under way is of use any more. */
static void fail(struct pull *p, const struct err *err)
{
	(void) pthread_mutex_lock(&p->lock);
	if (p->first.kind == ERR_NONE && err->sys != -ECANCELED)
		p->first = *err;
	(void) pthread_mutex_unlock(&p->lock);
	atomic_store(p->req->cancel, true);
}

static void *worker_main(void *arg)
{
	struct worker *w = arg;
	struct err err;
	int rc;
	while ((rc = image_blob_next(w->p->intake, &w->blob, &err)) > 0 && (rc = fetch_blob(w, &err)) >= 0)
		;
	if (rc < 0)
		fail(w->p, &err);
	return NULL;
}

static void workers_start(struct pull *p, struct worker *w, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		w[i] = (struct worker) {.p = p, .conn = i == 0 ? p->conn : registry_connect(p->reg)};
		w[i].running = w[i].conn && pthread_create(&w[i].thread, NULL, worker_main, &w[i]) == 0; /* fewer do as well */
	}
}

static void workers_end(struct worker *w, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (w[i].running)
			(void) pthread_join(w[i].thread, NULL); /* fails only for a thread that is none */
		if (i > 0)
			(void) registry_disconnect(w[i].conn);
	}
}

/* The config's text, hashed; it is small enough for memory. */
static int collect(void *ctx, const void *data, size_t n, struct err *err)
{
	struct strbuf *b = ctx;
	strbuf_add(b, data, n);
	return strbuf_err(b) ? err_set(err, ERR_QUOTA, "a config of more than %zu bytes", b->max) : 0;
}

static int fetch_config(struct pull *p, struct image_config **ret, struct err *err)
{
	const struct descriptor *d = &p->m->config;
	_cleanup_strbuf_ struct strbuf b = STRBUF_INIT(CONFIG_MAX);
	const struct registry_sink sink = {.write = collect, .ctx = &b};
	char hex[DIGEST_SHA256_HEX + 1];
	if (d->size == 0 || d->size > CONFIG_MAX)
		return err_set(err, ERR_QUOTA, "config %s: %llu bytes, at most %d are taken", d->digest, (unsigned long long) d->size, CONFIG_MAX);
	int rc = registry_blob(p->conn, d->digest, d->size, 0, &sink, err);
	if (rc < 0)
		return rc;
	digest_sha256_hex(b.s, b.len, hex);
	if (strcmp(hex, d->digest + strlen("sha256:")) != 0)
		return err_set(err, ERR_CORRUPT, "config %s: wrong digest: what came has sha256:%s", d->digest, hex);
	rc = image_config_parse(b.s, b.len, ret, err);
	return rc < 0 ? rc : image_intake_document(p->intake, b.s, b.len, err);
}

/* A slot for each layer's blob; says what is there already. Return: how many are to be fetched. */
static int expect(struct pull *p, const struct image_config *c, struct err *err)
{
	char chain[DIGEST_TEXT_MAX] = "", above[DIGEST_TEXT_MAX];
	int wanted = 0;
	if (strv_len(c->diff_ids) != p->m->n_layers)
		return err_set(err, ERR_CORRUPT, "the config names %zu layers, the manifest %zu", strv_len(c->diff_ids), p->m->n_layers);
	for (size_t i = 0; i < p->m->n_layers; i++) {
		const struct descriptor *d = &p->m->layers[i];
		if (layer_coding_from_media_type(d->media_type) < 0)
			return err_set(err, ERR_UNSUPPORTED, "layer %zu: media type '%.100s' is not known", i + 1, str_is_plain(d->media_type) ? d->media_type : "");
		if (chain_id(i ? chain : NULL, c->diff_ids[i], above) < 0)
			return err_set(err, ERR_CORRUPT, "no chain id for %s", c->diff_ids[i]);
		memcpy(chain, above, sizeof(chain));
		int blob = image_intake_expect(p->intake, d->digest, d->size, err), layer = blob < 0 ? blob : image_intake_has_layer(p->intake, chain, err);
		if (layer < 0)
			return layer;
		report_blob(p, d->digest, !blob && layer ? "Already exists" : "Pulling fs layer", 0, 0);
		wanted += blob;
	}
	return wanted;
}

static int read_layers(struct pull *p, char ***ret, struct err *err)
{
	for (size_t i = 0; i < p->m->n_layers; i++)
		if (strv_push(ret, p->m->layers[i].digest) < 0)
			return err_oom(err);
	return 0;
}

/* Fetch and unpack at once. */
static int take_layers(struct pull *p, int wanted, char *const *names, struct err *err)
{
	_cleanup_strv_ char **blobs = NULL;
	struct worker workers[WORKERS];
	size_t n = (size_t) MIN(wanted, WORKERS);
	int rc = read_layers(p, &blobs, err);
	if (rc < 0)
		return rc;
	workers_start(p, workers, n);
	if (n > 0 && !workers[0].running)
		rc = err_set(err, ERR_SYSTEM, "no thread could be started");
	else
		rc = image_intake_image(p->intake, p->m->config.digest, p->manifest.text ? p->manifest.digest : p->top.digest, blobs, names, err);
	if (rc < 0)
		fail(p, err);
	workers_end(workers, n);
	if (rc < 0 && p->first.kind != ERR_NONE) {
		*err = p->first;
		rc = err->sys;
	}
	return rc;
}

static int commit(struct pull *p, struct err *err)
{
	_cleanup_strv_ char **ignored = NULL;
	int rc = image_intake_commit(p->intake, &ignored, err);
	for (size_t i = 0; rc >= 0 && i < p->m->n_layers; i++)
		report_blob(p, p->m->layers[i].digest, "Pull complete", 0, 0);
	return rc;
}

/* The name with what is known of it by now: "docker.io/library/busybox:latest@sha256:<of the index>". */
static int full_names(struct pull *p, char ***ret, struct err *err)
{
	struct image_ref ref = p->ref;
	ref.digest = p->top.digest;
	return strv_push_take(ret, image_ref_full(&ref)) < 0 ? err_oom(err) : 0;
}

static int take_image(struct pull *p, struct err *err)
{
	_cleanup_strv_ char **names = NULL;
	struct image_config *c = NULL;
	int wanted = 0, rc = full_names(p, &names, err);
	rc = rc < 0 ? rc : image_intake_begin(p->e->images, p->caller->tenant, &p->progress, p->req->cancel, &p->intake, err);
	rc = rc < 0 ? rc : image_intake_document(p->intake, p->top.text, p->top.len, err);
	if (rc >= 0 && p->manifest.text)
		rc = image_intake_document(p->intake, p->manifest.text, p->manifest.len, err);
	rc = rc < 0 ? rc : fetch_config(p, &c, err);
	rc = rc < 0 ? rc : (wanted = expect(p, c, err));
	rc = rc < 0 ? rc : take_layers(p, wanted, names, err);
	rc = rc < 0 ? rc : commit(p, err);
	(void) image_config_free(c);
	return rc;
}

static void pull_done(struct pull *p)
{
	(void) image_intake_free(p->intake);
	(void) manifest_free(p->m);
	registry_document_done(&p->top);
	registry_document_done(&p->manifest);
	(void) registry_disconnect(p->conn);
	(void) registry_close(p->reg);
	image_ref_done(&p->ref);
	(void) pthread_mutex_destroy(&p->lock);
}

static int connect_to(struct pull *p, struct err *err)
{
	int rc = registry_open(p->e->registries, &p->ref, p->req->auth, REGISTRY_PULL, p->req->cancel, &p->reg, err);
	if (rc < 0)
		return rc;
	p->conn = registry_connect(p->reg);
	return p->conn ? 0 : err_oom(err);
}

static int pull_ref(struct pull *p, struct err *err)
{
	_cleanup_free_ char *shown = image_ref_familiar(&p->ref);
	int rc = shown ? connect_to(p, err) : err_oom(err);
	rc = rc < 0 ? rc : resolve(p, err);
	rc = rc < 0 ? rc : trust_check_pull(p->e, p->conn, &p->ref, p->top.digest, p->manifest.text ? p->manifest.digest : NULL, err);
	if (rc < 0)
		return rc;
	char line[600];
	(void) snprintf(line, sizeof(line), "Pulling from %.500s", p->ref.path);
	report(p, p->ref.digest ? p->ref.digest : p->ref.tag, line, 0, 0);
	int current = image_is_current(p->e->images, p->caller->tenant, &p->ref, p->top.digest, p->m->config.digest, err);
	rc = current == 0 ? take_image(p, err) : MIN(current, 0);
	if (rc < 0)
		return rc;
	say(p, "Digest: %s", p->top.digest);
	say(p, current ? "Status: Image is up to date for %.500s" : "Status: Downloaded newer image for %.500s", shown);
	engine_image_event(p->e, p->caller, "pull", shown);
	return 0;
}

static int pull_one(struct engine *e, const struct caller *caller, const struct pull_request *req, const struct platform *platform, struct image_ref *ref_take,
		    struct err *err)
{
	struct pull p = {.e = e, .caller = caller, .req = req, .platform = *platform, .ref = *ref_take};
	*ref_take = (struct image_ref) {0};
	p.progress = (struct image_progress) {.fn = report, .ctx = &p};
	(void) pthread_mutex_init(&p.lock, NULL); /* cannot fail with default attributes */
	int rc = pull_ref(&p, err);
	pull_done(&p);
	return rc;
}

/* "name", tag "1" or "sha256:...": one reference. */
static int read_ref(const char *name, const char *tag, struct image_ref *ret, struct err *err)
{
	const char *sep = str_empty(tag) ? "" : strchr(tag, ':') ? "@" : ":";
	_cleanup_free_ char *text = str_printf("%s%s%s", name, sep, tag ? tag : "");
	return text ? image_ref_parse(text, ret, err) : err_oom(err);
}

static bool is_bare_name(const char *name)
{
	const char *slash = strrchr(name, '/');
	return !strchr(name, '@') && !strchr(slash ? slash : name, ':');
}

static int list_tags(struct engine *e, const struct pull_request *req, char ***ret, struct err *err)
{
	struct image_ref ref = {0};
	struct registry *reg = NULL;
	int rc = image_ref_parse(req->name, &ref, err);
	rc = rc < 0 ? rc : registry_open(e->registries, &ref, req->auth, REGISTRY_PULL, req->cancel, &reg, err);
	struct registry_conn *conn = rc < 0 ? NULL : registry_connect(reg);
	rc = rc < 0 ? rc : conn ? registry_tags(conn, ret, err) : err_oom(err);
	(void) registry_disconnect(conn);
	(void) registry_close(reg);
	image_ref_done(&ref);
	return rc;
}

int engine_pull(struct engine *e, const struct caller *caller, const struct pull_request *req, struct err *err)
{
	_cleanup_strv_ char **tags = NULL;
	struct platform platform;
	struct image_ref ref = {0};
	int rc = read_platform(req->platform, &platform, err);
	if (rc >= 0 && str_empty(req->tag) && is_bare_name(req->name))
		rc = list_tags(e, req, &tags, err);
	else if (rc >= 0) {
		rc = read_ref(req->name, req->tag, &ref, err);
		return rc < 0 ? rc : pull_one(e, caller, req, &platform, &ref, err);
	}
	STRV_FOREACH(tag, tags) {
		rc = rc < 0 ? rc : read_ref(req->name, tag, &ref, err);
		rc = rc < 0 ? rc : pull_one(e, caller, req, &platform, &ref, err);
	}
	return rc;
}

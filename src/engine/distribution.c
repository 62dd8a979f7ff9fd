/* SPDX-License-Identifier: Apache-2.0 */
/* Looking at registries without fetching an image: login, what a name stands for, search. */
#include <errno.h>
#include <stdio.h>

#include "base/base64.h"
#include "base/num.h"
#include "codec/digest.h"
#include "engine/internal.h"
#include "registry/registry.h"

enum { CONFIG_MAX = 8 << 20, MANIFESTS_MAX = 200, SEARCH_LIMIT = 25, SEARCH_LIMIT_MAX = 100 };

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

static int collect(void *ctx, const void *data, size_t n, struct err *err)
{
	struct strbuf *b = ctx;
	strbuf_add(b, data, n);
	return strbuf_err(b) ? err_set(err, ERR_QUOTA, "a config of more than %zu bytes", b->max) : 0;
}

static void write_platform(struct json_writer *w, const char *key, const char *arch, const char *os, const char *variant)
{
	jw_obj(w, key);
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
			write_platform(w, NULL, x->manifests[i].architecture, x->manifests[i].os, x->manifests[i].variant);
	(void) image_index_free(x);
	return rc;
}

/* The one platform of a manifest is in its config. */
static int write_config_platform(struct json_writer *w, const char *key, struct registry_conn *conn, const struct registry_document *d, struct err *err)
{
	_cleanup_strbuf_ struct strbuf b = STRBUF_INIT(CONFIG_MAX);
	const struct registry_sink sink = {.write = collect, .ctx = &b};
	struct manifest *m = NULL;
	struct image_config *c = NULL;
	char found[DIGEST_TEXT_MAX] = "sha256:";
	int rc = manifest_parse(d->text, d->len, &m, err);
	if (rc >= 0 && (m->config.size == 0 || m->config.size > CONFIG_MAX))
		rc = err_set(err, ERR_QUOTA, "config %s: too large", m->config.digest);
	rc = rc < 0 ? rc : registry_blob(conn, m->config.digest, m->config.size, 0, &sink, err);
	if (rc >= 0) {
		digest_sha256_hex(b.s, b.len, found + strlen("sha256:"));
		rc = str_eq(found, m->config.digest) ? 0 : err_set(err, ERR_CORRUPT, "config %s: wrong digest: what came has %s", m->config.digest, found);
	}
	rc = rc < 0 ? rc : image_config_parse(b.s, b.len, &c, err);
	if (rc >= 0)
		write_platform(w, key, c->architecture, c->os, c->variant);
	(void) image_config_free(c);
	(void) manifest_free(m);
	return rc;
}

/* @platform: of an index's entry; NULL: it is in the config, where @d is a manifest. */
static int write_descriptor(struct json_writer *w, const struct registry_document *d, const struct descriptor *platform, bool want_platform, struct registry_conn *conn, struct err *err)
{
	int rc = 0;
	jw_obj(w, "Descriptor");
	jw_str(w, "mediaType", d->media_type);
	jw_str(w, "digest", d->digest);
	jw_uint(w, "size", d->len);
	if (platform && platform->architecture)
		write_platform(w, "platform", platform->architecture, platform->os, platform->variant);
	else if (want_platform)
		rc = write_config_platform(w, "platform", conn, d, err);
	jw_end(w);
	return rc;
}

static int write_distribution(struct registry_conn *conn, const struct image_ref *ref, struct json_writer *w, struct err *err)
{
	struct registry_document d = {0};
	int rc = registry_manifest(conn, ref->digest ? ref->digest : ref->tag, &d, err);
	if (rc < 0)
		return rc;
	jw_obj(w, NULL);
	rc = write_descriptor(w, &d, NULL, /* want_platform= */ false, conn, err);
	jw_arr(w, "Platforms");
	rc = rc < 0 ? rc : media_type_is_index(d.media_type) ? write_index_platforms(w, &d, err) : write_config_platform(w, NULL, conn, &d, err);
	jw_end(w);
	jw_end(w);
	registry_document_done(&d);
	return rc;
}

static int write_raw(struct json_writer *w, const struct registry_document *d, struct err *err)
{
	_cleanup_strbuf_ struct strbuf b = STRBUF_INIT(2 * d->len + 16);
	base64_add(&b, d->text, d->len);
	jw_str(w, "Raw", b.s ? b.s : "");
	return strbuf_err(&b) < 0 ? err_oom(err) : 0;
}

/* As docker's manifest inspect --verbose shows one. */
static int write_manifest(struct json_writer *w, struct registry_conn *conn, const struct image_ref *ref, const struct registry_document *d, const struct descriptor *entry, struct err *err)
{
	_cleanup_free_ char *full = image_ref_full(ref);
	_cleanup_free_ char *pinned = full ? str_printf("%s@%s", full, d->digest) : NULL;
	if (!pinned)
		return err_oom(err);
	jw_obj(w, NULL);
	jw_str(w, "Ref", entry ? pinned : full);
	int rc = write_descriptor(w, d, entry, /* want_platform= */ true, conn, err);
	rc = rc < 0 ? rc : write_raw(w, d, err);
	jw_raw(w, str_after(d->media_type, "application/vnd.docker.") ? "SchemaV2Manifest" : "OCIManifest", d->text);
	jw_end(w);
	return rc;
}

static int write_entries(struct json_writer *w, struct registry_conn *conn, const struct image_ref *ref, const struct registry_document *d, struct err *err)
{
	struct image_index *x = NULL;
	struct image_ref bare = *ref;
	int rc = image_index_parse(d->text, d->len, &x, err);
	bare.digest = NULL;
	if (rc >= 0 && x->n > MANIFESTS_MAX)
		rc = err_set(err, ERR_QUOTA, "an index of %zu manifests: at most %d are looked at one by one", x->n, MANIFESTS_MAX);
	for (size_t i = 0; rc >= 0 && i < x->n; i++) {
		struct registry_document m = {0};
		rc = registry_manifest(conn, x->manifests[i].digest, &m, err);
		if (rc >= 0 && media_type_is_manifest(m.media_type)) /* an index below an index is none of docker's */
			rc = write_manifest(w, conn, &bare, &m, &x->manifests[i], err);
		registry_document_done(&m);
	}
	(void) image_index_free(x);
	return rc;
}

static int write_manifests(struct registry_conn *conn, const struct image_ref *ref, bool each, struct json_writer *w, struct err *err)
{
	struct registry_document d = {0};
	int rc = registry_manifest(conn, ref->digest ? ref->digest : ref->tag, &d, err);
	if (rc < 0)
		return rc;
	jw_obj(w, NULL);
	rc = write_descriptor(w, &d, NULL, /* want_platform= */ false, conn, err);
	rc = rc < 0 ? rc : write_raw(w, &d, err);
	if (each) {
		jw_arr(w, "Manifests");
		rc = rc < 0 ? rc : media_type_is_index(d.media_type) ? write_entries(w, conn, ref, &d, err) : write_manifest(w, conn, ref, &d, NULL, err);
		jw_end(w);
	}
	jw_end(w);
	registry_document_done(&d);
	return rc;
}

struct look {
	struct image_ref ref;       /* owned */
	struct registry *reg;       /* owned */
	struct registry_conn *conn; /* owned */
};

static int look_begin(struct engine *e, const char *name, const struct registry_auth *auth, struct look *l, struct err *err)
{
	int rc = image_ref_parse(name, &l->ref, err);
	rc = rc < 0 ? rc : registry_open(e->registries, &l->ref, auth, REGISTRY_PULL, NULL, &l->reg, err);
	if (rc < 0)
		return rc;
	l->conn = registry_connect(l->reg);
	return l->conn ? 0 : err_oom(err);
}

static void look_end(struct look *l)
{
	(void) registry_disconnect(l->conn);
	(void) registry_close(l->reg);
	image_ref_done(&l->ref);
}

int engine_distribution(struct engine *e, const struct caller *caller, const char *name, const struct registry_auth *auth, struct json_writer *w, struct err *err)
{
	struct look l = {0};
	int rc = look_begin(e, name, auth, &l, err);
	rc = rc < 0 ? rc : write_distribution(l.conn, &l.ref, w, err);
	look_end(&l);
	return rc;
}

int engine_manifests(struct engine *e, const struct caller *caller, const char *name, bool each, const struct registry_auth *auth, struct json_writer *w, struct err *err)
{
	struct look l = {0};
	int rc = look_begin(e, name, auth, &l, err);
	rc = rc < 0 ? rc : write_manifests(l.conn, &l.ref, each, w, err);
	look_end(&l);
	return rc;
}

/* Search */

struct wish {
	int official, automated; /* 2: either */
	uint32_t stars;
};

static int read_wish(const struct json *filters, struct wish *ret, struct err *err)
{
	static const char *const known[] = {"is-automated", "is-official", "stars", NULL};
	int rc = filters_check(filters, known, err);
	if (rc < 0)
		return rc;
	_cleanup_strv_ char **stars = filter_get(filters, "stars");
	*ret = (struct wish) {.official = filter_bool(filters, "is-official", 2, err)};
	if (ret->official < 0)
		return ret->official;
	ret->automated = filter_bool(filters, "is-automated", 2, err);
	if (ret->automated < 0)
		return ret->automated;
	STRV_FOREACH(s, stars) {
		uint32_t n;
		if (parse_u32(s, &n) < 0)
			return err_set(err, ERR_INVALID, "invalid filter 'stars=%.40s'", str_is_plain(s) ? s : "");
		ret->stars = MAX(ret->stars, n);
	}
	return 0;
}

static int by_stars(const void *a, const void *b)
{
	const struct registry_result *x = a, *y = b;
	return x->stars != y->stars ? (x->stars < y->stars ? 1 : -1) : strcmp(x->name, y->name);
}

int engine_search(struct engine *e, const struct caller *caller, const struct search_request *q, struct json_writer *w, struct err *err)
{
	struct registry_results found = {NULL};
	struct wish wish;
	unsigned limit = q->limit ? q->limit : SEARCH_LIMIT;
	int rc = read_wish(q->filters, &wish, err);
	if (rc >= 0 && str_empty(q->term))
		rc = err_set(err, ERR_INVALID, "query parameter 'term': what is to be searched for");
	if (rc >= 0 && strstr(q->term, "://"))
		rc = err_set(err, ERR_INVALID, "invalid repository name: repository name (%.100s) should not have a scheme", q->term);
	if (rc >= 0 && limit > SEARCH_LIMIT_MAX)
		rc = err_set(err, ERR_INVALID, "limit %u is outside the range of [1, %d]", limit, SEARCH_LIMIT_MAX);
	if (rc >= 0 && wish.automated != 1) /* nothing is any more */
		rc = registry_search(e->registries, q->term, limit, q->auth, &found, err);
	if (rc >= 0) {
		if (found.n > 0)
			qsort(found.v, found.n, sizeof(*found.v), by_stars);
		jw_arr(w, NULL);
	}
	for (size_t i = 0; rc >= 0 && i < found.n; i++) {
		const struct registry_result *r = &found.v[i];
		if (r->stars < wish.stars || (wish.official != 2 && r->official != wish.official))
			continue;
		jw_obj(w, NULL);
		jw_uint(w, "star_count", r->stars);
		jw_bool(w, "is_official", r->official);
		jw_str(w, "name", r->name);
		jw_bool(w, "is_automated", false);
		jw_str(w, "description", r->description);
		jw_end(w);
	}
	if (rc >= 0)
		jw_end(w);
	registry_results_done(&found);
	return rc;
}

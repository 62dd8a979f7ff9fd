/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signatures that lie beside an image in its repository, as cosign and skopeo put them: a manifest tagged "sha256-HEX.sig" whose layers are payloads, each with its
 * signature in an annotation; or such manifests as referrers of the image (distribution-spec 1.1: by the API, or by the tag "sha256-HEX" where that is not there).
 * What they say is not looked at here.
 */
#include <errno.h>

#include "codec/digest.h"
#include "registry/answers.h"
#include "registry/internal.h"

enum { REFERRERS_MAX = 16, SECONDS = 120 };

void registry_signatures_done(struct registry_signatures *s)
{
	for (size_t i = 0; i < s->n; i++) {
		free(s->v[i].payload);
		free(s->v[i].signature);
	}
	free(s->v);
	*s = (struct registry_signatures) {NULL};
}

static int collect(void *ctx, const void *data, size_t n, struct err *err)
{
	struct strbuf *b = ctx;
	strbuf_add(b, data, n);
	return strbuf_err(b) ? err_set(err, ERR_QUOTA, "a payload of more than %d bytes", SIGNATURE_PAYLOAD_MAX) : 0;
}

static int fetch_payload(struct registry_conn *c, const char *digest, uint64_t size, struct strbuf *b, struct err *err)
{
	const struct registry_sink sink = {.write = collect, .ctx = b};
	char hex[DIGEST_SHA256_HEX + 1];
	int r = registry_blob(c, digest, size, 0, &sink, err);
	if (r < 0)
		return r;
	digest_sha256_hex(b->s, b->len, hex);
	return strcmp(hex, digest + strlen("sha256:")) == 0 ? 0 : err_set(err, ERR_CORRUPT, "payload %s: wrong digest", digest);
}

static int add(struct registry_signatures *s, struct strbuf *payload, const char *signature, struct err *err)
{
	struct registry_signature *grown = realloc(s->v, (s->n + 1) * sizeof(*grown));
	if (!grown)
		return err_oom(err);
	s->v = grown;
	size_t len = payload->len;
	struct registry_signature one = {.len = len, .payload = strbuf_steal(payload), .signature = strdup(signature)};
	grown[s->n++] = one;
	return one.payload && one.signature ? 0 : err_oom(err);
}

static int read_manifest(struct registry_conn *c, const struct registry_document *d, struct registry_signatures *s, struct err *err)
{
	struct signature_layers found = {NULL};
	int r = signature_layers_parse(d->text, d->len, &found, err);
	if (r >= 0 && s->n + found.n > SIGNATURES_MAX)
		r = err_set(err, ERR_QUOTA, "more than %d signatures", SIGNATURES_MAX);
	for (size_t i = 0; r >= 0 && i < found.n; i++) {
		_cleanup_strbuf_ struct strbuf payload = STRBUF_INIT(SIGNATURE_PAYLOAD_MAX);
		r = fetch_payload(c, found.v[i].digest, found.v[i].size, &payload, err);
		r = r < 0 ? r : add(s, &payload, found.v[i].signature, err);
	}
	signature_layers_done(&found);
	return r;
}

/* A manifest by tag or digest. Return: 1 it was there, 0 it is not. */
static int read_from(struct registry_conn *c, const char *reference, struct registry_signatures *s, struct err *err)
{
	struct registry_document d = {0};
	struct err why = {0};
	int r = registry_manifest(c, reference, &d, &why);
	if (r < 0 && why.kind == ERR_NOT_FOUND)
		return 0;
	if (r < 0) {
		*err = why;
		return r;
	}
	r = media_type_is_manifest(d.media_type) ? read_manifest(c, &d, s, err) : 0;
	registry_document_done(&d);
	return r < 0 ? r : 1;
}

/* The manifests of an index of referrers; those that hold no signatures are passed over. */
static int read_referrers(struct registry_conn *c, const char *text, size_t len, struct registry_signatures *s, struct err *err)
{
	struct image_index *x = NULL;
	int r = image_index_parse(text, len, &x, err);
	for (size_t i = 0; r >= 0 && i < MIN(x->n, (size_t) REFERRERS_MAX); i++)
		r = read_from(c, x->manifests[i].digest, s, err);
	(void) image_index_free(x);
	return MIN(r, 0);
}

/* By the API. Return: 1 the registry has it. */
static int ask_referrers(struct registry_conn *c, const char *digest, struct registry_signatures *s, struct err *err)
{
	_cleanup_strbuf_ struct strbuf b = STRBUF_INIT(DOCUMENT_MAX);
	char path[600];
	const struct exchange x = {.method = FETCH_GET, .path = path, .headers = "Accept: application/vnd.oci.image.index.v1+json\n", .body_fd = -EBADF, .answer_max = DOCUMENT_MAX,
		.follow = true, .total_s = SECONDS};
	if (str_format(path, sizeof(path), "%s/referrers/%s", c->reg->ref.path, digest) < 0)
		return err_set(err, ERR_INVALID, "a name that is too long");
	int r = session_use(c, c->reg->current, err), status = r < 0 ? r : session_request(c, &x, err);
	if (status < 0)
		return status;
	bool is_index = str_eq(fetch_head(c->fetcher)->content_type, "application/vnd.oci.image.index.v1+json");
	r = session_body(c, &b, err);
	if (r < 0 || status != 200 || !is_index)
		return MIN(r, 0);
	r = read_referrers(c, b.s ? b.s : "", b.len, s, err);
	return r < 0 ? r : 1;
}

/* By the tag that stands in for the API. */
static int ask_fallback(struct registry_conn *c, const char *tag, struct registry_signatures *s, struct err *err)
{
	struct registry_document d = {0};
	struct err why = {0};
	int r = registry_manifest(c, tag, &d, &why);
	if (r < 0) {
		*err = why;
		return why.kind == ERR_NOT_FOUND ? 0 : r;
	}
	r = media_type_is_index(d.media_type) ? read_referrers(c, d.text, d.len, s, err) : 0;
	registry_document_done(&d);
	return r;
}

int registry_signatures(struct registry_conn *c, const char *digest, struct registry_signatures *s, struct err *err)
{
	char tag[DIGEST_TEXT_MAX + 8], sig[DIGEST_TEXT_MAX + 8];
	size_t current = c->reg->current;
	(void) str_format(tag, sizeof(tag), "sha256-%s", digest + strlen("sha256:"));
	(void) str_format(sig, sizeof(sig), "%s.sig", tag);
	int r = read_from(c, sig, s, err);
	if (r == 0)
		r = ask_referrers(c, digest, s, err);
	if (r == 0)
		r = ask_fallback(c, tag, s, err);
	c->reg->current = current; /* the image itself goes on to come from where it was found */
	return r < 0 && r != -ECANCELED ? err_wrap(err, "signatures of %s", digest) : MIN(r, 0);
}

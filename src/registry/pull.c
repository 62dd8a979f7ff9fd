/* SPDX-License-Identifier: Apache-2.0 */
/* What is read from a registry: manifests and indexes, tags, blobs. */
#include <errno.h>
#include <stdio.h>
#include <strings.h>

#include "base/num.h"
#include "codec/digest.h"
#include "codec/json.h"
#include "registry/internal.h"

enum { DOCUMENT_SECONDS = 120, BLOB_BUF = 1 << 18, TAGS_MAX = 100000, PAGES_MAX = 1000, BREAKS_MAX = 100 };
static const char accept_manifests[] =
	"Accept: application/vnd.oci.image.index.v1+json\nAccept: application/vnd.docker.distribution.manifest.list.v2+json\n"
	"Accept: application/vnd.oci.image.manifest.v1+json\nAccept: application/vnd.docker.distribution.manifest.v2+json\n";

void registry_document_done(struct registry_document *d)
{
	free(d->text);
	*d = (struct registry_document) {0};
}

/* "application/x; charset=utf-8" to "application/x". */
static void media_type_of(const char *header, char *out, size_t size)
{
	size_t n = strcspn(header, "; \t");
	(void) snprintf(out, size, "%.*s", (int) n, header);
}

/* Content-Type and the document's own word must agree, and must be a kind that we asked for (CVE-2021-41190). */
static int check_type(struct registry_document *d, struct err *err)
{
	_cleanup_json_ struct json *doc = NULL;
	const char *own = NULL;
	int r = json_parse(d->text, d->len, DOCUMENT_MAX, "manifest", &doc, err);
	if (r >= 0)
		r = json_read_str(doc, "mediaType", &own, err);
	if (r < 0)
		return r;
	if (!media_type_is_manifest(d->media_type) && !media_type_is_index(d->media_type)) {
		if (str_after(d->media_type, "application/vnd.docker.distribution.manifest.v1"))
			return err_set(err, ERR_UNSUPPORTED, "the manifest is of docker's schema 1, which is not taken any more: push the image with a newer docker");
		return err_set(err, ERR_UNSUPPORTED, "the registry answered with '%.100s', which is no manifest or index", d->media_type);
	}
	if (own && strcmp(own, d->media_type) != 0)
		return err_set(err, ERR_CORRUPT, "the registry calls it '%.100s', the document itself '%.100s'", d->media_type, str_is_plain(own) ? own : "");
	return 0;
}

/* Bytes first, meaning later (R17). */
static int read_document(struct registry_conn *c, const char *want, struct registry_document *ret, struct err *err)
{
	struct strbuf b = STRBUF_INIT(DOCUMENT_MAX);
	struct registry_document d = {0};
	char said[DIGEST_TEXT_MAX];
	const struct fetch_msg *head = fetch_head(c->fetcher);
	media_type_of(head->content_type, d.media_type, sizeof(d.media_type));
	(void) str_copy(said, sizeof(said), digest_is_valid(head->digest) ? head->digest : "");
	int r = session_body(c, &b, err);
	if (r < 0) {
		strbuf_done(&b);
		return r;
	}
	d.len = b.len;
	d.text = strbuf_steal(&b);
	if (!d.text)
		return err_oom(err);
	memcpy(d.digest, "sha256:", 7);
	digest_sha256_hex(d.text, d.len, d.digest + 7);
	if (want && strcmp(want, d.digest) != 0)
		r = err_set(err, ERR_CORRUPT, "wrong digest: asked for %s, the registry's document has %s", want, d.digest);
	else if (said[0] && strcmp(said, d.digest) != 0)
		r = err_set(err, ERR_CORRUPT, "wrong digest: the registry says %s, its document has %s", said, d.digest);
	else
		r = check_type(&d, err);
	if (r < 0) {
		registry_document_done(&d);
		return r;
	}
	*ret = d;
	return 0;
}

static int manifest_at(struct registry_conn *c, const char *path, const char *reference, struct registry_document *ret, struct err *err)
{
	char what[600];
	const struct exchange x = {.method = FETCH_GET, .path = path, .headers = accept_manifests, .body_fd = -EBADF, .answer_max = DOCUMENT_MAX, .follow = true,
		.total_s = DOCUMENT_SECONDS};
	bool pinned = digest_is_valid(reference);
	_cleanup_free_ char *name = image_ref_familiar(&c->reg->ref);
	(void) snprintf(what, sizeof(what), "manifest for %.300s%s%.140s", name ? name : "", pinned ? "@" : ":", reference);
	int status = session_request(c, &x, err);
	if (status < 0)
		return status;
	if (status != 200)
		return session_refused(c, status, what, err);
	int r = read_document(c, pinned ? reference : NULL, ret, err);
	return r < 0 && r != -ECANCELED ? err_wrap(err, "%s", what) : r;
}

int registry_manifest(struct registry_conn *c, const char *reference, struct registry_document *ret, struct err *err)
{
	struct registry *reg = c->reg;
	char path[600];
	if (str_format(path, sizeof(path), "%s/manifests/%s", reg->ref.path, reference) < 0)
		return err_set(err, ERR_INVALID, "a name that is too long");
	int r = -ENOENT;
	for (size_t i = c->at ? reg->current : 0; i < reg->n_endpoints; i++) {
		r = session_use(c, i, err);
		if (r >= 0)
			r = manifest_at(c, path, reference, ret, err);
		reg->current = i;
		if (r >= 0 || r == -ECANCELED || c->at == NULL)
			break;
	}
	return r;
}

/* "</v2/x/tags/list?last=b&n=100>; rel=\"next\"": the same origin's alone. Return: 1 there is a next page. */
static int next_page(const struct registry_conn *c, struct url *ret, struct err *err)
{
	char target[FETCH_VALUE_MAX];
	const char *link = fetch_head(c->fetcher)->link, *end = strchr(link, '>');
	if (link[0] != '<' || !end || !strstr(end, "rel=\"next\""))
		return 0;
	(void) snprintf(target, sizeof(target), "%.*s", (int) (end - link - 1), link + 1);
	int r = url_resolve(&c->at->base, target, ret, err);
	if (r < 0)
		return r;
	return url_same_origin(ret, &c->at->base) ? 1 : err_set(err, ERR_DENIED, "the registry's list goes on at another host '%s': refused", ret->host);
}

static int read_tags(const char *text, size_t len, char ***ret, struct err *err)
{
	_cleanup_json_ struct json *doc = NULL;
	_cleanup_strv_ char **tags = NULL;
	int r = json_parse(text, len, DOCUMENT_MAX, "list of tags", &doc, err);
	if (r >= 0)
		r = json_read_strv(doc, "tags", &tags, err);
	STRV_FOREACH(t, tags)
		if (r >= 0 && strv_push(ret, t) < 0)
			r = err_oom(err);
	if (r >= 0 && strv_len(*ret) > TAGS_MAX)
		r = err_set(err, ERR_QUOTA, "more than %d tags", TAGS_MAX);
	return r;
}

int registry_tags(struct registry_conn *c, char ***ret, struct err *err)
{
	char path[600];
	struct url next;
	struct exchange x = {.method = FETCH_GET, .path = path, .body_fd = -EBADF, .answer_max = DOCUMENT_MAX, .follow = true, .total_s = DOCUMENT_SECONDS};
	if (str_format(path, sizeof(path), "%s/tags/list", c->reg->ref.path) < 0)
		return err_set(err, ERR_INVALID, "a name that is too long");
	int r = session_use(c, c->reg->n_endpoints - 1, err);
	for (int page = 0; r >= 0; page++) {
		_cleanup_strbuf_ struct strbuf b = STRBUF_INIT(DOCUMENT_MAX);
		if (page >= PAGES_MAX)
			return err_set(err, ERR_QUOTA, "a list of tags with more than %d pages", PAGES_MAX);
		int status = session_request(c, &x, err);
		if (status != 200)
			return status < 0 ? status : session_refused(c, status, "the list of tags", err);
		int more = next_page(c, &next, err);
		r = more < 0 ? more : session_body(c, &b, err);
		if (r >= 0)
			r = read_tags(b.s ? b.s : "", b.len, ret, err);
		if (r < 0 || more == 0)
			return r;
		x.url = &next;
	}
	return r;
}

/* Blobs */

struct blob {
	struct registry_conn *c;
	const struct registry_sink *sink;
	uint64_t at, size;
	char *buf;
	bool sink_failed;
};

/* "bytes 100-199/200" must begin where we asked. */
static int check_range(const struct blob *b, const char *range, struct err *err)
{
	char digits[24];
	const char *p = str_after(range, "bytes ");
	size_t n = p ? strspn(p, "0123456789") : 0;
	uint64_t from = UINT64_MAX;
	(void) snprintf(digits, sizeof(digits), "%.*s", (int) MIN(n, sizeof(digits) - 1), p ? p : "");
	if (n == 0 || parse_u64(digits, &from) < 0 || from != b->at)
		return err_set(err, ERR_CORRUPT, "the registry sent another part of the blob than was asked for");
	return 0;
}

/* The body of one answer; @skip: bytes that we have already. Sets *@ret_net when the network broke it off. */
static int copy(struct blob *b, uint64_t skip, bool *ret_net, struct err *err)
{
	ssize_t n;
	while ((n = fetch_read(b->c->fetcher, b->buf, BLOB_BUF, err)) > 0) {
		size_t drop = (size_t) MIN(skip, (uint64_t) n);
		skip -= drop;
		if ((uint64_t) n - drop > b->size - b->at)
			return err_set(err, ERR_CORRUPT, "wrong size: more than the %llu bytes that its descriptor says", (unsigned long long) b->size);
		int r = (size_t) n > drop ? b->sink->write(b->sink->ctx, b->buf + drop, (size_t) n - drop, err) : 0;
		b->sink_failed = r < 0;
		if (r < 0)
			return r;
		b->at += (uint64_t) n - drop;
	}
	*ret_net = n < 0 && n != -ECANCELED && fetch_failure(b->c->fetcher) == FETCH_FAIL_RETRY;
	return (int) n;
}

static int blob_once(struct blob *b, const char *path, bool *ret_net, struct err *err)
{
	char headers[64] = "";
	if (b->at > 0)
		(void) snprintf(headers, sizeof(headers), "Range: bytes=%llu-\n", (unsigned long long) b->at);
	const struct exchange x = {.method = FETCH_GET, .path = path, .headers = headers, .body_fd = -EBADF, .answer_max = b->size + 1, .follow = true};
	*ret_net = false;
	int status = session_request(b->c, &x, err);
	if (status < 0)
		return status;
	if (status != 200 && !(status == 206 && b->at > 0))
		return session_refused(b->c, status, "blob", err);
	const struct fetch_msg *head = fetch_head(b->c->fetcher);
	uint64_t expect = status == 206 ? b->size - b->at : b->size;
	if (head->length != UINT64_MAX && head->length != expect)
		return err_set(err, ERR_CORRUPT, "wrong size: the registry has %llu bytes, its descriptor says %llu", (unsigned long long) head->length,
			       (unsigned long long) expect);
	int r = status == 206 ? check_range(b, head->content_range, err) : 0;
	return r < 0 ? r : copy(b, status == 206 ? 0 : b->at, ret_net, err);
}

/* From endpoint @i, to the end. */
static int blob_from(struct blob *b, size_t i, const char *path, struct err *err)
{
	int r = session_use(b->c, i, err);
	for (int tries = 0, breaks = 0; r >= 0 && b->at < b->size;) {
		bool net = false;
		uint64_t before = b->at;
		r = blob_once(b, path, &net, err);
		if (r >= 0 && b->at < b->size)
			return err_set(err, ERR_CORRUPT, "wrong size: %llu bytes came, its descriptor says %llu", (unsigned long long) b->at, (unsigned long long) b->size);
		if (r >= 0 || !net)
			break;
		tries = b->at > before ? 0 : tries + 1; /* as long as it gets on, it may go on */
		if (tries >= TRIES_MAX || ++breaks >= BREAKS_MAX)
			break;
		r = session_pause(b->c->reg, 200u << tries, err);
	}
	return r;
}

int registry_blob(struct registry_conn *c, const char *digest, uint64_t size, uint64_t offset, const struct registry_sink *sink, struct err *err)
{
	char path[600];
	struct blob b = {.c = c, .sink = sink, .at = offset, .size = size};
	if (str_format(path, sizeof(path), "%s/blobs/%s", c->reg->ref.path, digest) < 0)
		return err_set(err, ERR_INVALID, "a name that is too long");
	_cleanup_free_ char *buf = b.buf = malloc(BLOB_BUF);
	if (!buf)
		return err_oom(err);
	int r;
	for (size_t i = c->reg->current;; i++) { /* what a mirror cannot give, the next one may; whose bytes they are the digest tells */
		r = blob_from(&b, i, path, err);
		if (r >= 0 || r == -ECANCELED || b.sink_failed || i + 1 >= c->reg->n_endpoints)
			break;
	}
	return r < 0 && r != -ECANCELED ? err_wrap(err, "blob %s", digest) : r;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* An OCI image layout: oci-layout, index.json, blobs/sha256/HEX. Nested indexes are entered twice at most. */
#include <stdio.h>

#include "codec/json.h"
#include "image/internal.h"

enum { NESTED_MAX = 2, DOCUMENT_MAX = 4 << 20 };

#if defined(__x86_64__)
#define HOST_ARCH "amd64"
#elif defined(__aarch64__)
#define HOST_ARCH "arm64"
#else
#define HOST_ARCH "unknown"
#endif

static int take_blob(struct archive *a, const struct descriptor *d, struct err *err)
{
	char name[96], staged[48], digest[DIGEST_TEXT_MAX];
	int dir;
	(void) str_format(name, sizeof(name), "blobs/sha256/%s", d->digest + strlen("sha256:"));
	if (load_pending(a->l->blobs, a->l->n_blobs, d->digest) == NULL) {
		int r = archive_get(a, name, &dir, staged, err);
		if (r == 0)
			return err_set(err, ERR_CORRUPT, "blob %s is missing from the archive", d->digest);
		return r < 0 ? r : load_blob(a->l, dir, staged, d->digest, d->size, digest, err);
	}
	const struct pending *p = load_pending(a->l->blobs, a->l->n_blobs, d->digest);
	return load_blob(a->l, p->dir, p->name, d->digest, d->size, digest, err);
}

static int take_text(struct archive *a, const struct descriptor *d, char **ret, size_t *ret_len, struct err *err)
{
	if (d->size > DOCUMENT_MAX)
		return err_set(err, ERR_QUOTA, "blob %s: a document of %llu bytes, at most %d are taken", d->digest, (unsigned long long) d->size, DOCUMENT_MAX);
	int r = take_blob(a, d, err);
	return r < 0 ? r : load_text(a->l, d->digest, DOCUMENT_MAX, ret, ret_len, err);
}

/* A name that is a whole reference; a bare word could be a tag or a name, and guessing is worse than none. */
static int add_name(const char *ref_name, char ***names, struct err *err)
{
	struct image_ref ref = {0};
	struct err ignored;
	if (!ref_name || !strpbrk(ref_name, "/:") || image_ref_parse(ref_name, &ref, &ignored) < 0)
		return 0;
	int r = ref.tag ? strv_push_take(names, image_ref_full(&ref)) : 0;
	image_ref_done(&ref);
	return r < 0 ? err_oom(err) : 0;
}

static int load_manifest(struct archive *a, const struct descriptor *d, const char *ref_name, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	_cleanup_strv_ char **blobs = NULL, **names = NULL;
	struct manifest *m = NULL;
	size_t len = 0;
	int r = take_text(a, d, &text, &len, err);
	if (r >= 0)
		r = manifest_parse(text, len, &m, err);
	if (r >= 0 && m->media_type && strcmp(m->media_type, d->media_type) != 0)
		r = err_set(err, ERR_CORRUPT, "manifest %s: its media type differs from its descriptor's", d->digest);
	if (r >= 0)
		r = take_blob(a, &m->config, err);
	for (size_t i = 0; r >= 0 && i < m->n_layers; i++) {
		r = take_blob(a, &m->layers[i], err);
		if (r >= 0 && strv_push(&blobs, m->layers[i].digest) < 0)
			r = err_oom(err);
	}
	if (r >= 0)
		r = add_name(ref_name, &names, err);
	if (r >= 0)
		r = load_add_image(a->l, m->config.digest, d->digest, blobs, names, err);
	(void) manifest_free(m);
	return r;
}

static bool is_ours(const struct descriptor *d)
{
	return !d->architecture || ((!d->os || strcmp(d->os, "linux") == 0) && strcmp(d->architecture, HOST_ARCH) == 0);
}

static bool is_attestation(const struct descriptor *d)
{
	return str_eq(d->os, "unknown") || str_eq(d->architecture, "unknown");
}

static int none_for_us(const struct image_index *x, struct err *err)
{
	char list[200] = "";
	size_t at = 0;
	for (size_t i = 0; i < x->n && at + 40 < sizeof(list); i++)
		if (x->manifests[i].architecture && !is_attestation(&x->manifests[i])) {
			int n = snprintf(list + at, sizeof(list) - at, "%s%.15s/%.15s", at ? ", " : "", x->manifests[i].os ?: "?", x->manifests[i].architecture);
			at += (size_t) MAX(n, 0);
		}
	return err_set(err, ERR_UNSUPPORTED, "no image for linux/" HOST_ARCH " (it has: %s)", str_is_plain(list) && *list ? list : "none");
}

static int load_index(struct archive *a, const char *text, size_t len, const char *ref_name, int depth, struct err *err);

static int load_descriptor(struct archive *a, const struct descriptor *d, const char *ref_name, int depth, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	size_t len = 0;
	if (media_type_is_manifest(d->media_type))
		return load_manifest(a, d, ref_name, err);
	if (!media_type_is_index(d->media_type))
		return err_set(err, ERR_UNSUPPORTED, "unknown media type '%.100s'", str_is_plain(d->media_type) ? d->media_type : "");
	if (depth >= NESTED_MAX)
		return err_set(err, ERR_QUOTA, "indexes nested deeper than %d", NESTED_MAX);
	int r = take_text(a, d, &text, &len, err);
	return r < 0 ? r : load_index(a, text, len, ref_name, depth + 1, err);
}

static int load_index(struct archive *a, const char *text, size_t len, const char *ref_name, int depth, struct err *err)
{
	struct image_index *x = NULL;
	int r = image_index_parse(text, len, &x, err);
	if (r < 0)
		return r;
	size_t loaded = 0;
	for (size_t i = 0; r >= 0 && i < x->n; i++) {
		const struct descriptor *d = &x->manifests[i];
		if (is_attestation(d) || !is_ours(d))
			continue;
		if (depth > 0 && loaded > 0) /* one image a name: the first that fits */
			break;
		r = load_descriptor(a, d, d->ref_name ? d->ref_name : ref_name, depth, err);
		if (r < 0 && depth == 0)
			r = err_wrap(err, "image %zu", i + 1);
		loaded++;
	}
	if (r >= 0 && loaded == 0)
		r = none_for_us(x, err);
	(void) image_index_free(x);
	return r;
}

static int check_layout(struct archive *a, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	_cleanup_json_ struct json *root = NULL;
	size_t len = 0;
	int r = archive_text(a, "oci-layout", 65536, &text, &len, err);
	if (r == 0)
		return err_set(err, ERR_INVALID, "the archive has 'index.json' but no 'oci-layout'");
	if (r > 0)
		r = json_parse(text, len, 65536, "oci-layout", &root, err);
	if (r < 0)
		return r;
	const char *v = json_str(json_get(root, "imageLayoutVersion"), "");
	return str_after(v, "1.") ? 0 : err_set(err, ERR_UNSUPPORTED, "oci-layout: version '%.20s' is not supported, only 1.x", str_is_plain(v) ? v : "");
}

/* Has image @i of this load exactly the blobs that @m names? */
static bool is_of(const struct load_image *i, const struct manifest *m)
{
	bool same = !i->manifest[0] && strcmp(i->id, m->config.digest) == 0 && i->n_layers == m->n_layers;
	for (size_t k = 0; same && k < m->n_layers; k++)
		same = strcmp(i->layers[k].blob, m->layers[k].digest) == 0;
	return same;
}

static int keep_manifest(struct archive *a, const struct descriptor *d, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	struct manifest *m = NULL;
	size_t len = 0;
	int r = take_text(a, d, &text, &len, err);
	if (r >= 0)
		r = manifest_parse(text, len, &m, err);
	for (size_t i = 0; r >= 0 && i < a->l->n_images; i++)
		if (is_of(&a->l->images[i], m))
			(void) str_copy(a->l->images[i].manifest, DIGEST_TEXT_MAX, d->digest);
	(void) manifest_free(m);
	return r;
}

void load_oci_manifests(struct archive *a)
{
	_cleanup_free_ char *text = NULL;
	struct image_index *x = NULL;
	struct err ignored;
	size_t len = 0;
	if (archive_text(a, "index.json", DOCUMENT_MAX, &text, &len, &ignored) <= 0 || image_index_parse(text, len, &x, &ignored) < 0)
		return;
	for (size_t i = 0; i < x->n; i++)
		if (media_type_is_manifest(x->manifests[i].media_type))
			(void) keep_manifest(a, &x->manifests[i], &ignored); /* docker's half of the archive is what was asked for */
	(void) image_index_free(x);
}

int load_oci(struct archive *a, const char *text, size_t len, struct err *err)
{
	int r = check_layout(a, err);
	return r < 0 ? r : load_index(a, text, len, NULL, 0, err);
}

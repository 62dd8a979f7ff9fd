/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptors, manifests and indexes of OCI image-spec 1.1 and docker's schema 2; chain ids. */
#include <errno.h>

#include "base/id.h"
#include "codec/digest.h"
#include "codec/json.h"
#include "spec/image.h"

enum { MANIFEST_BYTES_MAX = 4 << 20, INDEX_ENTRIES_MAX = 1000 };

static const struct {
	const char *media_type;
	enum layer_coding coding;
} layer_types[] = {
	{"application/vnd.oci.image.layer.v1.tar", LAYER_PLAIN},
	{"application/vnd.oci.image.layer.v1.tar+gzip", LAYER_GZIP},
	{"application/vnd.oci.image.layer.v1.tar+zstd", LAYER_ZSTD},
	{"application/vnd.oci.image.layer.nondistributable.v1.tar", LAYER_PLAIN},
	{"application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", LAYER_GZIP},
	{"application/vnd.oci.image.layer.nondistributable.v1.tar+zstd", LAYER_ZSTD},
	{"application/vnd.docker.image.rootfs.diff.tar", LAYER_PLAIN},
	{"application/vnd.docker.image.rootfs.diff.tar.gzip", LAYER_GZIP},
	{"application/vnd.docker.image.rootfs.diff.tar.zstd", LAYER_ZSTD},
	{"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", LAYER_GZIP},
};
static const char *const manifest_types[] = {"application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json", NULL};
static const char *const index_types[] = {"application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json", NULL};
static const char *const config_types[] = {"application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json", NULL};

int layer_coding_from_media_type(const char *media_type)
{
	for (size_t i = 0; media_type && i < ARRAY_LEN(layer_types); i++)
		if (strcmp(media_type, layer_types[i].media_type) == 0)
			return layer_types[i].coding;
	return LAYER_CODING_INVALID_;
}

bool media_type_is_manifest(const char *t)
{
	return t && strv_has((char *const *) manifest_types, t);
}

bool media_type_is_index(const char *t)
{
	return t && strv_has((char *const *) index_types, t);
}

void descriptor_done(struct descriptor *d)
{
	free(d->media_type);
	free(d->digest);
	free(d->os);
	free(d->architecture);
	free(d->variant);
	free(d->ref_name);
	*d = (struct descriptor) {0};
}

/* A name given by containerd and docker is whole; the standard's own may be only a tag. */
static int read_ref_name(const struct json *annotations, struct descriptor *d, struct err *err)
{
	int r = json_read_dup(annotations, "org.opencontainers.image.ref.name", &d->ref_name, err);
	return r < 0 ? r : json_read_dup(annotations, "io.containerd.image.name", &d->ref_name, err);
}

static int descriptor_read(const struct json *v, const char *what, struct descriptor *d, struct err *err)
{
	const struct json *platform = NULL, *annotations = NULL;
	if (json_kind(v) != JSON_KIND_OBJECT)
		return err_set(err, ERR_INVALID, "%s: expected a descriptor, got %s", what, json_kind_name(json_kind(v)));
	int r = json_read_dup(v, "mediaType", &d->media_type, err);
	if (r >= 0)
		r = json_read_dup(v, "digest", &d->digest, err);
	if (r >= 0)
		r = json_read_u64(v, "size", &d->size, err);
	if (r >= 0)
		r = json_read_obj(v, "platform", &platform, err);
	if (r >= 0)
		r = json_read_obj(v, "annotations", &annotations, err);
	if (r >= 0 && annotations)
		r = read_ref_name(annotations, d, err);
	if (r >= 0 && platform)
		r = json_read_dup(platform, "os", &d->os, err);
	if (r >= 0 && platform)
		r = json_read_dup(platform, "architecture", &d->architecture, err);
	if (r >= 0 && platform)
		r = json_read_dup(platform, "variant", &d->variant, err);
	if (r < 0)
		return err_wrap(err, "%s", what);
	if (!d->digest || !digest_is_valid(d->digest))
		return err_set(err, ERR_INVALID, "%s: digest '%.80s' is not 'sha256:' and 64 lower-case hex digits", what,
			       d->digest && str_is_plain(d->digest) ? d->digest : "");
	if (!d->media_type || !json_get_fold(v, "size"))
		return err_set(err, ERR_INVALID, "%s: mediaType and size are required", what);
	return 0;
}

/* What both kinds of document promise: version 2, a known media type of their own kind, and not to be both (CVE-2021-41190). */
static int check_head(const struct json *root, const char *what, const char *const *types, struct err *err)
{
	const char *type = NULL;
	int64_t version = 2;
	if (json_kind(root) != JSON_KIND_OBJECT)
		return err_set(err, ERR_INVALID, "%s: expected an object", what);
	int r = json_read_i64(root, "schemaVersion", &version, err);
	if (r >= 0)
		r = json_read_str(root, "mediaType", &type, err);
	if (r < 0)
		return err_wrap(err, "%s", what);
	if (json_get_fold(root, "fsLayers") || version != 2)
		return err_set(err, ERR_UNSUPPORTED, "%s: schema version %lld is not supported, only 2", what, (long long) version);
	if (json_get_fold(root, "manifests") && (json_get_fold(root, "layers") || json_get_fold(root, "config")))
		return err_set(err, ERR_INVALID, "%s: holds both 'manifests' and 'layers': one document cannot be two things", what);
	if (type && !strv_has((char *const *) types, type))
		return err_set(err, ERR_INVALID, "%s: media type '%.100s' is not one of its kind", what, str_is_plain(type) ? type : "");
	return 0;
}

struct manifest *manifest_free(struct manifest *m)
{
	if (!m)
		return NULL;
	free(m->media_type);
	descriptor_done(&m->config);
	for (size_t i = 0; i < m->n_layers; i++)
		descriptor_done(&m->layers[i]);
	free(m->layers);
	free(m);
	return NULL;
}

static int read_list(const struct json *arr, const char *what, size_t max, struct descriptor **ret, size_t *ret_n, struct err *err)
{
	size_t n = json_len(arr);
	char name[48];
	if (n > max)
		return err_set(err, ERR_QUOTA, "%s: %zu entries, at most %zu are taken", what, n, max);
	*ret = calloc(MAX(n, (size_t) 1), sizeof(**ret));
	if (!*ret)
		return err_oom(err);
	*ret_n = n;
	for (size_t i = 0; i < n; i++) {
		(void) str_format(name, sizeof(name), "%s[%zu]", what, i);
		int r = descriptor_read(json_at(arr, i), name, &(*ret)[i], err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int manifest_read(const struct json *root, struct manifest *m, struct err *err)
{
	const struct json *config = NULL, *layers = NULL;
	int r = check_head(root, "manifest", manifest_types, err);
	if (r >= 0)
		r = json_read_dup(root, "mediaType", &m->media_type, err);
	if (r >= 0)
		r = json_read_obj(root, "config", &config, err);
	if (r >= 0)
		r = json_read_arr(root, "layers", &layers, err);
	if (r < 0)
		return r;
	if (!config || !layers)
		return err_set(err, ERR_INVALID, "manifest: 'config' and 'layers' are required");
	r = descriptor_read(config, "manifest: config", &m->config, err);
	if (r < 0)
		return r;
	if (!strv_has((char *const *) config_types, m->config.media_type))
		return err_set(err, ERR_UNSUPPORTED, "manifest: config of media type '%.100s': an artifact, not a container image",
			       str_is_plain(m->config.media_type) ? m->config.media_type : "");
	r = read_list(layers, "manifest: layers", IMAGE_LAYERS_MAX, &m->layers, &m->n_layers, err);
	for (size_t i = 0; r >= 0 && i < m->n_layers; i++) {
		const char *type = m->layers[i].media_type;
		if (layer_coding_from_media_type(type) < 0)
			r = err_set(err, ERR_UNSUPPORTED, "manifest: layers[%zu]: unknown media type '%.100s'", i, str_is_plain(type) ? type : "");
	}
	return r;
}

int manifest_parse(const char *text, size_t len, struct manifest **ret, struct err *err)
{
	_cleanup_json_ struct json *root = NULL;
	int r = json_parse(text, len, MANIFEST_BYTES_MAX, "manifest", &root, err);
	if (r < 0)
		return r;
	struct manifest *m = calloc(1, sizeof(*m));
	if (!m)
		return err_oom(err);
	r = manifest_read(root, m, err);
	if (r < 0) {
		(void) manifest_free(m);
		return r;
	}
	*ret = m;
	return 0;
}

struct image_index *image_index_free(struct image_index *x)
{
	if (!x)
		return NULL;
	for (size_t i = 0; i < x->n; i++)
		descriptor_done(&x->manifests[i]);
	free(x->manifests);
	free(x);
	return NULL;
}

int image_index_parse(const char *text, size_t len, struct image_index **ret, struct err *err)
{
	_cleanup_json_ struct json *root = NULL;
	const struct json *list = NULL;
	int r = json_parse(text, len, MANIFEST_BYTES_MAX, "index", &root, err);
	if (r >= 0)
		r = check_head(root, "index", index_types, err);
	if (r >= 0)
		r = json_read_arr(root, "manifests", &list, err);
	if (r < 0)
		return r;
	if (!list)
		return err_set(err, ERR_INVALID, "index: 'manifests' is required");
	struct image_index *x = calloc(1, sizeof(*x));
	if (!x)
		return err_oom(err);
	r = read_list(list, "index: manifests", INDEX_ENTRIES_MAX, &x->manifests, &x->n, err);
	if (r < 0) {
		(void) image_index_free(x);
		return r;
	}
	*ret = x;
	return 0;
}

int chain_id(const char *parent, const char *diff_id, char ret[DIGEST_TEXT_MAX])
{
	if (!digest_is_valid(diff_id) || (parent && !digest_is_valid(parent)))
		return -EINVAL;
	if (!parent)
		return str_copy(ret, DIGEST_TEXT_MAX, diff_id);
	char both[2 * DIGEST_TEXT_MAX];
	int n = str_format(both, sizeof(both), "%s %s", parent, diff_id);
	memcpy(ret, "sha256:", 7);
	digest_sha256_hex(both, (size_t) n, ret + 7);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* `docker save`: manifest.json, an array of {Config, RepoTags, Layers}. */
#include "base/id.h"
#include "codec/json.h"
#include "image/internal.h"

enum { IMAGES_MAX = 1000, TAGS_MAX = 1000 };

/* Some names promise a digest: "HEX.json" of configs, "blobs/sha256/HEX" of anything. */
static const char *promised(const char *name, bool config, char buf[DIGEST_TEXT_MAX])
{
	const char *hex = str_after(name, "blobs/sha256/");
	size_t n = strlen(hex ? hex : name);
	if (!hex && config && n == ID_LEN + 5 && strcmp(name + ID_LEN, ".json") == 0) {
		hex = name;
		n = ID_LEN;
	}
	if (!hex || n != ID_LEN)
		return NULL;
	(void) str_format(buf, DIGEST_TEXT_MAX, "sha256:%.64s", hex);
	return digest_is_valid(buf) ? buf : NULL;
}

static int take_member(struct archive *a, const char *name, bool config, char ret[DIGEST_TEXT_MAX], struct err *err)
{
	int dir;
	char staged[48], buf[DIGEST_TEXT_MAX];
	const char *shown = str_is_plain(name) ? name : "(unprintable)";
	int r = archive_get(a, name, &dir, staged, err);
	if (r == 0)
		return err_set(err, ERR_CORRUPT, "manifest.json names '%.200s', which is not in the archive", shown);
	if (r > 0)
		r = load_blob(a->l, dir, staged, NULL, 0, ret, err);
	if (r < 0)
		return r;
	const char *want = promised(name, config, buf);
	if (want && strcmp(want, ret) != 0)
		return err_set(err, ERR_CORRUPT, "'%.200s': wrong digest: its content has %s", shown, ret);
	return 0;
}

static int read_tags(const struct json *entry, char ***ret, struct err *err)
{
	_cleanup_strv_ char **tags = NULL;
	int r = json_read_strv(entry, "RepoTags", &tags, err);
	if (r < 0)
		return r;
	if (strv_len(tags) > TAGS_MAX)
		return err_set(err, ERR_QUOTA, "RepoTags: more than %d entries", TAGS_MAX);
	STRV_FOREACH(t, tags) {
		struct image_ref ref = {0};
		r = image_ref_parse(t, &ref, err);
		if (r < 0)
			return err_wrap(err, "RepoTags");
		r = strv_push_take(ret, image_ref_full(&ref));
		image_ref_done(&ref);
		if (r < 0)
			return err_oom(err);
	}
	return 0;
}

static int load_entry(struct archive *a, const struct json *entry, struct err *err)
{
	_cleanup_strv_ char **layers = NULL, **blobs = NULL, **names = NULL;
	const char *config = NULL;
	char digest[DIGEST_TEXT_MAX];
	if (json_kind(entry) != JSON_KIND_OBJECT)
		return err_set(err, ERR_INVALID, "expected an object");
	int r = json_read_str(entry, "Config", &config, err);
	if (r >= 0)
		r = json_read_strv(entry, "Layers", &layers, err);
	if (r >= 0)
		r = read_tags(entry, &names, err);
	if (r < 0)
		return r;
	if (!config)
		return err_set(err, ERR_INVALID, "'Config' is required");
	if (strv_len(layers) > IMAGE_LAYERS_MAX)
		return err_set(err, ERR_QUOTA, "Layers: %zu layers, at most %d are taken", strv_len(layers), IMAGE_LAYERS_MAX);
	for (size_t i = 0; i < strv_len(layers); i++) {
		r = take_member(a, layers[i], /* config= */ false, digest, err);
		if (r < 0)
			return r;
		if (strv_push(&blobs, digest) < 0)
			return err_oom(err);
	}
	r = take_member(a, config, /* config= */ true, digest, err);
	return r < 0 ? r : load_add_image(a->l, digest, NULL, blobs, names, err);
}

int load_docker(struct archive *a, const char *text, size_t len, struct err *err)
{
	_cleanup_json_ struct json *root = NULL;
	int r = json_parse(text, len, len, "manifest.json", &root, err);
	if (r < 0)
		return r;
	if (json_kind(root) != JSON_KIND_ARRAY)
		return err_set(err, ERR_INVALID, "manifest.json: expected an array");
	if (json_len(root) > IMAGES_MAX)
		return err_set(err, ERR_QUOTA, "manifest.json: more than %d images", IMAGES_MAX);
	for (size_t i = 0; i < json_len(root); i++) {
		r = load_entry(a, json_at(root, i), err);
		if (r < 0)
			return err_wrap(err, "image %zu", i + 1);
	}
	return 0;
}

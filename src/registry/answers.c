/* SPDX-License-Identifier: Apache-2.0 */
#include "registry/answers.h"

#include <errno.h>

#include "codec/json.h"

enum { ANSWER_MAX = 4 << 20, RESULTS_MAX = 1000, TEXT_MAX = 4096 };
#define PAYLOAD_TYPE "application/vnd.dev.cosign.simplesigning.v1+json"
#define SIGNATURE_KEY "dev.cosignproject.cosign/signature"

/* Search */

void registry_results_done(struct registry_results *s)
{
	for (size_t i = 0; i < s->n; i++) {
		free(s->v[i].name);
		free(s->v[i].description);
	}
	free(s->v);
	*s = (struct registry_results) {NULL};
}

/* Text of strangers: one line of it at most so long. */
static char *plain(const char *s)
{
	char *copy = strndup(s, TEXT_MAX);
	for (char *p = copy; p && *p; p++)
		if ((unsigned char) *p < 0x20 || *p == 0x7f)
			*p = ' ';
	return copy;
}

static int read_result(const struct json *v, struct registry_result *ret, struct err *err)
{
	const char *name = "", *description = "";
	uint32_t stars = 0;
	int r = json_read_str(v, "name", &name, err);
	r = r < 0 ? r : json_read_str(v, "description", &description, err);
	r = r < 0 ? r : json_read_u32(v, "star_count", &stars, err);
	r = r < 0 ? r : json_read_bool(v, "is_official", &ret->official, err);
	if (r < 0)
		return r;
	ret->stars = stars;
	ret->name = plain(name);
	ret->description = plain(description);
	return ret->name && ret->description ? 0 : err_oom(err);
}

int registry_results_parse(const char *text, size_t len, struct registry_results *s, struct err *err)
{
	_cleanup_json_ struct json *doc = NULL;
	const struct json *list = NULL;
	*s = (struct registry_results) {NULL};
	int r = json_parse(text, len, ANSWER_MAX, "the registry's answer", &doc, err);
	r = r < 0 ? r : json_read_arr(doc, "results", &list, err);
	if (r < 0)
		return r;
	size_t n = MIN(json_len(list), (size_t) RESULTS_MAX);
	s->v = calloc(MAX(n, (size_t) 1), sizeof(*s->v));
	if (!s->v)
		return err_oom(err);
	for (s->n = 0; r >= 0 && s->n < n; s->n++)
		r = read_result(json_at(list, s->n), &s->v[s->n], err);
	return r;
}

/* Signatures */

void signature_layers_done(struct signature_layers *s)
{
	for (size_t i = 0; i < s->n; i++)
		free(s->v[i].signature);
	free(s->v);
	*s = (struct signature_layers) {NULL};
}

/* Return: 1 it is one. */
static int read_layer(const struct json *layer, struct signature_layer *ret, struct err *err)
{
	const char *type = NULL, *digest = NULL, *signature = json_str(json_get(json_get(layer, "annotations"), SIGNATURE_KEY), NULL);
	uint64_t size = 0;
	int r = json_read_str(layer, "mediaType", &type, err);
	if (r < 0 || !str_eq(type, PAYLOAD_TYPE) || str_empty(signature))
		return r;
	r = json_read_str(layer, "digest", &digest, err);
	r = r < 0 ? r : json_read_u64(layer, "size", &size, err);
	if (r < 0)
		return r;
	if (!digest_is_valid(digest) || size == 0 || size > SIGNATURE_PAYLOAD_MAX)
		return err_set(err, ERR_CORRUPT, "a payload without a digest, or of more than %d bytes", SIGNATURE_PAYLOAD_MAX);
	(void) str_copy(ret->digest, sizeof(ret->digest), digest);
	ret->size = size;
	ret->signature = strdup(signature);
	return ret->signature ? 1 : err_oom(err);
}

int signature_layers_parse(const char *text, size_t len, struct signature_layers *ret, struct err *err)
{
	_cleanup_json_ struct json *doc = NULL;
	const struct json *layers = NULL;
	*ret = (struct signature_layers) {NULL};
	int r = json_parse(text, len, ANSWER_MAX, "manifest of signatures", &doc, err);
	r = r < 0 ? r : json_read_arr(doc, "layers", &layers, err);
	if (r < 0)
		return r;
	ret->v = calloc(SIGNATURES_MAX, sizeof(*ret->v));
	if (!ret->v)
		return err_oom(err);
	JSON_FOREACH(layer, i, layers) {
		struct signature_layer one = {.size = 0};
		r = r < 0 ? r : read_layer(layer, &one, err);
		if (r > 0 && ret->n >= SIGNATURES_MAX) {
			free(one.signature);
			r = err_set(err, ERR_QUOTA, "more than %d signatures", SIGNATURES_MAX);
		} else if (r > 0)
			ret->v[ret->n++] = one;
	}
	return MIN(r, 0);
}

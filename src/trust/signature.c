/* SPDX-License-Identifier: Apache-2.0 */
/* Source: the "simple signing" payload of containers-signature(5), in cosign's dialect. */
#include "trust/signature.h"

#include "codec/json.h"

enum { PAYLOAD_MAX = 64 << 10 };
#define PAYLOAD_TYPE "cosign container image signature"

void simple_signing_done(struct simple_signing *s)
{
	free(s->reference);
	*s = (struct simple_signing) {NULL};
}

/* Member @key of @v: an object that holds @n members. */
static int read_object(const struct json *v, const char *key, size_t n, const struct json **ret, struct err *err)
{
	int r = json_read_obj(v, key, ret, err);
	if (r >= 0 && json_len(*ret) != n)
		return err_set(err, ERR_INVALID, "'%s' is missing, or holds more or less than it should", key);
	return r;
}

static int read_text(const struct json *v, const char *key, const char **ret, struct err *err)
{
	int r = json_read_str(v, key, ret, err);
	if (r >= 0 && (str_empty(*ret) || !str_is_plain(*ret)))
		return err_set(err, ERR_INVALID, "'%s' is missing or unprintable", key);
	return r;
}

static int read_payload(const struct json *doc, struct simple_signing *s, struct err *err)
{
	const struct json *critical = NULL, *image = NULL, *identity = NULL;
	const char *type = NULL, *digest = NULL, *reference = NULL;
	if (json_len(doc) != (json_get(doc, "optional") ? 2u : 1u))
		return err_set(err, ERR_INVALID, "more than 'critical' and 'optional'");
	int r = read_object(doc, "critical", 3, &critical, err);
	r = r < 0 ? r : read_object(critical, "image", 1, &image, err);
	r = r < 0 ? r : read_object(critical, "identity", 1, &identity, err);
	r = r < 0 ? r : read_text(critical, "type", &type, err);
	r = r < 0 ? r : read_text(image, "docker-manifest-digest", &digest, err);
	r = r < 0 ? r : read_text(identity, "docker-reference", &reference, err);
	if (r < 0)
		return r;
	if (!str_eq(type, PAYLOAD_TYPE))
		return err_set(err, ERR_INVALID, "its type is '%.60s', not '" PAYLOAD_TYPE "'", type);
	if (!digest_is_valid(digest))
		return err_set(err, ERR_INVALID, "it names no digest of an image");
	(void) str_copy(s->digest, sizeof(s->digest), digest);
	s->reference = strdup(reference);
	return s->reference ? 0 : err_oom(err);
}

int simple_signing_parse(const char *text, size_t len, struct simple_signing *ret, struct err *err)
{
	_cleanup_json_ struct json *doc = NULL;
	struct simple_signing s = {NULL};
	int r = json_parse(text, len, PAYLOAD_MAX, "payload", &doc, err);
	r = r < 0 ? r : read_payload(doc, &s, err);
	if (r < 0)
		return r;
	*ret = s;
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "trust/verdict.h"

#include <errno.h>
#include <fcntl.h>

#include "base/base64.h"
#include "base/fd.h"
#include "codec/signature.h"

enum { KEY_MAX = 64 << 10, SIGNATURE_MAX = 8 << 10 };

bool trust_wants_signatures(const struct policy_scope *s)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->v[i].kind == REQUIRE_SIGSTORE)
			return true;
	return false;
}

/* The bytes first, their meaning later. Return: 1 it is one of the key's, 0 it is not. */
static int is_signed_by(const struct public_key *key, const struct trust_signature *t)
{
	_cleanup_strbuf_ struct strbuf raw = STRBUF_INIT(SIGNATURE_MAX);
	if (base64_decode(t->signature, &raw) < 0 || raw.len == 0)
		return strbuf_err(&raw) == -ENOMEM ? -ENOMEM : 0;
	return public_key_verify(key, t->payload, t->len, raw.s, raw.len);
}

static bool is_of(const struct trust_image *i, const char *digest)
{
	return str_eq(digest, i->digests[0]) || (i->digests[1] && str_eq(digest, i->digests[1]));
}

/* What the key's owner said: is it about this image, under this name? Return: 1; 0 with the reason in @why; -errno. */
static int says_so(const struct requirement *q, const struct trust_image *i, const struct trust_signature *t, struct err *why)
{
	struct simple_signing s = {NULL};
	int r = simple_signing_parse(t->payload, t->len, &s, why);
	if (r < 0)
		return r == -ENOMEM ? r : (err_wrap(why, "a payload that is not understood"), 0);
	r = 0;
	if (!is_of(i, s.digest))
		(void) err_set(why, ERR_DENIED, "it is of %s, another image", s.digest);
	else if (!trust_identity_matches(&q->identity, i->ref, s.reference))
		(void) err_set(why, ERR_DENIED, "it is for '%.200s', which is not what the policy wants for this image", s.reference);
	else
		r = 1;
	simple_signing_done(&s);
	return r;
}

/* Return: 1 one of the signatures will do with @key, 0 none: why the last one does not in @why. */
static int find_signature(const struct requirement *q, const struct trust_image *i, const struct public_key *key, struct err *why)
{
	for (size_t k = 0; k < i->n_signatures; k++) {
		int r = is_signed_by(key, &i->signatures[k]);
		if (r > 0)
			r = says_so(q, i, &i->signatures[k], why);
		else if (r == 0 && why->kind == ERR_NONE)
			(void) err_set(why, ERR_DENIED, "it is not by the policy's key");
		if (r != 0)
			return r;
	}
	return 0;
}

static int try_text(const struct requirement *q, const struct trust_image *i, const char *text, size_t len, struct err *why)
{
	_cleanup_public_key_ struct public_key *key = NULL;
	int r = public_key_parse(text, len, &key, why);
	return r < 0 ? r : find_signature(q, i, key, why);
}

/* Every key is read, so that one that is broken is not found out only when it is needed. */
static int try_keys(const struct requirement *q, const struct trust_image *i, struct err *why)
{
	int r, found = 0;
	STRV_FOREACH(path, q->key_paths) {
		_cleanup_free_ char *text = NULL;
		ssize_t n = read_file(AT_FDCWD, path, KEY_MAX, &text);
		if (n < 0)
			return err_sys(why, (int) n, "reading the key '%.200s'", path);
		r = try_text(q, i, text, (size_t) n, why);
		if (r < 0)
			return err_wrap(why, "the key '%.200s'", path);
		found = found || r > 0;
	}
	STRV_FOREACH(text, q->key_texts) {
		r = try_text(q, i, text, strlen(text), why);
		if (r < 0)
			return err_wrap(why, "a key of the policy");
		found = found || r > 0;
	}
	return found;
}

static int deny_unsigned(const struct trust_image *i, const struct err *why, struct err *err)
{
	if (i->n_signatures == 0)
		return err_set(err, ERR_DENIED, "a signature is required, and there is none");
	return err_set(err, ERR_DENIED, "a signature is required, and none of the %zu that there are will do: %.300s", i->n_signatures, why->msg);
}

static int check(const struct requirement *q, const struct trust_image *i, struct err *err)
{
	struct err why = {0};
	int r;
	switch (q->kind) {
	case REQUIRE_NOTHING:
		return 0;
	case REQUIRE_REJECT:
		return err_set(err, ERR_DENIED, "images from there are rejected");
	case REQUIRE_UNSUPPORTED:
		return err_set(err, ERR_DENIED, "%s is required, which cannot be checked here", q->what);
	case REQUIRE_SIGSTORE:
		r = try_keys(q, i, &why);
		return r > 0 ? 0 : r == 0 ? deny_unsigned(i, &why, err) : err_set(err, ERR_DENIED, "%s", why.msg);
	}
	return err_set(err, ERR_DENIED, "a requirement that is not known");
}

int trust_verdict(const struct policy_scope *s, const struct trust_image *i, struct err *err)
{
	int r = s->n > 0 ? 0 : err_set(err, ERR_DENIED, "no requirement is stated");
	for (size_t k = 0; r >= 0 && k < s->n; k++)
		r = check(&s->v[k], i, err);
	return r < 0 ? err_wrap(err, "rejected by the signature policy (%s%s%.200s)", s->transport[0] ? s->transport : "default", s->name[0] ? ": " : "", s->name) : 0;
}

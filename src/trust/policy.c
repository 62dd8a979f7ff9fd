/* SPDX-License-Identifier: Apache-2.0 */
/* Source: containers-policy.json(5). */
#include "trust/internal.h"

#include <errno.h>

#include "base/base64.h"
#include "codec/json.h"

enum { SCOPES_MAX = 10000, REQUIREMENTS_MAX = 100, KEY_TEXT_MAX = 64 << 10 };

static void requirement_done(struct requirement *r)
{
	free(r->what);
	r->key_paths = strv_free(r->key_paths);
	r->key_texts = strv_free(r->key_texts);
	free(r->identity.name);
	free(r->identity.prefix);
	free(r->identity.signed_prefix);
}

struct trust_policy *trust_policy_free(struct trust_policy *p)
{
	if (!p)
		return NULL;
	for (size_t i = 0; i < p->n; i++) {
		for (size_t k = 0; k < p->scopes[i].n; k++)
			requirement_done(&p->scopes[i].v[k]);
		free(p->scopes[i].v);
		free(p->scopes[i].transport);
		free(p->scopes[i].name);
	}
	free(p->scopes);
	free(p);
	return NULL;
}

void trust_policy_freep(struct trust_policy **p)
{
	*p = trust_policy_free(*p);
}

static const char *shown(const char *s)
{
	return str_is_plain(s) ? s : "(unprintable)";
}

/* Every member of @v is in @known, a NULL-terminated list. */
static int check_keys(const struct json *v, const char *const *known, const char *what, struct err *err)
{
	if (json_kind(v) != JSON_KIND_OBJECT)
		return err_set(err, ERR_INVALID, "%s: expected an object, got %s", what, json_kind_name(json_kind(v)));
	JSON_FOREACH_MEMBER(key, value, v)
		if (!strv_has((char *const *) known, key))
			return err_set(err, ERR_INVALID, "%s: unknown key '%.60s'", what, shown(key));
	return 0;
}

/* A string that must be there. */
static int read_text(const struct json *v, const char *key, char **ret, struct err *err)
{
	int r = json_read_dup(v, key, ret, err);
	if (r >= 0 && (str_empty(*ret) || !str_is_plain(*ret)))
		return err_set(err, ERR_INVALID, "'%s' is required, and must be text", key);
	return r;
}

/* signedIdentity */

static const struct {
	const char *type;
	const char *known[4];
} identities[] = {
	[IDENTITY_REPO_DIGEST_OR_EXACT] = {"matchRepoDigestOrExact", {"type"}},
	[IDENTITY_EXACT] = {"matchExact", {"type"}},
	[IDENTITY_REPOSITORY] = {"matchRepository", {"type"}},
	[IDENTITY_EXACT_REFERENCE] = {"exactReference", {"type", "dockerReference"}},
	[IDENTITY_EXACT_REPOSITORY] = {"exactRepository", {"type", "dockerRepository"}},
	[IDENTITY_REMAP] = {"remapIdentity", {"type", "prefix", "signedPrefix"}},
};
static_assert(ARRAY_LEN(identities) == IDENTITY_MATCH_MAX_, "every kind has a row");

/* A host, namespace or repository, fully expanded: what stands there is what is compared. */
static bool is_prefix(const char *s)
{
	const char *slash = strchr(s, '/'), *last = slash ? strrchr(s, '/') : NULL;
	return *s && !strchr(s, '@') && !strchr(s, '*') && s[strlen(s) - 1] != '/' && (!slash || !strchr(last, ':'));
}

/* As it would be written in full: a short name would never match anything. */
static int check_reference(const char *s, bool repository, struct err *err)
{
	struct image_ref ref = {0};
	int r = image_ref_parse(s, &ref, err);
	if (r < 0)
		return r;
	_cleanup_free_ char *name = str_printf("%s/%s", ref.domain, ref.path), *full = image_ref_full(&ref);
	image_ref_done(&ref);
	if (!name || !full)
		return err_oom(err);
	if (!str_eq(s, repository ? name : full))
		return err_set(err, ERR_INVALID, "'%.200s' is not a %s in full, as in 'docker.io/library/busybox%s'", s, repository ? "repository" : "reference",
			       repository ? "" : ":latest");
	return 0;
}

static int read_identity_of(const struct json *v, struct signed_identity *id, struct err *err)
{
	int r;
	switch (id->match) {
	case IDENTITY_EXACT_REFERENCE:
		r = read_text(v, "dockerReference", &id->name, err);
		return r < 0 ? r : check_reference(id->name, /* repository= */ false, err);
	case IDENTITY_EXACT_REPOSITORY:
		r = read_text(v, "dockerRepository", &id->name, err);
		return r < 0 ? r : check_reference(id->name, /* repository= */ true, err);
	case IDENTITY_REMAP:
		r = read_text(v, "prefix", &id->prefix, err);
		r = r < 0 ? r : read_text(v, "signedPrefix", &id->signed_prefix, err);
		if (r >= 0 && (!is_prefix(id->prefix) || !is_prefix(id->signed_prefix)))
			r = err_set(err, ERR_INVALID, "a prefix is a host, a namespace or a repository, without a tag or digest");
		return r;
	default:
		return 0;
	}
}

static int read_identity(const struct json *v, struct signed_identity *id, struct err *err)
{
	const char *type = NULL;
	if (!v) {
		id->match = IDENTITY_REPO_DIGEST_OR_EXACT;
		return 0;
	}
	int r = json_read_str(v, "type", &type, err);
	if (r < 0)
		return err_wrap(err, "signedIdentity");
	for (size_t i = 0; type && i < ARRAY_LEN(identities); i++) {
		if (!str_eq(identities[i].type, type))
			continue;
		id->match = (enum identity_match) i;
		r = check_keys(v, identities[i].known, "signedIdentity", err);
		if (r < 0)
			return r;
		r = read_identity_of(v, id, err);
		return r < 0 ? err_wrap(err, "signedIdentity") : 0;
	}
	return err_set(err, ERR_INVALID, "signedIdentity: unknown type '%.60s'", shown(type ? type : ""));
}

/* Requirements */

/* Base64 of a PEM text. */
static int add_key_text(const char *s, char ***ret, struct err *err)
{
	_cleanup_strbuf_ struct strbuf b = STRBUF_INIT(KEY_TEXT_MAX);
	if (base64_decode(s, &b) < 0)
		return strbuf_err(&b) == -ENOMEM ? err_oom(err) : err_set(err, ERR_INVALID, "keyData is not base64 of a public key");
	if (b.len == 0 || strlen(b.s) != b.len)
		return err_set(err, ERR_INVALID, "keyData is not base64 of a public key in PEM form");
	return strv_push_take(ret, strbuf_steal(&b)) < 0 ? err_oom(err) : 0;
}

static int add_key_path(const char *s, char ***ret, struct err *err)
{
	if (*s != '/' || !str_is_plain(s))
		return err_set(err, ERR_INVALID, "keyPath '%.200s' is not an absolute path", shown(s));
	return strv_push(ret, s) < 0 ? err_oom(err) : 0;
}

/* Exactly one of the four ways to name keys. */
static int read_keys(const struct json *v, struct requirement *q, struct err *err)
{
	static const struct {
		const char *key;
		bool list, path;
	} ways[] = {{"keyPath", false, true}, {"keyPaths", true, true}, {"keyData", false, false}, {"keyDatas", true, false}};
	int r = 0, found = 0;
	for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
		_cleanup_strv_ char **all = NULL;
		const char *one = NULL;
		if (!json_get(v, ways[i].key))
			continue;
		found++;
		r = ways[i].list ? json_read_strv(v, ways[i].key, &all, err) : json_read_str(v, ways[i].key, &one, err);
		if (r >= 0 && !ways[i].list && one && strv_push(&all, one) < 0)
			r = err_oom(err);
		if (r >= 0 && strv_len(all) == 0)
			r = err_set(err, ERR_INVALID, "'%s' names no key", ways[i].key);
		STRV_FOREACH(s, all)
			r = r < 0 ? r : ways[i].path ? add_key_path(s, &q->key_paths, err) : add_key_text(s, &q->key_texts, err);
		if (r < 0)
			return r;
	}
	return found == 1 ? 0 : err_set(err, ERR_INVALID, "exactly one of keyPath, keyPaths, keyData and keyDatas is wanted, not %d", found);
}

static int unsupported(struct requirement *q, const char *what, struct err *err)
{
	q->kind = REQUIRE_UNSUPPORTED;
	q->what = strdup(what);
	return q->what ? 0 : err_oom(err);
}

static int read_sigstore(const struct json *v, struct requirement *q, struct err *err)
{
	static const char *const more[] = {"fulcio", "pki", "rekorPublicKeyPath", "rekorPublicKeyPaths", "rekorPublicKeyData", "rekorPublicKeyDatas"};
	int r = read_identity(json_get(v, "signedIdentity"), &q->identity, err);
	for (size_t i = 0; r >= 0 && i < ARRAY_LEN(more); i++)
		if (json_get(v, more[i])) { /* to look past it would ask for less than the operator does */
			char what[80];
			(void) str_format(what, sizeof(what), "sigstoreSigned with '%s'", more[i]);
			return unsupported(q, what, err);
		}
	return r < 0 ? r : read_keys(v, q, err);
}

static const struct {
	const char *type;
	enum requirement_kind kind;
	const char *unsupported; /* NULL: it can be checked */
	const char *known[14];
} requirements[] = {
	{"insecureAcceptAnything", REQUIRE_NOTHING, NULL, {"type"}},
	{"reject", REQUIRE_REJECT, NULL, {"type"}},
	{"sigstoreSigned", REQUIRE_SIGSTORE, NULL,
	 {"type", "keyPath", "keyPaths", "keyData", "keyDatas", "signedIdentity", "fulcio", "pki", "rekorPublicKeyPath", "rekorPublicKeyPaths", "rekorPublicKeyData",
	  "rekorPublicKeyDatas"}},
	{"signedBy", REQUIRE_UNSUPPORTED, "signedBy (a GPG signature)", {"type", "keyType", "keyPath", "keyPaths", "keyData", "signedIdentity"}},
	{"signedBaseLayer", REQUIRE_UNSUPPORTED, "signedBaseLayer", {"type", "baseLayerIdentity"}},
};

static int read_requirement(const struct json *v, struct requirement *q, struct err *err)
{
	const char *type = NULL;
	int r = json_read_str(v, "type", &type, err);
	if (r < 0)
		return r;
	for (size_t i = 0; type && i < ARRAY_LEN(requirements); i++) {
		if (!str_eq(requirements[i].type, type))
			continue;
		q->kind = requirements[i].kind;
		r = check_keys(v, requirements[i].known, type, err);
		if (r >= 0 && requirements[i].unsupported)
			r = unsupported(q, requirements[i].unsupported, err);
		return r >= 0 && q->kind == REQUIRE_SIGSTORE ? read_sigstore(v, q, err) : r;
	}
	return err_set(err, ERR_INVALID, "unknown type of requirement '%.60s'", shown(type ? type : ""));
}

static int read_requirements(const struct json *v, struct policy_scope *s, struct err *err)
{
	size_t n = json_len(v);
	if (json_kind(v) != JSON_KIND_ARRAY || n == 0 || n > REQUIREMENTS_MAX)
		return err_set(err, ERR_INVALID, "expected a list of 1 to %d requirements", REQUIREMENTS_MAX);
	s->v = calloc(n, sizeof(*s->v));
	if (!s->v)
		return err_oom(err);
	for (s->n = 0; s->n < n; s->n++) {
		int r = read_requirement(json_at(v, s->n), &s->v[s->n], err);
		if (r < 0) {
			s->n++;
			return r;
		}
	}
	return 0;
}

/* Scopes */

static int add_scope(struct trust_policy *p, const char *transport, const char *name, const struct json *v, struct err *err)
{
	if (p->n >= SCOPES_MAX)
		return err_set(err, ERR_INVALID, "more than %d scopes", SCOPES_MAX);
	struct policy_scope *grown = realloc(p->scopes, (p->n + 1) * sizeof(*grown));
	if (!grown)
		return err_oom(err);
	p->scopes = grown;
	struct policy_scope *s = &grown[p->n++];
	*s = (struct policy_scope) {.transport = strdup(transport), .name = strdup(name)};
	if (!s->transport || !s->name)
		return err_oom(err);
	if (str_eq(transport, "docker"))
		scope_canonical(s->name);
	if (scope_find(p, transport, s->name) != s)
		return err_set(err, ERR_INVALID, "the same scope twice, in two spellings");
	return read_requirements(v, s, err);
}

/* "*.example.com" or no star at all: what looks like a pattern and is none would never match. */
static bool scope_is_valid(const char *transport, const char *name)
{
	if (!str_is_plain(name))
		return false;
	if (str_eq(transport, "docker") || str_eq(transport, "atomic"))
		return !strchr(str_after(name, "*.") ?: name, '*') && !(str_after(name, "*.") && strchr(name, '/'));
	return true;
}

static int read_transport(struct trust_policy *p, const char *transport, const struct json *v, struct err *err)
{
	char what[200];
	if (json_kind(v) != JSON_KIND_OBJECT)
		return err_set(err, ERR_INVALID, "transports: %.60s: expected an object, got %s", shown(transport), json_kind_name(json_kind(v)));
	JSON_FOREACH_MEMBER(name, list, v) {
		(void) str_format(what, sizeof(what), "transports: %.60s: '%.100s'", shown(transport), shown(name));
		if (!scope_is_valid(transport, name))
			return err_set(err, ERR_INVALID, "%s: not a scope: a star stands alone before a domain, as in '*.example.com'", what);
		int r = add_scope(p, transport, name, list, err);
		if (r < 0)
			return r == -ENOMEM ? r : err_wrap(err, "%s", what);
	}
	return 0;
}

static int read_policy(const struct json *doc, struct trust_policy *p, struct err *err)
{
	static const char *const known[] = {"default", "transports", NULL};
	const struct json *transports = json_get(doc, "transports");
	int r = check_keys(doc, known, "the document", err);
	if (r < 0)
		return r;
	if (!json_get(doc, "default"))
		return err_set(err, ERR_INVALID, "'default' is required");
	r = add_scope(p, "", "", json_get(doc, "default"), err);
	if (r < 0)
		return r == -ENOMEM ? r : err_wrap(err, "default");
	if (transports && json_kind(transports) != JSON_KIND_OBJECT)
		return err_set(err, ERR_INVALID, "transports: expected an object, got %s", json_kind_name(json_kind(transports)));
	JSON_FOREACH_MEMBER(name, v, transports)
		if (r >= 0)
			r = read_transport(p, name, v, err);
	return r;
}

int trust_policy_parse(const char *text, size_t len, const char *what, struct trust_policy **ret, struct err *err)
{
	_cleanup_json_ struct json *doc = NULL;
	_cleanup_trust_policy_ struct trust_policy *p = calloc(1, sizeof(*p));
	if (!p)
		return err_oom(err);
	int r = json_parse(text, len, TRUST_POLICY_MAX, what, &doc, err);
	if (r < 0)
		return r;
	r = read_policy(doc, p, err);
	if (r < 0)
		return r == -ENOMEM ? r : err_wrap(err, "%s", what);
	*ret = take_ptr(p);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Credentials. Where they may go (R19): Basic to the registry's own origin; to the token server that its challenge names only over TLS
 * (or, where the registry itself speaks plain HTTP, to the same origin), and no deeper into the host's networks than the registry
 * lies. The scope that is asked for is ours, whatever the challenge says.
 */
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/base64.h"
#include "base/fd.h"
#include "codec/json.h"
#include "registry/challenge.h"
#include "registry/internal.h"

#define CLIENT_ID "coffer"
enum { TOKEN_MAX = 24 << 10, ANSWER_MAX = 1 << 20, HEADER_MAX = 64 << 10, TOKEN_SECONDS = 60 };

static void wipe(char *s)
{
	if (s)
		explicit_bzero(s, strlen(s));
	free(s);
}

void registry_auth_done(struct registry_auth *a)
{
	wipe(a->username);
	wipe(a->password);
	wipe(a->identity_token);
	wipe(a->registry_token);
	free(a->server);
	*a = (struct registry_auth) {NULL};
}

int registry_auth_parse(const char *header, struct registry_auth *ret, struct err *err)
{
	_cleanup_strbuf_ struct strbuf b = STRBUF_INIT(HEADER_MAX);
	_cleanup_json_ struct json *doc = NULL;
	struct registry_auth a = {NULL};
	struct err ignored;
	*ret = a;
	if (str_empty(header) || base64_decode(header, &b) < 0 || json_parse(b.s ? b.s : "", b.len, HEADER_MAX, "X-Registry-Auth", &doc, &ignored) < 0)
		return strbuf_err(&b) == -ENOMEM ? err_oom(err) : 0;
	int r = json_read_dup(doc, "username", &a.username, &ignored);
	if (r >= 0)
		r = json_read_dup(doc, "password", &a.password, &ignored);
	if (r >= 0)
		r = json_read_dup(doc, "identitytoken", &a.identity_token, &ignored);
	if (r >= 0)
		r = json_read_dup(doc, "registrytoken", &a.registry_token, &ignored);
	if (r >= 0)
		r = json_read_dup(doc, "serveraddress", &a.server, &ignored);
	if (b.s)
		explicit_bzero(b.s, b.len);
	if (r < 0) {
		registry_auth_done(&a);
		return r == -ENOMEM ? err_oom(err) : 0;
	}
	*ret = a;
	return 0;
}

static bool has_password(const struct registry_auth *a)
{
	return !str_empty(a->username) && a->password;
}

static char *basic(const struct registry_auth *a)
{
	_cleanup_strbuf_ struct strbuf pair = STRBUF_INIT(HEADER_MAX), out = STRBUF_INIT(2 * HEADER_MAX);
	strbuf_addf(&pair, "%s:%s", a->username, a->password);
	strbuf_adds(&out, "Basic ");
	if (!strbuf_err(&pair))
		base64_add(&out, pair.s, pair.len);
	if (pair.s)
		explicit_bzero(pair.s, pair.len);
	return strbuf_err(&pair) ? NULL : strbuf_steal(&out);
}

int auth_realm_check(const struct registry_config *cfg, const struct endpoint *e, const struct url *realm, struct err *err)
{
	if (realm->https)
		return 0;
	if (!e->base.https && url_same_origin(&e->base, realm))
		return 0;
	STRV_FOREACH(s, cfg->insecure)
		if (str_eq(s, realm->host))
			return 0;
	return err_set(err, ERR_DENIED, "the registry '%s' sends credentials to 'http://%s', which is not encrypted: refused (name the token server in insecure-registries "
					"if that is meant)", e->base.host, realm->host);
}

/* "repository:library/busybox:pull,push"; login asks for none. */
static void scope_of(const struct registry *r, char *buf, size_t size)
{
	buf[0] = '\0';
	if (r->ref.path)
		(void) str_format(buf, size, "repository:%s:%s", r->ref.path, r->actions & REGISTRY_PUSH ? "pull,push" : "pull");
}

static bool token_is_valid(const char *s)
{
	return *s && strlen(s) <= TOKEN_MAX && str_is_plain(s) && !strchr(s, ' ');
}

/* {"token": ...} or {"access_token": ...} into *@ret, {"refresh_token": ...} into *@ret_identity (NULL when there is none); both owned. */
static int read_token(const char *text, size_t len, char **ret, char **ret_identity, struct err *err)
{
	_cleanup_json_ struct json *doc = NULL;
	const char *token = NULL, *access = NULL, *identity = NULL;
	int r = json_parse(text, len, ANSWER_MAX, "the token server's answer", &doc, err);
	if (r >= 0)
		r = json_read_str(doc, "token", &token, err);
	if (r >= 0)
		r = json_read_str(doc, "access_token", &access, err);
	if (r >= 0)
		r = json_read_str(doc, "refresh_token", &identity, err);
	if (r < 0)
		return r;
	token = str_empty(token) ? access : token;
	if (str_empty(token) || !token_is_valid(token) || (!str_empty(identity) && !token_is_valid(identity)))
		return err_set(err, ERR_CORRUPT, "the token server's answer holds no token");
	*ret = strdup(token);
	*ret_identity = str_empty(identity) ? NULL : strdup(identity);
	return *ret && (str_empty(identity) || *ret_identity) ? 0 : err_oom(err);
}

struct token_request {
	struct strbuf url, headers, form;
	bool post;
};

static void token_request_done(struct token_request *t)
{
	struct strbuf *const all[] = {&t->url, &t->headers, &t->form};
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		if (all[i]->s)
			explicit_bzero(all[i]->s, all[i]->len);
		strbuf_done(all[i]);
	}
}

/* With an identity token it is OAuth's form; else a GET, with the name and password if there are. */
static int write_token_request(const struct registry *r, const struct registry_auth *a, const struct challenge *c, const char *realm, struct token_request *t)
{
	char scope[400];
	scope_of(r, scope, sizeof(scope));
	t->post = !str_empty(a->identity_token);
	struct strbuf *q = t->post ? &t->form : &t->url;
	strbuf_adds(&t->url, realm);
	if (!t->post)
		strbuf_addc(&t->url, strchr(realm, '?') ? '&' : '?');
	url_query_add(q, "service", c->service);
	if (scope[0]) {
		strbuf_addc(q, '&');
		url_query_add(q, "scope", scope);
	}
	STRV_FOREACH(path, r->lenders) { /* a server that does not let us read one leaves it out of the token */
		char lent[400];
		if (str_format(lent, sizeof(lent), "repository:%s:pull", path) < 0)
			continue;
		strbuf_addc(q, '&');
		url_query_add(q, "scope", lent);
	}
	if (t->post) {
		strbuf_adds(q, "&grant_type=refresh_token&client_id=" CLIENT_ID "&");
		url_query_add(q, "refresh_token", a->identity_token);
		strbuf_adds(&t->headers, "Content-Type: application/x-www-form-urlencoded\n");
	} else if (has_password(a)) {
		_cleanup_free_ char *value = basic(a);
		strbuf_addc(q, '&');
		url_query_add(q, "account", a->username);
		if (!r->ref.path && (r->actions & REGISTRY_PUSH)) /* a login, no search: a token in the password's place, if the server has such */
			strbuf_adds(q, "&offline_token=true&client_id=" CLIENT_ID);
		strbuf_addf(&t->headers, "Authorization: %s\n", value ? value : "");
	}
	return strbuf_err(&t->url) ?: strbuf_err(&t->headers) ?: strbuf_err(&t->form);
}

static int memory_fd(const struct strbuf *b, struct err *err)
{
	_cleanup_close_ int fd = memfd_create("form", MFD_CLOEXEC);
	int r = fd < 0 ? -errno : write_all(fd, b->s, b->len);
	return r < 0 ? err_sys(err, r, "preparing a request") : take_fd(&fd);
}

/* The newest one counts: a server may give another with each answer. */
static void keep_identity(struct registry *reg, char *token_consume)
{
	(void) pthread_mutex_lock(&reg->lock);
	wipe(reg->identity);
	reg->identity = token_consume;
	(void) pthread_mutex_unlock(&reg->lock);
}

static int ask(struct registry_conn *c, const struct token_request *t, char **ret, struct err *err)
{
	_cleanup_strbuf_ struct strbuf body = STRBUF_INIT(ANSWER_MAX);
	_cleanup_close_ int form = t->post ? memory_fd(&t->form, err) : -EBADF;
	if (t->post && form < 0)
		return form;
	const struct fetch_call call = {.method = t->post ? FETCH_POST : FETCH_GET, .url = t->url.s, .headers = t->headers.s, .body_fd = form, .body_len = t->form.len,
		.flags = FETCH_PLAIN | (c->at->insecure ? FETCH_INSECURE : 0u), .reach = session_reach(c), .answer_max = ANSWER_MAX, .total_s = TOKEN_SECONDS};
	int r = fetch_begin(c->fetcher, &call, err);
	if (r < 0)
		return err_wrap(err, "asking the token server");
	int status = (int) fetch_head(c->fetcher)->status;
	if (status == 401 || status == 403)
		return session_refused(c, 401, "the token server", err);
	if (status != 200)
		return err_set(err, ERR_SYSTEM, "the token server answered with status %d", status);
	r = fetch_text(c->fetcher, &body, err);
	char *identity = NULL;
	if (r >= 0)
		r = read_token(body.s ? body.s : "", body.len, ret, &identity, err);
	if (identity)
		keep_identity(c->reg, identity);
	if (body.s)
		explicit_bzero(body.s, body.len);
	return r;
}

/* A bearer token's header value into *@ret. */
static int get_token(struct registry_conn *c, const struct registry_auth *a, const struct challenge *ch, char **ret, struct err *err)
{
	_cleanup_(token_request_done) struct token_request t = {STRBUF_INIT(URL_MAX), STRBUF_INIT(FETCH_HEADERS_MAX), STRBUF_INIT(HEADER_MAX), false};
	_cleanup_free_ char *token = NULL;
	struct url realm;
	if (!str_empty(a->registry_token)) {
		token = strdup(a->registry_token);
	} else {
		int r = url_parse(ch->realm, &realm, err);
		if (r < 0)
			return err_wrap(err, "the registry's token server");
		r = auth_realm_check(c->reg->cfg, c->at, &realm, err);
		if (r >= 0 && write_token_request(c->reg, a, ch, ch->realm, &t) < 0)
			r = err_oom(err);
		if (r >= 0)
			r = ask(c, &t, &token, err);
		if (r < 0)
			return r;
	}
	*ret = token ? str_printf("Bearer %s", token) : NULL;
	if (token)
		explicit_bzero(token, strlen(token));
	return *ret ? 0 : err_oom(err);
}

int auth_answer(struct registry_conn *c, const char *text, unsigned generation, struct err *err)
{
	struct challenge ch;
	char *value = NULL;
	const struct registry_auth none = {NULL}, *a = c->at->mirror ? &none : &c->reg->auth;
	int r = challenge_parse(text, &ch, err);
	if (r < 0)
		return r;
	(void) pthread_mutex_lock(&c->reg->lock);
	bool newer = c->at->auth_generation != generation; /* another thread was here */
	(void) pthread_mutex_unlock(&c->reg->lock);
	if (newer)
		return 1;
	if (ch.bearer)
		r = get_token(c, a, &ch, &value, err);
	else if (!ch.basic)
		r = err_set(err, ERR_UNAUTHORIZED, "the registry '%s' asks for a way of authentication that is not known", c->at->base.host);
	else if (!has_password(a))
		r = err_set(err, ERR_UNAUTHORIZED, "no basic auth credentials for '%s': coffer login %s", c->at->base.host, c->at->base.host);
	else if (!(value = basic(a)))
		r = err_oom(err);
	if (r < 0)
		return r;
	(void) pthread_mutex_lock(&c->reg->lock);
	wipe(c->at->authorization);
	c->at->authorization = value;
	c->at->auth_generation++;
	(void) pthread_mutex_unlock(&c->reg->lock);
	return 1;
}

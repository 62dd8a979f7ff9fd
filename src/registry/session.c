/* SPDX-License-Identifier: Apache-2.0 */
/* One exchange with a registry, whatever it takes: credentials when asked, redirects without them, patience when it is busy. */
#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "base/clock.h"
#include "base/num.h"
#include "codec/json.h"
#include "registry/internal.h"

enum { PAUSE_STEP_MS = 50, PAUSE_MAX_MS = 60000, ERROR_MAX = 64 << 10 };

int registry_open(const struct registry_config *cfg, const struct image_ref *ref, const struct registry_auth *auth, unsigned actions,
		  const atomic_bool *cancel, struct registry **ret, struct err *err)
{
	struct registry *r = calloc(1, sizeof(*r));
	if (!r)
		return err_oom(err);
	*r = (struct registry) {.cfg = cfg, .cancel = cancel, .actions = actions};
	(void) pthread_mutex_init(&r->lock, NULL); /* cannot fail with default attributes */
	r->ref.domain = strdup(ref->domain);
	r->ref.path = ref->path ? strdup(ref->path) : NULL;
	bool ok = r->ref.domain && (r->ref.path || !ref->path);
	const struct {
		char *const from;
		char **to;
	} texts[] = {{auth->username, &r->auth.username}, {auth->password, &r->auth.password}, {auth->identity_token, &r->auth.identity_token},
		     {auth->registry_token, &r->auth.registry_token}};
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		if (texts[i].from)
			ok = (*texts[i].to = strdup(texts[i].from)) != NULL && ok;
	int rc = ok ? endpoints_find(r, err) : err_oom(err);
	if (rc < 0) {
		(void) registry_close(r);
		return rc;
	}
	*ret = r;
	return 0;
}

void registry_lenders(struct registry *r, char *const *paths)
{
	r->lenders = paths;
}

struct registry *registry_close(struct registry *r)
{
	if (!r)
		return NULL;
	for (size_t i = 0; i < r->n_endpoints; i++)
		registry_endpoint_done(&r->endpoints[i]);
	free(r->endpoints);
	if (r->identity)
		explicit_bzero(r->identity, strlen(r->identity));
	free(r->identity);
	registry_auth_done(&r->auth);
	image_ref_done(&r->ref);
	(void) pthread_mutex_destroy(&r->lock);
	free(r);
	return NULL;
}

struct registry_conn *registry_connect(struct registry *r)
{
	struct registry_conn *c = calloc(1, sizeof(*c));
	if (c)
		c->reg = r;
	return c;
}

struct registry_conn *registry_disconnect(struct registry_conn *c)
{
	if (c)
		(void) fetcher_free(c->fetcher);
	free(c);
	return NULL;
}

void registry_disconnectp(struct registry_conn **c)
{
	*c = registry_disconnect(*c);
}

int session_use(struct registry_conn *c, size_t i, struct err *err)
{
	struct endpoint *e = &c->reg->endpoints[i];
	if (c->at == e)
		return 0;
	c->fetcher = fetcher_free(c->fetcher);
	struct fetch_config cfg = {.program = c->reg->cfg->fetch_path, .ca = e->ca, .cert = e->cert, .key = e->key, .cancel = c->reg->cancel};
	if (!e->loopback) { /* no proxy leads to this host's own loopback interface; docker (Go) has it so, too */
		cfg.http_proxy = c->reg->cfg->http_proxy;
		cfg.https_proxy = c->reg->cfg->https_proxy;
		cfg.no_proxy = c->reg->cfg->no_proxy;
	}
	c->fetcher = fetcher_new(&cfg);
	c->at = e;
	return c->fetcher ? 0 : err_oom(err);
}

int session_pause(const struct registry *r, unsigned ms, struct err *err)
{
	for (unsigned done = 0; done < MIN(ms, (unsigned) PAUSE_MAX_MS); done += PAUSE_STEP_MS) {
		if (r->cancel && atomic_load(r->cancel)) {
			(void) err_set(err, ERR_SYSTEM, "cancelled");
			return err ? (err->sys = -ECANCELED) : -ECANCELED;
		}
		const struct timespec ts = {.tv_nsec = PAUSE_STEP_MS * 1000000L};
		(void) nanosleep(&ts, NULL); /* an early wake-up only looks sooner */
	}
	return 0;
}

static int start_url(const struct registry_conn *c, const struct exchange *x, struct url *u, struct err *err)
{
	if (x->url) {
		*u = *x->url;
		return 0;
	}
	*u = c->at->base;
	size_t n = strlen(u->path);
	return str_format(u->path + n, sizeof(u->path) - n, "%s%s", x->root ?: "v2/", x->path) < 0 ? err_set(err, ERR_INVALID, "an address that is too long") : 0;
}

/* Headers for @u: the credentials go to the registry's own origin alone. @ret_generation: of the credentials. */
static int write_headers(struct registry_conn *c, const struct exchange *x, const struct url *u, struct strbuf *b, unsigned *ret_generation, struct err *err)
{
	(void) pthread_mutex_lock(&c->reg->lock);
	*ret_generation = c->at->auth_generation;
	if (c->at->authorization && url_same_origin(u, &c->at->base))
		strbuf_addf(b, "Authorization: %s\n", c->at->authorization);
	(void) pthread_mutex_unlock(&c->reg->lock);
	strbuf_adds(b, x->headers ? x->headers : "");
	return strbuf_err(b) ? err_set(err, ERR_QUOTA, "credentials that are too long") : 0;
}

/* Connections of one registry learn side by side. */

enum fetch_reach session_reach(struct registry_conn *c)
{
	(void) pthread_mutex_lock(&c->reg->lock);
	enum fetch_reach reach = c->at->reach;
	(void) pthread_mutex_unlock(&c->reg->lock);
	return reach;
}

static bool was_met(struct registry_conn *c)
{
	(void) pthread_mutex_lock(&c->reg->lock);
	bool met = c->at->met;
	(void) pthread_mutex_unlock(&c->reg->lock);
	return met;
}

/* @own: it was the registry's own connection: from here on nothing leads deeper than the registry itself. */
static void meet(struct registry_conn *c, bool own, enum fetch_reach reach)
{
	(void) pthread_mutex_lock(&c->reg->lock);
	c->at->met = true;
	if (own && reach < c->at->reach)
		c->at->reach = reach;
	(void) pthread_mutex_unlock(&c->reg->lock);
}

/* One request at @u. Return: status, ERR_*. */
static int one(struct registry_conn *c, const struct exchange *x, const struct url *u, unsigned *ret_generation, struct err *err)
{
	_cleanup_strbuf_ struct strbuf headers = STRBUF_INIT(FETCH_HEADERS_MAX - 1);
	char text[URL_MAX + URL_HOST_MAX + 16];
	bool own = url_same_origin(u, &c->at->base);
	int r = write_headers(c, x, u, &headers, ret_generation, err);
	if (r < 0 || (r = url_text(u, text)) < 0)
		return r;
	const struct fetch_call call = {.method = x->method, .url = text, .headers = headers.s, .body_fd = x->body_fd, .body_offset = x->body_offset,
		.body_len = x->body_len, .answer_max = x->answer_max, .total_s = x->total_s, .reach = session_reach(c),
		.flags = (u->https ? 0u : FETCH_PLAIN) | (own && c->at->insecure ? FETCH_INSECURE : 0u) | (own ? FETCH_CLIENT_CERT : 0u)};
	r = fetch_begin(c->fetcher, &call, err);
	if (headers.s)
		explicit_bzero(headers.s, headers.len);
	if (r < 0)
		return r == -ECANCELED ? r : err_wrap(err, "%s", u->host);
	const struct fetch_msg *head = fetch_head(c->fetcher);
	meet(c, own, (enum fetch_reach) head->reach);
	return (int) head->status;
}

/* TLS is not spoken there, and it need not be. */
static bool go_plain(struct registry_conn *c)
{
	struct endpoint *e = c->at;
	if (!e->base.https || !(e->loopback || e->insecure) || fetch_failure(c->fetcher) != FETCH_FAIL_NOT_TLS)
		return false;
	e->base.https = false;
	e->plain = true;
	return true;
}

int session_resolve(const struct registry_conn *c, const struct url *base, const char *location, struct url *ret, struct err *err)
{
	struct url to;
	int r = url_resolve(base, location, &to, err);
	if (r < 0)
		return err_wrap(err, "where '%s' leads", base->host);
	bool named = to.https || (url_same_origin(&to, &c->at->base) && c->at->plain);
	STRV_FOREACH(s, c->reg->cfg->insecure)
		named = named || str_eq(s, to.host);
	if (!named)
		return err_set(err, ERR_DENIED, "'%s' redirects to 'http://%s', which is not encrypted: refused", base->host, to.host);
	*ret = to;
	return 0;
}

static bool is_redirect(int status)
{
	return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

static bool is_busy(int status)
{
	return status == 429 || status == 500 || status == 502 || status == 503 || status == 504;
}

/* Before try number @n; the registry may say how long. */
static unsigned backoff_ms(const struct registry_conn *c, int n, bool answered)
{
	uint32_t seconds;
	if (answered && parse_u32(fetch_head(c->fetcher)->retry_after, &seconds) == 0)
		return MIN(seconds, 60u) * 1000;
	return 100u << MIN(n, 6);
}

int session_request(struct registry_conn *c, const struct exchange *x, struct err *err)
{
	bool again = x->method == FETCH_GET || x->method == FETCH_HEAD_ONLY; /* costs nothing when it is done twice; what a rate limit turned away was not done */
	int tries = 0, redirects = 0, answers = 0;
	struct url u;
	int r = start_url(c, x, &u, err);
	while (r >= 0) {
		unsigned generation;
		int status = one(c, x, &u, &generation, err);
		if (status < 0 && status != -ECANCELED && go_plain(c)) {
			r = start_url(c, x, &u, err);
		} else if (status < 0) {
			if (status == -ECANCELED || !again || !was_met(c) || fetch_failure(c->fetcher) != FETCH_FAIL_RETRY || ++tries >= TRIES_MAX)
				return status;
			r = session_pause(c->reg, backoff_ms(c, tries, /* answered= */ false), err);
		} else if (status == 401 && answers < 2 && url_same_origin(&u, &c->at->base)) {
			char challenge[FETCH_VALUE_MAX];
			(void) str_copy(challenge, sizeof(challenge), fetch_head(c->fetcher)->challenge);
			if (answers++ > 0 || !challenge[0])
				return status;
			r = auth_answer(c, challenge, generation, err);
		} else if (is_redirect(status) && x->follow) {
			if (++redirects > REDIRECTS_MAX)
				return err_set(err, ERR_CORRUPT, "'%s': more than %d redirects", u.host, REDIRECTS_MAX);
			r = session_resolve(c, &u, fetch_head(c->fetcher)->location, &u, err);
		} else if (is_busy(status) && (again || status == 429) && ++tries < TRIES_MAX) {
			r = session_pause(c->reg, backoff_ms(c, tries, /* answered= */ true), err);
			if (r >= 0)
				r = start_url(c, x, &u, err);
		} else
			return status;
	}
	return r;
}

int session_body(struct registry_conn *c, struct strbuf *out, struct err *err)
{
	return fetch_text(c->fetcher, out, err);
}

static bool says(const char *code, const char *what)
{
	return str_eq(code, what);
}

/* The first of {"errors":[{"code","message"}]} in @text, as docker spells it: "manifest unknown: manifest unknown". */
static void read_error(const char *text, size_t len, char *code, size_t code_size, char *message, size_t message_size)
{
	_cleanup_json_ struct json *doc = NULL;
	struct err ignored;
	code[0] = message[0] = '\0';
	if (json_parse(text, len, ERROR_MAX, "error", &doc, &ignored) < 0)
		return;
	const struct json *first = json_at(json_get(doc, "errors"), 0);
	const char *c = json_str(json_get(first, "code"), ""), *m = json_str(json_get(first, "message"), json_str(json_get(doc, "details"), ""));
	if (str_is_plain(c))
		(void) snprintf(code, code_size, "%.60s", c);
	if (str_is_plain(m))
		(void) snprintf(message, message_size, "%.200s", m);
}

int session_refused(struct registry_conn *c, int status, const char *what, struct err *err)
{
	_cleanup_strbuf_ struct strbuf b = STRBUF_INIT(ERROR_MAX);
	char code[64], message[240], lower[64];
	struct err ignored;
	_cleanup_free_ char *name = c->reg->ref.path ? image_ref_familiar(&c->reg->ref) : NULL;
	if (fetch_text(c->fetcher, &b, &ignored) < 0)
		strbuf_reset(&b);
	read_error(b.s ? b.s : "", b.len, code, sizeof(code), message, sizeof(message));
	for (size_t i = 0; i <= strlen(code); i++)
		lower[i] = (char) (code[i] == '_' ? ' ' : code[i] >= 'A' && code[i] <= 'Z' ? code[i] + 32 : code[i]);
	if (status == 404)
		return err_set(err, ERR_NOT_FOUND, "%s not found: %s: %s", what, code[0] ? lower : "manifest unknown", message[0] ? message : "manifest unknown");
	if ((status == 403 || status == 401) && says(code, "DENIED"))
		return err_set(err, ERR_NOT_FOUND, "%s access denied for %s, repository does not exist or may require 'docker login': denied: %s",
			       c->reg->actions & REGISTRY_PUSH ? "push" : "pull", name ? name : "",
			       message[0] ? message : "requested access to the resource is denied");
	if (status == 401)
		return err_set(err, ERR_UNAUTHORIZED, "%s: unauthorized: %s", what, message[0] ? message : "authentication required");
	if (status == 403)
		return err_set(err, ERR_DENIED, "%s: denied: %s", what, message[0] ? message : "the registry answered with status 403");
	if (status == 429)
		return err_set(err, ERR_SYSTEM, "%s: toomanyrequests: %s", what, message[0] ? message : "the registry's rate limit is reached");
	return err_set(err, ERR_SYSTEM, "%s: the registry answered with status %d%s%s", what, status, message[0] ? ": " : "", message);
}

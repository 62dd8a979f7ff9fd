/* SPDX-License-Identifier: Apache-2.0 */
/* Search, by docker's API of old: GET /v1/search?q=TERM&n=LIMIT at the hub's index or at a registry that has one. */
#include <errno.h>
#include <stdio.h>

#include "registry/answers.h"
#include "registry/internal.h"

enum { ANSWER_MAX = 4 << 20, SECONDS = 60 };
#define HUB_INDEX "index.docker.io"

/* "registry.example/team/x" is asked there for "team/x"; anything else is the hub's. */
static void split_term(const char *term, char *host, size_t size, const char **ret_rest)
{
	const char *slash = strchr(term, '/');
	size_t n = slash ? (size_t) (slash - term) : 0;
	*ret_rest = term;
	(void) str_copy(host, size, HUB_INDEX);
	if (!slash || n >= size || !(memchr(term, '.', n) || memchr(term, ':', n) || strncmp(term, "localhost/", n + 1) == 0))
		return;
	*ret_rest = slash + 1;
	(void) snprintf(host, size, "%.*s", (int) n, term);
	if (str_eq(host, "docker.io"))
		(void) str_copy(host, size, HUB_INDEX);
}

int registry_search(const struct registry_config *cfg, const char *term, unsigned limit, const struct registry_auth *auth, struct registry_results *ret, struct err *err)
{
	_cleanup_strbuf_ struct strbuf path = STRBUF_INIT(URL_MAX / 2), body = STRBUF_INIT(ANSWER_MAX);
	char host[URL_HOST_MAX], number[16];
	const char *rest;
	struct registry *reg = NULL;
	split_term(term, host, sizeof(host), &rest);
	const struct image_ref ref = {.domain = host};
	(void) snprintf(number, sizeof(number), "%u", limit);
	strbuf_adds(&path, "search?");
	url_query_add(&path, "q", str_eq(host, HUB_INDEX) ? str_after(rest, "library/") ?: rest : rest);
	strbuf_addc(&path, '&');
	url_query_add(&path, "n", number);
	if (strbuf_err(&path) < 0)
		return err_set(err, ERR_INVALID, "a term that is too long");
	const struct exchange x = {.method = FETCH_GET, .path = path.s, .root = "v1/", .body_fd = -EBADF, .answer_max = ANSWER_MAX, .follow = true, .total_s = SECONDS};
	int r = registry_open(cfg, &ref, auth, REGISTRY_PULL, NULL, &reg, err);
	struct registry_conn *c = r < 0 ? NULL : registry_connect(reg);
	r = r < 0 ? r : c ? session_use(c, 0, err) : err_oom(err);
	int status = r < 0 ? r : session_request(c, &x, err);
	if (status == 404)
		r = err_set(err, ERR_UNSUPPORTED, "'%s' has no search", host);
	else if (status >= 0 && status != 200)
		r = session_refused(c, status, "search", err);
	else
		r = MIN(status, 0);
	r = r < 0 ? r : session_body(c, &body, err);
	r = r < 0 ? r : registry_results_parse(body.s ? body.s : "", body.len, ret, err);
	(void) registry_disconnect(c);
	(void) registry_close(reg);
	return r;
}

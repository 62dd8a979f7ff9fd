/* SPDX-License-Identifier: Apache-2.0 */
/* POST /commit?container=C&repo=R&tag=T&comment=&author=&pause=1&changes=...; its body, a Config, may be empty. */
#include "api/internal.h"

static int read_changes(const struct call *c, char ***ret, struct err *err)
{
	for (size_t i = 0; c->req.query.keys && c->req.query.keys[i]; i++)
		if (str_eq(c->req.query.keys[i], "changes") && strv_push(ret, c->req.query.values[i]) < 0)
			return err_oom(err);
	return 0;
}

static int read_config(struct call *c, struct container_request **ret, struct err *err)
{
	_cleanup_json_ struct json *body = NULL;
	_cleanup_strv_ char **unknown = NULL;
	int r = call_body(c, &body, err);
	if (r < 0 || json_kind(body) == JSON_KIND_ABSENT || json_kind(body) == JSON_KIND_NULL)
		return r;
	r = container_request_parse(body, ret, &unknown, err);
	return r < 0 ? r : call_unknown(c, unknown, NULL, err);
}

int commit_handler(struct call *c, struct err *err)
{
	_cleanup_container_request_ struct container_request *config = NULL;
	_cleanup_strv_ char **changes = NULL;
	_cleanup_free_ char *ref = NULL, *id = NULL;
	const char *container = call_query(c, "container"), *repo = call_query(c, "repo"), *tag = call_query(c, "tag");
	if (str_empty(container))
		return err_set(err, ERR_INVALID, "query parameter 'container': missing: the container to commit is expected");
	int r = read_config(c, &config, err);
	r = r < 0 ? r : read_changes(c, &changes, err);
	if (r < 0)
		return r;
	if (!str_empty(repo) && !(ref = str_empty(tag) ? strdup(repo) : str_printf("%s:%s", repo, tag)))
		return err_oom(err);
	const struct commit_request q = {
		.ref = ref, .author = call_query(c, "author"), .comment = call_query(c, "comment"), .changes = changes, .config = config, .pause = call_flag(c, "pause", true),
	};
	r = engine_commit(c->engine, c->caller, container, &q, &id, err);
	if (r < 0)
		return r;
	c->status = 201;
	jw_obj(&c->w, NULL);
	jw_str(&c->w, "Id", id);
	jw_end(&c->w);
	return 0;
}

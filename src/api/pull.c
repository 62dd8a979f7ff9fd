/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What has to do with registries: pull (POST /images/create?fromImage=), push, login, a look. A client that leaves ends a pull or push; what came of a
 * pull by then is kept for the next attempt.
 */
#include "api/progress.h"
#include "registry/registry.h"

int image_pull(struct call *c, struct err *err)
{
	struct registry_auth auth = {NULL};
	struct progress p = {.call = c};
	const struct image_progress progress = {.fn = progress_report, .ctx = &p};
	atomic_bool cancel = false;
	int r = registry_auth_parse(c->req.registry_auth, &auth, err);
	if (r < 0)
		return r;
	const struct pull_request req = {.name = call_query(c, "fromImage"), .tag = call_query(c, "tag"), .platform = call_query(c, "platform"), .auth = &auth,
		.cancel = &cancel, .progress = &progress};
	struct leave *leave = leave_watch(c, &cancel);
	r = engine_pull(c->engine, c->caller, &req, err);
	(void) leave_end(leave);
	registry_auth_done(&auth);
	return progress_finish(c, r, "status", NULL, err);
}

static void on_pushed(void *ctx, const char *tag, const char *digest, uint64_t size)
{
	struct call *c = ((struct progress *) ctx)->call;
	jw_obj(&c->w, NULL);
	jw_raw(&c->w, "progressDetail", "{}");
	jw_obj(&c->w, "aux");
	jw_str(&c->w, "Tag", tag);
	jw_str(&c->w, "Digest", digest);
	jw_uint(&c->w, "Size", size);
	jw_end(&c->w);
	jw_end(&c->w);
	(void) progress_send(c); /* a client that left is seen by the watch */
}

int image_push_handler(struct call *c, struct err *err)
{
	struct registry_auth auth = {NULL};
	struct progress p = {.call = c};
	const struct image_progress progress = {.fn = progress_report, .ctx = &p};
	atomic_bool cancel = false;
	int r = registry_auth_parse(c->req.registry_auth, &auth, err);
	if (r < 0)
		return r;
	const struct push_request req = {.name = c->arg, .tag = call_query(c, "tag"), .platform = call_query(c, "platform"), .auth = &auth, .cancel = &cancel, .progress = &progress, .pushed = on_pushed};
	struct leave *leave = leave_watch(c, &cancel);
	r = engine_push(c->engine, c->caller, &req, err);
	(void) leave_end(leave);
	registry_auth_done(&auth);
	return progress_finish(c, r, "status", NULL, err);
}

int distribution_handler(struct call *c, struct err *err)
{
	struct registry_auth auth = {NULL};
	int r = registry_auth_parse(c->req.registry_auth, &auth, err);
	r = r < 0 ? r : engine_distribution(c->engine, c->caller, c->arg, &auth, &c->w, err);
	registry_auth_done(&auth);
	return r;
}

int manifests_handler(struct call *c, struct err *err)
{
	struct registry_auth auth = {NULL};
	int r = registry_auth_parse(c->req.registry_auth, &auth, err);
	r = r < 0 ? r : engine_manifests(c->engine, c->caller, c->arg, call_flag(c, "each", false), &auth, &c->w, err);
	registry_auth_done(&auth);
	return r;
}

int search_handler(struct call *c, struct err *err)
{
	_cleanup_json_ struct json *filters = NULL;
	struct registry_auth auth = {NULL};
	uint32_t limit = 0;
	int r = call_query_u32(c, "limit", &limit, err);
	r = r < 0 ? r : call_filters(c, &filters, err);
	r = r < 0 ? r : registry_auth_parse(c->req.registry_auth, &auth, err);
	const struct search_request req = {.term = call_query(c, "term"), .limit = limit, .filters = filters, .auth = &auth};
	r = r < 0 ? r : engine_search(c->engine, c->caller, &req, &c->w, err);
	registry_auth_done(&auth);
	return r;
}

int auth_handler(struct call *c, struct err *err)
{
	_cleanup_json_ struct json *doc = NULL;
	struct registry_auth auth = {NULL};
	int r = call_body(c, &doc, err);
	if (r >= 0 && json_kind(doc) != JSON_KIND_OBJECT)
		r = err_set(err, ERR_INVALID, "request body: expected an object");
	r = r < 0 ? r : json_read_dup(doc, "username", &auth.username, err);
	r = r < 0 ? r : json_read_dup(doc, "password", &auth.password, err);
	r = r < 0 ? r : json_read_dup(doc, "identitytoken", &auth.identity_token, err);
	r = r < 0 ? r : json_read_dup(doc, "serveraddress", &auth.server, err);
	r = r < 0 ? r : engine_login(c->engine, c->caller, &auth, &c->w, err);
	registry_auth_done(&auth);
	return r;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Archives that come as a request's body: a pump thread takes the framing off and feeds a pipe, the image store reads the
 * pipe.
 */
#include <errno.h>

#include "api/internal.h"
#include "api/progress.h"
#include "api/pump.h"

static int need_body(struct call *c, struct err *err)
{
	return http_peer_in_body(c->peer) ? 0 : err_set(err, ERR_INVALID, "request body: an archive is expected");
}

static int check_archive(void *ctx, const char *kind, struct err *err)
{
	return engine_archive_check(ctx, kind, err);
}

int image_load_handler(struct call *c, struct err *err)
{
	struct progress p = {.call = c, .quiet = call_flag(c, "quiet", false)};
	const struct image_progress progress = {.fn = progress_report, .ctx = &p};
	_cleanup_strv_ char **refs = NULL, **lines = NULL;
	struct pump pump;
	int r = need_body(c, err);
	if (r >= 0)
		r = pump_start(&pump, c->peer, err);
	if (r < 0)
		return r;
	const struct image_permit permit = {.fn = check_archive, .ctx = c->engine};
	r = image_load(engine_images(c->engine), c->caller->tenant, pump.in, &permit, &progress, &refs, err);
	if (r >= 0)
		pump_drain(&pump);
	(void) pump_end(&pump); /* a body cut short was a truncated archive to the store */
	STRV_FOREACH(ref, refs)
		engine_image_event(c->engine, c->caller, "load", ref);
	STRV_FOREACH(ref, refs)
		if (strv_push_take(&lines, str_printf(str_after(ref, "sha256:") ? "Loaded image ID: %s\n" : "Loaded image: %s\n", ref)) < 0)
			break; /* loaded all the same */
	return progress_finish(c, r, "stream", lines, err);
}

static char *import_ref(const struct call *c)
{
	const char *repo = call_query(c, "repo"), *tag = call_query(c, "tag");
	if (str_empty(repo))
		return NULL;
	return str_empty(tag) ? strdup(repo) : str_printf("%s:%s", repo, tag);
}

/* changes=CMD+sh&changes=ENV+A%3Db */
static int import_changes(const struct call *c, char ***ret, struct err *err)
{
	for (size_t i = 0; c->req.query.keys && c->req.query.keys[i]; i++)
		if (str_eq(c->req.query.keys[i], "changes") && strv_push(ret, c->req.query.values[i]) < 0)
			return err_oom(err);
	return 0;
}

int image_create_handler(struct call *c, struct err *err)
{
	_cleanup_strv_ char **changes = NULL, **lines = NULL;
	_cleanup_free_ char *ref = NULL, *id = NULL;
	const char *src = call_query(c, "fromSrc"), *message = call_query(c, "message");
	struct progress p = {.call = c, .quiet = true};
	const struct image_progress progress = {.fn = progress_report, .ctx = &p};
	struct pump pump;
	if (!str_empty(call_query(c, "fromImage")))
		return image_pull(c, err);
	if (!str_eq(src, "-"))
		return err_set(err, ERR_INVALID, "query parameter 'fromSrc': '%.60s': only '-', the request's body, is taken", src ? src : "");
	int r = need_body(c, err);
	if (r >= 0)
		r = engine_archive_check(c->engine, "tarball", err);
	if (r >= 0)
		r = import_changes(c, &changes, err);
	if (r < 0)
		return r;
	ref = import_ref(c);
	r = pump_start(&pump, c->peer, err);
	if (r < 0)
		return r;
	r = image_import(engine_images(c->engine), c->caller->tenant, pump.in, ref, message, changes, &progress, &id, err);
	if (r >= 0)
		pump_drain(&pump);
	(void) pump_end(&pump); /* as above */
	if (r >= 0)
		engine_image_event(c->engine, c->caller, "import", id);
	if (r >= 0 && strv_push(&lines, id) < 0)
		r = err_oom(err);
	return progress_finish(c, r, "status", lines, err);
}

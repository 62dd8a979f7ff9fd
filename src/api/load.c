/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Archives that come as a request's body: a pump thread takes the framing off and feeds a pipe, the image store reads the
 * pipe. Progress goes back as JSON objects, a chunk each; an error before the first of them is a real HTTP status.
 */
#include <errno.h>

#include "api/internal.h"
#include "api/pump.h"
#include "base/clock.h"

#define PROGRESS_USEC (100 * USEC_PER_MSEC)

struct progress {
	struct call *call;
	bool quiet;
	usec_t last;
	char id[80], status[80];
};

/* One JSON object of a stream: "{...}\r\n" in c->out becomes a chunk; the head goes out with the first. */
static int send_object(struct call *c)
{
	int r = 0;
	if (!c->answered) {
		const struct http_response head = {.status = 200, .content_type = TYPE_JSON, .headers = API_COMMON_HEADERS, .flags = HTTP_RESPONSE_CHUNKED};
		r = http_respond(http_peer_fd(c->peer), &head);
		c->answered = true;
	}
	strbuf_adds(&c->out, "\r\n");
	if (r >= 0)
		r = strbuf_err(&c->out);
	if (r >= 0)
		r = http_chunk_send(http_peer_fd(c->peer), c->out.s, c->out.len, /* last= */ false);
	strbuf_reset(&c->out);
	jw_init(&c->w, &c->out);
	return r;
}

static void on_progress(void *ctx, const char *id, const char *status, uint64_t current, uint64_t total)
{
	struct progress *p = ctx;
	struct call *c = p->call;
	usec_t now = now_usec();
	bool same = str_eq(id, p->id) && str_eq(status, p->status);
	if (p->quiet || (same && current != total && now - p->last < PROGRESS_USEC))
		return;
	p->last = now;
	(void) str_copy(p->id, sizeof(p->id), id);
	(void) str_copy(p->status, sizeof(p->status), status);
	jw_obj(&c->w, NULL);
	jw_str(&c->w, "status", status);
	jw_obj(&c->w, "progressDetail");
	if (total > 0 || current > 0) {
		jw_uint(&c->w, "current", current);
		jw_uint(&c->w, "total", total);
	}
	jw_end(&c->w);
	if (*id)
		jw_str(&c->w, "id", id);
	jw_end(&c->w);
	(void) send_object(c); /* a client that left does not stop the load */
}

static int send_line(struct call *c, const char *key, const char *text)
{
	jw_obj(&c->w, NULL);
	jw_str(&c->w, key, text);
	jw_end(&c->w);
	return send_object(c);
}

/* After the first byte an error can only be an object of the stream. */
static int send_failure(struct call *c, const struct err *err)
{
	jw_obj(&c->w, NULL);
	jw_obj(&c->w, "errorDetail");
	jw_str(&c->w, "message", err->msg);
	jw_end(&c->w);
	jw_str(&c->w, "error", err->msg);
	jw_end(&c->w);
	return send_object(c);
}

static int stream_end(struct call *c)
{
	c->close = !c->req.keep_alive || http_peer_in_body(c->peer);
	return http_chunk_send(http_peer_fd(c->peer), NULL, 0, /* last= */ true);
}

/* How both handlers end: @r of the store, then the pump, then the words. @lines: one object of key @key each. */
static int finish(struct call *c, int r, const char *key, char *const *lines, struct err *err)
{
	if (r < 0 && !c->answered)
		return r;
	if (r < 0)
		(void) send_failure(c, err); /* the stream's end follows either way */
	else
		STRV_FOREACH(line, lines)
			(void) send_line(c, key, line); /* as above */
	return stream_end(c);
}

static int need_body(struct call *c, struct err *err)
{
	return http_peer_in_body(c->peer) ? 0 : err_set(err, ERR_INVALID, "request body: an archive is expected");
}

int image_load_handler(struct call *c, struct err *err)
{
	struct progress p = {.call = c, .quiet = call_flag(c, "quiet", false)};
	const struct image_progress progress = {.fn = on_progress, .ctx = &p};
	_cleanup_strv_ char **refs = NULL, **lines = NULL;
	struct pump pump;
	int r = need_body(c, err);
	if (r >= 0)
		r = pump_start(&pump, c->peer, err);
	if (r < 0)
		return r;
	r = image_load(engine_images(c->engine), c->caller->tenant, pump.in, &progress, &refs, err);
	if (r >= 0)
		pump_drain(&pump);
	(void) pump_end(&pump); /* a body cut short was a truncated archive to the store */
	STRV_FOREACH(ref, refs)
		engine_image_event(c->engine, c->caller, "load", ref);
	STRV_FOREACH(ref, refs)
		if (strv_push_take(&lines, str_printf(str_after(ref, "sha256:") ? "Loaded image ID: %s\n" : "Loaded image: %s\n", ref)) < 0)
			break; /* loaded all the same */
	return finish(c, r, "stream", lines, err);
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
	const struct image_progress progress = {.fn = on_progress, .ctx = &p};
	struct pump pump;
	if (!str_empty(call_query(c, "fromImage")))
		return err_set(err, ERR_UNSUPPORTED, "pulling '%.200s' from a registry is not there yet: use 'coffer load -i FILE'", call_query(c, "fromImage"));
	if (!str_eq(src, "-"))
		return err_set(err, ERR_INVALID, "query parameter 'fromSrc': '%.60s': only '-', the request's body, is taken", src ? src : "");
	int r = need_body(c, err);
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
	return finish(c, r, "status", lines, err);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files of a container over HTTP: HEAD, GET and PUT /containers/ID/archive, export, changes. An error before the first byte of an archive is a real
 * status; after it the connection ends without the last chunk, which every client takes for an archive that is cut short.
 */
#include <errno.h>

#include "api/internal.h"
#include "api/pump.h"
#include "base/base64.h"
#include "base/clock.h"
#include "base/log.h"

#define STAT_HEADER "X-Docker-Container-Path-Stat"
#define STAT_MAX (64 << 10)

struct reply {
	struct call *call;
	const char *type; /* NULL: no body */
};

static void add_stat(struct strbuf *headers, const struct path_status *s)
{
	_cleanup_strbuf_ struct strbuf json = STRBUF_INIT(STAT_MAX);
	struct json_writer w;
	char when[TIME_RFC3339_MAX];
	(void) time_format_rfc3339(when, s->mtime_ns, /* fixed= */ false);
	jw_init(&w, &json);
	jw_obj(&w, NULL);
	jw_str(&w, "name", s->name);
	jw_uint(&w, "size", s->size);
	jw_uint(&w, "mode", s->mode);
	jw_str(&w, "mtime", when);
	jw_str(&w, "linkTarget", s->target);
	jw_end(&w);
	strbuf_adds(headers, STAT_HEADER ": ");
	base64_add(headers, json.s, json.len);
	strbuf_adds(headers, "\r\n");
}

/* The head of the answer. */
static int on_status(void *ctx, const struct path_status *s)
{
	struct reply *r = ctx;
	struct call *c = r->call;
	_cleanup_strbuf_ struct strbuf headers = STRBUF_INIT(STAT_MAX);
	strbuf_adds(&headers, API_COMMON_HEADERS);
	if (s)
		add_stat(&headers, s);
	if (strbuf_err(&headers) < 0)
		return strbuf_err(&headers);
	c->answered = true;
	c->close = !c->req.keep_alive;
	const struct http_response head = {
		.status = 200, .content_type = r->type, .headers = headers.s, .flags = (r->type ? HTTP_RESPONSE_CHUNKED : HTTP_RESPONSE_NO_BODY) | (c->close ? HTTP_RESPONSE_CLOSE : 0u),
	};
	return http_respond(http_peer_fd(c->peer), &head);
}

static int on_data(void *ctx, const void *p, size_t n)
{
	const struct reply *r = ctx;
	return http_chunk_send(http_peer_fd(r->call->peer), p, n, /* last= */ false);
}

static struct archive_sink sink_of(struct reply *r)
{
	return (struct archive_sink){.status = on_status, .data = on_data, .ctx = r, .cancel_fd = http_peer_fd(r->call->peer)};
}

/* @r of the engine. Cut short, the connection is dropped by our caller. */
static int finish(struct call *c, int r, const struct err *err)
{
	if (r < 0 && r != -ECANCELED && c->answered)
		log_info("%s %s: cut short: %s", c->req.method, c->req.path, err->msg);
	if (r < 0)
		return r;
	return http_chunk_send(http_peer_fd(c->peer), NULL, 0, /* last= */ true);
}

int container_stat_handler(struct call *c, struct err *err)
{
	struct reply reply = {.call = c};
	const struct archive_sink sink = sink_of(&reply);
	return engine_archive_stat(c->engine, c->caller, c->arg, call_query(c, "path"), &sink, err);
}

int container_archive_handler(struct call *c, struct err *err)
{
	struct reply reply = {.call = c, .type = "application/x-tar"};
	const struct archive_sink sink = sink_of(&reply);
	return finish(c, engine_archive_get(c->engine, c->caller, c->arg, call_query(c, "path"), &sink, err), err);
}

int container_export_handler(struct call *c, struct err *err)
{
	struct reply reply = {.call = c, .type = "application/octet-stream"};
	const struct archive_sink sink = sink_of(&reply);
	return finish(c, engine_export(c->engine, c->caller, c->arg, &sink, err), err);
}

int container_extract_handler(struct call *c, struct err *err)
{
	unsigned flags = (call_flag(c, "noOverwriteDirNonDir", false) ? ARCHIVE_NO_OVERWRITE : 0u) | (call_flag(c, "copyUIDGID", false) ? ARCHIVE_AS_USER : 0u);
	struct pump pump;
	int r = pump_start(&pump, c->peer, err);
	if (r < 0)
		return r;
	r = engine_archive_put(c->engine, c->caller, c->arg, call_query(c, "path"), flags, pump.in, http_peer_fd(c->peer), err);
	if (r >= 0)
		pump_drain(&pump); /* archives may be padded */
	(void) pump_end(&pump); /* a body cut short was a truncated archive to the helper */
	return r;
}

int container_changes_handler(struct call *c, struct err *err)
{
	return engine_changes(c->engine, c->caller, c->arg, &c->w, err);
}

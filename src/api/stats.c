/* SPDX-License-Identifier: Apache-2.0 */
/* GET /containers/ID/stats: one object, or one every second, a chunk each. */
#include <errno.h>

#include "api/internal.h"

#define INTERVAL_MS 1000

static int send_one(struct call *c)
{
	strbuf_addc(&c->out, '\n');
	int r = strbuf_err(&c->out);
	return r < 0 ? r : http_chunk_send(http_peer_fd(c->peer), c->out.s, c->out.len, /* last= */ false);
}

static int stream_stats(struct call *c, struct stats_reader *rd)
{
	struct err err = {0};
	int fd = http_peer_fd(c->peer), r = stream_begin(c, TYPE_JSON); /* at once: clients wait for it */
	for (int wait_ms = 0; r >= 0; wait_ms = INTERVAL_MS) {
		strbuf_reset(&c->out);
		jw_init(&c->w, &c->out);
		r = engine_stats_next(c->engine, rd, wait_ms, fd, &c->w, &err);
		r = r < 0 ? r : send_one(c);
	}
	return err.kind == ERR_NOT_FOUND ? http_chunk_send(fd, NULL, 0, /* last= */ true) : r;
}

/* The share of a CPU needs two samples; who says one-shot does that sum himself. */
static int one_answer(struct call *c, struct stats_reader *rd, bool one_shot, struct err *err)
{
	int fd = http_peer_fd(c->peer), r = 0;
	if (!one_shot)
		r = engine_stats_next(c->engine, rd, 0, fd, NULL, err);
	bool runs = r > 0;
	r = r < 0 ? r : engine_stats_next(c->engine, rd, runs ? INTERVAL_MS : 0, fd, &c->w, err);
	return r == -ECANCELED ? err_sys(err, r, "the client went away") : MIN(r, 0);
}

int container_stats_handler(struct call *c, struct err *err)
{
	bool stream = call_flag(c, "stream", true), one_shot = call_flag(c, "one-shot", false);
	struct stats_reader *rd = NULL;
	if (stream && one_shot)
		return err_set(err, ERR_INVALID, "cannot have stream=true and one-shot=true");
	int r = engine_stats_begin(c->engine, c->caller, c->arg, &rd, err);
	if (r < 0)
		return r;
	r = stream ? stream_stats(c, rd) : one_answer(c, rd, one_shot, err);
	engine_stats_end(rd);
	return r;
}

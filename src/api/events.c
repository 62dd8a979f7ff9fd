/* SPDX-License-Identifier: Apache-2.0 */
/* GET /events: one JSON object a line, a chunk each, as they happen. */
#include <errno.h>

#include "api/internal.h"

static int send_events(struct call *c, struct events_reader *rd)
{
	char *text = NULL;
	int r;
	while ((r = engine_events_next(c->engine, rd, http_peer_fd(c->peer), &text)) > 0) {
		strbuf_reset(&c->out);
		strbuf_adds(&c->out, text);
		strbuf_addc(&c->out, '\n');
		free(text);
		r = strbuf_err(&c->out);
		if (r >= 0)
			r = http_chunk_send(http_peer_fd(c->peer), c->out.s, c->out.len, /* last= */ false);
		if (r < 0)
			return r;
	}
	return r < 0 ? r : http_chunk_send(http_peer_fd(c->peer), NULL, 0, /* last= */ true);
}

int events_handler(struct call *c, struct err *err)
{
	_cleanup_json_ struct json *filters = NULL;
	struct events_request req = {0};
	struct events_reader *rd = NULL;
	int r = call_time(c, "since", &req.since_ns, err);
	r = r < 0 ? r : call_time(c, "until", &req.until_ns, err);
	r = r < 0 ? r : call_filters(c, &filters, err);
	req.filters = filters;
	if (r >= 0 && req.since_ns && req.until_ns && req.until_ns < req.since_ns)
		r = err_set(err, ERR_INVALID, "`since` time (%s) cannot be after `until` time (%s)", call_query(c, "since"), call_query(c, "until"));
	r = r < 0 ? r : engine_events_begin(c->engine, c->caller, &req, &rd, err);
	if (r < 0)
		return r;
	r = stream_begin(c, TYPE_JSON); /* at once: clients wait for it before they act */
	r = r < 0 ? r : send_events(c, rd);
	engine_events_end(c->engine, rd);
	return r;
}

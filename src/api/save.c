/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GET /images/get?names=a&names=b and /images/{name}/get: an archive as a chunked body. What is wrong before its first byte is an answer of its
 * own; what goes wrong later cuts the stream short, which every client sees.
 */
#include "api/internal.h"

#define TYPE_TAR "application/x-tar"

static int send_part(void *ctx, const void *buf, size_t len)
{
	struct call *c = ctx;
	int r = c->answered ? 0 : stream_begin(c, TYPE_TAR);
	return r < 0 ? r : http_chunk_send(http_peer_fd(c->peer), buf, len, /* last= */ false);
}

static int read_names(const struct call *c, char ***ret, struct err *err)
{
	if (c->arg)
		return strv_push(ret, c->arg) < 0 ? err_oom(err) : 0;
	for (size_t i = 0; c->req.query.keys && c->req.query.keys[i]; i++)
		if (str_eq(c->req.query.keys[i], "names") && strv_push(ret, c->req.query.values[i]) < 0)
			return err_oom(err);
	return *ret ? 0 : err_set(err, ERR_INVALID, "query parameter 'names': at least one image is needed");
}

int image_save_handler(struct call *c, struct err *err)
{
	_cleanup_strv_ char **names = NULL;
	const struct image_sink sink = {.write = send_part, .ctx = c};
	int r = read_names(c, &names, err);
	if (r >= 0)
		r = image_save(engine_images(c->engine), c->caller->tenant, names, &sink, err);
	if (r < 0)
		return r;
	STRV_FOREACH(name, names)
		engine_image_event(c->engine, c->caller, "save", name);
	return http_chunk_send(http_peer_fd(c->peer), NULL, 0, /* last= */ true);
}

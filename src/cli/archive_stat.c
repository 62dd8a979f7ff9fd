/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/archive_stat.h"

#include "base/base64.h"
#include "cli/link.h"

void archive_target(struct strbuf *t, const char *container, const char *path)
{
	target_start(t, "/containers/", container, "/archive");
	target_query(t, "path", path);
}

int archive_stat_parse(const char *text, struct archive_stat *ret, struct err *err)
{
	_cleanup_strbuf_ struct strbuf b = STRBUF_INIT(ARCHIVE_STAT_MAX);
	_cleanup_json_ struct json *doc = NULL;
	int64_t mode = -1;
	if (base64_decode(text ?: "", &b) < 0 || b.len == 0 || json_parse(b.s, b.len, ARCHIVE_STAT_MAX, "path", &doc, err) < 0)
		return err_set(err, ERR_CORRUPT, "the engine's answer has no " ARCHIVE_STAT_HEADER);
	mode = json_int(json_get(doc, "mode"), -1);
	if (mode < 0 || mode > UINT32_MAX || str_copy(ret->target, sizeof(ret->target), json_str(json_get(doc, "linkTarget"), "")) < 0)
		return err_set(err, ERR_CORRUPT, "the engine's " ARCHIVE_STAT_HEADER " makes no sense");
	ret->mode = (uint32_t) mode;
	return 0;
}

int archive_stat(struct cli *cli, const char *container, const char *path, struct archive_stat *ret, struct err *err)
{
	_cleanup_http_conn_ struct http_conn *c = NULL;
	_cleanup_strbuf_ struct strbuf t = TARGET_INIT, value = STRBUF_INIT(ARCHIVE_STAT_MAX);
	struct http_answer a;
	archive_target(&t, container, path);
	if (strbuf_err(&t) < 0)
		return err_set(err, ERR_INVALID, "the path is too long");
	int r = link_open(cli, &c, err);
	if (r < 0)
		return r;
	r = http_send(c, &(struct http_call){.method = "HEAD", .target = t.s, .want = ARCHIVE_STAT_HEADER, .ret_want = &value});
	r = r < 0 ? r : http_recv_head(c, &a);
	if (r < 0)
		return link_lost(cli, r, err);
	if (a.status == 404)
		return 0;
	if (a.status >= 400)
		return err_set(err, ERR_INVALID, "Error response from engine: '%.200s' in %.100s: status %d", path, container, a.status);
	r = archive_stat_parse(value.s, ret, err);
	return r < 0 ? r : 1;
}

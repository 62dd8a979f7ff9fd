/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/call.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/fault.h"
#include "cli/link.h"
#include "http/escape.h"

void reply_done(struct reply *r)
{
	strbuf_done(&r->text);
}

void target_start(struct strbuf *b, const char *before, const char *name, const char *after)
{
	strbuf_reset(b);
	strbuf_adds(b, API);
	strbuf_adds(b, before);
	if (name)
		http_escape(b, name);
	if (after)
		strbuf_adds(b, after);
}

void target_query(struct strbuf *b, const char *key, const char *value)
{
	strbuf_addc(b, b->s && strchr(b->s, '?') ? '&' : '?');
	strbuf_adds(b, key);
	strbuf_addc(b, '=');
	http_escape(b, value);
}

static enum err_kind kind_of(int status)
{
	switch (status) {
	case 404:
		return ERR_NOT_FOUND;
	case 409:
		return ERR_CONFLICT;
	case 401:
	case 403:
		return ERR_DENIED;
	case 501:
		return ERR_UNSUPPORTED;
	default:
		return status >= 500 ? ERR_SYSTEM : ERR_INVALID;
	}
}

/* {"message": "..."} or plain text, as an error of one line. */
static int refused(int status, const struct strbuf *body, struct err *err)
{
	_cleanup_json_ struct json *doc = NULL;
	const char *text = body->s ? body->s : "";
	if (*text == '{' && json_parse(body->s, body->len, REPLY_MAX, "answer", &doc, NULL) == 0)
		text = json_str(json_get(doc, "message"), text);
	size_t n = strlen(text);
	while (n > 0 && isspace((unsigned char) text[n - 1]))
		n--;
	if (n == 0)
		return err_set(err, kind_of(status), "Error response from engine: status %d", status);
	return err_set(err, kind_of(status), "Error response from engine: %.*s", (int) MIN(n, (size_t) MESSAGE_MAX), text);
}

int call_send(struct cli *cli, struct http_conn *c, const char *method, const struct strbuf *target, const char *body, unsigned flags,
	      struct err *err)
{
	if (strbuf_err(target) == -ENOMEM)
		return err_oom(err);
	if (strbuf_err(target) < 0)
		return err_set(err, ERR_INVALID, "the request's path is longer than %zu bytes", target->max);
	int r = http_send(c, &(struct http_call) {
				     .method = method, .target = target->s, .body = body, .body_len = body ? strlen(body) : 0, .flags = flags});
	return r == -EPIPE ? 0 : r < 0 ? link_lost(cli, r, err) : 0; /* EPIPE: the answer may have been sent before the peer closed */
}

int call_head(struct cli *cli, struct http_conn *c, struct http_answer *ret, struct err *err)
{
	int r = http_recv_head(c, ret);
	if (r < 0)
		return link_lost(cli, r, err);
	if (ret->status < 400)
		return 0;
	_cleanup_strbuf_ struct strbuf text = STRBUF_INIT(1 << 20);
	(void) http_recv_text(c, &text); /* the status alone is an error already */
	return refused(ret->status, &text, err);
}

int call_recv(struct cli *cli, struct http_conn *c, struct reply *ret, struct err *err)
{
	struct http_answer a;
	int r = http_recv_head(c, &a);
	if (r < 0)
		return link_lost(cli, r, err);
	ret->status = a.status;
	strbuf_reset(&ret->text);
	r = a.upgraded ? 0 : http_recv_text(c, &ret->text);
	if (r < 0)
		return link_lost(cli, r, err);
	return a.status >= 400 ? refused(a.status, &ret->text, err) : 0;
}

int call(struct cli *cli, const char *method, const struct strbuf *target, const char *body, struct reply *ret, struct err *err)
{
	int r;
	if (!cli->conn && (r = link_open(cli, &cli->conn, err)) < 0)
		return r;
	_cleanup_http_conn_ struct http_conn *c = take_ptr(cli->conn);
	fault_mark("cli.call.begin");
	if ((r = call_send(cli, c, method, target, body, 0, err)) < 0)
		return r;
	fault_mark("cli.call.sent");
	r = call_recv(cli, c, ret, err);
	fault_mark("cli.call.answered");
	if (http_reusable(c))
		cli->conn = take_ptr(c);
	return r;
}

int call_json(struct cli *cli, const char *method, const struct strbuf *target, const char *body, struct json **ret, struct err *err)
{
	_cleanup_reply_ struct reply reply = REPLY_INIT;
	int r = call(cli, method, target, body, &reply, err);
	if (r < 0)
		return r;
	r = json_parse(reply.text.s ? reply.text.s : "", reply.text.len, REPLY_MAX, "the engine's answer", ret, err);
	return r;
}

int target_when(struct strbuf *t, const char *key, const char *value, struct err *err)
{
	int64_t ns;
	char text[48];
	if (!value)
		return 0;
	if (time_parse_when(value, now_ns(), &ns) < 0 || ns < 0)
		return err_set(err, ERR_INVALID, "invalid value for --%s: '%.60s': use 2026-01-02T15:04:05, unix seconds, or an age such as 10m", key, value);
	(void) snprintf(text, sizeof(text), "%lld.%09lld", (long long) (ns / NSEC_PER_SEC), (long long) (ns % NSEC_PER_SEC));
	target_query(t, key, text);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/each.h"

#include <stdio.h>

#include "cli/link.h"

#define PARALLEL 16

/* NULL when it could not be sent; the error is printed. */
static struct http_conn *send_one(struct cli *cli, const struct each_call *e, const char *name)
{
	_cleanup_strbuf_ struct strbuf t = TARGET_INIT;
	_cleanup_http_conn_ struct http_conn *c = NULL;
	struct err err;
	target_start(&t, e->before, name, e->after);
	if (e->query)
		strbuf_addf(&t, "?%s", e->query);
	if (!*name) {
		(void) cli_error("a name is empty");
		return NULL;
	}
	if (link_open(cli, &c, &err) < 0 || call_send(cli, c, e->method, &t, NULL, 0, &err) < 0) {
		(void) cli_fail(1, &err);
		return NULL;
	}
	return take_ptr(c);
}

static int finish_one(struct cli *cli, const struct each_call *e, const char *name, struct http_conn *c)
{
	_cleanup_reply_ struct reply reply = REPLY_INIT;
	struct err err;
	if (call_recv(cli, c, &reply, &err) < 0)
		return cli_fail(e->missing_ok && err.kind == ERR_NOT_FOUND ? 0 : 1, &err);
	if (e->done)
		return e->done(name, &reply);
	(void) printf("%s\n", name);
	return 0;
}

int each_name(struct cli *cli, const struct each_call *e, const struct args *names)
{
	int code = 0;
	for (size_t at = 0; at < names->n; at += PARALLEL) {
		struct http_conn *conns[PARALLEL] = {};
		size_t n = MIN(names->n - at, (size_t) PARALLEL);
		for (size_t i = 0; i < n; i++)
			conns[i] = send_one(cli, e, names->v[at + i]);
		for (size_t i = 0; i < n; i++) {
			if (!conns[i] || finish_one(cli, e, names->v[at + i], conns[i]) != 0)
				code = 1;
			conns[i] = http_conn_free(conns[i]);
			(void) fflush(stdout);
		}
	}
	return code;
}

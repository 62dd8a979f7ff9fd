/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One call of the Engine API: request out, whole answer in; an answer of 400 and above is an error with the engine's message.
 */
#pragma once

#include "cli/command.h"
#include "codec/json.h"
#include "http/client.h"

#define API "/v1.50"
#define REPLY_MAX ((size_t) 64 << 20)
#define MESSAGE_MAX 400

struct reply {
	int status;         /* 0 when there was none */
	struct strbuf text; /* owned; the body */
};
#define REPLY_INIT {.text = STRBUF_INIT(REPLY_MAX)}
void reply_done(struct reply *r);
#define _cleanup_reply_ _cleanup_(reply_done)

/** call() - @method @target, with the JSON @body (NULL: none), over the kept connection. @ret: filled whenever an answer came, also
 *  with an error. Return: 0; ERR_NOT_FOUND, ERR_CONFLICT, ... as the status says, "Error response from engine: ..."; ERR_SYSTEM. */
int call(struct cli *cli, const char *method, const struct strbuf *target, const char *body, struct reply *ret, struct err *err);
/** call_json() - the same, the answer parsed. *@ret: owned. */
int call_json(struct cli *cli, const char *method, const struct strbuf *target, const char *body, struct json **ret, struct err *err);
/** call_send() / call_recv() - the two halves of call() over a connection of one's own, for calls in parallel. */
int call_send(struct cli *cli, struct http_conn *c, const char *method, const struct strbuf *target, const char *body, unsigned flags,
	      struct err *err);
int call_recv(struct cli *cli, struct http_conn *c, struct reply *ret, struct err *err);
/** call_head() - the head alone, for streams: reads the rest itself when the status is an error. */
int call_head(struct cli *cli, struct http_conn *c, struct http_answer *ret, struct err *err);
#define TARGET_INIT STRBUF_INIT(64 << 10)
/** target_start() - "/v1.50" @before, @name escaped, @after. @name, @after: may be NULL. Failures latch in @b; call_send() checks. */
void target_start(struct strbuf *b, const char *before, const char *name, const char *after);
/** target_query() - append "?key=value" or "&key=value", escaped. */
void target_query(struct strbuf *b, const char *key, const char *value);
/** target_when() - a moment as people say it (time_parse_when()), as the API takes it; nothing for a NULL @value. Return: 0; ERR_INVALID naming --@key. */
int target_when(struct strbuf *t, const char *key, const char *value, struct err *err);

/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/side.h"

#include <stdio.h>
#include <unistd.h>

#include "cli/link.h"
#include "base/signals.h"
#include "base/term.h"

void side_done(struct side *s)
{
	s->conn = http_conn_free(s->conn);
}

/* The next call that waits, as a target; false when none does. */
static bool next_target(struct side *s, struct strbuf *b)
{
	char text[16];
	unsigned rows, cols;
	if (s->resize) {
		s->resize = false;
		if (term_size(STDOUT_FILENO, &rows, &cols) || term_size(STDIN_FILENO, &rows, &cols)) {
			target_start(b, s->is_exec ? "/exec/" : "/containers/", s->id, "/resize");
			(void) snprintf(text, sizeof(text), "%u", rows + s->nudge);
			target_query(b, "h", text);
			(void) snprintf(text, sizeof(text), "%u", cols + s->nudge);
			target_query(b, "w", text);
			s->resize = s->nudge;
			s->nudge = false;
			return true;
		}
	}
	if (!s->signals)
		return false;
	int sig = __builtin_ctzll(s->signals) + 1;
	s->signals &= s->signals - 1;
	target_start(b, "/containers/", s->id, "/kill");
	target_query(b, "signal", signal_text(sig, text, sizeof(text)));
	return true;
}

static void send_next(struct side *s)
{
	_cleanup_strbuf_ struct strbuf b = TARGET_INIT;
	if (s->busy || !next_target(s, &b))
		return;
	if (!s->conn && link_open(s->cli, &s->conn, NULL) < 0)
		return;
	s->busy = call_send(s->cli, s->conn, "POST", &b, NULL, 0, NULL) == 0;
	if (!s->busy)
		s->conn = http_conn_free(s->conn);
}

void side_signal(struct side *s, int sig)
{
	if (sig < 1 || sig > 64)
		return;
	s->signals |= 1ULL << (sig - 1);
	send_next(s);
}

void side_resize(struct side *s)
{
	s->resize = true;
	send_next(s);
}

int side_fd(const struct side *s)
{
	return s->busy ? http_fd(s->conn) : -1;
}

void side_answer(struct side *s)
{
	_cleanup_reply_ struct reply reply = REPLY_INIT;
	(void) call_recv(s->cli, s->conn, &reply, NULL); /* an ended container cannot be killed or resized, and need not be */
	s->busy = false;
	if (!http_reusable(s->conn))
		s->conn = http_conn_free(s->conn);
	send_next(s);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "api/progress.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/num.h"

#define PROGRESS_USEC (100 * USEC_PER_MSEC)
#define BAR_CELLS 50

int progress_send(struct call *c)
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

/* docker's bar: "[=====>     ]  1.2MB/5MB". */
static void write_bar(struct json_writer *w, uint64_t current, uint64_t total)
{
	char bar[BAR_CELLS + 2], a[24], b[24], text[160];
	(void) format_size(a, sizeof(a), current);
	(void) format_size(b, sizeof(b), total);
	if (total == 0 || current > total) {
		(void) snprintf(text, sizeof(text), "%8s", a);
	} else {
		size_t full = (size_t) ((double) current / (double) total * BAR_CELLS);
		memset(bar, ' ', BAR_CELLS + 1);
		memset(bar, '=', full);
		bar[full] = '>';
		bar[BAR_CELLS + 1] = '\0';
		(void) snprintf(text, sizeof(text), "[%s] %8s/%s", bar, a, b);
	}
	jw_str(w, "progress", text);
}

void progress_report(void *ctx, const char *id, const char *status, uint64_t current, uint64_t total)
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
	if (*id && !str_after(status, "Pulling from ")) {
		jw_obj(&c->w, "progressDetail");
		if (total > 0 || current > 0) {
			jw_uint(&c->w, "current", current);
			jw_uint(&c->w, "total", total);
		}
		jw_end(&c->w);
		if (total > 0 || current > 0)
			write_bar(&c->w, current, total);
	}
	if (*id)
		jw_str(&c->w, "id", id);
	jw_end(&c->w);
	(void) progress_send(c); /* a client that left does not stop what others may wait for, too */
}

int progress_line(struct call *c, const char *key, const char *text)
{
	jw_obj(&c->w, NULL);
	jw_str(&c->w, key, text);
	jw_end(&c->w);
	return progress_send(c);
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
	return progress_send(c);
}

static int stream_end(struct call *c)
{
	c->close = !c->req.keep_alive || http_peer_in_body(c->peer);
	return http_chunk_send(http_peer_fd(c->peer), NULL, 0, /* last= */ true);
}

int progress_finish(struct call *c, int r, const char *key, char *const *lines, struct err *err)
{
	if (r < 0 && !c->answered)
		return r;
	if (r < 0)
		(void) send_failure(c, err); /* the stream's end follows either way */
	else
		STRV_FOREACH(line, lines)
			(void) progress_line(c, key, line); /* as above */
	return stream_end(c);
}

struct leave {
	int peer;          /* borrowed */
	int stop;          /* owned; eventfd */
	atomic_bool *flag; /* borrowed */
	pthread_t thread;
};

static void *leave_main(void *arg)
{
	struct leave *l = arg;
	struct pollfd p[2] = {{.fd = l->peer, .events = POLLRDHUP}, {.fd = l->stop, .events = POLLIN}};
	while (poll(p, 2, -1) < 0 && errno == EINTR)
		;
	if (p[0].revents)
		atomic_store(l->flag, true);
	return NULL;
}

struct leave *leave_watch(struct call *c, atomic_bool *flag)
{
	struct leave *l = calloc(1, sizeof(*l));
	if (!l)
		return NULL;
	*l = (struct leave) {.peer = http_peer_fd(c->peer), .flag = flag, .stop = eventfd(0, EFD_CLOEXEC)};
	if (l->stop >= 0 && pthread_create(&l->thread, NULL, leave_main, l) == 0)
		return l;
	(void) safe_close(l->stop);
	free(l);
	return NULL;
}

struct leave *leave_end(struct leave *l)
{
	static const uint64_t one = 1;
	if (!l)
		return NULL;
	(void) write_all(l->stop, &one, sizeof(one)); /* cannot fail: it was never written to */
	(void) pthread_join(l->thread, NULL); /* fails only for a thread that is none */
	(void) safe_close(l->stop);
	free(l);
	return NULL;
}

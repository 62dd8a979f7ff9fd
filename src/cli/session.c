/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/session.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "cli/call.h"
#include "cli/demux.h"
#include "cli/link.h"
#include "cli/side.h"
#include "codec/json.h"

#define IN_BYTES 32768
#define OUT_BYTES 32768
#define EXIT_SIGPIPE (128 + SIGPIPE)

enum slot { SLOT_SIGNALS, SLOT_STREAM, SLOT_STDIN, SLOT_SINK, SLOT_WAIT, SLOT_SIDE, SLOT_MAX_ };

struct pump {
	struct session *s;
	struct side side;
	struct term term;
	int fd;                       /* the stream, borrowed */
	/* towards the process */
	size_t in_pos, in_len;        /* in[in_pos..in_len) is to be sent */
	bool in_ended, in_shut;       /* stdin has ended; the stream knows */
	/* towards us */
	const char *raw;              /* received bytes not yet cut into slices */
	size_t raw_len;
	const char *slice;            /* to be written to sink */
	size_t slice_len;
	int sink;                     /* 1 or 2 */
	bool sink_is_file[3];
	struct demux demux;
	bool out_ended;
	/* the end */
	bool waited;
	int lost;                     /* negative errno: the wait broke, lost_why says how; told when the output has ended */
	struct err lost_why;
	int code;
	int end;                      /* enum session_end once over, -1 before */
	/* from here on not cleared at the start */
	char in[IN_BYTES + DETACH_KEYS_MAX];
	char out[OUT_BYTES];
};

void session_done(struct session *s)
{
	s->stream = http_conn_free(s->stream);
	s->wait = http_conn_free(s->wait);
	signals_close(&s->signals);
}

int session_prepare(struct session *s, struct err *err)
{
	int r = signals_open(&s->signals, s->proxy ? SIGNALS_PROXY : 0);
	return r < 0 ? err_sys(err, r, "taking over the signals") : 0;
}

int session_wait_answer(struct cli *cli, struct http_conn *wait, int *ret_code, struct err *err)
{
	_cleanup_strbuf_ struct strbuf text = STRBUF_INIT(1 << 20);
	_cleanup_json_ struct json *doc = NULL;
	int r = http_recv_text(wait, &text);
	if (r < 0)
		return link_lost(cli, r, err);
	r = json_parse(text.s ? text.s : "", text.len, 1 << 20, "the engine's answer to wait", &doc, err);
	if (r < 0)
		return r;
	const char *message = json_str(json_get(json_get(doc, "Error"), "Message"), "");
	if (*message)
		return err_set(err, ERR_SYSTEM, "waiting for the container: %.300s", message);
	*ret_code = (int) json_int(json_get(doc, "StatusCode"), CLI_EXIT_ENGINE);
	return 0;
}

static void pump_signal(struct pump *p, int sig)
{
	struct session *s = p->s;
	if (sig == SIGCONT && p->term.fd >= 0)
		(void) term_raw(&(struct term) TERM_INIT, p->term.fd); /* the shell has reset it while we were stopped */
	if (s->tty && (sig == SIGWINCH || sig == SIGCONT))
		side_resize(&p->side); /* the terminal inside raises its own SIGWINCH */
	else if (s->proxy)
		side_signal(&p->side, sig);
	else if (sig != SIGCONT && sig != SIGWINCH) {
		p->end = SESSION_SIGNALED;
		p->code = 128 + sig;
	}
}

static void pump_stdin(struct pump *p)
{
	char buf[IN_BYTES];
	ssize_t n = read(STDIN_FILENO, buf, sizeof(buf));
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	p->in_pos = p->in_len = 0;
	if (n <= 0 && p->term.fd >= 0) { /* a raw terminal has no end but being hung up */
		p->end = SESSION_SIGNALED;
		p->code = 128 + SIGHUP;
	} else if (n <= 0) {
		p->in_ended = true;
	} else if (p->s->tty && p->s->detach.n > 0) {
		if (detach_scan(&p->s->detach, buf, (size_t) n, p->in, &p->in_len))
			p->end = SESSION_DETACHED;
	} else {
		memcpy(p->in, buf, (size_t) n);
		p->in_len = (size_t) n;
	}
}

/* Send what stdin gave, as much as fits now, and its end once everything before it went. */
static void pump_send(struct pump *p)
{
	if (p->in_pos < p->in_len) {
		ssize_t n = send(p->fd, p->in + p->in_pos, p->in_len - p->in_pos, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n < 0) { /* nobody reads it any more: the process closed its stdin or has ended */
			p->in_ended = p->in_shut = true;
			p->in_pos = p->in_len;
			return;
		}
		p->in_pos += (size_t) n;
	}
	if (p->in_pos == p->in_len && p->in_ended && !p->in_shut) {
		(void) shutdown(p->fd, SHUT_WR); /* fails only when the stream is gone, which its end will tell */
		p->in_shut = true;
	}
}

static int next_slice(struct pump *p, struct err *err)
{
	p->slice_len = 0;
	int sink = demux_next(&p->demux, &p->raw, &p->raw_len, &p->slice, &p->slice_len);
	if (sink < 0)
		return err_set(err, ERR_CORRUPT, "the output stream is damaged: not a frame");
	if (sink > 0)
		p->sink = sink;
	return 0;
}

static int pump_receive(struct pump *p, struct err *err)
{
	ssize_t n = read(p->fd, p->out, sizeof(p->out));
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return 0;
	if (n <= 0) { /* a reset is an end, too: what counts is the wait's answer */
		p->out_ended = true;
		return 0;
	}
	p->raw = p->out;
	p->raw_len = (size_t) n;
	return next_slice(p, err);
}

/* The sink has room. A pipe or terminal takes a page at once without blocking; a file takes everything. */
static int pump_write(struct pump *p, struct err *err)
{
	size_t n = p->sink_is_file[p->sink] ? p->slice_len : MIN(p->slice_len, (size_t) 4096);
	ssize_t done = write(p->sink, p->slice, n);
	if (done < 0 && (errno == EINTR || errno == EAGAIN))
		return 0;
	if (done < 0 && errno == EPIPE) { /* our reader left: so do we, as any filter */
		p->end = SESSION_SIGNALED;
		p->code = EXIT_SIGPIPE;
		return 0;
	}
	if (done < 0)
		return err_sys(err, -errno, "writing to %s", p->sink == 1 ? "stdout" : "stderr");
	p->slice += done;
	p->slice_len -= (size_t) done;
	return p->slice_len == 0 ? next_slice(p, err) : 0;
}

/* A wait that broke does not end the session: the container's monitor may still hold the other end of the stream. */
static void pump_wait(struct pump *p)
{
	p->lost = session_wait_answer(p->s->cli, p->s->wait, &p->code, &p->lost_why);
	p->waited = true;
}

static void arm(const struct pump *p, struct pollfd v[SLOT_MAX_])
{
	bool idle_in = p->in_pos == p->in_len;
	short stream = (short) ((p->slice_len == 0 && !p->out_ended ? POLLIN : 0) | (idle_in ? 0 : POLLOUT));
	v[SLOT_SIGNALS] = (struct pollfd) {.fd = p->s->signals.fd, .events = POLLIN};
	v[SLOT_STREAM] = (struct pollfd) {.fd = stream ? p->fd : -1, .events = stream};
	v[SLOT_STDIN] = (struct pollfd) {.fd = p->s->use_stdin && idle_in && !p->in_ended && !p->out_ended ? STDIN_FILENO : -1, .events = POLLIN};
	v[SLOT_SINK] = (struct pollfd) {.fd = p->slice_len > 0 ? p->sink : -1, .events = POLLOUT};
	v[SLOT_WAIT] = (struct pollfd) {.fd = p->s->wait && !p->waited ? http_fd(p->s->wait) : -1, .events = POLLIN};
	v[SLOT_SIDE] = (struct pollfd) {.fd = side_fd(&p->side), .events = POLLIN};
}

static int dispatch(struct pump *p, const struct pollfd v[SLOT_MAX_], struct err *err)
{
	int r = 0, sig;
	if (v[SLOT_SIGNALS].revents)
		while (p->end < 0 && (sig = signals_next(&p->s->signals)) > 0)
			pump_signal(p, sig);
	if (v[SLOT_STDIN].revents)
		pump_stdin(p);
	if (p->in_pos < p->in_len || (p->in_ended && !p->in_shut))
		pump_send(p);
	if (v[SLOT_STREAM].revents & (POLLIN | POLLHUP | POLLERR) && p->slice_len == 0 && !p->out_ended)
		r = pump_receive(p, err);
	else if (v[SLOT_SINK].revents)
		r = pump_write(p, err);
	if (r == 0 && v[SLOT_SIDE].revents)
		side_answer(&p->side);
	if (r == 0 && v[SLOT_WAIT].revents)
		pump_wait(p);
	return r;
}

static bool is_over(const struct pump *p)
{
	return p->end >= 0 || (p->out_ended && p->slice_len == 0 && (p->waited || !p->s->wait));
}

static int pump_loop(struct pump *p, struct err *err)
{
	int r = 0;
	if (p->s->wait && http_buffered(p->s->wait))
		pump_wait(p);
	while (r == 0 && !is_over(p)) {
		struct pollfd v[SLOT_MAX_];
		arm(p, v);
		if (poll(v, SLOT_MAX_, -1) < 0) {
			if (errno == EINTR)
				continue;
			return err_sys(err, -errno, "waiting for input");
		}
		r = dispatch(p, v, err);
	}
	if (r == 0 && p->lost < 0 && p->end < 0) {
		*err = p->lost_why;
		r = p->lost;
	}
	return r;
}

static bool is_file(int fd)
{
	struct stat st;
	return fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
}

int session_run(struct session *s, int *ret_code, struct err *err)
{
	_cleanup_free_ struct pump *p = malloc(sizeof(*p));
	if (!p)
		return err_oom(err);
	memset(p, 0, offsetof(struct pump, in));
	p->s = s;
	p->side = (struct side) {.cli = s->cli, .id = s->id, .is_exec = s->is_exec};
	p->term = (struct term) TERM_INIT;
	p->fd = http_fd(s->stream);
	p->in_ended = p->in_shut = !s->use_stdin;
	p->raw = http_early(s->stream, &p->raw_len);
	p->sink_is_file[1] = is_file(1);
	p->sink_is_file[2] = is_file(2);
	p->demux.raw = s->tty;
	p->end = -1;
	int r = s->tty && s->use_stdin ? term_raw(&p->term, STDIN_FILENO) : 0;
	if (r < 0)
		r = err_sys(err, r, "making the terminal raw");
	p->side.nudge = s->redraw;
	if (r == 0 && s->tty)
		side_resize(&p->side);
	if (r == 0)
		r = next_slice(p, err);
	if (r == 0)
		r = pump_loop(p, err);
	term_restore(&p->term);
	side_done(&p->side);
	if (r == 0) {
		r = p->end < 0 ? SESSION_EXITED : p->end;
		s->exited = r == SESSION_EXITED && p->waited;
		*ret_code = p->code;
	}
	return r;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/foreground.h"

#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/term.h"
#include "oci/notify.h"

#define CHUNK 16384
#define DRAIN_MS 100 /* something else in the container may hold the terminal open: its output is not waited for */

struct pump { /* one direction */
	int from, to; /* borrowed; -EBADF: closed */
	char buf[CHUNK];
	size_t len, sent;
};

struct foreground {
	const struct oci *o;
	const struct pidref *p;
	struct signals *signals;
	struct pump in, out;
	int notify; /* borrowed; -EBADF: none, or it has spoken */
	bool ended;
};

void foreground_size(struct process_spec *p)
{
	unsigned rows, cols;
	if (p->terminal && !p->rows && !p->cols && term_size(STDIN_FILENO, &rows, &cols)) {
		p->rows = (uint16_t) rows;
		p->cols = (uint16_t) cols;
	}
}

static void copy_size(int master)
{
	struct winsize w;
	if (ioctl(STDIN_FILENO, TIOCGWINSZ, &w) == 0)
		(void) ioctl(master, TIOCSWINSZ, &w); /* the terminal may be gone */
}

/* Return: false when this direction is over. */
static bool pump_read(struct pump *u)
{
	ssize_t n = read(u->from, u->buf, sizeof(u->buf));
	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	u->len = (size_t) n;
	u->sent = 0;
	return n > 0;
}

static bool pump_write(struct pump *u)
{
	ssize_t n = write(u->to, u->buf + u->sent, u->len - u->sent);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	u->sent += (size_t) n;
	if (u->sent == u->len)
		u->len = u->sent = 0;
	return true;
}

static struct pollfd pump_poll(const struct pump *u)
{
	if (u->from < 0)
		return (struct pollfd) {.fd = -1};
	return u->len ? (struct pollfd) {.fd = u->to, .events = POLLOUT} : (struct pollfd) {.fd = u->from, .events = POLLIN};
}

static void pump_step(struct pump *u, short revents)
{
	if (revents && !(u->len ? pump_write(u) : pump_read(u)))
		u->from = -EBADF;
}

static void pass_signals(struct foreground *f)
{
	for (int sig; (sig = signals_next(f->signals)) > 0;) {
		if (sig == SIGWINCH && f->in.to >= 0)
			copy_size(f->in.to);
		else
			(void) process_kill(f->p->fd, sig); /* -ESRCH: it ends at this moment */
	}
}

static void pass_notification(struct foreground *f)
{
	struct err why;
	int r = notify_take(f->notify, f->p->pid, &why);
	if (r < 0)
		oci_log(f->o, OCI_LOG_WARN, "%s, ignoring", why.msg);
	if (r != 0)
		f->notify = -EBADF;
}

static int serve(struct foreground *f, struct err *err)
{
	while (!f->ended || f->out.from >= 0) {
		struct pollfd p[] = {{.fd = f->ended ? -1 : f->p->fd, .events = POLLIN}, {.fd = f->signals->fd, .events = POLLIN}, pump_poll(&f->in), pump_poll(&f->out),
				     {.fd = f->notify, .events = POLLIN}};
		int n = poll(p, ARRAY_LEN(p), f->ended ? DRAIN_MS : -1);
		if (n < 0 && errno != EINTR)
			return err_sys(err, -errno, "poll");
		if (n == 0)
			return 0;
		if (n < 0)
			continue;
		if (p[0].revents)
			f->ended = true;
		if (p[1].revents)
			pass_signals(f);
		if (p[4].revents)
			pass_notification(f);
		pump_step(&f->in, p[2].revents);
		pump_step(&f->out, p[3].revents);
	}
	return 0;
}

int foreground_wait(const struct oci *o, const struct pidref *p, const struct foreground_fds *fds, struct signals *signals, struct err *err)
{
	int master = fds->master;
	_cleanup_term_ struct term term = TERM_INIT;
	struct foreground f = {.o = o, .p = p, .signals = signals, .notify = fds->notify, .in = {.from = -EBADF, .to = -EBADF}, .out = {.from = -EBADF, .to = -EBADF}};
	if (master >= 0) {
		int r = term_raw(&term, STDIN_FILENO);
		r = r < 0 ? r : fd_set_nonblock(master, true);
		if (r < 0)
			return err_sys(err, r, "terminal");
		f.in.from = STDIN_FILENO;
		f.in.to = f.out.from = master;
		f.out.to = STDOUT_FILENO;
	}
	int r = serve(&f, err), status;
	if (r < 0)
		return r;
	r = process_wait(p->pid, &status);
	return r < 0 ? err_sys(err, r, "waiting for process %d", (int) p->pid) : exit_code_from_status(status);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pipes or the terminal of one process. Output goes to the log first and then to every client; input comes from all clients into one
 * queue. With a terminal the monitor holds the slave side as well, so that a process which closes all of its descriptors for a while does not
 * end the stream; it lets go of it when the process has been reaped.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "base/fd.h"
#include "monitor/internal.h"

static void update_clients(struct process *p)
{
	CLIENT_FOREACH(c, p)
		client_update(c);
}

static void input_close(struct process *p)
{
	struct stdio *io = &p->io;
	io->input_over = true;
	(void) loop_watch(&p->m->loop, &io->in, 0);
	io->in.fd = safe_close(io->in.fd);
	queue_done(&io->input);
	update_clients(p); /* what they still send is thrown away */
}

/* Return: bytes taken, or -errno when the process takes no more at all */
static ssize_t input_write(struct stdio *io, const struct iovec *iov, int n)
{
	ssize_t k;
	do
		k = writev(io->in.fd, iov, n);
	while (k < 0 && errno == EINTR);
	if (k < 0)
		return errno == EAGAIN ? 0 : -errno;
	return k;
}

static void in_ready(struct loop_source *s, uint32_t events)
{
	struct process *p = loop_source_owner(s, struct process, io.in);
	struct iovec iov[2];
	int n_iov;
	while ((n_iov = queue_peek(&p->io.input, iov)) > 0) {
		ssize_t n = input_write(&p->io, iov, n_iov);
		if (n < 0) {
			input_close(p);
			return;
		}
		if (n == 0)
			return;
		queue_drop(&p->io.input, (size_t) n);
	}
	if (p->io.input_over) {
		input_close(p);
		return;
	}
	(void) loop_watch(&p->m->loop, s, 0);
	update_clients(p);
}

static void input_watch(struct process *p)
{
	if (p->io.in.fd >= 0 && p->io.input.used)
		(void) loop_watch(&p->m->loop, &p->io.in, EPOLLOUT);
}

int stdio_feed(struct process *p, const uint8_t *buf, size_t len)
{
	struct stdio *io = &p->io;
	if (!io->takes_input || io->input_over || !len)
		return 0;
	if (io->in.fd >= 0 && !io->input.used) {
		struct iovec iov = {.iov_base = (void *) buf, .iov_len = len};
		ssize_t n = input_write(io, &iov, 1);
		if (n < 0) {
			input_close(p);
			return 0;
		}
		buf += n;
		len -= (size_t) n;
	}
	struct iovec rest = {.iov_base = (void *) buf, .iov_len = len};
	int r = queue_put(&io->input, &rest, 1);
	input_watch(p);
	if (io->input.used)
		update_clients(p);
	return r;
}

void stdio_input_over(struct process *p)
{
	struct stdio *io = &p->io;
	if (io->tty || io->input_over)
		return;
	if (io->in.fd >= 0 && !io->input.used)
		input_close(p);
	else
		io->input_over = true; /* behind what waits */
}

static void out_close(struct process *p, int i)
{
	struct loop_source *s = &p->io.out[i];
	if (s->fd < 0)
		return;
	(void) loop_watch(&p->m->loop, s, 0);
	s->fd = safe_close(s->fd);
	if (!p->id[0])
		log_end(&p->m->log, (enum log_stream) i);
}

static void spread(struct process *p, int i, size_t len)
{
	struct monitor *m = p->m;
	if (!p->id[0]) {
		log_add(&m->log, (enum log_stream) i, m->scratch, len, now_ns());
		log_flush(&m->log);
		squeeze_next(m);
	}
	if (p->probe)
		health_output(m, len);
	CLIENT_FOREACH(c, p)
		client_push(c, i + 1, m->scratch, len);
	stdio_update(p);
}

static void out_read(struct process *p, int i)
{
	ssize_t n = read(p->io.out[i].fd, p->m->scratch, SCRATCH_SIZE);
	if (n > 0)
		spread(p, i, (size_t) n);
	else if (n == 0 || (errno != EAGAIN && errno != EINTR)) /* a terminal ends with EIO */
		out_close(p, i);
}

static void stdout_ready(struct loop_source *s, uint32_t events)
{
	out_read(loop_source_owner(s, struct process, io.out[0]), 0);
}

static void stderr_ready(struct loop_source *s, uint32_t events)
{
	out_read(loop_source_owner(s, struct process, io.out[1]), 1);
}

static bool somebody_is_full(const struct process *p)
{
	CLIENT_FOREACH(c, p)
		if (client_is_full(c))
			return true;
	return false;
}

void stdio_update(struct process *p)
{
	uint32_t want = somebody_is_full(p) ? 0 : EPOLLIN;
	for (int i = 0; i < 2; i++)
		if (p->io.out[i].fd >= 0)
			(void) loop_watch(&p->m->loop, &p->io.out[i], want);
}

static void stdio_set(struct process *p, int in, int out, int err)
{
	p->io.in.fd = in;
	p->io.out[0].fd = out;
	p->io.out[1].fd = err;
	p->io.in.fn = in_ready;
	p->io.out[0].fn = stdout_ready;
	p->io.out[1].fn = stderr_ready;
}

/* @ours: which end the monitor keeps, without blocking */
static int pipe_make(int ours, int *ret_ours, int *ret_theirs)
{
	int fds[2];
	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	(void) fd_set_nonblock(fds[ours], true); /* cannot fail on a fresh pipe */
	*ret_ours = fds[ours];
	*ret_theirs = fds[!ours];
	return 0;
}

static int null_open(int flags, int *ret)
{
	int fd = open("/dev/null", flags | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return -errno;
	*ret = fd;
	return 0;
}

int stdio_open(struct process *p, bool output, int ret[3])
{
	_cleanup_close_ int in = -EBADF, out = -EBADF, err = -EBADF, t0 = -EBADF, t1 = -EBADF, t2 = -EBADF;
	int r = 0;
	if (!p->io.tty) {
		r = p->io.takes_input ? pipe_make(1, &in, &t0) : null_open(O_RDONLY, &t0);
		if (r >= 0)
			r = output ? pipe_make(0, &out, &t1) : null_open(O_WRONLY, &t1);
		if (r >= 0)
			r = output ? pipe_make(0, &err, &t2) : null_open(O_WRONLY, &t2);
	}
	if (r < 0)
		return r;
	stdio_set(p, take_fd(&in), take_fd(&out), take_fd(&err));
	ret[0] = take_fd(&t0);
	ret[1] = take_fd(&t1);
	ret[2] = take_fd(&t2);
	if (p->io.in.fd >= 0 && p->io.input_over && !p->io.input.used)
		input_close(p);
	input_watch(p);
	stdio_update(p);
	update_clients(p);
	return 0;
}

static void size_apply(struct process *p)
{
	struct winsize w = {.ws_row = p->io.rows, .ws_col = p->io.cols};
	if (w.ws_row || w.ws_col)
		(void) ioctl(p->io.out[0].fd, TIOCSWINSZ, &w); /* best effort: a size is a courtesy */
}

int stdio_console(struct process *p, int master_consume)
{
	_cleanup_close_ int master = master_consume, in = -EBADF;
	if (!p->io.tty || p->io.out[0].fd >= 0)
		return -EPROTO;
	int r = fd_set_nonblock(master, true);
	if (r < 0)
		return r;
	in = fcntl(master, F_DUPFD_CLOEXEC, 3); /* epoll takes a descriptor once only */
	if (in < 0)
		return -errno;
	p->io.peer_fd = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (p->io.peer_fd < 0)
		return -errno;
	stdio_set(p, take_fd(&in), take_fd(&master), -EBADF);
	size_apply(p);
	input_watch(p);
	stdio_update(p);
	return 0;
}

int stdio_resize(struct process *p, uint16_t rows, uint16_t cols)
{
	p->io.rows = rows;
	p->io.cols = cols;
	if (p->io.out[0].fd >= 0)
		size_apply(p);
	return 0;
}

void stdio_drain(struct process *p)
{
	input_close(p);
	p->io.peer_fd = safe_close(p->io.peer_fd);
	p->io.drain_until = now_usec() + STDIO_DRAIN_USEC;
	monitor_tick_soon(p->m);
}

void stdio_tick(struct process *p, usec_t now)
{
	if (now < p->io.drain_until)
		return;
	if (somebody_is_full(p)) { /* there may be more to read */
		p->io.drain_until = now + STDIO_DRAIN_USEC;
		return;
	}
	for (int i = 0; i < 2; i++)
		out_close(p, i);
}

void stdio_close(struct process *p)
{
	input_close(p);
	p->io.peer_fd = safe_close(p->io.peer_fd);
	for (int i = 0; i < 2; i++)
		out_close(p, i);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "api/pump.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "base/fd.h"
#include "http/request.h"

#define PIPE_BYTES (1 << 20)
#define DISCARD_MAX (1ULL << 30)

/* The body to its end, whoever still wants it: a client that is writing reads its answer only then. */
static void *pump_main(void *arg)
{
	struct pump *p = arg;
	const char *piece;
	size_t n;
	uint64_t sum = 0;
	sigset_t pipe;
	(void) sigemptyset(&pipe);
	(void) sigaddset(&pipe, SIGPIPE);
	(void) pthread_sigmask(SIG_BLOCK, &pipe, NULL); /* this thread only: a monitor must not inherit it */
	p->result = http_peer_body_to_fd(p->peer, p->out);
	p->out = safe_close(p->out);
	if (p->result == -EPIPE)
		while (sum < DISCARD_MAX && (p->result = http_peer_recv_body(p->peer, &piece, &n)) > 0)
			sum += n;
	return NULL;
}

int pump_start(struct pump *p, struct http_peer *peer, struct err *err)
{
	int fds[2];
	if (pipe2(fds, O_CLOEXEC) < 0)
		return err_sys(err, -errno, "creating a pipe");
	(void) fcntl(fds[1], F_SETPIPE_SZ, PIPE_BYTES); /* over the user's limit it stays at 64 KiB */
	*p = (struct pump) {.peer = peer, .in = fds[0], .out = fds[1]};
	int r = pthread_create(&p->thread, NULL, pump_main, p);
	if (r == 0)
		return 0;
	p->in = safe_close(p->in);
	p->out = safe_close(p->out);
	return err_sys(err, -r, "starting a thread");
}

int pump_end(struct pump *p)
{
	p->in = safe_close(p->in);
	(void) pthread_join(p->thread, NULL); /* fails only for a thread that is none */
	return p->result;
}

void pump_drain(struct pump *p)
{
	char buf[16384];
	while (read_full(p->in, buf, sizeof(buf)) == (ssize_t) sizeof(buf))
		continue;
}

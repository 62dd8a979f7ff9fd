/* SPDX-License-Identifier: Apache-2.0 */
/* Compressing rotated logs: a child of the monitor does it, at the lowest priority, and goes when the monitor goes; output is read and logged meanwhile. */
#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "codec/gzip.h"
#include "monitor/internal.h"

#define PRIORITY_LOWEST 19

static _Noreturn void child(int in, int out)
{
	int keep[] = {in, out};
	(void) prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0); /* cannot fail with a signal that there is */
	(void) setpriority(PRIO_PROCESS, 0, PRIORITY_LOWEST); /* a courtesy */
	process_keep_only(keep, ARRAY_LEN(keep));
	_exit(gzip_fd(in, out) < 0);
}

static void ended(struct loop_source *s, uint32_t events)
{
	struct squeeze *q = loop_source_owner(s, struct squeeze, src);
	struct monitor *m = q->m;
	int status = -1;
	pid_t r;
	do
		r = waitpid(q->pid, &status, 0);
	while (r < 0 && errno == EINTR);
	(void) loop_watch(&m->loop, s, 0);
	s->fd = safe_close(s->fd);
	log_squeeze_end(&m->log, r == q->pid && WIFEXITED(status) && WEXITSTATUS(status) == 0);
	q->pid = 0;
	squeeze_next(m);
}

void squeeze_next(struct monitor *m)
{
	struct squeeze *q = &m->squeeze;
	_cleanup_close_ int in = -EBADF, out = -EBADF;
	if (!m->log.rotated || q->pid)
		return;
	m->log.rotated = false;
	if (log_squeeze_begin(&m->log, &in, &out) <= 0)
		return; /* tried again after the next rotation */
	pid_t pid = fork();
	if (pid == 0)
		child(in, out);
	q->m = m;
	q->src.fn = ended;
	q->src.fd = pid < 0 ? -EBADF : (int) syscall(SYS_pidfd_open, pid, 0);
	if (q->src.fd >= 0 && loop_watch(&m->loop, &q->src, EPOLLIN) >= 0) {
		q->pid = pid;
		return;
	}
	q->src.fd = safe_close(q->src.fd);
	if (pid > 0) {
		(void) kill(pid, SIGKILL);
		(void) waitpid(pid, NULL, 0);
	}
	log_squeeze_end(&m->log, false);
}

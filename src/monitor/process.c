/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A process that the monitor is parent of: the container's init or an exec. Its creator is a fork of the monitor; the process itself is made with
 * CLONE_PARENT and so becomes the monitor's own child (sandbox/sandbox.h draws it). Nothing here waits: a start is over when the report
 * socket has ended and the creator is reaped, in whichever order.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/fd.h"
#include "base/str.h"
#include "kernel/process.h"
#include "monitor/frame.h"
#include "monitor/internal.h"

static void start_check(struct process *p);

void process_init(struct process *p, struct monitor *m, const char *id, uint32_t flags)
{
	*p = (struct process){
		.m = m,
		.state = PROCESS_READY,
		.creator.fd = -EBADF,
		.report.fd = -EBADF,
		.init.fd = -EBADF,
		.mounts_fd = -EBADF,
		.io.in.fd = -EBADF,
		.io.out = {{.fd = -EBADF}, {.fd = -EBADF}},
		.io.peer_fd = -EBADF,
		.io.tty = flags & MONITOR_TTY,
		.io.takes_input = flags & MONITOR_OPEN_STDIN,
		.io.input_once = flags & MONITOR_STDIN_ONCE,
		.exit.magic = MONITOR_EXIT_MAGIC,
	};
	memcpy(p->id, id, strlen(id));
	queue_init(&p->io.input, INPUT_QUEUE_MAX);
}

static void source_close(struct process *p, struct loop_source *s)
{
	if (s->fd >= 0)
		(void) loop_watch(&p->m->loop, s, 0);
	s->fd = safe_close(s->fd);
}

/* the first failure is the one that tells */
static void fail(struct process *p, const struct err *err)
{
	if (!p->failed)
		p->err = *err;
	p->failed = true;
	process_kill_init(p);
}

void process_kill_init(struct process *p)
{
	if (p->init.fd >= 0 && p->pid)
		(void) process_kill(p->init.fd, SIGKILL); /* fails only when it is dead */
}

/* --- the child --- */

/* everything of the monitor that is not the creator's business: other people's streams, the control sockets, the log */
void process_keep_only(int *keep, size_t n)
{
	for (size_t i = 1; i < n; i++)
		for (size_t j = i; j > 0 && keep[j] < keep[j - 1]; j--) {
			int t = keep[j];
			keep[j] = keep[j - 1];
			keep[j - 1] = t;
		}
	unsigned next = 3;
	for (size_t i = 0; i < n; i++) {
		if (keep[i] < (int) next)
			continue;
		if ((unsigned) keep[i] > next)
			(void) close_range(next, (unsigned) keep[i] - 1, 0);
		next = (unsigned) keep[i] + 1;
	}
	(void) close_range(next, ~0u, 0);
}

_Noreturn static void be_creator(struct process *p, int report_fd, const int stdio[3])
{
	static const int ignored[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGPIPE};
	struct monitor *m = p->m;
	fault_mark("creator.begin");
	for (size_t i = 0; i < ARRAY_LEN(ignored); i++)
		(void) signal(ignored[i], SIG_DFL);
	int keep[] = {m->bundle_fd, report_fd, stdio[0], stdio[1], stdio[2], m->container.init.fd, m->lock_fd};
	process_keep_only(keep, ARRAY_LEN(keep));
	bool foreign = m->setup.flags & MONITOR_FOREIGN;
	if (!p->id[0]) {
		struct monitor_create_args a = {m->bundle_fd, report_fd, m->lock_fd, {stdio[0], stdio[1], stdio[2]}, m->setup.fail_step[0] ? m->setup.fail_step : NULL, foreign};
		m->ops->create(m->ops->ctx, &a);
	} else {
		char file[RECORD_NAME_MAX];
		struct monitor_exec_args a = {m->bundle_fd, p->probe ? "health.json" : record_exec_name(file, p->id, ".json"), m->container.init.fd, m->container.pid, report_fd,
					      {stdio[0], stdio[1], stdio[2]}, foreign};
		m->ops->exec(m->ops->ctx, &a);
	}
	_exit(1);
}

/* --- the reports --- */

static void take_pid(struct process *p, int32_t pid, int *fd)
{
	if (p->pid || pid <= 0)
		return;
	fault_mark("monitor.start.pid");
	p->pid = pid;
	p->init.fd = *fd >= 0 ? take_fd(fd) : process_pidfd(pid);
	if (p->init.fd < 0) { /* it cannot be watched, so it must not live; our unreaped child's pid is certain */
		struct err err;
		(void) err_sys(&err, p->init.fd, "opening a pidfd of process %d", (int) pid);
		(void) kill(pid, SIGKILL);
		(void) waitpid(pid, NULL, 0);
		p->init.fd = -EBADF;
		p->pid = 0;
		fail(p, &err);
	} else if (p->failed)
		process_kill_init(p);
	else if (!p->id[0] && p->m->setup.flags & MONITOR_SHED) {
		char path[64];
		(void) str_format(path, sizeof(path), "/proc/%d/ns/mnt", (int) pid); /* fits; our child's pid is certain */
		p->mounts_fd = open(path, O_RDONLY | O_CLOEXEC); /* without it the end takes a little longer */
	}
}

static void report_ready(struct loop_source *s, uint32_t events)
{
	struct process *p = loop_source_owner(s, struct process, report);
	struct report r;
	_cleanup_close_ int fd = -EBADF;
	struct err err;
	int n = report_recv(s->fd, &r, &fd);
	if (n == -EAGAIN)
		return;
	if (n <= 0) {
		source_close(p, s);
		p->report_eof = true;
		start_check(p);
	} else if (r.kind == REPORT_PID)
		take_pid(p, r.pid, &fd);
	else if (r.kind == REPORT_CONSOLE) {
		int k = stdio_console(p, take_fd(&fd));
		if (k < 0) {
			(void) err_sys(&err, k, "taking the terminal");
			fail(p, &err);
		}
	} else if (r.kind == REPORT_FAILED) {
		r.err.msg[sizeof(r.err.msg) - 1] = '\0';
		fail(p, &r.err);
	}
}

static void creator_ready(struct loop_source *s, uint32_t events)
{
	struct process *p = loop_source_owner(s, struct process, creator);
	int status = 0;
	struct err err;
	if (waitpid(p->creator_pid, &status, WNOHANG) == 0)
		return;
	source_close(p, s);
	p->creator_pid = 0;
	p->creator_done = true;
	if (WIFSIGNALED(status)) {
		(void) err_set(&err, ERR_SYSTEM, "creating the process: the creator died of signal %d", WTERMSIG(status));
		fail(p, &err);
	}
	start_check(p);
}

static void init_ready(struct loop_source *s, uint32_t events)
{
	struct process *p = loop_source_owner(s, struct process, init);
	struct monitor *m = p->m;
	int status = 0;
	pid_t r = waitpid(p->pid, &status, WNOHANG);
	if (r == 0)
		return;
	source_close(p, s);
	p->pid = 0;
	if (p->state == PROCESS_STARTING) {
		start_check(p);
		return;
	}
	fault_mark("monitor.exit.reaped");
	p->exit.finished_ns = now_ns();
	p->exit.code = r < 0 ? 255 : exit_code_from_status(status);
	p->exit.signal = r > 0 && WIFSIGNALED(status) ? WTERMSIG(status) : 0;
	p->state = PROCESS_EXITED;
	if (!p->id[0]) {
		p->exit.oom = m->ops->oom_killed && m->setup.cgroup_path[0] && m->ops->oom_killed(m->setup.cgroup_path) > 0;
		for (int i = 0; i < MONITOR_EXECS_MAX && m->n_execs; i++)
			process_kill_init(&m->execs[i]);
		health_stopped(m);
	}
	stdio_drain(p);
}

/* --- start --- */

static void process_failed(struct process *p)
{
	static const uint8_t codes[ERR_KIND_MAX_] = {[ERR_CMD_NOT_FOUND] = 127, [ERR_CMD_DENIED] = 126};
	struct monitor *m = p->m;
	p->exit.code = p->err.kind < ERR_KIND_MAX_ && codes[p->err.kind] ? codes[p->err.kind] : 126;
	p->exit.started_ns = p->exit.finished_ns = now_ns();
	p->state = PROCESS_EXITED;
	if (p->id[0]) /* as dockerd tells who is at the other end already */
		CLIENT_FOREACH(c, p) {
			client_push(c, FRAME_STDOUT, (const uint8_t *) p->err.msg, strlen(p->err.msg));
			client_push(c, FRAME_STDOUT, (const uint8_t *) "\r\n", 2);
		}
	stdio_close(p);
	fault_mark("monitor.start.failed");
	if (!p->id[0])
		m->lock_fd = safe_close(m->lock_fd);
	conn_reply_err(p->start_conn, p->start_seq, &p->err);
	p->start_conn = NULL;
	process_reap_strays(m);
	if (!p->id[0])
		monitor_failed(m);
}

static int write_state(struct process *p, uint64_t ticks)
{
	struct monitor_state s = {
		.magic = MONITOR_STATE_MAGIC, .pid = p->pid, .start_ticks = ticks, .monitor_pid = getpid(), .started_ns = p->exit.started_ns};
	int r = proc_start_ticks(s.monitor_pid, &s.monitor_ticks);
	return r < 0 ? r : record_write(p->m->bundle_fd, "state", &s, sizeof(s));
}

static int process_started(struct process *p, struct err *err)
{
	struct monitor_started s = {.pid = p->pid, .started_ns = now_ns()};
	p->exit.started_ns = s.started_ns;
	int r = proc_start_ticks(p->pid, &s.start_ticks);
	if (r < 0)
		return err_sys(err, r, "reading when process %d started", (int) p->pid);
	fault_mark("monitor.start.created");
	if (!p->id[0] && (r = write_state(p, s.start_ticks)) < 0)
		return err_sys(err, r, "writing 'state' into the bundle");
	r = !p->id[0] && p->m->setup.flags & MONITOR_FOREIGN ? guard_start(p->m) : 0;
	if (r < 0)
		return err_sys(err, r, "starting the guard");
	r = loop_watch(&p->m->loop, &p->init, EPOLLIN);
	if (r < 0)
		return err_sys(err, r, "watching process %d", (int) p->pid);
	p->state = PROCESS_RUNNING;
	if (p->probe)
		health_probe_runs(p);
	if (!p->id[0])
		health_started(p->m);
	fault_mark("monitor.start.recorded");
	p->m->lock_fd = safe_close(p->m->lock_fd); /* before the answer: whoever hears it may want the lock */
	conn_reply(p->start_conn, p->start_seq, &s, sizeof(s));
	fault_mark("monitor.start.answered");
	p->start_conn = NULL;
	return 0;
}

/* Takes a start to its end once nothing more can be reported: running, or failed with its half-made process reaped. */
static void start_check(struct process *p)
{
	struct err err;
	if (p->state != PROCESS_STARTING || !p->creator_done || !p->report_eof)
		return;
	if (!p->failed && !p->pid) {
		(void) err_set(&err, ERR_SYSTEM, "creating the process: the creator left without a report");
		fail(p, &err);
	}
	if (!p->failed && process_started(p, &err) < 0)
		fail(p, &err);
	if (!p->failed)
		return;
	if (p->pid && p->init.fd >= 0 && loop_watch(&p->m->loop, &p->init, EPOLLIN) >= 0)
		return; /* killed; init_ready() comes back here */
	process_failed(p);
}

static int watch(struct process *p, struct loop_source *s, int fd_consume, void (*fn)(struct loop_source *, uint32_t))
{
	s->fd = fd_consume;
	s->fn = fn;
	return fd_consume < 0 ? fd_consume : loop_watch(&p->m->loop, s, EPOLLIN);
}

static int fork_creator(struct process *p, const int stdio[3])
{
	_cleanup_close_ int theirs = -EBADF;
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	theirs = pair[1];
	(void) fd_set_nonblock(pair[0], true); /* cannot fail on a fresh socket */
	int r = watch(p, &p->report, pair[0], report_ready);
	if (r < 0)
		return r;
	p->creator_pid = fork();
	if (p->creator_pid < 0)
		return -errno;
	if (p->creator_pid == 0)
		be_creator(p, theirs, stdio);
	fault_mark("monitor.start.forked");
	p->init.fn = init_ready;
	r = watch(p, &p->creator, process_pidfd(p->creator_pid), creator_ready);
	if (r < 0) {
		(void) kill(p->creator_pid, SIGKILL);
		(void) waitpid(p->creator_pid, NULL, 0);
	}
	return r;
}

int process_start(struct process *p, bool output, struct err *err)
{
	int stdio[3] = {-EBADF, -EBADF, -EBADF};
	p->state = PROCESS_STARTING;
	int r = stdio_open(p, output, stdio);
	if (r >= 0)
		r = fork_creator(p, stdio);
	for (int i = 0; i < 3; i++)
		safe_close(stdio[i]);
	if (r >= 0)
		return 0;
	source_close(p, &p->report);
	source_close(p, &p->creator);
	stdio_close(p);
	p->state = PROCESS_EXITED;
	return err_sys(err, r, "starting the creator");
}

/* --- end --- */

static void write_exit(struct process *p)
{
	char name[RECORD_NAME_MAX];
	if (p->probe || (!p->id[0] && p->failed))
		return; /* its record is another one; or the reply to START has said so, and there was no container */
	(void) record_write(p->m->bundle_fd, p->id[0] ? record_exec_name(name, p->id, ".exit") : "exit", &p->exit, sizeof(p->exit));
	/* a bundle that is gone or full must not keep those who wait from their answer */
}

static bool is_flushed(struct process *p)
{
	CLIENT_FOREACH(c, p)
		if (client_is_awaited(c))
			return false;
	return true;
}

void process_settle(struct process *p)
{
	if (p->state == PROCESS_EXITED && p->io.out[0].fd < 0 && p->io.out[1].fd < 0) {
		p->state = PROCESS_CLOSED;
		CLIENT_FOREACH(c, p)
			client_finish(c);
	}
	if (p->state == PROCESS_CLOSED && is_flushed(p)) {
		p->state = PROCESS_FLUSHED; /* E3 */
		fault_mark("monitor.exit.flushed");
		write_exit(p);
		fault_mark("monitor.exit.recorded");
		conn_announce(p->m, p);
		fault_mark("monitor.exit.announced");
		p->mounts_fd = safe_close(p->mounts_fd);
	}
	if (p->id[0] && p->state == PROCESS_FLUSHED && !p->n_clients) {
		if (p->probe)
			health_probe_over(p);
		p->state = PROCESS_FREE;
		p->m->n_execs--;
	}
}

/* Its creator may have made a process whose report is still on its way: that child is not known yet, but no stray. */
static bool awaits_report(const struct process *p)
{
	return p->state == PROCESS_STARTING && !p->pid && !p->report_eof;
}

void process_reap_strays(struct monitor *m)
{
	bool awaited = awaits_report(&m->container);
	for (int i = 0; i < MONITOR_EXECS_MAX && m->n_execs; i++)
		awaited |= awaits_report(&m->execs[i]);
	while (!awaited) {
		siginfo_t si = {.si_pid = 0};
		if (waitid(P_ALL, 0, &si, WEXITED | WNOHANG | WNOWAIT) < 0 || !si.si_pid)
			return;
		bool known = si.si_pid == m->container.pid || si.si_pid == m->container.creator_pid || si.si_pid == m->squeeze.pid;
		for (int i = 0; i < MONITOR_EXECS_MAX && m->n_execs; i++)
			known |= m->execs[i].state != PROCESS_FREE && (si.si_pid == m->execs[i].pid || si.si_pid == m->execs[i].creator_pid);
		if (known)
			return; /* its own event comes */
		(void) waitpid(si.si_pid, NULL, WNOHANG);
	}
}

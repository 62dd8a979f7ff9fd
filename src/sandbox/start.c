/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A container for a caller that stays itself (coffer-oci): create, start and exec, told by the reports of the new process (ready.c draws
 * them). Where the rest of the creator's way would change the caller's own namespaces, a forked creator takes it.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/report.h"
#include "sandbox/cgroup_ops.h"
#include "sandbox/hooks.h"
#include "sandbox/internal.h"
#include "sandbox/listener.h"
#include "sandbox/systemd_scope.h"

struct follow {
	int sock;                /* owned; our end of the report socket */
	const struct sandbox *s; /* borrowed; NULL: no hooks to run */
	struct sandbox_started *out; /* borrowed; NULL: neither process nor terminal is expected */
	bool *goes;              /* borrowed; set when nothing but the command is left to come; NULL: not told */
};

static int run_runtime_hooks(const struct follow *f, struct err *err)
{
	const struct sandbox *s = f->s;
	if (!s || s->is_exec)
		return 0;
	struct oci_state st = {.id = s->id, .status = "created", .bundle = s->bundle, .pid = f->out->init.pid, .spec = s->spec};
	int r = hooks_run(s->spec, HOOK_PRESTART, &st, err);
	return r < 0 ? r : hooks_run(s->spec, HOOK_CREATE_RUNTIME, &st, err);
}

static int answer_hooks(const struct follow *f, struct err *err)
{
	int r = run_runtime_hooks(f, err);
	if (r < 0)
		return r;
	int32_t pid = f->out ? f->out->init.pid : 0;
	return send(f->sock, &pid, sizeof(pid), MSG_NOSIGNAL) == sizeof(pid) ? 0 : err_sys(err, -errno, "telling the new process to go on");
}

/* One report. Return: 1 go on, 0 it is over, <0. */
static int take_report(const struct follow *f, const struct report *r, int *fd, struct err *err)
{
	switch (r->kind) {
	case REPORT_PID:
		if (f->out)
			f->out->init = (struct pidref) {.pid = r->pid, .fd = take_fd(fd)};
		return 1;
	case REPORT_CONSOLE:
		if (f->out)
			f->out->console_fd = take_fd(fd);
		return 1;
	case REPORT_HOOKS:
		return answer_hooks(f, err) < 0 ? -EIO : 1;
	case REPORT_LISTENER:
		return listener_serve(*fd, err) < 0 ? -EIO : 1;
	case REPORT_GOES:
		if (f->goes)
			*f->goes = true;
		return 1;
	case REPORT_READY:
		return 0;
	case REPORT_FAILED:
		*err = r->err;
		err->msg[sizeof(err->msg) - 1] = '\0';
		return err->sys < 0 ? err->sys : -EIO;
	}
	return err_sys(err, -EBADMSG, "report %u", r->kind);
}

/* Until the new process is ready, exec'ed or failed. A process that is killed on the way has its socket closed as execve(2) would. */
static int follow(const struct follow *f, struct err *err)
{
	for (;;) {
		struct report r;
		_cleanup_close_ int fd = -EBADF;
		int n = report_recv(f->sock, &r, &fd);
		if (n == -EINTR)
			continue;
		if (n == 0 && f->goes && !*f->goes)
			return err_set(err, ERR_SYSTEM, "the container's first process was killed before it could run the command");
		if (n <= 0)
			return n < 0 ? err_sys(err, n, "reading the new process's report") : 0;
		n = take_report(f, &r, &fd, err);
		if (n <= 0)
			return n;
	}
}

/* A failed start: what the process itself said is nearer to the cause than our own broken pipe. */
static void prefer_its_words(int sock, struct err *err)
{
	struct report r;
	int fd = -EBADF;
	while (report_recv(sock, &r, &fd) == 1) {
		fd = safe_close(fd);
		if (r.kind == REPORT_FAILED) {
			*err = r.err;
			err->msg[sizeof(err->msg) - 1] = '\0';
			return;
		}
	}
}

static void end_process(struct pidref *p)
{
	int status;
	if (p->pid <= 0)
		return;
	(void) kill(p->pid, SIGKILL); /* our unreaped child: the pid is certain */
	(void) process_wait(p->pid, &status);
	p->fd = safe_close(p->fd);
	p->pid = 0;
}

void sandbox_started_done(struct sandbox_started *s)
{
	s->init.fd = safe_close(s->init.fd);
	s->console_fd = safe_close(s->console_fd);
	s->wait_fd = safe_close(s->wait_fd);
}

/* The rest of the way in a child that may change its namespaces. Its error comes as a report like init's. */
static int finish_forked(struct sandbox *s, struct err *err)
{
	pid_t pid = fork();
	if (pid < 0)
		return err_sys(err, -errno, "fork");
	if (pid == 0) {
		struct err e;
		s->peer_fd = safe_close(s->peer_fd);
		if (creator_finish(s, &e) < 0)
			sandbox_fail(s, &e);
		_exit(0);
	}
	return pid;
}

static int stdio_of_ours(struct sandbox *s, struct err *err)
{
	for (int i = 0; i < 3; i++)
		if (s->stdio[i] < 0 && !s->process->terminal) {
			s->stdio[i] = fcntl(i, F_DUPFD_CLOEXEC, 3);
			if (s->stdio[i] < 0 && errno != EBADF)
				return err_sys(err, -errno, "standard stream %d", i);
		}
	return 0;
}

static int run(struct sandbox *s, int sock, struct sandbox_started *out, struct err *err)
{
	pid_t creator = 0;
	int r = creator_prepare(s, err);
	if (r == 0)
		r = stdio_of_ours(s, err);
	if (r < 0)
		return r;
	s->own_child = !creator_joins(s);
	if (s->own_child) {
		r = creator_finish(s, err);
		out->init = s->child;
		s->child = PIDREF_NULL;
	} else {
		creator = finish_forked(s, err);
		r = MIN(creator, 0);
	}
	s->report_fd = safe_close(s->report_fd);
	s->start_fd = safe_close(s->start_fd);
	if (r < 0)
		prefer_its_words(sock, err);
	bool goes = false;
	struct follow f = {.sock = sock, .s = s, .out = out, .goes = &goes};
	if (r == 0)
		r = follow(&f, err);
	if (creator > 0) {
		int status;
		(void) process_wait(creator, &status); /* what it had to say came as a report */
		if (r == 0 && out->init.pid == 0)
			r = err_set(err, ERR_SYSTEM, "creating the container: the creator ended without a word");
	}
	return r;
}

int sandbox_start(const struct sandbox_args *args, struct sandbox_started *ret, struct err *err)
{
	static struct sandbox s; /* large */
	struct sandbox_started out = {.init = PIDREF_NULL, .wait_fd = -EBADF, .console_fd = -EBADF, .waits = args->start_fd > 0};
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys(err, -errno, "socketpair");
	_cleanup_close_ int sock = pair[0];
	creator_init(&s, args);
	s.report_fd = pair[1];
	s.peer_fd = sock;
	s.compile = filter_compile;
	s.scope_start = systemd_scope_start;
	mode_t mask = umask(0022);
	int r = run(&s, sock, &out, err);
	systemd_scope_placed(&s);
	(void) umask(mask);
	s.report_fd = safe_close(s.report_fd);
	s.start_fd = safe_close(s.start_fd);
	(void) str_copy(out.cgroup_path, sizeof(out.cgroup_path), s.cgroup.path); /* shorter */
	if (r < 0) {
		struct err ignored;
		end_process(&out.init);
		sandbox_started_done(&out);
		if (*out.cgroup_path)
			(void) sandbox_remove(out.cgroup_path, args->flags, &ignored); /* the first error is the one to tell */
		return r;
	}
	out.systemd = args->flags & SANDBOX_SYSTEMD_CGROUP && *out.cgroup_path;
	out.wait_fd = take_fd(&sock);
	*ret = out;
	return 0;
}

int sandbox_proceed(struct sandbox_started *s, struct err *err)
{
	if (send(s->wait_fd, "s", 1, MSG_NOSIGNAL) != 1)
		return err_set(err, ERR_SYSTEM, "the container's first process was killed before it could run the command");
	bool goes = false;
	struct follow f = {.sock = s->wait_fd, .goes = &goes};
	int r = s->waits ? 0 : follow(&f, err);
	s->wait_fd = safe_close(s->wait_fd);
	return r;
}

/* The address may be longer than sun_path: reached through its directory's descriptor. */
static int connect_to(const char *path, struct err *err)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	const char *slash = strrchr(path, '/');
	char dir[4096] = ".";
	if (slash && str_format(dir, sizeof(dir), "%.*s", (int) (slash == path ? 1 : slash - path), path) < 0)
		return err_sys(err, -ENAMETOOLONG, "'%s'", path);
	_cleanup_close_ int dfd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	_cleanup_close_ int sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (dfd < 0 || sock < 0)
		return err_sys(err, -errno, "'%s'", dir);
	if (str_format(a.sun_path, sizeof(a.sun_path), "/proc/self/fd/%d/%s", dfd, slash ? slash + 1 : path) < 0)
		return err_sys(err, -ENAMETOOLONG, "'%s'", path);
	if (connect(sock, (struct sockaddr *) &a, sizeof(a)) < 0) {
		if (errno == ENOENT || errno == ECONNREFUSED)
			return err_set(err, ERR_NOT_FOUND, "nobody waits for a start: it was started already, or it has ended");
		return err_sys(err, -errno, "connecting to '%s'", path);
	}
	return take_fd(&sock);
}

int sandbox_go(const char *sock_path, struct err *err)
{
	_cleanup_close_ int sock = connect_to(sock_path, err);
	if (sock < 0)
		return sock;
	if (send(sock, "s", 1, MSG_NOSIGNAL) != 1)
		return err_set(err, ERR_NOT_FOUND, "nobody waits for a start any more");
	bool goes = false;
	struct follow f = {.sock = sock, .goes = &goes};
	return follow(&f, err);
}

int sandbox_exec_start(const struct sandbox_exec_args *args, struct sandbox_started *ret, struct err *err)
{
	struct sandbox_started out = {.init = PIDREF_NULL, .wait_fd = -EBADF, .console_fd = -EBADF};
	struct sandbox_exec_args a = *args;
	int pair[2], status;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys(err, -errno, "socketpair");
	_cleanup_close_ int sock = pair[0], theirs = pair[1];
	pid_t creator = fork();
	if (creator < 0)
		return err_sys(err, -errno, "fork");
	if (creator == 0) {
		(void) safe_close(sock); /* with a copy of it nobody in there would see us go */
		a.report_fd = theirs;
		exec_create(&a, filter_compile);
	}
	theirs = safe_close(theirs);
	struct follow f = {.sock = sock, .s = NULL, .out = &out};
	int r = follow(&f, err);
	(void) process_wait(creator, &status); /* what it had to say came as a report */
	if (r == 0 && out.init.pid == 0)
		r = err_set(err, ERR_SYSTEM, "entering the container: the creator ended without a word");
	if (r < 0) {
		end_process(&out.init);
		sandbox_started_done(&out);
		return r;
	}
	*ret = out;
	return 0;
}

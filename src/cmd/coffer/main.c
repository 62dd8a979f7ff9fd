/* SPDX-License-Identifier: Apache-2.0 */
/*
 * coffer: joins the command line to an embedded engine. The engine is a forked child with a session of its own, so that the
 * terminal's signals do not reach it; it serves connections that come over a control socket and leaves when that is closed.
 *   cli (this process)                      embedded engine (child)
 *     start: fork  ----------------------->  open state; on failure: one struct err over the control socket, exit
 *     'c' + one end of a stream  --------->  a thread serves HTTP on it
 *     close(control)  -------------------->  answers what is under way, reaps
 *     read(done)      <--------------------  one byte: its verdict; closing the state is nobody's wait, nor is the verdict where the last answer said it all
 * `coffer reap ID` is for the monitor: the engine's share of a container's end when nobody waited for it. `coffer restart-wait ID` is for the engine: the
 * process that waits for the delay of a restart policy when there is no daemon.
 */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "api/server.h"
#include "base/fault.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/str.h"
#include "cli/cli.h"
#include "cmd/coffer/settings.h"

#define EXIT_ENGINE 125
#define RESTART_TRIES 10

struct child {
	pid_t pid; /* 0: not started */
	int done;  /* owned; read end: the engine's verdict, or EOF when it died */
	bool starts; /* the command starts a container */
	bool seen; /* by the command: all that the verdict could tell */
};

static int open_engine(struct engine **ret, struct err *err)
{
	struct settings s;
	int r = settings_read(&s, /* config_file= */ NULL, err);
	if (r == 0)
		r = engine_open(&s.engine, ret, err);
	settings_done(&s);
	return r;
}

/* The child's life. */
static int serve(int control_fd, int done, bool starts)
{
	struct engine *e = NULL;
	struct err err = {};
	(void) setsid();
	(void) signal(SIGPIPE, SIG_IGN);
	(void) prctl(PR_SET_NAME, "coffer-engine");
	(void) mallopt(M_ARENA_MAX, 1); /* three threads that hardly meet: an arena of its own is 128 MB mapped, trimmed and faulted in anew for each */
	if (open_engine(&e, &err) < 0) {
		(void) send(control_fd, &err, sizeof(err), MSG_NOSIGNAL); /* nobody there to hear it: then nobody asks */
		return EXIT_ENGINE;
	}
	int r = api_serve_embedded(e, control_fd, starts);
	if (r < 0)
		log_error("the embedded engine's control socket: %s", strerrordesc_np(-r));
	engine_settle(e);
	const unsigned char verdict = r < 0 ? EXIT_ENGINE : 0;
	(void) write_all(done, &verdict, 1); /* nobody waits: nobody needs it */
	(void) engine_close(e);
	return verdict;
}

static int start(void *ctx, int *ret_control_fd, struct err *err)
{
	struct child *c = ctx;
	int pair[2], done[2];
	if (pipe2(done, O_CLOEXEC) < 0)
		return err_sys(err, -errno, "making a pipe to the engine");
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
		int r = -errno;
		safe_close(done[0]);
		safe_close(done[1]);
		return err_sys(err, r, "making the engine's control socket");
	}
	pid_t pid = fork();
	if (pid < 0) {
		int r = -errno;
		safe_close(done[0]);
		safe_close(done[1]);
		safe_close(pair[0]);
		safe_close(pair[1]);
		return err_sys(err, r, "starting the embedded engine");
	}
	if (pid == 0) {
		safe_close(pair[0]);
		safe_close(done[0]);
		_exit(serve(pair[1], done[1], c->starts));
	}
	safe_close(pair[1]);
	safe_close(done[1]);
	c->pid = pid;
	c->done = done[0];
	*ret_control_fd = pair[0];
	return 0;
}

/* The engine's own end decides, too: it reaps what this command left. */
static int finish(const struct child *c, int code)
{
	int status = 0;
	unsigned char verdict;
	if (c->pid == 0 || c->seen)
		return code;
	if (read_full(c->done, &verdict, 1) == 1)
		return code == 0 ? verdict : code;
	while (waitpid(c->pid, &status, 0) < 0)
		if (errno != EINTR)
			return code;
	if (WIFSIGNALED(status))
		log_error("the embedded engine was killed by signal %d (%s)", WTERMSIG(status), sigdescr_np(WTERMSIG(status)));
	return code == 0 && status != 0 ? EXIT_ENGINE : code;
}

static int reap(const char *id)
{
	struct engine *e = NULL;
	struct err err = {};
	int r = open_engine(&e, &err);
	if (r == 0) {
		r = engine_reap(e, id, &err);
		(void) engine_close(e);
	}
	if (r < 0)
		log_error("reaping %.64s: %s", id, err.msg);
	return r < 0 ? EXIT_ENGINE : 0;
}

static int restart_once(const char *id)
{
	struct engine *e = NULL;
	struct err err = {};
	int r = open_engine(&e, &err);
	if (r == 0) {
		r = engine_restart_due(e, id, &err);
		engine_settle(e);
		(void) engine_close(e);
	}
	if (r < 0)
		log_error("restarting %.64s: %s", id, err.msg);
	return r;
}

/* Small until it is due: nothing of the engine is touched before. */
static int restart_wait(const char *id)
{
	const char *run = getenv("COFFER_RUN");
	int r = engine_restart_wait(str_empty(run) ? "/run/coffer" : run, id);
	if (r <= 0)
		return r < 0 ? EXIT_ENGINE : 0;
	(void) prctl(PR_SET_NAME, "coffer-restart");
	/* nobody else is there to try again, should the database be locked; a start that has failed is not due any more */
	for (int i = 0; (r = restart_once(id)) < 0 && i < RESTART_TRIES; i++)
		(void) sleep(1);
	return r < 0 ? EXIT_ENGINE : 0;
}

int main(int argc, char **argv)
{
	struct child child = {};
	struct cli_embedded embedded = {.start = start, .ctx = &child, .ret_seen = &child.seen};
	if (getenv("COFFER_DEBUG"))
		log_set_level(LOG_LEVEL_DEBUG);
	fault_init();
	if (argc == 2 && str_eq(argv[1], "--list-fault-points"))
		return fault_list() < 0;
	if (argc == 3 && str_eq(argv[1], "reap"))
		return reap(argv[2]);
	if (argc == 3 && str_eq(argv[1], "restart-wait"))
		return restart_wait(argv[2]);
	child.starts = argc > 1 && (str_eq(argv[1], "run") || str_eq(argv[1], "start")); /* a hint: what it is wrong about costs a process */
	return finish(&child, cli_main(argc, argv, &embedded));
}

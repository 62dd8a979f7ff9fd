/* SPDX-License-Identifier: Apache-2.0 */
/*
 * coffer-monitor: joins the monitor to the sandbox. It is spawned by the engine with its first connection as descriptor 3;
 * its arguments are there for people who read ps. See src/monitor/proto.h.
 */
#include <sys/socket.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/fd.h"
#include "base/id.h"
#include "base/str.h"
#include "monitor/monitor.h"
#include "sandbox/foreign.h"
#include "sandbox/sandbox.h"
#include "sandbox/step.h"

#define CONTROL_FD 3

static void create(void *ctx, const struct monitor_create_args *a)
{
	const struct sandbox_args s = {
		.bundle_fd = a->bundle_fd,
		.report_fd = a->report_fd,
		.lock_fd = a->lock_fd,
		.stdio = {a->stdio[0], a->stdio[1], a->stdio[2]},
		.fail_step = a->fail_step,
	};
	if (a->foreign)
		foreign_create(&s);
	sandbox_create(&s);
}

static void exec(void *ctx, const struct monitor_exec_args *a)
{
	const struct sandbox_exec_args s = {
		.bundle_fd = a->bundle_fd,
		.exec_file = a->exec_file,
		.pidfd = a->pidfd,
		.pid = a->pid,
		.report_fd = a->report_fd,
		.stdio = {a->stdio[0], a->stdio[1], a->stdio[2]},
	};
	if (a->foreign)
		foreign_exec(&s);
	sandbox_exec(&s);
}

/* For the fail-closed tests: what can be made to fail by name. */
static int list_steps(void)
{
	for (const char *const *s = sandbox_steps(); *s; s++)
		if (write_all(STDOUT_FILENO, *s, strlen(*s)) < 0 || write_all(STDOUT_FILENO, "\n", 1) < 0)
			return 1;
	return 0;
}

int main(int argc, char **argv)
{
	struct monitor_ops ops = {.create = create, .exec = exec, .oom_killed = sandbox_oom_killed, .is_paused = sandbox_frozen,
				  .kill_session = sandbox_kill_session,
				  .title = argc == 2 && strlen(argv[1]) == ID_SHORT_LEN ? argv[1] : NULL};
	static const char usage[] = "coffer-monitor: started by the engine, not by hand: descriptor 3 is no control socket\n";
	fault_init();
	if (argc == 2 && str_eq(argv[1], "--list-steps"))
		return list_steps();
	if (argc == 2 && str_eq(argv[1], "--list-fault-points"))
		return fault_list() < 0 || list_steps() != 0;
	int type;
	socklen_t len = sizeof(type);
	if (getsockopt(CONTROL_FD, SOL_SOCKET, SO_TYPE, &type, &len) < 0 || type != SOCK_SEQPACKET) {
		(void) write_all(STDERR_FILENO, usage, sizeof(usage) - 1);
		return 125;
	}
	return monitor_run(&ops, CONTROL_FD);
}

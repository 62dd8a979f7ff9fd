/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Init's side: the first process of the container, from clone3 to execve, as a table of steps. It starts with every capability in its
 * new user namespace and none outside, gets its mounts from the creator, and gives everything up in the order of creds.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/report.h"
#include "kernel/compat.h"
#include "kernel/confine.h"
#include "kernel/mount.h"
#include "kernel/path.h"
#include "sandbox/handover.h"
#include "sandbox/internal.h"

void signals_reset(void)
{
	struct sigaction dfl = {.sa_handler = SIG_DFL};
	for (int i = 1; i < NSIG; i++)
		(void) sigaction(i, &dfl, NULL); /* SIGKILL, SIGSTOP and libc's own refuse */
	sigset_t none;
	(void) sigemptyset(&none);
	(void) sigprocmask(SIG_SETMASK, &none, NULL);
}

_Noreturn void sandbox_fail(struct sandbox *s, const struct err *err)
{
	struct report r = {.kind = REPORT_FAILED, .err = *err};
	(void) report_send(s->report_fd, &r, -EBADF); /* nobody listens: the exit status says it too */
	_exit(err->kind == ERR_CMD_NOT_FOUND ? 127 : err->kind == ERR_CMD_DENIED ? 126 : 1);
}

int step_join_cgroup(struct sandbox *s, struct err *err)
{
	for (int i = 0; i < s->n_join; i++) {
		ssize_t n = write(s->join_fds[i], "0", 1);
		if (n < 0)
			return err_sys(err, -errno, "joining");
		s->join_fds[i] = safe_close(s->join_fds[i]);
	}
	return 0;
}

static int step_cgroupns(struct sandbox *s, struct err *err)
{
	/* unshared from inside the cgroup, so that it is the namespace's root (cgroup_namespaces(7)) */
	if (s->plan.new_cgroupns && unshare(CLONE_NEWCGROUP) < 0)
		return err_sys(err, -errno, "unshare");
	return 0;
}

static int step_propagation(struct sandbox *s, struct err *err)
{
	/* In a new user namespace the copied mounts are slaves already (mount_namespaces(7)) and nothing of ours reaches the host. The tree goes
	 * away at the pivot: only without a user namespace it has to be cut loose first. */
	if (!(s->plan.clone_flags & CLONE_NEWUSER) && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return err_sys(err, -errno, "making / private");
	return 0;
}

static int step_hostname(struct sandbox *s, struct err *err)
{
	if (sandbox_obeys(s) && !s->has_own[NS_UTS] && (s->spec->hostname || s->spec->domainname))
		return err_set(err, ERR_INVALID, "%s needs a uts namespace that is not the host's", s->spec->hostname ? "hostname" : "domainname");
	if (!(s->plan.clone_flags & CLONE_NEWUTS))
		return 0; /* one that was joined has its names from its owner */
	if (s->spec->hostname && sethostname(s->spec->hostname, strlen(s->spec->hostname)) < 0)
		return err_sys(err, -errno, "hostname '%s'", s->spec->hostname);
	if (s->spec->domainname && setdomainname(s->spec->domainname, strlen(s->spec->domainname)) < 0)
		return err_sys(err, -errno, "domainname '%s'", s->spec->domainname);
	return 0;
}

static int step_loopback(struct sandbox *s, struct err *err)
{
	if (!s->plan.own_netns)
		return 0;
	/* a fresh network namespace has lo, down (network_namespaces(7)) */
	_cleanup_close_ int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq r = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
	if (sock < 0 || ioctl(sock, SIOCSIFFLAGS, &r) < 0)
		return err_sys(err, -errno, "bringing lo up");
	return 0;
}

/* The monitor's pipes are host root's, whom a user namespace does not know: they could be written to there, but neither given to a user nor opened
 * as /dev/stdout, which is where images send their logs. A foreign runtime's caller says itself whose its pipes are. */
void stdio_own(const struct sandbox *s)
{
	struct stat st;
	for (int i = 0; i < 3 && s->plan.root_uid && !sandbox_obeys(s); i++)
		if (s->stdio[i] >= 0 && fstat(s->stdio[i], &st) == 0 && S_ISFIFO(st.st_mode) && fchown(s->stdio[i], s->plan.root_uid, s->plan.root_gid) < 0)
			continue; /* only a convenience */
}

int step_stdio(struct sandbox *s, struct err *err)
{
	if (setsid() < 0 && errno != EPERM)
		return err_sys(err, -errno, "setsid");
	for (int i = 0; i < 3; i++) {
		if (s->stdio[i] < 0)
			continue;
		if (dup2(s->stdio[i], i) < 0)
			return err_sys(err, -errno, "stdio");
		s->stdio[i] = safe_close(s->stdio[i]);
	}
	if (s->process->terminal && ioctl(0, TIOCSCTTY, 0) < 0)
		return err_sys(err, -errno, "controlling terminal");
	/* pipes belong to the user that will write to /dev/stdout (moby#31243) */
	for (int i = 0; i < 3 && !s->process->terminal; i++) {
		struct stat st;
		if (fstat(i, &st) == 0 && S_ISFIFO(st.st_mode) && fchown(i, s->user.uid, (gid_t) -1) < 0)
			continue; /* as docker: only a convenience */
	}
	int r = cloexec_from(3 + s->preserve_fds);
	for (unsigned i = 0; r == 0 && i < s->preserve_fds; i++)
		if (fcntl((int) (3 + i), F_SETFD, 0) < 0)
			r = -errno;
	return r < 0 ? err_sys(err, r, "close-on-exec") : 0;
}

int step_environment(struct sandbox *s, struct err *err)
{
	if (strv_dup(s->process->env, &s->env) < 0)
		return err_oom(err);
	const char *home = strv_find_key(s->env, "HOME");
	if (!home || !*home) {
		char text[300];
		(void) snprintf(text, sizeof(text), "HOME=%s", s->user.home);
		if (strv_push(&s->env, text) < 0)
			return err_oom(err);
	}
	return 0;
}

static int step_undumpable(struct sandbox *s, struct err *err)
{
	/* see step_clone(): the creator's own doing where it is root */
	return s->rootless && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ? err_sys(err, -errno, "prctl") : 0;
}

int step_deathsig(struct sandbox *s, struct err *err)
{
	if (sandbox_obeys(s))
		return 0; /* whoever called the runtime looks after the container */
	/* The monitor is the parent: without it nobody would reap or report, so the container goes with it (P8). */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
		return err_sys(err, -errno, "prctl");
	struct pollfd p = {.fd = s->report_fd};
	if (poll(&p, 1, 0) > 0 && p.revents & (POLLHUP | POLLERR))
		_exit(1); /* it is gone already */
	return 0;
}

static int step_umask(struct sandbox *s, struct err *err)
{
	(void) umask(s->process->has_umask ? (mode_t) s->process->umask : 0022);
	return 0;
}

const struct step init_steps[] = {
	/* beside the creator, which builds the root filesystem meanwhile */
	STEP("await-maps", "user namespace", handover_await_maps),
	STEP("not-dumpable", "user namespace", step_undumpable),
	STEP("cgroup-join", "cgroup", step_join_cgroup),
	STEP("root-ids", "user namespace", creds_become_root),
	STEP("lsm-attributes", "LSM label", lsm_open),
	STEP("keyring", "session keyring", creds_keyring),
	STEP("cgroup-namespace", "cgroup namespace", step_cgroupns),
	STEP("join-mount", "namespaces", namespaces_join_mount),
	STEP("propagation", "mount propagation", step_propagation),
	STEP("hostname", "hostname", step_hostname),
	STEP("loopback", "network", step_loopback),
	/* what the creator hands over */
	STEP("await", "waiting for the mounts", handover_receive),
	STEP("net-devices-up", "network devices", netdevices_settle),
	STEP("root", "root filesystem", rootfs_attach),
	STEP("mounts", "mounting", mounts_attach),
	STEP("private-proc", "private procfs", mounts_proc),
	STEP("devices", "devices", dev_populate),
	STEP("await-all", "waiting for the network", handover_await_done),
	STEP("interfaces-up", "network", interfaces_settle),
	STEP("sysctl", "sysctls", sysctl_apply),
	STEP("userns-lock", "locking nested user namespaces", sysctl_lock_userns),
	STEP("user", "user", user_resolve),
	STEP("make-cwd", "working directory", command_make_cwd),
	STEP("console", "terminal", dev_console),
	STEP("masks", "masked and read-only paths", masks_apply),
	STEP("masks-verify", "masked and read-only paths", masks_verify),
	STEP("root-options", "root filesystem", rootfs_options),
	STEP("hooks", "hooks", start_hooks_before_pivot),
	STEP("pivot", "root filesystem", rootfs_enter),
	STEP("stdio", "standard streams", step_stdio),
	STEP("environment", "environment", step_environment),
	STEP("umask", "umask", step_umask),
	STEP("rlimits", "resource limits", limits_apply),
	STEP("own-attributes", "process attributes", attributes_own),
	STEP("ids", "user and groups", creds_ids),
	STEP("deathsig", "parent death signal", step_deathsig),
	STEP("cwd", "working directory", command_cwd),
	STEP("command", "command", command_find),
	STEP("bounding", "capabilities", creds_bounding),
	STEP("lsm", "LSM label", lsm_apply),
	STEP("no-new-privs", "no_new_privs", creds_no_new_privs),
	STEP("landlock", "Landlock", creds_landlock),
	STEP("start-early", "start", start_wait_early),
	STEP("seccomp-early", "seccomp filter", creds_seccomp_early),
	STEP("lsm-late", "LSM label", lsm_apply_late),
	STEP("caps", "capabilities", creds_caps),
	STEP("start", "start", start_wait_late),
	STEP("seccomp", "seccomp filter", creds_seccomp),
	STEP("exec", "exec", command_exec),
};
const size_t n_init_steps = ARRAY_LEN(init_steps);

_Noreturn void init_main(struct sandbox *s)
{
	struct err err;
	s->peer_fd = safe_close(s->peer_fd); /* with a copy of it we would not see the caller go */
	s->lock_fd = safe_close(s->lock_fd); /* a lock lives as long as any copy of its descriptor (flock(2)) */
	signals_reset(); /* the caller may hold some back for itself */
	if (steps_run(init_steps, n_init_steps, s, s->fail_step, s->trace_fd, &err) < 0)
		sandbox_fail(s, &err);
	_exit(1); /* not reached: the last step execs or fails */
}

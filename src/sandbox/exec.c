/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One more process in a running container (exec). The creator, host root and not dumpable, opens what it needs, joins all of the
 * container's namespaces in one setns(pidfd) and makes the process as the monitor's child; the process joins the cgroup and walks
 * the same steps as init from "user" on: same filter, same bounding set, never more than the container's own document grants (R8, R9).
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/report.h"
#include "kernel/compat.h"
#include "kernel/mount.h"
#include "sandbox/internal.h"

#define EXEC_MAX (4u << 20)

struct exec_ctx {
	struct sandbox s; /* first: the shared steps take it */
	const struct sandbox_exec_args *args;
	struct process_spec process;
	struct coffer_ext ext;
	int deeper_fd; /* owned; v2 cgroup of the container's first process; -EBADF: none */
	bool cgroupns; /* the process joins the container's cgroup namespace itself */
	int (*compile)(struct sandbox *s, struct err *err);
};

static int read_documents(struct exec_ctx *x, struct err *err)
{
	struct sandbox *s = &x->s;
	_cleanup_free_ char *config = NULL, *text = NULL;
	if (!s->spec) {
		ssize_t n = read_file(s->bundle_fd, s->config_file, EXEC_MAX, &config);
		if (n < 0)
			return err_sys(err, (int) n, "reading %s", s->config_file);
		int r = runtime_spec_parse(config, (size_t) n, &s->spec, err);
		if (r < 0)
			return r;
	}
	if (x->args->process) {
		x->process = *x->args->process; /* its members stay the caller's */
		s->process = &x->process;
		return 0;
	}
	ssize_t n = read_file(s->bundle_fd, x->args->exec_file, EXEC_MAX, &text);
	if (n < 0)
		return err_sys(err, (int) n, "reading %s", x->args->exec_file);
	s->process = &x->process;
	return exec_spec_parse(text, (size_t) n, &x->process, &x->ext, err);
}

/* What a foreign process document leaves out is the container's own, never the caller's (as runc; config.md says nothing of exec). */
static void inherit(struct process_spec *p, const struct process_spec *own)
{
	if (!p->has_caps && own->has_caps)
		p->caps = own->caps;
	p->has_caps = true; /* none named anywhere: none held */
	if (!p->apparmor_profile)
		p->apparmor_profile = own->apparmor_profile;
	if (!p->selinux_label)
		p->selinux_label = own->selinux_label;
}

static int step_documents(struct exec_ctx *x, struct err *err)
{
	struct sandbox *s = &x->s;
	int r = read_documents(x, err);
	if (r < 0)
		return r;
	if (sandbox_obeys(s)) {
		creator_rights(s);
		inherit(&x->process, &s->spec->process);
		s->compile = x->compile;
	} else {
		x->ext.present = true;
		s->ext = &x->ext;
	}
	r = plan_build(s->spec, s->flags, &s->plan, err);
	if (r == 0)
		stdio_own(s);
	return r;
}

/* What the container may not do its exec'ed processes may not do either. */
static int step_no_more(struct exec_ctx *x, struct err *err)
{
	const struct process_spec *own = &x->s.spec->process, *p = x->s.process;
	if (sandbox_obeys(&x->s))
		return 0; /* the operator's own word, as runc and crun take it */
	if (own->has_caps && (!p->has_caps || p->caps.bounding & ~own->caps.bounding))
		return err_set(err, ERR_DENIED, "process.capabilities: more than the container itself has");
	if (own->no_new_privileges && !p->no_new_privileges)
		return err_set(err, ERR_DENIED, "process.noNewPrivileges: the container has it, so has every process in it");
	if (x->s.spec->coffer.seccomp_filter && !x->ext.seccomp_filter)
		return err_set(err, ERR_DENIED, "coffer.seccompFilter: the container has one, so has every process in it");
	if (x->s.spec->coffer.landlock)
		x->ext.landlock = true;
	return sandbox_obeys(&x->s) ? 0 : lsm_no_more(&x->s, err);
}

static int step_cgroup_open(struct exec_ctx *x, struct err *err)
{
	struct sandbox *s = &x->s;
	const char *path = s->spec->coffer.cgroup_path ? s->spec->coffer.cgroup_path : s->spec->cgroups_path;
	return cgroup_enter(s, x->args->cgroup_path ? x->args->cgroup_path : path, x->args->pid, &x->deeper_fd, err);
}

/* Namespaces in which the container differs from us: joining one's own user namespace is an error (setns(2)). */
int exec_foreign_namespaces(pid_t pid, int *ret)
{
	static const struct {
		const char *name;
		int flag;
	} types[] = {
		{"user", CLONE_NEWUSER}, {"mnt", CLONE_NEWNS}, {"pid", CLONE_NEWPID},       {"net", CLONE_NEWNET},
		{"ipc", CLONE_NEWIPC},   {"uts", CLONE_NEWUTS}, {"cgroup", CLONE_NEWCGROUP}, {"time", CLONE_NEWTIME},
	};
	*ret = 0;
	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		char theirs[64], ours[64];
		struct stat a, b;
		(void) snprintf(theirs, sizeof(theirs), "/proc/%d/ns/%s", (int) pid, types[i].name);
		(void) snprintf(ours, sizeof(ours), "/proc/self/ns/%s", types[i].name);
		if (stat(ours, &b) < 0 && errno == ENOENT)
			continue; /* a kernel without that kind */
		if (stat(theirs, &a) < 0)
			return -errno;
		if (a.st_ino != b.st_ino)
			*ret |= types[i].flag;
	}
	return 0;
}

static _Noreturn void exec_main(struct exec_ctx *x);

static int step_enter(struct exec_ctx *x, struct err *err)
{
	struct sandbox *s = &x->s;
	int flags;
	int r = exec_foreign_namespaces(x->args->pid, &flags);
	if (r < 0)
		return err_sys(err, r, "looking at the container's namespaces");
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return err_sys(err, -errno, "prctl");
	/* The process is born into its v2 cgroup: writing it to cgroup.procs would wait for an RCU grace period. A creator inside the cgroup namespace could
	 * not see its own cgroup and would be refused that (cgroup_procs_write_permission()), so the process joins the namespace itself. */
	x->cgroupns = s->cgroup.v2 >= 0 && flags & CLONE_NEWCGROUP;
	/* a container in our own mount namespace has a root of its own all the same */
	char path[32];
	(void) snprintf(path, sizeof(path), "/proc/%d/root", (int) x->args->pid);
	_cleanup_close_ int root = flags & CLONE_NEWNS ? -EBADF : open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (!(flags & CLONE_NEWNS) && root < 0)
		return err_sys(err, -errno, "opening the container's root");
	flags &= x->cgroupns ? ~CLONE_NEWCGROUP : ~0;
	r = flags ? (setns(x->args->pidfd, flags) < 0 ? -errno : 0) : process_kill(x->args->pidfd, 0); /* and it was the right pid above */
	if (r < 0)
		return err_sys(err, r, "setns");
	r = root >= 0 ? mnt_chroot(root) : 0;
	if (r < 0)
		return err_sys(err, r, "entering the container's root");
	pid_t pid = process_clone(CLONE_PARENT, s->cgroup.v2, &s->child);
	if ((pid == -EBUSY || pid == -EOPNOTSUPP) && x->deeper_fd >= 0)
		pid = process_clone(CLONE_PARENT, x->deeper_fd, &s->child);
	if (pid < 0)
		return err_sys(err, pid, "clone3");
	if (pid == 0)
		exec_main(x);
	struct report rep = {.kind = REPORT_PID, .pid = pid};
	r = report_send(s->report_fd, &rep, s->child.fd);
	return r < 0 ? err_sys(err, r, "reporting the process") : 0;
}

static int step_join(struct exec_ctx *x, struct err *err)
{
	int r = step_join_cgroup(&x->s, err);
	if (r == 0 && x->cgroupns && setns(x->args->pidfd, CLONE_NEWCGROUP) < 0)
		return err_sys(err, -errno, "joining the cgroup namespace");
	return r;
}

static int step_root(struct exec_ctx *x, struct err *err)
{
	x->s.root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	return x->s.root_fd < 0 ? err_sys(err, -errno, "opening the root") : 0;
}

static int step_fresh_root_ids(struct exec_ctx *x, struct err *err)
{
	return x->s.spec->ns[NS_USER].mode != NS_MODE_HOST ? creds_become_root(&x->s, err) : 0;
}

static const struct step enter_steps[] = {
	STEP("exec-config", "exec document", step_documents),
	STEP("exec-bounds", "exec document", step_no_more),
	STEP("exec-lsm-check", "LSM label", lsm_prepare),
	STEP("exec-filter", "seccomp filter", creds_filter_load),
	STEP("exec-cgroup", "cgroup", step_cgroup_open),
	STEP("exec-limits", "resource limits", limits_raise),
	STEP("exec-attributes", "process attributes", attributes_before),
	STEP("exec-enter", "namespaces", step_enter),
};

static const struct step process_steps[] = {
	STEP("exec-join", "cgroup", step_join),
	STEP("exec-root-ids", "user namespace", step_fresh_root_ids),
	STEP("exec-lsm-attributes", "LSM label", lsm_open),
	STEP("exec-keyring", "session keyring", creds_keyring),
	STEP("exec-root", "root filesystem", step_root),
	STEP("exec-user", "user", user_resolve),
	STEP("exec-console", "terminal", dev_console),
	STEP("exec-stdio", "standard streams", step_stdio),
	STEP("exec-environment", "environment", step_environment),
	STEP("exec-rlimits", "resource limits", limits_apply),
	STEP("exec-own-attributes", "process attributes", attributes_own),
	STEP("exec-ids", "user and groups", creds_ids),
	STEP("exec-deathsig", "parent death signal", step_deathsig),
	STEP("exec-cwd", "working directory", command_cwd),
	STEP("exec-command", "command", command_find),
	STEP("exec-bounding", "capabilities", creds_bounding),
	STEP("exec-hooks", "seccomp listener", start_hooks_before_pivot),
	STEP("exec-lsm", "LSM label", lsm_apply),
	STEP("exec-no-new-privs", "no_new_privs", creds_no_new_privs),
	STEP("exec-landlock", "Landlock", creds_landlock),
	STEP("exec-seccomp-early", "seccomp filter", creds_seccomp_early),
	STEP("exec-lsm-late", "LSM label", lsm_apply_late),
	STEP("exec-caps", "capabilities", creds_caps),
	STEP("exec-seccomp", "seccomp filter", creds_seccomp),
	STEP("exec-exec", "exec", command_exec),
};

const struct step_table exec_step_tables[2] = {{enter_steps, ARRAY_LEN(enter_steps)}, {process_steps, ARRAY_LEN(process_steps)}};

static _Noreturn void exec_main(struct exec_ctx *x)
{
	struct err err;
	(void) umask(x->s.process->has_umask ? (mode_t) x->s.process->umask : 0022);
	if (steps_run(process_steps, ARRAY_LEN(process_steps), x, x->s.fail_step, -EBADF, &err) < 0)
		sandbox_fail(&x->s, &err);
	_exit(1);
}

_Noreturn void exec_create(const struct sandbox_exec_args *args, int (*compile)(struct sandbox *s, struct err *err))
{
	static struct exec_ctx x; /* large; the forked child has one */
	struct err err;
	sandbox_ctx_init(&x.s);
	x.args = args;
	x.compile = compile;
	x.s.is_exec = true;
	x.s.fail_step = args->fail_step;
	x.s.flags = args->flags;
	x.s.config_file = args->config_file ? args->config_file : "config.json";
	x.s.spec = args->spec;
	x.s.id = args->id;
	x.s.bundle = args->bundle;
	x.s.preserve_fds = args->preserve_fds;
	x.s.bundle_fd = args->bundle_fd;
	x.s.report_fd = args->report_fd;
	memcpy(x.s.stdio, args->stdio, sizeof(x.s.stdio));
	signals_reset();
	if (steps_run(enter_steps, ARRAY_LEN(enter_steps), &x, x.s.fail_step, -EBADF, &err) < 0) {
		if (x.s.child.fd >= 0)
			(void) process_kill(x.s.child.fd, SIGKILL); /* half made */
		sandbox_fail(&x.s, &err);
	}
	_exit(0);
}

_Noreturn void sandbox_exec(const struct sandbox_exec_args *args)
{
	exec_create(args, NULL);
}

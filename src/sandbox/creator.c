/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The creator: a forked child of the monitor that does what needs host root, makes init as the monitor's child, and leaves. With a
 * user namespace of its own the clone comes first, since the new namespace carries the id maps; with a shared one the mounts come
 * first, because joining it costs the creator its host capabilities.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/report.h"
#include "kernel/compat.h"
#include "sandbox/handover.h"
#include "sandbox/internal.h"

#define CONFIG_MAX (8u << 20)

static const struct coffer_ext no_ext;

void sandbox_ctx_init(struct sandbox *s)
{
	*s = (struct sandbox) {
		.bundle_fd = -EBADF, .report_fd = -EBADF, .stdio = {-EBADF, -EBADF, -EBADF}, .trace_fd = -EBADF, .sync = {-EBADF, -EBADF},
		.userns_fd = -EBADF, .rootfs_mnt = -EBADF, .child = PIDREF_NULL, .root_fd = -EBADF, .proc_fd = -EBADF,
		.ext = &no_ext,
	};
	cgroup_init(&s->cgroup);
}

static int step_config(struct sandbox *s, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	ssize_t n = read_file(s->bundle_fd, "config.json", CONFIG_MAX, &text);
	if (n < 0)
		return err_sys(err, (int) n, "reading config.json");
	int r = runtime_spec_parse(text, (size_t) n, &s->spec, err);
	if (r < 0)
		return r;
	s->process = &s->spec->process;
	s->ext = &s->spec->coffer;
	return plan_build(s->spec, &s->plan, err);
}

/* --init: our pid 1 is bound in beside the device nodes and gets the command as its arguments. */
#define INIT_INSIDE "/dev/init"

static int step_init_program(struct sandbox *s, struct err *err)
{
	if (!s->ext->init_path)
		return 0;
	struct plan_mount *m = realloc(s->plan.mounts, (s->plan.n_mounts + 1) * sizeof(*m));
	if (!m)
		return err_oom(err);
	s->plan.mounts = m;
	m[s->plan.n_mounts++] = (struct plan_mount) {
		.kind = PLAN_BIND, .dst = INIT_INSIDE, .src = s->ext->init_path, .attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID, .propagation = MS_PRIVATE, .fd = -EBADF,
	};
	char **args = NULL;
	if (strv_push(&args, INIT_INSIDE) < 0)
		return err_oom(err);
	STRV_FOREACH(a, s->spec->process.args)
		if (strv_push(&args, a) < 0)
			return err_oom(err);
	strv_free(s->spec->process.args);
	s->spec->process.args = args;
	return 0;
}

static int step_cgroup(struct sandbox *s, struct err *err)
{
	const char *failed, *path = s->ext->cgroup_path ? s->ext->cgroup_path : s->spec->cgroups_path;
	if (!path)
		return 0;
	int r = cgroup_create(&s->cgroup, path + strspn(path, "/"), s->plan.controllers, &failed);
	if (r < 0)
		return err_sys(err, r, "%s: creating '%s'", failed, path);
	s->n_join = cgroup_join_fds(&s->cgroup, s->join_fds);
	return s->n_join < 0 ? err_sys(err, s->n_join, "opening tasks of '%s'", path) : 0;
}

static int step_userns_path(struct sandbox *s, struct err *err)
{
	const struct ns_spec *ns = &s->spec->ns[NS_USER];
	if (ns->mode != NS_MODE_PATH)
		return 0;
	s->userns_fd = open(ns->path, O_RDONLY | O_CLOEXEC);
	return s->userns_fd < 0 ? err_sys(err, -errno, "user namespace '%s'", ns->path) : 0;
}

static int step_clone(struct sandbox *s, struct err *err)
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, s->sync) < 0)
		return err_sys(err, -errno, "socketpair");
	if (s->spec->ns[NS_USER].mode == NS_MODE_PATH && setns(s->userns_fd, CLONE_NEWUSER) < 0)
		return err_sys(err, -errno, "joining the user namespace");
	/* not dumpable until execve: nothing inside may look at us through /proc (CVE-2016-9962, R6) */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return err_sys(err, -errno, "prctl");
	pid_t pid = process_clone(s->plan.clone_flags | CLONE_PARENT, s->cgroup.v2, &s->child);
	if (pid < 0)
		return err_sys(err, pid, "clone3");
	if (pid == 0)
		init_main(s);
	s->sync[1] = safe_close(s->sync[1]);
	struct report r = {.kind = REPORT_PID, .pid = pid};
	int e = report_send(s->report_fd, &r, s->child.fd);
	return e < 0 ? err_sys(err, e, "reporting init") : 0;
}

static int write_map(struct sandbox *s, const char *file, const struct id_map *m, struct err *err)
{
	_cleanup_strbuf_ struct strbuf b = STRBUF_INIT(64u << 10);
	for (size_t i = 0; i < m->n; i++)
		strbuf_addf(&b, "%u %u %u\n", m->v[i].ctr, m->v[i].host, m->v[i].size);
	char path[64];
	(void) snprintf(path, sizeof(path), "/proc/%d/%s", (int) s->child.pid, file);
	int r = strbuf_err(&b) < 0 ? strbuf_err(&b) : write_file(AT_FDCWD, path, b.s);
	return r < 0 ? err_sys(err, r, "writing %s", file) : 0;
}

static int step_maps(struct sandbox *s, struct err *err)
{
	if (!s->plan.new_userns)
		return handover_maps(s, err);
	int r = write_map(s, "uid_map", &s->spec->uids, err);
	if (r == 0)
		r = write_map(s, "gid_map", &s->spec->gids, err);
	if (r < 0)
		return r;
	char path[64];
	(void) snprintf(path, sizeof(path), "/proc/%d/ns/user", (int) s->child.pid);
	s->userns_fd = open(path, O_RDONLY | O_CLOEXEC);
	return s->userns_fd < 0 ? err_sys(err, -errno, "opening the user namespace") : handover_maps(s, err);
}

static const struct step prepare_steps[] = {
	STEP("config", "config.json", step_config),
	STEP("init-program", "init", step_init_program),
	STEP("filter", "seccomp filter", creds_filter_load),
	STEP("cgroup", "cgroup", step_cgroup),
	STEP("cgroup-limits", "cgroup limits", limits_cgroup),
	STEP("limits", "resource limits", limits_raise),
	STEP("userns", "user namespace", step_userns_path),
};
static const struct step clone_steps[] = {
	STEP("clone", "namespaces", step_clone),
	STEP("id-maps", "user namespace", step_maps),
};
static const struct step mount_steps[] = {
	STEP("rootfs", "root filesystem", rootfs_build),
	STEP("volumes", "volumes", mounts_prepare),
};
static const struct step handover_steps[] = {
	STEP("handover", "init", handover_send),
};

static int run_all(struct sandbox *s, struct err *err)
{
#define RUN(t) steps_run(t, ARRAY_LEN(t), s, s->fail_step, s->trace_fd, err)
	int r = RUN(prepare_steps);
	bool clone_first = r == 0 && s->spec->ns[NS_USER].mode != NS_MODE_PATH;
	if (r == 0 && clone_first)
		r = RUN(clone_steps);
	if (r == 0)
		r = RUN(mount_steps);
	if (r == 0 && !clone_first)
		r = RUN(clone_steps);
	return r == 0 ? RUN(handover_steps) : r;
#undef RUN
}

_Noreturn void sandbox_create(const struct sandbox_args *args)
{
	static struct sandbox s; /* large; the forked child has one */
	struct err err;
	sandbox_ctx_init(&s);
	s.fail_step = args->fail_step;
	s.bundle_fd = args->bundle_fd;
	s.report_fd = args->report_fd;
	memcpy(s.stdio, args->stdio, sizeof(s.stdio));
	if (getenv("COFFER_TRACE_STEPS"))
		s.trace_fd = open(getenv("COFFER_TRACE_STEPS"), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	signals_reset();
	(void) umask(0022);
	if (run_all(&s, &err) < 0) {
		if (s.child.fd >= 0)
			(void) process_kill(s.child.fd, SIGKILL); /* init waits for us: it must not outlive this */
		sandbox_fail(&s, &err);
	}
	_exit(0);
}

static const char *names[ARRAY_LEN(prepare_steps) + ARRAY_LEN(clone_steps) + ARRAY_LEN(mount_steps) + ARRAY_LEN(handover_steps) + 64];

const char *const *sandbox_steps(void)
{
	size_t n = 0;
	const struct {
		const struct step *v;
		size_t n;
	} tables[] = {
		{prepare_steps, ARRAY_LEN(prepare_steps)}, {clone_steps, ARRAY_LEN(clone_steps)}, {mount_steps, ARRAY_LEN(mount_steps)},
		{handover_steps, ARRAY_LEN(handover_steps)}, {init_steps, n_init_steps},
	};
	for (size_t t = 0; t < ARRAY_LEN(tables); t++)
		for (size_t i = 0; i < tables[t].n && n + 1 < ARRAY_LEN(names); i++)
			names[n++] = tables[t].v[i].name;
	names[n] = NULL;
	return names;
}

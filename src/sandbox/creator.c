/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The creator: does what needs host root, makes init, hands it its mounts. For the monitor it is a forked child that makes init as the
 * monitor's child and leaves; coffer-oci is its own creator (start.c). With a user namespace of its own the clone comes first, since
 * the new namespace carries the id maps; with a shared one the mounts come first, because joining it costs the creator its host
 * capabilities.
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
		.userns_fd = -EBADF, .rootfs_mnt = -EBADF, .child = PIDREF_NULL, .root_fd = -EBADF, .proc_fd = -EBADF, .start_fd = -EBADF, .peer_fd = -EBADF, .lock_fd = -EBADF, .caller_mnt_fd = -EBADF, .shm_ns_fd = -EBADF,
		.ext = &no_ext, .lsm = LSM_STATE_NULL,
	};
	for (int k = 0; k < NS_KIND_MAX_; k++)
		s->ns_fds[k] = -EBADF;
	cgroup_init(&s->cgroup);
}

/* Root of a user namespace below the host's: the host's maps all 2^32-1 ids onto themselves (user_namespaces(7)). */
static bool in_nested_userns(void)
{
	_cleanup_free_ char *map = NULL;
	uint32_t v[3] = {1, 1, 0};
	if (read_file(AT_FDCWD, "/proc/self/uid_map", 64u << 10, &map) > 0)
		(void) sscanf(map, "%u %u %u", &v[0], &v[1], &v[2]);
	return v[0] != 0 || v[1] != 0 || v[2] != UINT32_MAX;
}

void creator_rights(struct sandbox *s)
{
	s->rootless = geteuid() != 0;
	s->nested = !s->rootless && in_nested_userns();
}

static int step_config(struct sandbox *s, struct err *err)
{
	if (!s->spec) {
		_cleanup_free_ char *text = NULL;
		ssize_t n = read_file(s->bundle_fd, s->config_file, CONFIG_MAX, &text);
		if (n < 0)
			return err_sys(err, (int) n, "reading %s", s->config_file);
		int r = runtime_spec_parse(text, (size_t) n, &s->spec, err);
		if (r < 0)
			return r;
	}
	s->process = &s->spec->process;
	if (sandbox_obeys(s)) {
		if (!s->spec->process.args)
			return err_set(err, ERR_INVALID, "process: missing: a container needs something to run");
		s->spec->process.has_caps = true; /* none named: none held (config.md "capabilities") */
		creator_rights(s);
	} else
		s->ext = &s->spec->coffer;
	int r = plan_build(s->spec, s->flags, &s->plan, err);
	if (r == 0)
		stdio_own(s);
	return r;
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
		.kind = PLAN_BIND, .dst = INIT_INSIDE, .src = s->ext->init_path, .attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID, .propagation = MS_PRIVATE, .fd = -EBADF, .map_fd = -EBADF,
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

static int step_clone(struct sandbox *s, struct err *err)
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, s->sync) < 0)
		return err_sys(err, -errno, "socketpair");
	/* not dumpable until execve: nothing inside may look at us through /proc (CVE-2016-9962, R6). The id maps of a process that is not can only
	 * be written by host root: for anybody else init does this itself, a moment later. */
	if (!s->rootless && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return err_sys(err, -errno, "prctl");
	pid_t pid = process_clone(s->plan.clone_flags | (s->own_child ? 0 : CLONE_PARENT), s->cgroup.v2, &s->child);
	if (pid < 0)
		return err_sys(err, pid, "clone3");
	if (pid == 0)
		init_main(s);
	s->sync[1] = safe_close(s->sync[1]);
	if (s->own_child)
		return 0;
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

int creator_maps(struct sandbox *s, struct err *err)
{
	if (!s->plan.new_userns)
		return 0;
	int r = s->rootless ? rootless_maps(s, err) : write_map(s, "uid_map", &s->spec->uids, err);
	if (r == 0 && !s->rootless)
		r = write_map(s, "gid_map", &s->spec->gids, err);
	if (r < 0)
		return r;
	char path[64];
	(void) snprintf(path, sizeof(path), "/proc/%d/ns/user", (int) s->child.pid);
	s->userns_fd = open(path, O_RDONLY | O_CLOEXEC);
	return s->userns_fd < 0 ? err_sys(err, -errno, "opening the user namespace") : 0;
}

static const struct step prepare_steps[] = {
	STEP("config", "config.json", step_config),
	STEP("init-program", "init", step_init_program),
	STEP("lsm-check", "LSM label", lsm_prepare),
	STEP("filter", "seccomp filter", creds_filter_load),
	STEP("cgroup", "cgroup", cgroup_setup),
	STEP("cgroup-limits", "cgroup limits", cgroup_limits),
	STEP("limits", "resource limits", limits_raise),
	STEP("namespaces", "namespaces", namespaces_open),
	STEP("net-devices", "network devices", netdevices_read),
};
static const struct step clone_steps[] = {
	STEP("attributes", "process attributes", attributes_before),
	STEP("time-namespace", "time namespace", namespaces_time),
	STEP("join", "namespaces", namespaces_join),
	STEP("clone", "namespaces", step_clone),
	STEP("id-maps", "user namespace", creator_maps),
	STEP("child-attributes", "process attributes", attributes_after),
	STEP("rdt", "resource director", rdt_apply),
	STEP("maps-done", "init", handover_maps),
};
static const struct step mount_steps[] = {
	STEP("rootfs", "root filesystem", rootfs_build),
	STEP("volumes", "volumes", mounts_prepare),
};
static const struct step handover_steps[] = {
	STEP("net-devices-move", "network devices", netdevices_move),
	STEP("handover", "init", handover_send),
	STEP("interfaces", "network", interfaces_make), /* beside init, which mounts meanwhile */
	STEP("all-done", "init", handover_done),
};

#define RUN(t) steps_run(t, ARRAY_LEN(t), s, s->fail_step, s->trace_fd, err)
int creator_prepare(struct sandbox *s, struct err *err)
{
	return RUN(prepare_steps);
}

bool creator_joins(const struct sandbox *s)
{
	bool joins = s->spec->ns[NS_TIME].mode == NS_MODE_NEW;
	for (int k = 0; k < NS_KIND_MAX_; k++)
		joins |= s->ns_fds[k] >= 0 && k != NS_MOUNT;
	return joins;
}

int creator_finish(struct sandbox *s, struct err *err)
{
	bool clone_first = s->spec->ns[NS_USER].mode != NS_MODE_PATH;
	int r = clone_first ? RUN(clone_steps) : 0;
	if (r == 0)
		r = RUN(mount_steps);
	if (r == 0 && !clone_first)
		r = RUN(clone_steps);
	if (r == 0)
		r = RUN(handover_steps);
	if (r < 0 && s->child.fd >= 0)
		(void) process_kill(s->child.fd, SIGKILL); /* init waits for us: it must not outlive this */
	return r;
}
#undef RUN

_Noreturn void sandbox_create(const struct sandbox_args *args)
{
	static struct sandbox s; /* large; the forked child has one */
	struct err err;
	creator_init(&s, args);
	signals_reset();
	(void) umask(0022);
	int r = creator_prepare(&s, &err);
	if (r == 0)
		r = creator_finish(&s, &err);
	if (r < 0)
		sandbox_fail(&s, &err);
	_exit(0);
}

void creator_init(struct sandbox *s, const struct sandbox_args *args)
{
	sandbox_ctx_init(s);
	s->fail_step = args->fail_step;
	s->flags = args->flags;
	s->config_file = args->config_file ? args->config_file : "config.json";
	s->spec = args->spec;
	s->id = args->id;
	s->bundle = args->bundle;
	s->start_fd = args->start_fd > 0 ? args->start_fd : -EBADF;
	s->lock_fd = args->lock_fd > 0 ? args->lock_fd : -EBADF;
	s->preserve_fds = args->preserve_fds;
	s->bundle_fd = args->bundle_fd;
	s->report_fd = args->report_fd;
	memcpy(s->stdio, args->stdio, sizeof(s->stdio));
	const char *trace = getenv("COFFER_TRACE_STEPS");
	if (trace)
		s->trace_fd = open(trace, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

static const char *names[160];

const char *const *sandbox_steps(void)
{
	size_t n = 0;
	const struct step_table tables[] = {
		{prepare_steps, ARRAY_LEN(prepare_steps)}, {clone_steps, ARRAY_LEN(clone_steps)}, {mount_steps, ARRAY_LEN(mount_steps)},
		{handover_steps, ARRAY_LEN(handover_steps)}, {init_steps, n_init_steps}, exec_step_tables[0], exec_step_tables[1],
	};
	for (size_t t = 0; t < ARRAY_LEN(tables); t++)
		for (size_t i = 0; i < tables[t].n && n + 1 < ARRAY_LEN(names); i++)
			names[n++] = tables[t].v[i].name;
	names[n] = NULL;
	return names;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/foreign.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "kernel/compat.h"
#include "kernel/mount.h"
#include "kernel/path.h"
#include "kernel/userns.h"
#include "sandbox/copyup.h"
#include "sandbox/foreign_internal.h"

#define CONFIG_MAX (4u << 20)
#define INIT_INSIDE "/dev/init"

/* What the container is */

static int bundle_name(struct foreign *f, struct err *err)
{
	char proc[32];
	(void) snprintf(proc, sizeof(proc), "/proc/self/fd/%d", f->s.bundle_fd);
	ssize_t n = readlink(proc, f->bundle, sizeof(f->bundle) - 1);
	if (n <= 0)
		return err_sys(err, n < 0 ? -errno : -ENOENT, "the bundle's path");
	f->bundle[n] = '\0';
	const char *slash = strrchr(f->bundle, '/');
	return str_copy(f->id, sizeof(f->id), slash ? slash + 1 : f->bundle) < 0 ? err_sys(err, -ENAMETOOLONG, "the bundle's name") : 0;
}

static int read_document(struct foreign *f, struct err *err)
{
	struct sandbox *s = &f->s;
	_cleanup_free_ char *text = NULL;
	ssize_t n = read_file(s->bundle_fd, "config.json", CONFIG_MAX, &text);
	if (n < 0)
		return err_sys(err, (int) n, "reading config.json");
	int r = runtime_spec_parse(text, (size_t) n, &s->spec, err);
	r = r < 0 ? r : bundle_name(f, err);
	if (r < 0)
		return r;
	f->ext = s->spec->coffer; /* the document goes on without it */
	s->spec->coffer = (struct coffer_ext){0};
	s->ext = &f->ext;
	s->process = &s->spec->process;
	return f->ext.runtime && f->ext.runtime[0] == '/' ? 0 : err_set(err, ERR_INVALID, "coffer.runtime: missing");
}

/* --init: bound in beside the device nodes, as the sandbox does it */
static int add_init(struct foreign *f, struct err *err)
{
	static const char *const options[] = {"bind", "ro", "nosuid", NULL};
	struct runtime_spec *d = f->s.spec;
	_cleanup_strv_ char **args = NULL;
	if (!f->ext.init_path)
		return 0;
	if (strv_push(&args, INIT_INSIDE) < 0)
		return err_oom(err);
	STRV_FOREACH(a, d->process.args)
		if (strv_push(&args, a) < 0)
			return err_oom(err);
	strv_free(d->process.args);
	d->process.args = take_ptr(args);
	return runtime_spec_add_mount(d, INIT_INSIDE, "bind", f->ext.init_path, (char *const *) options, NULL) < 0 ? err_oom(err) : 0;
}

static int step_config(struct foreign *f, struct err *err)
{
	int r = read_document(f, err);
	r = r < 0 ? r : add_init(f, err);
	return r < 0 ? r : plan_build(f->s.spec, /* flags= */ 0, &f->s.plan, err);
}

/* What layers and volumes are shifted by: the runtime will write the same maps once more, into the container's own user namespace. */
static int step_maps(struct foreign *f, struct err *err)
{
	struct sandbox *s = &f->s;
	_cleanup_strbuf_ struct strbuf uids = STRBUF_INIT(64u << 10), gids = STRBUF_INIT(64u << 10);
	if (!s->plan.new_userns)
		return 0;
	plan_id_map_text(&s->spec->uids, &uids);
	plan_id_map_text(&s->spec->gids, &gids);
	if (strbuf_err(&uids) < 0 || strbuf_err(&gids) < 0)
		return err_oom(err);
	s->userns_fd = userns_for_maps(uids.s, gids.s);
	return s->userns_fd < 0 ? err_sys(err, s->userns_fd, "a user namespace with the container's maps") : 0;
}

/* @fn in a child: the namespaces that it enters and its umask are its own. *@ret_fd: the descriptor that it hands back, or -EBADF. */
static int in_child(struct foreign *f, int (*fn)(struct foreign *f, int *ret_fd, struct err *err), const char *what, int *ret_fd, struct err *err)
{
	int pair[2], fd = -EBADF, status;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys(err, -errno, "socketpair");
	_cleanup_close_ int ours = pair[0], theirs = pair[1];
	pid_t pid = fork();
	if (pid < 0)
		return err_sys(err, -errno, "fork");
	struct report r = {.kind = REPORT_READY};
	if (pid == 0) {
		if (fn(f, &fd, &r.err) < 0)
			r.kind = REPORT_FAILED;
		_exit(report_send(theirs, &r, fd) < 0);
	}
	theirs = safe_close(theirs);
	int n = report_recv(ours, &r, &fd);
	(void) process_wait(pid, &status); /* its message tells */
	if (n > 0 && r.kind != REPORT_FAILED) {
		*ret_fd = fd;
		return 0;
	}
	safe_close(fd);
	if (n <= 0)
		return err_sys(err, n < 0 ? n : -EIO, "%s", what);
	*err = r.err;
	return err->sys;
}

static int build(struct foreign *f, int *ret_fd, struct err *err)
{
	int r = rootfs_build(&f->s, err);
	if (r >= 0)
		*ret_fd = f->s.rootfs_mnt;
	return r;
}

/* Older kernels need a mount namespace to build an overlay in, and its stage would hide directories from the runtime. */
static int step_rootfs(struct foreign *f, struct err *err)
{
	return in_child(f, build, "building the root filesystem", &f->s.rootfs_mnt, err);
}

static int step_stage(struct foreign *f, struct err *err)
{
	struct sandbox *s = &f->s;
	int r = stage_make(f, err);
	r = r < 0 ? r : stage_attach(f, s->rootfs_mnt, "rootfs", err);
	if (r < 0)
		return r;
	s->root_fd = take_fd(&s->rootfs_mnt);
	r = s->userns_fd >= 0 ? mnt_attr(s->root_fd, MOUNT_ATTR_NODEV, 0, false) : 0;
	return r < 0 ? err_sys(err, r, "root filesystem options") : document_mounts(f, err);
}

/* What the sandbox does from inside as the container's root: first contents of volumes, a missing working directory. */
static int fill(struct foreign *f, int *ret_fd, struct err *err)
{
	struct sandbox *s = &f->s;
	(void) umask(0);
	if (s->userns_fd >= 0 && (setns(s->userns_fd, CLONE_NEWUSER) < 0 || setgroups(0, NULL) < 0 || setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0))
		return err_sys(err, -errno, "becoming the container's root");
	for (size_t i = 0; i < s->plan.n_mounts; i++) {
		const struct plan_mount *m = &s->plan.mounts[i];
		_cleanup_close_ int from = m->copyup ? open_in_root(s->root_fd, m->dst, O_PATH | O_DIRECTORY, 0) : -ENOENT;
		int r = from < 0 ? 0 : copyup(from, m->fd, err);
		if (r < 0)
			return r;
	}
	_cleanup_close_ int cwd = mkdir_in_root(s->root_fd, s->process->cwd, 0755);
	return cwd < 0 && cwd != -ENOTDIR && cwd != -EROFS ? err_sys(err, cwd, "making the working directory '%s'", s->process->cwd) : 0;
}

static int step_fill(struct foreign *f, struct err *err)
{
	int none;
	return in_child(f, fill, "filling the container", &none, err);
}

static int step_document(struct foreign *f, struct err *err)
{
	int r = document_process(f, &f->s.spec->process, err);
	return r < 0 ? r : document_write(f, err);
}

static int step_create(struct foreign *f, struct err *err)
{
	char bundle[PATH_MAX + 8], pid[64], console[64];
	if (snprintf(bundle, sizeof(bundle), "%s/" FOREIGN_STATE, f->bundle) >= (int) sizeof(bundle))
		return err_sys(err, -ENAMETOOLONG, "the bundle");
	bool tty = f->s.process->terminal;
	int r = tty ? runtime_console(f, err) : 0;
	if (r < 0)
		return r;
	const char *const argv[] = {"create", "--bundle", bundle, "--pid-file", stage_path(f, pid, "pid"), tty ? "--console-socket" : f->id,
				    tty ? stage_path(f, console, "console") : NULL, tty ? f->id : NULL, NULL};
	r = runtime_run(f, argv, /* with_stdio= */ true, err);
	return r < 0 ? r : runtime_report(f, err);
}

static int step_interfaces(struct foreign *f, struct err *err)
{
	return interfaces_give(&f->ext, f->pid, err);
}

static int step_start(struct foreign *f, struct err *err)
{
	const char *const argv[] = {"start", f->id, NULL};
	return runtime_run(f, argv, /* with_stdio= */ false, err);
}

static const struct step create_steps[] = {
	STEP("foreign-config", "config.json", step_config),
	STEP("foreign-lsm", "LSM label", lsm_prepare),
	STEP("foreign-maps", "user namespace", step_maps),
	STEP("foreign-volumes", "volumes", mounts_prepare),
	STEP("foreign-rootfs", "root filesystem", step_rootfs),
	STEP("foreign-stage", "stage", step_stage),
	STEP("foreign-fill", "first contents", step_fill),
	STEP("foreign-document", "document", step_document),
	STEP("foreign-create", "runtime", step_create),
	STEP("foreign-interfaces", "network", step_interfaces),
	STEP("foreign-start", "runtime", step_start),
};

_Noreturn void foreign_create(const struct sandbox_args *args)
{
	static struct foreign f; /* large; the forked child has one */
	struct err err;
	creator_init(&f.s, args);
	f.stage = f.console = -EBADF;
	signals_reset();
	(void) umask(0022);
	if (steps_run(create_steps, ARRAY_LEN(create_steps), &f, f.s.fail_step, f.s.trace_fd, &err) < 0)
		sandbox_fail(&f.s, &err);
	_exit(0);
}

/* One more process */

static int exec_documents(struct foreign *f, const struct sandbox_exec_args *args, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	char root[64];
	struct coffer_ext ext = {0};
	int r = read_document(f, err);
	if (r < 0)
		return r;
	ssize_t n = read_file(args->bundle_fd, args->exec_file, CONFIG_MAX, &text);
	if (n < 0)
		return err_sys(err, (int) n, "reading %s", args->exec_file);
	r = exec_spec_parse(text, (size_t) n, &f->process, &ext, err);
	if (r < 0)
		return r;
	ext.runtime = take_ptr(f->ext.runtime); /* the container's, whatever the exec's document says */
	coffer_ext_done(&f->ext);
	f->ext = ext;
	(void) snprintf(root, sizeof(root), "/proc/%d/root", args->pid);
	f->s.root_fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (f->s.root_fd < 0 || process_kill(args->pidfd, 0) < 0)
		return err_set(err, ERR_CONFLICT, "the container is not running");
	return document_process(f, &f->process, err);
}

static int exec_run(struct foreign *f, struct err *err)
{
	_cleanup_strbuf_ struct strbuf out = STRBUF_INIT(CONFIG_MAX);
	char pid[64], console[64], document[64];
	bool tty = f->process.terminal;
	int r = stage_make(f, err);
	if (r == 0 && mkdirat(f->stage, "rootfs", 0711) < 0) /* runc changes to the root's directory before it joins the container */
		r = err_sys(err, -errno, "stage/rootfs");
	r = r < 0 ? r : process_spec_write(&f->process, &out, err);
	if (r < 0)
		return r;
	r = write_file_atomic(f->stage, "process.json", out.s, out.len, 0600);
	if (r < 0)
		return err_sys(err, r, "writing the process document");
	r = tty ? runtime_console(f, err) : 0;
	if (r < 0)
		return r;
	const char *const argv[] = {"exec", "--detach", "--process", stage_path(f, document, "process.json"), "--pid-file", stage_path(f, pid, "pid"),
				    tty ? "--console-socket" : f->id, tty ? stage_path(f, console, "console") : NULL, tty ? f->id : NULL, NULL};
	r = runtime_run(f, argv, /* with_stdio= */ true, err);
	return r < 0 ? r : runtime_report(f, err);
}

_Noreturn void foreign_exec(const struct sandbox_exec_args *args)
{
	static struct foreign f;
	struct err err;
	const struct sandbox_args as = {
		.bundle_fd = args->bundle_fd, .report_fd = args->report_fd, .stdio = {args->stdio[0], args->stdio[1], args->stdio[2]}, .fail_step = args->fail_step};
	creator_init(&f.s, &as);
	f.stage = f.console = -EBADF;
	f.s.is_exec = true;
	signals_reset();
	(void) umask(0022);
	int r = exec_documents(&f, args, &err);
	if (r == 0)
		r = exec_run(&f, &err);
	if (r < 0)
		sandbox_fail(&f.s, &err);
	_exit(0);
}

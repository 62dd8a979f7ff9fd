/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/view.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "kernel/compat.h"
#include "kernel/mount.h"
#include "sandbox/handover.h"
#include "sandbox/internal.h"

#define CONFIG_MAX (8u << 20)
#define OWN_NAMESPACES (CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP)

struct build {
	struct sandbox s; /* first: the shared steps take it */
	const struct view_args *a;
	struct coffer_ext ext;
	int upper, lower; /* owned; VIEW_LAYERS */
};

static int become_root(struct err *err)
{
	if (setgroups(0, NULL) < 0 || setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
		return err_sys(err, -errno, "becoming root of the user namespace");
	/* behind the ids, whose change clears it; on whom the first stage has died before that notices at its socket */
	return prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 ? err_sys(err, -errno, "prctl") : 0;
}

/* Running containers */

/* With the host's user namespace there is none to enter: one of our own, with the host's ids, in which no capability reaches the host. */
static int enter_own_userns(int sync, struct err *err)
{
	char c;
	if (unshare(CLONE_NEWUSER) < 0)
		return err_sys(err, -errno, "a user namespace");
	if (send_fds(sync, "u", 1, NULL, 0) < 0 || read_full(sync, &c, 1) != 1)
		return err_set(err, ERR_SYSTEM, "the first stage is gone");
	return 0;
}

static int enter(const struct view_args *a, int sync, struct view *ret, struct err *err)
{
	int differ;
	int r = exec_foreign_namespaces(a->pid, &differ);
	if (r == 0 && !(differ & CLONE_NEWNS))
		return err_set(err, ERR_UNSUPPORTED, "the container has no mount namespace of its own");
	if (r == 0 && setns(a->pidfd, differ & ~(CLONE_NEWPID | CLONE_NEWTIME)) < 0)
		r = -errno;
	if (r == -ENOENT || r == -ESRCH)
		return err_set(err, ERR_CONFLICT, "the container has just ended");
	if (r < 0)
		return err_sys(err, r, "entering the container's namespaces");
	_cleanup_close_ int root = a->kind == VIEW_BARE ? mnt_clone(AT_FDCWD, "/", /* recursive= */ false) : open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return err_sys(err, a->kind == VIEW_BARE ? root : -errno, "opening the container's root");
	r = differ & CLONE_NEWUSER ? 0 : enter_own_userns(sync, err);
	r = r < 0 ? r : become_root(err);
	if (r == 0)
		*ret = (struct view) {.root = take_fd(&root), .upper = -EBADF, .lower = -EBADF};
	return r;
}

static int write_host_maps(pid_t pid)
{
	static const char *const files[] = {"uid_map", "gid_map"};
	int r = 0;
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(files); i++) {
		char path[64];
		(void) snprintf(path, sizeof(path), "/proc/%d/%s", (int) pid, files[i]);
		r = write_file(AT_FDCWD, path, "0 0 4294967295");
	}
	return r;
}

/* Wait until the child is inside: with its own maps where it asks for them. */
static int serve_maps(pid_t pid, int sync, struct err *err)
{
	char c;
	if (read_full(sync, &c, 1) != 1)
		return 0; /* inside, or it has failed and said so */
	int r = write_host_maps(pid);
	r = r < 0 ? r : send_fds(sync, "m", 1, NULL, 0);
	return r < 0 ? err_sys(err, r, "writing the id maps") : 0;
}

static int fail_here(const struct view_args *a, const char *name, struct err *err)
{
	return str_eq(a->fail_step, name) ? err_set(err, ERR_SYSTEM, "made to fail by a test") : 0;
}

static int open_running(const struct view_args *a, struct view *ret, struct pidref *ret_child, struct err *err)
{
	int sync[2];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sync) < 0)
		return err_sys(err, -errno, "socketpair");
	pid_t pid = process_clone(CLONE_NEWPID, -EBADF, ret_child);
	(void) close(sync[pid == 0 ? 0 : 1]);
	int mine = sync[pid == 0 ? 1 : 0];
	int r = pid < 0 ? err_sys(err, (int) pid, "clone3") : fail_here(a, pid == 0 ? "view-enter" : "view-minder", err);
	r = r < 0 ? r : pid == 0 ? enter(a, mine, ret, err) : serve_maps(pid, mine, err);
	(void) close(mine);
	if (pid > 0 && r < 0) {
		(void) process_kill(ret_child->fd, SIGKILL);
		(void) process_wait(pid, NULL);
	}
	return r < 0 ? r : pid > 0;
}

/* Containers that do not run */

static int step_document(struct build *b, struct err *err)
{
	struct sandbox *s = &b->s;
	_cleanup_free_ char *text = malloc(CONFIG_MAX);
	if (!text)
		return err_oom(err);
	ssize_t n = read_full(b->a->config_fd, text, CONFIG_MAX);
	if (n < 0)
		return err_sys(err, (int) n, "reading the document");
	int r = runtime_spec_parse(text, (size_t) n, &s->spec, err);
	if (r < 0)
		return r;
	if (s->spec->ns[NS_USER].mode == NS_MODE_HOST) { /* as above: the host's ids, in a user namespace all the same */
		s->spec->ns[NS_USER].mode = NS_MODE_NEW;
		if (id_map_add(&s->spec->uids, 0, 0, UINT32_MAX) < 0 || id_map_add(&s->spec->gids, 0, 0, UINT32_MAX) < 0)
			return err_oom(err);
	}
	b->ext = s->spec->coffer; /* its members stay the spec's */
	b->ext.ephemeral = false; /* a volatile overlay could not be mounted again, by the container's own start */
	if (b->a->kind == VIEW_LAYERS)
		b->ext.upper = NULL;
	s->ext = &b->ext;
	s->process = &s->spec->process;
	s->has_own[NS_USER] = true;
	return plan_build(s->spec, 0, &s->plan, err);
}

/* Files of the container's own: what is bound in from the host, and empty tmpfs. Not the kernel's file systems, not /dev, and not what the engine makes
 * anew at each start (its sources are gone). */
static bool wanted(const struct build *b, const struct plan_mount *m)
{
	const char *below = str_after(m->dst, "/dev");
	if (b->a->kind != VIEW_ROOT || (below && (!*below || *below == '/')))
		return false;
	if (m->kind == PLAN_BIND)
		return access(m->src, F_OK) == 0;
	return m->kind == PLAN_FS && str_eq(m->fstype, "tmpfs");
}

static int step_choose(struct build *b, struct err *err)
{
	struct plan *p = &b->s.plan;
	size_t n = 0;
	(void) err;
	for (size_t i = 0; i < p->n_mounts; i++)
		if (wanted(b, &p->mounts[i]))
			p->mounts[n++] = p->mounts[i]; /* what falls out is not freed: the process ends soon */
	p->n_mounts = n;
	return 0;
}

static int step_layers(struct build *b, struct err *err)
{
	struct sandbox *s = &b->s;
	const char *upper = s->spec->coffer.upper;
	if (b->a->kind != VIEW_LAYERS)
		return 0;
	if (!upper)
		return err_set(err, ERR_INVALID, "the container has no layer of its own");
	b->upper = rootfs_clone_dir(s, upper, err);
	return MIN(b->upper, 0);
}

/* An overlay needs two directories. */
static int step_lower(struct build *b, struct err *err)
{
	struct sandbox *s = &b->s;
	if (b->a->kind != VIEW_LAYERS || strv_len(b->ext.layers) != 1)
		return rootfs_build(s, err);
	s->rootfs_mnt = rootfs_clone_dir(s, b->ext.layers[0], err);
	return MIN(s->rootfs_mnt, 0);
}

static int step_hand_over(struct build *b, struct err *err)
{
	int r = handover_send(&b->s, err);
	if (r == 0 && b->a->kind == VIEW_LAYERS && (r = send_fds(b->s.sync[0], "u", 1, &b->upper, 1)) < 0)
		r = err_sys(err, r, "handing the layer over");
	return r;
}

static const struct step prepare_steps[] = {
	STEP("view-document", "the container's document", step_document),
	STEP("view-choose", "mounts", step_choose),
	STEP("view-lsm", "LSM label", lsm_prepare),
};
static const struct step first_steps[] = {
	STEP("view-maps", "user namespace", creator_maps),
	STEP("view-maps-done", "user namespace", handover_maps),
	STEP("view-layer", "the container's layer", step_layers),
	STEP("view-rootfs", "root filesystem", step_lower),
	STEP("view-volumes", "volumes", mounts_prepare),
	STEP("view-hand-over", "mounts", step_hand_over),
};

static int step_receive(struct build *b, struct err *err)
{
	struct sandbox *s = &b->s;
	int r = handover_receive(s, err);
	if (r == 0 && b->a->kind == VIEW_LAYERS) {
		char c;
		size_t n = 1;
		if (recv_fds(s->sync[1], &c, 1, &b->upper, &n) != 1 || n != 1)
			r = err_set(err, ERR_SYSTEM, "no layer came");
	}
	s->sync[1] = safe_close(s->sync[1]);
	return r;
}

/* The layers are reached by descriptor: the root is an empty directory. */
static int step_root(struct build *b, struct err *err)
{
	struct sandbox *s = &b->s;
	if (b->a->kind == VIEW_LAYERS) {
		static const char *const options[][2] = {{"size", "4k"}, {"mode", "0755"}, {NULL, NULL}};
		b->lower = take_fd(&s->rootfs_mnt);
		s->rootfs_mnt = mnt_new("tmpfs", options, MOUNT_ATTR_RDONLY);
		if (s->rootfs_mnt < 0)
			return err_sys(err, s->rootfs_mnt, "an empty root");
	}
	return rootfs_attach(s, err);
}

static int step_ids(struct build *b, struct err *err)
{
	(void) b;
	return become_root(err);
}

static const struct step child_steps[] = {
	STEP("view-await-maps", "user namespace", handover_await_maps),
	STEP("view-ids", "user namespace", step_ids),
	STEP("view-receive", "mounts", step_receive),
	STEP("view-root", "root filesystem", step_root),
	STEP("view-mounts", "mounting", mounts_attach),
	STEP("view-root-options", "root filesystem", rootfs_options),
	STEP("view-pivot", "root filesystem", rootfs_enter),
};

#define RUN(t) steps_run(t, ARRAY_LEN(t), b, b->s.fail_step, -EBADF, err)
static int build_in(struct build *b, struct view *ret, struct err *err)
{
	int r = RUN(child_steps);
	if (r == 0)
		*ret = (struct view) {.root = take_fd(&b->s.root_fd), .upper = take_fd(&b->upper), .lower = take_fd(&b->lower)};
	return r;
}

static int build(struct build *b, struct view *ret, struct pidref *ret_child, struct err *err)
{
	struct sandbox *s = &b->s;
	int r = RUN(prepare_steps);
	if (r < 0)
		return r;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, s->sync) < 0)
		return err_sys(err, -errno, "socketpair");
	pid_t pid = process_clone(OWN_NAMESPACES, -EBADF, &s->child);
	if (pid < 0)
		return err_sys(err, (int) pid, "clone3");
	if (pid == 0)
		return build_in(b, ret, err);
	s->sync[1] = safe_close(s->sync[1]);
	r = RUN(first_steps);
	s->sync[0] = safe_close(s->sync[0]);
	if (r < 0) {
		(void) process_kill(s->child.fd, SIGKILL);
		(void) process_wait(pid, NULL);
		return r;
	}
	*ret_child = s->child;
	return 1;
}
#undef RUN

int view_open(const struct view_args *a, struct view *ret, struct pidref *ret_child, struct err *err)
{
	static struct build b; /* large; one view a process */
	if (prctl(PR_SET_DUMPABLE, 0) < 0)
		return err_sys(err, -errno, "prctl");
	if (a->running && a->kind != VIEW_LAYERS)
		return open_running(a, ret, ret_child, err);
	sandbox_ctx_init(&b.s);
	b.a = a;
	b.upper = b.lower = -EBADF;
	b.s.bundle_fd = a->bundle_fd;
	b.s.fail_step = a->fail_step;
	return build(&b, ret, ret_child, err);
}

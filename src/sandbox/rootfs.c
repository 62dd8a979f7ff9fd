/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The root filesystem: layers, upper and work shifted by idmapped clones, one overlay over them, all detached (P3, P4). Either
 * overlayfs takes its layers by descriptor (Linux >= 6.13) or, where it does not, the creator enters a private mount namespace,
 * attaches the clones there, and names them through /proc/self/fd; nothing appears in the host's mount table in either case.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/fsuid.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "kernel/caps.h"
#include "kernel/compat.h"
#include "kernel/mount.h"
#include "kernel/path.h"
#include "sandbox/mounts.h"

/* What is common to every layer: "/var/lib/coffer/layers" of "/var/lib/coffer/layers/HEX/fs". One clone and one idmap of it serve all. */
static size_t common_dir(char *const *paths)
{
	size_t n = strlen(paths[0]);
	for (char *const *p = paths; *p; p++) {
		size_t i = 0;
		while (i < n && (*p)[i] == paths[0][i])
			i++;
		n = i;
	}
	if (!paths[1]) /* a single layer: its parent */
		n = strlen(paths[0]) - 1;
	while (n > 0 && paths[0][n] != '/')
		n--;
	return n;
}

static int shifted_clone(const struct sandbox *s, int dfd, const char *path, uint64_t attrs, struct err *err)
{
	_cleanup_close_ int mnt = mnt_clone(dfd, path, /* recursive= */ false);
	if (mnt < 0)
		return err_sys(err, mnt, "cloning '%s'", path);
	int r = mnt_propagation(mnt, MS_PRIVATE, false);
	if (r == 0)
		r = mnt_attr(mnt, attrs, 0, false);
	if (r < 0)
		return err_sys(err, r, "setting up '%s'", path);
	r = s->userns_fd >= 0 ? mnt_idmap(mnt, s->userns_fd, false) : 0;
	if (r == -EINVAL)
		return err_set(err, ERR_UNSUPPORTED, "the filesystem of '%s' cannot shift ids (idmapped mounts: ext4, xfs, btrfs, tmpfs since 6.3): put the state directory on one that can", path);
	if (r < 0)
		return err_sys(err, r, "shifting ids of '%s'", path);
	return take_fd(&mnt);
}

int rootfs_clone_dir(struct sandbox *s, const char *path, struct err *err)
{
	return shifted_clone(s, AT_FDCWD, path, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, err);
}

#define LAYERS_CEILING 500 /* overlayfs: OVL_MAX_STACK */

struct layers {
	int tree;       /* owned; detached clone of the directory above all layers */
	int fds[LAYERS_CEILING]; /* owned; the layers, topmost first */
	size_t n;
	int state;      /* owned; detached clone of the directory above upper and work, -EBADF: read-only */
	int upper, work; /* owned */
};

static int layers_clone(struct sandbox *s, struct layers *l, struct err *err)
{
	char dir[4096];
	char *const *paths = s->ext->layers;
	size_t n = common_dir(paths);
	if (n == 0 || n >= sizeof(dir))
		return err_set(err, ERR_INVALID, "coffer.layers: '%s' and the others have no directory in common", paths[0]);
	memcpy(dir, paths[0], n);
	dir[n] = '\0';
	l->tree = shifted_clone(s, AT_FDCWD, dir, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV, err);
	if (l->tree < 0)
		return l->tree;
	if (!s->ext->upper)
		return 0;
	const char *slash = strrchr(s->ext->upper, '/'), *work_slash = s->ext->work ? strrchr(s->ext->work, '/') : NULL;
	size_t un = slash ? (size_t) (slash - s->ext->upper) : 0;
	if (!work_slash || un == 0 || un >= sizeof(dir) || (size_t) (work_slash - s->ext->work) != un || strncmp(s->ext->work, s->ext->upper, un) != 0)
		return err_set(err, ERR_INVALID, "coffer.upper: '%s' and coffer.work must lie side by side", s->ext->upper);
	memcpy(dir, s->ext->upper, un);
	dir[un] = '\0';
	l->state = shifted_clone(s, AT_FDCWD, dir, MOUNT_ATTR_NODEV, err);
	return MIN(l->state, 0);
}

static int layers_open(struct sandbox *s, struct layers *l, struct err *err)
{
	char *const *paths = s->ext->layers;
	size_t skip = common_dir(paths) + 1;
	for (; paths[l->n]; l->n++) {
		if (l->n == ARRAY_LEN(l->fds))
			return err_set(err, ERR_INVALID, "coffer.layers: more than %zu layers", ARRAY_LEN(l->fds));
		int fd = open_beneath_nosymlink(l->tree, paths[l->n] + skip, O_PATH | O_DIRECTORY, 0);
		if (fd < 0)
			return err_sys(err, fd, "opening layer '%s'", paths[l->n]);
		l->fds[l->n] = fd;
	}
	if (l->state < 0)
		return 0;
	l->upper = open_beneath_nosymlink(l->state, strrchr(s->ext->upper, '/') + 1, O_PATH | O_DIRECTORY, 0);
	l->work = open_beneath_nosymlink(l->state, strrchr(s->ext->work, '/') + 1, O_PATH | O_DIRECTORY, 0);
	if (l->upper < 0 || l->work < 0)
		return err_sys(err, MIN(l->upper, l->work), "opening '%s'", s->ext->upper);
	return 0;
}

/* The overlay's creator must be an id that the upper's idmap knows, or it comes up read-only without a word (DESIGN P3): host root has
 * no mapping there. So: fsuid and fsgid of the container's root, and the effective capabilities that setfsuid(2) takes away raised again. */
static void as_mapped_root(const struct sandbox *s, bool on)
{
	if (s->userns_fd < 0)
		return;
	setfsgid(on ? s->plan.root_gid : 0);
	setfsuid(on ? s->plan.root_uid : 0);
	struct cap_sets have;
	if (caps_get(&have) == 0)
		(void) caps_set(have.permitted, have.permitted, have.inheritable); /* a missing capability shows at the next mount call */
}

/* volatile: no sync of the upper filesystem when the container ends (2 ms and more), nor when it asks for one. Only for a writable layer
 * that nobody reads again (--rm): the kernel refuses to mount it a second time (overlayfs.rst "Volatile mount"). */
static const char *const overlay_options[][2] = {
	{"redirect_dir", "nofollow"}, {"metacopy", "off"}, {"xino", "off"}, {"index", "off"}, {NULL, NULL},
};

/* Return: mount fd; -EINVAL from "lowerdir+" by fd means an older kernel: *@unsupported. */
static int overlay_by_fd(const struct sandbox *s, struct layers *l, bool *unsupported, struct err *err)
{
	char msg[256];
	_cleanup_close_ int fs = mnt_fsopen("overlay");
	if (fs < 0)
		return err_sys(err, fs, "overlay");
	(void) mnt_set_string(fs, "source", "overlay"); /* only what mount(8) shows */
	for (size_t i = 0; i < l->n; i++) {
		int r = mnt_set_fd(fs, "lowerdir+", l->fds[i]);
		if (r < 0 && i == 0) {
			*unsupported = true;
			return r;
		}
		if (r < 0)
			return err_sys(err, r, "layer %zu: %s", i, mnt_last_message(fs, msg, sizeof(msg)));
	}
	int r = l->upper >= 0 ? mnt_set_fd(fs, "upperdir", l->upper) : 0;
	if (r == 0 && l->upper >= 0)
		r = mnt_set_fd(fs, "workdir", l->work);
	for (size_t i = 0; r == 0 && overlay_options[i][0]; i++)
		r = mnt_set_string(fs, overlay_options[i][0], overlay_options[i][1]);
	if (r == 0 && s->ext->ephemeral && s->ext->upper)
		r = mnt_set_flag(fs, "volatile");
	if (r == 0 && lsm_mount_option(s, "overlay", NULL))
		r = mnt_set_string(fs, "context", s->lsm.mount);
	if (r == 0)
		r = mnt_create(fs, 0);
	if (r < 0)
		return err_sys(err, r, "creating the overlay: %s", mnt_last_message(fs, msg, sizeof(msg)));
	return r;
}

/* Linux < 6.13: the clones must be attached in the mounter's namespace, and layers are named in one mount(2) page. Only this process
 * sees that namespace, and it ends with it. */
static int overlay_by_name(struct sandbox *s, struct layers *l, struct err *err)
{
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return err_sys(err, -errno, "a private mount namespace");
	static const char *const tmpfs[][2] = {{"size", "64k"}, {"mode", "0700"}, {NULL, NULL}};
	_cleanup_close_ int stage = mnt_new("tmpfs", tmpfs, 0), over = open("/tmp", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (stage < 0 || over < 0)
		return err_sys(err, stage < 0 ? stage : -errno, "a staging directory");
	int r = mnt_attach(stage, over);
	static const char *const names[] = {"layers", "state", "merged"};
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(names); i++)
		r = mkdirat(stage, names[i], 0700) < 0 ? -errno : 0;
	if (r == 0)
		r = mnt_attach_at(l->tree, stage, "layers");
	if (r == 0 && l->state >= 0)
		r = mnt_attach_at(l->state, stage, "state");
	if (r < 0)
		return err_sys(err, r, "attaching layers in private");
	_cleanup_strbuf_ struct strbuf opt = STRBUF_INIT(4095);
	for (size_t i = 0; i < l->n; i++)
		strbuf_addf(&opt, "%s/proc/self/fd/%d", i ? ":" : "lowerdir=", l->fds[i]);
	if (l->upper >= 0)
		strbuf_addf(&opt, ",upperdir=/proc/self/fd/%d,workdir=/proc/self/fd/%d", l->upper, l->work);
	for (size_t i = 0; overlay_options[i][0]; i++)
		strbuf_addf(&opt, ",%s=%s", overlay_options[i][0], overlay_options[i][1]);
	if (s->ext->ephemeral && s->ext->upper)
		strbuf_adds(&opt, ",volatile");
	if (lsm_mount_option(s, "overlay", NULL))
		strbuf_addf(&opt, ",context=\"%s\"", s->lsm.mount); /* quoted: categories have a comma */
	if (strbuf_err(&opt) < 0)
		return err_set(err, ERR_UNSUPPORTED, "%zu layers do not fit into one mount call of this kernel (6.13 takes them by descriptor)", l->n);
	if (mount("overlay", "/tmp/merged", "overlay", 0, opt.s) < 0)
		return err_sys(err, -errno, "creating the overlay");
	int mnt = mnt_clone(AT_FDCWD, "/tmp/merged", false);
	return mnt < 0 ? err_sys(err, mnt, "cloning the overlay") : mnt;
}

/* The clones stay open until the creator exits: closing a detached mount waits for an RCU grace period, and init waits for us. */
static int build_overlay(struct sandbox *s, struct err *err)
{
	struct layers l = {.tree = -EBADF, .state = -EBADF, .upper = -EBADF, .work = -EBADF};
	int r = layers_clone(s, &l, err);
	if (r == 0)
		r = layers_open(s, &l, err);
	if (r == 0) {
		bool by_name = s->fail_step && str_eq(s->fail_step, "feature:overlay-fd");
		as_mapped_root(s, true);
		if (!by_name)
			r = overlay_by_fd(s, &l, &by_name, err);
		if (by_name)
			r = overlay_by_name(s, &l, err);
		as_mapped_root(s, false);
	}
	return r;
}

static int clone_root(struct sandbox *s, struct err *err)
{
	const char *root = s->spec->root_path;
	if (str_empty(root))
		return err_set(err, ERR_INVALID, "root.path: missing");
	_cleanup_close_ int dir = bundle_open(s, root, O_PATH | O_DIRECTORY);
	if (dir < 0)
		return err_sys(err, dir, "root.path '%s'", root);
	int mnt = mnt_clone_private(dir, "", /* recursive= */ true);
	return mnt < 0 ? err_sys(err, mnt, "cloning root.path '%s'", root) : mnt;
}

int rootfs_build(struct sandbox *s, struct err *err)
{
	if (mounts_by_init(s))
		return 0;
	int mnt = s->ext->layers ? build_overlay(s, err) : clone_root(s, err);
	if (mnt < 0)
		return mnt;
	s->rootfs_mnt = mnt;
	return 0;
}

int rootfs_attach(struct sandbox *s, struct err *err)
{
	/* Over "/": the one place that exists in every mount namespace. Lookups from "/" still start below it, at the old root. */
	if (mounts_by_init(s)) {
		s->rootfs_mnt = clone_root(s, err);
		if (s->rootfs_mnt < 0)
			return s->rootfs_mnt;
	}
	_cleanup_close_ int slash = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (slash < 0)
		return err_sys(err, -errno, "opening /");
	int r = mnt_attach(s->rootfs_mnt, slash);
	if (r < 0)
		return err_sys(err, r, "attaching the root filesystem");
	s->root_fd = take_fd(&s->rootfs_mnt);
	return 0;
}

int rootfs_options(struct sandbox *s, struct err *err)
{
	int r = mounts_finish(s, err);
	if (r < 0)
		return r;
	/* inside a user namespace nobody can make a device node: one that lies in the root is not the container's to open. Without one, a document
	 * may count on the nodes of its own /dev */
	uint64_t attrs = (s->has_own[NS_USER] || !s->plan.obey ? MOUNT_ATTR_NODEV : 0) | (s->spec->root_readonly ? MOUNT_ATTR_RDONLY : 0);
	r = mnt_attr(s->root_fd, attrs, 0, false);
	return r < 0 ? err_sys(err, r, "root filesystem options") : 0;
}

/* The old tree stays below in the mount namespace when it is only covered: a whole proc or sysfs in it would let the container mount fresh ones that
 * show more than it was given (fs/namespace.c mount_too_revealing()). */
static int hide_old_tree(struct err *err)
{
	static const char *const points[] = {"/proc", "/sys"};
	for (size_t i = 0; i < ARRAY_LEN(points); i++) {
		int r = umount2(points[i], MNT_DETACH) < 0 ? -errno : 0;
		if (r < 0 && r != -EINVAL && r != -EPERM && r != -ENOENT)
			return err_sys(err, r, "taking the host's %s away", points[i]);
		if (r == -EPERM || r == -EINVAL) { /* locked, or no mount point */
			_cleanup_close_ int at = open(points[i], O_PATH | O_DIRECTORY | O_CLOEXEC), cover = mnt_new("tmpfs", NULL, MOUNT_ATTR_RDONLY);
			r = at < 0 ? 0 : cover < 0 ? cover : mnt_attach(cover, at);
			if (r < 0)
				return err_sys(err, r, "covering the host's %s", points[i]);
		}
	}
	return 0;
}

static int enter_root(struct sandbox *s, struct err *err)
{
	int r;
	if (s->flags & SANDBOX_NO_PIVOT) {
		r = hide_old_tree(err);
		if (r < 0)
			return r;
		r = mnt_chroot(s->root_fd);
		return r < 0 ? err_sys(err, r, "chroot") : 0;
	}
	r = mnt_pivot(s->root_fd);
	if (r == -EINVAL && s->plan.obey)
		return err_sys(err, r, "pivot_root (is the host's root the kernel's initial ramfs? then --no-pivot)");
	return r < 0 ? err_sys(err, r, "pivot_root") : 0;
}

/* Closed, the descriptor of a detached tree takes it apart only as far as nobody uses it (fs/namespace.c dissolve_on_fput()): what is mounted in it stays
 * with the root directory of our process. */
static int enter_detached(struct sandbox *s, struct err *err)
{
	_cleanup_close_ int tree = mnt_clone(s->root_fd, "", /* recursive= */ true);
	if (tree < 0)
		return err_sys(err, tree, "cloning the finished root");
	if (setns(s->caller_mnt_fd, CLONE_NEWNS) < 0)
		return err_sys(err, -errno, "going back to the caller's mount namespace");
	s->caller_mnt_fd = safe_close(s->caller_mnt_fd);
	int r = mnt_chroot(tree);
	return r < 0 ? err_sys(err, r, "chroot") : 0;
}

int rootfs_enter(struct sandbox *s, struct err *err)
{
	int r = s->caller_mnt_fd >= 0 ? enter_detached(s, err) : enter_root(s, err);
	if (r < 0)
		return r;
	s->root_fd = safe_close(s->root_fd);
	s->root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (s->root_fd < 0)
		return err_sys(err, -errno, "opening the new root");
	uint64_t word = s->plan.root_propagation;
	r = word ? mnt_propagation(s->root_fd, word & ~(uint64_t) MS_REC, word & MS_REC) : 0;
	return r < 0 ? err_sys(err, r, "linux.rootfsPropagation '%s'", s->spec->rootfs_propagation) : 0;
}

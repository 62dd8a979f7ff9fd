/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Filesystems that init makes inside its own namespaces: proc, sysfs, tmpfs, devpts, mqueue; with a foreign document whatever it names
 * and the kernel grants. One that shows a namespace which somebody else owns is made by the creator, who has joined that; where there is none
 * with privilege over it, the host's is bound instead.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/num.h"
#include "kernel/compat.h"
#include "kernel/mount.h"
#include "kernel/path.h"
#include "sandbox/copyup.h"
#include "sandbox/mounts.h"

#define VALUE_MAX 255 /* fsconfig(2): strings of at most 256 bytes */

/* Superblock flags by the names that every filesystem's context takes (fs/fs_context.c vfs_parse_sb_flag()). */
static const struct {
	unsigned long flag;
	const char *set, *clear;
} super_flags[] = {
	{MS_SYNCHRONOUS, "sync", "async"}, {MS_DIRSYNC, "dirsync", NULL}, {MS_LAZYTIME, "lazytime", "nolazytime"}, {MS_MANDLOCK, "mand", "nomand"},
};

/* The ids that exist in our user namespace, where the document leaves them to somebody else's. */
static bool gid_is_mapped(const struct sandbox *s, uint32_t gid)
{
	uint32_t host;
	if (s->spec->gids.n)
		return id_map_to_host(&s->spec->gids, gid, &host);
	_cleanup_free_ char *text = NULL;
	if (read_file(AT_FDCWD, "/proc/self/gid_map", 64u << 10, &text) < 0)
		return true; /* the mount itself will tell */
	for (char *line = text; *line; line += strcspn(line, "\n"), line += *line == '\n') {
		uint32_t ctr, outside, size;
		if (sscanf(line, "%u %u %u", &ctr, &outside, &size) == 3 && gid >= ctr && gid - ctr < size)
			return true;
	}
	return false;
}

/* "gid=5" of devpts must be mapped, or the mount fails with -EINVAL. */
static bool option_unmappable(const struct sandbox *s, const struct plan_mount *m, const char *opt)
{
	const char *v = str_after(opt, "gid=");
	uint32_t id;
	bool own = s->plan.obey ? s->has_own[NS_USER] && str_eq(m->fstype, "devpts") : s->plan.clone_flags & CLONE_NEWUSER;
	return v && own && parse_u32(v, &id) == 0 && !gid_is_mapped(s, id);
}

static int set_option(int fs, const char *opt)
{
	char key[64];
	const char *eq = strchr(opt, '=');
	if (!eq)
		return mnt_set_flag(fs, opt);
	if ((size_t) (eq - opt) >= sizeof(key))
		return -EINVAL;
	memcpy(key, opt, (size_t) (eq - opt));
	key[eq - opt] = '\0';
	return mnt_set_string(fs, key, eq + 1);
}

static int set_options(struct sandbox *s, struct plan_mount *m, int fs, struct err *err)
{
	char msg[256];
	STRV_FOREACH(opt, m->fs_options)
		if (!option_unmappable(s, m, opt) && set_option(fs, opt) < 0)
			return err_set(err, ERR_INVALID, "%s: %s does not take the option '%s': %s", m->dst, m->fstype, opt, mnt_last_message(fs, msg, sizeof(msg)));
	for (size_t i = 0; (m->super_set | m->super_clear) && i < ARRAY_LEN(super_flags); i++) {
		const char *word = m->super_set & super_flags[i].flag ? super_flags[i].set : m->super_clear & super_flags[i].flag ? super_flags[i].clear : NULL;
		if (word && mnt_set_flag(fs, word) < 0)
			return err_set(err, ERR_INVALID, "%s: %s does not take the option '%s': %s", m->dst, m->fstype, word, mnt_last_message(fs, msg, sizeof(msg)));
	}
	return 0;
}

/* Another runtime's habit that images count on: a tmpfs has the mode of the directory that it covers, unless it is told one. */
static int inherit_mode(const struct sandbox *s, const struct plan_mount *m, int fs, int target)
{
	struct stat st;
	char text[16];
	if (!s->plan.obey || target < 0 || !str_eq(m->fstype, "tmpfs") || strv_find_key(m->fs_options, "mode") || fstat(target, &st) < 0)
		return 0;
	(void) snprintf(text, sizeof(text), "%04o", (unsigned) (st.st_mode & 07777));
	return mnt_set_string(fs, "mode", text);
}

/* Written to after it is mounted: device nodes, and mount points of mounts that follow. */
static bool readonly_at_the_end(const struct sandbox *s, const struct plan_mount *m)
{
	return s->plan.obey && m->attr_set & MOUNT_ATTR_RDONLY && (str_eq(m->fstype, "tmpfs") || str_eq(m->dst, "/dev"));
}

static uint64_t attrs_of(const struct sandbox *s, const struct plan_mount *m)
{
	return (m->attr_set & ~(readonly_at_the_end(s, m) ? (uint64_t) MOUNT_ATTR_RDONLY : 0)) | m->tree_set;
}

/* @covered: the directory below, -EBADF when it was made for this. Return: detached mount. */
static int fs_make(struct sandbox *s, struct plan_mount *m, int covered, struct err *err)
{
	char msg[256];
	_cleanup_close_ int fs = mnt_fsopen(m->fstype);
	if (fs == -ENODEV && s->plan.obey)
		return err_set(err, ERR_UNSUPPORTED, "mounts: %s: this kernel has no filesystem type '%s'", m->dst, m->fstype);
	if (fs < 0)
		return err_sys(err, fs, "%s: %s", m->dst, m->fstype);
	(void) mnt_set_string(fs, "source", m->src ? m->src : m->fstype); /* for most only what mount(8) shows; the others say what they miss */
	int r = set_options(s, m, fs, err);
	if (r < 0)
		return r;
	r = inherit_mode(s, m, fs, covered);
	if (r == 0 && m->attr_set & MOUNT_ATTR_RDONLY && m->src && strchr(m->src, '/') && s->plan.obey)
		r = mnt_set_flag(fs, "ro"); /* a device may be read-only itself */
	if (r < 0)
		return err_sys(err, r, "%s: %s", m->dst, m->fstype);
	const char *label = lsm_mount_option(s, m->fstype, m->fs_options);
	if (label && mnt_set_string(fs, "context", label) < 0)
		return err_set(err, ERR_SYSTEM, "%s: linux.mountLabel: %s does not take context='%s': %s", m->dst, m->fstype, label, mnt_last_message(fs, msg, sizeof(msg)));
	int mnt = mnt_create(fs, (unsigned) attrs_of(s, m));
	if ((mnt == -EPERM || mnt == -EACCES) && !s->plan.obey && !m->fallback)
		return err_set(err, ERR_DENIED, "%s: the kernel refuses a fresh %s here (is the engine itself in a container whose %s is partly covered?)", m->dst,
			       m->fstype, m->fstype);
	return mnt < 0 ? err_sys(err, mnt, "%s: mounting %s %s", m->dst, m->fstype, mnt_last_message(fs, msg, sizeof(msg))) : mnt;
}

/* The host's own, cloned in our copy of its mounts. /sys is not for writing by anybody who does not own what it shows. */
static int fs_fallback(const struct plan_mount *m, struct err *err)
{
	uint64_t tree = m->tree_set | (str_eq(m->fstype, "sysfs") ? m->attr_set | MOUNT_ATTR_RDONLY : 0);
	_cleanup_close_ int mnt = mnt_clone_private(AT_FDCWD, m->fallback, /* recursive= */ true);
	int r = mnt < 0 ? mnt : mnt_attr(mnt, m->attr_set, 0, false);
	if (r == 0)
		r = mnt_attr(mnt, tree, 0, true);
	return r < 0 ? err_sys(err, r, "%s: binding the host's %s, because its namespace is not the container's", m->dst, m->fallback) : take_fd(&mnt);
}

static int copy_up(struct sandbox *s, struct plan_mount *m, int target, int mnt, struct err *err)
{
	int r = copyup(target, mnt, err);
	if (r < 0)
		return err_wrap(err, "%s: filling it from what it covers", m->dst);
	uint32_t mode;
	const char *text = strv_find_key(m->fs_options, "mode");
	if (!s->plan.obey || !text || parse_oct(text, &mode) < 0)
		return 0;
	_cleanup_close_ int top = openat(mnt, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return top < 0 || fchmod(top, mode & 07777) < 0 ? err_sys(err, -errno, "%s: mode=%s", m->dst, text) : 0;
}

/* What a context does not take goes the old way, straight onto the target's descriptor. */
static bool needs_mount_call(const struct sandbox *s, const struct plan_mount *m)
{
	if (!s->plan.obey)
		return false;
	bool is = m->super_set & (MS_I_VERSION | MS_POSIXACL);
	STRV_FOREACH(opt, m->fs_options)
		is |= strlen(opt) > VALUE_MAX;
	return is || (m->src && strlen(m->src) > VALUE_MAX);
}

static unsigned long mount_flags(const struct plan_mount *m)
{
	static const struct {
		uint64_t attr;
		unsigned long flag;
	} same[] = {
		{MOUNT_ATTR_RDONLY, MS_RDONLY}, {MOUNT_ATTR_NOSUID, MS_NOSUID}, {MOUNT_ATTR_NODEV, MS_NODEV}, {MOUNT_ATTR_NOEXEC, MS_NOEXEC},
		{MOUNT_ATTR_NOATIME, MS_NOATIME}, {MOUNT_ATTR_STRICTATIME, MS_STRICTATIME}, {MOUNT_ATTR_NODIRATIME, MS_NODIRATIME},
		{MOUNT_ATTR_NOSYMFOLLOW, 256 /* MS_NOSYMFOLLOW */},
	};
	unsigned long flags = (unsigned long) m->super_set;
	for (size_t i = 0; i < ARRAY_LEN(same); i++)
		if ((m->attr_set | m->tree_set) & same[i].attr)
			flags |= same[i].flag;
	return flags;
}

static int mount_call(struct sandbox *s, struct plan_mount *m, int target, struct err *err)
{
	_cleanup_strbuf_ struct strbuf data = STRBUF_INIT(4095); /* a page */
	STRV_FOREACH(opt, m->fs_options)
		if (!option_unmappable(s, m, opt))
			strbuf_addf(&data, "%s%s", data.len ? "," : "", opt);
	if (strbuf_err(&data) < 0)
		return err_set(err, ERR_INVALID, "%s: more than 4095 bytes of options", m->dst);
	int r = mnt_mount_on(target, m->src ? m->src : m->fstype, m->fstype, mount_flags(m), data.s ? data.s : "");
	if (r < 0)
		return err_sys(err, r, "%s: mounting %s", m->dst, m->fstype);
	if (!(m->propagation & (MS_SHARED | MS_UNBINDABLE)))
		return 0;
	_cleanup_close_ int top = mount_target(s, m->dst, true, NULL, err);
	return top < 0 ? top : bind_words(m, top, err);
}

int fs_prepare(struct sandbox *s, struct plan_mount *m, struct err *err)
{
	if (str_eq(m->fstype, "sysfs"))
		m->tree_set |= MOUNT_ATTR_RDONLY; /* not for writing by anybody who does not own what it shows */
	m->fd = fs_make(s, m, -EBADF, err);
	return m->fd < 0 ? m->fd : 0;
}

int fs_attach(struct sandbox *s, struct plan_mount *m, struct err *err)
{
	bool existed;
	_cleanup_close_ int target = mount_target(s, m->dst, true, &existed, err);
	if (target < 0)
		return target;
	if (m->fd < 0 && needs_mount_call(s, m))
		return mount_call(s, m, target, err);
	bool own = m->fd < 0;
	_cleanup_close_ int mnt = own ? fs_make(s, m, existed ? target : -EBADF, err) : take_fd(&m->fd);
	if ((mnt == -EPERM || mnt == -EACCES) && m->fallback) {
		own = false;
		mnt = fs_fallback(m, err);
	}
	int r = mnt < 0 ? mnt : lsm_mount_label(s, m->fstype, mnt, err);
	if (r == 0 && m->copyup)
		r = copy_up(s, m, target, mnt, err);
	if (r == 0)
		r = bind_words(m, mnt, err);
	if (r == 0)
		r = mount_attach(s, m, mnt, target, err);
	if (r < 0)
		return r;
	/* the private procfs of R3 is the container's own, before anything can cover a part of it */
	bool whole = own && str_eq(m->fstype, "proc") && !(attrs_of(s, m) & MOUNT_ATTR_RDONLY) && !strv_find_key(m->fs_options, "subset");
	if (s->proc_fd < 0 && whole)
		s->proc_fd = take_fd(&mnt);
	else if (readonly_at_the_end(s, m))
		m->fd = take_fd(&mnt);
	return 0;
}

static int reconfigure(struct sandbox *s, struct plan_mount *m, int target, struct err *err)
{
	char msg[256];
	if (!m->fs_options && !(m->super_set | m->super_clear))
		return 0;
	_cleanup_close_ int fs = mnt_pick(target);
	if (fs < 0)
		return err_sys(err, fs, "%s: remount", m->dst);
	int r = set_options(s, m, fs, err);
	if (r < 0)
		return r;
	r = mnt_reconfigure(fs);
	return r < 0 ? err_sys(err, r, "%s: remount %s", m->dst, mnt_last_message(fs, msg, sizeof(msg))) : 0;
}

int fs_remount(struct sandbox *s, struct plan_mount *m, struct err *err)
{
	_cleanup_close_ int target = open_in_root(s->root_fd, m->dst, O_PATH, 0);
	if (target < 0)
		return err_sys(err, target, "%s: remount", m->dst);
	int r = reconfigure(s, m, target, err);
	if (r < 0)
		return r;
	r = mnt_attr(target, m->attr_set, m->attr_clear, false);
	if (r == 0)
		r = mnt_attr(target, m->tree_set, m->tree_clear, true);
	if (r == -EINVAL)
		return err_set(err, ERR_INVALID, "%s: remount: nothing is mounted there", m->dst);
	if (r < 0)
		return err_sys(err, r, "%s: remount", m->dst);
	return bind_words(m, target, err);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/lsm.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "kernel/compat.h"
#include "kernel/path.h"
#include "sandbox/internal.h"

#define SYS "/sys"
#define PROC_ROOT_INO 1 /* fs/proc/root.c */

static bool wants_apparmor(const struct sandbox *s)
{
	return !str_empty(s->process->apparmor_profile);
}

static bool wants_selinux(const struct sandbox *s)
{
	return !str_empty(s->process->selinux_label);
}

/* Creator */

static int check_apparmor(const struct sandbox *s, struct err *err)
{
	const char *profile = s->process->apparmor_profile;
	if (!wants_apparmor(s) || str_eq(profile, "unconfined") || lsm_enabled(SYS, LSM_APPARMOR))
		return 0;
	return err_set(err, ERR_UNSUPPORTED, "process.apparmorProfile: '%.128s' was asked for, and this host has no AppArmor (kernel parameters apparmor=1 security=apparmor)", profile);
}

static int check_label(const char *field, const char *label, char *canon, struct err *err)
{
	if (str_empty(label))
		return 0;
	if (strlen(label) >= LSM_LABEL_MAX)
		return err_set(err, ERR_INVALID, "%s: '%.64s...' is longer than %d bytes", field, label, LSM_LABEL_MAX - 1);
	if (!lsm_enabled(SYS, LSM_SELINUX))
		return err_set(err, ERR_UNSUPPORTED, "%s: '%.128s' was asked for, and this host has no SELinux (kernel parameters selinux=1 security=selinux, and a policy)", field, label);
	int r = lsm_selinux_check(SYS, label, canon);
	if (r == -EINVAL)
		return err_set(err, ERR_INVALID, "%s: '%.160s' is no context of the loaded SELinux policy (seinfo -t lists its types; docs/lsm.md)", field, label);
	return r < 0 ? err_sys(err, r, "%s: '%.128s'", field, label) : 0;
}

/* The host's own procfs, in the host's mount namespace: no container has had a hand in it. */
static int open_proc(struct sandbox *s, struct err *err)
{
	struct stat st;
	_cleanup_close_ int fd = open("/proc", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(err, -errno, "opening /proc");
	if (fd_is_on(fd, PROC_SUPER_MAGIC) != 1 || st.st_ino != PROC_ROOT_INO)
		return err_set(err, ERR_SYSTEM, "/proc is not the root of a procfs");
	s->lsm.proc = take_fd(&fd);
	return 0;
}

int lsm_prepare(struct sandbox *s, struct err *err)
{
	const char *mount = s->is_exec ? NULL : s->spec->mount_label; /* the mounts are there already */
	int r = check_apparmor(s, err);
	r = r < 0 ? r : check_label("process.selinuxLabel", s->process->selinux_label, s->lsm.process, err);
	r = r < 0 ? r : check_label("linux.mountLabel", mount, s->lsm.mount, err);
	if (r < 0)
		return r;
	bool apparmor = wants_apparmor(s) && lsm_enabled(SYS, LSM_APPARMOR); /* else it is unconfined, which it is anyway */
	return apparmor || wants_selinux(s) ? open_proc(s, err) : 0;
}

/* The new process */

/* Whether the labels change before execve rather than by it: see lsm_open(). */
static bool changes_at_once(const struct sandbox *s)
{
	return !sandbox_obeys(s);
}

static int open_attr(struct sandbox *s, enum lsm which, const char *field, struct err *err)
{
	int fd = lsm_attr_open(s->lsm.proc, which, changes_at_once(s) ? LSM_ATTR_CURRENT : LSM_ATTR_EXEC, O_RDWR);
	if (fd < 0)
		return err_sys(err, fd, "%s: opening our own label", field);
	s->lsm.attr[which] = fd;
	if (which != LSM_SELINUX || !changes_at_once(s))
		return 0;
	fd = lsm_attr_open(s->lsm.proc, which, LSM_ATTR_EXEC, O_RDWR);
	if (fd < 0)
		return err_sys(err, fd, "%s: opening our own label for execve", field);
	s->lsm.selinux_exec = fd;
	return 0;
}

/* Keys that the container makes, its session keyring first, are its own to reach. The kernel forgets this at execve. */
static int label_keys(struct sandbox *s, struct err *err)
{
	_cleanup_close_ int fd = lsm_attr_open(s->lsm.proc, LSM_SELINUX, LSM_ATTR_KEYCREATE, O_WRONLY);
	if (fd < 0 || write(fd, s->lsm.process, strlen(s->lsm.process)) < 0)
		return err_sys(err, fd < 0 ? fd : -errno, "process.selinuxLabel: '%s' for keys", s->lsm.process);
	return 0;
}

int lsm_open(struct sandbox *s, struct err *err)
{
	if (s->lsm.proc < 0)
		return 0;
	int r = wants_apparmor(s) ? open_attr(s, LSM_APPARMOR, "process.apparmorProfile", err) : 0;
	if (r == 0 && wants_selinux(s)) {
		r = open_attr(s, LSM_SELINUX, "process.selinuxLabel", err);
		r = r < 0 ? r : label_keys(s, err);
	}
	s->lsm.proc = safe_close(s->lsm.proc);
	return r;
}

static int apply_one(struct sandbox *s, enum lsm which, const char *field, const char *label, struct err *err)
{
	int r = (changes_at_once(s) ? lsm_current_set : lsm_exec_set)(s->lsm.attr[which], which, label);
	if (r == -EACCES && which == LSM_SELINUX && s->lsm.selinux_exec >= 0)
		r = lsm_exec_set(s->lsm.selinux_exec, which, label); /* no dyntransition in this policy; a killed monitor's container is then found by the engine */
	s->lsm.attr[which] = safe_close(s->lsm.attr[which]);
	if (r == -ENOENT)
		return err_set(err, ERR_NOT_FOUND, "%s: no AppArmor profile '%.128s' is loaded (apparmor_parser -r FILE loads one, aa-status lists them)", field, label);
	if (r == -EKEYREJECTED)
		return err_set(err, ERR_SYSTEM, "%s: the kernel noted another label than '%.128s'", field, label);
	return r < 0 ? err_sys(err, r, "%s: '%.128s'", field, label) : 0;
}

static int apply(struct sandbox *s, struct err *err)
{
	int r = 0;
	if (s->lsm.attr[LSM_APPARMOR] >= 0)
		r = apply_one(s, LSM_APPARMOR, "process.apparmorProfile", s->process->apparmor_profile, err);
	if (r == 0 && s->lsm.attr[LSM_SELINUX] >= 0)
		r = apply_one(s, LSM_SELINUX, "process.selinuxLabel", s->lsm.process, err);
	s->lsm.selinux_exec = safe_close(s->lsm.selinux_exec);
	return r;
}

int lsm_apply(struct sandbox *s, struct err *err)
{
	return s->process->no_new_privileges || !changes_at_once(s) ? apply(s, err) : 0;
}

int lsm_apply_late(struct sandbox *s, struct err *err)
{
	return s->process->no_new_privileges || !changes_at_once(s) ? 0 : apply(s, err);
}

int lsm_no_more(const struct sandbox *s, struct err *err)
{
	const struct process_spec *own = &s->spec->process, *p = s->process;
	if (!str_empty(own->apparmor_profile) && !str_eq(own->apparmor_profile, "unconfined") && !str_eq(own->apparmor_profile, p->apparmor_profile))
		return err_set(err, ERR_DENIED, "process.apparmorProfile: the container's is '%.128s', so is that of every process in it", own->apparmor_profile);
	if (!str_empty(own->selinux_label) && !str_eq(own->selinux_label, p->selinux_label))
		return err_set(err, ERR_DENIED, "process.selinuxLabel: the container's is '%.128s', so is that of every process in it", own->selinux_label);
	return 0;
}

/* Mounts */

const char *lsm_mount_option(const struct sandbox *s, const char *fstype, char *const *options)
{
	/* proc and sysfs have labels of their own; mqueue takes none (lsm_mount_label); in a user namespace SELinux allows it for these alone */
	bool takes = str_eq(fstype, "tmpfs") || str_eq(fstype, "devpts") || str_eq(fstype, "overlay");
	return takes && s->lsm.mount[0] && !strv_find_key(options, "context") ? s->lsm.mount : NULL;
}

int lsm_mount_label(const struct sandbox *s, const char *fstype, int mnt, struct err *err)
{
	if (!s->lsm.mount[0] || !str_eq(fstype, "mqueue"))
		return 0;
	_cleanup_close_ int fd = openat(mnt, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = fd < 0 ? -errno : lsm_selinux_label_fd(fd, s->lsm.mount);
	/* Made with the ipc namespace, at a moment when its root was still the host's: to a user namespace it is nobody's. It keeps the label
	 * that the policy gives to every mqueue; what is in there is of this ipc namespace alone. */
	if (r == -EPERM && s->spec->ns[NS_USER].mode != NS_MODE_HOST)
		return 0;
	return r < 0 ? err_sys(err, r, "linux.mountLabel: '%s' for %s", s->lsm.mount, fstype) : 0;
}

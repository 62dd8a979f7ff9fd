/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/lsm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/num.h"
#include "base/str.h"
#include "kernel/path.h"

#define PATH_SIZE 256
#define PROFILES_MAX (4u << 20)

static int sys_path(char *buf, const char *sys, const char *tail)
{
	return MIN(str_format(buf, PATH_SIZE, "%s/%s", sys, tail), 0);
}

static int sys_open(const char *sys, const char *tail, int flags)
{
	char path[PATH_SIZE];
	int r = sys_path(path, sys, tail);
	if (r < 0)
		return r;
	int fd = open(path, flags | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* First byte of a small file. */
static int sys_flag(const char *sys, const char *tail)
{
	char c;
	_cleanup_close_ int fd = sys_open(sys, tail, O_RDONLY);
	if (fd < 0)
		return fd;
	ssize_t n = read(fd, &c, 1);
	return n < 0 ? -errno : n == 1 ? (unsigned char) c : -ENODATA;
}

bool lsm_enabled(const char *sys, enum lsm which)
{
	return which == LSM_APPARMOR ? sys_flag(sys, "module/apparmor/parameters/enabled") == 'Y' : sys_flag(sys, "fs/selinux/enforce") >= 0;
}

/* Labels of processes */

static const char *const attr_names[LSM_MAX_][LSM_ATTR_MAX_] = {
	[LSM_APPARMOR] = {[LSM_ATTR_CURRENT] = "attr/apparmor/current", [LSM_ATTR_EXEC] = "attr/apparmor/exec"},
	[LSM_SELINUX] = {[LSM_ATTR_CURRENT] = "attr/current", [LSM_ATTR_EXEC] = "attr/exec", [LSM_ATTR_KEYCREATE] = "attr/keycreate"},
};

/* Our number in the pid namespace of that procfs: getpid() may be of another one. "self" itself is a link, and links are not followed. */
static int own_pid(int proc_fd, char *buf, size_t size)
{
	uint32_t pid;
	ssize_t n = readlinkat(proc_fd, "self", buf, size);
	if (n < 0)
		return -errno;
	if ((size_t) n >= size)
		return -ENAMETOOLONG;
	buf[n] = '\0';
	return parse_u32(buf, &pid);
}

int lsm_attr_open(int proc_fd, enum lsm which, enum lsm_attr attr, int flags)
{
	char pid[16], path[64];
	if (!attr_names[which][attr])
		return -EOPNOTSUPP;
	int r = own_pid(proc_fd, pid, sizeof(pid));
	r = r < 0 ? r : str_format(path, sizeof(path), "%s/%s", pid, attr_names[which][attr]);
	if (r < 0)
		return r;
	int fd = open_xdev_none(proc_fd, path, flags, 0);
	return fd == -ENOENT ? -EOPNOTSUPP : fd;
}

/* What the kernel ends a label with differs: newline, NUL, nothing. */
static int trim(char *buf, ssize_t n)
{
	while (n > 0 && (buf[n - 1] == '\n' || buf[n - 1] == '\0'))
		n--;
	buf[n] = '\0';
	return (int) n;
}

int lsm_attr_read(int pid_fd, enum lsm which, enum lsm_attr attr, char *buf, size_t size)
{
	if (!attr_names[which][attr])
		return -EOPNOTSUPP;
	_cleanup_close_ int fd = openat(pid_fd, attr_names[which][attr], O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ssize_t n = read(fd, buf, size - 1);
	return n < 0 ? -errno : (size_t) n == size - 1 ? -ENAMETOOLONG : trim(buf, n);
}

static int label_write(int fd, enum lsm which, const char *apparmor_verb, const char *label)
{
	char text[LSM_LABEL_MAX + 16];
	int len = str_format(text, sizeof(text), "%s%s", which == LSM_APPARMOR ? apparmor_verb : "", label);
	if (len < 0)
		return len;
	return write(fd, text, (size_t) len) < 0 ? -errno : 0;
}

static int label_read_back(int fd, enum lsm which, const char *label)
{
	char noted[LSM_LABEL_MAX], mode[32];
	ssize_t n = pread(fd, noted, sizeof(noted) - 1, 0);
	if (n < 0)
		return -errno;
	(void) trim(noted, n);
	if (which == LSM_APPARMOR)
		(void) lsm_apparmor_split(noted, mode); /* the mode is the profile's, not ours to ask for */
	return str_eq(noted, label) ? 0 : -EKEYREJECTED;
}

int lsm_exec_set(int fd, enum lsm which, const char *label)
{
	int r = label_write(fd, which, "exec ", label);
	return r < 0 ? r : label_read_back(fd, which, label);
}

int lsm_current_set(int fd, enum lsm which, const char *label)
{
	int r = label_write(fd, which, "changeprofile ", label);
	if (r < 0 || which == LSM_SELINUX)
		return r; /* the file has the label of before, which the one of now may not read; the kernel takes the context as it is or not at all */
	return label_read_back(fd, which, label);
}

/* AppArmor */

const char *lsm_apparmor_split(char *label, char mode[32])
{
	size_t n = strlen(label);
	char *open_paren = n > 0 && label[n - 1] == ')' ? strrchr(label, '(') : NULL;
	mode[0] = '\0';
	if (!open_paren || open_paren == label || open_paren[-1] != ' ')
		return mode;
	label[n - 1] = '\0';
	(void) str_copy(mode, 32, open_paren + 1); /* no mode of the kernel's is longer */
	open_paren[-1] = '\0';
	return mode;
}

int lsm_apparmor_mode(const char *sys, const char *profile, char mode[32])
{
	char path[PATH_SIZE];
	_cleanup_free_ char *text = NULL;
	int r = sys_path(path, sys, "kernel/security/apparmor/profiles");
	ssize_t n = r < 0 ? r : read_file(AT_FDCWD, path, PROFILES_MAX, &text);
	if (n < 0)
		return (int) n;
	for (char *line = text, *next; line && *line; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		(void) lsm_apparmor_split(line, mode);
		if (str_eq(line, profile))
			return 1;
	}
	return 0;
}

int lsm_apparmor_load(const char *sys, const void *data, size_t len)
{
	_cleanup_close_ int fd = sys_open(sys, "kernel/security/apparmor/.replace", O_WRONLY);
	if (fd < 0)
		return fd;
	ssize_t n = write(fd, data, len); /* the kernel takes a policy in one piece */
	return n < 0 ? -errno : (size_t) n == len ? 0 : -EIO;
}

/* SELinux */

int lsm_selinux_enforcing(const char *sys)
{
	int c = sys_flag(sys, "fs/selinux/enforce");
	return c < 0 ? c : c == '1';
}

int lsm_selinux_check(const char *sys, const char *context, char *canon)
{
	_cleanup_close_ int fd = sys_open(sys, "fs/selinux/context", O_RDWR);
	if (fd < 0)
		return fd;
	if (write(fd, context, strlen(context) + 1) < 0)
		return -errno;
	ssize_t n = read(fd, canon, LSM_LABEL_MAX - 1);
	return n < 0 ? -errno : n == LSM_LABEL_MAX - 1 ? -ENAMETOOLONG : trim(canon, n) > 0 ? 0 : -EINVAL;
}

/* fsetxattr(2) refuses O_PATH with EBADF; the magic link leads to the object itself, be it a symlink. */
static void fd_path(char buf[40], int fd)
{
	(void) snprintf(buf, 40, "/proc/self/fd/%d", fd);
}

int lsm_selinux_label_fd(int fd, const char *context)
{
	char path[40];
	if (fsetxattr(fd, LSM_XATTR_SELINUX, context, strlen(context) + 1, 0) == 0)
		return 0;
	if (errno != EBADF)
		return -errno;
	fd_path(path, fd);
	return setxattr(path, LSM_XATTR_SELINUX, context, strlen(context) + 1, 0) < 0 ? -errno : 0;
}

int lsm_selinux_file_label(int fd, char *buf, size_t size)
{
	char path[40];
	fd_path(path, fd);
	ssize_t n = getxattr(path, LSM_XATTR_SELINUX, buf, size - 1);
	return n < 0 ? -errno : trim(buf, n);
}

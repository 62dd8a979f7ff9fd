/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/selinux.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/internal.h"
#include "kernel/path.h"

#define SYS "/sys"
#define WORD_MAX 100
#define DEPTH_MAX 512

int selinux_word_check(const char *part, const char *value, struct err *err)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-", level[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-:,";
	bool is_level = str_eq(part, "level");
	if (str_empty(value) || strlen(value) > WORD_MAX || value[strspn(value, is_level ? level : plain)])
		return err_set(err, ERR_INVALID, "HostConfig.SecurityOpt (--security-opt): label=%s: '%.64s' is not a %s of SELinux", part, value ?: "", part);
	return 0;
}

int selinux_contexts(const char *process_type, const char *file_type, const struct security *sec, int c1, int c2, char *process, char *mount, char *shared, struct err *err)
{
	char own[32];
	const char *user = sec->label_user ?: "system_u", *type = sec->label_filetype ?: file_type;
	(void) str_format(own, sizeof(own), "s0:c%d,c%d", c1, c2); /* fits */
	const char *level = sec->label_level ?: own;
	if (str_format(process, LSM_LABEL_MAX, "%s:%s:%s:%s", user, sec->label_role ?: "system_r", sec->label_type ?: process_type, level) < 0 ||
	    str_format(mount, LSM_LABEL_MAX, "%s:object_r:%s:%s", user, type, level) < 0 || str_format(shared, LSM_LABEL_MAX, "%s:object_r:%s:s0", user, type) < 0)
		return err_set(err, ERR_INVALID, "HostConfig.SecurityOpt (--security-opt): label: the context is too long");
	return 0;
}

int selinux_require(const char *what, const char *context, struct err *err)
{
	char canon[LSM_LABEL_MAX];
	int r = lsm_selinux_check(SYS, context, canon);
	if (r == -EINVAL)
		return err_set(err, ERR_UNSUPPORTED, "SELinux: the loaded policy has no %s context '%.160s': load share/coffer/selinux/coffer.cil (semodule -i), or name a type that it has "
						     "(selinux-process-type and selinux-file-type in /etc/coffer/daemon.json), or go without: --security-opt label=disable", what, context);
	return r < 0 ? err_sys(err, r, "SELinux: asking for the %s context '%.128s'", what, context) : 0;
}

/* Relabelling */

bool selinux_relabel_is_refused(const char *path)
{
	static const char *const exact[] = {"/", "/bin", "/boot", "/home", "/lib", "/lib32", "/lib64", "/libx32", "/media", "/mnt", "/opt", "/root", "/run", "/sbin",
					    "/srv", "/tmp", "/var", "/var/cache", "/var/lib", "/var/log", "/var/run", "/var/spool", "/var/tmp"};
	static const char *const below[] = {"/dev", "/etc", "/proc", "/sys", "/usr"};
	for (size_t i = 0; i < ARRAY_LEN(exact); i++)
		if (str_eq(path, exact[i]))
			return true;
	for (size_t i = 0; i < ARRAY_LEN(below); i++) {
		const char *rest = str_after(path, below[i]);
		if (rest && (*rest == '\0' || *rest == '/') && !str_after(path, "/usr/local/"))
			return true;
	}
	const char *home = str_after(path, "/home/"); /* somebody's whole home */
	return home && !strchr(home, '/');
}

static int label_one(int fd, const char *context)
{
	char have[LSM_LABEL_MAX];
	int n = lsm_selinux_file_label(fd, have, sizeof(have));
	if (n > 0 && str_eq(have, context))
		return 0;
	return lsm_selinux_label_fd(fd, context);
}

static int relabel_below(int dir, const char *context, unsigned depth, struct err *err);

static int relabel_entry(int dir, const char *name, const char *context, unsigned depth, struct err *err)
{
	struct stat st;
	_cleanup_close_ int fd = open_xdev_none(dir, name, O_PATH | O_NOFOLLOW, 0);
	if (fd == -EXDEV || fd == -ENOENT)
		return 0; /* another mount is not what was asked for; what went away needs no label */
	int r = fd < 0 ? fd : label_one(fd, context);
	if (r < 0)
		return err_sys(err, r, "'%.128s'", name);
	if (fstat(fd, &st) < 0 || !S_ISDIR(st.st_mode))
		return 0;
	r = relabel_below(fd, context, depth + 1, err);
	return r < 0 ? err_wrap(err, "%.64s", name) : 0;
}

static int relabel_below(int dir, const char *context, unsigned depth, struct err *err)
{
	if (depth > DEPTH_MAX)
		return err_set(err, ERR_QUOTA, "deeper than %d directories", DEPTH_MAX);
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	if (!d) {
		int r = -errno;
		safe_close(fd);
		return err_sys(err, r, "reading a directory");
	}
	int r = 0;
	for (struct dirent *e; r >= 0 && (e = readdir(d));)
		if (!str_eq(e->d_name, ".") && !str_eq(e->d_name, ".."))
			r = relabel_entry(dir, e->d_name, context, depth, err);
	(void) closedir(d);
	return r;
}

static int real_path(int fd, char *buf, size_t size, struct err *err)
{
	char link[40];
	(void) snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	ssize_t n = readlink(link, buf, size - 1);
	if (n < 0 || (size_t) n >= size - 1)
		return err_sys(err, n < 0 ? -errno : -ENAMETOOLONG, "finding out what it really is");
	buf[n] = '\0';
	return 0;
}

int selinux_relabel(const char *path, const char *context, struct err *err)
{
	char real[4096];
	struct stat st;
	_cleanup_close_ int fd = open(path, O_PATH | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(err, -errno, "relabelling '%.200s'", path);
	int r = real_path(fd, real, sizeof(real), err);
	if (r < 0)
		return err_wrap(err, "relabelling '%.200s'", path);
	if (selinux_relabel_is_refused(real))
		return err_set(err, ERR_DENIED, "relabelling '%.200s' (options z and Z) is refused: the host itself needs its labels; bind a directory of your own", real);
	r = label_one(fd, context);
	if (r == -EOPNOTSUPP)
		return 0; /* as others do: a filesystem whose labels come from its mount */
	if (r < 0)
		return err_sys(err, r, "relabelling '%.200s' as '%.128s'", path, context);
	r = S_ISDIR(st.st_mode) ? relabel_below(fd, context, 0, err) : 0;
	return r < 0 ? err_wrap(err, "relabelling '%.128s'", path) : 0;
}

/* The third field of a context. */
static void type_of(const char *context, const char **ret, size_t *ret_len)
{
	*ret = context;
	for (int i = 0; i < 2 && *ret; i++)
		*ret = strchr(*ret, ':') ? strchr(*ret, ':') + 1 : NULL;
	*ret_len = *ret ? strcspn(*ret, ":") : 0;
}

static int fd_type_is(int fd, const char *context)
{
	char have[LSM_LABEL_MAX];
	const char *a, *b;
	size_t na, nb;
	int n = lsm_selinux_file_label(fd, have, sizeof(have));
	if (n < 0)
		return n == -ENODATA ? 0 : n;
	type_of(have, &a, &na);
	type_of(context, &b, &nb);
	return a && b && na == nb && strncmp(a, b, na) == 0;
}

int selinux_file_type_is(const char *path, const char *context)
{
	_cleanup_close_ int fd = open(path, O_PATH | O_CLOEXEC);
	return fd < 0 ? -errno : fd_type_is(fd, context);
}

int selinux_relabel_own(int dir, const char *context, struct err *err)
{
	if (fd_type_is(dir, context))
		return 0; /* or it keeps no labels */
	int r = relabel_below(dir, context, 0, err); /* the top last: it says that all is done */
	if (r < 0)
		return err_wrap(err, "relabelling as '%.128s'", context);
	r = label_one(dir, context);
	return r < 0 && r != -EOPNOTSUPP ? err_sys(err, r, "relabelling as '%.128s'", context) : 0;
}

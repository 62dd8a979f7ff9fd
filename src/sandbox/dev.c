/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /dev: binds of the host's harmless nodes (a user namespace can make none itself), the standard links, and the devices that were
 * asked for; without a user namespace a foreign document's nodes are made by number. A host node that is bound is opened and looked at
 * before it is used: /dev/null is char 1:3 or the start fails (CVE-2025-31133).
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>

#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <termios.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/report.h"
#include "kernel/mount.h"
#include "kernel/path.h"
#include "sandbox/mounts.h"

static const struct {
	const char *name;
	unsigned major, minor;
} nodes[] = {
	{"null", 1, 3}, {"zero", 1, 5}, {"full", 1, 7}, {"random", 1, 8}, {"urandom", 1, 9}, {"tty", 5, 0},
};

static const struct {
	const char *name, *target;
} links[] = {
	{"fd", "/proc/self/fd"}, {"stdin", "/proc/self/fd/0"}, {"stdout", "/proc/self/fd/1"}, {"stderr", "/proc/self/fd/2"}, {"ptmx", "pts/ptmx"},
};

/* Detached clone of one host node that must be what its numbers say. */
static int clone_node(const char *path, char type, int64_t major, int64_t minor, struct err *err)
{
	_cleanup_close_ int src = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;
	if (src < 0 || fstat(src, &st) < 0)
		return err_sys(err, -errno, "host device '%s'", path);
	bool is_char = S_ISCHR(st.st_mode), is_block = S_ISBLK(st.st_mode);
	if ((type == 'c' && !is_char) || (type == 'b' && !is_block) || (!is_char && !is_block) || (int64_t) major(st.st_rdev) != major ||
	    (int64_t) minor(st.st_rdev) != minor)
		return err_set(err, ERR_INVALID, "host device '%s' is not %c %lld:%lld", path, type, (long long) major, (long long) minor);
	int mnt = mnt_clone_private(src, "", false);
	return mnt < 0 ? err_sys(err, mnt, "cloning '%s'", path) : mnt;
}

static int bind_node(int dev, const char *name, int mnt_consume, struct err *err)
{
	_cleanup_close_ int mnt = mnt_consume;
	if (mnt < 0)
		return mnt;
	_cleanup_close_ int target = openat(dev, name, O_CREAT | O_EXCL | O_NOFOLLOW | O_WRONLY | O_CLOEXEC, 0666);
	if (target < 0 && errno != EEXIST)
		return err_sys(err, -errno, "/dev/%s", name);
	if (target < 0)
		target = open_beneath_nosymlink(dev, name, O_PATH, 0); /* a mount of the user's own is there: cover it */
	int r = target < 0 ? target : mnt_attach(mnt, target);
	return r < 0 ? err_sys(err, r, "/dev/%s", name) : 0;
}

/* A detached clone of the host's node for @d: found by number, not by the container's path: /dev/char/MAJ:MIN is udev's; without udev the name
 * must be the host's. */
static int clone_host_node(const struct device_spec *d, struct err *err)
{
	char host[PATH_MAX], real[PATH_MAX];
	(void) str_format(host, sizeof(host), "/dev/%s/%lld:%lld", d->type == 'b' ? "block" : "char", (long long) d->major, (long long) d->minor);
	return clone_node(realpath(host, real) ? real : d->path, d->type == 'u' ? 'c' : d->type, d->major, d->minor, err);
}

static mode_t node_type(char type)
{
	return type == 'b' ? S_IFBLK : type == 'p' ? S_IFIFO : S_IFCHR;
}

/* The directory that @path lies in, made when missing, and its last part. */
static int open_parent(struct sandbox *s, const char *path, char name[NAME_MAX + 1], struct err *err)
{
	_cleanup_free_ char *clean = plan_clean_path(path);
	char *slash = clean ? strrchr(clean, '/') : NULL;
	if (!slash || !slash[1] || str_copy(name, NAME_MAX + 1, slash + 1) < 0)
		return err_set(err, ERR_INVALID, "linux.devices: '%s' is no path for a device", path);
	slash[1] = '\0';
	bool dev = str_eq(clean, "/dev/"); /* must be an ordinary directory: runc CVE-2026-41579 */
	int fd = dev ? open_beneath_nosymlink(s->root_fd, "dev", O_PATH | O_DIRECTORY, 0) : mkdir_in_root(s->root_fd, clean, 0755);
	return fd < 0 ? err_sys(err, fd, "linux.devices: '%s'", path) : fd;
}

static int bind_device(struct sandbox *s, const struct device_spec *d, struct err *err)
{
	char name[NAME_MAX + 1];
	_cleanup_close_ int dir = open_parent(s, d->path, name, err);
	if (dir < 0)
		return dir;
	int r = bind_node(dir, name, clone_host_node(d, err), err);
	return r < 0 ? err_wrap(err, "linux.devices: '%s'", d->path) : 0;
}

/* What is there already is fine when it is the same; anything else would be taken for the device (CVE-2025-31133). */
static int same_node(int dir, const char *name, const struct device_spec *d, dev_t dev, struct err *err)
{
	struct stat st;
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(err, -errno, "linux.devices: '%s'", d->path);
	if ((st.st_mode & S_IFMT) != node_type(d->type) || (d->type != 'p' && st.st_rdev != dev))
		return err_set(err, ERR_CONFLICT, "linux.devices: '%s' exists in the root filesystem and is something else", d->path);
	return 0;
}

/* Return: 0; 1 when this host does not let us make nodes. */
static int make_node(struct sandbox *s, const struct device_spec *d, struct err *err)
{
	char name[NAME_MAX + 1];
	dev_t dev = d->type == 'p' ? 0 : makedev((unsigned) d->major, (unsigned) d->minor);
	_cleanup_close_ int dir = open_parent(s, d->path, name, err);
	if (dir < 0)
		return dir;
	mode_t mask = umask(0); /* so that the mode is exact from birth: no chmod by name */
	int r = mknodat(dir, name, node_type(d->type) | (d->has_mode ? d->mode & 07777 : 0666), dev) < 0 ? -errno : 0;
	(void) umask(mask);
	if (r == -EEXIST)
		return same_node(dir, name, d, dev, err);
	if (r == -EPERM && d->type != 'p')
		return 1;
	if (r < 0)
		return err_sys(err, r, "linux.devices: making '%s'", d->path);
	_cleanup_close_ int node = open_beneath_nosymlink(dir, name, O_PATH, 0);
	bool chown = (d->has_uid && d->uid) || (d->has_gid && d->gid); /* takes set-id bits away */
	if (node < 0 || (chown && fchownat(node, "", d->has_uid ? d->uid : 0, d->has_gid ? d->gid : 0, AT_EMPTY_PATH) < 0))
		return err_sys(err, node < 0 ? node : -errno, "linux.devices: owner of '%s'", d->path);
	return same_node(dir, name, d, dev, err);
}

/* By number where that is possible, with the owner and mode of the document; in a user namespace only the host's nodes work, as they are. */
static int add_device(struct sandbox *s, const struct device_spec *d, struct err *err)
{
	if (d->type != 'p' && (d->major < 0 || d->minor < 0 || d->major > 0xfff || d->minor > 0xfffff))
		return err_set(err, ERR_INVALID, "linux.devices: '%s': %lld:%lld is no device number", d->path, (long long) d->major, (long long) d->minor);
	bool bind = !s->plan.obey || (d->type != 'p' && (s->has_own[NS_USER] || mounts_by_init(s)));
	int r = bind ? 1 : make_node(s, d, err);
	return r == 1 ? bind_device(s, d, err) : r;
}

static bool is_listed(const struct sandbox *s, const char *path)
{
	for (size_t i = 0; i < s->spec->n_devices; i++)
		if (str_eq(s->spec->devices[i].path, path))
			return true;
	return false;
}

/* Those that every container has (config-linux.md "Default Devices"). */
static int add_defaults(struct sandbox *s, int dev, struct err *err)
{
	for (size_t i = 0; i < ARRAY_LEN(nodes); i++) {
		char path[32];
		(void) str_format(path, sizeof(path), "/dev/%s", nodes[i].name);
		int r;
		if (s->plan.obey) {
			const struct device_spec d = {.path = path, .type = 'c', .major = nodes[i].major, .minor = nodes[i].minor};
			r = is_listed(s, path) ? 0 : add_device(s, &d, err);
		} else
			r = bind_node(dev, nodes[i].name, clone_node(path, 'c', nodes[i].major, nodes[i].minor, err), err);
		if (r < 0)
			return r;
	}
	for (size_t i = 0; i < ARRAY_LEN(links); i++)
		if (symlinkat(links[i].target, dev, links[i].name) < 0 && errno != EEXIST)
			return err_sys(err, -errno, "/dev/%s", links[i].name);
	return 0;
}

static int open_dev(struct sandbox *s, struct err *err)
{
	if (mkdirat(s->root_fd, "dev", 0755) < 0 && errno != EEXIST)
		return err_sys(err, -errno, "/dev");
	int dev = open_beneath_nosymlink(s->root_fd, "dev", O_RDONLY | O_DIRECTORY, 0);
	if (dev == -ELOOP || dev == -ENOTDIR)
		return err_set(err, ERR_INVALID, "/dev in the root filesystem is not an ordinary directory");
	return dev < 0 ? err_sys(err, dev, "/dev") : dev;
}

int dev_populate(struct sandbox *s, struct err *err)
{
	if (s->plan.no_dev)
		return 0;
	_cleanup_close_ int dev = open_dev(s, err);
	int r = dev < 0 ? dev : add_defaults(s, dev, err);
	for (size_t i = 0; r == 0 && i < s->spec->n_devices; i++)
		if (!str_eq(s->spec->devices[i].path, "/dev/ptmx")) /* always the container's own (config-linux.md "Default Devices"); `--privileged` lists the host's */
			r = add_device(s, &s->spec->devices[i], err);
	return r;
}

/* The terminal is born in the container's own devpts (R25): no pty of the host ever comes inside. */
int dev_console(struct sandbox *s, struct err *err)
{
	if (!s->process->terminal)
		return 0;
	_cleanup_close_ int pts = open_in_root(s->root_fd, "dev/pts", O_RDONLY | O_DIRECTORY, 0);
	if (pts < 0)
		return err_sys(err, pts, "/dev/pts");
	if (fd_is_on(pts, 0x1cd1 /* DEVPTS_SUPER_MAGIC */) != 1)
		return err_set(err, ERR_INVALID, "/dev/pts is not a devpts: a terminal needs one of the container's own");
	_cleanup_close_ int master = openat(pts, "ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
	int unlock = 0;
	if (master < 0 || ioctl(master, TIOCSPTLCK, &unlock) < 0)
		return err_sys(err, -errno, "opening a terminal");
	_cleanup_close_ int slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	unsigned number;
	if (slave < 0 || ioctl(master, TIOCGPTN, &number) < 0)
		return err_sys(err, -errno, "opening a terminal");
	struct winsize size = {.ws_row = s->process->rows, .ws_col = s->process->cols};
	if (size.ws_row && size.ws_col && ioctl(master, TIOCSWINSZ, &size) < 0)
		return err_sys(err, -errno, "sizing the terminal");
	if (fchown(slave, s->user.uid, (gid_t) -1) < 0)
		return err_sys(err, -errno, "giving the terminal to uid %u", s->user.uid);
	if (!s->is_exec) { /* the container's first process: /dev/console is its terminal */
		char name[16];
		(void) str_format(name, sizeof(name), "%u", number);
		_cleanup_close_ int dev = open_in_root(s->root_fd, "dev", O_RDONLY | O_DIRECTORY, 0);
		int r = dev < 0 ? err_sys(err, dev, "/dev") : bind_node(dev, "console", mnt_clone(pts, name, false), err);
		if (r < 0)
			return r;
	}
	struct report rep = {.kind = REPORT_CONSOLE};
	int r = report_send(s->report_fd, &rep, master);
	if (r < 0)
		return err_sys(err, r, "handing the terminal over");
	for (int i = 0; i < 3; i++) {
		safe_close(s->stdio[i]);
		s->stdio[i] = fcntl(slave, F_DUPFD_CLOEXEC, 3);
		if (s->stdio[i] < 0)
			return err_sys(err, -errno, "the terminal");
	}
	return 0;
}

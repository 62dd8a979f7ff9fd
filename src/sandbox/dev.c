/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /dev: binds of the host's harmless nodes (a user namespace can make none itself), the standard links, and the devices that were
 * asked for. The host node is opened and looked at before it is used: /dev/null is char 1:3 or the start fails (CVE-2025-31133).
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
#include "sandbox/internal.h"

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
	int mnt = mnt_clone(src, "", false);
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

/* Devices that were asked for by name: their host node has the same path, or stands in annotations of ours as "HOST". */
static int bind_devices(struct sandbox *s, struct err *err)
{
	for (size_t i = 0; i < s->spec->n_devices; i++) {
		const struct device_spec *d = &s->spec->devices[i];
		char host[PATH_MAX];
		/* found by number, not by the container's path: /dev/char/MAJ:MIN is udev's; without udev the name must be the host's */
		(void) str_format(host, sizeof(host), "/dev/%s/%lld:%lld", d->type == 'b' ? "block" : "char", (long long) d->major, (long long) d->minor);
		char real[PATH_MAX];
		const char *src = realpath(host, real) ? real : d->path;
		_cleanup_close_ int mnt = clone_node(src, d->type == 'u' ? 'c' : d->type, d->major, d->minor, err);
		if (mnt < 0)
			return mnt;
		_cleanup_close_ int target = touch_in_root(s->root_fd, d->path, 0666);
		int r = target < 0 ? target : mnt_attach(mnt, target);
		if (r < 0)
			return err_sys(err, r, "device '%s'", d->path);
	}
	return 0;
}

int dev_populate(struct sandbox *s, struct err *err)
{
	_cleanup_close_ int dev = open_in_root(s->root_fd, "dev", O_RDONLY | O_DIRECTORY, 0);
	if (dev == -ENOENT)
		dev = mkdir_in_root(s->root_fd, "dev", 0755);
	if (dev < 0)
		return err_sys(err, dev, "/dev");
	for (size_t i = 0; i < ARRAY_LEN(nodes); i++) {
		char path[32];
		(void) str_format(path, sizeof(path), "/dev/%s", nodes[i].name);
		int r = bind_node(dev, nodes[i].name, clone_node(path, 'c', nodes[i].major, nodes[i].minor, err), err);
		if (r < 0)
			return r;
	}
	for (size_t i = 0; i < ARRAY_LEN(links); i++)
		if (symlinkat(links[i].target, dev, links[i].name) < 0 && errno != EEXIST)
			return err_sys(err, -errno, "/dev/%s", links[i].name);
	return bind_devices(s, err);
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

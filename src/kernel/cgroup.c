/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/num.h"
#include "base/str.h"

static const char *const names[] = {"pids", "memory", "cpu", "cpuset", "devices", "freezer", "cpuacct", "blkio"};
static_assert(ARRAY_LEN(names) == CG_CONTROLLER_MAX_, "every controller has a name");
/* the same controller's name in cgroup.controllers; "": v2 does it without a controller (devices by BPF, freezing in the core) */
static const char *const v2_names[] = {"pids", "memory", "cpu", "cpuset", "", "", "cpu", "io"};

const char *cgroup_controller_name(enum cg_controller c)
{
	return names[c];
}

static bool has_word(const char *list, const char *word, char sep)
{
	size_t n = strlen(word);
	for (const char *p = list; n && *p; p += strcspn(p, (char[]) {sep, ' ', '\n', 0}), p += *p != 0)
		if (strncmp(p, word, n) == 0 && (p[n] == sep || p[n] == '\0' || p[n] == '\n' || p[n] == ' '))
			return true;
	return false;
}

/* One line of mountinfo: "ID PARENT MAJ:MIN ROOT MOUNTPOINT OPTS ... - TYPE SOURCE SUPEROPTS" (proc(5)). */
static void layout_line(struct cgroup_layout *l, char *line)
{
	char *sep = strstr(line, " - cgroup");
	if (!sep)
		return;
	bool v2 = strncmp(sep, " - cgroup2 ", 11) == 0;
	*sep = '\0';
	char *super = strrchr(sep + 3, ' '), *f = line;
	for (int i = 0; i < 4 && f; i++) {
		if (i == 3 && strncmp(f, "/ ", 2) != 0)
			return; /* not the root of the hierarchy: a bind of a part */
		f = strchr(f, ' ');
		f += f != NULL;
	}
	if (!f || !super)
		return;
	f[strcspn(f, " ")] = '\0';
	if (v2) {
		if (!*l->v2_mount)
			(void) str_copy(l->v2_mount, sizeof(l->v2_mount), f);
		return;
	}
	for (int c = 0; c < CG_CONTROLLER_MAX_; c++)
		if (has_word(super + 1, names[c], ',') && !*l->mount[c])
			(void) str_copy(l->mount[c], sizeof(l->mount[c]), f);
}

int cgroup_layout_read(struct cgroup_layout *ret)
{
	_cleanup_free_ char *text = NULL;
	ssize_t n = read_file(AT_FDCWD, "/proc/self/mountinfo", 64 << 20, &text);
	if (n < 0)
		return (int) n;
	*ret = (struct cgroup_layout) {0};
	for (char *line = text, *next; line && *line; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		layout_line(ret, line);
	}
	if (*ret->v2_mount) {
		char path[96];
		_cleanup_free_ char *ctl = NULL;
		if (str_format(path, sizeof(path), "%s/cgroup.controllers", ret->v2_mount) > 0 && read_file(AT_FDCWD, path, 4096, &ctl) > 0)
			for (int c = 0; c < CG_CONTROLLER_MAX_; c++)
				if (has_word(ctl, v2_names[c], ' '))
					ret->v2_mask |= 1u << c;
		/* where v2 carries pids or memory it carries the host: freezer and kill come with it */
		if (ret->v2_mask & (1u << CG_PIDS | 1u << CG_MEMORY))
			ret->v2_mask |= 1u << CG_FREEZER;
	}
	return 0;
}

int cgroup_has(const struct cgroup_layout *l, enum cg_controller c)
{
	if (*l->mount[c])
		return 1;
	return l->v2_mask & (1u << c) ? 2 : 0;
}

void cgroup_init(struct cgroup *cg)
{
	*cg = (struct cgroup) {.v2 = -EBADF};
	for (int c = 0; c < CG_CONTROLLER_MAX_; c++)
		cg->v1[c] = -EBADF;
}

/* The first controller that shares @c's v1 mount: one directory and one fd serve them all. */
static int lead_of(const struct cgroup_layout *l, int c)
{
	for (int i = 0; i < c; i++)
		if (strcmp(l->mount[i], l->mount[c]) == 0)
			return i;
	return c;
}

void cgroup_done(struct cgroup *cg)
{
	for (int c = 0; c < CG_CONTROLLER_MAX_; c++)
		cg->v1[c] = safe_close(cg->v1[c]);
	cg->v2 = safe_close(cg->v2);
}

/* v1 cpuset: a new directory starts empty and takes no task until it has cpus and mems (cgroup-v1/cpusets.rst). */
static int cpuset_inherit(int dfd, int parent)
{
	static const char *const files[] = {"cpuset.cpus", "cpuset.mems"};
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		_cleanup_free_ char *v = NULL, *own = NULL;
		ssize_t n = read_file(dfd, files[i], 4096, &own);
		if (n < 0)
			return (int) n;
		if (own[0] != '\n' && own[0] != '\0')
			continue;
		n = read_file(parent, files[i], 4096, &v);
		if (n < 0)
			return (int) n;
		v[strcspn(v, "\n")] = '\0';
		int r = write_file(dfd, files[i], v);
		if (r < 0)
			return r;
	}
	return 0;
}

/* mkdir -p of @path below @root; @each is called for every directory on the way with its parent. Return: fd of the last. */
static int make_path(int root_consume, const char *path, int (*each)(int dfd, int parent))
{
	int fd = root_consume;
	while (*path) {
		char name[96];
		size_t n = strcspn(path, "/");
		if (n >= sizeof(name)) {
			safe_close(fd);
			return -ENAMETOOLONG;
		}
		memcpy(name, path, n);
		name[n] = '\0';
		path += n + (path[n] == '/');
		int next = mkdir_open_at(fd, name, 0755);
		int r = next >= 0 && each ? each(next, fd) : 0;
		safe_close(fd);
		if (r < 0) {
			safe_close(next);
			return r;
		}
		fd = next;
		if (fd < 0)
			return fd;
	}
	return fd;
}

/* v2: a controller must be on in subtree_control of every ancestor ("top-down constraint", cgroup-v2.rst). */
static int v2_enable(int parent, unsigned mask)
{
	_cleanup_free_ char *on = NULL;
	ssize_t n = read_file(parent, "cgroup.subtree_control", 4096, &on);
	if (n < 0)
		return (int) n;
	for (int c = 0; c < CG_CONTROLLER_MAX_; c++) {
		if (!(mask & (1u << c)) || !*v2_names[c] || has_word(on, v2_names[c], ' '))
			continue;
		char text[32];
		(void) str_format(text, sizeof(text), "+%s", v2_names[c]);
		int r = write_file(parent, "cgroup.subtree_control", text);
		if (r < 0)
			return r;
	}
	return 0;
}

static int v2_create(struct cgroup *cg, unsigned mask)
{
	int fd = open(cg->layout.v2_mount, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	const char *path = cg->path;
	while (*path && fd >= 0) {
		char name[96];
		size_t n = strcspn(path, "/");
		if (n >= sizeof(name)) {
			safe_close(fd);
			return -ENAMETOOLONG;
		}
		memcpy(name, path, n);
		name[n] = '\0';
		path += n + (path[n] == '/');
		int r = v2_enable(fd, mask);
		int next = r < 0 ? r : mkdir_open_at(fd, name, 0755);
		safe_close(fd);
		fd = next;
	}
	if (fd < 0)
		return fd;
	cg->v2 = fd;
	return 0;
}

int cgroup_create(struct cgroup *ret, const char *path, unsigned controllers, const char **ret_failed)
{
	cgroup_init(ret);
	*ret_failed = "layout";
	int r = cgroup_layout_read(&ret->layout);
	if (r < 0)
		return r;
	r = str_copy(ret->path, sizeof(ret->path), path);
	if (r < 0)
		return r;
	unsigned v2 = 0;
	for (int c = 0; c < CG_CONTROLLER_MAX_; c++) {
		if (!(controllers & (1u << c)))
			continue;
		int where = cgroup_has(&ret->layout, c);
		if (where == 2)
			v2 |= 1u << c;
		int lead = lead_of(&ret->layout, c);
		if (where != 1 || ret->v1[lead] >= 0)
			continue;
		*ret_failed = names[c];
		int root = open(ret->layout.mount[c], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (root < 0)
			return -errno;
		int fd = make_path(root, path, c == CG_CPUSET ? cpuset_inherit : NULL);
		if (fd < 0)
			return fd;
		ret->v1[lead] = fd;
	}
	*ret_failed = "v2";
	return v2 ? v2_create(ret, v2) : 0;
}

static int open_in(const char *mount, const char *path)
{
	char full[300];
	int r = str_format(full, sizeof(full), "%s/%s", mount, path);
	if (r < 0)
		return r;
	int fd = open(full, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	return fd < 0 ? -errno : fd;
}

int cgroup_open(struct cgroup *ret, const char *path)
{
	cgroup_init(ret);
	int r = cgroup_layout_read(&ret->layout);
	if (r < 0)
		return r;
	r = str_copy(ret->path, sizeof(ret->path), path);
	if (r < 0)
		return r;
	bool any = false;
	for (int c = 0; c < CG_CONTROLLER_MAX_; c++) {
		if (!*ret->layout.mount[c] || lead_of(&ret->layout, c) != c)
			continue;
		ret->v1[c] = open_in(ret->layout.mount[c], path);
		any |= ret->v1[c] >= 0;
	}
	if (*ret->layout.v2_mount) {
		ret->v2 = open_in(ret->layout.v2_mount, path);
		any |= ret->v2 >= 0;
	}
	return any ? 0 : -ENOENT;
}

/* directory fd that carries @c, and which file name applies */
static int dir_of(const struct cgroup *cg, enum cg_controller c, const char *v1_file, const char *v2_file, const char **file)
{
	int where = cgroup_has(&cg->layout, c);
	int dfd = where == 1 ? cg->v1[lead_of(&cg->layout, c)] : where == 2 ? cg->v2 : -EBADF;
	*file = where == 1 ? v1_file : v2_file;
	if (dfd < 0 || !*file)
		return -EOPNOTSUPP;
	return dfd;
}

int cgroup_write(const struct cgroup *cg, enum cg_controller c, const char *v1_file, const char *v2_file, const char *text)
{
	const char *file;
	int dfd = dir_of(cg, c, v1_file, v2_file, &file);
	return dfd < 0 ? dfd : write_file(dfd, file, text);
}

int cgroup_read(const struct cgroup *cg, enum cg_controller c, const char *v1_file, const char *v2_file, char *buf, size_t size)
{
	const char *file;
	int dfd = dir_of(cg, c, v1_file, v2_file, &file);
	if (dfd < 0)
		return dfd;
	_cleanup_close_ int fd = openat(dfd, file, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ssize_t n = read_full(fd, buf, size - 1);
	if (n < 0)
		return (int) n;
	while (n > 0 && buf[n - 1] == '\n')
		n--;
	buf[n] = '\0';
	return 0;
}

int cgroup_join_fds(const struct cgroup *cg, int *fds)
{
	int n = 0;
	for (int c = 0; c < CG_CONTROLLER_MAX_; c++) {
		if (cg->v1[c] < 0)
			continue;
		fds[n] = openat(cg->v1[c], "tasks", O_WRONLY | O_CLOEXEC);
		if (fds[n] < 0) {
			int r = -errno;
			while (n > 0)
				safe_close(fds[--n]);
			return r;
		}
		n++;
	}
	return n;
}

/* SIGKILL every pid listed in @dfd/cgroup.procs. Return: how many there were, -errno. */
static int kill_listed(int dfd)
{
	_cleanup_free_ char *list = NULL;
	ssize_t n = read_file(dfd, "cgroup.procs", 16 << 20, &list);
	if (n < 0)
		return (int) n;
	int seen = 0;
	for (char *p = list, *next; p && *p; p = next) {
		next = strchr(p, '\n');
		if (next)
			*next++ = '\0';
		uint32_t pid;
		if (parse_u32(p, &pid) < 0 || pid == 0)
			continue;
		seen++;
		(void) kill((pid_t) pid, SIGKILL); /* gone already is as good */
	}
	return seen;
}

/* Children first: a nested cgroup made by the container holds processes of its own. */
static int kill_tree(int dfd, int depth)
{
	int seen = 0;
	int dup = openat(dfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = dup < 0 ? NULL : fdopendir(dup);
	if (!d) {
		safe_close(dup);
		return -errno;
	}
	struct dirent *e;
	while (depth < 32 && (e = readdir(d))) {
		if (e->d_type != DT_DIR || e->d_name[0] == '.')
			continue;
		_cleanup_close_ int sub = openat(dfd, e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		int n = sub < 0 ? 0 : kill_tree(sub, depth + 1);
		seen += MAX(n, 0);
	}
	(void) closedir(d);
	int n = kill_listed(dfd);
	return n < 0 && n != -ENOENT && n != -ENODEV ? n : seen + MAX(n, 0);
}

int cgroup_kill(const struct cgroup *cg, int tries)
{
	for (int i = 0; i < tries; i++) {
		int left = 0;
		if (cg->v2 >= 0 && write_file(cg->v2, "cgroup.kill", "1") < 0)
			left += MAX(kill_tree(cg->v2, 0), 0);
		for (int c = 0; c < CG_CONTROLLER_MAX_; c++)
			if (cg->v1[c] >= 0) {
				left += MAX(kill_tree(cg->v1[c], 0), 0);
				break; /* every hierarchy holds the same processes */
			}
		if (left == 0)
			return 0;
		(void) nanosleep(&(struct timespec) {.tv_nsec = 1000000}, NULL);
	}
	return -EBUSY;
}

/* rmdir of a cgroup and its children: cgroup files cannot be unlinked, only directories go. */
static int rmdir_tree(int parent, const char *name, int depth)
{
	if (unlinkat(parent, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
		return 0;
	if (errno != EBUSY && errno != ENOTEMPTY)
		return -errno;
	int r = -errno;
	if (depth > 32)
		return r;
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	if (!d) {
		safe_close(fd);
		return r;
	}
	struct dirent *e;
	while ((e = readdir(d)))
		if (e->d_type == DT_DIR && e->d_name[0] != '.')
			(void) rmdir_tree(dirfd(d), e->d_name, depth + 1); /* the parent's own rmdir tells */
	(void) closedir(d);
	return unlinkat(parent, name, AT_REMOVEDIR) == 0 || errno == ENOENT ? 0 : -errno;
}

static int remove_in(const char *mount, const char *path)
{
	if (!*mount)
		return 0;
	_cleanup_close_ int fd = open(mount, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	int r = rmdir_tree(fd, path, 0);
	/* the last task of a v1 cgroup leaves it only when it has been reaped for good: give that a moment */
	for (int i = 0; r == -EBUSY && i < 200; i++) {
		(void) nanosleep(&(struct timespec) {.tv_nsec = 500000}, NULL);
		r = rmdir_tree(fd, path, 0);
	}
	return r;
}

int cgroup_remove(const char *path)
{
	struct cgroup cg;
	int r = cgroup_open(&cg, path);
	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return r;
	r = cgroup_kill(&cg, 2000);
	for (int c = 0; c < CG_CONTROLLER_MAX_; c++)
		if (cg.v1[c] >= 0) {
			int k = remove_in(cg.layout.mount[c], path);
			r = k < 0 ? k : r;
		}
	if (cg.v2 >= 0) {
		int k = remove_in(cg.layout.v2_mount, path);
		r = k < 0 ? k : r;
	}
	cgroup_done(&cg);
	return r;
}

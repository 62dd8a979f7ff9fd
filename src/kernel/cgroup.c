/* SPDX-License-Identifier: Apache-2.0 */
/* A container's directories: made, opened, read and written. */
#include "kernel/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "kernel/cgroup_internal.h"

void cgroup_init(struct cgroup *cg)
{
	*cg = (struct cgroup) {.v2 = -EBADF};
	for (int c = 0; c < CG_CONTROLLER_MAX_; c++)
		cg->v1[c] = -EBADF;
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

/* What is to be done on the way down a path. */
struct walk {
	int (*enter)(int dfd, int parent);               /* for each directory; NULL: nothing */
	int (*leave)(int parent, unsigned mask, bool all); /* for each parent, before its child is made; NULL: nothing */
	unsigned mask;
	bool all;
};

/* mkdir -p of @path below @mount. *@ret_made: the last part is new. Return: fd of the last. */
static int make_path(const char *mount, const char *path, const struct walk *w, bool *ret_made)
{
	int fd = open(mount, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	while (*path) {
		char name[256];
		size_t n = strcspn(path, "/");
		memcpy(name, path, n); /* no part of a checked path is longer */
		name[n] = '\0';
		path += n + (path[n] == '/');
		int r = w->leave ? w->leave(fd, w->mask, w->all) : 0, next = -EBADF;
		*ret_made = false;
		if (r == 0) {
			if (mkdirat(fd, name, 0755) == 0)
				*ret_made = true;
			else if (errno != EEXIST)
				r = -errno;
		}
		if (r == 0) {
			next = openat(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
			r = next < 0 ? -errno : w->enter ? w->enter(next, fd) : 0;
		}
		if (r < 0 && *ret_made)
			(void) unlinkat(fd, name, AT_REMOVEDIR); /* just made: nobody is in it */
		safe_close(fd);
		if (r < 0) {
			safe_close(next);
			*ret_made = false;
			return r;
		}
		fd = next;
	}
	return fd;
}

/* v2: a controller must be on in subtree_control of every ancestor ("top-down constraint", cgroup-v2.rst). @all: everything that can be had,
 * each by itself, and one that cannot is told by the limit that needs it. */
static int v2_enable(int parent, unsigned mask, bool all)
{
	_cleanup_free_ char *on = NULL, *offered = NULL;
	ssize_t n = read_file(parent, "cgroup.subtree_control", 4096, &on);
	if (n < 0)
		return all ? 0 : (int) n;
	if (all && read_file(parent, "cgroup.controllers", 4096, &offered) < 0)
		return 0;
	for (const char *p = offered; p && *p; p += *p != '\0') {
		char name[64] = "+";
		size_t k = strcspn(p, " \n");
		if (k > 0 && k < sizeof(name) - 1) {
			memcpy(name + 1, p, k);
			name[k + 1] = '\0';
			if (!cgroup_has_word(on, name + 1, ' '))
				(void) write_file(parent, "cgroup.subtree_control", name); /* a busy or foreign parent: told later */
		}
		p += k;
	}
	for (int c = 0; !all && c < CG_CONTROLLER_MAX_; c++) {
		const char *v2 = cgroup_v2_name((enum cg_controller) c);
		if (!(mask & (1u << c)) || !*v2 || cgroup_has_word(on, v2, ' '))
			continue;
		char text[32];
		(void) str_format(text, sizeof(text), "+%s", v2);
		int r = write_file(parent, "cgroup.subtree_control", text);
		if (r < 0)
			return r;
	}
	return 0;
}

int cgroup_dir_make(const struct cgroup *cg, int c, bool *ret_made)
{
	char path[CGROUP_PATH_MAX];
	struct walk w = {.enter = c == cgroup_lead(&cg->layout, CG_CPUSET) ? cpuset_inherit : NULL};
	int r = cgroup_path_in(cg->path, cgroup_hierarchy_name(c), path);
	return r < 0 ? r : make_path(cg->layout.mount[c], path, &w, ret_made);
}

/* Whether anybody is in the cgroup or below it: who removes the one kills the others. Return: 0 nobody, -EADDRINUSE, other -errno. */
static int check_empty(int fd, int depth)
{
	char c;
	_cleanup_close_ int procs = openat(fd, "cgroup.procs", O_RDONLY | O_CLOEXEC), again = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (procs < 0 || again < 0)
		return -errno;
	ssize_t n = read(procs, &c, 1);
	if (n != 0 && !(n < 0 && errno == EOPNOTSUPP)) /* EOPNOTSUPP: a threaded cgroup of v2 */
		return n > 0 ? -EADDRINUSE : -errno;
	DIR *d = depth < 32 ? fdopendir(again) : NULL;
	if (!d)
		return depth < 32 ? -errno : -EADDRINUSE; /* deeper than anybody looks: not ours to take */
	(void) take_fd(&again);
	int r = 0;
	struct dirent *e;
	while (r == 0 && (e = readdir(d))) {
		if (e->d_type != DT_DIR || e->d_name[0] == '.')
			continue;
		_cleanup_close_ int sub = openat(fd, e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		r = sub < 0 ? (errno == ENOENT ? 0 : -errno) : check_empty(sub, depth + 1);
	}
	(void) closedir(d);
	return r;
}

/* An existing directory of a path that a stranger names: nobody may be in it already, and nobody may have frozen it. */
static int check_joined(int fd)
{
	int r = check_empty(fd, 0);
	if (r < 0)
		return r;
	static const char *const freezers[][2] = {{"freezer.state", "FR"}, {"cgroup.freeze", "1"}};
	for (size_t i = 0; i < ARRAY_LEN(freezers); i++) {
		_cleanup_free_ char *state = NULL;
		if (read_file(fd, freezers[i][0], 64, &state) > 0 && strncmp(state, freezers[i][1], strlen(freezers[i][1])) == 0)
			return -EBUSY;
	}
	return 0;
}

static int create_v1(struct cgroup *cg, int c, unsigned flags)
{
	bool made = false;
	int fd = cgroup_dir_make(cg, c, &made);
	if (fd < 0)
		return fd;
	cg->v1[c] = fd;
	cg->made |= made ? 1u << c : 0;
	return made || !(flags & CGROUP_EMPTY) ? 0 : check_joined(fd);
}

static int create_v2(struct cgroup *cg, unsigned mask, unsigned flags)
{
	char path[CGROUP_PATH_MAX];
	bool made = false;
	struct walk w = {.leave = flags & CGROUP_SWITCHED ? NULL : v2_enable, .mask = mask, .all = flags & CGROUP_FOREIGN};
	int r = cgroup_path_in(cg->path, cgroup_hierarchy_name(CGROUP_V2), path);
	int fd = r < 0 ? r : make_path(cg->layout.v2_mount, path, &w, &made);
	if (fd < 0)
		return fd;
	cg->v2 = fd;
	cg->made |= made ? 1u << CGROUP_V2 : 0;
	return made || !(flags & CGROUP_EMPTY) ? 0 : check_joined(fd);
}

/* Left out instead of failed, for a caller who asked for that. */
static bool may_skip(int r, unsigned flags)
{
	return flags & CGROUP_WRITABLE && (r == -EACCES || r == -EPERM || r == -EROFS);
}

static int create_all(struct cgroup *cg, unsigned controllers, unsigned flags, const char **ret_failed)
{
	unsigned v2 = 0;
	int r = 0;
	for (int c = 0; c < CG_CONTROLLER_MAX_; c++) {
		if (!(controllers & (1u << c)))
			continue;
		int where = cgroup_has(&cg->layout, (enum cg_controller) c);
		if (where == 2)
			v2 |= 1u << c;
		int lead = cgroup_lead(&cg->layout, (enum cg_controller) c);
		if (where != 1 || cg->v1[lead] >= 0)
			continue;
		*ret_failed = cgroup_controller_name((enum cg_controller) c);
		r = create_v1(cg, lead, flags);
		if (r < 0 && !may_skip(r, flags))
			return r;
	}
	*ret_failed = "v2";
	r = v2 ? create_v2(cg, v2, flags) : 0;
	if (r < 0 && !may_skip(r, flags))
		return r;
	bool any = cg->v2 >= 0;
	for (int c = 0; c < CG_CONTROLLER_MAX_; c++)
		any |= cg->v1[c] >= 0;
	return any || !(flags & CGROUP_WRITABLE) ? 0 : -ENOENT;
}

int cgroup_create(struct cgroup *ret, const char *path, unsigned controllers, unsigned flags, const char **ret_failed)
{
	char first[CGROUP_PATH_MAX];
	cgroup_init(ret);
	*ret_failed = "layout";
	int r = cgroup_layout_read(&ret->layout);
	if (r == 0)
		r = str_copy(ret->path, sizeof(ret->path), path);
	if (r == 0)
		r = cgroup_path_in(path, "", first);
	if (r < 0)
		return r;
	r = create_all(ret, controllers, flags, ret_failed);
	if (r < 0)
		cgroup_undo(ret);
	return r;
}

void cgroup_undo(struct cgroup *cg)
{
	for (int c = 0; c <= CG_CONTROLLER_MAX_; c++) {
		char full[CGROUP_PATH_MAX + 160];
		if (cg->made & (1u << c) && cgroup_full_path(cg, (enum cg_controller) c, full, sizeof(full)) == 0)
			(void) rmdir(full); /* a process that is in it already keeps it: then cgroup_remove() is the way */
	}
	cg->made = 0;
	cg->path[0] = '\0'; /* what was there before is not ours to clean up */
	cgroup_done(cg);
}

int cgroup_full_path(const struct cgroup *cg, enum cg_controller c, char *buf, size_t size)
{
	char path[CGROUP_PATH_MAX];
	const char *mount = c == CGROUP_V2 ? cg->layout.v2_mount : cg->layout.mount[c];
	if (!*mount || cgroup_path_in(cg->path, cgroup_hierarchy_name((int) c), path) < 0)
		return -ENOENT;
	int r = str_format(buf, size, "%s/%s", mount, path);
	return r < 0 ? r : 0;
}

static int open_in(const struct cgroup *cg, int c)
{
	char full[CGROUP_PATH_MAX + 160];
	int r = cgroup_full_path(cg, (enum cg_controller) c, full, sizeof(full));
	if (r < 0)
		return r;
	int fd = open(full, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	return fd < 0 ? -errno : fd;
}

static bool is_shortage(int r)
{
	return r == -EMFILE || r == -ENFILE || r == -ENOMEM;
}

static int name_it(struct cgroup *ret, const char *path)
{
	char first[CGROUP_PATH_MAX];
	cgroup_init(ret);
	int r = cgroup_layout_read(&ret->layout);
	if (r == 0)
		r = str_copy(ret->path, sizeof(ret->path), path);
	return r < 0 ? r : cgroup_path_in(path, "", first);
}

int cgroup_open_one(struct cgroup *ret, const char *path, enum cg_controller c)
{
	int r = name_it(ret, path);
	if (r < 0)
		return r;
	int lead = *ret->layout.mount[c] ? cgroup_lead(&ret->layout, c) : CGROUP_V2;
	int *fd = lead == CGROUP_V2 ? &ret->v2 : &ret->v1[lead];
	*fd = open_in(ret, lead);
	return MIN(*fd, 0);
}

int cgroup_open(struct cgroup *ret, const char *path)
{
	int r = name_it(ret, path);
	if (r < 0)
		return r;
	bool any = false;
	for (int c = 0; c < CG_CONTROLLER_MAX_; c++) {
		if (!*ret->layout.mount[c] || cgroup_lead(&ret->layout, (enum cg_controller) c) != c)
			continue;
		ret->v1[c] = open_in(ret, c);
		any |= ret->v1[c] >= 0;
		if (is_shortage(ret->v1[c]))
			r = ret->v1[c];
	}
	if (*ret->layout.v2_mount) {
		ret->v2 = open_in(ret, CGROUP_V2);
		any |= ret->v2 >= 0;
		if (is_shortage(ret->v2))
			r = ret->v2;
	}
	if (r < 0)
		cgroup_done(ret); /* one that is overlooked would stay for ever */
	return r < 0 ? r : any ? 0 : -ENOENT;
}

int cgroup_dir(const struct cgroup *cg, enum cg_controller c, int *ret_version)
{
	int where = cgroup_has(&cg->layout, c);
	int dfd = where == 1 ? cg->v1[cgroup_lead(&cg->layout, c)] : where == 2 ? cg->v2 : -EBADF;
	if (ret_version)
		*ret_version = where;
	return dfd < 0 ? -EOPNOTSUPP : dfd;
}

bool cgroup_enabled(const struct cgroup *cg, const char *name)
{
	_cleanup_free_ char *list = NULL;
	return cg->v2 >= 0 && read_file(cg->v2, "cgroup.controllers", 4096, &list) > 0 && cgroup_has_word(list, name, ' ');
}

/* directory fd that carries @c, and which file name applies */
static int dir_of(const struct cgroup *cg, enum cg_controller c, const char *v1_file, const char *v2_file, const char **file)
{
	int version, dfd = cgroup_dir(cg, c, &version);
	*file = version == 1 ? v1_file : v2_file;
	return dfd >= 0 && !*file ? -EOPNOTSUPP : dfd;
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

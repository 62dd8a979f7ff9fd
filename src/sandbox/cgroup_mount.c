/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cgroup filesystem inside. The engine's: read-only clones of the container's own directories. A foreign document's: what runc and crun
 * make of "cgroup" on this host. With v2, a cgroup2 of the container's cgroup namespace; with v1, a tmpfs with one directory per hierarchy
 * and links for controllers that share one; a new mount where the container has a cgroup namespace, else a clone of its own directory.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "kernel/compat.h"
#include "kernel/mount.h"
#include "sandbox/mounts.h"

#define MOUNTINFO_MAX (4u << 20)
#define HIERARCHIES_MAX 32
#define HARDENED (MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC)

static const char *const top_options[][2] = {{"mode", "0755"}, {"size", "64k"}, {NULL, NULL}};

/* The same directory seen from init's mount namespace: a clone must come from the caller's own (open_tree(2)). */
static int clone_cgroup(const char *mount, const char *path)
{
	char full[PATH_MAX];
	if (str_format(full, sizeof(full), "%s/%s", mount, path + strspn(path, "/")) < 0)
		return -ENAMETOOLONG;
	_cleanup_close_ int fd = open(full, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -errno : mnt_clone_private(fd, "", false);
}

/* The engine's: directories that only it is in, so neither siblings nor release_agent are in sight (R12, CVE-2022-0492). */
static int attach_own(struct sandbox *s, struct plan_mount *m, int target, struct err *err)
{
	const uint64_t flags = m->attr_set | HARDENED | MOUNT_ATTR_RDONLY;
	const struct cgroup *cg = &s->cgroup;
	if (cg->v2 >= 0) {
		_cleanup_close_ int mnt = clone_cgroup(cg->layout.v2_mount, cg->path);
		int r = mnt < 0 ? mnt : mnt_attr(mnt, flags, 0, false);
		if (r == 0)
			r = mnt_attach(mnt, target);
		return r < 0 ? err_sys(err, r, "%s", m->dst) : 0;
	}
	_cleanup_close_ int top = mnt_new("tmpfs", top_options, HARDENED);
	int r = top < 0 ? top : mnt_attach(top, target);
	for (int c = 0; r == 0 && c < CG_CONTROLLER_MAX_; c++) {
		if (cg->v1[c] < 0)
			continue;
		const char *name = cgroup_controller_name(c);
		_cleanup_close_ int mnt = clone_cgroup(cg->layout.mount[c], cg->path);
		r = mnt < 0 ? mnt : mnt_attr(mnt, flags, 0, false);
		if (r == 0 && mkdirat(top, name, 0755) < 0)
			r = -errno;
		if (r == 0)
			r = mnt_attach_at(mnt, top, name);
	}
	if (r == 0)
		r = mnt_attr(top, MOUNT_ATTR_RDONLY, 0, false);
	return r < 0 ? err_sys(err, r, "%s", m->dst) : 0;
}

/* Foreign documents */

struct hierarchy {
	char *controllers; /* "cpu,cpuacct" or "name=systemd"; borrowed from the text */
	char *point, *root; /* where it is mounted, and which of its directories that shows */
};

struct hierarchies {
	char *mountinfo, *cgroup; /* owned */
	struct hierarchy v[HIERARCHIES_MAX];
	size_t n;
	char *v2_point; /* borrowed; NULL: none */
};

static void hierarchies_done(struct hierarchies *h)
{
	free(h->mountinfo);
	free(h->cgroup);
}

/* "\040" stands for a blank in mountinfo (proc(5)). In place. */
static void unescape(char *s)
{
	char *to = s;
	for (; *s; s++)
		if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] && s[3]) {
			*to++ = (char) ((s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0'));
			s += 3;
		} else
			*to++ = *s;
	*to = '\0';
}

/* Of the superblock's options those that name the hierarchy, in place. */
static void keep_controllers(char *options)
{
	static const char *const others[] = {"rw", "ro", "xattr", "noprefix", "clone_children", "cpuset_v2_mode", "seclabel", "favordynmods", "none"};
	char *to = options;
	for (char *word = options; *word;) {
		size_t n = strcspn(word, ",");
		bool other = strncmp(word, "release_agent=", 14) == 0;
		for (size_t i = 0; i < ARRAY_LEN(others); i++)
			other |= strlen(others[i]) == n && strncmp(word, others[i], n) == 0;
		bool more = word[n] == ',';
		if (!other) {
			if (to != options)
				*to++ = ',';
			memmove(to, word, n);
			to += n;
		}
		word += n + more;
	}
	*to = '\0';
}

/* One line of mountinfo (proc(5)): "ID PARENT DEV ROOT POINT OPTIONS [TAGS] - TYPE SOURCE SUPER". */
static void add_line(struct hierarchies *h, char *line)
{
	char *f[6], *tail = strstr(line, " - "), *p = line;
	if (!tail)
		return;
	*tail = '\0';
	char *type = tail + 3, *source = strchr(type, ' '), *super = source ? strchr(source + 1, ' ') : NULL;
	for (size_t i = 0; i < ARRAY_LEN(f); i++) {
		f[i] = p;
		p = p ? strchr(p, ' ') : NULL;
		if (p)
			*p++ = '\0';
	}
	if (!super || !f[4])
		return;
	*source = '\0';
	unescape(f[3]);
	unescape(f[4]);
	if (str_eq(type, "cgroup2") && !h->v2_point)
		h->v2_point = f[4];
	if (!str_eq(type, "cgroup") || h->n == HIERARCHIES_MAX)
		return;
	keep_controllers(super + 1);
	for (size_t i = 0; i < h->n; i++)
		if (str_eq(h->v[i].controllers, super + 1))
			return; /* mounted twice */
	if (super[1])
		h->v[h->n++] = (struct hierarchy) {.controllers = super + 1, .point = f[4], .root = f[3]};
}

static int hierarchies_read(struct hierarchies *h, struct err *err)
{
	ssize_t n = read_file(AT_FDCWD, "/proc/self/mountinfo", MOUNTINFO_MAX, &h->mountinfo);
	if (n >= 0)
		n = read_file(AT_FDCWD, "/proc/self/cgroup", MOUNTINFO_MAX, &h->cgroup);
	if (n < 0)
		return err_sys(err, (int) n, "looking for the cgroup hierarchies");
	for (char *line = h->mountinfo, *next; line && *line; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		add_line(h, line);
	}
	return 0;
}

/* Our own directory in the hierarchy with @controllers, from "N:cpu,cpuacct:/path" (cgroups(7)). Return: 0, -ENOENT. */
static int own_directory(const struct hierarchies *h, const char *controllers, char *ret, size_t size)
{
	size_t len = strlen(controllers);
	for (const char *line = h->cgroup; *line; line += strcspn(line, "\n"), line += *line == '\n') {
		const char *names = strchr(line, ':');
		if (!names || strncmp(names + 1, controllers, len) != 0 || names[1 + len] != ':')
			continue;
		const char *path = names + 2 + len;
		return str_format(ret, size, "%.*s", (int) strcspn(path, "\n"), path) < 0 ? -ENAMETOOLONG : 0;
	}
	return -ENOENT;
}

/* A mount of the hierarchy whose root is our cgroup namespace's. */
static int fresh_hierarchy(const struct hierarchy *h, uint64_t attrs)
{
	char words[256];
	_cleanup_close_ int fs = mnt_fsopen("cgroup");
	if (fs < 0)
		return fs;
	(void) mnt_set_string(fs, "source", "cgroup"); /* only what mount(8) shows */
	int r = str_copy(words, sizeof(words), h->controllers);
	for (char *word = words; r == 0 && *word;) {
		size_t n = strcspn(word, ",");
		bool more = word[n] == ',';
		word[n] = '\0';
		const char *name = str_after(word, "name=");
		r = name ? mnt_set_string(fs, "name", name) : mnt_set_flag(fs, word);
		word += n + more;
	}
	return r < 0 ? r : mnt_create(fs, (unsigned) attrs);
}

static int cloned_hierarchy(const struct hierarchies *all, const struct hierarchy *h, uint64_t attrs)
{
	char own[PATH_MAX];
	int r = own_directory(all, h->controllers, own, sizeof(own));
	if (r < 0)
		return r;
	/* the mount may show a part of the hierarchy only, as inside another container */
	const char *rest = str_after(own, h->root);
	_cleanup_close_ int mnt = clone_cgroup(h->point, str_eq(h->root, "/") ? own : rest ? rest : "/");
	r = mnt < 0 ? mnt : mnt_attr(mnt, attrs, 0, false);
	return r < 0 ? r : take_fd(&mnt);
}

/* "cpu" and "cpuacct" beside "cpu,cpuacct". */
static int link_members(int top, const char *dir)
{
	for (const char *word = dir; strchr(dir, ',') && *word;) {
		char name[NAME_MAX + 1];
		size_t n = strcspn(word, ",");
		if (n < sizeof(name)) {
			memcpy(name, word, n);
			name[n] = '\0';
			if (symlinkat(dir, top, name) < 0 && errno != EEXIST)
				return -errno;
		}
		word += n + (word[n] == ',');
	}
	return 0;
}

static int attach_hierarchy(struct sandbox *s, const struct hierarchies *all, const struct hierarchy *h, int top, uint64_t attrs)
{
	const char *slash = strrchr(h->point, '/'), *name = slash ? slash + 1 : h->point;
	_cleanup_close_ int mnt = s->has_own[NS_CGROUP] ? fresh_hierarchy(h, attrs) : cloned_hierarchy(all, h, attrs);
	if (mnt == -ENOENT)
		return 0; /* we are not in it: a hierarchy that came a moment ago */
	if (mnt < 0)
		return mnt;
	if (mkdirat(top, name, 0755) < 0)
		return errno == EEXIST ? 0 : -errno;
	int r = mnt_attach_at(mnt, top, name);
	return r < 0 ? r : link_members(top, name);
}

static int attach_v1(struct sandbox *s, struct plan_mount *m, const struct hierarchies *h, int target, struct err *err)
{
	_cleanup_close_ int top = mnt_new("tmpfs", top_options, HARDENED);
	int r = top < 0 ? top : mnt_attach(top, target);
	for (size_t i = 0; r == 0 && i < h->n; i++) {
		r = attach_hierarchy(s, h, &h->v[i], top, m->attr_set | m->tree_set);
		if (r < 0)
			return err_sys(err, r, "%s: the cgroup hierarchy '%s'", m->dst, h->v[i].controllers);
	}
	if (r == 0)
		r = mnt_attr(top, (m->attr_set | m->tree_set) & MOUNT_ATTR_RDONLY, 0, false);
	return r < 0 ? err_sys(err, r, "%s", m->dst) : 0;
}

static int attach_v2(struct sandbox *s, struct plan_mount *m, const struct hierarchies *h, int target, struct err *err)
{
	const uint64_t attrs = m->attr_set | m->tree_set;
	_cleanup_close_ int mnt = mnt_new("cgroup2", NULL, (unsigned) attrs);
	if ((mnt == -EPERM || mnt == -EBUSY) && h->v2_point) {
		char own[CGROUP_PATH_MAX] = "/";
		if (s->has_own[NS_CGROUP] && *s->cgroup.path && cgroup_path_in_hierarchy(s->cgroup.path, CG_CONTROLLER_MAX_, own) < 0)
			return err_set(err, ERR_SYSTEM, "%s: '%.200s' is no cgroup", m->dst, s->cgroup.path);
		mnt = clone_cgroup(h->v2_point, own);
		int r = mnt < 0 ? mnt : mnt_attr(mnt, attrs, 0, false);
		if (r < 0)
			return err_sys(err, r, "%s: binding the host's '%s'", m->dst, h->v2_point);
	}
	int r = mnt < 0 ? mnt : mnt_attach(mnt, target);
	return r < 0 ? err_sys(err, r, "%s: mounting cgroup2", m->dst) : 0;
}

static int attach_obeyed(struct sandbox *s, struct plan_mount *m, int target, struct err *err)
{
	_cleanup_(hierarchies_done) struct hierarchies h = {0};
	int r = hierarchies_read(&h, err);
	if (r < 0)
		return r;
	if (h.n == 0 || str_eq(m->fstype, "cgroup2"))
		return attach_v2(s, m, &h, target, err);
	return attach_v1(s, m, &h, target, err);
}

int cgroups_attach(struct sandbox *s, struct plan_mount *m, struct err *err)
{
	_cleanup_close_ int target = mount_target(s, m->dst, true, NULL, err);
	if (target < 0)
		return target;
	return s->plan.obey ? attach_obeyed(s, m, target, err) : attach_own(s, m, target, err);
}

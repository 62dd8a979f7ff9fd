/* SPDX-License-Identifier: Apache-2.0 */
/* Which hierarchy is where, what is called how in it, and the text that a container's path is (kernel/cgroup.h). */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "base/str.h"
#include "kernel/cgroup_internal.h"

static const struct {
	const char *name;  /* among the super options of its v1 mount, and in /proc/PID/cgroup */
	const char *v2;    /* in cgroup.controllers; "": v2 does its work without a controller (devices by BPF, freezing in the core), or not at all */
} controllers[] = {
	[CG_PIDS] = {"pids", "pids"},         [CG_MEMORY] = {"memory", "memory"},    [CG_CPU] = {"cpu", "cpu"},           [CG_CPUSET] = {"cpuset", "cpuset"},
	[CG_DEVICES] = {"devices", ""},       [CG_FREEZER] = {"freezer", ""},        [CG_CPUACCT] = {"cpuacct", "cpu"},   [CG_BLKIO] = {"blkio", "io"},
	[CG_HUGETLB] = {"hugetlb", "hugetlb"}, [CG_NET_CLS] = {"net_cls", ""},       [CG_NET_PRIO] = {"net_prio", ""},    [CG_PERF_EVENT] = {"perf_event", ""},
	[CG_RDMA] = {"rdma", "rdma"},         [CG_MISC] = {"misc", "misc"},          [CG_SYSTEMD] = {"name=systemd", ""},
};
static_assert(ARRAY_LEN(controllers) == CG_CONTROLLER_MAX_, "every controller has a name");

const char *cgroup_controller_name(enum cg_controller c)
{
	return c == CG_SYSTEMD ? "systemd" : controllers[c].name;
}

const char *cgroup_v2_name(enum cg_controller c)
{
	return controllers[c].v2;
}

const char *cgroup_hierarchy_name(int c)
{
	return c == CGROUP_V2 ? "unified" : cgroup_controller_name((enum cg_controller) c);
}

bool cgroup_has_word(const char *list, const char *word, char sep)
{
	size_t n = strlen(word);
	for (const char *p = list; n && *p; p += strcspn(p, (char[]) {sep, ' ', '\n', 0}), p += *p != 0)
		if (strncmp(p, word, n) == 0 && (p[n] == sep || p[n] == '\0' || p[n] == '\n' || p[n] == ' '))
			return true;
	return false;
}

/* A mount of the hierarchy's root is what we want; a part of it only where nothing else is in sight. */
static void take_mount(char *mount, size_t size, char *root, size_t root_size, const char *mount_at, const char *root_at)
{
	bool whole = strcmp(root_at, "/") == 0;
	if (*mount && (strcmp(root, "/") == 0 || !whole))
		return;
	if (str_copy(mount, size, mount_at) < 0 || str_copy(root, root_size, root_at) < 0)
		*mount = '\0'; /* longer than anybody's: as if it were not there */
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
	for (int i = 0; i < 3 && f; i++) {
		f = strchr(f, ' ');
		f += f != NULL;
	}
	char *mount = f ? strchr(f, ' ') : NULL;
	if (!mount || !super)
		return;
	*mount++ = '\0';
	mount[strcspn(mount, " ")] = '\0';
	if (v2) {
		take_mount(l->v2_mount, sizeof(l->v2_mount), l->v2_root, sizeof(l->v2_root), mount, f);
		return;
	}
	for (int c = 0; c < CG_CONTROLLER_MAX_; c++)
		if (cgroup_has_word(super + 1, controllers[c].name, ','))
			take_mount(l->mount[c], sizeof(l->mount[c]), l->root[c], sizeof(l->root[c]), mount, f);
}

static void read_v2(struct cgroup_layout *l)
{
	char path[160];
	_cleanup_free_ char *ctl = NULL;
	if (str_format(path, sizeof(path), "%s/cgroup.controllers", l->v2_mount) > 0 && read_file(AT_FDCWD, path, 4096, &ctl) > 0)
		for (int c = 0; c < CG_CONTROLLER_MAX_; c++)
			if (cgroup_has_word(ctl, controllers[c].v2, ' '))
				l->v2_mask |= 1u << c;
	/* where v2 carries pids or memory it carries the host: freezer and kill come with it */
	if (l->v2_mask & (1u << CG_PIDS | 1u << CG_MEMORY))
		l->v2_mask |= 1u << CG_FREEZER;
	if (!*l->mount[CG_DEVICES])
		l->v2_mask |= 1u << CG_DEVICES;
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
	if (*ret->v2_mount)
		read_v2(ret);
	return 0;
}

int cgroup_has(const struct cgroup_layout *l, enum cg_controller c)
{
	if (*l->mount[c])
		return 1;
	return l->v2_mask & (1u << c) ? 2 : 0;
}

bool cgroup_is_unified(const struct cgroup_layout *l)
{
	for (int c = 0; c < CG_SYSTEMD; c++)
		if (*l->mount[c])
			return false;
	return *l->v2_mount;
}

int cgroup_lead(const struct cgroup_layout *l, enum cg_controller c)
{
	for (int i = 0; i < (int) c; i++)
		if (strcmp(l->mount[i], l->mount[c]) == 0)
			return i;
	return c;
}

/* One path, @n bytes of @p: without needless slashes, and refused where it leads up or nowhere. */
static int clean(const char *p, size_t n, char *buf)
{
	size_t len = 0;
	for (size_t i = 0; i < n;) {
		size_t k = 0;
		while (i + k < n && p[i + k] != '/')
			k++;
		if (k > 0) {
			if (k > 255 || (p[i] == '.' && (k == 1 || (k == 2 && p[i + 1] == '.'))) || len + k + 2 > CGROUP_PATH_MAX)
				return -EINVAL;
			if (len > 0)
				buf[len++] = '/';
			memcpy(buf + len, p + i, k);
			len += k;
		}
		i += k + 1;
	}
	buf[len] = '\0';
	return len > 0 ? 0 : -EINVAL;
}

int cgroup_path_in(const char *paths, const char *name, char *buf)
{
	const char *line = paths, *found = paths;
	size_t n = strlen(name), len = strcspn(paths, "\n");
	while (*(line += strcspn(line, "\n"))) {
		line++;
		if (strncmp(line, name, n) == 0 && line[n] == '=') {
			found = line + n + 1;
			len = strcspn(found, "\n");
		}
	}
	return clean(found, len, buf);
}

int cgroup_path_in_hierarchy(const char *path, enum cg_controller c, char *buf)
{
	return cgroup_path_in(path, cgroup_hierarchy_name((int) c), buf);
}

/* What follows the third field of @pid's line for hierarchy @c in /proc/PID/cgroup: "4:memory:/a/b", "1:name=systemd:/", "0::/a/b". */
static const char *own_line(const char *text, int c, size_t *len)
{
	for (const char *line = text; line && *line; line = strchr(line, '\n')) {
		line += *line == '\n';
		const char *list = strchr(line, ':');
		const char *path = list ? strchr(list + 1, ':') : NULL;
		if (!path)
			return NULL;
		char names[256];
		size_t n = (size_t) (path - list - 1);
		if (n >= sizeof(names))
			continue;
		memcpy(names, list + 1, n);
		names[n] = '\0';
		if (c == CGROUP_V2 ? *line == '0' && n == 0 : cgroup_has_word(names, controllers[c].name, ',')) {
			*len = strcspn(path + 1, "\n");
			return path + 1;
		}
	}
	return NULL;
}

/* A path as /proc shows it, as seen from what is mounted: without the mount's root in front. */
static const char *below_root(const char *path, size_t *len, const char *root)
{
	size_t n = strlen(root);
	if (n > 1 && *len >= n && strncmp(path, root, n) == 0 && (*len == n || path[n] == '/')) {
		*len -= n;
		return path + n;
	}
	return path;
}

/* The paths of @pid ("self" for 0) with @name behind them, in every hierarchy; @beside: v2's last part is dropped first. */
static int own_paths(const struct cgroup_layout *l, pid_t pid, const char *name, bool beside, char *buf)
{
	char file[48], first[CGROUP_PATH_MAX] = "";
	_cleanup_free_ char *text = NULL;
	_cleanup_strbuf_ struct strbuf out = STRBUF_INIT(CGROUP_PATH_MAX - 1);
	if (pid)
		(void) snprintf(file, sizeof(file), "/proc/%d/cgroup", (int) pid);
	ssize_t n = read_file(AT_FDCWD, pid ? file : "/proc/self/cgroup", 1 << 20, &text);
	if (n < 0)
		return n == -ENOENT ? -ESRCH : (int) n;
	for (int c = 0; c <= CG_CONTROLLER_MAX_; c++) {
		bool v2 = c == CGROUP_V2;
		if (v2 ? !*l->v2_mount : !*l->mount[c] || cgroup_lead(l, (enum cg_controller) c) != c)
			continue;
		size_t len;
		const char *own = own_line(text, c, &len);
		if (!own)
			continue;
		own = below_root(own, &len, v2 ? l->v2_root : l->root[c]);
		while (v2 && beside && len > 0 && own[--len] != '/')
			;
		char both[CGROUP_PATH_MAX * 2], path[CGROUP_PATH_MAX];
		int r = str_format(both, sizeof(both), "%.*s/%s", (int) len, own, name);
		if (r < 0 || (r = clean(both, strlen(both), path)) < 0) {
			if (*name)
				return r;
			continue; /* it is in that hierarchy's root: nothing that could be named */
		}
		if (!*first) {
			memcpy(first, path, sizeof(first));
			strbuf_addf(&out, "/%s", path);
		} else if (strcmp(first, path) != 0)
			strbuf_addf(&out, "\n%s=/%s", cgroup_hierarchy_name(c), path);
	}
	if (strbuf_err(&out) < 0)
		return -ENAMETOOLONG;
	return out.len ? str_copy(buf, CGROUP_PATH_MAX, out.s) : -ENOENT;
}

int cgroup_path_below_own(const struct cgroup_layout *l, const char *name, char *buf)
{
	return *name ? own_paths(l, 0, name, true, buf) : -EINVAL;
}

int cgroup_path_of_pid(const struct cgroup_layout *l, pid_t pid, char *buf)
{
	return own_paths(l, pid, "", false, buf);
}

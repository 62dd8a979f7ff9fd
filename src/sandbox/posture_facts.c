/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/posture_facts.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/num.h"
#include "kernel/bpf.h"
#include "kernel/cgroup.h"
#include "kernel/confine.h"
#include "kernel/path.h"
#include "kernel/process.h"
#include "sandbox/defaults.h"
#include "sandbox/masks.h"

#define PROC_TEXT_MAX (1u << 20)

static int gone(struct err *err)
{
	return err_set(err, ERR_NOT_FOUND, "the container's first process is gone");
}

static int read_map(int proc, const char *file, struct id_map *m)
{
	_cleanup_free_ char *text = NULL;
	ssize_t n = read_file(proc, file, PROC_TEXT_MAX, &text);
	if (n < 0)
		return (int) n;
	uint32_t c, h, k;
	int used;
	for (char *p = text; sscanf(p, " %" SCNu32 " %" SCNu32 " %" SCNu32 "%n", &c, &h, &k, &used) == 3; p += used)
		if (id_map_add(m, c, h, k) < 0)
			return -ENOMEM;
	return 0;
}

static uint64_t hex_field(const char *status, const char *key)
{
	char v[64];
	return proc_status_field(status, key, v, sizeof(v)) == 0 ? strtoull(v, NULL, 16) : 0;
}

static int int_field(const char *status, const char *key)
{
	char v[64];
	uint32_t n;
	if (proc_status_field(status, key, v, sizeof(v)) < 0)
		return -1;
	v[strcspn(v, " \t")] = '\0';
	return parse_u32(v, &n) == 0 ? (int) n : -1;
}

static int read_status(int proc, struct posture_facts *f)
{
	_cleanup_free_ char *s = NULL;
	ssize_t n = read_file(proc, "status", PROC_TEXT_MAX, &s);
	if (n < 0)
		return (int) n;
	f->cap_inh = hex_field(s, "CapInh");
	f->cap_prm = hex_field(s, "CapPrm");
	f->cap_eff = hex_field(s, "CapEff");
	f->cap_bnd = hex_field(s, "CapBnd");
	f->cap_amb = hex_field(s, "CapAmb");
	f->no_new_privs = int_field(s, "NoNewPrivs");
	f->seccomp_mode = int_field(s, "Seccomp");
	f->seccomp_filters = int_field(s, "Seccomp_filters");
	f->uid = (uint32_t) int_field(s, "Uid");
	f->gid = (uint32_t) int_field(s, "Gid");
	return 0;
}

static const char *const ns_files[NS_KIND_MAX_] = {
	[NS_USER] = "ns/user", [NS_MOUNT] = "ns/mnt", [NS_PID] = "ns/pid",       [NS_NET] = "ns/net",
	[NS_IPC] = "ns/ipc",   [NS_UTS] = "ns/uts",   [NS_CGROUP] = "ns/cgroup", [NS_TIME] = "ns/time",
};

static int read_namespaces(int proc, struct posture_facts *f)
{
	_cleanup_close_ int self = open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC);
	for (int k = 0; k < NS_KIND_MAX_; k++) {
		struct stat st;
		if (fstatat(proc, ns_files[k], &st, 0) == 0)
			f->ns[k] = st.st_ino;
		else if (errno != ENOENT)
			return -errno;
		if (fstatat(self, ns_files[k], &st, 0) == 0)
			f->host_ns[k] = st.st_ino;
	}
	return 0;
}

static void read_attr(int proc, enum lsm which, char *buf)
{
	if (lsm_attr_read(proc, which, LSM_ATTR_CURRENT, buf, LSM_LABEL_MAX) < 0)
		buf[0] = '\0'; /* the judges say that it could not be read */
}

static void read_labels(int proc, struct posture_facts *f)
{
	f->has_apparmor = lsm_enabled("/sys", LSM_APPARMOR);
	f->has_selinux = lsm_enabled("/sys", LSM_SELINUX);
	if (f->has_apparmor) {
		read_attr(proc, LSM_APPARMOR, f->profile);
		(void) lsm_apparmor_split(f->profile, f->profile_mode);
	}
	if (f->has_selinux) {
		_cleanup_close_ int self = open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC);
		read_attr(proc, LSM_SELINUX, f->label);
		read_attr(self, LSM_SELINUX, f->own_label);
		f->selinux_enforcing = lsm_selinux_enforcing("/sys");
	}
}

static void knob(const struct cgroup *cg, enum cg_controller c, const char *v1, const char *v2, char *buf, size_t size)
{
	if (cgroup_read(cg, c, v1, v2, buf, size) < 0)
		buf[0] = '\0';
}

static void read_cgroup(int proc, const char *path, struct posture_facts *f)
{
	_cleanup_free_ char *s = NULL;
	f->device_filters = -1;
	if (read_file(proc, "cgroup", 65536, &s) > 0) {
		const char *line = strstr(s, ":pids:");
		line = line ? line + strlen(":pids:") : str_after(s, "0::");
		if (line && (size_t) snprintf(f->cgroup, sizeof(f->cgroup), "%.*s", (int) strcspn(line, "\n"), line) >= sizeof(f->cgroup))
			f->cgroup[0] = '\0';
	}
	struct cgroup cg;
	if (!path || cgroup_open(&cg, path) < 0)
		return;
	f->has_pids = cgroup_has(&cg.layout, CG_PIDS);
	f->has_memory = cgroup_has(&cg.layout, CG_MEMORY);
	f->has_cpu = cgroup_has(&cg.layout, CG_CPU);
	knob(&cg, CG_PIDS, "pids.max", "pids.max", f->pids_max, sizeof(f->pids_max));
	knob(&cg, CG_PIDS, "pids.current", "pids.current", f->pids_current, sizeof(f->pids_current));
	knob(&cg, CG_MEMORY, "memory.limit_in_bytes", "memory.max", f->memory_max, sizeof(f->memory_max));
	knob(&cg, CG_MEMORY, "memory.memsw.limit_in_bytes", "memory.swap.max", f->memory_swap_max, sizeof(f->memory_swap_max));
	knob(&cg, CG_CPU, "cpu.cfs_quota_us", "cpu.max", f->cpu_quota, sizeof(f->cpu_quota));
	knob(&cg, CG_CPU, "cpu.shares", "cpu.weight", f->cpu_shares, sizeof(f->cpu_shares));
	knob(&cg, CG_CPUSET, "cpuset.cpus", "cpuset.cpus", f->cpuset, sizeof(f->cpuset));
	char devices[8192];
	if (cgroup_read(&cg, CG_DEVICES, "devices.list", NULL, devices, sizeof(devices)) == 0)
		f->devices = strdup(devices);
	int version, dfd = cgroup_dir(&cg, CG_DEVICES, &version);
	f->device_filters = dfd >= 0 && version == 2 ? bpf_device_count(dfd) : -1;
	cgroup_done(&cg);
}

/* Is @path covered (or, for @readonly, read-only)? -1: it does not exist. */
static int covered(int root, const char *path, bool readonly)
{
	_cleanup_close_ int fd = open_in_root(root, path, O_PATH, 0);
	if (fd < 0)
		return -1;
	return readonly ? mask_readonly(fd) : mask_covers(fd);
}

static void read_paths(int root, const char *const *paths, bool readonly, size_t *n, size_t *seen, char *first, size_t first_size)
{
	for (; *paths; paths++) {
		int c = strchr(*paths, '*') ? -1 : covered(root, *paths, readonly);
		*seen += c >= 0;
		*n += c > 0;
		if (c == 0 && !*first)
			(void) str_copy(first, first_size, *paths);
	}
}

/* Device nodes directly in /dev; pts, shm and the terminal's console are the container's own. */
static void read_dev(int root, struct posture_facts *f)
{
	static const unsigned known[][2] = {{1, 3}, {1, 5}, {1, 7}, {1, 8}, {1, 9}, {5, 0}, {5, 2}};
	int fd = open_in_root(root, "dev", O_RDONLY | O_DIRECTORY, 0);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	if (!d) {
		safe_close(fd);
		return;
	}
	struct dirent *e;
	while ((e = readdir(d))) {
		struct stat st;
		if (fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !(S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode)))
			continue;
		f->n_dev_nodes++;
		bool ok = S_ISCHR(st.st_mode) && major(st.st_rdev) == 136;
		for (size_t i = 0; i < ARRAY_LEN(known); i++)
			ok |= S_ISCHR(st.st_mode) && major(st.st_rdev) == known[i][0] && minor(st.st_rdev) == known[i][1];
		if (!ok && !*f->dev_extra)
			(void) str_copy(f->dev_extra, sizeof(f->dev_extra), e->d_name); /* names of 128 bytes and more do not occur in /dev */
	}
	(void) closedir(d);
}

static void read_limits(int proc, struct posture_facts *f)
{
	_cleanup_free_ char *s = NULL;
	if (read_file(proc, "limits", 65536, &s) < 0)
		return;
	/* "Max core file size        1                    1                    bytes": name 26 wide, values 21 wide (fs/proc/base.c) */
	for (char *line = strchr(s, '\n'); line && *++line && f->n_rlimits < ARRAY_LEN(f->rlimits); line = strchr(line, '\n')) {
		struct rlimit_fact *l = &f->rlimits[f->n_rlimits];
		if (strcspn(line, "\n") < 60 || sscanf(line + 26, "%23s %23s", l->soft, l->hard) != 2)
			continue;
		size_t n = MIN((size_t) 26, sizeof(l->name) - 1);
		memcpy(l->name, line, n);
		while (n > 0 && l->name[n - 1] == ' ')
			n--;
		l->name[n] = '\0';
		f->n_rlimits++;
	}
}

/* Documentation/admin-guide/LSM/Yama.rst */
static int read_yama(void)
{
	_cleanup_free_ char *text = NULL;
	uint32_t scope;
	ssize_t n = read_file(AT_FDCWD, "/proc/sys/kernel/yama/ptrace_scope", 16, &text);
	if (n <= 0)
		return -1;
	text[strcspn(text, "\n")] = '\0';
	return parse_u32(text, &scope) == 0 && scope <= 3 ? (int) scope : -1;
}

int facts_read(const struct posture_target *t, struct posture_facts *f, struct err *err)
{
	char path[32];
	*f = (struct posture_facts) {0};
	(void) snprintf(path, sizeof(path), "/proc/%d", (int) t->pid);
	_cleanup_close_ int proc = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (proc < 0)
		return gone(err);
	int r = read_status(proc, f);
	if (r == 0)
		r = read_map(proc, "uid_map", &f->uids);
	if (r == 0)
		r = read_map(proc, "gid_map", &f->gids);
	if (r == 0)
		r = read_namespaces(proc, f);
	if (r < 0) {
		facts_done(f);
		return gone(err);
	}
	read_labels(proc, f);
	read_cgroup(proc, t->cgroup_path, f);
	read_limits(proc, f);
	_cleanup_close_ int root = openat(proc, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root >= 0) {
		read_paths(root, default_masked_paths, false, &f->n_masked, &f->n_masked_seen, f->first_open, sizeof(f->first_open));
		read_paths(root, default_readonly_paths, true, &f->n_readonly, &f->n_readonly_seen, f->first_open, sizeof(f->first_open));
		read_dev(root, f);
		struct statvfs v;
		f->root_readonly = fstatvfs(root, &v) == 0 && v.f_flag & ST_RDONLY;
	}
	f->landlock_abi = landlock_abi();
	f->yama = read_yama();
	int n = f->seccomp_mode == 2 ? filter_read_back(t->pid, f->filter_hash) : -ENOENT;
	f->filter_err = MIN(n, 0);
	f->filter_len = n > 0 ? (size_t) n : 0;
	return 0;
}

void facts_done(struct posture_facts *f)
{
	id_map_done(&f->uids);
	id_map_done(&f->gids);
	free(f->devices);
	f->devices = NULL;
}

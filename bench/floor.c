/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The floor: the kernel work of one Coffer start and end, and nothing else. No argument parsing worth the name, no state, no
 * monitor, no JSON: what is left when an engine costs nothing. `bench/run` measures Coffer against it.
 *
 * One round: cgroup directories in every v1 hierarchy of a container (or one on v2) with their limits; clone3 with new user,
 * mount, pid, ipc, uts and net namespaces; id maps; the lower layers and the upper directory idmapped with the child's user
 * namespace; an overlay of them by fd, created as the range's root; in the child: join the cgroups by writing "0" to tasks, a
 * cgroup namespace of its own, root, /dev, /proc, /sys, its cgroups read-only, generated files in /etc, loopback, masked and
 * read-only paths, pivot, session keyring, rlimits, capabilities, no_new_privs, Landlock, seccomp, execve; then wait, remove the
 * cgroups. Deleting the upper directory is not counted: Coffer does it behind its answer.
 *
 * With -n it is on a bridge with a published port, too (floor_net.h): -n SLOT tells several at once apart.
 *
 * usage: floor [-n SLOT] RUNS GAP_MS STATE_DIR PROGRAM LOWER...   (LOWER: topmost first)
 * Prints the microseconds of each round, one a line. GAP_MS: sleep before each round. Linux >= 6.13 (overlay layers by fd).
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/mount.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "floor_net.h"

#define RANGE 1048576u
#define LOWERS_MAX 128
#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define MUST(x)                                                                                                        \
	({                                                                                                             \
		long r_ = (long) (x);                                                                                  \
		if (r_ < 0) {                                                                                          \
			fprintf(stderr, "floor: line %d: %s: %s\n", __LINE__, #x, strerror(errno));                    \
			_exit(99);                                                                                     \
		}                                                                                                      \
		r_;                                                                                                    \
	})

static const char *const masked[] = {"proc/asound", "proc/acpi", "proc/kcore", "proc/keys", "proc/latency_stats", "proc/timer_list", "proc/timer_stats",
				     "proc/sched_debug", "proc/scsi", "proc/interrupts", "proc/kmsg", "proc/kallsyms", "proc/slabinfo", "proc/vmallocinfo", "proc/config.gz",
				     "sys/firmware", "sys/devices/virtual/powercap", "sys/kernel/debug", "sys/kernel/tracing", "sys/kernel/security", "sys/fs/bpf", "sys/module"};
static const char *const readonly[] = {"proc/bus", "proc/fs", "proc/irq", "proc/sys", "proc/sysrq-trigger"};
static const char *const nodes[] = {"null", "zero", "full", "random", "urandom", "tty"};
static const char *const device_rules[] = {"c 1:3 rwm", "c 1:5 rwm", "c 1:7 rwm", "c 1:8 rwm", "c 1:9 rwm", "c 5:0 rwm", "c 5:1 rwm", "c 5:2 rwm", "c 136:* rwm"};
static const char *const controllers[] = {"pids", "memory", "cpu", "devices"};
static const char *const files[] = {"hosts", "hostname", "resolv.conf"}; /* generated, bound over the image's */

/* ---- thin calls ---- */

static int open_tree_clone(int dfd, const char *path, unsigned flags)
{
	return (int) syscall(SYS_open_tree, dfd, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | flags);
}

static int attach(int mount_fd, int dfd, const char *path)
{
	int r = (int) syscall(SYS_move_mount, mount_fd, "", dfd, path, MOVE_MOUNT_F_EMPTY_PATH);
	close(mount_fd);
	return r;
}

static int set_attr(int mount_fd, uint64_t attr, int userns_fd)
{
	struct mount_attr a = {.attr_set = attr, .userns_fd = userns_fd >= 0 ? (uint64_t) userns_fd : 0};
	return (int) syscall(SYS_mount_setattr, mount_fd, "", AT_EMPTY_PATH, &a, sizeof(a));
}

/* A new file system of @type, detached. @option: "key=value" or NULL. */
static int new_fs(const char *type, unsigned attr, const char *key, const char *value)
{
	int fs = (int) MUST(syscall(SYS_fsopen, type, FSOPEN_CLOEXEC));
	if (key)
		MUST(syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, key, value, 0));
	MUST(syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0));
	int m = (int) MUST(syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, attr));
	close(fs);
	return m;
}

static void put(int dfd, const char *path, const char *text)
{
	int fd = (int) MUST(openat(dfd, path, O_WRONLY | O_CLOEXEC));
	MUST(write(fd, text, strlen(text)));
	close(fd);
}

static uint64_t now_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t) t.tv_sec * 1000000 + (uint64_t) t.tv_nsec / 1000;
}

/* ---- descriptors over a socket: [0] the root mount, a tasks file per hierarchy, a clone of each cgroup directory, the files ---- */

#define FDS_MAX 16

static void send_fds(int sock, const int *fds, size_t n, unsigned char n_groups)
{
	unsigned char c = n_groups;
	char room[CMSG_SPACE(sizeof(int) * FDS_MAX)] = {0};
	struct iovec io = {&c, 1};
	struct msghdr m = {.msg_iov = &io, .msg_iovlen = 1, .msg_control = room, .msg_controllen = CMSG_SPACE(sizeof(int) * n)};
	struct cmsghdr *h = CMSG_FIRSTHDR(&m);
	*h = (struct cmsghdr){.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int) * n)};
	memcpy(CMSG_DATA(h), fds, sizeof(int) * n);
	MUST(sendmsg(sock, &m, 0));
}

static size_t recv_fds(int sock, int *fds, size_t *n_groups)
{
	unsigned char c;
	char room[CMSG_SPACE(sizeof(int) * FDS_MAX)];
	struct iovec io = {&c, 1};
	struct msghdr m = {.msg_iov = &io, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof(room)};
	MUST(recvmsg(sock, &m, MSG_CMSG_CLOEXEC) == 1 ? 0 : -1);
	struct cmsghdr *h = CMSG_FIRSTHDR(&m);
	size_t n = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);
	memcpy(fds, CMSG_DATA(h), n * sizeof(int));
	*n_groups = c;
	return n;
}

/* ---- cgroups ---- */

struct groups {
	size_t n;
	char dir[ARRAY_LEN(controllers)][256]; /* one per v1 hierarchy; with v2 one alone */
	bool v2;
	int v2_fd;
};

/* Where controller @name is mounted as v1, or NULL. */
static const char *v1_mount(const char *name, char *out, size_t size)
{
	(void) snprintf(out, size, "/sys/fs/cgroup/%s", name);
	char tasks[300];
	(void) snprintf(tasks, sizeof(tasks), "%s/release_agent", out);
	return access(tasks, F_OK) == 0 ? out : NULL;
}

static void groups_make(struct groups *g, unsigned round)
{
	char root[200];
	*g = (struct groups){.v2_fd = -1};
	for (size_t i = 0; i < ARRAY_LEN(controllers); i++) {
		if (!v1_mount(controllers[i], root, sizeof(root)))
			continue;
		char *d = g->dir[g->n++];
		(void) snprintf(d, sizeof(g->dir[0]), "%s/coffer-floor", root);
		if (mkdir(d, 0755) < 0 && errno != EEXIST)
			MUST(-1);
		(void) snprintf(d + strlen(d), sizeof(g->dir[0]) - strlen(d), "/r%u", round);
		MUST(mkdir(d, 0755));
		int dfd = (int) MUST(open(d, O_PATH | O_DIRECTORY | O_CLOEXEC));
		if (strcmp(controllers[i], "pids") == 0)
			put(dfd, "pids.max", "2048");
		if (strcmp(controllers[i], "devices") == 0) {
			put(dfd, "devices.deny", "a");
			for (size_t k = 0; k < ARRAY_LEN(device_rules); k++)
				put(dfd, "devices.allow", device_rules[k]);
		}
		close(dfd);
	}
	if (g->n > 0)
		return;
	g->v2 = true;
	g->n = 1;
	if (mkdir("/sys/fs/cgroup/coffer-floor", 0755) == 0) {
		put(AT_FDCWD, "/sys/fs/cgroup/cgroup.subtree_control", "+pids +memory +cpu");
		put(AT_FDCWD, "/sys/fs/cgroup/coffer-floor/cgroup.subtree_control", "+pids +memory +cpu");
	}
	(void) snprintf(g->dir[0], sizeof(g->dir[0]), "/sys/fs/cgroup/coffer-floor/r%u", round);
	MUST(mkdir(g->dir[0], 0755));
	g->v2_fd = (int) MUST(open(g->dir[0], O_PATH | O_DIRECTORY | O_CLOEXEC));
	put(g->v2_fd, "pids.max", "2048");
}

/* The tasks files to join by (v1), then clones of the directories to show inside. Return: how many descriptors. */
static size_t groups_fds(const struct groups *g, int *fds)
{
	size_t n = 0;
	char path[300];
	for (size_t i = 0; !g->v2 && i < g->n; i++) {
		(void) snprintf(path, sizeof(path), "%s/tasks", g->dir[i]);
		fds[n++] = (int) MUST(open(path, O_WRONLY | O_CLOEXEC));
	}
	for (size_t i = 0; i < g->n; i++) {
		int t = fds[n++] = (int) MUST(open_tree_clone(AT_FDCWD, g->dir[i], 0));
		MUST(set_attr(t, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC, -1));
	}
	return n;
}

static size_t files_fds(const char *state, int *fds)
{
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		char path[300];
		(void) snprintf(path, sizeof(path), "%s/%s", state, files[i]);
		int fd = (int) MUST(open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
		MUST(write(fd, "127.0.0.1 localhost\n", 20));
		close(fd);
		fds[i] = (int) MUST(open_tree_clone(AT_FDCWD, path, 0));
		MUST(set_attr(fds[i], MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC, -1));
	}
	return ARRAY_LEN(files);
}

static void groups_remove(struct groups *g)
{
	for (size_t i = 0; i < g->n; i++)
		for (int tries = 0; rmdir(g->dir[i]) < 0 && tries < 1000; tries++)
			usleep(100); /* the last task may still be leaving */
	if (g->v2_fd >= 0)
		close(g->v2_fd);
}

/* ---- seccomp: an allow-list of 29 runs as a balanced decision tree, the shape that Coffer's compiler gives ---- */

static struct sock_filter filter[256];
static unsigned short n_filter;

static void emit(uint16_t code, uint8_t jt, uint8_t jf, uint32_t k)
{
	filter[n_filter++] = (struct sock_filter){code, jt, jf, k};
}

static void emit_runs(uint32_t lo, uint32_t hi)
{
	if (hi - lo == 1) { /* a run of 16 numbers whose last one, moved out of the way of what programs call, is refused */
		emit(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, lo * 16 + 15 + 4000);
		emit(BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | EPERM);
		emit(BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW);
		return;
	}
	uint32_t mid = (lo + hi) / 2;
	unsigned short at = n_filter;
	emit(BPF_JMP | BPF_JGE | BPF_K, 0, 0, mid * 16);
	emit_runs(lo, mid);
	filter[at].jt = (uint8_t) (n_filter - at - 1);
	emit_runs(mid, hi);
}

static void make_filter(void)
{
	emit(BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(struct seccomp_data, arch));
	emit(BPF_JMP | BPF_JEQ | BPF_K, 1, 0, 0xc000003e); /* AUDIT_ARCH_X86_64; elsewhere the next line lets it pass */
	emit(BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW);
	emit(BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(struct seccomp_data, nr));
	emit_runs(0, 29);
}

/* ---- the container ---- */

static void build_dev(int root)
{
	int dev = new_fs("tmpfs", MOUNT_ATTR_NOSUID, "mode", "755");
	for (size_t i = 0; i < ARRAY_LEN(nodes); i++) {
		char host[32];
		(void) snprintf(host, sizeof(host), "/dev/%s", nodes[i]);
		int t = (int) MUST(open_tree_clone(AT_FDCWD, host, 0));
		close((int) MUST(openat(dev, nodes[i], O_CREAT | O_WRONLY | O_CLOEXEC, 0666)));
		MUST(attach(t, dev, nodes[i]));
	}
	static const char *const links[][2] = {{"/proc/self/fd", "fd"}, {"/proc/self/fd/0", "stdin"}, {"/proc/self/fd/1", "stdout"}, {"/proc/self/fd/2", "stderr"}, {"pts/ptmx", "ptmx"}};
	for (size_t i = 0; i < ARRAY_LEN(links); i++)
		MUST(symlinkat(links[i][0], dev, links[i][1]));
	static const char *const dirs[] = {"pts", "shm", "mqueue"};
	for (size_t i = 0; i < ARRAY_LEN(dirs); i++)
		MUST(mkdirat(dev, dirs[i], 0755));
	unsigned strict = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
	MUST(attach(new_fs("devpts", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, "ptmxmode", "0666"), dev, "pts"));
	MUST(attach(new_fs("tmpfs", strict, "size", "64m"), dev, "shm"));
	MUST(attach(new_fs("mqueue", strict, NULL, NULL), dev, "mqueue"));
	MUST(attach(dev, root, "dev"));
}

static void mask_paths(int root)
{
	int empty = new_fs("tmpfs", MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC, NULL, NULL);
	for (size_t i = 0; i < ARRAY_LEN(masked); i++) {
		struct stat st;
		int target = openat(root, masked[i], O_PATH | O_CLOEXEC);
		if (target < 0)
			continue;
		MUST(fstat(target, &st));
		int cover = (int) MUST(S_ISDIR(st.st_mode) ? open_tree_clone(empty, "", AT_EMPTY_PATH) : open_tree_clone(root, "dev/null", 0));
		MUST(syscall(SYS_move_mount, cover, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH));
		close(cover);
		close(target);
	}
	close(empty);
	for (size_t i = 0; i < ARRAY_LEN(readonly); i++) {
		int t = open_tree_clone(root, readonly[i], 0);
		if (t < 0)
			continue;
		MUST(set_attr(t, MOUNT_ATTR_RDONLY, -1));
		MUST(attach(t, root, readonly[i]));
	}
}

static void show_cgroups(int root, const int *clones, size_t n)
{
	int top = new_fs("tmpfs", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC, "mode", "755");
	for (size_t i = 0; i < n; i++) {
		MUST(mkdirat(top, controllers[i], 0755));
		MUST(attach(clones[i], top, controllers[i]));
	}
	MUST(set_attr(top, MOUNT_ATTR_RDONLY, -1));
	MUST(attach(top, root, "sys/fs/cgroup"));
}

static void bind_files(int root, const int *clones)
{
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		char path[64];
		(void) snprintf(path, sizeof(path), "etc/%s", files[i]);
		int target = openat(root, path, O_PATH | O_CREAT | O_CLOEXEC, 0644);
		if (target < 0)
			target = (int) MUST(openat(root, path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
		MUST(syscall(SYS_move_mount, clones[i], "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH));
		close(target);
		close(clones[i]);
	}
}

static bool networked; /* -n */

static void network_up(int root)
{
	struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
	int s = (int) MUST(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
	MUST(ioctl(s, SIOCSIFFLAGS, &lo));
	if (networked)
		net_settle(s, root);
	close(s);
}

/* No device node can be made, no mount moved; a kernel without Landlock goes without. */
static void landlock(void)
{
	struct landlock_ruleset_attr rules = {.handled_access_fs = LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_BLOCK};
	int fd = (int) syscall(SYS_landlock_create_ruleset, &rules, sizeof(rules.handled_access_fs), 0);
	if (fd < 0)
		return;
	MUST(syscall(SYS_landlock_restrict_self, fd, 0));
	close(fd);
}

static void drop_privileges(void)
{
	static const uint32_t keep = 0x800405fb; /* the eleven default capabilities, in their low word */
	for (int c = 0; c <= 40; c++)
		if (c > 31 || !(keep >> c & 1))
			MUST(prctl(PR_CAPBSET_DROP, c, 0, 0, 0));
	static const struct rlimit core = {1, 1}, files = {1024, 1024};
	MUST(setrlimit(RLIMIT_CORE, &core));
	MUST(setrlimit(RLIMIT_NOFILE, &files));
	(void) syscall(SYS_keyctl, 1 /* KEYCTL_JOIN_SESSION_KEYRING */, NULL);
	MUST(setgroups(1, (gid_t[]){0}));
	struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct caps[2] = {{keep, keep, 0}, {0, 0, 0}};
	MUST(syscall(SYS_capset, &head, caps));
	MUST(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	landlock();
	struct sock_fprog prog = {n_filter, filter};
	MUST(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog));
}

static _Noreturn void be_container(int sock, const char *program)
{
	int fds[FDS_MAX];
	size_t n_groups, n = recv_fds(sock, fds, &n_groups), n_tasks = n - 1 - n_groups - ARRAY_LEN(files);
	for (size_t i = 0; i < n_tasks; i++)
		MUST(write(fds[1 + i], "0", 1));
	MUST(unshare(CLONE_NEWCGROUP));
	MUST(setresgid(0, 0, 0));
	MUST(setresuid(0, 0, 0));
	MUST(syscall(SYS_mount_setattr, AT_FDCWD, "/", AT_RECURSIVE, &(struct mount_attr){.propagation = 1ul << 18 /* MS_PRIVATE */}, sizeof(struct mount_attr)));
	MUST(attach(fds[0], AT_FDCWD, "/mnt"));
	int root = (int) MUST(open("/mnt", O_PATH | O_DIRECTORY | O_CLOEXEC));
	unsigned strict = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
	build_dev(root);
	MUST(attach(new_fs("proc", strict, NULL, NULL), root, "proc"));
	MUST(attach(new_fs("sysfs", strict | MOUNT_ATTR_RDONLY, NULL, NULL), root, "sys"));
	show_cgroups(root, fds + 1 + n_tasks, n_groups);
	bind_files(root, fds + 1 + n_tasks + n_groups);
	network_up(root);
	put(root, "proc/sys/user/max_user_namespaces", "0");
	mask_paths(root);
	MUST(fchdir(root));
	MUST(syscall(SYS_pivot_root, ".", "."));
	MUST(syscall(SYS_umount2, ".", 2 /* MNT_DETACH */));
	MUST(chdir("/"));
	MUST(sethostname("floor", 5));
	drop_privileges();
	execl(program, program, (char *) NULL);
	_exit(98);
}

/* Descriptors that are closed behind the timed part. */
static int closing[LOWERS_MAX + 16], n_closing;

static void later(int fd)
{
	closing[n_closing++] = fd;
}

/* The container's root: lowers and upper idmapped with @userns, an overlay of them made as the range's root. */
static int build_root(int userns, const char *state, char **lowers)
{
	int base = (int) MUST(open_tree_clone(AT_FDCWD, state, 0));
	MUST(set_attr(base, MOUNT_ATTR_IDMAP, userns));
	int upper = (int) MUST(openat(base, "upper", O_PATH | O_DIRECTORY | O_CLOEXEC));
	int work = (int) MUST(openat(base, "work", O_PATH | O_DIRECTORY | O_CLOEXEC));
	int fs = (int) MUST(syscall(SYS_fsopen, "overlay", FSOPEN_CLOEXEC)), layer[LOWERS_MAX], n = 0;
	for (; *lowers && n < LOWERS_MAX; lowers++) {
		int l = layer[n++] = (int) MUST(open_tree_clone(AT_FDCWD, *lowers, 0)); /* open until the overlay holds a clone of its own */
		MUST(set_attr(l, MOUNT_ATTR_IDMAP | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, userns));
		MUST(syscall(SYS_fsconfig, fs, FSCONFIG_SET_FD, "lowerdir+", NULL, l));
	}
	MUST(syscall(SYS_fsconfig, fs, FSCONFIG_SET_FD, "upperdir", NULL, upper));
	MUST(syscall(SYS_fsconfig, fs, FSCONFIG_SET_FD, "workdir", NULL, work));
	MUST(syscall(SYS_fsconfig, fs, FSCONFIG_SET_FLAG, "volatile", NULL, 0)); /* no sync at the end: nobody reads the upper again */

	struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct caps[2];
	MUST(syscall(SYS_capget, &head, caps));
	(void) setfsgid(RANGE);
	(void) setfsuid(RANGE); /* takes the file capabilities out of the effective set ... */
	caps[0].effective = caps[0].permitted;
	caps[1].effective = caps[1].permitted;
	MUST(syscall(SYS_capset, &head, caps)); /* ... so raise them again */
	MUST(syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0));
	(void) setfsuid(0);
	(void) setfsgid(0);
	int m = (int) MUST(syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_NODEV));
	/* closing a detached mount waits for an RCU grace period: not while the container waits for us */
	while (n > 0)
		later(layer[--n]);
	later(fs), later(upper), later(work), later(base);
	return m;
}

static void write_maps(pid_t pid)
{
	char path[64], map[64];
	(void) snprintf(map, sizeof(map), "0 %u 65536", RANGE);
	(void) snprintf(path, sizeof(path), "/proc/%d/uid_map", (int) pid);
	put(AT_FDCWD, path, map);
	(void) snprintf(path, sizeof(path), "/proc/%d/gid_map", (int) pid);
	put(AT_FDCWD, path, map);
}

/* What an ended container leaves in its state directory: the overlay's own work/work, and mount points in upper. */
static void remove_tree(int dfd, const char *name)
{
	int fd = openat(dfd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	for (struct dirent *e; d && (e = readdir(d));)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			remove_tree(dirfd(d), e->d_name);
	if (d)
		closedir(d);
	if (unlinkat(dfd, name, AT_REMOVEDIR) < 0)
		MUST(unlinkat(dfd, name, 0));
}

static uint64_t one_round(unsigned round, const char *state_root, const char *program, char **lowers)
{
	char state[256], path[300];
	uint64_t start = now_us();
	(void) snprintf(state, sizeof(state), "%s/r%u", state_root, round);
	MUST(mkdir(state, 0755));
	(void) snprintf(path, sizeof(path), "%s/upper", state);
	MUST(mkdir(path, 0755));
	(void) snprintf(path, sizeof(path), "%s/work", state);
	MUST(mkdir(path, 0700));
	struct groups g;
	groups_make(&g, round);

	int sock[2];
	MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sock));
	struct clone_args args = {.flags = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET, .exit_signal = SIGCHLD};
	if (g.v2) {
		args.flags |= CLONE_INTO_CGROUP;
		args.cgroup = (uint64_t) g.v2_fd;
	}
	pid_t pid = (pid_t) MUST(syscall(SYS_clone3, &args, sizeof(args)));
	if (pid == 0) {
		close(sock[1]);
		be_container(sock[0], program);
	}
	close(sock[0]);
	write_maps(pid);
	(void) snprintf(path, sizeof(path), "/proc/%d/ns/user", (int) pid);
	int userns = (int) MUST(open(path, O_RDONLY | O_CLOEXEC)), fds[FDS_MAX];
	if (networked)
		net_join(pid);
	fds[0] = build_root(userns, state, lowers);
	size_t n = 1 + groups_fds(&g, fds + 1);
	n += files_fds(state, fds + n);
	send_fds(sock[1], fds, n, (unsigned char) g.n);
	for (size_t i = 0; i < n; i++)
		close(fds[i]);
	close(userns);
	close(sock[1]);

	int status;
	MUST(waitpid(pid, &status, 0));
	groups_remove(&g);
	uint64_t took = now_us() - start; /* what Coffer does behind its answer is behind it here, too: closing and deleting */
	while (n_closing > 0)
		close(closing[--n_closing]);
	remove_tree(AT_FDCWD, state);
	if (networked)
		net_leave();
	if (status != 0) {
		fprintf(stderr, "floor: the container ended with status 0x%x\n", status);
		exit(1);
	}
	return took;
}

int main(int argc, char **argv)
{
	if (argc > 2 && strcmp(argv[1], "-n") == 0) {
		networked = true;
		net_open((unsigned) strtoul(argv[2], NULL, 10));
		argc -= 2;
		argv += 2;
	}
	if (argc < 6) {
		fprintf(stderr, "usage: floor [-n SLOT] RUNS GAP_MS STATE_DIR PROGRAM LOWER...\n");
		return 2;
	}
	long runs = strtol(argv[1], NULL, 10), gap = strtol(argv[2], NULL, 10);
	make_filter();
	for (long i = 0; i < runs; i++) {
		usleep((useconds_t) gap * 1000);
		printf("%llu\n", (unsigned long long) one_round((unsigned) getpid() * 1000u + (unsigned) i, argv[3], argv[4], argv + 5));
	}
	return 0;
}

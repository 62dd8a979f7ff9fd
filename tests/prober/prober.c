/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Run as the first process of a container, the prober tries what a container must not be able to do and prints what came of
 * it, one "SECTION KEY OUTCOME" a line; tests/e2e/test_prober.py holds that against golden.txt. Everything that could end or
 * block it happens in a child. It changes nothing on a host that holds; it is static and needs no file of the image.
 *
 * Outcomes: "open" (the kernel did or would have done it, or complained about the arguments), an errno's name where the answer
 * is a refusal (EPERM, EACCES, ENOSYS, EROFS ...), or "signal-N".
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define SYSCALLS 1024
#define X32_BIT 0x40000000L
#define FAMILIES 48
#define NOT_RETURNED 0x7fffffff

static volatile int *shared; /* the errno of the child's attempt, 0: it succeeded */

static const char *errno_name(int e)
{
	const char *name = strerrorname_np(e);
	return name ? name : "EUNKNOWN";
}

/* Whether errno @e is a refusal, as against a complaint about the arguments. */
static int is_refusal(int e)
{
	return e == EPERM || e == ENOSYS || e == EACCES || e == EROFS || e == ENOSPC;
}

/* Carry out @attempt in a child that gives up after a tenth of a second. */
static void try(const char *section, const char *key, long (*attempt)(const void *arg), const void *arg)
{
	char outcome[32];
	*shared = NOT_RETURNED;
	pid_t pid = fork();
	if (pid == 0) {
		const struct itimerval limit = {.it_value = {.tv_usec = 100000}};
		(void) setitimer(ITIMER_REAL, &limit, NULL);
		errno = 0;
		long r = attempt(arg);
		*shared = r < 0 ? errno : 0;
		_exit(0);
	}
	int status = 0;
	if (pid > 0)
		(void) waitpid(pid, &status, 0);
	int e = *shared;
	if (pid < 0)
		(void) snprintf(outcome, sizeof(outcome), "no-fork");
	else if (e == NOT_RETURNED && WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS)
		(void) snprintf(outcome, sizeof(outcome), "signal-%d", WTERMSIG(status));
	else
		(void) snprintf(outcome, sizeof(outcome), "%s", e != NOT_RETURNED && is_refusal(e) ? errno_name(e) : "open");
	printf("%s %s %s\n", section, key, outcome);
}

/* ---- every system call, with arguments that no call can use ---- */

static long call_native(const void *arg)
{
	return syscall(*(const long *) arg, -1L, -1L, -1L, -1L, -1L, -1L);
}

#ifdef __x86_64__
static long call_int80(const void *arg)
{
	long nr = *(const long *) arg, r;
	__asm__ volatile("int $0x80" : "=a"(r) : "a"(nr), "b"(-1L), "c"(-1L), "d"(-1L), "S"(-1L), "D"(-1L) : "memory", "r8", "r9", "r10", "r11");
	if ((int) r < 0) {
		errno = -(int) r;
		return -1;
	}
	return r;
}
#endif

/* By -1 alone, kill(-1, -1) and the like do nothing; these would end or stop the prober's own child without an answer. */
static void probe_syscalls(void)
{
	char key[32];
	for (long nr = 0; nr < SYSCALLS; nr++) {
		(void) snprintf(key, sizeof(key), "%ld", nr);
		try("native", key, call_native, &nr);
	}
#ifdef __x86_64__
	for (long nr = 0; nr < SYSCALLS; nr++) {
		long x32 = nr | X32_BIT;
		(void) snprintf(key, sizeof(key), "%ld", nr);
		try("x32", key, call_native, &x32);
		try("int80", key, call_int80, &nr);
	}
#endif
}

/* ---- sockets ---- */

struct pair {
	int a, b;
};

static long make_socket(const void *arg)
{
	const struct pair *p = arg;
	return socket(p->a, p->b, 0);
}

static void probe_sockets(void)
{
	char key[32];
	for (int family = 0; family < FAMILIES; family++) {
		struct pair p = {family, family == AF_PACKET || family == AF_NETLINK ? SOCK_RAW : family == 38 /* AF_ALG */ ? SOCK_SEQPACKET : SOCK_DGRAM};
		(void) snprintf(key, sizeof(key), "%d", family);
		try("socket", key, make_socket, &p);
	}
	try("socket", "inet-raw", make_socket, &(struct pair){AF_INET, SOCK_RAW});
}

/* ---- namespaces ---- */

static const struct {
	const char *name;
	unsigned long flag;
} namespaces[] = {{"user", CLONE_NEWUSER}, {"mount", CLONE_NEWNS}, {"pid", CLONE_NEWPID}, {"ipc", CLONE_NEWIPC}, {"uts", CLONE_NEWUTS}, {"net", CLONE_NEWNET}, {"cgroup", CLONE_NEWCGROUP}, {"time", CLONE_NEWTIME}};

static long do_unshare(const void *arg)
{
	return unshare((int) *(const unsigned long *) arg);
}

static long do_clone(const void *arg)
{
	long r = syscall(SYS_clone, *(const unsigned long *) arg | SIGCHLD, NULL, NULL, NULL, 0L);
	if (r == 0)
		_exit(0);
	return r;
}

static long do_clone3(const void *arg)
{
	struct clone_args args = {.flags = *(const unsigned long *) arg, .exit_signal = SIGCHLD};
	long r = syscall(SYS_clone3, &args, sizeof(args));
	if (r == 0)
		_exit(0);
	return r;
}

static long do_setns(const void *arg)
{
	char path[64];
	(void) snprintf(path, sizeof(path), "/proc/self/ns/%s", (const char *) arg);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -1 : setns(fd, 0);
}

static void probe_namespaces(void)
{
	for (size_t i = 0; i < ARRAY_LEN(namespaces); i++) {
		try("unshare", namespaces[i].name, do_unshare, &namespaces[i].flag);
		if (namespaces[i].flag != CLONE_NEWTIME) /* its bit is part of the exit signal in clone(2) */
			try("clone", namespaces[i].name, do_clone, &namespaces[i].flag);
		try("clone3", namespaces[i].name, do_clone3, &namespaces[i].flag);
	}
	try("setns", "net", do_setns, "net");
	try("setns", "mnt", do_setns, "mnt");
	try("setns", "user", do_setns, "user");
}

/* ---- terminals ---- */

static long do_ioctl(const void *arg)
{
	char c = 1;
	return syscall(SYS_ioctl, 0L, *(const unsigned long *) arg, &c);
}

static void probe_ioctls(void)
{
	static const unsigned long sti = TIOCSTI, lnx = TIOCLINUX, high_sti = TIOCSTI | 1UL << 32, high_lnx = TIOCLINUX | 1UL << 63;
	try("ioctl", "TIOCSTI", do_ioctl, &sti);
	try("ioctl", "TIOCLINUX", do_ioctl, &lnx);
	try("ioctl", "TIOCSTI-high-bits", do_ioctl, &high_sti);
	try("ioctl", "TIOCLINUX-high-bits", do_ioctl, &high_lnx);
}

/* ---- devices ---- */

static const struct {
	const char *name;
	mode_t kind;
	unsigned major, minor;
} devices[] = {{"null", S_IFCHR, 1, 3}, {"mem", S_IFCHR, 1, 1}, {"kmsg", S_IFCHR, 1, 11}, {"fuse", S_IFCHR, 10, 229}, {"tun", S_IFCHR, 10, 200}, {"kvm", S_IFCHR, 10, 232}, {"loop-control", S_IFCHR, 10, 237}, {"tty0", S_IFCHR, 4, 0},
	       {"sda", S_IFBLK, 8, 0}, {"vda", S_IFBLK, 254, 0}, {"loop0", S_IFBLK, 7, 0}};

static long make_node(const void *arg)
{
	size_t i = *(const size_t *) arg;
	char path[64];
	(void) snprintf(path, sizeof(path), "/dev/probe-%s", devices[i].name);
	if (mknod(path, devices[i].kind | 0666, makedev(devices[i].major, devices[i].minor)) < 0)
		return -1;
	int fd = open(path, O_RDWR | O_CLOEXEC);
	return fd;
}

static void probe_devices(void)
{
	for (size_t i = 0; i < ARRAY_LEN(devices); i++)
		try("mknod", devices[i].name, make_node, &i);
	DIR *d = opendir("/dev");
	for (struct dirent *e; d && (e = readdir(d));) {
		struct stat st;
		if (fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode)))
			printf("dev %s %s:%u:%u\n", e->d_name, S_ISBLK(st.st_mode) ? "b" : "c", major(st.st_rdev), minor(st.st_rdev));
	}
	if (d)
		closedir(d);
}

/* ---- mounts ---- */

static long do_mount(const void *arg)
{
	return mount("none", "/tmp", arg, 0, NULL);
}

static long do_fsopen(const void *arg)
{
	return syscall(SYS_fsopen, arg, 0);
}

static void probe_mounts(void)
{
	static const char *const kinds[] = {"tmpfs", "proc", "sysfs", "cgroup", "cgroup2", "devpts", "mqueue", "overlay", "bpf", "fuse"};
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		try("mount", kinds[i], do_mount, kinds[i]);
		try("fsopen", kinds[i], do_fsopen, kinds[i]);
	}
}

/* ---- what of /proc and /sys opens for writing ---- */

static void walk_writable(int dfd, const char *prefix, int depth)
{
	DIR *d = fdopendir(dfd);
	for (struct dirent *e; d && (e = readdir(d));) {
		char path[512];
		struct stat st;
		if (e->d_name[0] == '.' || (depth == 0 && strcmp(prefix, "/proc") == 0 && (e->d_name[0] <= '9' || strcmp(e->d_name, "self") == 0 || strcmp(e->d_name, "thread-self") == 0)))
			continue;
		if (snprintf(path, sizeof(path), "%s/%s", prefix, e->d_name) >= (int) sizeof(path) || fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		if (S_ISDIR(st.st_mode) && depth < 7) {
			int sub = openat(dirfd(d), e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
			if (sub >= 0)
				walk_writable(sub, path, depth + 1);
		} else if (S_ISREG(st.st_mode)) {
			int fd = openat(dirfd(d), e->d_name, O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
			if (fd >= 0) {
				printf("writable %s open\n", path);
				close(fd);
			}
		}
	}
	if (d)
		closedir(d);
}

int main(int argc, char **argv)
{
	shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		return 1;
	setvbuf(stdout, NULL, _IOLBF, 0);
	int fast = argc > 1 && strcmp(argv[1], "fast") == 0; /* all but the sweep */
	if (!fast)
		probe_syscalls();
	probe_sockets();
	probe_namespaces();
	probe_ioctls();
	probe_devices();
	probe_mounts();
	static const char *const tops[] = {"/proc", "/sys"};
	for (size_t i = 0; i < ARRAY_LEN(tops); i++) {
		int fd = open(tops[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd >= 0)
			walk_writable(fd, tops[i], 0);
	}
	printf("end prober done\n");
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The default profile: what a container may call unless its operator says otherwise. An allow-list; the rest gets EPERM, a
 * number above our tables ENOSYS (so that a C library probes and falls back), as does clone3, whose flags lie behind a pointer
 * where no filter can see them. Native architecture only: through the 32-bit entry one call, socketcall, carries every socket
 * operation behind a pointer.
 *
 * Beside moby's list of 2026 we also keep out: vmsplice (as podman has for years), ioctl TIOCSTI and TIOCLINUX, which put
 * input into a terminal that others read (CVE-2017-5226 of bubblewrap), and AF_ALG and AF_VSOCK with any high bit set. Never
 * here: io_uring, userfaultfd, the key calls, kexec, swap, modules without their capability.
 *
 * CAP_SYS_ADMIN of a user namespace unlocks nothing (see seccomp_env.sys_admin_unlocks): the kernel surface behind mount, bpf
 * or setns is what this list is there to close.
 */
#include <errno.h>
#include <linux/seccomp.h>

#include "seccomp/profile.h"

#define CLONE_NAMESPACES 0x7e020000 /* NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET; NEWTIME is not clone()'s */
#define FAMILY_ALG 38               /* AF_ALG: page cache writes, CVE-2026-31431 */
#define FAMILY_VSOCK 40             /* AF_VSOCK: reaches the hypervisor, knows no network namespace */
#define TTY_STI 0x5412              /* TIOCSTI */
#define TTY_LINUX 0x541c            /* TIOCLINUX */
#define CAP(n) (UINT64_C(1) << (n))

/* clang-format off: lists of names read best as text */
/* Allowed without a condition. Names that one of our architectures lacks are skipped there. */
static const char *const allowed[] = {
	"accept", "accept4", "access", "adjtimex", "alarm", "bind", "brk", "cachestat", "capget", "capset", "chdir", "chmod", "chown",
	"clock_adjtime", "clock_getres", "clock_gettime", "clock_nanosleep", "close", "close_range", "connect", "copy_file_range",
	"creat", "dup", "dup2", "dup3", "epoll_create", "epoll_create1", "epoll_ctl", "epoll_ctl_old", "epoll_pwait", "epoll_pwait2",
	"epoll_wait", "epoll_wait_old", "eventfd", "eventfd2", "execve", "execveat", "exit", "exit_group", "faccessat", "faccessat2",
	"fadvise64", "fallocate", "fanotify_mark", "fchdir", "fchmod", "fchmodat", "fchmodat2", "fchown", "fchownat", "fcntl",
	"fdatasync", "fgetxattr", "file_getattr", "file_setattr", "flistxattr", "flock", "fork", "fremovexattr", "fsetxattr", "fstat",
	"fstatfs", "fsync", "ftruncate", "futex", "futex_requeue", "futex_wait", "futex_waitv", "futex_wake", "futimesat",
	"get_robust_list", "get_thread_area", "getcpu", "getcwd", "getdents", "getdents64", "getegid", "geteuid", "getgid", "getgroups",
	"getitimer", "getpeername", "getpgid", "getpgrp", "getpid", "getppid", "getpriority", "getrandom", "getresgid", "getresuid",
	"getrlimit", "getrusage", "getsid", "getsockname", "getsockopt", "gettid", "gettimeofday", "getuid", "getxattr", "getxattrat",
	"inotify_add_watch", "inotify_init", "inotify_init1", "inotify_rm_watch", "io_cancel", "io_destroy", "io_getevents",
	"io_pgetevents", "io_setup", "io_submit", "ioprio_get", "ioprio_set", "kill", "landlock_add_rule", "landlock_create_ruleset",
	"landlock_restrict_self", "lchown", "lgetxattr", "link", "linkat", "listen", "listmount", "listxattr", "listxattrat",
	"llistxattr", "lremovexattr", "lseek", "lsetxattr", "lstat", "madvise", "map_shadow_stack", "membarrier", "memfd_create",
	"memfd_secret", "mincore", "mkdir", "mkdirat", "mknod", "mknodat", "mlock", "mlock2", "mlockall", "mmap", "mprotect",
	"mq_getsetattr", "mq_notify", "mq_open", "mq_timedreceive", "mq_timedsend", "mq_unlink", "mremap", "mseal", "msgctl", "msgget",
	"msgrcv", "msgsnd", "msync", "munlock", "munlockall", "munmap", "name_to_handle_at", "nanosleep", "newfstatat", "open",
	"openat", "openat2", "pause", "pidfd_open", "pidfd_send_signal", "pipe", "pipe2", "pkey_alloc", "pkey_free", "pkey_mprotect",
	"poll", "ppoll", "prctl", "pread64", "preadv", "preadv2", "prlimit64", "process_mrelease", "pselect6", "pwrite64", "pwritev",
	"pwritev2", "read", "readahead", "readlink", "readlinkat", "readv", "recvfrom", "recvmmsg", "recvmsg", "remap_file_pages",
	"removexattr", "removexattrat", "rename", "renameat", "renameat2", "restart_syscall", "rmdir", "rseq", "rt_sigaction",
	"rt_sigpending", "rt_sigprocmask", "rt_sigqueueinfo", "rt_sigreturn", "rt_sigsuspend", "rt_sigtimedwait", "rt_tgsigqueueinfo",
	"sched_get_priority_max", "sched_get_priority_min", "sched_getaffinity", "sched_getattr", "sched_getparam",
	"sched_getscheduler", "sched_rr_get_interval", "sched_setaffinity", "sched_setattr", "sched_setparam", "sched_setscheduler",
	"sched_yield", "seccomp", "select", "semctl", "semget", "semop", "semtimedop", "sendfile", "sendmmsg", "sendmsg", "sendto",
	"set_robust_list", "set_thread_area", "set_tid_address", "setfsgid", "setfsuid", "setgid", "setgroups", "setitimer", "setpgid",
	"setpriority", "setregid", "setresgid", "setresuid", "setreuid", "setrlimit", "setsid", "setsockopt", "setuid", "setxattr",
	"setxattrat", "shmat", "shmctl", "shmdt", "shmget", "shutdown", "sigaltstack", "signalfd", "signalfd4", "socketpair", "splice",
	"stat", "statfs", "statmount", "statx", "symlink", "symlinkat", "sync", "sync_file_range", "syncfs", "sysinfo", "tee", "tgkill",
	"time", "timer_create", "timer_delete", "timer_getoverrun", "timer_gettime", "timer_settime", "timerfd_create",
	"timerfd_gettime", "timerfd_settime", "times", "tkill", "truncate", "umask", "uname", "unlink", "unlinkat", "uprobe",
	"uretprobe", "utime", "utimensat", "utimes", "vfork", "wait4", "waitid", "write", "writev", NULL,
};
static_assert(ARRAY_LEN(allowed) - 1 <= 361, "the ungated list stays within moby's");

#define NAMES(id, ...) static const char *const id[] = {__VA_ARGS__, NULL}
NAMES(tracing, "process_vm_readv", "process_vm_writev", "ptrace");
NAMES(x86_only, "arch_prctl", "modify_ldt");
NAMES(n_socket, "socket");
NAMES(n_ioctl, "ioctl");
NAMES(n_personality, "personality");
NAMES(n_clone, "clone");
NAMES(n_clone3, "clone3");
NAMES(by_dac_read_search, "open_by_handle_at");
NAMES(by_sys_admin, "bpf", "clone", "clone3", "fanotify_init", "fsconfig", "fsmount", "fsopen", "fspick", "lookup_dcookie", "lsm_get_self_attr",
      "lsm_list_modules", "lsm_set_self_attr", "mount", "mount_setattr", "move_mount", "open_tree", "open_tree_attr", "perf_event_open", "quotactl",
      "quotactl_fd", "setdomainname", "sethostname", "setns", "syslog", "umount2", "unshare");
NAMES(by_sys_boot, "reboot");
NAMES(by_sys_chroot, "chroot");
NAMES(by_sys_module, "delete_module", "finit_module", "init_module");
NAMES(by_sys_pacct, "acct");
NAMES(by_sys_ptrace, "kcmp", "pidfd_getfd", "process_madvise", "process_vm_readv", "process_vm_writev", "ptrace");
NAMES(by_sys_rawio, "ioperm", "iopl");
NAMES(by_sys_time, "clock_settime", "settimeofday");
NAMES(by_sys_tty_config, "vhangup");
NAMES(by_sys_nice, "get_mempolicy", "mbind", "set_mempolicy", "set_mempolicy_home_node");
NAMES(by_syslog, "syslog");
NAMES(by_bpf, "bpf");
NAMES(by_perfmon, "perf_event_open");
/* clang-format on */

/* The kernel takes socket's family and ioctl's command as 32 bits, so these look at no more than that. */
static const struct seccomp_cond socket_family[] = {{0, SECCOMP_OP_NOT_IN32, FAMILY_ALG, FAMILY_VSOCK}};
static const struct seccomp_cond ioctl_command[] = {{1, SECCOMP_OP_NOT_IN32, TTY_STI, TTY_LINUX}};
static const struct seccomp_cond clone_flags[] = {{0, SECCOMP_OP_MASKED_EQ, CLONE_NAMESPACES, 0}};
static const struct seccomp_cond personas[] = {
	{0, SECCOMP_OP_EQ, 0x0},	{0, SECCOMP_OP_EQ, 0x8},	/* PER_LINUX, PER_LINUX32 */
	{0, SECCOMP_OP_EQ, 0x20000},	{0, SECCOMP_OP_EQ, 0x20008},	/* the same with UNAME26 */
	{0, SECCOMP_OP_EQ, 0xffffffff},					/* ask only */
};

#define ALLOW(n) .names = (n), .ret = SECCOMP_RET_ALLOW
#define CONDS(c) .conds = (c), .n_conds = ARRAY_LEN(c)
#define WITH_CAP(n, cap) {ALLOW(n), .includes = {.caps = CAP(cap)}}
enum { /* capabilities(7) */
	C_DAC_READ_SEARCH = 2,
	C_SYS_MODULE = 16,
	C_SYS_RAWIO = 17,
	C_SYS_CHROOT = 18,
	C_SYS_PTRACE = 19,
	C_SYS_PACCT = 20,
	C_SYS_ADMIN = 21,
	C_SYS_BOOT = 22,
	C_SYS_NICE = 23,
	C_SYS_TIME = 25,
	C_SYS_TTY_CONFIG = 26,
	C_SYSLOG = 34,
	C_PERFMON = 38,
	C_BPF = 39,
};

static const struct seccomp_rule rules[] = {
	{ALLOW(allowed)},
	{ALLOW(tracing), .includes = {.has_kernel = true, .kernel_major = 4, .kernel_minor = 8}}, /* before, a tracer could skip the filter */
	{ALLOW(x86_only), .includes = {.has_arches = true, .arches = 1u << SECCOMP_ARCH_X86_64}},
	{ALLOW(n_socket), CONDS(socket_family)},
	{ALLOW(n_ioctl), CONDS(ioctl_command)},
	{ALLOW(n_personality), CONDS(personas), .any = true},
	{ALLOW(n_clone), CONDS(clone_flags), .excludes = {.caps = CAP(C_SYS_ADMIN)}},
	{.names = n_clone3, .ret = SECCOMP_RET_ERRNO | ENOSYS, .excludes = {.caps = CAP(C_SYS_ADMIN)}},
	WITH_CAP(by_sys_admin, C_SYS_ADMIN),
	WITH_CAP(by_dac_read_search, C_DAC_READ_SEARCH),
	WITH_CAP(by_sys_boot, C_SYS_BOOT),
	WITH_CAP(by_sys_chroot, C_SYS_CHROOT),
	WITH_CAP(by_sys_module, C_SYS_MODULE),
	WITH_CAP(by_sys_pacct, C_SYS_PACCT),
	WITH_CAP(by_sys_ptrace, C_SYS_PTRACE),
	WITH_CAP(by_sys_rawio, C_SYS_RAWIO),
	WITH_CAP(by_sys_time, C_SYS_TIME),
	WITH_CAP(by_sys_tty_config, C_SYS_TTY_CONFIG),
	WITH_CAP(by_sys_nice, C_SYS_NICE),
	WITH_CAP(by_syslog, C_SYSLOG),
	WITH_CAP(by_bpf, C_BPF),
	WITH_CAP(by_perfmon, C_PERFMON),
};

static const struct seccomp_profile profile = {
	.default_ret = SECCOMP_RET_ERRNO | EPERM,
	.arches = 1u << SECCOMP_ARCH_X86_64 | 1u << SECCOMP_ARCH_AARCH64,
	.rules = rules,
	.n_rules = ARRAY_LEN(rules),
};

const struct seccomp_profile *seccomp_profile_default(void)
{
	return &profile;
}

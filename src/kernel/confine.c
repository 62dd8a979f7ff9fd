/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/confine.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/fd.h"
#include "kernel/compat.h"

int confine_no_new_privs(void)
{
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? -errno : 0;
}

int confine_seccomp(const void *filter, size_t n, unsigned flags)
{
	if (n == 0 || n > BPF_MAXINSNS)
		return -EINVAL;
	struct sock_fprog prog = {.len = (unsigned short) n, .filter = (struct sock_filter *) filter};
	int r = (int) syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &prog);
	return r < 0 ? -errno : r;
}

bool confine_seccomp_takes(unsigned flag)
{
	/* a flag that only goes with a listener is EINVAL alone; the filter at NULL is EFAULT once the flags were taken */
	for (int with = 0; with < 2; with++)
		if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flag | (with ? SECCOMP_FILTER_FLAG_NEW_LISTENER : 0), NULL) < 0 && errno == EFAULT)
			return true;
	return false;
}

int confine_keyring(void)
{
	return syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL) < 0 ? -errno : 0;
}

int landlock_abi(void)
{
	int r = (int) syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	return r < 0 ? 0 : r;
}

/* struct landlock_ruleset_attr as of ABI 6; older kernels take a shorter size as long as the tail is unused */
struct ruleset {
	uint64_t fs, net, scoped;
};

int confine_landlock(bool scope_abstract)
{
	int abi = landlock_abi();
	if (abi < 1)
		return -EOPNOTSUPP;
	struct ruleset a = {.fs = LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_BLOCK};
	size_t size = sizeof(a.fs);
	if (scope_abstract && abi >= 6) {
		a.scoped = LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET;
		size = sizeof(a);
	}
	_cleanup_close_ int fd = (int) syscall(SYS_landlock_create_ruleset, &a, size, 0);
	if (fd < 0)
		return -errno;
	return syscall(SYS_landlock_restrict_self, fd, 0) < 0 ? -errno : 0;
}

int confine_landlock_readonly(void)
{
	/* rights by the ABI that brought them: 1 execute, write, remove and make; 2 refer; 3 truncate; 5 ioctl of devices */
	static const uint64_t since[] = {0, (1ULL << 0) | (1ULL << 1) | (0x1ffULL << 4), 1ULL << 13, 1ULL << 14, 0, 1ULL << 15};
	int abi = landlock_abi();
	if (abi < 1)
		return -EOPNOTSUPP;
	struct ruleset a = {0};
	for (int i = 1; i <= abi && i < (int) ARRAY_LEN(since); i++)
		a.fs |= since[i];
	if (abi >= 6)
		a.scoped = LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET | LANDLOCK_SCOPE_SIGNAL;
	_cleanup_close_ int fd = (int) syscall(SYS_landlock_create_ruleset, &a, abi >= 6 ? sizeof(a) : sizeof(a.fs), 0);
	if (fd < 0)
		return -errno;
	return syscall(SYS_landlock_restrict_self, fd, 0) < 0 ? -errno : 0;
}

int close_from(unsigned first)
{
	return syscall(SYS_close_range, first, ~0U, 0) < 0 ? -errno : 0;
}

int cloexec_from(unsigned first)
{
	return syscall(SYS_close_range, first, ~0U, 4 /* CLOSE_RANGE_CLOEXEC */) < 0 ? -errno : 0;
}

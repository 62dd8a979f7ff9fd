/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The program's own file, out of a container's reach (R6, CVE-2019-5736). Until the command is exec'ed, and again when the command is made to be
 * /proc/self/exe, our program runs inside; whoever may write its file could keep a descriptor of it until we have left and then replace the
 * runtime. So the program starts itself anew from a read-only mount of that one file, which is nowhere attached, or, where the caller may
 * not make one, from a sealed copy in memory. It costs an execve, and is left out where no id of the container may write the file.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "kernel/compat.h"
#include "kernel/mount.h"
#include "sandbox/sandbox.h"
#include "spec/runtime.h"

#define MARK "COFFER_SEALED"
#define ARGV_MAX (4u << 20)
#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)
#ifndef MFD_EXEC /* Linux 6.3 */
#define MFD_EXEC 0x0010U
#endif

static bool maps_host_id(const struct id_map *m, uint32_t host)
{
	for (size_t i = 0; i < m->n; i++)
		if (host >= m->v[i].host && host - m->v[i].host < m->v[i].size)
			return true;
	return false;
}

/* May anybody inside write a file like @st? Root of a user namespace may what the owner may where owner and group are mapped; that the owner is, is enough for us. */
static bool writable_inside(const struct runtime_spec *spec, const struct stat *st)
{
	const struct ns_spec *user = &spec->ns[NS_USER];
	if (user->mode != NS_MODE_NEW)
		return true; /* the host's ids, or maps that we have not seen */
	return maps_host_id(&spec->uids, st->st_uid) || (st->st_mode & 020 && maps_host_id(&spec->gids, st->st_gid)) || st->st_mode & 002;
}

static bool is_sealed(int exe)
{
	struct statvfs v;
	int seals = fcntl(exe, F_GET_SEALS);
	return (seals >= 0 && (seals & SEALS) == SEALS) || (fstatvfs(exe, &v) == 0 && v.f_flag & ST_RDONLY);
}

static int readonly_mount(int exe)
{
	_cleanup_close_ int mnt = mnt_clone_private(exe, "", false);
	int r = mnt < 0 ? mnt : mnt_attr(mnt, MOUNT_ATTR_RDONLY, 0, false);
	return r < 0 ? r : take_fd(&mnt);
}

static int sealed_copy(int exe, off_t size)
{
	_cleanup_close_ int mem = memfd_create("coffer-oci", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC);
	if (mem < 0 && errno == EINVAL)
		mem = memfd_create("coffer-oci", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (mem < 0)
		return -errno;
	for (off_t at = 0; at < size;) {
		ssize_t n = sendfile(mem, exe, &at, (size_t) (size - at));
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
	}
	return fcntl(mem, F_ADD_SEALS, SEALS) < 0 ? -errno : take_fd(&mem);
}

static int read_argv(char ***ret)
{
	_cleanup_free_ char *text = NULL;
	_cleanup_strv_ char **argv = NULL;
	ssize_t n = read_file(AT_FDCWD, "/proc/self/cmdline", ARGV_MAX, &text);
	if (n < 0)
		return (int) n;
	for (const char *p = text; p < text + n; p += strlen(p) + 1)
		if (strv_push(&argv, p) < 0)
			return -ENOMEM;
	*ret = take_ptr(argv);
	return 0;
}

/* Returns only when it could not. */
static int again(int file, struct err *err)
{
	_cleanup_strv_ char **argv = NULL;
	int r = read_argv(&argv);
	if (r == 0 && setenv(MARK, "1", 1) < 0)
		r = -errno;
	if (r == 0)
		r = syscall(SYS_execveat, file, "", argv, environ, AT_EMPTY_PATH) < 0 ? -errno : 0;
	return err_sys(err, r, "starting anew from a sealed copy of this program");
}

int sandbox_seal(const struct runtime_spec *spec, struct err *err)
{
	struct stat st;
	bool second = getenv(MARK);
	(void) unsetenv(MARK);
	_cleanup_close_ int exe = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	if (exe < 0 || fstat(exe, &st) < 0)
		return err_sys(err, -errno, "/proc/self/exe");
	if (is_sealed(exe)) {
		if (second)
			(void) prctl(PR_SET_NAME, program_invocation_short_name); /* an execve by descriptor leaves its number, before 6.14 */
		return 0;
	}
	if (!writable_inside(spec, &st))
		return 0;
	if (second)
		return err_set(err, ERR_SYSTEM, "this program's file can be written to from the container, and a sealed copy of it is not sealed");
	_cleanup_close_ int file = readonly_mount(exe);
	if (file < 0)
		file = sealed_copy(exe, st.st_size);
	return file < 0 ? err_sys(err, file, "making a sealed copy of this program") : again(file, err);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command: its working directory, where it is found, and the execve. Everything that can be said about a command that cannot run
 * is said before the seccomp filter closes, so that the filter need not allow more than the command itself needs.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "kernel/path.h"
#include "sandbox/internal.h"

static const char *cwd_of(const struct sandbox *s)
{
	return s->process->cwd ? s->process->cwd : "/";
}

int command_make_cwd(struct sandbox *s, struct err *err)
{
	if (!s->ext->create_cwd)
		return 0;
	/* as the container's root, as docker makes WORKDIR; inside the root only (CVE-2026-55686) */
	_cleanup_close_ int dir = mkdir_in_root(s->root_fd, cwd_of(s), 0755);
	return dir < 0 && dir != -EROFS ? err_sys(err, dir, "working directory '%s'", cwd_of(s)) : 0;
}

int command_cwd(struct sandbox *s, struct err *err)
{
	const char *cwd = cwd_of(s);
	if (cwd[0] != '/')
		return err_set(err, ERR_INVALID, "working directory '%s' is not an absolute path", cwd);
	/* after the pivot "/" is the root: resolve inside it, no magic links (CVE-2024-21626: cwd /proc/self/fd/N) */
	_cleanup_close_ int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	_cleanup_close_ int dir = root < 0 ? -errno : open_in_root(root, cwd, O_PATH | O_DIRECTORY, 0);
	if (dir < 0)
		return err_sys(err, dir, "working directory '%s'", cwd);
	if (fchdir(dir) < 0)
		return err_sys(err, -errno, "working directory '%s'", cwd);
	char where[PATH_MAX];
	if (!getcwd(where, sizeof(where)) || where[0] != '/')
		return err_set(err, ERR_DENIED, "working directory '%s' lies outside the root filesystem", cwd);
	return 0;
}

/* 0: can be executed; -EACCES, -EISDIR, -ENOENT, ... */
static int probe(const char *path)
{
	struct stat st;
	if (stat(path, &st) < 0)
		return -errno;
	if (S_ISDIR(st.st_mode))
		return -EISDIR;
	return faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) < 0 ? -errno : 0;
}

static int say(const char *name, int r, bool searched, struct err *err)
{
	switch (r) {
	case -EACCES:
		return err_set(err, ERR_CMD_DENIED, "exec: \"%s\": permission denied", name);
	case -EISDIR:
		return err_set(err, ERR_CMD_DENIED, "exec: \"%s\": is a directory", name);
	case -ENOEXEC:
		return err_set(err, ERR_CMD_DENIED, "exec: \"%s\": exec format error: permission denied to run it as a program of this machine", name);
	default:
		if (searched)
			return err_set(err, ERR_CMD_NOT_FOUND, "exec: \"%s\": executable file not found in $PATH", name);
		return err_set(err, ERR_CMD_NOT_FOUND, "exec: \"%s\": stat %s: no such file or directory", name, name);
	}
}

/* A --init container runs coffer-init, bound in at this path, with the command as its arguments. */
static int search_path(struct sandbox *s, const char *name, struct err *err)
{
	const char *path = strv_find_key(s->env, "PATH");
	int worst = -ENOENT;
	for (const char *p = path ? path : "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"; p;) {
		size_t n = strcspn(p, ":");
		int len = str_format(s->command, sizeof(s->command), "%.*s%s%s", (int) n, p, n ? "/" : "", name);
		int r = len < 0 ? -ENOENT : probe(s->command);
		if (r == 0)
			return 0;
		if (r == -EACCES)
			worst = r;
		p = p[n] ? p + n + 1 : NULL;
	}
	return say(name, worst, true, err);
}

int command_find(struct sandbox *s, struct err *err)
{
	char **args = s->process->args;
	if (!args || !args[0] || !*args[0])
		return err_set(err, ERR_INVALID, "no command specified");
	if (!strchr(args[0], '/'))
		return search_path(s, args[0], err);
	if (str_copy(s->command, sizeof(s->command), args[0]) < 0)
		return err_set(err, ERR_CMD_NOT_FOUND, "exec: \"%.60s...\": file name too long", args[0]);
	int r = probe(s->command);
	return r == 0 ? 0 : say(args[0], r, false, err);
}

int command_exec(struct sandbox *s, struct err *err)
{
	execve(s->command, s->process->args, s->env);
	return say(s->process->args[0], -errno, false, err);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Calling the other runtime, and what it leaves: an exit status, a log, a pid file, a terminal. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/num.h"
#include "codec/json.h"
#include "kernel/confine.h"
#include "sandbox/foreign_internal.h"

enum { ARGS_MAX = 32, LOG_MAX = 1 << 20 };

_Noreturn static void be_runtime(struct foreign *f, char *const *argv, bool with_stdio)
{
	static char *const env[] = {(char *) "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", NULL};
	char null[64];
	int fallback = open(stage_path(f, null, "null"), O_RDWR | O_NOCTTY | O_CLOEXEC), fds[3];
	for (int i = 0; i < 3; i++) /* above 2 first, so that none is overwritten before it is read */
		fds[i] = fcntl(with_stdio && f->s.stdio[i] >= 0 ? f->s.stdio[i] : fallback, F_DUPFD_CLOEXEC, 3);
	for (int i = 0; i < 3; i++)
		if (fds[i] < 0 || dup2(fds[i], i) < 0)
			_exit(127);
	(void) close_from(3);
	(void) execve(argv[0], argv, env);
	_exit(127);
}

/* The last error of a log of JSON lines, "" when there is none. */
static void last_error(struct foreign *f, char *buf, size_t size)
{
	_cleanup_free_ char *text = NULL;
	buf[0] = '\0';
	if (read_file(f->stage, "log", LOG_MAX, &text) <= 0)
		return;
	for (char *line = text, *next; line && *line; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		_cleanup_json_ struct json *doc = NULL;
		struct err ignored;
		if (json_parse(line, strlen(line), LOG_MAX, "log", &doc, &ignored) < 0)
			continue;
		const char *level = json_str(json_get(doc, "level"), ""), *msg = json_str(json_get(doc, "msg"), NULL);
		if (msg && (str_eq(level, "error") || str_eq(level, "fatal")))
			(void) snprintf(buf, size, "%s", msg);
	}
}

/* Other runtimes tell in words what went wrong with the command; dockerd reads them alike. */
static enum err_kind kind_of(const char *msg)
{
	static const struct {
		const char *words;
		enum err_kind kind;
	} rows[] = {
		{"executable file not found", ERR_CMD_NOT_FOUND}, {"executable file `", ERR_CMD_NOT_FOUND}, {"no such file or directory", ERR_CMD_NOT_FOUND},
		{"o such file or directory", ERR_CMD_NOT_FOUND},  {"ermission denied", ERR_CMD_DENIED},	    {"s a directory", ERR_CMD_DENIED},
		{"xec format error", ERR_CMD_DENIED},
	};
	bool about_exec = strstr(msg, "exec") != NULL;
	for (size_t i = 0; about_exec && i < ARRAY_LEN(rows); i++)
		if (strstr(msg, rows[i].words))
			return rows[i].kind;
	return ERR_SYSTEM;
}

static int wait_for(struct foreign *f, pid_t pid, const char *verb, struct err *err)
{
	char msg[400];
	int status, r = process_wait(pid, &status);
	if (r < 0)
		return err_sys(err, r, "waiting for %s", f->ext.runtime);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
		return err_set(err, ERR_SYSTEM, "'%s' cannot be run", f->ext.runtime);
	last_error(f, msg, sizeof(msg));
	enum err_kind kind = kind_of(msg);
	if (!msg[0])
		return err_set(err, ERR_SYSTEM, "%s %s failed with status %d and said nothing", f->ext.runtime, verb, exit_code_from_status(status));
	return err_set(err, kind, "%s: %.400s", strrchr(f->ext.runtime, '/') + 1, msg);
}

int runtime_run(struct foreign *f, const char *const *argv, bool with_stdio, struct err *err)
{
	char root[PATH_MAX + 8], log[64];
	const char *all[ARGS_MAX] = {f->ext.runtime, "--root", root, "--log", stage_path(f, log, "log"), "--log-format", "json"};
	size_t n = 7;
	if (snprintf(root, sizeof(root), "%s/" FOREIGN_STATE, f->bundle) >= (int) sizeof(root))
		return err_sys(err, -ENAMETOOLONG, "the bundle");
	for (size_t i = 0; argv[i] && n + 1 < ARGS_MAX; i++)
		all[n++] = argv[i];
	(void) unlinkat(f->stage, "log", 0); /* of the call before */
	pid_t pid = fork();
	if (pid < 0)
		return err_sys(err, -errno, "forking for %s", f->ext.runtime);
	if (pid == 0)
		be_runtime(f, (char *const *) all, with_stdio);
	return wait_for(f, pid, argv[0], err);
}

/* The terminal */

int runtime_console(struct foreign *f, struct err *err)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	(void) stage_path(f, a.sun_path, "console"); /* 64 bytes of 108 */
	f->console = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (f->console < 0 || bind(f->console, (const struct sockaddr *) &a, sizeof(a)) < 0 || listen(f->console, 1) < 0)
		return err_sys(err, -errno, "a socket for the terminal");
	return 0;
}

/* The runtime has left, so what it sent is there. */
static int take_console(struct foreign *f, struct err *err)
{
	char name[512];
	int fd = -EBADF;
	size_t n = 1;
	(void) fd_set_nonblock(f->console, true); /* cannot fail on a socket */
	_cleanup_close_ int c = accept4(f->console, NULL, NULL, SOCK_CLOEXEC);
	ssize_t got = c < 0 ? -errno : recv_fds(c, name, sizeof(name), &fd, &n);
	if (got <= 0 || n != 1)
		return err_sys(err, got < 0 ? (int) got : -EPROTO, "taking the terminal that %s made", f->ext.runtime);
	_cleanup_close_ int master = fd;
	struct report r = {.kind = REPORT_CONSOLE};
	int e = report_send(f->s.report_fd, &r, master);
	return e < 0 ? err_sys(err, e, "reporting the terminal") : 0;
}

static int read_pid(struct foreign *f, pid_t *ret, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	uint32_t pid = 0;
	ssize_t n = read_file(f->stage, "pid", 64, &text);
	if (n > 0)
		text[strcspn(text, "\n")] = '\0';
	if (n <= 0 || parse_u32(text, &pid) < 0 || pid < 2 || pid > INT32_MAX)
		return err_set(err, ERR_CORRUPT, "%s wrote no pid", f->ext.runtime);
	*ret = (pid_t) pid;
	return 0;
}

int runtime_report(struct foreign *f, struct err *err)
{
	int r = read_pid(f, &f->pid, err);
	if (r < 0)
		return r;
	_cleanup_close_ int pidfd = process_pidfd(f->pid);
	if (pidfd < 0)
		return err_sys(err, pidfd, "process %d that %s made", (int) f->pid, f->ext.runtime);
	struct report rep = {.kind = REPORT_PID, .pid = f->pid};
	r = report_send(f->s.report_fd, &rep, pidfd);
	if (r < 0)
		return err_sys(err, r, "reporting init");
	return f->console >= 0 ? take_console(f, err) : 0;
}

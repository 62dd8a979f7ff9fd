/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/hooks.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "codec/json.h"
#include "kernel/confine.h"
#include "kernel/process.h"
#include "sandbox/internal.h"

char *oci_state_json(const struct oci_state *s)
{
	_cleanup_strbuf_ struct strbuf b = STRBUF_INIT(1u << 20);
	struct json_writer w;
	jw_init(&w, &b);
	jw_obj(&w, NULL);
	jw_str(&w, "ociVersion", s->spec->version);
	jw_str(&w, "id", s->id);
	jw_str(&w, "status", s->status);
	if (s->pid)
		jw_int(&w, "pid", s->pid);
	jw_str(&w, "bundle", s->bundle);
	if (s->spec->n_annotations) {
		jw_obj(&w, "annotations");
		for (size_t i = 0; i < s->spec->n_annotations; i++)
			jw_str(&w, s->spec->annotations[i].key, s->spec->annotations[i].value);
		jw_end(&w);
	}
	jw_end(&w);
	return strbuf_err(&b) < 0 ? NULL : strbuf_steal(&b);
}

/* In the child: nothing of ours but the state on stdin, and where our words go on 1 and 2. */
static _Noreturn void hook_exec(const struct hook_spec *h, int state_fd)
{
	static char *const no_env[] = {NULL};
	char *alone[] = {h->path, NULL};
	signals_reset();
	if (chdir("/") == 0 && dup2(state_fd, STDIN_FILENO) == STDIN_FILENO && close_from(3) == 0)
		execve(h->path, h->args ? h->args : alone, h->env ? h->env : no_env);
	_exit(127);
}

/* Return: 0 with the wait status; -ETIMEDOUT when it had to be killed. */
static int hook_wait(pid_t pid, uint32_t timeout_s, int *status)
{
	_cleanup_close_ int fd = process_pidfd(pid);
	struct pollfd p = {.fd = fd, .events = POLLIN};
	int r = fd < 0 ? fd : 0;
	if (r == 0 && timeout_s) {
		usec_t end = now_usec() + (usec_t) timeout_s * USEC_PER_SEC;
		int n;
		do {
			usec_t now = now_usec();
			n = poll(&p, 1, now >= end ? 0 : (int) MIN((end - now) / 1000 + 1, (usec_t) 1000000));
		} while ((n < 0 && errno == EINTR) || (n == 0 && now_usec() < end));
		if (n == 0)
			r = -ETIMEDOUT;
	}
	if (r < 0)
		(void) kill(pid, SIGKILL); /* unreaped: the pid is certain */
	int k = process_wait(pid, status);
	return r < 0 ? r : k;
}

static int hook_run(const struct hook_spec *h, const char *json, struct err *err)
{
	_cleanup_close_ int state = memfd_create("state", MFD_CLOEXEC);
	if (state < 0 || write_all(state, json, strlen(json)) < 0 || lseek(state, 0, SEEK_SET) < 0)
		return err_sys(err, -errno, "the state document");
	pid_t pid = fork();
	if (pid < 0)
		return err_sys(err, -errno, "fork");
	if (pid == 0)
		hook_exec(h, state);
	int status = 0;
	int r = hook_wait(pid, h->timeout, &status);
	if (r == -ETIMEDOUT)
		return err_set(err, ERR_SYSTEM, "ran longer than its timeout of %u s and was killed", h->timeout);
	if (r < 0)
		return err_sys(err, r, "waiting for it");
	if (WIFSIGNALED(status))
		return err_set(err, ERR_SYSTEM, "died of signal %d", WTERMSIG(status));
	if (WEXITSTATUS(status) == 127)
		return err_set(err, ERR_SYSTEM, "exit code 127: it could not be run");
	return WEXITSTATUS(status) ? err_set(err, ERR_SYSTEM, "exit code %d", WEXITSTATUS(status)) : 0;
}

int hooks_run(const struct runtime_spec *spec, enum hook_point point, const struct oci_state *state, struct err *err)
{
	const struct hook_list *l = &spec->hooks[point];
	if (l->n == 0)
		return 0;
	_cleanup_free_ char *json = oci_state_json(state);
	if (!json)
		return err_oom(err);
	bool all = point == HOOK_POSTSTART || point == HOOK_POSTSTOP;
	int first = 0;
	for (size_t i = 0; i < l->n && (all || first == 0); i++) {
		struct err e;
		if (hook_run(&l->v[i], json, &e) < 0 && first == 0) {
			*err = e;
			first = err_wrap(err, "hooks.%s[%zu]: '%s'", hook_point_name(point), i, l->v[i].path);
		}
	}
	return first;
}

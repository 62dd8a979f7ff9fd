/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the new process stops on its way to the command: before the pivot, for hooks that others run; before the command, until OCI's
 * start lets it go on; and after a filter with SCMP_ACT_NOTIFY is loaded, until its listener is in safe hands.
 *
 *   sandbox_start()                         init
 *     <- REPORT_HOOKS ---------------------- stands before its pivot
 *     prestart, createRuntime
 *     its pid ----------------------------->  createContainer; pivot
 *     <- REPORT_READY ----------------------  everything made and checked
 *     (the caller writes its record)
 *   sandbox_proceed()
 *     one byte ---------------------------->  closes this socket, accepts on start_fd (or goes on at once)
 *   sandbox_go()
 *     one byte ---------------------------->  startContainer
 *     <- REPORT_GOES -----------------------  seccomp; execve
 *     <- REPORT_LISTENER + memory ----------  (only with SCMP_ACT_NOTIFY)
 *     <- EOF: exec'ed, or REPORT_FAILED
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "codec/json.h"
#include "kernel/confine.h"
#include "sandbox/hooks.h"
#include "sandbox/internal.h"
#include "sandbox/listener.h"

static struct oci_state state_of(const struct sandbox *s, const char *status)
{
	return (struct oci_state) {.id = s->id, .status = status, .bundle = s->bundle, .pid = s->host_pid, .spec = s->spec};
}

static int learn_pid(struct sandbox *s, struct err *err)
{
	struct report r = {.kind = REPORT_HOOKS};
	int32_t pid;
	int e = report_send(s->report_fd, &r, -EBADF);
	ssize_t n = e < 0 ? e : recv(s->report_fd, &pid, sizeof(pid), 0);
	if (n == 0)
		_exit(1); /* the caller has failed and says why itself */
	if (n != sizeof(pid))
		return err_sys(err, n < 0 ? -errno : -EBADMSG, "waiting for the hooks");
	s->host_pid = pid;
	return 0;
}

int start_hooks_before_pivot(struct sandbox *s, struct err *err)
{
	bool any = s->filter_notify;
	for (int p = HOOK_PRESTART; p <= HOOK_START_CONTAINER; p++)
		any |= s->spec->hooks[p].n > 0;
	if (!sandbox_obeys(s) || !s->id || !any)
		return 0;
	int r = learn_pid(s, err);
	if (r < 0 || s->is_exec)
		return r;
	struct oci_state st = state_of(s, "created");
	return hooks_run(s->spec, HOOK_CREATE_CONTAINER, &st, err);
}

static int wait_for_start(struct sandbox *s, struct err *err)
{
	struct report ready = {.kind = REPORT_READY};
	char go;
	int e = report_send(s->report_fd, &ready, -EBADF);
	if (e < 0)
		return err_sys(err, e, "reporting that the container is created");
	if (recv(s->report_fd, &go, 1, 0) != 1)
		_exit(1); /* the caller has gone before it wrote down that we are here: nobody would ever find us */
	if (s->start_fd >= 0) {
		s->report_fd = safe_close(s->report_fd);
		do
			s->report_fd = accept4(s->start_fd, NULL, NULL, SOCK_CLOEXEC);
		while (s->report_fd < 0 && errno == EINTR);
		ssize_t n = s->report_fd < 0 ? -errno : recv(s->report_fd, &go, 1, 0);
		if (n != 1)
			return err_sys(err, n < 0 ? (int) n : -ECONNRESET, "waiting for start");
		s->start_fd = safe_close(s->start_fd);
	}
	struct oci_state st = state_of(s, "created");
	e = s->id ? hooks_run(s->spec, HOOK_START_CONTAINER, &st, err) : 0;
	if (e < 0)
		return e;
	struct report r = {.kind = REPORT_GOES}; /* from here on a closed socket means the command */
	e = report_send(s->report_fd, &r, -EBADF);
	return e < 0 ? err_sys(err, e, "reporting that the command follows") : 0;
}

/* Without no_new_privs the filter needs a capability to load and comes before they go; waiting behind it would need its leave. */
int start_wait_early(struct sandbox *s, struct err *err)
{
	return sandbox_obeys(s) && !s->is_exec && !s->process->no_new_privileges ? wait_for_start(s, err) : 0;
}

int start_wait_late(struct sandbox *s, struct err *err)
{
	return sandbox_obeys(s) && !s->is_exec && s->process->no_new_privileges ? wait_for_start(s, err) : 0;
}

/* --- the listener --- */

/* ContainerProcessState (config-linux.md "The Container Process State"). */
static char *process_state_json(const struct sandbox *s)
{
	struct oci_state st = state_of(s, s->is_exec ? "running" : "created");
	_cleanup_free_ char *state = oci_state_json(&st);
	_cleanup_strbuf_ struct strbuf b = STRBUF_INIT(LISTENER_JSON_MAX);
	struct json_writer w;
	if (!state)
		return NULL;
	jw_init(&w, &b);
	jw_obj(&w, NULL);
	jw_str(&w, "ociVersion", s->spec->version);
	jw_arr(&w, "fds");
	jw_str(&w, NULL, "seccompFd");
	jw_end(&w);
	jw_int(&w, "pid", s->host_pid);
	if (!str_empty(s->listener_metadata))
		jw_str(&w, "metadata", s->listener_metadata);
	jw_raw(&w, "state", state);
	jw_end(&w);
	return strbuf_err(&b) < 0 ? NULL : strbuf_steal(&b);
}

/* After the filter is in force a system call of ours may be the one that the listener is asked about, and nobody listens yet. So the
 * descriptor's number goes through shared memory, and so does the word that it was fetched (pidfd_getfd(2)). */
int listener_load(struct sandbox *s)
{
	_cleanup_free_ char *json = process_state_json(s);
	_cleanup_close_ int mem = memfd_create("listener", MFD_CLOEXEC);
	if (!json || mem < 0 || ftruncate(mem, sizeof(struct listener_page)) < 0)
		return json ? -errno : -ENOMEM;
	struct listener_page *page = mmap(NULL, sizeof(*page), PROT_READ | PROT_WRITE, MAP_SHARED, mem, 0);
	if (page == MAP_FAILED)
		return -errno;
	page->pid = s->host_pid;
	if (str_copy(page->path, sizeof(page->path), s->listener_path) < 0)
		return -ENAMETOOLONG;
	if (str_copy(page->json, sizeof(page->json), json) < 0)
		return -EMSGSIZE;
	struct report r = {.kind = REPORT_LISTENER};
	int e = report_send(s->report_fd, &r, mem);
	if (e < 0)
		return e;
	usec_t end = now_usec() + LISTENER_WAIT;
	int fd = confine_seccomp(s->filter, s->filter_len, s->filter_flags | SECCOMP_FILTER_FLAG_NEW_LISTENER);
	page->fd = fd;
	atomic_store(&page->state, fd < 0 ? LISTENER_FAILED : LISTENER_LOADED);
	if (fd < 0)
		return fd;
	while (atomic_load(&page->state) == LISTENER_LOADED && now_usec() < end)
		; /* the vDSO's clock is no system call */
	return atomic_load(&page->state) == LISTENER_SENT ? 0 : -ECONNREFUSED;
}

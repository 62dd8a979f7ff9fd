/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files of a container: archive, export, changes. The engine looks at none of them itself (R4): it finds the container, says to coffer-files how to get to it,
 * and carries bytes. A container that runs is entered, and may end meanwhile; one that does not is locked until the last byte.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "base/fault.h"
#include "engine/events.h"
#include "engine/internal.h"
#include "files/client.h"
#include "kernel/process.h"

#define DOCUMENT_MAX (4u << 20)
#define ENDING_TRIES 250 /* a container that has ended while it was looked at is soon known to have */
#define ENDING_STEP_NS 20000000
#define CHANGES_MAX (32u << 20) /* bytes of paths */

/* Of a running container: its first process, proven by its start. Return: pidfd. */
static int open_process(const struct files_access *a, struct err *err)
{
	_cleanup_close_ int fd = process_pidfd(a->live.pid);
	if (fd < 0 || !proc_is(a->live.pid, a->live.ticks))
		return err_set(err, ERR_CONFLICT, "container %s has just ended", a->c.id);
	return take_fd(&fd);
}

/* Of any other: its document, in memory. */
static int open_document(struct engine *e, const struct files_access *a, struct err *err)
{
	_cleanup_strbuf_ struct strbuf text = STRBUF_INIT(DOCUMENT_MAX);
	int rc = bundle_document(e, &a->c, a->running, &text, err);
	if (rc < 0)
		return rc;
	_cleanup_close_ int fd = memfd_create("coffer-document", MFD_CLOEXEC);
	rc = fd < 0 ? -errno : write_all(fd, text.s, text.len);
	if (rc >= 0 && lseek(fd, 0, SEEK_SET) < 0)
		rc = -errno;
	return rc < 0 ? err_sys(err, rc, "the container's document") : take_fd(&fd);
}

/* Not running, as it seems: with its lock held nobody starts it. It may run by now. */
static int settle(struct engine *e, struct files_access *a, struct err *err)
{
	struct run_info info;
	a->lock = lock_take(e, a->c.id, err);
	if (a->lock < 0)
		return a->lock;
	struct container now = {0};
	int rc = container_load(e, a->c.id, &now, err);
	if (rc == 0)
		rc = err_set(err, ERR_NOT_FOUND, "No such container: %s", a->c.id);
	if (rc < 0)
		return rc;
	container_done(&a->c);
	a->c = now;
	rc = state_read(e, &a->c, /* locked= */ true, &info, err);
	if (rc < 0)
		return rc;
	a->running = info.state == RUN_RUNNING;
	a->live = (struct live_proc){info.live.pid, info.live.start_ticks};
	if (a->running)
		a->lock = safe_close(a->lock);
	return 0;
}

static bool of_layer(uint32_t job)
{
	return job == FILES_CHANGES || job == FILES_LAYER;
}

static int open_access(struct engine *e, const struct caller *caller, const char *ref, uint32_t job, struct files_access *a, struct err *err)
{
	struct run_info info;
	int rc = running_find(e, caller, ref, &a->c, err);
	if (rc < 0)
		return rc;
	a->running = rc > 0;
	if (a->running) {
		rc = state_peek(e, &a->c, &info, err);
		if (rc < 0)
			return rc;
		a->running = info.state == RUN_RUNNING;
		a->live = (struct live_proc){info.live.pid, info.live.start_ticks};
	}
	rc = a->running ? 0 : settle(e, a, err);
	if (rc >= 0 && !a->running)
		rc = policy_check(e, caller, a->c.req, NULL, err); /* its mounts are made as at a start (R15) */
	if (rc < 0)
		return rc;
	a->container_fd = a->running && !of_layer(job) ? open_process(a, err) : open_document(e, a, err);
	return MIN(a->container_fd, 0);
}

static int files_open(struct engine *e, const struct caller *caller, const char *ref, uint32_t job, struct files_access *ret, struct err *err)
{
	*ret = (struct files_access){.lock = -EBADF, .container_fd = -EBADF};
	int rc = open_access(e, caller, ref, job, ret, err);
	if (rc < 0)
		files_close(ret);
	return rc;
}

static int files_do(struct engine *e, const struct files_access *a, struct files_run *run, struct files_msg *ret_done, struct err *err)
{
	_cleanup_free_ char *helper = str_printf("%s/coffer-files", e->libexec_dir);
	struct files_request *req = run->req;
	if (!helper)
		return err_oom(err);
	req->magic = FILES_MAGIC;
	uint64_t bytes_max = req->budget.bytes; /* the caller's own ceiling, 0: none */
	req->budget = (struct files_budget) FILES_BUDGET_DEFAULT;
	if (bytes_max > 0)
		req->budget.bytes = MIN(req->budget.bytes, bytes_max);
	req->flags |= a->running ? FILES_RUNNING : 0u;
	req->pid = a->live.pid;
	(void) str_copy(req->fail_step, sizeof(req->fail_step), getenv("COFFER_FAIL_STEP") ?: ""); /* too long names no step */
	(void) str_copy(req->user, sizeof(req->user), a->c.req->user ?: ""); /* one that does not fit does not start either */
	run->helper = helper;
	run->container = a->container_fd;
	run->bundle = e->run_fd;
	return files_run(run, ret_done, err);
}

int files_session(struct engine *e, const struct caller *caller, const char *ref, struct files_run *run, struct files_access *a, struct files_msg *ret_done, struct err *err)
{
	const unsigned flags = run->req->flags;
	for (int i = 0;; i++) {
		int rc = files_open(e, caller, ref, run->req->job, a, err);
		if (rc >= 0) {
			fault_mark("engine.files.opened");
			run->req->flags = flags;
			a->reached = true;
			rc = files_do(e, a, run, ret_done, err);
			fault_mark("engine.files.done");
			if (rc >= 0)
				return rc;
			files_close(a);
		}
		if (err->kind != ERR_CONFLICT || i == ENDING_TRIES)
			return rc;
		const struct timespec pause = {.tv_nsec = ENDING_STEP_NS};
		(void) nanosleep(&pause, NULL); /* until its monitor has written the exit down; an early wake-up only looks sooner */
	}
}

void files_close(struct files_access *a)
{
	container_done(&a->c);
	a->container_fd = safe_close(a->container_fd);
	a->lock = safe_close(a->lock);
}

/* Archives */

struct relay {
	const struct archive_sink *sink;
	bool told;
};

static int on_status(void *ctx, const struct files_status *s, struct err *err)
{
	struct relay *r = ctx;
	const struct path_status p = {.name = s->name, .target = s->target, .size = s->size, .mode = s->mode, .mtime_ns = s->mtime_s * NSEC_PER_SEC + s->mtime_ns};
	if (r->told)
		return err_set(err, ERR_SYSTEM, "the files helper says what makes no sense");
	r->told = true;
	int rc = r->sink->status(r->sink->ctx, *s->name ? &p : NULL);
	return rc < 0 ? err_sys(err, rc, "answering") : 0;
}

static int on_data(void *ctx, const void *p, size_t n)
{
	struct relay *r = ctx;
	return r->told ? r->sink->data(r->sink->ctx, p, n) : -EPROTO;
}

/* docker's words about a path that is not there. */
static int not_there(const struct files_access *a, const char *ref, const char *path, int rc, struct err *err)
{
	if (rc >= 0 || !a->reached || err->kind != ERR_NOT_FOUND)
		return rc;
	return err_set(err, ERR_NOT_FOUND, "Could not find the file %.300s in container %.128s", path, ref);
}

static int set_path(struct files_request *req, const char *path, struct err *err)
{
	if (str_empty(path))
		return err_set(err, ERR_INVALID, "query parameter 'path': missing: a path inside the container is expected");
	if (str_copy(req->path, sizeof(req->path), path) < 0)
		return err_set(err, ERR_INVALID, "query parameter 'path': longer than %zu bytes", sizeof(req->path) - 1);
	return 0;
}

static int read_out(struct engine *e, const struct caller *caller, const char *ref, const char *path, uint32_t job, const char *event, const struct archive_sink *sink, struct err *err)
{
	struct files_access a;
	struct relay relay = {.sink = sink};
	struct files_msg done;
	_cleanup_free_ struct files_request *req = calloc(1, sizeof(*req));
	if (!req)
		return err_oom(err);
	req->job = job;
	int rc = path ? set_path(req, path, err) : 0;
	if (rc < 0)
		return rc;
	struct files_run run = {.req = req, .stream = -EBADF, .cancel = sink->cancel_fd, .status = on_status, .data = on_data, .ctx = &relay};
	rc = files_session(e, caller, ref, &run, &a, &done, err);
	if (rc < 0)
		return path ? not_there(&a, ref, path, rc, err) : rc;
	if (event)
		event_container(e, &a.c, event, NULL);
	files_close(&a);
	return 0;
}

int engine_archive_stat(struct engine *e, const struct caller *caller, const char *ref, const char *path, const struct archive_sink *sink, struct err *err)
{
	return read_out(e, caller, ref, path ?: "", FILES_STAT, NULL, sink, err);
}

int engine_archive_get(struct engine *e, const struct caller *caller, const char *ref, const char *path, const struct archive_sink *sink, struct err *err)
{
	return read_out(e, caller, ref, path ?: "", FILES_GET, "archive-path", sink, err);
}

int engine_export(struct engine *e, const struct caller *caller, const char *ref, const struct archive_sink *sink, struct err *err)
{
	return read_out(e, caller, ref, NULL, FILES_EXPORT, "export", sink, err);
}

int engine_archive_put(struct engine *e, const struct caller *caller, const char *ref, const char *path, unsigned flags, int fd, int cancel_fd, struct err *err)
{
	struct files_access a;
	struct files_msg done;
	_cleanup_free_ struct files_request *req = calloc(1, sizeof(*req));
	if (!req)
		return err_oom(err);
	req->job = FILES_PUT;
	req->flags = (flags & ARCHIVE_NO_OVERWRITE ? FILES_NO_OVERWRITE : 0u) | (flags & ARCHIVE_AS_USER ? FILES_AS_USER : 0u);
	int rc = set_path(req, path ?: "", err);
	if (rc < 0)
		return rc;
	struct files_run run = {.req = req, .stream = fd, .cancel = cancel_fd};
	rc = files_session(e, caller, ref, &run, &a, &done, err);
	if (rc < 0)
		return not_there(&a, ref, path, rc, err);
	event_container(e, &a.c, "extract-to-dir", NULL);
	files_close(&a);
	return 0;
}

/* Changes */

static int on_change_bytes(void *ctx, const void *p, size_t n)
{
	strbuf_add(ctx, p, n);
	return strbuf_err(ctx);
}

/* "A/path\0C/path\0". Return: 0; ERR_CORRUPT. */
static int write_changes(const struct strbuf *b, struct json_writer *w, struct err *err)
{
	static const char letters[] = "CAD";
	if (b->len == 0) {
		jw_null(w, NULL);
		return 0;
	}
	jw_arr(w, NULL);
	for (const char *p = b->s, *end = b->s + b->len; p < end; p += strlen(p) + 1) {
		const char *kind = strchr(letters, *p);
		if (!*p || !kind || p[1] != '/')
			return err_set(err, ERR_CORRUPT, "the files helper says what makes no sense");
		jw_obj(w, NULL);
		jw_str(w, "Path", p + 1);
		jw_int(w, "Kind", kind - letters);
		jw_end(w);
	}
	jw_end(w);
	return 0;
}

int engine_changes(struct engine *e, const struct caller *caller, const char *ref, struct json_writer *w, struct err *err)
{
	_cleanup_strbuf_ struct strbuf b = STRBUF_INIT(CHANGES_MAX);
	struct files_access a;
	struct files_msg done;
	_cleanup_free_ struct files_request *req = calloc(1, sizeof(*req));
	if (!req)
		return err_oom(err);
	req->job = FILES_CHANGES;
	struct files_run run = {.req = req, .stream = -EBADF, .cancel = -EBADF, .data = on_change_bytes, .ctx = &b};
	int rc = files_session(e, caller, ref, &run, &a, &done, err);
	if (rc < 0)
		return rc;
	files_close(&a);
	return write_changes(&b, w, err);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading a container's log: the rotated files from the oldest to the one that is written, record by record, and then what is
 * still being written, until the container has ended. A record without a newline in its text is the first part of a longer one and is
 * passed on as it is. All of it happens here, from files: a reader that does not read holds up nobody.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/dirwatch.h"
#include "engine/internal.h"
#include "engine/log_files.h"
#include "engine/log_record.h"

#define BUFFER (2 * LOG_RECORD_MAX)
#define FOLLOW_LOOK_MS 500

struct reader {
	const struct logs_request *req;
	const struct logs_sink *sink; /* NULL: only count */
	const struct log_kind *kind;
	struct log_file *file; /* borrowed; the one that is read */
	char *buf;             /* owned; BUFFER */
	size_t len;            /* bytes in it that are no whole record yet */
	struct strbuf scratch;
	int64_t skip;          /* records to leave out before the tail */
	int64_t count;         /* that passed the filters */
	bool stop;
};

static bool wanted(const struct logs_request *q, const struct logs_record *r)
{
	if (r->stream == 1 ? !q->stdout : !q->stderr)
		return false;
	return (!q->since_ns || r->time_ns >= q->since_ns) && (!q->until_ns || r->time_ns <= q->until_ns);
}

/* Whether every record passes: then it can be counted without a look inside. */
static bool wants_all(const struct logs_request *q)
{
	return q->stdout && q->stderr && !q->since_ns && !q->until_ns;
}

/* What is no record (a torn write after a crash) is passed over. */
static int emit(struct reader *rd, const char *rec, size_t len)
{
	struct logs_record r = {.attrs = ""};
	if (!rd->sink && wants_all(rd->req)) {
		rd->count++;
		return 0;
	}
	if (rd->kind->parse(rec, len, &rd->scratch, &r) < 0)
		return 0;
	if (rd->req->until_ns && r.time_ns > rd->req->until_ns)
		rd->stop = rd->req->follow && rd->sink; /* nothing earlier comes later */
	if (!wanted(rd->req, &r))
		return 0;
	rd->count++;
	if (rd->skip > 0) {
		rd->skip--;
		return 0;
	}
	return rd->sink ? rd->sink->fn(rd->sink->ctx, &r) : 0;
}

/* The whole records in the buffer. */
static int take(struct reader *rd)
{
	size_t at = 0;
	int rc = 0;
	while (rc >= 0 && at < rd->len && !rd->stop) {
		size_t skip, len;
		ssize_t n = rd->kind->frame(rd->buf + at, rd->len - at, &skip, &len);
		if (n == 0 && rd->len - at < LOG_RECORD_MAX)
			break;
		if (n <= 0) { /* no record of ours, and no telling where the next one begins */
			at = rd->len;
			break;
		}
		rc = emit(rd, rd->buf + at + skip, len);
		at += (size_t) n;
	}
	memmove(rd->buf, rd->buf + at, rd->len - at);
	rd->len -= at;
	return rc;
}

/* What is there now. Return: 0; <0: the sink said stop, or reading failed. */
static int drain(struct reader *rd)
{
	while (!rd->stop) {
		ssize_t n = log_file_read(rd->file, rd->buf + rd->len, BUFFER - rd->len);
		if (n <= 0)
			return n == -EBADMSG ? 0 : (int) n; /* a compressed file that is damaged: what follows it is not */
		rd->len += (size_t) n;
		int rc = take(rd);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int read_file_at(struct reader *rd, struct log_file *f)
{
	rd->file = f;
	rd->len = 0;
	int rc = log_file_rewind(f);
	return rc < 0 ? rc : drain(rd);
}

static int reader_init(struct reader *rd, const struct logs_request *q, const struct logs_sink *sink, const struct log_kind *kind)
{
	*rd = (struct reader) {.req = q, .sink = sink, .kind = kind, .buf = malloc(BUFFER), .scratch = STRBUF_INIT(4 * LOG_RECORD_MAX)};
	return rd->buf ? 0 : -ENOMEM;
}

static void reader_done(struct reader *rd)
{
	free(rd->buf);
	strbuf_done(&rd->scratch);
}

/* Tail: counted from the newest file back, so that any mixture of filters and rotated files comes out right and old files are left alone.
 * Return: how many files of @f, newest first, hold the tail; *@ret_skip: records to leave out in the oldest of them. */
static ssize_t find_tail(const struct logs_request *q, const struct log_kind *kind, struct log_files *f, int64_t *ret_skip)
{
	struct reader rd;
	size_t i = 0;
	int rc = reader_init(&rd, q, NULL, kind);
	for (; rc >= 0 && i < f->n && rd.count < q->tail; i++)
		rc = read_file_at(&rd, &f->v[i]);
	*ret_skip = MAX(rd.count - q->tail, (int64_t) 0);
	reader_done(&rd);
	return rc < 0 ? rc : (ssize_t) i;
}

/* What is there at this moment: what comes meanwhile would make a tail too long, and a reader that is slower than the container endless. */
static int read_all(struct reader *rd, struct log_files *f)
{
	ssize_t n = log_files_freeze(f);
	n = n < 0 ? n : (ssize_t) f->n;
	if (n > 0 && rd->req->tail >= 0)
		n = find_tail(rd->req, rd->kind, f, &rd->skip);
	int rc = (int) MIN(n, (ssize_t) 0);
	for (ssize_t i = n - 1; rc >= 0 && i >= 0 && !rd->stop; i--)
		rc = read_file_at(rd, &f->v[i]);
	rd->skip = 0;
	log_files_thaw(f);
	if (rd->req->tail == 0 && rc >= 0 && f->n > 0) { /* nothing of what is there, but all that comes */
		rd->file = &f->v[0];
		rc = lseek(rd->file->fd, 0, SEEK_END) < 0 ? -errno : 0;
	}
	return rc;
}

/* Follow */

static bool was_rotated(const struct reader *rd, int dir)
{
	struct stat named;
	return fstatat(dir, rd->kind->name, &named, AT_SYMLINK_NOFOLLOW) == 0 && named.st_ino != rd->file->inode;
}

/* After rotations: every file that is newer than the one that was read, the oldest of them first. */
static int read_newer(struct reader *rd, int dir, struct log_files *f)
{
	struct log_files more = {NULL, 0};
	int rc = log_files_open(dir, rd->kind->name, f->n ? f->v[0].inode : 0, &more);
	/* the one that was read may be compressed by now, and have another inode: that happens from the oldest on, so what is not is newer */
	while (f->n && more.n > 0 && more.v[more.n - 1].gz)
		log_files_pop(&more);
	for (size_t i = more.n; rc >= 0 && i > 0 && !rd->stop; i--)
		rc = read_file_at(rd, &more.v[i - 1]);
	if (rc < 0 || more.n == 0) {
		log_files_done(&more);
		return rc;
	}
	log_files_done(f);
	*f = more;
	rd->file = &f->v[0];
	return 0;
}

/* With one file to keep it is emptied where others are rotated. */
static int start_over_if_cut(struct reader *rd)
{
	struct stat st;
	off_t at = lseek(rd->file->fd, 0, SEEK_CUR);
	if (at < 0 || fstat(rd->file->fd, &st) < 0)
		return -errno;
	if (st.st_size >= at)
		return 0;
	rd->len = 0;
	return log_file_rewind(rd->file);
}

static int read_news(struct reader *rd, int dir, struct log_files *f)
{
	if (f->n == 0)
		return read_newer(rd, dir, f);
	int rc = start_over_if_cut(rd);
	rc = rc < 0 ? rc : drain(rd);
	if (rc >= 0 && !rd->stop && was_rotated(rd, dir)) {
		rc = drain(rd); /* what came in between */
		rc = rc < 0 ? rc : read_newer(rd, dir, f);
	}
	return rc;
}

static bool still_runs(struct engine *e, const struct container *c, bool restarts)
{
	_cleanup_container_ struct container now = {0};
	struct run_info info;
	if (state_peek(e, c, &info, NULL) == 0 && info.state == RUN_RUNNING)
		return true;
	if (!restarts || container_load(e, c->id, &now, NULL) <= 0 || !restart_is_wanted(now.req))
		return false;
	return state_read(e, &now, /* locked= */ false, &info, NULL) == 0 && (info.state == RUN_RUNNING || info.state == RUN_RESTARTING);
}

static int follow(struct engine *e, const struct container *c, struct reader *rd, int dir, struct log_files *f)
{
	_cleanup_free_ char *path = str_printf("/proc/self/fd/%d", dir);
	_cleanup_dirwatch_ struct dirwatch watch = DIRWATCH_NULL;
	int added = path ? dirwatch_add(&watch, path, IN_MODIFY | IN_CREATE | IN_MOVED_TO) : -ENOMEM;
	if (added < 0)
		return added;
	for (;;) {
		bool runs = still_runs(e, c, rd->req->restarts); /* asked first: what it wrote before its end is read below */
		int rc = read_news(rd, dir, f);
		if (rc < 0 || rd->stop || !runs)
			return rc;
		if (rd->req->until_ns && now_ns() > rd->req->until_ns)
			return 0;
		struct pollfd p[2] = {{watch.fd, POLLIN, 0}, {rd->sink->cancel_fd, POLLIN | POLLRDHUP, 0}};
		int n = poll(p, 2, dirwatch_timeout(&watch, FOLLOW_LOOK_MS));
		if (n > 0 && p[1].fd >= 0 && p[1].revents)
			return 0;
		if (n > 0)
			dirwatch_drain(&watch);
	}
}

static int find_logged(struct engine *e, const struct caller *caller, const char *ref, struct container *c, struct err *err)
{
	int rc = container_find(e, caller->tenant, ref, c, err);
	if (rc >= 0 && !log_kind_of(c->req->log_type))
		rc = err_set(err, ERR_UNSUPPORTED, "configured logging driver does not support reading");
	return rc;
}

int engine_logs_check(struct engine *e, const struct caller *caller, const char *ref, bool *ret_tty, struct err *err)
{
	_cleanup_container_ struct container c = {0};
	int rc = find_logged(e, caller, ref, &c, err);
	if (rc >= 0)
		*ret_tty = c.req->tty;
	return rc;
}

int engine_logs(struct engine *e, const struct caller *caller, const char *ref, const struct logs_request *r, const struct logs_sink *sink, struct err *err)
{
	_cleanup_container_ struct container c = {0};
	struct log_files files = {NULL, 0};
	struct reader rd;
	int rc = find_logged(e, caller, ref, &c, err);
	if (rc < 0)
		return rc;
	_cleanup_close_ int top = container_dir_open(e, c.id, /* make= */ false);
	_cleanup_close_ int dir = top < 0 ? top : openat(top, "log", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir < 0)
		return 0; /* never started: nothing was logged */
	rc = reader_init(&rd, r, sink, log_kind_of(c.req->log_type));
	rc = rc < 0 ? rc : log_files_open(dir, rd.kind->name, 0, &files);
	rc = rc < 0 ? rc : read_all(&rd, &files);
	if (rc >= 0 && r->follow && !rd.stop)
		rc = follow(e, &c, &rd, dir, &files);
	log_files_done(&files);
	reader_done(&rd);
	return rc < 0 ? err_sys(err, rc, "reading the log of container %s", c.name) : 0;
}

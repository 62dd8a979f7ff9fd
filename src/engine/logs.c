/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading a container's json-file log: the rotated files from the oldest (json.log.N) to json.log, line by line, and then what is
 * still being written, until the container has ended. A record without a newline in its text is the first part of a longer one and is
 * passed on as it is.
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

#define ROTATED_MAX 1000
#define LINE_MAX_ (256u << 10)
#define CHUNK 65536
#define FOLLOW_LOOK_MS 500

struct reader {
	const struct logs_request *req;
	const struct logs_sink *sink;
	int fd;		      /* owned; the file that is read */
	struct strbuf line;   /* what has been read of an unfinished line */
	int64_t skip;	      /* records to leave out before the tail */
	bool stop;
};

static int open_file(int dir, int n)
{
	char name[32];
	if (n == 0)
		return openat(dir, "json.log", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	(void) str_format(name, sizeof(name), "json.log.%d", n);
	return openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
}

static int count_rotated(int dir)
{
	int n = 0;
	for (struct stat st; n < ROTATED_MAX; n++) {
		char name[32];
		(void) str_format(name, sizeof(name), "json.log.%d", n + 1);
		if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			return n;
	}
	return n;
}

/* Records */

struct record {
	int stream;
	const char *text; /* borrowed from the document */
	int64_t time_ns;
};

static int parse_record(const struct json *doc, struct record *ret)
{
	const char *stream = json_str(json_get(doc, "stream"), NULL);
	ret->text = json_str(json_get(doc, "log"), NULL);
	if (!ret->text || !stream || time_parse_rfc3339(json_str(json_get(doc, "time"), ""), &ret->time_ns) < 0)
		return -EINVAL;
	ret->stream = str_eq(stream, "stderr") ? 2 : 1;
	return 0;
}

static bool wanted(const struct logs_request *q, const struct record *r)
{
	if (r->stream == 1 ? !q->stdout : !q->stderr)
		return false;
	return (!q->since_ns || r->time_ns >= q->since_ns) && (!q->until_ns || r->time_ns <= q->until_ns);
}

/* A line that is no record (a torn write after a crash) is passed over. */
static int emit(struct reader *rd, const char *line, size_t len)
{
	_cleanup_json_ struct json *doc = NULL;
	struct record r;
	if (json_parse(line, len, LINE_MAX_, "log", &doc, NULL) < 0 || parse_record(doc, &r) < 0)
		return 0;
	if (rd->req->until_ns && r.time_ns > rd->req->until_ns)
		rd->stop = rd->req->follow; /* nothing earlier comes later */
	if (!wanted(rd->req, &r))
		return 0;
	if (rd->skip > 0) {
		rd->skip--;
		return 0;
	}
	return rd->sink->fn(rd->sink->ctx, r.stream, r.text, strlen(r.text), r.time_ns);
}

static int feed(struct reader *rd, const char *p, size_t n)
{
	while (n > 0 && !rd->stop) {
		const char *nl = memchr(p, '\n', n);
		size_t take = nl ? (size_t) (nl - p) : n;
		int rc = 0;
		if (nl && rd->line.len == 0)
			rc = emit(rd, p, take);
		else {
			strbuf_add(&rd->line, p, take);
			if (nl) {
				if (strbuf_err(&rd->line) == 0)
					rc = emit(rd, rd->line.s, rd->line.len);
				strbuf_reset(&rd->line); /* a line over the ceiling is no record of ours */
			}
		}
		if (rc < 0)
			return rc;
		take += nl != NULL;
		p += take;
		n -= take;
	}
	return 0;
}

/* What is there now of @rd->fd. Return: 0; <0: the sink said stop, or reading failed. */
static int drain(struct reader *rd)
{
	char buf[CHUNK];
	ssize_t n;
	while (!rd->stop && (n = read(rd->fd, buf, sizeof(buf))) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		int rc = feed(rd, buf, (size_t) n);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int read_from(struct reader *rd, int dir, int oldest)
{
	for (int i = oldest; i >= 0 && !rd->stop; i--) {
		rd->fd = safe_close(rd->fd);
		rd->fd = open_file(dir, i);
		if (rd->fd < 0)
			continue; /* rotated away meanwhile, or nothing logged yet */
		int rc = drain(rd);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* Tail: a first pass that counts, so that any mixture of filters and rotated files comes out right. */

static int count_one(void *ctx, int stream, const char *text, size_t len, int64_t time_ns)
{
	(void) stream, (void) text, (void) len, (void) time_ns;
	++*(int64_t *) ctx;
	return 0;
}

static int64_t count_records(const struct logs_request *q, int dir, int oldest)
{
	int64_t n = 0;
	struct logs_request all = *q;
	struct logs_sink sink = {.fn = count_one, .ctx = &n, .cancel_fd = -EBADF};
	all.follow = false;
	struct reader rd = {.req = &all, .sink = &sink, .fd = -EBADF, .line = STRBUF_INIT(LINE_MAX_)};
	(void) read_from(&rd, dir, oldest);
	safe_close(rd.fd);
	strbuf_done(&rd.line);
	return n;
}

/* Follow */

static bool was_rotated(int dir, int fd)
{
	struct stat open_, named;
	return fstat(fd, &open_) == 0 && fstatat(dir, "json.log", &named, AT_SYMLINK_NOFOLLOW) == 0 && open_.st_ino != named.st_ino;
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

static int read_news(struct reader *rd, int dir)
{
	if (rd->fd < 0)
		rd->fd = open_file(dir, 0);
	int rc = rd->fd < 0 ? 0 : drain(rd);
	if (rc >= 0 && rd->fd >= 0 && was_rotated(dir, rd->fd)) {
		rc = drain(rd); /* what came in between */
		rd->fd = safe_close(rd->fd);
		rd->fd = open_file(dir, 0);
		rc = rc < 0 || rd->fd < 0 ? MIN(rc, 0) : drain(rd);
	}
	return rc;
}

static int follow(struct engine *e, const struct container *c, struct reader *rd, int dir)
{
	_cleanup_free_ char *path = str_printf("/proc/self/fd/%d", dir);
	_cleanup_dirwatch_ struct dirwatch watch = DIRWATCH_NULL;
	int added = path ? dirwatch_add(&watch, path, IN_MODIFY | IN_CREATE | IN_MOVED_TO) : -ENOMEM;
	if (added < 0)
		return added;
	for (;;) {
		bool runs = still_runs(e, c, rd->req->restarts); /* asked first: what it wrote before its end is read below */
		int rc = read_news(rd, dir);
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
	if (rc >= 0 && str_eq(c->req->log_type, "none"))
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
	int rc = find_logged(e, caller, ref, &c, err);
	if (rc < 0)
		return rc;
	_cleanup_close_ int top = container_dir_open(e, c.id, /* make= */ false);
	_cleanup_close_ int dir = top < 0 ? top : openat(top, "log", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir < 0)
		return 0; /* never started: nothing was logged */
	int oldest = count_rotated(dir);
	struct reader rd = {.req = r, .sink = sink, .fd = -EBADF, .line = STRBUF_INIT(LINE_MAX_)};
	if (r->tail >= 0)
		rd.skip = MAX(count_records(r, dir, oldest) - r->tail, 0);
	rc = read_from(&rd, dir, oldest);
	rd.skip = 0;
	if (rc >= 0 && r->follow && !rd.stop)
		rc = follow(e, &c, &rd, dir);
	safe_close(rd.fd);
	strbuf_done(&rd.line);
	return rc < 0 ? err_sys(err, rc, "reading the log of container %s", c.name) : 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Restart policies: what an end is followed by. Who carries it out, and when, is restarter.c's.
 *
 * An end is judged once, by whoever reaps it, with the container's lock held: the row then says when the next start is due, and is "restarting" until
 * then. Beside the row there is a file, RUN/restarts/ID, from before the row says so until the container is started, stopped or removed:
 *
 *   row due   file           -> somebody is to start it: a daemon, which watches the directory, or a process that holds the file's lock
 *   row due   file, no lock  -> that one was killed: the next engine that looks carries on
 *   row due   none           -> the machine went down meanwhile: it stays down until a daemon (or `coffer system restore`) starts
 *
 * The rules are dockerd's: 100 ms that double up to a minute and begin anew after 10 s of running; what a stop or kill ends stays down; a start by hand
 * begins the count anew. Other than there a start that fails is an end like others: it is tried again.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fault.h"
#include "engine/events.h"
#include "engine/internal.h"

#define DELAY_FIRST_MS 100
#define EARLY_NS 20000000 /* a timer may be that early */
#define LASTING_NS (10 * NSEC_PER_SEC) /* a run that long begins the delays anew */
#define AT_ONCE_NS (10 * NSEC_PER_SEC) /* an end so soon after a signal by hand is that signal's doing */
#define FRESH_NS NSEC_PER_SEC /* a plan that young may not have its process yet: a second one would only wait for the first */
#define MARK_ENDING "stopped"
#define MARK_SIGNAL "signalled"

bool restart_is_wanted(const struct container_request *r)
{
	return !str_empty(r->restart_name) && !str_eq(r->restart_name, "no");
}

/* on-failure: whether one more is allowed */
static bool may_retry(const struct container *c)
{
	return c->exit_code != 0 && (c->req->restart_max == 0 || c->restart_count < c->req->restart_max);
}

void restart_judge(struct container *c)
{
	c->restart_due_ns = 0;
	if (!restart_is_wanted(c->req))
		return;
	if (c->by_hand || (c->started_ns && c->finished_ns - c->started_ns >= LASTING_NS))
		c->restart_delay_ms = 0;
	if (c->by_hand || (str_eq(c->req->restart_name, "on-failure") && !may_retry(c)))
		return;
	c->restart_delay_ms = c->restart_delay_ms ? MIN(c->restart_delay_ms * 2, RESTART_DELAY_MAX_MS) : DELAY_FIRST_MS;
	c->restart_count++;
	c->restart_due_ns = now_ns() + c->restart_delay_ms * 1000000;
}

int restart_refuse(const struct container *c, struct err *err)
{
	return err_set(err, ERR_CONFLICT, "Container %s is restarting, wait until the container is running", c->id);
}

/* By hand */

int restart_mark(struct engine *e, const struct container *c, bool ending, struct err *err)
{
	_cleanup_close_ int dir = bundle_open(e, c->id);
	_cleanup_close_ int fd = dir < 0 ? dir : openat(dir, ending ? MARK_ENDING : MARK_SIGNAL, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (dir == -ENOENT)
		return 0; /* it has ended by itself */
	if (fd < 0 || futimens(fd, NULL) < 0)
		return err_sys(err, dir < 0 ? dir : -errno, "marking the bundle of container %.12s", c->id);
	if (!ending || !restart_is_wanted(c->req))
		return 0;
	/* for a machine that goes down before the end is recorded */
	return MIN(db_exec(e->db, err, "UPDATE container SET by_hand=1 WHERE id=?1", "s", c->id), 0);
}

bool restart_marked(int dir, int64_t finished_ns)
{
	struct stat st;
	if (fstatat(dir, MARK_ENDING, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return true;
	if (fstatat(dir, MARK_SIGNAL, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return false;
	return finished_ns - (st.st_mtim.tv_sec * NSEC_PER_SEC + st.st_mtim.tv_nsec) <= AT_ONCE_NS;
}

/* The file */

int restarts_open(struct engine *e, bool make)
{
	if (make)
		return mkdir_open_at(e->run_fd, "restarts", 0700);
	int fd = openat(e->run_fd, "restarts", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int restart_open(struct engine *e, const struct container *c, struct err *err)
{
	char text[32];
	_cleanup_close_ int dir = restarts_open(e, /* make= */ true);
	_cleanup_close_ int fd = dir < 0 ? dir : openat(dir, c->id, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (dir >= 0 && fd < 0)
		fd = -errno;
	int n = str_format(text, sizeof(text), "%020lld\n", (long long) c->restart_due_ns); /* fits; always as long, so that no reader sees half of two */
	int r = fd < 0 ? fd : write_all(fd, text, (size_t) n);
	return r < 0 ? err_sys(err, r, "planning the restart of container %.12s", c->id) : take_fd(&fd);
}

void restart_hand_over(struct engine *e, const struct container *c, int fd_consume)
{
	if (fd_consume < 0)
		return;
	safe_close(fd_consume); /* which tells a daemon */
	if (!restarter_is_there(e))
		restarter_spawn(e, c->id);
}

void restart_forget(struct engine *e, const char *id)
{
	_cleanup_close_ int dir = restarts_open(e, /* make= */ false);
	if (dir >= 0)
		(void) unlinkat(dir, id, 0); /* usually there; whoever waits for it sees it go */
}

/* Return: 1 somebody is at it or about to be, 0 nobody any more, -ENOENT no file, -errno. */
static int is_awaited(struct engine *e, const char *id)
{
	struct flock fl = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	struct stat st;
	_cleanup_close_ int dir = restarts_open(e, /* make= */ false);
	_cleanup_close_ int fd = dir < 0 ? dir : openat(dir, id, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	if (dir < 0)
		return dir;
	if (fd < 0 || fcntl(fd, F_OFD_GETLK, &fl) < 0 || fstat(fd, &st) < 0)
		return -errno;
	int64_t age_ns = now_ns() - (st.st_mtim.tv_sec * NSEC_PER_SEC + st.st_mtim.tv_nsec);
	return fl.l_type != F_UNLCK || (age_ns >= 0 && age_ns < FRESH_NS);
}

/* The machine went down while it waited. */
static int cut_off(struct engine *e, struct container *c, struct err *err)
{
	c->restart_due_ns = 0;
	c->state = ROW_CUT;
	return container_save_exit(e, c, err);
}

/* Under its lock: the row may say something else by now. */
static int look_again(struct engine *e, struct container *c, struct run_info *ret, struct err *err)
{
	struct container now = {0};
	int rc = container_load(e, c->id, &now, err);
	if (rc <= 0)
		return rc < 0 ? rc : err_set(err, ERR_NOT_FOUND, "No such container: %s", c->id);
	container_done(c);
	*c = now;
	rc = state_peek(e, c, ret, err);
	if (rc >= 0 && ret->state == RUN_RESTARTING && c->restart_due_ns && is_awaited(e, c->id) == -ENOENT) {
		rc = cut_off(e, c, err);
		ret->state = row_run_state(c);
	}
	return rc;
}

int restart_look(struct engine *e, struct container *c, bool locked, struct run_info *ret, struct err *err)
{
	char id[ID_LEN + 1];
	int r = is_awaited(e, c->id);
	if (r == 0 && !restarter_is_there(e))
		restarter_spawn(e, c->id);
	if (r != -ENOENT)
		return 0;
	memcpy(id, c->id, sizeof(id));
	_cleanup_close_ int lock = locked ? -EBADF : lock_take(e, id, err);
	if (!locked && lock < 0)
		return lock;
	return look_again(e, c, ret, err);
}

int restart_cancel_locked(struct engine *e, struct container *c, struct err *err)
{
	c->restart_due_ns = c->restart_delay_ms = 0;
	c->finished_ns = now_ns(); /* as dockerd has it; and whoever waits elsewhere sees that something came to its end */
	int rc = container_save_exit(e, c, err);
	if (rc < 0)
		return rc;
	fault_mark("engine.restart.cancelled");
	restart_forget(e, c->id);
	wait_notify_exit(e, c->id, c->exit_code);
	return 1;
}

int restart_cancel(struct engine *e, const char *id, bool cut, struct err *err)
{
	_cleanup_container_ struct container c = {0};
	struct run_info info;
	_cleanup_close_ int lock = lock_take(e, id, err);
	int rc = lock < 0 ? lock : container_load(e, id, &c, err);
	if (rc == 0) {
		lock_forget(e, id);
		return err_set(err, ERR_NOT_FOUND, "No such container: %s", id);
	}
	rc = rc < 0 ? rc : state_peek(e, &c, &info, err);
	if (rc < 0 || info.state != RUN_RESTARTING)
		return MIN(rc, 0);
	if (cut)
		c.state = ROW_CUT;
	else
		c.by_hand = true;
	return restart_cancel_locked(e, &c, err);
}

/* Starts */

int restart_row_started(struct engine *e, struct container *c, bool again, struct err *err)
{
	bool was_due = c->restart_due_ns != 0;
	if (!again)
		c->restart_count = c->restart_delay_ms = 0;
	if (c->state == ROW_CREATED && !was_due && !c->by_hand)
		return 0;
	c->by_hand = false;
	c->restart_due_ns = 0;
	int rc = db_exec(e->db, err, "UPDATE container SET state=?2,restart_count=?3,restart_delay_ms=?4,restart_due_ns=0,by_hand=0 WHERE id=?1", "siii", c->id,
			 (int64_t) (c->state == ROW_CREATED ? ROW_CREATED : ROW_STARTED), c->restart_count, c->restart_delay_ms);
	if (rc >= 0 && was_due)
		restart_forget(e, c->id);
	return MIN(rc, 0);
}

/* A clock that was put back must not keep it waiting: nothing waits for longer than the longest delay. */
static bool is_due(const struct container *c)
{
	int64_t left_ns = c->restart_due_ns - now_ns();
	return c->restart_due_ns && (left_ns <= EARLY_NS || left_ns > RESTART_DELAY_MAX_MS * (int64_t) 1000000);
}

int restart_now(struct engine *e, const char *id, struct err *err)
{
	_cleanup_container_ struct container c = {0};
	struct run_info info;
	_cleanup_close_ int lock = lock_take(e, id, err);
	int rc = lock < 0 ? lock : container_load(e, id, &c, err);
	if (rc == 0)
		lock_forget(e, id);
	if (rc <= 0 || !is_due(&c))
		return MIN(rc, 0); /* or somebody else has dealt with it */
	rc = state_peek(e, &c, &info, err);
	if (rc >= 0 && info.state == RUN_DEAD)
		rc = reap_locked(e, &c, err); /* a start of it was cut off: judged anew */
	else if (rc >= 0 && info.state == RUN_RESTARTING) {
		fault_mark("engine.restart.due");
		if (!down_is_under_way(e))
			return MIN(start_again(e, &c, lock, err), 0);
		c.state = ROW_CUT;
		rc = restart_cancel_locked(e, &c, err);
	}
	return MIN(rc, 0);
}

/* dockerd's rule for its own start; on-failure only where the machine's going down was the failure. */
static bool is_to_be_restored(const struct container *c)
{
	const char *policy = c->req->restart_name;
	bool ran = c->started_ns || c->state == ROW_CUT;
	if (!restart_is_wanted(c->req) || !ran || c->restart_due_ns)
		return false;
	if (str_eq(policy, "always"))
		return true;
	return !c->by_hand && (str_eq(policy, "unless-stopped") || (c->state == ROW_CUT && may_retry(c)));
}

int restart_plan(struct engine *e, const char *id, struct err *err)
{
	_cleanup_container_ struct container c = {0};
	struct run_info info;
	_cleanup_close_ int lock = lock_take(e, id, err);
	int rc = lock < 0 ? lock : container_load(e, id, &c, err);
	if (rc == 0)
		lock_forget(e, id);
	if (rc <= 0)
		return rc;
	rc = state_read(e, &c, /* locked= */ true, &info, err);
	if (rc < 0 || info.state != RUN_EXITED || !is_to_be_restored(&c))
		return MIN(rc, 0);
	c.restart_count = str_eq(c.req->restart_name, "on-failure") ? c.restart_count + 1 : 0;
	c.restart_delay_ms = 0;
	c.restart_due_ns = now_ns();
	_cleanup_close_ int fd = restart_open(e, &c, err);
	rc = fd < 0 ? fd : container_save_exit(e, &c, err);
	return rc < 0 ? rc : 1;
}

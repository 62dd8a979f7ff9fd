/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who carries restarts out (restart.c says which). Nobody trusts anybody to be alive: the row says what is due, locks say who is at it, and a
 * container's own lock decides between two who start it at once.
 *
 *   a daemon    one thread holds the lock of RUN/restarts/daemon, sleeps until the next row is due, hears of new ones by the directory's
 *               IN_CLOSE_WRITE, and starts up to AT_ONCE containers beside each other. At its start it adopts what runs and plans what its policy
 *               wants up; at its end it hands what is due to processes.
 *   a process   `coffer restart-wait ID`, when there is no daemon: holds the lock of RUN/restarts/ID, sleeps, and becomes an engine for that one
 *               start. It leaves when its file goes (started, stopped or removed by hand) and when a daemon comes. Until it is due it is the bare
 *               program: no database, no thread.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/dirwatch.h"
#include "base/log.h"
#include "base/num.h"
#include "engine/internal.h"
#include "kernel/spawn.h"

#define AT_ONCE 4
#define STACK_BYTES (256 << 10)
#define LOCK_AGAIN_MS 200 /* while the daemon before us ends */
#define FAILED_PAUSE_MS 100
#define DAEMON_FILE "daemon"

static int lock_of(int fd, int cmd, short type)
{
	struct flock fl = {.l_type = type, .l_whence = SEEK_SET};
	int r;
	do
		r = fcntl(fd, cmd, &fl);
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : fl.l_type != F_UNLCK;
}

static bool daemon_in(int dir)
{
	_cleanup_close_ int fd = openat(dir, DAEMON_FILE, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	return fd >= 0 && lock_of(fd, F_OFD_GETLK, F_WRLCK) > 0;
}

bool restarter_is_there(struct engine *e)
{
	_cleanup_close_ int dir = restarts_open(e, /* make= */ false);
	return dir >= 0 && daemon_in(dir);
}

/* The process */

void restarter_spawn(struct engine *e, const char *id)
{
	_cleanup_strv_ char **env = NULL;
	char *argv[] = {(char *) "coffer", (char *) "restart-wait", (char *) id, NULL};
	struct pidref child = PIDREF_NULL;
	int status, r = link_env(e, &env);
	_cleanup_close_ int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	struct spawn_fd fds[] = {{null, 0}, {null, 1}, {null, 2}};
	if (r >= 0)
		r = null < 0 ? -errno : spawn_program(e->self_path, argv, env, fds, ARRAY_LEN(fds), &child);
	if (r >= 0)
		(void) process_wait(child.pid, &status); /* at once: it goes on as its own child */
	safe_close(child.fd);
	if (r < 0)
		log_warn("container %.12s is to be restarted: starting '%s': %s, ignoring: the next engine that looks tries again", id, e->self_path, strerrordesc_np(-r));
}

static int64_t read_due(int fd)
{
	char text[32] = "";
	int64_t due = 0;
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
	text[n > 0 ? strcspn(text, "\n") : 0] = '\0';
	return parse_i64(text, &due) < 0 ? 0 : due;
}

/* Return: 1 it is due, 0 it is not ours any more. */
static int wait_until_due(int dir, int fd, const struct dirwatch *w)
{
	struct stat st;
	for (;;) {
		if (fstat(fd, &st) < 0 || st.st_nlink == 0 || daemon_in(dir))
			return 0;
		int64_t left_ms = (read_due(fd) - now_ns() + 999999) / 1000000;
		if (left_ms <= 0 || left_ms > RESTART_DELAY_MAX_MS)
			return 1;
		struct pollfd p = {w->fd, POLLIN, 0};
		if (poll(&p, 1, dirwatch_timeout(w, (int) left_ms)) > 0)
			dirwatch_drain(w);
	}
}

int engine_restart_wait(const char *run_dir, const char *id)
{
	char path[PATH_MAX];
	if (!id_is_full(id) || str_format(path, sizeof(path), "%s/restarts", run_dir) < 0)
		return -EINVAL;
	pid_t pid = fork(); /* nobody who waits for us waits for the restart */
	if (pid != 0)
		return pid < 0 ? -errno : 0;
	(void) setsid(); /* cannot fail in a fresh child */
	_cleanup_close_ int dir = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int fd = dir < 0 ? -EBADF : openat(dir, id, O_RDWR | O_NOFOLLOW | O_CLOEXEC); /* stays open: its lock says that somebody is at it */
	_cleanup_dirwatch_ struct dirwatch watch = DIRWATCH_NULL;
	if (fd < 0)
		return 0; /* it is over */
	int r = dirwatch_add(&watch, path, IN_MODIFY | IN_DELETE | IN_ONLYDIR);
	r = r < 0 ? r : lock_of(fd, F_OFD_SETLKW, F_WRLCK);
	r = r < 0 ? r : wait_until_due(dir, fd, &watch);
	if (r <= 0)
		safe_close(fd);
	return r;
}

int engine_restart_due(struct engine *e, const char *id, struct err *err)
{
	return restart_now(e, id, err);
}

/* The dispatcher: of a daemon, or of one command that starts all at once */

struct dispatcher {
	struct engine *engine; /* borrowed */
	int wake_fd;	       /* owned; written when a start is over */
	pthread_mutex_t lock;  /* guards what follows; a leaf */
	size_t n;
	char busy[AT_ONCE][ID_LEN + 1]; /* the first @n */
	usec_t hold_until;     /* behind a failure, so that none is repeated without a pause */
};

struct job {
	struct dispatcher *d; /* borrowed; outlives it */
	char id[ID_LEN + 1];
};

static void job_over(struct dispatcher *d, const char *id, bool failed)
{
	(void) pthread_mutex_lock(&d->lock);
	for (size_t i = 0; i < d->n; i++)
		if (str_eq(d->busy[i], id)) {
			memcpy(d->busy[i], d->busy[d->n - 1], sizeof(d->busy[i]));
			break;
		}
	d->n--;
	if (failed)
		d->hold_until = now_usec() + FAILED_PAUSE_MS * USEC_PER_MSEC;
	(void) eventfd_write(d->wake_fd, 1); /* under the lock: the dispatcher may go as soon as it sees nobody busy */
	(void) pthread_mutex_unlock(&d->lock);
}

static void *job_main(void *arg)
{
	struct job *j = arg;
	struct err err = {0};
	int r = restart_now(j->d->engine, j->id, &err);
	if (r < 0)
		log_info("restarting container %.12s: %s", j->id, err.msg);
	job_over(j->d, j->id, r < 0);
	free(j);
	return NULL;
}

static int job_start(struct dispatcher *d, const char *id)
{
	pthread_t t;
	pthread_attr_t attr;
	struct job *j = malloc(sizeof(*j));
	if (!j)
		return -ENOMEM;
	j->d = d;
	memcpy(j->id, id, sizeof(j->id));
	(void) pthread_attr_init(&attr); /* cannot fail on Linux, like the next two */
	(void) pthread_attr_setstacksize(&attr, STACK_BYTES);
	(void) pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	(void) pthread_mutex_lock(&d->lock);
	memcpy(d->busy[d->n++], id, sizeof(j->id));
	(void) pthread_mutex_unlock(&d->lock);
	int r = -pthread_create(&t, &attr, job_main, j);
	(void) pthread_attr_destroy(&attr);
	if (r < 0) {
		job_over(d, id, /* failed= */ true);
		free(j);
	}
	return r;
}

static bool is_busy(struct dispatcher *d, const char *id)
{
	bool found = false;
	(void) pthread_mutex_lock(&d->lock);
	for (size_t i = 0; i < d->n && !found; i++)
		found = str_eq(d->busy[i], id);
	(void) pthread_mutex_unlock(&d->lock);
	return found;
}

static size_t count_busy(struct dispatcher *d)
{
	(void) pthread_mutex_lock(&d->lock);
	size_t n = d->n;
	(void) pthread_mutex_unlock(&d->lock);
	return n;
}

/* The first row that is due and nobody is at. Return: 1, 0 there is none, <0. */
static int next_due(struct dispatcher *d, char id[ID_LEN + 1], int64_t *ret_due_ns)
{
	_cleanup_stmt_ struct db_stmt *st = NULL;
	int rc = db_query(d->engine->db, &st, NULL, "SELECT id,restart_due_ns FROM container WHERE restart_due_ns>0 ORDER BY restart_due_ns", "");
	while (rc >= 0 && (rc = db_step(st, NULL)) > 0)
		if (str_copy(id, ID_LEN + 1, db_text(st, 0) ?: "") >= 0 && !is_busy(d, id)) {
			*ret_due_ns = db_int(st, 1);
			return 1;
		}
	return rc;
}

/* Start what is due, as far as there is room. Return: ms until more is, -1 nothing is known of. */
static int dispatch(struct dispatcher *d)
{
	char id[ID_LEN + 1];
	int64_t due_ns = 0;
	while (count_busy(d) < AT_ONCE) {
		int rc = next_due(d, id, &due_ns);
		if (rc <= 0)
			return rc < 0 ? LOCK_AGAIN_MS : -1;
		int64_t left_ms = (due_ns - now_ns() + 999999) / 1000000;
		if (left_ms > 0 && left_ms <= RESTART_DELAY_MAX_MS)
			return (int) left_ms;
		usec_t now = now_usec();
		(void) pthread_mutex_lock(&d->lock);
		usec_t hold = d->hold_until;
		(void) pthread_mutex_unlock(&d->lock);
		if (now < hold)
			return (int) ((hold - now) / USEC_PER_MSEC) + 1;
		if (job_start(d, id) < 0)
			return FAILED_PAUSE_MS;
	}
	return -1; /* one of those at work wakes us */
}

static int dispatcher_init(struct dispatcher *d, struct engine *e)
{
	*d = (struct dispatcher) {.engine = e, .wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
	(void) pthread_mutex_init(&d->lock, NULL); /* cannot fail with default attributes */
	return d->wake_fd < 0 ? -errno : 0;
}

/* Wait for something to do. Return: false when it is @stop_fd. */
static bool dispatcher_wait(struct dispatcher *d, const struct dirwatch *w, int stop_fd, int timeout_ms)
{
	eventfd_t ignored; /* only its readiness counts */
	struct pollfd p[3] = {{d->wake_fd, POLLIN, 0}, {w->fd, POLLIN, 0}, {stop_fd, POLLIN, 0}};
	if (poll(p, ARRAY_LEN(p), dirwatch_timeout(w, timeout_ms)) <= 0)
		return true;
	if (p[0].revents)
		(void) eventfd_read(d->wake_fd, &ignored);
	if (p[1].revents)
		dirwatch_drain(w);
	return !p[2].revents;
}

static void dispatcher_done(struct dispatcher *d)
{
	while (count_busy(d) > 0)
		(void) dispatcher_wait(d, &DIRWATCH_NULL, -EBADF, -1);
	safe_close(d->wake_fd);
	(void) pthread_mutex_destroy(&d->lock);
}

/* Every container */

/* One container at a daemon's start: reaped if it died unseen, adopted if it runs, planned if its policy says so. Return: 1 planned, 0, <0. */
static int restore_one(struct engine *e, const char *id, bool adopt, struct err *err)
{
	_cleanup_container_ struct container c = {0};
	struct run_info info;
	int rc = container_load(e, id, &c, err);
	rc = rc <= 0 ? rc : state_read(e, &c, /* locked= */ false, &info, err);
	if (rc < 0)
		return rc == -ENOENT ? 0 : rc;
	if (adopt && info.state == RUN_RUNNING)
		watch_adopt(e, id);
	return info.state == RUN_EXITED && restart_is_wanted(c.req) ? restart_plan(e, id, err) : 0;
}

static void restore_all(struct engine *e)
{
	_cleanup_strv_ char **ids = NULL;
	struct err err = {0};
	if (container_ids(e, NULL, /* due= */ false, &ids, &err) < 0)
		log_error("restoring containers: %s", err.msg);
	STRV_FOREACH(id, ids)
		if (restore_one(e, id, /* adopt= */ true, &err) < 0)
			log_error("restoring container %.12s: %s", id, err.msg);
}

int engine_restore(struct engine *e, const struct caller *caller, struct json_writer *w, struct err *err)
{
	_cleanup_strv_ char **ids = NULL;
	struct dispatcher d;
	int rc = container_ids(e, caller->tenant, /* due= */ false, &ids, err);
	if (rc < 0)
		return rc;
	jw_obj(w, NULL);
	jw_arr(w, "Restarted");
	bool taken_back = str_eq(caller->tenant, "local") && down_take_back(e); /* the machine is everybody's, as in engine_down() */
	if (taken_back || !restarter_is_there(e)) /* else it has done so at its start */
		STRV_FOREACH(id, ids) {
			rc = restore_one(e, id, /* adopt= */ false, err);
			if (rc < 0)
				return rc;
			if (rc > 0)
				jw_str(w, NULL, id);
		}
	jw_end(w);
	jw_end(w);
	rc = dispatcher_init(&d, e);
	if (rc < 0)
		return err_sys(err, rc, "an eventfd");
	for (;;) {
		int ms = dispatch(&d);
		if (count_busy(&d) == 0 && (ms < 0 || ms > FAILED_PAUSE_MS))
			break; /* what is due later has processes of its own */
		(void) dispatcher_wait(&d, &DIRWATCH_NULL, -EBADF, ms);
	}
	dispatcher_done(&d);
	return 0;
}

/* The daemon */

/* Return: the file with its lock held; -ECANCELED @stop_fd was first. */
static int take_office(struct engine *e, int stop_fd)
{
	char text[24];
	_cleanup_close_ int dir = restarts_open(e, /* make= */ true);
	_cleanup_close_ int fd = dir < 0 ? dir : openat(dir, DAEMON_FILE, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return dir < 0 ? dir : -errno;
	while (lock_of(fd, F_OFD_SETLK, F_WRLCK) < 0) {
		struct pollfd p = {stop_fd, POLLIN, 0};
		if (poll(&p, 1, LOCK_AGAIN_MS) > 0)
			return -ECANCELED;
	}
	int n = str_format(text, sizeof(text), "%d\n", (int) getpid()); /* fits */
	(void) !ftruncate(fd, 0);
	(void) write_all(fd, text, (size_t) n); /* that somebody writes is what processes that wait see */
	return take_fd(&fd);
}

static int watch_plans(struct engine *e, struct dirwatch *w)
{
	char path[48];
	_cleanup_close_ int dir = restarts_open(e, /* make= */ true);
	(void) str_format(path, sizeof(path), "/proc/self/fd/%d", dir); /* fits */
	return dir < 0 ? dir : dirwatch_add(w, path, IN_CLOSE_WRITE | IN_ONLYDIR);
}

static void hand_back(struct engine *e)
{
	_cleanup_strv_ char **ids = NULL;
	(void) container_ids(e, NULL, /* due= */ true, &ids, NULL); /* the next engine that looks carries on, too */
	STRV_FOREACH(id, ids)
		restarter_spawn(e, id);
}

void engine_restarter(struct engine *e, int stop_fd)
{
	struct dispatcher d;
	_cleanup_close_ int office = take_office(e, stop_fd);
	_cleanup_dirwatch_ struct dirwatch watch = DIRWATCH_NULL;
	int r = office < 0 ? office : watch_plans(e, &watch);
	r = r < 0 ? r : dispatcher_init(&d, e);
	if (r < 0) {
		if (r != -ECANCELED)
			log_error("carrying out restart policies: %s", strerrordesc_np(-r));
		return;
	}
	(void) down_take_back(e); /* a daemon's start is a beginning */
	restore_all(e);
	while (dispatcher_wait(&d, &watch, stop_fd, dispatch(&d)))
		continue;
	dispatcher_done(&d);
	office = safe_close(office);
	hand_back(e);
}

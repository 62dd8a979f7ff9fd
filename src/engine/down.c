/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The machine's going down in good order: everything that runs gets its stop signal and its time, and is recorded as cut off by that (ROW_CUT), so that the
 * next boot starts what its policy wants up. RUN/down says that it is under way: nothing is started, and no end is followed by a restart. A boot's fresh
 * /run has no such file; a daemon's start and `system restore` take it back.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/fd.h"
#include "engine/internal.h"

#define DOWN_FILE "down"
#define AT_ONCE 32
#define PASSES 2 /* a start that had not seen the mark is over when the first has been */

struct downing {
	struct engine *e; /* borrowed */
	char **ids;	  /* borrowed */
	size_t n, next;
	int timeout_s;
	struct json_writer *w;
	pthread_mutex_t lock; /* of next, w and why */
	size_t failed;
	struct err why; /* of the first that failed */
};

bool down_is_under_way(struct engine *e)
{
	return faccessat(e->run_fd, DOWN_FILE, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

int down_refuse(struct engine *e, struct err *err)
{
	if (!down_is_under_way(e))
		return 0;
	return err_set(err, ERR_CONFLICT, "the machine is going down: nothing is started any more ('coffer system restore' takes that back)");
}

bool down_take_back(struct engine *e)
{
	return unlinkat(e->run_fd, DOWN_FILE, 0) == 0;
}

static void tell(struct downing *d, const char *id, int rc, const struct err *why)
{
	(void) pthread_mutex_lock(&d->lock);
	if (rc > 0)
		jw_str(d->w, NULL, id);
	if (rc < 0 && d->failed++ == 0)
		d->why = *why;
	(void) pthread_mutex_unlock(&d->lock);
}

static const char *take_next(struct downing *d)
{
	(void) pthread_mutex_lock(&d->lock);
	const char *id = d->next < d->n ? d->ids[d->next++] : NULL;
	(void) pthread_mutex_unlock(&d->lock);
	return id;
}

static void *work(void *arg)
{
	struct downing *d = arg;
	for (const char *id; (id = take_next(d));) {
		struct err why = {0};
		int rc = stop_for_down(d->e, id, d->timeout_s, &why);
		tell(d, id, rc, &why);
	}
	return NULL;
}

/* Beside this thread as many others as there is work for and the system gives. */
static void stop_all(struct downing *d)
{
	pthread_t threads[AT_ONCE - 1];
	size_t n = 0;
	while (n < ARRAY_LEN(threads) && n + 1 < d->n && pthread_create(&threads[n], NULL, work, d) == 0)
		n++;
	(void) work(d);
	while (n > 0)
		(void) pthread_join(threads[--n], NULL);
}

int engine_down(struct engine *e, const struct caller *caller, int timeout_s, struct json_writer *w, struct err *err)
{
	_cleanup_strv_ char **ids = NULL;
	if (!str_eq(caller->tenant, "local")) /* the machine is everybody's */
		return err_set(err, ERR_DENIED, "only the machine's operator may stop all containers for its end");
	_cleanup_close_ int mark = openat(e->run_fd, DOWN_FILE, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (mark < 0)
		return err_sys(err, -errno, "saying that the machine goes down");
	fault_mark("engine.down.marked");
	int rc = container_ids(e, /* tenant= */ NULL, /* due= */ false, &ids, err); /* what was started before the mark is among them */
	if (rc < 0)
		return rc;
	struct downing d = {.e = e, .ids = ids, .n = strv_len(ids), .timeout_s = timeout_s, .w = w, .lock = PTHREAD_MUTEX_INITIALIZER};
	jw_obj(w, NULL);
	jw_arr(w, "Stopped");
	for (int i = 0; i < PASSES; i++) {
		d.next = d.failed = 0;
		stop_all(&d);
	}
	jw_end(w);
	jw_end(w);
	if (d.failed > 0) {
		*err = d.why;
		return err_wrap(err, "%zu of %zu containers could not be stopped, among them", d.failed, d.n);
	}
	return 0;
}

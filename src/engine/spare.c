/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A monitor in advance. A client that attaches to a container before its start is about to start it: its monitor is spawned while
 * the client is still asking, so that an exec of 0.5 ms and more runs beside the rest instead of before it. An embedded engine that knows that its
 * command starts a container has one still earlier, beside the create, for whatever container that will be. There is one at most;
 * unused, it sees its socket close before any SETUP and leaves.
 */
#include <errno.h>

#include "engine/internal.h"
#include "kernel/process.h"

struct spare {
	char id[ID_LEN + 1]; /* "": whose start comes first */
	int link;  /* owned; -EBADF while it is being spawned, or when that failed */
	pid_t pid;
	bool spawning;
};

static void discard(struct spare *s)
{
	int status;
	s->link = safe_close(s->link);
	if (s->pid > 0)
		(void) process_wait(s->pid, &status); /* it leaves at once: nobody has told it anything */
	free(s);
}

/* @id NULL: for anybody. */
static void make(struct engine *e, const char *id)
{
	struct spare *s = calloc(1, sizeof(*s));
	if (!s)
		return;
	*s = (struct spare){.link = -EBADF, .spawning = true};
	if (id)
		memcpy(s->id, id, sizeof(s->id));
	(void) pthread_mutex_lock(&e->lock);
	bool taken = e->spare || (id && !attach_waits(e, id)); /* or the start was faster */
	if (!taken)
		e->spare = s;
	(void) pthread_mutex_unlock(&e->lock);
	if (taken) {
		free(s);
		return;
	}
	pid_t pid = 0;
	int link = link_spawn(e, id ?: "", &pid, NULL);
	(void) pthread_mutex_lock(&e->lock);
	s->link = link < 0 ? -EBADF : link; /* the start will find out why, and say so */
	s->pid = pid;
	s->spawning = false;
	(void) pthread_cond_broadcast(&e->attached);
	(void) pthread_mutex_unlock(&e->lock);
}

void spare_make(struct engine *e, const char *id)
{
	make(e, id);
}

void engine_expect_start(struct engine *e)
{
	make(e, NULL);
}

static bool is_for(const struct spare *s, const char *id)
{
	return s && (!id || !s->id[0] || str_eq(s->id, id));
}

/* The spare when it is @id's (any when NULL), out of the engine's hands. */
static struct spare *take(struct engine *e, const char *id)
{
	(void) pthread_mutex_lock(&e->lock);
	while (is_for(e->spare, id) && e->spare->spawning)
		(void) pthread_cond_wait(&e->attached, &e->lock);
	struct spare *s = is_for(e->spare, id) ? take_ptr(e->spare) : NULL;
	(void) pthread_mutex_unlock(&e->lock);
	return s;
}

int spare_take(struct engine *e, const char *id, pid_t *ret_pid)
{
	struct spare *s = take(e, id);
	if (!s)
		return -ENOENT;
	int link = take_fd(&s->link);
	if (link >= 0) {
		*ret_pid = s->pid;
		s->pid = 0;
	}
	discard(s);
	return link < 0 ? -ENOENT : link;
}

void spare_drop(struct engine *e, const char *id)
{
	struct spare *s = take(e, id);
	if (s)
		discard(s);
}

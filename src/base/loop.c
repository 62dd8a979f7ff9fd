/* SPDX-License-Identifier: Apache-2.0 */
#include "base/loop.h"

#include <errno.h>

#include "base/fd.h"

#define BATCH 16

int loop_init(struct loop *l)
{
	*l = (struct loop){.epfd = epoll_create1(EPOLL_CLOEXEC)};
	return l->epfd < 0 ? -errno : 0;
}

void loop_done(struct loop *l)
{
	l->epfd = safe_close(l->epfd);
}

/* what the kernel already reported for @s in this batch is about a descriptor that may be gone by now */
static void forget(struct loop *l, const struct loop_source *s)
{
	for (int i = 0; i < l->n_batch; i++)
		if (l->batch[i].data.ptr == s)
			l->batch[i].data.ptr = NULL;
}

int loop_watch(struct loop *l, struct loop_source *s, uint32_t events)
{
	if (s->events == events)
		return 0;
	assert(s->fd >= 0);
	int op = !events ? EPOLL_CTL_DEL : s->events ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
	struct epoll_event e = {.events = events, .data.ptr = s};
	if (epoll_ctl(l->epfd, op, s->fd, &e) < 0)
		return -errno;
	s->events = events;
	if (!events)
		forget(l, s);
	return 0;
}

int loop_step(struct loop *l, int timeout_ms)
{
	struct epoll_event batch[BATCH];
	int n = epoll_wait(l->epfd, batch, BATCH, timeout_ms);
	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	l->batch = batch;
	l->n_batch = n;
	for (int i = 0; i < n; i++) {
		struct loop_source *s = batch[i].data.ptr;
		if (s)
			s->fn(s, batch[i].events);
	}
	l->batch = NULL;
	l->n_batch = 0;
	return n;
}

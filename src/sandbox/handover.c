/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/handover.h"

#include <errno.h>
#include <unistd.h>

#include "base/fd.h"
#include "sandbox/mounts.h"

struct handover {
	uint32_t n_fds;
	uint32_t more; /* 1: another batch follows */
};

/* Slots in order: the root, then every mount of the plan that the creator makes; none where init opens them itself. Return: NULL past the end. */
static int *slot(struct sandbox *s, size_t i)
{
	if (mounts_by_init(s))
		return NULL;
	if (i == 0)
		return &s->rootfs_mnt;
	for (size_t k = 0; k < s->plan.n_mounts; k++)
		if ((s->plan.mounts[k].kind == PLAN_BIND || s->plan.mounts[k].foreign) && --i == 0)
			return &s->plan.mounts[k].fd;
	return NULL;
}

static int tell(struct sandbox *s, const char *byte, struct err *err)
{
	int r = send_fds(s->sync[0], byte, 1, NULL, 0);
	return r < 0 ? err_sys(err, r, "telling init") : 0;
}

static int await(struct sandbox *s, const char *what, struct err *err)
{
	char c;
	ssize_t n = read_full(s->sync[1], &c, 1);
	if (n == 0)
		_exit(1); /* the creator has failed and said why */
	return n < 0 ? err_sys(err, (int) n, "waiting for %s", what) : 0;
}

int handover_maps(struct sandbox *s, struct err *err)
{
	return tell(s, "m", err);
}

int handover_await_maps(struct sandbox *s, struct err *err)
{
	s->sync[0] = safe_close(s->sync[0]);
	return await(s, "the id maps", err);
}

int handover_done(struct sandbox *s, struct err *err)
{
	return tell(s, "d", err);
}

int handover_await_done(struct sandbox *s, struct err *err)
{
	int r = await(s, "the network", err);
	s->sync[1] = safe_close(s->sync[1]);
	return r;
}

int handover_send(struct sandbox *s, struct err *err)
{
	for (size_t i = 0;;) {
		int fds[HANDOVER_BATCH];
		struct handover h = {0};
		while (h.n_fds < HANDOVER_BATCH && slot(s, i))
			fds[h.n_fds++] = *slot(s, i++);
		h.more = slot(s, i) != NULL;
		int r = send_fds(s->sync[0], &h, sizeof(h), fds, h.n_fds);
		if (r < 0)
			return err_sys(err, r, "handing mounts to init");
		if (!h.more)
			return 0;
	}
}

int handover_receive(struct sandbox *s, struct err *err)
{
	size_t i = 0;
	struct handover h;
	do {
		int fds[HANDOVER_BATCH];
		size_t n = HANDOVER_BATCH;
		ssize_t got = recv_fds(s->sync[1], &h, sizeof(h), fds, &n);
		if (got == 0)
			_exit(1); /* the creator has failed and said why */
		if (got != sizeof(h) || n != h.n_fds)
			return err_sys(err, got < 0 ? (int) got : -EBADMSG, "receiving mounts");
		for (size_t k = 0; k < n; k++) {
			int *to = slot(s, i++);
			if (!to)
				return err_sys(err, -EBADMSG, "receiving mounts");
			*to = fds[k];
		}
	} while (h.more);
	return 0;
}

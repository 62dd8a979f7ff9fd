/* SPDX-License-Identifier: Apache-2.0 */
#include "dns/worker.h"

#include <errno.h>
#include <sys/resource.h>

#include "base/fd.h"
#include "dns/confine.h"

#define TICK (50 * USEC_PER_MSEC)
#define TICK_PAUSED (5 * USEC_PER_MSEC) /* somebody is out of tokens */
#define LEGS_MAX 4096u
#define MESSAGES 64 /* of the keeper's in one go */

static int apply(struct worker *w, struct dns_told *t, int *fds, size_t n)
{
	struct dns_member *m = dns_state_get(w->st, t->id);
	if (t->verb == DNS_VERB_TELL)
		return dns_state_tell(w->st, t, &m);
	if (!m)
		return 0;
	if (m->client)
		asker_free(m->client);
	if (t->verb == DNS_VERB_FORGET) {
		dns_state_forget(w->st, m);
		return 0;
	}
	if (n != DNS_SOCKETS)
		return -EINVAL;
	dns_state_give(m, fds);
	return asker_new(w, m);
}

static int take_message(struct worker *w, char *text, int *fds, size_t n)
{
	_cleanup_dns_told_ struct dns_told t = {0};
	int r = dns_told_parse(text, &t);
	return r < 0 ? r : apply(w, &t, fds, n);
}

/* Return: 1, 0 when there is nothing now, -errno: we are not what the keeper thinks we are, and it shall make another. */
static int keeper_one(struct worker *w)
{
	static_assert(sizeof(struct dns_gift) < DNS_TEXT_MAX, "one buffer for both");
	static char text[DNS_TEXT_MAX + 1];
	int fds[DNS_SOCKETS] = {-EBADF, -EBADF};
	size_t n = DNS_SOCKETS;
	struct dns_gift g;
	ssize_t len = recv_fds(w->keeper.fd, text, DNS_TEXT_MAX, fds, &n);
	if (len == -EAGAIN)
		return 0;
	if (len <= 0)
		return len < 0 ? (int) len : -EPIPE;
	int r = 0;
	if (text[0])  {
		text[len] = '\0';
		r = take_message(w, text, fds, n);
	} else if (len == (ssize_t) sizeof(g)) {
		memcpy(&g, text, sizeof(g));
		ask_gift(w, &g, n ? take_fd(&fds[0]) : -EBADF);
	}
	for (size_t i = 0; i < DNS_SOCKETS; i++)
		safe_close(fds[i]);
	return r < 0 ? r : 1;
}

static void keeper_ready(struct loop_source *s, uint32_t events)
{
	struct worker *w = loop_source_owner(s, struct worker, keeper);
	for (int i = 0; i < MESSAGES && !w->gone; i++) {
		int r = keeper_one(w);
		w->gone = r < 0;
		if (r <= 0)
			return;
	}
}

static void tick(struct worker *w)
{
	usec_t now = now_usec();
	if (now < w->tick_at)
		return;
	w->tick_at = now + (w->n_paused ? TICK_PAUSED : TICK);
	ask_tick(w, now);
	if (w->n_paused || w->n_conns)
		for (struct asker *a = w->askers; a; a = a->next)
			asker_tick(a, now);
}

static int begin(struct worker *w)
{
	struct rlimit files = {.rlim_cur = 1024};
	(void) getrlimit(RLIMIT_NOFILE, &files); /* does not fail for this process; if it did the default would be right */
	w->max_legs = (size_t) MIN(files.rlim_cur / 4, (rlim_t) LEGS_MAX);
	w->max_conns = (size_t) files.rlim_cur / 4;
	w->begging = calloc(DNS_BEGGING, sizeof(struct leg *));
	int r = w->begging ? loop_init(&w->loop) : -ENOMEM;
	r = r < 0 ? r : fd_set_nonblock(w->keeper.fd, true);
	r = r < 0 ? r : loop_watch(&w->loop, &w->keeper, EPOLLIN);
	for (struct dns_member *m = w->st->members; m && r >= 0; m = m->next)
		r = m->sockets[DNS_UDP] >= 0 ? asker_new(w, m) : 0;
	return r;
}

int worker_run(struct dns_state *st, int keeper)
{
	struct worker w = {.st = st, .loop = {.epfd = -EBADF}, .keeper = {.fd = keeper, .fn = keeper_ready}};
	int r = begin(&w);
	r = r < 0 ? r : dns_confine_worker();
	while (r >= 0 && !w.gone) {
		r = loop_step(&w.loop, w.n_paused ? (int) (TICK_PAUSED / USEC_PER_MSEC) : w.n_asks || w.n_conns ? (int) (TICK / USEC_PER_MSEC) : -1);
		tick(&w);
	}
	while (w.askers)
		asker_free(w.askers);
	free(w.begging);
	loop_done(&w.loop);
	safe_close(w.keeper.fd);
	return r < 0 || w.gone ? 1 : 0;
}

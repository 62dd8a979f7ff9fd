/* SPDX-License-Identifier: Apache-2.0 */
#include "monitor/monitor.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/fd.h"
#include "monitor/internal.h"

#define LAST_STEPS 16 /* rounds of the loop for requests that came at the very end */

/* --- time --- */

void monitor_tick_soon(struct monitor *m)
{
	if (!m->next_tick)
		m->next_tick = now_usec() + TICK_MSEC * USEC_PER_MSEC;
}

/* Everything that is only touched while something happens. */
static void monitor_trim(struct monitor *m)
{
	for (struct client *c = m->clients; m->n_clients && c < m->clients + MONITOR_CLIENTS_MAX; c++)
		queue_trim(&c->out);
	queue_trim(&m->container.io.input);
	for (struct process *p = m->execs; m->n_execs && p < m->execs + MONITOR_EXECS_MAX; p++)
		queue_trim(&p->io.input);
	(void) madvise(m->scratch, SCRATCH_SIZE, MADV_DONTNEED); /* best effort: only memory is at stake */
	log_trim(&m->log);
	m->trimmed = true;
}

static void tick_process(struct process *p, usec_t now)
{
	if (p->state == PROCESS_EXITED) {
		stdio_tick(p, now);
		monitor_tick_soon(p->m);
	}
	stdio_update(p);
}

static void tick_clients(struct monitor *m, usec_t now)
{
	for (struct client *c = m->clients; m->n_clients && c < m->clients + MONITOR_CLIENTS_MAX; c++) {
		if (c->state == CLIENT_FREE)
			continue;
		client_tick(c, now);
		if (c->full || c->state > CLIENT_OPEN)
			monitor_tick_soon(m);
	}
}

static void monitor_tick(struct monitor *m)
{
	usec_t now = now_usec();
	m->next_tick = 0;
	tick_clients(m, now);
	tick_process(&m->container, now);
	for (struct process *p = m->execs; m->n_execs && p < m->execs + MONITOR_EXECS_MAX; p++)
		if (p->state != PROCESS_FREE)
			tick_process(p, now);
	process_reap_strays(m);
	if (!m->trimmed && now - m->last_activity >= TICK_MSEC * USEC_PER_MSEC)
		monitor_trim(m);
	if (!m->trimmed)
		monitor_tick_soon(m);
}

static int timeout_ms(const struct monitor *m)
{
	if (!m->next_tick)
		return -1;
	usec_t now = now_usec();
	return m->next_tick > now ? (int) ((m->next_tick - now) / USEC_PER_MSEC) + 1 : 0;
}

/* --- the end --- */

static void remove_ctl(struct monitor *m)
{
	if (m->listener.fd >= 0)
		(void) unlinkat(m->bundle_fd, "ctl", 0); /* the bundle may be gone already */
}

void monitor_failed(struct monitor *m)
{
	struct process *p = &m->container;
	p->state = PROCESS_EXITED;
	(void) unlinkat(m->bundle_fd, "state", 0); /* usually missing */
	remove_ctl(m);
}

void monitor_engine_gone(struct monitor *m)
{
	m->engine_gone = true;
	if (m->container.state <= PROCESS_READY)
		m->quit = true; /* nobody is left who could start it */
}

static bool may_reap(const struct monitor *m)
{
	return m->setup.reaper[0] && !m->container.failed && !m->reaped;
}

static bool needs_reaper(struct monitor *m)
{
	return may_reap(m) && !conn_engine_there(m);
}

/* The exit has been announced; what is left are clients that are still reading. The reaper does not wait for slow ones. */
static void monitor_leave(struct monitor *m)
{
	bool only_late = true;
	for (struct client *c = m->clients; m->n_clients && c < m->clients + MONITOR_CLIENTS_MAX; c++)
		only_late &= c->state == CLIENT_FREE || (c->state == CLIENT_FLUSHING && c->late);
	if (!m->n_clients)
		m->quit = true;
	else if (only_late && needs_reaper(m)) {
		m->reaped = true;
		if (fork() == 0) {
			(void) reaper_exec(&m->setup);
			_exit(127);
		}
	}
}

static void monitor_settle(struct monitor *m)
{
	bool execs_over = true;
	process_settle(&m->container);
	for (struct process *p = m->execs; m->n_execs && p < m->execs + MONITOR_EXECS_MAX; p++) {
		process_settle(p);
		execs_over &= p->state == PROCESS_FREE || p->state == PROCESS_FLUSHED;
	}
	if (m->container.state == PROCESS_FLUSHED && execs_over)
		monitor_leave(m);
}

/* --- the beginning --- */

/* stdin, stdout and stderr are somebody's terminal or pipe, whose end would wait for ours */
static int detach_stdio(void)
{
	int fd = open("/dev/null", O_RDWR | O_NOCTTY);
	if (fd < 0)
		return -errno;
	for (int i = 0; i < 3; i++)
		if (fd != i && dup2(fd, i) < 0)
			return -errno;
	if (fd > 2)
		safe_close(fd);
	return 0;
}

static int process_setup(int sock)
{
	static const int ignored[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGPIPE};
	for (size_t i = 0; i < ARRAY_LEN(ignored); i++)
		(void) signal(ignored[i], SIG_IGN);
	(void) signal(SIGCHLD, SIG_DFL); /* an inherited "ignore" would reap for us */
	sigset_t none;
	(void) sigemptyset(&none);
	(void) sigprocmask(SIG_SETMASK, &none, NULL);
	(void) setsid(); /* fails when we lead a session already, which is as good */
	(void) !chdir("/");
	(void) close_range((unsigned) sock + 1, ~0u, 0);
	if (fcntl(sock, F_SETFD, FD_CLOEXEC) < 0)
		return -errno;
	return detach_stdio();
}

static int monitor_new(const struct monitor_ops *ops, struct monitor **ret)
{
	const size_t size = (sizeof(struct monitor) + 4095) & ~(size_t) 4095;
	struct monitor *m = mmap(NULL, size + SCRATCH_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (m == MAP_FAILED)
		return -ENOMEM;
	m->ops = ops;
	m->bundle_fd = m->log_dir_fd = m->lock_fd = m->guard_fd = m->listener.fd = m->squeeze.src.fd = m->log.dir_fd = m->log.fd = -EBADF;
	m->scratch = (uint8_t *) m + size;
	process_init(&m->container, m, "", /* flags= */ 0);
	trim_init();
	*ret = m;
	return loop_init(&m->loop);
}

static int monitor_loop(struct monitor *m)
{
	while (!m->quit) {
		if (m->trimmed && !m->next_tick)
			trim_and_wait(m->loop.epfd);
		int n = loop_step(&m->loop, timeout_ms(m));
		if (n < 0)
			return n;
		if (n > 0) {
			m->last_activity = now_usec();
			m->trimmed = false;
			monitor_tick_soon(m);
		}
		if (m->next_tick && now_usec() >= m->next_tick)
			monitor_tick(m);
		monitor_settle(m);
	}
	return 0;
}

int monitor_run(const struct monitor_ops *ops, int sock)
{
	struct monitor *m;
	int r = process_setup(sock);
	if (r >= 0)
		r = monitor_new(ops, &m);
	if (r < 0 || !conn_add(m, sock))
		return 1;
	fault_mark("monitor.up");
	r = monitor_loop(m);
	remove_ctl(m);
	fault_mark("monitor.leave");
	/* a WAIT may have come that nobody has read yet: its sender, who may be leaving, counts on an answer, or on us to see that it has gone */
	for (int i = 0; i < LAST_STEPS && conn_engine_asks(m); i++)
		(void) loop_step(&m->loop, 0); /* the end all the same */
	if (m->container.state == PROCESS_FLUSHED && may_reap(m) && !conn_part(m))
		r = reaper_exec(&m->setup);
	return r < 0 || m->container.failed ? 1 : 0;
}

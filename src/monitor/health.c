/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The health check: a process of the container (an exec whose document is BUNDLE/health.json), started every so often, whose exit code is the answer.
 * It outlives engines as the container does. What is known is one small file, BUNDLE/health, written whole after each probe and read by whoever asks;
 * engines that listen are told by a datagram (struct monitor_note). The rules are dockerd's (daemon/health.go).
 *
 *   started ---> [timer: interval] ---> probe started ---> [timer: timeout] ---> probe over ---> record, notes ---> [timer: interval] ...
 *                     |  paused: once more                     |  paused: once more
 *
 *  H1 At most one probe at a time; health.probe is its place among the execs from its start until it is flushed.
 *  H2 The timer runs exactly while the container runs: for the next probe, or for the end of the one that runs.
 *  H3 What a probe of a container that has ended says does not count.
 *
 * Without a health check nothing here is touched. With one an idle monitor keeps a timer and no memory: the log of the last probes is read back from
 * the file when the next entry is put behind them.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/fd.h"
#include "base/str.h"
#include "monitor/internal.h"

#define RECORD "health"
#define START_PATIENCE_NS (30 * NSEC_PER_SEC) /* for the probe's creator; the timeout counts from when the probe runs */
#define EVENTS_DIR "../../events"	      /* of the run directory, as seen from the bundle */

/* --- the timer --- */

static void timer_set(struct monitor *m, int64_t ns)
{
	const struct itimerspec t = {.it_value = {.tv_sec = ns / NSEC_PER_SEC, .tv_nsec = ns % NSEC_PER_SEC}};
	(void) timerfd_settime(m->health.timer.fd, 0, &t, NULL); /* cannot fail: the times were checked to be positive */
}

static int64_t since_start_ns(const struct monitor *m)
{
	return (int64_t) (now_usec() - m->health.started) * 1000;
}

static void timer_next(struct monitor *m)
{
	const struct health *h = &m->health;
	bool starting = h->status == MONITOR_HEALTH_STARTING && since_start_ns(m) < h->cfg.start_period_ns;
	timer_set(m, starting ? h->cfg.start_interval_ns : h->cfg.interval_ns);
}

static bool is_paused(const struct monitor *m)
{
	return m->ops->is_paused && m->setup.cgroup_path[0] && m->ops->is_paused(m->setup.cgroup_path) > 0;
}

/* --- telling engines --- */

struct dirent64_raw { /* getdents64(2): opendir() would take 32 KiB of heap */
	uint64_t ino;
	int64_t off;
	uint16_t len;
	uint8_t type;
	char name[];
};

static void note_send(int sock, int dir, const char *name, const struct monitor_note *n)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	size_t len = strlen(name);
	if (name[0] == '.' || len >= sizeof(sa.sun_path))
		return;
	memcpy(sa.sun_path, name, len);
	if (fchdir(dir) < 0) /* sun_path is too short for a path */
		return;
	(void) sendto(sock, n, sizeof(*n), MSG_DONTWAIT | MSG_NOSIGNAL, (const struct sockaddr *) &sa, sizeof(sa)); /* who is dead or full is not told */
	(void) !chdir("/");
}

static void note(struct monitor *m, enum monitor_note_kind kind, int value)
{
	struct monitor_note n = {.magic = MONITOR_NOTE_MAGIC, .kind = kind, .value = value};
	_cleanup_close_ int dir = openat(m->bundle_fd, EVENTS_DIR, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	_cleanup_close_ int sock = dir < 0 ? -EBADF : socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	long len;
	if (sock < 0)
		return; /* nobody has a mailbox */
	memcpy(n.id, m->setup.id, sizeof(n.id));
	if (m->health.probe)
		memcpy(n.exec_id, m->health.probe->id, sizeof(n.exec_id));
	while ((len = syscall(SYS_getdents64, dir, m->scratch, SCRATCH_SIZE)) > 0)
		for (long at = 0; at < len;) {
			const struct dirent64_raw *d = (const void *) (m->scratch + at);
			note_send(sock, dir, d->name, &n);
			at += d->len;
		}
}

/* --- one probe --- */

static struct process *slot(struct monitor *m)
{
	for (int i = 0; i < MONITOR_EXECS_MAX; i++)
		if (m->execs[i].state == PROCESS_FREE)
			return &m->execs[i];
	return NULL;
}

static void probe_start(struct monitor *m)
{
	struct health *h = &m->health;
	struct process *p = slot(m);
	char id[ID_LEN + 1];
	if (!p || id_new(id) < 0) {
		timer_next(m); /* every place is taken by execs */
		return;
	}
	process_init(p, m, id, /* flags= */ 0);
	p->probe = true;
	m->n_execs++;
	h->probe = p;
	h->probe_start_ns = now_ns();
	h->probe_in_period = since_start_ns(m) < h->cfg.start_period_ns;
	h->timed_out = h->cut = false;
	queue_init(&h->out, MONITOR_HEALTH_OUTPUT_MAX);
	fault_mark("monitor.probe.begin");
	note(m, MONITOR_NOTE_PROBE_STARTED, 0);
	timer_set(m, START_PATIENCE_NS);
	if (process_start(p, /* output= */ true, &p->err) < 0) /* process_settle() takes it from here */
		p->failed = true;
}

/* All of it: its session is its own (step_stdio), and a shell's children stay in it. */
static void probe_kill(struct monitor *m, struct process *p)
{
	if (p->creator_pid)
		(void) kill(p->creator_pid, SIGKILL); /* our unreaped child, as the next */
	if (p->pid && m->ops->kill_session && m->setup.cgroup_path[0])
		m->ops->kill_session(m->setup.cgroup_path, p->pid);
	process_kill_init(p);
}

static void timer_ready(struct loop_source *s, uint32_t events)
{
	struct monitor *m = loop_source_owner(s, struct monitor, health.timer);
	struct health *h = &m->health;
	uint64_t n;
	if (read(s->fd, &n, sizeof(n)) < 0 || m->container.state != PROCESS_RUNNING)
		return;
	bool paused = is_paused(m);
	if (!h->probe && !paused)
		probe_start(m);
	else if (!h->probe)
		timer_next(m);
	else if (paused)
		timer_set(m, h->cfg.timeout_ns);
	else {
		h->timed_out = true;
		probe_kill(m, h->probe);
	}
}

void health_output(struct monitor *m, size_t len)
{
	struct health *h = &m->health;
	size_t keep = MIN(len, (size_t) (h->out.cap - h->out.used));
	const struct iovec iov = {.iov_base = m->scratch, .iov_len = keep};
	bool kept = queue_put(&h->out, &iov, 1) >= 0;
	if (keep < len || !kept)
		h->cut = true;
}

/* --- the record --- */

/* Where the last @n entries of a record begin; @end when there are none or it is none of ours. */
static size_t skip_entries(const uint8_t *rec, size_t end, uint32_t have, uint32_t n)
{
	size_t at = sizeof(struct monitor_health_head);
	for (; have > n; have--) {
		struct monitor_health_entry e;
		if (end - at < sizeof(e))
			return end;
		memcpy(&e, rec + at, sizeof(e));
		if (e.len > MONITOR_HEALTH_OUTPUT_MAX || end - at - sizeof(e) < e.len)
			return end;
		at += sizeof(e) + e.len;
	}
	return at;
}

static size_t read_record(struct monitor *m, uint8_t *buf, size_t size, struct monitor_health_head *head)
{
	_cleanup_close_ int fd = openat(m->bundle_fd, RECORD, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	ssize_t n = fd < 0 ? -1 : read_full(fd, buf, size);
	if (n < (ssize_t) sizeof(*head))
		return 0;
	memcpy(head, buf, sizeof(*head));
	return head->magic == MONITOR_HEALTH_MAGIC && head->n <= MONITOR_HEALTH_LOG_MAX ? (size_t) n : 0;
}

static size_t put(uint8_t *buf, size_t at, const void *p, size_t n)
{
	memcpy(buf + at, p, n);
	return at + n;
}

/* The last entries of the record in one half of the scratch page, the new record in the other. */
static void record(struct monitor *m, const struct monitor_health_entry *e, const struct iovec *text, int n_text)
{
	static_assert(sizeof(struct monitor_health_head) + MONITOR_HEALTH_LOG_MAX * (sizeof(*e) + MONITOR_HEALTH_OUTPUT_MAX) <= SCRATCH_SIZE / 2, "a record fits");
	uint8_t *old = m->scratch, *now = m->scratch + SCRATCH_SIZE / 2;
	struct monitor_health_head had = {.n = 0};
	size_t len = read_record(m, old, SCRATCH_SIZE / 2, &had), from = 0;
	uint32_t keep = MIN(had.n, (uint32_t) MONITOR_HEALTH_LOG_MAX - 1);
	if (len)
		from = skip_entries(old, len, had.n, keep);
	if (!len || from == len)
		keep = 0;
	const struct monitor_health_head head = {.magic = MONITOR_HEALTH_MAGIC, .status = m->health.status, .streak = m->health.streak, .n = keep + 1};
	size_t at = put(now, 0, &head, sizeof(head));
	if (keep)
		at = put(now, at, old + from, len - from);
	at = put(now, at, e, sizeof(*e));
	for (int i = 0; i < n_text; i++)
		at = put(now, at, text[i].iov_base, text[i].iov_len);
	(void) record_write(m->bundle_fd, RECORD, now, at); /* a full tmpfs: the next one tries again */
}

/* --- the verdict --- */

static void judge(struct health *h, bool healthy)
{
	if (healthy) {
		h->streak = 0;
		h->status = MONITOR_HEALTH_HEALTHY;
	} else if (h->status != MONITOR_HEALTH_STARTING || !h->probe_in_period)
		if (++h->streak >= h->cfg.retries)
			h->status = MONITOR_HEALTH_UNHEALTHY;
}

/* An init that ends takes its pid namespace along before its own end can be seen: the probe dies first. By then it has no memory, and so no program. */
static bool is_ending(const struct monitor *m)
{
	char path[32], to[8];
	if (m->container.state != PROCESS_RUNNING)
		return true;
	(void) str_format(path, sizeof(path), "/proc/%d/exe", (int) m->container.pid); /* fits; our unreaped child, so the number is certain */
	return readlink(path, to, sizeof(to)) < 0 && errno == ENOENT;
}

void health_probe_over(struct process *p)
{
	struct monitor *m = p->m;
	struct health *h = &m->health;
	uint32_t before = h->status;
	struct iovec text[2];
	int n = 1;
	struct monitor_health_entry e = {.start_ns = h->probe_start_ns, .end_ns = now_ns(), .code = p->failed || h->timed_out ? -1 : p->exit.code};
	if (e.code == 0 ? m->container.state == PROCESS_RUNNING : !is_ending(m)) { /* H3 */
		if (p->failed && !h->timed_out)
			text[0] = (struct iovec) {.iov_base = p->err.msg, .iov_len = strlen(p->err.msg)};
		else
			n = queue_peek(&h->out, text);
		e.len = n ? (uint32_t) text[0].iov_len : 0; /* the queue never wraps: nothing is taken from it */
		e.flags = (h->timed_out ? MONITOR_HEALTH_TIMED_OUT : 0) | (h->cut ? MONITOR_HEALTH_CUT : 0);
		judge(h, e.code == 0);
		record(m, &e, text, n);
		fault_mark("monitor.probe.recorded");
		note(m, MONITOR_NOTE_PROBE_ENDED, p->exit.code);
		if (h->status != before)
			note(m, MONITOR_NOTE_HEALTH, (int) h->status);
		timer_next(m);
	} else
		note(m, MONITOR_NOTE_PROBE_ENDED, p->exit.code);
	queue_done(&h->out);
	h->probe = NULL;
}

void health_probe_runs(struct process *p)
{
	timer_set(p->m, p->m->health.cfg.timeout_ns);
}

/* --- the container --- */

int health_setup(struct monitor *m, const struct monitor_health *cfg)
{
	struct health *h = &m->health;
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (fd < 0)
		return -errno;
	h->cfg = *cfg;
	h->timer = (struct loop_source) {.fd = fd, .fn = timer_ready};
	h->on = true;
	return loop_watch(&m->loop, &h->timer, EPOLLIN);
}

void health_started(struct monitor *m)
{
	if (!m->health.on)
		return;
	m->health.started = now_usec();
	(void) unlinkat(m->bundle_fd, RECORD, 0); /* of an earlier run; usually missing */
	timer_next(m);
}

void health_stopped(struct monitor *m)
{
	if (!m->health.on)
		return;
	(void) loop_watch(&m->loop, &m->health.timer, 0);
	if (m->health.probe)
		probe_kill(m, m->health.probe); /* with a pid namespace that others share its children would stay */
}

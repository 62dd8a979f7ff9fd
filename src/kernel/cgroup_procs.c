/* SPDX-License-Identifier: Apache-2.0 */
/* The processes of a container's cgroups: listed, signalled, killed, frozen. A cgroup below it that the container made holds processes of its own. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <search.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/num.h"
#include "base/str.h"
#include "kernel/cgroup_internal.h"

#define DEPTH_MAX 32
#define PIDS_MAX ((size_t) 4 << 20) /* the kernel's own ceiling (PID_MAX_LIMIT) */

struct pid_list {
	pid_t *v; /* owned */
	size_t n, cap;
};

static void nap_ms(int ms)
{
	(void) nanosleep(&(struct timespec) {.tv_sec = ms / 1000, .tv_nsec = (long) ms % 1000 * 1000000}, NULL);
}

static int push(struct pid_list *l, pid_t pid)
{
	if (l->n == l->cap) {
		size_t cap = l->cap ? l->cap * 2 : 64;
		pid_t *v = cap > PIDS_MAX ? NULL : reallocarray(l->v, cap, sizeof(*v));
		if (!v)
			return -ENOMEM;
		l->v = v;
		l->cap = cap;
	}
	l->v[l->n++] = pid;
	return 0;
}

/* What @dfd/cgroup.procs lists; 0 stands for a process of another pid namespace. */
static int list_one(int dfd, struct pid_list *l)
{
	_cleanup_free_ char *list = NULL;
	ssize_t n = read_file(dfd, "cgroup.procs", 64 << 20, &list);
	if (n == -EOPNOTSUPP) /* threaded: its processes stand at the domain above */
		return 0;
	if (n < 0)
		return (int) n;
	for (char *p = list, *next; p && *p; p = next) {
		next = strchr(p, '\n');
		if (next)
			*next++ = '\0';
		uint32_t pid;
		int r = parse_u32(p, &pid) < 0 || pid == 0 ? 0 : push(l, (pid_t) pid);
		if (r < 0)
			return r;
	}
	return 0;
}

static bool gone(int r)
{
	return r == -ENOENT || r == -ENODEV;
}

/* Children first. A directory that goes away meanwhile has nobody in it. */
static int list_tree(int dfd, int depth, struct pid_list *l)
{
	int dup = openat(dfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = dup < 0 ? NULL : fdopendir(dup);
	if (!d) {
		int r = -errno;
		safe_close(dup);
		return gone(r) ? 0 : r;
	}
	struct dirent *e;
	int r = 0;
	while (r == 0 && depth < DEPTH_MAX && (e = readdir(d))) {
		if (e->d_type != DT_DIR || e->d_name[0] == '.')
			continue;
		_cleanup_close_ int sub = openat(dfd, e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (sub >= 0)
			r = list_tree(sub, depth + 1, l);
	}
	(void) closedir(d);
	if (r == 0)
		r = list_one(dfd, l);
	return gone(r) ? 0 : r;
}

/* The directory that has every process: all hierarchies hold the same ones, but on a hybrid host v2's may be unused by who joined before. */
static int any_dir(const struct cgroup *cg)
{
	for (int c = 0; c < CG_CONTROLLER_MAX_; c++)
		if (cg->v1[c] >= 0)
			return cg->v1[c];
	return cg->v2;
}

static int by_number(const void *a, const void *b)
{
	pid_t x = *(const pid_t *) a, y = *(const pid_t *) b;
	return (x > y) - (x < y);
}

ssize_t cgroup_pids(const struct cgroup *cg, pid_t **ret)
{
	struct pid_list l = {0};
	int dfd = any_dir(cg);
	int r = dfd < 0 ? 0 : list_tree(dfd, 0, &l);
	if (r < 0) {
		free(l.v);
		return r;
	}
	size_t n = 0;
	if (l.n > 0)
		qsort(l.v, l.n, sizeof(*l.v), by_number);
	for (size_t i = 0; i < l.n; i++) /* v1 may list one twice (cgroups.rst "cgroup.procs") */
		if (n == 0 || l.v[n - 1] != l.v[i])
			l.v[n++] = l.v[i];
	*ret = l.v;
	return (ssize_t) n;
}

static int signal_listed(const struct cgroup *cg, int sig)
{
	_cleanup_free_ pid_t *v = NULL;
	ssize_t n = cgroup_pids(cg, &v);
	for (ssize_t i = 0; i < n; i++)
		(void) kill(v[i], sig); /* gone already is as good */
	return (int) n;
}

int cgroup_signal(const struct cgroup *cg, int sig)
{
	int seen = 0, n = 0;
	if (sig == SIGKILL && cg->v2 >= 0)
		seen = write_file(cg->v2, "cgroup.kill", "1") == 0; /* Linux 5.14 */
	bool v1 = any_dir(cg) != cg->v2;
	if (v1 || !seen)
		n = signal_listed(cg, sig);
	return n < 0 ? n : MAX(n, seen);
}

static void thaw_v1(const struct cgroup *cg)
{
	int version, dfd = cgroup_dir(cg, CG_FREEZER, &version);
	if (dfd >= 0 && version == 1)
		(void) write_file(dfd, "freezer.state", "THAWED"); /* SIGKILL waits for that on v1; nothing else hangs on it */
}

int cgroup_kill(const struct cgroup *cg, int tries)
{
	for (int i = 0; i < tries; i++) {
		int left = 0;
		if (cg->v2 >= 0 && write_file(cg->v2, "cgroup.kill", "1") < 0 && any_dir(cg) == cg->v2)
			left = signal_listed(cg, SIGKILL);
		if (any_dir(cg) != cg->v2)
			left = signal_listed(cg, SIGKILL);
		if (left == 0)
			return 0;
		thaw_v1(cg);
		nap_ms(1);
	}
	return -EBUSY;
}

/* "frozen 1" in cgroup.events; every change wakes a poll for POLLPRI (cgroup-v2.rst "[Un]populated Notification"). */
static int wait_v2(const struct cgroup *cg, bool on, usec_t until)
{
	_cleanup_close_ int fd = openat(cg->v2, "cgroup.events", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	for (;;) {
		char text[256];
		ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
		if (n < 0)
			return -errno;
		text[n] = '\0';
		if (!!strstr(text, "frozen 1") == on)
			return 0;
		usec_t now = now_usec();
		if (now >= until)
			return -ETIMEDOUT;
		struct pollfd p = {.fd = fd, .events = POLLPRI};
		if (poll(&p, 1, (int) MIN((until - now) / USEC_PER_MSEC + 1, (usec_t) 1000)) < 0 && errno != EINTR)
			return -errno;
	}
}

/* v1 tells FREEZING until the last task is in; a task that was being moved or forked meanwhile needs the state to be written again (kernel/cgroup/legacy_freezer.c). */
static int wait_v1(int dfd, bool on, usec_t until)
{
	const char *want = on ? "FROZEN" : "THAWED";
	for (int i = 0;; i++) {
		_cleanup_free_ char *state = NULL;
		int r = write_file(dfd, "freezer.state", want);
		ssize_t n = r < 0 ? r : read_file(dfd, "freezer.state", 64, &state);
		if (n < 0)
			return (int) n;
		if (strncmp(state, want, 6) == 0)
			return 0;
		if (now_usec() >= until)
			return -ETIMEDOUT;
		nap_ms(i < 20 ? 1 : 10);
	}
}

/* Everybody is moved into the new directory until nobody is left outside. */
static int extend_v1(struct cgroup *cg, enum cg_controller c)
{
	bool made;
	int lead = cgroup_lead(&cg->layout, c);
	int fd = cgroup_dir_make(cg, lead, &made);
	if (fd < 0)
		return fd;
	for (int round = 0; round < 100; round++) {
		struct pid_list in = {0};
		_cleanup_free_ pid_t *all = NULL;
		ssize_t n = cgroup_pids(cg, &all); /* of another hierarchy: this one is not in @cg yet */
		int r = n < 0 ? (int) n : list_one(fd, &in);
		bool left = false;
		for (ssize_t i = 0; r == 0 && i < n; i++) {
			if (in.n > 0 && lfind(&all[i], in.v, &in.n, sizeof(*in.v), by_number))
				continue;
			char text[16];
			(void) snprintf(text, sizeof(text), "%d", (int) all[i]);
			r = write_file(fd, "cgroup.procs", text);
			if (r == -ESRCH)
				r = 0; /* it ended */
			else
				left = true;
		}
		free(in.v);
		if (r < 0) {
			safe_close(fd);
			return r;
		}
		if (!left) {
			cg->v1[lead] = fd;
			return 0;
		}
	}
	safe_close(fd);
	return -EAGAIN;
}

int cgroup_extend(struct cgroup *cg, enum cg_controller c)
{
	struct cgroup same;
	const char *failed;
	int version, dfd = cgroup_dir(cg, c, &version);
	if (version == 0)
		return -EOPNOTSUPP;
	if (version == 1)
		return dfd >= 0 ? 0 : extend_v1(cg, c);
	if (dfd < 0 || !*cgroup_v2_name(c) || cgroup_enabled(cg, cgroup_v2_name(c)))
		return MIN(dfd, 0);
	int r = cgroup_create(&same, cg->path, 1u << c, 0, &failed); /* switched on for its parents on the way */
	if (r == 0)
		cgroup_done(&same);
	return r;
}

int cgroup_freeze(struct cgroup *cg, bool on, int timeout_ms)
{
	int version, dfd = cgroup_dir(cg, CG_FREEZER, &version), r;
	usec_t until = now_usec() + (usec_t) timeout_ms * USEC_PER_MSEC;
	if (dfd < 0 && version == 1) {
		if (!on)
			return 0; /* without a freezer it cannot be frozen */
		r = extend_v1(cg, CG_FREEZER);
		if (r < 0)
			return r;
		dfd = cgroup_dir(cg, CG_FREEZER, &version);
	}
	if (dfd < 0 && cg->v2 >= 0)
		version = 2; /* in the core of v2, whatever its controllers are */
	else if (dfd < 0)
		return dfd;
	if (version == 1)
		r = wait_v1(dfd, on, until);
	else {
		r = write_file(cg->v2, "cgroup.freeze", on ? "1" : "0");
		r = r < 0 ? r : wait_v2(cg, on, until);
	}
	if (r == -ETIMEDOUT && on)
		(void) cgroup_freeze(cg, false, 1000); /* all or nothing */
	return r;
}

int cgroup_is_frozen(const struct cgroup *cg)
{
	char text[256];
	int version, dfd = cgroup_dir(cg, CG_FREEZER, &version);
	if (dfd >= 0 && version == 1) {
		int r = cgroup_read(cg, CG_FREEZER, "freezer.state", NULL, text, sizeof(text));
		return r < 0 ? r : strncmp(text, "THAWED", 6) != 0;
	}
	if (cg->v2 < 0)
		return 0;
	_cleanup_free_ char *events = NULL;
	ssize_t n = read_file(cg->v2, "cgroup.events", 4096, &events);
	return n < 0 ? (int) n : strstr(events, "frozen 1") != NULL;
}

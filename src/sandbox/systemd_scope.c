/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The scope's life:
 *   start   a holder is forked; StartTransientUnit(PREFIX-NAME.scope, Slice, Delegate, PIDs=[holder], limits); wait for JobRemoved; the holder's /proc/PID/cgroup tells
 *           where systemd put it
 *   placed  the container's first process was born into that cgroup: the holder is killed and reaped, the scope lives on with the container
 *   stop    StopUnit and wait; systemd forgets the scope when it is empty
 */
#include "sandbox/systemd_scope.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/fd.h"
#include "dbus/bus.h"
#include "sandbox/internal.h"
#include "sandbox/systemd_properties.h"

#define CALL_TIMEOUT_MS 30000
#define BODY_MAX ((size_t) 1 << 17)
#define MANAGER "org.freedesktop.systemd1.Manager"

struct job { /* what the manager says of one unit's job */
	const char *unit; /* borrowed */
	char result[32];  /* "" until it is over */
};

/* A root user of a user namespace has the manager of the user who made that namespace. */
static bool is_guest(void)
{
	_cleanup_free_ char *map = NULL;
	unsigned inside, outside, size;
	return geteuid() != 0 || read_file(AT_FDCWD, "/proc/self/uid_map", 1 << 16, &map) < 0 || sscanf(map, "%u %u %u", &inside, &outside, &size) != 3 || outside != 0 ||
	       size != UINT32_MAX;
}

/* The manager itself where its own socket is, as systemctl does; else by the bus. */
static int connect_manager(struct dbus_bus *bus, struct err *err)
{
	char direct[256] = "/run/systemd/private", by_bus[256] = "unix:path=/run/dbus/system_bus_socket";
	const char *run = getenv("XDG_RUNTIME_DIR"), *session = getenv("DBUS_SESSION_BUS_ADDRESS");
	bool guest = is_guest();
	if (guest) {
		if (str_empty(run) && str_empty(session))
			return err_set(err, ERR_UNSUPPORTED, "linux.cgroupsPath: no systemd of this user: neither XDG_RUNTIME_DIR nor DBUS_SESSION_BUS_ADDRESS is set");
		if (str_empty(run) || str_format(direct, sizeof(direct), "%s/systemd/private", run) < 0 || str_format(by_bus, sizeof(by_bus), "unix:path=%s/bus", run) < 0)
			direct[0] = by_bus[0] = '\0';
		if (!str_empty(session))
			(void) str_copy(by_bus, sizeof(by_bus), session); /* too long for us: "" */
	}
	int r = direct[0] ? dbus_connect(bus, direct, err) : -ENOENT;
	if (r < 0)
		r = dbus_connect(bus, by_bus, err);
	return r < 0 ? err_wrap(err, "linux.cgroupsPath: systemd's manager%s", guest ? " of this user" : "") : 0;
}

/* JobRemoved(u id, o job, s unit, s result) */
static void see_signal(void *ctx, const struct dbus_message *m)
{
	struct job *j = ctx;
	struct dbus_cursor c = m->body;
	if (!str_eq(m->member, "JobRemoved") || !str_eq(m->signature, "uoss"))
		return;
	(void) dbus_get_u32(&c);
	(void) dbus_get_str(&c);
	const char *unit = dbus_get_str(&c), *result = dbus_get_str(&c);
	if (!c.bad && str_eq(unit, j->unit))
		(void) snprintf(j->result, sizeof(j->result), "%.31s", *result ? result : "unknown");
}

static int call_manager(struct dbus_bus *bus, const char *member, const char *signature, const struct strbuf *body, struct err *err)
{
	return dbus_call(bus, "org.freedesktop.systemd1", "/org/freedesktop/systemd1", MANAGER, member, signature, body, CALL_TIMEOUT_MS, NULL, err);
}

/* A call that makes a job, and the end of that job. */
static int run_job(struct dbus_bus *bus, struct job *j, const char *member, const char *signature, const struct strbuf *body, struct err *err)
{
	bus->on_signal = see_signal;
	bus->ctx = j;
	int r = dbus_match(bus, "type='signal',interface='" MANAGER "',member='JobRemoved',path='/org/freedesktop/systemd1'", err);
	if (r == 0)
		r = call_manager(bus, "Subscribe", "", NULL, err); /* without it the manager tells nobody on a bus */
	if (r == 0)
		r = call_manager(bus, member, signature, body, err);
	usec_t deadline = now_usec() + (usec_t) CALL_TIMEOUT_MS * USEC_PER_MSEC;
	while (r == 0 && !j->result[0]) {
		struct dbus_message m;
		r = dbus_next_signal(bus, deadline, &m, err);
		if (r == 0)
			see_signal(j, &m);
	}
	if (r < 0)
		return err_wrap(err, "systemd: %s %s", member, j->unit);
	if (!str_eq(j->result, "done"))
		return err_set(err, ERR_SYSTEM, "systemd: %s %s ended with '%s'", member, j->unit, j->result);
	return 0;
}

/* A unit's name and slice from "SLICE:PREFIX:NAME" (runc's and crun's form of cgroupsPath with --systemd-cgroup). */
int systemd_scope_names(const char *cgroups_path, const char *id, bool guest, struct systemd_names *ret, struct err *err)
{
	char slice[sizeof(ret->slice)] = "", prefix[128] = "coffer-oci", name[192];
	int r = str_format(name, sizeof(name), "%s", id);
	if (!str_empty(cgroups_path)) {
		const char *a = strchr(cgroups_path, ':'), *b = a ? strchr(a + 1, ':') : NULL;
		if (!b || strchr(b + 1, ':') || !b[1])
			return err_set(err, ERR_INVALID, "linux.cgroupsPath: '%.200s' is not like SLICE:PREFIX:NAME, as systemd's driver takes it", cgroups_path);
		r = str_format(slice, sizeof(slice), "%.*s", (int) (a - cgroups_path), cgroups_path);
		r = r < 0 ? r : str_format(prefix, sizeof(prefix), "%.*s", (int) (b - a - 1), a + 1);
		r = r < 0 ? r : str_format(name, sizeof(name), "%s", b + 1);
	}
	if (r >= 0 && !*slice)
		r = str_copy(slice, sizeof(slice), guest ? "user.slice" : "system.slice");
	if (r >= 0)
		r = str_format(ret->unit, sizeof(ret->unit), "%s%s%s.scope", prefix, *prefix ? "-" : "", name);
	if (r < 0 || strpbrk(ret->unit, "/ \n") || strpbrk(slice, "/ \n"))
		return err_set(err, ERR_INVALID, "linux.cgroupsPath: '%.200s': too long, or not the name of a unit", cgroups_path ? cgroups_path : id);
	(void) memcpy(ret->slice, slice, sizeof(slice));
	return 0;
}

int systemd_scope_request(const struct runtime_spec *spec, const struct systemd_names *names, const char *id, pid_t holder, int version, bool guest, struct strbuf *body,
			  struct err *err)
{
	char text[300];
	dbus_put_str(body, names->unit);
	dbus_put_str(body, "replace");
	size_t props = dbus_begin_array(body, 8);
	(void) snprintf(text, sizeof(text), "container %s", id);
	systemd_put_str(body, "Description", text);
	systemd_put_str(body, "Slice", names->slice);
	systemd_put_bool(body, "Delegate", true);
	systemd_put_bool(body, "DefaultDependencies", false); /* a container is stopped by its engine, not by systemd's order */
	systemd_put_str(body, "CollectMode", "inactive-or-failed");
	systemd_put_bool(body, "CPUAccounting", true);
	systemd_put_bool(body, "MemoryAccounting", true);
	systemd_put_bool(body, "TasksAccounting", true);
	systemd_put_bool(body, version == 1 ? "BlockIOAccounting" : "IOAccounting", true);
	systemd_put_pids(body, holder);
	int r = systemd_put_limits(body, &spec->resources, version, !guest, err);
	if (r == 0)
		r = systemd_put_annotations(body, spec->annotations, spec->n_annotations, err);
	dbus_end_array(body, props, 8);
	dbus_end_array(body, dbus_begin_array(body, 8), 8); /* no auxiliary units */
	if (r == 0 && strbuf_err(body) < 0)
		r = err_sys(err, strbuf_err(body), "linux.resources: too much for one scope");
	return r;
}

/* Somebody must be in a scope from its first moment. */
static pid_t fork_holder(void)
{
	pid_t us = getpid(), pid = fork();
	if (pid != 0)
		return pid < 0 ? -errno : pid;
	(void) prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	if (getppid() != us)
		_exit(0);
	for (int i = 0; i < 3; i++)
		(void) close(i); /* a pipe's reader shall not wait for us */
	(void) close_range(3, ~0U, 0);
	for (;;)
		(void) pause();
}

void systemd_scope_placed(struct sandbox *s)
{
	if (s->scope_holder <= 0)
		return;
	(void) kill(s->scope_holder, SIGKILL); /* our own unreaped child */
	(void) process_wait(s->scope_holder, NULL);
	s->scope_holder = 0;
}

/* Where systemd put the holder: on v1 the same path in each hierarchy, though it has moved it in a few only. */
static int holder_path(const struct cgroup_layout *l, pid_t holder, char *path, struct err *err)
{
	char all[CGROUP_PATH_MAX];
	int r = cgroup_path_of_pid(l, holder, all);
	if (r == 0)
		r = cgroup_path_in_hierarchy(all, cgroup_is_unified(l) ? CG_CONTROLLER_MAX_ : CG_SYSTEMD, path);
	if (r < 0)
		return err_sys(err, r, "looking for the scope's cgroup");
	return 0;
}

int systemd_scope_start(struct sandbox *s, char *path, struct err *err)
{
	_cleanup_(dbus_close) struct dbus_bus bus = DBUS_BUS_NULL;
	_cleanup_strbuf_ struct strbuf body = STRBUF_INIT(BODY_MAX);
	struct systemd_names names;
	struct cgroup_layout layout;
	const char *id = s->id ? s->id : "container";
	bool guest = s->rootless || s->nested;
	int r = cgroup_layout_read(&layout);
	if (r < 0)
		return err_sys(err, r, "looking for cgroups");
	r = systemd_scope_names(s->spec->cgroups_path, id, guest, &names, err);
	if (r == 0)
		r = connect_manager(&bus, err);
	if (r < 0)
		return r;
	s->scope_holder = fork_holder();
	if (s->scope_holder < 0)
		return err_sys(err, s->scope_holder, "fork");
	r = systemd_scope_request(s->spec, &names, id, s->scope_holder, cgroup_is_unified(&layout) ? 2 : 1, guest, &body, err);
	struct job job = {.unit = names.unit};
	if (r == 0)
		r = run_job(&bus, &job, "StartTransientUnit", "ssa(sv)a(sa(sv))", &body, err);
	if (r == 0)
		r = holder_path(&layout, s->scope_holder, path, err);
	if (r < 0)
		systemd_scope_placed(s); /* an empty scope is gone */
	return r;
}

static const char *unit_of(const char *cgroup_path, char *buf, size_t size)
{
	size_t n = strcspn(cgroup_path, "\n");
	while (n > 0 && cgroup_path[n - 1] == '/')
		n--;
	size_t start = n;
	while (start > 0 && cgroup_path[start - 1] != '/')
		start--;
	return str_format(buf, size, "%.*s", (int) (n - start), cgroup_path + start) > 0 ? buf : NULL;
}

int systemd_scope_update(const char *cgroup_path, const struct resources_spec *r, struct err *err)
{
	_cleanup_(dbus_close) struct dbus_bus bus = DBUS_BUS_NULL;
	_cleanup_strbuf_ struct strbuf body = STRBUF_INIT(BODY_MAX);
	struct cgroup_layout layout;
	char unit[256];
	int e = cgroup_layout_read(&layout);
	if (e < 0 || !unit_of(cgroup_path, unit, sizeof(unit)))
		return err_sys(err, e < 0 ? e : -EINVAL, "the scope of '%.200s'", cgroup_path);
	dbus_put_str(&body, unit);
	dbus_put_bool(&body, true); /* runtime: for as long as it lives */
	size_t props = dbus_begin_array(&body, 8), empty = body.len;
	e = systemd_put_limits(&body, r, cgroup_is_unified(&layout) ? 2 : 1, !is_guest(), err);
	dbus_end_array(&body, props, 8);
	if (e < 0 || body.len == empty)
		return e;
	if (strbuf_err(&body) < 0)
		return err_sys(err, strbuf_err(&body), "linux.resources: too much for one scope");
	e = connect_manager(&bus, err);
	if (e == 0)
		e = call_manager(&bus, "SetUnitProperties", "sba(sv)", &body, err);
	return e < 0 ? err_wrap(err, "systemd: %s", unit) : 0;
}

static bool is_no_unit(const struct err *err)
{
	return err->sys == -EREMOTEIO && strstr(err->msg, "org.freedesktop.systemd1.NoSuchUnit");
}

int systemd_scope_stop(const char *cgroup_path, struct err *err)
{
	_cleanup_(dbus_close) struct dbus_bus bus = DBUS_BUS_NULL;
	_cleanup_strbuf_ struct strbuf body = STRBUF_INIT(BODY_MAX), name = STRBUF_INIT(BODY_MAX);
	char unit[256];
	if (!unit_of(cgroup_path, unit, sizeof(unit)))
		return err_set(err, ERR_INVALID, "'%.200s' is not the cgroup of a scope", cgroup_path);
	int r = connect_manager(&bus, err);
	if (r < 0)
		return r;
	dbus_put_str(&body, unit);
	dbus_put_str(&body, "replace");
	struct job job = {.unit = unit};
	r = run_job(&bus, &job, "StopUnit", "ss", &body, err);
	if (r < 0)
		return is_no_unit(err) ? 0 : r;
	struct err ignored;
	dbus_put_str(&name, unit);
	(void) call_manager(&bus, "ResetFailedUnit", "s", &name, &ignored); /* most often it is forgotten already */
	return 0;
}

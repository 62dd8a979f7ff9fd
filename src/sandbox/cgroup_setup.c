/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A container's cgroups when it is made and when a process joins: where they are, who makes them, what is written to them.
 *   engine           coffer/TENANT/ID in the hierarchies that its limits need
 *   foreign document the path that cgroupsPath names in every hierarchy of the host: absolute from the root, relative as seen from the caller; one by
 *                    the container's id when none is named; a scope of systemd's when the caller asked for that
 * Who may not write to any cgroup goes without, as long as nothing was asked of them.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/fd.h"
#include "sandbox/cgroup_knobs.h"
#include "sandbox/device_filter.h"
#include "sandbox/internal.h"

static bool is_guest(const struct sandbox *s)
{
	return s->rootless || s->nested;
}

/* Where a foreign document's cgroups go. Return: 0 with *@path. */
static int foreign_path(struct sandbox *s, char *path, struct err *err)
{
	const char *asked = s->spec->cgroups_path;
	char name[300];
	int r;
	if (s->flags & SANDBOX_SYSTEMD_CGROUP) {
		if (!s->scope_start)
			return err_set(err, ERR_UNSUPPORTED, "linux.cgroupsPath: the systemd driver is not part of this program");
		return s->scope_start(s, path, err);
	}
	if (!str_empty(asked) && asked[0] == '/')
		r = str_copy(path, CGROUP_PATH_MAX, asked);
	else {
		struct cgroup_layout layout;
		r = str_empty(asked) ? str_format(name, sizeof(name), "coffer-oci-%s", s->id ? s->id : "container") : str_copy(name, sizeof(name), asked);
		if (r >= 0 && str_empty(asked) && !is_guest(s))
			r = str_format(path, CGROUP_PATH_MAX, "/%s", name);
		else if (r >= 0) {
			r = cgroup_layout_read(&layout);
			if (r == 0)
				r = cgroup_path_below_own(&layout, name, path);
			if (r == -ENOENT) /* no hierarchy at all */
				r = str_copy(path, CGROUP_PATH_MAX, name);
		}
	}
	return r < 0 ? err_set(err, ERR_INVALID, "linux.cgroupsPath: '%.200s' must name a cgroup below a root, without '..', in less than %d characters", asked ? asked : name, CGROUP_PATH_MAX) : 0;
}

static int tell_create(struct sandbox *s, int r, const char *failed, const char *path, struct err *err)
{
	switch (r) {
	case -EADDRINUSE:
		return err_set(err, ERR_CONFLICT, "linux.cgroupsPath: '%.200s' has processes in it already (%s)", path, failed);
	case -EBUSY:
		if (sandbox_obeys(s))
			return err_set(err, ERR_CONFLICT, "linux.cgroupsPath: '%.200s' is frozen, or its parent has processes of its own (%s)", path, failed);
		break;
	case -EINVAL:
		return err_set(err, ERR_INVALID, "linux.cgroupsPath: '%.200s' must name a cgroup below a root, without '..'", path);
	}
	return err_sys(err, r, "%s: creating '%s'", failed, path);
}

/* Whether the container can go on without cgroups: this caller could not have had any, and would not have used them. */
static int go_without(struct sandbox *s, int r, const char *failed, const char *path, struct err *err)
{
	bool denied = r == -EACCES || r == -EPERM || r == -EROFS || r == -ENOENT;
	if (!is_guest(s) || !denied)
		return tell_create(s, r, failed, path, err);
	const char *asked = knobs_first_asked(&s->spec->resources, false);
	return asked ? err_set(err, ERR_UNSUPPORTED, "%s: '%.200s' cannot be made by this user: no cgroup is writable (delegation: see docs/cgroups.md)", asked, path) : 0;
}

/* Hierarchies for a foreign document: all of v1's, as runc does; on a host that has both, v2 only for what v1 lacks and the document asks for. */
static unsigned foreign_controllers(const struct sandbox *s, const struct cgroup_layout *l)
{
	const struct resources_spec *r = &s->spec->resources;
	unsigned mask = knobs_controllers(r);
	if (r->n_devices && !is_guest(s))
		mask |= 1u << CG_DEVICES;
	if (cgroup_is_unified(l) || r->n_unified)
		return CG_ALL;
	for (int c = 0; c < CG_CONTROLLER_MAX_; c++)
		if (cgroup_has(l, (enum cg_controller) c) == 1)
			mask |= 1u << c;
	return mask;
}

static int create(struct sandbox *s, const char *path, struct err *err)
{
	const char *failed;
	unsigned controllers = s->plan.controllers, flags = 0;
	if (sandbox_obeys(s)) {
		struct cgroup_layout layout;
		int r = cgroup_layout_read(&layout);
		if (r < 0)
			return err_sys(err, r, "looking for cgroups");
		controllers = foreign_controllers(s, &layout);
		/* systemd has made the scope's own directories, with somebody in them who keeps its place */
		flags = CGROUP_FOREIGN | (s->flags & SANDBOX_SYSTEMD_CGROUP ? CGROUP_SWITCHED : CGROUP_EMPTY) | (is_guest(s) ? CGROUP_WRITABLE : 0);
	}
	int r = cgroup_create(&s->cgroup, path, controllers, flags, &failed);
	return r < 0 ? go_without(s, r, failed, path, err) : 0;
}

int cgroup_setup(struct sandbox *s, struct err *err)
{
	char own[CGROUP_PATH_MAX];
	const char *path = s->ext->cgroup_path ? s->ext->cgroup_path : s->spec->cgroups_path;
	int r = 0;
	if (s->flags & SANDBOX_NO_CGROUP)
		return 0;
	if (sandbox_obeys(s)) {
		r = foreign_path(s, own, err);
		path = own;
	}
	if (r < 0 || !path)
		return r;
	r = create(s, path, err);
	if (r < 0)
		return r;
	s->n_join = cgroup_join_fds(&s->cgroup, s->join_fds);
	if (s->n_join < 0)
		return err_sys(err, s->n_join, "opening tasks of '%s'", path);
	if (s->n_join == 0 && s->cgroup.v2 < 0)
		s->cgroup.path[0] = '\0'; /* there is none */
	return 0;
}

int cgroup_limits(struct sandbox *s, struct err *err)
{
	const struct resources_spec *r = &s->spec->resources;
	bool foreign = sandbox_obeys(s);
	struct knob_run run = {.cg = &s->cgroup, .r = r, .update = foreign && !s->cgroup.made};
	if (s->flags & SANDBOX_NO_CGROUP)
		return 0;
	int e = knobs_write(&run, err);
	/* who is not host root can make no node and load no filter; the kernel refuses both (device_cgroup.rst, bpf(2)) */
	return e == 0 && !is_guest(s) ? device_filter_apply(&s->cgroup, r, foreign, err) : e;
}

/* The cgroup of the container's first process where that is deeper: a v2 cgroup that has children with controllers takes no processes itself. */
static int first_process_cgroup(const struct cgroup *cg, pid_t pid)
{
	char path[CGROUP_PATH_MAX];
	struct cgroup deeper;
	if (cgroup_path_of_pid(&cg->layout, pid, path) < 0 || cgroup_open(&deeper, path) < 0)
		return -EBADF;
	int fd = take_fd(&deeper.v2);
	cgroup_done(&deeper);
	return fd;
}

int cgroup_enter(struct sandbox *s, const char *path, pid_t pid, int *ret_deeper, struct err *err)
{
	*ret_deeper = -EBADF;
	if (str_empty(path) || s->flags & SANDBOX_NO_CGROUP)
		return 0;
	int r = cgroup_open(&s->cgroup, path);
	if (r < 0)
		return err_sys(err, r, "opening '%s'", path);
	s->n_join = cgroup_join_fds(&s->cgroup, s->join_fds);
	if (s->n_join < 0)
		return err_sys(err, s->n_join, "opening tasks of '%s'", path);
	if (s->cgroup.v2 >= 0 && cgroup_is_unified(&s->cgroup.layout))
		*ret_deeper = first_process_cgroup(&s->cgroup, pid);
	return 0;
}

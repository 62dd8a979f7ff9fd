/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/container.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "sandbox/cgroup_ops.h"
#include "sandbox/hooks.h"
#include "sandbox/sandbox.h"

#define CONFIG_BYTES_MAX (8u << 20)
#define CONTAINERS_MAX 65536
#define POSTSTART_MS 20

void container_done(struct container *c)
{
	container_unlock(c);
	c->root = safe_close(c->root);
	c->dir = safe_close(c->dir);
	c->rec = record_free(c->rec);
}

static int not_found(const char *id, struct err *err)
{
	return err_set(err, ERR_NOT_FOUND, "container '%s' does not exist", id);
}

static int set_id(struct container *c, const char *id, struct err *err)
{
	int r = container_id_check(id, err);
	if (r < 0)
		return r;
	r = str_copy(c->id, sizeof(c->id), id);
	return r < 0 ? err_sys(err, r, "container id '%.40s...' (%zu bytes)", id, strlen(id)) : 0;
}

static int read_record(struct container *c, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	ssize_t n = read_file(c->dir, CONTAINER_STATE, RECORD_BYTES_MAX, &text);
	if (n == -ENOENT)
		return -ENOENT;
	if (n < 0)
		return err_sys(err, (int) n, "container '%s': reading its state", c->id);
	int r = record_parse(text, (size_t) n, &c->rec, err);
	return r < 0 ? err_wrap(err, "container '%s'", c->id) : 0;
}

/* -ENOENT without @err: no state.json */
static int open_dir(const struct oci *o, const char *id, struct container *c, struct err *err)
{
	int r = set_id(c, id, err);
	if (r < 0)
		return r;
	c->root = open(o->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	c->dir = c->root < 0 ? -errno : openat(c->root, c->id, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (c->dir < 0) {
		r = c->root < 0 ? c->dir : -errno;
		c->dir = -EBADF;
		return r == -ENOENT ? not_found(id, err) : err_sys(err, r, "container '%s' below '%s'", id, o->root);
	}
	return 0;
}

int container_open_any(const struct oci *o, const char *id, struct container *ret, struct err *err)
{
	int r = open_dir(o, id, ret, err);
	if (r < 0)
		return r;
	struct err why = {};
	r = read_record(ret, &why);
	if (r < 0 && why.kind != ERR_NONE)
		*err = why;
	return r < 0 && why.kind != ERR_NONE ? r : 0;
}

int container_open(const struct oci *o, const char *id, struct container *ret, struct err *err)
{
	int r = container_open_any(o, id, ret, err);
	return r == 0 && !ret->rec ? not_found(id, err) : r;
}

static bool is_linked(int dir)
{
	struct stat st;
	return fstat(dir, &st) == 0 && st.st_nlink > 0;
}

int container_lock(struct container *c, struct err *err)
{
	int r;
	do
		r = flock(c->dir, LOCK_EX);
	while (r < 0 && errno == EINTR);
	if (r < 0)
		return err_sys(err, -errno, "locking container '%s'", c->id);
	c->locked = true;
	if (!is_linked(c->dir))
		return not_found(c->id, err);
	return 0;
}

void container_unlock(struct container *c)
{
	if (c->locked)
		(void) flock(c->dir, LOCK_UN); /* explicitly: init may hold the description still (E4) */
	c->locked = false;
}

static int make_root(const struct oci *o, struct err *err)
{
	for (size_t i = 1; o->root[i]; i++) {
		char part[PATH_MAX];
		if (o->root[i] != '/')
			continue;
		(void) str_format(part, sizeof(part), "%.*s", (int) i, o->root);
		if (mkdir(part, 0755) < 0 && errno != EEXIST)
			return err_sys(err, -errno, "--root: making '%s'", part);
	}
	if (mkdir(o->root, 0700) < 0 && errno != EEXIST)
		return err_sys(err, -errno, "--root: making '%s'", o->root);
	return 0;
}

static int open_root(const struct oci *o, struct container *c, struct err *err)
{
	c->root = open(o->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (c->root < 0 && errno == ENOENT) {
		int r = make_root(o, err);
		if (r < 0)
			return r;
		c->root = open(o->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	}
	return c->root < 0 ? err_sys(err, -errno, "--root: opening '%s'", o->root) : 0;
}

/* Where the killed create would have made its cgroups. Only a path that is certain: an empty one elsewhere does no harm. */
static void clear_cgroups(const struct oci *o, const struct container *c)
{
	_cleanup_runtime_spec_ struct runtime_spec *spec = NULL;
	_cleanup_free_ pid_t *pids = NULL;
	size_t n = 0;
	struct err ignored;
	char path[CGROUP_PATH_MAX];
	if (o->sandbox_flags & (SANDBOX_SYSTEMD_CGROUP | SANDBOX_NO_CGROUP) || container_config(c, &spec, &ignored) < 0)
		return;
	int r = str_empty(spec->cgroups_path) ? str_format(path, sizeof(path), "/coffer-oci-%s", c->id) : str_copy(path, sizeof(path), spec->cgroups_path);
	if (r < 0 || path[0] != '/')
		return;
	/* the killed create's init sees its end and leaves: a process on its way out is still a member for a moment */
	for (int i = 0; i < 100; i++) {
		free(pids);
		pids = NULL;
		if (sandbox_pids(path, o->sandbox_flags, &pids, &n, &ignored) < 0)
			return;
		if (n == 0)
			break;
		(void) nanosleep(&(struct timespec) {.tv_nsec = 10000000}, NULL);
	}
	if (n > 0)
		return;
	(void) sandbox_remove(path, o->sandbox_flags, &ignored); /* empty, and the next create removes or uses it */
}

int container_clear(const struct oci *o, struct container *c, struct err *err)
{
	clear_cgroups(o, c);
	return container_forget(c, err);
}

/* A directory without a record that nobody has locked was left by a create that was killed: its init has died with it. */
static int take_over(const struct oci *o, struct container *c, struct err *err)
{
	int r = 0;
	c->dir = openat(c->root, c->id, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (c->dir < 0 || flock(c->dir, LOCK_EX | LOCK_NB) < 0 || faccessat(c->dir, CONTAINER_STATE, F_OK, 0) == 0)
		r = err_set(err, ERR_CONFLICT, "container with id '%s' already exists", c->id);
	else if (is_linked(c->dir))
		r = container_clear(o, c, err);
	c->dir = safe_close(c->dir);
	return r;
}

int container_create(const struct oci *o, const char *id, struct container *ret, struct err *err)
{
	int r = set_id(ret, id, err);
	r = r < 0 ? r : open_root(o, ret, err);
	if (r < 0)
		return r;
	for (int tries = 0;; tries++) {
		if (mkdirat(ret->root, ret->id, 0700) == 0)
			break;
		if (errno != EEXIST)
			return err_sys(err, -errno, "container '%s': making its directory", id);
		if (tries == 2)
			return err_set(err, ERR_CONFLICT, "container with id '%s' already exists", id);
		r = take_over(o, ret, err);
		if (r < 0)
			return r;
	}
	ret->dir = openat(ret->root, ret->id, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (ret->dir < 0)
		return err_sys(err, -errno, "container '%s': opening its directory", id);
	r = container_lock(ret, err);
	/* between our mkdir and our lock somebody may have taken the directory for an abandoned one, and made the container */
	if (r < 0 || faccessat(ret->dir, CONTAINER_CONFIG, F_OK, 0) == 0)
		return err_set(err, ERR_CONFLICT, "container with id '%s' already exists", id);
	return 0;
}

int container_save(struct container *c, struct err *err)
{
	_cleanup_strbuf_ struct strbuf b = STRBUF_INIT(RECORD_BYTES_MAX);
	int r = record_write(c->rec, &b, err);
	if (r < 0)
		return r;
	r = write_file_atomic(c->dir, CONTAINER_STATE, b.s, b.len, 0600);
	return r < 0 ? err_sys(err, r, "container '%s': writing its state", c->id) : 0;
}

int container_config(const struct container *c, struct runtime_spec **ret, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	ssize_t n = read_file(c->dir, CONTAINER_CONFIG, CONFIG_BYTES_MAX, &text);
	if (n < 0)
		return err_sys(err, (int) n, "container '%s': reading its copy of config.json", c->id);
	return runtime_spec_parse(text, (size_t) n, ret, err);
}

int container_forget(struct container *c, struct err *err)
{
	int r = rm_rf_at(c->root, c->id);
	return r < 0 ? err_sys(err, r, "container '%s': removing its directory", c->id) : 0;
}

unsigned container_flags(const struct container *c)
{
	return SANDBOX_OBEY | (c->rec->systemd_cgroup ? SANDBOX_SYSTEMD_CGROUP : 0) | (*c->rec->cgroup_path ? 0 : SANDBOX_NO_CGROUP);
}

enum status container_status(const struct container *c)
{
	if (!c->rec)
		return STATUS_CREATING;
	if (!proc_is(c->rec->pid, c->rec->start_ticks))
		return STATUS_STOPPED;
	if (faccessat(c->dir, CONTAINER_START, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return STATUS_CREATED;
	struct err ignored;
	return *c->rec->cgroup_path && sandbox_is_paused(c->rec->cgroup_path, container_flags(c), &ignored) > 0 ? STATUS_PAUSED : STATUS_RUNNING;
}

const char *status_name(enum status s)
{
	static const char *const names[] = {"creating", "created", "running", "paused", "stopped"};
	static_assert(ARRAY_LEN(names) == STATUS_MAX_, "every status has a name");
	return names[s];
}

int container_pidfd(const struct container *c)
{
	int fd = process_pidfd(c->rec->pid);
	if (fd >= 0 && !proc_is(c->rec->pid, c->rec->start_ticks)) {
		(void) safe_close(fd);
		return -ESRCH;
	}
	return fd;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *) a, *(char *const *) b);
}

int container_ids(const struct oci *o, char ***ret, struct err *err)
{
	_cleanup_strv_ char **v = NULL;
	DIR *d = opendir(o->root);
	if (!d && errno != ENOENT)
		return err_sys(err, -errno, "--root: reading '%s'", o->root);
	size_t n = 0;
	int r = 0;
	for (struct dirent *e; r == 0 && d && (e = readdir(d));) {
		if (container_id_check(e->d_name, NULL) < 0 || (e->d_type != DT_DIR && e->d_type != DT_UNKNOWN))
			continue;
		r = n++ < CONTAINERS_MAX ? strv_push(&v, e->d_name) : -E2BIG;
	}
	if (d)
		(void) closedir(d);
	if (r < 0)
		return err_sys(err, r, "--root: reading '%s'", o->root);
	if (v)
		qsort(v, n, sizeof(*v), by_name);
	*ret = take_ptr(v);
	return 0;
}

int container_hooks(const struct container *c, const struct runtime_spec *spec, enum hook_point point, enum status status, struct err *err)
{
	const struct oci_state s = {
		.id = c->id, .status = status_name(status), .bundle = c->rec->bundle, .pid = status == STATUS_STOPPED ? 0 : c->rec->pid, .spec = spec,
	};
	return hooks_run(spec, point, &s, err);
}

void container_poststart(const struct oci *o, const struct container *c, const struct runtime_spec *spec)
{
	_cleanup_runtime_spec_ struct runtime_spec *own = NULL;
	struct err why;
	int r = 0;
	if (!c->rec->has_poststart)
		return;
	_cleanup_close_ int pidfd = container_pidfd(c);
	if (pidfd >= 0)
		(void) poll(&(struct pollfd) {.fd = pidfd, .events = POLLIN}, 1, POSTSTART_MS);
	if (!spec) {
		r = container_config(c, &own, &why);
		spec = own;
	}
	r = r < 0 ? r : container_hooks(c, spec, HOOK_POSTSTART, STATUS_RUNNING, &why);
	if (r < 0)
		oci_log(o, OCI_LOG_WARN, "%s, ignoring", why.msg);
}

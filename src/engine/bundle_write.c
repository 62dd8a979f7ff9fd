/* SPDX-License-Identifier: Apache-2.0 */
/* The bundle directory RUN/containers/ID (0700): config.json and the generated files; and the container's directory on disk. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fault.h"
#include "engine/internal.h"
#include "engine/naming.h"
#include "engine/share.h"
#include "seccomp/cache.h"

#define CONFIG_MAX (4u << 20)

int bundle_open(struct engine *e, const char *id)
{
	char path[96];
	(void) str_format(path, sizeof(path), "containers/%s", id);
	int fd = openat(e->run_fd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int bundle_remove(struct engine *e, const char *id)
{
	_cleanup_close_ int top = openat(e->run_fd, "containers", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (top < 0)
		return errno == ENOENT ? 0 : -errno;
	return trash_put(e->run_fd, top, id);
}

int container_dir_open(struct engine *e, const char *id, bool make)
{
	char path[96];
	(void) str_format(path, sizeof(path), "containers/%s", id);
	if (make && mkdirat(e->state_fd, path, 0700) < 0 && errno != EEXIST)
		return -errno;
	int fd = openat(e->state_fd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* Seccomp */

int seccomp_prepare(struct engine *e, const struct container_request *req, char *path, char *name, size_t name_size, char hash[65], uint32_t *ret_flags, struct err *err)
{
	struct security sec;
	struct seccomp_env env;
	struct seccomp_filter f;
	uint64_t caps;
	int rc = security_parse(req, &sec, err);
	rc = rc < 0 ? rc : caps_resolve(req, &caps, err);
	if (rc < 0)
		return rc;
	path[0] = hash[0] = '\0';
	*ret_flags = 0;
	(void) str_copy(name, name_size, sec.seccomp_unconfined ? "unconfined" : sec.seccomp_json ? "custom" : "default"); /* fits */
	if (sec.seccomp_unconfined)
		return 0;
	_cleanup_close_ int top = mkdir_open_at(e->state_fd, "cache", 0700);
	_cleanup_close_ int dir = top < 0 ? top : mkdir_open_at(top, "seccomp", 0700);
	if (dir < 0)
		return err_sys(err, dir, "opening the seccomp cache");
	seccomp_env_init(&env);
	env.caps = caps;
	struct seccomp_source src = {.json = sec.seccomp_json, .len = sec.seccomp_json ? strlen(sec.seccomp_json) : 0, .what = "seccomp profile"};
	rc = seccomp_filter_get(dir, &src, &env, &f, err);
	if (rc < 0)
		return rc;
	(void) str_copy(hash, 65, f.hash); /* the same size */
	*ret_flags = f.flags;
	rc = str_format(path, MONITOR_PATH_MAX, "%s/cache/seccomp/%s", e->state_dir, f.name);
	return rc < 0 ? err_sys(err, rc, "the path of the seccomp filter") : 0;
}

/* Generated files */

static int write_config(int dir, const struct bundle_plan *b, struct err *err)
{
	_cleanup_runtime_spec_ struct runtime_spec *s = NULL;
	_cleanup_strbuf_ struct strbuf out = STRBUF_INIT(CONFIG_MAX);
	int rc = bundle_spec(b, &s, err);
	rc = rc < 0 ? rc : runtime_spec_write(s, &out, err);
	if (rc < 0)
		return rc;
	_cleanup_close_ int fd = openat(dir, "config.json", O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	rc = fd < 0 ? -errno : write_all(fd, out.s, out.len);
	return rc < 0 ? err_sys(err, rc, "writing 'config.json' into the bundle") : 0;
}

/* What the container may write to lies on the disk, beside its writable layer: in the bundle it could fill the host's /run. */
static int write_seen_files(struct engine *e, const struct bundle_plan *b, struct err *err)
{
	static const char *const seen[] = {"hosts", "hostname", "resolv.conf"};
	_cleanup_close_ int dir = container_dir_open(e, b->c->id, /* make= */ false);
	int rc = dir < 0 ? err_sys(err, dir, "opening the container's directory") : etc_write(dir, &b->naming->etc, err);
	return rc < 0 ? rc : labels_files(b->labels, dir, seen, ARRAY_LEN(seen), err);
}

/* Layers of the image, remembered from create when the container starts in the same process. */
static int layers_of(struct engine *e, const struct container *c, char ***ret, struct err *err)
{
	(void) pthread_mutex_lock(&e->lock);
	int rc = str_eq(e->layers_of, c->image_id) ? strv_dup(e->layers, ret) : 1;
	(void) pthread_mutex_unlock(&e->lock);
	if (rc <= 0)
		return rc < 0 ? err_oom(err) : 0;
	_cleanup_image_ struct image *img = NULL;
	rc = image_find(e->images, c->tenant, c->image_id, &img, err);
	if (rc == 0)
		return err_set(err, ERR_NOT_FOUND, "the image '%s' of this container is gone", c->image_id);
	return rc < 0 ? rc : image_layer_paths(e->images, img, ret, err);
}

/*
 * The lowest layer of every container: the mount points that every container has. Without it a start would make what the image
 * lacks in the writable layer, file by file, and `diff` would show it. Whatever the image has at these places wins.
 */
#define SKELETON "layers/skeleton"

static const char *const skeleton_dirs[] = {"fs", "fs/dev", "fs/proc", "fs/sys", "fs/etc"};
static const char *const skeleton_files[] = {"fs/etc/hosts", "fs/etc/hostname", "fs/etc/resolv.conf"};

static int make_skeleton(int dfd)
{
	for (size_t i = 0; i < ARRAY_LEN(skeleton_dirs); i++)
		if ((mkdirat(dfd, skeleton_dirs[i], 0755) < 0 && errno != EEXIST) || fchmodat(dfd, skeleton_dirs[i], 0755, 0) < 0)
			return -errno;
	for (size_t i = 0; i < ARRAY_LEN(skeleton_files); i++) {
		_cleanup_close_ int fd = openat(dfd, skeleton_files[i], O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644);
		if (fd < 0 || fchmod(fd, 0644) < 0)
			return -errno;
	}
	return 0;
}

static int add_skeleton(struct engine *e, char ***layers, struct err *err)
{
	struct stat st;
	/* the last file that is made: once it is there the rest is */
	if (fstatat(e->state_fd, SKELETON "/fs/etc/resolv.conf", &st, AT_SYMLINK_NOFOLLOW) < 0) {
		_cleanup_close_ int parent = mkdir_open_at(e->state_fd, "layers", 0700);
		_cleanup_close_ int dir = parent < 0 ? parent : mkdir_open_at(parent, "skeleton", 0755);
		int rc = dir < 0 ? dir : make_skeleton(dir);
		if (rc < 0)
			return err_sys(err, rc, "making '%s/" SKELETON "'", e->state_dir);
	}
	return strv_push_take(layers, str_printf("%s/" SKELETON "/fs", e->state_dir)) < 0 ? err_oom(err) : 0;
}

static int volume_paths(struct engine *e, char *const *names, char ***ret, struct err *err)
{
	STRV_FOREACH(name, names) {
		int rc = volume_dir_check(e, name, err);
		if (rc < 0)
			return rc;
		if (strv_push_take(ret, volume_path(e, name)) < 0)
			return err_oom(err);
	}
	return 0;
}

enum { DIRS_FILES = 2, DIRS_ALL = 3 }; /* how many of make_dir_rows()' */

/* The log comes last, and only with a start: that it is there says that there was one (state.c). */
static int make_dir_rows(struct engine *e, const struct container *c, size_t n, int *ret_dir, struct err *err)
{
	static const struct {
		const char *name;
		mode_t mode;
	} dirs[DIRS_ALL] = {{"upper", 0755}, {"work", 0755}, {"log", 0700}};
	_cleanup_close_ int dir = container_dir_open(e, c->id, /* make= */ true);
	if (dir < 0)
		return err_sys(err, dir, "making the container's directory");
	if (c->req->auto_remove) /* its overlay was volatile: the kernel's mark in there forbids a second mount (overlayfs.rst "Volatile mount") */
		(void) rm_rf_at(dir, "work"); /* a first start has none; what is left is told by the mount */
	for (size_t i = 0; i < n; i++)
		if (mkdirat(dir, dirs[i].name, dirs[i].mode) < 0) {
			if (errno != EEXIST)
				return err_sys(err, -errno, "making '%s' of the container", dirs[i].name);
		} else if (fchmodat(dir, dirs[i].name, dirs[i].mode, 0) < 0)
			return err_sys(err, -errno, "making '%s' of the container", dirs[i].name);
	*ret_dir = take_fd(&dir);
	return 0;
}

static int make_dirs(struct engine *e, const struct container *c, const struct labels *labels, struct err *err)
{
	_cleanup_close_ int dir = -EBADF;
	int rc = make_dir_rows(e, c, DIRS_ALL, &dir, err);
	if (rc < 0)
		return rc;
	_cleanup_free_ char *init = c->req->init == 1 ? str_printf("%s/coffer-init", e->libexec_dir) : NULL;
	return init ? labels_init_program(labels, init, dir, err) : 0;
}

/* -v with a source that is not there: an empty directory of root's, as docker makes. */
static int make_bind_sources(const struct container_request *r, struct err *err)
{
	for (size_t i = 0; i < r->n_mounts; i++) {
		const struct mount_request *m = &r->mounts[i];
		if (m->kind != MOUNT_BIND || !m->create_source || access(m->source, F_OK) == 0)
			continue;
		_cleanup_free_ char *path = strdup(m->source);
		if (!path)
			return err_oom(err);
		for (char *p = path + 1;; p++) {
			if (*p && *p != '/')
				continue;
			char end = *p;
			*p = '\0';
			if (mkdir(path, 0755) < 0 && errno != EEXIST)
				return err_sys(err, -errno, "making the bind source '%s'", path);
			*p = end;
			if (!end)
				break;
		}
	}
	return 0;
}

int bundle_begin(struct engine *e, const char *id, struct err *err)
{
	_cleanup_close_ int top = mkdir_open_at(e->run_fd, "containers", 0700);
	_cleanup_close_ int dir = top < 0 ? top : mkdir_open_at(top, id, 0700);
	return dir < 0 ? err_sys(err, dir, "making the bundle") : 0;
}

int bundle_write(struct engine *e, const struct container *c, const struct network_plan *networks, const struct naming *naming, struct err *err)
{
	_cleanup_strv_ char **layers = NULL, **targets = NULL, **names = NULL, **paths = NULL;
	char seccomp[MONITOR_PATH_MAX], profile[32], hash[65];
	uint32_t flags = 0;
	struct idrange_map map;
	struct labels labels;
	char runtime[PATH_MAX];
	_cleanup_shares_ struct shares shares = {0};
	bool foreign = runtime_is_foreign(c->req);
	_cleanup_free_ char *bundle = str_printf("%s/containers/%s", e->run_dir, c->id);
	if (!bundle)
		return err_oom(err);
	int rc = layers_of(e, c, &layers, err);
	rc = rc < 0 ? rc : add_skeleton(e, &layers, err);
	rc = rc < 0 ? rc : volumes_of(e, c->id, &targets, &names, err);
	rc = rc < 0 ? rc : volume_paths(e, names, &paths, err);
	rc = rc < 0 ? rc : seccomp_prepare(e, c->req, seccomp, profile, sizeof(profile), hash, &flags, err);
	if (rc >= 0 && c->idmap)
		rc = idrange_load(e->ids, c->idmap, &map, err);
	rc = rc < 0 || !foreign ? rc : runtime_path(e, c->req->runtime, runtime, err);
	rc = rc < 0 ? rc : shares_find(e, c, &shares, err);
	rc = rc < 0 ? rc : make_bind_sources(c->req, err);
	rc = rc < 0 ? rc : labels_prepare(e, c, &labels, err);
	rc = rc < 0 ? rc : fault_point("engine.bundle.planned", err);
	rc = rc < 0 ? rc : make_dirs(e, c, &labels, err);
	rc = rc < 0 ? rc : labels_mounts(&labels, c, targets, paths, err);
	if (rc < 0)
		return rc;
	struct bundle_plan b = {
		.c = c, .networks = networks, .naming = naming, .run_dir = e->run_dir, .shares = &shares, .labels = &labels, .map = c->idmap ? &map : NULL, .layers = layers, .state_dir = e->state_dir, .bundle_dir = bundle, .libexec_dir = e->libexec_dir, .runtime = foreign ? runtime : NULL,
		.seccomp_path = seccomp[0] ? seccomp : NULL, .seccomp_name = profile, .seccomp_hash = hash[0] ? hash : NULL, .seccomp_flags = flags, .volume_targets = targets, .volume_paths = paths,
	};
	_cleanup_close_ int top = mkdir_open_at(e->run_fd, "containers", 0700);
	_cleanup_close_ int dir = top < 0 ? top : mkdir_open_at(top, c->id, 0700);
	if (dir < 0)
		return err_sys(err, dir, "making the bundle");
	rc = fault_point("engine.bundle.made", err);
	rc = rc < 0 ? rc : write_config(dir, &b, err);
	rc = rc < 0 ? rc : write_seen_files(e, &b, err);
	if (rc < 0)
		(void) trash_put(e->run_fd, top, c->id); /* the first failure is told */
	return rc;
}

int bundle_document(struct engine *e, const struct container *c, bool running, struct strbuf *out, struct err *err)
{
	_cleanup_strv_ char **layers = NULL, **targets = NULL, **names = NULL, **paths = NULL;
	_cleanup_runtime_spec_ struct runtime_spec *s = NULL;
	_cleanup_close_ int dir = -EBADF;
	struct idrange_map map;
	struct labels labels;
	_cleanup_free_ char *bundle = str_printf("%s/containers/%s", e->run_dir, c->id);
	if (!bundle)
		return err_oom(err);
	int rc = layers_of(e, c, &layers, err);
	rc = rc < 0 ? rc : add_skeleton(e, &layers, err);
	rc = rc < 0 ? rc : volumes_of(e, c->id, &targets, &names, err);
	rc = rc < 0 ? rc : volume_paths(e, names, &paths, err);
	if (rc >= 0 && c->idmap)
		rc = idrange_load(e->ids, c->idmap, &map, err);
	rc = rc < 0 ? rc : labels_prepare(e, c, &labels, err);
	rc = rc < 0 || running ? rc : make_dir_rows(e, c, DIRS_FILES, &dir, err);
	rc = rc < 0 || running ? rc : labels_mounts(&labels, c, targets, paths, err);
	if (rc < 0)
		return rc;
	const struct bundle_plan b = {
		.c = c, .labels = &labels, .map = c->idmap ? &map : NULL, .layers = layers, .state_dir = e->state_dir, .bundle_dir = bundle, .libexec_dir = e->libexec_dir,
		.volume_targets = targets, .volume_paths = paths,
	};
	rc = bundle_spec(&b, &s, err);
	return rc < 0 ? rc : runtime_spec_write(s, out, err);
}

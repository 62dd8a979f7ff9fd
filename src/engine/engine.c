/* SPDX-License-Identifier: Apache-2.0 */
/* Opening and closing the engine: directories, database, rooms. Nothing is scanned here; what died unseen is reaped when it is touched. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/events.h"
#include "engine/internal.h"
#include "engine/selinux.h"
#include "engine/networking.h"
#include "network/network.h"

/* The directory and its parents; the last part 0700, or @may more (a group that passes through to a socket). */
static int open_dir(const char *path, const char *what, mode_t may, int *ret_fd, struct err *err)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT) {
		_cleanup_free_ char *copy = strdup(path);
		if (!copy)
			return err_oom(err);
		for (char *p = copy + 1; (p = strchr(p, '/')); p++) {
			*p = '\0';
			if (mkdir(copy, 0755) < 0 && errno != EEXIST)
				return err_sys(err, -errno, "making %s '%s'", what, copy);
			*p = '/';
		}
		if (mkdir(copy, 0700) < 0 && errno != EEXIST)
			return err_sys(err, -errno, "making %s '%s'", what, path);
		fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	}
	struct stat st;
	if (fd < 0 || fstat(fd, &st) < 0) {
		int r = -errno;
		safe_close(fd);
		return err_sys(err, r, "opening %s '%s'", what, path);
	}
	if ((st.st_mode & 077 & ~may) && fchmod(fd, 0700) < 0) {
		int r = -errno;
		safe_close(fd);
		return err_sys(err, r, "%s '%s' is open to others, and closing it failed", what, path);
	}
	*ret_fd = fd;
	return 0;
}

static int copy_config(struct engine *e, const struct engine_config *cfg, struct err *err)
{
	const struct {
		const char *src;
		char **dst;
	} rows[] = {
		{cfg->state_dir, &e->state_dir},     {cfg->run_dir, &e->run_dir}, {cfg->libexec_dir, &e->libexec_dir}, {cfg->self_path ?: "", &e->self_path},
		{cfg->userns_remap ?: "", &e->userns_remap}, {cfg->selinux_process_type ?: SELINUX_PROCESS_TYPE, &e->selinux_process_type},
		{cfg->selinux_file_type ?: SELINUX_FILE_TYPE, &e->selinux_file_type}, {cfg->signature_policy ?: "", &e->signature_policy},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		*rows[i].dst = strdup(rows[i].src);
		if (!*rows[i].dst)
			return err_oom(err);
	}
	memcpy(e->allow, cfg->allow, sizeof(e->allow));
	int rc = runtimes_read(e, cfg->runtimes, err);
	rc = rc < 0 ? rc : registries_open(cfg, &e->registries, err);
	rc = rc < 0 ? rc : log_defaults_read(e, cfg->log_driver, cfg->log_opts, err);
	rc = rc < 0 || !cfg->networks ? rc : network_defaults_open(cfg->networks, &e->network_defaults, err);
	if (rc < 0)
		return rc;
	for (int i = 0; i < LSM_MAX_; i++)
		e->lsm[i] = lsm_enabled("/sys", i);
	return 0;
}

static int open_dirs(struct engine *e, struct err *err)
{
	int rc = open_dir(e->state_dir, "the state directory", 0, &e->state_fd, err);
	rc = rc < 0 ? rc : open_dir(e->run_dir, "the run directory", 0010, &e->run_fd, err);
	if (rc < 0)
		return rc;
	if (mkdirat(e->state_fd, "containers", 0700) < 0 && errno != EEXIST)
		return err_sys(err, -errno, "making '%s/containers'", e->state_dir);
	return 0;
}

static bool has_entries(int dfd, const char *name)
{
	int fd = openat(dfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	if (!d) {
		safe_close(fd);
		return false;
	}
	struct dirent *de;
	while ((de = readdir(d)) && de->d_name[0] == '.')
		continue;
	(void) closedir(d);
	return de != NULL;
}

/* A database that is new where there is state has been lost: what it named would be swept as nobody's. */
static int check_lost(const struct engine *e, struct err *err)
{
	static const char *const held[] = {"containers", "volumes", "blobs/sha256"};
	struct stat st;
	bool missing = fstatat(e->state_fd, "coffer.db", &st, AT_SYMLINK_NOFOLLOW) < 0;
	if (!missing && st.st_size > 0)
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(held); i++)
		if (has_entries(e->state_fd, held[i]))
			return err_set(err, ERR_CORRUPT, "the database '%s/coffer.db' is %s, and '%s' beside it is not empty: put a copy of the database back, or move '%s' away to begin anew",
				       e->state_dir, missing ? "missing" : "empty", held[i], e->state_dir);
	return 0;
}

static int open_rooms(struct engine *e, struct err *err)
{
	_cleanup_free_ char *db = str_printf("%s/coffer.db", e->state_dir), *unpack = str_printf("%s/coffer-unpack", e->libexec_dir);
	if (!db || !unpack)
		return err_oom(err);
	int rc = check_lost(e, err);
	rc = rc < 0 ? rc : db_open(db, &e->db, err);
	rc = rc < 0 ? rc : db_migrate(e->db, "engine", engine_migrations, engine_n_migrations, err);
	rc = rc < 0 ? rc : idrange_open(e->db, NULL, &e->ids, err);
	if (rc < 0)
		return rc;
	struct network_config net = {.db = e->db, .state_dir = e->state_dir, .defaults = e->network_defaults};
	rc = network_open(&net, &e->networks, err);
	if (rc < 0)
		return rc;
	struct image_store_config cfg = {.root_fd = e->state_fd, .db = e->db, .unpack_path = unpack};
	rc = image_store_open(&cfg, &e->images, err);
	return rc < 0 ? rc : labels_store(e, err);
}

int engine_open(const struct engine_config *cfg, struct engine **ret, struct err *err)
{
	struct engine *e = calloc(1, sizeof(*e));
	if (!e)
		return err_oom(err);
	e->state_fd = e->run_fd = -EBADF;
	(void) pthread_mutex_init(&e->lock, NULL); /* cannot fail with default attributes */
	(void) pthread_cond_init(&e->attached, NULL); /* cannot fail with default attributes */
	e->events = events_new();
	e->stored = stored_cache_new();
	int rc = e->events && e->stored ? copy_config(e, cfg, err) : err_oom(err);
	rc = rc < 0 ? rc : open_dirs(e, err);
	rc = rc < 0 ? rc : open_rooms(e, err);
	if (rc < 0) {
		engine_close(e);
		return rc;
	}
	*ret = e;
	return 0;
}

void engine_settle(struct engine *e)
{
	watch_settle(e);
}

struct engine *engine_close(struct engine *e)
{
	if (!e)
		return NULL;
	watch_stop(e);
	mailbox_close(e);
	execs_free(e);
	attach_drop_all(e);
	if (e->images) {
		engine_sweep(e);
		engine_tidy(e);
	}
	e->events = events_free(e->events);
	image_store_free(e->images);
	network_close(e->networks);
	if (e->network_defaults)
		network_defaults_done(e->network_defaults);
	free(e->network_defaults);
	idrange_close(e->ids);
	db_close(e->db);
	e->stored = stored_cache_free(e->stored);
	safe_close(e->state_fd);
	safe_close(e->run_fd);
	free(e->layers_of);
	strv_free(e->layers);
	free(e->state_dir);
	free(e->run_dir);
	free(e->libexec_dir);
	free(e->self_path);
	free(e->userns_remap);
	free(e->log_type);
	kv_list_done(&e->log_opts);
	keyvals_free(e->runtimes, e->n_runtimes);
	e->registries = registries_free(e->registries);
	free(e->selinux_process_type);
	free(e->selinux_file_type);
	free(e->signature_policy);
	(void) pthread_cond_destroy(&e->attached);
	(void) pthread_mutex_destroy(&e->lock);
	free(e);
	return NULL;
}

struct image_store *engine_images(struct engine *e)
{
	return e->images;
}

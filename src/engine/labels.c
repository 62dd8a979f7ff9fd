/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/labels.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/random.h>

#include "engine/apparmor.h"
#include "engine/internal.h"
#include "engine/selinux.h"
#include "engine/share.h"

#define PAIR_TRIES 4096
#define INIT_MAX (16u << 20)

static bool has(const struct engine *e, enum lsm which)
{
	return e->lsm[which];
}

int labels_check(const struct engine *e, const struct container_request *r, struct err *err)
{
	struct security sec;
	int rc = security_parse(r, &sec, err);
	if (rc < 0)
		return rc;
	if (sec.apparmor && !str_eq(sec.apparmor, APPARMOR_UNCONFINED) && !has(e, LSM_APPARMOR))
		return err_set(err, ERR_UNSUPPORTED, "HostConfig.SecurityOpt (--security-opt): apparmor='%.64s': this host has no AppArmor", sec.apparmor);
	if ((sec.label_user || sec.label_role || sec.label_type || sec.label_level || sec.label_filetype) && !has(e, LSM_SELINUX))
		return err_set(err, ERR_UNSUPPORTED, "HostConfig.SecurityOpt (--security-opt): label: this host has no SELinux");
	return 0;
}

/* Numbers */

static int random_pair(int *c1, int *c2, struct err *err)
{
	uint16_t v[2];
	if (getrandom(v, sizeof(v), 0) != sizeof(v))
		return err_sys(err, -EIO, "random categories");
	int a = v[0] % SELINUX_CATEGORIES, b = v[1] % (SELINUX_CATEGORIES - 1);
	b += b >= a; /* never the same */
	*c1 = MIN(a, b);
	*c2 = MAX(a, b);
	return 0;
}

/* A pair at random, not the next one: what an earlier container left behind is not the next one's to read. */
static int free_pair(struct engine *e, int *c1, int *c2, struct err *err)
{
	for (int i = 0; i < PAIR_TRIES; i++) {
		_cleanup_stmt_ struct db_stmt *st = NULL;
		int rc = random_pair(c1, c2, err);
		rc = rc < 0 ? rc : db_query(e->db, &st, err, "SELECT 1 FROM container_label WHERE c1=?1 AND c2=?2", "ii", (int64_t) *c1, (int64_t) *c2);
		rc = rc < 0 ? rc : db_step(st, err);
		if (rc <= 0)
			return rc;
	}
	return err_set(err, ERR_QUOTA, "SELinux: no free pair of categories was found among %d", SELINUX_CATEGORIES * (SELINUX_CATEGORIES - 1) / 2);
}

/* Processes that see each other may trace and signal each other, and what is in a shared /dev/shm is everybody's there: the numbers are the
 * other container's. Return: 1 so it is, 0 none, <0. */
static int reserve_joined(struct engine *e, const struct container *c, struct err *err)
{
	const char *pid = NULL, *ipc = NULL;
	(void) share_of(c->req, NS_PID, &pid);
	(void) share_of(c->req, NS_IPC, &ipc);
	if (!pid && !ipc)
		return 0;
	if (pid && ipc && !str_eq(pid, ipc) && has(e, LSM_SELINUX))
		return err_set(err, ERR_INVALID, "--ipc and --pid containers SELinux labels aren't the same: name one container for both");
	return db_exec(e->db, err, "INSERT INTO container_label(container,slot,c1,c2) SELECT ?1,slot,c1,c2 FROM container_label WHERE container=?2", "ss", c->id, pid ?: ipc);
}

int labels_reserve(struct engine *e, const struct container *c, struct err *err)
{
	int c1 = 0, c2 = 0;
	if (!has(e, LSM_APPARMOR) && !has(e, LSM_SELINUX))
		return 0;
	int rc = reserve_joined(e, c, err);
	if (rc != 0)
		return MIN(rc, 0);
	rc = free_pair(e, &c1, &c2, err);
	/* the smallest free number, so that few profiles are ever compiled */
	rc = rc < 0 ? rc : db_exec(e->db, err,
				   "INSERT INTO container_label(container,slot,c1,c2) SELECT ?1, MIN(n), ?2, ?3 FROM (SELECT 1 AS n UNION ALL SELECT slot+1 FROM container_label)"
				   " WHERE n NOT IN (SELECT slot FROM container_label)", "sii", c->id, (int64_t) c1, (int64_t) c2);
	return MIN(rc, 0);
}

int labels_release(struct engine *e, const struct container *c, struct err *err)
{
	int rc = db_exec(e->db, err, "DELETE FROM container_label WHERE container=?1", "s", c->id);
	return MIN(rc, 0);
}

struct numbers {
	int64_t slot;
	int c1, c2;
};

/* Return: 1, 0 none reserved, <0. */
static int read_numbers(struct engine *e, const struct container *c, struct numbers *ret, struct err *err)
{
	_cleanup_stmt_ struct db_stmt *st = NULL;
	int rc = db_query(e->db, &st, err, "SELECT slot,c1,c2 FROM container_label WHERE container=?1", "s", c->id);
	rc = rc < 0 ? rc : db_step(st, err);
	if (rc > 0)
		*ret = (struct numbers){.slot = db_int(st, 0), .c1 = (int) db_int(st, 1), .c2 = (int) db_int(st, 2)};
	return rc;
}

/* A container of the time before this host had an LSM. */
static int reserve_late(struct engine *e, const struct container *c, struct err *err)
{
	struct numbers n;
	int rc = read_numbers(e, c, &n, err);
	if (rc != 0)
		return MIN(rc, 0);
	rc = db_begin(e->db, err);
	if (rc < 0)
		return rc;
	rc = labels_reserve(e, c, err);
	if (rc < 0) {
		db_rollback(e->db);
		return rc;
	}
	return db_commit(e->db, err);
}

/* Labels */

int labels_of(struct engine *e, const struct container *c, struct labels *ret, struct err *err)
{
	struct security sec;
	struct numbers n;
	*ret = (struct labels){0};
	if (!has(e, LSM_APPARMOR) && !has(e, LSM_SELINUX))
		return 0;
	int rc = security_parse(c->req, &sec, err);
	rc = rc < 0 ? rc : read_numbers(e, c, &n, err);
	if (rc <= 0)
		return rc;
	if (has(e, LSM_APPARMOR)) {
		ret->own_profile = !sec.apparmor;
		(void) (sec.apparmor ? str_copy(ret->profile, sizeof(ret->profile), sec.apparmor)
				     : str_format(ret->profile, sizeof(ret->profile), APPARMOR_DEFAULT "-%lld", (long long) n.slot)); /* checked to fit */
	}
	if (!has(e, LSM_SELINUX) || sec.label_disable)
		return 0;
	return selinux_contexts(e->selinux_process_type, e->selinux_file_type, &sec, n.c1, n.c2, ret->process, ret->mount, ret->shared, err);
}

int labels_prepare(struct engine *e, const struct container *c, struct labels *ret, struct err *err)
{
	int rc = labels_check(e, c->req, err);
	if (rc >= 0 && (has(e, LSM_APPARMOR) || has(e, LSM_SELINUX)))
		rc = reserve_late(e, c, err);
	rc = rc < 0 ? rc : labels_of(e, c, ret, err);
	if (rc < 0)
		return rc;
	if (ret->own_profile)
		rc = apparmor_load_default(e, ret->profile, err);
	else if (ret->profile[0] && !str_eq(ret->profile, APPARMOR_UNCONFINED))
		rc = apparmor_require(ret->profile, err);
	if (rc < 0 || !ret->process[0])
		return rc;
	rc = selinux_require("process", ret->process, err);
	return rc < 0 ? rc : selinux_require("file", ret->mount, err);
}

/* Files */

int labels_store(struct engine *e, struct err *err)
{
	static const char *const dirs[] = {"layers", "tmp"};
	char context[LSM_LABEL_MAX] = "system_u:object_r:" SELINUX_LAYER_TYPE ":s0", canon[LSM_LABEL_MAX];
	if (!has(e, LSM_SELINUX))
		return 0;
	if (lsm_selinux_check("/sys", context, canon) < 0)
		(void) str_format(context, sizeof(context), "system_u:object_r:%.200s:s0", e->selinux_file_type); /* fits */
	if (lsm_selinux_check("/sys", context, canon) < 0)
		return 0; /* a policy without our types: no container starts, and says why */
	for (size_t i = 0; i < ARRAY_LEN(dirs); i++) {
		_cleanup_close_ int fd = openat(e->state_fd, dirs[i], O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		int rc = fd < 0 ? err_sys(err, -errno, "opening") : selinux_relabel_own(fd, context, err);
		if (rc < 0)
			return err_wrap(err, "'%s/%s'", e->state_dir, dirs[i]);
	}
	return 0;
}

int labels_files(const struct labels *l, int dir, const char *const *names, size_t n, struct err *err)
{
	for (size_t i = 0; l->mount[0] && i < n; i++) {
		_cleanup_close_ int fd = openat(dir, names[i], O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
		int r = fd < 0 ? -errno : lsm_selinux_label_fd(fd, l->mount);
		if (r < 0)
			return err_sys(err, r, "SELinux: labelling '%s' as '%.128s'", names[i], l->mount);
	}
	return 0;
}

int labels_init_program(const struct labels *l, const char *src, int dir, struct err *err)
{
	_cleanup_free_ char *program = NULL;
	if (!l->mount[0])
		return 0;
	ssize_t n = read_file(AT_FDCWD, src, INIT_MAX, &program);
	int r = n < 0 ? (int) n : write_file_atomic(dir, LABELS_INIT, program, (size_t) n, 0755);
	_cleanup_close_ int fd = r < 0 ? r : openat(dir, LABELS_INIT, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	r = r < 0 ? r : fd < 0 ? -errno : lsm_selinux_label_fd(fd, l->mount);
	return r < 0 ? err_sys(err, r, "SELinux: a copy of '%s' for the container", src) : 0;
}

static const char *source_of(const struct mount_request *m, char *const *targets, char *const *paths)
{
	if (m->kind == MOUNT_BIND)
		return m->source;
	for (size_t i = 0; targets && targets[i]; i++)
		if (str_eq(targets[i], m->target))
			return paths[i];
	return NULL;
}

int labels_mounts(const struct labels *l, const struct container *c, char *const *targets, char *const *paths, struct err *err)
{
	if (!l->mount[0])
		return 0;
	for (size_t i = 0; i < c->req->n_mounts; i++) {
		const struct mount_request *m = &c->req->mounts[i];
		const char *path = m->relabel ? source_of(m, targets, paths) : NULL;
		int rc = path ? selinux_relabel(path, m->relabel == 'Z' ? l->mount : l->shared, err) : 0;
		if (rc < 0)
			return rc;
	}
	/* a volume is Coffer's own directory: fit for containers from its first use on */
	STRV_FOREACH(path, paths) {
		int rc = selinux_file_type_is(path, l->shared) == 0 ? selinux_relabel(path, l->shared, err) : 0; /* one whose label cannot be read takes none */
		if (rc < 0)
			return rc;
	}
	return 0;
}

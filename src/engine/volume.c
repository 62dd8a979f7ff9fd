/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Volumes: STATE/volumes/NAME/_data, 0-based ids on disk (P3), shifted at mount. A volume is made by its first use and counted by the
 * rows that name it; anonymous ones go with their container when asked.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fault.h"
#include "engine/events.h"
#include "engine/internal.h"

static int insert_volume(struct engine *e, const char *tenant, const char *name, bool anonymous, const char *labels, struct err *err)
{
	int rc = db_exec(e->db, err, "INSERT INTO volume(tenant,name,anonymous,created_ns,labels) VALUES(?1,?2,?3,?4,?5) ON CONFLICT DO NOTHING", "ssiis", tenant, name,
			 (int64_t) anonymous, now_ns(), labels);
	if (rc < 0)
		return rc;
	bool is_new = rc > 0;
	rc = fault_point("engine.volume.row", err);
	rc = rc < 0 ? rc : volume_dir_make(e, name, is_new, err);
	rc = rc < 0 ? rc : fault_point("engine.volume.made", err);
	if (rc >= 0 && is_new)
		event_object(e, tenant, "volume", "create", name, "driver", "local", NULL);
	return rc;
}

/* As JSON; NULL for none. */
static int labels_text(const struct kv_list *labels, char **ret)
{
	_cleanup_strbuf_ struct strbuf out = STRBUF_INIT(8u << 20);
	struct json_writer w;
	if (!labels->keys)
		return 0;
	jw_init(&w, &out);
	jw_obj(&w, NULL);
	for (size_t i = 0; labels->keys[i]; i++)
		jw_str(&w, labels->keys[i], labels->values[i]);
	jw_end(&w);
	*ret = strbuf_steal(&out);
	return *ret ? 0 : -ENOMEM;
}

/* One use; @name NULL or "": anonymous. */
static int attach_one(struct engine *e, const struct container *c, const char *target, const char *name, const struct kv_list *labels, struct err *err)
{
	char generated[ID_LEN + 1];
	bool anonymous = str_empty(name);
	if (anonymous) {
		int rc = id_new(generated);
		if (rc < 0)
			return err_sys(err, rc, "making an id");
		name = generated;
	}
	_cleanup_free_ char *text = NULL;
	int rc = labels ? labels_text(labels, &text) : 0;
	if (rc < 0)
		return err_oom(err);
	rc = insert_volume(e, c->tenant, name, anonymous, text, err);
	rc = rc < 0 ? rc : db_exec(e->db, err, "INSERT INTO container_volume(container,target,tenant,volume) VALUES(?1,?2,?3,?4)", "ssss", c->id, target, c->tenant, name);
	return MIN(rc, 0);
}

static bool is_covered(const struct container_request *r, const char *target)
{
	for (size_t i = 0; i < r->n_mounts; i++)
		if (str_eq(r->mounts[i].target, target))
			return true;
	return false;
}

int volumes_attach(struct engine *e, const struct container *c, struct err *err)
{
	const struct container_request *r = c->req;
	int rc = 0;
	for (size_t i = 0; rc >= 0 && i < r->n_mounts; i++)
		if (r->mounts[i].kind == MOUNT_VOLUME)
			rc = attach_one(e, c, r->mounts[i].target, r->mounts[i].source, &r->mounts[i].volume_labels, err);
	STRV_FOREACH(target, r->volumes)
		if (rc >= 0 && !is_covered(r, target))
			rc = attach_one(e, c, target, NULL, NULL, err);
	return rc;
}

int volumes_of(struct engine *e, const char *id, char ***ret_targets, char ***ret_names, struct err *err)
{
	_cleanup_stmt_ struct db_stmt *st = NULL;
	int rc = db_query(e->db, &st, err, "SELECT target,volume FROM container_volume WHERE container=?1 ORDER BY target", "s", id);
	while (rc >= 0 && (rc = db_step(st, err)) > 0)
		if (strv_push(ret_targets, db_text(st, 0)) < 0 || strv_push(ret_names, db_text(st, 1)) < 0)
			return err_oom(err);
	return rc;
}

void volume_uses_done(struct volume_uses *u)
{
	for (size_t i = 0; i < u->n; i++) {
		free(u->list[i].target);
		free(u->list[i].name);
	}
	free(u->list);
	*u = (struct volume_uses){0};
}

static int push_use(struct volume_uses *u, struct db_stmt *st, struct err *err)
{
	if ((u->n & (u->n - 1)) == 0) { /* a power of two, or none: full */
		struct volume_use *more = reallocarray(u->list, u->n ? u->n * 2 : 1, sizeof(*more));
		if (!more)
			return err_oom(err);
		u->list = more;
	}
	struct volume_use *v = &u->list[u->n++];
	*v = (struct volume_use){.target = strdup(db_text(st, 1)), .name = strdup(db_text(st, 2))};
	(void) str_copy(v->container, sizeof(v->container), db_text(st, 0)); /* ids of rows fit */
	return v->target && v->name ? 0 : err_oom(err);
}

int volume_uses_load(struct engine *e, const char *tenant, struct volume_uses *ret, struct err *err)
{
	_cleanup_stmt_ struct db_stmt *st = NULL;
	int rc = db_query(e->db, &st, err, "SELECT container,target,volume FROM container_volume WHERE tenant=?1 ORDER BY container,target", "s", tenant);
	while (rc >= 0 && (rc = db_step(st, err)) > 0)
		rc = push_use(ret, st, err);
	if (rc < 0)
		volume_uses_done(ret);
	return rc;
}

/* The first use that is @id's or comes behind it. */
static size_t first_use(const struct volume_uses *u, const char *id)
{
	size_t low = 0, high = u->n;
	while (low < high) {
		size_t mid = (low + high) / 2;
		if (strcmp(u->list[mid].container, id) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

int volume_uses_find(const struct volume_uses *u, const char *id, char ***ret_targets, char ***ret_names)
{
	size_t from = first_use(u, id), n = 0;
	while (from + n < u->n && str_eq(u->list[from + n].container, id))
		n++;
	char **targets = n ? calloc(n + 1, sizeof(*targets)) : NULL, **names = n ? calloc(n + 1, sizeof(*names)) : NULL;
	if (n && (!targets || !names)) {
		free(targets);
		free(names);
		return -ENOMEM;
	}
	for (size_t i = 0; i < n; i++) {
		targets[i] = u->list[from + i].target;
		names[i] = u->list[from + i].name;
	}
	*ret_targets = targets;
	*ret_names = names;
	return 0;
}

int volumes_detach(struct engine *e, const struct container *c, char ***ret_anonymous, struct err *err)
{
	struct db_stmt *st = NULL;
	int rc = db_query(e->db, &st, err, "SELECT v.name FROM container_volume u JOIN volume v ON v.tenant=u.tenant AND v.name=u.volume WHERE u.container=?1 AND v.anonymous=1", "s",
			  c->id);
	while (rc >= 0 && (rc = db_step(st, err)) > 0)
		if (strv_push(ret_anonymous, db_text(st, 0)) < 0)
			rc = err_oom(err);
	db_done(st);
	rc = rc < 0 ? rc : db_exec(e->db, err, "DELETE FROM container_volume WHERE container=?1", "s", c->id);
	return MIN(rc, 0);
}

int volume_delete_unused(struct engine *e, const char *tenant, const char *name, struct err *err)
{
	int rc = db_exec(e->db, err, "DELETE FROM volume WHERE tenant=?1 AND name=?2 AND NOT EXISTS (SELECT 1 FROM container_volume WHERE tenant=?1 AND volume=?2)", "ss", tenant, name);
	int doomed = rc > 0 ? volume_dir_doom(e, name, err) : 0;
	return doomed < 0 ? doomed : rc;
}

/* In a transaction of its own. Return: as above. */
static int delete_volume(struct engine *e, const char *tenant, const char *name, struct err *err)
{
	int rc = db_begin(e->db, err);
	if (rc < 0)
		return rc;
	rc = volume_delete_unused(e, tenant, name, err);
	int r = rc < 0 ? rc : fault_point("engine.volume.doomed", err);
	if (r < 0)
		db_rollback(e->db);
	else
		r = db_commit(e->db, err);
	if (r < 0) {
		volume_dir_spare(e, name);
		return r;
	}
	fault_mark("engine.volume.deleted");
	if (rc > 0) {
		volume_dir_remove(e, name);
		event_object(e, tenant, "volume", "destroy", name, "driver", "local", NULL);
	}
	return rc;
}

/* Engine API */

static void write_volume_members(struct engine *e, struct json_writer *w, const char *name, int64_t created_ns, const char *labels, bool anonymous)
{
	char when[TIME_RFC3339_MAX];
	_cleanup_free_ char *path = volume_path(e, name);
	jw_str(w, "CreatedAt", time_format_rfc3339(when, created_ns / NSEC_PER_SEC * NSEC_PER_SEC, /* fixed= */ false));
	jw_str(w, "Driver", "local");
	if (labels)
		jw_raw(w, "Labels", labels);
	else if (anonymous) {
		jw_obj(w, "Labels");
		jw_str(w, "com.docker.volume.anonymous", "");
		jw_end(w);
	} else
		jw_null(w, "Labels");
	jw_str(w, "Mountpoint", path ?: "");
	jw_str(w, "Name", name);
	jw_null(w, "Options");
	jw_str(w, "Scope", "local");
}

static void write_volume(struct engine *e, struct json_writer *w, const char *name, int64_t created_ns, const char *labels, bool anonymous)
{
	jw_obj(w, NULL);
	write_volume_members(e, w, name, created_ns, labels, anonymous);
	jw_end(w);
}

#define VOLUME_COLUMNS "name,created_ns,labels,anonymous"

/* {"a":"b"} as a list */
static int read_labels(const char *text, struct kv_list *ret, struct err *err)
{
	_cleanup_json_ struct json *doc = NULL;
	int rc = text ? json_parse(text, strlen(text), 8u << 20, "a volume's labels", &doc, err) : 0;
	JSON_FOREACH_MEMBER(key, v, doc)
		if (rc >= 0 && kv_list_set(ret, key, json_str(v, "")) < 0)
			rc = err_oom(err);
	return rc;
}

struct volume_row {
	const char *name, *labels; /* borrowed from the statement */
	bool anonymous, used;
};

static bool any_is(char *const *values, const char *s, bool substring)
{
	if (!values)
		return true;
	STRV_FOREACH(v, values)
		if (substring ? strstr(s, v) != NULL : str_eq(s, v))
			return true;
	return false;
}

/* Return: 1 it passes, 0 not, <0. */
static int volume_passes(const struct json *filters, const struct volume_row *v, struct err *err)
{
	_cleanup_strv_ char **names = filter_get(filters, "name"), **drivers = filter_get(filters, "driver");
	struct kv_list labels = {NULL, NULL};
	int dangling = filter_bool(filters, "dangling", -1, err), rc = read_labels(v->labels, &labels, err);
	if (rc >= 0 && v->anonymous && kv_list_set(&labels, "com.docker.volume.anonymous", "") < 0)
		rc = err_oom(err);
	if (rc >= 0)
		rc = any_is(names, v->name, true) && any_is(drivers, "local", false) && (dangling < 0 || (dangling == 1) == !v->used) && filter_labels(filters, &labels);
	kv_list_done(&labels);
	return rc;
}

#define VOLUME_USED "EXISTS (SELECT 1 FROM container_volume u WHERE u.tenant=volume.tenant AND u.volume=volume.name)"

int engine_volume_list(struct engine *e, const struct caller *caller, const struct json *filters, struct json_writer *w, struct err *err)
{
	static const char *const known[] = {"dangling", "driver", "label", "label!", "name", NULL};
	_cleanup_stmt_ struct db_stmt *st = NULL;
	int rc = filters_check(filters, known, err), dangling = rc < 0 ? rc : filter_bool(filters, "dangling", 0, err);
	rc = dangling < 0 ? dangling : db_query(e->db, &st, err, "SELECT " VOLUME_COLUMNS "," VOLUME_USED " FROM volume WHERE tenant=?1 ORDER BY name", "s", caller->tenant);
	if (rc < 0)
		return rc;
	jw_obj(w, NULL);
	jw_arr(w, "Volumes");
	while ((rc = db_step(st, err)) > 0) {
		const struct volume_row v = {db_text(st, 0), db_text(st, 2), db_int(st, 3) != 0, db_int(st, 4) != 0};
		rc = volume_passes(filters, &v, err);
		if (rc < 0)
			break;
		if (rc > 0)
			write_volume(e, w, v.name, db_int(st, 1), v.labels, v.anonymous);
	}
	jw_end(w);
	jw_null(w, "Warnings");
	jw_end(w);
	return rc;
}

/* Names first: rows are deleted on the way. */
static int prunable(struct engine *e, const struct caller *caller, const struct json *filters, bool all, char ***ret, struct err *err)
{
	_cleanup_stmt_ struct db_stmt *st = NULL;
	int rc = db_query(e->db, &st, err, "SELECT " VOLUME_COLUMNS " FROM volume WHERE tenant=?1 AND NOT " VOLUME_USED " ORDER BY name", "s", caller->tenant);
	while (rc >= 0 && (rc = db_step(st, err)) > 0) {
		const struct volume_row v = {db_text(st, 0), db_text(st, 2), db_int(st, 3) != 0, false};
		rc = all || v.anonymous ? volume_passes(filters, &v, err) : 0;
		if (rc > 0 && strv_push(ret, v.name) < 0)
			rc = err_oom(err);
		rc = MIN(rc, 0);
	}
	return rc;
}

static uint64_t volume_bytes(struct engine *e, const char *name)
{
	_cleanup_close_ int top = openat(e->state_fd, "volumes", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_close_ int dir = top < 0 ? top : openat(top, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return dir < 0 ? 0 : disk_bytes(take_fd(&dir));
}

int engine_volume_usage(struct engine *e, const struct caller *caller, struct json_writer *w, struct err *err)
{
	_cleanup_stmt_ struct db_stmt *st = NULL;
	int rc = db_query(e->db, &st, err, "SELECT " VOLUME_COLUMNS ",(SELECT count(*) FROM container_volume u WHERE u.tenant=volume.tenant AND u.volume=volume.name)"
			  " FROM volume WHERE tenant=?1 ORDER BY name", "s", caller->tenant);
	if (rc < 0)
		return rc;
	jw_arr(w, NULL);
	while ((rc = db_step(st, err)) > 0) {
		jw_obj(w, NULL);
		write_volume_members(e, w, db_text(st, 0), db_int(st, 1), db_text(st, 2), db_int(st, 3) != 0);
		jw_obj(w, "UsageData");
		jw_uint(w, "Size", volume_bytes(e, db_text(st, 0)));
		jw_int(w, "RefCount", db_int(st, 4));
		jw_end(w);
		jw_end(w);
	}
	jw_end(w);
	return rc;
}

int engine_volume_prune(struct engine *e, const struct caller *caller, const struct json *filters, bool all, struct json_writer *w, struct err *err)
{
	static const char *const known[] = {"label", "label!", "all", NULL};
	_cleanup_strv_ char **names = NULL;
	uint64_t bytes = 0;
	int rc = filters_check(filters, known, err), asked = rc < 0 ? rc : filter_bool(filters, "all", all, err);
	rc = asked < 0 ? asked : prunable(e, caller, filters, asked, &names, err);
	if (rc < 0)
		return rc;
	jw_obj(w, NULL);
	jw_arr(w, "VolumesDeleted");
	STRV_FOREACH(name, names) {
		uint64_t size = volume_bytes(e, name);
		if (rc < 0 || (rc = delete_volume(e, caller->tenant, name, err)) <= 0)
			continue; /* in use by now */
		jw_str(w, NULL, name);
		bytes += size;
	}
	jw_end(w);
	jw_uint(w, "SpaceReclaimed", bytes);
	jw_end(w);
	return MIN(rc, 0);
}

int engine_volume_inspect(struct engine *e, const struct caller *caller, const char *name, struct json_writer *w, struct err *err)
{
	_cleanup_stmt_ struct db_stmt *st = NULL;
	int rc = db_query(e->db, &st, err, "SELECT " VOLUME_COLUMNS " FROM volume WHERE tenant=?1 AND name=?2", "ss", caller->tenant, name);
	rc = rc < 0 ? rc : db_step(st, err);
	if (rc == 0)
		return err_set(err, ERR_NOT_FOUND, "get %.128s: no such volume", name);
	if (rc > 0)
		write_volume(e, w, db_text(st, 0), db_int(st, 1), db_text(st, 2), db_int(st, 3) != 0);
	return MIN(rc, 0);
}

int engine_volume_create(struct engine *e, const struct caller *caller, const char *name, const struct json *labels, struct json_writer *w, struct err *err)
{
	char generated[ID_LEN + 1];
	bool anonymous = str_empty(name);
	_cleanup_free_ char *text = json_len(labels) ? json_dump(labels) : NULL;
	if (anonymous && id_new(generated) < 0)
		return err_set(err, ERR_SYSTEM, "making an id");
	name = anonymous ? generated : name;
	if (!anonymous && !name_is_valid(name))
		return err_set(err, ERR_INVALID, "create %.128s: volume name is too short or includes invalid characters, only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed", name);
	int rc = db_begin(e->db, err);
	if (rc < 0)
		return rc;
	rc = insert_volume(e, caller->tenant, name, anonymous, text, err);
	if (rc < 0) {
		db_rollback(e->db);
		return rc;
	}
	rc = db_commit(e->db, err);
	return rc < 0 ? rc : engine_volume_inspect(e, caller, name, w, err);
}

static int users_of(struct engine *e, const char *tenant, const char *name, struct strbuf *out, struct err *err)
{
	_cleanup_stmt_ struct db_stmt *st = NULL;
	int rc = db_query(e->db, &st, err, "SELECT container FROM container_volume WHERE tenant=?1 AND volume=?2", "ss", tenant, name);
	while (rc >= 0 && (rc = db_step(st, err)) > 0)
		strbuf_addf(out, "%s%s", out->len ? ", " : "", db_text(st, 0));
	return rc;
}

int engine_volume_remove(struct engine *e, const struct caller *caller, const char *name, bool force, struct err *err)
{
	_cleanup_strbuf_ struct strbuf users = STRBUF_INIT(256);
	int rc = delete_volume(e, caller->tenant, name, err);
	if (rc > 0)
		return 0;
	rc = rc < 0 ? rc : users_of(e, caller->tenant, name, &users, err);
	if (rc < 0)
		return rc;
	if (users.len || strbuf_err(&users) < 0)
		return err_set(err, ERR_CONFLICT, "remove %.128s: volume is in use - [%s]", name, users.s ?: "");
	return force ? 0 : err_set(err, ERR_NOT_FOUND, "get %.128s: no such volume", name);
}

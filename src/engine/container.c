/* SPDX-License-Identifier: Apache-2.0 */
/* Container rows: tables, load and save, look-up by name and id, generated names. */
#include <errno.h>

#include "engine/internal.h"

const char *const engine_migrations[] = {
	"CREATE TABLE container(id TEXT PRIMARY KEY, tenant TEXT NOT NULL, name TEXT NOT NULL, image_id TEXT NOT NULL, state INTEGER NOT NULL,"
	" idmap INTEGER NOT NULL, created_ns INTEGER NOT NULL, started_ns INTEGER NOT NULL DEFAULT 0, finished_ns INTEGER NOT NULL DEFAULT 0,"
	" exit_code INTEGER NOT NULL DEFAULT 0, oom INTEGER NOT NULL DEFAULT 0, error TEXT, request TEXT NOT NULL, UNIQUE(tenant,name));"
	"CREATE INDEX container_image ON container(image_id);"
	"CREATE TABLE volume(tenant TEXT NOT NULL, name TEXT NOT NULL, anonymous INTEGER NOT NULL, created_ns INTEGER NOT NULL, labels TEXT, PRIMARY KEY(tenant,name)) WITHOUT ROWID;"
	"CREATE TABLE container_volume(container TEXT NOT NULL REFERENCES container(id), target TEXT NOT NULL, tenant TEXT NOT NULL, volume TEXT NOT NULL,"
	" PRIMARY KEY(container,target), FOREIGN KEY(tenant,volume) REFERENCES volume(tenant,name)) WITHOUT ROWID;"
	"CREATE INDEX container_volume_volume ON container_volume(tenant,volume)",
	/* what an LSM tells containers apart by: the number of an AppArmor profile, a pair of SELinux categories */
	"CREATE TABLE container_label(container TEXT PRIMARY KEY REFERENCES container(id), slot INTEGER NOT NULL UNIQUE, c1 INTEGER NOT NULL, c2 INTEGER NOT NULL, UNIQUE(c1,c2)) WITHOUT ROWID",
	/* restart policies: what has happened, and when the next start is due */
	"ALTER TABLE container ADD COLUMN restart_count INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE container ADD COLUMN restart_delay_ms INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE container ADD COLUMN restart_due_ns INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE container ADD COLUMN by_hand INTEGER NOT NULL DEFAULT 0;"
	"CREATE INDEX container_restart_due ON container(restart_due_ns) WHERE restart_due_ns>0",
	/* several may have the same: who joins another's processes or IPC */
	"CREATE TABLE container_label_2(container TEXT PRIMARY KEY REFERENCES container(id), slot INTEGER NOT NULL, c1 INTEGER NOT NULL, c2 INTEGER NOT NULL) WITHOUT ROWID;"
	"INSERT INTO container_label_2 SELECT container,slot,c1,c2 FROM container_label;"
	"DROP TABLE container_label;"
	"ALTER TABLE container_label_2 RENAME TO container_label;"
	"CREATE INDEX container_label_slot ON container_label(slot);"
	"CREATE INDEX container_label_pair ON container_label(c1,c2)",
};
const size_t engine_n_migrations = ARRAY_LEN(engine_migrations);

#define COLUMNS "id,tenant,name,image_id,state,idmap,created_ns,started_ns,finished_ns,exit_code,oom,error,request,restart_count,restart_delay_ms,restart_due_ns,by_hand"

void container_done(struct container *c)
{
	free(c->tenant);
	free(c->name);
	free(c->image_id);
	free(c->error);
	container_request_free(c->own);
	stored_unref(c->stored);
	*c = (struct container){0};
}

static int dup_col(struct db_stmt *st, int col, char **ret)
{
	const char *s = db_text(st, col);
	*ret = s ? strdup(s) : NULL;
	return s && !*ret ? -ENOMEM : 0;
}

int container_own_request(struct container *c, struct container_request **ret, struct err *err)
{
	_cleanup_strbuf_ struct strbuf text = STRBUF_INIT(REQUEST_MAX);
	_cleanup_strv_ char **unknown = NULL;
	_cleanup_json_ struct json *doc = NULL;
	int rc = c->own ? 0 : container_request_write(c->req, &text);
	if (rc < 0)
		return err_sys(err, rc, "copying the request");
	if (!c->own) {
		rc = json_parse(text.s, text.len, REQUEST_MAX, "stored request", &doc, err);
		rc = rc < 0 ? rc : container_request_parse(doc, &c->own, &unknown, err);
	}
	if (rc < 0)
		return rc;
	c->req = *ret = c->own;
	return 0;
}

static int read_row(struct engine *e, struct db_stmt *st, struct container *ret, struct err *err)
{
	_cleanup_container_ struct container c = {
		.state = (enum row_state) db_int(st, 4), .idmap = db_int(st, 5), .created_ns = db_int(st, 6), .started_ns = db_int(st, 7), .finished_ns = db_int(st, 8),
		.exit_code = (int) db_int(st, 9), .oom = db_int(st, 10) != 0,
		.restart_count = db_int(st, 13), .restart_delay_ms = db_int(st, 14), .restart_due_ns = db_int(st, 15), .by_hand = db_int(st, 16) != 0,
	};
	if (str_copy(c.id, sizeof(c.id), db_text(st, 0) ?: "") < 0)
		return err_set(err, ERR_CORRUPT, "a stored container has an id that is too long");
	if (dup_col(st, 1, &c.tenant) < 0 || dup_col(st, 2, &c.name) < 0 || dup_col(st, 3, &c.image_id) < 0 || dup_col(st, 11, &c.error) < 0)
		return err_oom(err);
	int rc = stored_get(e->stored, c.id, db_text(st, 12) ?: "", &c.stored, err);
	if (rc < 0)
		return err_wrap(err, "container %s", c.id);
	c.req = stored_value(c.stored);
	*ret = c;
	c = (struct container){0};
	return 0;
}

/* Return: 1, 0 no row, <0. */
static int one_row(struct engine *e, struct db_stmt *st, struct container *ret, struct err *err)
{
	int rc = db_step(st, err);
	if (rc <= 0)
		return rc;
	rc = read_row(e, st, ret, err);
	return rc < 0 ? rc : 1;
}

int container_load(struct engine *e, const char *id, struct container *ret, struct err *err)
{
	_cleanup_stmt_ struct db_stmt *st = NULL;
	int rc = db_query(e->db, &st, err, "SELECT " COLUMNS " FROM container WHERE id=?1", "s", id);
	return rc < 0 ? rc : one_row(e, st, ret, err);
}

/* Return: 1 with the one id that @sql finds, 0 none, <0; ERR_INVALID when there are two. */
static int one_id(struct engine *e, char ret[ID_LEN + 1], const char *ref, struct err *err, const char *sql, const char *tenant, const char *from, const char *to)
{
	_cleanup_stmt_ struct db_stmt *st = NULL;
	int rc = db_query(e->db, &st, err, sql, "sss", tenant, from, to);
	rc = rc < 0 ? rc : db_step(st, err);
	if (rc <= 0)
		return rc;
	if (str_copy(ret, ID_LEN + 1, db_text(st, 0) ?: "") < 0)
		return err_set(err, ERR_CORRUPT, "a stored container has an id that is too long");
	rc = db_step(st, err);
	return rc > 0 ? err_set(err, ERR_INVALID, "multiple IDs found with provided prefix: %s", ref) : rc < 0 ? rc : 1;
}

int container_resolve(struct engine *e, const char *tenant, const char *ref, char ret[ID_LEN + 1], struct err *err)
{
	char end[ID_LEN + 2];
	const char *name = ref[0] == '/' ? ref + 1 : ref;
	int rc = id_is_full(ref) ? one_id(e, ret, ref, err, "SELECT id FROM container WHERE tenant=?1 AND id=?2 AND ?3 IS NULL", tenant, ref, NULL) : 0;
	if (rc == 0)
		rc = one_id(e, ret, ref, err, "SELECT id FROM container WHERE tenant=?1 AND name=?2 AND ?3 IS NULL", tenant, name, NULL);
	if (rc == 0 && id_is_prefix(ref)) {
		(void) str_format(end, sizeof(end), "%sg", ref); /* hex digits end with f; at most 64 of them */
		rc = one_id(e, ret, ref, err, "SELECT id FROM container WHERE tenant=?1 AND id>=?2 AND id<?3 LIMIT 2", tenant, ref, end);
	}
	if (rc == 0)
		return err_set(err, ERR_NOT_FOUND, "No such container: %.256s", ref);
	return MIN(rc, 0);
}

/* Return: 1, 0 none, <0. What most calls name is found with one look. */
static int find_exact(struct engine *e, const char *tenant, const char *ref, struct container *ret, struct err *err)
{
	_cleanup_stmt_ struct db_stmt *st = NULL;
	const char *name = ref[0] == '/' ? ref + 1 : ref;
	int rc = id_is_full(ref) ? db_query(e->db, &st, err, "SELECT " COLUMNS " FROM container WHERE id=?1 AND tenant=?2", "ss", ref, tenant)
				 : db_query(e->db, &st, err, "SELECT " COLUMNS " FROM container WHERE tenant=?1 AND name=?2", "ss", tenant, name);
	return rc < 0 ? rc : one_row(e, st, ret, err);
}

int container_find(struct engine *e, const char *tenant, const char *ref, struct container *ret, struct err *err)
{
	char id[ID_LEN + 1];
	int rc = find_exact(e, tenant, ref, ret, err);
	if (rc != 0)
		return MIN(rc, 0);
	rc = container_resolve(e, tenant, ref, id, err);
	rc = rc < 0 ? rc : container_load(e, id, ret, err);
	if (rc == 0)
		return err_set(err, ERR_NOT_FOUND, "No such container: %.256s", ref);
	return MIN(rc, 0);
}

void containers_free(struct container *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		container_done(&list[i]);
	free(list);
}

static int append_row(struct engine *e, struct db_stmt *st, struct container **list, size_t *n, struct err *err)
{
	if ((*n & (*n - 1)) == 0) { /* a power of two, or none: full */
		struct container *more = reallocarray(*list, *n ? *n * 2 : 1, sizeof(**list));
		if (!more)
			return err_oom(err);
		*list = more;
	}
	int rc = read_row(e, st, &(*list)[*n], err);
	*n += rc >= 0;
	return rc;
}

int containers_load(struct engine *e, const char *tenant, struct container **ret, size_t *ret_n, struct err *err)
{
	_cleanup_stmt_ struct db_stmt *st = NULL;
	struct container *list = NULL;
	size_t n = 0;
	int rc = tenant ? db_query(e->db, &st, err, "SELECT " COLUMNS " FROM container WHERE tenant=?1 ORDER BY created_ns DESC, id", "s", tenant)
			: db_query(e->db, &st, err, "SELECT " COLUMNS " FROM container ORDER BY created_ns DESC, id", "");
	while (rc >= 0 && (rc = db_step(st, err)) > 0)
		rc = append_row(e, st, &list, &n, err);
	if (rc < 0) {
		containers_free(list, n);
		return rc;
	}
	*ret = list;
	*ret_n = n;
	return 0;
}

int container_each(struct engine *e, const char *tenant, int (*fn)(void *ctx, struct container *c, struct err *err), void *ctx, struct err *err)
{
	struct container *list = NULL;
	size_t n = 0;
	int rc = containers_load(e, tenant, &list, &n, err);
	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = fn(ctx, &list[i], err);
	containers_free(list, n);
	return rc;
}

int container_insert(struct engine *e, const struct container *c, struct err *err)
{
	_cleanup_strbuf_ struct strbuf text = STRBUF_INIT(REQUEST_MAX);
	int rc = container_request_write(c->req, &text);
	if (rc < 0)
		return err_sys(err, rc, "storing the request");
	rc = db_exec(e->db, err, "INSERT INTO container(id,tenant,name,image_id,state,idmap,created_ns,request) VALUES(?1,?2,?3,?4,?5,?6,?7,?8)", "ssssiiis", c->id,
		     c->tenant, c->name, c->image_id, (int64_t) c->state, c->idmap, c->created_ns, text.s);
	return MIN(rc, 0);
}

int container_save_exit(struct engine *e, const struct container *c, struct err *err)
{
	int rc = db_exec(e->db, err,
			 "UPDATE container SET state=?2,started_ns=?3,finished_ns=?4,exit_code=?5,oom=?6,error=?7,restart_count=?8,restart_delay_ms=?9,restart_due_ns=?10,"
			 "by_hand=?11 WHERE id=?1", "siiiiisiiii", c->id, (int64_t) c->state, c->started_ns, c->finished_ns, (int64_t) c->exit_code, (int64_t) c->oom, c->error,
			 c->restart_count, c->restart_delay_ms, c->restart_due_ns, (int64_t) c->by_hand);
	return MIN(rc, 0);
}

int container_save_request(struct engine *e, const struct container *c, struct err *err)
{
	_cleanup_strbuf_ struct strbuf text = STRBUF_INIT(REQUEST_MAX);
	int rc = container_request_write(c->req, &text);
	if (rc < 0)
		return err_sys(err, rc, "storing the request");
	rc = db_exec(e->db, err, "UPDATE container SET name=?2,request=?3 WHERE id=?1", "sss", c->id, c->name, text.s);
	return MIN(rc, 0);
}

int container_delete(struct engine *e, const struct container *c, struct err *err)
{
	int rc = db_exec(e->db, err, "DELETE FROM container WHERE id=?1", "s", c->id);
	if (rc >= 0)
		stored_drop(e->stored, c->id);
	return MIN(rc, 0);
}

int container_name_new(struct engine *e, const char *tenant, char *buf, size_t size, struct err *err)
{
	for (unsigned attempt = 0; attempt < 32; attempt++) {
		_cleanup_stmt_ struct db_stmt *st = NULL;
		name_generate(attempt, buf, size);
		int rc = db_query(e->db, &st, err, "SELECT 1 FROM container WHERE tenant=?1 AND name=?2", "ss", tenant, buf);
		rc = rc < 0 ? rc : db_step(st, err);
		if (rc <= 0)
			return rc;
	}
	return err_set(err, ERR_QUOTA, "no free name was found: give one with --name");
}

int container_lock(struct engine *e, const char *tenant, const char *ref, struct container *ret, struct err *err)
{
	char id[ID_LEN + 1];
	int rc = container_resolve(e, tenant, ref, id, err);
	if (rc < 0)
		return rc;
	_cleanup_close_ int lock = lock_take(e, id, err);
	rc = lock < 0 ? lock : container_load(e, id, ret, err);
	if (rc == 0) { /* it has gone while we waited */
		lock_forget(e, id);
		return err_set(err, ERR_NOT_FOUND, "No such container: %.256s", ref);
	}
	return rc < 0 ? rc : take_fd(&lock);
}

int container_ids(struct engine *e, const char *tenant, bool due, char ***ret, struct err *err)
{
	_cleanup_stmt_ struct db_stmt *st = NULL;
	int rc = db_query(e->db, &st, err, due ? "SELECT id FROM container WHERE restart_due_ns>0 AND ?1 IS NULL" : "SELECT id FROM container WHERE ?1 IS NULL OR tenant=?1", "s", tenant);
	while (rc >= 0 && (rc = db_step(st, err)) > 0)
		if (strv_push(ret, db_text(st, 0)) < 0)
			rc = err_oom(err);
	return MIN(rc, 0);
}

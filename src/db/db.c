/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SQLite behind one door. Opening is on the path of every command, so it costs one file open, three connection settings that
 * touch no disk, and one SELECT that reads the component versions; a migration whose version matches asks nothing more.
 *
 * Locking: struct db has a recursive mutex. D1 it is held from db_begin() to db_commit()/db_rollback(). D2 outside a transaction it
 * is held from db_query() to db_done(). D3 a statement of the cache is used by one holder at a time; a nested use of the same text
 * gets a statement of its own that is finalized by db_done().
 *
 * The write-ahead log is checkpointed and cut when the connection closes and the log has grown past WAL_CLOSE_PAGES: the first opener
 * reads the log whole (recovery), so a long one would cost every command milliseconds. It must be cut, not only copied: recovery forgets
 * what a passive checkpoint had copied, so the log would grow for ever under short-lived processes. Nobody waits for that: engines
 * answer before they close. During a commit it happens past WAL_MAX_PAGES only.
 */
#include "db/db.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/str.h"

#define DB_FORMAT 1 /* of the file as a whole; components count their own */
#define BUSY_TIMEOUT_MS 10000
#define WAL_CLOSE_PAGES 64
#define WAL_MAX_PAGES 4000
#define STMT_CACHE_MAX 256 /* a power of two */
#define COMPONENTS_MAX 32
#define COMPONENT_NAME_MAX 32

struct db_stmt {
	struct db *db;
	sqlite3_stmt *st;
	const char *sql; /* cached: owned copy; NULL: not of the cache */
	bool busy;
};

struct component {
	char name[COMPONENT_NAME_MAX];
	int64_t version;
};

struct db {
	sqlite3 *h;
	pthread_mutex_t lock; /* recursive */
	bool in_tx;
	int wal_pages;
	struct db_stmt *cache[STMT_CACHE_MAX]; /* open addressing by hash of the text */
	size_t n_cached;
	struct component components[COMPONENTS_MAX];
	size_t n_components;
};

static const char *file_of(struct db *db)
{
	const char *name = db && db->h ? sqlite3_db_filename(db->h, "main") : NULL;
	return str_empty(name) ? "?" : name;
}

static int db_error(struct db *db, int rc, struct err *err, const char *what)
{
	const char *text = db && db->h ? sqlite3_errmsg(db->h) : sqlite3_errstr(rc);
	switch (rc & 0xff) {
	case SQLITE_NOMEM:
		return err_oom(err);
	case SQLITE_CONSTRAINT:
		return err_set(err, ERR_CONFLICT, "database: %s", text);
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return err_set(err, ERR_CORRUPT, "database '%s' is damaged: %s: %s: put a copy of it back, or move the directory away to begin anew", file_of(db), what, text);
	case SQLITE_READONLY:
		return err_sys(err, -EROFS, "database '%s': %s", file_of(db), what);
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return err_sys(err, -EBUSY, "database: %s: another process has held it for over %d s", what, BUSY_TIMEOUT_MS / 1000);
	case SQLITE_FULL:
		return err_sys(err, -ENOSPC, "database: %s", what);
	default:
		return err_set(err, ERR_SYSTEM, "database: %s: %s", what, text);
	}
}

static void lock(struct db *db)
{
	int r = pthread_mutex_lock(&db->lock);
	assert(r == 0);
	(void) r;
}

static void unlock(struct db *db)
{
	int r = pthread_mutex_unlock(&db->lock);
	assert(r == 0);
	(void) r;
}

/* Called by SQLite after each commit with the length of the log. */
static int on_wal(void *ctx, sqlite3 *h, const char *name, int pages)
{
	struct db *db = ctx;
	db->wal_pages = pages;
	if (pages > WAL_MAX_PAGES)
		(void) sqlite3_wal_checkpoint_v2(h, name, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL); /* tried again at the next commit */
	return SQLITE_OK;
}

static int simple(struct db *db, const char *sql, struct err *err)
{
	int rc = sqlite3_exec(db->h, sql, NULL, NULL, NULL);
	return rc == SQLITE_OK ? 0 : db_error(db, rc, err, sql);
}

/* Opening */

static pthread_once_t configured = PTHREAD_ONCE_INIT;

/* Before SQLite's first use: statistics of its memory, which nobody reads, cost a lock and two sums at every allocation. */
static void configure(void)
{
	(void) sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0); /* refused where somebody was faster: slower, and no matter */
}

static int open_file(const char *path, sqlite3 **ret)
{
	const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW | SQLITE_OPEN_EXRESCODE;
	int rc = sqlite3_open_v2(path, ret, flags, NULL);
	if ((rc & 0xff) != SQLITE_CANTOPEN || access(path, F_OK) == 0)
		return rc;
	(void) sqlite3_close_v2(*ret);
	*ret = NULL;
	_cleanup_close_ int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600); /* SQLite would use 0644 */
	if (fd < 0)
		return SQLITE_CANTOPEN;
	fd = safe_close(fd); /* before SQLite locks the file: closing later would drop its POSIX locks */
	return sqlite3_open_v2(path, ret, flags, NULL);
}

/* First opener of a new file. The switch to WAL needs the file to itself and does not always ask the busy handler. */
static int create_schema(struct db *db, struct err *err)
{
	usec_t deadline = now_usec() + BUSY_TIMEOUT_MS * USEC_PER_MSEC;
	int rc;
	while (((rc = sqlite3_exec(db->h, "PRAGMA journal_mode=WAL", NULL, NULL, NULL)) & 0xff) == SQLITE_BUSY && now_usec() < deadline)
		(void) nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
	if (rc != SQLITE_OK)
		return db_error(db, rc, err, "switching to a write-ahead log");
	int r = simple(db, "BEGIN IMMEDIATE", err);
	if (r < 0)
		return r;
	char sql[256];
	(void) str_format(sql, sizeof(sql),
			  "CREATE TABLE IF NOT EXISTS component(name TEXT PRIMARY KEY, version INTEGER NOT NULL) WITHOUT ROWID;"
			  "INSERT OR IGNORE INTO component VALUES('database',%d)",
			  DB_FORMAT);
	r = simple(db, sql, err);
	if (r < 0) {
		(void) sqlite3_exec(db->h, "ROLLBACK", NULL, NULL, NULL); /* the first failure is told */
		return r;
	}
	return simple(db, "COMMIT", err);
}

/* Return: 1 read, 0 the table is not there yet, <0. */
static int read_components(struct db *db, struct err *err)
{
	sqlite3_stmt *st = NULL;
	int rc = sqlite3_prepare_v2(db->h, "SELECT name,version FROM component", -1, &st, NULL);
	if ((rc & 0xff) == SQLITE_ERROR)
		return 0;
	if (rc != SQLITE_OK)
		return db_error(db, rc, err, "reading its version");
	db->n_components = 0;
	while ((rc = sqlite3_step(st)) == SQLITE_ROW && db->n_components < COMPONENTS_MAX) {
		struct component *c = &db->components[db->n_components++];
		(void) str_copy(c->name, sizeof(c->name), (const char *) sqlite3_column_text(st, 0) ?: "");
		c->version = sqlite3_column_int64(st, 1);
	}
	(void) sqlite3_finalize(st);
	return rc == SQLITE_DONE ? 1 : db_error(db, rc, err, "reading its version");
}

static struct component *find_component(struct db *db, const char *name)
{
	for (size_t i = 0; i < db->n_components; i++)
		if (str_eq(db->components[i].name, name))
			return &db->components[i];
	return NULL;
}

static int open_and_check(struct db *db, const char *path, struct err *err)
{
	int rc = open_file(path, &db->h);
	if (rc != SQLITE_OK)
		return db_error(db, rc, err, "opening");
	(void) sqlite3_busy_timeout(db->h, BUSY_TIMEOUT_MS);
	(void) sqlite3_db_config(db->h, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	(void) sqlite3_db_config(db->h, SQLITE_DBCONFIG_ENABLE_FKEY, 1, NULL);
	(void) sqlite3_db_config(db->h, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	(void) sqlite3_wal_hook(db->h, on_wal, db); /* replaces the automatic checkpoint */
	int r = simple(db, "PRAGMA synchronous=NORMAL", err);
	if (r < 0)
		return r;
	r = read_components(db, err);
	if (r == 0) {
		r = create_schema(db, err);
		if (r >= 0)
			r = read_components(db, err);
	}
	if (r < 0)
		return r;
	struct component *c = find_component(db, "database");
	if (!c)
		return err_set(err, ERR_CORRUPT, "database '%s' does not tell its version", path);
	if (c->version > DB_FORMAT)
		return err_set(err, ERR_UNSUPPORTED, "database '%s' has format %lld, written by a newer version; this one knows format %d", path,
			       (long long) c->version, DB_FORMAT);
	return 0;
}

int db_open(const char *path, struct db **ret, struct err *err)
{
	struct db *db = calloc(1, sizeof(*db));
	if (!db)
		return err_oom(err);
	(void) pthread_once(&configured, configure);
	pthread_mutexattr_t attr;
	(void) pthread_mutexattr_init(&attr);
	(void) pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE);
	(void) pthread_mutex_init(&db->lock, &attr);
	(void) pthread_mutexattr_destroy(&attr);
	int r = open_and_check(db, path, err);
	if (r < 0) {
		db_close(db);
		return err_wrap(err, "opening '%s'", path);
	}
	*ret = db;
	return 0;
}

struct db *db_close(struct db *db)
{
	if (!db)
		return NULL;
	assert(!db->in_tx);
	for (size_t i = 0; i < STMT_CACHE_MAX; i++) {
		struct db_stmt *s = db->cache[i];
		if (!s)
			continue;
		assert(!s->busy);
		(void) sqlite3_finalize(s->st);
		free((char *) s->sql);
		free(s);
	}
	if (db->h)
		(void) sqlite3_busy_timeout(db->h, 0); /* whoever is in the way will close, too */
	if (db->h && db->wal_pages > WAL_CLOSE_PAGES)
		(void) sqlite3_wal_checkpoint_v2(db->h, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL); /* busy: the next close tries again */
	(void) sqlite3_close_v2(db->h);
	(void) pthread_mutex_destroy(&db->lock);
	free(db);
	return NULL;
}

/* Migrations */

static int run_steps(struct db *db, const char *name, const char *const *steps, size_t n, struct err *err)
{
	/* another process may have been faster between our open and our BEGIN */
	int r = read_components(db, err);
	if (r < 0)
		return r;
	struct component *c = find_component(db, name);
	int64_t have = c ? c->version : 0;
	for (size_t i = have < 0 ? 0 : (size_t) have; i < n; i++) {
		r = simple(db, steps[i], err);
		if (r < 0)
			return err_wrap(err, "bringing '%s' from version %zu to %zu", name, i, i + 1);
	}
	r = db_exec(db, err, "INSERT OR REPLACE INTO component VALUES(?1,?2)", "si", name, (int64_t) MAX((int64_t) n, have));
	return r < 0 ? r : read_components(db, err);
}

int db_migrate(struct db *db, const char *name, const char *const *steps, size_t n, struct err *err)
{
	assert(strlen(name) < COMPONENT_NAME_MAX);
	lock(db);
	struct component *c = find_component(db, name);
	int64_t have = c ? c->version : 0;
	unlock(db);
	if (have == (int64_t) n)
		return 0;
	if (have > (int64_t) n)
		return err_set(err, ERR_UNSUPPORTED, "database '%s': '%s' has version %lld, written by a newer version; this one knows %zu: use the newer one", file_of(db),
			       name, (long long) have, n);
	int r = db_begin(db, err);
	if (r < 0)
		return r;
	r = run_steps(db, name, steps, n, err);
	if (r < 0) {
		db_rollback(db);
		return r;
	}
	return db_commit(db, err);
}

/* Transactions */

static int run_cached(struct db *db, const char *sql, struct err *err)
{
	int r = db_exec(db, err, sql, "");
	return r < 0 ? r : 0;
}

static int begin(struct db *db, const char *sql, struct err *err)
{
	lock(db);
	assert(!db->in_tx); /* D1: transactions do not nest */
	int r = run_cached(db, sql, err);
	if (r < 0) {
		unlock(db);
		return r;
	}
	db->in_tx = true;
	return 0;
}

int db_begin(struct db *db, struct err *err)
{
	return begin(db, "BEGIN IMMEDIATE", err);
}

int db_begin_read(struct db *db, struct err *err)
{
	return begin(db, "BEGIN", err);
}

int db_commit(struct db *db, struct err *err)
{
	assert(db->in_tx);
	int r = run_cached(db, "COMMIT", err);
	if (r < 0) {
		db_rollback(db);
		return r;
	}
	db->in_tx = false;
	unlock(db);
	return 0;
}

void db_rollback(struct db *db)
{
	lock(db);
	if (db->in_tx) {
		/* a failed statement may have ended the transaction already; then this one fails, which is as well */
		(void) run_cached(db, "ROLLBACK", NULL);
		db->in_tx = false;
		unlock(db); /* the one that db_begin() took */
	}
	unlock(db);
}

/* Statements */

static size_t hash_text(const char *s)
{
	uint64_t h = 1469598103934665603u;
	for (; *s; s++)
		h = (h ^ (unsigned char) *s) * 1099511628211u;
	return (size_t) (h ^ (h >> 32));
}

static int prepare(struct db *db, const char *sql, struct db_stmt **ret, struct err *err)
{
	struct db_stmt *s = calloc(1, sizeof(*s));
	if (!s)
		return err_oom(err);
	s->db = db;
	int rc = sqlite3_prepare_v3(db->h, sql, -1, SQLITE_PREPARE_PERSISTENT, &s->st, NULL);
	if (rc != SQLITE_OK) {
		free(s);
		return db_error(db, rc, err, "preparing a statement");
	}
	*ret = s;
	return 0;
}

/* The cached statement of this text, or a fresh one that enters the cache when there is room. */
static int get_stmt(struct db *db, const char *sql, struct db_stmt **ret, struct err *err)
{
	size_t i = hash_text(sql) % STMT_CACHE_MAX;
	bool room = db->n_cached < STMT_CACHE_MAX / 2;
	for (; db->cache[i]; i = (i + 1) % STMT_CACHE_MAX) {
		if (!str_eq(db->cache[i]->sql, sql))
			continue;
		if (!db->cache[i]->busy) {
			*ret = db->cache[i];
			return 0;
		}
		room = false; /* D3 */
		break;
	}
	int r = prepare(db, sql, ret, err);
	if (r < 0 || !room)
		return r;
	(*ret)->sql = strdup(sql);
	if ((*ret)->sql) {
		db->cache[i] = *ret;
		db->n_cached++;
	}
	return 0;
}

static int bind_all(struct db *db, sqlite3_stmt *st, const char *types, va_list ap)
{
	int n = sqlite3_bind_parameter_count(st);
	assert((size_t) n == strlen(types));
	for (int i = 1; *types; types++, i++) {
		int rc;
		switch (*types) {
		case 's': {
			const char *s = va_arg(ap, const char *);
			rc = s ? sqlite3_bind_text(st, i, s, -1, SQLITE_TRANSIENT) : sqlite3_bind_null(st, i);
			break;
		}
		case 'i':
			rc = sqlite3_bind_int64(st, i, va_arg(ap, int64_t));
			break;
		case 'b': {
			const void *p = va_arg(ap, const void *);
			size_t len = va_arg(ap, size_t);
			rc = p ? sqlite3_bind_blob64(st, i, p, len, SQLITE_TRANSIENT) : sqlite3_bind_null(st, i);
			break;
		}
		default:
			assert(!"types are s, i and b");
			rc = SQLITE_MISUSE;
		}
		if (rc != SQLITE_OK)
			return rc;
	}
	return SQLITE_OK;
}

/* With the lock held; on failure the lock is released. */
static int vquery(struct db *db, struct db_stmt **ret, struct err *err, const char *sql, const char *types, va_list ap)
{
	struct db_stmt *s = NULL;
	lock(db);
	int r = get_stmt(db, sql, &s, err);
	if (r < 0) {
		unlock(db);
		return r;
	}
	s->busy = true;
	int rc = bind_all(db, s->st, types, ap);
	if (rc != SQLITE_OK) {
		r = db_error(db, rc, err, "binding");
		db_done(s);
		return r;
	}
	*ret = s;
	return 0;
}

int db_query(struct db *db, struct db_stmt **ret, struct err *err, const char *sql, const char *types, ...)
{
	va_list ap;
	va_start(ap, types);
	int r = vquery(db, ret, err, sql, types, ap);
	va_end(ap);
	return r;
}

int db_step(struct db_stmt *st, struct err *err)
{
	int rc = sqlite3_step(st->st);
	if (rc == SQLITE_ROW)
		return 1;
	return rc == SQLITE_DONE ? 0 : db_error(st->db, rc, err, sqlite3_sql(st->st));
}

struct db_stmt *db_done(struct db_stmt *st)
{
	if (!st)
		return NULL;
	struct db *db = st->db;
	if (st->sql) {
		(void) sqlite3_reset(st->st); /* repeats the error that db_step() told */
		(void) sqlite3_clear_bindings(st->st);
		st->busy = false;
	} else {
		(void) sqlite3_finalize(st->st);
		free(st);
	}
	unlock(db);
	return NULL;
}

void db_donep(struct db_stmt **st)
{
	*st = db_done(*st);
}

const char *db_text(struct db_stmt *st, int col)
{
	return (const char *) sqlite3_column_text(st->st, col);
}

int64_t db_int(struct db_stmt *st, int col)
{
	return sqlite3_column_int64(st->st, col);
}

const void *db_blob(struct db_stmt *st, int col, size_t *ret_len)
{
	const void *p = sqlite3_column_blob(st->st, col);
	*ret_len = (size_t) sqlite3_column_bytes(st->st, col);
	return p;
}

int db_exec(struct db *db, struct err *err, const char *sql, const char *types, ...)
{
	struct db_stmt *s = NULL;
	va_list ap;
	va_start(ap, types);
	int r = vquery(db, &s, err, sql, types, ap);
	va_end(ap);
	if (r < 0)
		return r;
	r = db_step(s, err);
	int changes = r < 0 ? r : sqlite3_changes(db->h);
	db_done(s);
	return changes;
}

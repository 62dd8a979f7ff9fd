/* SPDX-License-Identifier: Apache-2.0 */
/* The database room: opening, migrations, transactions across threads and processes, statement reuse. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/str.h"
#include "db/db.h"

static const char *const steps[] = {
	"CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT UNIQUE, data BLOB)",
	"CREATE TABLE child(id INTEGER PRIMARY KEY, t_id INTEGER NOT NULL REFERENCES t(id)); ALTER TABLE t ADD COLUMN note TEXT",
};

struct place {
	char dir[64], path[80];
};

static int setup(void **state)
{
	struct place *p = calloc(1, sizeof(*p));
	(void) str_copy(p->dir, sizeof(p->dir), "/tmp/coffer-db-XXXXXX");
	if (!p || !mkdtemp(p->dir))
		return -1;
	(void) str_format(p->path, sizeof(p->path), "%s/coffer.db", p->dir);
	*state = p;
	return 0;
}

static int teardown(void **state)
{
	struct place *p = *state;
	int r = rm_rf_at(AT_FDCWD, p->dir);
	free(p);
	return r;
}

static struct db *open_db(const char *path, size_t n)
{
	struct err err = {0};
	struct db *db = NULL;
	assert_int_equal(db_open(path, &db, &err), 0);
	if (n)
		assert_int_equal(db_migrate(db, "test", steps, n, &err), 0);
	return db;
}

static int64_t count(struct db *db)
{
	struct db_stmt *st = NULL;
	struct err err;
	assert_int_equal(db_query(db, &st, &err, "SELECT count(*) FROM t", ""), 0);
	assert_int_equal(db_step(st, &err), 1);
	int64_t n = db_int(st, 0);
	st = db_done(st);
	return n;
}

static void test_open_private(void **state)
{
	struct place *p = *state;
	struct db *db = open_db(p->path, 1);
	struct stat s;
	assert_int_equal(stat(p->path, &s), 0);
	assert_int_equal(s.st_mode & 07777, 0600);
	db_close(db);
}

static void test_migrate_in_steps(void **state)
{
	struct place *p = *state;
	struct err err;
	struct db *db = open_db(p->path, 1);
	assert_int_equal(db_exec(db, &err, "INSERT INTO t(name) VALUES(?1)", "s", "one"), 1);
	db_close(db);
	db = open_db(p->path, 2);
	assert_int_equal(db_exec(db, &err, "UPDATE t SET note=?1", "s", "kept"), 1);
	db_close(db);
	assert_int_equal(db_open(p->path, &db, &err), 0);
	assert_true(db_migrate(db, "test", steps, 1, &err) < 0);
	assert_int_equal(err.kind, ERR_UNSUPPORTED);
	assert_non_null(strstr(err.msg, "version 2"));
	db_close(db);
}

static void test_migrate_failure_leaves_nothing(void **state)
{
	struct place *p = *state;
	struct err err;
	static const char *const bad[] = {"CREATE TABLE fine(a)", "CREATE NONSENSE"};
	struct db *db = open_db(p->path, 0);
	assert_true(db_migrate(db, "bad", bad, 2, &err) < 0);
	assert_true(db_exec(db, &err, "INSERT INTO fine VALUES(1)", "") < 0);
	static const char *const good[] = {"CREATE TABLE fine(a)", "CREATE TABLE finer(a)"};
	assert_int_equal(db_migrate(db, "bad", good, 2, &err), 0);
	db_close(db);
}

static void test_newer_format_refused(void **state)
{
	struct place *p = *state;
	struct err err;
	struct db *db = open_db(p->path, 0);
	assert_int_equal(db_exec(db, &err, "UPDATE component SET version=99 WHERE name='database'", ""), 1);
	db_close(db);
	db = NULL;
	assert_true(db_open(p->path, &db, &err) < 0);
	assert_null(db);
	assert_int_equal(err.kind, ERR_UNSUPPORTED);
	assert_non_null(strstr(err.msg, "99"));
}

static void test_not_a_database(void **state)
{
	struct place *p = *state;
	struct err err;
	struct db *db = NULL;
	char junk[4096];
	memset(junk, 'x', sizeof(junk));
	assert_int_equal(write_file_atomic(AT_FDCWD, p->path, junk, sizeof(junk), 0600), 0);
	assert_true(db_open(p->path, &db, &err) < 0);
	assert_null(db);
	assert_int_equal(err.kind, ERR_CORRUPT);
}

static void test_no_directory(void **state)
{
	struct err err;
	struct db *db = NULL;
	assert_true(db_open("/no/such/directory/coffer.db", &db, &err) < 0);
	assert_null(db);
	assert_non_null(strstr(err.msg, "/no/such/directory"));
}

static void test_types_round_trip(void **state)
{
	struct place *p = *state;
	struct err err;
	struct db *db = open_db(p->path, 2);
	const char blob[] = {0, 1, 2, 0, 3};
	assert_int_equal(db_exec(db, &err, "INSERT INTO t(id,name,data,note) VALUES(?1,?2,?3,?4)", "isbs", (int64_t) INT64_MIN, "näme", blob, sizeof(blob), NULL), 1);
	_cleanup_stmt_ struct db_stmt *st = NULL;
	assert_int_equal(db_query(db, &st, &err, "SELECT id,name,data,note FROM t", ""), 0);
	assert_int_equal(db_step(st, &err), 1);
	assert_true(db_int(st, 0) == INT64_MIN);
	assert_string_equal(db_text(st, 1), "näme");
	size_t n;
	const void *b = db_blob(st, 2, &n);
	assert_int_equal(n, sizeof(blob));
	assert_memory_equal(b, blob, n);
	assert_null(db_text(st, 3));
	assert_int_equal(db_step(st, &err), 0);
	st = db_done(st);
	db_close(db);
}

static void test_conflicts(void **state)
{
	struct place *p = *state;
	struct err err;
	struct db *db = open_db(p->path, 2);
	assert_int_equal(db_exec(db, &err, "INSERT INTO t(name) VALUES(?1)", "s", "one"), 1);
	assert_true(db_exec(db, &err, "INSERT INTO t(name) VALUES(?1)", "s", "one") < 0);
	assert_int_equal(err.kind, ERR_CONFLICT);
	assert_true(db_exec(db, &err, "INSERT INTO child(t_id) VALUES(77)", "") < 0);
	assert_int_equal(err.kind, ERR_CONFLICT);
	assert_int_equal(db_exec(db, &err, "DELETE FROM t WHERE name='none'", ""), 0);
	db_close(db);
}

static void test_nested_statement(void **state)
{
	struct place *p = *state;
	struct err err;
	struct db *db = open_db(p->path, 2);
	for (int i = 0; i < 3; i++)
		assert_int_equal(db_exec(db, &err, "INSERT INTO t(id,name) VALUES(?1,?1)", "i", (int64_t) i), 1);
	const char *sql = "SELECT id FROM t WHERE id>=?1 ORDER BY id";
	struct db_stmt *a = NULL, *b = NULL;
	assert_int_equal(db_query(db, &a, &err, sql, "i", (int64_t) 0), 0);
	assert_int_equal(db_step(a, &err), 1);
	assert_int_equal(db_query(db, &b, &err, sql, "i", (int64_t) 2), 0);
	assert_int_equal(db_step(b, &err), 1);
	assert_int_equal(db_int(b, 0), 2);
	b = db_done(b);
	assert_int_equal(db_step(a, &err), 1);
	assert_int_equal(db_int(a, 0), 1);
	a = db_done(a);
	db_close(db);
}

static void test_rollback(void **state)
{
	struct place *p = *state;
	struct err err;
	struct db *db = open_db(p->path, 2);
	assert_int_equal(db_begin(db, &err), 0);
	assert_int_equal(db_exec(db, &err, "INSERT INTO t(name) VALUES('x')", ""), 1);
	db_rollback(db);
	db_rollback(db); /* outside a transaction: nothing */
	assert_int_equal(count(db), 0);
	db_close(db);
}

#define WRITERS 4
#define WRITES 50

static void *writer(void *ctx)
{
	struct db *db = ctx;
	struct err err;
	for (int i = 0; i < WRITES; i++) {
		if (db_begin(db, &err) < 0 || db_exec(db, &err, "INSERT INTO t(name) VALUES(NULL)", "") != 1 || db_commit(db, &err) < 0)
			return (void *) 1;
	}
	return NULL;
}

static void test_threads(void **state)
{
	struct place *p = *state;
	struct db *db = open_db(p->path, 2);
	pthread_t t[WRITERS];
	for (int i = 0; i < WRITERS; i++)
		assert_int_equal(pthread_create(&t[i], NULL, writer, db), 0);
	for (int i = 0; i < WRITERS; i++) {
		void *res = NULL;
		assert_int_equal(pthread_join(t[i], &res), 0);
		assert_null(res);
	}
	assert_int_equal(count(db), WRITERS * WRITES);
	db_close(db);
}

/* Several processes create, migrate and write one new file at the same time: the first second of a fresh host. */
static void test_processes(void **state)
{
	struct place *p = *state;
	pid_t pids[WRITERS];
	for (int i = 0; i < WRITERS; i++) {
		pids[i] = fork();
		assert_true(pids[i] >= 0);
		if (pids[i] == 0) {
			struct err err;
			struct db *db = NULL;
			int bad = db_open(p->path, &db, &err) < 0 || db_migrate(db, "test", steps, 2, &err) < 0 || writer(db) != NULL;
			if (bad)
				dprintf(2, "%s\n", err.msg);
			db_close(db);
			_exit(bad);
		}
	}
	for (int i = 0; i < WRITERS; i++) {
		int status = -1;
		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(status, 0);
	}
	struct db *db = open_db(p->path, 2);
	assert_int_equal(count(db), WRITERS * WRITES);
	db_close(db);
}

static void test_open_is_fast(void **state)
{
	struct place *p = *state;
	usec_t best = UINT64_MAX;
	for (int i = 0; i < 60; i++) {
		usec_t t = now_usec();
		struct db *db = open_db(p->path, 2);
		t = now_usec() - t;
		best = MIN(best, t);
		struct err err;
		for (int k = 0; k < 3; k++)
			assert_int_equal(db_exec(db, &err, "INSERT INTO t(name) VALUES(NULL)", ""), 1);
		db_close(db);
	}
	print_message("open: %llu us\n", (unsigned long long) best);
	assert_true(best < 20000); /* a bound that holds under sanitizers too; the figure is printed */
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_open_private), T(test_migrate_in_steps), T(test_migrate_failure_leaves_nothing), T(test_newer_format_refused),
		T(test_not_a_database), T(test_no_directory), T(test_types_round_trip), T(test_conflicts), T(test_nested_statement), T(test_rollback),
		T(test_threads), T(test_processes), T(test_open_is_fast),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

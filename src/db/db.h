/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The database: SQLite in WAL mode, synchronous=NORMAL (a commit costs no fsync; power loss may lose the last commits, never
 * consistency), busy timeout 10 s. One struct db is one connection with its own lock: calls from several threads serialise;
 * a transaction holds the lock from db_begin() to db_commit()/db_rollback(). Several processes share the file.
 * Every room that stores rows owns its tables and brings them by db_migrate().
 */
#pragma once

#include "base/err.h"

struct db;
struct db_stmt; /* a prepared statement, cached by its text for the life of the connection */

/** db_open() - open or create @path (0600). Refuses a file written by a newer version, naming both versions. */
int db_open(const char *path, struct db **ret, struct err *err);
struct db *db_close(struct db *db);

/** db_migrate() - bring component @name's tables to the last of @n steps, in one transaction. @steps[i] is the SQL that leads from version i to i+1. */
int db_migrate(struct db *db, const char *name, const char *const *steps, size_t n, struct err *err);

/** db_begin() - BEGIN IMMEDIATE: from here to the end no other process writes. Takes the connection's lock. */
int db_begin(struct db *db, struct err *err);
/** db_begin_read() - BEGIN: several looks see one state, for the price of one. Takes the connection's lock; ended by db_commit(). Nothing is written in it. */
int db_begin_read(struct db *db, struct err *err);
int db_commit(struct db *db, struct err *err);
void db_rollback(struct db *db);

/*
 * Statements: db_query(db, &st, err, "SELECT a,b FROM t WHERE id=?1 AND n>?2", "si", id, n); while ((r = db_step(st, err)) > 0)
 * { db_text(st, 0); db_int(st, 1); } st = db_done(st).  @types: one letter a parameter: s text (NULL allowed), i int64_t,
 * b blob (const void *, size_t). Outside a transaction the connection's lock is held from db_query to db_done.
 */
int db_query(struct db *db, struct db_stmt **ret, struct err *err, const char *sql, const char *types, ...);
/** db_step() - 1: a row, 0: no more, <0: error. */
int db_step(struct db_stmt *st, struct err *err);
struct db_stmt *db_done(struct db_stmt *st);
void db_donep(struct db_stmt **st);
#define _cleanup_stmt_ _cleanup_(db_donep)
const char *db_text(struct db_stmt *st, int col); /* borrowed until the next step; NULL for NULL */
int64_t db_int(struct db_stmt *st, int col);
const void *db_blob(struct db_stmt *st, int col, size_t *ret_len);
/** db_exec() - a statement without rows. Return: number of rows changed (>= 0); ERR_CONFLICT on a uniqueness violation. */
int db_exec(struct db *db, struct err *err, const char *sql, const char *types, ...);

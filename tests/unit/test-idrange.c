/* SPDX-License-Identifier: Apache-2.0 */
/* Host ids: modes as text, disjointness, host files, custom maps, remap, sharing, a full pool, and processes that allocate at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/str.h"
#include "db/db.h"
#include "idrange/idrange.h"

struct world {
	char dir[64], db_path[96], files[4][96];
	struct idrange_config cfg;
	struct db *db;
	struct idrange *ids;
};

static const char *const file_names[4] = {"subuid", "subgid", "passwd", "group"};

static void put(struct world *w, int file, const char *text)
{
	assert_int_equal(write_file_atomic(AT_FDCWD, w->files[file], text, strlen(text), 0644), 0);
}

static void open_world(struct world *w)
{
	struct err err = {0};
	if (db_open(w->db_path, &w->db, &err) < 0 || idrange_open(w->db, &w->cfg, &w->ids, &err) < 0)
		fail_msg("%s", err.msg);
}

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	(void) str_copy(w->dir, sizeof(w->dir), "/tmp/coffer-ids-XXXXXX");
	if (!mkdtemp(w->dir))
		return -1;
	(void) str_format(w->db_path, sizeof(w->db_path), "%s/coffer.db", w->dir);
	for (int i = 0; i < 4; i++)
		(void) str_format(w->files[i], sizeof(w->files[i]), "%s/%s", w->dir, file_names[i]);
	w->cfg = (struct idrange_config){.subuid = w->files[0], .subgid = w->files[1], .passwd = w->files[2], .group = w->files[3]};
	open_world(w);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;
	idrange_close(w->ids);
	db_close(w->db);
	int r = rm_rf_at(AT_FDCWD, w->dir);
	free(w);
	return r;
}

static int reserve(struct world *w, const char *owner, const struct idrange_request *req, int64_t *id, struct idrange_map *m, struct err *err)
{
	assert_int_equal(db_begin(w->db, err), 0);
	int r = idrange_reserve(w->ids, "local", owner, req, id, m, err);
	if (r < 0)
		db_rollback(w->db);
	else
		assert_int_equal(db_commit(w->db, err), 0);
	return r;
}

static int64_t reserve_ok(struct world *w, const char *owner, const char *mode, struct idrange_map *m)
{
	struct idrange_request req;
	struct err err = {0};
	int64_t id = 0;
	if (idrange_parse(mode, NULL, NULL, &req, &err) < 0 || reserve(w, owner, &req, &id, m, &err) < 0)
		fail_msg("%s: %s", mode, err.msg);
	return id;
}

static int reserve_custom(struct world *w, const char *owner, const char *uids, const char *gids, int64_t *id, struct err *err)
{
	char *u[] = {(char *) uids, NULL}, *g[] = {(char *) gids, NULL};
	struct idrange_request req;
	struct idrange_map m;
	int r = idrange_parse("map", u, gids ? g : NULL, &req, err);
	return r < 0 ? r : reserve(w, owner, &req, id, &m, err);
}

static void release(struct world *w, int64_t id)
{
	struct err err = {0};
	assert_int_equal(db_begin(w->db, &err), 0);
	if (idrange_release(w->ids, id, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(db_commit(w->db, &err), 0);
}

static void check_disjoint(struct world *w)
{
	char why[256] = "";
	struct err err = {0};
	int r = idrange_is_disjoint(w->ids, why, sizeof(why), &err);
	if (r != 1)
		fail_msg("disjoint: %d %s %s", r, why, r < 0 ? err.msg : "");
}

static void test_parse(void **state)
{
	static const struct {
		const char *mode;
		int kind;
		uint32_t size;
		const char *user, *group, *container;
	} good[] = {
		{NULL, IDRANGE_AUTO, 0, "", "", ""},
		{"", IDRANGE_AUTO, 0, "", "", ""},
		{"auto", IDRANGE_AUTO, 0, "", "", ""},
		{"auto:size=1", IDRANGE_AUTO, 1, "", "", ""},
		{"auto:size=200000", IDRANGE_AUTO, 200000, "", "", ""},
		{"remap", IDRANGE_REMAP, 0, "", "", ""},
		{"remap:bob", IDRANGE_REMAP, 0, "bob", "", ""},
		{"remap:1000:1001", IDRANGE_REMAP, 0, "1000", "1001", ""},
		{"container:web", IDRANGE_CONTAINER, 0, "", "", "web"},
		{"host", IDRANGE_HOST, 0, "", "", ""},
	};
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		struct idrange_request q;
		struct err err = {0};
		if (idrange_parse(good[i].mode, NULL, NULL, &q, &err) < 0)
			fail_msg("%s: %s", good[i].mode, err.msg);
		assert_int_equal(q.mode, good[i].kind);
		assert_int_equal(q.size, good[i].size);
		assert_string_equal(q.user, good[i].user);
		assert_string_equal(q.group, good[i].group);
		assert_string_equal(q.container, good[i].container);
	}
	static const char *const bad[] = {"keep-id",  "autox",  "auto:",	 "auto:size=", "auto:size=0", "auto:size=-1", "auto:size=4294967296", "auto:x=1",
					  "remap:",   "remap::", "remap:a:",	 "remap:a:b:c", "container",   "container:",   "host:x",		   "map",
					  "private", "HOST",	"map:0:1:2", " auto"};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct idrange_request q;
		struct err err = {0};
		if (idrange_parse(bad[i], NULL, NULL, &q, &err) >= 0)
			fail_msg("'%s' was taken", bad[i]);
		assert_int_equal(err.kind, ERR_INVALID);
	}
}

static void test_parse_maps(void **state)
{
	static const struct {
		const char *v[6], *says;
	} bad[] = {
		{{"0:0:1"}, "host id 0"},
		{{"0:5"}, "not CONTAINER:HOST:SIZE"},
		{{"0:5:1:2"}, "not CONTAINER:HOST:SIZE"},
		{{"0:5:"}, "not CONTAINER:HOST:SIZE"},
		{{"0:-5:1"}, "not CONTAINER:HOST:SIZE"},
		{{"0:0x5:1"}, "not CONTAINER:HOST:SIZE"},
		{{"0: 5:1"}, "not CONTAINER:HOST:SIZE"},
		{{"0:5:4294967296"}, "not CONTAINER:HOST:SIZE"},
		{{"0:5:0"}, "SIZE is 0"},
		{{"0:4294967290:10"}, "past the last id"},
		{{"4294967290:5:10"}, "past the last id"},
		{{"0:100:10", "9:500:10"}, "overlap inside"},
		{{"0:100:10", "10:109:10"}, "overlap on the host"},
		{{"1:100:10"}, "id 0 of the container"},
		{{"0:1:1", "1:2:1", "2:3:1", "3:4:1", "4:5:1"}, "at most 4"},
	};
	struct idrange_request q;
	struct err err = {0};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		if (idrange_parse("map", (char **) bad[i].v, NULL, &q, &err) >= 0 || !strstr(err.msg, bad[i].says))
			fail_msg("%s: '%s' lacks '%s'", bad[i].v[0], err.msg, bad[i].says);
		assert_true(idrange_parse(NULL, NULL, (char **) bad[i].v, &q, &err) < 0);
	}
	char *u[] = {(char *) "0:300000:1000", (char *) "1000:500000:1", NULL}, *g[] = {(char *) "0:700000:10", NULL};
	assert_int_equal(idrange_parse("", u, g, &q, &err), 0);
	assert_int_equal(q.mode, IDRANGE_MAP);
	assert_int_equal(q.map.n_uid, 2);
	assert_int_equal(q.map.uid[1].host, 500000);
	assert_int_equal(q.map.n_gid, 1);
	assert_int_equal(idrange_parse("map", u, NULL, &q, &err), 0);
	assert_int_equal(q.map.n_gid, 2);
	assert_true(idrange_parse("auto", u, NULL, &q, &err) < 0);
}

static void test_two_hundred(void **state)
{
	struct world *w = *state;
	put(w, 0, "alice:1048576:65536\nbob:1200000:65536\n# words\nbroken\n:::\n\nx:99999999999:5\n");
	put(w, 1, "carol:1507328:1\n");
	put(w, 2, "root:x:0:0:root:/root:/bin/sh\nfar:x:1600000:1600000::/:/bin/sh\n+::::::\n");
	put(w, 3, "root:x:0:\nfargroup:x:1700000:a,b\n");
	uint32_t seen[200];
	for (int i = 0; i < 200; i++) {
		struct idrange_map m;
		reserve_ok(w, "c", "auto", &m);
		assert_int_equal(m.n_uid, 1);
		assert_int_equal(m.uid[0].ctr, 0);
		assert_int_equal(m.uid[0].size, 65536);
		assert_int_equal(m.uid[0].host % 65536, 0);
		assert_memory_equal(m.uid, m.gid, sizeof(m.uid[0]));
		seen[i] = m.uid[0].host;
		for (int k = 0; k < i; k++)
			assert_int_not_equal(seen[k], seen[i]);
	}
	for (int i = 0; i < 200; i++) {
		static const uint32_t never[] = {1048576, 1179648, 1245184, 1507328, 1572864, 1638400};
		for (size_t k = 0; k < ARRAY_LEN(never); k++)
			assert_int_not_equal(seen[i], never[k]);
	}
	check_disjoint(w);
}

static void test_release_and_reuse(void **state)
{
	struct world *w = *state;
	struct idrange_map a, b, c, back;
	struct err err = {0};
	int64_t ia = reserve_ok(w, "a", "auto", &a), ib = reserve_ok(w, "b", "auto:size=65537", &b), ic = reserve_ok(w, "c", "auto:size=1", &c);
	assert_int_equal(b.uid[0].size, 65537);
	assert_int_equal(c.uid[0].host, b.uid[0].host + 2 * 65536);
	assert_int_equal(c.uid[0].size, 1);
	assert_int_equal(idrange_load(w->ids, ib, &back, &err), 0);
	assert_memory_equal(&back, &b, sizeof(b));
	check_disjoint(w);
	release(w, ib);
	assert_true(idrange_load(w->ids, ib, &back, &err) < 0);
	assert_int_equal(err.kind, ERR_NOT_FOUND);
	check_disjoint(w);
	release(w, ia);
	release(w, ic);
	release(w, 0);
	check_disjoint(w);
	/* the cursor moves on: a range that was given back rests */
	reserve_ok(w, "d", "auto", &b);
	assert_true(b.uid[0].host > c.uid[0].host);
	check_disjoint(w);
}

static void test_rollback(void **state)
{
	struct world *w = *state;
	struct idrange_request req = {.mode = IDRANGE_AUTO};
	struct idrange_map a, b;
	struct err err;
	int64_t id;
	assert_int_equal(db_begin(w->db, &err), 0);
	assert_int_equal(idrange_reserve(w->ids, "local", "a", &req, &id, &a, &err), 0);
	db_rollback(w->db);
	reserve_ok(w, "b", "auto", &b);
	assert_int_equal(a.uid[0].host, b.uid[0].host);
	check_disjoint(w);
}

static void small_pool(struct world *w, uint32_t ranges)
{
	idrange_close(w->ids);
	w->cfg.pool_first = 1048576;
	w->cfg.pool_end = 1048576 + ranges * 65536;
	struct err err;
	assert_int_equal(idrange_open(w->db, &w->cfg, &w->ids, &err), 0);
}

static void test_full_pool(void **state)
{
	struct world *w = *state;
	small_pool(w, 4);
	put(w, 0, "alice:1114112:65536\n");
	struct idrange_request req = {.mode = IDRANGE_AUTO};
	struct idrange_map m, n;
	struct err err = {0};
	int64_t id[3], more;
	for (int i = 0; i < 3; i++)
		id[i] = reserve_ok(w, "c", "auto", &m);
	assert_true(reserve(w, "over", &req, &more, &n, &err) < 0);
	assert_int_equal(err.kind, ERR_QUOTA);
	assert_non_null(strstr(err.msg, "tenant 'local'"));
	check_disjoint(w);
	release(w, id[1]);
	int64_t again = reserve_ok(w, "c", "auto", &n);
	check_disjoint(w);
	release(w, again);
	release(w, id[2]);
	req.size = 2 * 65536; /* 3 and 4 are free and adjacent: 1179648, 1245184 */
	assert_int_equal(reserve(w, "two", &req, &more, &n, &err), 0);
	assert_int_equal(n.uid[0].host, 1179648);
	check_disjoint(w);
	assert_true(idrange_open(w->db, &(struct idrange_config){.pool_first = 5}, &w->ids, &err) < 0);
}

static void test_custom_maps(void **state)
{
	struct world *w = *state;
	struct idrange_map m;
	struct err err = {0};
	int64_t id, a, b;
	put(w, 0, "alice:300000:65536\ncoffer:400000:65536\n");
	put(w, 1, "alice:300000:65536\ncoffer:400000:65536\n");
	put(w, 2, "eve:x:1000:1000::/:/bin/sh\n");
	put(w, 3, "staff:x:1000:\n");
	assert_int_equal(reserve_custom(w, "container 'one'", "0:200000:1000", "0:210000:1000", &a, &err), 0);
	assert_true(reserve_custom(w, "container 'two'", "0:200999:10", NULL, &id, &err) < 0);
	assert_int_equal(err.kind, ERR_CONFLICT);
	assert_non_null(strstr(err.msg, "container 'one'"));
	/* uid and gid are counted apart */
	assert_int_equal(reserve_custom(w, "container 'three'", "0:210000:1000", "0:200000:1000", &b, &err), 0);
	assert_true(reserve_custom(w, "x", "0:300010:1", NULL, &id, &err) < 0);
	assert_non_null(strstr(err.msg, "'alice' in /etc/subuid"));
	assert_true(reserve_custom(w, "x", "0:299999:1", "0:300000:1", &id, &err) < 0);
	assert_non_null(strstr(err.msg, "'alice' in /etc/subgid"));
	assert_int_equal(reserve_custom(w, "container 'own'", "0:400000:10", NULL, &id, &err), 0);
	assert_true(reserve_custom(w, "x", "0:999:3", NULL, &id, &err) < 0);
	assert_non_null(strstr(err.msg, "'eve' in /etc/passwd"));
	assert_true(reserve_custom(w, "x", "0:999:1", "0:999:2", &id, &err) < 0);
	assert_non_null(strstr(err.msg, "'staff' in /etc/group"));
	assert_true(reserve_custom(w, "x", "0:4294836223:2", NULL, &id, &err) < 0);
	assert_non_null(strstr(err.msg, "helper"));
	/* automatic ranges go round custom ones, and custom ones refuse automatic ones */
	assert_int_equal(reserve_custom(w, "container 'low'", "0:1048600:10", NULL, &id, &err), 0);
	reserve_ok(w, "container 'auto'", "auto", &m);
	assert_int_equal(m.uid[0].host, 1048576 + 65536);
	assert_true(reserve_custom(w, "x", "0:1114200:10", NULL, &id, &err) < 0);
	assert_non_null(strstr(err.msg, "container 'auto'"));
	check_disjoint(w);
	release(w, a);
	assert_int_equal(reserve_custom(w, "container 'two'", "0:200999:10", "0:220000:10", &id, &err), 0);
	check_disjoint(w);
}

static void test_remap(void **state)
{
	struct world *w = *state;
	struct idrange_request req;
	struct idrange_map m, n;
	struct err err = {0};
	int64_t id;
	assert_int_equal(idrange_parse("remap", NULL, NULL, &req, &err), 0);
	assert_true(reserve(w, "a", &req, &id, &m, &err) < 0);
	assert_non_null(strstr(err.msg, "'coffer' has no range in /etc/subuid"));
	put(w, 0, "dockremap:500000:65536\nbob:700000:1000\nbob:600000:1000\n1234:800000:5\n");
	put(w, 1, "dockremap:500000:65536\nbob:700000:2000\nstaff:900000:7\n");
	put(w, 2, "bob:x:1000:50::/:/bin/sh\nnum:x:1234:50::/:/bin/sh\n");
	put(w, 3, "staff:x:50:\n");
	int64_t a = reserve_ok(w, "a", "remap", &m);
	assert_int_equal(m.uid[0].host, 500000);
	assert_int_equal(reserve_ok(w, "b", "remap:dockremap", &n), a);
	assert_memory_equal(&m, &n, sizeof(m));
	reserve_ok(w, "c", "remap:1000", &m);
	assert_int_equal(m.n_uid, 2);
	assert_int_equal(m.uid[0].host, 600000);
	assert_int_equal(m.uid[1].ctr, 1000);
	assert_int_equal(m.uid[1].host, 700000);
	assert_int_equal(m.gid[0].size, 2000);
	reserve_ok(w, "d", "remap:1234:50", &m);
	assert_int_equal(m.uid[0].host, 800000);
	assert_int_equal(m.gid[0].host, 900000);
	put(w, 0, "dockremap:510000:65536\n");
	put(w, 1, "dockremap:510000:65536\n");
	assert_true(reserve(w, "e", &req, &id, &m, &err) < 0);
	assert_non_null(strstr(err.msg, "have changed"));
	release(w, a);
	assert_int_equal(idrange_load(w->ids, a, &m, &err), 0);
	release(w, a);
	assert_true(idrange_load(w->ids, a, &m, &err) < 0);
	assert_int_equal(reserve(w, "e", &req, &id, &m, &err), 0);
	assert_int_equal(m.uid[0].host, 510000);
	check_disjoint(w);
}

static void test_share(void **state)
{
	struct world *w = *state;
	struct idrange_map m, n;
	struct err err = {0};
	int64_t a = reserve_ok(w, "a", "auto", &m);
	assert_int_equal(db_begin(w->db, &err), 0);
	assert_int_equal(idrange_share(w->ids, a, &err), 0);
	assert_int_equal(db_commit(w->db, &err), 0);
	release(w, a);
	assert_int_equal(idrange_load(w->ids, a, &n, &err), 0);
	check_disjoint(w);
	release(w, a);
	assert_true(idrange_load(w->ids, a, &n, &err) < 0);
	assert_int_equal(db_begin(w->db, &err), 0);
	assert_true(idrange_share(w->ids, a, &err) < 0);
	db_rollback(w->db);
	check_disjoint(w);
}

static void test_slices(void **state)
{
	struct world *w = *state;
	struct idrange_request req = {.mode = IDRANGE_AUTO};
	struct idrange_map m;
	struct err err = {0};
	int64_t id;
	reserve_ok(w, "a", "auto", &m);
	assert_int_equal(db_begin(w->db, &err), 0);
	assert_true(idrange_reserve(w->ids, "team", "x", &req, &id, &m, &err) < 0);
	assert_int_equal(err.kind, ERR_QUOTA);
	assert_true(idrange_slice_add(w->ids, "team", 1048576, 2, &err) < 0);
	assert_int_equal(idrange_slice_add(w->ids, "team", 1048576 + 65536, 2, &err), 0);
	assert_int_equal(db_commit(w->db, &err), 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(db_begin(w->db, &err), 0);
		int r = idrange_reserve(w->ids, "team", "x", &req, &id, &m, &err);
		assert_int_equal(r >= 0, i < 2);
		if (r < 0)
			db_rollback(w->db);
		else
			assert_int_equal(db_commit(w->db, &err), 0);
	}
	reserve_ok(w, "b", "auto", &m);
	assert_int_equal(m.uid[0].host, 1048576 + 3 * 65536);
	assert_true(reserve_custom(w, "x", "0:1114112:1", NULL, &id, &err) < 0);
	check_disjoint(w);
}

#define PROCS 3
#define EACH 70

static void test_processes_at_once(void **state)
{
	struct world *w = *state;
	pid_t pids[PROCS];
	for (int i = 0; i < PROCS; i++) {
		pids[i] = fork();
		assert_true(pids[i] >= 0);
		if (pids[i] == 0) {
			struct world own = *w;
			open_world(&own); /* a connection of its own */
			struct idrange_map m;
			int64_t id;
			for (int k = 0; k < EACH; k++) {
				id = reserve_ok(&own, "p", k % 5 ? "auto" : "auto:size=100000", &m);
				if (k % 7 == 0)
					release(&own, id);
			}
			idrange_close(own.ids);
			db_close(own.db);
			_exit(0);
		}
	}
	for (int i = 0; i < PROCS; i++) {
		int status = -1;
		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(status, 0);
	}
	check_disjoint(w);
}

/* A pool with 60,000 ranges in use answers as fast as an empty one. */
static void test_speed_when_crowded(void **state)
{
	struct world *w = *state;
	struct err err = {0};
	struct idrange_request req = {.mode = IDRANGE_AUTO};
	struct idrange_map m;
	int64_t id = 0;
	assert_int_equal(db_begin(w->db, &err), 0);
	for (int i = 0; i < 60000; i++)
		assert_int_equal(idrange_reserve(w->ids, "local", "c", &req, &id, &m, &err), 0);
	assert_int_equal(db_commit(w->db, &err), 0);
	usec_t best = UINT64_MAX;
	for (int i = 0; i < 200; i++) {
		usec_t t = now_usec();
		id = reserve_ok(w, "c", "auto", &m);
		t = now_usec() - t;
		best = MIN(best, t);
		release(w, id);
	}
	print_message("reserve with 60000 in use: %llu us\n", (unsigned long long) best);
	assert_true(best < 10000);
	check_disjoint(w);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse), cmocka_unit_test(test_parse_maps), T(test_two_hundred), T(test_release_and_reuse), T(test_rollback), T(test_full_pool),
		T(test_custom_maps),	      T(test_remap),			 T(test_share),	      T(test_slices),		 T(test_processes_at_once),
		T(test_speed_when_crowded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

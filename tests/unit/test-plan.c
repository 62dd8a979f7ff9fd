/* SPDX-License-Identifier: Apache-2.0 */
/* A plan is data: what a document asks for, understood without touching anything. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <limits.h>
#include <sys/mount.h>

#include "kernel/cgroup.h"
#include "kernel/compat.h"
#include "kernel/mount_option.h"
#include "sandbox/plan.h"
#include "sandbox/sandbox.h"

static struct runtime_spec *base_spec(void)
{
	struct runtime_spec *s = runtime_spec_new();
	assert_non_null(s);
	for (int k = 0; k <= NS_CGROUP; k++)
		s->ns[k].mode = NS_MODE_NEW;
	assert_int_equal(id_map_add(&s->uids, 0, 1048576, 65536), 0);
	assert_int_equal(id_map_add(&s->gids, 0, 1114112, 65536), 0);
	return s;
}

static void add(struct runtime_spec *s, const char *dst, const char *type, const char *src, const char *o1, const char *o2)
{
	char *options[] = {(char *) o1, (char *) o2, NULL};
	assert_int_equal(runtime_spec_add_mount(s, dst, type, src, o1 ? options : NULL, NULL), 0);
}

static void namespaces_and_ids(void **state)
{
	_cleanup_runtime_spec_ struct runtime_spec *s = base_spec();
	struct plan p;
	struct err err;
	assert_int_equal(plan_build(s, 0, &p, &err), 0);
	assert_true(p.clone_flags == (CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS));
	assert_true(p.new_userns && p.own_netns && p.new_cgroupns);
	assert_int_equal(p.root_uid, 1048576);
	assert_int_equal(p.root_gid, 1114112);
	assert_false(p.controllers & (1u << CG_CPUSET));
	plan_done(&p);
	s->resources.cpus = strdup("0");
	assert_int_equal(plan_build(s, 0, &p, &err), 0);
	assert_true(p.controllers & (1u << CG_CPUSET));
	plan_done(&p);
}

static void mount_options(void **state)
{
	_cleanup_runtime_spec_ struct runtime_spec *s = base_spec();
	struct plan p;
	struct err err;
	add(s, "/data", "bind", "/srv/data", "rbind", "ro");
	add(s, "/vol", NULL, "/srv/vol", "idmap", "copyup");
	add(s, "/shared", "none", "/srv/s", "bind", "rslave");
	add(s, "/t", "tmpfs", "tmpfs", "size=64m", "noexec");
	add(s, "/rr", "bind", "/srv/rr", "rbind", "rro");
	add(s, "/sys/fs/cgroup", "cgroup", "cgroup", "ro", NULL);
	assert_int_equal(plan_build(s, 0, &p, &err), 0);
	assert_int_equal(p.n_mounts, 6);
	assert_int_equal(p.mounts[0].kind, PLAN_BIND);
	assert_true(p.mounts[0].recursive && p.mounts[0].tree_set == 0);
	assert_true(p.mounts[0].attr_set == MOUNT_ATTR_RDONLY);
	assert_true(p.mounts[1].kind == PLAN_BIND && p.mounts[1].idmap && p.mounts[1].copyup);
	assert_true(p.mounts[1].propagation == MS_PRIVATE);
	assert_true(p.mounts[2].propagation == (MS_SLAVE | MS_REC));
	assert_int_equal(p.mounts[3].kind, PLAN_FS);
	assert_string_equal(p.mounts[3].fs_options[0], "size=64m");
	assert_true(p.mounts[3].attr_set == MOUNT_ATTR_NOEXEC);
	assert_true(p.mounts[4].attr_set == 0 && p.mounts[4].tree_set == MOUNT_ATTR_RDONLY);
	assert_true(p.mounts[5].kind == PLAN_CGROUP && p.mounts[5].optional);
	plan_done(&p);
}

static void sysfs_of_a_shared_network_is_a_readonly_bind(void **state)
{
	_cleanup_runtime_spec_ struct runtime_spec *s = base_spec();
	struct plan p;
	struct err err;
	s->ns[NS_NET].mode = NS_MODE_HOST;
	add(s, "/sys", "sysfs", "sysfs", "ro", NULL);
	assert_int_equal(plan_build(s, 0, &p, &err), 0);
	assert_int_equal(p.mounts[0].kind, PLAN_BIND);
	assert_string_equal(p.mounts[0].src, "/sys");
	assert_true(p.mounts[0].recursive && p.mounts[0].tree_set & MOUNT_ATTR_RDONLY);
	plan_done(&p);
}

static void refuse(struct runtime_spec *s, const char *needle)
{
	struct plan p;
	struct err err = {0};
	assert_true(plan_build(s, 0, &p, &err) < 0);
	if (!strstr(err.msg, needle))
		fail_msg("'%s' does not say '%s'", err.msg, needle);
}

static void refusals_name_field_and_value(void **state)
{
	static const struct {
		const char *dst, *type, *src, *opt, *needle;
	} bad[] = {
		{"data", "bind", "/srv", NULL, "'data' is not an absolute path"},
		{"/", "bind", "/srv", NULL, "would cover the root"},
		{"/.//.", "bind", "/srv", NULL, "would cover the root"},
		{"/a/../proc", "bind", "/srv", NULL, "contains '..'"},
		{"/a/..", "tmpfs", "tmpfs", NULL, "contains '..'"},
		{"/x", "bind", "srv", NULL, "'srv' is not an absolute path"},
		{"/x", "bind", "/srv", "frobnicate", "unknown option 'frobnicate'"},
		{"/x", "ext4", "/dev/sda", NULL, "filesystem type 'ext4'"},
		{"/x", "overlay", "overlay", NULL, "filesystem type 'overlay'"},
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		_cleanup_runtime_spec_ struct runtime_spec *s = base_spec();
		add(s, bad[i].dst, bad[i].type, bad[i].src, bad[i].opt, NULL);
		refuse(s, bad[i].needle);
	}
	_cleanup_runtime_spec_ struct runtime_spec *s = base_spec();
	s->ns[NS_MOUNT].mode = NS_MODE_HOST;
	refuse(s, "mount namespace of its own");
	s->ns[NS_MOUNT].mode = NS_MODE_NEW;
	s->ns[NS_USER].mode = NS_MODE_HOST;
	refuse(s, "without a user namespace");
	s->ns[NS_USER].mode = NS_MODE_NEW;
	id_map_done(&s->uids);
	refuse(s, "needs uid and gid mappings");
	assert_int_equal(id_map_add(&s->uids, 1000, 1048576, 10), 0);
	refuse(s, "container id 0 is not mapped");
}

/* Foreign documents */

static int obey(struct runtime_spec *s, struct plan *p, struct err *err)
{
	return plan_build(s, SANDBOX_OBEY, p, err);
}

static void refuse_obeyed(struct runtime_spec *s, const char *needle)
{
	struct plan p;
	struct err err = {0};
	assert_true(obey(s, &p, &err) < 0);
	if (!strstr(err.msg, needle))
		fail_msg("'%s' does not say '%s'", err.msg, needle);
}

static void every_word_is_understood(void **state)
{
	const struct mnt_option *o;
	for (size_t i = 0; (o = mnt_option_at(i)); i++) {
		_cleanup_runtime_spec_ struct runtime_spec *s = base_spec();
		struct plan p;
		struct err err;
		bool fs = o->kind == MNT_OPTION_COPYUP;
		add(s, "/m", fs ? "tmpfs" : "bind", "/srv", fs ? "nosuid" : "bind", o->name);
		if (obey(s, &p, &err) < 0)
			fail_msg("%s: %s", o->name, err.msg);
		const struct plan_mount *m = &p.mounts[0];
		if (o->kind == MNT_OPTION_ATTR)
			assert_true((o->recursive ? m->tree_set : m->attr_set & ~(uint64_t) (fs ? MOUNT_ATTR_NOSUID : 0)) == o->set);
		if (o->kind == MNT_OPTION_PROPAGATION)
			assert_true(m->propagation == (o->set | (o->recursive ? MS_REC : 0)));
		assert_int_equal(m->kind, fs ? PLAN_FS : o->kind == MNT_OPTION_REMOUNT ? PLAN_REMOUNT : PLAN_BIND);
		assert_true(m->recursive == (o->kind == MNT_OPTION_BIND && o->recursive));
		assert_true(m->idmap == (o->kind == MNT_OPTION_IDMAP) && m->idmap_tree == (o->kind == MNT_OPTION_IDMAP && o->recursive));
		plan_done(&p);
	}
}

static void destinations_are_cleaned(void **state)
{
	static const char *const rows[][2] = {
		{"proc", "/proc"}, {"/a//b/./c/", "/a/b/c"}, {"/a/../b", "/b"}, {"../../x", "/x"}, {"/..a/...", "/..a/..."}, {"a/b/../../../c", "/c"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		_cleanup_free_ char *got = plan_clean_path(rows[i][0]);
		assert_string_equal(got, rows[i][1]);
	}
	static const char *const roots[] = {"/", "", ".", "/a/..", "/../..", "a/.."};
	for (size_t i = 0; i < ARRAY_LEN(roots); i++) {
		_cleanup_free_ char *got = plan_clean_path(roots[i]);
		assert_string_equal(got, "/");
		_cleanup_runtime_spec_ struct runtime_spec *s = base_spec();
		add(s, roots[i], "bind", "/srv", "bind", NULL);
		refuse_obeyed(s, roots[i][0] ? "would cover the root" : "without destination");
	}
	char long_path[PATH_MAX + 16];
	memset(long_path, 'x', sizeof(long_path));
	long_path[sizeof(long_path) - 1] = '\0';
	assert_null(plan_clean_path(long_path));
}

static void propagation_words_combine(void **state)
{
	_cleanup_runtime_spec_ struct runtime_spec *s = base_spec();
	struct plan p;
	struct err err;
	add(s, "/a", "bind", "/srv", "rslave", "rshared");
	add(s, "/b", "bind", "/srv", "rshared", "rslave");
	add(s, "/c", "bind", "/srv", "rslave", "private");
	s->rootfs_propagation = strdup("rshared");
	assert_int_equal(obey(s, &p, &err), 0);
	assert_true(p.mounts[0].propagation == (MS_SLAVE | MS_SHARED | MS_REC));
	assert_true(p.mounts[1].propagation == (MS_SLAVE | MS_REC));
	assert_true(p.mounts[2].propagation == MS_PRIVATE);
	assert_true(p.root_propagation == (MS_SHARED | MS_REC));
	plan_done(&p);
	free(s->rootfs_propagation);
	s->rootfs_propagation = strdup("ro");
	refuse_obeyed(s, "linux.rootfsPropagation: 'ro'");
}

static void filesystem_options_are_split(void **state)
{
	_cleanup_runtime_spec_ struct runtime_spec *s = base_spec();
	struct plan p;
	struct err err;
	add(s, "/a", "tmpfs", "t", "size=1m,nosuid,,mode=700", "");
	add(s, "/b", "overlay", "o", "lowerdir=/a\\,b", "context=\"a,b\"");
	assert_int_equal(obey(s, &p, &err), 0);
	assert_int_equal(strv_len(p.mounts[0].fs_options), 2);
	assert_string_equal(p.mounts[0].fs_options[1], "mode=700");
	assert_true(p.mounts[0].attr_set == MOUNT_ATTR_NOSUID);
	assert_int_equal(strv_len(p.mounts[1].fs_options), 2);
	plan_done(&p);
}

static void maps_of_a_mount(void **state)
{
	_cleanup_runtime_spec_ struct runtime_spec *s = base_spec();
	struct plan p;
	struct err err;
	add(s, "/own", "bind", "/srv", "bind", "idmap");
	add(s, "/same", "bind", "/srv", "bind", "idmap");
	add(s, "/custom", "bind", "/srv", "bind", "ridmap");
	assert_int_equal(id_map_add(&s->mounts[1].uids, 0, 1048576, 65536), 0);
	assert_int_equal(id_map_add(&s->mounts[1].gids, 0, 1114112, 65536), 0);
	assert_int_equal(id_map_add(&s->mounts[2].uids, 0, 5, 1), 0);
	assert_int_equal(id_map_add(&s->mounts[2].gids, 0, 6, 1), 0);
	assert_int_equal(obey(s, &p, &err), 0);
	assert_true(p.mounts[0].idmap && !p.mounts[0].idmap_tree && !p.mounts[0].uids);
	assert_true(p.mounts[1].idmap && !p.mounts[1].uids); /* the container's own namespace serves */
	assert_true(p.mounts[2].idmap && p.mounts[2].idmap_tree && p.mounts[2].uids == &s->mounts[2].uids);
	plan_done(&p);
	id_map_done(&s->mounts[2].gids);
	refuse_obeyed(s, "/custom: uidMappings without gidMappings");
	assert_int_equal(id_map_add(&s->mounts[2].gids, 0, 6, 1), 0);
	s->ns[NS_USER].mode = NS_MODE_HOST;
	id_map_done(&s->uids);
	id_map_done(&s->gids);
	refuse_obeyed(s, "/own: 'idmap' needs uidMappings");
}

static void what_shows_another_s_namespace_has_a_fallback(void **state)
{
	_cleanup_runtime_spec_ struct runtime_spec *s = base_spec();
	struct plan p;
	struct err err;
	add(s, "/proc", "proc", "proc", NULL, NULL);
	add(s, "/sys", "sysfs", "sysfs", "ro", NULL);
	add(s, "/dev/mqueue", "mqueue", "mqueue", NULL, NULL);
	add(s, "/x", "ext4", "/dev/vda", NULL, NULL);
	assert_int_equal(obey(s, &p, &err), 0);
	for (size_t i = 0; i < p.n_mounts; i++)
		assert_true(p.mounts[i].kind == PLAN_FS && !p.mounts[i].fallback);
	plan_done(&p);
	s->ns[NS_PID].mode = s->ns[NS_NET].mode = s->ns[NS_IPC].mode = NS_MODE_HOST;
	assert_int_equal(obey(s, &p, &err), 0);
	assert_string_equal(p.mounts[0].fallback, "/proc");
	assert_string_equal(p.mounts[1].fallback, "/sys");
	assert_string_equal(p.mounts[2].fallback, "/dev/mqueue");
	assert_null(p.mounts[3].fallback);
	/* in the order of the document: /proc by init; sysfs and mqueue by the creator, who can be in those namespaces */
	assert_true(!p.mounts[0].foreign && p.mounts[1].foreign && p.mounts[2].foreign && !p.mounts[3].foreign);
	plan_done(&p);
}

static void a_dev_of_the_document_is_left_alone(void **state)
{
	_cleanup_runtime_spec_ struct runtime_spec *s = base_spec();
	struct plan p;
	struct err err;
	add(s, "dev/", "bind", "/srv", "rbind", NULL);
	assert_int_equal(obey(s, &p, &err), 0);
	assert_true(p.no_dev);
	plan_done(&p);
}

static void obeyed_refusals(void **state)
{
	static const struct {
		const char *type, *opt, *needle;
	} bad[] = {
		{"bind", "frobnicate", "unknown option 'frobnicate'"}, {"bind", "tmpcopyup", "'tmpcopyup' is for tmpfs"}, {"proc", "tmpcopyup", "'tmpcopyup' is for tmpfs"},
		{"bind", "context=\"x\"", "unknown option 'context="}, {"bind", "copyup", "unknown option 'copyup'"}, {"bind", "tryidmap", "unknown option 'tryidmap'"}, {"tmpfs", "idmap", "only a bind mount"},
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		_cleanup_runtime_spec_ struct runtime_spec *s = base_spec();
		add(s, "/x", bad[i].type, "/srv", bad[i].opt, NULL);
		refuse_obeyed(s, bad[i].needle);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(namespaces_and_ids),
		cmocka_unit_test(mount_options),
		cmocka_unit_test(sysfs_of_a_shared_network_is_a_readonly_bind),
		cmocka_unit_test(refusals_name_field_and_value),
		cmocka_unit_test(every_word_is_understood),
		cmocka_unit_test(destinations_are_cleaned),
		cmocka_unit_test(propagation_words_combine),
		cmocka_unit_test(filesystem_options_are_split),
		cmocka_unit_test(maps_of_a_mount),
		cmocka_unit_test(what_shows_another_s_namespace_has_a_fallback),
		cmocka_unit_test(a_dev_of_the_document_is_left_alone),
		cmocka_unit_test(obeyed_refusals),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* A plan is data: what a document asks for, understood without touching anything. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <sys/mount.h>

#include "kernel/cgroup.h"
#include "kernel/compat.h"
#include "sandbox/plan.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(namespaces_and_ids),
		cmocka_unit_test(mount_options),
		cmocka_unit_test(sysfs_of_a_shared_network_is_a_readonly_bind),
		cmocka_unit_test(refusals_name_field_and_value),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

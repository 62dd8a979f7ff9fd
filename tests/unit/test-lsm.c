/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AppArmor and SELinux as far as they go without either: the kernel's files played by ordinary ones, the text of our profile, contexts,
 * the options of a request, and relabelling, which needs only a filesystem with labels (root). What they enforce is tested in the VM lane.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/fd.h"
#include "engine/apparmor.h"
#include "engine/internal.h"
#include "engine/selinux.h"
#include "kernel/lsm.h"

static char tmp[] = "/var/tmp/coffer-lsm-XXXXXX";
static int tmp_fd = -EBADF;

static int setup(void **state)
{
	return mkdtemp(tmp) && (tmp_fd = open(tmp, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) >= 0 ? 0 : -1;
}

static int teardown(void **state)
{
	tmp_fd = safe_close(tmp_fd);
	return rm_rf_at(AT_FDCWD, tmp);
}

/* A file below the private directory, with its parents. */
static void put(const char *path, const char *text)
{
	char part[200];
	for (const char *p = strchr(path, '/'); p; p = strchr(p + 1, '/')) {
		assert_true(str_format(part, sizeof(part), "%.*s", (int) (p - path), path) > 0);
		assert_true(mkdirat(tmp_fd, part, 0755) == 0 || errno == EEXIST);
	}
	_cleanup_close_ int fd = openat(tmp_fd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	assert_true(fd >= 0);
	assert_int_equal(write_all(fd, text, strlen(text)), 0);
}

static void what_the_host_has(void **state)
{
	char sys[100], mode[32];
	assert_true(str_format(sys, sizeof(sys), "%s/host", tmp) > 0);
	assert_false(lsm_enabled(sys, LSM_APPARMOR));
	assert_false(lsm_enabled(sys, LSM_SELINUX));
	assert_int_equal(lsm_apparmor_mode(sys, "a", mode), -ENOENT);
	put("host/module/apparmor/parameters/enabled", "N\n");
	assert_false(lsm_enabled(sys, LSM_APPARMOR));
	put("host/module/apparmor/parameters/enabled", "Y\n");
	assert_true(lsm_enabled(sys, LSM_APPARMOR));
	put("host/fs/selinux/enforce", "0");
	assert_true(lsm_enabled(sys, LSM_SELINUX));
	assert_int_equal(lsm_selinux_enforcing(sys), 0);
	put("host/fs/selinux/enforce", "1");
	assert_int_equal(lsm_selinux_enforcing(sys), 1);
	put("host/kernel/security/apparmor/profiles", "one (enforce)\ntwo//hat (complain)\nwith space (x) (kill)\ncoffer-default-1 (enforce)\n");
	assert_int_equal(lsm_apparmor_mode(sys, "one", mode), 1);
	assert_string_equal(mode, "enforce");
	assert_int_equal(lsm_apparmor_mode(sys, "two//hat", mode), 1);
	assert_string_equal(mode, "complain");
	assert_int_equal(lsm_apparmor_mode(sys, "with space (x)", mode), 1);
	assert_string_equal(mode, "kill");
	assert_int_equal(lsm_apparmor_mode(sys, "coffer-default", mode), 0);
	assert_int_equal(lsm_apparmor_mode(sys, "two", mode), 0);
	put("host/kernel/security/apparmor/.replace", "");
	assert_int_equal(lsm_apparmor_load(sys, "binary", 6), 0);
	_cleanup_free_ char *loaded = NULL;
	assert_int_equal(read_file(tmp_fd, "host/kernel/security/apparmor/.replace", 100, &loaded), 6);
	assert_string_equal(loaded, "binary");
}

static void labels_are_written_to_our_own_process(void **state)
{
	char buf[LSM_LABEL_MAX];
	put("proc/42/attr/apparmor/current", "prof (complain)\n");
	put("proc/42/attr/apparmor/exec", "");
	put("proc/42/attr/current", "system_u:system_r:container_t:s0:c1,c2");
	put("proc/42/attr/keycreate", "");
	put("other/exec", "");
	assert_int_equal(symlinkat("42", tmp_fd, "proc/self"), 0);
	_cleanup_close_ int proc = openat(tmp_fd, "proc", O_PATH | O_DIRECTORY | O_CLOEXEC), pid = openat(proc, "42", O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(lsm_attr_read(pid, LSM_APPARMOR, LSM_ATTR_CURRENT, buf, sizeof(buf)), (int) strlen("prof (complain)"));
	char mode[32];
	assert_string_equal(lsm_apparmor_split(buf, mode), "complain");
	assert_string_equal(buf, "prof");
	assert_true(lsm_attr_read(pid, LSM_SELINUX, LSM_ATTR_CURRENT, buf, sizeof(buf)) > 0);
	assert_string_equal(buf, "system_u:system_r:container_t:s0:c1,c2");
	assert_int_equal(lsm_attr_read(pid, LSM_SELINUX, LSM_ATTR_EXEC, buf, sizeof(buf)), -ENOENT);
	assert_int_equal(lsm_attr_open(proc, LSM_SELINUX, LSM_ATTR_EXEC, O_RDWR), -EOPNOTSUPP);
	/* what is read back decides: a file that only stores what it was told is not the kernel */
	_cleanup_close_ int fd = lsm_attr_open(proc, LSM_APPARMOR, LSM_ATTR_EXEC, O_RDWR);
	assert_true(fd >= 0);
	assert_int_equal(lsm_exec_set(fd, LSM_APPARMOR, "prof"), -EKEYREJECTED);
	_cleanup_free_ char *text = NULL;
	assert_true(read_file(tmp_fd, "proc/42/attr/apparmor/exec", 100, &text) > 0);
	assert_string_equal(text, "exec prof");
	_cleanup_close_ int key = lsm_attr_open(proc, LSM_SELINUX, LSM_ATTR_KEYCREATE, O_RDWR);
	assert_true(key >= 0);
	assert_int_equal(lsm_exec_set(key, LSM_SELINUX, "a:b:c:s0"), 0);
	assert_int_equal(lsm_exec_set(key, LSM_SELINUX, "a:b"), -EKEYREJECTED); /* the rest of the longer one is still there */
}

/* R3, CVE-2019-16884: something else in the place of the attribute is not written to. */
static void a_planted_attribute_is_refused(void **state)
{
	_cleanup_close_ int proc = openat(tmp_fd, "proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(unlinkat(proc, "42/attr/apparmor/exec", 0), 0);
	assert_int_equal(symlinkat("../../../../other/exec", proc, "42/attr/apparmor/exec"), 0);
	assert_int_equal(lsm_attr_open(proc, LSM_APPARMOR, LSM_ATTR_EXEC, O_RDWR), -ELOOP);
	assert_int_equal(unlinkat(proc, "self", 0), 0);
	assert_int_equal(symlinkat("../other", proc, "self"), 0);
	assert_int_equal(lsm_attr_open(proc, LSM_SELINUX, LSM_ATTR_EXEC, O_RDWR), -EINVAL);
}

static void every_container_has_a_profile_of_its_own(void **state)
{
	_cleanup_strbuf_ struct strbuf a = STRBUF_INIT(16384), b = STRBUF_INIT(16384);
	assert_int_equal(apparmor_text("coffer-default-1", "6.1.0", true, &a), 0);
	assert_int_equal(apparmor_text("coffer-default-12", "6.1.0", false, &b), 0);
	assert_non_null(strstr(a.s, "abi <abi/3.0>,\n"));
	assert_null(strstr(b.s, "abi <"));
	assert_non_null(strstr(a.s, "profile coffer-default-1 flags="));
	assert_non_null(strstr(b.s, "ptrace (trace, tracedby, read, readby) peer=coffer-default-12,"));
	assert_non_null(strstr(b.s, "signal (send, receive) peer=coffer-default-12,"));
	assert_null(strstr(b.s, "@NAME@"));
	assert_null(strstr(b.s, "coffer-default-1,"));
	static const char *const denied[] = {"network alg", "mount", "umount", "remount", "pivot_root", "/proc/[^0-9]*/** wkl", "/sys/[^f]*/** wkl",
					     "/sys/kernel/{debug,security,tracing}/** rwkl", "/sys/devices/virtual/powercap/** rwkl"};
	for (size_t i = 0; i < ARRAY_LEN(denied); i++) {
		char rule[100];
		assert_true(str_format(rule, sizeof(rule), "\tdeny %s,\n", denied[i]) > 0);
		if (!strstr(a.s, rule))
			fail_msg("no rule '%s'", rule);
	}
}

static int parse(const char *opt, struct security *ret, struct err *err)
{
	const char *v[] = {opt, NULL};
	struct container_request r = {.security_opt = (char **) v};
	return security_parse(&r, ret, err);
}

static void options_of_a_request(void **state)
{
	static const char *const bad[] = {"apparmor=", "apparmor=a b", "apparmor=:ns:x", "apparmor=a//&b", "apparmor=coffer-default-3", "label=", "label=nested", "label=type:", "label=type:a:b",
					  "label=level:s0 x", "label=level:s0\"", "label=user:a,b"};
	struct security s;
	struct err err = {0};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (parse(bad[i], &s, &err) >= 0)
			fail_msg("'%s' was taken", bad[i]);
	assert_int_equal(parse("apparmor=coffer-default", &s, &err), 0);
	assert_null(s.apparmor);
	assert_int_equal(parse("apparmor=unconfined", &s, &err), 0);
	assert_string_equal(s.apparmor, "unconfined");
	assert_int_equal(parse("apparmor:usr.bin.thing", &s, &err), 0);
	assert_string_equal(s.apparmor, "usr.bin.thing");
	assert_int_equal(parse("label=disable", &s, &err), 0);
	assert_true(s.label_disable);
	assert_int_equal(parse("label=level:s0:c5,c7", &s, &err), 0);
	assert_string_equal(s.label_level, "s0:c5,c7");
	assert_int_equal(parse("label:type:spc_t", &s, &err), 0);
	assert_string_equal(s.label_type, "spc_t");
	struct container_request r = {.privileged = true};
	assert_int_equal(security_parse(&r, &s, &err), 0);
	assert_true(s.label_disable);
	assert_string_equal(s.apparmor, "unconfined");
}

static void contexts(void **state)
{
	char p[LSM_LABEL_MAX], m[LSM_LABEL_MAX], sh[LSM_LABEL_MAX];
	struct security s = {0};
	struct err err = {0};
	assert_int_equal(selinux_contexts("container_t", "container_file_t", &s, 3, 77, p, m, sh, &err), 0);
	assert_string_equal(p, "system_u:system_r:container_t:s0:c3,c77");
	assert_string_equal(m, "system_u:object_r:container_file_t:s0:c3,c77");
	assert_string_equal(sh, "system_u:object_r:container_file_t:s0");
	s = (struct security){.label_type = "spc_t", .label_level = "s0:c1", .label_user = "u", .label_role = "r", .label_filetype = "f_t"};
	assert_int_equal(selinux_contexts("container_t", "container_file_t", &s, 3, 77, p, m, sh, &err), 0);
	assert_string_equal(p, "u:r:spc_t:s0:c1");
	assert_string_equal(m, "u:object_r:f_t:s0:c1");
}

static void label_of(const char *path, char buf[LSM_LABEL_MAX])
{
	char full[300];
	assert_true(str_format(full, sizeof(full), "%s/%s", tmp, path) > 0);
	ssize_t n = lgetxattr(full, LSM_XATTR_SELINUX, buf, LSM_LABEL_MAX - 1);
	buf[n < 0 ? 0 : n] = '\0';
}

static void relabelling_stays_in_its_tree(void **state)
{
	static const char ctx[] = "system_u:object_r:container_file_t:s0:c1,c2";
	char dir[200], have[LSM_LABEL_MAX];
	struct err err = {0};
	put("vol/a", "a");
	put("vol/d/e/f", "f");
	put("outside/secret", "s");
	assert_int_equal(symlinkat("../outside", tmp_fd, "vol/link"), 0);
	assert_int_equal(symlinkat("../../outside/secret", tmp_fd, "vol/d/file-link"), 0);
	assert_true(str_format(dir, sizeof(dir), "%s/vol", tmp) > 0);
	int r = selinux_relabel(dir, ctx, &err);
	if (r < 0)
		fail_msg("%s", err.msg);
	static const char *const in[] = {"vol", "vol/a", "vol/d", "vol/d/e", "vol/d/e/f", "vol/link", "vol/d/file-link"}, *const out[] = {"outside", "outside/secret"};
	for (size_t i = 0; i < ARRAY_LEN(in); i++) {
		label_of(in[i], have);
		assert_string_equal(have, ctx);
	}
	for (size_t i = 0; i < ARRAY_LEN(out); i++) {
		label_of(out[i], have);
		assert_string_not_equal(have, ctx);
	}
	assert_int_equal(selinux_file_type_is(dir, "x:y:container_file_t:s0"), 1);
	assert_int_equal(selinux_file_type_is(dir, "x:y:container_t:s0"), 0);
}

static void the_host_s_own_places_keep_their_labels(void **state)
{
	static const char *const no[] = {"/", "/usr", "/usr/bin", "/etc", "/etc/ssl", "/home", "/home/alice", "/root", "/var", "/var/lib", "/proc/1", "/sys/fs", "/dev/shm", "/run", "/tmp", "/lib64", "/boot"};
	static const char *const yes[] = {"/srv/data", "/home/alice/src", "/var/lib/app", "/opt/app", "/usr/local/share/x", "/etcetera", "/root/x", "/mnt/disk"};
	for (size_t i = 0; i < ARRAY_LEN(no); i++)
		if (!selinux_relabel_is_refused(no[i]))
			fail_msg("'%s' would be relabelled", no[i]);
	for (size_t i = 0; i < ARRAY_LEN(yes); i++)
		if (selinux_relabel_is_refused(yes[i]))
			fail_msg("'%s' is refused", yes[i]);
	struct err err = {0};
	char link[200];
	assert_true(str_format(link, sizeof(link), "%s/to-etc", tmp) > 0);
	assert_int_equal(symlinkat("/etc", tmp_fd, "to-etc"), 0);
	assert_true(selinux_relabel(link, "a:b:c:s0", &err) < 0); /* seen through */
	assert_int_equal(err.kind, ERR_DENIED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_the_host_has),
		cmocka_unit_test(labels_are_written_to_our_own_process),
		cmocka_unit_test(a_planted_attribute_is_refused),
		cmocka_unit_test(every_container_has_a_profile_of_its_own),
		cmocka_unit_test(options_of_a_request),
		cmocka_unit_test(contexts),
		cmocka_unit_test(relabelling_stays_in_its_tree),
		cmocka_unit_test(the_host_s_own_places_keep_their_labels),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}

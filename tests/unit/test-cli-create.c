/* SPDX-License-Identifier: Apache-2.0 */
/* From argv to the body of POST /containers/create: golden cases, each read back by the engine's own codec, and every refusal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <unistd.h>

#include "apimodel/container.h"
#include "base/fd.h"
#include "base/str.h"
#include "cli/command.h"
#include "cli/envfile.h"
#include "cli/mount_arg.h"
#include "cli/options.h"

#define ARGV_MAX 32

/* The body for "run WORDS" (split at blanks). Return: as create_body() or flag_parse(). */
static int body(const char *words, char **ret, struct err *err)
{
	_cleanup_free_ char *copy = strdup(words);
	struct container_options o;
	char *argv[ARGV_MAX];
	const char *args[ARGV_MAX];
	int argc = 0;
	size_t n = 0;
	for (char *p = copy, *w; (w = strsep(&p, " "));)
		argv[argc++] = w;
	container_options_init(&o);
	int r = flag_parse(command_run.flags, argc, argv, 0, &o, args, &n, err);
	if (r == 0)
		r = create_body(&o, args[0], args + 1, n - 1, 24, 80, ret, err);
	flag_release(command_run.flags, &o);
	return r;
}

static void golden(const char *words, const char *want)
{
	_cleanup_free_ char *text = NULL;
	_cleanup_json_ struct json *doc = NULL;
	_cleanup_container_request_ struct container_request *req = NULL;
	_cleanup_strv_ char **unknown = NULL;
	struct err err = {};
	if (body(words, &text, &err) != 0)
		fail_msg("run %s: %s", words, err.msg);
	assert_string_equal(text, want);
	assert_int_equal(json_parse(text, strlen(text), 1 << 20, "body", &doc, &err), 0);
	if (container_request_parse(doc, &req, &unknown, &err) != 0)
		fail_msg("run %s: the engine refuses it: %s", words, err.msg);
	if (unknown)
		fail_msg("run %s: the engine does not know %s", words, unknown[0]);
}

#define OUT "\"AttachStdout\":true,\"AttachStderr\":true"

static void test_config(void **state)
{
	golden("img", "{\"Image\":\"img\"," OUT ",\"HostConfig\":{}}");
	golden("--rm img sh -c x", "{\"Image\":\"img\",\"Cmd\":[\"sh\",\"-c\",\"x\"]," OUT ",\"HostConfig\":{\"AutoRemove\":true}}");
	golden("-it img", "{\"Image\":\"img\",\"AttachStdin\":true," OUT ",\"Tty\":true,\"OpenStdin\":true,\"StdinOnce\":true,\"HostConfig\":{\"ConsoleSize\":[24,80]}}");
	golden("-d -i img", "{\"Image\":\"img\",\"OpenStdin\":true,\"HostConfig\":{}}");
	golden("-a stdout img", "{\"Image\":\"img\",\"AttachStdout\":true,\"HostConfig\":{}}");
	golden("--entrypoint= img", "{\"Image\":\"img\",\"Entrypoint\":[\"\"]," OUT ",\"HostConfig\":{}}");
	golden("--entrypoint /bin/x -w /w -u 1:2 -h host img a",
	       "{\"Image\":\"img\",\"Cmd\":[\"a\"],\"Entrypoint\":[\"/bin/x\"],\"Hostname\":\"host\",\"User\":\"1:2\",\"WorkingDir\":\"/w\"," OUT ",\"HostConfig\":{}}");
	golden("--restart on-failure:5 --health-cmd ok --health-interval 1m30s --health-retries 2 img",
	       "{\"Image\":\"img\"," OUT ",\"Healthcheck\":{\"Test\":[\"CMD-SHELL\",\"ok\"],\"Interval\":90000000000,\"Retries\":2},"
	       "\"HostConfig\":{\"RestartPolicy\":{\"Name\":\"on-failure\",\"MaximumRetryCount\":5}}}");
	golden("--restart no --rm img", "{\"Image\":\"img\"," OUT ",\"HostConfig\":{\"RestartPolicy\":{\"Name\":\"no\"},\"AutoRemove\":true}}");
	golden("--stop-signal INT --stop-timeout 0 --no-healthcheck img",
	       "{\"Image\":\"img\"," OUT ",\"StopSignal\":\"INT\",\"StopTimeout\":0,\"Healthcheck\":{\"Test\":[\"NONE\"]},\"HostConfig\":{}}");
	golden("-l a=1 -l b -l a=2 -e X=1 img", "{\"Image\":\"img\"," OUT ",\"Env\":[\"X=1\"],\"Labels\":{\"b\":\"\",\"a\":\"2\"},\"HostConfig\":{}}");
}

static void test_files(void **state)
{
	golden("-v /d -v vol:/w:ro -v /h:/c:idmap,ro img",
	       "{\"Image\":\"img\"," OUT ",\"Volumes\":{\"/d\":{}},\"HostConfig\":{\"Binds\":[\"vol:/w:ro\",\"/h:/c:idmap,ro\"]}}");
	golden("--mount type=bind,src=/h,dst=/c,ro,idmap,bind-propagation=rslave img",
	       "{\"Image\":\"img\"," OUT ",\"HostConfig\":{\"Mounts\":[{\"Type\":\"bind\",\"Source\":\"/h\",\"Target\":\"/c\",\"ReadOnly\":true,"
	       "\"BindOptions\":{\"Propagation\":\"rslave\",\"IDMap\":true}}]}}");
	golden("--mount source=vol,target=/c,volume-nocopy,volume-subpath=s --mount type=tmpfs,destination=/t,tmpfs-size=1m,tmpfs-mode=1770 img",
	       "{\"Image\":\"img\"," OUT ",\"HostConfig\":{\"Mounts\":[{\"Type\":\"volume\",\"Source\":\"vol\",\"Target\":\"/c\",\"VolumeOptions\":{\"NoCopy\":true,"
	       "\"Subpath\":\"s\"}},{\"Type\":\"tmpfs\",\"Target\":\"/t\",\"TmpfsOptions\":{\"SizeBytes\":1048576,\"Mode\":1016}}]}}");
	golden("--read-only --tmpfs /t --tmpfs /u:size=1m,mode=700 --shm-size 1m img",
	       "{\"Image\":\"img\"," OUT ",\"HostConfig\":{\"ReadonlyRootfs\":true,\"ShmSize\":1048576,\"Tmpfs\":{\"/t\":\"\",\"/u\":\"size=1m,mode=700\"}}}");
}

static void test_confinement(void **state)
{
	golden("--privileged --cap-add NET_ADMIN --cap-drop ALL --userns auto --network none --ipc private --group-add adm img",
	       "{\"Image\":\"img\"," OUT ",\"HostConfig\":{\"UsernsMode\":\"auto\",\"GroupAdd\":[\"adm\"],\"CapAdd\":[\"NET_ADMIN\"],\"CapDrop\":[\"ALL\"],"
	       "\"Privileged\":true,\"NetworkMode\":\"none\",\"IpcMode\":\"private\"}}");
	golden("--uidmap 0:100000:1000 --gidmap 0:200000:1000 img",
	       "{\"Image\":\"img\"," OUT ",\"HostConfig\":{\"UsernsMode\":\"map\",\"UidMaps\":[\"0:100000:1000\"],\"GidMaps\":[\"0:200000:1000\"]}}");
	golden("--security-opt no-new-privileges:false --security-opt seccomp=unconfined --security-opt landlock=unconfined img",
	       "{\"Image\":\"img\"," OUT ",\"HostConfig\":{\"SecurityOpt\":[\"no-new-privileges=false\",\"seccomp=unconfined\",\"landlock=unconfined\"]}}");
	golden("--security-opt no-new-privileges --security-opt systempaths=unconfined img",
	       "{\"Image\":\"img\"," OUT ",\"HostConfig\":{\"SecurityOpt\":[\"no-new-privileges\"],\"MaskedPaths\":[],\"ReadonlyPaths\":[]}}");
	golden("--device /dev/fuse --device /dev/a:/dev/b:r --device /dev/c:rw img",
	       "{\"Image\":\"img\"," OUT ",\"HostConfig\":{\"Devices\":[{\"PathOnHost\":\"/dev/fuse\",\"PathInContainer\":\"/dev/fuse\",\"CgroupPermissions\":\"rwm\"},"
	       "{\"PathOnHost\":\"/dev/a\",\"PathInContainer\":\"/dev/b\",\"CgroupPermissions\":\"r\"},"
	       "{\"PathOnHost\":\"/dev/c\",\"PathInContainer\":\"/dev/c\",\"CgroupPermissions\":\"rw\"}]}}");
	golden("--sysctl net.ipv4.ip_forward=1 --init=false img",
	       "{\"Image\":\"img\"," OUT ",\"HostConfig\":{\"Init\":false,\"Sysctls\":{\"net.ipv4.ip_forward\":\"1\"}}}");
}

static void test_limits(void **state)
{
	golden("--pids-limit -1 -m 64m --memory-swap -1 --cpus 1.5 -c 512 --cpuset-cpus 0-1 --oom-score-adj 100 img",
	       "{\"Image\":\"img\"," OUT ",\"HostConfig\":{\"PidsLimit\":-1,\"Memory\":67108864,\"MemorySwap\":-1,\"NanoCpus\":1500000000,\"CpuShares\":512,"
	       "\"CpusetCpus\":\"0-1\",\"OomScoreAdj\":100}}");
	golden("--ulimit nofile=10:20 --ulimit core=-1 --log-opt max-size=1m --log-opt max-file=2 img",
	       "{\"Image\":\"img\"," OUT ",\"HostConfig\":{\"Ulimits\":[{\"Name\":\"nofile\",\"Hard\":20,\"Soft\":10},{\"Name\":\"core\",\"Hard\":-1,\"Soft\":-1}],"
	       "\"LogConfig\":{\"Type\":\"\",\"Config\":{\"max-size\":\"1m\",\"max-file\":\"2\"}}}}");
}

/* "./x" and "../x" are the caller's, made absolute; everything else is left as it came. */
static void test_relative_binds(void **state)
{
	static const char *const cases[][2] = {{"./a:/x", "/tmp/a:/x"}, {"../a//b/../c:/x:ro", "/a/c:/x:ro"}, {".:/x", "/tmp:/x"}, {"../..:/x", "/:/x"}, {"/h/../i:/x", "/h/../i:/x"}};
	char before[4096];
	assert_non_null(getcwd(before, sizeof(before)));
	assert_int_equal(chdir("/tmp"), 0);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		_cleanup_free_ char *text = NULL;
		char words[64], want[64];
		struct err err = {};
		(void) str_format(words, sizeof(words), "-v %s img", cases[i][0]);
		(void) str_format(want, sizeof(want), "\"Binds\":[\"%s\"]", cases[i][1]);
		assert_int_equal(body(words, &text, &err), 0);
		if (!strstr(text, want))
			fail_msg("%s: no %s in %s", words, want, text);
	}
	assert_int_equal(chdir(before), 0);
}

static void refused(const char *words, const char *part)
{
	_cleanup_free_ char *text = NULL;
	struct err err = {};
	assert_true(body(words, &text, &err) < 0);
	if (!strstr(err.msg, part))
		fail_msg("run %s: '%s' is not in '%s'", words, part, err.msg);
}

static void test_networks(void **state)
{
	golden("-p 8080:80 -p 127.0.0.1:53:53/udp -p [::1]:8080:80 -p 81 -p 9000-9001:90 --expose 7-8 img",
	       "{\"Image\":\"img\"," OUT ",\"ExposedPorts\":{\"80/tcp\":{},\"53/udp\":{},\"81/tcp\":{},\"90/tcp\":{},\"7/tcp\":{},\"8/tcp\":{}},"
	       "\"HostConfig\":{\"PortBindings\":{\"80/tcp\":[{\"HostIp\":\"\",\"HostPort\":\"8080\"},{\"HostIp\":\"::1\",\"HostPort\":\"8080\"}],"
	       "\"53/udp\":[{\"HostIp\":\"127.0.0.1\",\"HostPort\":\"53\"}],\"81/tcp\":[{\"HostIp\":\"\",\"HostPort\":\"\"}],"
	       "\"90/tcp\":[{\"HostIp\":\"\",\"HostPort\":\"9000-9001\"}]}}}");
	golden("--network front --network name=back,alias=db,ip=10.0.0.2 --network-alias web --mac-address 02:00:00:00:00:01 --link db:sql img",
	       "{\"Image\":\"img\"," OUT ",\"HostConfig\":{\"NetworkMode\":\"front\"},\"NetworkingConfig\":{\"EndpointsConfig\":{\"front\":{\"MacAddress\":\"02:00:00:00:00:01\","
	       "\"Aliases\":[\"web\"],\"Links\":[\"db:sql\"]},\"back\":{\"IPAMConfig\":{\"IPv4Address\":\"10.0.0.2\"},\"Aliases\":[\"db\"]}}}}");
	golden("--link db -P img", "{\"Image\":\"img\"," OUT ",\"HostConfig\":{\"Links\":[\"db\"],\"PublishAllPorts\":true}}");
}

static void test_refusals(void **state)
{
	refused("--mount type=bind,src=/h img", "target is required");
	refused("--mount type=bind,dst=/c img", "source is required");
	refused("--mount type=tmpfs,src=x,dst=/c img", "a tmpfs has no source");
	refused("--mount type=tmpfs,dst=/c,volume-nocopy img", "cannot use volume-nocopy with type=tmpfs");
	refused("--mount type=frob,dst=/c img", "invalid value for type: frob");
	refused("--mount dst=/c,frob=1 img", "unexpected key 'frob'");
	refused("--mount dst img", "must be a key=value pair");
	refused("--mount type=bind,src=/a,dst=/b,readonly=perhaps img", "invalid value for readonly");
	refused("--mount dst=/c,volume-opt=x img", "volume-opt is not there");
	refused("--ulimit nofile img", "name=soft[:hard]");
	refused("--ulimit nofile=2:1 img", "above the hard limit");
	refused("--device /dev/x:/dev/y:q img", "permissions are made of");
	refused("--device a:b:c:d img", "HOST[:CONTAINER[:rwm]]");
	refused("--security-opt seccomp=/nonexistent/profile img", "opening seccomp profile");
	refused("--security-opt frob img", "use key=value");
	refused("--security-opt systempaths=x img", "unconfined only");
	refused("--cpus many img", "number of CPUs");
	refused("-p x img", "-p, --publish");
	refused("-p 80:90/xyz img", "-p, --publish");
	refused("-p 80-82:90-91 img", "not of the same length");
	refused("-p [::1:80 img", "-p, --publish");
	refused("--expose 0 img", "--expose");
	refused("--network alias=x img", "network name is not specified");
	refused("--network name=x,frob=y img", "frob");
	refused("--network name=x,ip=1.2.3.4 --ip 1.2.3.5 img", "conflicting options");
	refused("--device-read-bps vda:1 img", "absolute path");
	refused("--device-read-bps /dev/vda img", "absolute path");
	refused("--device-write-bps /dev/vda:1q img", "--device-write-bps");
	refused("--device-read-iops /dev/vda:1k img", "whole one");
	refused("--memory-swappiness 101 img", "0 to 100");
	refused("--restart on-failure:x img", "maximum retry count must be an integer");
	refused("--rm --restart always img", "cannot specify both --restart and --rm");
	refused("--no-healthcheck --health-cmd x img", "--no-healthcheck conflicts with --health-* options");
	refused("--health-interval soon img", "use a duration");
	refused("--health-retries -1 img", "--health-retries cannot be negative");
	refused("-a stdfoo img", "STDIN, STDOUT and STDERR");
	refused("-e =x img", "invalid environment variable");
	refused("--env-file /nonexistent/env img", "reading '/nonexistent/env'");
}

/* A file with @text; the caller unlinks. */
static void make_file(char *path, const char *text)
{
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write_all(fd, text, strlen(text)), 0);
	safe_close(fd);
}

static void test_files_of_values(void **state)
{
	char env[] = "/tmp/coffer-env-XXXXXX", profile[] = "/tmp/coffer-sec-XXXXXX", words[256];
	_cleanup_free_ char *text = NULL;
	struct err err = {};
	make_file(env, "\xef\xbb\xbf# comment\nA=1\n  B= two words \nHERE\nNOT_SET_ANYWHERE\n\n");
	make_file(profile, "{ \"defaultAction\" : \"SCMP_ACT_ALLOW\" }\n");
	assert_int_equal(setenv("HERE", "mine", 1), 0);
	(void) str_format(words, sizeof(words), "--env-file %s -e C -e HERE --security-opt seccomp=%s img", env, profile);
	assert_int_equal(body(words, &text, &err), 0);
	assert_non_null(strstr(text, "\"Env\":[\"A=1\",\"B= two words \",\"HERE=mine\",\"C\",\"HERE=mine\"]"));
	assert_non_null(strstr(text, "\"SecurityOpt\":[\"seccomp={\\\"defaultAction\\\":\\\"SCMP_ACT_ALLOW\\\"}\"]"));
	(void) unlink(env);
	(void) unlink(profile);
}

static void test_envfile_errors(void **state)
{
	_cleanup_strv_ char **v = NULL;
	struct err err;
	char spaced[] = "OK=1\nA B=2\n", nameless[] = "=x\n", label[] = "a\nb=c\r\n";
	assert_true(envfile_parse(spaced, "f", 0, &v, &err) < 0);
	assert_string_equal(err.msg, "f, line 2: variable 'A B' contains whitespace");
	assert_true(envfile_parse(nameless, "f", 0, &v, &err) < 0);
	assert_string_equal(err.msg, "f, line 1: no variable name before '='");
	v = strv_free(v);
	assert_int_equal(envfile_parse(label, "f", 0, &v, &err), 0);
	assert_string_equal(v[0], "a");
	assert_string_equal(v[1], "b=c");
}

static void test_csv(void **state)
{
	_cleanup_strv_ char **v = NULL;
	struct err err;
	assert_int_equal(csv_split("a=1,\"b=x,y\",\"c=\"\"q\"\"\",,d", &v, &err), 0);
	assert_int_equal(strv_len(v), 5);
	assert_string_equal(v[1], "b=x,y");
	assert_string_equal(v[2], "c=\"q\"");
	assert_string_equal(v[3], "");
	assert_true(csv_split("\"open", &v, &err) < 0);
	assert_true(csv_split("a\"b", &v, &err) < 0);
	assert_true(csv_split("\"a\"b", &v, &err) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_config),	 cmocka_unit_test(test_files),		 cmocka_unit_test(test_confinement),	cmocka_unit_test(test_limits),
		cmocka_unit_test(test_networks), cmocka_unit_test(test_refusals), cmocka_unit_test(test_files_of_values), cmocka_unit_test(test_envfile_errors), cmocka_unit_test(test_csv),
		cmocka_unit_test(test_relative_binds),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

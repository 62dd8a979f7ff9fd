/* SPDX-License-Identifier: Apache-2.0 */
/*
 * D-Bus: messages to the byte, broken ones refused, and a connection to a peer of our own that plays a bus or systemd's manager. Then what the systemd driver
 * asks of that manager. The real manager is asked in the VM lane (tests/e2e/test_oci_systemd.py).
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/fd.h"
#include "dbus/bus.h"
#include "sandbox/systemd_properties.h"
#include "sandbox/systemd_scope.h"

/* The message of the specification's own kind, written out by hand. */
static void to_the_byte(void **state)
{
	static const uint8_t want[] = {
		'l', 1, 0, 1, 9, 0, 0, 0, 7, 0, 0, 0, 39, 0, 0, 0,
		1, 1, 'o', 0, 2, 0, 0, 0, '/', 'a', 0, 0, 0, 0, 0, 0,
		3, 1, 's', 0, 4, 0, 0, 0, 'P', 'i', 'n', 'g', 0, 0, 0, 0,
		8, 1, 'g', 0, 1, 's', 0, 0,
		4, 0, 0, 0, 'c', 'i', 'a', 'o', 0,
	};
	_cleanup_strbuf_ struct strbuf body = STRBUF_INIT(100), b = STRBUF_INIT(1000);
	dbus_put_str(&body, "ciao");
	dbus_put_call(&b, 7, NULL, "/a", NULL, "Ping", "s", &body);
	assert_int_equal(strbuf_err(&b), 0);
	assert_int_equal(b.len, sizeof(want));
	assert_memory_equal(b.s, want, sizeof(want));
}

static void read_back(void **state)
{
	_cleanup_strbuf_ struct strbuf body = STRBUF_INIT(1000), b = STRBUF_INIT(2000);
	dbus_put_u8(&body, 7);
	dbus_put_u64(&body, 1ULL << 40);
	dbus_put_bool(&body, true);
	size_t a = dbus_begin_array(&body, 8);
	dbus_begin_struct(&body);
	dbus_put_str(&body, "name");
	dbus_put_signature(&body, "t");
	dbus_put_u64(&body, 5);
	dbus_end_array(&body, a, 8);
	dbus_put_call(&b, 99, "org.dest", "/p/q", "i.f", "M", "ytba(sv)", &body);
	size_t n;
	assert_int_equal(dbus_message_size((const uint8_t *) b.s, &n), 0);
	assert_int_equal(n, b.len);
	struct dbus_message m;
	assert_int_equal(dbus_message_parse((const uint8_t *) b.s, b.len, &m), 0);
	assert_int_equal(m.type, DBUS_CALL);
	assert_int_equal(m.serial, 99);
	assert_string_equal(m.path, "/p/q");
	assert_string_equal(m.interface, "i.f");
	assert_string_equal(m.member, "M");
	assert_string_equal(m.signature, "ytba(sv)");
	assert_string_equal(m.error, "");
	struct dbus_cursor c = m.body;
	assert_int_equal(dbus_get_u8(&c), 7);
	assert_true(dbus_get_u64(&c) == 1ULL << 40);
	assert_int_equal(dbus_get_u32(&c), 1);
	uint32_t len = dbus_get_u32(&c);
	dbus_get_align(&c, 8);
	assert_int_equal(len, c.end - c.at);
	assert_string_equal(dbus_get_str(&c), "name");
	assert_string_equal(dbus_get_signature(&c), "t");
	assert_int_equal(dbus_get_u64(&c), 5);
	assert_false(c.bad);
	assert_int_equal(c.at, c.end);
	assert_int_equal(dbus_get_u8(&c), 0);
	assert_true(c.bad);
}

/* Every cut and every flipped byte of a good message is an error or a message, never a read beyond its end (the sanitizers watch). */
static void broken_ones(void **state)
{
	_cleanup_strbuf_ struct strbuf body = STRBUF_INIT(1000), b = STRBUF_INIT(2000);
	dbus_put_str(&body, "text");
	dbus_put_call(&b, 1, "d", "/p", "i.f", "M", "s", &body);
	for (size_t n = 0; n < b.len; n++) {
		uint8_t *copy = malloc(n + 1);
		memcpy(copy, b.s, n);
		struct dbus_message m;
		assert_int_equal(dbus_message_parse(copy, n, &m), -EBADMSG);
		free(copy);
	}
	for (size_t i = 0; i < b.len; i++)
		for (int bit = 0; bit < 8; bit++) {
			uint8_t *copy = malloc(b.len);
			memcpy(copy, b.s, b.len);
			copy[i] ^= (uint8_t) (1u << bit);
			struct dbus_message m;
			if (dbus_message_parse(copy, b.len, &m) == 0) {
				struct dbus_cursor c = m.body;
				assert_true(strlen(dbus_get_str(&c)) < b.len);
				assert_true(strlen(m.path) + strlen(m.member) + strlen(m.signature) < b.len);
			}
			free(copy);
		}
	uint8_t head[DBUS_HEAD] = {'B', 1, 0, 1};
	size_t n;
	assert_int_equal(dbus_message_size(head, &n), -EBADMSG);
	head[0] = 'l';
	memset(head + 4, 0xff, 4);
	assert_int_equal(dbus_message_size(head, &n), -EMSGSIZE);
	memset(head + 4, 0, 4);
	memset(head + 12, 0xff, 4);
	assert_int_equal(dbus_message_size(head, &n), -EMSGSIZE);
}

/* A peer of our own. */

static char dir[] = "/tmp/coffer-dbus-XXXXXX";

static void put_field(struct strbuf *b, uint8_t code, char type, const char *text, uint32_t number)
{
	dbus_begin_struct(b);
	dbus_put_u8(b, code);
	dbus_put_signature(b, (char[]) {type, 0});
	if (type == 'u')
		dbus_put_u32(b, number);
	else if (type == 'g')
		dbus_put_signature(b, text);
	else
		dbus_put_str(b, text);
}

static void send_message(int fd, enum dbus_type type, uint32_t reply, const char *member, const char *error, const char *signature, const struct strbuf *body)
{
	_cleanup_strbuf_ struct strbuf b = STRBUF_INIT(1 << 16);
	static uint32_t serial;
	dbus_put_u8(&b, 'l');
	dbus_put_u8(&b, (uint8_t) type);
	dbus_put_u8(&b, 0);
	dbus_put_u8(&b, 1);
	dbus_put_u32(&b, (uint32_t) (body ? body->len : 0));
	dbus_put_u32(&b, ++serial);
	size_t a = dbus_begin_array(&b, 8);
	if (reply)
		put_field(&b, 5, 'u', NULL, reply);
	if (member) {
		put_field(&b, 1, 'o', "/org/freedesktop/systemd1", 0);
		put_field(&b, 2, 's', "org.freedesktop.systemd1.Manager", 0);
		put_field(&b, 3, 's', member, 0);
	}
	if (error)
		put_field(&b, 4, 's', error, 0);
	put_field(&b, 7, 's', ":1.5", 0);
	if (signature)
		put_field(&b, 8, 'g', signature, 0);
	dbus_end_array(&b, a, 8);
	while (b.len % 8)
		strbuf_addc(&b, '\0');
	if (body)
		strbuf_add(&b, body->s, body->len);
	(void) write_all(fd, b.s, b.len);
}

static void send_job_removed(int fd, const char *unit, const char *result)
{
	_cleanup_strbuf_ struct strbuf body = STRBUF_INIT(4096);
	dbus_put_u32(&body, 12);
	dbus_put_str(&body, "/org/freedesktop/systemd1/job/12");
	dbus_put_str(&body, unit);
	dbus_put_str(&body, result);
	send_message(fd, DBUS_SIGNAL, 0, "JobRemoved", NULL, "uoss", &body);
}

enum play { PLAY_GOOD, PLAY_EARLY, PLAY_FAILED, PLAY_ERROR, PLAY_SILENT, PLAY_GARBAGE, PLAY_REJECT };

static void answer(int fd, const struct dbus_message *m, enum play play)
{
	_cleanup_strbuf_ struct strbuf body = STRBUF_INIT(4096);
	struct dbus_cursor c = m->body;
	const char *unit = m->signature[0] == 's' ? dbus_get_str(&c) : "";
	bool job = str_eq(m->member, "StopUnit") || str_eq(m->member, "StartTransientUnit");
	if (play == PLAY_SILENT)
		return;
	if (play == PLAY_GARBAGE) {
		(void) write_all(fd, "this is not a message of the protocol", 37);
		return;
	}
	send_job_removed(fd, "other.scope", "canceled");
	if (job && play == PLAY_ERROR) {
		dbus_put_str(&body, "Unit x.scope not\nloaded.");
		send_message(fd, DBUS_ERROR, m->serial, NULL, "org.freedesktop.systemd1.NoSuchUnit", "s", &body);
		return;
	}
	if (job && play == PLAY_EARLY)
		send_job_removed(fd, unit, "done");
	send_message(fd, DBUS_RETURN, m->serial + 1000, NULL, NULL, NULL, NULL); /* somebody else's */
	send_message(fd, DBUS_RETURN, m->serial, NULL, NULL, NULL, NULL);
	if (job && play != PLAY_EARLY)
		send_job_removed(fd, unit, play == PLAY_FAILED ? "failed" : "done");
}

static _Noreturn void serve(int listener, enum play play)
{
	int fd = accept(listener, NULL, NULL);
	char c, line[64];
	if (fd < 0 || read(fd, &c, 1) != 1 || c != '\0')
		_exit(1);
	/* like systemd: what comes with BEGIN in one piece is not looked at */
	if (recv(fd, line, sizeof(line), 0) != 28 || memcmp(line, "AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n", 28) != 0)
		_exit(2);
	if (play == PLAY_REJECT) {
		(void) write_all(fd, "REJECTED ANONYMOUS\r\n", 20);
		_exit(0);
	}
	(void) write_all(fd, "DATA\r\nOK 0123456789abcdef\r\n", 27);
	for (;;) {
		uint8_t bytes[1 << 16];
		size_t n;
		struct dbus_message m;
		if (read_full(fd, bytes, DBUS_HEAD) != DBUS_HEAD)
			_exit(0);
		if (dbus_message_size(bytes, &n) < 0 || n > sizeof(bytes) || read_full(fd, bytes + DBUS_HEAD, n - DBUS_HEAD) != (ssize_t) (n - DBUS_HEAD) ||
		    dbus_message_parse(bytes, n, &m) < 0)
			_exit(5);
		answer(fd, &m, play);
	}
}

static pid_t start_peer(enum play play, char *path, size_t size)
{
	static int n;
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	(void) snprintf(path, size, "%s/%d", dir, n++);
	assert_int_equal(str_copy(a.sun_path, sizeof(a.sun_path), path), 0);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (struct sockaddr *) &a, sizeof(a)), 0);
	assert_int_equal(listen(fd, 1), 0);
	pid_t pid = fork();
	if (pid == 0)
		serve(fd, play);
	safe_close(fd);
	return pid;
}

static void end_peer(pid_t pid, int want)
{
	int status;
	if (want < 0)
		(void) kill(pid, SIGKILL);
	assert_true(waitpid(pid, &status, 0) == pid);
	if (want >= 0) {
		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), want);
	}
}

static void a_connection(void **state)
{
	struct dbus_bus bus;
	struct err err;
	char path[128], address[300];
	/* direct */
	pid_t pid = start_peer(PLAY_GOOD, path, sizeof(path));
	if (dbus_connect(&bus, path, &err) < 0)
		fail_msg("%s", err.msg);
	assert_true(bus.direct);
	assert_int_equal(dbus_call(&bus, "d", "/p", "i", "Ping", "", NULL, 5000, NULL, &err), 0);
	dbus_close(&bus);
	end_peer(pid, 0);
	/* as a bus, the second address of two, escaped: Hello goes first */
	pid = start_peer(PLAY_GOOD, path, sizeof(path));
	(void) snprintf(address, sizeof(address), "unix:path=/nonexistent;unix:guid=77,path=%s/%%3%c", dir, path[strlen(path) - 1]);
	if (dbus_connect(&bus, address, &err) < 0)
		fail_msg("%s: %s", address, err.msg);
	assert_false(bus.direct);
	assert_int_equal(bus.serial, 1);
	assert_int_equal(dbus_match(&bus, "type='signal'", &err), 0);
	dbus_close(&bus);
	end_peer(pid, 0);
}

static void failures_have_words(void **state)
{
	struct dbus_bus bus;
	struct err err;
	char path[128];
	assert_true(dbus_connect(&bus, "/nonexistent/socket", &err) < 0);
	assert_int_equal(err.kind, ERR_NOT_FOUND);
	assert_true(dbus_connect(&bus, "tcp:host=1.2.3.4", &err) < 0);
	assert_true(dbus_connect(&bus, "", &err) < 0);
	pid_t pid = start_peer(PLAY_REJECT, path, sizeof(path));
	assert_true(dbus_connect(&bus, path, &err) < 0);
	assert_non_null(strstr(err.msg, "authenticating"));
	end_peer(pid, 0);
	pid = start_peer(PLAY_SILENT, path, sizeof(path));
	assert_int_equal(dbus_connect(&bus, path, &err), 0);
	assert_int_equal(dbus_call(&bus, "d", "/p", "i", "Ping", "", NULL, 50, NULL, &err), -ETIMEDOUT);
	dbus_close(&bus);
	end_peer(pid, 0);
	pid = start_peer(PLAY_GARBAGE, path, sizeof(path));
	assert_int_equal(dbus_connect(&bus, path, &err), 0);
	assert_int_equal(dbus_call(&bus, "d", "/p", "i", "Ping", "", NULL, 5000, NULL, &err), -EBADMSG);
	dbus_close(&bus);
	end_peer(pid, -1);
	pid = start_peer(PLAY_ERROR, path, sizeof(path));
	assert_int_equal(dbus_connect(&bus, path, &err), 0);
	assert_int_equal(dbus_call(&bus, "d", "/p", "i", "StopUnit", "", NULL, 5000, NULL, &err), -EREMOTEIO);
	assert_string_equal(err.msg, "org.freedesktop.systemd1.NoSuchUnit: Unit x.scope not loaded.");
	dbus_close(&bus);
	end_peer(pid, 0);
}

/* The driver against the peer, which XDG_RUNTIME_DIR makes the manager of a user: only for who is not root. Root's way is the same behind the socket's name. */
static int stop_with(enum play play, struct err *err)
{
	char path[128], run[200], priv[300];
	pid_t pid = start_peer(play, path, sizeof(path));
	(void) snprintf(run, sizeof(run), "%s/run-%d", dir, (int) pid);
	assert_int_equal(mkdir(run, 0777), 0);
	assert_int_equal(chmod(run, 0777), 0);
	(void) snprintf(priv, sizeof(priv), "%s/systemd", run);
	assert_int_equal(mkdir(priv, 0777), 0);
	assert_int_equal(chmod(priv, 0777), 0);
	(void) snprintf(priv, sizeof(priv), "%s/systemd/private", run);
	assert_int_equal(rename(path, priv), 0);
	assert_int_equal(chmod(priv, 0777), 0);
	int pair[2];
	struct {
		int r;
		struct err err;
	} out = {.r = -EIO};
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	pid_t user = fork();
	if (user == 0) {
		(void) setenv("XDG_RUNTIME_DIR", run, 1);
		(void) unsetenv("DBUS_SESSION_BUS_ADDRESS");
		if (setresuid(65534, 65534, 65534) < 0)
			_exit(1);
		out.r = systemd_scope_stop("/user.slice/a/web.scope", &out.err);
		(void) write_all(pair[1], &out, sizeof(out));
		_exit(0);
	}
	safe_close(pair[1]);
	assert_int_equal(read_full(pair[0], &out, sizeof(out)), sizeof(out));
	safe_close(pair[0]);
	assert_true(waitpid(user, NULL, 0) == user);
	end_peer(pid, 0);
	*err = out.err;
	return out.r;
}

static void the_driver_waits_for_its_job(void **state)
{
	struct err err;
	assert_int_equal(chmod(dir, 0777), 0);
	assert_int_equal(stop_with(PLAY_GOOD, &err), 0);
	assert_int_equal(stop_with(PLAY_EARLY, &err), 0); /* the signal before the answer */
	assert_int_equal(stop_with(PLAY_ERROR, &err), 0); /* gone is stopped */
	assert_true(stop_with(PLAY_FAILED, &err) < 0);
	assert_non_null(strstr(err.msg, "web.scope ended with 'failed'"));
}

static void names(void **state)
{
	struct systemd_names n;
	struct err err;
	assert_int_equal(systemd_scope_names("machine.slice:libpod:abc", "id", false, &n, &err), 0);
	assert_string_equal(n.unit, "libpod-abc.scope");
	assert_string_equal(n.slice, "machine.slice");
	assert_int_equal(systemd_scope_names(":cri:x", "id", false, &n, &err), 0);
	assert_string_equal(n.slice, "system.slice");
	assert_int_equal(systemd_scope_names("::x", "id", true, &n, &err), 0);
	assert_string_equal(n.unit, "x.scope");
	assert_string_equal(n.slice, "user.slice");
	assert_int_equal(systemd_scope_names(NULL, "id", false, &n, &err), 0);
	assert_string_equal(n.unit, "coffer-oci-id.scope");
	static const char *const bad[] = {"/a/b", "a:b", "a:b:c:d", "a:b:", "a:b:c/d", "a/b:c:d"};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_true(systemd_scope_names(bad[i], "id", false, &n, &err) < 0);
		assert_non_null(strstr(err.msg, "linux.cgroupsPath"));
	}
}

static void numbers(void **state)
{
	uint8_t mask[8];
	assert_true(systemd_cpu_quota(-1, 100000) == UINT64_MAX);
	assert_int_equal(systemd_cpu_quota(50000, 100000), 500000);
	assert_int_equal(systemd_cpu_quota(33333, 100000), 340000); /* up to 10 ms */
	assert_int_equal(systemd_cpu_quota(200000, 0), 2000000);
	assert_int_equal(systemd_cpu_mask("0-3,8", mask, sizeof(mask)), 2);
	assert_true(mask[0] == 0x0f && mask[1] == 1);
	assert_int_equal(systemd_cpu_mask("63", mask, sizeof(mask)), 8);
	assert_int_equal(systemd_cpu_mask("64", mask, sizeof(mask)), -EINVAL);
	assert_int_equal(systemd_cpu_mask("3-1", mask, sizeof(mask)), -EINVAL);
	assert_int_equal(systemd_cpu_mask("a", mask, sizeof(mask)), -EINVAL);
	assert_int_equal(systemd_cpu_mask("1,,2", mask, sizeof(mask)), -EINVAL);
}

/* Find property @name in @b, an array's inside of (sv). Return: its variant's signature, with @c behind it; NULL. */
static const char *find(const struct strbuf *b, const char *name, struct dbus_cursor *c)
{
	*c = (struct dbus_cursor) {.p = (const uint8_t *) b->s, .at = 0, .end = b->len};
	while (c->at < c->end) {
		dbus_get_align(c, 8);
		if (c->at >= c->end)
			break;
		const char *key = dbus_get_str(c), *signature = dbus_get_signature(c);
		assert_false(c->bad);
		if (str_eq(key, name))
			return signature;
		switch (signature[0]) {
		case 't':
		case 'x':
			(void) dbus_get_u64(c);
			break;
		case 's':
			(void) dbus_get_str(c);
			break;
		case 'b':
		case 'u':
		case 'i':
			(void) dbus_get_u32(c);
			break;
		case 'a': {
			size_t n = dbus_get_u32(c);
			dbus_get_align(c, signature[1] == '(' ? 8 : signature[1] == 'y' ? 1 : 4);
			c->at += n;
			break;
		}
		default:
			fail_msg("signature %s", signature);
		}
	}
	return NULL;
}

static uint64_t number_of(const struct strbuf *b, const char *name)
{
	struct dbus_cursor c;
	assert_string_equal(find(b, name, &c), "t");
	return dbus_get_u64(&c);
}

static void limits_as_properties(void **state)
{
	struct err err;
	struct dbus_cursor c;
	struct device_rule rules[] = {{.allow = true, .type = 'c', .major = 10, .minor = 229, .access = "rw"}};
	struct keyval high = {(char[]) {"memory.high"}, (char[]) {"4096"}};
	struct resources_spec r = {.has_memory = true, .memory = 1 << 20, .has_swap = true, .swap = 3 << 20, .has_pids = true, .pids = -1, .has_shares = true, .shares = 1024,
				   .has_quota = true, .quota = 25000, .has_period = true, .period = 50000, .cpus = (char[]) {"0-1"}, .devices = rules, .n_devices = 1,
				   .unified = &high, .n_unified = 1};
	_cleanup_strbuf_ struct strbuf v2 = STRBUF_INIT(1 << 16), v1 = STRBUF_INIT(1 << 16);
	assert_int_equal(systemd_put_limits(&v2, &r, 2, true, &err), 0);
	assert_int_equal(number_of(&v2, "MemoryMax"), 1 << 20);
	assert_int_equal(number_of(&v2, "MemorySwapMax"), 2 << 20);
	assert_int_equal(number_of(&v2, "MemoryHigh"), 4096);
	assert_true(number_of(&v2, "TasksMax") == UINT64_MAX);
	assert_int_equal(number_of(&v2, "CPUWeight"), 100);
	assert_int_equal(number_of(&v2, "CPUQuotaPeriodUSec"), 50000);
	assert_int_equal(number_of(&v2, "CPUQuotaPerSecUSec"), 500000);
	assert_string_equal(find(&v2, "AllowedCPUs", &c), "ay");
	assert_string_equal(find(&v2, "DevicePolicy", &c), "s");
	assert_string_equal(dbus_get_str(&c), "strict");
	assert_string_equal(find(&v2, "DeviceAllow", &c), "a(ss)");
	assert_int_equal(dbus_get_u32(&c), 0); /* first the empty one */
	bool fuse = false, null = false;
	for (size_t i = 0; i + 8 < v2.len; i++) {
		fuse |= memcmp(v2.s + i, "10:229\0", 7) == 0;
		null |= memcmp(v2.s + i, "/char/1:3", 9) == 0;
	}
	assert_true(fuse && null);
	assert_int_equal(systemd_put_limits(&v1, &r, 1, false, &err), 0);
	assert_int_equal(number_of(&v1, "MemoryLimit"), 1 << 20);
	assert_int_equal(number_of(&v1, "CPUShares"), 1024);
	assert_null(find(&v1, "AllowedCPUs", &c));
	assert_null(find(&v1, "DevicePolicy", &c));
}

static void annotations_as_properties(void **state)
{
	struct err err;
	struct dbus_cursor c;
	struct keyval v[] = {
		{(char[]) {"org.systemd.property.TimeoutStopUSec"}, (char[]) {"uint64 5000000"}}, {(char[]) {"org.systemd.property.CollectMode"}, (char[]) {"'inactive'"}},
		{(char[]) {"org.systemd.property.Before"}, (char[]) {"['a.service', \"b.service\"]"}}, {(char[]) {"org.systemd.property.SendSIGHUP"}, (char[]) {"true"}},
		{(char[]) {"org.systemd.property.RuntimeMaxSec"}, (char[]) {"1.5"}}, {(char[]) {"org.other"}, (char[]) {"x"}},
	};
	_cleanup_strbuf_ struct strbuf b = STRBUF_INIT(1 << 16);
	assert_int_equal(systemd_put_annotations(&b, v, ARRAY_LEN(v), &err), 0);
	assert_int_equal(number_of(&b, "TimeoutStopUSec"), 5000000);
	assert_int_equal(number_of(&b, "RuntimeMaxUSec"), 1500000);
	assert_string_equal(find(&b, "CollectMode", &c), "s");
	assert_string_equal(dbus_get_str(&c), "inactive");
	assert_string_equal(find(&b, "Before", &c), "as");
	assert_true(dbus_get_u32(&c) > 0);
	assert_string_equal(dbus_get_str(&c), "a.service");
	assert_string_equal(dbus_get_str(&c), "b.service");
	assert_string_equal(find(&b, "SendSIGHUP", &c), "b");
	static const char *const bad[][2] = {{"A.b", "true"}, {"ab", "true"}, {"Abc", "maybe"}, {"Abc", "'open"}, {"Abc", "['a'"}, {"Abc", "uint32 -1"}, {"Abc", "int32 3000000000"}};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		char key[64], value[64];
		(void) snprintf(key, sizeof(key), "org.systemd.property.%s", bad[i][0]);
		(void) snprintf(value, sizeof(value), "%s", bad[i][1]);
		struct keyval kv = {key, value};
		_cleanup_strbuf_ struct strbuf out = STRBUF_INIT(1 << 12);
		assert_true(systemd_put_annotations(&out, &kv, 1, &err) < 0);
		assert_non_null(strstr(err.msg, key));
	}
}

static int setup(void **state)
{
	return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
	return rm_rf_at(AT_FDCWD, dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(to_the_byte),       cmocka_unit_test(read_back),           cmocka_unit_test(broken_ones),
		cmocka_unit_test(a_connection),      cmocka_unit_test(failures_have_words), cmocka_unit_test(the_driver_waits_for_its_job),
		cmocka_unit_test(names),             cmocka_unit_test(numbers),             cmocka_unit_test(limits_as_properties),
		cmocka_unit_test(annotations_as_properties),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}

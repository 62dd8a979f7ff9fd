/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/credentials.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/base64.h"
#include "base/fd.h"
#include "codec/json.h"
#include "spec/image.h"

enum { CONFIG_MAX = 4 << 20, SECRET_MAX = 64 << 10 };
#define HUB_KEY "https://index.docker.io/v1/"
extern char **environ;

static void wipe(char *s)
{
	if (s)
		explicit_bzero(s, strlen(s));
	free(s);
}

void credentials_done(struct credentials *c)
{
	wipe(c->username);
	wipe(c->password);
	wipe(c->identity_token);
	*c = (struct credentials) {NULL};
}

int credentials_server(const char *text, char **ret, struct err *err)
{
	struct image_ref ref = {0};
	int r = image_ref_parse(text, &ref, err);
	if (r < 0)
		return r;
	*ret = strdup(str_eq(ref.domain, "docker.io") ? HUB_KEY : ref.domain);
	image_ref_done(&ref);
	return *ret ? 0 : err_oom(err);
}

/* The file */

static char *config_dir(void)
{
	const char *dir = getenv("DOCKER_CONFIG"), *home = getenv("HOME");
	return str_empty(dir) ? str_printf("%s/.docker", str_empty(home) ? "/root" : home) : strdup(dir);
}

/* *@ret: owned; NULL: there is no file. */
static int read_config(struct json **ret, struct err *err)
{
	_cleanup_free_ char *dir = config_dir(), *path = dir ? str_printf("%s/config.json", dir) : NULL, *text = NULL;
	*ret = NULL;
	if (!path)
		return err_oom(err);
	ssize_t n = read_file(AT_FDCWD, path, CONFIG_MAX, &text);
	if (n == -ENOENT || n == -ENOTDIR)
		return 0;
	if (n < 0)
		return err_sys(err, (int) n, "reading '%.300s'", path);
	int r = json_parse(text, (size_t) n, CONFIG_MAX, path, ret, err);
	explicit_bzero(text, (size_t) n);
	if (r >= 0 && json_kind(*ret) != JSON_KIND_OBJECT) {
		*ret = json_free(*ret);
		return err_set(err, ERR_INVALID, "%s: expected an object", path);
	}
	return r;
}

/* "https://host/v1/" and "host" mean the same registry. */
static void host_of(const char *key, char *out, size_t size)
{
	const char *s = str_after(key, "https://");
	s = s ? s : str_after(key, "http://");
	s = s ? s : key;
	(void) snprintf(out, size, "%.*s", (int) strcspn(s, "/"), s);
}

static const struct json *find_entry(const struct json *auths, const char *server)
{
	const struct json *exact = json_get(auths, server);
	char want[300], have[300];
	if (exact)
		return exact;
	host_of(server, want, sizeof(want));
	JSON_FOREACH_MEMBER(key, v, auths) {
		host_of(key, have, sizeof(have));
		if (str_eq(want, have))
			return v;
	}
	return NULL;
}

/* {"auth": base64 of "user:password", "identitytoken": "..."} */
static int read_entry(const struct json *v, struct credentials *ret, struct err *err)
{
	_cleanup_strbuf_ struct strbuf pair = STRBUF_INIT(SECRET_MAX);
	const char *auth = json_str(json_get(v, "auth"), "");
	struct credentials c = {NULL};
	int r = json_read_dup(v, "identitytoken", &c.identity_token, err);
	if (r >= 0 && *auth && base64_decode(auth, &pair) < 0)
		r = err_set(err, ERR_INVALID, "the docker config's 'auth' is not base64");
	const char *colon = pair.s ? strchr(pair.s, ':') : NULL;
	if (r >= 0 && colon) {
		c.username = strndup(pair.s, (size_t) (colon - pair.s));
		c.password = strdup(colon + 1);
		if (!c.username || !c.password)
			r = err_oom(err);
	}
	if (pair.s)
		explicit_bzero(pair.s, pair.len);
	if (r < 0) {
		credentials_done(&c);
		return r;
	}
	*ret = c;
	return c.username || !str_empty(c.identity_token);
}

/* Credential helpers: docker-credential-NAME, get | store | erase */

static const char *helper_for(const struct json *config, const char *server)
{
	char host[300];
	host_of(server, host, sizeof(host));
	const struct json *helpers = json_get(config, "credHelpers");
	const char *own = json_str(json_get(helpers, server), json_str(json_get(helpers, host), NULL));
	return own ? own : json_str(json_get(config, "credsStore"), NULL);
}

static int check_helper(const char *name, struct err *err)
{
	if (strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == strlen(name) && *name != '-')
		return 0;
	return err_set(err, ERR_INVALID, "the docker config names a credential helper '%.60s', which is no program's name", str_is_plain(name) ? name : "");
}

struct helper {
	pid_t pid;
	int in, out; /* owned; what we write to, and read from */
};

static int helper_start(struct helper *h, const char *name, const char *verb, struct err *err)
{
	_cleanup_free_ char *program = str_printf("docker-credential-%s", name);
	char *const argv[] = {program, (char *) verb, NULL};
	int in[2] = {-EBADF, -EBADF}, out[2] = {-EBADF, -EBADF};
	posix_spawn_file_actions_t fa;
	if (!program)
		return err_oom(err);
	if (pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0) {
		int r = -errno;
		(void) safe_close(in[0]);
		(void) safe_close(in[1]);
		return err_sys(err, r, "creating a pipe");
	}
	int r = posix_spawn_file_actions_init(&fa);
	r = r ? r : posix_spawn_file_actions_adddup2(&fa, in[0], 0);
	r = r ? r : posix_spawn_file_actions_adddup2(&fa, out[1], 1);
	r = r ? r : posix_spawnp(&h->pid, program, &fa, NULL, argv, environ);
	(void) posix_spawn_file_actions_destroy(&fa);
	(void) safe_close(in[0]);
	(void) safe_close(out[1]);
	h->in = in[1];
	h->out = out[0];
	if (r == 0)
		return 0;
	(void) safe_close(h->in);
	(void) safe_close(h->out);
	return err_sys(err, -r, "starting the credential helper '%s'", program);
}

/* Give @text, take what it prints. Return: 1 it went well, 0 it refused (its words in @out), ERR_*. */
static int helper_run(const char *name, const char *verb, const char *text, struct strbuf *out, struct err *err)
{
	struct helper h;
	char buf[4096];
	int status = 0, r = check_helper(name, err);
	if (r >= 0)
		r = helper_start(&h, name, verb, err);
	if (r < 0)
		return r;
	void (*before)(int) = signal(SIGPIPE, SIG_IGN);
	(void) write_all(h.in, text, strlen(text)); /* one that does not read has its reasons */
	(void) safe_close(h.in);
	ssize_t n;
	while ((n = read_full(h.out, buf, sizeof(buf))) > 0)
		strbuf_add(out, buf, (size_t) n);
	explicit_bzero(buf, sizeof(buf));
	(void) safe_close(h.out);
	(void) signal(SIGPIPE, before);
	while (waitpid(h.pid, &status, 0) < 0 && errno == EINTR)
		;
	if (strbuf_err(out) < 0)
		return err_set(err, ERR_INVALID, "the credential helper '%s' says too much", name);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static int helper_get(const char *name, const char *server, struct credentials *ret, struct err *err)
{
	_cleanup_strbuf_ struct strbuf out = STRBUF_INIT(SECRET_MAX);
	_cleanup_json_ struct json *doc = NULL;
	struct credentials c = {NULL};
	int r = helper_run(name, "get", server, &out, err);
	if (r < 0)
		return r;
	if (r == 0 && strstr(out.s ? out.s : "", "credentials not found"))
		return 0;
	if (r == 0)
		return err_set(err, ERR_SYSTEM, "the credential helper '%s' failed: %.200s", name, out.s && str_is_plain(out.s) ? out.s : "");
	r = json_parse(out.s ? out.s : "", out.len, SECRET_MAX, "the credential helper's answer", &doc, err);
	const char *user = json_str(json_get(doc, "Username"), ""), *secret = json_str(json_get(doc, "Secret"), "");
	bool token = str_eq(user, "<token>");
	if (r >= 0) {
		c.username = token ? NULL : strdup(user);
		c.password = token ? NULL : strdup(secret);
		c.identity_token = token ? strdup(secret) : NULL;
		if (token ? !c.identity_token : !c.username || !c.password)
			r = err_oom(err);
	}
	if (out.s)
		explicit_bzero(out.s, out.len);
	if (r < 0) {
		credentials_done(&c);
		return r;
	}
	*ret = c;
	return 1;
}

int credentials_read(const char *server, struct credentials *ret, struct err *err)
{
	_cleanup_json_ struct json *config = NULL;
	int r = read_config(&config, err);
	if (r < 0 || !config)
		return r;
	const char *helper = helper_for(config, server);
	if (helper)
		return helper_get(helper, server, ret, err);
	const struct json *entry = find_entry(json_get(config, "auths"), server);
	return entry ? read_entry(entry, ret, err) : 0;
}

void credentials_header(const char *server, const struct credentials *c, struct strbuf *out)
{
	_cleanup_strbuf_ struct strbuf b = STRBUF_INIT(SECRET_MAX);
	struct json_writer w;
	jw_init(&w, &b);
	jw_obj(&w, NULL);
	if (c) {
		if (c->username)
			jw_str(&w, "username", c->username);
		if (c->password)
			jw_str(&w, "password", c->password);
		if (c->identity_token)
			jw_str(&w, "identitytoken", c->identity_token);
		jw_str(&w, "serveraddress", server);
	}
	jw_end(&w);
	strbuf_adds(out, "X-Registry-Auth: ");
	base64url_add(out, b.s ? b.s : "", b.len);
	strbuf_adds(out, "\r\n");
	if (b.s)
		explicit_bzero(b.s, b.len);
}

/* Writing */

static void write_auths(struct json_writer *w, const struct json *auths, const char *server, const struct credentials *c)
{
	_cleanup_strbuf_ struct strbuf pair = STRBUF_INIT(SECRET_MAX), text = STRBUF_INIT(SECRET_MAX);
	jw_obj(w, "auths");
	JSON_FOREACH_MEMBER(key, v, auths) {
		_cleanup_free_ char *raw = str_eq(key, server) ? NULL : json_dump(v);
		if (raw)
			jw_raw(w, key, raw);
	}
	if (c) {
		jw_obj(w, server);
		strbuf_addf(&pair, "%s:%s", c->username ? c->username : "", c->password ? c->password : "");
		base64_add(&text, pair.s ? pair.s : "", pair.len);
		if (c->username)
			jw_str(w, "auth", text.s ? text.s : "");
		if (!str_empty(c->identity_token))
			jw_str(w, "identitytoken", c->identity_token);
		jw_end(w);
	}
	jw_end(w);
	if (pair.s)
		explicit_bzero(pair.s, pair.len);
	if (text.s)
		explicit_bzero(text.s, text.len);
}

/* The file again, with @server's entry replaced by @c (NULL: without it). */
static int write_config(const struct json *config, const char *server, const struct credentials *c, char **ret_path, struct err *err)
{
	_cleanup_strbuf_ struct strbuf b = STRBUF_INIT(CONFIG_MAX);
	_cleanup_free_ char *dir = config_dir();
	struct json_writer w;
	if (!dir)
		return err_oom(err);
	jw_init(&w, &b);
	jw_obj(&w, NULL);
	write_auths(&w, json_get(config, "auths"), server, c);
	JSON_FOREACH_MEMBER(key, v, config) {
		_cleanup_free_ char *raw = str_eq(key, "auths") ? NULL : json_dump(v);
		if (raw)
			jw_raw(&w, key, raw);
	}
	jw_end(&w);
	if (strbuf_err(&b) < 0)
		return err_oom(err);
	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		return err_sys(err, -errno, "making '%.300s'", dir);
	_cleanup_close_ int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = fd < 0 ? -errno : write_file_atomic(fd, "config.json", b.s, b.len, 0600);
	explicit_bzero(b.s, b.len);
	if (r < 0)
		return err_sys(err, r, "writing '%.300s/config.json'", dir);
	if (ret_path && !(*ret_path = str_printf("%s/config.json", dir)))
		return err_oom(err);
	return 0;
}

static int helper_store(const char *name, const char *server, const struct credentials *c, struct err *err)
{
	_cleanup_strbuf_ struct strbuf in = STRBUF_INIT(SECRET_MAX), out = STRBUF_INIT(SECRET_MAX);
	struct json_writer w;
	bool token = !str_empty(c->identity_token);
	jw_init(&w, &in);
	jw_obj(&w, NULL);
	jw_str(&w, "ServerURL", server);
	jw_str(&w, "Username", token ? "<token>" : c->username);
	jw_str(&w, "Secret", token ? c->identity_token : c->password);
	jw_end(&w);
	if (strbuf_err(&in) < 0)
		return err_oom(err);
	int r = helper_run(name, "store", in.s, &out, err);
	explicit_bzero(in.s, in.len);
	return r != 0 ? MIN(r, 0) : err_set(err, ERR_SYSTEM, "the credential helper '%s' failed: %.200s", name, out.s && str_is_plain(out.s) ? out.s : "");
}

int credentials_write(const char *server, const struct credentials *c, bool *ret_plain, char **ret_path, struct err *err)
{
	_cleanup_json_ struct json *config = NULL;
	int r = read_config(&config, err);
	if (r < 0)
		return r;
	const char *helper = helper_for(config, server);
	const struct credentials empty = {NULL};
	*ret_plain = !helper;
	if (helper)
		r = helper_store(helper, server, c, err);
	return r < 0 ? r : write_config(config, server, helper ? &empty : c, ret_path, err);
}

int credentials_erase(const char *server, struct err *err)
{
	_cleanup_json_ struct json *config = NULL;
	_cleanup_strbuf_ struct strbuf out = STRBUF_INIT(SECRET_MAX);
	int r = read_config(&config, err);
	if (r < 0 || !config)
		return r;
	const char *helper = helper_for(config, server);
	bool there = json_get(json_get(config, "auths"), server) != NULL;
	if (helper && (r = helper_run(helper, "erase", server, &out, err)) < 0)
		return r;
	if (there && (r = write_config(config, server, NULL, NULL, err)) < 0)
		return r;
	return there || (helper && r > 0);
}

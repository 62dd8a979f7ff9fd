/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `login` and `logout`: the user's credentials for registries, in docker's own file.
 */
#include <errno.h>
#include <stdio.h>
#include <termios.h>
#include <unistd.h>

#include "base/fd.h"
#include "cli/call.h"
#include "cli/credentials.h"

enum { LINE_MAX_LEN = 4096, BODY_MAX = 64 << 10 };
#define HUB "https://index.docker.io/v1/"

struct login_options {
	const char *username, *password; /* borrowed */
	bool password_stdin;
};

static const struct flag login_rows[] = {
	{"password", 'p', FLAG_STR, offsetof(struct login_options, password), "password", "Password or token (others may see it: better --password-stdin)"},
	{"password-stdin", 0, FLAG_BOOL, offsetof(struct login_options, password_stdin), NULL, "Read the password from stdin"},
	{"username", 'u', FLAG_STR, offsetof(struct login_options, username), "name", "User name"},
};

/* What docker writes for a server: host[:port], and one name for Docker Hub. */
static char *server_key(const char *arg)
{
	const char *s = arg ? arg : HUB, *rest = str_after(s, "https://");
	rest = rest ? rest : str_after(s, "http://");
	rest = rest ? rest : s;
	char *host = strndup(rest, strcspn(rest, "/"));
	if (host && (str_eq(host, "docker.io") || str_eq(host, "index.docker.io") || str_eq(host, "registry-1.docker.io"))) {
		free(host);
		host = strdup(HUB);
	}
	return host;
}

/* A line from the terminal, without echo when @secret. *@ret: owned. */
static int ask(const char *prompt, bool secret, char **ret, struct err *err)
{
	char line[LINE_MAX_LEN];
	struct termios before, quiet;
	bool tty = secret && tcgetattr(STDIN_FILENO, &before) == 0;
	if (tty) {
		quiet = before;
		quiet.c_lflag &= ~(tcflag_t) ECHO;
		(void) tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet); /* a terminal that shows it anyway is the user's */
	}
	(void) fprintf(stderr, "%s", prompt);
	(void) fflush(stderr);
	char *got = fgets(line, sizeof(line), stdin);
	if (tty) {
		(void) tcsetattr(STDIN_FILENO, TCSAFLUSH, &before); /* as above */
		(void) fprintf(stderr, "\n");
	}
	if (!got)
		return err_set(err, ERR_INVALID, "nothing was entered");
	line[strcspn(line, "\r\n")] = '\0';
	*ret = strdup(line);
	explicit_bzero(line, sizeof(line));
	return *ret ? 0 : err_oom(err);
}

static int read_stdin(char **ret, struct err *err)
{
	char buf[LINE_MAX_LEN];
	ssize_t n = read_full(STDIN_FILENO, buf, sizeof(buf) - 1);
	if (n < 0)
		return err_sys(err, (int) n, "reading the password");
	buf[n] = '\0';
	buf[strcspn(buf, "\r\n")] = '\0';
	*ret = strdup(buf);
	explicit_bzero(buf, sizeof(buf));
	return *ret ? 0 : err_oom(err);
}

static int gather(const struct login_options *o, struct credentials *c, struct err *err)
{
	if (o->password && o->password_stdin)
		return err_set(err, ERR_INVALID, "--password and --password-stdin are mutually exclusive");
	if (o->password_stdin && !o->username)
		return err_set(err, ERR_INVALID, "--password-stdin needs --username");
	if (o->password)
		(void) fprintf(stderr, "WARNING! Using --password via the CLI is insecure. Use --password-stdin.\n");
	if (!o->username && !isatty(STDIN_FILENO))
		return err_set(err, ERR_INVALID, "cannot ask for a user name without a terminal: use --username and --password-stdin");
	int r = o->username ? ((c->username = strdup(o->username)) ? 0 : err_oom(err)) : ask("Username: ", false, &c->username, err);
	if (r < 0)
		return r;
	if (o->password)
		return (c->password = strdup(o->password)) ? 0 : err_oom(err);
	if (o->password_stdin)
		return read_stdin(&c->password, err);
	if (!isatty(STDIN_FILENO))
		return err_set(err, ERR_INVALID, "cannot ask for a password without a terminal: use --password-stdin");
	return ask("Password: ", true, &c->password, err);
}

static int post_auth(struct cli *cli, const char *server, const struct credentials *c, struct json **ret, struct err *err)
{
	_cleanup_strbuf_ struct strbuf t = TARGET_INIT, b = STRBUF_INIT(BODY_MAX);
	struct json_writer w;
	jw_init(&w, &b);
	jw_obj(&w, NULL);
	jw_str(&w, "username", c->username);
	jw_str(&w, "password", c->password);
	jw_str(&w, "serveraddress", server);
	jw_end(&w);
	if (strbuf_err(&b) < 0)
		return err_set(err, ERR_INVALID, "a name or password that is too long");
	target_start(&t, "/auth", NULL, NULL);
	int r = call_json(cli, "POST", &t, b.s, ret, err);
	explicit_bzero(b.s, b.len);
	return r;
}

static int keep(const char *server, struct credentials *c, const struct json *answer, struct err *err)
{
	_cleanup_free_ char *path = NULL;
	const char *token = json_str(json_get(answer, "IdentityToken"), "");
	bool plain = false;
	if (*token) {
		explicit_bzero(c->password, strlen(c->password));
		c->password[0] = '\0';
		if (!(c->identity_token = strdup(token)))
			return err_oom(err);
	}
	int r = credentials_write(server, c, &plain, &path, err);
	if (r >= 0 && plain)
		(void) fprintf(stderr, "WARNING! Your credentials are stored unencrypted in '%s'.\nConfigure a credential helper to remove this warning. See\n"
				       "https://docs.docker.com/go/credential-store/\n\n", path);
	return r;
}

static int login_run(struct cli *cli, int argc, char **argv)
{
	struct login_options o = {};
	_cleanup_args_ struct args a = {};
	_cleanup_credentials_ struct credentials c = {NULL};
	_cleanup_json_ struct json *answer = NULL;
	struct err err;
	int r = cli_parse(cli, argc, argv, &o, &a);
	if (r != CLI_PARSED)
		return r;
	_cleanup_free_ char *server = server_key(a.n ? a.v[0] : NULL);
	if (!server)
		return cli_error("out of memory");
	r = gather(&o, &c, &err);
	if (r >= 0 && str_empty(c.username))
		r = err_set(&err, ERR_INVALID, "a user name is needed");
	r = r < 0 ? r : post_auth(cli, server, &c, &answer, &err);
	r = r < 0 ? r : keep(server, &c, answer, &err);
	if (r < 0)
		return cli_fail(1, &err);
	(void) printf("%s\n", json_str(json_get(answer, "Status"), "Login Succeeded"));
	return 0;
}

const struct command command_login = {
	.name = "login",
	.group = GROUP_IMAGES,
	.usage = "[OPTIONS] [SERVER]",
	.summary = "Keep the credentials for a registry",
	.examples = "  coffer login -u alice --password-stdin registry.example:5000 <token\n",
	.flags = {FLAGS(login_rows)},
	.min_args = 0,
	.max_args = 1,
	.run = login_run,
};

static int logout_run(struct cli *cli, int argc, char **argv)
{
	_cleanup_args_ struct args a = {};
	struct err err;
	int r = cli_parse(cli, argc, argv, NULL, &a);
	if (r != CLI_PARSED)
		return r;
	_cleanup_free_ char *server = server_key(a.n ? a.v[0] : NULL);
	r = server ? credentials_erase(server, &err) : err_oom(&err);
	if (r < 0)
		return cli_fail(1, &err);
	(void) printf(r > 0 ? "Removing login credentials for %s\n" : "Not logged in to %s\n", server);
	return 0;
}

const struct command command_logout = {
	.name = "logout",
	.group = GROUP_IMAGES,
	.usage = "[SERVER]",
	.summary = "Forget the credentials for a registry",
	.examples = "  coffer logout registry.example:5000\n",
	.min_args = 0,
	.max_args = 1,
	.run = logout_run,
};

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * coffer-docs DIR STAMP: writes the manual pages and the shells' completion scripts below DIR, laid out as below PREFIX/share, from the tables that the
 * programs themselves use. It runs at build time and is not installed. A flag or key without a text fails the build.
 */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "cli/complete.h"
#include "cmd/coffer-docs/pages.h"
#include "cmd/coffer-docs/put.h"
#include "cmd/coffer/daemon_json.h"

/* "coffer-container-ls" shows coffer-ps */
static int put_alias(int dfd, const char *words, const char *target)
{
	char name[PAGE_NAME_MAX], path[PAGE_NAME_MAX + 16], to[PAGE_NAME_MAX + 4];
	page_name(name, sizeof(name), words);
	(void) snprintf(path, sizeof(path), "man/man1/%s.1", name);
	(void) snprintf(to, sizeof(to), "%s.1", target);
	return symlinkat(to, dfd, path) < 0 ? complain(path, -errno) : 0;
}

static int put_command(int dfd, const struct command *c)
{
	struct page p;
	char name[PAGE_NAME_MAX], path[COMMAND_PATH_MAX];
	page_name(name, sizeof(name), c->name);
	page_command(&p, c, name);
	int r = put_page(dfd, &p);
	for (size_t i = 1; r == 0 && command_path(c, i, path, sizeof(path)); i++)
		r = put_alias(dfd, path, name);
	return r;
}

static int put_commands(int dfd)
{
	size_t n;
	int r = 0;
	const struct command *const *v = command_list(&n);
	for (size_t i = 0; r == 0 && i < n; i++)
		r = put_command(dfd, v[i]);
	const struct command_family *f = command_families(&n);
	for (size_t i = 0; r == 0 && i < n; i++) {
		struct page p;
		char name[PAGE_NAME_MAX];
		page_name(name, sizeof(name), f[i].name);
		page_family(&p, &f[i], name);
		r = put_page(dfd, &p);
	}
	return r;
}

static int put_programs(int dfd)
{
	static void (*const make[])(struct page *) = {page_coffer, page_cofferd, page_daemon_json};
	int r = 0;
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(make); i++) {
		struct page p;
		make[i](&p);
		r = put_page(dfd, &p);
	}
	return r;
}

static int put_completions(int dfd)
{
	size_t n;
	int r = 0;
	const struct completion_script *s = completion_scripts(&n);
	for (size_t i = 0; r == 0 && i < n; i++)
		r = put(dfd, s[i].file, s[i].text, strlen(s[i].text));
	return r;
}

/* Everything that people see has a text. */
static int check(void)
{
	size_t n;
	struct daemon_key k;
	int r = 0;
	const struct command *const *v = command_list(&n);
	for (size_t i = 0; i < n; i++)
		if (str_empty(v[i]->summary) || str_empty(v[i]->examples))
			r = complain(v[i]->name, -ENOMSG);
	for (size_t i = 0; daemon_key(i, &k); i++)
		if (str_empty(k.help) || str_empty(k.kind))
			r = complain(k.name, -ENOMSG);
	return r;
}

static int put_all(int dfd)
{
	int r = check();
	r = r < 0 ? r : put_commands(dfd);
	r = r < 0 ? r : put_programs(dfd);
	return r < 0 ? r : put_completions(dfd);
}

int main(int argc, char **argv)
{
	return put_main(argc, argv, put_all);
}

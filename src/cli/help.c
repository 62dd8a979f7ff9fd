/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Help text, made from the rows of commands and flags.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/str.h"
#include "cli/command.h"
#include "base/term.h"

#define HELP_COLUMN_MAX 38

static const char *value_name(const struct flag *f)
{
	static const char *const by_kind[] = {[FLAG_STR] = "string", [FLAG_LIST] = "list", [FLAG_INT] = "int", [FLAG_SIZE] = "bytes", [FLAG_SET] = "value",
							 [FLAG_FILTER] = "key=value"};
	if (!flag_takes_value(f))
		return "";
	if (f->arg)
		return f->arg;
	return (size_t) f->kind < ARRAY_LEN(by_kind) && by_kind[f->kind] ? by_kind[f->kind] : "";
}

size_t flag_label(const struct flag *f, char *buf, size_t size)
{
	char abbr[8] = "    ";
	if (f->abbr)
		(void) snprintf(abbr, sizeof(abbr), "-%c, ", f->abbr);
	const char *arg = value_name(f);
	int n = snprintf(buf, size, "  %s--%s%s%s", abbr, f->name, *arg ? " " : "", arg);
	return n > 0 ? (size_t) n : 0;
}

bool flag_is_refused(const struct flag *f)
{
	return f->kind == FLAG_REFUSED || f->kind == FLAG_REFUSED_BOOL;
}

bool flag_is_shown(const struct flag *f)
{
	return f->help && !flag_is_refused(f);
}

static size_t label_column(const struct flag_table *const *tables)
{
	char buf[128];
	size_t widest = 0;
	for (const struct flag_table *const *t = tables; *t; t++)
		for (size_t i = 0; i < (*t)->n; i++)
			if (flag_is_shown(&(*t)->rows[i])) {
				size_t n = flag_label(&(*t)->rows[i], buf, sizeof(buf));
				widest = MAX(widest, MIN(n, (size_t) HELP_COLUMN_MAX));
			}
	return widest + 3;
}

static void wrap(const char *text, size_t column, size_t width)
{
	size_t at = column;
	while (*text) {
		size_t n = strcspn(text, " ");
		if (at > column && at + 1 + n > width) {
			(void) printf("\n%*s", (int) column, "");
			at = column;
		} else if (at > column) {
			(void) putchar(' ');
			at++;
		}
		(void) printf("%.*s", (int) n, text);
		at += n;
		text += n + (text[n] == ' ');
	}
	(void) putchar('\n');
}

static void print_flags(const struct flag_table *const *tables)
{
	unsigned rows, cols = 100;
	char buf[128];
	size_t column = label_column(tables);
	(void) term_size(STDOUT_FILENO, &rows, &cols);
	size_t width = MAX((size_t) cols, column + 30);
	for (const struct flag_table *const *t = tables; *t; t++)
		for (size_t i = 0; i < (*t)->n; i++) {
			const struct flag *f = &(*t)->rows[i];
			if (!flag_is_shown(f))
				continue;
			size_t n = flag_label(f, buf, sizeof(buf));
			(void) printf("%s", buf);
			if (n + 2 > column) {
				(void) putchar('\n');
				n = 0;
			}
			(void) printf("%*s", (int) (column - n), "");
			wrap(f->help, column, width);
		}
}

static void print_refused(const struct flag_table *const *tables)
{
	bool any = false;
	size_t at = 0;
	for (const struct flag_table *const *t = tables; *t; t++)
		for (size_t i = 0; i < (*t)->n; i++) {
			const struct flag *f = &(*t)->rows[i];
			if (!flag_is_refused(f))
				continue;
			if (!any)
				(void) printf("\nNot there yet (refused by name, never ignored):\n");
			any = true;
			size_t n = strlen(f->name) + 3;
			if (at == 0 || at + n > 96) {
				(void) printf("%s ", at ? "\n" : "");
				at = 1;
			}
			(void) printf(" --%s", f->name);
			at += n;
		}
	if (any)
		(void) putchar('\n');
}

static size_t width(void)
{
	unsigned rows, cols = 100;
	(void) term_size(STDOUT_FILENO, &rows, &cols);
	return cols;
}

static void print_aliases(const struct command *c)
{
	char path[COMMAND_PATH_MAX];
	for (size_t i = 1; command_path(c, i, path, sizeof(path)); i++)
		(void) printf("%scoffer %s", i == 1 ? "\nAliases:\n  " : ", ", path);
	if (command_path(c, 1, path, sizeof(path)))
		(void) printf("\n");
}

void help_command(const struct command *c)
{
	bool flags = c->flags[0];
	(void) printf("Usage:  coffer %s %s\n\n%s\n", c->name, c->usage, c->summary);
	print_aliases(c);
	if (flags) {
		(void) printf("\nOptions:\n");
		print_flags(c->flags);
		print_refused(c->flags);
	}
	if (c->examples)
		(void) printf("\nExamples:\n%s", c->examples);
}

static void print_row(const char *name, const char *summary)
{
	const size_t column = 18;
	(void) printf("  %-15s ", name);
	if (strlen(name) > column - 3)
		(void) printf("\n%*s", (int) column, "");
	wrap(summary, column, MAX(width(), column + 30));
}

static void print_group(enum command_group group, const char *title)
{
	size_t n;
	const struct command *const *v = command_list(&n);
	(void) printf("\n%s:\n", title);
	for (size_t i = 0; i < n; i++)
		if (v[i]->group == group && !strchr(v[i]->name, ' '))
			print_row(v[i]->name, v[i]->summary);
}

void help_top(void)
{
	size_t n;
	const struct command_family *f = command_families(&n);
	(void) printf("Usage:  coffer [OPTIONS] COMMAND\n\n"
		      "Runs containers, each in a user namespace of its own, confined by every layer the kernel has.\n");
	print_group(GROUP_RUN, "Running");
	print_group(GROUP_CONTAINERS, "Containers");
	print_group(GROUP_IMAGES, "Images");
	print_group(GROUP_OTHER, "The engine");
	(void) printf("\nManagement commands:\n");
	for (size_t i = 0; i < n; i++)
		print_row(f[i].name, f[i].summary);
	(void) printf("\nGlobal options (before the command):\n");
	print_flags(top_flags);
	(void) printf("\nWithout --host and COFFER_HOST the engine is cofferd, or for root one that runs for the length of the command.\n"
		      "\nSee 'coffer COMMAND --help' for more about a command.\n");
}

const char *family_member(const struct command_family *family, const struct command *c, char *buf)
{
	size_t len = strlen(family->name);
	const char *found = NULL;
	char last[COMMAND_PATH_MAX];
	for (size_t i = 0; command_path(c, i, last, sizeof(last)); i++)
		if (!found && strncmp(last, family->name, len) == 0 && last[len] == ' ' && str_copy(buf, COMMAND_PATH_MAX, last) == 0)
			found = buf + len + 1;
	return found;
}

struct member {
	char name[COMMAND_PATH_MAX];
	const char *summary;
};

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct member *) a)->name, ((const struct member *) b)->name);
}

void help_family(const struct command_family *family)
{
	size_t n, found = 0;
	char path[COMMAND_PATH_MAX];
	const struct command *const *v = command_list(&n);
	_cleanup_free_ struct member *members = calloc(n, sizeof(*members));
	for (size_t i = 0; members && i < n; i++) {
		const char *name = family_member(family, v[i], path);
		if (!name)
			continue;
		(void) str_copy(members[found].name, sizeof(members[found].name), name); /* fits: it is the shorter part */
		members[found++].summary = v[i]->summary;
	}
	if (members)
		qsort(members, found, sizeof(*members), by_name);
	(void) printf("Usage:  coffer %s COMMAND\n\n%s\n\nCommands:\n", family->name, family->summary);
	for (size_t i = 0; i < found; i++)
		print_row(members[i].name, members[i].summary);
	(void) printf("\nSee 'coffer %s COMMAND --help' for more about a command.\n", family->name);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Help text, made from the rows of commands and flags.
 */
#include <stdio.h>
#include <unistd.h>

#include "base/str.h"
#include "cli/command.h"
#include "base/term.h"

#define HELP_COLUMN_MAX 38

static const char *value_name(const struct flag *f)
{
	static const char *const by_kind[] = {[FLAG_STR] = "string", [FLAG_LIST] = "list", [FLAG_INT] = "int", [FLAG_SIZE] = "bytes", [FLAG_SET] = "value"};
	if (!flag_takes_value(f))
		return "";
	if (f->arg)
		return f->arg;
	return (size_t) f->kind < ARRAY_LEN(by_kind) && by_kind[f->kind] ? by_kind[f->kind] : "";
}

/* "  -m, --memory bytes"; returns its width */
static size_t flag_label(const struct flag *f, char *buf, size_t size)
{
	char abbr[8] = "    ";
	if (f->abbr)
		(void) snprintf(abbr, sizeof(abbr), "-%c, ", f->abbr);
	const char *arg = value_name(f);
	int n = snprintf(buf, size, "  %s--%s%s%s", abbr, f->name, *arg ? " " : "", arg);
	return n > 0 ? (size_t) n : 0;
}

static bool is_shown(const struct flag *f)
{
	return f->help && f->kind != FLAG_REFUSED && f->kind != FLAG_REFUSED_BOOL;
}

static size_t label_column(const struct flag_table *const *tables)
{
	char buf[128];
	size_t widest = 0;
	for (const struct flag_table *const *t = tables; *t; t++)
		for (size_t i = 0; i < (*t)->n; i++)
			if (is_shown(&(*t)->rows[i])) {
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
			if (!is_shown(f))
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
			if (f->kind != FLAG_REFUSED && f->kind != FLAG_REFUSED_BOOL)
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

void help_command(const struct command *c)
{
	bool flags = c->flags[0];
	(void) printf("Usage:  coffer %s %s\n\n%s\n", c->name, c->usage, c->summary);
	if (flags) {
		(void) printf("\nOptions:\n");
		print_flags(c->flags);
		print_refused(c->flags);
	}
	if (c->examples)
		(void) printf("\nExamples:\n%s", c->examples);
}

static void print_group(enum command_group group, const char *title)
{
	size_t n;
	const struct command *const *v = command_list(&n);
	(void) printf("\n%s:\n", title);
	for (size_t i = 0; i < n; i++)
		if (v[i]->group == group)
			(void) printf("  %-16s%s\n", v[i]->name, v[i]->summary);
}

void help_top(void)
{
	(void) printf("Usage:  coffer [OPTIONS] COMMAND\n\n"
		      "Runs containers, each in a user namespace of its own, confined by every layer the kernel has.\n");
	print_group(GROUP_RUN, "Running");
	print_group(GROUP_CONTAINERS, "Containers");
	print_group(GROUP_IMAGES, "Images");
	print_group(GROUP_OTHER, "Volumes and the engine");
	(void) printf("\nGlobal options (before the command):\n"
		      "  -D, --debug               Say more on stderr\n"
		      "  -H, --host unix:///path   Socket of the engine (also COFFER_HOST); without one, root runs an engine for the command\n"
		      "  -v, --version             Print the version\n"
		      "\n'coffer container COMMAND' and 'coffer image COMMAND' work as in docker.\n"
		      "\nRun 'coffer COMMAND --help' for more about a command.\n");
}

bool help_group(const char *group)
{
	static const char *const groups[] = {"container", "image", "volume"};
	bool known = false;
	size_t n;
	for (size_t i = 0; i < ARRAY_LEN(groups); i++)
		known = known || str_eq(group, groups[i]);
	if (!known)
		return false;
	(void) printf("Usage:  coffer %s COMMAND\n\nCommands:\n", group);
	const struct command *const *v = command_list(&n);
	for (size_t i = 0; i < n; i++) {
		char words[64];
		const char *name = v[i]->name, *tail = str_after(name, group);
		if (tail && *tail == ' ')
			(void) printf("  %-12s%s\n", tail + 1, v[i]->summary);
		char *pair[] = {(char *) group, (char *) name};
		int used;
		if (!strchr(name, ' ') && str_format(words, sizeof(words), "%s", name) > 0 && command_find(2, pair, &used) == v[i] && used == 2)
			(void) printf("  %-12s%s\n", name, v[i]->summary);
	}
	if (str_eq(group, "image"))
		(void) printf("  %-12s%s\n  %-12s%s\n", "ls", command_images.summary, "rm", command_rmi.summary);
	if (str_eq(group, "container"))
		(void) printf("  %-12s%s\n", "ls", command_ps.summary);
	return true;
}

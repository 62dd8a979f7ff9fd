/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/envfile.h"

#include <ctype.h>
#include <fcntl.h>

#include "base/fd.h"
#include "base/str.h"

#define FILE_MAX (1 << 20)

static int push_pair(const char *name, const char *value, char ***v, struct err *err)
{
	return strv_push_take(v, str_printf("%s=%s", name, value)) < 0 ? err_oom(err) : 0;
}

static int read_line(char *line, const char *what, size_t number, unsigned flags, char ***v, struct err *err)
{
	while (isspace((unsigned char) *line))
		line++;
	if (!*line || *line == '#')
		return 0;
	char *value = strchr(line, '=');
	if (value)
		*value++ = '\0';
	for (const char *c = line; *c; c++)
		if (isspace((unsigned char) *c))
			return err_set(err, ERR_INVALID, "%s, line %zu: variable '%.80s' contains whitespace", what, number, line);
	if (!*line)
		return err_set(err, ERR_INVALID, "%s, line %zu: no variable name before '='", what, number);
	if (value)
		return push_pair(line, value, v, err);
	if (!(flags & ENVFILE_LOOKUP))
		return strv_push(v, line) < 0 ? err_oom(err) : 0;
	const char *own = getenv(line);
	return own ? push_pair(line, own, v, err) : 0;
}

int envfile_parse(char *text, const char *what, unsigned flags, char ***v, struct err *err)
{
	const char *bom = str_after(text, "\xef\xbb\xbf");
	char *line = text + (bom ? 3 : 0);
	for (size_t number = 1; line; number++) {
		char *next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		size_t n = strlen(line);
		if (n > 0 && line[n - 1] == '\r')
			line[n - 1] = '\0';
		int r = read_line(line, what, number, flags, v, err);
		if (r < 0)
			return r;
		line = next;
	}
	return 0;
}

int envfile_read(const char *path, unsigned flags, char ***v, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	ssize_t n = read_file(AT_FDCWD, path, FILE_MAX, &text);
	if (n < 0)
		return err_sys(err, (int) n, "reading '%.200s'", path);
	if (strlen(text) != (size_t) n)
		return err_set(err, ERR_INVALID, "'%.200s' holds NUL bytes: it is not a text file", path);
	return envfile_parse(text, path, flags, v, err);
}

int env_resolve(const char *entry, char ***v, struct err *err)
{
	if (*entry == '=' || !*entry)
		return err_set(err, ERR_INVALID, "invalid environment variable: '%.80s'", entry);
	const char *own = strchr(entry, '=') ? NULL : getenv(entry);
	if (own)
		return push_pair(entry, own, v, err);
	return strv_push(v, entry) < 0 ? err_oom(err) : 0;
}

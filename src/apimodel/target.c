/* SPDX-License-Identifier: Apache-2.0 */
#include "apimodel/target.h"

#include <linux/limits.h>

#include "base/str.h"

/* Append the components of @in to @out[PATH_MAX] without "." and empty ones. Return: false when there is a "..". */
static bool clean(const char *in, char *out)
{
	size_t n = 0;
	while (*in) {
		while (*in == '/')
			in++;
		size_t len = strcspn(in, "/");
		if (len == 2 && in[0] == '.' && in[1] == '.')
			return false;
		if (len > 0 && !(len == 1 && in[0] == '.')) {
			out[n++] = '/';
			memcpy(out + n, in, len);
			n += len;
		}
		in += len;
	}
	if (n == 0)
		out[n++] = '/';
	out[n] = '\0';
	return true;
}

static bool is_at_or_below(const char *path, const char *dir)
{
	const char *rest = str_after(path, dir);
	return rest && (*rest == '\0' || *rest == '/');
}

int mount_target_clean(const char *field, const char *target, char **ret, struct err *err)
{
	char path[PATH_MAX + 1];
	if (*target != '/')
		return err_set(err, ERR_INVALID, "%s: invalid mount target '%.200s': must be an absolute path", field, target);
	if (strlen(target) >= PATH_MAX)
		return err_set(err, ERR_INVALID, "%s: invalid mount target '%.100s...': longer than %d bytes", field, target, PATH_MAX - 1);
	if (!str_is_plain(target))
		return err_set(err, ERR_INVALID, "%s: invalid mount target: holds a control character", field);
	if (!clean(target, path))
		return err_set(err, ERR_INVALID, "%s: invalid mount target '%.200s': '..' is not taken, write the path out", field, target);
	if (path[1] == '\0')
		return err_set(err, ERR_INVALID, "%s: invalid mount target '%.200s': destination can't be '/'", field, target);
	if (is_at_or_below(path, "/proc") || is_at_or_below(path, "/sys"))
		return err_set(err, ERR_INVALID, "%s: invalid mount target '%.200s': nothing can be mounted on or below /proc and /sys",
			       field, target);
	*ret = strdup(path);
	return *ret ? 0 : err_oom(err);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/tar_path.h"

#include "base/str.h"

int tar_path_clean(const char *name, size_t path_max, size_t depth_max, char *out, struct err *err)
{
	size_t len = strlen(name), at = 0, depth = 0;
	if (len == 0)
		return err_set(err, ERR_CORRUPT, "an empty name");
	if (len > path_max)
		return err_set(err, ERR_QUOTA, "a name of %zu bytes, at most %zu are taken", len, path_max);
	for (const char *p = name; *p;) {
		size_t n = strcspn(p, "/");
		bool dot = n == 1 && p[0] == '.';
		if (n == 2 && p[0] == '.' && p[1] == '.')
			return err_set(err, ERR_CORRUPT, "'..' in its name");
		if (n > 255)
			return err_set(err, ERR_CORRUPT, "a name part of %zu bytes, at most 255 are possible", n);
		if (n > 0 && !dot) {
			if (++depth > depth_max)
				return err_set(err, ERR_QUOTA, "more than %zu directories deep", depth_max);
			if (at > 0)
				out[at++] = '/';
			memcpy(out + at, p, n);
			at += n;
		}
		p += n;
		p += strspn(p, "/");
	}
	out[at] = '\0';
	return 0;
}

const char *tar_path_split(char *path, const char **ret_name)
{
	char *slash = strrchr(path, '/');
	if (!slash) {
		*ret_name = path;
		return "";
	}
	*slash = '\0';
	*ret_name = slash + 1;
	return path;
}

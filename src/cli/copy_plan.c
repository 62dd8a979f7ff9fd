/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/copy_plan.h"

#include <errno.h>

#include "base/str.h"

int copy_side_parse(const char *arg, struct copy_side *ret, struct err *err)
{
	const char *colon = strchr(arg, ':');
	*ret = (struct copy_side){.path = arg};
	if (arg[0] == '/' || arg[0] == '.' || !colon)
		return 0;
	if (str_format(ret->container, sizeof(ret->container), "%.*s", (int) (colon - arg), arg) < 0)
		return err_set(err, ERR_INVALID, "'%.40s...': a container's name is not that long", arg);
	ret->path = colon + 1;
	return 0;
}

static bool ends_in_slash(const char *p)
{
	size_t n = strlen(p);
	return n > 0 && p[n - 1] == '/';
}

static bool ends_in_dot(const char *p)
{
	size_t n = strlen(p);
	return n > 0 && p[n - 1] == '.' && (n == 1 || p[n - 2] == '/');
}

/* filepath.Clean() */
static int clean(const char *path, char *out)
{
	bool rooted = path[0] == '/';
	size_t n = 0, floor = rooted; /* @floor: what ".." may not take away */
	if (rooted)
		out[n++] = '/';
	for (const char *p = path; *p;) {
		p += strspn(p, "/");
		size_t k = strcspn(p, "/");
		if (k == 2 && p[0] == '.' && p[1] == '.' && (n > floor || rooted)) {
			while (n > floor && out[n - 1] != '/')
				n--;
			if (n > floor)
				n--;
		} else if (k > 0 && !(k == 1 && p[0] == '.')) {
			if (n + k + 4 > PATH_MAX)
				return -ENAMETOOLONG;
			if (n > rooted)
				out[n++] = '/';
			memcpy(out + n, p, k);
			n += k;
			if (k == 2 && p[0] == '.' && p[1] == '.')
				floor = n;
		}
		p += k;
	}
	if (n == 0)
		out[n++] = '.';
	out[n] = '\0';
	return 0;
}

int copy_clean(const char *path, char *out)
{
	int r = clean(path, out);
	if (r < 0)
		return r;
	size_t n = strlen(out);
	if ((ends_in_slash(path) || ends_in_dot(path)) && !ends_in_slash(out) && !ends_in_dot(out))
		out[n++] = '/';
	if (ends_in_dot(path) && !ends_in_dot(out))
		out[n++] = '.';
	out[n] = '\0';
	return 0;
}

int copy_split(const char *path, char *dir, char *base)
{
	char text[PATH_MAX];
	if (ends_in_dot(path)) { /* the directory itself, under no name */
		(void) str_copy(base, NAME_MAX + 1, "."); /* fits */
		return clean(path, dir);
	}
	int r = clean(path, text);
	if (r < 0)
		return r;
	char *slash = strrchr(text, '/');
	const char *name = slash && slash[1] ? slash + 1 : text;
	r = str_copy(base, NAME_MAX + 1, name);
	if (r < 0)
		return r;
	if (slash)
		slash[slash == text] = '\0';
	return str_copy(dir, PATH_MAX, slash ? text : ".");
}

int copy_plan(const struct copy_info *src, const struct copy_info *dst, struct copy_plan *ret, struct err *err)
{
	char dir[PATH_MAX], base[NAME_MAX + 1], parent[PATH_MAX];
	struct copy_plan p = {.to = ""};
	if (copy_split(dst->path, dir, base) < 0 || copy_split(src->path, parent, p.from) < 0)
		return err_set(err, ERR_INVALID, "a path is too long");
	bool stays = dst->exists && dst->is_dir;
	if (dst->exists && !dst->is_dir && src->is_dir)
		return err_set(err, ERR_INVALID, "cannot copy directory");
	if (!dst->exists && !src->is_dir && (ends_in_slash(dst->path) || ends_in_dot(dst->path)))
		return err_set(err, ERR_INVALID, "no such directory");
	(void) str_copy(p.dir, sizeof(p.dir), stays ? dst->path : dir); /* the same sizes */
	if (!stays)
		(void) str_copy(p.to, sizeof(p.to), base);
	*ret = p;
	return 0;
}

const char *copy_rename(const struct copy_plan *p, const char *name, char *buf)
{
	bool whole = str_eq(p->from, ".") || str_eq(p->from, "/"); /* members are named from the directory on */
	const char *rest = whole ? name : str_after(name, p->from);
	if (!rest || (!whole && *rest && *rest != '/'))
		return NULL;
	if (!*p->to || str_eq(p->to, "."))
		return name;
	const char *slash = whole && *rest ? "/" : "";
	return str_format(buf, PATH_MAX, "%s%s%s", p->to, slash, rest) < 0 ? NULL : buf;
}

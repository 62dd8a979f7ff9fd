/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command's user: "name", "uid", "name:group", "uid:gid" and --group-add names against /etc/passwd and /etc/group of the root
 * filesystem. Runs in the new process, inside its own user and mount namespaces, with a bounded line reader of ours: no NSS, no
 * library of the image (R4; CVE-2019-14271). Only regular files up to USER_FILE_MAX are read (CVE-2024-9676). Digits are always an
 * id, never a name (CVE-2016-3697), and an id must be mapped.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/num.h"
#include "kernel/path.h"
#include "sandbox/internal.h"
#include "sandbox/view.h"

#define USER_FILE_MAX (4u << 20)
#define ID_MAX 4294967294u

/* Whole small file of the root, "" when it is missing. */
static int slurp(struct sandbox *s, const char *path, char **ret, struct err *err)
{
	_cleanup_close_ int fd = open_in_root(s->root_fd, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
	struct stat st;
	if (fd == -ENOENT || fd == -ENOTDIR) {
		*ret = strdup("");
		return *ret ? 0 : err_oom(err);
	}
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(err, fd < 0 ? fd : -errno, "reading %s of the image", path);
	if (!S_ISREG(st.st_mode) || st.st_size > USER_FILE_MAX)
		return err_set(err, ERR_INVALID, "%s of the image is %s", path, S_ISREG(st.st_mode) ? "larger than 4 MiB" : "not a regular file");
	_cleanup_free_ char *buf = malloc((size_t) st.st_size + 1);
	if (!buf)
		return err_oom(err);
	ssize_t n = read_full(fd, buf, (size_t) st.st_size);
	if (n < 0)
		return err_sys(err, (int) n, "reading %s of the image", path);
	buf[n] = '\0';
	*ret = take_ptr(buf);
	return 0;
}

/* Split the next line of *@text into up to @n fields at ':'. Return: number of fields, 0 at the end. The text is cut up in place. */
static size_t next_fields(char **text, char **fields, size_t n)
{
	while (**text) {
		char *line = *text;
		size_t len = strcspn(line, "\n");
		*text = line + len + (line[len] == '\n');
		line[len] = '\0';
		size_t k = 0;
		while (k < n) {
			fields[k++] = line;
			size_t c = strcspn(line, ":");
			if (line[c] == '\0')
				break;
			line[c] = '\0';
			line += c + 1;
		}
		if (k >= 3)
			return k;
	}
	return 0;
}

static bool all_digits(const char *s)
{
	return *s && s[strspn(s, "0123456789")] == '\0';
}

static int parse_id(const char *text, const char *what, uint32_t *ret, struct err *err)
{
	uint32_t v;
	if (parse_u32(text, &v) < 0 || v > ID_MAX)
		return err_set(err, ERR_INVALID, "%s '%s' is not an id between 0 and %u", what, text, ID_MAX);
	*ret = v;
	return 0;
}

static int add_group(struct sandbox_user *u, uint32_t gid, struct err *err)
{
	for (size_t i = 0; i < u->n_groups; i++)
		if (u->groups[i] == gid)
			return 0;
	if (u->n_groups == SANDBOX_GROUPS_MAX)
		return err_set(err, ERR_INVALID, "more than %d groups", SANDBOX_GROUPS_MAX);
	u->groups[u->n_groups++] = gid;
	return 0;
}

/* Look @who up in passwd text (by name, or by id for the home directory). Return: 1 found, 0. */
static int find_user(char *passwd, const char *who, bool by_id, struct sandbox_user *u, char *name, size_t name_size)
{
	char *f[7];
	size_t k;
	while ((k = next_fields(&passwd, f, 7)) > 0) {
		uint32_t uid, gid;
		if (k < 4 || parse_u32(f[2], &uid) < 0 || parse_u32(f[3], &gid) < 0 || uid > ID_MAX || gid > ID_MAX)
			continue; /* 4294967295 means "unchanged" to setresuid(2) */
		if (by_id ? uid != u->uid : strcmp(f[0], who) != 0)
			continue;
		u->uid = uid;
		u->gid = gid;
		(void) str_copy(name, name_size, f[0]); /* a name that does not fit belongs to no group */
		if (k >= 6 && f[5][0] == '/' && str_is_plain(f[5]))
			(void) str_copy(u->home, sizeof(u->home), f[5]); /* too long: "/" stays */
		return 1;
	}
	return 0;
}

static bool is_member(const char *list, const char *name)
{
	size_t n = strlen(name);
	for (const char *p = list; n && *p; p += strcspn(p, ","), p += *p == ',')
		if (strncmp(p, name, n) == 0 && (p[n] == ',' || p[n] == '\0'))
			return true;
	return false;
}

static int find_group(const char *group_text, const char *who, uint32_t *ret, struct err *err)
{
	if (all_digits(who))
		return parse_id(who, "group", ret, err);
	_cleanup_free_ char *copy = strdup(group_text);
	if (!copy)
		return err_oom(err);
	char *f[4], *p = copy;
	while (next_fields(&p, f, 4) > 0)
		if (strcmp(f[0], who) == 0)
			return parse_id(f[2], "group", ret, err);
	return err_set(err, ERR_INVALID, "unable to find group %s: no matching entries in group file", who);
}

static int add_memberships(char *group_text, const char *name, struct sandbox_user *u, struct err *err)
{
	_cleanup_free_ char *copy = strdup(group_text);
	if (!copy)
		return err_oom(err);
	char *f[4], *p = copy;
	size_t k;
	uint32_t gid;
	while ((k = next_fields(&p, f, 4)) > 0)
		if (k == 4 && is_member(f[3], name) && parse_u32(f[2], &gid) == 0) {
			int r = add_group(u, gid, err);
			if (r < 0)
				return r;
		}
	return 0;
}

static int resolve_named(struct sandbox *s, const char *who, const char *group, struct err *err)
{
	struct sandbox_user *u = &s->user;
	_cleanup_free_ char *passwd = NULL, *groups = NULL;
	int r = slurp(s, "/etc/passwd", &passwd, err);
	if (r == 0)
		r = slurp(s, "/etc/group", &groups, err);
	if (r < 0)
		return r;
	char name[64] = "";
	if (*who && !all_digits(who)) {
		if (!find_user(passwd, who, false, u, name, sizeof(name)))
			return err_set(err, ERR_INVALID, "unable to find user %s: no matching entries in passwd file", who);
	} else {
		if (*who && (r = parse_id(who, "user", &u->uid, err)) < 0)
			return r;
		uint32_t uid = u->uid;
		(void) find_user(passwd, NULL, true, u, name, sizeof(name)); /* not there: gid 0, home / as docker */
		u->uid = uid;
	}
	if (group)
		r = find_group(groups, group, &u->gid, err);
	else if (*name)
		r = add_memberships(groups, name, u, err);
	STRV_FOREACH(g, s->ext->group_names) {
		uint32_t gid;
		r = r < 0 ? r : find_group(groups, g, &gid, err);
		r = r < 0 ? r : add_group(u, gid, err);
	}
	return r;
}

static int check_mapped(struct sandbox *s, struct err *err)
{
	if (s->spec->ns[NS_USER].mode == NS_MODE_HOST)
		return 0; /* the host's user namespace maps everything */
	if (sandbox_obeys(s) && s->spec->ns[NS_USER].mode == NS_MODE_PATH && s->spec->uids.n == 0)
		return 0; /* joined as it is: setresuid(2) will say */
	uint32_t host;
	if (!id_map_to_host(&s->spec->uids, s->user.uid, &host))
		return err_set(err, ERR_INVALID, "user id %u is outside the container's id range", s->user.uid);
	if (!id_map_to_host(&s->spec->gids, s->user.gid, &host))
		return err_set(err, ERR_INVALID, "group id %u is outside the container's id range", s->user.gid);
	return 0;
}

/* "name", "uid", "name:group", "uid:gid" */
static int resolve_text(struct sandbox *s, const char *text, struct err *err)
{
	char who[256];
	if (str_copy(who, sizeof(who), text) < 0)
		return err_set(err, ERR_INVALID, "user '%.40s...' is longer than 255 bytes", text);
	char *group = strchr(who, ':');
	if (group)
		*group++ = '\0';
	return resolve_named(s, who, group && *group ? group : NULL, err);
}

int user_lookup(int root_fd, const char *text, uint32_t *ret_uid, uint32_t *ret_gid, struct err *err)
{
	static const struct coffer_ext no_groups;
	struct sandbox *s = calloc(1, sizeof(*s));
	if (!s)
		return err_oom(err);
	s->root_fd = root_fd;
	s->ext = &no_groups;
	int r = resolve_text(s, text, err);
	if (r == 0) {
		*ret_uid = s->user.uid;
		*ret_gid = s->user.gid;
	}
	free(s);
	return r;
}

int user_resolve(struct sandbox *s, struct err *err)
{
	struct sandbox_user *u = &s->user;
	*u = (struct sandbox_user) {.uid = s->process->uid, .gid = s->process->gid};
	(void) str_copy(u->home, sizeof(u->home), "/");
	int r = 0;
	if (s->ext->present)
		r = resolve_text(s, s->ext->user ?: "", err);
	else {
		/* a foreign document: ids hold as they stand, only the home directory is looked up */
		_cleanup_free_ char *passwd = NULL;
		struct sandbox_user looked = *u;
		char name[64];
		if (slurp(s, "/etc/passwd", &passwd, err) == 0 && find_user(passwd, NULL, true, &looked, name, sizeof(name)))
			memcpy(u->home, looked.home, sizeof(u->home));
	}
	for (size_t i = 0; r == 0 && i < s->process->n_groups; i++)
		r = add_group(u, s->process->groups[i], err);
	/* the primary gid belongs into the list, or a deny-group check can be slipped (CVE-2022-36109, CVE-2023-25173) */
	if (r == 0)
		r = add_group(u, u->gid, err);
	return r < 0 ? r : check_mapped(s, err);
}

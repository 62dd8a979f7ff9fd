/* SPDX-License-Identifier: Apache-2.0 */
/* What /etc/subuid, /etc/subgid, /etc/passwd and /etc/group claim. */
#include <errno.h>
#include <fcntl.h>

#include "base/fd.h"
#include "base/num.h"
#include "idrange/internal.h"

#define HOST_FILE_MAX (64u << 20)
#define FIELDS_MAX 8

static const struct {
	enum id_kind kind;
	bool account;
} files[4] = {{ID_UID, false}, {ID_GID, false}, {ID_UID, true}, {ID_GID, true}};

static const char *const file_names[4] = {"/etc/subuid", "/etc/subgid", "/etc/passwd", "/etc/group"};

const char *claim_file(const struct claim *c)
{
	return file_names[(c->account ? 2 : 0) + (c->kind == ID_GID ? 1 : 0)];
}

void claims_done(struct claims *c)
{
	free(c->v);
	*c = (struct claims){0};
}

static int add(struct claims *c, const struct claim *one)
{
	if (c->n == c->cap) {
		size_t cap = c->cap ? c->cap * 2 : 128;
		struct claim *v = reallocarray(c->v, cap, sizeof(*v));
		if (!v)
			return -ENOMEM;
		c->v = v;
		c->cap = cap;
	}
	c->v[c->n++] = *one;
	return 0;
}

/* Cut @line at its colons, in place. Return: number of fields, FIELDS_MAX + 1 when there are more. */
static size_t split(char *line, char *field[FIELDS_MAX])
{
	size_t n = 0;
	for (char *p = line; p; n++) {
		if (n == FIELDS_MAX)
			return n + 1;
		field[n] = p;
		p = strchr(p, ':');
		if (p)
			*p++ = '\0';
	}
	return n;
}

/* Return: true when @line claims something. */
static bool read_line(size_t file, char *line, struct claim *ret)
{
	char *field[FIELDS_MAX];
	size_t n = split(line, field);
	uint32_t first, count = 1;
	if (files[file].account ? n < 3 || parse_u32(field[2], &first) < 0 : n != 3 || parse_u32(field[1], &first) < 0 || parse_u32(field[2], &count) < 0)
		return false;
	if (count == 0)
		return false;
	*ret = (struct claim){.first = first, .end = (uint64_t) first + count, .kind = (uint8_t) files[file].kind, .account = files[file].account};
	if (str_copy(ret->name, sizeof(ret->name), field[0]) < 0)
		memcpy(ret->name, field[0], sizeof(ret->name) - 1); /* for messages; a user of 39 characters cannot be remapped by name */
	return true;
}

static int read_one(const struct idrange *r, size_t file, struct claims *c, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	ssize_t n = read_file(AT_FDCWD, r->files[file], HOST_FILE_MAX, &text);
	if (n == -ENOENT)
		return 0;
	if (n < 0)
		return err_sys(err, (int) n, "reading '%s'", r->files[file]);
	for (char *line = text, *next; line; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		struct claim one;
		if (read_line(file, line, &one) && add(c, &one) < 0)
			return err_oom(err);
	}
	return 0;
}

/* By first id; entries of equal start keep the order of the file through their address. */
static int compare(const void *a, const void *b)
{
	const struct claim *x = a, *y = b;
	return x->first < y->first ? -1 : x->first > y->first;
}

int claims_read(const struct idrange *r, struct claims *ret, struct err *err)
{
	_cleanup_claims_ struct claims c = {0};
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		int rc = read_one(r, i, &c, err);
		if (rc < 0)
			return rc;
	}
	if (c.n)
		qsort(c.v, c.n, sizeof(*c.v), compare);
	*ret = c;
	c = (struct claims){0};
	return 0;
}

const struct claim *claims_hit(const struct claims *c, enum id_kind kind, uint64_t first, uint64_t end)
{
	for (size_t i = 0; i < c->n && c->v[i].first < end; i++)
		if (c->v[i].end > first && (kind == ID_KIND_MAX_ || c->v[i].kind == kind))
			return &c->v[i];
	return NULL;
}

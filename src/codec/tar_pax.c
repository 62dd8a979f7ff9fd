/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pax extended header records: "LENGTH KEY=VALUE\n". Known keys are rows of a table; what other readers ignore we ignore; an empty
 * value means "as if it were not there". Duplicate keys: the later wins, except for the repeated pair of sparse format 0.0.
 */
#include <errno.h>

#include "base/num.h"
#include "codec/tar_internal.h"

enum pax_kind { PAX_KIND_NAME, PAX_KIND_NUMBER, PAX_KIND_TIME };
static const struct {
	const char *key;
	enum pax_field field;
	enum pax_kind kind;
	size_t offset;
	bool global_ok;
} keys[] = {
	{"path", PAX_PATH, PAX_KIND_NAME, offsetof(struct pax, path), false},
	{"linkpath", PAX_LINKPATH, PAX_KIND_NAME, offsetof(struct pax, linkpath), false},
	{"size", PAX_SIZE, PAX_KIND_NUMBER, offsetof(struct pax, size), false},
	{"uid", PAX_UID, PAX_KIND_NUMBER, offsetof(struct pax, uid), true},
	{"gid", PAX_GID, PAX_KIND_NUMBER, offsetof(struct pax, gid), true},
	{"mtime", PAX_MTIME, PAX_KIND_TIME, 0, true},
	{"GNU.sparse.name", PAX_SPARSE_NAME, PAX_KIND_NAME, offsetof(struct pax, sparse_name), false},
	{"GNU.sparse.size", PAX_SPARSE_SIZE, PAX_KIND_NUMBER, offsetof(struct pax, sparse_size), false},
	{"GNU.sparse.realsize", PAX_SPARSE_REAL, PAX_KIND_NUMBER, offsetof(struct pax, sparse_size), false},
	{"GNU.sparse.numblocks", PAX_SPARSE_BLOCKS, PAX_KIND_NUMBER, offsetof(struct pax, sparse_blocks), false},
	{"GNU.sparse.major", PAX_SPARSE_MAJOR, PAX_KIND_NUMBER, offsetof(struct pax, sparse_major), false},
	{"GNU.sparse.minor", PAX_SPARSE_MINOR, PAX_KIND_NUMBER, offsetof(struct pax, sparse_minor), false},
};

static int bad(struct tar *t, const char *key, const char *what)
{
	char name[80];
	return tar_fail(t, -EBADMSG, "extended header: %s: %s", tar_escape(name, sizeof(name), key), what);
}

/* "[-]SECONDS[.FRACTION]" */
static int parse_time(char *value, struct pax *p)
{
	char *dot = strchr(value, '.');
	uint32_t ns = 0, unit = 100000000;
	if (dot)
		for (const char *d = dot + 1; *d; d++, unit /= 10) {
			if (*d < '0' || *d > '9')
				return -EINVAL;
			ns += (uint32_t) (*d - '0') * unit;
		}
	if (dot)
		*dot = '\0';
	int64_t s;
	if (parse_i64(value, &s) < 0)
		return -EINVAL;
	if (value[0] == '-' && ns > 0) {
		if (s == INT64_MIN)
			return -EINVAL;
		s--;
		ns = 1000000000 - ns;
	}
	p->mtime_s = s;
	p->mtime_ns = ns;
	return 0;
}

static int add_xattr(struct tar *t, const char *name, const char *value, size_t len)
{
	struct tar_xattrs *x = &t->xattrs;
	x->bytes += strlen(name) + len;
	if (x->bytes > t->limits.xattr_max)
		return tar_fail(t, -EDQUOT, "more than %zu bytes of extended attributes", t->limits.xattr_max);
	for (size_t i = 0; i < x->n; i++)
		if (strcmp(x->v[i].name, name) == 0) {
			x->v[i] = (struct tar_xattr) {name, value, len};
			return 0;
		}
	if (x->n >= 256)
		return tar_fail(t, -EDQUOT, "more than 256 extended attributes");
	if (x->n == x->cap) {
		size_t cap = MAX(x->cap * 2, (size_t) 8);
		struct tar_xattr *v = realloc(x->v, cap * sizeof(*v));
		if (!v)
			return tar_fail(t, -ENOMEM, "out of memory");
		x->v = v;
		x->cap = cap;
	}
	x->v[x->n++] = (struct tar_xattr) {name, value, len};
	return 0;
}

static int set_known(struct tar *t, struct pax *p, size_t row, char *value, size_t len)
{
	const char *key = keys[row].key;
	p->has &= ~(unsigned) keys[row].field;
	if (len == 0)
		return 0; /* "as if it were not there" */
	if (memchr(value, '\0', len))
		return bad(t, key, "a NUL byte in the value");
	void *at = (char *) p + keys[row].offset;
	switch (keys[row].kind) {
	case PAX_KIND_NAME:
		if (len > t->limits.path_max)
			return tar_fail(t, -EDQUOT, "extended header: %s is %zu bytes long, at most %zu are taken", key, len, t->limits.path_max);
		*(char **) at = value;
		break;
	case PAX_KIND_NUMBER:
		if (parse_u64(value, at) < 0 || *(uint64_t *) at > INT64_MAX)
			return bad(t, key, "not a number in range");
		break;
	case PAX_KIND_TIME:
		if (parse_time(value, p) < 0)
			return bad(t, key, "not a time");
		break;
	}
	p->has |= keys[row].field;
	return 0;
}

/* The "offset,length,offset,length" list of sparse format 0.1. */
static int set_map(struct tar *t, struct pax *p, char *value)
{
	t->map.n = 0;
	while (*value) {
		uint64_t n[2];
		for (int i = 0; i < 2; i++) {
			char *end = value + strcspn(value, ",");
			bool more = *end == ',';
			*end = '\0';
			if (parse_u64(value, &n[i]) < 0 || (i == 0 && !more))
				return bad(t, "GNU.sparse.map", "not pairs of numbers");
			value = end + more;
		}
		int r = tar_chunk_add(t, n[0], n[1]);
		if (r < 0)
			return r;
	}
	p->has |= PAX_SPARSE_MAP;
	return 0;
}

/* Sparse format 0.0: offset and numbytes as repeated records, always in pairs. */
static int set_pair(struct tar *t, struct pax *p, bool is_len, const char *value)
{
	uint64_t n;
	if (parse_u64(value, &n) < 0)
		return bad(t, is_len ? "GNU.sparse.numbytes" : "GNU.sparse.offset", "not a number");
	bool open = t->map.n > 0 && t->map.chunks[t->map.n - 1].len == UINT64_MAX;
	if (is_len != open)
		return bad(t, "GNU.sparse.offset", "offsets and lengths do not alternate");
	if (!is_len)
		return tar_chunk_add(t, n, UINT64_MAX);
	t->map.chunks[t->map.n - 1].len = n;
	p->has |= PAX_SPARSE_MAP;
	return 0;
}

static int set_record(struct tar *t, struct pax *p, bool global, char *key, char *value, size_t len)
{
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		if (strcmp(key, keys[i].key) == 0) {
			if (global && !keys[i].global_ok)
				return tar_fail(t, -EOPNOTSUPP, "a global header that sets '%s' is refused", key);
			return set_known(t, p, i, value, len);
		}
	const char *x = str_after(key, "SCHILY.xattr.");
	bool sparse = str_after(key, "GNU.sparse.") != NULL;
	if (global && (x || sparse))
		return tar_fail(t, -EOPNOTSUPP, "a global header that sets '%.60s' is refused", key);
	if (x) {
		p->has |= PAX_XATTR;
		return *x ? add_xattr(t, x, value, len) : bad(t, key, "an attribute without a name");
	}
	if (sparse && memchr(value, '\0', len))
		return bad(t, key, "a NUL byte in the value");
	if (strcmp(key, "GNU.sparse.map") == 0)
		return set_map(t, p, value);
	if (strcmp(key, "GNU.sparse.offset") == 0 || strcmp(key, "GNU.sparse.numbytes") == 0)
		return set_pair(t, p, key[11] == 'n', value);
	return 0; /* names, comments, vendors' own: ignored by everybody */
}

int tar_pax_parse(struct tar *t, struct strbuf *bytes, struct pax *p, bool global)
{
	char *s = bytes->s, *end = s + bytes->len;
	while (s < end) {
		size_t digits = 0;
		uint64_t len = 0;
		while (s + digits < end && s[digits] >= '0' && s[digits] <= '9' && digits < 9)
			len = len * 10 + (uint64_t) (s[digits++] - '0');
		if (digits == 0 || s + digits >= end || s[digits] != ' ' || len <= digits + 1 || len > (uint64_t) (end - s) || s[len - 1] != '\n')
			return tar_fail(t, -EBADMSG, "extended header: a record's length is wrong");
		char *key = s + digits + 1, *last = s + len - 1;
		char *eq = memchr(key, '=', (size_t) (last - key));
		if (!eq || eq == key || memchr(key, '\0', (size_t) (eq - key)))
			return tar_fail(t, -EBADMSG, "extended header: a record without a key");
		*eq = *last = '\0';
		int r = set_record(t, p, global, key, eq + 1, (size_t) (last - eq - 1));
		if (r < 0)
			return r;
		s += len;
	}
	return 0;
}

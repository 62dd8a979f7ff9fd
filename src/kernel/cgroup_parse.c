/* SPDX-License-Identifier: Apache-2.0 */
/* The text formats of cgroup files. Bounded: a file may be as long as it likes, what is kept is not. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/num.h"
#include "kernel/cgroup_stats.h"

#define KEYS_MAX 1024
#define ROWS_MAX 4096

/* The next word of @p up to @end, cut out of its text. Return: what follows, NULL at the end of the line. */
static const char *word(const char *p, char *buf, size_t size)
{
	p += strspn(p, " ");
	size_t n = strcspn(p, " \n");
	if (n == 0)
		return NULL;
	if (n >= size)
		buf[0] = '\0';
	else {
		memcpy(buf, p, n);
		buf[n] = '\0';
	}
	return p + n;
}

static const char *next_line(const char *p)
{
	p += strcspn(p, "\n");
	return p + (*p == '\n');
}

/* Room for one more of @size bytes in *@v. */
static void *grow(void *v, size_t n, size_t size)
{
	if (n & (n - 1) || n == 1) /* full at 0, 2, 4, 8, ... */
		return v;
	return reallocarray(v, n ? n * 2 : 2, size);
}

int cgroup_parse_keys(const char *text, struct cgroup_keys *ret)
{
	for (const char *p = text; *p && ret->n < KEYS_MAX; p = next_line(p)) {
		struct cgroup_key k;
		char value[32];
		const char *rest = word(p, k.name, sizeof(k.name));
		if (!rest || !k.name[0] || !word(rest, value, sizeof(value)) || parse_u64(value, &k.value) < 0)
			continue;
		struct cgroup_key *v = grow(ret->v, ret->n, sizeof(*v));
		if (!v)
			return -ENOMEM;
		ret->v = v;
		v[ret->n++] = k;
	}
	return 0;
}

uint64_t cgroup_key_value(const struct cgroup_keys *k, const char *name, uint64_t missing)
{
	for (size_t i = 0; i < k->n; i++)
		if (strcmp(k->v[i].name, name) == 0)
			return k->v[i].value;
	return missing;
}

static int parse_device(char *text, uint32_t *major, uint32_t *minor)
{
	char *colon = strchr(text, ':');
	if (!colon)
		return -EINVAL;
	*colon = '\0';
	return parse_u32(text, major) < 0 || parse_u32(colon + 1, minor) < 0 ? -EINVAL : 0;
}

static int push_row(struct cgroup_io_rows *rows, const struct cgroup_io_row *row)
{
	if (rows->n >= ROWS_MAX)
		return 0;
	struct cgroup_io_row *v = grow(rows->v, rows->n, sizeof(*v));
	if (!v)
		return -ENOMEM;
	rows->v = v;
	v[rows->n++] = *row;
	return 0;
}

int cgroup_parse_io_v1(const char *text, struct cgroup_io_rows *rows)
{
	for (const char *p = text; *p; p = next_line(p)) {
		struct cgroup_io_row row = {0};
		char device[32], a[32], b[32] = "";
		const char *rest = word(p, device, sizeof(device));
		if (!rest || parse_device(device, &row.major, &row.minor) < 0)
			continue;
		rest = word(rest, a, sizeof(a));
		if (!rest)
			continue;
		bool has_op = word(rest, b, sizeof(b)) != NULL;
		if (has_op && str_copy(row.op, sizeof(row.op), a) < 0)
			continue;
		if (parse_u64(has_op ? b : a, &row.value) < 0)
			continue;
		int r = push_row(rows, &row);
		if (r < 0)
			return r;
	}
	return 0;
}

int cgroup_parse_io_stat(const char *text, struct cgroup_io_rows *bytes, struct cgroup_io_rows *serviced)
{
	static const struct {
		const char *key, *op;
		bool is_bytes;
	} keys[] = {{"rbytes=", "Read", true}, {"wbytes=", "Write", true}, {"dbytes=", "Discard", true},
		    {"rios=", "Read", false},  {"wios=", "Write", false},  {"dios=", "Discard", false}};
	for (const char *p = text; *p; p = next_line(p)) {
		struct cgroup_io_row row = {0};
		char w[48];
		const char *rest = word(p, w, sizeof(w));
		if (!rest || parse_device(w, &row.major, &row.minor) < 0)
			continue;
		while ((rest = word(rest, w, sizeof(w))))
			for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
				const char *value = str_after(w, keys[i].key);
				if (!value || parse_u64(value, &row.value) < 0)
					continue;
				(void) str_copy(row.op, sizeof(row.op), keys[i].op);
				int r = push_row(keys[i].is_bytes ? bytes : serviced, &row);
				if (r < 0)
					return r;
			}
	}
	return 0;
}

static void psi_line(const char *p, struct cgroup_psi_line *l)
{
	char w[48];
	while ((p = word(p, w, sizeof(w)))) {
		static const char *const avgs[] = {"avg10=", "avg60=", "avg300="};
		uint32_t *const fields[] = {&l->avg10, &l->avg60, &l->avg300};
		const char *total = str_after(w, "total=");
		if (total)
			(void) parse_u64(total, &l->total_usec); /* stays 0 when it is no number */
		for (size_t i = 0; i < ARRAY_LEN(avgs); i++) {
			uint64_t v;
			const char *text = str_after(w, avgs[i]);
			if (text && parse_decimal(text, 100, &v) == 0)
				*fields[i] = (uint32_t) MIN(v, (uint64_t) UINT32_MAX);
		}
	}
}

void cgroup_parse_psi(const char *text, struct cgroup_psi *ret)
{
	for (const char *p = text; *p; p = next_line(p)) {
		const char *some = str_after(p, "some "), *full = str_after(p, "full ");
		if (some)
			psi_line(some, &ret->some);
		if (full)
			psi_line(full, &ret->full);
		ret->has |= some || full;
	}
}

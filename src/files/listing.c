/* SPDX-License-Identifier: Apache-2.0 */
#include "files/listing.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/str.h"

static int by_bytes(const void *a, const void *b)
{
	return strcmp(*(char *const *) a, *(char *const *) b);
}

static int add(struct listing *l, size_t *cap, const char *name)
{
	if (l->n == *cap) {
		size_t more = MAX(2 * *cap, (size_t) 32);
		char **v = realloc(l->names, more * sizeof(*v));
		if (!v)
			return -ENOMEM;
		l->names = v;
		*cap = more;
	}
	l->names[l->n] = strdup(name);
	return l->names[l->n] ? (l->n++, 0) : -ENOMEM;
}

void listing_done(struct listing *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->names[i]);
	free(l->names);
	*l = (struct listing) {0};
}

int listing_read(int fd, struct listing *ret)
{
	struct listing l = {0};
	size_t cap = 0;
	int r = 0;
	_Alignas(struct dirent64) char buf[32768];
	ssize_t n;
	while (r == 0 && (n = getdents64(fd, buf, sizeof(buf))) > 0)
		for (ssize_t at = 0; r == 0 && at < n;) {
			const struct dirent64 *d = (const struct dirent64 *) (buf + at);
			at += d->d_reclen;
			if (!str_eq(d->d_name, ".") && !str_eq(d->d_name, ".."))
				r = add(&l, &cap, d->d_name);
		}
	if (r == 0 && n < 0)
		r = -errno;
	if (r < 0) {
		listing_done(&l);
		return r;
	}
	if (l.n > 0)
		qsort(l.names, l.n, sizeof(*l.names), by_bytes);
	*ret = l;
	return 0;
}

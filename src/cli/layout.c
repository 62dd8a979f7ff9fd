/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/layout.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"

#define BLOCK 512
#define ENTRIES_MAX 100000 /* blobs of one layout */
#define SIZE_MAX_OCTAL 077777777777ULL

struct layout {
	int dir;        /* borrowed */
	char **names;   /* owned; members in order */
	size_t next;    /* names[next] comes next; past the last: the two empty blocks */
	int file;       /* owned; the member being read, -EBADF between two */
	uint64_t left;  /* bytes of it that are still to come */
	size_t pos, len; /* pending[pos..len): header, padding or end */
	bool ended;
	char pending[2 * BLOCK];
};

struct ustar {
	char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], sum[8], type, link[100], magic[6], version[2], rest[247];
};
static_assert(sizeof(struct ustar) == BLOCK, "a tar header is one block");

struct layout *layout_free(struct layout *l)
{
	if (!l)
		return NULL;
	safe_close(l->file);
	strv_free(l->names);
	free(l);
	return NULL;
}

/* Names of the regular files in @path (one directory of blobs) onto the list. */
static int list_blobs(struct layout *l, const char *path, struct err *err)
{
	int fd = openat(l->dir, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	if (!d) {
		int r = -errno;
		safe_close(fd);
		return err_sys(err, r, "'%s'", path);
	}
	int r = 0;
	struct dirent *e;
	while (r == 0 && (e = readdir(d))) {
		if (e->d_name[0] == '.')
			continue;
		r = strv_push_take(&l->names, str_printf("%s/%s", path, e->d_name));
		if (r < 0)
			err_oom(err);
		else if (strv_len(l->names) > ENTRIES_MAX)
			r = err_set(err, ERR_QUOTA, "'%s' holds more than %d blobs", path, ENTRIES_MAX);
	}
	(void) closedir(d);
	return r;
}

int layout_open(int dir_fd, struct layout **ret, struct err *err)
{
	if (faccessat(dir_fd, "oci-layout", R_OK, 0) < 0 || faccessat(dir_fd, "index.json", R_OK, 0) < 0)
		return err_set(err, ERR_INVALID, "the directory is no OCI layout: it has no readable oci-layout and index.json");
	struct layout *l = calloc(1, sizeof(*l));
	if (!l)
		return err_oom(err);
	l->dir = dir_fd;
	l->file = -EBADF;
	int r = strv_push(&l->names, "oci-layout") < 0 || strv_push(&l->names, "index.json") < 0 ? err_oom(err) : list_blobs(l, "blobs/sha256", err);
	if (r < 0) {
		layout_free(l);
		return r;
	}
	*ret = l;
	return 0;
}

static void make_header(struct layout *l, const char *name, uint64_t size)
{
	struct ustar *h = (struct ustar *) l->pending;
	*h = (struct ustar) {.type = '0', .magic = "ustar", .version = {'0', '0'}};
	(void) str_copy(h->name, sizeof(h->name), name); /* its length was checked */
	(void) snprintf(h->mode, sizeof(h->mode), "%07o", 0644);
	(void) snprintf(h->uid, sizeof(h->uid), "%07o", 0);
	(void) snprintf(h->gid, sizeof(h->gid), "%07o", 0);
	(void) snprintf(h->size, sizeof(h->size), "%011llo", (unsigned long long) size);
	(void) snprintf(h->mtime, sizeof(h->mtime), "%011o", 0);
	memset(h->sum, ' ', sizeof(h->sum));
	unsigned sum = 0;
	for (size_t i = 0; i < BLOCK; i++)
		sum += (unsigned char) l->pending[i];
	(void) snprintf(h->sum, sizeof(h->sum) - 1, "%06o", sum);
	l->pos = 0;
	l->len = BLOCK;
}

static int next_member(struct layout *l, struct err *err)
{
	const char *name = l->next < strv_len(l->names) ? l->names[l->next++] : NULL;
	if (!name) {
		memset(l->pending, 0, sizeof(l->pending));
		l->pos = 0;
		l->len = sizeof(l->pending);
		l->ended = true;
		return 0;
	}
	struct stat st;
	l->file = openat(l->dir, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (l->file < 0 || fstat(l->file, &st) < 0)
		return err_sys(err, -errno, "'%s'", name);
	if (!S_ISREG(st.st_mode) || (uint64_t) st.st_size > SIZE_MAX_OCTAL || strlen(name) >= sizeof(((struct ustar *) 0)->name))
		return err_set(err, ERR_INVALID, "'%.150s' is no blob: not a file, or its size or name is too long", name);
	l->left = (uint64_t) st.st_size;
	make_header(l, name, l->left);
	return 0;
}

static ssize_t read_member(struct layout *l, void *buf, size_t size, struct err *err)
{
	ssize_t n;
	do
		n = read(l->file, buf, (size_t) MIN((uint64_t) size, l->left));
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_sys(err, -errno, "reading '%s'", l->names[l->next - 1]);
	if (n == 0)
		return err_set(err, ERR_CORRUPT, "'%s' became shorter while it was read", l->names[l->next - 1]);
	l->left -= (uint64_t) n;
	return n;
}

/* The member is whole: pad it to a block. */
static void end_member(struct layout *l)
{
	off_t size = lseek(l->file, 0, SEEK_CUR);
	l->file = safe_close(l->file);
	memset(l->pending, 0, BLOCK);
	l->pos = 0;
	l->len = (size_t) (-size & (BLOCK - 1));
}

ssize_t layout_read(struct layout *l, void *buf, size_t size, struct err *err)
{
	while (size > 0) {
		if (l->pos < l->len) {
			size_t n = MIN(size, l->len - l->pos);
			memcpy(buf, l->pending + l->pos, n);
			l->pos += n;
			return (ssize_t) n;
		}
		if (l->file >= 0 && l->left > 0)
			return read_member(l, buf, size, err);
		if (l->ended)
			return 0;
		if (l->file >= 0)
			end_member(l);
		else {
			int r = next_member(l, err);
			if (r < 0)
				return r;
		}
	}
	return 0;
}

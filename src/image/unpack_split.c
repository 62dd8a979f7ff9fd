/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Split: the outer archive of `docker save` or an OCI layout. Every regular member becomes one flat file under a minted name; links
 * are only reported, nothing on disk is ever named by the archive.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "image/unpack.h"

enum { SPLIT_MEMBERS_MAX = 20000 };

static int stage(struct unpack *u, int root, const struct tar_entry *e, uint32_t index, struct err *err)
{
	char name[32];
	(void) str_format(name, sizeof(name), UNPACK_STAGED_FORMAT, index);
	_cleanup_close_ int fd = openat(root, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_sys(err, -errno, "creating its staging file");
	const void *p;
	uint64_t offset;
	ssize_t n;
	while ((n = unpack_data(u, &p, &offset, err)) > 0) {
		int r = write_all(fd, p, (size_t) n);
		if (r < 0)
			return err_sys(err, r, "writing");
		u->disk_bytes += (uint64_t) n;
	}
	return (int) n;
}

static int split_member(struct unpack *u, int root, const struct tar_entry *e, uint32_t *index, struct err *err)
{
	static const enum unpack_member kinds[TAR_TYPE_MAX_] = {
		[TAR_FILE] = UNPACK_MEMBER_FILE, [TAR_HARDLINK] = UNPACK_MEMBER_HARDLINK, [TAR_SYMLINK] = UNPACK_MEMBER_SYMLINK};
	if (e->type == TAR_DIR)
		return 0;
	if (e->type != TAR_FILE && e->type != TAR_HARDLINK && e->type != TAR_SYMLINK)
		return err_set(err, ERR_CORRUPT, "an image archive holds files, not devices or pipes");
	if (e->sparse)
		return err_set(err, ERR_UNSUPPORTED, "a sparse file in an image archive");
	if (++*index > SPLIT_MEMBERS_MAX)
		return err_set(err, ERR_QUOTA, "more than %d members in an image archive", SPLIT_MEMBERS_MAX);
	int r = e->type == TAR_FILE ? stage(u, root, e, *index, err) : 0;
	if (r < 0)
		return r;
	struct unpack_msg *m = u->msg;
	memset(m, 0, sizeof(*m));
	m->kind = UNPACK_MEMBER;
	m->what = kinds[e->type];
	m->index = *index;
	m->size = e->size;
	if (str_copy(m->path, sizeof(m->path), e->path) < 0 || str_copy(m->link, sizeof(m->link), e->link) < 0)
		return err_set(err, ERR_QUOTA, "its name is too long");
	return unpack_send(u, -EBADF, err);
}

int unpack_split(struct unpack *u, int root, struct err *err)
{
	const struct tar_entry *e;
	uint32_t index = 0;
	int r;
	while ((r = unpack_next(u, &e, err)) > 0) {
		r = split_member(u, root, e, &index, err);
		if (r < 0)
			return unpack_fail_member(u, err, e->path);
	}
	return r;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "base/fd.h"
#include "image/internal.h"

static int open_dir(int root, const char *name, struct err *err)
{
	int fd = mkdir_open_at(root, name, 0700);
	return fd < 0 ? err_sys(err, fd, "image store: opening '%s'", name) : fd;
}

static int store_paths(struct image_store *s, const struct image_store_config *cfg, struct err *err)
{
	char link[64], path[PATH_MAX];
	(void) str_format(link, sizeof(link), "/proc/self/fd/%d", cfg->root_fd);
	ssize_t n = readlink(link, path, sizeof(path) - 1);
	if (n <= 0 || path[0] != '/')
		return err_sys(err, n < 0 ? -errno : -ENOENT, "image store: finding the path of the state directory");
	path[n] = '\0';
	s->root_path = strdup(path);
	s->unpack_path = strdup(cfg->unpack_path);
	return s->root_path && s->unpack_path ? 0 : err_oom(err);
}

int image_store_open(const struct image_store_config *cfg, struct image_store **ret, struct err *err)
{
	_cleanup_close_ int sha256 = -EBADF;
	struct image_store *s = calloc(1, sizeof(*s));
	if (!s)
		return err_oom(err);
	*s = (struct image_store) {.root = cfg->root_fd, .db = cfg->db, .blobs = -EBADF, .layers = -EBADF, .tmp = -EBADF, .partial = -EBADF};
	int r = store_paths(s, cfg, err);
	if (r >= 0)
		r = sha256 = open_dir(s->root, "blobs", err);
	if (r >= 0)
		r = s->blobs = open_dir(sha256, "sha256", err);
	if (r >= 0)
		r = s->layers = open_dir(s->root, "layers", err);
	if (r >= 0)
		r = s->tmp = open_dir(s->root, "tmp", err);
	if (r >= 0)
		r = s->partial = open_dir(s->root, "partial", err);
	if (r >= 0)
		r = rows_migrate(s->db, err);
	if (r < 0) {
		(void) image_store_free(s);
		return r;
	}
	*ret = s;
	return 0;
}

struct image_store *image_store_free(struct image_store *s)
{
	if (!s)
		return NULL;
	if (s->tmp >= 0)
		image_tidy(s); /* here and not at open: nobody waits for a store that closes */
	(void) safe_close(s->blobs);
	(void) safe_close(s->layers);
	(void) safe_close(s->tmp);
	(void) safe_close(s->partial);
	free(s->root_path);
	free(s->unpack_path);
	free(s);
	return NULL;
}

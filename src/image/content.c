/* SPDX-License-Identifier: Apache-2.0 */
/* Blobs: bytes under the digest of those bytes. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/fd.h"
#include "codec/digest.h"
#include "image/internal.h"
#include "kernel/path.h"

enum { HASH_BUF = 1 << 20 };

int blob_open(struct image_store *s, const char *digest)
{
	if (!digest_is_valid(digest))
		return -EINVAL;
	return open_beneath_nosymlink(s->blobs, digest + strlen("sha256:"), O_RDONLY | O_CLOEXEC, 0);
}

int blob_hash(int fd, char ret_digest[DIGEST_TEXT_MAX], uint64_t *ret_size, struct err *err)
{
	_cleanup_free_ char *buf = malloc(HASH_BUF);
	struct digest d;
	off_t at = 0;
	ssize_t n;
	if (!buf)
		return err_oom(err);
	digest_init(&d);
	while ((n = pread(fd, buf, HASH_BUF, at)) > 0) {
		digest_update(&d, buf, (size_t) n);
		at += n;
	}
	if (n < 0)
		return err_sys(err, -errno, "reading a blob");
	memcpy(ret_digest, "sha256:", 7);
	digest_final_hex(&d, ret_digest + 7);
	*ret_size = (uint64_t) at;
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gzip files of our own making (RFC 1952), by zlib, which static programs can have: rotated logs. Foreign streams are inflate.h's business.
 */
#pragma once

#include <stdatomic.h>
#include <sys/types.h>

#include "base/macro.h"

/** gzip_fd() - compress what is left of @in into @out, as one member, for speed. Return: 0 or -errno. */
int gzip_fd(int in, int out);
/** gzip_fd_small() - the same as small as gzip makes it by default; the same bytes each time. @cancel: true ends it with -ECANCELED; NULL: never. */
int gzip_fd_small(int in, int out, const atomic_bool *cancel);

struct gunzip;
/** gunzip_new() - read the gzip file @fd (borrowed) from its beginning. Return: 0 or -ENOMEM. */
int gunzip_new(int fd, struct gunzip **ret);
struct gunzip *gunzip_free(struct gunzip *z);
/** gunzip_read() - up to @len decompressed bytes. Return: bytes; 0 at the end of the last member; -EBADMSG damaged or cut off; -errno. */
ssize_t gunzip_read(struct gunzip *z, void *buf, size_t len);

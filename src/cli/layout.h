/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An OCI layout directory read as the tar archive that it would be: oci-layout, index.json, then every blob. The engine takes
 * archives only, since it may be behind a socket.
 */
#pragma once

#include <sys/types.h>

#include "base/err.h"

struct layout;

/** layout_open() - @dir_fd: borrowed, must stay open. Return: 0; ERR_INVALID when the directory is no layout. */
int layout_open(int dir_fd, struct layout **ret, struct err *err);
struct layout *layout_free(struct layout *l);
/** layout_read() - the next bytes of the archive, at most @size. Return: how many, 0 at its end, < 0 with @err. */
ssize_t layout_read(struct layout *l, void *buf, size_t size, struct err *err);

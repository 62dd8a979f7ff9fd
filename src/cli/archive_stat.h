/* SPDX-License-Identifier: Apache-2.0 */
/* What the engine says about a path in a container, in its answer's head. */
#pragma once

#include <limits.h>

#include "cli/call.h"

#define ARCHIVE_STAT_HEADER "X-Docker-Container-Path-Stat"
#define ARCHIVE_STAT_MAX (64u << 10)

struct archive_stat {
	uint32_t mode; /* Go's FileMode */
	char target[PATH_MAX]; /* of a link; "" else */
};
/** archive_stat_parse() - the header's value. ERR_CORRUPT. */
int archive_stat_parse(const char *text, struct archive_stat *ret, struct err *err);
/** archive_stat() - HEAD /containers/@container/archive. Return: 1; 0 nothing is there (or no such container: the next call tells); ERR_*. */
int archive_stat(struct cli *cli, const char *container, const char *path, struct archive_stat *ret, struct err *err);
/** archive_target() - the request's path: /containers/@container/archive?path=@path. */
void archive_target(struct strbuf *t, const char *container, const char *path);

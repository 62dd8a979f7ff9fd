/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client's path inside a root directory, with docker's rules: lexically clean, a final "/" or "/." means the directory itself, links among
 * the parents are followed inside the root, the last part is not. Everything by openat2 from the held root (R1).
 */
#pragma once

#include <limits.h>
#include <sys/stat.h>

#include "files/proto.h"

struct found {
	int parent;          /* owned; O_PATH; the directory that @leaf is in */
	char leaf[256];      /* "." : @parent itself */
	char name[256];      /* what an archive of it starts with: the path's last part, "." for "DIR/.", "/" for the root */
	char path[PATH_MAX]; /* the clean path */
	struct stat st;      /* of the object, links not followed */
};
void found_done(struct found *f);

/** find_clean() - @path as an absolute one without "//", "." and ".." (lexically), a final "/" or "/." kept as docker does. @out: PATH_MAX
 *  bytes. Return: 0; -ENAMETOOLONG. */
int find_clean(const char *path, char *out);
/** find_object() - Return: 0; ERR_NOT_FOUND; ERR_INVALID (a part is no directory, too many links). */
int find_object(int root, const char *path, struct found *ret, struct err *err);
/** find_dir() - the directory at @path, the last link followed too. Return: O_PATH fd; ERR_NOT_FOUND; ERR_INVALID in docker's words. */
int find_dir(int root, const char *path, struct err *err);
/** find_target() - where the link at clean @path leads to in the end, as a path inside the root; a part that is missing stays as it is.
 *  @out: PATH_MAX bytes, "" when it leads nowhere. */
void find_target(int root, const char *path, char *out);
/** find_status() - docker's words about @f. */
void find_status(int root, const struct found *f, struct files_status *ret);

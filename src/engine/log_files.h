/* SPDX-License-Identifier: Apache-2.0 */
/* The files of one log, opened for reading: NAME, and what was rotated, compressed or not. */
#pragma once

#include <sys/types.h>

#include "base/macro.h"

struct gunzip;

struct log_file {
	int fd;            /* owned */
	bool gz;
	ino_t inode;
	off_t end;         /* where reading ends, though more may have come; -1: where the file ends */
	struct gunzip *z;  /* owned; NULL until it is read */
};

struct log_files {
	struct log_file *v; /* owned; newest first */
	size_t n;
};

/** log_files_open() - those of @name in @dir, newest first, as far as the one that is @stop (0: all). A rotation meanwhile neither hides one nor shows one twice.
 *  Return: 0 or -errno. */
int log_files_open(int dir, const char *name, ino_t stop, struct log_files *ret);
void log_files_done(struct log_files *f);
/** log_files_pop() - do without the oldest one. */
void log_files_pop(struct log_files *f);
/** log_files_freeze() - read no further than what is there now, but of compressed ones, which do not grow. log_files_thaw() - all that there is. Return: 0 or -errno. */
int log_files_freeze(struct log_files *f);
void log_files_thaw(struct log_files *f);
/** log_file_rewind() / log_file_read() - from its beginning; 0 is the end so far, or the end. */
int log_file_rewind(struct log_file *f);
ssize_t log_file_read(struct log_file *f, void *buf, size_t len);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An archive into a directory: whatever it says, nothing beside the directory is touched, and what was extracted can be packed again. Links that
 * the archive brings lead to a directory beside it, which must stay empty but for its one file.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "files/extract.h"
#include "files/pack.h"
#include "kernel/path.h"
#include "input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int drop(void *ctx, const void *p, size_t n)
{
	*(uint64_t *) ctx += p ? n : 0;
	return 0;
}

static int open_dir(int dir, const char *path, int flags)
{
	return str_eq(path, ".") ? open_beneath(dir, ".", flags, 0) : open_beneath_nosymlink(dir, path, flags, 0);
}

static void pack_again(int dir)
{
	struct tar_writer *w;
	struct member_writer m;
	uint64_t bytes = 0;
	struct err err;
	if (tar_writer_new(drop, &bytes, &w) < 0)
		return;
	if (member_writer_init(&m, w, 0, 100000, &err) == 0) {
		const struct pack p = {.m = &m, .depth_max = 100};
		if (pack_object(&p, dir, ".", ".", &err) == 0)
			assert(tar_writer_end(w) == 0 && bytes % 512 == 0);
	}
	member_writer_done(&m);
	(void) tar_writer_free(w);
}

/* The neighbour holds "file" with "x", as before. */
static void check_neighbour(int top)
{
	_cleanup_close_ int dir = openat(top, "beside", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat st;
	DIR *d = fdopendir(dir < 0 ? dir : dup(dir));
	size_t n = 0;
	assert(d);
	while (readdir(d))
		n++;
	(void) closedir(d);
	assert(n == 3 && fstatat(dir, "file", &st, 0) == 0 && st.st_size == 1 && (st.st_mode & 07777) == 0600 && st.st_nlink == 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct tar_limits limits = {.entries_max = 200, .data_max = 1 << 20, .header_max = 65536, .xattr_max = 65536, .path_max = 4095, .chunks_max = 100, .end_optional = true};
	char name[] = "/tmp/fuzz-extract.XXXXXX";
	struct input in = {data, size};
	struct tar *t;
	struct err err;
	if (size > 1 << 20 || !mkdtemp(name) || tar_new(input_read, &in, &limits, &t) < 0)
		return 0;
	_cleanup_close_ int top = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC), into = mkdir_open_at(top, "into", 0700), beside = mkdir_open_at(top, "beside", 0700);
	_cleanup_close_ int file = openat(beside, "file", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	assert(into >= 0 && write_all(file, "x", 1) == 0);
	struct extract x = {.dir = into, .flags = EXTRACT_HARMLESS | EXTRACT_NO_DEVICES | (size & 1 ? EXTRACT_NO_OVERWRITE : 0u), .depth_max = 100, .open_dir = open_dir};
	int r = extract_all(&x, t, &err);
	assert(r >= 0 || err.msg[0]);
	(void) tar_free(t);
	check_neighbour(top);
	pack_again(into);
	assert(rm_rf_at(AT_FDCWD, name) == 0);
	return 0;
}

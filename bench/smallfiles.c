/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many small files, for bench/images: what the kernel asks for them, and what the unpacker asks. Both print microseconds on the clock.
 *
 *	smallfiles raw DIR FILES BYTES FOLDERS                 the cheapest system calls that leave the same files: a folder's descriptor is held,
 *	                                                       and each file is openat, write, fchown, futimens, close
 *	smallfiles unpack PROGRAM ARCHIVE DIR FILES BYTES FOLDERS  coffer-unpack on a plain archive of them, as the engine starts it
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/num.h"
#include "image/internal.h"

static int64_t clock_usec(void)
{
	struct timespec ts;
	(void) clock_gettime(CLOCK_MONOTONIC, &ts); /* cannot fail */
	return ts.tv_sec * 1000000LL + ts.tv_nsec / 1000;
}

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	exit(1);
}

static uint64_t number(const char *s)
{
	uint64_t n = 0;
	must(parse_u64(s, &n) >= 0 && n > 0 && n <= 1 << 20, s);
	return n;
}

static void raw_file(int folder, uint64_t n, const char *data, size_t len)
{
	static const struct timespec ts[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = 1700000000}};
	char name[32];
	(void) snprintf(name, sizeof(name), "f%llu", (unsigned long long) n);
	int fd = openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	must(fd >= 0, name);
	must(write(fd, data, len) == (ssize_t) len, "write");
	must(fchown(fd, 1, 1) == 0, "fchown");
	must(futimens(fd, ts) == 0, "futimens");
	(void) close(fd);
}

static void raw(int top, uint64_t files, uint64_t bytes, uint64_t folders)
{
	char *data = malloc(bytes), name[32];
	must(data != NULL, "malloc");
	memset(data, 'x', bytes);
	(void) umask(0);
	for (uint64_t i = 0; i < folders; i++) {
		(void) snprintf(name, sizeof(name), "d%llu", (unsigned long long) i);
		must(mkdirat(top, name, 0755) == 0, name);
		int folder = openat(top, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
		must(folder >= 0, name);
		for (uint64_t k = 0; k < files / folders; k++)
			raw_file(folder, k, data, bytes);
		(void) close(folder);
	}
	free(data);
}

static void unpack(char *program, const char *archive, int top, uint64_t files)
{
	struct image_store s = {.unpack_path = program};
	struct unpack_msg *done = calloc(1, sizeof(*done));
	struct err err;
	int input = open(archive, O_RDONLY | O_CLOEXEC);
	must(done && input >= 0, archive);
	const struct unpack_run run = {
		.req = {.magic = UNPACK_MAGIC, .job = UNPACK_APPLY, .coding = INFLATE_AUTO, .budget = UNPACK_BUDGET_DEFAULT}, .input = input, .target = top};
	if (unpack_run(&s, &run, done, &err) < 0) {
		fprintf(stderr, "%s\n", err.msg);
		exit(1);
	}
	must(done->entries >= files, "too few entries");
	(void) close(input);
	free(done);
}

int main(int argc, char **argv)
{
	bool is_raw = argc == 6 && strcmp(argv[1], "raw") == 0, is_unpack = argc == 8 && strcmp(argv[1], "unpack") == 0;
	if (!is_raw && !is_unpack) {
		fprintf(stderr, "usage: smallfiles raw DIR FILES BYTES FOLDERS | unpack PROGRAM ARCHIVE DIR FILES BYTES FOLDERS\n");
		return 2;
	}
	char **v = argv + argc - 4;
	uint64_t files = number(v[1]), bytes = number(v[2]), folders = number(v[3]);
	int top = open(v[0], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	must(top >= 0, v[0]);
	int64_t began = clock_usec();
	if (is_raw)
		raw(top, files, bytes, folders);
	else
		unpack(argv[2], argv[3], top, files);
	printf("%lld\n", (long long) (clock_usec() - began));
	(void) close(top);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stand-in for libFuzzer: runs the target once on every file below the directories (or on the files) given. A target that
 * crashes on its corpus fails the test; an empty corpus fails too.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/fd.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int run_file(int dfd, const char *name)
{
	_cleanup_free_ char *text = NULL;
	ssize_t n = read_file(dfd, name, 64 << 20, &text);
	if (n < 0) {
		fprintf(stderr, "%s: %s\n", name, strerror((int) -n));
		return -1;
	}
	/* an exact copy, so that a sanitizer sees one byte too far */
	uint8_t *copy = malloc(n > 0 ? (size_t) n : 1);
	if (!copy)
		return -1;
	memcpy(copy, text, (size_t) n);
	(void) LLVMFuzzerTestOneInput(copy, (size_t) n);
	free(copy);
	return 1;
}

static int run_dir(const char *path)
{
	DIR *d = opendir(path);
	if (!d)
		return errno == ENOTDIR ? run_file(AT_FDCWD, path) : -1;
	int ran = 0;
	struct dirent *e;
	while (ran >= 0 && (e = readdir(d)))
		if (e->d_name[0] != '.')
			ran = run_file(dirfd(d), e->d_name) < 0 ? -1 : ran + 1;
	(void) closedir(d);
	return ran;
}

int main(int argc, char **argv)
{
	int total = 0;
	for (int i = 1; i < argc; i++) {
		int n = run_dir(argv[i]);
		if (n < 0) {
			fprintf(stderr, "%s: cannot be run\n", argv[i]);
			return 1;
		}
		total += n;
	}
	fprintf(stderr, "%d inputs\n", total);
	return total > 0 ? 0 : 1;
}

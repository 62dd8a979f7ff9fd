/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/coffer-docs/put.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"

int complain(const char *what, int r)
{
	(void) fprintf(stderr, "coffer-docs: %s: %s\n", what, strerrordesc_np(-r));
	return r;
}

/* The directories of @path below @dfd. */
static int make_dirs(int dfd, const char *path)
{
	char dir[256];
	for (const char *s = strchr(path, '/'); s; s = strchr(s + 1, '/'))
		if (str_format(dir, sizeof(dir), "%.*s", (int) (s - path), path) < 0 || (mkdirat(dfd, dir, 0755) < 0 && errno != EEXIST))
			return -errno;
	return 0;
}

int put(int dfd, const char *path, const char *text, size_t len)
{
	int r = make_dirs(dfd, path);
	if (r == 0)
		r = write_file_atomic(dfd, path, text, len, 0644);
	return r < 0 ? complain(path, r) : 0;
}

int put_page(int dfd, struct page *p)
{
	char path[128];
	int r = strbuf_err(&p->out);
	if (r == 0)
		r = MIN(str_format(path, sizeof(path), "man/man%s/%s.%s", p->section, p->name, p->section), 0);
	r = r < 0 ? complain(p->name, r) : put(dfd, path, p->out.s, p->out.len);
	strbuf_done(&p->out);
	return r;
}

int put_main(int argc, char **argv, int (*all)(int dfd))
{
	if (argc != 3) {
		(void) fprintf(stderr, "Usage: %s DIR STAMP\n", argc > 0 ? argv[0] : "coffer-docs");
		return 125;
	}
	if (mkdir(argv[1], 0755) < 0 && errno != EEXIST)
		return complain(argv[1], -errno) < 0;
	_cleanup_close_ int dfd = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = dfd < 0 ? complain(argv[1], -errno) : all(dfd);
	return (r < 0 ? r : put(AT_FDCWD, argv[2], "", 0)) < 0;
}

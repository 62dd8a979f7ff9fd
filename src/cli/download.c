/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/download.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/id.h"
#include "cli/link.h"

struct output {
	int fd;     /* owned */
	char *temp; /* owned; what becomes @path, NULL: written in place */
};

static void output_done(struct output *o)
{
	if (o->temp)
		(void) unlink(o->temp); /* left only by a failure */
	free(o->temp);
	o->fd = safe_close(o->fd);
}
#define _cleanup_output_ _cleanup_(output_done)

static int output_open(struct output *o, const char *path, struct err *err)
{
	struct stat st;
	char id[ID_LEN + 1];
	if (!path) {
		o->fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
		return o->fd < 0 ? err_sys(err, -errno, "opening stdout") : 0;
	}
	if (stat(path, &st) == 0 && !S_ISREG(st.st_mode)) {
		o->fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
		return o->fd < 0 ? err_sys(err, -errno, "opening '%.300s'", path) : 0;
	}
	int r = id_new(id);
	o->temp = r < 0 ? NULL : str_printf("%s.%.12s", path, id);
	if (!o->temp)
		return r < 0 ? err_sys(err, r, "opening '%.300s'", path) : err_oom(err);
	o->fd = open(o->temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (o->fd >= 0)
		return 0;
	r = -errno;
	free(take_ptr(o->temp));
	return err_sys(err, r, "opening '%.300s'", path);
}

static int copy_body(struct cli *cli, struct http_conn *c, struct output *o, struct err *err)
{
	const char *p;
	size_t n;
	int r;
	while ((r = http_recv_body(c, &p, &n)) > 0) {
		r = write_all(o->fd, p, n);
		if (r < 0)
			return err_sys(err, r, "writing the file");
	}
	return r < 0 ? link_lost(cli, r, err) : 0;
}

static int fetch(struct cli *cli, const struct strbuf *target, const char *path, struct err *err)
{
	_cleanup_http_conn_ struct http_conn *c = NULL;
	_cleanup_output_ struct output o = {.fd = -EBADF};
	struct http_answer a;
	int r = link_open(cli, &c, err);
	if (r >= 0)
		r = call_send(cli, c, "GET", target, NULL, 0, err);
	if (r >= 0)
		r = call_head(cli, c, &a, err);
	if (r >= 0)
		r = output_open(&o, path, err);
	if (r >= 0)
		r = copy_body(cli, c, &o, err);
	if (r < 0 || !o.temp)
		return MIN(r, 0);
	if (rename(o.temp, path) < 0)
		return err_sys(err, -errno, "writing '%.300s'", path);
	free(take_ptr(o.temp));
	return 0;
}

int download(struct cli *cli, const struct strbuf *target, const char *path)
{
	struct err err;
	if (!path && isatty(STDOUT_FILENO))
		return cli_error("cowardly refusing to save to a terminal: use -o FILE or redirect");
	return fetch(cli, target, path, &err) < 0 ? cli_fail(1, &err) : 0;
}

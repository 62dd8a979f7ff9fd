/* SPDX-License-Identifier: Apache-2.0 */
/*
 * coffer-fetch: HTTP requests to the network, confined. Started by the engine with one descriptor (fetch/proto.h); of no use to anybody else.
 * Exit: 0 the engine has closed; 1 something was wrong; 2 not started by the engine.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "fetch/serve.h"
#include "kernel/confine.h"

enum { PEM_MAX = 8 << 20 };

static int read_pem(int fd_consume, char **ret, size_t *ret_len)
{
	_cleanup_close_ int fd = fd_consume;
	struct stat st;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_size <= 0 || st.st_size > PEM_MAX)
		return -EFBIG;
	char *text = malloc((size_t) st.st_size);
	ssize_t n = text ? read_full(fd, text, (size_t) st.st_size) : -ENOMEM;
	if (n < 0) {
		free(text);
		return (int) n;
	}
	*ret = text;
	*ret_len = (size_t) n;
	return 0;
}

static int read_setup(struct fetch_setup *s, struct fetch_secrets *ret)
{
	int fds[3], r = 0;
	size_t n = ARRAY_LEN(fds), at = 0;
	ssize_t len = recv_fds(FETCH_FD_SOCK, s, sizeof(*s), fds, &n);
	if (len != (ssize_t) sizeof(*s) || s->magic != FETCH_MAGIC)
		return -EBADMSG;
	const struct {
		uint32_t flag;
		char **text;
		size_t *size;
	} rows[] = {{FETCH_SETUP_CA, &ret->ca, &ret->ca_len}, {FETCH_SETUP_CERT, &ret->cert, &ret->cert_len}, {FETCH_SETUP_KEY, &ret->key, &ret->key_len}};
	for (size_t i = 0; r >= 0 && i < ARRAY_LEN(rows); i++)
		if (s->flags & rows[i].flag)
			r = at < n ? read_pem(fds[at++], rows[i].text, rows[i].size) : -EBADMSG;
	s->http_proxy[sizeof(s->http_proxy) - 1] = s->https_proxy[sizeof(s->https_proxy) - 1] = s->no_proxy[sizeof(s->no_proxy) - 1] = '\0';
	return r;
}

static int prepare(struct err *err)
{
	(void) signal(SIGPIPE, SIG_IGN);
	int r = close_from(FETCH_FD_SOCK + 1);
	if (r < 0)
		return err_sys(err, r, "fetcher: closing descriptors");
	r = fetch_prepare(err);
	return r < 0 ? r : fetch_confine(err);
}

int main(void)
{
	struct fetch_setup setup;
	struct fetch_secrets secrets = {NULL};
	struct fetch_msg m = {.kind = FETCH_DONE, .failure = FETCH_FAIL_FINAL};
	if (read_setup(&setup, &secrets) < 0) {
		(void) fprintf(stderr, "coffer-fetch is a part of coffer, not a command\n");
		return 2;
	}
	if (prepare(&m.err) < 0) {
		(void) send_fds(FETCH_FD_SOCK, &m, sizeof(m), NULL, 0); /* nobody listens: nothing to say */
		return 1;
	}
	return fetch_serve(&setup, &secrets);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/preserve.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/num.h"
#include "base/str.h"

#define FDS_MAX 1024

static unsigned listen_fds(void)
{
	const char *fds = getenv("LISTEN_FDS"), *pid = getenv("LISTEN_PID");
	uint32_t n, who;
	/* runc does not look at LISTEN_PID: callers between systemd and us may not have set it anew, but another's is not ours */
	if (!fds || parse_u32(fds, &n) < 0 || (pid && (parse_u32(pid, &who) < 0 || who != (uint32_t) getpid())))
		return 0;
	return n;
}

int preserve_fds(int64_t n, unsigned *ret, unsigned *ret_listen, struct err *err)
{
	unsigned listen = listen_fds();
	if (n < 0 || n > FDS_MAX || listen > FDS_MAX)
		return err_set(err, ERR_INVALID, "--preserve-fds: %lld is not between 0 and %d", (long long) (listen > FDS_MAX ? listen : n), FDS_MAX);
	for (int fd = 3; fd < 3 + (int) n + (int) listen; fd++)
		if (fcntl(fd, F_GETFD) < 0)
			return err_set(err, ERR_INVALID, "--preserve-fds: descriptor %d is not open (%lld to keep, LISTEN_FDS %u)", fd, (long long) n, listen);
	*ret = (unsigned) n + listen;
	*ret_listen = listen;
	return 0;
}

int preserve_environment(struct process_spec *p, unsigned listen, struct err *err)
{
	char text[40];
	if (!listen)
		return 0;
	(void) snprintf(text, sizeof(text), "LISTEN_FDS=%u", listen);
	return strv_push(&p->env, text) < 0 || strv_push(&p->env, "LISTEN_PID=1") < 0 ? err_oom(err) : 0;
}

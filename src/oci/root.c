/* SPDX-License-Identifier: Apache-2.0 */
/* Who we are on this host, and where our state belongs by default. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/num.h"
#include "oci/internal.h"

#define ROOT_DIR "/run/coffer-oci"

bool oci_is_rootless(void)
{
	if (geteuid() != 0)
		return true;
	/* root of the first user namespace has the one line "0 0 4294967295" (user_namespaces(7)) */
	_cleanup_close_ int fd = open("/proc/self/uid_map", O_RDONLY | O_CLOEXEC);
	char text[128];
	ssize_t n = fd < 0 ? -errno : read_full(fd, text, sizeof(text) - 1);
	if (n <= 0)
		return false; /* a kernel without user namespaces */
	text[n] = '\0';
	unsigned inside, outside, count;
	return sscanf(text, "%u %u %u", &inside, &outside, &count) != 3 || inside != 0 || outside != 0 || count != UINT32_MAX;
}

int oci_root_default(struct oci *o, struct err *err)
{
	const char *run = getenv("XDG_RUNTIME_DIR");
	if (geteuid() == 0 && (str_empty(run) || !oci_is_rootless()))
		return str_copy(o->root, sizeof(o->root), ROOT_DIR);
	if (str_empty(run) || run[0] != '/')
		return err_set(err, ERR_INVALID, "XDG_RUNTIME_DIR is not set: pass --root DIR, a directory of yours on a tmpfs");
	int r = str_format(o->root, sizeof(o->root), "%s/coffer-oci", run);
	return r < 0 ? err_sys(err, r, "XDG_RUNTIME_DIR") : 0;
}

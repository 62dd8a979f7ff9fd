/* SPDX-License-Identifier: Apache-2.0 */
/* Word of the OOM killer: as a descriptor to poll, and as a count. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/num.h"
#include "base/str.h"
#include "kernel/cgroup_internal.h"

/* "EVENTFD TARGETFD" into cgroup.event_control; the kernel signals it at an OOM and when the directory goes. */
static int watch_v1(int dfd)
{
	_cleanup_close_ int target = openat(dfd, "memory.oom_control", O_RDONLY | O_CLOEXEC);
	if (target < 0)
		return -errno;
	_cleanup_close_ int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (fd < 0)
		return -errno;
	char text[32];
	(void) snprintf(text, sizeof(text), "%d %d", fd, target);
	int r = write_file(dfd, "cgroup.event_control", text);
	return r < 0 ? r : take_fd(&fd);
}

static int watch_v2(int dfd)
{
	_cleanup_close_ int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (fd < 0)
		return -errno;
	char path[64];
	static const char *const files[] = {"memory.events", "cgroup.events"}; /* the second is touched when the last process has left */
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		(void) snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", dfd, files[i]);
		if (inotify_add_watch(fd, path, IN_MODIFY | IN_DELETE_SELF) < 0)
			return -errno;
	}
	return take_fd(&fd);
}

int cgroup_oom_watch(const struct cgroup *cg)
{
	int version, dfd = cgroup_dir(cg, CG_MEMORY, &version);
	if (dfd < 0)
		return dfd;
	return version == 1 ? watch_v1(dfd) : watch_v2(dfd);
}

/* "oom_kill N": memory.events on v2 (4.13), memory.oom_control on v1 (4.13). */
int cgroup_oom_count(const struct cgroup *cg, uint64_t *ret)
{
	char text[1024];
	int r = cgroup_read(cg, CG_MEMORY, "memory.oom_control", "memory.events", text, sizeof(text));
	if (r < 0)
		return r;
	*ret = 0;
	for (char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		const char *n = str_after(line, "oom_kill ");
		if (!n)
			continue;
		line[strcspn(line, "\n")] = '\0';
		return parse_u64(n, ret);
	}
	return 0;
}

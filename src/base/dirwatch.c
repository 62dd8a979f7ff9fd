/* SPDX-License-Identifier: Apache-2.0 */
#include "base/dirwatch.h"

#include <errno.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/fd.h"

static bool is_shortage(int e)
{
	return e == EMFILE || e == ENFILE || e == ENOMEM || e == ENOSPC;
}

int dirwatch_add(struct dirwatch *w, const char *path, uint32_t mask)
{
	if (w->looks)
		return 0;
	if (w->fd < 0)
		w->fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (w->fd >= 0 && inotify_add_watch(w->fd, path, mask) >= 0)
		return 0;
	int e = errno;
	w->fd = safe_close(w->fd); /* half of what is wanted would be heard: then rather none */
	w->looks = is_shortage(e);
	return w->looks ? 0 : -e;
}

int dirwatch_timeout(const struct dirwatch *w, int ms)
{
	if (!w->looks)
		return ms;
	return ms < 0 ? DIRWATCH_LOOK_MS : MIN(ms, DIRWATCH_LOOK_MS);
}

void dirwatch_drain(const struct dirwatch *w)
{
	char events[4096];
	while (w->fd >= 0 && read(w->fd, events, sizeof(events)) > 0)
		continue;
}

void dirwatch_done(struct dirwatch *w)
{
	w->fd = safe_close(w->fd);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Trees that are to go are renamed into `trash/` (of the state or of the run directory) and deleted when nobody waits: a removal is one
 * rename, whatever the size of what is removed, and half a tree is never in sight. Deleting ten files costs 4 ms each where the
 * filesystem discards freed blocks at once (ext4 without a journal, mounted with discard). What a kill -9 leaves in the trash
 * the next engine deletes.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/dirwatch.h"
#include "base/log.h"
#include "engine/internal.h"

int trash_put(int base_fd, int dfd, const char *name)
{
	_cleanup_close_ int trash = mkdir_open_at(base_fd, "trash", 0700);
	if (trash < 0)
		return trash;
	for (unsigned i = 0; i < 1000; i++) {
		char to[NAME_MAX];
		if (str_format(to, sizeof(to), "%.200s.%u", name, i) < 0)
			return -ENAMETOOLONG;
		if (renameat2(dfd, name, trash, to, RENAME_NOREPLACE) == 0 || errno == ENOENT)
			return 0;
		if (errno != EEXIST)
			return -errno;
	}
	return -EEXIST;
}

static void empty(int base_fd)
{
	int fd = openat(base_fd, "trash", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	if (!d) {
		safe_close(fd);
		return;
	}
	struct dirent *e;
	while ((e = readdir(d)))
		if (e->d_name[0] != '.')
			(void) rm_rf_at(dirfd(d), e->d_name); /* somebody else may be at it; the next engine tries again */
	(void) closedir(d);
}

void engine_tidy(struct engine *e)
{
	fault_mark("engine.trash.empty");
	empty(e->run_fd);
	fault_mark("engine.trash.state");
	empty(e->state_fd);
}

#define TIDY_DELAY_MS 200 /* behind the last removal of a batch */

static int watch_trash(struct dirwatch *w, int base_fd)
{
	char path[48];
	_cleanup_close_ int trash = mkdir_open_at(base_fd, "trash", 0700);
	if (trash < 0)
		return trash;
	(void) str_format(path, sizeof(path), "/proc/self/fd/%d", trash); /* fits */
	return dirwatch_add(w, path, IN_MOVED_TO | IN_ONLYDIR);
}

/* Return: 1 something was put aside, 0 @timeout_ms is over, <0 the end. */
static int trash_event(const struct dirwatch *w, int stop_fd, int timeout_ms)
{
	struct pollfd p[2] = {{w->fd, POLLIN, 0}, {stop_fd, POLLIN, 0}};
	int n = poll(p, ARRAY_LEN(p), dirwatch_timeout(w, timeout_ms));
	if (p[1].revents)
		return -ECANCELED;
	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	if (p[0].revents)
		dirwatch_drain(w);
	return n > 0 || (w->looks && timeout_ms < 0); /* or there may have been something */
}

void engine_tidier(struct engine *e, int stop_fd)
{
	_cleanup_dirwatch_ struct dirwatch watch = DIRWATCH_NULL;
	int r = watch_trash(&watch, e->run_fd);
	r = r < 0 ? r : watch_trash(&watch, e->state_fd);
	if (r < 0)
		log_warn("watching the trash: %s, ignoring: it is emptied when this engine ends", strerrordesc_np(-r));
	engine_sweep(e); /* of the daemon that was killed, if one was */
	image_tidy(e->images);
	while (r >= 0) {
		engine_tidy(e);
		while ((r = trash_event(&watch, stop_fd, -1)) == 0)
			continue;
		while (r > 0)
			r = trash_event(&watch, stop_fd, TIDY_DELAY_MS);
	}
}

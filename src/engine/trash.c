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

/* Until @until. Return: whether time was left; what is not deleted the next look does. */
static bool empty(int base_fd, usec_t until)
{
	int fd = openat(base_fd, "trash", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	bool in_time = true;
	if (!d) {
		safe_close(fd);
		return true;
	}
	struct dirent *e;
	while (in_time && (e = readdir(d))) {
		if (e->d_name[0] != '.')
			(void) rm_rf_at(dirfd(d), e->d_name); /* somebody else may be at it; the next engine tries again */
		in_time = now_usec() < until;
	}
	(void) closedir(d);
	return in_time;
}

/* Return: as above. */
static bool tidy(struct engine *e, unsigned patience_ms)
{
	usec_t until = now_usec() + patience_ms * USEC_PER_MSEC;
	fault_mark("engine.trash.empty");
	bool in_time = empty(e->run_fd, until);
	fault_mark("engine.trash.state");
	return empty(e->state_fd, until) && in_time;
}

#define CLOSE_PATIENCE_MS 2000 /* an engine that ends is not held up by what the next one can delete */

void engine_tidy(struct engine *e)
{
	(void) tidy(e, CLOSE_PATIENCE_MS);
}

#define TIDY_DELAY_MS 200 /* behind the last removal of a batch */
#define TIDY_EVERY_MS 1000 /* but no longer: under steady removals the batch would never end, and the trash grow */

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
		bool in_time = tidy(e, TIDY_EVERY_MS);
		while ((r = trash_event(&watch, stop_fd, in_time ? -1 : 0)) == 0 && in_time)
			continue;
		usec_t until = now_usec() + TIDY_EVERY_MS * USEC_PER_MSEC;
		while (r > 0 && in_time && now_usec() < until)
			r = trash_event(&watch, stop_fd, TIDY_DELAY_MS);
	}
}

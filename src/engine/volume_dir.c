/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where volumes are: STATE/volumes/NAME/_data. A row and its directory come and go together, whatever is killed in between (P8), and what
 * somebody's data may be in is never taken away only because no row names it (the database may be an old copy):
 *
 *   made      directory, then the commit of its row.  Cut off: a directory without a row, which is empty. The sweep removes empty ones.
 *   removed   renamed to ".gone-NAME", then the commit that deletes its row, then into the trash.  Cut off: a row gets its directory back, by
 *             the sweep or by its next use; without a row the sweep goes on.
 *
 * All of it happens inside write transactions, so no two do it at once.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fault.h"
#include "engine/internal.h"

#define GONE ".gone-"
#define NAME_SIZE 256

char *volume_path(struct engine *e, const char *name)
{
	return str_printf("%s/volumes/%s/_data", e->state_dir, name);
}

static int open_top(struct engine *e)
{
	int fd = openat(e->state_fd, "volumes", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static void gone_name(char buf[NAME_SIZE], const char *name)
{
	(void) str_format(buf, NAME_SIZE, GONE "%.128s", name); /* fits */
}

/* A removal that was cut off before its commit never happened. */
static void take_back(int top, const char *name)
{
	char gone[NAME_SIZE];
	gone_name(gone, name);
	(void) renameat2(top, gone, top, name, RENAME_NOREPLACE); /* nearly always there is none */
}

int volume_dir_make(struct engine *e, const char *name, bool is_new, struct err *err)
{
	_cleanup_close_ int top = mkdir_open_at(e->state_fd, "volumes", 0700);
	if (top >= 0 && !is_new)
		take_back(top, name);
	_cleanup_close_ int dir = top < 0 ? top : mkdir_open_at(top, name, 0700);
	if (dir < 0)
		return err_sys(err, dir, "making volume '%s'", name);
	if (mkdirat(dir, "_data", 0755) < 0)
		return errno == EEXIST ? 0 : err_sys(err, -errno, "making volume '%s'", name);
	return fchmodat(dir, "_data", 0755, 0) < 0 ? err_sys(err, -errno, "making volume '%s'", name) : 0;
}

int volume_dir_check(struct engine *e, const char *name, struct err *err)
{
	char path[NAME_SIZE + 16];
	(void) str_format(path, sizeof(path), "volumes/%.128s/_data", name); /* fits */
	return faccessat(e->state_fd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0 ? 0 : volume_dir_make(e, name, /* is_new= */ false, err);
}

int volume_dir_doom(struct engine *e, const char *name, struct err *err)
{
	char gone[NAME_SIZE];
	_cleanup_close_ int top = open_top(e);
	if (top < 0)
		return top == -ENOENT ? 0 : err_sys(err, top, "removing volume '%s'", name);
	gone_name(gone, name);
	int r = renameat2(top, name, top, gone, RENAME_NOREPLACE) < 0 ? -errno : 0;
	if (r == -EEXIST) { /* of an earlier volume of that name, on its way into the trash */
		r = trash_put(e->state_fd, top, gone);
		if (r >= 0)
			r = renameat2(top, name, top, gone, RENAME_NOREPLACE) < 0 ? -errno : 0;
	}
	return r < 0 && r != -ENOENT ? err_sys(err, r, "removing volume '%s'", name) : 0;
}

void volume_dir_spare(struct engine *e, const char *name)
{
	_cleanup_close_ int top = open_top(e);
	if (top >= 0)
		take_back(top, name);
}

void volume_dir_remove(struct engine *e, const char *name)
{
	char gone[NAME_SIZE];
	_cleanup_close_ int top = open_top(e);
	gone_name(gone, name);
	if (top >= 0)
		(void) trash_put(e->state_fd, top, gone); /* the next sweep tries again */
}

/* Return: 1 a row of any tenant names it, 0 none, <0. */
static int has_row(struct engine *e, const char *name)
{
	struct err ignored;
	_cleanup_stmt_ struct db_stmt *st = NULL;
	int rc = db_query(e->db, &st, &ignored, "SELECT 1 FROM volume WHERE name=?1", "s", name);
	return rc < 0 ? rc : db_step(st, &ignored);
}

static void sweep(struct engine *e, int top, const char *entry)
{
	struct err ignored;
	const char *gone = str_after(entry, GONE), *name = gone ?: entry;
	if (!name_is_valid(name) || (!gone && has_row(e, name) != 0))
		return;
	if (db_begin(e->db, &ignored) < 0)
		return; /* the next sweep tries again */
	int row = has_row(e, name);
	if (gone && row > 0)
		take_back(top, name);
	else if (gone && row == 0)
		(void) trash_put(e->state_fd, top, entry); /* as above */
	else if (row == 0) {
		_cleanup_close_ int dir = openat(top, entry, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (dir >= 0 && (unlinkat(dir, "_data", AT_REMOVEDIR) == 0 || errno == ENOENT))
			(void) unlinkat(top, entry, AT_REMOVEDIR); /* only empty ones go */
	}
	db_rollback(e->db);
}

void volumes_sweep(struct engine *e)
{
	int top = open_top(e);
	DIR *d = top < 0 ? NULL : fdopendir(top);
	if (!d) {
		safe_close(top);
		return;
	}
	for (struct dirent *de; (de = readdir(d));)
		sweep(e, dirfd(d), de->d_name);
	(void) closedir(d);
}

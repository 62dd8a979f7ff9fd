/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The image room on the command line, for tests: opens a store in a directory of its own and does one thing.
 *	image-tool DIR UNPACK load FILE|- | layout DIR | import FILE [REF [CHANGE...]] | list | find REF | layers REF | rm [-f] REF |
 *		tag SRC REPO TAG | gc | config REF | save REF... | usage REF
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "db/db.h"
#include "image/image.h"

#define TENANT (getenv("IMAGE_TOOL_TENANT") ?: "local")

static void show(char *const *v)
{
	STRV_FOREACH(s, v)
		printf("%s\n", s);
}

static void show_progress(void *ctx, const char *id, const char *status, uint64_t current, uint64_t total)
{
	if (getenv("IMAGE_TOOL_PROGRESS"))
		fprintf(stderr, "%s: %s %llu/%llu\n", id, status, (unsigned long long) current, (unsigned long long) total);
}

static int open_arg(const char *path, int flags, struct err *err)
{
	int fd = strcmp(path, "-") == 0 ? dup(0) : open(path, flags | O_CLOEXEC);
	return fd < 0 ? err_sys(err, -errno, "opening '%s'", path) : fd;
}

static int do_load(struct image_store *s, int argc, char **argv, struct err *err)
{
	_cleanup_strv_ char **refs = NULL;
	bool layout = strcmp(argv[0], "layout") == 0;
	const struct image_progress p = {.fn = show_progress};
	_cleanup_close_ int fd = open_arg(argv[1], layout ? O_RDONLY | O_DIRECTORY : O_RDONLY, err);
	if (fd < 0)
		return fd;
	int r = layout ? image_load_layout(s, TENANT, fd, &p, &refs, err) : image_load(s, TENANT, fd, /* permit= */ NULL, &p, &refs, err);
	if (r >= 0)
		show(refs);
	return r;
}

static int do_import(struct image_store *s, int argc, char **argv, struct err *err)
{
	_cleanup_free_ char *id = NULL;
	_cleanup_close_ int fd = open_arg(argv[1], O_RDONLY, err);
	if (fd < 0)
		return fd;
	int r = image_import(s, TENANT, fd, argc > 2 && *argv[2] ? argv[2] : NULL, "imported", argc > 3 ? argv + 3 : NULL, NULL, &id, err);
	if (r >= 0)
		printf("%s\n", id);
	return r;
}

static int do_list(struct image_store *s, int argc, char **argv, struct err *err)
{
	struct image **v = NULL;
	int r = image_list(s, TENANT, &v, err);
	for (size_t i = 0; r >= 0 && v[i]; i++) {
		printf("%s %llu", v[i]->id, (unsigned long long) v[i]->size_bytes);
		STRV_FOREACH(n, v[i]->refs)
			printf(" %s", n);
		STRV_FOREACH(d, v[i]->digests)
			printf(" %s", d);
		printf("\n");
		(void) image_free(v[i]);
	}
	free(v);
	return r;
}

static int do_find(struct image_store *s, int argc, char **argv, struct err *err)
{
	_cleanup_image_ struct image *i = NULL;
	_cleanup_strv_ char **paths = NULL;
	_cleanup_free_ char *text = NULL;
	int r = image_find(s, TENANT, argv[1], &i, err);
	if (r == 0)
		return err_set(err, ERR_NOT_FOUND, "No such image: %s", argv[1]);
	if (r < 0)
		return r;
	if (strcmp(argv[0], "find") == 0)
		printf("%s\n", i->id);
	else if (strcmp(argv[0], "config") == 0)
		r = image_config_text(s, i->id, &text, err);
	else
		r = image_layer_paths(s, i, &paths, err);
	show(paths);
	if (text)
		printf("%s\n", text);
	return r;
}

static int stopped(void *ctx, const char *id, char *name, size_t size)
{
	const char *use = getenv("IMAGE_TOOL_IN_USE");
	(void) str_copy(name, size, "web");
	return use ? use[0] - '0' : 0;
}

static int do_rm(struct image_store *s, int argc, char **argv, struct err *err)
{
	_cleanup_strv_ char **untagged = NULL, **deleted = NULL;
	bool force = argc > 2 && strcmp(argv[1], "-f") == 0;
	int r = image_remove(s, TENANT, argv[argc - 1], force, stopped, NULL, &untagged, &deleted, err);
	STRV_FOREACH(u, untagged)
		printf("Untagged: %s\n", u);
	STRV_FOREACH(d, deleted)
		printf("Deleted: %s\n", d);
	return r;
}

static int do_tag(struct image_store *s, int argc, char **argv, struct err *err)
{
	return image_tag(s, TENANT, argv[1], argv[2], argv[3], err);
}

static int do_gc(struct image_store *s, int argc, char **argv, struct err *err)
{
	return image_gc(s, err);
}

static int write_stdout(void *ctx, const void *buf, size_t len)
{
	return write_all(1, buf, len);
}

static int do_save(struct image_store *s, int argc, char **argv, struct err *err)
{
	const struct image_sink sink = {.write = write_stdout};
	return image_save(s, TENANT, argv + 1, &sink, err);
}

static int do_usage(struct image_store *s, int argc, char **argv, struct err *err)
{
	struct image_usage u = {0};
	uint64_t total = 0;
	char id[DIGEST_TEXT_MAX];
	_cleanup_image_ struct image *i = NULL;
	int r = image_find(s, TENANT, argv[1], &i, err);
	if (r > 0)
		(void) str_copy(id, sizeof(id), i->id);
	if (r == 0)
		return err_set(err, ERR_NOT_FOUND, "No such image: %s", argv[1]);
	if (r >= 0)
		r = image_usage(s, TENANT, id, &u, err);
	if (r >= 0)
		r = image_usage_total(s, TENANT, &total, err);
	if (r >= 0)
		printf("%llu %llu %llu %llu\n", (unsigned long long) u.bytes, (unsigned long long) u.shared_bytes, (unsigned long long) u.shared_layer_bytes,
		       (unsigned long long) total);
	return r;
}

static const struct {
	const char *name;
	int args; /* at least, with the verb */
	int (*fn)(struct image_store *s, int argc, char **argv, struct err *err);
} verbs[] = {
	{"load", 2, do_load}, {"layout", 2, do_load}, {"import", 2, do_import}, {"list", 1, do_list}, {"find", 2, do_find},
	{"layers", 2, do_find}, {"config", 2, do_find}, {"rm", 2, do_rm}, {"tag", 4, do_tag}, {"gc", 1, do_gc},
	{"save", 2, do_save},   {"usage", 2, do_usage},
};

static int run(int argc, char **argv, struct err *err)
{
	struct db *db = NULL;
	struct image_store *s = NULL;
	char path[4096];
	(void) mkdir(argv[1], 0700);
	_cleanup_close_ int root = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return err_sys(err, -errno, "opening '%s'", argv[1]);
	(void) str_format(path, sizeof(path), "%s/coffer.db", argv[1]);
	int r = db_open(path, &db, err);
	const struct image_store_config cfg = {.root_fd = root, .db = db, .unpack_path = argv[2]};
	if (r >= 0)
		r = image_store_open(&cfg, &s, err);
	bool known = false;
	for (size_t i = 0; r >= 0 && i < ARRAY_LEN(verbs) && !known; i++)
		if (strcmp(argv[3], verbs[i].name) == 0 && argc - 3 >= verbs[i].args) {
			known = true;
			r = verbs[i].fn(s, argc - 3, argv + 3, err);
		}
	if (r >= 0 && !known)
		r = err_set(err, ERR_INVALID, "unknown verb '%s'", argv[3]);
	(void) image_store_free(s);
	(void) db_close(db);
	return r;
}

int main(int argc, char **argv)
{
	struct err err = {0};
	if (argc < 4)
		return 2;
	if (run(argc, argv, &err) < 0) {
		fprintf(stderr, "%s: %s\n", err_kind_name((enum err_kind) err.kind), err.msg);
		return 1;
	}
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared by the files of the image room only: the store, the work of one load, and the way to the unpacker.
 *
 * Invariants: (I1) what lies under blobs/ and layers/ is whole and verified. (I2) A load keeps all it makes below its own directory
 * in tmp/ and moves it out only in load_commit(), just before the rows are written. (I3) Loads hold images.lock shared, collection
 * holds it exclusive: nothing that a load has found or moved can be collected before its rows exist. (I4) A directory in tmp/ whose
 * flock is free belongs to nobody. (I5) partial/TENANT/HEX is what was fetched of a blob so far, by one process at a time (its flock); it
 * outlives the fetch that made it, and is hashed from its start before anything is added to it.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "db/db.h"
#include "image/image.h"
#include "image/unpack_proto.h"

#define IMAGE_LOCK "images.lock"
#define WORK_PREFIX "image-"
#define IMAGE_AGAIN WORK_PREFIX "again" /* nobody's directory: a collection is due */
#define IMAGE_DAMAGED "damaged" /* blobs that a check has put aside */

struct image_store {
	int root, blobs, layers, tmp, partial; /* root borrowed, others owned */
	struct db *db;                /* borrowed */
	char *root_path, *unpack_path; /* owned; absolute */
	int64_t parts_older_than_s; /* for the collection under way */
	atomic_bool gc_wanted; /* a work directory was found dead, or a collection was skipped */
	bool loaded;          /* something came in through this store: it may have replaced what nobody names now */
};

/** image_tidy_dead() - image_tidy(), unless nothing has died: what no row names stays to be seen. */
void image_tidy_dead(struct image_store *s);

/* Blobs (content.c). */
/** blob_open() - Return: fd, -ENOENT. */
int blob_open(struct image_store *s, const char *digest);
/** blob_hash() - digest and size of an open file, read from its start. */
int blob_hash(int fd, char ret_digest[DIGEST_TEXT_MAX], uint64_t *ret_size, struct err *err);

/* A directory of our own below tmp/, locked while we live (work.c). */
struct work {
	int store_lock; /* owned; images.lock, shared */
	int fd;         /* owned; the directory, flocked */
	char name[80];
	unsigned counter; /* of minted names */
};
int work_begin(struct image_store *s, struct work *ret, struct err *err);
/** work_mark() - the directory alone, empty: that its owner has something to do. */
int work_mark(struct image_store *s, struct work *ret, struct err *err);
/** image_gc_is_due() - somebody wanted to collect, and could not. */
bool image_gc_is_due(struct image_store *s);
/** work_end() - remove it with all that is left inside; collect when somebody wanted to meanwhile. */
void work_end(struct image_store *s, struct work *w);

/* Something that a load has made and will move into place. */
struct pending {
	char id[DIGEST_TEXT_MAX]; /* blob: digest; layer: chain id */
	int dir;                  /* borrowed; where @name is */
	char name[80];
	bool shared;              /* blobs of partial/: keeps that name until the rows are written, for others that wait for it */
	int fs;                   /* layers: owned fd of fs/; blobs: -EBADF */
	uint64_t size;
};
struct load {
	struct image_store *s;
	const char *tenant;
	const struct image_progress *progress; /* may be NULL */
	const struct image_permit *permit;     /* borrowed; may be NULL */
	struct work work;
	struct pending *blobs, *layers; /* owned */
	size_t n_blobs, n_layers;
	struct load_image *images; /* owned; to be registered */
	size_t n_images;
	const atomic_bool *cancel; /* borrowed; true: give up, NULL: never */
	atomic_bool stop;          /* one layer has failed: the others give up */
	pthread_mutex_t lock;      /* while layers are made by several threads: @work.counter, @layers, their @wanted, @progress */
	pthread_cond_t moved;      /* a layer was made, or @stop was set */
	const struct load_source *source; /* borrowed; where layers' bytes come from, NULL: blobs of this load or of the store */
};
/* Blobs that are still on their way (intake.c). */
struct load_source {
	/** open() - bytes of blob @digest to read from. Several may be read at once. *@ret_reading: for end(). Return: fd, owned by the caller; ERR_*. */
	int (*open)(void *ctx, const char *digest, uint64_t *ret_size, void **ret_reading, struct err *err);
	/** end() - the reader has closed; @r: how it went. Return: 0 the blob came whole and is what it claims; ERR_* (the cause, where there is a better one). */
	int (*end)(void *ctx, const char *digest, void *reading, int r, struct err *err);
	void *ctx;
};
struct load_layer {
	char diff_id[DIGEST_TEXT_MAX], chain[DIGEST_TEXT_MAX], blob[DIGEST_TEXT_MAX];
	uint64_t size;
	bool wanted; /* layers_make() will have it made, and it is not yet; under the load's lock */
};
/* One image in the making. */
struct load_image {
	char id[DIGEST_TEXT_MAX], manifest[DIGEST_TEXT_MAX]; /* manifest "" when there is none */
	char **names; /* owned; full "docker.io/library/x:tag" */
	int64_t created_ns;
	struct load_layer *layers; /* owned */
	size_t n_layers;
};

int load_begin(struct image_store *s, const char *tenant, const struct image_progress *p, struct load *ret, struct err *err);
void load_done(struct load *l);
/** load_blob() - a file of the work's directory @dir becomes a blob to be: hashed, and checked when @want is given. @ret: its digest. */
int load_blob(struct load *l, int dir, const char *name, const char *want, uint64_t want_size, char ret[DIGEST_TEXT_MAX], struct err *err);
/** load_text() - whole text of a blob, of this load or of the store. Hashed again. */
int load_text(struct load *l, const char *digest, size_t max, char **ret, size_t *ret_len, struct err *err);
/** load_add_image() - config @digest with the layers whose blobs are @blobs (in order); unpacks what is not there yet. @manifest_digest: may be NULL.
 *  @names: full references, copied. */
int load_add_image(struct load *l, const char *config_digest, const char *manifest_digest, char *const *blobs, char *const *names, struct err *err);
/** load_blob_fd() - open a blob of this load or of the store. */
int load_blob_fd(struct load *l, const char *digest, uint64_t *ret_size, struct err *err);
/** load_put_text() - text made here becomes a blob to be. @ret: its digest. */
int load_put_text(struct load *l, const char *text, size_t len, char ret[DIGEST_TEXT_MAX], struct err *err);
/** load_has() - among @v. Return: entry or NULL. */
struct pending *load_pending(struct pending *v, size_t n, const char *id);
int load_add_pending(struct pending **v, size_t *n, const struct pending *p, struct err *err);
/** load_commit() - one sync, everything into place, rows. *@ret_refs: what was loaded, for people. */
int load_commit(struct load *l, char ***ret_refs, struct err *err);
/** load_count() - for names minted below the work directory. */
unsigned load_count(struct load *l);
/** load_is_stopped() / load_cancelled() - has somebody said to give up? Return: what goes with it: -ECANCELED. */
bool load_is_stopped(const struct load *l);
int load_cancelled(struct err *err);
/** load_wait() - @l->lock held: wait for @l->moved, or a moment: who cancels does not know of us. */
void load_wait(struct load *l);
void load_report(struct load *l, const char *id, const char *status, uint64_t current, uint64_t total);

/* Layers (layer.c). */
/** layer_make() - have layer @layer on disk, unpacked over @below (base first, @n). Its diff id is proven, or filled in when it is "" (an import:
 *  then there is nothing below). Fills chain and size. */
int layer_make(struct load *l, struct load_layer *layer, const struct load_layer *below, size_t n, struct err *err);
/** layer_find() / layer_new() - its halves. layer_find() - Return: 1 it is there; 0 layer_new() is to make it, which any thread may do; ERR_*. */
int layer_find(struct load *l, struct load_layer *layer, const struct load_layer *below, size_t n, struct err *err);
int layer_new(struct load *l, struct load_layer *layer, const struct load_layer *below, size_t n, struct err *err);
/** layer_unpack() - the same whether the store has it or not: a pending layer of @l. */
int layer_unpack(struct load *l, struct load_layer *layer, const struct load_layer *below, size_t n, struct err *err);
/** layer_read_size() - of a layer in the store. Return: 1 there, 0 absent. */
int layer_read_size(struct image_store *s, const char *chain, uint64_t *ret);

/** layers_make() - layer_make() for each of an image's @n layers, several at once (layers.c). */
int layers_make(struct load *l, struct load_layer *layers, size_t n, struct err *err);

/* The members of an image archive, or the files of a layout directory (archive.c). */
struct archive {
	struct load *l;
	int dir;             /* owned; staged files, or the layout */
	bool layout;
	struct archive_member *v; /* owned, sorted by path once complete */
	size_t n, cap;
};
int archive_split(struct load *l, int fd, struct archive *ret, struct err *err);
int archive_layout(struct load *l, int dir_fd, struct archive *ret, struct err *err);
void archive_done(struct archive *a);
/** archive_get() - member @name as a file of the work: *@ret_dir (borrowed) and @ret_name. Links are followed by name only, inside the archive.
 *  Return: 1, 0 absent, ERR_*. */
int archive_get(struct archive *a, const char *name, int *ret_dir, char ret_name[48], struct err *err);
/** archive_text() - a small member's whole text. Return as archive_get(). */
int archive_text(struct archive *a, const char *name, size_t max, char **ret, size_t *ret_len, struct err *err);
int load_docker(struct archive *a, const char *text, size_t len, struct err *err);
int load_oci(struct archive *a, const char *text, size_t len, struct err *err);
/** load_oci_manifests() - an archive that is both (docker since 25): images that were loaded by manifest.json keep the manifest that index.json has
 *  for the very same blobs, and with it their digest. What does not fit is left alone. */
void load_oci_manifests(struct archive *a);

/* The unpacker (unpack_client.c). */
struct unpack_run {
	struct unpack_request req;
	int input, target;   /* borrowed */
	/** lower() - UNPACK_LOWER: *@ret: borrowed; fs/ of the @n layers below, topmost first. NULL: there are none. */
	int (*lower)(void *ctx, const int **ret, size_t *n, struct err *err);
	int (*member)(void *ctx, const struct unpack_msg *m, struct err *err); /* UNPACK_MEMBER */
	void (*progress)(void *ctx, uint64_t in, uint64_t out);
	void *ctx;
	const atomic_bool *cancel, *stop; /* borrowed; true ends it with -ECANCELED; NULL: never */
};
int unpack_run(struct image_store *s, const struct unpack_run *run, struct unpack_msg *ret_done, struct err *err);
/** lower_find() - look @path up as an overlay of @fds would; fills @m (UNPACK_FOUND). *@ret_fd: the file, when @want_fd and it is one. */
void lower_find(const int *fds, size_t n, const char *path, bool want_fd, struct unpack_msg *m, int *ret_fd);

/** row_has_layer() / row_has_blob() - does an image of @tenant name it? What others have is no reason not to fetch (R24). Return: 1, 0, ERR_*. */
int row_has_layer(struct image_store *s, const char *tenant, const char *chain, struct err *err);
int row_has_blob(struct image_store *s, const char *tenant, const char *digest, struct err *err);
/** row_has_pair() - was blob @blob unpacked to layer @chain once, whoever's it was? Return: the same. */
int row_has_pair(struct image_store *s, const char *chain, const char *blob, struct err *err);

/* Rows (rows.c). */
int rows_migrate(struct db *db, struct err *err);
/** rows_register() - in the caller's transaction: image, layers, names. */
int rows_register(struct image_store *s, const char *tenant, const struct load_image *i, struct err *err);

/** image_find_id() - the lookup of image_find() without reading the image. */
int image_find_id(struct image_store *s, const char *tenant, const char *ref, char ret_id[DIGEST_TEXT_MAX], struct err *err);


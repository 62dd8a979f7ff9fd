/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Images: a content store of blobs, layers unpacked once per chain id, and references. Blobs and layers exist only once
 * whole (temp name, hashed while streaming, renamed). Layers hold 0-based ids on disk (P3) and are unpacked by a confined
 * helper (coffer-unpack: own user namespace, no host capability, seccomp, rlimits; R4, R18). Every call takes the tenant.
 */
#pragma once

#include "base/err.h"
#include "base/str.h"
#include "spec/image.h"

struct db;
struct image_store;

struct image_store_config {
	int root_fd;             /* borrowed; /var/lib/coffer (blobs/, layers/, tmp/ are made below it, 0700) */
	struct db *db;           /* borrowed */
	const char *unpack_path; /* absolute path of coffer-unpack */
};

int image_store_open(const struct image_store_config *cfg, struct image_store **ret, struct err *err);
struct image_store *image_store_free(struct image_store *s);
/** image_tidy() - remove what loads and removals that died left behind; cheap when there is nothing (one directory is read). image_store_free() does it,
 *  too. */
void image_tidy(struct image_store *s);

struct image_progress {
	/** called from the loading thread; @id: short layer id or ""; @status: docker's words; @current/@total: bytes, total 0 = unknown */
	void (*fn)(void *ctx, const char *id, const char *status, uint64_t current, uint64_t total);
	void *ctx;
};

/* Who may refuse an archive once its kind is known, before anything is unpacked: "docker-archive" or "oci-archive". */
struct image_permit {
	/** Return: 0; ERR_*. */
	int (*fn)(void *ctx, const char *kind, struct err *err);
	void *ctx;
};
/** image_load() - read a docker-archive, an OCI archive or an OCI layout tar (plain, gzip or zstd) from @fd and register what it holds.
 *  @permit: NULL: everything is let in.
 *  *@ret_refs: owned strv of "name:tag" or "sha256:..." for what was loaded. On any error nothing new stays visible.
 *  Return: 0; ERR_CORRUPT/ERR_INVALID/ERR_QUOTA with member, what and where. */
int image_load(struct image_store *s, const char *tenant, int fd, const struct image_permit *permit, const struct image_progress *p, char ***ret_refs, struct err *err);
/** image_load_layout() - the same from an OCI layout directory. */
int image_load_layout(struct image_store *s, const char *tenant, int dir_fd, const struct image_progress *p, char ***ret_refs, struct err *err);
/** image_import() - one rootfs tar becomes a one-layer image. @ref: may be NULL; @changes: Dockerfile-like "CMD ...", "ENV ..." lines.
 *  *@ret_id: owned "sha256:...". */
int image_import(struct image_store *s, const char *tenant, int fd, const char *ref, const char *message, char *const *changes,
		 const struct image_progress *p, char **ret_id, struct err *err);

/* Where an archive goes: @write takes all of @len bytes and returns 0 or -errno. */
struct image_sink {
	int (*write)(void *ctx, const void *buf, size_t len);
	void *ctx;
};
/** image_save() - the images @refs (a name without a tag: all its tags) as one tar that is a docker archive and an OCI layout at once. Nothing is
 *  written before all of them are found. ERR_NOT_FOUND; ERR_CORRUPT when a blob was changed on disk; ERR_SYSTEM when the sink failed. */
int image_save(struct image_store *s, const char *tenant, char *const *refs, const struct image_sink *sink, struct err *err);

/* An image made of a container. */
struct image_commit {
	const char *parent;                 /* borrowed; full id of the image that the container was made of */
	const struct image_config *config;  /* borrowed; what runs: user, env, cmd, ...; the rest is the parent's */
	const char *author, *comment, *created_by, *ref; /* borrowed; NULL: none; @ref: "name[:tag]" */
	/** write the layer as a tar to @fd, a file */
	int (*write_layer)(void *ctx, int fd, struct err *err);
	void *ctx;
};
/** image_commit() - the parent's layers and one more. *@ret_id: owned "sha256:...". On any error nothing new stays visible. */
int image_commit(struct image_store *s, const char *tenant, const struct image_commit *c, char **ret_id, struct err *err);

/* What one image is. */
struct image {
	char *id;             /* owned; "sha256:<config digest>" */
	char **refs, **digests; /* owned; "name:tag", "name@sha256:..." */
	int64_t created_ns;   /* from the config, 0: none */
	uint64_t size_bytes;  /* unpacked */
	struct image_config *config; /* owned; empty when it cannot be read */
	char *damage;         /* owned; why the config cannot be read, NULL: it can */
	char **chain_ids;     /* owned; "sha256:...", base first */
	uint64_t *layer_bytes; /* owned; unpacked, parallel to chain_ids */
};
struct image *image_free(struct image *i);
void image_freep(struct image **i);
#define _cleanup_image_ _cleanup_(image_freep)

/** image_find() - by "name[:tag]", "name@digest", id or unique id prefix with or without "sha256:". Return: 1 found, 0 absent,
 *  ERR_INVALID for a malformed or ambiguous reference. */
int image_find(struct image_store *s, const char *tenant, const char *ref, struct image **ret, struct err *err);
/** image_is_current() - has @tenant image @id, with all its blobs and layers, under exactly this name: @ref's tag, and @digest under its repository? Return: 1,
 *  0, ERR_*. */
int image_is_current(struct image_store *s, const char *tenant, const struct image_ref *ref, const char *digest, const char *id, struct err *err);
/** image_list() - every image of @tenant. *@ret: owned NULL-terminated array of owned images. */
int image_list(struct image_store *s, const char *tenant, struct image ***ret, struct err *err);
/** image_add_digest() - image @id is known as @digest in @ref's repository from now on (it was pushed there). */
int image_add_digest(struct image_store *s, const char *tenant, const struct image_ref *ref, const char *digest, const char *id, struct err *err);
int image_tag(struct image_store *s, const char *tenant, const char *source, const char *repo, const char *tag, struct err *err);

/** image_remove() - docker's rmi: removes the reference; the image and its unshared layers when it was the last one.
 *  @in_use/@ctx: asked whether containers use image id; 1: yes (ERR_CONFLICT unless @force), 2: running (never).
 *  *@ret_untagged, *@ret_deleted: owned strv for the answer. */
int image_remove(struct image_store *s, const char *tenant, const char *ref, bool force, int (*in_use)(void *ctx, const char *image_id, char *name, size_t name_size),
		 void *ctx, char ***ret_untagged, char ***ret_deleted, struct err *err);

/** image_layer_paths() - absolute directories of the image's layers, topmost first, as an overlay wants them. */
int image_layer_paths(struct image_store *s, const struct image *i, char ***ret, struct err *err);
/** image_config_text() - the config blob's text (owned), for history and inspect. */
int image_config_text(struct image_store *s, const char *image_id, char **ret, struct err *err);
/* What an image takes on disk: its layers unpacked, and the blobs that they came as. */
struct image_usage {
	uint64_t bytes;              /* all of it */
	uint64_t shared_bytes;       /* that part which other images of the tenant need as well */
	uint64_t shared_layer_bytes; /* the same, unpacked layers alone */
};
int image_usage(struct image_store *s, const char *tenant, const char *id, struct image_usage *ret, struct err *err);
/** image_usage_total() - of all images of @tenant, what they share counted once. */
int image_usage_total(struct image_store *s, const char *tenant, uint64_t *ret, struct err *err);
/** image_gc() - remove temp files and layers that no image and no running load refers to; after a removal, and at close when a load has died. */
int image_gc(struct image_store *s, struct err *err);
/** image_drop_partial() - remove what was fetched of blobs and never finished, however new, and what a check has put aside: for prune. Not while something is loaded or pulled. */
int image_drop_partial(struct image_store *s, struct err *err);

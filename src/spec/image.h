/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OCI image-spec 1.1 documents (and docker's schema 2 twins) as structs: descriptor, manifest, index, config; and image
 * references. Bytes are hashed before they are parsed (R17); limits of threats.md section 3 hold: manifest <= 4 MiB, config <= 8 MiB,
 * index <= 1000 entries, at most 127 layers.
 */
#pragma once

#include "base/err.h"
#include "base/str.h"

#define DIGEST_TEXT_MAX 72 /* "sha256:" + 64 + NUL */
#define IMAGE_LAYERS_MAX 127

/** digest_is_valid() - exactly "sha256:" and 64 lower-case hex digits (the algorithms we accept). */
bool digest_is_valid(const char *s);

struct descriptor {
	char *media_type, *digest; /* owned */
	uint64_t size;
	char *os, *architecture, *variant; /* owned; platform, NULL: none */
	char *ref_name;     /* owned; annotation org.opencontainers.image.ref.name or io.containerd.image.name */
};
void descriptor_done(struct descriptor *d);

enum layer_coding { LAYER_PLAIN, LAYER_GZIP, LAYER_ZSTD, LAYER_CODING_INVALID_ = -22 };
/** layer_coding_from_media_type() - Return: enum layer_coding, or LAYER_CODING_INVALID_ for an unknown media type. */
int layer_coding_from_media_type(const char *media_type);
/** media_type_is_manifest() / media_type_is_index() - OCI's or docker's. NULL is neither. */
bool media_type_is_manifest(const char *t);
bool media_type_is_index(const char *t);

struct manifest {
	char *media_type; /* owned */
	struct descriptor config;
	struct descriptor *layers; /* owned */
	size_t n_layers;
};
struct image_index {
	struct descriptor *manifests; /* owned */
	size_t n;
};
/** manifest_parse() / index_parse() - refuse documents that hold both `layers` and `manifests` (CVE-2021-41190). */
int manifest_parse(const char *text, size_t len, struct manifest **ret, struct err *err);
struct manifest *manifest_free(struct manifest *m);
int image_index_parse(const char *text, size_t len, struct image_index **ret, struct err *err);
struct image_index *image_index_free(struct image_index *i);

struct history_entry {
	char *created_by, *comment, *author; /* owned */
	int64_t created_ns;
	bool empty_layer;
};
struct image_config {
	char *os, *architecture, *variant, *author; /* owned */
	int64_t created_ns;
	char *user, *working_dir, *stop_signal; /* owned; NULL: unset */
	char **env, **entrypoint, **cmd, **volumes, **exposed_ports; /* owned */
	char **label_keys, **label_values; /* owned, parallel */
	char *healthcheck_json; /* owned; raw object or NULL */
	char **diff_ids; /* owned */
	struct history_entry *history; /* owned */
	size_t n_history;
};
/** image_config_parse() - keys that could loosen confinement (HostConfig, SecurityOpt ...) are ignored: image content is data (R14). */
int image_config_parse(const char *text, size_t len, struct image_config **ret, struct err *err);
struct image_config *image_config_free(struct image_config *c);

/* A reference as docker reads it: defaults docker.io, library/, latest. */
struct image_ref {
	char *domain, *path, *tag, *digest; /* owned; tag NULL when only a digest was given */
};
/** image_ref_parse() - ERR_INVALID says which part breaks the grammar. Source: distribution/reference grammar. */
int image_ref_parse(const char *s, struct image_ref *ret, struct err *err);
void image_ref_done(struct image_ref *r);
/** image_ref_familiar() - "busybox:latest", "host:5000/a/b:tag": as people write it. Caller frees; NULL when out of memory. */
char *image_ref_familiar(const struct image_ref *r);
/** image_ref_full() - "docker.io/library/busybox:latest". */
char *image_ref_full(const struct image_ref *r);
/** chain_id() - next chain id from the parent's (NULL for the first layer) and a diff id. @ret: DIGEST_TEXT_MAX bytes. */
int chain_id(const char *parent, const char *diff_id, char ret[DIGEST_TEXT_MAX]);

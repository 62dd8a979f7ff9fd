/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is kept of a container between two invocations: state.json in its directory. Our own shape, read back strictly: whoever can write
 * there is who runs the runtime, but a file torn by a full disk must be an error and not a signal to pid 0.
 */
#pragma once

#include <sys/types.h>

#include "base/err.h"
#include "base/str.h"
#include "spec/runtime.h"

#define RECORD_BYTES_MAX (1u << 20)
#define RECORD_VERSION 1

struct record {
	char *oci_version; /* owned; of the document */
	char *id;          /* owned */
	pid_t pid;         /* of init, > 0, in the pid namespace of who made it */
	uint64_t start_ticks; /* of init: with it a reused pid is told apart */
	int64_t created_ns; /* since the epoch */
	uint32_t owner;    /* uid of who made it */
	char *bundle, *rootfs; /* owned; absolute */
	char *cgroup_path; /* owned; as sandbox_started.cgroup_path, "": none */
	bool systemd_cgroup; /* the cgroup is a scope of systemd's */
	bool private_pids; /* init's end is the end of all: it has a pid namespace of its own */
	bool has_poststart, has_poststop; /* hooks: whether config.json has to be read for them */
	struct keyval *annotations; /* owned */
	size_t n_annotations;
};

/** record_parse() - Return: 0 with *@ret owned by the caller (record_free); ERR_CORRUPT naming the field. */
int record_parse(const char *text, size_t len, struct record **ret, struct err *err);
/** record_write() - as JSON into @out. Return: 0 or <0 with @err. */
int record_write(const struct record *r, struct strbuf *out, struct err *err);
struct record *record_free(struct record *r);
void record_freep(struct record **r);
#define _cleanup_record_ _cleanup_(record_freep)

/** container_id_check() - R16: [a-zA-Z0-9_+.-], at most 1024, neither "." nor "..". Return: 0 or ERR_INVALID. */
int container_id_check(const char *id, struct err *err);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of this room share: one invocation's global options, and what its commands call.
 */
#pragma once

#include <limits.h>

#include "base/err.h"
#include "base/flag.h"
#include "base/str.h"
#include "oci/command.h"
#include "spec/runtime.h"

enum oci_log_level { OCI_LOG_ERROR, OCI_LOG_WARN, OCI_LOG_INFO, OCI_LOG_DEBUG };

/* Global options, and what follows from them. */
struct oci {
	char root[PATH_MAX]; /* absolute; where the containers' directories are */
	unsigned sandbox_flags; /* enum sandbox_flags */
	const char *log_file;   /* borrowed; NULL: stderr */
	bool log_json;
	enum oci_log_level log_level;
	int fail_code; /* exit code of a failure */
};

/** oci_log() - one line to --log, or to stderr without it; levels above --log-level are dropped. */
void oci_log(const struct oci *o, enum oci_log_level level, const char *fmt, ...) _printf_(3, 4);
/** oci_fail() - a failure: to --log, and as one plain line to stderr. */
void oci_fail(const struct oci *o, const char *message);
/** oci_log_level_parse() - "debug", "info", "warning", "warn", "error", "fatal", "panic". Return: level or -EINVAL. */
int oci_log_level_parse(const char *s);

/** oci_warn_ungranted() - a warning for each capability of @p that this host cannot grant. @own_userns: in a new user namespace, or one that was joined. */
void oci_warn_ungranted(const struct oci *o, const struct process_spec *p, bool own_userns);
/** oci_help() / oci_help_command() - to stdout. */
void oci_help(void);
void oci_help_command(const struct oci_command *c);

/** oci_print() - all of @b to stdout, in one write where the kernel lets us. Return: 0; <0 with @err (a text cut short by memory, a closed stdout). */
int oci_print(const struct strbuf *b, struct err *err);

/** oci_root_default() - into @o->root: /run/coffer-oci, or below XDG_RUNTIME_DIR when we are not the host's root. */
int oci_root_default(struct oci *o, struct err *err);
/** oci_is_rootless() - not uid 0, or in a user namespace that does not map every id. */
bool oci_is_rootless(void);

/* One row a command, each in the file of its noun. */
extern const struct oci_command oci_create, oci_start, oci_state, oci_kill, oci_delete, oci_run, oci_exec, oci_list, oci_ps, oci_pause, oci_resume, oci_update,
	oci_events, oci_spec, oci_features;

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The operator's file, /etc/coffer/daemon.json: docker's key names where docker has them. `coffer` (with its embedded engine) and
 * `cofferd` read the same file; what is the daemon's alone means nothing to the other. Every key is checked and named in errors; one of
 * docker's that is not there yet is refused, never ignored.
 */
#pragma once

#include "base/err.h"
#include "codec/json.h"
#include "engine/engine.h"
#include "network/network.h"

#define DAEMON_JSON "/etc/coffer/daemon.json"

struct daemon_config {
	struct json *doc; /* owned; NULL: there is no file. The strings below are its */
	char **hosts;     /* owned strv; "unix:///PATH" or "fd://"; NULL: the default */
	const char *group, *pidfile, *log_level, *data_root, *exec_root; /* NULL: unset */
	bool debug;
	const char *userns_remap, *selinux_process_type, *selinux_file_type;
	const char *log_driver; /* borrowed from @doc */
	const struct json *log_opts; /* the same */
	bool allow[ALLOW_MAX_]; /* by enum engine_allow */
	const struct json *runtimes;
	char **insecure_registries, **registry_mirrors; /* owned strv */
	const char *http_proxy, *https_proxy, *no_proxy; /* of "proxies" */
	const char *signature_policy;
	struct network_words networks; /* borrowed from @doc */
};

/** daemon_config_read() - @path, which need not exist unless @must. Return: 0; ERR_INVALID "FILE: KEY: ..."; ERR_SYSTEM. */
int daemon_config_read(const char *path, bool must, struct daemon_config *ret, struct err *err);
void daemon_config_done(struct daemon_config *c);

/** daemon_host_check() - is @host a place to listen on? @what: names it in errors. */
int daemon_host_check(const char *what, const char *host, struct err *err);
/** daemon_log_level_check() - docker's levels: debug, info, warn, error, fatal. */
int daemon_log_level_check(const char *what, const char *level, struct err *err);

/* A key, for the manual page. */
struct daemon_key {
	const char *name, *kind, *help;
};
/** daemon_key() - the @i-th one that is understood. Return: false past the last. */
bool daemon_key(size_t i, struct daemon_key *ret);

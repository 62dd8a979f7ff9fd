/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the embedded engine lives and what the operator allows: environment variables for tests and the curious, the operator's
 * /etc/coffer/daemon.json, and the place of this program for the helpers beside it.
 */
#pragma once

#include <limits.h>

#include "cmd/coffer/daemon_json.h"
#include "engine/engine.h"

struct settings {
	struct engine_config engine; /* points into what follows and into the environment */
	char self[PATH_MAX], libexec[PATH_MAX];
	struct daemon_config daemon; /* owned */
};

/** settings_read() - @config_file: in place of /etc/coffer/daemon.json, and must exist; NULL: that one, if it does. Return: 0; ERR_INVALID naming the variable or the file's key; ERR_SYSTEM. */
int settings_read(struct settings *s, const char *config_file, struct err *err);
void settings_done(struct settings *s);

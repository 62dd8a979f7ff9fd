/* SPDX-License-Identifier: Apache-2.0 */
/* Calls that have the engine talk to a registry, with the user's credentials: pull (also of run and create), push. */
#pragma once

#include <stdio.h>

#include "cli/call.h"

/** pull_image() - have the engine pull @ref; progress on @out (NULL: none). @all: every tag. @platform: NULL: the host's. Return: 0; ERR_* in the engine's words. */
int pull_image(struct cli *cli, const char *ref, const char *platform, bool all, FILE *out, struct err *err);
/** registry_post() - POST @target with the credentials for image @ref's registry, the answer's progress on @out (NULL: none). */
int registry_post(struct cli *cli, const struct strbuf *target, const char *ref, FILE *out, struct err *err);
/** registry_get() - GET @target in the same way, its answer parsed. *@ret: owned. */
int registry_get(struct cli *cli, const struct strbuf *target, const char *ref, struct json **ret, struct err *err);

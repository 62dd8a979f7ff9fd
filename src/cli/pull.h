/* SPDX-License-Identifier: Apache-2.0 */
/* Pulling, for the command of that name and for run and create. */
#pragma once

#include <stdio.h>

#include "cli/call.h"

/** pull_image() - have the engine pull @ref; progress on @out (NULL: none). @all: every tag. @platform: NULL: the host's. Return: 0; ERR_* in the engine's words. */
int pull_image(struct cli *cli, const char *ref, const char *platform, bool all, FILE *out, struct err *err);

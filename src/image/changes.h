/* SPDX-License-Identifier: Apache-2.0 */
/* The Dockerfile-like lines that import (and commit) take: CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, USER, VOLUME, WORKDIR, STOPSIGNAL. */
#pragma once

#include "spec/image.h"

/** changes_apply() - read each line into @c. ERR_INVALID names the line and what is wrong with it. */
int changes_apply(struct image_config *c, char *const *lines, struct err *err);

/* SPDX-License-Identifier: Apache-2.0 */
/* What is common to the configs that are made here: of an import, of a commit. */
#pragma once

#include "codec/json.h"
#include "spec/image.h"

#if defined(__x86_64__)
#define HOST_ARCH "amd64"
#else
#define HOST_ARCH "arm64"
#endif

/** config_write_run() - the `config` object of @c: what runs. */
void config_write_run(struct json_writer *w, const struct image_config *c);
/** name_for_new() - @ref ("name[:tag]"; NULL and "": none) in full, appended to @names. @what: "imported". ERR_INVALID. */
int name_for_new(const char *ref, const char *what, char ***names, struct err *err);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Our AppArmor profile. Every container has one of its own name, coffer-default-N, with the same rules: what AppArmor lets processes do to
 * each other (ptrace, signals) it lets them do within one profile, so that two containers share nothing. N is reserved in the
 * database for the container's life and given again, so that a profile is compiled once and loaded once per boot.
 *
 *   STATE/apparmor/NAME      the text, as it was compiled
 *   STATE/apparmor/NAME.bin  what apparmor_parser made of it
 *   RUN/apparmor/NAME        the text as it was loaded in this boot
 */
#pragma once

#include "base/err.h"
#include "base/str.h"

struct engine;

#define APPARMOR_DEFAULT "coffer-default"
#define APPARMOR_UNCONFINED "unconfined"

/** apparmor_name_check() - may a request name @profile? ERR_INVALID for what cannot be a name, ERR_DENIED for another container's. */
int apparmor_name_check(const char *profile, struct err *err);
/** apparmor_text() - the source of profile @name into @out. @abi: the parser's ABI file is there to be included. Return: 0 or -errno of the buffer. */
int apparmor_text(const char *name, const char *kernel, bool abi, struct strbuf *out);
/** apparmor_load_default() - our profile @name is loaded and up to date. ERR_UNSUPPORTED when it has to be compiled and apparmor_parser is missing. */
int apparmor_load_default(struct engine *e, const char *name, struct err *err);
/** apparmor_require() - @profile, somebody else's, is loaded. ERR_NOT_FOUND naming it. */
int apparmor_require(const char *profile, struct err *err);

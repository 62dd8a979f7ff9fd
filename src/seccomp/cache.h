/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compiled filters on disk, so that a container start neither parses nor compiles. One file of raw struct sock_filter per
 * (profile, environment), and beside it NAME.sum, one line: version, length, checksum, SHA-256 and flags of the filter. The
 * sum is written first; a filter that is missing, torn or not a valid program is built again. The name of a filter from the
 * default profile says its inputs and costs no hash; that of another profile is a SHA-256 over them.
 * The directory belongs to root alone (0700): the checksum is against accidents, not against its owner.
 */
#pragma once

#include "seccomp/compile.h"

#define SECCOMP_CACHE_NAME_MAX 96

struct seccomp_source {
	const char *json; /* borrowed; profile text; NULL: our default profile */
	size_t len;
	const char *what; /* borrowed; names @json in errors */
};

struct seccomp_filter {
	char name[SECCOMP_CACHE_NAME_MAX]; /* of the file below the cache directory */
	char hash[64 + 1]; /* hex SHA-256 of the filter's bytes */
	size_t len; /* bytes */
	uint32_t flags; /* SECCOMP_FILTER_FLAG_* that the profile asks for */
	bool built; /* it was not in the cache */
};

/** seccomp_filter_get() - the compiled filter of @src for @env below @cache_dfd (borrowed; a directory of ours), from the cache or built
 *  into it. Concurrent callers are fine: names appear by rename, and equal names hold equal bytes.
 *  Return: 0 with *@ret; errors of seccomp_profile_parse() and seccomp_compile(); ERR_SYSTEM. About 20 us when cached. */
int seccomp_filter_get(int cache_dfd, const struct seccomp_source *src, const struct seccomp_env *env, struct seccomp_filter *ret,
		       struct err *err);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The user's credentials for registries: docker's config.json (in DOCKER_CONFIG or ~/.docker), and the credential helpers that it names. Read for pull
 * and push, written by login and logout; keys that mean nothing here stay as they are.
 */
#pragma once

#include "base/err.h"
#include "base/str.h"

struct credentials {
	char *username, *password, *identity_token; /* owned; NULL: none; wiped when freed */
};
void credentials_done(struct credentials *c);
#define _cleanup_credentials_ _cleanup_(credentials_done)

/** credentials_server() - the key for the registry of image @ref: "https://index.docker.io/v1/", or host[:port]. *@ret: owned. */
int credentials_server(const char *ref, char **ret, struct err *err);
/** credentials_read() - for @server. Return: 1 found, 0 none, ERR_* (a config that cannot be read, a helper that failed). */
int credentials_read(const char *server, struct credentials *ret, struct err *err);
/** credentials_header() - the line "X-Registry-Auth: ...\r\n" into @out. @c: NULL: none. */
void credentials_header(const char *server, const struct credentials *c, struct strbuf *out);
/** credentials_write() - keep @c for @server. *@ret_plain: they lie in the file unencrypted; *@ret_path: of the file, owned. */
int credentials_write(const char *server, const struct credentials *c, bool *ret_plain, char **ret_path, struct err *err);
/** credentials_erase() - Return: 1 there were some, 0 none, ERR_*. */
int credentials_erase(const char *server, struct err *err);

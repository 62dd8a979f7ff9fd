/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of coffer-fetch. Links libcurl, so it is dynamic. */
#pragma once

#include "fetch/proto.h"

/* What came before confinement. */
struct fetch_secrets {
	char *ca, *cert, *key; /* owned; PEM, NULL: none */
	size_t ca_len, cert_len, key_len;
};

/** fetch_prepare() - what libcurl and the TLS library want to have done while files can still be opened freely. */
int fetch_prepare(struct err *err);
/** fetch_confine() - give up everything that a network client does not need: ids of nobody, no capability, no_new_privs, no writing to files, no
 *  execve, a seccomp allow-list. Return: 0; ERR_SYSTEM naming the step (then nothing is fetched). */
int fetch_confine(struct err *err);
/** fetch_serve() - answer requests on descriptor 3 until its other end is closed. Return: exit code. */
int fetch_serve(const struct fetch_setup *setup, const struct fetch_secrets *secrets);

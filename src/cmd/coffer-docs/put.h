/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files below the directory that a generator fills. Each prints why it failed.
 */
#pragma once

#include <stddef.h>

#include "cmd/coffer-docs/roff.h"

/** complain() - "coffer-docs: @what: ..." on stderr. Return: @r. */
int complain(const char *what, int r);
/** put() - the file @path below @dfd, its directories made. Return: 0 or -errno. */
int put(int dfd, const char *path, const char *text, size_t len);
/** put_page() - into man/manN/; takes the page's buffer. */
int put_page(int dfd, struct page *p);
/** put_main() - "PROGRAM DIR STAMP": @all fills DIR, then the stamp is made. Return: exit code. */
int put_main(int argc, char **argv, int (*all)(int dfd));

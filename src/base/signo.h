/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signals by the names and numbers that people write.
 */
#pragma once

#include "base/err.h"

/** signal_parse() - "TERM", "SIGTERM", "sigterm", "15", "RTMIN+3". Real-time signals count from 34, as the kernel's do. Return: 1..64 or ERR_INVALID. */
int signal_parse(const char *s, struct err *err);

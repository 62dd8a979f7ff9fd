/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Logging to stderr, one line a message. Only main(), the end of an API request and the monitor's loop log failures; lower
 * rooms speak at debug. COFFER_DEBUG=1 turns debug on.
 */
#pragma once

#include "base/macro.h"

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/** log_set_level() - messages above @level are dropped (default: LOG_LEVEL_WARN). */
void log_set_level(enum log_level level);
void log_msg(enum log_level level, const char *fmt, ...) _printf_(2, 3);
#define log_error(...) log_msg(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...) log_msg(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...) log_msg(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_msg(LOG_LEVEL_DEBUG, __VA_ARGS__)

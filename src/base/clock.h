/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Time: one clock type in microseconds for durations and deadlines, nanoseconds since the epoch for what people and the
 * Engine API see.
 */
#pragma once

#include "base/macro.h"

typedef uint64_t usec_t; /* CLOCK_MONOTONIC unless a name says otherwise */
#define USEC_PER_SEC ((usec_t) 1000000)
#define USEC_PER_MSEC ((usec_t) 1000)
#define NSEC_PER_SEC ((int64_t) 1000000000)
#define TIME_RFC3339_MAX 40

usec_t now_usec(void);
/** now_ns() - CLOCK_REALTIME, ns since the epoch. */
int64_t now_ns(void);
/** time_format_rfc3339() - "2026-11-23T20:36:13.123456789Z" (trailing zeros of the fraction dropped, as Go's RFC3339Nano does;
 *  fixed nine digits when @fixed). 0 prints Go's zero time 0001-01-01T00:00:00Z. @buf >= TIME_RFC3339_MAX. Return: @buf. */
char *time_format_rfc3339(char *buf, int64_t ns, bool fixed);
/** time_parse_rfc3339() - the reverse, any offset. Return: 0 or -EINVAL. */
int time_parse_rfc3339(const char *s, int64_t *ret_ns);
/** time_parse_when() - what --since/--until take: unix seconds "1700000000[.nsec]", RFC 3339 with or without zone and time, or a
 *  Go duration before @now such as "10m" or "1h30m". Return: 0 or -EINVAL. */
int time_parse_when(const char *s, int64_t now, int64_t *ret_ns);
/** time_parse_duration() - Go duration: "1h2m3.5s", "10ms", "300us". Return: 0 or -EINVAL. */
int time_parse_duration(const char *s, int64_t *ret_ns);
/** time_format_ago() - docker's words: "Less than a second", "3 seconds", "About a minute", "2 hours". Return: @buf. */
char *time_format_ago(char *buf, size_t size, int64_t ns);

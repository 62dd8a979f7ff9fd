/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages as runc writes them: callers read them. containerd's go-runc and Podman take the last "error" entry of a JSON log for the reason
 * of a failure, so "level", "msg" and an RFC 3339 "time" are there by these names.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "codec/json.h"
#include "oci/internal.h"

#define LINE_MAX_BYTES 4096

static const char *const level_names[] = {[OCI_LOG_ERROR] = "error", [OCI_LOG_WARN] = "warning", [OCI_LOG_INFO] = "info", [OCI_LOG_DEBUG] = "debug"};

int oci_log_level_parse(const char *s)
{
	static const struct {
		const char *name;
		enum oci_log_level level;
	} rows[] = {
		{"panic", OCI_LOG_ERROR}, {"fatal", OCI_LOG_ERROR}, {"error", OCI_LOG_ERROR}, {"warning", OCI_LOG_WARN}, {"warn", OCI_LOG_WARN},
		{"info", OCI_LOG_INFO},   {"debug", OCI_LOG_DEBUG}, {"trace", OCI_LOG_DEBUG},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (str_eq(rows[i].name, s))
			return (int) rows[i].level;
	return -EINVAL;
}

static void write_json(struct strbuf *b, const char *level, const char *time, const char *msg)
{
	struct json_writer w;
	jw_init(&w, b);
	jw_obj(&w, NULL);
	jw_str(&w, "level", level);
	jw_str(&w, "msg", msg);
	jw_str(&w, "time", time);
	jw_end(&w);
}

/* logrus' text form; a message stays one line whatever is in it */
static void write_text(struct strbuf *b, const char *level, const char *time, const char *msg)
{
	strbuf_addf(b, "time=\"%s\" level=%s msg=\"", time, level);
	for (const char *c = msg; *c; c++) {
		if (*c == '"' || *c == '\\')
			strbuf_addc(b, '\\');
		if (*c == '\n')
			strbuf_adds(b, "\\n");
		else
			strbuf_addc(b, (unsigned char) *c < 0x20 ? '?' : *c);
	}
	strbuf_addc(b, '"');
}

/* A log that cannot be written must not fail the command: what it says still goes to stderr. */
static int log_open(const char *path)
{
	if (!path)
		return -EBADF;
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW, 0644);
	return fd < 0 ? -errno : fd;
}

static void emit(const struct oci *o, enum oci_log_level level, const char *msg, int fd)
{
	_cleanup_strbuf_ struct strbuf b = STRBUF_INIT(LINE_MAX_BYTES);
	char time[TIME_RFC3339_MAX];
	(void) time_format_rfc3339(time, now_ns() / NSEC_PER_SEC * NSEC_PER_SEC, false);
	(o->log_json ? write_json : write_text)(&b, level_names[level], time, msg);
	strbuf_addc(&b, '\n');
	if (strbuf_err(&b) == 0)
		(void) write_all(fd, b.s, b.len); /* nobody to tell */
}

void oci_log(const struct oci *o, enum oci_log_level level, const char *fmt, ...)
{
	if (level > o->log_level)
		return;
	char msg[1024];
	va_list ap;
	va_start(ap, fmt);
	(void) vsnprintf(msg, sizeof(msg), fmt, ap);
	va_end(ap);
	_cleanup_close_ int fd = log_open(o->log_file);
	emit(o, level, msg, fd >= 0 ? fd : STDERR_FILENO);
}

void oci_fail(const struct oci *o, const char *message)
{
	_cleanup_close_ int fd = log_open(o->log_file);
	if (fd >= 0)
		emit(o, OCI_LOG_ERROR, message, fd);
	else if (o->log_json) {
		emit(o, OCI_LOG_ERROR, message, STDERR_FILENO);
		return;
	}
	char line[1100];
	int n = snprintf(line, sizeof(line), "coffer-oci: %s", message);
	size_t len = MIN(n > 0 ? (size_t) n : 0, sizeof(line) - 2);
	for (size_t i = 0; i < len; i++)
		line[i] = line[i] == '\n' ? ' ' : line[i];
	line[len++] = '\n';
	(void) write_all(STDERR_FILENO, line, len); /* nobody to tell */
}

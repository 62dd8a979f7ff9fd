/* SPDX-License-Identifier: Apache-2.0 */
#include "monitor/log.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"

#define RECORD_FRAME 256 /* everything of a record but its text and its attributes; also a whole notice */

static_assert(LOG_OUT_SIZE >= 6 * LOG_LINE_MAX + 3 * (RECORD_FRAME + LOG_ATTRS_MAX), "the largest record and the notice before it fit");

int log_open(struct log *l, int dir_fd, const struct log_options *o)
{
	size_t attrs = o->attrs ? strlen(o->attrs) : 0;
	if (attrs > sizeof(l->attrs))
		return -E2BIG;
	l->dir_fd = dir_fd;
	l->fd = -EBADF;
	l->format = o->format;
	l->max_bytes = o->max_bytes;
	l->max_files = o->max_files;
	l->compress = l->rotated = o->compress;
	memcpy(l->attrs, o->attrs ? o->attrs : "", attrs);
	l->attrs_len = (uint32_t) attrs;
	return log_file_open(l);
}

void log_close(struct log *l)
{
	l->fd = safe_close(l->fd);
	l->dir_fd = -EBADF;
}

/* a record that was cut short by a full disk would spoil the next one */
static void cut_to_size(struct log *l)
{
	l->unclean = ftruncate(l->fd, (off_t) l->size) < 0;
}

void log_flush(struct log *l)
{
	if (!l->out_len)
		return;
	size_t len = l->out_len, done = 0;
	l->out_len = 0;
	if (l->unclean)
		cut_to_size(l);
	while (l->fd >= 0 && !l->unclean && done < len) {
		ssize_t n = write(l->fd, l->out + done, len - done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		done += (size_t) n;
	}
	bool notice = l->notice;
	l->notice = false;
	if (done == len) {
		l->size += len;
		if (notice)
			l->dropped = 0;
		return;
	}
	uint64_t written, lost;
	size_t whole = l->format->whole(l->out, done, &written);
	(void) l->format->whole(l->out + whole, len - whole, &lost); /* all of them are */
	l->size += whole;
	if (notice && whole)
		l->dropped = 0;
	l->dropped += lost - (notice && !whole ? 1 : 0);
	if (l->fd >= 0 && done > whole)
		cut_to_size(l);
}

const char *log_stamp(struct log *l, int64_t time_ns)
{
	if (l->stamp_ns != time_ns || !l->stamp[0]) {
		(void) time_format_rfc3339(l->stamp, time_ns, /* fixed= */ true);
		l->stamp_ns = time_ns;
	}
	return l->stamp;
}

/* Says what is missing, as the first record of a batch. */
static void encode_notice(struct log *l, int64_t time_ns)
{
	static const char head[] = "coffer: records lost because the log could not be written: ";
	char text[sizeof(head) + 20], *p = text + sizeof(text);
	uint64_t n = l->dropped;
	do
		*--p = (char) ('0' + n % 10);
	while (n /= 10);
	p -= sizeof(head) - 1;
	memcpy(p, head, sizeof(head) - 1);
	l->out_len = (uint32_t) l->format->encode(l, l->out, LOG_STDERR, (uint8_t *) p, (size_t) (text + sizeof(text) - p), true, time_ns);
	l->notice = true;
}

static void record(struct log *l, enum log_stream stream, const uint8_t *s, size_t len, bool newline, int64_t time_ns)
{
	if (LOG_OUT_SIZE - l->out_len < 6 * len + 2 * (RECORD_FRAME + l->attrs_len))
		log_flush(l);
	if (l->dropped && !l->out_len)
		encode_notice(l, time_ns);
	size_t n = l->format->encode(l, l->out + l->out_len, stream, s, len, newline, time_ns);
	uint64_t before = l->size + l->out_len;
	if (l->max_bytes && before > 0 && before + n > l->rotate_at) {
		uint32_t held = l->out_len;
		log_flush(l);
		log_rotate(l);
		memmove(l->out, l->out + held, n);
	}
	l->out_len += (uint32_t) n;
}

/* how much of a full buffer to record, so that a UTF-8 sequence is not cut in two */
static size_t split_at(const uint8_t *s, size_t len)
{
	for (size_t back = 1; back <= 3 && back < len; back++)
		if (s[len - back] >= 0xc0)
			return log_utf8_len(s + len - back, back) < 0 ? len - back : len;
	return len;
}

/* record @len bytes that end a line or fill the buffer; @s may be the buffer itself */
static void end_line(struct log *l, enum log_stream stream, const uint8_t *s, size_t len, bool newline)
{
	struct log_line *line = &l->line[stream];
	record(l, stream, s, len, newline, line->time_ns);
	line->partial = !newline;
}

/* take what fits of @buf, and record the line if that completed or filled it. Return: bytes taken. */
static size_t take(struct log *l, enum log_stream stream, const uint8_t *buf, size_t len)
{
	struct log_line *line = &l->line[stream];
	size_t room = LOG_LINE_MAX - line->len, n = MIN(len, room);
	const uint8_t *nl = memchr(buf, '\n', n);
	if (nl)
		n = (size_t) (nl - buf);
	if (!line->len && (nl || n == LOG_LINE_MAX)) { /* the usual case: straight from the reader's buffer */
		size_t cut = nl ? n : split_at(buf, n);
		end_line(l, stream, buf, cut, nl);
		return cut + (nl ? 1 : 0);
	}
	memcpy(line->text + line->len, buf, n);
	line->len += (uint32_t) n;
	if (nl || line->len == LOG_LINE_MAX) {
		size_t cut = nl ? line->len : split_at(line->text, line->len);
		end_line(l, stream, line->text, cut, nl);
		memmove(line->text, line->text + cut, line->len - cut);
		line->len -= (uint32_t) cut;
	}
	return n + (nl ? 1 : 0);
}

void log_add(struct log *l, enum log_stream stream, const uint8_t *buf, size_t len, int64_t time_ns)
{
	if (l->dir_fd < 0)
		return;
	struct log_line *line = &l->line[stream];
	while (len) {
		if (!line->len && !line->partial)
			line->time_ns = time_ns;
		size_t n = take(l, stream, buf, len);
		buf += n;
		len -= n;
	}
}

void log_end(struct log *l, enum log_stream stream)
{
	struct log_line *line = &l->line[stream];
	if (l->dir_fd < 0)
		return;
	if (line->len)
		end_line(l, stream, line->text, line->len, /* newline= */ false);
	line->len = 0;
	line->partial = false;
	log_flush(l);
}

static void drop_pages(void *p, size_t len)
{
	uintptr_t from = ((uintptr_t) p + 4095) & ~(uintptr_t) 4095, to = ((uintptr_t) p + len) & ~(uintptr_t) 4095;
	if (to > from)
		(void) madvise((void *) from, to - from, MADV_DONTNEED); /* best effort: only memory is at stake */
}

void log_trim(struct log *l)
{
	if (!l->out_len)
		drop_pages(l->out, sizeof(l->out));
	for (int i = 0; i < LOG_STREAMS; i++)
		if (!l->line[i].len)
			drop_pages(l->line[i].text, sizeof(l->line[i].text));
}

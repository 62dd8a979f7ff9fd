/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log of one container, as docker writes it: "json.log" of the json-file driver, a record per line,
 * {"log":"text\n","stream":"stdout","attrs":{..},"time":"2026-..Z"}; or "local.log" of the local driver, each record between two lengths (log_local.c).
 *  - A line longer than LOG_LINE_MAX is split; only its last record ends in "\n", and all carry the time of the first. So does text without
 *    a newline at the end of a stream: it is recorded without one. A split never cuts a UTF-8 sequence in two.
 *  - Bytes that are not UTF-8 become U+FFFD in json.log.
 *  - Records of one batch are written together. "json.log" becomes "json.log.1" and so on before it would grow over its limit; a record is
 *    never split over files. Rotated files are compressed on the side (log_files.c), "json.log.1" to "json.log.1.gz".
 *  - A full disk never stops or blocks the container: records that cannot be written are counted, no half record stays, and the first
 *    write that succeeds is preceded by a record that says how many are missing.
 */
#pragma once

#include "base/clock.h"
#include "monitor/proto.h"

#define LOG_LINE_MAX 16384
#define LOG_OUT_SIZE (128 * 1024) /* holds the largest record whole: 6 bytes for each of its text, and its frame */
#define LOG_ATTRS_MAX MONITOR_LOG_ATTRS_MAX

enum log_stream { LOG_STDOUT, LOG_STDERR, LOG_STREAMS };

struct log_line {
	uint32_t len;       /* bytes of an unfinished line in text */
	bool partial;       /* its beginning has been recorded already */
	int64_t time_ns;    /* of its beginning */
	uint8_t text[LOG_LINE_MAX];
};

struct log;

/* How records look in the file. */
struct log_format {
	const char *name; /* of the file */
	/** encode() - one record of @len bytes into @out, which has room for 6 * @len and a frame. Return: bytes written. */
	size_t (*encode)(struct log *l, uint8_t *out, enum log_stream stream, const uint8_t *s, size_t len, bool newline, int64_t time_ns);
	/** whole() - how many of @len encoded bytes are whole records, and how many records that are. */
	size_t (*whole)(const uint8_t *p, size_t len, uint64_t *ret_records);
};
extern const struct log_format log_json, log_local;

struct log_options {
	const struct log_format *format;
	uint64_t max_bytes; /* rotate above this; 0: never */
	uint32_t max_files; /* how many to keep, >= 1 */
	bool compress;      /* those that were rotated */
	const char *attrs;  /* JSON object that every record of json.log carries; "" or NULL: none */
};

/* Lives in zeroed pages of the monitor, most of which are touched only when there is output. */
struct log {
	int dir_fd;         /* borrowed; -EBADF: there is no log and every call does nothing */
	int fd;             /* owned; -EBADF: could not be opened (again) */
	const struct log_format *format;
	bool compress;
	bool rotated;       /* there may be a file to compress: whoever drives the log looks, and clears it */
	uint32_t squeezed;  /* number of the rotated file that is being compressed; 0: none */
	uint64_t squeezed_inode; /* and which file that is, whatever a rotation that failed half-way did to the numbers */
	uint32_t attrs_len;
	char attrs[LOG_ATTRS_MAX]; /* not terminated */
	uint64_t max_bytes; /* 0: never rotate */
	uint32_t max_files; /* >= 1 */
	uint32_t out_len;   /* bytes encoded in out */
	uint64_t size;      /* of the file, without out */
	uint64_t rotate_at; /* size at which the next rotation is tried; 0: max_bytes */
	uint64_t dropped;   /* records lost since the last one that was written */
	bool notice;        /* the first record in out says how many were lost */
	bool unclean;       /* the file may end in half a record that could not be cut off yet */
	int64_t stamp_ns;   /* what stamp says; a batch shares its time */
	char stamp[TIME_RFC3339_MAX];
	struct log_line line[LOG_STREAMS];
	uint8_t out[LOG_OUT_SIZE];
};

/** log_open() - log into @dir_fd. @l: zeroed. Return: 0 or -errno; -E2BIG: the attributes do not fit. */
int log_open(struct log *l, int dir_fd, const struct log_options *o);
/** log_add() - record what came from @stream at @time_ns. */
void log_add(struct log *l, enum log_stream stream, const uint8_t *buf, size_t len, int64_t time_ns);
/** log_flush() - write what has been encoded; unfinished lines stay. */
void log_flush(struct log *l);
/** log_end() - the stream is over: record its unfinished line, and flush. */
void log_end(struct log *l, enum log_stream stream);
/** log_trim() - give pages back that hold nothing. */
void log_trim(struct log *l);
void log_close(struct log *l);

/* log_files.c: the file and those that were rotated */
#define LOG_NAME_MAX 32
int log_file_open(struct log *l);
/** log_rotate() - before the file would grow over its limit. A failure leaves every record in some file, and goes on in this one. */
void log_rotate(struct log *l);
/** log_squeeze_begin() - the oldest rotated file that is not compressed yet, and an empty one for it. Both owned by the caller; one at a time, to be followed by log_squeeze_end().
 *  Return: 1; 0 there is none; -errno. */
int log_squeeze_begin(struct log *l, int *ret_in, int *ret_out);
/** log_squeeze_end() - @ok: the compressed file takes the other's place. */
void log_squeeze_end(struct log *l, bool ok);

/** log_stamp() - @time_ns as text; a batch shares its time. */
const char *log_stamp(struct log *l, int64_t time_ns);
/** log_escape() - @len bytes as the inside of a JSON string into @out (room for 6 * @len). Return: bytes written. */
size_t log_escape(uint8_t *out, const uint8_t *s, size_t len);
/** log_utf8_len() - length of the valid UTF-8 sequence at @s (1..4), 0 when it is none, -1 when @len ends before it does. */
int log_utf8_len(const uint8_t *s, size_t len);

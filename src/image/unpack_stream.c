/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The archive's bytes, inflated and hashed by a process of their own while the unpacker makes files: two cores, and the decompressors, which
 * meet the most hostile bytes first, hold no capability and cannot open a file.
 *
 *	inflater                                     unpacker
 *	reads the input, inflates into a slot,
 *	hashes it, sends a byte             ->       copies out of the slot, as it needs bytes
 *	waits when no slot is free          <-       sends a byte when the slot is used up
 *	an empty slot: the end, and how it went
 *
 * Slots lie in memory that both share; bytes in two pipes pass them to and fro, so that each sees when the other is gone. What comes is as foreign to the
 * unpacker as an archive is: lengths are read once and bounded, bytes are copied before they are parsed, texts are cut.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "codec/digest.h"
#include "image/unpack.h"
#include "kernel/caps.h"
#include "kernel/helper.h"

enum { SLOTS = 4, SLOT_BYTES = 256 << 10, WHY_MAX = 160 };

struct ring {
	struct ring_slot {
		uint32_t len; /* 0: the last */
		uint64_t in, out; /* bytes of the input and of the stream, with this slot's */
	} slots[SLOTS];
	struct ring_end {
		int32_t result; /* 0 or -errno */
		uint32_t coding;
		char digest[DIGEST_SHA256_HEX + 8], why[WHY_MAX];
	} end;
	_Alignas(4096) unsigned char data[SLOTS][SLOT_BYTES];
};
struct stream {
	struct ring *ring; /* shared */
	int full, used;    /* owned; pipes that pass slots: filled ones, and those that are used up */
	unsigned turn;     /* the slot in work */
	uint32_t at, have; /* of it */
	bool ended;
	uint64_t in, out;
	struct ring_end end; /* our copy */
};

static const int inflater_calls[] = {
	SYS_read, SYS_write, SYS_close, SYS_munmap, SYS_mremap, SYS_brk, SYS_madvise, SYS_exit_group, SYS_exit, SYS_restart_syscall,
#ifdef BUILD_SANITIZED /* its allocator and its reports */
	SYS_sched_yield, SYS_futex, SYS_getpid, SYS_gettid, SYS_sigaltstack, SYS_rt_sigaction, SYS_rt_sigprocmask, SYS_prctl, SYS_ioctl, SYS_clock_gettime,
#endif
};

/* The inflater */

static ssize_t read_input(void *ctx, void *buf, size_t len)
{
	const int *input = ctx;
	ssize_t n;
	do
		n = read(*input, buf, len);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

static bool pass(int fd)
{
	return write_all(fd, "", 1) >= 0;
}

static bool await(int fd)
{
	char c;
	return read_full(fd, &c, 1) == 1;
}

/* Return: the last result of inflate_read(); 0 as well when nobody wants more. */
static int fill_slots(struct stream *s, struct inflate *z, struct digest *d, bool hash)
{
	for (;; s->turn++) {
		struct ring_slot *slot = &s->ring->slots[s->turn % SLOTS];
		unsigned char *to = s->ring->data[s->turn % SLOTS];
		if (s->turn >= SLOTS && !await(s->used))
			return 0;
		ssize_t n = inflate_read(z, to, SLOT_BYTES);
		if (n <= 0)
			return (int) n;
		if (hash)
			digest_update(d, to, (size_t) n);
		*slot = (struct ring_slot) {.len = (uint32_t) n, .in = inflate_bytes_in(z), .out = inflate_bytes_out(z)};
		if (!pass(s->full))
			return 0;
	}
}

static int inflate_all(struct stream *s, int input, const struct unpack_request *req)
{
	const struct unpack_budget *b = &req->budget;
	const struct inflate_source src = {.read = read_input, .ctx = &input};
	const struct inflate_limits limits = {.out_max = b->bytes, .ratio_max = b->ratio, .ratio_floor = b->ratio_floor, .members_max = b->members};
	struct ring_end *end = &s->ring->end;
	struct inflate *z = NULL;
	struct digest d;
	digest_init(&d);
	end->result = inflate_new(&src, (enum inflate_coding) req->coding, &limits, &z);
	if (end->result >= 0) {
		end->result = fill_slots(s, z, &d, req->job == UNPACK_APPLY);
		end->coding = inflate_coding(z);
		(void) str_copy(end->why, sizeof(end->why), inflate_why(z));
		s->ring->slots[s->turn % SLOTS] = (struct ring_slot) {.in = inflate_bytes_in(z), .out = inflate_bytes_out(z)};
	}
	(void) inflate_free(z);
	memcpy(end->digest, "sha256:", 7);
	digest_final_hex(&d, end->digest + 7);
	return pass(s->full) ? 0 : 1;
}

static _Noreturn void be_inflater(struct stream *s, const struct unpack *u)
{
	(void) close(u->sock);
	int r = caps_set(0, 0, 0);
	if (r >= 0)
		r = helper_seccomp(inflater_calls, ARRAY_LEN(inflater_calls));
	_exit(r < 0 ? 1 : inflate_all(s, u->input, &u->req));
}

/* The unpacker's side */

static int open_pipes(int full[2], int used[2])
{
	if (pipe2(full, O_CLOEXEC) < 0)
		return -errno;
	if (pipe2(used, O_CLOEXEC) == 0)
		return 0;
	int r = -errno;
	(void) close(full[0]);
	(void) close(full[1]);
	return r;
}

/* Pipes, memory, process. Return: 0 with @s ready, -errno. */
static int start(struct stream *s, struct unpack *u)
{
	int full[2], used[2];
	void *m = mmap(NULL, sizeof(*s->ring), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (m == MAP_FAILED)
		return -errno;
	s->ring = m;
	int r = open_pipes(full, used);
	if (r < 0)
		return r;
	struct pidref child;
	pid_t pid = process_clone(0, -EBADF, &child);
	bool is_child = pid == 0;
	s->full = full[is_child];
	s->used = used[!is_child];
	(void) close(full[!is_child]);
	(void) close(used[is_child]);
	if (is_child)
		be_inflater(s, u);
	if (pid < 0)
		return pid;
	(void) safe_close(child.fd); /* it ends with us, who are the first of our process namespace */
	u->input = safe_close(u->input);
	return 0;
}

int stream_start(struct unpack *u, struct err *err)
{
	struct stream *s = calloc(1, sizeof(*s));
	if (!s)
		return err_oom(err);
	s->full = s->used = -EBADF;
	u->stream = s;
	int r = start(s, u);
	return r < 0 ? err_sys(err, r, "unpacker: starting its inflater") : 0;
}

struct stream *stream_free(struct stream *s)
{
	if (!s)
		return NULL;
	if (s->ring)
		(void) munmap(s->ring, sizeof(*s->ring));
	(void) safe_close(s->full);
	(void) safe_close(s->used);
	free(s);
	return NULL;
}

static int end_here(struct stream *s, int r, const char *why)
{
	s->ended = true;
	s->end.result = r;
	(void) str_copy(s->end.why, sizeof(s->end.why), why);
	return r;
}

/* The empty slot came. */
static int take_end(struct stream *s)
{
	s->ended = true;
	s->end = s->ring->end;
	s->end.digest[sizeof(s->end.digest) - 1] = s->end.why[sizeof(s->end.why) - 1] = '\0';
	s->end.result = MIN(s->end.result, 0);
	return s->end.result;
}

/* Return: 1 there are bytes in the slot; 0 the stream is at its end; -errno. */
static int next_slot(struct stream *s)
{
	if (s->ended)
		return s->end.result;
	if (s->have > 0) {
		s->have = s->at = 0;
		s->turn++;
		(void) pass(s->used); /* the inflater may be done and gone */
	}
	if (!await(s->full))
		return end_here(s, -EIO, "the inflating process died");
	const volatile struct ring_slot *slot = &s->ring->slots[s->turn % SLOTS];
	uint32_t len = slot->len;
	s->in = slot->in;
	s->out = slot->out;
	if (len == 0)
		return take_end(s);
	if (len > SLOT_BYTES)
		return end_here(s, -EBADMSG, "the inflating process makes no sense");
	s->have = len;
	return 1;
}

ssize_t stream_read(struct stream *s, void *buf, size_t len)
{
	if (s->at == s->have) {
		int r = next_slot(s);
		if (r <= 0)
			return r;
	}
	size_t n = MIN(len, (size_t) (s->have - s->at));
	memcpy(buf, s->ring->data[s->turn % SLOTS] + s->at, n);
	s->at += (uint32_t) n;
	return (ssize_t) n;
}

const char *stream_why(const struct stream *s)
{
	return s->end.why;
}

enum inflate_coding stream_coding(const struct stream *s)
{
	return (enum inflate_coding) s->end.coding;
}

const char *stream_digest(const struct stream *s)
{
	return s->end.digest;
}

uint64_t stream_bytes_in(const struct stream *s)
{
	return s->in;
}

uint64_t stream_bytes_out(const struct stream *s)
{
	return s->out;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of an expected blob, under the intake's lock:
 *   WANTED -> TAKEN (a worker has it: waits for its file, hashes what is there) -> COMING (the file grows) -> WHOLE, or FAILED from any of them
 *   E1 file, have: set from COMING on. E2 WHOLE: the file's digest and size are the expected ones; it may be read by its name in partial/ or blobs/.
 * The unpacker's input is the file itself when it is WHOLE, else a pipe that a feeder thread fills as far as the file has grown.
 */
#include "image/intake.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/fd.h"
#include "base/id.h"
#include "codec/digest.h"
#include "image/internal.h"

enum { EXPECT_MAX = 2 * IMAGE_LAYERS_MAX, WAIT_MS = 100, HASH_BUF = 1 << 20, PIPE_BYTES = 1 << 20, FEED_BYTES = 1 << 20, WRITEBACK_BYTES = 8 << 20 };

enum blob_state { BLOB_WANTED, BLOB_TAKEN, BLOB_COMING, BLOB_WHOLE, BLOB_FAILED };
struct image_blob {
	struct image_intake *in; /* borrowed */
	char digest[DIGEST_TEXT_MAX];
	uint64_t size, have;
	enum blob_state state;
	bool in_store;  /* WHOLE: under blobs/, not partial/ */
	bool resumed;   /* what was there before was kept */
	int file;       /* owned; -EBADF before COMING */
	struct digest hash; /* the worker's */
	struct err why; /* FAILED */
};
struct feeder {
	pthread_t thread;
	struct image_blob *blob; /* borrowed */
	int out;                 /* owned by the thread */
};
struct image_intake {
	struct load l;
	struct load_source source;
	int partial;          /* owned; this tenant's directory */
	pthread_mutex_t lock; /* blobs */
	pthread_cond_t moved; /* a blob grew or changed its state */
	struct image_blob blobs[EXPECT_MAX];
	size_t n;
};

static const char *hex_of(const char *digest)
{
	return digest + strlen("sha256:");
}

static bool is_cancelled(const struct image_intake *in)
{
	return load_is_stopped(&in->l);
}

/* Wait for news of a blob, or a moment: who cancels does not hold our lock. */
static void wait_moved(struct image_intake *in)
{
	struct timespec ts;
	(void) clock_gettime(CLOCK_REALTIME, &ts); /* cannot fail */
	ts.tv_nsec += WAIT_MS * 1000000L;
	ts.tv_sec += ts.tv_nsec / 1000000000L;
	ts.tv_nsec %= 1000000000L;
	(void) pthread_cond_timedwait(&in->moved, &in->lock, &ts);
}

static void set_state(struct image_blob *b, enum blob_state state)
{
	(void) pthread_mutex_lock(&b->in->lock);
	b->state = state;
	(void) pthread_cond_broadcast(&b->in->moved);
	(void) pthread_mutex_unlock(&b->in->lock);
}

static int set_failed(struct image_blob *b, const struct err *why)
{
	(void) pthread_mutex_lock(&b->in->lock);
	b->why = *why;
	b->state = BLOB_FAILED;
	(void) pthread_cond_broadcast(&b->in->moved);
	(void) pthread_mutex_unlock(&b->in->lock);
	return why->sys;
}

/* Layers' bytes for the unpacker */

/* The file's bytes into the pipe, as far as they are there. */
static void *feed(void *arg)
{
	struct feeder *f = arg;
	struct image_blob *b = f->blob;
	sigset_t pipe;
	off_t at = 0;
	(void) sigemptyset(&pipe);
	(void) sigaddset(&pipe, SIGPIPE);
	(void) pthread_sigmask(SIG_BLOCK, &pipe, NULL); /* this thread only */
	for (;;) {
		(void) pthread_mutex_lock(&b->in->lock);
		while (b->state == BLOB_COMING && b->have == (uint64_t) at && !is_cancelled(b->in))
			wait_moved(b->in);
		uint64_t have = b->state == BLOB_COMING || b->state == BLOB_WHOLE ? b->have : 0;
		bool last = b->state != BLOB_COMING || is_cancelled(b->in);
		(void) pthread_mutex_unlock(&b->in->lock);
		while ((uint64_t) at < have) {
			ssize_t n = sendfile(f->out, b->file, &at, (size_t) MIN(have - (uint64_t) at, (uint64_t) FEED_BYTES));
			if (n <= 0 && !(n < 0 && errno == EINTR)) {
				last = true; /* the unpacker has gone, or it will miss the rest and say so */
				break;
			}
		}
		if (last)
			break;
	}
	f->out = safe_close(f->out);
	return NULL;
}

static int start_feeder(struct image_blob *b, struct feeder **ret, struct err *err)
{
	struct feeder *f = calloc(1, sizeof(*f));
	int fds[2];
	if (!f)
		return err_oom(err);
	if (pipe2(fds, O_CLOEXEC) < 0) {
		free(f);
		return err_sys(err, -errno, "creating a pipe");
	}
	(void) fcntl(fds[1], F_SETPIPE_SZ, PIPE_BYTES); /* over the user's limit it stays at 64 KiB */
	*f = (struct feeder) {.blob = b, .out = fds[1]};
	int r = pthread_create(&f->thread, NULL, feed, f);
	if (r == 0) {
		*ret = f;
		return fds[0];
	}
	(void) close(fds[0]);
	(void) close(fds[1]);
	free(f);
	return err_sys(err, -r, "starting a thread");
}

static struct image_blob *find(struct image_intake *in, const char *digest)
{
	for (size_t i = 0; i < in->n; i++)
		if (strcmp(in->blobs[i].digest, digest) == 0)
			return &in->blobs[i];
	return NULL;
}

static int reopen(struct image_blob *b, struct err *err)
{
	int fd = b->in_store ? blob_open(b->in->l.s, b->digest) : openat(b->in->partial, hex_of(b->digest), O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && !b->in_store) /* another load has put it into place */
		fd = blob_open(b->in->l.s, b->digest);
	return fd < 0 ? err_sys(err, fd < -1 ? fd : -errno, "opening blob %s", b->digest) : fd;
}

static int source_open(void *ctx, const char *digest, uint64_t *ret_size, void **ret_reading, struct err *err)
{
	struct image_intake *in = ctx;
	struct feeder *f = NULL;
	struct image_blob *b = find(in, digest);
	if (!b)
		return load_blob_fd(&in->l, digest, ret_size, err);
	(void) pthread_mutex_lock(&in->lock);
	while (b->state < BLOB_COMING && !is_cancelled(in))
		wait_moved(in);
	enum blob_state state = b->state;
	if (state == BLOB_FAILED)
		*err = b->why;
	(void) pthread_mutex_unlock(&in->lock);
	*ret_size = b->size;
	if (state == BLOB_FAILED)
		return err->sys;
	if (state < BLOB_COMING)
		return load_cancelled(err);
	int fd = state == BLOB_WHOLE ? reopen(b, err) : start_feeder(b, &f, err);
	*ret_reading = f;
	return fd;
}

static int source_end(void *ctx, const char *digest, void *reading, int r, struct err *err)
{
	struct image_intake *in = ctx;
	struct feeder *f = reading;
	struct image_blob *b = find(in, digest);
	if (!b)
		return r;
	if (f)
		(void) pthread_join(f->thread, NULL); /* the pipe's other end is closed: it ends */
	free(f);
	/* a failed unpacker does not wait for the rest of what it could not read, but for the word on what it has read if that is there */
	(void) pthread_mutex_lock(&in->lock);
	while (r >= 0 && b->state == BLOB_COMING && !is_cancelled(in))
		wait_moved(in);
	enum blob_state state = b->state;
	if (state == BLOB_FAILED)
		*err = b->why;
	(void) pthread_mutex_unlock(&in->lock);
	if (state == BLOB_FAILED)
		return err->sys;
	return r < 0 || state == BLOB_WHOLE ? r : load_cancelled(err);
}

/* Life of an intake */

static int open_partial(struct image_store *s, const char *tenant, struct err *err)
{
	if (strchr(tenant, '/') || tenant[0] == '.')
		return err_set(err, ERR_INVALID, "tenant '%s' is no name", tenant);
	int fd = mkdir_open_at(s->partial, tenant, 0700);
	return fd < 0 ? err_sys(err, fd, "opening the directory of partial blobs") : fd;
}

int image_intake_begin(struct image_store *s, const char *tenant, const struct image_progress *p, const atomic_bool *cancel, struct image_intake **ret,
		       struct err *err)
{
	struct image_intake *in = calloc(1, sizeof(*in));
	if (!in)
		return err_oom(err);
	in->partial = open_partial(s, tenant, err);
	int r = in->partial < 0 ? in->partial : load_begin(s, tenant, p, &in->l, err);
	if (r < 0) {
		(void) safe_close(in->partial);
		free(in);
		return r;
	}
	fault_mark("image.intake.begun");
	in->source = (struct load_source) {.open = source_open, .end = source_end, .ctx = in};
	in->l.source = &in->source;
	in->l.cancel = cancel;
	(void) pthread_mutex_init(&in->lock, NULL); /* cannot fail with default attributes */
	(void) pthread_cond_init(&in->moved, NULL); /* as above */
	*ret = in;
	return 0;
}

struct image_intake *image_intake_free(struct image_intake *in)
{
	if (!in)
		return NULL;
	for (size_t i = 0; i < in->n; i++)
		(void) safe_close(in->blobs[i].file); /* and with it its lock */
	load_done(&in->l);
	(void) safe_close(in->partial);
	(void) pthread_cond_destroy(&in->moved);
	(void) pthread_mutex_destroy(&in->lock);
	free(in);
	return NULL;
}

int image_intake_document(struct image_intake *in, const char *text, size_t len, struct err *err)
{
	char digest[DIGEST_TEXT_MAX];
	return load_put_text(&in->l, text, len, digest, err);
}

/* Is the blob in the store, for this tenant, with the right size? What it holds is checked when it is unpacked or saved. */
static int in_store(struct image_intake *in, const char *digest, uint64_t size, struct err *err)
{
	struct stat st;
	if (fstatat(in->l.s->blobs, hex_of(digest), &st, AT_SYMLINK_NOFOLLOW) < 0 || (uint64_t) st.st_size != size)
		return 0;
	return row_has_blob(in->l.s, in->l.tenant, digest, err);
}

int image_intake_expect(struct image_intake *in, const char *digest, uint64_t size, struct err *err)
{
	struct image_blob *b = find(in, digest);
	if (b)
		return b->size == size ? 0 : err_set(err, ERR_CORRUPT, "blob %s is named with two sizes", digest);
	if (in->n >= EXPECT_MAX)
		return err_set(err, ERR_QUOTA, "more than %d blobs", EXPECT_MAX);
	int r = in_store(in, digest, size, err);
	if (r < 0)
		return r;
	b = &in->blobs[in->n];
	*b = (struct image_blob) {.in = in, .size = size, .file = -EBADF, .state = r > 0 ? BLOB_WHOLE : BLOB_WANTED, .in_store = r > 0};
	(void) str_copy(b->digest, sizeof(b->digest), digest);
	in->n++;
	return r == 0;
}

int image_intake_has_layer(struct image_intake *in, const char *chain, struct err *err)
{
	uint64_t size;
	int r = row_has_layer(in->l.s, in->l.tenant, chain, err);
	return r <= 0 ? r : layer_read_size(in->l.s, chain, &size);
}

/* Fetching */

/* The blob's file in partial/, locked by us. Return: 1 with b->file; 0 it turned up in the store meanwhile; ERR_*. */
static int lock_file(struct image_blob *b, struct err *err)
{
	struct image_intake *in = b->in;
	bool told = false;
	for (;;) {
		struct stat st;
		_cleanup_close_ int fd = openat(in->partial, hex_of(b->digest), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
		if (fd < 0)
			return err_sys(err, -errno, "opening the partial blob %s", b->digest);
		if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
			int r = in_store(in, b->digest, b->size, err);
			if (r != 0) {
				b->in_store = r > 0;
				if (r > 0)
					(void) unlinkat(in->partial, hex_of(b->digest), 0); /* the one that we have just made */
				return MIN(r, 0);
			}
			/* the one that had it may have put it into place, its rows not written yet: it is the same file under either name */
			if (fstat(fd, &st) == 0 && st.st_nlink > 0) {
				b->file = take_fd(&fd);
				return 1;
			}
			continue; /* removed: look again */
		}
		if (errno != EWOULDBLOCK && errno != EINTR)
			return err_sys(err, -errno, "locking the partial blob %s", b->digest);
		if (!told)
			load_report(&in->l, b->digest, "Waiting", 0, 0);
		told = true;
		if (is_cancelled(in))
			return load_cancelled(err);
		const struct timespec ts = {.tv_nsec = WAIT_MS * 1000000L};
		(void) nanosleep(&ts, NULL); /* an early wake-up only looks sooner */
	}
}

/* Hash what an earlier attempt has left. Return: 1 the blob is whole; 0 more is to come. */
static int take_up(struct image_blob *b, struct err *err)
{
	_cleanup_free_ char *buf = malloc(HASH_BUF);
	struct stat st;
	digest_init(&b->hash);
	if (!buf)
		return err_oom(err);
	if (fstat(b->file, &st) < 0)
		return err_sys(err, -errno, "reading the partial blob");
	if ((uint64_t) st.st_size > b->size && ftruncate(b->file, 0) < 0)
		return err_sys(err, -errno, "emptying the partial blob");
	ssize_t n;
	while ((n = pread(b->file, buf, HASH_BUF, (off_t) b->have)) > 0) {
		digest_update(&b->hash, buf, (size_t) n);
		b->have += (uint64_t) n;
		if (is_cancelled(b->in))
			return load_cancelled(err);
	}
	b->resumed = b->have > 0;
	return n < 0 ? err_sys(err, -errno, "reading the partial blob") : b->have == b->size;
}

/* The digest of all that is there. A blob that is not what it should be leaves nothing behind. */
static int check_digest(struct image_blob *b, struct err *err)
{
	char hex[DIGEST_SHA256_HEX + 1];
	digest_final_hex(&b->hash, hex);
	if (strcmp(hex, hex_of(b->digest)) == 0)
		return 0;
	(void) unlinkat(b->in->partial, hex_of(b->digest), 0); /* gone or not, it is hashed again before it is used */
	return err_set(err, ERR_CORRUPT, "blob %s: wrong digest: what came has sha256:%s%s", b->digest, hex,
		       b->resumed ? " (a part was left from an earlier attempt and is discarded: try again)" : "");
}

/* It is whole: whoever waits for the file may have it. */
static int be_whole(struct image_blob *b)
{
	if (b->file >= 0)
		(void) flock(b->file, LOCK_UN); /* closing does it, too */
	set_state(b, BLOB_WHOLE);
	return 0;
}

static int begin(struct image_blob *b, struct err *err)
{
	int r = lock_file(b, err);
	if (r <= 0)
		return r < 0 ? r : be_whole(b);
	fault_mark("image.intake.locked");
	r = take_up(b, err);
	if (r > 0 && check_digest(b, err) >= 0) {
		load_report(&b->in->l, b->digest, "Download complete", 0, 0);
		return be_whole(b);
	}
	if (r > 0) { /* garbage of its length */
		b->file = safe_close(b->file);
		b->have = 0;
		return begin(b, err);
	}
	if (r < 0)
		return r;
	set_state(b, BLOB_COMING);
	return 1;
}

static struct image_blob *take_wanted(struct image_intake *in)
{
	struct image_blob *b = NULL;
	(void) pthread_mutex_lock(&in->lock);
	for (size_t i = 0; i < in->n && !b; i++)
		if (in->blobs[i].state == BLOB_WANTED)
			b = &in->blobs[i];
	if (b)
		b->state = BLOB_TAKEN;
	(void) pthread_mutex_unlock(&in->lock);
	return b;
}

int image_blob_next(struct image_intake *in, struct image_blob **ret, struct err *err)
{
	struct image_blob *b;
	while (!is_cancelled(in) && (b = take_wanted(in))) {
		struct err why;
		int r = begin(b, &why);
		if (r < 0) {
			(void) set_failed(b, &why);
			*err = why;
			return r;
		}
		if (r > 0) {
			*ret = b;
			return 1;
		}
	}
	return is_cancelled(in) ? load_cancelled(err) : 0;
}

const char *image_blob_digest(const struct image_blob *b)
{
	return b->digest;
}

uint64_t image_blob_size(const struct image_blob *b)
{
	return b->size;
}

uint64_t image_blob_offset(const struct image_blob *b)
{
	return b->have;
}

int image_blob_write(struct image_blob *b, const void *p, size_t n, struct err *err)
{
	const char *at = p;
	uint64_t to = b->have;
	if (n > b->size - b->have)
		return err_set(err, ERR_CORRUPT, "blob %s: wrong size: more than %llu bytes", b->digest, (unsigned long long) b->size);
	digest_update(&b->hash, p, n);
	while (n > 0) {
		ssize_t w = pwrite(b->file, at, n, (off_t) to);
		if (w < 0 && errno == EINTR)
			continue;
		if (w <= 0)
			return err_sys(err, w < 0 ? -errno : -EIO, "writing blob %s", b->digest);
		at += w;
		n -= (size_t) w;
		to += (uint64_t) w;
	}
	if (b->have / WRITEBACK_BYTES != to / WRITEBACK_BYTES)
		(void) sync_file_range(b->file, 0, (off_t) to, SYNC_FILE_RANGE_WRITE); /* the sync at the end waits for less */
	(void) pthread_mutex_lock(&b->in->lock);
	b->have = to;
	(void) pthread_cond_broadcast(&b->in->moved);
	(void) pthread_mutex_unlock(&b->in->lock);
	return 0;
}

int image_blob_end(struct image_blob *b, const struct err *why, struct err *err)
{
	struct err wrong;
	int r = 0;
	fault_mark("image.intake.came");
	if (!why && b->have != b->size)
		r = err_set(&wrong, ERR_CORRUPT, "blob %s: wrong size: %llu bytes came, its descriptor says %llu", b->digest, (unsigned long long) b->have,
			    (unsigned long long) b->size);
	else if (!why)
		r = check_digest(b, &wrong);
	if (why || r < 0) {
		*err = why ? *why : wrong;
		(void) flock(b->file, LOCK_UN); /* closing does it, too */
		return set_failed(b, err);
	}
	return be_whole(b);
}

/* The image */

/* Every blob that was expected is whole, or why not. */
static int wait_whole(struct image_intake *in, struct err *err)
{
	int r = 0;
	(void) pthread_mutex_lock(&in->lock);
	for (size_t i = 0; r >= 0 && i < in->n; i++) {
		while (in->blobs[i].state < BLOB_WHOLE && !is_cancelled(in))
			wait_moved(in);
		if (in->blobs[i].state == BLOB_FAILED) {
			*err = in->blobs[i].why;
			r = err->sys;
		} else if (in->blobs[i].state != BLOB_WHOLE)
			r = load_cancelled(err);
	}
	(void) pthread_mutex_unlock(&in->lock);
	return r;
}

static int take_blobs(struct image_intake *in, struct err *err)
{
	for (size_t i = 0; i < in->n; i++) {
		const struct image_blob *b = &in->blobs[i];
		if (b->in_store || load_pending(in->l.blobs, in->l.n_blobs, b->digest))
			continue;
		struct pending p = {.dir = in->partial, .shared = true, .fs = -EBADF, .size = b->size};
		(void) str_copy(p.id, sizeof(p.id), b->digest);
		(void) str_copy(p.name, sizeof(p.name), hex_of(b->digest));
		int r = load_add_pending(&in->l.blobs, &in->l.n_blobs, &p, err);
		if (r < 0)
			return r;
	}
	return 0;
}

int image_intake_image(struct image_intake *in, const char *config, const char *manifest, char *const *blobs, char *const *names, struct err *err)
{
	int r = load_add_image(&in->l, config, manifest, blobs, names, err);
	if (r >= 0)
		r = wait_whole(in, err);
	r = r < 0 ? r : fault_point("image.intake.whole", err);
	return r < 0 ? r : take_blobs(in, err);
}

int image_intake_commit(struct image_intake *in, char ***ret_refs, struct err *err)
{
	return load_commit(&in->l, ret_refs, err);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Layers: layers/HEX of the chain id, with fs/ (what an overlay takes) and meta.json (diff id, size; for people and for loads that find the
 * layer there). A layer is unpacked below the load's own directory and moved into place whole.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/fd.h"
#include "codec/json.h"
#include "image/internal.h"
#include "kernel/path.h"

static const char *hex_of(const char *digest)
{
	return digest + strlen("sha256:");
}

int layer_read_size(struct image_store *s, const char *chain, uint64_t *ret)
{
	char path[96];
	_cleanup_free_ char *text = NULL;
	_cleanup_json_ struct json *root = NULL;
	struct err ignored;
	(void) str_format(path, sizeof(path), "%s/meta.json", hex_of(chain));
	ssize_t n = read_file(s->layers, path, 65536, &text);
	if (n < 0 || json_parse(text, (size_t) n, 65536, "layer", &root, &ignored) < 0)
		return 0;
	*ret = (uint64_t) json_int(json_get(root, "size"), 0);
	return 1;
}

static int open_fs(struct load *l, const char *chain, struct err *err)
{
	char path[96];
	(void) pthread_mutex_lock(&l->lock);
	const struct pending *p = load_pending(l->layers, l->n_layers, chain);
	int fd = p ? fcntl(p->fs, F_DUPFD_CLOEXEC, 3) : -ENOENT;
	if (p && fd < 0)
		fd = -errno;
	(void) pthread_mutex_unlock(&l->lock);
	(void) str_format(path, sizeof(path), "%s/fs", hex_of(chain));
	if (!p)
		fd = open_beneath_nosymlink(l->s->layers, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	return fd < 0 ? err_sys(err, fd, "opening layer %.19s", chain) : fd;
}

/* The layers below, opened when they are asked for. */
struct lower {
	struct load *l;                /* borrowed */
	const struct load_layer *below; /* borrowed; @n_below of them, base first */
	size_t n_below;
	int fds[IMAGE_LAYERS_MAX]; /* owned; topmost first */
	size_t n;
};

static void lower_done(struct lower *w)
{
	for (size_t i = 0; i < w->n; i++)
		(void) safe_close(w->fds[i]);
}

/* Until others have made all of them. */
static int wait_below(struct lower *w, struct err *err)
{
	struct load *l = w->l;
	(void) pthread_mutex_lock(&l->lock);
	for (size_t i = 0; i < w->n_below;)
		if (!w->below[i].wanted)
			i++;
		else if (load_is_stopped(l))
			break;
		else
			load_wait(l);
	(void) pthread_mutex_unlock(&l->lock);
	return load_is_stopped(l) ? load_cancelled(err) : 0;
}

static int lower_open(struct lower *w, const int **ret_fds, size_t *ret_n, struct err *err)
{
	assert(w->n_below <= IMAGE_LAYERS_MAX);
	int r = w->n == 0 ? wait_below(w, err) : 0;
	for (size_t i = w->n_below - w->n; r >= 0 && i > 0; i--) { /* topmost first */
		int fd = open_fs(w->l, w->below[i - 1].chain, err);
		if (fd < 0)
			return fd;
		w->fds[w->n++] = fd;
	}
	*ret_fds = w->fds;
	*ret_n = w->n;
	return r;
}

struct watch {
	struct lower lower;
	struct load *l;
	const char *id;
	uint64_t total;
};

static int on_lower(void *ctx, const int **ret_fds, size_t *ret_n, struct err *err)
{
	return lower_open(&((struct watch *) ctx)->lower, ret_fds, ret_n, err);
}

static void on_progress(void *ctx, uint64_t in, uint64_t out)
{
	const struct watch *w = ctx;
	load_report(w->l, w->id, w->l->source ? "Extracting" : "Loading layer", in, w->total);
}

static int write_meta(int dir, const struct load_layer *layer, const struct unpack_msg *done, struct err *err)
{
	_cleanup_strbuf_ struct strbuf b = STRBUF_INIT(4096);
	struct json_writer w;
	jw_init(&w, &b);
	jw_obj(&w, NULL);
	jw_str(&w, "diff_id", layer->diff_id);
	jw_uint(&w, "size", done->disk_bytes);
	jw_uint(&w, "entries", done->entries);
	jw_uint(&w, "skipped_nodes", done->skipped_nodes);
	jw_end(&w);
	if (strbuf_err(&b) < 0)
		return err_oom(err);
	int r = write_file_atomic(dir, "meta.json", b.s, b.len, 0600);
	return r < 0 ? err_sys(err, r, "writing meta.json") : 0;
}

/* Unpack into @dir/fs. */
static int unpack_into(struct load *l, struct load_layer *layer, const struct load_layer *below, size_t n, int dir, int fs, struct err *err)
{
	const struct load_source *src = l->source;
	void *reading = NULL;
	struct watch watch = {.l = l, .id = layer->diff_id[0] && !src ? layer->diff_id : layer->blob, .lower = {.l = l, .below = below, .n_below = n}};
	_cleanup_close_ int input = src ? src->open(src->ctx, layer->blob, &watch.total, &reading, err) : load_blob_fd(l, layer->blob, &watch.total, err);
	if (input < 0)
		return input;
	struct unpack_msg *done = calloc(1, sizeof(*done));
	const struct unpack_run run = {
		.req = {.magic = UNPACK_MAGIC, .job = UNPACK_APPLY, .coding = INFLATE_AUTO, .budget = UNPACK_BUDGET_DEFAULT,
			.flags = (n > 0 ? UNPACK_HAS_LOWER : 0u) | (layer->diff_id[0] ? UNPACK_END_OPTIONAL : 0u)},
		.input = input, .target = fs, .lower = on_lower, .progress = on_progress, .ctx = &watch, .cancel = l->cancel, .stop = &l->stop,
	};
	int r = done ? unpack_run(l->s, &run, done, err) : err_oom(err);
	lower_done(&watch.lower);
	input = safe_close(input);
	if (src) /* bytes that are not what the manifest says are reported as that, whatever they did to the unpacker */
		r = src->end(src->ctx, layer->blob, reading, r, err);
	if (r >= 0 && !digest_is_valid(done->digest))
		r = err_set(err, ERR_CORRUPT, "the unpacker gave no digest");
	if (r >= 0 && layer->diff_id[0] && strcmp(done->digest, layer->diff_id) != 0)
		r = err_set(err, ERR_CORRUPT, "wrong diff id: its content has %s, the config says %s", done->digest, layer->diff_id);
	if (r >= 0) {
		(void) str_copy(layer->diff_id, sizeof(layer->diff_id), done->digest);
		layer->size = done->disk_bytes;
		r = write_meta(dir, layer, done, err);
	}
	free(done);
	return r;
}

int layer_unpack(struct load *l, struct load_layer *layer, const struct load_layer *below, size_t n, struct err *err)
{
	struct pending p = {.dir = l->work.fd, .fs = -EBADF};
	(void) str_format(p.name, sizeof(p.name), "layer%u", load_count(l));
	_cleanup_close_ int dir = mkdir_open_at(l->work.fd, p.name, 0700);
	_cleanup_close_ int fs = dir >= 0 ? mkdir_open_at(dir, "fs", 0755) : -EBADF;
	if (fs < 0)
		return err_sys(err, dir < 0 ? dir : fs, "making the layer's directory");
	if (fchmod(fs, 0755) < 0) /* whatever our umask is */
		return err_sys(err, -errno, "making the layer's directory");
	int r = fault_point("image.layer.made", err);
	r = r < 0 ? r : unpack_into(l, layer, below, n, dir, fs, err);
	r = r < 0 ? r : fault_point("image.layer.unpacked", err);
	if (r < 0)
		return r;
	if (chain_id(n ? below[n - 1].chain : NULL, layer->diff_id, layer->chain) < 0)
		return err_set(err, ERR_CORRUPT, "no chain id for %s", layer->diff_id);
	p.fs = take_fd(&fs);
	p.size = layer->size;
	(void) str_copy(p.id, sizeof(p.id), layer->chain);
	(void) pthread_mutex_lock(&l->lock);
	if (!load_pending(l->layers, l->n_layers, p.id))
		r = load_add_pending(&l->layers, &l->n_layers, &p, err);
	else /* this load has it already, of an import or of another blob */
		(void) safe_close(p.fs);
	layer->wanted = false;
	(void) pthread_cond_broadcast(&l->moved);
	(void) pthread_mutex_unlock(&l->lock);
	return r;
}

/* Has @layer's blob been unpacked to it before: by this load, or by one that a row tells of? A config and a manifest that say so of each other are no proof. Return: 1,
 * 0, <0. */
static int is_proven(struct load *l, const struct load_layer *layer, struct err *err)
{
	for (size_t i = 0; i < l->n_images; i++)
		for (size_t k = 0; k < l->images[i].n_layers; k++)
			if (str_eq(l->images[i].layers[k].chain, layer->chain) && str_eq(l->images[i].layers[k].blob, layer->blob))
				return 1;
	return row_has_pair(l->s, layer->chain, layer->blob, err);
}

int layer_find(struct load *l, struct load_layer *layer, const struct load_layer *below, size_t n, struct err *err)
{
	if (!layer->diff_id[0])
		return 0;
	if (chain_id(n ? below[n - 1].chain : NULL, layer->diff_id, layer->chain) < 0)
		return err_set(err, ERR_CORRUPT, "no chain id for %s", layer->diff_id);
	int proven = is_proven(l, layer, err);
	if (proven <= 0)
		return proven;
	const struct pending *p = load_pending(l->layers, l->n_layers, layer->chain);
	if (p) {
		layer->size = p->size;
		return 1;
	}
	int own = l->source ? row_has_layer(l->s, l->tenant, layer->chain, err) : 1;
	if (own <= 0 || layer_read_size(l->s, layer->chain, &layer->size) <= 0)
		return MIN(own, 0);
	if (!l->source)
		load_report(l, layer->diff_id, "Already exists", 0, 0);
	return 1;
}

int layer_new(struct load *l, struct load_layer *layer, const struct load_layer *below, size_t n, struct err *err)
{
	char id[16];
	int r = layer_unpack(l, layer, below, n, err);
	(void) str_format(id, sizeof(id), "%.12s", hex_of(layer->diff_id[0] ? layer->diff_id : layer->blob));
	return r < 0 ? err_wrap(err, "layer %zu (%s)", n + 1, id) : 0;
}

int layer_make(struct load *l, struct load_layer *layer, const struct load_layer *below, size_t n, struct err *err)
{
	int r = layer_find(l, layer, below, n, err);
	return r == 0 ? layer_new(l, layer, below, n, err) : MIN(r, 0);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commit: an image of another one's layers and one more. The layer comes in as an archive like any other, through the unpacker; the config is made here, of
 * what the parent's says about itself (architecture, history) and what the caller says that runs.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/fd.h"
#include "codec/json.h"
#include "image/changes.h"
#include "image/config_write.h"
#include "image/internal.h"

#define CONFIG_MAX (8u << 20)
#define LAYER_NAME "commit"

struct making {
	struct load l;
	const struct image_commit *c;
	struct json *parent; /* owned; its config */
	char **diff_ids, **blobs; /* owned; of its layers, base first */
	struct load_layer *below; /* owned; the same */
	size_t n_below;
};

static int read_parent(struct making *m, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	int r = image_config_text(m->l.s, m->c->parent, &text, err);
	return r < 0 ? r : json_parse(text, strlen(text), CONFIG_MAX, "image config", &m->parent, err);
}

static int read_layers(struct making *m, struct err *err)
{
	_cleanup_stmt_ struct db_stmt *st = NULL;
	m->below = calloc(IMAGE_LAYERS_MAX, sizeof(*m->below));
	if (!m->below)
		return err_oom(err);
	int r = db_query(m->l.s->db, &st, err, "SELECT diff_id, chain_id, blob, size FROM image_layer WHERE tenant=?1 AND image_id=?2 ORDER BY pos LIMIT ?3", "ssi", m->l.tenant, m->c->parent,
			 (int64_t) IMAGE_LAYERS_MAX);
	while (r >= 0 && (r = db_step(st, err)) > 0) {
		struct load_layer *l = &m->below[m->n_below++];
		(void) str_copy(l->diff_id, sizeof(l->diff_id), db_text(st, 0)); /* digests, as they were stored */
		(void) str_copy(l->chain, sizeof(l->chain), db_text(st, 1));
		(void) str_copy(l->blob, sizeof(l->blob), db_text(st, 2));
		l->size = (uint64_t) db_int(st, 3);
		if (strv_push(&m->diff_ids, l->diff_id) < 0 || strv_push(&m->blobs, l->blob) < 0)
			return err_oom(err);
	}
	if (r >= 0 && m->n_below == IMAGE_LAYERS_MAX)
		return err_set(err, ERR_QUOTA, "the image has %d layers already, and none can have more", IMAGE_LAYERS_MAX);
	return MIN(r, 0);
}

/* The caller's archive as a layer of the load. */
static int add_layer(struct making *m, struct err *err)
{
	struct load_layer layer = {0};
	_cleanup_close_ int fd = openat(m->l.work.fd, LAYER_NAME, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_sys(err, -errno, "making a staging file");
	int r = m->c->write_layer(m->c->ctx, fd, err);
	r = r < 0 ? r : fault_point("image.commit.written", err);
	r = r < 0 ? r : load_blob(&m->l, m->l.work.fd, LAYER_NAME, NULL, 0, layer.blob, err);
	r = r < 0 ? r : layer_make(&m->l, &layer, m->below, m->n_below, err);
	if (r >= 0 && (strv_push(&m->diff_ids, layer.diff_id) < 0 || strv_push(&m->blobs, layer.blob) < 0))
		r = err_oom(err);
	return r;
}

static void write_history(const struct making *m, struct json_writer *w, const char *created)
{
	jw_arr(w, "history");
	JSON_FOREACH(entry, i, json_get(m->parent, "history")) {
		_cleanup_free_ char *text = json_dump(entry);
		if (text)
			jw_raw(w, NULL, text);
	}
	jw_obj(w, NULL);
	jw_str(w, "created", created);
	jw_str(w, "created_by", m->c->created_by ?: "");
	if (!str_empty(m->c->author))
		jw_str(w, "author", m->c->author);
	if (!str_empty(m->c->comment))
		jw_str(w, "comment", m->c->comment);
	jw_end(w);
	jw_end(w);
}

static int write_config(const struct making *m, struct strbuf *b)
{
	static const char *const kept[] = {"variant", "os.version"};
	struct json_writer w;
	char created[TIME_RFC3339_MAX];
	(void) time_format_rfc3339(created, now_ns(), false);
	jw_init(&w, b);
	jw_obj(&w, NULL);
	jw_str(&w, "created", created);
	if (!str_empty(m->c->author))
		jw_str(&w, "author", m->c->author);
	jw_str(&w, "architecture", json_str(json_get(m->parent, "architecture"), HOST_ARCH));
	jw_str(&w, "os", "linux");
	for (size_t i = 0; i < ARRAY_LEN(kept); i++)
		if (json_str(json_get(m->parent, kept[i]), NULL))
			jw_str(&w, kept[i], json_str(json_get(m->parent, kept[i]), ""));
	config_write_run(&w, m->c->config);
	jw_obj(&w, "rootfs");
	jw_str(&w, "type", "layers");
	jw_strv(&w, "diff_ids", m->diff_ids);
	jw_end(&w);
	write_history(m, &w, created);
	jw_end(&w);
	return strbuf_err(b);
}

static int make(struct making *m, char *const *names, char ret_id[DIGEST_TEXT_MAX], struct err *err)
{
	_cleanup_strbuf_ struct strbuf b = STRBUF_INIT(CONFIG_MAX);
	int r = read_parent(m, err);
	r = r < 0 ? r : read_layers(m, err);
	r = r < 0 ? r : add_layer(m, err);
	if (r >= 0 && write_config(m, &b) < 0)
		r = err_oom(err);
	r = r < 0 ? r : load_put_text(&m->l, b.s, b.len, ret_id, err);
	return r < 0 ? r : load_add_image(&m->l, ret_id, NULL, m->blobs, names, err);
}

int image_commit(struct image_store *s, const char *tenant, const struct image_commit *c, char **ret_id, struct err *err)
{
	_cleanup_strv_ char **names = NULL, **refs = NULL;
	struct making m = {.c = c};
	char id[DIGEST_TEXT_MAX];
	int r = name_for_new(c->ref, "committed", &names, err);
	r = r < 0 ? r : load_begin(s, tenant, NULL, &m.l, err);
	if (r < 0)
		return r;
	r = make(&m, names, id, err);
	r = r < 0 ? r : load_commit(&m.l, &refs, err);
	load_done(&m.l);
	m.parent = json_free(m.parent);
	strv_free(m.diff_ids);
	strv_free(m.blobs);
	free(m.below);
	if (r >= 0 && !(*ret_id = strdup(id)))
		r = err_oom(err);
	return MIN(r, 0);
}

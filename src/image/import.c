/* SPDX-License-Identifier: Apache-2.0 */
/* Import: the tar of a root filesystem becomes an image of one layer; its config is made here. */
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

enum { BUF = 1 << 20 };

/* The archive as it came, into the work: a pipe can be read only once. */
static int copy_input(struct load *l, int fd, const char *name, struct err *err)
{
	const struct unpack_budget budget = UNPACK_BUDGET_DEFAULT;
	_cleanup_free_ char *buf = malloc(BUF);
	_cleanup_close_ int out = openat(l->work.fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	uint64_t total = 0;
	ssize_t n = 0;
	if (!buf)
		return err_oom(err);
	if (out < 0)
		return err_sys(err, -errno, "making a staging file");
	while ((n = read_full(fd, buf, BUF)) > 0) {
		total += (uint64_t) n;
		if (total > budget.bytes)
			return err_set(err, ERR_QUOTA, "the archive has more than %llu bytes", (unsigned long long) budget.bytes);
		int r = write_all(out, buf, (size_t) n);
		if (r < 0)
			return err_sys(err, r, "staging the archive");
	}
	return n < 0 ? err_sys(err, (int) n, "reading the archive") : 0;
}

static int write_config(const struct image_config *c, const char *diff_id, const char *message, struct strbuf *b)
{
	struct json_writer w;
	char created[TIME_RFC3339_MAX];
	(void) time_format_rfc3339(created, c->created_ns, false);
	jw_init(&w, b);
	jw_obj(&w, NULL);
	jw_str(&w, "created", created);
	jw_str(&w, "architecture", HOST_ARCH);
	jw_str(&w, "os", "linux");
	config_write_run(&w, c);
	jw_obj(&w, "rootfs");
	jw_str(&w, "type", "layers");
	jw_arr(&w, "diff_ids");
	jw_str(&w, NULL, diff_id);
	jw_end(&w);
	jw_end(&w);
	jw_arr(&w, "history");
	jw_obj(&w, NULL);
	jw_str(&w, "created", created);
	jw_str(&w, "comment", message ? message : "");
	jw_end(&w);
	jw_end(&w);
	jw_end(&w);
	return strbuf_err(b);
}

/* The one layer, then its config, then the image. */
static int import_layer(struct load *l, int fd, const struct image_config *c, const char *message, char *const *names, char ret_id[DIGEST_TEXT_MAX],
			struct err *err)
{
	_cleanup_strbuf_ struct strbuf b = STRBUF_INIT(8 << 20);
	_cleanup_strv_ char **blobs = NULL;
	struct load_layer layer = {0};
	int r = copy_input(l, fd, "import", err);
	r = r < 0 ? r : fault_point("image.import.copied", err);
	if (r >= 0)
		r = load_blob(l, l->work.fd, "import", NULL, 0, layer.blob, err);
	if (r >= 0)
		r = layer_make(l, &layer, NULL, 0, err);
	if (r < 0)
		return r;
	if (write_config(c, layer.diff_id, message, &b) < 0 || strv_push(&blobs, layer.blob) < 0)
		return err_oom(err);
	r = load_put_text(l, b.s, b.len, ret_id, err);
	return r < 0 ? r : load_add_image(l, ret_id, NULL, blobs, names, err);
}

int image_import(struct image_store *s, const char *tenant, int fd, const char *ref, const char *message, char *const *changes,
		 const struct image_progress *p, char **ret_id, struct err *err)
{
	_cleanup_strv_ char **names = NULL, **refs = NULL;
	char id[DIGEST_TEXT_MAX];
	struct load l;
	struct image_config *c = calloc(1, sizeof(*c));
	if (!c)
		return err_oom(err);
	c->created_ns = now_ns();
	int r = name_for_new(ref, "imported", &names, err);
	if (r >= 0)
		r = changes_apply(c, changes, err);
	if (r >= 0)
		r = load_begin(s, tenant, p, &l, err);
	if (r < 0) {
		(void) image_config_free(c);
		return r;
	}
	r = import_layer(&l, fd, c, message, names, id, err);
	if (r >= 0)
		r = load_commit(&l, &refs, err);
	load_done(&l);
	(void) image_config_free(c);
	if (r >= 0 && !(*ret_id = strdup(id)))
		r = err_oom(err);
	return MIN(r, 0);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GET /containers/json with docker's filters. Listing is also where what nobody touched comes to rest: containers whose processes ended
 * unseen are reaped, and directories that no row names (a kill -9 in the middle of a removal) are swept.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/num.h"
#include "engine/health.h"
#include "engine/internal.h"
#include "engine/networking.h"
#include "sandbox/sandbox.h"

/* Filters: {"label":{"a=b":true}} or {"label":["a=b"]} */

struct listed {
	struct engine *e;
	const struct container *c;
	const struct run_info *info;
	const struct network_view *networks;
	bool paused;
	char *const *volumes, *const *targets;
};

static const char *state_of(const struct listed *l)
{
	return l->paused ? "paused" : state_name(l->info->state);
}

static bool match_id(const struct listed *l, const char *v)
{
	return strncmp(l->c->id, v, strlen(v)) == 0;
}

/* Docker takes a regular expression; a substring with its usual anchors covers what clients send. */
static bool match_name(const struct listed *l, const char *v)
{
	char slashed[256];
	(void) str_format(slashed, sizeof(slashed), "/%.200s", l->c->name); /* names are shorter */
	bool head = *v == '^';
	v += head;
	size_t n = strlen(v);
	bool tail = n && v[n - 1] == '$';
	n -= tail;
	for (const char *s = *v == '/' ? slashed : l->c->name; *s; s++) {
		if (strncmp(s, v, n) == 0 && (!tail || s[n] == '\0'))
			return true;
		if (head)
			break;
	}
	return n == 0;
}

static bool match_label(const struct listed *l, const char *v)
{
	const struct kv_list *labels = &l->c->req->labels;
	size_t n = strcspn(v, "=");
	for (size_t i = 0; labels->keys && labels->keys[i]; i++)
		if (strncmp(labels->keys[i], v, n) == 0 && labels->keys[i][n] == '\0' && (!v[n] || str_eq(labels->values[i], v + n + 1)))
			return true;
	return false;
}

static bool match_status(const struct listed *l, const char *v)
{
	return str_eq(state_of(l), v);
}

static bool match_exited(const struct listed *l, const char *v)
{
	char code[16];
	(void) str_format(code, sizeof(code), "%d", l->c->exit_code); /* fits */
	return l->info->state == RUN_EXITED && str_eq(code, v);
}

static bool match_ancestor(const struct listed *l, const char *v)
{
	const char *digest = str_after(l->c->image_id, "sha256:") ?: l->c->image_id, *want = str_after(v, "sha256:") ?: v;
	size_t n = strlen(v);
	const char *image = l->c->req->image ?: "";
	return (strlen(want) >= 4 && id_is_prefix(want) && strncmp(digest, want, strlen(want)) == 0) || str_eq(image, v) ||
	       (!strchr(v, ':') && strncmp(image, v, n) == 0 && (image[n] == ':' || image[n] == '\0')) || (str_after(v, image) && str_eq(v + strlen(image), ":latest"));
}

static bool match_volume(const struct listed *l, const char *v)
{
	return strv_has(l->volumes, v) || strv_has(l->targets, v);
}

static bool match_network(const struct listed *l, const char *v)
{
	return network_view_has(l->networks, l->c, v);
}

static bool match_health(const struct listed *l, const char *v)
{
	return str_eq(health_status(l->e, l->c, l->info), v);
}

static bool match_never(const struct listed *l, const char *v)
{
	(void) l;
	return str_eq(v, "false") || str_eq(v, "0");
}

/* Whatever the container @v is by now, it was looked up when the filters were checked. */
static int64_t created_of(const struct listed *l, const char *v)
{
	_cleanup_container_ struct container other = {0};
	return container_find(l->e, l->c->tenant, v, &other, NULL) < 0 ? l->c->created_ns : other.created_ns;
}

static bool match_before(const struct listed *l, const char *v)
{
	return l->c->created_ns < created_of(l, v);
}

static bool match_since(const struct listed *l, const char *v)
{
	return l->c->created_ns > created_of(l, v);
}

/* "80", "80/tcp" */
static bool match_expose(const struct listed *l, const char *v)
{
	char tcp[64];
	bool short_form = !strchr(v, '/') && str_format(tcp, sizeof(tcp), "%s/tcp", v) > 0;
	return strv_has(l->c->req->exposed_ports, v) || (short_form && strv_has(l->c->req->exposed_ports, tcp));
}

static bool match_publish(const struct listed *l, const char *v)
{
	return l->info->state == RUN_RUNNING && network_view_publishes(l->networks, l->c, v);
}

/* Of another operating system: docker on Linux takes and ignores it. */
static bool match_isolation(const struct listed *l, const char *v)
{
	return true;
}

static const struct {
	const char *key;
	bool (*match)(const struct listed *l, const char *v);
	bool all; /* every value must match, not just one */
} filters[] = {
	{"id", match_id, false},	     {"name", match_name, false},     {"label", match_label, true},	{"status", match_status, false},
	{"exited", match_exited, false},     {"ancestor", match_ancestor, false}, {"volume", match_volume, false}, {"network", match_network, false},
	{"health", match_health, false},     {"is-task", match_never, false}, {"isolation", match_isolation, false}, {"publish", match_publish, false},
	{"expose", match_expose, false},     {"before", match_before, false}, {"since", match_since, false},
};

static int find_filter(const char *key)
{
	for (size_t i = 0; i < ARRAY_LEN(filters); i++)
		if (str_eq(filters[i].key, key))
			return (int) i;
	return -EINVAL;
}

static bool status_is_known(const char *v)
{
	static const char *const known[] = {"created", "running", "paused", "restarting", "removing", "exited", "dead"};
	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (str_eq(known[i], v))
			return true;
	return false;
}

static int check_value(struct engine *e, const char *tenant, const char *key, const char *v, struct err *err)
{
	_cleanup_container_ struct container other = {0};
	if (str_eq(key, "before") || str_eq(key, "since"))
		return container_find(e, tenant, v, &other, err);
	if (str_eq(key, "status") && !status_is_known(v))
		return err_set(err, ERR_INVALID, "invalid filter 'status=%.64s'", v);
	return 0;
}

static int check_filters(struct engine *e, const char *tenant, const struct json *f, struct err *err)
{
	if (f && json_kind(f) != JSON_KIND_OBJECT)
		return err_set(err, ERR_INVALID, "invalid filter");
	JSON_FOREACH_MEMBER(key, v, f) {
		_cleanup_strv_ char **values = NULL;
		int i = find_filter(key);
		if (i < 0)
			return err_set(err, ERR_INVALID, "invalid filter '%.64s'", key);
		int rc = filter_values(key, v, &values, err);
		STRV_FOREACH(s, values)
			rc = rc < 0 ? rc : check_value(e, tenant, key, s, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static bool passes(const struct json *f, const struct listed *l)
{
	JSON_FOREACH_MEMBER(key, v, f) {
		_cleanup_strv_ char **values = NULL;
		int i = find_filter(key);
		if (i < 0 || filter_values(key, v, &values, NULL) < 0 || !values)
			continue; /* checked before: only emptiness is left */
		bool all = true, any = false;
		STRV_FOREACH(s, values) {
			bool m = filters[i].match(l, s);
			all &= m;
			any |= m;
		}
		if (filters[i].all ? !all : !any)
			return false;
	}
	return true;
}

/* One entry */

static const char *health_words(const struct listed *l)
{
	const char *status = health_is_on(l->c->req) ? health_status(l->e, l->c, l->info) : "";
	return str_eq(status, "starting") ? " (health: starting)" : str_eq(status, "healthy") ? " (healthy)" : str_eq(status, "unhealthy") ? " (unhealthy)" : "";
}

static void status_words(const struct listed *l, char *buf, size_t size)
{
	const struct container *c = l->c;
	const struct run_info *info = l->info;
	char ago[64];
	int64_t now = now_ns();
	if (info->state == RUN_CREATED)
		(void) str_copy(buf, size, "Created");
	else if (info->state == RUN_RUNNING)
		(void) str_format(buf, size, "Up %s%s", time_format_ago(ago, sizeof(ago), now - info->live.started_ns), l->paused ? " (Paused)" : health_words(l));
	else if (info->state == RUN_RESTARTING)
		(void) str_format(buf, size, "Restarting (%d) %s ago", c->exit_code, time_format_ago(ago, sizeof(ago), now - c->finished_ns));
	else
		(void) str_format(buf, size, "Exited (%d) %s ago", c->exit_code, time_format_ago(ago, sizeof(ago), now - c->finished_ns));
}

/* docker's rule: words with a space are quoted, but for the first. */
static void add_words(char *const *v, struct strbuf *out)
{
	STRV_FOREACH(s, v) {
		const char *quote = out->len && strchr(s, ' ') ? "'" : "";
		strbuf_addf(out, "%s%s%s%s", out->len ? " " : "", quote, s, quote);
	}
}

static void command_line(const struct container_request *r, struct strbuf *out)
{
	add_words(r->entrypoint, out);
	add_words(r->cmd, out);
}

static void write_labels(struct json_writer *w, const struct kv_list *l)
{
	jw_obj(w, "Labels");
	for (size_t i = 0; l->keys && l->keys[i]; i++)
		jw_str(w, l->keys[i], l->values[i]);
	jw_end(w);
}

static void write_entry(struct engine *e, struct json_writer *w, const struct listed *l, bool size)
{
	const struct container *c = l->c;
	_cleanup_strbuf_ struct strbuf command = STRBUF_INIT(1 << 20);
	char status[128] = "";
	_cleanup_free_ char *name = str_printf("/%s", c->name);
	command_line(c->req, &command);
	status_words(l, status, sizeof(status));
	jw_obj(w, NULL);
	jw_str(w, "Id", c->id);
	jw_arr(w, "Names");
	jw_str(w, NULL, name ?: "");
	jw_end(w);
	jw_str(w, "Image", c->req->image);
	jw_str(w, "ImageID", c->image_id);
	jw_str(w, "Command", command.s ?: "");
	jw_int(w, "Created", c->created_ns / NSEC_PER_SEC);
	network_view_ports(l->networks, w, c);
	if (size) {
		write_sizes(e, w, c);
	}
	write_labels(w, &c->req->labels);
	jw_str(w, "State", state_of(l));
	jw_str(w, "Status", status);
	jw_obj(w, "HostConfig");
	jw_str(w, "NetworkMode", network_mode_of(c->req));
	jw_end(w);
	network_view_write(l->networks, w, c, /* full= */ false);
	write_mount_points(e, w, c, l->targets, l->volumes);
	jw_end(w);
}

/* Directories that no row names */

static int row_exists(struct engine *e, const char *id)
{
	_cleanup_stmt_ struct db_stmt *st = NULL;
	int rc = db_query(e->db, &st, NULL, "SELECT 1 FROM container WHERE id=?1", "s", id);
	return rc < 0 ? rc : db_step(st, NULL);
}

/* Rows and directories as they were at the start of the listing: what is on both sides needs no other look, and neither does what has no directory. */
struct known {
	const struct container **rows; /* owned; by id */
	size_t n_rows;
	char (*dirs)[ID_LEN + 1]; /* owned; names below the two containers/, sorted */
	size_t n_dirs;
};

static int by_id(const void *a, const void *b)
{
	return strcmp((*(const struct container *const *) a)->id, (*(const struct container *const *) b)->id);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(a, b);
}

static int known_rows(struct known *k, const struct container *rows, size_t n)
{
	k->rows = calloc(n + 1, sizeof(*k->rows));
	if (!k->rows)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		k->rows[i] = &rows[i];
	k->n_rows = n;
	qsort(k->rows, n, sizeof(*k->rows), by_id);
	return 0;
}

static bool has_row(const struct known *k, const char *id)
{
	struct container key;
	const struct container *at = &key;
	(void) str_copy(key.id, sizeof(key.id), id); /* a full id */
	return bsearch(&at, k->rows, k->n_rows, sizeof(*k->rows), by_id) != NULL;
}

static bool has_dir(const struct known *k, const char *id)
{
	return k->n_dirs && bsearch(id, k->dirs, k->n_dirs, sizeof(*k->dirs), by_name) != NULL;
}

static int add_dir(struct known *k, const char *id)
{
	if ((k->n_dirs & (k->n_dirs - 1)) == 0) { /* a power of two, or none: full */
		void *more = reallocarray(k->dirs, k->n_dirs ? k->n_dirs * 2 : 1, sizeof(*k->dirs));
		if (!more)
			return -ENOMEM;
		k->dirs = more;
	}
	(void) str_copy(k->dirs[k->n_dirs++], sizeof(*k->dirs), id); /* a full id */
	return 0;
}

static void known_done(struct known *k)
{
	free(k->rows);
	free(k->dirs);
}

static void sweep_one(struct engine *e, int dfd, int top, const char *id)
{
	char cgroup[MONITOR_PATH_MAX];
	struct err ignored;
	if (row_exists(e, id) != 0)
		return;
	_cleanup_close_ int lock = lock_try(e, id);
	if (lock < 0 || row_exists(e, id) != 0)
		return;
	(void) str_format(cgroup, sizeof(cgroup), "coffer/%s/%s", IDRANGE_LOCAL, id); /* fits */
	(void) sandbox_cleanup(cgroup, &ignored); /* tried again at the next listing, like the rest */
	(void) trash_put(dfd, top, id);
	lock_forget(e, id);
}

/* @dfd: the run or the state directory. A directory without a row goes, unless @keep. */
static int look_at(struct engine *e, struct known *k, int dfd, bool keep)
{
	_cleanup_close_ int top = openat(dfd, "containers", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int own = top < 0 ? -EBADF : fcntl(top, F_DUPFD_CLOEXEC, 3), rc = 0;
	DIR *d = own < 0 ? NULL : fdopendir(own);
	if (!d) {
		safe_close(own);
		return top < 0 && errno == ENOENT ? 0 : -errno;
	}
	for (struct dirent *de; rc >= 0 && (de = readdir(d));) {
		if (!id_is_full(de->d_name))
			continue;
		rc = add_dir(k, de->d_name);
		if (!keep && !has_row(k, de->d_name))
			sweep_one(e, dfd, top, de->d_name);
	}
	(void) closedir(d);
	return rc;
}

static int know(struct engine *e, struct known *k, const struct container *rows, size_t n, bool all)
{
	int rc = known_rows(k, rows, n);
	rc = rc < 0 ? rc : look_at(e, k, e->run_fd, /* keep= */ false);
	rc = rc < 0 ? rc : look_at(e, k, e->state_fd, /* keep= */ !all);
	if (rc >= 0 && k->n_dirs > 0)
		qsort(k->dirs, k->n_dirs, sizeof(*k->dirs), by_name);
	return rc;
}

struct listing {
	struct engine *e;
	const struct list_request *r;
	struct json_writer *w;
	struct volume_uses uses;
	struct network_view networks;
	const struct known *known; /* borrowed */
	int64_t n;
};

static bool asks_for_state(const struct json *f)
{
	return json_get(f, "status") || json_get(f, "exited");
}

static int list_one(struct listing *l, struct container *c, struct err *err)
{
	struct run_info info = {.state = row_run_state(c)}; /* without a bundle and a directory on disk that is all */
	_cleanup_free_ char **targets = NULL, **names = NULL;
	if (l->r->limit > 0 && l->n >= l->r->limit)
		return 0;
	int rc = has_dir(l->known, c->id) ? state_read(l->e, c, /* locked= */ false, &info, err) : 0;
	if (rc == -ENOENT)
		return 0; /* it was to be removed, and is */
	if (rc < 0)
		return rc;
	bool all = l->r->all || l->r->limit > 0 || asks_for_state(l->r->filters);
	if (!all && info.state != RUN_RUNNING && info.state != RUN_RESTARTING)
		return 0;
	if (volume_uses_find(&l->uses, c->id, &targets, &names) < 0)
		return err_oom(err);
	struct listed one = {.e = l->e, .c = c, .info = &info, .networks = &l->networks, .paused = info.state == RUN_RUNNING && container_is_paused(c), .volumes = names, .targets = targets};
	if (!passes(l->r->filters, &one))
		return 0;
	write_entry(l->e, l->w, &one, l->r->size);
	l->n++;
	return 0;
}

int engine_container_list(struct engine *e, const struct caller *caller, const struct list_request *r, struct json_writer *w, struct err *err)
{
	struct known k = {0};
	struct listing l = {.e = e, .r = r, .w = w, .known = &k};
	struct container *rows = NULL;
	size_t n = 0;
	int rc = check_filters(e, caller->tenant, r->filters, err);
	rc = rc < 0 ? rc : containers_load(e, caller->tenant, &rows, &n, err);
	rc = rc < 0 ? rc : volume_uses_load(e, caller->tenant, &l.uses, err);
	rc = rc < 0 ? rc : network_view_load(e, NULL, &l.networks, err);
	int looked = rc < 0 ? 0 : know(e, &k, rows, n, r->all);
	if (looked < 0)
		rc = err_sys(err, looked, "listing containers");
	if (rc >= 0) {
		jw_arr(w, NULL);
		for (size_t i = 0; rc >= 0 && i < n; i++)
			rc = list_one(&l, &rows[i], err);
		jw_end(w);
	}
	known_done(&k);
	volume_uses_done(&l.uses);
	network_view_done(&l.networks);
	containers_free(rows, n);
	return MIN(rc, 0);
}

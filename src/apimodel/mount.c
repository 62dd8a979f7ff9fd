/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The three ways to ask for a mount (Binds, Mounts, Tmpfs) become one list, which is what policy and engine look at:
 * an alias cannot say what its twin may not (CVE-2026-6406).
 */
#include <errno.h>
#include <strings.h>

#include "apimodel/internal.h"
#include "apimodel/target.h"
#include "base/id.h"

#define MOUNTS_MAX 512
#define AT(member) .offset = offsetof(struct mount_request, member)

void mount_request_done(struct mount_request *m)
{
	char *const strings[] = {m->source, m->target, m->propagation, m->subpath, m->tmpfs_options, m->bind_text};
	for (size_t i = 0; i < ARRAY_LEN(strings); i++)
		free(strings[i]);
	kv_list_done(&m->volume_labels);
	*m = (struct mount_request) {0};
}

#define _cleanup_mount_request_ _cleanup_(mount_request_done)

int mount_request_add(struct reader *rd, const char *name, struct container_request *r, struct mount_request *m)
{
	if (r->n_mounts >= MOUNTS_MAX)
		return reader_fail(rd, name, "more than %d mounts", MOUNTS_MAX);
	for (size_t i = 0; i < r->n_mounts; i++)
		if (str_eq(r->mounts[i].target, m->target))
			return reader_fail(rd, name, "duplicate mount point: '%.200s'", m->target);
	if ((r->n_mounts & (r->n_mounts + 1)) == 0) {
		struct mount_request *p = reallocarray(r->mounts, 2 * (r->n_mounts + 1), sizeof(*p));
		if (!p)
			return err_oom(rd->err);
		r->mounts = p;
	}
	r->mounts[r->n_mounts++] = *m;
	*m = (struct mount_request) {0};
	return 0;
}

static int dup_into(struct reader *rd, char **p, const char *s, size_t n)
{
	free(*p);
	*p = strndup(s, n);
	return *p ? 0 : err_oom(rd->err);
}

static int set_target(struct reader *rd, const char *name, struct mount_request *m, const char *text)
{
	char field[PATH_FIELD_MAX + 32];
	(void) str_format(field, sizeof(field), "%s%s", rd->path, name);
	free(take_ptr(m->target));
	return mount_target_clean(field, text, &m->target, rd->err);
}

/* A path is a bind, anything else the name of a volume. */
static int set_source(struct reader *rd, const char *name, struct mount_request *m, const char *text)
{
	if (*text == '/' ? !str_is_plain(text) || strlen(text) > 4095 : !name_is_valid(text))
		return reader_fail(rd, name,
				   "'%.100s' includes invalid characters for a local volume name, only '[a-zA-Z0-9][a-zA-Z0-9_.-]' are allowed. "
				   "If you intended to pass a host directory, use absolute path", text);
	m->kind = *text == '/' ? MOUNT_BIND : MOUNT_VOLUME;
	return dup_into(rd, &m->source, text, strlen(text));
}

static const char *const propagations[] = {"rprivate", "private", "rslave", "slave", "rshared", "shared", NULL};

enum bind_option { BIND_ACCESS, BIND_PROPAGATION, BIND_NOCOPY, BIND_IDMAP, BIND_LABEL, BIND_OPTION_INVALID_ };

static enum bind_option bind_option(const char *s)
{
	static const struct {
		const char *text;
		enum bind_option o;
	} rows[] = {{"ro", BIND_ACCESS},    {"rw", BIND_ACCESS}, {"nocopy", BIND_NOCOPY},
		    {"idmap", BIND_IDMAP}, {"z", BIND_LABEL},   {"Z", BIND_LABEL}};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (str_eq(rows[i].text, s))
			return rows[i].o;
	return word_is_one_of(propagations, s) ? BIND_PROPAGATION : BIND_OPTION_INVALID_;
}

/* One option of "ro,rslave"; @seen: a bit per enum bind_option, since each speaks once. */
static int bind_option_read(struct reader *rd, const char *name, struct mount_request *m, const char *s, unsigned *seen)
{
	enum bind_option o = bind_option(s);
	if (o == BIND_OPTION_INVALID_)
		return reader_fail(rd, name, "invalid mode: '%.60s': ro, rw, idmap, nocopy, z, Z, [r]private, [r]slave and [r]shared are known", s);
	if (*seen & (1U << o))
		return reader_fail(rd, name, "invalid mode: '%.60s' repeats or contradicts an option before it", s);
	*seen |= 1U << o;
	switch (o) {
	case BIND_ACCESS:
		m->read_only = str_eq(s, "ro");
		return 0;
	case BIND_NOCOPY:
		if (m->kind != MOUNT_VOLUME)
			return reader_fail(rd, name, "invalid mode: 'nocopy' is for volumes");
		m->no_copy = true;
		return 0;
	case BIND_IDMAP:
		m->idmap = m->kind == MOUNT_BIND; /* a volume always is */
		return 0;
	case BIND_PROPAGATION:
		if (m->kind != MOUNT_BIND)
			return reader_fail(rd, name, "invalid mode: '%s' is for bind mounts", s);
		return dup_into(rd, &m->propagation, s, strlen(s));
	default: /* without SELinux the engine has nothing to label, as docker */
		m->relabel = *s;
		return 0;
	}
}

static int bind_options_read(struct reader *rd, const char *name, struct mount_request *m, const char *list)
{
	unsigned seen = 0;
	for (const char *s = list;; s++) {
		char word[16];
		size_t n = strcspn(s, ",");
		if (n >= sizeof(word) || n == 0)
			return reader_fail(rd, name, "invalid mode: '%.60s'", list);
		memcpy(word, s, n);
		word[n] = '\0';
		int r = bind_option_read(rd, name, m, word, &seen);
		if (r < 0)
			return r;
		s += n;
		if (*s == '\0')
			return 0;
	}
}

/* "src:dst[:opts]", or "dst" alone for an anonymous volume */
static int bind_parse(struct reader *rd, const char *name, const char *text, struct mount_request *m)
{
	_cleanup_free_ char *src = NULL, *dst = NULL;
	const char *c1 = strchr(text, ':'), *c2 = c1 ? strchr(c1 + 1, ':') : NULL;
	if (c2 && strchr(c2 + 1, ':'))
		return reader_fail(rd, name, "invalid volume specification: '%.200s'", text);
	if (dup_into(rd, &m->bind_text, text, strlen(text)) < 0)
		return err_oom(rd->err);
	if (!c1) {
		m->kind = MOUNT_VOLUME;
		return set_target(rd, name, m, text);
	}
	src = strndup(text, (size_t) (c1 - text));
	dst = c2 ? strndup(c1 + 1, (size_t) (c2 - c1 - 1)) : strdup(c1 + 1);
	if (!src || !dst)
		return err_oom(rd->err);
	int r = set_source(rd, name, m, src);
	if (r >= 0)
		r = set_target(rd, name, m, dst);
	if (r >= 0 && c2)
		r = bind_options_read(rd, name, m, c2 + 1);
	if (r >= 0 && m->kind == MOUNT_BIND && !m->propagation)
		r = dup_into(rd, &m->propagation, "rprivate", 8);
	m->create_source = m->kind == MOUNT_BIND;
	return r;
}

int binds_read(struct reader *rd, const struct field *f, const struct json *v, void *obj)
{
	int r = reader_kind(rd, f->name, v, JSON_KIND_ARRAY);
	if (r <= 0)
		return r;
	if (json_len(v) > MOUNTS_MAX)
		return reader_fail(rd, f->name, "%zu entries, at most %d are taken", json_len(v), MOUNTS_MAX);
	JSON_FOREACH(e, i, v) {
		_cleanup_mount_request_ struct mount_request m = {0};
		char name[32];
		(void) str_format(name, sizeof(name), "Binds[%zu]", i);
		r = reader_kind(rd, name, e, JSON_KIND_STRING);
		if (r == 0)
			r = reader_fail(rd, name, "expected a string, got null");
		if (r > 0)
			r = bind_parse(rd, name, json_str(e, ""), &m);
		if (r >= 0)
			r = mount_request_add(rd, name, obj, &m);
		if (r < 0)
			return r;
	}
	return 0;
}

static bool is_bind_text(const struct mount_request *m)
{
	return !m->from_mounts && m->kind != MOUNT_TMPFS;
}

/* The Binds string of a mount that was built by hand. */
static void bind_synthesize(struct json_writer *w, const struct mount_request *m)
{
	_cleanup_strbuf_ struct strbuf b = STRBUF_INIT(16384);
	if (m->source) {
		strbuf_adds(&b, m->source);
		strbuf_addc(&b, ':');
	}
	strbuf_adds(&b, m->target);
	const char *const options[] = {m->read_only ? "ro" : NULL, m->idmap ? "idmap" : NULL, m->no_copy ? "nocopy" : NULL,
				       m->relabel == 'z' ? "z" : m->relabel == 'Z' ? "Z" : NULL,
				       m->propagation && !str_eq(m->propagation, "rprivate") ? m->propagation : NULL};
	char sep = ':';
	for (size_t i = 0; i < ARRAY_LEN(options); i++)
		if (options[i]) {
			strbuf_addc(&b, sep);
			strbuf_adds(&b, options[i]);
			sep = ',';
		}
	if (strbuf_err(&b) && !w->out->err)
		w->out->err = strbuf_err(&b);
	jw_str(w, NULL, b.s ? b.s : "");
}

void binds_write(struct json_writer *w, const struct field *f, const void *obj)
{
	const struct container_request *r = obj;
	bool open = false;
	for (size_t i = 0; i < r->n_mounts; i++) {
		const struct mount_request *m = &r->mounts[i];
		if (!is_bind_text(m))
			continue;
		if (!open)
			jw_arr(w, f->name);
		open = true;
		if (m->bind_text)
			jw_str(w, NULL, m->bind_text);
		else
			bind_synthesize(w, m);
	}
	if (open)
		jw_end(w);
	else
		jw_null(w, f->name);
}

static int type_read(struct reader *rd, const struct field *f, const struct json *v, void *obj)
{
	static const char *const names[] = {[MOUNT_BIND] = "bind", [MOUNT_VOLUME] = "volume", [MOUNT_TMPFS] = "tmpfs"};
	static_assert(ARRAY_LEN(names) == MOUNT_KIND_MAX_, "every kind has a name");
	struct mount_request *m = obj;
	int r = reader_kind(rd, f->name, v, JSON_KIND_STRING);
	if (r < 0)
		return r;
	const char *s = json_str(v, "");
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (str_eq(names[i], s)) {
			m->kind = (enum mount_kind) i;
			return 0;
		}
	if (str_eq(s, "image"))
		return reader_fail(rd, f->name, "mount type 'image' is not there: run a container of the image and mount what it exports, or use a volume");
	return reader_fail(rd, f->name, "mount type '%.60s' unknown: bind, volume and tmpfs are there", s);
}

static void type_write(struct json_writer *w, const struct field *f, const void *obj)
{
	const struct mount_request *m = obj;
	jw_str(w, f->name, m->kind == MOUNT_BIND ? "bind" : m->kind == MOUNT_VOLUME ? "volume" : "tmpfs");
}

static int propagation_check(struct reader *rd, const struct field *f, void *obj)
{
	const struct mount_request *m = obj;
	if (m->propagation && !word_is_one_of(propagations, m->propagation))
		return reader_fail(rd, f->name, "invalid propagation mode: '%.60s'", m->propagation);
	return 0;
}

static const struct field bind_options[] = {
	{.name = "Propagation", .kind = FIELD_STR, .empty = EMPTY_OMIT, AT(propagation), .check = propagation_check},
	{.name = "NonRecursive", .kind = FIELD_BOOL, .empty = EMPTY_OMIT, AT(non_recursive)},
	{.name = "CreateMountpoint", .kind = FIELD_BOOL, .empty = EMPTY_OMIT, AT(create_source)},
	{.name = "ReadOnlyNonRecursive", .kind = FIELD_BOOL, .empty = EMPTY_OMIT, AT(ro_non_recursive)},
	{.name = "ReadOnlyForceRecursive", .kind = FIELD_BOOL, .empty = EMPTY_OMIT, AT(force_recursive)},
	{.name = "IDMap", .kind = FIELD_BOOL, .empty = EMPTY_OMIT, AT(idmap)},
	{NULL},
};

/* A path inside a volume: relative, never upwards. */
static int subpath_check(struct reader *rd, const struct field *f, void *obj)
{
	const struct mount_request *m = obj;
	if (!m->subpath)
		return 0;
	for (const char *p = m->subpath;; p++) {
		size_t n = strcspn(p, "/");
		if (*m->subpath == '/' || (n == 2 && p[0] == '.' && p[1] == '.'))
			return reader_fail(rd, f->name, "'%.100s' must be relative and without '..'", m->subpath);
		p += n;
		if (*p == '\0')
			return 0;
	}
}

/* A volume of another driver or with options (a device, NFS) would lie elsewhere than its user thinks: no warning will do. */
static int driver_read(struct reader *rd, const struct field *f, const struct json *v, void *obj _unused_)
{
	int r = reader_kind(rd, f->name, v, JSON_KIND_OBJECT);
	if (r <= 0)
		return r;
	const char *name = json_str(json_get_fold(v, "Name"), "");
	if (*name && !str_eq(name, "local"))
		return reader_fail(rd, f->name, "driver '%.60s': local is the one driver", name);
	return value_is_empty(json_get_fold(v, "Options")) ? 0 : reader_fail(rd, f->name, "options of the driver (volume-opt): the local driver takes none");
}

static void driver_write(struct json_writer *w _unused_, const struct field *f _unused_, const void *obj _unused_)
{
}

static const struct field volume_options[] = {
	{.name = "NoCopy", .kind = FIELD_BOOL, .empty = EMPTY_OMIT, AT(no_copy)},
	{.name = "Labels", .kind = FIELD_KV, .empty = EMPTY_OMIT, .flags = FIELD_TEXT, AT(volume_labels)},
	{.name = "DriverConfig", .kind = FIELD_CUSTOM, .read = driver_read, .write = driver_write},
	{.name = "Subpath", .kind = FIELD_STR, .empty = EMPTY_OMIT, AT(subpath), .check = subpath_check},
	{NULL},
};

/* [["noexec"],["uid","5"]] becomes "noexec,uid=5", the form in which --tmpfs says it */
static int tmpfs_list_read(struct reader *rd, const struct field *f, const struct json *v, void *obj)
{
	struct mount_request *m = obj;
	_cleanup_strbuf_ struct strbuf b = STRBUF_INIT(FIELD_BYTES_DEFAULT);
	int r = reader_kind(rd, f->name, v, JSON_KIND_ARRAY);
	if (r <= 0 || json_len(v) == 0)
		return r;
	JSON_FOREACH(pair, i, v) {
		const char *key = json_str(json_at(pair, 0), NULL), *val = json_str(json_at(pair, 1), NULL);
		size_t n = json_len(pair);
		if (json_kind(pair) != JSON_KIND_ARRAY || n < 1 || n > 2 || str_empty(key) || (n == 2 && !val))
			return reader_fail(rd, f->name, "element %zu: expected [\"option\"] or [\"option\", \"value\"]", i);
		if (strpbrk(key, ",=") || (val && strpbrk(val, ",=")) || !str_is_plain(key) || (val && !str_is_plain(val)))
			return reader_fail(rd, f->name, "element %zu: '%.60s' holds a comma, '=' or a control character", i, key);
		strbuf_addf(&b, n == 2 ? "%s%s=%s" : "%s%s", i ? "," : "", key, val);
	}
	if (strbuf_err(&b))
		return reader_fail(rd, f->name, "longer than %d bytes", FIELD_BYTES_DEFAULT);
	m->tmpfs_options = strbuf_steal(&b);
	return m->tmpfs_options ? 0 : err_oom(rd->err);
}

static void tmpfs_list_write(struct json_writer *w, const struct field *f, const void *obj)
{
	const struct mount_request *m = obj;
	if (str_empty(m->tmpfs_options))
		return;
	jw_arr(w, f->name);
	for (const char *s = m->tmpfs_options; *s;) {
		size_t n = strcspn(s, ","), eq = strcspn(s, "=");
		jw_arr(w, NULL);
		jw_strn(w, NULL, s, MIN(n, eq));
		if (eq < n)
			jw_strn(w, NULL, s + eq + 1, n - eq - 1);
		jw_end(w);
		s += n + (s[n] == ',');
	}
	jw_end(w);
}

static const struct field tmpfs_options[] = {
	{.name = "SizeBytes", .kind = FIELD_U64, .empty = EMPTY_OMIT, AT(tmpfs_size)},
	{.name = "Mode", .kind = FIELD_U32, .empty = EMPTY_OMIT, .min = 0, .max = 07777, AT(tmpfs_mode)},
	{.name = "Options", .kind = FIELD_CUSTOM, .read = tmpfs_list_read, .write = tmpfs_list_write},
	{NULL},
};

/* Written for the type they belong to only. */
static void options_write(struct json_writer *w, const struct field *f, const void *obj)
{
	const struct mount_request *m = obj;
	bool any = m->kind == MOUNT_BIND ? m->propagation || m->create_source || m->idmap || m->non_recursive || m->ro_non_recursive :
		   m->kind == MOUNT_VOLUME ? m->no_copy || m->subpath || m->volume_labels.keys :
		   m->tmpfs_size || m->tmpfs_mode || !str_empty(m->tmpfs_options);
	bool mine = f->sub == (m->kind == MOUNT_BIND ? bind_options : m->kind == MOUNT_VOLUME ? volume_options : tmpfs_options);
	if (!mine || !any)
		return;
	jw_obj(w, f->name);
	fields_write(w, f->sub, m);
	jw_end(w);
}

static int options_read(struct reader *rd, const struct field *f, const struct json *v, void *obj)
{
	const struct mount_request *m = obj;
	int r = reader_kind(rd, f->name, v, JSON_KIND_OBJECT);
	if (r <= 0 || json_len(v) == 0)
		return r;
	if (f->sub != (m->kind == MOUNT_BIND ? bind_options : m->kind == MOUNT_VOLUME ? volume_options : tmpfs_options))
		return reader_fail(rd, f->name, "field %s must not be specified for this mount type", f->name);
	size_t mark = reader_enter(rd, f->name);
	r = fields_read(rd, f->sub, v, obj);
	reader_leave(rd, mark);
	return r;
}

static int target_check(struct reader *rd, const struct field *f, void *obj)
{
	struct mount_request *m = obj;
	_cleanup_free_ char *text = take_ptr(m->target);
	return text ? set_target(rd, f->name, m, text) : 0;
}

static int source_check(struct reader *rd, const struct field *f, void *obj)
{
	struct mount_request *m = obj;
	if (!m->source)
		return 0;
	if (m->kind == MOUNT_TMPFS)
		return reader_fail(rd, f->name, "'%.100s': field Source must not be specified for a tmpfs", m->source);
	if (m->kind == MOUNT_BIND && m->source[0] != '/')
		return reader_fail(rd, f->name, "invalid mount path: '%.100s': mount path must be absolute", m->source);
	if (m->kind == MOUNT_VOLUME && !name_is_valid(m->source))
		return reader_fail(rd, f->name, "'%.100s' is not a volume's name", m->source);
	return 0;
}

static const struct field mount_fields[] = {
	{.name = "Type", .kind = FIELD_CUSTOM, .read = type_read, .write = type_write},
	{.name = "Source", .kind = FIELD_STR, .empty = EMPTY_OMIT, .max_bytes = 4095, AT(source), .check = source_check},
	{.name = "Target", .kind = FIELD_STR, .max_bytes = 4095, AT(target), .check = target_check},
	{.name = "ReadOnly", .kind = FIELD_BOOL, .empty = EMPTY_OMIT, AT(read_only)},
	{.name = "Consistency", .kind = FIELD_IGNORED},
	{.name = "BindOptions", .kind = FIELD_CUSTOM, .sub = bind_options, .read = options_read, .write = options_write},
	{.name = "VolumeOptions", .kind = FIELD_CUSTOM, .sub = volume_options, .read = options_read, .write = options_write},
	{.name = "TmpfsOptions", .kind = FIELD_CUSTOM, .sub = tmpfs_options, .read = options_read, .write = options_write},
	{.name = "ImageOptions", .kind = FIELD_FIXED},
	{.name = "ClusterOptions", .kind = FIELD_FIXED},
	{NULL},
};

static int bind_options_check(struct reader *rd, const struct mount_request *m)
{
	if (m->ro_non_recursive && !m->read_only)
		return reader_fail(rd, "BindOptions.ReadOnlyNonRecursive", "the mount is not ReadOnly");
	if (m->force_recursive && (!m->read_only || m->ro_non_recursive || m->non_recursive))
		return reader_fail(rd, "BindOptions.ReadOnlyForceRecursive", "needs ReadOnly, and neither ReadOnlyNonRecursive nor NonRecursive");
	if (m->force_recursive && m->propagation && !str_eq(m->propagation, "rprivate"))
		return reader_fail(rd, "BindOptions.ReadOnlyForceRecursive", "needs the propagation 'rprivate', not '%s'", m->propagation);
	return 0;
}

static int mount_parse(struct reader *rd, const struct json *v, struct mount_request *m)
{
	m->kind = MOUNT_KIND_MAX_;
	m->from_mounts = true;
	int r = fields_read(rd, mount_fields, v, m);
	if (r < 0)
		return r;
	if (m->kind == MOUNT_KIND_MAX_)
		return reader_fail(rd, "Type", "mount type unknown: field Type must not be empty");
	if (!m->target)
		return reader_fail(rd, "Target", "field Target must not be empty");
	if (m->kind == MOUNT_BIND && !m->source)
		return reader_fail(rd, "Source", "field Source must not be empty");
	r = bind_options_check(rd, m);
	if (r >= 0 && m->kind == MOUNT_BIND && !m->propagation)
		r = dup_into(rd, &m->propagation, "rprivate", 8);
	return r;
}

static bool is_inherited_list(const struct field *f)
{
	return str_eq(f->name, "InheritedMounts");
}

int mounts_read(struct reader *rd, const struct field *f, const struct json *v, void *obj)
{
	int r = reader_kind(rd, f->name, v, JSON_KIND_ARRAY);
	if (r <= 0)
		return r;
	if (json_len(v) > MOUNTS_MAX)
		return reader_fail(rd, f->name, "%zu entries, at most %d are taken", json_len(v), MOUNTS_MAX);
	JSON_FOREACH(e, i, v) {
		_cleanup_mount_request_ struct mount_request m = {0};
		if (json_kind(e) != JSON_KIND_OBJECT)
			return reader_fail(rd, f->name, "element %zu: expected an object, got %s", i, json_kind_name(json_kind(e)));
		size_t mark = reader_enter_item(rd, f->name, i);
		r = mount_parse(rd, e, &m);
		m.inherited = is_inherited_list(f);
		if (r >= 0)
			r = mount_request_add(rd, "Target", obj, &m);
		reader_leave(rd, mark);
		if (r < 0)
			return r;
	}
	return 0;
}

void mounts_write(struct json_writer *w, const struct field *f, const void *obj)
{
	const struct container_request *r = obj;
	bool open = false;
	for (size_t i = 0; i < r->n_mounts; i++) {
		if (!r->mounts[i].from_mounts || r->mounts[i].inherited != is_inherited_list(f))
			continue;
		if (!open)
			jw_arr(w, f->name);
		open = true;
		jw_obj(w, NULL);
		fields_write(w, mount_fields, &r->mounts[i]);
		jw_end(w);
	}
	if (open)
		jw_end(w);
}

int tmpfs_read(struct reader *rd, const struct field *f, const struct json *v, void *obj)
{
	int r = reader_kind(rd, f->name, v, JSON_KIND_OBJECT);
	if (r <= 0)
		return r;
	if (json_len(v) > MOUNTS_MAX)
		return reader_fail(rd, f->name, "%zu entries, at most %d are taken", json_len(v), MOUNTS_MAX);
	JSON_FOREACH_MEMBER(target, opts, v) {
		_cleanup_mount_request_ struct mount_request m = {.kind = MOUNT_TMPFS};
		const char *text = json_str(opts, "");
		r = reader_kind(rd, f->name, opts, JSON_KIND_STRING);
		if (r >= 0 && (strlen(text) > FIELD_BYTES_DEFAULT || !str_is_plain(text)))
			r = reader_fail(rd, f->name, "'%.60s': options too long or with a control character", target);
		if (r >= 0)
			r = set_target(rd, f->name, &m, target);
		if (r >= 0 && *text)
			r = dup_into(rd, &m.tmpfs_options, text, strlen(text));
		if (r >= 0)
			r = mount_request_add(rd, f->name, obj, &m);
		if (r < 0)
			return r;
	}
	return 0;
}

void tmpfs_write(struct json_writer *w, const struct field *f, const void *obj)
{
	const struct container_request *r = obj;
	bool open = false;
	for (size_t i = 0; i < r->n_mounts; i++) {
		const struct mount_request *m = &r->mounts[i];
		if (m->from_mounts || m->kind != MOUNT_TMPFS)
			continue;
		if (!open)
			jw_obj(w, f->name);
		open = true;
		jw_str(w, m->target, m->tmpfs_options ? m->tmpfs_options : "");
	}
	if (open)
		jw_end(w);
}

static int copy_str(char **to, const char *s)
{
	*to = s ? strdup(s) : NULL;
	return s && !*to ? -ENOMEM : 0;
}

int container_request_inherit(struct container_request *r, const struct mount_request *m)
{
	struct reader rd = {.err = NULL};
	_cleanup_mount_request_ struct mount_request copy = {
		.kind = m->kind, .read_only = m->read_only, .no_copy = true, .create_source = m->create_source, .idmap = m->idmap, .relabel = m->relabel, .from_mounts = true,
		.non_recursive = m->non_recursive, .ro_non_recursive = m->ro_non_recursive, .force_recursive = m->force_recursive, .inherited = true,
	};
	if (copy_str(&copy.source, m->source) < 0 || copy_str(&copy.target, m->target) < 0 || copy_str(&copy.propagation, m->propagation) < 0 || copy_str(&copy.subpath, m->subpath) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < r->n_mounts; i++) {
		if (!str_eq(r->mounts[i].target, m->target))
			continue;
		if (!r->mounts[i].inherited)
			return 0;
		mount_request_done(&r->mounts[i]); /* the last one that is named wins */
		r->mounts[i] = copy;
		copy = (struct mount_request) {0};
		return 0;
	}
	return r->n_mounts < MOUNTS_MAX ? mount_request_add(&rd, "VolumesFrom", r, &copy) : -E2BIG;
}

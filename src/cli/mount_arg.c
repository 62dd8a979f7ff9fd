/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/mount_arg.h"

#include <errno.h>
#include <strings.h>

#include "base/num.h"
#include "base/flag.h"

enum mount_type { TYPE_VOLUME = 1, TYPE_BIND = 2, TYPE_TMPFS = 4 };

struct mount_arg {
	enum mount_type type;
	const char *source, *target, *propagation, *subpath; /* borrowed from the fields */
	bool read_only, nocopy, idmap, non_recursive, ro_writable, ro_forced;
	char **labels;      /* owned strv */
	uint64_t tmpfs_size;
	uint32_t tmpfs_mode;
	unsigned needs;     /* the types that every option given belongs to */
	const char *needer; /* the option that narrowed it */
};

int csv_split(const char *text, char ***ret, struct err *err)
{
	_cleanup_strv_ char **fields = NULL;
	const char *p = text;
	for (;;) {
		_cleanup_strbuf_ struct strbuf b = STRBUF_INIT(64 << 10);
		if (*p == '"') {
			for (p++; *p && (*p != '"' || p[1] == '"'); p++) {
				p += *p == '"';
				strbuf_addc(&b, *p);
			}
			if (*p++ != '"')
				return err_set(err, ERR_INVALID, "a quoted field does not end: %.200s", text);
			if (*p && *p != ',')
				return err_set(err, ERR_INVALID, "text follows a quoted field: %.200s", p);
		} else {
			size_t n = strcspn(p, ",");
			if (memchr(p, '"', n))
				return err_set(err, ERR_INVALID, "bare \" in a field that is not quoted: %.200s", p);
			strbuf_add(&b, p, n);
			p += n;
		}
		if (strv_push_take(&fields, strbuf_steal(&b)) < 0)
			return err_oom(err);
		if (!*p++)
			break;
	}
	*ret = take_ptr(fields);
	return 0;
}

static int set_type(struct mount_arg *m, const char *v)
{
	static const struct {
		const char *name;
		enum mount_type type;
	} types[] = {{"volume", TYPE_VOLUME}, {"bind", TYPE_BIND}, {"tmpfs", TYPE_TMPFS}};
	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		if (strcasecmp(v, types[i].name) == 0) {
			m->type = types[i].type;
			return 0;
		}
	return -EINVAL;
}

static int set_source(struct mount_arg *m, const char *v)
{
	m->source = v;
	return 0;
}

static int set_target(struct mount_arg *m, const char *v)
{
	m->target = v;
	return 0;
}

static int set_propagation(struct mount_arg *m, const char *v)
{
	m->propagation = v;
	return 0;
}

static int set_subpath(struct mount_arg *m, const char *v)
{
	m->subpath = v;
	return 0;
}

static int set_readonly(struct mount_arg *m, const char *v)
{
	return parse_bool(v, &m->read_only);
}

static int set_nocopy(struct mount_arg *m, const char *v)
{
	return parse_bool(v, &m->nocopy);
}

static int set_idmap(struct mount_arg *m, const char *v)
{
	return parse_bool(v, &m->idmap);
}

/* docker's words: what is mounted below the source comes along or not, and is read-only as well or not */
static int set_recursive(struct mount_arg *m, const char *v)
{
	m->non_recursive = str_eq(v, "disabled");
	m->ro_writable = str_eq(v, "writable");
	m->ro_forced = str_eq(v, "readonly");
	return m->non_recursive || m->ro_writable || m->ro_forced || str_eq(v, "enabled") ? 0 : -EINVAL;
}

static int set_nonrecursive(struct mount_arg *m, const char *v)
{
	return parse_bool(v, &m->non_recursive);
}

static int set_driver(struct mount_arg *m, const char *v)
{
	return str_eq(v, "local") ? 0 : -EINVAL; /* the one there is */
}

static int set_label(struct mount_arg *m, const char *v)
{
	return *v && *v != '=' ? strv_push(&m->labels, v) : -EINVAL;
}

static int set_tmpfs_size(struct mount_arg *m, const char *v)
{
	return parse_size(v, &m->tmpfs_size);
}

static int set_tmpfs_mode(struct mount_arg *m, const char *v)
{
	return parse_oct(v, &m->tmpfs_mode);
}

static int set_ignored(struct mount_arg *m, const char *v)
{
	return 0; /* consistency: docker, too, ignores it on Linux */
}

static const struct mount_key {
	const char *name;
	unsigned types; /* enum mount_type; 0: any */
	bool is_switch; /* may stand without a value */
	int (*set)(struct mount_arg *m, const char *value);
} keys[] = {
	{"type", 0, false, set_type},
	{"source", 0, false, set_source},
	{"src", 0, false, set_source},
	{"target", 0, false, set_target},
	{"dst", 0, false, set_target},
	{"destination", 0, false, set_target},
	{"readonly", 0, true, set_readonly},
	{"ro", 0, true, set_readonly},
	{"consistency", 0, false, set_ignored},
	{"idmap", TYPE_BIND, true, set_idmap},
	{"bind-propagation", TYPE_BIND, false, set_propagation},
	{"bind-recursive", TYPE_BIND, false, set_recursive},
	{"bind-nonrecursive", TYPE_BIND, true, set_nonrecursive},
	{"volume-driver", TYPE_VOLUME, false, set_driver},
	{"volume-label", TYPE_VOLUME, false, set_label},
	{"volume-nocopy", TYPE_VOLUME, true, set_nocopy},
	{"volume-subpath", TYPE_VOLUME, false, set_subpath},
	{"tmpfs-size", TYPE_TMPFS, false, set_tmpfs_size},
	{"tmpfs-mode", TYPE_TMPFS, false, set_tmpfs_mode},
};

static const struct {
	const char *name, *why;
} refused_keys[] = {
	{"volume-opt", "volumes are directories of this host: they take no options"},
	{"image-subpath", "images are not mounted: there is no type=image"},
};

static const struct mount_key *find_key(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		if (strcasecmp(name, keys[i].name) == 0)
			return &keys[i];
	return NULL;
}

static int read_field(struct mount_arg *m, char *field, struct err *err)
{
	char *value = strchr(field, '=');
	if (value)
		*value++ = '\0';
	for (size_t i = 0; i < ARRAY_LEN(refused_keys); i++)
		if (strcasecmp(field, refused_keys[i].name) == 0)
			return err_set(err, ERR_UNSUPPORTED, "%s is not there: %s", refused_keys[i].name, refused_keys[i].why);
	const struct mount_key *k = find_key(field);
	if (!k)
		return err_set(err, ERR_INVALID, "unexpected key '%.60s'", field);
	if (!value && !k->is_switch)
		return err_set(err, ERR_INVALID, "invalid field '%.60s' must be a key=value pair", field);
	if (k->set(m, value ? value : "true") < 0)
		return err_set(err, ERR_INVALID, "invalid value for %s: %.100s", k->name, value ? value : "");
	if (k->types) {
		m->needs &= k->types;
		m->needer = k->name;
	}
	return 0;
}

static int check(const struct mount_arg *m, struct err *err)
{
	if (!m->target)
		return err_set(err, ERR_INVALID, "target is required");
	if (!(m->needs & m->type))
		return err_set(err, ERR_INVALID, "cannot use %s with type=%s", m->needer,
			       m->type == TYPE_BIND ? "bind" : m->type == TYPE_TMPFS ? "tmpfs" : "volume");
	if (m->type == TYPE_BIND && !m->source)
		return err_set(err, ERR_INVALID, "source is required for type=bind");
	if (m->ro_writable && !m->read_only)
		return err_set(err, ERR_INVALID, "option 'bind-recursive=writable' requires 'readonly' to be specified in conjunction");
	if (m->ro_forced && !m->read_only)
		return err_set(err, ERR_INVALID, "option 'bind-recursive=readonly' requires 'readonly' to be specified in conjunction");
	if (m->ro_forced && !str_eq(m->propagation, "rprivate"))
		return err_set(err, ERR_INVALID, "option 'bind-recursive=readonly' requires 'bind-propagation=rprivate' to be specified in conjunction");
	if (m->type == TYPE_TMPFS && m->source)
		return err_set(err, ERR_INVALID, "a tmpfs has no source");
	return 0;
}

static void write_labels(struct json_writer *w, char *const *labels)
{
	if (!labels)
		return;
	jw_obj(w, "Labels");
	STRV_FOREACH(l, labels) {
		const char *value = strchr(l, '=');
		_cleanup_free_ char *key = strndup(l, value ? (size_t) (value - l) : strlen(l));
		jw_str(w, key ? key : "", value ? value + 1 : "");
	}
	jw_end(w);
}

static void write_options(struct json_writer *w, const struct mount_arg *m)
{
	if (m->type == TYPE_BIND && (m->propagation || m->idmap || m->non_recursive || m->ro_writable || m->ro_forced)) {
		jw_obj(w, "BindOptions");
		if (m->propagation)
			jw_str(w, "Propagation", m->propagation);
		if (m->idmap)
			jw_bool(w, "IDMap", true);
		if (m->non_recursive)
			jw_bool(w, "NonRecursive", true);
		if (m->ro_writable)
			jw_bool(w, "ReadOnlyNonRecursive", true);
		if (m->ro_forced)
			jw_bool(w, "ReadOnlyForceRecursive", true);
		jw_end(w);
	}
	if (m->type == TYPE_VOLUME && (m->nocopy || m->subpath || m->labels)) {
		jw_obj(w, "VolumeOptions");
		if (m->nocopy)
			jw_bool(w, "NoCopy", true);
		if (m->subpath)
			jw_str(w, "Subpath", m->subpath);
		write_labels(w, m->labels);
		jw_end(w);
	}
	if (m->type == TYPE_TMPFS && (m->tmpfs_size || m->tmpfs_mode)) {
		jw_obj(w, "TmpfsOptions");
		if (m->tmpfs_size)
			jw_uint(w, "SizeBytes", m->tmpfs_size);
		if (m->tmpfs_mode)
			jw_uint(w, "Mode", m->tmpfs_mode);
		jw_end(w);
	}
}

int mount_arg_write(struct json_writer *w, const char *text, struct err *err)
{
	struct mount_arg m = {.type = TYPE_VOLUME, .needs = ~0u};
	_cleanup_strv_ char **fields = NULL;
	int r = csv_split(text, &fields, err);
	for (char **f = fields; r == 0 && *f; f++)
		r = read_field(&m, *f, err);
	if (r == 0)
		r = check(&m, err);
	if (r < 0) {
		enum err_kind kind = err->kind;
		strv_free(m.labels);
		r = err_wrap(err, "invalid argument \"%.120s\" for \"--mount\" flag", text);
		err->kind = (uint16_t) kind;
		return r;
	}
	jw_obj(w, NULL);
	jw_str(w, "Type", m.type == TYPE_BIND ? "bind" : m.type == TYPE_TMPFS ? "tmpfs" : "volume");
	if (m.source)
		jw_str(w, "Source", m.source);
	jw_str(w, "Target", m.target);
	if (m.read_only)
		jw_bool(w, "ReadOnly", true);
	write_options(w, &m);
	jw_end(w);
	strv_free(m.labels);
	return 0;
}

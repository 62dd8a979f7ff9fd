/* SPDX-License-Identifier: Apache-2.0 */
/* UsernsMode, UidMaps and GidMaps as text, read strictly. */
#include <errno.h>

#include "base/num.h"
#include "idrange/internal.h"

static const char *const mode_names[] = {
	[IDRANGE_AUTO] = "auto", [IDRANGE_REMAP] = "remap", [IDRANGE_MAP] = "map", [IDRANGE_CONTAINER] = "container", [IDRANGE_HOST] = "host",
};
static_assert(ARRAY_LEN(mode_names) == IDRANGE_MODE_MAX_, "every mode has a name");

static bool overlap(uint32_t a, uint32_t a_size, uint32_t b, uint32_t b_size)
{
	return (uint64_t) a < (uint64_t) b + b_size && (uint64_t) b < (uint64_t) a + a_size;
}

/* "CTR:HOST:SIZE" */
static int parse_extent(const char *what, const char *text, struct idrange_extent *ret, struct err *err)
{
	uint32_t v[3];
	char part[16];
	const char *p = text;
	for (int i = 0; i < 3; i++) {
		size_t n = strcspn(p, ":");
		if (n >= sizeof(part) || (p[n] == ':') != (i < 2))
			return err_set(err, ERR_INVALID, "%s: '%s' is not CONTAINER:HOST:SIZE", what, text);
		memcpy(part, p, n);
		part[n] = '\0';
		if (parse_u32(part, &v[i]) < 0)
			return err_set(err, ERR_INVALID, "%s: '%s' is not CONTAINER:HOST:SIZE in numbers below 4294967296", what, text);
		p += n + 1;
	}
	*ret = (struct idrange_extent){.ctr = v[0], .host = v[1], .size = v[2]};
	return 0;
}

static int check_extent(const char *what, const char *text, const struct idrange_extent *v, size_t i, struct err *err)
{
	const struct idrange_extent *e = &v[i];
	if (e->size == 0)
		return err_set(err, ERR_INVALID, "%s: '%s' maps no id: SIZE is 0", what, text);
	if (e->host == 0)
		return err_set(err, ERR_INVALID, "%s: '%s' maps host id 0, which no container gets", what, text);
	if ((uint64_t) e->ctr + e->size > UINT32_MAX || (uint64_t) e->host + e->size > UINT32_MAX)
		return err_set(err, ERR_INVALID, "%s: '%s' goes past the last id 4294967294", what, text);
	for (size_t k = 0; k < i; k++) {
		if (overlap(e->ctr, e->size, v[k].ctr, v[k].size))
			return err_set(err, ERR_INVALID, "%s: '%s' and '%u:%u:%u' overlap inside the container", what, text, v[k].ctr, v[k].host, v[k].size);
		if (overlap(e->host, e->size, v[k].host, v[k].size))
			return err_set(err, ERR_INVALID, "%s: '%s' and '%u:%u:%u' overlap on the host", what, text, v[k].ctr, v[k].host, v[k].size);
	}
	return 0;
}

static int parse_maps(const char *what, char *const *texts, struct idrange_extent *v, size_t *n, struct err *err)
{
	*n = 0;
	STRV_FOREACH(text, texts) {
		if (*n == IDRANGE_EXTENTS_MAX)
			return err_set(err, ERR_INVALID, "%s: %zu extents, at most %d are taken", what, strv_len(texts), IDRANGE_EXTENTS_MAX);
		int r = parse_extent(what, text, &v[*n], err);
		r = r < 0 ? r : check_extent(what, text, v, *n, err);
		if (r < 0)
			return r;
		(*n)++;
	}
	for (size_t i = 0; i < *n; i++)
		if (v[i].ctr == 0)
			return 0;
	return *n ? err_set(err, ERR_INVALID, "%s: id 0 of the container is not mapped, so nothing could be set up in it", what) : 0;
}

static int parse_custom(char *const *uid_maps, char *const *gid_maps, struct idrange_map *m, struct err *err)
{
	if (!uid_maps && !gid_maps)
		return err_set(err, ERR_INVALID, "UsernsMode 'map' needs UidMaps (--uidmap CONTAINER:HOST:SIZE)");
	int r = parse_maps("UidMaps", uid_maps ?: gid_maps, m->uid, &m->n_uid, err);
	return r < 0 ? r : parse_maps("GidMaps", gid_maps ?: uid_maps, m->gid, &m->n_gid, err);
}

static int parse_auto(const char *args, struct idrange_request *ret, struct err *err)
{
	const char *size = str_after(args, "size=");
	if (!size || parse_u32(size, &ret->size) < 0 || ret->size == 0)
		return err_set(err, ERR_INVALID, "UsernsMode 'auto:%s': expected auto:size=N with N from 1 up", args);
	return 0;
}

static int parse_remap(const char *args, struct idrange_request *ret, struct err *err)
{
	size_t n = strcspn(args, ":");
	const char *group = args[n] ? args + n + 1 : "";
	if (n == 0 || n >= sizeof(ret->user) || (args[n] && !*group) || strchr(group, ':') || str_copy(ret->group, sizeof(ret->group), group) < 0)
		return err_set(err, ERR_INVALID, "UsernsMode 'remap:%s': expected remap:USER[:GROUP] or remap:UID[:GID]", args);
	memcpy(ret->user, args, n);
	ret->user[n] = '\0';
	return 0;
}

static int parse_container(const char *args, struct idrange_request *ret, struct err *err)
{
	if (!*args || str_copy(ret->container, sizeof(ret->container), args) < 0)
		return err_set(err, ERR_INVALID, "UsernsMode 'container:%s': expected container:NAME or container:ID", args);
	return 0;
}

static const struct {
	enum idrange_mode mode;
	enum { ARGS_NONE, ARGS_MAY, ARGS_MUST } args;
	int (*parse)(const char *args, struct idrange_request *ret, struct err *err);
} modes[] = {
	{IDRANGE_AUTO, ARGS_MAY, parse_auto},		 {IDRANGE_REMAP, ARGS_MAY, parse_remap}, {IDRANGE_MAP, ARGS_NONE, NULL},
	{IDRANGE_CONTAINER, ARGS_MUST, parse_container}, {IDRANGE_HOST, ARGS_NONE, NULL},
};

static int parse_mode(const char *mode, struct idrange_request *ret, struct err *err)
{
	for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
		const char *rest = str_after(mode, mode_names[modes[i].mode]);
		if (!rest || (*rest && *rest != ':'))
			continue;
		if ((*rest && modes[i].args == ARGS_NONE) || (!*rest && modes[i].args == ARGS_MUST))
			break;
		ret->mode = modes[i].mode;
		return *rest ? modes[i].parse(rest + 1, ret, err) : 0;
	}
	return err_set(err, ERR_INVALID, "UsernsMode '%s': expected auto, auto:size=N, remap[:USER[:GROUP]], map, container:NAME or host", mode);
}

int idrange_parse(const char *mode, char *const *uid_maps, char *const *gid_maps, struct idrange_request *ret, struct err *err)
{
	struct idrange_request req = {.mode = IDRANGE_AUTO};
	bool maps = (uid_maps && *uid_maps) || (gid_maps && *gid_maps);
	int r = str_empty(mode) ? 0 : parse_mode(mode, &req, err);
	if (r < 0)
		return r;
	if (str_empty(mode) && maps)
		req.mode = IDRANGE_MAP;
	if (maps && req.mode != IDRANGE_MAP)
		return err_set(err, ERR_INVALID, "UidMaps and GidMaps go with UsernsMode 'map', not with '%s'", mode);
	if (req.mode == IDRANGE_MAP) {
		r = parse_custom(uid_maps && *uid_maps ? uid_maps : NULL, gid_maps && *gid_maps ? gid_maps : NULL, &req.map, err);
		if (r < 0)
			return r;
	}
	*ret = req;
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/share.h"

#include <errno.h>
#include <sys/stat.h>

static const struct mode {
	enum ns_kind kind;
	const char *field, *word; /* "PidMode (--pid)"; how a message calls the namespace */
	size_t at;                /* char * of a struct container_request */
	bool joinable;
	enum engine_allow allow;
} modes[] = {
	{NS_NET, "NetworkMode (--network)", "network", offsetof(struct container_request, network_mode), true, ALLOW_NETWORK},
	{NS_IPC, "IpcMode (--ipc)", "IPC", offsetof(struct container_request, ipc_mode), true, ALLOW_IPC},
	{NS_PID, "PidMode (--pid)", "PID", offsetof(struct container_request, pid_mode), true, ALLOW_PID},
	{NS_UTS, "UTSMode (--uts)", "UTS", offsetof(struct container_request, uts_mode), false, ALLOW_UTS},
	{NS_CGROUP, "CgroupnsMode (--cgroupns)", "cgroup", offsetof(struct container_request, cgroupns_mode), false, ALLOW_CGROUPNS},
};

static const struct mode *mode_of(enum ns_kind kind)
{
	size_t i = 0;
	while (modes[i].kind != kind) {
		i++;
		assert(i < ARRAY_LEN(modes));
	}
	return &modes[i];
}

static const char *text_of(const struct container_request *r, const struct mode *m)
{
	return *(char *const *) (const void *) ((const char *) r + m->at);
}

enum share share_of(const struct container_request *r, enum ns_kind kind, const char **ret_ref)
{
	const struct mode *m = mode_of(kind);
	const char *s = text_of(r, m), *ref = s && m->joinable ? str_after(s, "container:") : NULL;
	if (ret_ref)
		*ret_ref = ref;
	if (ref)
		return *ref ? SHARE_JOIN : SHARE_INVALID_;
	if (str_empty(s) || str_eq(s, "private") || (kind == NS_IPC && str_eq(s, "shareable")))
		return SHARE_OWN;
	if (str_eq(s, "host"))
		return SHARE_HOST;
	if (kind == NS_IPC && str_eq(s, "none"))
		return SHARE_NONE;
	return kind == NS_NET ? SHARE_OWN : SHARE_INVALID_; /* networks have names */
}

bool share_is_own(const struct container_request *r, enum ns_kind kind)
{
	enum share s = share_of(r, kind, NULL);
	return s == SHARE_OWN || s == SHARE_NONE;
}

bool share_joins(const struct container_request *r)
{
	for (size_t i = 0; i < ARRAY_LEN(modes); i++)
		if (share_of(r, modes[i].kind, NULL) == SHARE_JOIN)
			return true;
	return false;
}

/* At create, and again at every start */

static int check_mode(const struct engine *e, const struct container_request *r, const struct mode *m, struct err *err)
{
	const char *s = text_of(r, m);
	enum share share = share_of(r, m->kind, NULL);
	char what[96];
	if (share == SHARE_INVALID_)
		return err_set(err, ERR_INVALID, "HostConfig.%s: invalid %s mode: '%.64s': %s", m->field, m->word, s,
			       m->kind == NS_IPC ? "private, shareable, none, host and container:NAME are known" : m->kind == NS_PID ? "private, host and container:NAME are known" : "private and host are known");
	if (runtime_is_foreign(r) && share != SHARE_OWN && !(m->kind == NS_NET && share == SHARE_HOST))
		return err_set(err, ERR_UNSUPPORTED, "HostConfig.%s '%.64s': namespaces are shared by Coffer's own runtime alone, not by --runtime %.64s", m->field, s, r->runtime);
	if (share != SHARE_HOST)
		return 0;
	(void) str_format(what, sizeof(what), "HostConfig.%s 'host'", m->field); /* fits */
	return allow_check(e, m->allow, what, err);
}

int shares_check(const struct engine *e, const struct container_request *r, struct err *err)
{
	for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
		int rc = check_mode(e, r, &modes[i], err);
		if (rc < 0)
			return rc;
	}
	if (share_joins(r) && (r->uid_maps || r->gid_maps || (!str_empty(r->userns_mode) && !str_eq(r->userns_mode, "host") && !str_after(r->userns_mode, "container:"))))
		return err_set(err, ERR_INVALID, "HostConfig.UsernsMode (--userns) '%.64s': not together with a namespace of another container (--network, --ipc, --pid container:NAME), whose user namespace owns "
						 "that: leave it out", r->userns_mode ?: "map");
	return 0;
}

int shares_conflicts(const struct container_request *r, struct err *err)
{
	bool join = share_of(r, NS_NET, NULL) == SHARE_JOIN;
	const struct {
		bool asked;
		const char *text;
	} rows[] = {
		{join && !str_empty(r->hostname), "hostname and the network mode"},
		{share_of(r, NS_UTS, NULL) == SHARE_HOST && (!str_empty(r->hostname) || !str_empty(r->domainname)), "hostname and the UTS mode"},
		{join && (r->dns || r->dns_search || r->dns_options), "dns and the network mode"},
		{join && r->extra_hosts, "custom host-to-IP mapping and the network mode"},
		{join && (r->publish_all_ports || (r->port_bindings_json && !str_eq(r->port_bindings_json, "{}"))), "port publishing and the container type network mode"},
		{join && r->exposed_ports, "port exposing and the container type network mode"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (rows[i].asked)
			return err_set(err, ERR_INVALID, "conflicting options: %s", rows[i].text);
	return 0;
}

/* Of a donor: its /dev/shm is for others only when it says so. */
static int check_donor(const struct mode *m, const struct container *other, struct err *err)
{
	if (m->kind != NS_IPC || str_eq(other->req->ipc_mode, "shareable") || !share_is_own(other->req, NS_IPC))
		return 0;
	return err_set(err, ERR_INVALID, "HostConfig.%s: container %s: non-shareable IPC (hint: use --ipc shareable for the donor container)", m->field, other->name);
}

/* Names become ids, so that a rename changes nothing. A missing one is no 404: clients would pull the image. */
static int adopt_one(struct engine *e, struct container *c, struct container_request *own, const struct mode *m, struct container *ret, struct err *err)
{
	const char *ref;
	struct err why = {0};
	char **at = (char **) (void *) ((char *) own + m->at);
	(void) share_of(own, m->kind, &ref);
	if (container_find(e, c->tenant, ref, ret, &why) < 0)
		return err_set(err, why.kind == ERR_NOT_FOUND ? ERR_INVALID : (enum err_kind) why.kind, "HostConfig.%s '%.80s': %s", m->field, *at, why.msg);
	int rc = check_donor(m, ret, err);
	char *mode = rc < 0 ? NULL : str_printf("container:%s", ret->id);
	if (!mode)
		return rc < 0 ? rc : err_oom(err);
	free(*at);
	*at = mode;
	return 0;
}

int shares_adopt(struct engine *e, struct container *c, struct container_request *own, struct err *err)
{
	int64_t idmap = -1;
	char first[200] = "";
	for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
		_cleanup_container_ struct container other = {0};
		if (share_of(own, modes[i].kind, NULL) != SHARE_JOIN)
			continue;
		int rc = adopt_one(e, c, own, &modes[i], &other, err);
		if (rc < 0)
			return rc;
		if (idmap >= 0 && idmap != other.idmap)
			return err_set(err, ERR_INVALID, "HostConfig.%s: container %s has another user namespace than %s: only namespaces of one user namespace can be joined", modes[i].field, other.name, first);
		idmap = other.idmap;
		(void) str_format(first, sizeof(first), "%.128s", other.name); /* cut for a message */
	}
	if (idmap < 0)
		return 0;
	c->idmap = idmap;
	if (idmap > 0) {
		int rc = idrange_share(e->ids, idmap, err);
		return rc < 0 ? rc : 1;
	}
	/* the other is on the host's ids, which is for the operator to allow here, too */
	free(own->userns_mode);
	own->userns_mode = strdup("host");
	return own->userns_mode ? 1 : err_oom(err);
}

/* At start */

void shares_done(struct shares *s)
{
	for (int k = 0; k < NS_KIND_MAX_; k++)
		free(s->v[k].who.name);
	*s = (struct shares) {0};
}

/* Inode of a process's namespace; 0: it has left. */
static ino_t inode_of(uint32_t pid, const char *file)
{
	char path[64];
	struct stat st;
	(void) str_format(path, sizeof(path), "/proc/%u/ns/%s", pid, file); /* fits */
	return stat(path, &st) < 0 ? 0 : st.st_ino;
}

static bool is_ours(uint32_t pid, const char *file)
{
	char path[32];
	struct stat st;
	(void) str_format(path, sizeof(path), "/proc/self/ns/%s", file); /* fits */
	return stat(path, &st) == 0 && inode_of(pid, file) == st.st_ino;
}

static int find_one(struct engine *e, const struct container *c, const struct mode *m, struct share_target *ret, struct err *err)
{
	static const char *const files[NS_KIND_MAX_] = {[NS_NET] = "net", [NS_IPC] = "ipc", [NS_PID] = "pid"};
	_cleanup_container_ struct container other = {0};
	struct run_info info;
	const char *ref;
	char what[96];
	(void) share_of(c->req, m->kind, &ref);
	int rc = container_load(e, ref, &other, err);
	if (rc == 0 || (rc > 0 && !str_eq(other.tenant, c->tenant)))
		return err_set(err, ERR_CONFLICT, "cannot join %s namespace of container: No such container: %.64s", m->word, ref);
	rc = rc < 0 ? rc : check_donor(m, &other, err);
	rc = rc < 0 ? rc : state_peek(e, &other, &info, err);
	if (rc < 0)
		return rc;
	if (info.state != RUN_RUNNING)
		return err_set(err, ERR_CONFLICT, "cannot join %s namespace of a non running container: %s (coffer start %s)", m->word, other.name, other.name);
	/* of one that has the host's it is the host's */
	ret->host = is_ours((uint32_t) info.live.pid, files[m->kind]);
	(void) str_format(what, sizeof(what), "HostConfig.%s container:X, where X has 'host'", m->field); /* fits */
	rc = ret->host ? allow_check(e, m->allow, what, err) : 0;
	if (rc < 0)
		return rc;
	memcpy(ret->id, other.id, sizeof(ret->id));
	ret->joined = !ret->host;
	ret->who = (struct join_spec) {.pid = (uint32_t) info.live.pid, .start_ticks = info.live.start_ticks, .name = strdup(other.name)};
	return ret->who.name ? 0 : err_oom(err);
}

int shares_find(struct engine *e, const struct container *c, struct shares *ret, struct err *err)
{
	struct share_target *user = &ret->v[NS_USER];
	for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
		struct share_target *t = &ret->v[modes[i].kind];
		if (share_of(c->req, modes[i].kind, NULL) != SHARE_JOIN)
			continue;
		int rc = find_one(e, c, &modes[i], t, err);
		if (rc < 0)
			return rc;
		if (!c->idmap || !t->joined)
			continue;
		if (user->joined && inode_of(user->who.pid, "user") != inode_of(t->who.pid, "user"))
			return err_set(err, ERR_CONFLICT, "containers %s and %s have user namespaces of their own: only namespaces of one user namespace can be joined", user->who.name, t->who.name);
		if (user->joined)
			continue;
		*user = *t;
		user->who.name = strdup(t->who.name);
		if (!user->who.name)
			return err_oom(err);
	}
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/naming.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/ip.h"
#include "base/log.h"
#include "engine/share.h"

#define HOST_FILE_MAX 65536
#define LOOK_EVERY_MS 10000

void naming_done(struct naming *n)
{
	for (size_t i = 0; i < n->n_networks; i++)
		strv_free(n->names[i]);
	free(n->names);
	free(n->networks);
	free(n->links);
	free(n->lines);
	free(n->addresses);
	strv_free(n->texts);
	free(n->host_hosts);
	free(n->host_resolv);
	*n = (struct naming) {0};
}

/* @s, owned by @n from now on. Return: it; NULL: no memory. */
static const char *keep(struct naming *n, char *s)
{
	return strv_push_take(&n->texts, s) < 0 ? NULL : s;
}

/* The address of family @f as text, "" when there is none. */
static const char *address_of(struct naming *n, const struct endpoint *p, int family)
{
	char text[IP_TEXT_MAX];
	for (size_t i = 0; i < p->i.n_addresses; i++)
		if (p->i.addresses[i].family == family)
			return keep(n, strdup(ip_text(text, &p->i.addresses[i])));
	return "";
}

/* @fn for every string of the JSON array @text (NULL: none). */
static int each_word(const char *text, const char *what, int (*fn)(void *ctx, const char *s, struct err *err), void *ctx, struct err *err)
{
	_cleanup_json_ struct json *doc = NULL;
	int rc = text ? json_parse(text, strlen(text), REQUEST_MAX, what, &doc, err) : 0;
	JSON_FOREACH(v, i, rc < 0 ? NULL : doc)
		rc = rc < 0 ? rc : fn(ctx, json_str(v, ""), err);
	return rc;
}

static int add_word(void *ctx, const char *s, struct err *err)
{
	return strv_push(ctx, s) < 0 ? err_oom(err) : 0;
}

/* Names on a network: of docker's kinds and in its order. */
static int add_names(const struct container *c, const char *hostname, const struct endpoint *p, char ***ret, struct err *err)
{
	char short_id[ID_SHORT_LEN + 1];
	memcpy(short_id, c->id, ID_SHORT_LEN);
	short_id[ID_SHORT_LEN] = '\0';
	int rc = strv_push(ret, c->name) < 0 ? err_oom(err) : each_word(p->aliases, "aliases", add_word, ret, err);
	return rc < 0 ? rc : strv_push(ret, short_id) < 0 || strv_push(ret, hostname) < 0 ? err_oom(err) : 0;
}

/* Links: "NAME:ALIAS", or a name alone. */

struct linking {
	bool starts; /* it is not there yet */
	struct engine *e;
	struct naming *n;
	const struct container *c;
	const struct endpoint *p;
};

static int split_link(struct naming *n, const char *s, const char **ret_name, const char **ret_alias, struct err *err)
{
	const char *colon = strchr(s, ':');
	*ret_name = keep(n, strndup(s, colon ? (size_t) (colon - s) : strlen(s)));
	*ret_alias = colon ? keep(n, strdup(colon + 1)) : *ret_name;
	return *ret_name && *ret_alias ? 0 : err_oom(err);
}

/* On a network of users the name server looks the name up whenever it is asked: the other may come later. */
static int add_link(void *ctx, const char *s, struct err *err)
{
	struct linking *l = ctx;
	struct dns_link one;
	int rc = split_link(l->n, s, &one.target, &one.alias, err);
	if (rc < 0 || l->n->dns.n_links == DNS_LINKS_MAX)
		return rc;
	if (id_is_prefix(one.target) && strlen(one.target) > ID_SHORT_LEN) /* it answers to the short one */
		one.target = keep(l->n, strndup(one.target, ID_SHORT_LEN));
	struct dns_link *v = one.target ? reallocarray(l->n->links, l->n->dns.n_links + 1, sizeof(*v)) : NULL;
	if (!v)
		return err_oom(err);
	l->n->links = v;
	v[l->n->dns.n_links++] = one;
	return 0;
}

static char *names_of_link(const struct container *other, const char *alias)
{
	char hostname[65];
	hostname_of(other, hostname);
	return str_printf("%s %s %s", alias, hostname, other->name);
}

static int add_line(struct linking *l, const struct container *other, const char *alias, const char *address, struct err *err)
{
	const char *names = keep(l->n, names_of_link(other, alias));
	struct etc_line *v = names ? reallocarray(l->n->lines, l->n->etc.n_lines + 1, sizeof(*v)) : NULL;
	if (!v)
		return err_oom(err);
	l->n->lines = v;
	v[l->n->etc.n_lines++] = (struct etc_line) {.address = address, .names = names};
	return 0;
}

/* The default network has no names: what is linked is a line in hosts, which follows (naming_linked()). */
static int add_link_line(void *ctx, const char *s, struct err *err)
{
	struct linking *l = ctx;
	const char *name, *alias;
	_cleanup_container_ struct container other = {0};
	struct endpoints of = {0};
	struct err why = {0};
	int rc = split_link(l->n, s, &name, &alias, err);
	if (rc < 0)
		return rc;
	if (container_find(l->e, l->c->tenant, name, &other, &why) < 0 && why.kind == ERR_NOT_FOUND && !l->starts)
		return 0;
	if (why.kind)
		return err_set(err, ERR_INVALID, "HostConfig.Links (--link): could not get container for %.128s: %s", name, why.msg);
	rc = endpoints_of(l->e->networks, other.id, &of.v, &of.n, err);
	const char *address = NULL;
	for (size_t i = 0; rc >= 0 && i < of.n; i++)
		if (of.v[i].up && str_eq(of.v[i].network, l->p->network))
			address = address_of(l->n, &of.v[i], AF_INET);
	networking_endpoints_done(&of);
	if (rc >= 0 && str_empty(address) && !l->starts)
		return 0; /* its line stays as it is until it comes back */
	if (rc >= 0 && str_empty(address))
		return err_set(err, ERR_CONFLICT, "Cannot link to a non running container: /%s AS /%s/%s", other.name, l->c->name, alias);
	return rc < 0 ? rc : add_line(l, &other, alias, address, err);
}

/* One network of the container's. */
static int add_network(struct engine *e, struct naming *n, const struct container *c, const struct endpoint *p, bool starts, struct err *err)
{
	_cleanup_network_ struct network net = {0};
	struct linking l = {.starts = starts, .e = e, .n = n, .c = c, .p = p};
	int rc = network_load(e->networks, p->network, &net, err);
	if (rc <= 0)
		return rc;
	struct dns_network *d = &n->networks[n->n_networks];
	*d = (struct dns_network) {
		.id = keep(n, strdup(net.id)), .name = keep(n, strdup(net.name)), .internal = net.internal, .v4 = address_of(n, p, AF_INET), .v6 = address_of(n, p, AF_INET6),
	};
	char ***names = &n->names[n->n_networks++];
	if (!d->id || !d->name || !d->v4 || !d->v6)
		return err_oom(err);
	const char *own[] = {d->v4, d->v6};
	for (size_t i = 0; i < ARRAY_LEN(own); i++)
		if (*own[i])
			n->addresses[n->etc.n_addresses++] = own[i];
	if (!net.is_default) {
		n->etc.resolver = ETC_RESOLVER_OWN;
		rc = add_names(c, n->hostname, p, names, err);
		d->names = *names;
	}
	return rc < 0 ? rc : each_word(p->links, "links", net.is_default ? add_link_line : add_link, &l, err);
}

/* "host-gateway" is the host as the container reaches it. */
static int add_gateway(struct naming *n, const struct endpoint *v, size_t count, struct err *err)
{
	char text[IP_TEXT_MAX];
	for (size_t i = 0; i < count; i++) {
		const struct ip_addr *of[] = {&v[i].i.gateway4, &v[i].i.gateway6};
		for (size_t f = 0; f < ARRAY_LEN(of); f++)
			if (v[i].up && of[f]->family && !n->etc.gateway[f] && !(n->etc.gateway[f] = keep(n, strdup(ip_text(text, of[f])))))
				return err_oom(err);
	}
	return 0;
}

static void read_host(struct naming *n)
{
	/* a host may do without either */
	if (read_file(AT_FDCWD, "/etc/resolv.conf", HOST_FILE_MAX, &n->host_resolv) >= 0)
		n->etc.host_resolv = n->host_resolv;
	if (n->etc.resolver == ETC_RESOLVER_HOST && read_file(AT_FDCWD, "/etc/hosts", HOST_FILE_MAX, &n->host_hosts) >= 0)
		n->etc.host_hosts = n->host_hosts;
}

static int load(struct engine *e, const struct container *c, const struct endpoint *v, size_t count, bool starts, struct naming *n, struct err *err)
{
	bool host = network_is_host(c->req);
	hostname_of(c, n->hostname);
	n->etc = (struct etc) {.resolver = host ? ETC_RESOLVER_HOST : networking_has(c->req) ? ETC_RESOLVER_BRIDGE : ETC_RESOLVER_NONE, .req = c->req, .hostname = n->hostname};
	if (host) {
		n->etc.gateway[0] = "127.0.0.1";
		n->etc.gateway[1] = "::1";
	}
	n->networks = calloc(count + 1, sizeof(*n->networks));
	n->names = calloc(count + 1, sizeof(*n->names));
	n->addresses = calloc(2 * count + 1, sizeof(*n->addresses));
	if (!n->networks || !n->names || !n->addresses)
		return err_oom(err);
	int rc = add_gateway(n, v, count, err);
	for (size_t i = 0; rc >= 0 && i < count && i < DNS_NETWORKS_MAX; i++)
		if (v[i].up && v[i].change != ENDPOINT_GOING)
			rc = add_network(e, n, c, &v[i], starts, err);
	if (rc < 0)
		return rc;
	if (n->etc.resolver != ETC_RESOLVER_NONE)
		read_host(n);
	n->etc.addresses = n->addresses;
	n->etc.lines = n->lines;
	n->served = etc_needs_server(&n->etc);
	n->dns = (struct dns_container) {
		.id = c->id, .name = c->name, .networks = n->networks, .n_networks = n->n_networks, .links = n->links, .n_links = n->dns.n_links, .servers = c->req->dns,
	};
	return 0;
}

int naming_load(struct engine *e, const struct container *c, const struct endpoint *v, size_t n, bool starts, struct naming *ret, struct err *err)
{
	*ret = (struct naming) {0};
	int rc = load(e, c, v, n, starts, ret, err);
	if (rc < 0)
		naming_done(ret);
	return MIN(rc, 0);
}

int naming_current(struct engine *e, const struct container *c, struct naming *ret, struct err *err)
{
	struct endpoints all = {0};
	int rc = endpoints_of(e->networks, c->id, &all.v, &all.n, err);
	rc = rc < 0 ? rc : naming_load(e, c, all.v, all.n, /* starts= */ false, ret, err);
	networking_endpoints_done(&all);
	return rc;
}

/* After a start: who links to it */

struct relink {
	struct engine *e;
	const struct container *target, *c; /* @c links */
	const char *address;
};

static int relink_one(void *ctx, const char *s, struct err *err)
{
	struct relink *r = ctx;
	size_t len = strcspn(s, ":");
	_cleanup_free_ char *name = strndup(s, len);
	_cleanup_container_ struct container other = {0};
	if (!name)
		return err_oom(err);
	if (container_find(r->e, r->c->tenant, name, &other, NULL) < 0 || !str_eq(other.id, r->target->id))
		return 0; /* another one's, or nobody's */
	_cleanup_free_ char *names = names_of_link(&other, s[len] ? s + len + 1 : name);
	_cleanup_close_ int dir = container_dir_open(r->e, r->c->id, /* make= */ false);
	return !names ? err_oom(err) : dir < 0 ? 0 : etc_readdress(dir, names, r->address, err);
}

static int relink(struct relink *r, const char *id, const char *network, struct err *err)
{
	_cleanup_container_ struct container c = {0};
	_cleanup_endpoints_ struct endpoints all = {0};
	/* one that starts right now takes the address from the row; one that comes to a network keeps the line, as it is */
	_cleanup_close_ int lock = str_eq(id, r->target->id) ? -EBADF : lock_try(r->e, id);
	int rc = lock < 0 ? 0 : container_load(r->e, id, &c, err);
	if (rc <= 0)
		return rc;
	r->c = &c;
	rc = endpoints_of(r->e->networks, id, &all.v, &all.n, err);
	for (size_t i = 0; rc >= 0 && i < all.n; i++)
		if (str_eq(all.v[i].network, network))
			rc = each_word(all.v[i].links, "links", relink_one, r, err);
	return rc;
}

static int relink_all(struct engine *e, const struct container *c, const struct endpoint *p, struct err *err)
{
	_cleanup_strv_ char **ids = NULL;
	_cleanup_network_ struct network n = {0};
	char text[IP_TEXT_MAX];
	int rc = endpoints_linking(e->networks, p->network, &ids, err);
	rc = rc < 0 || !ids || p->i.n_addresses == 0 ? MIN(rc, 0) : network_load(e->networks, p->network, &n, err);
	if (rc <= 0 || !n.is_default)
		return MIN(rc, 0);
	struct relink r = {.e = e, .target = c, .address = ip_text(text, &p->i.addresses[0])};
	STRV_FOREACH(id, ids)
		rc = rc < 0 ? rc : relink(&r, id, n.id, err);
	return MIN(rc, 0);
}

void naming_linked(struct engine *e, const struct container *c, const struct endpoint *v, size_t n)
{
	struct err err = {0};
	int rc = 0;
	for (size_t i = 0; rc >= 0 && i < n; i++)
		rc = relink_all(e, c, &v[i], &err);
	if (rc < 0)
		log_warn("lines of those that link to container %s: %s, ignoring", c->name, err.msg);
}

/* The name server */

static int give(struct engine *e, const char *id, int netns_fd, struct err *err)
{
	int sockets[DNS_SOCKETS];
	int rc = dns_open_at(netns_fd, sockets);
	if (rc < 0)
		return err_sys(err, rc, "opening the name server's sockets");
	rc = dns_give(e->run_fd, id, sockets);
	for (int i = 0; i < DNS_SOCKETS; i++)
		safe_close(sockets[i]);
	return rc < 0 && rc != -ECONNREFUSED ? err_sys(err, rc, "giving the name server its sockets") : 0; /* refused: it is told again by whoever starts another */
}

static int open_netns(pid_t pid)
{
	char path[64];
	(void) snprintf(path, sizeof(path), "/proc/%d/ns/net", (int) pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static bool is_running(struct engine *e, const struct container *c, pid_t *ret_pid)
{
	struct run_info info;
	if (!networking_has(c->req) || state_peek(e, c, &info, NULL) < 0 || info.state != RUN_RUNNING)
		return false;
	*ret_pid = info.live.pid;
	return true;
}

/* A container that a new server does not know, without its lock: what ended meanwhile is forgotten again. */
static int introduce(struct engine *e, const struct container *c, pid_t pid, struct err *err)
{
	_cleanup_naming_ struct naming n = {0};
	int rc = naming_current(e, c, &n, err);
	if (rc < 0 || !n.served)
		return rc;
	_cleanup_close_ int netns = open_netns(pid);
	if (netns < 0)
		return 0; /* it has ended */
	rc = dns_tell(e->run_fd, e->libexec_dir, &n.dns, err);
	rc = rc < 0 ? rc : give(e, c->id, netns, err);
	if (!is_running(e, c, &pid))
		naming_forget(e, c);
	return rc;
}

/* Everybody but one. */
struct round {
	struct engine *e;
	const char *but; /* id; NULL: everybody */
};

static int introduce_other(void *ctx, struct container *c, struct err *err)
{
	struct round *r = ctx;
	struct err why = {0};
	pid_t pid;
	(void) err;
	if ((!r->but || !str_eq(r->but, c->id)) && is_running(r->e, c, &pid) && introduce(r->e, c, pid, &why) < 0)
		log_warn("names of container %s: %s, ignoring", c->name, why.msg); /* the others have theirs */
	return 0;
}

static int introduce_all(struct engine *e, const char *but, struct err *err)
{
	struct round r = {.e = e, .but = but};
	return container_each(e, NULL, introduce_other, &r, err);
}

int naming_tell(struct engine *e, const struct naming *n, struct err *err)
{
	int rc = n->served ? dns_tell(e->run_fd, e->libexec_dir, &n->dns, err) : 0;
	return rc <= 0 ? rc : introduce_all(e, n->dns.id, err);
}

void naming_forget(struct engine *e, const struct container *c)
{
	int r = networking_has(c->req) ? dns_forget(e->run_fd, c->id) : 0;
	if (r < 0)
		log_warn("telling the name server that %s has ended: %s, ignoring", c->name, strerror(-r));
}

int naming_changed(struct engine *e, const struct container *c, const struct naming *before, int netns_fd, struct err *err)
{
	_cleanup_naming_ struct naming after = {0};
	_cleanup_close_ int dir = container_dir_open(e, c->id, /* make= */ false);
	int rc = dir < 0 ? err_sys(err, dir, "opening the container's directory") : naming_current(e, c, &after, err);
	if (rc < 0)
		return rc;
	after.served = after.served || before->served; /* its resolv.conf says so until it ends */
	rc = etc_update(dir, &before->etc, &after.etc, err);
	rc = rc < 0 ? rc : naming_tell(e, &after, err);
	if (rc >= 0 && after.served && !before->served)
		rc = give(e, c->id, netns_fd, err);
	return rc;
}

/* Mending */

static int is_served(void *ctx, struct container *c, struct err *err)
{
	_cleanup_naming_ struct naming n = {0};
	pid_t pid;
	(void) err;
	return is_running(ctx, c, &pid) && naming_current(ctx, c, &n, NULL) >= 0 && n.served;
}

int naming_mend(struct engine *e, struct err *err)
{
	int rc = container_each(e, NULL, is_served, e, err);
	rc = rc <= 0 ? rc : dns_ensure(e->run_fd, e->libexec_dir, err);
	if (rc <= 0)
		return rc;
	rc = introduce_all(e, NULL, err);
	return rc < 0 ? rc : 1;
}

void engine_names_watcher(struct engine *e, int stop_fd)
{
	for (;;) {
		struct err err = {0};
		_cleanup_close_ int fd = dns_watch(e->run_fd);
		struct pollfd p[2] = {{stop_fd, POLLIN, 0}, {fd, POLLIN, 0}};
		if (fd < 0 && naming_mend(e, &err) < 0)
			log_warn("names of containers: %s, ignoring", err.msg);
		if (poll(p, ARRAY_LEN(p), fd < 0 ? LOOK_EVERY_MS : -1) < 0 && errno != EINTR)
			return;
		if (p[0].revents)
			return;
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "apimodel/network.h"

#include "apimodel/internal.h"

#define IPAM_MAX 16
#define LABELS_MAX 256

#define AT(type, member) .offset = offsetof(struct type, member)

/* Networks */

static const struct field ipam_config_fields[] = {
	{.name = "Subnet", .kind = FIELD_STR, .max_bytes = 64, AT(ipam_request, subnet)},
	{.name = "IPRange", .kind = FIELD_STR, .max_bytes = 64, AT(ipam_request, ip_range)},
	{.name = "Gateway", .kind = FIELD_STR, .max_bytes = 64, AT(ipam_request, gateway)},
	{.name = "AuxiliaryAddresses", .kind = FIELD_KV, .max_items = 256, .max_bytes = 64, AT(ipam_request, aux)},
	{.name = "AuxAddress", .kind = FIELD_KV, .max_items = 256, .max_bytes = 64, AT(ipam_request, aux)}, /* of older clients */
	{NULL},
};

static int ipam_config_read(struct reader *rd, const struct field *f, const struct json *v, void *obj)
{
	struct network_request *n = obj;
	int r = reader_kind(rd, f->name, v, JSON_KIND_ARRAY);
	if (r <= 0)
		return r;
	if (json_len(v) > IPAM_MAX)
		return reader_fail(rd, f->name, "%zu entries, at most %d are taken", json_len(v), IPAM_MAX);
	n->ipam = calloc(json_len(v) + 1, sizeof(*n->ipam));
	if (!n->ipam)
		return err_oom(rd->err);
	JSON_FOREACH(e, i, v) {
		size_t mark = reader_enter_item(rd, f->name, i);
		n->n_ipam++;
		r = fields_read(rd, ipam_config_fields, e, &n->ipam[i]);
		reader_leave(rd, mark);
		if (r < 0)
			return r;
	}
	return 0;
}

static const struct field ipam_fields[] = {
	{.name = "Driver", .kind = FIELD_STR, .max_bytes = 64, AT(network_request, ipam_driver)},
	{.name = "Config", .kind = FIELD_CUSTOM, .read = ipam_config_read},
	{.name = "Options", .kind = FIELD_KV, .max_items = 64, AT(network_request, ipam_options)},
	{NULL},
};

static int config_from_read(struct reader *rd, const struct field *f, const struct json *v, void *obj)
{
	struct network_request *n = obj;
	int r = reader_kind(rd, f->name, v, JSON_KIND_OBJECT);
	const char *name = r > 0 ? json_str(json_get_fold(v, "Network"), "") : "";
	if (*name && !(n->config_from = strdup(name)))
		return err_oom(rd->err);
	return MIN(r, 0);
}

static const struct field network_fields[] = {
	{.name = "Name", .kind = FIELD_STR, .max_bytes = 128, AT(network_request, name)},
	{.name = "CheckDuplicate", .kind = FIELD_IGNORED}, /* names are always unique */
	{.name = "Driver", .kind = FIELD_STR, .max_bytes = 64, AT(network_request, driver)},
	{.name = "Scope", .kind = FIELD_STR, .max_bytes = 64, AT(network_request, scope)},
	{.name = "Internal", .kind = FIELD_BOOL, AT(network_request, internal)},
	{.name = "Attachable", .kind = FIELD_BOOL, AT(network_request, attachable)},
	{.name = "Ingress", .kind = FIELD_BOOL, AT(network_request, ingress)},
	{.name = "ConfigOnly", .kind = FIELD_BOOL, AT(network_request, config_only)},
	{.name = "ConfigFrom", .kind = FIELD_CUSTOM, .read = config_from_read},
	{.name = "IPAM", .kind = FIELD_OBJ, .sub = ipam_fields},
	{.name = "EnableIPv4", .kind = FIELD_TRI, AT(network_request, ipv4)},
	{.name = "EnableIPv6", .kind = FIELD_TRI, AT(network_request, ipv6)},
	{.name = "Options", .kind = FIELD_KV, .max_items = 64, AT(network_request, options)},
	{.name = "Labels", .kind = FIELD_KV, .flags = FIELD_TEXT, .max_items = LABELS_MAX, .max_bytes = 65536, AT(network_request, labels)},
	{NULL},
};

int network_request_parse(const struct json *body, struct network_request *ret, char ***ret_unknown, struct err *err)
{
	struct reader rd = {.unknown = ret_unknown, .err = err};
	*ret = (struct network_request){.ipv4 = -1, .ipv6 = -1};
	if (json_kind(body) != JSON_KIND_OBJECT)
		return err_set(err, ERR_INVALID, "request body: expected an object");
	return fields_read(&rd, network_fields, body, ret);
}

void network_request_done(struct network_request *r)
{
	char *const strings[] = {r->name, r->driver, r->scope, r->ipam_driver, r->config_from};
	for (size_t i = 0; i < ARRAY_LEN(strings); i++)
		free(strings[i]);
	for (size_t i = 0; i < r->n_ipam; i++) {
		free(r->ipam[i].subnet);
		free(r->ipam[i].ip_range);
		free(r->ipam[i].gateway);
		kv_list_done(&r->ipam[i].aux);
	}
	free(r->ipam);
	kv_list_done(&r->ipam_options);
	kv_list_done(&r->options);
	kv_list_done(&r->labels);
	*r = (struct network_request){0};
}

/* Endpoints */

static const struct field endpoint_ipam_fields[] = {
	{.name = "IPv4Address", .kind = FIELD_STR, .max_bytes = 64, AT(endpoint_request, ipv4)},
	{.name = "IPv6Address", .kind = FIELD_STR, .max_bytes = 64, AT(endpoint_request, ipv6)},
	{.name = "LinkLocalIPs", .kind = FIELD_STRV, .max_items = 16, .max_bytes = 64, AT(endpoint_request, link_local)},
	{NULL},
};

static int names_check(struct reader *rd, const struct field *f, void *obj)
{
	const struct endpoint_request *e = obj;
	STRV_FOREACH(s, e->aliases)
		if (!*s || strlen(s) > 253 || s[strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_")] != '\0')
			return reader_fail(rd, f->name, "'%.80s' is not a name: letters, digits, '-', '_' and '.' are taken", s);
	return 0;
}

/* The rows without an offset are what inspect answers: clients send it back. */
static const struct field endpoint_fields[] = {
	{.name = "IPAMConfig", .kind = FIELD_OBJ, .sub = endpoint_ipam_fields},
	{.name = "Links", .kind = FIELD_STRV, .max_items = 256, .max_bytes = 512, AT(endpoint_request, links)},
	{.name = "MacAddress", .kind = FIELD_STR, .max_bytes = 32, AT(endpoint_request, mac)},
	{.name = "Aliases", .kind = FIELD_STRV, .max_items = 256, .max_bytes = 256, AT(endpoint_request, aliases), .check = names_check},
	{.name = "DriverOpts", .kind = FIELD_KV, .max_items = 64, AT(endpoint_request, driver_opts)},
	{.name = "GwPriority", .kind = FIELD_I64, .min = INT32_MIN, .max = INT32_MAX, AT(endpoint_request, gw_priority)},
	{.name = "NetworkID", .kind = FIELD_IGNORED},
	{.name = "EndpointID", .kind = FIELD_IGNORED},
	{.name = "Gateway", .kind = FIELD_IGNORED},
	{.name = "IPAddress", .kind = FIELD_IGNORED},
	{.name = "IPPrefixLen", .kind = FIELD_IGNORED},
	{.name = "IPv6Gateway", .kind = FIELD_IGNORED},
	{.name = "GlobalIPv6Address", .kind = FIELD_IGNORED},
	{.name = "GlobalIPv6PrefixLen", .kind = FIELD_IGNORED},
	{.name = "DNSNames", .kind = FIELD_IGNORED},
	{NULL},
};

static int endpoint_read(struct reader *rd, const struct json *v, const char *name, struct endpoint_request *ret)
{
	size_t mark = reader_enter(rd, name);
	int r = reader_kind(rd, "", v, JSON_KIND_OBJECT);
	r = r <= 0 ? r : fields_read(rd, endpoint_fields, v, ret);
	reader_leave(rd, mark);
	return r;
}

int endpoint_request_parse(const struct json *v, const char *name, struct endpoint_request *ret, struct err *err)
{
	_cleanup_strv_ char **unknown = NULL;
	struct reader rd = {.unknown = &unknown, .err = err};
	*ret = (struct endpoint_request){0};
	return endpoint_read(&rd, v, name, ret);
}

void endpoint_request_done(struct endpoint_request *r)
{
	free(r->ipv4);
	free(r->ipv6);
	free(r->mac);
	strv_free(r->link_local);
	strv_free(r->aliases);
	strv_free(r->links);
	kv_list_done(&r->driver_opts);
	*r = (struct endpoint_request){0};
}

/* Connecting */

static int endpoint_config_read(struct reader *rd, const struct field *f, const struct json *v, void *obj)
{
	return endpoint_read(rd, v, f->name, &((struct connect_request *) obj)->endpoint);
}

static const struct field connect_fields[] = {
	{.name = "Container", .kind = FIELD_STR, .max_bytes = 256, AT(connect_request, container)},
	{.name = "Force", .kind = FIELD_BOOL, AT(connect_request, force)},
	{.name = "EndpointConfig", .kind = FIELD_CUSTOM, .read = endpoint_config_read},
	{NULL},
};

int connect_request_parse(const struct json *body, struct connect_request *ret, char ***ret_unknown, struct err *err)
{
	struct reader rd = {.unknown = ret_unknown, .err = err};
	*ret = (struct connect_request){0};
	if (json_kind(body) != JSON_KIND_OBJECT)
		return err_set(err, ERR_INVALID, "request body: expected an object");
	int r = fields_read(&rd, connect_fields, body, ret);
	if (r >= 0 && str_empty(ret->container))
		return err_set(err, ERR_INVALID, "Container: no container was given");
	return r;
}

void connect_request_done(struct connect_request *r)
{
	free(r->container);
	endpoint_request_done(&r->endpoint);
	r->container = NULL;
}

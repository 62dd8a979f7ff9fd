/* SPDX-License-Identifier: Apache-2.0 */
#include "api/internal.h"
#include "apimodel/network.h"

int network_list_handler(struct call *c, struct err *err)
{
	_cleanup_json_ struct json *filters = NULL;
	int r = call_filters(c, &filters, err);
	return r < 0 ? r : engine_network_list(c->engine, c->caller, filters, &c->w, err);
}

int network_inspect_handler(struct call *c, struct err *err)
{
	const char *scope = call_query(c, "scope");
	if (!str_empty(scope) && !str_eq(scope, "local"))
		return err_set(err, ERR_NOT_FOUND, "network %.128s not found", c->arg);
	return engine_network_inspect(c->engine, c->caller, c->arg, &c->w, err);
}

int network_create_handler(struct call *c, struct err *err)
{
	_cleanup_json_ struct json *body = NULL;
	_cleanup_network_request_ struct network_request q = {0};
	_cleanup_strv_ char **unknown = NULL;
	char id[65];
	int r = call_body(c, &body, err);
	r = r < 0 ? r : network_request_parse(body, &q, &unknown, err);
	r = r < 0 ? r : call_unknown(c, unknown, NULL, err);
	r = r < 0 ? r : engine_network_create(c->engine, c->caller, &q, id, err);
	if (r < 0)
		return r;
	c->status = 201;
	jw_obj(&c->w, NULL);
	jw_str(&c->w, "Id", id);
	jw_str(&c->w, "Warning", "");
	jw_end(&c->w);
	return 0;
}

int network_remove_handler(struct call *c, struct err *err)
{
	c->status = 204;
	return engine_network_remove(c->engine, c->caller, c->arg, err);
}

int network_prune_handler(struct call *c, struct err *err)
{
	_cleanup_json_ struct json *filters = NULL;
	int r = call_filters(c, &filters, err);
	return r < 0 ? r : engine_network_prune(c->engine, c->caller, filters, &c->w, err);
}

static int read_connect(struct call *c, struct connect_request *q, struct err *err)
{
	_cleanup_json_ struct json *body = NULL;
	_cleanup_strv_ char **unknown = NULL;
	int r = call_body(c, &body, err);
	r = r < 0 ? r : connect_request_parse(body, q, &unknown, err);
	return r < 0 ? r : call_unknown(c, unknown, NULL, err);
}

int network_connect_handler(struct call *c, struct err *err)
{
	_cleanup_connect_request_ struct connect_request q = {0};
	int r = read_connect(c, &q, err);
	return r < 0 ? r : engine_network_connect(c->engine, c->caller, c->arg, q.container, &q.endpoint, err);
}

int network_disconnect_handler(struct call *c, struct err *err)
{
	_cleanup_connect_request_ struct connect_request q = {0};
	int r = read_connect(c, &q, err);
	return r < 0 ? r : engine_network_disconnect(c->engine, c->caller, c->arg, q.container, q.force, err);
}

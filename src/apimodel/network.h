/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What clients say about networks: the body of POST /networks/create, and EndpointSettings, which come with a container's creation and with
 * POST /networks/{id}/connect. Types and sizes are checked here; what an address or an option means is the engine's. Source: Engine API
 * 1.50, NetworkCreate, NetworkConnect, EndpointSettings.
 */
#pragma once

#include "apimodel/container.h"

struct ipam_request {
	char *subnet, *ip_range, *gateway; /* owned; NULL: unset */
	struct kv_list aux;		   /* name to address */
};

struct network_request {
	char *name, *driver, *scope, *ipam_driver, *config_from; /* owned; NULL: unset */
	bool internal, attachable, ingress, config_only;
	int ipv4, ipv6; /* -1: unset */
	struct ipam_request *ipam; /* owned */
	size_t n_ipam;
	struct kv_list ipam_options, options, labels;
};
/** network_request_parse() - unknown keys with a value as container_request_parse(). */
int network_request_parse(const struct json *body, struct network_request *ret, char ***ret_unknown, struct err *err);
void network_request_done(struct network_request *r);
#define _cleanup_network_request_ _cleanup_(network_request_done)

struct endpoint_request {
	char *ipv4, *ipv6, *mac; /* owned; NULL: any */
	char **link_local;	 /* owned */
	char **aliases, **links; /* owned; "name:alias" */
	struct kv_list driver_opts;
	int64_t gw_priority;
};
/** endpoint_request_parse() - @name: how messages name the network. @v NULL or null: everything unset. */
int endpoint_request_parse(const struct json *v, const char *name, struct endpoint_request *ret, struct err *err);
void endpoint_request_done(struct endpoint_request *r);
#define _cleanup_endpoint_request_ _cleanup_(endpoint_request_done)

struct connect_request {
	char *container; /* owned */
	bool force;	 /* disconnect */
	struct endpoint_request endpoint;
};
int connect_request_parse(const struct json *body, struct connect_request *ret, char ***ret_unknown, struct err *err);
void connect_request_done(struct connect_request *r);
#define _cleanup_connect_request_ _cleanup_(connect_request_done)

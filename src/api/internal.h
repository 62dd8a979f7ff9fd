/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to the api room: one call is one request and its answer. A handler fills `out` (JSON) and `status`, or answers by itself
 * (`answered`), or gives the connection away (`hijacked`); a failed one returns < 0 with @err filled, which becomes the
 * status and {"message"}.
 */
#pragma once

#include <pthread.h>

#include "api/server.h"
#include "base/clock.h"
#include "engine/engine.h"
#include "http/request.h"
#include "http/response.h"

#define JSON_BODY_MAX (4 << 20)
#define JSON_OUT_MAX (64 << 20)
#define API_COMMON_HEADERS "Api-Version: 1.50\r\nDocker-Experimental: false\r\nOstype: linux\r\nServer: Coffer/0.1.0 (linux)\r\n"
#define COFFER_VERSION_TEXT "0.1.0"
#define TYPE_JSON "application/json"
#define TYPE_RAW_STREAM "application/vnd.docker.raw-stream"
#define TYPE_MULTIPLEXED "application/vnd.docker.multiplexed-stream"
#define VERSION_MULTIPLEXED 42 /* the API version that told the two apart */
#define VERSION_MANY_ENDPOINTS 44 /* the API version whose create takes several networks */

struct call {
	struct engine *engine;       /* borrowed */
	const struct caller *caller; /* borrowed */
	struct http_peer *peer;      /* borrowed */
	struct http_request req;     /* owned */
	int minor;                   /* of the API version asked for */
	char *arg;                   /* owned; {id} or {name} of the route, NULL: none */
	struct strbuf out;           /* owned */
	struct json_writer w;        /* writes into out */
	int status;
	const char *content_type;    /* of out; NULL: JSON */
	const char *headers;         /* static; more header lines, NULL: none */
	pthread_mutex_t *lock;       /* borrowed; held while the descriptor is given away; NULL: nobody else looks at it */
	_Atomic usec_t *peers_turn;  /* borrowed; see server.c E3 */
	bool settle;                 /* wait until the peer has read a hijack head (api.md fact 2) */
	bool answered, hijacked, close;
};

typedef int (*handler_fn)(struct call *c, struct err *err);

enum route_flags {
	ROUTE_RAW_ERRORS = 1, /* errors in docker's raw form, then close (attach) */
	ROUTE_STATUS = 2,     /* no handler: answer @status with @text, where "%s" is the argument */
};

struct route {
	const char *method, *pattern; /* "{}" matches one segment, "{*}" one or more */
	handler_fn fn;                /* NULL without ROUTE_STATUS: part of the Engine API, not there yet: 501 */
	unsigned flags;
	int status;
	const char *text;
};

/** route_find() - the row for @method and @path (without version). *@ret_arg: owned, NULL: none. Return: row or NULL. */
const struct route *route_find(const char *method, const char *path, char **ret_arg);
/** api_handle() - dispatch one request whose head is in @c->req, and answer it. Return: 0, or -errno when the connection is to be dropped. */
int api_handle(struct call *c);

/** call_respond() - the answer as it stands in @c. */
int call_respond(struct call *c);
/** call_body() - the JSON body, strict and at most 4 MiB. *@ret: owned; NULL for an empty body. */
int call_body(struct call *c, struct json **ret, struct err *err);
const char *call_query(const struct call *c, const char *key);
bool call_flag(const struct call *c, const char *key, bool fallback);
/** call_query_u32() - ERR_INVALID naming the parameter; absent leaves *@ret. */
int call_query_u32(const struct call *c, const char *key, uint32_t *ret, struct err *err);
/** call_time() - "sec[.nsec]", RFC 3339 or a duration before now; "0" and absent: 0, none. */
int call_time(const struct call *c, const char *key, int64_t *ret, struct err *err);
/** stream_begin() - the head of a chunked answer of @type. Return: 0 or -errno. */
int stream_begin(struct call *c, const char *type);
/** call_filters() - ?filters= as JSON. *@ret: owned, NULL: none. */
int call_filters(const struct call *c, struct json **ret, struct err *err);
/** call_unknown() - what to do about body keys nobody knows: refused for tenants, else a warning each in *@warnings (may be NULL). */
int call_unknown(const struct call *c, char *const *unknown, char ***warnings, struct err *err);
/** stream_type() - content type of a stream to this client. */
const char *stream_type(const struct call *c, bool tty);

/** call_hijack() - answer with 101 (or 200 without Upgrade) byte-exact as docker does, with @headers behind, and take the connection
 *  away from HTTP. *@ret_early: borrowed from the peer. Return: fd, owned by the caller; -errno. */
int call_hijack(struct call *c, bool tty, const char *headers, const char **ret_early, size_t *ret_len);

#define HANDLER(name) int name(struct call *c, struct err *err)
HANDLER(ping_handler);
HANDLER(version_handler);
HANDLER(info_handler);
HANDLER(container_create_handler);
HANDLER(container_list_handler);
HANDLER(container_inspect_handler);
HANDLER(container_start_handler);
HANDLER(container_stop_handler);
HANDLER(container_kill_handler);
HANDLER(container_restart_handler);
HANDLER(container_wait_handler);
HANDLER(container_attach_handler);
HANDLER(container_logs_handler);
HANDLER(container_resize_handler);
HANDLER(container_remove_handler);
HANDLER(container_posture_handler);
HANDLER(container_pause_handler);
HANDLER(container_unpause_handler);
HANDLER(container_rename_handler);
HANDLER(container_update_handler);
HANDLER(container_top_handler);
HANDLER(container_prune_handler);
HANDLER(volume_prune_handler);
HANDLER(image_prune_handler);
HANDLER(network_list_handler);
HANDLER(network_inspect_handler);
HANDLER(network_create_handler);
HANDLER(network_remove_handler);
HANDLER(network_connect_handler);
HANDLER(network_disconnect_handler);
HANDLER(network_prune_handler);
HANDLER(build_prune_handler);
HANDLER(plugin_list_handler);
HANDLER(df_handler);
HANDLER(restore_handler);
HANDLER(check_handler);
HANDLER(down_handler);
/** image_usage_write() - every image, with how many containers were made of it, as an array. */
int image_usage_write(struct call *c, struct json_writer *w, struct err *err);
HANDLER(events_handler);
HANDLER(container_stats_handler);
HANDLER(container_stat_handler);
HANDLER(container_archive_handler);
HANDLER(container_extract_handler);
HANDLER(container_export_handler);
HANDLER(container_changes_handler);
HANDLER(commit_handler);
HANDLER(exec_create_handler);
HANDLER(exec_start_handler);
HANDLER(exec_inspect_handler);
HANDLER(exec_resize_handler);
HANDLER(image_list_handler);
HANDLER(image_inspect_handler);
HANDLER(image_history_handler);
HANDLER(image_tag_handler);
HANDLER(image_remove_handler);
HANDLER(image_load_handler);
HANDLER(image_create_handler);
HANDLER(image_save_handler);
HANDLER(image_push_handler);
HANDLER(distribution_handler);
HANDLER(manifests_handler);
HANDLER(search_handler);
HANDLER(auth_handler);
HANDLER(volume_list_handler);
HANDLER(volume_create_handler);
HANDLER(volume_inspect_handler);
HANDLER(volume_remove_handler);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The route table. Every path of the Engine API 1.50 has a row, so that "not there yet" (501) and "no such page" (404) stay apart.
 */
#include "api/internal.h"

#define SWARM_503 "This node is not a swarm manager. Use \"docker swarm init\" or \"docker swarm join\" to connect this node to swarm and try again."
#define SWARM(m, p) {m, p, .flags = ROUTE_STATUS, .status = 503, .text = SWARM_503}

static const struct route routes[] = {
	{"HEAD", "/_ping", ping_handler},
	{"GET", "/_ping", ping_handler},
	{"GET", "/version", version_handler},
	{"GET", "/info", info_handler},

	{"POST", "/containers/create", container_create_handler},
	{"GET", "/containers/json", container_list_handler},
	{"GET", "/containers/{}/json", container_inspect_handler},
	{"POST", "/containers/{}/start", container_start_handler},
	{"POST", "/containers/{}/stop", container_stop_handler},
	{"POST", "/containers/{}/restart", container_restart_handler},
	{"POST", "/containers/{}/kill", container_kill_handler},
	{"POST", "/containers/{}/wait", container_wait_handler},
	{"POST", "/containers/{}/attach", container_attach_handler, ROUTE_RAW_ERRORS},
	{"GET", "/containers/{}/logs", container_logs_handler},
	{"POST", "/containers/{}/resize", container_resize_handler},
	{"POST", "/containers/{}/exec", exec_create_handler},
	{"DELETE", "/containers/{}", container_remove_handler},
	{"GET", "/containers/{}/posture", container_posture_handler},
	{"GET", "/containers/{}/top", container_top_handler},
	{"GET", "/containers/{}/changes", container_changes_handler},
	{"GET", "/containers/{}/export", container_export_handler},
	{"GET", "/containers/{}/stats", container_stats_handler},
	{"POST", "/containers/{}/update", container_update_handler},
	{"POST", "/containers/{}/rename", container_rename_handler},
	{"POST", "/containers/{}/pause", container_pause_handler},
	{"POST", "/containers/{}/unpause", container_unpause_handler},
	{"GET", "/containers/{}/attach/ws", NULL},
	{"HEAD", "/containers/{}/archive", container_stat_handler},
	{"GET", "/containers/{}/archive", container_archive_handler},
	{"PUT", "/containers/{}/archive", container_extract_handler},
	{"POST", "/containers/prune", container_prune_handler},

	{"POST", "/exec/{}/start", exec_start_handler},
	{"GET", "/exec/{}/json", exec_inspect_handler},
	{"POST", "/exec/{}/resize", exec_resize_handler},

	{"GET", "/images/json", image_list_handler},
	{"POST", "/images/load", image_load_handler},
	{"POST", "/images/create", image_create_handler},
	{"GET", "/images/search", search_handler},
	{"GET", "/images/get", image_save_handler},
	{"POST", "/images/prune", image_prune_handler},
	{"GET", "/images/{*}/json", image_inspect_handler},
	{"GET", "/images/{*}/history", image_history_handler},
	{"GET", "/images/{*}/get", image_save_handler},
	{"POST", "/images/{*}/tag", image_tag_handler},
	{"POST", "/images/{*}/push", image_push_handler},
	{"DELETE", "/images/{*}", image_remove_handler},
	{"GET", "/distribution/{*}/json", distribution_handler},
	{"GET", "/distribution/{*}/manifests", manifests_handler},

	{"GET", "/volumes", volume_list_handler},
	{"POST", "/volumes/create", volume_create_handler},
	{"POST", "/volumes/prune", volume_prune_handler},
	{"GET", "/volumes/{}", volume_inspect_handler},
	{"DELETE", "/volumes/{}", volume_remove_handler},
	{"PUT", "/volumes/{}", .flags = ROUTE_STATUS, .status = 503, .text = SWARM_503},

	{"GET", "/networks", network_list_handler},
	{"GET", "/networks/", network_list_handler}, /* as docker's own Go client of old asks */
	{"POST", "/networks/create", network_create_handler},
	{"POST", "/networks/prune", network_prune_handler},
	{"GET", "/networks/{}", network_inspect_handler},
	{"DELETE", "/networks/{}", network_remove_handler},
	{"POST", "/networks/{}/connect", network_connect_handler},
	{"POST", "/networks/{}/disconnect", network_disconnect_handler},

	{"POST", "/build", NULL},
	{"POST", "/build/prune", build_prune_handler},
	{"POST", "/build/cancel", NULL},
	{"POST", "/commit", commit_handler},
	{"POST", "/auth", auth_handler},
	{"GET", "/events", events_handler},
	{"GET", "/system/df", df_handler},
	{"POST", "/system/restore", restore_handler},
	{"POST", "/system/check", check_handler},
	{"POST", "/system/down", down_handler},
	/* anything but 101 tells buildx that there is no BuildKit here */
	{"POST", "/session", .flags = ROUTE_STATUS, .status = 404, .text = "page not found"},
	{"POST", "/grpc", .flags = ROUTE_STATUS, .status = 404, .text = "page not found"},

	{"GET", "/plugins", plugin_list_handler},
	{"GET", "/plugins/privileges", NULL},
	{"POST", "/plugins/pull", NULL},
	{"POST", "/plugins/create", NULL},
	{"GET", "/plugins/{*}/json", .flags = ROUTE_STATUS, .status = 404, .text = "plugin \"%s\" not found"},
	{"POST", "/plugins/{*}/enable", NULL},
	{"POST", "/plugins/{*}/disable", NULL},
	{"POST", "/plugins/{*}/upgrade", NULL},
	{"POST", "/plugins/{*}/push", NULL},
	{"POST", "/plugins/{*}/set", NULL},
	{"DELETE", "/plugins/{*}", NULL},

	{"POST", "/swarm/init", NULL},
	{"POST", "/swarm/join", NULL},
	{"POST", "/swarm/leave", .flags = ROUTE_STATUS, .status = 503, .text = "This node is not part of a swarm"},
	SWARM("GET", "/swarm"), SWARM("POST", "/swarm/update"), SWARM("GET", "/swarm/unlockkey"), SWARM("POST", "/swarm/unlock"),
	SWARM("GET", "/nodes"), SWARM("GET", "/nodes/{}"), SWARM("DELETE", "/nodes/{}"), SWARM("POST", "/nodes/{}/update"),
	SWARM("GET", "/services"), SWARM("POST", "/services/create"), SWARM("GET", "/services/{}"), SWARM("DELETE", "/services/{}"),
	SWARM("POST", "/services/{}/update"), SWARM("GET", "/services/{}/logs"),
	SWARM("GET", "/tasks"), SWARM("GET", "/tasks/{}"), SWARM("GET", "/tasks/{}/logs"),
	SWARM("GET", "/secrets"), SWARM("POST", "/secrets/create"), SWARM("GET", "/secrets/{}"), SWARM("DELETE", "/secrets/{}"),
	SWARM("POST", "/secrets/{}/update"),
	SWARM("GET", "/configs"), SWARM("POST", "/configs/create"), SWARM("GET", "/configs/{}"), SWARM("DELETE", "/configs/{}"),
	SWARM("POST", "/configs/{}/update"),
};

/* Does @path match? *@arg/@len: what the braces stand for. */
static bool match(const char *pattern, const char *path, const char **arg, size_t *len)
{
	size_t head = strcspn(pattern, "{");
	*arg = NULL;
	if (pattern[head] == '\0')
		return str_eq(pattern, path);
	bool greedy = pattern[head + 1] == '*';
	const char *tail = strchr(pattern, '}') + 1;
	size_t n = strlen(path), t = strlen(tail);
	if (n <= head + t || strncmp(path, pattern, head) != 0 || strcmp(path + n - t, tail) != 0)
		return false;
	*arg = path + head;
	*len = n - head - t;
	return greedy || !memchr(*arg, '/', *len);
}

const struct route *route_find(const char *method, const char *path, char **ret_arg)
{
	for (size_t i = 0; i < ARRAY_LEN(routes); i++) {
		const char *arg;
		size_t len = 0;
		if (!str_eq(routes[i].method, method) || !match(routes[i].pattern, path, &arg, &len))
			continue;
		*ret_arg = arg ? strndup(arg, len) : NULL;
		return &routes[i];
	}
	return NULL;
}

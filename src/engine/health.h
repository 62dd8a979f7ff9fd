/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Health checks as the engine sees them: what was asked for, what the monitor is told, what it says (health.c), and how clients read it
 * (health_show.c). The probing is the monitor's: src/monitor/health.c.
 */
#pragma once

#include "engine/internal.h"
#include "spec/image.h"

/** health_is_on() - whether there is a probe: neither absent nor NONE. */
bool health_is_on(const struct container_request *r);
/** health_merge_image() - what the image says where the request does not, field by field. Return: 0; ERR_INVALID for an image whose check is none. */
int health_merge_image(struct container_request *r, const struct image_config *img, struct err *err);
/** health_command() - the probe's argument vector. *@ret: owned strv. Return: 0 or -ENOMEM. */
int health_command(const struct health_request *h, char ***ret);
/** health_terms() - docker's defaults where nothing was said. */
void health_terms(const struct health_request *h, struct monitor_health *ret);
/** health_prepare() - the probe's document, into the bundle. Nothing without a check. */
int health_prepare(struct engine *e, const struct container *c, struct err *err);
/** health_keep() - the record of a run that has ended, from its bundle @dir beside the container's files. Best effort. */
void health_keep(struct engine *e, const struct container *c, int dir);
/** health_note() - a monitor has told something: events for those who listen here. */
void health_note(struct engine *e, const struct monitor_note *n);

/* A monitor's record: entries one by one, none of them believed before it is measured. */
struct health_record {
	struct monitor_health_head head;
	const uint8_t *p; /* borrowed */
	size_t left;
	uint32_t n; /* entries that are still to come */
};
/** health_record_open() - Return: 0; -EBADMSG when @buf[@len] is none. */
int health_record_open(const void *buf, size_t len, struct health_record *ret);
/** health_record_next() - Return: 1 with *@ret and *@ret_text (its @len bytes, borrowed), 0 that was all, -EBADMSG. */
int health_record_next(struct health_record *r, struct monitor_health_entry *ret, const char **ret_text);

/** health_status() - "none", "starting", "healthy" or "unhealthy": docker's word for @c, which is as @info says. */
const char *health_status(struct engine *e, const struct container *c, const struct run_info *info);
/** health_write() - State.Health, where docker has one. */
void health_write(struct engine *e, struct json_writer *w, const struct container *c, const struct run_info *info);

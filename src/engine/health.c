/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/health.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "engine/events.h"

#define DOCUMENT "health.json"
#define RECORD "health"
#define RECORD_MAX (32u << 10)
#define DOCUMENT_MAX (4u << 20)

/* What was asked for */

bool health_is_on(const struct container_request *r)
{
	return r->health && r->health->test && r->health->test[0] && !str_eq(r->health->test[0], "NONE");
}

/* The image's, through the same reader as a request's: an image is data, and held to the same rules. *@ret: owned. */
static int parse_image(const char *text, struct container_request **ret, struct err *err)
{
	_cleanup_free_ char *frame = str_printf("{\"Healthcheck\":%s}", text);
	_cleanup_json_ struct json *doc = NULL;
	if (!frame)
		return err_oom(err);
	int rc = json_parse(frame, strlen(frame), REQUEST_MAX, "health check", &doc, err);
	rc = rc < 0 ? rc : container_request_parse(doc, ret, NULL, err);
	return rc < 0 ? err_wrap(err, "the image's health check (--no-healthcheck goes without)") : 0;
}

int health_merge_image(struct container_request *r, const struct image_config *img, struct err *err)
{
	_cleanup_container_request_ struct container_request *theirs = NULL;
	if (str_empty(img->healthcheck_json) || (r->health && r->health->test && !health_is_on(r)))
		return 0;
	int rc = parse_image(img->healthcheck_json, &theirs, err);
	if (rc < 0 || !theirs->health)
		return rc;
	if (!r->health) {
		r->health = take_ptr(theirs->health);
		return 0;
	}
	struct health_request *a = r->health, *b = theirs->health;
	int64_t *const mine[] = {&a->interval, &a->timeout, &a->start_period, &a->start_interval, &a->retries};
	const int64_t its[] = {b->interval, b->timeout, b->start_period, b->start_interval, b->retries};
	for (size_t i = 0; i < ARRAY_LEN(mine); i++)
		if (*mine[i] == 0)
			*mine[i] = its[i];
	if (!a->test || !a->test[0]) {
		strv_free(a->test);
		a->test = take_ptr(b->test);
	}
	return 0;
}

void health_terms(const struct health_request *h, struct monitor_health *ret)
{
	*ret = (struct monitor_health) {
		.interval_ns = h->interval ?: 30 * NSEC_PER_SEC,
		.timeout_ns = h->timeout ?: 30 * NSEC_PER_SEC,
		.start_period_ns = h->start_period,
		.start_interval_ns = h->start_interval ?: 5 * NSEC_PER_SEC,
		.retries = h->retries ? (uint32_t) h->retries : 3,
	};
}

int health_command(const struct health_request *h, char ***ret)
{
	_cleanup_strv_ char **cmd = NULL;
	if (str_eq(h->test[0], "CMD-SHELL") && (strv_push(&cmd, "/bin/sh") < 0 || strv_push(&cmd, "-c") < 0))
		return -ENOMEM;
	STRV_FOREACH(s, h->test + 1)
		if (strv_push(&cmd, s) < 0)
			return -ENOMEM;
	*ret = take_ptr(cmd);
	return 0;
}

/* The bundle */

int health_prepare(struct engine *e, const struct container *c, struct err *err)
{
	_cleanup_strbuf_ struct strbuf text = STRBUF_INIT(DOCUMENT_MAX);
	_cleanup_strv_ char **cmd = NULL;
	if (!health_is_on(c->req))
		return 0;
	if (health_command(c->req->health, &cmd) < 0)
		return err_oom(err);
	const struct exec_request r = {.cmd = cmd, .attach_stdout = true, .attach_stderr = true};
	int rc = exec_document(e, c, &r, &text, err);
	if (rc < 0)
		return err_wrap(err, "the health check");
	_cleanup_close_ int dir = bundle_open(e, c->id);
	rc = dir < 0 ? dir : write_file_atomic(dir, DOCUMENT, text.s, text.len, 0600);
	return rc < 0 ? err_sys(err, rc, "writing the health check's document") : 0;
}

void health_keep(struct engine *e, const struct container *c, int dir)
{
	_cleanup_free_ char *text = NULL;
	if (!health_is_on(c->req))
		return;
	ssize_t n = dir < 0 ? dir : read_file(dir, RECORD, RECORD_MAX, &text);
	_cleanup_close_ int to = n <= 0 ? -EBADF : container_dir_open(e, c->id, /* make= */ false);
	if (to >= 0)
		(void) write_file_atomic(to, RECORD, text, (size_t) n, 0600); /* a full disk costs the log of a run that is over */
}

/* Events */

static void tell_command(struct engine *e, const struct container *c, const char *action, const char *exec_id, char *const *cmd)
{
	_cleanup_strbuf_ struct strbuf b = STRBUF_INIT(8192);
	exec_event_text(&b, action, cmd);
	event_container_here(e, c, strbuf_err(&b) < 0 ? action : b.s, "execID", exec_id, NULL);
}

static const char *const words[] = {[MONITOR_HEALTH_STARTING] = "starting", [MONITOR_HEALTH_HEALTHY] = "healthy", [MONITOR_HEALTH_UNHEALTHY] = "unhealthy"};

static void tell(struct engine *e, const struct container *c, const struct monitor_note *n)
{
	_cleanup_strv_ char **cmd = NULL;
	char text[48];
	if (n->kind == MONITOR_NOTE_PROBE_STARTED && health_command(c->req->health, &cmd) >= 0) {
		tell_command(e, c, "exec_create", n->exec_id, cmd);
		tell_command(e, c, "exec_start", n->exec_id, cmd);
	} else if (n->kind == MONITOR_NOTE_PROBE_ENDED) {
		(void) str_format(text, sizeof(text), "%d", (int) n->value); /* fits, like the next */
		event_container_here(e, c, "exec_die", "execID", n->exec_id, "exitCode", text, NULL);
	} else if (n->kind == MONITOR_NOTE_HEALTH && n->value >= 0 && (size_t) n->value < ARRAY_LEN(words)) {
		(void) str_format(text, sizeof(text), "health_status: %s", words[n->value]);
		event_container_here(e, c, text, NULL);
	}
}

void health_note(struct engine *e, const struct monitor_note *n)
{
	_cleanup_container_ struct container c = {0};
	if (!memchr(n->id, '\0', sizeof(n->id)) || !memchr(n->exec_id, '\0', sizeof(n->exec_id)) || !id_is_full(n->id))
		return;
	if (container_load(e, n->id, &c, NULL) > 0 && health_is_on(c.req))
		tell(e, &c, n);
}

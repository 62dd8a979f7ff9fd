/* SPDX-License-Identifier: Apache-2.0 */
/* What a monitor has recorded of its probes, in docker's words: inspect's State.Health, the list's "(healthy)". */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "engine/health.h"

#define RECORD "health"
#define RECORD_MAX (32u << 10)

int health_record_open(const void *buf, size_t len, struct health_record *ret)
{
	struct health_record r = {.p = buf, .left = len};
	if (len < sizeof(r.head))
		return -EBADMSG;
	memcpy(&r.head, buf, sizeof(r.head));
	if (r.head.magic != MONITOR_HEALTH_MAGIC || r.head.status > MONITOR_HEALTH_UNHEALTHY || r.head.n > MONITOR_HEALTH_LOG_MAX)
		return -EBADMSG;
	r.p += sizeof(r.head);
	r.left -= sizeof(r.head);
	r.n = r.head.n;
	*ret = r;
	return 0;
}

int health_record_next(struct health_record *r, struct monitor_health_entry *ret, const char **ret_text)
{
	if (r->n == 0)
		return 0;
	if (r->left < sizeof(*ret))
		return -EBADMSG;
	memcpy(ret, r->p, sizeof(*ret));
	if (ret->len > MONITOR_HEALTH_OUTPUT_MAX || ret->len > r->left - sizeof(*ret))
		return -EBADMSG;
	*ret_text = (const char *) r->p + sizeof(*ret);
	r->p += sizeof(*ret) + ret->len;
	r->left -= sizeof(*ret) + ret->len;
	r->n--;
	return 1;
}

/* Of a run that goes on the bundle's, of one that is over what was kept of it. *@ret: owned. Return: bytes, 0 there is none (yet). */
static size_t read_record(struct engine *e, const struct container *c, const struct run_info *info, char **ret)
{
	_cleanup_close_ int dir = info->state == RUN_RUNNING ? bundle_open(e, c->id) : container_dir_open(e, c->id, /* make= */ false);
	ssize_t n = dir < 0 ? dir : read_file(dir, RECORD, RECORD_MAX, ret);
	return n > 0 ? (size_t) n : 0;
}

/* docker's rule: without a monitor that looks, it is unhealthy. */
static const char *word(const struct run_info *info, uint32_t status)
{
	static const char *const words[] = {[MONITOR_HEALTH_STARTING] = "starting", [MONITOR_HEALTH_HEALTHY] = "healthy", [MONITOR_HEALTH_UNHEALTHY] = "unhealthy"};
	return words[info->state == RUN_RUNNING ? status : MONITOR_HEALTH_UNHEALTHY];
}

const char *health_status(struct engine *e, const struct container *c, const struct run_info *info)
{
	struct monitor_health_head head = {.status = MONITOR_HEALTH_STARTING};
	if (!health_is_on(c->req) || info->state == RUN_CREATED)
		return "none";
	_cleanup_close_ int dir = info->state == RUN_RUNNING ? bundle_open(e, c->id) : -EBADF;
	_cleanup_close_ int fd = dir < 0 ? -EBADF : openat(dir, RECORD, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || read_full(fd, &head, sizeof(head)) != sizeof(head) || head.magic != MONITOR_HEALTH_MAGIC || head.status > MONITOR_HEALTH_UNHEALTHY)
		head.status = MONITOR_HEALTH_STARTING; /* no probe has ended yet */
	return word(info, head.status);
}

/* As Go prints a time.Duration: "1m30s", "1.5s", "250ms". */
static void add_duration(struct strbuf *b, int64_t ns)
{
	int64_t s = ns / NSEC_PER_SEC, ms = ns % NSEC_PER_SEC / 1000000;
	char fraction[8] = "";
	if (s == 0) {
		strbuf_addf(b, "%lldms", (long long) ms);
		return;
	}
	if (s >= 3600)
		strbuf_addf(b, "%lldh", (long long) (s / 3600));
	if (s >= 60)
		strbuf_addf(b, "%lldm", (long long) (s / 60 % 60));
	if (ms) {
		int n = snprintf(fraction, sizeof(fraction), ".%03d", (int) ms);
		while (n > 0 && fraction[n - 1] == '0')
			fraction[--n] = '\0';
	}
	strbuf_addf(b, "%lld%ss", (long long) (s % 60), fraction);
}

static void write_output(struct json_writer *w, const struct monitor_health_entry *e, const char *text, int64_t timeout_ns)
{
	_cleanup_strbuf_ struct strbuf b = STRBUF_INIT(MONITOR_HEALTH_OUTPUT_MAX + 256);
	if (e->flags & MONITOR_HEALTH_TIMED_OUT) {
		strbuf_adds(&b, "Health check exceeded timeout (");
		add_duration(&b, timeout_ns);
		strbuf_adds(&b, e->len ? "): " : ")");
	}
	strbuf_add(&b, text, e->len);
	if (e->flags & MONITOR_HEALTH_CUT)
		strbuf_adds(&b, "...");
	jw_strn(w, "Output", b.s ?: "", b.len);
}

static void write_log(struct json_writer *w, struct health_record *r, int64_t timeout_ns)
{
	struct monitor_health_entry e;
	char buf[TIME_RFC3339_MAX];
	const char *text;
	while (health_record_next(r, &e, &text) > 0) {
		jw_obj(w, NULL);
		jw_str(w, "Start", time_format_rfc3339(buf, e.start_ns, /* fixed= */ false));
		jw_str(w, "End", time_format_rfc3339(buf, e.end_ns, /* fixed= */ false));
		jw_int(w, "ExitCode", e.code);
		write_output(w, &e, text, timeout_ns);
		jw_end(w);
	}
}

void health_write(struct engine *e, struct json_writer *w, const struct container *c, const struct run_info *info)
{
	_cleanup_free_ char *text = NULL;
	struct health_record r = {.n = 0};
	struct monitor_health terms;
	if (!health_is_on(c->req) || info->state == RUN_CREATED)
		return;
	health_terms(c->req->health, &terms);
	size_t n = read_record(e, c, info, &text);
	if (health_record_open(text, n, &r) < 0)
		r = (struct health_record) {.n = 0};
	jw_obj(w, "Health");
	jw_str(w, "Status", word(info, r.head.status));
	jw_int(w, "FailingStreak", r.head.streak);
	jw_arr(w, "Log");
	write_log(w, &r, terms.timeout_ns);
	jw_end(w);
	jw_end(w);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What happened, as docker tells it: a ring of the newest events in memory, and readers of it. An event is written once, as the
 * line that clients get; it goes into this engine's ring and, by mailbox.c, into those of other engines on the same state (a daemon hears of what
 * a `coffer` without it did, and of what a monitor's reaper recorded). Nothing waits for a reader: one that is slower than EVENTS_KEPT
 * events misses the oldest.
 */
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "engine/events.h"
#include "engine/internal.h"

#define EVENT_BYTES_MAX (1u << 20)
#define ATTRIBUTES_MAX 16

struct event {
	uint64_t seq; /* 1, 2, ...; 0: an empty slot */
	int64_t time_ns;
	char *tenant, *text; /* owned */
};

struct events_reader {
	struct events_reader *next;
	char *tenant;	       /* owned */
	struct json *filters;  /* owned; NULL: none */
	int64_t since_ns, until_ns; /* 0: none */
	uint64_t seq;	       /* the next to look at */
	int wake_fd;	       /* owned */
};

struct events {
	pthread_mutex_t lock; /* a leaf: nothing is called under it */
	struct event ring[EVENTS_KEPT];
	uint64_t last; /* seq of the newest */
	struct events_reader *readers;
};

struct events *events_new(void)
{
	struct events *v = calloc(1, sizeof(*v));
	if (v)
		(void) pthread_mutex_init(&v->lock, NULL); /* cannot fail with default attributes */
	return v;
}

static void event_done(struct event *ev)
{
	free(ev->tenant);
	free(ev->text);
	*ev = (struct event) {0};
}

struct events *events_free(struct events *v)
{
	if (!v)
		return NULL;
	for (size_t i = 0; i < EVENTS_KEPT; i++)
		event_done(&v->ring[i]);
	(void) pthread_mutex_destroy(&v->lock);
	free(v);
	return NULL;
}

int events_store(struct events *v, const char *tenant, const char *text)
{
	_cleanup_json_ struct json *doc = NULL;
	struct event ev = {.tenant = strdup(tenant), .text = strdup(text)};
	if (!ev.tenant || !ev.text || json_parse(text, strlen(text), EVENT_BYTES_MAX, "event", &doc, NULL) < 0) {
		event_done(&ev);
		return -EINVAL;
	}
	ev.time_ns = json_int(json_get(doc, "timeNano"), 0);
	(void) pthread_mutex_lock(&v->lock);
	ev.seq = ++v->last;
	struct event *slot = &v->ring[ev.seq % EVENTS_KEPT], old = *slot;
	*slot = ev;
	for (struct events_reader *rd = v->readers; rd; rd = rd->next)
		(void) eventfd_write(rd->wake_fd, 1); /* a full counter wakes as well */
	(void) pthread_mutex_unlock(&v->lock);
	event_done(&old);
	return 0;
}

/* Filters */

static bool filter_each(const struct json *v, bool (*match)(const struct json *doc, const char *value), const struct json *doc)
{
	JSON_FOREACH(s, i, v)
		if (match(doc, json_str(s, "")))
			return true;
	if (json_kind(v) == JSON_KIND_OBJECT)
		JSON_FOREACH_MEMBER(name, on, v)
			if (json_bool(on, true) && match(doc, name))
				return true;
	return false;
}

static const char *type_of(const struct json *doc)
{
	return json_str(json_get(doc, "Type"), "");
}

static const char *attribute(const struct json *doc, const char *key)
{
	return json_str(json_get(json_get(json_get(doc, "Actor"), "Attributes"), key), "");
}

static bool match_type(const struct json *doc, const char *v)
{
	return str_eq(type_of(doc), v);
}

/* "exec_create" and "health_status" stand for all that begin so: "exec_create: ls". */
static bool match_event(const struct json *doc, const char *v)
{
	const char *rest = str_after(json_str(json_get(doc, "Action"), ""), v);
	return rest && (*rest == '\0' || *rest == ':');
}

/* By id, by the beginning of one, or by name. */
static bool match_actor(const struct json *doc, const char *type, const char *key, const char *v)
{
	const char *id = json_str(json_get(json_get(doc, "Actor"), "ID"), "");
	if (!str_eq(type_of(doc), type))
		return str_eq(attribute(doc, type), v); /* a volume's event that names its container */
	return str_eq(id, v) || str_eq(attribute(doc, key), v) || (strlen(v) >= ID_SHORT_LEN && str_after(id, v));
}

static bool match_container(const struct json *doc, const char *v)
{
	return match_actor(doc, "container", "name", v);
}

static bool match_volume(const struct json *doc, const char *v)
{
	return match_actor(doc, "volume", "name", v);
}

static bool match_network(const struct json *doc, const char *v)
{
	return match_actor(doc, "network", "name", v);
}

/* "busybox" is every tag of it */
static bool same_image(const char *name, const char *v)
{
	const char *rest = str_after(name, v);
	return rest && (*rest == '\0' || *rest == ':' || *rest == '@');
}

static bool match_image(const struct json *doc, const char *v)
{
	bool image = str_eq(type_of(doc), "image");
	return (image && match_actor(doc, "image", "name", v)) || same_image(attribute(doc, image ? "name" : "image"), v);
}

static bool match_label(const struct json *doc, const char *v)
{
	const struct json *all = json_get(json_get(doc, "Actor"), "Attributes");
	size_t n = strcspn(v, "=");
	JSON_FOREACH_MEMBER(key, val, all)
		if (strlen(key) == n && strncmp(key, v, n) == 0 && (v[n] == '\0' || str_eq(json_str(val, ""), v + n + 1)))
			return true;
	return false;
}

static bool match_scope(const struct json *doc, const char *v)
{
	return str_eq(v, "local");
}

static bool match_none(const struct json *doc, const char *v)
{
	return false;
}

static const struct {
	const char *key;
	bool (*match)(const struct json *doc, const char *v);
} filters[] = {
	{"type", match_type},	{"event", match_event},	  {"container", match_container}, {"image", match_image}, {"label", match_label}, {"volume", match_volume},
	{"network", match_network}, {"scope", match_scope}, {"daemon", match_none},	     {"plugin", match_none}, {"config", match_none}, {"node", match_none},
	{"secret", match_none}, {"service", match_none},
};

static int find_filter(const char *key)
{
	for (size_t i = 0; i < ARRAY_LEN(filters); i++)
		if (str_eq(filters[i].key, key))
			return (int) i;
	return -EINVAL;
}

static int check_filters(const struct json *f, struct err *err)
{
	JSON_FOREACH_MEMBER(key, v, f)
		if (find_filter(key) < 0 || (json_kind(v) != JSON_KIND_ARRAY && json_kind(v) != JSON_KIND_OBJECT))
			return err_set(err, ERR_INVALID, "invalid filter '%.64s'", key);
	return 0;
}

static bool passes(const struct events_reader *rd, const struct event *ev)
{
	if (!str_eq(ev->tenant, rd->tenant) || (rd->since_ns && ev->time_ns < rd->since_ns) || (rd->until_ns && ev->time_ns > rd->until_ns))
		return false;
	if (json_len(rd->filters) == 0)
		return true;
	_cleanup_json_ struct json *doc = NULL; /* text is a tenth of what the document takes in memory */
	if (json_parse(ev->text, strlen(ev->text), EVENT_BYTES_MAX, "event", &doc, NULL) < 0)
		return false; /* out of memory: it was parsed before it was stored */
	JSON_FOREACH_MEMBER(key, v, rd->filters)
		if (json_len(v) > 0 && !filter_each(v, filters[find_filter(key)].match, doc))
			return false;
	return true;
}

/* Readers */

static struct events_reader *reader_free(struct events_reader *rd)
{
	if (!rd)
		return NULL;
	safe_close(rd->wake_fd);
	free(rd->tenant);
	json_free(rd->filters);
	free(rd);
	return NULL;
}

static int copy_filters(const struct json *from, struct json **ret, struct err *err)
{
	_cleanup_free_ char *text = from ? json_dump(from) : NULL;
	if (!from)
		return 0;
	return text ? json_parse(text, strlen(text), EVENT_BYTES_MAX, "filters", ret, err) : err_oom(err);
}

int engine_events_begin(struct engine *e, const struct caller *caller, const struct events_request *r, struct events_reader **ret, struct err *err)
{
	int rc = check_filters(r->filters, err);
	rc = rc < 0 ? rc : mailbox_open(e, err);
	if (rc < 0)
		return rc;
	struct events_reader *rd = calloc(1, sizeof(*rd));
	if (!rd)
		return err_oom(err);
	*rd = (struct events_reader) {.since_ns = r->since_ns, .until_ns = r->until_ns, .tenant = strdup(caller->tenant), .wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
	rc = rd->wake_fd < 0 ? err_sys(err, -errno, "an eventfd") : rd->tenant ? copy_filters(r->filters, &rd->filters, err) : err_oom(err);
	if (rc < 0) {
		(void) reader_free(rd);
		return rc;
	}
	struct events *v = e->events;
	(void) pthread_mutex_lock(&v->lock);
	rd->seq = r->since_ns || r->until_ns ? 1 : v->last + 1;
	rd->next = v->readers;
	v->readers = rd;
	(void) pthread_mutex_unlock(&v->lock);
	*ret = rd;
	return 0;
}

int engine_events_keep(struct engine *e, struct err *err)
{
	return mailbox_open(e, err);
}

/* The next event for @rd that is there already: an owned copy, or NULL. */
static char *take_next(struct events *v, struct events_reader *rd)
{
	char *text = NULL;
	(void) pthread_mutex_lock(&v->lock);
	if (rd->seq + EVENTS_KEPT <= v->last)
		rd->seq = v->last - EVENTS_KEPT + 1;
	for (; !text && rd->seq <= v->last; rd->seq++) {
		const struct event *ev = &v->ring[rd->seq % EVENTS_KEPT];
		if (passes(rd, ev))
			text = strdup(ev->text);
	}
	(void) pthread_mutex_unlock(&v->lock);
	return text;
}

int engine_events_next(struct engine *e, struct events_reader *rd, int cancel_fd, char **ret)
{
	for (;;) {
		eventfd_t ignored;
		(void) eventfd_read(rd->wake_fd, &ignored); /* only its readiness counts; before the look, so that nothing is missed */
		*ret = take_next(e->events, rd);
		if (*ret)
			return 1;
		int64_t left_ms = rd->until_ns ? (rd->until_ns - now_ns()) / 1000000 + 1 : -1;
		if (rd->until_ns && rd->until_ns <= now_ns())
			return 0;
		struct pollfd p[2] = {{rd->wake_fd, POLLIN, 0}, {cancel_fd, POLLIN | POLLRDHUP, 0}};
		if (poll(p, ARRAY_LEN(p), (int) MIN(left_ms, (int64_t) 3600000)) < 0 && errno != EINTR)
			return -errno;
		if (p[1].revents)
			return -ECANCELED;
	}
}

void engine_events_end(struct engine *e, struct events_reader *rd)
{
	struct events *v = e->events;
	(void) pthread_mutex_lock(&v->lock);
	for (struct events_reader **p = &v->readers; *p; p = &(*p)->next)
		if (*p == rd) {
			*p = rd->next;
			break;
		}
	(void) pthread_mutex_unlock(&v->lock);
	(void) reader_free(rd);
}

/* Writing one */

struct attributes {
	const struct kv_list *labels; /* borrowed; NULL: none */
	const char *keys[ATTRIBUTES_MAX], *values[ATTRIBUTES_MAX]; /* borrowed */
	size_t n;
};

static bool is_own(const struct attributes *a, const char *key)
{
	for (size_t i = 0; i < a->n; i++)
		if (str_eq(a->keys[i], key))
			return true;
	return false;
}

static void write_attributes(struct json_writer *w, const struct attributes *a)
{
	jw_obj(w, "Attributes");
	for (size_t i = 0; a->labels && a->labels->keys && a->labels->keys[i]; i++)
		if (!is_own(a, a->labels->keys[i])) /* a label called "image" hides nothing */
			jw_str(w, a->labels->keys[i], a->labels->values[i]);
	for (size_t i = 0; i < a->n; i++)
		jw_str(w, a->keys[i], a->values[i]);
	jw_end(w);
}

/* @here: not for other engines. */
static void emit(struct engine *e, const char *tenant, const char *type, const char *action, const char *id, const char *from, const struct attributes *a, bool here)
{
	_cleanup_strbuf_ struct strbuf b = STRBUF_INIT(EVENT_BYTES_MAX);
	struct json_writer w;
	int64_t now = now_ns();
	if (!e->events)
		return; /* an engine of a unit test */
	bool old = str_eq(type, "container") || str_eq(type, "image");
	jw_init(&w, &b);
	jw_obj(&w, NULL);
	if (old) { /* what the API had before 1.22, and compose 1 still reads */
		jw_str(&w, "status", action);
		jw_str(&w, "id", id);
	}
	if (from)
		jw_str(&w, "from", from);
	jw_str(&w, "Type", type);
	jw_str(&w, "Action", action);
	jw_obj(&w, "Actor");
	jw_str(&w, "ID", id);
	write_attributes(&w, a);
	jw_end(&w);
	jw_str(&w, "scope", "local");
	jw_int(&w, "time", now / NSEC_PER_SEC);
	jw_int(&w, "timeNano", now);
	jw_end(&w);
	if (strbuf_err(&b) < 0)
		return; /* labels of a megabyte: nobody is told, and nobody is kept waiting */
	(void) events_store(e->events, tenant, b.s); /* the action is done, told or not */
	if (!here)
		mailbox_post(e, tenant, b.s);
}

static void take_pairs(struct attributes *a, va_list ap)
{
	const char *key;
	while ((key = va_arg(ap, const char *)) && a->n < ATTRIBUTES_MAX) {
		a->keys[a->n] = key;
		a->values[a->n++] = va_arg(ap, const char *);
	}
}

static struct attributes of_container(const struct container *c)
{
	return (struct attributes) {.labels = &c->req->labels, .keys = {"image", "name"}, .values = {c->req->image, c->name}, .n = 2};
}

void event_container(struct engine *e, const struct container *c, const char *action, ...)
{
	struct attributes a = of_container(c);
	va_list ap;
	va_start(ap, action);
	take_pairs(&a, ap);
	va_end(ap);
	emit(e, c->tenant, "container", action, c->id, c->req->image, &a, /* here= */ false);
}

void event_container_here(struct engine *e, const struct container *c, const char *action, ...)
{
	struct attributes a = of_container(c);
	va_list ap;
	va_start(ap, action);
	take_pairs(&a, ap);
	va_end(ap);
	emit(e, c->tenant, "container", action, c->id, c->req->image, &a, /* here= */ true);
}

void event_object(struct engine *e, const char *tenant, const char *type, const char *action, const char *id, ...)
{
	struct attributes a = {.n = 0};
	va_list ap;
	va_start(ap, id);
	take_pairs(&a, ap);
	va_end(ap);
	emit(e, tenant, type, action, id, NULL, &a, /* here= */ false);
}

void engine_image_event(struct engine *e, const struct caller *caller, const char *action, const char *ref)
{
	_cleanup_image_ struct image *i = NULL;
	bool found = image_find(e->images, caller->tenant, ref, &i, NULL) > 0;
	event_object(e, caller->tenant, "image", action, found ? i->id : ref, "name", str_after(ref, "sha256:") && found && i->refs ? i->refs[0] : ref, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/progress.h"

#include <stdio.h>
#include <unistd.h>

#include "base/num.h"
#include "base/term.h"
#include "codec/json.h"

#define LINE_MAX_BYTES (16 << 20) /* of a report; else a line is short */
#define BAR_MAX 50

void progress_init(struct progress *p, FILE *out)
{
	*p = (struct progress) {.out = out, .line = STRBUF_INIT(LINE_MAX_BYTES)};
	p->live = out && term_size(fileno(out), &p->rows, &p->cols);
}

static void end_transient(struct progress *p, bool more)
{
	if (p->transient && !more)
		(void) fprintf(p->out, "\r\033[2K");
	p->transient = false;
}

void progress_done(struct progress *p)
{
	end_transient(p, /* more= */ false);
	p->ids = strv_free(p->ids);
	strbuf_done(&p->line);
	free(p->aux);
}

void progress_bar(struct strbuf *out, uint64_t current, uint64_t total, unsigned width)
{
	char a[24], b[24];
	(void) format_size(a, sizeof(a), current);
	(void) format_size(b, sizeof(b), total);
	if (total == 0 || width < 30) {
		strbuf_addf(out, "%s", a);
		return;
	}
	unsigned cells = MIN(width - 24, (unsigned) BAR_MAX), full = (unsigned) ((double) MIN(current, total) / (double) total * cells);
	strbuf_addc(out, '[');
	for (unsigned i = 0; i < cells; i++)
		strbuf_addc(out, i < full ? '=' : i == full ? '>' : ' ');
	strbuf_addf(out, "]  %s/%s", a, b);
}

/* How many lines up the layer's line is; a new or scrolled-off layer gets a line of its own at the bottom (0). */
static size_t line_of(struct progress *p, const char *id)
{
	size_t n = strv_len(p->ids);
	for (size_t i = n; i > 0; i--)
		if (str_eq(p->ids[i - 1], id))
			return n - i + 1 < p->rows ? n - i + 1 : 0;
	return 0;
}

static void show_live(struct progress *p, const char *id, const char *text)
{
	size_t up = line_of(p, id);
	if (up > 0) {
		(void) fprintf(p->out, "\033[%zuA\r\033[2K%s\033[%zuB\r", up, text, up);
	} else {
		(void) fprintf(p->out, "%s\n", text);
		(void) strv_push(&p->ids, id); /* without memory its next change just takes a new line */
	}
	(void) fflush(p->out);
}

static void plain(struct strbuf *out, const char *s)
{
	for (; *s; s++)
		if ((unsigned char) *s >= 0x20 && *s != 0x7f)
			strbuf_addc(out, *s);
}

static void show_layer(struct progress *p, const char *id, const char *status, const struct json *detail)
{
	_cleanup_strbuf_ struct strbuf text = STRBUF_INIT(4096);
	int64_t current = json_int(json_get(detail, "current"), 0), total = json_int(json_get(detail, "total"), 0);
	if (!p->live && current > 0)
		return; /* only what changes state makes a line in a file */
	plain(&text, id);
	strbuf_adds(&text, ": ");
	plain(&text, status);
	strbuf_addc(&text, ' ');
	if (current > 0 && total > 0 && p->cols > text.len)
		progress_bar(&text, (uint64_t) current, (uint64_t) total, p->cols - (unsigned) text.len);
	if (p->live)
		show_live(p, id, text.s ? text.s : "");
	else
		(void) fprintf(p->out, "%s: %s\n", id, status);
}

/* What has no line of its own: the last of it stays until something else is said. */
static void show_transient(struct progress *p, const char *status, const struct json *detail)
{
	char size[24];
	int64_t current = json_int(json_get(detail, "current"), 0);
	if (!p->live)
		return;
	_cleanup_strbuf_ struct strbuf text = STRBUF_INIT(4096);
	plain(&text, status);
	(void) fprintf(p->out, "\r\033[2K%s %s", text.s ? text.s : "", format_size(size, sizeof(size), (uint64_t) MAX(current, (int64_t) 0)));
	(void) fflush(p->out);
	p->transient = true;
}

static int one_line(struct progress *p, const char *text, size_t len, struct err *err)
{
	_cleanup_json_ struct json *doc = NULL;
	while (len > 0 && (text[len - 1] == '\r' || text[len - 1] == '\n' || text[len - 1] == ' '))
		len--;
	if (len == 0)
		return 0;
	if (json_parse(text, len, LINE_MAX_BYTES, "progress", &doc, err) < 0)
		return err_wrap(err, "the engine's progress");
	const char *error = json_str(json_get(doc, "error"), json_str(json_get(json_get(doc, "errorDetail"), "message"), NULL));
	if (error)
		return err_set(err, ERR_INVALID, "%.480s", error);
	const struct json *aux = json_get(doc, "aux");
	if (aux) {
		free(p->aux);
		p->aux = json_dump(aux);
		if (!p->aux)
			return err_oom(err);
	}
	const char *stream = json_str(json_get(doc, "stream"), NULL), *status = json_str(json_get(doc, "status"), NULL);
	const char *id = json_str(json_get(doc, "id"), "");
	if (!p->out)
		return 0;
	bool transient = !stream && status && !*id && json_int(json_get(json_get(doc, "progressDetail"), "current"), 0) > 0;
	end_transient(p, transient);
	if (transient)
		show_transient(p, status, json_get(doc, "progressDetail"));
	else if (stream)
		(void) fprintf(p->out, "%s", stream);
	else if (status && *id)
		show_layer(p, id, status, json_get(doc, "progressDetail"));
	else if (status)
		(void) fprintf(p->out, "%s\n", status);
	return 0;
}

int progress_feed(struct progress *p, const char *text, size_t len, struct err *err)
{
	while (len > 0) {
		const char *end = memchr(text, '\n', len);
		size_t n = end ? (size_t) (end - text) + 1 : len;
		strbuf_add(&p->line, text, n);
		if (strbuf_err(&p->line) < 0)
			return err_set(err, ERR_CORRUPT, "the engine's progress has a line above %d bytes", LINE_MAX_BYTES);
		text += n;
		len -= n;
		if (!end)
			break;
		int r = one_line(p, p->line.s, p->line.len, err);
		strbuf_reset(&p->line);
		if (r < 0)
			return r;
	}
	return 0;
}

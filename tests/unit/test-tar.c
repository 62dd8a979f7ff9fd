/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>

#include "base/str.h"
#include "codec/tar.h"

/* An archive in the making, and how far it was read. */
struct archive {
	struct strbuf b;
	size_t at, step; /* @step: most bytes a read gives */
};

static ssize_t read_some(void *ctx, void *buf, size_t len)
{
	struct archive *a = ctx;
	size_t n = MIN(MIN(len, a->step), a->b.len - a->at);
	memcpy(buf, a->b.s + a->at, n);
	a->at += n;
	return (ssize_t) n;
}

static void pad(struct archive *a)
{
	while (a->b.len % 512)
		strbuf_addc(&a->b, 0);
}

static void sum(char *h)
{
	unsigned s = 0;
	memset(h + 148, ' ', 8);
	for (int i = 0; i < 512; i++)
		s += (unsigned char) h[i];
	(void) snprintf(h + 148, 8, "%06o", s);
}

static char *header(struct archive *a, const char *name, char type, size_t size, const char *link)
{
	char h[512] = {0};
	(void) snprintf(h, 100, "%s", name);
	(void) snprintf(h + 100, 8, "%07o", 0644);
	(void) snprintf(h + 108, 8, "%07o", 1000);
	(void) snprintf(h + 116, 8, "%07o", 100);
	(void) snprintf(h + 124, 12, "%011zo", size);
	(void) snprintf(h + 136, 12, "%011o", 1700000000u);
	h[156] = type;
	(void) snprintf(h + 157, 100, "%s", link);
	memcpy(h + 257, "ustar\00000", 8);
	sum(h);
	strbuf_add(&a->b, h, 512);
	return a->b.s + a->b.len - 512;
}

static void file(struct archive *a, const char *name, const char *data)
{
	header(a, name, '0', strlen(data), "");
	strbuf_adds(&a->b, data);
	pad(a);
}

static void pax(struct archive *a, char type, const char *records, size_t len)
{
	header(a, "pax", type, len, "");
	strbuf_add(&a->b, records, len);
	pad(a);
}
#define PAX(a, text) pax(a, 'x', text, sizeof(text) - 1)

static void end(struct archive *a)
{
	for (int i = 0; i < 1024; i++)
		strbuf_addc(&a->b, 0);
}

struct result {
	int r;
	size_t entries;
	char names[2000], why[700]; /* "name:data;" each */
	struct tar_entry last;
};

static struct result run(struct archive *a, size_t step, struct tar_limits limits)
{
	struct result x = {0};
	struct tar *t;
	const struct tar_entry *e;
	size_t at = 0;
	a->at = 0;
	a->step = step;
	assert_int_equal(tar_new(read_some, a, &limits, &t), 0);
	while ((x.r = tar_next(t, &e)) > 0) {
		const void *p;
		uint64_t offset;
		ssize_t n;
		x.entries++;
		x.last = *e;
		at += (size_t) snprintf(x.names + at, sizeof(x.names) - at, "%s:", e->path);
		while ((n = tar_data(t, &p, &offset)) > 0)
			at += (size_t) snprintf(x.names + at, sizeof(x.names) - at, "%.*s", (int) n, (const char *) p);
		at += (size_t) snprintf(x.names + at, sizeof(x.names) - at, ";");
		if (n < 0) {
			x.r = (int) n;
			break;
		}
	}
	(void) snprintf(x.why, sizeof(x.why), "%s", tar_why(t));
	(void) tar_free(t);
	return x;
}

static const struct tar_limits usual = TAR_LIMITS_DEFAULT;
#define ARCHIVE(name) _cleanup_(done) struct archive name = {.b = STRBUF_INIT(64 << 20)}

static void done(struct archive *a)
{
	strbuf_done(&a->b);
}

static void reads_what_everybody_reads(void **state)
{
	ARCHIVE(a);
	header(&a, "dir/", '5', 0, "");
	file(&a, "dir/one", "hello");
	header(&a, "dir/link", '2', 0, "one");
	PAX(&a, "19 path=dir/twotwo\n13 uid=70000\n32 SCHILY.xattr.user.colour=red\n25 mtime=1700000000.5000\n");
	file(&a, "short", "world");
	end(&a);
	for (size_t step = 1; step < 5000; step = step * 3 + 1) {
		struct result x = run(&a, step, usual);
		assert_int_equal(x.r, 0);
		assert_string_equal(x.names, "dir/:;dir/one:hello;dir/link:;dir/twotwo:world;");
		assert_int_equal(x.last.uid, 70000);
		assert_int_equal(x.last.mtime_ns, 500000000);
		assert_int_equal(x.last.n_xattrs, 1);
	}
}

static void pax_size_wins(void **state)
{
	ARCHIVE(a);
	PAX(&a, "12 size=512\n");
	header(&a, "x", '0', 0, ""); /* the field says none */
	for (int i = 0; i < 512; i++)
		strbuf_addc(&a.b, 'd');
	file(&a, "after", "1");
	end(&a);
	struct result x = run(&a, 4096, usual);
	assert_int_equal(x.r, 0);
	assert_int_equal(x.entries, 2);
	assert_true(strstr(x.names, "after:1;") != NULL);
}

static void negative_time_before_the_epoch(void **state)
{
	ARCHIVE(a);
	PAX(&a, "14 mtime=-1.5\n");
	file(&a, "x", "");
	end(&a);
	struct result x = run(&a, 4096, usual);
	assert_int_equal(x.r, 0);
	assert_int_equal(x.last.mtime_s, -2);
	assert_int_equal(x.last.mtime_ns, 500000000);
}

static void refuse(struct archive *a, int want, const char *words)
{
	struct result x = run(a, 700, usual);
	if (x.r != want || !strstr(x.why, words))
		print_error("got %d '%s', wanted %d '%s'\n", x.r, x.why, want, words);
	assert_int_equal(x.r, want);
	assert_non_null(strstr(x.why, words));
}

static void refuses_what_readers_disagree_on(void **state)
{
	{
		ARCHIVE(a);
		PAX(&a, "8 uid=1\n");
		PAX(&a, "8 uid=2\n");
		file(&a, "x", "");
		end(&a);
		refuse(&a, -EOPNOTSUPP, "two extended headers");
	}
	{
		ARCHIVE(a);
		pax(&a, 'L', "longname", 9);
		PAX(&a, "10 path=y\n");
		file(&a, "x", "");
		end(&a);
		refuse(&a, -EOPNOTSUPP, "two extended headers");
	}
	{
		ARCHIVE(a);
		pax(&a, 'g', "10 path=y\n", 10);
		file(&a, "x", "");
		end(&a);
		refuse(&a, -EOPNOTSUPP, "global header");
	}
	{
		ARCHIVE(a);
		header(&a, "dir/", '5', 512, "");
		end(&a);
		refuse(&a, -EOPNOTSUPP, "member 'dir/'");
	}
	{
		ARCHIVE(a);
		file(&a, "file/", "x");
		end(&a);
		refuse(&a, -EOPNOTSUPP, "ends in '/'");
	}
	{
		ARCHIVE(a);
		PAX(&a, "13 path=a\0bc\n");
		file(&a, "x", "");
		end(&a);
		refuse(&a, -EBADMSG, "NUL");
	}
	{
		ARCHIVE(a);
		header(&a, "vol", 'V', 0, "");
		end(&a);
		refuse(&a, -EOPNOTSUPP, "type 'V'");
	}
	{
		ARCHIVE(a);
		file(&a, "x", "1");
		end(&a);
		file(&a, "hidden", "2");
		end(&a);
		refuse(&a, -EBADMSG, "behind the end");
	}
}

static void refuses_damage(void **state)
{
	{
		ARCHIVE(a);
		strbuf_adds(&a.b, "hello, this is no tar at all");
		refuse(&a, -EBADMSG, "cut short");
		while (a.b.len < 2048)
			strbuf_adds(&a.b, "hello ");
		refuse(&a, -EBADMSG, "not a tar archive");
	}
	{
		ARCHIVE(a);
		file(&a, "x", "some data");
		refuse(&a, -EBADMSG, "no end marker");
		a.b.len -= 100;
		refuse(&a, -EBADMSG, "cut short");
	}
	{
		ARCHIVE(a);
		memcpy(header(&a, "x", '0', 0, "") + 100, "zzz", 3);
		end(&a);
		refuse(&a, -EBADMSG, "not a tar archive");
		sum(a.b.s);
		refuse(&a, -EBADMSG, "its mode is no number");
	}
	{
		ARCHIVE(a);
		PAX(&a, "99 path=x\n");
		file(&a, "x", "");
		end(&a);
		refuse(&a, -EBADMSG, "length is wrong");
	}
	{
		ARCHIVE(a);
		PAX(&a, "9 size=-1\n\n");
		file(&a, "x", "");
		end(&a);
		struct result x = run(&a, 700, usual);
		assert_true(x.r < 0);
	}
}

static void holds_its_limits(void **state)
{
	ARCHIVE(a);
	header(&a, "huge", 'x', (size_t) 1 << 30, "");
	refuse(&a, -EDQUOT, "1073741824 bytes");
	ARCHIVE(b);
	for (int i = 0; i < 10; i++)
		file(&b, "x", "0123456789");
	end(&b);
	struct tar_limits l = usual;
	l.entries_max = 9;
	assert_int_equal(run(&b, 512, l).r, -EDQUOT);
	l = usual;
	l.data_max = 99;
	assert_int_equal(run(&b, 512, l).r, -EDQUOT);
	l.data_max = 100;
	assert_int_equal(run(&b, 512, l).r, 0);
}

static void end_marker_may_be_optional(void **state)
{
	ARCHIVE(a);
	file(&a, "x", "1");
	struct tar_limits l = usual;
	l.end_optional = true;
	assert_int_equal(run(&a, 512, l).r, 0);
}

static void sparse_maps_are_proven(void **state)
{
	static const struct {
		const char *map;
		int want;
	} cases[] = {
		{"2,3,10,2", 0},     {"10,2,2,3", -EBADMSG}, {"2,3,4,2", -EBADMSG},  {"2,3,98,2", 0},
		{"2,3,99,2", -EBADMSG}, {"2,3,10", -EBADMSG},	{"2,3,10,1", -EBADMSG}, {"2,99999999999999999999,10,2", -EBADMSG},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		ARCHIVE(a);
		char records[200], map[100];
		int n = snprintf(map, sizeof(map), " GNU.sparse.map=%s\n", cases[i].map);
		n = snprintf(records, sizeof(records), "%d%s23 GNU.sparse.size=100\n", n + 2, map) ;
		pax(&a, 'x', records, (size_t) n);
		file(&a, "sparse", "abcde");
		end(&a);
		struct result x = run(&a, 512, usual);
		if (x.r != cases[i].want)
			print_error("%s: %d %s\n", cases[i].map, x.r, x.why);
		assert_int_equal(x.r, cases[i].want);
		if (x.r == 0)
			assert_int_equal(x.last.size, 100);
	}
}

static void names_are_shown_safely(void **state)
{
	char buf[40];
	assert_string_equal(tar_escape(buf, sizeof(buf), "a\033[2Jb"), "a\\x1b[2Jb");
	assert_true(strlen(tar_escape(buf, sizeof(buf), "0123456789012345678901234567890123456789012345678901234567890")) < sizeof(buf));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_what_everybody_reads), cmocka_unit_test(pax_size_wins), cmocka_unit_test(negative_time_before_the_epoch),
		cmocka_unit_test(refuses_what_readers_disagree_on), cmocka_unit_test(refuses_damage), cmocka_unit_test(holds_its_limits),
		cmocka_unit_test(end_marker_may_be_optional), cmocka_unit_test(sparse_maps_are_proven), cmocka_unit_test(names_are_shown_safely),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

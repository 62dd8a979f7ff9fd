/* SPDX-License-Identifier: Apache-2.0 */
/* policy.json, signatures by keys of each kind, and what a signature must say. Keys and signatures below were made with the openssl command line. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "base/base64.h"
#include "codec/signature.h"
#include "trust/verdict.h"

#define DIGEST "sha256:0000000000000000000000000000000000000000000000000000000000000005"
#define OTHER "sha256:0000000000000000000000000000000000000000000000000000000000000006"
#define PAYLOAD                                                                                                                                              \
	"{\"critical\":{\"identity\":{\"docker-reference\":\"registry.example/a/b:1\"},\"image\":{\"docker-manifest-digest\":\"" DIGEST                         \
	"\"},\"type\":\"cosign container image signature\"},\"optional\":null}"

static const char p256[] =
	"-----BEGIN PUBLIC KEY-----\n"
	"MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE9v7B8sst7wAFaxYRa8vBMNkLEcxL\n"
	"uq6TpbCCgTUfqOnS2lWa/zb/9d9LslsLrjh5dn0MLZItwY1mvMxoZKOxDw==\n"
	"-----END PUBLIC KEY-----\n";
static const char p256_signature[] =
	"MEUCIQCamP3Q1wV+eYnntlErcg6u2OvseJHjqmCXo0aXNiGU4AIgHoLIzP0OcEBClSO3PuKCm+UFAJsAObS6bPuF0m7Tsas=";
static const char ed25519[] =
	"-----BEGIN PUBLIC KEY-----\n"
	"MCowBQYDK2VwAyEAjAmMKBPRSCnU7we8r1my8lpf3lSo87KN572S893H/Xc=\n"
	"-----END PUBLIC KEY-----\n";
static const char ed25519_signature[] =
	"hLQnQenWX4nWNIFLkR6IqY9S1xL410455pq+NBuRcMCNEHK/vecQe+DEeYUw1xG2ac6ASUETjqzeTmrc0RN2DQ==";
static const char rsa2048[] =
	"-----BEGIN PUBLIC KEY-----\n"
	"MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEApWUT2u0aaa0B9NgvjvsB\n"
	"ttf3ek/TtbS016RVvtuTg4XKaLg2ZXoaG5jyXv3Q+IpxLIN1p2v1oEWeqolygWag\n"
	"QL8lI430NBAgMeo1lxRXPq4Cnaz+Wky1BwL7HhfdrQhlKwPrY6eeEfeiA1cBBpcV\n"
	"6dcJsgWg+GBrE0Lg4jZlWi3wNP3B4JAZjQjECfo/OinP2iThkDsksxmCHsTx7rzU\n"
	"3Bnz4P6AQM1hpYxxNdnKu0GQbRZTayYcFf2eiIG7UA6tjHT9vbJXssAD8JjAhbWi\n"
	"gdWUMeXW5wpO5ubkGJQnQrUWE1/RATNAK1IPMdryH2jMNYyPslAJkhEBJspvBDYl\n"
	"NQIDAQAB\n"
	"-----END PUBLIC KEY-----\n";
static const char rsa2048_signature[] =
	"XcvEdGD/aJCcSbWTg53y5kDXBrNHv3WBIb8OmEUdYdYU43RJWh3DaWcJZAbEbftMtb0uK2Gu24me164g+c/q1ynj46p+GBPBfRS9TmLcPjsYlUI4/wGY7gbZKBy6iD9DvvYwcIrqmjwSyzZUP6R+x5"
	"FylDmeZBUnVam6ACt7vSAFhhti+0l4+zTyMXX+SJPsWXdDAA+boxxZ1o0f1oC7ROZVrPol9pmipXQPn1qDyONSwUbA7se4kpjmy5UYl2fqMvLCei/zLUwCuhsfhIal/+xQgkxaEUFgTcTg1upsOQN0"
	"uOg8WA8aSudSFAaCS1ampBfIAv7YfgDfzFfV3nZCfw==";
static const char rsa1024[] =
	"-----BEGIN PUBLIC KEY-----\n"
	"MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQC37R3Biq+9tjFzCWl4LcP53Qn0\n"
	"Z9QYYRh2ElwYtVmZpw4W0pzMdqzRcMbF0iu6umUXC2t/XH3Ln06vhL6TKM5SAZr/\n"
	"bm9x501AiQ976hDmXyxU9CktUQuXQI/2Fxhm3PmWgZkaj3h6EFGDW0WxfExKmvkT\n"
	"+F5PPCzAVqH81JwMQQIDAQAB\n"
	"-----END PUBLIC KEY-----\n";
static const char secp256k1[] =
	"-----BEGIN PUBLIC KEY-----\n"
	"MFYwEAYHKoZIzj0CAQYFK4EEAAoDQgAEq5P+VxJraAWn0H53t3Je9d3p8nEGFiKL\n"
	"29YT9b87bdLb2vO+T48O6CWNRdfAg0Xihc73v4BVEA6IJyUY3JrwDA==\n"
	"-----END PUBLIC KEY-----\n";

static void test_keys_and_signatures(void **state)
{
	const struct {
		const char *pem, *signature;
	} rows[] = {{p256, p256_signature}, {ed25519, ed25519_signature}, {rsa2048, rsa2048_signature}};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		for (size_t k = 0; k < ARRAY_LEN(rows); k++) {
			_cleanup_public_key_ struct public_key *key = NULL;
			_cleanup_strbuf_ struct strbuf raw = STRBUF_INIT(4096);
			assert_int_equal(public_key_parse(rows[i].pem, strlen(rows[i].pem), &key, NULL), 0);
			assert_int_equal(base64_decode(rows[k].signature, &raw), 0);
			assert_int_equal(public_key_verify(key, PAYLOAD, strlen(PAYLOAD), raw.s, raw.len), i == k);
			assert_int_equal(public_key_verify(key, PAYLOAD, strlen(PAYLOAD) - 1, raw.s, raw.len), 0);
			for (size_t b = 0; i == k && b < raw.len; b++) {
				raw.s[b] ^= 1;
				assert_int_equal(public_key_verify(key, PAYLOAD, strlen(PAYLOAD), raw.s, raw.len), 0);
				raw.s[b] ^= 1;
			}
			assert_int_equal(public_key_verify(key, PAYLOAD, strlen(PAYLOAD), raw.s, 0), 0);
		}
}

static void test_keys_that_are_not_taken(void **state)
{
	_cleanup_free_ char *two = str_printf("%s%s", p256, ed25519), *text = str_printf("%strailing", p256), *spaced = str_printf("\n\n%s \n", p256);
	const struct {
		const char *pem;
		enum err_kind kind;
	} rows[] = {{rsa1024, ERR_UNSUPPORTED}, {secp256k1, ERR_UNSUPPORTED}, {two, ERR_INVALID}, {text, ERR_INVALID}, {"", ERR_INVALID}, {"-----BEGIN PUBLIC KEY-----", ERR_INVALID},
		    {"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", ERR_INVALID}, {"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", ERR_INVALID}};
	struct public_key *key = NULL;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct err err = {0};
		assert_true(public_key_parse(rows[i].pem, strlen(rows[i].pem), &key, &err) < 0);
		assert_int_equal(err.kind, rows[i].kind);
	}
	assert_int_equal(public_key_parse(spaced, strlen(spaced), &key, NULL), 0);
	assert_null(public_key_free(key));
}

static struct trust_policy *parse(const char *text)
{
	struct trust_policy *p = NULL;
	struct err err = {0};
	if (trust_policy_parse(text, strlen(text), "policy.json", &p, &err) < 0)
		fail_msg("%s: %s", text, err.msg);
	return p;
}

static const char *scope_of(const struct trust_policy *p, const char *image)
{
	static char name[300];
	struct image_ref ref = {0};
	assert_int_equal(image_ref_parse(image, &ref, NULL), 0);
	const struct policy_scope *s = trust_policy_registry(p, &ref);
	image_ref_done(&ref);
	assert_true(str_format(name, sizeof(name), "%s|%s", s->transport, s->name) > 0);
	return name;
}

#define ANY "[{\"type\":\"insecureAcceptAnything\"}]"

static void test_the_most_specific_scope(void **state)
{
	_cleanup_trust_policy_ struct trust_policy *p =
		parse("{\"default\":" ANY ",\"transports\":{\"docker\":{\"\":" ANY ",\"docker.io\":" ANY ",\"docker.io/library\":" ANY ",\"docker.io/library/busybox\":" ANY
		      ",\"docker.io/library/busybox:1\":" ANY ",\"docker.io/library/busybox@" DIGEST "\":" ANY ",\"*.example.com\":" ANY ",\"*.com\":" ANY ",\"r.example.com:5000/team\":" ANY
		      ",\"Reg.example.net:443\":" ANY "},\"oci-archive\":{\"/a\":" ANY "},\"tarball\":{\"/x\":" ANY "}}}");
	_cleanup_trust_policy_ struct trust_policy *bare = parse("{\"default\":" ANY "}");
	static const struct {
		const char *image, *scope;
	} rows[] = {
		{"busybox:1", "docker|docker.io/library/busybox:1"}, {"busybox", "docker|docker.io/library/busybox"}, {"busybox@" DIGEST, "docker|docker.io/library/busybox@" DIGEST},
		{"busybox:1@" DIGEST, "docker|docker.io/library/busybox@" DIGEST}, {"busybox:1@" OTHER, "docker|docker.io/library/busybox"},
		{"busyboxes", "docker|docker.io/library"}, {"team/busybox", "docker|docker.io"}, {"a.example.com/x", "docker|*.example.com"}, {"a.b.example.com:5000/x", "docker|*.example.com"},
		{"example.com/x", "docker|*.com"}, {"r.example.com:5000/team/deep/x", "docker|r.example.com:5000/team"}, {"r.example.com:5000/teams/x", "docker|*.example.com"},
		{"r.example.com/team/x", "docker|*.example.com"}, {"other.org/x", "docker|"}, {"localhost:5000/x", "docker|"},
		{"reg.example.net/x", "docker|reg.example.net"}, {"REG.example.net:443/x", "docker|reg.example.net"}, {"reg.example.net:0443/x", "docker|reg.example.net"}, {"reg.example.net:00443/x", "docker|reg.example.net"},
		{"r.example.com:05000/team/x", "docker|r.example.com:5000/team"}, {"reg.example.net:444/x", "docker|"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_string_equal(scope_of(p, rows[i].image), rows[i].scope);
	assert_string_equal(scope_of(bare, "busybox"), "|");
	const struct policy_scope *s = NULL;
	struct err err = {0};
	assert_int_equal(trust_policy_archive(p, "docker-archive", &s, &err), 0);
	assert_string_equal(s->transport, "");
	assert_int_equal(trust_policy_archive(p, "tarball", &s, &err), 0);
	assert_true(trust_policy_archive(p, "oci-archive", &s, &err) < 0);
	assert_int_equal(err.kind, ERR_DENIED);
}

static void test_documents_that_are_no_policy(void **state)
{
	static const char *const bad[] = {
		"", "{}", "[]", "{\"default\":[]}", "{\"default\":{}}", "{\"default\":null}", "{\"default\":[{}]}", "{\"default\":[{\"type\":\"accept\"}]}", "{\"default\":" ANY ",\"default\":" ANY "}",
		"{\"default\":" ANY ",\"extra\":1}", "{\"default\":[{\"type\":\"insecureAcceptAnything\",\"x\":1}]}", "{\"default\":[{\"type\":\"reject\",\"keyPath\":\"/k\"}]}",
		"{\"default\":" ANY ",\"transports\":[]}", "{\"default\":" ANY ",\"transports\":{\"docker\":[]}}", "{\"default\":" ANY ",\"transports\":{\"docker\":{\"x\":[]}}}",
		"{\"default\":" ANY ",\"transports\":{\"docker\":{\"example*.com\":" ANY "}}}", "{\"default\":" ANY ",\"transports\":{\"docker\":{\"*.a.*\":" ANY "}}}",
		"{\"default\":" ANY ",\"transports\":{\"docker\":{\"*.a.com/x\":" ANY "}}}", "{\"default\":[{\"type\":\"sigstoreSigned\"}]}",
		"{\"default\":[{\"type\":\"sigstoreSigned\",\"keyPath\":\"k\"}]}", "{\"default\":[{\"type\":\"sigstoreSigned\",\"keyPath\":\"/k\",\"keyData\":\"AA==\"}]}",
		"{\"default\":[{\"type\":\"sigstoreSigned\",\"keyData\":\"%%\"}]}", "{\"default\":[{\"type\":\"sigstoreSigned\",\"keyPaths\":[]}]}", "{\"default\":[{\"type\":\"sigstoreSigned\",\"keyPath\":5}]}",
		"{\"default\":[{\"type\":\"sigstoreSigned\",\"keyPath\":\"/k\",\"signedIdentity\":{}}]}", "{\"default\":[{\"type\":\"sigstoreSigned\",\"keyPath\":\"/k\",\"signedIdentity\":\"matchExact\"}]}",
		"{\"default\":[{\"type\":\"sigstoreSigned\",\"keyPath\":\"/k\",\"signedIdentity\":{\"type\":\"matchAny\"}}]}",
		"{\"default\":[{\"type\":\"sigstoreSigned\",\"keyPath\":\"/k\",\"signedIdentity\":{\"type\":\"matchExact\",\"prefix\":\"x\"}}]}",
		"{\"default\":[{\"type\":\"sigstoreSigned\",\"keyPath\":\"/k\",\"signedIdentity\":{\"type\":\"exactReference\",\"dockerReference\":\"busybox\"}}]}",
		"{\"default\":[{\"type\":\"sigstoreSigned\",\"keyPath\":\"/k\",\"signedIdentity\":{\"type\":\"exactReference\",\"dockerReference\":\"docker.io/library/busybox\"}}]}",
		"{\"default\":[{\"type\":\"sigstoreSigned\",\"keyPath\":\"/k\",\"signedIdentity\":{\"type\":\"exactRepository\",\"dockerRepository\":\"a.example/b:1\"}}]}",
		"{\"default\":[{\"type\":\"sigstoreSigned\",\"keyPath\":\"/k\",\"signedIdentity\":{\"type\":\"remapIdentity\",\"prefix\":\"a.example\"}}]}",
		"{\"default\":[{\"type\":\"sigstoreSigned\",\"keyPath\":\"/k\",\"signedIdentity\":{\"type\":\"remapIdentity\",\"prefix\":\"a.example/\",\"signedPrefix\":\"b.example\"}}]}",
		"{\"default\":" ANY ",\"transports\":{\"docker\":{\"a.example/x\":" ANY ",\"A.example:443/x\":" ANY "}}}",
		"{\"default\":[{\"type\":\"signedBy\",\"keyTypes\":\"GPGKeys\"}]}", "{\"default\":" ANY "} x",
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct trust_policy *p = NULL;
		struct err err = {0};
		if (trust_policy_parse(bad[i], strlen(bad[i]), "policy.json", &p, &err) >= 0)
			fail_msg("taken: %s", bad[i]);
		assert_int_equal(err.kind, ERR_INVALID);
		assert_non_null(strstr(err.msg, "policy.json"));
	}
}

static int verdict(const char *requirements, const char *image, const char *digest, const struct trust_signature *v, size_t n, struct err *err)
{
	_cleanup_free_ char *text = str_printf("{\"default\":[%s]}", requirements);
	_cleanup_trust_policy_ struct trust_policy *p = parse(text);
	struct image_ref ref = {0};
	assert_int_equal(image_ref_parse(image, &ref, NULL), 0);
	const struct trust_image i = {.ref = &ref, .digests = {OTHER, digest}, .signatures = v, .n_signatures = n};
	*err = (struct err) {0};
	int r = trust_verdict(trust_policy_registry(p, &ref), &i, err);
	assert_true(r == 0 || err->kind == ERR_DENIED);
	image_ref_done(&ref);
	return r;
}

static char *signed_by(const char *pem, const char *more)
{
	_cleanup_strbuf_ struct strbuf b = STRBUF_INIT(8192);
	base64_add(&b, pem, strlen(pem));
	return str_printf("{\"type\":\"sigstoreSigned\",\"keyData\":\"%s\"%s}", b.s, more);
}

static void test_verdicts(void **state)
{
	const struct trust_signature good = {PAYLOAD, strlen(PAYLOAD), p256_signature}, other = {PAYLOAD, strlen(PAYLOAD), ed25519_signature}, none = {PAYLOAD, strlen(PAYLOAD), "%%"};
	const struct trust_signature all[] = {none, other, good};
	_cleanup_free_ char *q = signed_by(p256, ""), *both = str_printf("%s,{\"type\":\"reject\"}", q), *fulcio = signed_by(p256, ",\"fulcio\":{}"),
			    *rekor = signed_by(p256, ",\"rekorPublicKeyPath\":\"/r\""), *bad_key = signed_by("nonsense", "");
	struct err err;
	assert_int_equal(verdict(q, "registry.example/a/b:1", DIGEST, all, 3, &err), 0);
	assert_true(verdict(q, "registry.example/a/b:1", DIGEST, all, 2, &err) < 0);
	assert_non_null(strstr(err.msg, "none of the 2"));
	assert_true(verdict(q, "registry.example/a/b:1", DIGEST, NULL, 0, &err) < 0);
	assert_non_null(strstr(err.msg, "there is none"));
	assert_true(verdict(q, "registry.example/a/b:1", NULL, all, 3, &err) < 0);
	assert_non_null(strstr(err.msg, "another image"));
	assert_true(verdict(q, "registry.example/a/b:2", DIGEST, all, 3, &err) < 0);
	assert_non_null(strstr(err.msg, "it is for 'registry.example/a/b:1'"));
	assert_int_equal(verdict(q, "registry.example/a/b@" DIGEST, DIGEST, all, 3, &err), 0);
	static const char *const words[] = {"images from there are rejected", "fulcio", "rekorPublicKeyPath", "a key of the policy"};
	const char *const requirements[] = {both, fulcio, rekor, bad_key};
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		assert_true(verdict(requirements[i], "registry.example/a/b:1", DIGEST, all, 3, &err) < 0);
		assert_non_null(strstr(err.msg, words[i]));
	}
	assert_true(verdict("{\"type\":\"signedBy\",\"keyType\":\"GPGKeys\",\"keyPath\":\"/k\"}", "registry.example/a/b:1", DIGEST, all, 3, &err) < 0);
	assert_non_null(strstr(err.msg, "signedBy (a GPG signature)"));
	assert_true(verdict("{\"type\":\"sigstoreSigned\",\"keyPath\":\"/nonexistent/key\"}", "registry.example/a/b:1", DIGEST, all, 3, &err) < 0);
	assert_non_null(strstr(err.msg, "/nonexistent/key"));
	assert_int_equal(verdict("{\"type\":\"insecureAcceptAnything\"}", "registry.example/a/b:1", DIGEST, NULL, 0, &err), 0);
}

static void test_identities(void **state)
{
	static const char at[] = "r.example/a/b@" DIGEST;
	const struct {
		struct signed_identity id;
		const char *image, *reference;
		bool matches;
	} rows[] = {
		{{IDENTITY_EXACT}, "r.example/a/b:1", "r.example/a/b:1", true},
		{{IDENTITY_EXACT}, "r.example/a/b:1", "r.example/a/b:2", false},
		{{IDENTITY_EXACT}, "r.example/a/b:latest", "r.example/a/b", false},
		{{IDENTITY_EXACT}, at, "r.example/a/b:1", false},
		{{IDENTITY_EXACT}, at, at, true},
		{{IDENTITY_EXACT}, "busybox:1", "busybox:1", true},
		{{IDENTITY_EXACT}, "busybox:1", "docker.io/library/busybox:1", true},
		{{IDENTITY_REPO_DIGEST_OR_EXACT}, "r.example/a/b:1", "r.example/a/b", false},
		{{IDENTITY_REPO_DIGEST_OR_EXACT}, at, "r.example/a/b", true},
		{{IDENTITY_REPO_DIGEST_OR_EXACT}, at, "r.example/a/b:7", true},
		{{IDENTITY_REPO_DIGEST_OR_EXACT}, at, "r.example/a/c:7", false},
		{{IDENTITY_REPOSITORY}, "r.example/a/b:1", "r.example/a/b:2", true},
		{{IDENTITY_REPOSITORY}, "r.example/a/b:1", "r.example/a/b", true},
		{{IDENTITY_REPOSITORY}, "r.example/a/b:1", "r.example/a", false},
		{{IDENTITY_REPOSITORY}, "r.example/a/b:1", "other.example/a/b:1", false},
		{{IDENTITY_EXACT_REFERENCE, .name = (char *) "s.example/x:1"}, "r.example/a/b:1", "s.example/x:1", true},
		{{IDENTITY_EXACT_REFERENCE, .name = (char *) "s.example/x:1"}, "r.example/a/b:1", "s.example/x", false},
		{{IDENTITY_EXACT_REFERENCE, .name = (char *) "s.example/x:latest"}, "r.example/a/b:1", "s.example/x", false},
		{{IDENTITY_EXACT_REPOSITORY, .name = (char *) "s.example/x"}, "r.example/a/b:1", "s.example/x:9", true},
		{{IDENTITY_EXACT_REPOSITORY, .name = (char *) "s.example/x"}, "s.example/xy:1", "s.example/xy:1", false},
		{{IDENTITY_REMAP, .prefix = (char *) "r.example/a", .signed_prefix = (char *) "vendor.example"}, "r.example/a/b:1", "vendor.example/b:1", true},
		{{IDENTITY_REMAP, .prefix = (char *) "r.example/a", .signed_prefix = (char *) "vendor.example"}, "r.example/a/b:1", "r.example/a/b:1", false},
		{{IDENTITY_REMAP, .prefix = (char *) "r.example/a", .signed_prefix = (char *) "vendor.example"}, "r.example/ab/b:1", "vendor.exampleb/b:1", false},
		{{IDENTITY_REMAP, .prefix = (char *) "r.example/a", .signed_prefix = (char *) "vendor.example"}, "r.example/ab/b:1", "r.example/ab/b:1", true},
		{{IDENTITY_REMAP, .prefix = (char *) "r.example/a/b", .signed_prefix = (char *) "v.example/x"}, at, "v.example/x:3", true},
		{{IDENTITY_REPOSITORY}, "r.example/a/b:1", "", false},
		{{IDENTITY_REPOSITORY}, "r.example/a/b:1", "r.example/A/b", false},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct image_ref ref = {0};
		assert_int_equal(image_ref_parse(rows[i].image, &ref, NULL), 0);
		if (trust_identity_matches(&rows[i].id, &ref, rows[i].reference) != rows[i].matches)
			fail_msg("row %zu: %s, %s", i, rows[i].image, rows[i].reference);
		image_ref_done(&ref);
	}
}

static void test_payloads(void **state)
{
	struct simple_signing s = {NULL};
	assert_int_equal(simple_signing_parse(PAYLOAD, strlen(PAYLOAD), &s, NULL), 0);
	assert_string_equal(s.digest, DIGEST);
	assert_string_equal(s.reference, "registry.example/a/b:1");
	simple_signing_done(&s);
#define BODY(type, image, identity, more) "{\"critical\":{\"type\":\"" type "\",\"image\":{" image "},\"identity\":{" identity "}" more "}}"
#define TYPE "cosign container image signature"
#define IMAGE "\"docker-manifest-digest\":\"" DIGEST "\""
#define NAME "\"docker-reference\":\"a/b\""
	assert_int_equal(simple_signing_parse(BODY(TYPE, IMAGE, NAME, ""), strlen(BODY(TYPE, IMAGE, NAME, "")), &s, NULL), 0);
	simple_signing_done(&s);
	static const char *const bad[] = {
		"", "{}", "[]", "{\"critical\":{}}", BODY("atomic container signature", IMAGE, NAME, ""), BODY(TYPE, "", NAME, ""), BODY(TYPE, IMAGE, "", ""), BODY(TYPE, IMAGE, NAME, ",\"x\":1"),
		BODY(TYPE, IMAGE ",\"x\":1", NAME, ""), BODY(TYPE, "\"docker-manifest-digest\":\"sha256:0\"", NAME, ""), BODY(TYPE, IMAGE, "\"docker-reference\":5", ""),
		BODY(TYPE, IMAGE, "\"docker-reference\":\"a\\u0001\"", ""), BODY(TYPE, IMAGE "," IMAGE, NAME, ""), "{\"critical\":null,\"optional\":null}",
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct err err = {0};
		if (simple_signing_parse(bad[i], strlen(bad[i]), &s, &err) >= 0)
			fail_msg("taken: %s", bad[i]);
		assert_int_equal(err.kind, ERR_INVALID);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keys_and_signatures), cmocka_unit_test(test_keys_that_are_not_taken), cmocka_unit_test(test_the_most_specific_scope),
		cmocka_unit_test(test_documents_that_are_no_policy), cmocka_unit_test(test_verdicts), cmocka_unit_test(test_identities), cmocka_unit_test(test_payloads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

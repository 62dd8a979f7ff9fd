/* SPDX-License-Identifier: Apache-2.0 */
/* The runtime document's reader on the command line, for tests: one document a line on stdin, "ok" or the error a line on stdout. */
#include <stdio.h>

#include "seccomp/profile.h"
#include "spec/runtime.h"

static int read_one(const char *text, size_t len, struct err *err)
{
	_cleanup_runtime_spec_ struct runtime_spec *s = NULL;
	_cleanup_seccomp_profile_ struct seccomp_profile *p = NULL;
	int r = runtime_spec_parse(text, len, &s, err);
	if (r < 0 || !s->seccomp_json)
		return r;
	return seccomp_profile_parse_oci(s->seccomp_json, strlen(s->seccomp_json), "linux.seccomp", &p, err);
}

int main(void)
{
	_cleanup_free_ char *line = NULL;
	size_t size = 0;
	for (ssize_t n = getline(&line, &size, stdin); n > 0; n = getline(&line, &size, stdin)) {
		struct err err = {0};
		printf("%s\n", read_one(line, (size_t) n, &err) < 0 ? err.msg : "ok");
	}
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Config.User as text. Digits are an id in range; anything else must look like a name that no id syntax could mean (CVE-2016-3697,
 * CVE-2024-40635: "4294967296", "-1", "0x0" and " 1" are errors, never user 0). Names are resolved by the sandbox, inside the rootfs.
 */
#include <ctype.h>
#include <errno.h>

#include "base/num.h"
#include "engine/internal.h"

#define ID_MAX 4294967294u
#define NAME_MAX_ 255

static bool all_digits(const char *s)
{
	return *s && s[strspn(s, "0123456789")] == '\0';
}

static int check_part(const char *field, const char *what, const char *part, struct err *err)
{
	uint32_t id;
	if (all_digits(part))
		return parse_u32(part, &id) < 0 || id > ID_MAX
			       ? err_set(err, ERR_INVALID, "%s: %s '%.64s' is not an id between 0 and %u", field, what, part, ID_MAX)
			       : 0;
	if (!isalpha((unsigned char) part[0]) && part[0] != '_')
		return err_set(err, ERR_INVALID, "%s: %s '%.64s' is neither an id between 0 and %u nor a name", field, what, part, ID_MAX);
	for (const char *p = part; *p; p++)
		if (!isalnum((unsigned char) *p) && !strchr("_.-@$+", *p))
			return err_set(err, ERR_INVALID, "%s: %s '%.64s' has a character that no name has", field, what, part);
	return strlen(part) > NAME_MAX_ ? err_set(err, ERR_INVALID, "%s: %s '%.64s...' is longer than %d characters", field, what, part, NAME_MAX_) : 0;
}

int group_check(const char *field, const char *group, struct err *err)
{
	return check_part(field, "group", group, err);
}

int user_check(const char *field, const char *user, struct err *err)
{
	if (str_empty(user))
		return 0;
	char part[NAME_MAX_ + 2];
	size_t n = strcspn(user, ":");
	if (n >= sizeof(part))
		return err_set(err, ERR_INVALID, "%s: '%.64s...' is longer than %d characters", field, user, NAME_MAX_);
	memcpy(part, user, n);
	part[n] = '\0';
	int r = n ? check_part(field, "user", part, err) : 0; /* ":group" is root with that group */
	if (r < 0 || user[n] == '\0')
		return r;
	return check_part(field, "group", user + n + 1, err);
}

bool user_numeric(const char *user, uint32_t *ret_uid, uint32_t *ret_gid)
{
	char uid[16];
	size_t n = strcspn(user, ":");
	if (n == 0 || n >= sizeof(uid) || user[n] != ':' || !all_digits(user + n + 1))
		return false;
	memcpy(uid, user, n);
	uid[n] = '\0';
	return all_digits(uid) && parse_u32(uid, ret_uid) == 0 && parse_u32(user + n + 1, ret_gid) == 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Extended attributes of a layer's files. Kept: user.* except what overlayfs reads (user.overlay.*), and security.capability, which the
 * kernel stores as revision 3 with root id 0 because we set it from inside a user namespace through an idmapped mount. Everything
 * else goes: trusted.* (overlay's opaque, redirect, metacopy), security.selinux/ima/evm, system.posix_acl_* (their ids are not
 * mapped in the archive).
 */
#include <errno.h>
#include <linux/capability.h>
#include <sys/xattr.h>

#include "base/str.h"
#include "image/unpack.h"

static uint32_t le32(const unsigned char *p)
{
	return (uint32_t) p[0] | (uint32_t) p[1] << 8 | (uint32_t) p[2] << 16 | (uint32_t) p[3] << 24;
}

/* As revision 2, which has no root id: the kernel adds ours. A revision 3 value of some other root is dropped. */
static int set_capability(int fd, const struct tar_xattr *x, struct err *err)
{
	unsigned char v[XATTR_CAPS_SZ_2];
	const unsigned char *p = x->value;
	if (x->len < 4)
		return 0;
	uint32_t magic = le32(p), rev = magic & VFS_CAP_REVISION_MASK;
	bool v2 = rev == VFS_CAP_REVISION_2 && x->len == XATTR_CAPS_SZ_2;
	bool v3 = rev == VFS_CAP_REVISION_3 && x->len == XATTR_CAPS_SZ_3 && le32(p + XATTR_CAPS_SZ_2) == 0;
	if (!v2 && !v3)
		return 0;
	memcpy(v, p, sizeof(v));
	v[3] = VFS_CAP_REVISION_2 >> 24;
	if (fsetxattr(fd, x->name, v, sizeof(v), 0) < 0)
		return err_sys(err, -errno, "setting its file capabilities");
	return 0;
}

int unpack_xattrs(int fd, const struct tar_entry *e, struct err *err)
{
	char esc[120];
	for (size_t i = 0; i < e->n_xattrs; i++) {
		const struct tar_xattr *x = &e->xattrs[i];
		int r = 0;
		if (strcmp(x->name, "security.capability") == 0 && e->type == TAR_FILE)
			r = set_capability(fd, x, err);
		else if (str_after(x->name, "user.") && !str_after(x->name, "user.overlay.") && fsetxattr(fd, x->name, x->value, x->len, 0) < 0)
			r = err_sys(err, -errno, "setting its attribute '%s'", tar_escape(esc, sizeof(esc), x->name));
		if (r < 0)
			return r;
	}
	return 0;
}

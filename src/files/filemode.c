/* SPDX-License-Identifier: Apache-2.0 */
#include "files/filemode.h"

#include <sys/stat.h>

/* Source: Go, io/fs "FileMode" and os/stat_linux.go fillFileStatFromSys(). */
static const struct {
	mode_t mask, value;
	uint32_t go;
} rows[] = {
	{S_IFMT, S_IFDIR, GO_MODE_DIR}, {S_IFMT, S_IFLNK, GO_MODE_SYMLINK},    {S_IFMT, S_IFBLK, 1u << 26},  {S_IFMT, S_IFCHR, 1u << 26 | 1u << 21}, {S_IFMT, S_IFIFO, 1u << 25},
	{S_IFMT, S_IFSOCK, 1u << 24},	{S_ISUID, S_ISUID, 1u << 23}, {S_ISGID, S_ISGID, 1u << 22}, {S_ISVTX, S_ISVTX, 1u << 20},
};

uint32_t filemode_to_go(mode_t mode)
{
	uint32_t go = mode & 0777;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if ((mode & rows[i].mask) == rows[i].value)
			go |= rows[i].go;
	return go;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pages themselves: one a command of coffer, one a group, and those of the programs and of daemon.json.
 */
#pragma once

#include "cli/command.h"
#include "cmd/coffer-docs/prose.h"
#include "cmd/coffer-docs/roff.h"

#define PAGE_NAME_MAX (COMMAND_PATH_MAX + 16)

/** page_name() - "coffer-container-prune" of "container prune". */
void page_name(char *buf, size_t size, const char *words);
/** page_coffer() and the others - the whole page; @p: filled, its buffer owned by the caller. */
void page_coffer(struct page *p);
void page_command(struct page *p, const struct command *c, char *name);
void page_family(struct page *p, const struct command_family *f, char *name);
void page_cofferd(struct page *p);
void page_daemon_json(struct page *p);

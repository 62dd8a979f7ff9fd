/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a shell offers at the cursor. The scripts of bash, zsh and fish (completion.c) hand the words of the line to the hidden command
 * `coffer __complete WORD... CURRENT`, which answers from the tables of commands and flags, and for names asks the engine:
 *   a line for each candidate: "word", or "word<TAB>what it is"
 *   a last line ":N", N a sum of enum complete_hint
 */
#pragma once

#include "cli/command.h"

#define COMPLETE_WORD "__complete"

enum complete_hint {
	COMPLETE_NO_SPACE = 1, /* the word goes on */
	COMPLETE_FILES = 2,    /* and the names of files */
	COMPLETE_DIRS = 4,     /* and the names of directories */
};

/** complete() - @argv: the words behind "coffer", the one at the cursor last. Return: 0. */
int complete(struct cli *cli, int argc, char **argv);

struct completion_script {
	const char *shell, *file; /* file: where an installation has it, below PREFIX/share */
	const char *text;
};
/** completion_scripts() - those of every shell. */
const struct completion_script *completion_scripts(size_t *ret_n);

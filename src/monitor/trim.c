/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What start-up touched and idling does not need goes back to the kernel: page table entries of the program's text (they come back from the
 * page cache when needed) and stack pages below the caller, which hold nothing alive. Called when nothing has happened for a while; worth more than
 * half of an idle monitor's memory.
 */
#include <sys/mman.h>

#include "monitor/internal.h"

#define PAGE 4096 /* on systems with larger pages the calls below may fail, which costs memory and nothing else */
#define STACK_BELOW (64 * 1024)

extern const char __executable_start[] __attribute__((weak)), etext[] __attribute__((weak));

__attribute__((noinline)) void trim_process(void)
{
	uintptr_t sp = (uintptr_t) __builtin_frame_address(0) & ~(uintptr_t) (PAGE - 1);
	uintptr_t from = (uintptr_t) __executable_start & ~(uintptr_t) (PAGE - 1), to = (uintptr_t) etext & ~(uintptr_t) (PAGE - 1);
	/* one page is left to this function and to what it calls */
	(void) madvise((void *) (sp - PAGE - STACK_BELOW), STACK_BELOW, MADV_DONTNEED);
	if (from && to > from)
		(void) madvise((void *) from, to - from, MADV_DONTNEED);
}

/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/** prose_of() - what the page of a command says beyond its tables; NULL: nothing. */
const char *prose_of(const char *command);

/* SPDX-License-Identifier: Apache-2.0 */
/* A message of a D-Bus peer, and every way to read its body. */
#include <stdint.h>
#include <string.h>

#include "dbus/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dbus_message m;
	size_t want;
	if (size < DBUS_HEAD || dbus_message_size(data, &want) < 0 || dbus_message_parse(data, size, &m) < 0)
		return 0;
	assert(want == size);
	size_t texts = strlen(m.path) + strlen(m.interface) + strlen(m.member) + strlen(m.error) + strlen(m.signature);
	assert(texts < 5 * size);
	for (int how = 0; how < 6; how++) {
		struct dbus_cursor c = m.body;
		while (!c.bad && c.at < c.end)
			switch (how) {
			case 0:
				(void) dbus_get_u8(&c);
				break;
			case 1:
				(void) dbus_get_u32(&c);
				break;
			case 2:
				(void) dbus_get_u64(&c);
				break;
			case 3:
				assert(strlen(dbus_get_str(&c)) < size);
				break;
			case 4:
				assert(strlen(dbus_get_signature(&c)) < size);
				break;
			default:
				dbus_get_align(&c, 8);
				(void) dbus_get_u8(&c);
			}
		assert(c.at <= c.end);
	}
	return 0;
}

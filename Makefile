# SPDX-License-Identifier: Apache-2.0
# make run | check | bench | install | clean; meson and ninja do the work.
BUILD ?= build
PREFIX ?= /usr/local

all: build
.PHONY: all build deps run check bench install clean

deps:
	@tools/deps build

build: deps
	@[ -d $(BUILD) ] || meson setup $(BUILD) --prefix=$(PREFIX) >/dev/null
	@ninja -C $(BUILD) --quiet

clean:
	rm -rf $(BUILD) build-*

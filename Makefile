# SPDX-License-Identifier: Apache-2.0
# make run | check | check-vm | bench | build | install | uninstall | clean; meson and ninja do the work.
BUILD ?= build
ASAN ?= $(BUILD)-asan
PREFIX ?= /usr/local
DESTDIR ?=
MESONFLAGS ?=

bindir = $(DESTDIR)$(PREFIX)/bin
libexecdir = $(DESTDIR)$(PREFIX)/libexec/coffer
docdir = $(DESTDIR)$(PREFIX)/share/doc/coffer
unitdir = $(DESTDIR)$(PREFIX)/lib/systemd/system
sysusersdir = $(DESTDIR)$(PREFIX)/lib/sysusers.d
tmpfilesdir = $(DESTDIR)$(PREFIX)/lib/tmpfiles.d
sharedir = $(DESTDIR)$(PREFIX)/share
generated = $(BUILD)/src/cmd/coffer-docs/docs $(BUILD)/src/cmd/coffer-docs/oci-docs
services = cofferd.service coffer-restore.service coffer-containers.service
helpers = coffer-monitor coffer-unpack coffer-fetch coffer-files coffer-init coffer-dns

all: build
.PHONY: all deps build run check check-vm tests-built bench install uninstall clean

deps:
	@tools/deps build

$(BUILD)/build.ninja:
	@meson setup $(BUILD) --prefix=$(PREFIX) $(MESONFLAGS) >$(BUILD).log 2>&1 || { cat $(BUILD).log; rm -rf $(BUILD) $(BUILD).log; exit 1; }
	@rm -f $(BUILD).log

# The programs, and beside them the layout of an installation made of links: $(BUILD)/coffer, $(BUILD)/cofferd, $(BUILD)/coffer-oci, $(BUILD)/libexec/*.
build: deps
	@$(MAKE) --no-print-directory $(BUILD)/build.ninja
	@ninja -C $(BUILD) --quiet
	@mkdir -p $(BUILD)/libexec
	@ln -sf src/cmd/coffer/coffer $(BUILD)/coffer
	@ln -sf src/cmd/cofferd/cofferd $(BUILD)/cofferd
	@ln -sf src/cmd/coffer-oci/coffer-oci $(BUILD)/coffer-oci
	@for p in $(helpers); do ln -sf ../$$(cd $(BUILD) && echo src/cmd/*/$$p) $(BUILD)/libexec/$$p; done

# A newcomer's first command: one container from an image made here, and what confines it.
run: build
	@tools/first-run "$(CURDIR)/$(BUILD)"

tests-built: build
	@tools/deps test
	@[ -e $(BUILD)/tests-on ] || { meson configure $(BUILD) -Dtests=true && touch $(BUILD)/tests-on; }
	@ninja -C $(BUILD) --quiet

check: tests-built
	@[ -e $(ASAN)/build.ninja ] || meson setup $(ASAN) -Dtests=true -Dstatic_programs=false -Db_sanitize=address,undefined -Db_lundef=false >/dev/null
	@ninja -C $(ASAN) --quiet
	@tests/run --build $(BUILD) --asan $(ASAN) $(TESTFLAGS)

# The layers that this machine may lack, in a machine that has them (docs/vm.md).
check-vm: tests-built
	@tools/deps vm
	@tools/vm/check --build $(BUILD) $(VMFLAGS)

bench: build
	@tools/deps bench
	@bench/run --build $(BUILD) $(BENCHFLAGS)
	@bench/oci --build $(BUILD)
	@bench/daemon --build $(BUILD)
	@bench/network --build $(BUILD)
	@bench/images --build $(BUILD)

install: build
	install -d $(bindir) $(libexecdir) $(docdir) $(unitdir) $(sysusersdir) $(tmpfilesdir) $(DESTDIR)$(PREFIX)/share/coffer/selinux
	install -m 755 $(BUILD)/coffer $(bindir)/coffer
	install -m 755 $(BUILD)/cofferd $(bindir)/cofferd
	install -m 755 $(BUILD)/coffer-oci $(bindir)/coffer-oci
	for p in $(helpers); do install -m 755 $(BUILD)/libexec/$$p $(libexecdir)/$$p; done
	for u in $(services); do sed 's|@BINDIR@|$(PREFIX)/bin|' share/systemd/$$u >$(unitdir)/$$u; done
	install -m 644 share/systemd/cofferd.socket $(unitdir)/cofferd.socket
	install -m 644 share/systemd/coffer.sysusers $(sysusersdir)/coffer.conf
	install -m 644 share/systemd/coffer.tmpfiles $(tmpfilesdir)/coffer.conf
	install -m 644 share/selinux/coffer.cil $(DESTDIR)$(PREFIX)/share/coffer/selinux/coffer.cil
	cp -r README.md LICENSE docs/. $(docdir)/
	for d in $(generated); do (cd $$d && tar -cf - --owner=0 --group=0 *) | tar -xf - -C $(sharedir) --no-same-owner; done

uninstall:
	rm -f $(bindir)/coffer $(bindir)/cofferd $(bindir)/coffer-oci $(addprefix $(unitdir)/,$(services) cofferd.socket) $(sysusersdir)/coffer.conf $(tmpfilesdir)/coffer.conf
	rm -f $(sharedir)/man/man1/coffer.1 $(sharedir)/man/man1/coffer-*.1 $(sharedir)/man/man5/coffer-daemon.json.5 $(sharedir)/man/man8/cofferd.8 $(sharedir)/man/man8/coffer-oci.8
	rm -f $(sharedir)/bash-completion/completions/coffer $(sharedir)/fish/vendor_completions.d/coffer.fish $(sharedir)/zsh/site-functions/_coffer
	rm -rf $(libexecdir) $(docdir) $(DESTDIR)$(PREFIX)/share/coffer

clean:
	rm -rf $(BUILD) $(ASAN) $(BUILD).log

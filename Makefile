# Makefile -- `make` builds build/latchkey; the goals are listed at the end.

LIBS   := luajit libmicrohttpd gnutls libuv libcurl openssl lmdb jansson \
          libpcre2-8 libcares hiredis
WARN   := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
          -Wconversion -Wformat=2 -Wvla
# What the compiler has of it; tests/lint/run looks whether the binary has it.
FORTIFY := $(shell echo | $(CC) -O2 -D_FORTIFY_SOURCE=3 -include stdio.h -E \
             -dM - 2>&1 | sed -n 's/^.define __USE_FORTIFY_LEVEL //p')
HARDEN := -fstack-protector-strong -fstack-clash-protection \
          -D_FORTIFY_SOURCE=$(or $(FORTIFY),2) \
          $(if $(filter x86_64-% i%86-%,$(shell $(CC) -dumpmachine)), \
              -fcf-protection)
# hiredis's large files are plain ones here, and tests stand in for open().
CC_ALL  = -std=gnu11 -Icore $(WARN) -g -fPIE -pthread $(CFLAGS) \
          $(filter-out -D_FILE_OFFSET_BITS=%,$(shell pkg-config --cflags $(LIBS)))
# -rdynamic: Lua modules in C (Debian's cjson.so) find Lua's symbols in us.
LD_ALL  = -pie -pthread -rdynamic -Wl,-z,relro,-z,now,-z,noexecstack \
          $(LDFLAGS)
LD_LIBS = $(shell pkg-config --libs $(LIBS)) -lm -ldl

SRC  := $(wildcard core/*.c core/*/*.c)
UNIT := $(patsubst tests/unit/%.c,%,$(wildcard tests/unit/test_*.c))
FUZZ := $(patsubst tests/fuzz/%.c,%,$(wildcard tests/fuzz/fuzz_*.c))

ifeq ($(MAKELEVEL)$(filter -j%,$(MAKEFLAGS))$(filter clean,$(MAKECMDGOALS)),0)
MAKEFLAGS += -j$(shell nproc)
endif

ifndef V # V=1 shows the commands
.SILENT:
endif

all: build/latchkey

build/latchkey: build/release/latchkey
	ln -f $< $@ && echo $@

# One build of everything: $(1) its folder under build/, $(2) its compiler,
# $(3) its flags.  Tests link an archive of all of core except main.
define mode
build/$(1)/%.o: %.c Makefile | libs
	mkdir -p $$(@D) && echo cc $$<
	$(2) $$(CC_ALL) $(3) -MMD -MP -c -o $$@ $$<

build/$(1)/latchkey: $(SRC:%.c=build/$(1)/%.o)
	echo ld $$@
	$(2) $(3) $$(LD_ALL) -o $$@ $$^ $$(LD_LIBS)

build/$(1)/core.a: $(patsubst %.c,build/$(1)/%.o,$(filter-out core/main.c,$(SRC)))
	rm -f $$@
	ar rcs $$@ $$^

build/$(1)/test_%: build/$(1)/tests/unit/test_%.o build/$(1)/core.a
	echo ld $$@
	$(2) $(3) $$(LD_ALL) -o $$@ $$^ $$(LD_LIBS) -lcmocka

-include $(patsubst %.c,build/$(1)/%.d,$(SRC) $(wildcard tests/*/*.c))
endef

ASAN := -O1 -fno-omit-frame-pointer -fsanitize=address,undefined \
        -fno-sanitize-recover=all
$(eval $(call mode,release,$$(CC),-O2 $(HARDEN)))
$(eval $(call mode,debug,$$(CC),$(ASAN)))
$(eval $(call mode,tsan,$$(CC),-O1 -fsanitize=thread))
$(eval $(call mode,fuzz,clang,$(ASAN) -fsanitize=fuzzer-no-link))

build/fuzz/fuzz_%: build/fuzz/tests/fuzz/fuzz_%.o build/fuzz/core.a
	echo ld $@
	clang $(ASAN) -fsanitize=fuzzer $(LD_ALL) -o $@ $^ $(LD_LIBS)

build/debug/fuzz_%: build/debug/tests/fuzz/fuzz_%.o \
                    build/debug/tests/fuzz/replay.o build/debug/core.a
	echo ld $@
	$(CC) $(ASAN) $(LD_ALL) -o $@ $^ $(LD_LIBS)

.SECONDARY: # keep the objects of tests

libs:
	pkg-config --print-errors --exists $(LIBS) || \
	{ echo "tests/packages build installs what is missing" >&2; exit 1; }

# What people type.
debug: build/debug/latchkey          # with ASan and UBSan
unit-build: $(UNIT:%=build/debug/%) $(FUZZ:%=build/debug/%)
fuzz-build: $(FUZZ:%=build/fuzz/%)

flags:                               # what lint compiles with
	echo $(CC_ALL)
hardening:                           # and the release build besides
	echo $(HARDEN)
run:                                 # install, build, start on loopback
	scripts/run.sh
test:                                # everything, and what it needs
	tests/packages test
	tests/run
unit:                                # C unit tests
	tests/run unit
tsan:                                # tests of threads, under TSan
	tests/run tsan
fuzz:                                # each for FUZZ_SECONDS (20)
	tests/packages fuzz
	tests/run fuzz
lint:                                # the code, and the binary's hardening
	tests/packages lint
	$(MAKE) --no-print-directory build/release/latchkey
	tests/lint/run
bench:
	tests/packages bench
	tests/bench/run
bench-scale:                         # with 10,000 to 10,000,000 users
	tests/packages bench
	tests/bench/scale
bench-durable:                       # logins on disk: LMDB beside Redis
	tests/packages bench
	tests/bench/durable
storm:                               # thousands of phones; PHONES=, SEED=
	tests/packages storm
	$(MAKE) --no-print-directory all
	tests/storm/run
format:
	clang-format -i $$(find core tests -name '*.[ch]')
clean:
	rm -rf build

# Below DESTDIR; configuration that is there already stays.
PREFIX     ?= /usr/local
SYSCONFDIR ?= /etc
BINARY     ?= build/latchkey
SHARE       = $(DESTDIR)$(PREFIX)/share/latchkey
install: $(BINARY)
	install -D -m 0755 $(BINARY) $(DESTDIR)$(PREFIX)/bin/latchkey
	for one in lua scripts/routes scripts/sandbox scripts/console \
	        scripts/client scripts/playground; do \
	    [ ! -d $$one ] || find $$one -type f -exec \
	        install -D -m 0644 {} $(SHARE)/{} \; ; \
	done
	install -D -m 0644 LICENSE $(SHARE)/LICENSE
	install -d $(DESTDIR)$(SYSCONFDIR)/latchkey/apps
	[ -e $(DESTDIR)$(SYSCONFDIR)/latchkey/latchkey.conf ] || \
	    install -m 0644 scripts/package/latchkey.conf \
	        $(DESTDIR)$(SYSCONFDIR)/latchkey/latchkey.conf
deb:                                 # build/latchkey_VERSION_ARCH.deb
	scripts/package/deb.sh

.PHONY: all libs flags hardening debug unit-build fuzz-build
.PHONY: run test unit tsan fuzz lint bench bench-scale bench-durable storm
.PHONY: format clean install deb

# The few commands that people type. Meson and Ninja do the work.
.PHONY: all run demo-mail check test fuzz kills power-cuts format clean help

all:
	@[ -f build/build.ninja ] || meson setup build
	@ninja -C build

help:
	@echo "make            build into build/"
	@echo "make run        install what is missing, build, start on loopback with a demo account (Ctrl-C stops)"
	@echo "make demo-mail  send one mail through the running demo"
	@echo "make check      install what is missing, build, run every test"
	@echo "make test       unit tests only"
	@echo "make fuzz       each fuzz target for SECONDS (60)"
	@echo "make kills      400 kills under load (KILLS)"
	@echo "make power-cuts 200 power cuts under load, on a file system of its own; as root (CUTS)"
	@echo "make format     lay out the C files as .clang-format says"

run:
	@tools/install-deps build
	@$(MAKE) --no-print-directory all
	@tools/demo run

demo-mail:
	@tools/demo mail

check:
	@tools/install-deps check
	@tools/check

test: all
	@meson test -C build --no-rebuild

SECONDS ?= 60
fuzz:
	@tools/install-deps check
	@fuzz/run $(SECONDS)

KILLS ?= 400
kills: all
	@test/wire/run --only kill --kills $(KILLS)

CUTS ?= 200
power-cuts: all
	@test/wire/run --only power --cuts $(CUTS)

format:
	@tools/format --fix

clean:
	rm -rf build build-*

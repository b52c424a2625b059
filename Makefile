# The commands of this project; `make` alone lists them.
#
# OPENCC=bundled (default): setup puts a pinned OpenCC into .opencc/ and links it into the binary.
# OPENCC=system: an installed OpenCC >= 1.4 that pkg-config finds, e.g. `make OPENCC=system run`.

OPENCC ?= bundled
SHELL := bash
YINGDA = $(or $(CARGO_TARGET_DIR),target)/release/yingda

ifeq ($(OPENCC),system)
# Variables win over the values in .cargo/config.toml. Lists are separated by colons.
empty :=
list = $(subst $(empty) $(empty),:,$(strip $(1)))
pkg = $(shell pkg-config $(1) opencc 2>/dev/null)
opencc_dirs := $(patsubst -L%,%,$(call pkg,--libs-only-L))
export OPENCC_LIB_DIRS := $(call list,$(or $(opencc_dirs),$(call pkg,--variable=libdir)))
export OPENCC_INCLUDE_DIRS := $(call list,$(or $(patsubst -I%,%,$(call pkg,--cflags-only-I)),$(call pkg,--variable=includedir)))
export OPENCC_LIBS := $(call list,$(patsubst -l%,%,$(call pkg,--libs-only-l)))
export OPENCC_STATIC := 0
export OPENCC_DYLIB_STDCPP := 0
# Directories that the loader may not search by itself.
ifneq ($(opencc_dirs),)
export LD_LIBRARY_PATH := $(call list,$(opencc_dirs) $(LD_LIBRARY_PATH))
endif
endif

.DEFAULT_GOAL := help
.PHONY: help setup build run test crash model clients check bench load fuzz docker clean

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' Makefile

setup: ## check the tools; put OpenCC into .opencc/
	@OPENCC=$(OPENCC) bash .ci/setup

build: setup ## build target/release/yingda
	cargo build --release --locked

run: build ## set up, build, serve ./faq on 127.0.0.1:8080
	$(YINGDA) serve

test: setup model clients ## set up, run every test
	@bash .ci/postgres
	YINGDA_TEST_MODEL=.model YINGDA_TEST_CLIENTS=.clients cargo test --locked -- --include-ignored

crash: setup ## kill the process 100 times on each database, take the database away for half a minute
	YINGDA_TEST_CRASHES=100 YINGDA_TEST_AWAY=30 cargo test --locked --test it crash:: -- --nocapture

model: ## put the embedding model of the tests into .model/ (90 MB)
	@bash .ci/model

clients: ## put the clients of the tests into .clients/ (200 MB); see to Chromium
	@bash .ci/clients

check: setup ## format, lints, documentation, licences, the content of ./faq
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS=-Dwarnings cargo doc --locked --no-deps
	@cargo deny --version >/dev/null 2>&1 || { echo "cargo-deny is missing: cargo install --locked cargo-deny@0.20.2" >&2; exit 1; }
	cargo deny --locked check licenses bans sources
	cargo run --locked --quiet -- check faq

bench: setup ## measure the parts (criterion)
	cargo bench --locked

load: build ## measure the whole over HTTP: make load CORPUS=texts.txt, one short text a line
	CORPUS="$(CORPUS)" YINGDA="$(YINGDA)" bash benches/http_load.sh

fuzz: setup ## fuzz: make fuzz TARGET=name SECONDS=60; without TARGET it lists the targets
	@cargo fuzz --version >/dev/null 2>&1 || { echo "cargo-fuzz is missing: rustup toolchain install nightly && cargo install --locked cargo-fuzz" >&2; exit 1; }
	@if [ -n "$(TARGET)" ]; then cargo +nightly fuzz run "$(TARGET)" -- -max_total_time=$(or $(SECONDS),60); else cargo fuzz list; fi

docker: ## build the image yingda
	docker build -t yingda .

clean: ## delete what was built or fetched; never data/
	cargo clean
	rm -rf .opencc .model .clients
	find index -mindepth 1 ! -name README.md -delete

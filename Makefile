# `make solve` needs Python 3.11 (or 3.12) and nothing else.
PYTHON ?= $(or $(shell command -v python3.11),$(shell command -v python3.12),$(shell command -v python3))
BIN := .venv/bin
INSTALLED := .venv/installed

.PHONY: help install test test-slow solve clean

help:
	@echo "make install    .venv with deqn in it (.venv/bin/deqn)"
	@echo "make solve      install, solve models/olg/benchmark60.yaml, print the error table, draw the figures"
	@echo "make test       install, style, types, fast tests"
	@echo "make test-slow  install, the tests that train for longer"
	@echo "make clean      remove .venv and caches; runs/ stays"

install: $(INSTALLED)

# Again only when the dependencies or the metadata change.
$(INSTALLED): setup.cfg pyproject.toml
	@test -n "$(PYTHON)" || { echo "make: no Python found; install Python 3.11 or say make PYTHON=/path/to/python3.11" >&2; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 13))' || \
	  { echo "make: $(PYTHON) is $$($(PYTHON) -V), but TensorFlow 2.18 and deqn need Python 3.11 or 3.12; say make PYTHON=/path/to/python3.11" >&2; exit 2; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || \
	  { echo "make: $(PYTHON) cannot make environments; install its venv package (Debian, Ubuntu: apt install python3.11-venv)" >&2; exit 2; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -e ".[dev]"
	@touch $@

test: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest -n 2 --dist loadfile

test-slow: install
	$(BIN)/pytest -m slow

solve: install
	$(BIN)/deqn train models/olg/benchmark60.yaml

clean:
	rm -rf .venv build *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

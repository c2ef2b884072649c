# `make solve` needs Python 3.11 (or 3.12) and nothing else.
PYTHON ?= $(or $(shell command -v python3.11),$(shell command -v python3.12),$(shell command -v python3))
BIN := .venv/bin
INSTALLED := .venv/installed

CLUSTER := .venv/cluster

.PHONY: help install cluster test test-slow test-long test-ranks solve clean

help:
	@echo "make install    .venv with deqn in it (.venv/bin/deqn)"
	@echo "make cluster    install, and what several ranks need: mpi4py, and Horovod built for this machine"
	@echo "make solve      install, solve models/olg/benchmark60.yaml, print the error table, draw the figures"
	@echo "make test       install, style, types, fast tests"
	@echo "make test-slow  install, the tests that train for longer"
	@echo "make test-long  install, the tests that train for many minutes: by hand, no machine runs them by itself"
	@echo "make test-ranks install cluster, the tests of several ranks and of SLURM (as root, munge and slurm-wlm installed)"
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

cluster: $(CLUSTER)

# Horovod has to be built after TensorFlow and against it: as a plain dependency it builds without, and says nothing.
# On GPUs: HOROVOD_GPU_OPERATIONS=NCCL make cluster, with the CUDA toolkit's nvcc on the path.
$(CLUSTER): $(INSTALLED)
	@for tool in g++ make cmake mpicxx; do command -v $$tool >/dev/null || { echo "make: $$tool not found; Horovod is \
	built from source: load the cluster's compiler, cmake and MPI modules (Debian, Ubuntu: apt install build-essential \
	cmake openmpi-bin libopenmpi-dev)" >&2; exit 2; }; done
	$(BIN)/python -m pip install --quiet "setuptools<80" wheel
	$(BIN)/python -m pip install --quiet -e ".[cluster]"
	HOROVOD_WITH_TENSORFLOW=1 HOROVOD_WITHOUT_PYTORCH=1 HOROVOD_WITHOUT_MXNET=1 HOROVOD_WITH_MPI=1 HOROVOD_WITH_GLOO=1 \
	  $(BIN)/python -m pip install --quiet --no-build-isolation --no-cache-dir --no-deps horovod==0.28.1
	@$(BIN)/horovodrun --check-build 2>/dev/null | tee $(CLUSTER).check
	@for part in TensorFlow MPI; do grep -q "\[X\] $$part" $(CLUSTER).check || { echo "make: Horovod was built without \
	$$part; see the lines above, mend and repeat make cluster" >&2; rm -f $(CLUSTER).check; exit 2; }; done
	@mv $(CLUSTER).check $@

test: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest -n 2 --dist loadfile

test-slow: install
	$(BIN)/pytest -n 2 --dist loadfile -m "slow and not long and not ranks"

test-long: install
	$(BIN)/pytest -n 2 --dist loadfile -m long

test-ranks: cluster
	$(BIN)/pytest -m ranks

solve: install
	$(BIN)/deqn train models/olg/benchmark60.yaml

clean:
	rm -rf .venv build *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Two commands do everything on a fresh machine: `make repro` and `make test`.
SHELL := /bin/bash
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=
# Address of a package index that has torch's builds for CPUs; empty for the usual ones, which bring CUDA along.
CPU_TORCH ?=

# Where the names of `import dass` are defined.
API := $(addprefix dass.,api config datasets.task_data errors multi_fidelity.predictor networks.elastic_resnet \
	networks.remapping search.result space.architecture space.cost space.search_space)

# A process for each core, with a thread each; a file's tests stay together, since they share what they train. The
# others have the longest files first, so that no core waits for one at the end.
PARALLEL = OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n logical --maxprocesses 8 --dist loadfile
UNIT = $(PARALLEL) tests/unit
OTHERS = $(PARALLEL) --no-loadscope-reorder tests/e2e tests/func

# Every tool keeps its state inside the project folder and tells nobody about it.
export PATH := $(CURDIR)/$(BIN):$(PATH)
export PREFECT_HOME := $(CURDIR)/.prefect
export DVC_SITE_CACHE_DIR := $(CURDIR)/.state/dvc
export MPLCONFIGDIR := $(CURDIR)/.state/matplotlib
export PREFECT_SERVER_ANALYTICS_ENABLED := false
export MLFLOW_DISABLE_TELEMETRY := true
export DVC_NO_ANALYTICS := 1
export DO_NOT_TRACK := true
# Stages and tests start many processes, each of which would compile the code again.
unexport PYTHONDONTWRITEBYTECODE
export PIP_DISABLE_PIP_VERSION_CHECK := 1

# An environment that was copied or moved with its project runs the code of the old place: it is made anew.
INSTALLED_IN := $(shell cat $(VENV)/.installed 2>/dev/null)
ifneq ($(INSTALLED_IN),)
ifneq ($(INSTALLED_IN),$(CURDIR))
MOVED := moved
endif
endif

.PHONY: help moved setup repro plan ui serve gpu-reset test test-unit test-services paper-tiny lint typecheck format bench docs lock clean distclean

help:  ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## */\1|/' | awk -F'|' '{printf "  make %-14s %s\n", $$1, $$2}'

setup: $(VENV)/.installed mlflow.db  ## install the pinned environment into .venv and create the tracking database

moved:
	rm -rf $(VENV)

$(VENV)/.installed: requirements.lock pyproject.toml $(MOVED)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "error: $(PYTHON) is older than 3.11: set PYTHON=/path/to/python3.11"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
ifeq ($(CPU_TORCH),)
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements.lock
else
	$(BIN)/python -m pip install --quiet --no-deps --index-url '$(CPU_TORCH)' $$(grep -oE '^(torch|torchvision)==[0-9.]+' requirements.lock)
	awk '/^[a-z]/ { kept = !/^(torch|torchvision|triton)==/ && !/^(nvidia|cuda)-/ } kept' requirements.lock > $(VENV)/cpu.lock
	$(BIN)/python -m pip install --quiet --no-deps --require-hashes -r $(VENV)/cpu.lock
endif
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	echo '$(CURDIR)' > $@

mlflow.db: | $(VENV)/.installed
	$(BIN)/python -m dass.tracking.store

repro: setup  ## run the whole pipeline of params.yaml (dvc repro), or what ARGS says
	$(BIN)/dvc repro $(ARGS)
	@$(if $(filter-out -%,$(ARGS)),,$(BIN)/dass report)

plan: setup  ## say how long each stage will take on this machine, before it runs
	$(BIN)/dass plan $(ARGS)

ui: setup  ## open the Prefect and MLflow pages on this machine (stop with Ctrl-C)
	$(BIN)/python -m flows.ui

serve: setup  ## open both pages with runs to start from Prefect's, and work for them (stop with Ctrl-C)
	$(BIN)/python -m flows.serve

gpu-reset: setup  ## free slots that killed runs left taken (of GPUs and of DVC's writer); only while nothing runs
	$(BIN)/python -m flows.run slots

test: setup lint typecheck  ## set up, check style and types, run the test suite: unit tests, then the others
	$(if $(ARGS),$(BIN)/python -m pytest $(ARGS),$(UNIT) && $(OTHERS))

test-unit: setup  ## the unit tests alone, in parallel: some minutes
	$(UNIT) $(ARGS)

test-services: setup  ## the long tests: deployments, kills, servers that go away, any parameters, preset medium (an hour)
	$(BIN)/python -m pytest -m service $(ARGS)

lint: setup  ## ruff: lint and format check
	$(BIN)/ruff check . && $(BIN)/ruff format --check .

typecheck: setup  ## mypy
	$(BIN)/mypy

format: setup  ## let ruff put the code in order
	$(BIN)/ruff check --fix . && $(BIN)/ruff format .

paper-tiny: setup  ## every table of the paper and Figure 3 at the smallest size, in .state/paper-tiny (DASS_PAPER_IMAGES=FOLDER of zips for real images)
	$(BIN)/python -m flows.paper_tiny

bench: setup  ## side-by-side timings (ARGS="--json FILE" to keep them)
	$(BIN)/python -m benchmarks $(ARGS)

docs: setup  ## pages of the public interface, in .state/api
	$(BIN)/python -m pdoc --docformat google --output-directory .state/api $(API)

lock: setup  ## compile pyproject.toml into requirements.lock again (needs uv)
	uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -o requirements.lock

clean:  ## remove what tools left behind, keep data, environment and runs
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis build
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +

distclean: clean  ## remove the environment and every local state too: data, DVC cache, runs, registry
	rm -rf $(VENV) .prefect .state mlflow.db mlflow.db-* mlartifacts .dvc/cache .dvc/tmp .dvc/remote dvc.lock *.egg-info
	find data -mindepth 1 -maxdepth 1 -not -name checkpoints -exec rm -rf {} +

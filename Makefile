# The four commands: `make demo`, `make test`, `make chaos` and `make bench`. Each sets up what it needs first.
PYTHON ?= python3
BIN := .venv/bin
.DEFAULT_GOAL := help

.PHONY: help setup demo test sim chaos bench screenshots lint fmt lock clean

help:  ## what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 12

setup: .venv/ready  ## a virtual environment with locked versions

.venv/ready: pyproject.toml requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "riverrun needs Python 3.11 or newer; name one: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --disable-pip-version-check -q --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --disable-pip-version-check -q --no-deps --no-build-isolation -e .
	@touch $@

demo: setup  ## a year of New York flights through a real Kafka
	$(BIN)/python -m examples.flights

test: setup  ## every test, doctest and contract, several files at once
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

sim: setup  ## crashes and other faults by the thousand; SEEDS=5000 for more, SEED=7 to see one, BUG=… to plant one
	$(BIN)/python -m tests.sim $(if $(SEED),--seed $(SEED)) $(if $(SEEDS),--seeds $(SEEDS)) $(if $(BUG),--bug $(BUG))

chaos: setup  ## kill, stop and cut off everything at random; MINUTES=60 for a soak, SEED=7 to repeat
	$(BIN)/python -m tests.chaos $(if $(MINUTES),--minutes $(MINUTES)) $(if $(SEED),--seed $(SEED)) \
	  $(if $(EVENTS),--events $(EVENTS))

bench: setup  ## speed, latency, memory, recovery beside others; ONLY=saturation,sink SCALE=0.1 REPEATS=1 for less
	$(BIN)/python -m benchmarks.bench $(if $(ONLY),--only $(ONLY)) $(if $(SCALE),--scale $(SCALE)) \
	  $(if $(REPEATS),--repeats $(REPEATS)) $(if $(WORKLOADS),--workloads $(WORKLOADS))

screenshots: setup  ## pictures of the monitor's page, with flights running through it, into docs/screenshots
	$(BIN)/python -m tests.screenshots

lint: setup  ## format, lint, types and the direction of imports
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

fmt: setup  ## format and mend what can be mended
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: setup  ## resolve the newest allowed versions into requirements.lock
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --no-header --upgrade --group dev --extra otel pyproject.toml -o requirements.lock
	for peer in benchmarks/peers/*.in; do $(BIN)/uv pip compile -q --universal --python-version 3.11 \
	  --generate-hashes --no-emit-index-url --no-header --upgrade $$peer -o $${peer%.in}.lock; done

clean:  ## forget everything that was made here
	rm -rf .venv build dist .riverrun .mypy_cache .ruff_cache .pytest_cache

# `make demo` and `make test` set up everything they need; a second call is quick.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PEERS := .venv-peers

.PHONY: help setup demo demo-kafka chaos test unit lint codes schemas bench bench-memory bench-kafka lock clean

help:            ## what there is
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*##/\t/'

setup: $(READY)  ## create .venv from the lock

$(READY): requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	touch $@

demo: $(READY)   ## a year of customer events, decided, explained and verified
	$(BIN)/policyengine demo --out build/demo

demo-kafka: $(READY)  ## two workers on a real broker and database, one is killed; needs Java 17 and Maven
	$(BIN)/python -m tests.kafka.demo

MINUTES ?= 5
SEED ?= $(shell date +%s)
chaos: $(READY)  ## whatever may happen to workers, broker and database: make chaos MINUTES=5 SEED=7
	$(BIN)/python -m tests.kafka.chaos --minutes $(MINUTES) --seed $(SEED)

test: lint unit  ## everything CI runs

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/policyengine schema export --check
	$(BIN)/policyengine check rules --strict
	$(BIN)/policyengine fmt --check rules

unit: $(READY)
	$(BIN)/python -m pytest -n auto --dist loadgroup

codes: $(READY)  ## write the index of the pages of codes
	$(BIN)/python -m policyengine.authoring.code_pages > docs/codes/README.md

schemas: $(READY)  ## write the generated schemas and the vocabulary
	$(BIN)/policyengine schema export
	$(BIN)/policyengine catalog --format markdown > docs/vocabulary.md

bench: $(READY)  ## measure, side by side, in one run
	mkdir -p build
	$(BIN)/python -m pytest benchmarks --benchmark-only --benchmark-timer=time.process_time --benchmark-json=build/benchmarks.json
	$(BIN)/python benchmarks/report.py build/benchmarks.json

bench-memory: $(READY)  ## a million events: does memory stay flat?
	$(BIN)/python benchmarks/memory.py

bench-kafka: $(READY) $(PEERS)/.ready  ## from topic to topic, on a real broker and database; needs Java 17 and Maven
	PYTHONPATH=. $(BIN)/python benchmarks/kafka_run.py $(BENCH)

$(PEERS)/.ready: benchmarks/requirements-peers.txt
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r benchmarks/requirements-peers.txt
	touch $@

lock: $(READY)   ## resolve the ranges of pyproject.toml: all of it, and what an image runs
	$(BIN)/python -m pip install --quiet 'uv>=0.8,<1'
	$(BIN)/uv pip compile pyproject.toml --group dev --universal --generate-hashes --quiet --no-header --output-file requirements.lock
	$(BIN)/uv pip compile pyproject.toml --extra kafka --extra metrics --extra postgres --extra signing --constraint requirements.lock --universal --generate-hashes --quiet --no-header --output-file requirements-run.lock
	echo quixstreams==3.28.1 | $(BIN)/uv pip compile pyproject.toml - --universal --generate-hashes --quiet --no-header --no-annotate --output-file benchmarks/requirements-peers.txt

clean:           ## remove what make made
	rm -rf $(VENV) $(PEERS) build

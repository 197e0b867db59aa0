# Every target does its own set-up: a clean clone needs git, make and python3-venv, nothing else.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test lint proof bench bench-peers bench-rights bench-scale lock clean

$(READY): requirements.lock pyproject.toml
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	touch $@

demo: $(READY)
	$(BIN)/karb demo $(ARGS)

test: lint
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile $(ARGS)

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

proof: $(READY)
	$(BIN)/python -m tests.prove $(ARGS)

bench: $(READY)
	$(BIN)/python -m tests.bench $(ARGS)

bench-peers: $(READY)
	$(BIN)/python -m tests.bench.peers $(ARGS)

bench-scale: $(READY)
	$(BIN)/python -m tests.bench.scale $(ARGS)

bench-rights: $(READY)
	$(BIN)/python -m tests.bench.rights $(ARGS)

lock: $(READY)
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --all-extras pyproject.toml \
		-o requirements.lock --no-header --no-emit-index-url --no-annotate --upgrade

clean:
	rm -rf $(VENV) build *.egg-info

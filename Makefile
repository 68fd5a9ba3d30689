# Two commands do all the set-up on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo demo-node test test-long lint docs clean

.venv/ready: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

demo: .venv/ready
	$(BIN)/python sample-service/demo.py

demo-node: .venv/ready
	cd sample-service/node && npm install --no-audit --no-fund --silent
	$(BIN)/python sample-service/demo.py --node

test: .venv/ready
	$(BIN)/python -m pytest

test-long: .venv/ready
	$(BIN)/python -m pytest -m long

lint: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: .venv/ready
	$(BIN)/python docs/generate.py

clean:
	rm -rf .venv build dist *.egg-info sample-service/node/node_modules

# Two commands do all the setup on a fresh machine: `make demo` and `make test` (ARGS="-k name" for one test).
PYTHON ?= python3
# Without bytecode, each of the hundreds of processes of a test run would compile every module again.
unexport PYTHONDONTWRITEBYTECODE
# Many tests wait for other processes, so more workers than cores are faster.
WORKERS ?= $(shell $(PYTHON) -c 'import os; print((os.cpu_count() or 2) * 2)')
BIN := .venv/bin

.PHONY: demo demo-node test test-plain test-compat test-openapi test-long test-sim test-binary binary npm browser bench
.PHONY: lint docs messages pictures campaign mutants clean site dist release-check

.venv/ready: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

demo: .venv/ready
	$(BIN)/python sample-service/demo.py

demo-node: .venv/ready
	cd sample-service/node && npm install --no-audit --no-fund --silent
	$(BIN)/python sample-service/demo.py --node

# The Node pages are tested with real packages; without npm those tests are skipped with a message.
tests/docs/node/node_modules/.ready: tests/docs/node/package.json
	@cd tests/docs/node && npm install --no-audit --no-fund --silent && touch node_modules/.ready \
		|| echo "no npm packages: the tests of docs/how-to-node.md will be skipped" >&2

# Chromium and axe-core for the dashboard tests; if they can't be installed, those tests are skipped with a message.
browser:
	@tests/dashboard/browser/install

# Three installations at once take half as long as one after the other.
test:
	@$(MAKE) --no-print-directory --jobs=3 .venv/ready tests/docs/node/node_modules/.ready browser
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(ARGS)

# The fallbacks: the suite without uvloop and httptools, except the parts that use neither. The environment is a copy,
# in a third of the time of an installation; only the command `localqueue` has to be installed in it again. The copied
# `ready` goes first: with it, a copy that isn't finished would pass for one without uvloop and httptools.
.venv-plain/ready: .venv/ready
	rm -rf .venv-plain
	cp -R .venv .venv-plain
	rm $@
	.venv-plain/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	.venv-plain/bin/python -m pip uninstall --quiet --yes uvloop httptools
	touch $@

PLAIN := dashboard docs sim engine/test_races.py test_benchmarks.py
test-plain: .venv-plain/ready
	.venv-plain/bin/python -m pytest -n $(WORKERS) --dist worksteal $(PLAIN:%=--ignore=tests/%)

test-long: .venv/ready browser
	$(BIN)/python -m pytest -m long -o faulthandler_timeout=0

# What is shipped is made from the wheel. The tests install it with pipx and uv.
.venv-binary/ready: pyproject.toml
	$(PYTHON) -m venv .venv-binary
	.venv-binary/bin/python -m pip install --quiet --disable-pip-version-check 'pyinstaller>=6.11,<7' \
		'build>=1.2' 'pipx>=1.7' 'uv>=0.5'
	touch $@

# The sdist and the wheel, of the files that git knows: dist/.
dist: .venv-binary/ready
	rm -f dist/*.tar.gz dist/*.whl
	.venv-binary/bin/python packaging/distributions.py

define build
	.venv-binary/bin/python -m pip uninstall --quiet --yes iec-localqueue
	.venv-binary/bin/python -m pip install --quiet --disable-pip-version-check dist/*.whl
	.venv-binary/bin/python packaging/build.py $(1)
endef

# The single binary for this platform: dist/localqueue.
binary: dist
	$(call build,binary)

# The tarballs of the npm package, and of the package with the executable for this platform: dist/npm/.
npm: dist
	$(call build,npm)

# What must hold before a release, one line each; it takes about a minute.
release-check: .venv/ready dist .venv-site/ready tests/docs/node/node_modules/.ready
	$(call build,binary npm)
	.venv-binary/bin/python packaging/release_check.py

# The black-box tests against the binary, and the npm tarballs in an empty folder without Python.
BLACK_BOX := server cli/test_exec.py cli/test_exec_result.py cli/test_first_mistakes.py api/test_security.py \
	store/test_crash.py engine/test_holds.py conformance packaging
test-binary: .venv/ready dist tests/docs/node/node_modules/.ready
	$(call build,binary npm)
	LOCALQUEUE_TEST_BINARY=$(CURDIR)/dist/localqueue $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal \
		-m 'binary or (not long and not compat)' $(BLACK_BOX:%=tests/%)

# The fixture with other pytest plugins and with frameworks. They are installed beside the virtual environment: as plugins
# in it they would change every other test.
COMPATIBLE := tests/testing/compatibility/requirements.txt
.venv-compat/ready: .venv/ready $(COMPATIBLE)
	rm -rf .venv-compat
	$(BIN)/python -m pip freeze --exclude-editable >.venv/constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --target .venv-compat \
		--constraint .venv/constraints.txt --requirement $(COMPATIBLE)
	touch $@

test-compat: .venv-compat/ready
	$(BIN)/python -m pytest -n $(WORKERS) -m compat tests/testing/compatibility

# Random histories against the real engine (COUNT=1000 for a short run); failing seeds are added to the default suite.
COUNT ?= 50000
test-sim: .venv/ready
	$(BIN)/python -m tests.sim --count $(COUNT)

# The server against its OpenAPI document, by schemathesis (in .venv-openapi), for so many seconds of random requests;
# SEED=1 repeats a run.
SECONDS ?= 60
test-openapi: .venv/ready
	$(BIN)/python -m tests.campaigns.openapi --seconds $(SECONDS) $(SEED:%=--seed %)

# What docs/reliability.md reports, in its long form, about an hour (ARGS="--short", ARGS="--only kills --count 100").
campaign: .venv/ready
	$(BIN)/python -m tests.campaigns $(ARGS)

# One change at a time to the retry rule, the dispatcher, the executor and the store, by mutmut: does a test fail?
# About an hour, or ARGS="dispatcher --count 50" for a sample. It has an environment of its own.
.venv-mutants/ready: pyproject.toml
	$(PYTHON) -m venv .venv-mutants
	.venv-mutants/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]' 'mutmut==3.8.1'
	touch $@

mutants: .venv-mutants/ready
	.venv-mutants/bin/python -m tests.campaigns.mutants $(ARGS)

# Every goal of docs/performance.md; peers are installed into .bench/ (ARGS="--quick --only 4" for a short run).
bench: .venv/ready
	$(BIN)/python -m benchmarks $(ARGS)

lint: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: .venv/ready tests/docs/node/node_modules/.ready
	$(BIN)/python docs/generate.py
	@mkdir -p build && $(BIN)/python docs/generate.py --openapi build/openapi.json
	tests/docs/node/node_modules/.bin/openapi-typescript build/openapi.json --output npm/localqueue/api.d.ts

# The list of every message that a user can read, so that a change of wording is seen in review.
messages: .venv/ready
	$(BIN)/python -m tests.messages

# The docs site, build/site/index.html; a broken link or anchor, or a page without a place in the navigation, is an error.
.venv-site/ready: docs/site/requirements.txt
	$(PYTHON) -m venv .venv-site
	.venv-site/bin/python -m pip install --quiet --disable-pip-version-check --requirement $<
	@cd .venv-site && npm pack --silent mermaid@11 >/dev/null && tar -xzf mermaid-*.tgz package/dist/mermaid.min.js \
		&& rm mermaid-*.tgz || echo "no npm: the diagram of docs/semantics.md will be shown as text" >&2
	touch $@

site: .venv-site/ready
	.venv-site/bin/sphinx-build -q --nitpicky --fail-on-warning --keep-going --fresh-env -c docs/site -d build/doctrees docs build/site

pictures: .venv/ready browser
	PYTHONPATH=. $(BIN)/python docs/take_pictures.py

clean:
	rm -rf .venv .venv-* mutants .bench build dist *.egg-info
	rm -rf sample-service/node/node_modules tests/docs/node/node_modules tests/dashboard/browser/node_modules

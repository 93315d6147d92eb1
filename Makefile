# Everything a contributor runs. `make` alone lists the targets.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
BRAIN_VERSION := 1.13.0
TASKIQ_REDIS_VERSION := 1.2.4
# Two workers a core, since much of a test's time is waiting (with three, the brain that all share is late), and each
# is given its tests one by one: a long one keeps none for later. Overridable: `make test PYTEST_ARGS="-n 1 tests/cli"`.
PYTEST_ARGS ?= -n $(shell expr 2 '*' "$$(nproc 2> /dev/null || echo 2)") --maxschedchunk 1
PIP := -m pip --disable-pip-version-check --no-input -qq
# What the fault matrix breaks on purpose, a browser for the pages, and the programs of docs/operations.md that
# start within seconds. Tests whose component is missing say so and skip.
FAULT_PACKAGES := chromium dnsmasq-base faketime iproute2 nftables nginx-light openssl prometheus \
	prometheus-node-exporter redis-server supervisor tinyproxy-bin unbound util-linux
# Those that slow tests need.
ENGINE_PACKAGES := icinga2-bin nagios4-core sudo

.DEFAULT_GOAL := help
.PHONY: help setup compiled brain apt engines prepared lint types types-here quick quick-tests test tests systemd slow coverage fault-table demo windows pictures dashboard docs peer taskiq bench bench-smoke clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(VENV)/.ready ## Create .venv, with the package (editable) and everything its tests need

taskiq: .taskiq/.ready-$(TASKIQ_REDIS_VERSION) ## Install taskiq-redis, which arq's Redis client rules out, in .taskiq

brain: .brain/.ready-$(BRAIN_VERSION)-scheduler ## Install the real brain that interop tests talk to, in .brain

# An old pip knows no --group, so the environment gets a current one first.
$(VENV)/.ready: pyproject.toml
	@echo "setup: installing the package and its development tools in $(VENV)"
	@PYTHON="$(PYTHON)" .ci/venv $(VENV)
	@$(BIN)/python $(PIP) install --upgrade 'pip>=25.1'
	@$(BIN)/python $(PIP) install --group dev --editable .
	@touch $@

.brain/.ready-$(BRAIN_VERSION)-scheduler:
	@echo "brain: installing z4j $(BRAIN_VERSION) and its scheduler in .brain"
	@PYTHON="$(PYTHON)" .ci/venv .brain
	@.brain/bin/python $(PIP) install 'z4j==$(BRAIN_VERSION)' 'z4j-scheduler==$(BRAIN_VERSION)'
	@touch $@

# What can't be installed is skipped by its tests, which say so.
.taskiq/.ready-$(TASKIQ_REDIS_VERSION): pyproject.toml
	@echo "taskiq: installing taskiq-redis $(TASKIQ_REDIS_VERSION) in .taskiq"
	@PYTHON="$(PYTHON)" .ci/venv .taskiq
	@.taskiq/bin/python $(PIP) install 'taskiq-redis==$(TASKIQ_REDIS_VERSION)' --editable . && touch $@ || \
		echo "taskiq: taskiq-redis can't be installed here; its tests are skipped" >&2

apt: ## Install the Debian packages that the fault matrix needs, where that is possible
	@.ci/apt $(FAULT_PACKAGES)

engines: setup ## Install what the slow tests of docs/operations.md run, where that is possible
	@.ci/apt $(ENGINE_PACKAGES)
	@$(BIN)/python $(PIP) install --group engines || echo "engines: not all could be installed; tests will skip" >&2

lint: setup ## Check style and formatting
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check

# The package has to be sound where its user is; tests, and what stands in for services, need Linux.
# A cache each: mypy takes nothing from one of another system's.
types: types-here ## Check types, strictly, as on Linux, macOS, and Windows
	@for system in darwin win32; do \
		$(BIN)/mypy --platform $$system --cache-dir .mypy_cache/$$system \
			--exclude 'as_service|peer_socket' z4j_fastapi probes/z4j_probes || exit 1; done

types-here: setup
	@$(BIN)/mypy --platform linux --cache-dir .mypy_cache/linux

# What starts no program of its own (tests/conftest.py says which tests those are): a change is judged while its
# author still looks at it.
quick: setup ## Style, types, and the tests that need no other program, in under a minute
	@$(MAKE) --no-print-directory --jobs=3 lint types-here quick-tests

# Bytecode is kept, whatever the environment says: without it each worker rewrites the assertions of all tests each
# time. Half of the time is waiting, so there are more workers than cores, and each is given its tests one by one.
quick-tests: PYTEST_ARGS = -n $(shell expr 1 + 2 '*' "$$(nproc 2> /dev/null || echo 2)") --maxschedchunk 1
quick-tests: setup
	@PYTHONDONTWRITEBYTECODE= $(BIN)/pytest -q $(PYTEST_ARGS) --quick

# Tests start hundreds of processes of this package; where bytecode is not written, each would compile it anew, and
# each worker of pytest the tests. What is wrong with a test, the run of the tests says.
compiled: setup
	@$(BIN)/python -m compileall -q z4j_fastapi probes/z4j_probes
	@PYTHONDONTWRITEBYTECODE= $(BIN)/pytest --collect-only -qq > /dev/null 2>&1 || true

# The environments do not wait for one another: most of each installation is waiting.
prepared:
	@$(MAKE) --no-print-directory --jobs=5 setup compiled brain taskiq apt

test: prepared ## Everything that is to pass: style, types, all tests but the slow ones
	@$(MAKE) --no-print-directory --jobs=2 lint types tests

tests: setup
	@$(BIN)/pytest $(PYTEST_ARGS) -m "not slow"

systemd: setup ## Make the root directory in which slow tests boot a systemd, where that is possible
	@.ci/systemd-root $(BIN)/python

slow: prepared engines systemd ## The tests that take minutes: long soak, a booted systemd, monitoring engines
	@$(BIN)/pytest $(PYTEST_ARGS) -m slow

coverage: prepared ## Run all tests with coverage, subprocesses included, and show it by file
	@$(BIN)/coverage erase
	@$(BIN)/coverage run -m pytest -q $(PYTEST_ARGS) -m "not slow"
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage report --skip-covered --sort=cover

fault-table: setup compiled brain apt ## Run the fault matrix, record what the doctor said, and write docs/probes
	@rows=$$(mktemp -d) && trap 'rm -rf "$$rows"' EXIT && \
		Z4J_FAULT_ROWS=$$rows $(BIN)/pytest -q $(PYTEST_ARGS) tests/faults/test_matrix.py -k 'not recorded' && \
		$(BIN)/python -m tests.faults.table "$$rows"
	@$(BIN)/python docs/write_probes.py

# Its own small environment: a newcomer does not wait for what only tests need.
.demo/.ready: pyproject.toml
	@echo "demo: installing the package (no extras, no development tools) in .demo; the next time starts at once"
	@PYTHON="$(PYTHON)" .ci/venv .demo
	@.demo/bin/python $(PIP) install --editable .
	@touch $@

demo: .demo/.ready ## See the doctor pass, then fail, against a dev brain on this machine
	@PATH="$(CURDIR)/.demo/bin:$$PATH" docs/demo.sh

windows: setup ## Run the package on Windows' CPython under Wine, and write docs/platforms.md (needs root)
	@.ci/windows-root $(BIN)/python
	@$(BIN)/python -m tests.windows

pictures: setup ## Draw docs/pictures from what the doctor prints
	@PYTHONPATH=. $(BIN)/python docs/pictures.py

dashboard: prepared ## Picture the real dashboard's pages in Chromium, with two workers behind them
	@PYTHONPATH=. $(BIN)/python docs/dashboard_pictures.py

docs: setup ## Build the documentation as a site, and fail on a warning
	@$(BIN)/python $(PIP) install --group docs
	@$(BIN)/python docs/write_probes.py
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "docs: open site/index.html"

peer: .peer/.ready-$(BRAIN_VERSION)

.peer/.ready-$(BRAIN_VERSION):
	@echo "peer: installing upstream's adapter in .peer"
	@PYTHON="$(PYTHON)" .ci/venv .peer
	@.peer/bin/python $(PIP) install 'z4j-fastapi==$(BRAIN_VERSION)' 'z4j-bare==$(BRAIN_VERSION)'
	@touch $@

bench: setup brain peer ## Measure this project and its peer side by side, and write docs/benchmarks.md
	@$(BIN)/python $(PIP) install --group bench
	@$(BIN)/python -m tests.bench --page

bench-smoke: setup brain peer ## Run each benchmark once, as small as it works
	@$(BIN)/python $(PIP) install --group bench
	@$(BIN)/python -m tests.bench --smoke

clean: ## Remove what the other targets made
	rm -rf $(VENV) .brain .peer .taskiq .systemd .demo site .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis build dist

# Everything is installed into .venv, from the hashed lock file; nothing outside this folder.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
JOBS ?= $(shell echo $$(($$(getconf _NPROCESSORS_ONLN) + 1)))

.PHONY: demo test lint ui bench soak bi fleet sbom audit stop clean

demo: $(STAMP)
	@$(BIN)/warehouse demo

# A file of tests in each process: they share no server, no folder and no port. Four tenths of their
# time they wait, so there is one process more than there are processors; the longest files go first.
test: lint
	@$(BIN)/python -m pytest --numprocesses $(JOBS) --maxprocesses 6 --dist loadfile --no-loadscope-reorder

lint: $(STAMP)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

ui: $(STAMP)
	@$(BIN)/warehouse ui

bench: $(STAMP)
	@$(BIN)/python -m benchmarks $(PART)

soak: $(STAMP)
	@$(BIN)/python -m pytest -m soak --timeout 7200 tests

bi: $(STAMP)
	@$(BIN)/python bi/start.py

fleet: $(STAMP)
	@$(BIN)/python -m tests.scenarios.fleet

# What the image is made of, in CycloneDX's JSON.
sbom: $(STAMP)
	@$(BIN)/python -m tools.sbom > sbom.cdx.json
	@echo "sbom.cdx.json"

# Known vulnerabilities of both locks. It asks services on the internet, and fails where they cannot be asked.
audit: $(STAMP)
	@PATH=$(BIN):$$PATH $(BIN)/python -m tools.audit

stop: $(STAMP)
	@$(BIN)/warehouse stop
	@$(BIN)/warehouse --demo stop

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or later is needed: make PYTHON=python3.12 …"; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing the locked dependencies into $(VENV) (about a minute) …"
	@$(BIN)/python -m pip install --quiet --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --quiet --disable-pip-version-check --no-build-isolation --no-deps -e .
	@touch $(STAMP)

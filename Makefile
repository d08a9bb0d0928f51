# Everything is installed into .venv, from the hashed lock file; nothing outside this folder.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# Every process compiles what it imports otherwise, and the tests start hundreds.
unexport PYTHONDONTWRITEBYTECODE
JOBS ?= $(shell echo $$(($$(getconf _NPROCESSORS_ONLN) + 2)))

.PHONY: help install demo test pytest lint docs ui bench soak bi bi-test fleet sbom audit stop

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-8s%s\n", $$1, $$2 }' Makefile

install: $(STAMP) ## install everything into .venv, and do no more

demo: $(STAMP) ## load 30 days of every source from the bundled sandbox, and show them (DAYS=400: a year of them)
	@$(BIN)/warehouse demo $(if $(DAYS),--days $(DAYS))

# Types are checked by one process, beside the tests.
test: $(STAMP) ## lint, types and every test
	@$(MAKE) --no-print-directory --jobs 2 lint pytest

# A file of tests in each process: they share no server, no folder and no port. More than half of their
# time they wait, so there are two processes more than processors; the longest files go first.
pytest: $(STAMP)
	@$(BIN)/python -m pytest --numprocesses $(JOBS) --maxprocesses 6 --dist loadfile --no-loadscope-reorder --durations 10

lint: $(STAMP) ## style, types and the walls between packages
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

docs: $(STAMP) ## write the generated pages of docs/ anew
	@$(BIN)/python -m tools.documents

ui: $(STAMP) ## Dagster's UI and daemon on loopback (PORT=…: another port than 3000)
	@$(BIN)/warehouse ui $(if $(PORT),--port $(PORT))

bench: $(STAMP) ## every figure beside its peer and its limit (PART=…: one of them)
	@$(BIN)/python -m benchmarks $(PART)

soak: $(STAMP) ## the long fault and crash runs
	@$(BIN)/python -m pytest -m soak --timeout 7200 tests

bi: $(STAMP) ## Superset with the dashboard, on loopback
	@$(BIN)/python bi/start.py

bi-test: $(STAMP) ## the dashboard in a real browser, every figure against the rows
	@$(BIN)/python -m pytest -m superset tests/bi/test_superset.py

fleet: $(STAMP) ## the test over several hosts (needs root)
	@$(BIN)/python -m tests.scenarios.fleet

sbom: $(STAMP) ## what the image is made of, in CycloneDX's JSON: sbom.cdx.json
	@$(BIN)/python -m tools.sbom > sbom.cdx.json
	@echo "sbom.cdx.json"

# It fails where the services on the internet cannot be asked.
audit: $(STAMP) ## known vulnerabilities of both locks (asks the internet)
	@PATH=$(BIN):$$PATH $(BIN)/python -m tools.audit

stop: $(STAMP) ## stop the embedded Postgres of the warehouse and of the demo
	@$(BIN)/warehouse stop
	@$(BIN)/warehouse --demo stop

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or later is needed: make PYTHON=python3.12 …"; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing the locked dependencies into $(VENV) (half a minute by uv, a few minutes by pip) …"
	@$(BIN)/python tools/install.py
	@touch $(STAMP)

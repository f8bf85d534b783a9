# The verbs of this project. `make help` lists them; CI calls the same ones.
PYTHON ?= python3
BIN := .venv/bin
PORT ?= 8000
SEEDS ?= 500
START ?= 1

.PHONY: help install run clean test crash check bench simulate docs lock

help: ## list the verbs
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-9s %s\n", $$1, $$2}'

install: .venv/.run ## install what running needs into .venv, at locked versions

.venv/.run: requirements/run.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; name it: make PYTHON=python3.12 …")'
	@test -x $(BIN)/pip || $(PYTHON) -m venv .venv
	@echo "Installing the locked packages into .venv, once; this takes a minute or two"
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/run.txt
	@$(BIN)/python -m compileall -q edgecms content sync # services often may not write here
	@touch $@

.venv/.dev: requirements/dev.txt .venv/.run
	@echo "Installing what the tests need into .venv, once"
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@touch $@

run: .venv/.run ## start a master and two edges with sample content; PORT= is the first of three ports
	@PORT=$(PORT) $(BIN)/python deploy/run.py

clean: ## forget the data of `make run`
	@$(PYTHON) deploy/run.py clean

test: .venv/.dev ## run the tests; what has no binary here is skipped, and fails with CI=true
	$(BIN)/python -m pytest -n 2 --dist loadfile

crash: .venv/.dev ## kill -9 everything that runs, KILLS= times at random moments, and look for what was acknowledged
	EDGECMS_KILLS=$(or $(KILLS),3000) $(BIN)/python -m pytest -q -s tests/cluster/test_kills.py

check: .venv/.dev ## lint, types, import contracts, migrations up to date
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	EDGECMS_DATA=build/check $(BIN)/python manage.py makemigrations --check --dry-run

bench: .venv/.run ## measure everything beside limits and peers, three quarters of an hour; BENCH="sync pages --quick" chooses and is passed on
	$(BIN)/python -m bench $(BENCH)

simulate: .venv/.run ## simulate whole sites: SEEDS= how many, START= the first; DATABASE_URL= for PostgreSQL
	$(BIN)/python manage.py sync_simulate --seeds $(SEEDS) --start $(START)

docs: .venv/.dev ## check that the documentation names only what exists, and everything that it must
	$(BIN)/python -m pytest -q tests/test_docs.py

lock: ## resolve the dependencies of pyproject.toml anew
	$(BIN)/pip install --quiet uv
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header pyproject.toml -o requirements/run.txt
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -c requirements/run.txt --group dev pyproject.toml -o requirements/dev.txt

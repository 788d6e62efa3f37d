# The project's commands; `make help` lists them. Everything is installed into .venv.

PYTHON ?= python3
BIN := .venv/bin
CHROMIUM := chromium-headless-shell chromium chromium-browser google-chrome
FETCHED := nginx caddy redis-server

.DEFAULT_GOAL := help
.PHONY: help run test check lint types audit lock translations screenshots bench faults clean chromium servers postgresql

help: ## Show this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

run: .venv/.portal ## Start the portal with sample organisations at http://127.0.0.1:8000
	@$(BIN)/portal run --demo

# Many tests start a portal: compiled once, it starts in three quarters of the time.
test: export PYTHONDONTWRITEBYTECODE =
test: .venv/.test chromium servers postgresql ## Run all the tests, a real browser included
	$(BIN)/pytest -n 3 --dist worksteal -q

check: lint types audit test ## Lint, types, known vulnerabilities and tests: what has to pass before a commit

lint: .venv/.test
	$(BIN)/ruff format --check -q .
	$(BIN)/ruff check -q .

types: .venv/.test
	$(BIN)/mypy

audit: .venv/.test ## Ask the package index for known vulnerabilities, where it can be asked
	$(BIN)/python -m tests.audit

screenshots: .venv/.test chromium ## Write every page and state to docs/screenshots, and the pictures of help
	$(BIN)/python -m tests.screenshots
	$(BIN)/python -m tests.pictures

bench: .venv/.test ## Measure what a journey costs, against a bare page
	$(BIN)/python -m tests.bench

faults: .venv/.test postgresql ## Kill, stop, starve and separate a running portal, and look whether anything is lost
	$(BIN)/python -m tests.faults

translations: .venv/.test ## Take new texts of templates and code into the catalogue, and compile it
	$(BIN)/pybabel -q extract -k mark -F portal/translations/babel.cfg --no-location --sort-output -o .venv/.portal.pot portal
	$(BIN)/pybabel -q update --no-fuzzy-matching --ignore-obsolete --ignore-pot-creation-date -i .venv/.portal.pot -d portal/translations -l en
	$(BIN)/pybabel -q compile -d portal/translations

lock: .venv/.test ## Choose the newest versions of all packages
	$(BIN)/uv pip compile -q --upgrade --universal --generate-hashes --no-header --no-annotate pyproject.toml -o requirements.txt
	$(BIN)/uv pip compile -q --upgrade --universal --generate-hashes --no-header --no-annotate -c requirements.txt --extra test pyproject.toml -o requirements-test.txt

clean: ## Remove what was installed, and the local database
	rm -rf .venv instance

chromium: .venv/.made ## Install a browser for the tests where there is none
	@for name in $(CHROMIUM); do command -v $$name >/dev/null && exit 0; done; \
		tests/root apt-get update -q && { \
			tests/root apt-get install -q -y chromium-headless-shell || tests/root apt-get install -q -y chromium; }

# Fetched and unpacked, not installed: a package of these would start a server on port 80.
servers: .venv/.made ## Fetch the servers that tests run beside the portal where there are none
	@for name in $(FETCHED); do \
		PATH="$$PATH:/usr/sbin" command -v $$name >/dev/null || test -x .venv/fetched/usr/*bin/$$name || tests/fetch $$name; \
	done

postgresql: ## Install PostgreSQL for the tests where there is none
	@ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || command -v initdb >/dev/null || tests/install-postgresql

.venv/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || (echo "Python 3.11 or newer is needed: make PYTHON=python3.12 …"; exit 1)
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || (tests/root apt-get update -q && tests/root apt-get install -q -y python3-venv)
	$(PYTHON) -m venv .venv
	@touch $@

.venv/.portal: .venv/.made requirements.txt pyproject.toml
	$(BIN)/pip install -q --disable-pip-version-check --require-hashes -r requirements.txt
	$(BIN)/pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

.venv/.test: .venv/.portal requirements-test.txt
	$(BIN)/pip install -q --disable-pip-version-check --require-hashes -r requirements-test.txt
	@touch $@

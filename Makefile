# The project's commands; `make help` lists them. Everything is installed into .venv.

PYTHON ?= python3
BIN := .venv/bin
CHROMIUM := chromium chromium-browser google-chrome

.DEFAULT_GOAL := help
.PHONY: help run test check lint types lock translations screenshots bench clean chromium

help: ## Show this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

run: .make/portal ## Start the portal with sample organisations at http://127.0.0.1:8000
	@$(BIN)/portal run --demo

test: .make/test chromium ## Run all the tests, a real browser included
	$(BIN)/pytest -n 2 --dist loadscope -q

check: lint types test ## Lint, types and tests: what has to pass before a commit

lint: .make/test
	$(BIN)/ruff format --check -q .
	$(BIN)/ruff check -q .

types: .make/test
	$(BIN)/mypy

screenshots: .make/test chromium ## Write every page and state to docs/screenshots
	$(BIN)/python -m tests.screenshots

bench: .make/test ## Measure what a journey costs, against a bare page
	$(BIN)/python -m tests.bench

translations: .make/test ## Take new texts of templates and code into the catalogue, and compile it
	$(BIN)/pybabel -q extract -k mark -F portal/translations/babel.cfg --no-location --sort-output -o .make/portal.pot portal
	$(BIN)/pybabel -q update --no-fuzzy-matching --ignore-obsolete --ignore-pot-creation-date -i .make/portal.pot -d portal/translations -l en
	$(BIN)/pybabel -q compile -d portal/translations

lock: .make/test ## Choose the newest versions of all packages
	$(BIN)/uv pip compile -q --upgrade --universal --generate-hashes --no-header --no-annotate pyproject.toml -o requirements.txt
	$(BIN)/uv pip compile -q --upgrade --universal --generate-hashes --no-header --no-annotate -c requirements.txt --extra test pyproject.toml -o requirements-test.txt

clean: ## Remove what was installed, and the local database
	rm -rf .venv .make instance

chromium: ## Install a browser for the tests where there is none
	@command -v $(CHROMIUM) >/dev/null || (tests/root apt-get update -q && tests/root apt-get install -q -y chromium)

.make/venv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || (echo "Python 3.11 or newer is needed: make PYTHON=python3.12 …"; exit 1)
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || (tests/root apt-get update -q && tests/root apt-get install -q -y python3-venv)
	$(PYTHON) -m venv .venv
	@mkdir -p .make && touch $@

.make/portal: .make/venv requirements.txt pyproject.toml
	$(BIN)/pip install -q --disable-pip-version-check --require-hashes -r requirements.txt
	$(BIN)/pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

.make/test: .make/portal requirements-test.txt
	$(BIN)/pip install -q --disable-pip-version-check --require-hashes -r requirements-test.txt
	@touch $@

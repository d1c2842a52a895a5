.DEFAULT_GOAL := help
.PHONY: help setup demo smoke pictures portraits lint test test-long bench fuzz card-conformance lock clean
BIN := .venv/bin

help: ## Show these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Install what the project needs (system packages need root), once
	@.ci/setup

demo: setup ## The whole platform with software cards, running until Ctrl-C
	@exec $(BIN)/python -m kiosk.demo

smoke: setup ## The README's tour through a demonstration's pages, in a browser (ARGS="--attach .demo")
	@$(BIN)/python -m tests.tour $(ARGS)

pictures: setup ## Take the README's pictures from a demonstration (ARGS="--attach .demo")
	@$(BIN)/python -m tests.tour.pictures $(ARGS)

portraits: setup ## Draw the portraits of the demonstration's people from their SVG sources
	@$(BIN)/python -m tests.tour.portraits

lint: setup ## Style, types and the import contracts
	@date +"lint: started %T"
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/node kiosk/assets/node_modules/typescript/bin/tsc --project kiosk/static
	@date +"lint: done %T"

test: setup lint ## Set up, check and test everything, as continuous integration does
	$(BIN)/python -m pytest -n 2 --dist worksteal --durations=10 -m "not long"

test-long: setup lint ## Everything of `make test`, and what is exhaustive
	$(BIN)/python -m pytest -n 2 --dist worksteal --durations=10

bench: setup ## Measure the hot paths; writes docs/benchmarks.json and .md (ARGS="--only KEY --seconds N")
	@$(BIN)/python -m tests.benchmarks $(ARGS)

fuzz: setup ## Look for inputs that break what reads strangers' bytes (ARGS="--seconds N --only TARGET --reproduce FILE")
	@$(BIN)/python -c "import atheris" 2> /dev/null || \
		$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-fuzz.lock
	@$(BIN)/python -m tests.fuzzing $(ARGS)

card-conformance: setup ## Check the cards in this machine's readers; writes nothing to them (ARGS="--pin-file FILE --report FILE")
	@$(BIN)/reader-agent conformance $(ARGS)

lock: setup ## Choose the newest allowed versions anew and pin them with their hashes
	$(BIN)/uv pip compile --quiet --upgrade --python-version 3.11 --python-platform linux --generate-hashes \
		--no-emit-index-url --no-annotate --no-header --extra agent --extra service --extra pki --extra kiosk --extra dev \
		--output-file requirements.lock setup.cfg
	sed -n 's/^ *\(atheris .*\)/\1/p' setup.cfg | $(BIN)/uv pip compile --quiet --upgrade --python-version 3.11 \
		--python-platform linux --generate-hashes --no-emit-index-url --no-annotate --no-header \
		--output-file requirements-fuzz.lock -

clean: ## Remove the virtual environment, what npm brought, and the demo's data
	rm -rf .venv .demo .demo-smoke .fuzz kiosk/assets/node_modules kiosk/static/vendor tests/witnesses/node_modules

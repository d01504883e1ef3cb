# Everything runs from a virtual environment in .venv, made on first use from the pinned versions of constraints.txt.

PYTHON ?= python3
BIN := .venv/bin

# Each worker of the tests has a broker of its own; a Kafka that is given has room for one. They wait more than they
# work: three on two cores take four fifths of the time of two.
WORKERS := $(if $(KAFKA_BOOTSTRAP_SERVERS),,--numprocesses 3 --dist loadfile --no-loadscope-reorder)

.PHONY: run tour test test-all chaos soak check format bench bench-peers conformance fuzz coverage constraints audit sbom clean

run: .venv/.tour  ## Everything on this machine, with a tour of real events first; Ctrl-C ends it
	@$(BIN)/headrace up --tour

tour: .venv/.tour  ## The same, but ends after the tour: success only if every arrival was checked
	@$(BIN)/headrace up --tour --exit

test: .venv/.dev  ## Unit, component, conformance and end-to-end tests on real Kafka
	$(BIN)/pytest $(WORKERS)

test-all: test  ## The same, and what takes longer
	$(BIN)/pytest tests/endurance

chaos: .venv/.dev  ## Faults by chance under load: ARGS="--seed 7 --rounds 50 --brokers 3"
	$(BIN)/python -m tests.endurance.chaos $(ARGS)

soak: .venv/.dev  ## A steady load for ten minutes: memory, file descriptors, what waits
	$(BIN)/python -m tests.endurance.soak $(ARGS)

check: .venv/.dev  ## Lint, format, spelling, types, and which package may import which
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell
	$(BIN)/mypy
	$(BIN)/lint-imports

format: .venv/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: .venv/.dev  ## The table of measured stages, also in build/bench.json: ARGS="ledger.lists --deliveries 10000000"
	$(BIN)/python -m operations.bench $(ARGS)

bench-peers: .venv/.dev  ## Headrace and other programs in turns, also in build/bench-peers.json: ARGS="centrifugo quix --turns 3"
	$(BIN)/python -m operations.bench.peers $(ARGS)

fuzz: .venv/.dev  ## What the API's schemas allow and what not, sent to every operation, for some minutes
	HEADRACE_FUZZ_EXAMPLES=100 $(BIN)/pytest tests/e2e/test_fuzz.py

coverage: .venv/.dev  ## Branch coverage of ingest_api, processes included, by the tests that have to do with it
	$(BIN)/pytest $(WORKERS) --cov --cov-report=term-missing --cov-fail-under=95 tests/unit/ingest_api \
		tests/component/ingest_api tests/component/schema_registry tests/conformance tests/e2e/test_realms.py \
		tests/e2e/test_fuzz.py

conformance: .venv/.dev  ## The tables of README.md and docs/conformance.md, from the outcomes of the last test run
	$(BIN)/python tests/conformance/table.py

constraints: .venv/.dev  ## Pin again what pyproject.toml asks for
	$(BIN)/pip-compile --quiet --upgrade --all-extras --strip-extras --no-annotate --no-header --no-emit-options \
		--no-emit-index-url --no-emit-trusted-host --no-emit-find-links --output-file=- pyproject.toml \
		| grep -v -e '^headrace @' -e '^#' -e '^$$' > constraints.new
	mv constraints.new constraints.txt

audit: .venv/.dev  ## Known vulnerabilities of what is pinned; where no source can be reached it says so
	@$(BIN)/python -m operations.audit

sbom: .venv/.dev  ## The packages of this environment, in build/sbom.json (CycloneDX)
	@mkdir -p build
	$(BIN)/python -m operations.sbom > build/sbom.json

clean:
	rm -rf .venv build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache \
		.schemathesis .coverage .coverage.*

.venv/.tour: pyproject.toml constraints.txt
	@echo "Installing Headrace into .venv (once, about a minute)"
	@$(PYTHON) -m venv .venv
	@$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[tour]'
	@touch $@

.venv/.dev: pyproject.toml constraints.txt
	@echo "Installing Headrace and its development tools into .venv (once, about a minute)"
	@$(PYTHON) -m venv .venv
	@$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@ .venv/.tour

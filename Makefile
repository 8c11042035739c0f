# All that one does with a checkout. It needs python3 (3.11 or newer) and make; the rest is put into
# .venv from the lock files. ARGS are passed on: make run ARGS="-p 8081", make test ARGS="-k retry".

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=
# Of make fuzz: how long, and what is written.
MINUTES ?= 10
SEED ?= 1
# Before a command: it runs beside an Apache Kafka, unless KAFKA names a broker.
APACHE := $(if $(KAFKA),,$(BIN)/python -m tests.kafka)
# Of make test-kafka: which tests.
ON_KAFKA ?= tests/kafka tests/broker tests/end_to_end tests/faults \
	--ignore tests/faults/test_checker.py --ignore tests/faults/test_independence.py
# Each lock has a stamp: `make run` waits for what runs, not for the test tools as well.
RUNTIME := $(VENV)/.runtime
DEV := $(VENV)/.dev
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes
# Nothing about where packages come from may get into a lock: each machine has its own index.
COMPILE := $(BIN)/pip-compile --quiet --generate-hashes --strip-extras --allow-unsafe \
	--no-emit-options --no-emit-index-url --no-emit-trusted-host --no-emit-find-links

.DEFAULT_GOAL := help
.PHONY: help run test test-kafka test-rocksdb faults faults-selftest soak million figures bench bench-smoke bench-docs fuzz docs check lock clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' Makefile

run: $(RUNTIME) ## a worker and a broker; KAFKA=host:port: that one; BROKER=kafka: one that keeps jobs
	@exec $(if $(APACHE),$(if $(filter kafka,$(BROKER)),$(APACHE) --data kafka-data)) \
		$(BIN)/python -m devbroker run -- $(ARGS)

test: $(DEV) ## the whole test suite, on two cores
	@exec $(BIN)/python -m pytest -n 2 --dist loadgroup $(ARGS)

test-kafka: $(DEV) ## what needs a broker, on Apache Kafka (Java 17 and Maven; or KAFKA=host:port)
	@exec $(APACHE) $(BIN)/python -m pytest -n 2 --dist loadgroup $(ON_KAFKA) $(ARGS)

test-rocksdb: $(DEV) ## what runs workers, each with a copy of the rows on disk
	@TEST_STORE=rocksdb exec $(BIN)/python -m pytest -n 2 --dist loadgroup \
		$(or $(ARGS),tests/broker tests/end_to_end tests/faults)

faults: $(DEV) ## SEEDS=20 schedules of faults from START=1 on, on Apache Kafka: what is lost, or goes back?
	@exec $(BIN)/python -m tests.faults --seeds $(or $(SEEDS),20) --start $(or $(START),1) $(ARGS)

faults-selftest: $(DEV) ## is it noticed when one of the product's safeguards is off?
	@exec $(BIN)/python -m tests.faults --selftest $(ARGS)

soak: $(DEV) ## JOBS=100000 jobs on Apache Kafka with a fault EVERY=10 seconds
	@exec $(BIN)/python -m tests.faults.soak --jobs $(or $(JOBS),100000) --every $(or $(EVERY),10) $(ARGS)

million: $(DEV) ## how long does a worker take to recover a million rows? In memory, and on disk
	@exec $(BIN)/python -m tests.faults.million $(ARGS)

figures: $(DEV) ## what HTTP costs a worker on Apache Kafka; ARGS=reads, pages or waits (reads need wrk)
	@exec $(BIN)/python -m tests.faults.figures $(ARGS)

bench: $(DEV) ## this and other job processors, by the same measure; ARGS="drain --runs 1 --peers ours bare"
	@exec $(BIN)/python -m benchmarks $(ARGS)

bench-smoke: $(DEV) ## is this still as fast, against others, as benchmarks/floor.json says?
	@exec $(BIN)/python -m benchmarks --smoke $(ARGS)

bench-docs: $(DEV) ## figures and picture of docs/performance.md, from what `make bench` measured last
	@exec $(BIN)/python -m benchmarks --docs $(ARGS)

fuzz: $(DEV) ## nonsense on every topic and endpoint; MINUTES=10 SEED=1 (KAFKA=host:port: there)
	@JOBS_FUZZ_MINUTES=$(MINUTES) JOBS_FUZZ_SEED=$(SEED) exec $(BIN)/python -m pytest -n 2 \
		tests/faults/test_fuzz_topics.py tests/faults/test_fuzz_http.py \
		tests/reference/test_schemathesis.py $(ARGS)

docs: $(DEV) ## the calls in docs/http.md anew, from the descriptions in web/reference
	$(BIN)/python -m tests.reference

check: $(DEV) ## style, types, and which package may import which
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

lock: $(DEV) ## the lock files anew from pyproject.toml; ARGS=--upgrade for newer versions
	CUSTOM_COMPILE_COMMAND="make lock" $(COMPILE) $(ARGS) -o requirements.lock pyproject.toml
	CUSTOM_COMPILE_COMMAND="make lock" $(COMPILE) $(ARGS) --extra dev -c requirements.lock \
		-o requirements-dev.lock pyproject.toml

clean: ## removes .venv and every cache
	rm -rf $(VENV) .venv-newer .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .bench
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Python 3.11 or newer is needed, and $(PYTHON) is not that or not there." \
			"Name another one: make PYTHON=python3.12 …" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "$(PYTHON) can't make a virtual environment. On Debian and Ubuntu:" \
			"apt install python3-venv" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { [ -e $(RUNTIME) ] || rm -rf $(VENV); exit 1; }

$(RUNTIME): requirements.lock | $(BIN)/python
	@echo "Installing into $(VENV) (once, and again when requirements.lock changes) …"
	@$(PIP) -r requirements.lock
	@touch $@

# The dev lock holds all that the other one does, at the same versions.
$(DEV): requirements-dev.lock requirements.lock | $(BIN)/python
	@echo "Installing into $(VENV) (once, and again when a lock file changes) …"
	@$(PIP) -r requirements-dev.lock
	@touch $(RUNTIME) $@

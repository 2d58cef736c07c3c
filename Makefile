# The one way in. `make` alone lists the targets.
SHELL := /bin/bash
.DEFAULT_GOAL := help

PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
JARS := .jars
SPARK := .venv-spark
SPARK_JARS := .jars-spark
POMS := $(shell find flink_jobs/jvm -name pom.xml -not -path '*/target/*')
JAVA_SOURCES := $(shell find flink_jobs/jvm/*/src -type f)

.PHONY: help
help: ## Show this list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

.PHONY: setup
setup: $(VENV)/.installed $(JARS)/.fetched ## Make .venv and fetch the jars into .jars (idempotent)

$(VENV)/.installed: requirements.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) not found: install Python 3.11, or name it: make PYTHON=/path/to/python3.11"; exit 1; }
	@echo "setup: Python packages into $(VENV) (about 80 s with a cold cache)" >&2
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

$(JARS)/.fetched: $(POMS) $(JAVA_SOURCES)
	@command -v mvn >/dev/null || { echo "mvn not found: install Maven 3.8 or newer (Debian: apt-get install maven)"; exit 1; }
	@echo "setup: jars into $(JARS) (about 30 s with a cold cache)" >&2
	@rm -rf $(JARS) && mkdir -p $(JARS)
	@mvn -q -B -ntp -Dstyle.color=never -f flink_jobs/jvm/pom.xml -Djars.dir=$(CURDIR)/$(JARS) package >&2
	@touch $@

.PHONY: test-jars
test-jars: $(JARS)/rest-catalog/.fetched $(JARS)/schema-registry/.fetched $(JARS)/kafka-tools/.fetched

# in a folder of setup's own, which begins anew when setup does
$(JARS)/rest-catalog/.fetched: $(JARS)/.fetched
	@mvn -q -B -ntp -Dstyle.color=never -f flink_jobs/jvm/pom.xml -Djars.dir=$(CURDIR)/$(JARS) -Ptests -pl rest-catalog package >&2
	@touch $@

$(JARS)/schema-registry/.fetched: $(JARS)/.fetched
	@echo "test-jars: the schema registry into $(JARS) (110 MB to download)" >&2
	@mvn -q -B -ntp -Dstyle.color=never -f flink_jobs/jvm/pom.xml -Djars.dir=$(CURDIR)/$(JARS) -Ptests -pl schema-registry package >&2
	@touch $@

$(JARS)/kafka-tools/.fetched: $(JARS)/.fetched
	@mvn -q -B -ntp -Dstyle.color=never -f flink_jobs/jvm/pom.xml -Djars.dir=$(CURDIR)/$(JARS) -Ptests -pl libs/kafka-tools package >&2
	@touch $@

$(SPARK)/.installed: requirements-spark.txt
	@echo "spark-check: pyspark into $(SPARK) (450 MB to download)" >&2
	@$(PYTHON) -m venv $(SPARK)
	@$(SPARK)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements-spark.txt
	@touch $@

$(SPARK_JARS)/.fetched: flink_jobs/jvm/pom.xml flink_jobs/jvm/libs/spark/pom.xml
	@rm -rf $(SPARK_JARS)
	@mvn -q -B -ntp -Dstyle.color=never -f flink_jobs/jvm/pom.xml -Djars.dir=$(CURDIR)/$(SPARK_JARS) -Pspark -pl libs/spark package >&2
	@touch $@

.PHONY: lock
lock: ## Resolve pyproject.toml into requirements.lock (needs uv; see CONTRIBUTING.md)
	@uv pip compile --quiet pyproject.toml --extra dev --python-version 3.11 --generate-hashes --no-header --output-file requirements.lock

.PHONY: clean
clean: ## Remove .venv, .jars and Spark's (data of the embedded stack stays: keystone down --purge removes it)
	@rm -rf $(VENV) $(JARS) $(SPARK) $(SPARK_JARS) flink_jobs/jvm/target flink_jobs/jvm/*/target flink_jobs/jvm/libs/*/target

.PHONY: lint
lint: setup ## ruff and strict types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

# servers of a test live for minutes, too short for what C2 compiles to pay back: a quarter less CPU without it
test-e2e test-servers: export JDK_JAVA_OPTIONS ?= -XX:TieredStopAtLevel=1

.PHONY: test
test: setup test-jars ## All tests, on the real stack (about 18 minutes on 2 cores)
	@$(MAKE) --no-print-directory --jobs=3 --keep-going --output-sync=line test-e2e test-servers test-fast # one waits while the others work

.PHONY: test-e2e
test-e2e: setup test-jars ## Tests of the whole platform, on a stack of their own
	@$(BIN)/python -m pytest -q -m "stack and not drill" tests/e2e

.PHONY: test-servers
test-servers: setup test-jars ## Tests of single parts on real servers, on another stack
	@$(BIN)/python -m pytest -q -m "stack and not drill" --ignore=tests/e2e tests

.PHONY: drills
drills: setup test-jars ## Faults under load on real servers, each with its table of figures (DRILL=name runs one)
	@$(BIN)/python -m pytest -q -s -m drill tests $(if $(DRILL),-k $(DRILL))

.PHONY: test-fast
test-fast: setup ## Tests that need no server (four to nine minutes)
	@$(BIN)/python -m pytest -q -m "not stack and not drill" tests

.PHONY: spark-check
spark-check: setup $(SPARK)/.installed $(SPARK_JARS)/.fetched ## Spark, DuckDB and pyiceberg read the same of a table at each step of its life; JSON=1
	@$(BIN)/python -m tests.engines.check $(if $(JSON),--json)

.PHONY: demo
demo: setup ## The whole way on real servers: EVENTS=200000, EXIT=1 to stop at the end, JSON=1 for programs
	@$(BIN)/keystone demo $(if $(EVENTS),--events $(EVENTS)) $(if $(filter 1,$(EXIT)),--exit) $(if $(filter 1,$(JSON)),--json)

.PHONY: bench
bench: setup ## Measure the main job's figures; SETUP=1 adds cold set-up, JSON=1 prints an object a line
	@$(BIN)/python -m bench.main_job $(if $(SETUP),--setup) $(if $(JSON),--json)

.PHONY: bench-router
bench-router: setup ## Routes beside hand-written Flink SQL, on real servers (about 25 min); SHAPE=text, JSON=1
	@$(BIN)/python -m bench.router $(if $(SHAPE),--shape "$(SHAPE)") $(if $(JSON),--json)

.PHONY: s3-cost
s3-cost: setup ## Count for a minute what the running stack asks of S3, and what that would cost there; FOR=seconds
	@$(BIN)/keystone s3-requests $(if $(FOR),--seconds $(FOR))

.PHONY: bench-search
bench-search: setup ## Documents a second of a search route, on real servers (about 5 min); EVENTS=200000, JSON=1
	@$(BIN)/python -m bench.search $(if $(EVENTS),--events $(EVENTS)) $(if $(JSON),--json)

.PHONY: bench-control
bench-control: setup ## What 100, 500 and 2,000 routes cost the control plane, Flink a stand-in (about 4 min); CASE=text, JSON=1
	@$(BIN)/python -m bench.control $(if $(CASE),--case "$(CASE)") $(if $(JSON),--json)

.PHONY: bench-warehouse
bench-warehouse: setup ## Compaction beside a bare COPY, queries, sensor, commit (about 15 min); CASE=text, SIZE=GB, JSON=1
	@$(BIN)/python -m bench.warehouse $(if $(CASE),--case "$(CASE)") $(if $(SIZE),--size $(SIZE)) $(if $(JSON),--json)

.PHONY: bench-producer
bench-producer: setup ## send beside bare confluent-kafka, the switch to a standby, p99.9 and memory with Kafka up and dead (about 6 min); CASE=text, JSON=1
	@$(BIN)/python -m bench.producer $(if $(CASE),--case "$(CASE)") $(if $(JSON),--json)

.PHONY: bench-ways-in
bench-ways-in: setup ## Events a second of the gateway, of files and of made-up events, and a request's latency (about 3 min); CASE=text, JSON=1
	@$(BIN)/python -m bench.ways_in $(if $(CASE),--case "$(CASE)") $(if $(JSON),--json)

# Everything runs from the project's folder by relative paths, so that a path with spaces is no different from any other.
# `.venv` is made from requirements.lock, every download checked against its hash.

SHELL       := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS   += --no-builtin-rules --no-print-directory

# Another Python: make PYTHON=/path/to/python3.12 test
PYTHON ?=
PYTHONS := $(if $(PYTHON),"$(PYTHON)",python3.13 python3.12 python3.11 python3)

PY   := .venv/bin/python
# What runs the designs of a night: make RUNTIME=docker nightly
RUNTIME ?= local

DEMO := experiments/third-party/card-processor-outage-at-peak.yaml

# Where byte code is not kept, each of the shop's services would be compiled at every boot.
unexport PYTHONDONTWRITEBYTECODE
# Neither may leak into the project's own environment.
unexport PYTHONPATH PYTHONHOME
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help
help: ## show this
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' Makefile

.PHONY: demo
demo: .venv/project ## boot the shop, take a card processor away at peak, print the verdict
	@$(PY) -m crashcart setup
	@$(PY) -m crashcart run --yes $(DEMO)

.PHONY: nightly
nightly: .venv/project ## every experiment tagged nightly, what changed since last night, planted defects, the long tests, the audit
	@$(PY) -m crashcart setup
	@# the first that is worse than inconclusive counts, else 3, else 0
	@status=0; joined() { case $$1/$$status in 3/3) ;; */[03]) status=$$1;; esac; }; \
	$(PY) -m crashcart run --tag nightly --rerun-inconclusive 1 --yes --runtime $(RUNTIME) || status=$$?; \
	if [ $$status != 2 ]; then $(PY) -m crashcart diff last-night || true; fi; \
	$(PY) -m crashcart selftest --defects || joined $$?; \
	$(PY) -m pytest tests/unit/judging --hypothesis-profile=thorough --timeout=1800 -n auto || joined 1; \
	$(PY) -m pytest tests/e2e -m nightly || joined 1; \
	$(MAKE) .venv-audit/locked || true; \
	$(PY) -m tests.audit || joined $$?; \
	exit $$status

.PHONY: audit
audit: .venv/project .venv-audit/locked ## known vulnerabilities of all locked packages: 1 there are some, 3 nobody could tell
	@$(PY) -m tests.audit

.PHONY: test
test: check .venv-audit/locked ## check, then the tests: unit, contract, end to end (but the long ones, see nightly)
	@$(PY) -m crashcart setup
	@# most of these wait for servers and processes, so several go on at once …
	@$(PY) -m pytest -n 4 -m "not docker and not alone" --durations=20 tests/unit tests/contract
	@# … an engine makes its networks and containers one after the other anyway, and some hold times against each other …
	@$(PY) -m pytest -m "docker or alone" tests/unit tests/contract
	@# … while of whole runs two of a small project fit beside each other …
	@$(PY) -m pytest -n 2 --dist loadfile tests/e2e -m "not nightly and not alone" --durations=20
	@# … and those of the reference shop, or in containers, need the machine for themselves
	@$(PY) -m pytest tests/e2e -m "not nightly and alone" --durations=20

.PHONY: check
check: .venv/project ## format, lint, types, walls between the parts
	@$(PY) -m ruff format --check .
	@$(PY) -m ruff check .
	@$(PY) -m mypy
	@$(PY) -c 'from importlinter.cli import lint_imports_command; lint_imports_command()'

.PHONY: bench
bench: .venv/project ## CPU per order, the knee, start-up times: a table and JSON
	@$(PY) -m crashcart setup
	@$(PY) -m tests.bench

.PHONY: engine-images
engine-images: .venv/project ## stand-ins for images of servers, where none can be pulled; prints the file to name in CRASHCART_IMAGES
	@$(PY) -m tests.engine

.PHONY: lock
lock: .venv/project ## resolve the dependencies again into requirements.lock
	@$(PY) -m uv pip compile pyproject.toml --extra dev --upgrade --universal --python-version 3.11 --generate-hashes \
	  --no-config --no-emit-index-url --no-annotate --no-header --quiet --output-file requirements.lock
	@# the shop's own are the same, and fewer
	@$(PY) -m uv pip compile stack/images/requirements.in --constraint requirements.lock --universal --python-version 3.11 --generate-hashes \
	  --no-config --no-emit-index-url --no-annotate --no-header --quiet --output-file stack/images/requirements.lock
	@$(PY) -m uv pip compile loadtests/requirements.in --constraint requirements.lock --universal --python-version 3.11 --generate-hashes \
	  --no-config --no-emit-index-url --no-annotate --no-header --quiet --output-file loadtests/requirements.lock
	@echo 'grafana-client>=5.0' | $(PY) -m uv pip compile - --upgrade --universal --python-version 3.11 --generate-hashes \
	  --no-config --no-emit-index-url --no-annotate --no-header --quiet --output-file requirements-grafana.lock
	@echo 'pip-audit>=2.10' | $(PY) -m uv pip compile - --upgrade --universal --python-version 3.11 --generate-hashes \
	  --no-config --no-emit-index-url --no-annotate --no-header --quiet --output-file requirements-audit.lock
	@echo "requirements.lock, stack/images/requirements.lock, loadtests/requirements.lock, requirements-grafana.lock and requirements-audit.lock written; 'make test' installs and tries them"

.PHONY: clean
clean: ## remove what make and the tools made here (not runs/, not the per-user cache)
	@rm -rf .venv .venv-audit .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis dist
	@find . -name .git -prune -o -type d -name __pycache__ -prune -exec rm -rf {} +

# ---- the virtual environment: stamps are written last, so one that was interrupted is made again from nothing

.venv/locked: requirements.lock
	@chosen=; old=; bare=; \
	for python in $(PYTHONS); do \
	  "$$python" -c 'import sys' >/dev/null 2>&1 || continue; \
	  "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { old="$$python"; continue; }; \
	  "$$python" -c 'import ensurepip, venv' >/dev/null 2>&1 || { bare="$$python"; continue; }; \
	  chosen="$$python"; break; \
	done; \
	if [ -z "$$chosen" ] && [ -n "$$bare" ]; then \
	  echo "crashcart: $$bare has no venv module. On Debian or Ubuntu: sudo apt-get install python3-venv" >&2; exit 1; \
	elif [ -z "$$chosen" ]; then \
	  echo "crashcart: Python 3.11 or newer is needed$${old:+, $$old is $$("$$old" --version 2>&1)}. Install it, or say: make PYTHON=/path/to/python3.12" >&2; exit 1; \
	fi; \
	echo "making .venv with $$("$$chosen" --version) …"; \
	"$$chosen" -m venv --clear .venv; \
	echo "installing $$(grep -c == requirements.lock) locked packages, a minute or two …"; \
	$(PY) -m pip install --quiet --require-hashes --requirement requirements.lock
	@touch $@

# pip-audit's own: what it needs is nothing of ours, and some of it would not go with what we need
.venv-audit/locked: requirements-audit.lock .venv/locked
	@echo "making .venv-audit …"
	@$(PY) -m venv --clear .venv-audit
	@.venv-audit/bin/python -m pip install --quiet --require-hashes --requirement requirements-audit.lock
	@touch $@

.venv/project: .venv/locked pyproject.toml
	@echo "installing crashcart itself …"
	@$(PY) -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

# What a person does with a checkout. `make demo` and `make test` are enough to see it work.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO := runs/demo

.DEFAULT_GOAL := help
.PHONY: help install wheel wheel-cuda wheel-check docs docs-serve demo test test-slow test-nightly test-isa test-threads lint format rooms bench results operators paper clean
.PHONY: soak sanitize test-oldest test-newest lock sbom licences

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# ---------------------------------------------------------------- installation
# Two stamps, so that a second run installs nothing and a change in csrc/ compiles only what changed.
DEPENDENCIES := $(VENV)/.dependencies
BUILD := $(VENV)/.build
SOURCES := setup.py pyproject.toml $(shell find csrc -type f 2>/dev/null)

install: $(BUILD)  ## make .venv, install the pinned dependencies, compile the extension

$(DEPENDENCIES): constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null || { \
	  echo "make install needs Python 3.10 or newer as '$(PYTHON)'; name another with 'make install PYTHON=python3.12'." >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) >$(VENV).log 2>&1 || { \
	  cat $(VENV).log >&2; rm -rf $(VENV) $(VENV).log; \
	  echo "'$(PYTHON) -m venv' failed; on Debian and Ubuntu 'apt-get install python3-venv' provides it." >&2; exit 1; }
	@rm -f $(VENV).log
	$(BIN)/python -m pip install --disable-pip-version-check -r constraints.txt
	@touch $@

$(BUILD): $(DEPENDENCIES) $(SOURCES)
	@command -v $${CXX:-c++} >/dev/null || { \
	  echo "make install needs a C++ compiler as '$${CXX:-c++}'; on Debian and Ubuntu 'apt-get install g++' provides it." >&2; exit 1; }
	@test -f "$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("include"))')/Python.h" || { \
	  echo "make install needs Python's header files; on Debian and Ubuntu 'apt-get install python3-dev' provides them." >&2; exit 1; }
	@$(BIN)/python -m pip uninstall --disable-pip-version-check -q -y symflow 2>/dev/null  # the name up to 0.1.0, another project's
	$(BIN)/python -m pip install --disable-pip-version-check --no-build-isolation --no-deps -e .
	@touch $@

# The wheel is built from the source distribution, so that both are known to be whole. torch's libraries stay torch's;
# auditwheel reads from the symbols which systems the rest runs on and writes it in the wheel's name.
wheel: $(DEPENDENCIES)  ## dist/: one wheel for every Python from 3.10 and every torch from 2.11, and the source distribution
	rm -rf dist build/wheel
	SYMFLOW_SKIP_EXT=1 $(BIN)/python -c 'from setuptools import build_meta; build_meta.build_sdist("dist")'
	SYMFLOW_ABI3=1 SYMFLOW_CUDA=$(or $(SYMFLOW_CUDA),0) $(BIN)/python -m pip wheel --disable-pip-version-check --no-build-isolation \
	  --no-deps --no-cache-dir -w build/wheel dist/*.tar.gz
	PATH="$(CURDIR)/$(BIN):$$PATH" auditwheel repair --exclude 'libtorch*' --exclude 'libc10*' --exclude 'libcudart*' -w dist build/wheel/*.whl

wheel-cuda:  ## the same with the CUDA kernels, version +cuda; needs a CUDA toolkit and no GPU
	$(MAKE) wheel SYMFLOW_CUDA=1

wheel-check:  ## install the wheel, then the source, in empty environments outside the checkout, and find symmetries there
	.ci/wheel-check dist/*.whl dist/*.tar.gz

# ---------------------------------------------------------------- use
demo: install  ## find and prove the symmetries of KdV data, with a report in runs/demo
	$(BIN)/symflow generate kdv --samples 64 --seed 0 --out runs/demo.h5 --force
	$(BIN)/symflow discover runs/demo.h5 --out $(DEMO) --domain periodic --force
	@echo "Now open $(DEMO)/report.html in a browser."

# ---------------------------------------------------------------- checks
# Examples are run on the package as it is installed, in append mode: in the checkout pde/ would be a package of its own
# beside symflow.pde, and the importlib mode of the tests would put the module symflow.ops.flow in the place of the function.
# A file's tests stay in one process: what they share is made once. DURATIONS=1 names every test of a second or more.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile $(if $(DURATIONS),--durations=0 --durations-min=1)

test: install  ## the tests that take seconds, and the examples in docstrings; DURATIONS=1 names the longest
	$(PYTEST) -m "not slow"
	.ci/as-installed python -m pytest -q --import-mode=append --doctest-modules symflow

# In the order of their names: files with few tests, which come last otherwise, build the extension for minutes.
test-slow: install  ## the tests that take minutes; DURATIONS=1 names the longest
	$(PYTEST) --no-loadscope-reorder -m "slow and not nightly"

test-nightly: install  ## the CUDA kernels compiled for every architecture; before a change of csrc/cuda
	$(PYTEST) --no-loadscope-reorder -m nightly

# Tests of memory and of torch's compiler see no kernel; those that name an instruction set run each of them in `make test`.
UNSEEN := memory or compile or opcheck
ISAS = $(shell $(BIN)/python -c 'from symflow.ops._ext import build_info; i = build_info(); \
  print(*[n for n in i["available_isas"] or [] if n != i["isa"]])')

test-isa: install  ## tests of the kernels with every other instruction set of this machine
	@for isa in $(ISAS); do echo "== SYMFLOW_ISA=$$isa"; \
	  SYMFLOW_ISA=$$isa OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2 -m "not slow" -k "not ($(UNSEEN) or avx or baseline)" tests/ops || exit 1; done

THREADS ?= 2
test-threads: install  ## tests of equal bits with THREADS=2 threads, where `make test` has one
	@for n in $(THREADS); do echo "== $$n threads"; OMP_NUM_THREADS=$$n $(BIN)/python -m pytest -q -n 2 -m determinism || exit 1; done

# Reliability (docs/reliability.md): what runs longer, or on other versions than the pinned ones.
MINUTES ?= 30
soak: install  ## damaged files, kills, full disks, shared folders, for MINUTES=30; goes on after a kill
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/soak.py --minutes $(MINUTES)

EMULATED := $(patsubst %,tests/cuda/test_%.py,elementary emulation flow grid_flow jet_flow resample warp)
sanitize: install  ## kernels and the emulation of CUDA under the address, undefined-behaviour and thread sanitizers
	.ci/sanitize emulation -m "not slow" $(EMULATED)
	.ci/sanitize address,undefined -m "not slow" -k "not ($(UNSEEN))" tests/ops
	.ci/sanitize thread -m "not slow" -k "not ($(UNSEEN))" tests/ops

# Other versions lie in a folder before the pinned ones on the path; torch is the pinned one in both.
WITH = rm -rf build/$@ && $(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --upgrade --target build/$@
ON = PYTHONPATH=$(CURDIR)/build/$@ OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -p no:xdist -m "not slow"
test-oldest: install  ## the fast tests with the oldest versions that pyproject.toml admits
	$(WITH) $$($(BIN)/python .ci/bounds.py oldest)
	$(ON) tests

test-newest: install  ## the fast tests with the newest versions there are
	$(WITH) $$($(BIN)/python .ci/bounds.py newest)
	$(ON) tests

# torch is left out: which build of it, for a CPU or a GPU, is the user's choice.
lock: install  ## constraints.lock, the packages of constraints.txt with their hashes
	$(BIN)/python -m pip install -q --disable-pip-version-check --target build/supply --upgrade -r .ci/supply.txt
	build/supply/bin/uv pip compile -q --universal --python-version 3.10 --no-deps --generate-hashes --no-annotate \
	  --no-emit-package torch --custom-compile-command "make lock" constraints.txt -o constraints.lock

sbom: install  ## build/sbom.json, what symflow needs when it runs, as CycloneDX
	@mkdir -p build
	$(BIN)/python docs/licences.py --sbom build/sbom.json

licences: install  ## docs/licences.md, the licences of what symflow needs when it runs
	$(BIN)/python docs/licences.py

lint: install  ## formatting, style, types, and the one-way arrows between the packages
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	find csrc -name '*.h' -o -name '*.cpp' -o -name '*.cu' -o -name '*.cuh' | xargs $(BIN)/clang-format --dry-run -Werror
	.ci/as-installed mypy --cache-dir /dev/null
	.ci/as-installed lint-imports pyproject.toml --no-cache --no-logo
	.ci/as-installed python $(CURDIR)/docs/rooms.py --check

format: install  ## put everything in the form that lint asks for
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	find csrc -name '*.h' -o -name '*.cpp' -o -name '*.cu' -o -name '*.cuh' | xargs $(BIN)/clang-format -i

# The tools of the site, which nothing else needs.
SITE := $(VENV)/.site
$(SITE): $(BUILD) docs/requirements.txt
	$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt -r docs/requirements.txt
	@touch $@

docs: $(SITE)  ## the site in build/site: notebooks executed, links checked, warnings are errors; no network
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

docs-serve: $(SITE)  ## the site at http://127.0.0.1:8000, made again at every change
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs serve

rooms: install  ## draw docs/rooms.svg, the rooms of the house, from the imports of the code
	.ci/as-installed python $(CURDIR)/docs/rooms.py

# QUICK=--quick runs the quick forms, into runs/bench, and leaves results and page alone.
BENCHES = $(filter-out benchmarks/bench_cuda.py,$(wildcard benchmarks/bench_*.py)) benchmarks/algebras.py benchmarks/catalogue.py \
  benchmarks/growth.py
BENCHED := $(if $(QUICK),runs/bench,benchmarks/results)

bench: install  ## every benchmark; its targets beside its figures, in docs/performance.md too (an hour; QUICK=--quick: minutes)
	@mkdir -p $(BENCHED)
	for script in $(BENCHES); do echo "== $$script"; name=$$(basename $$script .py); \
	  $(BIN)/python $$script $(QUICK) --out $(BENCHED)/$${name#bench_}.json || exit 1; done
	$(BIN)/python benchmarks/performance.py $(BENCHED) $(if $(QUICK),,--page docs/performance.md)

results: install  ## the table of docs/results.md: five equations, two domains, three seeds
	$(BIN)/python benchmarks/bench_discovery.py --table docs/results.md

operators: install  ## the table of docs/operators.md: neural operators with and without symmetries
	$(BIN)/python benchmarks/operators.py --table docs/operators.md

PAPER := runs/paper
SEED ?= 0
paper: install  ## the paper's own route from nothing: every study at small with SEED=0, and its page, in runs/paper (an hour or two; SYMFLOW_DATA holds CIFAR-10)
	$(BIN)/symflow reproduce all --seed $(SEED) --out $(PAPER)/results --runs $(PAPER)
	$(BIN)/symflow reproduce page --out $(PAPER)/results --page $(PAPER)/paper.md

clean:  ## remove what was built and run, not .venv
	rm -rf build dist runs *.egg-info symflow/*.so
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +
	rm -f $(BUILD)

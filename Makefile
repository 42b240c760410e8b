# make demo   describe and explain drawn photos, or your own: make demo IMAGE=path/to/photo.jpg
# make test   the whole test suite, offline
# make lint   style, format, types
# make bench  time and memory per photo, against peers
# make demo-model DATA=path/to/ham10000 OUT=runs/demo    train the embedded model again
# make lock   write requirements.lock from pyproject.toml (UPGRADE=--upgrade: with the newest versions)
#
# Each of them installs into .venv first, once. Another Python: make demo PYTHON=python3.12

PYTHON ?= python3
IMAGE ?=
RESULTS ?= demo-output
DATA ?= data/ham10000
OUT ?= runs/demo
UPGRADE ?=

PIP = $(shell test -x .venv/bin/pip && echo .venv/bin/python -m pip || echo $(PYTHON) -m pip --python .venv/bin/python)
OFFLINE = HF_HUB_OFFLINE=1 DERMAXAI_OFFLINE=1

.PHONY: demo test lint bench demo-model lock clean
.DEFAULT_GOAL := demo

demo: .venv/ready
ifeq ($(IMAGE),)
	$(OFFLINE) .venv/bin/dermaxai phantom -n 3 -o $(RESULTS)/phantoms
	$(OFFLINE) .venv/bin/dermaxai explain $(RESULTS)/phantoms/phantom-????.png -o $(RESULTS)/cases
else
	$(OFFLINE) .venv/bin/dermaxai explain "$(IMAGE)" -o $(RESULTS)/cases
endif

test: .venv/ready
	$(OFFLINE) .venv/bin/python -m pytest -q

lint: .venv/ready
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy

bench: .venv/ready
	$(OFFLINE) .venv/bin/python -m benchmarks

demo-model: .venv/ready
	.venv/bin/python -m dermaxai.embedded recipes/demo.toml --data "$(DATA)" --out "$(OUT)"

.venv/ready: requirements.lock pyproject.toml | .venv/bin/python
	$(PIP) install --disable-pip-version-check --require-hashes -r requirements.lock
	$(PIP) install --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch .venv/ready

.venv/bin/python:
	$(PYTHON) -c "import sys; sys.version_info >= (3, 11) or sys.exit('Python 3.11 or newer is needed: make PYTHON=python3.11')"
	$(PYTHON) -m venv .venv || $(PYTHON) -m venv --clear --without-pip .venv

lock:
	$(PYTHON) -m venv build/lock
	build/lock/bin/pip install --quiet uv
	build/lock/bin/uv pip compile pyproject.toml --extra dev --extra dicom --universal --python-version 3.11 $(UPGRADE) --generate-hashes --no-header --no-annotate --no-emit-package dermaxai --quiet --output-file requirements.lock

clean:
	rm -rf .venv build demo-output

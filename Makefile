# `make` shows what there is to do. The set-up itself is in tools/bootstrap.py.
# Settings: PYTHON, PORT, HOST, BROWSER=no, TORCH=cpu, VENV, as in `make lab PORT=9000 BROWSER=no`.

NEW_ENOUGH = import sys; sys.exit(sys.version_info < (3, 11))
WHICH_ONE = import platform; print(platform.python_version())
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do \
	$$p -c '$(NEW_ENOUGH)' 2>/dev/null && echo $$p && exit; done; echo python3)
VENV ?= .venv
RUN = $(VENV)/bin/python
BOOT = @$(PYTHON) -c '$(NEW_ENOUGH)' 2>/dev/null || { \
	echo "vqlab needs Python 3.11 or newer, and $(PYTHON) is" \
	"$$($(PYTHON) -c '$(WHICH_ONE)' 2>/dev/null || echo missing): install it, or name one, as in" \
	"\`make lab PYTHON=/path/to/python3.11\`." >&2; exit 1; }; \
	$(PYTHON) tools/bootstrap.py

.PHONY: help lab test notebooks publish html kernel lint bench wheel clean env dev
.DEFAULT_GOAL := help

help: ## this list
	@grep -E '^[a-z]+:.*##' Makefile | sed -E 's/^([a-z]+):.*## /make \1\t/' | expand -t 18

lab: ## install if needed, then open the first notebook in JupyterLab
	$(BOOT) lab

test: lint ## install if needed, then check the style and run all tests
	$(RUN) -m pytest

notebooks: dev ## run every notebook again and save its real outputs
	$(RUN) tools/notebooks.py run
	$(RUN) tools/notebooks.py check

publish: dev ## write the address REPO=owner/name everywhere; REPO=none takes it back
	$(RUN) tools/publish.py $(if $(filter undefined,$(origin REPO)),,"$(or $(REPO),none)")

html: dev ## build dist/html, the series as a website that needs no network
	$(RUN) tools/website.py

kernel: ## build web/kernel.wasm of web/kernel.c again (needs clang and lld)
	clang --target=wasm32 -O3 -msimd128 -mbulk-memory -ffast-math -nostdlib -Wl,--no-entry \
		-Wl,--export=__heap_base -o web/kernel.wasm web/kernel.c

lint: dev ## style and types
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy

bench: dev ## speed of the quantiser and of Griffin-Lim, beside other libraries
	$(RUN) benchmarks/speed.py --out docs/results/speed.md

wheel: env ## build dist/vqlab_speech-*.whl, for Colab or another machine
	$(RUN) -m pip wheel --quiet --no-deps --wheel-dir dist .
	@ls dist/*.whl

clean: ## remove caches and builds; .venv and notebooks stay
	rm -rf dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find vqlab tests tools benchmarks -name __pycache__ -prune -exec rm -rf {} +

env:
	$(BOOT) env

dev:
	$(BOOT) dev

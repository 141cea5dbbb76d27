# Two commands: `make demo` and `make test`. Each makes the environment that it needs, once, and runs.

PYTHON ?= python3.11
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

export HF_HUB_OFFLINE := 1
export HF_HUB_DISABLE_TELEMETRY := 1
export TOKENIZERS_PARALLELISM := false

.PHONY: demo test lint check clean favor-tiny-links

demo: $(VENV)/.demo
	$(BIN)/favor demo

test: lint check

lint: $(VENV)/.test $(VENV)/mlinter.toml
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mlinter --rules-toml $(VENV)/mlinter.toml modeling_favor processing

# transformers' own linter, less two rules that only fit files inside transformers:
# TRF028 wants Hugging Face's licence header, TRF057 docstrings generated from transformers' tables.
$(VENV)/mlinter.toml: $(VENV)/.test
	sed -E '/^\[rules\.TRF0(28|57)\]/,/^default_enabled/ s/^(default_enabled = )true/\1false/' \
		"$$($(BIN)/python -c 'import mlinter; print(mlinter.__path__[0])')/rules.toml" > $@

# One process a core, one thread each: threads of several processes would wait for each other.
check: $(VENV)/.test $(VENV)/.browser
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n auto --dist loadfile -m "not slow"

# The bundled model runs the code of the two rooms: links, so that there is no copy; a wheel holds the files themselves.
favor-tiny-links:
	rm -f favor/favor_tiny/*.py
	cd favor/favor_tiny && ln -sf ../../modeling_favor/*_favor.py ../../processing/*_favor.py ../../processing/chat_template.jinja .

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(VENV)/.python:
	$(PYTHON) -m venv $(VENV)
	touch $@

# torch comes first and by its exact version: a range would let pip choose a newer build for another accelerator.
$(VENV)/.torch: constraints.txt | $(VENV)/.python
	$(PIP) "$$(grep '^torch==' constraints.txt)"
	touch $@

# The tests of `favor app` drive a browser, which pip cannot install.
$(VENV)/.browser: | $(VENV)/.python
	command -v chromium || command -v google-chrome || \
		{ test "$$(id -u)" = 0 && apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium; } || \
		{ echo "make test needs a browser: install the package chromium (or google-chrome) and try again."; exit 1; }
	touch $@

$(VENV)/.demo: setup.cfg constraints.txt $(VENV)/.torch
	$(PIP) -e .
	touch $@

$(VENV)/.test: setup.cfg constraints.txt $(VENV)/.torch
	$(PIP) -e '.[all,dev]'
	touch $@ $(VENV)/.demo

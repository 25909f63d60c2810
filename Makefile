# make demo    run all scenarios on the virtual clock (no root, no QEMU, no libvirt)
# make test    install what the tests need and run everything: lint, types, tests, coverage
# make help    the other targets

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK = 1

# Interpreters besides the one that made the virtual environment (tox skips what is not there).
OTHER_PYTHONS := $(wildcard $(HOME)/.pyenv/versions/3.11.*/bin/python3.11 $(HOME)/.pyenv/versions/3.12.*/bin/python3.12 $(HOME)/.pyenv/versions/3.13.*/bin/python3.13)

.PHONY: help demo test lint types unit pythons system-packages bench deep fuzz docs clean

help:
	@echo "make demo     run all of scenarios/ on the virtual clock and write a report"
	@echo "make test     lint, types, tests and coverage; installs what they need (also real QEMU, where it may)"
	@echo "make lint     ruff and codespell"
	@echo "make types    mypy --strict"
	@echo "make unit     the tests alone, without coverage"
	@echo "make pythons  the suite on the other Pythons found (3.11, 3.12, 3.13)"
	@echo "make bench    the benchmarks; prints figures, asserts nothing"
	@echo "make deep     the property tests with many more examples"
	@echo "make fuzz     an hour of anything at every door of the fake"
	@echo "make docs     write the generated pages of docs/ again"
	@echo "make clean    remove the virtual environment and caches"

demo: $(VENV)/demo.stamp
	@$(BIN)/virtsim run scenarios --clock virtual

test: system-packages $(VENV)/dev.stamp
	@PYTHON=$(BIN)/python sh tools/run_tests.sh "$(OTHER_PYTHONS)"

lint: $(VENV)/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell

types: $(VENV)/dev.stamp
	$(BIN)/mypy

unit: $(VENV)/dev.stamp
	$(BIN)/pytest -q -n 2

pythons: $(VENV)/dev.stamp
	$(BIN)/tox -q run -e py311,py312,py313 $(if $(OTHER_PYTHONS),--discover $(OTHER_PYTHONS))

bench: $(VENV)/dev.stamp
	$(BIN)/python benchmarks/monitor_workload.py
	$(BIN)/python benchmarks/api_starts.py
	$(BIN)/python benchmarks/fake_startup.py
	$(BIN)/python benchmarks/fake_scale.py
	$(BIN)/python benchmarks/fidelity.py

deep: $(VENV)/dev.stamp
	HYPOTHESIS_PROFILE=deep $(BIN)/pytest -q -n 2 --timeout 1800 tests/property

fuzz: $(VENV)/dev.stamp
	$(BIN)/python tools/fuzz.py --minutes 60

docs: $(VENV)/dev.stamp
	$(BIN)/python tools/gen_docs.py
	$(BIN)/python -m fakeqemu.tools.pages --write
	$(BIN)/python -m virtsim.sim.schema --write

system-packages:
	@sh tools/system_packages.sh

$(VENV)/bin/python:
	@sh tools/make_venv.sh "$(PYTHON)" "$(VENV)"

$(VENV)/demo.stamp: $(VENV)/bin/python pyproject.toml
	@echo "installing virtsim into $(VENV) ..."
	@$(BIN)/python -m pip install -qq --editable . || { sh tools/pip_help.sh; exit 3; }
	@touch $@

$(VENV)/dev.stamp: $(VENV)/bin/python pyproject.toml
	@echo "installing virtsim and what its tests need into $(VENV) ..."
	@$(BIN)/python -m pip install -qq --editable '.[dev]' || { sh tools/pip_help.sh; exit 3; }
	@touch $@ $(VENV)/demo.stamp

clean:
	rm -rf $(VENV) .tox .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage*

# make install | run | test | test-slurm | lint | bench | docs | config ; pip uses whatever index the user has configured
.PHONY: install run test test-slurm lint bench docs config
BIN := .venv/bin

install: .venv/.installed

run: .venv/.installed
	$(BIN)/snakemake --profile profiles/local

# the tests on Slurm have the machine to themselves
test: .venv/.installed
	$(BIN)/pytest -q -n auto --maxprocesses 4 --dist loadfile -m 'not slurm'
	$(BIN)/pytest -q -m 'slurm and smoke'

# needs root on Debian: installs Slurm and starts four emulated nodes
test-slurm: .venv/.installed
	$(BIN)/pytest -q -m slurm

lint: .venv/.installed
	$(BIN)/ruff check && $(BIN)/ruff format --check && $(BIN)/mypy && $(BIN)/lint-imports && $(BIN)/snakefmt --check Snakefile workflow

bench: .venv/.installed
	mkdir -p results && $(BIN)/python -m benchmarks > results/benchmarks.md && cat results/benchmarks.md

docs: .venv/.installed
	$(BIN)/mkdocs build --strict

config: .venv/.installed
	$(BIN)/python docs/generate.py

.venv/.installed: pyproject.toml constraints.txt
	python3 -m venv .venv && $(BIN)/pip install -q -c constraints.txt -e '.[slurm,dev,docs]' && touch $@

# make demo: the main job on embedded defaults.  make test: the tests.  make lint: what CI checks first.
# make docs: the site in site/, with the tutorials executed.  make audit: known vulnerabilities of the pinned packages.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: demo test lint docs audit clean

$(VENV)/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("microdesign needs Python 3.11 or later, this is " + sys.version.split()[0] + "; set PYTHON=") if sys.version_info < (3, 11) else 0'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

demo: $(VENV)/.installed
	$(BIN)/microdesign demo $(ARGS)

test: $(VENV)/.installed
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 2 --dist loadgroup $(ARGS)

lint: $(VENV)/.installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	@# jobs/ and serving/ are installed as parts of microdesign; through these links mypy sees them there.
	@rm -rf build/mypy && mkdir -p build/mypy/microdesign
	@ln -s $(CURDIR)/platform/microdesign/* $(CURDIR)/jobs $(CURDIR)/serving build/mypy/microdesign/
	MYPYPATH=build/mypy $(BIN)/mypy
	$(BIN)/codespell

$(VENV)/.installed-docs: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[docs]'
	touch $@

docs: $(VENV)/.installed-docs
	NO_MKDOCS_2_WARNING=1 DOCS_EXECUTE=true OMP_NUM_THREADS=1 $(BIN)/python -m mkdocs build --strict $(ARGS)

audit:
	.ci/audit

clean:
	rm -rf $(VENV) build site microdesign-demo runs mlflow.db mlartifacts

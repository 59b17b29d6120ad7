# Plain venv and pip, nothing else assumed. PIP_ARGS reaches pip, e.g. with the address of PyTorch's public CPU index:
#   make install PIP_ARGS="--extra-index-url CPU_INDEX"
PYTHON ?= python3
BIN := .venv/bin
PACKAGES := $(wildcard packages/*) $(wildcard apps/*)
EDITABLE := $(foreach package,$(PACKAGES),-e $(package))
# All that the tests touch; a user installs less.
EXTRAS := -e "packages/core[train,qlora]" -e "packages/series[hub,statsmodels,gluonts,aeon]" \
	-e "packages/bench[baselines,ray,gluonts]" -e "packages/prompts[parquet]" \
	-e "packages/teacher[aiohttp,minhash,parquet,plot,serving,testing]" -e "packages/language[hub,parquet,plot,qlora]" \
	-e "packages/units[qlora]"
PYTEST := $(BIN)/python -m pytest -q -n 2 --dist worksteal

.PHONY: install demo test test-slow lint wheels bench-speed clean

install: .venv/installed

# The stamp is newer than what it was installed from, so a second `make` installs nothing.
.venv/installed: constraints.txt requirements-dev.txt $(addsuffix /pyproject.toml,$(PACKAGES))
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Stillroom needs Python 3.11 or newer: make $@ PYTHON=/path/to/python3.11"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q --disable-pip-version-check $(PIP_ARGS) -c constraints.txt \
		$(EDITABLE) $(EXTRAS) -r requirements-dev.txt
	@touch $@

demo: install
	$(BIN)/stillroom demo $(if $(CHAPTER),--chapter $(CHAPTER))

test: install
	$(PYTEST)

test-slow: wheels
	$(PYTEST) -m slow

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy $(addsuffix /src,$(PACKAGES))

wheels: install
	rm -rf dist
	for package in . $(PACKAGES); do \
		$(BIN)/python -m build --wheel --no-isolation --outdir dist $$package > dist.log 2>&1 || { cat dist.log; exit 1; }; \
	done; rm -f dist.log
	@ls dist

bench-speed: install
	@for script in benchmarks/speed/*.py; do echo "== $$script"; $(BIN)/python $$script || exit 1; done

clean:
	rm -rf .venv dist out

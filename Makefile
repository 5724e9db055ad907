# hmexp: `make sweep` measures, `make test` tests. Both install what they need first (tools/bootstrap.sh).
#
#   make sweep SWEEP="-p size 128MiB -y 'patterns: [\"0\", \"0,2\", \"2\"]'"
#   make test TEST="-k pattern"
#   make test JOBS=0 TEST="-x --pdb tests/store"
#   make setup PYTHON=python3.12

.DEFAULT_GOAL := help
.PHONY: help setup sweep placers granularity curves redis proof-at-scale test lab-test lab-debug lint known-answers
.PHONY: bench screenshot example gallery docs clean

# Another active environment must not leak into ours.
unexport PYTHONHOME PYTHONPATH VIRTUAL_ENV JUPYTER_PATH

# Arguments for papermill, and for pytest; quoted as in a shell.
SWEEP ?=
STUDY ?=
TEST ?=
# Notebooks of `make screenshot` (notebooks/explore.ipynb if none), arguments of tools/gallery.py and of Sphinx.
NOTEBOOKS ?=
GALLERY ?=
DOCS ?=
# Processes of `make test`: many tests wait, for a kernel of Jupyter or a killed child, so one more than CPUs.
JOBS ?= $(shell n=$$(nproc); echo $$((n < 7 ? n + 1 : 8)))
# `yes`: with the tests that take many seconds of a CPU each, most of them notebooks and killed sweeps, and with all
# examples of a property, not a quarter.
SLOW ?= no
# Kernels of `make lab-test`, and how long each is under stress [s].
KERNELS ?= 5.10 6.1 6.12 7.3
STRESS ?= 180
# Virtual machines of `make lab-test` at once: each takes a CPU while it is up.
LAB_JOBS ?= 1
# `no`: without the lab's tests that take minutes each, and the one that `make test` has run.
LONG ?= yes
# The kernel of `make lab-debug`: a version that the distribution has, a source tree or tarball; and where it is built.
DEBUG_SOURCE ?= 6.1
DEBUG_BUILD ?= build/debug-kernel

# Passed on only if the user chose one: otherwise an existing .venv keeps the Python that it was made with.
ifdef PYTHON
export PYTHON
endif

python := .venv/bin/python

help: ## show this list
	@sed -n 's/^\([a-z-]*\):.*## /\1	/p' Makefile | while IFS='	' read -r target text; do printf '  make %-14s %s\n' "$$target" "$$text"; done

setup: ## install what is missing: system packages, .venv, hmexp and its C core
	@tools/bootstrap.sh

sweep: setup ## run the notebook's sweep and write results/RUN/report.html (SWEEP="-p size 128MiB ...")
	@tools/sweep.sh $(SWEEP)

placers: setup ## run notebooks/placers.ipynb: what each placer costs and survives (STUDY="-p size 16MiB ...")
	@mkdir -p results
	$(python) -m papermill notebooks/placers.ipynb results/placers.ipynb $(STUDY)

redis: setup ## run notebooks/redis.ipynb: may a Redis live on hybrid memory? (needs redis-server, libhiredis-dev)
	@mkdir -p results
	$(python) -m papermill notebooks/redis.ipynb results/redis.ipynb $(STUDY)

granularity: setup ## run notebooks/granularity.ipynb: how fine the grain must be (STUDY="-p size 1GiB ...")
	@mkdir -p results
	$(python) -m papermill notebooks/granularity.ipynb results/granularity.ipynb $(STUDY)

curves: setup ## run notebooks/curves.ipynb: latency against bandwidth for each mix (STUDY="-p size 1GiB ...")
	@mkdir -p results
	$(python) -m papermill notebooks/curves.ipynb results/curves.ipynb $(STUDY)

proof-at-scale: setup ## what the proof costs beside populating 16 GiB (a quiet machine, minutes; as root)
	$(python) benchmarks/proof_at_scale.py

test: lint ## lint, then all tests but slow ones and the lab's, of which one boots the module (TEST="-k pattern ...")
	$(python) -m pytest -n $(JOBS) --dist worksteal -m "(not lab or one_boot)$(if $(filter no,$(SLOW)), and not slow)" --durations=12 $(TEST)

lab-test: setup ## the virtual machine's tests on every kernel of KERNELS, stress for minutes (some GB of downloads)
	@set -e; for kernel in $(KERNELS); do \
		echo "== Linux $$kernel"; \
		HMEXP_LAB_REQUIRED=1 HMEXP_LAB_TEST_KERNEL=$$kernel HMEXP_LAB_STRESS=$(STRESS) \
			$(python) -m pytest -m "lab$(if $(filter no,$(LONG)), and not long and not one_boot)" --durations=12 \
			$(if $(filter-out 1,$(LAB_JOBS)),-n $(LAB_JOBS) --dist load --maxschedchunk 1) tests/lab $(TEST); \
	done

lab-debug: setup ## the module's tests on a kernel that finds mistakes, and with failing allocations (builds it: 2 GB; hours)
	kernel_module/tests/debug-kernel.sh $(DEBUG_SOURCE) $(DEBUG_BUILD)
	STRESS=$(STRESS) HMEXP=.venv/bin/hmexp kernel_module/tests/debug-run.sh $(DEBUG_BUILD)

lint: setup ## ruff and mypy
	$(python) -m ruff check .
	$(python) -m ruff format --check .
	$(python) -m mypy

known-answers: setup ## are emulated nodes measured as they were set? (a quiet machine, minutes)
	$(python) benchmarks/known_answers.py

bench: setup ## hmexp against likwid, mbw, sysbench and a second chase, as ratios (a quiet machine, minutes)
	@status=0; for part in peers latency_peers; do $(python) benchmarks/$$part.py || status=1; done; exit $$status

screenshot: setup ## run a notebook in JupyterLab in a headless Chromium, keep pictures (NOTEBOOKS="notebooks/report.ipynb")
	@$(python) -c 'import selenium' 2>/dev/null || $(python) -m pip install -qq $$($(python) -c \
		'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["browser"])')
	$(python) tools/jupyterlab_screenshot.py $(NOTEBOOKS)

example: setup ## measure the committed results/example again (a quiet machine, minutes)
	@tools/example.sh

gallery: setup ## draw the pictures of docs/gallery.md again (GALLERY="--screenshot FILE.png")
	$(python) tools/gallery.py $(GALLERY)

# The environment is read anew each time, so that no warning hides behind a page that has not changed.
docs: setup ## build the documentation as a site, build/docs/index.html (DOCS="-v")
	@$(python) -c 'import furo, myst_nb, numpydoc, sphinx_copybutton, sphinx_design' 2>/dev/null || \
		$(python) -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["docs"], sep="\n")' | \
		$(python) -m pip install -qq -r /dev/stdin
	$(python) -m sphinx -b html -E -W --keep-going -q -d build/docs-doctrees $(DOCS) docs build/docs
	@echo "Documentation: build/docs/index.html"

clean: ## remove everything that is built or installed here; results/ stays
	rm -rf .venv .make build dist docs/reference/api docs/notebooks/*.ipynb *.egg-info .pytest_cache .hypothesis .mypy_cache .ruff_cache
	find hmexp -name '_core*.so' -delete
	find hmexp tests tools -name __pycache__ -type d -prune -exec rm -rf {} +

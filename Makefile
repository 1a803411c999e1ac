# Every target sets up .venv by itself; git, make and Python 3.11 or newer are all it takes.
# The same steps as plain commands are in README.md.

# Which Python makes .venv: `make PYTHON=/path/to/python course`. Empty: the first good one on PATH.
PYTHON ?=
# How many pages of the book run at once; and how many tests, some of which only wait for a time to be over.
JOBS ?= 2
WORKERS ?= $(shell expr $(JOBS) + 1)
# Where `make serve` listens.
PORT ?= 8000
# More arguments for pytest: `make test ARGS='-k momentum'`.
ARGS ?=

# The pages' numbers must not depend on the machine's number of cores or on a hash seed.
export OMP_NUM_THREADS ?= 2
export PYTHONHASHSEED := 0
export PIP_DISABLE_PIP_VERSION_CHECK := 1

READY := .venv/.ready
STAMPS := _build/.stamps
# What a target starts finds the tools of .venv, and no others of the same name.
RUN := PATH="$(CURDIR)/.venv/bin:$$PATH"

# Folders count too where a deleted file must be noticed (`book/.`: `book` alone is a target's name).
files = $(shell find $(1) -name __pycache__ -prune -o -name '.?*' -prune -o -type f -print 2>/dev/null)
files_and_folders = $(shell find $(1) -name __pycache__ -prune -o -name '.?*' -prune -o -print 2>/dev/null)
LIBRARY := $(call files,ravines)
GRADER := $(call files,autograde solutions)
PAGES := $(wildcard _config.yml _toc.yml) $(call files_and_folders,book/.)
# What the pages read when they run, besides their own text.
INPUTS := $(LIBRARY) $(wildcard book/*.csv) $(call files,data experiments benchmarks/results) requirements.txt

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup course course-parts book test lab serve release lint lint-style lint-spelling \
	lint-workflows lint-notebooks lint-lock lock bench clean distclean FORCE

help: ## print this list
	@echo 'make TARGET, where TARGET is one of:'
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' Makefile | while IFS='|' read -r name text; do \
		printf '  %-10s %s\n' "$$name" "$$text"; done

# A .venv that was made for another folder (a copied or moved checkout) points at that folder: set it up anew.
ifneq ($(shell cat $(READY) 2>/dev/null),$(CURDIR))
$(READY): FORCE
endif
$(READY): requirements.txt pyproject.toml tools/setup.sh
	@PYTHON='$(PYTHON)' sh tools/setup.sh

setup: $(READY) ## make or update .venv, and nothing else
	@echo '.venv is ready.'

course: ## release the notebooks, build the book, grade the sample class
	@start=$$(date +%s); \
	$(MAKE) --no-print-directory course-parts || exit $$?; \
	echo; \
	echo "The course stands ($$(( $$(date +%s) - start )) s). Where to look:"; \
	echo '  the book      _build/html/index.html   (or: make serve)'; \
	$(if $(OURS),echo '  the grades    _build/grades/grades.csv'; \
	echo '  the feedback  _build/grades/feedback/<student>/<assignment>.html';) \
	echo '  an assignment make lab, then open momentum/momentum.ipynb'

# A student's copy of the course has no solutions: there the notebooks are as they came, and nothing is graded.
OURS := $(wildcard solutions)

course-parts: $(STAMPS)/release $(STAMPS)/book $(if $(OURS),$(STAMPS)/grades)

# A student's work in notebooks/ must survive a new release: what git reports as edited is kept beside it.
$(STAMPS)/release: $(READY) $(LIBRARY) $(GRADER)
	@mkdir -p $(STAMPS)
	@git diff --name-only -- notebooks 2>/dev/null | while read -r notebook; do \
		[ -f "$$notebook" ] || continue; \
		kept="$$(dirname "$$notebook")/.ipynb_checkpoints/$$(date +%Y-%m-%d-%H-%M-%S).ipynb"; \
		mkdir -p "$$(dirname "$$kept")" && cp "$$notebook" "$$kept" || exit 1; \
		echo "$$notebook had been edited: your copy is $$kept"; done
	$(if $(OURS),$(RUN) autograde release)
	@touch $@

release: $(READY) ## generate notebooks/ from solutions/
	@rm -f $(STAMPS)/release
	@$(MAKE) --no-print-directory $(STAMPS)/release

# The execution cache knows a page by its cells alone: when something that they read has changed, every page
# must run again.
$(STAMPS)/inputs: $(INPUTS)
	@mkdir -p $(STAMPS)
	@rm -rf _build/.jupyter_cache _build/.doctrees
	@touch $@

# The published numbers are a CPU's, on a machine with a GPU, too: the tests run every page again and compare.
$(STAMPS)/book: $(READY) $(PAGES) $(STAMPS)/inputs $(STAMPS)/release
	$(RUN) CUDA_VISIBLE_DEVICES= python tools/run_pages.py --jobs $(JOBS)
	$(RUN) CUDA_VISIBLE_DEVICES= jupyter-book build . -W --keep-going
	@touch $@

book: $(STAMPS)/book ## build the book alone, into _build/html

# The sample class by content: students' file names have spaces, which make cannot depend on.
$(STAMPS)/class: FORCE
	@mkdir -p $(STAMPS)
	@find examples -type f -exec cksum {} + | sort > $@.new
	@if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi

# `grade` ends with 1 when a submission has problems, as the sample class must. A crash may end with 1
# too, but then there is no new table of grades.
$(STAMPS)/grades: $(READY) $(LIBRARY) $(GRADER) $(STAMPS)/class | $(STAMPS)/release
	@rm -f _build/grades/grades.csv
	$(RUN) autograde grade examples/submissions --out _build/grades --cell-timeout 10; \
	code=$$?; [ $$code -le 1 ] || exit $$code; \
	[ -s _build/grades/grades.csv ] || { echo 'autograde grade wrote no grades.csv' >&2; exit 2; }
	@touch $@

# Lint comes first: the release would hide a notebook that was committed stale. Each test has one core: with more threads
# than that, small tensors wait for each other most of the time.
test: $(READY) lint $(STAMPS)/release $(STAMPS)/book ## lint, then all tests
	$(RUN) OMP_NUM_THREADS=1 python -m pytest -n $(WORKERS) --dist loadscope --no-loadscope-reorder $(ARGS)

# Students write in copies under work/, which git ignores: no release or update ever touches them.
lab: $(READY) $(STAMPS)/release ## open JupyterLab on your own copies of the student notebooks (in work/)
	@for notebook in notebooks/*/*.ipynb; do \
		mine="work/$${notebook#notebooks/}"; \
		[ -e "$$mine" ] || { mkdir -p "$$(dirname "$$mine")" && cp "$$notebook" "$$mine"; } || exit 1; done
	$(RUN) jupyter lab --ServerApp.root_dir=work $$([ "$$(id -u)" = 0 ] && echo --allow-root)

serve: $(STAMPS)/book ## serve the book on this machine
	@echo 'The book: http://localhost:$(PORT)/   (Ctrl-C ends it)'
	@$(RUN) python -m http.server --directory _build/html --bind localhost $(PORT) >/dev/null

lint: lint-style lint-spelling lint-workflows lint-notebooks lint-lock ## style, spelling, workflows, notebooks and lock

lint-style: $(READY)
	@$(RUN) ruff check .
	@$(RUN) ruff format --check .

lint-spelling: $(READY)
	@$(RUN) codespell

lint-workflows: $(READY)
	@$(RUN) python tools/actionlint.py .github/workflows; \
	code=$$?; [ $$code -eq 3 ] || exit $$code  # 3: no actionlint to be had here; it has said so

# Where they are current, there is nothing to release.
lint-notebooks: $(READY)
	@$(RUN) autograde release --check
	@mkdir -p $(STAMPS) && touch $(STAMPS)/release

lint-lock: $(STAMPS)/lock

$(STAMPS)/lock: $(READY)
	@mkdir -p $(STAMPS)
	@$(RUN) sh tools/lock.sh --check
	@touch $@

lock: $(READY) ## write requirements.txt anew from pyproject.toml, keeping the pins that still fit
	@$(RUN) sh tools/lock.sh

bench: $(READY) ## run every benchmark
	@ran=no; for script in benchmarks/*.py; do \
		[ -e "$$script" ] || continue; \
		ran=yes; echo "$$script"; $(RUN) python "$$script" || exit $$?; done; \
	[ $$ran = yes ] || echo 'There is no benchmark yet (benchmarks/*.py).'

clean: ## remove what was built, but not .venv
	rm -rf _build .pytest_cache .ruff_cache *.egg-info
	find . -path ./.venv -prune -o -path ./.git -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean ## clean, and remove .venv
	rm -rf .venv

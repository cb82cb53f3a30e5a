# make book · serve · site · bundle · pdf · slides · test · check-site · check-links · colab-check · notebooks · check-lesson
# make assignments · autograde · grades · quizzes · bench · search · lint · fork
# Everything is installed into .venv, once, and again when the requirements change.

PROFILE ?= reference
BACKEND ?= torch
PORT ?= 8000
PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3.13 || command -v python3)
# For a machine without a GPU: make book PIP_ARGS="--extra-index-url https://download.pytorch.org/whl/cpu"
PIP_ARGS ?=

BIN := .venv/bin
INSTALLED := .venv/installed

.PHONY: book serve site bundle pdf slides test check-site check-links colab-check check-lesson notebooks lint
.PHONY: assignments autograde grades quizzes bench search fork clean install

# SOLUTIONS=0 leaves the solutions out; EDITIONS=1 links every page to the other edition (make site builds both).
SOLUTIONS ?= 1
EDITIONS ?= 0
HTML := _build/$(if $(filter 0,$(SOLUTIONS)),without-solutions/_build/)$(PROFILE)-$(BACKEND)/html

book: $(INSTALLED)
	$(BIN)/python -m booktools.build --profile $(PROFILE) --backend $(BACKEND) \
		$(if $(filter 0,$(SOLUTIONS)),--without-solutions) $(if $(filter 1,$(EDITIONS)),--both-editions)

serve: book
	@echo "Serving on http://127.0.0.1:$(PORT) (stop with Ctrl-C)"
	$(BIN)/python -m http.server $(PORT) --bind 127.0.0.1 --directory $(HTML)

site: $(INSTALLED)
	$(BIN)/python -m booktools.publish --profile $(PROFILE)

# For rooms without a network; WHEELS=1 adds the packages.
bundle: $(INSTALLED)
	$(BIN)/python -m booktools.publish --profile $(PROFILE) --bundle $(if $(WHEELS),--wheels)

pdf: $(INSTALLED)
	$(BIN)/python -m booktools.pdf --profile $(PROFILE) --backend $(BACKEND) \
		$(if $(filter 0,$(SOLUTIONS)),--without-solutions)

# From the lessons as make book executed them last.
slides: $(INSTALLED)
	$(BIN)/python -m booktools.slides $(LESSON) --profile $(PROFILE) --backend $(BACKEND) --check

check-site: $(INSTALLED)
	$(BIN)/python -m booktools.check_site $(HTML)

# External links; the only check that needs the network.
check-links: $(INSTALLED)
	$(BIN)/python -m booktools.build --profile $(PROFILE) --backend $(BACKEND) --links

colab-check: $(INSTALLED)
	$(BIN)/python -m booktools.colab $(if $(LESSON),--lessons $(LESSON))

# COURSE is a folder for a term's work, if not _build/assignments; FORMAT is moodle or canvas.
FORMAT ?= moodle

assignments: $(INSTALLED)
	$(BIN)/python -m booktools.assignments $(if $(COURSE),--course $(COURSE))

autograde: $(INSTALLED)
	$(BIN)/python -m booktools.assignments --autograde $(if $(COURSE),--course $(COURSE))

grades: $(INSTALLED)
	$(BIN)/python -m booktools.assignments --grades $(FILE) --format $(FORMAT) $(if $(COURSE),--course $(COURSE))

# In Moodle's GIFT format.
quizzes: $(INSTALLED)
	$(BIN)/python -m booktools.quiz_export $(LESSON)

test: $(INSTALLED)
	$(BIN)/python -m booktools.suite

check-lesson: $(INSTALLED)
	$(BIN)/python -m booktools.suite --lesson $(LESSON)

notebooks: $(INSTALLED)
	$(BIN)/python -m booktools.twins $(LESSON)

lint: $(INSTALLED)
	$(BIN)/python -m booktools.suite lint

bench: $(INSTALLED)
	$(BIN)/python -m benchmarks.speed

# Ctrl-C stops it, and the same command goes on. SPACE is a file with build(trial) and data().
SPACE ?= benchmarks/search_digits.py
TRIALS ?= 40
WORKERS ?= 1

search: $(INSTALLED)
	$(BIN)/python -m aelib.search $(SPACE) --trials $(TRIALS) --workers $(WORKERS) $(if $(STORAGE),--storage $(STORAGE))

fork: $(INSTALLED)
	$(BIN)/python -m booktools.twins --fork "$(URL)" $(if $(HUB),--hub "$(HUB)") $(if $(BRANCH),--branch "$(BRANCH)")

install: $(INSTALLED)

$(INSTALLED): requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || \
		{ echo "Python 3.11 to 3.13 is needed; name one with: make PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet $(PIP_ARGS) -r requirements.txt
	$(BIN)/python -m pip install --quiet --no-deps -e .
	touch $@

clean:
	rm -rf _build build *.egg-info .pytest_cache .ruff_cache .hypothesis

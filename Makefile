# boots-from in its checkout. "make" alone lists the targets.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules --no-print-directory

# The URL reaches the shell through the environment, as it was typed: neither make nor the shell
# expands the $ of an iPXE setting or runs what stands in it.
unexport URL
export BOOTS_FROM_URL = $(value URL)
# For hosts whose apt knows no Debian: see template/apt.py.
export DEBIAN_MIRROR

# Debian's users have no sbin on their PATH, where dnsmasq and the partition tools are.
export PATH := $(PATH):/usr/sbin:/sbin

TEMPLATE := src/boots_from/template.iso
OUTPUT := $(shell sed -n 's/^OUTPUT = "\(.*\)"$$/\1/p' src/boots_from/cli.py)
# -P: no module comes from the current directory. The environment is for the tests and releases: baking, the template and
# the page need the standard library alone, and take the host's Python.
PYTHON := .venv/bin/python -P
HOST_PYTHON := PYTHONPATH=src:. python3 -P
# A lock holds all that is installed: pip is not to look for what a package asks for, since older ones (23.2, of Python 3.11)
# take the newest there, where a package with an extra is asked for, and then miss its hash.
LOCKED := $(PYTHON) -m pip install --quiet --no-deps --require-hashes --requirement
# The environment holds its own place and Python's version: it is made anew where the checkout was copied or moved, and
# after an upgrade. One that is a link is somebody's own.
MADE_FOR := { pwd -P; python3 -I -c 'import sys; print(sys.version)'; }
STALE := $(shell test -L .venv || { $(MADE_FOR) 2>&1 | cmp -s - .venv/created; } || echo stale)
# Software emulation takes a core for each machine, but machines wait, too: one more test than cores.
PYTEST := $(PYTHON) -m pytest -n $(shell expr $$(nproc) + 1) --dist worksteal
# Custom files in the template: docs/forking.md.
OVERRIDES := $(shell sed -n "s/^ *file *= *[\"']\([^\"']*\).*/\1/p" template/packages.toml)

.PHONY: again help iso url-given template machines test test-all integration soak screens matrix compatibility commands layout lint unit boot bench web release update-packages clean

help:
	@echo "make iso URL='http://bootserver/boot'   write ./$(OUTPUT); sets up what is missing"
	@echo "                (where apt knows no Debian, as on Ubuntu: DEBIAN_MIRROR=http://MIRROR/debian)"
	@echo "make test       install what the tests need, and run them, but for the slow combinations"
	@echo "make test-all   the same, with the slow combinations too"
	@echo "make integration    boot machines from real boot servers, fetched from Debian, PyPI and npm"
	@echo "make soak       boot sixty times in a row, and fail 480 times before it boots"
	@echo "make screens    make the pictures in docs/screens again, from real boots"
	@echo "make matrix     boot every machine from every medium; writes docs/matrix.md"
	@echo "make compatibility   boot newer firmware and every network card; writes docs/firmware.md"
	@echo "make commands   boot each build of iPXE; writes docs/commands.md"
	@echo "make layout     the tables of docs/layout.md, from the image"
	@echo "make lint       ruff and mypy"
	@echo "make unit       the quick tests of src/: half a minute, with nothing but Python"
	@echo "make boot       the tests that boot machines"
	@echo "make bench      how long, how large, against what"
	@echo "make web        the page that bakes in a browser: ./dist/boots-from.html"
	@echo "make release    what a release consists of, in ./dist"
	@echo "make update-packages       pin the newest firmware; shows features and sizes before and after"
	@echo "make template   lay out the template again if its sources changed"
	@echo "make clean      remove all that make made"

iso: url-given $(TEMPLATE)
	@python3 src "$$BOOTS_FROM_URL"

url-given:
	@test -n "$$BOOTS_FROM_URL" || { echo "make iso: no URL: run make iso URL='http://bootserver/boot'" >&2; exit 2; }

template: $(TEMPLATE)

$(TEMPLATE): $(wildcard template/*.py template/*.s) template/packages.toml src/boots_from/image.py $(OVERRIDES)
	@test -w . || { echo "make: can't write to $$(pwd): use a checkout that you may write to" >&2; exit 2; }
	@template/install-dependencies iso
	@$(HOST_PYTHON) -m template

# One that is not there is for the template to complain of.
$(OVERRIDES):

# The .pth file is what "pip install --editable" writes, too; but that wants hatchling, from PyPI.
.venv/created: $(if $(STALE),again)
	@template/install-dependencies venv
	@echo "Python environment .venv"
	@python3 -I -m venv --clear .venv
	@printf '../../../../src\n../../../..\n' \
		> "$$($(PYTHON) -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/checkout.pth"
	@$(MADE_FOR) > $@

.venv/tools-installed: requirements/dev.txt .venv/created $(TEMPLATE)
	@echo "Python tools for tests and packages"
	@$(LOCKED) $<
	@touch $@

.venv/release-tools: requirements/release.txt .venv/created $(TEMPLATE)
	@echo "Python tools for packages"
	@$(LOCKED) $<
	@touch $@

machines: .venv/tools-installed
	@template/install-dependencies test

matrix: machines
	$(PYTHON) -m docgen.matrix_table

compatibility: machines
	$(PYTHON) -m docgen.compatibility

commands: machines
	$(PYTHON) -m docgen.ipxe_commands

layout: $(TEMPLATE)
	$(HOST_PYTHON) -m docgen.layout_tables

lint: .venv/tools-installed
	$(PYTHON) -m ruff check
	$(PYTHON) -m ruff format --check
	$(PYTHON) -m mypy
	.venv/bin/zizmor --offline --quiet .github
	$(PYTHON) -m check_jsonschema --quiet --builtin-schema vendor.github-workflows .github/workflows/*.yml

test: lint machines
	$(PYTEST) --durations 5 -m "not thorough and not integration" --cov --cov-report=term

test-all: lint machines
	$(PYTEST) --durations 5 -m "not integration"

integration: machines
	@template/install-dependencies integration
	$(PYTEST) --durations 5 --override-ini tmp_path_retention_policy=failed tests/integration

soak: machines
	$(PYTHON) -m bench.soak

screens: machines
	$(PYTHON) -m docgen.screenshots

# Of src/, with nothing but Python and the template.
unit: .venv/tools-installed
	$(PYTEST) $(addprefix tests/unit/test_,boot_url.py image.py served_image.py cli.py)

boot: machines
	$(PYTEST) tests/boot

bench: machines
	$(PYTHON) -m bench

web: $(TEMPLATE)
	$(HOST_PYTHON) -m web

release: .venv/release-tools
	$(PYTHON) -m release

update-packages: machines
	$(PYTHON) -m release.update_packages

clean:
	rm -rf .venv build dist $(TEMPLATE) $(OUTPUT) .hypothesis .mypy_cache .pytest_cache .ruff_cache

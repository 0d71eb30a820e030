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
# Custom files in the template: docs/how-to/customise.md.
OVERRIDES := $(shell sed -n "s/^ *file *= *[\"']\([^\"']*\).*/\1/p" template/packages.toml)

.PHONY: again help iso url-given template machines test test-all integration soak screens matrix compatibility commands layout lint unit boot bench web site release update-packages clean

help:
	@echo "make iso URL='http://boot.example.com/boot'   write ./$(OUTPUT); sets up what is missing"
	@echo "                     (if apt has no Debian packages, as on Ubuntu: DEBIAN_MIRROR=http://MIRROR/debian)"
	@echo "make test            install the tools of the tests, and run all tests but the slow combinations"
	@echo "make test-all        run the slow combinations also"
	@echo "make integration     boot machines from real boot servers, fetched from Debian, PyPI and npm"
	@echo "make soak            boot sixty times in a row, and fail 480 times before a boot"
	@echo "make unit            the quick tests of src/: half a minute, with Python only"
	@echo "make boot            the tests that boot machines"
	@echo "make lint            ruff, mypy, and the workflows"
	@echo "make bench           times and sizes"
	@echo "make screens         the pictures in docs/screens, from real boots"
	@echo "make matrix          docs/reference/matrix.md: boots every machine from every medium"
	@echo "make compatibility   docs/reference/compatibility.md: boots newer firmware and every network card"
	@echo "make commands        docs/reference/ipxe-commands.md: boots each build of iPXE"
	@echo "make layout          the tables of docs/explanation/layout.md, from the image"
	@echo "make site            the documentation site: build/site; a dead link is an error"
	@echo "make web             the page that writes images in a browser: dist/boots-from.html"
	@echo "make release         the release files, in dist/"
	@echo "make update-packages pin the newest packages; shows features and sizes before and after"
	@echo "make template        build the template again if its sources changed"
	@echo "make clean           remove everything that make made"

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

.venv/site-tools: requirements/site.txt .venv/created $(TEMPLATE)
	@echo "Python tools for the documentation site"
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
	$(PYTHON) -m check_jsonschema --quiet --builtin-schema vendor.github-issue-config .github/ISSUE_TEMPLATE/config.yml
	$(PYTHON) -m check_jsonschema --quiet --builtin-schema vendor.github-issue-forms .github/ISSUE_TEMPLATE/[0-9]*.yml

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

site: .venv/site-tools
	$(PYTHON) -m docgen.site

release: .venv/release-tools
	$(PYTHON) -m release

update-packages: machines
	$(PYTHON) -m release.update_packages

clean:
	rm -rf .venv build dist $(TEMPLATE) $(OUTPUT) .hypothesis .mypy_cache .pytest_cache .ruff_cache

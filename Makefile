# make without a target lists the targets.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules --no-print-directory

# The URL is passed to the shell in the environment, exactly as typed, so that neither make nor the shell expands the $
# of an iPXE setting or runs commands in it.
unexport URL
export BOOTS_FROM_URL = $(value URL)
# The user sets it where apt has no Debian mirror: see template/apt.py.
export DEBIAN_MIRROR

# dnsmasq and the partition tools are in sbin, which is not on the PATH of a normal Debian user.
export PATH := $(PATH):/usr/sbin:/sbin

TEMPLATE := src/boots_from/template.iso
OUTPUT := $(shell sed -n 's/^OUTPUT = "\(.*\)"$$/\1/p' src/boots_from/cli.py)
# -P: don't import modules from the current directory. Only tests and releases need the environment. Baking, the
# template and the web page need only the standard library, and use the Python of the host.
PYTHON := .venv/bin/python -P
HOST_PYTHON := PYTHONPATH=src:. python3 -P
# A lock file lists everything to install, so pip must not resolve dependencies: older versions (23.2, with Python 3.11)
# look for the newest version of a package that is required with an extra, and then find no hash for it.
LOCKED := $(PYTHON) -m pip install --quiet --no-deps --require-hashes --requirement
# The environment depends on its path and on the version of Python. So it is recreated if the checkout was copied or
# moved, and after an upgrade of Python. A symbolic link is an environment that somebody else manages.
MADE_FOR := { pwd -P; python3 -I -c 'import sys; print(sys.version)'; }
STALE := $(shell test -L .venv || { $(MADE_FOR) 2>&1 | cmp -s - .venv/created; } || echo stale)
# Each emulated machine uses one core, but sometimes waits, so one more test than there are cores runs at a time.
PYTEST := $(PYTHON) -m pytest -n $(shell expr $$(nproc) + 1) --dist worksteal
# Custom files in the template: docs/how-to/customise.md.
OVERRIDES := $(shell sed -n "s/^ *file *= *[\"']\([^\"']*\).*/\1/p" template/packages.toml)

.PHONY: again help iso require-url template machines test test-all integration soak screens matrix compatibility commands layout lint unit boot bench web site release update-packages clean

help:
	@echo "make iso URL='http://boot.example.com/boot'   write ./$(OUTPUT), after installing what is missing"
	@echo "                       (if apt has no Debian mirror, as on Ubuntu, add DEBIAN_MIRROR=http://MIRROR/debian)"
	@echo "make test              install the test tools and run all tests except the slow ones"
	@echo "make test-all          the same, with the slow tests"
	@echo "make unit              run the quick tests of src/: half a minute, needs only Python"
	@echo "make boot              run the tests that boot machines"
	@echo "make integration       boot machines from real boot servers, downloaded from Debian, PyPI and npm"
	@echo "make lint              run ruff, mypy, zizmor and check-jsonschema"
	@echo "make soak              boot 60 times in a row, and let four machines fail 480 times before they boot"
	@echo "make bench             measure times and sizes, and compare them with their targets"
	@echo "make screens           take the screenshots in docs/screens from real boots"
	@echo "make matrix            boot every machine from every medium, for docs/reference/matrix.md"
	@echo "make compatibility     boot newer firmware and every network card, for docs/reference/compatibility.md"
	@echo "make commands          boot each build of iPXE, for docs/reference/ipxe-commands.md"
	@echo "make layout            read the image, for docs/explanation/layout.md"
	@echo "make web               write ./dist/boots-from.html, the web page that bakes images"
	@echo "make site              build the documentation site in build/site; a dead link is an error"
	@echo "make release           write the release files to ./dist"
	@echo "make update-packages   pin the newest packages; shows features and sizes before and after"
	@echo "make template          build the template if its sources changed"
	@echo "make clean             remove all generated files"

iso: require-url $(TEMPLATE)
	@python3 src "$$BOOTS_FROM_URL"

require-url:
	@test -n "$$BOOTS_FROM_URL" || { echo "make: error: no URL: run make iso URL='http://boot.example.com/boot'" >&2; exit 2; }

template: $(TEMPLATE)

$(TEMPLATE): $(wildcard template/*.py template/*.s) template/packages.toml src/boots_from/image.py $(OVERRIDES)
	@test -w . || { echo "make: error: can't write to $$(pwd): use a checkout that is writable" >&2; exit 2; }
	@template/install-dependencies iso
	@$(HOST_PYTHON) -m template

# An empty rule, so that the template, not make, reports a missing file.
$(OVERRIDES):

# "pip install --editable" would write the same .pth file, but needs hatchling from PyPI.
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

# The tests of src/ that need only Python and the template.
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

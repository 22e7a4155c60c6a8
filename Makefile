# Everything that is done with this repository. `make help` lists it.

SHELL := /bin/bash
# The major version of PostgreSQL: that of PG_CONFIG, if that is given.
PG ?= $(if $(PG_CONFIG),$(shell $(PG_CONFIG) --version | sed -E 's/[^0-9]*([0-9]+).*/\1/'),15)
export PG PG_CASSERT

.PHONY: help demo test lint install bench soak regress-update clean setup
.DEFAULT_GOAL := help

help: ## lists the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' Makefile
	@echo "With PG=17 or PG=18: for that PostgreSQL, which is compiled once (PG_CASSERT=1: with its assertions)."
	@. tools/env.sh && echo "Built and run in: $$BUILD and target/; PostgreSQL 17 and 18 in $$SERVERS"

demo: setup ## shows what the extension does, on a throw-away server (KEEP=1 leaves it running)
	@KEEP=$(KEEP) tools/demo.sh

test: setup ## runs every test
	@tools/test.sh

lint: setup ## checks format, warnings and scripts
	@tools/lint.sh

install: ## builds for release and installs the extension and pg_third_party_auth_mint where PG_CONFIG says
	@tools/setup.sh $(if $(PG_CONFIG),--without-server)
	@PG_CONFIG=$(PG_CONFIG) tools/install.sh

bench: setup ## measures the budgets (ARGS are passed on)
	@tools/bench.sh $(ARGS)

soak: setup ## rotations, floods, kills, DDL and load at once, for MINUTES (20)
	@tools/soak.sh $(MINUTES)

regress-update: setup ## accepts what the golden SQL tests print now
	@tools/regress.sh --update

clean: ## removes everything that was built, the tools in the build directory included
	@tools/clean.sh

setup: ## installs what is missing to build and test (the other targets call it)
	@tools/setup.sh

# Two commands matter: `make up` starts Gatebook, `make test` tests it. `make` alone lists the rest.
.DEFAULT_GOAL := help
.PHONY: help env up test check docs soak lock clean

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## /  make \1	/p' $(MAKEFILE_LIST)

env: ## make the environment (.venv), or do nothing if it is there
	@.ci/env

up: ## start JupyterHub, gateway, tools and worker at http://localhost:8000
	@.ci/up

test: ## install what tests need and run all of them
	@.ci/test

check: ## style, types, layers, notebooks, spelling
	@.ci/check

docs: ## write the reference pages anew, from the code
	@.ci/env test && .venv/bin/python .ci/reference

soak: ## twenty thousand random reads per engine against the policy world, two hundred kills of the gateway
	@.ci/soak

lock: ## write the lock files anew, with the latest versions
	@.ci/lock

clean: ## remove environment, state and Linux accounts
	@.ci/clean

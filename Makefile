# The project's commands, the same here and in CI. `make help` tells what each does.
.DEFAULT_GOAL := help
SHELL := bash
UV := $(shell command -v uv || echo .uv/bin/uv)
RUN := $(UV) run --frozen

help:  ## This text
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(UV):
	@python3 -c 'import ensurepip, venv' 2>/dev/null || { echo "make: python3 can't make virtual environments: install python3-venv (Debian, Ubuntu), or put uv on PATH"; exit 1; } >&2
	python3 -m venv .uv && .uv/bin/pip install --quiet 'uv>=0.13'

check: $(UV)  ## Style, types, import rules, generated files, words
	$(RUN) ruff check .
	$(RUN) ruff format --check .
	$(RUN) mypy operator dev tests examples
	$(RUN) lint-imports
	$(RUN) python dev/generate.py --check
	$(RUN) python dev/words.py

generate: $(UV)  ## Write what is generated from the models
	$(RUN) python dev/generate.py

reasons: $(UV)  ## Write docs/reasons.md: what is seen of each reason (half a minute)
	$(RUN) python -m tests.reasons.page

test: $(UV)  ## What CI runs: checks, fast and thorough tests, other languages, one scenario per promise on a real cluster; ends with the slowest
	$(MAKE) check fast thorough languages e2e

proof: $(UV)  ## Everything exhaustive: every kill point, every bad input, a second cluster, searches, simulations, figures (hours)
	dev/cluster up --load-image
	$(RUN) pytest -q -n 4 -m proof --timeout 0 --durations=30
	$(MAKE) faults search simulate bench

fast: $(UV)  ## Tests that need no cluster (about a minute)
	$(RUN) pytest -q --ignore=tests/e2e --ignore=tests/languages -n 2 -m "not thorough and not proof"

thorough: $(UV)  ## Many random lives, faults at every reconcile, real processes (a minute or two)
	$(RUN) pytest -q --ignore=tests/e2e --ignore=tests/languages -n 2 -m "thorough and not proof"

languages: $(UV)  ## Flags in real applications of other languages: what the flag server pushes, who has a feature (about a minute)
	$(RUN) pytest -q tests/languages -m "not proof"

.PHONY: help check generate reasons test proof fast thorough languages

e2e: $(UV)  ## Tests on a real cluster, which is brought up first and stays up
	dev/cluster up --load-image
	$(RUN) pytest tests/e2e -q -n 4 -m "not proof" --durations=30

demo: $(UV)  ## A feature climbs, another is taken back by its numbers: 2 minutes, the first time 6, no root (KEEP=1: goes on running)
	$(RUN) python dev/demo/run.py $(if $(KEEP),--keep)

demo-cluster: $(UV)  ## The same on a whole cluster, as root or with Docker: 2 minutes, the first time 10
	$(RUN) python dev/demo/run.py --stage cluster $(if $(KEEP),--keep)

image: $(UV)  ## Build the image of operator and flag server, and what a plain `docker build -f Dockerfile build/image` needs
	dev/cluster build-image

bench: $(UV)  ## The figures of docs/benchmarks.md, on the local cluster (about an hour and a half; leave the machine alone meanwhile)
	$(RUN) python dev/bench/decide_cost.py
	$(RUN) python dev/bench/query_cost.py
	$(RUN) python dev/bench/flag_clients.py
	$(RUN) python dev/bench/rollback_latency.py
	$(RUN) python dev/bench/operator_scale.py
	$(RUN) python dev/bench/busy_start.py
	$(RUN) python dev/bench/neighbour.py

simulate: $(UV)  ## How often each kind of gate rolls back a healthy rollout, and how soon it catches a bad one (about twenty minutes)
	$(RUN) python dev/simulation/run.py

sources: $(UV)  ## What a gate is told by real servers with Prometheus's API: Prometheus 2.53, VictoriaMetrics, Thanos (built by go: minutes)
	$(RUN) python dev/sources/run.py

faults: $(UV)  ## Every part stopped, killed, deleted, refused or lied to while features turn bad: what rises, how long they stay on (about half an hour)
	$(RUN) python dev/faults/run.py

search: $(UV)  ## Every place that a rollout can reach in small worlds, or all to a depth, held to every claim; seeded bugs, to be found; every election (about half an hour)
	$(RUN) python dev/search/run.py
	$(RUN) python dev/search/seeded.py
	$(RUN) python dev/search/elections.py

.PHONY: e2e demo demo-cluster image bench simulate sources faults search

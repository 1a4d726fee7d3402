# Daily commands. `make help` lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help
# Node 24 comes with the packages, so the machine's own version doesn't matter once they are installed.
NODE := node_modules/.bin/node
BIOME := node_modules/.bin/biome
RUNS := 20

##@ Use
.PHONY: run
run: node_modules/.installed ## Start the gateway on examples/quickstart and print a request to try
	@$(NODE) examples/quickstart/run.ts

##@ Develop
.PHONY: test
test: node_modules/.installed tools ## Install what the tests need and run all of them
	@$(NODE) --test --import ./test/harness/end.ts --test-concurrency=2 --test-timeout=600000 'test/**/*.test.ts'

.PHONY: test-unit
test-unit: node_modules/.installed ## Run the tests that start no process and open no socket (about 20 s)
	@$(NODE) test/harness/lanes.ts unit

.PHONY: test-integration
test-integration: node_modules/.installed tools ## Run the tests that need servers, clusters or other programs
	@$(NODE) --test --import ./test/harness/end.ts --test-concurrency=2 --test-timeout=600000 $$($(NODE) test/harness/lanes.ts integration)

.PHONY: fuzz
fuzz: node_modules/.installed tools ## Try new generated cases in every property test, RUNS=20 times as many as `make test`
	@PROPERTY_SEED=random PROPERTY_RUNS=$(RUNS) $(NODE) --test --import ./test/harness/end.ts --test-concurrency=2 --test-timeout=3600000 $$($(NODE) test/harness/lanes.ts properties)

.PHONY: test-clients
test-clients: node_modules/.installed ## Run Claude Code, Codex and opencode against every type of provider, and the Python SDKs on broken streams
	@$(NODE) --test --test-concurrency=1 --test-timeout=1800000 'test/clients/*.client.ts'

# Two nodes at a time: most of the time is spent waiting for rollouts.
.PHONY: e2e
e2e: node_modules/.installed ## Build the image and run it on a real node: kubelet, containerd, rollouts under load (needs root)
	@$(NODE) --test --test-concurrency=2 --test-timeout=1800000 'test/e2e/*.e2e.ts'

.PHONY: e2e-smoke
e2e-smoke: node_modules/.installed ## Only build the image, install the chart on a real node, and call it (needs root)
	@$(NODE) --test --test-concurrency=2 --test-timeout=1800000 test/e2e/image.e2e.ts test/e2e/ipv6.e2e.ts

.PHONY: check
check: fresh lint unused types test ## What CI checks: generated files, lint, dead code, types, tests. Repairs nothing

.PHONY: generate
generate: node_modules/.installed ## Write CRDs, reference and registries from their sources
	@$(NODE) crds/generate.ts

.PHONY: fresh
fresh: node_modules/.installed ## Fail when a generated file is stale
	@$(NODE) crds/generate.ts --check

.PHONY: format
format: node_modules/.installed ## Format the code
	@$(BIOME) format --write

.PHONY: lint
lint: node_modules/.installed ## Lint and check the format
	@$(BIOME) check --error-on-warnings

.PHONY: unused
unused: node_modules/.installed ## Find files, exports and packages that nothing uses
	@$(NODE) node_modules/knip/bin/knip.js --no-progress

.PHONY: types
types: node_modules/.installed ## Type-check
	@node_modules/.bin/tsc --noEmit -p . --incremental --tsBuildInfoFile node_modules/.tsbuildinfo
	@node_modules/.bin/tsc --noEmit -p operator/console/page --incremental --tsBuildInfoFile node_modules/.tsbuildinfo-page

.PHONY: tools
tools: node_modules/.installed ## Build or install the real parts that tests run against
	@$(NODE) test/harness/install-tools.ts

.PHONY: bundle
bundle: node_modules/.installed ## Bundle the command line into dist/, as the image has it
	@$(NODE) cli/bundle.ts dist

.PHONY: sbom
sbom: node_modules/.installed ## List what the image ships, as CycloneDX
	@$(NODE) cli/sbom.ts

.PHONY: bench
bench: node_modules/.installed ## Measure against nginx, Portkey, LiteLLM and a direct call
	@$(NODE) test/bench/run.ts
	@$(NODE) test/bench/six-workloads.ts
	@$(NODE) test/bench/allocation.ts
	@$(NODE) test/bench/scaling.ts
	@$(NODE) test/bench/checks.ts
	@$(NODE) test/bench/fleet.ts
	@$(NODE) test/bench/audit.ts
	@$(NODE) test/bench/signals.ts
	@$(NODE) test/bench/control-plane.ts
	@$(NODE) test/bench/apply.ts
	@$(NODE) test/bench/footprint.ts

.PHONY: profile
profile: node_modules/.installed ## Where a proxy's processor time goes under load; PROFILE="--workload stream" for others
	@$(NODE) test/bench/profile.ts $(PROFILE)

.PHONY: streams
streams: node_modules/.installed ## Hold 5,000 streams for a minute while a provider dies; memory of 1,000 and 10,000 quiet streams
	@$(NODE) test/bench/streams.ts
	@$(NODE) test/bench/open-streams.ts

.PHONY: replay
replay: node_modules/.installed ## Play a provider's bad day in virtual time: success with and without the gateway
	@$(NODE) test/replay/run.ts

##@ Help
.PHONY: help
help: ## Show this
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z0-9-]+:.*## / {printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

node_modules/.installed: package.json package-lock.json
	@npm ci --no-audit --no-fund --loglevel=error --fetch-retries=5
	@touch $@

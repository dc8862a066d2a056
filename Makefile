# `make help` is the manual: every target that a person may want has a line.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# Everything we ship and everything the local cluster runs is static; one value
# for all lets every build share one cache.
export CGO_ENABLED := 0

GOLANGCI_LINT := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
GOVULNCHECK := golang.org/x/vuln/cmd/govulncheck@v1.9.0
# Compiles what is named (all, if nothing is) and prints the directory it is in.
BUILD := go -C e2e run ./cmd/build
# Packages of e2e that need no root and no cluster.
E2E_UNIT = $$(go -C e2e list ./... | grep -v -e /lifecycle -e /endtoend -e /agenttest -e /e2e/install -e /crash -e /soak -e /e2e/apiserver)

##@ Try it
.PHONY: try
try: ## Lint a sample pipeline, render its pod, show the diff. No cluster, any system.
	@go build -o bin/ ./cmd/agent-stack-k8s
	@printf '\n$$ agent-stack-k8s lint -f manifests/examples/pipeline.yaml\n'
	@bin/agent-stack-k8s lint -f manifests/examples/pipeline.yaml
	@printf '\n$$ agent-stack-k8s render -f manifests/examples/pipeline.yaml --step 'steps[1]' -o diff\n'
	@bin/agent-stack-k8s render -f manifests/examples/pipeline.yaml --step 'steps[1]' -o diff

.PHONY: demo
demo: ## The real thing: a cluster, a Buildkite simulator, three jobs and a hand-made pod. Root. CONTEXT=name REGISTRY=host/path uses a cluster of yours.
	@go -C e2e run ./cmd/consent --context='$(CONTEXT)' --registry='$(REGISTRY)'
	@bin=$$($(BUILD) cluster agent product harness) && "$$bin/demo" --checkout=. --context='$(CONTEXT)' --registry='$(REGISTRY)'

.PHONY: run
run: ## Run the dispatcher from source: make run ARGS='--context my-cluster --org my-org --buildkite-token ...'
	@go run ./cmd/dispatcher $(ARGS)

##@ Prove it
.PHONY: check
check: ## The contributor's minute: vet, unit and golden tests. No root, no cluster.
	go vet ./...
	go -C e2e vet ./...
	go test ./...
	@# The go command does not see what these read outside their module.
	go -C e2e test -count=1 $(E2E_UNIT)
	go -C e2e/zzglob test ./...

.PHONY: test
test: check ## Everything: check, then the real cluster with the real agent and cert-manager. Root. CONTEXT=name is not used here.
	go test -count=1 -tags root ./cmd/entrypoint
	go -C e2e test -count=1 -tags root ./startbench
	@bin=$$($(BUILD)) && E2E_BIN="$$bin" go -C e2e test -count=1 -p=1 -parallel=8 -timeout=45m ./lifecycle ./endtoend ./install ./simulator/agenttest ./crash ./soak ./apiserver

.PHONY: bench-start
bench-start: ## How fast a job starts: the existing stack's kind of pod, ours, the floor; on one machine, then as over a network. Root. Results go to e2e/results/.
	@mkdir -p e2e/results && bin=$$($(BUILD) cluster agent product harness) && \
		"$$bin/bench-start" --results="e2e/results/$$(date -u +%F)-bench-start.txt" && \
		"$$bin/bench-start" --latency=20ms --results="e2e/results/$$(date -u +%F)-bench-start-network.txt"

.PHONY: bench-admission
bench-admission: ## The webhook beside controller-runtime's Defaulter: time, memory, bytes, 1,000 reviews at once. Results go to e2e/results/.
	@mkdir -p e2e/results && nice -n -20 go -C e2e run ./cmd/bench-admission | tee "e2e/results/$$(date -u +%F)-bench-admission.txt"

.PHONY: bench-dispatch
bench-dispatch: ## 5,000 jobs on a real API server with simulated nodes: rate beside a floor, cost, memory, GraphQL points. Results go to e2e/results/.
	@mkdir -p e2e/results && bin=$$($(BUILD) kubernetes kwok product bench-dispatch) && \
		"$$bin/bench-dispatch" --results="e2e/results/$$(date -u +%F)-bench-dispatch.txt"

.PHONY: crash
crash: ## 500 jobs while the dispatcher is killed 50 times: each is run once. Results go to e2e/results/. ARGS='--seed=1' does it again.
	@mkdir -p e2e/results && bin=$$($(BUILD) kubernetes kwok product crash) && \
		"$$bin/crash" --results="e2e/results/$$(date -u +%F)-crash.txt" $(ARGS)

.PHONY: soak
soak: ## An hour of jobs and random faults: goroutines, heap and pods end where they began. Results go to e2e/results/. ARGS='--duration=8h' is longer.
	@mkdir -p e2e/results && bin=$$($(BUILD) kubernetes kwok product soak) && \
		"$$bin/soak" --results="e2e/results/$$(date -u +%F)-soak.txt" $(ARGS)

# Go's fuzzer fails with "context deadline exceeded" where its time is up in the
# middle of an input (golang/go#75804): that is no finding, and names no input.
.PHONY: fuzz
FUZZTIME ?= 10m
fuzz: ## Every fuzz target, one after another, each for FUZZTIME (10m). Inputs that fail are kept in testdata/fuzz.
	@failed=''; \
	while IFS=: read -r -u 3 file target; do \
		echo "== $$target in $$(dirname "$$file"), $(FUZZTIME)"; \
		log=$$(mktemp); \
		go test "./$$(dirname "$$file")" -run '^$$' -fuzz "^$$target$$" -fuzztime=$(FUZZTIME) -fuzzminimizetime=100x -timeout=0 2>&1 | tee "$$log" || \
			{ grep -q '^    context deadline exceeded' "$$log" && ! grep -q 'Failing input' "$$log"; } || failed="$$failed $$target"; \
		rm "$$log"; \
	done 3< <(grep -ro '^func Fuzz[A-Za-z]*' --include='*_test.go' cmd dispatcher mutator | sed 's/:func /:/' | sort); \
	if [ -n "$$failed" ]; then echo "failed:$$failed"; exit 1; fi

.PHONY: lint
lint: ## golangci-lint on both modules; govulncheck where its database can be reached.
	go run $(GOLANGCI_LINT) run ./...
	cd e2e && go run $(GOLANGCI_LINT) run --config ../.golangci.yml ./...
	@if curl -fsS -m 10 -o /dev/null https://vuln.go.dev/index/db.json 2>/dev/null; then go run $(GOVULNCHECK) ./... && cd e2e && go run $(GOVULNCHECK) ./...; \
	else echo 'govulncheck: left out, its database at vuln.go.dev cannot be reached from here'; fi

.PHONY: check-schema
check-schema: ## Hold our GraphQL schema and queries against Buildkite's: make check-schema SCHEMA=schema.graphql
	@go -C e2e run ./cmd/check-schema --schema "$(abspath $(SCHEMA))"

##@ The local cluster
.PHONY: cluster
cluster: ## Start a Kubernetes cluster on this machine, without Docker. Root.
	@bin=$$($(BUILD) cluster) && "$$bin/cluster" up

.PHONY: cluster-down
cluster-down: ## Stop it and leave nothing behind.
	@go -C e2e run ./cmd/cluster down

##@ Install it
VERSION ?= $(shell git describe --tags --always --dirty)
# A chart's version is semantic; a commit between releases is a pre-release.
CHART_VERSION ?= $(if $(filter v%,$(VERSION)),$(VERSION:v%=%),0.0.0-$(VERSION))
KO_FLAGS ?=
.PHONY: images
images: ## Build and push the images for amd64 and arm64: make images KO_DOCKER_REPO=ghcr.io/me/agent-stack-k8s
	@: "$${KO_DOCKER_REPO:?say where to push, such as KO_DOCKER_REPO=ghcr.io/me/agent-stack-k8s}"
	@bin=$$($(BUILD) tools) && VERSION=$(VERSION) "$$bin/ko" build --base-import-paths --tags=$(VERSION) $(KO_FLAGS) ./cmd/dispatcher ./cmd/mutator
	@go -C e2e run ./cmd/entrypoint-image --checkout=.. --repository="$$KO_DOCKER_REPO/entrypoint" --version=$(VERSION)

.PHONY: chart-push
chart-push: ## Package the chart and push it: make chart-push CHART_REPO=oci://ghcr.io/me/charts [HELM_FLAGS=--plain-http]
	@: "$${CHART_REPO:?say where to push, such as CHART_REPO=oci://ghcr.io/me/charts}"
	@bin=$$($(BUILD) tools) && directory=$$(mktemp -d) && trap 'rm -r "$$directory"' EXIT && \
		"$$bin/helm" package charts/agent-stack-k8s --version=$(CHART_VERSION) --app-version=$(VERSION) --destination="$$directory" && \
		"$$bin/helm" push "$$directory"/*.tgz "$$CHART_REPO" $(HELM_FLAGS)

.PHONY: deploy
deploy: images ## Images and chart from this checkout: make deploy KO_DOCKER_REPO=ghcr.io/me/agent-stack-k8s ARGS='--values config.yaml'
	@bin=$$($(BUILD) tools) && repository="$${KO_DOCKER_REPO#*/}" && registry="$${KO_DOCKER_REPO%%/*}" && \
		"$$bin/helm" upgrade --install agent-stack-k8s charts/agent-stack-k8s --create-namespace --namespace buildkite --wait \
		--set image.tag=$(VERSION) \
		--set dispatcher.image.registry="$$registry",dispatcher.image.repository="$$repository/dispatcher" \
		--set mutator.image.registry="$$registry",mutator.image.repository="$$repository/mutator" \
		--set entrypoint.image.registry="$$registry",entrypoint.image.repository="$$repository/entrypoint" $(ARGS)

##@ Change it
.PHONY: generate
generate: ## Generate the GraphQL client and the JSON Schema of pipelines.
	go generate ./...

.PHONY: manifests
manifests: ## Write manifests/ from the chart, and hold the examples in it against the mutator.
	@go -C e2e run ./cmd/manifests --chart=../charts/agent-stack-k8s --output=../manifests
	go test ./mutator -run 'Example|Manifest'

.PHONY: golden
golden: ## Rewrite the golden files from what the code does now; read the diff before you commit it.
	go test ./dispatcher ./dispatcher/jobpod ./dispatcher/migration ./mutator ./cmd/agent-stack-k8s ./cmd/agent-stack-k8s/internal/explain ./cmd/agent-stack-k8s/internal/doctor ./cmd/agent-stack-k8s/internal/lint ./cmd/agent-stack-k8s/internal/schema ./cmd/dispatcher ./cmd/mutator -update
	go -C e2e test ./chart -update

.PHONY: record-answers
record-answers: ## Record anew what a real API server answers to pods that it refuses, for the unit tests of what those answers mean.
	@bin=$$($(BUILD) kubernetes kwok product) && E2E_BIN="$$bin" go -C e2e test -count=1 -run TestAnswers ./apiserver -update
	go test ./dispatcher -run TestClassify

.PHONY: help
help: ## This list.
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z-]+:.*## / {printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

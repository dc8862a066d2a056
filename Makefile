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
E2E_UNIT = $$(go -C e2e list ./... | grep -v -e /lifecycle -e /endtoend -e /agenttest)

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
	go -C e2e test $(E2E_UNIT)
	go -C e2e/zzglob test ./...

.PHONY: test
test: check ## Everything: check, then the real cluster with the real agent and cert-manager. Root. CONTEXT=name is not used here.
	@bin=$$($(BUILD)) && E2E_BIN="$$bin" go -C e2e test -count=1 -p=1 -timeout=45m ./lifecycle ./endtoend ./simulator/agenttest

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

##@ Change it
.PHONY: generate
generate: ## Generate the GraphQL client.
	go generate ./...

.PHONY: manifests
manifests: ## Hold the example pods and configuration in manifests/ against the mutator.
	go test ./mutator -run 'Example|Manifest'

.PHONY: golden
golden: ## Rewrite the golden files from what the code does now; read the diff before you commit it.
	go test ./dispatcher ./dispatcher/jobpod ./mutator ./cmd/agent-stack-k8s ./cmd/dispatcher ./cmd/mutator -update

.PHONY: help
help: ## This list.
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

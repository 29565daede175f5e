# CommerceStack development tasks. `make` or `make help` lists them.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

# Where `make up` listens and keeps its data; ARGS goes to the program as it is:
#   make up LISTEN=127.0.0.1:9090 DATA=/tmp/shop ARGS="--demo=false"
LISTEN ?= 127.0.0.1:8080
DATA   ?= ./.data
ARGS   ?=

# Packages that `make test` covers, and those whose concurrency earns the race detector.
PKG      ?= ./...
RACE_PKG ?= ./internal/... ./services/...
TEST_TIMEOUT ?= 40m
# Two packages at a time: each may start a PostgreSQL of its own.
TEST_FLAGS ?= -p 2

IMAGE ?= commercestack:dev

.PHONY: help
help: ## List the tasks.
	@awk 'BEGIN { FS = ":.*## " } /^##@ / { printf "\n%s\n", substr($$0, 5) } /^[a-z][a-z0-9-]*:.*## / { printf "  %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

##@ Run

.PHONY: up
up: ## Install what is missing, build, and run the whole shop on this machine.
	@hack/debian.sh postgres
	@go build -trimpath -o bin/commerce ./cmd/commerce
	@exec bin/commerce up --listen $(LISTEN) --data $(DATA) $(ARGS)

.PHONY: build
build: ## Build every program into bin/.
	@mkdir -p bin
	@for program in cmd/*/; do \
	  echo "go build $$program"; \
	  CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o bin/ "./$$program"; \
	done

.PHONY: image
image: ## Build the container image (needs a container engine).
	docker build --tag $(IMAGE) .

.PHONY: compose-check
compose-check: ## Check compose.yaml with docker compose config.
	@hack/compose-check.sh

##@ Generate

.PHONY: generate
generate: generate-proto generate-openapi generate-ent generate-templ generate-crd generate-dashboards generate-chart ## Generate all code and documents from their sources.

.PHONY: generate-proto
generate-proto: ## Generate Go code from api/proto.
	@hack/gen/proto.sh

.PHONY: generate-openapi
generate-openapi: ## Generate api/openapi/openapi.json from api/proto.
	@hack/gen/openapi.sh

.PHONY: generate-ent
generate-ent: ## Generate Ent clients (COMPONENT=order for one).
	@go run ./hack/entgen $(COMPONENT)

.PHONY: generate-templ
generate-templ: ## Generate Go code from the .templ pages.
	@hack/gen/templ.sh

.PHONY: generate-crd
generate-crd: ## Generate the CRD, deep copies and the operator's role from markers.
	@hack/gen/crd.sh

.PHONY: generate-dashboards
generate-dashboards: ## Generate Grafana's dashboards.
	@go run ./hack/dashboards

.PHONY: generate-chart
generate-chart: ## Copy the CRD, the roles' rules, alerts and dashboards into the chart.
	@go run ./hack/chart

.PHONY: check-generate
check-generate: ## Fail when committed generated files differ from their sources.
	@hack/gen/check.sh

.PHONY: migration
migration: ## Write the migration for a schema change: COMPONENT=order NAME=add_note.
	@[[ -n "$(COMPONENT)" && -n "$(NAME)" ]] || { echo "usage: make migration COMPONENT=order NAME=add_note" >&2; exit 2; }
	@hack/debian.sh postgres
	@go run ./hack/migratediff $(COMPONENT) $(NAME)

.PHONY: migration-hash
migration-hash: ## Accept a hand-written migration: COMPONENT=order.
	@[[ -n "$(COMPONENT)" ]] || { echo "usage: make migration-hash COMPONENT=order" >&2; exit 2; }
	@go run ./hack/migratediff --hash $(COMPONENT)

.PHONY: check-migrations
check-migrations: ## Fail when the migrations do not produce the Ent schemas.
	@hack/debian.sh postgres
	@go run ./hack/migratediff --check $(COMPONENT)

##@ Check

.PHONY: test
test: ## Run every test (PKG=./services/order/... for some).
	@hack/debian.sh postgres redis browser prometheus
	@go test -timeout $(TEST_TIMEOUT) $(TEST_FLAGS) $(PKG)

.PHONY: test-race
test-race: ## Run the concurrent packages' tests under the race detector.
	@hack/debian.sh postgres redis browser race prometheus
	@go test -race -timeout $(TEST_TIMEOUT) $(TEST_FLAGS) $(RACE_PKG)

.PHONY: cover
cover: ## Print the coverage of hand-written code and the packages under 90 %.
	@hack/debian.sh postgres redis browser prometheus
	@go run ./hack/cover -timeout $(TEST_TIMEOUT) -min 90

.PHONY: lint
lint: lint-go lint-proto lint-docs ## Run every linter.

.PHONY: lint-go
lint-go: ## Lint the Go code.
	@hack/tool golangci-lint run ./...

.PHONY: lint-proto
lint-proto: ## Lint the protos and refuse breaking changes against the main branch.
	@hack/tool buf lint
	@hack/buf-breaking.sh

.PHONY: lint-docs
lint-docs: ## Check links and make targets that the documents name.
	@go run ./hack/docs

.PHONY: lint-chart
lint-chart: ## Check the Helm chart and the kustomize files against each other and against an API server.
	@hack/tool helm lint --strict charts/commercestack-operator
	@go test -count=1 -timeout $(TEST_TIMEOUT) ./test/chart/...

.PHONY: check-rules
check-rules: ## Check the alerts and run their tests.
	@hack/debian.sh prometheus
	@promtool check rules --lint=all --lint-fatal config/prometheus/rules.yaml
	@promtool test rules config/prometheus/tests/*_test.yaml

.PHONY: bench
bench: bench-shop bench-operator ## Run the benchmarks.

.PHONY: bench-shop
bench-shop: ## Measure the shop against a bare handler, and print the ratios.
	@hack/debian.sh postgres redis bench
	@go run ./test/bench $(ARGS)

.PHONY: bench-operator
bench-operator: ## Measure the operator with many stacks (STACKS=200).
	@go run ./test/bench/operator -stacks $(or $(STACKS),200)

# The release before this one, a commit: TestUpgrade begins with it.
PREVIOUS ?= eb23d70

.PHONY: e2e
e2e: cluster-up cluster-images ## Take a CommerceStack through its life on the real cluster (RUN=TestLife for one test).
	@KUBECONFIG="$${XDG_CACHE_HOME:-$$HOME/.cache}/commercestack/cluster/kubeconfig" HELM="$$(hack/tool --path helm)" KUBECTL="$$(hack/tool --path kubectl)" PREVIOUS=$(PREVIOUS) \
	  go test -tags cluster -count=1 -timeout 2h -v -run '$(or $(RUN),.)' ./test/cluster

.PHONY: presubmit
presubmit: ## Run what CI runs.
	@.ci/run

# The cluster's files bring their own targets (cluster-up, cluster-down, e2e).
-include hack/cluster/cluster.mk

##@ Cluster

# Tag of the commercestack image in the cluster.
VERSION ?= 0.1.0

.PHONY: cluster-up
cluster-up: ## Start a real single-node Kubernetes on this machine (as root, or with kind).
	@hack/debian.sh cluster
	@go run ./hack/cluster --version $(VERSION) up

.PHONY: cluster-down
cluster-down: ## Stop it and remove all that it made but built programs and images.
	@go run ./hack/cluster --version $(VERSION) down

.PHONY: cluster-images
cluster-images: ## Build the platform's images that changed and load them into the cluster.
	@go run ./hack/cluster --version $(VERSION) images

.PHONY: cluster-check
cluster-check: ## Prove that pods, DNS, volumes, metrics and network policies work in it.
	@go run ./hack/cluster check

.PHONY: cluster-status
cluster-status: ## Show what runs.
	@go run ./hack/cluster status

.PHONY: image-check
image-check: ## Build the Dockerfile without a container engine or a registry (minutes).
	@hack/debian.sh builder
	@hack/cluster/dockerfile-check.sh

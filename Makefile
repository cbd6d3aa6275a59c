# Run "make" to list the targets.
SHELL := bash
.DEFAULT_GOAL := help

GOLANGCI := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
DEADCODE := golang.org/x/tools/cmd/deadcode@v0.52.0
GOFUMPT := mvdan.cc/gofumpt@v0.12.0
VERSION ?=
LDFLAGS := -s -w $(if $(VERSION),-X github.com/fairlead-auth/fairlead/internal/version.stamp=$(VERSION))
BIN := $(CURDIR)/bin

.PHONY: help
help: ## List these targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-12s %s\n", $$1, $$2}'

.PHONY: build
build: ## Build fairlead, fairlead-proxy and kubectl-fairlead into bin/
	@mkdir -p $(BIN)
	CGO_ENABLED=0 go build -trimpath -ldflags "$(LDFLAGS)" -o $(BIN)/ ./cmd/...
	@mkdir -p $(BIN)/plugins
	@cp $(BIN)/kubectl-fairlead $(BIN)/plugins/kubectl-fairlead-$$(go env GOOS)-$$(go env GOARCH)
	@$(BIN)/kubectl-fairlead version > $(BIN)/plugins/VERSION

PLATFORMS := linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64 windows/arm64

.PHONY: plugins
plugins: ## Build the kubectl plugin for every operating system into bin/plugins/
	@mkdir -p $(BIN)/plugins
	@for p in $(PLATFORMS); do os=$${p%/*}; arch=$${p#*/}; ext=; if [ $$os = windows ]; then ext=.exe; fi; echo "kubectl-fairlead for $$p"; \
	CGO_ENABLED=0 GOOS=$$os GOARCH=$$arch go build -trimpath -ldflags "$(LDFLAGS)" -o $(BIN)/plugins/kubectl-fairlead-$$os-$$arch$$ext ./cmd/kubectl-fairlead || exit 1; done
	@$(BIN)/plugins/kubectl-fairlead-$$(go env GOOS)-$$(go env GOARCH) version > $(BIN)/plugins/VERSION

.PHONY: run
run: ## Start a demo on this computer: server, proxy and a real Kubernetes API server
	@echo "Building Fairlead. The first build downloads and compiles modules, which takes a few minutes."
	@$(MAKE) --no-print-directory build
	@$(MAKE) --no-print-directory demo
	@exec $(BIN)/demo

.PHONY: demo
demo:
	@CGO_ENABLED=0 go build -trimpath -o $(BIN)/demo ./test/demo

.PHONY: deps
deps: ## Install the tests' dependencies: Debian packages (as root), npm modules, Kubernetes
	@test/deps.sh

.PHONY: test
test: deps build demo ## Run every test against real servers
	@test/run.sh

.PHONY: test-fast
test-fast: ## Run the unit tests on SQLite
	go test -shuffle=on ./cmd/... ./connectors/... ./internal/... ./migrations/... ./portal/... ./proxy/... ./server/... ./static/... ./templates/... ./test/suites/arch/...

.PHONY: drills
drills: deps build ## Run the long failure drills: key rotation, dead replicas and databases, a million devices (1 hour)
	@FAIRLEAD_TEST_BIN=$(BIN) FAIRLEAD_TEST_KUBE=$$(test/tools/kube/build.sh) test/with-postgres.sh go test -count=1 -v -timeout 90m ./test/suites/drills -long
	@FAIRLEAD_TEST_BIN=$(BIN) FAIRLEAD_TEST_KUBE=$$(test/tools/kube/build.sh) test/with-postgres.sh go test -count=1 -v -timeout 90m ./test/suites/e2e -run TestALoadBalancerInBetween -long

.PHONY: pictures
pictures: deps build ## Take the pictures of the documentation again
	FAIRLEAD_TEST_BIN=$(BIN) FAIRLEAD_TEST_KUBE=$$(test/tools/kube/build.sh) go test -count=1 ./test/suites/e2e -run TestPictures -pictures $(CURDIR)/docs/images

.PHONY: lighthouse
lighthouse: deps build ## Audit the user pages with Lighthouse
	@cd test/tools/lighthouse && npm ci --no-audit --no-fund --ignore-scripts --loglevel=error
	@FAIRLEAD_TEST_BIN=$(BIN) FAIRLEAD_TEST_KUBE=$$(test/tools/kube/build.sh) test/with-postgres.sh go test -count=1 -v ./test/suites/e2e -run TestLighthouse -lighthouse $(CURDIR)/test/tools/lighthouse

.PHONY: bench
bench: deps build ## Benchmark against Dex and other proxies, and update docs/performance.md
	go test ./server/admin -run xxx -bench Pages -benchtime 40x
	go test ./server/admin -run xxx -bench Import -benchtime 3x
	test/with-postgres.sh go test ./cmd/fairlead -run xxx -bench 'Lists|ManyEvents' -benchtime 10x
	go test ./proxy -run xxx -bench Forward -benchtime 30x
	cd test/suites/bench && FAIRLEAD_TEST_BIN=$(BIN) FAIRLEAD_TEST_KUBE=$$(../../tools/kube/build.sh) go test -count=1 -v -timeout 60m -run TestTable ./proxy -table ../../../../docs/performance.md
	cd test/suites/bench && ../../with-postgres.sh go test -count=1 -v -timeout 60m -run TestTable . -table ../../../docs/performance.md

.PHONY: conformance
conformance: ## Check a deployed issuer: make conformance ISSUER=https://… PLAN=plan.json
	go test -count=1 ./test/suites/conformance -issuer $(ISSUER) -plan $(abspath $(PLAN)) -long -report conformance.json

.PHONY: attack
attack: ## Send attacks to a proxy: make attack TARGET=host:port TOKEN=… (its upstream must be https://127.0.0.1:9443)
	go run ./test/suites/attack/run -target $(TARGET) -token $(TOKEN)

.PHONY: check
check: format-diff vet lint dead tidy-diff test ## Run everything that must pass before a change lands

.PHONY: format
format: ## Format the code
	go run $(GOFUMPT) -w $$(git ls-files '*.go')

.PHONY: format-diff
format-diff:
	@out=$$(go run $(GOFUMPT) -l $$(git ls-files '*.go')); if [ -n "$$out" ]; then echo "make format would change:"; echo "$$out"; exit 1; fi

.PHONY: vet
vet:
	go vet ./...
	cd test/tools/kube && CGO_ENABLED=0 go vet ./...
	cd test/suites/bench && CGO_ENABLED=0 go vet ./...
	cd test/tools/clients/kubectl && CGO_ENABLED=0 go vet ./...

.PHONY: lint
lint: ## Run the linters (the first run builds them, which takes minutes)
	go run $(GOLANGCI) run ./...

.PHONY: dead
dead: ## List unreachable functions
	@out=$$(go run $(DEADCODE) -test ./...); if [ -n "$$out" ]; then echo "$$out"; exit 1; fi

.PHONY: tidy-diff
tidy-diff:
	go mod tidy -diff
	cd test/tools/kube && go mod tidy -diff
	cd test/suites/bench && go mod tidy -diff
	for m in test/tools/clients/*/; do (cd $$m && go mod tidy -diff) || exit 1; done

.PHONY: fuzz
fuzz: ## Run one fuzz test for ten minutes: make fuzz P=./server/policy/clients T=FuzzAllowsRedirect
	go test -run '^$$' -fuzz '^$(T)$$' -fuzztime 10m $(P)

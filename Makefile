# Everything a person does with the source. `make` alone says what there is.

GO       ?= go
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS  := -s -w -X main.version=$(VERSION)
STATIC   := CGO_ENABLED=0 GOFLAGS='$(GOFLAGS) -trimpath' # also of lint and of what tests build: Go compiles once what they share
BINARIES := mayfly mayfly-aws mayfly-bench mayfly-agent mayfly-minirunner mayfly-webhook mayfly-lambda

.PHONY: help demo build release test test-race test-plain forge test-forge simulate chaos lint bench bench-aws size clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST)

demo: ## set up, build, and run sample workflows end to end on this machine
	@scripts/setup demo
	@$(MAKE) --no-print-directory build
	bin/mayfly demo $(ARGS)

build: ## static binaries in bin/
	@mkdir -p bin
	$(STATIC) $(GO) build -ldflags '$(LDFLAGS)' -o bin/ $(addprefix ./cmd/,$(BINARIES))

# What goes to AWS, for the release to carry.
ON_AWS := $(foreach arch,amd64 arm64,$(foreach program,mayfly mayfly-agent mayfly-webhook mayfly-lambda,internal/aws/program/linux/$(arch)/$(program).gz))

.PHONY: $(ON_AWS)
$(ON_AWS):
	@mkdir -p $(@D)
	$(STATIC) GOOS=linux GOARCH=$(notdir $(@D)) $(GO) build -tags lambda.norpc -ldflags '$(LDFLAGS)' -o $(@:.gz=) ./cmd/$(notdir $(@:.gz=))
	gzip -n9f $(@:.gz=)

release: $(ON_AWS) ## bin/mayfly, and bin/mayfly-aws with all that mayfly deploy needs in it
	@mkdir -p bin
	$(STATIC) $(GO) build -tags release -ldflags '$(LDFLAGS)' -o bin/ ./cmd/mayfly ./cmd/mayfly-aws

test: ## set up, lint, and run every test with the race detector
	@scripts/setup test
	@$(MAKE) --no-print-directory lint
	@if [ "$(MAYFLY_FORGE)" = must ]; then $(MAKE) --no-print-directory forge; \
	  elif [ ! -x bin/forge/gitea ]; then echo "NOT TESTED against a real Gitea, which is not built: make test-forge does both, and takes minutes" >&2; fi
	@$(MAKE) --no-print-directory -j2 test-plain test-race

# Tests wait for processes and containers more than they compute: three packages at a time, and four tests of each. The race
# detector watches all but SQLite itself, C that was translated to Go, which takes five times as long with it; packages with
# generic or atomic code cannot be left out, because the linker takes their copies for others' as well. lint has vetted all.
test-race:
	$(GO) test -race -gcflags='modernc.org/sqlite/lib=-race=false' -vet=off -p 3 -parallel 4 -timeout 40m ./...

# Packages whose tests do less under the race detector (internal/racetest).
test-plain:
	$(STATIC) $(GO) test -vet=off -p 1 -timeout 40m $(shell git grep -l internal/racetest '*_test.go' | xargs -n1 dirname | sort -u | sed 's|^|./|')

# Gitea and its runner, from the Go module proxy. Two modules of their own, so that they are no dependencies of Mayfly.
FORGE  := bin/forge
GITEA  := internal/forgetest/build/gitea
RUNNER := internal/forgetest/build/runner

$(FORGE)/gitea: $(GITEA)/go.mod $(GITEA)/go.sum
	@mkdir -p $(@D)
	cd $(GITEA) && $(GO) build -trimpath -tags 'sqlite sqlite_unlock_notify' -ldflags '-s -w -X main.Version=$(shell sed -n 's/^require code.gitea.io.gitea v//p' $(GITEA)/go.mod)' -o $(CURDIR)/$@ code.gitea.io/gitea
	ln -sfn "$$(cd $(GITEA) && $(GO) list -m -f '{{.Dir}}' code.gitea.io/gitea)" $(FORGE)/static

$(FORGE)/gitea-runner: $(RUNNER)/go.mod $(RUNNER)/go.sum
	@mkdir -p $(@D)
	cd $(RUNNER) && CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w -X gitea.com/gitea/runner/internal/pkg/ver.version=$(shell sed -n 's/^require gitea.com.gitea.runner //p' $(RUNNER)/go.mod)' -o $(CURDIR)/$@ gitea.com/gitea/runner

forge: $(FORGE)/gitea-runner $(FORGE)/gitea

test-forge: forge ## build a real Gitea and its runner, and run jobs of it
	@scripts/setup test
	MAYFLY_FORGE=figures $(GO) test -v -count=1 -timeout 20m ./internal/forgetest

simulate: ## a thousand days of virtual time, each with its own trouble
	MAYFLY_SEEDS=1000 $(STATIC) $(GO) test -timeout 60m -v -run 'TestSimulation|TestBrokenRules' ./internal/simulation

chaos: ## kill Mayfly, its runners and their engine while hundreds of jobs run
	MAYFLY_CHAOS=long $(GO) test -timeout 10m -v -run TestChaos ./cmd/mayfly

lint: ## gofmt, vet, staticcheck, the Dockerfile of runners, alert rules and Grafana's board
	@unformatted=$$(gofmt -l $$(git ls-files '*.go')); \
	  [ -z "$$unformatted" ] || { echo "gofmt would change: $$unformatted"; exit 1; }
	$(STATIC) $(GO) vet ./...
	$(STATIC) $(GO) tool staticcheck ./...
	cd internal/image/source/lint && $(GO) test ./...
	cd deploy/lint && $(GO) test ./...

bench: build ## intake, launch, sleeping jobs, and start of the webhook on AWS, beside their baselines
	bin/mayfly-bench intake
	bin/mayfly-bench launch
	$(GO) test ./cmd/mayfly-bench -run '^$$' -bench Idle -benchtime 1x
	bin/mayfly-bench lambda

size: build ## sizes of the programs, what an idle mayfly up keeps resident, how long mayfly version takes
	@scripts/size bin

bench-aws: ## bursts and steady loads on a simulated AWS, in virtual time; docs/aws.md has the figures
	MAYFLY_BENCH_AWS='$(or $(SCENARIOS),100 at once$(comma)1000 at once$(comma)5000 at once$(comma)100 a minute$(comma)1000 a minute)' GOGC=400 \
	  $(GO) test -timeout 6h -v -run TestTable ./internal/aws/simulation

comma := ,

clean: ## remove what make built
	rm -rf bin internal/aws/program/linux

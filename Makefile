# Everything a person does with the source. `make` alone says what there is.

GO       ?= go
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS  := -s -w -X main.version=$(VERSION)
BINARIES := mayfly mayfly-agent mayfly-minirunner

.PHONY: help demo build test lint bench clean

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST)

demo: ## set up, build, and run sample workflows end to end on this machine
	@scripts/setup demo
	@$(MAKE) --no-print-directory build
	bin/mayfly demo $(ARGS)

build: ## static binaries in bin/
	@mkdir -p bin
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/ $(addprefix ./cmd/,$(BINARIES))

test: ## set up, lint, and run every test with the race detector
	@scripts/setup test
	@$(MAKE) --no-print-directory lint
	$(GO) test -race -timeout 20m ./...

lint: ## gofmt, vet, staticcheck
	@unformatted=$$(gofmt -l $$(git ls-files '*.go')); \
	  [ -z "$$unformatted" ] || { echo "gofmt would change: $$unformatted"; exit 1; }
	$(GO) vet ./...
	$(GO) tool staticcheck ./...

bench: build ## intake and launch, beside their baselines
	bin/mayfly bench intake
	bin/mayfly bench launch

clean: ## remove what make built
	rm -rf bin

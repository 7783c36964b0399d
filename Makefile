# moongate: `make` builds and runs the quick tests; `make help` lists the rest.

GO       ?= go
FUZZTIME ?= 60s
SOAK     ?= 10m
VERSION  := $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
PKG      := github.com/moongate-vpn/moongate

# Tools are pinned here, not in go.mod: they are never linked into the binary.
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOFUMPT     := mvdan.cc/gofumpt@v0.12.0
DEADCODE    := golang.org/x/tools/cmd/deadcode@v0.51.0
GOVULNCHECK := golang.org/x/vuln/cmd/govulncheck@v1.1.4

.DEFAULT_GOAL := all
.PHONY: all help build build-pkcs11 quick test race interop lint cross fmt fmt-check vet fuzz bench soak cover demo docs install deps clean

all: build quick ## build and run the quick tests

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "%-10s %s\n", $$1, $$2}'

build: ## bin/moongate, one static binary
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w -X $(PKG)/daemon.Version=$(VERSION)' -o bin/moongate ./cmd/moongate

build-pkcs11: ## bin/moongate with smart cards: needs cgo, loads shared objects
	CGO_ENABLED=1 $(GO) build -tags pkcs11 -trimpath -ldflags '-s -w -X $(PKG)/daemon.Version=$(VERSION)' -o bin/moongate ./cmd/moongate

quick: ## tests that need neither root nor the stock daemon
	$(GO) test -short ./...

# Everything: units, engines in memory, commands, prompt, examples, and the stock daemon in network
# namespaces, with the race detector. Installs what is missing first.
test: export GORACE = atexit_sleep_ms=50 # else every program of a test takes a second to end
test: deps build ## run everything (Debian, root)
	$(GO) test -race -parallel 5 -timeout 9m ./...
	CGO_ENABLED=1 $(GO) test -count 1 -tags pkcs11 ./daemon/config ./daemon/tokens
	CGO_ENABLED=1 $(GO) test -count 1 -tags pkcs11 ./test -run PKCS11

race: ## the quick tests under the race detector
	$(GO) test -race -short ./...

interop: deps build ## only the tests against the stock daemon
	$(GO) test -count 1 -timeout 9m -v ./test/...

deps: ## install the packages the tests talk to
	@sh test/install-deps.sh

lint: vet ## staticcheck, functions that nothing reaches, known vulnerabilities; golangci-lint where it is installed
	$(GO) run $(STATICCHECK) ./...
	@GO=$(GO) sh test/deadcode.sh $(DEADCODE)
	@GO=$(GO) sh test/govulncheck.sh $(GOVULNCHECK)
	@if command -v golangci-lint >/dev/null; then golangci-lint run; fi

vet:
	$(GO) vet ./...
	$(GO) vet -tags soak ./test ./test/generated ./mgmt/server

cross: ## build and vet for other machines; the tests run on 386 as well
	for t in linux/arm64 linux/arm linux/mips linux/riscv64 darwin/arm64 freebsd/amd64; do \
		echo $$t; GOOS=$${t%/*} GOARCH=$${t#*/} CGO_ENABLED=0 $(GO) vet ./... || exit 1; done
	GOARCH=386 CGO_ENABLED=0 $(GO) test -short ./...

fmt: ## format the tree
	$(GO) run $(GOFUMPT) -l -w .

fmt-check:
	@bad=$$(gofmt -l $$(git ls-files '*.go')); if [ -n "$$bad" ]; then echo "not gofmt:"; echo "$$bad"; exit 1; fi

fuzz: ## every fuzz target for FUZZTIME each
	@sh test/fuzz.sh $(FUZZTIME)

bench: ## the benchmarks, and the tunnel arena where it can run
	$(GO) test -run '^$$' -bench . -benchmem ./...

soak: deps build cross ## what takes longer than a test may, with the figures of a quiet machine: load, a hostile seat, all fuzz targets, other machines
	MOONGATE_SOAK=$(SOAK) $(GO) test -tags soak -count 1 -p 1 -timeout 0 -v -run Soak ./test ./test/generated ./mgmt/server
	@sh test/fuzz.sh $(SOAK) HostileSeat
	@sh test/fuzz.sh $(FUZZTIME)

cover: ## coverage per package
	$(GO) test -short -coverprofile cover.out ./... && $(GO) tool cover -func cover.out | tail -n 1

demo: deps build ## a tunnel between two namespaces, answered by Lua
	bin/moongate demo

docs: build ## manual pages into dist/man
	bin/moongate man dist/man

install: docs ## into $(DESTDIR)/usr: the binary, manual pages, completion for bash, systemd units
	install -D -m 755 bin/moongate $(DESTDIR)/usr/bin/moongate
	install -D -m 644 -t $(DESTDIR)/usr/share/man/man1 dist/man/*.1
	install -d $(DESTDIR)/usr/share/bash-completion/completions
	bin/moongate completion bash > $(DESTDIR)/usr/share/bash-completion/completions/moongate
	install -D -m 644 -t $(DESTDIR)/usr/lib/systemd/system packaging/systemd/*.service

clean:
	rm -rf bin dist cover.out

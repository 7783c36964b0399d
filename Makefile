# moongate: `make` builds and runs the quick tests; `make help` lists the rest.

GO       ?= go
FUZZTIME ?= 60s
SOAK     ?= 10m
VERSION  := $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
# What packages are called: a version must begin with a digit.
PKGVERSION := $(shell git describe --tags 2>/dev/null | sed -n "s/^v\([0-9]\)/\1/p" | grep . || echo 0.0.0)
PKG      := github.com/moongate-vpn/moongate

# Tools are pinned here, not in go.mod: they are never linked into the binary.
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOFUMPT     := mvdan.cc/gofumpt@v0.12.0
NFPM        := github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.45.2
DEADCODE    := golang.org/x/tools/cmd/deadcode@v0.51.0
GOVULNCHECK := golang.org/x/vuln/cmd/govulncheck@v1.1.4
ACTIONLINT  := github.com/rhysd/actionlint/cmd/actionlint@v1.7.7
CYCLONEDX   := github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.9.0

.DEFAULT_GOAL := all
.PHONY: test-all test-second-stock generated pictures files package release all help build build-pkcs11 quick test race interop lint cross fmt fmt-check vet fuzz bench soak cover demo demo-fleet docs install uninstall deps clean

all: build quick ## build and run the quick tests

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "%-10s %s\n", $$1, $$2}'

build: ## bin/moongate, one static binary; bin/moongate-plugin where there is a C compiler
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w -X $(PKG)/daemon.Version=$(VERSION)' -o bin/moongate ./cmd/moongate
	@if command -v $(CC) >/dev/null; then $(MAKE) -s bin/moongate-plugin; \
	else echo "no C compiler ($(CC)): without bin/moongate-plugin, which only configurations with plugins need"; fi

bin/moongate-plugin: $(wildcard cmd/moongate-plugin/*.[ch])
	@mkdir -p bin
	$(CC) -O2 -g -Wall -Wextra -fstack-protector-strong -D_FORTIFY_SOURCE=2 -Wl,-z,relro,-z,now -o $@ cmd/moongate-plugin/*.c -ldl

build-pkcs11: ## bin/moongate with smart cards: needs cgo, loads shared objects
	CGO_ENABLED=1 $(GO) build -tags pkcs11 -trimpath -ldflags '-s -w -X $(PKG)/daemon.Version=$(VERSION)' -o bin/moongate ./cmd/moongate

quick: ## tests that need neither root nor the stock daemon
	$(GO) test -short ./...

# Everything: units, engines in memory, commands, prompt, examples, and the stock daemon in network
# namespaces, with the race detector. Installs what is missing first.
test: deps build ## run everything (Debian, root)
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w' -o $(MOONGATE_PROGRAM) ./cmd/moongate
	$(UNRACED) -c -o $(dir $(MOONGATE_PROGRAM)) $(SECOND)
	@$(MAKE) -j2 -O test-all test-second-stock

# The two halves of test wait most of their time, so they run beside each other, and packages by threes, those that wait longest first.
# Many tests run our program as it is released: one build is enough. Symbols for debuggers cost time to link; lint vets.
# The race detector looks on where the same ways are gone with the stock daemon that is installed: not again with another release of it.
RACE     := -race -vet=off -ldflags=-w
UNRACED   = CGO_ENABLED=0 $(GO) test -vet=off -ldflags='-s -w'
LONGEST  := ./test ./test/conformance ./test/generated ./cmd/moongate
SECOND   := ./test ./test/conformance ./cmd/moongate
test test-all test-second-stock soak: export MOONGATE_PROGRAM = $(CURDIR)/bin/test/moongate
test-all test-second-stock: export GORACE = atexit_sleep_ms=50 # else every program of a test takes a second to end
test-all:
	$(GO) test $(RACE) -p 3 -parallel 6 -timeout 20m $(LONGEST) ./...
	$(GO) test $(RACE) -count 1 -tags pkcs11 -skip 'Stocks$$' ./daemon/config ./daemon/tokens # what is compared with stock is the same with the tag
	$(GO) test $(RACE) -count 1 -tags pkcs11 ./test -run PKCS11
test-second-stock:
	@sh test/second-stock.sh $(dir $(MOONGATE_PROGRAM))

race: ## the quick tests under the race detector
	$(GO) test -race -short ./...

interop: deps build ## only the tests against the stock daemon
	$(GO) test -count 1 -timeout 20m -v ./test/...

deps: ## install the packages the tests talk to
	@sh test/install-deps.sh

lint: vet ## staticcheck, functions that nothing reaches, known vulnerabilities, the workflows; golangci-lint where it is installed
	$(GO) run $(STATICCHECK) ./...
	@GO=$(GO) sh test/deadcode.sh $(DEADCODE)
	@GO=$(GO) sh test/govulncheck.sh $(GOVULNCHECK)
	$(GO) run $(ACTIONLINT) .github/workflows/*.yml
	@if command -v golangci-lint >/dev/null; then golangci-lint run; fi

vet:
	$(GO) vet ./...
	$(GO) vet -tags soak ./test ./test/generated ./mgmt/server ./daemon/client ./daemon/fleet ./daemon/fleet/jet ./daemon/journal/index ./cmd/internal/web ./cmd/moongate

cross: ## build and vet for other machines; the tests run on 386 as well
	for t in linux/arm64 linux/arm linux/mips linux/riscv64 darwin/arm64 freebsd/amd64; do \
		echo $$t; GOOS=$${t%/*} GOARCH=$${t#*/} CGO_ENABLED=0 $(GO) vet ./... || exit 1; done
	GOARCH=386 CGO_ENABLED=0 $(GO) test -short ./...
	CGO_ENABLED=0 $(GO) vet -tags nofleet,noindex ./...
	CGO_ENABLED=0 $(GO) test -tags noindex ./daemon/journal/index # as on linux/mips, which SQLite does not have

fmt: ## format the tree
	$(GO) run $(GOFUMPT) -l -w .

fmt-check:
	@bad=$$(gofmt -l $$(git ls-files '*.go')); if [ -n "$$bad" ]; then echo "not gofmt:"; echo "$$bad"; exit 1; fi

fuzz: ## every fuzz target for FUZZTIME each
	@sh test/fuzz.sh $(FUZZTIME)

bench: ## the benchmarks, those of scripts first, and the tunnel arena where it can run
	$(GO) test -run '^$$' -bench '^BenchmarkScript' -benchtime 2s ./cmd/moongate
	$(GO) test -run '^$$' -bench . -benchmem ./...

soak: deps build cross ## what takes longer than a test may, with the figures of a quiet machine: load, a hostile seat, all fuzz targets, other machines
	MOONGATE_SOAK=$(SOAK) $(GO) test -tags soak -count 1 -p 1 -timeout 0 -v -run Soak ./test ./mgmt/server ./daemon/client ./daemon/fleet ./daemon/fleet/jet ./daemon/journal/index ./cmd/internal/web ./cmd/moongate
	MOONGATE_SOAK=$(SOAK) $(GO) test -tags soak -count 1 -parallel 6 -timeout 0 -v -run Soak ./test/generated # it waits more than it works
	$(UNRACED) -c -o $(dir $(MOONGATE_PROGRAM)) $(SECOND)
	@sh test/second-stock.sh $(dir $(MOONGATE_PROGRAM)) all
	@sh test/fuzz.sh $(SOAK) HostileSeat
	@sh test/fuzz.sh $(FUZZTIME)

cover: ## coverage per package
	$(GO) test -short -coverprofile cover.out ./... && $(GO) tool cover -func cover.out | tail -n 1

demo: build ## a tunnel between two namespaces, answered by Lua
	bin/moongate demo

demo-fleet: build ## three servers that act as one, one of which is killed
	bin/moongate demo --fleet

docs: build ## manual pages into dist/man
	rm -rf dist/man && bin/moongate man dist/man

pictures: ## pictures of top and the prompt, from real sessions, into docs/pictures
	$(GO) test ./cmd/moongate -count 1 -run Pictures -update-docs

generated: ## rewrite the documents that tests compare with code: commands, options, lines of the port, JSON schemas
	$(GO) test ./cmd/moongate -count 1 -run CommandPages -update-docs
	$(GO) test ./daemon/config -count 1 -run OptionsDocument -update-docs
	$(GO) test ./cmd/internal/reference -count 1 -update
	$(GO) test ./cmd/internal/cli -count 1 -run SchemaFiles -update

# What a package or an installation has beside the binary, ready in dist/root.
files: docs
	rm -rf dist/root
	install -D -m 755 bin/moongate dist/root/usr/bin/moongate
	@if [ -e bin/moongate-plugin ]; then install -D -m 755 bin/moongate-plugin dist/root/usr/lib/moongate/moongate-plugin; fi
	install -D -m 644 -t dist/root/usr/share/man/man1 dist/man/man1/*.1
	install -D -m 644 -t dist/root/usr/share/man/man7 dist/man/man7/*.7
	gzip -9n dist/root/usr/share/man/man*/*
	install -d dist/root/usr/share/bash-completion/completions dist/root/usr/share/zsh/vendor-completions dist/root/usr/share/fish/vendor_completions.d
	bin/moongate completion bash > dist/root/usr/share/bash-completion/completions/moongate
	bin/moongate completion zsh > dist/root/usr/share/zsh/vendor-completions/_moongate
	bin/moongate completion fish > dist/root/usr/share/fish/vendor_completions.d/moongate.fish
	install -D -m 644 -t dist/root/usr/lib/systemd/system packaging/systemd/*.service
	install -D -m 644 packaging/sysusers.conf dist/root/usr/lib/sysusers.d/moongate.conf
	for d in openvpn openvpn-client openvpn-server; do \
		install -D -m 644 packaging/systemd/$$d@.service.d/moongate.conf dist/root/usr/share/moongate/systemd/$$d@.service.d/moongate.conf; done
	install -D -m 644 -t dist/root/usr/share/moongate/examples/lua examples/lua/*.lua
	install -D -m 644 -t dist/root/usr/share/moongate/types script/meta/*.lua
	install -D -m 644 -t dist/root/usr/share/doc/moongate README.md CHANGELOG.md SECURITY.md LICENSE
	cp -R docs dist/root/usr/share/doc/moongate/docs

install: files ## into $(DESTDIR)/usr: binary, manual pages, completions, units, examples, types
	install -d $(DESTDIR)/ && cp -R dist/root/. $(DESTDIR)/
	@if [ -z "$(DESTDIR)" ] && command -v systemd-sysusers >/dev/null; then systemd-sysusers moongate.conf; fi

uninstall: files ## takes away what install put into $(DESTDIR)/usr
	cd dist/root && find . ! -type d -exec sh -c 'for f; do rm -f "$(DESTDIR)/$$f"; done' sh {} +
	cd dist/root && find . -depth -type d -path '*/moongate*' -exec sh -c 'for d; do rmdir "$(DESTDIR)/$$d" || true; done' sh {} +

package: files ## .deb and .rpm into dist
	VERSION=$(PKGVERSION) ARCH=$$($(GO) env GOARCH) $(GO) run $(NFPM) package -f packaging/nfpm.yaml -p deb -t dist/
	VERSION=$(PKGVERSION) ARCH=$$($(GO) env GOARCH) $(GO) run $(NFPM) package -f packaging/nfpm.yaml -p rpm -t dist/

# The same sources give the same bytes: no paths, no times, sorted archives.
release: ## archives for all machines, their modules (CycloneDX) and checksums into dist/release
	rm -rf dist/release && mkdir -p dist/release
	for t in linux/amd64 linux/arm64 linux/arm linux/mips linux/riscv64 darwin/arm64 freebsd/amd64; do \
		n=moongate-$(PKGVERSION)-$${t%/*}-$${t#*/}; mkdir -p dist/release/$$n && \
		GOOS=$${t%/*} GOARCH=$${t#*/} CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=false -ldflags '-s -w -buildid= -X $(PKG)/daemon.Version=$(VERSION)' -o dist/release/$$n/moongate ./cmd/moongate && \
		cp README.md LICENSE CHANGELOG.md SECURITY.md dist/release/$$n/ && \
		$(GO) run $(CYCLONEDX) bin -json -std -noserial -version $(PKGVERSION) dist/release/$$n/moongate | sed '/"timestamp":/d' > dist/release/$$n.cdx.json && \
		tar --sort=name --owner=0 --group=0 --numeric-owner --mtime=@0 -C dist/release -cf - $$n | gzip -9n > dist/release/$$n.tar.gz && \
		rm -r dist/release/$$n || exit 1; done
	cd dist/release && sha256sum *.tar.gz *.cdx.json > SHA256SUMS

clean:
	rm -rf bin dist cover.out

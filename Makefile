# What each target needs beyond Go, gcc and git it installs or starts itself.
SHELL := bash
BIN   := bin
TOOLS := .tools
GOLANGCI_VERSION := v2.15.0
GOVULNCHECK_VERSION := latest

# What is judged by how long it takes: without the race detector, and with nothing beside it.
TIMED := TestTwoProcessesShareARun|TestBackfillGivesWay|TestCloudCosts

export CGO_ENABLED ?= 1

.PHONY: test lint vuln build bench chaos fuzz postgres image-check clean

## test: everything a change must pass
test: postgres
	go build ./...
	go vet ./...
	$(MAKE) lint
	go test -race -timeout 24m ./...
	go test -timeout 5m -run '$(TIMED)' ./cmd/mixsync

## postgres: install Debian's PostgreSQL where no server is at hand
postgres:
	@if [ -n "$$MIXSYNC_TEST_POSTGRES" ] || command -v initdb >/dev/null || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1; then exit 0; fi; \
	sudo=; [ "$$(id -u)" = 0 ] || sudo=sudo; \
	$$sudo apt-get update -q && DEBIAN_FRONTEND=noninteractive $$sudo apt-get install -q -y --no-install-recommends postgresql

## lint: formatting and linters; the tool is built once
lint: $(TOOLS)/golangci-lint-$(GOLANGCI_VERSION)
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { echo "not gofmt'd:"; gofmt -l $$(git ls-files '*.go'); exit 1; }
	$(TOOLS)/golangci-lint-$(GOLANGCI_VERSION) run ./...

$(TOOLS)/golangci-lint-$(GOLANGCI_VERSION):
	@mkdir -p $(TOOLS)
	GOBIN=$(CURDIR)/$(TOOLS) go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)
	mv $(TOOLS)/golangci-lint $@

## vuln: known vulnerabilities in dependencies; needs vuln.go.dev
vuln:
	go run golang.org/x/vuln/cmd/govulncheck@$(GOVULNCHECK_VERSION) ./...

## build: the binary, in bin/
build:
	go build -trimpath -o $(BIN)/mixsync ./cmd/mixsync

## bench: the figures of sync/pipeline/BENCH.md, against floors taken in the same run
bench: postgres
	go run ./sync/pipeline/bench -write sync/pipeline/BENCH.md

## chaos: processes, wires and states that fail in all the ways they can; see cmd/mixsync/chaos_test.go
SEEDS ?= 100
chaos: postgres
	go test ./cmd/mixsync -count=1 -v -timeout 4h -run 'TestChaos' -chaos.seeds=$(SEEDS)

## fuzz: each fuzz target for a while
FUZZTIME ?= 20s
fuzz:
	@set -e; for pkg in $$(go list ./...); do \
	  for target in $$(go test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
	    echo "$$pkg $$target"; go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 5x $$pkg; \
	  done; \
	done

## image-check: the image's build commands, and the image in a chroot; needs root
image-check:
	go test -count=1 -tags image -run 'TestImage$$' ./deploy

clean:
	rm -rf $(BIN) $(TOOLS)

# make run    a whole system in one process, with nothing but Go: http://localhost:8080/
# make test   everything CI runs; installs the Debian packages the tests need, and builds the clients of other languages
# make help   the rest

GO       ?= go
LINT     := $(GO) tool -modfile=tools/go.mod golangci-lint
AS_ROOT  := $(if $(filter 0,$(shell id -u)),,sudo)
DEBIAN   := redis-server haproxy nginx-light chromium prometheus python3-venv maven default-jdk-headless \
	libssl-dev pkg-config $(if $(shell command -v cargo),,cargo)
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS  := -X main.version=$(VERSION)

MAKEFLAGS += --no-print-directory

.PHONY: help run build client image test deps debian format lint unit allocations e2e soak soak-kill chart manifests reference schemas jitter bench bench-docs bench-compare fuzz

help:
	@sed -n 's/^# make/make/p' Makefile

run:
	$(GO) run -ldflags '$(LDFLAGS)' ./cmd/gateway dev

# make build  bin/gateway
build:
	$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/gateway ./cmd/gateway

# make client fetch the official browser client into client/, which the gateway then serves under /socket.io/
client: test/node_modules
	mkdir -p client
	cp test/node_modules/socket.io-client/dist/socket.io.*js* client/
	cp test/node_modules/socket.io-client/package.json client/

# make image  the container image carillon:VERSION, with a docker engine
SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct 2>/dev/null || echo 0)
image:
	docker build -f deploy/docker/Dockerfile -t carillon:$(VERSION) --build-arg VERSION=$(VERSION) \
		--build-arg REVISION=$$(git rev-parse HEAD) --build-arg SOURCE_DATE_EPOCH=$(SOURCE_DATE_EPOCH) \
		--build-arg CREATED=$$(date -u -d @$(SOURCE_DATE_EPOCH) +%FT%TZ) .

test: deps format lint unit allocations e2e chart

deps: debian test/node_modules test/.venv test/e2e/java/classes test/e2e/go/endings test/e2e/rust/target/debug/endings

debian:
	@for p in $(DEBIAN); do dpkg -s $$p >/dev/null 2>&1 || missing="$$missing $$p"; done; \
	if [ -n "$$missing" ]; then \
		$(AS_ROOT) apt-get update -qq && \
		$(AS_ROOT) env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing; \
	fi

test/.venv: test/requirements.txt | debian
	@python3 -m venv $@
	@$@/bin/pip install --quiet --disable-pip-version-check --requirement $<
	@touch $@

test/e2e/java/classes: test/e2e/java/pom.xml test/e2e/java/Endings.java | debian
	@mvn --quiet --batch-mode --no-transfer-progress -Dstyle.color=never --file $< dependency:copy-dependencies -DoutputDirectory=lib
	@javac -cp 'test/e2e/java/lib/*' -d $@ $(filter %.java,$^)
	@touch $@

test/e2e/go/endings: test/e2e/go/go.mod test/e2e/go/main.go
	@$(GO) build -C $(@D) -o endings .
	@touch $@

test/e2e/rust/target/debug/endings: test/e2e/rust/Cargo.lock test/e2e/rust/src/main.rs | debian
	@cargo build --quiet --locked --manifest-path test/e2e/rust/Cargo.toml
	@touch $@

test/node_modules: test/package-lock.json
	@cd test && npm ci --no-audit --no-fund --loglevel=error
	@touch $@

format:
	@files=$$(gofmt -l $$(git ls-files '*.go')); \
	if [ -n "$$files" ]; then echo "not gofmt'ed:"; echo "$$files"; exit 1; fi

# make lint   the linters of .golangci.yml, go vet's checks among them, and go vet for what only a tag builds
lint:
	@$(GO) vet -tags soak,jitter ./pkg/adapter/redis ./test/e2e
	@$(LINT) run ./...

# The packages with tests whose path does not match; go test names the others one by one, too.
tested = $$($(GO) list -f '{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}}{{end}}' $(1) | grep -vE '$(2)')

# make unit   the Go tests without those that start servers and clients of others; most of them wait, so one package more than cores
unit:
	@$(GO) test -race -timeout 20m -p $$(($$(nproc) + 1)) $(call tested,./...,/test/(e2e|observability|chart|jsclient)(/|$$))

# make allocations  the tests that count allocations, without the race detector, which allocates by itself
allocations:
	@$(GO) test -run Alloc $$(git grep -l 'func Test[A-Za-z0-9_]*Alloc' -- 'internal/*_test.go' 'pkg/*_test.go' | xargs -n1 dirname | sort -u | sed 's,^,./,')

# make e2e    real Redis, HAProxy, official clients, Chromium, Prometheus
e2e: deps
	@$(GO) test -race -count=1 -timeout 30m -parallel $$(($$(nproc) + 1)) ./test/e2e/... ./test/observability/...

# make soak   Redis mistreated for SOAK (10m), alone and as a cluster: every message is accounted for
SOAK ?= 10m
soak:
	$(GO) test -tags soak -count=1 -timeout 2h -run TestSoak -v ./pkg/adapter/redis -args -soak $(SOAK)

# make soak-kill  200 clients of three gateways with streams, each cut again and again, while one gateway is killed every ten seconds,
#             for a minute, five times: every event arrives once
soak-kill: test/node_modules
	$(GO) test -race -count=5 -timeout 30m -run TestKill_WithStreams -v ./test/e2e -args -kills 6 -kill-period 10s -kill-clients 200

# make chart  the Helm chart and deploy/k8s: rendered, validated, compared with the gateway's defaults
chart: deps
	@$(GO) test -count=1 -timeout 20m $(call tested,./test/chart/...,^$$)

# make manifests  deploy/k8s anew from the chart
manifests:
	$(GO) test -count=1 -run '^TestManifests_(Base|OverlaysAdd)' ./test/chart -args -update

# make reference  docs/configuration.md anew from internal/config
reference:
	$(GO) test -count=1 -run '^TestReference' ./internal/config -args -update

# make schemas    what kubeconform checks the chart's objects against
schemas:
	$(GO) run ./test/chart/schemas/generate

# make fuzz   every fuzz target for FUZZTIME (10m) each, one after the other
FUZZTIME ?= 10m
fuzz:
	@set -e; for p in $$(git grep -l 'func Fuzz' -- '*_test.go' | xargs -n1 dirname | sort -u); do \
		for f in $$(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\).*/\1/p' $$p/*_test.go); do \
			echo "$$p $$f"; $(GO) test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 2s -parallel 1 ./$$p; \
		done; \
	done

# make jitter  200 clients whose connections are cut again and again behind HAProxy's round robin, while three nodes are rolled: JITTER runs
#              with both ends closed and as many half-open, of 40 s each
JITTER ?= 5
jitter:
	$(GO) test -tags jitter -count=1 -v -timeout 1h -run '^TestJitter_WhileThreeNodesAreRolled$$' ./test/e2e -jitter $(JITTER)

# make bench  Carillon beside its peers: docs/benchmarks.md, its plots and docs/capacity.md anew, in two hours;
#             BENCH="-docs docs -rounds 1" in three quarters of an hour. A load that fails costs neither page.
BENCH ?= -docs docs
bench: debian test/node_modules
	@$(GO) run ./test/bench $(BENCH); measured=$$?; \
	$(if $(findstring -docs docs,$(BENCH)),$(GO) run ./test/bench/capacity -docs docs || measured=$$?;) exit $$measured

# make bench-docs  the same pages from what was measured last
bench-docs:
	$(GO) run ./test/bench -from docs/benchmarks/results.jsonl -docs docs
	$(GO) run ./test/bench/capacity -docs docs

# make bench-compare  the Go benchmarks of PACKAGES that match RUN, at BASE and here in turn, through benchstat
BASE     ?= main
PACKAGES ?= ./pkg/... ./internal/...
RUN      ?= .
COUNT    ?= 6
bench-compare:
	@set -e; dir=$$(mktemp -d); trap 'rm -rf "$$dir"' EXIT; mkdir "$$dir/base"; git archive $(BASE) | tar -x -C "$$dir/base"; \
	for i in $$(seq $(COUNT)); do \
		(cd "$$dir/base" && $(GO) test -run '^$$' -bench '$(RUN)' -benchmem $(PACKAGES)) >>"$$dir/$(subst /,-,$(BASE))"; \
		$(GO) test -run '^$$' -bench '$(RUN)' -benchmem $(PACKAGES) >>"$$dir/here"; \
	done; \
	cd "$$dir" && $(GO) run golang.org/x/perf/cmd/benchstat@latest "$(subst /,-,$(BASE))" here

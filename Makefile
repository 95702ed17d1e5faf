.PHONY: build test race lint fuzz bench ci

build:
	CGO_ENABLED=0 go build -trimpath -o stated ./cmd/stated

test:
	go test ./...

race:
	go test -race ./...

lint:
	gofmt -l .
	go vet ./...
	staticcheck ./...
	golangci-lint run

fuzz:
	.ci/fuzz 60000

bench:
	go test -run '^$$' -bench . ./actor ./store

ci:
	.ci/run

# Thin: each target is one command, so that what it does can be read and run by hand.

CONTEXT ?=
CARGO ?= cargo
PROOF ?=

.PHONY: demo down test prove check

## demo: build everything, start a Kubernetes of its own, show and assert every claim (CONTEXT=... uses your cluster)
demo:
	$(CARGO) run --quiet -p tradewind-e2e --bin demo -- $(if $(CONTEXT),--context $(CONTEXT))

## down: end the demo's cluster and remove everything of it
down:
	$(CARGO) run --quiet -p tradewind-e2e --bin demo -- down

## test: every test there is, from unit to cluster
test:
	$(CARGO) run --quiet -p tradewind-e2e --bin suite

## prove: what takes too long for every change; results are kept in docs/proofs.md (PROOF=... runs one)
prove:
	$(CARGO) run --quiet -p tradewind-e2e --bin prove -- $(if $(PROOF),--only $(PROOF))

## check: formatting and lints
check:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings

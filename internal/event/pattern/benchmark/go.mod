module github.com/mayfly-ci/mayfly/internal/event/pattern/benchmark

go 1.26.8

require (
	github.com/mayfly-ci/mayfly v0.0.0
	quamina.net/go/quamina v1.5.1
)

replace (
	github.com/mayfly-ci/mayfly => ../../../..
	quamina.net/go/quamina => github.com/timbray/quamina v1.5.1
)

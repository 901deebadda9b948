// Package forgetest holds Mayfly against a real forge: Gitea with its own runner, built from
// the Go module proxy by two modules below, so that nothing on the other side is ours. Its
// tests run mayfly as a person does, and ask Gitea what came of it.
//
//	make test-forge
package forgetest

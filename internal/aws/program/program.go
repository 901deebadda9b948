// Package program has those of Mayfly's own programs that run on AWS: the handlers,
// the agent, and the tool for the image's build. A release carries them in itself
// (build tag release, made by `make release`); from a source tree they are built.
package program

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
)

// The programs.
const (
	Webhook  = "mayfly-webhook" // the handler webhook
	Handlers = "mayfly-lambda"  // the others
	Agent    = "mayfly-agent"
	Tool     = "mayfly"
)

// Linux returns the named program for Linux on arch, amd64 or arm64.
func Linux(ctx context.Context, name, arch string) ([]byte, error) {
	body, err := linux(ctx, name, arch)
	if err != nil {
		return nil, fmt.Errorf("program %s for linux/%s: %w", name, arch, err)
	}
	return body, nil
}

// Read returns the named program from a folder where they were built before, as
// ARCH/NAME.
func Read(dir, name, arch string) ([]byte, error) {
	return os.ReadFile(filepath.Join(dir, arch, name))
}

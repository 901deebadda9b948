//go:build !release

package program

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/mayfly-ci/mayfly/internal/aws/refusal"
)

const module = "github.com/mayfly-ci/mayfly"

// linux builds the program from the source tree that this one was built from or runs in.
// The same source gives the same bytes, which is what keeps a second deploy from
// uploading them again.
func linux(ctx context.Context, name, arch string) ([]byte, error) {
	tree, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", module).Output()
	if err != nil {
		return nil, refusal.New(errors.Join(errors.New("this mayfly is no release, and here is no source tree to build from"), err),
			"run it in Mayfly's source tree, with Go installed, or use a release (make release)")
	}
	dir, err := os.MkdirTemp("", "mayfly-program-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, filepath.Base(name))
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-tags", "lambda.norpc", "-ldflags", "-s -w", "-o", file, "./cmd/"+name)
	build.Dir = strings.TrimSpace(string(tree))
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch)
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("go build: %w\n%s", err, out)
	}
	return os.ReadFile(file)
}

//go:build release

package program

import (
	"bytes"
	"compress/gzip"
	"context"
	"embed"
	"io"
)

// embedded has ARCH/NAME.gz.
//
//go:embed linux
var embedded embed.FS

func linux(_ context.Context, name, arch string) ([]byte, error) {
	packed, err := embedded.ReadFile("linux/" + arch + "/" + name + ".gz")
	if err != nil {
		return nil, err
	}
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

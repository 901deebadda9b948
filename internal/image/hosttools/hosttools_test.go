package hosttools

import (
	"archive/tar"
	"bytes"
	"debug/elf"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
)

func TestSameToolsSameImage(t *testing.T) {
	digests := func(owner string) (image, layer v1.Hash) {
		t.Helper()
		built, err := Build(Config{Tools: []string{"bash", "sed"}, Owner: owner})
		if err != nil {
			t.Fatal(err)
		}
		image, err = built.Digest()
		if err != nil {
			t.Fatal(err)
		}
		layers, err := built.Layers()
		if err != nil || len(layers) != 1 {
			t.Fatalf("%d layers, %v", len(layers), err)
		}
		layer, err = layers[0].DiffID()
		if err != nil {
			t.Fatal(err)
		}
		return image, layer
	}
	image, layer := digests("a")
	if again, _ := digests("a"); again != image {
		t.Errorf("two builds, two images: %v, %v", image, again)
	}
	if _, other := digests("b"); other == layer {
		t.Errorf("images of two owners have layer %v in common: removing one takes it from the other", layer)
	}
}

// files returns the headers of the image of config, by name.
func files(t *testing.T, config Config) map[string]*tar.Header {
	t.Helper()
	image, err := Build(config)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]*tar.Header{}
	content := mutate.Extract(image)
	defer content.Close()
	for r := tar.NewReader(content); ; {
		h, err := r.Next()
		if err == io.EOF {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all["/"+strings.TrimSuffix(h.Name, "/")] = h
	}
}

func TestFiles(t *testing.T) {
	own := filepath.Join(t.TempDir(), "own")
	if err := os.WriteFile(own, []byte("#!/bin/sh\n"), 0o4755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(own, 0o755|os.ModeSetuid); err != nil {
		t.Fatal(err)
	}
	got := files(t, Config{Tools: []string{"no-such-tool"}, Trees: []string{"/no/such/tree"}, Files: map[string]string{"/opt/x/own": own}})
	for name, mode := range map[string]int64{"/opt/x": 0o755, "/opt/x/own": 0o755, "/tmp": 0o1777, "/etc/passwd": 0o644} {
		if h := got[name]; h == nil || h.Mode != mode {
			t.Errorf("%s: %+v, want mode %o", name, h, mode)
		}
	}
	if h := got[Home]; h == nil || h.Uid != id {
		t.Errorf("home: %+v, want one of user %d", h, id)
	}
	if _, err := Build(Config{Files: map[string]string{"/x": own + "-gone"}}); err == nil {
		t.Error("a file that is not there was packed")
	}
	// The script's interpreter came with it, and that one's libraries.
	if err := closed(got); err != "" {
		t.Error(err)
	}
}

func TestEveryLibraryIsThere(t *testing.T) {
	if err := closed(files(t, Config{Tools: Tools(), Trees: Trees()})); err != "" {
		t.Error(err)
	}
}

// closed says what of an image's programs is missing in it: a linker, a library,
// the end of a link.
func closed(image map[string]*tar.Header) string {
	programs := 0
	for name, h := range image {
		if h.Typeflag == tar.TypeSymlink && follow(image, name) == "" {
			return name + " leads nowhere: " + h.Linkname
		}
		f, err := elf.Open(name)
		if h.Typeflag != tar.TypeReg || err != nil {
			continue
		}
		programs++
		if linker := interpreter(f); linker != "" && follow(image, linker) == "" {
			return name + " lacks " + linker
		}
		needed, _ := hostLibraries().of(name)
		for _, library := range needed {
			if follow(image, library) == "" {
				return name + " lacks " + library
			}
		}
		f.Close()
	}
	if programs == 0 {
		return "no program in the image"
	}
	return ""
}

// follow returns the name of the file or folder that name leads to in the image.
func follow(image map[string]*tar.Header, name string) string {
	at := "/"
	for rest := strings.Split(name[1:], "/"); len(rest) > 0; {
		next := filepath.Join(at, rest[0])
		rest = rest[1:]
		h := image[next]
		switch {
		case next == "/":
		case h == nil:
			return ""
		case h.Typeflag == tar.TypeSymlink:
			if filepath.IsAbs(h.Linkname) {
				at = "/"
			}
			rest = append(strings.Split(strings.Trim(h.Linkname, "/"), "/"), rest...)
			continue
		}
		at = next
	}
	return at
}

func TestParseConf(t *testing.T) {
	got := parseConf(strings.NewReader("# comment\ninclude ld.so.conf.d/*.conf\n\n /opt/lib # here\n"))
	if diff := cmp.Diff([]string{"include ld.so.conf.d/*.conf", "/opt/lib"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestReadConfIncludes(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{"top": "include sub/*.conf\ninclude top\n/last\n", "sub/a.conf": "/a\n", "sub/b.conf": "/b\n"} {
		os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755)
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got := readConf(filepath.Join(dir, "top"), maxIncludes) // deep enough not to include itself
	if diff := cmp.Diff([]string{"/last"}, got); diff != "" {
		t.Error(diff)
	}
	got = readConf(filepath.Join(dir, "top"), 0)
	if diff := cmp.Diff([]string{"/a", "/b"}, got[:2]); diff != "" || len(got) > 40 {
		t.Errorf("%v: %s", got, diff)
	}
}

func TestWriteWantsAName(t *testing.T) {
	image, err := Build(Config{})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := Write(&out, "Not A Name", image); err == nil {
		t.Error("an image without a good name was written")
	}
	if err := Write(&out, "localhost/mayfly:test", image); err != nil || out.Len() == 0 {
		t.Errorf("%v, %d bytes", err, out.Len())
	}
}

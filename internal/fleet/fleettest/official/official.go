// Package official lays out GitHub's runner as a release unpacks it, with a stand-in for
// its listener, for tests of what runs it: sandbox, engine, image and the whole way.
//
// The scripts are stand-ins, too, that do what actions/runner 2.336.0 has. Where
// MAYFLY_TEST_RUNNER names a folder with an unpacked release, its own run.sh,
// run-helper.sh.template and safe_sleep.sh take their place.
package official

import (
	"embed"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

//go:embed files
var files embed.FS

// Release is the environment variable that names a folder with an unpacked release.
const Release = "MAYFLY_TEST_RUNNER"

// LayOut puts the runner into folder, which it makes, and minirunner, if it is not "",
// beside the listener.
func LayOut(folder, minirunner string) error {
	err := fs.WalkDir(files, "files", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel("files", path)
		to := filepath.Join(folder, rel)
		if d.IsDir() {
			return os.MkdirAll(to, 0o755)
		}
		return copyScript(path, rel, to)
	})
	if err != nil {
		return err
	}
	node := filepath.Join(folder, "externals", "node24", "bin")
	if err := os.MkdirAll(node, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(node, "node"), []byte("#!/bin/sh\n"), 0o755); err != nil || minirunner == "" {
		return err
	}
	program, err := os.ReadFile(minirunner)
	return errors.Join(err, os.WriteFile(filepath.Join(folder, "bin", "mayfly-minirunner"), program, 0o755))
}

// copyScript writes one file, of the release where there is one.
func copyScript(path, rel, to string) error {
	text, err := files.ReadFile(path)
	if release := os.Getenv(Release); release != "" && filepath.Dir(rel) == "." {
		text, err = os.ReadFile(filepath.Join(release, rel))
	}
	if err != nil {
		return err
	}
	return os.WriteFile(to, text, 0o755)
}

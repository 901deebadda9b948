package lint

import (
	"fmt"
	"os"
	"path/filepath"
)

// maxFile is how large a workflow file may be, in bytes. GitHub's limit is 1 MB.
const maxFile = 4 << 20

// Read returns the files at paths, in order: those that are named, and of folders those that GitHub takes for workflows.
func Read(paths ...string) (files []File, err error) {
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			return nil, err
		}
		names := []string{path}
		if info.IsDir() {
			if names, err = inFolder(path); err != nil {
				return nil, err
			}
		}
		for _, name := range names {
			if info, err := os.Stat(name); err != nil || info.Size() > maxFile {
				return nil, fmt.Errorf("%s: not a workflow file of at most %d bytes", name, maxFile)
			}
			text, err := os.ReadFile(name)
			if err != nil {
				return nil, err
			}
			files = append(files, File{name, text})
		}
	}
	return files, nil
}

func inFolder(folder string) (names []string, err error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if ext := filepath.Ext(e.Name()); !e.IsDir() && (ext == ".yml" || ext == ".yaml") {
			names = append(names, filepath.Join(folder, e.Name()))
		}
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("%s: no workflow files (*.yml, *.yaml) in it", folder)
	}
	return names, nil
}

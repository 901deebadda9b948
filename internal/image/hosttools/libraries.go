package hosttools

import (
	"bufio"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// libraries is where this host's dynamic linker looks for shared libraries.
// https://man7.org/linux/man-pages/man8/ld.so.8.html
type libraries struct{ folders []string }

// hostLibraries reads the linker's configuration, and adds the folders that it searches by
// default.
func hostLibraries() libraries {
	folders := readConf("/etc/ld.so.conf", 0)
	return libraries{append(folders, "/lib64", "/usr/lib64", "/lib", "/usr/lib", "/usr/local/lib")}
}

// maxIncludes is how deep the linker's configuration may include itself.
const maxIncludes = 8

func readConf(file string, depth int) []string {
	f, err := os.Open(file)
	if err != nil || depth > maxIncludes {
		return nil
	}
	defer f.Close()
	var folders []string
	for _, line := range parseConf(f) {
		pattern, include := strings.CutPrefix(line, "include ")
		if !include {
			folders = append(folders, line)
			continue
		}
		pattern = strings.TrimSpace(pattern)
		if !filepath.IsAbs(pattern) {
			pattern = filepath.Join(filepath.Dir(file), pattern)
		}
		files, _ := filepath.Glob(pattern)
		for _, f := range files {
			folders = append(folders, readConf(f, depth+1)...)
		}
	}
	return folders
}

// parseConf returns the lines of ld.so.conf without comments and empty lines.
func parseConf(r io.Reader) []string {
	var all []string
	for lines := bufio.NewScanner(r); lines.Scan(); {
		line, _, _ := strings.Cut(lines.Text(), "#")
		if line = strings.TrimSpace(line); line != "" {
			all = append(all, line)
		}
	}
	return all
}

// of returns the dynamic linker and the shared libraries that file names; none if file is static or
// not an ELF file. It does not follow the libraries' own needs: they are added when the library
// is.
func (l libraries) of(file string) ([]string, error) {
	f, err := elf.Open(file)
	var format *elf.FormatError
	if errors.As(err, &format) || errors.Is(err, io.EOF) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	defer f.Close()
	var found []string
	if linker := interpreter(f); linker != "" {
		found = append(found, linker)
	}
	names, err := f.ImportedLibraries()
	if err != nil && !errors.Is(err, elf.ErrNoSymbols) {
		return nil, fmt.Errorf("libraries of %s: %w", file, err)
	}
	folders := append(runPaths(f, filepath.Dir(file)), l.folders...)
	for _, name := range names {
		library, err := search(folders, name, f)
		if err != nil {
			return nil, fmt.Errorf("library %s of %s: %w", name, file, err)
		}
		found = append(found, library)
	}
	return found, nil
}

// interpreter returns the dynamic linker that f names.
func interpreter(f *elf.File) string {
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			name, _ := io.ReadAll(p.Open())
			return strings.TrimRight(string(name), "\x00")
		}
	}
	return ""
}

// runPaths returns the library folders that f names; origin is the folder of f.
func runPaths(f *elf.File, origin string) []string {
	var folders []string
	for _, tag := range []elf.DynTag{elf.DT_RPATH, elf.DT_RUNPATH} {
		values, _ := f.DynString(tag)
		for _, v := range values {
			for _, folder := range strings.Split(v, ":") {
				folder = strings.NewReplacer("$ORIGIN", origin, "${ORIGIN}", origin).Replace(folder)
				if filepath.IsAbs(folder) {
					folders = append(folders, folder)
				}
			}
		}
	}
	return folders
}

// search returns the first library called name that is for the same processor as f.
func search(folders []string, name string, f *elf.File) (string, error) {
	if strings.Contains(name, "/") {
		return name, nil
	}
	for _, folder := range folders {
		path := filepath.Join(folder, name)
		library, err := elf.Open(path)
		if err != nil {
			continue
		}
		library.Close()
		if library.Class == f.Class && library.Machine == f.Machine {
			return path, nil
		}
	}
	return "", fmt.Errorf("%w in %v", os.ErrNotExist, folders)
}

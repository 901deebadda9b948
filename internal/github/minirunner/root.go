package minirunner

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// openDiag opens the runner's own log, in the folder that it makes before anything
// else (HostTraceListener.cs).
func openDiag(c Config) (*os.File, error) {
	dir := filepath.Join(c.Root, "_diag")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	return os.Create(filepath.Join(dir, "Runner_"+c.Now().UTC().Format("20060102-150405")+"-utc.log"))
}

// configure writes the configuration to the runner's folder (Runner.cs).
func configure(c Config) error {
	for _, name := range configFiles {
		path := filepath.Join(c.Root, name)
		if err := os.WriteFile(path, c.Identity.files[name], 0o600); err != nil {
			return err
		}
	}
	return nil
}

// unconfigure removes the configuration of a runner whose time is over
// (ConfigurationManager.cs, DeleteLocalRunnerConfig).
func (l *listener) unconfigure() {
	for _, name := range configFiles {
		if err := os.Remove(filepath.Join(l.Root, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			l.trace.Error("removing the configuration", "err", err)
		}
	}
}

// exceptionText words an error of a file as .NET does.
func exceptionText(err error) string {
	var file *fs.PathError
	switch {
	case !errors.As(err, &file):
		return err.Error()
	case errors.Is(err, fs.ErrPermission):
		return "Access to the path '" + file.Path + "' is denied."
	case errors.Is(err, syscall.EROFS):
		return "Read-only file system : '" + file.Path + "'"
	}
	return file.Err.Error() + " : '" + file.Path + "'"
}

// exception is exceptionText with the exception's type.
func exception(err error) string {
	if errors.Is(err, fs.ErrPermission) {
		return "System.UnauthorizedAccessException: " + exceptionText(err)
	}
	return "System.IO.IOException: " + exceptionText(err)
}

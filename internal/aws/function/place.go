package function

import (
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/mayfly-ci/mayfly/internal/aws/contract"
)

// A Place is where a function runs: what its zip, the stack and Lambda give it.
type Place struct {
	Settings contract.Settings
	AWS      aws.Config
	Getenv   func(name string) string
	Log      *slog.Logger
	Metrics  io.Writer         // where [WriteMetrics] writes; Lambda reads the standard output
	GitHub   http.RoundTripper // to GitHub; nil: the client's own
}

// Here returns the place of this process. It reads the settings that lie beside the program.
func Here(log *slog.Logger) (Place, error) {
	settings, err := contract.ReadSettings(filepath.Join(os.Getenv("LAMBDA_TASK_ROOT"), contract.SettingsFile))
	return Place{Settings: settings, AWS: Config(os.Getenv), Getenv: os.Getenv, Log: log, Metrics: os.Stdout}, err
}

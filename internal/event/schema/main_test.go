package schema

import (
	"os"
	"testing"

	"github.com/mayfly-ci/mayfly/internal/racetest"
)

func TestMain(m *testing.M) { os.Exit(racetest.Main(m)) }

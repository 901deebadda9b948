// Package importtest holds the rules of which package may import which: the
// table of DESIGN.md, "Code", as a test.
package importtest

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/mayfly-ci/mayfly/"

// stages do not import each other; internal/pipeline and cmd/ join them.
var stages = []string{
	"internal/webhook", "internal/bus", "internal/ledger", "internal/fleet",
	"internal/claim", "internal/image", "internal/github", "internal/gitea",
}

// nouns may be imported by every package, and import only each other.
var nouns = []string{"internal/event", "internal/eventlog", "internal/forge", "internal/pool", "internal/secret", "internal/why"}

// plain packages use nothing outside the standard library and the nouns.
var plain = []string{
	"internal/event", "internal/event/pattern", "internal/event/schema", "internal/event/transform", "internal/forge", "internal/gitea", "internal/ledger", "internal/ledger/whatif",
	"internal/eventlog", "internal/pool", "internal/secret", "internal/why", "internal/agent", "internal/agent/podman", "internal/agent/signed", "internal/claim", "cmd/mayfly-agent",
	"internal/aws/contract", "internal/image",
}

// allowed lists, for packages that are neither stage nor noun, what of Mayfly
// they may import besides the nouns and their own parts.
var allowed = map[string][]string{
	"internal/disk":         {},
	"internal/docker":       {},
	"internal/bus":          {"internal/disk"},
	"internal/agent":        {"internal/claim"},
	"internal/aws/contract": {"internal/ledger"},
	"internal/pipeline":     {"internal/agent", "internal/claim", "internal/image", "internal/ledger"},
	"internal/inspect":      {"internal/cli", "internal/image", "internal/ledger", "internal/pipeline"},
	"internal/web":          {"internal/inspect", "internal/ledger", "internal/image", "internal/cli", "internal/serve"},
	"internal/proof":        {"internal/github", "internal/ledger", "internal/pipeline"},
	"internal/config":       {},
	"internal/lint":         {"internal/github/workflow", "internal/github/expr"},
	"internal/cli":          {},
	"internal/importtest":   {},
	"internal/clock":        {},
	"internal/serve":        {},
}

type goPackage struct {
	ImportPath   string
	Imports      []string
	TestImports  []string
	XTestImports []string
	Standard     bool
}

// list returns the packages of this module.
func list(t *testing.T) []goPackage {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports,TestImports,XTestImports", module+"...")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []goPackage
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p goPackage
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		p.ImportPath = strings.TrimPrefix(p.ImportPath, module)
		all = append(all, p)
	}
}

// within reports whether path is root or below it.
func within(path, root string) bool { return path == root || strings.HasPrefix(path, root+"/") }

func rootOf(path string, roots []string) string {
	for _, r := range roots {
		if within(path, r) {
			return r
		}
	}
	return ""
}

func TestStagesDoNotImportEachOther(t *testing.T) {
	for _, p := range list(t) {
		own := rootOf(p.ImportPath, stages)
		if own == "" {
			continue
		}
		for _, imp := range p.Imports {
			imp, ours := strings.CutPrefix(imp, module)
			if other := rootOf(imp, stages); ours && other != "" && other != own {
				t.Errorf("%s imports %s: stages are joined by internal/pipeline and cmd/ only", p.ImportPath, imp)
			}
		}
	}
}

func TestPartsDoNotImportParents(t *testing.T) {
	plugs := []string{
		"internal/fleet/engine", "internal/fleet/sandbox", "internal/fleet/fleettest", "internal/image/engine", "internal/docker/dockertest",
		"internal/image/sqlite", "internal/image/imagetest", "internal/image/release", "internal/image/watch",
		"internal/ledger/sqlite", "internal/ledger/dynamo", "internal/ledger/ledgertest", "internal/ledger/whatif", "internal/bus/target", "internal/bus/registry",
		"internal/aws/stack", "internal/aws/deploy", "internal/aws/handler", "internal/aws/build", "internal/aws/function", "internal/aws/eventbus", "internal/aws/view", "internal/aws/rollout",
		"internal/inspect/local", "internal/inspect/stack", "internal/tool/tooltest",
	}
	for _, p := range list(t) {
		if slices.Contains(plugs, p.ImportPath) {
			continue
		}
		for _, imp := range p.Imports {
			imp, ours := strings.CutPrefix(imp, module)
			if ours && strings.HasPrefix(p.ImportPath, imp+"/") {
				t.Errorf("%s imports its parent %s: only a plug does", p.ImportPath, imp)
			}
		}
	}
}

// joints are the packages that join stages and their plugs; cmd/ joins those. A test kit joins as well.
var joints = []string{"cmd", "internal/machine", "internal/rehearsal", "internal/aws/rollout", "internal/aws/entry", "internal/aws/awstest", "internal/inspect/local", "internal/inspect/stack", "internal/tool"}

func TestOnlyJointsImportPlugs(t *testing.T) {
	plugs := []string{"internal/fleet/engine", "internal/fleet/sandbox", "internal/image/engine", "internal/image/sqlite", "internal/ledger/sqlite", "internal/ledger/dynamo", "internal/ledger/whatif", "internal/bus/target", "internal/bus/registry"}
	for _, p := range list(t) {
		for _, imp := range p.Imports {
			imp, _ := strings.CutPrefix(imp, module)
			if slices.Contains(plugs, imp) && rootOf(p.ImportPath, joints) == "" {
				t.Errorf("%s imports the plug %s: only %v do", p.ImportPath, imp, joints)
			}
		}
	}
}

func TestNounsAndPlainPackages(t *testing.T) {
	for _, p := range list(t) {
		noun := rootOf(p.ImportPath, nouns) != ""
		for _, imp := range p.Imports {
			ours, isOurs := strings.CutPrefix(imp, module)
			switch {
			case noun && isOurs && rootOf(ours, nouns) == "":
				t.Errorf("%s imports %s: a noun imports nouns only", p.ImportPath, ours)
			case slices.Contains(plain, p.ImportPath) && !isOurs && strings.Contains(strings.Split(imp, "/")[0], "."):
				t.Errorf("%s imports %s: it must need the standard library only", p.ImportPath, imp)
			}
		}
	}
}

func TestAllowedImports(t *testing.T) {
	for _, p := range list(t) {
		may, limited := allowed[p.ImportPath]
		if !limited {
			continue
		}
		for _, imp := range p.Imports {
			imp, ours := strings.CutPrefix(imp, module)
			if ours && rootOf(imp, nouns) == "" && rootOf(imp, may) == "" {
				t.Errorf("%s imports %s: it may import %v and the nouns", p.ImportPath, imp, may)
			}
		}
	}
}

// TestLibrariesHaveOneHome says where heavy or privileged libraries may appear.
func TestLibrariesHaveOneHome(t *testing.T) {
	homes := map[string][]string{
		"github.com/aws/":                         {"internal/aws", "internal/ledger/dynamo", "cmd/mayfly-webhook", "cmd/mayfly-lambda", "cmd/mayfly-aws"},
		"modernc.org/sqlite":                      {"internal/disk"},
		"github.com/moby/":                        {"internal/docker", "internal/fleet/engine", "internal/image/engine"},
		"github.com/google/go-github":             {"internal/github"},
		"github.com/bradleyfalzon/ghinstallation": {"internal/github"},
		"github.com/getkin/kin-openapi":           {"internal/github/openapi"},
		"github.com/rhysd/actionlint":             {"internal/github/workflow"},
		"github.com/robfig/cron":                  {"internal/github/workflow"},
		"github.com/goccy/go-yaml":                {"internal/config", "internal/github/workflow", "internal/github/minirunner", "internal/aws/stack"},
		"github.com/prometheus/":                  {"internal/machine/metrics"},
		"github.com/alecthomas/kong":              {"cmd/mayfly-bench", "internal/cli", "internal/tool"},
		"github.com/google/go-containerregistry":  {"internal/image", "internal/docker/dockertest"},
	}
	for _, p := range list(t) {
		for _, imp := range p.Imports {
			for lib, where := range homes {
				if strings.HasPrefix(imp, lib) && rootOf(p.ImportPath, where) == "" {
					t.Errorf("%s imports %s: its home is %v", p.ImportPath, imp, where)
				}
			}
		}
	}
}

// TestProgramsLinkOnlyTheirOwn keeps AWS out of the program of one machine, which starts mayfly-aws
// for it, and the machine out of that one.
func TestProgramsLinkOnlyTheirOwn(t *testing.T) {
	for program, foreign := range map[string][]string{
		"cmd/mayfly":     {"github.com/aws/", module + "internal/aws"},
		"cmd/mayfly-aws": {module + "internal/machine", module + "internal/docker", "modernc.org/sqlite", "github.com/prometheus/"},
	} {
		out, err := exec.Command("go", "list", "-deps", module+program).Output()
		if err != nil {
			t.Fatalf("go list: %v", err)
		}
		for _, imp := range strings.Fields(string(out)) {
			if slices.ContainsFunc(foreign, func(f string) bool { return strings.HasPrefix(imp, f) }) {
				t.Errorf("%s links %s", program, imp)
			}
		}
	}
}

// TestSupportStaysOutOfBinaries keeps what only tests need out of the tool.
func TestSupportStaysOutOfBinaries(t *testing.T) {
	support := []string{"internal/docker/dockertest", "internal/github/openapi", "internal/fleet/fleettest", "internal/ledger/ledgertest", "internal/image/imagetest", "internal/aws/awstest", "internal/tool/tooltest"}
	for _, p := range list(t) {
		for _, imp := range p.Imports {
			imp, _ := strings.CutPrefix(imp, module)
			if root := rootOf(imp, support); root != "" && !within(p.ImportPath, root) {
				t.Errorf("%s imports %s outside its tests", p.ImportPath, imp)
			}
		}
	}
}

// TestEveryDependencyHasAReason compares go.mod with the table in DESIGN.md.
func TestEveryDependencyHasAReason(t *testing.T) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{if not (or .Indirect .Main)}}{{.Path}}{{end}}", "all").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	design, err := os.ReadFile("../../DESIGN.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, found := strings.Cut(string(design), "\n## Dependencies\n")
	if !found {
		t.Fatal("DESIGN.md has no section Dependencies")
	}
	for _, path := range strings.Fields(string(out)) {
		if path != "honnef.co/go/tools" && !strings.Contains(table, "`"+path+"`") { // staticcheck is a tool
			t.Errorf("%s has no line of reason in DESIGN.md", path)
		}
	}
}

package schema

import (
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"go/types"
	"testing"
)

const jobTypes = "// Package events has the types of github.com@Workflow_job, version 2.\n" + `package events

import "time"

type WorkflowJobEvent struct {
	Account    string                 ` + "`json:\"account\"`" + `
	Detail     WorkflowJobEventDetail ` + "`json:\"detail\"`" + `
	DetailType string                 ` + "`json:\"detail-type\"`" + `
	ID         string                 ` + "`json:\"id\"`" + `
	Region     string                 ` + "`json:\"region\"`" + `
	Resources  []string               ` + "`json:\"resources\"`" + `
	Source     string                 ` + "`json:\"source\"`" + `
	Time       time.Time              ` + "`json:\"time\"`" + `
	Version    string                 ` + "`json:\"version\"`" + `
}

type WorkflowJobEventDetail struct {
	Field1    float64                          ` + "`json:\"+1\"`" + `
	Action    *string                          ` + "`json:\"action\"`" + `
	CreatedAt time.Time                        ` + "`json:\"created_at\"`" + `
	Empty     []any                            ` + "`json:\"empty\"`" + `
	HTMLURL   bool                             ` + "`json:\"html-url\"`" + `
	HtmlUrl   string                           ` + "`json:\"htmlUrl\"`" + `
	HTMLURL2  string                           ` + "`json:\"html_url\"`" + `
	ID        int64                            ` + "`json:\"id\"`" + `
	Mixed     any                              ` + "`json:\"mixed\"`" + `
	Runner    *WorkflowJobEventDetailRunner    ` + "`json:\"runner,omitempty\"`" + `
	Steps     []WorkflowJobEventDetailStepsItem ` + "`json:\"steps\"`" + `
}
`

// TestGoTypes compares a file with what is expected, field by field.
func TestGoTypes(t *testing.T) {
	var r Registry
	observe(t, &r, inEnvelope("workflow_job", `{"id":1,"+1":1.5,"action":"queued","created_at":"2026-01-31T12:00:00Z","html_url":"https://example.com","htmlUrl":"x","html-url":true,"empty":[],"steps":[{"name":"a"}],"mixed":1,"runner":{"id":5}}`))
	s, _ := observe(t, &r, inEnvelope("workflow_job", `{"id":2,"+1":1,"action":null,"created_at":"2026-01-31T12:00:00Z","html_url":"https://example.com","htmlUrl":"x","html-url":true,"empty":[],"steps":[{}],"mixed":"x"}`))
	s = asSettled(s)
	got, err := s.GoTypes("events")
	if err != nil {
		t.Fatal(err)
	}
	want, all := structs(t, []byte(jobTypes)), structs(t, got)
	for name, fields := range want {
		for field, is := range fields {
			if all[name][field] != is {
				t.Errorf("%s.%s: got %q, want %q", name, field, all[name][field], is)
			}
		}
		if len(all[name]) != len(fields) {
			t.Errorf("%s: got %v, want %v", name, all[name], fields)
		}
	}
	if t.Failed() {
		t.Logf("%s", got)
	}
	if _, err := s.GoTypes("not a package"); err == nil {
		t.Error("a package name with spaces was taken")
	}
}

// structs returns type and tag of each field by struct and name.
func structs(t *testing.T, src []byte) map[string]map[string]string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "events.go", src, 0)
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]map[string]string)
	ast.Inspect(file, func(n ast.Node) bool {
		if spec, ok := n.(*ast.TypeSpec); ok {
			all[spec.Name.Name] = make(map[string]string)
			for _, f := range spec.Type.(*ast.StructType).Fields.List {
				all[spec.Name.Name][f.Names[0].Name] = types.ExprString(f.Type) + " " + f.Tag.Value
			}
		}
		return true
	})
	return all
}

// justTime is the one package that generated types import.
type justTime struct{}

func (justTime) Import(string) (*types.Package, error) {
	pkg := types.NewPackage("time", "time")
	name := types.NewTypeName(token.NoPos, pkg, "Time", nil)
	types.NewNamed(name, types.NewStruct(nil, nil), nil)
	pkg.Scope().Insert(name)
	pkg.MarkComplete()
	return pkg, nil
}

// TestGoTypesCompile checks the types of all real events with gofmt and Go's type checker.
func TestGoTypesCompile(t *testing.T) {
	var r Registry
	for _, event := range realEvents(t) {
		observe(t, &r, event)
	}
	observe(t, &r, inEnvelope("odd names", `{"-":1,"a,b":2,"\"":3,"":4,"type":5,"Type":6,"日本":7,"1":8,"_":9,"a b":{"c":1},"a_b":{"c":1}}`))
	for _, name := range r.Names() {
		src, err := r.Latest(name).GoTypes("events")
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if formatted, err := format.Source(src); err != nil || string(formatted) != string(src) {
			t.Errorf("%s: gofmt would change it: %v\n%s", name, err, src)
		}
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, "events.go", src, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := (&types.Config{Importer: justTime{}}).Check("events", fset, []*ast.File{file}, nil); err != nil {
			t.Errorf("%s: %v\n%s", name, err, src)
		}
	}
}

package stack_test

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclparse"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// terraform is the folder of the module that wraps the template.
const terraform = "../../../deploy/terraform"

// module reads the files of the module and returns its blocks by type.
func module(t *testing.T) map[string][]*hclsyntax.Block {
	t.Helper()
	files, err := filepath.Glob(terraform + "/*.tf")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files: %v", err)
	}
	blocks := map[string][]*hclsyntax.Block{}
	parser := hclparse.NewParser()
	for _, file := range files {
		parsed, faults := parser.ParseHCLFile(file)
		if faults.HasErrors() {
			t.Fatal(faults)
		}
		body, ok := parsed.Body.(*hclsyntax.Body)
		if !ok {
			t.Fatalf("%s: %T", file, parsed.Body)
		}
		for _, b := range body.Blocks {
			blocks[b.Type] = append(blocks[b.Type], b)
		}
	}
	return blocks
}

// traversals returns what the expressions in b and below refer to.
func traversals(b *hclsyntax.Body) (all []hcl.Traversal) {
	for _, a := range b.Attributes {
		all = append(all, a.Expr.Variables()...)
	}
	for _, inner := range b.Blocks {
		all = append(all, traversals(inner.Body)...)
	}
	return all
}

// TestTerraformModule: the module refers to what it declares, uses all of that, and
// asks the stack for outputs that the template has.
func TestTerraformModule(t *testing.T) {
	blocks := module(t)
	declared, used := map[string]bool{}, map[string]bool{}
	for _, v := range blocks["variable"] {
		declared[v.Labels[0]] = true
		for _, key := range []string{"description", "type"} {
			if v.Body.Attributes[key] == nil {
				t.Errorf("variable %s has no %s", v.Labels[0], key)
			}
		}
	}
	_, outputs, _ := strings.Cut(string(render(t, settings(t, "", small))), "\nOutputs:")
	for _, kind := range blocks {
		for _, b := range kind {
			for _, path := range traversals(b.Body) {
				if name, ok := attribute(path, 1); ok && path.RootName() == "var" && b.Type != "variable" {
					used[name] = true
				}
				if name, ok := attribute(path, 2); ok && path.RootName() == "aws_cloudformation_stack" && name == "outputs" && len(path) > 3 {
					if key := path[3].(hcl.TraverseIndex).Key.AsString(); !strings.Contains(outputs, "\n  "+key+": ") {
						t.Errorf("output %s: the template has no %s", b.Labels[0], key)
					}
				}
			}
		}
	}
	for name := range used {
		if !declared[name] {
			t.Errorf("var.%s is not declared", name)
		}
	}
	for name := range declared {
		if !used[name] {
			t.Errorf("variable %s is not used", name)
		}
	}
}

// attribute returns the name at i of a path such as var.name.
func attribute(path hcl.Traversal, i int) (string, bool) {
	if i >= len(path) {
		return "", false
	}
	step, ok := path[i].(hcl.TraverseAttr)
	return step.Name, ok
}

// TestTerraformFormat: the files are as terraform fmt writes them. Terraform itself
// is on few machines, so its absence is no failure anywhere.
func TestTerraformFormat(t *testing.T) {
	program, err := exec.LookPath("terraform")
	if err != nil {
		t.Skip("SKIPPED, NOT TESTED: terraform is not installed")
	}
	if out, err := exec.Command(program, "-chdir="+terraform, "fmt", "-check", "-diff").CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

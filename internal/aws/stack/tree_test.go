package stack

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRead(t *testing.T) {
	got, err := Read([]byte(`
A: !Ref Bus
B: !GetAtt Bus.Arn
C: !Sub "${A}"
D: !If [X, [a:b, "c:d"], !Ref "AWS::NoValue"]
E: { F: [logs:Put, logs:Get], G: logs:Put, H: { I: j } }
K: |
  text
L: [1, 2.5, true, ~]
M: {Condition: !Condition X}
N: { O: { P: "1" } }
`))
	want := tree{
		"A": tree{"Ref": "Bus"},
		"B": tree{"Fn::GetAtt": []any{"Bus", "Arn"}},
		"C": tree{"Fn::Sub": "${A}"},
		"D": tree{"Fn::If": []any{"X", []any{"a:b", "c:d"}, tree{"Ref": "AWS::NoValue"}}},
		"E": tree{"F": []any{"logs:Put", "logs:Get"}, "G": "logs:Put", "H": tree{"I": "j"}},
		"K": "text\n",
		"L": []any{uint64(1), 2.5, true, nil},
		"M": tree{"Condition": tree{"Condition": "X"}},
		"N": tree{"O": tree{"P": "1"}},
	}
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// FuzzRead: whatever is read, there is a tree or an error.
func FuzzRead(f *testing.F) {
	for _, src := range []string{"", "a: !Ref b", "- a", "a: {b: [c:d]}", "a: |\n  b", "? a\n: b", "a: !GetAtt [b, c]", "!Sub a: b", "a: {b: }"} {
		f.Add([]byte(src))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		got, err := Read(src)
		if (got == nil) == (err == nil) {
			t.Errorf("%v and %v", got, err)
		}
	})
}
